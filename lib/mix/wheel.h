/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_WHEEL_H
#define BETANET_MIX_WHEEL_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"

/*
 * A worker's timer wheel: parks objects (mbufs) until they are due. Single level: slots of one
 * tick, each a list of chunks taken from a pool made at creation, so that nothing is allocated
 * later. One thread owns a wheel. Times are in TSC cycles (or any monotonic unit, the same
 * everywhere).
 *
 * Promises: nothing leaves before `due`; without stalls nothing leaves later than due + tick + the
 * time between two wheel_expire calls; inside a tick objects leave in the order of `tie`, never of
 * arrival; after a stall overdue ticks leave in their order. Insert and expire cost O(1) amortised,
 * whatever the number parked.
 */
struct wheel;

struct wheel_params {
	uint64_t tick; /* cycles per slot, >= 1 */
	/* Longest stay in cycles, counted from the latest wheel_expire: the longest delay plus the
	 * longest loop or stall that shall be borne. horizon/tick <= 2^24. */
	uint64_t horizon;
	uint32_t capacity; /* most objects parked at once, 1..2^30 */
	uint64_t now;
};

/* An object that has become due. */
struct wheel_item {
	void *obj;
	uint64_t due;
	uint64_t tie;
};

/* 0; -EINVAL (err names the parameter), -ENOMEM. */
int wheel_create(const struct wheel_params *p, struct wheel **out, struct error *err);

/* The wheel must be empty of objects that anyone still needs: they are forgotten, not freed. NULL
 * is fine. */
void wheel_free(struct wheel *w);

/*
 * 0; -ENOSPC at capacity. A `due` in the past leaves at the next tick; beyond the horizon, or
 * beyond what the slots hold while overdue ticks wait to be drained: -ERANGE. Equal ties leave in
 * an order that is not promised: ties are the output of a PRF.
 */
int wheel_insert(struct wheel *w, void *obj, uint64_t due, uint64_t tie);

/*
 * Takes up to `max` due objects into `out`, in order of tick, then tie. Returns how many. If it
 * returns `max` there may be more: call again with the same `now`. `now` never goes backwards.
 */
unsigned wheel_expire(struct wheel *w, uint64_t now, struct wheel_item *out, unsigned max);

/* Takes up to `max` objects, due or not: for the end of a drain, when they are dropped. */
unsigned wheel_flush(struct wheel *w, struct wheel_item *out, unsigned max);

/* Objects parked. */
uint32_t wheel_count(const struct wheel *w);

/* From when on wheel_expire will give the next object, for an idle worker's sleep (in the past when
 * it would do so now); UINT64_MAX when the wheel is empty. */
uint64_t wheel_next_due(const struct wheel *w);

/* Bytes that a wheel of these parameters takes: for the printed arithmetic. */
size_t wheel_memory(const struct wheel_params *p);

#endif
