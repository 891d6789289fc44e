/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mix/wheel.h"

/* Objects are numbers; 0 is never one. */
static void *object(uint64_t id)
{
	return (void *)(uintptr_t)id;
}

static uint64_t id_of(const struct wheel_item *it)
{
	return (uint64_t)(uintptr_t)it->obj;
}

static uint64_t rng_state = 88172645463325252;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state * UINT64_C(2685821657736338717);
}

static struct wheel *make(uint64_t tick, uint64_t horizon, uint32_t capacity, uint64_t now)
{
	struct wheel_params p = {tick, horizon, capacity, now};
	struct wheel *w = NULL;
	struct error err = {""};

	if (wheel_create(&p, &w, &err) != 0)
		fail_msg("wheel_create: %s", err.msg);
	return w;
}

static void assert_empty(struct wheel *w)
{
	struct wheel_item it;

	assert_int_equal(wheel_count(w), 0);
	assert_int_equal(wheel_next_due(w), UINT64_MAX);
	assert_int_equal(wheel_flush(w, &it, 1), 0);
}

static void test_nothing_leaves_early_nor_later_than_tick_and_loop(void **state)
{
	enum { TICK = 100, HORIZON = 50000, N = 20000, LOOP = 37 };
	struct wheel *w = make(TICK, HORIZON, N, 1000);
	struct wheel_item out[64];
	uint64_t now = 1000;
	unsigned in = 0, left = 0;

	(void)state;
	while (left < N) {
		unsigned n;

		for (unsigned k = 0; k < 30 && in < N; k++, in++)
			assert_int_equal(wheel_insert(w, object(in + 1),
						 now + rng() % (HORIZON - LOOP), rng()),
				0);
		now += 1 + rng() % LOOP;
		do {
			n = wheel_expire(w, now, out, 64);
			for (unsigned k = 0; k < n; k++) {
				assert_true(out[k].due <= now);
				assert_true(now < out[k].due + TICK + LOOP);
			}
			left += n;
		} while (n == 64);
		assert_int_equal(wheel_count(w), in - left);
	}
	assert_empty(w);
	wheel_free(w);
}

static void test_each_due_of_a_tick_leaves_exactly_at_its_end(void **state)
{
	enum { TICK = 16 };
	struct wheel_item out[2];

	(void)state;
	for (uint64_t due = 0; due <= 5 * TICK; due++) {
		struct wheel *w = make(TICK, 8 * TICK, 1, 0);
		/* the first tick that is not before due; a past or present due: the next one */
		uint64_t leaves = due == 0 ? TICK : (due + TICK - 1) / TICK * TICK;

		assert_int_equal(wheel_insert(w, object(1), due, 0), 0);
		assert_int_equal(wheel_next_due(w), leaves);
		assert_int_equal(wheel_expire(w, leaves - 1, out, 2), 0);
		assert_int_equal(wheel_expire(w, leaves, out, 2), 1);
		assert_int_equal(out[0].due, due);
		assert_empty(w);
		wheel_free(w);
	}
}

static void test_a_past_due_leaves_at_the_next_tick(void **state)
{
	struct wheel *w = make(10, 1000, 4, 500);
	struct wheel_item out[4];

	(void)state;
	assert_int_equal(wheel_expire(w, 777, out, 4), 0);
	assert_int_equal(wheel_insert(w, object(1), 3, 0), 0);
	assert_int_equal(wheel_next_due(w), 780);
	assert_int_equal(wheel_expire(w, 779, out, 4), 0);
	assert_int_equal(wheel_expire(w, 780, out, 4), 1);
	wheel_free(w);
}

static void test_order_inside_a_tick_is_the_tie_s(void **state)
{
	static const unsigned sizes[] = {1, 2, 31, 32, 33, 64, 500, 5000, 70000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned n = sizes[i], in_arrival_order = 0;
		struct wheel *w = make(1000, 10000, n, 0);
		struct wheel_item *out = calloc(n, sizeof(*out));

		assert_non_null(out);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(
				wheel_insert(w, object(k + 1), 3001 + rng() % 999, rng()), 0);
		assert_int_equal(wheel_expire(w, 3999, out, n), 0);
		assert_int_equal(wheel_expire(w, 4000, out, n), n);
		for (unsigned k = 1; k < n; k++) {
			assert_true(out[k - 1].tie <= out[k].tie);
			in_arrival_order += id_of(&out[k - 1]) < id_of(&out[k]);
		}
		if (n > 400) /* half of the neighbours, within many standard deviations */
			assert_in_range(in_arrival_order, n / 3, 2 * n / 3);
		free(out);
		wheel_free(w);
	}
}

