/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_CPU_H
#define BETANET_CRYPTO_CPU_H

#include <stdbool.h>

/*
 * What this CPU offers and the operating system lets us use: CPUID, and XCR0 for the register
 * state that vector instructions need (Intel SDM vol. 1, 13.3 and 14.3; vol. 2, CPUID). Asked once;
 * any thread may call.
 */
#define CPU_FEATURES(X)                                                                            \
	X(SSE42)                                                                                   \
	X(AESNI)                                                                                   \
	X(PCLMUL)                                                                                  \
	X(SHANI)                                                                                   \
	X(AVX)                                                                                     \
	X(AVX2)                                                                                    \
	X(FMA)                                                                                     \
	X(BMI2)                                                                                    \
	X(VAES)                                                                                    \
	X(AVX512F)                                                                                 \
	X(AVX512DQ)                                                                                \
	X(AVX512BW)                                                                                \
	X(AVX512VL)                                                                                \
	X(AVX512IFMA)

enum cpu_feature {
#define X(name) CPU_##name,
	CPU_FEATURES(X)
#undef X
		CPU_FEATURE_COUNT
};

/* True when the CPU has it, the system saves its registers, and the limit below allows its width:
 * 256 bits for AVX, AVX2, FMA and VAES, 512 for every AVX512 feature. */
bool cpu_has(enum cpu_feature f);
const char *cpu_feature_name(enum cpu_feature f);

/* Widest vectors that kernels may use: 128, 256 (AVX2 and FMA) or 512 (AVX512 F, DQ, BW, VL). */
unsigned cpu_simd_bits(void);

/* No kernel wider than this from now on: 128, 256 or 512; 0 lifts the limit. crypto_init calls it
 * before kernels are chosen; tests call it to reach the narrower ones. -EINVAL on other values. */
int cpu_limit_simd(unsigned bits);

#endif
