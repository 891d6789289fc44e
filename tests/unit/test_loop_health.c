/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop_world.h"

/* ---- clean traffic ---- */

/* Changes of state over ten minutes, and over all of `relays`. */
static uint64_t ten_clean_minutes(
	enum loop_health_delays delays, unsigned hops, double rate, unsigned relays, bool far)
{
	static struct world w;
	uint64_t changes = 0;

	for (unsigned i = 0; i < relays; i++) {
		uint64_t end;

		open_world(&w, delays, hops, 2 + i % 7, rate,
			i * UINT64_C(1000003) + hops * 17 + (unsigned)(rate * 1000));
		for (unsigned n = 0; far && n < w.cfg.nodes; n++)
			w.distance[n] *= 10;
		end = w.now + (uint64_t)(600 * SECOND);
		while (w.now < end)
			step(&w);
		changes += totals(&w).changes;
		close_world(&w);
	}
	return changes;
}

static void clean(enum loop_health_delays delays)
{
	static const struct {
		double rate;
		unsigned hops, relays;
		bool far; /* all round the world: 20 to 100 ms to each node */
	} cases[] = {{0.5, 2, 600, false}, {2, 2, 300, false}, {10, 2, 80, false},
		{50, 2, 30, false}, {2, 1, 120, false}, {5, 4, 80, false}, {5, 2, 80, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t changes = ten_clean_minutes(delays, cases[i].hops, cases[i].rate,
			cases[i].relays * scale(), cases[i].far);

		if (scale() > 1)
			printf("mode %d, %u hops, %g loops/s: %u relays, %lu changes\n", delays,
				cases[i].hops, cases[i].rate, cases[i].relays * scale(),
				(unsigned long)changes);
		else
			assert_int_equal(changes, 0);
	}
}

static void ten_clean_minutes_raise_no_alarm_with_known_delays(void **state)
{
	(void)state;
	clean(LOOP_HEALTH_KNOWN);
}

static void ten_clean_minutes_raise_no_alarm_with_drawn_delays(void **state)
{
	(void)state;
	clean(LOOP_HEALTH_LAW);
}

static void ten_clean_minutes_raise_no_alarm_with_the_sum_of_both(void **state)
{
	(void)state;
	clean(LOOP_HEALTH_BOTH);
}

/* ---- the relay's own troubles ---- */

/* 0: the alarm did not come, or nodes were blamed, or it did not end. */
static uint64_t loops_until(struct world *w, enum loop_health_relay_state wanted, double others_pps)
{
	const double before = w->others_pps;
	uint64_t taken;

	run_loops(w, 300);
	assert_int_equal(totals(w).changes, 0);
	w->deaf = true;
	w->others_pps = others_pps;
	mark(w);
	while (totals(w).state == LOOP_HEALTH_RELAY_OK && w->ended < 1000)
		step(w);
	taken = w->ended;
	run_loops(w, 50);
	assert_int_equal(totals(w).state, wanted);
	assert_int_equal(innocent_blamed(w, UINT32_MAX), 0);
	w->deaf = false;
	w->others_pps = before;
	run_loops(w, 300);
	assert_int_equal(totals(w).state, LOOP_HEALTH_RELAY_OK);
	assert_int_equal(innocent_blamed(w, UINT32_MAX), 0);
	assert_int_equal(totals(w).row > 3, 0);
	return taken;
}

static void relay_trouble(
	const char *what, enum loop_health_relay_state wanted, unsigned width, double others_pps)
{
	static const double rates[] = {0.5, 5, 50};
	static struct world w;

	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct loop_health_prediction p = {0};
		double mean = 0, worst = 0;
		unsigned later = 0;

		for (unsigned i = 0; i < 40 * scale(); i++) {
			double taken;

			open_world(&w, (enum loop_health_delays)(i % 3), 2, width, rates[r],
				90000 + i + width);
			p = loop_health_plan_of(w.health)->relay;
			taken = (double)loops_until(&w, wanted, others_pps);
			mean += taken / (40 * scale());
			worst = fmax(worst, taken);
			later += taken > p.worst;
			close_world(&w);
		}
		printf("%s, %g loops/s, layers of %u: predicted %.1f, worst %.0f; measured %.1f, "
		       "worst %.0f\n",
			what, rates[r], width, p.mean, p.worst, mean, worst);
		assert_true(mean <= p.mean);
		assert_int_equal(later, 0);
	}
}

