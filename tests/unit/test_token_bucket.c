/* SPDX-License-Identifier: BSD-3-Clause */
/* The token bucket on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mix/token_bucket.h"

#define HZ 2500000000ULL

/* The cost of a packet is cut to 2^-16 cycles: a rate is never below the asked one, and above it
 * by less than one part in cost. */
static void a_rate_is_kept_over_long_time(void **state)
{
	static const struct {
		uint64_t hz, rate, seconds;
	} run[] = {{HZ, 1, 1000000}, {HZ, 7, 100000}, {HZ, 999, 1000}, {HZ, 25000, 40},
		{HZ, 1000000, 1}, {HZ, 9999991, 1},
		/* where the cut is largest: a packet costs little more than a cycle */
		{1000003, 999999, 100}, {1000003, 400000, 100}};

	(void)state;
	for (unsigned i = 0; i < sizeof(run) / sizeof(*run); i++) {
		const uint64_t start = 12345, end = start + run[i].seconds * run[i].hz;
		const uint64_t want = run[i].rate * run[i].seconds;
		/* of no round length; the bucket is never full in between */
		const uint64_t step = run[i].hz / run[i].rate * 3 / 2 + 17;
		struct token_bucket t;
		uint64_t now = start, got = 0;

		token_bucket_init(&t, run[i].rate, 64, run[i].hz, now);
		assert_int_equal(token_bucket_take(&t, now, 1000), 64);
		while (now < end) {
			now += step < end - now ? step : end - now;
			got += token_bucket_take(&t, now, 64);
		}
		assert_in_range(got, want, want + want / t.cost + 1);
	}
}

static void no_time_is_lost_between_short_steps(void **state)
{
	struct token_bucket t;
	uint64_t got = 0;

	(void)state;
	/* 2500 cycles a packet, asked every 7 cycles: most steps earn no whole packet */
	token_bucket_init(&t, 1000000, 2, HZ, 0);
	assert_int_equal(token_bucket_take(&t, 0, 9), 2);
	for (uint64_t now = 7; now <= 7 * 2500 * 100; now += 7) {
		got += token_bucket_take(&t, now, 9);
		assert_int_equal(got, now / 2500);
	}
}

static void a_burst_is_capped(void **state)
{
	static const uint32_t bursts[] = {1, 2, 128, 65536};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct token_bucket t;
		uint64_t now = 5;

		token_bucket_init(&t, 1000, bursts[i], HZ, now);
		assert_int_equal(token_bucket_take(&t, now, 1 << 20), bursts[i]);
		assert_int_equal(token_bucket_take(&t, now, 1 << 20), 0);
		now += 1000 * HZ; /* a million packets' worth */
		assert_int_equal(token_bucket_take(&t, now, 1 << 20), bursts[i]);
		assert_int_equal(token_bucket_take(&t, now, 1 << 20), 0);
	}
}

static void what_was_not_wanted_stays(void **state)
{
	struct token_bucket t;

	(void)state;
	token_bucket_init(&t, 1000, 10, HZ, 0);
	assert_int_equal(token_bucket_take(&t, 0, 3), 3);
	assert_int_equal(token_bucket_take(&t, 0, 0), 0);
	assert_int_equal(token_bucket_take(&t, 0, 20), 7);
	assert_int_equal(token_bucket_take(&t, HZ / 1000 - 1, 20), 0);
	assert_int_equal(token_bucket_take(&t, HZ / 1000, 20), 1);
}

static void a_huge_gap_fills_the_bucket_and_no_more(void **state)
{
	static const uint64_t gaps[] = {(1ULL << 47) - 1, 1ULL << 47, 1ULL << 48, (1ULL << 48) + 1,
		1ULL << 62, UINT64_MAX - 1};

	(void)state;
	for (unsigned i = 0; i < sizeof(gaps) / sizeof(*gaps); i++) {
		struct token_bucket t;

		token_bucket_init(&t, 1000000, 32, HZ, 1);
		assert_int_equal(token_bucket_take(&t, 1, 32), 32);
		assert_int_equal(token_bucket_take(&t, 1 + gaps[i], 1000), 32);
		assert_int_equal(token_bucket_take(&t, 1 + gaps[i], 1000), 0);
	}
}

/* The largest bucket that a configuration can ask for, on clocks slow and fast: one packet a
 * second, 65536 of them. */
static void the_slowest_rate_with_the_largest_burst_does_not_overflow(void **state)
{
	static const uint64_t clocks[] = {1000000, HZ, 4500000000, 1ULL << 40};

	(void)state;
	for (unsigned i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		const uint64_t hz = clocks[i];
		/* what fits into 64 bits, where 65536 do not */
		const uint64_t most =
			(UINT64_MAX >> 16) / hz < 65536 ? (UINT64_MAX >> 16) / hz : 65536;
		struct token_bucket t;
		uint64_t now = 1;

		token_bucket_init(&t, 1, 65536, hz, now);
		assert_int_equal(token_bucket_take(&t, now, 65536), most);
		now += 10 * hz;
		assert_int_equal(token_bucket_take(&t, now, 65536), 10);
		now += (most - 1) * hz;
		assert_int_equal(token_bucket_take(&t, now, 65536), most - 1);
	}
}

static void rate_zero_is_no_limit(void **state)
{
	struct token_bucket t;

	(void)state;
	token_bucket_init(&t, 0, 1, HZ, 7);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(token_bucket_take(&t, 7, 100000), 100000);
	assert_int_equal(token_bucket_take(&t, UINT64_MAX, 1), 1);
}

static void a_rate_above_the_clock_still_limits(void **state)
{
	struct token_bucket t;

	(void)state;
	/* 2^17 packets in a cycle would cost nothing: the least cost is 2^-16 cycles */
	token_bucket_init(&t, 1ULL << 40, 4, 1 << 20, 0);
	assert_int_equal(t.cost, 1);
	assert_int_equal(token_bucket_take(&t, 0, 100), 4);
	assert_int_equal(token_bucket_take(&t, 0, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_kept_over_long_time),
		cmocka_unit_test(no_time_is_lost_between_short_steps),
		cmocka_unit_test(a_burst_is_capped),
		cmocka_unit_test(what_was_not_wanted_stays),
		cmocka_unit_test(a_huge_gap_fills_the_bucket_and_no_more),
		cmocka_unit_test(the_slowest_rate_with_the_largest_burst_does_not_overflow),
		cmocka_unit_test(rate_zero_is_no_limit),
		cmocka_unit_test(a_rate_above_the_clock_still_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
