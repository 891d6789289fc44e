/* SPDX-License-Identifier: BSD-3-Clause */
/* Random drop between two watermarks: the law, and the dice that follow it. */
#include <math.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mix/early_drop.h"

static const struct early_drop marks = {.all = 128, .from = 640};

static void above_the_upper_mark_nothing_and_below_the_lower_everything_is_dropped(void **state)
{
	struct early_dice dice;
	uint8_t key[32];

	(void)state;
	randombytes_buf(key, sizeof(key));
	early_dice_init(&dice, key);
	assert_int_equal(early_drop_chance(&marks, UINT32_MAX), 0);
	assert_int_equal(early_drop_chance(&marks, 640), 0);
	assert_int_equal(early_drop_chance(&marks, 128), 1ull << 32);
	assert_int_equal(early_drop_chance(&marks, 0), 1ull << 32);
	for (unsigned i = 0; i < 100000; i++) {
		assert_false(early_dice_hit(&dice, early_drop_chance(&marks, 640)));
		assert_true(early_dice_hit(&dice, early_drop_chance(&marks, 128)));
	}
}

static void the_chance_rises_linearly_with_every_buffer_that_is_taken(void **state)
{
	(void)state;
	for (uint32_t free = 128; free <= 640; free++) {
		uint64_t want = (uint64_t)(640 - free) << 23; /* 512 steps of 2^-9 */

		assert_int_equal(early_drop_chance(&marks, free), want);
	}
}

static void the_dice_hit_as_often_as_they_should(void **state)
{
	enum { N = 200000 };
	struct early_dice dice;
	uint8_t key[32] = {7};

	(void)state;
	early_dice_init(&dice, key); /* a fixed key: the result is the same in each run */
	for (uint32_t free = 160; free < 640; free += 80) {
		uint64_t chance = early_drop_chance(&marks, free);
		double p = (double)chance / 4294967296.0, sigma = sqrt(N * p * (1 - p));
		unsigned hits = 0;

		for (unsigned i = 0; i < N; i++)
			hits += early_dice_hit(&dice, chance);
		assert_true(fabs(hits - N * p) < 4 * sigma);
	}
}

static void two_workers_throw_different_dice_and_one_key_throws_the_same(void **state)
{
	struct early_dice a, b, c;
	uint8_t key[2][32] = {{1}, {2}};
	unsigned same = 0;

	(void)state;
	early_dice_init(&a, key[0]);
	early_dice_init(&b, key[1]);
	early_dice_init(&c, key[0]);
	for (unsigned i = 0; i < 10000; i++) {
		bool x = early_dice_hit(&a, 1ull << 31);

		same += x == early_dice_hit(&b, 1ull << 31);
		assert_int_equal(x, early_dice_hit(&c, 1ull << 31));
	}
	assert_in_range(same, 4800, 5200); /* 5000, 4 sigma */
	assert_int_not_equal(a.draw[0], a.draw[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			above_the_upper_mark_nothing_and_below_the_lower_everything_is_dropped),
		cmocka_unit_test(the_chance_rises_linearly_with_every_buffer_that_is_taken),
		cmocka_unit_test(the_dice_hit_as_often_as_they_should),
		cmocka_unit_test(two_workers_throw_different_dice_and_one_key_throws_the_same),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
