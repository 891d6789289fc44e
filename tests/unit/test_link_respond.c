/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP, neighbour discovery and echo: answers, what is learned, questions. */
#include "linktest.h"

static void truncated_control_frames_get_silence(void **state)
{
	static size_t (*const make[])(uint8_t *, uint8_t) = {solicitation, answer};
	uint8_t good[MAX], f[MAX], reply[MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		for (unsigned m = 0; m < 3; m++) {
			const size_t len = m < 2 ? make[m](good, family) : echo(good, family, 40);

			for (size_t cut = 0; cut < len; cut++)
				assert_silence(good, cut);
			/* the same with lengths and checksums of the cut one */
			for (size_t cut = ICMP6 + 8; cut < len && (family == 6 || m == 2); cut++) {
				memcpy(f, good, cut);
				store_be16(f + IP + (family == 4 ? 2 : 4),
					(uint16_t)(cut - (family == 4 ? IP : 54)));
				if (family == 4)
					mend_ipv4(f);
				mend_icmp(f, cut);
				if (m == 2)
					assert_int_equal(respond(f, cut, reply), cut);
				else if (m == 1 || cut != ICMP6 + 24) /* may lack its option */
					assert_silence(f, cut);
			}
		}
	}
}

/* ---- ARP ---- */

static void an_arp_request_is_answered(void **state)
{
	uint8_t f[MAX], r[MAX];
	size_t len = solicitation(f, 4);

	(void)state;
	memset(f + len, 0, 18); /* as it comes: padded to 60 bytes */
	for (size_t n = 42; n <= 60; n += 18) {
		assert_int_equal(respond(f, n, r), 42);
		assert_memory_equal(r, peer.mac, 6);
		assert_memory_equal(r + 6, us.mac, 6);
		assert_memory_equal(r + 12, ((uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}), 10);
		assert_memory_equal(r + 22, us.mac, 6);
		assert_memory_equal(r + 28, us.ipv4, 4);
		assert_memory_equal(r + 32, peer.mac, 6);
		assert_memory_equal(r + 38, peer.ipv4, 4);
	}
}

static void other_arp_gets_silence(void **state)
{
	static const struct {
		uint8_t at, value;
	} change[] = {
		{15, 6},          /* another medium */
		{16, 0x86},       /* another protocol */
		{18, 8}, {18, 0}, /* addresses of other sizes */
		{19, 16}, {19, 0}, {21, 0}, {21, 3}, {21, 8}, {20, 1}, /* another operation */
		{41, 2},                                               /* for another host */
		{22, 1}, {6, 0xff},                                    /* from a group */
	};
	struct link_host none = us;
	struct link_learned l;
	uint8_t f[MAX], r[MAX];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < sizeof(change) / sizeof(*change); i++) {
		len = solicitation(f, 4);
		f[change[i].at] = change[i].value;
		assert_silence(f, len);
		len = answer(f, 4);
		if (change[i].at != 21) {
			f[change[i].at] = change[i].value;
			assert_silence(f, len);
		}
	}
	none.has_ipv4 = false;
	len = solicitation(f, 4);
	assert_int_equal(link_respond(&none, f, len, r, MAX, &l), 0);
	assert_int_equal(respond_cap(f, len, r, 41, &l), 0);
}

/* ---- learning ---- */

static void only_answers_are_learned(void **state)
{
	struct link_learned l;
	uint8_t f[MAX], r[MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		size_t len = answer(f, family);

		assert_int_equal(respond_cap(f, len, r, MAX, &l), 0);
		assert_int_equal(l.family, family);
		assert_memory_equal(
			l.ip, family == 4 ? peer.ipv4 : peer.ipv6, family == 4 ? 4 : 16);
		assert_memory_equal(l.mac, peer.mac, 6);
		/* a question tells the asker's address, too, but is not believed */
		len = solicitation(f, family);
		assert_true(respond_cap(f, len, r, MAX, &l) > 0);
		assert_int_equal(l.family, 0);
	}
}

static void an_advertisement_is_learned_only_if_it_is_sound(void **state)
{
	static const struct {
		uint8_t at, value;
	} change[] = {
		{IP + 7, 254},                 /* came through a router */
		{ICMP6 + 1, 1},                /* code */
		{ICMP6 + 25, 0},               /* an option of no length */
		{ICMP6 + 25, 2},               /* longer than the packet */
		{ICMP6 + 24, 1},               /* the source's address is no target's */
		{ICMP6 + 26, 0x33}, {6, 0x33}, /* a group's MAC */
		{IP + 8, 0xff},                /* from a group */
	};
	uint8_t f[MAX];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < sizeof(change) / sizeof(*change); i++) {
		len = answer(f, 6);
		f[change[i].at] = change[i].value;
		mend_icmp(f, len);
		assert_silence(f, len);
	}
	len = answer(f, 6);
	f[ICMP6 + 8] ^= 1; /* and none with a wrong checksum */
	assert_silence(f, len);
}

/* ---- ND ---- */

