/* SPDX-License-Identifier: BSD-3-Clause */
/* A relay on two ports whose wires are rings in the test's hands: what goes in and comes out, byte
 * by byte. */
#include "mixtest.h"
#include "json.h"

#include <netinet/in.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <time.h>
#include "core/bytes.h"
#include "directory/directory.h"
#include "link/link.h"
#include "pipeline/burst.h"
#include "sphinx/frame.h"

/* in:  the sender 10.0.1.9 and fd00:1::9 on port 0; the relay is 10.0.1.1 and fd00:1::1
 * out: the next relay 10.0.2.2 and fd00:2::2 on port 1; the relay is 10.0.2.1 and fd00:2::1 */
enum { FRAME_MAX = 2048, UDP_PORT = 9000, DATAGRAM = FRAME_SIZE + MIX_PACKET };

static struct {
	struct rte_mempool *pool;
	struct rte_ring *rx[2], *tx[2];
	char device[2][RTE_ETH_NAME_MAX_LEN];
	uint8_t mac[2][6];
	struct mix_keys keys;
	struct betanet *b;
	char directory[64];
	uint8_t authority_seed[32], authority[32];
} lab;

static const uint8_t peer_mac[2][6] = {{2, 0, 0, 0, 1, 9}, {2, 0, 0, 0, 2, 2}};

/* ---- wires ---- */

static void wire_send_len(unsigned wire, const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(lab.pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	assert_int_equal(rte_ring_enqueue(lab.rx[wire], m), 0);
}

/* The next frame that the relay sent on a wire, within 3 s; 0 when there is none. */
static size_t wire_receive(unsigned wire, uint8_t frame[FRAME_MAX], unsigned ms)
{
	for (unsigned i = 0; i <= ms; i++) {
		struct rte_mbuf *m;

		betanet_poll(lab.b);
		if (rte_ring_dequeue(lab.tx[wire], (void **)&m) == 0) {
			size_t len = m->data_len;

			assert_true(len <= FRAME_MAX);
			memcpy(frame, rte_pktmbuf_mtod(m, void *), len);
			rte_pktmbuf_free(m);
			return len;
		}
		rte_delay_us_sleep(1000);
	}
	return 0;
}

/* Ethernet, IP and UDP around the datagram at frame + header; returns the frame's length. */
static size_t wrap(
	uint8_t *frame, const char *from, const char *to, const uint8_t dst_mac[6], size_t payload)
{
	struct link_template t;
	struct endpoint src, dst;

	assert_int_equal(endpoint_parse(&src, from), 0);
	assert_int_equal(endpoint_parse(&dst, to), 0);
	link_template_make(&t, peer_mac[0], dst_mac, &src, &dst);
	link_template_write(&t, frame, payload, false);
	return t.len + payload;
}

static size_t mix_frame(uint8_t *frame, const uint8_t packet[MIX_PACKET])
{
	frame_write(frame + LINK_HEADER4, MIX_PAYLOAD, 0);
	memcpy(frame + LINK_HEADER4 + FRAME_SIZE, packet, MIX_PACKET);
	return wrap(frame, "10.0.1.9:5000", "10.0.1.1:9000", lab.mac[0], DATAGRAM);
}

static size_t fresh_frame(uint8_t *frame)
{
	uint8_t packet[MIX_PACKET];

	mix_build(&lab.keys, 3, "10.0.2.2:9000", "10.0.2.50:7000", 0, SPHINX_V259, "x", 1, packet);
	return mix_frame(frame, packet);
}

static void fix_ip_checksum(uint8_t *frame)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(frame + 14);

	h->hdr_checksum = 0;
	h->hdr_checksum = rte_ipv4_cksum(h);
}

/* ---- the relay ---- */

static void write_directory(uint64_t seconds)
{
	char text[4096], until[32], hex[65];
	time_t end = time(NULL) + (time_t)seconds;
	uint8_t id_pk[3][32], sk[64];
	struct error err;
	size_t at;

	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", gmtime(&end));
	randombytes_buf(sk, 32);
	hex_encode(hex, sk, 32);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = "
		"\"2026-01-01T00:00:00Z\";\nvalid_until = \"%s\";\nnodes = (\n",
		hex, until);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const address[] = {"[ \"10.0.1.1:9000\", \"[fd00:1::1]:9000\" ]",
			"[ \"10.0.2.2:9000\", \"[fd00:2::2]:9000\" ]", "\"172.16.0.1:9000\""};
		char identity[65], vrf[65];

		crypto_sign_keypair(id_pk[i], sk);
		hex_encode(identity, id_pk[i], 32);
		crypto_sign_keypair(id_pk[i], sk);
		hex_encode(vrf, id_pk[i], 32);
		hex_encode(hex, lab.keys.public[i], 32);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"%s{ name = \"mix%u\"; layer = %u; weight = 100; address = %s; "
			"identity_key = \"%s\"; sphinx_key = \"%s\"; vrf_key = "
			"\"%s\"; }\n",
			i ? "," : "", i + 1, i + 1, address[i], identity, hex, vrf);
	}
	snprintf(text + at, sizeof(text) - at, ");\n");
	if (file_write(lab.directory, 0600, text, strlen(text), FILE_FORCE, &err) < 0 ||
		directory_sign(lab.directory, lab.directory, lab.authority_seed, FILE_FORCE, &err) <
			0)
		fail_msg("%s", err.msg);
}

