/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/config.h"

/* ---- a valid file, of which a test replaces one part ---- */

#define NODE "node = { name = \"mix1\"; type = \"middle\"; port = 9000; };\n"
#define KEYS                                                                                       \
	"keys = { sphinx_key_file = \"/k/sphinx.secret\"; vrf_key_file = \"/k/vrf.secret\"; };\n"
#define AUTHORITY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define DIRECTORY "directory = { file = \"/d\"; authority = \"" AUTHORITY "\"; };\n"
#define PORTS "ports = ( { device = \"net_memif0\"; ipv4 = \"10.0.1.1/24\"; } );\n"
#define VALID NODE KEYS DIRECTORY PORTS

static void assert_loads(const char *text, struct config *c)
{
	struct error err = {""};

	if (config_parse("relay.conf", text, c, &err) != 0)
		fail_msg("refused: %s", err.msg);
}

/* Refused, and the message holds each of the `parts`. */
static void assert_refused(const char *text, const char *const *parts)
{
	struct config c;
	struct error err = {""};

	assert_int_equal(config_parse("relay.conf", text, &c, &err), -EINVAL);
	for (; *parts; parts++)
		if (!strstr(err.msg, *parts))
			fail_msg("\"%s\" is not in: %s", *parts, err.msg);
}
#define REFUSED(text, ...) assert_refused(text, (const char *const[]){__VA_ARGS__, NULL})

static char *printed(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	config_print(c, f);
	fclose(f);
	return text;
}

static void assert_round_trip(const struct config *c)
{
	struct config again;
	char *text = printed(c);

	assert_loads(text, &again);
	assert_memory_equal(c, &again, sizeof(again));
	free(text);
}

/* ---- what loads ---- */

static void defaults_are_those_of_the_header(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID, &c);
	assert_string_equal(c.node.name, "mix1");
	assert_int_equal(c.node.type, NODE_MIDDLE);
	assert_int_equal(c.node.port, 9000);
	assert_int_equal(c.directory.authority[0], 0xd7);
	assert_int_equal(c.directory.authority[31], 0x1a);
	assert_int_equal(c.port_count, 1);
	assert_true(c.ports[0].has_ipv4);
	assert_false(c.ports[0].has_ipv6);
	assert_int_equal(c.ports[0].net4.bits, 24);
	assert_memory_equal(c.ports[0].net4.ip, "\x0a\x00\x01\x00", 4);
	assert_memory_equal(c.ports[0].ipv4.ip, "\x0a\x00\x01\x01", 4);
	assert_int_equal(c.ports[0].gateway4.family, 0);
	assert_int_equal(c.ports[0].mtu, 1500);
	assert_int_equal(c.ports[0].rx_queues, 1);
	assert_int_equal(c.ports[0].rx_descriptors, 1024);
	assert_int_equal(c.ports[0].tx_descriptors, 1024);
	assert_int_equal(c.pipeline.workers, 1);
	assert_int_equal(c.pipeline.batch_size, 128);
	assert_int_equal(c.pipeline.pool_size, 0);
	assert_int_equal(c.pipeline.max_queue_depth, 10000);
	assert_int_equal(c.pipeline.idle, IDLE_SPIN);
	assert_int_equal(c.pipeline.tick_us, 200);
	assert_int_equal(c.pipeline.drain_ms, 12000);
	assert_int_equal(c.pipeline.max_simd_bits, 0);
	assert_int_equal(c.performance.target_throughput_pps, 25000);
	assert_true(c.performance.max_avg_latency_ms == 1.0);
	assert_int_equal(c.sphinx.payload_size, 1024);
	assert_int_equal(c.sphinx.num_hops, 3);
	assert_true(c.sphinx.mean_delay_ms == 50.0);
	assert_int_equal(c.rate_limiting.max_rate_pps, 0);
	assert_int_equal(c.rate_limiting.burst_size, 128);
	assert_false(c.rate_limiting.traffic_shaping_enabled);
	assert_int_equal(c.rate_limiting.mode, SHAPING_RATE);
	assert_int_equal(c.rate_limiting.senders, SENDERS_AUTO);
	assert_int_equal(c.rate_limiting.source_pps, 2500);
	assert_int_equal(c.rate_limiting.source_burst, 256);
	assert_int_equal(c.rate_limiting.peer_pps, 25000);
	assert_int_equal(c.rate_limiting.peer_burst, 1024);
	assert_int_equal(c.rate_limiting.global_pps, 0);
	assert_true(c.cover_traffic.enabled);
	assert_true(c.cover_traffic.generation_rate_pps == 2);
	assert_int_equal(c.cover_traffic.packet_size_range[1], 0);
	assert_int_equal(c.replay.capacity, 25000 * 1200);
	assert_string_equal(c.replay.file, "/k/sphinx.secret.replay");
}

