/* SPDX-License-Identifier: BSD-3-Clause */
#include "mix/sizing.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 4, 5))) static void term(
	struct sizing_term *t, const char *name, uint64_t mbufs, const char *how, ...)
{
	va_list ap;

	t->name = name;
	t->mbufs = mbufs;
	va_start(ap, how);
	vsnprintf(t->how, sizeof(t->how), how, ap);
	va_end(ap);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t sizing_pool(const struct sizing *s, struct sizing_term t[SIZING_TERMS])
{
	double mean = s->rate_pps * s->mean_delay_s;
	uint64_t lcores = s->workers + 1, sum = 0;

	term(&t[0], "parked", (uint64_t)ceil(mean + 6 * sqrt(mean)),
		"%.0f pkt/s x %.1f ms + 6 standard deviations", s->rate_pps, s->mean_delay_s * 1e3);
	term(&t[1], "RX descriptors", s->rx_descriptors, "all RX queues");
	term(&t[2], "TX descriptors", s->tx_descriptors, "all TX queues");
	term(&t[3], "shaping queues", s->shaping_queues * s->queue_depth,
		"%" PRIu64 " queues x max_queue_depth %" PRIu64, s->shaping_queues, s->queue_depth);
	term(&t[4], "links", s->links ? larger(s->link_queues * s->queue_depth, s->links) : 0,
		"%" PRIu64 " links share %" PRIu64 " x max_queue_depth %" PRIu64, s->links,
		s->link_queues, s->queue_depth);
	term(&t[5], "cover of links", s->links * s->link_cover,
		"%" PRIu64 " links x %" PRIu64 ", ready for empty slots", s->links, s->link_cover);
	term(&t[6], "submit and collect", s->submit_queues * s->queue_depth,
		"%" PRIu64 " queues x %" PRIu64, s->submit_queues, s->queue_depth);
	term(&t[7], "bursts", 3ULL * s->workers * s->batch_size,
		"%u workers x 3 bursts of %u: received, due, being sent", s->workers,
		s->batch_size);
	term(&t[8], "control", s->control, "ARP, ND and ICMP under way");
	/* a mempool cache is flushed at 1.5 times its size */
	term(&t[9], "pool caches", lcores * s->cache_per_lcore * 3 / 2,
		"%" PRIu64 " lcores x 1.5 x %" PRIu64, lcores, s->cache_per_lcore);
	term(&t[10], "reserve", s->reserve, "free before arrivals are dropped at random");
	term(&t[11], "loops", s->cover_packets, "of our own, made ahead");
	for (unsigned i = 0; i < SIZING_TERMS; i++)
		sum += t[i].mbufs;
	return (sum + 63) / 64 * 64;
}

void sizing_print(const struct sizing_term t[SIZING_TERMS], uint64_t sum, char *out, size_t cap)
{
	size_t at = 0;

	for (unsigned i = 0; i < SIZING_TERMS && at < cap; i++) {
		if (t[i].mbufs)
			at += (size_t)snprintf(out + at, cap - at, "  %-20s %8" PRIu64 "  %s\n",
				t[i].name, t[i].mbufs, t[i].how);
	}
	if (at < cap)
		snprintf(out + at, cap - at, "  %-20s %8" PRIu64 "  buffers\n", "sum", sum);
}
