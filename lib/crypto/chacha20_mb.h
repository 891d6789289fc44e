/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_CHACHA20_MB_H
#define BETANET_CRYPTO_CHACHA20_MB_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/mb.h"

/*
 * ChaCha20 (20 rounds) with a zero nonce from counter 0, the S of LIONESS: XORs the key stream into
 * each buffer in place. One buffer at a time, 8 or 16 of its blocks side by side, one block in each
 * 32-bit lane of a vector: a payload has that many blocks, so that no second packet is needed to
 * fill the vector.
 *
 * Exactly len bytes of a buffer are read and written. No slack is used, although an mbuf has
 * tailroom: the last part of a stride is written in pieces of 32 bytes (or with a mask), which cost
 * nothing measurable against whole strides. Constant time in everything but n and len.
 */

enum { CHACHA20_MB_KEY = 32 };

typedef void chacha20_mb_fn(
	uint8_t *const buf[], size_t len, const uint8_t *const key[], unsigned n);

/* Any n, any len below 2^32 · 64; the kernel that was fastest for this len at start.
 * symmetric_mb_init comes first. */
chacha20_mb_fn chacha20_mb_xor;

struct chacha20_mb_kernel {
	const char *name;
	enum mb_isa isa;
	chacha20_mb_fn * xor ;
};

/* Every kernel in this build, libsodium's first (the oracle). */
extern const struct chacha20_mb_kernel chacha20_mb_kernels[];
extern const unsigned chacha20_mb_kernel_count;

/* As sha256_mb_init; the choice goes by the number of blocks in a buffer. */
int chacha20_mb_init(struct error *err);
const char *chacha20_mb_kernel_name(size_t len);

chacha20_mb_fn chacha20_mb_sodium, chacha20_mb_avx2, chacha20_mb_avx512;

#endif
