/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/ecvrf.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { OFF_C = 32, OFF_S = 48, C_SIZE = 16 };

/* domain separators of RFC 9381, section 5 */
enum { FRONT_ENCODE = 1, FRONT_CHALLENGE = 2, FRONT_HASH = 3, BACK = 0 };

/* What libsodium may leave below our frames (its scalar functions copy their operands). */
enum { SCRUB_STACK = 8192 };

/* the group order L = 2^252 + 27742317777372353535851937790883648493, little-endian */
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
	0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

static bool suite_known(enum ecvrf_suite suite)
{
	return suite == ECVRF_TAI || suite == ECVRF_ELL2;
}

/* The byte rules of RFC 8032, section 5.1.3, that libsodium's point addition does not check:
 * y < p, and no sign bit on x = 0 (y = 1 or y = -1). */
static bool encoding_is_canonical(const uint8_t p[32])
{
	static const uint8_t field_prime[32] = {0xed, [1 ... 30] = 0xff, [31] = 0x7f};
	static const uint8_t minus_one[32] = {0xec, [1 ... 30] = 0xff, [31] = 0x7f};
	static const uint8_t plus_one[32] = {1};
	uint8_t y[32];

	memcpy(y, p, 32);
	y[31] &= 0x7f;
	if (sodium_compare(y, field_prime, 32) >= 0)
		return false;
	return !(p[31] & 0x80) || (memcmp(y, plus_one, 32) != 0 && memcmp(y, minus_one, 32) != 0);
}

/* out = 8p for any point p on the curve, torsion or not. False when p decodes to no point. */
static bool times_cofactor(uint8_t out[32], const uint8_t p[32])
{
	if (!encoding_is_canonical(p) || crypto_core_ed25519_add(out, p, p) != 0)
		return false;
	return crypto_core_ed25519_add(out, out, out) == 0 &&
	       crypto_core_ed25519_add(out, out, out) == 0;
}

static bool is_identity(const uint8_t p[32])
{
	static const uint8_t identity[32] = {1};

	return memcmp(p, identity, 32) == 0;
}

/* RFC 9381, section 5.4.1.1. *tries is the counter that gave H. */
static bool encode_try_and_increment(uint8_t h[32], const uint8_t salt[32], const uint8_t *alpha,
	size_t alpha_len, unsigned *tries)
{
	const uint8_t front[2] = {ECVRF_TAI, FRONT_ENCODE};
	uint8_t digest[64];
	crypto_hash_sha512_state st;

	for (unsigned ctr = 0; ctr < 256; ctr++) {
		const uint8_t back[2] = {(uint8_t)ctr, BACK};

		crypto_hash_sha512_init(&st);
		crypto_hash_sha512_update(&st, front, sizeof(front));
		crypto_hash_sha512_update(&st, salt, 32);
		crypto_hash_sha512_update(&st, alpha, alpha_len);
		crypto_hash_sha512_update(&st, back, sizeof(back));
		crypto_hash_sha512_final(&st, digest);
		if (times_cofactor(h, digest) && !is_identity(h)) {
			*tries = ctr;
			return true;
		}
	}
	return false;
}

/* Section 5.4.1: H for the salt (the public key) and alpha. trace->h, tries and ell2 are set. */
static bool encode_to_curve(enum ecvrf_suite suite, const uint8_t salt[32], const uint8_t *alpha,
	size_t alpha_len, struct ecvrf_trace *trace)
{
	static const char dst[] = "ECVRF_edwards25519_XMD:SHA-512_ELL2_NU_\x04";
	uint8_t point[32];

	if (suite == ECVRF_TAI)
		return encode_try_and_increment(trace->h, salt, alpha, alpha_len, &trace->tries);
	ell2_encode(point, (const uint8_t *)dst, sizeof(dst) - 1, salt, 32, alpha, alpha_len,
		&trace->ell2);
	return times_cofactor(trace->h, point) && !is_identity(trace->h);
}

