/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_WIRELAB_H
#define BETANET_TESTS_WIRELAB_H

#include "mixtest.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"
#include "link/link.h"
#include "pipeline/pipeline.h"
#include "sphinx/build_burst.h"
#include "sphinx/frame.h"

/*
 * A relay on one port whose wire is in the test's hands, and the account of every packet: when it
 * was put on the wire, when it may leave at the earliest, when it left (noted by the worker in the
 * moment it hands it to the driver), or under which reason it was dropped. After mixtest.h.
 *
 * The relay is 10.0.0.1 and fd00::1. The directory has it, the next relay 10.0.0.2, which answers
 * ARP, a dead one 10.0.0.3, and LAB_PEERS relays before it: 10.0.0.11 and on, the last one
 * [fd00::15].
 */
enum {
	LAB_PEERS = 4,
	LAB_WIRE = 16384,   /* frames on a wire */
	LAB_FRAMES = 24575, /* buffers of the test */
	LAB_PACKETS = 8192,
	LAB_DATAGRAM = FRAME_SIZE + MIX_PACKET,
	LAB_FRAME4 = LINK_HEADER4 + LAB_DATAGRAM,
};
#define LAB_NEXT "10.0.0.2:9000"
#define LAB_DEAD "10.0.0.3:9000"

static const char *const lab_peer[LAB_PEERS] = {
	"10.0.0.11:9000", "10.0.0.12:9000", "10.0.0.13:9000", "[fd00::15]:9000"};

struct lab_packet {
	uint8_t bytes[MIX_PACKET];
	uint64_t mark;     /* of the packet that the relay makes of it: see lab_mark */
	uint64_t delay_ns; /* in its header */
	uint64_t sent;     /* TSC, in front of the wire; 0: it was not sent */
	uint64_t left;     /* TSC; 0: it did not leave */
	unsigned stream;   /* the test's: whose it is */
};

struct lab_departure {
	uint64_t mark, tsc;
};

static struct {
	struct rte_mempool *frames,
		*from;        /* from: where frames come from, `frames` or the relay's */
	unsigned frames_free; /* at the start */
	struct rte_ring *rx[2], *tx[2];
	unsigned queues;
	char device[RTE_ETH_NAME_MAX_LEN], directory[64];
	uint8_t mac[6], authority_seed[32], authority[32];
	struct mix_keys keys;
	struct betanet *b;
	uint64_t offered; /* frames that the relay's port was given */
	uint64_t control; /* ARP, ND among them */
	uint64_t began;   /* TSC of the start */
	const struct rte_eth_rxtx_callback *note[2];
	_Atomic long worker_tid[2];
	_Atomic unsigned departures;
	struct lab_departure departure[2 * LAB_PACKETS];
	struct lab_packet *packet; /* LAB_PACKETS of them */
	unsigned built;
} lab;

/* The first bytes of alpha: two packets that share them do not occur. */
static inline uint64_t lab_mark(const uint8_t *packet)
{
	return load_be64(packet);
}

/* ---- packets ---- */

/* `n` packets more, with delays of from_ns and, evenly spread, up to to_ns, for the next hop at
 * `next`. Returns the first. */
