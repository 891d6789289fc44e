/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool arithmetic against the numbers of the design (mixing.md, "Pool"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mix/sizing.h"

/* Order of the terms. */
enum {
	PARKED,
	RX,
	TX,
	SHAPING,
	LINKS,
	LINK_COVER,
	SUBMIT,
	BURSTS,
	CONTROL,
	CACHES,
	RESERVE,
	LOOPS
};

static uint64_t parked(double rate_pps, double mean_delay_s)
{
	const struct sizing s = {.rate_pps = rate_pps, .mean_delay_s = mean_delay_s};
	struct sizing_term t[SIZING_TERMS];

	sizing_pool(&s, t);
	assert_string_equal(t[PARKED].name, "parked");
	return t[PARKED].mbufs;
}

static void parked_packets_are_littles_law_and_six_deviations(void **state)
{
	(void)state;
	assert_int_equal(parked(25000, 0.050), 1463); /* 1250 + 6 * 35.36 = 1462.1, rounded up */
	assert_int_equal(parked(1e6, 0.050), 51342);  /* 50000 + 6 * 223.6 = 51341.6 */
	assert_int_equal(parked(1, 1), 7);
	assert_int_equal(parked(25000, 0), 0);
}

static void every_holder_of_buffers_is_a_term(void **state)
{
	const struct sizing s = {
		.rate_pps = 25000,
		.mean_delay_s = 0.050,
		.workers = 2,
		.batch_size = 128,
		.rx_descriptors = 2048,
		.tx_descriptors = 1024,
		.shaping_queues = 4,
		.queue_depth = 10000,
		.links = 12,
		.link_queues = 2,
		.link_cover = 501,
		.submit_queues = 3,
		.control = 1280,
		.cache_per_lcore = 256,
		.reserve = 1280,
		.cover_packets = 77,
	};
	static const uint64_t want[SIZING_TERMS] = {
		[PARKED] = 1463,
		[RX] = 2048,
		[TX] = 1024,
		[SHAPING] = 40000,
		[LINKS] = 20000,
		[LINK_COVER] = 6012,
		[SUBMIT] = 30000,
		[BURSTS] = 768,
		[CONTROL] = 1280,
		[CACHES] = 1152, /* two workers and the control lcore */
		[RESERVE] = 1280,
		[LOOPS] = 77,
	};
	struct sizing_term t[SIZING_TERMS];
	uint64_t sum = sizing_pool(&s, t), terms = 0;

	(void)state;
	for (unsigned i = 0; i < SIZING_TERMS; i++) {
		assert_int_equal(t[i].mbufs, want[i]);
		terms += want[i];
	}
	assert_int_equal(sum % 64, 0);
	assert_in_range(sum, terms, terms + 63);
}

static void links_share_a_depth_but_each_holds_a_packet(void **state)
{
	struct sizing s = {.link_queues = 2, .queue_depth = 100, .link_cover = 17};
	struct sizing_term t[SIZING_TERMS];

	(void)state;
	sizing_pool(&s, t);
	assert_int_equal(t[LINKS].mbufs, 0); /* without links nothing waits for them */
	assert_int_equal(t[LINK_COVER].mbufs, 0);
	s.links = 1;
	sizing_pool(&s, t);
	assert_string_equal(t[LINKS].name, "links");
	assert_int_equal(t[LINKS].mbufs, 200);
	assert_int_equal(t[LINK_COVER].mbufs, 17);
	s.links = 500;
	sizing_pool(&s, t);
	assert_int_equal(t[LINKS].mbufs, 500);
	assert_int_equal(t[LINK_COVER].mbufs, 8500);
}

static void more_of_anything_never_needs_less(void **state)
{
	struct sizing s = {.rate_pps = 1000, .mean_delay_s = 0.01, .workers = 1, .batch_size = 1};
	struct sizing_term t[SIZING_TERMS];
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t sum;

		s.rate_pps *= 1.01;
		s.workers += i % 8 == 0;
		s.queue_depth += i % 3;
		s.shaping_queues = s.workers;
		sum = sizing_pool(&s, t);
		assert_true(sum >= last);
		last = sum;
	}
}

static void large_settings_do_not_wrap(void **state)
{
	const struct sizing s = {.rate_pps = 1e8,
		.mean_delay_s = 10,
		.workers = 64,
		.batch_size = 128,
		.shaping_queues = 16 * 64,
		.queue_depth = 1 << 20,
		.cache_per_lcore = 256};
	struct sizing_term t[SIZING_TERMS];

	(void)state;
	assert_true(sizing_pool(&s, t) > 1000000000ull + 1024ull * (1 << 20));
	assert_int_equal(t[SHAPING].mbufs, 1024ull << 20);
}

static void the_text_has_a_line_for_each_term_and_the_sum(void **state)
{
	const struct sizing s = {.rate_pps = 25000,
		.mean_delay_s = 0.050,
		.workers = 1,
		.batch_size = 128,
		.cache_per_lcore = 256};
	struct sizing_term t[SIZING_TERMS];
	uint64_t sum = sizing_pool(&s, t);
	char text[2048], cut[2048];

	(void)state;
	sizing_print(t, sum, text, sizeof(text));
	assert_non_null(strstr(text, "1463  25000 pkt/s x 50.0 ms + 6 standard deviations\n"));
	assert_non_null(strstr(text, "384  1 workers x 3 bursts of 128"));
	assert_non_null(strstr(text, "sum"));
	assert_null(strstr(text, "TX descriptors")); /* there are none */
	/* never behind the end */
	for (size_t cap = 1; cap < strlen(text) + 2; cap++) {
		memset(cut, 'x', sizeof(cut));
		sizing_print(t, sum, cut, cap);
		assert_int_equal(strlen(cut), cap - 1 < strlen(text) ? cap - 1 : strlen(text));
		assert_memory_equal(cut, text, strlen(cut));
		assert_int_equal(cut[cap], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parked_packets_are_littles_law_and_six_deviations),
		cmocka_unit_test(every_holder_of_buffers_is_a_term),
		cmocka_unit_test(links_share_a_depth_but_each_holds_a_packet),
		cmocka_unit_test(more_of_anything_never_needs_less),
		cmocka_unit_test(large_settings_do_not_wrap),
		cmocka_unit_test(the_text_has_a_line_for_each_term_and_the_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
