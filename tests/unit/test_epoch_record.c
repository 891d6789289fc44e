/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/bytes.h"
#include "signed_record.h"
#include "vrf/epoch_record.h"

#define SECOND UINT64_C(1000000000)

enum { EPOCH = 176000000, PERIOD = 9 };

static struct epoch_params params;
static struct epoch_meta meta;
static struct record_expect expect;
static struct ecvrf_key key;
static uint8_t identity[64], record[EPOCH_RECORD_SIZE];
static uint64_t reveal;

static int prepare(enum ecvrf_suite suite)
{
	uint8_t seed[32] = "test_epoch_record identity", vrf_seed[32] = "test_epoch_record vrf";
	const uint8_t network[32] = "a network", beacon[32] = "a beacon";
	struct error err;

	params = (struct epoch_params){.suite = suite,
		.epoch_seconds = 10,
		.mean_ns = 50000000,
		.longest_ns = 1000000000,
		.tolerance_ns = 250000000,
		.ticks_per_second = SECOND};
	memcpy(params.network_id, network, 32);
	crypto_sign_seed_keypair(params.node_id, identity, seed);
	ecvrf_key_from_seed(&key, vrf_seed);
	meta = (struct epoch_meta){
		.epoch = EPOCH, .key_period = PERIOD, .beacon_source = BEACON_FILE, .proved = true};
	memcpy(meta.beacon, beacon, 32);
	memcpy(meta.vrf_public, key.public, 32);
	expect = (struct record_expect){.beacon = meta.beacon, .epoch = &meta.epoch};
	memcpy(expect.network_id, params.network_id, 32);
	memcpy(expect.node_id, params.node_id, 32);
	memcpy(expect.vrf_public, key.public, 32);
	reveal = (EPOCH + 1) * 10 * SECOND + SECOND + SECOND / 2;
	return epoch_record_make(&params, &meta, &key, identity, 1000, reveal, record, &err);
}

static int setup(void **state)
{
	(void)state;
	return prepare(ECVRF_TAI);
}

static int check(const uint8_t *data, size_t len)
{
	uint8_t beta[64];
	struct epoch_record r;
	struct error err;
	int ret = epoch_record_verify(data, len, &expect, &r, beta, &err);

	if (ret < 0)
		assert_true(sodium_is_zero(beta, sizeof(beta)));
	if (ret < 0 && ret != -ENODATA)
		assert_true(sodium_is_zero((const uint8_t *)&r, sizeof(r)));
	return ret;
}

static void a_verified_record_gives_the_delays_of_the_epoch(void **state)
{
	enum ecvrf_suite suites[] = {ECVRF_TAI, ECVRF_ELL2};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t alpha[VRF_ALPHA_DELAY_SIZE], pi[ECVRF_PROOF_SIZE], want[64], beta[64];
		struct vrf_scope s = {.key_period = PERIOD, .epoch = EPOCH};
		struct epoch_record r;
		struct error err;

		assert_int_equal(prepare(suites[i]), 0);
		assert_int_equal(
			epoch_record_verify(record, sizeof(record), &expect, &r, beta, &err), 0);
		memcpy(s.network_id, params.network_id, 32);
		memcpy(s.node_id, params.node_id, 32);
		memcpy(s.beacon, meta.beacon, 32);
		vrf_alpha_delay(alpha, &s);
		assert_int_equal(ecvrf_prove(suites[i], &key, alpha, sizeof(alpha), pi), 0);
		assert_int_equal(ecvrf_proof_to_hash(suites[i], pi, want), 0);
		assert_memory_equal(beta, want, 64);
		assert_int_equal(r.head.suite, suites[i]);
		assert_int_equal(r.head.scope.epoch, EPOCH);
		assert_int_equal(r.head.scope.key_period, PERIOD);
		assert_int_equal(r.head.epoch_seconds, 10);
		assert_int_equal(r.mean_ns, 50000000);
		assert_int_equal(r.cap_ns, 1000000000);
		assert_int_equal(r.count_class, 10);
		assert_int_equal(r.head.beacon_source, BEACON_FILE);
	}
}

static const struct signed_record published = {
	record, sizeof(record), "betanet-epoch-record-v1", identity, check};

static void one_changed_bit_anywhere_is_refused(void **state)
{
	(void)state;
	assert_no_bit_may_change(&published);
}

