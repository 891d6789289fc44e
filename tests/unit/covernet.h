/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_COVERNET_H
#define BETANET_TESTS_COVERNET_H

#include "mixtest.h"

#include <stdbool.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"
#include "vrf/delay.h"

/*
 * A network around one pipeline without ports: six nodes in three layers, of which the pipeline is
 * one; the test plays the others with their keys, in one thread. After mixtest.h.
 */
enum { COVERNET_NODES = 6, COVERNET_WIDTH = 2, COVERNET_PARK = 4096 };

struct covernet_parked {
	unsigned node; /* that it is on its way to */
	uint64_t due;  /* TSC */
	uint8_t packet[MIX_PACKET];
};

struct covernet {
	uint8_t secret[COVERNET_NODES][32], public[COVERNET_NODES][32];
	uint8_t authority_seed[32], authority[32];
	char folder[64], path[96];
	double mean_ms; /* above 0: of the others' own delays; those asked for are ignored */
	unsigned crowd; /* nodes more in the last layer, whom nobody plays */
	unsigned self,
		missing; /* self: the pipeline's node; missing: left out (COVERNET_NODES: none) */
	/* how the others behave, and what they saw */
	bool swallow[COVERNET_NODES], hasty[COVERNET_NODES];
	bool twice; /* what comes to the pipeline comes twice */
	unsigned taken[COVERNET_NODES], consumed[COVERNET_NODES];
	unsigned odd_size, refused, messages;
	unsigned first_seen;      /* packets that left the pipeline for another node */
	uint64_t first_at[65536]; /* when, TSC */
	struct covernet_parked *parked;
	unsigned count;
};

static inline unsigned covernet_layer(unsigned node)
{
	return node / COVERNET_WIDTH + 1;
}

static inline struct endpoint covernet_address(unsigned node)
{
	struct endpoint e = {.family = 4, .port = 9000, .ip = {10, 9, 0, (uint8_t)(node + 1)}};

	return e;
}

