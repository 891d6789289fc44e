/* SPDX-License-Identifier: BSD-3-Clause */
#include "cover.h"
#include "ahead.h"
#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A thread that was held up for longer than this does not send what it missed: a burst would show.
 */
static const uint64_t STALL_NS = 100000000;

struct planned {
	uint64_t due;
	enum slot_kind kind;
	bool payload;
	uint64_t number; /* of the loop, or index of the payload */
	struct route_packet packet;
	struct endpoint to;
};

struct cover {
	struct client *client;
	struct route_params route;
	struct udp udp; /* the client's socket, with counters of its own */
	struct endpoint own;
	struct loops *loops;
	struct sphinx_builder *builder;
	uint8_t *datagrams;
	struct slots slots;
	unsigned depth, made, sent;
	struct planned planned[AHEAD_MAX];
	uint64_t started, period;
	pthread_t thread;
	pthread_cond_t changed;
	bool running;

	pthread_mutex_t lock; /* all below */
	bool stop;
	struct cover_source source; /* count 0: none */
	uint32_t taken, left, allowed;
	uint64_t source_from; /* clock_ns */
	uint64_t packets[SLOT_KINDS], payloads, skipped;
	int failed;
	struct error why;
};

void cover_lock(struct cover *v)
{
	if (v)
		pthread_mutex_lock(&v->lock);
}

void cover_unlock(struct cover *v)
{
	if (v)
		pthread_mutex_unlock(&v->lock);
}

/* ---- making packets ---- */

/* The next payload that may leave at `due`; false: none. */
static bool take_payload(struct cover *v, uint64_t due, uint64_t *index)
{
	bool any;

	cover_lock(v);
	any = v->taken < v->source.count && v->taken < v->allowed && due >= v->source_from;
	if (any)
		*index = v->taken++;
	cover_unlock(v);
	return any;
}

/* The last relay of the route is where it ends: there it is consumed. */
static void end_at_last_relay(struct route *r, uint8_t family)
{
	const struct directory_node *last = r->node[r->sphinx.hops - 1];

	address_encode(r->sphinx.destination, route_address_of(last, family));
}

/* The same calls for every kind, up to what is written into the message. */
static int plan_one(struct cover *v, struct planned *p, struct error *err)
{
	const struct cover_source *s = &v->source;
	uint8_t *message = route_message(p->packet.datagram);
	const struct endpoint *to = &v->own;
	int r;

	p->due = slots_draw(&v->slots, &p->kind);
	p->payload = p->kind == SLOT_PAYLOAD && take_payload(v, p->due, &p->number);
	if (p->payload && !s->made)
		to = s->to;
	r = client_draw_route(v->client, &v->route, to, v->udp.bound.family, &p->packet.route, err);
	if (r < 0)
		return r;
	loops_fill(v->loops, message);
	p->packet.message = message;
	p->packet.len = route_room(&v->route);
	p->to = p->packet.route.first;
	if (p->payload && !s->made)
		p->packet.len = s->write(s->context, (uint32_t)p->number, message);
	else if (p->kind == SLOT_LOOP &&
		 !loops_make(v->loops, &p->packet.route, message, &p->number))
		p->kind = SLOT_DROP;
	if (!p->payload && p->kind != SLOT_LOOP)
		end_at_last_relay(&p->packet.route, v->own.family);
	return 0;
}

static int plan_burst(struct cover *v, struct error *err)
{
	struct route_packet packet[AHEAD_MAX];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < v->depth; i++)
		r = plan_one(v, &v->planned[i], err);
	for (unsigned i = 0; r == 0 && i < v->depth; i++)
		packet[i] = v->planned[i].packet;
	if (r == 0)
		r = route_datagrams(v->builder, &v->route, packet, v->depth, err);
	for (unsigned i = 0; r == 0 && i < v->depth; i++) {
		struct planned *p = &v->planned[i];

		if (!p->payload || !v->source.made)
			continue;
		memcpy(p->packet.datagram, v->source.made[p->number].datagram,
			route_datagram_size(&v->route));
		p->to = v->source.made[p->number].to;
	}
	v->sent = 0;
	v->made = r == 0 ? v->depth : 0;
	return r;
}

/* ---- sending them ---- */

