/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include "client_lab.h"
#include "../../app/client/loops.h"
#include "../../app/client/message.h"
#include "../../app/client/slots.h"

/* ---- when it sends ---- */

/* `got` of a binomial or Poisson law of this mean and variance: five sigma, and one for its steps.
 */
static void assert_near(double got, double mean, double variance)
{
	if (fabs(got - mean) > 5 * sqrt(variance) + 1)
		fail_msg("%g is not near %g (sigma %g)", got, mean, sqrt(variance));
}

static void slots_are_three_poisson_streams(void **state)
{
	enum { DRAWS = 200000 };
	struct slots s = {.rate = {30, 5, 15}, .next_ns = 1000};
	double count[SLOT_KINDS] = {0}, sum = 0, below_median = 0, square = 0;
	uint64_t last = s.next_ns;

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		enum slot_kind kind;
		const uint64_t at = slots_draw(&s, &kind);
		const double gap = (double)(at - last) * 50 / 1e9; /* in means */

		count[kind]++;
		sum += gap;
		square += gap * gap;
		below_median += gap < log(2);
		last = at;
	}
	for (int k = 0; k < SLOT_KINDS; k++)
		assert_near(count[k], DRAWS * s.rate[k] / 50,
			DRAWS * s.rate[k] / 50 * (1 - s.rate[k] / 50));
	/* an exponential law of mean 1: variance 1, E[x^2] = 2 with variance 20, median ln 2 */
	assert_near(sum, DRAWS, DRAWS);
	assert_near(square, 2.0 * DRAWS, 20.0 * DRAWS);
	assert_near(below_median, DRAWS / 2.0, DRAWS / 4.0);
}

static void a_rate_of_0_has_no_slots(void **state)
{
	(void)state;
	for (int without = 0; without < SLOT_KINDS; without++) {
		struct slots s = {.rate = {10, 10, 10}};

		s.rate[without] = 0;
		for (int i = 0; i < 20000; i++) {
			enum slot_kind kind;

			slots_draw(&s, &kind);
			assert_int_not_equal(kind, without);
		}
	}
}

/* ---- loops ---- */

enum { ROOM = 1007, NODES = 6 };

static struct directory_node nodes[NODES];
static const struct directory six = {.layers = 3, .count = NODES, .nodes = nodes};

static struct loops *open_loops(double mean_delay_ms, double rate)
{
	const struct loops_params p = {.directory = &six,
		.hops = 3,
		.delays = LOOP_HEALTH_KNOWN,
		.mean_delay_ms = mean_delay_ms,
		.loops_per_second = rate,
		.room = ROOM};
	struct error err = {0};
	struct loops *l;

	for (unsigned i = 0; i < NODES; i++)
		snprintf(nodes[i].name, sizeof(nodes[i].name), "mix%u", i);
	assert_int_equal(loops_create(&p, &l, &err), 0);
	return l;
}

/* One node of each layer; bit i of `which` says which of the two of layer i. */
static struct route route_by(unsigned which)
{
	struct route r = {.sphinx.hops = 3};

	for (unsigned i = 0; i < 3; i++)
		r.node[i] = &nodes[2 * i + (which >> i & 1)];
	return r;
}

static void a_loop_is_known_however_late_it_comes(void **state)
{
	struct loops *l = open_loops(0, 10);
	const struct route r = route_by(0);
	uint8_t loop[2][ROOM], other[ROOM];
	uint64_t number[2];
	struct loops_count n;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(loops_make(l, &r, loop[i], &number[i]));
		loops_leave(l, number[i], 1000);
	}
	loops_fill(l, other);
	assert_false(loops_take(l, other, ROOM, 2000));
	assert_false(loops_take(l, loop[0], ROOM - 1, 2000));
	assert_true(loops_take(l, loop[0], ROOM, 2000));
	assert_true(loops_take(l, loop[0], ROOM, 2000)); /* a second time */
	loops_expire(l, 1000 + LOOP_HEALTH_NETWORK_NS);
	loops_count(l, &n);
	assert_int_equal(n.lost, 0);
	loops_expire(l, 1001 + LOOP_HEALTH_NETWORK_NS);
	assert_true(loops_take(l, loop[1], ROOM, 2000000000)); /* after its time */
	loops_count(l, &n);
	assert_int_equal(n.sent, 2);
	assert_int_equal(n.returned, 1);
	assert_int_equal(n.lost, 1);
	assert_int_equal(n.under_way, 0);
	assert_int_equal(n.strays, 2);
	loops_free(l);
}

