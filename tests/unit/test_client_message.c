/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../app/client/message.h"
#include "../../app/client/reassembly.h"
#include "core/bytes.h"

enum { ROOM = 1007, PIECE = ROOM - MESSAGE_HEADER_SIZE };

static const uint64_t second = 1000000000;

/* A message cut into fragments, and the receiver it goes to. */
struct fixture {
	uint8_t *content, *stream;
	size_t len, stream_len;
	struct message_header h;
	struct reassembly *r;
	struct reassembly_whole whole;
	uint8_t datagram[MESSAGE_MAX_ROOM];
};

static struct fixture *cut(size_t len, const struct reassembly_limits *limits)
{
	static const struct reassembly_limits usual = {.max_total = 16 << 20,
		.max_memory = 32 << 20,
		.max_transfers = 8,
		.idle_ns = 10 * 1000000000ull};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->len = len;
	f->content = malloc(len + 1);
	randombytes_buf(f->content, len + 1);
	assert_int_equal(
		message_compose(NULL, f->content, len, NULL, 0, &f->stream, &f->stream_len), 0);
	assert_int_equal(message_split(&f->h, MESSAGE_DATA, f->stream_len, ROOM), 0);
	f->r = reassembly_create(limits ? limits : &usual);
	assert_non_null(f->r);
	return f;
}

static void drop(struct fixture *f)
{
	reassembly_free(f->r);
	free(f->content);
	free(f->stream);
	free(f);
}

static enum reassembly_result feed_at(struct fixture *f, uint32_t index, uint64_t now)
{
	size_t n = message_fragment(&f->h, f->stream, index, f->datagram);

	return reassembly_feed(f->r, f->datagram, n, now, &f->whole);
}

static enum reassembly_result feed(struct fixture *f, uint32_t index)
{
	return feed_at(f, index, second);
}

static void assert_whole(struct fixture *f)
{
	assert_int_equal(f->whole.view.content_len, f->len);
	assert_memory_equal(f->whole.view.content, f->content, f->len);
	assert_int_equal(reassembly_pending(f->r), 0);
	assert_int_equal(reassembly_memory(f->r), 0);
	free(f->whole.stream);
	f->whole.stream = NULL;
}

static void every_size_comes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 2, PIECE - MESSAGE_STREAM_OVERHEAD - 1,
		PIECE - MESSAGE_STREAM_OVERHEAD, PIECE - MESSAGE_STREAM_OVERHEAD + 1, PIECE,
		2 * PIECE - MESSAGE_STREAM_OVERHEAD, 65536, 1000000, 1 << 20};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct fixture *f = cut(sizes[s], NULL);

		assert_int_equal(f->h.count, (f->stream_len + PIECE - 1) / PIECE);
		for (uint32_t i = 0; i + 1 < f->h.count; i++)
			assert_int_equal(feed(f, i), REASSEMBLY_ADDED);
		assert_int_equal(feed(f, f->h.count - 1), REASSEMBLY_COMPLETE);
		assert_int_equal(f->whole.info.reordered, 0);
		assert_whole(f);
		drop(f);
	}
}

static void every_order_gives_the_same_message(void **state)
{
	(void)state;
	for (int run = 0; run < 20; run++) {
		struct fixture *f = cut(50000, NULL);
		uint32_t order[64];

		assert_in_range(f->h.count, 40, 64);
		for (uint32_t i = 0; i < f->h.count; i++) {
			uint32_t j = randombytes_uniform(i + 1);

			order[i] = order[j];
			order[j] = i;
		}
		for (uint32_t i = 0; i + 1 < f->h.count; i++)
			assert_int_equal(feed(f, order[i]), REASSEMBLY_ADDED);
		assert_int_equal(feed(f, order[f->h.count - 1]), REASSEMBLY_COMPLETE);
		assert_whole(f);
		drop(f);
	}
}

