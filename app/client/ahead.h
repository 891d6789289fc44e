/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_AHEAD_H
#define BETANET_CLIENT_AHEAD_H

#include "client.h"

/*
 * The packets of a paced sender, made in bursts when the first of them is due: as many as leave
 * within AHEAD_MS, so that no route is much older than that when its packet leaves, and the memory
 * is bounded, whatever is sent. A slow sender makes them one at a time.
 */
enum {
	AHEAD_MS = 10,
	AHEAD_MAX = ROUTE_BURST,
};

/* Messages 0..count-1, asked for in that order, once each. */
struct ahead_source {
	const struct endpoint *to;
	/* Writes at most route_room bytes to `out`. Returns how many. */
	size_t (*write)(void *context, uint32_t index, uint8_t *out);
	void *context;
	uint32_t count;
};

struct ahead;

/* How many packets are made at once: 1..AHEAD_MAX. */
unsigned ahead_depth(double per_second, uint32_t count);

/* `source` and what it points to must outlive it. The socket of `c` is open. 0 or -ENOMEM. */
int ahead_create(struct client *c, const struct ahead_source *source, double per_second,
	struct ahead **out, struct error *err);
void ahead_free(struct ahead *a); /* wipes; NULL is fine */

/* Has the next packet made if none is waiting; not after the last one. 0, or an error of
 * client_draw_route: only when no packet before it is waiting. */
int ahead_prepare(struct ahead *a, struct error *err);

/* The route of the packet that is waiting, and its sending. Each after ahead_prepare. */
const struct route *ahead_route(const struct ahead *a);
int ahead_send(struct ahead *a, struct error *err);

#endif
