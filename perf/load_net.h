/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_LOAD_NET_H
#define BETANET_PERF_LOAD_NET_H

#include <math.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"
#include "link/link.h"
#include "sphinx/address.h"
#include "sphinx/build_burst.h"
#include "sphinx/burst.h"
#include "sphinx/frame.h"

/*
 * The network around the relay that perf_load measures: an entry that sends it the load, two exits
 * that it sends to, all of them on one thread at the other end of a memif link. They answer ARP,
 * consume drop cover, and lead the relay's loops back to it, with a delay at each hop: the relay is
 * to have nothing to complain of.
 */
enum {
	NET_PAYLOAD = 1024,
	NET_PACKET = SPHINX_HEADER_SIZE + NET_PAYLOAD,
	NET_FRAME = LINK_HEADER4 + FRAME_SIZE + NET_PACKET,
	NET_BURST = 32,
	NET_PARKED = 4096, /* loops at the other nodes */
	NET_PORT = 9000,
	NET_DELAY_MS = 50, /* mean, of every relay */
};

enum net_node { NET_ENTRY, NET_RELAY, NET_EXIT_1, NET_EXIT_2, NET_NODES };

struct net_parked {
	uint64_t due; /* TSC; 0: free */
	enum net_node at;
	uint8_t packet[NET_PACKET];
};

/* Packets that wait to be opened under a node's key. */
struct net_batch {
	unsigned n;
	uint8_t packet[NET_BURST][NET_PACKET];
};

static struct {
	uint8_t secret[NET_NODES][32], public[NET_NODES][32], identity[NET_NODES][32];
	uint8_t network_id[32], vrf_seed[32], authority[32];
	struct endpoint address[NET_NODES];
	char folder[32], directory[64];
	uint8_t relay_mac[6];

	/* the load: built once, sent in each round at times of its own */
	unsigned count;
	uint8_t (*frame)[NET_FRAME];
	uint64_t *at; /* cycles behind the start */
	/* what the relay makes of them: the first bytes of alpha, in an open table */
	uint64_t *expected;
	uint64_t expected_mask;

	uint16_t port;
	struct rte_mempool *pool;
	uint64_t hz;
	_Atomic bool run, stop;
	_Atomic uint64_t start; /* TSC at which the load begins */
	/* wire thread writes, main reads when `done` is set, or for gauges */
	_Atomic bool done;
	uint64_t sent, refused, latest; /* packets, times, cycles behind its time at most */
	_Atomic uint64_t real, cover, consumed, loops_on, loops_home, strange;
	struct net_batch batch[NET_NODES];
	struct net_parked *parked;
	struct sphinx_burst *opener;
} net;

static inline void net_die(const char *what)
{
	fprintf(stderr, "perf_load: %s\n", what);
	exit(1);
}

/* ---- keys, directory
 * ---------------------------------------------------------------------------------------------- */

static inline void net_write_directory(void)
{
	static const unsigned layer[NET_NODES] = {1, 2, 3, 3};
	uint8_t seed[32], sk[64], pk[32];
	char text[4096], hex[3][65], where[ENDPOINT_STRLEN];
	struct error err;
	size_t at;

	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(net.authority, sk, seed);
	hex_encode(hex[0], net.network_id, 32);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = \"2020-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (",
		hex[0]);
	for (unsigned i = 0; i < NET_NODES; i++) {
		crypto_sign_keypair(pk, sk);
		hex_encode(hex[0], pk, 32);
		hex_encode(hex[1], net.identity[i], 32);
		hex_encode(hex[2], net.public[i], 32);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"%s\n{ name = \"n%u\"; layer = %u; address = \"%s\"; vrf_key = \"%s\"; "
			"identity_key = \"%s\"; sphinx_key = \"%s\"; }",
			i ? "," : "", i, layer[i], endpoint_format(where, &net.address[i]), hex[0],
			hex[1], hex[2]);
	}
	snprintf(text + at, sizeof(text) - at, ");\n");
	if (file_write(net.directory, 0600, text, strlen(text), FILE_FORCE, &err) < 0 ||
		directory_sign(net.directory, net.directory, seed, FILE_FORCE, &err) < 0)
		net_die(err.msg);
}

