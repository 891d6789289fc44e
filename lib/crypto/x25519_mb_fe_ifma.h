/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_MB_FE_IFMA_H
#define BETANET_CRYPTO_X25519_MB_FE_IFMA_H

/*
 * GF(2^255 - 19), eight elements at a time, in 52-bit integer multiply-add (AVX-512 F, DQ, IFMA).
 * The functions are those of x25519_mb_fe_avx2.h, so the ladder and the pair kernel are the same
 * source for both.
 *
 * Lane layout. A struct fe holds eight elements, one for each 64-bit lane: limb[k] is one zmm
 * register with limb k of all eight. Nothing ever crosses a lane.
 *
 * Radix. An element is the sum of limb[k] * 2^(51k), k = 0..4, all limbs >= 0. "Carried" means
 * limb[0] < 2^51 + 2^16 and limb[k] < 2^51 + 2^12, which is what fe_carry leaves.
 *
 * Product of two limbs. VPMADD52LUQ and VPMADD52HUQ take factors below 2^52 and add bits 0..51 and
 * bits 52..103 of the product to a 64-bit sum. The low part counts in column i+j; the high part has
 * weight 2^52 = 2 * 2^51, so it counts twice in column i+j+1: high parts have sums of their own,
 * doubled once. A factor of 2^51 + 2^16 leaves no room to double an operand, so a square doubles
 * sums instead.
 *
 * Columns. 2^255 = 19, so column k + 5 is added 19 times to column k. The result is a struct cols:
 * five 64-bit integers, below 2^60 for one product. Sums and differences of up to four of them
 * are taken before the carry; a column of a difference may be negative (two's complement) until the
 * carry.
 *
 * Carry. Where something was subtracted, 2^11 * p is added first, whose limbs are 2^62 less 2^11 or
 * 19 * 2^11: every column is then positive and below 2^63. Shift by 51 for the carry, mask for the
 * rest, one parallel pass; the carry out of column 4 returns 19 times into column 0.
 *
 * Integers alone: nothing depends on MXCSR. Bounds: tests/functional/bounds.py.
 *
 * With X25519_IFMA_EMULATED defined the intrinsics are plain C functions of the same names
 * (ifma_emu.h): so the tests run this very source on a CPU that lacks them.
 */

#ifdef X25519_IFMA_EMULATED
#include "crypto/ifma_emu.h"
#else
#include <immintrin.h>
#endif
#include "crypto/x25519_mb_kernel.h"

#define FE_LANES 8
#define FE_ASSEMBLY 0
#define FE_LADDER_GROUPS 1 /* in turns: 3.2 us a point with 2, 3.0 with 1 (Zen 5) */
#define FE_COMB_GROUPS 1   /* pair_mult: 1.27 us a point with 2, 1.11 with 1 */
#define FE_COMB_CALLS 0    /* pair_mult: 1.01 us a point with calls, 0.97 without (Zen 5) */

typedef __m512i fe_words; /* one 64-bit word for each lane */
typedef __mmask8 fe_mask; /* bit l: lane l is chosen */

struct fe {
	__m512i limb[5];
};

struct cols {
	__m512i col[5];
};

FE_INLINE unsigned fe_enter(void)
{
	return 0;
}

FE_INLINE void fe_leave(unsigned saved)
{
	(void)saved;
}

FE_INLINE __m512i fe_i64(uint64_t x)
{
	return _mm512_set1_epi64((long long)x);
}

FE_INLINE fe_words fe_words_load(const uint64_t lane[FE_LANES])
{
	return _mm512_loadu_si512(lane);
}

FE_INLINE fe_words fe_words_shl(fe_words w, unsigned n)
{
	return _mm512_sllv_epi64(w, fe_i64(n));
}

FE_INLINE fe_mask fe_mask_top(fe_words w)
{
	return _mm512_movepi64_mask(w);
}

/* --- products: columns --- */

/* r[k] = s[k] + 19 * s[k + 5] */
FE_INLINE void fe_fold(struct cols *r, const __m512i s[10])
{
	for (int k = 0; k < 5; k++) {
		__m512i x = s[k + 5];
		__m512i x3 = _mm512_add_epi64(_mm512_add_epi64(x, x), x);

		r->col[k] = _mm512_add_epi64(_mm512_add_epi64(s[k], x3), _mm512_slli_epi64(x, 4));
	}
}

