/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets for relays of which only keys and addresses are given. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>
#include "../../app/testmix/chain.h"
#include "../../app/testmix/store.h"
#include "core/bytes.h"
#include "sphinx/frame.h"

enum { HOPS = 3, GOOD = 20 };

static struct error err;
static struct chain chain;
static uint8_t secret[HOPS][32];

/* "KEY@10.0.0.1:9001,…" of new keys. */
static void write_chain(char *out, size_t size, unsigned hops)
{
	size_t at = 0;

	for (unsigned i = 0; i < hops; i++) {
		uint8_t public_key[32];
		char hex[65];

		randombytes_buf(secret[i], 32);
		crypto_scalarmult_base(public_key, secret[i]);
		hex_encode(hex, public_key, 32);
		at += (size_t)snprintf(out + at, size - at, "%s%s@10.0.0.%u:%u", i ? "," : "", hex,
			i + 1, 9001 + i);
	}
}

static void a_chain_is_read(void **state)
{
	char text[512];
	uint8_t public_key[32];

	(void)state;
	write_chain(text, sizeof(text), HOPS);
	assert_int_equal(chain_parse(&chain, text, &err), 0);
	assert_int_equal(chain.hops, HOPS);
	for (unsigned i = 0; i < HOPS; i++) {
		crypto_scalarmult_base(public_key, secret[i]);
		assert_memory_equal(chain.public_key[i], public_key, 32);
		assert_int_equal(chain.address[i].family, 4);
		assert_int_equal(chain.address[i].ip[3], i + 1);
		assert_int_equal(chain.address[i].port, 9001 + i);
	}
}

static void wrong_chains_are_refused(void **state)
{
	char key[65], text[700] = "", one[128];
	const char *const wrong[] = {"", "@10.0.0.1:9000", "%s", "%s@", "%s@10.0.0.1",
		"%s@[::1]:9000", "%s@10.0.0.1:9000,", "0%s@10.0.0.1:9000", "x%.63s@10.0.0.1:9000"};

	(void)state;
	memset(key, 'a', 64);
	key[64] = 0;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *at = strstr(wrong[i], "%");

		if (at)
			snprintf(one, sizeof(one), "%.*s%.*s%s", (int)(at - wrong[i]), wrong[i],
				at[1] == 's' ? 64 : 63, key, strchr(at, 's') + 1);
		else
			snprintf(one, sizeof(one), "%s", wrong[i]);
		assert_int_equal(chain_parse(&chain, one, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "is not KEY@IP:PORT"));
	}
	for (unsigned i = 0; i <= SPHINX_MAX_HOPS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s@10.0.0.%u:9000",
			i ? "," : "", key, i + 1);
	assert_int_equal(chain_parse(&chain, text, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 5 relays"));
}

static void a_chain_is_a_directory_with_a_node_in_each_layer(void **state)
{
	struct directory *d;
	char text[512];

	(void)state;
	write_chain(text, sizeof(text), HOPS);
	assert_int_equal(chain_parse(&chain, text, &err), 0);
	assert_int_equal(chain_directory(&chain, &d, &err), 0);
	assert_int_equal(d->count, HOPS);
	assert_int_equal(d->layers, HOPS);
	for (unsigned i = 0; i < HOPS; i++) {
		assert_int_equal(d->nodes[i].layer, i + 1);
		assert_memory_equal(d->nodes[i].sphinx_key, chain.public_key[i], 32);
	}
	directory_free(d);
}

static void a_relay_twice_in_a_chain_is_an_error(void **state)
{
	struct directory *d;
	char text[512];

	(void)state;
	write_chain(text, sizeof(text), 2);
	assert_int_equal(chain_parse(&chain, text, &err), 0);
	chain.address[1] = chain.address[0];
	assert_int_equal(chain_directory(&chain, &d, &err), -EINVAL);
}

static void the_first_node_and_the_file_are_as_asked_for(void **state)
{
	uint8_t id[32], vrf[32], unused[64], authority[32];
	struct directory *d;
	char path[CHAIN_PATH], text[512];

	(void)state;
	write_chain(text, sizeof(text), HOPS);
	assert_int_equal(chain_parse(&chain, text, &err), 0);
	crypto_sign_keypair(id, unused);
	crypto_sign_keypair(vrf, unused);
	assert_int_equal(chain_sign(&chain, id, vrf, authority, path, &err), 0);
	assert_int_equal(directory_load(path, authority, 0, &d, &err), 0);
	assert_memory_equal(d->nodes[0].identity_key, id, 32);
	assert_memory_equal(d->nodes[0].vrf_key, vrf, 32);
	directory_free(d);
	assert_int_equal(unlink(path), 0);
}

/* Each relay of the chain, with its own secret alone, gets the packet one hop on. */
static void packets_for_a_chain_go_all_its_way(void **state)
{
	const uint64_t faults[FAULT_COUNT] = {0};
	struct store_params p = {.good = GOOD,
		.faults = faults,
		.hops = HOPS,
		.payload_size = 1024,
		.mean_delay_ms = 1,
		.destination = {4, 40001, {10, 0, 0, 9}}};
	struct crypto *c = crypto_create();
	struct directory *d;
	struct store *s;
	char text[512];

	(void)state;
	assert_non_null(c);
	write_chain(text, sizeof(text), HOPS);
	assert_int_equal(chain_parse(&chain, text, &err), 0);
	assert_int_equal(chain_directory(&chain, &d, &err), 0);
	p.directory = d;
	assert_int_equal(store_create(&p, &s, &err), 0);
	assert_int_equal(store_build(s, &err), 0);
	for (uint64_t i = 0; i < GOOD; i++) {
		uint8_t *packet = store_bytes(s, i) + FRAME_SIZE;
		struct sphinx_hop hop;
		struct endpoint to;

		for (unsigned h = 0; h < HOPS; h++) {
			assert_int_equal(sphinx_unwrap(c, secret[h], packet,
						 SPHINX_HEADER_SIZE + 1024, &hop),
				SPHINX_ok);
			assert_int_equal(address_decode(hop.address, &to), SPHINX_ok);
			assert_int_equal(to.port, h + 1 < HOPS ? 9002 + h : 40001);
		}
		assert_int_equal(hop.flag, SPHINX_FLAG_FINAL);
	}
	store_free(s);
	directory_free(d);
	crypto_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_read),
		cmocka_unit_test(wrong_chains_are_refused),
		cmocka_unit_test(a_chain_is_a_directory_with_a_node_in_each_layer),
		cmocka_unit_test(a_relay_twice_in_a_chain_is_an_error),
		cmocka_unit_test(the_first_node_and_the_file_are_as_asked_for),
		cmocka_unit_test(packets_for_a_chain_go_all_its_way),
	};

	if (crypto_init(0, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
