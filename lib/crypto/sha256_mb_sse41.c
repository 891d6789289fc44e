/* SPDX-License-Identifier: BSD-3-Clause */
#include <smmintrin.h>
#include <sodium.h>
#include "crypto/sha256_mb.h"

/* Four messages wide, for a CPU with neither SHA-NI nor AVX2. The method: sha256_mb_lanes.h. */

#define LANES 4
#define SHA256_LANES_FN sha256_mb_sse41

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));

#define row(msg, r, off) ((vec)_mm_loadu_si128((const __m128i *)((msg)[r] + (off))))
#define put_row(to, r, off, x) _mm_storeu_si128((__m128i *)((to)[r] + (off)), (__m128i)(x))
#define lo32(a, b) ((vec)_mm_unpacklo_epi32((__m128i)(a), (__m128i)(b)))
#define hi32(a, b) ((vec)_mm_unpackhi_epi32((__m128i)(a), (__m128i)(b)))
#define lo64(a, b) ((vec)_mm_unpacklo_epi64((__m128i)(a), (__m128i)(b)))
#define hi64(a, b) ((vec)_mm_unpackhi_epi64((__m128i)(a), (__m128i)(b)))
#define swap_bytes(x)                                                                              \
	((vec)_mm_shuffle_epi8((__m128i)(x),                                                       \
		_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)))
#define ror(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define xor3(a, b, c) ((a) ^ (b) ^ (c))
#define choose(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define majority(a, b, c) (((a) & (b)) | ((c) & ((a) | (b))))

#include "crypto/sha256_mb_lanes.h"