static void assert_advertisement(const uint8_t *r, const uint8_t *mac, const uint8_t *to,
	uint32_t flags, const uint8_t *target)
{
	assert_memory_equal(r, mac, 6);
	assert_memory_equal(r + 6, us.mac, 6);
	assert_memory_equal(r + 12, ((uint8_t[]){0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255}), 10);
	assert_memory_equal(r + IP + 8, target, 16);
	assert_memory_equal(r + IP + 24, to, 16);
	assert_int_equal(load_be16(r + ICMP6), 136 << 8);
	assert_int_equal(load_be32(r + ICMP6 + 4), flags);
	assert_memory_equal(r + ICMP6 + 8, target, 16);
	assert_memory_equal(r + ICMP6 + 24, ((uint8_t[]){2, 1}), 2);
	assert_memory_equal(r + ICMP6 + 26, us.mac, 6);
	assert_int_equal(fold(sum_of(pseudo_header(r + IP, 32), r + ICMP6, 32)), 0xffff);
}

static void a_solicitation_is_answered(void **state)
{
	const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
	uint8_t f[MAX], r[MAX];
	size_t len = solicitation(f, 6);

	(void)state;
	assert_int_equal(respond(f, len, r), ICMP6 + 32);
	assert_advertisement(r, peer.mac, peer.ipv6, 0x60000000, us.ipv6);
	/* for the address of the link, and to the MAC in the option */
	memcpy(f + ICMP6 + 8, us.link_local, 16);
	memcpy(f + ICMP6 + 26, other, 6);
	mend_icmp(f, len);
	assert_int_equal(respond(f, len, r), ICMP6 + 32);
	assert_advertisement(r, other, peer.ipv6, 0x60000000, us.link_local);
	/* without an option to the frame's sender; an unknown one is passed over */
	len = solicitation(f, 6);
	f[ICMP6 + 24] = 14;
	mend_icmp(f, len);
	assert_int_equal(respond(f, len, r), ICMP6 + 32);
	len -= 8;
	store_be16(f + IP + 4, 24);
	mend_icmp(f, len);
	assert_int_equal(respond(f, len, r), ICMP6 + 32);
	assert_advertisement(r, peer.mac, peer.ipv6, 0x60000000, us.ipv6);
}

/* RFC 4862: a host that asks whether its address is taken has none to be answered at. */
static void a_probe_for_duplicates_is_answered_to_all_nodes(void **state)
{
	const uint8_t mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t f[MAX], r[MAX];
	size_t len = solicitation(f, 6);

	(void)state;
	memset(f + IP + 8, 0, 16);
	mend_icmp(f, len);
	assert_silence(f, len); /* with a link-layer address: RFC 4861, 7.1.1 */
	len -= 8;
	store_be16(f + IP + 4, 24);
	mend_icmp(f, len);
	assert_int_equal(respond(f, len, r), ICMP6 + 32);
	assert_advertisement(r, mac, all_nodes, 0x20000000, us.ipv6);
	memcpy(f + IP + 24, us.ipv6, 16); /* to one host alone */
	mend_icmp(f, len);
	assert_silence(f, len);
}

static void an_unsound_solicitation_gets_silence(void **state)
{
	static const struct {
		uint8_t at, value;
	} change[] = {
		{IP + 7, 254}, {IP + 7, 0}, /* came through a router */
		{ICMP6 + 1, 1},             /* code */
		{ICMP6 + 25, 0},            /* an option of no length */
		{ICMP6 + 25, 2},            /* longer than the packet */
		{ICMP6 + 23, 2},            /* for another host */
		{ICMP6 + 26, 1}, {6, 1},    /* a group's MAC */
		{IP + 8, 0xff},             /* from a group */
	};
	struct link_learned l;
	uint8_t f[MAX], r[MAX];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < sizeof(change) / sizeof(*change); i++) {
		len = solicitation(f, 6);
		f[change[i].at] = change[i].value;
		mend_icmp(f, len);
		assert_silence(f, len);
	}
	for (size_t bit = 0; bit < 8 * 32; bit++) {
		len = solicitation(f, 6);
		f[ICMP6 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_silence(f, len);
	}
	len = solicitation(f, 6);
	assert_int_equal(respond_cap(f, len, r, ICMP6 + 31, &l), 0);
}

/* ---- echo ---- */

