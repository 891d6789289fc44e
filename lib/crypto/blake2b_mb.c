/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/blake2b_mb.h"

#include <sodium.h>
#include <string.h>

const struct blake2b_mb_kernel blake2b_mb_kernels[] = {
	{{"libsodium", MB_BASE}, blake2b_mb_sodium},
	{{"avx2 x4", MB_AVX2}, blake2b_mb_avx2},
	{{"avx512 x8", MB_AVX512}, blake2b_mb_avx512},
};
const unsigned blake2b_mb_kernel_count = sizeof(blake2b_mb_kernels) / sizeof(blake2b_mb_kernels[0]);

/* Kernel for 1, 2, … messages. Written by blake2b_mb_init alone. */
static uint8_t chosen[BLAKE2B_MB_LANES];

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
		blake2b_mb_kernels[chosen[m - 1]].hash(out + i, key + i, in + i, len, m);
	}
}

const char *blake2b_mb_kernel_name(unsigned n)
{
	return blake2b_mb_kernels[chosen[n - 1]].mb.name;
}

/* ---- choice ---- */

enum { TRIAL_LEN = 992 }; /* the right half of a 1024-byte payload */

struct trial {
	uint8_t *out[BLAKE2B_MB_LANES];
	const uint8_t *key[BLAKE2B_MB_LANES], *in[BLAKE2B_MB_LANES];
	uint8_t digest[BLAKE2B_MB_LANES][BLAKE2B_MB_OUT], text[BLAKE2B_MB_LANES][TRIAL_LEN];
};

static const struct mb_kernel *kernel(unsigned k)
{
	return &blake2b_mb_kernels[k].mb;
}

static void run(void *trial, unsigned k, unsigned class)
{
	struct trial *t = trial;

	blake2b_mb_kernels[k].hash(t->out, t->key, t->in, TRIAL_LEN, class + 1);
}

static bool agrees(void *trial, unsigned k, unsigned class)
{
	struct trial *t = trial;
	uint8_t want[BLAKE2B_MB_LANES][BLAKE2B_MB_OUT];

	run(t, 0, class);
	memcpy(want, t->digest, sizeof(want));
	memset(t->digest, 0, (class + 1) * sizeof(t->digest[0]));
	run(t, k, class);
	return memcmp(want, t->digest, sizeof(want)) == 0;
}

int blake2b_mb_init(struct error *err)
{
	const struct mb_race race = {
		"BLAKE2b", blake2b_mb_kernel_count, BLAKE2B_MB_LANES, kernel, run, agrees};
	struct trial t;

	memset(t.digest, 0, sizeof(t.digest));
	randombytes_buf(t.text, sizeof(t.text));
	for (unsigned i = 0; i < BLAKE2B_MB_LANES; i++) {
		t.out[i] = t.digest[i];
		t.in[i] = t.text[i];
		t.key[i] = t.text[BLAKE2B_MB_LANES - 1 - i];
	}
	return mb_race(&race, &t, chosen, err);
}
