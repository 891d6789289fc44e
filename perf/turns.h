/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_TURNS_H
#define BETANET_PERF_TURNS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/*
 * Interleaved measurement: the contenders take turns, one sample each in every round, so that a
 * change of clock rate meets all of them alike. The figure is the median of the time that the CPU
 * spent on this thread, so that other programs on a shared machine count little.
 */
enum { TURNS_MAX = 128, TURNS_MAX_ROUNDS = 400 };

struct contender {
	const char *name;
	void (*run)(void *arg);
	void (*prepare)(void *arg); /* before each sample, not timed; may be NULL */
	void *arg;
	unsigned ops;    /* packets, blocks … in one run */
	unsigned repeat; /* runs in one sample; 0 is 1 */
	double ns;       /* result: median for one op */
	double sample[TURNS_MAX_ROUNDS];
};

static inline double turns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline int turns_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double turns_sample(const struct contender *c)
{
	const unsigned repeat = c->repeat ? c->repeat : 1;
	double start;

	if (c->prepare)
		c->prepare(c->arg);
	start = turns_now();
	for (unsigned k = 0; k < repeat; k++)
		c->run(c->arg);
	return (turns_now() - start) / repeat / c->ops;
}

/* rounds is at most TURNS_MAX_ROUNDS. In each the order is another, so that nobody always follows
 * the same neighbour. */
static inline void turns_measure(struct contender c[], unsigned n, unsigned rounds)
{
	struct contender *order[TURNS_MAX];

	for (unsigned i = 0; i < n; i++)
		order[i] = &c[i];
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = n; i-- > 0;) {
			const unsigned other = (unsigned)rand() % (i + 1);
			struct contender *now = order[other];

			order[other] = order[i];
			order[i] = now;
			now->sample[r] = turns_sample(now);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		qsort(c[i].sample, rounds, sizeof(double), turns_compare);
		c[i].ns = c[i].sample[rounds / 2];
	}
}

#endif
