/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "sphinx_path.h"

/* Single-use reply blocks: made by one, used by another, and every error of both. */

enum { PAYLOAD = 256, PACKET = SPHINX_HEADER_SIZE + PAYLOAD, KEYS = SPHINX_HEADER_SIZE + 32 };

static const uint16_t versions[] = {SPHINX_V258, SPHINX_V259, SPHINX_V260};

struct block {
	struct path path;
	uint8_t first[SPHINX_ADDRESS_SIZE];
	uint8_t bytes[SURB_MAX_SIZE], recovery[SURB_RECOVERY_MAX_SIZE];
	size_t len, recovery_len;
};

static void make_block(struct block *b, unsigned hops, uint16_t version)
{
	path_make(&b->path, hops, version);
	randombytes_buf(b->first, sizeof(b->first));
	assert_status(surb_create(crypto, &b->path.route, b->first, NULL, b->bytes, &b->len,
			      b->recovery, &b->recovery_len),
		SPHINX_ok);
}

static void use(const struct block *b, const void *message, size_t len, uint8_t packet[PACKET])
{
	uint8_t first[SPHINX_ADDRESS_SIZE];

	assert_status(surb_use(crypto, b->path.route.version, b->bytes, b->len, message, len,
			      PAYLOAD, packet, first),
		SPHINX_ok);
	assert_memory_equal(first, b->first, sizeof(first));
}

static void a_reply_comes_back_for_every_version_and_route(void **state)
{
	static const size_t sizes[] = {0, 1, 100, PAYLOAD - SPHINX_PAYLOAD_OVERHEAD};
	uint8_t message[PAYLOAD], packet[PACKET];

	(void)state;
	randombytes_buf(message, sizeof(message));
	for (unsigned hops = 1; hops <= SPHINX_MAX_HOPS; hops++) {
		for (size_t v = 0; v < 3; v++) {
			struct block b;

			make_block(&b, hops, versions[v]);
			for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
				const uint8_t *got = packet + SPHINX_HEADER_SIZE;
				size_t n = 0;

				use(&b, message, sizes[s], packet);
				path_walk(&b.path, packet, PAYLOAD);
				if (versions[v] != SPHINX_V260) {
					assert_message(packet, PAYLOAD, message, sizes[s]);
					continue;
				}
				assert_status(
					surb_recover(crypto, b.recovery, b.recovery_len,
						packet + SPHINX_HEADER_SIZE, PAYLOAD, &got, &n),
					SPHINX_ok);
				assert_int_equal(n, sizes[s]);
				assert_memory_equal(got, message, n);
			}
		}
	}
}

static void a_block_has_the_size_of_its_version(void **state)
{
	(void)state;
	for (unsigned hops = 1; hops <= SPHINX_MAX_HOPS; hops++) {
		struct block b;

		make_block(&b, hops, SPHINX_V258);
		assert_int_equal(b.len, KEYS + 192 * hops);
		assert_int_equal(b.recovery_len, 0);
		make_block(&b, hops, SPHINX_V259);
		assert_int_equal(b.len, KEYS + 16 * hops);
		assert_int_equal(b.recovery_len, 0);
		make_block(&b, hops, SPHINX_V260);
		assert_int_equal(b.len, KEYS + 16);
		assert_int_equal(b.recovery_len, 16 + 16 * hops);
		assert_memory_equal(b.recovery, b.path.route.identifier, 16);
		/* the seed in the block is the last of those that the maker keeps */
		assert_memory_equal(b.bytes + KEYS, b.recovery + 16 * hops, 16);
	}
}

static void create_refuses_versions_and_routes_without_blocks(void **state)
{
	static const uint16_t wrong[] = {0, 1, 256, 257, 261, 65535};
	uint8_t surb[SURB_MAX_SIZE], recovery[SURB_RECOVERY_MAX_SIZE], first[32] = {4};
	size_t len, recovery_len;
	struct path p;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		path_make(&p, 3, wrong[i]);
		len = recovery_len = 99;
		assert_status(surb_create(crypto, &p.route, first, NULL, surb, &len, recovery,
				      &recovery_len),
			SPHINX_bad_surb);
		assert_int_equal(len + recovery_len, 0);
	}
	for (size_t v = 0; v < 3; v++) {
		path_make(&p, 0, versions[v]);
		assert_status(surb_create(crypto, &p.route, first, NULL, surb, &len, recovery,
				      &recovery_len),
			SPHINX_bad_route);
		p.route.hops = SPHINX_MAX_HOPS + 1;
		assert_status(surb_create(crypto, &p.route, first, NULL, surb, &len, recovery,
				      &recovery_len),
			SPHINX_bad_route);
		assert_int_equal(len + recovery_len, 0);
	}
}

static void use_takes_only_the_lengths_of_the_version(void **state)
{
	static uint8_t bytes[SURB_MAX_SIZE + 200];
	uint8_t packet[PACKET], first[32];

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		const size_t keys = len > KEYS ? len - KEYS : 0;
		const bool right[] = {
			keys > 0 && keys % 192 == 0 && keys <= 5 * 192,
			keys > 0 && keys % 16 == 0 && keys <= 5 * 16,
			keys == 16,
		};

		for (size_t v = 0; v < 3; v++)
			assert_status(surb_use(crypto, versions[v], bytes, len, NULL, 0, PAYLOAD,
					      packet, first),
				right[v] ? SPHINX_ok : SPHINX_bad_surb);
		assert_status(surb_use(crypto, 257, bytes, len, NULL, 0, PAYLOAD, packet, first),
			SPHINX_bad_surb);
		assert_status(surb_use(crypto, 261, bytes, len, NULL, 0, PAYLOAD, packet, first),
			SPHINX_bad_surb);
	}
}

