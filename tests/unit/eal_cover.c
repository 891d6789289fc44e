/* SPDX-License-Identifier: BSD-3-Clause */
/* A relay's own packets, in a network that the test plays. */
#include "covernet.h"

#include <math.h>
#include "pipeline/cover.h"

/* Loops a second: a test under sanitizers has to keep up with unwrapping them. */
#if defined(__SANITIZE_ADDRESS__)
enum { RATE = 100 };
#else
enum { RATE = 400 };
#endif

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

/* ---- loops ---- */

/* Loops whose time passed before they could be made. */
static uint64_t cover_late(const struct betanet *b)
{
	return b->cover->late;
}

static void fast_loops(struct betanet_config *c)
{
	c->cover = true;
	c->loop_rate_pps = RATE;
	c->mean_delay_ms = 5;
}

/* Loops leave by themselves, through a node of each layer, and each that left comes back. */
static void loops_go_out_and_come_back(unsigned self)
{
	struct covernet *n = covernet_make(self);
	struct betanet *b = covernet_start(n, fast_loops);
	struct betanet_stats s;

	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 100));
	assert_int_equal(s.loops_lost, 0);
	assert_int_equal(s.cover_received, 0);
	assert_int_equal(s.dropped, 0);
	assert_int_equal(n->odd_size, 0);
	assert_int_equal(n->refused, 0);
	assert_int_equal(n->messages, 0);
	assert_true(s.loops_sent >= s.loops_returned);
	for (unsigned i = 0; i < COVERNET_NODES; i++) {
		assert_int_equal(n->consumed[i], 0);
		/* nobody of our own layer is on our loops */
		assert_true((n->taken[i] > 0) == (covernet_layer(i) != covernet_layer(self)));
	}
	mix_stop(b);
	covernet_free(n);
}

static void loops_come_back_to_an_entry(void **state)
{
	(void)state;
	loops_go_out_and_come_back(1);
}

static void loops_come_back_to_a_middle_relay(void **state)
{
	(void)state;
	loops_go_out_and_come_back(2);
}

static void loops_come_back_to_an_exit(void **state)
{
	(void)state;
	loops_go_out_and_come_back(5);
}

/* Within six standard deviations by Poisson's law; what a loaded machine takes of it was counted.
 */
static void loops_leave_at_the_rate(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	uint64_t hz = rte_get_tsc_hz(), start, late = 0;
	double seconds, gap, sum = 0, square = 0, mean;
	struct betanet_stats before, s;

	(void)state;
	covernet_run(n, b, 50);
	betanet_stats_get(b, &before);
	n->first_seen = 0;
	start = rte_rdtsc();
	covernet_run(n, b, 1500);
	betanet_stats_get(b, &s);
	seconds = (double)(rte_rdtsc() - start) / (double)hz;
	mean = RATE * seconds;
	late = cover_late(b);
	assert_true((double)(s.loops_sent - before.loops_sent) < mean + 6 * sqrt(mean));
	assert_true((double)(s.loops_sent - before.loops_sent + late) > mean - 6 * sqrt(mean));
	/* exponential gaps: the standard deviation is the mean, those of a regular clock have none
	 */
	for (unsigned i = 1; i < n->first_seen; i++) {
		gap = (double)(n->first_at[i] - n->first_at[i - 1]) / (double)hz;
		sum += gap;
		square += gap * gap;
	}
	mean = sum / (n->first_seen - 1);
	assert_true(sqrt(square / (n->first_seen - 1) - mean * mean) > 0.7 * mean);
	mix_stop(b);
	covernet_free(n);
}

static void a_loop_counts_once_and_a_copy_is_a_replay(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	struct betanet_stats s;

	(void)state;
	n->twice = true;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 50));
	covernet_until(n, b, (betanet_stats_get(b, &s), s.drops[DROP_replay] >= 50));
	assert_true(s.loops_returned <= s.loops_sent);
	mix_stop(b);
	covernet_free(n);
}

/* Takes alarms while the network runs, until one says `now` of `node` ("": ourselves). Others may
 * come: they are kept in *strange. */
static void until_alarm(struct covernet *n, struct betanet *b, const char *node, const char *now)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() * 30;
	struct betanet_alarm a;

	for (;;) {
		covernet_step(n, b);
		while (betanet_alarm_take(b, &a))
			if (strcmp(a.node, node) == 0 && strcmp(a.now, now) == 0)
				return;
		if (rte_rdtsc() > end)
			fail_msg("no alarm %s of %s: %lu loops sent, %lu returned, %lu lost, %lu "
				 "not judged, %lu drops",
				now, node, (unsigned long)b->cover->sent,
				(unsigned long)b->cover->returned, (unsigned long)b->cover->lost,
				(unsigned long)b->cover->forgotten,
				(unsigned long)b->cover->own_drops);
	}
}

