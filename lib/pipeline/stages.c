/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages of a received burst, in the order in which a packet meets them. Each is one function
 * over one burst; none locks, allocates, logs or makes a system call.
 */
#include "pipeline/pipeline.h"
#include "sphinx/frame.h"

#include <rte_cycles.h>
#include <rte_prefetch.h>
#include <sodium.h>

void burst_settle(struct burst *b, uint64_t drops[DROP_COUNT])
{
	unsigned kept = 0;

	for (unsigned i = 0; i < b->n; i++) {
		if (b->reason[i] != DROP_NONE) {
			if (b->reason[i] != CONSUMED)
				drops[b->reason[i]]++;
			b->drop[b->dropped++] = b->m[i];
			continue;
		}
		if (kept != i) {
			b->m[kept] = b->m[i];
			b->packet[kept] = b->packet[i];
			b->head[kept] = b->head[i];
			b->hop[kept] = b->hop[i];
			b->fingerprint[kept] = b->fingerprint[i];
			b->draw[kept] = b->draw[i];
			b->reason[kept] = DROP_NONE;
		}
		kept++;
	}
	b->n = kept;
}

void burst_free_drops(struct burst *b)
{
	if (b->dropped)
		rte_pktmbuf_free_bulk(b->drop, b->dropped);
	b->dropped = 0;
}

/* ---- parse: Ethernet, IP, UDP, frame
 * ---------------------------------------------------------------- */

static enum drop_reason parse_one(
	const struct betanet *b, struct rte_mbuf *m, struct link_view *v, uint8_t **packet)
{
	const struct port *p = &b->ports[m->port]; /* an index: worker.c notes it */
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	enum drop_reason why;

	if (m->nb_segs != 1)
		return DROP_bad_length;
	if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
		(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return DROP_bad_ip_checksum;
	why = link_parse(&p->host, frame, m->data_len, v);
	if (why != DROP_NONE || v->kind == LINK_CONTROL)
		return why;
	if (v->len != FRAME_SIZE + b->packet_size)
		return DROP_bad_length;
	if (frame_check(frame + v->offset, b->cfg.payload_size) != 0)
		return DROP_bad_frame;
	/* what is left in the mbuf is the Sphinx packet; the headers' bytes become headroom for the
	 * next ones */
	rte_pktmbuf_adj(m, (uint16_t)(v->offset + FRAME_SIZE));
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - b->packet_size));
	*packet = rte_pktmbuf_mtod(m, uint8_t *);
	return DROP_NONE;
}

void stage_parse(struct worker *w, struct burst *b)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < b->n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(b->m[i], void *));
	for (unsigned i = 0; i < b->n; i++) {
		struct link_view v = {.kind = LINK_MIX};
		enum drop_reason why = parse_one(w->b, b->m[i], &v, &b->packet[i]);

		if (why == DROP_NONE && v.kind == LINK_CONTROL) {
			if (rte_ring_mp_enqueue(w->b->control_rx, b->m[i]) == 0) {
				w->stats.control++;
				continue;
			}
			why = DROP_control_full;
		}
		b->m[kept] = b->m[i];
		b->packet[kept] = b->packet[i];
		b->head[kept] = (uint8_t)v.offset;
		b->reason[kept++] = why;
	}
	b->n = kept;
	burst_settle(b, w->stats.drops);
}

/* ---- open: shared secret, key derivation, MAC
 * ---------------------------------------------------------- */

static const enum drop_reason reason_of_status[] = {
	[SPHINX_ok] = DROP_NONE,
	[SPHINX_bad_length] = DROP_bad_length,
	[SPHINX_bad_point] = DROP_bad_point,
	[SPHINX_bad_mac] = DROP_bad_mac,
	[SPHINX_bad_routing_flag] = DROP_bad_routing_flag,
	[SPHINX_unsupported_version] = DROP_unsupported_version,
	[SPHINX_bad_payload] = DROP_bad_payload,
};

void stage_open(struct worker *w, struct burst *b)
{
	sphinx_open_burst(
		w->sphinx, w->b->sphinx_secret, b->packet, w->b->packet_size, b->n, b->status);
	for (unsigned i = 0; i < b->n; i++)
		b->reason[i] = reason_of_status[b->status[i]];
}

/* ---- replay: only packets whose MAC holds are remembered ---------------------------------------
 */

static const enum drop_reason reason_of_replay[] = {
	[REPLAY_NEW] = DROP_NONE,
	[REPLAY_SEEN] = DROP_replay,
	[REPLAY_FULL] = DROP_replay_full,
};

