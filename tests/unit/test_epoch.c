/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/bytes.h"
#include "vrf/epoch.h"

#define SECOND UINT64_C(1000000000)
#define HZ UINT64_C(2500000000) /* ticks per second: not a nanosecond each, on purpose */

enum { LENGTH = 10, FIRST = 1000000, PERIOD = 77 };

/* A relay's control side in miniature: both clocks run only when the test moves them. */
struct rig {
	struct epoch_params params;
	struct ecvrf_key key;
	struct epoch_table *table;
	struct epoch_prover *prover;
	struct epoch_clock clock;
	struct beacon beacon;
	struct epoch_report report;
};

static int setup(void **state)
{
	static struct rig r;
	uint8_t seed[32] = "test_epoch: a seed of its own";
	struct error err;

	memset(&r, 0, sizeof(r));
	r.params = (struct epoch_params){.suite = ECVRF_TAI,
		.epoch_seconds = LENGTH,
		.mean_ns = 50000000,
		.longest_ns = 1000000000,
		.tolerance_ns = 100000000,
		.ticks_per_second = HZ};
	memset(r.params.network_id, 1, 32);
	memset(r.params.node_id, 2, 32);
	memset(r.beacon.value, 3, 32);
	r.beacon.source = BEACON_FILE;
	ecvrf_key_from_seed(&r.key, seed);
	r.clock = (struct epoch_clock){
		.wall_ns = FIRST * LENGTH * SECOND + 3 * SECOND, .ticks = 7 * HZ};
	if (epoch_table_create(&r.table, &err) < 0 ||
		epoch_prover_create(&r.params, r.table, &r.prover, &err) < 0)
		return -1;
	*state = &r;
	return epoch_prover_set_key(r.prover, PERIOD, 0, UINT64_MAX, &r.key, &err);
}

static int teardown(void **state)
{
	struct rig *r = *state;

	epoch_prover_free(r->prover);
	epoch_table_free(r->table);
	return 0;
}

static void advance(struct rig *r, uint64_t ms)
{
	r->clock.wall_ns += ms * 1000000;
	r->clock.ticks += ms * (HZ / 1000);
}

/* Deep in the stack, so that what a step might leave there outlives the calls that follow. */
static __attribute__((noinline)) unsigned step(struct rig *r)
{
	uint8_t pad[65536];

	__asm__ volatile("" : : "r"(pad) : "memory");
	epoch_prover_step(r->prover, &r->clock, &r->beacon, &r->report);
	__asm__ volatile("" : : "r"(pad) : "memory");
	return r->report.events;
}

/* K_epoch by the definition, through none of epoch.c's code. */
static void expected_key(const struct rig *r, uint64_t epoch, uint8_t key[32])
{
	uint8_t alpha[125], pi[ECVRF_PROOF_SIZE], beta[64], message[19];

	memcpy(alpha, "BNMIX-VRF-v1", 12);
	alpha[12] = 1;
	memcpy(alpha + 13, r->params.network_id, 32);
	memcpy(alpha + 45, r->params.node_id, 32);
	store_be64(alpha + 77, PERIOD);
	store_be64(alpha + 85, epoch);
	memcpy(alpha + 93, r->beacon.value, 32);
	assert_int_equal(ecvrf_prove(r->params.suite, &r->key, alpha, sizeof(alpha), pi), 0);
	assert_int_equal(ecvrf_proof_to_hash(r->params.suite, pi, beta), 0);
	memcpy(message, "bnmix-delay", 11);
	store_be64(message + 11, epoch);
	crypto_generichash(key, 32, message, sizeof(message), beta, sizeof(beta));
	sodium_memzero(beta, sizeof(beta));
	sodium_memzero(pi, sizeof(pi));
}

static void assert_key(const struct rig *r, uint64_t now, uint64_t epoch)
{
	struct epoch_view v;
	uint8_t want[32];

	assert_int_equal(epoch_read(r->table, now, &v), 0);
	assert_int_equal(v.epoch, epoch);
	assert_true(v.proved);
	assert_true(v.begin <= now && now < v.end);
	expected_key(r, epoch, want);
	assert_memory_equal(v.key, want, 32);
	epoch_view_wipe(&v);
}

