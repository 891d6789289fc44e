/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The highest load of one worker without loss (NDR) and with at most 0.5 % of it (PDR), throughput
 * against offered load, and the latency at 10, 50 and 90 % of NDR, on ports whose wires are rings.
 *
 * A trial: packets at constant gaps for TRIAL_S seconds (or as many as were built), copied into
 * frames as they fall due, into an RX ring that holds RX_RING - 1, as many as a NIC's descriptors;
 * one that is full loses the packet. Sending goes by the schedule: a packet that is late does not
 * move the ones behind it. Then the wheel and the rings get DRAIN_MS to run empty. What is missing
 * is lost. The overload that RX_RING packets can hide is RX_RING / (rate * TRIAL_S), some 0.7 %.
 *
 * Latency counts from the moment when the packet should have been sent, so that a late generator
 * hides nothing, to the moment when it is on the TX wire, less the sender's delay: the wheel's tick
 * is in it. Generator, sink and control share a core; the worker has the other.
 */
#include "lab.h"
#include "search.h"

enum {
	PAYLOAD = 1024,
	RX_RING = 1024,
	FRAMES = 16383,
	DRAIN_MS = 200,
	PROBE = 8192,         /* packets of the full load that finds where to search */
	MAX_PACKETS = 400000, /* half a gigabyte */
	MAX_TRIALS = 24,      /* of a search, repetitions included */
	AGAIN = 2,            /* times that a disturbed trial at a share of NDR is made anew */
	SINK_BURST = 32,
	POLL_US = 1000,
	LATE_US = 1000, /* a generator later than this was not alone on its core */
};
#define TRIAL_S (result_quick() ? 0.25 : 1.0)
#define RESOLUTION (result_quick() ? 0.01 : 0.005)
#define PDR_LOSS 0.005

static const struct lab_run relay = {1, BETANET_MAX_BATCH, PAYLOAD, RX_RING, 1 << 21};
static float *latency_us; /* of a trial's packets, in the order of their arrival */
static unsigned latencies, all_trials, all_disturbed;
static double capacity;

