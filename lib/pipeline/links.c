/* SPDX-License-Identifier: BSD-3-Clause */
/* Which links there are: control's side. slots.c is the side of the workers that own them. */
#include "pipeline/pipeline.h"
#include "vrf/neighbour_set.h"

#include <errno.h>
#include <rte_cycles.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

int links_init(struct betanet *b, struct error *err)
{
	uint8_t seed[SLOT_SEED_SIZE];

	randombytes_buf(seed, sizeof(seed));
	slot_random_seed(&b->links.random, seed);
	sodium_memzero(seed, sizeof(seed));
	if (pthread_mutex_init(&b->links.lock, NULL) != 0)
		return error_set(err, ENOMEM, "not enough memory for a lock");
	return 0;
}

int links_init_worker(struct worker *w, struct error *err)
{
	uint8_t seed[SLOT_SEED_SIZE];

	w->slots.gap = UINT64_MAX;
	/* the first guess, which an idle worker keeps: of the order of what bursts take */
	w->slots.chunk_cost = w->b->hz / 10000;
	w->slots.due_cost = w->b->hz / 100000;
	if (!shaping_has_slots(w->b))
		return 0;
	randombytes_buf(seed, sizeof(seed));
	slot_random_seed(&w->slots.random, seed);
	sodium_memzero(seed, sizeof(seed));
	w->slots.heap.capacity = LINKS_MAX;
	w->slots.heap.entry = calloc(LINKS_MAX, sizeof(*w->slots.heap.entry));
	return w->slots.heap.entry
		       ? 0
		       : error_set(err, ENOMEM, "not enough memory for the slots of %u links",
				 LINKS_MAX);
}

void links_free_worker(struct worker *w)
{
	free(w->slots.heap.entry);
}

/* ---- which addresses are links
 * ---------------------------------------------------------------------------------- */

static const struct hop *hop_of(const struct snapshot *s, const struct endpoint *address)
{
	uint8_t key[KEY_SIZE];
	int32_t at;

	if (!s || !s->has_directory)
		return NULL;
	address_key(key, address);
	at = rte_hash_lookup(s->hop_index, key);
	return at < 0 ? NULL : &s->hops[at];
}

static bool is_link(const struct betanet *b, const struct hop *hop)
{
	return hop->allowed && (b->port_count == 0 || hop->reachable);
}

/* ---- making and unmaking
 * ---------------------------------------------------------------------------------------- */

/* In memory of its own: DPDK's named rings take a memory zone each, of which a process has 2560. */
static struct rte_ring *make_ring(unsigned packets, unsigned flags)
{
	ssize_t size = rte_ring_get_memsize(rte_align32pow2(packets + 1));
	struct rte_ring *r = NULL;

	if (size > 0)
		r = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN_CEIL((size_t)size, (size_t)RTE_CACHE_LINE_SIZE));
	if (r && rte_ring_init(r, "mix_link", packets, flags | RING_F_EXACT_SZ) != 0) {
		free(r);
		r = NULL;
	}
	return r;
}

static void free_link(struct tx_link *l)
{
	if (!l)
		return;
	ring_drop(l->ring);
	ring_drop(l->cover);
	rte_pktmbuf_free(l->next_cover);
	free(l->ring);
	free(l->cover);
	free(l);
}

/* Packets of all links that leave by the same queues as this one: the arithmetic of the pool. */
static uint32_t depth_of_all(const struct betanet *b, const struct hop *hop)
{
	uint64_t queues = b->port_count ? b->ports[hop->port].tx_queues : b->cfg.workers;

	return (uint32_t)RTE_MIN(queues * b->cfg.queue_depth, UINT32_MAX / 8);
}

uint32_t links_cover_stock(const struct betanet_config *c)
{
	uint64_t n = c->max_rate_pps * COVER_STOCK_MS / 1000;

	return (uint32_t)RTE_MIN(RTE_MAX(n, (uint64_t)COVER_STOCK_MIN), (uint64_t)COVER_STOCK_MAX);
}

static bool make_clock(struct betanet *b, struct tx_link *l)
{
	uint64_t now = rte_rdtsc();

	if (!shaping_has_slots(b)) {
		token_bucket_init(&l->bucket, b->cfg.max_rate_pps, b->cfg.burst_size, b->hz, now);
		return true;
	}
	l->cover = make_ring(links_cover_stock(&b->cfg), RING_F_SP_ENQ | RING_F_SC_DEQ);
	return l->cover &&
	       slot_clock_init(&l->clock,
		       b->cfg.shaping == BETANET_SHAPING_POISSON ? SLOT_POISSON : SLOT_CONSTANT,
		       b->cfg.max_rate_pps, b->hz, now, &b->links.random) == 0;
}

