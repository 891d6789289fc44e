/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "json.h"
#include "vrf/delay.h"

enum { SAMPLES = 1000000, TAIL_SAMPLES = 100000 };

static struct json *golden;

/* Uniform draws from a fixed key: the statistics below come out the same every time. */
static uint64_t uniform(uint64_t i)
{
	static const uint8_t key[32] = "test_delay";
	uint8_t in[16] = {0}, out[32];

	store_le64(in, i);
	crypto_core_hchacha20(out, in, key, NULL);
	return load_le64(out);
}

static double in_means(uint64_t exp)
{
	return ldexp((double)exp, -DELAY_ONE_BITS);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* P(E <= x) of the exponential law cut at 20 */
static double law(double x)
{
	return expm1(-x) / expm1(-20);
}

/* Kolmogorov-Smirnov's sqrt(n) * D against the law; sorts. `from` is where the sampled part of the
 * law begins. The limit at 1 % is 1.628. */
static double kolmogorov_smirnov(double *x, unsigned n, double from)
{
	double worst = 0;

	qsort(x, n, sizeof(*x), compare);
	for (unsigned i = 0; i < n; i++) {
		double f = (law(x[i]) - law(from)) / (1 - law(from));
		double above = (i + 1.0) / n - f, below = f - (double)i / n;

		worst = fmax(worst, fmax(above, below));
	}
	return worst * sqrt(n);
}

static void golden_values_come_out_bit_for_bit(void **state)
{
	const struct json *means = json_need(golden, "means"), *v;
	unsigned n = 0;

	(void)state;
	json_each(v, json_need(golden, "vectors"))
	{
		const struct json *delays = json_need(v, "delays");
		uint64_t exp = delay_exp(json_u64(v, "draw"));

		assert_int_equal(exp, json_u64(v, "exp"));
		for (unsigned i = 0; i < means->count; i++)
			assert_int_equal(delay_scale(json_u64_value(json_at(means, i)), exp),
				json_u64_value(json_at(delays, i)));
		n++;
	}
	assert_true(n > 500);
}

static void golden_prf_values_come_out_bit_for_bit(void **state)
{
	const struct json *v;
	unsigned n = 0;

	(void)state;
	json_each(v, json_need(golden, "prf"))
	{
		uint8_t beta[64], shared[32], key[32], tag[16], want[32];
		struct delay_draw draw;

		json_hex_exact(v, "beta", beta, 64);
		json_hex_exact(v, "shared", shared, 32);
		delay_epoch_key(key, beta, json_u64(v, "epoch"));
		json_hex_exact(v, "key", want, 32);
		assert_memory_equal(key, want, 32);
		delay_tag(tag, shared);
		json_hex_exact(v, "tag", want, 16);
		assert_memory_equal(tag, want, 16);
		delay_draw(key, tag, &draw);
		assert_int_equal(draw.exp, json_u64(v, "exp"));
		assert_int_equal(draw.tie, json_u64(v, "tie"));
		n++;
	}
	assert_int_equal(n, 16);
}

static void a_million_samples_follow_the_law(void **state)
{
	double *x = malloc(SAMPLES * sizeof(*x)), sum = 0, square = 0, mean, variance, ks;

	(void)state;
	for (unsigned i = 0; i < SAMPLES; i++) {
		x[i] = in_means(delay_exp(uniform(i)));
		sum += x[i];
		square += x[i] * x[i];
	}
	mean = sum / SAMPLES;
	variance = square / SAMPLES - mean * mean;
	ks = kolmogorov_smirnov(x, SAMPLES, 0);
	assert_true(x[SAMPLES - 1] <= 20);
	free(x);
	if (ks > 1.628)
		fail_msg("Kolmogorov-Smirnov %.3f, above 1.628", ks);
	/* four standard errors: 1/sqrt(n), sqrt(8/n) */
	if (fabs(mean - 1) > 0.004 || fabs(variance - 1) > 0.0113)
		fail_msg("mean %.5f, variance %.5f, both should be 1", mean, variance);
}

/* The test must be able to see a wrong law: a clamp at 5 means, and a mean wrong by half a percent.
 */
static void the_statistic_sees_a_wrong_law(void **state)
{
	double *x = malloc(SAMPLES * sizeof(*x));

	(void)state;
	for (unsigned i = 0; i < SAMPLES; i++)
		x[i] = fmin(5, in_means(delay_exp(uniform(i))));
	assert_true(kolmogorov_smirnov(x, SAMPLES, 0) > 1.628);
	for (unsigned i = 0; i < SAMPLES; i++)
		x[i] = 1.005 * in_means(delay_exp(uniform(i)));
	assert_true(kolmogorov_smirnov(x, SAMPLES, 0) > 1.628);
	free(x);
}

/* The part of the law beyond 13.8 means, sampled by draws of its own: up to the cap it goes on as
 * before, and no value is common. */
static void the_tail_ends_at_the_cap_without_an_atom(void **state)
{
	const unsigned shift = 20; /* draws below 2^44: the last 2^-20 of the probability */
	double *x = malloc(TAIL_SAMPLES * sizeof(*x)), from = in_means(delay_exp(1ULL << 44)), ks;
	unsigned same = 0, at_cap = 0;

	(void)state;
	for (unsigned i = 0; i < TAIL_SAMPLES; i++) {
		x[i] = in_means(delay_exp(uniform(i) >> shift));
		at_cap += x[i] > 19.99;
	}
	ks = kolmogorov_smirnov(x, TAIL_SAMPLES, from);
	for (unsigned i = 1; i < TAIL_SAMPLES; i++)
		same += x[i] == x[i - 1];
	assert_true(x[0] >= from);
	assert_true(x[TAIL_SAMPLES - 1] <= 20);
	free(x);
	if (ks > 1.628)
		fail_msg("Kolmogorov-Smirnov of the tail %.3f, above 1.628", ks);
	/* 10^5 of 2^44 draws: two equal ones have chance 3 * 10^-4, and the draws are fixed */
	assert_true(same <= 1);
	/* (e^-19.99 - e^-20) / 2^-20 of the samples: 2.2 are expected; a clamp would put 216 there
	 */
	assert_true(at_cap <= 12);
}

static void a_greater_draw_never_gives_a_longer_delay(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		uint64_t a = uniform(i) >> i % 40, step = uniform(~(uint64_t)i) >> (4 + i % 60);

		if (a + step < a)
			continue;
		assert_true(delay_exp(a) >= delay_exp(a + step));
		if (a < UINT64_MAX)
			assert_true(delay_exp(a) >= delay_exp(a + 1));
	}
	/* around the seams between octaves: draws that land next to a power of two */
	for (unsigned bit = 36; bit < 64; bit++) {
		long double floor_v = 0x8da432afap0L;
		uint64_t near =
			(uint64_t)((ldexpl(1, (int)bit) - floor_v) / (1 - ldexpl(floor_v, -64)));

		for (uint64_t d = near - 3000; d < near + 3000; d++)
			assert_true(delay_exp(d) >= delay_exp(d + 1));
	}
}

