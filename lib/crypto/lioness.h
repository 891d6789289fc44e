/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_LIONESS_H
#define BETANET_CRYPTO_LIONESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * LIONESS (Anderson and Biham, "Two Practical and Provably Secure Block Ciphers: BEAR and LION",
 * 1996): one block cipher block of any size out of a stream cipher S (ChaCha20, 20 rounds, zero
 * nonce, counter 0) and a keyed hash H (BLAKE2b, 64-byte key, 32 bytes out). The block splits into
 * L, its first 32 bytes, and R; the key into K1[0..32] K2[32..96] K3[96..128] K4[128..192].
 *
 *	R ^= S(L^K1); L ^= H(K2,R); R ^= S(L^K3); L ^= H(K4,R)        decryption: backwards
 */
enum {
	LIONESS_KEY_SIZE = 192,
	LIONESS_BLOCK_MIN = 33,
};

/* In place. At least LIONESS_BLOCK_MIN bytes, else -EINVAL and nothing changes. */
int lioness_encrypt(const uint8_t key[LIONESS_KEY_SIZE], void *block, size_t len);
int lioness_decrypt(const uint8_t key[LIONESS_KEY_SIZE], void *block, size_t len);

#endif
