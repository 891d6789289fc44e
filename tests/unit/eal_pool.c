/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers: what the caches could not give is counted exactly; a short pool costs arrivals at
 * random, and nobody else. */
#include "mixtest.h"

#include <math.h>
#include <pthread.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <time.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"
#include "link/link.h"
#include "pipeline/pipeline.h"
#include "sphinx/frame.h"

/* ---- the count of misses ---- */

enum { OBJECTS = 4096, CACHE = 256 };

static struct rte_mempool *new_pool(void)
{
	struct rte_mempool *p = pool_create("eal_pool", OBJECTS, CACHE, 0, 128);

	assert_non_null(p);
	assert_int_equal(pool_shared(p), OBJECTS);
	return p;
}

static uint64_t misses(const struct rte_mempool *p)
{
	struct pool_counts c;

	pool_count(p, &c);
	return c.misses;
}

static void one_buffer_in_each_refill_is_a_miss(void **state)
{
	struct rte_mempool *p = new_pool();
	void *o[600];

	(void)state;
	assert_int_equal(misses(p), 0);
	for (unsigned i = 0; i < 600; i++) {
		assert_int_equal(rte_mempool_get(p, &o[i]), 0);
		/* the 1st, the 258th and the 515th found the cache empty */
		assert_int_equal(misses(p), 1 + i / (CACHE + 1));
	}
	rte_mempool_put_bulk(p, o, 100);
	rte_mempool_get_bulk(p, o, 100); /* what was put back is in the cache */
	assert_int_equal(misses(p), 3);
	rte_mempool_free(p);
}

/* What this lcore holds, and how many objects its cache could not give: taken from the cache's own
 * length before each get. */
struct holder {
	struct rte_mempool *pool;
	void *held[2 * OBJECTS];
	unsigned count, rounds, seed;
	uint64_t misses, failures;
};

static unsigned next_random(struct holder *h)
{
	return (unsigned)rand_r(&h->seed);
}

static void get_some(struct holder *h, unsigned n)
{
	const struct rte_mempool_cache *c = rte_mempool_default_cache(h->pool, rte_lcore_id());
	unsigned before = c ? c->len : 0;

	if (rte_mempool_get_bulk(h->pool, h->held + h->count, n) != 0) {
		h->failures++;
		return;
	}
	h->count += n;
	h->misses += n > before ? n - before : 0;
}

static void put_some(struct holder *h, unsigned n)
{
	h->count -= n;
	rte_mempool_put_bulk(h->pool, h->held + h->count, n);
}

/* Gets and puts of all sizes: single ones, bursts, more than a cache holds. */
static int get_and_put(void *arg)
{
	static const unsigned size[] = {
		1, 1, 4, 32, 32, 64, 128, 255, 256, 257, 384, 512, 513, 700};
	struct holder *h = arg;

	for (unsigned i = 0; i < h->rounds; i++) {
		unsigned n = size[next_random(h) % RTE_DIM(size)];

		if (next_random(h) % 2 && h->count >= n)
			put_some(h, n);
		else
			get_some(h, n); /* fails now and then */
	}
	put_some(h, h->count);
	return 0;
}

static void any_gets_and_puts_are_counted_as_the_cache_saw_them(void **state)
{
	static struct holder h;
	struct pool_counts c;

	(void)state;
	h = (struct holder){.pool = new_pool(), .rounds = 100000, .seed = 1};
	get_and_put(&h);
	pool_count(h.pool, &c);
	assert_true(h.misses > 100000);
	assert_true(h.failures > 100); /* the pool was empty now and then */
	assert_int_equal(c.misses, h.misses);
	assert_int_equal(c.failures, h.failures);
	assert_int_equal(rte_mempool_avail_count(h.pool), OBJECTS);
	rte_mempool_free(h.pool);
}

