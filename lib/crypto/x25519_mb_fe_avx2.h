/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_MB_FE_AVX2_H
#define BETANET_CRYPTO_X25519_MB_FE_AVX2_H

/*
 * GF(2^255 - 19), four elements at a time, in double-precision FMA (AVX2 + FMA3).
 *
 * Lane layout. A struct fe holds four elements, one for each 64-bit lane: limb[k] is one ymm
 *register with limb k of all four. Nothing ever crosses a lane.
 *
 * Radix. An element is the sum of limb[k] * 2^(51k), k = 0..4. The limbs are doubles that hold
 * integers, balanced around zero. "Carried" means |limb[0]| <= 2^50 + 2^13.3 and
 * |limb[k]| <= 2^50 + 2^9.1, which is what fe_carry leaves.
 *
 * Product of two limbs. a*b is exact in an FMA but has up to 102 bits. Adding 1.5 * 2^103, whose
 *unit in the last place is 2^51, rounds it to a multiple of 2^51: h = fma(a, b, 1.5 * 2^103) l =
 *fma(a, b, (1.5 * 2^103 + 1.5 * 2^52) - h) The subtraction is exact; l is 1.5 * 2^52 plus the exact
 *remainder, |remainder| <= 2^50. Read as 64-bit integers, h is HI_BITS + round(a*b / 2^51), and l
 *is LO_BITS + remainder: so h counts in column i+j+1, l in column i+j, and 64-bit integer additions
 *collect them, wrapping as they like, because the known multiples of HI_BITS and LO_BITS are taken
 *off once, in the carry. Needs |a*b| < 2^102, so that h stays in the binade of 1.5 * 2^103.
 *
 * Columns. 2^255 = 19, so column k + 5 is added 19 times to column k. The result is a struct cols:
 *five 64-bit integers with a known offset, whose true values are below 2^60. Sums and differences
 *of columns are taken before the carry: "(x2*x3 + z2*z3)" costs one carry, not two.
 *
 * Carry. Bias by 2^60 + 2^50 to make all columns positive, shift by 51 for the carry, mask for the
 *rest, one parallel pass (the carry out of column 4 returns 19 times into column 0). What remains
 *is below 2^52, so OR-ing the exponent of 2^52 makes it a double; one subtraction takes off
 *exponent and bias.
 *
 * Rounding. All of this needs round-to-nearest (fe_enter sets MXCSR, fe_leave restores it), no
 * contraction by the compiler (-ffp-contract=off), no -ffast-math. Every value is an integer: no
 * denormal, infinity or NaN arises, so the FTZ and DAZ bits do not matter.
 *
 * Bounds. tests/functional/bounds.py goes through every formula of the ladder and of the pair
 *kernel with exact integers and fails when a product, a column or a limb can leave what is stated
 *here.
 */

#include <immintrin.h>
#include "crypto/x25519_mb_kernel.h"

#define FE_LANES 4
#define FE_LADDER_GROUPS 2 /* groups of the ladder in turns */
#define FE_COMB_GROUPS 2   /* groups of a comb's multiplication in turns */
#define FE_COMB_CALLS 0    /* products are calls by themselves */

typedef __m256i fe_words; /* one 64-bit word for each lane */
typedef __m256d fe_mask;  /* a lane is chosen when its top bit is set */

struct fe {
	__m256d limb[5];
};

struct cols {
	__m256i col[5];
};

#define FE_SPLIT_HI 0x1.8p103
#define FE_SPLIT_LO 0x1.8p52
#define FE_HI_BITS UINT64_C(0x4668000000000000) /* the bits of FE_SPLIT_HI */
#define FE_LO_BITS UINT64_C(0x4338000000000000) /* the bits of FE_SPLIT_LO */
#define FE_EXP52 UINT64_C(0x4330000000000000)   /* the bits of 2^52 */

FE_INLINE unsigned fe_enter(void)
{
	unsigned saved = _mm_getcsr();

	_mm_setcsr(0x1f80); /* to nearest, exceptions masked */
	return saved;
}

/* The vector registers hold secrets; and with their upper halves in use, the SSE code that comes
 * next (SHA-NI) would run at a third of its speed. The compiler does not see what the assembly
 * leaves. */
FE_INLINE void fe_leave(unsigned saved)
{
	_mm256_zeroall();
	_mm_setcsr(saved);
}

FE_INLINE __m256i fe_i64(uint64_t x)
{
	return _mm256_set1_epi64x((long long)x);
}

