/* SPDX-License-Identifier: BSD-3-Clause */
/* The slot clock on a clock of the test's own and on fixed seeds: every run sees the same slots. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mix/slot_clock.h"

#define HZ UINT64_C(2500000000)

/* sqrt(n) * D beyond this has chance 10^-3 (Kolmogorov's law) */
#define KS_LIMIT 1.95

static struct slot_random seeded(uint8_t seed)
{
	uint8_t bytes[SLOT_SEED_SIZE];
	struct slot_random r;

	memset(bytes, seed, sizeof(bytes));
	slot_random_seed(&r, bytes);
	return r;
}

static struct slot_clock clock_at(
	enum slot_law law, uint64_t rate, uint64_t now, struct slot_random *r)
{
	struct slot_clock c;

	assert_int_equal(slot_clock_init(&c, law, rate, HZ, now, r), 0);
	return c;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double law_exponential(double x)
{
	return 1 - exp(-x);
}

static double law_uniform(double x)
{
	return x;
}

/* sqrt(n) times the largest distance between the sample's distribution and a law; sorts it. */
static double ks(double *x, size_t n, double (*law)(double))
{
	double most = 0;

	qsort(x, n, sizeof(*x), by_value);
	for (size_t i = 0; i < n; i++) {
		double f = law(x[i]);

		most = fmax(most, fmax(f - (double)i / (double)n, (double)(i + 1) / (double)n - f));
	}
	return most * sqrt((double)n);
}

/* ---- constant */

static void constant_slots_stay_on_their_grid(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 999, 1000, 25000, 333333, 9999991};

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct slot_random r = seeded(1);
		struct slot_clock c = clock_at(SLOT_CONSTANT, rates[i], 1000, &r);
		uint64_t first = c.next, gap = HZ / rates[i];

		for (uint64_t k = 1; k <= 3 * rates[i] && k < 100000; k++) {
			uint64_t before = c.next;

			slot_clock_advance(&c, &r);
			assert_in_range(c.next - before, gap, gap + 1);
			/* k gaps: exact to within the fraction of the first slot */
			assert_in_range(c.next - first, k * HZ / rates[i], k * HZ / rates[i] + 1);
		}
	}
}

static void a_second_has_exactly_rate_constant_slots(void **state)
{
	struct slot_random r = seeded(2);
	struct slot_clock c = clock_at(SLOT_CONSTANT, 99991, 0, &r);
	uint64_t first = c.next;

	(void)state;
	for (unsigned k = 0; k < 99991; k++)
		slot_clock_advance(&c, &r);
	assert_int_equal(c.next - first, HZ);
}

static void the_first_constant_slot_is_uniform_in_a_gap(void **state)
{
	enum { N = 20000, RATE = 1000 };
	static double phase[N];
	struct slot_random r = seeded(3);

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct slot_clock c = clock_at(SLOT_CONSTANT, RATE, 5000, &r);

		assert_in_range(c.next, 5001, 5000 + HZ / RATE);
		phase[i] = (double)(c.next - 5000) / (double)(HZ / RATE);
	}
	assert_true(ks(phase, N, law_uniform) < KS_LIMIT);
}

/* ---- poisson */

static void poisson_gaps_are_exponential(void **state)
{
	enum { N = 200000 };
	static const uint64_t rates[] = {1, 1000, 1000000};
	static double gap[N];

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct slot_random r = seeded((uint8_t)(10 + i));
		struct slot_clock c = clock_at(SLOT_POISSON, rates[i], 77, &r);
		double mean = (double)HZ / (double)rates[i], lag = 0, sum = 0;

		for (unsigned k = 0; k < N; k++) {
			uint64_t before = c.next;

			slot_clock_advance(&c, &r);
			gap[k] = (double)(c.next - before) / mean;
			sum += gap[k];
			if (k)
				lag += (gap[k] - 1) * (gap[k - 1] - 1);
		}
		/* 4 standard deviations of N exponential gaps, and of N products of two */
		assert_true(fabs(sum / N - 1) < 4 / sqrt(N));
		assert_true(fabs(lag / N) < 4 / sqrt(N));
		assert_true(ks(gap, N, law_exponential) < KS_LIMIT);
	}
}