static void two_lcores_count_for_themselves(void **state)
{
	static struct holder h[2];
	struct rte_mempool *p = new_pool();
	struct pool_counts c;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		h[i] = (struct holder){.pool = p, .rounds = 50000, .seed = 2 + i};
		assert_int_equal(rte_eal_remote_launch(get_and_put, &h[i], 1 + i), 0);
	}
	rte_eal_mp_wait_lcore();
	pool_count(p, &c);
	assert_true(h[0].misses && h[1].misses);
	assert_int_equal(c.misses, h[0].misses + h[1].misses);
	assert_int_equal(c.failures, h[0].failures + h[1].failures);
	assert_int_equal(rte_mempool_avail_count(p), OBJECTS);
	rte_mempool_free(p);
}

static void *outside_eal(void *arg)
{
	get_and_put(arg);
	return NULL;
}

static void a_thread_without_a_cache_misses_always(void **state)
{
	static struct holder h;
	pthread_t thread;

	(void)state;
	h = (struct holder){.pool = new_pool(), .rounds = 5000, .seed = 4};
	assert_int_equal(pthread_create(&thread, NULL, outside_eal, &h), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(h.misses > 10000);
	assert_int_equal(misses(h.pool), h.misses);
	rte_mempool_free(h.pool);
}

/* As the vector RX of i40e and ice does: the cache lacks 32 - 20, and is filled on the way. */
static void a_driver_that_refills_the_cache_by_itself_misses_what_was_not_there(void **state)
{
	struct rte_mempool *p = new_pool();
	struct rte_mempool_cache *c = rte_mempool_default_cache(p, rte_lcore_id());
	void *o[CACHE];

	(void)state;
	assert_int_equal(rte_mempool_get_bulk(p, o, 20), 0);
	rte_mempool_get_bulk(p, o + 20, CACHE - 20);
	c->len = 20; /* 20 left */
	assert_int_equal(misses(p), 20);
	assert_int_equal(rte_mempool_ops_dequeue_bulk(p, &c->objs[c->len], 32 + CACHE - c->len), 0);
	c->len = 32 + CACHE;
	assert_int_equal(misses(p), 20 + 12);
	rte_mempool_free(p);
}

/* ---- a relay with one port whose wire is a ring ---- */

enum { UDP_PORT = 9000, FRAME = LINK_HEADER4 + FRAME_SIZE + MIX_PACKET, WIRE = 4096 };

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

static struct {
	struct rte_mempool *frames;
	struct rte_ring *rx, *tx;
	char device[RTE_ETH_NAME_MAX_LEN], directory[32];
	uint8_t mac[6], authority[32];
	struct mix_keys keys;
	struct betanet *b;
	void *held[1 << 16]; /* buffers taken from the relay's pool */
	unsigned held_count;
} lab;

static void send_frame(const uint8_t packet[MIX_PACKET])
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(lab.frames);
	struct endpoint from, to;
	struct link_template t;
	uint8_t *frame;

	assert_non_null(m);
	frame = (uint8_t *)rte_pktmbuf_append(m, FRAME);
	endpoint_parse(&from, "10.0.1.9:5000");
	endpoint_parse(&to, "10.0.1.1:9000");
	frame_write(frame + LINK_HEADER4, MIX_PAYLOAD, 0);
	memcpy(frame + LINK_HEADER4 + FRAME_SIZE, packet, MIX_PACKET);
	link_template_make(&t, peer_mac, lab.mac, &from, &to);
	link_template_write(&t, frame, FRAME - LINK_HEADER4, false);
	assert_int_equal(rte_ring_enqueue(lab.rx, m), 0);
}

/* A packet that no relay can open: it costs a MAC check, unless it is dropped before. */
static void send_forged(unsigned n)
{
	uint8_t packet[MIX_PACKET];

	for (unsigned i = 0; i < n; i++) {
		randombytes_buf(packet, sizeof(packet));
		packet[31] &= 0x7f;
		send_frame(packet);
	}
}