static void rx_queues_follow_the_workers(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID "pipeline = { workers = 5; };", &c);
	assert_int_equal(c.ports[0].rx_queues, 5);
}

static void prefix_that_ends_inside_a_byte_is_masked(void **state)
{
	struct config c;

	(void)state;
	assert_loads(NODE KEYS DIRECTORY "ports = ({ device = \"a\"; ipv4 = \"10.0.255.1/18\"; "
					 "ipv6 = \"fd00:ffff::1/19\"; });",
		&c);
	assert_memory_equal(c.ports[0].net4.ip, "\x0a\x00\xc0\x00", 4);
	assert_memory_equal(c.ports[0].net6.ip, "\xfd\x00\xe0\x00\x00", 5);
	assert_int_equal(c.ports[0].ipv6.ip[15], 1);
	assert_int_equal(c.ports[0].net6.ip[15], 0);
}

static void number_beyond_32_bits_needs_no_suffix(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID "replay = { capacity = 17179869184; };", &c);
	assert_true(c.replay.capacity == 17179869184);
	assert_loads(VALID "replay = { capacity = 17179869184L; };", &c);
	assert_true(c.replay.capacity == 17179869184);
}

static void integers_serve_as_real_numbers(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID "sphinx = { mean_delay_ms = 7; };", &c);
	assert_true(c.sphinx.mean_delay_ms == 7.0);
}

static void comments_may_hold_anything(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID "# @include \"x\" 0x5 {\n// \" {\n/* @include \"y\"\n \" 0x6 */\n"
			   "replay = { file = \"# // /* 0x7 @include\"; };",
		&c);
	assert_string_equal(c.replay.file, "# // /* 0x7 @include");
}

static void example_loads(void **state)
{
	struct config c;
	struct error err = {""};

	(void)state;
	if (config_load("app/mixnode/example.conf", &c, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c.node.type, NODE_EXIT);
	assert_int_equal(c.node.exit_allow_count, 2);
	assert_round_trip(&c);
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 1 << 16);
	FILE *f = fopen(path, "r");

	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	fclose(f);
	return text;
}

static void example_names_every_key(void **state)
{
	struct config c;
	char *example = slurp("app/mixnode/example.conf"), *text, *line, *save;

	(void)state;
	assert_loads(VALID, &c);
	text = printed(&c);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end = strstr(line, " = ");

		line += strspn(line, "\t");
		if (!end || end < line)
			continue;
		end[3] = '\0';
		if (!strstr(example, line))
			fail_msg("%sis not in the example", line);
	}
	free(text);
	free(example);
}

/* ---- printing ---- */

static void printed_defaults_load_as_the_same(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID, &c);
	assert_round_trip(&c);
}

static void printed_config_with_every_key_loads_as_the_same(void **state)
{
	struct config c;

	(void)state;
	assert_loads(
		"node = { name = \"a.b_c-D9\"; type = \"exit\"; port = 65535; exit_allow = "
		"[ \"0.0.0.0/0\", \"10.1.2.3\", \"fd00::/8\", \"::/0\" ]; };"
		"keys = { sphinx_key_file = \"q\\\"b\\\\s\\x01e\\tt\xc3\xa4\"; vrf_key_file = "
		"\"v\";"
		" identity_key_file = \"i\"; };"
		"vrf = { mode = \"sum\"; epoch_seconds = 60; delay_variance_ms = 0.1; suite = "
		"\"ell2\";"
		" beacon_file = \"b\"; beacon_max_age_s = 10; publish_dir = \"p\"; publish_one_in "
		"= 7; };" DIRECTORY
		"ports = ( { device = \"p0\"; ipv4 = \"192.0.2.1/24\"; gateway4 = \"192.0.2.9\"; "
		"mtu = 9600; rx_queues = 64; rx_descriptors = 64; tx_descriptors = 8192; },"
		"{ device = \"p1\"; ipv6 = \"2001:db8::1/127\"; gateway6 = \"fe80::1\"; } );"
		"pipeline = { workers = 64; batch_size = 1; pool_size = 1073741824;"
		" max_queue_depth = 1048576; idle = \"sleep\"; tick_us = 250; drain_ms = 0;"
		" max_simd_bits = 256; };"
		"performance = { target_throughput_pps = 100000000; max_avg_latency_ms = 0.1; };"
		"sphinx = { payload_size = 33; num_hops = 5; mean_delay_ms = 3.3333333333333335; };"
		"rate_limiting = { max_rate_pps = 99999; burst_size = 65536;"
		" traffic_shaping_enabled = true; };"
		"replay = { capacity = 17179869184; file = \"none\"; };",
		&c);
	assert_string_equal(c.keys.sphinx_key_file, "q\"b\\s\x01"
						    "e\tt\xc3\xa4");
	assert_int_equal(c.node.exit_allow[1].bits, 32);
	assert_round_trip(&c);
}

