/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/x25519_mb_kernel.h"

#include <sodium.h>

/*
 * The kernel that every CPU has and that the others are compared with: libsodium, one at a time.
 * Its "pair" keeps the points and multiplies each time anew.
 *
 * libsodium has no test for the twist, so a small field of its own (five 51-bit limbs in 64-bit
 * words) does it. Points are public: nothing here needs constant time, though it is.
 */

__extension__ typedef unsigned __int128 u128;

struct fe51 {
	uint64_t limb[5];
};

/* Factors with limbs below 2^54; the result has limbs below 2^51 + 2^13. */
static struct fe51 fe51_mul(const struct fe51 *a, const struct fe51 *b)
{
	struct fe51 r;
	u128 col[5] = {0};

	for (int i = 0; i < 5; i++)
		for (int j = 0; j < 5; j++)
			col[(i + j) % 5] += (u128)a->limb[i] *
					    (b->limb[j] * (i + j < 5 ? UINT64_C(1) : UINT64_C(19)));
	for (int k = 0; k < 4; k++) {
		col[k + 1] += col[k] >> 51;
		r.limb[k] = (uint64_t)col[k] & X25519_MASK51;
	}
	r.limb[4] = (uint64_t)col[4] & X25519_MASK51;
	/* col[4] >> 51 < 2^64: 5 * 2^54 * 2^54 / 2^51 */
	r.limb[0] += 19 * (uint64_t)(col[4] >> 51);
	r.limb[1] += r.limb[0] >> 51;
	r.limb[0] &= X25519_MASK51;
	return r;
}

static struct fe51 fe51_sqr_times(struct fe51 a, unsigned n)
{
	while (n-- > 0)
		a = fe51_mul(&a, &a);
	return a;
}

/* Euler's criterion: w^((p - 1) / 2) is 1 for a square, -1 for a non-square, 0 for 0. */
static int fe51_is_nonsquare(const struct fe51 *w)
{
	static const uint8_t zero[32];
	/* w^(2^n - 1) by doubling n, then (p - 1)/2 = 2^254 - 10 = 16 * (2^250 - 1) + 6 */
	static const struct {
		unsigned n, from;
	} chain[] = {{2, 1}, {3, 2}, {5, 3}, {10, 5}, {20, 10}, {25, 20}, {50, 25}, {75, 50},
		{125, 75}, {250, 125}};
	struct fe51 power[251], t, w2;
	uint8_t bytes[32];
	int64_t limb[5];

	power[1] = *w;
	for (size_t i = 0; i < sizeof(chain) / sizeof(*chain); i++) {
		unsigned rest = chain[i].n - chain[i].from;

		t = fe51_sqr_times(power[chain[i].from], rest);
		power[chain[i].n] = fe51_mul(&t, &power[rest]);
	}
	t = fe51_sqr_times(power[250], 4);
	w2 = fe51_sqr_times(*w, 1);
	t = fe51_mul(&t, &w2);
	w2 = fe51_sqr_times(w2, 1);
	t = fe51_mul(&t, &w2);
	/* t + 1 is 0 only for -1 */
	for (int k = 0; k < 5; k++)
		limb[k] = (int64_t)t.limb[k] + (k == 0);
	x25519_pack51(bytes, limb);
	return sodium_memcmp(bytes, zero, sizeof(zero)) == 0;
}

uint8_t x25519_on_twist(const uint8_t u[32])
{
	struct fe51 x, t;

	x25519_unpack51(x.limb, u);
	t = x;
	t.limb[0] += 486662;
	t = fe51_mul(&t, &x);
	t.limb[0] += 1;
	t = fe51_mul(&t, &x);
	return (uint8_t)fe51_is_nonsquare(&t);
}

static void scalar_mult(
	uint8_t *const out[], const uint8_t *const scalar[], const uint8_t *const u[], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t q[32];

		/* it refuses small order before it has written a result */
		if (crypto_scalarmult(q, scalar[i], u[i]) != 0)
			memset(q, 0, sizeof(q));
		memcpy(out[i], q, sizeof(q));
		sodium_memzero(q, sizeof(q));
	}
}

static void scalar_base(uint8_t *const out[], const uint8_t *const scalar[], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t q[32];

		crypto_scalarmult_base(q, scalar[i]);
		memcpy(out[i], q, sizeof(q));
		sodium_memzero(q, sizeof(q));
	}
}

struct scalar_point {
	uint8_t u[32];
	uint8_t on_twist;
};

static size_t scalar_pair_size(unsigned max_points)
{
	return max_points * sizeof(struct scalar_point);
}

static void scalar_pair_begin(void *ws, const uint8_t *const u[], unsigned n, uint8_t on_twist[])
{
	struct scalar_point *p = ws;

	for (unsigned i = 0; i < n; i++) {
		memcpy(p[i].u, u[i], 32);
		p[i].on_twist = on_twist[i] = x25519_on_twist(u[i]);
	}
}

static void scalar_pair_mult(void *ws, uint8_t *const out[], const uint8_t *const scalar[],
	const unsigned *index, unsigned n)
{
	struct scalar_point *p = ws;

	for (unsigned i = 0; i < n; i++) {
		const struct scalar_point *at = &p[index ? index[i] : i];
		const uint8_t *u = at->u;

		if (at->on_twist)
			memset(out[i], 0, 32);
		else
			scalar_mult(out + i, scalar + i, &u, 1);
	}
}

const struct x25519_kernel x25519_kernel_scalar = {
	.name = "libsodium",
	.lanes = 1,
	.min_fill = 1,
	.mult = scalar_mult,
	.base = scalar_base,
	.pair_size = scalar_pair_size,
	.pair_begin = scalar_pair_begin,
	.pair_mult = scalar_pair_mult,
};
