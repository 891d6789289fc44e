/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>
#include <sodium.h>
#include "core/bytes.h"
#include "crypto/blake2b_mb.h"

/* Four messages wide; rotations by whole bytes are shuffles. The method: blake2b_mb_lanes.h. */

#define LANES 4
#define BLAKE2B_LANES_FN blake2b_mb_avx2

typedef uint64_t vec __attribute__((vector_size(8 * LANES)));

#define piece(p, off) _mm_loadu_si128((const __m128i *)((p) + (off)))
#define row(in, r, off)                                                                            \
	((vec)_mm256_inserti128_si256(                                                             \
		_mm256_castsi128_si256(piece((in)[r], off)), piece((in)[2 + (r)], off), 1))
#define lo64(a, b) ((vec)_mm256_unpacklo_epi64((__m256i)(a), (__m256i)(b)))
#define hi64(a, b) ((vec)_mm256_unpackhi_epi64((__m256i)(a), (__m256i)(b)))
#define ror_bytes(x, ...)                                                                          \
	((vec)_mm256_shuffle_epi8(                                                                 \
		(__m256i)(x), _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))))
#define ror32(x) ((vec)_mm256_shuffle_epi32((__m256i)(x), 0xb1))
#define ror24(x) ror_bytes(x, 3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10)
#define ror16(x) ror_bytes(x, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9)
#define ror63(x) ror63_(x)

static inline vec ror63_(vec x)
{
	return x >> 63 | (x + x);
}

#include "crypto/blake2b_mb_lanes.h"
