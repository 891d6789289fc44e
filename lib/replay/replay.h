/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_REPLAY_REPLAY_H
#define BETANET_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"

/*
 * The replay table: remembers the tag of every packet that was accepted under a Sphinx key. One
 * table for all workers; insert-only open addressing with 64-bit keyed fingerprints (SipHash-2-4,
 * Aumasson and Bernstein 2012) and a compare-and-swap into the first empty slot, so no false
 * negatives and false positives of about n/2^64. Full: fails closed.
 *
 * Without a file it is memory, all of it touched at opening, so that no worker meets a page fault.
 *
 * With a file the table is mapped from it: it survives the process, so that a restart with the same
 * key accepts nothing twice. The file is bound to the Sphinx public key. After a crash of the
 * machine (the boot id differs and the file was not closed in order) its content cannot be trusted:
 * opening it is refused and the operator makes a new key.
 */
struct replay;

enum replay_result {
	REPLAY_NEW, /* never seen; now remembered */
	REPLAY_SEEN,
	REPLAY_FULL, /* not remembered: the packet must be dropped */
};

struct replay_params {
	uint64_t capacity;         /* tags, 1024..2^34 */
	const char *path;          /* file, or NULL: memory only */
	const uint8_t *public_key; /* 32 bytes: the Sphinx key that the tags belong to; NULL only
				      without a file */
};

/*
 * 0, or negative with `err` set: -EINVAL (capacity; file of another key, size or format, or
 * damaged), -ESTALE (not closed before the machine restarted), -EBUSY (another process has it
 * open), -EPERM (others may read or write it), -ENOMEM, or what the file system said. An existing
 * file is never damaged by a failure. A file that does not exist is made, mode 0600, with all its
 * blocks: it is for the caller to know that its key is new, for a lost file with an old key forgets
 * every tag. sodium_init() must have been called.
 */
int replay_open(const struct replay_params *p, struct replay **out, struct error *err);

/* Syncs and closes the file, marks it as closed in order; wipes the key in memory. NULL is fine. */
void replay_close(struct replay *r);

/* The fingerprint is a PRF of the tag under the table's key: never 0. Any thread. */
uint64_t replay_fingerprint(const struct replay *r, const uint8_t tag[32]);
void replay_prefetch(const struct replay *r, uint64_t fingerprint);

/* Any number of threads at the same time: of several calls with one tag exactly one gets
 * REPLAY_NEW. */
enum replay_result replay_check_and_set(struct replay *r, uint64_t fingerprint);

uint64_t replay_count(const struct replay *r);    /* tags remembered; calls under way may add one
						     each for a moment */
uint64_t replay_capacity(const struct replay *r); /* tags that fit */
uint64_t replay_memory(uint64_t capacity);        /* bytes */

#endif
