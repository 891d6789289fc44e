/* SPDX-License-Identifier: BSD-3-Clause */
#include "histogram.h"

#include <math.h>

/* Below 2 * HISTOGRAM_SUB the index is the value; above, the exponent chooses the group and the
 * HISTOGRAM_SUB_BITS bits behind the leading one the bucket in it. */
static unsigned index_of(uint64_t value)
{
	unsigned exponent, shift;

	if (value < 2 * HISTOGRAM_SUB)
		return (unsigned)value;
	exponent = 63 - (unsigned)__builtin_clzll(value);
	shift = exponent - HISTOGRAM_SUB_BITS;
	return shift * HISTOGRAM_SUB + (unsigned)(value >> shift);
}

static uint64_t upper_bound(unsigned index)
{
	unsigned shift;
	uint64_t top;

	if (index < 2 * HISTOGRAM_SUB)
		return index;
	shift = index / HISTOGRAM_SUB - 1;
	top = index % HISTOGRAM_SUB + HISTOGRAM_SUB;
	return (top << shift) + ((UINT64_C(1) << shift) - 1);
}

void histogram_record(struct histogram *h, uint64_t value)
{
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
	h->bucket[index_of(value)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (h->count == 0 || from->min < h->min)
		h->min = from->min;
	if (from->max > h->max)
		h->max = from->max;
	h->count += from->count;
	h->sum += from->sum;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->bucket[i] += from->bucket[i];
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
	double rank = ceil(q * (double)h->count);
	uint64_t want = rank < 1 ? 1 : (uint64_t)rank;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want) {
			uint64_t bound = upper_bound(i);

			return bound < h->max ? bound : h->max;
		}
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}
