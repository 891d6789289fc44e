/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overload and failure. In each case: nothing crashes, no packet leaves before its time (every one
 * is looked at), buffers are all there in the end, and offered = sent + drops by reason: wirelab.h
 * holds the account. Nothing here depends on the machine's speed.
 */
#include "wirelab.h"

#include <signal.h>

enum { MS = 1000000 };

/* ---- traffic ---- */

/* `count` packets of a sender, in turn, at a rate; again from the first one if they do not
 * suffice, where `again` is set. */
struct stream {
	const char *from; /* with %u: a port or host that changes */
	double pps;
	struct lab_packet *packet; /* NULL: nothing that a relay could open */
	unsigned count;
	bool again;
	bool flood; /* not sent when the wire is full; the others wait for it */
	unsigned queue;
	/* so far */
	uint64_t offered, tried;
};

/* Packets for a stream; `number` is how they are told from those of others. */
static struct stream stream_of(const char *from, double pps, unsigned number, unsigned count,
	const char *next, uint64_t from_ns, uint64_t to_ns)
{
	struct stream s = {.from = from, .pps = pps, .count = count};

	s.packet = lab_build(count, next, from_ns, to_ns);
	for (unsigned i = 0; i < count; i++)
		s.packet[i].stream = number;
	return s;
}

/* False: the wire is full. */
static bool send_next(struct stream *s)
{
	uint8_t forged[MIX_PACKET];
	struct lab_packet *p;
	char from[64];
	uint64_t now;

	snprintf(from, sizeof(from), s->from, 1000 + (unsigned)(s->tried * 7919 % 9000));
	if (!s->packet) {
		randombytes_buf(forged, sizeof(forged));
		forged[31] &= 0x7f;
		return lab_offer(s->queue, from, forged, MIX_PACKET);
	}
	p = &s->packet[s->tried % s->count];
	now = rte_rdtsc();
	if (!lab_offer(s->queue, from, p->bytes, MIX_PACKET))
		return false;
	if (!p->sent)
		p->sent = now;
	return true;
}

static void send_due(struct stream *s, double seconds)
{
	uint64_t due = (uint64_t)(s->pps * seconds);

	if (s->packet && !s->again && due > s->count)
		due = s->count;
	while (s->tried < due) {
		if (s->flood && rte_ring_count(lab.rx[s->queue]) > LAB_WIRE / 4) {
			s->tried = due; /* lost in front of the relay */
			return;
		}
		if (send_next(s))
			s->offered++;
		else if (!s->flood) {
			lab_pause(500);
			continue;
		}
		s->tried++;
	}
}

