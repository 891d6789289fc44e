/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop_health_plan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nodes other than one that a run of lost loops has in common. */
struct common {
	uint32_t node[LOOP_HEALTH_HOPS_MAX];
	unsigned count;
};

struct node {
	uint64_t loops, lost;
	uint64_t returned;        /* with a time learnt from */
	uint64_t lost_after;      /* totals.returned when it was named lost */
	uint64_t resumed_ns;      /* losses of loops sent before are of a trouble that is over */
	double loss, early, late; /* charts */
	double lowest;            /* excess, ns */
	double tracked, waiting, usual; /* quantile of the excess: now, and as it was, ns */
	unsigned row, good, clean;
	unsigned states;
	struct common common;
};

struct loop_health {
	struct loop_health_config cfg;
	struct loop_health_plan plan;
	struct loop_health_totals totals;
	double mean;         /* ns */
	double median;       /* of the law's sum, ns */
	double lowest;       /* over all routes, ns */
	double factorial;    /* of cfg.delaying */
	unsigned clean;      /* good loops until a proof of skipping is forgiven */
	unsigned good;       /* returned in a row */
	uint64_t learn;      /* loops through a node until `late` is judged */
	uint64_t resumed_ns; /* as a node's */
	struct common common;
	uint64_t heard_ns, heard, heard_first_ns;
	bool hearing;
	struct node node[];
};

static bool has_law(const struct loop_health *h)
{
	return h->cfg.delays != LOOP_HEALTH_KNOWN;
}

/* ---- life ---- */

static bool valid(const struct loop_health_config *c)
{
	const bool law = c->delays == LOOP_HEALTH_LAW || c->delays == LOOP_HEALTH_BOTH;

	return (law || c->delays == LOOP_HEALTH_KNOWN) && c->nodes >= 1 &&
	       c->nodes <= LOOP_HEALTH_NODES_MAX && c->hops >= 1 &&
	       c->hops <= LOOP_HEALTH_HOPS_MAX && c->delaying <= c->hops &&
	       c->mean_ns <= UINT64_C(1000000000000) && c->network_ns <= UINT64_C(1000000000000) &&
	       (!law || (c->delaying >= 1 && c->mean_ns > 0)) && isfinite(c->loops_per_second) &&
	       c->loops_per_second > 0;
}

int loop_health_create(const struct loop_health_config *cfg, struct loop_health **out)
{
	struct loop_health *h;

	*out = NULL;
	if (!valid(cfg))
		return -EINVAL;
	h = calloc(1, sizeof(*h) + cfg->nodes * sizeof(h->node[0]));
	if (!h)
		return -ENOMEM;
	h->cfg = *cfg;
	if (h->cfg.network_ns == 0)
		h->cfg.network_ns = LOOP_HEALTH_NETWORK_NS;
	loop_health_make_plan(&h->cfg, &h->plan);
	h->mean = (double)cfg->mean_ns;
	h->lowest = INFINITY;
	if (has_law(h))
		h->median = h->mean * loop_health_quantile(cfg->delaying, 0.5);
	h->learn = LOOP_HEALTH_LEARN * (has_law(h) ? cfg->delaying : 1);
	h->factorial = 1;
	for (unsigned i = 2; i <= cfg->delaying; i++)
		h->factorial *= i;
	if (cfg->delays != LOOP_HEALTH_LAW)
		h->clean = (unsigned)ceil(7 * h->plan.early.mean);
	for (uint32_t i = 0; i < cfg->nodes; i++)
		h->node[i].lowest = INFINITY;
	*out = h;
	return 0;
}

void loop_health_free(struct loop_health *h)
{
	free(h);
}

const struct loop_health_plan *loop_health_plan_of(const struct loop_health *h)
{
	return &h->plan;
}

static uint64_t header_delays(const struct loop_health *h, const struct loop_health_loop *loop)
{
	uint64_t sum = 0;

	if (h->cfg.delays != LOOP_HEALTH_LAW)
		for (unsigned i = 0; i < loop->hops; i++)
			sum += loop->delay_ns[i];
	return sum;
}

