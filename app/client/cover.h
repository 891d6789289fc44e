/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_COVER_H
#define BETANET_CLIENT_COVER_H

#include "client.h"
#include "loops.h"
#include "slots.h"

/*
 * The client's own cover traffic (--cover), as in Loopix (Piotrowska et al. 2017, 3.2): a thread
 * sends one packet at each point of three Poisson streams:
 *
 *   payload  --cover a second: a packet of what the command has to send, or a drop packet
 *   loop     --cover-loops a second: through the network and back to the socket's own address
 *   drop     --cover-drops a second: to a random relay of the last layer, which consumes it
 *
 * Every one is a Sphinx packet of the network's one size, made in the same burst by the same calls,
 * before its time and whatever its kind; routes are drawn alike. So the wire shows one Poisson
 * process of the sum of the rates from the process's start to its end, and nothing of when, whether
 * or how much is sent, nor what the command does in between. The process runs for a whole multiple
 * of --cover-time, and what `send` sends begins at a random moment of the first, if it fits.
 *
 * What stays visible: that the process runs, and how long in those multiples; packets that arrive
 * at this host (loops that return, and whatever a last relay delivers: its size and moment); to the
 * last relay, what is delivered where; where the route is bound by an address family that another
 * kind of packet does not share, that family. Without `--cover` running long before and after, the
 * process's start and end are what an observer of both ends would compare.
 *
 * The functions take NULL for "no cover", then they do nothing, and 0 or false is the answer.
 */
struct cover;

/* Packets that are ready, with where they go. */
struct cover_made {
	struct endpoint to;
	uint8_t *datagram; /* of route_datagram_size bytes */
};

/* Messages 0..count-1, sent in that order, once each. Callbacks run in the cover's thread. */
struct cover_source {
	const struct endpoint *to;
	/* As in ahead.h; NULL: `made` holds the packets. */
	size_t (*write)(void *context, uint32_t index, uint8_t *out);
	const struct cover_made *made;
	/* NULL, or called just before the packet leaves; `route` NULL for made packets. */
	void (*leaves)(void *context, uint32_t index, const struct route *route, uint64_t now);
	void *context;
	uint32_t count;
	bool any_moment; /* begins at a random moment */
};

/* Starts the streams of c->settings on the open socket: c->cover, NULL when no --cover was given.
 * From here on the thread alone draws routes of `c`. 0 or a negative errno. */
int cover_start(struct client *c, struct error *err);

/* Ends the thread. The refusals that it saw are added to c->udp's. */
void cover_free(struct client *c);

/* Gives what is sent in payload slots, of which the first `allowed` may leave. One at a time; it
 * must stay until all of it has left or cover_free. */
void cover_give(struct cover *v, const struct cover_source *source, uint32_t allowed);
void cover_allow(struct cover *v, uint32_t allowed);
uint32_t cover_left(struct cover *v); /* how many have left */

/* Whether the datagram is a loop of ours. */
bool cover_take(struct cover *v, const uint8_t *datagram, size_t len);

/* To be called at least every CLIENT_SLICE_NS: counts loops that are lost. 0, or the error that
 * stopped the thread. */
int cover_look(struct cover *v, struct error *err);

/* For callbacks' data. */
void cover_lock(struct cover *v);
void cover_unlock(struct cover *v);

/* Has all of it sent, and shows the progress, while loops come in; other datagrams are dropped.
 * Returns how many packets left; fewer than all with a reason in `err` or client_stop set. */
uint32_t cover_deliver(struct client *c, const struct cover_source *source, struct error *err);

/*
 * The end of a command that came to `result`: waits for the end of the present --cover-time, unless
 * stopped, prints the summary and ends the thread. Relays that stand out are named even with
 * --quiet. Returns result, or when that is 0 the error that stopped the thread.
 */
int cover_end(struct client *c, int result, struct error *err);

#endif
