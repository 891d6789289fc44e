/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to a packet once it is due: into its link's ring (slots.c sends it), or headers, the
 * TX queue's own ring, TX. */
#include "pipeline/pipeline.h"
#include "sphinx/frame.h"

#include <rte_cycles.h>
#include <rte_prefetch.h>

/* ---- headers
 * -------------------------------------------------------------------------------------------- */

static int neighbour_mac(const struct snapshot *s, const struct endpoint *via, const uint8_t **mac)
{
	uint8_t key[KEY_SIZE];
	int32_t at;

	address_key(key, via);
	at = rte_hash_lookup(s->neighbour_index, key);
	if (at < 0)
		return -ENOENT;
	*mac = s->neighbour_mac[at];
	return 0;
}

void egress_offload(const struct port *p, struct rte_mbuf *m, unsigned headers)
{
	m->ol_flags = 0;
	if (!p->tx_offload)
		return;
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len =
		headers == LINK_HEADER4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	m->ol_flags = headers == LINK_HEADER4 ? p->tx_flags4 : p->tx_flags6;
}

/* Writes the headers in front of the mbuf's content. */
static void put_headers(const struct port *p, const struct link_template *t, struct rte_mbuf *m)
{
	size_t payload = m->data_len;
	uint8_t *head = (uint8_t *)rte_pktmbuf_prepend(m, t->len);

	link_template_write_sum(t, head, payload, packet_meta(m)->sum, p->tx_offload);
	egress_offload(p, m, t->len);
}

/* Where a forwarded packet goes now; NULL: its hop is gone. */
static const struct hop *find_hop(const struct snapshot *s, struct rte_mbuf *m)
{
	struct packet_meta *meta = packet_meta(m);
	struct endpoint to;
	uint8_t key[KEY_SIZE];
	int32_t at;

	if (meta->hops_generation == s->hops_generation)
		return &s->hops[meta->hop];
	/* the directory changed while the packet was parked */
	if (address_decode(meta->address, &to) != SPHINX_ok || !s->has_directory)
		return NULL;
	address_key(key, &to);
	at = rte_hash_lookup(s->hop_index, key);
	if (at < 0)
		return NULL;
	meta->hop = (uint32_t)at;
	meta->hops_generation = s->hops_generation;
	return &s->hops[at];
}

/* 0; -EAGAIN: the neighbour is not known yet, *want says whom to ask for; -ENOENT: the hop is gone.
 */
static int head_forward(struct worker *w, const struct hop *hop, struct rte_mbuf *m, unsigned *port,
	struct resolve_request *want)
{
	const struct betanet *b = w->b;

	if (!hop || !hop->reachable)
		return -ENOENT;
	*port = hop->port;
	if (!hop->resolved) {
		want->family = 0; /* control knows the directory's neighbours and asks for them by
				     itself */
		return -EAGAIN;
	}
	link_ready_write(&hop->header, (uint8_t *)rte_pktmbuf_prepend(m, hop->header.len),
		packet_meta(m)->sum);
	egress_offload(&b->ports[*port], m, hop->header.len - FRAME_SIZE);
	return 0;
}

static int head_final(struct worker *w, const struct snapshot *s, struct rte_mbuf *m,
	unsigned *port, struct resolve_request *want)
{
	const struct betanet *b = w->b;
	struct endpoint to, via, from = {.port = b->cfg.udp_port};
	struct link_template t;
	const struct port *p;
	const uint8_t *mac;
	int at;

	if (address_decode(packet_meta(m)->address, &to) != SPHINX_ok)
		return -ENOENT;
	at = port_route(b, &to, &via);
	if (at < 0)
		return -ENOENT;
	*port = (unsigned)at;
	p = &b->ports[at];
	if (neighbour_mac(s, &via, &mac) != 0) {
		want->family = via.family;
		want->port = (uint16_t)at;
		memcpy(want->ip, via.ip, sizeof(want->ip));
		return -EAGAIN;
	}
	from.family = to.family;
	memcpy(from.ip, to.family == 4 ? p->host.ipv4 : p->host.ipv6, to.family == 4 ? 4 : 16);
	link_template_make(&t, p->host.mac, mac, &from, &to);
	put_headers(p, &t, m);
	return 0;
}

/* ---- due packets
 * ---------------------------------------------------------------------------------------- */

static void drop_one(struct worker *w, struct rte_mbuf *m, enum drop_reason why)
{
	w->stats.drops[why]++;
	rte_pktmbuf_free(m);
}

