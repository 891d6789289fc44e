/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_EPOCH_RECORD_H
#define BETANET_VRF_EPOCH_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "vrf/epoch.h"
#include "vrf/record.h"

/*
 * What a relay publishes of an epoch that is over and whose packets have left, so that anyone can
 * check the delays of packets that he knows the secrets of. Never tags, times or next hops: such a
 * log would link senders with receivers.
 *
 *	offset size
 *	  0 156  the head of every record (record.h): magic "BNEA"; detail is 1 proved, 0 not
 *proved; the VRF key is zeros when not proved for want of one 156  80  pi; zeros when not proved
 *	236   8  mean delay, ns
 *	244   8  longest delay by the VRF, ns: 20 means
 *	252   1  packets delayed, coarsely: 0 for none, else 1 + floor(log2 n)
 *	253   3  zeros
 *	256  64  signature, label "betanet-epoch-record-v1"
 */
enum { EPOCH_RECORD_SIZE = 320 };

struct epoch_record {
	struct record_head head;
	bool proved; /* head.detail */
	uint8_t pi[ECVRF_PROOF_SIZE];
	uint64_t mean_ns, cap_ns;
	uint8_t count_class;
};

/* 0 for 0, else 1 + floor(log2 n): 0..64. */
uint8_t epoch_count_class(uint64_t packets);

/*
 * When beta may be known: the epoch's end, the longest delay, and the tolerance of clocks twice
 * (the relay's and the reader's). In ns since 1970.
 */
uint64_t epoch_reveal_ns(const struct epoch_params *p, uint64_t epoch);

/*
 * Whether an epoch is among those to publish: one in `one_in` (1: all), by a beacon that became
 * known after the epoch, so that the relay could not know which epochs would be looked at:
 *	LE64(BLAKE2b-128(key = beacon, "bnmix-sample" ‖ node_id ‖ epoch u64be)) < 2^64 / one_in
 */
bool epoch_is_sampled(
	const uint8_t later_beacon[32], const uint8_t node_id[32], uint64_t epoch, uint64_t one_in);

/*
 * Makes the record of an epoch: proves again (nothing secret was kept) and signs. `key` is the VRF
 * key that the epoch was proved with; NULL will do if it was not proved. `identity` is the Ed25519
 * secret key (64 bytes) of params->node_id. `wall_ns` is the present. 0; -EAGAIN before the reveal
 * time; -EINVAL when a key is another than the epoch's or the node's; -EIO when the record does not
 * pass its own verification. On an error `out` is zeroed.
 */
int epoch_record_make(const struct epoch_params *params, const struct epoch_meta *meta,
	const struct ecvrf_key *key, const uint8_t identity[64], uint64_t packets, uint64_t wall_ns,
	uint8_t out[EPOCH_RECORD_SIZE], struct error *err);

/* Form only: sizes, ranges, constants. 0; -EINVAL with `err` set, *r zeroed. */
int epoch_record_decode(const uint8_t *data, size_t len, struct epoch_record *r, struct error *err);

/*
 * Form, signature, identity, proof. 0: proved; *r is filled and delay_epoch_key(key, beta, epoch)
 * gives the key of every delay in the epoch. -ENODATA: rightly signed, but it says "not proved"; *r
 * is filled. -EINVAL (form), -EACCES (signature), -ENOENT (another network, node, key, beacon or
 * epoch than expected; the key only where a proof is claimed), -EBADMSG (the proof is wrong); then
 * *r and beta are zeroed. beta may be NULL.
 */
int epoch_record_verify(const uint8_t *data, size_t len, const struct record_expect *expect,
	struct epoch_record *r, uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err);

/*
 * The delay by the VRF, in ns, that a packet arriving in the record's epoch should have had: for an
 * auditor who knows the shared secret that the packet had with the relay (its sender does). *r and
 * beta come from a successful epoch_record_verify. *tie may be NULL: its order in its tick.
 */
uint64_t epoch_record_delay(const struct epoch_record *r, const uint8_t beta[ECVRF_OUTPUT_SIZE],
	const uint8_t shared[DELAY_SHARED_SIZE], uint64_t *tie);

#endif
