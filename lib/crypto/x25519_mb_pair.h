/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_MB_PAIR_H
#define BETANET_CRYPTO_X25519_MB_PAIR_H

/*
 * Signed combs on the Edwards curve, over any field that x25519_mb_fe_*.h provides: several scalars
 *for the same points (the pair), and many scalars for the base point. Included after
 *x25519_mb_ladder.h.
 *
 * Curve. -x^2 + y^2 = 1 + d x^2 y^2, birational to Curve25519 by x = c u/v, y = (u - 1)/(u + 1),
 *c^2 = -(A + 2). In projective form, without an inversion: X = c u (u+1), Y = (u-1) v, Z = (u+1) v.
 *The sign of the root v does not matter, because only u comes back: u = (Z + Y)/(Z - Y). v =
 *w^(2^252 - 2) with w = u^3 + A u^2 + u has v^4 = w^2 when w is a square; then v^2 = w, or v^2 = -w
 *and sqrt(-1) v is the root. When w is no square u belongs to the twist: the lane becomes the
 *neutral point, whose u reads 0. So does the lane of u = 0. The addition law is complete (-1 is a
 *square, d is not): no input is an exception.
 *
 * Scalar. A clamped scalar is k = 8k', 2^251 <= k' < 2^252. The tables hold multiples of 8P, which
 *has order L: components of small order are gone, as they are in k P. If k' is even it is replaced
 *by L - k' (odd, and -Q has the same u as Q). An odd k' is a sum of 252 digits +1 or -1: k' = sum
 *(2 b_i - 1) 2^i with b = (k' + 2^252 - 1)/2. No digit is zero, so no addition is ever left out.
 *
 * Comb. Bits 63t + j of b, t = 0..3, are column j of the four teeth. Table v serves the columns
 * v*stride .. v*stride + stride - 1 and holds, for the teeth P_t = 2^(63t + v*stride) 8P, the eight
 *sums P3 +- P2 +- P1 +- P0; a column in which the digit of P3 is -1 takes the negated entry. A
 *multiplication is stride - 1 doublings and 62 additions. The pair has 2 tables for each point (31
 *doublings): more would not pay for two scalars. The base point has 8, made once.
 *
 * Entries are affine and halved, (y+x)/2, (y-x)/2, d x y, which takes the doublings out of the
 *addition. Selection reads all 8 entries of all lanes and blends; a negated entry is the first two
 *swapped and the third negated.
 *
 * Forms. A doubling starts from (X : Y : Z); an addition from (S = Y+X, D = Y-X, Z, T = XY/Z). What
 *an operation leaves depends on what follows; S and D are sums of columns and cost no more than X
 *and Y. double	E = 2XY, H = X^2 + Y^2, G = Y^2 - X^2, F = 2Z^2 - G	(all signs of hwcd 2008
 *turned) add	A = D m, B = S p, C = T t; E = B - A, H = B + A, F = Z - C, G = Z + C
 *	both	X = EF, Y = GH, Z = FG, T = EH
 * E is made from a product, not from (X+Y)^2: the square of a sum would leave the bound on
 *products.
 */

struct point {
	struct fe x, y, z;
};

struct sums {
	struct fe s, d, z, t;
};

struct entry {
	struct fe p, m, t;
};

struct table {
	struct entry entry[8];
};

enum { COMB_COLUMNS = 63, COMB_TEETH = 4 };

struct comb_shape {
	unsigned tables, stride; /* tables * stride >= 63, (tables - 1) * stride < 63 */
};

static const struct comb_shape pair_shape = {2, 32}, base_shape = {8, 8};

static const uint64_t ed_c[5] = {UINT64_C(0x604aaff457e06), UINT64_C(0x2296fa350598d),
	UINT64_C(0x7f13dfb16874f), UINT64_C(0x35de93d846e01), UINT64_C(0xf26edf460a00)};
static const uint64_t ed_2d[5] = {UINT64_C(0x69b9426b2f159), UINT64_C(0x35050762add7a),
	UINT64_C(0x3cf44c0038052), UINT64_C(0x6738cc7407977), UINT64_C(0x2406d9dc56dff)};
