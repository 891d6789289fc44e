/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include "core/bytes.h"
#include "crypto/aes_ctr.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"
#include "small_order.h"
#include "sphinx_path.h"

/* ---- round trips ---- */

static void a_packet_arrives_for_every_route_version_and_size(void **state)
{
	static const uint16_t versions[] = {258, 259, 260, 0, 2, 256, 65535};
	static const size_t payloads[] = {SPHINX_PAYLOAD_MIN, 38, 1024, 2065};
	static uint8_t message[2065];

	(void)state;
	randombytes_buf(message, sizeof(message));
	for (unsigned hops = 1; hops <= SPHINX_MAX_HOPS; hops++) {
		for (size_t v = 0; v < sizeof(versions) / sizeof(*versions); v++) {
			for (size_t s = 0; s < sizeof(payloads) / sizeof(*payloads); s++) {
				const size_t len = payloads[s] - SPHINX_PAYLOAD_OVERHEAD;
				struct path p;
				uint8_t *packet;

				path_make(&p, hops, versions[v]);
				packet = path_build(&p, payloads[s], message, len);
				path_walk(&p, packet, payloads[s]);
				assert_message(packet, payloads[s], message, len);
				free(packet);
			}
		}
	}
}

static void the_largest_packet_arrives(void **state)
{
	static uint8_t message[SPHINX_PAYLOAD_MAX - SPHINX_PAYLOAD_OVERHEAD];
	struct path p;
	uint8_t *packet;

	(void)state;
	randombytes_buf(message, sizeof(message));
	path_make(&p, 5, SPHINX_V259);
	packet = path_build(&p, SPHINX_PAYLOAD_MAX, message, sizeof(message));
	path_walk(&p, packet, SPHINX_PAYLOAD_MAX);
	assert_message(packet, SPHINX_PAYLOAD_MAX, message, sizeof(message));
	free(packet);
}

static void a_message_has_any_length_up_to_17_bytes_less_than_the_payload(void **state)
{
	enum { PAYLOAD = 64, MOST = PAYLOAD - SPHINX_PAYLOAD_OVERHEAD };
	uint8_t message[MOST + 1], out[SPHINX_HEADER_SIZE + PAYLOAD];
	struct path p;

	(void)state;
	/* markers and zeros inside a message must not end it */
	memset(message, 1, sizeof(message));
	message[3] = 0;
	path_make(&p, 3, SPHINX_V258);
	for (size_t n = 0; n <= MOST; n++) {
		uint8_t *packet = path_build(&p, PAYLOAD, message, n);

		path_walk(&p, packet, PAYLOAD);
		assert_message(packet, PAYLOAD, message, n);
		free(packet);
	}
	assert_status(sphinx_build(crypto, &p.route, message, MOST + 1, PAYLOAD, NULL, out),
		SPHINX_bad_message);
}

static void two_packets_of_one_message_have_nothing_in_common(void **state)
{
	enum { SIZE = SPHINX_HEADER_SIZE + 256 };
	struct path p;
	uint8_t *a, *b;

	(void)state;
	path_make(&p, 3, SPHINX_V259);
	a = path_build(&p, 256, "same", 4);
	b = path_build(&p, 256, "same", 4);
	for (size_t i = 0; i + 8 <= SIZE; i += 8)
		assert_memory_not_equal(a + i, b + i, 8);
	free(a);
	free(b);
}

static void the_same_entropy_gives_the_same_packet(void **state)
{
	struct sphinx_entropy entropy;
	uint8_t a[SPHINX_HEADER_SIZE + 64], b[SPHINX_HEADER_SIZE + 64];
	struct path p;

	(void)state;
	randombytes_buf(&entropy, sizeof(entropy));
	path_make(&p, 4, SPHINX_V260);
	assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, &entropy, a), SPHINX_ok);
	assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, &entropy, b), SPHINX_ok);
	assert_memory_equal(a, b, sizeof(a));
	entropy.padding[0] ^= 1;
	assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, &entropy, b), SPHINX_ok);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* ---- unwrap: every error ---- */

static void open_refuses(
	const uint8_t secret[32], const uint8_t *packet, size_t len, enum sphinx_status want)
{
	struct sphinx_secrets secrets;

	memset(&secrets, 0xaa, sizeof(secrets));
	assert_status(sphinx_unwrap_open(crypto, secret, packet, len, &secrets), want);
	assert_true(sodium_is_zero((const uint8_t *)&secrets, sizeof(secrets)));
}

