/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/epoch.h"
#include "core/bytes.h"
#include "core/secmem.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

enum { KEY_WORDS = DELAY_KEY_SIZE / 8, KEYS = 2, SCRUB_STACK = 8192 };

/* A key outlives its epoch by 1/100 s: a worker may still hold a `now` from before the end. */
enum { GRACE_FRACTION = 100 };

/* A random key is replaced no later than 1/10 s before its epoch, so that no worker sees two keys
 * even if the control lcore is held up while it proves. */
enum { MEND_FRACTION = 10 };

/* ---- table: a sequence lock per slot, all fields atomic, so that a torn read is seen, not
 * undefined */

struct slot {
	_Atomic uint32_t sequence; /* odd while it is written */
	_Atomic uint32_t state;    /* 0 empty, else SLOT_USED and SLOT_PROVED */
	_Atomic uint64_t epoch, begin, end;
	_Atomic uint64_t key[KEY_WORDS];
};

enum { SLOT_USED = 1, SLOT_PROVED = 2 };

struct epoch_table {
	struct slot slots[2];
};

int epoch_table_create(struct epoch_table **out, struct error *err)
{
	*out = secmem_alloc(sizeof(**out));
	if (!*out)
		return error_set(err, ENOMEM,
			"no locked memory for the table of epoch keys; raise the limit (ulimit "
			"-l)");
	return 0;
}

void epoch_table_free(struct epoch_table *t)
{
	secmem_free(t);
}

void epoch_view_wipe(struct epoch_view *view)
{
	sodium_memzero(view, sizeof(*view));
}

