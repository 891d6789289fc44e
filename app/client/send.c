/* SPDX-License-Identifier: BSD-3-Clause */
#include "ahead.h"
#include "blocks.h"
#include "client.h"
#include "core/secmem.h"
#include "cover.h"
#include "message.h"
#include "progress.h"
#include "reassembly.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What opens the reply that comes through one block of version 260. Lives in locked memory. */
struct recovery {
	size_t len; /* 0: none, or used */
	uint8_t secret[SURB_RECOVERY_MAX_SIZE];
};

struct reply_wait {
	struct message_block *block; /* what is sent along */
	uint8_t (*surb)[SURB_MAX_SIZE];
	struct recovery *recovery;
	size_t count;
	uint64_t strange; /* datagrams that belong to no reply */
};

/* The relays drop a reply whose block leads outside the sets of the epoch in which it is used. */
static void note_end_of_blocks(const struct client *c, uint64_t now)
{
	char text[32];
	struct tm tm;
	time_t end;

	if (!c->neighbours || c->settings->quiet ||
		(double)neighbours_hold_until(c->neighbours) >= (double)now + c->settings->wait)
		return;
	end = (time_t)neighbours_hold_until(c->neighbours);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &tm));
	fprintf(stderr,
		"the reply blocks lead back until %s, when the neighbour sets change; --wait %g is "
		"longer\n",
		text, c->settings->wait);
}

/* Blocks first..first+n-1, n <= ROUTE_BURST. */
static int make_burst(struct client *c, struct reply_wait *w, struct route_params *params,
	struct sphinx_builder *builder, size_t first, unsigned n, struct error *err)
{
	struct surb_item item[ROUTE_BURST] = {0};
	struct route route[ROUTE_BURST];
	struct endpoint own;
	int r = client_own_address(c, &own, err);

	for (unsigned i = 0; r == 0 && i < n; i++) {
		item[i].surb = w->surb[first + i];
		item[i].recovery = w->recovery[first + i].secret;
		r = client_draw_route(c, params, &own, own.family, &route[i], err);
	}
	if (r == 0)
		r = route_reply_blocks(builder, route, item, n, err);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		w->recovery[first + i].len = item[i].recovery_len;
		w->block[first + i] = (struct message_block){.version = params->version,
			.len = (uint16_t)item[i].surb_len,
			.data = item[i].surb};
	}
	return r;
}

static int make_blocks(struct client *c, struct reply_wait *w, struct error *err)
{
	const struct settings *s = c->settings;
	struct route_params params = c->route;
	struct sphinx_builder *builder;
	int r = 0;

	params.version = (uint16_t)s->reply_version;
	w->count = s->reply_blocks;
	w->block = calloc(w->count, sizeof(*w->block));
	w->surb = calloc(w->count, sizeof(*w->surb));
	w->recovery = secmem_alloc(w->count * sizeof(*w->recovery));
	builder = sphinx_builder_create();
	if (!w->block || !w->surb || !w->recovery || !builder)
		r = error_set(err, ENOMEM,
			"no locked memory for the secrets of %zu reply blocks; raise the limit "
			"(ulimit -l 8192) or ask for fewer",
			w->count);
	for (size_t i = 0; r == 0 && i < w->count; i += ROUTE_BURST) {
		const size_t left = w->count - i;

		r = make_burst(c, w, &params, builder, i,
			left < ROUTE_BURST ? (unsigned)left : ROUTE_BURST, err);
	}
	sphinx_builder_free(builder);
	if (r == 0)
		note_end_of_blocks(c, params.now);
	return r;
}

static void free_blocks(struct reply_wait *w)
{
	if (w->surb)
		sodium_memzero(w->surb, w->count * sizeof(*w->surb));
	free(w->surb);
	free(w->block);
	secmem_free(w->recovery);
}

struct fragments {
	const struct message_header *header;
	const uint8_t *stream;
};

static size_t write_fragment(void *context, uint32_t index, uint8_t *out)
{
	const struct fragments *f = context;

	return message_fragment(f->header, f->stream, index, out);
}

/* Returns how many packets left; fewer than all with a reason in `err` or client_stop set. */
static uint32_t send_stream(
	struct client *c, const struct message_header *h, const uint8_t *stream, struct error *err)
{
	struct fragments f = {h, stream};
	const struct ahead_source source = {
		.to = &c->settings->to, .write = write_fragment, .context = &f, .count = h->count};
	const struct cover_source covered = {.to = source.to,
		.write = write_fragment,
		.context = &f,
		.count = h->count,
		.any_moment = true};
	struct progress bar;
	struct pacer pacer;
	struct ahead *ahead;
	uint32_t sent = 0;

