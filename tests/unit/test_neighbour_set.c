/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "setnet.h"

enum { EPOCH = 494000 };

static const struct neighbour_beacon by_rule;

static bool is_zero(const void *p, size_t n)
{
	return sodium_is_zero(p, n);
}

static int verify_with(const struct setnet *n, unsigned node, const struct neighbour_beacon *beacon,
	const uint8_t *record, size_t len, struct neighbour_set *set)
{
	const struct neighbour_epoch e = setnet_epoch(n, EPOCH);
	struct error err = {0};
	int r;

	memset(set, 0xee, sizeof(*set));
	r = neighbour_set_verify(&e, node, beacon, record, len, set, &err);
	if (r < 0) {
		assert_true(is_zero(set, sizeof(*set)));
		assert_true(err.msg[0] != '\0');
	}
	return r;
}

static int verify(const struct setnet *n, unsigned node, const uint8_t *record, size_t len)
{
	struct neighbour_set set;

	return verify_with(n, node, &by_rule, record, len, &set);
}

/* ---- sets */

static uint32_t growing(unsigned node)
{
	return 10 + 7 * (node % 31);
}

/* Layers of 3, 90 and 5: of the 90 no node gets all. */
static struct setnet *uneven(void)
{
	return setnet_make(&(struct setnet_shape){.width = {3, 90, 5}, .weight = growing});
}

/* Straight from neighbour_select, in another order of the candidates. */
static unsigned expected(const struct setnet *n, unsigned node, const uint8_t *record,
	uint64_t epoch, uint32_t member[NEIGHBOUR_MAX])
{
	static struct neighbour_candidate c[SETNET_MAX];
	static unsigned index[SETNET_MAX];
	unsigned layer = n->d->nodes[node].layer % 3 + 1, count = 0, chosen[NEIGHBOUR_MAX], k;
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct error err;

	for (unsigned i = n->d->count; i-- > 0;) {
		const struct directory_node *x = &n->d->nodes[i];

		if (x->layer != layer)
			continue;
		c[count] = (struct neighbour_candidate){
			.weight = x->weight, .addresses = x->addresses, .family = x->family};
		memcpy(c[count].id, x->identity_key, 32);
		memcpy(c[count].address, x->address, sizeof(x->address));
		index[count++] = i;
	}
	/* pi stands at 188 */
	assert_int_equal(ecvrf_proof_to_hash(ECVRF_TAI, record + 188, beta), 0);
	assert_int_equal(neighbour_select(c, count, beta, epoch, chosen, &k, &err), 0);
	for (unsigned i = 0; i < k; i++)
		member[i] = index[chosen[i]];
	return k;
}

static void maker_and_verifier_have_the_set_of_the_selection(void **state)
{
	struct setnet *n = uneven();

	(void)state;
	for (unsigned node = 0; node < n->count; node++) {
		uint8_t record[NEIGHBOUR_RECORD_SIZE];
		struct neighbour_set made, seen;
		uint32_t member[NEIGHBOUR_MAX];
		unsigned count, bits = 0;

		setnet_record(n, node, EPOCH, record, &made);
		assert_int_equal(verify_with(n, node, &by_rule, record, sizeof(record), &seen), 0);
		assert_memory_equal(&made, &seen, sizeof(made));
		assert_int_equal(made.node, node);
		assert_true(made.epoch == EPOCH);
		assert_int_equal(made.layer, n->d->nodes[node].layer % 3 + 1);
		count = expected(n, node, record, EPOCH, member);
		assert_int_equal(made.count, count);
		assert_int_equal(count, made.layer == 2   ? neighbour_degree(90)
					: made.layer == 1 ? 3
							  : 5);
		assert_memory_equal(made.member, member, count * sizeof(*member));
		for (unsigned i = 0; i < n->count; i++)
			bits += neighbour_set_contains(&made, i);
		assert_int_equal(bits, count);
		for (unsigned i = 0; i < count; i++) {
			assert_true(neighbour_set_contains(&made, member[i]));
			assert_int_equal(n->d->nodes[member[i]].layer, made.layer);
		}
	}
	setnet_free(n);
}

static void each_node_and_each_epoch_draws_anew(void **state)
{
	struct setnet *n = uneven();
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set a, b;

	(void)state;
	setnet_record(n, 0, EPOCH, record, &a);
	setnet_record(n, 1, EPOCH, record, &b);
	assert_true(memcmp(a.bits, b.bits, sizeof(a.bits)) != 0);
	setnet_record(n, 0, EPOCH + 1, record, &b);
	assert_true(memcmp(a.bits, b.bits, sizeof(a.bits)) != 0);
	setnet_free(n);
}

