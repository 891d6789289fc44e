/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links: what leaves in which slot. A pipeline without ports and a directory that the test writes.
 * Where our own key is not in the directory, every node is a link, and the test is what fills the
 * rings of cover.
 */
#include "shapingnet.h"

#include <pthread.h>
#include <rte_telemetry.h>
#include <signal.h>
#include <time.h>

/* ---- every mode ---- */

static void every_packet_leaves_in_every_mode(void **state)
{
	static const enum betanet_shaping modes[] = {BETANET_SHAPING_OFF, BETANET_SHAPING_RATE,
		BETANET_SHAPING_CONSTANT, BETANET_SHAPING_POISSON};
	enum { N = 120 };

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(modes); i++) {
		struct shapingnet *n = shapingnet_make(4, modes[i], 2000);
		struct betanet_stats s;

		shapingnet_start(n);
		for (unsigned k = 0; k < N; k++)
			shapingnet_submit(n, k % 4, 0);
		shapingnet_until(n, n->real == N);
		betanet_stats_get(n->b, &s);
		assert_int_equal(s.forwarded, N);
		assert_int_equal(s.dropped, 0);
		assert_int_equal(n->odd, 0);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(n->real_to[k], N / 4);
		if (modes[i] >= BETANET_SHAPING_CONSTANT)
			assert_int_equal(s.slots_real, N);
		else
			assert_int_equal(s.slots, 0);
		shapingnet_free(n);
	}
}

static void every_slot_sends_while_there_is_cover(void **state)
{
	(void)state;
	for (unsigned poisson = 0; poisson < 2; poisson++) {
		struct shapingnet *n = shapingnet_make(
			3, poisson ? BETANET_SHAPING_POISSON : BETANET_SHAPING_CONSTANT, 400);
		struct betanet_stats before, s;
		uint64_t start;

		shapingnet_start(n);
		/* the stock is for 250 ms: a machine that leaves us waiting for longer tells
		 * nothing */
		for (unsigned try = 0;; try++) {
			assert_true(try < 20);
			shapingnet_fill(n);
			betanet_stats_get(n->b, &before);
			start = rte_rdtsc();
			for (unsigned k = 0; k < 6; k++)
				shapingnet_submit(n, k % 3, 0);
			shapingnet_while(n, s,
				s.slots < before.slots + 60 ||
					s.slots_real < before.slots_real + 6);
			/* slots of a Poisson process may come at twice their rate */
			if (rte_rdtsc() - start < rte_get_tsc_hz() / 10)
				break;
		}
		assert_int_equal(s.slots_empty, before.slots_empty);
		assert_int_equal(s.slots_real, before.slots_real + 6);
		assert_true(s.slots_cover >= before.slots_cover + 50);
		shapingnet_until(n, n->real + n->cover >= s.slots_real + s.slots_cover);
		assert_int_equal(n->odd, 0);
		shapingnet_free(n);
	}
}

static void a_slot_without_cover_is_counted_as_empty(void **state)
{
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_CONSTANT, 1000);
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	shapingnet_while(n, s, s.slots_empty < 50);
	assert_int_equal(s.slots_real + s.slots_cover, 0);
	assert_int_equal(s.slots, s.slots_empty);
	assert_int_equal(s.tx, 0);
	shapingnet_submit(n, 0, 0);
	shapingnet_until(n, n->real == 1);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.slots_real, 1);
	assert_int_equal(s.slots, s.slots_real + s.slots_empty);
	shapingnet_free(n);
}

static void waiting_packets_go_before_cover(void **state)
{
	enum { N = 40 };
	struct shapingnet *n = shapingnet_make(1, BETANET_SHAPING_CONSTANT, 200);
	struct betanet_stats before, s;

	(void)state;
	shapingnet_start(n);
	shapingnet_fill(n);
	for (unsigned k = 0; k < N; k++)
		shapingnet_submit(n, 0, 0);
	shapingnet_while(
		n, before, before.queued + before.slots_real < N || before.slots_real == 0);
	shapingnet_until(n, n->real == N);
	betanet_stats_get(n->b, &s);
	/* cover went while packets were unwrapped one by one, never while one waited */
	assert_true(s.slots_cover - before.slots_cover <= (before.queued ? 3u : N));
	shapingnet_free(n);
}

