/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "crypto/cpu.h"
#include "crypto/manager.h"
#include "crypto/selftest.h"
#include "crypto/state.h"

/* How lib/crypto starts: what it asks the CPU, what it chooses, what it refuses. */

static struct crypto *crypto;

/* sanitizers replace mlock by nothing */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* The exit status of `child` run in a process of its own. */
static int in_child(int (*child)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- start ---- */

static int create_uninitialised(void)
{
	errno = 0;
	return crypto_create() == NULL && errno == EINVAL ? 0 : 1;
}

static int init_wrong_width(void)
{
	struct error err = {""};

	if (crypto_init(100, &err) != -EINVAL || !strstr(err.msg, "100"))
		return 1;
	/* later calls return the result of the first */
	memset(&err, 0, sizeof(err));
	return crypto_init(0, &err) == -EINVAL && strstr(err.msg, "100") ? 0 : 2;
}

static int init_narrow(void)
{
	if (crypto_init(128, NULL) < 0)
		return 1;
	if (cpu_simd_bits() != 128 || cpu_has(CPU_AVX2) || cpu_has(CPU_AVX512F))
		return 2;
	return strcmp(crypto_manager_name(), "sse") == 0 ? 0 : 3;
}

static void create_before_init_is_refused(void **state)
{
	(void)state;
	assert_string_equal(crypto_manager_name(), "none");
	assert_int_equal(in_child(create_uninitialised), 0);
}

static void init_refuses_a_width_that_does_not_exist_and_keeps_its_answer(void **state)
{
	(void)state;
	assert_int_equal(in_child(init_wrong_width), 0);
}

static void init_with_128_bits_uses_nothing_wider(void **state)
{
	(void)state;
	assert_int_equal(in_child(init_narrow), 0);
}

static int create_without_lockable_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		return 1;
	/* root may lock in spite of the limit */
	if (getuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
		return 2;
	errno = 0;
	return crypto_create() == NULL && errno == ENOMEM ? 0 : 3;
}

static void create_fails_when_memory_cannot_be_locked(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	assert_int_equal(in_child(create_without_lockable_memory), 0);
}

/* VmFlags of the mapping that p lies in. */
static void vm_flags(const void *p, char *flags, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long lo, hi;
	char line[512];
	int inside = 0;

	assert_non_null(f);
	*flags = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			inside = (uintptr_t)p >= lo && (uintptr_t)p < hi;
		if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, size, "%s", line + 8);
	}
	fclose(f);
}

static void its_memory_is_locked_and_left_out_of_core_dumps(void **state)
{
	char flags[512];

	(void)state;
	if (SANITIZED)
		skip();
	vm_flags(crypto, flags, sizeof(flags));
	assert_non_null(strstr(flags, " lo"));
	assert_non_null(strstr(flags, " dd"));
	vm_flags(crypto->mgr, flags, sizeof(flags));
	assert_non_null(strstr(flags, " lo"));
	assert_non_null(strstr(flags, " dd"));
}

static void known_answers_hold_and_an_altered_one_is_named(void **state)
{
	char expected[2 * SELFTEST_MAX + 1];

	(void)state;
	assert_true(selftest_count >= 12);
	assert_null(selftest_run(crypto, selftest_rows, selftest_count));
	for (size_t i = 0; i < selftest_count; i++) {
		struct selftest row = selftest_rows[i];

		snprintf(expected, sizeof(expected), "%s", row.expected);
		expected[0] = expected[0] == '0' ? '1' : '0';
		row.expected = expected;
		assert_ptr_equal(selftest_run(crypto, &row, 1), row.name);
	}
}

static void every_usable_manager_gives_the_known_answers(void **state)
{
	void *mem = aligned_alloc(64, (manager_size() + 63) & ~(size_t)63);
	unsigned usable = 0;

	(void)state;
	assert_non_null(mem);
	for (unsigned i = 0; i < MANAGER_KINDS; i++) {
		struct crypto c;

		if (!manager_usable(&manager_kinds[i]))
			continue;
		usable++;
		c.mgr = manager_place(&manager_kinds[i], mem);
		assert_non_null(c.mgr);
		assert_null(selftest_run(&c, selftest_rows, selftest_count));
		assert_true(manager_time_hmac(c.mgr, 1) > 0);
		assert_true(manager_time_hmac(c.mgr, 128) > 0);
	}
	assert_true(usable >= 1);
	assert_non_null(manager_fastest(1));
	assert_non_null(manager_fastest(128));
	free(mem);
}

