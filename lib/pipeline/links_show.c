/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of links: sums and gauges, never the time of a single packet. Telemetry's thread. */
#include "core/dpdk_compat.h"
#include "pipeline/pipeline.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t to_ns(const struct betanet *b, uint64_t cycles)
{
	return (uint64_t)((unsigned __int128)cycles * 1000000000u / b->hz);
}

int links_show(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	static const char *const modes[] = {"off", "rate", "constant", "poisson"};
	uint64_t latest = 0, cost = 0, guarded = 0;
	struct betanet_stats s;

	(void)params;
	betanet_stats_get(b, &s);
	for (unsigned i = 0; i < b->cfg.workers; i++) {
		const struct worker *w = &b->workers[i];

		latest = RTE_MAX(latest, w->stats.slot_latest);
		cost = RTE_MAX(cost, w->slots.chunk_cost);
		guarded += w->slots.heap.count && slots_guarded(w);
	}
	const struct telemetry_row rows[] = {
		{"rate_pps", b->cfg.shaping == BETANET_SHAPING_OFF ? 0 : b->cfg.max_rate_pps},
		{"links", b->links.count},
		{"queued", s.queued},
		{"slots", s.slots},
		{"slots_real", s.slots_real},
		{"slots_cover", s.slots_cover},
		{"slots_empty", s.slots_empty},
		{"slots_skipped", s.slots_skipped},
		{"latest_ns", to_ns(b, latest)},
		{"chunk_ns", to_ns(b, cost)},
		{"guarded_workers", guarded},
	};
	rte_tel_data_add_dict_string(d, "mode", modes[b->cfg.shaping]);
	if (telemetry_add_rows(d, rows, RTE_DIM(rows)) < 0)
		return -ENOMEM;
	return telemetry_add_histogram(d, "lateness_log2_ns", s.slot_lateness);
}

static int show_one(const struct tx_link *l, struct rte_tel_data *d)
{
	char at[ENDPOINT_STRLEN];
	const struct telemetry_row rows[] = {
		{"worker", l->owner},
		{"queued", rte_ring_count(l->ring)},
		{"depth", atomic_load_explicit(&l->depth, memory_order_relaxed)},
		{"dropped_full", atomic_load_explicit(&l->full, memory_order_relaxed)},
		{"real", l->stats.real},
		{"cover", l->stats.cover},
		{"empty", l->stats.empty},
		{"skipped", l->stats.skipped},
		{"cover_stock", l->cover ? rte_ring_count(l->cover) : 0},
		{"cover_want", l->cover_want},
		{"unresolved", l->dead_since != 0},
	};

	rte_tel_data_add_dict_string(d, "name", l->name);
	rte_tel_data_add_dict_string(d, "address", endpoint_format(at, &l->address));
	return telemetry_add_rows(d, rows, RTE_DIM(rows));
}

int links_show_link(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	/* telemetry only reads, but for this lock: links come and go */
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&b->links.lock;
	char *end = NULL;
	unsigned long n = params ? strtoul(params, &end, 10) : 0;
	int r = -EINVAL;

	if (params && (end == params || *end))
		return -EINVAL;
	pthread_mutex_lock(lock);
	if (n < b->links.count)
		r = show_one(b->links.link[n], d);
	pthread_mutex_unlock(lock);
	return r;
}