static void every_wrong_length_is_bad_length(void **state)
{
	const size_t least = SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN;
	struct sphinx_secrets secrets;
	struct path p;
	uint8_t *packet;

	(void)state;
	path_make(&p, 2, SPHINX_V258);
	packet = path_build(&p, SPHINX_PAYLOAD_MIN, NULL, 0);
	for (size_t n = 0; n < least; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		assert_non_null(cut);
		memcpy(cut, packet, n);
		open_refuses(p.secret[0], cut, n, SPHINX_bad_length);
		free(cut);
	}
	assert_status(sphinx_unwrap_open(crypto, p.secret[0], packet, least, &secrets), SPHINX_ok);
	open_refuses(p.secret[0], packet, PACKET_MAX + 1, SPHINX_bad_length);
	open_refuses(p.secret[0], packet, SIZE_MAX, SPHINX_bad_length);
	sodium_memzero(&secrets, sizeof(secrets));
	free(packet);
}

static void every_bit_of_gamma_and_beta_is_authenticated(void **state)
{
	struct path p;
	uint8_t *packet;

	(void)state;
	path_make(&p, 3, SPHINX_V258);
	packet = path_build(&p, 64, "x", 1);
	for (size_t bit = 8 * PACKET_GAMMA; bit < 8 * SPHINX_HEADER_SIZE; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		open_refuses(p.secret[0], packet, SPHINX_HEADER_SIZE + 64, SPHINX_bad_mac);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	path_walk(&p, packet, 64);
	free(packet);
}

static void another_alpha_or_another_key_is_bad_mac_but_for_bit_255(void **state)
{
	struct path p;
	uint8_t *packet;

	(void)state;
	path_make(&p, 1, SPHINX_V259);
	packet = path_build(&p, 64, "x", 1);
	for (size_t bit = 0; bit < 255; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		open_refuses(p.secret[0], packet, SPHINX_HEADER_SIZE + 64, SPHINX_bad_mac);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	open_refuses(p.secret[1], packet, SPHINX_HEADER_SIZE + 64, SPHINX_bad_mac);
	packet[31] ^= 0x80;
	path_walk(&p, packet, 64);
	free(packet);
}

static void every_alpha_of_small_order_is_bad_point(void **state)
{
	struct path p;
	uint8_t *packet;

	(void)state;
	path_make(&p, 2, SPHINX_V258);
	packet = path_build(&p, 64, NULL, 0);
	for (unsigned i = 0; i < 2 * SMALL_ORDER_COUNT; i++) {
		small_order_point(packet, i);
		open_refuses(p.secret[0], packet, SPHINX_HEADER_SIZE + 64, SPHINX_bad_point);
	}
	free(packet);
}

/* Writes flag and version into the first hop's block of a packet and mends the MAC: what only a
 * sender can do. */
static void forge_block(
	const struct path *p, uint8_t *packet, size_t len, uint8_t flag, uint16_t version)
{
	uint8_t *beta = packet + PACKET_BETA;
	struct sphinx_secrets s;

	assert_status(sphinx_unwrap_open(crypto, p->secret[0], packet, len, &s), SPHINX_ok);
	aes_ctr_xor(crypto, s.expanded, beta, beta, SPHINX_BETA_SIZE);
	beta[BLOCK_FLAG] = flag;
	store_be16(beta + BLOCK_VERSION, version);
	aes_ctr_xor(crypto, s.expanded, beta, beta, SPHINX_BETA_SIZE);
	sphinx_mac(crypto, s.expanded, beta, packet + PACKET_GAMMA);
	sodium_memzero(&s, sizeof(s));
}

/* The second half's answer to a forged block; secrets must be gone whatever it is. */
static enum sphinx_status finish_forged(uint8_t flag, uint16_t version, struct sphinx_hop *hop)
{
	const size_t len = SPHINX_HEADER_SIZE + 64;
	enum sphinx_status status;
	struct sphinx_secrets s;
	struct path p;
	uint8_t *packet;

	path_make(&p, 2, SPHINX_V259);
	packet = path_build(&p, 64, "x", 1);
	forge_block(&p, packet, len, flag, version);
	assert_status(sphinx_unwrap_open(crypto, p.secret[0], packet, len, &s), SPHINX_ok);
	status = sphinx_unwrap_finish(crypto, packet, len, &s, hop);
	assert_true(sodium_is_zero((const uint8_t *)&s, sizeof(s)));
	free(packet);
	return status;
}

static void every_flag_but_1_and_2_is_bad_routing_flag(void **state)
{
	struct sphinx_hop hop;

	(void)state;
	for (unsigned flag = 0; flag < 256; flag++) {
		assert_status(finish_forged((uint8_t)flag, SPHINX_V259, &hop),
			flag == 1 || flag == 2 ? SPHINX_ok : SPHINX_bad_routing_flag);
		assert_int_equal(hop.flag, flag);
	}
}

static void versions_1_and_257_are_refused_and_no_others(void **state)
{
	static const uint16_t taken[] = {0, 2, 3, 255, 256, 258, 259, 260, 261, 512, 513, 65535};
	struct sphinx_hop hop;

	(void)state;
	for (uint8_t flag = 1; flag <= 2; flag++) {
		assert_status(finish_forged(flag, 1, &hop), SPHINX_unsupported_version);
		assert_status(finish_forged(flag, 257, &hop), SPHINX_unsupported_version);
		for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
			assert_status(finish_forged(flag, taken[i], &hop), SPHINX_ok);
			assert_int_equal(hop.version, taken[i]);
		}
	}
}

/* open has refused such an alpha already; a caller that changed it in between is told so too. */
static void finish_refuses_an_alpha_of_small_order_and_wipes(void **state)
{
	const size_t len = SPHINX_HEADER_SIZE + 64;
	struct sphinx_secrets s;
	struct sphinx_hop hop;
	struct path p;
	uint8_t *packet;

	(void)state;
	path_make(&p, 2, SPHINX_V258);
	for (unsigned i = 0; i < 2 * SMALL_ORDER_COUNT; i++) {
		packet = path_build(&p, 64, NULL, 0);
		assert_status(sphinx_unwrap_open(crypto, p.secret[0], packet, len, &s), SPHINX_ok);
		small_order_point(packet, i);
		assert_status(
			sphinx_unwrap_finish(crypto, packet, len, &s, &hop), SPHINX_bad_point);
		assert_true(sodium_is_zero((const uint8_t *)&s, sizeof(s)));
		free(packet);
	}
}

static void both_halves_in_one_call_give_the_same_errors(void **state)
{
	struct sphinx_hop hop, none = {0};
	struct path p;
	uint8_t *packet;

	(void)state;
	path_make(&p, 2, SPHINX_V258);
	packet = path_build(&p, 64, NULL, 0);
	memset(&hop, 0xaa, sizeof(hop));
	assert_status(sphinx_unwrap(crypto, p.secret[0], packet, 380, &hop), SPHINX_bad_length);
	assert_memory_equal(&hop, &none, sizeof(hop));
	assert_status(sphinx_unwrap(crypto, p.secret[1], packet, SPHINX_HEADER_SIZE + 64, &hop),
		SPHINX_bad_mac);
	forge_block(&p, packet, SPHINX_HEADER_SIZE + 64, 3, SPHINX_V258);
	assert_status(sphinx_unwrap(crypto, p.secret[0], packet, SPHINX_HEADER_SIZE + 64, &hop),
		SPHINX_bad_routing_flag);
	memset(packet, 0, 32);
	assert_status(sphinx_unwrap(crypto, p.secret[0], packet, SPHINX_HEADER_SIZE + 64, &hop),
		SPHINX_bad_point);
	free(packet);
}

static void open_changes_nothing_in_the_packet_and_its_tag_is_the_same_twice(void **state)
{
	const size_t len = SPHINX_HEADER_SIZE + 64;
	uint8_t copy[SPHINX_HEADER_SIZE + 64], *packet;
	struct sphinx_secrets a, b;
	struct path p;

	(void)state;
	path_make(&p, 2, SPHINX_V259);
	packet = path_build(&p, 64, NULL, 0);
	memcpy(copy, packet, len);
	assert_status(sphinx_unwrap_open(crypto, p.secret[0], packet, len, &a), SPHINX_ok);
	assert_memory_equal(copy, packet, len);
	/* a changed payload is the same packet to the replay table */
	packet[len - 1] ^= 1;
	assert_status(sphinx_unwrap_open(crypto, p.secret[0], packet, len, &b), SPHINX_ok);
	assert_memory_equal(a.expanded + SPHINX_OFF_TAG, b.expanded + SPHINX_OFF_TAG, 32);
	free(packet);
}

/* ---- payload ---- */

static void a_payload_changed_anywhere_on_the_way_is_bad_payload_at_the_end(void **state)
{
	enum { PAYLOAD = 256 };
	static const size_t at[] = {0, 15, 31, 32, 33, 64, 128, PAYLOAD - 1};
	const uint8_t *message;
	struct sphinx_hop hop;
	struct path p;
	size_t n;

	(void)state;
	path_make(&p, 3, SPHINX_V259);
	for (unsigned where = 0; where < 3; where++) {
		for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
			uint8_t *packet = path_build(&p, PAYLOAD, "message", 7);

			for (unsigned h = 0; h < 3; h++) {
				if (h == where)
					packet[SPHINX_HEADER_SIZE + at[i]] ^= 0x10;
				assert_status(sphinx_unwrap(crypto, p.secret[h], packet,
						      SPHINX_HEADER_SIZE + PAYLOAD, &hop),
					SPHINX_ok);
			}
			assert_status(sphinx_payload_message(
					      packet + SPHINX_HEADER_SIZE, PAYLOAD, &message, &n),
				SPHINX_bad_payload);
			assert_null(message);
			assert_int_equal(n, 0);
			free(packet);
		}
	}
}

