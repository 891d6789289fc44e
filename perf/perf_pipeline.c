/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole datapath on ports whose wires are rings: stage by stage, full load on one worker and on
 * two, and the processing latency at the original design's 25,000 packets a second. Packets are
 * unique and valid; there is no NIC in it.
 */
#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "link/link.h"
#include "pipeline/pipeline.h"
#include "sphinx/frame.h"

enum {
	PAYLOAD = 1024,
	PACKET = SPHINX_HEADER_SIZE + PAYLOAD,
	FRAME = LINK_HEADER4 + FRAME_SIZE + PACKET,
	MAX_WORKERS = 2,
	PACKETS = 12288, /* for each worker and run */
	RING = 16384,
	ROUNDS = 5,
	OFFERED_PPS = 25000,
};

static struct {
	struct rte_mempool *pool;
	struct rte_ring *rx[MAX_WORKERS], *tx[MAX_WORKERS];
	char device[RTE_ETH_NAME_MAX_LEN];
	uint8_t mac[6], secret[32], public[32], next_public[32], authority[32], authority_seed[32];
	char directory[64];
	uint8_t (*packet)[PACKET]; /* MAX_WORKERS * PACKETS of them, built once */
} lab;

static void die(const char *what)
{
	fprintf(stderr, "perf_pipeline: %s\n", what);
	exit(1);
}

static void write_directory(void)
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
		die(err.msg);
}

/* All packets of all runs: each run has a new replay table. */
static void build_packets(void)
{
	enum { N = MAX_WORKERS * PACKETS };
	struct crypto *c = crypto_create();
	struct endpoint next;

	lab.packet = malloc(sizeof(*lab.packet) * N);
	if (!c || !lab.packet)
		die("no memory for the packets");
	endpoint_parse(&next, "10.0.0.2:9000");
	printf("building %u packets\n", N);
	for (unsigned i = 0; i < N; i++) {
		struct sphinx_route r = {.hops = 2, .version = SPHINX_V259, .destination = {4}};

		memcpy(r.hop[0].public_key, lab.public, 32);
		memcpy(r.hop[1].public_key, lab.next_public, 32);
		address_encode(r.hop[1].address, &next);
		r.hop[0].delay_ns = 1000000;
		if (sphinx_build(c, &r, (const uint8_t *)&i, sizeof(i), PAYLOAD, NULL,
			    lab.packet[i]) != SPHINX_ok)
			die("a packet could not be built");
	}
	crypto_free(c);
}

static void make_wires(unsigned workers)
{
	static unsigned serial;
	char name[32];
	int id;

	for (unsigned i = 0; i < workers; i++) {
		snprintf(name, sizeof(name), "perf_rx_%u", serial);
		lab.rx[i] =
			rte_ring_create(name, RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "perf_tx_%u", serial++);
		lab.tx[i] =
			rte_ring_create(name, RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!lab.rx[i] || !lab.tx[i])
			die("no memory for the rings");
	}
	snprintf(name, sizeof(name), "perf%u", serial);
	id = rte_eth_from_rings(name, lab.rx, workers, lab.tx, workers, 0);
	if (id < 0 || rte_eth_dev_get_name_by_port((uint16_t)id, lab.device) < 0 ||
		rte_eth_macaddr_get((uint16_t)id, (struct rte_ether_addr *)lab.mac) < 0)
		die("no port on the rings");
}

static struct rte_mbuf *frame_mbuf(unsigned packet)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(lab.pool);
	struct endpoint from, to;
	struct link_template t;
	uint8_t *frame;

	if (!m)
		die("the pool of frames is empty");
	endpoint_parse(&from, "10.0.0.9:5000");
	endpoint_parse(&to, "10.0.0.1:9000");
	frame = (uint8_t *)rte_pktmbuf_append(m, FRAME);
	frame_write(frame + LINK_HEADER4, PAYLOAD, 0);
	memcpy(frame + LINK_HEADER4 + FRAME_SIZE, lab.packet[packet], PACKET);
	link_template_make(&t, (uint8_t[6]){2, 0, 0, 0, 0, 9}, lab.mac, &from, &to);
	link_template_write(&t, frame, FRAME - LINK_HEADER4, false);
	return m;
}

/* The next hop's MAC address, so that nothing waits for it while we measure. */
static void answer_arp(struct betanet *b)
{
	for (unsigned i = 0; i < 5000; i++) {
		struct rte_mbuf *m;

		betanet_poll(b);
		if (rte_ring_dequeue(lab.tx[0], (void **)&m) == 0) {
			struct link_host peer = {
				.mac = {2, 0, 0, 0, 0, 2}, .has_ipv4 = true, .ipv4 = {10, 0, 0, 2}};
			struct link_learned l;
			struct rte_mbuf *reply = rte_pktmbuf_alloc(lab.pool);
			size_t len = link_respond(&peer, rte_pktmbuf_mtod(m, uint8_t *),
				m->data_len, rte_pktmbuf_mtod(reply, uint8_t *), 2048, &l);

			rte_pktmbuf_free(m);
			if (len) {
				rte_pktmbuf_append(reply, (uint16_t)len);
				rte_ring_enqueue(lab.rx[0], reply);
				for (unsigned k = 0; k < 100; k++) {
					betanet_poll(b);
					rte_delay_us_sleep(200);
				}
				return;
			}
			rte_pktmbuf_free(reply);
		}
		rte_delay_us_sleep(200);
	}
	die("the relay did not ask for its next hop");
}

