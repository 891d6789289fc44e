/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/crypto.h"
#include "../../app/testmix/capacity.h"
#include "sphinx/packet.h"

static atomic_bool stop;

static int init(void **state)
{
	struct error err;

	(void)state;
	return crypto_init(0, &err);
}

static void half_of_the_capacity_is_offered_shared_by_the_hops(void **state)
{
	(void)state;
	assert_true(capacity_rate(12000, 3) == 2000);
	assert_true(capacity_rate(12000, 1) == 6000);
	assert_true(capacity_rate(12000, 5) == 1200);
}

static void the_rate_stays_between_its_bounds(void **state)
{
	(void)state;
	assert_true(capacity_rate(0, 3) == CAPACITY_RATE_MIN);
	assert_true(capacity_rate(599, 3) == CAPACITY_RATE_MIN);
	assert_true(capacity_rate(60001, 3) == CAPACITY_RATE_MAX);
	assert_true(capacity_rate(1e9, 1) == CAPACITY_RATE_MAX);
}

static void packets_of_any_payload_size_are_measured(void **state)
{
	static const size_t sizes[] = {SPHINX_PAYLOAD_MIN, 1024, SPHINX_PAYLOAD_MAX};

	(void)state;
	atomic_store(&stop, false);
	for (unsigned i = 0; i < 3; i++) {
		struct capacity c = {.payload_size = sizes[i], .stop = &stop};

		assert_int_equal(capacity_measure(&c), 0);
		assert_true(c.per_second > 0);
	}
}

static void a_size_that_is_none_is_told(void **state)
{
	struct capacity c = {.payload_size = 1, .stop = &stop};

	(void)state;
	assert_int_equal(capacity_measure(&c), -EINVAL);
	assert_true(c.error.msg[0] != 0);
}

static void stop_ends_the_measurement(void **state)
{
	struct capacity c = {.payload_size = 1024, .stop = &stop};

	(void)state;
	atomic_store(&stop, true);
	assert_int_equal(capacity_measure(&c), 0);
	assert_true(c.per_second == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_of_the_capacity_is_offered_shared_by_the_hops),
		cmocka_unit_test(the_rate_stays_between_its_bounds),
		cmocka_unit_test(packets_of_any_payload_size_are_measured),
		cmocka_unit_test(a_size_that_is_none_is_told),
		cmocka_unit_test(stop_ends_the_measurement),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