static void test_lopsided_ties_are_sorted_too(void **state)
{
	enum { N = 60000 };
	struct wheel *w = make(10, 1000, N, 0);
	struct wheel_item *out = calloc(N, sizeof(*out));

	(void)state;
	assert_non_null(out);
	/* all in one bucket, and descending */
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(wheel_insert(w, object(k + 1), 50, N - k), 0);
	assert_int_equal(wheel_expire(w, 50, out, N), N);
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(out[k].tie, k + 1);
	free(out);
	wheel_free(w);
}

static void test_a_million_with_one_due_leave_in_order_and_whole(void **state)
{
	enum { N = 1000000, MAX = 128 };
	struct wheel *w = make(100, 1000, N, 0);
	struct wheel_item out[MAX];
	uint8_t *seen = calloc(N, 1);
	uint64_t last = 0;
	unsigned total = 0, n;

	(void)state;
	assert_non_null(seen);
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(wheel_insert(w, object(k + 1), 777, rng()), 0);
	assert_int_equal(wheel_count(w), N);
	while ((n = wheel_expire(w, 800, out, MAX)) > 0) {
		for (unsigned k = 0; k < n; k++) {
			assert_true(last <= out[k].tie);
			last = out[k].tie;
			assert_int_equal(seen[id_of(&out[k]) - 1]++, 0);
		}
		total += n;
		assert_int_equal(wheel_count(w), N - total);
	}
	assert_int_equal(total, N);
	free(seen);
	wheel_free(w);
}

static void test_a_million_parked_come_out_once_each(void **state)
{
	enum { N = 1000000, TICK = 200, HORIZON = 2000000, MAX = 128 };
	struct wheel *w = make(TICK, HORIZON, N, 0);
	struct wheel_item out[MAX];
	uint8_t *seen = calloc(N, 1);
	uint64_t now = 0;
	unsigned total = 0;

	(void)state;
	assert_non_null(seen);
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(wheel_insert(w, object(k + 1), rng() % (HORIZON + 1), rng()), 0);
	while (total < N) {
		unsigned n = wheel_expire(w, now, out, MAX);

		for (unsigned k = 0; k < n; k++) {
			assert_true(out[k].due <= now && now < out[k].due + 2 * TICK);
			assert_int_equal(seen[id_of(&out[k]) - 1]++, 0);
		}
		total += n;
		if (n < MAX)
			now += TICK;
	}
	assert_empty(w);
	free(seen);
	wheel_free(w);
}

static void test_every_slot_with_one_object_fits_the_capacity(void **state)
{
	(void)state;
	/* one object per slot, then the rest in the worst places: each slot one beyond full chunks
	 */
	for (unsigned capacity = 1; capacity <= 400; capacity++) {
		struct wheel *w = make(10, 300, capacity, 0); /* 32 slots */
		struct wheel_item out[400];
		unsigned in = 0;

		for (uint64_t due = 10; due <= 300 && in < capacity; due += 10)
			assert_int_equal(wheel_insert(w, object(++in), due, rng()), 0);
		for (uint64_t due = 10; due <= 300 && in < capacity; due += 10)
			for (unsigned k = 0; k < 10 && in < capacity; k++)
				assert_int_equal(wheel_insert(w, object(++in), due, rng()), 0);
		for (uint64_t due = 10; in < capacity; due = due % 300 + 10)
			assert_int_equal(wheel_insert(w, object(++in), due, rng()), 0);
		assert_int_equal(wheel_insert(w, object(1), 10, 0), -ENOSPC);
		assert_int_equal(wheel_expire(w, 300, out, 400), capacity);
		assert_empty(w);
		wheel_free(w);
	}
}

