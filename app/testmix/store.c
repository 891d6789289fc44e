/* SPDX-License-Identifier: BSD-3-Clause */
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "sphinx/build_burst.h"
#include "sphinx/frame.h"

enum {
	BURST = 128,      /* packets that a builder takes at once */
	REPLAY_GAP = 200, /* slots between a packet and every second copy */
};

static const double max_delays = 20; /* means: as the relays cut their own draws */

static uint64_t packet_count(const struct store_params *p)
{
	uint64_t n = p->good;

	for (unsigned f = FAULT_NONE + 1; f < FAULT_COUNT; f++)
		if (f != FAULT_replay)
			n += p->faults[f];
	return n;
}

static size_t packet_size(const struct store_params *p)
{
	return FRAME_SIZE + SPHINX_HEADER_SIZE + p->payload_size;
}

uint64_t store_memory(const struct store_params *p)
{
	uint64_t n = packet_count(p);

	return n * (packet_size(p) + sizeof(struct store_packet)) +
	       (n + p->faults[FAULT_replay]) * sizeof(struct store_slot);
}

const struct endpoint *store_node_address(const struct directory_node *n)
{
	for (unsigned i = 0; i < n->addresses; i++)
		if (n->address[i].family == 4)
			return &n->address[i];
	return NULL;
}

static int by_position(const void *a, const void *b)
{
	const struct store_slot *x = a, *y = b;

	return (x->position > y->position) - (x->position < y->position);
}

/* Spreads the wrong packets and the second copies evenly among the good ones. A good packet i
 * stands at position i * 4; odd copies follow at once, so that both lie in one burst. */
static void lay_out(struct store *s)
{
	const uint64_t *faults = s->params.faults;
	uint64_t good = s->params.good, packet = good, n = 0;

	for (uint64_t i = 0; i < good; i++)
		s->slots[n++] = (struct store_slot){i * 4, (uint32_t)i, false};
	for (unsigned f = FAULT_NONE + 1; f < FAULT_COUNT; f++) {
		if (f == FAULT_replay)
			continue;
		for (uint64_t i = 0; i < faults[f]; i++, packet++) {
			s->packets[packet].fault = f;
			s->slots[n++] = (struct store_slot){
				good * 4 * i / faults[f] + 2, (uint32_t)packet, false};
		}
	}
	for (uint64_t i = 0; i < faults[FAULT_replay]; i++) {
		uint64_t of = good * i / faults[FAULT_replay];

		s->slots[n++] = (struct store_slot){
			of * 4 + 1 + (i % 2 ? 0 : 4 * REPLAY_GAP), (uint32_t)of, true};
	}
	qsort(s->slots, n, sizeof(s->slots[0]), by_position);
}

static int check_directory(const struct store_params *p, struct error *err)
{
	const struct directory *d = p->directory;

	if (p->hops > d->layers)
		return error_set(err, EINVAL,
			"routes of %u hops need as many layers; the directory has %u", p->hops,
			d->layers);
	for (unsigned i = 0; i < d->count; i++)
		if (!store_node_address(&d->nodes[i]))
			return error_set(err, EINVAL,
				"node %s has no IPv4 address; the load application sends IPv4 only",
				d->nodes[i].name);
	return 0;
}

int store_create(const struct store_params *p, struct store **out, struct error *err)
{
	int rc = check_directory(p, err);
	struct store *s;

	if (rc)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s) {
		s->params = *p;
		s->count = packet_count(p);
		s->size = packet_size(p);
		s->slot_count = s->count + p->faults[FAULT_replay];
		s->message_room = p->payload_size - SPHINX_PAYLOAD_OVERHEAD;
		s->bytes = calloc(s->count, s->size);
		s->packets = calloc(s->count, sizeof(*s->packets));
		s->slots = calloc(s->slot_count, sizeof(*s->slots));
	}
	if (!s || !s->bytes || !s->packets || !s->slots) {
		store_free(s);
		return error_set(err, ENOMEM,
			"no memory for %" PRIu64 " packets: %" PRIu64 " MB; send fewer",
			packet_count(p), store_memory(p) >> 20);
	}
	message_run_init(&s->run);
	lay_out(s);
	*out = s;
	return 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	free(s->bytes);
	free(s->packets);
	free(s->slots);
	free(s);
}

