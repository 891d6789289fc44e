/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/cpu.h"
#include "crypto/x25519_mb_fe_avx2.h"

/*
 * The assembly of gen/fe_avx2.py leaves the columns and limbs that the C of x25519_mb_fe_avx2.h
 * defines, bit by bit. Where there is no assembly (FE_ASSEMBLY 0) the two are the same code.
 */

enum { ROUNDS = 3000 };

/* Limbs as large as a carry leaves them, in every fourth round at their ends. */
static void random_fe(struct fe *r, unsigned round)
{
	double lane[4];

	for (int k = 0; k < 5; k++) {
		for (int l = 0; l < 4; l++) {
			double end = k == 0 ? 0x1p50 + 10000 : 0x1p50 + 512;
			uint64_t x;

			randombytes_buf(&x, sizeof(x));
			lane[l] =
				round % 4 == 0 ? (x & 1 ? end : -end) : (double)((int64_t)x >> 13);
		}
		r->limb[k] = _mm256_loadu_pd(lane);
	}
}

static void needs_avx2(void)
{
	if (!cpu_has(CPU_AVX2) || !cpu_has(CPU_FMA))
		skip();
}

static void same_fe(const struct fe *a, const struct fe *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void products_are_those_of_c(void **state)
{
	unsigned saved;

	(void)state;
	needs_avx2();
	saved = fe_enter();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct cols want, got;
		struct fe a, b, r, carried;

		random_fe(&a, i);
		random_fe(&b, i / 4);
		if (i % 8 > 3)
			fe_sub_loose(&a, &a, &b);
		fe_mul_cols_c(&want, &a, &b);
		fe_mul_cols(&got, &a, &b);
		assert_memory_equal(&got, &want, sizeof(got));
		fe_carry_sum(&carried, &want, 1, 0, 0);
		fe_mul(&r, &a, &b);
		same_fe(&r, &carried);
		/* in place */
		fe_mul(&a, &a, &b);
		same_fe(&a, &carried);
	}
	fe_leave(saved);
}

static void squares_are_those_of_c(void **state)
{
	unsigned saved;

	(void)state;
	needs_avx2();
	saved = fe_enter();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct cols want, got;
		struct fe a, r, carried;

		random_fe(&a, i);
		fe_sqr_cols_c(&want, &a);
		fe_sqr_cols(&got, &a);
		assert_memory_equal(&got, &want, sizeof(got));
		fe_carry_sum(&carried, &want, 0, 1, 0);
		fe_sqr(&r, &a);
		same_fe(&r, &carried);
		fe_sqr(&a, &a);
		same_fe(&a, &carried);
	}
	fe_leave(saved);
}

#if FE_ASSEMBLY
static void sums_and_differences_are_those_of_c(void **state)
{
	unsigned saved;

	(void)state;
	needs_avx2();
	saved = fe_enter();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct cols m, c, t;
		struct fe a, b, d, sum, diff, want_sum, want_diff;

		random_fe(&a, i);
		random_fe(&b, i / 4);
		random_fe(&d, i / 16);
		fe_mul_cols_c(&c, &a, &b);
		fe_mul_cols_c(&m, &d, &a);
		cols_add(&t, &m, &c);
		fe_carry_sum(&want_sum, &t, 2, 0, 0);
		cols_sub(&t, &m, &c);
		fe_carry(&want_diff, &t, 0, 0, 0);
		fe_mul_both(&sum, &diff, &m, &a, &b);
		same_fe(&sum, &want_sum);
		same_fe(&diff, &want_diff);

		fe_sqr_cols_c(&m, &d);
		cols_add(&t, &m, &c);
		fe_carry_sum(&want_sum, &t, 1, 1, 0);
		cols_sub(&t, &m, &c);
		fe_carry(&want_diff, &t, -1, 1, 0);
		/* over its factors */
		fe_sqr_mul_both(&a, &b, &m, &a, &b);
		same_fe(&a, &want_sum);
		same_fe(&b, &want_diff);
	}
	fe_leave(saved);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_are_those_of_c),
		cmocka_unit_test(squares_are_those_of_c),
#if FE_ASSEMBLY
		cmocka_unit_test(sums_and_differences_are_those_of_c),
#endif
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
