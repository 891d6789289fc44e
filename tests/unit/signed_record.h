/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_SIGNED_RECORD_H
#define BETANET_TESTS_SIGNED_RECORD_H

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include "vrf/record.h"

/*
 * What every published record must refuse, whatever its kind. After cmocka.h. `check` verifies
 * `len` bytes as a reader would and returns what the verification returns.
 */
struct signed_record {
	const uint8_t *bytes;
	size_t size;
	const char *label;
	const uint8_t *identity; /* Ed25519 secret key */
	int (*check)(const uint8_t *data, size_t len);
};

/* A byte that is changed, the record being signed again, and what the verifier then answers. */
struct falsehood {
	unsigned offset;
	uint8_t value;
	int result;
};

static inline void assert_no_bit_may_change(const struct signed_record *r)
{
	uint8_t bad[RECORD_MAX_SIZE];

	for (unsigned bit = 0; bit < 8 * r->size; bit++) {
		memcpy(bad, r->bytes, r->size);
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (r->check(bad, r->size) == 0)
			fail_msg("bit %u of byte %u may change", bit % 8, bit / 8);
	}
}

/* The signature alone must not save a record whose form or proof is wrong. */
static inline void assert_falsehoods_are_refused(
	const struct signed_record *r, const struct falsehood *f, unsigned n)
{
	size_t label = strlen(r->label) + 1, body = r->size - RECORD_SIGNATURE_SIZE;

	for (; n > 0; n--, f++) {
		uint8_t bad[RECORD_MAX_SIZE], bytes[64 + RECORD_MAX_SIZE];
		int got;

		memcpy(bad, r->bytes, r->size);
		bad[f->offset] = f->value;
		memcpy(bytes, r->label, label);
		memcpy(bytes + label, bad, body);
		crypto_sign_detached(bad + body, NULL, bytes, label + body, r->identity);
		got = r->check(bad, r->size);
		if (got != f->result)
			fail_msg("byte %u = %u: %d, not %d", f->offset, f->value, got, f->result);
	}
}

static inline void assert_no_other_length(const struct signed_record *r)
{
	uint8_t longer[RECORD_MAX_SIZE + 1] = {0};

	memcpy(longer, r->bytes, r->size);
	for (size_t len = 0; len <= r->size + 1; len++)
		assert_int_equal(r->check(longer, len), len == r->size ? 0 : -EINVAL);
}

#endif