/* Exponential with the run's mean; a draw beyond the cut is drawn again. */
static uint64_t draw_delay(double mean_ms)
{
	double u, e;

	do {
		uint64_t r;

		randombytes_buf(&r, sizeof(r));
		u = ((double)(r >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
		e = -log(u);
	} while (e > max_delays);
	return (uint64_t)(e * mean_ms * 1e6);
}

static int draw_route(const struct store_params *p, uint64_t index, struct store_packet *sp,
	struct sphinx_route *route, struct error *err)
{
	const struct directory_node *nodes[SPHINX_MAX_HOPS];
	int rc = directory_draw_route(p->directory, p->hops, nodes, err);

	if (rc)
		return rc;
	memset(route, 0, sizeof(*route));
	route->hops = p->hops;
	for (unsigned i = 0; i < p->hops; i++) {
		struct sphinx_route_hop *hop = &route->hop[i];

		memcpy(hop->public_key, nodes[i]->sphinx_key, sizeof(hop->public_key));
		address_encode(hop->address, store_node_address(nodes[i]));
		if (i + 1 < p->hops)
			hop->delay_ns = draw_delay(p->mean_delay_ms);
		sp->delay_ns += hop->delay_ns;
	}
	sp->entry = (uint32_t)(nodes[0] - p->directory->nodes);
	address_encode(route->destination, &p->destination);
	randombytes_buf(route->identifier, sizeof(route->identifier));
	if (p->version)
		route->version = p->version;
	else
		route->version = index % 2 ? SPHINX_V259 : SPHINX_V258;
	return 0;
}

/* A builder's own: what it makes its present burst from. */
struct work {
	struct sphinx_builder *builder;
	struct sphinx_route route[BURST];
	struct sphinx_build_item item[BURST];
	enum sphinx_status status[BURST];
};

/* The message is written to where it will be encrypted. */
static int prepare(struct store *s, struct work *w, uint64_t index, unsigned k, struct error *err)
{
	const struct store_params *p = &s->params;
	struct store_packet *sp = &s->packets[index];
	uint8_t *framed = store_bytes(s, index), *packet = framed + FRAME_SIZE;
	uint8_t *message = packet + SPHINX_HEADER_SIZE;
	size_t len = message_length(&s->run, index, p->message_size, s->message_room);
	int rc = draw_route(p, index, sp, &w->route[k], err);

	if (rc)
		return rc;
	if (fault_kinds[sp->fault].route)
		fault_kinds[sp->fault].route(&w->route[k]);
	frame_write(framed, p->payload_size, 0);
	message_write(&s->run, index, message, len);
	w->item[k] = (struct sphinx_build_item){
		.route = &w->route[k], .message = message, .message_len = len, .out = packet};
	return 0;
}

static int build_burst(
	struct store *s, struct work *w, uint64_t first, unsigned n, struct error *err)
{
	int rc;

	for (unsigned k = 0; k < n; k++) {
		rc = prepare(s, w, first + k, k, err);
		if (rc)
			return rc;
	}
	sphinx_build_burst(w->builder, w->item, n, s->params.payload_size, w->status);
	for (unsigned k = 0; k < n; k++) {
		const struct fault_kind *fault = &fault_kinds[s->packets[first + k].fault];

		if (w->status[k] != SPHINX_ok)
			return error_set(err, EINVAL, "packet %" PRIu64 " cannot be built: %s",
				first + k, sphinx_status_text(w->status[k]));
		if (fault->packet)
			fault->packet(store_bytes(s, first + k), s->size);
	}
	return 0;
}

int store_build(struct store *s, struct error *err)
{
	struct work *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (w)
		w->builder = sphinx_builder_create();
	if (!w || !w->builder)
		rc = error_set(err, ENOMEM,
			"no memory to build packets with (locked memory: see `ulimit -l`)");
	while (!rc && !atomic_load(&s->stop)) {
		uint64_t first = atomic_fetch_add(&s->next, BURST), n;

		if (first >= s->count)
			break;
		n = s->count - first < BURST ? s->count - first : BURST;
		rc = build_burst(s, w, first, (unsigned)n, err);
		if (!rc)
			atomic_fetch_add(&s->done, n);
	}
	if (rc)
		atomic_store(&s->stop, true);
	if (w)
		sphinx_builder_free(w->builder);
	free(w);
	return rc;
}
