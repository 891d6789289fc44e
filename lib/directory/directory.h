/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_DIRECTORY_DIRECTORY_H
#define BETANET_DIRECTORY_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "sphinx/address.h"

/*
 * The signed directory of a network: who relays, with which keys, at which address, in which layer.
 * A libconfig file whose last line is the authority's Ed25519 signature (RFC 8032):
 *
 *   version = 1;
 *   network_id = "<64 hex>";
 *   valid_from = "2026-11-23T00:00:00Z";  valid_until = "2026-11-30T00:00:00Z";
 *   nodes = (
 *     { name = "mix1"; layer = 1; weight = 100; family = "acme";
 *       address = "192.0.2.1:9000";            // or [ "192.0.2.1:9000", "[2001:db8::1]:9000" ]
 *       identity_key = "<64 hex>"; sphinx_key = "<64 hex>"; vrf_key = "<64 hex>"; },
 *     …
 *   );
 *   signature = "<128 hex>";
 *
 * The signature covers "betanet-directory-v1" ‖ 00 ‖ every byte before the first line that starts
 * with `signature`. That line is exactly as above, in lower-case digits and with its newline, and
 * nothing follows it: each signed directory has one spelling only. No @include, so that what counts
 * is what was signed. `family` and `weight` may be left out, all else is required.
 */
enum {
	DIRECTORY_MAX_NODES = 4096,
	DIRECTORY_MAX_BYTES = 8 << 20,
	DIRECTORY_NAME_MAX = 64, /* with its NUL; [A-Za-z0-9._-] */
	DIRECTORY_MAX_LAYER = 5,
};

struct directory_node {
	char name[DIRECTORY_NAME_MAX];
	char family[DIRECTORY_NAME_MAX]; /* "" when not given */
	uint8_t identity_key[32];        /* Ed25519 */
	uint8_t sphinx_key[32];          /* X25519 */
	uint8_t vrf_key[32];             /* Ed25519 point, RFC 9381 */
	struct endpoint address[2];      /* in the file's order; at most one of each family */
	unsigned addresses;              /* 1 or 2 */
	unsigned layer;                  /* 1..DIRECTORY_MAX_LAYER; 1 is the entry layer */
	uint32_t weight;                 /* >= 1, default 100 */
};

struct directory {
	uint8_t network_id[32];
	uint64_t valid_from, valid_until; /* seconds since 1970, UTC */
	uint8_t hash[32];                 /* BLAKE2b-256 of what the signature covers */
	unsigned layers;                  /* the highest layer; every layer from 1 on has a node */
	unsigned count;
	struct directory_node *nodes; /* in the file's order; no two share a name, key or address */
	struct directory_index *index; /* private: look-up and families */
};

/*
 * Reads, verifies and parses. `now` in seconds since 1970 is compared with the validity (0: do not
 * compare, for inspection only). 0; -EACCES (unsigned, altered, or by another authority), -ESTALE
 * (expired or not yet valid), -EINVAL (content; file:line, value and what is allowed in `err`), or
 * a file error.
 */
int directory_load(const char *path, const uint8_t authority[32], uint64_t now,
	struct directory **out, struct error *err);

/* The same on bytes in memory; `name` stands for the path in messages. */
int directory_parse(const char *name, const uint8_t *data, size_t len, const uint8_t authority[32],
	uint64_t now, struct directory **out, struct error *err);

/* Checks an unsigned (or formerly signed: the old line is replaced) file and writes the signed one
 * to `out_path`. `authority_seed` is the Ed25519 seed. 0 or as above; FILE_FORCE in `flags`
 * replaces. */
int directory_sign(const char *in_path, const char *out_path, const uint8_t authority_seed[32],
	int flags, struct error *err);

/* The same on text in memory; `name` stands for the path in messages. */
int directory_sign_text(const char *name, const uint8_t *text, size_t len, const char *out_path,
	const uint8_t authority_seed[32], int flags, struct error *err);

/* NULL is fine. */
void directory_free(struct directory *d);

/* NULL when there is none. By name: a walk over the nodes; by address (with its port): one look-up
 * in a keyed hash table, for the datapath. Any number of threads. */
const struct directory_node *directory_find_name(const struct directory *d, const char *name);
const struct directory_node *directory_find_address(
	const struct directory *d, const struct endpoint *e);

/* The node with a Sphinx key; a walk over the nodes. NULL when there is none. */
const struct directory_node *directory_find_sphinx_key(
	const struct directory *d, const uint8_t key[32]);

/* Addresses that the nodes of a layer have (0: of all layers), without those of `but` (may be
 * NULL).
 */
unsigned directory_count_addresses(
	const struct directory *d, unsigned layer, const struct directory_node *but);

/*
 * A route with one node from each of the layers 1..hops, drawn with their weights, of distinct
 * families where a family is set, into route[]. 0; -EINVAL (hops outside 1..layers); -ENOENT
 * (families leave no route). The nodes are drawn layer by layer, the first by its weight alone, the
 * others by weight among those that leave a route. Random numbers from libsodium.
 */
int directory_draw_route(const struct directory *d, unsigned hops,
	const struct directory_node **route, struct error *err);

#endif
