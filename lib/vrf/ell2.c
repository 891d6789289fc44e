/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/ell2.h"
#include "vrf/fe25519.h"

#include <sodium.h>
#include <string.h>

/* sqrt(-486664) with sgn0 = 0: c1 of RFC 9380, appendix G.2.2 */
static const struct fe25519 sqrt_minus_486664 = {
	{0x604aaff457e06, 0x2296fa350598d, 0x7f13dfb16874f, 0x35de93d846e01, 0xf26edf460a00}};

static const uint32_t J = 486662; /* curve25519: y^2 = x^3 + J x^2 + x */

/* RFC 9380, section 5.3.1, for 48 octets of SHA-512: one block after b_0. */
static void expand_message(uint8_t out[48], const uint8_t *dst, size_t dst_len, const uint8_t *a,
	size_t a_len, const uint8_t *b, size_t b_len)
{
	static const uint8_t zeros[128], length_and_zero[3] = {0, 48, 0}, one = 1;
	const uint8_t dst_size = (uint8_t)dst_len;
	uint8_t block[64];
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, zeros, sizeof(zeros));
	crypto_hash_sha512_update(&st, a, a_len);
	crypto_hash_sha512_update(&st, b, b_len);
	crypto_hash_sha512_update(&st, length_and_zero, sizeof(length_and_zero));
	crypto_hash_sha512_update(&st, dst, dst_len);
	crypto_hash_sha512_update(&st, &dst_size, 1);
	crypto_hash_sha512_final(&st, block);

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, block, sizeof(block));
	crypto_hash_sha512_update(&st, &one, 1);
	crypto_hash_sha512_update(&st, dst, dst_len);
	crypto_hash_sha512_update(&st, &dst_size, 1);
	crypto_hash_sha512_final(&st, block);
	memcpy(out, block, 48);
}

/* x^3 + J x^2 + x */
static void curve_rhs(struct fe25519 *out, const struct fe25519 *x, const struct fe25519 *j)
{
	struct fe25519 t;

	fe25519_add(&t, x, j);
	fe25519_mul(&t, &t, x);
	fe25519_add(&t, &t, &fe25519_one);
	fe25519_mul(out, &t, x);
}

/* RFC 9380, section 6.7.1: a point (x, y) of curve25519; y has sgn0 1 for x1 and 0 for x2. */
static void map_to_curve25519(
	struct fe25519 *x, struct fe25519 *y, const struct fe25519 *u, struct ell2_trace *trace)
{
	struct fe25519 j, t, gx;
	bool square;

	fe25519_from_small(&j, J);
	fe25519_mul(&t, u, u);
	fe25519_add(&t, &t, &t);
	fe25519_add(&t, &t, &fe25519_one); /* never 0: -1/2 is no square */
	fe25519_invert(&t, &t);
	fe25519_mul(&t, &t, &j);
	fe25519_neg(x, &t);
	curve_rhs(&gx, x, &j);
	square = fe25519_sqrt(y, &gx);
	fe25519_to_bytes(trace->gx1, &gx);
	trace->gx1_is_square = square;
	if (!square) {
		fe25519_sub(x, &t, &j); /* x2 = -x1 - J */
		curve_rhs(&gx, x, &j);
		(void)fe25519_sqrt(y, &gx); /* one of gx1, gx2 is a square */
	}
	if (fe25519_sgn0(y) != (square ? 1u : 0u))
		fe25519_neg(y, y);
}

/* RFC 9380, appendix D.1 and section 6.8.2; the exceptional cases give the identity (0, 1). */
static void to_edwards(uint8_t point[32], const struct fe25519 *x, const struct fe25519 *y,
	struct ell2_trace *trace)
{
	const struct fe25519 zero = {{0}};
	struct fe25519 x_plus_1, inv, ex, ey;

	fe25519_add(&x_plus_1, x, &fe25519_one);
	fe25519_mul(&inv, &x_plus_1, y);
	if (fe25519_equal(&inv, &zero)) {
		ex = zero;
		ey = fe25519_one;
	} else {
		fe25519_invert(&inv, &inv);
		fe25519_mul(&ex, &inv, &x_plus_1); /* 1/y */
		fe25519_mul(&ex, &ex, x);
		fe25519_mul(&ex, &ex, &sqrt_minus_486664);
		fe25519_sub(&ey, x, &fe25519_one);
		fe25519_mul(&ey, &ey, y);
		fe25519_mul(&ey, &ey, &inv);
	}
	trace->x_parity = (uint8_t)fe25519_sgn0(&ex);
	fe25519_to_bytes(point, &ey);
	point[31] |= (uint8_t)(trace->x_parity << 7);
}

void ell2_encode(uint8_t point[32], const uint8_t *dst, size_t dst_len, const uint8_t *a,
	size_t a_len, const uint8_t *b, size_t b_len, struct ell2_trace *trace)
{
	struct ell2_trace own;
	struct fe25519 u, x, y;

	if (!trace)
		trace = &own;
	expand_message(trace->uniform, dst, dst_len, a, a_len, b, b_len);
	fe25519_from_wide(&u, trace->uniform);
	fe25519_to_bytes(trace->u, &u);
	map_to_curve25519(&x, &y, &u, trace);
	to_edwards(point, &x, &y, trace);
}