/* ---- back-pressure ---- */

static void a_link_holds_its_share_of_the_queue_depth_and_the_rest_is_dropped(void **state)
{
	enum { DEPTH = 60, LINKS = 3, SHARE = DEPTH / LINKS, N = 55 };
	struct shapingnet *n = shapingnet_make(LINKS, BETANET_SHAPING_CONSTANT, 1);
	struct betanet_stats s;

	(void)state;
	n->depth = DEPTH;
	shapingnet_start(n);
	for (unsigned k = 0; k < N; k++)
		shapingnet_submit(n, 0, 0);
	shapingnet_while(
		n, s, s.processed < N || s.parked || s.queued + s.slots_real + s.dropped < N);
	assert_in_range(s.queued, SHARE - s.slots_real, SHARE);
	assert_int_equal(s.drops[DROP_shaper_full], s.dropped);
	assert_int_equal(s.dropped + s.queued + s.slots_real, N);
	/* another link's packets find theirs free */
	shapingnet_submit(n, 1, 0);
	shapingnet_submit(n, 2, 0);
	do {
		uint64_t dropped = s.dropped;

		shapingnet_step(n);
		betanet_stats_get(n->b, &s);
		assert_int_equal(s.dropped, dropped);
	} while (s.processed < N + 2 || s.parked || s.queued + s.slots_real + s.dropped < N + 2);
	shapingnet_free(n);
}

static void rings_of_links_together_hold_the_queue_depth_of_all_workers(void **state)
{
	static const unsigned sizes[] = {1, 2, 7, 40};

	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
			struct shapingnet *n =
				shapingnet_make(sizes[i], BETANET_SHAPING_POISSON, 10);
			uint64_t sum = 0;

			n->depth = 100;
			n->workers = workers;
			shapingnet_start(n);
			assert_int_equal(n->b->links.count, sizes[i]);
			for (unsigned k = 0; k < sizes[i]; k++) {
				struct tx_link *l = n->b->links.link[k];

				sum += l->depth;
				assert_true(l->depth <= l->capacity);
				assert_true(l->cover_want <= rte_ring_get_capacity(l->cover));
			}
			assert_in_range(sum, 100 * workers - sizes[i], 100 * workers);
			shapingnet_free(n);
		}
	}
}

/* ---- which addresses are links ---- */

static void a_relay_has_slots_for_the_next_layer_alone(void **state)
{
	enum { NODES = 6 }; /* layers 1 1 2 2 3 3 */

	(void)state;
	for (unsigned self = 0; self < NODES; self++) {
		struct shapingnet *n = shapingnet_make(NODES, BETANET_SHAPING_CONSTANT, 500);
		unsigned want, links = 0;
		struct betanet_stats s;

		n->layers = 3;
		n->self = (int)self;
		want = shapingnet_layer(n, self) % 3 + 1;
		shapingnet_start(n);
		for (unsigned k = 0; k < NODES; k++) {
			bool is = shapingnet_layer(n, k) == want;

			links += is;
			if (k == self)
				continue;
			betanet_stats_get(n->b, &s);
			shapingnet_submit(n, k, 0);
			if (is)
				shapingnet_until(n, shapingnet_sent(n, k) > 0);
			else
				shapingnet_until_dropped(
					n, DROP_not_link, s.drops[DROP_not_link] + 1);
		}
		assert_int_equal(n->b->links.count, links);
		betanet_stats_get(n->b, &s);
		assert_int_equal(s.dropped, NODES - 1 - links);
		shapingnet_free(n);
	}
}

static void without_slots_packets_may_go_to_any_node(void **state)
{
	static const enum betanet_shaping modes[] = {BETANET_SHAPING_OFF, BETANET_SHAPING_RATE};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct shapingnet *n = shapingnet_make(6, modes[i], 1000);
		struct betanet_stats s;

		n->layers = 3;
		n->self = 0;
		shapingnet_start(n);
		for (unsigned k = 1; k < 6; k++)
			shapingnet_submit(n, k, 0);
		shapingnet_until(n, n->real == 5);
		betanet_stats_get(n->b, &s);
		assert_int_equal(s.dropped, 0);
		assert_int_equal(n->b->links.count, modes[i] == BETANET_SHAPING_OFF ? 0 : 2);
		shapingnet_free(n);
	}
}

