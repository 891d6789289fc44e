/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_AES_CTR_MB_H
#define BETANET_CRYPTO_AES_CTR_MB_H

#include <stddef.h>
#include <stdint.h>

/*
 * Key stream of AES-128-CTR as Sphinx has it (aes_ctr.h: the counter starts at zero, big-endian),
 * under many keys. Writes blocks · 16 bytes to each out[i]; blocks below 2^32. On AES-NI, which
 * crypto_init requires; eight blocks of a key side by side. Constant time in everything but n and
 * blocks. aes_ctr.h is the oracle.
 */
enum { AES_CTR_MB_KEY = 16, AES_CTR_MB_BLOCK = 16 };

void aes_ctr_mb_stream(uint8_t *const out[], size_t blocks, const uint8_t *const key[], unsigned n);

#endif
