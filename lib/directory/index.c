/* SPDX-License-Identifier: BSD-3-Clause */
#include "directory/index.h"
#include "core/bytes.h"
#include "core/uniform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Look-up by address and name, and routes. */

/* The address comes out of a packet, so that the hash is keyed. */
static uint64_t hash_address(const struct directory_index *x, const struct endpoint *e)
{
	uint8_t bytes[SPHINX_ADDRESS_SIZE], hash[crypto_shorthash_BYTES];

	address_encode(bytes, e);
	crypto_shorthash(hash, bytes, 19, x->key);
	return load_le64(hash);
}

static bool same_address(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

static int build_addresses(struct directory *d)
{
	struct directory_index *x = d->index;
	uint32_t slots = 8;

	while (slots < 4 * d->count)
		slots *= 2;
	x->mask = slots - 1;
	x->slot = calloc(slots, sizeof(*x->slot));
	if (!x->slot)
		return -ENOMEM;
	crypto_shorthash_keygen(x->key);
	for (uint32_t i = 0; i < d->count; i++) {
		for (uint32_t j = 0; j < d->nodes[i].addresses; j++) {
			uint64_t at = hash_address(x, &d->nodes[i].address[j]);

			while (x->slot[at & x->mask])
				at++;
			x->slot[at & x->mask] = 2 * i + j + 1;
		}
	}
	return 0;
}

struct family_name {
	const char *name;
	unsigned node;
};

static int compare_families(const void *a, const void *b)
{
	return strcmp(((const struct family_name *)a)->name, ((const struct family_name *)b)->name);
}

/* Numbers the families, so that routes compare integers. */
static int build_families(struct directory *d)
{
	struct family_name *f = calloc(d->count, sizeof(*f));
	unsigned id = 0;

	d->index->family = calloc(d->count, sizeof(*d->index->family));
	if (!f || !d->index->family) {
		free(f);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < d->count; i++)
		f[i] = (struct family_name){d->nodes[i].family, i};
	qsort(f, d->count, sizeof(*f), compare_families);
	for (unsigned i = 0; i < d->count; i++) {
		if (f[i].name[0] && (i == 0 || strcmp(f[i].name, f[i - 1].name) != 0))
			id++;
		d->index->family[f[i].node] = f[i].name[0] ? id : 0;
	}
	free(f);
	return 0;
}

/* A layer with as many families as a route has hops, or with a node of none, is never the one that
 * cannot be filled; of the others all families fit the small table. */
static void note_family(struct layer_families *l, unsigned family)
{
	if (family == 0)
		l->always = true;
	for (unsigned i = 0; i < l->count; i++)
		if (l->id[i] == family)
			return;
	if (!l->always)
		l->id[l->count++] = family;
	if (l->count == DIRECTORY_MAX_LAYER)
		l->always = true;
}

int index_build(struct directory *d, struct error *err)
{
	int r;

	d->index = calloc(1, sizeof(*d->index));
	r = d->index ? build_addresses(d) : -ENOMEM;
	if (r == 0)
		r = build_families(d);
	if (r < 0)
		return error_set(
			err, -r, "not enough memory for a directory of %u nodes", d->count);
	for (unsigned i = 0; i < d->count; i++)
		note_family(&d->index->layer[d->nodes[i].layer], d->index->family[i]);
	return 0;
}

void index_free(struct directory_index *x)
{
	if (!x)
		return;
	free(x->slot);
	free(x->family);
	free(x);
}

const struct directory_node *directory_find_name(const struct directory *d, const char *name)
{
	for (unsigned i = 0; i < d->count; i++)
		if (strcmp(d->nodes[i].name, name) == 0)
			return &d->nodes[i];
	return NULL;
}

const struct directory_node *directory_find_sphinx_key(
	const struct directory *d, const uint8_t key[32])
{
	for (unsigned i = 0; i < d->count; i++)
		if (memcmp(d->nodes[i].sphinx_key, key, 32) == 0)
			return &d->nodes[i];
	return NULL;
}

unsigned directory_count_addresses(
	const struct directory *d, unsigned layer, const struct directory_node *but)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->count; i++)
		if (&d->nodes[i] != but && (layer == 0 || d->nodes[i].layer == layer))
			n += d->nodes[i].addresses;
	return n;
}

