/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a pipeline: create, ports, directory, start, stop, destroy. */
#include "pipeline/pipeline.h"
#include "core/secmem.h"
#include "pipeline/pool.h"

#include <errno.h>
#include <math.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(struct error) == BETANET_ERROR_MAX,
	"char err[] of the public API is a struct error");
_Static_assert(DROP_COUNT <= 64, "betanet_stats.drops is too small");

enum { REPLAY_SECONDS = 1200 }; /* a key period */

static struct error *as_error(char *err)
{
	return (struct error *)(void *)err;
}

void betanet_config_init(struct betanet_config *c)
{
	*c = (struct betanet_config){
		.role = BETANET_MIDDLE,
		.workers = 1,
		.batch_size = BETANET_MAX_BATCH,
		.queue_depth = 10000,
		.payload_size = SPHINX_PAYLOAD_DEFAULT,
		.tick_us = 200,
		.burst_size = 128,
		.limits = {.strangers = true, .source_burst = 256, .peer_burst = 1024},
		.loop_rate_pps = 2,
		.target_pps = 25000,
		.mean_delay_ms = 50,
		.delay_mode = BETANET_DELAY_SENDER,
		.vrf_mean_ms = 50,
		.epoch_seconds = 10,
		.vrf_suite = 3,
		.beacon_max_age_s = 3600,
		.name = "mix",
	};
}

static int check_config(const struct betanet_config *c, struct error *err)
{
	const struct {
		const char *name;
		uint64_t value, min, max;
	} range[] = {
		{"workers", c->workers, 1, BETANET_MAX_WORKERS},
		{"batch_size", c->batch_size, 1, BETANET_MAX_BATCH},
		{"queue_depth", c->queue_depth, 1, 1 << 20},
		{"payload_size", c->payload_size, SPHINX_PAYLOAD_MIN, 8192},
		{"tick_us", c->tick_us, 100, 250},
		{"shaping", c->shaping, BETANET_SHAPING_OFF, BETANET_SHAPING_POISSON},
		{"max_rate_pps", c->max_rate_pps, c->shaping != BETANET_SHAPING_OFF, 100000000},
		{"limits.source_pps", c->limits.source_pps, 0, 100000000},
		{"limits.peer_pps", c->limits.peer_pps, 0, 100000000},
		{"limits.source_burst", c->limits.source_burst, 1, 65536},
		{"limits.peer_burst", c->limits.peer_burst, 1, 65536},
		{"limits.global_pps",
			c->limits.global_pps == BETANET_GLOBAL_AUTO ? 0 : c->limits.global_pps, 0,
			100000000},
		{"loop_rate_pps, in hundredths", (uint64_t)(c->loop_rate_pps * 100), 1, 10000000},
		{"burst_size", c->burst_size, 1, 65536},
		{"target_pps", c->target_pps, 1, 100000000},
		{"mean_delay_ms", (uint64_t)c->mean_delay_ms, 0, 10000},
		{"delay_mode", c->delay_mode, BETANET_DELAY_VRF, BETANET_DELAY_NONE},
		{"vrf_mean_ms", (uint64_t)ceil(c->vrf_mean_ms), 1, 10000},
		{"epoch_seconds", c->epoch_seconds, EPOCH_SECONDS_MIN, EPOCH_SECONDS_MAX},
		{"vrf_suite", c->vrf_suite, ECVRF_TAI, ECVRF_ELL2},
		{"role", c->role, BETANET_ENTRY, BETANET_EXIT},
		{"idle", c->idle, BETANET_IDLE_SPIN, BETANET_IDLE_SLEEP},
	};

	for (unsigned i = 0; i < RTE_DIM(range); i++)
		if (range[i].value < range[i].min || range[i].value > range[i].max)
			return error_set(err, EINVAL, "%s = %lu: allowed is %lu to %lu",
				range[i].name, (unsigned long)range[i].value,
				(unsigned long)range[i].min, (unsigned long)range[i].max);
	if (c->shaping >= BETANET_SHAPING_CONSTANT && !c->cover)
		return error_set(err, EINVAL,
			"shaping by slots fills empty ones with cover, but cover is off; set "
			"cover, or "
			"shaping to rate");
	return 0;
}

/* ---- create
 * ----------------------------------------------------------------------------------------------------
 */

static bool exists;

static int open_replay(struct betanet *b, const struct betanet_config *c, struct error *err)
{
	uint8_t public_key[32];
	struct replay_params p = {
		.capacity = c->replay_capacity
				    ? c->replay_capacity
				    : RTE_MAX((uint64_t)c->target_pps * REPLAY_SECONDS, 1024u),
		.path = c->replay_file,
		.public_key = public_key,
	};

	crypto_scalarmult_base(public_key, b->sphinx_secret);
	return replay_open(&p, &b->replay, err);
}

