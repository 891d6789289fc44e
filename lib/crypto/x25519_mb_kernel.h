/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_MB_KERNEL_H
#define BETANET_CRYPTO_X25519_MB_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * One kernel behind x25519_mb.h; the promises are those of the functions there. Every kernel takes
 * any n (it pads its last group itself). For x25519_mb.c, the tests and perf/ only.
 *
 * A workspace of the pair has pair_size(max_points) bytes, aligned to 64, and starts zeroed.
 */
struct x25519_kernel {
	const char *name;
	unsigned lanes;
	/* A last group of the ladder with fewer points than this is cheaper in libsodium; >= 1. */
	unsigned min_fill;
	/* Once, before the others and by one thread: makes the tables of the base point. NULL:
	 * nothing to do. */
	void (*start)(void);
	void (*mult)(uint8_t *const out[], const uint8_t *const scalar[], const uint8_t *const u[],
		unsigned n);
	void (*base)(uint8_t *const out[], const uint8_t *const scalar[], unsigned n);
	size_t (*pair_size)(unsigned max_points);
	void (*pair_begin)(void *ws, const uint8_t *const u[], unsigned n, uint8_t on_twist[]);
	void (*pair_mult)(void *ws, uint8_t *const out[], const uint8_t *const scalar[],
		const unsigned *index, unsigned n);
};

extern const struct x25519_kernel x25519_kernel_scalar;
extern const struct x25519_kernel x25519_kernel_avx2;
extern const struct x25519_kernel x25519_kernel_avx512;

/* 1 when u is the coordinate of a point of the twist (u^3 + A u^2 + u is no square mod p), else 0.
 */
uint8_t x25519_on_twist(const uint8_t u[32]);

/* --- an element of GF(2^255 - 19) as five 51-bit limbs, on its way in and out of the lanes --- */

#define X25519_MASK51 ((UINT64_C(1) << 51) - 1)

/* limb[k] < 2^51; bit 255 is dropped; the value may be >= p */
static inline void x25519_unpack51(uint64_t limb[5], const uint8_t in[32])
{
	uint64_t w[4];

	memcpy(w, in, 32);
	limb[0] = w[0] & X25519_MASK51;
	limb[1] = (w[0] >> 51 | w[1] << 13) & X25519_MASK51;
	limb[2] = (w[1] >> 38 | w[2] << 26) & X25519_MASK51;
	limb[3] = (w[2] >> 25 | w[3] << 39) & X25519_MASK51;
	limb[4] = (w[3] >> 12) & X25519_MASK51;
}

/* One pass of signed carries; the value does not change mod p. */
static inline void x25519_carry51(int64_t limb[5])
{
	for (int k = 0; k < 4; k++) {
		limb[k + 1] += limb[k] >> 51;
		limb[k] &= (int64_t)X25519_MASK51;
	}
	limb[0] += 19 * (limb[4] >> 51);
	limb[4] &= (int64_t)X25519_MASK51;
}

/*
 * The least non-negative residue, for |limb[k]| < 2^58. The first pass leaves 0 <= limb[1..4] <
 * 2^51 and -2^13 < limb[0] < 2^51 + 2^13. A carry or borrow that the second pass takes out of
 * limb[4] ran through all limbs, so limb[0] lies at the far end of its range and stays within it
 * when +-19 comes back. Adding 19 then carries out of bit 255 exactly when the value is >= p.
 */
static inline void x25519_pack51(uint8_t out[32], int64_t limb[5])
{
	uint64_t w[4], v[5];
	int64_t q;

	x25519_carry51(limb);
	x25519_carry51(limb);
	q = (limb[0] + 19) >> 51;
	for (int k = 1; k < 5; k++)
		q = (limb[k] + q) >> 51;
	limb[0] += 19 * q;
	for (int k = 0; k < 4; k++) {
		limb[k + 1] += limb[k] >> 51;
		limb[k] &= (int64_t)X25519_MASK51;
	}
	limb[4] &= (int64_t)X25519_MASK51;
	for (int k = 0; k < 5; k++)
		v[k] = (uint64_t)limb[k];
	w[0] = v[0] | v[1] << 51;
	w[1] = v[1] >> 13 | v[2] << 38;
	w[2] = v[2] >> 26 | v[3] << 25;
	w[3] = v[3] >> 39 | v[4] << 12;
	memcpy(out, w, 32);
}

/* All ones when all 32 bytes are zero, else 0; no branch. */
static inline uint64_t x25519_zero_mask(const uint8_t in[32])
{
	uint64_t w[4], any;

	memcpy(w, in, 32);
	any = w[0] | w[1] | w[2] | w[3];
	return ((any | (0 - any)) >> 63) - 1;
}

/* The scalar as RFC 7748, section 5 clamps it. */
static inline void x25519_clamp(uint64_t k[4], const uint8_t scalar[32])
{
	memcpy(k, scalar, 32);
	k[0] &= ~UINT64_C(7);
	k[3] &= ~(UINT64_C(1) << 63);
	k[3] |= UINT64_C(1) << 62;
}

#endif
