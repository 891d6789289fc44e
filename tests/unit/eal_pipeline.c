/* SPDX-License-Identifier: BSD-3-Clause */
/* The public API without ports: submit, mix, collect. */
#include "mixtest.h"

static const char next_hop[] = "192.0.2.7:9000", destination[] = "198.51.100.1:4242";

static struct betanet *start(
	const struct mix_keys *k, enum betanet_role role, void (*change)(struct betanet_config *))
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b = NULL;

	mix_config(&c, k->secret[0]);
	c.role = role;
	if (change)
		change(&c);
	if (betanet_create(&c, &b, err) < 0 || betanet_start(b, err) < 0)
		fail_msg("%s", err);
	return b;
}

static unsigned collect(
	struct betanet *b, struct betanet_output *out, uint8_t (*data)[MIX_PACKET], unsigned max)
{
	int n;

	for (unsigned i = 0; i < max; i++) {
		out[i].data = data[i];
		out[i].capacity = MIX_PACKET;
	}
	n = betanet_collect(b, out, max);
	assert_true(n >= 0);
	return (unsigned)n;
}

static void a_forwarded_packet_is_what_the_oracle_makes_of_it(void **state)
{
	enum { N = 300 };
	static uint8_t packet[N][MIX_PACKET], want[N][MIX_PACKET], got[N][MIX_PACKET];
	struct betanet_output out[N];
	const uint8_t *p[N];
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b;
	unsigned n, matched = 0;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	for (unsigned i = 0; i < N; i++) {
		struct sphinx_hop hop;

		mix_build(&k, 3, next_hop, destination, 1000000 + i * 20000,
			i & 1 ? SPHINX_V259 : SPHINX_V258, &i, sizeof(i), packet[i]);
		memcpy(want[i], packet[i], MIX_PACKET);
		assert_int_equal(sphinx_unwrap(mix_crypto, k.secret[0], want[i], MIX_PACKET, &hop),
			SPHINX_ok);
		p[i] = packet[i];
	}
	assert_int_equal(betanet_submit(b, p, N), N);
	mix_settle(b, N, &s);
	n = collect(b, out, got, N);
	assert_int_equal(n, N);
	for (unsigned i = 0; i < N; i++) {
		assert_false(out[i].final);
		assert_int_equal(out[i].len, MIX_PACKET);
		for (unsigned j = 0; j < N; j++)
			matched += memcmp(got[i], want[j], MIX_PACKET) == 0;
	}
	assert_int_equal(matched, N);
	assert_int_equal(s.processed, N);
	assert_int_equal(s.forwarded, N);
	assert_int_equal(s.dropped, 0);
	assert_int_equal(s.replay_tags, N);
	mix_stop(b);
}

static void no_packet_leaves_before_its_delay(void **state)
{
	enum { N = 50 };
	static uint8_t packet[N][MIX_PACKET], got[N][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_output out[N];
	struct mix_keys k;
	struct betanet *b;
	unsigned have = 0;
	uint64_t submitted, hz = rte_get_tsc_hz();

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	for (unsigned i = 0; i < N; i++) {
		mix_build(&k, 2, next_hop, destination, (10 + i) * 1000000ULL, SPHINX_V259, &i,
			sizeof(i), packet[i]);
		p[i] = packet[i];
	}
	submitted = rte_rdtsc();
	assert_int_equal(betanet_submit(b, p, N), N);
	while (have < N && rte_rdtsc() - submitted < 5 * hz) {
		unsigned n = collect(b, out, got, N);
		uint64_t ns = (uint64_t)((double)(rte_rdtsc() - submitted) * 1e9 / (double)hz);

		for (unsigned i = 0; i < n; i++)
			assert_true(out[i].delay_ns >= 10000000 && ns >= out[i].delay_ns);
		have += n;
	}
	assert_int_equal(have, N);
	mix_stop(b);
}

static void a_packet_sent_twice_is_forwarded_once(void **state)
{
	static uint8_t packet[MIX_PACKET];
	const uint8_t *p[2] = {packet, packet};
	struct betanet_stats before, s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	mix_build(&k, 3, next_hop, destination, 0, SPHINX_V259, "x", 1, packet);
	betanet_stats_get(b, &before);
	assert_int_equal(betanet_submit(b, p, 2), 2);
	mix_settle(b, 2, &s);
	assert_dropped(&before, &s, DROP_replay, 1);
	assert_int_equal(s.forwarded, 1);
	/* alpha's bit 255 is not part of the point: the tag is the same */
	packet[31] ^= 0x80;
	assert_int_equal(betanet_submit(b, p, 1), 1);
	mix_settle(b, 3, &s);
	assert_dropped(&before, &s, DROP_replay, 2);
	assert_int_equal(s.forwarded, 1);
	mix_stop(b);
}

static void two_workers_one_by_one(struct betanet_config *c)
{
	c->workers = 2;
	c->batch_size = 1;
}

static void a_packet_that_reaches_two_workers_at_once_is_forwarded_once(void **state)
{
	enum { N = 200 };
	static uint8_t packet[N][MIX_PACKET];
	const uint8_t *p[2 * N];
	struct betanet_stats before, s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, two_workers_one_by_one);
	for (unsigned i = 0; i < N; i++) {
		mix_build(&k, 3, next_hop, destination, 0, SPHINX_V259, &i, sizeof(i), packet[i]);
		p[2 * i] = p[2 * i + 1] = packet[i]; /* bursts of one go to the workers in turn */
	}
	betanet_stats_get(b, &before);
	assert_int_equal(betanet_submit(b, p, 2 * N), 2 * N);
	mix_settle(b, 2 * N, &s);
	assert_dropped(&before, &s, DROP_replay, N);
	assert_int_equal(s.forwarded, N);
	mix_stop(b);
}

