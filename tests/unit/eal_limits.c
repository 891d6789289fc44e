/* SPDX-License-Identifier: BSD-3-Clause */
/* What a relay takes from whom, packet by packet; all before any curve arithmetic. */
#include "wirelab.h"

#include <malloc.h>
#include <rte_malloc.h>

enum { BURST = 20 };

static struct betanet_limits limits; /* of the next relay */

static void with_limits(struct betanet_config *c)
{
	c->limits = limits;
}

static void start(struct betanet_limits l)
{
	limits = l;
	lab_start(1, with_limits);
}

/* n frames that no relay can open: those that were admitted are bad_mac or bad_point. */
static void send_forged(const char *from, unsigned n)
{
	uint8_t packet[MIX_PACKET];

	for (unsigned i = 0; i < n; i++) {
		randombytes_buf(packet, sizeof(packet));
		packet[31] &= 0x7f;
		assert_true(lab_offer(0, from, packet, MIX_PACKET));
	}
}

static uint64_t opened(const struct betanet_stats *s)
{
	return s->drops[DROP_bad_mac] + s->drops[DROP_bad_point] + s->processed;
}

/* Sends n forged frames, and returns how many were admitted; the others must be `why`. */
static uint64_t admitted(const char *from, unsigned n, enum drop_reason why)
{
	struct betanet_stats before, s;

	lab_settle(&before);
	send_forged(from, n);
	lab_settle(&s);
	assert_int_equal(opened(&s) - opened(&before) + s.drops[why] - before.drops[why], n);
	return opened(&s) - opened(&before);
}

static void without_limits_everyone_is_taken(void **state)
{
	(void)state;
	start((struct betanet_limits){.strangers = true, .source_burst = 1, .peer_burst = 1});
	assert_null(lab.b->admission);
	assert_int_equal(admitted("10.9.9.9:1", 3000, DROP_source_limit), 3000);
	assert_int_equal(admitted(lab_peer[0], 3000, DROP_peer_limit), 3000);
	assert_int_equal(lab.b->workers[0].stats.drops[DROP_global_limit], 0);
	lab_stop();
}

static void only_relays_of_the_directory_are_taken_where_strangers_are_not(void **state)
{
	(void)state;
	start((struct betanet_limits){.source_burst = 1, .peer_burst = 1});
	for (unsigned i = 0; i < LAB_PEERS; i++)
		assert_int_equal(admitted(lab_peer[i], 50, DROP_unknown_source), 50);
	assert_int_equal(admitted(LAB_NEXT, 50, DROP_unknown_source), 50);
	/* another host; a relay's address with another port; with the other family's bits */
	assert_int_equal(admitted("10.0.0.14:9000", 50, DROP_unknown_source), 0);
	assert_int_equal(admitted("10.0.0.11:9001", 50, DROP_unknown_source), 0);
	assert_int_equal(admitted("[fd00::16]:9000", 50, DROP_unknown_source), 0);
	assert_int_equal(admitted("[fd00::15]:9001", 50, DROP_unknown_source), 0);
	lab_stop();
}

/* One packet a second: within a test's time a burst and what the clock says. */
static const struct betanet_limits slow = {.strangers = true,
	.source_pps = 1,
	.source_burst = BURST,
	.peer_pps = 1,
	.peer_burst = 2 * BURST};

static void assert_burst(const char *from, enum drop_reason why, uint64_t burst)
{
	uint64_t start_tsc = rte_rdtsc(), got = admitted(from, 3 * BURST, why);

	assert_in_range(got, burst, lab_allowance(1, burst, start_tsc));
}

static void a_stranger_is_held_to_its_burst_and_rate(void **state)
{
	(void)state;
	start(slow);
	assert_burst("10.9.0.1:5000", DROP_source_limit, BURST);
	assert_burst("10.9.0.2:5000", DROP_source_limit, BURST); /* another /32 has its own */
	assert_burst("[fd00:9:0:100::1]:5000", DROP_source_limit, BURST);
	assert_burst("[fd00:9:0:200::1]:5000", DROP_source_limit, BURST); /* and another /56 */
	/* the same /32 and /56 with other ports and addresses do not */
	assert_burst("10.9.0.1:5001", DROP_source_limit, 0);
	assert_burst("[fd00:9:0:1ff:2::3]:77", DROP_source_limit, 0);
	lab_stop();
}

