/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_SLOT_CLOCK_H
#define BETANET_MIX_SLOT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When a link sends. In the modes constant and poisson a link has slots of rate Λ, each of which
 * sends one packet, real or cover, so that what the wire shows is this clock and not the load.
 *
 *	constant: slot k stands at first + floor((c + k * hz) / rate), without drift; `first` is
 *	          uniform in one gap, so that the slots of several links do not fall together
 *	poisson:  gaps of hz/rate times delay_exp (vrf/delay.h): exponential, its error below 2^-53
 *	          of a mean, cut at 20 means (one gap in 5 * 10^8); fractions of a cycle are carried
 *	          from gap to gap
 *
 * Lateness. Slots are served by a polling worker, so a packet leaves late: by the time between two
 * looks at the clock. A slot that is more than `late_max` late is never sent; it is passed over and
 * counted (slot_clock_skip): at most 1 + late_max * rate slots of a link leave at once after a
 * stall of any length. late_max is SLOT_LATE_US or one mean gap, whichever is longer: a slot of
 * slow links had better be a little late than missing.
 *
 * Times are in TSC cycles, or in any other unit with `hz` of them a second. One thread owns a clock
 * and its random numbers. They are no secret for longer than until the slot has been seen on the
 * wire: no locked memory.
 */
enum { SLOT_LATE_US = 1000 };

/* ---- random numbers: no system call, no allocation */

enum { SLOT_SEED_SIZE = 32, SLOT_RANDOM_WORDS = 64 };

/* ChaCha20 output, a buffer at a time; each buffer starts with the key of the next one, so that a
 * key that was used exists no longer. */
struct slot_random {
	uint8_t key[SLOT_SEED_SIZE];
	uint64_t word[SLOT_RANDOM_WORDS];
	unsigned left;
};

/* The same seed, the same numbers: a seed of the operating system's for a relay, a fixed one for a
 * test. */
void slot_random_seed(struct slot_random *r, const uint8_t seed[SLOT_SEED_SIZE]);

/* Uniform in 0..2^64-1. */
uint64_t slot_random_next(struct slot_random *r);

/* ---- clock */

enum slot_law { SLOT_CONSTANT, SLOT_POISSON };

struct slot_clock {
	uint64_t next; /* the slot that comes; read it, write it with the functions below only */
	uint64_t late_max;
	enum slot_law law;
	uint64_t rate, hz;
	uint64_t mean;  /* poisson: gap in 2^-16 cycles */
	uint64_t carry; /* constant: in 1/rate cycles; poisson: in 2^-16 cycles */
};

/* The first slot comes after `now`: within a gap (constant), or after an exponential time. -EINVAL
 * unless 1 <= rate <= hz <= 2^40. */
int slot_clock_init(struct slot_clock *c, enum slot_law law, uint64_t rate, uint64_t hz,
	uint64_t now, struct slot_random *r);

/* The slot at c->next was served: on to the one after it, which may be in the past. */
void slot_clock_advance(struct slot_clock *c, struct slot_random *r);

/*
 * Passes over the slots that are more than late_max late at `now` and returns how many they were.
 * Those that are left keep their law: constant slots stay on their grid, and a Poisson process goes
 * on from any moment as if it began there. Poisson slots are counted one by one up to
 * SLOT_SKIP_DRAWS, beyond that by their expectation; the time that it takes is bounded.
 */
enum { SLOT_SKIP_DRAWS = 64 };
uint64_t slot_clock_skip(struct slot_clock *c, struct slot_random *r, uint64_t now);

/* ---- heap: which of many clocks is next */

struct slot_entry {
	uint64_t at;
	uint32_t index; /* the caller's */
};

/* A binary heap; the owner gives the memory. */
struct slot_heap {
	struct slot_entry *entry;
	unsigned count, capacity;
};

/* -ENOSPC at capacity. */
int slot_heap_push(struct slot_heap *h, uint64_t at, uint32_t index);

/* UINT64_MAX when the heap is empty. */
static inline uint64_t slot_heap_next(const struct slot_heap *h)
{
	return h->count ? h->entry[0].at : UINT64_MAX;
}

/* The first entry comes again at `at`. The heap is not empty. */
void slot_heap_again(struct slot_heap *h, uint64_t at);

#endif