/* The yardstick: gaps that are 2 % too long are seen. */
static void gaps_of_another_mean_fail_the_same_test(void **state)
{
	enum { N = 200000 };
	static double gap[N];
	struct slot_random r = seeded(10);
	struct slot_clock c = clock_at(SLOT_POISSON, 1000, 77, &r);

	(void)state;
	for (unsigned k = 0; k < N; k++) {
		uint64_t before = c.next;

		slot_clock_advance(&c, &r);
		gap[k] = (double)(c.next - before) / (double)(HZ / 1000) * 1.02;
	}
	assert_true(ks(gap, N, law_exponential) > KS_LIMIT);
}

static void slots_in_equal_spans_vary_as_a_poisson_process(void **state)
{
	enum { SPANS = 20000, MEAN = 10 };
	struct slot_random r = seeded(20);
	struct slot_clock c = clock_at(SLOT_POISSON, 1000, 0, &r);
	uint64_t span = HZ / 1000 * MEAN;
	double squares = 0;

	(void)state;
	for (uint64_t s = 1; s <= SPANS; s++) {
		double n = 0;

		for (; c.next < s * span; slot_clock_advance(&c, &r))
			n++;
		squares += (n - MEAN) * (n - MEAN);
	}
	/* index of dispersion 1; its standard deviation is sqrt((2 + 1/mean) / spans) */
	assert_true(fabs(squares / SPANS / MEAN - 1) < 4 * sqrt(2.1 / SPANS));
}

static void fractions_of_a_cycle_are_not_lost(void **state)
{
	enum { N = 1000000, RATE = 400000000 };
	struct slot_random r = seeded(21);
	struct slot_clock c = clock_at(SLOT_POISSON, RATE, 0, &r); /* 6.25 cycles a slot */
	uint64_t first = c.next;

	(void)state;
	for (unsigned k = 0; k < N; k++)
		slot_clock_advance(&c, &r);
	/* cut to whole cycles, gaps would be 8 % too short */
	assert_true(fabs((double)(c.next - first) / (6.25 * N) - 1) < 0.005);
}

static void the_first_poisson_slot_is_exponential_from_now(void **state)
{
	enum { N = 20000 };
	static double first[N];
	struct slot_random r = seeded(22);

	(void)state;
	for (unsigned i = 0; i < N; i++)
		first[i] = (double)(clock_at(SLOT_POISSON, 1000, 5000, &r).next - 5000) /
			   (double)(HZ / 1000);
	assert_true(ks(first, N, law_exponential) < KS_LIMIT);
}

/* ---- stalls */

static void no_slot_is_passed_over_that_is_late_within_the_bound(void **state)
{
	static const enum slot_law laws[] = {SLOT_CONSTANT, SLOT_POISSON};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct slot_random r = seeded(30);
		struct slot_clock c = clock_at(laws[i], 10000, 0, &r), was = c;

		assert_int_equal(c.late_max, HZ / 1000); /* 1 ms: the gap is shorter */
		assert_int_equal(slot_clock_skip(&c, &r, c.next), 0);
		assert_int_equal(slot_clock_skip(&c, &r, c.next + c.late_max), 0);
		assert_int_equal(slot_clock_skip(&c, &r, 0), 0);
		assert_memory_equal(&c, &was, sizeof(c));
		assert_int_not_equal(slot_clock_skip(&c, &r, c.next + c.late_max + 1), 0);
	}
}

static void slow_links_may_be_one_gap_late(void **state)
{
	struct slot_random r = seeded(31);

	(void)state;
	assert_int_equal(clock_at(SLOT_CONSTANT, 100, 0, &r).late_max, HZ / 100);
	assert_int_equal(clock_at(SLOT_POISSON, 1, 0, &r).late_max, HZ);
	assert_int_equal(clock_at(SLOT_POISSON, 1000, 0, &r).late_max, HZ / 1000);
	assert_int_equal(clock_at(SLOT_POISSON, 1000000, 0, &r).late_max, HZ / 1000);
}