static void a_payload_without_prefix_or_marker_is_bad_payload(void **state)
{
	uint8_t payload[64] = {0};
	const uint8_t *message;
	size_t n;

	(void)state;
	assert_status(sphinx_payload_message(payload, 64, &message, &n), SPHINX_bad_payload);
	payload[16] = 1;
	assert_status(sphinx_payload_message(payload, 64, &message, &n), SPHINX_ok);
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < 16; i++) {
		payload[i] = 0x80;
		assert_status(
			sphinx_payload_message(payload, 64, &message, &n), SPHINX_bad_payload);
		payload[i] = 0;
	}
	for (size_t len = 0; len < SPHINX_PAYLOAD_OVERHEAD; len++)
		assert_status(
			sphinx_payload_message(payload, len, &message, &n), SPHINX_bad_payload);
	assert_status(
		sphinx_payload_message(payload, SPHINX_PAYLOAD_OVERHEAD, &message, &n), SPHINX_ok);
	/* the last 01 counts, as in Nym's crate, whatever follows it */
	payload[20] = 1;
	payload[40] = 9;
	assert_status(sphinx_payload_message(payload, 64, &message, &n), SPHINX_ok);
	assert_ptr_equal(message, payload + 16);
	assert_int_equal(n, 4);
}

/* ---- build: every error ---- */

