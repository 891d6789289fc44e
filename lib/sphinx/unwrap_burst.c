/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/burst.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include "core/secmem.h"
#include "crypto/aes_ctr_mb.h"
#include "crypto/hkdf_mb.h"
#include "crypto/lioness_mb.h"
#include "crypto/x25519_mb.h"
#include "sphinx/burst_curve.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"
#include "sphinx/unwrap_parts.h"

enum {
	MAX = SPHINX_BURST_MAX,
	MAC_SIZE = 32,
	STREAM_BLOCKS = (SPHINX_STREAM_SIZE + AES_CTR_MB_BLOCK - 1) / AES_CTR_MB_BLOCK,
	/* deeper than any frame of the symmetric kernels below us: what the compiler spilled there
	 * is wiped once for the burst, not at every call; x25519_mb wipes its own */
	STACK_USED = 24576,
};

/* What one packet's unwrapping derives; wiped at the end of the burst. */
struct secrets {
	uint8_t shared[32];
	uint8_t expanded[SPHINX_EXPANDED_SIZE];
	uint8_t mac[MAC_SIZE];
	uint8_t block[STREAM_BLOCKS * AES_CTR_MB_BLOCK]; /* key stream, then the routing block */
	uint8_t payload_key[SPHINX_PAYLOAD_KEY_SIZE];
};

struct sphinx_burst {
	/* made by create */
	struct hkdf_mb expand, payload_key;
	enum sphinx_burst_curve curve;
	struct x25519_pair *pair; /* NULL: ladder only */
	struct curve_choice choice;
	/* of the burst at hand */
	bool used_pair;
	unsigned n;
	size_t len;
	uint8_t *packet[MAX];
	struct secrets secrets[MAX];
};

/* Packets of a burst that take the next step, packed together: positions in the burst. */
struct survivors {
	unsigned n;
	unsigned at[MAX];
};

struct sphinx_burst *sphinx_burst_create(enum sphinx_burst_curve curve)
{
	struct sphinx_burst *b = secmem_alloc((sizeof(*b) + 63) & ~(size_t)63);

	if (!b)
		goto no_memory;
	hkdf_mb_prepare(
		&b->expand, &sphinx_expand_salt, sphinx_expand_info, sizeof(sphinx_expand_info));
	hkdf_mb_prepare(&b->payload_key, &sphinx_payload_salt, sphinx_payload_info,
		sizeof(sphinx_payload_info));
	b->curve = curve;
	if (curve != SPHINX_CURVE_LADDER) {
		b->pair = x25519_pair_create(MAX);
		if (!b->pair)
			goto no_memory;
	}
	if (curve == SPHINX_CURVE_AUTO) {
		struct curve_costs costs;

		curve_costs_measure(&costs, b->pair);
		curve_choice_init(&b->choice, &costs);
	}
	return b;
no_memory:
	sphinx_burst_free(b);
	errno = ENOMEM;
	return NULL;
}

void sphinx_burst_free(struct sphinx_burst *b)
{
	if (!b)
		return;
	x25519_pair_free(b->pair);
	secmem_free(b);
}

const uint8_t *sphinx_burst_tag(const struct sphinx_burst *b, unsigned i)
{
	return b->secrets[i].expanded + SPHINX_OFF_TAG;
}

const uint8_t *sphinx_burst_shared(const struct sphinx_burst *b, unsigned i)
{
	return b->secrets[i].shared;
}

bool sphinx_burst_used_pair(const struct sphinx_burst *b)
{
	return b->used_pair;
}

/* ---- first half ---- */

static void first_multiplications(struct sphinx_burst *b, const uint8_t node_secret[32])
{
	const uint8_t *alpha[MAX], *scalar[MAX];
	uint8_t *shared[MAX], on_twist[MAX];

	for (unsigned i = 0; i < b->n; i++) {
		alpha[i] = b->packet[i] + PACKET_ALPHA;
		scalar[i] = node_secret;
		shared[i] = b->secrets[i].shared;
	}
	b->used_pair = b->curve == SPHINX_CURVE_PAIR ||
		       (b->curve == SPHINX_CURVE_AUTO && curve_choice_pair(&b->choice, b->n));
	if (b->used_pair) {
		/* a point on the twist gives zeros, as one of small order does: bad_point */
		x25519_pair_begin(b->pair, alpha, b->n, on_twist);
		x25519_pair_mult(b->pair, shared, scalar, NULL, b->n);
	} else {
		x25519_mb(shared, scalar, alpha, b->n);
	}
}

static void derive_and_authenticate(struct sphinx_burst *b)
{
	const uint8_t *shared[MAX], *key[MAX], *beta[MAX];
	uint8_t *expanded[MAX], *mac[MAX];

	for (unsigned i = 0; i < b->n; i++) {
		struct secrets *s = &b->secrets[i];

		shared[i] = s->shared;
		expanded[i] = s->expanded;
		key[i] = s->expanded + SPHINX_OFF_MAC_KEY;
		beta[i] = b->packet[i] + PACKET_BETA;
		mac[i] = s->mac;
	}
	hkdf_mb(&b->expand, expanded, SPHINX_EXPANDED_SIZE, shared, 32, b->n);
	hmac_mb(mac, key, SPHINX_K, beta, SPHINX_BETA_SIZE, b->n);
}

