/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include "crypto/cpu.h"
#include "crypto/symmetric_mb.h"
#include "crypto/x25519_mb.h"
#include "json.h"
#include "small_order.h"
#include "sphinx/burst.h"
#include "sphinx/burst_curve.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"

enum { MAX = SPHINX_BURST_MAX, CASES_MAX = 160, SKIPPED = 99 };

static struct crypto *crypto;
static uint8_t node_secret[32], node_public[32];

/* ---- packets of every kind ---- */

/* How a good packet is spoiled. The MAC of those behind FORGED_LAST holds. */
enum kind {
	GOOD,
	FORGED_ALPHA, /* another point */
	FORGED_GAMMA,
	FORGED_BETA,
	SMALL_ORDER,
	FORGED_LAST = SMALL_ORDER,
	BAD_FLAG,
	LEGACY_VERSION,
	OTHER_VERSION, /* 0 instead of the route's: accepted */
	KINDS
};

/* CTR lets us flip bits of the routing block; gamma is made again, so that the MAC holds. */
static void flip_in_block(
	const uint8_t secret[32], uint8_t *packet, size_t len, unsigned at, uint8_t bits)
{
	struct sphinx_secrets s;

	assert_int_equal(sphinx_unwrap_open(crypto, secret, packet, len, &s), SPHINX_ok);
	packet[PACKET_BETA + at] ^= bits;
	sphinx_mac(crypto, s.expanded, packet + PACKET_BETA, packet + PACKET_GAMMA);
}

static uint16_t version_of(const uint8_t secret[32], const uint8_t *packet, size_t len)
{
	uint8_t *copy = malloc(len);
	struct sphinx_hop hop;

	memcpy(copy, packet, len);
	sphinx_unwrap(crypto, secret, copy, len, &hop);
	free(copy);
	return hop.version;
}

static void set_version(const uint8_t secret[32], uint8_t *packet, size_t len, uint16_t version)
{
	uint16_t flip = (uint16_t)(version ^ version_of(secret, packet, len));

	flip_in_block(secret, packet, len, BLOCK_VERSION, (uint8_t)(flip >> 8));
	flip_in_block(secret, packet, len, BLOCK_VERSION + 1, (uint8_t)flip);
}

static void spoil(const uint8_t secret[32], uint8_t *packet, size_t len, enum kind kind)
{
	uint8_t other[32];

	switch (kind) {
	case FORGED_ALPHA:
		randombytes_buf(other, sizeof(other));
		crypto_scalarmult_base(packet + PACKET_ALPHA, other);
		break;
	case FORGED_GAMMA:
		packet[PACKET_GAMMA + randombytes_uniform(SPHINX_GAMMA_SIZE)] ^= 0x10;
		break;
	case FORGED_BETA:
		packet[PACKET_BETA + randombytes_uniform(SPHINX_BETA_SIZE)] ^= 0x01;
		break;
	case SMALL_ORDER:
		small_order_point(
			packet + PACKET_ALPHA, randombytes_uniform(2 * SMALL_ORDER_COUNT));
		break;
	case BAD_FLAG:
		flip_in_block(secret, packet, len, BLOCK_FLAG, 0x44);
		break;
	case LEGACY_VERSION:
		set_version(secret, packet, len, randombytes_uniform(2) ? 1 : 257);
		break;
	case OTHER_VERSION:
		set_version(secret, packet, len, 0);
		break;
	default:
		break;
	}
}

static void random_packet(uint8_t *packet, size_t len, enum kind kind)
{
	static const uint16_t versions[] = {258, 259, 260, 65535};
	struct sphinx_route route = {.hops = 1 + randombytes_uniform(2)};
	uint8_t message[5] = "hello";

	route.version = versions[randombytes_uniform(4)];
	memcpy(route.hop[0].public_key, node_public, 32);
	memcpy(route.hop[1].public_key, node_public, 32);
	randombytes_buf(route.hop[1].address, SPHINX_ADDRESS_SIZE);
	randombytes_buf(&route.hop[0].delay_ns, sizeof(route.hop[0].delay_ns));
	randombytes_buf(route.destination, sizeof(route.destination));
	randombytes_buf(route.identifier, sizeof(route.identifier));
	assert_int_equal(sphinx_build(crypto, &route, message, sizeof(message),
				 len - SPHINX_HEADER_SIZE, NULL, packet),
		SPHINX_ok);
	spoil(node_secret, packet, len, kind);
}

