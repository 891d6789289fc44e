/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_HISTOGRAM_H
#define BETANET_TESTMIX_HISTOGRAM_H

#include <stdint.h>

/*
 * A histogram of 64-bit values (nanoseconds here) in the manner of HdrHistogram: every power of two
 * is split into 128 equal buckets, so a value is known to better than 1 part in 128 (0.8 %) over
 * the whole range, values below 256 exactly, in fixed memory. One writer; readers wait until it is
 * done.
 */
enum {
	HISTOGRAM_SUB_BITS = 7,
	HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS,
	HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB,
};

/* All zero is an empty histogram. */
struct histogram {
	uint64_t count;
	uint64_t sum; /* of the values as recorded, not of the buckets; wraps at 2^64 */
	uint64_t min, max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *h, uint64_t value);

/* Adds everything that `from` holds. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/*
 * The smallest bucket bound that at least q (0..1) of the values do not exceed, never above the
 * largest value recorded: the true quantile lies at most 1/128 below it. 0 when empty.
 */
uint64_t histogram_quantile(const struct histogram *h, double q);

/* 0 when empty. */
double histogram_mean(const struct histogram *h);

#endif
