/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/x25519_mb.h"
#include "crypto/x25519_mb_kernel.h"
#include "crypto/cpu.h"
#include "json.h"

#define X25519_IFMA_EMULATED
#include "crypto/x25519_mb_avx512.c"

/* Every kernel that can run here, NULL behind the last. */
static const struct x25519_kernel *kernels[5];

#define each_kernel(k)                                                                             \
	for (const struct x25519_kernel **at_ = kernels, *k; (k = *at_) != NULL; at_++)

/* Those that are emulated, or libsodium itself, get fewer inputs. */
static int is_slow(const struct x25519_kernel *k)
{
	return k == &x25519_kernel_scalar || k == &x25519_kernel_ifma_emulated;
}

enum { MAX = 260 };

static uint8_t scalar[MAX][32], u[MAX][32], want[MAX][32], got[MAX][32], on_twist[MAX];
static const uint8_t *scalar_p[MAX], *u_p[MAX];
static uint8_t *got_p[MAX];
static const uint8_t zero[32];

static void expect(uint8_t out[32], const uint8_t k[32], const uint8_t point[32])
{
	if (crypto_scalarmult(out, k, point) != 0)
		memset(out, 0, 32);
}

static void expect_all(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		expect(want[i], scalar[i], u[i]);
}

#define assert_results(k, n)                                                                       \
	for (unsigned i_ = 0; i_ < (n); i_++)                                                      \
		if (memcmp(got[i_], want[i_], 32) != 0)                                            \
	fail_msg("%s: n %u, position %u differs", (k)->name, (unsigned)(n), i_)

static void ladder_matches(const struct x25519_kernel *k, unsigned n)
{
	memset(got, 0xa5, sizeof(got));
	k->mult(got_p, scalar_p, u_p, n);
	assert_results(k, n);
	for (unsigned i = n; i < MAX; i++)
		assert_true(got[i][0] == 0xa5 && got[i][31] == 0xa5);
}

static void random_inputs(unsigned n)
{
	randombytes_buf(scalar, (size_t)n * 32);
	randombytes_buf(u, (size_t)n * 32);
}

/* --- inputs that are chosen to hurt --- */

/* Small order, on the curve and on the twist, with their non-canonical forms. */
static const char *const small_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};
enum { N_SMALL = sizeof(small_order) / sizeof(*small_order) };

static void set_small_order(uint8_t point[32], unsigned which)
{
	assert_int_equal(hex_decode(point, 32, small_order[which % N_SMALL]), 0);
}

static void set_extreme(uint8_t point[32], unsigned which)
{
	/* every limb of 51 bits at its least, at its largest, around its half, and single bits */
	static const uint64_t limb_value[] = {0, 1, X25519_MASK51, X25519_MASK51 - 1,
		UINT64_C(1) << 50, (UINT64_C(1) << 50) - 1, (UINT64_C(1) << 50) + 1,
		UINT64_C(0x5555555555555), UINT64_C(0x2aaaaaaaaaaaa)};
	const unsigned values = sizeof(limb_value) / sizeof(*limb_value);
	uint64_t v[5], w[4];

	for (int k = 0; k < 5; k++, which /= values)
		v[k] = limb_value[which % values];
	w[0] = v[0] | v[1] << 51;
	w[1] = v[1] >> 13 | v[2] << 38;
	w[2] = v[2] >> 26 | v[3] << 25;
	w[3] = v[3] >> 39 | v[4] << 12;
	memcpy(point, w, 32);
}

/* p - 9 ... 2^255 - 1 */
static void set_near_p(uint8_t point[32], unsigned which)
{
	memset(point, 0xff, 32);
	point[31] = 0x7f;
	point[0] = (uint8_t)(0xe4 + which % 28);
}

/* --- the ladder --- */

static void wycheproof_all_cases(void **state)
{
	struct json *file = json_load("tests/vectors/x25519/wycheproof.json");
	const struct json *group, *t;
	unsigned total = 0, n = 0;

	(void)state;
	json_each(group, json_need(file, "testGroups"))
	{
		json_each(t, json_need(group, "tests"))
		{
			json_hex_exact(t, "private", scalar[n], 32);
			json_hex_exact(t, "public", u[n], 32);
			json_hex_exact(t, "shared", want[n], 32);
			total++;
			if (++n == MAX || total == json_u64(file, "numberOfTests")) {
				each_kernel(k) ladder_matches(k, n);
				n = 0;
			}
		}
	}
	assert_int_equal(total, 518);
	json_free(file);
}

static void random_inputs_match_libsodium(void **state)
{
#ifdef __SANITIZE_ADDRESS__
	enum { ROUNDS = 40, SLOW_ROUNDS = 2 };
#else
	enum { ROUNDS = 100000 / 256 + 1, SLOW_ROUNDS = 8 };
#endif

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		random_inputs(256);
		expect_all(256);
		each_kernel(k) if (!is_slow(k) || round < SLOW_ROUNDS) ladder_matches(k, 256);
	}
}

