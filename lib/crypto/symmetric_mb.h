/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_SYMMETRIC_MB_H
#define BETANET_CRYPTO_SYMMETRIC_MB_H

#include "core/error.h"

/*
 * Tests and chooses the kernels of sha256_mb, blake2b_mb and chacha20_mb, some milliseconds in all.
 * crypto_init calls it after cpu_limit_simd; a test calls it again after another limit, with no
 * other thread running. 0, or -EIO when a kernel differs from its plain twin (`err` names it).
 */
int symmetric_mb_init(struct error *err);

#endif
