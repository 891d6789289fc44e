/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_SETNET_H
#define BETANET_TESTS_SETNET_H

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "vrf/neighbour_set.h"
#include "vrf/publish.h"

/*
 * A signed directory whose nodes' keys the test holds, for neighbour sets. After cmocka.h. Node i
 * is "n<i>", of the layer that `width` puts it in (the first width[0] nodes are layer 1, and so
 * on), with a /24 of its own. Keys come from the node's number and `salt`, so sets are the same in
 * every run.
 */
enum { SETNET_MAX = 400, SETNET_LAYERS = 3, SETNET_SECONDS = 3600 };

struct setnet_shape {
	unsigned width[SETNET_LAYERS]; /* 0: the layer is not there, nor those behind it */
	unsigned salt;
	uint32_t (*weight)(unsigned node);             /* NULL: 100 */
	const char *(*family)(unsigned node);          /* NULL: none */
	const char *(*address)(unsigned node, char *); /* NULL: 10.x.y.1:9000 */
};

struct setnet {
	struct directory *d;
	uint8_t identity[SETNET_MAX][64];
	struct ecvrf_key key[SETNET_MAX];
	struct beacon beacon; /* of the directory */
	char folder[64];      /* for records */
	unsigned count;
};

static inline void setnet_seed(uint8_t seed[32], const char *use, unsigned salt, unsigned node)
{
	uint8_t in[64] = {0};

	snprintf((char *)in, sizeof(in), "setnet %s %u %u", use, salt, node);
	crypto_generichash(seed, 32, in, sizeof(in), NULL, 0);
}

__attribute__((format(printf, 3, 4))) static inline void setnet_print(
	char *text, size_t room, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	assert_true((size_t)vsnprintf(text + used, room - used, fmt, ap) < room - used);
	va_end(ap);
}

static inline void setnet_node_text(struct setnet *n, const struct setnet_shape *shape,
	unsigned node, unsigned layer, char *text, size_t room)
{
	uint8_t seed[32], public[2][32];
	char hex[3][65], at[160];

	setnet_seed(seed, "identity", shape->salt, node);
	crypto_sign_seed_keypair(public[0], n -> identity[node], seed);
	setnet_seed(seed, "vrf", shape->salt, node);
	ecvrf_key_from_seed(&n->key[node], seed);
	setnet_seed(seed, "sphinx", shape->salt, node);
	crypto_scalarmult_base(public[1], seed);
	hex_encode(hex[0], public[0], 32);
	hex_encode(hex[1], n->key[node].public, 32);
	hex_encode(hex[2], public[1], 32);
	snprintf(at, sizeof(at), "\"10.%u.%u.1:9000\"", node >> 8, node & 255);
	setnet_print(text, room,
		"%s{ name = \"n%u\"; layer = %u; weight = %u; address = [ %s ];\n"
		"identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; ",
		node ? "," : "", node, layer, shape->weight ? shape->weight(node) : 100,
		shape->address ? shape->address(node, at) : at, hex[0], hex[1], hex[2]);
	if (shape->family && shape->family(node)[0])
		setnet_print(text, room, "family = \"%s\"; ", shape->family(node));
	setnet_print(text, room, "}\n");
}

static inline struct setnet *setnet_make(const struct setnet_shape *shape)
{
	const size_t room = 512 * SETNET_MAX;
	struct setnet *n = calloc(1, sizeof(*n));
	char *text = calloc(1, room), path[96];
	uint8_t seed[32] = "setnet authority", pk[32], sk[64];
	struct error err = {0};

	assert_non_null(n);
	assert_non_null(text);
	setnet_print(text, room,
		"version = 1;\nnetwork_id = \"%064u\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2026-12-31T00:00:00Z\";\nnodes = (\n",
		shape->salt);
	for (unsigned l = 0; l < SETNET_LAYERS; l++)
		for (unsigned i = 0; i < shape->width[l]; i++)
			setnet_node_text(n, shape, n->count++, l + 1, text, room);
	setnet_print(text, room, ");\n");
	snprintf(n->folder, sizeof(n->folder), "/tmp/setnet.XXXXXX");
	assert_non_null(mkdtemp(n->folder));
	snprintf(path, sizeof(path), "%s/directory", n->folder);
	crypto_sign_seed_keypair(pk, sk, seed);
	if (directory_sign_text("setnet", (uint8_t *)text, strlen(text), path, seed, 0, &err) < 0 ||
		directory_load(path, pk, 0, &n->d, &err) < 0)
		fail_msg("%s", err.msg);
	unlink(path);
	free(text);
	beacon_choose(&n->beacon, 0, NULL, 0, 0, n->d->network_id, n->d->hash);
	return n;
}

