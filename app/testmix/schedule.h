/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_SCHEDULE_H
#define BETANET_TESTMIX_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When packets are to be sent: times since the start, in nanoseconds. Whoever sends late sends what
 * is overdue at once and goes on from the schedule, never from the clock, so the offered rate is
 * exact over any longer time: packet i of a constant schedule is due at floor(i * 10^9 / rate),
 * without drift; the gaps of a Poisson schedule are independent and exponential.
 */
enum { SCHEDULE_DRAWS = 256 };

struct schedule {
	uint64_t rate; /* packets per second; 0: everything is due at once */
	bool poisson;
	uint64_t index; /* of the next packet */
	double time;    /* Poisson: when it is due */
	uint64_t draw[SCHEDULE_DRAWS];
	unsigned drawn; /* of them are used */
};

void schedule_init(struct schedule *s, uint64_t rate, bool poisson);

/* When the next packet is due; schedule_advance goes on to the one behind it. */
uint64_t schedule_due(const struct schedule *s);
void schedule_advance(struct schedule *s);

/* An exponential variate of mean 1 for a uniform draw; at most 37. */
double schedule_exponential(uint64_t draw);

#endif
