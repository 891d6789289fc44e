/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include "core/bytes.h"
#include "crypto/hkdf_mb.h"

enum { W = SHA256_MB_LANES, BLOCK = 64, DIGEST = 32, TEXT_MAX = 256 };

/* Working memory for one group of up to W messages. */
struct group {
	unsigned n;
	struct sha256_state st[W], inner[W], outer[W]; /* inner, outer: after the key's block */
	uint8_t text[W][TEXT_MAX];                     /* message tail with its padding */
	uint8_t pad[W][BLOCK];                         /* the key's block, then the outer message */
	const uint8_t *text_ptr[W], *pad_ptr[W];
};

/* Behind `used` bytes of text: the end mark, zeros, and the length in bits of the whole message,
 * which has `before` bytes in front of text. Returns the number of blocks. */
static size_t finish_text(uint8_t *text, size_t used, size_t before)
{
	size_t blocks = (used + 9 + BLOCK - 1) / BLOCK;

	text[used] = 0x80;
	memset(text + used + 1, 0, blocks * BLOCK - used - 1 - 8);
	store_be64(text + blocks * BLOCK - 8, 8 * (before + used));
	return blocks;
}

static void group_start(struct group *g, unsigned n)
{
	g->n = n;
	for (unsigned i = 0; i < n; i++) {
		g->text_ptr[i] = g->text[i];
		g->pad_ptr[i] = g->pad[i];
	}
}

/* inner and outer states of n keys of key_len bytes; `pad` is overwritten. */
static void group_keys(struct group *g, const uint8_t *const key[], size_t key_len)
{
	for (unsigned i = 0; i < g->n; i++) {
		memset(g->pad[i], 0x36, BLOCK);
		for (size_t j = 0; j < key_len; j++)
			g->pad[i][j] ^= key[i][j];
		g->inner[i] = g->outer[i] = sha256_initial;
	}
	sha256_mb_compress(g->inner, g->pad_ptr, 1, g->n);
	for (unsigned i = 0; i < g->n; i++)
		for (size_t j = 0; j < BLOCK; j++)
			g->pad[i][j] ^= 0x36 ^ 0x5c;
	sha256_mb_compress(g->outer, g->pad_ptr, 1, g->n);
}

/* Padding of the outer message, a digest behind the key's block; the digest is written later. */
static void group_outer_padding(struct group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		finish_text(g->pad[i], DIGEST, BLOCK);
}

/* st: the inner states after all of the message. Leaves the HMAC values in st. */
static void group_outer(struct group *g, const struct sha256_state outer[])
{
	for (unsigned i = 0; i < g->n; i++)
		sha256_state_bytes(g->pad[i], &g->st[i]);
	memcpy(g->st, outer, g->n * sizeof(g->st[0]));
	sha256_mb_compress(g->st, g->pad_ptr, 1, g->n);
}

/* ---- HMAC ---- */

static void hmac_group(struct group *g, uint8_t *const mac[], const uint8_t *const key[],
	size_t key_len, const uint8_t *const msg[], size_t msg_len)
{
	size_t whole = msg_len / BLOCK, tail = msg_len % BLOCK, blocks = 0;

	group_keys(g, key, key_len);
	group_outer_padding(g);
	memcpy(g->st, g->inner, g->n * sizeof(g->st[0]));
	if (whole)
		sha256_mb_compress(g->st, msg, whole, g->n);
	for (unsigned i = 0; i < g->n; i++) {
		memcpy(g->text[i], msg[i] + whole * BLOCK, tail);
		blocks = finish_text(g->text[i], tail, BLOCK + whole * BLOCK);
	}
	sha256_mb_compress(g->st, g->text_ptr, blocks, g->n);
	group_outer(g, g->outer);
	for (unsigned i = 0; i < g->n; i++)
		sha256_state_bytes(mac[i], &g->st[i]);
}

