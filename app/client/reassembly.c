/* SPDX-License-Identifier: BSD-3-Clause */
#include "reassembly.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE_IDS = 256, MAX_TRANSFERS = 1024 };

struct transfer {
	struct reassembly_info info;
	uint32_t highest;   /* index of the highest fragment that came */
	uint8_t **fragment; /* count pointers, NULL: missing */
	uint64_t charged;
};

struct reassembly {
	struct reassembly_limits limits;
	struct transfer *transfer; /* max_transfers, `pending` of them in use */
	unsigned pending;
	uint64_t charged, given_up;
	uint64_t counter[REASSEMBLY_RESULTS];
	/* finished transfers, the oldest overwritten first: what comes late is not a new one */
	uint8_t done[DONE_IDS][MESSAGE_ID_SIZE];
	unsigned done_count, done_next;
};

struct reassembly *reassembly_create(const struct reassembly_limits *limits)
{
	struct reassembly *r;

	if (limits->max_transfers < 1 || limits->max_transfers > MAX_TRANSFERS ||
		limits->max_memory < limits->max_total)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->limits = *limits;
	r->transfer = calloc(limits->max_transfers, sizeof(*r->transfer));
	if (!r->transfer) {
		free(r);
		return NULL;
	}
	return r;
}

static void forget(struct reassembly *r, struct transfer *t)
{
	for (uint32_t i = 0; i < t->info.count; i++)
		free(t->fragment[i]);
	free(t->fragment);
	r->charged -= t->charged;
	*t = r->transfer[--r->pending];
}

void reassembly_free(struct reassembly *r)
{
	if (!r)
		return;
	while (r->pending > 0)
		forget(r, &r->transfer[r->pending - 1]);
	free(r->transfer);
	free(r);
}

static struct transfer *find(struct reassembly *r, const uint8_t id[MESSAGE_ID_SIZE])
{
	for (unsigned i = 0; i < r->pending; i++)
		if (memcmp(r->transfer[i].info.id, id, MESSAGE_ID_SIZE) == 0)
			return &r->transfer[i];
	return NULL;
}

static int is_done(const struct reassembly *r, const uint8_t id[MESSAGE_ID_SIZE])
{
	for (unsigned i = 0; i < r->done_count; i++)
		if (memcmp(r->done[i], id, MESSAGE_ID_SIZE) == 0)
			return 1;
	return 0;
}

static void remember_done(struct reassembly *r, const uint8_t id[MESSAGE_ID_SIZE])
{
	memcpy(r->done[r->done_next], id, MESSAGE_ID_SIZE);
	r->done_next = (r->done_next + 1) % DONE_IDS;
	if (r->done_count < DONE_IDS)
		r->done_count++;
}

/* Gives up the longest silent transfer, unless none but `keep` has been silent for long enough. */
static int give_up_one(struct reassembly *r, const uint8_t *keep, uint64_t now)
{
	struct transfer *oldest = NULL;

	for (unsigned i = 0; i < r->pending; i++) {
		struct transfer *t = &r->transfer[i];

		if (keep && memcmp(t->info.id, keep, MESSAGE_ID_SIZE) == 0)
			continue;
		if (!oldest || t->info.last_ns < oldest->info.last_ns)
			oldest = t;
	}
	if (!oldest || now - oldest->info.last_ns < r->limits.idle_ns)
		return 0;
	forget(r, oldest);
	r->given_up++;
	return 1;
}

static int charge(struct reassembly *r, uint64_t bytes, const uint8_t *keep, uint64_t now)
{
	if (bytes > r->limits.max_memory)
		return 0;
	while (r->charged > r->limits.max_memory - bytes)
		if (!give_up_one(r, keep, now))
			return 0;
	return 1;
}

static struct transfer *start(struct reassembly *r, const struct message_header *h, uint64_t now)
{
	uint64_t table = (uint64_t)h->count * sizeof(uint8_t *);
	struct transfer *t;

	if (!charge(r, table, NULL, now))
		return NULL;
	if (r->pending == r->limits.max_transfers && !give_up_one(r, NULL, now))
		return NULL;
	t = &r->transfer[r->pending];
	memset(t, 0, sizeof(*t));
	t->fragment = calloc(h->count, sizeof(*t->fragment));
	if (!t->fragment)
		return NULL;
	t->charged = table;
	t->info.piece = h->piece;
	t->info.type = h->type;
	t->info.total = h->total;
	t->info.count = h->count;
	t->info.started_ns = now;
	t->info.last_ns = now;
	memcpy(t->info.id, h->id, sizeof(h->id));
	r->charged += table;
	r->pending++;
	return t;
}