uint64_t loop_health_deadline(const struct loop_health *h, const struct loop_health_loop *loop)
{
	return loop->sent_ns + header_delays(h, loop) + h->plan.patience_ns;
}

/* ---- states ---- */

static void set_state(struct loop_health *h, struct node *n, unsigned add, unsigned remove)
{
	const unsigned states = (n->states & ~remove) | add;

	h->totals.changes += states != n->states;
	n->states = states;
}

static void set_relay(struct loop_health *h, enum loop_health_relay_state state)
{
	h->totals.changes += state != h->totals.state;
	h->totals.state = state;
}

/* Whether the loop tells something about node `n`: one named for the fault takes it alone. */
static bool counts_for(const struct loop_health *h, const struct loop_health_loop *loop,
	const struct node *n, unsigned fault)
{
	if (n->states & fault)
		return true;
	for (unsigned i = 0; i < loop->hops; i++)
		if (h->node[loop->node[i]].states & fault)
			return false;
	return true;
}

/* A chart beyond the threshold stays there, so that recovery takes as long as a mild fault's
 * detection and no longer. Returns whether it is. */
static bool add_to_chart(const struct loop_health *h, double *chart, double gain)
{
	*chart = fmax(0, *chart + gain);
	if (*chart < h->plan.threshold)
		return false;
	*chart = h->plan.threshold;
	return true;
}

/* ---- losses ---- */

static void common_start(
	struct common *c, const struct loop_health_loop *loop, const uint32_t *except)
{
	c->count = 0;
	for (unsigned i = 0; i < loop->hops; i++)
		if (!except || loop->node[i] != *except)
			c->node[c->count++] = loop->node[i];
}

static void common_narrow(struct common *c, const struct loop_health_loop *loop)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->count; i++)
		for (unsigned j = 0; j < loop->hops; j++)
			if (c->node[i] == loop->node[j])
				c->node[kept++] = c->node[i];
	c->count = kept;
}

static void forget_rows(struct loop_health *h)
{
	for (uint32_t i = 0; i < h->cfg.nodes; i++)
		h->node[i].row = 0;
}

/* What was put on nodes since the last return was the relay's own trouble. */
static void raise_relay_alarm(struct loop_health *h)
{
	const struct loop_health_totals *t = &h->totals;
	const bool others = t->received_now > 0 && t->received_now * 2 >= t->received_before;

	set_relay(h, others ? LOOP_HEALTH_RELAY_N_MINUS_1 : LOOP_HEALTH_RELAY_OUTAGE);
	forget_rows(h);
	for (uint32_t i = 0; i < h->cfg.nodes; i++) {
		struct node *n = &h->node[i];

		if ((n->states & LOOP_HEALTH_LOST) && n->lost_after == t->returned)
			set_state(h, n, 0, LOOP_HEALTH_LOST | LOOP_HEALTH_UNSURE);
	}
}

/* A node that is common to the row explains it if it is named, and may explain it up to 2k. */
static bool row_is_ours(const struct loop_health *h)
{
	for (unsigned i = 0; i < h->common.count; i++)
		if (h->node[h->common.node[i]].states & LOOP_HEALTH_LOST)
			return false;
	return h->totals.row >= (h->common.count == 0 ? 1 : 2) * h->plan.row;
}

static void count_relay_row(struct loop_health *h, const struct loop_health_loop *loop)
{
	struct loop_health_totals *t = &h->totals;

	/* while others' loops return, those of a node that was named before tell nothing new */
	for (unsigned i = 0; i < loop->hops; i++) {
		const struct node *n = &h->node[loop->node[i]];

		if ((n->states & LOOP_HEALTH_LOST) && n->lost_after < t->returned)
			return;
	}
	if (t->row++ == 0)
		common_start(&h->common, loop, NULL);
	else
		common_narrow(&h->common, loop);
	if (t->state == LOOP_HEALTH_RELAY_OK && row_is_ours(h))
		raise_relay_alarm(h);
}

/* Somebody who was on all of those routes and did as badly. */
static bool shared_blame(const struct loop_health *h, const struct node *n)
{
	for (unsigned i = 0; i < n->common.count; i++)
		if (h->node[n->common.node[i]].row >= n->row)
			return true;
	return false;
}

