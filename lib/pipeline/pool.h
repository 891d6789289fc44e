/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PIPELINE_POOL_H
#define BETANET_PIPELINE_POOL_H

#include <rte_mempool.h>
#include <rte_mbuf.h>
#include <stdint.h>
#include "core/error.h"
#include "pipeline/betanet.h"

/*
 * The pool of packet buffers: an rte_mempool of DPDK's per-lcore caches in front of one shared
 * ring, with a backend of our own ("mix_ring") that counts what the caches could not give.
 *
 * DPDK (22.11, rte_mempool_do_generic_get) first takes from the lcore's cache. For what is missing
 * it asks the backend for cache size + missing objects, right into the cache, and hands the missing
 * ones on; if there are not so many it asks for the missing ones alone. Drivers that refill a cache
 * by themselves (the vector paths of i40e, ice, iavf) ask for as many, behind what is in it. So of
 * n objects that go into a cache n - size were missing; of n that go elsewhere, all were. This is
 * exact for the default caches, the only ones that a pipeline uses.
 */
struct pool_counts {
	uint64_t misses;   /* objects that an lcore's own cache could not give */
	uint64_t refills;  /* calls that fetched them */
	uint64_t failures; /* requests that neither cache nor ring could serve */
};

/* n buffers with `priv` bytes of private area and `room` bytes of data each, and caches of `cache`.
 * NULL: rte_errno. Freed with rte_mempool_free. */
struct rte_mempool *pool_create(
	const char *name, unsigned n, unsigned cache, uint16_t priv, uint16_t room);

/* Summed over all lcores, since the pool was made. Any thread. */
void pool_count(const struct rte_mempool *p, struct pool_counts *c);

/* Buffers in the shared ring: what an lcore can have besides those in its own cache. Any thread;
 * two loads. */
uint32_t pool_shared(const struct rte_mempool *p);

/* Buffers that the calling lcore can have: shared ones and those in its own cache. */
uint32_t pool_free_here(struct rte_mempool *p);

struct burst;
struct worker;

/* Sizes and makes b->pool, and sets the watermarks of random drop. -EINVAL: pool_size is below the
 * sum; -ENOMEM. */
int pool_make(struct betanet *b, const struct betanet_port ports[], unsigned n, struct error *err);

/* From here on requests and misses count: what drivers took to fill their descriptors does not. */
void pool_begin(struct betanet *b);

/* The control lcore's own requests, counted. NULL or -ENOENT when there is no buffer. */
struct rte_mbuf *pool_alloc(struct betanet *b);
int pool_alloc_bulk(struct betanet *b, struct rte_mbuf *m[], unsigned n);

/* How many buffers the control lcore may take without causing drops: for submitted packets and
 * cover. */
uint32_t pool_spare(const struct betanet *b);

/* Random drop of arrivals while buffers are short: sets DROP_pool_full. A worker, behind parse. */
void pool_admit(struct worker *w, struct burst *burst);

/* Fills the pool's members. Any thread. */
void pool_stats(const struct betanet *b, struct betanet_stats *s);

#endif