static const uint64_t ed_sqrtm1[5] = {UINT64_C(0x61b274a0ea0b0), UINT64_C(0xd5a5fc8f189d),
	UINT64_C(0x7ef5e9cbd0c60), UINT64_C(0x78595a6804c9e), UINT64_C(0x2b8324804fc1d)};
static const uint64_t ed_half[5] = {UINT64_C(0x7fffffffffff7), UINT64_C(0x7ffffffffffff),
	UINT64_C(0x7ffffffffffff), UINT64_C(0x7ffffffffffff), UINT64_C(0x3ffffffffffff)};

/*
 * With every product inlined the functions of this section do not fit into the instruction cache
 * together. Where that costs more than calls do (FE_COMB_CALLS, measured for each field), products
 * whose result is carried at once are calls.
 */
FE_INLINE void comb_mul(struct fe *r, const struct fe *a, const struct fe *b)
{
	if (FE_COMB_CALLS)
		fe_mul_far(r, a, b);
	else
		fe_mul(r, a, b);
}

/* --- the group law --- */

struct efgh {
	struct fe e, f, g, h;
};

FE_INLINE void efgh_double(struct efgh *o, const struct point *p)
{
	struct cols xx, yy, t;

	fe_mul_cols(&t, &p->x, &p->y);
	cols_add(&t, &t, &t);
	fe_carry_sum(&o->e, &t, 2, 0, 0);
	fe_sqr_cols(&xx, &p->x);
	fe_sqr_cols(&yy, &p->y);
	cols_add(&t, &xx, &yy);
	fe_carry_sum(&o->h, &t, 0, 2, 0);
	cols_sub(&xx, &yy, &xx);
	fe_carry(&o->g, &xx, 0, 0, 0);
	fe_sqr_cols(&t, &p->z);
	cols_add(&t, &t, &t);
	cols_sub(&t, &t, &xx);
	fe_carry(&o->f, &t, 0, 2, 0);
}

FE_INLINE void efgh_add(struct efgh *o, const struct sums *p, const struct entry *q)
{
	struct cols a, b, t;

	fe_mul_cols(&a, &p->d, &q->m);
	fe_mul_cols(&b, &p->s, &q->p);
	cols_sub(&t, &b, &a);
	fe_carry(&o->e, &t, 0, 0, 0);
	cols_add(&t, &b, &a);
	fe_carry_sum(&o->h, &t, 2, 0, 0);
	fe_mul_cols(&a, &p->t, &q->t);
	cols_from_fe(&b, &p->z);
	cols_sub(&t, &b, &a);
	fe_carry(&o->f, &t, -1, 0, 1);
	cols_add(&t, &b, &a);
	fe_carry_sum(&o->g, &t, 1, 0, 1);
}

FE_INLINE void efgh_to_point(struct point *r, const struct efgh *o)
{
	comb_mul(&r->x, &o->e, &o->f);
	comb_mul(&r->y, &o->g, &o->h);
	comb_mul(&r->z, &o->f, &o->g);
}

/* s and d from e, f, g, h alone; for the table also where z is shared */
FE_INLINE void efgh_to_sd(struct fe *s, struct fe *d, const struct efgh *o)
{
	struct cols x, y, t;

	fe_mul_cols(&x, &o->e, &o->f);
	fe_mul_cols(&y, &o->g, &o->h);
	cols_add(&t, &y, &x);
	fe_carry_sum(s, &t, 2, 0, 0);
	cols_sub(&t, &y, &x);
	fe_carry(d, &t, 0, 0, 0);
}

FE_INLINE void efgh_to_sums(struct sums *r, const struct efgh *o)
{
	efgh_to_sd(&r->s, &r->d, o);
	comb_mul(&r->z, &o->f, &o->g);
	comb_mul(&r->t, &o->e, &o->h);
}

static __attribute__((noinline)) void point_double(struct point *p)
{
	struct efgh o;

	efgh_double(&o, p);
	efgh_to_point(p, &o);
}

static __attribute__((noinline)) void point_double_to_sums(struct sums *r, const struct point *p)
{
	struct efgh o;

	efgh_double(&o, p);
	efgh_to_sums(r, &o);
}