static void assert_no_key(const struct rig *r, uint64_t now)
{
	struct epoch_view v;

	memset(&v, 1, sizeof(v));
	assert_int_equal(epoch_read(r->table, now, &v), -ENOENT);
	assert_true(sodium_is_zero((const uint8_t *)&v, sizeof(v)));
}

static void first_step_proves_this_epoch_and_the_next(void **state)
{
	struct rig *r = *state;
	uint64_t start = r->clock.ticks;

	assert_no_key(r, start);
	assert_int_equal(step(r), EPOCH_PROVED);
	assert_key(r, start, FIRST);
	assert_key(r, start + 7 * HZ - 1, FIRST);
	assert_key(r, start + 7 * HZ, FIRST + 1);
	assert_key(r, start + 17 * HZ - 1, FIRST + 1);
	assert_no_key(r, start + 17 * HZ);
	assert_no_key(r, start - 1);
	assert_int_equal(step(r), 0); /* nothing left to do */
}

static void a_running_relay_always_has_the_right_key(void **state)
{
	struct rig *r = *state;
	uint64_t next_ended = FIRST, start = r->clock.ticks;

	for (unsigned i = 0; i < 1500; i++) {
		unsigned events = step(r);
		uint64_t epoch = FIRST + (r->clock.ticks - start + 3 * HZ) / (LENGTH * HZ);
		struct epoch_view v;

		assert_int_equal(events & ~(unsigned)EPOCH_PROVED, 0);
		for (unsigned k = 0; k < r->report.ended_count; k++) {
			assert_int_equal(r->report.ended[k].epoch, next_ended++);
			assert_int_equal(r->report.ended[k].key_period, PERIOD);
			assert_true(r->report.ended[k].proved);
			assert_memory_equal(r->report.ended[k].vrf_public, r->key.public, 32);
		}
		assert_int_equal(epoch_read(r->table, r->clock.ticks, &v), 0);
		assert_int_equal(v.epoch, epoch);
		if (i % 50 == 0)
			assert_key(r, r->clock.ticks, epoch);
		advance(r, 100);
	}
	assert_int_equal(next_ended, FIRST + 15);
}

/* A wall clock that runs 0.2 % slower or faster than the ticks: no gap, no overlap, no step. */
static void drift_leaves_no_gap(void **state)
{
	struct rig *r = *state;
	uint64_t last_end = 0;

	for (unsigned i = 0; i < 2000; i++) {
		struct epoch_view v;

		assert_int_equal(step(r) & ~(unsigned)EPOCH_PROVED, 0);
		assert_int_equal(epoch_read(r->table, r->clock.ticks, &v), 0);
		if (v.end != last_end) {
			assert_true(last_end == 0 || v.begin == last_end);
			last_end = v.end;
		}
		advance(r, 100);
		r->clock.wall_ns += i < 1000 ? 200000 : (uint64_t)-200000;
	}
}

static void without_a_vrf_key_the_epoch_is_random_and_says_so(void **state)
{
	struct rig *r = *state;
	struct epoch_view v, w;
	uint8_t proved[32];

	epoch_prover_drop_key(r->prover, PERIOD);
	assert_int_equal(step(r), EPOCH_FALLBACK | EPOCH_UNPROVED);
	assert_int_equal(epoch_read(r->table, r->clock.ticks, &v), 0);
	assert_int_equal(v.epoch, FIRST);
	assert_false(v.proved);
	assert_false(sodium_is_zero(v.key, 32));
	expected_key(r, FIRST, proved);
	assert_memory_not_equal(v.key, proved, 32);
	assert_int_equal(step(r), 0); /* told once */
	assert_int_equal(epoch_read(r->table, r->clock.ticks + 7 * HZ, &w), 0);
	assert_false(w.proved);
	assert_memory_not_equal(v.key, w.key, 32);
	advance(r, 7100);
	assert_true(step(r) & EPOCH_UNPROVED);
	assert_int_equal(r->report.ended_count, 1);
	assert_false(r->report.ended[0].proved);
}

