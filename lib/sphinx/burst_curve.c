/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/burst_curve.h"

#include <sodium.h>
#include <string.h>
#include <x86intrin.h>

const unsigned curve_class_size[CURVE_CLASSES] = {1, 2, 4, 8, 16, 32};
enum { MEASURED_MAX = 32, RUNS = 16 };

static unsigned class_of(unsigned n)
{
	unsigned c = 0;

	while (c < CURVE_CLASSES - 1 && curve_class_size[c] < n)
		c++;
	return c;
}

static void keep_least(uint64_t *least, uint64_t ticks)
{
	if (ticks < *least)
		*least = ticks;
}

void curve_costs_measure(struct curve_costs *costs, struct x25519_pair *pair)
{
	uint8_t scalar[MEASURED_MAX][32], u[MEASURED_MAX][32], result[MEASURED_MAX][32];
	uint8_t on_twist[MEASURED_MAX], *out[MEASURED_MAX];
	const uint8_t *k[MEASURED_MAX], *x[MEASURED_MAX];

	memset(costs, 0xff, sizeof(*costs));
	randombytes_buf(scalar, sizeof(scalar));
	for (unsigned i = 0; i < MEASURED_MAX; i++) {
		crypto_scalarmult_base(u[i], scalar[MEASURED_MAX - 1 - i]);
		out[i] = result[i];
		k[i] = scalar[i];
		x[i] = u[i];
	}
	for (unsigned run = 0; run < RUNS; run++) {
		for (unsigned c = 0; c < CURVE_CLASSES; c++) {
			unsigned n = curve_class_size[c];
			uint64_t t[4];

			t[0] = __rdtsc();
			x25519_mb(out, k, x, n);
			t[1] = __rdtsc();
			x25519_pair_begin(pair, x, n, on_twist);
			t[2] = __rdtsc();
			x25519_pair_mult(pair, out, k, NULL, n);
			t[3] = __rdtsc();
			keep_least(&costs->ladder[c], t[1] - t[0]);
			keep_least(&costs->begin[c], t[2] - t[1]);
			keep_least(&costs->mult[c], t[3] - t[2]);
		}
	}
}

static uint32_t break_even(uint64_t ladder, uint64_t begin, uint64_t mult)
{
	uint64_t share;

	if (mult >= ladder)
		return CURVE_NEVER;
	if (begin + mult <= ladder)
		return 0;
	share = CURVE_ONE * (begin + mult - ladder) / (ladder - mult);
	return share <= CURVE_HIGHEST ? (uint32_t)share : CURVE_NEVER;
}

void curve_choice_init(struct curve_choice *c, const struct curve_costs *costs)
{
	c->share = CURVE_ONE;
	for (unsigned i = 0; i < CURVE_CLASSES; i++) {
		c->threshold[i] = break_even(costs->ladder[i], costs->begin[i], costs->mult[i]);
		c->pair[i] = c->share > c->threshold[i] + CURVE_MARGIN;
	}
}

bool curve_choice_pair(struct curve_choice *c, unsigned n)
{
	unsigned i = class_of(n);

	if (c->share > c->threshold[i] + CURVE_MARGIN)
		c->pair[i] = true;
	else if (c->share + CURVE_MARGIN < c->threshold[i])
		c->pair[i] = false;
	return c->pair[i];
}

void curve_choice_note(struct curve_choice *c, unsigned n, unsigned forward)
{
	if (n)
		c->share = (uint32_t)(((uint64_t)c->share * CURVE_MEMORY +
					      (uint64_t)CURVE_ONE * forward) /
				      (CURVE_MEMORY + n));
}
