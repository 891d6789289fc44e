/* SPDX-License-Identifier: BSD-3-Clause */
/* Loops: made ahead of their time, handed to workers, and what became of them. */
#include "pipeline/cover.h"
#include "core/bytes.h"
#include "core/secmem.h"

#include <errno.h>
#include <rte_cycles.h>
#include <sodium.h>

#define MS_NS UINT64_C(1000000)
enum {
	LOOPS_MIN = 64,
	LOOPS_MAX = 1 << 16, /* under way at once */
	LOOK_MS = 10,        /* between two looks for loops that are lost */
	HEARD_MS = 250,      /* between two counts of others' packets */
	BLIND_MS = 5000,     /* after drops of our own */
	OWN_DROPS = 500,     /* ... of more than one in so many arrivals */
	PAUSE_MS = 200,      /* control was away for so long: perhaps the machine was */
};

int loops_create(struct cover *c, struct error *err)
{
	const struct betanet_config *cfg = &c->b->cfg;
	/* how long a loop stays in the table: ahead, and until the longest deadline */
	double stay_s = COVER_LEAD_MS / 1e3 + 2 + 20e-3 * cfg->mean_delay_ms * SPHINX_MAX_HOPS;
	double want = cfg->loop_rate_pps * stay_s;
	uint64_t n = want > LOOPS_MAX ? LOOPS_MAX : rte_align32pow2((uint32_t)want + LOOPS_MIN);

	c->loop = secmem_alloc(n * sizeof(*c->loop));
	if (!c->loop)
		return error_set(err, ENOMEM,
			"no locked memory for %lu loops under way; raise `ulimit -l` or lower "
			"generation_rate_pps",
			(unsigned long)n);
	c->mask = n - 1;
	c->oldest = c->next = 1; /* 0 in a packet's meta: no loop */
	c->mean_gap = (uint64_t)((double)c->b->hz / cfg->loop_rate_pps);
	c->tsc_base = rte_rdtsc();
	return 0;
}

static struct cover_loop *find(struct cover *c, uint64_t number)
{
	return number >= c->oldest && number < c->next ? &c->loop[number & c->mask] : NULL;
}

static void end(struct cover *c, struct cover_loop *l)
{
	sodium_memzero(l, sizeof(*l));
	while (c->oldest < c->next && c->loop[c->oldest & c->mask].state == LOOP_FREE)
		c->oldest++;
}

void loops_forget(struct cover *c)
{
	for (uint64_t n = c->oldest; n < c->next; n++)
		c->forgotten += c->loop[n & c->mask].state != LOOP_FREE;
	sodium_memzero(c->loop, (c->mask + 1) * sizeof(*c->loop));
	c->oldest = c->next;
}

/* ---- outcomes
 * -------------------------------------------------------------------------------------------------------
 */

/* What the delays account for: those asked for, and the mean of those that the relays draw. */
static uint64_t expected_ns(const struct cover *c, const struct loop_health_loop *way)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < way->hops; i++) {
		sum += way->delay_ns[i];
		if (c->b->epochs)
			sum += c->b->vrf_mean_ns;
	}
	return sum;
}

/* What this relay drops of its arrivals, whoever sent them. */
static uint64_t own_drops(const struct betanet_stats *s)
{
	static const enum drop_reason why[] = {DROP_pool_full, DROP_global_limit, DROP_peer_limit,
		DROP_replay_full, DROP_wheel_full, DROP_no_epoch_key};
	uint64_t n = s->rx_missed + s->rx_no_buffer;

	for (unsigned i = 0; i < RTE_DIM(why); i++)
		n += s->drops[why[i]];
	return n;
}

/*
 * A relay that drops arrivals loses loops that others led back to it, and must not accuse them. A
 * flood can blind it so, but not without showing in the drops. What one stranger loses by
 * exceeding the limits of a source does not count.
 */
