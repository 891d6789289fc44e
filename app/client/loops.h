/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_LOOPS_H
#define BETANET_CLIENT_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "core/error.h"
#include "mix/loop_health.h"
#include "route.h"

/*
 * The client's own loop packets: what is in them, which are under way, and what their ends say
 * about the relays (lib/mix/loop_health.h). Any thread may call; one lock.
 *
 * A loop's message looks like the one fragment of a message of random bytes (message.h), so that
 * the last relay cannot tell it from somebody's encrypted message. Its id holds the loop's number,
 * masked with a PRF under a key of this process: so a loop is recognised however late it comes, and
 * never taken for a message, and nobody else makes one (2^-64 times the loops sent).
 */
struct loops_params {
	const struct directory *directory; /* borrowed */
	unsigned hops;
	enum loop_health_delays delays;
	double mean_delay_ms;    /* of LAW and BOTH: the relays' own; above 0 */
	double loops_per_second; /* above 0 */
	size_t room;             /* of a packet's message */
};

struct loops;

int loops_create(const struct loops_params *p, struct loops **out, struct error *err);
void loops_free(struct loops *l); /* NULL is fine */

/* Writes room bytes that look like a loop's and are nobody's: for drop packets. */
void loops_fill(const struct loops *l, uint8_t *message);

/* Writes the message of a new loop by `route`. false: too many are under way. */
bool loops_make(struct loops *l, const struct route *route, uint8_t *message, uint64_t *number);

/* It is sent at `now`; before the packet leaves. */
void loops_leave(struct loops *l, uint64_t number, uint64_t now);

/* Whether a datagram is a loop of ours, in time or not. */
bool loops_take(struct loops *l, const uint8_t *datagram, size_t len, uint64_t now);

/* Counts those as lost whose time is over. */
void loops_expire(struct loops *l, uint64_t now);

struct loops_count {
	uint64_t sent, returned, lost, under_way;
	uint64_t strays; /* back too late, or twice */
	unsigned alarms; /* relays in a state other than ok */
	enum loop_health_relay_state state;
};

void loops_count(struct loops *l, struct loops_count *out);

/* A line for each relay that stands out: its name, its state, loops and losses. */
void loops_report(struct loops *l, FILE *out);

#endif