static void slots_without_a_directory_send_nothing(void **state)
{
	struct shapingnet *n = shapingnet_make(1, BETANET_SHAPING_POISSON, 1000);
	struct betanet_stats s;

	(void)state;
	n->no_directory = true;
	shapingnet_start(n);
	shapingnet_submit(n, 0, 0);
	shapingnet_until_dropped(n, DROP_not_link, 1);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.slots, 0);
	shapingnet_free(n);
}

static void a_node_outside_the_neighbours_set_is_no_link(void **state)
{
	struct shapingnet *n = shapingnet_make(4, BETANET_SHAPING_CONSTANT, 500);
	uint64_t bits = 0x5;
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	assert_int_equal(n->b->links.count, 4);
	assert_int_equal(betanet_neighbours_set(n->b, n->b->directory->hash, &bits, 1), 0);
	shapingnet_until(n, n->b->links.count == 2 && !n->b->links.retired);
	shapingnet_submit(n, 0, 0);
	shapingnet_submit(n, 1, 0);
	shapingnet_until(n, n->real == 1);
	shapingnet_until_dropped(n, DROP_not_neighbour, 1);
	bits = 0xf;
	assert_int_equal(betanet_neighbours_set(n->b, n->b->directory->hash, &bits, 1), 0);
	shapingnet_until(n, n->b->links.count == 4);
	shapingnet_submit(n, 1, 0);
	shapingnet_until(n, n->real == 2);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.dropped, 1);
	shapingnet_free(n);
}

/* ---- the directory changes ---- */

static void what_waits_for_a_node_that_leaves_the_directory_is_dropped_and_counted(void **state)
{
	enum { EACH = 10 };
	struct shapingnet *n = shapingnet_make(3, BETANET_SHAPING_CONSTANT, 1);
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	shapingnet_fill(n);
	for (unsigned k = 0; k < 3 * EACH; k++)
		shapingnet_submit(n, k % 3, 0);
	shapingnet_while(n, s, s.queued + s.slots_real < 3 * EACH);
	n->missing = 1;
	shapingnet_publish(n);
	shapingnet_until(n, n->b->links.count == 2 && !n->b->links.retired);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.drops[DROP_not_link], EACH - n->real_to[1]);
	assert_int_equal(s.dropped, s.drops[DROP_not_link]);
	shapingnet_while(n, s, s.queued + s.slots_real + s.dropped != 3 * EACH);
	/* it comes back, as a new link */
	n->missing = -1;
	shapingnet_publish(n);
	shapingnet_submit(n, 1, 0);
	shapingnet_while(n, s, s.queued + s.slots_real + s.dropped != 3 * EACH + 1);
	shapingnet_free(n);
}

static void links_that_stay_keep_their_packets_and_their_clocks(void **state)
{
	enum { N = 20 };
	struct shapingnet *n = shapingnet_make(3, BETANET_SHAPING_CONSTANT, 100);
	struct tx_link *kept[3];
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	memcpy(kept, n->b->links.link, sizeof(kept));
	for (unsigned k = 0; k < N; k++)
		shapingnet_submit(n, 0, 0);
	for (unsigned k = 0; k < 50; k++) {
		shapingnet_publish(n);
		shapingnet_step(n);
	}
	shapingnet_until(n, n->real == N);
	assert_memory_equal(kept, n->b->links.link, sizeof(kept));
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.dropped, 0);
	shapingnet_free(n);
}

static void packets_parked_over_a_change_go_by_the_new_links(void **state)
{
	struct shapingnet *n = shapingnet_make(4, BETANET_SHAPING_POISSON, 1000);
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	for (unsigned k = 0; k < 4; k++)
		shapingnet_submit(n, k, 300);
	shapingnet_while(n, s, s.parked + s.forwarded < 4);
	n->missing = 2;
	shapingnet_publish(n);
	shapingnet_until(n, n->real >= 3);
	shapingnet_while(n, s, s.forwarded + s.dropped < 4);
	/* unless the machine slept over the delay */
	assert_int_equal(s.drops[DROP_unknown_next_hop], 1 - n->real_to[2]);
	shapingnet_free(n);
}

