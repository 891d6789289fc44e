/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_CRYPTO_H
#define BETANET_CRYPTO_CRYPTO_H

#include <stdint.h>
#include "core/error.h"

/*
 * What a thread needs to compute: ipsec-mb's manager and scratch memory. One for each thread
 * (worker, control, client); never shared. Memory is locked and wiped when freed.
 */
struct crypto;

/*
 * Once per process, before any other call of lib/crypto or lib/sphinx: starts libsodium, asks the
 * CPU and runs the self-tests (known answers for SHA-256, HMAC, HKDF, AES-CTR, ChaCha20, BLAKE2b,
 * LIONESS, X25519). `max_simd_bits` is the widest vector unit that may be used: 128, 256, 512, or 0
 * for no limit. Later calls return the result of the first. 0; -EINVAL on another width; -ENOTSUP
 * when the CPU lacks SSE4.2, AES-NI or PCLMULQDQ; -ENOMEM when memory cannot be locked; -EIO when a
 * self-test fails (`err` names it).
 */
int crypto_init(unsigned max_simd_bits, struct error *err);

/* NULL with errno set: ENOMEM (also when memory cannot be locked), EINVAL before crypto_init. */
struct crypto *crypto_create(void);
void crypto_free(struct crypto *c);

#endif
