/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PIPELINE_COVER_H
#define BETANET_PIPELINE_COVER_H

#include <pthread.h>
#include "mix/cover_route.h"
#include "mix/loop_health.h"
#include "pipeline/pipeline.h"
#include "sphinx/build_burst.h"

/*
 * The relay's own packets (mixing.md, "Cover"): real Sphinx packets, built ahead of their time by
 * the control lcore, so that no worker and no slot ever waits for curve arithmetic.
 *
 * A loop gets the time at which it leaves (Poisson, loop_rate_pps) when it is made, is handed to a
 * worker and parked in that worker's wheel: from there on it is one of everyone's packets. It
 * comes back as a final packet for an address of ours.
 *
 * A loop's identifier is its number and SipHash-2-4 of that under a key of this process. So a
 * worker tells loops from other packets for us without asking anyone, and only loops reach the
 * control lcore: nobody can fill the ring on which their returns are reported.
 *
 * Building yields to everything else: at most COVER_CHUNK packets (about a millisecond) between two
 * polls of control, and no buffers that traffic may need.
 *
 * All of it is control's, but for what a comment gives to workers. `lock` is held where control
 * replaces what telemetry reads.
 */
enum {
	COVER_CHUNK = 32,        /* packets built at a time: one group of the builder */
	COVER_LEAD_MS = 300,     /* loops are made this long before they leave */
	COVER_REFILL_MS = 150,   /* ... as soon as less than this lies ahead */
	COVER_UNSENT_MS = 10000, /* a loop that has not left by then never will */
	COVER_TIMES = 256,       /* loops whose times the telemetry sums up */
};

/* From workers: a loop left, or came back. */
struct cover_event {
	uint64_t number, tsc;
	uint32_t back, unused;
};

/* A loop under way. */
struct cover_loop {
	enum { LOOP_FREE, LOOP_MADE, LOOP_SENT } state;
	uint64_t due;         /* TSC: when it should leave */
	uint64_t back;        /* TSC; 0: not yet. Set while MADE if that was reported first */
	uint64_t deadline_ns; /* SENT: lost if not back by then */
	struct loop_health_loop way;
};

/* Of the links' stocks of drop cover. */
struct cover_stock {
	uint32_t *room; /* of each link: packets that are missing; NULL without slots */
	unsigned links, low, turn;
	uint64_t built;      /* handed to links */
	uint64_t have, want; /* in stock when last looked at, and the full stock */
	uint64_t dry_now;    /* links that had nothing then */
};

struct cover {
	struct betanet *b;
	/* workers read these; setup */
	uint8_t *key; /* locked: of the identifiers */
	struct rte_ring *events;
	_Atomic uint64_t events_lost; /* workers write: the ring was full */

	pthread_mutex_t lock;
	struct sphinx_builder *builder; /* locked */
	struct cover_routes *routes;    /* NULL: nothing can be made; `why` says the reason */
	const char *why;
	const struct directory *directory; /* that routes and health are about; not ours */
	uint8_t directory_hash[32];
	unsigned width[DIRECTORY_MAX_LAYER + 1]; /* nodes of each layer */
	struct loop_health *health;              /* NULL without routes */
	unsigned *shown_states;                  /* of each node, as betanet_alarm_take said them */
	enum loop_health_relay_state shown_relay;
	uint64_t shown_changes;
	unsigned next_shown; /* where the next look begins */

	/* loops: number n is loop[n & mask]; locked: it links what leaves to what comes back */
	struct cover_loop *loop;
	uint64_t mask, oldest, next; /* numbers under way: oldest … next - 1 */
	uint64_t next_due;           /* TSC: of the next to be made */
	uint64_t mean_gap;           /* cycles */
	bool filling;
	uint64_t next_look_ns, next_heard_ns, last_poll_ns, voided;
	uint64_t arrivals, own_drops; /* so far, when last looked at */
	uint64_t blind_until_ns;      /* we drop what arrives: losses are not judged */
	uint64_t tsc_base;            /* TSC at which this object's nanoseconds begin */

	/* counters: control writes, anyone reads */
	uint64_t made, sent, returned, lost;
	uint64_t unsent;     /* never left: dropped on our side of the first link */
	uint64_t forgotten;  /* not judged: a new directory, a report lost, drops of our own */
	uint64_t late;       /* times that passed before their loop was made */
	uint64_t pool_short; /* not made for want of buffers */
	uint64_t no_route;   /* not made: no neighbour answers, or families, sets, addresses leave
				none */
	/* all packets, their hops, what building them took */
	uint64_t built, built_hops, build_cycles, build_longest;
	struct cover_stock stock;
	/* a ring of the latest loops' times */
	int64_t residual_ns[COVER_TIMES]; /* time less the delays: asked for, or expected */
	uint64_t times;                   /* loops measured; the ring holds the last of them */
};

/* Nanoseconds since the cover was made, of a TSC; the clock of loop_health. */
uint64_t cover_ns(const struct cover *c, uint64_t tsc);

/* Number ‖ SipHash(number). */
void cover_identify(const struct cover *c, uint64_t number, uint8_t out[SPHINX_IDENTIFIER_SIZE]);

/*
 * Buffers for up to n (1..COVER_CHUNK) packets of ours; as many as the pool can spare, the
 * others are counted as pool_short. Returns how many.
 */
unsigned cover_buffers(struct cover *c, struct rte_mbuf *m[], unsigned n);

/* Builds routes[i] into m[i] for i < n (1..COVER_CHUNK), which are then ready for an egress:
 * address, flag, sum. What cannot be built (a node's key of small order) is freed, and its m[i]
 * becomes NULL. */
void cover_build(
	struct cover *c, const struct cover_route routes[], struct rte_mbuf *m[], unsigned n);

/* Exponential of the given mean (1..DELAY_MEAN_MAX), in its unit. */
uint64_t cover_gap(uint64_t mean);

/* cover_loops.c */
int loops_create(struct cover *c, struct error *err);
/* Forgets what is under way: a new directory. */
void loops_forget(struct cover *c);
/* Reports of workers, deadlines, new loops. Return how many things they did. */
unsigned loops_events(struct cover *c);
void loops_expire(struct cover *c);
unsigned loops_make(struct cover *c);

/* cover_stock.c */
int stock_create(struct cover *c, struct error *err);
unsigned stock_fill(struct cover *c); /* returns how many packets were made */

#endif