static __attribute__((noinline)) void sums_add(struct sums *r, const struct entry *q)
{
	struct efgh o;

	efgh_add(&o, r, q);
	efgh_to_sums(r, &o);
}

static __attribute__((noinline)) void sums_add_to_point(
	struct point *r, const struct sums *p, const struct entry *q)
{
	struct efgh o;

	efgh_add(&o, p, q);
	efgh_to_point(r, &o);
}

/* --- points from u --- */

/* r = a^(2^252 - 2) for m <= 2 elements; 2^252 - 2 = 2^2 * (2^250 - 1) + 2 */
static void fe_pow_root(struct fe r[], const struct fe a[], unsigned m)
{
	struct fe t[2], a2[2];

	fe_pow250(t, a2, a, m);
	fe_sqr_times(t, t, 2, m);
	fe_sqr_times(a2, a, 1, m);
	fe_mul_each(r, t, a2, m);
}

/* The points of `groups` (1 or 2) groups side by side, which hides the latency of the long power.
 */
static void point_load(struct point p[], uint64_t twist[][FE_LANES],
	const uint8_t *const u[][FE_LANES], unsigned groups)
{
	struct fe x[2], w[2], v[2], t, one, zero, c, sqrtm1;

	fe_set(&one, 1);
	fe_set(&zero, 0);
	fe_from51(&c, ed_c);
	fe_from51(&sqrtm1, ed_sqrtm1);
	for (unsigned g = 0; g < groups; g++) {
		fe_load(&x[g], u[g]);
		fe_set(&t, 486662);
		fe_add(&t, &t, &x[g]);
		fe_mul_far(&t, &t, &x[g]);
		fe_add(&t, &t, &one);
		fe_mul_far(&w[g], &t, &x[g]);
	}
	fe_pow_root(v, w, groups);
	for (unsigned g = 0; g < groups; g++) {
		struct fe vv, up, down;
		fe_mask root, turned, at_zero;
		uint64_t is_root[FE_LANES], is_turned[FE_LANES], neutral[FE_LANES];

		fe_mul_far(&vv, &v[g], &v[g]);
		fe_sub(&t, &vv, &w[g]);
		fe_zero_lanes(is_root, &t);
		fe_add(&t, &vv, &w[g]);
		fe_zero_lanes(is_turned, &t);
		fe_zero_lanes(neutral, &x[g]);
		for (unsigned l = 0; l < FE_LANES; l++) {
			twist[g][l] = ~(is_root[l] | is_turned[l]);
			neutral[l] |= twist[g][l];
		}
		root = fe_mask_top(fe_words_load(is_root));
		turned = fe_mask_top(fe_words_load(is_turned));
		at_zero = fe_mask_top(fe_words_load(neutral));
		fe_mul_far(&t, &v[g], &sqrtm1);
		fe_select(&t, &v[g], &t, turned);
		fe_select(&v[g], &t, &v[g], root);

		fe_add(&up, &x[g], &one);
		fe_sub(&down, &x[g], &one);
		fe_mul_far(&t, &x[g], &c);
		fe_mul_far(&t, &t, &up);
		fe_select(&p[g].x, &t, &zero, at_zero);
		fe_mul_far(&t, &down, &v[g]);
		fe_select(&p[g].y, &t, &one, at_zero);
		fe_mul_far(&t, &up, &v[g]);
		fe_select(&p[g].z, &t, &one, at_zero);
	}
}

/* --- tables --- */

/* sum = (p + q), diff = (p - q), which share z. q->t is 2d T of q, zz is 2 Z_p Z_q. */
static __attribute__((noinline)) void entry_add_both(struct entry *sum, struct entry *diff,
	struct fe *z, const struct entry *p, const struct entry *q, const struct fe *zz)
{
	struct cols a, b, t;
	struct efgh o, n;