static void reversed_fragments_count_as_reordered(void **state)
{
	struct fixture *f = cut(5 * PIECE, NULL);
	uint32_t n = f->h.count;

	(void)state;
	for (uint32_t i = n - 1; i > 0; i--)
		assert_int_equal(feed(f, i), REASSEMBLY_ADDED);
	assert_int_equal(feed(f, 0), REASSEMBLY_COMPLETE);
	assert_int_equal(f->whole.info.reordered, n - 1);
	assert_whole(f);
	drop(f);
}

static void missing_fragments_are_named(void **state)
{
	struct fixture *f = cut(12 * PIECE, NULL);
	char text[64], tight[12];

	(void)state;
	for (uint32_t i = 0; i < f->h.count; i++)
		if (i != 0 && i != 3 && i != 4 && i != 5 && i != 8)
			assert_int_equal(feed(f, i), REASSEMBLY_ADDED);
	assert_int_equal(reassembly_pending(f->r), 1);
	assert_int_equal(reassembly_missing(f->r, 0, text, sizeof(text)), 5);
	assert_string_equal(text, "0, 3-5, 8");
	assert_int_equal(reassembly_missing(f->r, 0, tight, sizeof(tight)), 5);
	assert_string_equal(tight, "0, 3-5, ...");
	drop(f);
}

static void duplicates_are_counted_and_harmless(void **state)
{
	struct fixture *f = cut(3 * PIECE, NULL);

	(void)state;
	for (uint32_t i = 0; i + 1 < f->h.count; i++) {
		assert_int_equal(feed(f, i), REASSEMBLY_ADDED);
		assert_int_equal(feed(f, i), REASSEMBLY_DUPLICATE);
	}
	assert_int_equal(feed(f, f->h.count - 1), REASSEMBLY_COMPLETE);
	assert_int_equal(f->whole.info.duplicates, f->h.count - 1);
	assert_whole(f);
	/* a straggler does not start the finished transfer anew */
	assert_int_equal(feed(f, 0), REASSEMBLY_DUPLICATE);
	assert_int_equal(reassembly_pending(f->r), 0);
	assert_int_equal(reassembly_counters(f->r)[REASSEMBLY_DUPLICATE], f->h.count);
	drop(f);
}

static void the_first_of_two_conflicting_fragments_stays(void **state)
{
	struct fixture *f = cut(3 * PIECE, NULL);
	size_t n;

	(void)state;
	assert_int_equal(feed(f, 1), REASSEMBLY_ADDED);
	n = message_fragment(&f->h, f->stream, 1, f->datagram);
	f->datagram[n - 1] ^= 1;
	assert_int_equal(
		reassembly_feed(f->r, f->datagram, n, second, &f->whole), REASSEMBLY_CONFLICT);
	for (uint32_t i = 0; i < f->h.count; i++)
		if (i != 1)
			feed(f, i);
	assert_non_null(f->whole.stream);
	assert_int_equal(f->whole.info.conflicts, 1);
	assert_whole(f);
	drop(f);
}

static void a_header_that_contradicts_its_transfer_is_a_conflict(void **state)
{
	struct fixture *f = cut(3 * PIECE, NULL);
	struct message_header other = f->h;
	size_t n;

	(void)state;
	assert_int_equal(feed(f, 0), REASSEMBLY_ADDED);
	other.total += PIECE;
	other.count++;
	other.index = 1;
	n = message_encode(f->datagram, &other, f->stream);
	assert_int_equal(
		reassembly_feed(f->r, f->datagram, n, second, &f->whole), REASSEMBLY_CONFLICT);
	other = f->h;
	other.type = MESSAGE_REPLY;
	n = message_encode(f->datagram, &other, f->stream);
	assert_int_equal(
		reassembly_feed(f->r, f->datagram, n, second, &f->whole), REASSEMBLY_CONFLICT);
	drop(f);
}