static void a_late_proof_mends_the_next_epoch_but_never_the_present(void **state)
{
	struct rig *r = *state;
	struct epoch_view before, after;

	epoch_prover_drop_key(r->prover, PERIOD);
	step(r);
	assert_int_equal(epoch_read(r->table, r->clock.ticks, &before), 0);
	assert_int_equal(epoch_prover_set_key(r->prover, PERIOD, 0, UINT64_MAX, &r->key, NULL), 0);
	advance(r, 100);
	assert_int_equal(step(r), EPOCH_PROVED);
	assert_int_equal(epoch_read(r->table, r->clock.ticks, &after), 0);
	assert_memory_equal(before.key, after.key, sizeof(before.key));
	assert_false(after.proved);
	assert_key(r, r->clock.ticks + 7 * HZ, FIRST + 1);
}

static void nothing_is_mended_in_the_last_tenth_of_a_second(void **state)
{
	struct rig *r = *state;
	struct epoch_view v;

	epoch_prover_drop_key(r->prover, PERIOD);
	step(r);
	advance(r, 6950);
	assert_int_equal(epoch_prover_set_key(r->prover, PERIOD, 0, UINT64_MAX, &r->key, NULL), 0);
	step(r);
	assert_int_equal(epoch_read(r->table, r->clock.ticks + HZ, &v), 0);
	assert_int_equal(v.epoch, FIRST + 1);
	assert_false(v.proved);
}

static void a_stalled_control_lcore_leaves_no_key_and_no_old_one(void **state)
{
	struct rig *r = *state;
	uint64_t start = r->clock.ticks;

	step(r);
	advance(r, 7000 + 10000 + 4000); /* 4 s into FIRST + 2 */
	assert_no_key(r, start + 17 * HZ);
	assert_no_key(r, r->clock.ticks);
	assert_int_equal(step(r), EPOCH_PROVED | EPOCH_GAP);
	assert_int_equal(r->report.gap_ticks, 4 * HZ);
	assert_int_equal(r->report.ended_count, 2);
	assert_int_equal(r->report.ended[0].epoch, FIRST);
	assert_int_equal(r->report.ended[1].epoch, FIRST + 1);
	assert_no_key(r, start + 17 * HZ);
	assert_key(r, r->clock.ticks, FIRST + 2);
	assert_int_equal(step(r), 0);
}

static void a_set_clock_begins_anew(void **state)
{
	struct rig *r = *state;
	const int64_t jumps[] = {3600, -7200, 25, -15};

	step(r);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t epoch;

		advance(r, 500);
		r->clock.wall_ns += (uint64_t)(jumps[i] * (int64_t)SECOND);
		epoch = r->clock.wall_ns / (LENGTH * SECOND);
		assert_int_equal(step(r), EPOCH_PROVED | EPOCH_CLOCK_STEP);
		assert_key(r, r->clock.ticks, epoch);
		assert_int_equal(step(r), 0);
	}
}

static void periods_use_their_own_keys(void **state)
{
	struct rig *r = *state;
	uint8_t seed[32] = "another period", want[32];
	struct ecvrf_key second = r->key;
	struct epoch_view v;

	ecvrf_key_from_seed(&second, seed);
	assert_int_equal(epoch_prover_set_key(r->prover, PERIOD, 0, FIRST + 1, &r->key, NULL), 0);
	assert_int_equal(
		epoch_prover_set_key(r->prover, PERIOD + 1, FIRST + 1, FIRST + 100, &second, NULL),
		0);
	step(r);
	assert_key(r, r->clock.ticks, FIRST);
	assert_int_equal(epoch_read(r->table, r->clock.ticks + 7 * HZ, &v), 0);
	assert_true(v.proved);
	expected_key(r, FIRST + 1, want);
	assert_memory_not_equal(v.key, want, 32);
	/* a third period takes the place of the lowest */
	assert_int_equal(epoch_prover_set_key(
				 r->prover, PERIOD + 2, FIRST + 100, FIRST + 200, &second, NULL),
		0);
	advance(r, 7100);
	step(r);
	assert_int_equal(epoch_read(r->table, r->clock.ticks, &v), 0);
	assert_true(v.proved);
}

static void a_key_from_the_identity_seed_is_refused(void **state)
{
	struct rig *r = *state;
	struct epoch_prover *other;
	struct error err;

	memcpy(r->params.node_id, r->key.public, 32);
	assert_int_equal(epoch_prover_create(&r->params, r->table, &other, &err), 0);
	assert_int_equal(epoch_prover_set_key(other, 1, 0, 5, &r->key, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "one seed"));
	assert_int_equal(epoch_prover_set_key(r->prover, 1, 5, 5, &r->key, &err), -EINVAL);
	epoch_prover_free(other);
}

