/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/chacha20_mb.h"

#include <sodium.h>
#include <string.h>

enum { BLOCK = 64, CLASSES = 32 }; /* longer buffers go by the last class */

const struct chacha20_mb_kernel chacha20_mb_kernels[] = {
	{{"libsodium", MB_BASE}, chacha20_mb_sodium},
	{{"avx2 x8", MB_AVX2}, chacha20_mb_avx2},
	{{"avx512 x16", MB_AVX512}, chacha20_mb_avx512},
};
const unsigned chacha20_mb_kernel_count =
	sizeof(chacha20_mb_kernels) / sizeof(chacha20_mb_kernels[0]);

/* Kernel for 1, 2, … blocks. Written by chacha20_mb_init alone. */
static uint8_t chosen[CLASSES];

void chacha20_mb_sodium(uint8_t *const buf[], size_t len, const uint8_t *const key[], unsigned n)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	for (unsigned i = 0; i < n; i++)
		crypto_stream_chacha20_xor(buf[i], buf[i], len, nonce, key[i]);
}

static unsigned class_of(size_t len)
{
	size_t blocks = (len + BLOCK - 1) / BLOCK;

	return blocks > CLASSES ? CLASSES - 1 : blocks ? (unsigned)blocks - 1 : 0;
}

void chacha20_mb_xor(uint8_t *const buf[], size_t len, const uint8_t *const key[], unsigned n)
{
	chacha20_mb_kernels[chosen[class_of(len)]].xor (buf, len, key, n);
}

const char *chacha20_mb_kernel_name(size_t len)
{
	return chacha20_mb_kernels[chosen[class_of(len)]].mb.name;
}

/* ---- choice ---- */

struct trial {
	uint8_t *buf;
	const uint8_t *key;
	uint8_t text[BLOCK * CLASSES], secret[CHACHA20_MB_KEY];
};

static const struct mb_kernel *kernel(unsigned k)
{
	return &chacha20_mb_kernels[k].mb;
}

/* half of the last block is missing, as it is for a payload of 1024 bytes */
static size_t trial_len(unsigned class)
{
	return class * BLOCK + BLOCK / 2;
}

static void run(void *trial, unsigned k, unsigned class)
{
	struct trial *t = trial;

	chacha20_mb_kernels[k].xor (&t->buf, trial_len(class), &t->key, 1);
}

static bool agrees(void *trial, unsigned k, unsigned class)
{
	struct trial *t = trial;
	uint8_t want[BLOCK * CLASSES];

	memcpy(want, t->text, sizeof(want));
	chacha20_mb_sodium(&(uint8_t *){want}, trial_len(class), &t->key, 1);
	run(t, k, class);
	return memcmp(want, t->text, sizeof(want)) == 0;
}

int chacha20_mb_init(struct error *err)
{
	const struct mb_race race = {
		"ChaCha20", chacha20_mb_kernel_count, CLASSES, kernel, run, agrees};
	struct trial t;

	randombytes_buf(t.text, sizeof(t.text));
	randombytes_buf(t.secret, sizeof(t.secret));
	t.buf = t.text;
	t.key = t.secret;
	return mb_race(&race, &t, chosen, err);
}
