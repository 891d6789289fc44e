/* SPDX-License-Identifier: BSD-3-Clause */
/* The lab's generator and sink, with the test as the engine between them: does the sink notice
 * everything that an engine may do wrong? */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sodium.h>
#include "../../app/testmix/traffic.h"
#include "../../app/testmix/wire.h"
#include "core/secmem.h"
#include "sphinx/frame.h"

enum { GOOD = 200, WAIT_MS = 30000, HELD = 1024 };

static struct error err;
static struct traffic *traffic;
static struct mixnet *network;
static struct ethport in, out; /* the engine's */
static struct crypto *crypto;
static struct cli_options options;

/* ---- the engine ---- */

/* What is done with packet number `at` (of those that the engine received): how many copies
 * leave. */
typedef unsigned engine_fn(unsigned at, struct rte_mbuf *m);

static unsigned as_it_came(unsigned at, struct rte_mbuf *m)
{
	(void)at, (void)m;
	return 1;
}

static unsigned lose_every_tenth(unsigned at, struct rte_mbuf *m)
{
	(void)m;
	return at % 10 != 0;
}

static unsigned change_the_last_byte_of_every_fourth(unsigned at, struct rte_mbuf *m)
{
	if (at % 4 == 0)
		rte_pktmbuf_mtod(m, uint8_t *)[m->data_len - 1] ^= 1;
	return 1;
}

static unsigned send_every_fifth_twice(unsigned at, struct rte_mbuf *m)
{
	(void)m;
	return at % 5 ? 1 : 2;
}

static uint8_t *packet_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, uint8_t *, WIRE_HEADERS + FRAME_SIZE);
}

/* One hop, by the one-packet reference. */
static unsigned unwrap(unsigned at, struct rte_mbuf *m)
{
	size_t size = m->data_len - WIRE_HEADERS - FRAME_SIZE;
	struct sphinx_hop hop;

	(void)at;
	return sphinx_unwrap(crypto, network->keys.secret, packet_of(m), size, &hop) == SPHINX_ok &&
	       hop.flag == SPHINX_FLAG_FORWARD;
}

static void send_copies(struct rte_mbuf *m, unsigned copies)
{
	for (unsigned i = 0; i < copies; i++) {
		struct rte_mbuf *c = rte_pktmbuf_copy(m, out.pool, 0, UINT32_MAX);

		assert_non_null(c);
		while (rte_eth_tx_burst(out.id, 0, &c, 1) == 0)
			ethport_sleep_ns(100000);
	}
	rte_pktmbuf_free(m);
}

/* Until the traffic is judged. */
static void run_engine(engine_fn *engine, const struct traffic_engine *what)
{
	unsigned at = 0;

	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	assert_int_equal(traffic_start(traffic, &options, what, &err), 0);
	for (unsigned ms = 0; ms < WAIT_MS && !traffic->judged; ms++) {
		struct rte_mbuf *m[ETHPORT_BURST];
		uint16_t n;

		while ((n = rte_eth_rx_burst(in.id, 0, m, ETHPORT_BURST)) > 0)
			for (uint16_t i = 0; i < n; i++)
				send_copies(m[i], engine(at++, m[i]));
		traffic_poll(traffic);
		ethport_sleep_ns(1000000);
	}
	assert_true(traffic->judged);
	traffic_stop(traffic);
}

static const struct traffic_engine transparent = {
	.view = TRAFFIC_SAME, .replays_come = true, .delays_known = true};
static const struct traffic_engine hop = {
	.view = TRAFFIC_MIXED, .holds = true, .delays_known = true};

static uint64_t lost(void)
{
	return traffic_expected(traffic) - traffic->returned;
}

/* ---- tests ---- */

static void what_comes_back_whole_is_counted_once(void **state)
{
	(void)state;
	run_engine(as_it_came, &transparent);
	assert_int_equal(traffic->sent[TRAFFIC_GOOD], GOOD);
	assert_int_equal(traffic->returned, GOOD);
	assert_int_equal(lost(), 0);
	assert_int_equal(traffic->again + traffic->corrupt + traffic->foreign + traffic->early, 0);
	assert_int_equal(traffic->residence.count, GOOD);
	assert_int_equal(traffic->lateness.count, GOOD);
	assert_int_equal(traffic->lag.count, GOOD);
	assert_true(traffic_complete(traffic));
}

