/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers: how many, from where, and what happens when they run short. */
#include "pipeline/pool.h"
#include "mix/sizing.h"
#include "pipeline/pipeline.h"
#include "vrf/neighbour_set.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the backend
 * --------------------------------------------------------------------------------------------- */

/* Written by one lcore; the last one is shared by threads that EAL does not know. */
struct backend_lcore {
	struct pool_counts counts;
} __rte_cache_aligned;

struct backend {
	struct rte_ring *ring;
	struct backend_lcore lcore[RTE_MAX_LCORE + 1];
};

static int backend_alloc(struct rte_mempool *p)
{
	char name[RTE_RING_NAMESIZE];
	struct backend *k;

	if (snprintf(name, sizeof(name), RTE_MEMPOOL_MZ_FORMAT, p->name) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	k = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*k));
	if (!k)
		return -ENOMEM;
	memset(k, 0, sizeof(*k));
	k->ring = rte_ring_create(name, p->size, p->socket_id, RING_F_EXACT_SZ);
	if (!k->ring) {
		free(k);
		return -rte_errno;
	}
	p->pool_data = k;
	return 0;
}

static void backend_free(struct rte_mempool *p)
{
	struct backend *k = p->pool_data;

	if (!k)
		return;
	rte_ring_free(k->ring);
	free(k);
	p->pool_data = NULL;
}

static int backend_enqueue(struct rte_mempool *p, void *const *objects, unsigned n)
{
	const struct backend *k = p->pool_data;

	return rte_ring_mp_enqueue_bulk(k->ring, objects, n, NULL) ? 0 : -ENOBUFS;
}

static void add(uint64_t *counter, uint64_t n, bool shared)
{
	if (shared)
		__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
	else
		__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static bool into_cache(const struct rte_mempool_cache *cache, void **objects)
{
	return cache && objects >= cache->objs && objects < cache->objs + RTE_DIM(cache->objs);
}

static int backend_dequeue(struct rte_mempool *p, void **objects, unsigned n)
{
	struct backend *k = p->pool_data;
	unsigned lcore = RTE_MIN(rte_lcore_id(), (unsigned)RTE_MAX_LCORE);
	const struct rte_mempool_cache *cache = rte_mempool_default_cache(p, lcore);
	struct pool_counts *c = &k->lcore[lcore].counts;
	bool shared = lcore == RTE_MAX_LCORE;
	bool refill = into_cache(cache, objects);

	if (rte_ring_mc_dequeue_bulk(k->ring, objects, n, NULL) == 0) {
		if (!refill) /* else the request is tried again without filling the cache */
			add(&c->failures, 1, shared);
		return -ENOBUFS;
	}
	if (refill)
		n = n > cache->size ? n - cache->size : 0;
	add(&c->misses, n, shared);
	add(&c->refills, 1, shared);
	return 0;
}

static unsigned backend_count(const struct rte_mempool *p)
{
	const struct backend *k = p->pool_data;

	return rte_ring_count(k->ring);
}

static const struct rte_mempool_ops mix_ring = {
	.name = "mix_ring",
	.alloc = backend_alloc,
	.free = backend_free,
	.enqueue = backend_enqueue,
	.dequeue = backend_dequeue,
	.get_count = backend_count,
};

RTE_MEMPOOL_REGISTER_OPS(mix_ring);

struct rte_mempool *pool_create(
	const char *name, unsigned n, unsigned cache, uint16_t priv, uint16_t room)
{
	return rte_pktmbuf_pool_create_by_ops(
		name, n, cache, priv, room, SOCKET_ID_ANY, mix_ring.name);
}

void pool_count(const struct rte_mempool *p, struct pool_counts *c)
{
	const struct backend *k = p->pool_data;

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i <= RTE_MAX_LCORE; i++) {
		const struct pool_counts *l = &k->lcore[i].counts;

		c->misses += __atomic_load_n(&l->misses, __ATOMIC_RELAXED);
		c->refills += __atomic_load_n(&l->refills, __ATOMIC_RELAXED);
		c->failures += __atomic_load_n(&l->failures, __ATOMIC_RELAXED);
	}
}

uint32_t pool_shared(const struct rte_mempool *p)
{
	return backend_count(p);
}

uint32_t pool_free_here(struct rte_mempool *p)
{
	const struct rte_mempool_cache *cache = rte_mempool_default_cache(p, rte_lcore_id());

	return backend_count(p) + (cache ? cache->len : 0);
}

/* ---- watermarks
 * ---------------------------------------------------------------------------------------------- */

/* Each worker can always receive another burst, if only to drop it; the chance of a drop rises over
 * four more. */
static struct early_drop watermarks(const struct betanet_config *c)
{
	uint32_t bursts = c->workers * c->batch_size;

	return (struct early_drop){.all = bursts, .from = 5 * bursts};
}

uint32_t pool_spare(const struct betanet *b)
{
	uint32_t free = pool_free_here(b->pool);

	return free > b->early.from ? free - b->early.from : 0;
}

void pool_admit(struct worker *w, struct burst *burst)
{
	uint64_t chance = early_drop_chance(&w->b->early, pool_free_here(w->b->pool));

	if (chance == 0)
		return;
	for (unsigned i = 0; i < burst->n; i++)
		if (burst_live(burst, i) && early_dice_hit(&w->dice, chance))
			burst->reason[i] = DROP_pool_full;
	burst_settle(burst, w->stats.drops);
}

/* ---- how many
 * ------------------------------------------------------------------------------------------------
 */