static void look_at_ourselves(struct cover *c, uint64_t now)
{
	struct betanet_stats s;
	uint64_t drops, arrivals;

	betanet_stats_get(c->b, &s);
	drops = own_drops(&s);
	arrivals = s.rx + s.rx_missed;
	if ((drops - c->own_drops) * OWN_DROPS > arrivals - c->arrivals)
		c->blind_until_ns = now + BLIND_MS * MS_NS;
	c->own_drops = drops;
	c->arrivals = arrivals;
}

static void lose(struct cover *c, struct cover_loop *l, uint64_t now)
{
	if (now < c->blind_until_ns) {
		c->forgotten++;
	} else {
		c->lost++;
		loop_health_lost(c->health, &l->way);
	}
	end(c, l);
}

static void came_back(struct cover *c, struct cover_loop *l)
{
	uint64_t now = cover_ns(c, l->back), took = now - RTE_MIN(now, l->way.sent_ns);

	if (now > l->deadline_ns) {
		lose(c, l, now);
		return;
	}
	c->returned++;
	c->residual_ns[c->times++ % COVER_TIMES] = (int64_t)took - (int64_t)expected_ns(c, &l->way);
	loop_health_returned(c->health, &l->way, now);
	end(c, l);
}

static void on_event(struct cover *c, const struct cover_event *e)
{
	struct cover_loop *l = find(c, e->number);

	if (!e->back)
		c->sent++;
	if (!l || l->state == LOOP_FREE) /* forgotten */
		return;
	if (e->back) {
		l->back = e->tsc;
	} else if (l->state == LOOP_MADE) {
		l->state = LOOP_SENT;
		l->way.sent_ns = cover_ns(c, e->tsc);
		l->deadline_ns = loop_health_deadline(c->health, &l->way);
		loop_health_sent(c->health, &l->way);
	}
	/* two workers report: the return may overtake the departure */
	if (l->state == LOOP_SENT && l->back)
		came_back(c, l);
}

unsigned loops_events(struct cover *c)
{
	unsigned n = 0, all = rte_ring_count(c->events);
	struct cover_event e;
	uint64_t lost = atomic_load_explicit(&c->events_lost, memory_order_relaxed);

	while (n < all && rte_ring_sc_dequeue_elem(c->events, &e, sizeof(e)) == 0) {
		on_event(c, &e);
		n++;
	}
	/* a return that was not reported is no loss: nothing that was under way is judged */
	if (lost != c->voided) {
		c->voided = lost;
		loops_forget(c);
	}
	return n;
}

/* Packets of others that arrived: unwrapped, so that noise cannot hide an n-1 attack. */
static uint64_t heard(const struct cover *c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < c->b->cfg.workers; i++)
		n += __atomic_load_n(&c->b->workers[i].stats.processed, __ATOMIC_RELAXED);
	return n - RTE_MIN(n, c->returned);
}

/*
 * When control was away, so perhaps were the workers, and what came back meanwhile may still lie in
 * a port: deadlines move by that time.
 */
static void allow_for_pauses(struct cover *c, uint64_t now)
{
	uint64_t away = now - c->last_poll_ns;

	if (c->last_poll_ns && away > PAUSE_MS * MS_NS)
		for (uint64_t n = c->oldest; n < c->next; n++)
			c->loop[n & c->mask].deadline_ns += away;
	c->last_poll_ns = now;
}

void loops_expire(struct cover *c)
{
	uint64_t tsc = rte_rdtsc(), now = cover_ns(c, tsc);

	allow_for_pauses(c, now);
	if (!c->health || now < c->next_look_ns)
		return;
	c->next_look_ns = now + LOOK_MS * MS_NS;
	if (now >= c->next_heard_ns) {
		c->next_heard_ns = now + HEARD_MS * MS_NS;
		look_at_ourselves(c, now);
		loop_health_received(c->health, now, heard(c));
	}
	for (uint64_t n = c->oldest; n < c->next; n++) {
		struct cover_loop *l = &c->loop[n & c->mask];

		if (l->state == LOOP_SENT && now > l->deadline_ns) {
			lose(c, l, now);
		} else if (l->state == LOOP_MADE &&
			   now > cover_ns(c, l->due) + COVER_UNSENT_MS * MS_NS) {
			c->unsent++;
			end(c, l);
		}
	}
}