static void loops_swallowed_by_a_node_are_lost_and_accuse_it(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	struct betanet_alarm a;
	struct betanet_stats s;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 50));
	assert_int_equal(s.loops_lost, 0);
	assert_false(betanet_alarm_take(b, &a));
	n->swallow[3] = true;
	until_alarm(n, b, "n3", "lost");
	betanet_stats_get(b, &s);
	assert_true(s.loops_lost >= 3);
	/* it behaves again */
	n->swallow[3] = false;
	until_alarm(n, b, "n3", "ok");
	mix_stop(b);
	covernet_free(n);
}

static void with_known_delays(struct betanet_config *c)
{
	fast_loops(c);
	c->mean_delay_ms = 30;
}

static void a_node_that_skips_its_delays_is_early(void **state)
{
	struct covernet *n = covernet_make(2);
	struct betanet *b = covernet_start(n, with_known_delays);

	(void)state;
	n->hasty[4] = true;
	until_alarm(n, b, "n4", "early");
	mix_stop(b);
	covernet_free(n);
}

static void with_own_delays(struct betanet_config *c)
{
	fast_loops(c);
	c->delay_mode = BETANET_DELAY_VRF;
	c->vrf_mean_ms = c->mean_delay_ms = 30;
	randombytes_buf(c->vrf_seed, sizeof(c->vrf_seed));
	randombytes_buf(c->network_id, sizeof(c->network_id));
	randombytes_buf(c->node_id, sizeof(c->node_id));
}

/* Nobody knows the delays, but all know their law. */
static void a_node_that_skips_delays_of_its_own_is_early(void **state)
{
	struct covernet *n = covernet_make(2);
	struct betanet *b = covernet_start(n, with_own_delays);
	struct betanet_alarm a;
	struct betanet_stats s;

	(void)state;
	n->mean_ms = 30;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= RATE));
	assert_false(betanet_alarm_take(b, &a));
	n->hasty[4] = true;
	until_alarm(n, b, "n4", "early");
	assert_int_equal(b->cover->lost, 0);
	mix_stop(b);
	covernet_free(n);
}

static void when_all_loops_are_lost_our_own_links_are_out(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	struct betanet_stats s;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 50));
	for (unsigned i = 0; i < COVERNET_NODES; i++)
		n->swallow[i] = true;
	until_alarm(n, b, "", "outage");
	mix_stop(b);
	covernet_free(n);
}

/* Loops that we may have dropped ourselves accuse nobody. */
static void while_we_drop_arrivals_no_loss_is_judged(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	uint64_t end = rte_rdtsc() + 2 * rte_get_tsc_hz();
	struct betanet_alarm a;
	struct betanet_stats s;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 50));
	n->swallow[3] = true;
	while (rte_rdtsc() < end) {
		b->control_stats.drops[DROP_global_limit]++; /* as a worker would count them */
		covernet_step(n, b);
	}
	betanet_stats_get(b, &s);
	assert_int_equal(s.loops_lost, 0);
	assert_true(b->cover->forgotten >= RATE / 8);
	assert_false(betanet_alarm_take(b, &a));
	/* and when that is over, they do */
	covernet_run(n, b, 600);
	b->cover->blind_until_ns = 0;
	until_alarm(n, b, "n3", "lost");
	mix_stop(b);
	covernet_free(n);
}

static void two_workers(struct betanet_config *c)
{
	fast_loops(c);
	c->workers = 2;
	c->shaping = BETANET_SHAPING_POISSON;
	c->max_rate_pps = 500;
}

static void with_two_workers_either_reports(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, two_workers);
	struct betanet_stats s;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 200));
	assert_int_equal(s.loops_lost, 0);
	assert_true(b->workers[0].stats.processed > 0 && b->workers[1].stats.processed > 0);
	mix_stop(b);
	covernet_free(n);
}

/* A new directory: loops under way are forgotten, not lost; new ones keep to it. */
static void a_new_directory_forgets_loops_and_goes_on(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	struct betanet_stats s, before;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 50));
	covernet_use(n, b); /* the same one, read again */
	assert_int_equal(b->cover->forgotten, 0);
	n->missing = 3;
	covernet_write(n);
	covernet_use(n, b);
	assert_true(b->cover->forgotten > 0);
	covernet_run(n, b, 500); /* what was made before */
	betanet_stats_get(b, &before);
	n->taken[3] = 0;
	covernet_until(
		n, b, (betanet_stats_get(b, &s), s.loops_returned >= before.loops_returned + 50));
	assert_int_equal(n->taken[3], 0);
	assert_int_equal(s.loops_lost, 0);
	mix_stop(b);
	covernet_free(n);
}