static void a_rightly_signed_falsehood_is_refused(void **state)
{
	static const struct falsehood cases[] = {
		{0, 'b', -EINVAL}, /* magic */
		{4, 2, -EINVAL},   /* version */
		{5, 4, -EBADMSG},  /* the other suite */
		{5, 5, -EINVAL},   /* no suite */
		{6, 0, -EINVAL},   /* beacon source */
		{6, 4, -EINVAL},
		{7, 2, -EINVAL},     /* status */
		{7, 0, -EINVAL},     /* "not proved" with a proof */
		{79, 8, -EBADMSG},   /* key period */
		{87, 0x17, -ENOENT}, /* epoch */
		{91, 0, -EINVAL},    /* epoch_seconds */
		{91, 61, -EINVAL},
		{92, 1, -ENOENT},   /* VRF key */
		{124, 1, -ENOENT},  /* beacon */
		{156, 1, -EBADMSG}, /* Gamma */
		{188, 1, -EBADMSG}, /* c */
		{204, 1, -EBADMSG}, /* s */
		{243, 1, -EINVAL},  /* mean without its cap */
		{251, 1, -EINVAL},  /* cap without its mean */
		{252, 65, -EINVAL}, /* count */
		{253, 1, -EINVAL},  /* zeros */
		{255, 1, -EINVAL},
	};

	(void)state;
	assert_falsehoods_are_refused(&published, cases, sizeof(cases) / sizeof(*cases));
}

static void another_length_is_refused(void **state)
{
	(void)state;
	assert_no_other_length(&published);
}

static void what_was_not_expected_is_refused(void **state)
{
	const uint8_t other_beacon[32] = "another";
	const uint64_t other_epoch = EPOCH + 1;
	const struct record_expect good = expect;

	(void)state;
	expect.network_id[0] ^= 1;
	assert_int_equal(check(record, sizeof(record)), -ENOENT);
	expect = good;
	expect.node_id[0] ^= 1;
	assert_int_equal(check(record, sizeof(record)), -ENOENT);
	expect = good;
	expect.vrf_public[0] ^= 1;
	assert_int_equal(check(record, sizeof(record)), -ENOENT);
	expect = good;
	expect.beacon = other_beacon;
	assert_int_equal(check(record, sizeof(record)), -ENOENT);
	expect.beacon = NULL;
	assert_int_equal(check(record, sizeof(record)), 0);
	expect.epoch = &other_epoch;
	assert_int_equal(check(record, sizeof(record)), -ENOENT);
	expect.epoch = NULL;
	assert_int_equal(check(record, sizeof(record)), 0);
}

/* The whole way: what a worker does with the table's key, and an auditor with the record. */
static void an_auditor_finds_the_delay_that_the_worker_applied(void **state)
{
	struct epoch_clock clock = {.wall_ns = EPOCH * 10 * SECOND, .ticks = 5};
	struct beacon beacon = {.source = BEACON_FILE};
	struct epoch_report report;
	struct epoch_prover *prover;
	struct epoch_table *table;
	struct epoch_record r;
	struct epoch_view view;
	uint8_t beta[64];
	struct error err;

	(void)state;
	memcpy(beacon.value, meta.beacon, 32);
	assert_int_equal(epoch_table_create(&table, &err), 0);
	assert_int_equal(epoch_prover_create(&params, table, &prover, &err), 0);
	assert_int_equal(epoch_prover_set_key(prover, PERIOD, 0, EPOCH + 9, &key, &err), 0);
	epoch_prover_step(prover, &clock, &beacon, &report);
	assert_int_equal(epoch_read(table, 6, &view), 0);
	clock.wall_ns += 11 * SECOND;
	clock.ticks += 11 * SECOND;
	epoch_prover_step(prover, &clock, &beacon, &report);
	assert_int_equal(report.ended_count, 1);
	assert_int_equal(epoch_record_make(&params, &report.ended[0], &key, identity, 1, reveal,
				 record, &err),
		0);
	assert_int_equal(epoch_record_verify(record, sizeof(record), &expect, &r, beta, &err), 0);
	for (unsigned i = 0; i < 100; i++) {
		uint8_t shared[32], tag[DELAY_TAG_SIZE];
		struct delay_draw draw;
		uint64_t tie;

		randombytes_buf(shared, sizeof(shared));
		delay_tag(tag, shared);
		delay_draw(view.key, tag, &draw);
		assert_int_equal(epoch_record_delay(&r, beta, shared, &tie),
			delay_scale(params.mean_ns, draw.exp));
		assert_int_equal(tie, draw.tie);
	}
	epoch_prover_free(prover);
	epoch_table_free(table);
}

