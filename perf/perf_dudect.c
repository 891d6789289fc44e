/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017) on the curve
 * kernels: the time of a call with one fixed scalar against calls with random ones, in random
 * order, compared by Welch's t. A |t| that stays below 4.5 while measurements grow is no evidence
 * of a leak; beyond 10 there is one. The longest times, which come from interrupts, are cropped at
 * several percentiles: the worst t counts. The last row is the control: a comparison that stops at
 * the first difference.
 */
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "crypto/cpu.h"
#include "crypto/x25519_mb.h"
#include "crypto/x25519_mb_kernel.h"

enum { LANES = 8, SAMPLES = 12000, CROPS = 6 };

static uint8_t scalar[LANES][32], u[LANES][32], out[LANES][32], on_twist[LANES], fixed[LANES][32];
static const uint8_t *scalar_p[LANES], *u_p[LANES];
static uint8_t *out_p[LANES];
static double ticks[SAMPLES], sorted[SAMPLES];
static uint8_t class[SAMPLES];
static void *pair_ws;

static void die(const char *what)
{
	fprintf(stderr, "perf_dudect: %s\n", what);
	exit(1);
}

static void run_ladder(const struct x25519_kernel *k)
{
	k->mult(out_p, scalar_p, u_p, k->lanes);
}

static void run_base(const struct x25519_kernel *k)
{
	k->base(out_p, scalar_p, k->lanes);
}

static void run_pair(const struct x25519_kernel *k)
{
	k->pair_mult(pair_ws, out_p, scalar_p, NULL, k->lanes);
}

/* not constant time: it stops where scalar[0] differs from the fixed one */
static void run_control(const struct x25519_kernel *k)
{
	volatile unsigned equal = 0;

	(void)k;
	for (unsigned round = 0; round < 64; round++)
		for (unsigned i = 0; i < 32 && scalar[0][i] == fixed[0][i]; i++)
			equal++;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double welch(double crop)
{
	double n[2] = {0}, mean[2] = {0}, m2[2] = {0};

	for (unsigned i = 0; i < SAMPLES; i++) {
		unsigned c = class[i];
		double d;

		if (ticks[i] > crop)
			continue;
		n[c] += 1;
		d = ticks[i] - mean[c];
		mean[c] += d / n[c];
		m2[c] += d * (ticks[i] - mean[c]);
	}
	if (n[0] < 2 || n[1] < 2)
		return 0;
	return (mean[0] - mean[1]) /
	       sqrt(m2[0] / (n[0] - 1) / n[0] + m2[1] / (n[1] - 1) / n[1] + 1e-12);
}

static void measure(
	const char *what, const struct x25519_kernel *k, void (*run)(const struct x25519_kernel *))
{
	static const double percentile[CROPS] = {0.5, 0.75, 0.9, 0.95, 0.99, 1};
	double worst = 0;
	unsigned aux;

	randombytes_buf(class, sizeof(class));
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint8_t random[LANES][32], mask;
		uint64_t start;

		class[i] &= 1;
		/* both classes take the same path to the same memory */
		randombytes_buf(random, sizeof(random));
		mask = (uint8_t) - class[i];
		for (unsigned b = 0; b < sizeof(random); b++)
			(&scalar[0][0])[b] = (uint8_t)(((&random[0][0])[b] & mask) |
						       ((&fixed[0][0])[b] & (uint8_t)~mask));
		_mm_lfence();
		start = __rdtsc();
		_mm_lfence();
		run(k);
		_mm_lfence();
		ticks[i] = (double)(__rdtscp(&aux) - start);
	}
	memcpy(sorted, ticks, sizeof(ticks));
	qsort(sorted, SAMPLES, sizeof(double), compare);
	for (unsigned c = 0; c < CROPS; c++) {
		double t = welch(sorted[(unsigned)(percentile[c] * (SAMPLES - 1))]);

		if (fabs(t) > fabs(worst))
			worst = t;
	}
	printf("%-14s %-26s median %8.0f cycles  worst t %8.2f  %s\n", k->name, what,
		sorted[SAMPLES / 2], worst,
		fabs(worst) < 4.5  ? "no difference seen"
		: fabs(worst) < 10 ? "unclear, repeat on a quiet core"
				   : "DIFFERS");
	fflush(stdout);
}

int main(void)
{
	const struct x25519_kernel control = {.name = "control"};
	const struct x25519_kernel *const kernel[] = {
		&x25519_kernel_scalar, &x25519_kernel_avx2, &x25519_kernel_avx512};

	if (sodium_init() < 0)
		die("libsodium could not be started");
	x25519_mb_init();
	randombytes_buf(fixed, sizeof(fixed));
	randombytes_buf(u, sizeof(u));
	for (unsigned i = 0; i < LANES; i++) {
		crypto_scalarmult_base(u[i], u[i]);
		scalar_p[i] = scalar[i];
		u_p[i] = u[i];
		out_p[i] = out[i];
	}
	printf("%d measurements each, fixed against random scalars\n", SAMPLES);
	for (int id = X25519_AVX2_FMA; id < X25519_KERNELS; id++) {
		const struct x25519_kernel *k = kernel[id];

		if (x25519_mb_select((enum x25519_kernel_id)id) < 0) {
			printf("%-14s not on this CPU: not measured\n", k->name);
			continue;
		}
		measure("ladder", k, run_ladder);
		measure("base point", k, run_base);
		pair_ws = aligned_alloc(64, (k->pair_size(LANES) + 63) & ~(size_t)63);
		if (!pair_ws)
			die("out of memory");
		k->pair_begin(pair_ws, u_p, LANES, on_twist);
		measure("pair, one mult", k, run_pair);
		free(pair_ws);
	}
	memset(fixed, 0, sizeof(fixed));
	measure("early exit", &control, run_control);
	return 0;
}
