/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is told of the relay's own packets: sums and states. Never an identifier, a route, or the
 * time of a single packet.
 */
#include "core/dpdk_compat.h"
#include "pipeline/cover.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	TIMES_MIN = 16,    /* loops below which no percentile is given */
	NODES_SHOWN = 200, /* a telemetry dictionary has 256 entries */
};

static int add(struct rte_tel_data *d, const char *name, uint64_t value)
{
	return compat_tel_add_dict_u64(d, name, value);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* What loops took above their delays: of the network and of queues, or, where relays draw the
 * delays, the difference to the mean. */
static int add_residuals(const struct cover *c, struct rte_tel_data *d)
{
	static const struct {
		const char *name;
		unsigned percent;
	} rank[] = {{"residual_p5_us", 5}, {"residual_p50_us", 50}, {"residual_p95_us", 95}};
	unsigned n = (unsigned)RTE_MIN(c->times, (uint64_t)COVER_TIMES);
	int64_t sorted[COVER_TIMES];
	double sum = 0;
	int r = 0;

	if (n < TIMES_MIN)
		return 0;
	memcpy(sorted, c->residual_ns, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_size);
	for (unsigned i = 0; i < n; i++)
		sum += (double)sorted[i];
	r = rte_tel_data_add_dict_int(d, "residual_mean_us", (int)(sum / n / 1e3));
	for (unsigned i = 0; i < RTE_DIM(rank) && r == 0; i++)
		r = rte_tel_data_add_dict_int(
			d, rank[i].name, (int)(sorted[n * rank[i].percent / 100] / 1000));
	return r;
}

int cover_show(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	struct cover *c = b->cover;
	struct betanet_stats s;

	(void)params;
	betanet_stats_get(b, &s);
	if (!c)
		return rte_tel_data_add_dict_string(d, "state", "off") < 0 ||
				       add(d, "cover_received", s.cover_received) < 0
			       ? -ENOMEM
			       : 0;
	pthread_mutex_lock(&c->lock);
	rte_tel_data_add_dict_string(d, "state",
		c->why                 ? c->why
		: b->directory_expired ? "the directory has expired"
				       : "on");
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"loop_rate_per_1000_s", (uint64_t)llround(b->cfg.loop_rate_pps * 1000)},
		{"loops_made", c->made},
		{"loops_sent", c->sent},
		{"loops_returned", c->returned},
		{"loops_lost", c->lost},
		{"loops_unsent", c->unsent},
		{"loops_forgotten", c->forgotten},
		{"loops_under_way", c->next - c->oldest},
		{"loops_late", c->late},
		{"pool_short", c->pool_short},
		{"no_route", c->no_route},
		{"events_lost", atomic_load(&c->events_lost)},
		{"cover_received", s.cover_received},
		{"stock_built", c->stock.built},
		{"stock", c->stock.have},
		{"stock_full", c->stock.want},
		{"links_without_stock", c->stock.dry_now},
		{"built", c->built},
		{"built_hops", c->built_hops},
		{"build_longest_ns", (uint64_t)((double)c->build_longest * 1e9 / (double)b->hz)},
		{"build_ns_per_packet", c->built ? (uint64_t)((double)c->build_cycles * 1e9 /
							      (double)b->hz / (double)c->built)
						 : 0},
	};
	int r = 0;

	for (unsigned i = 0; i < RTE_DIM(rows) && r == 0; i++)
		r = add(d, rows[i].name, rows[i].value);
	if (r == 0)
		r = add_residuals(c, d);
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* ---- health
 * ----------------------------------------------------------------------------------------------------
 */

static int add_prediction(
	struct rte_tel_data *d, const char *name, const struct loop_health_prediction *p)
{
	return add(d, name, (uint64_t)ceil(p->worst));
}

/* One node, by its name. */
static int show_node(const struct cover *c, const char *name, struct rte_tel_data *d)
{
	const struct directory *dir = c->directory;
	const struct directory_node *at = directory_find_name(dir, name);
	char text[LOOP_HEALTH_TEXT];
	struct loop_health_node n;

	if (!at)
		return -EINVAL;
	loop_health_node(c->health, (uint32_t)(at - dir->nodes), &n);
	rte_tel_data_add_dict_string(d, "node", at->name);
	rte_tel_data_add_dict_string(d, "state", loop_health_states_text(n.states, text));
	add(d, "loops", n.loops);
	add(d, "lost", n.lost);
	add(d, "loss_chart_x1000", (uint64_t)(n.loss * 1000));
	add(d, "early_chart_x1000", (uint64_t)(n.early * 1000));
	return add(d, "late_chart_x1000", (uint64_t)(n.late * 1000));
}