static void an_n_minus_1_attack_is_seen(void **state)
{
	(void)state;
	/* the attacker's own packets take the place of everyone's, or there are many more of them
	 */
	for (unsigned width = 2; width <= 8; width *= 2) {
		relay_trouble("n-1 attack", LOOP_HEALTH_RELAY_N_MINUS_1, width, 1000);
		relay_trouble("n-1 attack, flooded", LOOP_HEALTH_RELAY_N_MINUS_1, width, 50000);
	}
}

static void an_outage_is_no_attack(void **state)
{
	(void)state;
	relay_trouble("outage", LOOP_HEALTH_RELAY_OUTAGE, 2, 0);
	relay_trouble("outage", LOOP_HEALTH_RELAY_OUTAGE, 4, 0);
}

/* ---- one fact each ---- */

static void where_one_path_is_all_there_is_nobody_is_accused_alone(void **state)
{
	static struct world w;

	(void)state;
	open_world(&w, LOOP_HEALTH_LAW, 2, 1, 2, 5);
	w.width[0] = w.width[1] = 1;
	run_loops(&w, 100);
	w.fault[0].drop = 1;
	run_loops(&w, 20);
	assert_int_equal(totals(&w).state, LOOP_HEALTH_RELAY_N_MINUS_1);
	assert_int_equal(states_of(&w, 0), 0);
	assert_int_equal(states_of(&w, 1), 0);
	close_world(&w);
}

static void two_that_share_all_routes_are_named_together(void **state)
{
	const struct loop_health_config cfg = {.nodes = 4,
		.delays = LOOP_HEALTH_KNOWN,
		.hops = 2,
		.delaying = 2,
		.mean_ns = 50000000,
		.loops_per_second = 0.5};
	const struct loop_health_loop bad = {.hops = 2, .node = {0, 1}},
				      good = {.hops = 2, .node = {2, 3}};
	struct loop_health *h;
	struct loop_health_node n;

	(void)state;
	assert_int_equal(loop_health_create(&cfg, &h), 0);
	assert_int_equal(loop_health_plan_of(h)->row, 3);
	for (unsigned i = 1; i <= 6; i++) {
		loop_health_returned(h, &good, 1000000);
		loop_health_lost(h, &bad);
		loop_health_node(h, 0, &n);
		assert_int_equal(n.states, i < 6 ? 0 : LOOP_HEALTH_LOST | LOOP_HEALTH_UNSURE);
	}
	loop_health_node(h, 1, &n);
	assert_int_equal(n.states, LOOP_HEALTH_LOST | LOOP_HEALTH_UNSURE);
	assert_int_equal(n.loops, 6);
	assert_int_equal(n.lost, 6);
	loop_health_free(h);
}

static void a_proof_of_skipping_names_that_node_alone(void **state)
{
	const struct loop_health_config cfg = {.nodes = 2,
		.delays = LOOP_HEALTH_KNOWN,
		.hops = 2,
		.delaying = 2,
		.mean_ns = 50000000,
		.loops_per_second = 1};
	const struct loop_health_loop loop = {
		.sent_ns = 7, .hops = 2, .node = {0, 1}, .delay_ns = {30000000, 100000000}};
	struct loop_health *h;
	struct loop_health_node n[2];

	(void)state;
	assert_int_equal(loop_health_create(&cfg, &h), 0);
	for (int i = 0; i < 2; i++) { /* 1.1 ms are within the clocks' tolerance, 1.2 ms are not */
		loop_health_returned(h, &loop, 7 + 100000000 - (i ? 1200000 : 1100000));
		loop_health_node(h, 0, &n[0]);
		loop_health_node(h, 1, &n[1]);
		assert_int_equal(n[0].states, 0);
		assert_int_equal(n[1].states, i ? LOOP_HEALTH_EARLY : 0);
	}
	loop_health_free(h);
}

