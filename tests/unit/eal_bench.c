/* SPDX-License-Identifier: BSD-3-Clause */
/* The benchmark object: what it counts adds up, and what it cannot do it refuses. No figure of time
 * is tested: that is perf's. */
#include "mixtest.h"
#include "pipeline/betanet_bench.h"

#include <math.h>

static struct betanet_bench *new_bench(unsigned workers, unsigned packets)
{
	char err[BETANET_ERROR_MAX];
	struct betanet_bench *bench;

	if (betanet_bench_create(workers, packets, NULL, NULL, &bench, err) < 0)
		fail_msg("%s", err);
	betanet_bench_config(bench)->idle = BETANET_IDLE_SLEEP; /* cores are shared */
	return bench;
}

static void run(struct betanet_bench *bench, double seconds, struct betanet_bench_result *r)
{
	char err[BETANET_ERROR_MAX];

	if (betanet_bench_run(bench, seconds, r, err) < 0)
		fail_msg("%s", err);
}

static void every_packet_is_valid_and_accepted_once(void **state)
{
	struct betanet_bench *bench = new_bench(1, 1500);
	struct betanet_bench_result r;

	(void)state;
	/* at most so many are sent before the replay table is emptied: had one been sent twice or
	 * been built wrong, it would be dropped */
	run(bench, 0.1, &r);
	assert_true(r.sent > 0 && r.sent <= 1500ull * r.passes);
	assert_int_equal(r.processed, r.sent);
	assert_int_equal(r.dropped, 0);
	assert_true(r.success_rate == 1);
	betanet_bench_destroy(bench);
}

static void packets_that_are_used_up_before_the_time_is_over_are_sent_again(void **state)
{
	struct betanet_bench *bench = new_bench(1, 100);
	struct betanet_bench_result r;
	double seconds;

	(void)state;
	/* how long a pass takes is the machine's business */
	for (seconds = 0.01; seconds < 20; seconds *= 3) {
		run(bench, seconds, &r);
		assert_int_equal(r.processed, r.sent);
		assert_true(r.elapsed_s >= 0.99 * seconds);
		if (r.passes > 1)
			break;
	}
	assert_true(r.passes > 1);
	assert_true(r.sent > 100 && r.sent <= 100ull * r.passes);
	/* and in another run */
	run(bench, 0.005, &r);
	assert_int_equal(r.processed, r.sent);
	betanet_bench_destroy(bench);
}

static void figures_agree_with_each_other(void **state)
{
	struct betanet_bench *bench = new_bench(2, 1000);
	struct betanet_bench_result r;

	(void)state;
	run(bench, 0.1, &r);
	assert_true(fabs(r.throughput_pps * r.elapsed_s - (double)r.processed) < 1e-3);
	assert_true(r.mean_processing_ns > 0);
	assert_true(r.pool_hit_rate > 0 && r.pool_hit_rate < 1);
	betanet_bench_destroy(bench);
}

static void delays_are_waited_for_and_are_no_part_of_the_time(void **state)
{
	struct betanet_bench *bench = new_bench(1, 50);
	struct betanet_config *c = betanet_bench_config(bench);
	struct betanet_bench_result r;
	uint64_t began = rte_rdtsc();

	(void)state;
	c->delay_mode = BETANET_DELAY_VRF;
	c->vrf_mean_ms = 200;
	randombytes_buf(c->vrf_seed, 32);
	randombytes_buf(c->network_id, 32);
	randombytes_buf(c->node_id, 32);
	run(bench, 0.001, &r);
	assert_int_equal(r.processed, r.sent);
	assert_true(r.sent > 0);
	/* all of 50 exponential delays below 50 ms: chance 10^-33 */
	if (r.sent == 50)
		assert_true(rte_rdtsc() - began > rte_get_tsc_hz() / 20);
	betanet_bench_destroy(bench);
}

struct seen {
	unsigned calls, last, total;
};

static void note_progress(void *arg, unsigned done, unsigned total)
{
	struct seen *s = arg;

	assert_true(done > s->last && done <= total);
	s->last = done;
	s->total = total;
	s->calls++;
}

static void building_tells_how_far_it_is(void **state)
{
	struct betanet_bench *bench;
	char err[BETANET_ERROR_MAX];
	struct seen s = {0};

	(void)state;
	assert_int_equal(betanet_bench_create(1, 1000, note_progress, &s, &bench, err), 0);
	assert_true(s.calls >= 2);
	assert_int_equal(s.last, 1000);
	assert_int_equal(s.total, 1000);
	betanet_bench_destroy(bench);
	betanet_bench_destroy(NULL);
}

