/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_CHAIN_H
#define BETANET_TESTMIX_CHAIN_H

#include "core/error.h"
#include "directory/directory.h"
#include "sphinx/sphinx.h"

/* Relays of which only keys and addresses are known, one a hop, as a directory with a node in each
 * layer. */
enum { CHAIN_PATH = 64 };

struct chain {
	unsigned hops;                           /* 1..SPHINX_MAX_HOPS */
	uint8_t public_key[SPHINX_MAX_HOPS][32]; /* X25519, of Sphinx */
	struct endpoint address[SPHINX_MAX_HOPS];
};

/* "KEY@IP:PORT,KEY@IP:PORT,…": 64 hex digits, IPv4. 0 or -EINVAL. */
int chain_parse(struct chain *c, const char *text, struct error *err);

/*
 * Writes the directory, signed by an authority made for it alone, to a new file in /tmp, whose name
 * goes to `path`; the caller removes it. `node_id` and `vrf_key` of the first node (NULL: made up);
 * everything else that a directory has is made up. 0 or a file error: then path is "".
 */
int chain_sign(const struct chain *c, const uint8_t node_id[32], const uint8_t vrf_key[32],
	uint8_t authority[32], char path[CHAIN_PATH], struct error *err);

/* The directory itself; directory_free it. 0, -EINVAL (two nodes with one key or address) or a file
 * error. */
int chain_directory(const struct chain *c, struct directory **out, struct error *err);

#endif