static bool slot_read(const struct slot *s, struct epoch_view *v)
{
	uint32_t before = atomic_load_explicit(&s->sequence, memory_order_acquire), state;
	uint64_t key[KEY_WORDS];
	bool whole;

	state = atomic_load_explicit(&s->state, memory_order_relaxed);
	v->epoch = atomic_load_explicit(&s->epoch, memory_order_relaxed);
	v->begin = atomic_load_explicit(&s->begin, memory_order_relaxed);
	v->end = atomic_load_explicit(&s->end, memory_order_relaxed);
	for (unsigned i = 0; i < KEY_WORDS; i++)
		key[i] = atomic_load_explicit(&s->key[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	whole = before % 2 == 0 &&
		atomic_load_explicit(&s->sequence, memory_order_relaxed) == before;
	memcpy(v->key, key, sizeof(key));
	v->proved = state & SLOT_PROVED;
	sodium_memzero(key, sizeof(key));
	return whole && state & SLOT_USED;
}

int epoch_read(const struct epoch_table *t, uint64_t now, struct epoch_view *view)
{
	for (unsigned i = 0; i < 2; i++)
		if (slot_read(&t->slots[i], view) && view->begin <= now && now < view->end)
			return 0;
	epoch_view_wipe(view);
	return -ENOENT;
}

static void slot_write(struct slot *s, uint32_t state, const struct epoch_view *v)
{
	uint32_t sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);
	uint64_t key[KEY_WORDS];

	memcpy(key, v->key, sizeof(key));
	atomic_store_explicit(&s->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&s->state, state, memory_order_relaxed);
	atomic_store_explicit(&s->epoch, v->epoch, memory_order_relaxed);
	atomic_store_explicit(&s->begin, v->begin, memory_order_relaxed);
	atomic_store_explicit(&s->end, v->end, memory_order_relaxed);
	for (unsigned i = 0; i < KEY_WORDS; i++)
		atomic_store_explicit(&s->key[i], key[i], memory_order_relaxed);
	atomic_store_explicit(&s->sequence, sequence + 2, memory_order_release);
	sodium_memzero(key, sizeof(key));
}

/* ---- prover */

struct period_key {
	bool used;
	uint64_t period, first, end;
	struct ecvrf_key key;
};

/* The writer's own notes on a slot. */
struct plan {
	bool used, told; /* told: that the epoch began unproved */
	struct epoch_meta meta;
	uint64_t begin, end;
};

struct epoch_prover {
	struct epoch_params params;
	struct epoch_table *table;
	struct period_key keys[KEYS];
	struct plan plans[2]; /* by parity of the epoch */
	struct epoch_clock anchor;
	bool anchored;
	uint64_t next;    /* lowest epoch that has not had its slot yet */
	uint64_t covered; /* ticks up to which workers have had keys without a gap */
};

static int check_params(const struct epoch_params *p, struct error *err)
{
	if (p->suite != ECVRF_TAI && p->suite != ECVRF_ELL2)
		return error_set(
			err, EINVAL, "VRF suite %d; 3 (TAI) or 4 (ELL2) is allowed", (int)p->suite);
	if (p->epoch_seconds < EPOCH_SECONDS_MIN || p->epoch_seconds > EPOCH_SECONDS_MAX)
		return error_set(err, EINVAL, "epoch_seconds = %u; %d to %d is allowed",
			p->epoch_seconds, EPOCH_SECONDS_MIN, EPOCH_SECONDS_MAX);
	if (p->mean_ns == 0 || p->mean_ns > DELAY_MEAN_MAX)
		return error_set(err, EINVAL, "mean delay of %llu ns; 1 to %llu is allowed",
			(unsigned long long)p->mean_ns, (unsigned long long)DELAY_MEAN_MAX);
	if (p->longest_ns / DELAY_CAP_MEANS < p->mean_ns)
		return error_set(err, EINVAL,
			"longest delay of %llu ns is below %d means of %llu ns",
			(unsigned long long)p->longest_ns, DELAY_CAP_MEANS,
			(unsigned long long)p->mean_ns);
	if (p->tolerance_ns < 1000000)
		return error_set(err, EINVAL,
			"clock tolerance of %llu ns; at least 1000000 is needed",
			(unsigned long long)p->tolerance_ns);
	if (p->ticks_per_second < 1000)
		return error_set(err, EINVAL, "%llu ticks a second; at least 1000 are needed",
			(unsigned long long)p->ticks_per_second);
	return 0;
}

int epoch_prover_create(const struct epoch_params *p, struct epoch_table *table,
	struct epoch_prover **out, struct error *err)
{
	int r = check_params(p, err);

	if (r < 0)
		return r;
	*out = secmem_alloc(sizeof(**out));
	if (!*out)
		return error_set(err, ENOMEM,
			"no locked memory for the VRF keys; raise the limit (ulimit -l)");
	(*out)->params = *p;
	(*out)->table = table;
	return 0;
}

static void wipe_slot(struct epoch_prover *p, unsigned parity)
{
	const struct epoch_view empty = {0};

	slot_write(&p->table->slots[parity], 0, &empty);
	p->plans[parity] = (struct plan){0};
}

void epoch_prover_free(struct epoch_prover *p)
{
	if (!p)
		return;
	wipe_slot(p, 0);
	wipe_slot(p, 1);
	secmem_free(p);
}

int epoch_prover_set_key(struct epoch_prover *p, uint64_t period, uint64_t first, uint64_t end,
	const struct ecvrf_key *key, struct error *err)
{
	struct period_key *k = &p->keys[0];

	if (first >= end)
		return error_set(err, EINVAL, "VRF key of period %llu: no epoch from %llu to %llu",
			(unsigned long long)period, (unsigned long long)first,
			(unsigned long long)end);
	if (memcmp(key->public, p->params.node_id, 32) == 0)
		return error_set(err, EINVAL,
			"the VRF key and the identity key come from one seed, which gives the "
			"secret "
			"away; make a VRF key of its own");
	for (unsigned i = 0; i < KEYS; i++) {
		struct period_key *c = &p->keys[i];

		if (c->used && c->period == period) {
			k = c;
			break;
		}
		if (k->used && (!c->used || c->period < k->period))
			k = c;
	}
	k->used = true;
	k->period = period;
	k->first = first;
	k->end = end;
	memcpy(&k->key, key, sizeof(k->key));
	return 0;
}

void epoch_prover_drop_key(struct epoch_prover *p, uint64_t period)
{
	for (unsigned i = 0; i < KEYS; i++)
		if (p->keys[i].used && p->keys[i].period == period)
			sodium_memzero(&p->keys[i], sizeof(p->keys[i]));
}

static const struct period_key *find_key(const struct epoch_prover *p, uint64_t epoch)
{
	for (unsigned i = 0; i < KEYS; i++) {
		const struct period_key *k = &p->keys[i];

		if (k->used && k->first <= epoch && epoch < k->end)
			return k;
	}
	return NULL;
}

/* K_epoch and what belongs into its record; -ENOKEY without a key, or ecvrf_prove's error. */
static int prove(const struct epoch_prover *p, uint64_t epoch, const struct beacon *beacon,
	uint8_t key[DELAY_KEY_SIZE], struct epoch_meta *meta)
{
	const struct period_key *k = find_key(p, epoch);
	uint8_t alpha[VRF_ALPHA_DELAY_SIZE], pi[ECVRF_PROOF_SIZE], beta[ECVRF_OUTPUT_SIZE];
	struct vrf_scope scope = {.epoch = epoch};
	int r;

	*meta = (struct epoch_meta){.epoch = epoch, .beacon_source = beacon->source};
	memcpy(meta->beacon, beacon->value, 32);
	if (!k)
		return -ENOKEY;
	meta->key_period = scope.key_period = k->period;
	memcpy(meta->vrf_public, k->key.public, ECVRF_PUBLIC_SIZE);
	memcpy(scope.network_id, p->params.network_id, 32);
	memcpy(scope.node_id, p->params.node_id, 32);
	memcpy(scope.beacon, beacon->value, 32);
	vrf_alpha_delay(alpha, &scope);
	r = ecvrf_prove(p->params.suite, &k->key, alpha, sizeof(alpha), pi);
	if (r == 0)
		r = ecvrf_proof_to_hash(p->params.suite, pi, beta);
	if (r == 0) {
		delay_epoch_key(key, beta, epoch);
		meta->proved = true;
	}
	sodium_memzero(pi, sizeof(pi));
	sodium_memzero(beta, sizeof(beta));
	return r;
}

__extension__ typedef unsigned __int128 epoch_wide;

static uint64_t ns_to_ticks(const struct epoch_prover *p, uint64_t ns)
{
	return (uint64_t)((epoch_wide)ns * p->params.ticks_per_second / 1000000000);
}

static uint64_t ticks_to_ns(const struct epoch_prover *p, uint64_t ticks)
{
	return (uint64_t)((epoch_wide)ticks * 1000000000 / p->params.ticks_per_second);
}

/* The ticks at which an epoch starts by the wall clock; the present if it has started. */
static uint64_t start_ticks(
	const struct epoch_prover *p, uint64_t epoch, const struct epoch_clock *c)
{
	uint64_t wall = epoch * p->params.epoch_seconds * UINT64_C(1000000000);

	return wall <= c->wall_ns ? c->ticks : c->ticks + ns_to_ticks(p, wall - c->wall_ns);
}

/* Puts an epoch's key in its slot, whose last holder has been wiped. */
static void install(struct epoch_prover *p, uint64_t epoch, const struct epoch_clock *c,
	const struct beacon *beacon, struct epoch_report *report)
{
	struct plan *plan = &p->plans[epoch & 1], *before = &p->plans[~epoch & 1];
	struct epoch_view v = {.epoch = epoch};

	if (!plan->used) {
		bool follows = before->used && before->meta.epoch + 1 == epoch;

		v.begin = follows ? before->end : start_ticks(p, epoch, c);
		v.end = start_ticks(p, epoch + 1, c);
	} else {
		v.begin = plan->begin;
		v.end = plan->end;
	}
	if (v.end <= v.begin) /* a wall clock that was slowed down: a very short epoch */
		v.end = v.begin + 1;
	if (prove(p, epoch, beacon, v.key, &plan->meta) == 0) {
		report->events |= EPOCH_PROVED;
	} else if (plan->used) { /* the random key is there already */
		goto out;
	} else {
		randombytes_buf(v.key, sizeof(v.key));
		report->events |= EPOCH_FALLBACK;
	}
	plan->used = true;
	p->next = epoch + 1;
	plan->begin = v.begin;
	plan->end = v.end;
	slot_write(&p->table->slots[epoch & 1], SLOT_USED | (plan->meta.proved ? SLOT_PROVED : 0u),
		&v);
out:
	epoch_view_wipe(&v);
	sodium_stackzero(SCRUB_STACK);
}

/* Compares the clocks with the last time; all epochs end when the wall clock was set. */
static bool clock_was_set(struct epoch_prover *p, const struct epoch_clock *c)
{
	uint64_t expected = p->anchor.wall_ns + ticks_to_ns(p, c->ticks - p->anchor.ticks);
	uint64_t off = expected > c->wall_ns ? expected - c->wall_ns : c->wall_ns - expected;
	bool set = p->anchored && off > p->params.tolerance_ns;

	p->anchor = *c;
	p->anchored = true;
	return set;
}

/* Of an epoch that has begun: whether it did without a proof, and for how long keys were missing
 * before it. Once is enough, more does no harm. */
static void account(struct epoch_prover *p, struct plan *plan, struct epoch_report *report)
{
	if (!plan->meta.proved && !plan->told) {
		report->events |= EPOCH_UNPROVED;
		plan->told = true;
	}
	if (p->covered && plan->begin > p->covered) {
		report->events |= EPOCH_GAP;
		report->gap_ticks = plan->begin - p->covered;
	}
	p->covered = plan->end;
}

static void retire(struct epoch_prover *p, unsigned parity, struct epoch_report *report)
{
	account(p, &p->plans[parity], report);
	report->ended[report->ended_count++] = p->plans[parity].meta;
	wipe_slot(p, parity);
}

static void retire_ended(
	struct epoch_prover *p, const struct epoch_clock *c, bool all, struct epoch_report *report)
{
	uint64_t grace = p->params.ticks_per_second / GRACE_FRACTION;
	/* the older first */
	unsigned first = p->plans[0].used && p->plans[1].used &&
			 p->plans[1].meta.epoch < p->plans[0].meta.epoch;

	for (unsigned i = 0; i < 2; i++) {
		struct plan *plan = &p->plans[first ^ i];

		if (!plan->used)
			continue;
		if (!all && c->ticks < plan->end + grace)
			continue;
		/* what has not begun has not ended either: nothing to record */
		if (plan->begin <= c->ticks)
			retire(p, first ^ i, report);
		else
			wipe_slot(p, first ^ i);
	}
}

void epoch_prover_step(struct epoch_prover *p, const struct epoch_clock *clock,
	const struct beacon *beacon, struct epoch_report *report)
{
	uint64_t present = epoch_number(clock->wall_ns, p->params.epoch_seconds);
	uint64_t margin = p->params.ticks_per_second / MEND_FRACTION;
	bool set = clock_was_set(p, clock);

	*report = (struct epoch_report){.events = set ? EPOCH_CLOCK_STEP : 0};
	retire_ended(p, clock, set, report);
	if (set)
		p->next = 0;
	for (uint64_t epoch = present; epoch <= present + 1; epoch++) {
		struct plan *plan = &p->plans[epoch & 1];

		if (plan->used && plan->meta.epoch != epoch)
			continue; /* still in its grace, or begun a little before its wall time */
		if (!plan->used && epoch < p->next)
			continue; /* over already: the wall clock lags a little */
		if (!plan->used || (!plan->meta.proved && clock->ticks + margin < plan->begin))
			install(p, epoch, clock, beacon, report);
		if (plan->begin <= clock->ticks)
			account(p, plan, report);
	}
}