void stage_replay(struct worker *w, struct burst *b)
{
	struct replay *table = w->b->replay;

	for (unsigned i = 0; i < b->n; i++) {
		if (!burst_live(b, i))
			continue;
		b->fingerprint[i] = replay_fingerprint(table, sphinx_burst_tag(w->sphinx, i));
		replay_prefetch(table, b->fingerprint[i]);
	}
	if (w->b->lab.no_replay) /* the fingerprint still orders packets of one tick */
		return;
	for (unsigned i = 0; i < b->n; i++) {
		if (!burst_live(b, i))
			continue;
		b->reason[i] = reason_of_replay[replay_check_and_set(table, b->fingerprint[i])];
		if (!burst_live(b, i))
			b->status[i] =
				SPHINX_bad_mac; /* any but ok: sphinx_finish_burst passes over it */
	}
}

/* ---- draw: the epoch's PRF on what only sender and relay know ----------------------------------
 */

void stage_draw(struct worker *w, struct burst *b)
{
	const uint8_t *shared[BURST_MAX];
	struct delay_draw draw[BURST_MAX];
	unsigned at[BURST_MAX], n = 0;
	bool have;

	if (!w->b->epochs)
		return;
	have = epoch_read(epochs_table(w->b->epochs), b->arrival, w->view) == 0;
	for (unsigned i = 0; i < b->n; i++) {
		if (!burst_live(b, i))
			continue;
		if (!have) {
			b->reason[i] = DROP_no_epoch_key;
			b->status[i] = SPHINX_bad_mac; /* any but ok */
			continue;
		}
		shared[n] = sphinx_burst_shared(w->sphinx, i);
		at[n++] = i;
	}
	delay_tag_burst(w->dtag, shared, n);
	delay_draw_burst(w->view->key, (const uint8_t(*)[DELAY_TAG_SIZE])w->dtag, n, draw);
	for (unsigned k = 0; k < n; k++)
		b->draw[at[k]] = draw[k];
	sodium_memzero(draw, n * sizeof(draw[0]));
	sodium_memzero(w->dtag, n * sizeof(w->dtag[0]));
	epoch_view_wipe(w->view);
}

/* ---- finish: header, next alpha, payload; in place ----------------------------------------------
 */

void stage_finish(struct worker *w, struct burst *b)
{
	sphinx_finish_burst(w->sphinx, b->status, b->hop);
	for (unsigned i = 0; i < b->n; i++)
		if (burst_live(b, i))
			b->reason[i] = reason_of_status[b->status[i]];
	burst_settle(b, w->stats.drops);
	w->stats.processed += b->n;
}

/* ---- route: next hop in the directory, or destination of a final packet
 * --------------------------------- */

static enum drop_reason route_forward(const struct betanet *b, const struct snapshot *s,
	const struct endpoint *to, struct packet_meta *meta)
{
	uint8_t key[KEY_SIZE];
	int32_t hop;

	if (!s->has_directory && shaping_has_slots(b))
		return DROP_not_link;
	if (!s->has_directory)
		return b->port_count ? DROP_unknown_next_hop : DROP_NONE;
	if (s->expired)
		return DROP_directory_expired;
	address_key(key, to);
	hop = rte_hash_lookup(s->hop_index, key);
	if (hop < 0)
		return DROP_unknown_next_hop;
	if (!s->hops[hop].allowed)
		return DROP_not_neighbour;
	if (b->port_count && !s->hops[hop].reachable)
		return DROP_no_route;
	if (shaping_has_slots(b) && !s->hops[hop].link)
		return DROP_not_link;
	meta->hop = (uint32_t)hop;
	meta->hops_generation = s->hops_generation;
	return DROP_NONE;
}

/* What is delivered: the message, or, for a version 260 reply that only its maker can read,
 * identifier ‖ payload. Trims the mbuf to it. */
static enum drop_reason deliver_message(
	const struct betanet *b, struct rte_mbuf *m, uint8_t *packet, const struct sphinx_hop *hop)
{
	const uint8_t *message;
	size_t len, offset;

	if (sphinx_payload_message(packet + SPHINX_HEADER_SIZE, b->cfg.payload_size, &message,
		    &len) == SPHINX_ok) {
		offset = (size_t)(message - packet);
	} else if (hop->version == SPHINX_V260) {
		offset = SPHINX_HEADER_SIZE - SPHINX_IDENTIFIER_SIZE;
		memcpy(packet + offset, hop->identifier, SPHINX_IDENTIFIER_SIZE);
		len = SPHINX_IDENTIFIER_SIZE + b->cfg.payload_size;
	} else {
		return DROP_bad_payload;
	}
	rte_pktmbuf_adj(m, (uint16_t)offset);
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - len));
	return DROP_NONE;
}

/* Whether the directory lists that address for us: others' drop cover, or a loop of ours. */
static bool is_for_us(const struct snapshot *s, const struct endpoint *to)
{
	uint8_t key[KEY_SIZE];
	int32_t at;

	if (!s->has_directory || to->family == 0)
		return false;
	address_key(key, to);
	at = rte_hash_lookup(s->hop_index, key);
	return at >= 0 && s->hops[at].own;
}