void hmac_mb(uint8_t *const mac[], const uint8_t *const key[], size_t key_len,
	const uint8_t *const msg[], size_t msg_len, unsigned n)
{
	struct group g;

	for (unsigned i = 0; i < n; i += W) {
		group_start(&g, n - i < W ? n - i : W);
		hmac_group(&g, mac + i, key + i, key_len, msg + i, msg_len);
	}
	sodium_memzero(&g, sizeof(g));
}

/* ---- HKDF ---- */

int hkdf_mb_prepare(
	struct hkdf_mb *h, const struct hmac_key *salt, const void *info, size_t info_len)
{
	if (info_len > HKDF_MB_INFO_MAX)
		return -EINVAL;
	memset(h, 0, sizeof(*h));
	memcpy(h->salt_inner.h, salt->inner, sizeof(h->salt_inner.h));
	memcpy(h->salt_outer.h, salt->outer, sizeof(h->salt_outer.h));
	if (info_len) {
		memcpy(h->first, info, info_len);
		memcpy(h->next + DIGEST, info, info_len);
	}
	finish_text(h->first, info_len + 1, BLOCK);
	finish_text(h->next, DIGEST + info_len + 1, BLOCK);
	h->info_len = info_len;
	return 0;
}

/* RFC 5869, 2.2: PRK = HMAC(salt, ikm). Leaves the states of PRK as a key in inner and outer. */
static void extract(
	struct group *g, const struct hkdf_mb *h, const uint8_t *const ikm[], size_t ikm_len)
{
	struct sha256_state outer[W];

	for (unsigned i = 0; i < g->n; i++) {
		if (ikm_len)
			memcpy(g->text[i], ikm[i], ikm_len);
		finish_text(g->text[i], ikm_len, BLOCK);
		g->st[i] = h->salt_inner;
		outer[i] = h->salt_outer;
	}
	sha256_mb_compress(g->st, g->text_ptr, 1, g->n);
	group_outer_padding(g);
	group_outer(g, outer);
	for (unsigned i = 0; i < g->n; i++)
		sha256_state_bytes(g->text[i], &g->st[i]);
	group_keys(g, g->text_ptr, DIGEST);
}

/* RFC 5869, 2.3: T(i) = HMAC(PRK, T(i-1) ‖ info ‖ i). */
static void expand(struct group *g, const struct hkdf_mb *h, uint8_t *const out[], size_t out_len)
{
	const size_t first_len = h->info_len + 1, next_len = DIGEST + first_len;
	const size_t first_blocks = (first_len + 9 + BLOCK - 1) / BLOCK,
		     next_blocks = (next_len + 9 + BLOCK - 1) / BLOCK;

	group_outer_padding(g);
	for (unsigned i = 0; i < g->n; i++) {
		memcpy(g->text[i], h->first, first_blocks * BLOCK);
		g->text[i][first_len - 1] = 1;
	}
	for (size_t step = 1, done = 0;; step++) {
		size_t len = out_len - done < DIGEST ? out_len - done : DIGEST;

		memcpy(g->st, g->inner, g->n * sizeof(g->st[0]));
		sha256_mb_compress(
			g->st, g->text_ptr, step == 1 ? first_blocks : next_blocks, g->n);
		group_outer(g, g->outer);
		if (step == 1)
			for (unsigned i = 0; i < g->n; i++)
				memcpy(g->text[i], h->next, next_blocks * BLOCK);
		for (unsigned i = 0; i < g->n; i++) {
			sha256_state_bytes(g->text[i], &g->st[i]);
			memcpy(out[i] + done, g->text[i], len);
			g->text[i][next_len - 1] = (uint8_t)(step + 1);
		}
		done += len;
		if (done == out_len)
			break;
	}
}

void hkdf_mb(const struct hkdf_mb *h, uint8_t *const out[], size_t out_len,
	const uint8_t *const ikm[], size_t ikm_len, unsigned n)
{
	struct group g;

	for (unsigned i = 0; i < n; i += W) {
		group_start(&g, n - i < W ? n - i : W);
		extract(&g, h, ikm + i, ikm_len);
		expand(&g, h, out + i, out_len);
	}
	sodium_memzero(&g, sizeof(g));
}