static void a_wrong_byte_anywhere_is_damage(void **state)
{
	(void)state;
	for (int run = 0; run < 50; run++) {
		struct fixture *f = cut(3 * PIECE, NULL);
		enum reassembly_result last = REASSEMBLY_ADDED;

		f->stream[randombytes_uniform((uint32_t)f->stream_len)] ^= 0x40;
		for (uint32_t i = 0; i < f->h.count; i++)
			last = feed(f, i);
		assert_int_equal(last, REASSEMBLY_DAMAGED);
		assert_null(f->whole.stream);
		assert_int_equal(reassembly_memory(f->r), 0);
		drop(f);
	}
}

static void a_malformed_fragment_is_refused(void **state)
{
	struct fixture *f = cut(3 * PIECE, NULL);
	const size_t n = message_fragment(&f->h, f->stream, 0, f->datagram);
	uint8_t bad[ROOM + 1];
	static const struct {
		unsigned at;
		uint8_t bits;
	} flips[] = {
		{0, 1},     /* magic */
		{4, 3},     /* layout */
		{5, 4},     /* type 5 */
		{5, 1},     /* type 0 */
		{6, 1},     /* piece longer than the fragment */
		{7, 1},     /* piece by one off */
		{8, 0x80},  /* index beyond count */
		{12, 0x80}, /* count that does not follow from total */
		{15, 1},    /* count by one off */
		{16, 0x80}, /* total beyond the layout's limit */
		{20, 0x01}, /* total that does not follow from count */
	};

	(void)state;
	assert_int_equal(n, ROOM);
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		memcpy(bad, f->datagram, n);
		bad[flips[i].at] ^= flips[i].bits;
		assert_int_equal(
			reassembly_feed(f->r, bad, n, second, &f->whole), REASSEMBLY_MALFORMED);
	}
	memcpy(bad, f->datagram, n);
	for (size_t len = 0; len <= ROOM + 1; len++)
		if (len != n)
			assert_int_equal(reassembly_feed(f->r, bad, len, second, &f->whole),
				REASSEMBLY_MALFORMED);
	assert_int_equal(reassembly_pending(f->r), 0);
	drop(f);
}

static void random_and_mutated_datagrams_never_harm(void **state)
{
	struct fixture *f = cut(3 * PIECE, NULL);

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t n = message_fragment(
			&f->h, f->stream, randombytes_uniform(f->h.count), f->datagram);
		uint32_t r = randombytes_random();

		for (uint32_t k = 0; k < 1 + (r & 3); k++) {
			uint32_t where = randombytes_random();

			f->datagram[where % MESSAGE_HEADER_SIZE] = (uint8_t)(where >> 24);
		}
		if (r & 4)
			n = (r >> 8) % (ROOM + 1);
		reassembly_feed(f->r, f->datagram, n, (uint64_t)i * 1000000, &f->whole);
		free(f->whole.stream);
		f->whole.stream = NULL;
		assert_true(reassembly_memory(f->r) <= 32 << 20);
		assert_true(reassembly_pending(f->r) <= 8);
	}
	drop(f);
}

static void a_message_beyond_the_limit_is_refused_at_once(void **state)
{
	const struct reassembly_limits limits = {
		.max_total = 10000, .max_memory = 20000, .max_transfers = 4, .idle_ns = 1};
	struct fixture *f = cut(10000, &limits);

	(void)state;
	assert_int_equal(feed(f, 0), REASSEMBLY_TOO_LARGE);
	assert_int_equal(reassembly_memory(f->r), 0);
	drop(f);
}