static const struct betanet_prefix allow[] = {
	{4, 24, {10, 0, 2}}, {4, 8, {172}}, {6, 32, {0x20, 1, 0x0d, 0xb8}}};

static int start_relay(enum betanet_role role, uint64_t directory_seconds)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];

	mix_config(&c, lab.keys.secret[0]);
	c.role = role;
	c.udp_port = UDP_PORT;
	c.exit_allow = allow;
	c.exit_allow_count = 3;
	write_directory(directory_seconds);
	if (betanet_create(&c, &lab.b, err) < 0)
		fail_msg("%s", err);
	for (unsigned i = 0; i < 2; i++) {
		struct betanet_port p = {
			.device = lab.device[i],
			.has_ipv4 = true,
			.has_ipv6 = true,
			.ipv4 = {10, 0, (uint8_t)(i + 1), 1},
			.bits4 = 24,
			.ipv6 = {0xfd, 0, 0, (uint8_t)(i + 1), [15] = 1},
			.bits6 = 64,
			.has_gateway6 = i == 1,
			.gateway6 = {0xfd, 0, 0, 2, [15] = 0xfe},
			.mtu = 1500,
			.rx_queues = 1,
			.rx_descriptors = 256,
			.tx_descriptors = 256,
		};

		assert_int_equal(betanet_port_add(lab.b, &p, err), 0);
	}
	if (betanet_directory_set(lab.b, lab.directory, lab.authority, (uint64_t)time(NULL), err) <
			0 ||
		betanet_start(lab.b, err) < 0)
		fail_msg("%s", err);
	return 0;
}

static int make_wires(void)
{
	char prefix[32];

	lab.pool = rte_pktmbuf_pool_create("wire_pool", 8191, 0,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN), 2176, SOCKET_ID_ANY);
	for (unsigned i = 0; i < 2; i++) {
		static unsigned serial;
		char name[32];
		int id;

		snprintf(name, sizeof(name), "wire_rx_%u", serial);
		lab.rx[i] = rte_ring_create(name, 4096, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "wire_tx_%u", serial);
		lab.tx[i] = rte_ring_create(name, 4096, SOCKET_ID_ANY, 0);
		snprintf(prefix, sizeof(prefix), "wire%u", serial++);
		if (!lab.pool || !lab.rx[i] || !lab.tx[i])
			return -1;
		id = rte_eth_from_rings(prefix, &lab.rx[i], 1, &lab.tx[i], 1, 0);
		if (id < 0 || rte_eth_dev_get_name_by_port((uint16_t)id, lab.device[i]) < 0 ||
			rte_eth_macaddr_get((uint16_t)id, (struct rte_ether_addr *)lab.mac[i]) < 0)
			return -1;
	}
	return 0;
}

static int setup_as(enum betanet_role role, uint64_t seconds)
{
	uint8_t sk[64];
	int fd;

	memset(&lab, 0, sizeof(lab));
	if (make_wires() < 0)
		return -1;
	mix_keys_make(&lab.keys);
	randombytes_buf(lab.authority_seed, 32);
	crypto_sign_seed_keypair(lab.authority, sk, lab.authority_seed);
	strcpy(lab.directory, "/tmp/mixtest.XXXXXX");
	fd = mkstemp(lab.directory);
	close(fd);
	return start_relay(role, seconds);
}

static int setup(void **state)
{
	(void)state;
	return setup_as(BETANET_EXIT, 3600);
}

/* Packets may still be parked; nothing may be lost. */
static int stop_relay(void)
{
	struct betanet_stop_report r;
	struct rte_mbuf *m;

	betanet_stop(lab.b, 100, &r);
	/* what the relay sent and the test did not take: its own buffers, and those that came from
	 * the wire */
	for (unsigned w = 0; w < 2; w++) {
		while (rte_ring_dequeue(lab.tx[w], (void **)&m) == 0) {
			r.pool_free += m->pool != lab.pool;
			rte_pktmbuf_free(m);
		}
	}
	betanet_destroy(lab.b);
	for (unsigned i = 0; i < 2; i++) {
		rte_ring_free(lab.rx[i]);
		rte_ring_free(lab.tx[i]);
	}
	rte_mempool_free(lab.pool);
	return r.pool_free == r.pool_size ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink(lab.directory);
	return stop_relay();
}