void egress_discard(struct betanet *b, struct rte_mbuf **m, unsigned n, enum drop_reason why)
{
	if (n == 0)
		return;
	b->control_stats.drops[why] += n;
	rte_pktmbuf_free_bulk(m, n);
}

/* Waits for ARP or ND in the wheel, so that the first message to a destination is not lost. */
static void wait_again(
	struct worker *w, struct wheel_item *it, const struct resolve_request *want, uint64_t now)
{
	struct rte_mbuf *m = it->obj;
	struct packet_meta *meta = packet_meta(m);

	if (meta->retries++ >= RETRIES) {
		drop_one(w, m, DROP_unresolved);
		return;
	}
	/* a full request ring is no harm: the next retry asks again */
	if (want->family && meta->retries % 10 == 1)
		(void)rte_ring_mp_enqueue_elem(
			w->b->resolve, (void *)(uintptr_t)want, sizeof(*want));
	meta->due = now + w->b->hz / 1000 * RETRY_MS;
	if (wheel_insert(w->wheel, m, meta->due, it->tie) != 0)
		drop_one(w, m, DROP_wheel_full);
}

unsigned lateness_bucket(const struct betanet *b, uint64_t cycles)
{
	uint64_t ns = (uint64_t)((unsigned __int128)cycles * 1000000000u / b->hz);
	unsigned bucket = ns ? 64u - (unsigned)__builtin_clzll(ns) : 0;

	return RTE_MIN(bucket, (unsigned)BETANET_HISTOGRAM_BUCKETS - 1);
}

static void count_lateness(struct worker *w, uint64_t due, uint64_t now)
{
	w->stats.lateness[lateness_bucket(w->b, now > due ? now - due : 0)]++;
}

static void queue_out(
	struct worker *w, unsigned feed, struct rte_mbuf **m, unsigned n, uint64_t now)
{
	unsigned done;

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		packet_meta(m[i])->queued = now;
	done = rte_ring_enqueue_burst(w->feed[feed]->shaping, (void **)m, n, NULL);
	if (done < n) {
		w->stats.drops[DROP_shaper_full] += n - done;
		rte_pktmbuf_free_bulk(m + done, n - done);
	}
}

/* Into the ring of its link, which will write the headers: they may change until then. */
static void to_link(struct worker *w, const struct hop *hop, struct wheel_item *it, uint64_t now)
{
	static const struct resolve_request nothing;

	packet_meta(it->obj)->queued = now;
	if (w->b->port_count && !hop->resolved)
		wait_again(w, it, &nothing, now);
	else if (!link_enqueue(hop->link, it->obj))
		drop_one(w, it->obj, DROP_shaper_full);
}

/* Packets of a burst that go to the TX queues' own rings. */
struct direct {
	struct rte_mbuf *m[BETANET_MAX_PORTS][BURST_MAX];
	unsigned count[BETANET_MAX_PORTS];
};

static void send_one(struct worker *w, const struct snapshot *s, struct wheel_item *it,
	struct direct *out, uint64_t now)
{
	struct rte_mbuf *m = it->obj;
	bool forward = packet_meta(m)->flag == SPHINX_FLAG_FORWARD;
	const struct hop *hop = forward && s->has_directory ? find_hop(s, m) : NULL;
	struct resolve_request want = {0};
	unsigned port = 0;
	int r = 0;

	if (hop && hop->link) {
		to_link(w, hop, it, now);
		return;
	}
	if (forward && shaping_has_slots(w->b)) {
		drop_one(w, m, hop ? DROP_not_link : DROP_unknown_next_hop);
		return;
	}
	if (w->b->port_count)
		r = forward ? head_forward(w, hop, m, &port, &want)
			    : head_final(w, s, m, &port, &want);
	if (r == 0)
		out->m[port][out->count[port]++] = m;
	else if (r == -EAGAIN)
		wait_again(w, it, &want, now);
	else
		drop_one(w, m, DROP_unknown_next_hop);
}

unsigned egress_due(struct worker *w, const struct snapshot *s, uint64_t now, unsigned max)
{
	struct wheel_item due[BURST_MAX];
	struct direct out;
	unsigned n = wheel_expire(w->wheel, now, due, max);

	memset(out.count, 0, sizeof(out.count));
	/* a packet was parked for long: neither its mbuf nor its headroom is in the cache */
	for (unsigned i = 0; i < n; i++) {
		rte_prefetch0(due[i].obj);
		rte_prefetch0(packet_meta(due[i].obj));
	}
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod_offset(
			(struct rte_mbuf *)due[i].obj, char *, -LINK_HEADER_MAX));
	for (unsigned i = 0; i < n; i++) {
		if (packet_meta(due[i].obj)->retries == 0)
			count_lateness(w, due[i].due, now);
		send_one(w, s, &due[i], &out, now);
	}
	for (unsigned p = 0; p < BETANET_MAX_PORTS && n; p++)
		queue_out(w, p, out.m[p], out.count[p], now);
	return n;
}

