/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/cpu.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* XCR0: which register state the system saves. */
enum {
	STATE_NONE = 0,
	STATE_AVX = 0x06,    /* XMM, upper halves of YMM */
	STATE_AVX512 = 0xe6, /* and opmask, upper halves of ZMM0-15, ZMM16-31 */
};

enum { LEAF_1_ECX, LEAF_7_EBX, LEAF_7_ECX, WORDS };

static const struct {
	const char *name;
	uint8_t word, bit, state;
	uint16_t width;
} table[CPU_FEATURE_COUNT] = {
	[CPU_SSE42] = {"SSE4.2", LEAF_1_ECX, 20, STATE_NONE, 128},
	[CPU_AESNI] = {"AES-NI", LEAF_1_ECX, 25, STATE_NONE, 128},
	[CPU_PCLMUL] = {"PCLMULQDQ", LEAF_1_ECX, 1, STATE_NONE, 128},
	[CPU_SHANI] = {"SHA-NI", LEAF_7_EBX, 29, STATE_NONE, 128},
	[CPU_AVX] = {"AVX", LEAF_1_ECX, 28, STATE_AVX, 256},
	[CPU_AVX2] = {"AVX2", LEAF_7_EBX, 5, STATE_AVX, 256},
	[CPU_FMA] = {"FMA", LEAF_1_ECX, 12, STATE_AVX, 256},
	[CPU_BMI2] = {"BMI2", LEAF_7_EBX, 8, STATE_NONE, 128},
	[CPU_VAES] = {"VAES", LEAF_7_ECX, 9, STATE_AVX, 256},
	[CPU_AVX512F] = {"AVX512F", LEAF_7_EBX, 16, STATE_AVX512, 512},
	[CPU_AVX512DQ] = {"AVX512DQ", LEAF_7_EBX, 17, STATE_AVX512, 512},
	[CPU_AVX512BW] = {"AVX512BW", LEAF_7_EBX, 30, STATE_AVX512, 512},
	[CPU_AVX512VL] = {"AVX512VL", LEAF_7_EBX, 31, STATE_AVX512, 512},
	[CPU_AVX512IFMA] = {"AVX512IFMA", LEAF_7_EBX, 21, STATE_AVX512, 512},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t present; /* bit per cpu_feature; written once */
static atomic_uint limit = 512;

static uint32_t saved_state(uint32_t leaf_1_ecx)
{
	const uint32_t osxsave = 1u << 27;
	uint32_t lo, hi;

	if (!(leaf_1_ecx & osxsave))
		return STATE_NONE;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo;
}

static void detect(void)
{
	uint32_t words[WORDS] = {0}, a, b, c, d, state;

	if (!__get_cpuid(1, &a, &b, &c, &d))
		return;
	words[LEAF_1_ECX] = c;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		words[LEAF_7_EBX] = b;
		words[LEAF_7_ECX] = c;
	}
	state = saved_state(words[LEAF_1_ECX]);
	for (unsigned i = 0; i < CPU_FEATURE_COUNT; i++) {
		if ((words[table[i].word] >> table[i].bit & 1) &&
			(state & table[i].state) == table[i].state)
			present |= 1u << i;
	}
}

bool cpu_has(enum cpu_feature f)
{
	pthread_once(&once, detect);
	return (unsigned)f < CPU_FEATURE_COUNT && (present >> f & 1) &&
	       table[f].width <= atomic_load_explicit(&limit, memory_order_relaxed);
}

const char *cpu_feature_name(enum cpu_feature f)
{
	return (unsigned)f < CPU_FEATURE_COUNT ? table[f].name : "?";
}

unsigned cpu_simd_bits(void)
{
	if (cpu_has(CPU_AVX512F) && cpu_has(CPU_AVX512DQ) && cpu_has(CPU_AVX512BW) &&
		cpu_has(CPU_AVX512VL))
		return 512;
	return cpu_has(CPU_AVX2) && cpu_has(CPU_FMA) ? 256 : 128;
}

int cpu_limit_simd(unsigned bits)
{
	if (bits != 0 && bits != 128 && bits != 256 && bits != 512)
		return -EINVAL;
	atomic_store_explicit(&limit, bits ? bits : 512, memory_order_relaxed);
	return 0;
}