static void use_refuses_messages_and_payloads_out_of_range(void **state)
{
	uint8_t packet[PACKET], first[32], message[PAYLOAD] = {0};
	struct block b;

	(void)state;
	make_block(&b, 3, SPHINX_V259);
	assert_status(surb_use(crypto, SPHINX_V259, b.bytes, b.len, message, PAYLOAD - 16, PAYLOAD,
			      packet, first),
		SPHINX_bad_message);
	assert_status(surb_use(crypto, SPHINX_V259, b.bytes, b.len, message, 0,
			      SPHINX_PAYLOAD_MIN - 1, packet, first),
		SPHINX_bad_length);
	assert_status(surb_use(crypto, SPHINX_V259, b.bytes, b.len, message, 0,
			      SPHINX_PAYLOAD_MAX + 1, packet, first),
		SPHINX_bad_length);
}

static void recover_refuses_records_and_payloads_of_wrong_lengths(void **state)
{
	static uint8_t big[SPHINX_PAYLOAD_MAX + 1];
	uint8_t record[SURB_RECOVERY_MAX_SIZE + 32] = {0}, payload[PAYLOAD] = {0};
	const uint8_t *message;
	size_t n;

	(void)state;
	for (size_t len = 0; len <= sizeof(record); len++) {
		const bool right = len >= 32 && len <= 96 && len % 16 == 0;

		/* zeros are no reply: with a right length it is the padding that is wrong */
		memset(payload, 0, sizeof(payload));
		assert_status(surb_recover(crypto, record, len, payload, PAYLOAD, &message, &n),
			right ? SPHINX_bad_payload : SPHINX_bad_surb);
		assert_null(message);
		assert_int_equal(n, 0);
	}
	for (size_t len = 0; len < SPHINX_PAYLOAD_MIN; len++)
		assert_status(surb_recover(crypto, record, 32, payload, len, &message, &n),
			SPHINX_bad_length);
	assert_status(surb_recover(crypto, record, 32, big, sizeof(big), &message, &n),
		SPHINX_bad_length);
}

static void recover_refuses_a_changed_reply_and_another_blocks_record(void **state)
{
	uint8_t packet[PACKET], copy[PACKET];
	const uint8_t *message;
	struct block a, b;
	size_t n;

	(void)state;
	make_block(&a, 3, SPHINX_V260);
	make_block(&b, 3, SPHINX_V260);
	use(&a, "reply", 5, packet);
	path_walk(&a.path, packet, PAYLOAD);
	memcpy(copy, packet, sizeof(copy));
	assert_status(surb_recover(crypto, b.recovery, b.recovery_len, packet + SPHINX_HEADER_SIZE,
			      PAYLOAD, &message, &n),
		SPHINX_bad_payload);
	memcpy(packet, copy, sizeof(packet));
	packet[PACKET - 1] ^= 1;
	assert_status(surb_recover(crypto, a.recovery, a.recovery_len, packet + SPHINX_HEADER_SIZE,
			      PAYLOAD, &message, &n),
		SPHINX_bad_payload);
	memcpy(packet, copy, sizeof(packet));
	assert_status(surb_recover(crypto, a.recovery, a.recovery_len, packet + SPHINX_HEADER_SIZE,
			      PAYLOAD, &message, &n),
		SPHINX_ok);
	assert_int_equal(n, 5);
	assert_memory_equal(message, "reply", 5);
}

static void the_user_of_a_block_learns_no_key_of_another_hop_with_260(void **state)
{
	uint8_t plain[PACKET];
	const uint8_t *message;
	struct block b;
	size_t n;

	(void)state;
	/* what the last node sees is noise without the seeds that only the maker has */
	make_block(&b, 3, SPHINX_V260);
	use(&b, "reply", 5, plain);
	path_walk(&b.path, plain, PAYLOAD);
	assert_status(sphinx_payload_message(plain + SPHINX_HEADER_SIZE, PAYLOAD, &message, &n),
		SPHINX_bad_payload);
}

static void a_block_used_twice_gives_the_same_tag_at_every_hop(void **state)
{
	uint8_t one[PACKET], two[PACKET];
	struct sphinx_secrets s, t;
	struct block b;

	(void)state;
	/* so that the replay table lets it through once */
	make_block(&b, 3, SPHINX_V259);
	use(&b, "first", 5, one);
	use(&b, "second", 6, two);
	assert_memory_not_equal(one + SPHINX_HEADER_SIZE, two + SPHINX_HEADER_SIZE, PAYLOAD);
	assert_status(sphinx_unwrap_open(crypto, b.path.secret[0], one, PACKET, &s), SPHINX_ok);
	assert_status(sphinx_unwrap_open(crypto, b.path.secret[0], two, PACKET, &t), SPHINX_ok);
	assert_memory_equal(s.expanded + SPHINX_OFF_TAG, t.expanded + SPHINX_OFF_TAG, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_comes_back_for_every_version_and_route),
		cmocka_unit_test(a_block_has_the_size_of_its_version),
		cmocka_unit_test(create_refuses_versions_and_routes_without_blocks),
		cmocka_unit_test(use_takes_only_the_lengths_of_the_version),
		cmocka_unit_test(use_refuses_messages_and_payloads_out_of_range),
		cmocka_unit_test(recover_refuses_records_and_payloads_of_wrong_lengths),
		cmocka_unit_test(recover_refuses_a_changed_reply_and_another_blocks_record),
		cmocka_unit_test(the_user_of_a_block_learns_no_key_of_another_hop_with_260),
		cmocka_unit_test(a_block_used_twice_gives_the_same_tag_at_every_hop),
	};

	return cmocka_run_group_tests(tests, path_setup, path_teardown);
}
