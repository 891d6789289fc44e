/* SPDX-License-Identifier: BSD-3-Clause */
/* perf_delay: what a packet's delay costs, in bursts of 128 and one at a time. The limit of the
 * design is 0.3 us for tag and draw together. */
#include <sodium.h>

#include "bench.h"
#include "vrf/delay.h"

enum { BURST = 128, BURSTS = 40 };

static uint8_t key[32], shared[BURST][32], tags[BURST][DELAY_TAG_SIZE];
static const uint8_t *pointers[BURST];
static struct delay_draw draws[BURST];
static uint64_t sink;

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

/* Runs a function of one burst so often that the clock's own time does not show. */
static void bursts(void *arg)
{
	void (*const *work)(void) = arg;

	for (unsigned i = 0; i < BURSTS; i++)
		(*work)();
}

int main(void)
{
	static struct {
		const char *name;
		void (*work)(void);
	} kinds[] = {
		{"tag, burst of 128", tag_burst},
		{"draw, burst of 128", draw_burst},
		{"tag, one at a time", tag_single},
		{"draw, one at a time", draw_single},
		{"exponential alone", exponential},
		{"(tag by keyed BLAKE2b)", tag_blake2b},
	};
	enum { KINDS = sizeof(kinds) / sizeof(*kinds) };
	static struct bench rows[KINDS];
	double both;

	if (sodium_init() < 0)
		return 1;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(shared, sizeof(shared));
	for (unsigned i = 0; i < BURST; i++)
		pointers[i] = shared[i];
	for (unsigned i = 0; i < KINDS; i++)
		rows[i] = (struct bench){.name = kinds[i].name,
			.run = bursts,
			.arg = &kinds[i].work,
			.times = BURST * BURSTS};
	bench_run(rows, KINDS);
	for (unsigned i = 0; i < KINDS; i++)
		printf("delay %-24s %7.1f ns\n", rows[i].name, bench_ns(&rows[i]));
	bench_result(&rows[0], "delay.tag", "size=%d", BURST);
	bench_result(&rows[1], "delay.draw", "size=%d", BURST);
	both = bench_ns(&rows[0]) + bench_ns(&rows[1]);
	printf("delay per packet: %.3f us, limit 0.300\n", both / 1e3);
	both /= 1e3;
	result_write(&(struct result){.name = "delay.packet",
		.unit = "us",
		.better = RESULT_LOWER,
		.values = &both,
		.count = 1,
		.floor = 0.3,
		.goal = 0.3});
	return both < 0.3 && sink ? 0 : 1;
}