static void lost_packets_are_counted(void **state)
{
	(void)state;
	run_engine(lose_every_tenth, &transparent);
	assert_int_equal(traffic->returned, GOOD - GOOD / 10);
	assert_int_equal(lost(), GOOD / 10);
	assert_false(traffic_complete(traffic));
}

static void one_changed_bit_is_noticed(void **state)
{
	(void)state;
	run_engine(change_the_last_byte_of_every_fourth, &transparent);
	assert_int_equal(traffic->corrupt, GOOD / 4);
	assert_int_equal(lost(), GOOD / 4);
}

static void second_copies_are_no_returns(void **state)
{
	(void)state;
	run_engine(send_every_fifth_twice, &transparent);
	assert_int_equal(traffic->returned, GOOD);
	assert_int_equal(traffic->again, GOOD / 5);
}

static void shares_are_of_all_that_is_sent(void **state)
{
	(void)state;
	options.bad = 10;
	options.replayed = 20;
	options.cover = 20;
	run_engine(as_it_came, &transparent);
	assert_int_equal(traffic->sent[TRAFFIC_GOOD], GOOD);
	assert_int_equal(traffic->sent[TRAFFIC_BAD], GOOD / 5);
	assert_int_equal(traffic->sent[TRAFFIC_REPLAYED], 2 * GOOD / 5);
	assert_int_equal(traffic->sent[TRAFFIC_COVER], 2 * GOOD / 5);
	assert_int_equal(traffic->returned, GOOD + GOOD / 5 + 2 * GOOD / 5);
	assert_int_equal(traffic->again, 2 * GOOD / 5);
}

static void a_hop_is_known_by_what_it_makes_of_a_packet(void **state)
{
	(void)state;
	options.bad = 10;
	options.cover = 10;
	options.mean_delay_ms = 10000;
	run_engine(unwrap, &hop);
	assert_int_equal(traffic_expected(traffic), GOOD);
	assert_int_equal(traffic->returned, GOOD);
	assert_int_equal(traffic->corrupt + traffic->foreign, 0);
	/* the headers ask for seconds: nothing was waited for */
	assert_true(traffic->early > GOOD / 2);
}

static void packets_that_no_hop_has_changed_are_foreign(void **state)
{
	(void)state;
	run_engine(as_it_came, &hop);
	assert_int_equal(traffic->returned, 0);
	assert_int_equal(traffic->foreign, GOOD);
	assert_int_equal(lost(), GOOD);
}

static void packets_are_unique_and_bad_ones_fail_their_mac(void **state)
{
	const size_t size = SPHINX_HEADER_SIZE + 1024;
	uint8_t copy[SPHINX_HEADER_SIZE + 1024];
	unsigned ok = 0, bad = 0, final = 0;

	(void)state;
	options.bad = 25;
	options.cover = 25;
	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	for (uint64_t i = 0; i < traffic->packet_count; i++) {
		struct sphinx_hop h;
		const uint8_t *p =
			traffic->frames + i * traffic->frame_size + WIRE_HEADERS + FRAME_SIZE;
		enum sphinx_status status;

		for (uint64_t k = 0; k < i; k++)
			assert_int_not_equal(traffic->packets[k].mark[TRAFFIC_SAME].key,
				traffic->packets[i].mark[TRAFFIC_SAME].key);
		memcpy(copy, p, size);
		status = sphinx_unwrap(crypto, network->keys.secret, copy, size, &h);
		ok += status == SPHINX_ok && h.flag == SPHINX_FLAG_FORWARD;
		final += status == SPHINX_ok && h.flag == SPHINX_FLAG_FINAL;
		bad += status == SPHINX_bad_mac;
	}
	assert_int_equal(ok, GOOD);
	assert_int_equal(bad, GOOD / 2);
	assert_int_equal(final, GOOD / 2);
}

static void packets_are_built_anew_only_for_other_settings(void **state)
{
	uint64_t key;

	(void)state;
	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	key = traffic->packets[0].mark[TRAFFIC_SAME].key;
	options.rate = 7;
	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	assert_int_equal(traffic->packets[0].mark[TRAFFIC_SAME].key, key);
	options.packets++;
	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	assert_int_equal(traffic->packet_count, GOOD + 1);
	assert_int_not_equal(traffic->packets[0].mark[TRAFFIC_SAME].key, key);
}