static void a_bad_packet_changes_nothing_for_its_neighbours(void **state)
{
	enum { N = 64 };
	static uint8_t packet[N][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_stats before, s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	for (unsigned i = 0; i < N; i++) {
		mix_build(&k, 3, next_hop, destination, 0, SPHINX_V259, &i, sizeof(i), packet[i]);
		p[i] = packet[i];
		if (i % 4 == 1)
			packet[i][SPHINX_ALPHA_SIZE + i % 16] ^= (uint8_t)(1 << i % 8);
		else if (i % 4 == 3)
			memset(packet[i], 0, SPHINX_ALPHA_SIZE); /* small order */
	}
	betanet_stats_get(b, &before);
	assert_int_equal(betanet_submit(b, p, N), N);
	mix_settle(b, N, &s);
	assert_int_equal(s.drops[DROP_bad_mac], N / 4);
	assert_int_equal(s.drops[DROP_bad_point], N / 4);
	assert_int_equal(s.dropped, N / 2);
	assert_int_equal(s.forwarded, N / 2);
	/* nothing forged is remembered */
	assert_int_equal(s.replay_tags, N / 2);
	mix_stop(b);
}

static void an_exit_recovers_the_message(void **state)
{
	static uint8_t packet[MIX_PACKET], got[1][MIX_PACKET];
	const uint8_t *p[1] = {packet};
	uint8_t want[SPHINX_ADDRESS_SIZE], identifier[16];
	struct betanet_output out[1];
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_EXIT, NULL);
	mix_build(&k, 1, next_hop, destination, 0, SPHINX_V258, "hello, world", 12, packet);
	assert_int_equal(betanet_submit(b, p, 1), 1);
	mix_settle(b, 1, &s);
	assert_int_equal(collect(b, out, got, 1), 1);
	mix_address(want, destination);
	memset(identifier, 0xab, sizeof(identifier));
	assert_true(out[0].final);
	assert_int_equal(out[0].len, 12);
	assert_memory_equal(out[0].data, "hello, world", 12);
	assert_memory_equal(out[0].address, want, sizeof(want));
	assert_memory_equal(out[0].identifier, identifier, sizeof(identifier));
	assert_int_equal(s.delivered, 1);
	mix_stop(b);
}

static void a_damaged_final_payload_is_dropped_but_a_version_260_reply_is_handed_on(void **state)
{
	static uint8_t packet[2][MIX_PACKET], got[2][MIX_PACKET];
	const uint8_t *p[2] = {packet[0], packet[1]};
	struct betanet_output out[2];
	struct betanet_stats before, s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_EXIT, NULL);
	mix_build(&k, 1, next_hop, destination, 0, SPHINX_V259, "a", 1, packet[0]);
	mix_build(&k, 1, next_hop, destination, 0, SPHINX_V260, "b", 1, packet[1]);
	packet[0][MIX_PACKET - 1] ^= 1;
	packet[1][MIX_PACKET - 1] ^= 1;
	betanet_stats_get(b, &before);
	assert_int_equal(betanet_submit(b, p, 2), 2);
	mix_settle(b, 2, &s);
	assert_dropped(&before, &s, DROP_bad_payload, 1);
	assert_int_equal(collect(b, out, got, 2), 1);
	assert_int_equal(out[0].len, SPHINX_IDENTIFIER_SIZE + MIX_PAYLOAD);
	assert_memory_equal(out[0].data, out[0].identifier, SPHINX_IDENTIFIER_SIZE);
	mix_stop(b);
}

static void a_final_packet_at_a_middle_relay_is_dropped(void **state)
{
	static uint8_t packet[MIX_PACKET];
	const uint8_t *p[1] = {packet};
	struct betanet_stats before, s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	mix_build(&k, 1, next_hop, destination, 0, SPHINX_V259, "x", 1, packet);
	betanet_stats_get(b, &before);
	assert_int_equal(betanet_submit(b, p, 1), 1);
	mix_settle(b, 1, &s);
	assert_dropped(&before, &s, DROP_not_exit, 1);
	mix_stop(b);
}

