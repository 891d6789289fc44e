/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_BLAKE2B_MB_H
#define BETANET_CRYPTO_BLAKE2B_MB_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/mb.h"

/*
 * BLAKE2b (RFC 7693) with a 64-byte key and a 32-byte result, the H of LIONESS, of several
 * messages of one length: one message in each 64-bit lane of a vector. Reads exactly len bytes of
 * each message. Constant time in everything but n and len.
 */

enum {
	BLAKE2B_MB_KEY = 64,
	BLAKE2B_MB_OUT = 32,
	BLAKE2B_MB_LANES = 8, /* the widest kernel; a longer list is worked off in such groups */
};

typedef void blake2b_mb_fn(uint8_t *const out[], const uint8_t *const key[],
	const uint8_t *const in[], size_t len, unsigned n);

/* Any n; the kernel that was fastest for it at start. symmetric_mb_init comes first. */
blake2b_mb_fn blake2b_mb;

struct blake2b_mb_kernel {
	const char *name;
	enum mb_isa isa;
	blake2b_mb_fn *hash; /* any n */
};

/* Every kernel in this build, libsodium's one-message code first (the oracle). */
extern const struct blake2b_mb_kernel blake2b_mb_kernels[];
extern const unsigned blake2b_mb_kernel_count;

/* As sha256_mb_init. */
int blake2b_mb_init(struct error *err);
const char *blake2b_mb_kernel_name(unsigned n); /* 1..BLAKE2B_MB_LANES */

blake2b_mb_fn blake2b_mb_sodium, blake2b_mb_avx2, blake2b_mb_avx512;

#endif
