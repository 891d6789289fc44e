/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits of sources on a clock of the test's own. */
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/bytes.h"
#include "core/uniform.h"
#include "mix/limiter.h"

#define HZ UINT64_C(2500000000)

static struct limiter *make(uint64_t rate, uint32_t burst, uint64_t hz, uint64_t words)
{
	const struct limiter_params p = {rate, burst, hz, words};
	struct limiter *l = NULL;
	struct error err;

	if (limiter_create(&p, &l, &err) < 0)
		fail_msg("%s", err.msg);
	return l;
}

static bool admit(struct limiter *l, uint64_t source, uint64_t now)
{
	return limiter_admit(l, limiter_locate(l, source), now);
}

static unsigned admit_many(struct limiter *l, uint64_t source, uint64_t now, unsigned n)
{
	unsigned got = 0;

	for (unsigned i = 0; i < n; i++)
		got += admit(l, source, now);
	return got;
}

/* Sources of the tests; the real ones have 4 or 6 in the first byte. */
static uint64_t source_number(uint64_t i)
{
	return UINT64_C(4) << 56 | (i & 0xffffffffffffff);
}

/* ---- conformance ---- */

/* The other form of the algorithm in I.371: a leaky bucket whose content falls by one each cycle.
 */
struct leaky_bucket {
	uint64_t content, last;
};

static bool leaky_admit(struct leaky_bucket *b, const struct gcra *g, uint64_t now)
{
	uint64_t gone = now - b->last;
	uint64_t content = b->content > gone ? b->content - gone : 0;

	if (content > g->tolerance)
		return false;
	b->content = content + g->interval;
	b->last = now;
	return true;
}

static const struct {
	uint64_t rate;
	uint32_t burst;
	uint64_t hz;
} settings[] = {{1, 1, HZ}, {1, 65536, UINT64_C(1) << 40}, {2500, 256, HZ}, {25000, 1024, HZ},
	{1000000, 32, HZ}, {999999, 7, 1000003}, {GCRA_RATE_MAX, 128, HZ}, {GCRA_RATE_MAX, 1, 1}};

static void decisions_are_those_of_the_leaky_bucket_of_the_standard(void **state)
{
	(void)state;
	for (unsigned s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
		const struct gcra g =
			gcra_make(settings[s].rate, settings[s].burst, settings[s].hz);
		struct limiter *l = make(settings[s].rate, settings[s].burst, settings[s].hz, 64);
		struct leaky_bucket model = {0};
		_Atomic uint64_t word = 0;
		uint64_t now = 1000, yes = 0;

		for (unsigned i = 0; i < 200000; i++) {
			bool want = leaky_admit(&model, &g, now);

			assert_int_equal(gcra_admit(&g, &word, now), want);
			assert_int_equal(admit(l, source_number(7), now), want);
			yes += want;
			/* crowds, gaps of about an interval, rarely a pause: mostly at the limit */
			if (randombytes_uniform(4 * settings[s].burst + 64) == 0)
				now += uniform_below(g.tolerance + 2);
			switch (randombytes_uniform(16)) {
			case 0:
				now += uniform_below(3 * g.interval + 1);
				break;
			case 1:
				now += g.interval - 1 + uniform_below(3);
				break;
			default:
				now += uniform_below(g.interval / 8 + 1);
			}
			if (now >> 62)
				break;
		}
		assert_in_range(yes, 2, 199999); /* both answers came */
		limiter_free(l);
	}
}