static void empty_exit_list_loads_as_the_same(void **state)
{
	struct config c;

	(void)state;
	assert_loads("node = { name = \"e\"; type = \"exit\"; port = 1; exit_allow = [ ]; };" KEYS
			     DIRECTORY PORTS,
		&c);
	assert_int_equal(c.node.exit_allow_count, 0);
	assert_round_trip(&c);
}

static void description_holds_every_key(void **state)
{
	static const char *const some[] = {"node.exit_allow", "directory.authority",
		"ports.gateway6", "pipeline.max_simd_bits", "1280..9600 bytes", "without it: 10000",
		"performance.max_avg_latency_ms", "sphinx.mean_delay_ms", "0.1..10000 ms",
		"rate_limiting.burst_size", "replay.file", "\"spin\", \"pause\" or \"sleep\"",
		NULL};
	char *text = NULL, *line;
	size_t len;
	unsigned keys = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	config_describe(f);
	fclose(f);
	for (unsigned i = 0; some[i]; i++)
		if (!strstr(text, some[i]))
			fail_msg("%s is missing", some[i]);
	for (line = text; (line = strstr(line, "\n  ")); line += 3)
		keys += line[3] != ' ';
	assert_int_equal(keys, 56);
	free(text);
}

/* ---- what is refused ---- */

static void value_below_the_range(void **state)
{
	(void)state;
	REFUSED(VALID "\npipeline = {\n\tworkers = 0;\n};",
		"relay.conf:7: pipeline.workers = 0:", "1..64", "worker lcores");
}