static void judge_rows(struct loop_health *h, const struct loop_health_loop *loop)
{
	bool named = false;

	for (unsigned i = 0; i < loop->hops; i++) {
		struct node *n = &h->node[loop->node[i]];
		const bool shared = shared_blame(h, n);

		if (n->row < h->plan.row || (shared && n->row < 2 * h->plan.row))
			continue;
		n->lost_after = h->totals.returned;
		set_state(h, n, LOOP_HEALTH_LOST | (shared ? LOOP_HEALTH_UNSURE : 0), 0);
		named = true;
	}
	if (named)
		forget_rows(h);
}

/* Returns whether a node of the route is already named. */
static bool count_rows(struct loop_health *h, const struct loop_health_loop *loop)
{
	bool named = false;

	for (unsigned i = 0; i < loop->hops; i++)
		if (h->node[loop->node[i]].states & LOOP_HEALTH_LOST) {
			h->node[loop->node[i]].good = 0;
			named = true;
		}
	for (unsigned i = 0; !named && i < loop->hops; i++) {
		struct node *n = &h->node[loop->node[i]];

		n->good = 0;
		if (n->row++ == 0)
			common_start(&n->common, loop, &loop->node[i]);
		else
			common_narrow(&n->common, loop);
	}
	return named;
}

static void forget_others(struct loop_health *h, unsigned fault)
{
	for (uint32_t i = 0; i < h->cfg.nodes; i++) {
		struct node *n = &h->node[i];

		if (n->states & fault)
			continue;
		if (fault == LOOP_HEALTH_LOSSY)
			n->loss = 0;
		else
			n->early = n->late = 0;
	}
}

static void chart_loss(struct loop_health *h, const struct loop_health_loop *loop)
{
	static const unsigned faults = LOOP_HEALTH_LOST | LOOP_HEALTH_LOSSY;
	const double gain = log(LOOP_HEALTH_P1 / LOOP_HEALTH_P0);
	bool counts[LOOP_HEALTH_HOPS_MAX], named = false;

	for (unsigned i = 0; i < loop->hops; i++)
		counts[i] = counts_for(h, loop, &h->node[loop->node[i]], faults);
	for (unsigned i = 0; i < loop->hops; i++) {
		struct node *n = &h->node[loop->node[i]];

		if (!counts[i] || !add_to_chart(h, &n->loss, gain))
			continue;
		named = named || !(n->states & LOOP_HEALTH_LOSSY);
		set_state(h, n, LOOP_HEALTH_LOSSY, 0);
	}
	if (named)
		forget_others(h, LOOP_HEALTH_LOSSY);
}

void loop_health_sent(struct loop_health *h, const struct loop_health_loop *loop)
{
	(void)loop;
	h->totals.sent++;
}

/* A loss shows at the deadline, a return at once: when a trouble has ended, its last losses are
 * still to come. */
static bool belongs_to_the_past(const struct loop_health *h, const struct loop_health_loop *loop)
{
	bool past = loop->sent_ns < h->resumed_ns;

	for (unsigned i = 0; i < loop->hops; i++)
		past = past || loop->sent_ns < h->node[loop->node[i]].resumed_ns;
	return past;
}

void loop_health_lost(struct loop_health *h, const struct loop_health_loop *loop)
{
	bool named;

	h->totals.lost++;
	for (unsigned i = 0; i < loop->hops; i++) {
		h->node[loop->node[i]].loops++;
		h->node[loop->node[i]].lost++;
	}
	if (belongs_to_the_past(h, loop))
		return;
	h->good = 0;
	named = count_rows(h, loop);
	count_relay_row(h, loop);
	if (h->totals.state != LOOP_HEALTH_RELAY_OK) {
		forget_rows(h);
		return;
	}
	if (!named)
		judge_rows(h, loop);
	chart_loss(h, loop);
}

/* ---- times ---- */

/* A base that hides rather than accuses: the lowest excess seen, less what the minimum of n/8 sums
 * of H exponentials lies above its bound, m(H!/(n/8))^(1/H): one in eight loops may have had the
 * shortest way. */