static void limb_extremes_match_libsodium(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		random_inputs(256);
		for (unsigned i = 0; i < 256; i++)
			set_extreme(u[i], (round * 256 + i) * 19 + 1);
		expect_all(256);
		each_kernel(k) ladder_matches(k, 256);
	}
}

static void limb_extreme_scalars_match_libsodium(void **state)
{
	(void)state;
	random_inputs(256);
	for (unsigned i = 0; i < 256; i++)
		set_extreme(scalar[i], i * 229);
	memset(scalar[0], 0, 32);
	memset(scalar[1], 0xff, 32);
	for (unsigned i = 2; i < 10; i++)
		scalar[i][0] = (uint8_t)i;
	expect_all(256);
	each_kernel(k) ladder_matches(k, 256);
}

static void non_canonical_u_is_reduced(void **state)
{
	(void)state;
	random_inputs(56);
	for (unsigned i = 0; i < 56; i++) {
		set_near_p(u[i], i);
		u[i][31] |= i >= 28 ? 0x80 : 0;
	}
	expect_all(56);
	each_kernel(k) ladder_matches(k, 56);
}

static void small_order_gives_zero_in_every_lane(void **state)
{
	(void)state;
	for (unsigned which = 0; which < N_SMALL; which++) {
		for (unsigned lane = 0; lane < 17; lane++) {
			random_inputs(17);
			set_small_order(u[lane], which);
			expect_all(17);
			assert_memory_equal(want[lane], zero, 32);
			each_kernel(k) ladder_matches(k, 17);
		}
	}
}

static void burst_of_small_order_only(void **state)
{
	(void)state;
	random_inputs(40);
	for (unsigned i = 0; i < 40; i++)
		set_small_order(u[i], i);
	memset(want, 0, sizeof(want));
	each_kernel(k) ladder_matches(k, 40);
}

static void every_burst_size(void **state)
{
	(void)state;
	random_inputs(MAX);
	expect_all(MAX);
	each_kernel(k) for (unsigned n = 1; n <= 130; n += is_slow(k) && n > 18 ? 11 : 1)
		ladder_matches(k, n);
	each_kernel(k) ladder_matches(k, MAX);
}

static void shared_scalar_by_equal_pointers(void **state)
{
	const uint8_t *shared[MAX];

	(void)state;
	random_inputs(30);
	for (unsigned i = 0; i < 30; i++) {
		shared[i] = scalar[0];
		expect(want[i], scalar[0], u[i]);
	}
	each_kernel(k)
	{
		memset(got, 0xa5, sizeof(got));
		k->mult(got_p, shared, u_p, 30);
		assert_results(k, 30);
	}
}

static void results_may_overwrite_points(void **state)
{
	(void)state;
	random_inputs(150);
	expect_all(150);
	each_kernel(k)
	{
		memcpy(got, u, sizeof(got));
		k->mult(got_p, scalar_p, (const uint8_t *const *)got_p, 150);
		assert_results(k, 150);
	}
}

static void rounding_mode_of_the_caller_survives(void **state)
{
	(void)state;
	random_inputs(8);
	expect_all(8);
	each_kernel(k)
	{
		unsigned before = __builtin_ia32_stmxcsr(), after;

		/* towards zero, flush to zero: what DPDK or a library may have left */
		__builtin_ia32_ldmxcsr(0xffc0);
		k->mult(got_p, scalar_p, u_p, 8);
		after = __builtin_ia32_stmxcsr();
		__builtin_ia32_ldmxcsr(before);
		assert_int_equal(after, 0xffc0);
		assert_results(k, 8);
	}
}

/* --- public keys --- */

static void base_matches_libsodium(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 130; n = n < 18 ? n + 1 : n * 2 - 5) {
		random_inputs(n);
		memset(scalar[0], (int)(n & 1) * 0xff, 32);
		for (unsigned i = 0; i < n; i++)
			crypto_scalarmult_base(want[i], scalar[i]);
		each_kernel(k)
		{
			memset(got, 0xa5, sizeof(got));
			k->base(got_p, scalar_p, n);
			assert_results(k, n);
		}
	}
}

/* --- the pair --- */

static void *pair_new(const struct x25519_kernel *k, unsigned max)
{
	size_t size = (k->pair_size(max) + 63) & ~(size_t)63;
	void *ws = aligned_alloc(64, size);

	assert_non_null(ws);
	memset(ws, 0, size);
	return ws;
}

/* n points in u, two multiplications with different scalars, against libsodium; returns how many
 * were flagged */
