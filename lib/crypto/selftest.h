/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_SELFTEST_H
#define BETANET_CRYPTO_SELFTEST_H

#include <stddef.h>
#include <stdint.h>
#include "crypto/crypto.h"

enum { SELFTEST_MAX = 256 }; /* bytes of an input or output */

/* A known answer, in hex. `compute` gets key and input decoded and writes as many bytes as
 * `expected` has. */
struct selftest {
	const char *name; /* algorithm and source */
	void (*compute)(struct crypto *c, const uint8_t *key, size_t key_len, const uint8_t *in,
		size_t in_len, uint8_t *out, size_t out_len);
	const char *key, *input, *expected;
};

extern const struct selftest selftest_rows[];
extern const size_t selftest_count;

/* NULL when every row gives its answer, else the name of the first that does not. */
const char *selftest_run(struct crypto *c, const struct selftest *rows, size_t count);

#endif
