/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <stdlib.h>
#include <string.h>

/* Relays count time in TSC cycles, whose frequency EAL may only have estimated (to 10 MHz): a
 * packet is early when it comes back more than 1 part in this before its delays are over. */
enum { CLOCK_TOLERANCE = 100 };

int sink_init(struct sink *s, struct ethport *port, const struct store *store,
	const struct endpoint *self, struct error *err)
{
	memset(s, 0, sizeof(*s));
	s->port = port;
	s->store = store;
	memcpy(s->self.mac, port->mac, sizeof(s->self.mac));
	memcpy(s->self.ip, self->ip, sizeof(s->self.ip));
	s->self.port = self->port;
	s->seen = calloc(store->params.good, 1);
	s->latency = calloc(store->params.good, sizeof(*s->latency));
	return s->seen && s->latency ? 0 : error_set(err, ENOMEM, "no memory for the sink");
}

void sink_free(struct sink *s)
{
	free(s->seen);
	free(s->latency);
	s->seen = NULL;
	s->latency = NULL;
}

static void add_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void record_time(struct sink *s, uint64_t seq, uint64_t now)
{
	uint64_t total = now - atomic_load(&s->sent_ns[seq]);
	uint64_t deliberate = s->store->packets[seq].delay_ns;

	s->latency[seq] = total;
	histogram_record(&s->total, total);
	histogram_record(&s->deliberate, deliberate);
	histogram_record(&s->rest, total > deliberate ? total - deliberate : 0);
	if (total + deliberate / CLOCK_TOLERANCE < deliberate)
		s->early++;
}

static void take_message(struct sink *s, const struct wire_frame *f, uint64_t now)
{
	const struct store *st = s->store;
	uint64_t seq;

	switch (message_check(&st->run, f->payload, f->payload_len, st->params.message_size,
		st->message_room, st->count, &seq)) {
	case MESSAGE_FOREIGN:
		add_one(&s->foreign);
		return;
	case MESSAGE_CORRUPT:
		add_one(&s->corrupt);
		return;
	case MESSAGE_RIGHT:
		break;
	}
	atomic_store(&s->last_ns, now);
	if (seq >= st->params.good) {
		add_one(&s->unexpected);
	} else if (s->seen[seq]) {
		add_one(&s->duplicates);
	} else {
		s->seen[seq] = 1;
		record_time(s, seq, now);
		add_one(&s->right);
	}
}

static void answer_arp(struct sink *s, const struct wire_end *to)
{
	uint8_t *frame;
	struct rte_mbuf *m = ethport_mbuf(s->port, WIRE_ARP_SIZE, &frame);

	if (!m)
		return;
	wire_write_arp_reply(frame, &s->self, to);
	if (rte_eth_tx_burst(s->port->id, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static void take_frame(struct sink *s, const uint8_t *frame, size_t len, uint64_t now)
{
	struct wire_frame f;
	enum wire_kind kind = wire_parse(frame, len, &f);
	bool for_us = kind != WIRE_BAD && memcmp(f.dst.ip, s->self.ip, 4) == 0;

	if (kind == WIRE_BAD)
		add_one(&s->malformed);
	else if (kind == WIRE_ARP_REQUEST && for_us)
		answer_arp(s, &f.src);
	else if (kind == WIRE_UDP && for_us && f.dst.port == s->self.port)
		take_message(s, &f, now);
}

int sink_run(void *arg)
{
	struct sink *s = arg;

	ethport_short_sleeps();
	while (!atomic_load(s->stop)) {
		struct rte_mbuf *burst[ETHPORT_BURST];
		uint16_t n = rte_eth_rx_burst(s->port->id, 0, burst, ETHPORT_BURST);
		uint64_t now = ethport_now();

		for (uint16_t i = 0; i < n; i++) {
			take_frame(s, rte_pktmbuf_mtod(burst[i], const uint8_t *),
				rte_pktmbuf_data_len(burst[i]), now);
			rte_pktmbuf_free(burst[i]);
		}
		if (n == 0 && s->spin)
			rte_pause();
		else if (n == 0)
			ethport_sleep_ns(ETHPORT_IDLE_US * 1000);
	}
	return 0;
}
