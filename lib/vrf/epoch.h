/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_EPOCH_H
#define BETANET_VRF_EPOCH_H

#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"
#include "vrf/delay.h"
#include "vrf/ecvrf.h"
#include "vrf/scope.h"

/*
 * The delay key of each epoch: proved by the control lcore while the epoch before it runs, handed
 * to the workers through a table of two slots, wiped when the epoch is over.
 *
 * Epoch n is the time from n * epoch_seconds to (n + 1) * epoch_seconds after 1970, UTC. Workers
 * know a monotonic clock only ("ticks": TSC cycles, or any unit), so a slot holds the ticks at
 * which its epoch begins and ends; consecutive epochs leave no gap and do not overlap.
 *
 * When an epoch could not be proved in time (the rule of the design):
 *
 * - Proving fails (no VRF key for that period, a fault in the arithmetic): a random key takes its
 *   place at once, so delays follow the same law and nobody can foresee them, but they cannot be
 *   proved. It is mended if a proof succeeds up to 0.1 s before the epoch begins; after that the
 *   epoch's key never changes. The epoch is reported (EPOCH_UNPROVED) and its audit record,
 * signed like any other, says "not proved".
 * - The control lcore does not come round for more than an epoch: there is no slot for the time
 * that workers ask for. epoch_read says -ENOENT and the worker drops the packet, with a reason of
 * its own. No packet is delayed by the key of another epoch and none leaves early. The next step
 *   reports EPOCH_GAP and goes on from the present moment.
 * - The wall clock is set: all slots are wiped and made anew by the new time, reported
 *   (EPOCH_CLOCK_STEP). An epoch number that comes a second time gives the same key, as the VRF
 *   must, and stays provable.
 */
enum { EPOCH_SECONDS_MIN = 1, EPOCH_SECONDS_MAX = 60, EPOCH_SECONDS_DEFAULT = 10 };

/* floor(wall_ns / epoch_seconds); epoch_seconds > 0, also for the neighbours' longer epochs. */
static inline uint64_t epoch_number(uint64_t wall_ns, unsigned epoch_seconds)
{
	return wall_ns / (epoch_seconds * UINT64_C(1000000000));
}

/* ---- the table that workers read */

/* What a worker uses for one burst: secret, on the worker's locked memory, wiped after use. */
struct epoch_view {
	uint8_t key[DELAY_KEY_SIZE]; /* K_epoch */
	uint64_t epoch, begin, end;  /* in ticks: begin <= now < end */
	bool proved;
};

struct epoch_table;

/* In locked memory. 0; -ENOMEM with `err` set. One writer (the prover that it is given to), any
 * number of readers. */
int epoch_table_create(struct epoch_table **out, struct error *err);

/* Wipes. No reader may be left. NULL is fine. */
void epoch_table_free(struct epoch_table *t);

/*
 * The key for a packet that arrived at `now` (ticks). Wait-free. 0; -ENOENT when there is none:
 * *view is zeroed, and the packet must be dropped. A slot that is just being written counts as
 * none, and rightly: a slot is written only while its epoch does not run, or to end a time without
 * a key.
 */
int epoch_read(const struct epoch_table *t, uint64_t now, struct epoch_view *view);
void epoch_view_wipe(struct epoch_view *view);

/* Of clocks, as relays use it: for their epochs and for when they publish them. */
#define EPOCH_TOLERANCE_NS UINT64_C(500000000)

/* ---- the prover, on the control lcore */

struct epoch_params {
	uint8_t network_id[32];
	uint8_t node_id[32]; /* Ed25519 identity key */
	enum ecvrf_suite suite;
	unsigned epoch_seconds;    /* EPOCH_SECONDS_MIN..MAX */
	uint64_t mean_ns;          /* 1..DELAY_MEAN_MAX */
	uint64_t longest_ns;       /* delay_longest: no packet stays longer; >= 20 mean_ns */
	uint64_t tolerance_ns;     /* of clocks, >= 10^6; a jump beyond it is a clock step */
	uint64_t ticks_per_second; /* >= 1000 */
};

/* Both clocks, read together. */
struct epoch_clock {
	uint64_t wall_ns; /* since 1970, UTC */
	uint64_t ticks;   /* never goes backwards */
};

/* What is known of an epoch when it is over. Not secret, but with the VRF key it gives beta. */
struct epoch_meta {
	uint64_t epoch, key_period;
	uint8_t vrf_public[ECVRF_PUBLIC_SIZE]; /* zeros when no key was known */
	uint8_t beacon[32];
	enum beacon_source beacon_source;
	bool proved;
};

enum epoch_events {
	EPOCH_PROVED = 1 << 0,     /* a proof succeeded and its key is in the table */
	EPOCH_FALLBACK = 1 << 1,   /* a random key was put in the table; may still be mended */
	EPOCH_UNPROVED = 1 << 2,   /* an epoch began with a random key */
	EPOCH_GAP = 1 << 3,        /* part of the present epoch had no key: packets were dropped */
	EPOCH_CLOCK_STEP = 1 << 4, /* the wall clock was set */
};

struct epoch_report {
	unsigned events;      /* enum epoch_events */
	uint64_t gap_ticks;   /* with EPOCH_GAP: for how long no key was there */
	unsigned ended_count; /* epochs whose keys were wiped in this step */
	struct epoch_meta ended[2];
};

struct epoch_prover;

/*
 * In locked memory; copies the parameters. 0; -EINVAL (err names the parameter), -ENOMEM. The table
 * stays the caller's and must live longer.
 */
int epoch_prover_create(const struct epoch_params *p, struct epoch_table *table,
	struct epoch_prover **out, struct error *err);

/* Wipes the keys and both slots of the table. NULL is fine. */
void epoch_prover_free(struct epoch_prover *p);

/*
 * The VRF key (copied) for the epochs first <= n < end, of key period `period`. Two periods are
 * held; a third takes the place of the lowest. 0; -EINVAL when first >= end, or when the key's
 * public half is the node's identity key: the same seed for both would give the secret away.
 */
int epoch_prover_set_key(struct epoch_prover *p, uint64_t period, uint64_t first, uint64_t end,
	const struct ecvrf_key *key, struct error *err);

/* Wipes the key of a period; epochs that it has proved keep their slots. */
void epoch_prover_drop_key(struct epoch_prover *p, uint64_t period);

/*
 * To be called several times an epoch (every 100 ms, say). Wipes what is over, makes sure that the
 * present and the next epoch have their keys. At most two proofs, usually none. Never fails; what
 * happened stands in *report.
 */
void epoch_prover_step(struct epoch_prover *p, const struct epoch_clock *clock,
	const struct beacon *beacon, struct epoch_report *report);

#endif