/* Section 5.4.3; c is zero-extended to a scalar. */
static void challenge(
	enum ecvrf_suite suite, const uint8_t public[32], struct ecvrf_trace *t, uint8_t c[32])
{
	const uint8_t front[2] = {(uint8_t)suite, FRONT_CHALLENGE}, back = BACK;
	const uint8_t *points[] = {public, t->h, t->gamma, t->u, t->v};
	uint8_t digest[64];
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, front, sizeof(front));
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
		crypto_hash_sha512_update(&st, points[i], 32);
	crypto_hash_sha512_update(&st, &back, 1);
	crypto_hash_sha512_final(&st, digest);
	memset(c, 0, 32);
	memcpy(c, digest, C_SIZE);
}

void ecvrf_key_from_seed(struct ecvrf_key *key, const uint8_t seed[ECVRF_SEED_SIZE])
{
	uint8_t h[64];

	crypto_hash_sha512(h, seed, ECVRF_SEED_SIZE);
	h[0] &= 0xf8;
	h[31] = (uint8_t)((h[31] & 0x7f) | 0x40);
	memcpy(key->x, h, 32);
	memcpy(key->prefix, h + 32, 32);
	/* never the identity: x is a multiple of 8 between 2^254 and 2^255, and no multiple of L
	 * there is one */
	(void)crypto_scalarmult_ed25519_base_noclamp(key->public, key->x);
	sodium_memzero(h, sizeof(h));
	sodium_stackzero(SCRUB_STACK);
}

void ecvrf_key_wipe(struct ecvrf_key *key)
{
	sodium_memzero(key, sizeof(*key));
}

void ecvrf_keygen(uint8_t seed[ECVRF_SEED_SIZE])
{
	randombytes_buf(seed, ECVRF_SEED_SIZE);
}

int ecvrf_public_key_check(const uint8_t public[ECVRF_PUBLIC_SIZE])
{
	if (!encoding_is_canonical(public) || crypto_core_ed25519_is_valid_point(public) != 1)
		return -EINVAL;
	return 0;
}

/* k = SHA512(prefix ‖ H) mod L, section 5.4.2.2 */
static void nonce(const struct ecvrf_key *key, struct ecvrf_trace *t)
{
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, key->prefix, 32);
	crypto_hash_sha512_update(&st, t->h, 32);
	crypto_hash_sha512_final(&st, t->k_string);
	crypto_core_ed25519_scalar_reduce(t->k, t->k_string);
	sodium_memzero(&st, sizeof(st));
}

static int prove(enum ecvrf_suite suite, const struct ecvrf_key *key, const uint8_t *alpha,
	size_t alpha_len, struct ecvrf_trace *t)
{
	uint8_t cx[32];

	if (!suite_known(suite))
		return -EINVAL;
	if (!encode_to_curve(suite, key->public, alpha, alpha_len, t))
		return -EIO;
	nonce(key, t);
	if (crypto_scalarmult_ed25519_noclamp(t->gamma, key->x, t->h) != 0 ||
		crypto_scalarmult_ed25519_base_noclamp(t->u, t->k) != 0 ||
		crypto_scalarmult_ed25519_noclamp(t->v, t->k, t->h) != 0)
		return -EIO;
	challenge(suite, key->public, t, t->c);
	crypto_core_ed25519_scalar_mul(cx, t->c, key->x);
	crypto_core_ed25519_scalar_add(t->s, t->k, cx);
	sodium_memzero(cx, sizeof(cx));
	return 0;
}

int ecvrf_prove_traced(enum ecvrf_suite suite, const struct ecvrf_key *key, const uint8_t *alpha,
	size_t alpha_len, uint8_t pi[ECVRF_PROOF_SIZE], struct ecvrf_trace *trace)
{
	int r;

	memset(trace, 0, sizeof(*trace));
	memset(pi, 0, ECVRF_PROOF_SIZE);
	r = prove(suite, key, alpha, alpha_len, trace);
	sodium_stackzero(SCRUB_STACK);
	if (r < 0)
		return r;
	memcpy(pi, trace->gamma, 32);
	memcpy(pi + OFF_C, trace->c, C_SIZE);
	memcpy(pi + OFF_S, trace->s, 32);
	return 0;
}