/* `links`: how many share the queue depth with it. */
static struct tx_link *make_link(
	struct betanet *b, const struct hop *hop, const struct endpoint *address, unsigned links)
{
	struct tx_link *l = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*l));
	uint32_t all = depth_of_all(b, hop);
	unsigned queues = b->port_count ? b->ports[hop->port].tx_queues : b->cfg.workers;

	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->serial = b->links.serial++;
	l->address = *address;
	address_key(l->key, address);
	/* queue q of a port is worker q's */
	l->owner = l->serial % queues;
	l->txq = b->port_count ? &b->ports[hop->port].txq[l->owner] : &b->collect_txq[l->owner];
	l->capacity = RTE_MIN(all, RTE_MAX(all / links, 1u) * LINK_SLACK);
	l->ring = make_ring(l->capacity, RING_F_SC_DEQ | (b->cfg.workers == 1 ? RING_F_SP_ENQ : 0));
	if (!l->ring || !make_clock(b, l)) {
		free_link(l);
		return NULL;
	}
	return l;
}

static int append(struct betanet *b, struct tx_link *l)
{
	struct links *k = &b->links;

	if (k->count == k->cap) {
		unsigned cap = k->cap ? 2 * k->cap : 64;
		struct tx_link **more = realloc(k->link, cap * sizeof(struct tx_link *));

		if (!more)
			return -ENOMEM;
		k->link = more;
		k->cap = cap;
	}
	k->link[k->count++] = l;
	return 0;
}

/* ---- a snapshot's links
 * ---------------------------------------------------------------------------------------- */

/* What the links of a snapshot are made of. */
struct planning {
	struct betanet *b;
	struct snapshot *s;
	const struct snapshot *old;
	unsigned sharing[BETANET_MAX_PORTS]; /* links by port; [0] without ports */
	unsigned total;
};

/* Calls for each address that is a link. */
static int each_link(struct planning *p,
	int (*fn)(struct planning *p, struct hop *hop, unsigned node, const struct endpoint *at))
{
	const struct directory *d = p->b->directory;
	int self = p->b->own_node, r = 0;
	unsigned layer = self < 0 ? 0 : neighbour_next_layer(d, d->nodes[self].layer);

	for (unsigned i = 0; i < d->count && r == 0; i++) {
		const struct directory_node *n = &d->nodes[i];

		if ((int)i == self || (layer && n->layer != layer))
			continue;
		for (unsigned a = 0; a < n->addresses && r == 0; a++) {
			struct hop *hop = &p->s->hops[hop_of(p->s, &n->address[a]) - p->s->hops];

			if (is_link(p->b, hop))
				r = fn(p, hop, i, &n->address[a]);
		}
	}
	return r;
}

static int count_link(
	struct planning *p, struct hop *hop, unsigned node, const struct endpoint *address)
{
	(void)node;
	(void)address;
	p->sharing[hop->port]++;
	p->total++;
	return 0;
}

static int take_link(
	struct planning *p, struct hop *hop, unsigned node, const struct endpoint *address)
{
	const struct hop *was = hop_of(p->old, address);
	struct tx_link *l = was ? was->link : NULL;
	unsigned sharing = p->sharing[hop->port];
	uint32_t all = depth_of_all(p->b, hop);

	if (!l) {
		l = make_link(p->b, hop, address, sharing);
		if (!l || append(p->b, l) < 0) {
			free_link(l);
			return -ENOMEM;
		}
	}
	l->wanted = true;
	l->node = node;
	snprintf(l->name, sizeof(l->name), "%s", p->b->directory->nodes[node].name);
	if (l->cover)
		l->cover_want =
			RTE_MIN(links_cover_stock(&p->b->cfg), p->b->links.cover_budget / p->total);
	atomic_store_explicit(
		&l->depth, RTE_MIN(l->capacity, RTE_MAX(all / sharing, 1u)), memory_order_relaxed);
	hop->link = l;
	p->s->link_first[l->owner + 1]++;
	return 0;
}

/* link_first holds the number of each worker's links, shifted by one; makes positions of it. */
static int deal_links(struct planning *p)
{
	struct snapshot *s = p->s;
	unsigned at[BETANET_MAX_WORKERS];

	s->link_ref = calloc(p->total + 1, sizeof(*s->link_ref));
	if (!s->link_ref)
		return -ENOMEM;
	for (unsigned i = 0; i < p->b->cfg.workers; i++) {
		s->link_first[i + 1] += s->link_first[i];
		at[i] = s->link_first[i];
	}
	for (unsigned i = 0; i < p->b->links.count; i++) {
		struct tx_link *l = p->b->links.link[i];

		if (l->wanted)
			s->link_ref[at[l->owner]++] = (struct link_ref){
				.link = l, .hop = (uint32_t)(hop_of(s, &l->address) - s->hops)};
	}
	return 0;
}