/* ---- a burst beside its oracle ---- */

struct bench {
	unsigned n;
	size_t len;
	uint8_t *packet[MAX], *want[MAX]; /* `want`: what the oracle makes of it */
	enum sphinx_status status[MAX], want_status[MAX];
	struct sphinx_hop hop[MAX], want_hop[MAX];
	bool replayed[MAX];
	uint8_t tag[MAX][SPHINX_TAG_SIZE];
};

static struct bench *bench_new(size_t len)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->len = len;
	for (unsigned i = 0; i < MAX; i++) {
		t->packet[i] = sodium_malloc(len); /* a guard page behind each */
		t->want[i] = malloc(len);
		assert_non_null(t->packet[i]);
		assert_non_null(t->want[i]);
	}
	return t;
}

static void bench_free(struct bench *t)
{
	for (unsigned i = 0; i < MAX; i++) {
		sodium_free(t->packet[i]);
		free(t->want[i]);
	}
	free(t);
}

/* Runs the oracle on want[0..n), which holds copies of the packets. */
static void bench_oracle(struct bench *t, const uint8_t secret[32])
{
	for (unsigned i = 0; i < t->n; i++) {
		struct sphinx_secrets s;

		memcpy(t->want[i], t->packet[i], t->len);
		memset(&t->want_hop[i], 0, sizeof(t->want_hop[i]));
		t->want_status[i] = sphinx_unwrap_open(crypto, secret, t->want[i], t->len, &s);
		if (t->want_status[i] != SPHINX_ok)
			continue;
		memcpy(t->tag[i], s.expanded + SPHINX_OFF_TAG, SPHINX_TAG_SIZE);
		if (t->replayed[i])
			t->want_status[i] = (enum sphinx_status)SKIPPED;
		else
			t->want_status[i] = sphinx_unwrap_finish(
				crypto, t->want[i], t->len, &s, &t->want_hop[i]);
	}
}

static void bench_run(struct bench *t, struct sphinx_burst *b, const uint8_t secret[32])
{
	memset(t->hop, 0, sizeof(t->hop));
	sphinx_open_burst(b, secret, t->packet, t->len, t->n, t->status);
	for (unsigned i = 0; i < t->n; i++) {
		if (t->status[i] != SPHINX_ok)
			continue;
		assert_memory_equal(sphinx_burst_tag(b, i), t->tag[i], SPHINX_TAG_SIZE);
		if (t->replayed[i])
			t->status[i] = (enum sphinx_status)SKIPPED;
	}
	sphinx_finish_burst(b, t->status, t->hop);
	for (unsigned i = 0; i < t->n; i++)
		assert_true(sodium_is_zero(sphinx_burst_tag(b, i), SPHINX_TAG_SIZE));
}

static void assert_as_the_oracle(const struct bench *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		assert_int_equal(t->status[i], t->want_status[i]);
		assert_memory_equal(t->packet[i], t->want[i], t->len);
		assert_memory_equal(&t->hop[i], &t->want_hop[i], sizeof(t->hop[i]));
	}
}

/* Makes a new random burst; `good` of 8 packets are good. */
static void bench_fill(struct bench *t, unsigned n, unsigned good)
{
	t->n = n;
	for (unsigned i = 0; i < n; i++) {
		enum kind kind = randombytes_uniform(8) < good
					 ? GOOD
					 : (enum kind)randombytes_uniform(KINDS);

		random_packet(t->packet[i], t->len, kind);
		t->replayed[i] = good < 8 && randombytes_uniform(8) == 0;
	}
	bench_oracle(t, node_secret);
}

static struct sphinx_burst *burst_new(enum sphinx_burst_curve curve)
{
	struct sphinx_burst *b = sphinx_burst_create(curve);