static void cover_for_an_old_directory_is_thrown_away(void **state)
{
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_CONSTANT, 4);
	struct betanet_stats before, s;
	uint32_t free;

	(void)state;
	shapingnet_start(n);
	free = rte_mempool_avail_count(n->b->pool);
	shapingnet_fill(n);
	assert_int_equal(rte_mempool_avail_count(n->b->pool), free - 2 * COVER_STOCK_MIN);
	shapingnet_publish(n);
	betanet_stats_get(n->b, &before);
	/* at once, not slot by slot */
	shapingnet_while(n, s, s.pool_free < free - n->collected);
	assert_true(s.slots_empty - before.slots_empty < 2 * COVER_STOCK_MIN);
	for (unsigned k = 0; k < 2; k++)
		assert_int_equal(links_cover_room(n->b->links.link[k]), COVER_STOCK_MIN);
	shapingnet_free(n);
}

/* ---- workers ---- */

static void several_workers_share_the_links_and_fill_each_others(void **state)
{
	enum { N = 120, LINKS = 4 };
	static const enum betanet_shaping modes[] = {
		BETANET_SHAPING_RATE, BETANET_SHAPING_CONSTANT, BETANET_SHAPING_POISSON};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(modes); i++) {
		struct shapingnet *n = shapingnet_make(LINKS, modes[i], 1000);
		unsigned owned[2] = {0};
		struct betanet_stats s;

		n->workers = 2;
		shapingnet_start(n);
		for (unsigned k = 0; k < LINKS; k++)
			owned[n->b->links.link[k]->owner]++;
		assert_int_equal(owned[0], 2);
		assert_int_equal(owned[1], 2);
		for (unsigned k = 0; k < N; k++) /* bursts of one: the workers take turns */
			shapingnet_submit(n, k / 2 % LINKS, 0);
		shapingnet_until(n, n->real == N);
		betanet_stats_get(n->b, &s);
		assert_int_equal(s.dropped, 0);
		assert_true(n->b->workers[0].stats.tx > 0 && n->b->workers[1].stats.tx > 0);
		shapingnet_free(n);
	}
}

static void the_rate_holds_for_each_link_by_itself(void **state)
{
	enum { BURST = 10, EACH = 30 };
	struct shapingnet *n = shapingnet_make(3, BETANET_SHAPING_RATE, 1);
	uint64_t start = rte_rdtsc(), seconds;
	struct betanet_stats s;

	(void)state;
	n->burst = BURST;
	shapingnet_start(n);
	for (unsigned k = 0; k < 3 * EACH; k++)
		shapingnet_submit(n, k % 3, 0);
	shapingnet_while(n, s, s.processed < 3 * EACH || s.parked || s.forwarded < 3 * BURST);
	shapingnet_until(n, n->real >= 3 * BURST);
	seconds = 1 + (rte_rdtsc() - start) / rte_get_tsc_hz();
	for (unsigned k = 0; k < 3; k++)
		assert_in_range(n->real_to[k], BURST, BURST + seconds);
	assert_int_equal(s.dropped, 0);
	shapingnet_free(n);
}

/* ---- a worker that loses its core ---- */

enum { STALL_MS = 100 };
static pthread_t worker_thread;
static _Atomic bool stalled;

static int note_thread(void *arg)
{
	(void)arg;
	worker_thread = pthread_self();
	return 0;
}

static void stall(int sig)
{
	struct timespec t = {.tv_nsec = STALL_MS * 1000000L};

	(void)sig;
	nanosleep(&t, NULL);
	stalled = true;
}