static double cpu_seconds(void)
{
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t *stamp_of(struct rte_mbuf *m)
{
	return (uint64_t *)(void *)((uint8_t *)rte_mbuf_to_priv(m) + sizeof(struct packet_meta));
}

/* Takes what is on the TX wire. */
static unsigned sink(double us_per_cycle)
{
	struct rte_mbuf *m[SINK_BURST];
	const unsigned n = rte_ring_dequeue_burst(lab.tx[0], (void **)m, SINK_BURST, NULL);
	const uint64_t now = rte_rdtsc();
	unsigned mine = 0;

	for (unsigned i = 0; i < n; i++) {
		if (m[i]->pool != lab.pool)
			continue; /* the relay's own: ARP */
		latency_us[latencies++] = (float)((double)(now - *stamp_of(m[i])) * us_per_cycle -
						  LAB_DELAY_NS / 1e3);
		mine++;
	}
	if (n)
		rte_pktmbuf_free_bulk(m, n);
	return mine;
}

struct flow {
	uint64_t sent, refused, received, first, last, late;
};

static void generate(struct betanet *b, double pps, uint64_t n, struct flow *f)
{
	const double gap = (double)b->hz / pps, us = 1e6 / (double)b->hz;
	const uint64_t began = rte_rdtsc() + b->hz / 1000, poll = b->hz / (1000000 / POLL_US);
	uint64_t next_poll = began, due = began, now;

	while (f->sent < n) {
		while ((now = rte_rdtsc()) >= due && f->sent < n) {
			struct rte_mbuf *m = lab_frame((unsigned)f->sent);

			if (m)
				*stamp_of(m) = due;
			if (!m || rte_ring_enqueue(lab.rx[0], m) < 0) {
				rte_pktmbuf_free(m);
				f->refused++;
			}
			f->first = f->sent ? f->first : now;
			f->last = now;
			f->late = now - due > f->late ? now - due : f->late;
			due = began + (uint64_t)(gap * (double)++f->sent);
		}
		f->received += sink(us);
		if (now >= next_poll) {
			betanet_poll(b);
			next_poll = now + poll;
		}
	}
}

static void run_trial(void *arg, double pps, struct trial *t)
{
	struct betanet *b = lab_open(&relay);
	const double wanted = pps * TRIAL_S, us = 1e6 / (double)b->hz;
	const uint64_t n = wanted < lab.packets ? (uint64_t)wanted : lab.packets;
	struct flow f = {0};
	double wall, cpu;
	uint64_t until;

	(void)arg;
	latencies = 0;
	wall = bench_clock(CLOCK_MONOTONIC);
	cpu = cpu_seconds();
	generate(b, pps, n, &f);
	wall = bench_clock(CLOCK_MONOTONIC) - wall;
	cpu = cpu_seconds() - cpu;
	until = rte_rdtsc() + b->hz * DRAIN_MS / 1000;
	while (f.received + f.refused < f.sent && rte_rdtsc() < until)
		f.received += sink(us);
	lab_close(b, &relay);

	*t = (struct trial){.offered = pps,
		.sent = (double)(n - 1) * 1e6 / us / (double)(f.last - f.first),
		.loss = (double)(f.sent - f.received) / (double)f.sent,
		.refused = (unsigned)f.refused,
		.late_us = (double)f.late * us};
	t->received = t->sent * (1 - t->loss);
	/* generator and worker spin: alone on their cores they use two seconds a second */
	t->disturbed = cpu < 2 * 0.98 * wall || t->late_us > LATE_US;
	all_trials++;
	all_disturbed += t->disturbed;
}

/* ---- figures */

/* The share of packets at or below it; the trial's latencies are sorted. */
static double percentile(double p)
{
	const double at = ceil(p / 100 * latencies) - 1;

	return latencies ? latency_us[at < 0 ? 0 : (unsigned)at] : NAN;
}

static int compare_float(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double mean_latency(void)
{
	double sum = 0;

	for (unsigned i = 0; i < latencies; i++)
		sum += (double)latency_us[i];
	return sum / latencies;
}

static void record_trial(const struct trial *t, const char *percent)
{
	const struct {
		const char *name, *unit;
		double value;
	} row[] = {
		{"search.offered", "packets/s", t->sent},
		{"search.received", "packets/s", t->received},
		{"search.loss", "%", 100 * t->loss},
		{"search.rate_error", "%", 100 * (t->sent / t->offered - 1)},
		{"search.sent_late", "us", t->late_us},
		{"search.disturbed", "trials", t->disturbed},
	};

	for (size_t i = 0; i < RTE_DIM(row); i++)
		result_add(row[i].name, row[i].unit, RESULT_NONE, &row[i].value, 1,
			"load=%s,workers=1," LAB_LABEL, percent);
}

/* One trial at a share of NDR, made anew when the machine disturbs it; `percent` names it. */
static void at_load(double ndr, unsigned percent)
{
	static const double wanted[] = {50, 90, 99, 99.9, 100};
	char name[16];
	struct trial t;

	snprintf(name, sizeof(name), "%u", percent);
	for (unsigned i = 0; i <= AGAIN; i++) {
		run_trial(NULL, ndr * percent / 100, &t);
		if (!t.disturbed && fabs(t.sent / t.offered - 1) <= SEARCH_EXACT)
			break;
	}
	record_trial(&t, name);
	printf("  %4u %% %9.0f %9.0f %8.3f %%", percent, t.sent, t.received, 100 * t.loss);
	if (latencies) {
		const double mean = mean_latency();

		qsort(latency_us, latencies, sizeof(*latency_us), compare_float);
		printf(" %9.0f", mean);
		result_add("search.latency_mean", "us", percent <= 90 ? RESULT_LOWER : RESULT_NONE,
			&mean, 1, "load=%s,workers=1," LAB_LABEL, name);
		for (size_t i = 0; i < RTE_DIM(wanted); i++) {
			const double us = percentile(wanted[i]);

			printf(" %9.0f", us);
			/* beyond NDR the queue's length is measured, not the relay; the last
			 * packets of many are the machine's */
			result_add("search.latency", "us",
				percent <= 90 && wanted[i] <= 99 ? RESULT_LOWER : RESULT_NONE, &us,
				1, "load=%s,percentile=%g,workers=1," LAB_LABEL, name, wanted[i]);
		}
	}
	printf("%s\n", t.disturbed ? "  disturbed" : "");
}

static void record_settings(void)
{
	const struct {
		const char *name, *unit;
		double value;
	} row[] = {
		{"trial", "s", TRIAL_S},
		{"drain", "ms", DRAIN_MS},
		{"resolution", "%", 100 * RESOLUTION},
		{"rx_ring", "packets", RX_RING - 1},
		{"payload", "bytes", PAYLOAD},
		{"sender_delay", "ms", LAB_DELAY_NS / 1e6},
		{"tsc", "MHz", (double)rte_get_tsc_hz() / 1e6},
	};

	for (size_t i = 0; i < RTE_DIM(row); i++)
		result_add("search.setting", row[i].unit, RESULT_NONE, &row[i].value, 1,
			"setting=%s", row[i].name);
}

/* `least` was found before to lose nothing. */
static double search(
	const char *what, const char *name, double loss, double low, double high, double least)
{
	struct search s = {.low = low,
		.high = high,
		.resolution = RESOLUTION,
		.loss = loss,
		.max_trials = MAX_TRIALS,
		.run = run_trial};
	const double pps = fmax(search_rate(&s), least);

	printf("  %s (loss at most %.1f %%): %.0f packets/s, %.1f Gbit/s of frames; %u trials, %u "
	       "of "
	       "them repetitions, %u disturbed\n",
		what, 100 * loss, pps,
		pps * 8 * (LINK_HEADER4 + FRAME_SIZE + SPHINX_HEADER_SIZE + PAYLOAD) / 1e9,
		s.trials, s.repeated, s.disturbed);
	result_add(name, "packets/s", RESULT_HIGHER, &pps, 1, "workers=1," LAB_LABEL);
	return pps;
}

int main(void)
{
	static const unsigned load[] = {10, 25, 50, 75, 90, 95, 100, 105, 110, 125, 150};
	static struct lab_load probe;
	double ndr, share;

	lab_start("perf_search");
	if (lab.cores < 2) {
		printf("not run: the generator and the worker need a core each, this process may "
		       "use one\n");
		result_write(&(struct result){.name = "search.ndr",
			.unit = "packets/s",
			.better = RESULT_HIGHER,
			.labels = "workers=1," LAB_LABEL,
			.note = "not run: the generator and the worker need a core each"});
		lab_end();
		return 0;
	}
	lab_packets(PROBE, PAYLOAD, FRAMES);
	lab_full_load(
		&(struct lab_run){1, BETANET_MAX_BATCH, PAYLOAD, LAB_RING, 1 << 18}, PROBE, &probe);
	capacity = probe.pps;
	lab_packets((unsigned)fmin(capacity * 1.3 * TRIAL_S, MAX_PACKETS), PAYLOAD, FRAMES);
	latency_us = malloc(sizeof(*latency_us) * lab.packets);
	if (!latency_us)
		lab_die("no memory for the latencies");
	printf("virtual ports (rings in memory, no NIC); one worker, payload %u, RX ring of %u; "
	       "full bursts: %.0f packets/s. A trial: %.2f "
	       "s, "
	       "%u ms to drain; resolution %.1f %%\n",
		PAYLOAD, RX_RING, capacity, TRIAL_S, DRAIN_MS, 100 * RESOLUTION);
	record_settings();
	ndr = search("NDR", "search.ndr", 0, 0.85 * capacity, 1.03 * capacity, 0);
	if (ndr == 0)
		lab_die("every trial lost packets: this machine is too noisy for a load search");
	search("PDR", "search.pdr", PDR_LOSS, ndr, ndr * 1.15, ndr);
	printf("\n  latency in us without the sender's %u ms; load in %% of NDR\n"
	       "    load   offered  received       loss      mean      50 %%      90 %%      99 %%"
	       "    99.9 %%      most\n",
		LAB_DELAY_NS / 1000000);
	for (size_t i = 0; i < RTE_DIM(load); i++)
		at_load(ndr, load[i]);
	share = 100.0 * all_disturbed / all_trials;
	printf("\n  %u trials; in %.0f %% of them generator or worker did not have its core all "
	       "the "
	       "time\n",
		all_trials, share);
	result_add("search.disturbed_share", "%", RESULT_NONE, &share, 1, "workers=1," LAB_LABEL);
	free(latency_us);
	lab_end();
	return 0;
}