/* r = a * b as columns */
FE_INLINE void fe_mul_cols(struct cols *r, const struct fe *a, const struct fe *b)
{
	__m512i lo[10], hi[10];

	for (int k = 0; k < 10; k++)
		lo[k] = hi[k] = _mm512_setzero_si512();
#define FE_P(i, j)                                                                                 \
	lo[(i) + (j)] = _mm512_madd52lo_epu64(lo[(i) + (j)], a->limb[i], b->limb[j]);              \
	hi[(i) + (j) + 1] = _mm512_madd52hi_epu64(hi[(i) + (j) + 1], a->limb[i], b->limb[j])
	/* clang-format off */
	FE_P(0, 0); FE_P(0, 1); FE_P(0, 2); FE_P(0, 3); FE_P(0, 4);
	FE_P(1, 0); FE_P(1, 1); FE_P(1, 2); FE_P(1, 3); FE_P(1, 4);
	FE_P(2, 0); FE_P(2, 1); FE_P(2, 2); FE_P(2, 3); FE_P(2, 4);
	FE_P(3, 0); FE_P(3, 1); FE_P(3, 2); FE_P(3, 3); FE_P(3, 4);
	FE_P(4, 0); FE_P(4, 1); FE_P(4, 2); FE_P(4, 3); FE_P(4, 4);
	/* clang-format on */
#undef FE_P
	for (int k = 1; k < 10; k++)
		lo[k] = _mm512_add_epi64(lo[k], _mm512_add_epi64(hi[k], hi[k]));
	fe_fold(r, lo);
}

/*
 * r = a^2 as columns. Off the diagonal each product counts twice; its high part four times. The
 * high part of a product on the diagonal counts twice, like the low parts off it, and joins their
 * sums.
 */
FE_INLINE void fe_sqr_cols(struct cols *r, const struct fe *a)
{
	__m512i s[10], four[10];

	for (int k = 0; k < 10; k++)
		s[k] = four[k] = _mm512_setzero_si512();
#define FE_P(i, j)                                                                                 \
	s[(i) + (j)] = _mm512_madd52lo_epu64(s[(i) + (j)], a->limb[i], a->limb[j]);                \
	four[(i) + (j) + 1] = _mm512_madd52hi_epu64(four[(i) + (j) + 1], a->limb[i], a->limb[j])
#define FE_DH(i) s[2 * (i) + 1] = _mm512_madd52hi_epu64(s[2 * (i) + 1], a->limb[i], a->limb[i])
#define FE_DL(i) s[2 * (i)] = _mm512_madd52lo_epu64(s[2 * (i)], a->limb[i], a->limb[i])
	/* clang-format off */
	FE_P(0, 1); FE_P(0, 2); FE_P(0, 3); FE_P(0, 4);
	FE_P(1, 2); FE_P(1, 3); FE_P(1, 4);
	FE_P(2, 3); FE_P(2, 4);
	FE_P(3, 4);
	FE_DH(0); FE_DH(1); FE_DH(2); FE_DH(3); FE_DH(4);
	for (int k = 1; k < 10; k++) {
		s[k] = _mm512_add_epi64(s[k], _mm512_add_epi64(four[k], four[k]));
		s[k] = _mm512_add_epi64(s[k], s[k]);
	}
	FE_DL(0); FE_DL(1); FE_DL(2); FE_DL(3); FE_DL(4);
	/* clang-format on */
#undef FE_P
#undef FE_DH
#undef FE_DL
	fe_fold(r, s);
}

FE_INLINE void cols_add(struct cols *r, const struct cols *a, const struct cols *b)
{
	for (int k = 0; k < 5; k++)
		r->col[k] = _mm512_add_epi64(a->col[k], b->col[k]);
}

FE_INLINE void cols_sub(struct cols *r, const struct cols *a, const struct cols *b)
{
	for (int k = 0; k < 5; k++)
		r->col[k] = _mm512_sub_epi64(a->col[k], b->col[k]);
}

/* An element as columns. */
FE_INLINE void cols_from_fe(struct cols *r, const struct fe *a)
{
	for (int k = 0; k < 5; k++)
		r->col[k] = a->limb[k];
}

/* --- the carry --- */

/*
 * r = c, carried; no column of c was subtracted. The counts are what the kernel of doubles needs to
 * know; here columns have no offset.
 */
FE_INLINE void fe_carry_sum(struct fe *r, const struct cols *c, int muls, int sqrs, int elems)
{
	const __m512i mask = fe_i64(X25519_MASK51);
	__m512i out[5];

	(void)muls;
	(void)sqrs;
	(void)elems;
	for (int k = 0; k < 5; k++)
		out[k] = _mm512_srli_epi64(c->col[k], 51);
	r->limb[0] = _mm512_madd52lo_epu64(_mm512_and_si512(c->col[0], mask), out[4], fe_i64(19));
	for (int k = 1; k < 5; k++)
		r->limb[k] = _mm512_add_epi64(_mm512_and_si512(c->col[k], mask), out[k - 1]);
}

/* r = c, carried; columns of c may be negative, down to -2^61. */
FE_INLINE void fe_carry(struct fe *r, const struct cols *c, int muls, int sqrs, int elems)
{
	const uint64_t p0 = (X25519_MASK51 - 18) << 11, pk = X25519_MASK51 << 11;
	struct cols t;

	t.col[0] = _mm512_add_epi64(c->col[0], fe_i64(p0));
	for (int k = 1; k < 5; k++)
		t.col[k] = _mm512_add_epi64(c->col[k], fe_i64(pk));
	fe_carry_sum(r, &t, muls, sqrs, elems);
}

/* --- elements --- */

FE_INLINE void fe_mul(struct fe *r, const struct fe *a, const struct fe *b)
{
	struct cols c;

	fe_mul_cols(&c, a, b);
	fe_carry_sum(r, &c, 1, 0, 0);
}

