/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/bytes.h"
#include "../../app/testmix/wire.h"

static const struct wire_end src = {{2, 0, 0, 0, 0, 1}, {10, 10, 0, 1}, 40000};
static const struct wire_end dst = {{2, 0, 0, 0, 0, 2}, {10, 10, 0, 2}, 9000};

static void assert_end(const struct wire_end *is, const struct wire_end *must)
{
	assert_memory_equal(is->mac, must->mac, 6);
	assert_memory_equal(is->ip, must->ip, 4);
	assert_int_equal(is->port, must->port);
}

/* A frame on the heap of exactly its length, so that a sanitizer sees every read beyond it. */
static uint8_t *udp_frame(size_t payload_len, size_t *len)
{
	uint8_t *f = malloc(WIRE_HEADERS + payload_len);

	assert_non_null(f);
	for (size_t i = 0; i < payload_len; i++)
		f[WIRE_HEADERS + i] = (uint8_t)(i * 31 + payload_len);
	*len = wire_write_udp(f, &src, &dst, payload_len);
	assert_int_equal(*len, WIRE_HEADERS + payload_len);
	return f;
}

static void udp_survives_the_way(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 33, 1375, 1376, 1472};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct wire_frame out;
		size_t len;
		uint8_t *f = udp_frame(sizes[i], &len);

		assert_int_equal(wire_parse(f, len, &out), WIRE_UDP);
		assert_end(&out.src, &src);
		assert_end(&out.dst, &dst);
		assert_ptr_equal(out.payload, f + WIRE_HEADERS);
		assert_int_equal(out.payload_len, sizes[i]);
		free(f);
	}
}

/* The header of RFC 1071's kind of example, summed by hand: 45 00 00 1c, id 0, DF, TTL 64, UDP. */
static void ip_header_is_what_the_rfc_says(void **state)
{
	static const uint8_t want[WIRE_IP4_SIZE] = {
		0x45, 0, 0, 0x1c, 0, 0, 0x40, 0, 64, 17, 0x26, 0xbb, 10, 10, 0, 1, 10, 10, 0, 2};
	size_t len;
	uint8_t *f = udp_frame(0, &len);

	(void)state;
	assert_memory_equal(f + WIRE_ETH_SIZE, want, sizeof(want));
	free(f);
}

static void one_flipped_bit_of_ip_or_udp_is_noticed(void **state)
{
	struct wire_frame out;
	size_t len;
	uint8_t *f = udp_frame(40, &len);

	(void)state;
	for (size_t i = WIRE_ETH_SIZE; i < len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			f[i] ^= (uint8_t)(1 << bit);
			assert_int_not_equal(wire_parse(f, len, &out), WIRE_UDP);
			f[i] ^= (uint8_t)(1 << bit);
		}
	free(f);
}

static void no_udp_checksum_is_allowed(void **state)
{
	struct wire_frame out;
	size_t len;
	uint8_t *f = udp_frame(40, &len);

	(void)state;
	store_be16(f + WIRE_ETH_SIZE + WIRE_IP4_SIZE + 6, 0);
	assert_int_equal(wire_parse(f, len, &out), WIRE_UDP);
	free(f);
}

static void every_truncation_is_bad(void **state)
{
	struct wire_frame out;
	size_t len;
	uint8_t *f = udp_frame(40, &len);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n + 1);

		assert_non_null(cut);
		memcpy(cut, f, n);
		cut = realloc(cut, n ? n : 1);
		assert_int_equal(wire_parse(cut, n, &out), WIRE_BAD);
		free(cut);
	}
	free(f);
}

static void ethernet_padding_is_ignored(void **state)
{
	uint8_t frame[64] = {0};
	struct wire_frame out;

	(void)state;
	wire_write_udp(frame, &src, &dst, 3);
	assert_int_equal(wire_parse(frame, sizeof(frame), &out), WIRE_UDP);
	assert_int_equal(out.payload_len, 3);
}

static void arp_request_and_reply(void **state)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none[6] = {0};
	uint8_t frame[WIRE_ARP_SIZE];
	struct wire_frame out;

	(void)state;
	wire_write_arp_request(frame, &src, dst.ip);
	assert_memory_equal(frame, broadcast, 6);
	assert_int_equal(wire_parse(frame, sizeof(frame), &out), WIRE_ARP_REQUEST);
	assert_memory_equal(out.src.mac, src.mac, 6);
	assert_memory_equal(out.src.ip, src.ip, 4);
	assert_memory_equal(out.dst.mac, none, 6);
	assert_memory_equal(out.dst.ip, dst.ip, 4);

	wire_write_arp_reply(frame, &dst, &out.src);
	assert_memory_equal(frame, src.mac, 6);
	assert_int_equal(wire_parse(frame, sizeof(frame), &out), WIRE_ARP_REPLY);
	assert_memory_equal(out.src.mac, dst.mac, 6);
	assert_memory_equal(out.src.ip, dst.ip, 4);
	assert_memory_equal(out.dst.mac, src.mac, 6);
	assert_memory_equal(out.dst.ip, src.ip, 4);
}

static void short_arp_is_bad(void **state)
{
	uint8_t frame[WIRE_ARP_SIZE];
	struct wire_frame out;

	(void)state;
	wire_write_arp_request(frame, &src, dst.ip);
	assert_int_equal(wire_parse(frame, WIRE_ARP_SIZE - 1, &out), WIRE_BAD);
}

static void other_protocols_are_left_alone(void **state)
{
	uint8_t frame[60] = {0};
	struct wire_frame out;

	(void)state;
	store_be16(frame + 12, 0x86dd);
	assert_int_equal(wire_parse(frame, sizeof(frame), &out), WIRE_OTHER);
	wire_write_arp_request(frame, &src, dst.ip);
	frame[WIRE_ETH_SIZE + 7] = 8;
	assert_int_equal(wire_parse(frame, sizeof(frame), &out), WIRE_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_survives_the_way),
		cmocka_unit_test(ip_header_is_what_the_rfc_says),
		cmocka_unit_test(one_flipped_bit_of_ip_or_udp_is_noticed),
		cmocka_unit_test(no_udp_checksum_is_allowed),
		cmocka_unit_test(every_truncation_is_bad),
		cmocka_unit_test(ethernet_padding_is_ignored),
		cmocka_unit_test(arp_request_and_reply),
		cmocka_unit_test(short_arp_is_bad),
		cmocka_unit_test(other_protocols_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