static inline void setnet_free(struct setnet *n)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", n->folder);
	assert_int_equal(system(command), 0);
	directory_free(n->d);
	free(n);
}

static inline struct neighbour_epoch setnet_epoch(const struct setnet *n, uint64_t epoch)
{
	return (struct neighbour_epoch){n->d, epoch, SETNET_SECONDS};
}

static inline void setnet_record(const struct setnet *n, unsigned node, uint64_t epoch,
	uint8_t record[NEIGHBOUR_RECORD_SIZE], struct neighbour_set *set)
{
	const struct neighbour_epoch e = setnet_epoch(n, epoch);
	struct error err = {0};

	if (neighbour_set_make(
		    &e, node, &n->beacon, &n->key[node], n->identity[node], record, set, &err) < 0)
		fail_msg("%s", err.msg);
}

/* A record as a node might make it that does not follow the rules: rightly signed and proved. */
struct setnet_lie {
	enum ecvrf_suite suite;
	uint64_t key_period, epoch;
	uint32_t seconds;
	uint8_t layer;
	const struct beacon *beacon;
	const uint8_t *directory_hash, *network_id;
};

/* The truth, to be changed. */
static inline struct setnet_lie setnet_truth(const struct setnet *n, unsigned node, uint64_t epoch)
{
	return (struct setnet_lie){.suite = ECVRF_TAI,
		.epoch = epoch,
		.seconds = SETNET_SECONDS,
		.layer = (uint8_t)neighbour_next_layer(n->d, n->d->nodes[node].layer),
		.beacon = &n->beacon,
		.directory_hash = n->d->hash,
		.network_id = n->d->network_id};
}

static inline void setnet_lying_record(const struct setnet *n, unsigned node,
	const struct setnet_lie *l, uint8_t record[NEIGHBOUR_RECORD_SIZE])
{
	struct neighbour_record r = {.layer = l->layer,
		.head = {.suite = l->suite,
			.beacon_source = l->beacon->source,
			.epoch_seconds = l->seconds,
			.scope = {.key_period = l->key_period, .epoch = l->epoch}}};
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct error err = {0};

	memcpy(r.directory_hash, l->directory_hash, 32);
	memcpy(r.head.scope.network_id, l->network_id, 32);
	memcpy(r.head.scope.node_id, n->d->nodes[node].identity_key, 32);
	memcpy(r.head.scope.beacon, l->beacon->value, 32);
	if (neighbour_record_make(&r, &n->key[node], n->identity[node], record, beta, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void setnet_write(
	const struct setnet *n, unsigned node, uint64_t epoch, const uint8_t *record, size_t len)
{
	struct error err = {0};

	if (publish_write(n->folder, n->d->nodes[node].name, PUBLISH_NEIGHBOURS, epoch, record, len,
		    &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void setnet_publish(const struct setnet *n, unsigned node, uint64_t epoch)
{
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;

	setnet_record(n, node, epoch, record, &set);
	setnet_write(n, node, epoch, record, sizeof(record));
}

static inline void setnet_publish_all(const struct setnet *n, uint64_t epoch)
{
	for (unsigned i = 0; i < n->count; i++)
		setnet_publish(n, i, epoch);
}

#endif