static void without_our_node_in_the_directory_nothing_is_made(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet_stats s;
	struct betanet *b;

	(void)state;
	n->missing = 0;
	covernet_write(n);
	b = covernet_start(n, fast_loops);
	covernet_run(n, b, 600);
	betanet_stats_get(b, &s);
	assert_int_equal(s.loops_sent, 0);
	assert_int_equal(n->first_seen, 0);
	/* until there is one */
	n->missing = COVERNET_NODES;
	covernet_write(n);
	covernet_use(n, b);
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 20));
	mix_stop(b);
	covernet_free(n);
}

static void loops_keep_to_the_neighbours_set(void **state)
{
	struct covernet *n = covernet_make(0);
	const uint64_t only = 1u << 3;
	struct betanet_stats s;
	struct betanet *b;

	(void)state;
	b = covernet_start(n, fast_loops);
	assert_int_equal(betanet_neighbours_set(b, covernet_hash(n), &only, 1), 0);
	covernet_run(n, b, 400); /* what was made before */
	n->taken[2] = 0;
	covernet_until(n, b, (betanet_stats_get(b, &s), n->taken[3] >= 50));
	assert_int_equal(n->taken[2], 0);
	mix_stop(b);
	covernet_free(n);
}

/* ---- drop cover ---- */

static void with_slots(struct betanet_config *c)
{
	c->cover = true;
	c->loop_rate_pps = 20;
	c->mean_delay_ms = 5;
	c->shaping = BETANET_SHAPING_CONSTANT;
	c->max_rate_pps = 200;
}

static unsigned sum(const unsigned *count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < COVERNET_NODES; i++)
		n += count[i];
	return n;
}

/* Every slot sends, every packet has the one size, and each but the loops ends at a node of a layer
 * behind ours whose address it bears. */
static void empty_slots_are_filled(unsigned self)
{
	struct covernet *n = covernet_make(self);
	struct betanet *b = covernet_start(n, with_slots);
	unsigned first = covernet_layer(self) % 3 + 1, last = first == 1 ? 1 : 3;
	struct betanet_stats s, before;
	uint64_t empty;

	covernet_until(n, b, (betanet_stats_get(b, &before), before.slots_cover >= 50));
	covernet_run(n, b, 500);
	betanet_stats_get(b, &s);
	empty = s.slots_empty - before.slots_empty;
	assert_true(s.slots_cover - before.slots_cover > 50);
	/* with a loaded machine the control core may have been away for a stock of 250 ms */
	assert_true(empty * 2 < s.slots - before.slots);
	covernet_until(n, b, sum(n->consumed) >= 200);
	assert_int_equal(n->odd_size, 0);
	assert_int_equal(n->refused, 0);
	assert_int_equal(n->messages, 0);
	for (unsigned i = 0; i < COVERNET_NODES; i++)
		assert_true((n->consumed[i] > 0) ==
			    (covernet_layer(i) >= first && covernet_layer(i) <= last));
	assert_int_equal(s.cover_received, 0);
	mix_stop(b);
	covernet_free(n);
}

static void an_entry_fills_its_slots(void **state)
{
	(void)state;
	empty_slots_are_filled(0);
}

static void an_exit_fills_its_slots_with_cover_for_layer_1(void **state)
{
	(void)state;
	empty_slots_are_filled(4);
}

static void loops_pass_through_the_slots(void **state)
{
	struct covernet *n = covernet_make(2);
	struct betanet *b = covernet_start(n, with_slots);
	struct betanet_stats s;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 30));
	assert_int_equal(s.loops_lost, 0);
	assert_true(s.slots_real >= 30);
	mix_stop(b);
	covernet_free(n);
}

/* In layers of more than 64 nodes everyone has a set of his own: a loop could be dropped by an
 * honest node and accuse it. Cover goes to our own neighbours then, and no further. */
static void nothing_is_led_through_sets_that_are_not_known(void **state)
{
	struct covernet *n = covernet_make(0);
	const uint64_t both = 3u << 2;
	struct betanet_stats s, before;
	struct betanet *b;
	unsigned beyond;

	(void)state;
	n->crowd = 65;
	covernet_write(n);
	b = covernet_start(n, with_slots);
	assert_int_equal(betanet_neighbours_set(b, covernet_hash(n), &both, 1), 0);
	covernet_run(n, b, 2 * COVER_LEAD_MS); /* what was made before */
	betanet_stats_get(b, &before);
	beyond = n->messages + n->refused + n->consumed[4] + n->consumed[5];
	covernet_until(n, b, (betanet_stats_get(b, &s), s.slots_cover >= before.slots_cover + 200));
	assert_int_equal(s.loops_sent, before.loops_sent);
	assert_true(b->cover->no_route > 0);
	assert_int_equal(n->messages + n->refused + n->consumed[4] + n->consumed[5], beyond);
	mix_stop(b);
	covernet_free(n);
}

