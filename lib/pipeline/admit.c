/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which packets are worth the cryptography: relays of the directory and strangers, each within its
 * limit, and all together within the global one. Between parse and open; costs nothing when no
 * limit is set.
 *
 * A relay is known by the address and port that the directory has for it, which anyone on the path
 * can forge as long as links are not encrypted: a limit bounds what such a forger can cost the
 * others, not what he can cost that relay.
 */
#include "mix/limiter.h"
#include "pipeline/pipeline.h"
#include "sphinx/build_burst.h"
#include "sphinx/frame.h"

#include <errno.h>
#include <rte_cycles.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

enum {
	STRANGER_WORDS = 1 << 20, /* 8 MiB: see limiter.h */
	PEER_WORDS = 2 * DIRECTORY_MAX_NODES + 16,
	BURST_MS = 10, /* what strangers may send at once of the global limit, and at least two
			  bursts; relays as much again */
	CAPACITY_PERCENT = 90,
	CAPACITY_RUNS = 9,
};

struct admission {
	/* setup */
	bool strangers;
	struct limiter *table; /* NULL: strangers have no limit */
	bool peers_limited;
	struct gcra peer;
	uint64_t global_pps;   /* of all workers; 0: no limit */
	uint64_t capacity_pps; /* of one worker, measured; 0: it was not */
	/* by index into snapshot.hops; workers, and control where that index changes its meaning */
	_Atomic uint64_t peer_tat[PEER_WORDS];
};

/* ---- worker ---- */

/* For each packet the sender's hop, or -1. */
static void find_peers(const struct burst *b, const struct snapshot *s, int32_t hop[BURST_MAX],
	uint64_t source[BURST_MAX])
{
	_Alignas(8) uint8_t key[BURST_MAX][RTE_ALIGN(KEY_SIZE, 8)]; /* read by eight bytes */
	const void *at[BURST_MAX];

	for (unsigned i = 0; i < b->n; i++) {
		struct endpoint from;

		link_source(b->packet[i] - FRAME_SIZE - b->head[i], b->head[i], &from);
		source[i] = from.family == 4 ? limiter_source4(from.ip) : limiter_source6(from.ip);
		address_key(key[i], &from);
		at[i] = key[i];
		hop[i] = -1;
	}
	for (unsigned i = 0; s->has_directory && i < b->n; i += RTE_HASH_LOOKUP_BULK_MAX)
		rte_hash_lookup_bulk(s->hop_index, at + i,
			RTE_MIN(b->n - i, (unsigned)RTE_HASH_LOOKUP_BULK_MAX), hop + i);
}

/* Each sender's own limit. Returns how many packets it cost. */
static unsigned limit_senders(struct admission *a, struct burst *b, const int32_t hop[BURST_MAX],
	const uint64_t source[BURST_MAX], uint64_t now)
{
	struct limiter_place place[BURST_MAX];
	unsigned dropped = 0;

	for (unsigned i = 0; a->table && i < b->n; i++)
		if (hop[i] < 0)
			place[i] = limiter_locate(a->table, source[i]);
	for (unsigned i = 0; i < b->n; i++) {
		if (hop[i] >= 0 && a->peers_limited &&
			!gcra_admit(&a->peer, &a->peer_tat[hop[i]], now))
			b->reason[i] = DROP_peer_limit;
		else if (hop[i] < 0 && !a->strangers)
			b->reason[i] = DROP_unknown_source;
		else if (hop[i] < 0 && a->table && !limiter_admit(a->table, place[i], now))
			b->reason[i] = DROP_source_limit;
		dropped += !burst_live(b, i);
	}
	return dropped;
}

/* Drops the live packets of a kind, from the `allowed`-th on. */
static unsigned cut(struct burst *b, const int32_t hop[BURST_MAX], bool peers, unsigned allowed)
{
	unsigned dropped = 0;

	for (unsigned i = 0; i < b->n; i++) {
		if (!burst_live(b, i) || (hop[i] >= 0) != peers)
			continue;
		if (allowed) {
			allowed--;
		} else {
			b->reason[i] = DROP_global_limit;
			dropped++;
		}
	}
	return dropped;
}