static void build_refuses_what_cannot_be_built(void **state)
{
	static uint8_t out[PACKET_MAX + 1];
	static const size_t lengths[] = {0, 1, 16, 17, 32, SPHINX_PAYLOAD_MAX + 1, SIZE_MAX};
	struct path p;

	(void)state;
	path_make(&p, 0, SPHINX_V258);
	assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, NULL, out), SPHINX_bad_route);
	p.route.hops = SPHINX_MAX_HOPS + 1;
	assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, NULL, out), SPHINX_bad_route);
	p.route.hops = UINT32_MAX;
	assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, NULL, out), SPHINX_bad_route);
	p.route.hops = 3;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		assert_status(sphinx_build(crypto, &p.route, NULL, 0, lengths[i], NULL, out),
			SPHINX_bad_length);
	assert_status(sphinx_build(crypto, &p.route, out, 48, 64, NULL, out), SPHINX_bad_message);
	assert_status(
		sphinx_build(crypto, &p.route, out, SIZE_MAX, 64, NULL, out), SPHINX_bad_message);
	p.route.version = 1;
	assert_status(
		sphinx_build(crypto, &p.route, NULL, 0, 64, NULL, out), SPHINX_unsupported_version);
	p.route.version = 257;
	assert_status(
		sphinx_build(crypto, &p.route, NULL, 0, 64, NULL, out), SPHINX_unsupported_version);
	assert_true(sodium_is_zero(out, sizeof(out)));
}

