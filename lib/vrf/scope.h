/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_SCOPE_H
#define BETANET_VRF_SCOPE_H

#include <stdint.h>
#include "core/error.h"

/*
 * What a proof is about: the VRF's input alpha, made so that no two uses share one.
 *
 *	"BNMIX-VRF-v1" ‖ purpose(1) ‖ network_id(32) ‖ node_id(32) ‖ key_period u64be ‖ epoch u64be
 *		‖ beacon(32)                                                     purpose 1: delays
 *		‖ beacon(32) ‖ directory_hash(32) ‖ layer(1)                     purpose 2:
 *neighbours
 */
enum {
	VRF_ALPHA_DELAY_SIZE = 12 + 1 + 32 + 32 + 8 + 8 + 32,
	VRF_ALPHA_NEIGHBOUR_SIZE = VRF_ALPHA_DELAY_SIZE + 32 + 1,
};

struct vrf_scope {
	uint8_t network_id[32]; /* of the signed directory */
	uint8_t node_id[32];    /* the node's Ed25519 identity key */
	uint64_t key_period;    /* number of the period whose VRF key is used */
	uint64_t epoch;
	uint8_t beacon[32]; /* struct beacon's value */
};

void vrf_alpha_delay(uint8_t out[VRF_ALPHA_DELAY_SIZE], const struct vrf_scope *s);

/* `layer`: that of the candidates, which the node sends to. */
void vrf_alpha_neighbour(uint8_t out[VRF_ALPHA_NEIGHBOUR_SIZE], const struct vrf_scope *s,
	const uint8_t directory_hash[32], uint8_t layer);

/* ---- the beacon: a value that no node could know when its VRF key was registered */

enum beacon_source {
	BEACON_DIRECTORY = 1, /* made of the signed directory's hash: no file is configured */
	BEACON_FILE = 2,      /* from the configured file, a drand round for instance */
	BEACON_FALLBACK = 3, /* a file is configured but missing, malformed, stale or of the future:
				the directory's value instead */
};

struct beacon {
	uint8_t value[32];
	enum beacon_source source;
	uint64_t round; /* 0 unless from a file */
	uint64_t time;  /* seconds since 1970 when it became known; 0 unless from a file */
};

/*
 * The rule. A proof needs some beacon, and a relay without one would have to stop or to give up its
 * proofs; so a missing file beacon is replaced by a value that everyone can compute,
 *
 *	BLAKE2b-256("bnmix-beacon-directory" ‖ network_id ‖ directory_hash)
 *
 * and the source is BEACON_FALLBACK. The caller logs it, counts it and shows it in telemetry; every
 * record carries the source inside its signature. The directory lists the VRF keys, so its hash
 * too was unknown when they were made; only the authority could steer it.
 *
 * `file` is NULL when none could be read. `wanted` tells whether a file is configured. `max_age` in
 * seconds, against `now` (seconds since 1970).
 */
void beacon_choose(struct beacon *out, int wanted, const struct beacon *file, uint64_t now,
	uint64_t max_age, const uint8_t network_id[32], const uint8_t directory_hash[32]);

/* The text of a beacon file: one line, "<round> <seconds since 1970> <64 hex digits>\n". 0; -EINVAL
 * with `err` set. */
int beacon_parse(struct beacon *out, const char *text, struct error *err);

#endif
