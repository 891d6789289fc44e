/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <wmmintrin.h>
#include <smmintrin.h>
#include "crypto/aes_ctr_mb.h"

enum { ROUNDS = 10, WIDE = 8 };

/* FIPS 197, 5.2: one step of the key expansion; `assist` from aeskeygenassist. */
static inline __m128i next_key(__m128i k, __m128i assist)
{
	assist = _mm_shuffle_epi32(assist, 0xff);
	k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
	k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
	return _mm_xor_si128(k, assist);
}

static inline void expand_key(__m128i rk[ROUNDS + 1], const uint8_t key[AES_CTR_MB_KEY])
{
	rk[0] = _mm_loadu_si128((const __m128i *)key);
	rk[1] = next_key(rk[0], _mm_aeskeygenassist_si128(rk[0], 0x01));
	rk[2] = next_key(rk[1], _mm_aeskeygenassist_si128(rk[1], 0x02));
	rk[3] = next_key(rk[2], _mm_aeskeygenassist_si128(rk[2], 0x04));
	rk[4] = next_key(rk[3], _mm_aeskeygenassist_si128(rk[3], 0x08));
	rk[5] = next_key(rk[4], _mm_aeskeygenassist_si128(rk[4], 0x10));
	rk[6] = next_key(rk[5], _mm_aeskeygenassist_si128(rk[5], 0x20));
	rk[7] = next_key(rk[6], _mm_aeskeygenassist_si128(rk[6], 0x40));
	rk[8] = next_key(rk[7], _mm_aeskeygenassist_si128(rk[7], 0x80));
	rk[9] = next_key(rk[8], _mm_aeskeygenassist_si128(rk[8], 0x1b));
	rk[10] = next_key(rk[9], _mm_aeskeygenassist_si128(rk[9], 0x36));
}

/* `count` is a constant at each call, so that the blocks stay in registers. */
static inline __attribute__((always_inline)) void encrypt_counters(
	uint8_t *out, const __m128i rk[ROUNDS + 1], uint32_t first, const unsigned count)
{
	__m128i x[WIDE];

#pragma GCC unroll 8
	for (unsigned i = 0; i < count; i++)
		x[i] = _mm_xor_si128(
			rk[0], _mm_set_epi32((int)__builtin_bswap32(first + i), 0, 0, 0));
#pragma GCC unroll 10
	for (unsigned r = 1; r < ROUNDS; r++) {
#pragma GCC unroll 8
		for (unsigned i = 0; i < count; i++)
			x[i] = _mm_aesenc_si128(x[i], rk[r]);
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < count; i++)
		_mm_storeu_si128((__m128i *)(out + AES_CTR_MB_BLOCK * i),
			_mm_aesenclast_si128(x[i], rk[ROUNDS]));
}

void aes_ctr_mb_stream(uint8_t *const out[], size_t blocks, const uint8_t *const key[], unsigned n)
{
	__m128i rk[ROUNDS + 1];

	for (unsigned i = 0; i < n; i++) {
		uint8_t *to = out[i];
		uint32_t b = 0;

		expand_key(rk, key[i]);
		for (; b + WIDE <= blocks; b += WIDE, to += WIDE * AES_CTR_MB_BLOCK)
			encrypt_counters(to, rk, b, WIDE);
		for (; b < blocks; b++, to += AES_CTR_MB_BLOCK)
			encrypt_counters(to, rk, b, 1);
	}
	sodium_memzero(rk, sizeof(rk));
}
