/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../app/client/route.h"
#include "core/bytes.h"
#include "core/file.h"

enum { MAX_NODES = 12, PAYLOAD = 1024 };

/* A directory written for a test, and the secrets of its nodes. */
struct network {
	struct directory *d;
	uint8_t secret[MAX_NODES][32];
	char text[16384];
	unsigned count;
	struct crypto *crypto;
	struct sphinx_builder *builder;
};

static void add_node(struct network *n, unsigned layer, const char *addresses)
{
	uint8_t seed[32], sk[64], key[3][32];
	char hex[3][65];
	size_t used = strlen(n->text);

	randombytes_buf(n->secret[n->count], 32);
	crypto_scalarmult_base(key[2], n->secret[n->count]);
	for (int k = 0; k < 3; k++) {
		if (k < 2) {
			randombytes_buf(seed, sizeof(seed));
			crypto_sign_seed_keypair(key[k], sk, seed);
		}
		hex_encode(hex[k], key[k], 32);
	}
	snprintf(n->text + used, sizeof(n->text) - used,
		"%s{ name = \"n%u\"; layer = %u; weight = 100; address = [ %s ];\n"
		"identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
		n->count ? "," : "", n->count, layer, addresses, hex[0], hex[1], hex[2]);
	n->count++;
}

static struct network *begin(void)
{
	struct network *n = calloc(1, sizeof(*n));

	snprintf(n->text, sizeof(n->text),
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2026-01-02T00:00:00Z\";\nnodes = (\n",
		1);
	return n;
}

static void finish(struct network *n)
{
	char plain[64] = "/tmp/client-route.XXXXXX", sealed[80];
	uint8_t seed[32], pk[32], sk[64];
	struct error err = {0};

	strcat(n->text, ");\n");
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(pk, sk, seed);
	close(mkstemp(plain));
	snprintf(sealed, sizeof(sealed), "%s.signed", plain);
	if (file_write(plain, 0600, n->text, strlen(n->text), FILE_FORCE, &err) < 0 ||
		directory_sign(plain, sealed, seed, FILE_FORCE, &err) < 0 ||
		directory_load(sealed, pk, 0, &n->d, &err) < 0)
		fail_msg("%s", err.msg);
	unlink(plain);
	unlink(sealed);
	n->crypto = crypto_create();
	n->builder = sphinx_builder_create();
	assert_non_null(n->crypto);
	assert_non_null(n->builder);
}

static void end(struct network *n)
{
	directory_free(n->d);
	crypto_free(n->crypto);
	sphinx_builder_free(n->builder);
	free(n);
}

/* Three layers of three, all on IPv4. */
static struct network *usual(void)
{
	struct network *n = begin();

	for (unsigned i = 0; i < 9; i++) {
		char at[64];

		snprintf(at, sizeof(at), "\"192.0.2.%u:9000\"", i + 1);
		add_node(n, i / 3 + 1, at);
	}
	finish(n);
	return n;
}

static struct route_params params(const struct network *n)
{
	return (struct route_params){.directory = n->d,
		.hops = 3,
		.mean_delay_ms = 50,
		.version = SPHINX_V259,
		.payload_size = PAYLOAD};
}

static struct endpoint endpoint(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(&e, text), 0);
	return e;
}

static unsigned index_of(const struct network *n, const struct directory_node *node)
{
	return (unsigned)(node - n->d->nodes);
}

/* Takes a packet along its route as the relays do; leaves the final payload in the packet. */
static void travel(struct network *n, const struct route *r, uint8_t *packet,
	const struct endpoint *destination, struct sphinx_hop *hop)
{
	const struct directory_node *at = directory_find_address(n->d, &r->first);
	struct endpoint next;

	for (unsigned i = 0; i < r->sphinx.hops; i++) {
		assert_ptr_equal(at, r->node[i]);
		assert_int_equal(sphinx_unwrap(n->crypto, n->secret[index_of(n, at)], packet,
					 SPHINX_HEADER_SIZE + PAYLOAD, hop),
			SPHINX_ok);
		assert_int_equal(address_decode(hop->address, &next), SPHINX_ok);
		if (i + 1 == r->sphinx.hops)
			break;
		assert_int_equal(hop->flag, SPHINX_FLAG_FORWARD);
		assert_int_equal(hop->delay_ns, r->sphinx.hop[i].delay_ns);
		at = directory_find_address(n->d, &next);
		assert_non_null(at);
	}
	assert_int_equal(hop->flag, SPHINX_FLAG_FINAL);
	assert_memory_equal(&next, destination, sizeof(next));
}

