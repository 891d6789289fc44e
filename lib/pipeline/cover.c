/* SPDX-License-Identifier: BSD-3-Clause */
/* The relay's own packets: their making, and what a worker does with them. */
#include "pipeline/cover.h"
#include "core/bytes.h"
#include "core/secmem.h"
#include "vrf/neighbour.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { EVENTS_MIN = 1024, EVENTS_MAX = 1 << 17 };

/* ---- on a worker
 * ------------------------------------------------------------------------------------------------
 */

static void report(struct cover *c, uint64_t number, uint64_t tsc, bool back)
{
	const struct cover_event e = {.number = number, .tsc = tsc, .back = back};

	if (rte_ring_mp_enqueue_elem(c->events, (void *)(uintptr_t)&e, sizeof(e)) != 0)
		atomic_fetch_add_explicit(&c->events_lost, 1, memory_order_relaxed);
}

void cover_identify(const struct cover *c, uint64_t number, uint8_t out[SPHINX_IDENTIFIER_SIZE])
{
	store_le64(out, number);
	crypto_shorthash(out + 8, out, 8, c->key);
}

void cover_consume(
	struct worker *w, const uint8_t identifier[SPHINX_IDENTIFIER_SIZE], uint64_t arrival)
{
	struct cover *c = w->b->cover;
	uint8_t own[SPHINX_IDENTIFIER_SIZE];

	if (c) {
		cover_identify(c, load_le64(identifier), own);
		if (sodium_memcmp(own, identifier, sizeof(own)) == 0) {
			report(c, load_le64(identifier), arrival, true);
			return;
		}
	}
	w->stats.cover_received++;
}

void cover_left(struct worker *w, uint64_t number, uint64_t now)
{
	report(w->b->cover, number, now, false);
}

unsigned cover_park(struct worker *w)
{
	struct rte_mbuf *m[COVER_CHUNK];
	unsigned n;
	uint64_t now;

	if (!w->loops)
		return 0;
	n = rte_ring_sc_dequeue_burst(w->loops, (void **)m, RTE_DIM(m), NULL);
	now = n ? rte_rdtsc() : 0;
	for (unsigned i = 0; i < n; i++) {
		struct packet_meta *meta = packet_meta(m[i]);
		uint64_t tie = load_le64(meta->identifier);

		memset(meta->identifier, 0, sizeof(meta->identifier));
		meta->arrival = meta->parked = now;
		if (wheel_insert(w->wheel, m[i], meta->due, tie) != 0) {
			w->stats.drops[DROP_wheel_full]++;
			rte_pktmbuf_free(m[i]);
		}
	}
	return n;
}

/* ---- building
 * ---------------------------------------------------------------------------------------------------
 */

uint64_t cover_ns(const struct cover *c, uint64_t tsc)
{
	__extension__ typedef unsigned __int128 wide;

	return tsc <= c->tsc_base ? 0
				  : (uint64_t)((wide)(tsc - c->tsc_base) * 1000000000u / c->b->hz);
}

uint64_t cover_gap(uint64_t mean)
{
	uint64_t draw;

	randombytes_buf(&draw, sizeof(draw));
	return delay_scale(mean, delay_exp(draw));
}

unsigned cover_buffers(struct cover *c, struct rte_mbuf *m[], unsigned n)
{
	struct betanet *b = c->b;
	unsigned got = RTE_MIN(n, pool_spare(b));

	if (got && pool_alloc_bulk(b, m, got) != 0)
		got = 0;
	c->pool_short += n - got;
	return got;
}

static void address_packet(const struct cover *c, const struct cover_route *r, struct rte_mbuf *m)
{
	struct packet_meta *meta = packet_meta(m);

	memset(meta, 0, sizeof(*meta));
	meta->flag = SPHINX_FLAG_FORWARD;
	address_encode(meta->address, &r->first);
	m->data_len = (uint16_t)c->b->packet_size;
	m->pkt_len = c->b->packet_size;
	if (c->b->port_count)
		meta->sum = link_sum(rte_pktmbuf_mtod(m, void *), m->data_len);
}

void cover_build(
	struct cover *c, const struct cover_route routes[], struct rte_mbuf *m[], unsigned n)
{
	struct sphinx_build_item item[COVER_CHUNK];
	enum sphinx_status status[COVER_CHUNK];
	uint64_t start = rte_rdtsc(), took;

