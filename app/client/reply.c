/* SPDX-License-Identifier: BSD-3-Clause */
#include "blocks.h"
#include "client.h"
#include "cover.h"
#include "message.h"
#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct reply {
	struct client *client;
	const uint8_t *content;
	size_t len;
};

/* Only a relay of the directory is sent to: whoever made the block may have named anybody. */
static int check_first_hop(const struct client *c, const struct reply_block *b, struct error *err)
{
	char text[ENDPOINT_STRLEN];
	struct endpoint e;

	if (address_decode(b->data + SPHINX_HEADER_SIZE, &e) != SPHINX_ok)
		return error_set(err, EINVAL,
			"%s: a reply block leads to no address (it is damaged)",
			c->settings->block);
	if (!directory_find_address(c->directory, &e))
		return error_set(err, EACCES,
			"%s: a reply block leads to %s, which is no relay of the directory %s: the "
			"block is of another network or older than the directory",
			c->settings->block, endpoint_format(text, &e), c->settings->directory);
	return 0;
}

static int choose(void *context, const struct reply_block *blocks, size_t count, struct error *err)
{
	struct reply *reply = context;
	const struct settings *s = reply->client->settings;
	const size_t payload = blocks[0].payload_size, room = payload - SPHINX_PAYLOAD_OVERHEAD;
	const size_t piece = room - MESSAGE_HEADER_SIZE;
	size_t need = (reply->len + MESSAGE_STREAM_OVERHEAD + piece - 1) / piece;
	int r;

	if (s->payload_size != 0 && s->payload_size != payload)
		return error_set(err, EINVAL,
			"--payload-size %" PRIu64 ": the reply blocks of %s are for %zu",
			s->payload_size, s->block, payload);
	if (need > count)
		return error_set(err, EFBIG,
			"%zu bytes need %zu reply blocks; %s has %zu for this message, enough for "
			"%" PRIu64 " bytes",
			reply->len, need, s->block, count, message_capacity((uint32_t)count, room));
	for (size_t i = 0; i < need; i++) {
		r = check_first_hop(reply->client, &blocks[i], err);
		if (r < 0)
			return r;
	}
	reply->client->route.payload_size = payload;
	return (int)need;
}

/* A block may lead to an IPv4 or to an IPv6 relay; --bind decides where it is given. */
static int socket_for(struct client *c, const struct endpoint *to, struct error *err)
{
	if (c->udp.fd >= 0 && c->udp.bound.family == to->family)
		return 0;
	udp_close(&c->udp);
	return udp_open(
		&c->udp, c->settings->bind.family ? &c->settings->bind : NULL, to->family, err);
}

/* The datagram, of route_datagram_size bytes, and where it goes. */
static int use_block(struct client *c, const struct reply_block *b, const uint8_t *message,
	size_t len, uint8_t *datagram, struct endpoint *to, struct error *err)
{
	uint8_t first[SPHINX_ADDRESS_SIZE];
	enum sphinx_status s;

	frame_write(datagram, b->payload_size, 0);
	s = surb_use(c->crypto, b->version, b->data, b->len, message, len, b->payload_size,
		datagram + FRAME_SIZE, first);
	if (s != SPHINX_ok || address_decode(first, to) != SPHINX_ok)
		return error_set(err, EINVAL, "%s: a reply block cannot be used: %s",
			c->settings->block, sphinx_status_text(s));
	return 0;
}

static int send_one(struct client *c, const struct reply_block *b, const uint8_t *message,
	size_t len, struct error *err)
{
	static uint8_t datagram[FRAME_SIZE + SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX];
	struct endpoint to;
	int r = use_block(c, b, message, len, datagram, &to, err);

	if (r == 0)
		r = socket_for(c, &to, err);
	return r < 0 ? r : udp_send(&c->udp, &to, datagram, route_datagram_size(&c->route), err);
}

/* Under cover: all packets are made before the streams begin. The socket stays the same. */
static int make_all(struct client *c, const struct reply_block *blocks,
	const struct message_header *h, const uint8_t *stream, struct cover_made *made,
	struct error *err)
{
	const size_t size = route_datagram_size(&c->route);
	uint8_t *message = malloc(route_room(&c->route));
	int r = message ? 0 : error_set(err, ENOMEM, "not enough memory");

