/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_LAB_H
#define BETANET_PERF_LAB_H

#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "link/link.h"
#include "pipeline/pipeline.h"
#include "sphinx/build_burst.h"
#include "sphinx/frame.h"

/*
 * A relay on a port whose wires are rings, with unique and valid packets that were built before:
 * what the benchmarks of the pipeline share. There is no NIC in it, so every figure from here is
 * labelled LAB_LABEL.
 *
 * Each run makes wires and a pipeline anew (lab_open … lab_close): its replay table is empty, so
 * that the same packets can be used again. The sender's delay is LAB_DELAY_NS, unless said
 * otherwise.
 */
#define LAB_LABEL "ports=virtual"
enum {
	LAB_WORKERS = 8,
	LAB_RING = 16384, /* packets that a wire holds, unless said otherwise */
	LAB_DELAY_NS = 1000000,
	LAB_MARK = 1024, /* packets between two readings of the stages' counters */
	LAB_MARKS = 64,
};

struct lab_run {
	unsigned workers, batch, payload;
	unsigned rx_ring; /* a power of two; holds one packet less */
	uint64_t replay_capacity;
};

static struct {
	const char *program;
	struct rte_mempool *pool; /* of frames on their way to the relay */
	struct rte_ring *rx[LAB_WORKERS], *tx[LAB_WORKERS];
	char device[RTE_ETH_NAME_MAX_LEN];
	uint8_t mac[6], secret[32], public[32], next_public[32], authority[32], authority_seed[32];
	char directory[64];
	uint8_t *packet; /* packets of packet_size bytes */
	size_t packet_size;
	unsigned packets, payload, cores;
	uint64_t delay_ns; /* the sender's */
	struct link_template headers;
} lab;

static inline _Noreturn void lab_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", lab.program, what);
	if (lab.directory[0])
		unlink(lab.directory);
	exit(1);
}

static inline double lab_median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), bench_compare);
	return v[n / 2];
}

static inline const char *lab_verdict(double value, double floor, double goal)
{
	const int lower = goal < floor;

	if (lower ? value <= goal : value >= goal)
		return "goal";
	return (lower ? value <= floor : value >= floor) ? "floor" : "BELOW THE FLOOR";
}

/* ---- once in a program */

static inline void lab_write_directory(void)
{
	static const char *const address[] = {"10.0.0.1:9000", "10.0.0.2:9000"};
	char text[2048], id[65], vrf[65], sphinx[65];
	uint8_t pk[32], sk[64];
	struct error err;
	size_t at;

	randombytes_buf(lab.authority_seed, 32);
	crypto_sign_seed_keypair(lab.authority, sk, lab.authority_seed);
	hex_encode(id, lab.authority, 32);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = "
		"\"2020-01-01T00:00:00Z\";\nvalid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		id);
	for (unsigned i = 0; i < 2; i++) {
		crypto_sign_keypair(pk, sk);
		hex_encode(id, pk, 32);
		crypto_sign_keypair(pk, sk);
		hex_encode(vrf, pk, 32);
		hex_encode(sphinx, i ? lab.next_public : lab.public, 32);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"%s{ name = \"mix%u\"; layer = %u; address = \"%s\"; identity_key = "
			"\"%s\"; sphinx_key = \"%s\"; vrf_key = \"%s\"; }\n",
			i ? "," : "", i, i + 1, address[i], id, sphinx, vrf);
	}
	snprintf(text + at, sizeof(text) - at, ");\n");
	strcpy(lab.directory, "/tmp/perfmix.XXXXXX");
	close(mkstemp(lab.directory));
	if (file_write(lab.directory, 0600, text, strlen(text), FILE_FORCE, &err) < 0 ||
		directory_sign(lab.directory, lab.directory, lab.authority_seed, FILE_FORCE, &err) <
			0)
		lab_die(err.msg);
}

/* Worker i has the last core but i to itself, so that one worker leaves the first to the generator
 * and to control, which is lcore 0. */
