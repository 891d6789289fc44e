/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>
#include "crypto/sha256_mb.h"

/*
 * SHA-256 with Intel's SHA extensions, up to four messages interleaved. sha256rnds2 runs two rounds
 * on the state as ABEF and CDGH; each depends on the one before, and the other messages fill the
 * time that it takes. Rounds 4r..4r+3 of all messages form one step; w[l][r & 3] holds the four
 * message words of that step.
 */

#define UNROLL _Pragma("GCC unroll 16")

static inline __attribute__((always_inline)) __m128i schedule(const __m128i w[4], unsigned r)
{
	__m128i t = _mm_sha256msg1_epu32(w[r & 3], w[(r + 1) & 3]);

	t = _mm_add_epi32(t, _mm_alignr_epi8(w[(r + 3) & 3], w[(r + 2) & 3], 4));
	return _mm_sha256msg2_epu32(t, w[(r + 3) & 3]);
}

static inline __attribute__((always_inline)) void load_state(
	const struct sha256_state *st, __m128i *abef, __m128i *cdgh)
{
	__m128i dcba = _mm_load_si128((const __m128i *)st->h);
	__m128i hgfe = _mm_load_si128((const __m128i *)(st->h + 4));
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);

	*abef = _mm_alignr_epi8(cdab, efgh, 8);
	*cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

static inline __attribute__((always_inline)) void store_state(
	struct sha256_state *st, __m128i abef, __m128i cdgh)
{
	__m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);

	_mm_store_si128((__m128i *)st->h, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_store_si128((__m128i *)(st->h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* `lanes` is a constant 1..4 at each call, so that everything below is unrolled. */
static inline __attribute__((always_inline)) void interleaved(
	struct sha256_state st[], const uint8_t *const msg[], size_t blocks, const unsigned lanes)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	__m128i abef[4], cdgh[4];

	for (unsigned l = 0; l < lanes; l++)
		load_state(&st[l], &abef[l], &cdgh[l]);
	for (size_t b = 0; b < blocks; b++) {
		__m128i w[4][4], a[4], c[4];

		UNROLL
		for (unsigned l = 0; l < lanes; l++) {
			a[l] = abef[l];
			c[l] = cdgh[l];
		}
		UNROLL
		for (unsigned r = 0; r < 16; r++) {
			const __m128i k = _mm_loadu_si128((const __m128i *)(sha256_k + 4 * r));

			UNROLL
			for (unsigned l = 0; l < lanes; l++) {
				const uint8_t *from = msg[l] + 64 * b + 16 * (r & 3);
				__m128i x;

				w[l][r & 3] =
					r < 4 ? _mm_shuffle_epi8(
							_mm_loadu_si128((const __m128i *)from),
							big_endian)
					      : schedule(w[l], r);
				x = _mm_add_epi32(w[l][r & 3], k);
				c[l] = _mm_sha256rnds2_epu32(c[l], a[l], x);
				a[l] = _mm_sha256rnds2_epu32(
					a[l], c[l], _mm_shuffle_epi32(x, 0x0e));
			}
		}
		UNROLL
		for (unsigned l = 0; l < lanes; l++) {
			abef[l] = _mm_add_epi32(abef[l], a[l]);
			cdgh[l] = _mm_add_epi32(cdgh[l], c[l]);
		}
	}
	for (unsigned l = 0; l < lanes; l++)
		store_state(&st[l], abef[l], cdgh[l]);
}

void sha256_mb_shani(
	struct sha256_state st[], const uint8_t *const msg[], size_t blocks, unsigned n)
{
	for (; n >= 4; n -= 4, st += 4, msg += 4)
		interleaved(st, msg, blocks, 4);
	switch (n) {
	case 3:
		interleaved(st, msg, blocks, 3);
		break;
	case 2:
		interleaved(st, msg, blocks, 2);
		break;
	case 1:
		interleaved(st, msg, blocks, 1);
		break;
	default:
		break;
	}
}
