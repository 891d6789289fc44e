/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_SHA256_MB_H
#define BETANET_CRYPTO_SHA256_MB_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/mb.h"

/*
 * SHA-256 (FIPS 180-4) of several messages at once: the compression function alone. One message
 * is a chain that no CPU can shorten, so that throughput comes from running several chains side by
 * side: SHA-NI instructions of up to four messages interleaved, or one message in each 32-bit lane
 * of a vector. hkdf_mb.h builds HMAC and HKDF on it.
 */

enum { SHA256_MB_LANES = 16 }; /* callers hand over groups of up to so many messages */

struct sha256_state {
	_Alignas(16) uint32_t h[8]; /* a..h, host byte order */
};

extern const struct sha256_state sha256_initial;

/* Round constants, shared by the kernels. */
extern const uint32_t sha256_k[64];

/*
 * Runs `blocks` blocks of 64 bytes of n messages: st[i] goes through msg[i][0 .. 64·blocks). n is
 * 1..SHA256_MB_LANES. Time and addresses depend on blocks and n alone.
 */
typedef void sha256_mb_fn(
	struct sha256_state st[], const uint8_t *const msg[], size_t blocks, unsigned n);

/* The kernel that was fastest for this n when sha256_mb_init measured them. */
sha256_mb_fn sha256_mb_compress;

struct sha256_mb_kernel {
	const char *name;
	enum mb_isa isa;
	sha256_mb_fn *compress;
};

/* Every kernel in this build, the plain C one first (the oracle). The caller asks mb_usable. */
extern const struct sha256_mb_kernel sha256_mb_kernels[];
extern const unsigned sha256_mb_kernel_count;

/* Compares each usable kernel with the plain C one and keeps, for each n, the fastest. 0, or -EIO
 * when a kernel computes something else (`err` names it). Called by symmetric_mb_init. */
int sha256_mb_init(struct error *err);

/* Name of the kernel in use for n messages. */
const char *sha256_mb_kernel_name(unsigned n);

/* The digest: the state as big-endian bytes. */
void sha256_state_bytes(uint8_t out[32], const struct sha256_state *st);

sha256_mb_fn sha256_mb_c, sha256_mb_sse41, sha256_mb_shani, sha256_mb_avx2, sha256_mb_avx512;

#endif