	fe_mul_cols(&a, &p->m, &q->m);
	fe_mul_cols(&b, &p->p, &q->p);
	cols_sub(&t, &b, &a);
	fe_carry(&o.e, &t, 0, 0, 0);
	cols_add(&t, &b, &a);
	fe_carry_sum(&o.h, &t, 2, 0, 0);
	fe_mul_cols(&a, &p->m, &q->p);
	fe_mul_cols(&b, &p->p, &q->m);
	cols_sub(&t, &b, &a);
	fe_carry(&n.e, &t, 0, 0, 0);
	cols_add(&t, &b, &a);
	fe_carry_sum(&n.h, &t, 2, 0, 0);
	fe_mul_cols(&a, &p->t, &q->t);
	cols_from_fe(&b, zz);
	cols_sub(&t, &b, &a);
	fe_carry(&o.f, &t, -1, 0, 1);
	cols_add(&t, &b, &a);
	fe_carry_sum(&o.g, &t, 1, 0, 1);
	n.f = o.g;
	n.g = o.f;
	comb_mul(z, &o.f, &o.g);
	efgh_to_sd(&sum->p, &sum->m, &o);
	comb_mul(&sum->t, &o.e, &o.h);
	efgh_to_sd(&diff->p, &diff->m, &n);
	comb_mul(&diff->t, &n.e, &n.h);
}

static void fe_double_product(struct fe *r, const struct fe *a, const struct fe *b)
{
	struct cols c;

	fe_mul_cols(&c, a, b);
	cols_add(&c, &c, &c);
	fe_carry_sum(r, &c, 2, 0, 0);
}

/* q->t from T to 2d T */
static void entry_times2d(struct entry *q)
{
	struct fe d2;

	fe_from51(&d2, ed_2d);
	fe_mul_far(&q->t, &q->t, &d2);
}

/*
 * The eight entries of one table from its teeth, not yet affine. Entry 4 s2 + 2 s1 + s0 has P3, and
 * P2, P1, P0 with the sign + where s2, s1, s0 is 1. Entries 4h + 2 + s and 4h + 1 - s are the sum
 * and the difference of the same points and share the denominator z[2h + s].
 */
static void table_fill(struct table *r, struct fe z[4], const struct sums tooth[COMB_TEETH])
{
	struct entry low[2], high[2], p, q;
	struct fe zz, z_low, z_high;

	for (unsigned t = 0; t < 4; t += 2) {
		struct entry *r2 = t ? high : low;

		p = (struct entry){tooth[t + 1].s, tooth[t + 1].d, tooth[t + 1].t};
		q = (struct entry){tooth[t].s, tooth[t].d, tooth[t].t};
		entry_times2d(&q);
		fe_double_product(&zz, &tooth[t + 1].z, &tooth[t].z);
		entry_add_both(&r2[1], &r2[0], t ? &z_high : &z_low, &p, &q, &zz);
	}
	fe_double_product(&zz, &z_high, &z_low);
	for (unsigned s = 0; s < 2; s++) {
		entry_times2d(&low[s]);
		for (unsigned h = 0; h < 2; h++)
			entry_add_both(&r->entry[4 * h + 2 + s], &r->entry[4 * h + 1 - s],
				&z[2 * h + s], &high[h], &low[s], &zz);
	}
}

/* The tables of one group, not yet affine: z has 4 denominators for each table. p is used up. */
static void comb_fill(struct table r[], struct fe z[][4], struct point *p, struct comb_shape shape)
{
	struct sums tooth[8][COMB_TEETH];
	unsigned done = 0;

	for (unsigned t = 0; t < COMB_TEETH; t++) {
		for (unsigned v = 0; v < shape.tables; v++) {
			struct sums *to = &tooth[v][t];
			unsigned exponent = 3 + COMB_COLUMNS * t + shape.stride * v;

			for (; done + 1 < exponent; done++)
				point_double(p);
			point_double_to_sums(to, p);
			done = exponent;
			/* on from there: (2X : 2Y : 2Z) */
			fe_sub(&p->x, &to->s, &to->d);
			fe_add(&p->y, &to->s, &to->d);
			fe_add(&p->z, &to->z, &to->z);
		}
	}
	for (unsigned v = 0; v < shape.tables; v++)
		table_fill(&r[v], z[v], tooth[v]);
}

/*
 * Makes `tables` tables affine with one inversion: the entries are multiplied with 1/(2z), and t
 * with d/z. `prefix` is scratch for 4 * tables elements.
 */
