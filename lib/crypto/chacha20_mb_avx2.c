/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>
#include <sodium.h>
#include <string.h>
#include "crypto/chacha20_mb.h"

/* Eight blocks wide. The method: chacha20_mb_lanes.h. */

#define LANES 8
#define CHACHA20_LANES_FN chacha20_mb_avx2

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));

#define first_counters ((vec){0, 1, 2, 3, 4, 5, 6, 7})
#define lo32(a, b) ((vec)_mm256_unpacklo_epi32((__m256i)(a), (__m256i)(b)))
#define hi32(a, b) ((vec)_mm256_unpackhi_epi32((__m256i)(a), (__m256i)(b)))
#define lo64(a, b) ((vec)_mm256_unpacklo_epi64((__m256i)(a), (__m256i)(b)))
#define hi64(a, b) ((vec)_mm256_unpackhi_epi64((__m256i)(a), (__m256i)(b)))
#define rol_bytes(x, ...)                                                                          \
	((vec)_mm256_shuffle_epi8(                                                                 \
		(__m256i)(x), _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))))
#define rol16(x) rol_bytes(x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define rol8(x) rol_bytes(x, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14)
#define rol12(x) rol(x, 12)
#define rol7(x) rol(x, 7)

static inline vec rol(vec x, int n)
{
	return x << n | x >> (32 - n);
}

/* XORs 32 bytes of key stream into p + off, or what `left` leaves of them. */
static inline void xor_piece(uint8_t *p, size_t off, size_t left, __m256i stream)
{
	if (off + 32 <= left) {
		__m256i *to = (__m256i *)(p + off);

		_mm256_storeu_si256(to, _mm256_xor_si256(stream, _mm256_loadu_si256(to)));
	} else if (off < left) {
		uint8_t rest[32];

		_mm256_storeu_si256((__m256i *)rest, stream);
		for (size_t i = 0; i < left - off; i++)
			p[off + i] ^= rest[i];
		sodium_memzero(rest, sizeof(rest));
	}
}

static inline void emit(uint8_t *p, size_t left, unsigned r, const vec q[4])
{
	for (unsigned half = 0; half < 2; half++) {
		__m256i a = (__m256i)q[2 * half], b = (__m256i)q[2 * half + 1];

		xor_piece(p, 64 * r + 32 * half, left, _mm256_permute2x128_si256(a, b, 0x20));
		xor_piece(p, 64 * (4 + r) + 32 * half, left, _mm256_permute2x128_si256(a, b, 0x31));
	}
}

#include "crypto/chacha20_mb_lanes.h"