static void the_ends_of_the_draw_stay_inside(void **state)
{
	(void)state;
	assert_true(delay_exp(0) <= DELAY_CAP_MEANS * DELAY_ONE);
	assert_true(delay_exp(0) > DELAY_CAP_MEANS * DELAY_ONE - (DELAY_ONE >> 30));
	assert_true(delay_exp(UINT64_MAX) > 0);
	assert_true(delay_exp(UINT64_MAX) < DELAY_ONE >> 44);
}

static void no_delay_exceeds_twenty_means(void **state)
{
	static const uint64_t means[] = {0, 1, 2, 3, 50000000, 10000000000, DELAY_MEAN_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(means) / sizeof(*means); i++) {
		assert_true(delay_scale(means[i], delay_exp(0)) <= 20 * means[i]);
		assert_true(delay_scale(means[i], DELAY_ONE) == means[i]);
	}
	assert_int_equal(delay_scale(DELAY_MEAN_MAX, 20 * DELAY_ONE), 20 * DELAY_MEAN_MAX);
}

static void bursts_agree_with_single_packets(void **state)
{
	enum { N = 37 };
	uint8_t shared[N][32], tags[N + 1][DELAY_TAG_SIZE], tag[DELAY_TAG_SIZE], key[32];
	struct delay_draw draws[N + 1], draw;
	const uint8_t *pointers[N];

	(void)state;
	for (unsigned n = 0; n <= N; n++) {
		randombytes_buf(shared, sizeof(shared));
		randombytes_buf(key, sizeof(key));
		memset(tags, 0xa5, sizeof(tags));
		memset(draws, 0xa5, sizeof(draws));
		for (unsigned i = 0; i < N; i++)
			pointers[i] = shared[N - 1 - i];
		delay_tag_burst(tags, pointers, n);
		delay_draw_burst(key, (const uint8_t(*)[DELAY_TAG_SIZE])tags, n, draws);
		for (unsigned i = 0; i < n; i++) {
			delay_tag(tag, pointers[i]);
			assert_memory_equal(tags[i], tag, sizeof(tag));
			delay_draw(key, tag, &draw);
			assert_memory_equal(&draws[i], &draw, sizeof(draw));
		}
		memset(tag, 0xa5, sizeof(tag));
		assert_memory_equal(tags[n], tag, sizeof(tag)); /* nothing behind the end */
		memset(&draw, 0xa5, sizeof(draw));
		assert_memory_equal(&draws[n], &draw, sizeof(draw));
	}
}

