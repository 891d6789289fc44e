/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 25,000 packets a second for one worker of a middle relay with everything on: VRF delays, Poisson
 * shaping on two links with cover in every slot that has nothing else, loops, limits, the pool.
 *
 * Packets enter by net_memif, joined to a second memif port of this process: its RX takes a buffer
 * from our pool for each frame and copies into it, its TX gives the buffer back, as a NIC's driver
 * does, and it needs no root. (A ring port hands over the sender's buffers; net_null receives
 * zeros, net_pcap a file, and net_tap and net_af_packet need root.) The wire's other end and the
 * control lcore share the first core, the worker has the last one.
 *
 * Latency is the whole: from the moment when the frame stands in the memif ring to the moment when
 * it is handed to TX, less the time from arrival to the packet's due time, which is deliberate.
 */
#include <dirent.h>
#include <inttypes.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf_dyn.h>
#include <sched.h>
#include "bench.h"
#include "core/secmem.h"
#include "load_net.h"
#include "pipeline/pipeline.h"
#include "result.h"

enum {
	OFFERED_PPS = 25000,
	SLOTS_PPS = 16000, /* of each of two links, for a load of 12,500 each */
	LOOPS_PPS = 20,
	ROUNDS = 3,
	TRIES = 6, /* rounds in all, when others have the worker's core too often */
	SECONDS = 3,
	QUICK_SECONDS = 1,
	WARM_MS = 800,  /* slots run, stocks of cover are full */
	TAIL_MS = 1000, /* 20 mean delays */
	QUEUE = 4096,
};

/* A worker that waits for its core for more of the time than this, in %, was disturbed. */
static const double disturbed_max = 1;
static const char *const disturbed_note = "other programs had the worker's core";

/* By callbacks of the relay's port, on the worker. */
static struct {
	int stamp; /* offset in an mbuf: TSC of the wire, 0 if it is not of the load */
	double *ns;
	uint64_t count, capacity, first, last; /* TSC: first on the wire, last in the wheel */
} seen;

static uint64_t *stamp_of(struct rte_mbuf *m)
{
	return (uint64_t *)(void *)((char *)m + seen.stamp);
}

static uint16_t on_receive(
	uint16_t port, uint16_t queue, struct rte_mbuf *m[], uint16_t n, uint16_t max, void *arg)
{
	uint64_t now = n ? rte_rdtsc() : 0;

	(void)port, (void)queue, (void)max, (void)arg;
	for (unsigned i = 0; i < n; i++)
		*stamp_of(m[i]) = net_stamped(rte_pktmbuf_mtod(m[i], uint8_t *), now);
	return n;
}

static uint16_t on_send(uint16_t port, uint16_t queue, struct rte_mbuf *m[], uint16_t n, void *arg)
{
	uint64_t now = n ? rte_rdtsc() : 0;

	(void)port, (void)queue, (void)arg;
	for (unsigned i = 0; i < n; i++) {
		const struct packet_meta *meta = packet_meta(m[i]);
		uint64_t stamp = *stamp_of(m[i]), left = RTE_MAX(meta->due, meta->parked);

		*stamp_of(m[i]) = 0;
		/* a buffer that was dropped before may have an old stamp */
		if (stamp == 0 || meta->arrival < stamp || meta->arrival - stamp > net.hz ||
			seen.count == seen.capacity)
			continue;
		if (seen.first == 0 || stamp < seen.first)
			seen.first = stamp;
		seen.last = RTE_MAX(seen.last, meta->parked);
		seen.ns[seen.count++] =
			(double)(meta->parked - stamp + (now > left ? now - left : 0)) * 1e9 /
			(double)net.hz;
	}
	return n;
}

/* ---- the relay and its wire
 * ---------------------------------------------------------------------------------------- */

static char relay_device[32], wire_device[32];

static void plug(char name[32], unsigned number, const char *role, const char *path)
{
	char args[256];

	snprintf(name, 32, "net_memif%u", number);
	snprintf(args, sizeof(args),
		"role=%s,id=0,rsize=12,socket=%s/%s,socket-abstract=no,mac=02:be:7a:10:ad:%02x",
		role, net.folder, path, number);
	if (rte_eal_hotplug_add("vdev", name, args) != 0)
		net_die("no memif port: is librte-net-memif there?");
}