static bool wait_until(struct cover *v, uint64_t due)
{
	const struct timespec at = {
		.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
	bool stop;

	cover_lock(v);
	while (!v->stop && clock_ns() < due)
		pthread_cond_timedwait(&v->changed, &v->lock, &at);
	stop = v->stop;
	cover_unlock(v);
	return !stop;
}

static void count_packet(struct cover *v, const struct planned *p, uint64_t now)
{
	const struct cover_source *s = &v->source;

	cover_lock(v);
	v->packets[p->kind]++;
	v->payloads += p->payload;
	if (p->payload && s->leaves)
		s->leaves(s->context, (uint32_t)p->number, s->made ? NULL : &p->packet.route, now);
	cover_unlock(v);
}

static int send_one(struct cover *v, const struct planned *p, struct error *err)
{
	const uint64_t now = clock_ns();
	int r;

	count_packet(v, p, now);
	if (p->kind == SLOT_LOOP)
		loops_leave(v->loops, p->number, now);
	r = udp_send(&v->udp, &p->to, p->packet.datagram, route_datagram_size(&v->route), err);
	if (r < 0)
		return r;
	cover_lock(v);
	v->left += p->payload;
	cover_unlock(v);
	return 0;
}

/* What is late after a stall leaves in slots of a schedule that begins now. */
static void forgive_stall(struct cover *v)
{
	const uint64_t now = clock_ns(), due = v->planned[v->sent].due;

	if (now < due + STALL_NS)
		return;
	for (unsigned i = v->sent; i < v->made; i++)
		v->planned[i].due += now - due;
	v->slots.next_ns += now - due;
	cover_lock(v);
	v->skipped++;
	cover_unlock(v);
}

static void *run(void *arg)
{
	struct cover *v = arg;
	struct error why = {0};
	int r = 0;

	while (r == 0) {
		if (v->sent == v->made)
			r = plan_burst(v, &why);
		if (r < 0 || !wait_until(v, v->planned[v->sent].due))
			break;
		forgive_stall(v);
		r = send_one(v, &v->planned[v->sent++], &why);
	}
	cover_lock(v);
	v->failed = r;
	v->why = why;
	cover_unlock(v);
	return NULL;
}

/* ---- life ---- */

static int open_parts(struct cover *v, struct error *err)
{
	const struct settings *s = v->client->settings;
	const struct loops_params loops = {.directory = v->client->directory,
		.hops = v->route.hops,
		.delays = s->relay_delays,
		.mean_delay_ms = s->mean_delay_ms,
		.loops_per_second = s->cover_loops,
		.room = route_room(&v->route)};
	const size_t size = route_datagram_size(&v->route);
	struct route route;
	int r = client_own_address(v->client, &v->own, err);

	/* what cannot be sent is said before anything is */
	if (r == 0)
		r = client_draw_route(
			v->client, &v->route, &v->own, v->udp.bound.family, &route, err);
	if (r == 0)
		r = loops_create(&loops, &v->loops, err);
	if (r < 0)
		return r;
	v->depth = ahead_depth(slots_rate(&v->slots), UINT32_MAX);
	v->datagrams = calloc(v->depth, size);
	v->builder = sphinx_builder_create();
	if (!v->datagrams || !v->builder)
		return error_set(err, ENOMEM,
			"not enough memory to make packets, or too little of it may be locked: "
			"raise the limit (ulimit -l 8192)");
	for (unsigned i = 0; i < v->depth; i++)
		v->planned[i].packet.datagram = v->datagrams + i * size;
	return 0;
}

/* Signals are for the thread that waits for the command. */
static int start_thread(struct cover *v, struct error *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&v->thread, NULL, run, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return error_set(err, r, "no thread for cover traffic: %s", strerror(r));
	v->running = true;
	return 0;
}

int cover_start(struct client *c, struct error *err)
{
	const struct settings *s = c->settings;
	pthread_condattr_t monotonic;
	struct cover *v;
	int r;

	if (s->cover <= 0)
		return 0;
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_set(err, ENOMEM, "not enough memory");
	c->cover = v;
	v->client = c;
	v->route = c->route;
	v->udp = c->udp;
	v->udp.refused = 0;
	v->slots = (struct slots){.rate = {s->cover, s->cover_loops, s->cover_drops}};
	v->period = (uint64_t)(s->cover_time * 1e9);
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&v->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r = open_parts(v, err);
	v->started = v->slots.next_ns = clock_ns();
	if (r == 0)
		r = start_thread(v, err);
	if (r < 0)
		cover_free(c);
	return r;
}

void cover_free(struct client *c)
{
	struct cover *v = c->cover;

	if (!v)
		return;
	cover_lock(v);
	v->stop = true;
	pthread_cond_signal(&v->changed);
	cover_unlock(v);
	if (v->running)
		pthread_join(v->thread, NULL);
	if (v->udp.refused > 0) {
		c->udp.refused += v->udp.refused;
		c->udp.refused_by = v->udp.refused_by;
		c->udp.refused_errno = v->udp.refused_errno;
	}
	loops_free(v->loops);
	sphinx_builder_free(v->builder);
	if (v->datagrams)
		sodium_memzero(v->datagrams, v->depth * route_datagram_size(&v->route));
	free(v->datagrams);
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->lock);
	sodium_memzero(v, sizeof(*v));
	free(v);
	c->cover = NULL;
}

/* ---- for the commands ---- */

/* So late that what is left of the first period is expected to be enough, with three sigma. */
static uint64_t random_moment(const struct cover *v, const struct cover_source *s)
{
	const double need = (s->count + 3 * sqrt(s->count)) / v->slots.rate[SLOT_PAYLOAD] * 1e9;
	const double spare = (double)v->period - need;

	if (!s->any_moment || spare <= 0)
		return 0;
	return v->started + (uint64_t)((double)randombytes_random() * 0x1p-32 * spare);
}

