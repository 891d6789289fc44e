/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_SHAPINGNET_H
#define BETANET_TESTS_SHAPINGNET_H

#include "mixtest.h"

#include <stdbool.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"
#include "pipeline/pipeline.h"

/*
 * A pipeline without ports among the nodes of a directory; the test is the control lcore that fills
 * the rings of cover, and everyone whom packets go to.
 */
enum { SHAPINGNET_MAX = 64 };

/* The one that is there: what a failed test leaves is cleared away before the next. */
static struct shapingnet *shapingnet_now;

struct shapingnet {
	struct mix_keys keys;
	uint8_t authority_seed[32], authority[32];
	char path[64];
	struct betanet *b;
	/* settings; change them between make and start */
	enum betanet_shaping mode;
	uint64_t rate;
	uint32_t burst, depth;
	unsigned nodes, layers, workers;
	int self, missing; /* node with our key; node left out; -1: none */
	bool no_directory;
	const struct betanet_port *port; /* NULL: collect */
	bool deaf;                       /* collects nothing */
	/* what was collected */
	unsigned real_to[SHAPINGNET_MAX], real, cover, odd, collected;
	uint32_t sent; /* packets submitted */
};

static inline struct endpoint shapingnet_address(unsigned node)
{
	return (struct endpoint){.family = 4, .port = 9000, .ip = {10, 7, 0, (uint8_t)(node + 1)}};
}

static inline unsigned shapingnet_layer(const struct shapingnet *n, unsigned node)
{
	return n->layers ? node * n->layers / n->nodes + 1 : 1;
}

static inline void shapingnet_write(const struct shapingnet *n)
{
	char *text = calloc(1, 65536);
	uint8_t pk[32], sk[64];
	struct error err;
	size_t at;

	assert_non_null(text);
	at = (size_t)sprintf(text,
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		7);
	for (unsigned i = 0, first = 1; i < n->nodes; i++) {
		struct endpoint e = shapingnet_address(i);
		char id[65], vrf[65], key[65], where[ENDPOINT_STRLEN];

		if ((int)i == n->missing)
			continue;
		crypto_sign_keypair(pk, sk);
		hex_encode(id, pk, 32);
		crypto_sign_keypair(pk, sk);
		hex_encode(vrf, pk, 32);
		randombytes_buf(pk, 32);
		if ((int)i == n->self)
			memcpy(pk, n->keys.public[0], 32);
		pk[31] &= 0x7f;
		hex_encode(key, pk, 32);
		at += (size_t)sprintf(text + at,
			"%s{ name = \"n%u\"; layer = %u; address = \"%s\"; identity_key = \"%s\"; "
			"vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
			first ? "" : ",", i, shapingnet_layer(n, i), endpoint_format(where, &e), id,
			vrf, key);
		first = 0;
	}
	strcpy(text + at, ");\n");
	if (directory_sign_text("shapingnet", (uint8_t *)text, strlen(text), n->path,
		    n->authority_seed, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
	free(text);
}

static inline struct shapingnet *shapingnet_make(
	unsigned nodes, enum betanet_shaping mode, uint64_t rate)
{
	struct shapingnet *n = calloc(1, sizeof(*n));
	uint8_t sk[64];
	int fd;

	assert_non_null(n);
	assert_true(nodes <= SHAPINGNET_MAX);
	mix_keys_make(&n->keys);
	randombytes_buf(n->authority_seed, 32);
	crypto_sign_seed_keypair(n->authority, sk, n->authority_seed);
	strcpy(n->path, "/tmp/shapingnet.XXXXXX");
	fd = mkstemp(n->path);
	assert_true(fd >= 0);
	close(fd);
	shapingnet_now = n;
	n->nodes = nodes;
	n->mode = mode;
	n->rate = rate;
	n->burst = 128;
	n->depth = 2048;
	n->workers = 1;
	n->self = n->missing = -1;
	return n;
}

/* Writes the directory as the settings say, and puts it in force. */
static inline void shapingnet_publish(struct shapingnet *n)
{
	char err[BETANET_ERROR_MAX];

	shapingnet_write(n);
	if (betanet_directory_set(n->b, n->path, n->authority, 0, err) < 0)
		fail_msg("%s", err);
}

static inline void shapingnet_start(struct shapingnet *n)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];

	mix_config(&c, n->keys.secret[0]);
	c.shaping = n->mode;
	c.max_rate_pps = n->rate;
	c.burst_size = n->burst;
	c.queue_depth = n->depth;
	c.workers = n->workers;
	c.batch_size = n->workers > 1 ? 1 : c.batch_size;
	c.cover = n->mode >= BETANET_SHAPING_CONSTANT;
	c.loop_rate_pps = 0.01; /* the pipeline's own loops, if its key is in the directory */
	c.udp_port = n->port ? 9000 : 0;
	if (betanet_create(&c, &n->b, err) < 0 ||
		(n->port && betanet_port_add(n->b, n->port, err) < 0))
		fail_msg("%s", err);
	if (!n->no_directory)
		shapingnet_publish(n);
	if (betanet_start(n->b, err) < 0)
		fail_msg("%s", err);
}

