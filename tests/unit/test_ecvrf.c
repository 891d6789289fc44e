/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/bytes.h"
#include "vrf/ecvrf.h"
#include "vrf/fe25519.h"

static const enum ecvrf_suite suites[] = {ECVRF_TAI, ECVRF_ELL2};

#define each_suite(s) for (const enum ecvrf_suite *s = suites; s < suites + 2; s++)

static void random_key(struct ecvrf_key *key)
{
	uint8_t seed[32];

	ecvrf_keygen(seed);
	ecvrf_key_from_seed(key, seed);
}

static void self_test_passes_here(void **state)
{
	struct error err;

	(void)state;
	if (ecvrf_self_test(&err) < 0)
		fail_msg("%s", err.msg);
}

static void proofs_verify_and_give_the_same_output(void **state)
{
	uint8_t alpha[200], pi[ECVRF_PROOF_SIZE], made[64], seen[64];
	struct ecvrf_key key;

	(void)state;
	each_suite(s)
	{
		for (unsigned i = 0; i < 1000; i++) {
			size_t len = i % sizeof(alpha);

			random_key(&key);
			randombytes_buf(alpha, len);
			assert_int_equal(ecvrf_prove(*s, &key, alpha, len, pi), 0);
			assert_int_equal(ecvrf_proof_to_hash(*s, pi, made), 0);
			assert_int_equal(ecvrf_verify(*s, key.public, alpha, len, pi, seen), 0);
			assert_memory_equal(made, seen, sizeof(made));
		}
	}
}

static void wrong_key_alpha_length_or_suite_is_refused(void **state)
{
	uint8_t alpha[64], other[64], pi[ECVRF_PROOF_SIZE], beta[64];
	struct ecvrf_key key, stranger;

	(void)state;
	each_suite(s)
	{
		enum ecvrf_suite wrong = *s == ECVRF_TAI ? ECVRF_ELL2 : ECVRF_TAI;

		for (unsigned i = 0; i < 500; i++) {
			random_key(&key);
			random_key(&stranger);
			randombytes_buf(alpha, sizeof(alpha));
			memcpy(other, alpha, sizeof(other));
			other[i % 64] ^= (uint8_t)(1u << i % 8);
			assert_int_equal(ecvrf_prove(*s, &key, alpha, 64, pi), 0);
			assert_int_equal(
				ecvrf_verify(*s, stranger.public, alpha, 64, pi, beta), -EBADMSG);
			assert_true(sodium_is_zero(beta, sizeof(beta)));
			assert_int_equal(
				ecvrf_verify(*s, key.public, other, 64, pi, beta), -EBADMSG);
			assert_int_equal(
				ecvrf_verify(*s, key.public, alpha, 63, pi, beta), -EBADMSG);
			if (i < 50)
				assert_int_equal(
					ecvrf_verify(wrong, key.public, alpha, 64, pi, beta),
					-EBADMSG);
		}
	}
}

static void unknown_suite_is_refused_everywhere(void **state)
{
	uint8_t pi[ECVRF_PROOF_SIZE], beta[64];
	struct ecvrf_key key;

	(void)state;
	random_key(&key);
	for (int suite = 0; suite < 256; suite++) {
		if (suite == ECVRF_TAI || suite == ECVRF_ELL2)
			continue;
		memset(pi, 1, sizeof(pi));
		assert_int_equal(ecvrf_prove((enum ecvrf_suite)suite, &key, NULL, 0, pi), -EINVAL);
		assert_true(sodium_is_zero(pi, sizeof(pi)));
		assert_int_equal(ecvrf_proof_to_hash((enum ecvrf_suite)suite, pi, beta), -EINVAL);
		assert_int_equal(
			ecvrf_verify((enum ecvrf_suite)suite, key.public, NULL, 0, pi, beta),
			-EINVAL);
	}
}

static void zero_scalars_are_refused(void **state)
{
	uint8_t pi[ECVRF_PROOF_SIZE], bad[ECVRF_PROOF_SIZE], beta[64];
	struct ecvrf_key key;

	(void)state;
	random_key(&key);
	each_suite(s)
	{
		assert_int_equal(ecvrf_prove(*s, &key, NULL, 0, pi), 0);
		memcpy(bad, pi, sizeof(bad));
		memset(bad + 32, 0, 16);
		assert_int_equal(ecvrf_verify(*s, key.public, NULL, 0, bad, beta), -EBADMSG);
		memcpy(bad, pi, sizeof(bad));
		memset(bad + 48, 0, 32);
		assert_int_equal(ecvrf_verify(*s, key.public, NULL, 0, bad, beta), -EBADMSG);
		assert_int_equal(ecvrf_proof_to_hash(*s, bad, beta), -EBADMSG);
	}
}

static void public_key_equals_ed25519_of_the_same_seed(void **state)
{
	uint8_t seed[32], pk[32], sk[64];
	struct ecvrf_key key;

	(void)state;
	ecvrf_keygen(seed);
	ecvrf_key_from_seed(&key, seed);
	assert_int_equal(crypto_sign_seed_keypair(pk, sk, seed), 0);
	assert_memory_equal(key.public, pk, 32);
	assert_int_equal(ecvrf_public_key_check(pk), 0);
}

