/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_SPHINX_PATH_H
#define BETANET_TESTS_SPHINX_PATH_H

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include "crypto/x25519.h"
#include "sphinx/sphinx.h"

/* What the tests of lib/sphinx share: random routes whose secrets are known, and a walk through
 * them. cmocka.h comes before this header. */

enum { PACKET_MAX = SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX };

static struct crypto *crypto;

/* A route with the secrets of its nodes. */
struct path {
	struct sphinx_route route;
	uint8_t secret[SPHINX_MAX_HOPS][32];
};

static inline void path_make(struct path *p, unsigned hops, uint16_t version)
{
	memset(p, 0, sizeof(*p));
	p->route.hops = hops;
	p->route.version = version;
	randombytes_buf(p->route.destination, sizeof(p->route.destination));
	randombytes_buf(p->route.identifier, sizeof(p->route.identifier));
	for (unsigned i = 0; i < SPHINX_MAX_HOPS; i++) {
		struct sphinx_route_hop *h = &p->route.hop[i];

		randombytes_buf(p->secret[i], 32);
		x25519_base(h->public_key, p->secret[i]);
		randombytes_buf(h->address, sizeof(h->address));
		randombytes_buf(&h->delay_ns, sizeof(h->delay_ns));
	}
}

static inline void assert_status(enum sphinx_status got, enum sphinx_status want)
{
	assert_string_equal(sphinx_status_name(got), sphinx_status_name(want));
}

/* A packet in memory of exactly its size, so that sanitizers see a byte too many. */
static inline uint8_t *path_build(
	const struct path *p, size_t payload, const void *message, size_t len)
{
	uint8_t *packet = malloc(SPHINX_HEADER_SIZE + payload);

	assert_non_null(packet);
	assert_status(
		sphinx_build(crypto, &p->route, message, len, payload, NULL, packet), SPHINX_ok);
	return packet;
}

/* Takes the packet through all hops and checks what each learns. */
static inline void path_walk(const struct path *p, uint8_t *packet, size_t payload)
{
	const struct sphinx_route *r = &p->route;

	for (unsigned i = 0; i < r->hops; i++) {
		const bool last = i == r->hops - 1;
		struct sphinx_hop hop;

		assert_status(sphinx_unwrap(crypto, p->secret[i], packet,
				      SPHINX_HEADER_SIZE + payload, &hop),
			SPHINX_ok);
		assert_int_equal(hop.version, r->version);
		assert_int_equal(hop.flag, last ? SPHINX_FLAG_FINAL : SPHINX_FLAG_FORWARD);
		assert_memory_equal(hop.address, last ? r->destination : r->hop[i + 1].address, 32);
		assert_true(hop.delay_ns == (last ? 0 : r->hop[i].delay_ns));
		if (last)
			assert_memory_equal(hop.identifier, r->identifier, SPHINX_IDENTIFIER_SIZE);
		else
			assert_true(sodium_is_zero(hop.identifier, SPHINX_IDENTIFIER_SIZE));
	}
}

static inline void assert_message(
	const uint8_t *packet, size_t payload, const void *want, size_t len)
{
	const uint8_t *message;
	size_t n;

	assert_status(sphinx_payload_message(packet + SPHINX_HEADER_SIZE, payload, &message, &n),
		SPHINX_ok);
	assert_int_equal(n, len);
	if (len > 0)
		assert_memory_equal(message, want, len);
}

static inline int path_setup(void **state)
{
	struct error err;

	(void)state;
	if (crypto_init(0, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	crypto = crypto_create();
	return crypto ? 0 : -1;
}

static inline int path_teardown(void **state)
{
	(void)state;
	crypto_free(crypto);
	return 0;
}

#endif
