/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_ROUTE_H
#define BETANET_CLIENT_ROUTE_H

#include "core/error.h"
#include "directory/directory.h"
#include "neighbours.h"
#include "sphinx/build_burst.h"
#include "sphinx/frame.h"

/*
 * Routes through the directory's layers, the delays on them, and the datagrams and reply blocks
 * made from them. Every packet takes a route of its own.
 */
struct route_params {
	const struct directory *directory;
	const struct neighbours *neighbours; /* refreshed; NULL: any relay may follow any other */
	unsigned hops;        /* 1..SPHINX_MAX_HOPS, at most the directory's layers */
	double mean_delay_ms; /* of each hop but the last, 0..10000 */
	uint16_t version;     /* 258, 259 or 260 */
	size_t payload_size;  /* of the network */
	uint64_t now; /* seconds since 1970: an expired directory is not used; 0: unchecked */
};

struct route {
	struct sphinx_route sphinx;
	const struct directory_node *node[SPHINX_MAX_HOPS];
	struct endpoint first; /* where the first hop listens */
	double delay_ms;       /* sum of the delays that the hops are asked for */
};

/*
 * Draws nodes, delays and an identifier for a route whose last hop sends to `destination`. Hops
 * that follow each other, and the last hop and the destination, share an address family; the first
 * hop has an address of `entry_family` (4 or 6; 0: any). With p->neighbours each hop is in the set
 * of the hop before (neighbours.h). 0; -ESTALE (directory expired), -EINVAL, -ENOMEM, -ENOENT (no
 * such route; `err` says why).
 */
int route_draw(const struct route_params *p, const struct endpoint *destination,
	uint8_t entry_family, struct route *r, struct error *err);

enum { ROUTE_BURST = 64 };

/* What is made of a route and a message. */
struct route_packet {
	struct route route;
	const uint8_t *message; /* may lie where route_message says */
	size_t len;
	uint8_t *datagram; /* for route.first: frame ‖ packet, route_datagram_size(p) bytes */
};

/* Writes n (1..ROUTE_BURST) datagrams with one call of the builder. 0, or -EINVAL when one of them
 * cannot be made: then none may be sent. */
int route_datagrams(struct sphinx_builder *b, const struct route_params *p,
	const struct route_packet packet[], unsigned n, struct error *err);

static inline size_t route_datagram_size(const struct route_params *p)
{
	return FRAME_SIZE + SPHINX_HEADER_SIZE + p->payload_size;
}

/* Where in a datagram a message may be written before it is encrypted there: route_room(p) bytes.
 */
static inline uint8_t *route_message(uint8_t *datagram)
{
	return datagram + FRAME_SIZE + SPHINX_HEADER_SIZE;
}

/* The longest message of a packet. */
static inline size_t route_room(const struct route_params *p)
{
	return p->payload_size - SPHINX_PAYLOAD_OVERHEAD;
}

/* n (1..ROUTE_BURST) reply blocks, of which block i leads to r[i]'s destination. The caller has set
 * `surb` and `recovery` of each item, the rest is set here. 0, or -EINVAL when one of them cannot
 * be made. */
int route_reply_blocks(struct sphinx_builder *b, const struct route r[], struct surb_item item[],
	unsigned n, struct error *err);

/* A node's address of one family (0: any); NULL when it has none. */
const struct endpoint *route_address_of(const struct directory_node *n, uint8_t family);

/* The address by which `from` reaches `to`: the first of to's that from can send to, or NULL. */
const struct endpoint *route_common_address(
	const struct directory_node *from, const struct directory_node *to);

/* Exponential with the given mean (inverse CDF of a uniform draw from libsodium), nanoseconds. */
uint64_t route_draw_delay(double mean_ms);

#endif
