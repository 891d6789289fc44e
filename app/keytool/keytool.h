/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_KEYTOOL_KEYTOOL_H
#define BETANET_KEYTOOL_KEYTOOL_H

#include <stdint.h>
#include "directory/directory.h"
#include "options.h"

/* betanet-keytool: keys, signed directories, whole test networks, a look into packets, and the
 * audit of what relays publish. */

extern const struct keytool_command keytool_keygen, keytool_pubkey, keytool_directory_sign,
	keytool_directory_verify, keytool_network_create, keytool_packet_inspect,
	keytool_vrf_verify_epoch, keytool_vrf_verify_neighbours, keytool_vrf_delay;

enum { KEYTOOL_PATH = 4096, KEYTOOL_TIME = 32 };

/* What a directory says of a node, before it has keys. */
struct keytool_node {
	char name[DIRECTORY_NAME_MAX], family[DIRECTORY_NAME_MAX]; /* family "": none */
	unsigned layer;
	uint32_t weight;
	struct endpoint address[2];
	unsigned addresses;
};

/* A node's public keys, in the order of directory_node. */
struct keytool_public {
	uint8_t identity[32], sphinx[32], vrf[32];
};

/* The parts of a node from text. 0 or -EINVAL with `err` (value and what is allowed). */
int keytool_set_name(char out[DIRECTORY_NAME_MAX], const char *text, struct error *err);
int keytool_set_layer(struct keytool_node *n, const char *text, struct error *err);
/* "192.0.2.1:9000" or "192.0.2.1:9000,[2001:db8::1]:9000" */
int keytool_set_addresses(struct keytool_node *n, const char *text, struct error *err);

/* One group for the list `nodes` of a directory. */
void keytool_print_node(FILE *out, const struct keytool_node *n, const struct keytool_public *keys);

/* dir/file; -ENAMETOOLONG. */
int keytool_path(char out[KEYTOOL_PATH], const char *dir, const char *file, struct error *err);
/* Makes the folder unless it is there. */
int keytool_make_folder(const char *path, mode_t mode, struct error *err);

/* -EEXIST naming the first of the node's (or the authority's) files that is there. */
int keytool_node_exists(const char *dir, struct error *err);
int keytool_authority_exists(const char *dir, struct error *err);

/* Three independent secrets into dir/{identity,sphinx,vrf}.secret; the public keys into *keys. */
int keytool_make_node(const char *dir, int flags, struct keytool_public *keys, struct error *err);
/* dir/authority.secret and .pub. `seed`: 32 bytes of locked memory of the caller. */
int keytool_make_authority(
	const char *dir, int flags, uint8_t *seed, uint8_t pk[32], struct error *err);

/* "label  <hex>", at most 32 bytes of it. */
void keytool_print_hex(const char *label, const uint8_t *p, size_t n);
/* "2026-11-23T00:00:00Z" of seconds since 1970; "?" after the year 9999. Returns `out`. */
const char *keytool_time(char out[KEYTOOL_TIME], uint64_t t);

/* 64 hex digits, or a file that holds them (never a file of a secret). */
int keytool_read_authority(const char *text, uint8_t pk[32], struct error *err);

#endif
