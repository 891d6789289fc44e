/* SPDX-License-Identifier: BSD-3-Clause */
/* The immutable state that workers read: made by the control lcore, published with a release store,
 * freed after a grace period (rte_rcu_qsbr). */
#include "pipeline/pipeline.h"
#include "core/bytes.h"
#include "sphinx/frame.h"

#include <errno.h>
#include <rte_hash_crc.h>
#include <stdio.h>
#include <stdlib.h>

void address_key(uint8_t key[KEY_SIZE], const struct endpoint *e)
{
	memset(key, 0, KEY_SIZE);
	key[0] = e->family;
	store_be16(key + 2, e->port);
	memcpy(key + 4, e->ip, e->family == 4 ? 4 : 16);
}

/* Never written after publication, so that look-ups need no lock. */
static struct rte_hash *index_create(unsigned entries)
{
	static unsigned serial;
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters p = {
		.name = name,
		.entries = RTE_MAX(entries, 8u),
		.key_len = KEY_SIZE,
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
	};

	snprintf(name, sizeof(name), "mix_index_%u", serial++);
	return rte_hash_create(&p);
}

static void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	rte_hash_free(s->hop_index);
	rte_hash_free(s->neighbour_index);
	free(s->hops);
	free(s->link_ref);
	free(s->neighbour_mac);
	free(s);
}

/* The egress of one directory address: port, and the headers once the neighbour is known. */
static void fill_hop(struct betanet *b, struct hop *hop, const struct endpoint *to)
{
	struct endpoint via, from = {.port = b->cfg.udp_port, .family = to->family};
	const struct neighbour *n;
	uint8_t frame[FRAME_SIZE];
	struct link_template t;
	const struct port *p;
	int at = port_route(b, to, &via);

	if (at < 0)
		return;
	p = &b->ports[at];
	hop->port = (uint16_t)at;
	hop->reachable = true;
	n = neighbour_find(b, (uint16_t)at, &via);
	if (!n || !n->resolved)
		return;
	memcpy(from.ip, to->family == 4 ? p->host.ipv4 : p->host.ipv6, to->family == 4 ? 4 : 16);
	link_template_make(&t, p->host.mac, n->mac, &from, to);
	frame_write(frame, b->cfg.payload_size, 0);
	link_ready_make(&hop->header, &t, frame, b->packet_size, p->tx_offload);
	hop->resolved = true;
}

bool snapshot_allows(const struct betanet *b, unsigned node)
{
	if (!b->keep_to_neighbours)
		return true;
	return memcmp(b->neighbours_hash, b->directory->hash, 32) == 0 &&
	       (b->neighbour_bits[node / 64] >> node % 64 & 1);
}

static int fill_hops(struct betanet *b, struct snapshot *s)
{
	const struct directory *d = b->directory;
	unsigned total = 0;

	if (!d)
		return 0;
	for (unsigned i = 0; i < d->count; i++)
		total += d->nodes[i].addresses;
	s->has_directory = true;
	s->hop_index = index_create(total);
	s->hops = calloc(total + 1, sizeof(*s->hops));
	if (!s->hop_index || !s->hops)
		return -ENOMEM;
	for (unsigned i = 0; i < d->count; i++) {
		for (unsigned a = 0; a < d->nodes[i].addresses; a++) {
			uint8_t key[KEY_SIZE];
			int32_t at;

			address_key(key, &d->nodes[i].address[a]);
			at = rte_hash_add_key(s->hop_index, key);
			if (at < 0 || (unsigned)at > total)
				return -ENOMEM;
			fill_hop(b, &s->hops[at], &d->nodes[i].address[a]);
			s->hops[at].allowed = snapshot_allows(b, i);
			s->hops[at].own = (int)i == b->own_node;
			s->hop_count++;
		}
	}
	return 0;
}

static int fill_neighbours(struct betanet *b, struct snapshot *s)
{
	s->neighbour_index = index_create(b->neighbour_count);
	s->neighbour_mac = calloc(b->neighbour_count + 9, LINK_MAC_SIZE);
	if (!s->neighbour_index || !s->neighbour_mac)
		return -ENOMEM;
	for (unsigned i = 0; i < b->neighbour_count; i++) {
		uint8_t key[KEY_SIZE];
		int32_t at;

		if (!b->neighbours[i].resolved)
			continue;
		address_key(key, &b->neighbours[i].ip);
		at = rte_hash_add_key(s->neighbour_index, key);
		if (at < 0 || (unsigned)at >= b->neighbour_count + 9)
			return -ENOMEM;
		memcpy(s->neighbour_mac[at], b->neighbours[i].mac, LINK_MAC_SIZE);
		s->neighbour_count++;
	}
	return 0;
}

int snapshot_publish(struct betanet *b, struct error *err)
{
	struct snapshot *s = calloc(1, sizeof(*s)), *old;

	if (!s || fill_hops(b, s) < 0 || fill_neighbours(b, s) < 0 || links_plan(b, s) < 0) {
		links_abandon(b);
		snapshot_free(s);
		return error_set(err, ENOMEM,
			"not enough memory for %u neighbours and %u directory nodes",
			b->neighbour_count, b->directory ? b->directory->count : 0);
	}
	s->serial = ++b->snapshot_serial;
	s->hops_generation = b->hops_generation;
	s->expired = b->directory_expired;
	old = atomic_exchange_explicit(&b->snapshot, s, memory_order_acq_rel);
	if (old) {
		old->token = rte_rcu_qsbr_start(b->qsbr);
		old->next_retired = b->retired;
		b->retired = old;
	}
	links_commit(b);
	b->snapshot_dirty = false;
	return 0;
}

void snapshot_reclaim(struct betanet *b, bool all)
{
	struct snapshot **at = &b->retired;

	if (!all)
		links_reclaim(b);
	while (*at) {
		struct snapshot *s = *at;

		if (all || rte_rcu_qsbr_check(b->qsbr, s->token, false)) {
			*at = s->next_retired;
			snapshot_free(s);
		} else {
			at = &s->next_retired;
		}
	}
	if (all)
		snapshot_free(atomic_exchange(&b->snapshot, NULL));
}