int links_plan(struct betanet *b, struct snapshot *s)
{
	struct planning p = {.b = b, .s = s};
	int r;

	if (b->cfg.shaping == BETANET_SHAPING_OFF)
		return 0;
	p.old = atomic_load_explicit(&b->snapshot, memory_order_relaxed);
	if (b->links.cover_budget == 0)
		b->links.cover_budget = b->pool->size / 8;
	pthread_mutex_lock(&b->links.lock);
	for (unsigned i = 0; i < b->links.count; i++)
		b->links.link[i]->wanted = false;
	if (s->has_directory) {
		(void)each_link(&p, count_link);
		r = each_link(&p, take_link);
	} else {
		r = 0;
	}
	if (r == 0)
		r = deal_links(&p);
	pthread_mutex_unlock(&b->links.lock);
	return r;
}

/* Takes links that `gone` is true for off the list. */
static void remove_links(struct betanet *b, bool (*gone)(const struct betanet *, struct tx_link *),
	void (*then)(struct betanet *, struct tx_link *))
{
	unsigned kept = 0;

	pthread_mutex_lock(&b->links.lock);
	for (unsigned i = 0; i < b->links.count; i++) {
		struct tx_link *l = b->links.link[i];

		if (gone(b, l))
			then(b, l);
		else
			b->links.link[kept++] = l;
	}
	b->links.count = kept;
	pthread_mutex_unlock(&b->links.lock);
}

static bool is_not_wanted(const struct betanet *b, struct tx_link *l)
{
	(void)b;
	return !l->wanted;
}

static bool is_not_published(const struct betanet *b, struct tx_link *l)
{
	const struct snapshot *s = atomic_load_explicit(&b->snapshot, memory_order_relaxed);
	const struct hop *hop = hop_of(s, &l->address);

	return !hop || hop->link != l;
}

static void retire(struct betanet *b, struct tx_link *l)
{
	l->token = rte_rcu_qsbr_start(b->qsbr);
	l->next_retired = b->links.retired;
	b->links.retired = l;
}

static void free_now(struct betanet *b, struct tx_link *l)
{
	(void)b;
	free_link(l);
}

void links_commit(struct betanet *b)
{
	remove_links(b, is_not_wanted, retire);
}

void links_abandon(struct betanet *b)
{
	remove_links(b, is_not_published, free_now);
}

/* ---- the end of a link
 * ------------------------------------------------------------------------------------------ */

/* Nobody else uses the link any more. */
static void discard(struct betanet *b, struct tx_link *l, enum drop_reason why)
{
	struct rte_mbuf *m[64];
	unsigned n;

	while ((n = rte_ring_sc_dequeue_burst(l->ring, (void **)m, RTE_DIM(m), NULL)) > 0)
		egress_discard(b, m, n, why);
	ring_drop(l->cover);
	rte_pktmbuf_free(l->next_cover);
	l->next_cover = NULL;
}

void links_reclaim(struct betanet *b)
{
	struct tx_link **at = &b->links.retired;

	while (*at) {
		struct tx_link *l = *at;

		if (rte_rcu_qsbr_check(b->qsbr, l->token, false)) {
			*at = l->next_retired;
			discard(b, l, DROP_not_link);
			free_link(l);
		} else {
			at = &l->next_retired;
		}
	}
}

static void discard_staged(struct betanet *b, struct staged *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		if (g->cover[i])
			rte_pktmbuf_free(g->m[i]);
		else
			egress_discard(b, &g->m[i], 1, DROP_shutdown);
	}
	g->count = 0;
}

void links_discard(struct betanet *b)
{
	for (unsigned i = 0; i < b->links.count; i++)
		discard(b, b->links.link[i], DROP_shutdown);
	for (struct tx_link *l = b->links.retired; l; l = l->next_retired)
		discard(b, l, DROP_not_link);
	for (unsigned i = 0; i < b->cfg.workers; i++)
		for (unsigned q = 0; q < b->workers[i].own_count; q++)
			discard_staged(b, &b->workers[i].own[q]->staged);
}

void links_free(struct betanet *b)
{
	for (unsigned i = 0; i < b->links.count; i++)
		free_link(b->links.link[i]);
	for (struct tx_link *l = b->links.retired, *next; l; l = next) {
		next = l->next_retired;
		free_link(l);
	}
	free(b->links.link);
	pthread_mutex_destroy(&b->links.lock);
}
