/* SPDX-License-Identifier: BSD-3-Clause */
/* vectors_vrf [FILE...]: RFC 9381's proofs with every intermediate value, and the edge cases. */
#include <glob.h>
#include <sodium.h>

#include "json.h"
#include "vrf/ecvrf.h"

enum { MAX_ALPHA = 4096 };

static unsigned passed, failed;

/* One line per failing vector: the first thing that is wrong. */
struct verdict {
	const char *file, *name, *fault;
};

static void blame(struct verdict *v, const char *fault)
{
	if (!v->fault)
		v->fault = fault;
}

static void conclude(const struct verdict *v)
{
	if (!v->fault) {
		passed++;
		return;
	}
	failed++;
	printf("%s: %s: %s\n", v->file, v->name, v->fault);
}

/* Compares a value with the file's, where the file has one. */
static void expect(struct verdict *verdict, const struct json *v, const char *key,
	const uint8_t *value, size_t len)
{
	uint8_t want[128];

	if (!json_str(v, key))
		return;
	if (json_hex(v, key, want, sizeof(want)) != len || memcmp(want, value, len) != 0)
		blame(verdict, key);
}

static void expect_ell2(struct verdict *verdict, const struct json *v, const struct ell2_trace *t)
{
	expect(verdict, v, "uniform_bytes", t->uniform, sizeof(t->uniform));
	expect(verdict, v, "u", t->u, 32);
	expect(verdict, v, "gx1", t->gx1, 32);
	if (json_get(v, "gx1_is_square") && json_true(v, "gx1_is_square") != t->gx1_is_square)
		blame(verdict, "gx1_is_square");
	if (json_get(v, "edwards_x_parity") && json_u64(v, "edwards_x_parity") != t->x_parity)
		blame(verdict, "edwards_x_parity");
}

static void expect_trace(struct verdict *verdict, const struct json *v, const struct ecvrf_trace *t)
{
	expect(verdict, v, "H", t->h, 32);
	expect(verdict, v, "k_string", t->k_string, 64);
	expect(verdict, v, "k", t->k, 32);
	expect(verdict, v, "U", t->u, 32);
	expect(verdict, v, "V", t->v, 32);
	expect(verdict, v, "Gamma", t->gamma, 32);
	expect(verdict, v, "c", t->c, 16);
	expect(verdict, v, "s", t->s, 32);
	if (json_get(v, "try_and_increment_ctr") &&
		json_u64(v, "try_and_increment_ctr") != t->tries)
		blame(verdict, "try_and_increment_ctr");
	expect_ell2(verdict, v, &t->ell2);
}

static void refuse_flips(struct verdict *verdict, enum ecvrf_suite suite, const uint8_t public[32],
	const uint8_t *alpha, size_t alpha_len, const uint8_t pi[ECVRF_PROOF_SIZE])
{
	uint8_t bad[ECVRF_PROOF_SIZE], beta[ECVRF_OUTPUT_SIZE];

	for (unsigned bit = 0; bit < 8 * ECVRF_PROOF_SIZE; bit++) {
		memcpy(bad, pi, sizeof(bad));
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (ecvrf_verify(suite, public, alpha, alpha_len, bad, beta) == 0)
			blame(verdict, "a proof with one bit changed is accepted");
		if (!sodium_is_zero(beta, sizeof(beta)))
			blame(verdict, "an output is given for a refused proof");
	}
}

static void run_rfc(const char *file, enum ecvrf_suite suite, const struct json *v)
{
	char name[64];
	struct verdict verdict = {file, name, NULL};
	uint8_t seed[32], public[32], alpha[MAX_ALPHA], pi[ECVRF_PROOF_SIZE];
	uint8_t beta[ECVRF_OUTPUT_SIZE], again[ECVRF_OUTPUT_SIZE];
	size_t alpha_len = json_hex(v, "alpha", alpha, sizeof(alpha));
	struct ecvrf_trace trace;
	struct ecvrf_key key;

	snprintf(name, sizeof(name), "suite %02x, example %s", suite,
		json_str(v, "example") ? json_str(v, "example") : "without a number");
	json_hex_exact(v, "sk", seed, 32);
	json_hex_exact(v, "pk", public, 32);
	ecvrf_key_from_seed(&key, seed);
	expect(&verdict, v, "x", key.x, 32);
	expect(&verdict, v, "pk", key.public, 32);
	if (ecvrf_prove_traced(suite, &key, alpha, alpha_len, pi, &trace) < 0)
		blame(&verdict, "no proof");
	expect_trace(&verdict, v, &trace);
	expect(&verdict, v, "pi", pi, sizeof(pi));
	if (ecvrf_proof_to_hash(suite, pi, beta) < 0)
		blame(&verdict, "proof_to_hash refuses");
	expect(&verdict, v, "beta", beta, sizeof(beta));
	json_hex_exact(v, "pi", pi, sizeof(pi));
	if (ecvrf_verify(suite, public, alpha, alpha_len, pi, again) < 0)
		blame(&verdict, "verify refuses the published proof");
	expect(&verdict, v, "beta", again, sizeof(again));
	refuse_flips(&verdict, suite, public, alpha, alpha_len, pi);
	conclude(&verdict);
}

static void run_edge(const char *file, const struct json *v)
{
	char name[160];
	struct verdict verdict = {file, name, NULL};
	uint8_t suite, public[32], alpha[MAX_ALPHA], pi[ECVRF_PROOF_SIZE], beta[ECVRF_OUTPUT_SIZE];
	size_t alpha_len = json_hex(v, "alpha", alpha, sizeof(alpha));
	bool accepted;

	json_hex_exact(v, "suite", &suite, 1);
	json_hex_exact(v, "pk", public, 32);
	json_hex_exact(v, "pi", pi, sizeof(pi));
	snprintf(name, sizeof(name), "suite %02x, %s", suite, json_str_need(v, "name"));
	accepted = ecvrf_verify(suite, public, alpha, alpha_len, pi, beta) == 0;
	json_need(v, "strict_valid");
	if (accepted != json_true(v, "strict_valid"))
		blame(&verdict, accepted ? "accepted" : "refused");
	if (accepted) {
		expect(&verdict, v, "rfc_beta", beta, sizeof(beta));
		refuse_flips(&verdict, suite, public, alpha, alpha_len, pi);
	}
	conclude(&verdict);
}

static void run_file(const char *path)
{
	struct json *file = json_load(path);
	const struct json *suites = json_get(file, "suites"), *s, *v;

	if (suites) {
		json_each(s, suites)
		{
			uint8_t suite;

			json_hex_exact(s, "suite_string", &suite, 1);
			json_each(v, json_need(s, "vectors")) run_rfc(path, suite, v);
		}
	} else {
		json_each(v, json_need(file, "vectors")) run_edge(path, v);
	}
	json_free(file);
}

static void run_default(void)
{
	glob_t found;

	if (glob("tests/vectors/vrf/*.json", 0, NULL, &found) != 0) {
		fprintf(stderr,
			"tests/vectors/vrf/*.json: no vectors; run from the project's root\n");
		exit(2);
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		run_file(found.gl_pathv[i]);
	globfree(&found);
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 2;
	if (argc < 2)
		run_default();
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
