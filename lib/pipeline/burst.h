/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PIPELINE_BURST_H
#define BETANET_PIPELINE_BURST_H

#include <rte_mbuf.h>
#include "core/drop.h"
#include "sphinx/address.h"
#include "sphinx/burst.h"
#include "vrf/delay.h"

enum { BURST_MAX = SPHINX_BURST_MAX };

/* A packet that was for us: it leaves the burst like a dropped one, and counts as none. */
#define CONSUMED ((enum drop_reason)DROP_COUNT)

/*
 * In locked memory: what it holds of a packet links what came in with what goes out.
 * Up to 128 packets on their way through a worker, in columns. A stage is one function over one
 * burst. To drop packet i it sets reason[i]; a stage passes over packets with a reason, and
 * burst_settle then moves them to the drop list and closes the gaps. Positions are stable between
 * two burst_settle calls.
 *
 * A column is valid from the stage that is named behind it.
 */
struct burst {
	unsigned n;
	struct rte_mbuf *m[BURST_MAX];        /* rx */
	enum drop_reason reason[BURST_MAX];   /* rx */
	uint8_t *packet[BURST_MAX];           /* parse: the Sphinx packet within the mbuf */
	uint8_t head[BURST_MAX];              /* parse, until admit: bytes of Ethernet, IP and UDP
						 headers, which stand in front of frame and packet */
	struct sphinx_hop hop[BURST_MAX];     /* finish */
	enum sphinx_status status[BURST_MAX]; /* open, finish */
	uint64_t fingerprint[BURST_MAX];      /* replay */
	struct delay_draw draw[BURST_MAX];    /* draw: exponential variate and tie; secret */
	uint64_t arrival;                     /* rx: TSC behind the reception of the whole burst */
	unsigned dropped;
	struct rte_mbuf *drop[BURST_MAX]; /* burst_settle: to be freed in one call */
};

/* What a parked packet carries with it, in the mbuf's private area. Written by the worker that owns
 * it. */
struct packet_meta {
	uint64_t arrival;         /* rx: TSC */
	uint64_t parked;          /* delay: TSC at insertion into the wheel */
	uint64_t due;             /* delay: TSC; later if the next hop is not resolved yet */
	uint64_t delay_ns;        /* delay: the deliberate part */
	uint64_t queued;          /* due: TSC at insertion into a shaping queue */
	uint64_t hops_generation; /* route: of the snapshot that `hop` is an index into */
	uint64_t loop;            /* route: 0; a loop that leaves: its number (cover.c) */
	uint32_t hop;             /* route */
	uint16_t sum;    /* route: link_sum of what will be sent, taken while it is in the cache */
	uint8_t flag;    /* finish: enum sphinx_flag; 0 for control frames */
	uint8_t retries; /* egress: waits for ARP or ND */
	uint8_t address[SPHINX_ADDRESS_SIZE];       /* finish */
	uint8_t identifier[SPHINX_IDENTIFIER_SIZE]; /* finish */
};

static inline struct packet_meta *packet_meta(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/* Packets that the stages still look at. */
static inline bool burst_live(const struct burst *b, unsigned i)
{
	return b->reason[i] == DROP_NONE;
}

/* Moves dropped and consumed packets to the drop list, counts the former by reason, closes the
 * gaps. */
void burst_settle(struct burst *b, uint64_t drops[DROP_COUNT]);

/* Frees the drop list. */
void burst_free_drops(struct burst *b);

#endif