static int make_worker(struct betanet *b, unsigned index, struct error *err)
{
	struct worker *w = &b->workers[index];
	struct wheel_params wp = {
		.tick = b->hz / 1000000 * b->cfg.tick_us,
		.horizon = (uint64_t)((double)b->hz *
				      ((double)delay_longest(b->delay_mode, b->vrf_mean_ns) / 1e9 +
					      1)),
		.capacity = b->pool->size,
		.now = rte_rdtsc(),
	};
	char name[RTE_RING_NAMESIZE];
	int r = wheel_create(&wp, &w->wheel, err);

	if (r < 0)
		return r;
	uint8_t key[32];

	w->b = b;
	w->index = index;
	randombytes_buf(key, sizeof(key));
	early_dice_init(&w->dice, key);
	sodium_memzero(key, sizeof(key));
	/* at an exit most packets end: nothing to share between two multiplications */
	w->sphinx = sphinx_burst_create(
		b->cfg.role == BETANET_EXIT ? SPHINX_CURVE_LADDER : SPHINX_CURVE_AUTO);
	w->burst = secmem_alloc(sizeof(*w->burst));
	w->view = secmem_alloc(sizeof(*w->view));
	w->dtag = secmem_alloc(BURST_MAX * sizeof(*w->dtag));
	if (!w->sphinx || !w->burst || !w->view || !w->dtag)
		return error_set(err, ENOMEM,
			"not enough locked memory for worker %u; raise `ulimit -l`", index);
	r = links_init_worker(w, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "mix_submit_%u", index);
	w->submit = rte_ring_create(name, b->cfg.queue_depth, SOCKET_ID_ANY,
		RING_F_EXACT_SZ | RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!w->submit)
		return error_set(err, rte_errno,
			"a submit queue of %u packets could not be made: %s", b->cfg.queue_depth,
			rte_strerror(rte_errno));
	return cover_worker(w, err);
}

static int make_qsbr(struct betanet *b, struct error *err)
{
	size_t size = rte_rcu_qsbr_get_memsize(b->cfg.workers);

	b->qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(size, (size_t)RTE_CACHE_LINE_SIZE));
	if (!b->qsbr || rte_rcu_qsbr_init(b->qsbr, b->cfg.workers) != 0)
		return error_set(err, ENOMEM,
			"not enough memory for the grace periods of %u workers", b->cfg.workers);
	return 0;
}

static int fill(struct betanet *b, struct betanet_config *c, struct error *err)
{
	int r = links_init(b, err);

	if (r == 0)
		r = crypto_init(c->max_simd_bits, err);
	if (r < 0)
		return r;
	b->cfg = *c;
	sodium_memzero(b->cfg.sphinx_secret, sizeof(b->cfg.sphinx_secret));
	sodium_memzero(b->cfg.vrf_seed, sizeof(b->cfg.vrf_seed));
	snprintf(b->name, sizeof(b->name), "%s", c->name ? c->name : "mix");
	b->packet_size = SPHINX_HEADER_SIZE + c->payload_size;
	b->hz = rte_get_tsc_hz();
	b->sphinx_secret = secmem_alloc(32);
	b->workers = aligned_alloc(RTE_CACHE_LINE_SIZE, c->workers * sizeof(*b->workers));
	if (!b->sphinx_secret || !b->workers)
		return error_set(err, ENOMEM, "not enough memory for %u workers", c->workers);
	memset(b->workers, 0, c->workers * sizeof(*b->workers));
	memcpy(b->sphinx_secret, c->sphinx_secret, 32);
	if (c->exit_allow_count) {
		b->exit_allow = calloc(c->exit_allow_count, sizeof(*b->exit_allow));
		if (!b->exit_allow)
			return error_set(err, ENOMEM, "not enough memory for exit_allow");
	}
	for (unsigned i = 0; i < c->exit_allow_count; i++) {
		struct cidr *net = &b->exit_allow[b->exit_allow_count++];

		net->family = c->exit_allow[i].family;
		net->bits = c->exit_allow[i].bits;
		memcpy(net->ip, c->exit_allow[i].ip, sizeof(net->ip));
	}
	r = open_replay(b, c, err);
	if (r == 0)
		r = epochs_create(b, c, err);
	if (r == 0)
		r = cover_create(b, err);
	if (r == 0)
		r = make_qsbr(b, err);
	if (r == 0)
		r = control_init(b, err);
	return r < 0 ? r : telemetry_register(err);
}

