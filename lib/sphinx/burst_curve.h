/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_BURST_CURVE_H
#define BETANET_SPHINX_BURST_CURVE_H

#include <stdbool.h>
#include <stdint.h>
#include "crypto/x25519_mb.h"

/*
 * Inside of lib/sphinx: pair kernel or two ladders for a burst of n packets?
 *
 * With L ticks for a ladder over the burst, B for the pair's preparation and M for one of its
 * multiplications, and a share f of packets that go on, two ladders take L + fL and the pair takes
 * B + M + fM. So the pair pays where f > (B + M - L) / (L - M); about 1/3 for AVX2
 * (performance.md). Neither the costs nor that share are the same on every CPU and for every burst
 * size, so both are measured: the costs once, for some sizes, and f as a moving average over about
 * CURVE_MEMORY packets. Forged and replayed packets, as well as final ones, do not go on.
 *
 * Hysteresis: a size class changes to the pair when f exceeds its threshold by CURVE_MARGIN, and
 * back when f is below it by as much. A threshold above CURVE_HIGHEST counts as never: f could
 * hardly exceed it by the margin. Before any packet was seen f is 1: a relay's packets go on.
 */

enum {
	CURVE_CLASSES = 6,
	CURVE_ONE = 65536, /* shares are in units of 1/65536 */
	CURVE_MARGIN = CURVE_ONE / 20,
	CURVE_HIGHEST = CURVE_ONE - 2 * CURVE_MARGIN,
	CURVE_NEVER = 2 * CURVE_ONE, /* a threshold that no share reaches */
	CURVE_MEMORY = 512,
};

/* Largest burst of each class, and the burst that is measured for it. */
extern const unsigned curve_class_size[CURVE_CLASSES];

struct curve_costs { /* in ticks, for a burst of curve_class_size[i] */
	uint64_t ladder[CURVE_CLASSES], begin[CURVE_CLASSES], mult[CURVE_CLASSES];
};

struct curve_choice {
	uint32_t share; /* f */
	uint32_t threshold[CURVE_CLASSES];
	bool pair[CURVE_CLASSES];
};

/* `pair` has room for the largest class. */
void curve_costs_measure(struct curve_costs *costs, struct x25519_pair *pair);

void curve_choice_init(struct curve_choice *c, const struct curve_costs *costs);

/* For a burst of n, 1 or more. */
bool curve_choice_pair(struct curve_choice *c, unsigned n);

/* Of n packets opened, `forward` went on. */
void curve_choice_note(struct curve_choice *c, unsigned n, unsigned forward);

#endif
