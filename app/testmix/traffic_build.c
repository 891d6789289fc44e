/* SPDX-License-Identifier: BSD-3-Clause */
/* The lab's packets, made ahead with what has to come back for each. */
#include "traffic.h"
#include "traffic_store.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "sphinx/build_burst.h"
#include "sphinx/burst.h"
#include "sphinx/frame.h"
#include "vrf/delay.h"
#include "wire.h"

enum { BURST = SPHINX_BURST_MAX, REPLAY_GAP = 200, MESSAGE_MAX = 200, LINE_NS = 1000000000 };

uint64_t traffic_digest(const struct traffic *t, const uint8_t *bytes, size_t len)
{
	uint64_t d;

	crypto_shorthash((uint8_t *)&d, bytes, len, t->digest_key);
	return d;
}

static void mark(const struct traffic *t, struct traffic_mark *m, const uint8_t *bytes, size_t len)
{
	memcpy(&m->key, bytes, sizeof(m->key));
	m->digest = traffic_digest(t, bytes, len);
}

static uint8_t *packet_bytes(const struct traffic *t, uint64_t i)
{
	return t->frames + i * t->frame_size + WIRE_HEADERS + FRAME_SIZE;
}

/* ---- layout ---- */

static int by_position(const void *a, const void *b)
{
	const struct traffic_slot *x = a, *y = b;

	return (x->position > y->position) - (x->position < y->position);
}

/* Good, bad and cover packets in a random order; a second copy at once or REPLAY_GAP later. */
static void lay_out(struct traffic *t)
{
	const uint64_t n = t->packet_count, replays = t->counts[TRAFFIC_REPLAYED];

	for (uint64_t i = 0; i < n; i++) {
		t->packets[i].kind = i < t->good                            ? TRAFFIC_GOOD
				     : i < t->good + t->counts[TRAFFIC_BAD] ? TRAFFIC_BAD
									    : TRAFFIC_COVER;
		t->slots[i] = (struct traffic_slot){.packet = (uint32_t)i};
	}
	for (uint64_t i = n; i > 1; i--) {
		uint64_t k = randombytes_uniform((uint32_t)i);
		struct traffic_slot s = t->slots[i - 1];

		t->slots[i - 1] = t->slots[k];
		t->slots[k] = s;
	}
	for (uint64_t i = 0, r = n; i < n; i++) {
		const uint64_t of = t->slots[i].packet;

		t->slots[i].position = i * 4;
		/* evenly among the good ones */
		if (of >= t->good || of * replays / t->good == (of + 1) * replays / t->good)
			continue;
		t->slots[r] =
			(struct traffic_slot){.position = i * 4 + 1 + (r % 2 ? 0 : 4 * REPLAY_GAP),
				.packet = (uint32_t)of,
				.again = true};
		r++;
	}
	qsort(t->slots, t->slot_count, sizeof(t->slots[0]), by_position);
}

void traffic_discard(struct traffic *t)
{
	free(t->frames);
	free(t->packets);
	free(t->slots);
	free(t->seen);
	free((void *)t->sent_ns);
	t->frames = t->seen = NULL;
	t->packets = NULL;
	t->slots = NULL;
	t->sent_ns = NULL;
	t->packet_count = 0;
}

int traffic_allocate(struct traffic *t, const struct cli_options *o, struct error *err)
{
	const double rest = 1 - (o->bad + o->replayed + o->cover) / 100,
		     all = (double)o->packets / rest;

	traffic_discard(t);
	t->good = t->counts[TRAFFIC_GOOD] = o->packets;
	t->counts[TRAFFIC_BAD] = (uint64_t)(all * o->bad / 100 + 0.5);
	t->counts[TRAFFIC_COVER] = (uint64_t)(all * o->cover / 100 + 0.5);
	t->counts[TRAFFIC_REPLAYED] = (uint64_t)(all * o->replayed / 100 + 0.5);
	if (t->counts[TRAFFIC_REPLAYED] > t->good)
		t->counts[TRAFFIC_REPLAYED] = t->good;
	t->packet_count = t->good + t->counts[TRAFFIC_BAD] + t->counts[TRAFFIC_COVER];
	t->slot_count = t->packet_count + t->counts[TRAFFIC_REPLAYED];
	t->bad = o->bad;
	t->replayed = o->replayed;
	t->cover = o->cover;
	t->mean_delay_ms = o->mean_delay_ms;
	t->made_hops = t->network->keys.hops;
	t->frames = calloc(t->packet_count, t->frame_size);
	t->packets = calloc(t->packet_count, sizeof(*t->packets));
	t->slots = calloc(t->slot_count, sizeof(*t->slots));
	t->seen = calloc(t->packet_count, 1);
	t->sent_ns = calloc(t->packet_count, sizeof(*t->sent_ns));
	if (t->frames && t->packets && t->slots && t->seen && t->sent_ns)
		return 0;
	traffic_discard(t);
	return error_set(err, ENOMEM,
		"no memory for %" PRIu64 " packets of %zu bytes; lower --packets", o->packets,
		t->frame_size);
}

