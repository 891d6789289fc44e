/* SPDX-License-Identifier: BSD-3-Clause */
#include "lanes.h"

#include <errno.h>
#include "core/bytes.h"
#include "crypto/cpu.h"
#include "crypto/hkdf_mb.h"
#include "crypto/symmetric_mb.h"

/* ---- oracles on libsodium ---- */

static void hmac_oracle(
	uint8_t mac[32], const uint8_t *key, size_t key_len, const uint8_t *msg, size_t len)
{
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, key, key_len);
	crypto_auth_hmacsha256_update(&st, msg, len);
	crypto_auth_hmacsha256_final(&st, mac);
}

static void hkdf_oracle(uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len,
	const uint8_t *ikm, size_t ikm_len, const uint8_t *info, size_t info_len)
{
	uint8_t prk[32], t[32];

	hmac_oracle(prk, salt, salt_len, ikm, ikm_len);
	for (size_t done = 0, step = 1; done < out_len; done += 32, step++) {
		crypto_auth_hmacsha256_state st;
		uint8_t counter = (uint8_t)step;

		crypto_auth_hmacsha256_init(&st, prk, 32);
		if (step > 1)
			crypto_auth_hmacsha256_update(&st, t, 32);
		crypto_auth_hmacsha256_update(&st, info, info_len);
		crypto_auth_hmacsha256_update(&st, &counter, 1);
		crypto_auth_hmacsha256_final(&st, t);
		memcpy(out + done, t, out_len - done < 32 ? out_len - done : 32);
	}
}

/* ---- the compression function ---- */

static void plain_c_is_sha256(void **state)
{
	uint8_t msg[300], text[384], got[32], want[32];

	(void)state;
	for (size_t len = 0; len <= sizeof(msg); len++) {
		struct sha256_state st = sha256_initial;
		size_t blocks = (len + 9 + 63) / 64;

		randombytes_buf(msg, sizeof(msg));
		memset(text, 0, sizeof(text));
		memcpy(text, msg, len);
		text[len] = 0x80;
		store_be64(text + 64 * blocks - 8, 8 * len);
		sha256_mb_c(&st, &(const uint8_t *){text}, blocks, 1);
		sha256_state_bytes(got, &st);
		crypto_hash_sha256(want, msg, len);
		assert_memory_equal(got, want, 32);
	}
}

static void kernel_agrees(void **state)
{
	const struct sha256_mb_kernel *k = *state;
	struct sha256_state got[SHA256_MB_LANES], want[SHA256_MB_LANES];

	if (!mb_usable(k->mb.isa))
		skip();
	for (size_t blocks = 1; blocks <= 5; blocks++) {
		struct lanes msg = lanes_new(SHA256_MB_LANES, 64 * blocks);

		for (unsigned n = 1; n <= SHA256_MB_LANES; n++) {
			for (unsigned round = 0; round < 20; round++) {
				lanes_random(&msg);
				randombytes_buf(got, sizeof(got));
				if (round == 0)
					memset(got, 0xff, sizeof(got));
				memcpy(want, got, sizeof(want));
				sha256_mb_c(want, lanes_const(&msg), blocks, n);
				k->compress(got, lanes_const(&msg), blocks, n);
				/* states behind the n-th are left alone too */
				assert_memory_equal(got, want, sizeof(got));
			}
		}
		lanes_free(&msg);
	}
}

static void every_kernel_is_listed_once(void **state)
{
	(void)state;
	assert_int_equal(sha256_mb_kernel_count, 5);
	assert_ptr_equal(sha256_mb_kernels[0].compress, sha256_mb_c);
	assert_ptr_equal(sha256_mb_kernels[1].compress, sha256_mb_sse41);
	assert_ptr_equal(sha256_mb_kernels[2].compress, sha256_mb_shani);
	assert_ptr_equal(sha256_mb_kernels[3].compress, sha256_mb_avx2);
	assert_ptr_equal(sha256_mb_kernels[4].compress, sha256_mb_avx512);
}

/* ---- HMAC and HKDF ---- */