static void a_burst_is_kept_to_the_packet_and_then_the_rate(void **state)
{
	(void)state;
	for (unsigned s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
		const struct gcra g =
			gcra_make(settings[s].rate, settings[s].burst, settings[s].hz);
		struct limiter *l = make(settings[s].rate, settings[s].burst, settings[s].hz, 64);
		const uint32_t burst = settings[s].burst;
		uint64_t now = 5;

		assert_int_equal(admit_many(l, 1, now, burst + 10), burst);
		for (unsigned i = 0; i < 100; i++) {
			assert_false(g.interval > 1 && admit(l, 1, now + g.interval - 1));
			now += g.interval;
			assert_int_equal(admit_many(l, 1, now, 3), 1);
		}
		now += 17 * g.interval;
		assert_int_equal(admit_many(l, 1, now, burst + 17), burst < 17 ? burst : 17);
		limiter_free(l);
	}
}

/* Over long time: never above the asked rate, and below by no more than the header says. */
static void a_rate_is_kept_over_long_time(void **state)
{
	(void)state;
	for (unsigned s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
		const uint64_t rate = settings[s].rate, hz = settings[s].hz;
		const struct gcra g = gcra_make(rate, settings[s].burst, hz);
		struct limiter *l = make(rate, settings[s].burst, hz, 64);
		const uint64_t step = g.interval / 3 + 1, start = 99;
		uint64_t now = start, got = 0;
		long double cycles, most, least;

		for (unsigned i = 0; i < 300000; i++, now += step)
			got += admit(l, 1, now);
		cycles = (long double)(now - step - start);
		most = settings[s].burst + floorl(cycles * (long double)rate / (long double)hz);
		least = floorl(cycles / (long double)g.interval);
		assert_true(g.interval * rate >= hz && (g.interval - 1) * rate < hz);
		if (rate <= hz)
			assert_true((long double)got <= most);
		assert_true((long double)got >= (least < 300000 ? least : 300000));
		assert_true(got <= settings[s].burst + (uint64_t)least);
		limiter_free(l);
	}
}

static void long_silence_earns_one_burst_and_no_more(void **state)
{
	static const uint64_t gaps[] = {HZ, 3600 * HZ, UINT64_C(1) << 48, UINT64_C(1) << 62};
	struct limiter *l = make(2500, 256, HZ, 64);
	uint64_t now = 1;

	(void)state;
	for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		assert_int_equal(admit_many(l, 9, now, 1000), 256);
		now += gaps[i];
	}
	assert_int_equal(admit_many(l, 9, now, 1000), 256);
	assert_int_equal(admit_many(l, 9, now + HZ / 2500 - 1, 1000), 0);
	assert_int_equal(admit_many(l, 9, now + HZ / 2500, 1000), 1);
	limiter_free(l);
}

/* A thread that lost its core comes with an old clock: it earns nothing by it. */
static void an_old_clock_earns_nothing(void **state)
{
	const uint64_t now = 100 * HZ;
	struct limiter *l = make(1000, 10, HZ, 64);

	(void)state;
	assert_int_equal(admit_many(l, 3, now, 10), 10);
	assert_int_equal(admit_many(l, 3, now - HZ, 10), 0);
	assert_int_equal(admit_many(l, 3, 0, 10), 0);
	assert_int_equal(admit_many(l, 3, now, 10), 0);
	assert_int_equal(admit_many(l, 3, now + HZ / 1000, 10), 1);
	limiter_free(l);
}

static void settings_out_of_range_are_refused(void **state)
{
	static const struct {
		struct limiter_params p;
		const char *name;
	} bad[] = {{{0, 1, HZ, 64}, "rate = 0"}, {{GCRA_RATE_MAX + 1, 1, HZ, 64}, "rate"},
		{{1, 0, HZ, 64}, "burst = 0"}, {{1, 65537, HZ, 64}, "burst = 65537"},
		{{1, 1, 0, 64}, "hz = 0"}, {{1, 1, (UINT64_C(1) << 40) + 1, 64}, "hz"},
		{{1, 1, HZ, 2}, "words = 2"}, {{1, 1, HZ, 65}, "not a power of two"},
		{{1, 1, HZ, UINT64_C(1) << 33}, "words"}};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct limiter *l = NULL;
		struct error err;

		assert_int_equal(limiter_create(&bad[i].p, &l, &err), -EINVAL);
		assert_non_null(strstr(err.msg, bad[i].name));
		assert_null(l);
	}
}

