/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links, from the side of the worker that owns them: what leaves in a slot, and when.
 *
 * A slot must come at its time whatever else there is to do, or the wire shows the load. So the
 * worker looks ahead: before it takes a burst from the ports it asks slots_room how many packets it
 * can unwrap until the next slot, and when that is less than SLOT_CHUNK of them it spins until the
 * slot, busy or idle. What a chunk costs is measured all the time. The packet is taken and gets its
 * headers while the worker waits: after a sleep that costs more than after work, and the slot must
 * not show it. With this a slot is late by the length of a look at the clock, some 0.05 us, and by
 * more only where a burst took longer than bursts do (a lost core). Where slots are so dense that
 * the spinning would cost more than a quarter of the worker's time (closer than two chunks),
 * nothing is guarded: bursts have at most SLOT_BURST packets, the least that is worth a vector, and
 * a slot is late by up to what these cost.
 */
#include "pipeline/pipeline.h"
#include "sphinx/frame.h"

#include <rte_cycles.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

enum {
	SLOT_CHUNK = 8,
	SLOT_BURST = 16,
	SLOT_DENSE = 2,     /* slots closer than so many chunks' costs are not guarded */
	SLOT_SPIN_US = 100, /* a sleeping worker wakes so long before a slot */
	SLOT_AHEAD_US = 5,  /* a packet is taken and headed so long before its slot */
	RATE_VISITS = 64,   /* links looked at in a loop, in turn */
	STALE_AT_ONCE = 64, /* cover of an old directory thrown away in a slot */
	DEAD_MS = 1000,     /* a neighbour unresolved for so long loses what waits for it */
	DEAD_AT_ONCE = 32,
	COUNT_US = 50, /* between two counts of what waits */
};

/* ---- what waits
 * -------------------------------------------------------------------------------------------- */

bool link_enqueue(struct tx_link *l, struct rte_mbuf *m)
{
	if (rte_ring_count(l->ring) < atomic_load_explicit(&l->depth, memory_order_relaxed) &&
		rte_ring_enqueue(l->ring, m) == 0)
		return true;
	atomic_fetch_add_explicit(&l->full, 1, memory_order_relaxed);
	return false;
}

uint64_t slots_queued(struct worker *w, uint64_t now)
{
	struct slots *k = &w->slots;
	uint64_t n = 0;

	if (k->count == 0)
		return 0;
	/* a drain ends when nothing waits: then old counts will not do */
	if (now && atomic_load_explicit(&w->state, memory_order_relaxed) == LCORE_RUN &&
		now - k->counted < w->b->hz / 1000000 * COUNT_US)
		return k->queued;
	for (unsigned i = 0; i < k->count; i++)
		n += rte_ring_count(k->ref[i].link->ring);
	for (unsigned q = 0; q < w->own_count; q++) {
		const struct staged *g = &w->own[q]->staged;

		for (unsigned i = 0; i < g->count; i++)
			n += !g->cover[i];
	}
	k->queued = n;
	k->counted = now;
	return n;
}

/* A cover packet made for the directory of `generation`; of older ones at most `most` are thrown
 * away. */
static struct rte_mbuf *take_cover(struct tx_link *l, uint64_t generation, unsigned most)
{
	struct rte_mbuf *m = l->next_cover;
	void *next;

	l->next_cover = NULL;
	for (;; most--) {
		if (!m && rte_ring_sc_dequeue(l->cover, &next) == 0)
			m = next;
		if (!m || packet_meta(m)->hops_generation == generation)
			return m;
		if (most == 0)
			break;
		rte_pktmbuf_free(m);
		m = NULL;
	}
	l->next_cover = m;
	return NULL;
}

static void drop_stale_cover(struct tx_link *l, uint64_t generation)
{
	l->next_cover = take_cover(l, generation, UINT32_MAX);
}

static struct rte_mbuf *take_waiting(struct tx_link *l)
{
	void *m;

	return rte_ring_sc_dequeue(l->ring, &m) == 0 ? m : NULL;
}

/* ---- a new snapshot
 * ---------------------------------------------------------------------------------------- */

