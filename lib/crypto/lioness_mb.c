/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/lioness_mb.h"

#include <errno.h>
#include <sodium.h>
#include "crypto/blake2b_mb.h"
#include "crypto/chacha20_mb.h"

/* Block = L ‖ R; key = K1 ‖ K2 ‖ K3 ‖ K4. A group is small enough that its blocks stay in L1. */
enum { LEFT = 32, K1 = 0, K2 = 32, K3 = 96, K4 = 128, GROUP = BLAKE2B_MB_LANES };

struct group {
	unsigned n;
	size_t right_len;
	const uint8_t *const *key;
	uint8_t *const *left;
	uint8_t *right[GROUP], *hash_ptr[GROUP];
	const uint8_t *key_ptr[GROUP];
	uint8_t hash[GROUP][BLAKE2B_MB_OUT]; /* of R; then the stream's key */
};

static inline void xor32(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < LEFT; i++)
		out[i] = a[i] ^ b[i];
}

/* L ^= H(key + offset, R) */
static void hash_round(struct group *g, unsigned offset)
{
	for (unsigned i = 0; i < g->n; i++)
		g->key_ptr[i] = g->key[i] + offset;
	blake2b_mb(g->hash_ptr, g->key_ptr, (const uint8_t *const *)g->right, g->right_len, g->n);
	for (unsigned i = 0; i < g->n; i++)
		xor32(g->left[i], g->left[i], g->hash[i]);
}

/* R ^= S(L ^ (key + offset)) */
static void stream_round(struct group *g, unsigned offset)
{
	for (unsigned i = 0; i < g->n; i++) {
		xor32(g->hash[i], g->left[i], g->key[i] + offset);
		g->key_ptr[i] = g->hash[i];
	}
	chacha20_mb_xor(g->right, g->right_len, g->key_ptr, g->n);
}

static int apply(const uint8_t *const key[], uint8_t *const block[], size_t len, unsigned n,
	void (*rounds)(struct group *g))
{
	struct group g;

	if (len <= LEFT)
		return -EINVAL;
	g.right_len = len - LEFT;
	for (unsigned i = 0; i < n; i += GROUP) {
		g.n = n - i < GROUP ? n - i : GROUP;
		g.key = key + i;
		g.left = block + i;
		for (unsigned j = 0; j < g.n; j++) {
			g.right[j] = block[i + j] + LEFT;
			g.hash_ptr[j] = g.hash[j];
		}
		rounds(&g);
	}
	sodium_memzero(&g, sizeof(g));
	return 0;
}

static void decrypt_rounds(struct group *g)
{
	hash_round(g, K4);
	stream_round(g, K3);
	hash_round(g, K2);
	stream_round(g, K1);
}

static void encrypt_rounds(struct group *g)
{
	stream_round(g, K1);
	hash_round(g, K2);
	stream_round(g, K3);
	hash_round(g, K4);
}

int lioness_mb_decrypt(const uint8_t *const key[], uint8_t *const block[], size_t len, unsigned n)
{
	return apply(key, block, len, n, decrypt_rounds);
}

int lioness_mb_encrypt(const uint8_t *const key[], uint8_t *const block[], size_t len, unsigned n)
{
	return apply(key, block, len, n, encrypt_rounds);
}