static inline void net_make(void)
{
	uint8_t sk[64];

	net.hz = rte_get_tsc_hz();
	randombytes_buf(net.network_id, 32);
	randombytes_buf(net.vrf_seed, 32);
	for (unsigned i = 0; i < NET_NODES; i++) {
		char text[32];

		randombytes_buf(net.secret[i], 32);
		crypto_scalarmult_base(net.public[i], net.secret[i]);
		crypto_sign_keypair(net.identity[i], sk);
		snprintf(text, sizeof(text), "10.0.0.%u:%d", i + 1, NET_PORT);
		endpoint_parse(&net.address[i], text);
	}
	strcpy(net.folder, "/tmp/perf_load.XXXXXX");
	if (!mkdtemp(net.folder))
		net_die("no temporary folder");
	snprintf(net.directory, sizeof(net.directory), "%s/directory", net.folder);
	net_write_directory();
	net.opener = sphinx_burst_create(SPHINX_CURVE_LADDER);
	net.parked = calloc(NET_PARKED, sizeof(*net.parked));
	net.pool = rte_pktmbuf_pool_create("net_pool", 8191, 256, 0, 2304, SOCKET_ID_ANY);
	if (!net.opener || !net.parked || !net.pool)
		net_die("no memory for the network");
}

/* ---- the load
 * ------------------------------------------------------------------------------------------------------
 */

static inline void net_headers(uint8_t *frame, enum net_node from)
{
	static const uint8_t mac[6] = {2};
	struct link_template t;

	link_template_make(&t, mac, net.relay_mac, &net.address[from], &net.address[NET_RELAY]);
	link_template_write(&t, frame, FRAME_SIZE + NET_PACKET, false);
}

static inline uint64_t *net_slot(const uint8_t alpha[32])
{
	uint64_t key = load_be64(alpha) | 1, at = key >> 20;

	while (net.expected[at & net.expected_mask] && net.expected[at & net.expected_mask] != key)
		at++;
	return &net.expected[at & net.expected_mask];
}

/* What the relay will send on, so that the wire can tell the load from cover without opening it. */
static inline void net_expect(unsigned from, unsigned n)
{
	static uint8_t copy[SPHINX_BURST_MAX][NET_PACKET];
	uint8_t *packet[SPHINX_BURST_MAX];
	enum sphinx_status status[SPHINX_BURST_MAX];
	struct sphinx_hop hop[SPHINX_BURST_MAX];

	for (unsigned i = 0; i < n; i++) {
		packet[i] = copy[i];
		memcpy(copy[i], net.frame[from + i] + LINK_HEADER4 + FRAME_SIZE, NET_PACKET);
	}
	sphinx_open_burst(net.opener, net.secret[NET_RELAY], packet, NET_PACKET, n, status);
	sphinx_finish_burst(net.opener, status, hop);
	for (unsigned i = 0; i < n; i++) {
		if (status[i] != SPHINX_ok)
			net_die("a packet of the load is not valid");
		*net_slot(copy[i]) = load_be64(copy[i]) | 1;
	}
}

static inline void net_build_load(unsigned count)
{
	struct sphinx_builder *builder = sphinx_builder_create();
	struct sphinx_route route[2] = {{.hops = 2, .version = SPHINX_V259, .destination = {4}}};

	net.count = count;
	net.frame = malloc(count * sizeof(*net.frame));
	net.at = malloc(count * sizeof(*net.at));
	net.expected_mask = 1;
	while (net.expected_mask < 4ull * count)
		net.expected_mask *= 2;
	net.expected = calloc(net.expected_mask--, sizeof(*net.expected));
	if (!builder || !net.frame || !net.at || !net.expected)
		net_die("no memory for the packets");
	route[1] = route[0];
	for (unsigned i = 0; i < 2; i++) {
		memcpy(route[i].hop[0].public_key, net.public[NET_RELAY], 32);
		memcpy(route[i].hop[1].public_key, net.public[NET_EXIT_1 + i], 32);
		address_encode(route[i].hop[1].address, &net.address[NET_EXIT_1 + i]);
	}
	for (unsigned from = 0; from < count; from += SPHINX_BURST_MAX) {
		struct sphinx_build_item item[SPHINX_BURST_MAX];
		enum sphinx_status status[SPHINX_BURST_MAX];
		unsigned n = RTE_MIN(count - from, (unsigned)SPHINX_BURST_MAX);

		for (unsigned i = 0; i < n; i++)
			item[i] = (struct sphinx_build_item){.route = &route[i % 2],
				.out = net.frame[from + i] + LINK_HEADER4 + FRAME_SIZE};
		sphinx_build_burst(builder, item, n, NET_PAYLOAD, status);
		for (unsigned i = 0; i < n; i++)
			if (status[i] != SPHINX_ok)
				net_die("a packet could not be built");
		net_expect(from, n);
	}
	sphinx_builder_free(builder);
}