/* The same bytes from every compiler and sanitizer: the digest was fixed when this was written. */
static void proofs_are_the_same_in_every_build(void **state)
{
	static const char want[] =
		"9915fc52795b51f411b43470162fc7ae3fb599be9174230f1ad32193db5d15de";
	uint8_t seed[32] = {0}, pi[ECVRF_PROOF_SIZE], digest[32];
	crypto_generichash_state st;
	struct ecvrf_key key;
	char hex[65];

	(void)state;
	crypto_generichash_init(&st, NULL, 0, 32);
	for (unsigned i = 0; i < 100; i++) {
		store_le64(seed, i);
		ecvrf_key_from_seed(&key, seed);
		assert_int_equal(ecvrf_prove(suites[i % 2], &key, seed, i % 33, pi), 0);
		crypto_generichash_update(&st, pi, sizeof(pi));
	}
	crypto_generichash_final(&st, digest, 32);
	hex_encode(hex, digest, 32);
	assert_string_equal(hex, want);
}

/* ---- what a proof leaves on its stack */

enum { STACK = 1 << 20 };

enum step { PROVE_TAI, PROVE_ELL2, HASH, EXPAND, LEAK }; /* LEAK: the control */

struct wipe_case {
	enum step step;
	const uint8_t *seed;
	const struct ecvrf_key *key;
	uint8_t *pi, *beta; /* not on the stack that is searched */
	struct ecvrf_key *expanded;
};

/* One call, so that no later one tidies up behind it. */
static __attribute__((noinline)) void *one_step(void *arg)
{
	static const uint8_t alpha[5] = "stack";
	const struct wipe_case *c = arg;
	uint8_t copy[32];

	switch (c->step) {
	case PROVE_TAI:
		return ecvrf_prove(ECVRF_TAI, c->key, alpha, 5, c->pi) < 0 ? arg : NULL;
	case PROVE_ELL2:
		return ecvrf_prove(ECVRF_ELL2, c->key, alpha, 5, c->pi) < 0 ? arg : NULL;
	case HASH:
		return ecvrf_proof_to_hash(ECVRF_TAI, c->pi, c->beta) < 0 ? arg : NULL;
	case EXPAND:
		ecvrf_key_from_seed(c->expanded, c->seed);
		return NULL;
	default:
		memcpy(copy, c->key->x, sizeof(copy));
		/* the copy is made, wanted or not */
		__asm__ volatile("" : : "r"(copy) : "memory");
		return NULL;
	}
}

/* Deep in the stack, where the end of the thread writes nothing. */
static void *step_on_this_stack(void *arg)
{
	uint8_t pad[STACK / 4];
	void *r;

	__asm__ volatile("" : : "r"(pad) : "memory");
	r = one_step(arg);
	__asm__ volatile("" : : "r"(pad) : "memory");
	return r;
}

/* Any 16 of the secret's bytes in a row. */
static bool found(const uint8_t *stack, const uint8_t *secret, size_t len)
{
	for (size_t off = 0; off + 16 <= len; off += 16)
		if (memmem(stack, STACK, secret + off, 16))
			return true;
	return false;
}

static bool leaves_secrets(enum step step)
{
	uint8_t *stack = aligned_alloc(4096, STACK), seed[32];
	uint8_t pi[ECVRF_PROOF_SIZE], beta[64];
	struct ecvrf_key key, expanded;
	struct wipe_case c = {step, seed, &key, pi, beta, &expanded};
	struct ecvrf_trace trace;
	pthread_attr_t attr;
	pthread_t thread;
	void *bad;
	bool hit;

	ecvrf_keygen(seed);
	ecvrf_key_from_seed(&key, seed);
	assert_int_equal(ecvrf_prove(ECVRF_TAI, &key, (const uint8_t *)"stack", 5, pi), 0);
	memset(stack, 0, STACK);
	pthread_attr_init(&attr);
	assert_int_equal(pthread_attr_setstack(&attr, stack, STACK), 0);
	assert_int_equal(pthread_create(&thread, &attr, step_on_this_stack, &c), 0);
	pthread_join(thread, &bad);
	pthread_attr_destroy(&attr);
	assert_null(bad);
	hit = found(stack, seed, 32) || found(stack, key.x, 32) || found(stack, key.prefix, 32);
	each_suite(s)
	{
		assert_int_equal(
			ecvrf_prove_traced(*s, &key, (const uint8_t *)"stack", 5, pi, &trace), 0);
		assert_int_equal(ecvrf_proof_to_hash(*s, pi, beta), 0);
		hit = hit || found(stack, trace.k, 32) || found(stack, trace.k_string, 64) ||
		      found(stack, beta, 64);
	}
	free(stack);
	return hit;
}

static void no_call_leaves_a_secret_on_the_stack(void **state)
{
	(void)state;
	assert_true(leaves_secrets(LEAK));
	for (unsigned i = 0; i < 10; i++)
		for (enum step step = 0; step < LEAK; step++)
			if (leaves_secrets(step))
				fail_msg("step %d leaves a secret on its stack", step);
}

