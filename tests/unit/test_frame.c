/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "sphinx/frame.h"

static void size_tags_are_nyms_and_0x80_is_the_rest(void **state)
{
	(void)state;
	assert_int_equal(frame_size_tag(2065), 1);
	assert_int_equal(frame_size_tag(38), 2);
	assert_int_equal(frame_size_tag(32785), 3);
	assert_int_equal(frame_size_tag(8209), 4);
	assert_int_equal(frame_size_tag(16401), 5);
	for (size_t n = 0; n < 33000; n++)
		if (n != 2065 && n != 38 && n != 32785 && n != 8209 && n != 16401)
			assert_int_equal(frame_size_tag(n), FRAME_TAG_OWN);
}

static void what_is_written_is_accepted(void **state)
{
	static const size_t sizes[] = {1024, 2065, 38, 32785, 8209, 16401};
	uint8_t frame[FRAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (uint8_t rotation = 0; rotation <= 2; rotation++) {
			frame_write(frame, sizes[i], rotation);
			assert_int_equal(frame[0], 8);
			assert_int_equal(frame[1], frame_size_tag(sizes[i]));
			assert_int_equal(frame[2], 0);
			assert_int_equal(frame[3], rotation);
			assert_int_equal(frame_check(frame, sizes[i]), 0);
		}
	}
}

static void every_other_value_of_every_byte_is_refused(void **state)
{
	uint8_t frame[FRAME_SIZE];

	(void)state;
	for (unsigned at = 0; at < FRAME_SIZE; at++) {
		for (unsigned v = 0; v < 256; v++) {
			frame_write(frame, 1024, 1);
			if (frame[at] == v || (at == 3 && v <= 2))
				continue;
			frame[at] = (uint8_t)v;
			assert_int_equal(frame_check(frame, 1024), -EINVAL);
		}
	}
}

static void the_tag_of_another_size_is_refused(void **state)
{
	uint8_t frame[FRAME_SIZE];

	(void)state;
	frame_write(frame, 2065, 0);
	assert_int_equal(frame_check(frame, 1024), -EINVAL);
	frame_write(frame, 1024, 0);
	assert_int_equal(frame_check(frame, 2065), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_tags_are_nyms_and_0x80_is_the_rest),
		cmocka_unit_test(what_is_written_is_accepted),
		cmocka_unit_test(every_other_value_of_every_byte_is_refused),
		cmocka_unit_test(the_tag_of_another_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