static inline struct lab_packet *lab_build(
	unsigned n, const char *next, uint64_t from_ns, uint64_t to_ns)
{
	struct sphinx_route *route = calloc(n, sizeof(*route));
	struct sphinx_build_item *item = calloc(n, sizeof(*item));
	enum sphinx_status *status = calloc(n, sizeof(*status));
	struct sphinx_builder *builder = sphinx_builder_create();
	struct lab_packet *first = &lab.packet[lab.built];

	assert_non_null(builder);
	assert_true(lab.built + n <= LAB_PACKETS);
	lab.built += n;
	for (unsigned i = 0; i < n; i++) {
		struct lab_packet *p = &first[i];

		memset(p, 0, sizeof(*p));
		p->delay_ns = from_ns + (to_ns - from_ns) * i / (n > 1 ? n - 1 : 1);
		route[i] = (struct sphinx_route){.hops = 2, .version = SPHINX_V259};
		for (unsigned k = 0; k < 2; k++) {
			memcpy(route[i].hop[k].public_key, lab.keys.public[k], 32);
			mix_address(route[i].hop[k].address, next);
			route[i].hop[k].delay_ns = p->delay_ns;
		}
		mix_address(route[i].destination, "10.0.0.77:7000");
		item[i] = (struct sphinx_build_item){.route = &route[i], .out = p->bytes};
	}
	sphinx_build_burst(builder, item, n, MIX_PAYLOAD, status);
	for (unsigned i = 0; i < n; i++) {
		uint8_t next_packet[MIX_PACKET];
		struct sphinx_hop hop;

		assert_int_equal(status[i], SPHINX_ok);
		memcpy(next_packet, first[i].bytes, MIX_PACKET);
		assert_int_equal(sphinx_unwrap(mix_crypto, lab.keys.secret[0], next_packet,
					 MIX_PACKET, &hop),
			SPHINX_ok);
		assert_int_equal(hop.delay_ns, first[i].delay_ns);
		first[i].mark = lab_mark(next_packet);
	}
	sphinx_builder_free(builder);
	free(route);
	free(item);
	free(status);
	return first;
}

/* ---- wires ---- */

/* Ethernet, IP, UDP, frame and `packet`, cut or lengthened to `len` bytes behind the frame. NULL
 * without buffers. */
static inline struct rte_mbuf *lab_frame(const char *from, const uint8_t *packet, size_t len)
{
	static const uint8_t wire_mac[6] = {2, 0, 0, 0, 0, 9};
	struct rte_mbuf *m = rte_pktmbuf_alloc(lab.from);
	struct endpoint src, dst;
	struct link_template t;
	uint8_t *frame;

	if (!m)
		return NULL;
	assert_int_equal(endpoint_parse(&src, from), 0);
	assert_int_equal(
		endpoint_parse(&dst, src.family == 4 ? "10.0.0.1:9000" : "[fd00::1]:9000"), 0);
	link_template_make(&t, wire_mac, lab.mac, &src, &dst);
	frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(t.len + FRAME_SIZE + len));
	frame_write(frame + t.len, MIX_PAYLOAD, 0);
	memset(frame + t.len + FRAME_SIZE, 0, len);
	memcpy(frame + t.len + FRAME_SIZE, packet, RTE_MIN(len, (size_t)MIX_PACKET));
	link_template_write(&t, frame, FRAME_SIZE + len, false);
	return m;
}

/* False: no buffer, or no room on the wire; the frame was not offered. */
static inline bool lab_offer(unsigned queue, const char *from, const uint8_t *packet, size_t len)
{
	struct rte_mbuf *m = lab_frame(from, packet, len);

	if (!m)
		return false;
	if (rte_ring_enqueue(lab.rx[queue], m) != 0) {
		rte_pktmbuf_free(m);
		return false;
	}
	lab.offered++;
	return true;
}

/* Again with the same packet: the first time counts. */
static inline bool lab_try_send(const char *from, struct lab_packet *p)
{
	uint64_t now = rte_rdtsc();

	if (!lab_offer(0, from, p->bytes, MIX_PACKET))
		return false;
	if (!p->sent)
		p->sent = now;
	return true;
}

static inline void lab_send(const char *from, struct lab_packet *p)
{
	assert_true(lab_try_send(from, p));
}

