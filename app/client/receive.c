/* SPDX-License-Identifier: BSD-3-Clause */
#include "blocks.h"
#include "client.h"
#include "core/file.h"
#include "cover.h"
#include "message.h"
#include "progress.h"
#include "reassembly.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct receiver {
	struct client *client;
	struct reassembly *parts;
	struct progress bar;
	uint64_t taken;   /* whole messages written */
	uint64_t damaged; /* messages whose hash was wrong */
	uint64_t outside; /* datagrams from no relay of the directory */
	uint64_t foreign; /* whole transfers that are no message: replies to somebody */
	struct reply_block *saved;
	size_t saved_count;
};

/* Room for the reply blocks that come along, beside a message of --max-size. */
enum { BLOCKS_ROOM = 4 << 20 };

/* With a directory, only its relays are listened to. By address alone: between a
 * relay and this host the port may be translated. */
static bool from_relay(const struct directory *d, const struct endpoint *from)
{
	if (!d)
		return true;
	for (unsigned i = 0; i < d->count; i++)
		for (unsigned j = 0; j < d->nodes[i].addresses; j++) {
			const struct endpoint *e = &d->nodes[i].address[j];

			if (e->family == from->family &&
				memcmp(e->ip, from->ip, sizeof(e->ip)) == 0)
				return true;
		}
	return false;
}

/* Several messages into one name: FILE.1, FILE.2, ... */
static const char *output_name(const struct settings *s, uint64_t number, char *out, size_t size)
{
	if (s->count == 1 || strcmp(s->out, "-") == 0)
		return s->out;
	snprintf(out, size, "%s.%" PRIu64, s->out, number);
	return out;
}

/* The next block that can be one: whoever writes to us may have put anything there. */
static bool next_block(const struct reassembly_whole *w, size_t *offset, struct reply_block *b)
{
	const size_t payload = message_room(w->info.piece) + SPHINX_PAYLOAD_OVERHEAD;
	struct message_block in;

	while (message_next_block(&w->view, offset, &in)) {
		if (blocks_check(in.version, in.len, (uint32_t)payload) < 0)
			continue;
		b->version = in.version;
		b->payload_size = (uint32_t)payload;
		b->len = in.len;
		memcpy(b->data, in.data, in.len);
		memcpy(b->answers, w->info.id, MESSAGE_ID_SIZE);
		return true;
	}
	return false;
}

static int keep_blocks(struct receiver *r, const struct reassembly_whole *whole, struct error *err)
{
	const struct settings *s = r->client->settings;
	struct reply_block one, *more;
	size_t offset = 0, fit = 0;

	while (fit < BLOCKS_MAX_PER_MESSAGE && next_block(whole, &offset, &one))
		fit++;
	more = calloc(r->saved_count + fit + 1, sizeof(*more));
	if (!more)
		return error_set(err, ENOMEM, "not enough memory for %zu reply blocks", fit);
	if (r->saved_count > 0)
		memcpy(more, r->saved, r->saved_count * sizeof(*more));
	blocks_free(r->saved, r->saved_count);
	r->saved = more;
	offset = 0;
	for (size_t i = 0; i < fit && next_block(whole, &offset, &one); i++)
		r->saved[r->saved_count++] = one;
	sodium_memzero(&one, sizeof(one));
	return blocks_save(s->save_reply_blocks, r->saved, r->saved_count,
		s->force || r->taken > 0 ? FILE_FORCE : 0, err);
}

static void report_message(
	const struct receiver *r, const struct reassembly_whole *w, const char *name)
{
	const struct reassembly_info *i = &w->info;
	char size[PROGRESS_SIZE_TEXT];

	fprintf(stderr,
		"received %s (%zu bytes) in %u packets within %.2f s%s%s; %u came out of order, "
		"%u twice; hash right\n",
		progress_size(size, w->view.content_len), w->view.content_len, i->count,
		(double)(i->last_ns - i->started_ns) / 1e9, strcmp(name, "-") ? " into " : "",
		strcmp(name, "-") ? name : "", i->reordered, i->duplicates);
	if (i->conflicts > 0)
		fprintf(stderr, "%u packets contradicted earlier ones (the first were kept)\n",
			i->conflicts);
	if (w->view.block_count > 0 && !r->client->settings->save_reply_blocks)
		fprintf(stderr,
			"%u reply blocks came with it; with --save-reply-blocks FILE it could be "
			"answered\n",
			w->view.block_count);
}

static int take(struct receiver *r, struct reassembly_whole *whole, struct error *err)
{
	const struct settings *s = r->client->settings;
	char buffer[4096];
	const char *name = output_name(s, r->taken + 1, buffer, sizeof(buffer));
	int rc;

	progress_end(&r->bar);
	if (whole->info.type != MESSAGE_DATA) {
		r->foreign++;
		return 0;
	}
	rc = client_write_output(name, whole->view.content, whole->view.content_len, s->force, err);
	if (rc == 0 && s->save_reply_blocks && whole->view.block_count > 0)
		rc = keep_blocks(r, whole, err);
	if (rc < 0)
		return rc;
	r->taken++;
	if (!s->quiet)
		report_message(r, whole, name);
	progress_start(&r->bar, "received", s->quiet);
	return 0;
}

static int feed(
	struct receiver *r, const uint8_t *datagram, size_t len, uint64_t *heard, struct error *err)
{
	struct reassembly_whole whole;
	uint64_t now = clock_ns();
	int rc = 0;