	if (c->cover)
		return cover_deliver(c, &covered, err);

	if (ahead_create(c, &source, c->settings->rate, &ahead, err) < 0)
		return 0;
	progress_start(&bar, "sent", c->settings->quiet);
	pacer_start(&pacer, c->settings->rate);
	while (sent < h->count) {
		while (pacer_wait(&pacer) == -EINTR && !client_stop)
			;
		if (client_stop || ahead_prepare(ahead, err) < 0 || ahead_send(ahead, err) < 0)
			break;
		progress_show(&bar, ++sent, h->count);
	}
	progress_end(&bar);
	ahead_free(ahead);
	return sent;
}

/* Of version 260 the relay hands over `identifier ‖ payload`: the identifier names the secrets. */
static bool open_reply(struct client *c, struct reply_wait *w, uint8_t *datagram, size_t len,
	const uint8_t **message, size_t *message_len)
{
	if (c->settings->reply_version != SPHINX_V260) {
		*message = datagram;
		*message_len = len;
		return len <= route_room(&c->route);
	}
	if (len != SPHINX_IDENTIFIER_SIZE + c->route.payload_size)
		return false;
	for (size_t i = 0; i < w->count; i++) {
		struct recovery *r = &w->recovery[i];
		enum sphinx_status status;

		if (r->len == 0 || sodium_memcmp(r->secret, datagram, SPHINX_IDENTIFIER_SIZE) != 0)
			continue;
		status = surb_recover(c->crypto, r->secret, r->len,
			datagram + SPHINX_IDENTIFIER_SIZE, c->route.payload_size, message,
			message_len);
		/* a forged payload must not use the block up: the right one may still come */
		if (status == SPHINX_ok)
			sodium_memzero(r, sizeof(*r));
		return status == SPHINX_ok;
	}
	return false;
}

static int take_reply(const struct client *c, const struct reassembly_whole *whole,
	const uint8_t id[MESSAGE_ID_SIZE], struct error *err)
{
	const struct message_view *v = &whole->view;

	if (whole->info.type != MESSAGE_REPLY || memcmp(v->answers, id, MESSAGE_ID_SIZE) != 0)
		return 0;
	if (client_write_output(
		    c->settings->out, v->content, v->content_len, c->settings->force, err) < 0)
		return -1;
	return 1;
}

/* 1: a reply came whole; 0: none; negative: `err` says why not. */
static int wait_for_reply(struct client *c, struct reply_wait *w, const uint8_t id[MESSAGE_ID_SIZE],
	struct reassembly *parts, struct error *err)
{
	static uint8_t datagram[UDP_MAX_DATAGRAM];
	const uint64_t end = clock_ns() + (uint64_t)(c->settings->wait * 1e9);
	struct progress bar;
	int r = 0;

	progress_start(&bar, "of the reply", c->settings->quiet);
	while (r == 0 && !client_stop) {
		uint64_t now = clock_ns(), slice = now + CLIENT_SLICE_NS;
		struct reassembly_whole whole;
		const uint8_t *message;
		size_t len;
		struct endpoint from;
		ssize_t n;

		if (now >= end)
			break;
		n = client_receive(
			c, datagram, sizeof(datagram), slice < end ? slice : end, &from, err);
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n < 0) {
			r = (int)n;
			break;
		}
		if (!open_reply(c, w, datagram, (size_t)n, &message, &len)) {
			w->strange++;
			continue;
		}
		switch (reassembly_feed(parts, message, len, clock_ns(), &whole)) {
		case REASSEMBLY_ADDED:
			progress_show(&bar, whole.info.have, whole.info.count);
			break;
		case REASSEMBLY_COMPLETE:
			r = take_reply(c, &whole, id, err);
			w->strange += r == 0;
			free(whole.stream);
			break;
		default:
			w->strange++;
		}
	}
	progress_end(&bar);
	return r;
}