static void loops_look_like_one_fragment_of_a_message(void **state)
{
	struct loops *l = open_loops(0, 10), *other = open_loops(0, 10);
	const struct route r = route_by(0);
	uint8_t text[2][ROOM];
	uint64_t number;

	(void)state;
	assert_true(loops_make(l, &r, text[0], &number));
	loops_leave(l, number, 1);
	loops_fill(l, text[1]);
	for (int i = 0; i < 2; i++) {
		struct message_header h;
		const uint8_t *piece;
		size_t len;

		assert_int_equal(message_decode(text[i], ROOM, &h, &piece, &len), 0);
		assert_int_equal(h.type, MESSAGE_DATA);
		assert_int_equal(len, ROOM - MESSAGE_HEADER_SIZE);
	}
	assert_memory_equal(text[0], text[1], 24); /* all but what is random */
	assert_false(loops_take(other, text[0], ROOM, 1));
	loops_free(l);
	loops_free(other);
}

static void loops_under_way_are_bounded_and_space_comes_back(void **state)
{
	struct loops *l = open_loops(0, 1);
	const struct route r = route_by(0);
	unsigned made = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		uint8_t text[ROOM];
		uint64_t number;
		unsigned n = 0;

		while (loops_make(l, &r, text, &number)) {
			loops_leave(l, number, (unsigned)round * UINT64_C(2000000000));
			assert_true(++n < 100000);
		}
		assert_true(n >= 128);
		if (round > 0)
			assert_int_equal(n, made);
		made = n;
		loops_expire(l, (unsigned)round * UINT64_C(2000000000) + 1500000000);
	}
	loops_free(l);
}

static void a_relay_that_drops_loops_is_named(void **state)
{
	struct loops *l = open_loops(0, 0.3);
	struct loops_count n;
	FILE *f = tmpfile();
	char line[256];

	(void)state;
	for (unsigned i = 0; i < 40; i++) { /* mix3 drops: layer 2, the second */
		const struct route r = route_by(i % 8);
		uint8_t text[ROOM];
		uint64_t number;

		assert_true(loops_make(l, &r, text, &number));
		loops_leave(l, number, i * UINT64_C(3000000000));
		if (r.node[1] != &nodes[3])
			loops_take(l, text, ROOM, i * UINT64_C(3000000000) + 1000);
		loops_expire(l, i * UINT64_C(3000000000) + 2000000000);
	}
	loops_count(l, &n);
	assert_int_equal(n.alarms, 1);
	assert_int_equal(n.lost, 20);
	loops_report(l, f);
	rewind(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, "relay mix3: lost"));
	assert_null(fgets(line, sizeof(line), f));
	fclose(f);
	loops_free(l);
}

/* ---- the program ---- */

struct cover_says {
	unsigned long packets, own, drops, loops, sent, returned, lost, under_way;
	double seconds;
	bool held_up;
};

static struct cover_says said(const char *file)
{
	struct cover_says s = {0};
	char *text = text_of(file), *at;

	assert_non_null(text);
	at = strstr(text, "cover: ");
	assert_non_null(at);
	assert_int_equal(sscanf(at,
				 "cover: %lu packets in %lf s: %lu of the command, %lu dropped by "
				 "their last relay, %lu loops",
				 &s.packets, &s.seconds, &s.own, &s.drops, &s.loops),
		5);
	at = strstr(text, "loops: ");
	while (at && sscanf(at, "loops: %lu sent, %lu returned, %lu lost, %lu still", &s.sent,
			     &s.returned, &s.lost, &s.under_way) != 4)
		at = strstr(at + 1, "loops: ");
	assert_non_null(at);
	s.held_up = strstr(text, "held up") != NULL;
	assert_int_equal(s.packets, s.own + s.drops + s.loops);
	assert_int_equal(s.sent, s.loops);
	assert_int_equal(s.sent, s.returned + s.lost + s.under_way);
	return s;
}

static unsigned taken(unsigned layer)
{
	return mix->relay[2 * layer].taken + mix->relay[2 * layer + 1].taken;
}

static unsigned consumed(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++)
		sum += mix->relay[i].consumed;
	return sum;
}

