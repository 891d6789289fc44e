/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control lcore: answers ARP, ND and echo requests, keeps the MAC addresses of the relays'
 * neighbours fresh, watches the directory's validity, publishes snapshots. Workers never wait for
 * it.
 */
#include "pipeline/pipeline.h"

#include <errno.h>
#include <rte_cycles.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_NS 1000000000ULL
enum {
	STRANGERS_MAX = 4096, /* neighbours that exit destinations made us look for */
	FAST_TRIES = 5,       /* solicitations 200 ms apart, then one a second */
	REFRESH_S = 30,       /* a resolved neighbour is asked again */
	REFRESH_TRIES = 4,    /* unanswered: no longer resolved */
	FORGET_S = 300,       /* an exit destination's neighbour */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* ---- neighbours
 * ------------------------------------------------------------------------------------------ */

struct neighbour *neighbour_find(struct betanet *b, uint16_t port, const struct endpoint *ip)
{
	for (unsigned i = 0; i < b->neighbour_count; i++) {
		struct neighbour *n = &b->neighbours[i];

		if (n->port == port && n->ip.family == ip->family &&
			memcmp(n->ip.ip, ip->ip, ip->family == 4 ? 4 : 16) == 0)
			return n;
	}
	return NULL;
}

/* The directory names us, too, and a message may: nobody would answer for that address. */
static bool is_own(const struct link_host *h, const struct endpoint *ip)
{
	return ip->family == 4 ? h->has_ipv4 && memcmp(h->ipv4, ip->ip, 4) == 0
			       : h->has_ipv6 && memcmp(h->ipv6, ip->ip, 16) == 0;
}

/* NULL for an own address, or without memory. */
static struct neighbour *neighbour_add(struct betanet *b, uint16_t port, const struct endpoint *ip)
{
	struct neighbour *n = neighbour_find(b, port, ip);