static uint64_t pool_terms(const struct betanet_config *c, const struct betanet_port ports[],
	unsigned n, unsigned links, struct sizing_term t[SIZING_TERMS])
{
	bool slots = c->shaping >= BETANET_SHAPING_CONSTANT;
	uint64_t queues = (uint64_t)RTE_MAX(n, 1u) * c->workers;
	struct sizing s = {
		.rate_pps = c->target_pps,
		.mean_delay_s = c->mean_delay_ms / 1e3,
		.workers = c->workers,
		.batch_size = c->batch_size,
		.queue_depth = c->queue_depth,
		/* with slots only what an exit delivers goes past the links */
		.shaping_queues = slots && c->role != BETANET_EXIT ? 0 : queues,
		.links = c->shaping == BETANET_SHAPING_OFF ? 0 : links,
		.link_queues = queues,
		.link_cover = slots ? links_cover_stock(c) + 1 : 0, /* and one being sent */
		.submit_queues = n ? 0 : c->workers + 1, /* and the one to collect from */
		.control = n ? CONTROL_RING + (uint64_t)n * REPLY_RING : 0,
		.cache_per_lcore = POOL_CACHE,
		.cover_packets = cover_packets(c),
		.reserve = watermarks(c).from,
	};

	for (unsigned i = 0; i < n; i++) {
		s.rx_descriptors +=
			(uint64_t)RTE_MIN(ports[i].rx_queues, c->workers) * ports[i].rx_descriptors;
		s.tx_descriptors += (uint64_t)c->workers * ports[i].tx_descriptors;
	}
	return sizing_pool(&s, t);
}

uint32_t betanet_describe_pool(const struct betanet_config *c, const struct betanet_port ports[],
	unsigned n, unsigned links, char *out, size_t cap)
{
	struct sizing_term t[SIZING_TERMS];
	uint64_t sum = pool_terms(c, ports, n, links, t);

	sizing_print(t, sum, out, cap);
	return (uint32_t)RTE_MIN(sum, (uint64_t)UINT32_MAX);
}

/* As links.c counts them; a set of neighbours may allow fewer, and ports may reach fewer. */
static unsigned count_links(const struct betanet *b)
{
	const struct directory *d = b->directory;
	const struct directory_node *own;
	uint8_t key[32];

	if (!d)
		return 0;
	crypto_scalarmult_base(key, b->sphinx_secret);
	own = directory_find_sphinx_key(d, key);
	return directory_count_addresses(d, own ? neighbour_next_layer(d, own->layer) : 0, own);
}

/* The name of the largest term: what to look at first. */
static const char *largest(const struct sizing_term t[SIZING_TERMS])
{
	unsigned most = 0;

	for (unsigned i = 1; i < SIZING_TERMS; i++)
		if (t[i].mbufs > t[most].mbufs)
			most = i;
	return t[most].name;
}

int pool_make(struct betanet *b, const struct betanet_port ports[], unsigned n, struct error *err)
{
	struct sizing_term t[SIZING_TERMS];
	bool slots = b->cfg.shaping >= BETANET_SHAPING_CONSTANT;
	unsigned links = count_links(b);
	uint64_t need = pool_terms(&b->cfg, ports, n, links, t);
	uint32_t size = b->cfg.pool_size ? b->cfg.pool_size : (uint32_t)need;
	size_t room = LINK_HEADER_MAX + 4 + b->packet_size + 512;

	b->early = watermarks(&b->cfg);
	if (size < need)
		return error_set(err, EINVAL,
			"pool_size = %u: these settings need at least %lu buffers (--check-config "
			"prints the sum; its largest term: %s); raise pool_size or leave it out, "
			"or "
			"lower max_queue_depth%s",
			size, (unsigned long)need, largest(t),
			links && slots ? " or max_rate_pps" : "");
	if (slots)
		b->links.cover_budget =
			links ? links * links_cover_stock(&b->cfg) + size - (uint32_t)need : 0;
	room = RTE_PKTMBUF_HEADROOM + RTE_MAX(room, (size_t)RTE_MBUF_DEFAULT_DATAROOM);
	b->pool = pool_create("mix_pool", size, POOL_CACHE,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN), (uint16_t)room);
	if (!b->pool)
		return error_set(err, rte_errno,
			"pool_size = %u: no memory for buffers of %zu bytes each (%lu MiB); give "
			"EAL more (-m MB or hugepages): %s",
			size, room, (unsigned long)(size * (room + 256) >> 20),
			rte_strerror(rte_errno));
	return 0;
}

/* ---- requests
 * ------------------------------------------------------------------------------------------------
 */

void pool_begin(struct betanet *b)
{
	pool_count(b->pool, &b->pool_base);
}

int pool_alloc_bulk(struct betanet *b, struct rte_mbuf *m[], unsigned n)
{
	int r = rte_pktmbuf_alloc_bulk(b->pool, m, n);

	if (r == 0)
		b->control_stats.pool_requests += n;
	return r;
}

struct rte_mbuf *pool_alloc(struct betanet *b)
{
	struct rte_mbuf *m;

	return pool_alloc_bulk(b, &m, 1) == 0 ? m : NULL;
}

void pool_stats(const struct betanet *b, struct betanet_stats *s)
{
	struct pool_counts c;

	if (!b->pool)
		return;
	pool_count(b->pool, &c);
	s->pool_size = b->pool->size;
	s->pool_free = rte_mempool_avail_count(b->pool);
	s->pool_misses = c.misses - b->pool_base.misses;
	s->pool_requests = b->control_stats.pool_requests;
	for (unsigned i = 0; i < b->cfg.workers; i++)
		s->pool_requests += b->workers[i].stats.pool_requests;
}
