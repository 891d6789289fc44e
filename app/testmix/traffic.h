/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_TRAFFIC_H
#define BETANET_TESTMIX_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "cli_options.h"
#include "core/error.h"
#include "ethport.h"
#include "histogram.h"
#include "mixnet.h"
#include "schedule.h"

/*
 * Generator and sink of the lab, on an lcore each, at the other ends of two wires (pairs of ports
 * joined by rings): what the generator sends is what the engine's first port receives, what its
 * second port sends comes to the sink. A wire has a queue for each of the engine's lcores; bursts
 * go over them in turn.
 *
 * Packets are unique, valid, and made ahead, with what has to come back for each: the same bytes
 * from io, mac and parse, the packet for the next hop (or the message) from a sphinx engine. The
 * sink compares every byte, by a keyed hash.
 */
enum { TRAFFIC_QUEUES = 16 };

enum traffic_kind { TRAFFIC_GOOD, TRAFFIC_BAD, TRAFFIC_COVER, TRAFFIC_REPLAYED, TRAFFIC_KINDS };

/* What comes back. */
enum traffic_view {
	TRAFFIC_SAME,  /* what was sent */
	TRAFFIC_MIXED, /* what one hop makes of it */
	TRAFFIC_VIEWS,
};

struct traffic_packet {
	struct traffic_mark {
		uint64_t key, digest; /* its first 8 bytes; a keyed hash of all */
	} mark[TRAFFIC_VIEWS];
	uint64_t delay_ns; /* that the engine has to hold it, by its header */
	enum traffic_kind kind;
};

/* One transmission. */
struct traffic_slot {
	uint64_t position; /* what the order is sorted by */
	uint32_t packet;
	bool again; /* the second copy of a replayed packet */
};

struct traffic_hash;

struct traffic {
	/* made once */
	struct ethport gen, sink;
	const struct mixnet *network;
	unsigned lcore[2]; /* generator, sink */
	bool sleep;
	unsigned last_port; /* of the engine */
	uint8_t mix_mac[6]; /* of the engine's first port */
	size_t payload_size, frame_size;
	uint8_t digest_key[16];

	/* the packets */
	uint64_t good, counts[TRAFFIC_KINDS];       /* as they were made */
	double bad, replayed, cover, mean_delay_ms; /* percent, ms: as they were made */
	unsigned made_hops;
	uint64_t packet_count, slot_count;
	uint8_t *frames; /* packet_count * frame_size */
	struct traffic_packet *packets;
	struct traffic_slot *slots;
	uint64_t longest_ns;
	_Atomic uint64_t next, built; /* builders */
	atomic_bool building;         /* main lcore: then `stop` ends it */

	/* a run */
	enum traffic_view view;
	bool replays_come, delays; /* the engine lets second copies pass; holds packets */
	bool delays_known;         /* by the headers alone */
	bool resolve;              /* the engine speaks ARP */
	uint64_t grace_ns, extra_ns;
	struct traffic_hash *hash;
	struct schedule schedule;
	atomic_bool stop_sending, stop;
	bool running, judged;

	/* generator writes */
	uint16_t next_queue;
	_Atomic uint64_t *sent_ns;            /* of each packet: when it was sent; 0: not */
	_Atomic uint64_t sent[TRAFFIC_KINDS]; /* taken by the port */
	_Atomic uint64_t refused;             /* the port took no more: lost on the way in */
	_Atomic uint64_t first_ns, end_ns;    /* of sending; 0: not yet */
	struct histogram lag;                 /* sent - due */

	/* sink writes */
	atomic_bool resolved;
	uint8_t *seen;
	_Atomic uint64_t returned, again, corrupt, foreign, early, last_ns;
	struct histogram residence; /* return - send */
	struct histogram lateness;  /* return - (send + delay), where it is known */
};

/*
 * Makes the wires, of options->rxd packets in each of options->lcores queues: ethdevs net_ring_NAME
 * for the names below, and those of generator and sink. EAL must run. 0; -ENOMEM or a driver's
 * error.
 */
int traffic_create(const struct cli_options *o, const unsigned lcore[2], struct traffic **out,
	struct error *err); /* *out is the caller's to free in any case */
void traffic_free(struct traffic *t);

/* Names of the engine's ends. */
#define TRAFFIC_NEAR_ENDS "mix0", "mix1"

/*
 * Makes the packets that the options ask for, unless those there are, are as they should be. Both
 * lcores build; `log` (may be NULL) gets a line a second. traffic_interrupt ends
 * it early: -EINTR.
 */
void traffic_interrupt(struct traffic *t); /* may be called by a signal's handler; NULL is fine */
int traffic_build(struct traffic *t, const struct cli_options *o, FILE *log, struct error *err);

/* Starts sink and generator. `view` and what follows it describe the engine. */
struct traffic_engine {
	enum traffic_view view;
	bool replays_come, holds, delays_known, resolve;
	uint64_t extra_ns; /* longest delay beside the headers' */
};
int traffic_start(struct traffic *t, const struct cli_options *o, const struct traffic_engine *e,
	struct error *err);

/* Main lcore, now and then: is loss certain by now? */
void traffic_poll(struct traffic *t);

/* No packet is sent from now on. */
void traffic_stop_sending(struct traffic *t);
void traffic_stop(struct traffic *t);

/* How many packets have to come back of what was sent; and still may. */
uint64_t traffic_expected(const struct traffic *t);
bool traffic_complete(const struct traffic *t);

/* What `show traffic` prints. */
void traffic_print(const struct traffic *t, FILE *out);

/* Room for packets, none made yet; without any. */
int traffic_allocate(struct traffic *t, const struct cli_options *o, struct error *err);
void traffic_discard(struct traffic *t);

/* traffic_run.c: the lcores' functions; `arg` is the struct traffic. */
int traffic_generate(void *arg);
int traffic_receive(void *arg);

/* The packet that bytes on the wire are of, or UINT32_MAX. */
uint32_t traffic_find(const struct traffic_hash *h, const struct traffic *t, uint64_t key);
uint64_t traffic_digest(const struct traffic *t, const uint8_t *bytes, size_t len);

#endif