static void report_no_reply(
	const struct client *c, const struct reply_wait *w, struct reassembly *parts)
{
	fprintf(stderr, "betanet-client: no whole reply %s\n",
		client_stop ? "until it was stopped" : "in time (--wait)");
	for (unsigned i = 0; i < reassembly_pending(parts); i++) {
		struct reassembly_info info;
		char missing[256];

		reassembly_at(parts, i, &info);
		reassembly_missing(parts, i, missing, sizeof(missing));
		fprintf(stderr, "betanet-client: %u of %u packets of a reply came; missing: %s\n",
			info.have, info.count, missing);
	}
	if (w->strange > 0)
		fprintf(stderr,
			"betanet-client: %" PRIu64 " datagrams were no part of it (ignored)\n",
			w->strange);
	if (c->udp.overflowed > 0)
		fprintf(stderr, "betanet-client: the kernel dropped %u datagrams\n",
			c->udp.overflowed);
}

static int await(struct client *c, struct reply_wait *w, const uint8_t id[MESSAGE_ID_SIZE],
	struct error *err)
{
	const uint64_t most = c->settings->max_size + MESSAGE_STREAM_OVERHEAD;
	const struct reassembly_limits limits = {.max_total = most,
		.max_memory = 2 * most,
		.max_transfers = 64,
		.idle_ns = 10000000000u};
	struct reassembly *parts = reassembly_create(&limits);
	int r;

	if (!parts)
		return error_set(err, ENOMEM, "not enough memory");
	r = wait_for_reply(c, w, id, parts, err);
	if (r == 0)
		report_no_reply(c, w, parts);
	reassembly_free(parts);
	return r == 1 ? 0 : -1;
}

static void summary(
	const struct client *c, const struct message_header *h, size_t len, uint64_t started)
{
	char size[PROGRESS_SIZE_TEXT], to[ENDPOINT_STRLEN];
	double seconds = (double)(clock_ns() - started) / 1e9;

	fprintf(stderr,
		"sent %s (%zu bytes) in %u packets to %s in %.2f s. "
		"Whether all of it arrived, only the receiver knows.\n",
		progress_size(size, len), len, h->count, endpoint_format(to, &c->settings->to),
		seconds);
}

static int send_content(struct client *c, struct reply_wait *w, const uint8_t *content, size_t len,
	struct error *err)
{
	const uint64_t started = clock_ns();
	struct message_header h;
	uint8_t *stream;
	size_t stream_len;
	uint32_t sent;

	if (message_compose(NULL, content, len, w->block, w->count, &stream, &stream_len) < 0)
		return error_set(err, ENOMEM, "not enough memory");
	if (message_split(&h, MESSAGE_DATA, stream_len, route_room(&c->route)) < 0) {
		free(stream);
		return error_set(err, EFBIG,
			"%zu bytes are too much for packets of %zu bytes of payload", len,
			c->route.payload_size);
	}
	sent = send_stream(c, &h, stream, err);
	sodium_memzero(stream, stream_len); /* the reply blocks are in it */
	free(stream);
	if (sent < h.count) {
		fprintf(stderr, "betanet-client: %s after %u of %u packets\n",
			client_stop ? "stopped" : "gave up", sent, h.count);
		return -1;
	}
	if (!c->settings->quiet)
		summary(c, &h, len, started);
	if (w->count > 0)
		return await(c, w, h.id, err);
	return 0;
}

/* An ICMP error comes a moment after the packet that caused it. */
static uint64_t late_refusals(struct client *c)
{
	uint8_t none[1];
	struct endpoint from;

	if (c->udp.fd >= 0)
		(void)udp_receive(&c->udp, none, sizeof(none), clock_ns() + 20000000u, &from, NULL);
	return client_report_refused(c);
}

int command_send(struct client *c, struct error *err)
{
	const struct settings *s = c->settings;
	struct reply_wait w = {0};
	uint8_t *content = NULL;
	size_t len = 0;
	int r = s->wait > 0 ? client_check_output(s->out, s->force, err) : 0;

	if (r == 0)
		r = client_read_input(s->in, s->max_size, &content, &len, err);
	if (r == 0)
		r = client_open_socket(c, err);
	if (r == 0 && s->reply_blocks > 0)
		r = make_blocks(c, &w, err);
	if (r == 0)
		r = cover_start(c, err);
	if (r == 0)
		r = send_content(c, &w, content, len, err);
	r = cover_end(c, r, err);
	free_blocks(&w);
	free(content);
	if (late_refusals(c) > 0)
		r = -1;
	return r < 0;
}
