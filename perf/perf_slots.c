/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How late slots are: one worker, four links of 1000 slots a second each, while the worker has
 * nothing to unwrap, half of what it can, and nearly all. What it unwraps are packets with a wrong
 * MAC, which cost it most of what good ones do and put nothing in the slots. No ports: a slot's
 * packet goes into the collect ring. What other programs do to the worker is not counted: slices of
 * time in which it waited for its core are left out.
 */
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "pipeline/pipeline.h"
#include "result.h"

enum {
	PAYLOAD = 1024,
	PACKET = SPHINX_HEADER_SIZE + PAYLOAD,
	LINKS = 4,
	RATE = 1000,
	SLICE_MS = 4,
	SLICES = 100,
	QUICK_SLICES = 40,
	PATIENCE = 2, /* slices tried for each that is counted */
	LOST_US = 50, /* a slice in which the worker waited longer for its core is not counted */
};

static struct {
	uint8_t secret[32], authority_seed[32], authority[32];
	char directory[64];
	uint8_t bad[PACKET]; /* a packet for us with a wrong MAC */
	char schedstat[64];  /* of the worker's thread */
} lab;

/* What is counted of the slices in which the worker had its core. */
struct sum {
	uint64_t slots, empty, skipped, looked_at, lateness[BETANET_HISTOGRAM_BUCKETS], latest;
	unsigned slices, tried;
};

static void die(const char *what)
{
	fprintf(stderr, "perf_slots: %s\n", what);
	exit(1);
}

static void write_directory(void)
{
	char text[4096];
	struct error err;
	size_t at;
	int fd;

	randombytes_buf(lab.authority_seed, 32);
	strcpy(lab.directory, "/tmp/perfslots.XXXXXX");
	fd = mkstemp(lab.directory);
	if (fd < 0)
		die("no temporary file");
	close(fd);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"2020-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		3);
	for (unsigned i = 0; i < LINKS; i++) {
		uint8_t pk[3][32], sk[64];
		char hex[3][65];

		for (unsigned k = 0; k < 3; k++) {
			crypto_sign_keypair(pk[k], sk);
			if (k == 2)
				crypto_scalarmult_base(pk[k], sk);
			hex_encode(hex[k], pk[k], 32);
		}
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"%s{ name = \"mix%u\"; layer = 1; address = \"10.0.0.%u:9000\"; "
			"identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
			i ? "," : "", i, i + 1, hex[0], hex[1], hex[2]);
	}
	snprintf(text + at, sizeof(text) - at, ");\n");
	crypto_sign_seed_keypair(lab.authority, (uint8_t[64]){0}, lab.authority_seed);
	if (directory_sign_text("perf", (uint8_t *)text, strlen(text), lab.directory,
		    lab.authority_seed, FILE_FORCE, &err) < 0)
		die(err.msg);
}

static void build_packet(void)
{
	struct sphinx_route r = {.hops = 2, .version = SPHINX_V259};
	struct crypto *c = crypto_create();
	struct endpoint to;

	randombytes_buf(lab.secret, 32);
	endpoint_parse(&to, "10.0.0.1:9000");
	for (unsigned i = 0; i < 2; i++) {
		crypto_scalarmult_base(r.hop[i].public_key, lab.secret);
		address_encode(r.hop[i].address, &to);
	}
	address_encode(r.destination, &to);
	if (!c || sphinx_build(c, &r, (const uint8_t *)"x", 1, PAYLOAD, NULL, lab.bad) != SPHINX_ok)
		die("a packet could not be built");
	crypto_free(c);
	lab.bad[SPHINX_ALPHA_SIZE] ^= 1;
}

static struct betanet *start(enum betanet_shaping shaping, enum betanet_idle idle)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b;

	betanet_config_init(&c);
	c.shaping = shaping;
	c.max_rate_pps = RATE;
	c.cover = true;
	c.idle = idle;
	c.queue_depth = 4096;
	c.replay_capacity = 1 << 16;
	memcpy(c.sphinx_secret, lab.secret, 32);
	if (betanet_create(&c, &b, err) < 0 ||
		betanet_directory_set(b, lab.directory, lab.authority, 0, err) < 0 ||
		betanet_start(b, err) < 0)
		die(err);
	return b;
}