static void wait_link(unsigned status)
{
	struct rte_eth_link link = {0};

	for (unsigned i = 0; i < 5000; i++) {
		rte_eth_link_get_nowait(net.port, &link);
		if (link.link_status == status)
			return;
		rte_delay_us_sleep(1000);
	}
	net_die("the memif link did not change");
}

/* A memif client needs its server, so the relay's port is up first. Two names of one socket: a
 * process keeps a list of its sockets by name, and one of them cannot be both ends. */
static void start_wire(unsigned round)
{
	struct rte_eth_conf conf = {0};

	plug(wire_device, 2 * round + 1, "client", "./wire.sock");
	if (rte_eth_dev_get_port_by_name(wire_device, &net.port) != 0 ||
		rte_eth_dev_configure(net.port, 1, 1, &conf) != 0 ||
		rte_eth_rx_queue_setup(net.port, 0, 4096, 0, NULL, net.pool) != 0 ||
		rte_eth_tx_queue_setup(net.port, 0, 4096, 0, NULL) != 0 ||
		rte_eth_dev_start(net.port) != 0)
		net_die("the wire's port did not start");
	wait_link(RTE_ETH_LINK_UP);
}

static struct betanet *start_relay(void)
{
	struct betanet_port p = {.device = relay_device,
		.has_ipv4 = true,
		.ipv4 = {10, 0, 0, NET_RELAY + 1},
		.bits4 = 24,
		.mtu = 1500,
		.rx_queues = 1,
		.rx_descriptors = 1024,
		.tx_descriptors = 1024};
	char err[BETANET_ERROR_MAX];
	struct betanet_config c;
	struct betanet *b;

	betanet_config_init(&c);
	c.role = BETANET_MIDDLE;
	c.udp_port = NET_PORT;
	c.queue_depth = QUEUE;
	c.replay_capacity = 1 << 18;
	c.shaping = BETANET_SHAPING_POISSON;
	c.max_rate_pps = SLOTS_PPS;
	c.cover = true;
	c.loop_rate_pps = LOOPS_PPS;
	c.limits = (struct betanet_limits){.source_pps = 2500,
		.source_burst = 256,
		.peer_pps = 2 * OFFERED_PPS,
		.peer_burst = 1024,
		.global_pps = BETANET_GLOBAL_AUTO};
	c.delay_mode = BETANET_DELAY_VRF;
	c.vrf_mean_ms = c.mean_delay_ms = NET_DELAY_MS;
	c.target_pps = OFFERED_PPS;
	memcpy(c.sphinx_secret, net.secret[NET_RELAY], 32);
	memcpy(c.vrf_seed, net.vrf_seed, 32);
	memcpy(c.network_id, net.network_id, 32);
	memcpy(c.node_id, net.identity[NET_RELAY], 32);
	if (betanet_create(&c, &b, err) < 0 || betanet_port_add(b, &p, err) < 0 ||
		betanet_directory_set(b, net.directory, net.authority, (uint64_t)time(NULL), err) <
			0 ||
		betanet_start(b, err) < 0)
		net_die(err);
	memcpy(net.relay_mac, b->ports[0].host.mac, 6);
	if (!rte_eth_add_rx_callback(b->ports[0].id, 0, on_receive, NULL) ||
		!rte_eth_add_tx_callback(b->ports[0].id, 0, on_send, NULL))
		net_die("no callbacks on the relay's port");
	return b;
}

static void poll_for(struct betanet *b, unsigned ms)
{
	uint64_t end = rte_rdtsc() + net.hz / 1000 * ms;

	while (rte_rdtsc() < end) {
		betanet_poll(b);
		rte_delay_us_sleep(300);
	}
}

static void resolve(struct betanet *b)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned resolved = 0;

		poll_for(b, 50);
		for (unsigned k = 0; k < b->neighbour_count; k++)
			resolved += b->neighbours[k].resolved;
		if (resolved == NET_NODES - 1)
			return;
	}
	net_die("the relay did not find its neighbours");
}

/* ---- a round
 * ------------------------------------------------------------------------------------------------------
 */

struct round {
	double disturbed; /* share of the time for which the worker waited for its core, % */
	double offered, throughput, mean_ns, p50, p90, p99, p999, worst, drops, hits;
	double late_ms; /* of the sender, at most */
	uint64_t lost;
	struct betanet_stats before, after;
};

