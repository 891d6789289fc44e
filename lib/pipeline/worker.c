/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker lcore's loop, run to completion:
 *
 *     receive → parse → admit → open → replay → finish → route → delay → (wheel)
 *     (wheel) → due → headers → shaping queue → TX
 *
 * A burst is what waits at that moment on all of the worker's queues, up to batch_size: nothing
 * waits for a burst to fill.
 */
#include "pipeline/pipeline.h"

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <sys/prctl.h>
#include <time.h>

/* Frames of all RX queues, starting with another queue each time, so that none starves. The clock
 * is read behind the reception: a worker that lost its core in between would take a packet for
 * older than it is, and let it leave early. */
static void receive(struct worker *w, struct burst *b, unsigned max)
{
	b->n = 0;
	for (unsigned k = 0; k < w->rxq_count && b->n < max; k++) {
		unsigned q = (w->next_rxq + k) % w->rxq_count;

		unsigned from = b->n;

		b->n += rte_eth_rx_burst(
			w->rxq[q].port->id, w->rxq[q].queue, b->m + from, (uint16_t)(max - from));
		/* not every driver notes the port */
		for (unsigned i = from; i < b->n; i++)
			b->m[i]->port = w->rxq[q].index;
		/* a driver on rings brings buffers of others */
		if (b->n > from && b->m[from]->pool == w->b->pool)
			w->stats.pool_requests += b->n - from;
	}
	if (++w->next_rxq >= w->rxq_count)
		w->next_rxq = 0;
	for (unsigned i = 0; i < b->n; i++) {
		w->stats.rx_bytes += b->m[i]->pkt_len;
		b->reason[i] = DROP_NONE;
	}
	w->stats.rx += b->n;
}

/*
 * Packets that the embedding program submitted join the burst behind parse: they have no headers.
 * Only as many are taken as the shaping queue will hold when all that is parked has come due, and
 * as the global limit allows: the others wait in the submit queue, and betanet_submit says so to
 * the program.
 */
static void receive_submitted(struct worker *w, struct burst *b, unsigned max)
{
	uint64_t held = wheel_count(w->wheel) + w->stats.queued + b->n;
	uint64_t room = w->b->cfg.queue_depth > held ? w->b->cfg.queue_depth - held : 0;
	unsigned n = RTE_MIN(max - b->n, (unsigned)room);

	n = admit_submitted(w, RTE_MIN(n, rte_ring_count(w->submit)));
	n = rte_ring_sc_dequeue_burst(w->submit, (void **)(b->m + b->n), n, NULL);

	for (unsigned i = b->n; i < b->n + n; i++) {
		b->packet[i] = rte_pktmbuf_mtod(b->m[i], uint8_t *);
		b->reason[i] = DROP_NONE;
		w->stats.rx_bytes += b->m[i]->pkt_len;
	}
	b->n += n;
	w->stats.rx += n;
}

/* Charges the time since *since to a stage that had `packets` packets. */
static void charge(struct worker *w, enum stage stage, unsigned packets, uint64_t *since)
{
	uint64_t now = rte_rdtsc();

	if (packets) {
		w->stats.stage[stage].calls++;
		w->stats.stage[stage].packets += packets;
		w->stats.stage[stage].cycles += now - *since;
	}
	*since = now;
}

static unsigned ingress(struct worker *w, const struct snapshot *s, unsigned max)
{
	struct burst *b = w->burst;
	uint64_t since = rte_rdtsc(), start = since;
	unsigned n, wire, opened = 0;

	receive(w, b, max);
	wire = n = b->n;
	charge(w, STAGE_receive, n, &since);
	if (wire) {
		unsigned parsed;

		stage_parse(w, b);
		charge(w, STAGE_parse, wire, &since);
		parsed = b->n;
		stage_admit(w, b, s);
		pool_admit(w, b);
		charge(w, STAGE_admit, parsed, &since);
	}
	if (b->n < max) {
		unsigned before = b->n;

		receive_submitted(w, b, max);
		n += b->n - before;
		charge(w, STAGE_receive, b->n - before, &since);
	}
	if (b->n) {
		opened = b->n;
		/* behind the reception: a worker that lost its core in between would take a packet
		 * for older than it is, and let it leave early */
		b->arrival = rte_rdtsc();
		w->stats.bursts++;
		stage_open(w, b);
		charge(w, STAGE_open, opened, &since);
		stage_replay(w, b);
		charge(w, STAGE_replay, opened, &since);
		stage_draw(w, b);
		charge(w, STAGE_draw, opened, &since);
		stage_finish(w, b);
		charge(w, STAGE_finish, b->n, &since);
		stage_route(w, b, s);
		charge(w, STAGE_route, b->n, &since);
		stage_delay(w, b);
		charge(w, STAGE_delay, b->n, &since);
	}
	burst_free_drops(b);
	/* what admission dropped costs next to nothing: a flood must not make bursts look cheap */
	slots_learn(w, opened, rte_rdtsc() - start);
	return n;
}