/* Waits until the relays have nothing under way; the counters start at 0. */
static void settle(bool reset)
{
	unsigned before = 0, now = 1;

	while (before != now) {
		before = taken(0) + taken(1) + taken(2);
		pause_ms(300);
		now = taken(0) + taken(1) + taken(2);
	}
	for (unsigned i = 0; reset && i < SOFTMIX_RELAYS; i++)
		mix->relay[i].taken = mix->relay[i].consumed = 0;
	if (reset)
		mix->refused = 0;
}

/* Every packet went in at the first layer, was of the one size, and ended where it should. */
static void assert_carried(const struct cover_says *s, double rate, double loop_rate)
{
	settle(false);
	assert_int_equal(mix->refused, 0);
	assert_int_equal(taken(0), s->packets);
	assert_int_equal(taken(2), s->packets);
	assert_int_equal(consumed(), s->drops);
	assert_int_equal(mix->relay[0].consumed + mix->relay[1].consumed + mix->relay[2].consumed +
				 mix->relay[3].consumed,
		0);
	assert_true(s->returned > 0);
	assert_true(s->lost <= s->loops / 10); /* 0, if no relay was held up for a second */
	/* what a stall took away is missing */
	if (!s->held_up || (double)s->packets > rate * s->seconds)
		assert_near((double)s->packets, rate * s->seconds, rate * s->seconds);
	if (!s->held_up || (double)s->loops > loop_rate * s->seconds)
		assert_near((double)s->loops, loop_rate * s->seconds, loop_rate * s->seconds);
}

#define STREAMS                                                                                    \
	"--cover 100 --cover-loops 20 --cover-drops 30 --cover-time 1 --mean-delay-ms 5 "          \
	"--relay-delays sender"

static void a_message_under_cover_arrives_among_the_streams(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in"), *out = path("got");
	struct child receive, send;
	struct cover_says s;
	char extra[128];

	(void)state;
	settle(true);
	make_file(in, 20000);
	snprintf(extra, sizeof(extra), "--out %s", out);
	receive = listening(at, extra);
	send = start("send", NULL, "send %s --to %s --in %s " STREAMS, network(), at, in);
	assert_status(&send, 0);
	assert_status(&receive, 0);
	assert_same(in, out);
	assert_says(send.err, "no relay stands out");
	assert_says(send.err, "only the receiver knows");
	s = said(send.err);
	assert_int_equal(s.own, 21);
	/* a whole multiple of --cover-time, and what this host took to notice */
	assert_true(s.seconds >= 1 && s.seconds - floor(s.seconds) < 0.5);
	assert_carried(&s, 150, 20);
}

/* The same streams, with and without something to send or to receive. */
static void a_receiver_sends_the_same_streams_and_sees_no_loop(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in"), *out = path("got");
	struct child receive, send;
	struct cover_says s;

	(void)state;
	settle(true);
	make_file(in, 3000);
	unlink(out);
	receive = start("receive", NULL,
		"receive %s --bind %s --timeout 20 --out %s --force " STREAMS, network(), at, out);
	wait_for(receive.err, "listening on");
	pause_ms(500); /* loops are the only packets so far */
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 1", network(), at, in);
	assert_status(&send, 0);
	assert_status(&receive, 0);
	assert_same(in, out);
	assert_null(strstr(text_of(receive.err), "ignored"));
	s = said(receive.err);
	assert_int_equal(s.own, 0);
	settle(false);
	assert_int_equal(taken(0), s.packets + 4);
	assert_int_equal(consumed(), s.drops);
	assert_true(s.returned > 0);
}

static void pings_leave_in_payload_slots(void **state)
{
	struct child ping;
	struct cover_says s;

	(void)state;
	settle(true);
	ping = start(
		"ping", NULL, "ping %s --count 5 --interval 0.1 --timeout 20 " STREAMS, network());
	assert_status(&ping, 0);
	assert_says(ping.out, "5 packets sent, 5 came back");
	s = said(ping.err);
	assert_int_equal(s.own, 5);
	assert_carried(&s, 150, 20);
}

static void a_reply_under_cover_arrives(void **state)
{
	const char *at = free_address("127.0.0.1"), *back = free_address("127.0.0.1");
	const char *in = path("in"), *question = path("question"), *file = path("blocks");
	const char *got = path("answer");
	struct child receive, send, reply;
	struct cover_says s;
	char extra[200];

	(void)state;
	make_file(question, 100);
	make_file(in, 1500);
	unlink(got);
	unlink(file);
	snprintf(extra, sizeof(extra), "--save-reply-blocks %s", file);
	receive = listening(at, extra);
	send = start("send", NULL,
		"send %s --to %s --in %s --bind %s --reply-blocks 2 --wait 40 --out %s " STREAMS,
		network(), at, question, back, got);
	assert_status(&receive, 0);
	reply = start("reply", NULL, "reply %s --block %s --in %s " STREAMS, network(), file, in);
	assert_status(&reply, 0);
	assert_status(&send, 0);
	assert_same(in, got);
	s = said(reply.err);
	assert_int_equal(s.own, 2);
	s = said(send.err);
	assert_true(s.returned > 0);
}