static void values_out_of_range(void **state)
{
	static const struct {
		const char *text, *value, *allowed;
	} cases[] = {
		{"pipeline = { workers = 65; };", "pipeline.workers = 65:", "1..64"},
		{"pipeline = { workers = -1; };", "pipeline.workers = -1:", "1..64"},
		{"pipeline = { workers = 4294967297; };",
			"pipeline.workers = 4294967297:", "1..64"},
		{"pipeline = { batch_size = 129; };",
			"pipeline.batch_size = 129:", "1..128 packets"},
		{"pipeline = { pool_size = 1073741825; };", "= 1073741825:", "0..1073741824 mbufs"},
		{"pipeline = { max_queue_depth = 1048577; };", "= 1048577:", "1..1048576"},
		{"pipeline = { tick_us = 99; };", "pipeline.tick_us = 99:", "100..250 us"},
		{"pipeline = { drain_ms = 60001; };", "pipeline.drain_ms = 60001:", "0..60000 ms"},
		{"pipeline = { max_simd_bits = 300; };", "= 300:", "0, 128, 256 or 512"},
		{"pipeline = { idle = \"nap\"; };",
			"pipeline.idle = \"nap\":", "\"spin\", \"pause\" or \"sleep\""},
		{"performance = { target_throughput_pps = 0; };", "= 0:", "1..100000000"},
		{"performance = { max_avg_latency_ms = 0.0; };", "= 0:", "0.001..1000 ms"},
		{"performance = { max_avg_latency_ms = 1e400; };", "= inf:", "0.001..1000 ms"},
		{"sphinx = { payload_size = 32; };", "sphinx.payload_size = 32:", "33..8192 bytes"},
		{"sphinx = { num_hops = 6; };", "sphinx.num_hops = 6:", "1..5"},
		{"sphinx = { mean_delay_ms = 10001; };", "= 10001:", "0.1..10000 ms"},
		{"rate_limiting = { max_rate_pps = 0; };", "= 0:", "1..100000000"},
		{"rate_limiting = { burst_size = 65537; };", "= 65537:", "1..65536"},
		{"rate_limiting = { source_pps = 0; };", "= 0:", "1..100000000"},
		{"rate_limiting = { source_burst = 0; };", "= 0:", "1..65536"},
		{"rate_limiting = { peer_pps = 100000001; };", "= 100000001:", "0..100000000"},
		{"rate_limiting = { peer_burst = 65537; };", "= 65537:", "1..65536"},
		{"rate_limiting = { global_pps = 100000001; };", "= 100000001:", "0..100000000"},
		{"cover_traffic = { generation_rate_pps = 0.001; };", "= 0.001:", "0.01..100000"},
		{"replay = { capacity = 1023; };", "replay.capacity = 1023:", "1024..17179869184"},
		{"replay = { capacity = 17179869185; };", "= 17179869185:", "17179869184"},
		{"replay = { file = \"\"; };", "replay.file = \"\":", "1..255 characters"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%s%s", VALID, cases[i].text);
		REFUSED(text, "relay.conf:5: ", cases[i].value, cases[i].allowed);
	}
}

static void wrong_types(void **state)
{
	static const struct {
		const char *text, *value, *is, *allowed;
	} cases[] = {
		{"pipeline = { workers = \"four\"; };", "pipeline.workers = \"four\":", "a string",
			"an integer, 1..64"},
		{"pipeline = { workers = 1.5; };", "pipeline.workers = 1.5:", "a number with",
			"an integer"},
		{"pipeline = { workers = true; };", "= true:", "true or false", "an integer"},
		{"pipeline = { workers = [ 1 ]; };", "= [ ... ]:", "an array", "an integer"},
		{"pipeline = { idle = 1; };", "pipeline.idle = 1:", "an integer", "\"spin\""},
		{"sphinx = { mean_delay_ms = \"5\"; };", "= \"5\":", "a string", "a number"},
		{"rate_limiting = { traffic_shaping_enabled = 1; };", "= 1:", "an integer",
			"true or false"},
		{"replay = { file = 5; };", "replay.file = 5:", "an integer", "a string"},
		{"pipeline = 5;", "pipeline = 5:", "an integer", "a group"},
		{"pipeline = ( );", "pipeline = ( ... ):", "a list", "a group"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%s%s", VALID, cases[i].text);
		REFUSED(text, "relay.conf:5: ", cases[i].value, cases[i].is, cases[i].allowed);
	}
	REFUSED(NODE KEYS DIRECTORY "ports = { device = \"a\"; };", "relay.conf:4: ports = { ... }",
		"a list of groups");
	REFUSED(NODE KEYS DIRECTORY "ports = ( 5 );", "relay.conf:4: ports[0] = 5:", "a group");
}

static void unknown_key_with_a_near_name(void **state)
{
	(void)state;
	REFUSED(VALID "pipeline = {\n  workes = 1; };",
		"relay.conf:6: pipeline.workes: there is no such key",
		"did you mean pipeline.workers?");
	REFUSED(VALID "pipelin = { };", "relay.conf:5: pipelin: there is no such section",
		"did you mean pipeline?");
}

static void unknown_key_without_a_near_name(void **state)
{
	(void)state;
	REFUSED(VALID "replay = { quux = 1; };", "replay.quux: there is no such key",
		"allowed are capacity, file");
	REFUSED(VALID "zoo = { };", "zoo: there is no such section", "allowed are node, keys,");
	REFUSED(NODE KEYS DIRECTORY
		"ports = ( { device = \"a\"; ipv4 = \"10.0.1.1/24\"; ipv5 = \"x\"; } );",
		"ports[0].ipv5: there is no such key", "did you mean ports.ipv4?");
}

static void key_of_another_section(void **state)
{
	(void)state;
	REFUSED(VALID "sphinx = { workers = 2; };",
		"relay.conf:5: sphinx.workers: does not belong here", "section pipeline");
	REFUSED(VALID "workers = 2;", "relay.conf:5: workers: does not belong here",
		"section pipeline");
	REFUSED(VALID "pipeline = { replay = { }; };", "pipeline.replay: does not belong here",
		"top of the file");
}

static void range_of_cover_sizes_contains_the_packet(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID "cover_traffic = { packet_size_range = [ 1024, 1500 ]; };", &c);
	assert_int_equal(c.cover_traffic.packet_size_range[0], 1024);
	assert_int_equal(c.cover_traffic.packet_size_range[1], 1500);
	assert_round_trip(&c);
	assert_loads(VALID "cover_traffic = { packet_size_range = [ 1372, 1372 ]; };", &c);
	REFUSED(VALID "cover_traffic = {\n packet_size_range = [ 400, 1371 ]; };",
		"relay.conf:6: cover_traffic.packet_size_range", "1372 bytes", "52..1023");
	REFUSED(VALID "cover_traffic = { packet_size_range = [ 1500, 1024 ]; };",
		"the smallest comes first: [ 1024, 1500 ]");
	REFUSED(VALID "cover_traffic = { packet_size_range = [ 1024 ]; };", "wrong type",
		"381..8540 bytes");
	REFUSED(VALID "cover_traffic = { packet_size_range = [ 64, 1500 ]; };",
		"packet_size_range[0] = 64", "381..8540 bytes");
	REFUSED(VALID "cover_traffic = { packet_size_range = 1372; };", "wrong type");
	REFUSED(VALID "cover_traffic = { packet_size_range = [ \"a\", \"b\" ]; };", "wrong type");
}

static void shaping_by_slots_needs_cover(void **state)
{
	struct config c;

	(void)state;
	assert_loads(VALID "rate_limiting = { traffic_shaping_enabled = true; max_rate_pps = 500; "
			   "mode = \"poisson\"; };",
		&c);
	assert_int_equal(c.rate_limiting.mode, SHAPING_POISSON);
	assert_round_trip(&c);
	REFUSED(VALID "rate_limiting = { traffic_shaping_enabled = true; max_rate_pps = 500;\n"
		      "mode = \"constant\"; }; cover_traffic = { enabled = false; };",
		"relay.conf:6: rate_limiting.mode = \"constant\"", "cover_traffic.enabled");
	REFUSED(VALID "rate_limiting = { mode = \"constant\"; };",
		"does nothing without traffic_shaping_enabled = true");
	REFUSED(VALID "rate_limiting = { traffic_shaping_enabled = true; max_rate_pps = 5; mode = "
		      "\"off\"; };",
		"contradicts");
	REFUSED(VALID "rate_limiting = { mode = \"burst\"; };",
		"\"off\", \"rate\", \"constant\" or \"poisson\"");
}

static void vrf_settings_that_do_not_fit_together(void **state)
{
	static const char no_key[] =
		NODE "keys = { sphinx_key_file = \"/k/s\"; };\n" DIRECTORY PORTS;
	char text[1024];

	(void)state;
	REFUSED(no_key, "relay.conf:2: keys.vrf_key_file: is missing", "vrf.mode = \"vrf\"",
		"sender");
	snprintf(text, sizeof(text), "%svrf = { mode = \"sum\"; };", no_key);
	REFUSED(text, "keys.vrf_key_file: is missing", "\"sum\"");
	REFUSED(VALID "vrf = { mode = \"magic\"; };", "relay.conf:5: vrf.mode = \"magic\"",
		"\"vrf\", \"sender\", \"sum\" or \"none\"");
	REFUSED(VALID "vrf = { epoch_seconds = 61; };", "vrf.epoch_seconds = 61", "1..60");
	REFUSED(VALID "vrf = { delay_variance_ms = 0; };", "vrf.delay_variance_ms = 0");
	REFUSED(VALID "vrf = { publish_dir = \"p\"; };", "keys.identity_key_file: is missing",
		"vrf.publish_dir");
	REFUSED(VALID "vrf = { mode = \"sender\"; publish_dir = \"p\"; };",
		"vrf.publish_dir = \"p\"", "without proofs");
	REFUSED(VALID "vrf = { publish_one_in = 2; };", "vrf.publish_one_in = 2",
		"vrf.beacon_file");
}

static void the_senders_delays_need_no_vrf_key(void **state)
{
	struct config c;

	(void)state;
	assert_loads(NODE "keys = { sphinx_key_file = \"/k/s\"; };\n" DIRECTORY PORTS
			  "vrf = { mode = \"sender\"; };",
		&c);
	assert_int_equal(c.vrf.mode, DELAY_SENDER);
	assert_round_trip(&c);
}

static void missing_keys_and_sections(void **state)
{
	(void)state;
	REFUSED("", "relay.conf:1: node.name: is missing");
	REFUSED("\nnode = { name = \"a\"; type = \"entry\"; };" KEYS DIRECTORY PORTS,
		"relay.conf:2: node.port: is missing", "1..65535");
	REFUSED("node = { name = \"a\"; port = 1; };" KEYS DIRECTORY PORTS, "node.type: is missing",
		"\"entry\", \"middle\" or \"exit\"");
	REFUSED(NODE DIRECTORY PORTS, "keys.sphinx_key_file: is missing");
	REFUSED(NODE KEYS PORTS, "directory.file: is missing");
	REFUSED(NODE KEYS "directory = { file = \"d\"; };" PORTS, "directory.authority: is missing",
		"64 hexadecimal digits");
	REFUSED(NODE KEYS DIRECTORY, "ports: is missing", "device");
	REFUSED(NODE KEYS DIRECTORY "ports = ( );", "ports = ( ... ): 0 ports", "1..16");
	REFUSED(NODE KEYS DIRECTORY "ports = ( { ipv4 = \"10.0.0.1/8\"; } );",
		"relay.conf:4: ports[0].device: is missing");
	REFUSED(NODE KEYS DIRECTORY "ports = ( { device = \"a\"; } );",
		"relay.conf:4: ports[0]: has neither ipv4 nor ipv6");
}

static void names_and_keys_of_a_wrong_form(void **state)
{
	(void)state;
	REFUSED("node = { name = \"mix 1\"; type = \"entry\"; port = 1; };" KEYS DIRECTORY PORTS,
		"node.name = \"mix 1\":", "1..63 characters");
	REFUSED("node = { name = \"\x1b[31m\"; type = \"entry\"; port = 1; };" KEYS DIRECTORY PORTS,
		"node.name = \"?[31m\":");
	REFUSED("node = { name = \"a\"; type = \"relay\"; port = 1; };" KEYS DIRECTORY PORTS,
		"node.type = \"relay\":", "\"entry\", \"middle\" or \"exit\"");
	REFUSED(NODE KEYS "directory = { file = \"d\"; authority = \"d75a\"; };" PORTS,
		"directory.authority = \"d75a\":", "64 hexadecimal digits");
	REFUSED(NODE KEYS "directory = { file = \"d\"; authority = \"" AUTHORITY "00\"; };" PORTS,
		"64 hexadecimal digits");
}

static void too_many_ports_and_prefixes(void **state)
{
	char text[8192] = NODE KEYS DIRECTORY "ports = (";

	(void)state;
	for (int i = 0; i < 17; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"%s{ device = \"p%d\"; ipv4 = \"10.0.%d.1/24\"; }", i ? "," : "", i, i);
	strcat(text, ");");
	REFUSED(text, "17 ports", "1..16");
	strcpy(text, "node = { name = \"e\"; type = \"exit\"; port = 1; exit_allow = [");
	for (int i = 0; i < 65; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\"10.0.%d.0/24\"",
			i ? "," : "", i);
	strcat(text, "]; };" KEYS DIRECTORY PORTS);
	REFUSED(text, "node.exit_allow = [ ... ]: 65 prefixes", "at most 64");
}

static void syntax_errors(void **state)
{
	(void)state;
	REFUSED(VALID "pipeline = {\n  workers = = 3;\n};", "relay.conf:6: syntax error",
		"workers = = 3;");
	REFUSED(VALID "pipeline = {", "relay.conf:5: syntax error");
	REFUSED(VALID "replay = { file = \"none; };\n\n",
		"relay.conf:5: the string that begins here");
	REFUSED(VALID "\n/* never closed\n\n\n", "relay.conf:6: the comment that begins here");
	REFUSED(VALID "replay = ((((((((((((((((((5))))))))))))))))));", "nested too deep");
	REFUSED(VALID "replay = { file = \"no\\x00ne\"; };", "relay.conf:5: \\x00");
}

static void duplicates(void **state)
{
	(void)state;
	REFUSED(VALID "pipeline = { workers = 1;\n  workers = 2; };",
		"relay.conf:6: duplicate setting name", "workers = 2;");
	REFUSED(VALID NODE, "relay.conf:5: duplicate setting name", "node = {");
}

static void numbers_that_libconfig_would_cut(void **state)
{
	(void)state;
	REFUSED(VALID "pipeline = {\n workers = 0x100000001; };", "relay.conf:6: hexadecimal",
		"decimal");
	REFUSED(VALID "replay = { capacity = 99999999999999999999; };",
		"relay.conf:5: a number that does not fit 64 bits");
}

static void includes(void **state)
{
	(void)state;
	REFUSED(VALID "\n  @include \"app/mixnode/example.conf\"\n",
		"relay.conf:6: @include is not allowed", "this one file");
}

static void exit_list_of_another_type(void **state)
{
	(void)state;
	REFUSED("node = { name = \"a\"; type = \"entry\"; port = 1;\n exit_allow = [ ]; };" KEYS
			DIRECTORY PORTS,
		"relay.conf:2: node.exit_allow = [ ... ]:", "type = \"exit\"");
	REFUSED("\nnode = { name = \"a\"; type = \"exit\"; port = 1; };" KEYS DIRECTORY PORTS,
		"relay.conf:2: node.exit_allow: is missing");
}

static void exit_list_of_a_wrong_form(void **state)
{
	static const struct {
		const char *list, *part;
	} cases[] = {
		{"[ \"10.0.0.1/8\" ]", "exit_allow[0] = \"10.0.0.1/8\": bits behind the prefix"},
		{"[ \"10.0.0.0/8\", \"10.0.0.0/33\" ]", "exit_allow[1] = \"10.0.0.0/33\":"},
		{"[ \"example.org\" ]", "exit_allow[0] = \"example.org\":"},
		{"[ 5 ]", "exit_allow[0] = 5: wrong type"},
		{"\"10.0.0.0/8\"", "exit_allow = \"10.0.0.0/8\": wrong type"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text),
			"node = { name = \"a\"; type = \"exit\"; port = 1; exit_allow = %s; };%s",
			cases[i].list, KEYS DIRECTORY PORTS);
		REFUSED(text, "relay.conf:1: node.", cases[i].part);
	}
}