void slots_refresh(struct worker *w, const struct snapshot *s)
{
	struct slots *k = &w->slots;
	bool routes = k->generation != s->hops_generation;

	if (k->serial == s->serial || !s->link_ref)
		return;
	k->serial = s->serial;
	k->generation = s->hops_generation;
	k->ref = s->link_ref + s->link_first[w->index];
	k->count = s->link_first[w->index + 1] - s->link_first[w->index];
	k->turn = 0;
	k->counted = 0;
	k->heap.count = 0;
	k->gap = UINT64_MAX;
	if (k->count == 0 || !shaping_has_slots(w->b))
		return;
	k->gap = w->b->hz / w->b->cfg.max_rate_pps / k->count;
	for (uint32_t i = 0; i < k->count; i++) {
		struct tx_link *l = k->ref[i].link;

		if (routes)
			drop_stale_cover(l, s->hops_generation);
		/* there is room for all links that can be */
		(void)slot_heap_push(&k->heap, l->clock.next, i);
	}
}

/* ---- to the driver
 * ------------------------------------------------------------------------------------------- */

static void count_slots(struct worker *w, const struct staged *g, unsigned n, uint64_t now)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t late = now > g->slot[i] ? now - g->slot[i] : 0;

		if (g->slot[i] == 0)
			continue;
		if (g->cover[i])
			w->stats.slots_cover++;
		else
			w->stats.slots_real++;
		w->stats.slot_lateness[lateness_bucket(w->b, late)]++;
		if (late > w->stats.slot_latest)
			w->stats.slot_latest = late;
	}
}

static void forget(struct staged *g, unsigned n)
{
	g->count -= n;
	memmove(g->m, g->m + n, g->count * sizeof(g->m[0]));
	memmove(g->slot, g->slot + n, g->count * sizeof(g->slot[0]));
	memmove(g->cover, g->cover + n, g->count * sizeof(g->cover[0]));
}

static void drop_refused(struct worker *w, struct staged *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		if (g->slot[i])
			w->stats.slots_empty++;
		if (!g->cover[i])
			w->stats.drops[DROP_tx_refused]++;
	}
	rte_pktmbuf_free_bulk(g->m, g->count);
	g->count = 0;
}

static unsigned flush(struct worker *w, struct txq *q)
{
	struct staged *g = &q->staged;
	struct tx_note note[TX_BURST];
	uint64_t now = rte_rdtsc();
	unsigned sent;

	if (g->count == 0)
		return 0;
	for (unsigned i = 0; i < g->count; i++) {
		egress_note(&note[i], g->m[i], g->slot[i] ? g->slot[i] : now, now);
		if (g->cover[i])
			note[i].flag = 0;
	}
	sent = txq_send(q, g->m, g->count);
	egress_count(w, note, sent);
	count_slots(w, g, sent, now);
	if (sent) {
		forget(g, sent);
		g->since = now;
	} else if (!q->collect && now - g->since > w->b->hz / 1000 * STUCK_MS) {
		drop_refused(w, g);
	}
	return sent;
}

/* There is room. */
static void stage(struct worker *w, const struct tx_link *l, const struct hop *hop,
	struct rte_mbuf *m, uint64_t slot, bool cover)
{
	struct staged *g = &l->txq->staged;

	if (w->b->port_count) {
		link_ready_write(&hop->header, (uint8_t *)rte_pktmbuf_prepend(m, hop->header.len),
			packet_meta(m)->sum);
		egress_offload(&w->b->ports[hop->port], m, hop->header.len - FRAME_SIZE);
	}
	if (g->count == 0)
		g->since = rte_rdtsc();
	g->m[g->count] = m;
	g->slot[g->count] = slot;
	g->cover[g->count++] = cover;
}

/* ---- slots and tokens
 * ------------------------------------------------------------------------------------ */

/* Whether the neighbour can be sent to. What waits for one that is dead for long is dropped, as it
 * would have been in the wheel. */
