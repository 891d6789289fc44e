/* SPDX-License-Identifier: BSD-3-Clause */
#include "mix/cover_route.h"
#include "core/uniform.h"
#include "vrf/delay.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROUTE_DRAWS = 256, /* dead ends before a loop is given up */
	NODE_DRAWS = 8,    /* refused nodes of a layer before the admissible ones are counted */
};

_Static_assert((int)DIRECTORY_MAX_LAYER <= (int)SPHINX_MAX_HOPS, "a loop fits a packet");

struct cover_routes {
	struct cover_routes_params p;
	unsigned layers, own_layer;
	unsigned start[DIRECTORY_MAX_LAYER + 2]; /* of each layer in the two arrays below */
	unsigned *node;                          /* indices, by layer */
	uint64_t *sum; /* of the layer's weights up to and with this one */
};

/* A route while it is drawn. */
struct path {
	const struct cover_routes *c;
	struct cover_route *out;
	unsigned hops;
};

static const struct directory_node *node_at(const struct cover_routes *c, unsigned node)
{
	return &c->p.directory->nodes[node];
}

static void sort_by_layer(struct cover_routes *c)
{
	const struct directory *d = c->p.directory;
	unsigned at = 0;

	for (unsigned layer = 1; layer <= c->layers; layer++) {
		uint64_t sum = 0;

		c->start[layer] = at;
		for (unsigned i = 0; i < d->count; i++) {
			if (d->nodes[i].layer != layer)
				continue;
			c->node[at] = i;
			c->sum[at++] = sum += d->nodes[i].weight;
		}
	}
	c->start[c->layers + 1] = at;
}

int cover_routes_create(
	const struct cover_routes_params *p, struct cover_routes **out, struct error *err)
{
	const struct directory *d = p->directory;
	struct cover_routes *c;

	if (p->self >= d->count || p->mean_delay_ns > DELAY_MEAN_MAX || p->version == 1 ||
		p->version == 257)
		return error_set(err, EINVAL,
			"cover routes of node %u of %u, mean delay %lu ns, version %u", p->self,
			d->count, (unsigned long)p->mean_delay_ns, p->version);
	c = calloc(1, sizeof(*c));
	if (c) {
		c->node = calloc(d->count, sizeof(*c->node));
		c->sum = calloc(d->count, sizeof(*c->sum));
	}
	if (!c || !c->node || !c->sum) {
		cover_routes_free(c);
		return error_set(err, ENOMEM, "not enough memory for cover routes through %u nodes",
			d->count);
	}
	c->p = *p;
	c->layers = d->layers;
	c->own_layer = d->nodes[p->self].layer;
	sort_by_layer(c);
	*out = c;
	return 0;
}

void cover_routes_free(struct cover_routes *c)
{
	if (!c)
		return;
	free(c->node);
	free(c->sum);
	free(c);
}

unsigned cover_route_loop_delays(const struct cover_routes *c)
{
	return c->layers > 1 ? c->layers - 1 : 1;
}

/* ---- which node may be next ---- */

static bool same_family(const struct directory_node *a, const struct directory_node *b)
{
	return a->family[0] && strcmp(a->family, b->family) == 0;
}

/* The address by which `from` reaches `to`: the first of to's that from can send to, or NULL. */
static const struct endpoint *common_address(
	const struct directory_node *from, const struct directory_node *to)
{
	for (unsigned i = 0; i < to->addresses; i++)
		for (unsigned k = 0; k < from->addresses; k++)
			if (from->address[k].family == to->address[i].family)
				return &to->address[i];
	return NULL;
}

static unsigned previous(const struct path *w)
{
	return w->hops ? w->out->node[w->hops - 1] : w->c->p.self;
}

/* Whether hop `hops` of the route can go from the node before it to `node`. */
static bool connects(const struct path *w, unsigned node)
{
	const struct cover_routes *c = w->c;
	unsigned from = previous(w);

	return common_address(node_at(c, from), node_at(c, node)) &&
	       (!c->p.leads || c->p.leads(c->p.arg, from, node));
}

static bool admissible(const struct path *w, unsigned node)
{
	const struct cover_routes *c = w->c;
	const struct directory_node *n = node_at(c, node);

	if (node == c->p.self || same_family(n, node_at(c, c->p.self)))
		return false;
	for (unsigned i = 0; i < w->hops; i++)
		if (w->out->node[i] == node || same_family(n, node_at(c, w->out->node[i])))
			return false;
	return connects(w, node);
}

