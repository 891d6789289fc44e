/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_NEIGHBOURS_H
#define BETANET_CLIENT_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "core/error.h"
#include "directory/directory.h"
#include "vrf/neighbour_set.h"

/*
 * The relays' neighbour sets of the present epoch, read from a folder of published records
 * (vrf/publish.h) and verified, and routes inside them: each hop is in the set of the hop before.
 *
 * A relay without a valid record of an epoch that holds now (neighbour_epochs: the present one, and
 * for up to 60 s around a boundary the one beyond it) sits out: no route leads through it, not even
 * as the last hop. The present epoch's record comes first; the other epoch's serves while that is
 * missing. The folder should be a mirror of all records: to fetch those of one's own routes alone
 * would tell the server the routes.
 *
 * The beacon file holds the beacon that the relays had when they made the present epoch's records;
 * it is read again with the records, and its age is not judged here.
 *
 * What leads through a set of an epoch is forwarded until the epoch ends, and for the tolerance
 * after it. A reply block is no exception: used later, its packet is dropped unless the sets of the
 * new epoch hold its hops as well, which they do in layers of at most NEIGHBOUR_ALL relays.
 */
struct neighbours_params {
	const struct directory *directory; /* borrowed */
	const char *folder;                /* borrowed */
	const char *beacon;                /* file of the network's beacon; NULL: it has none */
	uint32_t seconds;                  /* NEIGHBOUR_SECONDS_MIN..MAX */
	unsigned layers;                   /* relays of layers 1..layers are looked at */
};

enum { NEIGHBOURS_RETRY = 10 }; /* seconds until missing records are looked for again */

struct neighbours;

/* After ecvrf_self_test. 0; -EINVAL, -ENOMEM. NULL is fine for neighbours_free. */
int neighbours_create(
	const struct neighbours_params *p, struct neighbours **out, struct error *err);
void neighbours_free(struct neighbours *n);

/*
 * Brings the sets to `now` (seconds since 1970): reads when the epochs that hold have changed, and
 * every NEIGHBOURS_RETRY seconds while records are missing; otherwise it returns at once. About 1
 * ms for each record that is new. 0, however many are missing; or an error of the folder or of the
 * beacon file, and then all relays sit out.
 */
int neighbours_refresh(struct neighbours *n, uint64_t now, struct error *err);

/* As given to neighbours_create. */
const struct neighbours_params *neighbours_params_of(const struct neighbours *n);

/* NULL: the relay (an index into the directory) sits out. */
const struct neighbour_set *neighbours_of(const struct neighbours *n, unsigned node);

/* Why it does; "" when it does not. */
const char *neighbours_reason(const struct neighbours *n, unsigned node);

/* How many relays of the layers sit out, and of how many. */
unsigned neighbours_missing(const struct neighbours *n, unsigned *of);

/* A line to `out` for each relay that has begun to sit out since the last call, the first few with
 * the reason, and how many it are. Nothing when none has. */
void neighbours_report(struct neighbours *n, FILE *out);

/* Until when (seconds since 1970) packets and reply blocks made now are sure to be forwarded;
 * UINT64_MAX when the sets are whole layers, which do not change with the epoch. */
uint64_t neighbours_hold_until(const struct neighbours *n);

/*
 * Draws hops 1..layers into route[]: nodes of distinct families where a family is set, that reach
 * each other by a common address family, the first by `entry_family` (4 or 6; 0: any), the last
 * with one of `exit_family`. Each hop is drawn by weight among those of the set of the hop before
 * that leave a route, the first among layer 1. 0; -EINVAL (hops); -ENOMEM; -ENOENT: no route; `err`
 * names what is missing.
 */
int neighbours_draw_route(const struct neighbours *n, unsigned hops, uint8_t entry_family,
	uint8_t exit_family, const struct directory_node **route, struct error *err);

#endif
