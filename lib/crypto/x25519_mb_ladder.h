/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_MB_LADDER_H
#define BETANET_CRYPTO_X25519_MB_LADDER_H

/*
 * The Montgomery ladder for a burst, over any field that x25519_mb_fe_*.h provides: FE_LANES points
 *in one struct fe. Included by the source file of each kernel after its field.
 *
 * One step doubles one of the points (x2 : z2), (x3 : z3) and replaces the other by their sum,
 *whose difference is always the input (x1 : 1). RFC 7748 swaps the points before and after; here
 *the state is kept as sums and differences A = x2 + z2, B = x2 - z2, C = x3 + z3, D = x3 - z3, and
 *nothing is swapped. With the bit k_t of this step and k_{t+1} of the one before, the point to be
 * doubled changes sides exactly where k_t != k_{t+1}: so the bits of k xor (k >> 1) say which of
 *the two is doubled, and the new (A, B) is always the doubled one: DA = D*A, CB = C*B
 *(columns) P = bit ? C : A, Q = bit ? D : B AA = P^2, BB = Q^2, E = AA - BB x3 = (DA + CB)^2, z3 =
 *x1 * (DA - CB)^2 x2 = AA * BB, z2 = E * (AA + 121665 * E) A, B = x2 +- z2; C, D = x3 +- z3
 *(columns added before the carry) The bits 0 to 2 of a clamped scalar are 0, so after the last step
 *(A, B) is the result: x2 : z2 = A + B : A - B.
 *
 * One inversion serves all groups of a burst (Montgomery's trick, lane by lane). A lane with
 * z = 0 - the input had small order - would take every later group of its lane down with it: there
 *z becomes 1 and x becomes 0, by masks.
 */

#include <sodium.h>

/* --- powers: 254 squarings, 11 or 12 products --- */

static __attribute__((noinline)) void fe_mul_far(
	struct fe *r, const struct fe *a, const struct fe *b)
{
	fe_mul(r, a, b);
}

static void fe_mul_each(struct fe r[], const struct fe a[], const struct fe b[], unsigned m)
{
	for (unsigned i = 0; i < m; i++)
		fe_mul_far(&r[i], &a[i], &b[i]);
}

/* r[i] = a[i]^(2^n), n >= 1, i < m <= 2. Two of them side by side hide each other's latency. */
static __attribute__((noinline)) void fe_sqr_times(
	struct fe r[], const struct fe a[], unsigned n, unsigned m)
{
	struct fe t0 = a[0], t1 = a[m - 1];

	if (m == 1) {
		while (n-- > 0)
			fe_sqr(&t0, &t0);
	} else {
		while (n-- > 0) {
			fe_sqr(&t0, &t0);
			fe_sqr(&t1, &t1);
		}
		r[1] = t1;
	}
	r[0] = t0;
}

/* r = a^(2^250 - 1), and a^11 on the side, for m <= 2 elements */
static void fe_pow250(struct fe r[], struct fe a11[], const struct fe a[], unsigned m)
{
	struct fe t[2], u[2], v[2];

	fe_sqr_times(t, a, 1, m); /* 2 */
	fe_sqr_times(u, t, 2, m); /* 8 */
	fe_mul_each(v, u, a, m);  /* 9 */
	fe_mul_each(a11, v, t, m);
	fe_sqr_times(t, a11, 1, m); /* 22 */
	fe_mul_each(t, t, v, m);    /* 2^5 - 1 */
	fe_sqr_times(u, t, 5, m);
	fe_mul_each(t, u, t, m); /* 2^10 - 1 */
	fe_sqr_times(u, t, 10, m);
	fe_mul_each(u, u, t, m); /* 2^20 - 1 */
	fe_sqr_times(v, u, 20, m);
	fe_mul_each(u, v, u, m); /* 2^40 - 1 */
	fe_sqr_times(u, u, 10, m);
	fe_mul_each(t, u, t, m); /* 2^50 - 1 */
	fe_sqr_times(u, t, 50, m);
	fe_mul_each(u, u, t, m); /* 2^100 - 1 */
	fe_sqr_times(v, u, 100, m);
	fe_mul_each(u, v, u, m); /* 2^200 - 1 */
	fe_sqr_times(u, u, 50, m);
	fe_mul_each(r, u, t, m); /* 2^250 - 1 */
}

