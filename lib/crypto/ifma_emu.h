/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_IFMA_EMU_H
#define BETANET_CRYPTO_IFMA_EMU_H

/*
 * The AVX-512 intrinsics that x25519_mb_fe_ifma.h uses, in plain C after the pseudocode of the
 * Intel SDM, volume 2. For tests: it lets that source run (some hundred times slower) where the CPU
 * lacks IFMA, and under valgrind, which knows no AVX-512. The names are redirected, so that
 * <immintrin.h> may be included as well.
 */

#include <stdint.h>
#include <string.h>

struct ifma_emu {
	uint64_t q[8];
};

#define __m512i struct ifma_emu
#define __mmask8 uint8_t

/* calls, not inlined: fifty of them in a row, eight lanes each, are more than a compiler likes */
#define IFMA_EMU static __attribute__((noinline)) struct ifma_emu

#define IFMA_EMU_BINARY(name, expression)                                                          \
	IFMA_EMU ifma_emu_##name(struct ifma_emu a, struct ifma_emu b)                             \
	{                                                                                          \
		struct ifma_emu r;                                                                 \
                                                                                                   \
		for (int l = 0; l < 8; l++) {                                                      \
			uint64_t x = a.q[l], y = b.q[l];                                           \
                                                                                                   \
			r.q[l] = (expression);                                                     \
		}                                                                                  \
		return r;                                                                          \
	}

IFMA_EMU_BINARY(add, x + y)
IFMA_EMU_BINARY(sub, x - y)
IFMA_EMU_BINARY(and, x &y)
IFMA_EMU_BINARY(sllv, y < 64 ? x << y : 0)

IFMA_EMU ifma_emu_set1(long long x)
{
	struct ifma_emu r;

	for (int l = 0; l < 8; l++)
		r.q[l] = (uint64_t)x;
	return r;
}

IFMA_EMU ifma_emu_srli(struct ifma_emu a, unsigned n)
{
	for (int l = 0; l < 8; l++)
		a.q[l] >>= n;
	return a;
}

IFMA_EMU ifma_emu_slli(struct ifma_emu a, unsigned n)
{
	for (int l = 0; l < 8; l++)
		a.q[l] <<= n;
	return a;
}

/* The product of bits 0..51, without a 128-bit type: low and high 52 of its 104 bits. */
static inline void ifma_emu_product(uint64_t *lo, uint64_t *hi, uint64_t a, uint64_t b)
{
	const uint64_t mask26 = (UINT64_C(1) << 26) - 1, mask52 = (UINT64_C(1) << 52) - 1;
	uint64_t a0 = a & mask26, a1 = (a & mask52) >> 26, b0 = b & mask26, b1 = (b & mask52) >> 26;
	uint64_t middle = a0 * b1 + a1 * b0;                /* below 2^53 */
	uint64_t low = a0 * b0 + ((middle & mask26) << 26); /* below 2^53 */

	*lo = low & mask52;
	*hi = a1 * b1 + (middle >> 26) + (low >> 52);
}

IFMA_EMU ifma_emu_madd52lo(struct ifma_emu sum, struct ifma_emu a, struct ifma_emu b)
{
	uint64_t lo, hi;

	for (int l = 0; l < 8; l++) {
		ifma_emu_product(&lo, &hi, a.q[l], b.q[l]);
		sum.q[l] += lo;
	}
	return sum;
}

IFMA_EMU ifma_emu_madd52hi(struct ifma_emu sum, struct ifma_emu a, struct ifma_emu b)
{
	uint64_t lo, hi;

	for (int l = 0; l < 8; l++) {
		ifma_emu_product(&lo, &hi, a.q[l], b.q[l]);
		sum.q[l] += hi;
	}
	return sum;
}

/* all ones where bit l of m is set; no branch, as the instruction has none */
static inline uint64_t ifma_emu_spread(uint8_t m, int l)
{
	return 0 - (uint64_t)(m >> l & 1);
}

IFMA_EMU ifma_emu_blend(uint8_t m, struct ifma_emu a, struct ifma_emu b)
{
	for (int l = 0; l < 8; l++)
		a.q[l] ^= (a.q[l] ^ b.q[l]) & ifma_emu_spread(m, l);
	return a;
}

IFMA_EMU ifma_emu_mask_sub(struct ifma_emu keep, uint8_t m, struct ifma_emu a, struct ifma_emu b)
{
	return ifma_emu_blend(m, keep, ifma_emu_sub(a, b));
}

static __attribute__((noinline)) uint8_t ifma_emu_movemask(struct ifma_emu a)
{
	unsigned m = 0;

	for (int l = 0; l < 8; l++)
		m |= (unsigned)(a.q[l] >> 63) << l;
	return (uint8_t)m;
}

IFMA_EMU ifma_emu_load(const void *p)
{
	struct ifma_emu r;

	memcpy(&r, p, sizeof(r));
	return r;
}

static __attribute__((noinline)) void ifma_emu_store(void *p, struct ifma_emu a)
{
	memcpy(p, &a, sizeof(a));
}

#define _mm512_set1_epi64 ifma_emu_set1
#define _mm512_setzero_si512() ifma_emu_set1(0)
#define _mm512_loadu_si512 ifma_emu_load
#define _mm512_storeu_si512 ifma_emu_store
#define _mm512_add_epi64 ifma_emu_add
#define _mm512_sub_epi64 ifma_emu_sub
#define _mm512_and_si512 ifma_emu_and
#define _mm512_sllv_epi64 ifma_emu_sllv
#define _mm512_srli_epi64 ifma_emu_srli
#define _mm512_slli_epi64 ifma_emu_slli
#define _mm512_madd52lo_epu64 ifma_emu_madd52lo
#define _mm512_madd52hi_epu64 ifma_emu_madd52hi
#define _mm512_mask_blend_epi64 ifma_emu_blend
#define _mm512_mask_sub_epi64 ifma_emu_mask_sub
#define _mm512_movepi64_mask ifma_emu_movemask

#endif