/* ---- neighbours ---- */

/* Answers as the owner of an address until the relay has asked for it. */
static void answer_arp(unsigned wire, const uint8_t ip[4], const uint8_t mac[6])
{
	uint8_t frame[FRAME_MAX];
	struct betanet_stats s;
	size_t len;

	while ((len = wire_receive(wire, frame, 3000)) > 0) {
		uint8_t reply[42];

		if (load_be16(frame + 12) != 0x0806 || memcmp(frame + 38, ip, 4) != 0)
			continue;
		assert_int_equal(len, 42);
		memcpy(reply, frame, sizeof(reply));
		memcpy(reply, frame + 6, 6);
		memcpy(reply + 6, mac, 6);
		reply[21] = 2;
		memcpy(reply + 22, mac, 6);
		memcpy(reply + 28, ip, 4);
		memcpy(reply + 32, frame + 22, 10);
		betanet_stats_get(lab.b, &s);
		wire_send_len(wire, reply, sizeof(reply));
		mix_settle(lab.b, s.rx + 1, &s);
		return;
	}
	fail_msg("no ARP request for %u.%u.%u.%u on wire %u", ip[0], ip[1], ip[2], ip[3], wire);
}

/* The next frame that is neither ARP nor ICMPv6. */
static size_t receive_mix(unsigned wire, uint8_t *frame)
{
	size_t len;

	for (unsigned i = 0; i < 20 && (len = wire_receive(wire, frame, 3000)) > 0; i++) {
		uint16_t type = load_be16(frame + 12);

		if (type == 0x0800 || (type == 0x86dd && frame[20] == IPPROTO_UDP))
			return len;
	}
	fail_msg("nothing came on wire %u", wire);
	return 0;
}

static const uint8_t next_ip[4] = {10, 0, 2, 2};

static void a_forwarded_packet_reaches_the_next_relay(void **state)
{
	static uint8_t frame[FRAME_MAX], packet[MIX_PACKET], want[MIX_PACKET];
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + 14);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + 34);
	struct sphinx_hop hop;
	uint16_t udp_sum;
	size_t len;

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	mix_build(&lab.keys, 3, "10.0.2.2:9000", "10.0.2.50:7000", 5000000, SPHINX_V259, "x", 1,
		packet);
	memcpy(want, packet, MIX_PACKET);
	assert_int_equal(
		sphinx_unwrap(mix_crypto, lab.keys.secret[0], want, MIX_PACKET, &hop), SPHINX_ok);
	len = mix_frame(frame, packet);
	wire_send_len(0, frame, len);
	len = receive_mix(1, frame);
	assert_int_equal(len, LINK_HEADER4 + DATAGRAM);
	assert_memory_equal(frame, peer_mac[1], 6);
	assert_memory_equal(frame + 6, lab.mac[1], 6);
	assert_memory_equal(frame + 26, ((uint8_t[]){10, 0, 2, 1, 10, 0, 2, 2}), 8);
	assert_int_equal(load_be16(frame + 34), UDP_PORT);
	assert_int_equal(load_be16(frame + 36), 9000);
	assert_int_equal(load_be16(frame + 18), 0);      /* IP-ID */
	assert_int_equal(load_be16(frame + 20), 0x4000); /* DF */
	assert_int_equal(frame[22], LINK_HOP_LIMIT);
	assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
	udp_sum = udp->dgram_cksum;
	udp->dgram_cksum = 0;
	assert_int_equal(rte_ipv4_udptcp_cksum(ip, udp), udp_sum);
	assert_int_equal(frame_check(frame + LINK_HEADER4, MIX_PAYLOAD), 0);
	assert_memory_equal(frame + LINK_HEADER4 + FRAME_SIZE, want, MIX_PACKET);
}