static void parameters_are_checked(void **state)
{
	struct rig *r = *state;
	const struct epoch_params good = r->params;
	struct epoch_params bad[8];
	struct epoch_prover *p;
	struct error err;

	for (unsigned i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].suite = 5;
	bad[1].epoch_seconds = 0;
	bad[2].epoch_seconds = 61;
	bad[3].mean_ns = 0;
	bad[4].mean_ns = DELAY_MEAN_MAX + 1;
	bad[5].longest_ns = 20 * good.mean_ns - 1;
	bad[6].tolerance_ns = 0;
	bad[7].ticks_per_second = 999;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(epoch_prover_create(&bad[i], r->table, &p, &err), -EINVAL);
}

/* ---- secrets in memory */

struct search {
	uint8_t masked[2][64]; /* K_epoch and beta, XOR 0x5a: the search must not find itself */
	uint8_t chunk[1 << 20];
};

static struct search needle;

static unsigned search_chunk(const uint8_t *p, size_t n)
{
	unsigned hits = 0;

	for (unsigned k = 0; k < 2; k++)
		for (size_t i = 0; i + 16 <= n; i++) {
			size_t same = 0;

			while (same < 16 && (p[i + same] ^ 0x5a) == needle.masked[k][same])
				same++;
			hits += same == 16;
		}
	return hits;
}

/* Every writable mapping of this process but the search's own buffer and a sanitizer's shadow. */
static unsigned search_memory(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t lo, hi, own = (uintptr_t)needle.chunk;
	unsigned hits = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " rw", &lo, &hi) != 2 ||
			!strstr(line, " rw") || hi - lo > (UINT64_C(1) << 28))
			continue;
		for (uintptr_t at = lo; at < hi; at += sizeof(needle.chunk) - 64) {
			size_t want =
				hi - at < sizeof(needle.chunk) ? hi - at : sizeof(needle.chunk);
			struct iovec to = {needle.chunk, want}, from = {(void *)at, want};
			ssize_t got;

			if (at + want > own && at < own + sizeof(needle.chunk))
				continue;
			got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
			if (got > 0)
				hits += search_chunk(needle.chunk, (size_t)got);
		}
	}
	fclose(maps);
	return hits;
}

static void remember(unsigned k, const uint8_t *secret, size_t len)
{
	for (size_t i = 0; i < len; i++)
		needle.masked[k][i] = secret[i] ^ 0x5a;
}

static __attribute__((noinline)) void remember_epoch(const struct rig *r, uint64_t epoch)
{
	uint8_t alpha[VRF_ALPHA_DELAY_SIZE], pi[ECVRF_PROOF_SIZE], beta[64], key[32];
	struct vrf_scope s = {.key_period = PERIOD, .epoch = epoch};

	memcpy(s.network_id, r->params.network_id, 32);
	memcpy(s.node_id, r->params.node_id, 32);
	memcpy(s.beacon, r->beacon.value, 32);
	vrf_alpha_delay(alpha, &s);
	assert_int_equal(ecvrf_prove(ECVRF_TAI, &r->key, alpha, sizeof(alpha), pi), 0);
	assert_int_equal(ecvrf_proof_to_hash(ECVRF_TAI, pi, beta), 0);
	delay_epoch_key(key, beta, epoch);
	remember(0, key, 32);
	remember(1, beta, 64);
	sodium_memzero(pi, sizeof(pi));
	sodium_memzero(beta, sizeof(beta));
	sodium_memzero(key, sizeof(key));
}

/* The second of the two epochs that the first step proves: nothing comes after it that could hide
 * what it left behind. */
static void key_and_output_are_gone_when_the_epoch_is_over(void **state)
{
	struct rig *r = *state;
	struct epoch_view v;

	remember_epoch(r, FIRST + 1);
	assert_int_equal(search_memory(), 0);
	step(r);
	assert_int_equal(search_memory(), 1); /* the slot, and nowhere a beta */
	assert_int_equal(epoch_read(r->table, r->clock.ticks + 7 * HZ, &v), 0);
	assert_int_equal(search_memory(), 2);
	epoch_view_wipe(&v);
	assert_int_equal(search_memory(), 1);
	advance(r, 7020);
	step(r);
	assert_int_equal(search_memory(), 1);
	advance(r, 9980);
	step(r);
	assert_int_equal(search_memory(), 1); /* the grace */
	advance(r, 20);
	step(r);
	assert_int_equal(r->report.ended_count, 1);
	assert_int_equal(search_memory(), 0);
}

