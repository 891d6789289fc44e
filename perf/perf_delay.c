/* SPDX-License-Identifier: BSD-3-Clause */
/* perf_delay: what a packet's delay costs, in bursts of 128 and one at a time. The limit of the
 * design is 0.3 us for tag and draw together. */
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "vrf/delay.h"

enum { BURST = 128, ROUNDS = 100, REPEATS = 100 };

static uint8_t key[32], shared[BURST][32], tags[BURST][DELAY_TAG_SIZE];
static const uint8_t *pointers[BURST];
static struct delay_draw draws[BURST];
static uint64_t sink;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void tag_burst(void)
{
	delay_tag_burst(tags, pointers, BURST);
}

static void draw_burst(void)
{
	delay_draw_burst(key, (const uint8_t(*)[DELAY_TAG_SIZE])tags, BURST, draws);
}

static void tag_single(void)
{
	for (unsigned i = 0; i < BURST; i++)
		delay_tag(tags[i], shared[i]);
}

static void draw_single(void)
{
	for (unsigned i = 0; i < BURST; i++)
		delay_draw(key, tags[i], &draws[i]);
}

static void exponential(void)
{
	for (unsigned i = 0; i < BURST; i++)
		sink += delay_exp(draws[i].tie);
}

static void tag_blake2b(void)
{
	for (unsigned i = 0; i < BURST; i++)
		crypto_generichash(
			tags[i], 16, (const uint8_t *)"bnmix-dtag-v1", 13, shared[i], 32);
}

/* Nanoseconds per packet: the least of many short repeats, the machine being shared. */
static double cost(void (*work)(void))
{
	double best = 1e9;

	for (unsigned r = 0; r < REPEATS; r++) {
		double start = now_ns(), spent;

		for (unsigned i = 0; i < ROUNDS; i++)
			work();
		spent = (now_ns() - start) / ((double)ROUNDS * BURST);
		best = spent < best ? spent : best;
	}
	return best;
}

int main(void)
{
	double tag, draw;

	if (sodium_init() < 0)
		return 1;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(shared, sizeof(shared));
	for (unsigned i = 0; i < BURST; i++)
		pointers[i] = shared[i];
	tag = cost(tag_burst);
	draw = cost(draw_burst);
	printf("delay tag, burst of %d       %7.1f ns\n", BURST, tag);
	printf("delay draw, burst of %d      %7.1f ns\n", BURST, draw);
	printf("delay tag, one at a time      %7.1f ns\n", cost(tag_single));
	printf("delay draw, one at a time     %7.1f ns\n", cost(draw_single));
	printf("exponential alone             %7.1f ns\n", cost(exponential));
	printf("(tag by keyed BLAKE2b         %7.1f ns)\n", cost(tag_blake2b));
	printf("delay per packet: %.3f us, limit 0.300\n", (tag + draw) / 1e3);
	return tag + draw < 300 && sink ? 0 : 1;
}
