/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/build_burst.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include "core/secmem.h"
#include "crypto/aes_ctr_mb.h"
#include "crypto/hkdf_mb.h"
#include "crypto/lioness_mb.h"
#include "crypto/x25519_mb.h"
#include "sphinx/derive.h"
#include "sphinx/header.h"
#include "sphinx/payload.h"
#include "sphinx/surb.h"

/* A group of packets is worked on at a time; with several hops each, it fills every kernel. */
enum {
	GROUP = 32,
	HOPS = SPHINX_MAX_HOPS,
	ITEMS = GROUP * HOPS,
	MAC_SIZE = 32,
	STREAM_BLOCKS = (SPHINX_STREAM_SIZE + AES_CTR_MB_BLOCK - 1) / AES_CTR_MB_BLOCK,
	STACK_USED = 24576, /* as in unwrap_burst.c */
};

/* What one packet's building derives; wiped after each group. */
struct secrets {
	struct sphinx_entropy entropy;
	uint8_t alpha[32], mac[MAC_SIZE];
	uint8_t point[HOPS][32]; /* on its way from the hop's public key to the shared secret */
	uint8_t expanded[HOPS][SPHINX_EXPANDED_SIZE];
	uint8_t stream[HOPS][STREAM_BLOCKS * AES_CTR_MB_BLOCK];
	uint8_t payload_key[HOPS][SPHINX_PAYLOAD_KEY_SIZE];
};

struct sphinx_builder {
	struct hkdf_mb expand, payload_key;
	struct secrets secrets[GROUP];
};

/* The packets of the group that are still good. */
struct group {
	struct sphinx_builder *b;
	size_t payload_size;
	unsigned n;
	const struct sphinx_build_item *item[GROUP];
	enum sphinx_status *status[GROUP];
	struct secrets *secrets[GROUP];
};

/* Arguments of one call of a kernel: up to one for each hop of each packet. */
struct batch {
	unsigned n;
	uint8_t *out[ITEMS];
	const uint8_t *key[ITEMS], *in[ITEMS];
};

struct sphinx_builder *sphinx_builder_create(void)
{
	struct sphinx_builder *b = secmem_alloc((sizeof(*b) + 63) & ~(size_t)63);

	if (!b) {
		errno = ENOMEM;
		return NULL;
	}
	hkdf_mb_prepare(
		&b->expand, &sphinx_expand_salt, sphinx_expand_info, sizeof(sphinx_expand_info));
	hkdf_mb_prepare(&b->payload_key, &sphinx_payload_salt, sphinx_payload_info,
		sizeof(sphinx_payload_info));
	return b;
}

void sphinx_builder_free(struct sphinx_builder *b)
{
	secmem_free(b);
}

static unsigned hops_of(const struct group *g, unsigned p)
{
	return g->item[p]->route->hops;
}

/* ---- shared secrets ---- */

/* alpha = x·9, and x·Y of every hop. */
static void multiply_by_initial_secret(struct group *g, struct batch *t)
{
	t->n = 0;
	for (unsigned p = 0; p < g->n; p++) {
		t->out[p] = g->secrets[p]->alpha;
		t->key[p] = g->secrets[p]->entropy.initial_secret;
	}
	x25519_mb_base(t->out, t->key, g->n);
	for (unsigned p = 0; p < g->n; p++) {
		for (unsigned i = 0; i < hops_of(g, p); i++, t->n++) {
			t->out[t->n] = g->secrets[p]->point[i];
			t->key[t->n] = g->secrets[p]->entropy.initial_secret;
			t->in[t->n] = g->item[p]->route->hop[i].public_key;
		}
	}
	x25519_mb(t->out, t->key, t->in, t->n);
}