static void ipv4_in_and_ipv6_out(void **state)
{
	static uint8_t frame[FRAME_MAX], packet[MIX_PACKET];
	const uint8_t next6[16] = {0xfd, 0, 0, 2, [15] = 2};
	struct link_host peer = {.has_ipv6 = true};
	size_t len;
	bool answered = false;

	(void)state;
	memcpy(peer.mac, peer_mac[1], 6);
	memcpy(peer.ipv6, next6, 16);
	link_host_derive(&peer);
	for (unsigned i = 0; i < 50 && !answered; i++) {
		struct link_learned l;
		uint8_t reply[FRAME_MAX];

		len = wire_receive(1, frame, 100);
		len = len ? link_respond(&peer, frame, len, reply, sizeof(reply), &l) : 0;
		if (len) {
			wire_send_len(1, reply, len);
			answered = true;
		}
	}
	assert_true(answered);
	mix_build(
		&lab.keys, 2, "[fd00:2::2]:9000", "10.0.2.50:7000", 0, SPHINX_V258, "x", 1, packet);
	len = mix_frame(frame, packet);
	wire_send_len(0, frame, len);
	len = receive_mix(1, frame);
	assert_int_equal(len, LINK_HEADER6 + DATAGRAM);
	assert_int_equal(load_be16(frame + 12), 0x86dd);
	assert_memory_equal(frame + 38, next6, 16);
	assert_int_equal(frame[21], LINK_HOP_LIMIT);
	assert_int_equal(
		rte_ipv6_udptcp_cksum((struct rte_ipv6_hdr *)(frame + 14), frame + 54), 0xffff);
}

static void ipv6_in_is_taken(void **state)
{
	static uint8_t frame[FRAME_MAX], packet[MIX_PACKET];
	size_t len;

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	mix_build(&lab.keys, 3, "10.0.2.2:9000", "10.0.2.50:7000", 0, SPHINX_V259, "x", 1, packet);
	frame_write(frame + LINK_HEADER6, MIX_PAYLOAD, 0);
	memcpy(frame + LINK_HEADER6 + FRAME_SIZE, packet, MIX_PACKET);
	len = wrap(frame, "[fd00:1::9]:5000", "[fd00:1::1]:9000", lab.mac[0], DATAGRAM);
	wire_send_len(0, frame, len);
	assert_int_equal(receive_mix(1, frame), LINK_HEADER4 + DATAGRAM);
}

static void the_first_message_to_a_destination_waits_for_arp(void **state)
{
	static uint8_t frame[FRAME_MAX], packet[MIX_PACKET];
	const uint8_t host[4] = {10, 0, 2, 50}, mac[6] = {2, 0, 0, 0, 2, 50};
	size_t len;

	(void)state;
	mix_build(&lab.keys, 1, "10.0.2.2:9000", "10.0.2.50:7000", 0, SPHINX_V259, "good morning",
		12, packet);
	len = mix_frame(frame, packet);
	wire_send_len(0, frame, len);
	answer_arp(1, host, mac);
	len = receive_mix(1, frame);
	assert_int_equal(len, LINK_HEADER4 + 12);
	assert_memory_equal(frame, mac, 6);
	assert_memory_equal(frame + 30, host, 4);
	assert_int_equal(load_be16(frame + 34), UDP_PORT);
	assert_int_equal(load_be16(frame + 36), 7000);
	assert_memory_equal(frame + LINK_HEADER4, "good morning", 12);
}

static void a_next_hop_that_never_answers_costs_the_packet(void **state)
{
	static uint8_t frame[FRAME_MAX];
	struct betanet_stats before, s;
	size_t len = fresh_frame(frame);

	(void)state;
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, frame, len);
	mix_settle(lab.b, before.rx + 1, &s);
	assert_dropped(&before, &s, DROP_unresolved, 1);
}

static void arp_nd_and_ping_are_answered(void **state)
{
	/* the other side of the wire is a host of the same code: it asks, the relay answers, it
	 * learns */
	struct link_host peer = {.has_ipv4 = true, .has_ipv6 = true, .ipv4 = {10, 0, 1, 9}};
	static const char *const ask[] = {"10.0.1.1", "fd00:1::1"};
	uint8_t frame[FRAME_MAX], reply[FRAME_MAX];
	const uint8_t peer6[16] = {0xfd, 0, 0, 1, [15] = 9};

	(void)state;
	memcpy(peer.mac, peer_mac[0], 6);
	memcpy(peer.ipv6, peer6, 16);
	link_host_derive(&peer);
	for (unsigned i = 0; i < 2; i++) {
		struct link_learned l = {0};
		struct endpoint ip;
		size_t len;

		assert_int_equal(endpoint_parse_ip(&ip, ask[i]), 0);
		len = link_solicit(&peer, &ip, frame);
		wire_send_len(0, frame, len);
		while (l.family == 0 && (len = wire_receive(0, frame, 2000)) > 0)
			link_respond(&peer, frame, len, reply, sizeof(reply), &l);
		assert_int_equal(l.family, ip.family);
		assert_memory_equal(l.ip, ip.ip, sizeof(l.ip));
		assert_memory_equal(l.mac, lab.mac[0], 6);
	}
}