	assert_non_null(b);
	return b;
}

static void limit_width(unsigned bits)
{
	struct error err;

	assert_int_equal(cpu_limit_simd(bits), 0);
	assert_int_equal(symmetric_mb_init(&err), 0);
	assert_int_equal(x25519_mb_init(), 0);
}

/* ---- differential ---- */

static void differential(enum sphinx_burst_curve curve, const size_t *len, unsigned lens)
{
	static const unsigned sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 128};
	struct sphinx_burst *b = burst_new(curve);

	for (unsigned l = 0; l < lens; l++) {
		struct bench *t = bench_new(len[l]);

		for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			bench_fill(t, sizes[s], s % 3 == 0 ? 8 : s % 3 == 1 ? 4 : 0);
			bench_run(t, b, node_secret);
			assert_as_the_oracle(t);
		}
		bench_free(t);
	}
	sphinx_burst_free(b);
}

static void random_bursts_agree_with_the_oracle_on_the_ladder(void **state)
{
	static const size_t len[] = {381, 1372, 2413};

	(void)state;
	differential(SPHINX_CURVE_LADDER, len, 3);
}

static void random_bursts_agree_with_the_oracle_on_the_pair(void **state)
{
	static const size_t len[] = {386, 1372};

	(void)state;
	differential(SPHINX_CURVE_PAIR, len, 2);
}

static void random_bursts_agree_with_the_oracle_at_every_vector_width(void **state)
{
	static const unsigned width[] = {128, 256, 512};
	static const size_t len[] = {1372};

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		limit_width(width[w]);
		differential(SPHINX_CURVE_AUTO, len, 1);
	}
	limit_width(0);
}

static void large_packets_agree_with_the_oracle(void **state)
{
	struct bench *t = bench_new(SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX);
	struct sphinx_burst *b = burst_new(SPHINX_CURVE_LADDER);

	(void)state;
	bench_fill(t, 9, 4);
	bench_run(t, b, node_secret);
	assert_as_the_oracle(t);
	sphinx_burst_free(b);
	bench_free(t);
}

static void every_size_agrees_with_the_oracle(void **state)
{
	struct bench *t = bench_new(1372), *pool = bench_new(1372);
	struct sphinx_burst *b = burst_new(SPHINX_CURVE_AUTO);

	(void)state;
	bench_fill(pool, MAX, 4);
	for (unsigned n = 1; n <= MAX; n++) {
		/* another part of the pool, at other positions, for each size */
		t->n = n;
		for (unsigned i = 0; i < n; i++) {
			unsigned from = (i + 37 * n) % MAX;

			memcpy(t->packet[i], pool->packet[from], t->len);
			memcpy(t->want[i], pool->want[from], t->len);
			memcpy(t->tag[i], pool->tag[from], sizeof(t->tag[i]));
			t->want_status[i] = pool->want_status[from];
			t->want_hop[i] = pool->want_hop[from];
			t->replayed[i] = pool->replayed[from];
		}
		bench_run(t, b, node_secret);
		assert_as_the_oracle(t);
	}
	sphinx_burst_free(b);
	bench_free(t);
	bench_free(pool);
}

/* ---- recorded vectors ---- */

struct recorded {
	const char *id;
	uint8_t secret[32], *in, *out;
	size_t len;
	enum sphinx_status status;
	bool same_hop; /* `hop` is the vector's */
	struct sphinx_hop hop;
};

static struct recorded cases[CASES_MAX];
static unsigned case_count;
static struct json *files[4]; /* ids of cases point into them */