static void slots_missed_in_a_stall_are_counted_and_never_sent_as_a_burst(void **state)
{
	static const enum betanet_shaping modes[] = {
		BETANET_SHAPING_CONSTANT, BETANET_SHAPING_POISSON};
	enum { RATE = 1000 };
	struct sigaction act = {.sa_handler = stall};

	(void)state;
	sigaction(SIGUSR1, &act, NULL);
	assert_int_equal(rte_eal_remote_launch(note_thread, NULL, 1), 0);
	rte_eal_wait_lcore(1);
	for (unsigned i = 0; i < RTE_DIM(modes); i++) {
		struct shapingnet *n = shapingnet_make(1, modes[i], RATE);
		const struct slot_clock *c;
		uint64_t from, span, came;
		struct betanet_stats before, s;
		double want;

		shapingnet_start(n);
		c = &n->b->links.link[0]->clock;
		shapingnet_run(n, 20);
		/* the count and the clock of one moment: read until neither moves */
		shapingnet_slots(n, &before, &from, c);
		stalled = false;
		pthread_kill(worker_thread, SIGUSR1);
		while (!stalled)
			shapingnet_step(n);
		shapingnet_run(n, 20);
		shapingnet_slots(n, &s, &span, c);
		span -= from;
		came = s.slots - before.slots;
		want = (double)span * RATE / (double)rte_get_tsc_hz();
		/* most of the 100 ms were passed over */
		assert_true(s.slots_skipped - before.slots_skipped >=
			    (modes[i] == BETANET_SHAPING_CONSTANT ? 95u : 50u));
		if (modes[i] == BETANET_SHAPING_CONSTANT) {
			/* each slot of the grid was served or counted */
			assert_in_range(came + s.slots_skipped - before.slots_skipped,
				(uint64_t)want - 1, (uint64_t)want + 1);
			/* and of those in the stall at most two were sent behind it */
			assert_true((double)came <= want - RATE * STALL_MS / 1000.0 + 3);
		}
		shapingnet_free(n);
	}
}

/* ---- telemetry ---- */

static int shown(int (*show)(const struct betanet *, const char *, struct rte_tel_data *),
	const struct betanet *b, const char *params)
{
	struct rte_tel_data *d = rte_tel_data_alloc();
	int r;

	assert_non_null(d);
	rte_tel_data_start_dict(d);
	r = show(b, params, d);
	rte_tel_data_free(d);
	return r;
}

static void links_are_shown_by_their_number(void **state)
{
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_POISSON, 100);

	(void)state;
	shapingnet_start(n);
	assert_int_equal(shown(links_show_link, n->b, NULL), 0);
	assert_int_equal(shown(links_show_link, n->b, "0"), 0);
	assert_int_equal(shown(links_show_link, n->b, "1"), 0);
	assert_int_equal(shown(links_show_link, n->b, "2"), -EINVAL);
	assert_int_equal(shown(links_show_link, n->b, "-1"), -EINVAL);
	assert_int_equal(shown(links_show_link, n->b, "n1"), -EINVAL);
	assert_int_equal(shown(links_show_link, n->b, "0x"), -EINVAL);
	assert_int_equal(shown(links_show_link, n->b, ""), -EINVAL);
	shapingnet_free(n);
}

/* ---- the end ---- */

static void at_a_stop_waiting_packets_leave_in_their_slots(void **state)
{
	enum { N = 30, RATE = 100 };
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_CONSTANT, RATE);
	struct betanet_stop_report r;
	struct betanet_stats s;
	uint64_t start;
	double seconds;

	(void)state;
	shapingnet_start(n);
	for (unsigned k = 0; k < N; k++)
		shapingnet_submit(n, 0, k < N / 2 ? 0 : 50);
	shapingnet_while(n, s, s.queued + s.parked + s.forwarded < N);
	shapingnet_fill(n);
	betanet_stats_get(n->b, &s);
	start = rte_rdtsc();
	assert_int_equal(betanet_stop(n->b, 10000, &r), 0);
	seconds = (double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz();
	assert_int_equal(r.dropped, 0);
	assert_int_equal(r.pool_free, r.pool_size);
	/* a lower bound: one packet a slot */
	assert_true(seconds > (double)(N - s.forwarded - 2) / RATE);
	/* and the end does not wait for the cover to go */
	assert_true(seconds < 9);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.forwarded, N);
	assert_int_equal(s.queued, 0);
	shapingnet_free(n);
}

static void what_still_waits_at_the_deadline_is_dropped_but_cover_is_not_counted(void **state)
{
	enum { N = 30 };
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_CONSTANT, 1);
	struct betanet_stop_report r;
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	shapingnet_fill(n);
	for (unsigned k = 0; k < N; k++)
		shapingnet_submit(n, 0, 0);
	shapingnet_while(n, s, s.queued + s.forwarded < N);
	assert_int_equal(betanet_stop(n->b, 30, &r), 0);
	betanet_stats_get(n->b, &s);
	assert_int_equal(r.dropped, N - s.forwarded);
	assert_int_equal(s.dropped, r.dropped);
	assert_int_equal(r.pool_free, r.pool_size);
	shapingnet_free(n);
}