FE_INLINE fe_words fe_words_load(const uint64_t lane[FE_LANES])
{
	return _mm256_loadu_si256((const __m256i *)(const void *)lane);
}

FE_INLINE fe_words fe_words_shl(fe_words w, unsigned n)
{
	return _mm256_sll_epi64(w, _mm_cvtsi32_si128((int)n));
}

FE_INLINE fe_mask fe_mask_top(fe_words w)
{
	return _mm256_castsi256_pd(w);
}

/* --- products: columns --- */

/* The low part of a*b is added to s[k], the high part to s[k + 1]. */
FE_INLINE void fe_mul_add(__m256i *s, __m256d a, __m256d b)
{
	__m256d h = _mm256_fmadd_pd(a, b, _mm256_set1_pd(FE_SPLIT_HI));
	__m256d l =
		_mm256_fmadd_pd(a, b, _mm256_sub_pd(_mm256_set1_pd(FE_SPLIT_HI + FE_SPLIT_LO), h));

	s[0] = _mm256_add_epi64(s[0], _mm256_castpd_si256(l));
	s[1] = _mm256_add_epi64(s[1], _mm256_castpd_si256(h));
}

FE_INLINE __m256i fe_times19(__m256i x)
{
	__m256i x16 = _mm256_slli_epi64(x, 4), x2 = _mm256_add_epi64(x, x);

	/* or clang makes it one 64-bit multiplication, which AVX2 does not have: eight instructions
	 */
	__asm__("" : "+x"(x16));
	return _mm256_add_epi64(_mm256_add_epi64(x16, x), x2);
}

/*
 * r = a * b as columns. The high columns come first and are folded as soon as they are complete, so
 * that at most six sums are alive.
 */
#define FE_P(i, j) fe_mul_add(s + (i) + (j), a->limb[i], b->limb[j])
#define FE_FOLD(k) s[k] = fe_times19(s[(k) + 5])
FE_INLINE void fe_mul_cols_c(struct cols *r, const struct fe *a, const struct fe *b)
{
	__m256i s[10];
	__m256i s4;

	for (int k = 0; k < 10; k++)
		s[k] = _mm256_setzero_si256();
	/* clang-format off */
	FE_P(0, 4); FE_P(1, 3); FE_P(2, 2); FE_P(3, 1); FE_P(4, 0);
	s4 = s[4];
	FE_P(1, 4); FE_P(2, 3); FE_P(3, 2); FE_P(4, 1); FE_FOLD(0);
	FE_P(2, 4); FE_P(3, 3); FE_P(4, 2); FE_FOLD(1);
	FE_P(3, 4); FE_P(4, 3); FE_FOLD(2);
	FE_P(4, 4); FE_FOLD(3);
	s[4] = _mm256_add_epi64(s4, fe_times19(s[9]));
	FE_P(0, 0);
	FE_P(0, 1); FE_P(1, 0);
	FE_P(0, 2); FE_P(1, 1); FE_P(2, 0);
	FE_P(0, 3); FE_P(1, 2); FE_P(2, 1); FE_P(3, 0);
	/* clang-format on */
	for (int k = 0; k < 5; k++)
		r->col[k] = s[k];
}

/* r = a^2 as columns: 15 products instead of 25, those off the diagonal with one factor doubled. */
FE_INLINE void fe_sqr_cols_c(struct cols *r, const struct fe *a)
{
	struct fe two;
	const struct fe *b = &two;
	__m256i s[10];
	__m256i s4;

	for (int k = 0; k < 5; k++)
		two.limb[k] = _mm256_add_pd(a->limb[k], a->limb[k]);
	for (int k = 0; k < 10; k++)
		s[k] = _mm256_setzero_si256();
#define FE_D(i) fe_mul_add(s + 2 * (i), a->limb[i], a->limb[i])
	/* clang-format off */
	FE_P(0, 4); FE_P(1, 3); FE_D(2);
	s4 = s[4];
	FE_P(1, 4); FE_P(2, 3); FE_FOLD(0);
	FE_P(2, 4); FE_D(3); FE_FOLD(1);
	FE_P(3, 4); FE_FOLD(2);
	FE_D(4); FE_FOLD(3);
	s[4] = _mm256_add_epi64(s4, fe_times19(s[9]));
	FE_D(0);
	FE_P(0, 1);
	FE_P(0, 2); FE_D(1);
	FE_P(0, 3); FE_P(1, 2);
	/* clang-format on */
#undef FE_D
	for (int k = 0; k < 5; k++)
		r->col[k] = s[k];
}
#undef FE_P
#undef FE_FOLD