const struct directory_node *directory_find_address(
	const struct directory *d, const struct endpoint *e)
{
	const struct directory_index *x = d->index;

	if (e->family != 4 && e->family != 6)
		return NULL;
	for (uint64_t at = hash_address(x, e); x->slot[at & x->mask]; at++) {
		uint32_t v = x->slot[at & x->mask] - 1;
		const struct directory_node *n = &d->nodes[v / 2];

		if (same_address(&n->address[v % 2], e))
			return n;
	}
	return NULL;
}

/* ---- routes ---- */

struct draw {
	const struct directory *d;
	unsigned hops;
	unsigned used[DIRECTORY_MAX_LAYER]; /* families of the hops before; 0 for none */
	unsigned count;
	unsigned reserved[DIRECTORY_MAX_LAYER * DIRECTORY_MAX_LAYER]; /* families left to others */
	unsigned reserved_count;
};

static bool is_used(const struct draw *w, unsigned family)
{
	for (unsigned i = 0; family && i < w->count; i++)
		if (w->used[i] == family)
			return true;
	return false;
}

/* Whether the layers from `layer` on can still be filled. At most 4^5 steps: only layers of few
 * families are tried. */
static bool can_finish(struct draw *w, unsigned layer)
{
	const struct layer_families *l = &w->d->index->layer[layer];
	bool ok = false;

	if (layer > w->hops)
		return true;
	if (l->always)
		return can_finish(w, layer + 1);
	for (unsigned i = 0; !ok && i < l->count; i++) {
		if (is_used(w, l->id[i]))
			continue;
		w->used[w->count++] = l->id[i];
		ok = can_finish(w, layer + 1);
		w->count--;
	}
	return ok;
}

/*
 * Families that this layer must leave to the layers behind it. Only families of layers that have
 * few can be such, and taking a node of no family never hurts.
 */
static void find_reserved(struct draw *w, unsigned layer)
{
	const struct layer_families *layers = w->d->index->layer;

	w->reserved_count = 0;
	for (unsigned l = layer + 1; l <= w->hops; l++) {
		for (unsigned i = 0; !layers[l].always && i < layers[l].count; i++) {
			w->used[w->count++] = layers[l].id[i];
			if (!can_finish(w, layer + 1))
				w->reserved[w->reserved_count++] = layers[l].id[i];
			w->count--;
		}
	}
}

static bool may_take(const struct draw *w, unsigned layer, unsigned node)
{
	unsigned family = w->d->index->family[node];

	for (unsigned i = 0; family && i < w->reserved_count; i++)
		if (w->reserved[i] == family)
			return false;
	return w->d->nodes[node].layer == layer && !is_used(w, family);
}

/* The index of one node of the layer, drawn by weight. There is one: can_finish said so. */
static unsigned draw_node(struct draw *w, unsigned layer)
{
	const struct directory *d = w->d;
	uint64_t sum = 0, at;
	unsigned i;

	find_reserved(w, layer);
	for (i = 0; i < d->count; i++)
		sum += may_take(w, layer, i) ? d->nodes[i].weight : 0;
	at = uniform_below(sum);
	for (i = 0;; i++) {
		if (!may_take(w, layer, i))
			continue;
		if (at < d->nodes[i].weight)
			return i;
		at -= d->nodes[i].weight;
	}
}

int directory_draw_route(const struct directory *d, unsigned hops,
	const struct directory_node **route, struct error *err)
{
	struct draw w = {.d = d, .hops = hops};

	if (hops < 1 || hops > d->layers)
		return error_set(err, EINVAL,
			"a route of %u hops; the directory has %u layers, so allowed are 1..%u",
			hops, d->layers, d->layers);
	if (!can_finish(&w, 1))
		return error_set(err, ENOENT,
			"no route of %u hops whose nodes are of different families; the directory "
			"needs more families in its layers",
			hops);
	for (unsigned l = 1; l <= hops; l++) {
		unsigned node = draw_node(&w, l);

		w.used[w.count++] = d->index->family[node];
		route[l - 1] = &d->nodes[node];
	}
	return 0;
}
