/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a pipeline: parked packets leave in their time, the rest is dropped, every buffer is
 * counted. */
#include "pipeline/pipeline.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_lcore.h>

static uint64_t waiting_packets(const struct betanet *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < b->cfg.workers; i++)
		n += b->workers[i].stats.parked + b->workers[i].stats.queued;
	return n;
}

static uint64_t sent_packets(const struct betanet *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < b->cfg.workers; i++)
		n += b->workers[i].stats.tx;
	return n;
}

/* Waits until every worker has gone round twice: what it had in hand is then where the gauges see
 * it. */
static void wait_loops(const struct betanet *b, uint64_t deadline)
{
	uint64_t from[BETANET_MAX_WORKERS];

	for (unsigned i = 0; i < b->cfg.workers; i++)
		from[i] = __atomic_load_n(&b->workers[i].stats.loops, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < b->cfg.workers; i++)
		while (__atomic_load_n(&b->workers[i].stats.loops, __ATOMIC_RELAXED) <
				from[i] + 2 &&
			rte_rdtsc() < deadline)
			rte_delay_us_sleep(50);
}

static void drain(struct betanet *b, unsigned deadline_ms)
{
	uint64_t deadline = rte_rdtsc() + b->hz / 1000 * deadline_ms;

	atomic_store(&b->state, LCORE_DRAIN);
	wait_loops(b, deadline);
	while (rte_rdtsc() < deadline) {
		if (waiting_packets(b) == 0) {
			/* a packet between wheel and ring is in neither gauge: look again after a
			 * round */
			wait_loops(b, deadline);
			if (waiting_packets(b) == 0)
				return;
		}
		betanet_poll(b); /* parked packets may still wait for ARP */
		rte_delay_us_sleep(1000);
	}
}

static void discard_ring(struct betanet *b, struct rte_ring *r)
{
	struct rte_mbuf *m[64];
	unsigned n;

	while (r && (n = rte_ring_dequeue_burst(r, (void **)m, RTE_DIM(m), NULL)) > 0)
		egress_discard(b, m, n, DROP_shutdown);
}

static void discard_worker(struct betanet *b, struct worker *w)
{
	struct wheel_item items[64];
	unsigned n;

	while (w->wheel && (n = wheel_flush(w->wheel, items, RTE_DIM(items))) > 0) {
		for (unsigned i = 0; i < n; i++) {
			struct rte_mbuf *m = items[i].obj;

			egress_discard(b, &m, 1, DROP_shutdown);
		}
	}
	for (unsigned i = 0; i < w->own_count; i++) {
		discard_ring(b, w->own[i]->shaping);
		egress_discard(b, w->own[i]->pending, w->own[i]->pending_count, DROP_shutdown);
		w->own[i]->pending_count = 0;
	}
	discard_ring(b, w->submit);
	discard_ring(b, w->loops);
}

int betanet_stop(struct betanet *b, unsigned deadline_ms, struct betanet_stop_report *report)
{
	uint64_t start = rte_rdtsc(), sent = sent_packets(b);
	struct betanet_stop_report rep = {0};

	if (atomic_load(&b->state) != LCORE_RUN)
		return -EINVAL;
	drain(b, deadline_ms);
	atomic_store(&b->state, LCORE_HALT);
	for (unsigned i = 0; i < b->cfg.workers; i++)
		rte_eal_wait_lcore(b->workers[i].lcore);
	b->stopped = rte_rdtsc();
	rep.flushed = sent_packets(b) - sent;
	for (unsigned i = 0; i < b->cfg.workers; i++)
		discard_worker(b, &b->workers[i]);
	links_discard(b);
	rep.dropped = b->control_stats.drops[DROP_shutdown];
	for (unsigned i = 0; i < b->port_count; i++) {
		ring_drop(b->ports[i].reply);
		port_stop(&b->ports[i], b->lab.keep_ports);
		rep.pool_kept += b->ports[i].kept;
	}
	ring_drop(b->control_rx);
	rep.seconds = (double)(rte_rdtsc() - start) / (double)b->hz;
	rep.pool_size = b->pool->size;
	rep.pool_free =
		rte_mempool_avail_count(b->pool) + (b->collect ? rte_ring_count(b->collect) : 0);
	if (report)
		*report = rep;
	return rep.pool_free + rep.pool_kept == rep.pool_size ? 0 : -EIO;
}
