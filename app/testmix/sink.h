/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_SINK_H
#define BETANET_TESTMIX_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"
#include "histogram.h"
#include "ethport.h"
#include "store.h"
#include "wire.h"

/*
 * Receives what the exits deliver, checks every byte and every number, and takes the time. Owns its
 * port as the generator owns its own.
 */
struct sink {
	/* set before it starts */
	struct ethport *port;
	const struct store *store;
	struct wire_end self;
	bool spin;
	const _Atomic uint64_t *sent_ns;
	const atomic_bool *stop;

	/* sink lcore: writes; main lcore: reads while it runs */
	_Atomic uint64_t right;      /* good packets that came back, each counted once */
	_Atomic uint64_t duplicates; /* came back again */
	_Atomic uint64_t unexpected; /* whole messages of packets that had to be dropped */
	_Atomic uint64_t corrupt;    /* of this run, but altered */
	_Atomic uint64_t
		foreign; /* datagrams for the sink's port that hold no message of this run */
	_Atomic uint64_t malformed; /* frames with a wrong length or checksum */
	_Atomic uint64_t last_ns;   /* the newest arrival; 0: none yet */

	/* sink lcore; valid when it has returned */
	uint8_t *seen;               /* one for each good packet */
	uint64_t *latency;           /* of each good packet, ns; 0: it did not come back */
	struct histogram total;      /* arrival - send, ns */
	struct histogram deliberate; /* what the hops had to wait, ns */
	struct histogram rest; /* total - deliberate: wire, crypto, queues, wheel ticks, wake-ups */
	uint64_t early;        /* packets that came back before their delays were over */
};

/* 0 or -ENOMEM. sink_free releases what it took. */
int sink_init(struct sink *s, struct ethport *port, const struct store *store,
	const struct endpoint *self, struct error *err);
void sink_free(struct sink *s);

/* The lcore's function; `arg` is a struct sink. Runs until *stop. Always 0. */
int sink_run(void *arg);

#endif
