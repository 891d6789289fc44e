/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that come in, and headers that go out. */
#include "linktest.h"

/* ---- parse ---- */

static void a_datagram_for_us_is_found(void **state)
{
	uint8_t f[MAX];

	(void)state;
	for (size_t data = 0; data < 70; data++) {
		assert_mix(f, datagram(f, 4, data), LINK_HEADER4, data);
		assert_mix(f, datagram(f, 6, data), LINK_HEADER6, data);
	}
	/* by broadcast, and with padding behind it */
	memset(f, 0xff, 6);
	assert_mix(f, datagram(f, 4, 3) + 15, LINK_HEADER4, 3);
	/* an IPv4 sender may leave the checksum out; link_parse trusts any other */
	memset(f + UDP4 + 6, 0, 2);
	assert_mix(f, LINK_HEADER4 + 3, LINK_HEADER4, 3);
	/* to the address of the link */
	datagram(f, 6, 3);
	memcpy(f + IP + 24, us.link_local, 16);
	assert_mix(f, LINK_HEADER6 + 3, LINK_HEADER6, 3);
}

static void a_datagram_tells_where_it_came_from(void **state)
{
	(void)state;
	for (uint8_t family = 4; family <= 6; family = (uint8_t)(family + 2)) {
		const struct endpoint want = endpoint_of(&peer, family);
		struct endpoint from;
		struct link_view v;
		uint8_t frame[MAX], *copy;
		size_t len = datagram(frame, family, DATA);

		assert_int_equal(parse(frame, len, &v), DROP_NONE);
		memset(&from, 0xee, sizeof(from));
		copy = exact(frame, v.offset);
		link_source(copy, v.offset, &from);
		free(copy);
		assert_memory_equal(&from, &want, sizeof(from));
	}
}

static void each_broken_field_has_its_reason(void **state)
{
	static const struct {
		uint8_t family, at, bytes;
		uint32_t value;
		enum drop_reason why;
	} change[] = {
		{4, 0, 1, 0x04, DROP_not_ours}, {4, 5, 1, 0x45, DROP_not_ours},
		{4, 12, 2, 0x8100, DROP_bad_ethernet}, {4, 12, 2, 0x88a8, DROP_bad_ethernet},
		{4, 12, 2, 1500, DROP_bad_ethernet}, /* a length: IEEE 802.3 */
		{4, 12, 2, 0x86dd, DROP_bad_ip}, {4, IP, 1, 0x65, DROP_bad_ip},
		{4, IP, 1, 0x44, DROP_bad_ip}, {4, IP, 1, 0x40, DROP_bad_ip},
		{4, IP, 1, 0x46, DROP_ip_options}, {4, IP + 2, 2, 19, DROP_bad_ip},
		{4, IP + 2, 2, 0, DROP_bad_ip}, {4, IP + 2, 2, 28 + DATA + 1, DROP_bad_ip},
		{4, IP + 2, 2, 0xffff, DROP_bad_ip}, {4, IP + 2, 2, 20, DROP_bad_udp},
		{4, IP + 2, 2, 27, DROP_bad_udp}, {4, IP + 6, 2, 0x2000, DROP_ip_fragment},
		{4, IP + 6, 2, 0x0001, DROP_ip_fragment}, {4, IP + 6, 2, 0x5fff, DROP_ip_fragment},
		{4, IP + 9, 1, IPPROTO_TCP, DROP_not_udp},
		{4, IP + 9, 1, IPPROTO_ICMP, DROP_not_udp}, /* of another type than echo */
		{4, IP + 16, 4, 0xc0000202, DROP_not_ours},
		{4, IP + 16, 4, 0xffffffff, DROP_not_ours},
		{4, UDP4 + 2, 2, PORT + 1, DROP_wrong_port}, {4, UDP4 + 4, 2, 0, DROP_bad_udp},
		{4, UDP4 + 4, 2, 7, DROP_bad_udp}, {4, UDP4 + 4, 2, 8 + DATA - 1, DROP_bad_udp},
		{4, UDP4 + 4, 2, 8 + DATA + 1, DROP_bad_udp}, {6, 12, 2, 0x0800, DROP_bad_ip},
		{6, IP, 1, 0x45, DROP_bad_ip}, {6, IP + 4, 2, 8 + DATA + 1, DROP_bad_ip},
		{6, IP + 4, 2, 0xffff, DROP_bad_ip}, {6, IP + 4, 2, 7, DROP_bad_udp},
		{6, IP + 4, 2, 0, DROP_bad_udp}, /* no jumbograms */
		{6, IP + 6, 1, IPPROTO_HOPOPTS, DROP_ip_options},
		{6, IP + 6, 1, IPPROTO_ROUTING, DROP_ip_options},
		{6, IP + 6, 1, IPPROTO_DSTOPTS, DROP_ip_options},
		{6, IP + 6, 1, IPPROTO_AH, DROP_ip_options},
		{6, IP + 6, 1, IPPROTO_FRAGMENT, DROP_ip_fragment},
		{6, IP + 6, 1, IPPROTO_TCP, DROP_not_udp},
		{6, IP + 6, 1, IPPROTO_NONE, DROP_not_udp},
		{6, IP + 6, 1, IPPROTO_ICMPV6, DROP_not_udp}, {6, IP + 39, 1, 2, DROP_not_ours},
		{6, UDP6 + 2, 2, PORT - 1, DROP_wrong_port},
		{6, UDP6 + 4, 2, 8 + DATA - 1, DROP_bad_udp},
		{6, UDP6 + 6, 2, 0, DROP_bad_udp}, /* RFC 8200, 8.1: not optional */
	};
	uint8_t f[MAX];

	(void)state;
	for (unsigned i = 0; i < sizeof(change) / sizeof(*change); i++) {
		const size_t len = datagram(f, change[i].family, DATA);

		for (unsigned k = 0; k < change[i].bytes; k++)
			f[change[i].at + k] =
				(uint8_t)(change[i].value >> 8 * (change[i].bytes - 1u - k));
		if (change[i].family == 4)
			mend_ipv4(f);
		assert_drop(f, len, change[i].why);
	}
}