/* The relay as its own address, and the next hop at 10.0.1.2, which answers ARP. */
static void write_directory(void)
{
	char text[2048], key[3][65];
	uint8_t pk[32], sk[64], seed[32];
	struct error err;
	size_t at;

	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(lab.authority, sk, seed);
	hex_encode(key[0], seed, 32);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (",
		key[0]);
	for (unsigned i = 0; i < 2; i++) {
		crypto_sign_keypair(pk, sk);
		hex_encode(key[0], pk, 32);
		crypto_sign_keypair(pk, sk);
		hex_encode(key[1], pk, 32);
		hex_encode(key[2], lab.keys.public[i], 32);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"%s\n{ name = \"n%u\"; layer = %u; address = \"10.0.1.%u:9000\"; "
			"identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }",
			i ? "," : "", i, i + 1, i + 1, key[0], key[1], key[2]);
	}
	snprintf(text + at, sizeof(text) - at, ");\n");
	if (file_write(lab.directory, 0600, text, strlen(text), FILE_FORCE, &err) < 0 ||
		directory_sign(lab.directory, lab.directory, seed, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Frames that the relay sent; ARP requests are answered. Returns the number of mix packets. */
static unsigned take_sent(void)
{
	static const struct link_host peer = {
		.mac = {2, 0, 0, 0, 0, 2}, .has_ipv4 = true, .ipv4 = {10, 0, 1, 2}};
	struct rte_mbuf *m;
	unsigned n = 0;

	while (rte_ring_dequeue(lab.tx, (void **)&m) == 0) {
		struct rte_mbuf *reply = rte_pktmbuf_alloc(lab.frames);
		struct link_learned l;
		size_t len = link_respond(&peer, rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
			rte_pktmbuf_mtod(reply, uint8_t *), 2048, &l);

		n += m->data_len == FRAME;
		rte_pktmbuf_free(m);
		if (len) {
			rte_pktmbuf_append(reply, (uint16_t)len);
			assert_int_equal(rte_ring_enqueue(lab.rx, reply), 0);
		} else {
			rte_pktmbuf_free(reply);
		}
	}
	betanet_poll(lab.b);
	return n;
}

static const struct betanet_port relay_port = {.device = lab.device,
	.has_ipv4 = true,
	.ipv4 = {10, 0, 1, 1},
	.bits4 = 24,
	.mtu = 1500,
	.rx_queues = 1,
	.rx_descriptors = 512,
	.tx_descriptors = 512};

static void make_wire(void)
{
	static unsigned serial;
	char name[32];
	int id;

	snprintf(name, sizeof(name), "rx%u", serial);
	lab.rx = rte_ring_create(name, WIRE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "tx%u", serial);
	lab.tx = rte_ring_create(name, WIRE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "pool%u", serial++);
	id = rte_eth_from_rings(name, &lab.rx, 1, &lab.tx, 1, 0);
	assert_true(id >= 0);
	rte_eth_dev_get_name_by_port((uint16_t)id, lab.device);
	rte_eth_macaddr_get((uint16_t)id, (struct rte_ether_addr *)lab.mac);
	if (!lab.frames)
		lab.frames = rte_pktmbuf_pool_create("frames", 8191, 0,
			RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN), 2176,
			SOCKET_ID_ANY);
	assert_non_null(lab.frames);
	mix_keys_make(&lab.keys);
}

/* A pipeline that was not started yet. */
static void create_relay(void (*change)(struct betanet_config *c))
{
	char err[BETANET_ERROR_MAX];
	struct betanet_config c;

	strcpy(lab.directory, "/tmp/eal_pool.XXXXXX");
	close(mkstemp(lab.directory));
	write_directory();
	mix_config(&c, lab.keys.secret[0]);
	c.udp_port = UDP_PORT;
	if (change)
		change(&c);
	if (betanet_create(&c, &lab.b, err) < 0 || betanet_port_add(lab.b, &relay_port, err) < 0 ||
		betanet_directory_set(
			lab.b, lab.directory, lab.authority, (uint64_t)time(NULL), err) < 0)
		fail_msg("%s", err);
	unlink(lab.directory);
}

static void free_wire(void)
{
	rte_ring_free(lab.rx);
	rte_ring_free(lab.tx);
}

static void start_relay(void)
{
	char err[BETANET_ERROR_MAX];

	make_wire();
	create_relay(NULL);
	if (betanet_start(lab.b, err) < 0)
		fail_msg("%s", err);
	/* control has learned its neighbour and asks no more: it holds no buffer */
	for (unsigned i = 0;
		i < 10000 && !(lab.b->neighbour_count && lab.b->neighbours[0].resolved); i++) {
		take_sent();
		rte_delay_us_sleep(1000);
	}
}

static void stop_relay(void)
{
	take_sent();
	mix_stop(lab.b);
	free_wire();
}

/* Takes buffers until the shared ring has `left`; past the caches, so that the number is exact. */
static void hold(struct betanet *b, unsigned left)
{
	unsigned n = pool_shared(b->pool) - left;

	assert_true(n <= RTE_DIM(lab.held) && lab.held_count == 0);
	if (n)
		assert_int_equal(rte_mempool_generic_get(b->pool, lab.held, n, NULL), 0);
	lab.held_count = n;
	assert_int_equal(pool_shared(b->pool), left);
}

static void release(struct betanet *b)
{
	if (lab.held_count)
		rte_mempool_generic_put(b->pool, lab.held, lab.held_count, NULL);
	lab.held_count = 0;
}

/* Without betanet_poll: control takes no buffer meanwhile. */
static void wait_received(uint64_t rx, struct betanet_stats *s)
{
	for (unsigned i = 0; i < 20000; i++) {
		betanet_stats_get(lab.b, s);
		if (s->rx >= rx && s->dropped + s->processed + s->control >= rx)
			return;
		rte_delay_us_sleep(1000);
	}
	fail_msg("%lu of %lu frames were received", (unsigned long)s->rx, (unsigned long)rx);
}

static void drops_at(unsigned left, double share)
{
	enum { N = 1500 };
	struct betanet_stats before, s;
	double sigma = sqrt(N * share * (1 - share)), dropped;

	betanet_stats_get(lab.b, &before);
	hold(lab.b, left);
	send_forged(N);
	wait_received(before.rx + N, &s);
	release(lab.b);
	dropped = (double)(s.drops[DROP_pool_full] - before.drops[DROP_pool_full]);
	if (fabs(dropped - N * share) > 5 * sigma)
		fail_msg("%u free: %.0f of %d dropped, expected %.0f +- %.0f", left, dropped, N,
			N * share, 5 * sigma);
	/* whatever was not dropped came as far as its MAC */
	assert_int_equal(s.dropped - before.dropped, N);
	assert_int_equal(s.drops[DROP_pool_full] - before.drops[DROP_pool_full] +
				 s.drops[DROP_bad_mac] - before.drops[DROP_bad_mac] +
				 s.drops[DROP_bad_point] - before.drops[DROP_bad_point],
		N);
}

static void between_the_watermarks_the_right_share_of_arrivals_is_dropped(void **state)
{
	struct early_drop mark;

	(void)state;
	start_relay();
	mark = lab.b->early;
	assert_int_equal(mark.all, 128); /* one worker, bursts of 128 */
	assert_int_equal(mark.from, 640);
	drops_at(mark.from + 1, 0);
	drops_at(mark.from, 0);
	drops_at(mark.from - 128, 0.25);
	drops_at(mark.from - 256, 0.5);
	drops_at(mark.from - 384, 0.75);
	drops_at(mark.all, 1);
	drops_at(0, 1);
	drops_at(mark.from, 0);
	stop_relay();
}

static void while_arrivals_are_dropped_parked_packets_leave_at_their_time(void **state)
{
	enum { N = 64, FLOOD = 2000, DELAY_MS = 500 };
	uint64_t began, due;
	struct betanet_stats s;
	unsigned left = 0;

	(void)state;
	start_relay();
	began = rte_rdtsc();
	due = began + rte_get_tsc_hz() / 1000 * DELAY_MS;
	for (unsigned i = 0; i < N; i++) {
		uint8_t packet[MIX_PACKET];

		mix_build(&lab.keys, 2, "10.0.1.2:9000", "10.0.1.50:7000", DELAY_MS * 1000000ull,
			SPHINX_V259, &i, sizeof(i), packet);
		send_frame(packet);
	}
	for (unsigned i = 0; i < 10000; i++) {
		unsigned n = take_sent(); /* and answers ARP */

		if (rte_rdtsc() < due)
			assert_int_equal(n, 0);
		left += n;
		betanet_stats_get(lab.b, &s);
		if (s.processed == N)
			break;
		rte_delay_us_sleep(1000);
	}
	assert_int_equal(s.processed, N);
	hold(lab.b, 0);
	send_forged(FLOOD);
	for (unsigned i = 0; i < 20000 && left < N; i++) {
		unsigned n = take_sent();

		if (rte_rdtsc() < due)
			assert_int_equal(n, 0);
		left += n;
		rte_delay_us_sleep(1000);
	}
	wait_received(s.rx + FLOOD, &s);
	assert_int_equal(left, N);
	assert_int_equal(s.forwarded, N);
	assert_int_equal(s.drops[DROP_pool_full], FLOOD);
	assert_int_equal(s.dropped - s.drops[DROP_control_full], FLOOD);
	release(lab.b);
	stop_relay(); /* all buffers are back */
}

static void buffers_that_a_driver_brings_along_are_no_requests(void **state)
{
	struct betanet_stats s;

	(void)state;
	start_relay();
	send_forged(100);
	wait_received(100, &s);
	assert_true(s.pool_requests < 50); /* ARP */
	stop_relay();
}

/* ---- what links need ---- */

static uint32_t wanted_size;

static void slots(struct betanet_config *c)
{
	c->shaping = BETANET_SHAPING_CONSTANT;
	c->max_rate_pps = 4000;
	c->cover = true;
	c->pool_size = wanted_size;
}

static void the_directorys_links_are_in_the_sum(void **state)
{
	char err[BETANET_ERROR_MAX], text[2048], number[32];
	struct betanet_config c;
	struct betanet_stats s;
	uint32_t need, without;
	struct rte_mbuf *m;

	(void)state;
	make_wire();
	wanted_size = 0;
	mix_config(&c, lab.keys.secret[0]);
	slots(&c);
	without = betanet_describe_pool(&c, &relay_port, 1, 0, text, sizeof(text));
	assert_null(strstr(text, "links"));
	need = betanet_describe_pool(&c, &relay_port, 1, 1, text, sizeof(text));
	assert_non_null(strstr(text, "1 links share 1 x max_queue_depth 2048"));
	assert_non_null(strstr(text, "1 links x 1001, ready for empty slots")); /* 250 ms */
	assert_null(strstr(text, "shaping queues")); /* nothing goes past the link */
	assert_in_range(need - without, 2048 + 1001 - 63, 2048 + 1001 + 63);

	/* 64 too few are refused: with the setting and with the number */
	wanted_size = need - 64;
	create_relay(slots);
	assert_int_equal(betanet_start(lab.b, err), -EINVAL);
	snprintf(number, sizeof(number), "at least %u buffers", need);
	assert_non_null(strstr(err, "pool_size = "));
	assert_non_null(strstr(err, number));
	assert_non_null(strstr(err, "largest term: "));
	assert_non_null(strstr(err, "max_rate_pps"));
	betanet_destroy(lab.b);

	wanted_size = need;
	create_relay(slots);
	assert_int_equal(betanet_start(lab.b, err), 0);
	betanet_stats_get(lab.b, &s);
	assert_int_equal(s.pool_size, need);
	assert_int_equal(lab.b->links.cover_budget, 1000);
	betanet_stop(lab.b, 0, NULL); /* what slots sent is on the wire */
	while (rte_ring_dequeue(lab.tx, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	betanet_destroy(lab.b);
	free_wire();
}

/* ---- a pipeline without ports: the control lcore asks for buffers and frees them ---- */

static struct betanet *start_embedded(struct mix_keys *k)
{
	char err[BETANET_ERROR_MAX];
	struct betanet_config c;
	struct betanet *b;

	mix_keys_make(k);
	mix_config(&c, k->secret[0]);
	if (betanet_create(&c, &b, err) < 0 || betanet_start(b, err) < 0)
		fail_msg("%s", err);
	return b;
}

static void submitted_packets_are_requests_and_misses_are_what_the_cache_lacked(void **state)
{
	enum { ROUNDS = 60, N = 128 };
	static uint8_t packet[MIX_PACKET], got[N][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_output out[N];
	uint64_t missed = 0, asked = 0;
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b = start_embedded(&k);
	const struct rte_mempool_cache *c = rte_mempool_default_cache(b->pool, rte_lcore_id());

	(void)state;
	mix_build(&k, 2, "10.0.0.2:9000", "10.0.0.9:7000", 0, SPHINX_V259, "x", 1, packet);
	for (unsigned i = 0; i < N; i++) {
		p[i] = packet;
		out[i].data = got[i];
		out[i].capacity = MIX_PACKET;
	}
	for (unsigned r = 0; r < ROUNDS; r++) {
		unsigned n = 1 + r * 37 % N, before = c->len;

		/* one is new, the others are replays: they are dropped by the worker, whose cache
		 * then has them */
		assert_int_equal(betanet_submit(b, p, n), n);
		missed += n > before ? n - before : 0;
		asked += n;
		mix_settle(b, asked, &s);
		betanet_collect(b, out, N);
	}
	betanet_stats_get(b, &s);
	assert_int_equal(s.pool_requests, asked);
	assert_int_equal(s.pool_misses, missed);
	assert_true(missed > 0 && missed < asked / 5);
	mix_stop(b);
}

static void submit_takes_no_more_than_leaves_the_pool_above_its_watermark(void **state)
{
	enum { N = 128 };
	static uint8_t packet[N][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b = start_embedded(&k);

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		mix_build(&k, 2, "10.0.0.2:9000", "10.0.0.9:7000", 0, SPHINX_V259, &i, sizeof(i),
			packet[i]);
		p[i] = packet[i];
	}
	hold(b, b->early.from + 100);
	assert_int_equal(pool_spare(b), 100);
	assert_int_equal(betanet_submit(b, p, N), 100);
	assert_int_equal(pool_spare(b), 0);
	assert_int_equal(betanet_submit(b, p + 100, N - 100), 0);
	mix_settle(b, 100, &s);
	assert_int_equal(s.forwarded, 100);
	release(b);
	assert_int_equal(betanet_submit(b, p + 100, N - 100), N - 100);
	mix_settle(b, N, &s);
	assert_int_equal(s.forwarded, N);
	assert_int_equal(s.dropped, 0);
	mix_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_buffer_in_each_refill_is_a_miss),
		cmocka_unit_test(any_gets_and_puts_are_counted_as_the_cache_saw_them),
		cmocka_unit_test(two_lcores_count_for_themselves),
		cmocka_unit_test(a_thread_without_a_cache_misses_always),
		cmocka_unit_test(
			a_driver_that_refills_the_cache_by_itself_misses_what_was_not_there),
		cmocka_unit_test(between_the_watermarks_the_right_share_of_arrivals_is_dropped),
		cmocka_unit_test(while_arrivals_are_dropped_parked_packets_leave_at_their_time),
		cmocka_unit_test(the_directorys_links_are_in_the_sum),
		cmocka_unit_test(buffers_that_a_driver_brings_along_are_no_requests),
		cmocka_unit_test(
			submitted_packets_are_requests_and_misses_are_what_the_cache_lacked),
		cmocka_unit_test(submit_takes_no_more_than_leaves_the_pool_above_its_watermark),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