/* The shared secret with hop i is complete: expand it, and blind the points of the hops behind. */
static void finish_hop(struct group *g, struct batch *t, unsigned i)
{
	t->n = 0;
	for (unsigned p = 0; p < g->n; p++) {
		if (i >= hops_of(g, p))
			continue;
		t->out[t->n] = g->secrets[p]->expanded[i];
		t->in[t->n++] = g->secrets[p]->point[i];
	}
	hkdf_mb(&g->b->expand, t->out, SPHINX_EXPANDED_SIZE, t->in, 32, t->n);
	t->n = 0;
	for (unsigned p = 0; p < g->n; p++) {
		for (unsigned j = i + 1; j < hops_of(g, p); j++, t->n++) {
			t->out[t->n] = g->secrets[p]->point[j];
			t->key[t->n] = g->secrets[p]->expanded[i] + SPHINX_OFF_BLINDING;
			t->in[t->n] = g->secrets[p]->point[j];
		}
	}
	x25519_mb(t->out, t->key, t->in, t->n);
}

/* Packets with a hop whose key has small order (a zero point stays zero) leave the group. */
static void drop_bad_points(struct group *g)
{
	unsigned kept = 0;

	for (unsigned p = 0; p < g->n; p++) {
		bool bad = false;

		for (unsigned i = 0; i < hops_of(g, p); i++)
			bad |= sodium_is_zero(g->secrets[p]->point[i], 32);
		if (bad) {
			*g->status[p] = SPHINX_bad_point;
			continue;
		}
		g->item[kept] = g->item[p];
		g->status[kept] = g->status[p];
		g->secrets[kept++] = g->secrets[p];
	}
	g->n = kept;
}

/* ---- header ---- */

static void make_streams(struct group *g, struct batch *t)
{
	t->n = 0;
	for (unsigned p = 0; p < g->n; p++) {
		for (unsigned i = 0; i < hops_of(g, p); i++, t->n++) {
			t->out[t->n] = g->secrets[p]->stream[i];
			t->key[t->n] = g->secrets[p]->expanded[i] + SPHINX_OFF_STREAM_KEY;
		}
	}
	aes_ctr_mb_stream(t->out, STREAM_BLOCKS, t->key, t->n);
}

/* The layer that is `depth` hops before each packet's last one, and its MAC. */
static void make_layer(struct group *g, struct batch *t, unsigned depth)
{
	const uint8_t *stream[HOPS];
	unsigned member[GROUP];

	t->n = 0;
	for (unsigned p = 0; p < g->n; p++) {
		struct secrets *s = g->secrets[p];
		const struct sphinx_build_item *item = g->item[p];
		unsigned hop;

		if (depth >= hops_of(g, p))
			continue;
		hop = hops_of(g, p) - 1 - depth;
		for (unsigned i = 0; i < hops_of(g, p); i++)
			stream[i] = s->stream[i];
		sphinx_header_layer(item->route, hop, stream, s->entropy.padding, item->out);
		member[t->n] = p;
		t->out[t->n] = s->mac;
		t->key[t->n] = s->expanded[hop] + SPHINX_OFF_MAC_KEY;
		t->in[t->n++] = item->out + PACKET_BETA;
	}
	hmac_mb(t->out, t->key, SPHINX_K, t->in, SPHINX_BETA_SIZE, t->n);
	for (unsigned k = 0; k < t->n; k++)
		memcpy(g->item[member[k]]->out + PACKET_GAMMA, g->secrets[member[k]]->mac,
			SPHINX_GAMMA_SIZE);
}

static void make_headers(struct group *g, struct batch *t)
{
	make_streams(g, t);
	for (unsigned depth = 0; depth < HOPS; depth++)
		make_layer(g, t, depth);
	for (unsigned p = 0; p < g->n; p++)
		memcpy(g->item[p]->out + PACKET_ALPHA, g->secrets[p]->alpha, SPHINX_ALPHA_SIZE);
}

/* ---- payload ---- */

static bool explicit_key(const struct group *g, unsigned p)
{
	return g->item[p]->route->version == SPHINX_V258;
}

static void make_payload_keys(struct group *g, struct batch *t)
{
	t->n = 0;
	for (unsigned p = 0; p < g->n; p++) {
		for (unsigned i = 0; i < hops_of(g, p) && !explicit_key(g, p); i++, t->n++) {
			t->out[t->n] = g->secrets[p]->payload_key[i];
			t->in[t->n] = g->secrets[p]->expanded[i] + SPHINX_OFF_SEED;
		}
	}
	hkdf_mb(&g->b->payload_key, t->out, SPHINX_PAYLOAD_KEY_SIZE, t->in, SPHINX_SEED_SIZE, t->n);
}

