/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf_vrf: times of prove and verify, and whether prove's time tells the key (as dudect does,
 * Reparaz, Balasch, Verbauwhede 2017): cycles for one fixed key against those for random keys, in
 * random order, Welch's t over what lies below a percentile of both. |t| > 10 is a leak (exit 1),
 * below 4.5 nothing is seen.
 *
 * The key's public half decides how often try-and-increment tries, and which root Elligator takes.
 * That is no secret, so every alpha here is one that takes the common course.
 */
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "result.h"
#include "vrf/ecvrf.h"

enum { ALPHA = 125, POOL = 128, SAMPLES = 6000 };

struct input {
	struct ecvrf_key key;
	uint8_t alpha[ALPHA];
};

static struct input inputs[2][POOL]; /* fixed key, random keys */
static double cycles[2][SAMPLES];
static unsigned counts[2];

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void choose_alpha(enum ecvrf_suite suite, struct input *in)
{
	uint8_t pi[ECVRF_PROOF_SIZE];
	struct ecvrf_trace t;

	do {
		randombytes_buf(in->alpha, sizeof(in->alpha));
		if (ecvrf_prove_traced(suite, &in->key, in->alpha, ALPHA, pi, &t) < 0)
			exit(1);
	} while (suite == ECVRF_TAI ? t.tries != 0 : !t.ell2.gx1_is_square);
}

static void prepare(enum ecvrf_suite suite)
{
	uint8_t seed[32];

	for (unsigned kind = 0; kind < 2; kind++) {
		ecvrf_keygen(seed);
		for (unsigned i = 0; i < POOL; i++) {
			if (kind)
				ecvrf_keygen(seed);
			ecvrf_key_from_seed(&inputs[kind][i].key, seed);
			choose_alpha(suite, &inputs[kind][i]);
		}
	}
}

static void measure(enum ecvrf_suite suite)
{
	uint8_t pi[ECVRF_PROOF_SIZE];

	counts[0] = counts[1] = 0;
	for (unsigned i = 0; i < SAMPLES; i++) {
		unsigned kind = randombytes_random() & 1;
		const struct input *in = &inputs[kind][randombytes_uniform(POOL)];
		unsigned aux;
		uint64_t start = __rdtscp(&aux);

		if (ecvrf_prove(suite, &in->key, in->alpha, ALPHA, pi) < 0)
			exit(1);
		cycles[kind][counts[kind]++] = (double)(__rdtscp(&aux) - start);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Welch's t of the samples below `limit`; the classes are sorted. */
static double welch(double limit)
{
	double mean[2], var_n[2];

	for (unsigned c = 0; c < 2; c++) {
		double sum = 0, square = 0;
		unsigned n = 0;

		for (; n < counts[c] && cycles[c][n] <= limit; n++)
			sum += cycles[c][n];
		mean[c] = sum / n;
		for (unsigned i = 0; i < n; i++)
			square += (cycles[c][i] - mean[c]) * (cycles[c][i] - mean[c]);
		var_n[c] = square / (n - 1) / n;
	}
	return (mean[0] - mean[1]) / sqrt(var_n[0] + var_n[1]);
}

/* The t of largest size over some cuts, by size. */
static double statistic(void)
{
	static const double cuts[] = {0.5, 0.75, 0.9, 0.97};
	double worst = 0;

	for (unsigned c = 0; c < 2; c++)
		qsort(cycles[c], counts[c], sizeof(double), compare);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		double t = welch(cycles[0][(unsigned)(cuts[i] * counts[0])]);

		if (fabs(t) > fabs(worst))
			worst = t;
	}
	return worst;
}

static void speed(enum ecvrf_suite suite, const char *name)
{
	uint8_t pi[POOL][ECVRF_PROOF_SIZE];
	double start = now_us(), middle, prove, verify;

	for (unsigned i = 0; i < POOL; i++)
		if (ecvrf_prove(suite, &inputs[1][i].key, inputs[1][i].alpha, ALPHA, pi[i]) < 0)
			exit(1);
	middle = now_us();
	for (unsigned i = 0; i < POOL; i++)
		if (ecvrf_verify(suite, inputs[1][i].key.public, inputs[1][i].alpha, ALPHA, pi[i],
			    NULL) < 0)
			exit(1);
	prove = (middle - start) / POOL;
	verify = (now_us() - middle) / POOL;
	printf("vrf %-4s prove   %8.1f us\n", name, prove);
	printf("vrf %-4s verify  %8.1f us\n", name, verify);
	result_add("vrf.prove", "us", RESULT_LOWER, &prove, 1, "suite=%s", name);
	result_add("vrf.verify", "us", RESULT_LOWER, &verify, 1, "suite=%s", name);
}

int main(void)
{
	static const struct {
		enum ecvrf_suite suite;
		const char *name;
	} suites[] = {{ECVRF_TAI, "TAI"}, {ECVRF_ELL2, "ELL2"}};
	int leaks = 0;

	if (sodium_init() < 0)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		double t;

		prepare(suites[i].suite);
		speed(suites[i].suite, suites[i].name);
		measure(suites[i].suite);
		t = statistic();
		printf("vrf %-4s prove, fixed against random keys: t = %+.2f (%d samples; nothing "
		       "seen "
		       "below 4.5, a leak above 10)\n",
			suites[i].name, t, SAMPLES);
		leaks += fabs(t) > 10;
	}
	return leaks ? 1 : 0;
}
