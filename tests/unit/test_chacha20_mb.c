/* SPDX-License-Identifier: BSD-3-Clause */
#include "lanes.h"

#include "core/bytes.h"
#include "crypto/chacha20_mb.h"
#include "crypto/symmetric_mb.h"

static void agree(chacha20_mb_fn * xor, unsigned n, size_t len)
{
	struct lanes key = lanes_new(n, CHACHA20_MB_KEY), got = lanes_new(n, len),
		     want = lanes_copy(&got);

	xor(got.ptr, len, lanes_const(&key), n);
	chacha20_mb_sodium(want.ptr, len, lanes_const(&key), n);
	assert_lanes_equal(&got, &want, n);
	lanes_free(&key);
	lanes_free(&got);
	lanes_free(&want);
}

/* The buffers end at a guard page; the bytes in front of them are libsodium's canary. */
static void kernel_agrees(void **state)
{
	const struct chacha20_mb_kernel *k = *state;
	static const size_t large[] = {2016, 2033, 8177, 16369, 32753};

	if (!mb_usable(k->mb.isa))
		skip();
	for (size_t len = 1; len <= 1100; len++)
		agree(k->xor, 1, len);
	for (unsigned i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		agree(k->xor, 3, large[i]);
}

static void every_kernel_is_tested_here(void **state)
{
	(void)state;
	assert_int_equal(chacha20_mb_kernel_count, 3);
	assert_ptr_equal(chacha20_mb_kernels[0].xor, chacha20_mb_sodium);
	assert_ptr_equal(chacha20_mb_kernels[1].xor, chacha20_mb_avx2);
	assert_ptr_equal(chacha20_mb_kernels[2].xor, chacha20_mb_avx512);
}

static void chosen_kernels_agree_for_every_burst_size(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 128; n++) {
		agree(chacha20_mb_xor, n, 992);
		agree(chacha20_mb_xor, n, n);
	}
}

static void no_byte_behind_the_buffer_is_written(void **state)
{
	uint8_t key[CHACHA20_MB_KEY], buf[1200], before[1200];

	(void)state;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(buf, sizeof(buf));
	for (unsigned k = 0; k < chacha20_mb_kernel_count; k++) {
		if (!mb_usable(chacha20_mb_kernels[k].mb.isa))
			continue;
		for (size_t len = 1; len < 1100; len++) {
			memcpy(before, buf, sizeof(buf));
			chacha20_mb_kernels[k].xor
				(&(uint8_t *){buf + 32}, len, &(const uint8_t *){key}, 1);
			assert_memory_equal(buf, before, 32);
			assert_memory_equal(
				buf + 32 + len, before + 32 + len, sizeof(buf) - 32 - len);
		}
	}
}

static void zero_key_gives_the_stream_of_rfc_8439(void **state)
{
	/* appendix A.1, test vector 1: zero key, zero nonce, counter 0 */
	uint8_t want[64], key[CHACHA20_MB_KEY] = {0};

	(void)state;
	assert_int_equal(
		hex_decode(want, sizeof(want),
			"76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
			"da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
		0);
	for (unsigned k = 0; k < chacha20_mb_kernel_count; k++) {
		uint8_t buf[64] = {0};

		if (!mb_usable(chacha20_mb_kernels[k].mb.isa))
			continue;
		chacha20_mb_kernels[k].xor (&(uint8_t *){buf}, 64, &(const uint8_t *){key}, 1);
		assert_memory_equal(buf, want, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kernel_is_tested_here),
		{"kernel_avx2_agrees", kernel_agrees, NULL, NULL, (void *)&chacha20_mb_kernels[1]},
		{"kernel_avx512_agrees", kernel_agrees, NULL, NULL,
			(void *)&chacha20_mb_kernels[2]},
		cmocka_unit_test(chosen_kernels_agree_for_every_burst_size),
		cmocka_unit_test(no_byte_behind_the_buffer_is_written),
		cmocka_unit_test(zero_key_gives_the_stream_of_rfc_8439),
	};

	return cmocka_run_group_tests(tests, lanes_setup, lanes_teardown);
}
