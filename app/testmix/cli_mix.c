/* SPDX-License-Identifier: BSD-3-Clause */
/* What `show mix …` shows of the engine's pipeline. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <string.h>
#include "core/bytes.h"
#include "core/drop.h"
#include "crypto/cpu.h"
#include "engine.h"
#include "mixnet.h"
#include "pipeline/pipeline.h"

struct count {
	const char *name;
	uint64_t value;
};

static void print_counts(FILE *out, const struct count *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "  %-22s %" PRIu64 "\n", c[i].name, c[i].value);
}

/* By powers of two of nanoseconds. */
static void print_log2(FILE *out, const char *name, const uint64_t h[BETANET_HISTOGRAM_BUCKETS])
{
	fprintf(out, "  %s, ns below:", name);
	for (unsigned i = 0; i < BETANET_HISTOGRAM_BUCKETS; i++)
		if (h[i])
			fprintf(out, " %" PRIu64 ":%" PRIu64, UINT64_C(1) << i, h[i]);
	fprintf(out, "\n");
}

static void show_stats(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	const struct count c[] = {
		{"rx", s->rx},
		{"processed", s->processed},
		{"forwarded", s->forwarded},
		{"delivered", s->delivered},
		{"tx", s->tx},
		{"control", s->control},
		{"dropped", s->dropped},
		{"rx_missed", s->rx_missed},
		{"rx_no_buffer", s->rx_no_buffer},
		{"parked", s->parked},
		{"queued", s->queued},
		{"pool_size", s->pool_size},
		{"pool_free", s->pool_free},
		{"pool_requests", s->pool_requests},
		{"pool_misses", s->pool_misses},
	};

	(void)l;
	print_counts(out, c, RTE_DIM(c));
	fprintf(out, "  %-22s %.0f\n", "mean_processing_ns", s->mean_processing_ns);
	fprintf(out, "  %-22s %.1f\n", "mean_batch", s->mean_batch);
	fprintf(out, "  %-22s %.0f\n", "throughput_pps", s->throughput_pps);
	fprintf(out, "  %-22s %.3f\n", "uptime_s", s->uptime_s);
}

static void show_wheel(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	fprintf(out, "  %-22s %u\n", "tick_us", l->mix->cfg.tick_us);
	fprintf(out, "  %-22s %" PRIu64 "\n", "parked", s->parked);
	print_log2(out, "lateness", s->lateness);
}

static void show_replay(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	const struct count c[] = {
		{"tags", s->replay_tags},
		{"capacity", s->replay_capacity},
		{"replays", s->drops[DROP_replay]},
		{"full", s->drops[DROP_replay_full]},
	};

	print_counts(out, c, RTE_DIM(c));
	if (l->mix->lab.no_replay)
		fprintf(out, "  not looked up: engine %s\n", l->engine->name);
}

static void show_shaper(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	static const char *const names[] = {"off", "rate", "constant", "poisson"};
	const struct count c[] = {
		{"rate_pps", l->mix->cfg.max_rate_pps},
		{"links", l->mix->links.count},
		{"queued", s->queued},
		{"slots", s->slots},
		{"slots_real", s->slots_real},
		{"slots_cover", s->slots_cover},
		{"slots_empty", s->slots_empty},
		{"slots_skipped", s->slots_skipped},
		{"shaper_full", s->drops[DROP_shaper_full]},
	};

	fprintf(out, "  %-22s %s\n", "mode", names[l->mix->cfg.shaping]);
	print_counts(out, c, RTE_DIM(c));
	print_log2(out, "lateness of slots", s->slot_lateness);
}

static void show_cover(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	const struct count c[] = {
		{"loops_sent", s->loops_sent},
		{"loops_returned", s->loops_returned},
		{"loops_lost", s->loops_lost},
		{"cover_received", s->cover_received},
	};

	if (l->mix->cfg.cover)
		fprintf(out, "  %-22s %g\n", "loop_rate_pps", l->mix->cfg.loop_rate_pps);
	else
		fprintf(out, "  %-22s off\n", "loop_rate_pps");
	print_counts(out, c, RTE_DIM(c));
}

static void show_epoch(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	const struct count c[] = {
		{"epoch", s->epoch},
		{"epoch_seconds", l->mix->cfg.epoch_seconds},
		{"epochs_proved", s->epochs_proved},
		{"epochs_unproved", s->epochs_unproved},
		{"epoch_gaps", s->epoch_gaps},
		{"clock_steps", s->clock_steps},
	};

	fprintf(out, "  %-22s %s\n", "delay_mode", delay_mode_name(l->mix->delay_mode));
	fprintf(out, "  %-22s %g\n", "mean_delay_ms", (double)l->mix->vrf_mean_ns / 1e6);
	print_counts(out, c, RTE_DIM(c));
}

