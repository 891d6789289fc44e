/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_BLOCKS_H
#define BETANET_CLIENT_BLOCKS_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "message.h"
#include "sphinx/sphinx.h"

/*
 * The file of reply blocks that `receive --save-reply-blocks` writes and `reply` uses up: text, one
 * block a line, mode 0600, because whoever can read it can answer.
 *
 *   # betanet reply blocks; each works once
 *   block 260 1024 <id of the transfer to answer, 32 hex> <block, hex>
 *
 * The numbers are the Sphinx version and the network's payload size. A block that would be used
 * twice links both replies, and the relays drop the second as a replay: so a block leaves the file
 * before its packet leaves the host, whatever happens afterwards.
 */
enum {
	BLOCKS_MAX_FILE = 64 << 20,
	BLOCKS_MAX_PER_MESSAGE = 1024, /* more are neither sent nor kept */
};

struct reply_block {
	uint16_t version;
	uint32_t payload_size;
	uint8_t answers[MESSAGE_ID_SIZE];
	size_t len;
	uint8_t data[SURB_MAX_SIZE];
};

/* 0; -EINVAL unless version and length can be those of a reply block of 1 to 5 hops, and the
 * payload size one that the client uses. */
int blocks_check(uint16_t version, size_t len, uint32_t payload_size);

/* Replaces the file, or creates it; without FILE_FORCE in `flags` an existing file stays. */
int blocks_save(const char *path, const struct reply_block *blocks, size_t count, int flags,
	struct error *err);

/* Reads all. *blocks is malloc'd; wipe and free it with blocks_free. */
int blocks_load(const char *path, struct reply_block **blocks, size_t *count, struct error *err);
void blocks_free(struct reply_block *blocks, size_t count);

/*
 * Locks the file, reads it, asks `choose` how many of the leading blocks that answer the same
 * message are wanted, and removes those from the file before it returns them. `choose` sees all
 * of them; a negative errno from it leaves the file as it is and is returned. Two programs never
 * get the same block.
 */
typedef int blocks_choose(
	void *context, const struct reply_block *blocks, size_t count, struct error *err);

int blocks_take(const char *path, blocks_choose *choose, void *context, struct reply_block **taken,
	size_t *count, struct error *err);

#endif
