/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include "core/bytes.h"
#include "sphinx/address.h"

static struct endpoint endpoint(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(&e, text), 0);
	return e;
}

static void assert_same(const struct endpoint *a, const struct endpoint *b)
{
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->port, b->port);
	assert_memory_equal(a->ip, b->ip, 16);
}

static void the_bytes_in_a_packet_are_those_of_the_design(void **state)
{
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{"192.0.2.10:1789",
			"0406fdc000020a00000000000000000000000000000000000000000000000000"},
		{"[2001:db8::b]:1790",
			"0606fe20010db800000000000000000000000b00000000000000000000000000"},
		{"0.0.0.0:0", "0400000000000000000000000000000000000000000000000000000000000000"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
			"06ffffffffffffffffffffffffffffffffffff00000000000000000000000000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t want[SPHINX_ADDRESS_SIZE], got[SPHINX_ADDRESS_SIZE];
		struct endpoint e = endpoint(cases[i].text), back;

		memset(got, 0xaa, sizeof(got));
		assert_int_equal(hex_decode(want, sizeof(want), cases[i].hex), 0);
		address_encode(got, &e);
		assert_memory_equal(got, want, sizeof(want));
		assert_int_equal(address_decode(want, &back), SPHINX_ok);
		assert_same(&back, &e);
	}
}

static void every_first_byte_but_4_and_6_is_bad_address(void **state)
{
	uint8_t in[SPHINX_ADDRESS_SIZE] = {0, 1, 2, 3};
	struct endpoint e, none = {0};

	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		in[0] = (uint8_t)b;
		memset(&e, 0xaa, sizeof(e));
		assert_int_equal(
			address_decode(in, &e), b == 4 || b == 6 ? SPHINX_ok : SPHINX_bad_address);
		if (b != 4 && b != 6)
			assert_same(&e, &none);
	}
}

static void bytes_behind_the_octets_are_ignored(void **state)
{
	uint8_t in[SPHINX_ADDRESS_SIZE];
	struct endpoint e, want = endpoint("10.1.2.3:9");

	(void)state;
	address_encode(in, &want);
	memset(in + 7, 0xff, sizeof(in) - 7);
	assert_int_equal(address_decode(in, &e), SPHINX_ok);
	assert_same(&e, &want);
}

static void text_comes_back_as_it_was(void **state)
{
	static const char *const texts[] = {"192.0.2.1:9000", "0.0.0.0:0", "255.255.255.255:65535",
		"[2001:db8::1]:9000", "[::]:0", "[::1]:1",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[::ffff:192.0.2.1]:80"};
	char out[ENDPOINT_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct endpoint e = endpoint(texts[i]);

		assert_string_equal(endpoint_format(out, &e), texts[i]);
		assert_ptr_equal(endpoint_format(out, &e), out);
	}
}

static void text_that_is_no_endpoint_is_refused(void **state)
{
	static const char *const bad[] = {"", ":", "192.0.2.1", "192.0.2.1:", ":9000",
		"192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1: 1", "192.0.2.1:1 ",
		"192.0.2.1:0x50", "192.0.2.1:123456", "192.0.2:80", "192.0.2.256:80",
		"192.0.2.01:80", "2001:db8::1:80", "[2001:db8::1]", "[2001:db8::1]80",
		"[2001:db8::1:80", "2001:db8::1]:80", "[]:80", "[:80", "[192.0.2.1]:80",
		"[fe80::1%eth0]:80", "localhost:80", "host.example:80", " 192.0.2.1:80",
		"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255000000000]:1"};
	struct endpoint e, none = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memset(&e, 0xaa, sizeof(e));
		assert_int_equal(endpoint_parse(&e, bad[i]), -EINVAL);
		assert_same(&e, &none);
	}
}

static void an_ip_is_parsed_without_a_port(void **state)
{
	struct endpoint e, want = endpoint("192.0.2.1:0"), want6 = endpoint("[2001:db8::1]:0");

	(void)state;
	assert_int_equal(endpoint_parse_ip(&e, "192.0.2.1"), 0);
	assert_same(&e, &want);
	assert_int_equal(endpoint_parse_ip(&e, "2001:db8::1"), 0);
	assert_same(&e, &want6);
	assert_int_equal(endpoint_parse_ip(&e, "192.0.2.1:80"), -EINVAL);
	assert_int_equal(endpoint_parse_ip(&e, "[::1]"), -EINVAL);
	assert_int_equal(endpoint_parse_ip(&e, ""), -EINVAL);
}