static void show_crypto(const struct lab *l, const struct betanet_stats *s, FILE *out)
{
	char key[65];

	(void)s;
	hex_encode(key, l->network->keys.public_key[0], 32);
	fprintf(out, "  %-22s %s\n", "sphinx_key", key);
	fprintf(out, "  %-22s %u\n", "payload_size", l->mix->cfg.payload_size);
	fprintf(out, "  %-22s %u\n", "simd_bits", cpu_simd_bits());
	fprintf(out, "  %-22s", "cpu");
	for (enum cpu_feature f = 0; f < CPU_FEATURE_COUNT; f++)
		if (cpu_has(f))
			fprintf(out, " %s", cpu_feature_name(f));
	fprintf(out, "\n");
	for (unsigned i = 0; i < l->mix->cfg.workers; i++)
		fprintf(out, "  worker %-15u %s\n", i,
			sphinx_burst_used_pair(l->mix->workers[i].sphinx)
				? "one pair of multiplications for the last burst"
				: "two ladders for the last burst");
}

/* ---- what the engine parse has, too ---- */

void cli_print_drops(const struct lab *l, FILE *out)
{
	uint64_t drops[DROP_COUNT] = {0}, all = 0;
	const struct worker *w;

	for (unsigned i = 0; (w = l->engine->worker(l, i)) != NULL; i++)
		for (unsigned d = 1; d < DROP_COUNT; d++)
			drops[d] += w->stats.drops[d];
	for (unsigned d = 1; d < DROP_COUNT; d++) {
		drops[d] += l->mix ? l->mix->control_stats.drops[d] : 0;
		all += drops[d];
		if (drops[d])
			fprintf(out, "  %-22s %-12" PRIu64 " %s\n", drop_name(d), drops[d],
				drop_text(d));
	}
	fprintf(out, "  %-22s %" PRIu64 "\n", "all", all);
}

void cli_print_stages(const struct lab *l, FILE *out)
{
	static const char *const names[] = {
#define X(name) #name,
		STAGES(X)
#undef X
	};
	struct stage_stats s[STAGE_COUNT] = {{0}};
	const struct worker *w;
	uint64_t cycles, packets;
	double sum = 0;

	lab_cycles(l, &cycles, &packets);
	for (unsigned i = 0; (w = l->engine->worker(l, i)) != NULL; i++)
		for (unsigned k = 0; k < STAGE_COUNT; k++) {
			s[k].calls += w->stats.stage[k].calls;
			s[k].packets += w->stats.stage[k].packets;
			s[k].cycles += w->stats.stage[k].cycles;
		}
	fprintf(out, "  %-10s %12s %12s %10s %12s\n", "STAGE", "CALLS", "PACKETS", "PKTS/CALL",
		"CYCLES/PKT");
	for (unsigned k = 0; k < STAGE_COUNT; k++) {
		if (s[k].calls == 0)
			continue;
		fprintf(out, "  %-10s %12" PRIu64 " %12" PRIu64 " %10.1f %12.0f\n", names[k],
			s[k].calls, s[k].packets, (double)s[k].packets / (double)s[k].calls,
			(double)s[k].cycles / (double)s[k].packets);
		sum += (double)s[k].cycles;
	}
	if (packets)
		fprintf(out,
			"  all stages %.0f cycles/packet, the lcores' busy time %.0f: %.1f %%\n",
			sum / (double)packets, (double)cycles / (double)packets,
			cycles ? 100 * sum / (double)cycles : 0);
}

/* Which queues the pipeline dealt to whom; where a packet leaves is written in it. */
void cli_print_workers(const struct lab *l, FILE *out)
{
	for (unsigned i = 0; i < l->mix->cfg.workers; i++) {
		const struct worker *w = &l->mix->workers[i];

		fprintf(out, "Logical Core %u (socket %u) runs worker %u on %u queues:\n", w->lcore,
			rte_lcore_to_socket_id(w->lcore), i, w->rxq_count);
		for (unsigned q = 0; q < w->rxq_count; q++)
			fprintf(out, "  RX P=%u/Q=%u -> next hop\n", w->rxq[q].port->id,
				w->rxq[q].queue);
	}
	fprintf(out, "\n");
}

int cli_show_mix(void *context, const struct grammar_args *a, struct error *err)
{
	static const struct {
		const char *name;
		void (*show)(const struct lab *l, const struct betanet_stats *s, FILE *out);
	} kinds[] = {
		{"stats", show_stats},
		{"wheel", show_wheel},
		{"replay", show_replay},
		{"shaper", show_shaper},
		{"cover", show_cover},
		{"epoch", show_epoch},
		{"crypto", show_crypto},
	};
	struct cli *c = context;
	const struct lab *l = c->lab;
	const bool drops = strcmp(a->word[2], "drops") == 0;
	struct betanet_stats s;

	if (drops || strcmp(a->word[2], "stages") == 0) {
		if (!l->engine->worker || !l->engine->worker(l, 0))
			return error_set(err, ENOENT,
				"%s has nothing to show: set fwd parse or a sphinx engine, start",
				l->engine->name);
		if (drops)
			cli_print_drops(l, c->out);
		else
			cli_print_stages(l, c->out);
		return 0;
	}
	if (!l->mix)
		return error_set(
			err, ENOENT, "there is no pipeline: set fwd to a sphinx engine, start");
	betanet_stats_get(l->mix, &s);
	for (unsigned i = 0; i < RTE_DIM(kinds); i++)
		if (strcmp(kinds[i].name, a->word[2]) == 0)
			kinds[i].show(l, &s, c->out);
	return 0;
}
