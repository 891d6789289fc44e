/* SPDX-License-Identifier: BSD-3-Clause */
/* What DPDK's telemetry socket says of the pipeline. Callbacks run in EAL's telemetry thread and
 * only read. */
#include "core/dpdk_compat.h"
#include "core/version.h"
#include "pipeline/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>

/* A callback may run while the pipeline is destroyed: it holds the lock, and so does
 * telemetry_attach. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct betanet *shown;

void telemetry_attach(struct betanet *b)
{
	pthread_mutex_lock(&lock);
	shown = b;
	pthread_mutex_unlock(&lock);
}

static const char *state_name(int state)
{
	static const char *const names[] = {
		[LCORE_BOOT] = "boot",
		[LCORE_RUN] = "run",
		[LCORE_DRAIN] = "drain",
		[LCORE_HALT] = "halt",
		[LCORE_FAIL] = "fail",
	};

	return names[state];
}

int telemetry_add_rows(struct rte_tel_data *d, const struct telemetry_row *rows, unsigned n)
{
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		r = compat_tel_add_dict_u64(d, rows[i].name, rows[i].value);
	return r;
}

/* Of the buffers asked for, those that the lcore's own cache gave; 0 when none was asked for. */
static uint64_t pool_hit_ppm(const struct betanet_stats *s)
{
	return s->pool_requests > s->pool_misses
		       ? (s->pool_requests - s->pool_misses) * 1000000 / s->pool_requests
		       : 0;
}

/* rte_tel has no floating point: times are whole ns, ratios have their unit in the name. */
static int show_info(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	static const char *const roles[] = {"entry", "middle", "exit"};

	(void)params;
	rte_tel_data_add_dict_string(d, "version", BETANET_VERSION);
	rte_tel_data_add_dict_string(d, "name", b->name);
	rte_tel_data_add_dict_string(d, "type", roles[b->cfg.role]);
	rte_tel_data_add_dict_string(d, "state", state_name(atomic_load(&b->state)));
	rte_tel_data_add_dict_int(d, "workers", (int)b->cfg.workers);
	rte_tel_data_add_dict_int(d, "batch_size", (int)b->cfg.batch_size);
	rte_tel_data_add_dict_int(d, "payload_size", (int)b->cfg.payload_size);
	rte_tel_data_add_dict_int(d, "ports", (int)b->port_count);
	compat_tel_add_dict_u64(d, "pool_size", b->pool->size);
	compat_tel_add_dict_u64(d, "replay_capacity", replay_capacity(b->replay));
	compat_tel_add_dict_u64(d, "tsc_hz", b->hz);
	return 0;
}

static int show_stats(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	struct betanet_stats s;

	(void)params;
	betanet_stats_get(b, &s);
	const struct telemetry_row rows[] = {
		{"rx", s.rx},
		{"rx_bytes", s.rx_bytes},
		{"processed", s.processed},
		{"forwarded", s.forwarded},
		{"delivered", s.delivered},
		{"tx", s.tx},
		{"tx_bytes", s.tx_bytes},
		{"control", s.control},
		{"cover_received", s.cover_received},
		{"dropped", s.dropped},
		{"rx_missed", s.rx_missed},
		{"rx_no_buffer", s.rx_no_buffer},
		{"parked", s.parked},
		{"queued", s.queued},
		{"mean_processing_ns", (uint64_t)s.mean_processing_ns},
		{"mean_shaping_ns", (uint64_t)s.mean_shaping_ns},
		{"mean_batch_x100", (uint64_t)(s.mean_batch * 100)},
		{"throughput_pps", (uint64_t)s.throughput_pps},
		{"uptime_s", (uint64_t)s.uptime_s},
		{"pool_size", s.pool_size},
		{"pool_free", s.pool_free},
		{"pool_requests", s.pool_requests},
		{"pool_misses", s.pool_misses},
		{"pool_hit_rate_ppm", pool_hit_ppm(&s)},
		{"replay_tags", s.replay_tags},
		{"replay_capacity", s.replay_capacity},
	};
	return telemetry_add_rows(d, rows, RTE_DIM(rows));
}

/* Buffers in the cache of the control lcore, then of each worker. */
static int add_caches(const struct betanet *b, struct rte_tel_data *d)
{
	struct rte_tel_data *a = rte_tel_data_alloc();

	if (!a)
		return -ENOMEM;
	rte_tel_data_start_array(a, COMPAT_TEL_U64_VAL);
	compat_tel_add_array_u64(a, b->pool->local_cache[rte_get_main_lcore()].len);
	for (unsigned i = 0; i < b->cfg.workers; i++)
		compat_tel_add_array_u64(a, b->pool->local_cache[b->workers[i].lcore].len);
	return rte_tel_data_add_dict_container(d, "caches", a, 0);
}

