/* SPDX-License-Identifier: BSD-3-Clause */
/* The CLI's grammar and options, and the engines io, mac and parse on ports whose wires are rings
 * in the test's hands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sodium.h>
#include "../../app/testmix/engine.h"
#include "../../app/testmix/grammar.h"
#include "../../app/testmix/mixnet.h"
#include "../../app/testmix/wire.h"
#include "core/secmem.h"
#include "pipeline/pipeline.h"
#include "sphinx/frame.h"

enum { PORTS = 2, N = 40, PAYLOAD = 1024, SIZE = FRAME_SIZE + SPHINX_HEADER_SIZE + PAYLOAD };

static struct error err;

/* ---- grammar ---- */

static struct grammar *grammar;
static struct cmdline *parser;
static const struct grammar_row *ran;
static struct grammar_args args;

static int nothing(void *context, const struct grammar_args *a, struct error *e)
{
	(void)context, (void)a, (void)e;
	return 0;
}

static const struct grammar_row rows[] = {
	{"go", "s", "h", nothing},
	{"go far [<miles:1..9>]", "s", "h", nothing},
	{"set speed <kmh:0.5..200>", "s", "h", nothing},
	{"set gear low|high", "s", "h", nothing},
	{"show <port|all>", "s", "h", nothing},
	{"read <file:>", "s", "h", nothing},
};

static void note(const struct grammar_row *row, const struct grammar_args *a)
{
	ran = row;
	args = *a;
	if (!row)
		grammar_explain(grammar, a->line, &err);
}

static int make_grammar(void **state)
{
	(void)state;
	if (grammar_create(rows, sizeof(rows) / sizeof(rows[0]), note, &grammar, &err))
		return -1;
	parser = cmdline_new(grammar_context(grammar), "", -1, -1);
	return parser ? 0 : -1;
}

static int free_grammar(void **state)
{
	(void)state;
	cmdline_free(parser);
	grammar_free(grammar);
	return 0;
}

static void line(const char *text)
{
	char buffer[2048];

	ran = NULL;
	memset(&args, 0, sizeof(args));
	err.msg[0] = 0;
	snprintf(buffer, sizeof(buffer), "%s\n", text);
	assert_true(cmdline_parse(parser, buffer) >= 0);
}

static void refused(const char *text, const char *message)
{
	line(text);
	assert_null(ran);
	assert_string_equal(err.msg, message);
}

static void lines_find_their_row(void **state)
{
	(void)state;
	line("go");
	assert_ptr_equal(ran, &rows[0]);
	line("  go\tfar  # away");
	assert_ptr_equal(ran, &rows[1]);
	assert_string_equal(args.word[2], "");
	line("go far 9");
	assert_ptr_equal(ran, &rows[1]);
	assert_int_equal(args.number[2], 9);
	line("set speed 0.5");
	assert_ptr_equal(ran, &rows[2]);
	assert_true(args.real[2] == 0.5);
	line("set gear high");
	assert_ptr_equal(ran, &rows[3]);
	assert_string_equal(args.word[2], "high");
	line("show all");
	assert_int_equal(args.number[1], GRAMMAR_PORT_ALL);
	line("show 1");
	assert_ptr_equal(ran, &rows[4]);
	assert_int_equal(args.number[1], 1);
	line("read /a/file-name.x");
	assert_string_equal(args.word[1], "/a/file-name.x");
	line("# nothing");
	assert_null(ran);
	assert_string_equal(err.msg, "");
}

static void errors_name_the_word_and_what_is_allowed(void **state)
{
	(void)state;
	refused("fly", "unknown command \"fly\"; allowed: go, set, show, read");
	refused("go near", "bad argument \"near\"; allowed: the end of the line, far");
	refused("go far 10",
		"bad argument \"10\"; allowed: miles from 1 to 9, the end of the line");
	refused("go far -1",
		"bad argument \"-1\"; allowed: miles from 1 to 9, the end of the line");
	refused("go far 0x1",
		"bad argument \"0x1\"; allowed: miles from 1 to 9, the end of the line");
	refused("set speed 201", "bad argument \"201\"; allowed: kmh from 0.5 to 200");
	refused("set speed nan", "bad argument \"nan\"; allowed: kmh from 0.5 to 200");
	refused("set gear lo", "bad argument \"lo\"; allowed: low|high");
	refused("set", "\"set\" lacks a word; allowed: speed, gear");
	refused("show 7", "bad argument \"7\"; allowed: all or a port (0, 1)");
	refused("read", "\"read\" lacks a word; allowed: a file");
	refused("read a b", "bad argument \"b\"; allowed: the end of the line");
}

