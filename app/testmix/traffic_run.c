/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's and the sink's lcores. */
#include "traffic.h"

#include <rte_ethdev.h>
#include <rte_pause.h>
#include <string.h>
#include "core/bytes.h"
#include "sphinx/frame.h"
#include "sphinx/packet.h"
#include "wire.h"

enum {
	ARP_INTERVAL_NS = 100 * 1000 * 1000,
	SETTLE_NS = 50 * 1000 * 1000, /* from the neighbour's answer until the relay uses it */
	WAKE_EARLY_NS = 60 * 1000,    /* a sleep ends this much late */
	MAX_SLEEP_NS = 1000 * 1000,
	TYPE_ARP = 0x0806,
	TYPE_IP4 = 0x0800,
};

static void add_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static struct wire_end end_of(const struct ethport *port, const struct endpoint *at)
{
	struct wire_end e = {.port = at->port};

	memcpy(e.mac, port->mac, 6);
	memcpy(e.ip, at->ip, 4);
	return e;
}

static void send_arp(struct ethport *port, const struct wire_end *self,
	const struct wire_end *answer_to, const uint8_t *ask_for)
{
	uint8_t *frame;
	struct rte_mbuf *m = ethport_mbuf(port, WIRE_ARP_SIZE, &frame);

	if (!m)
		return;
	if (answer_to)
		wire_write_arp_reply(frame, self, answer_to);
	else
		wire_write_arp_request(frame, self, ask_for);
	if (rte_eth_tx_burst(port->id, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/* ---- generator ---- */

/* Nothing is expected here: what comes is freed. */
static void drain(struct ethport *port)
{
	struct rte_mbuf *m[ETHPORT_BURST];

	for (uint16_t q = 0; q < port->queues; q++) {
		uint16_t n = rte_eth_rx_burst(port->id, q, m, ETHPORT_BURST);

		if (n)
			rte_pktmbuf_free_bulk(m, n);
	}
}

static void wait_until(struct traffic *t, uint64_t due)
{
	uint64_t now = ethport_now(), rest;

	drain(&t->gen);
	if (due <= now)
		return;
	rest = due - now;
	if (!t->sleep || rest <= WAKE_EARLY_NS)
		rte_pause();
	else
		ethport_sleep_ns(rest > MAX_SLEEP_NS ? MAX_SLEEP_NS : rest - WAKE_EARLY_NS);
}

/* Slots [at, at + n) are due. Without a rate the port is waited for; with one, what it does not
 * take at once is lost, as on a wire. Returns how many were dealt with. */
static uint64_t send_slots(struct traffic *t, uint64_t at, unsigned n)
{
	struct rte_mbuf *m[ETHPORT_BURST];
	unsigned made = 0, taken = 0;

	for (; made < n; made++) {
		const struct traffic_slot *s = &t->slots[at + made];
		uint8_t *frame;

		m[made] = ethport_mbuf(&t->gen, (uint16_t)t->frame_size, &frame);
		if (!m[made])
			break;
		memcpy(frame, t->frames + s->packet * t->frame_size, t->frame_size);
	}
	for (unsigned i = 0; i < made; i++) {
		const struct traffic_slot *s = &t->slots[at + i];

		if (!s->again)
			atomic_store_explicit(
				&t->sent_ns[s->packet], ethport_now(), memory_order_relaxed);
	}
	if (made)
		taken = rte_eth_tx_burst(t->gen.id, t->next_queue, m, (uint16_t)made);
	t->next_queue = (uint16_t)((t->next_queue + 1) % t->gen.queues);
	for (unsigned i = 0; i < taken; i++) {
		const struct traffic_slot *s = &t->slots[at + i];

		add_one(&t->sent[s->again ? TRAFFIC_REPLAYED : t->packets[s->packet].kind]);
	}
	for (unsigned i = taken; i < made; i++)
		rte_pktmbuf_free(m[i]);
	if (t->schedule.rate == 0) {
		if (taken == 0 && t->sleep)
			ethport_sleep_ns(ETHPORT_IDLE_US * 1000);
		return taken;
	}
	for (unsigned i = taken; i < n; i++) {
		const struct traffic_slot *s = &t->slots[at + i];

		if (!s->again)
			atomic_store_explicit(&t->sent_ns[s->packet], 0, memory_order_relaxed);
		add_one(&t->refused);
	}
	return n;
}

static void send_all(struct traffic *t)
{
	uint64_t at = 0, start = ethport_now();

	atomic_store(&t->first_ns, start);
	while (at < t->slot_count && !atomic_load(&t->stop_sending)) {
		struct schedule *s = &t->schedule;
		uint64_t now = ethport_now();
		unsigned n = 0;

		if (s->rate == 0) {
			uint64_t rest = t->slot_count - at;

			at += send_slots(t, at,
				rest < ETHPORT_BURST ? (unsigned)rest : (unsigned)ETHPORT_BURST);
			drain(&t->gen);
			continue;
		}
		while (n < ETHPORT_BURST && at + n < t->slot_count &&
			schedule_due(s) <= now - start) {
			histogram_record(&t->lag, now - start - schedule_due(s));
			schedule_advance(s);
			n++;
		}
		if (n)
			at += send_slots(t, at, n);
		else
			wait_until(t, start + schedule_due(s));
	}
}

int traffic_generate(void *arg)
{
	struct traffic *t = arg;
	uint64_t settled = 0;

	ethport_short_sleeps();
	while (t->resolve && !atomic_load(&t->stop_sending)) {
		if (!settled && atomic_load(&t->resolved))
			settled = ethport_now() + SETTLE_NS;
		if (settled && ethport_now() >= settled)
			break;
		drain(&t->gen);
		ethport_sleep_ns(MAX_SLEEP_NS);
	}
	send_all(t);
	atomic_store(&t->end_ns, ethport_now());
	while (!atomic_load(&t->stop)) {
		drain(&t->gen);
		ethport_sleep_ns(MAX_SLEEP_NS);
	}
	return 0;
}

/* ---- sink ---- */

static void record_time(struct traffic *t, uint32_t packet, uint64_t sent, uint64_t now)
{
	uint64_t took = now - sent;
	uint64_t delay = t->delays ? t->packets[packet].delay_ns : 0;

	histogram_record(&t->residence, took);
	if (!t->delays_known)
		return;
	/* the relay counts in TSC cycles, whose frequency EAL may have estimated: 1 part in 100 */
	if (took + delay / 100 < delay)
		add_one(&t->early);
	histogram_record(&t->lateness, took > delay ? took - delay : 0);
}

static void take(struct traffic *t, const uint8_t *bytes, size_t len, uint64_t now)
{
	const struct traffic_mark *m;
	uint64_t key, sent;
	uint32_t packet;

	if (len == FRAME_SIZE + SPHINX_HEADER_SIZE + t->payload_size) {
		bytes += FRAME_SIZE;
		len -= FRAME_SIZE;
	}
	if (len < sizeof(key)) {
		add_one(&t->foreign);
		return;
	}
	memcpy(&key, bytes, sizeof(key));
	packet = traffic_find(t->hash, t, key);
	if (packet == UINT32_MAX) {
		add_one(&t->foreign);
		return;
	}
	m = &t->packets[packet].mark[t->view];
	sent = atomic_load_explicit(&t->sent_ns[packet], memory_order_relaxed);
	atomic_store(&t->last_ns, now);
	if (m->digest != traffic_digest(t, bytes, len)) {
		add_one(&t->corrupt);
	} else if (t->seen[packet] || sent == 0) {
		/* or the second copy of one that the wire did not take */
		add_one(&t->again);
	} else {
		t->seen[packet] = 1;
		record_time(t, packet, sent, now);
		add_one(&t->returned);
	}
}

static void take_arp(struct traffic *t, const uint8_t *frame, size_t len)
{
	struct endpoint at = mixnet_peer_address(t->last_port);
	struct wire_end self = end_of(&t->sink, &at);
	struct wire_frame f;
	enum wire_kind kind = wire_parse(frame, len, &f);

	if (kind == WIRE_ARP_REQUEST && memcmp(f.dst.ip, self.ip, 4) == 0)
		send_arp(&t->sink, &self, &f.src, NULL);
	else if (kind == WIRE_ARP_REPLY)
		atomic_store(&t->resolved, true);
}

/* Of IPv4 the lengths: all bytes behind them are compared. */
static void take_frame(struct traffic *t, const uint8_t *frame, size_t len, uint64_t now)
{
	size_t udp_len;

	if (len >= WIRE_ARP_SIZE && load_be16(frame + 12) == TYPE_ARP) {
		take_arp(t, frame, len);
		return;
	}
	if (len < WIRE_HEADERS || load_be16(frame + 12) != TYPE_IP4 || frame[14] != 0x45) {
		add_one(&t->foreign);
		return;
	}
	udp_len = load_be16(frame + WIRE_ETH_SIZE + WIRE_IP4_SIZE + 4);
	if (udp_len < WIRE_UDP_SIZE || WIRE_ETH_SIZE + WIRE_IP4_SIZE + udp_len > len) {
		add_one(&t->foreign);
		return;
	}
	take(t, frame + WIRE_HEADERS, udp_len - WIRE_UDP_SIZE, now);
}

/* The answer says that the relay runs. It does not believe what it did not ask for: of the next hop
 * it knows from the directory, but an exit asks for a message's destination only when the first one
 * is due, which then waits some 20 ms. */
static void ask(struct traffic *t, uint64_t *next, uint64_t now)
{
	struct endpoint at = mixnet_peer_address(t->last_port),
			relay = mixnet_own_address(t->last_port);
	struct wire_end self = end_of(&t->sink, &at);

	if (!t->resolve || atomic_load(&t->resolved) || now < *next)
		return;
	send_arp(&t->sink, &self, NULL, relay.ip);
	*next = now + ARP_INTERVAL_NS;
}

static unsigned receive(struct traffic *t, uint16_t queue)
{
	struct rte_mbuf *m[ETHPORT_BURST];
	uint16_t n = rte_eth_rx_burst(t->sink.id, queue, m, ETHPORT_BURST);
	uint64_t now = ethport_now();

	for (uint16_t i = 0; i < n; i++) {
		take_frame(t, rte_pktmbuf_mtod(m[i], const uint8_t *), rte_pktmbuf_data_len(m[i]),
			now);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

int traffic_receive(void *arg)
{
	struct traffic *t = arg;
	uint64_t next_ask = 0;

	ethport_short_sleeps();
	while (!atomic_load(&t->stop)) {
		unsigned n = 0;

		ask(t, &next_ask, ethport_now());
		for (uint16_t q = 0; q < t->sink.queues; q++)
			n += receive(t, q);
		if (n == 0 && t->sleep)
			ethport_sleep_ns(ETHPORT_IDLE_US * 1000);
		else if (n == 0)
			rte_pause();
	}
	return 0;
}
