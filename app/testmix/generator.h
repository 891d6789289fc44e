/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_GENERATOR_H
#define BETANET_TESTMIX_GENERATOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"
#include "fault.h"
#include "histogram.h"
#include "ethport.h"
#include "store.h"
#include "wire.h"

/* How an entry is reached. */
struct generator_entry {
	bool used; /* a node of layer 1 */
	bool resolved;
	uint8_t next_hop[4]; /* its address or the gateway's */
	struct wire_end end; /* its MAC is the next hop's */
};

/*
 * Sends the slots of a store in their order, each at its time: slot i is due at the start plus the
 * sum of i gaps, whatever happened before, so a late burst is caught up and the offered rate stays
 * exact. Owns its port: nothing else receives or sends there while it runs.
 */
struct generator {
	/* set before it starts */
	struct ethport *port;
	const struct store *store;
	struct wire_end self;
	struct generator_entry *entries; /* one for each node of the directory */
	double rate;
	bool poisson, spin;
	uint64_t resolve_deadline; /* ethport_now */
	_Atomic uint64_t *sent_ns; /* one for each good packet; written before it is sent */
	const atomic_bool *stop;

	/* generator lcore: writes; main lcore: reads while it runs */
	atomic_bool resolved;
	_Atomic uint64_t start_ns; /* 0: nothing was sent yet */
	_Atomic uint64_t sent, sent_good, sent_fault[FAULT_COUNT];

	/* generator lcore; valid when it has returned */
	struct histogram lag; /* sent - due, ns */
	uint64_t end_ns;
	uint64_t refused; /* times that the port took less than it was given */
	struct error error;
};

/* Fills self and entries. 0, -ENOMEM or -EINVAL. generator_free releases what it took. */
int generator_init(struct generator *g, struct ethport *port, const struct store *store,
	const struct endpoint *self, const struct endpoint *gateway, struct error *err);
void generator_free(struct generator *g);

/* The lcore's function; `arg` is a struct generator. 0; -ETIMEDOUT (no ARP answer, or the port
 * takes nothing any more), -ENOBUFS: with g->error set. Stopped early is no error. */
int generator_run(void *arg);

#endif
