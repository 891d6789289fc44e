/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_CAPACITY_H
#define BETANET_TESTMIX_CAPACITY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "core/error.h"

/*
 * How fast the CPUs that a lab shares unwrap packets, so that --rate auto asks no more of them than
 * they can do. It is measured with bursts of one packet, the dearest way to work: relays that keep
 * up with a slow load see no larger ones. And by the clock on the wall, on all lcores that will
 * generate and receive at the same time: what else runs, and CPUs that are shared, count.
 */
struct capacity {
	size_t payload_size;
	const atomic_bool *stop; /* ends the measurement early */
	double per_second;       /* result: of this thread */
	struct error error;
};

enum {
	CAPACITY_MEASURE_MS = 250,
	CAPACITY_SHARE = 2, /* one in so many of them is asked for */
	CAPACITY_RATE_MIN = 100,
	CAPACITY_RATE_MAX = 10000,
};

/* One thread's part; `arg` is a struct capacity. Takes CAPACITY_MEASURE_MS. 0 or a negative errno
 * with `error` set. */
int capacity_measure(void *arg);

/*
 * Packets per second to offer when the threads together unwrapped `per_second`, and each packet is
 * unwrapped `hops` times. The other half is for what is not cryptography (ports, copies, wake-ups,
 * generator, sink). Load that comes later finds a reserve: a relay that falls behind finds larger
 * bursts, and eight packets together cost little more than one alone.
 */
double capacity_rate(double per_second, unsigned hops);

#endif