static void long_words_are_refused(void **state)
{
	char text[600];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	line(text);
	assert_null(ran);
	assert_non_null(strstr(err.msg, "unknown command"));
	memcpy(text, "read ", 5);
	line(text);
	assert_null(ran);
	assert_non_null(strstr(err.msg, "allowed: a file"));
}

static void words_are_completed(void **state)
{
	char out[64];
	int at = 0;

	(void)state;
	assert_int_equal(cmdline_complete(parser, "set g", &at, out, sizeof(out)), 2);
	assert_string_equal(out, "ear ");
	at = 0;
	assert_int_equal(cmdline_complete(parser, "set gear h", &at, out, sizeof(out)), 2);
	assert_string_equal(out, "igh ");
	at = 0;
	assert_int_equal(cmdline_complete(parser, "nonsense g", &at, out, sizeof(out)), 0);
}

static void a_wrong_table_is_an_error(void **state)
{
	static const char *const wrong[] = {"go <x>", "go <x:5..1>", "a b c d e f g h i"};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct grammar_row row = {wrong[i], "s", "h", nothing};
		struct grammar *g;

		assert_int_equal(grammar_create(&row, 1, note, &g, &err), -EINVAL);
		assert_non_null(strstr(err.msg, wrong[i]));
	}
}

/* ---- options ---- */

static int parse(struct cli_options *o, unsigned n, const char *const text[])
{
	char *argv[16] = {"testmix"};

	for (unsigned i = 0; i < n; i++)
		argv[i + 1] = (char *)(uintptr_t)text[i];
	return cli_options_parse(o, (int)n + 1, argv, &err);
}

static void options_have_their_defaults(void **state)
{
	struct cli_options o;

	(void)state;
	assert_int_equal(parse(&o, 0, NULL), 0);
	assert_int_equal(o.burst, 32);
	assert_int_equal(o.lcores, 1);
	assert_string_equal(o.engine, "io");
	assert_int_equal(o.target_pps, 25000);
	assert_int_equal(o.duration, 10);
	assert_false(o.interactive);
	assert_int_equal(o.map_count, 0);
}

static void options_are_read(void **state)
{
	struct cli_options o;

	(void)state;
	assert_int_equal(parse(&o, 6,
				 (const char *const[]){"-i", "--config=(0,0,1),(1,0,2)", "--config",
					 "(1,1,3)", "--burst", "512"}),
		0);
	assert_true(o.interactive);
	assert_int_equal(o.burst, 512);
	assert_int_equal(o.map_count, 3);
	assert_int_equal(o.map[1].port, 1);
	assert_int_equal(o.map[1].lcore, 2);
	assert_int_equal(o.map[2].queue, 1);
}

static void wrong_options_are_refused(void **state)
{
	static const struct {
		const char *option, *value, *message;
	} wrong[] = {
		{"--burst", "0", "--burst: \"0\" is not a whole number from 1 to 512"},
		{"--config", "(0,0,1)(1,0,1)", "--config: \"(0,0,1)(1,0,1)\" is not"},
		{"--config", "0,0,1", "--config: \"0,0,1\" is not (port,queue,lcore)"},
		{"--delay-mode", "never", "\"never\": allowed: vrf|sender|sum|none"},
		{"--forward-mode", "rxonly", "allowed: io, mac, parse, sphinx, sphinx-nodelay"},
		{"--bad", "91", "--bad: \"91\" is not a number from 0 to 90"},
		{"--replayed", "nan", "--replayed: \"nan\" is not a number"},
		{"--hops", "6", "--hops: \"6\" is not a whole number from 1 to 5"},
	};
	struct cli_options o;

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
			parse(&o, 2, (const char *const[]){wrong[i].option, wrong[i].value}),
			-EINVAL);
		assert_non_null(strstr(err.msg, wrong[i].message));
	}
}

/* ---- engines ---- */

static struct rte_ring *rx[PORTS], *tx[PORTS];
static struct rte_mempool *pool;
static struct lab lab;

