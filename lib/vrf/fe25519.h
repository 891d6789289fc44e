/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_FE25519_H
#define BETANET_VRF_FE25519_H

#include <stdbool.h>
#include <stdint.h>

/*
 * GF(2^255-19), as much as the Elligator map needs: one element at a time, clarity before speed
 * (an ELL2 evaluation spends about 50 us here, once an epoch).
 *
 * An element is 5 limbs of weight 2^(51i). fe25519_mul accepts limbs below 2^54 and gives limbs
 * below 2^51 + 2^17; add and sub of such results stay below 2^53. So a product may be taken of
 * results, sums and differences of results, but not of a sum of sums of sums.
 *
 * No branch and no index depends on a value, but nothing here is wiped: for public inputs.
 */
struct fe25519 {
	uint64_t limb[5];
};

extern const struct fe25519 fe25519_one;

void fe25519_from_small(struct fe25519 *out, uint32_t n);

/* Little-endian; bit 255 is ignored, values of p and above are reduced. */
void fe25519_from_bytes(struct fe25519 *out, const uint8_t in[32]);

/* 48 octets, big-endian, reduced: the OS2IP(...) mod p of RFC 9380, section 5.2. */
void fe25519_from_wide(struct fe25519 *out, const uint8_t in[48]);

/* Little-endian, canonical (below p). */
void fe25519_to_bytes(uint8_t out[32], const struct fe25519 *a);

/* `out` may be any of the operands. */
void fe25519_add(struct fe25519 *out, const struct fe25519 *a, const struct fe25519 *b);
void fe25519_sub(struct fe25519 *out, const struct fe25519 *a, const struct fe25519 *b);
void fe25519_mul(struct fe25519 *out, const struct fe25519 *a, const struct fe25519 *b);
void fe25519_neg(struct fe25519 *out, const struct fe25519 *a);

/* 1/a, and 0 for 0 (inv0 of RFC 9380, section 4). */
void fe25519_invert(struct fe25519 *out, const struct fe25519 *a);

/* A square root of a, of either sign. False, and *out undefined, when a is no square; true for 0.
 */
bool fe25519_sqrt(struct fe25519 *out, const struct fe25519 *a);

/* sgn0 of RFC 9380, section 4.1: the lowest bit of the canonical value. */
unsigned fe25519_sgn0(const struct fe25519 *a);
bool fe25519_equal(const struct fe25519 *a, const struct fe25519 *b);

#endif