static void a_new_directory_throws_the_stock_away(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, with_slots);
	unsigned consumed;
	struct betanet_stats s;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.slots_cover >= 100));
	n->missing = 4; /* of the last layer: on the way of packets in stock */
	covernet_write(n);
	covernet_use(n, b);
	covernet_run(n, b, 300);
	covernet_until(n, b, n->count == 0 || sum(n->consumed) > 2000);
	consumed = n->consumed[4];
	covernet_until(n, b, sum(n->consumed) >= 400);
	assert_int_equal(n->consumed[4], consumed);
	assert_int_equal(n->refused, 0);
	mix_stop(b);
	covernet_free(n);
}

/* Traffic holds all buffers that may be had: no cover is made, and the last buffers are left to
 * traffic. When there are buffers again there are loops again. */
static void cover_yields_when_buffers_are_short(void **state)
{
	struct covernet *n = covernet_make(0);
	struct betanet *b = covernet_start(n, fast_loops);
	struct rte_mbuf **held = calloc(b->pool->size, sizeof(struct rte_mbuf *));
	unsigned count = 0;
	struct betanet_stats s, before;

	(void)state;
	covernet_until(n, b, (betanet_stats_get(b, &s), s.loops_returned >= 20));
	while (pool_spare(b) > 0 && count < b->pool->size)
		assert_non_null(held[count++] = rte_pktmbuf_alloc(b->pool));
	covernet_run(n, b, 2 * COVER_LEAD_MS);
	while (pool_spare(b) > 0 && count < b->pool->size) /* of loops that were parked */
		assert_non_null(held[count++] = rte_pktmbuf_alloc(b->pool));
	betanet_stats_get(b, &before);
	covernet_run(n, b, COVER_LEAD_MS);
	betanet_stats_get(b, &s);
	assert_true(b->cover->pool_short >= RATE / 4);
	/* what is missing is what lcores keep in their caches, and the reserve of traffic */
	assert_true(s.pool_free >= b->early.from);
	/* but for what comes free when one leaves */
	assert_true(s.loops_sent - before.loops_sent < RATE * COVER_LEAD_MS / 1000 / 6 + 1);
	rte_pktmbuf_free_bulk(held, count);
	covernet_until(
		n, b, (betanet_stats_get(b, &s), s.loops_returned >= before.loops_returned + 50));
	assert_int_equal(s.dropped, 0);
	free(held);
	mix_stop(b);
	covernet_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_for_the_relay_itself_is_consumed_whatever_its_role),
		cmocka_unit_test(a_packet_for_another_address_is_not),
		cmocka_unit_test(out_of_the_directory_the_relay_has_no_address),
		cmocka_unit_test(loops_come_back_to_an_entry),
		cmocka_unit_test(loops_come_back_to_a_middle_relay),
		cmocka_unit_test(loops_come_back_to_an_exit),
		cmocka_unit_test(loops_leave_at_the_rate),
		cmocka_unit_test(a_loop_counts_once_and_a_copy_is_a_replay),
		cmocka_unit_test(loops_swallowed_by_a_node_are_lost_and_accuse_it),
		cmocka_unit_test(a_node_that_skips_its_delays_is_early),
		cmocka_unit_test(a_node_that_skips_delays_of_its_own_is_early),
		cmocka_unit_test(when_all_loops_are_lost_our_own_links_are_out),
		cmocka_unit_test(while_we_drop_arrivals_no_loss_is_judged),
		cmocka_unit_test(with_two_workers_either_reports),
		cmocka_unit_test(a_new_directory_forgets_loops_and_goes_on),
		cmocka_unit_test(without_our_node_in_the_directory_nothing_is_made),
		cmocka_unit_test(loops_keep_to_the_neighbours_set),
		cmocka_unit_test(an_entry_fills_its_slots),
		cmocka_unit_test(an_exit_fills_its_slots_with_cover_for_layer_1),
		cmocka_unit_test(loops_pass_through_the_slots),
		cmocka_unit_test(nothing_is_led_through_sets_that_are_not_known),
		cmocka_unit_test(a_new_directory_throws_the_stock_away),
		cmocka_unit_test(cover_yields_when_buffers_are_short),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