static inline void lab_start_with(const char *program, const char *megabytes, uint64_t delay_ns)
{
	static char prefix[64], lcores[LAB_WORKERS * 24], memory[16];
	static char *argv[] = {"perf", "--no-huge", "-m", memory, "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "lib.eal:error", NULL};
	cpu_set_t set;
	int core[LAB_WORKERS + 1], found = 0, at;
	struct error err;

	lab.program = program;
	lab.delay_ns = delay_ns;
	snprintf(memory, sizeof(memory), "%s", megabytes);
	sched_getaffinity(0, sizeof(set), &set);
	for (int c = CPU_SETSIZE - 1; c >= 0 && found < LAB_WORKERS; c--)
		if (CPU_ISSET((size_t)c, &set))
			core[found++] = c;
	lab.cores = (unsigned)found;
	snprintf(prefix, sizeof(prefix), "perfmix%d", (int)getpid());
	at = snprintf(lcores, sizeof(lcores), "0@%d", core[found - 1]);
	for (int i = 0; i < found; i++)
		at += snprintf(lcores + at, sizeof(lcores) - (size_t)at, ",%d@%d", i + 1, core[i]);
	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0)
		lab_die(err.msg);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		lab_die("EAL did not start");
	randombytes_buf(lab.secret, 32);
	crypto_scalarmult_base(lab.public, lab.secret);
	randombytes_buf(lab.next_public, 32);
	crypto_scalarmult_base(lab.next_public, lab.next_public);
	lab_write_directory();
}

static inline void lab_start(const char *program)
{
	/* without hugepages the megabytes are taken only when they are used */
	lab_start_with(program, sysconf(_SC_NPROCESSORS_ONLN) > 2 ? "6144" : "1024", LAB_DELAY_NS);
}

static inline void lab_end(void)
{
	unlink(lab.directory);
	free(lab.packet);
	rte_mempool_free(lab.pool);
	rte_eal_cleanup();
}

/* A pool for `frames` frames in flight, and `packets` packets with this payload instead of those
 * before. */
static inline void lab_packets(unsigned packets, unsigned payload, unsigned frames)
{
	enum { GROUP = 128 };
	static struct sphinx_route route;
	static struct sphinx_build_item item[GROUP];
	static enum sphinx_status status[GROUP];
	const size_t frame = LINK_HEADER4 + FRAME_SIZE + SPHINX_HEADER_SIZE + payload;
	struct sphinx_builder *builder = sphinx_builder_create();
	struct endpoint next;

	rte_mempool_free(lab.pool);
	free(lab.packet);
	lab.payload = payload;
	lab.packet_size = SPHINX_HEADER_SIZE + payload;
	lab.packets = packets;
	lab.packet = malloc(lab.packet_size * packets);
	/* behind the relay's own note: when the packet was to be sent */
	lab.pool = rte_pktmbuf_pool_create("perf_pool", frames, 256,
		RTE_ALIGN(sizeof(struct packet_meta) + sizeof(uint64_t), RTE_MBUF_PRIV_ALIGN),
		(uint16_t)(RTE_PKTMBUF_HEADROOM + RTE_ALIGN(frame + 64, 64)), SOCKET_ID_ANY);
	if (!builder || !lab.packet || !lab.pool)
		lab_die("no memory for the packets");
	route = (struct sphinx_route){.hops = 2, .version = SPHINX_V259, .destination = {4}};
	endpoint_parse(&next, "10.0.0.2:9000");
	memcpy(route.hop[0].public_key, lab.public, 32);
	memcpy(route.hop[1].public_key, lab.next_public, 32);
	address_encode(route.hop[1].address, &next);
	route.hop[0].delay_ns = lab.delay_ns;
	for (unsigned i = 0; i < packets; i += GROUP) {
		const unsigned n = packets - i < GROUP ? packets - i : GROUP;

		for (unsigned k = 0; k < n; k++)
			item[k] = (struct sphinx_build_item){
				.route = &route, .out = lab.packet + (i + k) * lab.packet_size};
		sphinx_build_burst(builder, item, n, payload, status);
		for (unsigned k = 0; k < n; k++)
			if (status[k] != SPHINX_ok)
				lab_die("a packet could not be built");
	}
	sphinx_builder_free(builder);
}