static enum drop_reason route_final(const struct betanet *b, const struct endpoint *to,
	struct rte_mbuf *m, uint8_t *packet, const struct sphinx_hop *hop)
{
	struct endpoint via;
	bool allowed = b->port_count == 0;

	if (b->cfg.role != BETANET_EXIT)
		return DROP_not_exit;
	for (unsigned i = 0; i < b->exit_allow_count && !allowed; i++)
		allowed = cidr_contains(&b->exit_allow[i], to);
	if (!allowed || (b->port_count && to->port == 0))
		return DROP_exit_denied;
	if (b->port_count && port_route(b, to, &via) < 0)
		return DROP_no_route;
	return deliver_message(b, m, packet, hop);
}

static enum drop_reason route_one(const struct betanet *b, const struct snapshot *s,
	struct rte_mbuf *m, uint8_t *packet, const struct sphinx_hop *hop)
{
	struct packet_meta *meta = packet_meta(m);
	struct endpoint to;

	meta->flag = hop->flag;
	meta->retries = 0;
	meta->hops_generation = 0;
	meta->loop = 0;
	memcpy(meta->address, hop->address, sizeof(meta->address));
	memcpy(meta->identifier, hop->identifier, sizeof(meta->identifier));
	/* an embedding program without ports may use destinations of its own kind */
	if (address_decode(hop->address, &to) != SPHINX_ok) {
		bool opaque = b->port_count == 0 && hop->flag == SPHINX_FLAG_FINAL;

		if (!opaque)
			return DROP_bad_address;
		memset(&to, 0, sizeof(to));
	}
	if (hop->flag == SPHINX_FLAG_FORWARD)
		return route_forward(b, s, &to, meta);
	return is_for_us(s, &to) ? CONSUMED : route_final(b, &to, m, packet, hop);
}

/* The sum over a packet reads all of it, and the burst is larger than the first-level cache. */
static void prefetch_packet(const struct burst *b, unsigned i)
{
	if (i >= b->n)
		return;
	for (unsigned at = 0; at < b->m[i]->data_len; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(b->packet[i] + at);
}

void stage_route(struct worker *w, struct burst *b, const struct snapshot *s)
{
	for (unsigned i = 0; i < b->n; i++)
		rte_prefetch0(packet_meta(b->m[i]));
	for (unsigned i = 0; i < b->n; i++) {
		prefetch_packet(b, i + 1);
		b->reason[i] = route_one(w->b, s, b->m[i], b->packet[i], &b->hop[i]);
		if (b->reason[i] == CONSUMED)
			cover_consume(w, b->hop[i].identifier, b->arrival);
		else if (w->b->port_count && burst_live(b, i))
			packet_meta(b->m[i])->sum =
				link_sum(rte_pktmbuf_mtod(b->m[i], void *), b->m[i]->data_len);
	}
	burst_settle(b, w->stats.drops);
}

/* ---- delay: into the wheel
 * ------------------------------------------------------------------------------ */

/* A final packet has no delay of the sender's. */
static uint64_t deliberate_delay(
	const struct betanet *b, const struct sphinx_hop *hop, const struct delay_draw *draw)
{
	enum delay_mode mode = b->delay_mode;
	uint64_t vrf_ns = b->epochs ? delay_scale(b->vrf_mean_ns, draw->exp) : 0;

	if (hop->flag == SPHINX_FLAG_FINAL && mode == DELAY_SENDER)
		mode = DELAY_NONE;
	if (hop->flag == SPHINX_FLAG_FINAL && mode == DELAY_SUM)
		mode = DELAY_VRF;
	return delay_total(mode, vrf_ns, hop->delay_ns);
}

static uint64_t ns_to_cycles(const struct betanet *b, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * b->hz / 1000000000u);
}

void stage_delay(struct worker *w, struct burst *b)
{
	uint64_t now = rte_rdtsc();

	for (unsigned i = 0; i < b->n; i++) {
		struct packet_meta *meta = packet_meta(b->m[i]);

		/* without a draw: the fingerprint is a keyed PRF of the tag. Either way nobody
		 * outside can tell the order inside a tick */
		uint64_t tie = w->b->epochs ? b->draw[i].tie : b->fingerprint[i];

		meta->arrival = b->arrival;
		meta->delay_ns = deliberate_delay(w->b, &b->hop[i], &b->draw[i]);
		meta->due = b->arrival + ns_to_cycles(w->b, meta->delay_ns);
		meta->parked = now;
		if (wheel_insert(w->wheel, b->m[i], meta->due, tie) != 0)
			b->reason[i] = DROP_wheel_full;
	}
	sodium_memzero(b->draw, b->n * sizeof(b->draw[0]));
	burst_settle(b, w->stats.drops);
}