static void shaping_without_a_rate(void **state)
{
	struct config c;

	(void)state;
	REFUSED(VALID "rate_limiting = {\n traffic_shaping_enabled = true; };",
		"relay.conf:6: rate_limiting.max_rate_pps: is missing", "1..100000000");
	assert_loads(
		VALID "rate_limiting = { traffic_shaping_enabled = true; max_rate_pps = 1; };", &c);
	assert_int_equal(c.rate_limiting.max_rate_pps, 1);
}

static void packet_larger_than_the_mtu(void **state)
{
	struct config c;

	(void)state;
	/* 1024 + 348 + 4 + 28 = 1404 over IPv4, 1424 over IPv6 */
	REFUSED(NODE KEYS DIRECTORY
		"ports = ( { device = \"a\"; ipv4 = \"10.0.1.1/24\";\n mtu = 1403; } );",
		"relay.conf:5: ports[0].mtu = 1403:", "payload_size = 1024", "1404..9600", "1023");
	assert_loads(NODE KEYS DIRECTORY
		"ports = ( { device = \"a\"; ipv4 = \"10.0.1.1/24\"; mtu = 1404; } );",
		&c);
	REFUSED(NODE KEYS DIRECTORY
		"ports = ( { device = \"a\"; ipv6 = \"fd00::1/64\"; mtu = 1423; } );",
		"ports[0].mtu = 1423:", "1424..9600");
	assert_loads(NODE KEYS DIRECTORY
		"ports = ( { device = \"a\"; ipv6 = \"fd00::1/64\"; mtu = 1424; } );",
		&c);
	REFUSED(VALID "sphinx = { payload_size = 2048; };", "ports[0].mtu = 1500:", "2428..9600",
		"at most 1120");
}

