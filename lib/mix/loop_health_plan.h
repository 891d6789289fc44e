/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_LOOP_HEALTH_PLAN_H
#define BETANET_MIX_LOOP_HEALTH_PLAN_H

#include "loop_health.h"

/* The numbers behind loop_health.h, which says what they mean; for loop_health.c alone. */

/* Share of an honest node's loops that LATE finds beyond its bound, at most (KNOWN). */
#define LOOP_HEALTH_BEYOND 0.1

/* `c` is valid, c->network_ns is set. */
void loop_health_make_plan(const struct loop_health_config *c, struct loop_health_plan *p);

/* A sum of `terms` exponentials of mean 1 is above this with chance `above`. */
double loop_health_quantile(unsigned terms, double above);

/* What a loop that took `x` mean delays adds to a chart. */
double loop_health_gain_early(unsigned delaying, double x);
double loop_health_gain_late(unsigned delaying, double x);
double loop_health_gain_beyond(bool beyond);

#endif
