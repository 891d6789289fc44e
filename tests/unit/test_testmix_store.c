/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>
#include "core/bytes.h"
#include "crypto/crypto.h"
#include "sphinx/frame.h"
#include "../../app/testmix/store.h"

enum { LAYERS = 3, PER_LAYER = 2, NODES = LAYERS * PER_LAYER, PAYLOAD = 200, GOOD = 60 };

static uint8_t secrets[NODES][32];
static struct directory *network;
static struct crypto *crypto;
static uint64_t faults[FAULT_COUNT];
static struct store *store;
static struct error err;

static void node_text(unsigned i, FILE *out)
{
	char hex[3][65];
	uint8_t key[32], secret[64];

	for (unsigned k = 0; k < 2; k++) {
		crypto_sign_keypair(key, secret);
		hex_encode(hex[k], key, 32);
	}
	randombytes_buf(secrets[i], 32);
	crypto_scalarmult_base(key, secrets[i]);
	hex_encode(hex[2], key, 32);
	fprintf(out,
		"{ name = \"mix%u\"; layer = %u; address = \"10.0.0.%u:9000\"; identity_key = "
		"\"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }%s\n",
		i, i / PER_LAYER + 1, i + 1, hex[0], hex[1], hex[2], i + 1 < NODES ? "," : "");
}

/* A signed directory, as directory.h describes it. */
static int make_network(void **state)
{
	static char text[8192] = "betanet-directory-v1";
	char *body = text + sizeof("betanet-directory-v1");
	uint8_t authority[32], secret[64], signature[64];
	char hex[129];
	FILE *out;
	size_t len;

	(void)state;
	if (crypto_init(0, &err) || !(crypto = crypto_create()))
		return -1;
	out = fmemopen(body, 7000, "w");
	if (!out)
		return -1;
	fprintf(out, "version = 1;\nnetwork_id = \"%064d\";\n", 1);
	fprintf(out, "valid_from = \"2026-01-01T00:00:00Z\";\n");
	fprintf(out, "valid_until = \"2026-01-02T00:00:00Z\";\nnodes = (\n");
	for (unsigned i = 0; i < NODES; i++)
		node_text(i, out);
	fprintf(out, ");\n");
	fclose(out);
	len = strlen(body);
	crypto_sign_keypair(authority, secret);
	crypto_sign_detached(
		signature, NULL, (const uint8_t *)text, (size_t)(body - text) + len, secret);
	hex_encode(hex, signature, 64);
	snprintf(body + len, 200, "signature = \"%s\";\n", hex);
	if (directory_parse(
		    "test", (const uint8_t *)body, strlen(body), authority, 0, &network, &err) == 0)
		return 0;
	print_error("%s\n", err.msg);
	return -1;
}

static int free_network(void **state)
{
	(void)state;
	crypto_free(crypto);
	directory_free(network);
	return 0;
}

static struct store_params params(void)
{
	return (struct store_params){.directory = network,
		.good = GOOD,
		.faults = faults,
		.hops = LAYERS,
		.payload_size = PAYLOAD,
		.mean_delay_ms = 50,
		.destination = {4, 40001, {10, 9, 9, 9}}};
}

static void make_store(void)
{
	struct store_params p = params();

	assert_int_equal(store_create(&p, &store, &err), 0);
	assert_int_equal(store_build(store, &err), 0);
	assert_int_equal(store->done, store->count);
}

static int clear(void **state)
{
	(void)state;
	memset(faults, 0, sizeof(faults));
	store = NULL;
	return 0;
}

