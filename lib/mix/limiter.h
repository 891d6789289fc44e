/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_LIMITER_H
#define BETANET_MIX_LIMITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/error.h"

/*
 * How many packets a source may send: the generic cell rate algorithm in its virtual scheduling
 * form (ITU-T I.371, annex A). A source is one 64-bit word, the theoretical arrival time (TAT) of
 * its next packet; a packet that comes more than the tolerance before it is refused, and costs
 * nothing.
 *
 * Times are TSC cycles (or any monotonic unit, the same in all threads), below 2^63: a clock of
 * 4 GHz needs 73 years for that. TAT 0 is a source that was never heard of.
 */
struct gcra {
	uint64_t interval;  /* cycles a packet, rounded up: never more than the rate */
	uint64_t tolerance; /* (burst − 1) intervals */
};

enum { GCRA_BURST_MAX = 65536 };
#define GCRA_RATE_MAX UINT64_C(100000000)

/* rate_pps 1..GCRA_RATE_MAX, burst 1..GCRA_BURST_MAX packets, hz 1..2^40 cycles a second. Of the
 * rate at most rate_pps/hz is lost to rounding: 0.04 % at a million packets a second and 2.5 GHz.
 */
static inline struct gcra gcra_make(uint64_t rate_pps, uint32_t burst, uint64_t hz)
{
	uint64_t interval = (hz + rate_pps - 1) / rate_pps;

	return (struct gcra){interval, interval * (burst - 1u)};
}

static inline bool gcra_conforms(const struct gcra *g, uint64_t tat, uint64_t now)
{
	return tat <= now || tat - now <= g->tolerance;
}

/* The TAT behind a packet that conformed. */
static inline uint64_t gcra_next(const struct gcra *g, uint64_t tat, uint64_t now)
{
	return (tat > now ? tat : now) + g->interval;
}

/*
 * One packet of the source whose TAT is *word; any number of threads. Clocks of threads may differ
 * (a thread that lost its core comes with an old one): in any stretch of t cycles of the packets'
 * own times no more than burst + t/interval are admitted, whoever asks.
 */
static inline bool gcra_admit(const struct gcra *g, _Atomic uint64_t *word, uint64_t now)
{
	uint64_t tat = atomic_load_explicit(word, memory_order_relaxed);

	do
		if (!gcra_conforms(g, tat, now))
			return false;
	while (!atomic_compare_exchange_weak_explicit(
		word, &tat, gcra_next(g, tat, now), memory_order_relaxed, memory_order_relaxed));
	return true;
}

/*
 * The same for any number of strangers in a table that never grows. SipHash-2-4 with a key drawn at
 * creation gives a source two words, one in each half of the table; its TAT is the smaller of the
 * two, and a packet raises only what lies below its new TAT (conservative update: Estan, Varghese,
 * SIGCOMM 2002). So others can only raise a word, never lower it:
 *
 *  - No source is admitted above its rate, by any number of threads, whatever the others do.
 *  - A source is harmed only while others hold both of its words beyond the tolerance. With k
 *    sources at their limit and n words in a half the chance is (1 − (1 − 1/n)^k)²: with 2^19
 *    words in a half (8 MiB in all) and 10,000 of them 0.04 %. Only admitted packets raise a word,
 *    so k ≤ hostile packets admitted a second / rate. Packets of ever new (forged) sources, r a
 *    second, spread: they give a word r/n, which harms nobody while that is below the rate.
 */
struct limiter;

struct limiter_params {
	uint64_t rate_pps; /* of each source: 1..GCRA_RATE_MAX */
	uint32_t burst;    /* 1..GCRA_BURST_MAX packets */
	uint64_t hz;       /* cycles a second: 1..2^40 */
	uint64_t words;    /* of the table: a power of two, 4..2^32; 8 bytes each */
};

/* All memory is taken and touched here. 0; -EINVAL (err names the parameter), -ENOMEM. */
int limiter_create(const struct limiter_params *p, struct limiter **out, struct error *err);
void limiter_free(struct limiter *l); /* NULL is fine */

/* What counts as one source: an IPv4 address, the first 56 bits of an IPv6 address (what a customer
 * is given: RFC 6177). Never 0. `ip` in network byte order. */
uint64_t limiter_source4(const uint8_t ip[4]);
uint64_t limiter_source6(const uint8_t ip[16]);

/* Where a source's two words are. Asking loads them into the cache: ask for a whole burst before
 * the first limiter_admit. */
struct limiter_place {
	uint32_t at[2]; /* in the first and in the second half */
};
struct limiter_place limiter_locate(const struct limiter *l, uint64_t source);

/* One packet, by the rule above. Any number of threads; lock-free, no allocation. */
bool limiter_admit(struct limiter *l, struct limiter_place place, uint64_t now);

/* Bytes of the table; constant. */
size_t limiter_bytes(const struct limiter *l);

/* Words whose sources are beyond their tolerance at `now`: f = hot/words, and f² of all strangers
 * are harmed. Reads the whole table: for telemetry. */
uint64_t limiter_hot(const struct limiter *l, uint64_t now);

#endif