static void test_flush_conserves_the_count(void **state)
{
	enum { N = 30000 };
	struct wheel *w = make(100, 100000, N, 0);
	struct wheel_item out[100];
	uint8_t *seen = calloc(N, 1);
	unsigned total = 0, n;

	(void)state;
	assert_non_null(seen);
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(wheel_insert(w, object(k + 1), rng() % 100000, rng()), 0);
	/* some leave in time, the last of them out of a half-drained tick */
	for (unsigned round = 0; round < 50; round++) {
		n = wheel_expire(w, 40000, out, 77);
		assert_int_equal(n, 77);
		for (unsigned k = 0; k < n; k++)
			seen[id_of(&out[k]) - 1]++;
		total += n;
	}
	while ((n = wheel_flush(w, out, 100)) > 0) {
		for (unsigned k = 0; k < n; k++)
			seen[id_of(&out[k]) - 1]++;
		total += n;
		assert_int_equal(wheel_count(w), N - total);
	}
	assert_int_equal(total, N);
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(seen[k], 1);
	assert_empty(w);
	/* and the wheel is whole */
	assert_int_equal(wheel_insert(w, object(1), 40500, 0), 0);
	assert_int_equal(wheel_expire(w, 41000, out, 100), 1);
	free(seen);
	wheel_free(w);
}

static void test_after_a_stall_overdue_ticks_leave_in_their_order(void **state)
{
	enum { N = 5000, TICK = 10 };
	struct wheel *w = make(TICK, 1000000, N, 0);
	struct wheel_item out[33];
	uint64_t last_tick = 0, last_tie = 0;
	unsigned total = 0, n;

	(void)state;
	for (unsigned k = 0; k < N; k++)
		assert_int_equal(wheel_insert(w, object(k + 1), 1 + rng() % 20000, rng()), 0);
	while ((n = wheel_expire(w, 900000, out, 33)) > 0) {
		for (unsigned k = 0; k < n; k++) {
			uint64_t tick = (out[k].due + TICK - 1) / TICK;

			assert_true(
				tick > last_tick || (tick == last_tick && out[k].tie >= last_tie));
			last_tick = tick;
			last_tie = out[k].tie;
		}
		total += n;
	}
	assert_int_equal(total, N);
	wheel_free(w);
}

static void test_a_stall_of_years_costs_no_walk(void **state)
{
	/* 2^40 empty ticks: a walk over them would take hours */
	struct wheel *w = make(1, 1 << 20, 2, 0);
	struct wheel_item out[2];

	(void)state;
	for (unsigned k = 1; k <= 1000; k++) {
		uint64_t now = (uint64_t)k << 40;

		assert_int_equal(wheel_expire(w, now, out, 2), 0);
		assert_int_equal(wheel_insert(w, object(k), now + 1000000, 0), 0);
		assert_int_equal(wheel_next_due(w), now + 1000000);
		assert_int_equal(wheel_expire(w, now + 999999, out, 2), 0);
		assert_int_equal(wheel_expire(w, now + ((uint64_t)1 << 39), out, 2), 1);
		assert_int_equal(id_of(&out[0]), k);
	}
	wheel_free(w);
}

static void test_the_horizon_is_kept_to_the_cycle(void **state)
{
	struct wheel *w = make(100, 12345, 8, 1000);
	struct wheel_item out[8];

	(void)state;
	assert_int_equal(wheel_insert(w, object(1), 1000 + 12345, 0), 0);
	assert_int_equal(wheel_insert(w, object(2), 1000 + 12346, 0), -ERANGE);
	assert_int_equal(wheel_insert(w, object(2), UINT64_MAX, 0), -ERANGE);
	assert_int_equal(wheel_expire(w, 1099, out, 8), 0);
	assert_int_equal(wheel_insert(w, object(2), 1099 + 12345, 0), 0);
	assert_int_equal(wheel_insert(w, object(3), 1099 + 12346, 0), -ERANGE);
	assert_int_equal(wheel_count(w), 2);
	assert_int_equal(wheel_expire(w, 13400, out, 8), 1);
	assert_int_equal(id_of(&out[0]), 1);
	assert_int_equal(wheel_expire(w, 13500, out, 8), 1);
	wheel_free(w);
}