void sphinx_open_burst(struct sphinx_burst *b, const uint8_t node_secret[32],
	uint8_t *const packet[], size_t len, unsigned n, enum sphinx_status status[])
{
	b->n = 0;
	b->used_pair = false;
	if (!sphinx_length_ok(len)) {
		for (unsigned i = 0; i < n; i++)
			status[i] = SPHINX_bad_length;
		return;
	}
	if (n == 0)
		return;
	b->n = n;
	b->len = len;
	memcpy(b->packet, packet, n * sizeof(b->packet[0]));
	first_multiplications(b, node_secret);
	derive_and_authenticate(b);
	for (unsigned i = 0; i < n; i++) {
		const struct secrets *s = &b->secrets[i];

		if (sodium_is_zero(s->shared, sizeof(s->shared)))
			status[i] = SPHINX_bad_point;
		else if (sodium_memcmp(s->mac, packet[i] + PACKET_GAMMA, SPHINX_GAMMA_SIZE) != 0)
			status[i] = SPHINX_bad_mac;
		else
			status[i] = SPHINX_ok;
	}
	sodium_stackzero(STACK_USED);
}

/* ---- second half ---- */

/* Key streams, routing blocks; each packet's verdict. */
static void read_headers(struct sphinx_burst *b, const struct survivors *live,
	enum sphinx_status status[], struct sphinx_hop hop[])
{
	uint8_t *stream[MAX];
	const uint8_t *key[MAX];

	for (unsigned j = 0; j < live->n; j++) {
		struct secrets *s = &b->secrets[live->at[j]];

		stream[j] = s->block;
		key[j] = s->expanded + SPHINX_OFF_STREAM_KEY;
	}
	aes_ctr_mb_stream(stream, STREAM_BLOCKS, key, live->n);
	for (unsigned j = 0; j < live->n; j++) {
		const unsigned i = live->at[j];
		const uint8_t *beta = b->packet[i] + PACKET_BETA;

		for (unsigned k = 0; k < SPHINX_BETA_SIZE; k++)
			stream[j][k] ^= beta[k];
		status[i] = sphinx_read_block(stream[j], &hop[i]);
	}
}

/* The next alpha of forward packets in the place of ours. */
static void second_multiplications(
	struct sphinx_burst *b, const struct survivors *forward, enum sphinx_status status[])
{
	const uint8_t *blinding[MAX];
	uint8_t *alpha[MAX];

	for (unsigned j = 0; j < forward->n; j++) {
		blinding[j] = b->secrets[forward->at[j]].expanded + SPHINX_OFF_BLINDING;
		alpha[j] = b->packet[forward->at[j]] + PACKET_ALPHA;
	}
	if (b->used_pair)
		x25519_pair_mult(b->pair, alpha, blinding, forward->at, forward->n);
	else
		x25519_mb(alpha, blinding, (const uint8_t *const *)alpha, forward->n);
	for (unsigned j = 0; j < forward->n; j++)
		if (sodium_is_zero(alpha[j], SPHINX_ALPHA_SIZE))
			status[forward->at[j]] = SPHINX_bad_point;
}

static void next_headers(struct sphinx_burst *b, const struct survivors *forward)
{
	for (unsigned j = 0; j < forward->n; j++) {
		const uint8_t *block = b->secrets[forward->at[j]].block;
		uint8_t *packet = b->packet[forward->at[j]];

		memcpy(packet + PACKET_GAMMA, block + BLOCK_GAMMA, SPHINX_GAMMA_SIZE);
		memcpy(packet + PACKET_BETA, block + BLOCK_BETA, SPHINX_BETA_SIZE);
	}
}

/* Version 258 has its payload key in the expanded secret, every other one a seed for it. */
static void decrypt_payloads(
	struct sphinx_burst *b, const struct survivors *live, const struct sphinx_hop hop[])
{
	const uint8_t *key[MAX], *seed[MAX];
	uint8_t *derived[MAX], *payload[MAX];
	unsigned seeds = 0;

	for (unsigned j = 0; j < live->n; j++) {
		const unsigned i = live->at[j];
		struct secrets *s = &b->secrets[i];

		payload[j] = b->packet[i] + SPHINX_HEADER_SIZE;
		key[j] = s->expanded + SPHINX_OFF_PAYLOAD_KEY;
		if (hop[i].version != SPHINX_V258) {
			seed[seeds] = s->expanded + SPHINX_OFF_SEED;
			derived[seeds++] = s->payload_key;
			key[j] = s->payload_key;
		}
	}
	hkdf_mb(&b->payload_key, derived, SPHINX_PAYLOAD_KEY_SIZE, seed, SPHINX_SEED_SIZE, seeds);
	lioness_mb_decrypt(key, payload, b->len - SPHINX_HEADER_SIZE, live->n);
}

static void keep_ok(struct survivors *s, const enum sphinx_status status[])
{
	unsigned n = 0;

	for (unsigned j = 0; j < s->n; j++)
		if (status[s->at[j]] == SPHINX_ok)
			s->at[n++] = s->at[j];
	s->n = n;
}

void sphinx_finish_burst(
	struct sphinx_burst *b, enum sphinx_status status[], struct sphinx_hop hop[])
{
	struct survivors live = {.n = b->n}, forward = {.n = 0};

	for (unsigned i = 0; i < b->n; i++)
		live.at[i] = i;
	keep_ok(&live, status);
	read_headers(b, &live, status, hop);
	keep_ok(&live, status);
	for (unsigned j = 0; j < live.n; j++)
		if (hop[live.at[j]].flag == SPHINX_FLAG_FORWARD)
			forward.at[forward.n++] = live.at[j];
	if (forward.n) {
		second_multiplications(b, &forward, status);
		next_headers(b, &forward);
		keep_ok(&live, status);
	}
	decrypt_payloads(b, &live, hop);
	if (b->curve == SPHINX_CURVE_AUTO)
		curve_choice_note(&b->choice, b->n, forward.n);
	sodium_memzero(b->secrets, b->n * sizeof(b->secrets[0]));
	sodium_stackzero(STACK_USED);
	b->n = 0;
}
