/* SPDX-License-Identifier: BSD-3-Clause */
#include "lanes.h"

#include "crypto/blake2b_mb.h"
#include "crypto/symmetric_mb.h"

static void agree(blake2b_mb_fn *hash, unsigned n, size_t len)
{
	struct lanes key = lanes_new(n, BLAKE2B_MB_KEY), in = lanes_new(n, len),
		     got = lanes_new(n, BLAKE2B_MB_OUT), want = lanes_new(n, BLAKE2B_MB_OUT);

	hash(got.ptr, lanes_const(&key), lanes_const(&in), len, n);
	blake2b_mb_sodium(want.ptr, lanes_const(&key), lanes_const(&in), len, n);
	assert_lanes_equal(&got, &want, n);
	lanes_free(&key);
	lanes_free(&in);
	lanes_free(&got);
	lanes_free(&want);
}

static void kernel_agrees(void **state)
{
	const struct blake2b_mb_kernel *k = *state;
	static const size_t large[] = {992, 2033, 4096, 8177, 32753};

	if (!mb_usable(k->mb.isa))
		skip();
	for (size_t len = 0; len <= 400; len++)
		agree(k->hash, 1 + (unsigned)len % 9, len);
	for (unsigned i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		agree(k->hash, 5, large[i]);
	for (unsigned n = 1; n <= 40; n++)
		agree(k->hash, n, 992);
}

static void every_kernel_is_tested_here(void **state)
{
	(void)state;
	assert_int_equal(blake2b_mb_kernel_count, 3);
	assert_ptr_equal(blake2b_mb_kernels[0].hash, blake2b_mb_sodium);
	assert_ptr_equal(blake2b_mb_kernels[1].hash, blake2b_mb_avx2);
	assert_ptr_equal(blake2b_mb_kernels[2].hash, blake2b_mb_avx512);
}

static void chosen_kernels_agree_for_every_burst_size(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 128; n++)
		agree(blake2b_mb, n, 992);
}

static void lanes_of_extreme_words_agree(void **state)
{
	static const uint8_t fill[] = {0x00, 0xff, 0x80, 0x7f};
	struct lanes key = lanes_new(8, BLAKE2B_MB_KEY), in = lanes_new(8, 256),
		     got = lanes_new(8, BLAKE2B_MB_OUT), want = lanes_new(8, BLAKE2B_MB_OUT);

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		memset(key.ptr[i], fill[i % 4], key.len);
		memset(in.ptr[i], fill[i / 2], in.len);
	}
	for (unsigned k = 0; k < blake2b_mb_kernel_count; k++) {
		if (!mb_usable(blake2b_mb_kernels[k].mb.isa))
			continue;
		blake2b_mb_kernels[k].hash(got.ptr, lanes_const(&key), lanes_const(&in), 256, 8);
		blake2b_mb_sodium(want.ptr, lanes_const(&key), lanes_const(&in), 256, 8);
		assert_lanes_equal(&got, &want, 8);
	}
	lanes_free(&key);
	lanes_free(&in);
	lanes_free(&got);
	lanes_free(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kernel_is_tested_here),
		{"kernel_avx2_agrees", kernel_agrees, NULL, NULL, (void *)&blake2b_mb_kernels[1]},
		{"kernel_avx512_agrees", kernel_agrees, NULL, NULL, (void *)&blake2b_mb_kernels[2]},
		cmocka_unit_test(chosen_kernels_agree_for_every_burst_size),
		cmocka_unit_test(lanes_of_extreme_words_agree),
	};

	return cmocka_run_group_tests(tests, lanes_setup, lanes_teardown);
}
