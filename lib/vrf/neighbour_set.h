/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_NEIGHBOUR_SET_H
#define BETANET_VRF_NEIGHBOUR_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "directory/directory.h"
#include "vrf/ecvrf.h"
#include "vrf/neighbour.h"
#include "vrf/scope.h"

/*
 * The set of directory nodes that a node may send to in an epoch: neighbour.h applied to a signed
 * directory. The relay makes its own with a record to publish (publish.h) and refuses other next
 * hops; clients and auditors get the same set from that record.
 *
 * Candidates are all nodes of the next layer but the node itself. The last layer's next layer is
 * layer 1. What that means for a relay:
 *
 * - It checks the packets that it forwards, loops of its own making included, by their next hop:
 *   its set holds it, or the packet is dropped and counted.
 * - What it delivers (Sphinx's final flag) goes to an address of the sender's choice and is not
 *   checked: senders may ask for fewer hops than there are layers, so every layer delivers, and
 *   reply blocks end in a delivery too. This is no way around the sets: a delivered message is
 *   shorter than a packet, so no relay takes it for one.
 * - The last layer forwards for loops alone. A loop of a node in layer L runs L+1 ... last, 1 ...
 * L, so that it leaves by the same links as what the node forwards for others. A sender's route
 *   begins in layer 1 and never wraps, but a relay of the last layer cannot tell the two apart:
 *   it forwards whatever stays inside its set.
 *
 * Nothing in a record is left to its node's choice, or it would try until the set pleases it:
 * the suite is ECVRF_TAI, the key period 0 (the directory lists one VRF key per node, and the
 * directory's hash is under the proof), and the beacon follows the rule below. A record of anything
 * else is refused even if its proof holds.
 */
struct neighbour_set {
	uint64_t epoch;
	unsigned node;  /* whose set it is: index into directory.nodes */
	unsigned layer; /* of the members */
	unsigned count; /* 0 if there is no candidate: a directory of one node */
	enum beacon_source beacon_source;
	uint32_t member[NEIGHBOUR_MAX];          /* indices, in the order of selection */
	uint64_t bits[DIRECTORY_MAX_NODES / 64]; /* the same members by index */
};

/* Any index; one outside the directory is in no set. For the datapath: one load. */
static inline bool neighbour_set_contains(const struct neighbour_set *s, unsigned node)
{
	return node < DIRECTORY_MAX_NODES && (s->bits[node / 64] >> node % 64 & 1);
}

/* The layer that nodes of `layer` (1..d->layers) send to. */
static inline unsigned neighbour_next_layer(const struct directory *d, unsigned layer)
{
	return layer % d->layers + 1;
}

/* ---- which epochs count */

/* Clocks of relays and senders may differ by this many seconds, less with epochs below 120 s: then
 * by half an epoch. */
enum { NEIGHBOUR_TOLERANCE = 60 };

/*
 * The epochs whose sets hold at `now` (seconds since 1970), the present one first: before and after
 * a boundary, for the tolerance, both of the two epochs that meet there. Relays forward what is in
 * any of these sets; senders take a node's record of the first epoch that has a valid one. Returns
 * 1 or 2. `seconds` (NEIGHBOUR_SECONDS_MIN..MAX) is the network's length of an epoch.
 */
unsigned neighbour_epochs(uint64_t now, uint32_t seconds, uint64_t epoch[2]);

/* ---- making and verifying */

/* What a set is about. The directory is borrowed. */
struct neighbour_epoch {
	const struct directory *directory;
	uint64_t epoch;
	uint32_t seconds; /* NEIGHBOUR_SECONDS_MIN..MAX, the same in the whole network */
};

/*
 * By the node itself, before the epoch starts; about 1.5 ms. `beacon` is beacon_choose's. `key` and
 * `identity` (Ed25519 secret key, 64 bytes) must be those that the directory lists for `node` (an
 * index). Deterministic: after a restart the same record comes out. 0; -EINVAL (not the node's
 * keys, or ranges), -EIO, -ENOMEM; then record and set are zeroed.
 */
int neighbour_set_make(const struct neighbour_epoch *e, unsigned node, const struct beacon *beacon,
	const struct ecvrf_key *key, const uint8_t identity[64],
	uint8_t record[NEIGHBOUR_RECORD_SIZE], struct neighbour_set *set, struct error *err);

/*
 * The beacon rule of a verifier. A record says where its beacon comes from:
 * - BEACON_DIRECTORY and BEACON_FALLBACK: it must be the value made of the directory.
 * - BEACON_FILE: it must be that of `file`, the beacon that the verifier knows; without one
 *   (NULL) the record is refused.
 * With `any` all beacons pass: for auditors who look at the beacon afterwards, never for routing.
 */
struct neighbour_beacon {
	const struct beacon *file;
	bool any;
};

/*
 * By everyone else; about 1 ms. 0: *set is filled; else *set is zeroed: -EINVAL (form, or another
 * suite, key period or epoch length than above), -EACCES (signature), -ENOENT (another network,
 * node, key, beacon, epoch, layer or directory), -EBADMSG (proof), -ENOMEM.
 */
int neighbour_set_verify(const struct neighbour_epoch *e, unsigned node,
	const struct neighbour_beacon *beacon, const uint8_t *record, size_t len,
	struct neighbour_set *set, struct error *err);

#endif