int betanet_create(struct betanet_config *c, struct betanet **out, char err[BETANET_ERROR_MAX])
{
	struct betanet *b = NULL;
	int r = check_config(c, as_error(err));

	if (r == 0 && exists)
		r = error_set(as_error(err), EEXIST, "this process already has a pipeline");
	if (r == 0) {
		b = calloc(1, sizeof(*b));
		r = b ? fill(b, c, as_error(err))
		      : error_set(as_error(err), ENOMEM, "not enough memory");
	}
	sodium_memzero(c->sphinx_secret, sizeof(c->sphinx_secret));
	sodium_memzero(c->vrf_seed, sizeof(c->vrf_seed));
	if (r < 0) {
		if (b)
			betanet_destroy(b);
		return r;
	}
	exists = b->sole = true;
	*out = b;
	return 0;
}

int betanet_port_add(struct betanet *b, const struct betanet_port *cfg, char err[BETANET_ERROR_MAX])
{
	struct port *p = &b->ports[b->port_count];

	if (atomic_load(&b->state) != LCORE_BOOT)
		return error_set(as_error(err), EBUSY, "ports are added before the start");
	if (b->port_count == BETANET_MAX_PORTS)
		return error_set(as_error(err), ENOSPC, "at most %u ports", BETANET_MAX_PORTS);
	memset(p, 0, sizeof(*p));
	p->cfg = *cfg;
	snprintf(p->device, sizeof(p->device), "%s", cfg->device);
	p->cfg.device = NULL;
	p->host.udp_port = b->cfg.udp_port;
	p->host.has_ipv4 = cfg->has_ipv4;
	p->host.has_ipv6 = cfg->has_ipv6;
	memcpy(p->host.ipv4, cfg->ipv4, 4);
	memcpy(p->host.ipv6, cfg->ipv6, 16);
	b->port_count++;
	return 0;
}

int betanet_directory_set(struct betanet *b, const char *path, const uint8_t authority[32],
	uint64_t now, char err[BETANET_ERROR_MAX])
{
	struct directory *d, *old = b->directory;
	int r = directory_load(path, authority, now, &d, as_error(err));

	if (r < 0)
		return r;
	b->directory = d;
	b->directory_expired = false;
	if (atomic_load(&b->state) != LCORE_BOOT) {
		control_directory_changed(b);
		r = snapshot_publish(b, as_error(err));
		if (r < 0) {
			b->directory = old;
			control_directory_changed(b);
			directory_free(d);
			return r;
		}
	}
	directory_free(old);
	return 0;
}

/* ---- start
 * -------------------------------------------------------------------------------------------------------
 */

/* RX queue q of port p goes to worker (p + q) mod workers: single-queue ports spread over the
 * workers. */
static int deal_queues(struct betanet *b, struct error *err)
{
	unsigned workers = b->cfg.workers;

	for (unsigned i = 0; i < workers; i++) {
		b->workers[i].own = calloc(b->port_count + 1, sizeof(struct txq *));
		if (!b->workers[i].own)
			return error_set(
				err, ENOMEM, "not enough memory for the queues of worker %u", i);
	}
	for (unsigned p = 0; p < b->port_count; p++) {
		struct port *port = &b->ports[p];

		for (unsigned q = 0; q < port->rx_queues; q++) {
			struct worker *w = &b->workers[(p + q) % workers];

			w->rxq[w->rxq_count].port = port;
			w->rxq[w->rxq_count].index = (uint16_t)p;
			w->rxq[w->rxq_count++].queue = (uint16_t)q;
		}
		for (unsigned i = 0; i < workers; i++)
			b->workers[i].feed[p] = &port->txq[i % port->tx_queues];
		for (unsigned q = 0; q < port->tx_queues; q++)
			b->workers[q].own[b->workers[q].own_count++] = &port->txq[q];
		b->workers[0].reply_port[b->workers[0].reply_count++] = port;
	}
	return 0;
}

/* Without ports every worker has a shaping queue of its own, and all lead to one ring. */
static int make_collect(struct betanet *b, struct error *err)
{
	b->collect = rte_ring_create(
		"mix_collect", b->cfg.queue_depth, SOCKET_ID_ANY, RING_F_EXACT_SZ | RING_F_SC_DEQ);
	b->collect_txq = calloc(b->cfg.workers, sizeof(*b->collect_txq));
	if (!b->collect || !b->collect_txq)
		return error_set(err, ENOMEM, "a collect queue of %u packets could not be made",
			b->cfg.queue_depth);
	for (unsigned i = 0; i < b->cfg.workers; i++) {
		struct worker *w = &b->workers[i];
		char name[RTE_RING_NAMESIZE];
		int r;

		snprintf(name, sizeof(name), "mix_out_%u", i);
		r = txq_init(b, &b->collect_txq[i], name, true, err);
		if (r < 0)
			return r;
		b->collect_txq[i].collect = b->collect;
		w->feed[0] = &b->collect_txq[i];
		w->own[w->own_count++] = &b->collect_txq[i];
	}
	return 0;
}

