/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit_lab.h"
#include "crypto/crypto.h"
#include "sphinx/sphinx.h"

#include <math.h>
#include <sys/stat.h>

static const char *const hops[] = {"entry1", "wide3", "exit1"};

static void initial_of(const char *sender, uint8_t secret[32])
{
	seed_of(secret, "the lab's senders", sender);
}

static void build_packet(struct crypto *c, const char *sender, uint8_t *packet)
{
	struct sphinx_route route = {.hops = COUNT(hops), .version = SPHINX_V259};
	struct sphinx_entropy entropy = {0};

	initial_of(sender, entropy.initial_secret);
	for (unsigned i = 0; i < COUNT(hops); i++) {
		const struct directory_node *n = directory_find_name(directory, hops[i]);

		memcpy(route.hop[i].public_key, n->sphinx_key, 32);
		address_encode(route.hop[i].address, &n->address[0]);
	}
	address_encode(route.destination, &directory->nodes[0].address[0]);
	assert_int_equal(sphinx_build(c, &route, (const uint8_t *)"hello", 5,
				 SPHINX_PAYLOAD_DEFAULT, &entropy, packet),
		SPHINX_ok);
}

/* The shared secret that a hop finds in a packet of this sender when it unwraps it. */
static void shared_of_a_packet(const char *sender, unsigned hop, uint8_t shared[32])
{
	struct sphinx_secrets *secrets = secmem_alloc(sizeof(*secrets));
	uint8_t packet[SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_DEFAULT], secret[32], pk[32];
	struct sphinx_hop seen;
	struct error err;
	struct crypto *c;

	assert_int_equal(crypto_init(0, &err), 0);
	c = crypto_create();
	assert_non_null(c);
	assert_non_null(secrets);
	build_packet(c, sender, packet);
	for (unsigned i = 0; i <= hop; i++) {
		sphinx_of(hops[i], secret, pk);
		assert_int_equal(
			sphinx_unwrap_open(c, secret, packet, sizeof(packet), secrets), SPHINX_ok);
		memcpy(shared, secrets->shared, 32);
		assert_int_equal(
			sphinx_unwrap_finish(c, packet, sizeof(packet), secrets, &seen), SPHINX_ok);
	}
	secmem_free(secrets);
	crypto_free(c);
}

/*
 * The delay by the text of the design, with libsodium and libm only: 20 means are cut off by
 * rescaling a draw u of [0, 1) to e^-20 + u (1 - e^-20), and the delay is -mean ln of that.
 */
static void delay_by_hand(const uint8_t beta[64], const uint8_t shared[32], uint64_t epoch,
	long double *ns, uint64_t *tie)
{
	uint8_t message[11 + 8], key[32], label[16] = "bnmix-dtag-v1", tag[32], r[32];
	const long double least = expl(-20.0L);

	memcpy(message, "bnmix-delay", 11);
	for (int i = 0; i < 8; i++)
		message[11 + i] = (uint8_t)(epoch >> (56 - 8 * i));
	crypto_generichash(key, 32, message, sizeof(message), beta, 64);
	crypto_core_hchacha20(tag, label, shared, NULL);
	crypto_core_hchacha20(r, tag, key, NULL);
	*ns = (long double)LAB_MEAN *
	      -logl(least + (long double)load_le64(r) * 0x1p-64L * (1.0L - least));
	*tie = load_le64(r + 8);
}

static void beta_of(const struct lab_record *r, uint8_t beta[64])
{
	uint8_t data[EPOCH_RECORD_SIZE];

	make_epoch(r, data);
	assert_int_equal(ecvrf_proof_to_hash(r->suite, data + RECORD_HEAD_SIZE, beta), 0);
}

static void delay_by_library(const uint8_t beta[64], const uint8_t shared[32], uint64_t epoch,
	uint64_t *ns, uint64_t *tie)
{
	uint8_t key[DELAY_KEY_SIZE], tag[DELAY_TAG_SIZE];
	struct delay_draw draw;

	delay_epoch_key(key, beta, epoch);
	delay_tag(tag, shared);
	delay_draw(key, tag, &draw);
	*ns = delay_scale(LAB_MEAN, draw.exp);
	*tie = draw.tie;
}

static void assert_tells(struct child *c, uint64_t ns, uint64_t tie)
{
	char line[100];

	assert_status(c, 0);
	snprintf(line, sizeof(line), "\ndelay        %lu ns (%.3f ms), of mean 50000000 ns\n", ns,
		(double)ns / 1e6);
	assert_says(c->out, line);
	snprintf(line, sizeof(line), "\ntie          %lu\n", tie);
	assert_says(c->out, line);
}

static struct child ask_delay(const char *record, const char *secret)
{
	return start("one", NULL, "vrf delay %s --record %s --shared-secret %s",
		audit_options("past", "entry1"), path(record), path(secret));
}