int ecvrf_prove(enum ecvrf_suite suite, const struct ecvrf_key *key, const uint8_t *alpha,
	size_t alpha_len, uint8_t pi[ECVRF_PROOF_SIZE])
{
	struct ecvrf_trace trace;
	int r = ecvrf_prove_traced(suite, key, alpha, alpha_len, pi, &trace);

	sodium_memzero(&trace, sizeof(trace));
	return r;
}

/* Section 5.4.4, with the stricter rule of the header: Gamma of prime order, 0 < s < L. */
static bool proof_decodes(const uint8_t pi[ECVRF_PROOF_SIZE])
{
	return encoding_is_canonical(pi) && crypto_core_ed25519_is_valid_point(pi) == 1 &&
	       !sodium_is_zero(pi + OFF_S, 32) && sodium_compare(pi + OFF_S, order, 32) < 0;
}

/* out = a*p - c*q. p NULL: the base point. */
static bool combine(uint8_t out[32], const uint8_t a[32], const uint8_t *p, const uint8_t c[32],
	const uint8_t q[32])
{
	uint8_t left[32], right[32];

	if (p ? crypto_scalarmult_ed25519_noclamp(left, a, p) != 0
	      : crypto_scalarmult_ed25519_base_noclamp(left, a) != 0)
		return false;
	return crypto_scalarmult_ed25519_noclamp(right, c, q) == 0 &&
	       crypto_core_ed25519_sub(out, left, right) == 0;
}

static void proof_hash(
	enum ecvrf_suite suite, const uint8_t gamma_8[32], uint8_t beta[ECVRF_OUTPUT_SIZE])
{
	const uint8_t front[2] = {(uint8_t)suite, FRONT_HASH}, back = BACK;
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, front, sizeof(front));
	crypto_hash_sha512_update(&st, gamma_8, 32);
	crypto_hash_sha512_update(&st, &back, 1);
	crypto_hash_sha512_final(&st, beta);
	sodium_memzero(&st, sizeof(st));
}

int ecvrf_proof_to_hash(
	enum ecvrf_suite suite, const uint8_t pi[ECVRF_PROOF_SIZE], uint8_t beta[ECVRF_OUTPUT_SIZE])
{
	uint8_t gamma_8[32];
	int r = 0;

	memset(beta, 0, ECVRF_OUTPUT_SIZE);
	if (!suite_known(suite))
		return -EINVAL;
	if (!proof_decodes(pi) || !times_cofactor(gamma_8, pi))
		r = -EBADMSG;
	else
		proof_hash(suite, gamma_8, beta);
	/* until its epoch is revealed, a proof is as secret as beta */
	sodium_memzero(gamma_8, sizeof(gamma_8));
	sodium_stackzero(SCRUB_STACK);
	return r;
}

int ecvrf_verify(enum ecvrf_suite suite, const uint8_t public[ECVRF_PUBLIC_SIZE],
	const uint8_t *alpha, size_t alpha_len, const uint8_t pi[ECVRF_PROOF_SIZE],
	uint8_t beta[ECVRF_OUTPUT_SIZE])
{
	struct ecvrf_trace t = {0};
	uint8_t c[32] = {0};

	if (beta)
		memset(beta, 0, ECVRF_OUTPUT_SIZE);
	if (!suite_known(suite) || ecvrf_public_key_check(public) < 0)
		return -EINVAL;
	if (!proof_decodes(pi) || !encode_to_curve(suite, public, alpha, alpha_len, &t))
		return -EBADMSG;
	memcpy(t.gamma, pi, 32);
	memcpy(c, pi + OFF_C, C_SIZE);
	memcpy(t.s, pi + OFF_S, 32);
	if (!combine(t.u, t.s, NULL, c, public) || !combine(t.v, t.s, t.h, c, t.gamma))
		return -EBADMSG;
	challenge(suite, public, &t, t.c);
	if (sodium_memcmp(c, t.c, C_SIZE) != 0)
		return -EBADMSG;
	return beta ? ecvrf_proof_to_hash(suite, pi, beta) : 0;
}