static bool is_alive(struct worker *w, struct tx_link *l, const struct hop *hop, uint64_t now)
{
	if (w->b->port_count == 0 || hop->resolved) {
		l->dead_since = 0;
		return true;
	}
	if (l->dead_since == 0)
		l->dead_since = now;
	if (now - l->dead_since > w->b->hz / 1000 * DEAD_MS) {
		struct rte_mbuf *m[DEAD_AT_ONCE];
		unsigned n = rte_ring_sc_dequeue_burst(l->ring, (void **)m, DEAD_AT_ONCE, NULL);

		w->stats.drops[DROP_unresolved] += n;
		rte_pktmbuf_free_bulk(m, n);
	}
	return false;
}

static unsigned take_slot(
	struct worker *w, const struct snapshot *s, const struct link_ref *ref, uint64_t now)
{
	struct tx_link *l = ref->link;
	const struct hop *hop = &s->hops[ref->hop];
	struct rte_mbuf *m = NULL;
	bool cover = false;
	unsigned sent = 0;

	if (l->txq->staged.count == TX_BURST)
		sent = flush(w, l->txq);
	if (is_alive(w, l, hop, now) && l->txq->staged.count < TX_BURST) {
		m = take_waiting(l);
		cover = !m;
		if (cover)
			m = take_cover(l, s->hops_generation, STALE_AT_ONCE);
	}
	if (!m) {
		l->stats.empty++;
		w->stats.slots_empty++;
		return sent;
	}
	*(cover ? &l->stats.cover : &l->stats.real) += 1;
	stage(w, l, hop, m, l->clock.next, cover);
	return sent;
}

static unsigned serve_slots(struct worker *w, const struct snapshot *s, uint64_t now)
{
	struct slots *k = &w->slots;
	unsigned sent = 0;

	while (slot_heap_next(&k->heap) <= now) {
		const struct link_ref *ref = &k->ref[k->heap.entry[0].index];
		struct tx_link *l = ref->link;
		uint64_t skipped = slot_clock_skip(&l->clock, &k->random, now);

		l->stats.skipped += skipped;
		w->stats.slots_skipped += skipped;
		if (l->clock.next <= now) {
			sent += take_slot(w, s, ref, now);
			slot_clock_advance(&l->clock, &k->random);
		}
		slot_heap_again(&k->heap, l->clock.next);
	}
	return sent;
}

static void take_tokens(
	struct worker *w, const struct snapshot *s, const struct link_ref *ref, uint64_t now)
{
	struct tx_link *l = ref->link;
	const struct hop *hop = &s->hops[ref->hop];
	unsigned n = RTE_MIN(rte_ring_count(l->ring), TX_BURST - l->txq->staged.count);
	struct rte_mbuf *m[TX_BURST];

	if (n == 0 || !is_alive(w, l, hop, now))
		return;
	n = token_bucket_take(&l->bucket, now, n);
	n = rte_ring_sc_dequeue_burst(l->ring, (void **)m, n, NULL);
	for (unsigned i = 0; i < n; i++) {
		rte_prefetch0(packet_meta(m[i]));
		rte_prefetch0(rte_pktmbuf_mtod_offset(m[i], char *, -LINK_HEADER_MAX));
	}
	for (unsigned i = 0; i < n; i++)
		stage(w, l, hop, m[i], 0, false);
	l->stats.real += n;
}

static unsigned serve_rate(struct worker *w, const struct snapshot *s, uint64_t now)
{
	struct slots *k = &w->slots;
	unsigned n = RTE_MIN(k->count, (unsigned)RATE_VISITS), sent = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct link_ref *ref = &k->ref[k->turn];

		if (++k->turn >= k->count)
			k->turn = 0;
		if (ref->link->txq->staged.count == TX_BURST)
			sent += flush(w, ref->link->txq);
		take_tokens(w, s, ref, now);
	}
	return sent;
}

/* `sent` packets were sent since then; sends what is staged. */
static unsigned send_staged(struct worker *w, unsigned sent, uint64_t since)
{
	struct stage_stats *spent = &w->stats.stage[STAGE_transmit];

	for (unsigned q = 0; q < w->own_count; q++)
		sent += flush(w, w->own[q]);
	if (sent) {
		spent->calls++;
		spent->packets += sent;
		spent->cycles += rte_rdtsc() - since;
	}
	return sent;
}

