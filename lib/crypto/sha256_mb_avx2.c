/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>
#include <sodium.h>
#include "crypto/sha256_mb.h"

/* Eight messages wide. The method: sha256_mb_lanes.h. */

#define LANES 8
#define SHA256_LANES_FN sha256_mb_avx2

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));

#define piece(p, off) _mm_loadu_si128((const __m128i *)((p) + (off)))
#define row(msg, r, off)                                                                           \
	((vec)_mm256_inserti128_si256(                                                             \
		_mm256_castsi128_si256(piece((msg)[r], off)), piece((msg)[4 + (r)], off), 1))
#define put_row(to, r, off, x)                                                                     \
	_mm256_storeu2_m128i(                                                                      \
		(__m128i *)((to)[4 + (r)] + (off)), (__m128i *)((to)[r] + (off)), (__m256i)(x))
#define lo32(a, b) ((vec)_mm256_unpacklo_epi32((__m256i)(a), (__m256i)(b)))
#define hi32(a, b) ((vec)_mm256_unpackhi_epi32((__m256i)(a), (__m256i)(b)))
#define lo64(a, b) ((vec)_mm256_unpacklo_epi64((__m256i)(a), (__m256i)(b)))
#define hi64(a, b) ((vec)_mm256_unpackhi_epi64((__m256i)(a), (__m256i)(b)))
#define swap_bytes(x)                                                                              \
	((vec)_mm256_shuffle_epi8((__m256i)(x),                                                    \
		_mm256_broadcastsi128_si256(                                                       \
			_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))))
#define ror(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define xor3(a, b, c) ((a) ^ (b) ^ (c))
#define choose(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define majority(a, b, c) (((a) & (b)) | ((c) & ((a) | (b))))

#include "crypto/sha256_mb_lanes.h"
