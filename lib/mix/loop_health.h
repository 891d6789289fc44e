/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_LOOP_HEALTH_H
#define BETANET_MIX_LOOP_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What loop packets tell about the relays on their way and about our own links. The caller sends
 * the loops and says how each ended; this module keeps the statistics and the alarms. It reads no
 * clock, allocates at creation alone, and one thread owns it. A few hundred nanoseconds per loop.
 *
 * Loops leave at Poisson times, each by a route drawn anew, so that the order in which they end is
 * the order of independent trials: thinning a Poisson process leaves independent ones, and shifting
 * those in time leaves them Poisson. All counts below are loops that have ended.
 *
 * Honest is: a loop is lost with probability at most p0 = LOOP_HEALTH_P0, whatever became of the
 * others; the relays' delays follow their law; the network adds a time that is never negative and
 * varies by little against the mean delay (LOOP_HEALTH_SLACK).
 *
 * False alarms. With r loops a second through H relays there are r·H trials a second, so that an
 * alarm of chance 10^-6 a trial would come every three hours at 50 loops/s. Thresholds therefore
 * follow from r: of each kind of alarm at most one false one in LOOP_HEALTH_QUIET_S = 10^6 s (12
 * days), over all nodes together, at the worst that is called honest. Up to one trial a second that
 * is the 10^-6 a trial of the design (k = 3, threshold ln 10^6).
 *
 * Charts are Page's cumulative sums (E. S. Page, Continuous inspection schemes, Biometrika 1954):
 *
 *     S = max(0, S + g(x)),  alarm at S >= h,  g = ln(density if at fault / density if honest)
 *
 * Between false alarms lie at least e^h trials on average (Lorden 1971; that needs no more than
 * E_honest[e^g] <= 1, so g may be cut off above). A fault is seen after (h + max g)/I trials on
 * average or sooner, I = E_fault[g] (Wald), with a variance of about (h + max g)·Var_fault[g]/I^3.
 *
 * LOST: k = plan.row lost in a row through the node, of chance p0^k (Danezis, Sassaman: Heartbeat
 * Traffic to Counter (n-1) Attacks, WPES 2003; Piotrowska et al.: Loopix, 2017, 4.1.4). Named only
 * when no relay that shares all of those routes did as badly; after 2k in a row all who are left,
 * with LOOP_HEALTH_UNSURE. Ends after k returned in a row.
 *
 * LOSSY: chart of a loss of p1 = LOOP_HEALTH_P1 against p0: ln(p1/p0) for a loss, and
 * ln((1-p1)/(1-p0)) for a return. A loss above 2.5 % is found in the end. At the alarm the losses
 * among the n loops since the chart's last zero exceed n(p0 + 3 sqrt(p0(1-p0)/n)), whatever n is;
 * three sigma alone would not do: chance exceeds them in one window of 256 out of 200. Ends at 0.
 *
 * EARLY, the relay skips its delays. With delays in the header (KNOWN, BOTH): a loop took less time
 * than this relay alone was asked to wait, by more than the clocks' tolerance: a proof, at once.
 * Who skips alone is caught by a loop with chance 2^-(H-1)·e^-(b/m) (BOTH: 4^-(H-1)·e^-(b/m)): that
 * the network's time b and the other exponential delays, of mean m, are together below its own.
 * Ends after as many loops without proof as a skipper survives with chance e^-7. With the law alone
 * (LAW, BOTH): chart of H-1 delays against H, g = ln((H-1)m/x), at most ln 16, where x is the time
 * above the lowest seen, less what a minimum of an eighth of as many lies too high. H = 1: an
 * exponential of mean m/10 against m, g = ln 10 - 9x/m. What the network adds hides, and accuses
 * nobody.
 *
 * LATE, the relay holds packets. LAW, BOTH: chart of H+1 delays against H, g = ln(x/(Hm)) between
 * -ln 16 and ln 4, x the time above a base that follows the median. KNOWN: what is left without the
 * delays is more than m/4 (and 1 ms) above its own 90th percentile, in half of all loops against
 * one in ten. Both bases are the node's own past, as it was half to once LOOP_HEALTH_LEARN loops
 * ago, so that what is held now is not learnt at once. Who holds everything from the start by a
 * constant, or raises it more slowly than that, looks like a longer path; and an alarm may end
 * after some hundred loops through the node though nothing changed.
 *
 * A loop through a node that is named for a fault counts for that node alone, and when one is named
 * the others' evidence of that kind is dropped: it may have been the same loops. Losses show at the
 * deadline, returns at once: what was sent before a trouble ended is counted, but not judged.
 *
 * The relay itself: k lost in a row over all routes with no node common to them, or 2k with none of
 * those named, is N_MINUS_1 while packets of others keep arriving at half their rate or more,
 * OUTAGE otherwise. Nodes are not blamed meanwhile. Ends after k returned in a row. Where all
 * routes share a node nothing can tell its failure from that of our own link.
 */
enum {
	LOOP_HEALTH_NODES_MAX = 4096,
	LOOP_HEALTH_HOPS_MAX = 5,
	/* Loops through a node until LATE is judged by its past; of LAW and BOTH so many for each
	 * relay that delays. */
	LOOP_HEALTH_LEARN = 256,
};

#define LOOP_HEALTH_P0 0.01
#define LOOP_HEALTH_P1 0.05
#define LOOP_HEALTH_QUIET_S 1e6
/* Jitter and error of the base together, in mean delays, that the predictions allow for. */
#define LOOP_HEALTH_SLACK 0.1
/* An honest loop is later than its deadline with at most this chance. */
#define LOOP_HEALTH_DEADLINE_CHANCE 1e-6
/* What the network and all queues of a loop may add, if not given. */
#define LOOP_HEALTH_NETWORK_NS UINT64_C(1000000000)
/* Tolerance of clocks: 1 ms and a thousandth of the delay. */
#define LOOP_HEALTH_CLOCK_NS UINT64_C(1000000)

