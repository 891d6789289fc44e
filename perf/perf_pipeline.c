/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole datapath on ports whose wires are rings: stage by stage, full load on one worker and
 * more, and the processing latency at the original design's 25,000 packets a second. Packets are
 * unique and valid; there is no NIC in it. The argument "stages" leaves it at the stages.
 */
#include "lab.h"

enum {
	PAYLOAD = 1024,
	PACKETS = 12288, /* for each worker and run */
	QUICK_PACKETS = 8192,
	ROUNDS = 5,
	QUICK_ROUNDS = 3,
	OFFERED_PPS = 25000,
	MAX_MARKS = ROUNDS * LAB_MARKS,
};

static const char *const stage_name[] = {
#define X(name) #name,
	STAGES(X)
#undef X
};

static struct {
	double cycles[STAGE_COUNT][MAX_MARKS], total[MAX_MARKS], rest[MAX_MARKS], share[MAX_MARKS];
	unsigned marks;
	struct stage_stats last[STAGE_COUNT];
	double pps[LAB_WORKERS + 1][ROUNDS], latency[ROUNDS], dropped[ROUNDS];
} got;

static unsigned rounds, packets, scale[LAB_WORKERS], scales;

/*
 * A stage of each packet made slower by so many TSC cycles, in a program that tests/functional/
 * perf_tools.sh builds for itself and links with --wrap=stage_route: perf-compare has to find it.
 */
#ifdef PERF_FAULT_ROUTE
void __real_stage_route(struct worker *w, struct burst *b, const struct snapshot *s);
void __wrap_stage_route(struct worker *w, struct burst *b, const struct snapshot *s);

void __wrap_stage_route(struct worker *w, struct burst *b, const struct snapshot *s)
{
	const uint64_t until = rte_rdtsc() + (uint64_t)PERF_FAULT_ROUTE * b->n;

	while (rte_rdtsc() < until)
		;
	__real_stage_route(w, b, s);
}
#endif

static void paced(const struct lab_run *r, unsigned round)
{
	static struct rte_mbuf *frames[PACKETS];
	struct betanet *b = lab_open(r);
	struct betanet_stats s;
	uint64_t began, gap = b->hz / OFFERED_PPS, limit;

	for (unsigned i = 0; i < packets; i++)
		if (!(frames[i] = lab_frame(i)))
			lab_die("the pool of frames is empty");
	began = rte_rdtsc();
	for (unsigned i = 0; i < packets; i++) {
		while (rte_rdtsc() < began + i * gap)
			;
		if (rte_ring_enqueue(lab.rx[0], frames[i]) < 0)
			rte_pktmbuf_free(frames[i]);
	}
	limit = rte_rdtsc() + b->hz;
	do {
		rte_delay_us_sleep(500);
		betanet_stats_get(b, &s);
	} while (s.tx + s.dropped < packets && rte_rdtsc() < limit);
	lab_close(b, r);
	got.latency[round] = s.mean_processing_ns / 1e6;
	got.dropped[round] =
		100.0 * (double)(packets - (s.tx < packets ? s.tx : packets)) / (double)packets;
}

static void keep_stages(const struct lab_load *l)
{
	for (unsigned m = 0; m < l->marks && got.marks < MAX_MARKS; m++, got.marks++) {
		double all = 0, sphinx = 0;

		for (unsigned i = 0; i < STAGE_COUNT; i++) {
			got.cycles[i][got.marks] = l->cycles[i][m];
			all += l->cycles[i][m];
			if (i == STAGE_open || i == STAGE_finish)
				sphinx += l->cycles[i][m];
		}
		got.total[got.marks] = all;
		got.rest[got.marks] = all - sphinx;
		got.share[got.marks] = 100 * sphinx / all;
	}
	memcpy(got.last, l->stage, sizeof(got.last));
}

static void run_all(bool stages_only)
{
	static struct lab_load load;

	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned k = stages_only ? 0 : scales - 1;; k--) {
			const struct lab_run run = {
				scale[k], BETANET_MAX_BATCH, PAYLOAD, LAB_RING, 1 << 18};

			lab_full_load(&run, packets, &load);
			got.pps[scale[k]][r] = load.pps;
			if (k == 0)
				break;
		}
		keep_stages(&load);
		if (!stages_only)
			paced(&(struct lab_run){1, BETANET_MAX_BATCH, PAYLOAD, LAB_RING, 1 << 18},
				r);
	}
}