static void strangers_cannot_use_up_memory(void **state)
{
	const struct reassembly_limits limits = {.max_total = 1 << 20,
		.max_memory = 2 << 20,
		.max_transfers = 1024,
		.idle_ns = 10 * second};
	struct fixture *f = cut(1000000, &limits);
	uint64_t full = 0;

	(void)state;
	/* each of them begins a megabyte and goes away after some fragments */
	for (int t = 0; t < 1000; t++) {
		randombytes_buf(f->h.id, sizeof(f->h.id));
		for (uint32_t i = 0; i < 10; i++)
			full += feed(f, i) == REASSEMBLY_NO_ROOM;
		assert_true(reassembly_memory(f->r) <= limits.max_memory);
	}
	assert_true(full > 1000);
	/* when they have been silent for long enough, an honest message finds its room */
	randombytes_buf(f->h.id, sizeof(f->h.id));
	for (uint32_t i = 0; i < f->h.count; i++)
		feed_at(f, i, 20 * second);
	assert_non_null(f->whole.stream);
	assert_true(reassembly_given_up(f->r) > 0);
	assert_memory_equal(f->whole.view.content, f->content, f->len);
	free(f->whole.stream);
	drop(f);
}

static void a_busy_transfer_is_not_given_up_for_a_new_one(void **state)
{
	const struct reassembly_limits limits = {.max_total = 1 << 20,
		.max_memory = 2 << 20,
		.max_transfers = 1,
		.idle_ns = 10 * second};
	struct fixture *f = cut(3 * PIECE, &limits);
	uint8_t mine[MESSAGE_ID_SIZE];

	(void)state;
	memcpy(mine, f->h.id, sizeof(mine));
	assert_int_equal(feed_at(f, 0, 5 * second), REASSEMBLY_ADDED);
	randombytes_buf(f->h.id, sizeof(f->h.id));
	assert_int_equal(feed_at(f, 0, 14 * second), REASSEMBLY_NO_ROOM);
	memcpy(f->h.id, mine, sizeof(mine));
	for (uint32_t i = 1; i < f->h.count; i++)
		feed_at(f, i, 14 * second);
	assert_whole(f);
	drop(f);
}

static void transfers_may_interleave(void **state)
{
	struct fixture *f = cut(20 * PIECE, NULL);
	uint8_t id[4][MESSAGE_ID_SIZE];
	int complete = 0;

	(void)state;
	randombytes_buf(id, sizeof(id));
	for (uint32_t i = 0; i < f->h.count; i++)
		for (int t = 0; t < 4; t++) {
			memcpy(f->h.id, id[t], MESSAGE_ID_SIZE);
			if (feed(f, i) != REASSEMBLY_COMPLETE)
				continue;
			complete++;
			assert_memory_equal(f->whole.view.content, f->content, f->len);
			free(f->whole.stream);
		}
	assert_int_equal(complete, 4);
	drop(f);
}

static void reply_blocks_travel_with_the_message(void **state)
{
	uint8_t data[3][1340], answers[MESSAGE_ID_SIZE], *stream;
	const struct message_block in[3] = {
		{258, 1340, data[0]}, {259, 428, data[1]}, {260, 396, data[2]}};
	struct message_block out;
	struct message_view v;
	size_t len, offset = 0;

	(void)state;
	randombytes_buf(data, sizeof(data));
	randombytes_buf(answers, sizeof(answers));
	assert_int_equal(
		message_compose(answers, (const uint8_t *)"hello", 5, in, 3, &stream, &len), 0);
	assert_int_equal(message_parse(stream, len, &v), 0);
	assert_memory_equal(v.answers, answers, sizeof(answers));
	assert_int_equal(v.content_len, 5);
	assert_memory_equal(v.content, "hello", 5);
	assert_int_equal(v.block_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(message_next_block(&v, &offset, &out), 1);
		assert_int_equal(out.version, in[i].version);
		assert_int_equal(out.len, in[i].len);
		assert_memory_equal(out.data, in[i].data, in[i].len);
	}
	assert_int_equal(message_next_block(&v, &offset, &out), 0);
	free(stream);
}

