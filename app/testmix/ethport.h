/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_ETHPORT_H
#define BETANET_TESTMIX_ETHPORT_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <rte_mbuf.h>
#include "core/error.h"

/* An ethdev, used by one lcore alone once it runs. */
struct ethport {
	uint16_t id;
	uint16_t queues; /* RX and as many TX: 1 but for ethport_open_wide */
	char name[64];
	uint8_t mac[6];
	struct rte_mempool *pool; /* its own, for both directions */
};

enum {
	ETHPORT_BURST = 32,
	ETHPORT_IDLE_US = 100, /* sleep of an idle lcore */
};

/* `which`: number or name of an ethdev. Configures it, does not start it. 0; -ENODEV (`err` lists
 * those there are); -ENOMEM; the driver's error. */
int ethport_open(struct ethport *p, const char *which, struct error *err);

/* The same with `queues` RX and TX queues, and `mbufs` packet buffers with `priv` bytes (a multiple
 * of 8) of private area each. */
int ethport_open_wide(struct ethport *p, const char *which, unsigned queues, unsigned mbufs,
	uint16_t priv, struct error *err);

/*
 * Starts it and waits until the link is up. A memif client cannot start before its server listens,
 * so both are tried until `deadline` (ethport_now) or until `stop` is set: then -ETIMEDOUT or
 * -EINTR.
 */
int ethport_start(struct ethport *p, uint64_t deadline, const atomic_bool *stop, struct error *err);

void ethport_close(struct ethport *p);

/* A new mbuf of `len` bytes in one segment, *bytes its first; NULL when the pool is empty. */
struct rte_mbuf *ethport_mbuf(struct ethport *p, uint16_t len, uint8_t **bytes);

/* CLOCK_MONOTONIC in nanoseconds: the one clock of generator, sink and summary. */
static inline uint64_t ethport_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Sleeps, by about that much. */
void ethport_sleep_ns(uint64_t ns);

/* Once on each lcore that sleeps: lets the kernel end its sleeps at once instead of bundling them
 * into 50 us steps. */
void ethport_short_sleeps(void);

#endif