/* The control lcore's part: our key is in no directory, so cover is what we put there. */
static void fill(struct betanet *b)
{
	for (unsigned i = 0; i < b->links.count; i++) {
		struct tx_link *l = b->links.link[i];

		for (unsigned n = links_cover_room(l); n > 0; n--) {
			struct rte_mbuf *m = pool_alloc(b);

			if (!m)
				return;
			memset(rte_pktmbuf_append(m, PACKET), 0, PACKET);
			memset(packet_meta(m), 0, sizeof(struct packet_meta));
			packet_meta(m)->flag = SPHINX_FLAG_FORWARD;
			packet_meta(m)->hops_generation = b->hops_generation;
			address_encode(packet_meta(m)->address, &l->address);
			if (rte_ring_sp_enqueue(l->cover, m) != 0)
				die("a ring of cover has no room");
		}
	}
}

static void collect(struct betanet *b)
{
	static uint8_t data[64][PACKET];
	struct betanet_output out[64];

	for (unsigned i = 0; i < 64; i++)
		out[i] = (struct betanet_output){.data = data[i], .capacity = PACKET};
	while (betanet_collect(b, out, 64) == 64)
		;
}

/* Offers `pps` bad packets for `ms`. */
static void run(struct betanet *b, double pps, unsigned ms)
{
	uint64_t began = rte_rdtsc(), end = began + b->hz / 1000 * ms, now;
	const uint8_t *batch[32];
	double offered = 0;

	for (unsigned i = 0; i < 32; i++)
		batch[i] = lab.bad;
	while ((now = rte_rdtsc()) < end) {
		double due = (double)(now - began) * pps / (double)b->hz;

		if (due - offered >= 1)
			offered += betanet_submit(b, batch, (unsigned)RTE_MIN(due - offered, 32.0));
		else
			rte_delay_us_sleep(20);
		fill(b);
		collect(b);
		betanet_poll(b);
	}
}

static int note_thread(void *arg)
{
	(void)arg;
	snprintf(lab.schedstat, sizeof(lab.schedstat), "/proc/self/task/%d/schedstat",
		(int)gettid());
	return 0;
}

/* How long the worker has waited for its core by now, ns. */
static uint64_t waited(void)
{
	FILE *f = fopen(lab.schedstat, "r");
	uint64_t ran = 0, wait = 0;

	if (!f || fscanf(f, "%" SCNu64 " %" SCNu64, &ran, &wait) != 2)
		die("this kernel does not tell how long a thread waited for its core");
	fclose(f);
	return wait;
}

/* A wait is told when it is over: the worker must have come round. */
static void wait_loops(const struct betanet *b)
{
	const uint64_t *loops = &b->workers[0].stats.loops;
	uint64_t from = __atomic_load_n(loops, __ATOMIC_RELAXED);

	while (__atomic_load_n(loops, __ATOMIC_RELAXED) < from + 2)
		rte_delay_us_sleep(50);
}

static void slice(struct betanet *b, double pps, struct sum *sum)
{
	struct betanet_stats from, to;
	uint64_t wait;

	wait_loops(b);
	wait = waited();
	betanet_stats_get(b, &from);
	b->workers[0].stats.slot_latest = 0;
	run(b, pps, SLICE_MS);
	betanet_stats_get(b, &to);
	wait_loops(b);
	sum->tried++;
	if (waited() - wait > LOST_US * 1000)
		return;
	sum->slices++;
	sum->slots += to.slots - from.slots;
	sum->empty += to.slots_empty - from.slots_empty;
	sum->skipped += to.slots_skipped - from.slots_skipped;
	sum->looked_at += to.rx - from.rx;
	sum->latest = RTE_MAX(sum->latest, b->workers[0].stats.slot_latest);
	for (unsigned i = 0; i < BETANET_HISTOGRAM_BUCKETS; i++)
		sum->lateness[i] += to.slot_lateness[i] - from.slot_lateness[i];
}

/* The lateness below which a share of the slots was, us, to the next power of two. */
static double percentile(const struct sum *s, double p)
{
	uint64_t all = 0, sum = 0;

	for (unsigned i = 0; i < BETANET_HISTOGRAM_BUCKETS; i++)
		all += s->lateness[i];
	for (unsigned i = 0; i < BETANET_HISTOGRAM_BUCKETS; i++) {
		sum += s->lateness[i];
		if ((double)sum >= p * (double)all)
			return (double)(UINT64_C(1) << i) / 1e3;
	}
	return 0;
}

/* The most that a slice looked at. */
static double find_capacity(struct betanet *b)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < 50; i++) {
		struct betanet_stats from, to;

		betanet_stats_get(b, &from);
		run(b, 1e9, SLICE_MS);
		betanet_stats_get(b, &to);
		most = RTE_MAX(most, to.rx - from.rx);
	}
	return (double)most * 1000 / SLICE_MS;
}

