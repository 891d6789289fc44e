/* SPDX-License-Identifier: BSD-3-Clause */
#include "mix/wheel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Time is cut into ticks; `next` is the slot of the oldest tick that was not drained yet and
 * `next_time` the moment from which it may be. An object goes into the first tick whose time is not
 * before its due, so that draining a tick releases nothing early.
 *
 * A slot is a chain of chunks, only the first of which is part-filled. With S slots, n objects and
 * K objects in a chunk a chain of m objects takes (m - 1) / K + 1 chunks, so that all chains
 * together take at most o + (n - o) / K, o = min(n, S) being the occupied slots: so many chunks are
 * made.
 *
 * A tick that is drained is moved out of its chunks at once (they are free again) into `ready`: up
 * to SORT_SMALL objects directly, more by the top bits of their ties into buckets of a few, so that
 * the order costs O(1) an object whatever their number. A bucket is sorted when its first object is
 * handed out. Ties that are not uniform make some buckets large: these take a heap sort.
 *
 * Occupied slots are marked in a bitmap with summaries (64 bits to a bit), so that the next one is
 * found in a few steps, after whatever stall.
 */
enum {
	CHUNK_ITEMS = 10,
	SORT_SMALL = 32,
	BUCKET_ITEMS = 8, /* at most so many a bucket, on average */
	BUCKETS_MAX = 1 << 16,
	LEVELS = 5, /* 64^5 > 2^25 slots */
};
#define CAPACITY_MAX (UINT32_C(1) << 30)
#define TICKS_MAX (UINT64_C(1) << 24)
#define NO_CHUNK UINT32_MAX
#define HUGE_PAGE ((size_t)2 << 20)

struct chunk {
	uint32_t next;
	uint32_t pad[3];
	struct wheel_item item[CHUNK_ITEMS];
};
_Static_assert(sizeof(struct chunk) == 256, "four cache lines");

struct slot {
	uint32_t head; /* chunk; NO_CHUNK when empty */
	uint32_t count;
};

struct wheel {
	uint64_t next_time;
	uint64_t now; /* of the last wheel_expire */
	uint64_t tick, tick_inverse;
	uint64_t horizon;
	uint32_t next;
	uint32_t mask;
	uint32_t count, capacity;
	uint32_t free_chunk;
	struct slot *slots;
	struct chunk *chunks;
	/* drained and not handed out: ready[ready_head .. ready_count), sorted up to ready_sorted
	 */
	struct wheel_item *ready;
	uint32_t ready_head, ready_sorted, ready_count;
	uint32_t bucket, buckets; /* the next bucket to sort, of how many; 0 of 0: all sorted */
	uint32_t *bucket_end;
	uint64_t *bits[LEVELS];
	unsigned levels;
};

/* --- sizes --- */

struct sizes {
	uint64_t slots, chunks, buckets, words;
};

static uint64_t pow2_at_least(uint64_t n)
{
	return n <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(n - 1));
}

static struct sizes sizes_of(const struct wheel_params *p)
{
	struct sizes s;
	uint64_t occupied;

	/* without a backlog the last slot needed is horizon / tick + 1 after `next` */
	s.slots = pow2_at_least(p->horizon / p->tick + 2);
	occupied = p->capacity < s.slots ? p->capacity : s.slots;
	s.chunks = occupied + (p->capacity - occupied) / CHUNK_ITEMS;
	s.buckets = pow2_at_least(p->capacity / BUCKET_ITEMS + 1);
	if (s.buckets > BUCKETS_MAX)
		s.buckets = BUCKETS_MAX;
	s.words = 0;
	for (uint64_t n = s.slots; n > 1 || s.words == 0;) {
		n = (n + 63) / 64;
		s.words += n;
	}
	return s;
}

size_t wheel_memory(const struct wheel_params *p)
{
	struct sizes s = sizes_of(p);

	return sizeof(struct wheel) + s.slots * sizeof(struct slot) +
	       s.chunks * sizeof(struct chunk) + p->capacity * sizeof(struct wheel_item) +
	       s.buckets * sizeof(uint32_t) + s.words * sizeof(uint64_t);
}

/* --- creation --- */