FE_INLINE void fe_sqr(struct fe *r, const struct fe *a)
{
	struct cols c;

	fe_sqr_cols(&c, a);
	fe_carry_sum(r, &c, 0, 1, 0);
}

/* r = a + b and r = a - b, carried. */
FE_INLINE void fe_add(struct fe *r, const struct fe *a, const struct fe *b)
{
	struct cols x, y;

	cols_from_fe(&x, a);
	cols_from_fe(&y, b);
	cols_add(&x, &x, &y);
	fe_carry_sum(r, &x, 0, 0, 2);
}

FE_INLINE void fe_sub(struct fe *r, const struct fe *a, const struct fe *b)
{
	struct cols x, y;

	cols_from_fe(&x, a);
	cols_from_fe(&y, b);
	cols_sub(&x, &x, &y);
	fe_carry(r, &x, 0, 0, 0);
}

/* A difference of two limbs does not fit into 52 bits without a carry. */
#define fe_sub_loose fe_sub

/* r = a + 121665 * e, carried; both carried. */
FE_INLINE void fe_add_mul121665(struct fe *r, const struct fe *a, const struct fe *e)
{
	const __m512i factor = fe_i64(121665);
	struct cols c;
	__m512i hi[5];

	for (int k = 0; k < 5; k++) {
		c.col[k] = _mm512_madd52lo_epu64(a->limb[k], e->limb[k], factor);
		hi[k] = _mm512_madd52hi_epu64(_mm512_setzero_si512(), e->limb[k], factor);
	}
	c.col[0] = _mm512_madd52lo_epu64(c.col[0], hi[4], fe_i64(2 * 19));
	for (int k = 1; k < 5; k++)
		c.col[k] = _mm512_madd52lo_epu64(c.col[k], hi[k - 1], fe_i64(2));
	fe_carry_sum(r, &c, 0, 0, 2);
}

FE_INLINE void fe_select(struct fe *r, const struct fe *a, const struct fe *b, fe_mask m)
{
	for (int k = 0; k < 5; k++)
		r->limb[k] = _mm512_mask_blend_epi64(m, a->limb[k], b->limb[k]);
}

/* A small integer, 0 <= x < 2^51, in all lanes. */
FE_INLINE void fe_set(struct fe *r, int64_t x)
{
	r->limb[0] = fe_i64((uint64_t)x);
	for (int k = 1; k < 5; k++)
		r->limb[k] = _mm512_setzero_si512();
}

/* One element, limbs below 2^51, in all lanes. */
FE_INLINE void fe_from51(struct fe *r, const uint64_t limb[5])
{
	for (int k = 0; k < 5; k++)
		r->limb[k] = fe_i64(limb[k]);
}

/* r = the element e[stride * (m[0] + 2 m[1] + 4 m[2])] of each lane; all eight are read. */
FE_INLINE void fe_lookup(struct fe *r, const struct fe *e, size_t stride, const fe_mask m[3])
{
	for (int k = 0; k < 5; k++) {
		__m512i v[8];

		for (size_t i = 0; i < 8; i++)
			v[i] = e[stride * i].limb[k];
		for (int i = 0; i < 4; i++)
			v[i] = _mm512_mask_blend_epi64(m[0], v[2 * i], v[2 * i + 1]);
		for (int i = 0; i < 2; i++)
			v[i] = _mm512_mask_blend_epi64(m[1], v[2 * i], v[2 * i + 1]);
		r->limb[k] = _mm512_mask_blend_epi64(m[2], v[0], v[1]);
	}
}

/* a = -a where m, as 2p - a: limbs below 2^52, fit to be one factor of a product with a carried
 * one. */
FE_INLINE void fe_negate_if(struct fe *a, fe_mask m)
{
	a->limb[0] =
		_mm512_mask_sub_epi64(a->limb[0], m, fe_i64((X25519_MASK51 - 18) << 1), a->limb[0]);
	for (int k = 1; k < 5; k++)
		a->limb[k] = _mm512_mask_sub_epi64(
			a->limb[k], m, fe_i64(X25519_MASK51 << 1), a->limb[k]);
}

FE_INLINE void fe_load(struct fe *r, const uint8_t *const in[FE_LANES])
{
	uint64_t lane[5][FE_LANES], one[5];

	for (int l = 0; l < FE_LANES; l++) {
		x25519_unpack51(one, in[l]);
		for (int k = 0; k < 5; k++)
			lane[k][l] = one[k];
	}
	for (int k = 0; k < 5; k++)
		r->limb[k] = fe_words_load(lane[k]);
}

FE_INLINE void fe_store(uint8_t out[FE_LANES][32], const struct fe *a)
{
	uint64_t lane[5][FE_LANES];
	int64_t one[5];

	for (int k = 0; k < 5; k++)
		_mm512_storeu_si512(lane[k], a->limb[k]);
	for (int l = 0; l < FE_LANES; l++) {
		for (int k = 0; k < 5; k++)
			one[k] = (int64_t)lane[k][l];
		x25519_pack51(out[l], one);
	}
}

#endif