static double lowest_base(const struct loop_health *h, double lowest, uint64_t n)
{
	const double terms = h->cfg.delaying;

	if (n < LOOP_HEALTH_LEARN)
		return 0;
	return lowest - h->mean * pow(8 * h->factorial / (double)n, 1 / terms);
}

static double route_lowest(const struct loop_health *h, const struct loop_health_loop *loop)
{
	double base = fmax(0, lowest_base(h, h->lowest, h->totals.returned));

	for (unsigned i = 0; i < loop->hops; i++) {
		const struct node *n = &h->node[loop->node[i]];

		base = fmax(base, lowest_base(h, n->lowest, n->returned));
	}
	return base;
}

/* Stochastic approximation of a quantile (Robbins, Monro 1951), with a least step so that a path
 * may change. Times are judged by what it was half to once `learn` loops ago: what is held now is
 * not learnt. */
static void learn(struct loop_health *h, struct node *n, double excess)
{
	const double quantile = has_law(h) ? 0.5 : 1 - LOOP_HEALTH_BEYOND;
	const double scale = fmax(h->mean, 4e6);
	const double least = scale / (n->states & LOOP_HEALTH_LATE ? 256 : 1024);
	double step;

	if (n->returned++ == 0)
		n->tracked = excess;
	step = fmax(least, 3 * scale / (double)n->returned);
	n->tracked += excess > n->tracked ? step * quantile : -step * (1 - quantile);
	if (n->returned % (h->learn / 2) != 0)
		return;
	n->usual = n->returned <= h->learn ? n->tracked : n->waiting;
	n->waiting = n->tracked;
}

static double late_gain(const struct loop_health *h, double excess, double usual)
{
	if (has_law(h))
		return loop_health_gain_late(
			h->cfg.delaying, (excess - (usual - h->median)) / h->mean);
	return loop_health_gain_beyond(excess > usual + fmax(h->mean / 4, 1e6));
}

/* The header's delay alone was longer than the whole loop. */
static bool skipped(const struct loop_health *h, uint64_t asked, uint64_t took)
{
	return h->cfg.delays != LOOP_HEALTH_LAW &&
	       took + LOOP_HEALTH_CLOCK_NS + asked / 1000 < asked;
}

/* Returns whether the node has just been named. */
static bool chart_early(struct loop_health *h, struct node *n, double gain, bool proof)
{
	const unsigned before = n->states;
	const bool over = has_law(h) && add_to_chart(h, &n->early, gain);

	n->clean = proof ? 0 : n->clean + 1;
	if (proof || over)
		set_state(h, n, LOOP_HEALTH_EARLY, 0);
	else if (n->early <= 0 && n->clean >= h->clean)
		set_state(h, n, 0, LOOP_HEALTH_EARLY);
	return (n->states & ~before) != 0;
}

static bool chart_late(struct loop_health *h, struct node *n, double gain)
{
	const unsigned before = n->states;

	if (n->returned < h->learn)
		return false;
	if (add_to_chart(h, &n->late, gain))
		set_state(h, n, LOOP_HEALTH_LATE, 0);
	else if (n->late <= 0)
		set_state(h, n, 0, LOOP_HEALTH_LATE);
	return (n->states & ~before) != 0;
}

static void judge_time(struct loop_health *h, const struct loop_health_loop *loop, uint64_t took)
{
	static const unsigned faults = LOOP_HEALTH_EARLY | LOOP_HEALTH_LATE;
	const double excess = (double)took - (double)header_delays(h, loop);

	const double early = has_law(h) ? loop_health_gain_early(h->cfg.delaying,
						  (excess - route_lowest(h, loop)) / h->mean)
					: 0;
	bool counts[LOOP_HEALTH_HOPS_MAX], named = false;

	for (unsigned i = 0; i < loop->hops; i++)
		counts[i] = counts_for(h, loop, &h->node[loop->node[i]], faults);
	for (unsigned i = 0; i < loop->hops; i++) {
		struct node *n = &h->node[loop->node[i]];
		const bool proof = skipped(h, loop->delay_ns[i], took);

		if (counts[i] || proof)
			named |= chart_early(h, n, early, proof);
		if (counts[i])
			named |= chart_late(h, n, late_gain(h, excess, n->usual));
		n->lowest = fmin(n->lowest, excess);
		if (counts[i] && !(n->states & LOOP_HEALTH_EARLY))
			learn(h, n, excess);
	}
	h->lowest = fmin(h->lowest, excess);
	if (named)
		forget_others(h, faults);
}