	if (n || is_own(&b->ports[port].host, ip))
		return n;
	if (b->neighbour_count == b->neighbour_cap) {
		unsigned cap = b->neighbour_cap ? 2 * b->neighbour_cap : 64;
		struct neighbour *more = realloc(b->neighbours, cap * sizeof(*more));

		if (!more)
			return NULL;
		b->neighbours = more;
		b->neighbour_cap = cap;
	}
	n = &b->neighbours[b->neighbour_count++];
	memset(n, 0, sizeof(*n));
	n->ip.family = ip->family;
	memcpy(n->ip.ip, ip->ip, ip->family == 4 ? 4 : 16);
	n->port = port;
	n->next_ns = b->now_ns;
	return n;
}

static void neighbour_forget(struct betanet *b, struct neighbour *n)
{
	if (n->resolved)
		b->snapshot_dirty = true;
	*n = b->neighbours[--b->neighbour_count];
}

/* A frame made by control, to the worker that owns the port's first TX queue. */
static void transmit(struct betanet *b, const struct port *p, const void *frame, size_t len)
{
	struct rte_mbuf *m = pool_alloc(b);
	char *at = m ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	if (at) {
		memcpy(at, frame, len);
		memset(packet_meta(m), 0, sizeof(struct packet_meta));
	}
	if (!at || rte_ring_sp_enqueue(p->reply, m) != 0) {
		rte_pktmbuf_free(m);
		b->control_stats.drops[DROP_control_full]++;
	}
}

static void solicit(struct betanet *b, struct neighbour *n)
{
	const struct port *p = &b->ports[n->port];
	uint8_t frame[LINK_SOLICIT_MAX];
	size_t len = link_solicit(&p->host, &n->ip, frame);

	if (len)
		transmit(b, p, frame, len);
	n->tries++;
	if (n->resolved && n->tries > REFRESH_TRIES) {
		n->resolved = false;
		b->snapshot_dirty = true;
	}
	n->next_ns = b->now_ns + (n->tries < FAST_TRIES ? SECOND_NS / 5 : SECOND_NS);
}

static void neighbours_tick(struct betanet *b)
{
	for (unsigned i = 0; i < b->neighbour_count;) {
		struct neighbour *n = &b->neighbours[i];

		if (b->now_ns >= n->next_ns) {
			bool old = n->learned_ns + FORGET_S * SECOND_NS < b->now_ns;

			/* a stranger is forgotten when it went silent, or when it has not been
			 * asked for again */
			if (!n->from_directory && (n->resolved ? old : n->tries >= FAST_TRIES)) {
				neighbour_forget(b, n);
				continue;
			}
			solicit(b, n);
		}
		i++;
	}
}

static void learned(struct betanet *b, uint16_t port, const struct link_learned *l)
{
	struct endpoint ip = {.family = l->family};
	struct neighbour *n;

	memcpy(ip.ip, l->ip, sizeof(ip.ip));
	n = neighbour_find(b, port, &ip);
	if (!n) /* unasked: not believed */
		return;
	if (!n->resolved || memcmp(n->mac, l->mac, LINK_MAC_SIZE) != 0)
		b->snapshot_dirty = true;
	memcpy(n->mac, l->mac, LINK_MAC_SIZE);
	n->resolved = true;
	n->tries = 0;
	n->learned_ns = b->now_ns;
	n->next_ns = b->now_ns + REFRESH_S * SECOND_NS;
}

void control_directory_changed(struct betanet *b)
{
	const struct directory *d = b->directory;
	uint8_t own_key[32];

	b->own_node = -1;
	crypto_scalarmult_base(own_key, b->sphinx_secret);
	for (unsigned i = 0; i < b->neighbour_count; i++)
		b->neighbours[i].from_directory = false;
	for (unsigned i = 0; d && i < d->count; i++) {
		if (memcmp(d->nodes[i].sphinx_key, own_key, sizeof(own_key)) == 0)
			b->own_node = (int)i;
		for (unsigned a = 0; a < d->nodes[i].addresses; a++) {
			struct endpoint via;
			struct neighbour *n;
			int port = port_route(b, &d->nodes[i].address[a], &via);

			n = port < 0 ? NULL : neighbour_add(b, (uint16_t)port, &via);
			if (n)
				n->from_directory = true;
		}
	}
	cover_directory_changed(b);
	b->hops_generation++;
	b->snapshot_dirty = true;
	admission_directory_changed(b);
}

int betanet_neighbours_set(
	struct betanet *b, const uint8_t directory_hash[32], const uint64_t *bits, size_t words)
{
	if (!bits) {
		b->keep_to_neighbours = false;
	} else {
		if (!b->directory || memcmp(b->directory->hash, directory_hash, 32) != 0)
			return -ESTALE;
		memset(b->neighbour_bits, 0, sizeof(b->neighbour_bits));
		memcpy(b->neighbour_bits, bits,
			RTE_MIN(words, RTE_DIM(b->neighbour_bits)) * sizeof(bits[0]));
		memcpy(b->neighbours_hash, directory_hash, 32);
		b->keep_to_neighbours = true;
	}
	b->snapshot_dirty = true;
	return 0;
}

/* ---- frames and requests from workers
 * ------------------------------------------------------------------------- */

static unsigned answer_frames(struct betanet *b)
{
	struct rte_mbuf *m[32];
	unsigned n = rte_ring_sc_dequeue_burst(b->control_rx, (void **)m, RTE_DIM(m), NULL);

	for (unsigned i = 0; i < n; i++) {
		uint8_t reply[2048];
		struct link_learned l;
		struct port *p = &b->ports[m[i]->port]; /* an index: worker.c notes it */
		size_t len;

		len = link_respond(&p->host, rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len,
			reply, sizeof(reply), &l);
		if (len)
			transmit(b, p, reply, len);
		if (l.family)
			learned(b, m[i]->port, &l);
	}
	if (n)
		rte_pktmbuf_free_bulk(m, n);
	return n;
}

static unsigned answer_requests(struct betanet *b)
{
	struct resolve_request want;
	unsigned n = 0, strangers = 0;

	for (unsigned i = 0; i < b->neighbour_count; i++)
		strangers += !b->neighbours[i].from_directory;
	while (n < 64 && rte_ring_sc_dequeue_elem(b->resolve, &want, sizeof(want)) == 0) {
		struct endpoint ip = {.family = want.family};

		memcpy(ip.ip, want.ip, sizeof(ip.ip));
		n++;
		if (neighbour_find(b, want.port, &ip) || strangers >= STRANGERS_MAX)
			continue;
		if (neighbour_add(b, want.port, &ip))
			strangers++;
	}
	return n;
}

static void watch_directory(struct betanet *b)
{
	uint64_t now = clock_ns(CLOCK_REALTIME) / SECOND_NS;
	bool expired = b->directory && now >= b->directory->valid_until;

	if (expired != b->directory_expired) {
		b->directory_expired = expired;
		b->snapshot_dirty = true;
	}
}

unsigned betanet_poll(struct betanet *b)
{
	unsigned n = 0;

	b->now_ns = clock_ns(CLOCK_MONOTONIC);
	if (b->port_count) {
		n += answer_frames(b);
		n += answer_requests(b);
		neighbours_tick(b);
	}
	if (b->epochs)
		epochs_poll(b);
	if (b->now_ns >= b->next_second_ns) {
		b->next_second_ns = b->now_ns + SECOND_NS;
		watch_directory(b);
	}
	/* without memory for a new snapshot the old one stays, and the next poll tries again */
	if (b->snapshot_dirty && snapshot_publish(b, NULL) == 0)
		n++;
	snapshot_reclaim(b, false);
	n += cover_poll(b);
	return n;
}

int control_init(struct betanet *b, struct error *err)
{
	b->control_rx = rte_ring_create("mix_control", CONTROL_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	b->resolve = rte_ring_create_elem("mix_resolve", sizeof(struct resolve_request),
		CONTROL_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (!b->control_rx || !b->resolve)
		return error_set(err, rte_errno, "the control rings could not be made: %s",
			rte_strerror(rte_errno));
	b->now_ns = clock_ns(CLOCK_MONOTONIC);
	return 0;
}
