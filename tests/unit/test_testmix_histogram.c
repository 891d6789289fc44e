/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "../../app/testmix/histogram.h"

static struct histogram h, other;

static int clear(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	memset(&other, 0, sizeof(other));
	return 0;
}

static void empty_gives_zero(void **state)
{
	(void)state;
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	assert_true(histogram_mean(&h) == 0);
}

static void small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 2 * HISTOGRAM_SUB; v++) {
		clear(NULL);
		histogram_record(&h, v);
		histogram_record(&h, UINT64_MAX);
		assert_int_equal(histogram_quantile(&h, 0.5), v);
	}
}

static void every_value_is_known_to_one_part_in_128(void **state)
{
	uint64_t v = 1;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		uint64_t q;

		clear(NULL);
		histogram_record(&h, v);
		histogram_record(&h, UINT64_MAX); /* so that the bound is not cut at the largest */
		q = histogram_quantile(&h, 0.5);
		assert_true(q >= v);
		assert_true(q - v <= v / HISTOGRAM_SUB);
		v += v / 97 + 1;
		if (v > UINT64_MAX / 2)
			v = (uint64_t)i + 3;
	}
}

static void powers_of_two_and_their_neighbours_fall_into_ordered_buckets(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (unsigned e = 8; e < 64; e++)
		for (int d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << e) + (uint64_t)(int64_t)d, q;

			clear(NULL);
			histogram_record(&h, v);
			histogram_record(&h, UINT64_MAX);
			q = histogram_quantile(&h, 0.5);
			assert_true(q >= v && q >= last);
			last = q;
		}
}

static void largest_value_has_a_bucket(void **state)
{
	(void)state;
	histogram_record(&h, UINT64_MAX);
	assert_int_equal(h.bucket[HISTOGRAM_BUCKETS - 1], 1);
	assert_true(histogram_quantile(&h, 1) == UINT64_MAX);
}

static void quantiles_of_a_ramp(void **state)
{
	(void)state;
	for (uint64_t v = 1; v <= 100000; v++)
		histogram_record(&h, v);
	for (unsigned p = 1; p <= 100; p++) {
		uint64_t q = histogram_quantile(&h, p / 100.0), exact = p * 1000;

		assert_in_range(q, exact, exact + exact / HISTOGRAM_SUB);
	}
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 100000);
	assert_true(histogram_mean(&h) == 50000.5);
}

static void quantile_never_exceeds_the_largest_value(void **state)
{
	(void)state;
	histogram_record(&h, 1000001);
	assert_int_equal(histogram_quantile(&h, 0), 1000001);
	assert_int_equal(histogram_quantile(&h, 0.99), 1000001);
}

static void one_outlier_is_the_last_quantile_only(void **state)
{
	(void)state;
	for (int i = 0; i < 99; i++)
		histogram_record(&h, 10);
	histogram_record(&h, 5000);
	assert_int_equal(histogram_quantile(&h, 0.99), 10);
	assert_int_equal(histogram_quantile(&h, 0.991), 5000);
}

static void merge_equals_recording_both(void **state)
{
	static struct histogram both;

	(void)state;
	memset(&both, 0, sizeof(both));
	for (uint64_t v = 3; v < 1000000; v = v * 3 / 2) {
		histogram_record(&h, v);
		histogram_record(&other, v * 7 + 1);
		histogram_record(&both, v);
		histogram_record(&both, v * 7 + 1);
	}
	histogram_merge(&h, &other);
	assert_memory_equal(&h, &both, sizeof(both));
}

static void merging_nothing_changes_nothing(void **state)
{
	static struct histogram before;

	(void)state;
	histogram_record(&h, 42);
	before = h;
	histogram_merge(&h, &other);
	assert_memory_equal(&h, &before, sizeof(h));
	histogram_merge(&other, &h);
	assert_memory_equal(&h, &other, sizeof(h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_gives_zero, clear),
		cmocka_unit_test_setup(small_values_are_exact, clear),
		cmocka_unit_test_setup(every_value_is_known_to_one_part_in_128, clear),
		cmocka_unit_test_setup(
			powers_of_two_and_their_neighbours_fall_into_ordered_buckets, clear),
		cmocka_unit_test_setup(largest_value_has_a_bucket, clear),
		cmocka_unit_test_setup(quantiles_of_a_ramp, clear),
		cmocka_unit_test_setup(quantile_never_exceeds_the_largest_value, clear),
		cmocka_unit_test_setup(one_outlier_is_the_last_quantile_only, clear),
		cmocka_unit_test_setup(merge_equals_recording_both, clear),
		cmocka_unit_test_setup(merging_nothing_changes_nothing, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
