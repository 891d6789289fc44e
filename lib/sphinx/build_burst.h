/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_BUILD_BURST_H
#define BETANET_SPHINX_BUILD_BURST_H

#include "sphinx/sphinx.h"

/*
 * Building many packets with one call, on the multi-buffer kernels: for clients, cover traffic and
 * load generators. The bytes are those of sphinx_build for the same entropy. Routes may differ in
 * length and version; the payload size is one for the whole call.
 */
struct sphinx_build_item {
	const struct sphinx_route *route;
	const uint8_t *message; /* may be NULL when message_len is 0; may lie in out's payload */
	size_t message_len;
	const struct sphinx_entropy *entropy; /* NULL: drawn from the system */
	uint8_t *out;                         /* SPHINX_HEADER_SIZE + payload_size bytes */
};

/* A workspace in locked memory, about 190 KiB. One thread. */
struct sphinx_builder;

/* After crypto_init. NULL with errno ENOMEM when that much memory cannot be locked. */
struct sphinx_builder *sphinx_builder_create(void);
void sphinx_builder_free(struct sphinx_builder *b); /* wipes; NULL is fine */

/*
 * Any n. status[i] is as sphinx_build returns it; an item that fails changes nothing for the
 * others, and its `out` is not written to. Secrets are wiped before return.
 */
void sphinx_build_burst(struct sphinx_builder *b, const struct sphinx_build_item item[], unsigned n,
	size_t payload_size, enum sphinx_status status[]);

/* A reply block to make; the members are the arguments of surb_create. */
struct surb_item {
	const struct sphinx_route *route;
	const uint8_t *first_hop;
	const struct sphinx_entropy *entropy; /* NULL: drawn from the system */
	uint8_t *surb;                        /* SURB_MAX_SIZE bytes */
	uint8_t *recovery;                    /* SURB_RECOVERY_MAX_SIZE bytes; secret */
	size_t surb_len, recovery_len;        /* set by the call; 0 when the item fails */
};

/* Any n. As surb_create for each item, with the same bytes for the same entropy; otherwise as
 * sphinx_build_burst. */
void surb_create_burst(
	struct sphinx_builder *b, struct surb_item item[], unsigned n, enum sphinx_status status[]);

#endif
