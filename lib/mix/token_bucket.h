/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIX_TOKEN_BUCKET_H
#define BETANET_MIX_TOKEN_BUCKET_H

#include <stdint.h>

/*
 * A token bucket counted in time: a packet costs 1/rate, credit grows with the clock up to `burst`
 * packets. Times in cycles, with 16 fractional bits in the cost, so that a rate is kept to within
 * 2^-16 cycles a packet. One thread owns a bucket.
 */
struct token_bucket {
	uint64_t cost;   /* cycles of one packet, 48.16 fixed point; 0: no limit */
	uint64_t limit;  /* most credit */
	uint64_t credit; /* 48.16 */
	uint64_t last;   /* cycles */
};

/* rate_pps 0: no limit. burst >= 1 packets; at most as many as 2^48 cycles pay for (18 hours at
 * 4 GHz). hz: cycles per second, up to 2^40. */
static inline void token_bucket_init(
	struct token_bucket *t, uint64_t rate_pps, uint32_t burst, uint64_t hz, uint64_t now)
{
	t->cost = rate_pps ? (hz << 16) / rate_pps : 0;
	if (rate_pps && t->cost == 0)
		t->cost = 1;
	t->limit = t->cost && burst > UINT64_MAX / t->cost ? UINT64_MAX / t->cost * t->cost
							   : t->cost * burst;
	t->credit = t->limit;
	t->last = now;
}

/* How many of `want` packets may go now; their tokens are taken. */
static inline unsigned token_bucket_take(struct token_bucket *t, uint64_t now, unsigned want)
{
	uint64_t elapsed, n;

	if (t->cost == 0)
		return want;
	elapsed = now - t->last;
	t->last = now;
	/* beyond 2^48 cycles the bucket is full in any case; the shift must not overflow */
	if (elapsed >> 48 || t->limit - t->credit < elapsed << 16)
		t->credit = t->limit;
	else
		t->credit += elapsed << 16;
	n = t->credit / t->cost;
	if (n > want)
		n = want;
	t->credit -= n * t->cost;
	return (unsigned)n;
}

#endif
