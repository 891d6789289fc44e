/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The relay's own pipeline as an engine. sphinx is the whole; sphinx-nodelay leaves out the delays,
 * sphinx-noreplay also the replay table: what each of them costs is the difference.
 */
#include "engine.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/secmem.h"
#include "mixnet.h"
#include "pipeline/pipeline.h"
#include "traffic.h"

enum { QUEUE_DEPTH = 4096, REPLAY_MIN = 1 << 16, DRAIN_MS = 1000, WIRES_MS = 5000 };

/* A capture that starts over brings the same packets again. */
static int refuse_loops(const struct lab *l, struct error *err)
{
	for (unsigned i = 0; i < l->port_count && !l->engine->no_replay; i++) {
		struct rte_eth_dev_info info = {0};
		const struct rte_devargs *args = NULL;

		if (rte_eth_dev_info_get(l->ports[i].id, &info) == 0 && info.device)
			args = rte_dev_devargs(info.device);
		if (args && args->args && strstr(args->args, "infinite_rx=1"))
			return error_set(err, EINVAL,
				"port %u (%s) loops a capture (infinite_rx=1): its packets come "
				"again, and all but the first of each would be dropped as "
				"`replay`, so nothing would be measured; use unique packets "
				"(--wires), or the engine sphinx-noreplay",
				l->ports[i].id, l->ports[i].name);
	}
	return 0;
}

static void fill_config(const struct lab *l, struct betanet_config *c)
{
	static const struct betanet_prefix lab_net = {4, 16, {10, 10}};
	const struct cli_options *o = &l->options;

	betanet_config_init(c);
	c->role = o->hops == 1 ? BETANET_EXIT : BETANET_ENTRY;
	c->workers = l->lcore_count;
	c->batch_size = (unsigned)RTE_MIN(o->burst, (uint64_t)BETANET_MAX_BATCH);
	c->queue_depth = QUEUE_DEPTH;
	c->payload_size = (unsigned)o->payload_size;
	c->idle = o->sleep ? BETANET_IDLE_SLEEP : BETANET_IDLE_SPIN;
	c->delay_mode = l->engine->no_delay ? BETANET_DELAY_NONE : (enum betanet_delay)o->delay;
	c->mean_delay_ms = c->delay_mode == BETANET_DELAY_NONE ? 0 : o->mean_delay_ms;
	c->vrf_mean_ms = o->mean_delay_ms;
	c->shaping = (enum betanet_shaping)l->shaping;
	c->max_rate_pps = l->shaping_pps;
	c->cover = l->loops_pps > 0;
	if (c->cover)
		c->loop_rate_pps = l->loops_pps;
	c->target_pps = (unsigned)RTE_MAX(o->rate, (uint64_t)25000);
	c->replay_capacity = RTE_MAX(2 * o->packets, (uint64_t)REPLAY_MIN);
	c->udp_port = MIXNET_UDP_PORT;
	c->exit_allow = &lab_net;
	c->exit_allow_count = 1;
	c->name = "mix1";
	memcpy(c->sphinx_secret, l->network->keys.secret, 32);
	memcpy(c->vrf_seed, l->network->vrf_seed, 32);
	memcpy(c->network_id, l->network->network_id, 32);
	memcpy(c->node_id, l->network->node_id, 32);
}

static int add_ports(struct lab *l, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < l->port_count && !rc; i++) {
		struct endpoint own = mixnet_own_address(i);
		struct betanet_port p = {.device = l->ports[i].name,
			.has_ipv4 = true,
			.bits4 = 24,
			.mtu = 1500,
			.rx_queues = l->lcore_count,
			.rx_descriptors = (unsigned)l->options.rxd,
			.tx_descriptors = (unsigned)l->options.txd};

		memcpy(p.ipv4, own.ip, 4);
		rc = betanet_port_add(l->mix, &p, err->msg);
	}
	return rc;
}

static void mix_free(struct lab *l)
{
	betanet_destroy(l->mix);
	l->mix = NULL;
}