	for (unsigned i = 0; i < n; i++)
		item[i] = (struct sphinx_build_item){
			.route = &routes[i].sphinx, .out = rte_pktmbuf_mtod(m[i], uint8_t *)};
	sphinx_build_burst(c->builder, item, n, c->b->cfg.payload_size, status);
	for (unsigned i = 0; i < n; i++) {
		if (status[i] == SPHINX_ok) {
			address_packet(c, &routes[i], m[i]);
			c->built++;
			c->built_hops += routes[i].sphinx.hops;
		} else {
			rte_pktmbuf_free(m[i]);
			m[i] = NULL;
		}
	}
	took = rte_rdtsc() - start;
	c->build_cycles += took;
	if (took > c->build_longest)
		c->build_longest = took;
}

/* ---- directory
 * --------------------------------------------------------------------------------------------------
 */

/* Whether a port reaches one of the node's addresses now: before that, packets would only wait and
 * be dropped. */
static bool is_there(const struct betanet *b, const struct directory_node *n)
{
	const struct snapshot *s = atomic_load_explicit(&b->snapshot, memory_order_relaxed);

	for (unsigned i = 0; s && s->hop_index && i < n->addresses; i++) {
		uint8_t key[KEY_SIZE];
		int32_t at;

		address_key(key, &n->address[i]);
		at = rte_hash_lookup(s->hop_index, key);
		if (at >= 0 && s->hops[at].resolved)
			return true;
	}
	return false;
}

/*
 * Of other nodes' neighbour sets we know only the rule by which a whole layer is in all of them;
 * beyond it a packet that we route may be dropped by honest relays, and would accuse them.
 */
static bool leads(const void *arg, unsigned from, unsigned to)
{
	const struct betanet *b = arg;
	const struct directory_node *node = b->directory->nodes;

	if ((int)from == b->own_node)
		return snapshot_allows(b, to) && (b->port_count == 0 || is_there(b, &node[to]));
	if (!b->keep_to_neighbours)
		return true;
	return b->cover->width[node[to].layer] - (node[from].layer == node[to].layer) <=
	       NEIGHBOUR_ALL;
}

/* Milliseconds that a sender's delays have on average: in mode sum the rest of the relay's mean. */
static double header_mean_ms(const struct betanet_config *c)
{
	double ms = c->mean_delay_ms;

	if (c->delay_mode == BETANET_DELAY_SUM)
		ms -= c->vrf_mean_ms;
	return RTE_MAX(ms, 0);
}

static struct loop_health_config health_config(const struct cover *c)
{
	const struct betanet_config *cfg = &c->b->cfg;
	unsigned hops = cover_route_loop_delays(c->routes);
	struct loop_health_config h = {
		.nodes = c->b->directory->count,
		.hops = hops,
		.loops_per_second = cfg->loop_rate_pps,
	};

	switch (c->b->delay_mode) {
	case DELAY_VRF:
	case DELAY_SUM:
		h.delays = c->b->delay_mode == DELAY_VRF ? LOOP_HEALTH_LAW : LOOP_HEALTH_BOTH;
		h.delaying = hops;
		h.mean_ns = c->b->vrf_mean_ns;
		break;
	case DELAY_SENDER:
		h.delaying = hops;
		h.mean_ns = (uint64_t)(header_mean_ms(cfg) * 1e6);
		break;
	case DELAY_NONE:
		break;
	}
	return h;
}

static const char *make_routes(struct cover *c)
{
	const struct betanet *b = c->b;
	const struct cover_routes_params p = {
		.directory = b->directory,
		.self = (unsigned)b->own_node,
		.leads = leads,
		.arg = b,
		.mean_delay_ns = (uint64_t)(header_mean_ms(&b->cfg) * 1e6),
		.version = SPHINX_V259, /* what betanet-client sends */
	};

	if (!b->directory)
		return "no directory";
	if (b->own_node < 0)
		return "the directory has no node with our Sphinx key";
	if (b->directory->count < 2)
		return "the directory has no other node";
	return cover_routes_create(&p, &c->routes, NULL) < 0 ? "out of memory" : NULL;
}

/* A new directory: other indices, other states. */
static const char *make_health(struct cover *c)
{
	struct loop_health_config h = health_config(c);
	unsigned *shown = calloc(h.nodes, sizeof(*shown));

	if (!shown || loop_health_create(&h, &c->health) < 0) {
		free(shown);
		return "out of memory";
	}
	c->shown_states = shown;
	c->shown_relay = LOOP_HEALTH_RELAY_OK;
	c->shown_changes = 0;
	c->next_shown = 0;
	return NULL;
}