/* What came out of the relay; ARP requests for the next hop are answered. */
static inline void lab_poll(void)
{
	static const struct link_host next = {
		.mac = {2, 0, 0, 0, 0, 2}, .has_ipv4 = true, .ipv4 = {10, 0, 0, 2}};
	struct rte_mbuf *m;

	for (unsigned q = 0; q < lab.queues; q++) {
		while (rte_ring_dequeue(lab.tx[q], (void **)&m) == 0) {
			uint8_t reply[2048];
			struct link_learned l;
			size_t len = link_respond(&next, rte_pktmbuf_mtod(m, uint8_t *),
				m->data_len, reply, sizeof(reply), &l);

			rte_pktmbuf_free(m);
			m = len ? rte_pktmbuf_alloc(lab.frames) : NULL;
			if (!m)
				continue;
			memcpy(rte_pktmbuf_append(m, (uint16_t)len), reply, len);
			assert_int_equal(rte_ring_enqueue(lab.rx[0], m), 0);
			lab.offered++;
			lab.control++;
		}
	}
	betanet_poll(lab.b);
}

static inline void lab_pause(unsigned us)
{
	lab_poll();
	rte_delay_us_sleep(us);
}

/* On the worker, in front of the driver. */
static inline uint16_t lab_note_departures(
	uint16_t port, uint16_t queue, struct rte_mbuf *m[], uint16_t n, void *arg)
{
	uint64_t now = rte_rdtsc();

	(void)port;
	(void)arg;
	atomic_store(&lab.worker_tid[queue], syscall(SYS_gettid));
	for (unsigned i = 0; i < n; i++) {
		unsigned at;

		if (m[i]->data_len != LAB_FRAME4)
			continue;
		at = atomic_fetch_add(&lab.departures, 1);
		if (at < RTE_DIM(lab.departure))
			lab.departure[at] = (struct lab_departure){
				lab_mark(rte_pktmbuf_mtod_offset(
					m[i], uint8_t *, LINK_HEADER4 + FRAME_SIZE)),
				now};
	}
	return n;
}

/* ---- the relay ---- */

