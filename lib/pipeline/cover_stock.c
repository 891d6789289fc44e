/* SPDX-License-Identifier: BSD-3-Clause */
/* Drop cover: each link's stock of packets for slots in which nothing waits. */
#include "pipeline/cover.h"

#include <errno.h>
#include <rte_cycles.h>
#include <sodium.h>
#include <stdlib.h>

enum {
	STOCK_BATCH = 8, /* missing packets that are worth a call of the builder */
	STOCK_FEW = 4,   /* a link that has less than this part of its stock does not wait */
};

int stock_create(struct cover *c, struct error *err)
{
	if (!shaping_has_slots(c->b))
		return 0;
	c->stock.room = calloc(LINKS_MAX, sizeof(*c->stock.room));
	return c->stock.room ? 0
			     : error_set(err, ENOMEM, "not enough memory for the cover of %u links",
				       LINKS_MAX);
}

static bool is_low(const struct tx_link *l, unsigned room)
{
	return (l->cover_want - room) * STOCK_FEW < l->cover_want;
}

/* Counts what is missing, into room[]. Whether it is worth building now. */
static bool look(struct cover *c)
{
	struct cover_stock *k = &c->stock;
	const struct links *links = &c->b->links;
	uint64_t have = 0, want = 0, missing = 0;
	unsigned dry = 0;

	k->low = 0;
	k->links = RTE_MIN(links->count, (unsigned)LINKS_MAX);
	for (unsigned i = 0; i < k->links; i++) {
		const struct tx_link *l = links->link[i];
		unsigned room = l->wanted ? links_cover_room(l) : 0;

		k->room[i] = room;
		missing += room;
		if (!l->wanted)
			continue;
		want += l->cover_want;
		have += l->cover_want - room;
		dry += room == l->cover_want;
		k->low += is_low(l, room);
	}
	k->have = have;
	k->want = want;
	k->dry_now = dry;
	return k->low || missing >= STOCK_BATCH;
}

/* The next link that lacks a packet, those that are low first. NULL: none lacks any. */
static struct tx_link *next_link(struct cover *c)
{
	struct cover_stock *k = &c->stock;

	for (unsigned pass = k->low ? 0 : 1; pass < 2; pass++) {
		for (unsigned i = 0; i < k->links; i++) {
			unsigned at = (k->turn + i) % k->links;
			struct tx_link *l = c->b->links.link[at];

			if (k->room[at] == 0 || (pass == 0 && !is_low(l, k->room[at])))
				continue;
			k->room[at]--;
			k->low -= pass == 0 && !is_low(l, k->room[at]);
			k->turn = (at + 1) % k->links;
			return l;
		}
	}
	return NULL;
}

static unsigned draw_routes(struct cover *c, struct cover_route *routes, struct tx_link **to)
{
	unsigned n = 0;

	while (n < COVER_CHUNK && (to[n] = next_link(c)) != NULL) {
		if (cover_route_drop(c->routes, to[n]->node, &to[n]->address, &routes[n]) == 0)
			n++;
	}
	return n;
}

static void put(struct cover *c, struct tx_link *l, struct rte_mbuf *m)
{
	if (!m)
		return;
	packet_meta(m)->hops_generation = c->b->hops_generation;
	if (rte_ring_sp_enqueue(l->cover, m) == 0)
		c->stock.built++;
	else
		rte_pktmbuf_free(m);
}

unsigned stock_fill(struct cover *c)
{
	struct cover_route routes[COVER_CHUNK];
	struct tx_link *to[COVER_CHUNK];
	struct rte_mbuf *m[COVER_CHUNK];
	unsigned n;

	if (!c->stock.room || !c->routes || !look(c))
		return 0;
	n = draw_routes(c, routes, to);
	n = n ? cover_buffers(c, m, n) : 0;
	if (n)
		cover_build(c, routes, m, n);
	for (unsigned i = 0; i < n; i++)
		put(c, to[i], m[i]);
	sodium_memzero(routes, sizeof(routes));
	return n;
}