/* ---- building ---- */

struct builder {
	struct traffic *t;
	struct sphinx_builder *builder;
	struct sphinx_burst *unwrap;
	uint8_t *copy; /* of a burst: unwrapping changes it */
	struct sphinx_route route[BURST];
	struct sphinx_build_item item[BURST];
	enum sphinx_status status[BURST];
	uint8_t message[BURST][MESSAGE_MAX];
	struct error error;
};

static uint64_t draw_delay(double mean_ms)
{
	double e;

	do {
		uint64_t draw;

		randombytes_buf(&draw, sizeof(draw));
		e = schedule_exponential(draw);
	} while (e > DELAY_CAP_MEANS);
	return (uint64_t)(e * mean_ms * 1e6);
}

static void draw_route(struct traffic *t, struct traffic_packet *p, struct sphinx_route *route)
{
	const struct mixnet *net = t->network;

	memset(route, 0, sizeof(*route));
	route->version = SPHINX_V259;
	route->hops = p->kind == TRAFFIC_COVER ? 1 : net->keys.hops;
	for (unsigned i = 0; i < route->hops; i++) {
		memcpy(route->hop[i].public_key, net->keys.public_key[i], 32);
		address_encode(route->hop[i].address, &net->address[i]);
		if (i + 1 < route->hops)
			route->hop[i].delay_ns = draw_delay(t->mean_delay_ms);
	}
	/* the relay's bounds: 1 ms to 10 s; a final packet has no delay */
	if (route->hops > 1)
		p->delay_ns = delay_total(DELAY_SENDER, 0, route->hop[0].delay_ns);
	address_encode(
		route->destination, p->kind == TRAFFIC_COVER ? &net->address[0] : &net->sink);
	randombytes_buf(route->identifier, sizeof(route->identifier));
}

/* What a hop makes of the burst's good packets. */
static int mark_mixed(struct builder *b, uint64_t first, unsigned n)
{
	struct traffic *t = b->t;
	const size_t size = SPHINX_HEADER_SIZE + t->payload_size;
	enum sphinx_status status[BURST];
	struct sphinx_hop hop[BURST];
	uint8_t *packet[BURST];

	for (unsigned k = 0; k < n; k++) {
		packet[k] = b->copy + k * size;
		memcpy(packet[k], packet_bytes(t, first + k), size);
	}
	sphinx_open_burst(b->unwrap, t->network->keys.secret, packet, size, n, status);
	sphinx_finish_burst(b->unwrap, status, hop);
	for (unsigned k = 0; k < n; k++) {
		struct traffic_packet *p = &t->packets[first + k];

		if (p->kind != TRAFFIC_GOOD)
			continue;
		if (status[k] != SPHINX_ok)
			return error_set(&b->error, EIO,
				"a packet that was built cannot be unwrapped: %s",
				sphinx_status_text(status[k]));
		if (t->network->keys.hops > 1)
			mark(t, &p->mark[TRAFFIC_MIXED], packet[k], size);
		else
			mark(t, &p->mark[TRAFFIC_MIXED], b->message[k], b->item[k].message_len);
	}
	return 0;
}