static inline void lab_write_directory(void)
{
	static const char *const address[] = {
		"\"10.0.0.1:9000\", \"[fd00::1]:9000\"", "\"" LAB_NEXT "\"", "\"" LAB_DEAD "\""};
	char *text = calloc(1, 8192), key[3][65];
	uint8_t pk[32], sk[64];
	struct error err;
	size_t at;

	randombytes_buf(pk, 32);
	hex_encode(key[0], pk, 32);
	at = (size_t)sprintf(text,
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (",
		key[0]);
	for (unsigned i = 0; i < 3 + LAB_PEERS; i++) {
		char peer[64];

		snprintf(peer, sizeof(peer), "\"%s\"", i < 3 ? "" : lab_peer[i - 3]);
		crypto_sign_keypair(pk, sk);
		hex_encode(key[0], pk, 32);
		crypto_sign_keypair(pk, sk);
		hex_encode(key[1], pk, 32);
		crypto_box_keypair(pk, sk);
		hex_encode(key[2], i < 2 ? lab.keys.public[i] : pk, 32);
		at += (size_t)sprintf(text + at,
			"%s\n{ name = \"n%u\"; layer = %u; address = [ %s ]; identity_key = "
			"\"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }",
			i ? "," : "", i,
			i == 0  ? 2
			: i < 3 ? 3
				: 1,
			i < 3 ? address[i] : peer, key[0], key[1], key[2]);
	}
	strcpy(text + at, ");\n");
	if (directory_sign_text("lab", (uint8_t *)text, strlen(text), lab.directory,
		    lab.authority_seed, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
	free(text);
}

static inline void lab_use_directory(void)
{
	char err[BETANET_ERROR_MAX];

	if (betanet_directory_set(lab.b, lab.directory, lab.authority, 0, err) < 0)
		fail_msg("%s", err);
}

static inline void lab_make_wires(void)
{
	static unsigned serial;
	char name[32];
	int id;

	for (unsigned q = 0; q < lab.queues; q++) {
		snprintf(name, sizeof(name), "lab_rx%u", serial);
		lab.rx[q] = rte_ring_create(name, LAB_WIRE, SOCKET_ID_ANY, RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "lab_tx%u", serial++);
		lab.tx[q] = rte_ring_create(name, LAB_WIRE, SOCKET_ID_ANY, RING_F_SC_DEQ);
		assert_true(lab.rx[q] && lab.tx[q]);
	}
	snprintf(name, sizeof(name), "lab%u", serial);
	id = rte_eth_from_rings(name, lab.rx, lab.queues, lab.tx, lab.queues, 0);
	assert_true(id >= 0);
	rte_eth_dev_get_name_by_port((uint16_t)id, lab.device);
	rte_eth_macaddr_get((uint16_t)id, (struct rte_ether_addr *)lab.mac);
}

/* `change` may be NULL. The next hop is resolved when this returns. */
static inline void lab_start(unsigned workers, void (*change)(struct betanet_config *))
{
	static struct lab_packet packets[LAB_PACKETS];
	static struct rte_mempool *frames;
	struct betanet_port p = {.device = lab.device,
		.has_ipv4 = true,
		.ipv4 = {10, 0, 0, 1},
		.bits4 = 16,
		.has_ipv6 = true,
		.ipv6 = {0xfd, [15] = 1},
		.bits6 = 64,
		.mtu = 1500,
		.rx_queues = workers,
		.rx_descriptors = 256,
		.tx_descriptors = 256};
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	uint8_t sk[64];

	if (!frames)
		frames = rte_pktmbuf_pool_create("lab_frames", LAB_FRAMES, 0,
			RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN), 2176,
			SOCKET_ID_ANY);
	assert_non_null(frames);
	memset(&lab, 0, sizeof(lab));
	lab.frames = lab.from = frames;
	lab.frames_free = rte_mempool_avail_count(frames);
	lab.packet = packets;
	lab.queues = workers;
	lab_make_wires();
	mix_keys_make(&lab.keys);
	randombytes_buf(lab.authority_seed, 32);
	crypto_sign_seed_keypair(lab.authority, sk, lab.authority_seed);
	strcpy(lab.directory, "/tmp/wirelab.XXXXXX");
	close(mkstemp(lab.directory));
	lab_write_directory();
	mix_config(&c, lab.keys.secret[0]);
	c.role = BETANET_MIDDLE;
	c.workers = workers;
	c.udp_port = 9000;
	if (change)
		change(&c);
	if (betanet_create(&c, &lab.b, err) < 0 || betanet_port_add(lab.b, &p, err) < 0)
		fail_msg("%s", err);
	lab_use_directory();
	if (betanet_start(lab.b, err) < 0)
		fail_msg("%s", err);
	lab.began = rte_rdtsc();
	for (unsigned q = 0; q < workers; q++) {
		lab.note[q] = rte_eth_add_tx_callback(
			lab.b->ports[0].id, (uint16_t)q, lab_note_departures, NULL);
		assert_non_null(lab.note[q]);
	}
	for (unsigned i = 0; i < 20000 && lab.control == 0; i++)
		lab_pause(1000);
	assert_true(lab.control > 0);
}

/* ---- the account ---- */

/* Waits until the fate of every frame is known; then offered = sent + drops + control + consumed.
 */
static inline void lab_settle(struct betanet_stats *s)
{
	uint64_t known = 0;

	for (unsigned i = 0; i < 60000; i++) {
		lab_poll();
		betanet_stats_get(lab.b, s);
		/* frames of control's own that found no buffer were not offered by anyone */
		known = s->forwarded + s->delivered + s->dropped + s->control + s->cover_received -
			lab.b->control_stats.drops[DROP_control_full];
		if (known == lab.offered && s->parked == 0 && s->queued == 0)
			break;
		rte_delay_us_sleep(1000);
	}
	if (known != lab.offered || s->parked || s->queued)
		fail_msg("%lu frames offered, %lu accounted for, %lu parked, %lu queued",
			(unsigned long)lab.offered, (unsigned long)known, (unsigned long)s->parked,
			(unsigned long)s->queued);
	assert_int_equal(s->rx, lab.offered);
	assert_int_equal(s->control, lab.control);
	assert_int_equal(s->rx_missed + s->rx_no_buffer, 0);
}

static inline int lab_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct lab_packet *)a)->mark, y = ((const struct lab_packet *)b)->mark;

	return (x > y) - (x < y);
}