/* By weight, of the whole layer. */
static unsigned draw_node(const struct cover_routes *c, unsigned layer)
{
	unsigned low = c->start[layer], high = c->start[layer + 1] - 1;
	uint64_t at = uniform_below(c->sum[high]);

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (at < c->sum[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return c->node[low];
}

/* By weight, of the admissible nodes of a layer. -1: there is none. */
static int draw_admissible(const struct path *w, unsigned layer)
{
	const struct cover_routes *c = w->c;
	uint64_t sum = 0, at;
	int node = -1;

	for (unsigned i = c->start[layer]; i < c->start[layer + 1]; i++)
		sum += admissible(w, c->node[i]) ? node_at(c, c->node[i])->weight : 0;
	if (sum == 0)
		return -1;
	at = uniform_below(sum);
	for (unsigned i = c->start[layer]; i < c->start[layer + 1]; i++) {
		uint64_t weight = node_at(c, c->node[i])->weight;

		if (!admissible(w, c->node[i]))
			continue;
		node = (int)c->node[i];
		if (at < weight)
			break;
		at -= weight;
	}
	return node;
}

/* ---- hops ---- */

static void append(struct path *w, unsigned node, const struct endpoint *at)
{
	struct sphinx_route_hop *hop = &w->out->sphinx.hop[w->hops];

	memcpy(hop->public_key, node_at(w->c, node)->sphinx_key, sizeof(hop->public_key));
	address_encode(hop->address, at);
	if (w->hops == 0)
		w->out->first = *at;
	w->out->node[w->hops++] = node;
}

static void append_common(struct path *w, unsigned node)
{
	append(w, node, common_address(node_at(w->c, previous(w)), node_at(w->c, node)));
}

/* A drawn node of the layer as the next hop. False: nothing leads on. */
static bool extend(struct path *w, unsigned layer)
{
	int node = -1;

	/* two draws of the same law: among all, again when refused; then among the admissible */
	for (unsigned i = 0; i < NODE_DRAWS && node < 0; i++) {
		unsigned drawn = draw_node(w->c, layer);

		node = admissible(w, drawn) ? (int)drawn : -1;
	}
	if (node < 0)
		node = draw_admissible(w, layer);
	if (node >= 0)
		append_common(w, (unsigned)node);
	return node >= 0;
}

/* The last hop consumes the packet: its destination is the address that it was reached by. */
static void finish(struct path *w)
{
	struct sphinx_route *r = &w->out->sphinx;

	r->hops = w->hops;
	r->version = w->c->p.version;
	memcpy(r->destination, r->hop[w->hops - 1].address, sizeof(r->destination));
	randombytes_buf(r->identifier, sizeof(r->identifier));
	for (unsigned i = 0; i < w->hops; i++) {
		uint64_t draw;

		randombytes_buf(&draw, sizeof(draw));
		r->hop[i].delay_ns =
			i + 1 < w->hops ? delay_scale(w->c->p.mean_delay_ns, delay_exp(draw)) : 0;
	}
}

static unsigned next_layer(const struct cover_routes *c, unsigned layer)
{
	return layer % c->layers + 1;
}

static bool draw_loop(struct path *w)
{
	const struct cover_routes *c = w->c;
	unsigned layer = c->own_layer;

	w->hops = 0;
	for (unsigned i = 0; i < cover_route_loop_delays(c); i++) {
		layer = next_layer(c, layer);
		if (!extend(w, layer))
			return false;
	}
	if (!connects(w, c->p.self))
		return false;
	append_common(w, c->p.self);
	return true;
}

int cover_route_loop(const struct cover_routes *c, struct cover_route *out)
{
	struct path w = {.c = c, .out = out};

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < ROUTE_DRAWS; i++) {
		if (!draw_loop(&w))
			continue;
		finish(&w);
		return 0;
	}
	return -ENOENT;
}

int cover_route_drop(const struct cover_routes *c, unsigned node, const struct endpoint *at,
	struct cover_route *out)
{
	struct path w = {.c = c, .out = out};
	unsigned layer = next_layer(c, c->own_layer), hops;

	memset(out, 0, sizeof(*out));
	if (node >= c->p.directory->count || node == c->p.self || node_at(c, node)->layer != layer)
		return -EINVAL;
	hops = layer > c->own_layer ? 1 + (unsigned)uniform_below(c->layers - layer + 1) : 1;
	append(&w, node, at);
	while (w.hops < hops && extend(&w, layer + w.hops))
		;
	finish(&w);
	return 0;
}
