/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "json.h"
#include "signed_record.h"
#include "vrf/neighbour.h"

enum { MAX = 1000, DIRECTORIES = 1000 };

static struct neighbour_candidate nodes[NEIGHBOUR_MAX_CANDIDATES + 1];
static char families[MAX][8];

/* ---- made-up directories, by the rule of neighbour_reference.py */

static void sha(uint8_t h[64], const char *word, uint32_t a, const uint32_t *b)
{
	uint8_t be[4];
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, (const uint8_t *)word, strlen(word));
	store_be32(be, a);
	crypto_hash_sha512_update(&st, be, 4);
	if (b) {
		store_be32(be, *b);
		crypto_hash_sha512_update(&st, be, 4);
	}
	crypto_hash_sha512_final(&st, h);
}

static void make_candidate(uint32_t seed, uint32_t j, struct neighbour_candidate *c)
{
	struct endpoint v4 = {.family = 4, .port = 9000}, v6 = {.family = 6, .port = 9000};
	uint8_t h[64];

	sha(h, "", seed, &j);
	memset(c, 0, sizeof(*c));
	memcpy(c->id, h, 32);
	c->weight = h[32] % 8 == 0 ? UINT32_MAX : h[32] % 8 == 1 ? 1 : 1u + h[33] + 256u * h[34];
	families[j][0] = 0;
	if (h[35] % 4)
		snprintf(families[j], sizeof(families[j]), "f%u", h[36] % (3 + seed % 30));
	c->family = families[j];
	memcpy(v4.ip, (const uint8_t[]){10, h[38] % 4, h[39] % 16, h[40]}, 4);
	memcpy(v6.ip, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0, h[41] % 32}, 6);
	memcpy(v6.ip + 6, h + 42, 10);
	c->addresses = h[37] % 3 == 2 ? 2 : 1;
	c->address[0] = h[37] % 3 == 1 ? v6 : v4;
	if (c->addresses == 2)
		c->address[1] = v6;
}

/* Returns the number of candidates; beta and epoch are part of the rule. */
static unsigned make_directory(uint32_t seed, uint8_t beta[64], uint64_t *epoch)
{
	uint8_t h[64];
	unsigned n;

	sha(h, "size", seed, NULL);
	n = 1 + (unsigned)(load_le64(h) & UINT32_MAX) % MAX;
	sha(beta, "beta", seed, NULL);
	*epoch = (uint64_t)seed * seed;
	for (unsigned j = 0; j < n; j++)
		make_candidate(seed, j, &nodes[j]);
	return n;
}