unsigned slots_serve(struct worker *w, const struct snapshot *s)
{
	uint64_t now;

	if (w->slots.count == 0)
		return 0;
	now = rte_rdtsc();
	return send_staged(
		w, w->slots.heap.count ? serve_slots(w, s, now) : serve_rate(w, s, now), now);
}

/* ---- what fits before the next slot
 * ------------------------------------------------------------------------- */

/* Towards a cost that a third of the bursts exceed, in steps, and a quarter more: those that lost
 * their core on the way tell nothing of the next, however long it took. */
static void learn(uint64_t *cost, uint64_t sample)
{
	uint64_t step = *cost / 16 + 1;

	sample += sample / 4;
	if (sample > *cost)
		*cost += step;
	else if (*cost > step)
		*cost -= (step + 1) / 2;
}

void slots_learn(struct worker *w, unsigned n, uint64_t cycles)
{
	if (n)
		learn(&w->slots.chunk_cost, cycles / ((n + SLOT_CHUNK - 1) / SLOT_CHUNK));
}

void slots_learn_due(struct worker *w, unsigned n, uint64_t cycles)
{
	if (n)
		learn(&w->slots.due_cost, cycles);
}

static bool is_guarded(const struct slots *k, uint64_t cost)
{
	return k->gap / SLOT_DENSE >= cost;
}

bool slots_guarded(const struct worker *w)
{
	return is_guarded(&w->slots, w->slots.chunk_cost);
}

unsigned slots_room(struct worker *w)
{
	const struct slots *k = &w->slots;
	uint64_t next, now, chunks;

	if (k->heap.count == 0)
		return w->b->cfg.batch_size;
	if (!slots_guarded(w))
		return RTE_MIN(w->b->cfg.batch_size, (unsigned)SLOT_BURST);
	next = slot_heap_next(&k->heap);
	now = rte_rdtsc();
	chunks = next > now ? (next - now) / k->chunk_cost : 0;
	return (unsigned)RTE_MIN(chunks * SLOT_CHUNK, (uint64_t)w->b->cfg.batch_size);
}

unsigned slots_room_due(struct worker *w)
{
	const struct slots *k = &w->slots;
	unsigned most = RTE_MIN(w->b->cfg.batch_size, (unsigned)SLOT_BURST);

	if (k->heap.count == 0)
		return w->b->cfg.batch_size;
	return is_guarded(k, k->due_cost) && slot_heap_next(&k->heap) < rte_rdtsc() + k->due_cost
		       ? 0
		       : most;
}

static void spin_until(struct worker *w, uint64_t time)
{
	uint64_t start = rte_rdtsc(), now;

	while ((now = rte_rdtsc()) < time)
		rte_pause();
	w->slots.waited += now - start;
}

/* Only one slot is near: where guards are worth it, slots are further apart than SLOT_AHEAD_US.
 * Those that fall together leave together. */
unsigned slots_wait(struct worker *w, const struct snapshot *s)
{
	uint64_t next = slot_heap_next(&w->slots.heap), since, waited;
	unsigned sent;

	spin_until(w, next - w->b->hz / 1000000 * SLOT_AHEAD_US);
	since = rte_rdtsc();
	waited = w->slots.waited;
	sent = serve_slots(w, s, next);
	spin_until(w, next);
	return send_staged(w, sent, since + (w->slots.waited - waited));
}

uint64_t slots_sleep_ns(const struct worker *w, uint64_t most)
{
	const struct slots *k = &w->slots;
	uint64_t spin = w->b->hz / 1000000 * SLOT_SPIN_US, now, next;

	if (k->heap.count == 0)
		return most;
	next = slot_heap_next(&k->heap);
	now = rte_rdtsc() + spin;
	if (next <= now)
		return 0;
	return RTE_MIN(most, (uint64_t)((unsigned __int128)(next - now) * 1000000000u / w->b->hz));
}