static void a_relay_is_held_to_a_limit_of_its_own(void **state)
{
	(void)state;
	start(slow);
	for (unsigned i = 0; i < LAB_PEERS; i++)
		assert_burst(lab_peer[i], DROP_peer_limit, 2 * BURST);
	assert_burst(lab_peer[0], DROP_peer_limit, 0);
	/* its address with another port is a stranger */
	assert_burst("10.0.0.11:9001", DROP_source_limit, BURST);
	lab_stop();
}

static void a_relays_limit_outlives_snapshots_and_begins_anew_with_a_directory(void **state)
{
	uint64_t serial;

	(void)state;
	start(slow);
	assert_burst(lab_peer[1], DROP_peer_limit, 2 * BURST);
	serial = lab.b->snapshot_serial;
	assert_int_equal(betanet_neighbours_set(lab.b, NULL, NULL, 0), 0);
	lab_poll();
	assert_true(lab.b->snapshot_serial > serial);
	assert_burst(lab_peer[1], DROP_peer_limit, 0);
	lab_use_directory();
	assert_burst(lab_peer[1], DROP_peer_limit, 2 * BURST);
	lab_stop();
}

static void two_workers_share_a_senders_limit(void **state)
{
	struct betanet_stats before, s;
	uint8_t packet[MIX_PACKET];
	uint64_t start_tsc;

	(void)state;
	limits = slow;
	lab_start(2, with_limits);
	lab_settle(&before);
	randombytes_buf(packet, sizeof(packet));
	start_tsc = rte_rdtsc();
	for (unsigned i = 0; i < 400; i++) {
		assert_true(lab_offer(i % 2, "10.9.0.1:5000", packet, MIX_PACKET));
		assert_true(lab_offer(i % 2, lab_peer[3], packet, MIX_PACKET));
	}
	lab_settle(&s);
	assert_in_range(
		400 - s.drops[DROP_source_limit], BURST, lab_allowance(1, BURST, start_tsc));
	assert_in_range(
		400 - s.drops[DROP_peer_limit], 2 * BURST, lab_allowance(1, 2 * BURST, start_tsc));
	lab_stop();
}

static void a_frame_of_a_wrong_length_uses_up_nothing(void **state)
{
	struct betanet_stats before, s;
	uint8_t packet[MIX_PACKET] = {0};

	(void)state;
	start(slow);
	lab_settle(&before);
	for (unsigned i = 0; i < 500; i++)
		assert_true(lab_offer(0, "10.9.0.1:5000", packet, i % 2 ? 100 : MIX_PACKET + 1));
	lab_settle(&s);
	assert_dropped(&before, &s, DROP_bad_length, 500);
	assert_burst("10.9.0.1:5000", DROP_source_limit, BURST);
	lab_stop();
}

static void a_packet_above_the_limit_is_not_remembered_and_may_come_again(void **state)
{
	enum { N = 40 };
	struct betanet_stats s;
	struct lab_packet *p;
	uint64_t start_tsc, first;

	(void)state;
	start(slow);
	p = lab_build(N, LAB_NEXT, 1000000, 1000000);
	start_tsc = rte_rdtsc();
	for (unsigned i = 0; i < N; i++)
		lab_send("10.9.0.1:5000", &p[i]);
	lab_settle(&s);
	first = s.forwarded;
	assert_in_range(first, BURST, lab_allowance(1, BURST, start_tsc));
	assert_int_equal(s.drops[DROP_source_limit], N - first);
	assert_int_equal(s.replay_tags, first);
	for (unsigned i = 0; i < N; i++)
		lab_send("10.9.0.2:5000", &p[i]);
	lab_settle(&s);
	/* of the second round, by another sender, BURST were looked at: the first ones, replays */
	assert_in_range(s.drops[DROP_replay], BURST, first);
	for (unsigned i = BURST; i < N; i++)
		lab_send(lab_peer[0], &p[i]);
	lab_settle(&s);
	assert_int_equal(s.forwarded, N);
	assert_int_equal(lab_check_departures(), N);
	lab_stop();
}

