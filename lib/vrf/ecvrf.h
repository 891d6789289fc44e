/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_ECVRF_H
#define BETANET_VRF_ECVRF_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "vrf/ell2.h"

/*
 * Verifiable random functions of RFC 9381 over edwards25519 with SHA-512. The owner of a secret key
 * turns a string alpha into a proof pi; everyone with the public key turns pi into the same 64
 * bytes beta, or refuses it. beta is as good as random to all who have not seen pi.
 *
 * Stricter than the RFC, on purpose: a public key or a Gamma outside the subgroup of prime order is
 * refused (the RFC lets a key with a torsion component pass, and Gamma when c is divisible by 8),
 * as are c = 0 and s = 0, which no prover meets. An honest prover's proofs all pass.
 *
 * A VRF seed must never be an Ed25519 seed too: one signature and one proof over the same string
 * give the secret scalar away. ecvrf_key.public equals the Ed25519 public key of the same seed, so
 * a caller can see the mistake by comparing public keys (epoch_prover_create does).
 */
enum ecvrf_suite {
	ECVRF_TAI = 0x03,  /* ECVRF-EDWARDS25519-SHA512-TAI, the default: alpha is public, so the
			      varying number of tries tells nothing */
	ECVRF_ELL2 = 0x04, /* ECVRF-EDWARDS25519-SHA512-ELL2 */
};

enum {
	ECVRF_SEED_SIZE = 32,   /* SK of the RFC: what a key file holds */
	ECVRF_PUBLIC_SIZE = 32, /* Y */
	ECVRF_PROOF_SIZE = 80, /* pi = Gamma(32) ‖ c(16, little-endian) ‖ s(32, little-endian) */
	ECVRF_OUTPUT_SIZE = 64, /* beta */
};

/* An expanded key. Secret but for `public`: in memory from secmem_alloc if it lives long. */
struct ecvrf_key {
	uint8_t x[32];      /* the clamped scalar */
	uint8_t prefix[32]; /* second half of SHA512(SK): the nonce's secret */
	uint8_t public[ECVRF_PUBLIC_SIZE];
};

/*
 * Once per process, before any other call (sodium_init comes first; secmem_init does it): known
 * answers of both suites, refusal of a damaged proof, and refusal of a point of order 2L. -EIO with
 * `err` set: among others for a libsodium whose crypto_core_ed25519_is_valid_point has the flaw
 * CVE-2025-69277, with which a proof's checks would be worth less than they say. Some ms.
 */
int ecvrf_self_test(struct error *err);

/* Deterministic. The key is wiped by the caller (ecvrf_key_wipe). */
void ecvrf_key_from_seed(struct ecvrf_key *key, const uint8_t seed[ECVRF_SEED_SIZE]);
void ecvrf_key_wipe(struct ecvrf_key *key);

/* A new seed from the system's random numbers. */
void ecvrf_keygen(uint8_t seed[ECVRF_SEED_SIZE]);

/* 0; -EINVAL unless `public` is the canonical encoding of a point of prime order (never of small
 * order). */
int ecvrf_public_key_check(const uint8_t public[ECVRF_PUBLIC_SIZE]);

/*
 * RFC 9381, section 5.1. About 0.4 ms; constant time in the key. Deterministic: the same key and
 * alpha give the same pi. 0; -EINVAL for an unknown suite; -EIO when alpha maps to no usable point
 * (chance about 2^-250: a fault of the machine). On an error pi is zeroed. Nothing secret remains
 * on the stack.
 */
int ecvrf_prove(enum ecvrf_suite suite, const struct ecvrf_key *key, const uint8_t *alpha,
	size_t alpha_len, uint8_t pi[ECVRF_PROOF_SIZE]);

/*
 * Section 5.3 with validate_key. 0 and beta when pi is the proof for alpha under `public`; -EINVAL
 * for an unknown suite or a bad public key; -EBADMSG for any other fault. On an error beta is
 * zeroed; beta may be NULL. About 0.8 ms, time varies with public inputs only.
 */
int ecvrf_verify(enum ecvrf_suite suite, const uint8_t public[ECVRF_PUBLIC_SIZE],
	const uint8_t *alpha, size_t alpha_len, const uint8_t pi[ECVRF_PROOF_SIZE],
	uint8_t beta[ECVRF_OUTPUT_SIZE]);

/*
 * Section 5.2: beta of a proof that the caller made or has verified; checks that it can be decoded,
 * not that it is right. 0; -EINVAL (suite); -EBADMSG. On an error beta is zeroed.
 */
int ecvrf_proof_to_hash(enum ecvrf_suite suite, const uint8_t pi[ECVRF_PROOF_SIZE],
	uint8_t beta[ECVRF_OUTPUT_SIZE]);

/* ---- for test vectors only */

/* Every intermediate value of a proof. x, k_string and k are secret. Points are encodings, scalars
 * little-endian. */
struct ecvrf_trace {
	uint8_t h[32];
	unsigned tries; /* TAI: the ctr that gave H */
	struct ell2_trace ell2;
	uint8_t k_string[64], k[32], u[32], v[32], gamma[32], c[32], s[32];
};

/* ecvrf_prove that leaves its intermediate values to the caller, who wipes them. */
int ecvrf_prove_traced(enum ecvrf_suite suite, const struct ecvrf_key *key, const uint8_t *alpha,
	size_t alpha_len, uint8_t pi[ECVRF_PROOF_SIZE], struct ecvrf_trace *trace);

#endif
