/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../app/client/ahead.h"

/* What is sent of these bursts: test_client_end_to_end.c, test_client_replies.c. */

static void a_slow_sender_makes_packets_one_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(ahead_depth(0.01, 1000), 1);
	assert_int_equal(ahead_depth(1, 1000), 1);
	assert_int_equal(ahead_depth(199, 1000), 1);
}

static void a_burst_is_what_leaves_within_ten_milliseconds(void **state)
{
	(void)state;
	assert_int_equal(ahead_depth(200, 1000), 2);
	assert_int_equal(ahead_depth(1000, 1000), 10);
	assert_int_equal(ahead_depth(5000, 1000), 50);
}

static void no_burst_is_larger_than_its_buffers_or_the_message(void **state)
{
	(void)state;
	assert_int_equal(ahead_depth(6400, UINT32_MAX), AHEAD_MAX);
	assert_int_equal(ahead_depth(1e6, UINT32_MAX), AHEAD_MAX);
	assert_int_equal(ahead_depth(1e6, 7), 7);
	assert_int_equal(ahead_depth(1e6, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_sender_makes_packets_one_at_a_time),
		cmocka_unit_test(a_burst_is_what_leaves_within_ten_milliseconds),
		cmocka_unit_test(no_burst_is_larger_than_its_buffers_or_the_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