static int start_ports(struct betanet *b, struct error *err)
{
	for (unsigned i = 0; i < b->port_count; i++) {
		int r = port_configure(b, &b->ports[i], err);

		if (r == 0)
			r = port_start(&b->ports[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int launch(struct betanet *b, struct error *err)
{
	unsigned i = 0;

	for (unsigned lcore = 0; lcore < RTE_MAX_LCORE && i < b->cfg.workers; lcore++) {
		if (rte_lcore_is_enabled(lcore) && lcore != rte_get_main_lcore())
			b->workers[i++].lcore = lcore;
	}
	if (i < b->cfg.workers)
		return error_set(err, ENOSPC,
			"workers = %u: EAL has %u lcores, one of which is the control lcore; give "
			"it %u (-l 0-%u, or --lcores to share cores)",
			b->cfg.workers, rte_lcore_count(), b->cfg.workers + 1, b->cfg.workers);
	b->started = rte_rdtsc();
	atomic_store(&b->state, LCORE_RUN);
	for (i = 0; i < b->cfg.workers; i++) {
		int r = rte_eal_remote_launch(worker_main, &b->workers[i], b->workers[i].lcore);

		if (r < 0) {
			atomic_store(&b->state, LCORE_HALT);
			return error_set(err, -r, "lcore %u is busy", b->workers[i].lcore);
		}
	}
	return 0;
}

int betanet_start(struct betanet *b, char err[BETANET_ERROR_MAX])
{
	struct betanet_port cfg[BETANET_MAX_PORTS];
	int r;

	if (atomic_load(&b->state) != LCORE_BOOT)
		return error_set(as_error(err), EBUSY, "the pipeline was started before");
	for (unsigned i = 0; i < b->port_count; i++)
		cfg[i] = b->ports[i].cfg;
	r = pool_make(b, cfg, b->port_count, as_error(err));
	for (unsigned i = 0; r == 0 && i < b->cfg.workers; i++)
		r = make_worker(b, i, as_error(err));
	if (r == 0)
		r = admission_create(b, as_error(err));
	if (r == 0)
		r = start_ports(b, as_error(err));
	if (r == 0)
		r = deal_queues(b, as_error(err));
	if (r == 0 && b->port_count == 0)
		r = make_collect(b, as_error(err));
	if (r < 0)
		return r;
	if (b->epochs)
		epochs_poll(b); /* the first epoch's key is there before the first packet */
	control_directory_changed(b);
	r = snapshot_publish(b, as_error(err));
	pool_begin(b);
	if (r == 0)
		r = launch(b, as_error(err));
	if (r == 0)
		telemetry_attach(b);
	return r;
}

/* ---- destroy ---- */

static void destroy_worker(struct worker *w)
{
	wheel_free(w->wheel);
	sphinx_burst_free(w->sphinx);
	secmem_free(w->burst);
	secmem_free(w->view);
	secmem_free(w->dtag);
	rte_ring_free(w->submit);
	rte_ring_free(w->loops);
	sodium_memzero(&w->dice, sizeof(w->dice));
	links_free_worker(w);
	free(w->own);
}

void betanet_destroy(struct betanet *b)
{
	if (!b)
		return;
	if (atomic_load(&b->state) == LCORE_RUN)
		betanet_stop(b, 0, NULL);
	telemetry_attach(NULL);
	snapshot_reclaim(b, true);
	links_free(b);
	for (unsigned i = 0; b->workers && i < b->cfg.workers; i++)
		destroy_worker(&b->workers[i]);
	free(b->workers);
	for (unsigned i = 0; i < b->port_count; i++)
		port_close(&b->ports[i]);
	for (unsigned i = 0; b->collect_txq && i < b->cfg.workers; i++)
		rte_ring_free(b->collect_txq[i].shaping);
	free(b->collect_txq);
	ring_drop(b->collect);
	rte_ring_free(b->collect);
	rte_ring_free(b->control_rx);
	rte_ring_free(b->resolve);
	admission_free(b);
	rte_mempool_free(b->pool);
	free(b->qsbr);
	free(b->neighbours);
	free(b->exit_allow);
	directory_free(b->directory);
	replay_close(b->replay);
	epochs_free(b->epochs);
	cover_free(b->cover);
	secmem_free(b->sphinx_secret);
	if (b->sole)
		exists = false;
	free(b);
}