static void ping_is_answered_with_its_own_bytes(void **state)
{
	uint8_t frame[FRAME_MAX], reply[FRAME_MAX];
	size_t len = wrap(frame, "10.0.1.9:1", "10.0.1.1:1", lab.mac[0], 40);
	uint8_t *icmp = frame + 34;
	uint16_t sum;

	(void)state;
	frame[23] = IPPROTO_ICMP;
	fix_ip_checksum(frame);
	for (unsigned i = 0; i < 48; i++)
		icmp[i] = (uint8_t)i;
	memset(icmp, 0, 4);
	icmp[0] = 8;
	sum = (uint16_t)~rte_raw_cksum(icmp, 48);
	memcpy(icmp + 2, &sum, 2);
	wire_send_len(0, frame, len);
	do
		len = wire_receive(0, reply, 2000);
	while (len && load_be16(reply + 12) != 0x0800);
	assert_int_equal(len, 14 + 20 + 48);
	assert_memory_equal(reply, peer_mac[0], 6);
	assert_memory_equal(reply + 26, ((uint8_t[]){10, 0, 1, 1, 10, 0, 1, 9}), 8);
	assert_int_equal(reply[34], 0);
	assert_int_equal(rte_raw_cksum(reply + 14, 20), 0xffff);
	assert_int_equal(rte_raw_cksum(reply + 34, 48), 0xffff);
	assert_memory_equal(reply + 38, icmp + 4, 44);
}

/* ---- wrong input: one counter goes up, nothing else changes ---- */

static void expect_drop(const uint8_t *frame, size_t len, enum drop_reason why)
{
	struct betanet_stats before, s;

	betanet_stats_get(lab.b, &before);
	wire_send_len(0, frame, len);
	mix_settle(lab.b, before.rx + 1, &s);
	assert_dropped(&before, &s, why, 1);
	assert_int_equal(s.processed - before.processed <= 1, 1);
	assert_int_equal(s.forwarded, before.forwarded);
	assert_int_equal(s.delivered, before.delivered);
	assert_int_equal(s.control, before.control);
}

static void every_broken_header_has_its_counter(void **state)
{
	static uint8_t good[FRAME_MAX], f[FRAME_MAX];
	size_t len = fresh_frame(good);
	static const struct {
		unsigned at, bytes;
		uint32_t value;
		bool fix; /* the IP checksum afterwards */
		enum drop_reason why;
	} change[] = {
		{0, 1, 0x02, false, DROP_not_ours},        /* another MAC */
		{12, 2, 0x8100, false, DROP_bad_ethernet}, /* VLAN */
		{12, 2, 0x86dd, false, DROP_bad_ip},       /* IPv4 bytes called IPv6 */
		{14, 1, 0x55, true, DROP_bad_ip},          /* version 5 */
		{14, 1, 0x44, true, DROP_bad_ip},          /* header of 16 bytes */
		{16, 2, 19, true, DROP_bad_ip},            /* total length below the header */
		{16, 2, 1500, true, DROP_bad_ip},          /* and beyond the frame */
		{24, 2, 0x1234, false, DROP_bad_ip_checksum},
		{20, 2, 0x2000, true, DROP_ip_fragment},  /* more fragments */
		{20, 2, 0x0001, true, DROP_ip_fragment},  /* offset 8 */
		{30, 4, 0x0a000102, true, DROP_not_ours}, /* 10.0.1.2 */
		{23, 1, IPPROTO_TCP, true, DROP_not_udp}, {38, 2, 7, false, DROP_bad_udp},
		{38, 2, 1499, false, DROP_bad_udp}, {38, 2, 100, false, DROP_bad_udp},
		{36, 2, 9001, false, DROP_wrong_port},
		{42, 1, 7, false, DROP_bad_frame}, /* frame version */
		{43, 1, 1, false, DROP_bad_frame}, /* size tag of another size */
		{44, 1, 1, false, DROP_bad_frame}, /* type */
		{45, 1, 3, false, DROP_bad_frame}, /* rotation */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(change) / sizeof(change[0]); i++) {
		memcpy(f, good, len);
		for (unsigned k = 0; k < change[i].bytes; k++)
			f[change[i].at + k] =
				(uint8_t)(change[i].value >> 8 * (change[i].bytes - 1 - k));
		if (change[i].fix)
			fix_ip_checksum(f);
		expect_drop(f, len, change[i].why);
	}
}