static void hmac_case(unsigned n, size_t key_len, size_t msg_len)
{
	struct lanes key = lanes_new(n, key_len), msg = lanes_new(n, msg_len),
		     got = lanes_new(n, 32), want = lanes_new(n, 32);

	hmac_mb(got.ptr, lanes_const(&key), key_len, lanes_const(&msg), msg_len, n);
	for (unsigned i = 0; i < n; i++)
		hmac_oracle(want.ptr[i], key.ptr[i], key_len, msg.ptr[i], msg_len);
	assert_lanes_equal(&got, &want, n);
	lanes_free(&key);
	lanes_free(&msg);
	lanes_free(&got);
	lanes_free(&want);
}

static void hmac_agrees_for_every_message_length(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 330; len++)
		hmac_case(1 + (unsigned)len % 5, 16, len);
}

static void hmac_agrees_for_every_key_length(void **state)
{
	(void)state;
	for (size_t len = 0; len <= HMAC_MB_KEY_MAX; len++)
		hmac_case(3, len, 300);
}

static void hmac_agrees_for_every_burst_size(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 128; n++)
		hmac_case(n, 16, 300);
}

static void hkdf_case(unsigned n, size_t salt_len, size_t ikm_len, size_t info_len, size_t out_len)
{
	struct lanes ikm = lanes_new(n, ikm_len), got = lanes_new(n, out_len),
		     want = lanes_new(n, out_len), once = lanes_new(1, salt_len + info_len);
	const uint8_t *salt = once.ptr[0], *info = salt + salt_len;
	struct hmac_key salt_key;
	struct hkdf_mb h;

	hmac_key_init(lanes_crypto, &salt_key, salt, salt_len);
	assert_int_equal(hkdf_mb_prepare(&h, &salt_key, info, info_len), 0);
	hkdf_mb(&h, got.ptr, out_len, lanes_const(&ikm), ikm_len, n);
	for (unsigned i = 0; i < n; i++)
		hkdf_oracle(
			want.ptr[i], out_len, salt, salt_len, ikm.ptr[i], ikm_len, info, info_len);
	assert_lanes_equal(&got, &want, n);
	lanes_free(&ikm);
	lanes_free(&got);
	lanes_free(&want);
	lanes_free(&once);
}

static void hkdf_agrees_for_every_info_length(void **state)
{
	(void)state;
	for (size_t len = 0; len <= HKDF_MB_INFO_MAX; len++)
		hkdf_case(2, 44, 16, len, 100);
}

static void hkdf_agrees_for_every_ikm_and_salt_length(void **state)
{
	(void)state;
	for (size_t len = 0; len <= HKDF_MB_IKM_MAX; len++)
		hkdf_case(2, len, len, 44, 64);
	for (size_t len = 0; len <= HMAC_MB_KEY_MAX; len++)
		hkdf_case(2, len, 32, 97, 64);
}

static void hkdf_agrees_for_every_output_length(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 300; len++)
		hkdf_case(1, 0, 32, 97, len);
	hkdf_case(2, 0, 32, 97, HKDF_MB_OUT_MAX);
}

static void hkdf_agrees_for_every_burst_size(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 128; n++) {
		hkdf_case(n, 0, 32, 97, 288);
		hkdf_case(n, 44, 16, 44, 192);
	}
}

static void hkdf_agrees_at_every_vector_width(void **state)
{
	static const unsigned width[] = {128, 256, 512};
	struct error err;

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		assert_int_equal(cpu_limit_simd(width[w]), 0);
		assert_int_equal(symmetric_mb_init(&err), 0);
		for (unsigned n = 1; n <= 33; n++) {
			hkdf_case(n, 0, 32, 97, 288);
			hmac_case(n, 16, 300);
		}
	}
	assert_int_equal(cpu_limit_simd(0), 0);
	assert_int_equal(symmetric_mb_init(&err), 0);
}

static void hkdf_gives_the_answer_of_rfc_5869(void **state)
{
	uint8_t ikm[22], salt[13], info[10], out[42], want[42];
	struct hmac_key salt_key;
	struct hkdf_mb h;

	(void)state; /* appendix A.1 */
	memset(ikm, 0x0b, sizeof(ikm));
	for (unsigned i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(info); i++)
		info[i] = (uint8_t)(0xf0 + i);
	assert_int_equal(hex_decode(want, sizeof(want),
				 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
				 "34007208d5b887185865"),
		0);
	hmac_key_init(lanes_crypto, &salt_key, salt, sizeof(salt));
	assert_int_equal(hkdf_mb_prepare(&h, &salt_key, info, sizeof(info)), 0);
	hkdf_mb(&h, &(uint8_t *){out}, sizeof(out), &(const uint8_t *){ikm}, sizeof(ikm), 1);
	assert_memory_equal(out, want, sizeof(out));
}