static void choose(unsigned n, const uint8_t beta[64], uint64_t epoch,
	unsigned chosen[NEIGHBOUR_MAX], unsigned *count)
{
	struct error err = {""};

	if (neighbour_select(nodes, n, beta, epoch, chosen, count, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_second_verifier_agrees_on_1000_directories(void **state)
{
	struct json *file = json_load("tests/vectors/delay/neighbour.json");
	const struct json *row;
	uint32_t seed = 0;

	(void)state;
	json_each(row, json_need(file, "directories"))
	{
		uint8_t beta[64], bytes[4 * NEIGHBOUR_MAX], digest[16];
		unsigned chosen[NEIGHBOUR_MAX], count;
		uint64_t epoch;
		unsigned n = make_directory(seed, beta, &epoch);
		char hex[33];

		choose(n, beta, epoch, chosen, &count);
		for (unsigned i = 0; i < count; i++)
			store_be32(bytes + 4 * i, chosen[i]);
		crypto_generichash(digest, 16, bytes, 4 * count, NULL, 0);
		hex_encode(hex, digest, 16);
		assert_int_equal(n, json_u64_value(json_at(row, 0)));
		assert_int_equal(count, json_u64_value(json_at(row, 1)));
		assert_string_equal(hex, json_at(row, 2)->text);
		seed++;
	}
	json_free(file);
	assert_int_equal(seed, DIRECTORIES);
}

static void the_order_of_the_candidates_does_not_matter(void **state)
{
	static struct neighbour_candidate shuffled[MAX];

	(void)state;
	for (uint32_t seed = 0; seed < 100; seed++) {
		unsigned a[NEIGHBOUR_MAX], b[NEIGHBOUR_MAX], na, nb;
		uint8_t beta[64];
		uint64_t epoch;
		unsigned n = make_directory(seed, beta, &epoch);
		struct error err;

		memcpy(shuffled, nodes, n * sizeof(*nodes));
		for (unsigned i = n - 1; i > 0; i--) {
			unsigned k = randombytes_uniform(i + 1);
			struct neighbour_candidate t = shuffled[i];

			shuffled[i] = shuffled[k];
			shuffled[k] = t;
		}
		choose(n, beta, epoch, a, &na);
		assert_int_equal(neighbour_select(shuffled, n, beta, epoch, b, &nb, &err), 0);
		assert_int_equal(na, nb);
		for (unsigned i = 0; i < na; i++)
			assert_memory_equal(nodes[a[i]].id, shuffled[b[i]].id, 32);
	}
}

static void the_degree_is_the_formula_for_every_size(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= NEIGHBOUR_MAX_CANDIDATES; n++) {
		long double d = 4 * logl(n);

		if (n <= 64) {
			assert_int_equal(neighbour_degree(n), n);
			continue;
		}
		/* far enough from a whole number that the formula in floats is beyond doubt */
		assert_true(fabsl(d - roundl(d)) > 1e-9L);
		assert_int_equal(neighbour_degree(n), fmaxl(16, ceill(d)));
	}
	assert_int_equal(neighbour_degree(NEIGHBOUR_MAX_CANDIDATES + 1), 0);
}

static bool in_set(unsigned x, const unsigned *set, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (set[i] == x)
			return true;
	return false;
}

/* Counted otherwise than the code does: by walking over all prefixes and families. */
static void caps_hold_and_small_layers_are_whole(void **state)
{
	unsigned short_of_degree = 0, whole = 0;

	(void)state;
	for (uint32_t seed = 0; seed < DIRECTORIES; seed++) {
		unsigned chosen[NEIGHBOUR_MAX], count, family[64 * 8] = {0};
		uint8_t beta[64];
		uint64_t epoch;
		unsigned n = make_directory(seed, beta, &epoch);

		choose(n, beta, epoch, chosen, &count);
		for (unsigned i = 0; i < count; i++)
			assert_false(in_set(chosen[i], chosen, i));
		if (n <= 64) {
			assert_int_equal(count, n);
			whole++;
			continue;
		}
		assert_true(count <= neighbour_degree(n));
		short_of_degree += count < neighbour_degree(n);
		for (unsigned i = 0; i < count; i++) {
			const char *f = nodes[chosen[i]].family;

			if (*f)
				assert_true(++family[atoi(f + 1)] <= NEIGHBOUR_PER_FAMILY);
		}
		for (unsigned net = 0; net < 64 + 32; net++) {
			unsigned members = 0;

			for (unsigned i = 0; i < count; i++) {
				const struct neighbour_candidate *c = &nodes[chosen[i]];

				for (unsigned k = 0; k < c->addresses; k++) {
					const uint8_t *ip = c->address[k].ip;

					members += c->address[k].family == 4
							   ? net == ip[1] * 16u + ip[2]
							   : net == 64u + ip[5];
				}
			}
			assert_true(members <= NEIGHBOUR_PER_PREFIX);
		}
	}
	assert_true(whole > 30);
	assert_true(short_of_degree < DIRECTORIES);
}

static void plain_nodes(unsigned n, uint32_t (*weight)(unsigned))
{
	for (unsigned j = 0; j < n; j++) {
		struct neighbour_candidate *c = &nodes[j];

		memset(c, 0, sizeof(*c));
		store_be32(c->id, j + 1);
		c->weight = weight(j);
		c->family = "";
		c->addresses = 1;
		c->address[0].family = 4;
		store_be32(c->address[0].ip, j << 8); /* a /24 each */
	}
}

static uint32_t weight_grows(unsigned j)
{
	return 10 * (j + 1);
}

static uint32_t weight_one(unsigned j)
{
	(void)j;
	return 1;
}

static void a_family_has_at_most_four_links(void **state)
{
	static const char *const names[] = {"acme", "umbrella", "", "acme"};
	unsigned chosen[NEIGHBOUR_MAX], count, acme = 0;
	uint8_t beta[64] = {5};

	(void)state;
	plain_nodes(200, weight_one);
	for (unsigned j = 0; j < 200; j++)
		nodes[j].family = "acme";
	choose(200, beta, 1, chosen, &count);
	assert_int_equal(count, NEIGHBOUR_PER_FAMILY);
	for (unsigned j = 0; j < 200; j++)
		nodes[j].family = names[j % 4];
	choose(200, beta, 1, chosen, &count);
	assert_int_equal(count, neighbour_degree(200));
	for (unsigned i = 0; i < count; i++)
		acme += strcmp(nodes[chosen[i]].family, "acme") == 0;
	assert_int_equal(acme, NEIGHBOUR_PER_FAMILY);
}

static void a_prefix_has_at_most_two_links(void **state)
{
	unsigned chosen[NEIGHBOUR_MAX], count;
	uint8_t beta[64] = {6};

	(void)state;
	plain_nodes(200, weight_one);
	for (unsigned j = 0; j < 200; j++) /* 198.51.100.j: one /24 */
		store_be32(nodes[j].address[0].ip, 0xc6336400 + j);
	choose(200, beta, 1, chosen, &count);
	assert_int_equal(count, NEIGHBOUR_PER_PREFIX);
	for (unsigned j = 0; j < 200; j++) { /* 2001:db8:0:j::: one /48, many /64 */
		memset(nodes[j].address[0].ip, 0, 16);
		store_be32(nodes[j].address[0].ip, 0x20010db8);
		nodes[j].address[0].ip[7] = (uint8_t)j;
		nodes[j].address[0].family = 6;
	}
	choose(200, beta, 1, chosen, &count);
	assert_int_equal(count, NEIGHBOUR_PER_PREFIX);
	for (unsigned j = 0; j < 200; j++) /* now a /48 each */
		nodes[j].address[0].ip[5] = (uint8_t)j;
	choose(200, beta, 1, chosen, &count);
	assert_int_equal(count, neighbour_degree(200));
}

/* ---- statistics: the betas are a fixed series */

/* First and second choice among ten of weights 10, 20, … 100 against their exact probabilities. */
static void the_weights_show_in_the_frequencies(void **state)
{
	enum { N = 10, ROUNDS = 50000 };
	unsigned first[N] = {0}, second[N] = {0};
	double chi_first = 0, chi_second = 0, total = 0;

	(void)state;
	plain_nodes(N, weight_grows);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		unsigned chosen[NEIGHBOUR_MAX], count;
		uint8_t beta[64];

		sha(beta, "chi", i, NULL);
		choose(N, beta, i, chosen, &count);
		first[chosen[0]]++;
		second[chosen[1]]++;
	}
	for (unsigned j = 0; j < N; j++)
		total += nodes[j].weight;
	for (unsigned j = 0; j < N; j++) {
		double p = nodes[j].weight / total, q = 0;

		for (unsigned i = 0; i < N; i++)
			if (i != j)
				q += nodes[i].weight / total * p / (1 - nodes[i].weight / total);
		chi_first += pow(first[j] - ROUNDS * p, 2) / (ROUNDS * p);
		chi_second += pow(second[j] - ROUNDS * q, 2) / (ROUNDS * q);
	}
	/* 9 degrees of freedom, 1 % */
	if (chi_first > 21.67 || chi_second > 21.67)
		fail_msg("chi-square %.2f and %.2f, above 21.67", chi_first, chi_second);
}

/* Among 200 of one weight each is among the d chosen with probability d/n. */
static void equal_weights_are_chosen_equally(void **state)
{
	enum { N = 200, ROUNDS = 4000 };
	unsigned hits[N] = {0}, d = neighbour_degree(N);
	double expected = (double)ROUNDS * d / N, chi = 0;

	(void)state;
	plain_nodes(N, weight_one);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		unsigned chosen[NEIGHBOUR_MAX], count;
		uint8_t beta[64];

		sha(beta, "equal", i, NULL);
		choose(N, beta, i, chosen, &count);
		assert_int_equal(count, d);
		for (unsigned k = 0; k < count; k++)
			hits[chosen[k]]++;
	}
	for (unsigned j = 0; j < N; j++)
		chi += pow(hits[j] - expected, 2) / expected;
	/* without replacement the sum is (1 - d/n) times a chi-square of 199 degrees; its 1 % point
	 * is 249.4 */
	if (chi / (1 - (double)d / N) > 249.4)
		fail_msg("chi-square %.1f, above 249.4", chi / (1 - (double)d / N));
}

