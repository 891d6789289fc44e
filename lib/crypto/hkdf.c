/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/hkdf.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

/* T(i) = HMAC(PRK, T(i-1) ‖ info ‖ i); the message lies ready in `msg` but for T and i, and the
 * first T is left out by starting behind its place. */
static void expand(struct crypto *c, const struct hmac_key *prk, const void *info, size_t info_len,
	uint8_t *okm, size_t okm_len)
{
	uint8_t msg[HMAC_SIZE + HKDF_INFO_MAX + 1];
	size_t skip = HMAC_SIZE;

	if (info_len > 0)
		memcpy(msg + HMAC_SIZE, info, info_len);
	for (uint8_t i = 1; okm_len > 0; i++) {
		size_t n = okm_len < HMAC_SIZE ? okm_len : HMAC_SIZE;

		msg[HMAC_SIZE + info_len] = i;
		hmac_sha256(c, prk, msg + skip, HMAC_SIZE + info_len + 1 - skip, msg);
		memcpy(okm, msg, n);
		okm += n;
		okm_len -= n;
		skip = 0;
	}
	sodium_memzero(msg, sizeof(msg));
}

int hkdf_sha256(struct crypto *c, const struct hmac_key *salt, const void *ikm, size_t ikm_len,
	const void *info, size_t info_len, void *okm, size_t okm_len)
{
	uint8_t prk[HMAC_SIZE];
	struct hmac_key key;

	if (ikm_len == 0 || ikm_len > HMAC_MESSAGE_MAX || info_len > HKDF_INFO_MAX ||
		okm_len == 0 || okm_len > HKDF_OKM_MAX)
		return -EINVAL;
	hmac_sha256(c, salt, ikm, ikm_len, prk);
	hmac_key_init(c, &key, prk, sizeof(prk));
	expand(c, &key, info, info_len, okm, okm_len);
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(&key, sizeof(key));
	return 0;
}