/* Relays that deliver nothing: loops are lost, and it is said where to look. */
static void lost_loops_are_reported(void **state)
{
	struct child receive;

	(void)state;
	mix->delivered = 0;
	mix->lose_every = 1;
	receive = start("receive", NULL,
		"receive %s --bind 127.0.0.1:0 --timeout 2 --quiet --cover --cover-loops 20 "
		"--cover-time 1 --mean-delay-ms 0 --relay-delays sender",
		network());
	assert_status(&receive, 1);
	mix->lose_every = 0;
	assert_says(receive.err, "the latest were all lost");
	assert_says(receive.err, "node.exit_allow");
}

static void a_stop_ends_the_streams_at_once(void **state)
{
	struct child receive;

	(void)state;
	receive = start("receive", NULL,
		"receive %s --bind 127.0.0.1:0 --timeout 0 --cover --cover-time 1000", network());
	wait_for(receive.err, "listening on");
	pause_ms(300);
	kill(receive.pid, SIGTERM);
	assert_status(&receive, 1);
	assert_says(receive.err, "cover: ");
}

static void wrong_use_of_cover_is_explained(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{"send --cover 0", "--cover 0: a number from 0.01 to 1000 is allowed"},
		{"send --cover x", "--cover x: a number"},
		{"send --cover=", "--cover : a number"},
		{"send --cover-loops 0", "--cover-loops 0: a number from 0.01 to 1000"},
		{"send --cover-drops 1001", "--cover-drops 1001"},
		{"send --cover-time 0.5", "--cover-time 0.5"},
		{"send --relay-delays none", "vrf, sender or sum is allowed"},
		{"send --cover-time 5 --directory x --authority y --to 127.0.0.1:9",
			"--cover-time has no use without --cover"},
		{"receive --bind 127.0.0.1:0 --hops 2", "--hops has no use without --cover"},
		{"receive --bind 127.0.0.1:0 --cover",
			"--directory FILE is missing: --cover sends"},
		{"send --cover --rate 5 --directory x --authority y --to 127.0.0.1:9",
			"--rate is the pace without cover; --cover 10 sets it now"},
		{"ping --cover --mean-delay-ms 0 --directory x --authority y",
			"the relays' mean must be known"},
		{"reply --cover 5 --cover-loops --block x", "--cover-loops --block"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child c = start("use", NULL, "%s", cases[i].line);

		assert_status(&c, 2);
		assert_says(c.err, cases[i].words);
	}
}

static void streams_that_cannot_be_sent_are_refused_before_they_start(void **state)
{
	struct child c =
		start("fail", NULL, "receive %s --bind 127.0.0.1:0 --cover --hops 4", network());

	(void)state;
	assert_status(&c, 1);
	assert_says(c.err, "--hops 4: the directory has 3 layers");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_three_poisson_streams),
		cmocka_unit_test(a_rate_of_0_has_no_slots),
		cmocka_unit_test(a_loop_is_known_however_late_it_comes),
		cmocka_unit_test(loops_look_like_one_fragment_of_a_message),
		cmocka_unit_test(loops_under_way_are_bounded_and_space_comes_back),
		cmocka_unit_test(a_relay_that_drops_loops_is_named),
		cmocka_unit_test(a_message_under_cover_arrives_among_the_streams),
		cmocka_unit_test(a_receiver_sends_the_same_streams_and_sees_no_loop),
		cmocka_unit_test(pings_leave_in_payload_slots),
		cmocka_unit_test(a_reply_under_cover_arrives),
		cmocka_unit_test(lost_loops_are_reported),
		cmocka_unit_test(a_stop_ends_the_streams_at_once),
		cmocka_unit_test(wrong_use_of_cover_is_explained),
		cmocka_unit_test(streams_that_cannot_be_sent_are_refused_before_they_start),
	};

	(void)argc;
	return run_lab(tests, sizeof(tests) / sizeof(tests[0]), argv[0]);
}
