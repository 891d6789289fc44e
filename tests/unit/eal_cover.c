/* SPDX-License-Identifier: BSD-3-Clause */
/* A relay's own packets, in a network that the test plays. */
#include "covernet.h"

/* ---- packets for the relay itself ---- */

/* A packet of one hop, to the pipeline, whose destination is `to`. */
static void final_packet(const struct covernet *n, const struct endpoint *to, uint8_t *out)
{
	struct sphinx_route r = {.hops = 1, .version = SPHINX_V259};

	memcpy(r.hop[0].public_key, n->public[n->self], 32);
	address_encode(r.destination, to);
	randombytes_buf(r.identifier, sizeof(r.identifier));
	assert_int_equal(sphinx_build(mix_crypto, &r, NULL, 0, MIX_PAYLOAD, NULL, out), SPHINX_ok);
}

static void settle(struct betanet *b, uint64_t processed, struct betanet_stats *s)
{
	for (unsigned i = 0; i < 5000; i++) {
		betanet_poll(b);
		betanet_stats_get(b, s);
		if (s->cover_received + s->delivered + s->forwarded + s->dropped >= processed)
			return;
		rte_delay_us_sleep(1000);
	}
	fail_msg("a packet is missing");
}

static void a_packet_for_the_relay_itself_is_consumed_whatever_its_role(void **state)
{
	(void)state;
	for (unsigned self = 0; self < COVERNET_NODES; self += COVERNET_WIDTH) {
		struct covernet *n = covernet_make(self);
		struct endpoint own = covernet_address(self);
		struct betanet *b = covernet_start(n, NULL);
		static uint8_t packet[20][MIX_PACKET];
		const uint8_t *p[20];
		struct betanet_stats s;

		for (unsigned i = 0; i < 20; i++) {
			final_packet(n, &own, packet[i]);
			p[i] = packet[i];
		}
		assert_int_equal(betanet_submit(b, p, 20), 20);
		settle(b, 20, &s);
		assert_int_equal(s.cover_received, 20);
		assert_int_equal(s.dropped, 0);
		assert_int_equal(s.delivered, 0);
		assert_int_equal(s.processed, 20);
		/* a copy of one is a replay, as of any packet */
		assert_int_equal(betanet_submit(b, p, 1), 1);
		settle(b, 21, &s);
		assert_int_equal(s.cover_received, 20);
		assert_int_equal(s.drops[DROP_replay], 1);
		mix_stop(b);
		covernet_free(n);
	}
}

static void a_packet_for_another_address_is_not(void **state)
{
	struct covernet *n = covernet_make(2);
	struct endpoint other = covernet_address(3), port = covernet_address(2);
	struct betanet *b = covernet_start(n, NULL);
	static uint8_t packet[2][MIX_PACKET];
	const uint8_t *p[2] = {packet[0], packet[1]};
	struct betanet_stats s;

	(void)state;
	port.port++;
	final_packet(n, &other, packet[0]);
	final_packet(n, &port, packet[1]);
	assert_int_equal(betanet_submit(b, p, 2), 2);
	settle(b, 2, &s);
	assert_int_equal(s.cover_received, 0);
	assert_int_equal(s.drops[DROP_not_exit], 2);
	mix_stop(b);
	covernet_free(n);
}

static void out_of_the_directory_the_relay_has_no_address(void **state)
{
	struct covernet *n = covernet_make(2);
	struct endpoint own = covernet_address(2);
	static uint8_t packet[MIX_PACKET];
	const uint8_t *p = packet;
	struct betanet_stats s;
	struct betanet *b;

	(void)state;
	n->missing = 2;
	covernet_write(n);
	b = covernet_start(n, NULL);
	final_packet(n, &own, packet);
	assert_int_equal(betanet_submit(b, &p, 1), 1);
	settle(b, 1, &s);
	assert_int_equal(s.cover_received, 0);
	assert_int_equal(s.drops[DROP_not_exit], 1);
	/* until a directory comes that has us */
	n->missing = COVERNET_NODES;
	covernet_write(n);
	covernet_use(n, b);
	final_packet(n, &own, packet);
	assert_int_equal(betanet_submit(b, &p, 1), 1);
	settle(b, 2, &s);
	assert_int_equal(s.cover_received, 1);
	mix_stop(b);
	covernet_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_for_the_relay_itself_is_consumed_whatever_its_role),
		cmocka_unit_test(a_packet_for_another_address_is_not),
		cmocka_unit_test(out_of_the_directory_the_relay_has_no_address),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