static void test_capacity_is_exact_and_comes_back(void **state)
{
	struct wheel *w = make(10, 100, 3, 0);
	struct wheel_item out[3];

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		uint64_t now = round * 50;

		for (unsigned k = 1; k <= 3; k++)
			assert_int_equal(wheel_insert(w, object(k), now + 5, k), 0);
		assert_int_equal(wheel_insert(w, object(4), now + 5, 4), -ENOSPC);
		assert_int_equal(wheel_expire(w, now + 50, out, 3), 3);
	}
	assert_empty(w);
	wheel_free(w);
}

static void test_the_slot_index_wraps_many_times(void **state)
{
	enum { TICK = 7, HORIZON = 7 * 60 };
	struct wheel *w = make(TICK, HORIZON, 64, 5);
	struct wheel_item out[8];
	uint64_t now = 5;

	(void)state;
	for (unsigned k = 1; k <= 50000; k++) {
		uint64_t due = now + rng() % HORIZON;

		assert_int_equal(wheel_insert(w, object(k), due, rng()), 0);
		assert_true(wheel_next_due(w) >= due);
		now = wheel_next_due(w);
		assert_true(now < due + 2 * TICK);
		assert_int_equal(wheel_expire(w, now - 1, out, 8), 0);
		assert_int_equal(wheel_expire(w, now, out, 8), 1);
		assert_int_equal(id_of(&out[0]), k);
	}
	wheel_free(w);
}

/* The model: a plain array, searched. */
struct model {
	struct wheel_item item[4000];
	uint64_t leaves[4000];
	unsigned n;
};

static unsigned model_first(const struct model *m)
{
	unsigned best = 0;

	for (unsigned i = 1; i < m->n; i++)
		if (m->leaves[i] < m->leaves[best] ||
			(m->leaves[i] == m->leaves[best] && m->item[i].tie < m->item[best].tie))
			best = i;
	return best;
}

static void model_insert(struct model *m, uint64_t tick, uint64_t oldest, struct wheel_item it)
{
	uint64_t leaves = (it.due + tick - 1) / tick * tick;

	m->leaves[m->n] = leaves < oldest ? oldest : leaves;
	m->item[m->n++] = it;
}

static void model_match(struct model *m, const struct wheel_item *got, uint64_t now)
{
	unsigned i;

	assert_true(m->n > 0);
	i = model_first(m);
	assert_true(m->leaves[i] <= now);
	assert_ptr_equal(got->obj, m->item[i].obj);
	assert_int_equal(got->due, m->item[i].due);
	assert_int_equal(got->tie, m->item[i].tie);
	m->n--;
	m->item[i] = m->item[m->n];
	m->leaves[i] = m->leaves[m->n];
}

static void run_model(uint64_t tick, uint64_t horizon, uint32_t capacity, uint64_t step)
{
	static struct model m;
	struct wheel *w = make(tick, horizon, capacity, 0);
	struct wheel_item out[50];
	uint64_t now = 0, id = 0;

	m.n = 0;
	for (unsigned round = 0; round < 1500; round++) {
		uint64_t oldest = (now / tick + 1) * tick; /* the next tick that is not drained */
		unsigned max = 1 + (unsigned)(rng() % 50), n;

		for (uint64_t k = rng() % 12; k > 0; k--) {
			uint64_t back = rng() % (tick + 1);
			struct wheel_item it = {
				object(++id), now + rng() % (horizon + 1), rng() >> rng() % 60};
			int r;

			if (it.due > back && rng() % 4 == 0)
				it.due -= back;
			it.tie = it.tie << 20 | id; /* unique */
			r = wheel_insert(w, it.obj, it.due, it.tie);
			if (m.n == capacity) {
				assert_int_equal(r, -ENOSPC);
				continue;
			}
			assert_int_equal(r, 0);
			model_insert(&m, tick, oldest, it);
		}
		now += rng() % 50 == 0 ? horizon * 3 : rng() % step;
		do {
			n = wheel_expire(w, now, out, max);
			for (unsigned k = 0; k < n; k++)
				model_match(&m, &out[k], now);
			assert_int_equal(wheel_count(w), m.n);
		} while (n == max);
		if (m.n > 0) {
			assert_true(m.leaves[model_first(&m)] > now);
			assert_int_equal(wheel_next_due(w), m.leaves[model_first(&m)]);
		} else {
			assert_int_equal(wheel_next_due(w), UINT64_MAX);
		}
	}
	wheel_free(w);
}