static void an_ended_prover_leaves_an_empty_table(void **state)
{
	struct rig *r = *state;

	remember_epoch(r, FIRST + 1);
	step(r);
	assert_int_equal(search_memory(), 1);
	epoch_prover_free(r->prover);
	r->prover = NULL;
	assert_no_key(r, r->clock.ticks);
	assert_no_key(r, r->clock.ticks + 8 * HZ);
	assert_int_equal(search_memory(), 0);
}

/* ---- readers against the writer */

struct race {
	struct rig *r;
	_Atomic uint64_t now;
	_Atomic int stop, ready;
	uint64_t first_end;        /* ticks at the end of the epoch FIRST */
	const uint8_t (*keys)[32]; /* of FIRST, FIRST + 1, …; NULL: not known */
};

struct reader {
	pthread_t thread;
	struct race *race;
	unsigned long reads, torn;
};

static bool is_torn(const struct race *race, const struct epoch_view *v, uint64_t now)
{
	uint64_t end = race->first_end + (v->epoch - FIRST) * LENGTH * HZ;

	return now < v->begin || now >= v->end || v->end != end ||
	       (race->keys && memcmp(v->key, race->keys[v->epoch - FIRST], 32) != 0);
}

static void *read_all_the_time(void *arg)
{
	struct reader *me = arg;
	struct race *race = me->race;

	atomic_fetch_add(&race->ready, 1);
	while (!atomic_load(&race->stop)) {
		uint64_t now = atomic_load(&race->now);
		struct epoch_view v;

		if (epoch_read(race->r->table, now, &v) < 0)
			continue;
		me->reads++;
		me->torn += is_torn(race, &v, now);
	}
	return NULL;
}

static void run_race(struct rig *r, unsigned steps, const uint8_t (*keys)[32])
{
	struct race race = {.r = r, .keys = keys, .first_end = r->clock.ticks + 7 * HZ};
	struct reader readers[2] = {{.race = &race}, {.race = &race}};

	step(r);
	atomic_store(&race.now, r->clock.ticks);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_all_the_time, &readers[i]),
			0);
	while (atomic_load(&race.ready) < 2)
		;
	for (unsigned i = 0; i < steps; i++) {
		advance(r, 5000);
		atomic_store(&race.now, r->clock.ticks);
		step(r);
	}
	atomic_store(&race.stop, 1);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].torn, 0);
	}
	assert_true(readers[0].reads + readers[1].reads > 0);
}

static void readers_never_see_half_a_key(void **state)
{
	static uint8_t keys[200][32];
	struct rig *r = *state;

	for (unsigned i = 0; i < 200; i++)
		expected_key(r, FIRST + i, keys[i]);
	run_race(r, 390, (const uint8_t(*)[32])keys);
}

/* Without proofs the table is written as often as it can be. */
static void readers_never_see_half_an_epoch(void **state)
{
	struct rig *r = *state;

	epoch_prover_drop_key(r->prover, PERIOD);
	run_race(r, 300000, NULL);
}

int main(void)
{
#define with_rig(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_rig(first_step_proves_this_epoch_and_the_next),
		with_rig(a_running_relay_always_has_the_right_key),
		with_rig(drift_leaves_no_gap),
		with_rig(without_a_vrf_key_the_epoch_is_random_and_says_so),
		with_rig(a_late_proof_mends_the_next_epoch_but_never_the_present),
		with_rig(nothing_is_mended_in_the_last_tenth_of_a_second),
		with_rig(a_stalled_control_lcore_leaves_no_key_and_no_old_one),
		with_rig(a_set_clock_begins_anew),
		with_rig(periods_use_their_own_keys),
		with_rig(a_key_from_the_identity_seed_is_refused),
		with_rig(parameters_are_checked),
		with_rig(key_and_output_are_gone_when_the_epoch_is_over),
		with_rig(an_ended_prover_leaves_an_empty_table),
		with_rig(readers_never_see_half_a_key),
		with_rig(readers_never_see_half_an_epoch),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
