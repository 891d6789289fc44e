/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>
#include "../../app/testmix/message.h"

enum { ROOM = 1007, COUNT = 1000 };

static struct message_run run;
static uint8_t text[ROOM + 1];

static int start(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	message_run_init(&run);
	return 0;
}

static enum message_verdict check(const uint8_t *data, size_t len, size_t fixed, uint64_t *seq)
{
	return message_check(&run, data, len, fixed, ROOM, COUNT, seq);
}

static void what_was_written_is_right(void **state)
{
	(void)state;
	for (uint64_t s = 0; s < COUNT; s++) {
		size_t len = message_length(&run, s, 0, ROOM);
		uint64_t seq = ~s;

		message_write(&run, s, text, len);
		assert_int_equal(check(text, len, 0, &seq), MESSAGE_RIGHT);
		assert_int_equal(seq, s);
	}
}

static void lengths_cover_the_whole_range(void **state)
{
	size_t shortest = ROOM, longest = 0;

	(void)state;
	for (uint64_t s = 0; s < 20000; s++) {
		size_t len = message_length(&run, s, 0, ROOM);

		assert_in_range(len, MESSAGE_MIN, ROOM);
		shortest = len < shortest ? len : shortest;
		longest = len > longest ? len : longest;
	}
	assert_int_equal(shortest, MESSAGE_MIN);
	assert_int_equal(longest, ROOM);
	assert_int_equal(message_length(&run, 7, 100, ROOM), 100);
}

static void any_altered_byte_is_noticed(void **state)
{
	uint64_t seq;

	(void)state;
	message_write(&run, 5, text, ROOM);
	assert_int_equal(check(text, ROOM, ROOM, &seq), MESSAGE_RIGHT);
	for (size_t i = 0; i < ROOM; i++) {
		text[i] ^= 0x10;
		assert_int_equal(check(text, ROOM, ROOM, &seq),
			i < sizeof(run.id) ? MESSAGE_FOREIGN : MESSAGE_CORRUPT);
		text[i] ^= 0x10;
	}
}

static void another_number_with_its_own_content_is_right(void **state)
{
	uint64_t seq;
	uint8_t second[100];

	(void)state;
	message_write(&run, 5, text, 100);
	message_write(&run, 6, second, 100);
	assert_memory_not_equal(text + MESSAGE_MIN, second + MESSAGE_MIN, 100 - MESSAGE_MIN);
	memcpy(second + MESSAGE_MIN, text + MESSAGE_MIN, 100 - MESSAGE_MIN);
	assert_int_equal(check(second, 100, 100, &seq), MESSAGE_CORRUPT);
}

static void another_length_is_noticed(void **state)
{
	size_t len = message_length(&run, 9, 0, ROOM - 1);
	uint64_t seq;

	(void)state;
	message_write(&run, 9, text, len + 1);
	assert_int_equal(message_check(&run, text, len, 0, ROOM - 1, COUNT, &seq), MESSAGE_RIGHT);
	assert_int_equal(
		message_check(&run, text, len + 1, 0, ROOM - 1, COUNT, &seq), MESSAGE_CORRUPT);
}

static void shorter_than_a_header_is_foreign(void **state)
{
	uint64_t seq;

	(void)state;
	message_write(&run, 1, text, MESSAGE_MIN);
	for (size_t len = 0; len < MESSAGE_MIN; len++)
		assert_int_equal(check(text, len, 0, &seq), MESSAGE_FOREIGN);
}

static void numbers_beyond_the_run_are_corrupt(void **state)
{
	uint64_t seq;

	(void)state;
	message_write(&run, COUNT, text, 64);
	assert_int_equal(check(text, 64, 64, &seq), MESSAGE_CORRUPT);
}

static void another_run_is_foreign(void **state)
{
	uint64_t seq;

	(void)state;
	message_write(&run, 1, text, 64);
	message_run_init(&run);
	assert_int_equal(check(text, 64, 64, &seq), MESSAGE_FOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_right),
		cmocka_unit_test(lengths_cover_the_whole_range),
		cmocka_unit_test(any_altered_byte_is_noticed),
		cmocka_unit_test(another_number_with_its_own_content_is_right),
		cmocka_unit_test(another_length_is_noticed),
		cmocka_unit_test(shorter_than_a_header_is_foreign),
		cmocka_unit_test(numbers_beyond_the_run_are_corrupt),
		cmocka_unit_test(another_run_is_foreign),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