static void a_packet_reaches_its_destination_through_its_route(void **state)
{
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	struct error err = {0};

	(void)state;
	for (unsigned hops = 1; hops <= 3; hops++)
		for (uint16_t version = 258; version <= 259; version++) {
			uint8_t datagram[FRAME_SIZE + SPHINX_HEADER_SIZE + PAYLOAD];
			struct route_params p = params(n);
			struct route_packet packet = {.message = (const uint8_t *)"hello",
				.len = 5,
				.datagram = datagram};
			struct sphinx_hop hop;
			const uint8_t *message;
			size_t len;

			p.hops = hops;
			p.version = version;
			assert_int_equal(route_draw(&p, &to, 0, &packet.route, &err), 0);
			assert_int_equal(route_datagram_size(&p), sizeof(datagram));
			assert_int_equal(route_datagrams(n->builder, &p, &packet, 1, &err), 0);
			assert_int_equal(frame_check(datagram, PAYLOAD), 0);
			assert_int_equal(datagram[3], 0);
			travel(n, &packet.route, datagram + FRAME_SIZE, &to, &hop);
			assert_int_equal(hop.version, version);
			assert_int_equal(
				sphinx_payload_message(datagram + FRAME_SIZE + SPHINX_HEADER_SIZE,
					PAYLOAD, &message, &len),
				SPHINX_ok);
			assert_int_equal(len, 5);
			assert_memory_equal(message, "hello", 5);
		}
	end(n);
}

static void the_longest_message_fits_and_a_longer_one_is_refused(void **state)
{
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	uint8_t datagram[FRAME_SIZE + SPHINX_HEADER_SIZE + PAYLOAD], message[PAYLOAD] = {0};
	struct route_params p = params(n);
	struct error err = {0};
	struct route_packet packet = {
		.message = message, .len = route_room(&p), .datagram = datagram};

	(void)state;
	assert_int_equal(route_draw(&p, &to, 4, &packet.route, &err), 0);
	assert_int_equal(route_datagrams(n->builder, &p, &packet, 1, &err), 0);
	packet.len++;
	assert_int_equal(route_datagrams(n->builder, &p, &packet, 1, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "bad_message"));
	end(n);
}

static void a_burst_is_as_many_packets_each_with_its_own_route_and_message(void **state)
{
	enum { SIZE = FRAME_SIZE + SPHINX_HEADER_SIZE + PAYLOAD };
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	struct route_packet packet[ROUTE_BURST + 1];
	uint8_t *datagram = calloc(ROUTE_BURST, SIZE);
	struct route_params p = params(n);
	struct error err = {0};

	(void)state;
	assert_non_null(datagram);
	for (unsigned i = 0; i < ROUTE_BURST; i++) {
		packet[i].datagram = datagram + i * SIZE;
		packet[i].message = route_message(packet[i].datagram);
		packet[i].len = 1 + i;
		memset(route_message(packet[i].datagram), (int)i, packet[i].len);
		assert_int_equal(route_draw(&p, &to, 4, &packet[i].route, &err), 0);
	}
	assert_int_equal(route_datagrams(n->builder, &p, packet, ROUTE_BURST + 1, &err), -EINVAL);
	assert_int_equal(route_datagrams(n->builder, &p, packet, ROUTE_BURST, &err), 0);
	for (unsigned i = 0; i < ROUTE_BURST; i++) {
		struct sphinx_hop hop;
		const uint8_t *message;
		size_t len;

		assert_int_equal(frame_check(packet[i].datagram, PAYLOAD), 0);
		travel(n, &packet[i].route, packet[i].datagram + FRAME_SIZE, &to, &hop);
		assert_int_equal(sphinx_payload_message(route_message(packet[i].datagram), PAYLOAD,
					 &message, &len),
			SPHINX_ok);
		assert_int_equal(len, 1 + i);
		for (size_t k = 0; k < len; k++)
			assert_int_equal(message[k], i);
	}
	free(datagram);
	end(n);
}