/* With our key in the directory it is the pipeline that makes cover. */
static void slots_go_on_with_cover_while_packets_drain(void **state)
{
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_CONSTANT, 200);
	struct betanet_stop_report r;
	struct betanet_stats before, s;
	uint32_t stock;

	(void)state;
	n->layers = 2;
	n->self = 0;
	shapingnet_start(n);
	stock = n->b->links.link[0]->cover_want;
	shapingnet_submit(n, 1, 1500);
	shapingnet_while(n, before, before.parked + before.forwarded == 0);
	assert_int_equal(betanet_stop(n->b, 10000, &r), 0);
	betanet_stats_get(n->b, &s);
	assert_int_equal(r.dropped, 0);
	/* more than had been made before the stop */
	assert_true(s.slots_cover - before.slots_cover > stock + 1);
	shapingnet_free(n);
}

static void cover_does_not_count_as_queued(void **state)
{
	struct shapingnet *n = shapingnet_make(2, BETANET_SHAPING_CONSTANT, 2);
	struct betanet_stop_report r;
	struct betanet_stats s;

	(void)state;
	shapingnet_start(n);
	shapingnet_fill(n);
	shapingnet_run(n, 20);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.queued, 0);
	assert_int_equal(s.forwarded, 0);
	assert_int_equal(betanet_stop(n->b, 5000, &r), 0);
	/* it did not wait 4 s for 16 packets of cover */
	assert_true(r.seconds < 3);
	assert_int_equal(r.dropped, 0);
	assert_int_equal(r.pool_free, r.pool_size);
	shapingnet_free(n);
}

static void nobody_collects_and_nothing_is_lost(void **state)
{
	enum { N = 50 };
	struct shapingnet *n = shapingnet_make(1, BETANET_SHAPING_CONSTANT, 5000);
	struct betanet_stats s;

	(void)state;
	n->depth = 64;
	n->deaf = true;
	shapingnet_start(n);
	/* cover fills the collect ring */
	for (unsigned k = 0; k < 200; k++) {
		shapingnet_fill(n);
		shapingnet_run(n, 1);
	}
	for (unsigned k = 0; k < N; k++)
		shapingnet_submit(n, 0, 0);
	shapingnet_run(n, 200);
	n->deaf = false;
	shapingnet_until(n, n->real == N);
	betanet_stats_get(n->b, &s);
	assert_int_equal(s.dropped, 0);
	shapingnet_free(n);
}

#define TEST(name) cmocka_unit_test_teardown(name, shapingnet_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_packet_leaves_in_every_mode),
		TEST(every_slot_sends_while_there_is_cover),
		TEST(a_slot_without_cover_is_counted_as_empty),
		TEST(waiting_packets_go_before_cover),
		TEST(a_link_holds_its_share_of_the_queue_depth_and_the_rest_is_dropped),
		TEST(rings_of_links_together_hold_the_queue_depth_of_all_workers),
		TEST(a_relay_has_slots_for_the_next_layer_alone),
		TEST(without_slots_packets_may_go_to_any_node),
		TEST(slots_without_a_directory_send_nothing),
		TEST(a_node_outside_the_neighbours_set_is_no_link),
		TEST(what_waits_for_a_node_that_leaves_the_directory_is_dropped_and_counted),
		TEST(links_that_stay_keep_their_packets_and_their_clocks),
		TEST(packets_parked_over_a_change_go_by_the_new_links),
		TEST(cover_for_an_old_directory_is_thrown_away),
		TEST(several_workers_share_the_links_and_fill_each_others),
		TEST(the_rate_holds_for_each_link_by_itself),
		TEST(slots_missed_in_a_stall_are_counted_and_never_sent_as_a_burst),
		TEST(links_are_shown_by_their_number),
		TEST(at_a_stop_waiting_packets_leave_in_their_slots),
		TEST(what_still_waits_at_the_deadline_is_dropped_but_cover_is_not_counted),
		TEST(slots_go_on_with_cover_while_packets_drain),
		TEST(cover_does_not_count_as_queued),
		TEST(nobody_collects_and_nothing_is_lost),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