static int show_pool(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	struct betanet_stats s;
	struct pool_counts c;

	(void)params;
	betanet_stats_get(b, &s);
	pool_count(b->pool, &c);
	const struct telemetry_row rows[] = {
		{"size", s.pool_size},
		{"free", s.pool_free},
		{"free_shared", pool_shared(b->pool)},
		{"drop_some_below", b->early.from},
		{"drop_all_below", b->early.all + 1},
		{"dropped", s.drops[DROP_pool_full]},
		{"requests", s.pool_requests},
		{"misses", s.pool_misses},
		{"hit_rate_ppm", pool_hit_ppm(&s)},
		{"refills", c.refills - b->pool_base.refills},
		{"failures", c.failures - b->pool_base.failures},
		{"rx_no_buffer", s.rx_no_buffer},
		{"cache_size", b->pool->cache_size},
	};
	if (telemetry_add_rows(d, rows, RTE_DIM(rows)) < 0)
		return -ENOMEM;
	return add_caches(b, d);
}

/* No source is named: only how many of the table's words are at their limit. */
static int show_limits(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	const struct betanet_limits *l = &b->cfg.limits;
	struct admission_state a;
	struct betanet_stats s;

	(void)params;
	betanet_stats_get(b, &s);
	admission_state(b, &a);
	const struct telemetry_row rows[] = {
		{"strangers", a.strangers},
		{"source_pps", l->source_pps},
		{"source_burst", l->source_burst},
		{"peer_pps", l->peer_pps},
		{"peer_burst", l->peer_burst},
		{"global_pps", a.global_pps},
		{"global_is_measured", l->global_pps == BETANET_GLOBAL_AUTO},
		{"capacity_pps", a.capacity_pps},
		{"source_table_bytes", a.words * sizeof(uint64_t)},
		{"source_table_words", a.words},
		{"source_table_words_at_limit", a.hot},
		{"unknown_source", s.drops[DROP_unknown_source]},
		{"source_limit", s.drops[DROP_source_limit]},
		{"peer_limit", s.drops[DROP_peer_limit]},
		{"global_limit", s.drops[DROP_global_limit]},
	};
	return telemetry_add_rows(d, rows, RTE_DIM(rows));
}

/* No key, proof or beta: only whether they are there. */
static int show_epoch(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	static const char *const beacons[] = {"none", "directory", "file", "fallback"};
	struct betanet_stats s;

	(void)params;
	betanet_stats_get(b, &s);
	const struct telemetry_row rows[] = {
		{"epoch", s.epoch},
		{"epoch_seconds", b->cfg.epoch_seconds},
		{"mean_delay_ns", b->vrf_mean_ns},
		{"epochs_proved", s.epochs_proved},
		{"epochs_unproved", s.epochs_unproved},
		{"epoch_gaps", s.epoch_gaps},
		{"clock_steps", s.clock_steps},
	};

	rte_tel_data_add_dict_string(d, "delay_mode", delay_mode_name(b->delay_mode));
	rte_tel_data_add_dict_string(d, "beacon", beacons[s.beacon_source]);
	return telemetry_add_rows(d, rows, RTE_DIM(rows));
}

static int show_drops(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	struct betanet_stats s;

	(void)params;
	betanet_stats_get(b, &s);
	for (unsigned i = 1; i < DROP_COUNT; i++)
		compat_tel_add_dict_u64(d, drop_name((enum drop_reason)i), s.drops[i]);
	return 0;
}

/* stage_<name>: [calls, packets, TSC cycles], as testpmd's record-core-cycles has them for a core.
 */
static int add_stages(const struct lcore_stats *s, struct rte_tel_data *d)
{
	static const char *const names[STAGE_COUNT] = {
#define X(name) [STAGE_##name] = "stage_" #name,
		STAGES(X)
#undef X
	};

	for (unsigned i = 0; i < STAGE_COUNT; i++) {
		struct rte_tel_data *a = rte_tel_data_alloc();

		if (!a)
			return -ENOMEM;
		rte_tel_data_start_array(a, COMPAT_TEL_U64_VAL);
		compat_tel_add_array_u64(a, s->stage[i].calls);
		compat_tel_add_array_u64(a, s->stage[i].packets);
		compat_tel_add_array_u64(a, s->stage[i].cycles);
		if (rte_tel_data_add_dict_container(d, names[i], a, 0) < 0)
			return -ENOMEM;
	}
	return 0;
}