static void delay_and_tie_are_unrelated(void **state)
{
	uint8_t key[32] = {7}, tag[16] = {0};
	double sum_xy = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_yy = 0, r;
	const double n = 100000;

	(void)state;
	for (unsigned i = 0; i < (unsigned)n; i++) {
		struct delay_draw d;
		double x, y;

		store_le64(tag, i);
		delay_draw(key, tag, &d);
		x = in_means(d.exp);
		y = ldexp((double)d.tie, -64);
		sum_x += x, sum_y += y, sum_xx += x * x, sum_yy += y * y, sum_xy += x * y;
	}
	r = (n * sum_xy - sum_x * sum_y) /
	    sqrt((n * sum_xx - sum_x * sum_x) * (n * sum_yy - sum_y * sum_y));
	assert_true(fabs(r) < 4 / sqrt(n));
}

static void modes_combine_as_the_header_says(void **state)
{
	static const struct {
		enum delay_mode mode;
		uint64_t vrf, sender, total;
	} cases[] = {
		{DELAY_VRF, 5, 7000000, 5},
		{DELAY_VRF, 0, UINT64_MAX, 0},
		{DELAY_SENDER, 5, 7000000, 7000000},
		{DELAY_SENDER, 5, 0, DELAY_SENDER_MIN_NS},
		{DELAY_SENDER, 5, UINT64_MAX, DELAY_SENDER_MAX_NS},
		{DELAY_SUM, 5, 7000000, 7000005},
		{DELAY_SUM, 5, 0, DELAY_SENDER_MIN_NS + 5},
		{DELAY_SUM, 5, UINT64_MAX, DELAY_SENDER_MAX_NS + 5},
		{DELAY_NONE, 5, 7000000, 0},
	};
	enum delay_mode m;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
			delay_total(cases[i].mode, cases[i].vrf, cases[i].sender), cases[i].total);
	assert_int_equal(delay_longest(DELAY_VRF, 50), 1000);
	assert_int_equal(delay_longest(DELAY_SENDER, 50), DELAY_SENDER_MAX_NS);
	assert_int_equal(delay_longest(DELAY_SUM, 50), DELAY_SENDER_MAX_NS + 1000);
	assert_int_equal(delay_longest(DELAY_NONE, 50), 0);
	for (m = DELAY_VRF; m <= DELAY_NONE; m++) {
		enum delay_mode back;

		assert_int_equal(delay_mode_parse(&back, delay_mode_name(m)), 0);
		assert_int_equal(back, m);
	}
	assert_int_equal(delay_mode_parse(&m, "VRF"), -EINVAL);
	assert_int_equal(delay_mode_parse(&m, ""), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_values_come_out_bit_for_bit),
		cmocka_unit_test(golden_prf_values_come_out_bit_for_bit),
		cmocka_unit_test(a_million_samples_follow_the_law),
		cmocka_unit_test(the_statistic_sees_a_wrong_law),
		cmocka_unit_test(the_tail_ends_at_the_cap_without_an_atom),
		cmocka_unit_test(a_greater_draw_never_gives_a_longer_delay),
		cmocka_unit_test(the_ends_of_the_draw_stay_inside),
		cmocka_unit_test(no_delay_exceeds_twenty_means),
		cmocka_unit_test(bursts_agree_with_single_packets),
		cmocka_unit_test(delay_and_tie_are_unrelated),
		cmocka_unit_test(modes_combine_as_the_header_says),
	};
	int r;

	if (sodium_init() < 0)
		return 1;
	golden = json_load("tests/vectors/delay/delay.json");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	json_free(golden);
	return r;
}