static void drop_health(struct cover *c)
{
	loop_health_free(c->health);
	free(c->shown_states);
	c->health = NULL;
	c->shown_states = NULL;
}

void cover_directory_changed(struct betanet *b)
{
	struct cover *c = b->cover;
	const struct directory *d = b->directory;
	bool same;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	same = d && c->health && memcmp(c->directory_hash, d->hash, 32) == 0;
	cover_routes_free(c->routes);
	c->routes = NULL;
	c->directory = d;
	memset(c->width, 0, sizeof(c->width));
	for (unsigned i = 0; d && i < d->count; i++)
		c->width[d->nodes[i].layer]++;
	c->why = make_routes(c);
	if (!same || !c->routes) {
		drop_health(c);
		loops_forget(c);
		if (c->routes)
			c->why = make_health(c);
		if (c->why) {
			cover_routes_free(c->routes);
			c->routes = NULL;
		}
	}
	if (d)
		memcpy(c->directory_hash, d->hash, 32);
	pthread_mutex_unlock(&c->lock);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------
 */

int cover_create(struct betanet *b, struct error *err)
{
	uint64_t events = (uint64_t)(b->cfg.loop_rate_pps * 2);
	struct cover *c;
	int r;

	if (!b->cfg.cover)
		return 0;
	b->cover = c = calloc(1, sizeof(*c));
	if (!c)
		return error_set(err, ENOMEM, "not enough memory for cover traffic");
	c->b = b;
	c->why = "no directory";
	pthread_mutex_init(&c->lock, NULL);
	c->key = secmem_alloc(crypto_shorthash_KEYBYTES);
	c->builder = sphinx_builder_create();
	if (!c->key || !c->builder)
		return error_set(err, ENOMEM,
			"no locked memory for building cover traffic; raise `ulimit -l`");
	crypto_shorthash_keygen(c->key);
	events = RTE_MIN(RTE_MAX(events, (uint64_t)EVENTS_MIN), (uint64_t)EVENTS_MAX);
	c->events = rte_ring_create_elem("mix_cover", sizeof(struct cover_event),
		rte_align32pow2((uint32_t)events), SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (!c->events)
		return error_set(err, rte_errno, "the ring of cover events could not be made: %s",
			rte_strerror(rte_errno));
	r = loops_create(c, err);
	return r < 0 ? r : stock_create(c, err);
}

void cover_free(struct cover *c)
{
	if (!c)
		return;
	drop_health(c);
	free(c->stock.room);
	cover_routes_free(c->routes);
	sphinx_builder_free(c->builder);
	rte_ring_free(c->events);
	secmem_free(c->loop);
	secmem_free(c->key);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int cover_worker(struct worker *w, struct error *err)
{
	const struct betanet_config *cfg = &w->b->cfg;
	/* twice its share of what is made ahead */
	double ahead = cfg->loop_rate_pps * COVER_LEAD_MS / 1e3 / cfg->workers;
	char name[RTE_RING_NAMESIZE];

	if (!cfg->cover)
		return 0;
	snprintf(name, sizeof(name), "mix_loops_%u", w->index);
	w->loops = rte_ring_create(name, rte_align32pow2((uint32_t)(2 * ahead) + 2 * COVER_CHUNK),
		SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return w->loops ? 0
			: error_set(err, rte_errno, "a ring of loops could not be made: %s",
				  rte_strerror(rte_errno));
}

uint64_t cover_packets(const struct betanet_config *c)
{
	return c->cover ? (uint64_t)(c->loop_rate_pps * COVER_LEAD_MS / 1e3) + COVER_CHUNK : 0;
}

unsigned cover_poll(struct betanet *b)
{
	struct cover *c = b->cover;
	int state = atomic_load(&b->state);
	unsigned n, made;

	/* slots go on until the end of a drain, and must not show how much is left */
	if (c && state == LCORE_DRAIN)
		return stock_fill(c);
	if (!c || state != LCORE_RUN)
		return 0;
	n = loops_events(c);
	loops_expire(c);
	made = loops_make(c);
	if (made <= COVER_CHUNK / 2)
		made += stock_fill(c);
	return n + made;
}

void cover_stats(const struct betanet *b, struct betanet_stats *s)
{
	const struct cover *c = b->cover;

	if (!c)
		return;
	s->loops_sent = c->sent;
	s->loops_returned = c->returned;
	s->loops_lost = c->lost;
}