static void a_hop_with_a_key_of_small_order_is_bad_point(void **state)
{
	uint8_t out[SPHINX_HEADER_SIZE + 64], surb[SURB_MAX_SIZE], recovery[SURB_RECOVERY_MAX_SIZE];
	uint8_t first[32] = {4};
	size_t surb_len, recovery_len;
	struct path p;

	(void)state;
	for (unsigned hop = 0; hop < SPHINX_MAX_HOPS; hop++) {
		for (unsigned i = 0; i < 2 * SMALL_ORDER_COUNT; i++) {
			path_make(&p, SPHINX_MAX_HOPS, SPHINX_V260);
			small_order_point(p.route.hop[hop].public_key, i);
			assert_status(sphinx_build(crypto, &p.route, NULL, 0, 64, NULL, out),
				SPHINX_bad_point);
			assert_status(surb_create(crypto, &p.route, first, NULL, surb, &surb_len,
					      recovery, &recovery_len),
				SPHINX_bad_point);
			assert_int_equal(surb_len, 0);
			assert_int_equal(recovery_len, 0);
		}
	}
}

/* ---- constants ---- */

static void the_salts_in_the_source_are_the_states_of_their_texts(void **state)
{
	static const char salt[] = "sphinx-payload-key-V01-CS01-HKDF:SHA256-SALT";
	struct hmac_key k;

	(void)state;
	hmac_key_init(crypto, &k, NULL, 0);
	assert_memory_equal(&k, &sphinx_expand_salt, sizeof(k));
	hmac_key_init(crypto, &k, salt, sizeof(salt) - 1);
	assert_memory_equal(&k, &sphinx_payload_salt, sizeof(k));
	assert_memory_equal(sphinx_payload_info + sizeof(sphinx_payload_info) - 4, "INFO", 4);
	assert_memory_equal(sphinx_expand_info + sizeof(sphinx_expand_info) - 3, "gh.", 3);
}

static void statuses_have_their_names_and_texts(void **state)
{
	(void)state;
	assert_string_equal(sphinx_status_name(SPHINX_ok), "ok");
	assert_string_equal(sphinx_status_name(SPHINX_bad_mac), "bad_mac");
	assert_string_equal(sphinx_status_name(SPHINX_bad_address), "bad_address");
	assert_string_equal(sphinx_status_name(SPHINX_bad_address + 1), "?");
	assert_string_equal(sphinx_status_text(SPHINX_bad_address + 1), "?");
	for (enum sphinx_status s = SPHINX_ok; s <= SPHINX_bad_address; s++)
		assert_true(strlen(sphinx_status_text(s)) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_arrives_for_every_route_version_and_size),
		cmocka_unit_test(the_largest_packet_arrives),
		cmocka_unit_test(a_message_has_any_length_up_to_17_bytes_less_than_the_payload),
		cmocka_unit_test(two_packets_of_one_message_have_nothing_in_common),
		cmocka_unit_test(the_same_entropy_gives_the_same_packet),
		cmocka_unit_test(every_wrong_length_is_bad_length),
		cmocka_unit_test(every_bit_of_gamma_and_beta_is_authenticated),
		cmocka_unit_test(another_alpha_or_another_key_is_bad_mac_but_for_bit_255),
		cmocka_unit_test(every_alpha_of_small_order_is_bad_point),
		cmocka_unit_test(every_flag_but_1_and_2_is_bad_routing_flag),
		cmocka_unit_test(versions_1_and_257_are_refused_and_no_others),
		cmocka_unit_test(finish_refuses_an_alpha_of_small_order_and_wipes),
		cmocka_unit_test(both_halves_in_one_call_give_the_same_errors),
		cmocka_unit_test(open_changes_nothing_in_the_packet_and_its_tag_is_the_same_twice),
		cmocka_unit_test(a_payload_changed_anywhere_on_the_way_is_bad_payload_at_the_end),
		cmocka_unit_test(a_payload_without_prefix_or_marker_is_bad_payload),
		cmocka_unit_test(build_refuses_what_cannot_be_built),
		cmocka_unit_test(a_hop_with_a_key_of_small_order_is_bad_point),
		cmocka_unit_test(the_salts_in_the_source_are_the_states_of_their_texts),
		cmocka_unit_test(statuses_have_their_names_and_texts),
	};

	return cmocka_run_group_tests(tests, path_setup, path_teardown);
}
