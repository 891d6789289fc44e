/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_AES_CTR_H
#define BETANET_CRYPTO_AES_CTR_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/crypto.h"

/* AES-128-CTR (NIST SP 800-38A) as Sphinx has it: the counter starts at zero, big-endian. */
enum {
	AES_CTR_KEY_SIZE = 16,
	AES_CTR_MAX = 65535, /* bytes; far below where a 32-bit counter would wrap */
};

/* dst = src XOR keystream; dst may be src. 1..AES_CTR_MAX bytes, else -EINVAL and dst untouched. */
int aes_ctr_xor(struct crypto *c, const uint8_t key[AES_CTR_KEY_SIZE], const void *src, void *dst,
	size_t len);

#endif