/* Zeroed and touched: a worker shall not meet page faults. */
static void *big_alloc(size_t n)
{
	size_t align = n >= HUGE_PAGE ? HUGE_PAGE : 64;
	void *p = aligned_alloc(align, (n + align - 1) / align * align);

	if (!p)
		return NULL;
	if (align == HUGE_PAGE)
		(void)madvise(p, n, MADV_HUGEPAGE);
	memset(p, 0, n);
	return p;
}

static int check_params(const struct wheel_params *p, struct error *err)
{
	if (p->tick < 1)
		return error_set(err, EINVAL, "wheel: tick is 0 cycles; it must be at least 1");
	if (p->horizon / p->tick > TICKS_MAX)
		return error_set(err, EINVAL,
			"wheel: a horizon of %" PRIu64 " cycles is %" PRIu64 " ticks of %" PRIu64
			" cycles; at most 2^24 are allowed: raise the tick or lower the longest "
			"delay",
			p->horizon, p->horizon / p->tick, p->tick);
	if (p->capacity < 1 || p->capacity > CAPACITY_MAX)
		return error_set(err, EINVAL,
			"wheel: capacity is %" PRIu32 " objects; allowed are 1 to 2^30",
			p->capacity);
	return 0;
}

static void link_chunks(struct wheel *w, uint64_t chunks, uint64_t slots)
{
	for (uint64_t i = 0; i < chunks; i++)
		w->chunks[i].next = i + 1 < chunks ? (uint32_t)(i + 1) : NO_CHUNK;
	for (uint64_t i = 0; i < slots; i++)
		w->slots[i].head = NO_CHUNK;
}

static void lay_bitmap(struct wheel *w, uint64_t slots)
{
	uint64_t *at = w->bits[0];

	for (uint64_t n = slots; n > 1 || w->levels == 0;) {
		n = (n + 63) / 64;
		w->bits[w->levels++] = at;
		at += n;
	}
}

int wheel_create(const struct wheel_params *p, struct wheel **out, struct error *err)
{
	struct wheel *w;
	struct sizes s;
	int r = check_params(p, err);

	if (r < 0)
		return r;
	s = sizes_of(p);
	w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	if (w) {
		memset(w, 0, sizeof(*w));
		w->slots = big_alloc(s.slots * sizeof(*w->slots));
		w->chunks = big_alloc(s.chunks * sizeof(*w->chunks));
		w->ready = big_alloc(p->capacity * sizeof(*w->ready));
		w->bucket_end = big_alloc(s.buckets * sizeof(*w->bucket_end));
		w->bits[0] = big_alloc(s.words * sizeof(uint64_t));
	}
	if (!w || !w->slots || !w->chunks || !w->ready || !w->bucket_end || !w->bits[0]) {
		wheel_free(w);
		return error_set(err, ENOMEM,
			"wheel: %zu bytes for %" PRIu32
			" parked objects are not available: lower pipeline.pool_size",
			wheel_memory(p), p->capacity);
	}
	link_chunks(w, s.chunks, s.slots);
	lay_bitmap(w, s.slots);
	w->tick = p->tick;
	w->tick_inverse = UINT64_MAX / p->tick;
	w->horizon = p->horizon;
	w->mask = (uint32_t)(s.slots - 1);
	w->capacity = p->capacity;
	w->now = p->now;
	w->next_time = p->now + p->tick;
	*out = w;
	return 0;
}

void wheel_free(struct wheel *w)
{
	if (!w)
		return;
	free(w->slots);
	free(w->chunks);
	free(w->ready);
	free(w->bucket_end);
	free(w->bits[0]);
	free(w);
}

/* --- bitmap of occupied slots --- */

static void bit_set(struct wheel *w, uint32_t i)
{
	for (unsigned l = 0; l < w->levels; l++, i >>= 6) {
		uint64_t *word = &w->bits[l][i >> 6], was = *word;

		*word = was | UINT64_C(1) << (i & 63);
		if (was)
			return;
	}
}

static void bit_clear(struct wheel *w, uint32_t i)
{
	for (unsigned l = 0; l < w->levels; l++, i >>= 6) {
		uint64_t *word = &w->bits[l][i >> 6];

		*word &= ~(UINT64_C(1) << (i & 63));
		if (*word)
			return;
	}
}

