/* SPDX-License-Identifier: BSD-3-Clause */
/* Links on a port whose wires are rings: what slots put on the wire, and what a next hop that does
 * not answer costs the others. */
#include "shapingnet.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include "sphinx/frame.h"

enum { QUEUES = 2, NODES = 3, WIRE_FRAME = LINK_HEADER4 + FRAME_SIZE + MIX_PACKET };

static struct {
	struct rte_ring *rx[QUEUES], *tx[QUEUES];
	char device[RTE_ETH_NAME_MAX_LEN];
	struct rte_mempool *pool;
	uint8_t mac[6];
	bool dead[NODES]; /* answers no ARP */
	unsigned frames[NODES], real[NODES], by_queue[QUEUES], odd;
} lab;

static void node_mac(unsigned node, uint8_t mac[6])
{
	const uint8_t m[6] = {2, 7, 0, 0, 0, (uint8_t)node};

	memcpy(mac, m, 6);
}

static void make_wires(unsigned size)
{
	static unsigned serial;
	char name[32];
	int id;

	memset(&lab, 0, sizeof(lab));
	lab.pool = rte_pktmbuf_pool_create("wire_pool", 1023, 0,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN), 2176, SOCKET_ID_ANY);
	assert_non_null(lab.pool);
	for (unsigned i = 0; i < QUEUES; i++) {
		snprintf(name, sizeof(name), "wire_rx_%u", serial);
		lab.rx[i] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "wire_tx_%u", serial++);
		lab.tx[i] = rte_ring_create(name, size, SOCKET_ID_ANY, 0);
		assert_non_null(lab.rx[i]);
		assert_non_null(lab.tx[i]);
	}
	snprintf(name, sizeof(name), "wire%u", serial);
	id = rte_eth_from_rings(name, lab.rx, QUEUES, lab.tx, QUEUES, 0);
	assert_true(id >= 0);
	assert_int_equal(rte_eth_dev_get_name_by_port((uint16_t)id, lab.device), 0);
	assert_int_equal(rte_eth_macaddr_get((uint16_t)id, (struct rte_ether_addr *)lab.mac), 0);
}

static struct betanet_port port_of_lab(void)
{
	return (struct betanet_port){
		.device = lab.device,
		.has_ipv4 = true,
		.ipv4 = {10, 7, 0, 250},
		.bits4 = 24,
		.mtu = 1500,
		.rx_queues = 1,
		.rx_descriptors = 64,
		.tx_descriptors = 64,
	};
}

/* ---- the other ends of the wires ---- */

static void answer(unsigned node, const uint8_t *frame, size_t len)
{
	struct link_host host = {.has_ipv4 = true, .ipv4 = {10, 7, 0, (uint8_t)(node + 1)}};
	uint8_t reply[2048];
	struct link_learned l;
	struct rte_mbuf *m;

	node_mac(node, host.mac);
	link_host_derive(&host);
	len = lab.dead[node] ? 0 : link_respond(&host, frame, len, reply, sizeof(reply), &l);
	if (len == 0)
		return;
	m = rte_pktmbuf_alloc(lab.pool);
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), reply, len);
	assert_int_equal(rte_ring_enqueue(lab.rx[0], m), 0);
}

/* Every byte in front of the Sphinx packet is as it has to be. */
static void look_at(unsigned queue, uint8_t *frame, size_t len)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + 14);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + 34);
	const uint8_t *packet = frame + LINK_HEADER4 + FRAME_SIZE;
	uint16_t sum = udp->dgram_cksum;
	unsigned node = frame[33] - 1u;
	uint8_t mac[6];

	if (len != WIRE_FRAME || node >= NODES) {
		lab.odd++;
		return;
	}
	node_mac(node, mac);
	udp->dgram_cksum = 0;
	if (memcmp(frame, mac, 6) != 0 || memcmp(frame + 6, lab.mac, 6) != 0 ||
		memcmp(frame + 26, ((uint8_t[]){10, 7, 0, 250, 10, 7, 0}), 7) != 0 ||
		load_be16(frame + 34) != 9000 || load_be16(frame + 36) != 9000 ||
		rte_raw_cksum(ip, 20) != 0xffff || rte_ipv4_udptcp_cksum(ip, udp) != sum ||
		frame_check(frame + LINK_HEADER4, MIX_PAYLOAD) != 0)
		lab.odd++;
	lab.frames[node]++;
	lab.by_queue[queue]++;
	lab.real[node] += packet[0] != 0xc0 || packet[1] != 0xc0;
}