static void nothing_is_published_before_its_time(void **state)
{
	uint8_t out[EPOCH_RECORD_SIZE];
	struct error err;

	(void)state;
	assert_int_equal(epoch_reveal_ns(&params, EPOCH), reveal);
	memset(out, 1, sizeof(out));
	assert_int_equal(
		epoch_record_make(&params, &meta, &key, identity, 0, reveal - 1, out, &err),
		-EAGAIN);
	assert_true(sodium_is_zero(out, sizeof(out)));
}

static void a_wrong_key_makes_no_record(void **state)
{
	uint8_t out[EPOCH_RECORD_SIZE], seed[32] = "someone else", pk[32], sk[64];
	struct ecvrf_key other;
	struct error err;

	(void)state;
	ecvrf_key_from_seed(&other, seed);
	crypto_sign_seed_keypair(pk, sk, seed);
	assert_int_equal(
		epoch_record_make(&params, &meta, &other, identity, 0, reveal, out, &err), -EINVAL);
	assert_int_equal(
		epoch_record_make(&params, &meta, NULL, identity, 0, reveal, out, &err), -EINVAL);
	assert_int_equal(
		epoch_record_make(&params, &meta, &key, sk, 0, reveal, out, &err), -EINVAL);
	assert_true(sodium_is_zero(out, sizeof(out)));
}

static void an_unproved_epoch_says_so_under_signature(void **state)
{
	struct epoch_record r;
	struct error err;

	(void)state;
	meta.proved = false;
	memset(meta.vrf_public, 0, 32);
	assert_int_equal(
		epoch_record_make(&params, &meta, NULL, identity, 5, reveal, record, &err), 0);
	assert_int_equal(
		epoch_record_verify(record, sizeof(record), &expect, &r, NULL, &err), -ENODATA);
	assert_false(r.proved);
	assert_int_equal(r.head.scope.epoch, EPOCH);
	record[7] ^= 1;
	assert_int_equal(check(record, sizeof(record)), -EACCES);
}

static void counts_are_coarse(void **state)
{
	(void)state;
	assert_int_equal(epoch_count_class(0), 0);
	assert_int_equal(epoch_count_class(1), 1);
	assert_int_equal(epoch_count_class(1023), 10);
	assert_int_equal(epoch_count_class(1024), 11);
	assert_int_equal(epoch_count_class(UINT64_MAX), 64);
}

static void a_later_beacon_samples_one_epoch_in_so_many(void **state)
{
	uint8_t beacon[32] = {1};
	unsigned all = 0, some = 0, differ = 0;

	(void)state;
	for (uint64_t e = 0; e < 10000; e++) {
		bool a, b;

		beacon[0] = 1;
		a = epoch_is_sampled(beacon, params.node_id, e, 10);
		all += epoch_is_sampled(beacon, params.node_id, e, 1);
		beacon[0] = 2;
		b = epoch_is_sampled(beacon, params.node_id, e, 10);
		some += a;
		differ += a != b;
	}
	assert_int_equal(all, 10000);
	assert_in_range(some, 880, 1120); /* 1000 +- 4 sigma */
	assert_true(differ > 1000);
}

/* ---- alpha and the beacon */

static void alphas_have_the_layout_of_the_design(void **state)
{
	uint8_t delay[VRF_ALPHA_DELAY_SIZE], neighbour[VRF_ALPHA_NEIGHBOUR_SIZE], hash[32];
	struct vrf_scope s = {.key_period = 0x0102030405060708, .epoch = 0x1112131415161718};
	char hex[2 * VRF_ALPHA_NEIGHBOUR_SIZE + 1], want[2 * VRF_ALPHA_NEIGHBOUR_SIZE + 1];

	(void)state;
	memset(s.network_id, 0xa1, 32);
	memset(s.node_id, 0xb2, 32);
	memset(s.beacon, 0xc3, 32);
	memset(hash, 0xd4, 32);
	vrf_alpha_delay(delay, &s);
	vrf_alpha_neighbour(neighbour, &s, hash, 3);
#define R32(x) x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x
#define ALPHA(purpose)                                                                             \
	"424e4d49582d5652462d7631" purpose R32("a1")                                               \
		R32("b2") "01020304050607081112131415161718" R32("c3")
	snprintf(want, sizeof(want), "%s", ALPHA("01"));
	hex_encode(hex, delay, sizeof(delay));
	assert_string_equal(hex, want);
	snprintf(want, sizeof(want), "%s", ALPHA("02") R32("d4") "03");
	hex_encode(hex, neighbour, sizeof(neighbour));
	assert_string_equal(hex, want);
}