static unsigned lost_links(
	const uint8_t (*before)[32], unsigned nb, const unsigned *after, unsigned na)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < nb; i++) {
		bool kept = false;

		for (unsigned k = 0; k < na; k++)
			kept = kept || memcmp(before[i], nodes[after[k]].id, 32) == 0;
		lost += !kept;
	}
	return lost;
}

/* Takes node `gone` out; returns how many of the links before are not among those after. */
static unsigned links_moved_without(unsigned n, unsigned gone, const uint8_t beta[64])
{
	uint8_t before[NEIGHBOUR_MAX][32];
	unsigned chosen[NEIGHBOUR_MAX], count, lost;
	struct neighbour_candidate kept = nodes[gone];

	choose(n, beta, 1, chosen, &count);
	for (unsigned i = 0; i < count; i++)
		memcpy(before[i], nodes[chosen[i]].id, 32);
	nodes[gone] = nodes[n - 1];
	choose(n - 1, beta, 1, chosen, &lost);
	lost = lost_links((const uint8_t(*)[32])before, count, chosen, lost);
	nodes[n - 1] = nodes[gone];
	nodes[gone] = kept;
	return lost;
}

static void removing_a_node_moves_few_links(void **state)
{
	const unsigned n = 500; /* 499 has the same degree */
	unsigned removals = 0, moved = 0, worst = 0;

	(void)state;
	plain_nodes(n, weight_grows);
	for (uint32_t seed = 0; seed < 20; seed++) {
		unsigned chosen[NEIGHBOUR_MAX], count;
		uint8_t beta[64];

		sha(beta, "churn", seed, NULL);
		choose(n, beta, 1, chosen, &count);
		for (unsigned j = 0; j < n; j += 7) /* without caps: its own link or nothing */
			assert_int_equal(links_moved_without(n, j, beta), in_set(j, chosen, count));
	}
	for (uint32_t seed = 0; seed < 60; seed++) { /* with caps */
		uint8_t beta[64];
		uint64_t epoch;
		unsigned size = make_directory(seed, beta, &epoch), chosen[NEIGHBOUR_MAX], count;

		if (size <= 65 || neighbour_degree(size) != neighbour_degree(size - 1))
			continue;
		choose(size, beta, 1, chosen, &count);
		for (unsigned k = 0; k < count; k++) {
			unsigned lost = links_moved_without(size, chosen[k], beta);

			assert_true(lost >= 1); /* the link to the removed node itself */
			moved += lost;
			worst = lost > worst ? lost : worst;
			removals++;
		}
	}
	assert_true(removals > 500);
	if (moved > 1.5 * removals || worst > 8)
		fail_msg("%u links moved by %u removals, %u at worst", moved, removals, worst);
}