static void measure(enum betanet_shaping shaping, enum betanet_idle idle)
{
	static const char *const shapings[] = {"off", "rate", "constant", "poisson"};
	static const char *const idles[] = {"spin", "pause", "sleep"};
	static const double loads[] = {0, 0.5, 0.95};
	unsigned want = result_quick() ? QUICK_SLICES : SLICES;
	struct betanet *b = start(shaping, idle);
	double capacity = find_capacity(b);

	for (unsigned i = 0; i < RTE_DIM(loads); i++) {
		struct sum s = {0};
		char labels[128];
		double p99;

		run(b, loads[i] * capacity, SLICE_MS);
		while (s.slices < want && s.tried < PATIENCE * want)
			slice(b, loads[i] * capacity, &s);
		p99 = percentile(&s, 0.99);
		printf("%-9s %-6s %4.0f%% %8.0f %3u/%-3u %7" PRIu64 " %6" PRIu64 " %7" PRIu64
		       " %8.1f %8.1f %8.1f %8.1f %8.1f %7.0f\n",
			shapings[shaping], idles[idle], loads[i] * 100,
			(double)s.looked_at * 1e3 / (RTE_MAX(s.slices, 1u) * SLICE_MS), s.slices,
			s.tried, s.slots, s.empty, s.skipped, percentile(&s, 0.5),
			percentile(&s, 0.9), p99, percentile(&s, 0.999),
			(double)s.latest * 1e6 / (double)b->hz,
			(double)b->workers[0].slots.chunk_cost * 1e6 / (double)b->hz);
		snprintf(labels, sizeof(labels), "mode=%s,idle=%s,load=%.2f", shapings[shaping],
			idles[idle], loads[i]);
		result_write(&(struct result){.name = "slots.lateness_p99",
			.unit = "us",
			.better = RESULT_LOWER,
			.labels = labels,
			.values = &p99,
			.count = s.slices ? 1 : 0,
			.note = s.slices ? NULL : "the worker never had its core for a slice"});
	}
	betanet_stop(b, 50, NULL);
	betanet_destroy(b);
}

/* Without arguments everything, else what they name: perf_slots poisson spin. */
static bool wanted(int argc, char **names, const char *mode, const char *idle)
{
	bool any_mode = true, any_idle = true, of_mode = false, of_idle = false;

	for (int i = 1; i < argc; i++) {
		bool is_idle = strcmp(names[i], "spin") == 0 || strcmp(names[i], "sleep") == 0;

		if (is_idle)
			any_idle = false;
		else
			any_mode = false;
		of_mode |= strcmp(names[i], mode) == 0;
		of_idle |= strcmp(names[i], idle) == 0;
	}
	return (any_mode || of_mode) && (any_idle || of_idle);
}

int main(int argc, char **names)
{
	static char prefix[64], lcores[64];
	static char *argv[] = {"perf", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "lib.eal:error", NULL};
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	struct error err;

	snprintf(prefix, sizeof(prefix), "perfslots%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@0,1@%ld", last);
	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0)
		die(err.msg);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		die("EAL did not start");
	build_packet();
	write_directory();
	rte_eal_remote_launch(note_thread, NULL, 1);
	rte_eal_wait_lcore(1);
	printf("one worker, %u links of %u slots/s; slices of %u ms in which the worker had its "
	       "core / tried;\nlateness in us (percentiles: to the next power of two); chunk: what "
	       "8 packets are taken to cost, us\n",
		LINKS, RATE, SLICE_MS);
	printf("%-9s %-6s %5s %8s %7s %7s %6s %7s %8s %8s %8s %8s %8s %7s\n", "mode", "idle",
		"load", "pkt/s", "slices", "slots", "empty", "skipped", "50 %", "90 %", "99 %",
		"99.9 %", "latest", "chunk");
	for (unsigned idle = 0; idle < 2; idle++) {
		for (unsigned mode = 0; mode < 2; mode++) {
			if (wanted(argc, names, mode ? "poisson" : "constant",
				    idle ? "sleep" : "spin"))
				measure(mode ? BETANET_SHAPING_POISSON : BETANET_SHAPING_CONSTANT,
					idle ? BETANET_IDLE_SLEEP : BETANET_IDLE_SPIN);
		}
	}
	unlink(lab.directory);
	rte_eal_cleanup();
	return 0;
}
