/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_UNIFORM_H
#define BETANET_CORE_UNIFORM_H

#include <sodium.h>
#include <stdint.h>

/* Uniform in 0..n-1, n >= 1, from libsodium's random numbers: randombytes_uniform for 64 bits.
 * Draws that would favour the small numbers are drawn again. */
static inline uint64_t uniform_below(uint64_t n)
{
	uint64_t excess = -n % n, v; /* 2^64 mod n */

	do
		randombytes_buf(&v, sizeof(v));
	while (v < excess);
	return v % n;
}

#endif