/* A stream with a right hash and lying lengths: only a hostile sender makes it. */
static void lying_lengths_inside_a_stream_are_refused(void **state)
{
	uint8_t block[400] = {0}, *stream;
	const struct message_block in = {260, sizeof(block), block};
	struct message_view v;
	size_t len;

	(void)state;
	for (unsigned lie = 0; lie < 4; lie++) {
		static const uint64_t lengths[] = {UINT64_MAX, 506, 1 << 20, 99};

		assert_int_equal(message_compose(NULL, block, 100, &in, 1, &stream, &len), 0);
		store_be64(stream + 48, lengths[lie]);
		crypto_generichash(stream, 32, stream + 32, len - 32, NULL, 0);
		assert_int_equal(message_parse(stream, len, &v), -EBADMSG);
		free(stream);
	}
	assert_int_equal(message_compose(NULL, block, 100, &in, 1, &stream, &len), 0);
	store_be16(stream + 56 + 100 + 2, 401);
	crypto_generichash(stream, 32, stream + 32, len - 32, NULL, 0);
	assert_int_equal(message_parse(stream, len, &v), -EBADMSG);
	for (size_t n = 0; n < MESSAGE_STREAM_OVERHEAD; n++)
		assert_int_equal(message_parse(stream, n, &v), -EBADMSG);
	free(stream);
}

static void rooms_outside_the_limits_are_refused(void **state)
{
	struct message_header h;

	(void)state;
	assert_int_equal(message_split(&h, MESSAGE_DATA, 100, MESSAGE_MIN_ROOM - 1), -EINVAL);
	assert_int_equal(message_split(&h, MESSAGE_DATA, 100, MESSAGE_MAX_ROOM + 1), -EINVAL);
	assert_int_equal(message_split(&h, MESSAGE_DATA, 0, ROOM), -EINVAL);
	assert_int_equal(message_split(&h, MESSAGE_DATA, 100, MESSAGE_MIN_ROOM), 0);
	assert_int_equal(h.count, 4);
	assert_int_equal(
		message_split(&h, MESSAGE_DATA, (size_t)1 << 39, MESSAGE_MIN_ROOM), -EFBIG);
}

static void capacity_is_the_longest_content_that_fits(void **state)
{
	(void)state;
	for (uint32_t packets = 1; packets < 5; packets++) {
		uint64_t fits = message_capacity(packets, ROOM);
		struct fixture *f = cut((size_t)fits, NULL);

		assert_int_equal(f->h.count, packets);
		drop(f);
		f = cut((size_t)fits + 1, NULL);
		assert_int_equal(f->h.count, packets + 1);
		drop(f);
	}
	assert_int_equal(message_capacity(1, MESSAGE_MIN_ROOM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back),
		cmocka_unit_test(every_order_gives_the_same_message),
		cmocka_unit_test(reversed_fragments_count_as_reordered),
		cmocka_unit_test(missing_fragments_are_named),
		cmocka_unit_test(duplicates_are_counted_and_harmless),
		cmocka_unit_test(the_first_of_two_conflicting_fragments_stays),
		cmocka_unit_test(a_header_that_contradicts_its_transfer_is_a_conflict),
		cmocka_unit_test(a_wrong_byte_anywhere_is_damage),
		cmocka_unit_test(a_malformed_fragment_is_refused),
		cmocka_unit_test(random_and_mutated_datagrams_never_harm),
		cmocka_unit_test(a_message_beyond_the_limit_is_refused_at_once),
		cmocka_unit_test(strangers_cannot_use_up_memory),
		cmocka_unit_test(a_busy_transfer_is_not_given_up_for_a_new_one),
		cmocka_unit_test(transfers_may_interleave),
		cmocka_unit_test(reply_blocks_travel_with_the_message),
		cmocka_unit_test(lying_lengths_inside_a_stream_are_refused),
		cmocka_unit_test(rooms_outside_the_limits_are_refused),
		cmocka_unit_test(capacity_is_the_longest_content_that_fits),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
