/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/chacha20_mb.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { BLOCK = 64, CLASSES = 32 }; /* longer buffers go by the last class */

const struct chacha20_mb_kernel chacha20_mb_kernels[] = {
	{"libsodium", MB_BASE, chacha20_mb_sodium},
	{"avx2 x8", MB_AVX2, chacha20_mb_avx2},
	{"avx512 x16", MB_AVX512, chacha20_mb_avx512},
};
const unsigned chacha20_mb_kernel_count =
	sizeof(chacha20_mb_kernels) / sizeof(chacha20_mb_kernels[0]);

/* Index: number of blocks less one. Written by chacha20_mb_init alone. */
static const struct chacha20_mb_kernel *chosen[CLASSES];

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
	chosen[class_of(len)]->xor (buf, len, key, n);
}

const char *chacha20_mb_kernel_name(size_t len)
{
	return chosen[class_of(len)]->name;
}

/* ---- choice ---- */

struct trial {
	const struct chacha20_mb_kernel *kernel;
	size_t len;
	uint8_t *buf;
	const uint8_t *key;
	uint8_t text[BLOCK * CLASSES], secret[CHACHA20_MB_KEY];
};

static void run_trial(void *arg)
{
	struct trial *t = arg;

	t->kernel->xor (&t->buf, t->len, &t->key, 1);
}

static int compare(struct trial *t, struct error *err)
{
	uint8_t want[BLOCK * CLASSES];

	memcpy(want, t->text, sizeof(want));
	chacha20_mb_sodium(&(uint8_t *){want}, t->len, &t->key, 1);
	run_trial(t);
	if (memcmp(want, t->text, sizeof(want)) != 0)
		return error_set(err, EIO,
			"self-test failed: ChaCha20 kernel \"%s\" with %zu bytes differs from "
			"libsodium",
			t->kernel->name, t->len);
	return 0;
}

int chacha20_mb_init(struct error *err)
{
	struct trial t;
	uint64_t best[CLASSES];

	memset(best, 0xff, sizeof(best));
	randombytes_buf(t.text, sizeof(t.text));
	randombytes_buf(t.secret, sizeof(t.secret));
	t.buf = t.text;
	t.key = t.secret;
	for (unsigned k = 0; k < chacha20_mb_kernel_count; k++) {
		t.kernel = &chacha20_mb_kernels[k];
		if (!mb_usable(t.kernel->isa))
			continue;
		for (unsigned c = 0; c < CLASSES; c++) {
			uint64_t ticks;
			int rc;

			t.len = (c + 1) * BLOCK - BLOCK / 2;
			rc = compare(&t, err);
			if (rc)
				return rc;
			ticks = mb_measure(run_trial, &t);
			if (ticks < best[c]) {
				best[c] = ticks;
				chosen[c] = t.kernel;
			}
		}
	}
	return 0;
}
