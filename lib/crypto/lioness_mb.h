/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_LIONESS_MB_H
#define BETANET_CRYPTO_LIONESS_MB_H

#include <stddef.h>
#include <stdint.h>

/*
 * LIONESS (lioness.h) of many blocks of one length under their own keys of 192 bytes, in place;
 * exactly len bytes of each are touched. len is at least 33, else nothing happens and -EINVAL comes
 * back. n is any number. Constant time in everything but n and len. symmetric_mb_init comes first.
 */
int lioness_mb_decrypt(const uint8_t *const key[], uint8_t *const block[], size_t len, unsigned n);
int lioness_mb_encrypt(const uint8_t *const key[], uint8_t *const block[], size_t len, unsigned n);

#endif