FE_INLINE void cols_add(struct cols *r, const struct cols *a, const struct cols *b)
{
	for (int k = 0; k < 5; k++)
		r->col[k] = _mm256_add_epi64(a->col[k], b->col[k]);
}

FE_INLINE void cols_sub(struct cols *r, const struct cols *a, const struct cols *b)
{
	for (int k = 0; k < 5; k++)
		r->col[k] = _mm256_sub_epi64(a->col[k], b->col[k]);
}

/* An element as columns: the bits of limb + 1.5 * 2^52, exact for |limb| < 2^51. */
FE_INLINE void cols_from_fe(struct cols *r, const struct fe *a)
{
	for (int k = 0; k < 5; k++)
		r->col[k] =
			_mm256_castpd_si256(_mm256_add_pd(a->limb[k], _mm256_set1_pd(FE_SPLIT_LO)));
}

/* --- the carry --- */

/*
 * What column k of a product, of a square and of cols_from_fe holds too much: how many low and high
 * parts were added there, those of column k + 5 counting 19 times.
 */
#define FE_OFFSET(lo, hi) ((lo)*FE_LO_BITS + (hi)*FE_HI_BITS)
#define FE_OFFSETS_MUL                                                                             \
	{                                                                                          \
		FE_OFFSET(1 + 19 * 4, 19 * 5), FE_OFFSET(2 + 19 * 3, 1 + 19 * 4),                  \
			FE_OFFSET(3 + 19 * 2, 2 + 19 * 3), FE_OFFSET(4 + 19 * 1, 3 + 19 * 2),      \
			FE_OFFSET(5, 4 + 19 * 1)                                                   \
	}
#define FE_OFFSETS_SQR                                                                             \
	{                                                                                          \
		FE_OFFSET(1 + 19 * 2, 19 * 3), FE_OFFSET(1 + 19 * 2, 1 + 19 * 2),                  \
			FE_OFFSET(2 + 19 * 1, 1 + 19 * 2), FE_OFFSET(2 + 19 * 1, 2 + 19 * 1),      \
			FE_OFFSET(3, 2 + 19 * 1)                                                   \
	}

#define FE_COL_BIAS ((UINT64_C(1) << 60) + (UINT64_C(1) << 50))

/* x (|x| < 2^60, biased) without its carry, plus `in`, as a double; `off` takes off exponent and
 * bias. */
FE_INLINE __m256d fe_limb(__m256i x, __m256i in, double off)
{
	__m256i rest = _mm256_and_si256(x, fe_i64(X25519_MASK51));
	__m256i bits = _mm256_or_si256(_mm256_add_epi64(rest, in), fe_i64(FE_EXP52));

	return _mm256_sub_pd(_mm256_castsi256_pd(bits), _mm256_set1_pd(off));
}

/* r = c - known, carried; `known` are constants. */
FE_INLINE void fe_carry_known(struct fe *r, const struct cols *c, const uint64_t known[5])
{
	__m256i x[5], out[5];
	/* 2^50 + 2^9 of the bias is in the limb: its own 2^50, and the carry of 2^60 from below */
	const double off = 0x1p52 + 0x1p50 + 0x1p9, off0 = 0x1p52 + 0x1p50 + 19 * 0x1p9;

	for (int k = 0; k < 5; k++) {
		x[k] = _mm256_add_epi64(c->col[k], fe_i64(FE_COL_BIAS - known[k]));
		out[k] = _mm256_srli_epi64(x[k], 51);
	}
	r->limb[0] = fe_limb(x[0], _mm256_mul_epu32(out[4], fe_i64(19)), off0);
	for (int k = 1; k < 5; k++)
		r->limb[k] = fe_limb(x[k], out[k - 1], off);
}

/*
 * r = c, carried. The three counts say of what c is the sum: products, squares and elements,
 * differences counting negative. They are constants at every call.
 */
FE_INLINE void fe_carry(struct fe *r, const struct cols *c, int muls, int sqrs, int elems)
{
	static const uint64_t mul[5] = FE_OFFSETS_MUL, sqr[5] = FE_OFFSETS_SQR;
	uint64_t known[5];

	for (int k = 0; k < 5; k++)
		known[k] = (uint64_t)muls * mul[k] + (uint64_t)sqrs * sqr[k] +
			   (uint64_t)elems * FE_LO_BITS;
	fe_carry_known(r, c, known);
}

/* The same, for columns of which none was subtracted. */
#define fe_carry_sum fe_carry

/* --- products --- */