/* All streams for so long, then what the honest ones still have. */
static void send_streams(struct stream *s, unsigned n, double seconds)
{
	uint64_t start = rte_rdtsc();
	double now = 0;

	while (now < seconds) {
		lab_pause(500);
		now = (double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz();
		for (unsigned i = 0; i < n; i++)
			send_due(&s[i], now);
	}
	for (unsigned i = 0; i < n; i++)
		if (!s[i].flood)
			send_due(&s[i], 1e6);
}

/* Packets of honest streams: all were sent, and all left. */
static void assert_all_left(unsigned stream, unsigned count)
{
	assert_int_equal(lab_sent(stream), count);
	if (lab_left(stream) != count)
		fail_msg("stream %u: %u of %u packets left", stream, lab_left(stream), count);
}

static void (*change_config)(struct betanet_config *);
static struct betanet_limits limits;

static void with_limits(struct betanet_config *c)
{
	c->limits = limits;
	if (change_config)
		change_config(c);
}

static void start(struct betanet_limits l, void (*change)(struct betanet_config *))
{
	limits = l;
	change_config = change;
	lab_start(1, with_limits);
}

static const struct betanet_limits no_limits = {
	.strangers = true, .source_burst = 1, .peer_burst = 1};

/* ---- more than the capacity ---- */

enum { GLOBAL = 1500, HONEST = 40, FLOOD = 500 };

/* LAB_PEERS honest relays, numbered from 0, each with 100 packets a second. */
static void honest_relays(struct stream s[LAB_PEERS])
{
	for (unsigned i = 0; i < LAB_PEERS; i++)
		s[i] = stream_of(lab_peer[i], 100, i, HONEST, LAB_NEXT, 5 * MS, 40 * MS);
}

/*
 * The capacity is what `global` says, or BETANET_GLOBAL_AUTO: what the relay measured. Strangers
 * send `factor` times as much, valid packets all of them, until they run out and come again; not
 * when the wire is full, as it may be where the worker has little of a core.
 */
static void overload(uint64_t global, double factor)
{
	struct stream s[LAB_PEERS + 1];
	struct betanet_stats t;
	uint64_t passed, limit, bucket;

	start((struct betanet_limits){.strangers = true,
		      .source_burst = 1,
		      .peer_pps = 2000,
		      .peer_burst = 1024,
		      .global_pps = global},
		NULL);
	betanet_stats_get(lab.b, &t);
	limit = t.global_limit_pps;
	assert_true(limit > 0);
	bucket = 2 * RTE_MAX(limit / 100, 2ul * BETANET_MAX_BATCH);
	honest_relays(s);
	s[LAB_PEERS] = stream_of("10.20.0.1:%u", factor * (double)limit, LAB_PEERS, FLOOD, LAB_NEXT,
		50 * MS, 300 * MS);
	s[LAB_PEERS].flood = s[LAB_PEERS].again = true;
	lab.began = rte_rdtsc();
	send_streams(s, LAB_PEERS + 1, 0.4);
	lab_settle(&t);
	passed = t.forwarded + t.drops[DROP_replay];
	assert_int_equal(passed + t.drops[DROP_global_limit] + t.control, t.rx);
	assert_true(passed <= lab_allowance(limit, bucket, lab.began));
	assert_int_equal(lab_check_departures(), t.forwarded);
	for (unsigned i = 0; i < LAB_PEERS; i++)
		assert_all_left(i, HONEST);
	print_message("          limit %lu/s, flood: %lu offered, %u left, %lu replays, %lu above "
		      "the limit\n",
		(unsigned long)limit, (unsigned long)s[LAB_PEERS].offered, lab_left(LAB_PEERS),
		(unsigned long)t.drops[DROP_replay], (unsigned long)t.drops[DROP_global_limit]);
	if (global != BETANET_GLOBAL_AUTO)
		assert_true(t.drops[DROP_global_limit] > 0);
	lab_stop();
}

static void at_twice_the_capacity_honest_relays_lose_nothing(void **state)
{
	(void)state;
	overload(GLOBAL, 2);
}

static void at_ten_times_the_capacity_honest_relays_lose_nothing(void **state)
{
	(void)state;
	overload(GLOBAL, 10);
}

static void at_ten_times_the_measured_capacity_honest_relays_lose_nothing(void **state)
{
	(void)state;
	overload(BETANET_GLOBAL_AUTO, 10);
}

/* ---- floods ---- */

static void a_flood_of_forged_packets_costs_honest_ones_nothing(void **state)
{
	struct stream s[LAB_PEERS + 1] = {[LAB_PEERS] = {"10.30.0.1:%u", 1e6, .flood = true}};
	struct betanet_stats t;

	(void)state;
	start(no_limits, NULL);
	honest_relays(s);
	send_streams(s, LAB_PEERS + 1, 0.3);
	lab_settle(&t);
	assert_true(s[LAB_PEERS].offered > 1000);
	assert_int_equal(t.drops[DROP_bad_mac] + t.drops[DROP_bad_point], s[LAB_PEERS].offered);
	assert_int_equal(t.dropped, s[LAB_PEERS].offered);
	/* nothing forged is remembered */
	assert_int_equal(t.replay_tags, LAB_PEERS * HONEST);
	assert_int_equal(lab_check_departures(), LAB_PEERS * HONEST);
	for (unsigned i = 0; i < LAB_PEERS; i++)
		assert_all_left(i, HONEST);
	lab_stop();
}

enum { SOURCE = 200, SOURCE_BURST = 64 };

/* Relays, a quiet stranger, and `flooder`, who sends a hundred times what it may. */
static void flood_from(const char *flooder, enum drop_reason why)
{
	enum { STRANGER = LAB_PEERS, FLOODER };
	struct stream s[FLOODER + 1];
	struct betanet_stats t;

	start((struct betanet_limits){.strangers = true,
		      .source_pps = SOURCE,
		      .source_burst = SOURCE_BURST,
		      .peer_pps = SOURCE,
		      .peer_burst = SOURCE_BURST},
		NULL);
	honest_relays(s);
	s[STRANGER] = stream_of("10.7.0.1:5000", 100, STRANGER, HONEST, LAB_NEXT, 5 * MS, 40 * MS);
	s[FLOODER] = stream_of(flooder, 100 * SOURCE, FLOODER, FLOOD, LAB_NEXT, 50 * MS, 300 * MS);
	s[FLOODER].flood = s[FLOODER].again = true;
	lab.began = rte_rdtsc();
	send_streams(s, FLOODER + 1, 0.4);
	lab_settle(&t);
	assert_int_equal(lab_check_departures(), t.forwarded);
	for (unsigned i = 0; i <= STRANGER; i++)
		assert_all_left(i, HONEST);
	/* each of the flooder's packets left, or was above its limit, or came again */
	assert_int_equal(
		t.forwarded - (LAB_PEERS + 1) * HONEST + t.drops[why] + t.drops[DROP_replay],
		s[FLOODER].offered);
	assert_int_equal(t.dropped, t.drops[why] + t.drops[DROP_replay]);
	assert_in_range(lab_left(FLOODER) + t.drops[DROP_replay], SOURCE_BURST,
		lab_allowance(SOURCE, SOURCE_BURST, lab.began));
	print_message("          flooder: %lu offered, %u left; honest senders: %u of %u\n",
		(unsigned long)s[FLOODER].offered, lab_left(FLOODER), (LAB_PEERS + 1) * HONEST,
		(LAB_PEERS + 1) * HONEST);
	lab_stop();
}

static void a_flooding_host_is_cut_to_its_rate_and_others_lose_nothing(void **state)
{
	(void)state;
	flood_from("10.66.0.1:%u", DROP_source_limit);
}

static void a_flooding_56_is_cut_to_its_rate_and_others_lose_nothing(void **state)
{
	(void)state;
	flood_from("[fd66:0:0:77::%u]:5000", DROP_source_limit);
}

static void a_flooding_relay_is_cut_to_its_rate_and_others_lose_nothing(void **state)
{
	(void)state;
	flood_from(LAB_NEXT, DROP_peer_limit);
}

/* ---- what runs out ---- */

static void small_pool(struct betanet_config *c)
{
	c->target_pps = 1;
	c->mean_delay_ms = 1;
	c->queue_depth = 64;
	c->batch_size = 32;
}

/* Frames come out of the relay's own pool, as those of a NIC do, and stay parked for a second. */
static void when_buffers_run_out_arrivals_are_dropped_and_parked_packets_keep_their_time(
	void **state)
{
	struct stream s = {0};
	struct betanet_stats t;
	uint64_t most = 0;
	unsigned size;

	(void)state;
	start(no_limits, small_pool);
	size = lab.b->pool->size;
	assert_true(size + size / 4 <= LAB_PACKETS);
	s = stream_of("10.7.0.1:5000", 1e6, 0, size + size / 4, LAB_NEXT, 800 * MS, 1600 * MS);
	lab.from = lab.b->pool;
	for (unsigned i = 0; i < s.count; i++) {
		if (!lab_try_send(s.from, &s.packet[i]))
			rte_delay_us_sleep(100);
		if (i % 16 == 0) {
			lab_poll();
			betanet_stats_get(lab.b, &t);
			most = RTE_MAX(most, t.parked);
		}
	}
	lab.from = lab.frames;
	lab_settle(&t);
	assert_true(t.drops[DROP_pool_full] > 0);
	assert_int_equal(t.dropped - t.drops[DROP_control_full], t.drops[DROP_pool_full]);
	assert_true(most <= size);
	/* most of the pool could be used, and what was taken was kept */
	assert_true(t.forwarded > size / 4);
	assert_int_equal(lab_check_departures(), t.forwarded);
	print_message("          %u buffers: %lu offered, %lu parked at most, %lu dropped\n", size,
		(unsigned long)lab.offered, (unsigned long)most,
		(unsigned long)t.drops[DROP_pool_full]);
	lab_stop();
}

static void slow_link(struct betanet_config *c)
{
	c->shaping = BETANET_SHAPING_RATE;
	c->max_rate_pps = 500;
	c->burst_size = 8;
	c->queue_depth = 64;
}

static void a_link_that_is_too_slow_drops_what_its_queue_cannot_hold(void **state)
{
	enum { N = 600 };
	struct betanet_stats t;
	struct stream s;

	(void)state;
	start(no_limits, slow_link);
	s = stream_of("10.7.0.1:5000", 1e6, 0, N, LAB_NEXT, 5 * MS, 400 * MS);
	send_streams(&s, 1, 0.01);
	lab_settle(&t);
	assert_int_equal(t.forwarded + t.drops[DROP_shaper_full], N);
	assert_int_equal(t.dropped, t.drops[DROP_shaper_full]);
	assert_true(t.drops[DROP_shaper_full] > 0);
	assert_true(t.forwarded >= 64);
	assert_int_equal(lab_check_departures(), t.forwarded);
	lab_stop();
}

/* ---- what fails ---- */

static void a_dead_next_hop_costs_its_own_packets_alone(void **state)
{
	enum { ALIVE, DEAD, N = 200 };
	struct stream s[2];
	struct betanet_stats t;

	(void)state;
	start(no_limits, NULL);
	s[ALIVE] = stream_of(lab_peer[0], 1000, ALIVE, N, LAB_NEXT, MS, 20 * MS);
	s[DEAD] = stream_of(lab_peer[1], 1000, DEAD, N, LAB_DEAD, MS, 20 * MS);
	send_streams(s, 2, 0.2);
	lab_settle(&t);
	assert_int_equal(t.drops[DROP_unresolved], N);
	assert_int_equal(t.dropped, N);
	assert_int_equal(lab_check_departures(), N);
	assert_all_left(ALIVE, N);
	assert_int_equal(lab_left(DEAD), 0);
	lab_stop();
}

/* A worker that the kernel gives no core: its thread is held in a signal handler. */
static _Atomic bool holding, release;

static void hold_thread(int sig)
{
	const struct timespec ms = {.tv_nsec = MS};

	(void)sig;
	atomic_store(&holding, true);
	while (!atomic_load(&release))
		nanosleep(&ms, NULL);
	atomic_store(&holding, false);
}

static void wait_for(_Atomic bool *flag, bool value)
{
	for (unsigned i = 0; i < 20000 && atomic_load(flag) != value; i++)
		lab_pause(1000);
	assert_int_equal(atomic_load(flag), value);
}

/* Both workers have sent something: their threads are known. */
static void learn_threads(struct stream s[2])
{
	for (unsigned q = 0; q < 2; q++) {
		s[q].queue = q;
		for (unsigned i = 0; i < 20000 && atomic_load(&lab.worker_tid[q]) == 0; i++) {
			if (s[q].tried < 10) {
				assert_true(send_next(&s[q]));
				s[q].tried++;
			}
			lab_pause(1000);
		}
		assert_true(atomic_load(&lab.worker_tid[q]) != 0);
	}
}

static uint64_t forwarded_by(unsigned worker)
{
	return __atomic_load_n(&lab.b->workers[worker].stats.forwarded, __ATOMIC_RELAXED);
}

static void a_stalled_worker_loses_nothing_and_holds_up_nobody(void **state)
{
	enum { N = 400 };
	const struct sigaction hold = {.sa_handler = hold_thread, .sa_flags = SA_RESTART};
	struct stream s[2];
	struct betanet_stats t;
	uint64_t before;

	(void)state;
	limits = no_limits;
	change_config = NULL;
	lab_start(2, with_limits);
	for (unsigned q = 0; q < 2; q++)
		s[q] = stream_of(lab_peer[q], 2000, q, N, LAB_NEXT, 5 * MS, 150 * MS);
	learn_threads(s);
	/* some are parked when it happens, others come while it lasts */
	for (unsigned q = 0; q < 2; q++)
		for (; s[q].tried < N / 2; s[q].tried++)
			assert_true(send_next(&s[q]));
	lab_pause(5000);
	assert_int_equal(sigaction(SIGUSR1, &hold, NULL), 0);
	atomic_store(&release, false);
	assert_int_equal(
		syscall(SYS_tgkill, getpid(), atomic_load(&lab.worker_tid[0]), SIGUSR1), 0);
	wait_for(&holding, true);
	before = forwarded_by(0);
	for (unsigned q = 0; q < 2; q++)
		for (; s[q].tried < N; s[q].tried++)
			assert_true(send_next(&s[q]));
	/* the other one goes on, and control lives */
	for (unsigned i = 0; i < 20000 && forwarded_by(1) < N; i++)
		lab_pause(1000);
	assert_int_equal(forwarded_by(1), N);
	assert_true(atomic_load(&holding));
	assert_int_equal(forwarded_by(0), before);
	assert_true(before < N);
	/* at least 300 ms, twice the longest delay: everything is overdue */
	for (unsigned i = 0; i < 300; i++)
		lab_pause(1000);
	atomic_store(&release, true);
	wait_for(&holding, false);
	lab_settle(&t);
	assert_int_equal(t.dropped, 0);
	assert_int_equal(lab_check_departures(), 2 * N);
	for (unsigned q = 0; q < 2; q++)
		assert_all_left(q, N);
	lab_stop();
}

int main(void)
{
	struct error err;
	const struct CMUnitTest tests[] = {
#define ON_WIRE(f) cmocka_unit_test_teardown(f, lab_teardown)
		ON_WIRE(at_twice_the_capacity_honest_relays_lose_nothing),
		ON_WIRE(at_ten_times_the_capacity_honest_relays_lose_nothing),
		ON_WIRE(at_ten_times_the_measured_capacity_honest_relays_lose_nothing),
		ON_WIRE(a_flood_of_forged_packets_costs_honest_ones_nothing),
		ON_WIRE(a_flooding_host_is_cut_to_its_rate_and_others_lose_nothing),
		ON_WIRE(a_flooding_56_is_cut_to_its_rate_and_others_lose_nothing),
		ON_WIRE(a_flooding_relay_is_cut_to_its_rate_and_others_lose_nothing),
		ON_WIRE(when_buffers_run_out_arrivals_are_dropped_and_parked_packets_keep_their_time),
		ON_WIRE(a_link_that_is_too_slow_drops_what_its_queue_cannot_hold),
		ON_WIRE(a_dead_next_hop_costs_its_own_packets_alone),
		ON_WIRE(a_stalled_worker_loses_nothing_and_holds_up_nobody),
	};

	/* the first call decides: kernels of 128 bits make the capacity small */
	if (secmem_init(&err) < 0 || crypto_init(128, &err) < 0 || mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