/* What is recorded stands; where the crate has an error or we refuse, the oracle's verdict. */
static void add_case(const struct json *hop, const char *id)
{
	struct recorded *r = &cases[case_count];
	const struct json *result = json_need(hop, "result");
	const char *type = json_str_need(result, "type");
	uint8_t text[SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX];

	assert_true(case_count < CASES_MAX);
	r->id = id;
	r->len = json_hex(hop, "packet_in", text, sizeof(text));
	if (r->len < SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN)
		return; /* has its own test */
	json_hex_exact(hop, "private_key", r->secret, sizeof(r->secret));
	r->in = malloc(r->len);
	r->out = malloc(r->len);
	memcpy(r->in, text, r->len);
	memcpy(r->out, text, r->len);
	r->status = sphinx_unwrap(crypto, r->secret, r->out, r->len, &r->hop);
	if (r->status == SPHINX_ok && strcmp(type, "forward") == 0) {
		assert_int_equal(json_hex(result, "packet_out", r->out, r->len), r->len);
		json_hex_exact(result, "next_address", r->hop.address, SPHINX_ADDRESS_SIZE);
		r->hop.delay_ns = json_u64(result, "delay_ns");
	} else if (r->status == SPHINX_ok) {
		assert_string_equal(type, "final");
		json_hex_exact(result, "payload", r->out + SPHINX_HEADER_SIZE,
			r->len - SPHINX_HEADER_SIZE);
		json_hex_exact(result, "destination", r->hop.address, SPHINX_ADDRESS_SIZE);
		json_hex_exact(result, "identifier", r->hop.identifier, SPHINX_IDENTIFIER_SIZE);
	}
	case_count++;
}

static void load_cases(struct json **keep, const char *path)
{
	struct json *file = json_load(path);
	const struct json *v, *hop;

	*keep = file;
	json_each(v, json_need(file, "vectors"))
	{
		const char *id = json_str_need(v, "id");

		if (json_get(v, "hops")) {
			json_each(hop, json_need(v, "hops")) add_case(hop, id);
		} else {
			add_case(v, id);
		}
	}
}

/* One burst of n: the recorded packet at every position of one parity, spoiled ones at the others.
 */
static void recorded_burst(const struct recorded *r, struct sphinx_burst *b, struct bench *t,
	const struct bench *bad, unsigned n, unsigned parity)
{
	t->n = n;
	for (unsigned i = 0; i < n; i++) {
		const unsigned from = i % bad->n;
		const bool recorded = i % 2 == parity;

		memcpy(t->packet[i], recorded ? r->in : bad->packet[from], r->len);
		memcpy(t->want[i], recorded ? r->out : bad->want[from], r->len);
		t->want_status[i] = recorded ? r->status : bad->want_status[from];
		t->want_hop[i] = recorded ? r->hop : bad->want_hop[from];
		t->replayed[i] = false;
	}
	memset(t->hop, 0, sizeof(t->hop));
	sphinx_open_burst(b, r->secret, t->packet, t->len, n, t->status);
	sphinx_finish_burst(b, t->status, t->hop);
	for (unsigned i = 0; i < n; i++) {
		if (t->status[i] != t->want_status[i] ||
			memcmp(t->packet[i], t->want[i], t->len) != 0 ||
			memcmp(&t->hop[i], &t->want_hop[i], sizeof(t->hop[i])) != 0)
			fail_msg("%s: position %u of %u", r->id, i, n);
	}
}

static void recorded_packets_unwrap_at_every_position_of_every_size(void **state)
{
	struct sphinx_burst *burst[2] = {
		burst_new(SPHINX_CURVE_LADDER), burst_new(SPHINX_CURVE_PAIR)};
#ifdef __SANITIZE_ADDRESS__
	const unsigned step = 64;
#else
	const unsigned step = 16;
#endif

	(void)state;
	for (unsigned c = 0; c < case_count; c++) {
		const struct recorded *r = &cases[c];
		struct bench *t = bench_new(r->len), *bad = bench_new(r->len);
		bool opens = r->status != SPHINX_bad_mac && r->status != SPHINX_bad_point;

		/* what needs a valid MAC is made of this packet only if it has one */
		bad->n = 0;
		for (unsigned k = FORGED_ALPHA; k < KINDS; k++) {
			if (k > FORGED_LAST && !opens)
				continue;
			memcpy(bad->packet[bad->n], r->in, r->len);
			spoil(r->secret, bad->packet[bad->n++], r->len, (enum kind)k);
		}
		bench_oracle(bad, r->secret);
		/* all sizes over all cases; 1, 2 and 128 for each */
		for (unsigned n = 1; n <= MAX; n++) {
			if (n > 2 && n < MAX && (n + c) % step != 0)
				continue;
			recorded_burst(r, burst[(n + c / step) % 2], t, bad, n, 0);
			recorded_burst(r, burst[(n + c / step) % 2], t, bad, n, 1);
		}
		bench_free(t);
		bench_free(bad);
	}
	sphinx_burst_free(burst[0]);
	sphinx_burst_free(burst[1]);
}