/* Two ports, one stream from the first to the second. */
static int make_lab(void **state)
{
	(void)state;
	memset(&lab, 0, sizeof(lab));
	lab.options.payload_size = PAYLOAD;
	lab.port_count = PORTS;
	lab.stream_count = lab.lcore_count = 1;
	for (uint16_t i = 0; i < PORTS; i++) {
		lab.ports[i].id = i;
		lab.ports[i].peer = 1u - i;
		memset(lab.ports[i].mac.addr_bytes, 2 + i, 6);
	}
	lab.streams[0] = (struct stream){.tx_port = 1,
		.tx = 1,
		.burst = 32,
		.own = lab.ports[1].mac,
		.peer = {{2, 0, 0, 0, 0, 1}}};
	return 0;
}

static int empty_wires(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	for (unsigned i = 0; i < PORTS; i++)
		while (rte_ring_dequeue(rx[i], (void **)&m) == 0 ||
			rte_ring_dequeue(tx[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_avail_count(pool), pool->size);
	return 0;
}

static void give(const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	assert_int_equal(rte_ring_enqueue(rx[0], m), 0);
}

static size_t take(uint8_t frame[2048])
{
	struct rte_mbuf *m;
	size_t len;

	if (rte_ring_dequeue(tx[1], (void **)&m))
		return 0;
	len = m->data_len;
	assert_int_equal(m->pkt_len, len);
	memcpy(frame, rte_pktmbuf_mtod(m, void *), len);
	rte_pktmbuf_free(m);
	return len;
}

/* A frame for the engine's first port; its packet is random but for its length. */
static size_t make_frame(uint8_t frame[2048], uint16_t port, size_t len)
{
	struct wire_end from = {{2, 0, 0, 0, 0, 9}, {10, 10, 0, 1}, 40000};
	struct wire_end to = {{2, 2, 2, 2, 2, 2}, {10, 10, 0, 2}, port};

	randombytes_buf(frame + WIRE_HEADERS, len);
	frame_write(frame + WIRE_HEADERS, PAYLOAD, 0);
	return wire_write_udp(frame, &from, &to, len);
}

static void io_hands_bursts_on_as_they_are(void **state)
{
	uint8_t sent[N][2048], got[2048];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		randombytes_buf(sent[i], 60 + i);
		give(sent[i], 60 + i);
	}
	assert_int_equal(engine_io.burst(&lab.streams[0]), 32);
	assert_int_equal(engine_io.burst(&lab.streams[0]), N - 32);
	assert_int_equal(engine_io.burst(&lab.streams[0]), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(take(got), 60 + i);
		assert_memory_equal(got, sent[i], 60 + i);
	}
	assert_int_equal(lab.streams[0].n.received, N);
	assert_int_equal(lab.streams[0].n.sent, N);
	assert_int_equal(lab.streams[0].n.dropped, 0);
}

static void mac_writes_both_addresses_and_nothing_else(void **state)
{
	uint8_t sent[2048], got[2048];

	(void)state;
	randombytes_buf(sent, 100);
	give(sent, 100);
	assert_int_equal(engine_mac.burst(&lab.streams[0]), 1);
	assert_int_equal(take(got), 100);
	assert_memory_equal(got, lab.streams[0].peer.addr_bytes, 6);
	assert_memory_equal(got + 6, lab.ports[1].mac.addr_bytes, 6);
	assert_memory_equal(got + 12, sent + 12, 88);
}

static void what_a_full_queue_does_not_take_is_dropped_and_counted(void **state)
{
	const unsigned room = rte_ring_free_count(tx[1]);
	uint8_t frame[64] = {0};

	(void)state;
	for (unsigned i = 0; i < room - 10; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		assert_non_null(m);
		assert_int_equal(rte_ring_enqueue(tx[1], m), 0);
	}
	for (unsigned i = 0; i < 32; i++)
		give(frame, sizeof(frame));
	assert_int_equal(engine_io.burst(&lab.streams[0]), 32);
	assert_int_equal(lab.streams[0].n.sent, 10);
	assert_int_equal(lab.streams[0].n.dropped, 22);
}

static void parse_keeps_mix_packets_and_drops_the_rest_by_reason(void **state)
{
	uint8_t frame[2048], got[2048];
	const struct worker *w;
	size_t len;

	(void)state;
	assert_int_equal(engine_parse.begin(&lab, &err), 0);
	len = make_frame(frame, MIXNET_UDP_PORT + 1, SIZE);
	give(frame, len);
	len = make_frame(frame, MIXNET_UDP_PORT, SIZE - 1);
	give(frame, len);
	len = make_frame(frame, MIXNET_UDP_PORT, SIZE);
	frame[WIRE_HEADERS] ^= 1;
	frame[WIRE_ETH_SIZE + WIRE_IP4_SIZE + 6] = 0; /* no UDP checksum */
	frame[WIRE_ETH_SIZE + WIRE_IP4_SIZE + 7] = 0;
	give(frame, len);
	len = make_frame(frame, MIXNET_UDP_PORT, SIZE);
	give(frame, len);
	assert_int_equal(engine_parse.burst(&lab.streams[0]), 4);
	assert_int_equal(take(got), len);
	assert_memory_equal(got, frame, len);
	assert_int_equal(take(got), 0);
	w = engine_parse.worker(&lab, 0);
	assert_int_equal(w->stats.drops[DROP_wrong_port], 1);
	assert_int_equal(w->stats.drops[DROP_bad_length], 1);
	assert_int_equal(w->stats.drops[DROP_bad_frame], 1);
	assert_int_equal(w->stats.stage[STAGE_parse].packets, 4);
	assert_null(engine_parse.worker(&lab, 1));
	engine_parse.release(&lab);
	assert_null(engine_parse.worker(&lab, 0));
}

static void every_engine_is_found_by_its_name(void **state)
{
	char names[128];

	(void)state;
	assert_string_equal(engine_names(names, sizeof(names)),
		"io, mac, parse, sphinx, sphinx-nodelay, sphinx-noreplay");
	assert_ptr_equal(engine_find("sphinx-noreplay"), &engine_sphinx_noreplay);
	assert_null(engine_find("sphin"));
}

static int start(void **state)
{
	char name[32];

	(void)state;
	pool = rte_pktmbuf_pool_create("frames", 2047, 0,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN),
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		return -1;
	for (unsigned i = 0; i < PORTS; i++) {
		struct rte_eth_conf conf = {0};
		int id;

		snprintf(name, sizeof(name), "rx%u", i);
		rx[i] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "tx%u", i);
		tx[i] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "port%u", i);
		id = rx[i] && tx[i] ? rte_eth_from_rings(name, &rx[i], 1, &tx[i], 1, 0) : -1;
		if (id != (int)i || rte_eth_dev_configure((uint16_t)id, 1, 1, &conf) ||
			rte_eth_rx_queue_setup(
				(uint16_t)id, 0, 64, (unsigned)SOCKET_ID_ANY, NULL, pool) ||
			rte_eth_tx_queue_setup(
				(uint16_t)id, 0, 64, (unsigned)SOCKET_ID_ANY, NULL) ||
			rte_eth_dev_start((uint16_t)id))
			return -1;
	}
	return 0;
}

