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
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "mix/cover_route.h"
#include "sphinx/build_burst.h"

enum { MAX_NODES = 40, PAYLOAD = 256, MEAN_MS = 50 };

/* A directory written for a test, and the secrets of its nodes. */
struct network {
	struct directory *d;
	struct cover_routes *routes;
	uint8_t secret[MAX_NODES][32];
	char text[65536];
	unsigned count;
};

static struct crypto *crypto;
static struct sphinx_builder *builder;

static void add(struct network *n, unsigned layer, unsigned weight, const char *family,
	const char *addresses)
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
		"%s{ name = \"n%u\"; layer = %u; weight = %u; address = [ %s ]; %s%s%s\n"
		"identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
		n->count ? "," : "", n->count, layer, weight, addresses,
		family ? "family = \"" : "", family ? family : "", family ? "\";" : "", hex[0],
		hex[1], hex[2]);
	n->count++;
}

/* `width` nodes of weight 100 in a layer, at 10.0.0.<index + 1>:9000. */
static void add_layer(struct network *n, unsigned layer, unsigned width)
{
	for (unsigned i = 0; i < width; i++) {
		char at[64];

		snprintf(at, sizeof(at), "\"10.0.0.%u:9000\"", n->count + 1);
		add(n, layer, 100, NULL, at);
	}
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

static void open_routes(struct network *n, const struct cover_routes_params *p)
{
	struct error err = {0};

	cover_routes_free(n->routes);
	n->routes = NULL;
	if (cover_routes_create(p, &n->routes, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct cover_routes_params params(const struct network *n, unsigned self)
{
	return (struct cover_routes_params){.directory = n->d,
		.self = self,
		.mean_delay_ns = MEAN_MS * 1000000,
		.version = SPHINX_V259};
}

static void finish(struct network *n, unsigned self)
{
	char plain[64] = "/tmp/cover-route.XXXXXX", sealed[80];
	uint8_t seed[32], pk[32], sk[64];
	struct cover_routes_params p;
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
	p = params(n, self);
	open_routes(n, &p);
}

static struct network *network(unsigned layers, const unsigned width[], unsigned self)
{
	struct network *n = begin();

	for (unsigned l = 0; l < layers; l++)
		add_layer(n, l + 1, width[l]);
	finish(n, self);
	return n;
}

static void end(struct network *n)
{
	cover_routes_free(n->routes);
	directory_free(n->d);
	free(n);
}

static unsigned layer_of(const struct network *n, unsigned node)
{
	return n->d->nodes[node].layer;
}

static bool is_address_of(
	const struct network *n, unsigned node, const uint8_t address[SPHINX_ADDRESS_SIZE])
{
	uint8_t bytes[SPHINX_ADDRESS_SIZE];

	for (unsigned i = 0; i < n->d->nodes[node].addresses; i++) {
		address_encode(bytes, &n->d->nodes[node].address[i]);
		if (memcmp(bytes, address, sizeof(bytes)) == 0)
			return true;
	}
	return false;
}

/* Builds a packet of the route and unwraps it with the keys of the nodes that it says: each finds
 * the next one's address and its delay, the last one an own address and the identifier. */
static void travels_as_said(const struct network *n, const struct cover_route *r)
{
	uint8_t packet[SPHINX_HEADER_SIZE + PAYLOAD], first[SPHINX_ADDRESS_SIZE];
	struct sphinx_build_item item = {.route = &r->sphinx, .out = packet};
	enum sphinx_status status;
	struct sphinx_hop hop;
	const uint8_t *message;
	size_t len;

	sphinx_build_burst(builder, &item, 1, PAYLOAD, &status);
	assert_int_equal(status, SPHINX_ok);
	address_encode(first, &r->first);
	assert_true(is_address_of(n, r->node[0], first));
	for (unsigned i = 0; i < r->sphinx.hops; i++) {
		bool last = i + 1 == r->sphinx.hops;

		assert_int_equal(
			sphinx_unwrap(crypto, n->secret[r->node[i]], packet, sizeof(packet), &hop),
			SPHINX_ok);
		assert_int_equal(hop.flag, last ? SPHINX_FLAG_FINAL : SPHINX_FLAG_FORWARD);
		assert_true(is_address_of(n, r->node[last ? i : i + 1], hop.address));
		if (!last)
			assert_int_equal(hop.delay_ns, r->sphinx.hop[i].delay_ns);
	}
	assert_memory_equal(hop.identifier, r->sphinx.identifier, sizeof(hop.identifier));
	assert_int_equal(
		sphinx_payload_message(packet + SPHINX_HEADER_SIZE, PAYLOAD, &message, &len),
		SPHINX_ok);
	assert_int_equal(len, 0);
}

/* ---- loops ---- */

static void loop_goes_through_the_layers_behind_and_before_ours(void **state)
{
	static const unsigned width[] = {3, 3, 3, 3, 3};

	(void)state;
	for (unsigned layers = 2; layers <= 5; layers++) {
		for (unsigned own = 1; own <= layers; own++) {
			struct network *n = network(layers, width, 3 * (own - 1) + 1);
			struct cover_route r;

			for (unsigned k = 0; k < 20; k++) {
				assert_int_equal(cover_route_loop(n->routes, &r), 0);
				assert_int_equal(r.sphinx.hops, layers);
				assert_int_equal(r.node[layers - 1], 3 * (own - 1) + 1);
				for (unsigned i = 0; i < layers; i++)
					assert_int_equal(
						layer_of(n, r.node[i]), (own + i) % layers + 1);
			}
			assert_int_equal(cover_route_loop_delays(n->routes), layers - 1);
			end(n);
		}
	}
}

static void loop_comes_home_hop_by_hop(void **state)
{
	static const unsigned width[] = {2, 3, 2};

	(void)state;
	for (unsigned self = 0; self < 7; self += 3) {
		struct network *n = network(3, width, self);
		struct cover_route r;

		for (unsigned k = 0; k < 30; k++) {
			assert_int_equal(cover_route_loop(n->routes, &r), 0);
			assert_int_equal(r.node[2], self);
			travels_as_said(n, &r);
		}
		end(n);
	}
}

static void in_one_layer_a_loop_visits_one_other_node(void **state)
{
	static const unsigned width[] = {3};
	struct network *n = network(1, width, 2);
	struct cover_route r;

	(void)state;
	for (unsigned k = 0; k < 30; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		assert_int_equal(r.sphinx.hops, 2);
		assert_in_range(r.node[0], 0, 1);
		assert_int_equal(r.node[1], 2);
		travels_as_said(n, &r);
	}
	end(n);
}

static void alone_in_the_network_there_is_no_loop(void **state)
{
	static const unsigned width[] = {1};
	struct network *n = network(1, width, 0);
	struct cover_route r;

	(void)state;
	assert_int_equal(cover_route_loop(n->routes, &r), -ENOENT);
	end(n);
}

/* Six standard deviations of a binomial count: one false alarm in 10^9 comparisons. */
static void assert_share(unsigned count, unsigned of, double p)
{
	double mean = of * p, far = 6 * sqrt(of * p * (1 - p)) + 1;

	if (fabs(count - mean) > far)
		fail_msg("%u of %u, expected %.1f +- %.1f", count, of, mean, far);
}

static void nodes_are_drawn_by_weight(void **state)
{
	enum { DRAWS = 6000 };
	static const unsigned weight[] = {100, 300, 600};
	struct network *n = begin();
	unsigned seen[MAX_NODES] = {0};
	struct cover_route r;

	(void)state;
	add_layer(n, 1, 4);
	for (unsigned i = 0; i < 3; i++) {
		char at[64];

		snprintf(at, sizeof(at), "\"10.0.1.%u:9000\"", i + 1);
		add(n, 2, weight[i], NULL, at);
	}
	add_layer(n, 3, 5);
	finish(n, 0);
	for (unsigned k = 0; k < DRAWS; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		seen[r.node[0]]++;
		seen[r.node[1]]++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_share(seen[4 + i], DRAWS, weight[i] / 1000.0);
	for (unsigned i = 0; i < 5; i++)
		assert_share(seen[7 + i], DRAWS, 0.2);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(seen[i], 0);
	end(n);
}

static void every_pair_of_hops_is_as_likely(void **state)
{
	enum { DRAWS = 9000 };
	static const unsigned width[] = {1, 3, 3};
	struct network *n = network(3, width, 0);
	unsigned seen[3][3] = {{0}};
	struct cover_route r;

	(void)state;
	for (unsigned k = 0; k < DRAWS; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		seen[r.node[0] - 1][r.node[1] - 4]++;
	}
	for (unsigned i = 0; i < 9; i++)
		assert_share(seen[i / 3][i % 3], DRAWS, 1.0 / 9);
	end(n);
}

static bool only_even(const void *arg, unsigned from, unsigned to)
{
	const unsigned *self = arg;

	return from != *self || to % 2 == 0;
}

static void first_hop_is_one_that_we_may_send_to(void **state)
{
	static const unsigned width[] = {2, 6, 3}, self = 1;
	struct network *n = network(3, width, self);
	struct cover_routes_params p = params(n, self);
	unsigned seen[MAX_NODES] = {0};
	struct cover_route r;

	(void)state;
	p.leads = only_even;
	p.arg = &self;
	open_routes(n, &p);
	for (unsigned k = 0; k < 3000; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		assert_int_equal(r.node[0] % 2, 0);
		seen[r.node[0]]++;
	}
	for (unsigned i = 2; i < 8; i += 2)
		assert_share(seen[i], 3000, 1.0 / 3);
	end(n);
}

static bool one_chain(const void *arg, unsigned from, unsigned to)
{
	(void)arg;
	/* 0 → any; of layer 2 only node 5 leads on, to the last node alone */
	return from == 0 || to == 0 || (from == 5 && to == 9);
}

static void a_narrow_way_through_the_sets_is_found(void **state)
{
	static const unsigned width[] = {1, 7, 2};
	struct network *n = network(3, width, 0);
	struct cover_routes_params p = params(n, 0);
	struct cover_route r;

	(void)state;
	p.leads = one_chain;
	open_routes(n, &p);
	for (unsigned k = 0; k < 20; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		assert_int_equal(r.node[0], 5);
		assert_int_equal(r.node[1], 9);
		travels_as_said(n, &r);
	}
	end(n);
}

static bool nothing(const void *arg, unsigned from, unsigned to)
{
	(void)arg;
	(void)from;
	(void)to;
	return false;
}

static void without_a_way_there_is_no_loop(void **state)
{
	static const unsigned width[] = {2, 2, 2};
	struct network *n = network(3, width, 0);
	struct cover_routes_params p = params(n, 0);
	struct cover_route r;

	(void)state;
	p.leads = nothing;
	open_routes(n, &p);
	assert_int_equal(cover_route_loop(n->routes, &r), -ENOENT);
	end(n);
}

static void families_on_a_route_are_distinct_ours_too(void **state)
{
	struct network *n = begin();
	struct cover_route r;

	(void)state;
	add(n, 1, 100, "us", "\"10.0.0.1:9000\"");
	add(n, 2, 100, "us", "\"10.0.0.2:9000\"");
	add(n, 2, 100, "a", "\"10.0.0.3:9000\"");
	add(n, 2, 100, "b", "\"10.0.0.4:9000\"");
	add(n, 3, 100, "a", "\"10.0.0.5:9000\"");
	add(n, 3, 100, "us", "\"10.0.0.6:9000\"");
	add(n, 3, 100, NULL, "\"10.0.0.7:9000\"");
	finish(n, 0);
	for (unsigned k = 0; k < 300; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		assert_in_range(r.node[0], 2, 3);
		assert_true(r.node[1] == 6 || (r.node[1] == 4 && r.node[0] == 3));
		assert_int_equal(cover_route_drop(n->routes, 2, &n->d->nodes[2].address[0], &r), 0);
		assert_true(r.sphinx.hops == 1 || r.node[1] == 6);
	}
	end(n);
}

static void hops_that_follow_each_other_share_an_address_family(void **state)
{
	struct network *n = begin();
	struct cover_route r;
	unsigned six = 0;

	(void)state;
	add(n, 1, 100, NULL, "\"10.0.0.1:9000\"");
	add(n, 2, 100, NULL, "\"[fd00::2]:9000\""); /* out of our reach */
	add(n, 2, 100, NULL, "\"[fd00::3]:9000\", \"10.0.0.3:9000\"");
	add(n, 3, 100, NULL, "\"[fd00::4]:9000\""); /* cannot reach us */
	add(n, 3, 100, NULL, "\"[fd00::5]:9000\", \"10.0.0.5:9000\"");
	finish(n, 0);
	for (unsigned k = 0; k < 100; k++) {
		struct endpoint at;

		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		assert_int_equal(r.node[0], 2);
		assert_int_equal(r.first.family, 4);
		assert_int_equal(r.node[1], 4);
		assert_int_equal(address_decode(r.sphinx.hop[1].address, &at), 0);
		six += at.family == 6;
		assert_int_equal(address_decode(r.sphinx.destination, &at), 0);
		assert_int_equal(at.family, 4);
		travels_as_said(n, &r);
	}
	assert_int_equal(six, 100); /* the first of theirs that the hop before can send to */
	end(n);
}

static void header_delays_are_exponential(void **state)
{
	enum { DRAWS = 10000 };
	static const unsigned width[] = {1, 2, 2};
	struct network *n = network(3, width, 0);
	double sum = 0, mean = MEAN_MS * 1e6;
	unsigned above = 0;
	struct cover_route r;

	(void)state;
	for (unsigned k = 0; k < DRAWS; k++) {
		assert_int_equal(cover_route_loop(n->routes, &r), 0);
		assert_int_equal(r.sphinx.hop[2].delay_ns, 0);
		for (unsigned i = 0; i < 2; i++) {
			sum += (double)r.sphinx.hop[i].delay_ns;
			above += (double)r.sphinx.hop[i].delay_ns > mean * log(4);
		}
	}
	/* the standard deviation of an exponential is its mean */
	assert_true(fabs(sum / (2 * DRAWS) - mean) < 6 * mean / sqrt(2 * DRAWS));
	assert_share(above, 2 * DRAWS, 0.25);
	end(n);
}

static void identifiers_differ(void **state)
{
	static const unsigned width[] = {1, 1, 1};
	struct network *n = network(3, width, 0);
	struct cover_route a, b;

	(void)state;
	assert_int_equal(cover_route_loop(n->routes, &a), 0);
	assert_int_equal(cover_route_loop(n->routes, &b), 0);
	assert_memory_not_equal(
		a.sphinx.identifier, b.sphinx.identifier, sizeof(a.sphinx.identifier));
	end(n);
}

/* ---- drop cover ---- */

static void drop_ends_at_a_node_that_consumes_it(void **state)
{
	enum { DRAWS = 3000 };
	static const unsigned width[] = {2, 2, 2, 2};
	struct network *n = network(4, width, 0);
	unsigned length[5] = {0};
	struct cover_route r;

	(void)state;
	for (unsigned k = 0; k < DRAWS; k++) {
		assert_int_equal(cover_route_drop(n->routes, 3, &n->d->nodes[3].address[0], &r), 0);
		assert_in_range(r.sphinx.hops, 1, 3);
		length[r.sphinx.hops]++;
		assert_int_equal(r.node[0], 3);
		for (unsigned i = 0; i < r.sphinx.hops; i++)
			assert_int_equal(layer_of(n, r.node[i]), 2 + i);
		if (k < 60)
			travels_as_said(n, &r);
	}
	for (unsigned i = 1; i <= 3; i++)
		assert_share(length[i], DRAWS, 1.0 / 3);
	end(n);
}

static void drop_of_the_last_layer_ends_in_the_first(void **state)
{
	static const unsigned width[] = {2, 2, 2};
	struct network *n = network(3, width, 5);
	struct cover_route r;

	(void)state;
	for (unsigned k = 0; k < 100; k++) {
		assert_int_equal(cover_route_drop(n->routes, 1, &n->d->nodes[1].address[0], &r), 0);
		assert_int_equal(r.sphinx.hops, 1);
		assert_int_equal(r.node[0], 1);
		travels_as_said(n, &r);
	}
	end(n);
}

static void drop_goes_to_the_address_of_the_link(void **state)
{
	struct network *n = begin();
	struct cover_route r;

	(void)state;
	add(n, 1, 100, NULL, "\"10.0.0.1:9000\", \"[fd00::1]:9000\"");
	add(n, 2, 100, NULL, "\"10.0.0.2:9000\", \"[fd00::2]:9000\"");
	finish(n, 0);
	for (unsigned a = 0; a < 2; a++) {
		const struct endpoint *at = &n->d->nodes[1].address[a];
		uint8_t bytes[SPHINX_ADDRESS_SIZE];

		assert_int_equal(cover_route_drop(n->routes, 1, at, &r), 0);
		assert_memory_equal(&r.first, at, sizeof(*at));
		address_encode(bytes, at);
		assert_memory_equal(r.sphinx.destination, bytes, sizeof(bytes));
		travels_as_said(n, &r);
	}
	end(n);
}

static void drop_to_no_neighbour_is_refused(void **state)
{
	static const unsigned width[] = {2, 2, 2};
	struct network *n = network(3, width, 0);
	struct cover_route r;

	(void)state;
	assert_int_equal(cover_route_drop(n->routes, 0, &n->d->nodes[0].address[0], &r), -EINVAL);
	assert_int_equal(cover_route_drop(n->routes, 1, &n->d->nodes[1].address[0], &r), -EINVAL);
	assert_int_equal(cover_route_drop(n->routes, 5, &n->d->nodes[5].address[0], &r), -EINVAL);
	assert_int_equal(cover_route_drop(n->routes, 6, &n->d->nodes[0].address[0], &r), -EINVAL);
	end(n);
}

static void drop_that_cannot_go_on_ends_sooner(void **state)
{
	static const unsigned width[] = {1, 2, 2};
	struct network *n = network(3, width, 0);
	struct cover_routes_params p = params(n, 0);
	struct cover_route r;

	(void)state;
	p.leads = nothing;
	open_routes(n, &p);
	for (unsigned k = 0; k < 50; k++) {
		assert_int_equal(cover_route_drop(n->routes, 1, &n->d->nodes[1].address[0], &r), 0);
		assert_int_equal(r.sphinx.hops, 1);
		travels_as_said(n, &r);
	}
	end(n);
}

static void parameters_out_of_range_are_refused(void **state)
{
	static const unsigned width[] = {1, 1};
	struct network *n = network(2, width, 0);
	struct cover_routes *c;
	struct error err;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct cover_routes_params p = params(n, 0);

		if (i == 0)
			p.self = 2;
		else if (i == 1)
			p.mean_delay_ns = UINT64_MAX;
		else
			p.version = 257;
		assert_int_equal(cover_routes_create(&p, &c, &err), -EINVAL);
	}
	end(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_goes_through_the_layers_behind_and_before_ours),
		cmocka_unit_test(loop_comes_home_hop_by_hop),
		cmocka_unit_test(in_one_layer_a_loop_visits_one_other_node),
		cmocka_unit_test(alone_in_the_network_there_is_no_loop),
		cmocka_unit_test(nodes_are_drawn_by_weight),
		cmocka_unit_test(every_pair_of_hops_is_as_likely),
		cmocka_unit_test(first_hop_is_one_that_we_may_send_to),
		cmocka_unit_test(a_narrow_way_through_the_sets_is_found),
		cmocka_unit_test(without_a_way_there_is_no_loop),
		cmocka_unit_test(families_on_a_route_are_distinct_ours_too),
		cmocka_unit_test(hops_that_follow_each_other_share_an_address_family),
		cmocka_unit_test(header_delays_are_exponential),
		cmocka_unit_test(identifiers_differ),
		cmocka_unit_test(drop_ends_at_a_node_that_consumes_it),
		cmocka_unit_test(drop_of_the_last_layer_ends_in_the_first),
		cmocka_unit_test(drop_goes_to_the_address_of_the_link),
		cmocka_unit_test(drop_to_no_neighbour_is_refused),
		cmocka_unit_test(drop_that_cannot_go_on_ends_sooner),
		cmocka_unit_test(parameters_out_of_range_are_refused),
	};
	struct error err;
	int r;

	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	crypto = crypto_create();
	builder = sphinx_builder_create();
	if (!crypto || !builder)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	sphinx_builder_free(builder);
	crypto_free(crypto);
	return r;
}