static void every_relay_is_used_and_layers_keep_their_order(void **state)
{
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	struct route_params p = params(n);
	unsigned used[9] = {0};
	struct error err = {0};
	struct route r;

	(void)state;
	/* a relay is missed with chance (2/3)^300 */
	for (int i = 0; i < 300; i++) {
		assert_int_equal(route_draw(&p, &to, 0, &r, &err), 0);
		for (unsigned h = 0; h < 3; h++) {
			assert_int_equal(r.node[h]->layer, h + 1);
			used[index_of(n, r.node[h])]++;
		}
	}
	for (int i = 0; i < 9; i++)
		assert_true(used[i] > 0);
	end(n);
}

static void delays_are_exponential(void **state)
{
	enum { DRAWS = 40000 };
	unsigned above[4] = {0};
	double sum = 0;

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		double ms = (double)route_draw_delay(50) / 1e6;

		sum += ms;
		for (int k = 0; k < 4; k++)
			above[k] += ms > 50.0 * k / 2 + 5;
	}
	/* six standard deviations: 50/sqrt(n) for the mean, binomial for the tail P(X > t) */
	assert_true(fabs(sum / DRAWS - 50) < 6 * 50 / sqrt(DRAWS));
	for (int k = 0; k < 4; k++) {
		double p = exp(-(50.0 * k / 2 + 5) / 50);

		assert_true(fabs(above[k] - p * DRAWS) < 6 * sqrt(DRAWS * p * (1 - p)));
	}
	assert_int_equal(route_draw_delay(0), 0);
}

static void the_last_hop_is_asked_for_no_delay(void **state)
{
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	struct route_params p = params(n);
	struct error err = {0};
	struct route r;

	(void)state;
	assert_int_equal(route_draw(&p, &to, 0, &r, &err), 0);
	assert_int_equal(r.sphinx.hop[2].delay_ns, 0);
	assert_true(fabs(r.delay_ms * 1e6 -
			    (double)(r.sphinx.hop[0].delay_ns + r.sphinx.hop[1].delay_ns)) < 1);
	p.mean_delay_ms = 0;
	assert_int_equal(route_draw(&p, &to, 0, &r, &err), 0);
	assert_int_equal(r.sphinx.hop[0].delay_ns + r.sphinx.hop[1].delay_ns, 0);
	end(n);
}

static void hops_that_follow_each_other_share_an_address_family(void **state)
{
	const struct endpoint to4 = endpoint("198.51.100.7:1"), to6 = endpoint("[2001:db8::7]:1");
	struct network *n = begin();
	struct route_params p;
	struct error err = {0};
	struct route r;

	(void)state;
	add_node(n, 1, "\"192.0.2.1:9000\"");
	add_node(n, 1, "\"[2001:db8::1]:9000\"");
	add_node(n, 2, "\"192.0.2.2:9000\"");
	add_node(n, 2, "\"192.0.2.3:9000\", \"[2001:db8::3]:9000\"");
	add_node(n, 3, "\"[2001:db8::4]:9000\"");
	finish(n);
	p = params(n);
	for (int i = 0; i < 100; i++) {
		struct endpoint next;

		assert_int_equal(route_draw(&p, &to6, 4, &r, &err), 0);
		/* the only way from IPv4 to the IPv6 exit leads through the relay that has both */
		assert_int_equal(r.first.family, 4);
		assert_int_equal(index_of(n, r.node[0]), 0);
		assert_int_equal(index_of(n, r.node[1]), 3);
		assert_int_equal(address_decode(r.sphinx.hop[1].address, &next), SPHINX_ok);
		assert_int_equal(next.family, 4);
		assert_int_equal(address_decode(r.sphinx.hop[2].address, &next), SPHINX_ok);
		assert_int_equal(next.family, 6);
		assert_int_equal(route_draw(&p, &to6, 6, &r, &err), 0);
		assert_int_equal(r.first.family, 6);
	}
	assert_int_equal(route_draw(&p, &to4, 4, &r, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "198.51.100.7:1"));
	end(n);
}