/* ---- TX
 * ---------------------------------------------------------------------------------------------------
 */

void egress_note(struct tx_note *note, struct rte_mbuf *m, uint64_t released, uint64_t now)
{
	const struct packet_meta *meta = packet_meta(m);
	uint64_t left = RTE_MAX(meta->due, meta->parked);
	uint64_t after = now > left ? now - left : 0;

	note->shaping = released > meta->queued ? RTE_MIN(released - meta->queued, after) : 0;
	note->cycles = meta->parked - meta->arrival + after - note->shaping;
	note->bytes = m->pkt_len;
	note->flag = meta->flag;
	note->loop = meta->loop;
	note->now = now;
}

void egress_count(struct worker *w, const struct tx_note *note, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		w->stats.tx_bytes += note[i].bytes;
		if (note[i].flag == 0)
			continue;
		w->stats.processing_cycles += note[i].cycles;
		w->stats.shaping_cycles += note[i].shaping;
		w->stats.processing_count++;
		if (note[i].loop)
			cover_left(w, note[i].loop, note[i].now);
		if (note[i].flag == SPHINX_FLAG_FINAL)
			w->stats.delivered++;
		else
			w->stats.forwarded++;
	}
	w->stats.tx += n;
}

unsigned txq_send(struct txq *q, struct rte_mbuf **m, unsigned n)
{
	if (q->collect)
		return rte_ring_mp_enqueue_burst(q->collect, (void **)m, n, NULL);
	return rte_eth_tx_burst(q->port, q->queue, m, (uint16_t)n);
}

/* Tops the pending packets up from the ring, as far as the bucket allows. */
static void take_pending(struct txq *q, uint64_t now)
{
	unsigned room = RTE_MIN(rte_ring_count(q->shaping), (unsigned)TX_BURST);

	if (room == 0)
		return;
	room = token_bucket_take(&q->bucket, now, room);
	q->released = now;
	q->pending_count = rte_ring_sc_dequeue_burst(q->shaping, (void **)q->pending, room, NULL);
	q->pending_since = now;
}

static unsigned drain(struct worker *w, struct txq *q, uint64_t now)
{
	struct tx_note note[TX_BURST];
	unsigned sent;

	if (q->pending_count == 0)
		take_pending(q, now);
	if (q->pending_count == 0)
		return 0;
	for (unsigned i = 0; i < q->pending_count; i++)
		egress_note(&note[i], q->pending[i], q->bucket.cost ? q->released : 0, now);
	sent = txq_send(q, q->pending, q->pending_count);
	egress_count(w, note, sent);
	q->pending_count -= sent;
	if (sent) {
		memmove(q->pending, q->pending + sent, q->pending_count * sizeof(q->pending[0]));
		q->pending_since = now;
	} else if (!q->collect && now - q->pending_since > w->b->hz / 1000 * STUCK_MS) {
		w->stats.drops[DROP_tx_refused] += q->pending_count;
		rte_pktmbuf_free_bulk(q->pending, q->pending_count);
		q->pending_count = 0;
	}
	return sent;
}

/* ARP, ND and ICMP replies go past the shaping queue: they are few, and they are not mix packets.
 */
static unsigned send_replies(struct worker *w, const struct port *p)
{
	struct rte_mbuf *m[8];
	unsigned n = rte_ring_sc_dequeue_burst(p->reply, (void **)m, RTE_DIM(m), NULL), sent;

	if (n == 0)
		return 0;
	sent = rte_eth_tx_burst(p->id, 0, m, (uint16_t)n);
	if (sent < n) {
		w->stats.drops[DROP_tx_refused] += n - sent;
		rte_pktmbuf_free_bulk(m + sent, n - sent);
	}
	return sent;
}

unsigned egress_transmit(struct worker *w, uint64_t now)
{
	uint64_t queued = slots_queued(w, now);
	unsigned n = 0;

	for (unsigned i = 0; i < w->own_count; i++) {
		n += drain(w, w->own[i], now);
		queued += rte_ring_count(w->own[i]->shaping) + w->own[i]->pending_count;
	}
	for (unsigned i = 0; i < w->reply_count; i++)
		n += send_replies(w, w->reply_port[i]);
	w->stats.queued = queued;
	return n;
}
