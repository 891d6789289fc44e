/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_HKDF_H
#define BETANET_CRYPTO_HKDF_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/hmac.h"

/* HKDF-SHA256 (RFC 5869). The salt is an HMAC key: Sphinx' salts are constants, so their states are
 * worked out once. An empty salt is hmac_key_init(…, NULL, 0). */
enum {
	HKDF_INFO_MAX = 128,
	HKDF_OKM_MAX = 255 * HMAC_SIZE,
};

/* Extract and expand. ikm 1..HMAC_MESSAGE_MAX, info 0..HKDF_INFO_MAX, okm 1..HKDF_OKM_MAX bytes,
 * else -EINVAL with okm untouched. `okm` must not overlap the inputs. */
int hkdf_sha256(struct crypto *c, const struct hmac_key *salt, const void *ikm, size_t ikm_len,
	const void *info, size_t info_len, void *okm, size_t okm_len);

#endif
