/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_REASSEMBLY_H
#define BETANET_CLIENT_REASSEMBLY_H

#include <stddef.h>
#include <stdint.h>
#include "message.h"

/*
 * Puts fragments together, whatever the order, with bounded memory against strangers: anybody may
 * send anything to a UDP port. Memory is charged for what has arrived (a fragment that announces a
 * giant costs its table of pointers alone); when the budget is used up, transfers that have been
 * silent for `idle_ns` are given up, oldest first, and otherwise the newcomer is refused. Nothing
 * here knows of sockets or of clocks: `now` is any monotonic time in nanoseconds.
 */
struct reassembly;

struct reassembly_limits {
	uint64_t max_total;     /* bytes of one stream, overhead included */
	uint64_t max_memory;    /* bytes of all unfinished transfers, >= max_total */
	unsigned max_transfers; /* unfinished at once, 1..1024 */
	uint16_t piece;         /* the only size of pieces that is taken; 0: any */
	uint64_t idle_ns;       /* a transfer silent for so long may be given up for a new one */
};

enum reassembly_result {
	REASSEMBLY_ADDED,
	REASSEMBLY_COMPLETE,  /* out->stream is the whole, its hash is right */
	REASSEMBLY_DAMAGED,   /* all fragments are here, but the stream is not what was sent */
	REASSEMBLY_DUPLICATE, /* had that one already, or its transfer is finished */
	REASSEMBLY_CONFLICT,  /* contradicts an earlier fragment of its transfer; the first stays */
	REASSEMBLY_MALFORMED, /* not a fragment of type data or reply, or of another piece size */
	REASSEMBLY_TOO_LARGE, /* announces more than max_total */
	REASSEMBLY_NO_ROOM,   /* the memory budget or max_transfers is used up */
	REASSEMBLY_RESULTS
};

/* One unfinished (or just finished) transfer, for progress and for reports. */
struct reassembly_info {
	uint8_t id[MESSAGE_ID_SIZE];
	uint8_t type;
	uint16_t piece;
	uint64_t total;                 /* bytes of the stream */
	uint32_t count, have;           /* fragments */
	uint32_t reordered;             /* arrived after one with a higher index */
	uint32_t duplicates, conflicts; /* of this transfer */
	uint64_t started_ns, last_ns;   /* `now` of the first and of the latest fragment */
};

struct reassembly_whole {
	struct reassembly_info info; /* of the transfer that the fragment belongs to */
	uint8_t *stream;             /* COMPLETE only: malloc'd, owned by the caller */
	size_t len;
	struct message_view view; /* COMPLETE only: leads into stream */
};

/* NULL when memory is short or a limit is outside its range. */
struct reassembly *reassembly_create(const struct reassembly_limits *limits);
void reassembly_free(struct reassembly *r);

/*
 * One datagram. `out` is filled for ADDED, COMPLETE and DAMAGED; a finished transfer (COMPLETE or
 * DAMAGED) is forgotten but for its id.
 */
enum reassembly_result reassembly_feed(struct reassembly *r, const uint8_t *datagram, size_t len,
	uint64_t now, struct reassembly_whole *out);

/* How often each result was returned. */
const uint64_t *reassembly_counters(const struct reassembly *r);

/* Transfers given up for want of memory, and bytes charged now. */
uint64_t reassembly_given_up(const struct reassembly *r);
uint64_t reassembly_memory(const struct reassembly *r);

/* Unfinished transfers; reassembly_at takes 0 .. reassembly_pending - 1. */
unsigned reassembly_pending(const struct reassembly *r);
void reassembly_at(const struct reassembly *r, unsigned i, struct reassembly_info *info);

/*
 * The missing fragments of unfinished transfer i as text, "3, 7-12, 90", cut with "..." where it
 * would not fit into out[size], size >= 8. Returns how many are missing.
 */
uint32_t reassembly_missing(const struct reassembly *r, unsigned i, char *out, size_t size);

#endif