static void the_plan_follows_from_the_rate(void **state)
{
	static const struct {
		double rate;
		unsigned row;
		double threshold;
	} cases[] = {{0.1, 3, 13.8155}, {0.5, 3, 13.8155}, {5, 4, 16.1181}, {50, 4, 18.4207},
		{51, 5, 18.4405}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loop_health_config cfg = {.nodes = 10,
			.delays = LOOP_HEALTH_LAW,
			.hops = 2,
			.delaying = 2,
			.mean_ns = 50000000,
			.loops_per_second = cases[i].rate};
		const struct loop_health_plan *p;
		struct loop_health *h;

		assert_int_equal(loop_health_create(&cfg, &h), 0);
		p = loop_health_plan_of(h);
		assert_int_equal(p->row, cases[i].row);
		assert_true(fabs(p->threshold - cases[i].threshold) < 1e-3);
		assert_true(fabs(p->per_trial - pow(0.01, p->row)) < 1e-12);
		/* (1 + t)e^-t = 10^-6 at t = 16.688 */
		assert_true(fabs((double)p->patience_ns - (1e9 + 16.688 * 50e6)) < 1e5);
		assert_true(p->lossy.mean > 0 && p->lossy.worst > p->lossy.mean);
		assert_true(p->early.mean > 0 && p->early.worst > p->early.mean);
		assert_true(p->late.mean > 0 && p->late.worst > p->late.mean);
		loop_health_free(h);
	}
}

static void the_deadline_counts_the_delays_in_the_header(void **state)
{
	struct loop_health_config cfg = {.nodes = 3,
		.delays = LOOP_HEALTH_KNOWN,
		.hops = 2,
		.delaying = 2,
		.mean_ns = 50000000,
		.network_ns = 5000,
		.loops_per_second = 1};
	const struct loop_health_loop loop = {
		.sent_ns = 1000000, .hops = 2, .node = {0, 1}, .delay_ns = {70, 8}};
	struct loop_health *h;

	(void)state;
	assert_int_equal(loop_health_create(&cfg, &h), 0);
	assert_int_equal(loop_health_deadline(h, &loop), 1005078);
	loop_health_free(h);
	cfg.delays = LOOP_HEALTH_LAW;
	assert_int_equal(loop_health_create(&cfg, &h), 0);
	assert_int_equal(
		loop_health_deadline(h, &loop), 1000000 + loop_health_plan_of(h)->patience_ns);
	loop_health_free(h);
}

static void impossible_configurations_are_refused(void **state)
{
	const struct loop_health_config right = {.nodes = 3,
		.delays = LOOP_HEALTH_LAW,
		.hops = 2,
		.delaying = 2,
		.mean_ns = 50000000,
		.loops_per_second = 1};
	struct loop_health_config wrong[10];
	struct loop_health *h;

	(void)state;
	for (size_t i = 0; i < 10; i++)
		wrong[i] = right;
	wrong[0].nodes = 0;
	wrong[1].nodes = LOOP_HEALTH_NODES_MAX + 1;
	wrong[2].hops = 0;
	wrong[3].hops = LOOP_HEALTH_HOPS_MAX + 1;
	wrong[4].delaying = 3;
	wrong[5].delaying = 0;
	wrong[6].mean_ns = 0;
	wrong[7].loops_per_second = 0;
	wrong[8].loops_per_second = NAN;
	wrong[9].delays = (enum loop_health_delays)7;
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(loop_health_create(&wrong[i], &h), -EINVAL);
		assert_null(h);
	}
	assert_int_equal(loop_health_create(&right, &h), 0);
	loop_health_free(h);
	loop_health_free(NULL);
}

static void states_have_words(void **state)
{
	char text[LOOP_HEALTH_TEXT];

	(void)state;
	assert_string_equal(loop_health_states_text(0, text), "ok");
	assert_string_equal(
		loop_health_states_text(LOOP_HEALTH_LOSSY | LOOP_HEALTH_LATE, text), "lossy+late");
	assert_string_equal(loop_health_states_text(31, text), "lost+lossy+early+late+unsure");
	assert_string_equal(loop_health_relay_text(LOOP_HEALTH_RELAY_OUTAGE), "outage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_clean_minutes_raise_no_alarm_with_known_delays),
		cmocka_unit_test(ten_clean_minutes_raise_no_alarm_with_drawn_delays),
		cmocka_unit_test(ten_clean_minutes_raise_no_alarm_with_the_sum_of_both),
		cmocka_unit_test(an_n_minus_1_attack_is_seen),
		cmocka_unit_test(an_outage_is_no_attack),
		cmocka_unit_test(where_one_path_is_all_there_is_nobody_is_accused_alone),
		cmocka_unit_test(two_that_share_all_routes_are_named_together),
		cmocka_unit_test(a_proof_of_skipping_names_that_node_alone),
		cmocka_unit_test(the_plan_follows_from_the_rate),
		cmocka_unit_test(the_deadline_counts_the_delays_in_the_header),
		cmocka_unit_test(impossible_configurations_are_refused),
		cmocka_unit_test(states_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