	switch (reassembly_feed(r->parts, datagram, len, now, &whole)) {
	case REASSEMBLY_ADDED:
		*heard = now;
		progress_show(&r->bar, whole.info.have, whole.info.count);
		break;
	case REASSEMBLY_COMPLETE:
		*heard = now;
		rc = take(r, &whole, err);
		free(whole.stream);
		break;
	case REASSEMBLY_DAMAGED:
		progress_end(&r->bar);
		fprintf(stderr,
			"betanet-client: a message of %" PRIu64
			" bytes came whole, but its hash is wrong: damaged or forged, not "
			"written\n",
			whole.info.total);
		r->damaged++;
		break;
	default:
		break; /* counted in reassembly_counters */
	}
	return rc;
}

/* 0: as many as asked for came, or silence, or stopped; negative: `err` says what broke. */
static int listen_until(struct receiver *r, struct error *err)
{
	static uint8_t datagram[UDP_MAX_DATAGRAM];
	const struct settings *s = r->client->settings;
	const uint64_t silence = (uint64_t)(s->timeout * 1e9);
	uint64_t heard = clock_ns();

	while (r->taken < s->count && !client_stop) {
		uint64_t slice = clock_ns() + CLIENT_SLICE_NS;
		struct endpoint from;
		ssize_t n;
		int rc;

		if (silence > 0 && heard + silence < slice)
			slice = heard + silence;
		n = client_receive(r->client, datagram, sizeof(datagram), slice, &from, err);
		if (n == -EAGAIN || n == -EINTR) {
			if (silence > 0 && clock_ns() >= heard + silence)
				break;
			continue;
		}
		if (n < 0)
			return (int)n;
		if (!from_relay(r->client->directory, &from)) {
			r->outside++;
			continue;
		}
		rc = feed(r, datagram, (size_t)n, &heard, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void report_missing(const struct receiver *r)
{
	for (unsigned i = 0; i < reassembly_pending(r->parts); i++) {
		struct reassembly_info info;
		char missing[512];
		uint32_t n;

		reassembly_at(r->parts, i, &info);
		n = reassembly_missing(r->parts, i, missing, sizeof(missing));
		fprintf(stderr,
			"betanet-client: incomplete: %u of %u packets came, %u are missing: %s "
			"(counted from 0)\n",
			info.have, info.count, n, missing);
	}
	if (r->taken == 0 && r->damaged == 0 && reassembly_pending(r->parts) == 0)
		fprintf(stderr, "betanet-client: nothing came %s\n",
			client_stop ? "until it was stopped" : "in time (--timeout)");
	else if (r->client->settings->count > 1)
		fprintf(stderr, "betanet-client: %" PRIu64 " of %" PRIu64 " messages came whole\n",
			r->taken, r->client->settings->count);
}

static void report_ignored(const struct receiver *r)
{
	const uint64_t *n = reassembly_counters(r->parts);
	const struct {
		uint64_t count;
		const char *text;
	} lines[] = {
		{r->outside, "datagrams came from no relay of the directory"},
		{r->foreign, "replies were for somebody else"},
		{n[REASSEMBLY_MALFORMED], "datagrams were no part of a message"},
		{n[REASSEMBLY_CONFLICT], "packets contradicted earlier ones of their message"},
		{n[REASSEMBLY_TOO_LARGE], "packets were of a message larger than --max-size"},
		{n[REASSEMBLY_NO_ROOM], "packets found no room: too many unfinished messages"},
		{reassembly_given_up(r->parts), "unfinished messages made way for newer ones"},
		{r->client->udp.overflowed,
			"datagrams were dropped by the kernel: the receive buffer was full (raise "
			"net.core.rmem_max, or let the sender use a lower --rate)"},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (lines[i].count > 0)
			fprintf(stderr, "betanet-client: ignored: %" PRIu64 " %s\n", lines[i].count,
				lines[i].text);
}

static int check_outputs(const struct settings *s, struct error *err)
{
	char buffer[4096];
	int r = 0;

	for (uint64_t i = 1; r == 0 && i <= s->count; i++)
		r = client_check_output(output_name(s, i, buffer, sizeof(buffer)), s->force, err);
	if (r == 0 && s->save_reply_blocks)
		r = client_check_output(s->save_reply_blocks, s->force, err);
	return r;
}

int command_receive(struct client *c, struct error *err)
{
	const struct settings *s = c->settings;
	const uint64_t most = s->max_size + MESSAGE_STREAM_OVERHEAD + BLOCKS_ROOM;
	const struct reassembly_limits limits = {.max_total = most,
		.max_memory = 2 * most,
		.max_transfers = 256,
		.piece = s->payload_size ? (uint16_t)(s->payload_size - SPHINX_PAYLOAD_OVERHEAD -
						      MESSAGE_HEADER_SIZE)
					 : 0,
		.idle_ns = 10000000000u};
	struct receiver r = {.client = c};
	char text[ENDPOINT_STRLEN];
	bool all;
	int rc = check_outputs(s, err);

	if (rc < 0 || client_open_socket(c, err) < 0)
		return 1;
	r.parts = reassembly_create(&limits);
	if (!r.parts) {
		error_set(err, ENOMEM, "not enough memory");
		return 1;
	}
	if (!s->quiet)
		fprintf(stderr, "listening on %s\n", endpoint_format(text, &c->udp.bound));
	progress_start(&r.bar, "received", s->quiet);
	rc = cover_start(c, err);
	if (rc == 0)
		rc = listen_until(&r, err);
	progress_end(&r.bar);
	rc = cover_end(c, rc, err);
	all = rc == 0 && r.taken == s->count;
	if (rc == 0 && !all)
		report_missing(&r);
	if (!all || !s->quiet)
		report_ignored(&r);
	reassembly_free(r.parts);
	blocks_free(r.saved, r.saved_count);
	return !all;
}
