/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_NEIGHBOUR_H
#define BETANET_VRF_NEIGHBOUR_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "sphinx/address.h"
#include "vrf/ecvrf.h"
#include "vrf/record.h"
#include "vrf/scope.h"

/*
 * Which nodes of the next layer a node may send to in an epoch. The node proves it before the epoch
 * starts; senders route inside it; anyone recomputes it from the signed directory and the record.
 *
 *	K   = BLAKE2b-256(key = beta, "bnmix-nb" ‖ epoch u64be)
 *	u_j = LE64(BLAKE2b-128(key = K, id_j)),  E_j = delay_exp(u_j)
 *
 * Candidates in the order of E_j / w_j, compared as E_i * w_j < E_j * w_i in 128 bits, ties by id:
 * weighted sampling without replacement (Efraimidis, Spirakis 2006). From the front, candidates are
 * taken until there are d, leaving out one that would break a cap. All in integers: every verifier
 * gets the same list. u_j depends on the node's id alone: under one beta, a node more or less moves
 * few links. (A new directory has a new hash, so a new alpha and beta: it draws all links anew.)
 *
 * d is all candidates, without caps, while there are at most NEIGHBOUR_ALL; else ceil(4 ln n), as
 * neighbour_degree defines it.
 */
enum {
	NEIGHBOUR_ALL = 64,
	NEIGHBOUR_MAX_CANDIDATES = 4096, /* of the directory */
	NEIGHBOUR_MAX = 64,              /* chosen */
	NEIGHBOUR_PER_PREFIX = 2,        /* chosen of one IPv4 /24 or IPv6 /48 */
	NEIGHBOUR_PER_FAMILY = 4,        /* chosen of one operator */
	NEIGHBOUR_SECONDS_DEFAULT = 3600,
	NEIGHBOUR_SECONDS_MIN = 60,
	NEIGHBOUR_SECONDS_MAX = 86400,
};

struct neighbour_candidate {
	uint8_t id[32];             /* Ed25519 identity key; no two alike */
	uint32_t weight;            /* >= 1, from the signed directory, never measured locally */
	struct endpoint address[2]; /* the port does not matter */
	unsigned addresses;         /* 1 or 2 */
	const char *family;         /* "" when none; borrowed */
};

/*
 * How many are chosen of n: n up to 64, else the smallest d with n <= floor(e^(d/4)), by a table:
 * the same as max(16, ceil(4 ln n)), exactly, because e^(d/4) is never whole. n <=
 * NEIGHBOUR_MAX_CANDIDATES, else 0.
 */
unsigned neighbour_degree(unsigned n);

/*
 * Writes the indices of the chosen into chosen[0..*count], in the order of selection; the order of
 * the candidates does not matter. Fewer than neighbour_degree(n) when the caps leave no more. 0;
 * -EINVAL (err: too many candidates, two of one id, weight 0, addresses not 1 or 2, an address
 * family other than 4 or 6); -ENOMEM. On an error *count is 0.
 */
int neighbour_select(const struct neighbour_candidate *candidates, unsigned n,
	const uint8_t beta[ECVRF_OUTPUT_SIZE], uint64_t epoch, unsigned chosen[NEIGHBOUR_MAX],
	unsigned *count, struct error *err);

/*
 * The record, published before its epoch starts (record.h describes the head and the signature):
 *
 *	offset size
 *	  0 156  head; magic "BNNB"; detail is the candidates' layer, 1 to 5
 *	156  32  hash of the signed directory
 *	188  80  pi
 *	268  64  signature, label "betanet-neighbour-record-v1"
 *
 * A node without a valid record sits the epoch out: nobody routes through it.
 */
enum { NEIGHBOUR_RECORD_SIZE = 332, NEIGHBOUR_MAX_LAYER = 5 };

struct neighbour_record {
	struct record_head head;
	uint8_t layer; /* head.detail */
	uint8_t directory_hash[32];
	uint8_t pi[ECVRF_PROOF_SIZE];
};

/*
 * Proves and signs. head's suite, beacon source, scope and epoch_seconds are the caller's, as are
 * layer and directory_hash; head.detail, head.vrf_public and pi are set here. `identity`: the
 * Ed25519 secret key (64 bytes) of scope.node_id. beta is the output for neighbour_select. 0;
 * -EINVAL when the fields are out of range, or `identity` is not the node's, or the VRF key has the
 * identity's seed; -EIO when the proof fails its own verification. On an error `out` and beta are
 * zeroed.
 */
int neighbour_record_make(struct neighbour_record *r, const struct ecvrf_key *key,
	const uint8_t identity[64], uint8_t out[NEIGHBOUR_RECORD_SIZE],
	uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err);

/*
 * Form, signature, identity, proof. `expect` and the rest are what the verifier knows: of the node
 * from the directory, the directory's hash and the layer that the node sends to. 0: *r and beta are
 * filled. -EINVAL (form), -EACCES (signature), -ENOENT (another network, node, key, beacon, epoch,
 * layer or directory), -EBADMSG (proof); then *r and beta are zeroed.
 */
int neighbour_record_verify(const uint8_t *data, size_t len, const struct record_expect *expect,
	uint8_t layer, const uint8_t directory_hash[32], struct neighbour_record *r,
	uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err);

#endif