/* name: state; of a large network those alone that are not ok. */
static int add_nodes(const struct cover *c, struct rte_tel_data *d)
{
	const struct directory *dir = c->directory;
	struct rte_tel_data *list = rte_tel_data_alloc();
	unsigned faulty = 0, shown = 0;

	if (!list)
		return -ENOMEM;
	rte_tel_data_start_dict(list);
	for (unsigned i = 0; i < dir->count; i++) {
		char text[LOOP_HEALTH_TEXT];
		struct loop_health_node n;

		if ((int)i == c->b->own_node)
			continue;
		loop_health_node(c->health, i, &n);
		faulty += n.states != 0;
		if ((n.states == 0 && dir->count > NODES_SHOWN) || shown == NODES_SHOWN)
			continue;
		shown++;
		rte_tel_data_add_dict_string(
			list, dir->nodes[i].name, loop_health_states_text(n.states, text));
	}
	add(d, "nodes_not_ok", faulty);
	return rte_tel_data_add_dict_container(d, "nodes", list, 0);
}

static int show_all(const struct cover *c, struct rte_tel_data *d)
{
	const struct loop_health_plan *p = loop_health_plan_of(c->health);
	struct loop_health_totals t;

	loop_health_totals(c->health, &t);
	rte_tel_data_add_dict_string(d, "relay", loop_health_relay_text(t.state));
	add(d, "judged", t.returned + t.lost);
	add(d, "lost", t.lost);
	add(d, "lost_in_a_row", t.row);
	add(d, "others_per_s", (uint64_t)t.received_now);
	add(d, "patience_ms", p->patience_ns / 1000000);
	add(d, "lost_row", p->row);
	/* loops until an alarm, of 999 in 1000; 0: cannot be seen */
	add_prediction(d, "relay_within", &p->relay);
	add_prediction(d, "lost_within", &p->lost);
	add_prediction(d, "lossy_within", &p->lossy);
	add_prediction(d, "early_within", &p->early);
	add_prediction(d, "late_within", &p->late);
	return add_nodes(c, d);
}

int cover_show_loops(const struct betanet *b, const char *params, struct rte_tel_data *d)
{
	struct cover *c = b->cover;
	int r = 0;

	if (!c)
		return rte_tel_data_add_dict_string(d, "relay", "cover is off");
	pthread_mutex_lock(&c->lock);
	if (!c->health)
		r = rte_tel_data_add_dict_string(d, "relay", c->why ? c->why : "no loops");
	else
		r = params && *params ? show_node(c, params, d) : show_all(c, d);
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* ---- alarms
 * ----------------------------------------------------------------------------------------------------
 */

static void fill(struct betanet_alarm *a, const char *node, const char *before, const char *now)
{
	snprintf(a->node, sizeof(a->node), "%s", node);
	snprintf(a->before, sizeof(a->before), "%s", before);
	snprintf(a->now, sizeof(a->now), "%s", now);
}

bool betanet_alarm_take(struct betanet *b, struct betanet_alarm *a)
{
	struct cover *c = b->cover;
	struct loop_health_totals t;

	if (!c || !c->health)
		return false;
	loop_health_totals(c->health, &t);
	if (t.changes == c->shown_changes)
		return false;
	if (t.state != c->shown_relay) {
		fill(a, "", loop_health_relay_text(c->shown_relay),
			loop_health_relay_text(t.state));
		c->shown_relay = t.state;
		return true;
	}
	for (; c->next_shown < c->directory->count; c->next_shown++) {
		unsigned *shown = &c->shown_states[c->next_shown];
		char before[LOOP_HEALTH_TEXT], now[LOOP_HEALTH_TEXT];
		struct loop_health_node n;

		loop_health_node(c->health, c->next_shown, &n);
		if (n.states == *shown)
			continue;
		fill(a, c->directory->nodes[c->next_shown].name,
			loop_health_states_text(*shown, before),
			loop_health_states_text(n.states, now));
		*shown = n.states;
		return true;
	}
	c->next_shown = 0;
	c->shown_changes = t.changes;
	return false;
}