static inline void covernet_write(struct covernet *n)
{
	char *text = calloc(1, 65536);
	uint8_t sk[64];
	struct error err;
	size_t used;

	used = (size_t)sprintf(text,
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		1);
	for (unsigned i = 0, first = 1; i < COVERNET_NODES; i++) {
		struct endpoint e = covernet_address(i);
		char hex[3][65], at[ENDPOINT_STRLEN];
		uint8_t seed[32], pk[2][32];

		if (i == n->missing)
			continue;
		for (unsigned k = 0; k < 2; k++) {
			randombytes_buf(seed, sizeof(seed));
			crypto_sign_seed_keypair(pk[k], sk, seed);
			hex_encode(hex[k], pk[k], 32);
		}
		hex_encode(hex[2], n->public[i], 32);
		used += (size_t)sprintf(text + used,
			"%s{ name = \"n%u\"; layer = %u; address = \"%s\"; identity_key = \"%s\"; "
			"vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
			first ? "" : ",", i, covernet_layer(i), endpoint_format(at, &e), hex[0],
			hex[1], hex[2]);
		first = 0;
	}
	for (unsigned i = 0; i < n->crowd; i++) {
		char hex[3][65];
		uint8_t key[3][32], seed[32];

		for (unsigned k = 0; k < 3; k++) {
			randombytes_buf(seed, sizeof(seed));
			crypto_sign_seed_keypair(key[k], sk, seed);
			if (k == 2)
				crypto_scalarmult_base(key[k], seed);
			hex_encode(hex[k], key[k], 32);
		}
		used += (size_t)sprintf(text + used,
			",{ name = \"c%u\"; layer = 3; address = \"10.8.0.%u:9000\"; identity_key "
			"= "
			"\"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
			i, i + 1, hex[0], hex[1], hex[2]);
	}
	strcpy(text + used, ");\n");
	crypto_sign_seed_keypair(n->authority, sk, n->authority_seed);
	if (directory_sign_text("covernet", (uint8_t *)text, strlen(text), n->path,
		    n->authority_seed, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
	free(text);
}

static inline struct covernet *covernet_make(unsigned self)
{
	struct covernet *n = calloc(1, sizeof(*n));

	n->parked = calloc(COVERNET_PARK, sizeof(*n->parked));
	n->self = self;
	n->missing = COVERNET_NODES;
	for (unsigned i = 0; i < COVERNET_NODES; i++) {
		randombytes_buf(n->secret[i], 32);
		crypto_scalarmult_base(n->public[i], n -> secret[i]);
	}
	randombytes_buf(n->authority_seed, 32);
	snprintf(n->folder, sizeof(n->folder), "/tmp/covernet.XXXXXX");
	assert_non_null(mkdtemp(n->folder));
	snprintf(n->path, sizeof(n->path), "%s/directory", n->folder);
	covernet_write(n);
	return n;
}

static inline void covernet_free(struct covernet *n)
{
	unlink(n->path);
	rmdir(n->folder);
	free(n->parked);
	free(n);
}

static inline void covernet_use(struct covernet *n, struct betanet *b)
{
	char err[BETANET_ERROR_MAX];

	if (betanet_directory_set(b, n->path, n->authority, 0, err) < 0)
		fail_msg("%s", err);
}

/* The pipeline, as node `self`; `change` may be NULL. */
static inline struct betanet *covernet_start(
	struct covernet *n, void (*change)(struct betanet_config *))
{
	static const enum betanet_role role[] = {BETANET_ENTRY, BETANET_MIDDLE, BETANET_EXIT};
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b = NULL;

	mix_config(&c, n->secret[n->self]);
	c.role = role[covernet_layer(n->self) - 1];
	if (change)
		change(&c);
	if (betanet_create(&c, &b, err) < 0)
		fail_msg("%s", err);
	covernet_use(n, b);
	if (betanet_start(b, err) < 0)
		fail_msg("%s", err);
	return b;
}

/* Of the directory as it is. */
static inline const uint8_t *covernet_hash(const struct covernet *n)
{
	static uint8_t hash[32];
	struct directory *d;
	struct error err;

	if (directory_load(n->path, n->authority, 0, &d, &err) < 0)
		fail_msg("%s", err.msg);
	memcpy(hash, d->hash, 32);
	directory_free(d);
	return hash;
}

static inline unsigned covernet_find(const uint8_t address[SPHINX_ADDRESS_SIZE])
{
	for (unsigned i = 0; i < COVERNET_NODES; i++) {
		struct endpoint e = covernet_address(i);
		uint8_t bytes[SPHINX_ADDRESS_SIZE];

		address_encode(bytes, &e);
		if (memcmp(bytes, address, sizeof(bytes)) == 0)
			return i;
	}
	return COVERNET_NODES;
}

/* On the way to `node`, there at `due`. */
static inline void covernet_park(
	struct covernet *n, unsigned node, const uint8_t *packet, uint64_t due)
{
	struct covernet_parked *p = &n->parked[n->count++];

	assert_true(n->count < COVERNET_PARK);
	p->node = node;
	p->due = due;
	memcpy(p->packet, packet, MIX_PACKET);
}

/* `node` takes a packet: consumes it, swallows it, or hands it on after its delay. */
static inline void covernet_take(struct covernet *n, unsigned node, uint8_t packet[MIX_PACKET])
{
	uint64_t ns, hz = rte_get_tsc_hz();
	struct sphinx_hop hop;
	unsigned to;

	n->taken[node]++;
	if (n->swallow[node])
		return;
	if (sphinx_unwrap(mix_crypto, n->secret[node], packet, MIX_PACKET, &hop) != SPHINX_ok) {
		n->refused++;
		return;
	}
	to = covernet_find(hop.address);
	if (hop.flag == SPHINX_FLAG_FINAL) {
		n->consumed[node] += to == node;
		n->messages += to != node;
		return;
	}
	if (to == COVERNET_NODES) {
		n->refused++;
		return;
	}
	ns = hop.delay_ns < 1000000 ? 1000000 : hop.delay_ns;
	if (n->mean_ms > 0) { /* delays of their own, which nobody else knows */
		uint64_t draw;

		randombytes_buf(&draw, sizeof(draw));
		ns = delay_scale((uint64_t)(n->mean_ms * 1e6), delay_exp(draw));
	}
	if (n->hasty[node])
		ns = 0;
	covernet_park(n, to, packet, rte_rdtsc() + (uint64_t)((double)ns * (double)hz / 1e9));
}

/* What left the pipeline. */
static inline void covernet_collect(struct covernet *n, struct betanet *b)
{
	static uint8_t data[64][MIX_PACKET];
	struct betanet_output out[64];
	int got;

	for (unsigned i = 0; i < 64; i++) {
		out[i].data = data[i];
		out[i].capacity = MIX_PACKET;
	}
	got = betanet_collect(b, out, 64);
	assert_true(got >= 0);
	for (int i = 0; i < got; i++) {
		unsigned to = covernet_find(out[i].address);

		n->odd_size += out[i].len != MIX_PACKET;
		if (out[i].final || to == COVERNET_NODES) {
			n->messages++;
			continue;
		}
		if (n->first_seen < RTE_DIM(n->first_at))
			n->first_at[n->first_seen] = rte_rdtsc();
		n->first_seen++;
		covernet_take(n, to, data[i]);
	}
}

/* Packets that have arrived: at a node, or at the pipeline. */
static inline void covernet_deliver(struct covernet *n, struct betanet *b)
{
	uint64_t now = rte_rdtsc();

	for (unsigned i = 0; i < n->count;) {
		struct covernet_parked *p = &n->parked[i];
		uint8_t packet[MIX_PACKET];
		const uint8_t *one = packet;
		unsigned node = p->node;

		if (p->due > now) {
			i++;
			continue;
		}
		memcpy(packet, p->packet, MIX_PACKET);
		*p = n->parked[--n->count];
		for (unsigned k = 0; node == n->self && k < 1u + n->twice; k++)
			n->refused += betanet_submit(b, &one, 1) != 1;
		if (node != n->self)
			covernet_take(n, node, packet);
	}
}

/* The network's life, a step. */
static inline void covernet_step(struct covernet *n, struct betanet *b)
{
	if (betanet_poll(b) == 0)
		rte_delay_us_sleep(200);
	covernet_collect(n, b);
	covernet_deliver(n, b);
}

static inline void covernet_run(struct covernet *n, struct betanet *b, unsigned ms)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;

	while (rte_rdtsc() < end)
		covernet_step(n, b);
}

/* Until the condition holds; fails after 20 s. */
#define covernet_until(n, b, condition)                                                            \
	do {                                                                                       \
		uint64_t end_ = rte_rdtsc() + rte_get_tsc_hz() * 20;                               \
		while (!(condition)) {                                                             \
			if (rte_rdtsc() > end_)                                                    \
				fail_msg("%s: not after 20 s", #condition);                        \
			covernet_step(n, b);                                                       \
		}                                                                                  \
	} while (0)

#endif