static void print_stages(void)
{
	double sum = 0;

	printf("\none worker, full bursts, medians of %u readings (TSC cycles; the last run's "
	       "calls)\n  %-10s %8s %9s %10s %12s\n",
		got.marks, "stage", "CALLS", "PACKETS", "PKTS/CALL", "CYCLES/PKT");
	for (unsigned i = 0; i < STAGE_COUNT; i++) {
		const struct stage_stats *s = &got.last[i];
		const double calls = (double)s->calls,
			     each = s->calls ? (double)s->packets / calls : 0,
			     m = lab_median(got.cycles[i], got.marks);

		sum += m;
		printf("  %-10s %8" PRIu64 " %9" PRIu64 " %10.1f %12.0f\n", stage_name[i], s->calls,
			s->packets, each, m);
		if (!s->packets)
			continue; /* a stage that these settings leave out */
		result_add("pipeline.stage", "cycles/packet", RESULT_LOWER, got.cycles[i],
			got.marks, "stage=%s," LAB_LABEL, stage_name[i]);
		result_add("pipeline.calls", "calls", RESULT_NONE, &calls, 1, "stage=%s," LAB_LABEL,
			stage_name[i]);
		result_add("pipeline.packets_per_call", "packets", RESULT_NONE, &each, 1,
			"stage=%s," LAB_LABEL, stage_name[i]);
	}
	printf("  %-10s %40.0f\n", "sum", sum);
}

static void target(const char *text, const char *format, struct result r, double *values)
{
	double m;

	r.values = values;
	m = lab_median(values, r.count);
	printf("  %-58s ", text);
	printf(format, m, r.floor, r.goal);
	printf("  %s\n", lab_verdict(m, r.floor, r.goal));
	result_write(&r);
}

static void print_stage_targets(void)
{
	printf("\n  %-58s %10s %8s %8s\n", "figure", "measured", "floor", "goal");
	target("datapath without the Sphinx cryptography, cycles/packet", "%10.0f %8.0f %8.0f",
		(struct result){.name = "pipeline.without_sphinx",
			.unit = "cycles/packet",
			.better = RESULT_LOWER,
			.labels = LAB_LABEL,
			.count = got.marks,
			.floor = 1000,
			.goal = 400},
		got.rest);
	target("share of the time in Sphinx cryptography", "%9.1f%% %7.0f%% %7.0f%%",
		(struct result){.name = "pipeline.sphinx_share",
			.unit = "%",
			.better = RESULT_HIGHER,
			.labels = LAB_LABEL,
			.count = got.marks,
			.floor = 90,
			.goal = 97},
		got.share);
	result_add("pipeline.total", "cycles/packet", RESULT_LOWER, got.total, got.marks, "%s",
		LAB_LABEL);
}

static void print_runs(void)
{
	double one, per_worker[ROUNDS];

	target("mean processing latency at 25,000 pkt/s, one worker", "%7.3f ms %5.1f ms %5.1f ms",
		(struct result){.name = "pipeline.latency_25kpps",
			.unit = "ms",
			.better = RESULT_LOWER,
			.labels = "workers=1," LAB_LABEL,
			.count = rounds,
			.floor = 1.0,
			.goal = 0.3},
		got.latency);
	result_add("pipeline.loss_25kpps", "%", RESULT_LOWER, got.dropped, rounds,
		"workers=1," LAB_LABEL);
	printf("  %-58s %9.3f%% %7.1f%%\n", "  lost in that run", lab_median(got.dropped, rounds),
		0.1);
	for (unsigned k = 0; k < scales; k++) {
		const unsigned w = scale[k];
		char labels[64], text[64];

		/* ratios of one round, before the medians sort them */
		for (unsigned r = 0; r < rounds; r++)
			per_worker[r] = got.pps[w][r] / got.pps[1][r] / w;
		if (w == 1)
			continue;
		snprintf(labels, sizeof(labels), "workers=%u," LAB_LABEL, w);
		snprintf(text, sizeof(text), "throughput per worker, %u against one", w);
		target(text, "%10.2f %8.1f %8.2f",
			(struct result){.name = "pipeline.scaling",
				.unit = "ratio",
				.better = RESULT_HIGHER,
				.labels = labels,
				.count = rounds,
				.floor = 0.9,
				.goal = 0.99},
			per_worker);
	}
	for (unsigned k = 0; k < scales; k++) {
		result_add("pipeline.throughput", "packets/s", RESULT_HIGHER, got.pps[scale[k]],
			rounds, "workers=%u," LAB_LABEL, scale[k]);
		one = lab_median(got.pps[scale[k]], rounds);
		printf("  %u worker%-50s %10.0f\n", scale[k],
			scale[k] == 1 ? ", packets per second" : "s, packets per second", one);
	}
	if (scales == 1)
		printf("  scaling was not measured: this process may use one core\n");
}

int main(int argc, char **argv)
{
	const bool stages_only = argc > 1 && strcmp(argv[1], "stages") == 0;

	rounds = result_quick() ? QUICK_ROUNDS : ROUNDS;
	packets = result_quick() ? QUICK_PACKETS : PACKETS;
	lab_start("perf_pipeline");
	for (unsigned w = 1; w <= lab.cores && w <= LAB_WORKERS; w *= 2)
		scale[scales++] = w;
	lab_packets((stages_only ? 1 : scale[scales - 1]) * packets, PAYLOAD,
		(stages_only ? 1 : scale[scales - 1]) * PACKETS + 4096);
	printf("virtual ports (rings in memory, no NIC); %u rounds of %u packets for each worker\n",
		rounds, packets);
	run_all(stages_only);
	print_stages();
	print_stage_targets();
	if (!stages_only)
		print_runs();
	lab_end();
	return 0;
}