#if defined(__x86_64__) && defined(__ELF__) && !defined(FE_AVX2_C)
#define FE_ASSEMBLY 1
#else
#define FE_ASSEMBLY 0
#endif

#if FE_ASSEMBLY
/*
 * In assembly, made by gen/fe_avx2.py, which states the calling convention. A compiler that does
 * not know of the call keeps its red zone below the stack pointer: it is stepped over.
 */
#define FE_CALL(function) "lea -128(%%rsp), %%rsp\n\tcall " function "\n\tlea 128(%%rsp), %%rsp"
#define FE_LOST5                                                                                   \
	"xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define FE_LOST "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", FE_LOST5

/* in ymm0..4, where the function leaves them */
#define FE_COLUMNS                                                                                 \
	register __m256i c0 __asm__("ymm0");                                                       \
	register __m256i c1 __asm__("ymm1");                                                       \
	register __m256i c2 __asm__("ymm2");                                                       \
	register __m256i c3 __asm__("ymm3");                                                       \
	register __m256i c4 __asm__("ymm4")
#define FE_COLUMNS_OUT "=x"(c0), "=x"(c1), "=x"(c2), "=x"(c3), "=x"(c4)

FE_INLINE void fe_mul_cols(struct cols *r, const struct fe *a, const struct fe *b)
{
	FE_COLUMNS;

	__asm__(FE_CALL("fe_avx2_mul_cols")
		: FE_COLUMNS_OUT
		: "S"(a), "d"(b), "m"(*a), "m"(*b)
		: FE_LOST5);
	*r = (struct cols){{c0, c1, c2, c3, c4}};
}

FE_INLINE void fe_sqr_cols(struct cols *r, const struct fe *a)
{
	FE_COLUMNS;

	__asm__(FE_CALL("fe_avx2_sqr_cols") : FE_COLUMNS_OUT : "S"(a), "m"(*a) : FE_LOST5);
	*r = (struct cols){{c0, c1, c2, c3, c4}};
}

FE_INLINE void fe_mul(struct fe *r, const struct fe *a, const struct fe *b)
{
	__asm__(FE_CALL("fe_avx2_mul")
		: "=m"(*r)
		: "D"(r), "S"(a), "d"(b), "m"(*a), "m"(*b)
		: FE_LOST);
}

FE_INLINE void fe_sqr(struct fe *r, const struct fe *a)
{
	__asm__(FE_CALL("fe_avx2_sqr") : "=m"(*r) : "D"(r), "S"(a), "m"(*a) : FE_LOST);
}

/* sum = m + a*b, diff = m - a*b, carried; m are the columns of a product. */
FE_INLINE void fe_mul_both(struct fe *sum, struct fe *diff, const struct cols *m,
	const struct fe *a, const struct fe *b)
{
	register const struct cols *m8 __asm__("r8") = m;

	__asm__(FE_CALL("fe_avx2_mul_both_mul")
		: "=m"(*sum), "=m"(*diff)
		: "D"(sum), "c"(diff), "r"(m8), "S"(a), "d"(b), "m"(*m), "m"(*a), "m"(*b)
		: FE_LOST);
}

/* The same where m are the columns of a square. */
FE_INLINE void fe_sqr_mul_both(struct fe *sum, struct fe *diff, const struct cols *m,
	const struct fe *a, const struct fe *b)
{
	register const struct cols *m8 __asm__("r8") = m;

	__asm__(FE_CALL("fe_avx2_mul_both_sqr")
		: "=m"(*sum), "=m"(*diff)
		: "D"(sum), "c"(diff), "r"(m8), "S"(a), "d"(b), "m"(*m), "m"(*a), "m"(*b)
		: FE_LOST);
}
#else
FE_INLINE void fe_mul_cols(struct cols *r, const struct fe *a, const struct fe *b)
{
	fe_mul_cols_c(r, a, b);
}

FE_INLINE void fe_sqr_cols(struct cols *r, const struct fe *a)
{
	fe_sqr_cols_c(r, a);
}

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
#endif

/* --- elements --- */

/* r = a + b and r = a - b, carried. As doubles the sum of two carried limbs could need 52 bits and
 * leave the binade that cols_from_fe wants; as columns it can not. */
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

/* r = a - b of carried elements, not carried: fit to be one factor of a product with a carried one.
 */
FE_INLINE void fe_sub_loose(struct fe *r, const struct fe *a, const struct fe *b)
{
	for (int k = 0; k < 5; k++)
		r->limb[k] = _mm256_sub_pd(a->limb[k], b->limb[k]);
}

