/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_SLOTS_H
#define BETANET_CLIENT_SLOTS_H

#include <stdint.h>

/*
 * When a client under cover sends, and what for (Loopix: Piotrowska et al. 2017, 3.2): three
 * Poisson streams, drawn as one of the sum of their rates whose points are marked at random.
 */
enum slot_kind {
	SLOT_PAYLOAD, /* a packet of the message, or a drop packet when none waits */
	SLOT_LOOP,
	SLOT_DROP,
	SLOT_KINDS,
};

struct slots {
	double rate[SLOT_KINDS]; /* a second; at least one is not 0 */
	uint64_t next_ns;
};

double slots_rate(const struct slots *s);

/* The next slot's time, never before the last one's. */
uint64_t slots_draw(struct slots *s, enum slot_kind *kind);

#endif