void cover_give(struct cover *v, const struct cover_source *source, uint32_t allowed)
{
	cover_lock(v);
	v->source = *source;
	v->source_from = random_moment(v, source);
	v->taken = v->left = 0;
	v->allowed = allowed;
	cover_unlock(v);
}

void cover_allow(struct cover *v, uint32_t allowed)
{
	cover_lock(v);
	v->allowed = allowed;
	cover_unlock(v);
}

uint32_t cover_left(struct cover *v)
{
	uint32_t left;

	cover_lock(v);
	left = v->left;
	cover_unlock(v);
	return left;
}

bool cover_take(struct cover *v, const uint8_t *datagram, size_t len)
{
	return v && loops_take(v->loops, datagram, len, clock_ns());
}

int cover_look(struct cover *v, struct error *err)
{
	int r;

	if (!v)
		return 0;
	loops_expire(v->loops, clock_ns());
	cover_lock(v);
	r = v->failed;
	if (r < 0)
		*err = v->why;
	cover_unlock(v);
	return r;
}

/* Takes what comes until `end`, or for a slice. Nobody but loops is expected. */
static int receive_loops(struct client *c, uint64_t end, struct error *err)
{
	static uint8_t datagram[UDP_MAX_DATAGRAM];
	const uint64_t slice = clock_ns() + CLIENT_SLICE_NS;
	struct endpoint from;
	ssize_t n = client_receive(
		c, datagram, sizeof(datagram), slice < end ? slice : end, &from, err);

	return n >= 0 || n == -EAGAIN || n == -EINTR ? 0 : (int)n;
}

uint32_t cover_deliver(struct client *c, const struct cover_source *source, struct error *err)
{
	struct progress bar;
	uint32_t left = 0;

	progress_start(&bar, "sent", c->settings->quiet);
	cover_give(c->cover, source, source->count);
	while (left < source->count && !client_stop && receive_loops(c, UINT64_MAX, err) == 0) {
		left = cover_left(c->cover);
		progress_show(&bar, left, source->count);
	}
	progress_end(&bar);
	return left;
}

static int linger(struct client *c, struct error *err)
{
	const struct cover *v = c->cover;
	const uint64_t periods = (clock_ns() - v->started) / v->period + 1;
	const uint64_t end = v->started + periods * v->period;
	int r = 0;

	while (r == 0 && !client_stop && clock_ns() < end)
		r = receive_loops(c, end, err);
	return r;
}

static void report_totals(struct cover *v, const struct loops_count *n)
{
	const uint64_t sum =
		v->packets[SLOT_PAYLOAD] + v->packets[SLOT_LOOP] + v->packets[SLOT_DROP];

	fprintf(stderr,
		"cover: %" PRIu64 " packets in %.1f s: %" PRIu64 " of the command, %" PRIu64
		" dropped by their last relay, %" PRIu64 " loops\n",
		sum, (double)(clock_ns() - v->started) / 1e9, v->payloads,
		sum - v->payloads - v->packets[SLOT_LOOP], v->packets[SLOT_LOOP]);
	fprintf(stderr,
		"loops: %" PRIu64 " sent, %" PRIu64 " returned, %" PRIu64 " lost, %" PRIu64
		" still under way; %s\n",
		n->sent, n->returned, n->lost, n->under_way,
		n->alarms == 0 && n->state == LOOP_HEALTH_RELAY_OK ? "no relay stands out"
								   : "see below");
	if (n->strays > 0)
		fprintf(stderr, "loops: %" PRIu64 " came back too late, or twice\n", n->strays);
	if (v->skipped > 0)
		fprintf(stderr,
			"cover: this host was held up %" PRIu64
			" times for more than 0.1 s: the gaps are visible\n",
			v->skipped);
}

static void report(struct client *c)
{
	struct cover *v = c->cover;
	char text[ENDPOINT_STRLEN];
	struct loops_count n;

	loops_expire(v->loops, clock_ns());
	loops_count(v->loops, &n);
	cover_lock(v);
	if (!c->settings->quiet)
		report_totals(v, &n);
	cover_unlock(v);
	if (n.state != LOOP_HEALTH_RELAY_OK)
		fprintf(stderr,
			"betanet-client: loops: the latest were all lost. Can the last relays "
			"reach %s (--bind, NAT, node.exit_allow)? If they could before, packets "
			"to or from this host are being dropped.\n",
			endpoint_format(text, &v->own));
	loops_report(v->loops, stderr);
}

int cover_end(struct client *c, int result, struct error *err)
{
	struct error later = {0};
	int r;

	if (!c->cover)
		return result;
	r = linger(c, &later);
	if (result == 0 && r < 0) {
		result = r;
		*err = later;
	}
	report(c);
	cover_free(c);
	return result;
}