static void shallow(struct betanet_config *c)
{
	c->queue_depth = 64;
}

static void a_full_queue_takes_fewer_packets(void **state)
{
	enum { N = 1000 };
	static uint8_t packet[MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b;
	unsigned took;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, shallow);
	mix_build(&k, 3, next_hop, destination, 0, SPHINX_V259, "x", 1, packet);
	for (unsigned i = 0; i < N; i++)
		p[i] = packet;
	took = betanet_submit(b, p, N);
	assert_true(took >= 64 && took < N);
	mix_settle(b, took, &s);
	assert_int_equal(s.rx, took);
	assert_int_equal(s.forwarded + s.drops[DROP_replay], took);
	mix_stop(b);
}

static void stopping_lets_parked_packets_leave_in_their_time(void **state)
{
	enum { N = 100 };
	static uint8_t packet[N][MIX_PACKET], got[N][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_output out[N];
	struct betanet_stop_report r;
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	for (unsigned i = 0; i < N; i++) {
		/* half of them leave within the deadline of 600 ms, half of them cannot */
		mix_build(&k, 2, next_hop, destination, i % 2 ? 200000000 : 9000000000, SPHINX_V259,
			&i, sizeof(i), packet[i]);
		p[i] = packet[i];
	}
	assert_int_equal(betanet_submit(b, p, N), N);
	for (unsigned i = 0; i < 1000; i++) {
		betanet_stats_get(b, &s);
		if (s.parked == N)
			break;
		rte_delay_us_sleep(1000);
	}
	assert_int_equal(s.parked, N);
	assert_int_equal(betanet_stop(b, 600, &r), 0);
	assert_int_equal(r.flushed, N / 2);
	assert_int_equal(r.dropped, N / 2);
	assert_int_equal(r.pool_free, r.pool_size);
	betanet_stats_get(b, &s);
	assert_int_equal(s.drops[DROP_shutdown], N / 2);
	assert_int_equal(s.forwarded, N / 2);
	assert_int_equal(collect(b, out, got, N), N / 2);
	betanet_destroy(b);
}

static void a_pool_that_is_too_small_is_refused_with_the_number_it_needs(void **state)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX], text[2048], number[32];
	struct betanet *b;
	struct mix_keys k;
	uint32_t need;

	(void)state;
	mix_keys_make(&k);
	mix_config(&c, k.secret[0]);
	c.target_pps = 1000000;
	need = betanet_describe_pool(&c, NULL, 0, 0, text, sizeof(text));
	assert_non_null(strstr(text, "51342")); /* mixing.md: 1 Mpps at 50 ms */
	c.pool_size = 4096;
	assert_int_equal(betanet_create(&c, &b, err), 0);
	assert_int_equal(betanet_start(b, err), -EINVAL);
	snprintf(number, sizeof(number), "%u", need);
	assert_non_null(strstr(err, "pool_size = 4096"));
	assert_non_null(strstr(err, number));
	betanet_destroy(b);
}

static void settings_out_of_range_are_named(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
		unsigned value;
	} bad[] = {
		{"workers = 0", offsetof(struct betanet_config, workers), 0},
		{"workers = 65", offsetof(struct betanet_config, workers), 65},
		{"batch_size = 129", offsetof(struct betanet_config, batch_size), 129},
		{"payload_size = 32", offsetof(struct betanet_config, payload_size), 32},
		{"tick_us = 99", offsetof(struct betanet_config, tick_us), 99},
		{"burst_size = 0", offsetof(struct betanet_config, burst_size), 0},
	};
	static const uint8_t wiped[32];
	char err[BETANET_ERROR_MAX];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct betanet_config c;
		struct betanet *b = NULL;
		struct mix_keys k;

		mix_keys_make(&k);
		mix_config(&c, k.secret[0]);
		memcpy((char *)&c + bad[i].offset, &bad[i].value, sizeof(unsigned));
		assert_int_equal(betanet_create(&c, &b, err), -EINVAL);
		assert_non_null(strstr(err, bad[i].name));
		assert_non_null(strstr(err, "allowed is"));
		assert_null(b);
		assert_memory_equal(c.sphinx_secret, wiped, 32);
	}
}

static void a_second_pipeline_is_refused_and_the_first_lives_on(void **state)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b, *second = NULL;
	struct mix_keys k;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, NULL);
	mix_config(&c, k.secret[1]);
	assert_int_equal(betanet_create(&c, &second, err), -EEXIST);
	mix_stop(b);
	b = start(&k, BETANET_MIDDLE, NULL);
	mix_stop(b);
}