static unsigned pair_matches(const struct x25519_kernel *k, unsigned n)
{
	void *ws = pair_new(k, n);
	unsigned flagged = 0;

	memset(on_twist, 7, sizeof(on_twist));
	k->pair_begin(ws, u_p, n, on_twist);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(on_twist[i], x25519_on_twist(u[i]));
			flagged += on_twist[i];
			expect(want[i], scalar[round * 120 + i], u[i]);
			if (on_twist[i])
				memset(want[i], 0, 32);
		}
		memset(got, 0xa5, sizeof(got));
		k->pair_mult(ws, got_p, scalar_p + (size_t)round * 120, NULL, n);
		assert_results(k, n);
		for (unsigned i = n; i < MAX; i++)
			assert_true(got[i][0] == 0xa5 && got[i][31] == 0xa5);
	}
	free(ws);
	return flagged / 2;
}

static void honest_points(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		crypto_scalarmult_base(u[i], u[i]);
}

static void pair_of_honest_points(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		random_inputs(MAX);
		honest_points(120);
		each_kernel(k) if (!is_slow(k) || round == 0)
			assert_int_equal(pair_matches(k, 120), 0);
	}
}

/* Random u: half on the twist, and the others with a component in the subgroup of order 8. */
static void pair_of_twist_and_cofactor_points(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		random_inputs(MAX);
		each_kernel(k) if (!is_slow(k) || round == 0)
			assert_in_range(pair_matches(k, 120), 25, 95);
	}
}

static void pair_of_extreme_points(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		random_inputs(MAX);
		for (unsigned i = 0; i < 120; i++) {
			if (i < 40)
				set_small_order(u[i], i);
			else if (i < 70)
				set_near_p(u[i], i);
			else
				set_extreme(u[i], (round * 50 + i - 70) * 293);
		}
		each_kernel(k) if (!is_slow(k) || round == 0) pair_matches(k, 120);
	}
}

static void pair_of_extreme_scalars(void **state)
{
	(void)state;
	random_inputs(MAX);
	honest_points(120);
	for (unsigned i = 0; i < 240; i++) {
		set_extreme(scalar[i], i * 229);
		scalar[i][0] ^= (uint8_t)(i << 3); /* after k/8: even and odd */
	}
	memset(scalar[0], 0, 32);
	memset(scalar[1], 0xff, 32);
	memset(scalar[120], 0xff, 32);
	memset(scalar[121], 0, 32);
	each_kernel(k) pair_matches(k, 120);
}

static void pair_of_every_burst_size(void **state)
{
	(void)state;
	random_inputs(MAX);
	each_kernel(k) for (unsigned n = 1; n <= 120; n += n < 18       ? 1
							   : is_slow(k) ? 51
									: 7) pair_matches(k, n);
}

static void pair_small_order_leaves_its_neighbours_alone(void **state)
{
	(void)state;
	for (unsigned lane = 0; lane < 17; lane++) {
		random_inputs(MAX);
		honest_points(17);
		set_small_order(u[lane], lane % 4);
		each_kernel(k) pair_matches(k, 17);
	}
}

/* Survivors in any pattern and order are multiplied as if they had been alone. */
static void pair_of_survivors(void **state)
{
	unsigned index[MAX], m;

	(void)state;
	random_inputs(MAX);
	honest_points(60);
	each_kernel(k)
	{
		void *ws = pair_new(k, 60);

		k->pair_begin(ws, u_p, 60, on_twist);
		for (unsigned pattern = 0; pattern < 8; pattern++) {
			m = 0;
			for (unsigned i = 0; i < 60; i++)
				if (pattern == 0 || (i * 2654435761u >> 13) % 8 >= pattern)
					index[m++] = pattern & 1 ? 59 - i : i;
			for (unsigned i = 0; i < m; i++)
				expect(want[i], scalar[i], u[index[i]]);
			memset(got, 0xa5, sizeof(got));
			k->pair_mult(ws, got_p, scalar_p, index, m);
			assert_results(k, m);
			assert_true(got[m][0] == 0xa5);
		}
		free(ws);
	}
}

/* --- the choice --- */

static void init_chooses_the_widest_and_obeys_the_limit(void **state)
{
	(void)state;
	assert_int_equal(cpu_limit_simd(128), 0);
	assert_int_equal(x25519_mb_init(), 0);
	assert_int_equal(x25519_mb_kernel(), X25519_SCALAR);
	assert_true(x25519_mb_select(X25519_AVX2_FMA) < 0);
	assert_int_equal(cpu_limit_simd(256), 0);
	assert_int_equal(x25519_mb_init(), 0);
	assert_true(x25519_mb_kernel() <= X25519_AVX2_FMA);
	assert_true(x25519_mb_select(X25519_AVX512_IFMA) < 0);
	assert_int_equal(cpu_limit_simd(0), 0);
	assert_int_equal(x25519_mb_init(), 0);
	if (cpu_has(CPU_AVX512IFMA))
		assert_int_equal(x25519_mb_kernel(), X25519_AVX512_IFMA);
	else if (cpu_has(CPU_AVX2) && cpu_has(CPU_FMA))
		assert_int_equal(x25519_mb_kernel(), X25519_AVX2_FMA);
}