/* ---- a relay and its wires */

static inline void lab_make_wires(const struct lab_run *r)
{
	static unsigned serial;
	struct endpoint from, to;
	char name[32];
	int id;

	for (unsigned i = 0; i < r->workers; i++) {
		snprintf(name, sizeof(name), "perf_rx_%u", serial);
		lab.rx[i] = rte_ring_create(
			name, r->rx_ring, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "perf_tx_%u", serial++);
		lab.tx[i] = rte_ring_create(
			name, LAB_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!lab.rx[i] || !lab.tx[i])
			lab_die("no memory for the rings");
	}
	snprintf(name, sizeof(name), "perf%u", serial);
	id = rte_eth_from_rings(name, lab.rx, r->workers, lab.tx, r->workers, 0);
	if (id < 0 || rte_eth_dev_get_name_by_port((uint16_t)id, lab.device) < 0 ||
		rte_eth_macaddr_get((uint16_t)id, (struct rte_ether_addr *)lab.mac) < 0)
		lab_die("no port on the rings");
	endpoint_parse(&from, "10.0.0.9:5000");
	endpoint_parse(&to, "10.0.0.1:9000");
	link_template_make(&lab.headers, (uint8_t[6]){2, 0, 0, 0, 0, 9}, lab.mac, &from, &to);
}

/* Packet number i on the wire, ready to be received; NULL when all frames are under way. */
static inline struct rte_mbuf *lab_frame(unsigned i)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(lab.pool);
	const size_t len = FRAME_SIZE + lab.packet_size;
	uint8_t *frame;

	if (!m)
		return NULL;
	frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(LINK_HEADER4 + len));
	if (!frame)
		lab_die("a packet does not fit into its buffer");
	frame_write(frame + LINK_HEADER4, lab.payload, 0);
	memcpy(frame + LINK_HEADER4 + FRAME_SIZE, lab.packet + i * lab.packet_size,
		lab.packet_size);
	link_template_write(&lab.headers, frame, len, false);
	return m;
}

/* The next hop's MAC address, so that nothing waits for it while we measure. */
static inline void lab_answer_arp(struct betanet *b)
{
	for (unsigned i = 0; i < 5000; i++) {
		struct link_host peer = {
			.mac = {2, 0, 0, 0, 0, 2}, .has_ipv4 = true, .ipv4 = {10, 0, 0, 2}};
		struct rte_mbuf *m, *reply;
		struct link_learned l;
		size_t len;

		betanet_poll(b);
		if (rte_ring_dequeue(lab.tx[0], (void **)&m) < 0) {
			rte_delay_us_sleep(200);
			continue;
		}
		reply = rte_pktmbuf_alloc(lab.pool);
		len = link_respond(&peer, rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
			rte_pktmbuf_mtod(reply, uint8_t *), 512, &l);
		rte_pktmbuf_free(m);
		if (!len) {
			rte_pktmbuf_free(reply);
			continue;
		}
		rte_pktmbuf_append(reply, (uint16_t)len);
		rte_ring_enqueue(lab.rx[0], reply);
		for (unsigned k = 0; k < 100; k++) {
			betanet_poll(b);
			rte_delay_us_sleep(200);
		}
		return;
	}
	lab_die("the relay did not ask for its next hop");
}

static inline void lab_config(const struct lab_run *r, struct betanet_config *c)
{
	betanet_config_init(c);
	c->role = BETANET_MIDDLE;
	c->workers = r->workers;
	c->batch_size = r->batch;
	c->payload_size = r->payload;
	c->udp_port = 9000;
	c->queue_depth = LAB_RING;
	c->delay_mode = BETANET_DELAY_SENDER;
	c->replay_capacity = r->replay_capacity;
	memcpy(c->sphinx_secret, lab.secret, 32);
}

