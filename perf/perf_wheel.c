/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wheel's cost per packet (one insertion and one expiry) at several numbers of parked packets,
 * in bursts of 128 on simulated time: exponential delays of mean 50 ms, ticks of 200 us, a rate
 * that keeps so many parked. Beside it DPDK's rte_timer at 10^5.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_timer.h>

#include "bench.h"
#include "mix/wheel.h"

enum { BURST = 128, DRAWS = 1 << 16, PACKETS = 1 << 21 };
#define MEAN UINT64_C(50000000) /* ns */
#define TICK UINT64_C(200000)
#define HORIZON (20 * MEAN)

static uint64_t delays[DRAWS], ties[DRAWS];
static uint64_t rng_state = 88172645463325252;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state * UINT64_C(2685821657736338717);
}

static void draw(void)
{
	for (unsigned i = 0; i < DRAWS; i++) {
		double u = ((double)(rng() >> 11) + 0.5) * 0x1p-53;
		double d = -log(u) * (double)MEAN;

		delays[i] = d < 19.0 * (double)MEAN ? (uint64_t)d : 19 * MEAN;
		ties[i] = rng();
	}
}

struct run {
	struct wheel *w;
	uint64_t now, gap; /* gap: 1/1024 ns between packets */
	uint64_t in, out, sum;
};

/* One burst in, everything due out. */
static void turn(struct run *r)
{
	struct wheel_item out[BURST];
	unsigned n;

	r->now += BURST * r->gap / 1024;
	for (unsigned k = 0; k < BURST; k++, r->in++) {
		uint64_t d = delays[r->in % DRAWS], t = ties[r->in * 7 % DRAWS] + r->in;

		if (wheel_insert(r->w, (void *)(uintptr_t)(r->in + 1), r->now + d, t) < 0)
			abort();
	}
	do {
		n = wheel_expire(r->w, r->now, out, BURST);
		for (unsigned k = 0; k < n; k++)
			r->sum += out[k].due;
		r->out += n;
	} while (n == BURST);
}

static void measure_wheel(uint64_t parked)
{
	struct wheel_params p = {TICK, HORIZON, (uint32_t)(parked + parked / 4 + 1024), 0};
	struct run r = {.gap = MEAN * 1024 / parked};
	struct bench_span span;
	struct error err;
	uint64_t low = UINT64_MAX, high = 0;
	double ns, bytes;

	if (wheel_create(&p, &r.w, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	while (r.now < 10 * MEAN && r.in < 3 * parked)
		turn(&r);
	/* as many more as the pool of touched chunks needs to be well mixed */
	span = bench_begin();
	for (unsigned i = 0; i < PACKETS / BURST; i++) {
		uint32_t n;

		turn(&r);
		n = wheel_count(r.w);
		low = n < low ? n : low;
		high = n > high ? n : high;
	}
	bench_end(&span);
	ns = span.ns / PACKETS;
	bytes = (double)wheel_memory(&p);
	result_add("wheel.packet", "ns", RESULT_LOWER, &ns, 1, "parked=%" PRIu64, parked);
	result_add("wheel.memory", "bytes", RESULT_LOWER, &bytes, 1, "parked=%" PRIu64, parked);
	printf("%-28s %9" PRIu64 " parked (%" PRIu64 "..%" PRIu64
	       ") %8.1f ns %8.1f cycles  %6.1f MiB\n",
		"wheel: insert + expire", parked, low, high, span.ns / PACKETS,
		span.cycles / PACKETS, (double)wheel_memory(&p) / 1048576.0);
	wheel_free(r.w);
}

static void expired(struct rte_timer *t, void *arg)
{
	(void)t;
	(*(unsigned *)arg)++;
}

/* Real time: all are inserted, then, when the last is due, expired by one call. */
static int measure_rte_timer(void)
{
	enum { N = 100000 };
	struct rte_timer *t = calloc(N, sizeof(*t));
	const uint64_t hz = rte_get_timer_hz();
	struct bench_span in, out;
	unsigned done = 0;

	if (!t || rte_timer_subsystem_init() < 0)
		return -1;
	for (unsigned i = 0; i < N; i++)
		rte_timer_init(&t[i]);
	in = bench_begin();
	for (unsigned i = 0; i < N; i++)
		rte_timer_reset(&t[i], hz / 2 + delays[i % DRAWS] * hz / 1000000000, SINGLE,
			rte_lcore_id(), expired, &done);
	bench_end(&in);
	rte_delay_us_sleep(500000 + HORIZON / 1000);
	out = bench_begin();
	rte_timer_manage();
	bench_end(&out);
	rte_timer_subsystem_finalize();
	free(t);
	if (done != N)
		return -1;
	printf("%-28s %9d parked %*s %8.1f ns %8.1f cycles\n", "rte_timer: reset + manage", N, 18,
		"", (in.ns + out.ns) / N, (in.cycles + out.cycles) / N);
	return 0;
}

int main(void)
{
	static const uint64_t parked[] = {1000, 10000, 100000, 1000000, 4000000};
	char *eal[] = {"perf_wheel", "--no-huge", "--no-pci", "-m", "64", "-l", "0",
		"--no-telemetry", "--log-level", "3", NULL};

	draw();
	for (size_t i = 0; i < sizeof(parked) / sizeof(*parked); i++)
		measure_wheel(parked[i]);
	if (rte_eal_init(10, eal) < 0 || measure_rte_timer() < 0) {
		fprintf(stderr, "rte_timer could not be measured\n");
		return 1;
	}
	rte_eal_cleanup();
	return 0;
}