static inline void shapingnet_free(struct shapingnet *n)
{
	shapingnet_now = NULL;
	if (atomic_load(&n->b->state) == LCORE_RUN) {
		struct betanet_stop_report r;

		assert_int_equal(betanet_stop(n->b, 20, &r), 0);
		assert_int_equal(r.pool_free, r.pool_size);
	}
	betanet_destroy(n->b);
	unlink(n->path);
	free(n);
}

static inline int shapingnet_teardown(void **state)
{
	struct shapingnet *n = shapingnet_now;

	(void)state;
	shapingnet_now = NULL;
	if (n) {
		betanet_destroy(n->b);
		unlink(n->path);
		free(n);
	}
	return 0;
}

/* Packets that the link to a node has sent, but for cover; the pipeline's own, if its key is in the
 * directory, look like any other. 0 without a link. */
static inline uint64_t shapingnet_sent(const struct shapingnet *n, unsigned node)
{
	struct endpoint e = shapingnet_address(node);

	for (unsigned i = 0; i < n->b->links.count; i++)
		if (memcmp(n->b->links.link[i]->address.ip, e.ip, 4) == 0)
			return n->b->links.link[i]->stats.real;
	return 0;
}

/* ---- packets ---- */

/* One packet that goes on to a node after a delay. It must be taken. */
static inline void shapingnet_submit(struct shapingnet *n, unsigned node, unsigned delay_ms)
{
	struct endpoint e = shapingnet_address(node);
	uint8_t packet[MIX_PACKET];
	const uint8_t *p = packet;
	char next[ENDPOINT_STRLEN];

	n->sent++;
	mix_build(&n->keys, 2, endpoint_format(next, &e), "198.51.100.1:4242",
		delay_ms * 1000000ull, SPHINX_V259, &n->sent, sizeof(n->sent), packet);
	for (unsigned i = 0; betanet_submit(n->b, &p, 1) == 0; i++) {
		assert_true(i < 20000);
		rte_delay_us_sleep(500);
	}
}

/* Fills the rings of cover, as the control lcore does: the header of a cover packet of the test's
 * starts with 0xc0 0xc0. */
static inline void shapingnet_fill(struct shapingnet *n)
{
	for (unsigned i = 0; i < n->b->links.count; i++) {
		struct tx_link *l = n->b->links.link[i];

		while (links_cover_room(l) > 0) {
			struct rte_mbuf *m = rte_pktmbuf_alloc(n->b->pool);
			struct packet_meta *meta;

			assert_non_null(m);
			memset(rte_pktmbuf_append(m, MIX_PACKET), 0xc0, MIX_PACKET);
			meta = packet_meta(m);
			memset(meta, 0, sizeof(*meta));
			meta->flag = SPHINX_FLAG_FORWARD;
			meta->hops_generation = n->b->hops_generation;
			address_encode(meta->address, &l->address);
			meta->sum = link_sum(rte_pktmbuf_mtod(m, void *), MIX_PACKET);
			assert_int_equal(rte_ring_sp_enqueue(l->cover, m), 0);
		}
	}
}