/* The worker's share of the global limit. Relays come first, and half of the bucket is theirs
 * alone: a crowd of strangers, each within its limit, must not crowd out the network's traffic. */
static unsigned limit_all(
	struct worker *w, struct burst *b, const int32_t hop[BURST_MAX], uint64_t now)
{
	struct token_bucket *t = &w->tokens;
	unsigned peers = 0, live = 0, for_peers, for_others;
	uint64_t have, theirs;

	for (unsigned i = 0; i < b->n; i++) {
		live += burst_live(b, i);
		peers += burst_live(b, i) && hop[i] >= 0;
	}
	for_peers = token_bucket_take(t, now, peers);
	have = t->credit / t->cost;
	theirs = t->limit / t->cost / 2;
	for_others = have > theirs ? (unsigned)RTE_MIN(have - theirs, (uint64_t)(live - peers)) : 0;
	token_bucket_take(t, now, for_others);
	if (for_peers + for_others == live)
		return 0;
	return cut(b, hop, true, for_peers) + cut(b, hop, false, for_others);
}

void stage_admit(struct worker *w, struct burst *b, const struct snapshot *s)
{
	struct admission *a = w->b->admission;
	int32_t hop[BURST_MAX];
	uint64_t source[BURST_MAX], now;
	unsigned dropped;

	if (!a || b->n == 0)
		return;
	now = rte_rdtsc();
	find_peers(b, s, hop, source);
	dropped = limit_senders(a, b, hop, source, now);
	if (a->global_pps)
		dropped += limit_all(w, b, hop, now);
	if (dropped)
		burst_settle(b, w->stats.drops);
}

unsigned admit_submitted(struct worker *w, unsigned want)
{
	const struct admission *a = w->b->admission;

	return a && a->global_pps && want ? token_bucket_take(&w->tokens, rte_rdtsc(), want) : want;
}

/* ---- capacity ---- */

/* Packets for ourselves, as they come: at an exit every other one ends. */
struct trial {
	uint8_t *packet[BURST_MAX], *fresh;
	struct sphinx_hop hop[BURST_MAX];
	enum sphinx_status status[BURST_MAX];
	size_t size;
};

static int build_trial(const struct betanet *b, struct trial *t)
{
	static const struct endpoint somewhere = {.family = 4, .port = 9, .ip = {192, 0, 2, 1}};
	struct sphinx_builder *builder = sphinx_builder_create();
	struct sphinx_build_item item[BURST_MAX] = {0};
	struct sphinx_route route[2] = {{.hops = 2}, {.hops = 1}};
	int r = builder ? 0 : -ENOMEM;

	for (unsigned k = 0; k < 2; k++) {
		route[k].version = SPHINX_V259;
		address_encode(route[k].destination, &somewhere);
		for (unsigned i = 0; i < route[k].hops; i++) {
			crypto_scalarmult_base(route[k].hop[i].public_key, b->sphinx_secret);
			address_encode(route[k].hop[i].address, &somewhere);
			route[k].hop[i].delay_ns = 1000000;
		}
	}
	for (unsigned i = 0; i < BURST_MAX; i++) {
		item[i].route = &route[b->cfg.role == BETANET_EXIT && i % 2];
		item[i].out = t->fresh + i * t->size;
	}
	if (r == 0)
		sphinx_build_burst(builder, item, BURST_MAX, b->cfg.payload_size, t->status);
	sphinx_builder_free(builder);
	for (unsigned i = 0; r == 0 && i < BURST_MAX; i++)
		r = t->status[i] == SPHINX_ok ? 0 : -EIO;
	return r;
}