void loop_health_returned(
	struct loop_health *h, const struct loop_health_loop *loop, uint64_t now_ns)
{
	const double gain = log((1 - LOOP_HEALTH_P1) / (1 - LOOP_HEALTH_P0));
	struct loop_health_totals *t = &h->totals;

	t->returned++;
	t->row = 0;
	if (h->good++ == 0 && t->state != LOOP_HEALTH_RELAY_OK)
		h->resumed_ns = loop->sent_ns;
	if (h->good >= h->plan.row)
		set_relay(h, LOOP_HEALTH_RELAY_OK);
	for (unsigned i = 0; i < loop->hops; i++) {
		struct node *n = &h->node[loop->node[i]];

		n->loops++;
		n->row = 0;
		if (n->good++ == 0 && (n->states & LOOP_HEALTH_LOST))
			n->resumed_ns = loop->sent_ns;
		if (n->good >= h->plan.row)
			set_state(h, n, 0, LOOP_HEALTH_LOST | LOOP_HEALTH_UNSURE);
		add_to_chart(h, &n->loss, gain);
		if (n->loss <= 0)
			set_state(h, n, 0, LOOP_HEALTH_LOSSY);
	}
	judge_time(h, loop, now_ns > loop->sent_ns ? now_ns - loop->sent_ns : 0);
}

/* ---- others' packets ---- */

/* Exponential averages: over 1 s, and over a minute (less, at first) that stands still while loops
 * are being lost. */
void loop_health_received(struct loop_health *h, uint64_t now_ns, uint64_t packets)
{
	struct loop_health_totals *t = &h->totals;
	double seconds, rate, age;

	if (!h->hearing || packets < h->heard || now_ns < h->heard_ns) {
		h->hearing = true;
		h->heard_first_ns = h->heard_ns = now_ns;
		h->heard = packets;
		return;
	}
	if (now_ns - h->heard_ns < UINT64_C(10000000))
		return;
	seconds = (double)(now_ns - h->heard_ns) / 1e9;
	age = fmin(60, (double)(now_ns - h->heard_first_ns) / 1e9);
	rate = (double)(packets - h->heard) / seconds;
	t->received_now += (rate - t->received_now) * -expm1(-seconds / fmin(1, age));
	if (t->row == 0)
		t->received_before +=
			(rate - t->received_before) * (age > 0 ? -expm1(-seconds / age) : 1);
	h->heard_ns = now_ns;
	h->heard = packets;
}

/* ---- reading ---- */

void loop_health_node(const struct loop_health *h, uint32_t node, struct loop_health_node *out)
{
	const struct node *n = &h->node[node];

	*out = (struct loop_health_node){.states = n->states,
		.loops = n->loops,
		.lost = n->lost,
		.loss = n->loss,
		.early = n->early,
		.late = n->late};
}

void loop_health_totals(const struct loop_health *h, struct loop_health_totals *out)
{
	*out = h->totals;
}

const char *loop_health_states_text(unsigned states, char out[LOOP_HEALTH_TEXT])
{
	static const char *const names[] = {"lost", "lossy", "early", "late", "unsure"};
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (states & (1u << i))
			used += (size_t)snprintf(out + used, LOOP_HEALTH_TEXT - used, "%s%s",
				used ? "+" : "", names[i]);
	if (used == 0)
		snprintf(out, LOOP_HEALTH_TEXT, "ok");
	return out;
}

const char *loop_health_relay_text(enum loop_health_relay_state state)
{
	static const char *const names[] = {"ok", "n_minus_1", "outage"};

	return state <= LOOP_HEALTH_RELAY_OUTAGE ? names[state] : "unknown";
}