static void a_record_is_made_twice_alike(void **state)
{
	struct setnet *n = uneven();
	uint8_t first[NEIGHBOUR_RECORD_SIZE], second[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;

	(void)state;
	setnet_record(n, 4, EPOCH, first, &set);
	setnet_record(n, 4, EPOCH, second, &set);
	assert_memory_equal(first, second, sizeof(first));
	setnet_free(n);
}

static void a_node_is_never_its_own_neighbour(void **state)
{
	struct setnet *one = setnet_make(&(struct setnet_shape){.width = {1}});
	struct setnet *four = setnet_make(&(struct setnet_shape){.width = {4}});
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		setnet_record(four, i, EPOCH, record, &set);
		assert_int_equal(set.count, 3);
		assert_int_equal(set.layer, 1);
		assert_false(neighbour_set_contains(&set, i));
		assert_int_equal(verify(four, i, record, sizeof(record)), 0);
	}
	setnet_record(one, 0, EPOCH, record, &set);
	assert_int_equal(set.count, 0);
	assert_int_equal(verify(one, 0, record, sizeof(record)), 0);
	setnet_free(one);
	setnet_free(four);
}

static void an_index_outside_the_directory_is_in_no_set(void **state)
{
	struct neighbour_set set;

	(void)state;
	memset(&set, 0xff, sizeof(set));
	assert_true(neighbour_set_contains(&set, DIRECTORY_MAX_NODES - 1));
	assert_false(neighbour_set_contains(&set, DIRECTORY_MAX_NODES));
	assert_false(neighbour_set_contains(&set, UINT32_MAX));
}

/* ---- epochs */

static void both_epochs_hold_around_a_boundary(void **state)
{
	static const struct {
		uint64_t now;
		uint32_t seconds;
		unsigned count;
		uint64_t epoch[2];
	} cases[] = {
		{0, 3600, 1, {0}},
		{59, 3600, 1, {0}}, /* there is no epoch before the first */
		{3539, 3600, 1, {0}},
		{3540, 3600, 2, {0, 1}},
		{3599, 3600, 2, {0, 1}},
		{3600, 3600, 2, {1, 0}},
		{3659, 3600, 2, {1, 0}},
		{3660, 3600, 1, {1}},
		{7 * 3600 + 1800, 3600, 1, {7}},
		/* short epochs: half of each belongs to the one before, half to the one behind */
		{60 * 9, 60, 2, {9, 8}},
		{60 * 9 + 29, 60, 2, {9, 8}},
		{60 * 9 + 30, 60, 2, {9, 10}},
		{60 * 9 + 59, 60, 2, {9, 10}},
		{121 * 5 + 60, 121, 1, {5}},
		{121 * 5 + 59, 121, 2, {5, 4}},
		{121 * 5 + 61, 121, 2, {5, 6}},
		{86400 * 3 - 60, 86400, 2, {2, 3}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t epoch[2] = {77, 77};

		if (neighbour_epochs(cases[i].now, cases[i].seconds, epoch) != cases[i].count ||
			epoch[0] != cases[i].epoch[0] ||
			(cases[i].count == 2 && epoch[1] != cases[i].epoch[1]))
			fail_msg("%llu s of %u: epochs %llu, %llu",
				(unsigned long long)cases[i].now, cases[i].seconds,
				(unsigned long long)epoch[0], (unsigned long long)epoch[1]);
	}
}

/* ---- refusals */

static void one_changed_bit_anywhere_is_refused(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 3}});
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;

	(void)state;
	setnet_record(n, 0, EPOCH, record, &set);
	for (unsigned bit = 0; bit < 8 * sizeof(record); bit++) {
		record[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (verify(n, 0, record, sizeof(record)) == 0)
			fail_msg("bit %u of byte %u may change", bit % 8, bit / 8);
		record[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(verify(n, 0, record, sizeof(record)), 0);
	assert_int_equal(verify(n, 0, record, sizeof(record) - 1), -EINVAL);
	assert_int_equal(verify(n, 0, record, 0), -EINVAL);
	setnet_free(n);
}

/* Each could be tried until the set suits the node; each is rightly signed and proved. */
static void what_a_node_could_choose_is_refused(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 3, 2}});
	const uint8_t other[32] = {9};
	struct beacon mine = {.source = BEACON_DIRECTORY};
	const struct setnet_lie truth = setnet_truth(n, 0, EPOCH);
	struct {
		const char *what;
		struct setnet_lie lie;
		int result;
	} cases[] = {
		{"truth", truth, 0},
		{"suite", truth, -EINVAL},
		{"key period", truth, -EINVAL},
		{"seconds", truth, -EINVAL},
		{"epoch", truth, -ENOENT},
		{"layer", truth, -ENOENT},
		{"directory", truth, -ENOENT},
		{"network", truth, -ENOENT},
		{"beacon", truth, -ENOENT},
	};
	uint8_t record[NEIGHBOUR_RECORD_SIZE];

	(void)state;
	cases[1].lie.suite = ECVRF_ELL2;
	cases[2].lie.key_period = 1;
	cases[3].lie.seconds = 1800;
	cases[4].lie.epoch = EPOCH + 1;
	cases[5].lie.layer = 3;
	cases[6].lie.directory_hash = other;
	cases[7].lie.network_id = other;
	cases[8].lie.beacon = &mine;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setnet_lying_record(n, 0, &cases[i].lie, record);
		if (verify(n, 0, record, sizeof(record)) != cases[i].result)
			fail_msg("%s: %d", cases[i].what, verify(n, 0, record, sizeof(record)));
	}
	setnet_free(n);
}

