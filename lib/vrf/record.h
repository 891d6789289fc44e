/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_RECORD_H
#define BETANET_VRF_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "vrf/ecvrf.h"
#include "vrf/scope.h"

/*
 * What the published records of epochs and of neighbours have in common: the first 156 bytes, the
 * signature at the end, and what a verifier expects.
 *
 *	offset size
 *	  0   4  magic, by kind
 *	  4   1  version, 1
 *	  5   1  suite: 3 or 4
 *	  6   1  beacon source: 1, 2 or 3 (enum beacon_source)
 *	  7   1  `detail`, by kind
 *	  8  32  network id
 *	 40  32  node id: Ed25519 identity key
 *	 72   8  key period
 *	 80   8  epoch
 *	 88   4  epoch_seconds
 *	 92  32  VRF public key
 *	124  32  beacon
 *	156      by kind
 *	 -64 64  Ed25519 signature by the node id over label ‖ 00 ‖ all bytes before it
 *
 * Integers are big-endian. The encoding is unique: a record with one bit changed is refused.
 */
enum { RECORD_HEAD_SIZE = 156, RECORD_SIGNATURE_SIZE = 64, RECORD_MAX_SIZE = 332 };

struct record_kind {
	const char *name; /* in messages */
	char magic[5];
	const char *label; /* of the signature */
	size_t size;       /* in all, <= RECORD_MAX_SIZE */
	uint32_t seconds_min, seconds_max;
	uint8_t detail_min, detail_max;
};

struct record_head {
	enum ecvrf_suite suite;
	enum beacon_source beacon_source;
	uint8_t detail;
	struct vrf_scope scope;
	uint32_t epoch_seconds;
	uint8_t vrf_public[ECVRF_PUBLIC_SIZE];
};

/* What the verifier knows from the signed directory and elsewhere. */
struct record_expect {
	uint8_t network_id[32];
	uint8_t node_id[32];
	uint8_t vrf_public[ECVRF_PUBLIC_SIZE];
	const uint8_t *beacon; /* 32 bytes; NULL: any */
	const uint64_t *epoch; /* NULL: any */
};

void record_head_encode(
	const struct record_kind *kind, const struct record_head *h, uint8_t out[RECORD_HEAD_SIZE]);

/* 0; -EINVAL with `err` set. */
int record_head_decode(const struct record_kind *kind, const uint8_t *data, size_t len,
	struct record_head *h, struct error *err);

/* -EINVAL with `err` set to "<name>: <what>". */
int record_malformed(const struct record_kind *kind, const char *what, struct error *err);

/* The signature goes behind the kind->size - 64 bytes before it. `identity`: Ed25519 secret key. */
void record_sign(const struct record_kind *kind, uint8_t *record, const uint8_t identity[64]);

/* 0; -EACCES with `err` set. */
int record_check_signature(
	const struct record_kind *kind, const uint8_t *record, struct error *err);

/* 0; -ENOENT with `err` set when something differs. */
int record_check_expected(const struct record_kind *kind, const struct record_head *h,
	const struct record_expect *x, struct error *err);

#endif
