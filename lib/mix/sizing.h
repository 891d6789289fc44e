/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_SIZING_H
#define BETANET_MIX_SIZING_H

#include <stddef.h>
#include <stdint.h>

/*
 * How many buffers a relay needs. Packets wait, so by Little's law rate·mean delay of them are
 * parked on average; arrivals are close to Poisson, so six standard deviations more are kept.
 * Everything else that can hold a buffer is added at its largest.
 */
struct sizing {
	double rate_pps, mean_delay_s;
	unsigned workers, batch_size;
	uint64_t rx_descriptors, tx_descriptors; /* over all queues of all ports */
	uint64_t shaping_queues;                 /* of the TX queues themselves */
	uint64_t queue_depth;                    /* packets in each */
	uint64_t links;                          /* shaped ones */
	uint64_t link_queues;     /* they share the depth of so many queues; each holds at least one
				     packet */
	uint64_t link_cover;      /* cover packets kept ready for each link */
	uint64_t submit_queues;   /* queues of the embedding program, of queue_depth each */
	uint64_t control;         /* frames under way to and from the control lcore */
	uint64_t cache_per_lcore; /* buffers that an lcore's pool cache may hold back */
	uint64_t cover_packets;   /* loops of our own, made ahead */
	uint64_t reserve;         /* free buffers below which arrivals are dropped at random */
};

struct sizing_term {
	const char *name;
	uint64_t mbufs;
	char how[96];
};

enum { SIZING_TERMS = 12 };

/* Fills the terms and returns their sum, rounded up to a multiple of 64. */
uint64_t sizing_pool(const struct sizing *s, struct sizing_term terms[SIZING_TERMS]);

/* The sum as text, a line per term, into out[cap] (cut if too long). */
void sizing_print(
	const struct sizing_term terms[SIZING_TERMS], uint64_t sum, char *out, size_t cap);

#endif