static void more_workers_than_lcores_are_refused(void **state)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b;
	struct mix_keys k;

	(void)state;
	mix_keys_make(&k);
	mix_config(&c, k.secret[0]);
	c.workers = 3;
	assert_int_equal(betanet_create(&c, &b, err), 0);
	assert_int_equal(betanet_start(b, err), -ENOSPC);
	assert_non_null(strstr(err, "workers = 3"));
	betanet_destroy(b);
}

static void limited(struct betanet_config *c)
{
	c->shaping = BETANET_SHAPING_RATE;
	c->max_rate_pps = 1000;
	c->burst_size = 10;
}

static void shaping_holds_packets_back_without_losing_any(void **state)
{
	enum { N = 110 };
	static uint8_t packet[N][MIX_PACKET];
	const uint8_t *p[N];
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b;
	uint64_t began;
	double seconds;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, limited);
	for (unsigned i = 0; i < N; i++) {
		mix_build(&k, 2, next_hop, destination, 0, SPHINX_V259, &i, sizeof(i), packet[i]);
		p[i] = packet[i];
	}
	began = rte_rdtsc();
	assert_int_equal(betanet_submit(b, p, N), N);
	mix_settle(b, N, &s);
	seconds = (double)(rte_rdtsc() - began) / (double)rte_get_tsc_hz();
	assert_int_equal(s.forwarded, N);
	assert_int_equal(s.dropped, 0);
	/* a lower bound, which no slow machine can break: 10 at once, 100 more at 1000 a second */
	assert_true(seconds >= 0.099);
	/* on average about 45 ms, which are shaping and not processing */
	assert_true(s.mean_shaping_ns >= 30e6);
	assert_true(s.mean_processing_ns + s.mean_shaping_ns <= seconds * 1e9);
	mix_stop(b);
}

static void nothing_taken_is_lost_when_nobody_collects(void **state)
{
	enum { N = 400, DEPTH = 64 };
	static uint8_t packet[N][MIX_PACKET], got[N][MIX_PACKET];
	struct betanet_output out[N];
	struct betanet_stats s;
	struct mix_keys k;
	struct betanet *b;
	unsigned taken = 0, have = 0;
	uint64_t until;

	(void)state;
	mix_keys_make(&k);
	b = start(&k, BETANET_MIDDLE, shallow);
	for (unsigned i = 0; i < N; i++)
		mix_build(&k, 2, next_hop, destination, 1000000, SPHINX_V259, &i, sizeof(i),
			packet[i]);
	/* longer than a port may refuse packets before they are dropped */
	until = rte_rdtsc() + rte_get_tsc_hz() * 3 / 10;
	while (rte_rdtsc() < until) {
		const uint8_t *p = packet[taken];

		if (taken < N)
			taken += betanet_submit(b, &p, 1);
		betanet_poll(b);
	}
	assert_true(taken < N);
	/* what waits to be collected, is parked or queued, or was not looked at yet */
	assert_true(taken <= 3 * DEPTH + BETANET_MAX_BATCH);
	betanet_stats_get(b, &s);
	assert_int_equal(s.dropped, 0);
	until = rte_rdtsc() + rte_get_tsc_hz() * 20;
	while (have < N && rte_rdtsc() < until) {
		const uint8_t *p = packet[taken < N ? taken : 0];

		have += collect(b, out, got, N - have);
		if (taken < N)
			taken += betanet_submit(b, &p, 1);
	}
	assert_int_equal(have, N);
	betanet_stats_get(b, &s);
	assert_int_equal(s.dropped, 0);
	mix_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forwarded_packet_is_what_the_oracle_makes_of_it),
		cmocka_unit_test(no_packet_leaves_before_its_delay),
		cmocka_unit_test(a_packet_sent_twice_is_forwarded_once),
		cmocka_unit_test(a_packet_that_reaches_two_workers_at_once_is_forwarded_once),
		cmocka_unit_test(a_bad_packet_changes_nothing_for_its_neighbours),
		cmocka_unit_test(an_exit_recovers_the_message),
		cmocka_unit_test(
			a_damaged_final_payload_is_dropped_but_a_version_260_reply_is_handed_on),
		cmocka_unit_test(a_final_packet_at_a_middle_relay_is_dropped),
		cmocka_unit_test(a_full_queue_takes_fewer_packets),
		cmocka_unit_test(stopping_lets_parked_packets_leave_in_their_time),
		cmocka_unit_test(a_pool_that_is_too_small_is_refused_with_the_number_it_needs),
		cmocka_unit_test(settings_out_of_range_are_named),
		cmocka_unit_test(a_second_pipeline_is_refused_and_the_first_lives_on),
		cmocka_unit_test(more_workers_than_lcores_are_refused),
		cmocka_unit_test(shaping_holds_packets_back_without_losing_any),
		cmocka_unit_test(nothing_taken_is_lost_when_nobody_collects),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
