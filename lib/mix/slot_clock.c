/* SPDX-License-Identifier: BSD-3-Clause */
#include "mix/slot_clock.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include "vrf/delay.h"

__extension__ typedef unsigned __int128 wide;

enum { FRACTION_BITS = 16 };

/* ---- random numbers */

void slot_random_seed(struct slot_random *r, const uint8_t seed[SLOT_SEED_SIZE])
{
	memcpy(r->key, seed, sizeof(r->key));
	r->left = 0;
}

static void refill(struct slot_random *r)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t out[sizeof(r->key) + sizeof(r->word)];

	crypto_stream_chacha20(out, sizeof(out), nonce, r->key);
	memcpy(r->key, out, sizeof(r->key));
	memcpy(r->word, out + sizeof(r->key), sizeof(r->word));
	r->left = SLOT_RANDOM_WORDS;
}

uint64_t slot_random_next(struct slot_random *r)
{
	if (r->left == 0)
		refill(r);
	return r->word[--r->left];
}

/* Uniform in 0..n-1, to within n / 2^64. */
static uint64_t below(struct slot_random *r, uint64_t n)
{
	return (uint64_t)((wide)slot_random_next(r) * n >> 64);
}

/* ---- clock */

int slot_clock_init(struct slot_clock *c, enum slot_law law, uint64_t rate, uint64_t hz,
	uint64_t now, struct slot_random *r)
{
	if (rate < 1 || rate > hz || hz > UINT64_C(1) << 40)
		return -EINVAL;
	*c = (struct slot_clock){
		.next = now,
		.late_max = hz / (1000000 / SLOT_LATE_US),
		.law = law,
		.rate = rate,
		.hz = hz,
		.mean = (hz << FRACTION_BITS) / rate,
	};
	if (c->late_max < hz / rate)
		c->late_max = hz / rate;
	if (law == SLOT_CONSTANT) {
		uint64_t phase = below(r, hz); /* of a gap, in 1/rate cycles */

		c->next += 1 + phase / rate;
		c->carry = phase % rate;
	} else {
		slot_clock_advance(c, r);
	}
	return 0;
}

void slot_clock_advance(struct slot_clock *c, struct slot_random *r)
{
	if (c->law == SLOT_CONSTANT) {
		uint64_t sum = c->carry + c->hz;

		c->next += sum / c->rate;
		c->carry = sum % c->rate;
	} else {
		wide gap = (wide)c->mean * delay_exp(slot_random_next(r)) >> DELAY_ONE_BITS;
		uint64_t sum = c->carry + (uint64_t)gap;

		c->next += sum >> FRACTION_BITS;
		c->carry = sum & ((1u << FRACTION_BITS) - 1);
	}
}

/* Slots before `limit`, which is behind the next one. */
static uint64_t skip_constant(struct slot_clock *c, uint64_t limit)
{
	/* the first j with carry + j * hz >= (limit - next) * rate */
	wide ahead = (wide)(limit - c->next) * c->rate - c->carry;
	uint64_t n = (uint64_t)((ahead + c->hz - 1) / c->hz);
	wide sum = c->carry + (wide)n * c->hz;

	c->next += (uint64_t)(sum / c->rate);
	c->carry = (uint64_t)(sum % c->rate);
	return n;
}

static uint64_t skip_poisson(struct slot_clock *c, struct slot_random *r, uint64_t limit)
{
	uint64_t n = 0;

	while (n < SLOT_SKIP_DRAWS && c->next < limit) {
		slot_clock_advance(c, r);
		n++;
	}
	if (c->next < limit) {
		n += 1 + (uint64_t)((wide)(limit - c->next) * c->rate / c->hz);
		c->next = limit;
		slot_clock_advance(c, r);
	}
	return n;
}

uint64_t slot_clock_skip(struct slot_clock *c, struct slot_random *r, uint64_t now)
{
	uint64_t limit = now > c->late_max ? now - c->late_max : 0;

	if (c->next >= limit)
		return 0;
	return c->law == SLOT_CONSTANT ? skip_constant(c, limit) : skip_poisson(c, r, limit);
}

/* ---- heap */

static void sift_down(struct slot_heap *h)
{
	struct slot_entry x = h->entry[0];
	unsigned i = 0;

	for (unsigned child; (child = 2 * i + 1) < h->count; i = child) {
		if (child + 1 < h->count && h->entry[child + 1].at < h->entry[child].at)
			child++;
		if (h->entry[child].at >= x.at)
			break;
		h->entry[i] = h->entry[child];
	}
	h->entry[i] = x;
}

int slot_heap_push(struct slot_heap *h, uint64_t at, uint32_t index)
{
	unsigned i = h->count;

	if (i == h->capacity)
		return -ENOSPC;
	h->count++;
	for (; i > 0 && h->entry[(i - 1) / 2].at > at; i = (i - 1) / 2)
		h->entry[i] = h->entry[(i - 1) / 2];
	h->entry[i] = (struct slot_entry){.at = at, .index = index};
	return 0;
}

void slot_heap_again(struct slot_heap *h, uint64_t at)
{
	h->entry[0].at = at;
	sift_down(h);
}