static void replay_table_without_bounds(void **state)
{
	(void)state;
	REFUSED(VALID "performance = {\n target_throughput_pps = 100000000; };",
		"relay.conf:6: replay.capacity: is missing", "120000000000");
}

static void own_addresses_that_no_host_has(void **state)
{
	static const struct {
		const char *ip, *part;
	} cases[] = {
		{"ipv4 = \"10.0.1.0/24\"", "network itself"},
		{"ipv4 = \"10.0.1.255/24\"", "broadcast"},
		{"ipv4 = \"10.0.1.1\"", "\"192.0.2.1/24\""},
		{"ipv4 = \"10.0.1.1/33\"", "prefix length 33; allowed is 1..32"},
		{"ipv4 = \"10.0.1.1/0\"", "prefix length 0"},
		{"ipv4 = \"10.0.1.1/2 \"", "\"192.0.2.1/24\""},
		{"ipv4 = \"10.0.1.1/\"", "\"192.0.2.1/24\""},
		{"ipv4 = \"10.0.1.256/24\"", "\"192.0.2.1/24\""},
		{"ipv4 = \"fd00::1/64\"", "\"192.0.2.1/24\""},
		{"ipv4 = \"224.0.0.1/24\"", "multicast"},
		{"ipv4 = \"127.0.0.1/8\"", "loopback"},
		{"ipv4 = 5", "wrong type"},
		{"ipv6 = \"fd00::/64\"", "network itself"},
		{"ipv6 = \"ff02::1/64\"", "multicast"},
		{"ipv6 = \"::1/64\"", "loopback"},
		{"ipv6 = \"::ffff:10.0.0.1/120\"", "write it as IPv4"},
		{"ipv6 = \"fd00::1/129\"", "1..128"},
		{"ipv6 = \"10.0.1.1/24\"", "\"2001:db8::1/64\""},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024], path[32];

		snprintf(text, sizeof(text), "%sports = ( { device = \"a\"; %s; } );",
			NODE KEYS DIRECTORY, cases[i].ip);
		snprintf(path, sizeof(path), "relay.conf:4: ports[0].%.4s = ", cases[i].ip);
		REFUSED(text, path, cases[i].part);
	}
}