static void tables_normalise(
	struct table r[], struct fe z[][4], struct fe prefix[], unsigned tables)
{
	struct fe *den = z[0], inverse, t, t2d, d2;
	unsigned n = 4 * tables;

	fe_from51(&d2, ed_2d);
	prefix[0] = den[0];
	for (unsigned i = 1; i < n; i++)
		fe_mul_far(&prefix[i], &prefix[i - 1], &den[i]);
	fe_invert(&inverse, &prefix[n - 1]);
	fe_from51(&t, ed_half);
	fe_mul_far(&inverse, &inverse, &t);
	for (unsigned i = n; i-- > 0;) {
		unsigned h = i >> 1 & 1, s = i & 1;
		struct entry *shared[2] = {
			&r[i >> 2].entry[4 * h + 2 + s], &r[i >> 2].entry[4 * h + 1 - s]};

		if (i > 0)
			fe_mul_far(&t, &inverse, &prefix[i - 1]);
		else
			t = inverse;
		fe_mul_far(&inverse, &inverse, &den[i]);
		fe_mul_far(&t2d, &t, &d2);
		for (unsigned j = 0; j < 2; j++) {
			fe_mul_far(&shared[j]->p, &shared[j]->p, &t);
			fe_mul_far(&shared[j]->m, &shared[j]->m, &t);
			fe_mul_far(&shared[j]->t, &shared[j]->t, &t2d);
		}
	}
}

/* --- multiplication --- */

/* Bit j of word w[t]: column j. w[3] is set where the digit of tooth 3 is -1; w[0..2] where that of
 * tooth t equals it. */
struct comb_digits {
	fe_words w[4];
};

static void comb_recode_lane(uint64_t w[4], const uint8_t scalar[32])
{
	static const uint64_t order[4] = {UINT64_C(0x5812631a5cf5d3ed),
		UINT64_C(0x14def9dea2f79cd6), 0, UINT64_C(0x1000000000000000)};
	const uint64_t low63 = ~UINT64_C(0) >> 1;
	uint64_t k[4], other[4], even, borrow = 0, negative;

	x25519_clamp(k, scalar);
	for (unsigned i = 0; i < 4; i++)
		k[i] = k[i] >> 3 | (i < 3 ? k[i + 1] << 61 : 0);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t d = order[i] - k[i];
		uint64_t below = (uint64_t)(order[i] < k[i]) | (uint64_t)(d < borrow);

		other[i] = d - borrow;
		borrow = below;
	}
	even = (k[0] & 1) - 1;
	for (unsigned i = 0; i < 4; i++)
		k[i] ^= even & (k[i] ^ other[i]);
	for (unsigned i = 0; i < 4; i++)
		k[i] = k[i] >> 1 | (i < 3 ? k[i + 1] << 63 : 0);
	k[3] |= UINT64_C(1) << 59;
	negative = ~(k[2] >> 61 | k[3] << 3) & low63;
	w[0] = (k[0] & low63) ^ negative;
	w[1] = ((k[0] >> 63 | k[1] << 1) & low63) ^ negative;
	w[2] = ((k[1] >> 62 | k[2] << 2) & low63) ^ negative;
	w[3] = negative;
	sodium_memzero(k, sizeof(k));
	sodium_memzero(other, sizeof(other));
}

static __attribute__((noinline)) void comb_recode(
	struct comb_digits *r, const uint8_t *const scalar[FE_LANES])
{
	uint64_t w[4][FE_LANES], lane[4];

	for (unsigned l = 0; l < FE_LANES; l++) {
		comb_recode_lane(lane, scalar[l]);
		for (unsigned t = 0; t < 4; t++)
			w[t][l] = lane[t];
	}
	for (unsigned t = 0; t < 4; t++)
		r->w[t] = fe_words_load(w[t]);
	sodium_memzero(w, sizeof(w));
	sodium_memzero(lane, sizeof(lane));
}

