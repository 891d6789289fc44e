/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VRF side of the control lcore: proves each epoch's delay key ahead of it (vrf/epoch.h),
 * chooses the beacon, keeps what the audit records of past epochs are made of.
 */
#include "pipeline/pipeline.h"
#include "core/secmem.h"
#include "vrf/ecvrf.h"

#include <errno.h>
#include <rte_cycles.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
enum { STEP_MS = 100, ENDED_MAX = 64 };

struct epochs {
	struct epoch_params params;
	struct epoch_table *table;
	struct epoch_prover *prover;
	bool wanted, have_file; /* a beacon file is configured; it could be read */
	uint64_t max_age_s;
	struct beacon file, beacon;
	uint64_t next_step_ns, processed_before;
	struct betanet_epoch ended[ENDED_MAX];
	unsigned ended_first, ended_count;
	uint64_t proved, unproved, gaps, clock_steps;
};

const struct epoch_table *epochs_table(const struct epochs *e)
{
	return e->table;
}

static struct epoch_clock read_clocks(void)
{
	struct epoch_clock c;
	struct timespec t;

	c.ticks = rte_rdtsc();
	clock_gettime(CLOCK_REALTIME, &t);
	c.wall_ns = (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
	return c;
}

/* Key rotation comes later: one key, one period, for all epochs. */
static int set_key(struct epochs *e, const uint8_t seed[ECVRF_SEED_SIZE], struct error *err)
{
	struct ecvrf_key *key = secmem_alloc(sizeof(*key));
	int r;

	if (!key)
		return error_set(
			err, ENOMEM, "no locked memory for the VRF key; raise `ulimit -l`");
	ecvrf_key_from_seed(key, seed);
	r = epoch_prover_set_key(e->prover, 0, 0, UINT64_MAX, key, err);
	ecvrf_key_wipe(key);
	secmem_free(key);
	return r;
}

int epochs_create(struct betanet *b, struct betanet_config *c, struct error *err)
{
	struct epochs *e;
	int r;

	b->delay_mode = (enum delay_mode)c->delay_mode;
	b->vrf_mean_ns = (uint64_t)(c->vrf_mean_ms * 1e6);
	if (b->delay_mode == DELAY_SENDER || b->delay_mode == DELAY_NONE)
		return 0;
	r = ecvrf_self_test(err);
	if (r < 0)
		return r;
	b->epochs = e = calloc(1, sizeof(*e));
	if (!e)
		return error_set(err, ENOMEM, "not enough memory for the epochs");
	memcpy(e->params.network_id, c->network_id, 32);
	memcpy(e->params.node_id, c->node_id, 32);
	e->params.suite = (enum ecvrf_suite)c->vrf_suite;
	e->params.epoch_seconds = c->epoch_seconds;
	e->params.mean_ns = b->vrf_mean_ns;
	e->params.longest_ns = delay_longest(b->delay_mode, b->vrf_mean_ns);
	e->params.tolerance_ns = EPOCH_TOLERANCE_NS;
	e->params.ticks_per_second = b->hz;
	e->wanted = c->beacon_wanted;
	e->max_age_s = c->beacon_max_age_s;
	r = epoch_table_create(&e->table, err);
	if (r == 0)
		r = epoch_prover_create(&e->params, e->table, &e->prover, err);
	return r < 0 ? r : set_key(e, c->vrf_seed, err);
}

void epochs_free(struct epochs *e)
{
	if (!e)
		return;
	epoch_prover_free(e->prover);
	epoch_table_free(e->table);
	free(e);
}

int betanet_beacon_set(struct betanet *b, const char *text, char err[BETANET_ERROR_MAX])
{
	struct epochs *e = b->epochs;
	int r = 0;

	if (!e)
		return 0;
	e->have_file = text != NULL;
	if (text)
		r = beacon_parse(&e->file, text, (struct error *)(void *)err);
	if (r < 0)
		e->have_file = false;
	return r;
}

/* Packets of an epoch: what was processed since the one before ended; coarse, as its record is. */
static void keep_ended(struct betanet *b, const struct epoch_meta *meta)
{
	struct epochs *e = b->epochs;
	struct betanet_epoch *out;
	uint64_t processed = 0;

	for (unsigned i = 0; i < b->cfg.workers; i++)
		processed += __atomic_load_n(&b->workers[i].stats.processed, __ATOMIC_RELAXED);
	if (e->ended_count == ENDED_MAX) { /* nobody takes them: the oldest goes */
		e->ended_first = (e->ended_first + 1) % ENDED_MAX;
		e->ended_count--;
	}
	out = &e->ended[(e->ended_first + e->ended_count++) % ENDED_MAX];
	out->epoch = meta->epoch;
	out->key_period = meta->key_period;
	memcpy(out->vrf_public, meta->vrf_public, sizeof(out->vrf_public));
	memcpy(out->beacon, meta->beacon, sizeof(out->beacon));
	out->beacon_source = (int)meta->beacon_source;
	out->proved = meta->proved;
	out->packets = processed - e->processed_before;
	e->processed_before = processed;
}

bool betanet_epoch_take(struct betanet *b, struct betanet_epoch *out)
{
	struct epochs *e = b->epochs;

	if (!e || e->ended_count == 0)
		return false;
	*out = e->ended[e->ended_first];
	e->ended_first = (e->ended_first + 1) % ENDED_MAX;
	e->ended_count--;
	return true;
}

void epochs_poll(struct betanet *b)
{
	static const uint8_t no_directory[32];
	struct epochs *e = b->epochs;
	struct epoch_clock clock = read_clocks();
	struct epoch_report report;

	if (b->now_ns < e->next_step_ns)
		return;
	e->next_step_ns = b->now_ns + STEP_MS * 1000000ULL;
	beacon_choose(&e->beacon, e->wanted, e->have_file ? &e->file : NULL,
		clock.wall_ns / SECOND_NS, e->max_age_s, e->params.network_id,
		b->directory ? b->directory->hash : no_directory);
	clock = read_clocks();
	epoch_prover_step(e->prover, &clock, &e->beacon, &report);
	e->proved += (report.events & EPOCH_PROVED) != 0;
	e->unproved += (report.events & EPOCH_UNPROVED) != 0;
	e->gaps += (report.events & EPOCH_GAP) != 0;
	e->clock_steps += (report.events & EPOCH_CLOCK_STEP) != 0;
	for (unsigned i = 0; i < report.ended_count; i++)
		keep_ended(b, &report.ended[i]);
}

void epochs_stats(const struct betanet *b, struct betanet_stats *s)
{
	const struct epochs *e = b->epochs;

	s->epochs_proved = e->proved;
	s->epochs_unproved = e->unproved;
	s->epoch_gaps = e->gaps;
	s->clock_steps = e->clock_steps;
	s->epoch = epoch_number(read_clocks().wall_ns, e->params.epoch_seconds);
	s->beacon_source = (int)e->beacon.source;
}
