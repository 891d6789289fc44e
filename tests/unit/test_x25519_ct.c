/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scalars are marked as uninitialised memory: under valgrind every branch and every address that
 * depends on them is then an error (the method of ctgrind). tests/functional/constant_time.sh runs
 * it so; alone it only compares results. With the argument `leak` it branches on a secret, to show
 * that the method sees it. valgrind knows no AVX-512: the IFMA kernel is checked in its emulation,
 * whose C has no branch either.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>
#include <valgrind/memcheck.h>

#include "crypto/cpu.h"
#include "crypto/x25519_mb_kernel.h"

#define X25519_IFMA_EMULATED
#include "crypto/x25519_mb_avx512.c"

enum { N = 9 };

static uint8_t scalar[N][32], u[N][32], out[N][32], want[N][32], on_twist[N];
static const uint8_t *scalar_p[N], *u_p[N];
static uint8_t *out_p[N];

static void secret(void)
{
	randombytes_buf(scalar, sizeof(scalar));
	randombytes_buf(u, sizeof(u));
	for (unsigned i = 0; i < N; i++) {
		crypto_scalarmult_base(u[i], u[i]);
		(void)!crypto_scalarmult(want[i], scalar[i], u[i]);
	}
	VALGRIND_MAKE_MEM_UNDEFINED(scalar, sizeof(scalar));
}

static void compare(void)
{
	VALGRIND_MAKE_MEM_DEFINED(scalar, sizeof(scalar));
	VALGRIND_MAKE_MEM_DEFINED(out, sizeof(out));
	assert_memory_equal(out, want, sizeof(out));
}

static void ladder(const struct x25519_kernel *k)
{
	secret();
	k->mult(out_p, scalar_p, u_p, N);
	compare();
}

static void base(const struct x25519_kernel *k)
{
	secret();
	for (unsigned i = 0; i < N; i++) {
		VALGRIND_MAKE_MEM_DEFINED(scalar[i], 32);
		crypto_scalarmult_base(want[i], scalar[i]);
		VALGRIND_MAKE_MEM_UNDEFINED(scalar[i], 32);
	}
	k->base(out_p, scalar_p, N);
	compare();
}

static void pair(const struct x25519_kernel *k)
{
	unsigned index[N];
	size_t size = (k->pair_size(N) + 63) & ~(size_t)63;
	void *ws = aligned_alloc(64, size);

	assert_non_null(ws);
	for (unsigned i = 0; i < N; i++)
		index[i] = N - 1 - i;
	secret();
	k->pair_begin(ws, u_p, N, on_twist);
	k->pair_mult(ws, out_p, scalar_p, NULL, N);
	compare();
	/* survivors, packed: the second multiplication of a hop has a scalar that is secret too */
	secret();
	k->pair_begin(ws, u_p, N, on_twist);
	for (unsigned i = 0; i < N / 2; i++) {
		uint8_t t[32];

		memcpy(t, want[i], 32);
		memcpy(want[i], want[N - 1 - i], 32);
		memcpy(want[N - 1 - i], t, 32);
	}
	for (unsigned i = 0; i < N; i++)
		scalar_p[i] = scalar[N - 1 - i];
	k->pair_mult(ws, out_p, scalar_p, index, N);
	for (unsigned i = 0; i < N; i++)
		scalar_p[i] = scalar[i];
	compare();
	free(ws);
}

static void every(void (*what)(const struct x25519_kernel *))
{
	what(&x25519_kernel_ifma_emulated);
	if (cpu_has(CPU_AVX2) && cpu_has(CPU_FMA))
		what(&x25519_kernel_avx2);
	else
		print_message("no AVX2 and FMA here: the kernel of doubles was NOT checked\n");
}

static void ladder_without_branch_or_address(void **state)
{
	(void)state;
	every(ladder);
}

static void base_without_branch_or_address(void **state)
{
	(void)state;
	every(base);
}

static void pair_without_branch_or_address(void **state)
{
	(void)state;
	every(pair);
}

/* what valgrind must complain about */
static int leak(void)
{
	static const char *const words[] = {"even", "odd"};

	secret();
	puts(scalar[0][0] > 127 ? "large" : "small");
	puts(words[scalar[0][0] & 1]);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ladder_without_branch_or_address),
		cmocka_unit_test(base_without_branch_or_address),
		cmocka_unit_test(pair_without_branch_or_address),
	};

	if (sodium_init() < 0)
		return 1;
	for (unsigned i = 0; i < N; i++) {
		scalar_p[i] = scalar[i];
		u_p[i] = u[i];
		out_p[i] = out[i];
	}
	if (argc > 1 && strcmp(argv[1], "leak") == 0)
		return leak();
	x25519_kernel_ifma_emulated.start();
	if (cpu_has(CPU_AVX2) && cpu_has(CPU_FMA))
		x25519_kernel_avx2.start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