static void a_senders_packet_has_the_delay_of_the_proof(void **state)
{
	static const char *const senders[] = {"alice", "bob", "carol", "dave"};
	struct lab_record r = plain;

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(senders); i++) {
		uint64_t ns, tie, tie_by_hand;
		uint8_t shared[32], beta[64];
		long double by_hand;
		struct child c;

		r.suite = i % 2 ? ECVRF_ELL2 : ECVRF_TAI;
		r.epoch = LAB_EPOCH + i / 2;
		put_epoch("record", &r);
		shared_of_a_packet(senders[i / 2], 0, shared);
		put_secret("shared", shared);
		beta_of(&r, beta);
		delay_by_library(beta, shared, r.epoch, &ns, &tie);
		delay_by_hand(beta, shared, r.epoch, &by_hand, &tie_by_hand);
		assert_true(fabsl((long double)ns + 0.5L - by_hand) < 1.0L);
		assert_int_equal(tie, tie_by_hand);
		c = ask_delay("record", "shared");
		assert_tells(&c, ns, tie);
	}
}

/* Asks with the initial secret of alice's packet, about the last of the route. */
static struct child ask_by_route(const char *node, const char *route)
{
	return start("one", NULL, "vrf delay %s --record %s --initial-secret %s --route %s",
		audit_options("past", node), path("record"), path("initial"), route);
}

static void the_initial_secret_and_the_route_tell_the_same(void **state)
{
	static const char *const routes[] = {"entry1", "entry1,wide3", "entry1,wide3,exit1"};
	struct lab_record r = plain;
	uint8_t initial[32];

	(void)state;
	initial_of("alice", initial);
	put_secret("initial", initial);
	for (unsigned i = 0; i < COUNT(hops); i++) {
		uint8_t shared[32], beta[64];
		uint64_t ns, tie;
		struct child c;

		r.node = hops[i];
		put_epoch("record", &r);
		shared_of_a_packet("alice", i, shared);
		beta_of(&r, beta);
		delay_by_library(beta, shared, r.epoch, &ns, &tie);
		c = ask_by_route(hops[i], routes[i]);
		assert_tells(&c, ns, tie);
	}
}

static void a_route_must_lead_to_the_node(void **state)
{
	static const struct {
		const char *route, *words;
	} cases[] = {
		{"wide3", "--route: ends with wide3; it must end with entry1"},
		{"entry1,wide3", "--route: ends with wide3; it must end with entry1"},
		{"mix9,entry1", "--route: the directory has no node \"mix9\""},
		{"entry1,", "--route: the directory has no node \"\""},
		{"wide1,wide2,wide3,wide4,wide5,entry1", "--route: more than 5 relays"},
	};
	uint8_t initial[32];

	(void)state;
	initial_of("alice", initial);
	put_secret("initial", initial);
	put_epoch("record", &plain);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct child c = ask_by_route("entry1", cases[i].route);

		assert_status(&c, 1);
		assert_says(c.err, cases[i].words);
	}
}

static void no_secret_is_ever_printed(void **state)
{
	uint8_t shared[32], beta[64], key[32], tag[16];
	char hex[129];
	struct child c;

	(void)state;
	put_epoch("record", &plain);
	shared_of_a_packet("alice", 0, shared);
	put_secret("shared", shared);
	c = ask_delay("record", "shared");
	assert_status(&c, 0);
	beta_of(&plain, beta);
	delay_epoch_key(key, beta, LAB_EPOCH);
	delay_tag(tag, shared);
	hex_encode(hex, shared, 32);
	assert_null(strstr(text_of(c.out), hex));
	hex_encode(hex, key, 32);
	assert_null(strstr(text_of(c.out), hex));
	hex_encode(hex, tag, 16);
	assert_null(strstr(text_of(c.out), hex));
}

static void no_delay_is_told_without_a_proof(void **state)
{
	struct lab_record r = plain;
	uint8_t data[EPOCH_RECORD_SIZE], shared[32];
	struct child c;

	(void)state;
	shared_of_a_packet("alice", 0, shared);
	put_secret("shared", shared);
	make_epoch(&plain, data);
	data[300] ^= 1;
	put("altered", data, sizeof(data));
	c = ask_delay("altered", "shared");
	assert_status(&c, 1);
	assert_says(c.err, "the signature is not that of its node");
	assert_null(strstr(text_of(c.out), "delay"));
	r.unproved = true;
	put_epoch("unproved", &r);
	c = ask_delay("unproved", "shared");
	assert_status(&c, 1);
	assert_says(c.err, "could not prove epoch 173586240");
	assert_null(strstr(text_of(c.out), "delay"));
}

static void a_shared_secret_is_kept_like_one(void **state)
{
	uint8_t shared[32] = "anything";
	struct child c;

	(void)state;
	put_epoch("record", &plain);
	put_secret("open", shared);
	assert_int_equal(chmod(path("open"), 0644), 0);
	c = ask_delay("record", "open");
	assert_status(&c, 1);
	assert_says(c.err, "chmod 600");
	c = ask_delay("record", "none");
	assert_status(&c, 1);
	assert_says(c.err, "/none: cannot be opened");
	put("few", "00\n", 3);
	assert_int_equal(chmod(path("few"), 0600), 0);
	c = ask_delay("record", "few");
	assert_status(&c, 1);
	assert_says(c.err, "not a secret of 64");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_senders_packet_has_the_delay_of_the_proof),
		cmocka_unit_test(the_initial_secret_and_the_route_tell_the_same),
		cmocka_unit_test(a_route_must_lead_to_the_node),
		cmocka_unit_test(no_secret_is_ever_printed),
		cmocka_unit_test(no_delay_is_told_without_a_proof),
		cmocka_unit_test(a_shared_secret_is_kept_like_one),
	};

	(void)argc;
	return run_lab(tests, COUNT(tests), argv[0]);
}