/* Of this thread: what others take of the core does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The fastest of some bursts, in packets per second. -ENOMEM, -EIO. */
static int measure_capacity(const struct betanet *b, struct sphinx_burst *sphinx, uint64_t *pps)
{
	struct trial t = {.size = b->packet_size};
	uint8_t *work = malloc(BURST_MAX * t.size);
	uint64_t best = UINT64_MAX;
	int r = -ENOMEM;

	t.fresh = malloc(BURST_MAX * t.size);
	if (work && t.fresh)
		r = build_trial(b, &t);
	for (unsigned i = 0; i < BURST_MAX; i++)
		t.packet[i] = work + i * t.size;
	for (unsigned run = 0; r == 0 && run < CAPACITY_RUNS; run++) {
		uint64_t start;

		memcpy(work, t.fresh, BURST_MAX * t.size);
		start = cpu_ns();
		sphinx_open_burst(sphinx, b->sphinx_secret, t.packet, t.size, BURST_MAX, t.status);
		sphinx_finish_burst(sphinx, t.status, t.hop);
		best = RTE_MIN(best, cpu_ns() - start);
		for (unsigned i = 0; r == 0 && i < BURST_MAX; i++)
			r = t.status[i] == SPHINX_ok ? 0 : -EIO;
	}
	free(work);
	free(t.fresh);
	if (r == 0)
		*pps = UINT64_C(1000000000) * BURST_MAX / RTE_MAX(best, UINT64_C(1));
	return r;
}

/* ---- control ---- */

static int set_global(struct betanet *b, struct error *err)
{
	struct admission *a = b->admission;
	uint64_t workers = b->cfg.workers;

	a->global_pps = b->cfg.limits.global_pps;
	if (a->global_pps == BETANET_GLOBAL_AUTO) {
		int r = measure_capacity(b, b->workers[0].sphinx, &a->capacity_pps);

		if (r < 0)
			return error_set(err, -r,
				"limits.global_pps: the capacity could not be measured: %s; give "
				"the limit as a number",
				strerror(-r));
		a->global_pps = RTE_MAX(a->capacity_pps * CAPACITY_PERCENT / 100, 1u) * workers;
	}
	for (unsigned i = 0; a->global_pps && i < workers; i++) {
		/* a share of the limit; of what does not divide, one packet for the first ones */
		uint64_t share = a->global_pps / workers + (i < a->global_pps % workers);
		uint64_t burst = 2 * RTE_MAX(share * BURST_MS / 1000, 2u * b->cfg.batch_size);

		token_bucket_init(&b->workers[i].tokens, RTE_MAX(share, 1u), (uint32_t)burst, b->hz,
			rte_rdtsc());
	}
	return 0;
}

int admission_create(struct betanet *b, struct error *err)
{
	const struct betanet_limits *l = &b->cfg.limits;
	const struct limiter_params p = {l->source_pps, l->source_burst, b->hz, STRANGER_WORDS};
	struct admission *a;
	int r = 0;

	if (l->strangers && !l->source_pps && !l->peer_pps && !l->global_pps)
		return 0;
	a = b->admission = calloc(1, sizeof(*a));
	if (!a)
		return error_set(err, ENOMEM, "not enough memory for the limits");
	a->strangers = l->strangers;
	if (l->strangers && l->source_pps)
		r = limiter_create(&p, &a->table, err);
	if (l->peer_pps) {
		a->peers_limited = true;
		a->peer = gcra_make(l->peer_pps, l->peer_burst, b->hz);
	}
	return r < 0 ? r : set_global(b, err);
}

void admission_free(struct betanet *b)
{
	if (b->admission)
		limiter_free(b->admission->table);
	free(b->admission);
	b->admission = NULL;
}

/* Workers may still charge the old relay's word for some microseconds: a few packets. */
void admission_directory_changed(struct betanet *b)
{
	for (unsigned i = 0; b->admission && i < PEER_WORDS; i++)
		atomic_store_explicit(&b->admission->peer_tat[i], 0, memory_order_relaxed);
}

uint64_t admission_limit(const struct betanet *b)
{
	return b->admission ? b->admission->global_pps : 0;
}

void admission_state(const struct betanet *b, struct admission_state *s)
{
	const struct admission *a = b->admission;

	*s = (struct admission_state){.strangers = true};
	if (!a)
		return;
	s->strangers = a->strangers;
	s->global_pps = a->global_pps;
	s->capacity_pps = a->capacity_pps;
	if (a->table) {
		s->words = STRANGER_WORDS;
		s->hot = limiter_hot(a->table, rte_rdtsc());
	}
}