static void ip_options_and_extension_headers_are_dropped(void **state)
{
	static uint8_t good[FRAME_MAX], f[FRAME_MAX];
	size_t len = fresh_frame(good);
	static const struct {
		uint8_t next_header;
		enum drop_reason why;
	} six[] = {{0, DROP_ip_options}, {43, DROP_ip_options}, {60, DROP_ip_options},
		{51, DROP_ip_options}, {44, DROP_ip_fragment}, {6, DROP_not_udp}};

	(void)state;
	/* IPv4 with a NOP option: everything behind the header moves by four bytes */
	memcpy(f, good, 34);
	memset(f + 34, 1, 4);
	memcpy(f + 38, good + 34, len - 34);
	f[14] = 0x46;
	store_be16(f + 16, (uint16_t)(load_be16(f + 16) + 4));
	memset(f + 24, 0, 2);
	{
		uint16_t sum = (uint16_t)~rte_raw_cksum(f + 14, 24);

		memcpy(f + 24, &sum, 2);
	}
	expect_drop(f, len + 4, DROP_ip_options);
	for (unsigned i = 0; i < sizeof(six) / sizeof(six[0]); i++) {
		len = wrap(f, "[fd00:1::9]:5000", "[fd00:1::1]:9000", lab.mac[0], DATAGRAM);
		f[20] = six[i].next_header;
		expect_drop(f, len, six[i].why);
	}
	/* a UDP checksum is not optional in IPv6 */
	len = wrap(f, "[fd00:1::9]:5000", "[fd00:1::1]:9000", lab.mac[0], DATAGRAM);
	memset(f + 60, 0, 2);
	expect_drop(f, len, DROP_bad_udp);
}

static void every_truncation_is_dropped(void **state)
{
	static uint8_t good[FRAME_MAX];
	size_t len = fresh_frame(good);
	struct betanet_stats before, s;
	unsigned sent = 0;

	(void)state;
	betanet_stats_get(lab.b, &before);
	for (size_t cut = 1; cut < len; cut++) {
		wire_send_len(0, good, cut);
		sent++;
	}
	mix_settle(lab.b, before.rx + sent, &s);
	assert_int_equal(s.drops[DROP_bad_ethernet] - before.drops[DROP_bad_ethernet], 13);
	/* from 14 bytes on the IP header's length says more than there is */
	assert_int_equal(s.drops[DROP_bad_ip] - before.drops[DROP_bad_ip], sent - 13);
	assert_int_equal(s.processed, before.processed);
}

static void a_packet_of_every_wrong_length_is_dropped(void **state)
{
	static uint8_t f[FRAME_MAX], packet[MIX_PACKET];
	struct betanet_stats before, s;
	unsigned sent = 0;

	(void)state;
	mix_build(&lab.keys, 3, "10.0.2.2:9000", "10.0.2.50:7000", 0, SPHINX_V259, "x", 1, packet);
	betanet_stats_get(lab.b, &before);
	for (size_t n = 0; n <= DATAGRAM + 60; n++) {
		size_t len;

		if (n == DATAGRAM)
			continue;
		mix_frame(f, packet);
		memset(f + LINK_HEADER4 + DATAGRAM, 0, 60);
		len = wrap(f, "10.0.1.9:5000", "10.0.1.1:9000", lab.mac[0], n);
		wire_send_len(0, f, len);
		sent++;
	}
	mix_settle(lab.b, before.rx + sent, &s);
	assert_dropped(&before, &s, DROP_bad_length, sent);
	assert_int_equal(s.processed, before.processed);
}

static void ethernet_padding_behind_the_datagram_is_ignored(void **state)
{
	static uint8_t f[FRAME_MAX];
	struct betanet_stats before, s;
	size_t len = fresh_frame(f);

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	memset(f + len, 0, 8);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, f, len + 8);
	mix_settle(lab.b, before.rx + 1, &s);
	assert_dropped(&before, &s, DROP_NONE, 0);
	assert_int_equal(s.processed, before.processed + 1);
}

static void bad_mac_small_order_and_replays_have_their_counters(void **state)
{
	static uint8_t f[FRAME_MAX], g[FRAME_MAX];
	struct betanet_stats before, s;
	size_t len = fresh_frame(f);

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	memcpy(g, f, len);
	g[LINK_HEADER4 + FRAME_SIZE + 100] ^= 1;
	expect_drop(g, len, DROP_bad_mac);
	memset(g + LINK_HEADER4 + FRAME_SIZE, 0, 32);
	expect_drop(g, len, DROP_bad_point);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, f, len);
	mix_settle(lab.b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
	expect_drop(f, len, DROP_replay);
}