/* Nobody takes them off the wire: with a rate what does not fit is lost. */
static void what_the_wire_does_not_take_is_counted(void **state)
{
	(void)state;
	options.packets = 3000;
	options.rate = 10000000;
	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	assert_int_equal(traffic_start(traffic, &options, &transparent, &err), 0);
	for (unsigned ms = 0; ms < WAIT_MS && !traffic->end_ns; ms++)
		ethport_sleep_ns(1000000);
	traffic_stop(traffic);
	assert_int_equal(traffic->sent[TRAFFIC_GOOD] + traffic->refused, 3000);
	assert_true(traffic->refused > 0);
}

/* Of some packets the first copy is lost on the way in, and the second comes through. */
static void a_second_copy_of_what_was_not_taken_is_no_return(void **state)
{
	(void)state;
	options.packets = 3000;
	options.rate = 10000000;
	options.replayed = 20;
	run_engine(as_it_came, &transparent);
	assert_true(traffic->refused > 0);
	assert_int_equal(traffic->returned, traffic->sent[TRAFFIC_GOOD]);
	assert_int_equal(traffic->again, traffic->sent[TRAFFIC_REPLAYED]);
	assert_true(traffic->residence.max < UINT64_C(100000000000));
}

static void sending_stops_when_it_is_told_to(void **state)
{
	(void)state;
	options.rate = 1;
	assert_int_equal(traffic_build(traffic, &options, NULL, &err), 0);
	assert_int_equal(traffic_start(traffic, &options, &transparent, &err), 0);
	traffic_stop_sending(traffic);
	for (unsigned ms = 0; ms < WAIT_MS && !traffic->end_ns; ms++)
		ethport_sleep_ns(1000000);
	assert_true(traffic->end_ns > 0);
	assert_true(traffic->sent[TRAFFIC_GOOD] <= 2);
	traffic_stop(traffic);
	assert_true(traffic->judged);
}

static int set_options(void **state)
{
	(void)state;
	options = (struct cli_options){.packets = GOOD,
		.rate = 2000,
		.rxd = 1024,
		.lcores = 1,
		.hops = 2,
		.grace = 1,
		.payload_size = 1024,
		.mean_delay_ms = 5,
		.sleep = 1};
	return 0;
}

static int empty(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	while (rte_eth_rx_burst(in.id, 0, &m, 1) || rte_eth_rx_burst(traffic->sink.id, 0, &m, 1))
		rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_avail_count(traffic->gen.pool), traffic->gen.pool->size);
	assert_int_equal(rte_mempool_avail_count(out.pool), out.pool->size);
	return 0;
}

static int start(void **state)
{
	const unsigned lcores[2] = {1, 2};
	atomic_bool never = false;

	set_options(state);
	if (traffic_create(&options, lcores, &traffic, &err) ||
		mixnet_create(2, 1, NULL, &network, &err) ||
		ethport_open(&in, "net_ring_mix0", &err) ||
		ethport_open(&out, "net_ring_mix1", &err) ||
		ethport_start(&in, ethport_now(), &never, &err) ||
		ethport_start(&out, ethport_now(), &never, &err)) {
		print_error("%s\n", err.msg);
		return -1;
	}
	traffic->network = network;
	crypto = crypto_create();
	return crypto ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	traffic_free(traffic);
	mixnet_free(network);
	ethport_close(&in);
	ethport_close(&out);
	crypto_free(crypto);
	return 0;
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_options, empty)
	const struct CMUnitTest tests[] = {
		TEST(what_comes_back_whole_is_counted_once),
		TEST(lost_packets_are_counted),
		TEST(one_changed_bit_is_noticed),
		TEST(second_copies_are_no_returns),
		TEST(shares_are_of_all_that_is_sent),
		TEST(a_hop_is_known_by_what_it_makes_of_a_packet),
		TEST(packets_that_no_hop_has_changed_are_foreign),
		TEST(packets_are_unique_and_bad_ones_fail_their_mac),
		TEST(packets_are_built_anew_only_for_other_settings),
		TEST(what_the_wire_does_not_take_is_counted),
		TEST(a_second_copy_of_what_was_not_taken_is_no_return),
		TEST(sending_stops_when_it_is_told_to),
	};
	char *argv[] = {(char *)"eal_testmix_traffic", (char *)"--no-huge", (char *)"-m",
		(char *)"192", (char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry",
		(char *)"--log-level=*:error", (char *)"--lcores=0,(1,2)@0", NULL};

	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0 || rte_eal_init(9, argv) < 0)
		return 1;
	return cmocka_run_group_tests(tests, start, end);
}