/* ---- the global limit ---- */

enum { GLOBAL = 100 };

/* Strangers have half of the bucket at most: 2 bursts of 128; relays all of it. */
static void relays_have_first_call_on_the_global_limit(void **state)
{
	const uint64_t half = 2 * BETANET_MAX_BATCH;
	struct betanet_stats before, s;
	uint64_t start_tsc, got;

	(void)state;
	start((struct betanet_limits){
		.strangers = true, .source_burst = 1, .peer_burst = 1, .global_pps = GLOBAL});
	betanet_stats_get(lab.b, &s);
	assert_int_equal(s.global_limit_pps, GLOBAL);
	start_tsc = rte_rdtsc();
	got = admitted("10.9.0.1:5000", 2000, DROP_global_limit);
	assert_in_range(got, half, lab_allowance(GLOBAL, half, start_tsc));
	/* a crowd of strangers goes on; relays find what is kept for them */
	lab_settle(&before);
	for (unsigned i = 0; i < 240; i++) {
		char from[32];

		snprintf(from, sizeof(from), "10.9.%u.%u:5000", i, i);
		send_forged(from, 5);
		send_forged(lab_peer[i % LAB_PEERS], 1);
	}
	lab_settle(&s);
	got = opened(&s) - opened(&before);
	assert_int_equal(got + s.drops[DROP_global_limit] - before.drops[DROP_global_limit], 1440);
	assert_in_range(got, 240, lab_allowance(GLOBAL, 2 * half, start_tsc));
	lab_stop();
}

static void the_global_limit_is_nine_tenths_of_the_measured_capacity(void **state)
{
	struct admission_state a;
	struct betanet_stats s;

	(void)state;
	limits = (struct betanet_limits){.strangers = true,
		.source_burst = 1,
		.peer_burst = 1,
		.global_pps = BETANET_GLOBAL_AUTO};
	lab_start(2, with_limits);
	admission_state(lab.b, &a);
	betanet_stats_get(lab.b, &s);
	/* no machine unwraps a packet in less than a microsecond; none needs 100 ms, not even under
	 * a sanitizer */
	assert_in_range(a.capacity_pps, 10, 1000000);
	assert_int_equal(s.global_limit_pps, a.capacity_pps * 90 / 100 * 2);
	assert_int_equal(a.global_pps, s.global_limit_pps);
	lab_stop();
}

/* ---- without ports ---- */

static void two_exits(struct betanet_config *c)
{
	with_limits(c);
	c->role = BETANET_EXIT;
	c->queue_depth = 512;
	c->workers = 2;
}

