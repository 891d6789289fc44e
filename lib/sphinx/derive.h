/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_DERIVE_H
#define BETANET_SPHINX_DERIVE_H

#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "sphinx/packet.h"

/*
 * Inside of lib/sphinx: what is derived from a shared secret, one packet at a time (sphinx.md, "Key
 * derivation"). Unwrap, build and reply blocks stand on it. The constants are here for the burst.
 */

/* The HKDF salts as HMAC keys; info texts without a terminating NUL. */
extern const struct hmac_key sphinx_expand_salt, sphinx_payload_salt;
extern const char sphinx_expand_info[97], sphinx_payload_info[44];

/* E = HKDF(empty salt, s, INFO1): 288 bytes. */
void sphinx_expand(
	struct crypto *c, const uint8_t shared[32], uint8_t expanded[SPHINX_EXPANDED_SIZE]);

void sphinx_key_from_seed(struct crypto *c, const uint8_t seed[SPHINX_SEED_SIZE],
	uint8_t key[SPHINX_PAYLOAD_KEY_SIZE]);

/* By version: out of E itself (258), or from the seed in E (every other). */
void sphinx_payload_key(struct crypto *c, uint16_t version,
	const uint8_t expanded[SPHINX_EXPANDED_SIZE], uint8_t key[SPHINX_PAYLOAD_KEY_SIZE]);

/* gamma of beta. */
void sphinx_mac(struct crypto *c, const uint8_t expanded[SPHINX_EXPANDED_SIZE],
	const uint8_t beta[SPHINX_BETA_SIZE], uint8_t gamma[SPHINX_GAMMA_SIZE]);

#endif