/* ---- CPU ---- */

static void the_limit_hides_wider_features_and_can_be_lifted(void **state)
{
	const unsigned widest = cpu_simd_bits();
	const bool avx2 = cpu_has(CPU_AVX2), ifma = cpu_has(CPU_AVX512IFMA);

	(void)state;
	assert_int_equal(cpu_limit_simd(128), 0);
	assert_int_equal(cpu_simd_bits(), 128);
	assert_false(
		cpu_has(CPU_AVX) || cpu_has(CPU_AVX2) || cpu_has(CPU_FMA) || cpu_has(CPU_VAES));
	assert_true(cpu_has(CPU_SSE42) && cpu_has(CPU_AESNI));
	assert_int_equal(cpu_limit_simd(256), 0);
	assert_true(cpu_simd_bits() <= 256);
	assert_true(cpu_has(CPU_AVX2) == avx2);
	assert_false(cpu_has(CPU_AVX512F) || cpu_has(CPU_AVX512IFMA));
	assert_int_equal(cpu_limit_simd(64), -EINVAL);
	assert_int_equal(cpu_limit_simd(0), 0);
	assert_int_equal(cpu_simd_bits(), widest);
	assert_true(cpu_has(CPU_AVX512IFMA) == ifma);
}

/* The compiler's run time asks the CPU by itself: a second opinion, of CPUID and of XCR0. */
static void features_agree_with_the_compilers_own_detection(void **state)
{
	(void)state;
	__builtin_cpu_init();
	assert_true(cpu_has(CPU_SSE42) == !!__builtin_cpu_supports("sse4.2"));
	assert_true(cpu_has(CPU_AESNI) == !!__builtin_cpu_supports("aes"));
	assert_true(cpu_has(CPU_PCLMUL) == !!__builtin_cpu_supports("pclmul"));
	assert_true(cpu_has(CPU_AVX) == !!__builtin_cpu_supports("avx"));
	assert_true(cpu_has(CPU_AVX2) == !!__builtin_cpu_supports("avx2"));
	assert_true(cpu_has(CPU_FMA) == !!__builtin_cpu_supports("fma"));
	assert_true(cpu_has(CPU_BMI2) == !!__builtin_cpu_supports("bmi2"));
	assert_true(cpu_has(CPU_AVX512F) == !!__builtin_cpu_supports("avx512f"));
	assert_true(cpu_has(CPU_AVX512DQ) == !!__builtin_cpu_supports("avx512dq"));
	assert_true(cpu_has(CPU_AVX512BW) == !!__builtin_cpu_supports("avx512bw"));
	assert_true(cpu_has(CPU_AVX512VL) == !!__builtin_cpu_supports("avx512vl"));
	assert_true(cpu_has(CPU_AVX512IFMA) == !!__builtin_cpu_supports("avx512ifma"));
	for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++)
		assert_true(strlen(cpu_feature_name(f)) >= 3);
	assert_string_equal(cpu_feature_name(CPU_FEATURE_COUNT), "?");
	assert_false(cpu_has(CPU_FEATURE_COUNT));
}

static int setup(void **state)
{
	struct error err;

	(void)state;
	if (crypto_init(0, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	crypto = crypto_create();
	return crypto ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	crypto_free(crypto);
	crypto_free(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(create_before_init_is_refused),
		cmocka_unit_test(init_refuses_a_width_that_does_not_exist_and_keeps_its_answer),
		cmocka_unit_test(init_with_128_bits_uses_nothing_wider),
	};
	const struct CMUnitTest after[] = {
		cmocka_unit_test(create_fails_when_memory_cannot_be_locked),
		cmocka_unit_test(its_memory_is_locked_and_left_out_of_core_dumps),
		cmocka_unit_test(known_answers_hold_and_an_altered_one_is_named),
		cmocka_unit_test(every_usable_manager_gives_the_known_answers),
		cmocka_unit_test(the_limit_hides_wider_features_and_can_be_lifted),
		cmocka_unit_test(features_agree_with_the_compilers_own_detection),
	};
	int failed = cmocka_run_group_tests(before, NULL, NULL);

	return failed + cmocka_run_group_tests(after, setup, teardown);
}