static void flip_header_bit(uint8_t *packet)
{
	uint32_t bit = randombytes_uniform((SPHINX_GAMMA_SIZE + SPHINX_BETA_SIZE) * 8);

	packet[SPHINX_ALPHA_SIZE + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void wrap(struct traffic *t, uint64_t i)
{
	const struct mixnet *net = t->network;
	struct wire_end from = {.port = MIXNET_SINK_PORT}, to = {.port = net->address[0].port};
	struct endpoint self = mixnet_peer_address(0);
	uint8_t *frame = t->frames + i * t->frame_size;

	memcpy(from.mac, t->gen.mac, 6);
	memcpy(from.ip, self.ip, 4);
	memcpy(to.mac, t->mix_mac, 6);
	memcpy(to.ip, net->address[0].ip, 4);
	frame_write(frame + WIRE_HEADERS, t->payload_size, 0);
	wire_write_udp(frame, &from, &to, t->frame_size - WIRE_HEADERS);
}

static int build_burst(struct builder *b, uint64_t first, unsigned n)
{
	struct traffic *t = b->t;
	const size_t room = t->payload_size - SPHINX_PAYLOAD_OVERHEAD,
		     most = room < MESSAGE_MAX ? room : MESSAGE_MAX,
		     size = SPHINX_HEADER_SIZE + t->payload_size;
	int rc;

	for (unsigned k = 0; k < n; k++) {
		draw_route(t, &t->packets[first + k], &b->route[k]);
		randombytes_buf(b->message[k], most);
		b->item[k] = (struct sphinx_build_item){.route = &b->route[k],
			.message = b->message[k],
			.message_len = most,
			.out = packet_bytes(t, first + k)};
	}
	sphinx_build_burst(b->builder, b->item, n, t->payload_size, b->status);
	for (unsigned k = 0; k < n; k++)
		if (b->status[k] != SPHINX_ok)
			return error_set(&b->error, EINVAL, "a packet cannot be built: %s",
				sphinx_status_text(b->status[k]));
	rc = mark_mixed(b, first, n);
	for (unsigned k = 0; k < n && !rc; k++) {
		struct traffic_packet *p = &t->packets[first + k];

		if (p->kind == TRAFFIC_BAD)
			flip_header_bit(packet_bytes(t, first + k));
		mark(t, &p->mark[TRAFFIC_SAME], packet_bytes(t, first + k), size);
		wrap(t, first + k);
	}
	return rc;
}

static int builder_main(void *arg)
{
	struct builder *b = arg;
	struct traffic *t = b->t;
	int rc = 0;

	b->builder = sphinx_builder_create();
	b->unwrap = sphinx_burst_create(SPHINX_CURVE_LADDER);
	b->copy = malloc(BURST * (SPHINX_HEADER_SIZE + t->payload_size));
	if (!b->builder || !b->unwrap || !b->copy)
		rc = error_set(&b->error, ENOMEM,
			"no memory to build packets with (locked memory: see `ulimit -l`)");
	while (!rc && !atomic_load(&t->stop)) {
		uint64_t first = atomic_fetch_add(&t->next, BURST), n;

		if (first >= t->packet_count)
			break;
		n = t->packet_count - first < BURST ? t->packet_count - first : BURST;
		rc = build_burst(b, first, (unsigned)n);
		if (!rc)
			atomic_fetch_add(&t->built, n);
	}
	if (rc)
		atomic_store(&t->stop, true);
	sphinx_builder_free(b->builder);
	sphinx_burst_free(b->unwrap);
	free(b->copy);
	return rc;
}

static int wait_builders(struct traffic *t, struct builder b[2], FILE *log, struct error *err)
{
	uint64_t line = ethport_now() + LINE_NS;
	int rc = 0;

	while (rte_eal_get_lcore_state(t->lcore[0]) == RUNNING ||
		rte_eal_get_lcore_state(t->lcore[1]) == RUNNING) {
		ethport_sleep_ns(5000000);
		if (!log || ethport_now() < line)
			continue;
		fprintf(log, "  built %" PRIu64 " of %" PRIu64 "\n", atomic_load(&t->built),
			t->packet_count);
		fflush(log);
		line += LINE_NS;
	}
	for (unsigned i = 0; i < 2; i++) {
		int failed = rte_eal_wait_lcore(t->lcore[i]);

		if (failed && !rc) {
			rc = failed;
			*err = b[i].error;
		}
	}
	return rc;
}

void traffic_interrupt(struct traffic *t)
{
	if (t && atomic_load(&t->building))
		atomic_store(&t->stop, true);
}

static int build(struct traffic *t, const struct cli_options *o, FILE *log, struct error *err)
{
	struct builder *b;
	int rc = traffic_allocate(t, o, err);

	if (rc)
		return rc;
	lay_out(t);
	b = calloc(2, sizeof(*b));
	if (!b)
		return error_set(err, ENOMEM, "no memory to build packets with");
	if (log)
		fprintf(log, "building %" PRIu64 " packets of %zu bytes\n", t->packet_count,
			t->frame_size - WIRE_HEADERS);
	atomic_store(&t->next, 0);
	atomic_store(&t->built, 0);
	atomic_store(&t->stop, false);
	for (unsigned i = 0; i < 2; i++) {
		b[i].t = t;
		rte_eal_remote_launch(builder_main, &b[i], t->lcore[i]);
	}
	atomic_store(&t->building, true);
	rc = wait_builders(t, b, log, err);
	atomic_store(&t->building, false);
	free(b);
	if (!rc && atomic_load(&t->built) < t->packet_count)
		rc = error_set(err, EINTR, "interrupted while packets were built");
	t->longest_ns = 0;
	for (uint64_t i = 0; i < t->packet_count; i++)
		if (t->packets[i].delay_ns > t->longest_ns)
			t->longest_ns = t->packets[i].delay_ns;
	if (rc)
		traffic_discard(t);
	return rc;
}

int traffic_build(struct traffic *t, const struct cli_options *o, FILE *log, struct error *err)
{
	bool loaded = false;
	int rc = 0;

	if (t->packet_count && t->good == o->packets && t->bad == o->bad &&
		t->replayed == o->replayed && t->cover == o->cover &&
		t->mean_delay_ms == o->mean_delay_ms && t->made_hops == t->network->keys.hops)
		return 0;
	if (o->store)
		rc = traffic_store_load(t, o, o->store, &loaded, err);
	if (loaded && log)
		fprintf(log, "%" PRIu64 " packets are in %s\n", t->packet_count, o->store);
	if (rc || loaded)
		return rc;
	rc = build(t, o, log, err);
	if (!rc && o->store) {
		rc = traffic_store_save(t, o->store, err);
		if (!rc && log)
			fprintf(log, "written to %s\n", o->store);
	}
	return rc;
}
