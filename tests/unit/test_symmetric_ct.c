/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and inputs are marked as uninitialised memory: under valgrind every branch and every address
 * that depends on them is then an error (the method of ctgrind). tests/functional/constant_time.sh
 * runs it so; alone it only compares results. With the argument `leak` it branches on a secret, to
 * show that the method sees it. valgrind knows neither AVX-512 nor SHA-NI: those kernels are not
 * reached there.
 */
#include "lanes.h"

#include <stdio.h>
#include <valgrind/memcheck.h>
#include "crypto/aes_ctr_mb.h"
#include "crypto/blake2b_mb.h"
#include "crypto/chacha20_mb.h"
#include "crypto/hkdf_mb.h"
#include "crypto/lioness_mb.h"

enum { N = 9, LEN = 300, OUT = 288, KEY = 192 };

/* key and text are secret while `run` works; what it leaves in out and text must be the same as
 * without the marks. */
struct work {
	uint8_t key[N][KEY], text[N][LEN], out[N][OUT + 32];
	const uint8_t *key_p[N];
	uint8_t *text_p[N], *out_p[N];
};

static void mark(struct work *w, bool secret)
{
	if (secret) {
		VALGRIND_MAKE_MEM_UNDEFINED(w->key, sizeof(w->key));
		VALGRIND_MAKE_MEM_UNDEFINED(w->text, sizeof(w->text));
	} else {
		VALGRIND_MAKE_MEM_DEFINED(w->key, sizeof(w->key));
		VALGRIND_MAKE_MEM_DEFINED(w->text, sizeof(w->text));
		VALGRIND_MAKE_MEM_DEFINED(w->out, sizeof(w->out));
	}
}

static void point(struct work *w)
{
	for (unsigned i = 0; i < N; i++) {
		w->key_p[i] = w->key[i];
		w->text_p[i] = w->text[i];
		w->out_p[i] = w->out[i];
	}
}

static void same_with_and_without_secrets(void (*run)(struct work *w))
{
	static struct work open, secret;

	randombytes_buf(open.key, sizeof(open.key));
	randombytes_buf(open.text, sizeof(open.text));
	memset(open.out, 0, sizeof(open.out));
	secret = open;
	point(&open);
	point(&secret);
	run(&open);
	mark(&secret, true);
	run(&secret);
	mark(&secret, false);
	assert_memory_equal(open.text, secret.text, sizeof(open.text));
	assert_memory_equal(open.out, secret.out, sizeof(open.out));
}

static const uint8_t *const *text_of(const struct work *w)
{
	return (const uint8_t *const *)w->text_p;
}

static void hkdf(struct work *w)
{
	static const struct hmac_key salt = {{1, 2, 3}, {4, 5, 6}};
	struct hkdf_mb h;

	assert_int_equal(hkdf_mb_prepare(&h, &salt, "info", 4), 0);
	hkdf_mb(&h, w->out_p, OUT, w->key_p, 32, N);
}

static void hmac(struct work *w)
{
	hmac_mb(w->out_p, w->key_p, 16, text_of(w), LEN, N);
}

static void aes(struct work *w)
{
	aes_ctr_mb_stream(w->out_p, OUT / AES_CTR_MB_BLOCK, w->key_p, N);
}

static void lioness(struct work *w)
{
	assert_int_equal(lioness_mb_encrypt(w->key_p, w->text_p, LEN, N), 0);
	assert_int_equal(lioness_mb_decrypt(w->key_p, w->text_p, LEN - 1, N), 0);
}

static void each_sha256(struct work *w)
{
	struct sha256_state st[N];

	for (unsigned k = 0; k < sha256_mb_kernel_count; k++) {
		for (unsigned i = 0; i < N; i++)
			st[i] = sha256_initial;
		if (mb_usable(sha256_mb_kernels[k].mb.isa))
			sha256_mb_kernels[k].compress(st, text_of(w), LEN / 64, N);
	}
	for (unsigned i = 0; i < N; i++)
		sha256_state_bytes(w->out[i], &st[i]);
}

static void each_blake2b_and_chacha20(struct work *w)
{
	for (unsigned k = 0; k < blake2b_mb_kernel_count; k++)
		if (mb_usable(blake2b_mb_kernels[k].mb.isa))
			blake2b_mb_kernels[k].hash(w->out_p, w->key_p, text_of(w), LEN, N);
	for (unsigned k = 0; k < chacha20_mb_kernel_count; k++)
		if (mb_usable(chacha20_mb_kernels[k].mb.isa))
			chacha20_mb_kernels[k].xor (w->text_p, LEN, w->key_p, N);
}

static void hkdf_and_hmac_without_branch_or_address(void **state)
{
	(void)state;
	same_with_and_without_secrets(hkdf);
	same_with_and_without_secrets(hmac);
}

static void aes_ctr_without_branch_or_address(void **state)
{
	(void)state;
	same_with_and_without_secrets(aes);
}

static void lioness_without_branch_or_address(void **state)
{
	(void)state;
	same_with_and_without_secrets(lioness);
}

static void every_kernel_without_branch_or_address(void **state)
{
	(void)state;
	same_with_and_without_secrets(each_sha256);
	same_with_and_without_secrets(each_blake2b_and_chacha20);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hkdf_and_hmac_without_branch_or_address),
		cmocka_unit_test(aes_ctr_without_branch_or_address),
		cmocka_unit_test(lioness_without_branch_or_address),
		cmocka_unit_test(every_kernel_without_branch_or_address),
	};

	if (argc > 1 && strcmp(argv[1], "leak") == 0) {
		uint8_t secret[1] = {1};

		VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof(secret));
		puts(secret[0] & 1 ? "odd" : "even");
		return 0;
	}
	return cmocka_run_group_tests(tests, lanes_setup, lanes_teardown);
}