static struct betanet *start(unsigned workers)
{
	struct betanet_config c;
	struct betanet_port p = {.device = lab.device,
		.has_ipv4 = true,
		.ipv4 = {10, 0, 0, 1},
		.bits4 = 24,
		.mtu = 1500,
		.rx_queues = workers,
		.rx_descriptors = 1024,
		.tx_descriptors = 1024};
	char err[BETANET_ERROR_MAX];
	struct betanet *b;

	betanet_config_init(&c);
	c.role = BETANET_MIDDLE;
	c.workers = workers;
	c.udp_port = 9000;
	c.queue_depth = RING;
	c.replay_capacity = 1 << 18;
	memcpy(c.sphinx_secret, lab.secret, 32);
	if (betanet_create(&c, &b, err) < 0 || betanet_port_add(b, &p, err) < 0 ||
		betanet_directory_set(b, lab.directory, lab.authority, (uint64_t)time(NULL), err) <
			0 ||
		betanet_start(b, err) < 0)
		die(err);
	answer_arp(b);
	return b;
}

static void stop(struct betanet *b, unsigned workers)
{
	struct rte_mbuf *m = NULL;

	betanet_stop(b, 100, NULL);
	for (unsigned i = 0; i < workers; i++) {
		while (rte_ring_dequeue(lab.tx[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(lab.rx[i]);
		rte_ring_free(lab.tx[i]);
	}
	betanet_destroy(b);
}

/* Waits for `total` packets to be sent, asleep: the workers have the cores. Seconds from `began` to
 * the last. */
static double wait_sent(struct betanet *b, uint64_t total, uint64_t began)
{
	uint64_t limit = began + 30 * b->hz;

	for (;;) {
		uint64_t sent = 0;

		for (unsigned i = 0; i < b->cfg.workers; i++)
			sent += __atomic_load_n(&b->workers[i].stats.tx, __ATOMIC_RELAXED);
		if (sent >= total)
			return (double)(rte_rdtsc() - began) / (double)b->hz;
		if (rte_rdtsc() > limit)
			die("packets were lost");
		rte_delay_us_sleep(500);
	}
}

static struct rte_mbuf *queue_of[MAX_WORKERS][PACKETS];

/* Everything waits in the RX rings at once: bursts are full. */
static double full_load(unsigned workers, struct lcore_stats *stats)
{
	struct betanet *b;
	uint64_t began;
	double seconds;

	make_wires(workers);
	b = start(workers);
	for (unsigned w = 0; w < workers; w++)
		for (unsigned i = 0; i < PACKETS; i++)
			queue_of[w][i] = frame_mbuf(w * PACKETS + i);
	for (unsigned w = 0; w < workers; w++)
		memset(b->workers[w].stats.stage, 0, sizeof(b->workers[w].stats.stage));
	b->workers[0].stats.busy_cycles = 0;
	began = rte_rdtsc();
	for (unsigned w = 0; w < workers; w++)
		rte_ring_enqueue_bulk(lab.rx[w], (void **)queue_of[w], PACKETS, NULL);
	seconds = wait_sent(b, (uint64_t)workers * PACKETS, began);
	*stats = b->workers[0].stats;
	stop(b, workers);
	return (double)workers * PACKETS / seconds;
}

static double paced(struct betanet_stats *s)
{
	struct betanet *b;
	uint64_t began, gap;

	make_wires(1);
	b = start(1);
	for (unsigned i = 0; i < PACKETS; i++)
		queue_of[0][i] = frame_mbuf(i);
	gap = b->hz / OFFERED_PPS;
	began = rte_rdtsc();
	for (unsigned i = 0; i < PACKETS; i++) {
		while (rte_rdtsc() < began + i * gap)
			;
		rte_ring_enqueue(lab.rx[0], queue_of[0][i]);
	}
	wait_sent(b, PACKETS, began);
	betanet_stats_get(b, s);
	stop(b, 1);
	return s->mean_processing_ns / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

static const char *verdict(double value, double floor, double goal, bool smaller)
{
	if (smaller ? value <= goal : value >= goal)
		return "goal";
	return (smaller ? value <= floor : value >= floor) ? "floor" : "BELOW THE FLOOR";
}

static void print_stages(double cycles[STAGE_COUNT][ROUNDS], const struct lcore_stats *last)
{
	static const char *const names[] = {
#define X(name) #name,
		STAGES(X)
#undef X
	};
	double total = 0;

	printf("\none worker, full bursts, medians of %u runs (TSC cycles; the last run's calls)\n",
		ROUNDS);
	printf("  %-10s %8s %9s %10s %12s\n", "stage", "CALLS", "PACKETS", "PKTS/CALL",
		"CYCLES/PKT");
	for (unsigned i = 0; i < STAGE_COUNT; i++) {
		double m = median(cycles[i], ROUNDS);

		total += m;
		printf("  %-10s %8" PRIu64 " %9" PRIu64 " %10.1f %12.0f\n", names[i],
			last->stage[i].calls, last->stage[i].packets,
			last->stage[i].calls
				? (double)last->stage[i].packets / (double)last->stage[i].calls
				: 0,
			m);
	}
	printf("  %-10s %40.0f\n", "sum", total);
}

static void measure(void)
{
	static double cycles[STAGE_COUNT][ROUNDS], rest[ROUNDS], share[ROUNDS],
		pps[MAX_WORKERS][ROUNDS], latency[ROUNDS], drops[ROUNDS];
	struct lcore_stats last;
	bool two = sysconf(_SC_NPROCESSORS_ONLN) >= 2;

	for (unsigned r = 0; r < ROUNDS; r++) {
		struct betanet_stats s;
		double all = 0, sphinx = 0;

		printf("round %u of %u\n", r + 1, ROUNDS);
		if (two)
			pps[1][r] = full_load(2, &last);
		pps[0][r] = full_load(1, &last);
		for (unsigned i = 0; i < STAGE_COUNT; i++) {
			cycles[i][r] = last.stage[i].packets ? (double)last.stage[i].cycles /
								       (double)last.stage[i].packets
							     : 0;
			all += cycles[i][r];
			if (i == STAGE_open || i == STAGE_finish)
				sphinx += cycles[i][r];
		}
		rest[r] = all - sphinx;
		share[r] = 100 * sphinx / all;
		latency[r] = paced(&s);
		drops[r] = 100.0 * (double)s.dropped / (double)(s.rx ? s.rx : 1);
	}
	print_stages(cycles, &last);
	double v = median(rest, ROUNDS);

	printf("\n  %-58s %10s %8s %8s\n", "figure", "measured", "floor", "goal");
	printf("  %-58s %10.0f %8u %8u  %s\n",
		"datapath without the Sphinx cryptography, cycles/packet", v, 1000, 400,
		verdict(v, 1000, 400, true));
	v = median(share, ROUNDS);
	printf("  %-58s %9.1f%% %7u%% %7u%%  %s\n", "share of the time in Sphinx cryptography", v,
		90, 97, verdict(v, 90, 97, false));
	v = median(latency, ROUNDS);
	printf("  %-58s %7.3f ms %5.1f ms %5.1f ms  %s\n",
		"mean processing latency at 25,000 pkt/s, one worker", v, 1.0, 0.3,
		verdict(v, 1.0, 0.3, true));
	printf("  %-58s %9.3f%% %7.1f%%\n", "  dropped in that run", median(drops, ROUNDS), 0.1);
	v = median(pps[0], ROUNDS);
	printf("  %-58s %10.0f\n", "one worker, packets per second", v);
	if (two) {
		double scale = median(pps[1], ROUNDS) / v / 2;

		printf("  %-58s %10.0f\n", "two workers, packets per second",
			median(pps[1], ROUNDS));
		printf("  %-58s %10.2f %8.1f %8.1f  %s\n", "throughput per worker, two against one",
			scale, 0.9, 1.0, verdict(scale, 0.9, 0.99, false));
	} else {
		printf("  scaling was not measured: this machine has one core\n");
	}
}

int main(void)
{
	static char prefix[64], lcores[64];
	static char *argv[] = {"perf", "--no-huge", "-m", "1024", "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "lib.eal:error", NULL};
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	struct error err;

	snprintf(prefix, sizeof(prefix), "perfmix%d", (int)getpid());
	/* worker 1 has the last core to itself while the generator runs on the first */
	snprintf(lcores, sizeof(lcores), "0@0,1@%ld,2@0", last);
	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0)
		die(err.msg);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		die("EAL did not start");
	lab.pool = rte_pktmbuf_pool_create("perf_pool", 32767, 256,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN), 2176, SOCKET_ID_ANY);
	if (!lab.pool)
		die("no memory for the frames");
	randombytes_buf(lab.secret, 32);
	crypto_scalarmult_base(lab.public, lab.secret);
	randombytes_buf(lab.next_public, 32);
	crypto_scalarmult_base(lab.next_public, lab.next_public);
	write_directory();
	build_packets();
	measure();
	unlink(lab.directory);
	free(lab.packet);
	return 0;
}