static void a_beacon_file_is_one_strict_line(void **state)
{
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const char *const bad[] = {"", "\n", HEX64 "\n", "7 " HEX64 "\n", "7 8 " HEX64,
		"7 8 " HEX64 "\n\n", "7 8  " HEX64 "\n", " 7 8 " HEX64 "\n", "07 8 " HEX64 "\n",
		"-7 8 " HEX64 "\n", "7 99999999999999999999 " HEX64 "\n", "7 8 0" HEX64 "\n",
		"7 8 g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"};
	struct beacon b;
	struct error err;

	(void)state;
	assert_int_equal(beacon_parse(&b, "123 1700000000 " HEX64 "\n", &err), 0);
	assert_int_equal(b.round, 123);
	assert_int_equal(b.time, 1700000000);
	assert_int_equal(b.value[1], 0x11);
	assert_int_equal(b.source, BEACON_FILE);
	assert_int_equal(beacon_parse(&b, "0 0 " HEX64 "\n", &err), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(beacon_parse(&b, bad[i], &err), -EINVAL);
}

static void a_missing_or_stale_beacon_is_replaced_and_marked(void **state)
{
	const uint8_t network[32] = {1}, hash[32] = {2}, other[32] = {3};
	struct beacon file = {.source = BEACON_FILE, .round = 5, .time = 1000}, b, c;

	(void)state;
	memset(file.value, 9, 32);
	beacon_choose(&b, 1, &file, 1000, 60, network, hash);
	assert_int_equal(b.source, BEACON_FILE);
	assert_memory_equal(b.value, file.value, 32);
	beacon_choose(&b, 1, &file, 1060, 60, network, hash);
	assert_int_equal(b.source, BEACON_FILE);
	beacon_choose(&b, 1, &file, 1061, 60, network, hash);
	assert_int_equal(b.source, BEACON_FALLBACK);
	beacon_choose(&b, 1, &file, 900, 60, network, hash); /* of the future */
	assert_int_equal(b.source, BEACON_FALLBACK);
	beacon_choose(&b, 1, &file, 990, 60, network, hash); /* within the clocks' skew */
	assert_int_equal(b.source, BEACON_FILE);
	beacon_choose(&b, 1, NULL, 1000, 60, network, hash);
	assert_int_equal(b.source, BEACON_FALLBACK);
	beacon_choose(&c, 0, NULL, 1000, 60, network, hash);
	assert_int_equal(c.source, BEACON_DIRECTORY);
	assert_memory_equal(b.value, c.value, 32);
	beacon_choose(&c, 0, NULL, 1000, 60, network, other);
	assert_memory_not_equal(b.value, c.value, 32);
	beacon_choose(&c, 0, NULL, 1000, 60, other, hash);
	assert_memory_not_equal(b.value, c.value, 32);
}

int main(void)
{
#define with_record(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		with_record(a_verified_record_gives_the_delays_of_the_epoch),
		with_record(one_changed_bit_anywhere_is_refused),
		with_record(a_rightly_signed_falsehood_is_refused),
		with_record(another_length_is_refused),
		with_record(what_was_not_expected_is_refused),
		with_record(an_auditor_finds_the_delay_that_the_worker_applied),
		with_record(nothing_is_published_before_its_time),
		with_record(a_wrong_key_makes_no_record),
		with_record(an_unproved_epoch_says_so_under_signature),
		cmocka_unit_test(counts_are_coarse),
		cmocka_unit_test(a_later_beacon_samples_one_epoch_in_so_many),
		cmocka_unit_test(alphas_have_the_layout_of_the_design),
		cmocka_unit_test(a_beacon_file_is_one_strict_line),
		cmocka_unit_test(a_missing_or_stale_beacon_is_replaced_and_marked),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