static void an_echo_comes_back_with_its_bytes(void **state)
{
	uint8_t f[MAX], r[MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const size_t icmp = family == 4 ? ICMP4 : ICMP6;

		for (size_t n = 0; n < 1400; n += n < 10 ? 1 : 173) {
			const size_t len = echo(f, family, n);

			memset(f + len, 0xdd, 30); /* padding is no part of it */
			assert_int_equal(respond(f, len + 30, r), len);
			assert_memory_equal(r, peer.mac, 6);
			assert_memory_equal(r + 6, us.mac, 6);
			assert_int_equal(r[icmp], family == 4 ? 0 : 129);
			assert_memory_equal(r + icmp + 4, f + icmp + 4, len - icmp - 4);
			assert_int_equal(r[family == 4 ? IP + 8 : IP + 7], LINK_HOP_LIMIT);
			if (family == 4) {
				assert_int_equal(fold(sum_of(0, r + IP, 20)), 0xffff);
				assert_int_equal(fold(sum_of(0, r + icmp, len - icmp)), 0xffff);
				assert_memory_equal(r + IP + 12, us.ipv4, 4);
				assert_memory_equal(r + IP + 16, peer.ipv4, 4);
			} else {
				assert_int_equal(fold(sum_of(pseudo_header(r + IP, len - icmp),
							 r + icmp, len - icmp)),
					0xffff);
				assert_memory_equal(r + IP + 8, us.ipv6, 16);
				assert_memory_equal(r + IP + 24, peer.ipv6, 16);
			}
		}
	}
}

static void an_unsound_echo_gets_silence(void **state)
{
	struct link_learned l;
	uint8_t f[MAX], r[MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const size_t icmp = family == 4 ? ICMP4 : ICMP6, len = echo(f, family, 21);

		assert_int_equal(respond_cap(f, len, r, len - 1, &l), 0);
		assert_int_equal(respond_cap(f, len, r, len, &l), len);
		f[6] |= 1; /* from a group */
		assert_silence(f, len);
		for (size_t bit = 0; bit < 8 * (len - icmp); bit++) {
			echo(f, family, 21);
			f[icmp + bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_silence(f, len);
		}
	}
	/* an amplifier answers a group, or for one */
	echo(f, 6, 21);
	memcpy(f + IP + 24, all_nodes, 16);
	mend_icmp(f, ICMP6 + 29);
	assert_silence(f, ICMP6 + 29);
	for (unsigned first = 0; first < 256; first++) {
		echo(f, 4, 21);
		f[IP + 12] = (uint8_t)first;
		mend_ipv4(f);
		if (first == 0 || first >= 224)
			assert_silence(f, ICMP4 + 29);
		else
			assert_int_equal(respond(f, ICMP4 + 29, r), ICMP4 + 29);
	}
	echo(f, 6, 21);
	memset(f + IP + 8, 0, 16);
	mend_icmp(f, ICMP6 + 29);
	assert_silence(f, ICMP6 + 29);
}

/* ---- questions ---- */

static void questions_are_what_the_rfcs_say(void **state)
{
	static const uint8_t arp[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
	const uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff, 0xaa, 0xbb, 1};
	const uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0xaa, 0xbb, 1}, zeros[6] = {0};
	uint8_t *f = malloc(LINK_SOLICIT_MAX), ones[6];

	(void)state;
	assert_non_null(f);
	memset(ones, 0xff, 6);
	assert_int_equal(solicitation(f, 4), 42);
	assert_memory_equal(f, ones, 6);
	assert_memory_equal(f + 6, peer.mac, 6);
	assert_memory_equal(f + 12, arp, sizeof(arp));
	assert_memory_equal(f + 22, peer.mac, 6);
	assert_memory_equal(f + 28, peer.ipv4, 4);
	assert_memory_equal(f + 32, zeros, 6);
	assert_memory_equal(f + 38, us.ipv4, 4);
	assert_int_equal(solicitation(f, 6), LINK_SOLICIT_MAX);
	assert_memory_equal(f, group_mac, 6);
	assert_memory_equal(f + IP + 8, peer.ipv6, 16);
	assert_memory_equal(f + IP + 24, group, 16);
	assert_int_equal(f[IP + 7], 255);
	assert_memory_equal(f + ICMP6 + 8, us.ipv6, 16);
	assert_memory_equal(f + ICMP6 + 24, ((uint8_t[]){1, 1}), 2);
	assert_memory_equal(f + ICMP6 + 26, peer.mac, 6);
	assert_int_equal(fold(sum_of(pseudo_header(f + IP, 32), f + ICMP6, 32)), 0xffff);
	free(f);
}

static void a_host_without_a_family_asks_nothing_in_it(void **state)
{
	struct link_host none = {.mac = {2}};
	uint8_t f[LINK_SOLICIT_MAX];

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		const struct endpoint ip = endpoint_of(&us, family);

		assert_int_equal(link_solicit(&none, &ip, f), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_control_frames_get_silence),
		cmocka_unit_test(an_arp_request_is_answered),
		cmocka_unit_test(other_arp_gets_silence),
		cmocka_unit_test(only_answers_are_learned),
		cmocka_unit_test(an_advertisement_is_learned_only_if_it_is_sound),
		cmocka_unit_test(a_solicitation_is_answered),
		cmocka_unit_test(a_probe_for_duplicates_is_answered_to_all_nodes),
		cmocka_unit_test(an_unsound_solicitation_gets_silence),
		cmocka_unit_test(an_echo_comes_back_with_its_bytes),
		cmocka_unit_test(an_unsound_echo_gets_silence),
		cmocka_unit_test(questions_are_what_the_rfcs_say),
		cmocka_unit_test(a_host_without_a_family_asks_nothing_in_it),
	};

	link_hosts_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