static int mix_begin(struct lab *l, struct error *err)
{
	struct betanet_config *c;
	int rc = refuse_loops(l, err);

	if (!rc && l->options.map_count)
		rc = error_set(err, EINVAL,
			"--config: the sphinx engines deal the queues out themselves; use "
			"--nb-cores instead");
	if (rc)
		return rc;
	mix_free(l);
	lab_ports_stop(l);
	/* it carries a secret: not on the stack, where it could be swapped out */
	c = secmem_alloc(sizeof(*c));
	if (!c)
		return error_set(err, ENOMEM, "no locked memory for the keys; raise `ulimit -l`");
	fill_config(l, c);
	rc = betanet_create(c, &l->mix, err->msg);
	secmem_free(c);
	if (rc)
		return rc;
	l->mix->lab.no_replay = l->engine->no_replay;
	l->mix->lab.keep_ports = true;
	rc = add_ports(l, err);
	if (!rc)
		rc = betanet_directory_set(l->mix, l->network->path, l->network->authority,
			(uint64_t)time(NULL), err->msg);
	if (!rc)
		rc = betanet_start(l->mix, err->msg);
	if (rc)
		mix_free(l);
	return rc;
}

/* Alarms and epochs are for operators: the lab shows counters. */
static void mix_poll(struct lab *l)
{
	struct betanet_alarm alarm;
	struct betanet_epoch epoch;

	betanet_poll(l->mix);
	while (betanet_alarm_take(l->mix, &alarm) || betanet_epoch_take(l->mix, &epoch))
		;
}

/* Buffers of the pipeline's own pool (cover, ARP) may be on the wires to the generator's and the
 * sink's lcores, which run until the engine has ended. */
static int mix_end(struct lab *l, struct error *err)
{
	struct betanet_stop_report r = {0};
	int rc = betanet_stop(l->mix, DRAIN_MS, &r);
	unsigned missing = r.pool_size - r.pool_free - r.pool_kept;

	for (unsigned ms = 0; rc == -EIO && missing && l->traffic && ms < WIRES_MS; ms++) {
		ethport_sleep_ns(1000000);
		missing = r.pool_size - r.pool_kept - rte_mempool_avail_count(l->mix->pool);
	}
	if (rc && !(rc == -EIO && missing == 0))
		return error_set(err, -rc, "%u of %u packet buffers are missing after the stop",
			missing, r.pool_size);
	return 0;
}

static const struct worker *mix_worker(const struct lab *l, unsigned i)
{
	return l->mix && i < l->mix->cfg.workers ? &l->mix->workers[i] : NULL;
}

static void mix_cycles(const struct lab *l, uint64_t *cycles, uint64_t *packets)
{
	const struct worker *w;

	for (unsigned i = 0; (w = mix_worker(l, i)) != NULL; i++) {
		*cycles += __atomic_load_n(&w->stats.busy_cycles, __ATOMIC_RELAXED);
		*packets += __atomic_load_n(&w->stats.rx, __ATOMIC_RELAXED);
	}
}

#define MIX_ENGINE                                                                                 \
	.begin = mix_begin, .poll = mix_poll, .end = mix_end, .cycles = mix_cycles,                \
	.worker = mix_worker, .release = mix_free, .max_burst = BETANET_MAX_BATCH,                 \
	.pipeline = true

const struct engine engine_sphinx = {
	.name = "sphinx",
	.text = "the relay's pipeline",
	MIX_ENGINE,
};

const struct engine engine_sphinx_nodelay = {
	.name = "sphinx-nodelay",
	.text = "the relay's pipeline, packets leave at once",
	.no_delay = true,
	MIX_ENGINE,
};

const struct engine engine_sphinx_noreplay = {
	.name = "sphinx-noreplay",
	.text = "the relay's pipeline, packets leave at once and may come again",
	.no_delay = true,
	.no_replay = true,
	MIX_ENGINE,
};
