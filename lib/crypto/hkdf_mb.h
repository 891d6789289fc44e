/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_HKDF_MB_H
#define BETANET_CRYPTO_HKDF_MB_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/hmac.h"
#include "crypto/sha256_mb.h"

/*
 * HMAC-SHA256 (RFC 2104) and HKDF-SHA256 (RFC 5869) of many messages with one call, on
 * sha256_mb.h. n is any number; all lengths are the same for the whole call. Constant time in
 * everything but n and the lengths. Working memory is on the stack and wiped before return.
 * symmetric_mb_init comes first.
 */

enum {
	HKDF_MB_INFO_MAX = 150, /* so that T(i-1), info and counter fill at most four blocks */
	HKDF_MB_IKM_MAX = 55,   /* input key that fits one block with its padding */
	HKDF_MB_OUT_MAX = 8160, /* 255 · 32, RFC 5869 */
	HMAC_MB_KEY_MAX = 64,
};

/*
 * All that does not depend on the packet: the salt's two HMAC states, and the padded messages of
 * the first and of the later expansion steps. Made once; read-only afterwards; nothing in it is
 * secret in Sphinx, where salt and info are constants of the format.
 */
struct hkdf_mb {
	struct sha256_state salt_inner, salt_outer;
	uint8_t first[256], next[256]; /* info ‖ i ‖ padding;  T(i-1) ‖ info ‖ i ‖ padding */
	size_t info_len;
};

/* 0; -EINVAL when info_len > HKDF_MB_INFO_MAX. */
int hkdf_mb_prepare(
	struct hkdf_mb *h, const struct hmac_key *salt, const void *info, size_t info_len);

/* out[i] gets out_len (1..HKDF_MB_OUT_MAX) bytes from ikm[i] of ikm_len (0..HKDF_MB_IKM_MAX)
 * bytes. */
void hkdf_mb(const struct hkdf_mb *h, uint8_t *const out[], size_t out_len,
	const uint8_t *const ikm[], size_t ikm_len, unsigned n);

/* mac[i] gets the 32 bytes of HMAC(key[i], msg[i]); key_len is 0..HMAC_MB_KEY_MAX. */
void hmac_mb(uint8_t *const mac[], const uint8_t *const key[], size_t key_len,
	const uint8_t *const msg[], size_t msg_len, unsigned n);

#endif
