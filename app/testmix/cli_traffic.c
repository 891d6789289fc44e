/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands for generator, sink, and what of the pipeline a start takes with it. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "core/drop.h"
#include "ethport.h"
#include "pipeline/betanet.h"
#include "traffic.h"

static const char *const delay_names[] = {"vrf", "sender", "sum", "none"};
static const char *const shaping_names[] = {"off", "rate", "constant", "poisson"};

static int need_wires(const struct lab *l, struct error *err)
{
	return l->traffic ? 0
			  : error_set(err, ENODEV,
				    "there is no generator: start the program with --wires");
}

static int need_rest(const struct lab *l, struct error *err)
{
	return l->running ? error_set(err, EBUSY, "it is read at the start: stop first") : 0;
}

static unsigned position(const char *const names[], unsigned n, const char *name)
{
	unsigned i = 0;

	while (i + 1 < n && strcmp(names[i], name) != 0)
		i++;
	return i;
}

/* What the engine has to count of what it was sent. */
void cli_print_traffic(const struct lab *l, FILE *out)
{
	const struct traffic *t = l->traffic;
	struct betanet_stats s;

	traffic_print(t, out);
	if (!l->mix)
		return;
	betanet_stats_get(l->mix, &s);
	fprintf(out,
		"  the engine says: bad_mac %" PRIu64 " of %" PRIu64 ", replay %" PRIu64
		" of %" PRIu64 ", cover_received %" PRIu64 " of %" PRIu64 "\n",
		s.drops[DROP_bad_mac], atomic_load(&t->sent[TRAFFIC_BAD]), s.drops[DROP_replay],
		t->replays_come ? 0 : atomic_load(&t->sent[TRAFFIC_REPLAYED]), s.cover_received,
		atomic_load(&t->sent[TRAFFIC_COVER]));
}

int cli_show_traffic(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc = need_wires(c->lab, err);

	(void)a;
	if (!rc)
		cli_print_traffic(c->lab, c->out);
	return rc;
}

/* `wait seconds N` or `wait traffic N`: until generator and sink have judged, at most so long. */
int cli_wait(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	const bool judged = strcmp(a->word[1], "traffic") == 0;
	const uint64_t end = ethport_now() + a->number[2] * UINT64_C(1000000000);
	struct lab *l = c->lab;
	int rc = judged ? need_wires(l, err) : 0;

	if (!rc && judged && !l->running)
		rc = error_set(err, EINVAL, "nothing is forwarded: start it first");
	if (rc)
		return rc;
	while (ethport_now() < end && !cli_interrupted() && !(judged && l->traffic->judged)) {
		lab_poll(l);
		ethport_sleep_ns(1000000);
	}
	if (judged && !l->traffic->judged)
		return error_set(err, ETIMEDOUT, "packets are still under way after %" PRIu64 " s",
			a->number[2]);
	return 0;
}

int cli_set_rate(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc = need_rest(c->lab, err);

	if (rc)
		return rc;
	c->lab->options.rate = a->number[2];
	fprintf(c->out, "Offered rate set to %" PRIu64 " packets/s%s\n", a->number[2],
		a->number[2] ? "" : ": as fast as they are taken");
	return 0;
}

int cli_set_arrivals(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc = need_rest(c->lab, err);

	if (rc)
		return rc;
	c->lab->options.poisson = strcmp(a->word[2], "poisson") == 0;
	fprintf(c->out, "Arrivals set to %s\n", a->word[2]);
	return 0;
}

int cli_set_packets(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc = need_rest(c->lab, err);

	if (rc)
		return rc;
	c->lab->options.packets = a->number[2];
	fprintf(c->out, "Good packets of a start set to %" PRIu64 "\n", a->number[2]);
	return 0;
}

int cli_set_share(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	struct cli_options *o = &c->lab->options;
	double *which = strcmp(a->word[2], "bad") == 0        ? &o->bad
			: strcmp(a->word[2], "replayed") == 0 ? &o->replayed
							      : &o->cover;
	double sum = o->bad + o->replayed + o->cover - *which + a->real[3];
	int rc = need_rest(c->lab, err);

	if (!rc && sum > 90)
		rc = error_set(err, EINVAL,
			"bad, replayed and cover would be %g percent together: at most 90", sum);
	if (rc)
		return rc;
	*which = a->real[3];
	fprintf(c->out, "Share of %s packets set to %g percent\n", a->word[2], a->real[3]);
	return 0;
}

int cli_set_delay(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	struct cli_options *o = &c->lab->options;
	int rc = need_rest(c->lab, err);

	if (rc)
		return rc;
	o->delay = position(delay_names, RTE_DIM(delay_names), a->word[2]);
	if (a->word[3][0])
		o->mean_delay_ms = a->real[3];
	fprintf(c->out, "Delay mode set to %s, mean %g ms\n", delay_names[o->delay],
		o->mean_delay_ms);
	return 0;
}

int cli_set_cover(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	struct lab *l = c->lab;
	int rc = need_rest(l, err);

	if (!rc && a->word[2][0] == 'o' && l->shaping >= BETANET_SHAPING_CONSTANT)
		rc = error_set(err, EINVAL,
			"shaping %s fills its empty slots with cover: set shaping off or rate "
			"first",
			shaping_names[l->shaping]);
	if (rc)
		return rc;
	l->loops_pps = strcmp(a->word[2], "off") == 0 ? 0 : a->real[3];
	if (l->loops_pps > 0)
		fprintf(c->out, "Cover set to %g loops/s\n", l->loops_pps);
	else
		fprintf(c->out, "Cover is off\n");
	return 0;
}

int cli_set_shaping(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	struct lab *l = c->lab;
	unsigned mode = position(shaping_names, RTE_DIM(shaping_names), a->word[2]);
	int rc = need_rest(l, err);

	if (!rc && mode >= BETANET_SHAPING_CONSTANT && l->loops_pps == 0)
		rc = error_set(err, EINVAL,
			"shaping %s fills its empty slots with cover: set cover loops first",
			shaping_names[mode]);
	if (rc)
		return rc;
	l->shaping = mode;
	l->shaping_pps = a->number[3];
	fprintf(c->out, "Shaping set to %s", shaping_names[mode]);
	if (mode)
		fprintf(c->out, ", %" PRIu64 " packets/s for each link", l->shaping_pps);
	fprintf(c->out, "\n");
	return 0;
}
