/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/x25519.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

int x25519(uint8_t out[X25519_SIZE], const uint8_t scalar[X25519_SIZE],
	const uint8_t point[X25519_SIZE])
{
	uint8_t q[X25519_SIZE] = {0};
	int r = crypto_scalarmult_curve25519(q, scalar, point);

	/* what libsodium leaves in q when it refuses differs between its implementations */
	if (r < 0)
		memset(out, 0, X25519_SIZE);
	else
		memcpy(out, q, X25519_SIZE);
	sodium_memzero(q, sizeof(q));
	return r < 0 ? -EINVAL : 0;
}

void x25519_base(uint8_t out[X25519_SIZE], const uint8_t scalar[X25519_SIZE])
{
	uint8_t q[X25519_SIZE];

	crypto_scalarmult_curve25519_base(q, scalar);
	memcpy(out, q, X25519_SIZE);
	sodium_memzero(q, sizeof(q));
}
