/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_EARLY_DROP_H
#define BETANET_MIX_EARLY_DROP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Random drop at a full pool. While more than `from` buffers are free nothing is dropped; at `all`
 * or fewer every arrival is; between them with a probability that rises linearly. Whoever sends
 * more loses more, and nobody can tell which of his packets it will be. Only arrivals are dropped:
 * a parked packet stays until it is due.
 */
struct early_drop {
	uint32_t all, from; /* free buffers; all < from */
};

/* The probability, in 2^-32: 0 .. 2^32. */
static inline uint64_t early_drop_chance(const struct early_drop *d, uint32_t free)
{
	if (free >= d->from)
		return 0;
	if (free <= d->all)
		return 1ull << 32;
	return ((uint64_t)(d->from - free) << 32) / (d->from - d->all);
}

/*
 * A worker's dice: ChaCha20 output, drawn in blocks. No system call after early_dice_init. One
 * thread owns it.
 */
enum { EARLY_DICE_DRAWS = 128 };

struct early_dice {
	uint8_t key[32];
	uint64_t block;
	uint32_t draw[EARLY_DICE_DRAWS];
	unsigned left;
};

/* `key`: 32 bytes that nobody else knows. */
void early_dice_init(struct early_dice *d, const uint8_t key[32]);

/* True with the probability `chance` * 2^-32. */
bool early_dice_hit(struct early_dice *d, uint64_t chance);

#endif