static void next_hops_and_destinations_outside_the_rules_are_dropped(void **state)
{
	static uint8_t f[FRAME_MAX], packet[MIX_PACKET];
	static const struct {
		unsigned hops;
		const char *next, *to;
		enum drop_reason why;
	} bad[] = {
		{2, "10.0.2.3:9000", "10.0.2.50:7000", DROP_unknown_next_hop},
		{2, "10.0.2.2:9001", "10.0.2.50:7000", DROP_unknown_next_hop},
		{2, "172.16.0.1:9000", "10.0.2.50:7000",
			DROP_no_route}, /* in the directory, on no port */
		{1, "10.0.2.2:9000", "10.0.3.50:7000", DROP_exit_denied},
		{1, "10.0.2.2:9000", "10.0.2.50:0", DROP_exit_denied},
		{1, "10.0.2.2:9000", "172.16.5.5:7000", DROP_no_route},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mix_build(&lab.keys, bad[i].hops, bad[i].next, bad[i].to, 0, SPHINX_V259, "x", 1,
			packet);
		expect_drop(f, mix_frame(f, packet), bad[i].why);
	}
}

static void next_hops_outside_the_neighbours_set_are_dropped(void **state)
{
	static uint8_t f[FRAME_MAX];
	uint64_t none = 0, middle = 1 << 1; /* bits are indices of the directory's nodes */
	struct betanet_stats before, s;
	struct directory *d;
	struct error err;
	uint8_t hash[32];

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	assert_int_equal(
		directory_load(lab.directory, lab.authority, (uint64_t)time(NULL), &d, &err), 0);
	memcpy(hash, d->hash, sizeof(hash));
	directory_free(d);
	assert_int_equal(betanet_neighbours_set(lab.b, hash, &none, 1), 0);
	betanet_poll(lab.b);
	expect_drop(f, fresh_frame(f), DROP_not_neighbour);
	assert_int_equal(betanet_neighbours_set(lab.b, hash, &middle, 1), 0);
	betanet_poll(lab.b);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, f, fresh_frame(f));
	mix_settle(lab.b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
	/* a set is bound to its directory: a new one forwards nothing until its own set comes */
	write_directory(1800);
	assert_int_equal(betanet_directory_set(lab.b, lab.directory, lab.authority,
				 (uint64_t)time(NULL), err.msg),
		0);
	assert_int_equal(betanet_neighbours_set(lab.b, hash, &middle, 1), -ESTALE);
	expect_drop(f, fresh_frame(f), DROP_not_neighbour);
	assert_int_equal(betanet_neighbours_set(lab.b, NULL, NULL, 0), 0);
	betanet_poll(lab.b);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, f, fresh_frame(f));
	mix_settle(lab.b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
}

/* tests/vectors/sphinx/single.json through a relay with the vector's key. */
static void the_vectors_of_bad_packets_have_their_counters(void **state)
{
	static const struct {
		const char *id;
		enum drop_reason why;
	} expect[] = {
		{"bad-mac-bit", DROP_bad_mac},
		{"bad-beta-first", DROP_bad_mac},
		{"wrong-key", DROP_bad_mac},
		{"crafted-flag-0", DROP_bad_routing_flag},
		{"crafted-flag-3", DROP_bad_routing_flag},
		{"crafted-version-1-legacy", DROP_unsupported_version},
		{"crafted-bad-ip-version", DROP_bad_address},
		{"crafted-version-258", DROP_unknown_next_hop},
		{"final-payload-tampered",
			DROP_bad_address}, /* the destination is looked at first */
		{"final-no-marker", DROP_bad_payload},
		{"final-nonzero-prefix", DROP_bad_payload},
		{"ok-base-final", DROP_bad_address},
	};
	struct json *file = json_load("tests/vectors/sphinx/single.json");
	const struct json *v;
	unsigned ran = 0;

	(void)state;
	json_each(v, json_need(file, "vectors"))
	{
		static uint8_t f[FRAME_MAX], packet[MIX_PACKET];
		const char *id = json_str_need(v, "id");

		for (unsigned i = 0; i < sizeof(expect) / sizeof(expect[0]); i++) {
			if (strcmp(id, expect[i].id) != 0)
				continue;
			assert_int_equal(stop_relay(), 0);
			assert_int_equal(make_wires(), 0);
			json_hex_exact(v, "private_key", lab.keys.secret[0], 32);
			crypto_scalarmult_base(lab.keys.public[0], lab.keys.secret[0]);
			start_relay(BETANET_EXIT, 3600);
			json_hex_exact(v, "packet_in", packet, sizeof(packet));
			expect_drop(f, mix_frame(f, packet), expect[i].why);
			ran++;
		}
	}
	json_free(file);
	assert_int_equal(ran, sizeof(expect) / sizeof(expect[0]));
}

/* ---- the directory over time ---- */

static int setup_short(void **state)
{
	(void)state;
	return setup_as(BETANET_MIDDLE, 2);
}

