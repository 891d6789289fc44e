/* SPDX-License-Identifier: BSD-3-Clause */
#include "mix/limiter.h"
#include "core/bytes.h"
#include "core/secmem.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

/* In locked memory, for the key: who knows it can make sources that share their words with a
 * chosen victim. Written at creation only. */
struct limiter {
	uint8_t siphash_key[crypto_shorthash_KEYBYTES];
	struct gcra gcra;
	_Atomic uint64_t *half[2];
	uint64_t words; /* in both */
	uint32_t mask;  /* of an index into a half */
};

/* ---- creation ---- */

static int check_params(const struct limiter_params *p, struct error *err)
{
	const struct {
		const char *name;
		uint64_t value, min, max;
	} range[] = {
		{"rate", p->rate_pps, 1, GCRA_RATE_MAX},
		{"burst", p->burst, 1, GCRA_BURST_MAX},
		{"hz", p->hz, 1, UINT64_C(1) << 40},
		{"words", p->words, 4, UINT64_C(1) << 32},
	};

	for (unsigned i = 0; i < sizeof(range) / sizeof(range[0]); i++)
		if (range[i].value < range[i].min || range[i].value > range[i].max)
			return error_set(err, EINVAL, "limiter: %s = %llu: allowed is %llu to %llu",
				range[i].name, (unsigned long long)range[i].value,
				(unsigned long long)range[i].min, (unsigned long long)range[i].max);
	if (p->words & (p->words - 1))
		return error_set(err, EINVAL, "limiter: words = %llu: not a power of two",
			(unsigned long long)p->words);
	return 0;
}

/* Strangers come at random places: with pages of 4 KiB each would miss the TLB twice. Where the
 * kernel gives no large ones, that is what it costs. */
static _Atomic uint64_t *table_alloc(size_t size)
{
	const size_t align = size >= HUGE_PAGE ? HUGE_PAGE : LINE;
	void *table;

	size = (size + align - 1) / align * align;
	table = aligned_alloc(align, size);
	if (!table)
		return NULL;
	if (align == HUGE_PAGE)
		(void)madvise(table, size, MADV_HUGEPAGE);
	memset(table, 0, size);
	return table;
}

int limiter_create(const struct limiter_params *p, struct limiter **out, struct error *err)
{
	size_t size = p->words * sizeof(uint64_t);
	struct limiter *l;
	int r = check_params(p, err);

	if (r < 0)
		return r;
	l = secmem_alloc(sizeof(*l));
	if (l)
		l->half[0] = table_alloc(size);
	if (!l || !l->half[0]) {
		secmem_free(l);
		return error_set(err, ENOMEM, "limiter: not enough memory for %zu bytes", size);
	}
	l->half[1] = l->half[0] + p->words / 2;
	l->words = p->words;
	l->mask = (uint32_t)(p->words / 2 - 1);
	l->gcra = gcra_make(p->rate_pps, p->burst, p->hz);
	randombytes_buf(l->siphash_key, sizeof(l->siphash_key));
	*out = l;
	return 0;
}

void limiter_free(struct limiter *l)
{
	if (!l)
		return;
	free((void *)l->half[0]);
	secmem_free(l);
}

/* ---- sources ---- */

/* The family in the first byte, then the address or its first 56 bits. */
uint64_t limiter_source4(const uint8_t ip[4])
{
	return UINT64_C(4) << 56 | load_be32(ip);
}

uint64_t limiter_source6(const uint8_t ip[16])
{
	return UINT64_C(6) << 56 | load_be64(ip) >> 8;
}

struct limiter_place limiter_locate(const struct limiter *l, uint64_t source)
{
	struct limiter_place place;
	uint64_t h;

	_Static_assert(crypto_shorthash_BYTES == sizeof(h), "SipHash-2-4");
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)&source, sizeof(source),
		l->siphash_key);
	place.at[0] = (uint32_t)h & l->mask;
	place.at[1] = (uint32_t)(h >> 32) & l->mask;
	__builtin_prefetch((const void *)&l->half[0][place.at[0]], 1);
	__builtin_prefetch((const void *)&l->half[1][place.at[1]], 1);
	return place;
}

/* ---- the rule ---- */

static void raise_to(_Atomic uint64_t *word, uint64_t tat)
{
	uint64_t there = atomic_load_explicit(word, memory_order_acquire);

	while (there < tat && !atomic_compare_exchange_weak_explicit(word, &there, tat,
				      memory_order_acq_rel, memory_order_acquire))
		;
}

/*
 * Two words cannot be written at once. The larger is raised first; then the compare-and-swap of the
 * smaller is what claims the packet's place. Of two threads that serve one source, A and B, either
 * both claim the same word, and one of them fails and looks again; or B claims the word that A
 * raises. If B does so after A raised it, B's TAT already holds A's packet; if before, then B
 * had before that raised the word that A claims, and A's compare fails or its TAT holds B's packet.
 * So the admitted packets of a source stand in one row, each at least an interval behind the one
 * before it. This needs the order raise, claim in all threads: acquire and release (on x86 the same
 * instructions as relaxed ones). A claim that fails may leave the other word raised, but by what
 * this packet would have cost, and only if a third source came between.
 */
bool limiter_admit(struct limiter *l, struct limiter_place place, uint64_t now)
{
	_Atomic uint64_t *word[2] = {&l->half[0][place.at[0]], &l->half[1][place.at[1]]};

	for (;;) {
		uint64_t a = atomic_load_explicit(word[0], memory_order_acquire);
		uint64_t b = atomic_load_explicit(word[1], memory_order_acquire);
		unsigned least = b < a;
		uint64_t tat = least ? b : a, next;

		if (!gcra_conforms(&l->gcra, tat, now))
			return false;
		next = gcra_next(&l->gcra, tat, now);
		raise_to(word[!least], next);
		if (atomic_compare_exchange_strong_explicit(
			    word[least], &tat, next, memory_order_acq_rel, memory_order_relaxed))
			return true;
	}
}

/* ---- statistics ---- */

size_t limiter_bytes(const struct limiter *l)
{
	return l->words * sizeof(uint64_t);
}

uint64_t limiter_hot(const struct limiter *l, uint64_t now)
{
	uint64_t hot = 0;

	for (uint64_t i = 0; i < l->words; i++)
		hot += !gcra_conforms(
			&l->gcra, atomic_load_explicit(&l->half[0][i], memory_order_relaxed), now);
	return hot;
}
