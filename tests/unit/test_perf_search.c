/* SPDX-License-Identifier: BSD-3-Clause */
/* The load search (perf/search.h) on a device whose capacity is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include "../../perf/search.h"

#define RESOLUTION 0.005

struct device {
	double capacity;
	double noise; /* chance that the machine makes a trial lose, whatever the load */
	bool noise_shows;
	double inexact; /* chance that the generator misses its rate */
	uint64_t state;
};

static double uniform(struct device *d)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (double)(d->state >> 11) * 0x1p-53;
}

static void run(void *arg, double pps, struct trial *t)
{
	struct device *d = arg;

	t->sent = pps;
	t->loss = pps > d->capacity ? 1 - d->capacity / pps : 0;
	if (uniform(d) < d->noise) {
		t->loss += 0.01;
		t->disturbed = d->noise_shows;
	}
	if (uniform(d) < d->inexact)
		t->sent = pps * 0.9;
	t->received = t->sent * (1 - t->loss);
}

static double search(struct device *d, double loss, struct search *s)
{
	*s = (struct search){.low = 50000,
		.high = 120000,
		.resolution = RESOLUTION,
		.loss = loss,
		.max_trials = 1000,
		.run = run,
		.arg = d};
	return search_rate(s);
}

static void assert_within(double value, double wanted, double tolerance)
{
	if (fabs(value / wanted - 1) > tolerance)
		fail_msg("%.0f is not within %.1f %% of %.0f", value, 100 * tolerance, wanted);
}

static void no_loss_rate_is_the_capacity(void **state)
{
	(void)state;
	for (double c = 51000; c < 119000; c += 1700) {
		struct device d = {.capacity = c, .state = 1};
		struct search s;
		double found = search(&d, 0, &s);

		assert_within(found, c, RESOLUTION * 1.5);
		assert_true(found <= c);
		assert_true(s.trials < 40);
		assert_int_equal(s.disturbed, 0);
	}
}

static void tolerated_loss_raises_the_rate_by_that_loss(void **state)
{
	struct device d = {.capacity = 80000, .state = 1};
	struct search s;

	(void)state;
	assert_within(search(&d, 0.05, &s), 80000 / 0.95, RESOLUTION * 1.5);
}

static void rate_below_the_lower_bound_is_found(void **state)
{
	struct device d = {.capacity = 11000, .state = 1};
	struct search s;

	(void)state;
	assert_within(search(&d, 0, &s), 11000, RESOLUTION * 1.5);
}

static void device_that_always_loses_has_no_rate(void **state)
{
	struct device d = {.capacity = 0, .state = 1};
	struct search s;

	(void)state;
	assert_true(search(&d, 0, &s) == 0);
}

static void rate_above_the_upper_bound_is_found(void **state)
{
	struct device d = {.capacity = 310000, .state = 1};
	struct search s;

	(void)state;
	assert_within(search(&d, 0, &s), 310000, RESOLUTION * 1.5);
}

static void device_that_never_loses_ends_the_search(void **state)
{
	struct device d = {.capacity = 1e12, .state = 1};
	struct search s;

	(void)state;
	assert_true(search(&d, 0, &s) == 16 * 120000.0);
	assert_true(s.trials < 30);
}

/* Three runs each, as many as the report makes: all within 5 % (issue 6). The machine spoils three
 * trials in ten and shows it, or one in twenty and does not. */
static void noise_of_the_machine_moves_the_rate_by_less_than_5_percent(void **state)
{
	unsigned repeated = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct device d = {.capacity = 90000,
			.noise = seed % 2 ? 0.3 : 0.05,
			.noise_shows = seed % 2,
			.inexact = 0.1,
			.state = seed * 7919};

		for (unsigned i = 0; i < 3; i++) {
			struct search s;

			assert_within(search(&d, 0, &s), 90000, 0.05);
			repeated += s.repeated;
		}
	}
	assert_true(repeated > 300);
}

static void trials_at_a_wrong_rate_do_not_count(void **state)
{
	struct device d = {.capacity = 90000, .inexact = 1, .state = 1};
	struct search s;

	(void)state;
	assert_true(search(&d, 0, &s) == 0);
}

static void search_on_a_hopeless_machine_ends(void **state)
{
	struct device d = {.capacity = 90000, .noise = 1, .noise_shows = true, .state = 1};
	struct search s = {.low = 50000,
		.high = 120000,
		.resolution = RESOLUTION,
		.max_trials = 20,
		.run = run,
		.arg = &d};

	(void)state;
	assert_true(search_rate(&s) == 0);
	assert_true(s.trials <= 25);
	assert_int_equal(s.disturbed, s.trials);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_loss_rate_is_the_capacity),
		cmocka_unit_test(tolerated_loss_raises_the_rate_by_that_loss),
		cmocka_unit_test(rate_below_the_lower_bound_is_found),
		cmocka_unit_test(device_that_always_loses_has_no_rate),
		cmocka_unit_test(rate_above_the_upper_bound_is_found),
		cmocka_unit_test(device_that_never_loses_ends_the_search),
		cmocka_unit_test(noise_of_the_machine_moves_the_rate_by_less_than_5_percent),
		cmocka_unit_test(trials_at_a_wrong_rate_do_not_count),
		cmocka_unit_test(search_on_a_hopeless_machine_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