/* The first set bit >= from; false when there is none. */
static bool bit_find(const struct wheel *w, uint32_t from, uint32_t *found)
{
	uint64_t i = from;
	unsigned l = 0;

	/* up, until a word has a bit at or behind our place; then down along first bits */
	for (;; l++) {
		uint64_t word;

		if (l == w->levels || i >> 6 > w->mask >> 6 * (l + 1))
			return false;
		word = w->bits[l][i >> 6] & UINT64_MAX << (i & 63);
		if (word) {
			i = (i & ~UINT64_C(63)) + (unsigned)__builtin_ctzll(word);
			break;
		}
		i = (i >> 6) + 1;
	}
	while (l-- > 0)
		i = i << 6 | (unsigned)__builtin_ctzll(w->bits[l][i]);
	*found = (uint32_t)i;
	return true;
}

/* Ticks from `next` to the next occupied slot; UINT64_MAX when all are empty. */
static uint64_t next_occupied(const struct wheel *w)
{
	uint32_t i;

	if (w->count == w->ready_count - w->ready_head)
		return UINT64_MAX;
	if (!bit_find(w, w->next, &i) && !bit_find(w, 0, &i))
		return UINT64_MAX;
	return (i - w->next) & w->mask;
}

/* --- insertion --- */

/* floor(t / tick): the product with the rounded inverse is at most one too small */
static uint64_t ticks_in(const struct wheel *w, uint64_t t)
{
	uint64_t q = (uint64_t)((unsigned __int128)t * w->tick_inverse >> 64);

	return q + (t - q * w->tick >= w->tick);
}

int wheel_insert(struct wheel *w, void *obj, uint64_t due, uint64_t tie)
{
	uint64_t ahead = 0;
	struct slot *s;
	uint32_t i, fill;

	if (w->count == w->capacity)
		return -ENOSPC;
	if (due > w->now && due - w->now > w->horizon)
		return -ERANGE;
	if (due > w->next_time)
		ahead = ticks_in(w, due - w->next_time - 1) + 1;
	if (ahead > w->mask)
		return -ERANGE;

	i = (w->next + (uint32_t)ahead) & w->mask;
	s = &w->slots[i];
	fill = s->count % CHUNK_ITEMS;
	if (fill == 0) {
		struct chunk *c = &w->chunks[w->free_chunk];
		uint32_t head = w->free_chunk;

		if (s->count == 0)
			bit_set(w, i);
		w->free_chunk = c->next;
		c->next = s->head;
		s->head = head;
	}
	w->chunks[s->head].item[fill] = (struct wheel_item){obj, due, tie};
	s->count++;
	w->count++;
	return 0;
}

/* --- order inside a tick --- */

static void insertion_sort(struct wheel_item *a, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct wheel_item x = a[i];
		uint32_t j = i;

		for (; j > 0 && a[j - 1].tie > x.tie; j--)
			a[j] = a[j - 1];
		a[j] = x;
	}
}

static void sift_down(struct wheel_item *a, uint32_t i, uint32_t n)
{
	struct wheel_item x = a[i];

	for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && a[child + 1].tie > a[child].tie)
			child++;
		if (a[child].tie <= x.tie)
			break;
		a[i] = a[child];
	}
	a[i] = x;
}

static void heap_sort(struct wheel_item *a, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(a, i, n);
	while (n-- > 1) {
		struct wheel_item top = a[0];

		a[0] = a[n];
		a[n] = top;
		sift_down(a, 0, n);
	}
}

static void sort(struct wheel_item *a, uint32_t n)
{
	if (n <= SORT_SMALL)
		insertion_sort(a, n);
	else
		heap_sort(a, n);
}

static void prefetch_chunk(const struct wheel *w, uint32_t i)
{
	if (i == NO_CHUNK)
		return;
	for (size_t line = 0; line < sizeof(struct chunk); line += 64)
		__builtin_prefetch((const char *)&w->chunks[i] + line);
}

/* Objects in the first chunk of a slot; the others are full. */
static uint32_t first_fill(const struct slot *s)
{
	return (s->count - 1) % CHUNK_ITEMS + 1;
}

/* bucket_end[b] := start of bucket b; the scattering that follows moves it to its end. */
static void count_buckets(struct wheel *w, const struct slot *s, unsigned shift)
{
	uint32_t fill = first_fill(s), sum = 0;

	memset(w->bucket_end, 0, w->buckets * sizeof(*w->bucket_end));
	for (uint32_t i = s->head; i != NO_CHUNK; i = w->chunks[i].next, fill = CHUNK_ITEMS) {
		prefetch_chunk(w, w->chunks[i].next);
		for (uint32_t k = 0; k < fill; k++)
			w->bucket_end[w->chunks[i].item[k].tie >> shift]++;
	}
	for (uint32_t b = 0; b < w->buckets; b++) {
		uint32_t n = w->bucket_end[b];

		w->bucket_end[b] = sum;
		sum += n;
	}
}