static double percentile(double share)
{
	uint64_t at = (uint64_t)(share * (double)seen.count);

	return seen.count ? seen.ns[RTE_MIN(at, seen.count - 1)] : 0;
}

static void evaluate(struct round *r, double seconds)
{
	double sum = 0, requests = (double)(r->after.pool_requests - r->before.pool_requests);
	double sent = (double)net.sent;

	qsort(seen.ns, seen.count, sizeof(*seen.ns), bench_compare);
	for (uint64_t i = 0; i < seen.count; i++)
		sum += seen.ns[i];
	r->offered = sent / seconds;
	r->throughput = (double)seen.count * (double)net.hz / (double)(seen.last - seen.first);
	r->mean_ns = seen.count ? sum / (double)seen.count : 0;
	r->p50 = percentile(0.5);
	r->p90 = percentile(0.9);
	r->p99 = percentile(0.99);
	r->p999 = percentile(0.999);
	r->worst = percentile(1);
	r->lost = net.sent - seen.count;
	r->drops = 100 * (double)r->lost / sent;
	r->hits = requests > 0 ? 100 * (1 - (double)(r->after.pool_misses - r->before.pool_misses) /
						       requests)
			       : 0;
	r->late_ms = (double)net.latest * 1e3 / (double)net.hz;
}

/*
 * How long the worker's thread has waited for a core so far, in ns (Documentation/scheduler/
 * sched-stats.rst): others had it meanwhile. Negative when the kernel does not say.
 */
static double worker_waited(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *t;
	double waited = -1;

	while (tasks && (t = readdir(tasks))) {
		char path[320], name[32] = "";
		unsigned long long ran, wait;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", t->d_name);
		f = fopen(path, "r");
		if (!f || !fgets(name, sizeof(name), f))
			name[0] = 0;
		if (f)
			fclose(f);
		if (strcmp(name, "rte-worker-1\n") != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", t->d_name);
		f = fopen(path, "r");
		if (f && fscanf(f, "%llu %llu", &ran, &wait) == 2)
			waited = (double)wait;
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return waited;
}

static void stop_round(struct betanet *b, unsigned wire_lcore)
{
	struct betanet_stop_report report;

	/* memif takes its memory away under a peer that still polls */
	atomic_store(&net.stop, true);
	rte_eal_wait_lcore(wire_lcore);
	if (betanet_stop(b, 0, &report) != 0)
		printf("NOTE: %u of %u buffers came back\n", report.pool_free, report.pool_size);
	betanet_destroy(b);
	/* EAL's interrupt thread sees the relay's end go and takes ours down: not while we do */
	wait_link(RTE_ETH_LINK_DOWN);
	rte_delay_us_sleep(20000);
	rte_eth_dev_stop(net.port);
	rte_eth_dev_close(net.port);
	rte_eal_hotplug_remove("vdev", wire_device);
	rte_eal_hotplug_remove("vdev", relay_device);
}

static void run_round(unsigned number, double seconds, unsigned wire_lcore, struct round *r)
{
	struct betanet *b;
	uint64_t began;
	double waited;

	seen.count = seen.first = seen.last = 0;
	net.sent = net.refused = net.latest = 0;
	net.real = net.cover = net.consumed = net.loops_on = net.loops_home = net.strange = 0;
	atomic_store(&net.start, 0);
	atomic_store(&net.done, false);
	atomic_store(&net.stop, false);
	memset(net.batch, 0, sizeof(net.batch));
	memset(net.parked, 0, NET_PARKED * sizeof(*net.parked));

	plug(relay_device, 2 * number, "server", "wire.sock");
	b = start_relay();
	start_wire(number);
	net_address_load();
	net_draw_arrivals(seconds);
	rte_eal_remote_launch(net_main, NULL, wire_lcore);
	resolve(b);
	poll_for(b, WARM_MS);

	betanet_stats_get(b, &r->before);
	waited = worker_waited();
	began = rte_rdtsc();
	atomic_store(&net.start, rte_rdtsc() + net.hz / 1000);
	for (unsigned i = 0; i < 1000 * (seconds + 10) && !atomic_load(&net.done); i++)
		poll_for(b, 1);
	if (!atomic_load(&net.done))
		net_die("the wire could not send the load");
	betanet_stats_get(b, &r->after);
	r->disturbed =
		(worker_waited() - waited) * (double)net.hz / 1e7 / (double)(rte_rdtsc() - began);
	poll_for(b, TAIL_MS);
	{
		struct betanet_stats end;

		betanet_stats_get(b, &end);
		r->after.loops_sent = end.loops_sent;
		r->after.loops_returned = end.loops_returned;
		r->after.loops_lost = end.loops_lost;
		for (unsigned i = 0; i < 64; i++)
			r->after.drops[i] = end.drops[i];
	}
	stop_round(b, wire_lcore);
	evaluate(r, seconds);
}

/* ---- report
 * -------------------------------------------------------------------------------------------------------
 */

static void print_round(unsigned number, const struct round *r)
{
	const struct betanet_stats *a = &r->after, *b = &r->before;
	uint64_t slots = a->slots - b->slots;

	printf("\nround %u: %" PRIu64 " packets offered at %.0f/s, %" PRIu64
	       " lost; sender late by %.2f ms at most, refused %" PRIu64 " times\n",
		number + 1, net.sent, r->offered, r->lost, r->late_ms, net.refused);
	printf("  the worker waited for its core for %.2f %% of the time\n", r->disturbed);
	printf("  slots %" PRIu64 ": %.1f %% real, %.1f %% cover, %" PRIu64 " empty, %" PRIu64
	       " skipped; loops %" PRIu64 " sent, %" PRIu64 " returned, %" PRIu64 " lost\n",
		slots, 100 * (double)(a->slots_real - b->slots_real) / (double)RTE_MAX(slots, 1u),
		100 * (double)(a->slots_cover - b->slots_cover) / (double)RTE_MAX(slots, 1u),
		a->slots_empty - b->slots_empty, a->slots_skipped - b->slots_skipped, a->loops_sent,
		a->loops_returned, a->loops_lost);
	printf("  parked at the end %" PRIu64 ", packets a burst %.1f, global limit %" PRIu64
	       "/s, buffers %" PRIu64 " of %" PRIu64 " free\n",
		a->parked, a->mean_batch, a->global_limit_pps, a->pool_free, a->pool_size);
	printf("  wire: %" PRIu64 " of the load, %" PRIu64 " cover, %" PRIu64
	       " of it consumed, %" PRIu64 " loops led home, %" PRIu64 " strange\n",
		(uint64_t)net.real, (uint64_t)net.cover, (uint64_t)net.consumed,
		(uint64_t)net.loops_home, (uint64_t)net.strange);
	for (unsigned i = 1; i < betanet_drop_count(); i++)
		if (a->drops[i] > b->drops[i])
			printf("  dropped: %s %" PRIu64 "\n", betanet_drop_name(i),
				a->drops[i] - b->drops[i]);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), bench_compare);
	return v[n / 2];
}