static void unusable_candidates_are_refused(void **state)
{
	unsigned chosen[NEIGHBOUR_MAX], count = 5;
	const uint8_t beta[64] = {1};
	struct error err;

	(void)state;
	plain_nodes(100, weight_one);
	nodes[3].weight = 0;
	assert_int_equal(neighbour_select(nodes, 100, beta, 1, chosen, &count, &err), -EINVAL);
	assert_int_equal(count, 0);
	plain_nodes(100, weight_one);
	memcpy(nodes[99].id, nodes[5].id, 32);
	assert_int_equal(neighbour_select(nodes, 100, beta, 1, chosen, &count, &err), -EINVAL);
	plain_nodes(100, weight_one);
	nodes[7].addresses = 0;
	assert_int_equal(neighbour_select(nodes, 100, beta, 1, chosen, &count, &err), -EINVAL);
	nodes[7].addresses = 3;
	assert_int_equal(neighbour_select(nodes, 100, beta, 1, chosen, &count, &err), -EINVAL);
	nodes[7].addresses = 1;
	nodes[7].address[0].family = 5;
	assert_int_equal(neighbour_select(nodes, 100, beta, 1, chosen, &count, &err), -EINVAL);
	plain_nodes(NEIGHBOUR_MAX_CANDIDATES + 1, weight_one);
	assert_int_equal(neighbour_select(nodes, NEIGHBOUR_MAX_CANDIDATES + 1, beta, 1, chosen,
				 &count, &err),
		-EINVAL);
	assert_int_equal(
		neighbour_select(nodes, NEIGHBOUR_MAX_CANDIDATES, beta, 1, chosen, &count, &err),
		0);
	assert_int_equal(count, 34);
	assert_int_equal(neighbour_select(nodes, 0, beta, 1, chosen, &count, &err), 0);
	assert_int_equal(count, 0);
}