int telemetry_add_histogram(struct rte_tel_data *d, const char *name, const uint64_t *bucket)
{
	struct rte_tel_data *a = rte_tel_data_alloc();

	if (!a)
		return -ENOMEM;
	rte_tel_data_start_array(a, COMPAT_TEL_U64_VAL);
	for (unsigned i = 0; i < BETANET_HISTOGRAM_BUCKETS; i++)
		compat_tel_add_array_u64(a, bucket[i]);
	return rte_tel_data_add_dict_container(d, name, a, 0);
}

static int show_lcore(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	char *end = NULL;
	unsigned long id = params ? strtoul(params, &end, 10) : 0;
	const struct worker *w;
	const struct lcore_stats *s;

	if (params && (end == params || *end))
		return -EINVAL;
	if (id >= b->cfg.workers)
		return -EINVAL;
	w = &b->workers[id];
	s = &w->stats;
	const struct telemetry_row rows[] = {
		{"worker", id},
		{"lcore", w->lcore},
		{"rx", s->rx},
		{"bursts", s->bursts},
		{"processed", s->processed},
		{"forwarded", s->forwarded},
		{"delivered", s->delivered},
		{"tx", s->tx},
		{"parked", s->parked},
		{"queued", s->queued},
		{"loops", s->loops},
		{"idle_loops", s->idle_loops},
		{"busy_cycles", s->busy_cycles},
		{"longest_loop_cycles", s->longest_loop},
	};
	rte_tel_data_add_dict_string(d, "state", state_name(atomic_load(&w->state)));
	if (telemetry_add_rows(d, rows, RTE_DIM(rows)) < 0 || add_stages(s, d) < 0)
		return -ENOMEM;
	return telemetry_add_histogram(d, "lateness_log2_ns", s->lateness);
}

static int show(int (*fill)(const struct betanet *, const char *, struct rte_tel_data *),
	const char *params, struct rte_tel_data *d)
{
	int r = -ENOENT;

	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&lock);
	if (shown)
		r = fill(shown, params, d);
	pthread_mutex_unlock(&lock);
	return r;
}

#define COMMAND(name)                                                                              \
	static int on_##name(const char *cmd, const char *params, struct rte_tel_data *d)          \
	{                                                                                          \
		(void)cmd;                                                                         \
		return show(show_##name, params, d);                                               \
	}
COMMAND(info)
COMMAND(stats)
COMMAND(drops)
COMMAND(pool)
COMMAND(limits)
COMMAND(epoch)
COMMAND(lcore)
#define show_cover cover_show
#define show_loops cover_show_loops
COMMAND(cover)
COMMAND(loops)
#define show_shaper links_show
#define show_link links_show_link
COMMAND(shaper)
COMMAND(link)

int telemetry_register(struct error *err)
{
	static const struct {
		const char *path;
		telemetry_cb fn;
		const char *help;
	} commands[] = {
		{"/mix/info", on_info,
			"What the relay is: version, name, type, state, sizes. No parameters"},
		{"/mix/stats", on_stats,
			"Counters of all workers and ports, gauges, mean processing time in ns. No "
			"parameters"},
		{"/mix/drops", on_drops, "Packets dropped, by reason. No parameters"},
		{"/mix/pool", on_pool,
			"Packet buffers: free, watermarks of random drop, requests, what "
			"caches lacked, hit rate. No parameters"},
		{"/mix/limits", on_limits,
			"Limits of what is taken, the measured capacity of one worker, the table "
			"of strangers, drops. No parameters"},
		{"/mix/epoch", on_epoch,
			"Delay mode, VRF epoch, beacon; epochs proved, unproved, without a key. No "
			"parameters"},
		{"/mix/cover", on_cover,
			"Packets of our own: loops, their outcomes and times, cost of building. No "
			"parameters"},
		{"/mix/loops", on_loops,
			"States of the relays by our loops; *_within: loops until an alarm. "
			"Parameter: "
			"a relay's name, or none"},
		{"/mix/shaper", on_shaper,
			"Shaping: mode, links, slots and what they sent, lateness per 2^i ns, cost "
			"of 8 packets. No parameters"},
		{"/mix/link", on_link,
			"A link: its node, what waits, its slots and its stock of cover. "
			"Parameter: number of the link from 0 on"},
		{"/mix/lcore", on_lcore,
			"A worker's counters; stage_*: calls, packets, cycles; lateness: per 2^i "
			"ns. Parameter: worker"},
	};
	static bool done;

	for (unsigned i = 0; i < RTE_DIM(commands) && !done; i++) {
		int r = rte_telemetry_register_cmd(
			commands[i].path, commands[i].fn, commands[i].help);

		if (r < 0)
			return error_set(err, -r, "telemetry command %s: %s", commands[i].path,
				strerror(-r));
	}
	done = true;
	return 0;
}
