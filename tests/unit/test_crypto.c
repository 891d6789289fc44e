/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include "crypto/aes_ctr.h"
#include "crypto/hkdf.h"
#include "crypto/hmac.h"
#include "crypto/lioness.h"
#include "crypto/state.h"
#include "crypto/x25519.h"
#include "json.h"
#include "small_order.h"

static struct crypto *crypto;

/* ---- HMAC and HKDF ---- */

static void hmac_gives_the_answers_of_rfc_4231(void **state)
{
	static const char long_key[] =
		"This is a test using a larger than block-size key and a larger than block-size "
		"data. The key needs to be hashed before being used by the HMAC algorithm.";
	static const struct {
		uint8_t key_byte; /* 0: 1, 2, 3, … */
		size_t key_len;
		const char *text; /* NULL: 50 times `fill` */
		uint8_t fill;
		const char *tag;
	} cases[] = {
		{0x0b, 20, "Hi There", 0,
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{0xaa, 20, NULL, 0xdd,
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{0, 25, NULL, 0xcd,
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
		{0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0,
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{0xaa, 131, long_key, 0,
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	};
	uint8_t key[131], fill[50], want[32], tag[32];
	struct hmac_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (size_t j = 0; j < sizeof(key); j++)
			key[j] = cases[i].key_byte ? cases[i].key_byte : (uint8_t)(j + 1);
		memset(fill, cases[i].fill, sizeof(fill));
		assert_int_equal(hex_decode(want, 32, cases[i].tag), 0);
		hmac_key_init(crypto, &k, key, cases[i].key_len);
		assert_int_equal(
			hmac_sha256(crypto, &k, cases[i].text ? (const void *)cases[i].text : fill,
				cases[i].text ? strlen(cases[i].text) : sizeof(fill), tag),
			0);
		assert_memory_equal(tag, want, 32);
	}
}

static void hmac_agrees_with_libsodium_at_every_length(void **state)
{
	static uint8_t msg[2200];
	uint8_t key[70], want[32], tag[32];
	struct hmac_key k;

	(void)state;
	randombytes_buf(msg, sizeof(msg));
	randombytes_buf(key, sizeof(key));
	for (size_t n = 1; n <= sizeof(msg); n += n < 400 ? 1 : 97) {
		crypto_auth_hmacsha256_state s;
		const size_t key_len = n % (sizeof(key) + 1);

		crypto_auth_hmacsha256_init(&s, key, key_len);
		crypto_auth_hmacsha256_update(&s, msg, n);
		crypto_auth_hmacsha256_final(&s, want);
		hmac_key_init(crypto, &k, key, key_len);
		assert_int_equal(hmac_sha256(crypto, &k, msg, n, tag), 0);
		assert_memory_equal(tag, want, 32);
	}
}

static void hmac_refuses_lengths_that_ipsec_mb_cannot_take(void **state)
{
	static uint8_t msg[HMAC_MESSAGE_MAX + 1];
	uint8_t tag[32], want[32], zero[32] = {0};
	crypto_auth_hmacsha256_state s;
	struct hmac_key k;

	(void)state;
	hmac_key_init(crypto, &k, "key", 3);
	memset(tag, 0xaa, sizeof(tag));
	assert_int_equal(hmac_sha256(crypto, &k, msg, 0, tag), -EINVAL);
	assert_memory_equal(tag, zero, 32);
	memset(tag, 0xaa, sizeof(tag));
	assert_int_equal(hmac_sha256(crypto, &k, msg, sizeof(msg), tag), -EINVAL);
	assert_memory_equal(tag, zero, 32);

	assert_int_equal(hmac_sha256(crypto, &k, msg, HMAC_MESSAGE_MAX, tag), 0);
	crypto_auth_hmacsha256_init(&s, (const uint8_t *)"key", 3);
	crypto_auth_hmacsha256_update(&s, msg, HMAC_MESSAGE_MAX);
	crypto_auth_hmacsha256_final(&s, want);
	assert_memory_equal(tag, want, 32);
}

static void hmac_may_write_over_its_message(void **state)
{
	uint8_t msg[64], tag[32];
	struct hmac_key k;

	(void)state;
	memset(msg, 7, sizeof(msg));
	hmac_key_init(crypto, &k, "key", 3);
	hmac_sha256(crypto, &k, msg, sizeof(msg), tag);
	hmac_sha256(crypto, &k, msg, sizeof(msg), msg);
	assert_memory_equal(msg, tag, 32);
}

static void hkdf_gives_the_answers_of_rfc_5869(void **state)
{
	static const struct {
		const char *okm;
		uint8_t ikm_start, ikm_len, salt_len,
			info_len; /* bytes count up from their start */
	} cases[] = {
		{"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		 "34007208d5b887185865",
			0x0b, 22, 13, 10},
		{"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
		 "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
		 "cc30c58179ec3e87c14c01d5c1f3434f1d87",
			0, 80, 80, 80},
		{"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		 "9d201395faa4b61a96c8",
			0x0b, 22, 0, 0},
	};
	uint8_t ikm[80], salt[80], info[80], want[82], okm[82];
	struct hmac_key k;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const size_t len = strlen(cases[i].okm) / 2;

		for (uint8_t j = 0; j < 80; j++) {
			ikm[j] = cases[i].ikm_start ? cases[i].ikm_start : j;
			salt[j] = cases[i].salt_len == 80 ? (uint8_t)(0x60 + j) : j;
			info[j] = (uint8_t)(cases[i].info_len == 80 ? 0xb0 + j : 0xf0 + j);
		}
		hmac_key_init(crypto, &k, salt, cases[i].salt_len);
		assert_int_equal(hkdf_sha256(crypto, &k, ikm, cases[i].ikm_len, info,
					 cases[i].info_len, okm, len),
			0);
		assert_int_equal(hex_decode(want, len, cases[i].okm), 0);
		assert_memory_equal(okm, want, len);
	}
}

static void hkdf_refuses_lengths_out_of_range(void **state)
{
	static uint8_t okm[HKDF_OKM_MAX + 1], again[HKDF_OKM_MAX];
	uint8_t in[HKDF_INFO_MAX + 1] = {0};
	struct hmac_key k;

	(void)state;
	hmac_key_init(crypto, &k, NULL, 0);
	memset(okm, 0xaa, sizeof(okm));
	assert_int_equal(hkdf_sha256(crypto, &k, in, 0, in, 1, okm, 32), -EINVAL);
	assert_int_equal(
		hkdf_sha256(crypto, &k, in, HMAC_MESSAGE_MAX + 1, in, 1, okm, 32), -EINVAL);
	assert_int_equal(hkdf_sha256(crypto, &k, in, 1, in, HKDF_INFO_MAX + 1, okm, 32), -EINVAL);
	assert_int_equal(hkdf_sha256(crypto, &k, in, 1, in, 1, okm, 0), -EINVAL);
	assert_int_equal(hkdf_sha256(crypto, &k, in, 1, in, 1, okm, HKDF_OKM_MAX + 1), -EINVAL);
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(okm[i], 0xaa);
	/* the longest output, and every shorter one is its beginning */
	assert_int_equal(hkdf_sha256(crypto, &k, in, 1, in, HKDF_INFO_MAX, okm, HKDF_OKM_MAX), 0);
	assert_int_equal(okm[HKDF_OKM_MAX], 0xaa);
	for (size_t n = 1; n < 100; n++) {
		assert_int_equal(hkdf_sha256(crypto, &k, in, 1, in, HKDF_INFO_MAX, again, n), 0);
		assert_memory_equal(again, okm, n);
	}
}

/* ---- AES-CTR, LIONESS ---- */

/* One block at a time from ipsec-mb's ECB: another path than its counter mode. */
static void aes_block(const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	_Alignas(16) uint8_t enc[176], dec[176];
	IMB_JOB *job;

	IMB_AES_KEYEXP_128(crypto->mgr, key, enc, dec);
	job = IMB_GET_NEXT_JOB(crypto->mgr);
	memset(job, 0, sizeof(*job));
	job->cipher_mode = IMB_CIPHER_ECB;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->hash_alg = IMB_AUTH_NULL;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->key_len_in_bytes = IMB_KEY_128_BYTES;
	job->enc_keys = enc;
	job->dec_keys = dec;
	job->src = in;
	job->dst = out;
	job->msg_len_to_cipher_in_bytes = 16;
	job = IMB_SUBMIT_JOB(crypto->mgr);
	while (!job)
		job = IMB_FLUSH_JOB(crypto->mgr);
	assert_int_equal(job->status, IMB_STATUS_COMPLETED);
}

static void aes_ctr_counts_from_zero_in_big_endian(void **state)
{
	static uint8_t zeros[AES_CTR_MAX], stream[AES_CTR_MAX];
	uint8_t key[16], counter[16] = {0}, want[16];

	(void)state;
	randombytes_buf(key, sizeof(key));
	assert_int_equal(aes_ctr_xor(crypto, key, zeros, stream, sizeof(stream)), 0);
	/* 4095 whole blocks: the carry into the second and on is in it */
	for (uint16_t i = 0; i < sizeof(stream) / 16; i++) {
		store_be16(counter + 14, i);
		aes_block(key, counter, want);
		assert_memory_equal(stream + 16 * i, want, 16);
	}
}

static void aes_ctr_of_any_length_is_the_beginning_of_the_same_stream(void **state)
{
	uint8_t key[16], src[400], full[400], part[400];

	(void)state;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(src, sizeof(src));
	assert_int_equal(aes_ctr_xor(crypto, key, src, full, sizeof(full)), 0);
	for (size_t n = 1; n < sizeof(src); n++) {
		memset(part, 0xaa, sizeof(part));
		assert_int_equal(aes_ctr_xor(crypto, key, src, part, n), 0);
		assert_memory_equal(part, full, n);
		assert_int_equal(part[n], 0xaa);
	}
	/* in place, and back */
	memcpy(part, src, sizeof(part));
	aes_ctr_xor(crypto, key, part, part, sizeof(part));
	assert_memory_equal(part, full, sizeof(part));
	aes_ctr_xor(crypto, key, part, part, sizeof(part));
	assert_memory_equal(part, src, sizeof(part));
	assert_int_equal(aes_ctr_xor(crypto, key, src, part, 0), -EINVAL);
	assert_int_equal(aes_ctr_xor(crypto, key, src, part, AES_CTR_MAX + 1), -EINVAL);
	assert_memory_equal(part, src, sizeof(part));
}

static void lioness_comes_back_at_every_size(void **state)
{
	static uint8_t block[2100], copy[2100];
	uint8_t key[LIONESS_KEY_SIZE];

	(void)state;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(copy, sizeof(copy));
	for (size_t n = LIONESS_BLOCK_MIN; n < sizeof(block); n += n < 300 ? 1 : 61) {
		memcpy(block, copy, sizeof(block));
		assert_int_equal(lioness_encrypt(key, block, n), 0);
		assert_memory_not_equal(block, copy, n);
		assert_memory_equal(block + n, copy + n, sizeof(block) - n);
		assert_int_equal(lioness_decrypt(key, block, n), 0);
		assert_memory_equal(block, copy, sizeof(block));
	}
}

static void lioness_spreads_every_bit_over_both_halves(void **state)
{
	uint8_t key[LIONESS_KEY_SIZE], plain[64], block[64], changed[64];

	(void)state;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(plain, sizeof(plain));
	memcpy(block, plain, sizeof(block));
	lioness_decrypt(key, block, sizeof(block));
	for (size_t bit = 0; bit < 8 * sizeof(plain); bit++) {
		memcpy(changed, plain, sizeof(changed));
		changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		lioness_decrypt(key, changed, sizeof(changed));
		assert_memory_not_equal(changed, block, 32);
		assert_memory_not_equal(changed + 32, block + 32, 32);
	}
}

static void lioness_refuses_blocks_without_a_right_half(void **state)
{
	uint8_t key[LIONESS_KEY_SIZE] = {0}, block[33] = {1, 2, 3}, copy[33];

	(void)state;
	memcpy(copy, block, sizeof(copy));
	for (size_t n = 0; n < LIONESS_BLOCK_MIN; n++) {
		assert_int_equal(lioness_encrypt(key, block, n), -EINVAL);
		assert_int_equal(lioness_decrypt(key, block, n), -EINVAL);
		assert_memory_equal(block, copy, sizeof(copy));
	}
}

/* ---- X25519 ---- */

static void x25519_refuses_every_point_of_small_order(void **state)
{
	uint8_t scalar[32], point[32], out[32], zero[32] = {0};

	(void)state;
	for (unsigned i = 0; i < 2 * SMALL_ORDER_COUNT; i++) {
		small_order_point(point, i);
		for (unsigned j = 0; j < 8; j++) {
			randombytes_buf(scalar, sizeof(scalar));
			memset(out, 0xaa, sizeof(out));
			assert_int_equal(x25519(out, scalar, point), -EINVAL);
			assert_memory_equal(out, zero, 32);
		}
	}
}

static void x25519_agrees_with_project_wycheproof(void **state)
{
	struct json *file = json_load("tests/vectors/x25519/wycheproof.json");
	const struct json *group, *t;
	uint8_t pk[32], sk[32], want[32], out[32];
	unsigned count = 0;

	(void)state;
	json_each(group, json_need(file, "testGroups"))
	{
		json_each(t, json_need(group, "tests"))
		{
			json_hex_exact(t, "public", pk, 32);
			json_hex_exact(t, "private", sk, 32);
			json_hex_exact(t, "shared", want, 32);
			assert_int_equal(
				x25519(out, sk, pk), sodium_is_zero(want, 32) ? -EINVAL : 0);
			assert_memory_equal(out, want, 32);
			count++;
		}
	}
	assert_int_equal(count, 518);
	json_free(file);
}

static void x25519_iterated_1000_times_gives_rfc_7748s_value(void **state)
{
	uint8_t k[32] = {9}, u[32] = {9}, out[32], want[32];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(x25519(out, k, u), 0);
		memcpy(u, k, 32);
		memcpy(k, out, 32);
	}
	assert_int_equal(
		hex_decode(want, 32,
			"684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"),
		0);
	assert_memory_equal(k, want, 32);
}

static void x25519_may_write_over_its_inputs(void **state)
{
	uint8_t k[32], u[32] = {9}, want[32], buf[32];

	(void)state;
	randombytes_buf(k, sizeof(k));
	assert_int_equal(x25519(want, k, u), 0);
	memcpy(buf, u, 32);
	x25519(buf, k, buf);
	assert_memory_equal(buf, want, 32);
	memcpy(buf, k, 32);
	x25519(buf, buf, u);
	assert_memory_equal(buf, want, 32);
	memcpy(buf, k, 32);
	x25519_base(buf, buf);
	assert_memory_equal(buf, want, 32);
}

static int setup(void **state)
{
	struct error err;

	(void)state;
	if (crypto_init(0, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	crypto = crypto_create();
	return crypto ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	crypto_free(crypto);
	crypto_free(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_gives_the_answers_of_rfc_4231),
		cmocka_unit_test(hmac_agrees_with_libsodium_at_every_length),
		cmocka_unit_test(hmac_refuses_lengths_that_ipsec_mb_cannot_take),
		cmocka_unit_test(hmac_may_write_over_its_message),
		cmocka_unit_test(hkdf_gives_the_answers_of_rfc_5869),
		cmocka_unit_test(hkdf_refuses_lengths_out_of_range),
		cmocka_unit_test(aes_ctr_counts_from_zero_in_big_endian),
		cmocka_unit_test(aes_ctr_of_any_length_is_the_beginning_of_the_same_stream),
		cmocka_unit_test(lioness_comes_back_at_every_size),
		cmocka_unit_test(lioness_spreads_every_bit_over_both_halves),
		cmocka_unit_test(lioness_refuses_blocks_without_a_right_half),
		cmocka_unit_test(x25519_refuses_every_point_of_small_order),
		cmocka_unit_test(x25519_agrees_with_project_wycheproof),
		cmocka_unit_test(x25519_iterated_1000_times_gives_rfc_7748s_value),
		cmocka_unit_test(x25519_may_write_over_its_inputs),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