/* Moves all of a slot to `ready`, which must be empty. */
static void load(struct wheel *w, uint32_t slot)
{
	struct slot *s = &w->slots[slot];
	uint32_t fill = first_fill(s), last = NO_CHUNK, n = 0;
	bool small = s->count <= SORT_SMALL;
	unsigned shift = 0;

	w->buckets = 0;
	w->bucket = 0;
	if (!small) {
		/* at least 4 buckets (count > 32), never more than 2^16: the shift is in 1..63 */
		uint64_t buckets = pow2_at_least((s->count + BUCKET_ITEMS - 1) / BUCKET_ITEMS);

		w->buckets = buckets > BUCKETS_MAX ? BUCKETS_MAX : (uint32_t)buckets;
		shift = 64 - (unsigned)__builtin_ctz(w->buckets);
		count_buckets(w, s, shift);
	}
	for (uint32_t i = s->head; i != NO_CHUNK; i = w->chunks[i].next, fill = CHUNK_ITEMS) {
		const struct chunk *c = &w->chunks[i];

		prefetch_chunk(w, c->next);
		for (uint32_t k = 0; k < fill; k++) {
			uint32_t *at = small ? &n : &w->bucket_end[c->item[k].tie >> shift];

			w->ready[(*at)++] = c->item[k];
		}
		last = i;
	}
	w->chunks[last].next = w->free_chunk;
	w->free_chunk = s->head;
	w->ready_head = 0;
	w->ready_sorted = 0;
	w->ready_count = s->count;
	if (small) {
		insertion_sort(w->ready, s->count);
		w->ready_sorted = s->count;
	}
	s->head = NO_CHUNK;
	s->count = 0;
	bit_clear(w, slot);
}

/* --- expiry --- */

static unsigned take_ready(struct wheel *w, struct wheel_item *out, unsigned max)
{
	unsigned n = 0;

	while (n < max && w->ready_head < w->ready_count) {
		uint32_t m;

		if (w->ready_head == w->ready_sorted) {
			uint32_t end = w->bucket_end[w->bucket++];

			sort(w->ready + w->ready_sorted, end - w->ready_sorted);
			w->ready_sorted = end;
			continue;
		}
		m = w->ready_sorted - w->ready_head;
		if (m > max - n)
			m = max - n;
		memcpy(out + n, w->ready + w->ready_head, m * sizeof(*out));
		w->ready_head += m;
		n += m;
	}
	w->count -= n;
	return n;
}

static void advance(struct wheel *w, uint64_t ticks)
{
	w->next = (w->next + (uint32_t)ticks) & w->mask;
	w->next_time += ticks * w->tick;
}

unsigned wheel_expire(struct wheel *w, uint64_t now, struct wheel_item *out, unsigned max)
{
	unsigned n = take_ready(w, out, max);

	if (now > w->now)
		w->now = now;
	while (n < max && now >= w->next_time) {
		uint64_t elapsed = ticks_in(w, now - w->next_time), ahead = next_occupied(w);

		if (ahead > elapsed) {
			advance(w, elapsed + 1);
			break;
		}
		advance(w, ahead);
		load(w, w->next);
		advance(w, 1);
		n += take_ready(w, out + n, max - n);
	}
	return n;
}

unsigned wheel_flush(struct wheel *w, struct wheel_item *out, unsigned max)
{
	unsigned n = take_ready(w, out, max);

	while (n < max && w->count > 0) {
		load(w, (w->next + (uint32_t)next_occupied(w)) & w->mask);
		n += take_ready(w, out + n, max - n);
	}
	return n;
}

uint32_t wheel_count(const struct wheel *w)
{
	return w->count;
}

uint64_t wheel_next_due(const struct wheel *w)
{
	uint64_t ahead;

	if (w->ready_head < w->ready_count)
		return w->now;
	ahead = next_occupied(w);
	return ahead == UINT64_MAX ? UINT64_MAX : w->next_time + ahead * w->tick;
}