static void point_to_point_links(void **state)
{
	struct config c;

	(void)state;
	assert_loads(NODE KEYS DIRECTORY "ports = ( { device = \"a\"; ipv4 = \"10.0.1.0/31\"; "
					 "gateway4 = \"10.0.1.1\"; ipv6 = \"fd00::/127\"; } );",
		&c);
	assert_int_equal(c.ports[0].net4.bits, 31);
	assert_int_equal(c.ports[0].gateway4.ip[3], 1);
}

static void gateways_off_the_link(void **state)
{
	static const struct {
		const char *port, *part;
	} cases[] = {
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"10.0.2.1\"",
			"gateway4 = \"10.0.2.1\": is not on the link"},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"10.0.2.1\"",
			"ports[0].ipv4 = \"10.0.1.1/24\""},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"10.0.1.1\"", "own address"},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"10.0.1.255\"", "no host's address"},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"10.0.1.0\"", "no host's address"},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"fd00::2\"", "an IPv4 address such as"},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"10.0.1.2:80\"", "an IPv4 address such as"},
		{"ipv4 = \"10.0.1.1/24\"; gateway4 = \"\"", "an IPv4 address such as"},
		{"ipv4 = \"10.0.1.1/24\"; gateway6 = \"fd00::2\"", "no ipv6 address"},
		{"ipv6 = \"fd00::1/64\"; gateway6 = \"fd01::2\"", "is not on the link"},
		{"ipv6 = \"fd00::1/64\"; gateway4 = \"10.0.0.1\"", "no ipv4 address"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%sports = ( { device = \"a\"; %s; } );",
			NODE KEYS DIRECTORY, cases[i].port);
		REFUSED(text, "relay.conf:4: ports[0].gateway", cases[i].part);
	}
}