static void test_agrees_with_a_sorted_list(void **state)
{
	(void)state;
	run_model(1, 100, 50, 20);
	run_model(3, 1000, 500, 100);
	run_model(64, 4096 * 64, 2000, 5000);
	run_model(97, 97 * 63, 300, 400);
	run_model(1000, 999, 40, 2000);
	run_model(1000003, UINT64_C(1000003) * 300000, 4000, UINT64_C(1000003) * 3000);
}

static void test_bad_parameters_are_named(void **state)
{
	static const struct {
		struct wheel_params p;
		const char *word;
	} bad[] = {
		{{0, 100, 10, 0}, "tick"},
		{{1, (1 << 24) + 1, 10, 0}, "horizon"},
		{{10, UINT64_MAX, 10, 0}, "horizon"},
		{{1, 100, 0, 0}, "capacity"},
		{{1, 100, (1u << 30) + 1, 0}, "capacity"},
	};
	struct wheel_params widest = {1, 1 << 24, 1, 0};
	struct wheel_item it;
	struct wheel *w = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err.msg[0] = '\0';
		assert_int_equal(wheel_create(&bad[i].p, &w, &err), -EINVAL);
		assert_non_null(strstr(err.msg, bad[i].word));
		assert_int_equal(wheel_create(&bad[i].p, &w, NULL), -EINVAL);
		assert_null(w);
	}
	assert_int_equal(wheel_create(&widest, &w, &err), 0);
	assert_int_equal(wheel_insert(w, object(9), 1 << 24, 0), 0);
	assert_int_equal(wheel_expire(w, (1 << 24) - 1, &it, 1), 0);
	assert_int_equal(wheel_expire(w, 1 << 24, &it, 1), 1);
	wheel_free(w);
	wheel_free(NULL);
}

static void test_memory_grows_with_capacity_and_slots(void **state)
{
	struct wheel_params p = {1, 1000, 1000, 0};
	size_t base = wheel_memory(&p);

	(void)state;
	p.capacity = 100000;
	assert_true(wheel_memory(&p) > base + 99000 * sizeof(struct wheel_item));
	/* 24 bytes ready and 25.6 in chunks an object, a few for slots and buckets */
	assert_true(wheel_memory(&p) < 100000 * 56);
	p.capacity = 1000;
	p.horizon = 1 << 20;
	assert_true(wheel_memory(&p) > base + (1 << 20) * 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_leaves_early_nor_later_than_tick_and_loop),
		cmocka_unit_test(test_each_due_of_a_tick_leaves_exactly_at_its_end),
		cmocka_unit_test(test_a_past_due_leaves_at_the_next_tick),
		cmocka_unit_test(test_order_inside_a_tick_is_the_tie_s),
		cmocka_unit_test(test_lopsided_ties_are_sorted_too),
		cmocka_unit_test(test_a_million_with_one_due_leave_in_order_and_whole),
		cmocka_unit_test(test_a_million_parked_come_out_once_each),
		cmocka_unit_test(test_every_slot_with_one_object_fits_the_capacity),
		cmocka_unit_test(test_flush_conserves_the_count),
		cmocka_unit_test(test_after_a_stall_overdue_ticks_leave_in_their_order),
		cmocka_unit_test(test_a_stall_of_years_costs_no_walk),
		cmocka_unit_test(test_the_horizon_is_kept_to_the_cycle),
		cmocka_unit_test(test_capacity_is_exact_and_comes_back),
		cmocka_unit_test(test_the_slot_index_wraps_many_times),
		cmocka_unit_test(test_agrees_with_a_sorted_list),
		cmocka_unit_test(test_bad_parameters_are_named),
		cmocka_unit_test(test_memory_grows_with_capacity_and_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
