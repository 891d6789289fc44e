/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/blake2b_mb.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

const struct blake2b_mb_kernel blake2b_mb_kernels[] = {
	{"libsodium", MB_BASE, blake2b_mb_sodium},
	{"avx2 x4", MB_AVX2, blake2b_mb_avx2},
	{"avx512 x8", MB_AVX512, blake2b_mb_avx512},
};
const unsigned blake2b_mb_kernel_count = sizeof(blake2b_mb_kernels) / sizeof(blake2b_mb_kernels[0]);

/* Index: number of messages. Written by blake2b_mb_init alone. */
static const struct blake2b_mb_kernel *chosen[BLAKE2B_MB_LANES + 1];

void blake2b_mb_sodium(uint8_t *const out[], const uint8_t *const key[], const uint8_t *const in[],
	size_t len, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		crypto_generichash(out[i], BLAKE2B_MB_OUT, in[i], len, key[i], BLAKE2B_MB_KEY);
}

void blake2b_mb(uint8_t *const out[], const uint8_t *const key[], const uint8_t *const in[],
	size_t len, unsigned n)
{
	for (unsigned i = 0, m; i < n; i += m) {
		m = n - i < BLAKE2B_MB_LANES ? n - i : BLAKE2B_MB_LANES;
		chosen[m]->hash(out + i, key + i, in + i, len, m);
	}
}

const char *blake2b_mb_kernel_name(unsigned n)
{
	return chosen[n]->name;
}

/* ---- choice ---- */

enum { TRIAL_LEN = 992 }; /* the right half of a 1024-byte payload */

struct trial {
	const struct blake2b_mb_kernel *kernel;
	unsigned n;
	uint8_t *out[BLAKE2B_MB_LANES];
	const uint8_t *key[BLAKE2B_MB_LANES], *in[BLAKE2B_MB_LANES];
	uint8_t digest[BLAKE2B_MB_LANES][BLAKE2B_MB_OUT], text[BLAKE2B_MB_LANES][TRIAL_LEN];
};

static void run_trial(void *arg)
{
	struct trial *t = arg;

	t->kernel->hash(t->out, t->key, t->in, TRIAL_LEN, t->n);
}

static int compare(struct trial *t, struct error *err)
{
	uint8_t want[BLAKE2B_MB_LANES][BLAKE2B_MB_OUT];

	blake2b_mb_sodium(t->out, t->key, t->in, TRIAL_LEN, t->n);
	memcpy(want, t->digest, sizeof(want));
	run_trial(t);
	if (memcmp(want, t->digest, sizeof(want)) != 0)
		return error_set(err, EIO,
			"self-test failed: BLAKE2b kernel \"%s\" with %u messages differs from "
			"libsodium",
			t->kernel->name, t->n);
	return 0;
}

int blake2b_mb_init(struct error *err)
{
	struct trial t;
	uint64_t best[BLAKE2B_MB_LANES + 1];

	memset(best, 0xff, sizeof(best));
	memset(t.digest, 0, sizeof(t.digest));
	randombytes_buf(t.text, sizeof(t.text));
	for (unsigned i = 0; i < BLAKE2B_MB_LANES; i++) {
		t.out[i] = t.digest[i];
		t.in[i] = t.text[i];
		t.key[i] = t.text[BLAKE2B_MB_LANES - 1 - i];
	}
	for (unsigned k = 0; k < blake2b_mb_kernel_count; k++) {
		t.kernel = &blake2b_mb_kernels[k];
		if (!mb_usable(t.kernel->isa))
			continue;
		for (t.n = 1; t.n <= BLAKE2B_MB_LANES; t.n++) {
			uint64_t ticks;
			int rc = compare(&t, err);

			if (rc)
				return rc;
			ticks = mb_measure(run_trial, &t);
			if (ticks < best[t.n]) {
				best[t.n] = ticks;
				chosen[t.n] = t.kernel;
			}
		}
	}
	return 0;
}