static void every_bit_of_an_ipv4_header_is_under_its_checksum(void **state)
{
	uint8_t f[MAX];

	(void)state;
	for (unsigned bit = 0; bit < 160; bit++) {
		const size_t len = datagram(f, 4, DATA);
		struct link_view v;

		f[IP + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(parse(f, len, &v), DROP_NONE);
	}
}

static void groups_are_ours_only_for_control(void **state)
{
	uint8_t f[MAX], solicited[16] = {0xff, 2, [11] = 1, [12] = 0xff};
	size_t len = datagram(f, 6, DATA);

	(void)state;
	memcpy(f + IP + 24, all_nodes, 16);
	assert_drop(f, len, DROP_not_ours);
	len = solicitation(f, 6);
	assert_control(f, len);
	memcpy(f + IP + 24, all_nodes, 16);
	assert_control(f, len);
	memcpy(solicited + 13, us.link_local + 13, 3);
	memcpy(f + IP + 24, solicited, 16);
	assert_control(f, len);
	f[IP + 39] ^= 1;
	assert_drop(f, len, DROP_not_ours);
	f[IP + 39] ^= 1;
	f[IP + 25] = 5; /* another scope */
	assert_drop(f, len, DROP_not_ours);
}

static void a_host_without_a_family_owns_none_of_its_addresses(void **state)
{
	struct link_host four = us, six = us;
	struct link_view v;
	uint8_t f[MAX];
	size_t len = datagram(f, 6, DATA);

	(void)state;
	four.has_ipv6 = false;
	six.has_ipv4 = false;
	assert_int_equal(parse_as(&four, f, len, &v), DROP_not_ours);
	len = datagram(f, 4, DATA);
	assert_int_equal(parse_as(&six, f, len, &v), DROP_not_ours);
	assert_int_equal(parse_as(&four, f, len, &v), DROP_NONE);
}

static void control_gets_arp_nd_and_echo_requests_and_nothing_else(void **state)
{
	uint8_t f[MAX];
	size_t len;

	(void)state;
	assert_control(f, solicitation(f, 4));
	assert_control(f, answer(f, 4));
	assert_control(f, answer(f, 6));
	len = echo(f, 4, 8);
	for (unsigned type = 0; type < 256; type++) {
		f[ICMP4] = (uint8_t)type;
		if (type == 8)
			assert_control(f, len);
		else
			assert_drop(f, len, DROP_not_udp);
	}
	len = echo(f, 6, 8);
	for (unsigned type = 0; type < 256; type++) {
		f[ICMP6] = (uint8_t)type;
		if (type == 128 || type == 135 || type == 136)
			assert_control(f, len);
		else
			assert_drop(f, len, DROP_not_udp);
	}
}

static void an_icmp_header_that_is_not_there_is_not_read(void **state)
{
	uint8_t f[MAX];

	(void)state;
	echo(f, 4, 0);
	store_be16(f + IP + 2, 20);
	mend_ipv4(f);
	assert_drop(f, ICMP4, DROP_not_udp);
	echo(f, 6, 0);
	store_be16(f + IP + 4, 0);
	assert_drop(f, ICMP6, DROP_not_udp);
}

/* Cut at each length: as it comes, and with the lengths in its IP header made to agree. */
static void every_truncation_is_read_within_its_bounds(void **state)
{
	uint8_t good[MAX], f[MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const size_t len = datagram(good, family, DATA), l3 = family == 4 ? 34 : 54;

		for (size_t cut = 0; cut < len; cut++) {
			assert_drop(good, cut, cut < 14 ? DROP_bad_ethernet : DROP_bad_ip);
			assert_silence(good, cut);
			if (cut < l3)
				continue;
			memcpy(f, good, cut);
			store_be16(f + IP + (family == 4 ? 2 : 4),
				(uint16_t)(family == 4 ? cut - IP : cut - l3));
			if (family == 4)
				mend_ipv4(f);
			assert_drop(f, cut, DROP_bad_udp);
			if (cut < l3 + 8)
				continue;
			store_be16(f + l3 + 4, (uint16_t)(cut - l3));
			assert_mix(f, cut, l3 + 8, cut - l3 - 8);
		}
	}
}

/* ---- templates ---- */

static void headers_are_what_the_rfcs_say(void **state)
{
	static const uint8_t four[] = {2, 0, 0x11, 0x22, 0x33, 0x44, 6, 0, 0x55, 0x66, 0x77, 0x88,
		8, 0, 0x45, 0, 0, 28 + DATA, 0, 0, 0x40, 0, LINK_HOP_LIMIT, 17};
	static const uint8_t six[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 8 + DATA, 17, LINK_HOP_LIMIT};
	uint8_t f[MAX];

	(void)state;
	assert_int_equal(datagram(f, 4, DATA), LINK_HEADER4 + DATA);
	assert_memory_equal(f, four, sizeof(four));
	assert_memory_equal(f + IP + 12, peer.ipv4, 4);
	assert_memory_equal(f + IP + 16, us.ipv4, 4);
	assert_int_equal(load_be16(f + UDP4), 5000);
	assert_int_equal(load_be16(f + UDP4 + 2), PORT);
	assert_int_equal(load_be16(f + UDP4 + 4), 8 + DATA);
	assert_int_equal(datagram(f, 6, DATA), LINK_HEADER6 + DATA);
	assert_memory_equal(f, us.mac, 6);
	assert_memory_equal(f + 6, peer.mac, 6);
	assert_memory_equal(f + 12, six, sizeof(six));
	assert_memory_equal(f + IP + 8, peer.ipv6, 16);
	assert_memory_equal(f + IP + 24, us.ipv6, 16);
	assert_int_equal(load_be16(f + UDP6 + 4), 8 + DATA);
}

static void checksums_hold_for_every_length(void **state)
{
	uint8_t f[MAX];

	(void)state;
	for (size_t data = 0; data < 1400; data += data < 70 ? 1 : 61) {
		datagram(f, 4, data);
		assert_int_equal(fold(sum_of(0, f + IP, 20)), 0xffff);
		assert_int_equal(
			fold(sum_of(pseudo_header(f + IP, 8 + data), f + UDP4, 8 + data)), 0xffff);
		datagram(f, 6, data);
		assert_int_equal(
			fold(sum_of(pseudo_header(f + IP, 8 + data), f + UDP6, 8 + data)), 0xffff);
	}
}

static void a_sum_is_that_of_rfc_1071_for_every_length_and_place(void **state)
{
	uint8_t f[MAX];

	(void)state;
	for (size_t i = 0; i < MAX; i++)
		f[i] = (uint8_t)(i < 600 ? 0xff : i * i >> 3); /* carries of every kind */
	for (size_t from = 0; from < 1200; from += from < 5 ? 1 : 597) {
		for (size_t n = 0; n < 800; n++) {
			uint8_t *copy = exact(f + from, n);
			uint16_t sum = link_sum(copy, n), be;

			free(copy);
			store_be16(&be, fold(sum_of(0, f + from, n)));
			assert_int_equal(sum, be);
		}
	}
	assert_int_equal(link_sum_add(0xffff, 0xffff), 0xffff);
	assert_int_equal(link_sum_add(0xfffe, 2), 1);
	assert_int_equal(link_sum_add(0, 0), 0);
}

static void a_sum_stands_for_a_payload_that_is_not_read(void **state)
{
	uint8_t f[MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const struct endpoint from = endpoint_of(&peer, family),
				      to = endpoint_of(&us, family);
		const size_t len = datagram(f, family, DATA);
		struct link_template t;
		uint8_t *head;

		link_template_make(&t, peer.mac, us.mac, &from, &to);
		head = malloc(t.len);
		assert_non_null(head);
		link_template_write_sum(&t, head, DATA, link_sum(f + t.len, len - t.len), false);
		assert_memory_equal(head, f, t.len);
		free(head);
	}
}

/* Zero would say that there is none: it is sent as ffff (RFC 768). */
static void a_checksum_is_never_sent_as_zero(void **state)
{
	uint8_t f[MAX];
	unsigned ones = 0;

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const struct endpoint from = endpoint_of(&peer, family),
				      to = endpoint_of(&us, family);
		struct link_template t;

		link_template_make(&t, peer.mac, us.mac, &from, &to);
		for (unsigned data = 0; data < 65536; data++) {
			store_be16(f + t.len, (uint16_t)data);
			link_template_write(&t, f, 2, false);
			assert_int_not_equal(load_be16(f + t.len - 2), 0);
			ones += load_be16(f + t.len - 2) == 0xffff;
		}
	}
	assert_true(ones >= 2);
}