static enum reassembly_result store(struct reassembly *r, struct transfer **tp,
	const struct message_header *h, const uint8_t *piece, size_t len, uint64_t now)
{
	struct transfer *t = *tp;

	if (t->info.type != h->type || t->info.piece != h->piece || t->info.total != h->total) {
		t->info.conflicts++;
		return REASSEMBLY_CONFLICT;
	}
	if (t->fragment[h->index]) {
		if (memcmp(t->fragment[h->index], piece, len) != 0) {
			t->info.conflicts++;
			return REASSEMBLY_CONFLICT;
		}
		t->info.duplicates++;
		return REASSEMBLY_DUPLICATE;
	}
	if (!charge(r, len, h->id, now))
		return REASSEMBLY_NO_ROOM;
	/* giving others up may have moved ours */
	*tp = t = find(r, h->id);
	t->fragment[h->index] = malloc(len);
	if (!t->fragment[h->index])
		return REASSEMBLY_NO_ROOM;
	memcpy(t->fragment[h->index], piece, len);
	t->charged += len;
	r->charged += len;
	if (t->info.have > 0 && h->index < t->highest)
		t->info.reordered++;
	else
		t->highest = h->index;
	t->info.have++;
	t->info.last_ns = now;
	return REASSEMBLY_ADDED;
}

static enum reassembly_result finish(
	struct reassembly *r, struct transfer *t, uint32_t last, struct reassembly_whole *out)
{
	struct message_header h = {
		.piece = t->info.piece, .count = t->info.count, .total = t->info.total};
	enum reassembly_result result = REASSEMBLY_COMPLETE;

	out->len = (size_t)t->info.total;
	out->stream = malloc(out->len);
	if (!out->stream) {
		/* as if the last fragment had not come: when it is repeated there may be room */
		free(t->fragment[last]);
		t->fragment[last] = NULL;
		t->info.have--;
		return REASSEMBLY_NO_ROOM;
	}
	for (; h.index < h.count; h.index++)
		memcpy(out->stream + (size_t)h.index * h.piece, t->fragment[h.index],
			message_piece_len(&h));
	if (message_parse(out->stream, out->len, &out->view) < 0) {
		free(out->stream);
		out->stream = NULL;
		result = REASSEMBLY_DAMAGED;
	}
	remember_done(r, t->info.id);
	forget(r, t);
	return result;
}

static enum reassembly_result feed(struct reassembly *r, const uint8_t *datagram, size_t len,
	uint64_t now, struct reassembly_whole *out)
{
	struct message_header h;
	enum reassembly_result result;
	struct transfer *t;
	const uint8_t *piece;
	size_t piece_len;

	if (message_decode(datagram, len, &h, &piece, &piece_len) < 0 || h.type == MESSAGE_PING)
		return REASSEMBLY_MALFORMED;
	if (h.total < MESSAGE_STREAM_OVERHEAD || (r->limits.piece && h.piece != r->limits.piece))
		return REASSEMBLY_MALFORMED;
	if (h.total > r->limits.max_total)
		return REASSEMBLY_TOO_LARGE;
	if (is_done(r, h.id))
		return REASSEMBLY_DUPLICATE;
	t = find(r, h.id);
	if (!t)
		t = start(r, &h, now);
	if (!t)
		return REASSEMBLY_NO_ROOM;
	result = store(r, &t, &h, piece, piece_len, now);
	out->info = t->info;
	if (result == REASSEMBLY_ADDED && t->info.have == t->info.count)
		result = finish(r, t, h.index, out);
	return result;
}

enum reassembly_result reassembly_feed(struct reassembly *r, const uint8_t *datagram, size_t len,
	uint64_t now, struct reassembly_whole *out)
{
	enum reassembly_result result;

	memset(out, 0, sizeof(*out));
	result = feed(r, datagram, len, now, out);
	r->counter[result]++;
	return result;
}

const uint64_t *reassembly_counters(const struct reassembly *r)
{
	return r->counter;
}

uint64_t reassembly_given_up(const struct reassembly *r)
{
	return r->given_up;
}

uint64_t reassembly_memory(const struct reassembly *r)
{
	return r->charged;
}

unsigned reassembly_pending(const struct reassembly *r)
{
	return r->pending;
}

void reassembly_at(const struct reassembly *r, unsigned i, struct reassembly_info *info)
{
	*info = r->transfer[i].info;
}

uint32_t reassembly_missing(const struct reassembly *r, unsigned i, char *out, size_t size)
{
	const struct transfer *t = &r->transfer[i];
	size_t used = 0;
	int cut = 0;

	out[0] = '\0';
	for (uint32_t a = 0, b; a < t->info.count; a = b + 1) {
		char item[32];
		int n;

		b = a;
		if (t->fragment[a])
			continue;
		while (b + 1 < t->info.count && !t->fragment[b + 1])
			b++;
		n = a == b ? snprintf(item, sizeof(item), "%s%u", used ? ", " : "", a)
			   : snprintf(item, sizeof(item), "%s%u-%u", used ? ", " : "", a, b);
		if (cut || used + (size_t)n + sizeof(", ...") > size) {
			if (!cut)
				snprintf(out + used, size - used, used ? ", ..." : "...");
			cut = 1;
			continue;
		}
		memcpy(out + used, item, (size_t)n + 1);
		used += (size_t)n;
	}
	return t->info.count - t->info.have;
}