/* r = a^(p - 2), p - 2 = 2^5 * (2^250 - 1) + 11 */
static void fe_invert(struct fe *r, const struct fe *a)
{
	struct fe t, a11;

	fe_pow250(&t, &a11, a, 1);
	fe_sqr_times(&t, &t, 5, 1);
	fe_mul_far(r, &t, &a11);
}

/* --- the zero-safe quotients of a burst --- */

/* A chunk is what shares one inversion and the stack: 128 points. */
#define X25519_CHUNK 128
#define X25519_GROUPS (X25519_CHUNK / FE_LANES)

/*
 * What lies below a burst's own frame, registers that the compiler put on the stack among it, and
 * is wiped after the burst. So whatever holds secrets is a call: inlined, it would lie in that
 * frame.
 */
#define X25519_STACK (24 * 1024)

struct fraction {
	struct fe num, den;
};

/* zero[l] = all ones where lane l of a is 0 mod p, else 0. */
static void fe_zero_lanes(uint64_t zero[FE_LANES], const struct fe *a)
{
	uint8_t bytes[FE_LANES][32];

	fe_store(bytes, a);
	for (unsigned l = 0; l < FE_LANES; l++)
		zero[l] = x25519_zero_mask(bytes[l]);
	sodium_memzero(bytes, sizeof(bytes));
}

/* f[g].num becomes num/den, or 0 where den is 0; g < groups, 1 <= groups <= X25519_GROUPS. */
static __attribute__((noinline)) void fe_divide(struct fraction f[], unsigned groups)
{
	struct fe prefix[X25519_GROUPS], inverse, t, zero, one;

	fe_set(&zero, 0);
	fe_set(&one, 1);
	for (unsigned g = 0; g < groups; g++) {
		uint64_t is_zero[FE_LANES];
		fe_mask m;

		fe_zero_lanes(is_zero, &f[g].den);
		m = fe_mask_top(fe_words_load(is_zero));
		fe_select(&f[g].num, &f[g].num, &zero, m);
		fe_select(&f[g].den, &f[g].den, &one, m);
	}
	prefix[0] = f[0].den;
	for (unsigned g = 1; g < groups; g++)
		fe_mul_far(&prefix[g], &prefix[g - 1], &f[g].den);
	fe_invert(&inverse, &prefix[groups - 1]);
	for (unsigned g = groups; g-- > 1;) {
		fe_mul_far(&t, &inverse, &prefix[g - 1]);
		fe_mul_far(&f[g].num, &f[g].num, &t);
		fe_mul_far(&inverse, &inverse, &f[g].den);
	}
	fe_mul_far(&f[0].num, &f[0].num, &inverse);
}

static __attribute__((noinline)) void fe_store_to(
	uint8_t *const out[], unsigned n, const struct fe *a)
{
	uint8_t bytes[FE_LANES][32];

	fe_store(bytes, a);
	for (unsigned l = 0; l < n && l < FE_LANES; l++)
		memcpy(out[l], bytes[l], 32);
	sodium_memzero(bytes, sizeof(bytes));
}

/* The pointers of one group; lanes beyond n repeat the last one. */
static void x25519_group(const uint8_t *group[FE_LANES], const uint8_t *const all[], unsigned n)
{
	for (unsigned l = 0; l < FE_LANES; l++)
		group[l] = all[l < n ? l : n - 1];
}

/* --- the ladder --- */

struct ladder {
	struct fe a, b, c, d, x1;
	fe_words change[4]; /* bits of k xor (k >> 1), one word of each lane's scalar in each */
};

static void ladder_start(
	struct ladder *s, const uint8_t *const scalar[FE_LANES], const uint8_t *const u[FE_LANES])
{
	uint64_t change[4][FE_LANES], k[4];
	struct fe one, x1;