/* ---- making
 * ---------------------------------------------------------------------------------------------------------
 */

/* The next n times at which loops leave, as far as they lie before `until`. */
static unsigned draw_times(struct cover *c, uint64_t now, uint64_t until, uint64_t *due)
{
	unsigned n = 0;

	/* Times that passed are left out: a burst would show when control was away. What comes then
	 * is drawn from now on, which is the same: the law has no memory. */
	if (c->next_due < now) {
		c->late += c->next_due ? 1 + (now - c->next_due) / c->mean_gap : 0;
		c->next_due = now + cover_gap(c->mean_gap);
	}
	while (n < COVER_CHUNK && c->next_due < until && c->next + n < c->oldest + c->mask + 1) {
		due[n++] = c->next_due;
		c->next_due += cover_gap(c->mean_gap);
	}
	return n;
}

/* The table's entry of a packet that is about to be handed over. */
static void enter(struct cover *c, const struct cover_route *r, uint64_t number, uint64_t due)
{
	struct cover_loop *l = &c->loop[number & c->mask];
	bool asked = c->b->delay_mode == DELAY_SENDER || c->b->delay_mode == DELAY_SUM;

	l->state = LOOP_MADE;
	l->due = due;
	l->way.hops = r->sphinx.hops - 1;
	for (unsigned i = 0; i < l->way.hops; i++) {
		l->way.node[i] = r->node[i];
		/* as relays read it */
		l->way.delay_ns[i] =
			asked ? delay_total(DELAY_SENDER, 0, r->sphinx.hop[i].delay_ns) : 0;
	}
}

static bool hand_over(struct cover *c, struct rte_mbuf *m, uint64_t number, uint64_t due)
{
	struct worker *w = &c->b->workers[number % c->b->cfg.workers];
	struct packet_meta *meta = packet_meta(m);

	meta->loop = number;
	meta->due = due;
	randombytes_buf(meta->identifier, 8); /* the order in its tick: cover_park */
	return rte_ring_sp_enqueue(w->loops, m) == 0;
}

/* Routes for numbers next …; returns for how many there is one. */
static unsigned draw_routes(struct cover *c, struct cover_route *routes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (cover_route_loop(c->routes, &routes[i]) < 0) {
			c->no_route += n - i;
			return i;
		}
	}
	return n;
}

static void make_chunk(struct cover *c, const uint64_t due[], unsigned n)
{
	struct cover_route routes[COVER_CHUNK];
	struct rte_mbuf *m[COVER_CHUNK];

	n = draw_routes(c, routes, n);
	n = n ? cover_buffers(c, m, n) : 0;
	for (unsigned i = 0; i < n; i++)
		cover_identify(c, c->next++, routes[i].sphinx.identifier);
	if (n)
		cover_build(c, routes, m, n);
	for (unsigned i = 0; i < n; i++) {
		uint64_t number = load_le64(routes[i].sphinx.identifier);

		if (!m[i])
			continue;

		/* first the entry: a worker may report at once */
		enter(c, &routes[i], number, due[i]);
		if (!hand_over(c, m[i], number, due[i])) {
			rte_pktmbuf_free(m[i]);
			end(c, &c->loop[number & c->mask]);
			continue;
		}
		c->made++;
	}
	sodium_memzero(routes, sizeof(routes));
}

unsigned loops_make(struct cover *c)
{
	uint64_t due[COVER_CHUNK], now = rte_rdtsc(), ms = c->b->hz / 1000;
	unsigned n;

	if (!c->routes || c->b->directory_expired) {
		c->next_due = 0;
		return 0;
	}
	if (c->next_due < now + COVER_REFILL_MS * ms)
		c->filling = true;
	if (!c->filling)
		return 0;
	n = draw_times(c, now, now + COVER_LEAD_MS * ms, due);
	if (n < COVER_CHUNK)
		c->filling = false;
	if (n)
		make_chunk(c, due, n);
	return n;
}