static void an_expired_directory_stops_the_relay_until_a_new_one_comes(void **state)
{
	static uint8_t f[FRAME_MAX];
	char err[BETANET_ERROR_MAX];
	struct betanet_stats before, s;
	size_t len = fresh_frame(f);

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	for (unsigned i = 0; i < 3500; i++) {
		betanet_poll(lab.b);
		rte_delay_us_sleep(1000);
	}
	expect_drop(f, len, DROP_directory_expired);
	write_directory(3600);
	assert_int_equal(betanet_directory_set(
				 lab.b, lab.directory, lab.authority, (uint64_t)time(NULL), err),
		0);
	len = fresh_frame(f);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, f, len);
	mix_settle(lab.b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
}

static void an_altered_directory_leaves_the_old_one_in_force(void **state)
{
	static uint8_t f[FRAME_MAX];
	char err[BETANET_ERROR_MAX];
	struct betanet_stats before, s;
	struct error e;
	uint8_t *text;
	size_t n;

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	assert_int_equal(file_read(lab.directory, 1 << 20, &text, &n, &e), 0);
	text[20] ^= 1;
	assert_int_equal(file_write(lab.directory, 0600, text, n, FILE_FORCE, &e), 0);
	free(text);
	assert_int_equal(betanet_directory_set(
				 lab.b, lab.directory, lab.authority, (uint64_t)time(NULL), err),
		-EACCES);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, f, fresh_frame(f));
	mix_settle(lab.b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
}

static void a_parked_packet_finds_its_hop_in_a_new_directory(void **state)
{
	static uint8_t frame[FRAME_MAX], packet[MIX_PACKET];
	char err[BETANET_ERROR_MAX];
	struct betanet_stats before, s;

	(void)state;
	answer_arp(1, next_ip, peer_mac[1]);
	mix_build(&lab.keys, 3, "10.0.2.2:9000", "10.0.2.50:7000", 400000000, SPHINX_V259, "x", 1,
		packet);
	betanet_stats_get(lab.b, &before);
	wire_send_len(0, frame, mix_frame(frame, packet));
	rte_delay_us_sleep(100000);
	write_directory(1800);
	assert_int_equal(betanet_directory_set(
				 lab.b, lab.directory, lab.authority, (uint64_t)time(NULL), err),
		0);
	mix_settle(lab.b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
	assert_int_equal(s.dropped, before.dropped);
}

static void an_unknown_device_is_refused_with_the_list_of_ports(void **state)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b;
	struct betanet_port p = {.device = "net_nowhere0",
		.mtu = 1500,
		.rx_queues = 1,
		.rx_descriptors = 64,
		.tx_descriptors = 64};
	struct mix_keys k;

	(void)state;
	mix_keys_make(&k);
	mix_config(&c, k.secret[0]);
	assert_int_equal(betanet_create(&c, &b, err), 0);
	assert_int_equal(betanet_port_add(b, &p, err), 0);
	assert_int_equal(betanet_start(b, err), -ENODEV);
	assert_non_null(strstr(err, "net_nowhere0"));
	betanet_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ON_WIRES(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		ON_WIRES(a_forwarded_packet_reaches_the_next_relay),
		ON_WIRES(ipv4_in_and_ipv6_out),
		ON_WIRES(ipv6_in_is_taken),
		ON_WIRES(the_first_message_to_a_destination_waits_for_arp),
		ON_WIRES(a_next_hop_that_never_answers_costs_the_packet),
		ON_WIRES(arp_nd_and_ping_are_answered),
		ON_WIRES(ping_is_answered_with_its_own_bytes),
		ON_WIRES(every_broken_header_has_its_counter),
		ON_WIRES(ip_options_and_extension_headers_are_dropped),
		ON_WIRES(every_truncation_is_dropped),
		ON_WIRES(a_packet_of_every_wrong_length_is_dropped),
		ON_WIRES(ethernet_padding_behind_the_datagram_is_ignored),
		ON_WIRES(bad_mac_small_order_and_replays_have_their_counters),
		ON_WIRES(next_hops_and_destinations_outside_the_rules_are_dropped),
		ON_WIRES(next_hops_outside_the_neighbours_set_are_dropped),
		ON_WIRES(the_vectors_of_bad_packets_have_their_counters),
		ON_WIRES(an_altered_directory_leaves_the_old_one_in_force),
		ON_WIRES(a_parked_packet_finds_its_hop_in_a_new_directory),
		cmocka_unit_test_setup_teardown(
			an_expired_directory_stops_the_relay_until_a_new_one_comes, setup_short,
			teardown),
		cmocka_unit_test(an_unknown_device_is_refused_with_the_list_of_ports),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