static void submitted_packets_wait_for_the_global_limit_and_none_is_lost(void **state)
{
	/* two workers' buckets hold 4 bursts of 128 each */
	enum { RATE = 2000, BUCKETS = 2 * 4 * BETANET_MAX_BATCH, N = 3000 };
	static uint8_t packet[N][MIX_PACKET], got[64][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_output out[64];
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet_stats s;
	unsigned sent = 0, have = 0, refused = 0;
	struct mix_keys k;
	struct betanet *b;
	uint64_t began;
	double seconds;

	(void)state;
	mix_keys_make(&k);
	limits = (struct betanet_limits){
		.source_pps = 1, .source_burst = 1, .peer_burst = 1, .global_pps = RATE};
	for (unsigned i = 0; i < N; i++) {
		randombytes_buf(packet[i], MIX_PACKET);
		p[i] = packet[i];
	}
	/* every 40th is a real one */
	for (unsigned i = 0; i < N; i += 40)
		mix_build(&k, 1, "192.0.2.1:1", "192.0.2.9:9", 0, SPHINX_V259, &i, sizeof(i),
			packet[i]);
	mix_config(&c, k.secret[0]);
	two_exits(&c);
	if (betanet_create(&c, &b, err) < 0 || betanet_start(b, err) < 0)
		fail_msg("%s", err);
	memset(&lab, 0, sizeof(lab));
	lab.b = b; /* for lab_teardown */
	began = rte_rdtsc();
	for (unsigned i = 0; i < 60000 && have < N / 40; i++) {
		unsigned took = betanet_submit(b, p + sent, N - sent);
		int n;

		sent += took;
		refused += sent < N;
		for (unsigned k2 = 0; k2 < 64; k2++) {
			out[k2].data = got[k2];
			out[k2].capacity = MIX_PACKET;
		}
		n = betanet_collect(b, out, 64);
		assert_true(n >= 0);
		have += (unsigned)n;
		betanet_poll(b);
		rte_delay_us_sleep(500);
	}
	seconds = (double)(rte_rdtsc() - began) / (double)rte_get_tsc_hz();
	betanet_stats_get(b, &s);
	assert_int_equal(sent, N);
	assert_true(refused > 0); /* back-pressure came */
	assert_int_equal(have, N / 40);
	assert_int_equal(s.drops[DROP_global_limit] + s.drops[DROP_unknown_source] +
				 s.drops[DROP_source_limit],
		0);
	assert_true(seconds >= (double)(N - BUCKETS - 2 * 40) / RATE);
	lab.b = NULL;
	mix_stop(b);
}

/* ---- memory ---- */

static size_t rte_heap(void)
{
	size_t sum = 0;

	for (unsigned i = 0; i < rte_socket_count(); i++) {
		struct rte_malloc_socket_stats s;

		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &s) == 0)
			sum += s.heap_allocsz_bytes;
	}
	return sum;
}

static void a_crowd_of_strangers_takes_no_memory(void **state)
{
	enum { N = 20000 };
	uint8_t packet[MIX_PACKET];
	struct betanet_stats before, s;
	struct mallinfo2 heap;
	size_t rte;

	(void)state;
	start((struct betanet_limits){
		.strangers = true, .source_pps = 1, .source_burst = 1, .peer_burst = 1});
	randombytes_buf(packet, sizeof(packet));
	packet[31] &= 0x7f;
	assert_int_equal(admitted("10.9.0.1:5000", 10, DROP_source_limit), 1);
	lab_settle(&before);
	rte = rte_heap();
	heap = mallinfo2();
	for (unsigned i = 0; i < N; i++) {
		char from[40];

		snprintf(from, sizeof(from), i % 2 ? "10.%u.%u.9:5000" : "[fd07:%x:%x::1]:5000",
			i >> 8, i & 255);
		while (!lab_offer(0, from, packet, MIX_PACKET))
			lab_pause(1000);
		if (i % 64 == 0)
			lab_poll();
	}
	lab_settle(&s);
	assert_int_equal(rte_heap(), rte);
	assert_int_equal(mallinfo2().uordblks, heap.uordblks);
	/* each is another source: nearly all are admitted once, those that meet two others not */
	assert_true(s.drops[DROP_source_limit] - before.drops[DROP_source_limit] < N / 200);
	assert_int_equal(opened(&s) - opened(&before) + s.drops[DROP_source_limit] -
				 before.drops[DROP_source_limit],
		N);
	lab_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ON_WIRE(f) cmocka_unit_test_teardown(f, lab_teardown)
		ON_WIRE(without_limits_everyone_is_taken),
		ON_WIRE(only_relays_of_the_directory_are_taken_where_strangers_are_not),
		ON_WIRE(a_stranger_is_held_to_its_burst_and_rate),
		ON_WIRE(a_relay_is_held_to_a_limit_of_its_own),
		ON_WIRE(a_relays_limit_outlives_snapshots_and_begins_anew_with_a_directory),
		ON_WIRE(two_workers_share_a_senders_limit),
		ON_WIRE(a_frame_of_a_wrong_length_uses_up_nothing),
		ON_WIRE(a_packet_above_the_limit_is_not_remembered_and_may_come_again),
		ON_WIRE(relays_have_first_call_on_the_global_limit),
		ON_WIRE(the_global_limit_is_nine_tenths_of_the_measured_capacity),
		ON_WIRE(submitted_packets_wait_for_the_global_limit_and_none_is_lost),
		ON_WIRE(a_crowd_of_strangers_takes_no_memory),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