static inline struct betanet *lab_open(const struct lab_run *r)
{
	struct betanet_port p = {.ipv4 = {10, 0, 0, 1},
		.has_ipv4 = true,
		.bits4 = 24,
		.mtu = r->payload > 1024 ? 9216 : 1500,
		.rx_queues = r->workers,
		.rx_descriptors = 1024,
		.tx_descriptors = 1024};
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b;

	lab_make_wires(r);
	p.device = lab.device;
	lab_config(r, &c);
	if (betanet_create(&c, &b, err) < 0 || betanet_port_add(b, &p, err) < 0 ||
		betanet_directory_set(b, lab.directory, lab.authority, (uint64_t)time(NULL), err) <
			0 ||
		betanet_start(b, err) < 0)
		lab_die(err);
	lab_answer_arp(b);
	return b;
}

static inline void lab_close(struct betanet *b, const struct lab_run *r)
{
	struct rte_mbuf *m = NULL;

	betanet_stop(b, 100, NULL);
	for (unsigned i = 0; i < r->workers; i++) {
		while (rte_ring_dequeue(lab.tx[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		while (rte_ring_dequeue(lab.rx[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(lab.rx[i]);
		rte_ring_free(lab.tx[i]);
	}
	betanet_destroy(b);
}

/* ---- full load: everything waits in the RX rings at once, so that bursts are full */

struct lab_load {
	double pps;
	/* of worker 0, TSC cycles a packet between two readings some LAB_MARK packets apart */
	double cycles[STAGE_COUNT][LAB_MARKS];
	unsigned marks;
	struct stage_stats stage[STAGE_COUNT]; /* of worker 0, whole run */
};

static inline uint64_t lab_processed(const struct betanet *b)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < b->cfg.workers; i++)
		sum += __atomic_load_n(&b->workers[i].stats.processed, __ATOMIC_RELAXED);
	return sum;
}

static inline void lab_mark(
	struct lab_load *l, const struct stage_stats *now, struct stage_stats *before)
{
	for (unsigned s = 0; s < STAGE_COUNT; s++) {
		const uint64_t packets = now[s].packets - before[s].packets;

		l->cycles[s][l->marks] =
			packets ? (double)(now[s].cycles - before[s].cycles) / (double)packets : 0;
	}
	memcpy(before, now, sizeof(*now) * STAGE_COUNT);
	l->marks++;
}

/* `each` packets for each worker, at most LAB_RING - 1. The thread sleeps: the workers have the
 * cores. The rate is that of processing, without the tail that is parked. */
static inline void lab_full_load(const struct lab_run *r, unsigned each, struct lab_load *l)
{
	static struct rte_mbuf *frames[LAB_WORKERS][LAB_RING];
	struct stage_stats before[STAGE_COUNT], now[STAGE_COUNT];
	struct betanet *b = lab_open(r);
	const uint64_t limit = rte_rdtsc() + 60 * b->hz, total = (uint64_t)r->workers * each;
	uint64_t began, done, mark = 0;

	for (unsigned w = 0; w < r->workers; w++)
		for (unsigned i = 0; i < each; i++)
			if (!(frames[w][i] = lab_frame(w * each + i)))
				lab_die("the pool of frames is empty");
	memset(b->workers[0].stats.stage, 0, sizeof(b->workers[0].stats.stage));
	memset(before, 0, sizeof(before));
	l->marks = 0;
	began = rte_rdtsc();
	for (unsigned w = 0; w < r->workers; w++)
		rte_ring_enqueue_bulk(lab.rx[w], (void **)frames[w], each, NULL);
	do {
		/* each look takes the core from a worker, where they have all of them */
		rte_delay_us_sleep(r->workers > 1 ? 1000 : 50);
		done = lab_processed(b);
		if (done >= mark + LAB_MARK * r->workers && l->marks < LAB_MARKS) {
			memcpy(now, b->workers[0].stats.stage, sizeof(now));
			lab_mark(l, now, before);
			mark = done;
		}
		if (rte_rdtsc() > limit)
			lab_die("packets were lost");
	} while (done < total);
	l->pps = (double)total * (double)b->hz / (double)(rte_rdtsc() - began);
	while (b->workers[0].stats.stage[STAGE_transmit].packets < each && rte_rdtsc() < limit)
		rte_delay_us_sleep(200);
	memcpy(l->stage, b->workers[0].stats.stage, sizeof(l->stage));
	lab_close(b, r);
}

#endif
