/* SPDX-License-Identifier: BSD-3-Clause */
#include "benchmark.h"

#include <inttypes.h>
#include "ethport.h"
#include "pipeline/betanet_bench.h"

enum { LINE_NS = 1000000000 };

struct progress {
	FILE *out;
	uint64_t line;
};

static void say_built(void *arg, unsigned done, unsigned total)
{
	struct progress *p = arg;

	if (ethport_now() < p->line)
		return;
	p->line = ethport_now() + LINE_NS;
	fprintf(p->out, "  built %u of %u\n", done, total);
	fflush(p->out);
}

static int measure(struct betanet_bench *bench, const struct cli_options *o, FILE *out,
	bool *reached, struct error *err)
{
	struct betanet_config *c = betanet_bench_config(bench);
	struct betanet_bench_result r;
	char text[BETANET_BENCH_TEXT];
	int rc;

	c->idle = o->sleep ? BETANET_IDLE_SLEEP : BETANET_IDLE_SPIN;
	fprintf(out, "benchmark: %u workers, %" PRIu64 " s\n", c->workers, o->duration);
	fflush(out);
	rc = betanet_bench_run(bench, (double)o->duration, &r, err->msg);
	if (rc)
		return rc;
	*reached = betanet_bench_meets_target(&r, (double)o->target_pps);
	betanet_bench_describe(&r, text, sizeof(text));
	fprintf(out, "%starget of %" PRIu64 " packets/s: %s\n", text, o->target_pps,
		*reached ? "reached" : "missed");
	return 0;
}

int benchmark_run(const struct cli_options *o, FILE *out, bool *reached, struct error *err)
{
	struct progress p = {out, ethport_now() + LINE_NS};
	struct betanet_bench *bench;
	int rc;

	fprintf(out, "building %" PRIu64 " packets\n", o->packets);
	fflush(out);
	rc = betanet_bench_create(
		(unsigned)o->lcores, (unsigned)o->packets, say_built, &p, &bench, err->msg);
	if (rc)
		return rc;
	rc = measure(bench, o, out, reached, err);
	betanet_bench_destroy(bench);
	return rc;
}