static void hops_outside_the_layers_are_refused(void **state)
{
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	struct route_params p = params(n);
	struct error err = {0};
	struct route r;

	(void)state;
	for (unsigned hops = 0; hops < 8; hops++) {
		p.hops = hops;
		assert_int_equal(
			route_draw(&p, &to, 0, &r, &err), hops >= 1 && hops <= 3 ? 0 : -EINVAL);
	}
	assert_non_null(strstr(err.msg, "1 to 3"));
	end(n);
}

static void an_expired_directory_gives_no_routes(void **state)
{
	struct network *n = usual();
	const struct endpoint to = endpoint("198.51.100.7:4242");
	struct route_params p = params(n);
	struct error err = {0};
	struct route r;

	(void)state;
	p.now = n->d->valid_until - 1;
	assert_int_equal(route_draw(&p, &to, 0, &r, &err), 0);
	p.now = n->d->valid_until;
	assert_int_equal(route_draw(&p, &to, 0, &r, &err), -ESTALE);
	p.now = n->d->valid_from - 1;
	assert_int_equal(route_draw(&p, &to, 0, &r, &err), -ESTALE);
	end(n);
}

static void a_reply_block_leads_back_and_its_maker_alone_reads_260(void **state)
{
	struct network *n = usual();
	const struct endpoint me = endpoint("198.51.100.7:4242");
	struct route_params p = params(n);
	struct error err = {0};

	(void)state;
	for (p.version = 258; p.version <= 260; p.version++) {
		uint8_t surb[SURB_MAX_SIZE], recovery[SURB_RECOVERY_MAX_SIZE], first[32];
		struct surb_item item = {.surb = surb, .recovery = recovery};
		uint8_t packet[SPHINX_HEADER_SIZE + PAYLOAD];
		uint8_t *payload = packet + SPHINX_HEADER_SIZE;
		size_t len;
		enum sphinx_status plain;
		const uint8_t *message;
		struct sphinx_hop hop;
		struct endpoint to;
		struct route r;

		assert_int_equal(route_draw(&p, &me, 0, &r, &err), 0);
		assert_int_equal(route_reply_blocks(n->builder, &r, &item, 1, &err), 0);
		assert_int_equal(surb_use(n->crypto, p.version, surb, item.surb_len,
					 (const uint8_t *)"answer", 6, PAYLOAD, packet, first),
			SPHINX_ok);
		assert_int_equal(address_decode(first, &to), SPHINX_ok);
		assert_memory_equal(&to, &r.first, sizeof(to));
		travel(n, &r, packet, &me, &hop);
		plain = sphinx_payload_message(payload, PAYLOAD, &message, &len);
		if (p.version == 260) {
			assert_int_equal(plain, SPHINX_bad_payload);
			assert_memory_equal(hop.identifier, recovery, SPHINX_IDENTIFIER_SIZE);
			assert_int_equal(surb_recover(n->crypto, recovery, item.recovery_len,
						 payload, PAYLOAD, &message, &len),
				SPHINX_ok);
		} else {
			assert_int_equal(plain, SPHINX_ok);
			assert_int_equal(item.recovery_len, 0);
		}
		assert_int_equal(len, 6);
		assert_memory_equal(message, "answer", 6);
	}
	end(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_reaches_its_destination_through_its_route),
		cmocka_unit_test(the_longest_message_fits_and_a_longer_one_is_refused),
		cmocka_unit_test(a_burst_is_as_many_packets_each_with_its_own_route_and_message),
		cmocka_unit_test(every_relay_is_used_and_layers_keep_their_order),
		cmocka_unit_test(delays_are_exponential),
		cmocka_unit_test(the_last_hop_is_asked_for_no_delay),
		cmocka_unit_test(hops_that_follow_each_other_share_an_address_family),
		cmocka_unit_test(hops_outside_the_layers_are_refused),
		cmocka_unit_test(an_expired_directory_gives_no_routes),
		cmocka_unit_test(a_reply_block_leads_back_and_its_maker_alone_reads_260),
	};
	struct error err = {0};

	if (crypto_init(0, &err) < 0) {
		print_error("%s\n", err.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
