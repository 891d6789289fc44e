/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for each packet that can be parked: by arithmetic (a buffer of the pool, its place in the
 * wheel and in the replay table), and measured as resident memory of pipelines whose pools differ.
 * That is more here: without hugepages DPDK lets no buffer cross a page of 4 KiB. Then packets are
 * parked: what a parked packet adds to the resident memory beyond that, which should be next to
 * nothing, for all of it is taken at start.
 */
#include <sys/wait.h>
#include "lab.h"

enum {
	SMALL = 65536, /* mbufs */
	LARGE = 131072,
	PARKED = 16384,
	PACKETS = PARKED,
	GROUP = 64,
	PAYLOADS = 3,
};

static double resident(void)
{
	unsigned long size, pages;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		lab_die("/proc/self/statm cannot be read");
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static struct betanet *start(unsigned payload, uint32_t pool)
{
	const struct lab_run r = {1, BETANET_MAX_BATCH, payload, 0, 1 << 18};
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b;

	lab_config(&r, &c);
	c.udp_port = 0;
	c.pool_size = pool;
	c.queue_depth = PARKED; /* or it would take no more */
	if (betanet_create(&c, &b, err) < 0 || betanet_start(b, err) < 0)
		lab_die(err);
	return b;
}

/* Submits PARKED packets, whose delay is longer than this takes. */
static void park(struct betanet *b)
{
	struct betanet_stats s;
	const uint64_t limit = rte_rdtsc() + 20 * b->hz;
	const uint8_t *p[GROUP];

	for (unsigned i = 0; i < PACKETS;) {
		unsigned n = PACKETS - i < GROUP ? PACKETS - i : GROUP;

		for (unsigned k = 0; k < n; k++)
			p[k] = lab.packet + (i + k) * lab.packet_size;
		i += n = betanet_submit(b, p, n);
		betanet_poll(b);
		if (!n)
			rte_delay_us_sleep(100);
		if (rte_rdtsc() > limit)
			lab_die("the pipeline takes no more packets");
	}
	do {
		rte_delay_us_sleep(1000);
		betanet_stats_get(b, &s);
		if (rte_rdtsc() > limit)
			lab_die("the packets were not parked");
	} while (s.parked < PARKED);
}

static double wheel_bytes(const struct betanet *b)
{
	struct wheel_params p = {b->hz / 1000000 * b->cfg.tick_us, 11 * b->hz, SMALL, 0};
	const double small = (double)wheel_memory(&p);

	p.capacity = LARGE;
	return ((double)wheel_memory(&p) - small) / (LARGE - SMALL);
}

struct reading {
	double element, wheel, resident, growth;
};

/* In a process of its own: what was freed once is not given back. */
static struct reading child(unsigned payload, uint32_t pool)
{
	struct reading r = {0};
	struct betanet *b;

	/* the sender's delay: longer than everything here takes */
	lab_start_with("perf_memory", "2048", UINT64_C(8000000000));
	lab_packets(PACKETS, payload, 4096);
	b = start(payload, pool);
	r.element = b->pool->header_size + b->pool->elt_size + b->pool->trailer_size;
	r.wheel = wheel_bytes(b);
	r.resident = resident();
	park(b);
	r.growth = (resident() - r.resident) / PARKED;
	betanet_stop(b, 0, NULL);
	betanet_destroy(b);
	lab_end();
	return r;
}

static struct reading in_child(unsigned payload, uint32_t pool)
{
	struct reading r;
	int fd[2], status;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) < 0 || (pid = fork()) < 0)
		lab_die("no child process");
	if (pid == 0) {
		r = child(payload, pool);
		_exit(write(fd[1], &r, sizeof(r)) == sizeof(r) ? 0 : 1);
	}
	close(fd[1]);
	if (read(fd[0], &r, sizeof(r)) != sizeof(r) || waitpid(pid, &status, 0) < 0 || status != 0)
		lab_die("a child process ended early");
	close(fd[0]);
	return r;
}

static void measure(unsigned payload)
{
	const struct reading small = in_child(payload, SMALL), large = in_child(payload, LARGE);
	const double sum = large.element + large.wheel,
		     resident_each = (large.resident - small.resident) / (LARGE - SMALL),
		     replay = (double)replay_memory(1 << 24) / (1 << 24);

	printf("  %8u %10.0f %8.1f %10.0f %14.0f %14.1f %14.1f\n", payload, large.element,
		large.wheel, sum, resident_each, large.growth, replay);
	result_add("memory.parked_packet", "bytes", RESULT_LOWER, &sum, 1, "payload=%u", payload);
	result_add("memory.parked_packet_resident", "bytes", RESULT_LOWER, &resident_each, 1,
		"hugepages=no,payload=%u", payload);
	result_add("memory.growth_while_parked", "bytes", RESULT_NONE, &large.growth, 1,
		"payload=%u", payload);
	result_add("memory.replay_tag", "bytes", RESULT_LOWER, &replay, 1, "payload=%u", payload);
}

int main(void)
{
	static const unsigned payload[PAYLOADS] = {512, 1024, 2048};

	lab.program = "perf_memory";
	printf("bytes for each packet that can be parked; resident: the difference of pools of %u "
	       "and %u buffers\n  %8s %10s %8s %10s %14s %14s %14s\n",
		SMALL, LARGE, "payload", "buffer", "wheel", "sum", "resident", "more if parked",
		"and its tag");
	for (unsigned i = result_quick() ? 1 : 0; i < (result_quick() ? 2 : PAYLOADS); i++)
		measure(payload[i]);
	return 0;
}