static void every_recorded_packet_of_a_valid_length_is_tried(void **state)
{
	(void)state; /* 51 + 3 + 21 hops, and 25 single packets of which 4 are too short */
	assert_int_equal(case_count, 51 + 3 + 21 + 21);
}

/* ---- one fact each ---- */

static void lengths_outside_the_format_are_refused(void **state)
{
	static const size_t len[] = {0, 31, 364, 365, 380, 348 + 32785 + 1, 100000};
	struct sphinx_burst *b = burst_new(SPHINX_CURVE_LADDER);
	enum sphinx_status status[3];
	uint8_t *packet[3] = {NULL, NULL, NULL};
	struct sphinx_hop hop[3];

	(void)state;
	for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		memset(status, 0xff, sizeof(status));
		sphinx_open_burst(b, node_secret, packet, len[i], 3, status);
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(status[j], SPHINX_bad_length);
		sphinx_finish_burst(b, status, hop);
	}
	sphinx_burst_free(b);
}

static void an_empty_burst_is_nothing(void **state)
{
	struct sphinx_burst *b = burst_new(SPHINX_CURVE_AUTO);

	(void)state;
	sphinx_open_burst(b, node_secret, NULL, 1372, 0, NULL);
	sphinx_finish_burst(b, NULL, NULL);
	sphinx_burst_free(b);
}

static void skipped_packets_keep_buffer_status_and_hop(void **state)
{
	struct sphinx_burst *b = burst_new(SPHINX_CURVE_AUTO);
	struct bench *t = bench_new(1372);

	(void)state;
	bench_fill(t, 16, 8);
	for (unsigned i = 0; i < t->n; i++)
		memcpy(t->want[i], t->packet[i], t->len);
	sphinx_open_burst(b, node_secret, t->packet, t->len, t->n, t->status);
	memset(t->hop, 0xa5, sizeof(t->hop));
	memset(t->want_hop, 0xa5, sizeof(t->want_hop));
	for (unsigned i = 0; i < t->n; i++)
		t->status[i] = t->want_status[i] = (enum sphinx_status)SKIPPED;
	sphinx_finish_burst(b, t->status, t->hop);
	assert_as_the_oracle(t);
	sphinx_burst_free(b);
	bench_free(t);
}

/* Half of all random alphas are on the twist. */
static void random_alphas_are_refused_beside_good_packets(void **state)
{
	unsigned by_status[2][SPHINX_bad_address + 1] = {{0}};

	(void)state;
	for (unsigned pair = 0; pair < 2; pair++) {
		struct sphinx_burst *b = burst_new(pair ? SPHINX_CURVE_PAIR : SPHINX_CURVE_LADDER);
		struct bench *t = bench_new(1372);

		bench_fill(t, MAX, 8);
		for (unsigned i = 0; i < MAX; i += 2) {
			randombytes_buf(t->packet[i], SPHINX_ALPHA_SIZE);
			memcpy(t->want[i], t->packet[i], t->len);
			memset(&t->want_hop[i], 0, sizeof(t->want_hop[i]));
		}
		bench_run(t, b, node_secret);
		for (unsigned i = 0; i < MAX; i += 2) {
			by_status[pair][t->status[i]]++;
			t->want_status[i] = t->status[i];
		}
		assert_as_the_oracle(t);
		sphinx_burst_free(b);
		bench_free(t);
	}
	assert_int_equal(by_status[0][SPHINX_bad_mac], MAX / 2);
	assert_int_equal(by_status[1][SPHINX_bad_mac] + by_status[1][SPHINX_bad_point], MAX / 2);
	/* with 2^-63 chance either is zero */
	assert_true(by_status[1][SPHINX_bad_mac] > 0 && by_status[1][SPHINX_bad_point] > 0);
}

