/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Full load on one worker by batch size and by payload size, on ports whose wires are rings. A
 * batch larger than the pipeline allows is tried, and what the pipeline says to it is printed.
 */
#include "lab.h"

enum { ROUNDS = 5, QUICK_ROUNDS = 3, PACKETS = 4096, BATCHES = 9, PAYLOADS = 7, PAYLOAD = 1024 };

static unsigned rounds;

struct point {
	double pps[ROUNDS], cycles[ROUNDS], rest[ROUNDS];
};

static double sum_of_medians(struct lab_load *l, bool without_sphinx)
{
	double sum = 0;

	for (unsigned s = 0; s < STAGE_COUNT; s++)
		if (!without_sphinx || (s != STAGE_open && s != STAGE_finish))
			sum += lab_median(l->cycles[s], l->marks);
	return sum;
}

static void measure(const struct lab_run *r, unsigned packets, struct point *p, unsigned round)
{
	static struct lab_load load;

	lab_full_load(r, packets, &load);
	p->pps[round] = load.pps;
	p->cycles[round] = sum_of_medians(&load, false);
	p->rest[round] = sum_of_medians(&load, true);
}

static void report(const char *sweep, unsigned value, struct point *p, size_t wire)
{
	const double pps = lab_median(p->pps, rounds);

	printf("  %8u %12.0f %12.0f %18.0f %10.2f\n", value, pps, lab_median(p->cycles, rounds),
		lab_median(p->rest, rounds), pps * 8 * (double)wire / 1e9);
	result_add("sweep.throughput", "packets/s", RESULT_HIGHER, p->pps, rounds,
		"%s=%u,workers=1," LAB_LABEL, sweep, value);
	result_add("sweep.cycles", "cycles/packet", RESULT_LOWER, p->cycles, rounds,
		"%s=%u,workers=1," LAB_LABEL, sweep, value);
	result_add("sweep.without_sphinx", "cycles/packet", RESULT_LOWER, p->rest, rounds,
		"%s=%u,workers=1," LAB_LABEL, sweep, value);
}

static void heading(const char *what)
{
	printf("\n  %8s %12s %12s %18s %10s\n", what, "packets/s", "cycles/pkt", "without Sphinx",
		"Gbit/s");
}

static size_t wire_bytes(unsigned payload)
{
	return LINK_HEADER4 + FRAME_SIZE + SPHINX_HEADER_SIZE + payload;
}

/* The pipeline's own words about a batch it does not take. */
static void refused(unsigned batch)
{
	const struct lab_run r = {1, batch, PAYLOAD, LAB_RING, 1 << 18};
	struct betanet_config c;
	char err[BETANET_ERROR_MAX], labels[64];
	struct betanet *b;

	lab_config(&r, &c);
	if (betanet_create(&c, &b, err) == 0) {
		betanet_destroy(b);
		lab_die("a batch size beyond the limit was accepted");
	}
	printf("  %8u not run: %s\n", batch, err);
	snprintf(labels, sizeof(labels), "batch=%u,workers=1," LAB_LABEL, batch);
	result_write(&(struct result){.name = "sweep.throughput",
		.unit = "packets/s",
		.better = RESULT_HIGHER,
		.labels = labels,
		.note = err});
}

static void sweep_batch(void)
{
	static const unsigned batch[BATCHES] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
	static struct point point[BATCHES];

	lab_packets(PACKETS, PAYLOAD, 2 * PACKETS);
	for (unsigned r = 0; r < rounds; r++)
		for (unsigned i = 0; i < BATCHES; i++)
			if (batch[i] <= BETANET_MAX_BATCH)
				measure(&(struct lab_run){1, batch[i], PAYLOAD, LAB_RING, 1 << 18},
					PACKETS, &point[i], r);
	heading("batch");
	for (unsigned i = 0; i < BATCHES; i++) {
		if (batch[i] <= BETANET_MAX_BATCH)
			report("batch", batch[i], &point[i], wire_bytes(PAYLOAD));
		else
			refused(batch[i]);
	}
}

/* Sizes in turns within one round would need all packets at once: a round of one size after the
 * other. */
static void sweep_payload(void)
{
	static const unsigned payload[PAYLOADS] = {128, 256, 512, 1024, 2048, 4096, 8192};
	static struct point point;

	heading("payload");
	for (unsigned i = 0; i < PAYLOADS; i++) {
		lab_packets(PACKETS, payload[i], 2 * PACKETS);
		for (unsigned r = 0; r < rounds; r++)
			measure(&(struct lab_run){1, BETANET_MAX_BATCH, payload[i], LAB_RING,
					1 << 18},
				PACKETS, &point, r);
		report("payload", payload[i], &point, wire_bytes(payload[i]));
	}
}

int main(void)
{
	rounds = result_quick() ? QUICK_ROUNDS : ROUNDS;
	lab_start("perf_sweep");
	printf("virtual ports (rings in memory, no NIC); one worker, full load, medians of %u runs "
	       "of %u packets; TSC cycles\n",
		rounds, PACKETS);
	sweep_batch();
	sweep_payload();
	lab_end();
	return 0;
}