int main(void)
{
#define GRAMMAR_TEST(t) cmocka_unit_test_setup_teardown(t, make_grammar, free_grammar)
#define ENGINE_TEST(t) cmocka_unit_test_setup_teardown(t, make_lab, empty_wires)
	const struct CMUnitTest tests[] = {
		GRAMMAR_TEST(lines_find_their_row),
		GRAMMAR_TEST(errors_name_the_word_and_what_is_allowed),
		GRAMMAR_TEST(long_words_are_refused),
		GRAMMAR_TEST(words_are_completed),
		cmocka_unit_test(a_wrong_table_is_an_error),
		cmocka_unit_test(options_have_their_defaults),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(wrong_options_are_refused),
		ENGINE_TEST(io_hands_bursts_on_as_they_are),
		ENGINE_TEST(mac_writes_both_addresses_and_nothing_else),
		ENGINE_TEST(what_a_full_queue_does_not_take_is_dropped_and_counted),
		ENGINE_TEST(parse_keeps_mix_packets_and_drops_the_rest_by_reason),
		cmocka_unit_test(every_engine_is_found_by_its_name),
	};

	char *argv[] = {(char *)"eal_testmix_cli", (char *)"--no-huge", (char *)"-m", (char *)"64",
		(char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry",
		(char *)"--log-level=*:error", NULL};

	if (secmem_init(&err) < 0 || sodium_init() < 0 || rte_eal_init(8, argv) < 0)
		return 1;
	return cmocka_run_group_tests(tests, start, NULL);
}