/* ---- records */

static struct neighbour_record made;
static struct record_expect expect;
static struct ecvrf_key key;
static uint8_t identity[64], record[NEIGHBOUR_RECORD_SIZE], made_beta[64];

static int setup(void **state)
{
	const uint8_t seed[32] = "neighbour identity", vrf_seed[32] = "neighbour vrf";
	struct error err;

	(void)state;
	made = (struct neighbour_record){.layer = 2,
		.head = {.suite = ECVRF_TAI,
			.beacon_source = BEACON_FALLBACK,
			.epoch_seconds = 3600,
			.scope = {.key_period = 4, .epoch = 490000}}};
	memset(made.head.scope.network_id, 7, 32);
	memset(made.head.scope.beacon, 8, 32);
	memset(made.directory_hash, 9, 32);
	crypto_sign_seed_keypair(made.head.scope.node_id, identity, seed);
	ecvrf_key_from_seed(&key, vrf_seed);
	expect = (struct record_expect){
		.beacon = made.head.scope.beacon, .epoch = &made.head.scope.epoch};
	memcpy(expect.network_id, made.head.scope.network_id, 32);
	memcpy(expect.node_id, made.head.scope.node_id, 32);
	memcpy(expect.vrf_public, key.public, 32);
	return neighbour_record_make(&made, &key, identity, record, made_beta, &err);
}

static int check_for(const uint8_t *data, size_t len, uint8_t layer, const uint8_t hash[32])
{
	struct neighbour_record r;
	struct error err;
	uint8_t beta[64];
	int ret = neighbour_record_verify(data, len, &expect, layer, hash, &r, beta, &err);

	if (ret == 0)
		assert_memory_equal(beta, made_beta, 64);
	else
		assert_true(
			sodium_is_zero(beta, 64) && sodium_is_zero((const uint8_t *)&r, sizeof(r)));
	return ret;
}

static int check(const uint8_t *data, size_t len)
{
	return check_for(data, len, made.layer, made.directory_hash);
}

static void a_record_gives_its_verifier_the_same_output(void **state)
{
	uint8_t alpha[VRF_ALPHA_NEIGHBOUR_SIZE], pi[ECVRF_PROOF_SIZE], beta[64];

	(void)state;
	assert_int_equal(check(record, sizeof(record)), 0);
	vrf_alpha_neighbour(alpha, &made.head.scope, made.directory_hash, 2);
	assert_int_equal(ecvrf_prove(ECVRF_TAI, &key, alpha, sizeof(alpha), pi), 0);
	assert_int_equal(ecvrf_proof_to_hash(ECVRF_TAI, pi, beta), 0);
	assert_memory_equal(beta, made_beta, 64);
}