static void public_calls_match_with_every_kernel(void **state)
{
	(void)state;
	assert_int_equal(x25519_mb_init(), 0);
	for (int id = 0; id < X25519_KERNELS; id++) {
		struct x25519_pair *pair;

		if (x25519_mb_select((enum x25519_kernel_id)id) < 0)
			continue;
		for (unsigned n = 0; n <= 20; n++) {
			random_inputs(n);
			expect_all(n);
			x25519_mb(got_p, scalar_p, u_p, n);
			assert_results(kernels[0], n);
		}
		for (unsigned i = 0; i < 20; i++)
			crypto_scalarmult_base(want[i], scalar[i]);
		x25519_mb_base(got_p, scalar_p, 20);
		assert_results(kernels[0], 20);

		honest_points(20);
		expect_all(20);
		assert_null(x25519_pair_create(0));
		pair = x25519_pair_create(33);
		assert_non_null(pair);
		x25519_pair_begin(pair, u_p, 20, on_twist);
		x25519_pair_mult(pair, got_p, scalar_p, NULL, 20);
		assert_results(kernels[0], 20);
		x25519_pair_begin(pair, u_p, 0, on_twist);
		x25519_pair_free(pair);
	}
	x25519_pair_free(NULL);
	assert_int_equal(x25519_mb_init(), 0);
}

static void a_kernel_that_differs_would_be_seen(void **state)
{
	(void)state;
	random_inputs(9);
	expect_all(9);
	want[7][13] ^= 0x10;
	each_kernel(k)
	{
		k->mult(got_p, scalar_p, u_p, 9);
		assert_memory_equal(got[6], want[6], 32);
		assert_memory_not_equal(got[7], want[7], 32);
	}
}

static void twist_flag_of_known_points(void **state)
{
	uint8_t p[32] = {9};

	(void)state;
	assert_int_equal(x25519_on_twist(p), 0);
	p[0] = 2; /* 8 + 4A + 2 is no square */
	assert_int_equal(x25519_on_twist(p), 1);
	set_small_order(p, 0);
	assert_int_equal(x25519_on_twist(p), 0);
	set_small_order(p, 4); /* p - 1: order 4 on the twist */
	assert_int_equal(x25519_on_twist(p), 1);
}

static int setup(void **state)
{
	unsigned n = 0;

	(void)state;
	if (sodium_init() < 0)
		return -1;
	for (unsigned i = 0; i < MAX; i++) {
		scalar_p[i] = scalar[i];
		u_p[i] = u[i];
		got_p[i] = got[i];
	}
	kernels[n++] = &x25519_kernel_scalar;
	kernels[n++] = &x25519_kernel_ifma_emulated;
	if (cpu_has(CPU_AVX2) && cpu_has(CPU_FMA))
		kernels[n++] = &x25519_kernel_avx2;
	if (cpu_has(CPU_AVX512IFMA) && cpu_has(CPU_AVX512DQ))
		kernels[n++] = &x25519_kernel_avx512;
	each_kernel(k)
	{
		if (k->start)
			k->start();
		print_message("kernel: %s\n", k->name);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof_all_cases),
		cmocka_unit_test(random_inputs_match_libsodium),
		cmocka_unit_test(limb_extremes_match_libsodium),
		cmocka_unit_test(limb_extreme_scalars_match_libsodium),
		cmocka_unit_test(non_canonical_u_is_reduced),
		cmocka_unit_test(small_order_gives_zero_in_every_lane),
		cmocka_unit_test(burst_of_small_order_only),
		cmocka_unit_test(every_burst_size),
		cmocka_unit_test(shared_scalar_by_equal_pointers),
		cmocka_unit_test(results_may_overwrite_points),
		cmocka_unit_test(rounding_mode_of_the_caller_survives),
		cmocka_unit_test(base_matches_libsodium),
		cmocka_unit_test(pair_of_honest_points),
		cmocka_unit_test(pair_of_twist_and_cofactor_points),
		cmocka_unit_test(pair_of_extreme_points),
		cmocka_unit_test(pair_of_extreme_scalars),
		cmocka_unit_test(pair_of_every_burst_size),
		cmocka_unit_test(pair_small_order_leaves_its_neighbours_alone),
		cmocka_unit_test(pair_of_survivors),
		cmocka_unit_test(init_chooses_the_widest_and_obeys_the_limit),
		cmocka_unit_test(public_calls_match_with_every_kernel),
		cmocka_unit_test(a_kernel_that_differs_would_be_seen),
		cmocka_unit_test(twist_flag_of_known_points),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