/* A figure of the rounds: its median beside its target. */
static void figure(const char *name, const char *text, const char *unit, const struct round *r,
	unsigned rounds, size_t offset, double scale, double target, bool smaller)
{
	double v[TRIES], m;
	bool reached;

	for (unsigned i = 0; i < rounds; i++)
		v[i] = *(const double *)((const char *)&r[i] + offset) * scale;
	result_write(&(struct result){.name = name,
		.unit = unit,
		.better = smaller ? RESULT_LOWER : RESULT_HIGHER,
		.labels = "offered=25000,shaping=poisson,ports=virtual",
		.values = v,
		.count = rounds,
		.floor = target,
		.goal = target,
		.note = r->disturbed > disturbed_max ? disturbed_note : NULL});
	m = median(v, rounds);
	reached = smaller ? m <= target : m >= target;
	printf("  %-46s %10.3f %10.3f  %-9s  %s\n", text, m, target, unit,
		reached ? "reached" : "MISSED");
}

static void latencies(const struct round *r, unsigned rounds)
{
	static const struct {
		const char *name;
		size_t offset;
	} row[] = {
		{"50", offsetof(struct round, p50)},
		{"90", offsetof(struct round, p90)},
		{"99", offsetof(struct round, p99)},
		{"99.9", offsetof(struct round, p999)},
		{"100", offsetof(struct round, worst)},
	};

	printf("  processing latency, us:");
	for (unsigned i = 0; i < RTE_DIM(row); i++) {
		double v[TRIES];

		for (unsigned k = 0; k < rounds; k++)
			v[k] = *(const double *)((const char *)&r[k] + row[i].offset) / 1e3;
		result_add("load.latency", "us", RESULT_LOWER, v, rounds,
			"percentile=%s,offered=25000,shaping=poisson,ports=virtual", row[i].name);
		printf("  %s %% %.0f", row[i].name, median(v, rounds));
	}
	printf("\n");
}

