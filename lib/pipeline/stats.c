/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums what each lcore counted for itself. Any thread. */
#include "pipeline/pipeline.h"

#include <rte_cycles.h>

static void add_lcore(struct betanet_stats *s, const struct lcore_stats *l)
{
	s->rx += l->rx;
	s->rx_bytes += l->rx_bytes;
	s->processed += l->processed;
	s->forwarded += l->forwarded;
	s->delivered += l->delivered;
	s->tx += l->tx;
	s->tx_bytes += l->tx_bytes;
	s->control += l->control;
	s->cover_received += l->cover_received;
	s->parked += l->parked;
	s->queued += l->queued;
	for (unsigned i = 1; i < DROP_COUNT; i++) {
		s->drops[i] += l->drops[i];
		s->dropped += l->drops[i];
	}
	s->slots_real += l->slots_real;
	s->slots_cover += l->slots_cover;
	s->slots_empty += l->slots_empty;
	s->slots_skipped += l->slots_skipped;
	s->slots = s->slots_real + s->slots_cover + s->slots_empty;
	for (unsigned i = 0; i < BETANET_HISTOGRAM_BUCKETS; i++) {
		s->lateness[i] += l->lateness[i];
		s->slot_lateness[i] += l->slot_lateness[i];
	}
}

static void add_ports(const struct betanet *b, struct betanet_stats *s)
{
	for (unsigned i = 0; i < b->port_count; i++) {
		struct rte_eth_stats e;

		if (rte_eth_stats_get(b->ports[i].id, &e) == 0) {
			s->rx_missed += e.imissed;
			s->rx_no_buffer += e.rx_nombuf;
		}
	}
}

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

void betanet_stats_get(const struct betanet *b, struct betanet_stats *s)
{
	uint64_t cycles = 0, shaping = 0, sent = 0, bursts = 0;
	double hz = (double)b->hz;

	memset(s, 0, sizeof(*s));
	add_lcore(s, &b->control_stats);
	for (unsigned i = 0; i < b->cfg.workers; i++) {
		add_lcore(s, &b->workers[i].stats);
		cycles += b->workers[i].stats.processing_cycles;
		shaping += b->workers[i].stats.shaping_cycles;
		sent += b->workers[i].stats.processing_count;
		bursts += b->workers[i].stats.bursts;
	}
	if (atomic_load(&b->state) == LCORE_RUN || atomic_load(&b->state) == LCORE_DRAIN)
		add_ports(b, s);
	s->mean_processing_ns = ratio((double)cycles * 1e9 / hz, (double)sent);
	s->mean_shaping_ns = ratio((double)shaping * 1e9 / hz, (double)sent);
	s->mean_batch = ratio((double)s->processed, (double)bursts);
	if (b->started)
		s->uptime_s = (double)((b->stopped ? b->stopped : rte_rdtsc()) - b->started) / hz;
	s->throughput_pps = ratio((double)s->processed, s->uptime_s);
	pool_stats(b, s);
	s->global_limit_pps = admission_limit(b);
	s->replay_tags = replay_count(b->replay);
	s->replay_capacity = replay_capacity(b->replay);
	cover_stats(b, s);
	if (b->epochs)
		epochs_stats(b, s);
}

unsigned betanet_drop_count(void)
{
	return DROP_COUNT;
}

const char *betanet_drop_name(unsigned reason)
{
	return drop_name((enum drop_reason)reason);
}