static void prepare_refuses_what_does_not_fit(void **state)
{
	uint8_t info[HKDF_MB_INFO_MAX + 1] = {0};
	struct hmac_key salt = {0};
	struct hkdf_mb h;

	(void)state;
	assert_int_equal(hkdf_mb_prepare(&h, &salt, info, sizeof(info)), -EINVAL);
}

/* ---- choosing a kernel ---- */

/* Three kernels for two sizes: the second is wrong when told so, the third the fastest for size 1.
 */
struct fake {
	bool second_is_wrong;
	volatile unsigned work;
};

static const struct mb_kernel fake_kernels[3] = {
	{"plain", MB_BASE}, {"second", MB_BASE}, {"third", MB_BASE}};

static const struct mb_kernel *fake_kernel(unsigned k)
{
	return &fake_kernels[k];
}

static void fake_run(void *trial, unsigned k, unsigned class)
{
	static const unsigned turns[3][2] = {{200000, 200000}, {400000, 1000}, {1000, 400000}};
	struct fake *f = trial;

	for (unsigned i = 0; i < turns[k][class]; i++)
		f->work++;
}

static bool fake_agrees(void *trial, unsigned k, unsigned class)
{
	const struct fake *f = trial;

	return !(f->second_is_wrong && k == 1 && class == 1);
}

static const struct mb_race fake_race = {"fake", 3, 2, fake_kernel, fake_run, fake_agrees};

static void the_fastest_kernel_is_chosen_for_each_size(void **state)
{
	struct fake f = {.second_is_wrong = false};
	uint8_t chosen[2] = {9, 9};
	struct error err;

	(void)state;
	assert_int_equal(mb_race(&fake_race, &f, chosen, &err), 0);
	assert_int_equal(chosen[0], 2);
	assert_int_equal(chosen[1], 1);
}

static void a_kernel_that_differs_ends_the_start_with_its_name(void **state)
{
	struct fake f = {.second_is_wrong = true};
	uint8_t chosen[2] = {9, 9};
	struct error err;

	(void)state;
	assert_int_equal(mb_race(&fake_race, &f, chosen, &err), -EIO);
	assert_non_null(strstr(err.msg, "\"second\""));
	assert_int_equal(chosen[0], 0);
	assert_int_equal(chosen[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kernel_is_listed_once),
		cmocka_unit_test(plain_c_is_sha256),
		{"kernel_sse41_agrees", kernel_agrees, NULL, NULL, (void *)&sha256_mb_kernels[1]},
		{"kernel_shani_agrees", kernel_agrees, NULL, NULL, (void *)&sha256_mb_kernels[2]},
		{"kernel_avx2_agrees", kernel_agrees, NULL, NULL, (void *)&sha256_mb_kernels[3]},
		{"kernel_avx512_agrees", kernel_agrees, NULL, NULL, (void *)&sha256_mb_kernels[4]},
		cmocka_unit_test(hmac_agrees_for_every_message_length),
		cmocka_unit_test(hmac_agrees_for_every_key_length),
		cmocka_unit_test(hmac_agrees_for_every_burst_size),
		cmocka_unit_test(hkdf_agrees_for_every_info_length),
		cmocka_unit_test(hkdf_agrees_for_every_ikm_and_salt_length),
		cmocka_unit_test(hkdf_agrees_for_every_output_length),
		cmocka_unit_test(hkdf_agrees_for_every_burst_size),
		cmocka_unit_test(hkdf_agrees_at_every_vector_width),
		cmocka_unit_test(hkdf_gives_the_answer_of_rfc_5869),
		cmocka_unit_test(prepare_refuses_what_does_not_fit),
		cmocka_unit_test(the_fastest_kernel_is_chosen_for_each_size),
		cmocka_unit_test(a_kernel_that_differs_ends_the_start_with_its_name),
	};

	return cmocka_run_group_tests(tests, lanes_setup, lanes_teardown);
}