static void what_is_out_of_range_is_refused_by_name(void **state)
{
	struct betanet_bench *bench = NULL;
	struct betanet_bench_result r;
	char err[BETANET_ERROR_MAX];

	(void)state;
	assert_int_equal(betanet_bench_create(0, 10, NULL, NULL, &bench, err), -EINVAL);
	assert_non_null(strstr(err, "workers = 0"));
	assert_int_equal(betanet_bench_create(65, 10, NULL, NULL, &bench, err), -EINVAL);
	assert_int_equal(betanet_bench_create(1, 0, NULL, NULL, &bench, err), -EINVAL);
	assert_non_null(strstr(err, "packets = 0"));
	assert_int_equal(betanet_bench_create(1, (1u << 24) + 1, NULL, NULL, &bench, err), -EINVAL);
	assert_null(bench);
	bench = new_bench(1, 10);
	assert_int_equal(betanet_bench_run(bench, 0, &r, err), -EINVAL);
	assert_int_equal(betanet_bench_run(bench, NAN, &r, err), -EINVAL);
	assert_int_equal(betanet_bench_run(bench, 86401, &r, err), -EINVAL);
	assert_non_null(strstr(err, "seconds"));
	betanet_bench_config(bench)->payload_size = 2048;
	assert_int_equal(betanet_bench_run(bench, 0.1, &r, err), -EINVAL);
	assert_non_null(strstr(err, "payload_size = 2048"));
	betanet_bench_config(bench)->payload_size = MIX_PAYLOAD;
	betanet_bench_config(bench)->workers = 3; /* more than there are lcores */
	assert_int_equal(betanet_bench_run(bench, 0.1, &r, err), -ENOSPC);
	betanet_bench_config(bench)->workers = 1;
	run(bench, 0.001, &r);
	betanet_bench_destroy(bench);
}

static void beside_another_pipeline_it_is_refused(void **state)
{
	struct betanet_bench *bench = new_bench(1, 10);
	struct betanet_bench_result r;
	char err[BETANET_ERROR_MAX];
	struct betanet_config c;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	mix_config(&c, k.secret[0]);
	assert_int_equal(betanet_create(&c, &b, err), 0);
	assert_int_equal(betanet_bench_run(bench, 0.1, &r, err), -EEXIST);
	betanet_destroy(b);
	betanet_bench_destroy(bench);
}

static void a_target_is_met_by_rate_and_by_few_drops(void **state)
{
	struct betanet_bench_result r = {
		.sent = 10000, .processed = 9991, .dropped = 9, .throughput_pps = 25000};

	(void)state;
	assert_true(betanet_bench_meets_target(&r, 25000));
	assert_false(betanet_bench_meets_target(&r, 25001));
	r.dropped = 10; /* 0.1 % */
	assert_false(betanet_bench_meets_target(&r, 25000));
	memset(&r, 0, sizeof(r));
	assert_false(betanet_bench_meets_target(&r, 0));
}

static void the_description_has_a_line_for_each_figure(void **state)
{
	static const char *const want[] = {"sent                    10000 packets",
		"dropped                     9 packets", "25000 packets/s", "123.4 us", "99.910 %",
		"98.765 %", "0.400 s in 2 passes"};
	const struct betanet_bench_result r = {.sent = 10000,
		.processed = 9991,
		.dropped = 9,
		.elapsed_s = 0.4,
		.throughput_pps = 25000,
		.mean_processing_ns = 123400,
		.success_rate = 0.9991,
		.pool_hit_rate = 0.98765,
		.passes = 2};
	char text[BETANET_BENCH_TEXT], cut[20];

	(void)state;
	betanet_bench_describe(&r, text, sizeof(text));
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!strstr(text, want[i]))
			fail_msg("'%s' is not in\n%s", want[i], text);
	assert_true(strlen(text) < sizeof(text) - 1);
	betanet_bench_describe(&r, cut, sizeof(cut));
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_is_valid_and_accepted_once),
		cmocka_unit_test(packets_that_are_used_up_before_the_time_is_over_are_sent_again),
		cmocka_unit_test(figures_agree_with_each_other),
		cmocka_unit_test(delays_are_waited_for_and_are_no_part_of_the_time),
		cmocka_unit_test(building_tells_how_far_it_is),
		cmocka_unit_test(what_is_out_of_range_is_refused_by_name),
		cmocka_unit_test(beside_another_pipeline_it_is_refused),
		cmocka_unit_test(a_target_is_met_by_rate_and_by_few_drops),
		cmocka_unit_test(the_description_has_a_line_for_each_figure),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