static void offload_leaves_the_sum_of_the_pseudo_header(void **state)
{
	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const struct endpoint from = endpoint_of(&peer, family),
				      to = endpoint_of(&us, family);
		struct link_template t;
		uint8_t *f;

		link_template_make(&t, peer.mac, us.mac, &from, &to);
		assert_int_equal(t.family, family);
		/* the payload is not looked at: there is none */
		f = malloc(t.len);
		assert_non_null(f);
		link_template_write(&t, f, 1000, true);
		assert_int_equal(load_be16(f + t.len - 4), 1008);
		assert_int_equal(load_be16(f + t.len - 2), fold(pseudo_header(f + IP, 1008)));
		if (family == 4)
			assert_int_equal(load_be16(f + IP + 10), 0); /* the NIC's, too */
		free(f);
	}
}

static void a_payload_is_left_alone(void **state)
{
	uint8_t f[MAX], want[64];
	const struct endpoint from = endpoint_of(&peer, 6), to = endpoint_of(&us, 6);
	struct link_template t;

	(void)state;
	memset(f, 0xa5, sizeof(f));
	memset(want, 0xa5, sizeof(want));
	link_template_make(&t, peer.mac, us.mac, &from, &to);
	link_template_write(&t, f, 40, false);
	assert_memory_equal(f + t.len, want, sizeof(want));
}