static const struct signed_record published = {
	record, sizeof(record), "betanet-neighbour-record-v1", identity, check};

static void one_changed_bit_anywhere_is_refused(void **state)
{
	(void)state;
	assert_no_bit_may_change(&published);
}

static void a_rightly_signed_falsehood_is_refused(void **state)
{
	static const struct falsehood cases[] = {
		{3, 'A', -EINVAL},
		{4, 0, -EINVAL},
		{5, 4, -EBADMSG},
		{5, 3 + 64, -EINVAL},
		{6, 0, -EINVAL},
		{7, 0, -EINVAL},
		{7, 6, -EINVAL},
		{7, 3, -ENOENT},
		{8, 6, -ENOENT},
		{79, 5, -EBADMSG},
		{87, 1, -ENOENT},
		{88, 1, -EINVAL},
		{92, 1, -ENOENT},
		{124, 1, -ENOENT},
		{156, 1, -ENOENT},
		{188, 1, -EBADMSG},
		{220, 1, -EBADMSG},
		{236, 1, -EBADMSG},
	};

	(void)state;
	assert_falsehoods_are_refused(&published, cases, sizeof(cases) / sizeof(*cases));
}

static void another_length_layer_or_directory_is_refused(void **state)
{
	uint8_t hash[32];

	(void)state;
	assert_no_other_length(&published);
	assert_int_equal(check_for(record, sizeof(record), 3, made.directory_hash), -ENOENT);
	memset(hash, 1, 32);
	assert_int_equal(check_for(record, sizeof(record), 2, hash), -ENOENT);
}

static void a_record_is_not_made_of_wrong_parts(void **state)
{
	uint8_t out[NEIGHBOUR_RECORD_SIZE], beta[64], seed[32] = "other", pk[32], sk[64];
	struct neighbour_record r = made;
	struct ecvrf_key same;
	struct error err;

	(void)state;
	crypto_sign_seed_keypair(pk, sk, seed);
	assert_int_equal(neighbour_record_make(&r, &key, sk, out, beta, &err), -EINVAL);
	assert_true(sodium_is_zero(out, sizeof(out)) && sodium_is_zero(beta, sizeof(beta)));
	memcpy(seed, identity, 32); /* libsodium's secret key begins with its seed */
	ecvrf_key_from_seed(&same, seed);
	assert_int_equal(neighbour_record_make(&r, &same, identity, out, beta, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "one seed"));
	r.layer = 6;
	assert_int_equal(neighbour_record_make(&r, &key, identity, out, beta, &err), -EINVAL);
	r = made;
	r.head.epoch_seconds = 59;
	assert_int_equal(neighbour_record_make(&r, &key, identity, out, beta, &err), -EINVAL);
	r = made;
	r.head.suite = 0;
	assert_int_equal(neighbour_record_make(&r, &key, identity, out, beta, &err), -EINVAL);
}

int main(void)
{
#define with_record(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_verifier_agrees_on_1000_directories),
		cmocka_unit_test(the_order_of_the_candidates_does_not_matter),
		cmocka_unit_test(the_degree_is_the_formula_for_every_size),
		cmocka_unit_test(caps_hold_and_small_layers_are_whole),
		cmocka_unit_test(a_family_has_at_most_four_links),
		cmocka_unit_test(a_prefix_has_at_most_two_links),
		cmocka_unit_test(the_weights_show_in_the_frequencies),
		cmocka_unit_test(equal_weights_are_chosen_equally),
		cmocka_unit_test(removing_a_node_moves_few_links),
		cmocka_unit_test(unusable_candidates_are_refused),
		with_record(a_record_gives_its_verifier_the_same_output),
		with_record(one_changed_bit_anywhere_is_refused),
		with_record(a_rightly_signed_falsehood_is_refused),
		with_record(another_length_layer_or_directory_is_refused),
		with_record(a_record_is_not_made_of_wrong_parts),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