/* An idle worker gives its core away until the next tick at the latest: labs with shared cores
 * only. */
static void idle(struct worker *w)
{
	struct timespec time = {0};

	switch (w->b->cfg.idle) {
	case BETANET_IDLE_SPIN:
		break;
	case BETANET_IDLE_PAUSE:
		rte_pause();
		break;
	case BETANET_IDLE_SLEEP:
		time.tv_nsec = (long)slots_sleep_ns(w, w->b->cfg.tick_us * 1000ull);
		if (time.tv_nsec)
			nanosleep(&time, NULL);
		break;
	}
}

/* Received packets into the wheel, as many as fit before the next slot. */
static unsigned take_in(struct worker *w, const struct snapshot *s)
{
	unsigned max = slots_room(w);

	if (max)
		return ingress(w, s, max) + cover_park(w);
	return slots_wait(w, s);
}

/* Due packets out of the wheel, as many as fit before the next slot. */
static unsigned give_out(struct worker *w, const struct snapshot *s)
{
	unsigned max = slots_room_due(w), n;
	uint64_t since, start;

	if (max == 0) {
		return slots_wait(w, s);
	}
	since = rte_rdtsc();
	start = since;
	n = egress_due(w, s, since, max);
	charge(w, STAGE_due, n, &since);
	slots_learn_due(w, n, since - start);
	return n;
}

static void loop_once(struct worker *w, bool draining)
{
	uint64_t start = rte_rdtsc(), took, since;
	const struct snapshot *s = atomic_load_explicit(&w->b->snapshot, memory_order_acquire);
	unsigned work, n;

	w->slots.waited = 0;
	slots_refresh(w, s);
	work = slots_serve(w, s);
	if (!draining) {
		work += take_in(w, s);
		work += slots_serve(w, s);
	}
	work += give_out(w, s);
	work += slots_serve(w, s);
	since = rte_rdtsc();
	work += n = egress_transmit(w, since);
	charge(w, STAGE_transmit, n, &since);
	w->stats.parked = wheel_count(w->wheel);
	rte_rcu_qsbr_quiescent(w->b->qsbr, w->index);

	w->stats.loops++;
	took = rte_rdtsc() - start;
	if (took > w->stats.longest_loop)
		w->stats.longest_loop = took;
	if (work) {
		w->stats.busy_cycles += took - w->slots.waited;
	} else {
		w->stats.idle_loops++;
		idle(w);
	}
}

int worker_main(void *arg)
{
	struct worker *w = arg;
	struct betanet *b = w->b;
	int state;

	prctl(PR_SET_TIMERSLACK, 1000); /* ns: a sleeping worker must not oversleep its tick */
	rte_rcu_qsbr_thread_register(b->qsbr, w->index);
	rte_rcu_qsbr_thread_online(b->qsbr, w->index);
	while ((state = atomic_load_explicit(&b->state, memory_order_acquire)) < LCORE_HALT) {
		atomic_store_explicit(&w->state, state, memory_order_release);
		loop_once(w, state == LCORE_DRAIN);
	}
	rte_rcu_qsbr_thread_offline(b->qsbr, w->index);
	rte_rcu_qsbr_thread_unregister(b->qsbr, w->index);
	atomic_store_explicit(&w->state, LCORE_HALT, memory_order_release);
	return 0;
}
