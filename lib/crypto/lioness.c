/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/lioness.h"

#include <errno.h>
#include <sodium.h>

enum { LEFT = 32, K1 = 0, K2 = 32, K3 = 96, K4 = 128, HASH_KEY = 64 };

static void stream_right(const uint8_t *k, uint8_t *block, size_t len)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t key[LEFT];

	for (size_t i = 0; i < LEFT; i++)
		key[i] = block[i] ^ k[i];
	crypto_stream_chacha20_xor(block + LEFT, block + LEFT, len - LEFT, nonce, key);
	sodium_memzero(key, sizeof(key));
}

static void hash_left(const uint8_t *k, uint8_t *block, size_t len)
{
	uint8_t h[LEFT];

	crypto_generichash_blake2b(h, LEFT, block + LEFT, len - LEFT, k, HASH_KEY);
	for (size_t i = 0; i < LEFT; i++)
		block[i] ^= h[i];
	sodium_memzero(h, sizeof(h));
}

int lioness_encrypt(const uint8_t key[LIONESS_KEY_SIZE], void *block, size_t len)
{
	if (len < LIONESS_BLOCK_MIN)
		return -EINVAL;
	stream_right(key + K1, block, len);
	hash_left(key + K2, block, len);
	stream_right(key + K3, block, len);
	hash_left(key + K4, block, len);
	return 0;
}

int lioness_decrypt(const uint8_t key[LIONESS_KEY_SIZE], void *block, size_t len)
{
	if (len < LIONESS_BLOCK_MIN)
		return -EINVAL;
	hash_left(key + K4, block, len);
	stream_right(key + K3, block, len);
	hash_left(key + K2, block, len);
	stream_right(key + K1, block, len);
	return 0;
}
