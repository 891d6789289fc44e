/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_HMAC_H
#define BETANET_CRYPTO_HMAC_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/crypto.h"

/*
 * HMAC-SHA256 (RFC 2104, FIPS 198-1) of one message, on ipsec-mb. A key is kept as the two SHA-256
 * states behind its ipad and its opad block: that saves two of the blocks of every further message,
 * and a constant key can be a constant in the source. State words H0..H7 in host order.
 */
enum {
	HMAC_SIZE = 32,
	HMAC_MESSAGE_MAX = 65534, /* what an ipsec-mb job takes */
};

struct hmac_key {
	uint32_t inner[8], outer[8];
};

/* Any length; a key of more than 64 bytes is hashed first. The caller wipes *k. */
void hmac_key_init(struct crypto *c, struct hmac_key *k, const void *key, size_t len);

/* 1..HMAC_MESSAGE_MAX bytes, else -EINVAL and `out` zeroed. `out` may be the message. */
int hmac_sha256(struct crypto *c, const struct hmac_key *k, const void *msg, size_t len,
	uint8_t out[HMAC_SIZE]);

#endif