	for (uint32_t i = 0; r == 0 && i < h->count; i++) {
		const size_t len = message_fragment(h, stream, i, message);

		made[i].datagram = malloc(size);
		r = made[i].datagram ? use_block(c, &blocks[i], message, len, made[i].datagram,
					       &made[i].to, err)
				     : error_set(err, ENOMEM, "not enough memory");
		if (r == 0 && made[i].to.family != made[0].to.family)
			r = error_set(err, EAFNOSUPPORT,
				"%s: the reply blocks lead to IPv4 and to IPv6 relays; with "
				"--cover "
				"they must all be of one family",
				c->settings->block);
	}
	free(message);
	return r;
}

static int send_covered(struct client *c, const struct reply_block *blocks,
	const struct message_header *h, const uint8_t *stream, struct error *err)
{
	struct cover_made *made = calloc(h->count, sizeof(*made));
	const struct cover_source source = {.made = made, .count = h->count, .any_moment = true};
	uint32_t sent = 0;
	int r = made ? make_all(c, blocks, h, stream, made, err)
		     : error_set(err, ENOMEM, "not enough memory");

	if (r == 0)
		r = socket_for(c, &made[0].to, err);
	if (r == 0)
		r = cover_start(c, err);
	if (r == 0) {
		sent = cover_deliver(c, &source, err);
		if (sent < h->count)
			r = client_stop ? error_set(err, EINTR, "stopped after %u of %u packets",
						  sent, h->count)
					: -EIO;
	}
	r = cover_end(c, r, err);
	for (uint32_t i = 0; made && i < h->count; i++)
		free(made[i].datagram);
	free(made);
	return r;
}

static int send_all(struct client *c, const struct reply_block *blocks,
	const struct message_header *h, const uint8_t *stream, struct error *err)
{
	uint8_t *message = malloc(route_room(&c->route));
	struct progress bar;
	struct pacer pacer;
	uint32_t sent = 0;
	int r = message ? 0 : error_set(err, ENOMEM, "not enough memory");

	progress_start(&bar, "sent", c->settings->quiet);
	pacer_start(&pacer, c->settings->rate);
	while (r == 0 && sent < h->count) {
		size_t len = message_fragment(h, stream, sent, message);

		while (pacer_wait(&pacer) == -EINTR && !client_stop)
			;
		if (client_stop) {
			r = error_set(err, EINTR,
				"stopped after %u of %u packets; their reply blocks are used up",
				sent, h->count);
			break;
		}
		r = send_one(c, &blocks[sent], message, len, err);
		if (r == 0)
			progress_show(&bar, ++sent, h->count);
	}
	progress_end(&bar);
	free(message);
	return r;
}

static int send_reply(struct client *c, const struct reply_block *blocks, size_t count,
	const struct reply *reply, struct error *err)
{
	struct message_header h;
	uint8_t *stream;
	size_t stream_len;
	int r = message_compose(
		blocks[0].answers, reply->content, reply->len, NULL, 0, &stream, &stream_len);

	if (r < 0)
		return error_set(err, -r, "not enough memory");
	r = message_split(&h, MESSAGE_REPLY, stream_len, route_room(&c->route));
	if (r < 0 || h.count != count)
		r = error_set(err, EINVAL, "%zu reply blocks for %u packets", count, h.count);
	else
		r = (c->settings->cover > 0 ? send_covered : send_all)(c, blocks, &h, stream, err);
	free(stream);
	if (r == 0 && !c->settings->quiet)
		fprintf(stderr,
			"replied with %zu bytes in %u packets; %u reply blocks are used up. "
			"Whether all of it arrived, only the receiver knows.\n",
			reply->len, h.count, h.count);
	return r;
}

int command_reply(struct client *c, struct error *err)
{
	const struct settings *s = c->settings;
	struct reply reply = {.client = c};
	struct reply_block *blocks = NULL;
	uint8_t *content = NULL;
	size_t count = 0;
	int r = client_read_input(s->in, UINT32_MAX, &content, &reply.len, err);

	reply.content = content;
	if (r == 0)
		r = blocks_take(s->block, choose, &reply, &blocks, &count, err);
	if (r == 0)
		r = send_reply(c, blocks, count, &reply, err);
	blocks_free(blocks, count);
	free(content);
	if (client_report_refused(c) > 0)
		r = -1;
	return r < 0;
}
