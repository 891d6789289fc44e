/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop_health_plan.h"

#include <math.h>

static const double GAIN_EARLY_MAX = 2.772588722239781; /* ln 16 */
static const double GAIN_LATE_MAX = 1.386294361119891;  /* ln 4 */

/* Chance that a sum of `n` exponentials of mean 1 is above x. */
static double erlang_above(unsigned n, double x)
{
	double term = 1, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		sum += term;
		term *= x / (i + 1);
	}
	return n == 0 ? 0 : exp(-x) * sum;
}

double loop_health_quantile(unsigned n, double above)
{
	double low = 0, high = 100;

	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;

		if (erlang_above(n, middle) > above)
			low = middle;
		else
			high = middle;
	}
	return high;
}

double loop_health_gain_early(unsigned delaying, double x)
{
	const double terms = delaying - 1;

	if (delaying == 1)
		return log(10) - 9 * fmax(x, 0);
	return x * 16 <= terms ? GAIN_EARLY_MAX : log(terms / x);
}

double loop_health_gain_late(unsigned delaying, double x)
{
	if (x * 16 <= delaying)
		return -GAIN_EARLY_MAX;
	return fmin(log(x / delaying), GAIN_LATE_MAX);
}

double loop_health_gain_beyond(bool beyond)
{
	const double fault = 0.5;

	return beyond ? log(fault / LOOP_HEALTH_BEYOND)
		      : log((1 - fault) / (1 - LOOP_HEALTH_BEYOND));
}

/* Wald's bound; the tail is that of an inverse Gaussian law to the second order (Cornish, Fisher),
 * of which 3.09 and 4.27 are z and 3(z^2-1)/6 for a chance of 1 in 1000. */
static struct loop_health_prediction predict(double h, double most, double mean, double variance)
{
	const double loops = (h + most) / mean;
	const double deviation = sqrt(variance * (h + most) / (mean * mean * mean));

	return (struct loop_health_prediction){
		.mean = loops,
		.worst = ceil(loops + deviation * (3.09 + 4.27 * deviation / loops)),
	};
}

static struct loop_health_prediction predict_two_values(
	double h, double chance, double gain, double otherwise)
{
	const double mean = chance * gain + (1 - chance) * otherwise;
	const double apart = gain - otherwise;

	return predict(h, gain, mean, chance * (1 - chance) * apart * apart);
}

/* Numerically, for a gain of a sum of `terms` exponentials of mean 1, moved by `shift`. */
static struct loop_health_prediction predict_law(double h, double most,
	double (*gain)(unsigned, double), unsigned delaying, unsigned terms, double shift)
{
	const double step = 1.0 / 256;
	double mean = 0, square = 0, scale = 1;

	for (unsigned i = 2; i < terms; i++)
		scale *= i;
	for (double x = step / 2; x < 64; x += step) {
		const double weight = pow(x, terms - 1) * exp(-x) / scale * step;
		const double g = gain(delaying, x + shift);

		mean += weight * g;
		square += weight * g * g;
	}
	return predict(h, most, mean, square - mean * mean);
}

static void predict_times(const struct loop_health_config *c, struct loop_health_plan *p)
{
	const double h = p->threshold;
	const unsigned n = c->delaying;

	if (c->delays != LOOP_HEALTH_LAW && n > 0) {
		const int others = (c->delays == LOOP_HEALTH_BOTH ? 2 : 1) * ((int)n - 1);
		const double chance = ldexp(exp(-LOOP_HEALTH_SLACK), -others);

		p->early = (struct loop_health_prediction){
			1 / chance, ceil(log(1e-3) / log1p(-chance))};
	}
	if (c->delays == LOOP_HEALTH_KNOWN) {
		p->late = predict_two_values(
			h, 0.95, loop_health_gain_beyond(true), loop_health_gain_beyond(false));
		return;
	}
	if (c->delays == LOOP_HEALTH_LAW)
		p->early = n == 1 ? predict(h, log(10), log(10) - 0.9, 0.81)
				  : predict_law(h, GAIN_EARLY_MAX, loop_health_gain_early, n, n - 1,
					    LOOP_HEALTH_SLACK * n / 2);
	p->late =
		predict_law(h, GAIN_LATE_MAX, loop_health_gain_late, n, n + 1, -LOOP_HEALTH_SLACK);
}

void loop_health_make_plan(const struct loop_health_config *c, struct loop_health_plan *p)
{
	const double trials = LOOP_HEALTH_QUIET_S * fmax(1, c->loops_per_second * c->hops);

	/* the small term: powers of 100 are exact in arithmetic, not in logarithms */
	p->row = (unsigned)ceil(log(trials) / -log(LOOP_HEALTH_P0) - 1e-9);
	p->threshold = log(trials);
	p->per_trial = pow(LOOP_HEALTH_P0, p->row);
	p->quiet_s = LOOP_HEALTH_QUIET_S;
	p->patience_ns = c->network_ns;
	if (c->delays != LOOP_HEALTH_KNOWN)
		p->patience_ns +=
			(uint64_t)(loop_health_quantile(c->delaying, LOOP_HEALTH_DEADLINE_CHANCE) *
				   (double)c->mean_ns);
	p->lost = (struct loop_health_prediction){p->row + 1, 2 * p->row};
	/* a row of n has one of 2H nodes in common with a chance of at most 2H/2^n */
	p->relay = (struct loop_health_prediction){
		p->row + 1, fmax(2 * p->row, ceil(log2(2e3 * c->hops)))};
	p->lossy = predict_two_values(p->threshold, LOOP_HEALTH_P1,
		log(LOOP_HEALTH_P1 / LOOP_HEALTH_P0),
		log((1 - LOOP_HEALTH_P1) / (1 - LOOP_HEALTH_P0)));
	predict_times(c, p);
}
