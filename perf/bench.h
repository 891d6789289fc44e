/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_BENCH_H
#define BETANET_PERF_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#include "result.h"

/*
 * Timing of things beside each other: in each round every row runs once, so that a change of clock
 * speed or a neighbour on the core meets them all; a row's figure is the median of its rounds.
 * Nanoseconds are those that this thread had the core; cycles are those of the TSC, at its fixed
 * rate, whatever the core's clock does.
 */
enum { BENCH_ROUNDS = 41, BENCH_QUICK_ROUNDS = 11 };

struct bench {
	const char *name;
	void (*run)(void *arg); /* does the thing `times` times */
	void *arg;
	unsigned times;
	void (*prepare)(void *arg); /* before each round, not timed; NULL: nothing */
	double ns[BENCH_ROUNDS],
		cycles[BENCH_ROUNDS]; /* for one; bench_rounds, sorted by bench_run */
};

static inline unsigned bench_rounds(void)
{
	return result_quick() ? BENCH_QUICK_ROUNDS : BENCH_ROUNDS;
}

static inline int bench_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double bench_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* For what runs once: from bench_begin to bench_end, which turns the readings into lengths. */
struct bench_span {
	double ns, cpu_ns, cycles;
};

static inline struct bench_span bench_begin(void)
{
	return (struct bench_span){.ns = bench_clock(CLOCK_MONOTONIC) * 1e9,
		.cpu_ns = bench_clock(CLOCK_THREAD_CPUTIME_ID) * 1e9,
		.cycles = (double)__rdtsc()};
}

static inline void bench_end(struct bench_span *s)
{
	s->cycles = (double)__rdtsc() - s->cycles;
	s->ns = bench_clock(CLOCK_MONOTONIC) * 1e9 - s->ns;
	s->cpu_ns = bench_clock(CLOCK_THREAD_CPUTIME_ID) * 1e9 - s->cpu_ns;
	if (s->cpu_ns < 0.95 * s->ns)
		printf("NOTE: other programs had this core for %.0f %% of the time; do not use the "
		       "next figure\n",
			100 * (1 - s->cpu_ns / s->ns));
}

/* One round before the counted ones warms caches and clock. Says so when others had the core for
 * more than a twentieth of the time: the figures are too high then. */
static inline void bench_run(struct bench *rows, unsigned count)
{
	const double wall = bench_clock(CLOCK_MONOTONIC),
		     cpu = bench_clock(CLOCK_THREAD_CPUTIME_ID);
	const int rounds = (int)bench_rounds();
	double share;

	for (int round = -1; round < rounds; round++) {
		for (struct bench *b = rows; b < rows + count; b++) {
			double t;
			uint64_t c;

			if (b->prepare)
				b->prepare(b->arg);
			t = bench_clock(CLOCK_THREAD_CPUTIME_ID);
			c = __rdtsc();
			b->run(b->arg);
			if (round < 0)
				continue;
			b->cycles[round] = (double)(__rdtsc() - c) / b->times;
			b->ns[round] = (bench_clock(CLOCK_THREAD_CPUTIME_ID) - t) * 1e9 / b->times;
		}
	}
	share = (bench_clock(CLOCK_THREAD_CPUTIME_ID) - cpu) /
		(bench_clock(CLOCK_MONOTONIC) - wall);
	if (share < 0.95)
		printf("NOTE: other programs had this core for %.0f %% of the time; do not use the "
		       "figures below\n",
			100 * (1 - share));
	for (struct bench *b = rows; b < rows + count; b++) {
		qsort(b->ns, (size_t)rounds, sizeof(double), bench_compare);
		qsort(b->cycles, (size_t)rounds, sizeof(double), bench_compare);
	}
}

static inline double bench_ns(const struct bench *b)
{
	return b->ns[bench_rounds() / 2];
}

static inline double bench_cycles(const struct bench *b)
{
	return b->cycles[bench_rounds() / 2];
}

/* Writes a row's figure, ns for one, with every round (result.h). */
__attribute__((format(printf, 3, 4))) static inline void bench_result(
	const struct bench *b, const char *name, const char *labels, ...)
{
	char text[256];
	va_list args;

	va_start(args, labels);
	vsnprintf(text, sizeof(text), labels, args);
	va_end(args);
	result_write(&(struct result){.name = name,
		.unit = "ns",
		.better = RESULT_LOWER,
		.labels = text,
		.values = b->ns,
		.count = bench_rounds()});
}

/* A ratio of two rows' medians, with what it should reach. */
static inline void bench_target(const char *name, const char *labels, double ratio,
	enum result_better better, double floor, double goal)
{
	result_write(&(struct result){.name = name,
		.unit = "ratio",
		.better = better,
		.labels = labels,
		.values = &ratio,
		.count = 1,
		.floor = floor,
		.goal = goal});
}

#endif
