/* SPDX-License-Identifier: BSD-3-Clause */
#include "ahead.h"
#include "client.h"
#include "cover.h"
#include "message.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PING_PIECE = 32 };

struct ping_slot {
	uint64_t sent_ns, rtt_ns; /* rtt 0: not back */
	double delay_ms;          /* asked of the relays */
};

struct pinger {
	struct client *client;
	struct ahead *ahead;
	struct endpoint own;
	uint8_t id[MESSAGE_ID_SIZE], content[PING_PIECE];
	struct ping_slot *slot;
	uint32_t sent, back;
	uint64_t twice, strange;
};

static size_t write_ping(void *context, uint32_t index, uint8_t *out)
{
	const struct pinger *p = context;
	struct message_header h = {.type = MESSAGE_PING,
		.piece = PING_PIECE,
		.index = index,
		.count = index + 1,
		.total = ((uint64_t)index + 1) * PING_PIECE};

	memcpy(h.id, p->id, sizeof(h.id));
	return message_encode(out, &h, p->content);
}

/* In the cover's thread, its lock held. */
static void ping_leaves(void *context, uint32_t index, const struct route *route, uint64_t now)
{
	struct pinger *p = context;

	p->slot[index].delay_ms = route->delay_ms;
	p->slot[index].sent_ns = now;
}

static int send_ping(struct pinger *p, struct error *err)
{
	struct ping_slot *slot = &p->slot[p->sent];
	int r;

	if (p->client->cover) {
		cover_allow(p->client->cover, ++p->sent);
		return 0;
	}
	r = ahead_prepare(p->ahead, err);

	if (r < 0)
		return r;
	slot->delay_ms = ahead_route(p->ahead)->delay_ms;
	slot->sent_ns = clock_ns();
	r = ahead_send(p->ahead, err);
	if (r < 0)
		return r;
	p->sent++;
	return 0;
}

static void take_ping(
	struct pinger *p, const uint8_t *datagram, size_t len, const struct endpoint *from)
{
	const uint64_t now = clock_ns();
	char text[ENDPOINT_STRLEN];
	struct message_header h;
	struct ping_slot *slot;
	const uint8_t *piece;
	size_t n;

	if (message_decode(datagram, len, &h, &piece, &n) < 0 || h.type != MESSAGE_PING ||
		memcmp(h.id, p->id, sizeof(h.id)) != 0 || h.index >= p->sent || n != PING_PIECE ||
		memcmp(piece, p->content, PING_PIECE) != 0) {
		p->strange++;
		return;
	}
	slot = &p->slot[h.index];
	if (slot->rtt_ns != 0) {
		p->twice++;
		return;
	}
	slot->rtt_ns = now > slot->sent_ns ? now - slot->sent_ns : 1;
	p->back++;
	if (!p->client->settings->quiet) {
		printf("%zu bytes from %s: seq=%u time=%.1f ms (%.1f ms of it asked for)\n", len,
			endpoint_format(text, from), h.index, (double)slot->rtt_ns / 1e6,
			slot->delay_ms);
		fflush(stdout);
	}
}

static void take(struct pinger *p, const uint8_t *datagram, size_t len, const struct endpoint *from)
{
	cover_lock(p->client->cover);
	take_ping(p, datagram, len, from);
	cover_unlock(p->client->cover);
}

static int loop(struct pinger *p, struct error *err)
{
	static uint8_t datagram[UDP_MAX_DATAGRAM];
	const struct settings *s = p->client->settings;
	const uint64_t gap = (uint64_t)(s->interval * 1e9);
	const uint64_t patience = (uint64_t)(s->timeout * 1e9);
	uint64_t next = clock_ns(), end = UINT64_MAX;

	while (!client_stop && (p->sent < s->count || p->back < p->sent)) {
		uint64_t now = clock_ns(), until = now + CLIENT_SLICE_NS;
		struct endpoint from;
		ssize_t n;
		int r;

		if (now >= end)
			break;
		if (p->sent < s->count && now >= next) {
			r = send_ping(p, err);
			if (r < 0)
				return r;
			next += gap;
			if (p->sent == s->count)
				end = now + patience;
			continue;
		}
		if (p->sent < s->count && next < until)
			until = next;
		if (end < until)
			until = end;
		n = client_receive(p->client, datagram, sizeof(datagram), until, &from, err);
		if (n >= 0)
			take(p, datagram, (size_t)n, &from);
		else if (n != -EAGAIN && n != -EINTR)
			return (int)n;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void statistics(const struct pinger *p, uint64_t started)
{
	double *rtt = calloc(p->back + 1, sizeof(*rtt)), sum = 0;
	uint32_t n = 0, lost = p->sent - p->back;

	printf("--- mixnet ping statistics ---\n"
	       "%u packets sent, %u came back, %.1f%% lost, time %.0f ms\n",
		p->sent, p->back, p->sent ? 100.0 * lost / p->sent : 0,
		(double)(clock_ns() - started) / 1e6);
	if (p->twice > 0)
		printf("%" PRIu64 " came back twice\n", p->twice);
	if (p->strange > 0)
		printf("%" PRIu64 " datagrams of others were ignored\n", p->strange);
	for (uint32_t i = 0; rtt && i < p->sent; i++)
		if (p->slot[i].rtt_ns != 0) {
			rtt[n] = (double)p->slot[i].rtt_ns / 1e6;
			sum += rtt[n++];
		}
	if (n > 0) {
		double p50;

		qsort(rtt, n, sizeof(*rtt), by_value);
		p50 = n % 2 ? rtt[n / 2] : (rtt[n / 2 - 1] + rtt[n / 2]) / 2;
		printf("rtt min/avg/max/p50 = %.1f/%.1f/%.1f/%.1f ms\n", rtt[0], sum / n,
			rtt[n - 1], p50);
	}
	free(rtt);
	fflush(stdout);
}

int command_ping(struct client *c, struct error *err)
{
	const struct settings *s = c->settings;
	struct pinger p = {.client = c};
	struct ahead_source source = {
		.to = &p.own, .write = write_ping, .context = &p, .count = (uint32_t)s->count};
	const struct cover_source covered = {.to = &p.own,
		.write = write_ping,
		.leaves = ping_leaves,
		.context = &p,
		.count = source.count};
	char text[ENDPOINT_STRLEN];
	const uint64_t started = clock_ns();
	int r = client_open_socket(c, err);

	if (r == 0)
		r = client_own_address(c, &p.own, err);
	if (r < 0)
		return 1;
	p.slot = calloc(s->count, sizeof(*p.slot));
	if (!p.slot) {
		error_set(err, ENOMEM, "not enough memory for %" PRIu64 " pings", s->count);
		return 1;
	}
	randombytes_buf(p.id, sizeof(p.id));
	randombytes_buf(p.content, sizeof(p.content));
	if (!s->quiet)
		printf("PING %s through %u relays, mean delay %g ms at each but the last\n",
			endpoint_format(text, &p.own), c->route.hops, c->route.mean_delay_ms);
	r = cover_start(c, err);
	if (r == 0 && c->cover)
		cover_give(c->cover, &covered, 0);
	else if (r == 0)
		r = ahead_create(c, &source, 1 / s->interval, &p.ahead, err);
	if (r == 0)
		r = loop(&p, err);
	if (c->cover)
		p.sent = cover_left(c->cover);
	r = cover_end(c, r, err);
	ahead_free(p.ahead);
	if (p.sent > 0)
		statistics(&p, started);
	free(p.slot);
	client_report_refused(c);
	return r < 0 || p.back == 0;
}