static void report(const struct round *r, unsigned rounds)
{
	double relay[TRIES], shaping[TRIES];

	if (r->disturbed > disturbed_max)
		printf("\nNOTE: %s in every round; the figures are worse than the relay is\n",
			disturbed_note);
	printf("\n  %-46s %10s %10s\n", "25,000 pkt/s to one worker, everything on; median",
		"measured", "target");
	/* what may be dropped is not missing from the throughput */
	figure("load.throughput", "throughput sustained", "packets/s", r, rounds,
		offsetof(struct round, throughput), 1, OFFERED_PPS * 0.999, false);
	figure("load.latency_mean", "mean processing latency", "ms", r, rounds,
		offsetof(struct round, mean_ns), 1e-6, 1.0, true);
	figure("load.drops", "dropped", "%", r, rounds, offsetof(struct round, drops), 1, 0.1,
		true);
	figure("load.pool_hit_rate", "pool hit rate", "%", r, rounds, offsetof(struct round, hits),
		1, 85, false);
	latencies(r, rounds);
	for (unsigned i = 0; i < rounds; i++) {
		shaping[i] = r[i].after.mean_shaping_ns / 1e3;
		relay[i] = r[i].after.mean_processing_ns / 1e3;
	}
	result_add("load.shaping_wait", "us", RESULT_NONE, shaping, rounds,
		"offered=25000,shaping=poisson,ports=virtual");
	result_add("load.processing", "us", RESULT_LOWER, relay, rounds,
		"offered=25000,shaping=poisson,ports=virtual");
	printf("  of it the wait for a slot, as the relay counts: %.0f us (M/M/1: 1/(%d - %d) s = "
	       "%.0f us); all else from behind reception: %.0f us\n",
		median(shaping, rounds), SLOTS_PPS, OFFERED_PPS / 2,
		1e6 / (SLOTS_PPS - OFFERED_PPS / 2.0), median(relay, rounds));
}

static void register_stamp(void)
{
	const struct rte_mbuf_dynfield field = {
		.name = "perf_load_stamp", .size = sizeof(uint64_t), .align = sizeof(uint64_t)};

	seen.stamp = rte_mbuf_dynfield_register(&field);
	if (seen.stamp < 0)
		net_die("no room in the mbuf for a time");
}

int main(void)
{
	static char prefix[64], lcores[64];
	static char *argv[] = {"perf", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "*:error", NULL};
	int first = -1, last = 0;
	double seconds = result_quick() ? QUICK_SECONDS : SECONDS;
	static struct round round[TRIES];
	unsigned tried = 0, kept = 0;
	struct error err;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	for (int c = 0; c < CPU_SETSIZE; c++) {
		if (!CPU_ISSET((size_t)c, &set))
			continue;
		first = first < 0 ? c : first;
		last = c;
	}
	snprintf(prefix, sizeof(prefix), "perfload%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@%d,1@%d,2@%d", first, last, first);
	if (last == first)
		printf("NOTE: one core for sender, control and worker; no figure means anything\n");
	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0)
		net_die(err.msg);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		net_die("EAL did not start");
	register_stamp();
	net_make();
	printf("building %.0f packets\n", OFFERED_PPS * seconds);
	net_build_load((unsigned)(OFFERED_PPS * seconds));
	seen.capacity = net.count;
	seen.ns = malloc(net.count * sizeof(*seen.ns));
	if (!seen.ns)
		net_die("no memory for the latencies");
	/* rounds in which others had the worker's core stand behind the good ones */
	while (tried < TRIES && kept < ROUNDS) {
		struct round r;

		run_round(tried, seconds, 2, &r);
		print_round(tried, &r);
		if (r.disturbed <= disturbed_max) {
			round[tried++] = round[kept];
			round[kept++] = r;
		} else {
			round[tried++] = r;
		}
	}
	report(round, kept ? kept : tried);
	unlink(net.directory);
	rmdir(net.folder);
	return 0;
}
