/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/uniform.h"
#include "neighbours.h"
#include "route.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Routes inside the neighbour sets. A hop is drawn by weight; if nothing leads on from it, another
 * is drawn among the rest, which is the same as a draw among those that leave a route.
 *
 * Whether a node leads to the end depends on the hops before it by their families alone. A node
 * that fails for any other reason is dead for the whole draw and is tried once; only what fails
 * for a family is tried again behind other hops, and the steps limit how often.
 */
enum { MAX_STEPS = 100000 };

enum outcome { FOUND, DEAD, BLOCKED /* by a family of the hops before */ };

struct search {
	const struct neighbours *sets;
	const struct directory *d;
	unsigned hops;
	uint8_t entry_family, exit_family;
	unsigned steps;
	unsigned hop[SPHINX_MAX_HOPS]; /* indices */
	uint64_t dead[DIRECTORY_MAX_NODES / 64];
	unsigned *first; /* room for the candidates of the first hop */
	unsigned other[SPHINX_MAX_HOPS][NEIGHBOUR_MAX];
};

static bool connects(const struct search *s, unsigned hop, const struct directory_node *n)
{
	if (hop == 0 ? !route_address_of(n, s->entry_family)
		     : !route_common_address(&s->d->nodes[s->hop[hop - 1]], n))
		return false;
	return hop + 1 < s->hops || route_address_of(n, s->exit_family);
}

static bool family_taken(const struct search *s, unsigned hop, const struct directory_node *n)
{
	for (unsigned i = 0; n->family[0] && i < hop; i++)
		if (strcmp(s->d->nodes[s->hop[i]].family, n->family) == 0)
			return true;
	return false;
}

/* Into at[0..]: who can be this hop. *blocked: a family alone stood against another. */
static unsigned gather(const struct search *s, unsigned hop, unsigned *at, bool *blocked)
{
	const struct neighbour_set *set = hop ? neighbours_of(s->sets, s->hop[hop - 1]) : NULL;
	unsigned all = set ? set->count : s->d->count, n = 0;

	for (unsigned i = 0; i < all; i++) {
		unsigned node = set ? set->member[i] : i;
		const struct directory_node *x = &s->d->nodes[node];

		if (x->layer != hop + 1 || !neighbours_of(s->sets, node) ||
			(s->dead[node / 64] >> node % 64 & 1) || !connects(s, hop, x))
			continue;
		if (family_taken(s, hop, x))
			*blocked = true;
		else
			at[n++] = node;
	}
	return n;
}

/* By weight; it leaves the list. */
static unsigned take(const struct search *s, unsigned *at, unsigned *n)
{
	uint64_t sum = 0, draw;
	unsigned i = 0, node;

	for (unsigned k = 0; k < *n; k++)
		sum += s->d->nodes[at[k]].weight;
	draw = uniform_below(sum);
	while (draw >= s->d->nodes[at[i]].weight)
		draw -= s->d->nodes[at[i++]].weight;
	node = at[i];
	at[i] = at[--*n];
	return node;
}

static enum outcome extend(struct search *s, unsigned hop)
{
	unsigned *at = hop ? s->other[hop] : s->first;
	bool blocked = false;
	unsigned n = hop < SPHINX_MAX_HOPS ? gather(s, hop, at, &blocked) : 0;

	while (n > 0 && s->steps++ < MAX_STEPS) {
		unsigned node = take(s, at, &n);
		enum outcome r;

		s->hop[hop] = node;
		/* hops is in range: the second bound is for gcc, which cannot see it */
		r = hop + 1 == s->hops || hop + 1 == SPHINX_MAX_HOPS ? FOUND : extend(s, hop + 1);
		if (r == FOUND)
			return FOUND;
		if (r == DEAD)
			s->dead[node / 64] |= UINT64_C(1) << node % 64;
		else
			blocked = true;
	}
	return blocked || n > 0 ? BLOCKED : DEAD;
}

/* ---- why there is none */

static int no_route(const struct search *s, enum outcome why, struct error *err)
{
	for (unsigned l = 1; l <= s->hops; l++) {
		unsigned all = 0, valid = 0, missing = 0;

		for (unsigned i = 0; i < s->d->count; i++) {
			if (s->d->nodes[i].layer != l)
				continue;
			all++;
			if (neighbours_of(s->sets, i))
				valid++;
			else
				missing = i;
		}
		if (valid == 0)
			return error_set(err, ENOENT,
				"no route of %u hops: none of the %u relays of layer %u has a "
				"valid "
				"neighbour record (%s: %.200s); fetch the present epoch's records, "
				"or "
				"compare --neighbour-seconds and the directory with the network's",
				s->hops, all, l, s->d->nodes[missing].name,
				neighbours_reason(s->sets, missing));
	}
	return error_set(err, ENOENT,
		"no route of %u hops inside the neighbour sets, from IPv%u to IPv%u%s; %u relays "
		"sit out for want of a valid record",
		s->hops, (unsigned)(s->entry_family ? s->entry_family : s->exit_family),
		(unsigned)s->exit_family,
		s->steps >= MAX_STEPS ? ": too many were tried"
		: why == BLOCKED      ? ": relays of one family alone would be left"
				      : ": no chain of sets and addresses leads through",
		neighbours_missing(s->sets, NULL));
}

int neighbours_draw_route(const struct neighbours *n, unsigned hops, uint8_t entry_family,
	uint8_t exit_family, const struct directory_node **route, struct error *err)
{
	const struct neighbours_params *p = neighbours_params_of(n);
	struct search s = {.sets = n,
		.d = p->directory,
		.hops = hops,
		.entry_family = entry_family,
		.exit_family = exit_family};
	enum outcome r;

	if (hops < 1 || hops > p->layers || hops > SPHINX_MAX_HOPS)
		return error_set(err, EINVAL,
			"a route of %u hops inside the neighbour sets of %u layers", hops,
			p->layers);
	s.first = calloc(s.d->count, sizeof(*s.first));
	if (!s.first)
		return error_set(err, ENOMEM, "not enough memory to draw a route");
	r = extend(&s, 0);
	free(s.first);
	if (r != FOUND)
		return no_route(&s, r, err);
	for (unsigned i = 0; i < hops; i++)
		route[i] = &s.d->nodes[s.hop[i]];
	return 0;
}