static void encrypt_payloads(struct group *g, struct batch *t)
{
	for (unsigned p = 0; p < g->n; p++)
		sphinx_payload_pad(g->item[p]->out + SPHINX_HEADER_SIZE, g->payload_size,
			g->item[p]->message, g->item[p]->message_len);
	for (unsigned depth = 0; depth < HOPS; depth++) {
		t->n = 0;
		for (unsigned p = 0; p < g->n; p++) {
			const struct secrets *s = g->secrets[p];
			unsigned hop;

			if (depth >= hops_of(g, p))
				continue;
			hop = hops_of(g, p) - 1 - depth;
			t->out[t->n] = g->item[p]->out + SPHINX_HEADER_SIZE;
			t->key[t->n++] = explicit_key(g, p)
						 ? s->expanded[hop] + SPHINX_OFF_PAYLOAD_KEY
						 : s->payload_key[hop];
		}
		lioness_mb_encrypt(t->key, t->out, g->payload_size, t->n);
	}
}

/* ---- all of it ---- */

static enum sphinx_status check(const struct sphinx_build_item *item, size_t payload_size)
{
	const enum sphinx_status status = sphinx_route_check(item->route);

	return status == SPHINX_ok ? sphinx_payload_check(item->message_len, payload_size) : status;
}

static void build_headers(struct group *g, struct batch *t)
{
	multiply_by_initial_secret(g, t);
	for (unsigned i = 0; i < HOPS; i++)
		finish_hop(g, t, i);
	drop_bad_points(g);
	make_headers(g, t);
}

static void build_group(struct group *g)
{
	struct batch t;

	build_headers(g, &t);
	make_payload_keys(g, &t);
	encrypt_payloads(g, &t);
}

static void join(struct group *g, const struct sphinx_build_item *item, enum sphinx_status *status)
{
	struct secrets *s = &g->b->secrets[g->n];

	g->item[g->n] = item;
	g->status[g->n] = status;
	g->secrets[g->n++] = s;
	if (item->entropy)
		s->entropy = *item->entropy;
	else
		randombytes_buf(&s->entropy, sizeof(s->entropy));
}

static void wipe(struct sphinx_builder *b)
{
	sodium_memzero(b->secrets, sizeof(b->secrets));
	sodium_stackzero(STACK_USED);
}

void sphinx_build_burst(struct sphinx_builder *b, const struct sphinx_build_item item[], unsigned n,
	size_t payload_size, enum sphinx_status status[])
{
	struct group g = {.b = b, .payload_size = payload_size};

	for (unsigned i = 0; i < n;) {
		for (g.n = 0; i < n && g.n < GROUP; i++) {
			status[i] = check(&item[i], payload_size);
			if (status[i] == SPHINX_ok)
				join(&g, &item[i], &status[i]);
		}
		build_group(&g);
	}
	wipe(b);
}

/* Up to GROUP blocks: their headers are those of packets, which are never made. */
static void create_group(
	struct sphinx_builder *b, struct surb_item item[], unsigned n, enum sphinx_status status[])
{
	struct sphinx_build_item header[GROUP];
	struct group g = {.b = b};
	struct batch t;

	for (unsigned i = 0; i < n; i++) {
		header[i] = (struct sphinx_build_item){
			.route = item[i].route, .entropy = item[i].entropy, .out = item[i].surb};
		item[i].surb_len = item[i].recovery_len = 0;
		status[i] = surb_check(item[i].route);
		if (status[i] == SPHINX_ok)
			join(&g, &header[i], &status[i]);
	}
	build_headers(&g, &t);
	for (unsigned p = 0; p < g.n; p++) {
		struct surb_item *made = &item[g.item[p] - header];

		made->surb_len = surb_write(made->route, made->first_hop, g.secrets[p]->expanded,
			made->surb, made->recovery, &made->recovery_len);
	}
}

void surb_create_burst(
	struct sphinx_builder *b, struct surb_item item[], unsigned n, enum sphinx_status status[])
{
	for (unsigned i = 0; i < n; i += GROUP)
		create_group(b, &item[i], n - i < GROUP ? n - i : GROUP, &status[i]);
	wipe(b);
}