static void anothers_record_is_refused(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 3}});
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;

	(void)state;
	setnet_record(n, 1, EPOCH, record, &set);
	assert_int_equal(verify(n, 1, record, sizeof(record)), 0);
	assert_int_equal(verify(n, 0, record, sizeof(record)), -ENOENT);
	assert_int_equal(verify(n, 5, record, sizeof(record)), -EINVAL); /* no such node */
	setnet_free(n);
}

static void the_beacon_rule_of_a_verifier(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {1, 2}});
	const struct beacon file = {.value = {5}, .source = BEACON_FILE, .round = 1};
	const struct beacon stale = {.value = {6}, .source = BEACON_FILE, .round = 0};
	struct beacon fallback = n->beacon, disguised = n->beacon;
	const struct neighbour_beacon none = {0}, knows = {.file = &file}, any = {.any = true};
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;
	const struct {
		const struct beacon *made_with;
		const struct neighbour_beacon *rule;
		int result;
	} cases[] = {
		{&n->beacon, &none, 0},
		{&n->beacon, &knows, 0},
		{&fallback, &none, 0},
		{&fallback, &knows, 0},
		{&file, &none, -ENOENT},
		{&file, &knows, 0},
		{&stale, &knows, -ENOENT},
		{&disguised, &none, -ENOENT},
		{&disguised, &knows, -ENOENT},
		{&stale, &any, 0},
	};

	(void)state;
	fallback.source = BEACON_FALLBACK;
	disguised.source = BEACON_FILE;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct neighbour_epoch e = setnet_epoch(n, EPOCH);
		int r;

		assert_int_equal(neighbour_set_make(&e, 0, cases[i].made_with, &n->key[0],
					 n->identity[0], record, &set, NULL),
			0);
		r = verify_with(n, 0, cases[i].rule, record, sizeof(record), &set);
		if (r != cases[i].result)
			fail_msg("case %zu: %d", i, r);
		if (r == 0)
			assert_int_equal(set.beacon_source, cases[i].made_with->source);
	}
	setnet_free(n);
}

/* Of node `which[0]`, with the VRF key of which[1] and the identity of which[2]. */
static int make_with(const struct setnet *n, const struct neighbour_epoch *e,
	const unsigned which[3], uint8_t *record, struct neighbour_set *set, struct error *err)
{
	return neighbour_set_make(e, which[0], &n->beacon, &n->key[which[1]], n->identity[which[2]],
		record, set, err);
}

static void a_set_is_not_made_of_wrong_parts(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 3}});
	struct neighbour_epoch e = setnet_epoch(n, EPOCH);
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set set;
	struct error err = {0};

	(void)state;
	assert_int_equal(make_with(n, &e, (unsigned[]){0, 0, 0}, record, &set, &err), 0);
	assert_int_equal(make_with(n, &e, (unsigned[]){0, 1, 0}, record, &set, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "VRF key"));
	assert_int_equal(make_with(n, &e, (unsigned[]){0, 0, 1}, record, &set, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "identity key"));
	assert_int_equal(make_with(n, &e, (unsigned[]){5, 0, 0}, record, &set, &err), -EINVAL);
	e.seconds = NEIGHBOUR_SECONDS_MIN - 1;
	assert_int_equal(make_with(n, &e, (unsigned[]){0, 0, 0}, record, &set, &err), -EINVAL);
	e.seconds = NEIGHBOUR_SECONDS_MAX + 1;
	assert_int_equal(make_with(n, &e, (unsigned[]){0, 0, 0}, record, &set, &err), -EINVAL);
	assert_true(is_zero(record, sizeof(record)) && is_zero(&set, sizeof(set)));
	setnet_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maker_and_verifier_have_the_set_of_the_selection),
		cmocka_unit_test(each_node_and_each_epoch_draws_anew),
		cmocka_unit_test(a_record_is_made_twice_alike),
		cmocka_unit_test(a_node_is_never_its_own_neighbour),
		cmocka_unit_test(an_index_outside_the_directory_is_in_no_set),
		cmocka_unit_test(both_epochs_hold_around_a_boundary),
		cmocka_unit_test(one_changed_bit_anywhere_is_refused),
		cmocka_unit_test(what_a_node_could_choose_is_refused),
		cmocka_unit_test(anothers_record_is_refused),
		cmocka_unit_test(the_beacon_rule_of_a_verifier),
		cmocka_unit_test(a_set_is_not_made_of_wrong_parts),
	};
	struct error err = {0};

	if (sodium_init() < 0 || ecvrf_self_test(&err) < 0) {
		print_error("%s\n", err.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