/* ---- sources ---- */

static void an_ipv4_address_and_an_ipv6_56_are_a_source(void **state)
{
	uint8_t four[4] = {192, 0, 2, 1}, six[16] = {0x20, 1, 0x0d, 0xb8, 1, 2, 3, 4, 5};
	const uint64_t of_four = limiter_source4(four), of_six = limiter_source6(six);
	/* an IPv6 prefix whose bits are those of the IPv4 address */
	const uint8_t alike[16] = {0, 0, 0, 192, 0, 2, 1};

	(void)state;
	assert_true(of_four != 0 && of_six != 0 && of_four != of_six);
	assert_true(limiter_source6(alike) != of_four);
	for (unsigned bit = 0; bit < 32; bit++) {
		four[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_true(limiter_source4(four) != of_four);
		four[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
	for (unsigned bit = 0; bit < 128; bit++) {
		six[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_int_equal(limiter_source6(six) == of_six, bit >= 56);
		six[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
}

static void two_sources_do_not_share_a_limit(void **state)
{
	struct limiter *l = make(1000, 10, HZ, 1 << 16);

	(void)state;
	/* one of some 2^32 tables would put both sources into the same two words */
	assert_int_equal(admit_many(l, limiter_source4((uint8_t[]){10, 0, 0, 1}), 1, 20), 10);
	assert_int_equal(admit_many(l, limiter_source4((uint8_t[]){10, 0, 0, 2}), 1, 20), 10);
	limiter_free(l);
}

/* ---- collisions ---- */

/* A source other than `not` whose word in `half` is `at`, and in the other half is not. */
static uint64_t collider(
	const struct limiter *l, struct limiter_place victim, unsigned half, uint64_t *from)
{
	for (unsigned i = 0; i < 1000000; i++) {
		uint64_t source = source_number((*from)++);
		struct limiter_place p = limiter_locate(l, source);

		if (p.at[half] == victim.at[half] && p.at[!half] != victim.at[!half])
			return source;
	}
	fail_msg("the two words of a source are not independent");
	return 0;
}

static void one_occupied_word_harms_nobody_and_two_do(void **state)
{
	enum { BURST = 16 };
	const uint64_t interval = HZ / 1000;

	(void)state;
	for (unsigned half = 0; half < 2; half++) {
		struct limiter *l = make(1000, BURST, HZ, 256);
		const uint64_t victim = source_number(UINT64_C(1) << 40);
		const struct limiter_place place = limiter_locate(l, victim);
		uint64_t from = 1, now = HZ;
		const uint64_t first = collider(l, place, half, &from);
		const uint64_t second = collider(l, place, !half, &from);

		/* a flood in one word: the victim has its full rate and burst */
		for (unsigned i = 0; i < 1000; i++, now += interval) {
			admit_many(l, first, now, 20);
			assert_true(admit(l, victim, now));
		}
		now += BURST * interval;
		admit_many(l, first, now, 2 * BURST);
		assert_int_equal(admit_many(l, victim, now, 2 * BURST), BURST);
		/* in both: it is refused while they last, and not any longer */
		now += BURST * interval;
		assert_int_equal(admit_many(l, first, now, 2 * BURST), BURST);
		assert_int_equal(admit_many(l, second, now, 2 * BURST), BURST);
		assert_false(admit(l, victim, now));
		assert_true(admit(l, victim, now + interval));
		now += (BURST + 1) * interval;
		assert_int_equal(admit_many(l, victim, now, 2 * BURST), BURST);
		limiter_free(l);
	}
}

/* ---- memory ---- */

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN
#endif
#endif

/* Bytes of the heap in use. */
static size_t heap(void)
{
#ifdef HAVE_ASAN
	extern size_t __sanitizer_get_current_allocated_bytes(void);

	return __sanitizer_get_current_allocated_bytes();
#else
	const struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#endif
}

static void memory_is_taken_once(void **state)
{
	const size_t before = heap();
	struct limiter *l = make(2500, 256, HZ, 1 << 16);
	const size_t with = heap();

	(void)state;
	assert_int_equal(limiter_bytes(l), 8 << 16);
	assert_in_range(with - before, 8 << 16, (8 << 16) + 8192);
	for (uint64_t i = 0; i < 1000000; i++)
		admit(l, source_number(i), i * 100);
	assert_int_equal(heap(), with);
	assert_int_equal(limiter_bytes(l), 8 << 16);
	limiter_free(l);
	assert_int_equal(heap(), before);
}

/* ---- strangers ---- */

/* Forged sources, each used once: they give a word one packet in a while, far from its rate. */
static void millions_of_strangers_once_each_harm_no_steady_sender(void **state)
{
	enum { WORDS = 1 << 15, HONEST = 64, STRANGERS = 2000000 };
	/* half of the rate from strangers in each word: 2 · STRANGERS/WORDS packets in the time */
	const uint64_t rate = 1000, interval = HZ / rate;
	const uint64_t gap = 2 * interval / (WORDS / 2);
	struct limiter *l = make(rate, 64, HZ, WORDS);
	uint64_t now = HZ, next[HONEST], offered = 0, refused = 0;

	(void)state;
	for (unsigned h = 0; h < HONEST; h++)
		next[h] = now + uniform_below(interval);
	for (uint64_t i = 0; i < STRANGERS; i++, now += gap) {
		admit(l, source_number(randombytes_random() | UINT64_C(1) << 33), now);
		for (unsigned h = 0; h < HONEST; h++) {
			if (next[h] > now)
				continue;
			offered++;
			refused += !admit(l, source_number(UINT64_C(1) << 40 | h), now);
			next[h] = now + interval * 10 / 9; /* nine tenths of its rate */
		}
	}
	assert_true(offered > 50 * HONEST);
	assert_int_equal(refused, 0);
	limiter_free(l);
}

/* Strangers at their limit occupy their words: the harmed are as many as the header says. */
static void strangers_at_their_limit_harm_as_many_as_computed(void **state)
{
	enum { WORDS = 1 << 14, HOT = 2048, HONEST = 20000, BURST = 32 };
	const double n = WORDS / 2, f = 1 - pow(1 - 1 / n, HOT);
	struct limiter *l = make(1000, BURST, HZ, WORDS);
	const uint64_t now = HZ;
	double hot, harmed = 0, expected, sigma;

	(void)state;
	for (unsigned i = 0; i < HOT; i++)
		admit_many(l, source_number(i), now, 2 * BURST);
	hot = (double)limiter_hot(l, now) / WORDS;
	/* occupied words: variance below n·f·(1 − f) for balls in bins; two halves. A source that
	 * found its words taken is refused too early, and leaves no more than that */
	assert_true(hot <= f + 6 * sqrt(f * (1 - f) / WORDS));
	assert_true(hot >= f * 0.9);
	/* one packet of an honest source: it raises words, but not beyond the tolerance */
	for (unsigned i = 0; i < HONEST; i++)
		harmed += !admit(l, source_number(UINT64_C(1) << 40 | i), now);
	expected = HONEST * f * f;
	sigma = sqrt(expected);
	print_message("          hot words %.4f (computed %.4f), harmed %.0f of %u (computed "
		      "%.0f)\n",
		hot, f, harmed, HONEST, expected);
	assert_true(harmed <= expected + 8 * sigma);
	assert_true(harmed >= expected / 2);
	limiter_free(l);
}

/* ---- threads ---- */

enum { THREADS = 4, SOURCES = 8, TRIES = 500000 };

/* Threads on one clock, which each try moves: all of them are at the limit all the time, and meet
 * wherever they can. */
struct race {
	struct limiter *limiter;
	unsigned sources;
	uint64_t step;
	_Atomic uint64_t clock;
	_Atomic unsigned ready;
	unsigned long admitted[THREADS][SOURCES];
};

struct racer {
	struct race *race;
	unsigned index;
};

static void *run_racer(void *arg)
{
	struct racer *me = arg;
	struct race *r = me->race;

	atomic_fetch_add(&r->ready, 1);
	while (atomic_load(&r->ready) < THREADS)
		sched_yield();
	for (unsigned i = 0; i < TRIES; i++) {
		const unsigned s = i % r->sources;
		const uint64_t now = atomic_fetch_add(&r->clock, r->step);

		r->admitted[me->index][s] += admit(r->limiter, source_number(s), now);
	}
	return NULL;
}

/* Returns how long it took by the race's clock. */
static uint64_t run_race(struct race *r)
{
	struct racer racer[THREADS];
	pthread_t thread[THREADS];

	atomic_store(&r->clock, HZ);
	for (unsigned i = 0; i < THREADS; i++) {
		racer[i] = (struct racer){r, i};
		assert_int_equal(pthread_create(&thread[i], NULL, run_racer, &racer[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	return atomic_load(&r->clock) - HZ;
}

static unsigned long sum_of(const struct race *r, unsigned source)
{
	unsigned long sum = 0;

	for (unsigned i = 0; i < THREADS; i++)
		sum += r->admitted[i][source];
	return sum;
}

static void threads_together_are_kept_to_one_rate(void **state)
{
	enum { BURST = 64 };
	const uint64_t interval = HZ / 1000;
	/* twice the rate; nobody else is in the table */
	struct race r = {
		.limiter = make(1000, BURST, HZ, 1 << 16), .sources = 1, .step = interval / 2};
	const uint64_t took = run_race(&r);

	(void)state;
	assert_true(sum_of(&r, 0) <= BURST + took / interval);
	assert_true(sum_of(&r, 0) >= took / interval);
	limiter_free(r.limiter);
}

/* Four words for eight sources: each try meets other sources in its words. */
static void threads_never_exceed_a_rate_in_a_crowded_table(void **state)
{
	enum { BURST = 32 };
	const uint64_t interval = HZ / 1000;

	(void)state;
	for (unsigned table = 0; table < 3; table++) {
		/* each source at twice its rate */
		struct race r = {.limiter = make(1000, BURST, HZ, 4),
			.sources = SOURCES,
			.step = interval / 2 / SOURCES};
		const uint64_t took = run_race(&r);
		unsigned long all = 0;

		for (unsigned s = 0; s < SOURCES; s++) {
			assert_true(sum_of(&r, s) <= BURST + took / interval);
			all += sum_of(&r, s);
		}
		assert_true(all >= took / interval);
		limiter_free(r.limiter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions_are_those_of_the_leaky_bucket_of_the_standard),
		cmocka_unit_test(a_burst_is_kept_to_the_packet_and_then_the_rate),
		cmocka_unit_test(a_rate_is_kept_over_long_time),
		cmocka_unit_test(long_silence_earns_one_burst_and_no_more),
		cmocka_unit_test(an_old_clock_earns_nothing),
		cmocka_unit_test(settings_out_of_range_are_refused),
		cmocka_unit_test(an_ipv4_address_and_an_ipv6_56_are_a_source),
		cmocka_unit_test(two_sources_do_not_share_a_limit),
		cmocka_unit_test(one_occupied_word_harms_nobody_and_two_do),
		cmocka_unit_test(memory_is_taken_once),
		cmocka_unit_test(millions_of_strangers_once_each_harm_no_steady_sender),
		cmocka_unit_test(strangers_at_their_limit_harm_as_many_as_computed),
		cmocka_unit_test(threads_together_are_kept_to_one_rate),
		cmocka_unit_test(threads_never_exceed_a_rate_in_a_crowded_table),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