/* ---- the choice between pair and ladder ---- */

/* performance.md, AVX2: 9.4 µs a ladder, 8.2 to prepare the pair, 3.2 for each of its products */
static struct curve_costs costs_of(uint64_t ladder, uint64_t begin, uint64_t mult)
{
	struct curve_costs c;

	for (unsigned i = 0; i < CURVE_CLASSES; i++) {
		c.ladder[i] = ladder * curve_class_size[i];
		c.begin[i] = begin * curve_class_size[i];
		c.mult[i] = mult * curve_class_size[i];
	}
	return c;
}

static unsigned bursts_until(struct curve_choice *c, bool pair, unsigned forward)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (curve_choice_pair(c, MAX) == pair)
			return i;
		curve_choice_note(c, MAX, forward);
	}
	return 1000;
}

static void break_even_is_a_third_at_the_costs_of_avx2(void **state)
{
	struct curve_costs costs = costs_of(94, 82, 32);
	struct curve_choice c;

	(void)state;
	curve_choice_init(&c, &costs);
	for (unsigned i = 0; i < CURVE_CLASSES; i++)
		assert_int_equal(c.threshold[i], CURVE_ONE * 20 / 62);
}

static void a_flood_of_forged_packets_brings_the_ladder_and_its_end_the_pair(void **state)
{
	struct curve_costs costs = costs_of(94, 82, 32);
	struct curve_choice c;

	(void)state;
	curve_choice_init(&c, &costs);
	assert_true(curve_choice_pair(&c, MAX));
	assert_int_equal(bursts_until(&c, false, MAX), 1000); /* all good: it stays */
	assert_in_range(bursts_until(&c, false, MAX / 10), 2, 15);
	assert_int_equal(bursts_until(&c, true, MAX / 10), 1000); /* the flood goes on: it stays */
	assert_in_range(bursts_until(&c, true, MAX), 2, 15);
}

static void around_the_threshold_the_choice_does_not_flutter(void **state)
{
	struct curve_costs costs = costs_of(94, 82, 32);
	struct curve_choice c;
	unsigned changes = 0;
	bool last;

	(void)state;
	curve_choice_init(&c, &costs);
	last = curve_choice_pair(&c, MAX);
	for (unsigned i = 0; i < 1000; i++) {
		/* 25 % and 40 %: now below, now above the threshold of 32 % */
		curve_choice_note(&c, MAX, MAX * (i % 2 ? 25u : 40u) / 100);
		changes += curve_choice_pair(&c, MAX) != last;
		last = curve_choice_pair(&c, MAX);
	}
	assert_true(changes <= 1);
}

static void a_pair_that_costs_more_is_never_taken(void **state)
{
	struct curve_costs slow = costs_of(30, 50, 28), slower = costs_of(30, 10, 31),
			   free_start = costs_of(94, 10, 32), late = costs_of(100, 98, 49);
	struct curve_choice c;

	(void)state;
	curve_choice_init(&c, &slow);
	assert_int_equal(bursts_until(&c, true, MAX), 1000);
	curve_choice_init(&c, &slower);
	assert_int_equal(bursts_until(&c, true, MAX), 1000);
	/* one that pays at more than nine tenths is no use, with the margin on top */
	curve_choice_init(&c, &late);
	assert_int_equal(bursts_until(&c, true, MAX), 1000);
	/* and one that costs less even without a second product always */
	curve_choice_init(&c, &free_start);
	assert_int_equal(bursts_until(&c, false, 0), 1000);
}

