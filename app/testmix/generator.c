/* SPDX-License-Identifier: BSD-3-Clause */
#include "generator.h"

#include <errno.h>
#include <math.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "sphinx/frame.h"

enum {
	ARP_INTERVAL_NS = 200 * 1000 * 1000,
	/* a sleep ends this much late: wake before a packet is due and wait the rest awake */
	WAKE_EARLY_NS = 60 * 1000,
	MAX_SLEEP_NS = 1000 * 1000, /* ARP requests are answered in between */
};

static const uint64_t stuck_ns = UINT64_C(5000000000);

static void wire_end_from(struct wire_end *end, const struct endpoint *e)
{
	memcpy(end->ip, e->ip, sizeof(end->ip));
	end->port = e->port;
}

int generator_init(struct generator *g, struct ethport *port, const struct store *store,
	const struct endpoint *self, const struct endpoint *gateway, struct error *err)
{
	const struct directory *d = store->params.directory;

	memset(g, 0, sizeof(*g));
	g->port = port;
	g->store = store;
	wire_end_from(&g->self, self);
	memcpy(g->self.mac, port->mac, sizeof(g->self.mac));
	g->entries = calloc(d->count, sizeof(*g->entries));
	if (!g->entries)
		return error_set(err, ENOMEM, "no memory for %u entries", d->count);
	for (unsigned i = 0; i < d->count; i++) {
		struct generator_entry *e = &g->entries[i];
		const struct endpoint *address = store_node_address(&d->nodes[i]);

		if (d->nodes[i].layer != 1)
			continue;
		e->used = true;
		wire_end_from(&e->end, address);
		memcpy(e->next_hop, gateway->family ? gateway->ip : address->ip,
			sizeof(e->next_hop));
	}
	return 0;
}

void generator_free(struct generator *g)
{
	free(g->entries);
	g->entries = NULL;
}