static void a_wiped_key_is_zero(void **state)
{
	struct ecvrf_key key;

	(void)state;
	random_key(&key);
	ecvrf_key_wipe(&key);
	assert_true(sodium_is_zero((const uint8_t *)&key, sizeof(key)));
}

/* ---- the field behind ELL2 */

static void random_element(struct fe25519 *a)
{
	uint8_t b[32];

	randombytes_buf(b, sizeof(b));
	fe25519_from_bytes(a, b);
}

static void assert_equal_elements(const struct fe25519 *a, const struct fe25519 *b)
{
	assert_true(fe25519_equal(a, b));
}

static void field_laws_hold(void **state)
{
	struct fe25519 a, b, c, l, r, t;

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		random_element(&a);
		random_element(&b);
		random_element(&c);
		fe25519_add(&t, &b, &c);
		fe25519_mul(&l, &a, &t);
		fe25519_mul(&r, &a, &b);
		fe25519_mul(&t, &a, &c);
		fe25519_add(&r, &r, &t);
		assert_equal_elements(&l, &r);
		fe25519_sub(&t, &a, &b);
		fe25519_add(&t, &t, &b);
		assert_equal_elements(&t, &a);
		fe25519_neg(&t, &a);
		fe25519_add(&t, &t, &a);
		assert_false(fe25519_equal(&t, &fe25519_one));
		assert_int_equal(fe25519_sgn0(&t), 0);
		fe25519_invert(&t, &a);
		fe25519_mul(&t, &t, &a);
		assert_equal_elements(&t, &fe25519_one);
	}
}

static void roots_are_roots_and_two_has_none(void **state)
{
	struct fe25519 a, square, root, two;

	(void)state;
	fe25519_from_small(&two, 2);
	assert_false(fe25519_sqrt(&root, &two));
	for (unsigned i = 0; i < 200; i++) {
		random_element(&a);
		fe25519_mul(&square, &a, &a);
		assert_true(fe25519_sqrt(&root, &square));
		fe25519_mul(&a, &root, &root);
		assert_equal_elements(&a, &square);
		fe25519_mul(&square, &square, &two);
		assert_false(fe25519_sqrt(&root, &square));
	}
}

static void values_from_p_on_are_reduced(void **state)
{
	uint8_t in[32], out[32], want[32] = {0};
	struct fe25519 a, limbs = {{0}};

	(void)state;
	for (unsigned i = 0; i < 19; i++) { /* p + i */
		memset(in, 0xff, 32);
		in[0] = (uint8_t)(0xed + i);
		in[31] = i % 2 ? 0xff : 0x7f; /* bit 255 is ignored */
		fe25519_from_bytes(&a, in);
		fe25519_to_bytes(out, &a);
		want[0] = (uint8_t)i;
		assert_memory_equal(out, want, 32);
	}
	/* the largest limbs that the header allows: (2^54 - 1) * (1 + 2^51 + ...) */
	for (unsigned i = 0; i < 5; i++)
		limbs.limb[i] = (UINT64_C(1) << 54) - 1;
	fe25519_to_bytes(in, &limbs);
	fe25519_from_bytes(&a, in);
	fe25519_mul(&limbs, &limbs, &limbs);
	fe25519_mul(&a, &a, &a);
	assert_equal_elements(&a, &limbs);
}

static void wide_values_are_reduced(void **state)
{
	uint8_t in[48], part[32];
	struct fe25519 wide, sum, t, two_128;

	(void)state;
	memset(part, 0, 32);
	part[16] = 1;
	fe25519_from_bytes(&two_128, part);
	for (unsigned i = 0; i < 300; i++) {
		if (i == 0)
			memset(in, 0xff, sizeof(in));
		else
			randombytes_buf(in, sizeof(in));
		fe25519_from_wide(&wide, in);
		fe25519_from_small(&sum, 0);
		for (unsigned k = 0; k < 3; k++) { /* Horner over 128-bit digits */
			memset(part, 0, 32);
			for (unsigned b = 0; b < 16; b++)
				part[b] = in[16 * k + 15 - b];
			fe25519_from_bytes(&t, part);
			fe25519_mul(&sum, &sum, &two_128);
			fe25519_add(&sum, &sum, &t);
		}
		assert_equal_elements(&wide, &sum);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(self_test_passes_here),
		cmocka_unit_test(proofs_verify_and_give_the_same_output),
		cmocka_unit_test(wrong_key_alpha_length_or_suite_is_refused),
		cmocka_unit_test(unknown_suite_is_refused_everywhere),
		cmocka_unit_test(zero_scalars_are_refused),
		cmocka_unit_test(public_key_equals_ed25519_of_the_same_seed),
		cmocka_unit_test(proofs_are_the_same_in_every_build),
		cmocka_unit_test(no_call_leaves_a_secret_on_the_stack),
		cmocka_unit_test(a_wiped_key_is_zero),
		cmocka_unit_test(field_laws_hold),
		cmocka_unit_test(roots_are_roots_and_two_has_none),
		cmocka_unit_test(values_from_p_on_are_reduced),
		cmocka_unit_test(wide_values_are_reduced),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
