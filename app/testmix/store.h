/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_STORE_H
#define BETANET_TESTMIX_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"
#include "directory/directory.h"
#include "fault.h"
#include "message.h"

/*
 * Packets made ahead of time, in bursts: building one costs about as much as three relays spend on
 * it, so a generator that built while it sends could not keep its pace. Every packet has a route of
 * its own and fresh keys; the first `good` of them carry the messages 0..good-1, the others are
 * wrong in one way each.
 */
struct store_params {
	const struct directory *directory;
	uint64_t good;
	const uint64_t *faults; /* FAULT_COUNT counts; replays are no packets of their own */
	unsigned hops;
	uint16_t version; /* 0: 258 and 259 in turn */
	size_t payload_size, message_size;
	double mean_delay_ms;
	struct endpoint destination;
};

struct store_packet {
	uint64_t delay_ns; /* sum of what the route's hops will wait */
	uint32_t entry;    /* index in the directory */
	uint32_t fault;    /* enum fault */
};

/* One transmission. */
struct store_slot {
	uint64_t position; /* what the order is sorted by */
	uint32_t packet;
	bool again; /* the second copy of a replayed packet */
};

struct store {
	struct store_params params;
	struct message_run run;
	uint64_t count; /* packets */
	size_t size;    /* bytes of frame and packet */
	uint8_t *bytes; /* count * size */
	struct store_packet *packets;
	uint64_t slot_count; /* transmissions */
	struct store_slot *slots;
	size_t message_room; /* longest message */

	/* shared by the builders */
	_Atomic uint64_t next, done;
	atomic_bool stop;
};

/* Bytes that store_create would take. */
uint64_t store_memory(const struct store_params *p);

/* Allocates; nothing is built yet. `p->directory` must outlive the store. 0; -ENOMEM; -EINVAL when
 * the directory cannot serve such routes. */
int store_create(const struct store_params *p, struct store **out, struct error *err);

/* Builds packets until all are made or `stop` is set; runs on any number of threads at once, each
 * with its own builder. 0 or a negative errno with `err` (the caller's own) set. */
int store_build(struct store *s, struct error *err);

void store_free(struct store *s);

static inline uint8_t *store_bytes(const struct store *s, uint64_t packet)
{
	return s->bytes + packet * s->size;
}

/* The address of a node that packets are sent to: its IPv4 one. NULL when it has none. */
const struct endpoint *store_node_address(const struct directory_node *n);

#endif
