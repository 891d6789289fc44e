/* SPDX-License-Identifier: BSD-3-Clause */
#include "lanes.h"

#include <errno.h>
#include "crypto/aes_ctr.h"
#include "crypto/aes_ctr_mb.h"
#include "crypto/cpu.h"
#include "crypto/crypto.h"
#include "crypto/lioness.h"
#include "crypto/lioness_mb.h"
#include "crypto/symmetric_mb.h"

static void agree(unsigned n, size_t len)
{
	struct lanes key = lanes_new(n, LIONESS_KEY_SIZE), plain = lanes_new(n, len),
		     got = lanes_copy(&plain), want = lanes_copy(&plain);

	assert_int_equal(lioness_mb_encrypt(lanes_const(&key), got.ptr, len, n), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(lioness_encrypt(key.ptr[i], want.ptr[i], len), 0);
	assert_lanes_equal(&got, &want, n);
	assert_int_equal(lioness_mb_decrypt(lanes_const(&key), got.ptr, len, n), 0);
	assert_lanes_equal(&got, &plain, n);
	assert_int_equal(lioness_mb_decrypt(lanes_const(&key), plain.ptr, len, n), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(lioness_decrypt(key.ptr[i], got.ptr[i], len), 0);
	assert_lanes_equal(&got, &plain, n);
	lanes_free(&key);
	lanes_free(&plain);
	lanes_free(&got);
	lanes_free(&want);
}

static void lioness_agrees_for_every_length(void **state)
{
	(void)state;
	for (size_t len = LIONESS_BLOCK_MIN; len <= 700; len++)
		agree(1 + (unsigned)len % 4, len);
}

static void lioness_agrees_for_the_sizes_of_the_networks(void **state)
{
	static const size_t size[] = {38, 1024, 2048, 2065, 8209, 16401, 32785};

	(void)state;
	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		agree(9, size[i]);
}

static void lioness_agrees_for_every_burst_size(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 128; n++)
		agree(n, 1024);
}

static void lioness_agrees_at_every_vector_width(void **state)
{
	static const unsigned width[] = {128, 256, 512};
	struct error err;

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		assert_int_equal(cpu_limit_simd(width[w]), 0);
		assert_int_equal(symmetric_mb_init(&err), 0);
		for (unsigned n = 1; n <= 17; n++)
			agree(n, 1024);
	}
	assert_int_equal(cpu_limit_simd(0), 0);
	assert_int_equal(symmetric_mb_init(&err), 0);
}

static void lioness_refuses_a_block_without_a_right_half(void **state)
{
	struct lanes key = lanes_new(1, LIONESS_KEY_SIZE), block = lanes_new(1, 32),
		     before = lanes_copy(&block);

	(void)state;
	assert_int_equal(lioness_mb_encrypt(lanes_const(&key), block.ptr, 32, 1), -EINVAL);
	assert_int_equal(lioness_mb_decrypt(lanes_const(&key), block.ptr, 32, 1), -EINVAL);
	assert_lanes_equal(&block, &before, 1);
	lanes_free(&key);
	lanes_free(&block);
	lanes_free(&before);
}

static void aes_ctr_agrees(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 128; n += n < 8 ? 1 : 24) {
		for (size_t blocks = 1; blocks <= 40; blocks++) {
			struct lanes key = lanes_new(n, AES_CTR_MB_KEY),
				     got = lanes_new(n, 16 * blocks),
				     want = lanes_new(n, 16 * blocks);

			aes_ctr_mb_stream(got.ptr, blocks, lanes_const(&key), n);
			for (unsigned i = 0; i < n; i++) {
				memset(want.ptr[i], 0, want.len);
				assert_int_equal(aes_ctr_xor(lanes_crypto, key.ptr[i], want.ptr[i],
							 want.ptr[i], want.len),
					0);
			}
			assert_lanes_equal(&got, &want, n);
			lanes_free(&key);
			lanes_free(&got);
			lanes_free(&want);
		}
	}
}

static void aes_ctr_counter_carries_into_the_next_byte(void **state)
{
	enum { BLOCKS = 300 };
	struct lanes key = lanes_new(1, AES_CTR_MB_KEY), got = lanes_new(1, 16 * BLOCKS),
		     want = lanes_new(1, 16 * BLOCKS);

	(void)state;
	aes_ctr_mb_stream(got.ptr, BLOCKS, lanes_const(&key), 1);
	memset(want.ptr[0], 0, want.len);
	assert_int_equal(
		aes_ctr_xor(lanes_crypto, key.ptr[0], want.ptr[0], want.ptr[0], want.len), 0);
	assert_lanes_equal(&got, &want, 1);
	lanes_free(&key);
	lanes_free(&got);
	lanes_free(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lioness_agrees_for_every_length),
		cmocka_unit_test(lioness_agrees_for_the_sizes_of_the_networks),
		cmocka_unit_test(lioness_agrees_for_every_burst_size),
		cmocka_unit_test(lioness_agrees_at_every_vector_width),
		cmocka_unit_test(lioness_refuses_a_block_without_a_right_half),
		cmocka_unit_test(aes_ctr_agrees),
		cmocka_unit_test(aes_ctr_counter_carries_into_the_next_byte),
	};

	return cmocka_run_group_tests(tests, lanes_setup, lanes_teardown);
}
