/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_H
#define BETANET_CRYPTO_X25519_H

#include <stdint.h>

/*
 * X25519 (RFC 7748) of one point, on libsodium: the oracle of the burst kernels. The scalar is
 * clamped, bit 255 of the point is ignored, u >= p is accepted. A point of small order, whose
 * product is all zero, is refused: -EINVAL and `out` zeroed. `out` may be either input.
 */
enum { X25519_SIZE = 32 };

int x25519(uint8_t out[X25519_SIZE], const uint8_t scalar[X25519_SIZE],
	const uint8_t point[X25519_SIZE]);

/* Times the base point 9. */
void x25519_base(uint8_t out[X25519_SIZE], const uint8_t scalar[X25519_SIZE]);

#endif