/* r = a + 121665 * e, carried; a carried, e loose. */
FE_INLINE void fe_add_mul121665(struct fe *r, const struct fe *a, const struct fe *e)
{
	static const uint64_t known[5] = {FE_OFFSET(2, 0), FE_OFFSET(2, 1), FE_OFFSET(2, 1),
		FE_OFFSET(2, 1), FE_OFFSET(2, 1)};
	const __m256d factor = _mm256_set1_pd(121665.0);
	struct cols c, hi;

	cols_from_fe(&c, a);
	for (int k = 0; k < 5; k++) {
		__m256d h = _mm256_fmadd_pd(e->limb[k], factor, _mm256_set1_pd(FE_SPLIT_HI));
		__m256d l = _mm256_fmadd_pd(e->limb[k], factor,
			_mm256_sub_pd(_mm256_set1_pd(FE_SPLIT_HI + FE_SPLIT_LO), h));

		hi.col[k] = _mm256_castpd_si256(h);
		c.col[k] = _mm256_add_epi64(c.col[k], _mm256_castpd_si256(l));
	}
	/* the high part has some 18 bits and the low half of FE_HI_BITS is 0: a product of 32 bits
	 * will do */
	c.col[0] = _mm256_add_epi64(c.col[0], _mm256_mul_epi32(hi.col[4], fe_i64(19)));
	for (int k = 1; k < 5; k++)
		c.col[k] = _mm256_add_epi64(c.col[k], hi.col[k - 1]);
	fe_carry_known(r, &c, known);
}

FE_INLINE void fe_select(struct fe *r, const struct fe *a, const struct fe *b, fe_mask m)
{
	for (int k = 0; k < 5; k++)
		r->limb[k] = _mm256_blendv_pd(a->limb[k], b->limb[k], m);
}

/* A small integer, |x| < 2^50, in all lanes. */
FE_INLINE void fe_set(struct fe *r, int64_t x)
{
	r->limb[0] = _mm256_set1_pd((double)x);
	for (int k = 1; k < 5; k++)
		r->limb[k] = _mm256_setzero_pd();
}

/* One element, limbs below 2^51, in all lanes. */
FE_INLINE void fe_from51(struct fe *r, const uint64_t limb[5])
{
	struct cols c;

	for (int k = 0; k < 5; k++)
		c.col[k] = fe_i64(limb[k]);
	fe_carry_sum(r, &c, 0, 0, 0);
}

/* r = the element e[stride * (m[0] + 2 m[1] + 4 m[2])] of each lane; all eight are read. */
FE_INLINE void fe_lookup(struct fe *r, const struct fe *e, size_t stride, const fe_mask m[3])
{
	for (int k = 0; k < 5; k++) {
		__m256d v[8];

		for (size_t i = 0; i < 8; i++)
			v[i] = e[stride * i].limb[k];
		for (int i = 0; i < 4; i++)
			v[i] = _mm256_blendv_pd(v[2 * i], v[2 * i + 1], m[0]);
		for (int i = 0; i < 2; i++)
			v[i] = _mm256_blendv_pd(v[2 * i], v[2 * i + 1], m[1]);
		r->limb[k] = _mm256_blendv_pd(v[0], v[1], m[2]);
	}
}

/* a = -a where m; fit to be one factor of a product with a carried one. */
FE_INLINE void fe_negate_if(struct fe *a, fe_mask m)
{
	__m256d sign = _mm256_and_pd(m, _mm256_set1_pd(-0.0));

	for (int k = 0; k < 5; k++)
		a->limb[k] = _mm256_xor_pd(a->limb[k], sign);
}

FE_INLINE void fe_load(struct fe *r, const uint8_t *const in[FE_LANES])
{
	uint64_t lane[5][FE_LANES], one[5];
	struct cols c;

	for (int l = 0; l < FE_LANES; l++) {
		x25519_unpack51(one, in[l]);
		for (int k = 0; k < 5; k++)
			lane[k][l] = one[k];
	}
	for (int k = 0; k < 5; k++)
		c.col[k] = fe_words_load(lane[k]);
	fe_carry_sum(r, &c, 0, 0, 0);
}

FE_INLINE void fe_store(uint8_t out[FE_LANES][32], const struct fe *a)
{
	double lane[5][FE_LANES];
	int64_t one[5];

	for (int k = 0; k < 5; k++)
		_mm256_storeu_pd(lane[k], a->limb[k]);
	for (int l = 0; l < FE_LANES; l++) {
		for (int k = 0; k < 5; k++)
			one[k] = (int64_t)lane[k][l];
		x25519_pack51(out[l], one);
	}
}

#endif
