/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's schedule: the offered rate is exact by construction. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sodium.h>
#include "../../app/testmix/schedule.h"

enum { PACKETS = 200000 };

static void constant_packets_are_due_without_drift(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 25000, 999983, 20000000};

	(void)state;
	for (unsigned r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct schedule s;

		schedule_init(&s, rates[r], false);
		for (uint64_t i = 0; i < PACKETS; i++) {
			/* floor(i * 10^9 / rate), by other means */
			__extension__ unsigned __int128 due =
				(unsigned __int128)i * 1000000000 / rates[r];

			assert_int_equal(schedule_due(&s), (uint64_t)due);
			schedule_advance(&s);
		}
	}
}

static void a_second_of_constant_packets_has_as_many_as_the_rate(void **state)
{
	struct schedule s;
	uint64_t n = 0;

	(void)state;
	schedule_init(&s, 25000, false);
	for (; schedule_due(&s) < 1000000000; n++)
		schedule_advance(&s);
	assert_int_equal(n, 25000);
}

/* 10^6 gaps: the mean's standard deviation is 0.1 %, that of the share above the mean 0.05 %. */
static void poisson_gaps_are_exponential(void **state)
{
	enum { GAPS = 1000000 };
	const double mean = 1e9 / 25000;
	struct schedule s;
	double sum = 0, squares = 0;
	uint64_t before = 0, above = 0;

	(void)state;
	schedule_init(&s, 25000, true);
	for (unsigned i = 0; i < GAPS; i++) {
		double gap = (double)(schedule_due(&s) - before);

		before = schedule_due(&s);
		sum += gap;
		squares += gap * gap;
		above += gap > mean;
		schedule_advance(&s);
	}
	assert_true(fabs(sum / GAPS - mean) < 0.006 * mean);
	assert_true(fabs(squares / GAPS - 2 * mean * mean) < 0.03 * mean * mean);
	assert_true(fabs((double)above / GAPS - exp(-1)) < 0.004);
}

static void poisson_schedules_differ(void **state)
{
	struct schedule a, b;
	unsigned same = 0;

	(void)state;
	schedule_init(&a, 1000, true);
	schedule_init(&b, 1000, true);
	for (unsigned i = 0; i < 100; i++) {
		same += schedule_due(&a) == schedule_due(&b);
		schedule_advance(&a);
		schedule_advance(&b);
	}
	assert_int_equal(same, 0);
}

static void without_a_rate_everything_is_due(void **state)
{
	struct schedule s;

	(void)state;
	for (unsigned poisson = 0; poisson < 2; poisson++) {
		schedule_init(&s, 0, poisson);
		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(schedule_due(&s), 0);
			schedule_advance(&s);
		}
	}
}

static void exponential_variates_have_their_bounds(void **state)
{
	(void)state;
	assert_true(schedule_exponential(0) < 38 && schedule_exponential(0) > 36);
	assert_true(
		schedule_exponential(UINT64_MAX) >= 0 && schedule_exponential(UINT64_MAX) < 1e-15);
	assert_true(fabs(schedule_exponential(UINT64_C(1) << 63) - log(2)) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_packets_are_due_without_drift),
		cmocka_unit_test(a_second_of_constant_packets_has_as_many_as_the_rate),
		cmocka_unit_test(poisson_gaps_are_exponential),
		cmocka_unit_test(poisson_schedules_differ),
		cmocka_unit_test(without_a_rate_everything_is_due),
		cmocka_unit_test(exponential_variates_have_their_bounds),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