/* Each round's port has a MAC address of its own. */
static inline void net_address_load(void)
{
	for (unsigned i = 0; i < net.count; i++) {
		frame_write(net.frame[i] + LINK_HEADER4, NET_PAYLOAD, 0);
		net_headers(net.frame[i], NET_ENTRY);
	}
}

static inline double net_uniform(void)
{
	return ((double)randombytes_random() + 0.5) / 4294967296.0;
}

/* A Poisson process of which we know how many come in the time: exponential gaps, stretched. */
static inline void net_draw_arrivals(double seconds)
{
	double sum = 0, *gap = malloc((net.count + 1) * sizeof(*gap));

	if (!gap)
		net_die("no memory for the arrivals");
	for (unsigned i = 0; i <= net.count; i++)
		sum += gap[i] = -log(net_uniform());
	for (double at = 0, i = 0; i < net.count; i++) {
		at += gap[(unsigned)i];
		net.at[(unsigned)i] = (uint64_t)(at / sum * seconds * (double)net.hz);
	}
	free(gap);
}

/* ---- the wire
 * -------------------------------------------------------------------------------------------------------
 */

/* When a frame was put on the wire, in its source MAC address: 40 bits, in units of 16 cycles. The
 * first byte says that it is of the load. */
static inline void net_stamp(uint8_t *frame, uint64_t now)
{
	frame[6] = 6;
	for (unsigned i = 0; i < 5; i++)
		frame[7 + i] = (uint8_t)(now >> (4 + 8 * i));
}

/* 0: not of the load. */
static inline uint64_t net_stamped(const uint8_t *frame, uint64_t now)
{
	const uint64_t mask = (1ull << 44) - 16;
	uint64_t stamp = 0;

	if (frame[6] != 6)
		return 0;
	for (unsigned i = 0; i < 5; i++)
		stamp |= (uint64_t)frame[7 + i] << (4 + 8 * i);
	return now - ((now - stamp) & mask);
}

static inline struct rte_mbuf *net_mbuf(const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.pool);

	if (!m)
		net_die("the wire's pool is empty");
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	return m;
}

/* The load that is due. What the relay's port does not take is offered again. */
static inline void net_send_load(uint64_t now)
{
	uint64_t start = atomic_load(&net.start);
	struct rte_mbuf *m[NET_BURST];
	unsigned n = 0, took;

	if (start == 0 || now < start)
		return;
	while (n < NET_BURST && net.sent + n < net.count && start + net.at[net.sent + n] <= now) {
		m[n] = net_mbuf(net.frame[net.sent + n], NET_FRAME);
		net_stamp(rte_pktmbuf_mtod(m[n], uint8_t *), rte_rdtsc());
		n++;
	}
	if (n == 0)
		return;
	net.latest = RTE_MAX(net.latest, now - start - net.at[net.sent]);
	took = rte_eth_tx_burst(net.port, 0, m, (uint16_t)n);
	if (took < n) {
		net.refused += n - took;
		rte_pktmbuf_free_bulk(m + took, n - took);
	}
	net.sent += took;
	if (net.sent == net.count)
		atomic_store(&net.done, true);
}