/* Every packet that left was sent, left once, and not before its time. Returns how many left.
 * Changes the order of lab.packet: the last thing to be done with them. */
static inline unsigned lab_check_departures(void)
{
	unsigned n = atomic_load(&lab.departures);
	double hz = (double)rte_get_tsc_hz();

	assert_true(n <= RTE_DIM(lab.departure));
	qsort(lab.packet, lab.built, sizeof(*lab.packet), lab_compare);
	for (unsigned i = 0; i < n; i++) {
		const struct lab_departure *d = &lab.departure[i];
		struct lab_packet want = {.mark = d->mark}, *p;
		double held;

		p = bsearch(&want, lab.packet, lab.built, sizeof(*p), lab_compare);
		if (!p || !p->sent)
			fail_msg("a packet left that was not sent");
		assert_int_equal(p->left, 0);
		p->left = d->tsc;
		held = (double)(d->tsc - p->sent) * 1e9 / hz;
		if (d->tsc < p->sent || held < (double)p->delay_ns)
			fail_msg("a packet left %.0f ns behind its arrival, its delay is %lu ns",
				held, (unsigned long)p->delay_ns);
	}
	return n;
}

/* After lab_check_departures: packets of a stream that were sent, and that left. */
static inline unsigned lab_sent(unsigned stream)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lab.built; i++)
		n += lab.packet[i].stream == stream && lab.packet[i].sent;
	return n;
}

static inline unsigned lab_left(unsigned stream)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lab.built; i++)
		n += lab.packet[i].stream == stream && lab.packet[i].left;
	return n;
}

/* Buffers are all there in the end. */
static inline void lab_stop(void)
{
	struct betanet_stop_report r;

	lab_poll();
	unlink(lab.directory);
	for (unsigned q = 0; q < lab.queues; q++)
		while (rte_ring_count(lab.rx[q]) || rte_ring_count(lab.tx[q]))
			lab_pause(1000);
	/* it would outlive the port */
	for (unsigned q = 0; q < lab.queues; q++)
		rte_eth_remove_tx_callback(lab.b->ports[0].id, (uint16_t)q, lab.note[q]);
	assert_int_equal(betanet_stop(lab.b, 2000, &r), 0);
	assert_int_equal(r.pool_free, r.pool_size);
	betanet_destroy(lab.b);
	for (unsigned q = 0; q < lab.queues; q++) {
		struct rte_mbuf *m;

		while (rte_ring_dequeue(lab.tx[q], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(lab.rx[q]);
		rte_ring_free(lab.tx[q]);
	}
	assert_int_equal(rte_mempool_avail_count(lab.frames), lab.frames_free);
	lab.b = NULL;
}

/* Behind each test: what a failed one left. */
static inline int lab_teardown(void **state)
{
	(void)state;
	if (!lab.b)
		return 0;
	for (unsigned q = 0; q < lab.queues; q++)
		rte_eth_remove_tx_callback(lab.b->ports[0].id, (uint16_t)q, lab.note[q]);
	betanet_destroy(lab.b);
	unlink(lab.directory);
	lab.b = NULL;
	return 0;
}

/* Upper bound of what a rate and a burst have let through since `since`. */
static inline uint64_t lab_allowance(uint64_t rate_pps, uint64_t burst, uint64_t since)
{
	double seconds = (double)(rte_rdtsc() - since) / (double)rte_get_tsc_hz();

	return burst + (uint64_t)(seconds * (double)rate_pps) + 1;
}

#endif
