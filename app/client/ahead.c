/* SPDX-License-Identifier: BSD-3-Clause */
#include "ahead.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct ahead {
	struct client *client;
	const struct ahead_source *source;
	struct sphinx_builder *builder;
	uint8_t *datagrams;
	uint32_t asked; /* messages that the source has written */
	unsigned depth, made, sent;
	struct route_packet packet[AHEAD_MAX];
};

unsigned ahead_depth(double per_second, uint32_t count)
{
	const double most = count < AHEAD_MAX ? count : AHEAD_MAX;
	const double due = per_second * AHEAD_MS / 1000;

	if (!(due > 1))
		return 1;
	return (unsigned)(due < most ? due : most);
}

int ahead_create(struct client *c, const struct ahead_source *source, double per_second,
	struct ahead **out, struct error *err)
{
	const size_t size = route_datagram_size(&c->route);
	struct ahead *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (!a)
		return error_set(err, ENOMEM, "not enough memory");
	a->client = c;
	a->source = source;
	a->depth = ahead_depth(per_second, source->count);
	a->datagrams = calloc(a->depth, size);
	a->builder = sphinx_builder_create();
	if (!a->datagrams || !a->builder) {
		ahead_free(a);
		return error_set(err, ENOMEM,
			"not enough memory to make packets, or too little of it may be locked: "
			"raise the limit (ulimit -l 8192)");
	}
	for (unsigned i = 0; i < a->depth; i++)
		a->packet[i].datagram = a->datagrams + i * size;
	*out = a;
	return 0;
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	sphinx_builder_free(a->builder);
	if (a->datagrams)
		sodium_memzero(a->datagrams, a->depth * route_datagram_size(&a->client->route));
	free(a->datagrams);
	sodium_memzero(a, sizeof(*a));
	free(a);
}

/* Routes for the next burst. When one cannot be drawn, those before it are still sent; the next
 * call meets the reason again, if it lasts. Returns how many were drawn, or an error at the first.
 */
static int draw_routes(struct ahead *a, struct error *err)
{
	struct client *c = a->client;
	const uint32_t left = a->source->count - a->asked;
	const unsigned n = left < a->depth ? (unsigned)left : a->depth;
	struct error why = {0};

	for (unsigned i = 0; i < n; i++) {
		int r = client_draw_route(c, &c->route, a->source->to, c->udp.bound.family,
			&a->packet[i].route, &why);

		if (r < 0 && i == 0)
			*err = why;
		if (r < 0)
			return i == 0 ? r : (int)i;
	}
	return (int)n;
}

int ahead_prepare(struct ahead *a, struct error *err)
{
	int n, r;

	if (a->sent < a->made)
		return 0;
	n = draw_routes(a, err);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		struct route_packet *p = &a->packet[i];
		uint8_t *message = route_message(p->datagram);

		p->len = a->source->write(a->source->context, a->asked++, message);
		p->message = message;
	}
	r = route_datagrams(a->builder, &a->client->route, a->packet, (unsigned)n, err);
	a->sent = 0;
	a->made = r < 0 ? 0 : (unsigned)n;
	return r;
}

const struct route *ahead_route(const struct ahead *a)
{
	return &a->packet[a->sent].route;
}

int ahead_send(struct ahead *a, struct error *err)
{
	const struct route_packet *p = &a->packet[a->sent++];

	return udp_send(&a->client->udp, &p->route.first, p->datagram,
		route_datagram_size(&a->client->route), err);
}