/* Against a clock that takes every slot, one by one. */
static void constant_slots_are_passed_over_exactly(void **state)
{
	static const uint64_t rates[] = {1, 7, 999, 25000, 333333};

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct slot_random r = seeded(32);
		struct slot_clock c = clock_at(SLOT_CONSTANT, rates[i], 0, &r), walk = c;

		for (unsigned k = 0; k < 200; k++) {
			uint64_t stall = slot_random_next(&r) % (20 * HZ / rates[i]);
			uint64_t now = c.next + c.late_max + stall, n = 0;

			for (; walk.next < now - c.late_max; n++)
				slot_clock_advance(&walk, &r);
			assert_int_equal(slot_clock_skip(&c, &r, now), n);
			assert_memory_equal(&c, &walk, sizeof(c));
			slot_clock_advance(&c, &r);
			slot_clock_advance(&walk, &r);
		}
	}
}

static void after_a_stall_few_slots_are_left_to_send(void **state)
{
	static const uint64_t rates[] = {10, 1000, 50000};
	static const uint64_t stalls[] = {HZ / 500, HZ / 10, HZ, 3600 * HZ};

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		for (unsigned k = 0; k < sizeof(stalls) / sizeof(*stalls); k++) {
			struct slot_random r = seeded(33);
			struct slot_clock c = clock_at(SLOT_CONSTANT, rates[i], 0, &r);
			uint64_t now = c.next + c.late_max + stalls[k], skipped, left = 0;

			skipped = slot_clock_skip(&c, &r, now);
			for (; c.next <= now; left++)
				slot_clock_advance(&c, &r);
			assert_true(left <= 1 + c.late_max * rates[i] / HZ);
			/* none is lost uncounted: skipped + left slots from `next` to now */
			assert_int_equal(
				skipped + left, 1 + (c.late_max + stalls[k]) * rates[i] / HZ);
		}
	}
}

/* What follows a stall is exponential from the bound on, however long the stall was. */
static void poisson_goes_on_after_a_stall_as_if_nothing_had_been(void **state)
{
	enum { N = 20000, RATE = 20000 };
	static const uint64_t stalls[] = {HZ / 20000, HZ / 1000, HZ / 10, 3600 * HZ};
	static double wait[N];

	(void)state;
	for (unsigned i = 0; i < sizeof(stalls) / sizeof(*stalls); i++) {
		struct slot_random r = seeded((uint8_t)(44 + i));
		double skipped = 0, want = (double)stalls[i] * RATE / (double)HZ;

		for (unsigned k = 0; k < N; k++) {
			struct slot_clock c = clock_at(SLOT_POISSON, RATE, HZ, &r);
			uint64_t limit = HZ + stalls[i];

			skipped += (double)slot_clock_skip(&c, &r, limit + c.late_max);
			assert_true(c.next >= limit);
			wait[k] = (double)(c.next - limit) * RATE / (double)HZ;
		}
		assert_true(ks(wait, N, law_exponential) < KS_LIMIT);
		/* the number passed over: Poisson of that mean */
		assert_true(fabs(skipped / N - want) < 5 * sqrt(want / N) + 1e-3 * want);
	}
}

/* ---- random numbers */

static void a_seed_gives_its_own_numbers_and_always_the_same(void **state)
{
	enum { N = 1000 };
	struct slot_random a = seeded(50), b = seeded(50), c = seeded(51);
	static uint64_t seen[2 * N];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		uint64_t x = slot_random_next(&a);

		assert_int_equal(slot_random_next(&b), x);
		seen[n++] = x;
		seen[n++] = slot_random_next(&c);
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
}

static void every_bit_of_the_numbers_is_balanced(void **state)
{
	enum { N = 40000 };
	struct slot_random r = seeded(52);
	unsigned ones[64] = {0};

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		uint64_t x = slot_random_next(&r);

		for (unsigned k = 0; k < 64; k++)
			ones[k] += (unsigned)(x >> k & 1);
	}
	for (unsigned k = 0; k < 64; k++) /* 5 standard deviations of 100 */
		assert_in_range(ones[k], N / 2 - 500, N / 2 + 500);
}