static void send_arp(struct generator *g, const struct wire_end *answer_to, const uint8_t *ask_for)
{
	uint8_t *frame;
	struct rte_mbuf *m = ethport_mbuf(g->port, WIRE_ARP_SIZE, &frame);

	if (!m)
		return;
	if (answer_to)
		wire_write_arp_reply(frame, &g->self, answer_to);
	else
		wire_write_arp_request(frame, &g->self, ask_for);
	if (rte_eth_tx_burst(g->port->id, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static void learn(struct generator *g, const struct wire_end *neighbour)
{
	unsigned n = g->store->params.directory->count;

	for (unsigned i = 0; i < n; i++) {
		struct generator_entry *e = &g->entries[i];

		if (e->used && memcmp(e->next_hop, neighbour->ip, 4) == 0) {
			memcpy(e->end.mac, neighbour->mac, 6);
			e->resolved = true;
		}
	}
}

/* ARP is all that is expected on the generator's port; everything else is ignored. */
static void receive(struct generator *g)
{
	struct rte_mbuf *burst[ETHPORT_BURST];
	uint16_t n = rte_eth_rx_burst(g->port->id, 0, burst, ETHPORT_BURST);

	for (uint16_t i = 0; i < n; i++) {
		struct wire_frame f;
		enum wire_kind kind = wire_parse(rte_pktmbuf_mtod(burst[i], const uint8_t *),
			rte_pktmbuf_data_len(burst[i]), &f);

		if (kind == WIRE_ARP_REQUEST && memcmp(f.dst.ip, g->self.ip, 4) == 0)
			send_arp(g, &f.src, NULL);
		else if (kind == WIRE_ARP_REPLY)
			learn(g, &f.src);
		rte_pktmbuf_free(burst[i]);
	}
}

static const struct generator_entry *first_unresolved(const struct generator *g)
{
	unsigned n = g->store->params.directory->count;

	for (unsigned i = 0; i < n; i++)
		if (g->entries[i].used && !g->entries[i].resolved)
			return &g->entries[i];
	return NULL;
}

static int resolve(struct generator *g)
{
	const struct generator_entry *e;
	uint64_t ask = 0;

	while ((e = first_unresolved(g)) != NULL && !atomic_load(g->stop)) {
		uint64_t now = ethport_now();

		if (now > g->resolve_deadline)
			return error_set(&g->error, ETIMEDOUT,
				"no ARP answer from %u.%u.%u.%u on port %s: does the entry run?",
				e->next_hop[0], e->next_hop[1], e->next_hop[2], e->next_hop[3],
				g->port->name);
		if (now >= ask) {
			send_arp(g, NULL, e->next_hop);
			ask = now + ARP_INTERVAL_NS;
		}
		receive(g);
		ethport_sleep_ns(ETHPORT_IDLE_US * 1000);
	}
	atomic_store(&g->resolved, e == NULL);
	return 0;
}

static struct rte_mbuf *make_frame(struct generator *g, const struct store_slot *slot)
{
	const struct store_packet *sp = &g->store->packets[slot->packet];
	const struct fault_kind *fault = &fault_kinds[sp->fault];
	struct wire_end to = g->entries[sp->entry].end;
	size_t len = (size_t)((ptrdiff_t)g->store->size + fault->length_change);
	struct rte_mbuf *m;
	uint8_t *frame;

	m = ethport_mbuf(g->port, (uint16_t)(WIRE_HEADERS + len), &frame);
	if (!m)
		return NULL;
	memcpy(frame + WIRE_HEADERS, store_bytes(g->store, slot->packet), len);
	to.port = (uint16_t)(to.port + fault->port_change);
	wire_write_udp(frame, &g->self, &to, len);
	return m;
}

static void count(struct generator *g, const struct store_slot *slot)
{
	unsigned fault = slot->again ? FAULT_replay : g->store->packets[slot->packet].fault;

	if (fault)
		atomic_fetch_add_explicit(&g->sent_fault[fault], 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&g->sent_good, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&g->sent, 1, memory_order_relaxed);
}

/* Gives the whole burst to the port. What it does not take in time is freed: the slots counted as
 * sent are those that it took. */
static int transmit(struct generator *g, uint64_t slot, struct rte_mbuf **burst, uint16_t n)
{
	uint64_t give_up = ethport_now() + stuck_ns;
	uint16_t done = 0;

	while (done < n) {
		uint16_t taken = rte_eth_tx_burst(g->port->id, 0, burst + done, n - done);

		for (; taken > 0; taken--, done++)
			count(g, &g->store->slots[slot + done]);
		if (done == n)
			break;
		g->refused++;
		if (atomic_load(g->stop) || ethport_now() > give_up) {
			rte_pktmbuf_free_bulk(burst + done, n - done);
			if (atomic_load(g->stop))
				return 0;
			return error_set(&g->error, ETIMEDOUT,
				"port %s took no packet for 5 s: did the entry stop?",
				g->port->name);
		}
		ethport_sleep_ns(ETHPORT_IDLE_US * 1000);
	}
	return 0;
}

static double gap_ns(const struct generator *g)
{
	uint64_t r;

	if (!g->poisson)
		return 1e9 / g->rate;
	randombytes_buf(&r, sizeof(r));
	return -log(((double)(r >> 11) + 0.5) / (double)(UINT64_C(1) << 53)) * 1e9 / g->rate;
}

static void wait_until(struct generator *g, uint64_t due)
{
	uint64_t now = ethport_now(), rest;

	receive(g);
	if (due <= now)
		return;
	rest = due - now;
	if (g->spin || rest <= WAKE_EARLY_NS)
		rte_pause();
	else if (rest > MAX_SLEEP_NS)
		ethport_sleep_ns(MAX_SLEEP_NS);
	else
		ethport_sleep_ns(rest - WAKE_EARLY_NS);
}

static int send_all(struct generator *g)
{
	uint64_t slots = g->store->slot_count, at = 0, start = ethport_now();
	double due = 0; /* ns since the start */

	atomic_store(&g->start_ns, start);
	while (at < slots && !atomic_load(g->stop)) {
		struct rte_mbuf *burst[ETHPORT_BURST];
		uint64_t now = ethport_now(), first = at;
		uint16_t n = 0;
		int rc;

		while (n < ETHPORT_BURST && at < slots && (double)(now - start) >= due) {
			const struct store_slot *slot = &g->store->slots[at];

			burst[n] = make_frame(g, slot);
			if (!burst[n])
				break;
			if (slot->packet < g->store->params.good && !slot->again)
				atomic_store(&g->sent_ns[slot->packet], now);
			histogram_record(&g->lag, now - start - (uint64_t)due);
			due += gap_ns(g);
			at++, n++;
		}
		if (n == 0) {
			wait_until(g, start + (uint64_t)due);
			continue;
		}
		rc = transmit(g, first, burst, n);
		if (rc)
			return rc;
	}
	return 0;
}

int generator_run(void *arg)
{
	struct generator *g = arg;
	int rc;

	ethport_short_sleeps();
	rc = resolve(g);
	if (!rc && atomic_load(&g->resolved))
		rc = send_all(g);
	g->end_ns = ethport_now();
	return rc;
}