static void a_flood_through_the_burst_ends_on_the_ladder(void **state)
{
	struct sphinx_burst *b = burst_new(SPHINX_CURVE_AUTO);
	struct bench *good = bench_new(1372), *forged = bench_new(1372), *t = bench_new(1372);
	bool pair_before = false, pair_after = false;

	(void)state;
	bench_fill(good, MAX, 8);
	forged->n = MAX;
	for (unsigned i = 0; i < MAX; i++) {
		struct sphinx_route route = {.hops = 2, .version = 260};

		/* good: all forward; forged: the same with a wrong gamma */
		memcpy(route.hop[0].public_key, node_public, 32);
		memcpy(route.hop[1].public_key, node_public, 32);
		assert_int_equal(sphinx_build(crypto, &route, NULL, 0, 1024, NULL, good->packet[i]),
			SPHINX_ok);
		memcpy(forged->packet[i], good->packet[i], good->len);
		forged->packet[i][PACKET_GAMMA] ^= 1;
		good->replayed[i] = false;
	}
	t->n = MAX;
	for (unsigned phase = 0; phase < 3; phase++) {
		const struct bench *from = phase == 1 ? forged : good;

		for (unsigned round = 0; round < 20; round++) {
			for (unsigned i = 0; i < MAX; i++)
				memcpy(t->packet[i], from->packet[i], t->len);
			sphinx_open_burst(b, node_secret, t->packet, t->len, MAX, t->status);
			sphinx_finish_burst(b, t->status, t->hop);
			for (unsigned i = 0; i < MAX; i++)
				assert_int_equal(
					t->status[i], phase == 1 ? SPHINX_bad_mac : SPHINX_ok);
		}
		if (phase == 0)
			pair_before = sphinx_burst_used_pair(b);
		else if (phase == 1)
			assert_false(sphinx_burst_used_pair(b));
		else
			pair_after = sphinx_burst_used_pair(b);
	}
	print_message("good packets: %s on this CPU\n", pair_before ? "pair" : "ladder");
	assert_int_equal(pair_before, pair_after);
	sphinx_burst_free(b);
	bench_free(good);
	bench_free(forged);
	bench_free(t);
}

static int setup(void **state)
{
	struct error err;

	(void)state;
	if (crypto_init(0, &err) < 0 || !(crypto = crypto_create()))
		return -1;
	randombytes_buf(node_secret, sizeof(node_secret));
	crypto_scalarmult_base(node_public, node_secret);
	load_cases(&files[0], "tests/vectors/sphinx/forward.json");
	load_cases(&files[1], "tests/vectors/sphinx/forward_legacy.json");
	load_cases(&files[2], "tests/vectors/sphinx/surb.json");
	load_cases(&files[3], "tests/vectors/sphinx/single.json");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned c = 0; c < case_count; c++) {
		free(cases[c].in);
		free(cases[c].out);
	}
	for (unsigned f = 0; f < sizeof(files) / sizeof(files[0]); f++)
		json_free(files[f]);
	crypto_free(crypto);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_recorded_packet_of_a_valid_length_is_tried),
		cmocka_unit_test(recorded_packets_unwrap_at_every_position_of_every_size),
		cmocka_unit_test(random_bursts_agree_with_the_oracle_on_the_ladder),
		cmocka_unit_test(random_bursts_agree_with_the_oracle_on_the_pair),
		cmocka_unit_test(random_bursts_agree_with_the_oracle_at_every_vector_width),
		cmocka_unit_test(large_packets_agree_with_the_oracle),
		cmocka_unit_test(every_size_agrees_with_the_oracle),
		cmocka_unit_test(lengths_outside_the_format_are_refused),
		cmocka_unit_test(an_empty_burst_is_nothing),
		cmocka_unit_test(skipped_packets_keep_buffer_status_and_hop),
		cmocka_unit_test(random_alphas_are_refused_beside_good_packets),
		cmocka_unit_test(break_even_is_a_third_at_the_costs_of_avx2),
		cmocka_unit_test(a_flood_of_forged_packets_brings_the_ladder_and_its_end_the_pair),
		cmocka_unit_test(around_the_threshold_the_choice_does_not_flutter),
		cmocka_unit_test(a_pair_that_costs_more_is_never_taken),
		cmocka_unit_test(a_flood_through_the_burst_ends_on_the_ladder),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
