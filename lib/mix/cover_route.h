/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_COVER_ROUTE_H
#define BETANET_MIX_COVER_ROUTE_H

#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"
#include "directory/directory.h"
#include "sphinx/sphinx.h"

/*
 * The routes of a relay's own packets (Loopix, Piotrowska et al. 2017). Both end in a final packet
 * whose destination is an address that the directory lists for the node that unwraps it: that node
 * consumes it.
 *
 * Loop: one node of each of the layers L+1 … last, 1 … L-1, then ourselves, in layer L. In a
 * network of one layer: one other node, then ourselves. It leaves by the links that carry what we
 * forward, and it checks every layer.
 *
 * Drop cover: a given neighbour of the next layer, then one node of each layer behind it, up to a
 * layer drawn uniformly, whose node consumes it. From the last layer it goes to the neighbour
 * alone: what leaves there is loops and cover anyway, so that longer routes would hide nothing from
 * it, but take slots of the layers in front from senders. (From the other layers it cannot crowd
 * anybody out: where it goes on, it came in a slot.)
 *
 * Nodes are drawn as senders draw theirs (directory_draw_route): by weight, among nodes of no
 * family that the route already has, ours included; hops that follow each other share an address
 * family. Otherwise the two hops at a relay would tell it cover from traffic. A dead end starts the
 * route anew.
 */
struct cover_routes;

struct cover_routes_params {
	const struct directory *directory; /* borrowed as long as the routes are used */
	unsigned self;                     /* our index in it */
	/* Whether `from` forwards to `to` (indices; `from` may be self): neighbour sets. NULL: any
	 * node of a layer to any of the next. */
	bool (*leads)(const void *arg, unsigned from, unsigned to);
	const void *arg;
	uint64_t mean_delay_ns; /* of the delays in the headers, 0..DELAY_MEAN_MAX */
	uint16_t version;       /* of the packets: as senders' (their hops see it) */
};

/* Secret: it links what goes out to what comes back. */
struct cover_route {
	struct sphinx_route sphinx;     /* complete, with a random identifier */
	unsigned node[SPHINX_MAX_HOPS]; /* sphinx.hops of them, indices; of a loop the last is self
					 */
	struct endpoint first;          /* where node[0] listens */
};

/* 0; -EINVAL (self, mean or version out of range), -ENOMEM. */
int cover_routes_create(
	const struct cover_routes_params *p, struct cover_routes **out, struct error *err);
void cover_routes_free(struct cover_routes *c); /* NULL is fine */

/*
 * Draws a loop. Delays are exponential with the mean, whatever they are worth to relays with delays
 * of their own; the last hop has none. 0, or -ENOENT when hundreds of draws found no route: then
 * families, sets or addresses leave none or hardly any. *out is undefined then. About 2 µs.
 */
int cover_route_loop(const struct cover_routes *c, struct cover_route *out);

/*
 * Draws a drop cover route whose first hop is `node`, at its address `at`. Where nothing admissible
 * leads on, the route ends at an earlier node: in the end at `node` itself, so that there always is
 * one. 0; -EINVAL: `node` is not of our next layer, or it is ourselves.
 */
int cover_route_drop(const struct cover_routes *c, unsigned node, const struct endpoint *at,
	struct cover_route *out);

/* How many nodes hold packets of a loop for a delay: all but ourselves. */
unsigned cover_route_loop_delays(const struct cover_routes *c);

#endif
