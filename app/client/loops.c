/* SPDX-License-Identifier: BSD-3-Clause */
#include "loops.h"
#include "core/bytes.h"
#include "message.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ID_AT = 24, MASK_SIZE = 8 }; /* of the id in a fragment; of its random half */

enum loop_state { LOOP_FREE, LOOP_MADE, LOOP_SENT };

struct loop {
	enum loop_state state;
	struct loop_health_loop way;
	uint64_t deadline;
};

struct loops {
	struct loops_params p;
	pthread_mutex_t lock;
	struct loop_health *health;
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint64_t first, next; /* numbers of the oldest that may be under way and of the next one */
	uint64_t strays;
	size_t mask;
	struct loop *loop;
};

/* Loops under way at once: those of the longest deadline, six sigma more, and what is made ahead.
 */
static size_t table_size(const struct loops_params *p, const struct loop_health_plan *plan)
{
	/* header delays are exponential: their sum is above 20 means a relay once in 10^7 loops */
	const double seconds =
		(double)plan->patience_ns / 1e9 + 20 * p->hops * p->mean_delay_ms / 1e3;
	const double mean = p->loops_per_second * seconds;
	size_t size = 256;

	while ((double)size < mean * 1.5 + 128)
		size *= 2;
	return size;
}

int loops_create(const struct loops_params *p, struct loops **out, struct error *err)
{
	const bool known = p->delays == LOOP_HEALTH_KNOWN;
	const struct loop_health_config cfg = {.nodes = p->directory->count,
		.delays = p->delays,
		.hops = p->hops,
		.delaying = known ? p->hops - 1 : p->hops,
		.mean_ns = (uint64_t)(p->mean_delay_ms * 1e6),
		.loops_per_second = p->loops_per_second};
	struct loops *l = calloc(1, sizeof(*l));
	int r;

	*out = NULL;
	if (!l)
		return error_set(err, ENOMEM, "not enough memory");
	l->p = *p;
	pthread_mutex_init(&l->lock, NULL);
	randombytes_buf(l->key, sizeof(l->key));
	r = loop_health_create(&cfg, &l->health);
	if (r < 0) {
		loops_free(l);
		return error_set(err, -r, "loops cannot be judged: %s", strerror(-r));
	}
	l->mask = table_size(p, loop_health_plan_of(l->health)) - 1;
	l->loop = calloc(l->mask + 1, sizeof(*l->loop));
	if (!l->loop) {
		loops_free(l);
		return error_set(err, ENOMEM, "not enough memory");
	}
	*out = l;
	return 0;
}

void loops_free(struct loops *l)
{
	if (!l)
		return;
	loop_health_free(l->health);
	if (l->loop)
		sodium_memzero(l->loop, (l->mask + 1) * sizeof(*l->loop));
	free(l->loop);
	pthread_mutex_destroy(&l->lock);
	sodium_memzero(l, sizeof(*l));
	free(l);
}

/* ---- the message ---- */

static uint64_t mask_of(const struct loops *l, const uint8_t random[MASK_SIZE])
{
	uint8_t out[crypto_shorthash_BYTES];

	crypto_shorthash(out, random, MASK_SIZE, l->key);
	return load_be64(out);
}

void loops_fill(const struct loops *l, uint8_t *message)
{
	const size_t piece = l->p.room - MESSAGE_HEADER_SIZE;
	struct message_header h = {.type = MESSAGE_DATA,
		.piece = (uint16_t)piece,
		.index = 0,
		.count = 1,
		.total = piece};
	uint8_t random[MESSAGE_MAX_ROOM];

	randombytes_buf(random, piece);
	randombytes_buf(h.id, sizeof(h.id));
	message_encode(message, &h, random);
}

bool loops_make(struct loops *l, const struct route *route, uint8_t *message, uint64_t *number)
{
	struct loop *loop;
	bool room;

	loops_fill(l, message);
	pthread_mutex_lock(&l->lock);
	loop = &l->loop[l->next & l->mask];
	room = l->next - l->first <= l->mask && loop->state == LOOP_FREE;
	if (room) {
		*number = l->next++;
		loop->state = LOOP_MADE;
		loop->way.hops = route->sphinx.hops;
		for (unsigned i = 0; i < route->sphinx.hops; i++) {
			loop->way.node[i] = (uint32_t)(route->node[i] - l->p.directory->nodes);
			loop->way.delay_ns[i] = route->sphinx.hop[i].delay_ns;
		}
		store_be64(message + ID_AT + MASK_SIZE, *number ^ mask_of(l, message + ID_AT));
	}
	pthread_mutex_unlock(&l->lock);
	return room;
}

void loops_leave(struct loops *l, uint64_t number, uint64_t now)
{
	struct loop *loop = &l->loop[number & l->mask];

	pthread_mutex_lock(&l->lock);
	loop->state = LOOP_SENT;
	loop->way.sent_ns = now;
	loop->deadline = loop_health_deadline(l->health, &loop->way);
	loop_health_sent(l->health, &loop->way);
	pthread_mutex_unlock(&l->lock);
}

/* ---- ends ---- */

static void end(struct loops *l, struct loop *loop)
{
	loop->state = LOOP_FREE;
	while (l->first < l->next && l->loop[l->first & l->mask].state == LOOP_FREE)
		l->first++;
}

bool loops_take(struct loops *l, const uint8_t *datagram, size_t len, uint64_t now)
{
	struct loop *loop;
	uint64_t number;

	if (len != l->p.room)
		return false;
	number = load_be64(datagram + ID_AT + MASK_SIZE) ^ mask_of(l, datagram + ID_AT);
	pthread_mutex_lock(&l->lock);
	if (number >= l->next) {
		pthread_mutex_unlock(&l->lock);
		return false;
	}
	loop = &l->loop[number & l->mask];
	if (number >= l->first && loop->state == LOOP_SENT && now <= loop->deadline) {
		loop_health_returned(l->health, &loop->way, now);
		end(l, loop);
	} else {
		l->strays++;
	}
	pthread_mutex_unlock(&l->lock);
	return true;
}

void loops_expire(struct loops *l, uint64_t now)
{
	pthread_mutex_lock(&l->lock);
	for (uint64_t n = l->first; n < l->next; n++) {
		struct loop *loop = &l->loop[n & l->mask];

		if (loop->state != LOOP_SENT || now <= loop->deadline)
			continue;
		loop_health_lost(l->health, &loop->way);
		end(l, loop);
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- what they say ---- */

void loops_count(struct loops *l, struct loops_count *out)
{
	struct loop_health_totals t;
	struct loop_health_node n;

	pthread_mutex_lock(&l->lock);
	loop_health_totals(l->health, &t);
	*out = (struct loops_count){.sent = t.sent,
		.returned = t.returned,
		.lost = t.lost,
		.under_way = t.sent - t.returned - t.lost,
		.strays = l->strays,
		.state = t.state};
	for (uint32_t i = 0; i < l->p.directory->count; i++) {
		loop_health_node(l->health, i, &n);
		out->alarms += n.states != 0;
	}
	pthread_mutex_unlock(&l->lock);
}

void loops_report(struct loops *l, FILE *out)
{
	char text[LOOP_HEALTH_TEXT];
	struct loop_health_node n;

	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->p.directory->count; i++) {
		loop_health_node(l->health, i, &n);
		if (n.states != 0)
			fprintf(out,
				"betanet-client: loops: relay %s: %s (%" PRIu64
				" loops through it, %" PRIu64 " lost)\n",
				l->p.directory->nodes[i].name,
				loop_health_states_text(n.states, text), n.loops, n.lost);
	}
	pthread_mutex_unlock(&l->lock);
}