static inline void net_send_packet(enum net_node from, const uint8_t packet[NET_PACKET])
{
	uint8_t frame[NET_FRAME];
	struct rte_mbuf *m;

	frame_write(frame + LINK_HEADER4, NET_PAYLOAD, 0);
	memcpy(frame + LINK_HEADER4 + FRAME_SIZE, packet, NET_PACKET);
	net_headers(frame, from);
	m = net_mbuf(frame, NET_FRAME);
	if (rte_eth_tx_burst(net.port, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static inline int net_node_at(const struct endpoint *e)
{
	for (unsigned i = 0; i < NET_NODES; i++)
		if (memcmp(e->ip, net.address[i].ip, 4) == 0 && e->port == NET_PORT)
			return (int)i;
	return -1;
}

static inline void net_park(enum net_node at, const uint8_t packet[NET_PACKET])
{
	for (unsigned i = 0; i < NET_PARKED; i++) {
		struct net_parked *p = &net.parked[i];

		if (p->due)
			continue;
		p->due = rte_rdtsc() +
			 (uint64_t)(-log(net_uniform()) * NET_DELAY_MS / 1e3 * (double)net.hz);
		p->at = at;
		memcpy(p->packet, packet, NET_PACKET);
		return;
	}
	net_die("too many loops at the other relays");
}

/* Opens what waits at a node: loops go on, drop cover ends. */
static inline void net_open(enum net_node at)
{
	struct net_batch *b = &net.batch[at];
	uint8_t *packet[NET_BURST];
	enum sphinx_status status[NET_BURST];
	struct sphinx_hop hop[NET_BURST];

	if (b->n == 0)
		return;
	for (unsigned i = 0; i < b->n; i++)
		packet[i] = b->packet[i];
	sphinx_open_burst(net.opener, net.secret[at], packet, NET_PACKET, b->n, status);
	sphinx_finish_burst(net.opener, status, hop);
	for (unsigned i = 0; i < b->n; i++) {
		struct endpoint next;
		int node = -1;

		if (status[i] == SPHINX_ok && address_decode(hop[i].address, &next) == SPHINX_ok)
			node = net_node_at(&next);
		if (node < 0)
			net.strange++;
		else if (hop[i].flag == SPHINX_FLAG_FINAL)
			net.consumed++;
		else
			net_park((enum net_node)node, packet[i]);
	}
	b->n = 0;
}

static inline void net_arrive(enum net_node at, const uint8_t packet[NET_PACKET])
{
	struct net_batch *b = &net.batch[at];

	memcpy(b->packet[b->n++], packet, NET_PACKET);
	if (b->n == NET_BURST)
		net_open(at);
}

/* A parked packet goes on to `at`. */
static inline void net_forward(uint64_t now)
{
	for (unsigned i = 0; i < NET_PARKED; i++) {
		struct net_parked *p = &net.parked[i];

		if (p->due == 0 || p->due > now)
			continue;
		p->due = 0;
		if (p->at == NET_RELAY) {
			net.loops_home++;
			net_send_packet(NET_ENTRY, p->packet);
		} else {
			net.loops_on++;
			net_arrive(p->at, p->packet);
		}
	}
}

static inline void net_answer(const uint8_t *frame, size_t len)
{
	for (unsigned i = 0; i < NET_NODES; i++) {
		struct link_host host = {.mac = {2}, .has_ipv4 = true};
		struct link_learned learned;
		uint8_t reply[256];
		struct rte_mbuf *m;
		size_t n;

		memcpy(host.ipv4, net.address[i].ip, 4);
		n = i == NET_RELAY
			    ? 0
			    : link_respond(&host, frame, len, reply, sizeof(reply), &learned);
		if (n == 0)
			continue;
		m = net_mbuf(reply, n);
		if (rte_eth_tx_burst(net.port, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
		return;
	}
}

static inline void net_take(const uint8_t *frame, size_t len)
{
	const uint8_t *packet = frame + LINK_HEADER4 + FRAME_SIZE;
	struct endpoint to = {.family = 4, .port = NET_PORT};
	int node;

	if (len != NET_FRAME) {
		net_answer(frame, len);
		return;
	}
	memcpy(to.ip, frame + 30, 4); /* destination of the IPv4 header */
	node = net_node_at(&to);
	if (node < 0 || node == NET_RELAY) {
		net.strange++;
	} else if (*net_slot(packet)) {
		net.real++;
	} else {
		net.cover++;
		net_arrive((enum net_node)node, packet);
	}
}

static inline void net_receive(void)
{
	struct rte_mbuf *m[NET_BURST];
	unsigned n;

	while ((n = rte_eth_rx_burst(net.port, 0, m, NET_BURST)) > 0) {
		for (unsigned i = 0; i < n; i++)
			net_take(rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len);
		rte_pktmbuf_free_bulk(m, n);
	}
}

/* An lcore of EAL's, on the core of the control lcore: it sleeps between its rounds. */
static inline int net_main(void *arg)
{
	const struct timespec pause = {.tv_nsec = 20000};
	uint64_t next = 0;

	(void)arg;
	while (!atomic_load(&net.stop)) {
		uint64_t now = rte_rdtsc();

		net_send_load(now);
		net_receive();
		if (now >= next) {
			next = now + net.hz / 1000;
			net_forward(now);
			for (unsigned i = 0; i < NET_NODES; i++)
				net_open((enum net_node)i);
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

#endif
