/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_LOOP_WORLD_H
#define BETANET_TESTS_LOOP_WORLD_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mix/loop_health.h"

/*
 * A simulated network around one relay: layers of relays that delay by the law of the mode, a
 * network with its own time and jitter, losses, faults. Seeds are fixed: every run is the same.
 */
enum { LAYERS_MAX = LOOP_HEALTH_HOPS_MAX, NODES_MAX = 64, FLIGHT_MAX = 4096 };

static const double MEAN = 50e6, SECOND = 1e9;

struct ending {
	uint64_t at, sent;
	bool back;
	struct loop_health_loop loop;
};

struct fault {
	double drop, skip; /* chance for each packet */
	double hold;       /* ns, always */
	bool hold_as_another_delay;
};

struct world {
	uint64_t seed;
	struct loop_health_config cfg;
	struct loop_health *health;
	unsigned width[LAYERS_MAX];
	double distance[NODES_MAX]; /* ns that the network takes to a node */
	double loss, jitter;
	struct fault fault[NODES_MAX];
	bool deaf;         /* loops of ours do not come back */
	double others_pps; /* packets of others */
	double others;
	uint64_t now, next;
	struct ending flight[FLIGHT_MAX]; /* heap by `at` */
	unsigned flying;
	/* since mark() */
	uint64_t mark, ended, through[NODES_MAX];
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t bits(struct world *w)
{
	uint64_t z = (w->seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline double uniform(struct world *w)
{
	return ((double)(bits(w) >> 11) + 0.5) * 0x1p-53;
}

static inline double exponential(struct world *w, double mean)
{
	return -log(uniform(w)) * mean;
}

static inline bool chance(struct world *w, double p)
{
	return p > 0 && uniform(w) < p;
}

static inline unsigned first_of(const struct world *w, unsigned layer)
{
	unsigned first = 0;

	for (unsigned i = 0; i < layer; i++)
		first += w->width[i];
	return first;
}

static inline void open_world(struct world *w, enum loop_health_delays delays, unsigned hops,
	unsigned width, double rate, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->cfg = (struct loop_health_config){.nodes = hops * width,
		.delays = delays,
		.hops = hops,
		.delaying = hops,
		.mean_ns = (uint64_t)MEAN,
		.loops_per_second = rate};
	for (unsigned i = 0; i < hops; i++)
		w->width[i] = width;
	for (unsigned i = 0; i < hops * width; i++)
		w->distance[i] = (2 + 8 * uniform(w)) * 1e6;
	w->loss = 0.005;
	w->jitter = 0.5e6;
	w->others_pps = 1000;
	w->now = w->next = (uint64_t)(1000 * SECOND);
	assert_int_equal(loop_health_create(&w->cfg, &w->health), 0);
}

static inline void close_world(struct world *w)
{
	loop_health_free(w->health);
}

static inline void push(struct world *w, const struct ending *e)
{
	unsigned i = w->flying++;

	assert_true(w->flying <= FLIGHT_MAX);
	for (; i > 0 && w->flight[(i - 1) / 2].at > e->at; i = (i - 1) / 2)
		w->flight[i] = w->flight[(i - 1) / 2];
	w->flight[i] = *e;
}

static inline struct ending pop(struct world *w)
{
	const struct ending top = w->flight[0], last = w->flight[--w->flying];
	unsigned i = 0;

	while (2 * i + 1 < w->flying) {
		unsigned child = 2 * i + 1;

		if (child + 1 < w->flying && w->flight[child + 1].at < w->flight[child].at)
			child++;
		if (w->flight[child].at >= last.at)
			break;
		w->flight[i] = w->flight[child];
		i = child;
	}
	w->flight[i] = last;
	return top;
}

/* What the loop meets at a node; false: it is dropped there. */
static inline bool pass(struct world *w, unsigned node, uint64_t asked, double *time)
{
	const struct fault *f = &w->fault[node];
	double wait = w->cfg.delays == LOOP_HEALTH_LAW ? 0 : (double)asked;

	if (w->cfg.delays != LOOP_HEALTH_KNOWN)
		wait += exponential(w, MEAN);
	if (chance(w, f->skip))
		wait = 0;
	if (f->hold_as_another_delay)
		wait += exponential(w, MEAN);
	*time += wait + f->hold + w->distance[node] + exponential(w, w->jitter);
	return !chance(w, f->drop);
}

static inline void send_loop(struct world *w)
{
	struct ending e = {.at = w->next, .sent = w->next, .back = !chance(w, w->loss)};
	double time = exponential(w, w->jitter);

	/* a busy moment somewhere */
	if (chance(w, 0.005))
		time += exponential(w, 10e6);
	e.loop.sent_ns = w->next;
	e.loop.hops = w->cfg.hops;
	for (unsigned i = 0; i < w->cfg.hops; i++) {
		e.loop.node[i] = first_of(w, i) + (uint32_t)(bits(w) % w->width[i]);
		e.loop.delay_ns[i] = (uint64_t)exponential(w, MEAN);
		e.back &= pass(w, e.loop.node[i], e.loop.delay_ns[i], &time);
	}
	e.at += (uint64_t)time;
	if (!e.back || w->deaf || e.at > loop_health_deadline(w->health, &e.loop)) {
		e.back = false;
		e.at = loop_health_deadline(w->health, &e.loop);
	}
	loop_health_sent(w->health, &e.loop);
	push(w, &e);
	w->next += (uint64_t)exponential(w, SECOND / w->cfg.loops_per_second);
}

static inline void end_loop(struct world *w)
{
	const struct ending e = pop(w);

	if (e.back)
		loop_health_returned(w->health, &e.loop, e.at);
	else
		loop_health_lost(w->health, &e.loop);
	if (e.sent < w->mark)
		return;
	w->ended++;
	for (unsigned i = 0; i < e.loop.hops; i++)
		w->through[e.loop.node[i]]++;
}

static inline struct loop_health_totals totals(const struct world *w)
{
	struct loop_health_totals t;

	loop_health_totals(w->health, &t);
	return t;
}

/* One loop leaves or ends. */
static inline void step(struct world *w)
{
	const bool ending = w->flying > 0 && w->flight[0].at <= w->next;
	const uint64_t then = ending ? w->flight[0].at : w->next;

	while (w->now + 500000000 < then) { /* the caller looks twice a second at least */
		w->now += 500000000;
		w->others += w->others_pps * 0.5;
		loop_health_received(w->health, w->now, (uint64_t)w->others);
	}
	w->others += w->others_pps * (double)(then - w->now) / SECOND;
	w->now = then;
	loop_health_received(w->health, w->now, (uint64_t)w->others);
	if (ending)
		end_loop(w);
	else
		send_loop(w);
}

static inline void mark(struct world *w)
{
	w->mark = w->next;
	w->ended = 0;
	memset(w->through, 0, sizeof(w->through));
}

static inline unsigned states_of(const struct world *w, unsigned node)
{
	struct loop_health_node n;

	loop_health_node(w->health, node, &n);
	return n.states;
}

/* How many nodes but `except` have a state, or had one: `blamed` collects over time. */
static inline unsigned innocent_blamed(const struct world *w, unsigned except)
{
	unsigned blamed = 0;

	for (unsigned i = 0; i < w->cfg.nodes; i++)
		blamed += i != except && states_of(w, i) != 0;
	return blamed;
}

static inline void run_loops(struct world *w, uint64_t loops)
{
	mark(w);
	while (w->ended < loops)
		step(w);
}

static inline unsigned scale(void)
{
	const char *text = getenv("LOOP_HEALTH_SCALE"); /* for longer runs than a test may take */

	return text ? (unsigned)atoi(text) : 1;
}

#endif