static inline void shapingnet_collect(struct shapingnet *n)
{
	static uint8_t data[64][MIX_PACKET];
	struct betanet_output out[64];
	int got;

	for (unsigned i = 0; i < 64; i++) {
		out[i].data = data[i];
		out[i].capacity = MIX_PACKET;
	}
	got = n->deaf ? 0 : betanet_collect(n->b, out, 64);
	assert_true(got >= 0);
	n->collected += (unsigned)got;
	for (int i = 0; i < got; i++) {
		bool cover = data[i][0] == 0xc0 && data[i][1] == 0xc0;
		unsigned node = 0;

		for (; node < n->nodes; node++) {
			struct endpoint e = shapingnet_address(node);
			uint8_t address[SPHINX_ADDRESS_SIZE];

			address_encode(address, &e);
			if (memcmp(address, out[i].address, sizeof(address)) == 0)
				break;
		}
		n->odd += node == n->nodes || out[i].len != MIX_PACKET || out[i].final;
		if (!cover && node < n->nodes)
			n->real_to[node]++;
		*(cover ? &n->cover : &n->real) += 1;
	}
}

static inline void shapingnet_step(struct shapingnet *n)
{
	betanet_poll(n->b);
	shapingnet_collect(n);
	rte_delay_us_sleep(200);
}

static inline void shapingnet_run(struct shapingnet *n, unsigned ms)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;

	while (rte_rdtsc() < end)
		shapingnet_step(n);
}

/* Until the condition holds; fails after 20 s. */
#define shapingnet_until(n, condition)                                                             \
	do {                                                                                       \
		uint64_t end_ = rte_rdtsc() + rte_get_tsc_hz() * 20;                               \
		while (!(condition)) {                                                             \
			if (rte_rdtsc() > end_)                                                    \
				fail_msg("%s: not after 20 s", #condition);                        \
			shapingnet_step(n);                                                        \
		}                                                                                  \
	} while (0)

/* As long as the condition on the statistics `s` holds; fails after 20 s. */
#define shapingnet_while(n, s, condition)                                                          \
	do {                                                                                       \
		uint64_t end_ = rte_rdtsc() + rte_get_tsc_hz() * 20;                               \
		do {                                                                               \
			if (rte_rdtsc() > end_)                                                    \
				fail_msg("%s: still after 20 s", #condition);                      \
			shapingnet_step(n);                                                        \
			betanet_stats_get((n)->b, &(s));                                           \
		} while (condition);                                                               \
	} while (0)

static inline void shapingnet_until_dropped(
	struct shapingnet *n, enum drop_reason why, uint64_t count)
{
	struct betanet_stats s = {0};

	for (unsigned i = 0; i < 20000 && s.drops[why] < count; i++) {
		shapingnet_step(n);
		betanet_stats_get(n->b, &s);
	}
	if (s.drops[why] != count)
		fail_msg("%s: %lu, expected %lu", drop_name(why), (unsigned long)s.drops[why],
			(unsigned long)count);
}

/* The statistics, and the time of the slot that comes, of one moment. */
static inline void shapingnet_slots(
	struct shapingnet *n, struct betanet_stats *s, uint64_t *next, const struct slot_clock *c)
{
	struct betanet_stats again;

	do {
		*next = __atomic_load_n(&c->next, __ATOMIC_RELAXED);
		betanet_stats_get(n->b, s);
		rte_delay_us_sleep(50);
		betanet_stats_get(n->b, &again);
	} while (again.slots != s->slots || again.slots_skipped != s->slots_skipped ||
		 __atomic_load_n(&c->next, __ATOMIC_RELAXED) != *next);
}

#endif