static void take_frames(void)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		struct rte_mbuf *m;

		while (rte_ring_dequeue(lab.tx[q], (void **)&m) == 0) {
			uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

			if (load_be16(frame + 12) == 0x0806)
				for (unsigned i = 0; i < NODES; i++)
					answer(i, frame, m->data_len);
			else
				look_at(q, frame, m->data_len);
			rte_pktmbuf_free(m);
		}
	}
}

static void step(struct shapingnet *n)
{
	betanet_poll(n->b);
	take_frames();
	rte_delay_us_sleep(200);
}

#define until(n, condition)                                                                        \
	do {                                                                                       \
		uint64_t end_ = rte_rdtsc() + rte_get_tsc_hz() * 20;                               \
		while (!(condition)) {                                                             \
			if (rte_rdtsc() > end_)                                                    \
				fail_msg("%s: not after 20 s", #condition);                        \
			step(n);                                                                   \
		}                                                                                  \
	} while (0)

/* What the relay sent and nobody took counts as there. */
static void stop(struct shapingnet *n)
{
	struct betanet_stop_report r;
	struct rte_mbuf *m;

	betanet_stop(n->b, 20, &r);
	for (unsigned q = 0; q < QUEUES; q++) {
		while (rte_ring_dequeue(lab.tx[q], (void **)&m) == 0) {
			r.pool_free += m->pool != lab.pool;
			rte_pktmbuf_free(m);
		}
	}
	assert_int_equal(r.pool_free, r.pool_size);
	shapingnet_free(n);
	for (unsigned q = 0; q < QUEUES; q++) {
		rte_ring_free(lab.rx[q]);
		rte_ring_free(lab.tx[q]);
	}
	rte_mempool_free(lab.pool);
	lab.pool = NULL;
}

static int teardown(void **state)
{
	shapingnet_teardown(state);
	for (unsigned q = 0; q < QUEUES && lab.pool; q++) {
		rte_ring_free(lab.rx[q]);
		rte_ring_free(lab.tx[q]);
	}
	rte_mempool_free(lab.pool);
	lab.pool = NULL;
	return 0;
}

static bool is_resolved(const struct shapingnet *n, unsigned node)
{
	struct endpoint ip = shapingnet_address(node);
	const struct neighbour *found;

	ip.port = 0;
	found = neighbour_find(n->b, 0, &ip);
	return found && found->resolved && !n->b->snapshot_dirty;
}

static struct shapingnet *start(enum betanet_shaping mode, uint64_t rate, unsigned workers)
{
	struct shapingnet *n = shapingnet_make(NODES, mode, rate);
	struct betanet_port port = port_of_lab();

	n->workers = workers;
	n->port = &port;
	shapingnet_start(n);
	n->port = NULL;
	for (unsigned k = 0; k < NODES; k++)
		until(n, lab.dead[k] || is_resolved(n, k));
	return n;
}

/* ---- facts ---- */

static void slots_put_the_same_frames_on_the_wire_for_packets_and_cover(void **state)
{
	static const enum betanet_shaping modes[] = {
		BETANET_SHAPING_CONSTANT, BETANET_SHAPING_POISSON, BETANET_SHAPING_RATE};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(modes); i++) {
		struct shapingnet *n;

		make_wires(1024);
		n = start(modes[i], 500, 1);
		shapingnet_fill(n);
		for (unsigned k = 0; k < 30; k++)
			shapingnet_submit(n, k % NODES, 0);
		for (unsigned k = 0; k < NODES; k++)
			until(n, lab.real[k] == 10 &&
					 (lab.frames[k] >= 30 || modes[i] == BETANET_SHAPING_RATE));
		assert_int_equal(lab.odd, 0);
		stop(n);
	}
}

static void a_dead_next_hop_leaves_the_others_their_slots(void **state)
{
	struct betanet_stats s;
	struct shapingnet *n;

	(void)state;
	make_wires(1024);
	lab.dead[1] = true;
	n = start(BETANET_SHAPING_CONSTANT, 300, 1);
	for (unsigned k = 0; k < 30; k++)
		shapingnet_submit(n, k % NODES, 0);
	until(n, lab.real[0] == 10 && lab.real[2] == 10);
	do {
		step(n);
		shapingnet_fill(n);
		betanet_stats_get(n->b, &s);
	} while (s.drops[DROP_unresolved] < 10);
	assert_int_equal(s.dropped, 10);
	assert_int_equal(lab.frames[1], 0);
	for (unsigned k = 0; k < NODES; k++) {
		const struct tx_link *l = n->b->links.link[k];

		if (l->address.ip[3] == 2)
			assert_int_equal(l->stats.real + l->stats.cover, 0);
		else
			assert_true(l->stats.real == 10 && l->stats.cover > 100);
	}
	/* it comes to life: its slots send */
	lab.dead[1] = false;
	until(n, is_resolved(n, 1));
	shapingnet_submit(n, 1, 0);
	until(n, lab.real[1] == 1 && lab.frames[1] > 1);
	assert_int_equal(lab.odd, 0);
	stop(n);
}