static void socket_addresses_go_both_ways(void **state)
{
	struct endpoint e4 = endpoint("192.0.2.1:9000"), e6 = endpoint("[2001:db8::1]:9001"), back;
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct sockaddr_storage sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	(void)state;
	assert_int_equal(endpoint_to_sockaddr(&e4, &sa), sizeof(in4));
	memcpy(&in4, &sa, sizeof(in4));
	assert_int_equal(in4.sin_family, AF_INET);
	assert_int_equal(ntohs(in4.sin_port), 9000);
	assert_int_equal(ntohl(in4.sin_addr.s_addr), 0xc0000201);
	assert_int_equal(endpoint_from_sockaddr(&back, (struct sockaddr *)&sa), 0);
	assert_same(&back, &e4);

	assert_int_equal(endpoint_to_sockaddr(&e6, &sa), sizeof(in6));
	memcpy(&in6, &sa, sizeof(in6));
	assert_int_equal(in6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(in6.sin6_port), 9001);
	assert_memory_equal(&in6.sin6_addr, e6.ip, 16);
	assert_int_equal(endpoint_from_sockaddr(&back, (struct sockaddr *)&sa), 0);
	assert_same(&back, &e6);

	assert_int_equal(endpoint_from_sockaddr(&back, (struct sockaddr *)&local), -EAFNOSUPPORT);
}

static void a_prefix_holds_what_begins_with_it(void **state)
{
	static const struct {
		const char *prefix, *inside, *outside;
	} cases[] = {
		{"10.0.0.0/8", "10.255.255.255:1", "11.0.0.0:1"},
		{"192.0.2.0/25", "192.0.2.127:1", "192.0.2.128:1"},
		{"192.0.2.128/25", "192.0.2.255:1", "192.0.2.127:1"},
		{"0.0.0.0/0", "255.255.255.255:1", "[::]:1"},
		{"192.0.2.1", "192.0.2.1:1", "192.0.2.0:1"},
		{"192.0.2.1/32", "192.0.2.1:1", "192.0.2.3:1"},
		{"fd00::/8", "[fdff:ffff::1]:1", "[fc00::]:1"},
		{"2001:db8::/33", "[2001:db8:7fff::1]:1", "[2001:db8:8000::]:1"},
		{"::/0", "[ffff::]:1", "0.0.0.0:1"},
		{"::1", "[::1]:1", "[::]:1"},
		{"::1/128", "[::1]:1", "[::3]:1"},
		{"128.0.0.0/1", "128.0.0.0:1", "127.255.255.255:1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct endpoint in = endpoint(cases[i].inside), out = endpoint(cases[i].outside);
		struct cidr c;

		assert_int_equal(cidr_parse(&c, cases[i].prefix), 0);
		assert_true(cidr_contains(&c, &in));
		assert_false(cidr_contains(&c, &out));
	}
}

static void text_that_is_no_prefix_is_refused(void **state)
{
	static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0/8", "::/129", "::/a", "[::]/0",
		"10.0.0.0:80", "example/8"};
	static const char *const bits_behind[] = {"10.0.0.1/8", "192.0.2.128/24", "192.0.2.1/31",
		"0.0.0.1/0", "fd00::1/8", "2001:db8::1/127", "::1/0"};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(cidr_parse(&c, bad[i]), -EINVAL);
	for (size_t i = 0; i < sizeof(bits_behind) / sizeof(*bits_behind); i++)
		assert_int_equal(cidr_parse(&c, bits_behind[i]), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_in_a_packet_are_those_of_the_design),
		cmocka_unit_test(every_first_byte_but_4_and_6_is_bad_address),
		cmocka_unit_test(bytes_behind_the_octets_are_ignored),
		cmocka_unit_test(text_comes_back_as_it_was),
		cmocka_unit_test(text_that_is_no_endpoint_is_refused),
		cmocka_unit_test(an_ip_is_parsed_without_a_port),
		cmocka_unit_test(socket_addresses_go_both_ways),
		cmocka_unit_test(a_prefix_holds_what_begins_with_it),
		cmocka_unit_test(text_that_is_no_prefix_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