static void the_address_of_the_link_comes_from_the_mac(void **state)
{
	const uint8_t want[16] = {
		0xfe, 0x80, [8] = 0, 0, 0x11, 0xff, 0xfe, 0x22, 0x33, 0x44}; /* bit 1 turned */

	(void)state;
	assert_memory_equal(us.link_local, want, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_for_us_is_found),
		cmocka_unit_test(a_datagram_tells_where_it_came_from),
		cmocka_unit_test(each_broken_field_has_its_reason),
		cmocka_unit_test(every_bit_of_an_ipv4_header_is_under_its_checksum),
		cmocka_unit_test(groups_are_ours_only_for_control),
		cmocka_unit_test(a_host_without_a_family_owns_none_of_its_addresses),
		cmocka_unit_test(control_gets_arp_nd_and_echo_requests_and_nothing_else),
		cmocka_unit_test(an_icmp_header_that_is_not_there_is_not_read),
		cmocka_unit_test(every_truncation_is_read_within_its_bounds),
		cmocka_unit_test(headers_are_what_the_rfcs_say),
		cmocka_unit_test(checksums_hold_for_every_length),
		cmocka_unit_test(a_sum_is_that_of_rfc_1071_for_every_length_and_place),
		cmocka_unit_test(a_sum_stands_for_a_payload_that_is_not_read),
		cmocka_unit_test(a_checksum_is_never_sent_as_zero),
		cmocka_unit_test(offload_leaves_the_sum_of_the_pseudo_header),
		cmocka_unit_test(a_payload_is_left_alone),
		cmocka_unit_test(the_address_of_the_link_comes_from_the_mac),
	};

	link_hosts_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