/* Forgets a neighbour, as control does with one that answers no more. */
static void lose_neighbour(struct shapingnet *n, unsigned node)
{
	struct endpoint ip = shapingnet_address(node);
	struct neighbour *found;

	ip.port = 0;
	lab.dead[node] = true;
	found = neighbour_find(n->b, 0, &ip);
	assert_non_null(found);
	found->resolved = false;
	found->next_ns = 0; /* is asked for now */
	n->b->snapshot_dirty = true;
	betanet_poll(n->b);
}

static void packets_wait_for_a_next_hop_that_dies_and_comes_back(void **state)
{
	struct betanet_stats s;
	struct shapingnet *n;

	(void)state;
	make_wires(1024);
	n = start(BETANET_SHAPING_CONSTANT, 20, 1);
	for (unsigned k = 0; k < 8; k++)
		shapingnet_submit(n, 0, 0);
	do {
		step(n);
		betanet_stats_get(n->b, &s);
	} while (s.queued + s.slots_real < 8);
	lose_neighbour(n, 0);
	lab.dead[0] = false; /* it answers when it is asked again */
	until(n, lab.real[0] == 8);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.dropped, 0);
	stop(n);
}

static void packets_that_wait_for_a_dead_next_hop_for_long_are_dropped(void **state)
{
	struct betanet_stats s;
	struct shapingnet *n;

	(void)state;
	make_wires(1024);
	n = start(BETANET_SHAPING_CONSTANT, 10, 1);
	for (unsigned k = 0; k < 12; k++)
		shapingnet_submit(n, 0, 0);
	do {
		step(n);
		betanet_stats_get(n->b, &s);
	} while (s.queued + s.slots_real < 12);
	lose_neighbour(n, 0);
	do {
		step(n);
		betanet_stats_get(n->b, &s);
	} while (s.queued > 0);
	assert_int_equal(s.drops[DROP_unresolved], 12 - s.slots_real);
	assert_int_equal(s.dropped, s.drops[DROP_unresolved]);
	assert_true(s.dropped > 0);
	stop(n);
}

static void a_wire_that_takes_nothing_costs_packets_after_a_while_and_buffers_never(void **state)
{
	struct betanet_stats s;
	struct shapingnet *n;
	uint64_t sent;

	(void)state;
	make_wires(8);
	n = start(BETANET_SHAPING_POISSON, 2000, 1);
	betanet_stats_get(n->b, &s);
	sent = s.slots_real;
	for (unsigned k = 0; k < 60; k++)
		shapingnet_submit(n, k % NODES, 0);
	do { /* nobody takes frames */
		betanet_poll(n->b);
		shapingnet_fill(n);
		rte_delay_us_sleep(200);
		betanet_stats_get(n->b, &s);
	} while (s.drops[DROP_tx_refused] == 0 || s.queued > 0);
	assert_int_equal(s.slots_real - sent + s.drops[DROP_tx_refused], 60);
	/* the wire is free again */
	take_frames();
	shapingnet_submit(n, 0, 0);
	sent = lab.real[0];
	until(n, lab.real[0] == sent + 1);
	stop(n);
}

static void each_worker_sends_on_its_own_queue(void **state)
{
	struct shapingnet *n;

	(void)state;
	make_wires(1024);
	n = start(BETANET_SHAPING_POISSON, 1000, 2);
	shapingnet_fill(n);
	for (unsigned k = 0; k < 60; k++)
		shapingnet_submit(n, k / 2 % NODES, 0);
	until(n, lab.real[0] + lab.real[1] + lab.real[2] == 60);
	assert_true(lab.by_queue[0] > 0);
	assert_true(lab.by_queue[1] > 0);
	assert_int_equal(lab.odd, 0);
	for (unsigned k = 0; k < NODES; k++)
		assert_int_equal(n->b->links.link[k]->txq->queue, n->b->links.link[k]->owner);
	stop(n);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slots_put_the_same_frames_on_the_wire_for_packets_and_cover),
		TEST(a_dead_next_hop_leaves_the_others_their_slots),
		TEST(packets_wait_for_a_next_hop_that_dies_and_comes_back),
		TEST(packets_that_wait_for_a_dead_next_hop_for_long_are_dropped),
		TEST(a_wire_that_takes_nothing_costs_packets_after_a_while_and_buffers_never),
		TEST(each_worker_sends_on_its_own_queue),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