static int drop_store(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

static unsigned node_at(const struct endpoint *e)
{
	for (unsigned i = 0; i < NODES; i++)
		if (memcmp(network->nodes[i].address[0].ip, e->ip, 4) == 0 && e->port == 9000)
			return i;
	return NODES;
}

/* Carries a packet from node to node; returns where it ended. */
static struct sphinx_hop carry(uint64_t index, uint64_t *delay, unsigned *hops)
{
	uint8_t *packet = store_bytes(store, index) + FRAME_SIZE;
	unsigned at = store->packets[index].entry;
	struct sphinx_hop hop;

	*delay = 0;
	for (*hops = 1;; ++*hops) {
		struct endpoint next;

		assert_in_range(at, 0, NODES - 1);
		assert_int_equal(sphinx_unwrap(crypto, secrets[at], packet,
					 SPHINX_HEADER_SIZE + PAYLOAD, &hop),
			SPHINX_ok);
		if (hop.flag == SPHINX_FLAG_FINAL)
			return hop;
		*delay += hop.delay_ns;
		assert_int_equal(address_decode(hop.address, &next), SPHINX_ok);
		at = node_at(&next);
	}
}

static void every_good_packet_arrives_with_its_message(void **state)
{
	unsigned versions[2] = {0};

	(void)state;
	make_store();
	assert_int_equal(store->count, GOOD);
	assert_int_equal(store->slot_count, GOOD);
	for (uint64_t i = 0; i < GOOD; i++) {
		const uint8_t *message;
		struct endpoint to;
		uint64_t delay, seq;
		unsigned hops;
		size_t len;
		struct sphinx_hop last;

		assert_int_equal(frame_check(store_bytes(store, i), PAYLOAD), 0);
		last = carry(i, &delay, &hops);
		versions[last.version - SPHINX_V258]++;
		assert_int_equal(hops, LAYERS);
		assert_int_equal(delay, store->packets[i].delay_ns);
		assert_int_equal(address_decode(last.address, &to), SPHINX_ok);
		assert_memory_equal(to.ip, store->params.destination.ip, 4);
		assert_int_equal(to.port, 40001);
		assert_int_equal(sphinx_payload_message(
					 store_bytes(store, i) + FRAME_SIZE + SPHINX_HEADER_SIZE,
					 PAYLOAD, &message, &len),
			SPHINX_ok);
		assert_int_equal(message_check(&store->run, message, len, 0, store->message_room,
					 GOOD, &seq),
			MESSAGE_RIGHT);
		assert_int_equal(seq, i);
	}
	assert_int_equal(versions[0], GOOD / 2);
	assert_int_equal(versions[1], GOOD / 2);
}

static void delays_are_exponential_with_the_mean_asked_for(void **state)
{
	struct store_params p = params();
	double sum = 0, squares = 0, n = 4000;

	(void)state;
	p.good = (uint64_t)n;
	p.hops = 2; /* one delay each */
	p.payload_size = 64;
	assert_int_equal(store_create(&p, &store, &err), 0);
	assert_int_equal(store_build(store, &err), 0);
	for (uint64_t i = 0; i < p.good; i++) {
		double ms = (double)store->packets[i].delay_ns / 1e6;

		assert_true(ms <= 20 * 50);
		sum += ms;
		squares += ms * ms;
	}
	/* five sigma of the mean of 4000; the deviation equals the mean, within a tenth */
	assert_true(sum / n > 50 - 5 * 0.8 && sum / n < 50 + 5 * 0.8);
	squares = squares / n - sum / n * (sum / n);
	assert_true(squares > 40 * 40 && squares < 60 * 60);
}

static void every_slot_is_sent_once_and_replays_twice(void **state)
{
	unsigned seen[GOOD] = {0}, again = 0;

	(void)state;
	faults[FAULT_replay] = 20;
	make_store();
	assert_int_equal(store->slot_count, GOOD + 20);
	for (uint64_t i = 0; i < store->slot_count; i++) {
		const struct store_slot *slot = &store->slots[i];

		assert_int_equal(seen[slot->packet], slot->again);
		seen[slot->packet]++;
		again += slot->again;
	}
	assert_int_equal(again, 20);
	for (unsigned i = 0; i < GOOD; i++)
		assert_in_range(seen[i], 1, 2);
}

static void half_of_the_copies_follow_at_once(void **state)
{
	unsigned next = 0;

	(void)state;
	faults[FAULT_replay] = 20;
	make_store();
	for (uint64_t i = 1; i < store->slot_count; i++)
		next += store->slots[i].again &&
			store->slots[i].packet == store->slots[i - 1].packet;
	assert_in_range(next, 10, 19);
}

static enum sphinx_status open_at_entry(uint64_t index)
{
	struct sphinx_secrets s;
	enum sphinx_status status = sphinx_unwrap_open(crypto, secrets[store->packets[index].entry],
		store_bytes(store, index) + FRAME_SIZE, SPHINX_HEADER_SIZE + PAYLOAD, &s);

	sodium_memzero(&s, sizeof(s));
	return status;
}

static void forged_packets_have_a_bad_mac(void **state)
{
	(void)state;
	faults[FAULT_forge] = 30;
	make_store();
	assert_int_equal(store->count, GOOD + 30);
	for (uint64_t i = GOOD; i < store->count; i++)
		assert_int_equal(open_at_entry(i), SPHINX_bad_mac);
	for (uint64_t i = 0; i < GOOD; i++)
		assert_int_equal(open_at_entry(i), SPHINX_ok);
}

static void unknown_hops_are_in_no_directory(void **state)
{
	(void)state;
	faults[FAULT_unknown_hop] = 5;
	make_store();
	for (uint64_t i = GOOD; i < store->count; i++) {
		struct sphinx_hop hop;
		struct endpoint next;

		assert_int_equal(sphinx_unwrap(crypto, secrets[store->packets[i].entry],
					 store_bytes(store, i) + FRAME_SIZE,
					 SPHINX_HEADER_SIZE + PAYLOAD, &hop),
			SPHINX_ok);
		assert_int_equal(hop.flag, SPHINX_FLAG_FORWARD);
		assert_int_equal(address_decode(hop.address, &next), SPHINX_ok);
		assert_int_equal(node_at(&next), NODES);
	}
}

static void denied_packets_reach_the_exit_with_another_destination(void **state)
{
	uint64_t delay;
	unsigned hops;

	(void)state;
	faults[FAULT_deny] = 3;
	make_store();
	for (uint64_t i = GOOD; i < store->count; i++) {
		struct sphinx_hop last = carry(i, &delay, &hops);

		assert_int_equal(hops, LAYERS);
		assert_int_equal(last.address[3], 198);
	}
}

static void not_exit_packets_end_at_the_entry(void **state)
{
	uint64_t delay;
	unsigned hops;

	(void)state;
	faults[FAULT_not_exit] = 3;
	make_store();
	for (uint64_t i = GOOD; i < store->count; i++) {
		carry(i, &delay, &hops);
		assert_int_equal(hops, 1);
	}
}

static void bad_frames_are_refused_by_the_frame_check(void **state)
{
	(void)state;
	faults[FAULT_bad_frame] = 3;
	make_store();
	for (uint64_t i = GOOD; i < store->count; i++)
		assert_int_equal(frame_check(store_bytes(store, i), PAYLOAD), -EINVAL);
}

static void wrong_packets_are_spread_over_the_run(void **state)
{
	uint64_t last = 0, widest = 0;

	(void)state;
	faults[FAULT_forge] = 6;
	make_store();
	for (uint64_t i = 0; i < store->slot_count; i++)
		if (store->packets[store->slots[i].packet].fault) {
			widest = i - last > widest ? i - last : widest;
			last = i;
		}
	assert_in_range(widest, 1, 2 * (GOOD + 6) / 6);
}

static void *build(void *arg)
{
	struct error mine;

	return store_build(arg, &mine) ? arg : NULL;
}

static void two_threads_build_every_packet_once(void **state)
{
	struct store_params p = params();
	pthread_t threads[2];
	void *failed;

	(void)state;
	p.good = 500;
	assert_int_equal(store_create(&p, &store, &err), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, build, store), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(store->done, 500);
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(open_at_entry(i), SPHINX_ok);
}

static void too_few_layers_and_missing_addresses_are_told(void **state)
{
	struct store_params p = params();

	(void)state;
	p.hops = LAYERS + 1;
	assert_int_equal(store_create(&p, &store, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "4 hops"));
	p.hops = LAYERS;
	network->nodes[3].address[0].family = 6;
	assert_int_equal(store_create(&p, &store, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "mix3"));
	network->nodes[3].address[0].family = 4;
	assert_null(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clear, drop_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_good_packet_arrives_with_its_message),
		TEST(delays_are_exponential_with_the_mean_asked_for),
		TEST(every_slot_is_sent_once_and_replays_twice),
		TEST(half_of_the_copies_follow_at_once),
		TEST(forged_packets_have_a_bad_mac),
		TEST(unknown_hops_are_in_no_directory),
		TEST(denied_packets_reach_the_exit_with_another_destination),
		TEST(not_exit_packets_end_at_the_entry),
		TEST(bad_frames_are_refused_by_the_frame_check),
		TEST(wrong_packets_are_spread_over_the_run),
		TEST(two_threads_build_every_packet_once),
		TEST(too_few_layers_and_missing_addresses_are_told),
	};

	return cmocka_run_group_tests(tests, make_network, free_network);
}
