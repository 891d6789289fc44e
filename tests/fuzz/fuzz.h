/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_FUZZ_H
#define BETANET_TESTS_FUZZ_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the fuzzers share: repeatable random numbers, arguments, progress. */

static uint64_t fuzz_seed, fuzz_iteration, fuzz_rng[2];

/* xoroshiro128++ (Blackman and Vigna): fast, repeatable, not for secrets. */
static inline uint64_t fuzz_next(void)
{
	const uint64_t a = fuzz_rng[0];
	uint64_t b = fuzz_rng[1], sum = a + b;
	const uint64_t out = (sum << 17 | sum >> 47) + a;

	b ^= a;
	fuzz_rng[0] = (a << 49 | a >> 15) ^ b ^ b << 21;
	fuzz_rng[1] = b << 28 | b >> 36;
	return out;
}

static inline size_t fuzz_below(size_t n)
{
	return (size_t)(fuzz_next() % n);
}

static inline void fuzz_fill(void *out, size_t n)
{
	uint8_t *p = out;
	uint64_t r;

	for (; n >= sizeof(r); n -= sizeof(r), p += sizeof(r)) {
		r = fuzz_next();
		memcpy(p, &r, sizeof(r));
	}
	r = fuzz_next();
	memcpy(p, &r, n);
}

static inline uint64_t fuzz_number(const char *program, const char *text, const char *what)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-') {
		fprintf(stderr, "%s: %s \"%s\" is not a whole number\n", program, what, text);
		exit(2);
	}
	return n;
}

/* PROGRAM [ITERATIONS [SEED]]; returns the iterations. */
static inline uint64_t fuzz_arguments(
	const char *program, int argc, char **argv, uint64_t iterations)
{
	if (argc > 1)
		iterations = fuzz_number(program, argv[1], "ITERATIONS");
	fuzz_seed = argc > 2 ? fuzz_number(program, argv[2], "SEED") : 1;
	fuzz_rng[0] = fuzz_seed;
	fuzz_rng[1] = 0x9e3779b97f4a7c15;
	return iterations;
}

/* A line every ten seconds; to be called now and then. */
static inline void fuzz_progress(const char *program, uint64_t done, uint64_t all)
{
	static struct timespec start, last;
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (start.tv_sec == 0)
		start = last = now;
	if (now.tv_sec - last.tv_sec < 10)
		return;
	last = now;
	seconds = (double)(now.tv_sec - start.tv_sec);
	printf("%s: %llu of %llu (%.0f %%), %.0f a second\n", program, (unsigned long long)done,
		(unsigned long long)all, 100.0 * (double)done / (double)all,
		(double)done / seconds);
	fflush(stdout);
}

#endif