	for (unsigned l = 0; l < FE_LANES; l++) {
		x25519_clamp(k, scalar[l]);
		for (unsigned w = 0; w < 4; w++)
			change[w][l] = k[w] ^ (k[w] >> 1 | (w < 3 ? k[w + 1] << 63 : 0));
	}
	for (unsigned w = 0; w < 4; w++)
		s->change[w] = fe_words_load(change[w]);
	fe_load(&x1, u);
	fe_set(&one, 1);
	s->x1 = x1;
	s->a = s->b = one;
	fe_add(&s->c, &x1, &one);
	fe_sub(&s->d, &x1, &one);
	sodium_memzero(change, sizeof(change));
	sodium_memzero(k, sizeof(k));
}

FE_INLINE void ladder_step(struct ladder *s, fe_mask bit)
{
	struct cols da, cb, x3, z3, x2, z2, t;
	struct fe p, q, aa, bb, e, w, sum, diff;

	fe_mul_cols(&da, &s->d, &s->a);
	fe_mul_cols(&cb, &s->c, &s->b);
	fe_select(&p, &s->a, &s->c, bit);
	fe_select(&q, &s->b, &s->d, bit);
	cols_add(&t, &da, &cb);
	fe_carry_sum(&sum, &t, 2, 0, 0);
	cols_sub(&t, &da, &cb);
	fe_carry(&diff, &t, 0, 0, 0);

	fe_sqr(&aa, &p);
	fe_sqr(&bb, &q);
	fe_sub_loose(&e, &aa, &bb);
	fe_add_mul121665(&w, &aa, &e);

	fe_sqr_cols(&x3, &sum);
	fe_sqr(&diff, &diff);
	fe_mul_cols(&z3, &diff, &s->x1);
	cols_add(&t, &x3, &z3);
	fe_carry_sum(&s->c, &t, 1, 1, 0);
	cols_sub(&t, &x3, &z3);
	fe_carry(&s->d, &t, -1, 1, 0);

	fe_mul_cols(&x2, &aa, &bb);
	fe_mul_cols(&z2, &e, &w);
	cols_add(&t, &x2, &z2);
	fe_carry_sum(&s->a, &t, 2, 0, 0);
	cols_sub(&t, &x2, &z2);
	fe_carry(&s->b, &t, 0, 0, 0);
}

static __attribute__((noinline)) void ladder_run(struct ladder *s)
{
	for (int w = 3; w >= 0; w--) {
		fe_words bits = s->change[w];

		/* bit 255 is always 0 */
		for (int b = w == 3 ? 62 : 63; b >= 0; b--)
			ladder_step(s, fe_mask_top(fe_words_shl(bits, 63u - (unsigned)b)));
	}
}

static __attribute__((noinline)) void ladder_chunk(
	uint8_t *const out[], const uint8_t *const scalar[], const uint8_t *const u[], unsigned n)
{
	struct fraction f[X25519_GROUPS];
	const uint8_t *k[FE_LANES], *x[FE_LANES];
	unsigned groups = (n + FE_LANES - 1) / FE_LANES;
	struct ladder s;

	for (unsigned g = 0; g < groups; g++) {
		x25519_group(k, scalar + g * FE_LANES, n - g * FE_LANES);
		x25519_group(x, u + g * FE_LANES, n - g * FE_LANES);
		ladder_start(&s, k, x);
		ladder_run(&s);
		fe_add(&f[g].num, &s.a, &s.b);
		fe_sub(&f[g].den, &s.a, &s.b);
	}
	fe_divide(f, groups);
	for (unsigned g = 0; g < groups; g++)
		fe_store_to(out + g * FE_LANES, n - g * FE_LANES, &f[g].num);
	sodium_memzero(f, sizeof(f));
	sodium_memzero(&s, sizeof(s));
}

static void ladder_burst(
	uint8_t *const out[], const uint8_t *const scalar[], const uint8_t *const u[], unsigned n)
{
	unsigned saved = fe_enter();

	for (unsigned at = 0, m; at < n; at += m) {
		m = n - at < X25519_CHUNK ? n - at : X25519_CHUNK;
		ladder_chunk(out + at, scalar + at, u + at, m);
	}
	fe_leave(saved);
	sodium_stackzero(X25519_STACK);
}

#endif