enum loop_health_delays {
	LOOP_HEALTH_KNOWN, /* asked for in the header (modes sender and none) */
	LOOP_HEALTH_LAW,   /* drawn by the relays, exponential of mean_ns (mode vrf) */
	LOOP_HEALTH_BOTH,  /* the sum of both (mode sum) */
};

struct loop_health_config {
	uint32_t nodes; /* 1..LOOP_HEALTH_NODES_MAX; a node is an index below */
	enum loop_health_delays delays;
	unsigned hops;           /* relays on a loop beside ourselves, 1..LOOP_HEALTH_HOPS_MAX */
	unsigned delaying;       /* how many of them delay, 0..hops; of LAW and BOTH: at least 1 */
	uint64_t mean_ns;        /* of one delay, <= 10^12; 0 only with KNOWN */
	uint64_t network_ns;     /* 0: LOOP_HEALTH_NETWORK_NS; at most 10^12 */
	double loops_per_second; /* > 0, finite */
};

/* A loop packet, kept by the caller while it is under way. */
struct loop_health_loop {
	uint64_t sent_ns;
	unsigned hops;                           /* 1..cfg.hops */
	uint32_t node[LOOP_HEALTH_HOPS_MAX];     /* all different */
	uint64_t delay_ns[LOOP_HEALTH_HOPS_MAX]; /* asked for in the header; ignored with LAW */
};

/* A node's state: none or some of these. */
enum {
	LOOP_HEALTH_LOST = 1 << 0,
	LOOP_HEALTH_LOSSY = 1 << 1,
	LOOP_HEALTH_EARLY = 1 << 2,
	LOOP_HEALTH_LATE = 1 << 3,
	LOOP_HEALTH_UNSURE = 1 << 4, /* with LOST: this node, or another so marked */
};

enum loop_health_relay_state {
	LOOP_HEALTH_RELAY_OK,
	LOOP_HEALTH_RELAY_N_MINUS_1,
	LOOP_HEALTH_RELAY_OUTAGE,
};

/* Loops until an alarm. `worst`: more with a chance of less than 1 in 1000 (of `lost` in layers of
 * two, 1 in 100: a row of losses of chance then looks like the relay's own trouble for a while). */
struct loop_health_prediction {
	double mean, worst;
};

/* The numbers that follow from the configuration. */
struct loop_health_plan {
	unsigned row;         /* k */
	double threshold;     /* h, nats, of every chart */
	double per_trial;     /* largest chance of a false alarm, per loop and node, of `lost` */
	double quiet_s;       /* least mean time between false alarms of one kind, seconds */
	uint64_t patience_ns; /* deadline less time of sending and header delays */
	/* Over all loops: everything is lost. Where each layer has two nodes or more. */
	struct loop_health_prediction relay;
	/* Over loops through the node: it drops everything (layers as above); drops
	 * LOOP_HEALTH_P1. */
	struct loop_health_prediction lost, lossy;
	/* Skips its delays; mean 0: cannot be seen. KNOWN and BOTH: where the network takes
	 * LOOP_HEALTH_SLACK m for the whole way; with b instead, e^(b/m - LOOP_HEALTH_SLACK) times
	 * as many. */
	struct loop_health_prediction early;
	/* Begins, when its past is learnt, to hold each packet for a mean (KNOWN), or for one more
	 * delay. */
	struct loop_health_prediction late;
};

struct loop_health_node {
	unsigned states;
	uint64_t loops, lost;     /* ended through it, and how many of them lost */
	double loss, early, late; /* the charts, nats */
};

struct loop_health_totals {
	enum loop_health_relay_state state;
	uint64_t sent, returned, lost;
	uint64_t changes;                     /* of any state: nothing to look at while it stays */
	unsigned row;                         /* lost in a row, now */
	double received_now, received_before; /* packets of others a second; 0 when never told */
};

struct loop_health;

/* 0, -EINVAL or -ENOMEM. Below 200 bytes a node. */
int loop_health_create(const struct loop_health_config *cfg, struct loop_health **out);
void loop_health_free(struct loop_health *h); /* NULL is fine */

const struct loop_health_plan *loop_health_plan_of(const struct loop_health *h);

/* From when on a loop counts as lost: its relays' quantile for LOOP_HEALTH_DEADLINE_CHANCE, and
 * network_ns. Whatever comes back later is not told to this module. */
uint64_t loop_health_deadline(const struct loop_health *h, const struct loop_health_loop *loop);

/* The loop leaves at loop->sent_ns; afterwards it ends once, by one of the other two. */
void loop_health_sent(struct loop_health *h, const struct loop_health_loop *loop);
void loop_health_returned(
	struct loop_health *h, const struct loop_health_loop *loop, uint64_t now_ns);
void loop_health_lost(struct loop_health *h, const struct loop_health_loop *loop);

/* `packets` of others that have arrived so far, loops of our own not counted. Called now and then,
 * at least once a second; without it no n_minus_1 can be told from an outage. */
void loop_health_received(struct loop_health *h, uint64_t now_ns, uint64_t packets);

/* node < cfg.nodes. */
void loop_health_node(const struct loop_health *h, uint32_t node, struct loop_health_node *out);
void loop_health_totals(const struct loop_health *h, struct loop_health_totals *out);

/* "ok", "lost", "lossy+late", ... into out, which is returned. */
enum { LOOP_HEALTH_TEXT = 40 };
const char *loop_health_states_text(unsigned states, char out[LOOP_HEALTH_TEXT]);
const char *loop_health_relay_text(enum loop_health_relay_state state);

#endif