static void rates_out_of_range_are_refused(void **state)
{
	struct slot_random r = seeded(60);
	struct slot_clock c;

	(void)state;
	assert_int_equal(slot_clock_init(&c, SLOT_CONSTANT, 0, HZ, 0, &r), -EINVAL);
	assert_int_equal(slot_clock_init(&c, SLOT_CONSTANT, HZ + 1, HZ, 0, &r), -EINVAL);
	assert_int_equal(
		slot_clock_init(&c, SLOT_POISSON, 1, (UINT64_C(1) << 40) + 1, 0, &r), -EINVAL);
	assert_int_equal(slot_clock_init(&c, SLOT_POISSON, 1, UINT64_C(1) << 40, 0, &r), 0);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t before = c.next;

		slot_clock_advance(&c, &r);
		assert_true(c.next - before <= UINT64_C(20) << 40);
	}
}

/* ---- heap */

static void the_heap_gives_the_clocks_in_the_order_of_their_slots(void **state)
{
	enum { CLOCKS = 257, SLOTS = 100000 };
	static struct slot_clock clock[CLOCKS];
	static struct slot_entry entry[CLOCKS];
	struct slot_heap h = {.entry = entry, .capacity = CLOCKS};
	struct slot_random r = seeded(70);
	unsigned served[CLOCKS] = {0}, total = 0;
	uint64_t now = 0;

	(void)state;
	assert_true(slot_heap_next(&h) == UINT64_MAX);
	for (unsigned i = 0; i < CLOCKS; i++) {
		clock[i] = clock_at(i % 2 ? SLOT_POISSON : SLOT_CONSTANT, 10 + i, 0, &r);
		assert_int_equal(slot_heap_push(&h, clock[i].next, i), 0);
	}
	assert_int_equal(slot_heap_push(&h, 0, 0), -ENOSPC);
	for (unsigned k = 0; k < SLOTS; k++) {
		uint32_t i = h.entry[0].index;

		assert_true(slot_heap_next(&h) >= now);
		now = slot_heap_next(&h);
		assert_int_equal(now, clock[i].next);
		served[i]++;
		slot_clock_advance(&clock[i], &r);
		slot_heap_again(&h, clock[i].next);
	}
	/* each at its own rate */
	for (unsigned i = 0; i < CLOCKS; i++) {
		double want = (double)now / (double)HZ * (10 + i);

		total += served[i];
		assert_true(fabs(served[i] - want) < (i % 2 ? 5 * sqrt(want) : 1.5));
	}
	assert_int_equal(total, SLOTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_slots_stay_on_their_grid),
		cmocka_unit_test(a_second_has_exactly_rate_constant_slots),
		cmocka_unit_test(the_first_constant_slot_is_uniform_in_a_gap),
		cmocka_unit_test(poisson_gaps_are_exponential),
		cmocka_unit_test(gaps_of_another_mean_fail_the_same_test),
		cmocka_unit_test(slots_in_equal_spans_vary_as_a_poisson_process),
		cmocka_unit_test(fractions_of_a_cycle_are_not_lost),
		cmocka_unit_test(the_first_poisson_slot_is_exponential_from_now),
		cmocka_unit_test(no_slot_is_passed_over_that_is_late_within_the_bound),
		cmocka_unit_test(slow_links_may_be_one_gap_late),
		cmocka_unit_test(constant_slots_are_passed_over_exactly),
		cmocka_unit_test(after_a_stall_few_slots_are_left_to_send),
		cmocka_unit_test(poisson_goes_on_after_a_stall_as_if_nothing_had_been),
		cmocka_unit_test(a_seed_gives_its_own_numbers_and_always_the_same),
		cmocka_unit_test(every_bit_of_the_numbers_is_balanced),
		cmocka_unit_test(rates_out_of_range_are_refused),
		cmocka_unit_test(the_heap_gives_the_clocks_in_the_order_of_their_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