static __attribute__((noinline)) void comb_select(struct entry *r, const struct table *table,
	const struct comb_digits *digits, unsigned column)
{
	fe_mask m[4];
	struct fe p, q;

	for (unsigned t = 0; t < 4; t++)
		m[t] = fe_mask_top(fe_words_shl(digits->w[t], 63 - column));
	fe_lookup(&p, &table->entry[0].p, sizeof(struct entry) / sizeof(struct fe), m);
	fe_lookup(&q, &table->entry[0].m, sizeof(struct entry) / sizeof(struct fe), m);
	fe_lookup(&r->t, &table->entry[0].t, sizeof(struct entry) / sizeof(struct fe), m);
	fe_select(&r->p, &p, &q, m[3]);
	fe_select(&r->m, &q, &p, m[3]);
	fe_negate_if(&r->t, m[3]);
}

/* f = u of the multiplied points of one group, as a fraction */
static __attribute__((noinline)) void comb_mult(struct fraction *f, const struct table table[],
	struct comb_shape shape, const struct comb_digits *digits)
{
	struct point p;
	struct sums s;
	struct entry e;

	for (unsigned c = shape.stride; c-- > 0;) {
		unsigned last = shape.tables - 1, v = 0;

		if (last * shape.stride + c >= COMB_COLUMNS)
			last--;
		if (c == shape.stride - 1) {
			/* the first entry is where the sum starts */
			comb_select(&e, &table[0], digits, c);
			fe_sub(&p.x, &e.p, &e.m);
			fe_add(&p.y, &e.p, &e.m);
			fe_set(&p.z, 1);
			fe_add(&s.s, &p.y, &p.x);
			fe_sub(&s.d, &p.y, &p.x);
			s.z = p.z;
			fe_mul_far(&s.t, &p.x, &p.y);
			v = 1;
		} else {
			point_double_to_sums(&s, &p);
		}
		for (; v <= last; v++) {
			comb_select(&e, &table[v], digits, v * shape.stride + c);
			if (v < last)
				sums_add(&s, &e);
			else
				sums_add_to_point(&p, &s, &e);
		}
	}
	fe_add(&f->num, &p.z, &p.y);
	fe_sub(&f->den, &p.z, &p.y);
}

/* --- the pair --- */

struct pair_group {
	struct table table[2];
};

/*
 * The workspace for G groups: G pair_groups, then 8 G denominators and 8 G elements of scratch. All
 * of it depends on the points alone.
 */
static unsigned groups_of(unsigned n)
{
	return (n + FE_LANES - 1) / FE_LANES;
}

static size_t pair_size(unsigned max_points)
{
	size_t groups = groups_of(max_points);

	return groups * (sizeof(struct pair_group) + 16 * sizeof(struct fe));
}

static void pair_begin(void *ws, const uint8_t *const u[], unsigned n, uint8_t on_twist[])
{
	struct pair_group *group = ws;
	unsigned groups = groups_of(n), saved = fe_enter();
	struct fe(*z)[4] = (struct fe(*)[4])(void *)(group + groups);
	struct fe *prefix = z[2 * groups];

	for (unsigned g = 0; g < groups; g += 2) {
		const uint8_t *lanes[2][FE_LANES];
		uint64_t twist[2][FE_LANES];
		struct point p[2];
		unsigned m = groups - g < 2 ? 1 : 2;

		for (unsigned i = 0; i < m; i++)
			x25519_group(lanes[i], u + (g + i) * FE_LANES, n - (g + i) * FE_LANES);
		point_load(p, twist, lanes, m);
		for (unsigned i = 0; i < m; i++)
			comb_fill(group[g + i].table, z + 2 * (g + i), &p[i], pair_shape);
		for (unsigned i = 0; i < m * FE_LANES && g * FE_LANES + i < n; i++)
			on_twist[g * FE_LANES + i] = twist[i / FE_LANES][i % FE_LANES] & 1;
	}
	tables_normalise(group[0].table, z, prefix, 2 * groups);
	fe_leave(saved);
}

/* Lane l of r becomes lane from[l] % FE_LANES of group from[l] / FE_LANES. */
static void pair_gather(
	struct pair_group *r, const struct pair_group group[], const unsigned from[FE_LANES])
{
	enum { LIMBS = sizeof(struct pair_group) / sizeof(uint64_t) / FE_LANES };
	uint64_t *to = (uint64_t *)(void *)r;

