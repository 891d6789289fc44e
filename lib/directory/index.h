/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_DIRECTORY_INDEX_H
#define BETANET_DIRECTORY_INDEX_H

#include <sodium.h>
#include <stdbool.h>
#include "directory/directory.h"

/* Private to lib/directory. */

/* What the route drawing must know of a layer. */
struct layer_families {
	bool always;                      /* can be filled whatever families the others took */
	unsigned count;                   /* otherwise these are all its families */
	unsigned id[DIRECTORY_MAX_LAYER]; /* 1 and up */
};

struct directory_index {
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint32_t mask;    /* slots - 1; at most half of the slots are taken */
	uint32_t *slot;   /* by address: 2 * node + which of its addresses, + 1; 0: empty */
	unsigned *family; /* by node: 0 none, otherwise equal numbers for equal names */
	struct layer_families layer[DIRECTORY_MAX_LAYER + 1]; /* 1..DIRECTORY_MAX_LAYER */
};

/* Makes d->index for the nodes of d. 0 or -ENOMEM. */
int index_build(struct directory *d, struct error *err);
void index_free(struct directory_index *x);

/* The content of a directory, without its signature line, into a new *out (without hash). 0,
 * -EINVAL, -ENOMEM. */
int content_parse(const char *name, const uint8_t *text, size_t len, struct directory **out,
	struct error *err);

#endif