static void ports_that_share_something(void **state)
{
	(void)state;
	REFUSED(NODE KEYS DIRECTORY "ports = ( { device = \"a\"; ipv4 = \"10.0.1.1/24\"; },\n"
				    "{ device = \"a\"; ipv4 = \"10.0.2.1/24\"; } );",
		"relay.conf:5: ports[1].device = \"a\":", "ports[0]");
	REFUSED(NODE KEYS DIRECTORY "ports = ( { device = \"a\"; ipv4 = \"10.0.1.1/24\"; },\n"
				    "{ device = \"b\"; ipv4 = \"10.0.1.1/16\"; } );",
		"relay.conf:5: ports[1].ipv4 = \"10.0.1.1/16\":", "ports[0]");
	REFUSED(NODE KEYS DIRECTORY "ports = ( { device = \"a\"; ipv6 = \"fd00::1/64\"; },\n"
				    "{ device = \"b\"; ipv6 = \"fd00::1/64\"; } );",
		"relay.conf:5: ports[1].ipv6", "ports[0]");
}

static void replay_file_name_that_grows_too_long(void **state)
{
	char text[1024], path[252];

	(void)state;
	memset(path, 'k', sizeof(path));
	path[250] = '\0';
	snprintf(text, sizeof(text),
		"%svrf = { mode = \"sender\"; };keys = { sphinx_key_file = \"%s\"; };",
		NODE DIRECTORY PORTS, path);
	REFUSED(text, "replay.file: is missing", "255");
}

static void file_errors_keep_their_number(void **state)
{
	struct config c;
	struct error err = {""};

	(void)state;
	assert_int_equal(config_load("/nonexistent/relay.conf", &c, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/relay.conf"));
}

static void nul_bytes_in_a_file(void **state)
{
	static const char text[] = VALID "\0pipeline = { workers = 0; };";
	char path[] = "/tmp/betanet-config-XXXXXX";
	struct config c;
	struct error err = {""};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(config_load(path, &c, &err), -EINVAL);
	unlink(path);
	assert_non_null(strstr(err.msg, "NUL byte"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_header),
		cmocka_unit_test(rx_queues_follow_the_workers),
		cmocka_unit_test(prefix_that_ends_inside_a_byte_is_masked),
		cmocka_unit_test(number_beyond_32_bits_needs_no_suffix),
		cmocka_unit_test(integers_serve_as_real_numbers),
		cmocka_unit_test(comments_may_hold_anything),
		cmocka_unit_test(example_loads),
		cmocka_unit_test(example_names_every_key),
		cmocka_unit_test(printed_defaults_load_as_the_same),
		cmocka_unit_test(printed_config_with_every_key_loads_as_the_same),
		cmocka_unit_test(empty_exit_list_loads_as_the_same),
		cmocka_unit_test(description_holds_every_key),
		cmocka_unit_test(value_below_the_range),
		cmocka_unit_test(values_out_of_range),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(unknown_key_with_a_near_name),
		cmocka_unit_test(unknown_key_without_a_near_name),
		cmocka_unit_test(key_of_another_section),
		cmocka_unit_test(range_of_cover_sizes_contains_the_packet),
		cmocka_unit_test(shaping_by_slots_needs_cover),
		cmocka_unit_test(vrf_settings_that_do_not_fit_together),
		cmocka_unit_test(the_senders_delays_need_no_vrf_key),
		cmocka_unit_test(missing_keys_and_sections),
		cmocka_unit_test(names_and_keys_of_a_wrong_form),
		cmocka_unit_test(too_many_ports_and_prefixes),
		cmocka_unit_test(syntax_errors),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(numbers_that_libconfig_would_cut),
		cmocka_unit_test(includes),
		cmocka_unit_test(exit_list_of_another_type),
		cmocka_unit_test(exit_list_of_a_wrong_form),
		cmocka_unit_test(shaping_without_a_rate),
		cmocka_unit_test(packet_larger_than_the_mtu),
		cmocka_unit_test(replay_table_without_bounds),
		cmocka_unit_test(own_addresses_that_no_host_has),
		cmocka_unit_test(point_to_point_links),
		cmocka_unit_test(gateways_off_the_link),
		cmocka_unit_test(ports_that_share_something),
		cmocka_unit_test(replay_file_name_that_grows_too_long),
		cmocka_unit_test(file_errors_keep_their_number),
		cmocka_unit_test(nul_bytes_in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