	for (unsigned l = 0; l < FE_LANES; l++) {
		const uint64_t *lane = (const uint64_t *)(const void *)&group[from[l] / FE_LANES] +
				       from[l] % FE_LANES;

		for (unsigned i = 0; i < LIMBS; i++)
			to[i * FE_LANES + l] = lane[i * FE_LANES];
	}
}

/* The tables of the points index[0..n-1] (of which the lanes beyond n repeat the last): where they
 * lie when they are one whole group, else packed into `pack`. */
static const struct pair_group *pair_lanes(
	const struct pair_group group[], struct pair_group *pack, const unsigned *index, unsigned n)
{
	unsigned from[FE_LANES], in_place = 1;

	for (unsigned l = 0; l < FE_LANES; l++) {
		from[l] = index[l < n ? l : n - 1];
		in_place &= l >= n ||
			    (from[l] % FE_LANES == l && from[l] / FE_LANES == from[0] / FE_LANES);
	}
	if (in_place)
		return &group[from[0] / FE_LANES];
	pair_gather(pack, group, from);
	return pack;
}

static void pair_mult(void *ws, uint8_t *const out[], const uint8_t *const scalar[],
	const unsigned *index, unsigned n)
{
	struct pair_group *group = ws, pack;
	struct fraction f[X25519_GROUPS];
	struct comb_digits digits;
	const uint8_t *k[FE_LANES];
	unsigned saved = fe_enter();

	for (unsigned at = 0, m; at < n; at += m) {
		unsigned groups;

		m = n - at < X25519_CHUNK ? n - at : X25519_CHUNK;
		groups = groups_of(m);
		for (unsigned g = 0; g < groups; g++) {
			unsigned first = at + g * FE_LANES;
			const struct pair_group *lanes = &group[first / FE_LANES];

			x25519_group(k, scalar + first, n - first);
			comb_recode(&digits, k);
			if (index)
				lanes = pair_lanes(group, &pack, index + first, n - first);
			comb_mult(&f[g], lanes->table, pair_shape, &digits);
		}
		fe_divide(f, groups);
		for (unsigned g = 0; g < groups; g++)
			fe_store_to(out + at + g * FE_LANES, m - g * FE_LANES, &f[g].num);
	}
	sodium_memzero(&digits, sizeof(digits));
	sodium_memzero(f, sizeof(f));
	fe_leave(saved);
	sodium_stackzero(X25519_STACK);
}

/* --- the base point --- */

/* The same tables in every lane; written once by base_start. */
static struct table base_table[8];

static void base_start(void)
{
	static const uint8_t nine[32] = {9};
	const uint8_t *u[1][FE_LANES];
	uint64_t twist[1][FE_LANES];
	struct fe z[8][4], prefix[32];
	struct point p;
	unsigned saved = fe_enter();

	for (unsigned l = 0; l < FE_LANES; l++)
		u[0][l] = nine;
	point_load(&p, twist, u, 1);
	comb_fill(base_table, z, &p, base_shape);
	tables_normalise(base_table, z, prefix, base_shape.tables);
	fe_leave(saved);
}

static void base_burst(uint8_t *const out[], const uint8_t *const scalar[], unsigned n)
{
	struct fraction f[X25519_GROUPS];
	struct comb_digits digits;
	const uint8_t *k[FE_LANES];
	unsigned saved = fe_enter();

	for (unsigned at = 0, m; at < n; at += m) {
		unsigned groups;

		m = n - at < X25519_CHUNK ? n - at : X25519_CHUNK;
		groups = groups_of(m);
		for (unsigned g = 0; g < groups; g++) {
			x25519_group(k, scalar + at + g * FE_LANES, m - g * FE_LANES);
			comb_recode(&digits, k);
			comb_mult(&f[g], base_table, base_shape, &digits);
		}
		fe_divide(f, groups);
		for (unsigned g = 0; g < groups; g++)
			fe_store_to(out + at + g * FE_LANES, m - g * FE_LANES, &f[g].num);
	}
	sodium_memzero(&digits, sizeof(digits));
	sodium_memzero(f, sizeof(f));
	fe_leave(saved);
	sodium_stackzero(X25519_STACK);
}

#endif
