/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_lab.h"

/* ---- send and receive ---- */

static void carry_at(unsigned rate, const char *ip, size_t len, const char *options)
{
	const char *at = free_address(ip), *in = path("in"), *out = path("got");
	char extra[128];
	struct child receive, send;

	make_file(in, len);
	unlink(out);
	snprintf(extra, sizeof(extra), "--out %s", out);
	receive = listening(at, extra);
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 5 --rate %u %s",
		network(), at, in, rate, options);
	assert_status(&send, 0);
	assert_says(send.err, "only the receiver knows");
	assert_status(&receive, 0);
	assert_says(receive.err, "hash right");
	assert_same(in, out);
}

static void carry(const char *ip, size_t len, const char *options)
{
	carry_at(2000, ip, len, options);
}

static void a_file_of_200_KiB_arrives(void **state)
{
	(void)state;
	carry("127.0.0.1", FILE_SIZE, "");
	assert_says(path("receive.err"), "in 212 packets");
}

/* Bursts of 64 and of what is left; few enough packets for the kernel's socket buffers. */
static void packets_made_64_at_a_time_arrive(void **state)
{
	(void)state;
	carry_at(100000, "127.0.0.1", 75000, "");
	assert_says(path("receive.err"), "in 78 packets");
}

static void both_packet_versions_and_all_hop_counts_carry(void **state)
{
	(void)state;
	carry("127.0.0.1", 5000, "--version 258");
	carry("127.0.0.1", 5000, "--version 259 --hops 2");
	carry("127.0.0.1", 5000, "--version 258 --hops 1 --mean-delay-ms 0");
}

static void an_empty_message_arrives(void **state)
{
	(void)state;
	carry("127.0.0.1", 0, "");
	carry("127.0.0.1", 1, "");
}

static void standard_input_reaches_standard_output(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in");
	struct child receive, send;

	(void)state;
	make_file(in, 10000);
	receive = listening(at, "");
	send = start("send", in, "send %s --to %s --mean-delay-ms 1", network(), at);
	assert_status(&send, 0);
	assert_status(&receive, 0);
	assert_same(in, receive.out);
}

static void several_messages_get_numbered_files(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in");
	char extra[128];
	struct child receive;

	(void)state;
	make_file(in, 3000);
	unlink(path("many.1"));
	unlink(path("many.2"));
	snprintf(extra, sizeof(extra), "--count 2 --out %s", path("many"));
	receive = listening(at, extra);
	for (int i = 0; i < 2; i++) {
		struct child send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 1",
			network(), at, in);

		assert_status(&send, 0);
	}
	assert_status(&receive, 0);
	assert_same(in, path("many.1"));
	assert_same(in, path("many.2"));
}

static void lost_packets_are_named_and_nothing_is_written(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in"), *out = path("lost");
	struct child receive, send;

	(void)state;
	make_file(in, 30000);
	receive = start("receive", NULL, "receive --bind %s --timeout 2 --out %s", at, out);
	wait_for(receive.err, "listening on");
	mix->delivered = 0;
	mix->lose_every = 10;
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 1", network(), at, in);
	assert_status(&send, 0);
	assert_status(&receive, 1);
	mix->lose_every = 0;
	assert_says(receive.err, "incomplete: 29 of 32 packets came, 3 are missing:");
	assert_int_not_equal(access(out, F_OK), 0);
}

static void packets_that_come_twice_are_counted(void **state)
{
	(void)state;
	mix->delivered = 0;
	mix->double_every = 4;
	carry("127.0.0.1", 30000, "");
	mix->double_every = 0;
	assert_says(path("receive.err"), " twice; hash right");
	assert_null(strstr(text_of(path("receive.err")), " 0 twice"));
}

static void a_damaged_message_is_not_written(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in"), *out = path("damaged");
	struct child receive, send;

	(void)state;
	make_file(in, 5000);
	receive = start("receive", NULL, "receive --bind %s --timeout 2 --out %s", at, out);
	wait_for(receive.err, "listening on");
	mix->delivered = 0;
	mix->damage_every = 3;
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 1", network(), at, in);
	assert_status(&send, 0);
	assert_status(&receive, 1);
	mix->damage_every = 0;
	assert_says(receive.err, "its hash is wrong");
	assert_int_not_equal(access(out, F_OK), 0);
}

static void packets_of_another_size_than_asked_for_are_ignored(void **state)
{
	const char *at = free_address("127.0.0.1");
	struct child receive, send;

	(void)state;
	make_file(path("in"), 5000);
	receive = start("receive", NULL, "receive --bind %s --timeout 2 --payload-size 2065", at);
	wait_for(receive.err, "listening on");
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 1", network(), at,
		path("in"));
	assert_status(&send, 0);
	assert_status(&receive, 1);
	assert_says(receive.err, "ignored: 6 datagrams were no part of a message");
	assert_says(receive.err, "nothing came in time");
}

static void strangers_datagrams_are_ignored_and_counted(void **state)
{
	const char *at = free_address("127.0.0.1"), *in = path("in"), *out = path("stranger");
	struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
	struct sockaddr_storage sa = {0};
	struct child receive, send;
	struct endpoint to;
	uint8_t junk[1007];
	socklen_t n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	make_file(in, 5000);
	unlink(out);
	receive = start(
		"receive", NULL, "receive --bind %s --timeout 20 --out %s %s", at, out, network());
	wait_for(receive.err, "listening on");
	assert_int_equal(endpoint_parse(&to, at), 0);
	n = endpoint_to_sockaddr(&to, &sa);
	assert_int_equal(bind(other, (struct sockaddr *)&me, sizeof(me)), 0);
	for (int i = 0; i < 50; i++) {
		randombytes_buf(junk, sizeof(junk));
		sendto(fd, junk, (size_t)i * 20, 0, (struct sockaddr *)&sa, n);
		sendto(other, junk, sizeof(junk), 0, (struct sockaddr *)&sa, n);
	}
	close(fd);
	close(other);
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 1", network(), at, in);
	assert_status(&send, 0);
	assert_status(&receive, 0);
	assert_same(in, out);
	assert_says(receive.err, "50 datagrams were no part of a message");
	assert_says(receive.err, "50 datagrams came from no relay of the directory");
}

static void an_existing_file_is_replaced_only_by_force(void **state)
{
	const char *out = path("kept");
	struct child receive;

	(void)state;
	make_file(out, 10);
	receive = start("receive", NULL, "receive --bind 127.0.0.1:0 --timeout 1 --out %s", out);
	assert_status(&receive, 1);
	assert_says(receive.err, "--force");
}

/* ---- the whole again on IPv6, and on another packet size ---- */

static void ipv6_carries_files_and_pings(void **state)
{
	struct softmix *before;
	struct child ping;

	(void)state;
	if (!other_network("::1", PAYLOAD, &before))
		skip();
	carry("::1", 20000, "");
	ping = start(
		"ping", NULL, "ping %s --count 2 --interval 0.02 --mean-delay-ms 1", network());
	assert_status(&ping, 0);
	assert_says(ping.out, "2 packets sent, 2 came back");
	restore_network(before);
}

static void another_payload_size_carries(void **state)
{
	struct softmix *before;

	(void)state;
	assert_true(other_network("127.0.0.1", 2065, &before));
	carry("127.0.0.1", 50000, "--payload-size 2065");
	assert_says(path("receive.err"), "in 25 packets");
	restore_network(before);
}

/* ---- what goes wrong ---- */

static void relays_that_do_not_listen_are_reported(void **state)
{
	struct softmix *before;
	struct child send;

	(void)state;
	assert_true(other_network("127.0.0.1", PAYLOAD, &before));
	softmix_kill(mix);
	make_file(path("in"), 5000);
	send = start("send", NULL, "send %s --to 127.0.0.1:9 --in %s", network(), path("in"));
	assert_status(&send, 1);
	assert_says(send.err, "no relay listens there");
	restore_network(before);
}

static void an_altered_directory_is_refused(void **state)
{
	const char *altered = path("altered");
	struct error err = {0};
	struct child send;
	uint8_t *data;
	char *digit;
	size_t len;

	(void)state;
	assert_int_equal(file_read(mix->directory, 1 << 20, &data, &len, &err), 0);
	digit = strstr((char *)data, "weight = 100");
	assert_non_null(digit);
	digit[9] = '9';
	assert_int_equal(file_write(altered, 0600, data, len, FILE_FORCE, &err), 0);
	free(data);
	send = start("send", NULL, "send --directory %s --authority %s --to 127.0.0.1:9", altered,
		authority);
	assert_status(&send, 1);
	assert_says(send.err, altered);
	assert_says(send.err, "signature");
}

static void the_authoritys_key_may_stand_in_a_file(void **state)
{
	const char *key = path("authority");
	struct error err = {0};
	struct child ping;
	char text[66];

	(void)state;
	snprintf(text, sizeof(text), "%s\n", authority);
	assert_int_equal(file_write(key, 0600, text, 65, FILE_FORCE, &err), 0);
	ping = start("ping", NULL, "ping --directory %s --authority %s --count 1 --mean-delay-ms 0",
		mix->directory, key);
	assert_status(&ping, 0);
}

static void wrong_use_is_explained(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{"", "a command is missing"},
		{"fetch", "fetch: unknown command"},
		{"send --to 127.0.0.1:9", "--directory FILE is missing"},
		{"send --directory x --to 127.0.0.1:9", "--authority HEX|FILE is missing"},
		{"send --directory x --authority y", "--to IP:PORT is missing"},
		{"send --directory x --authority y --to localhost:9", "write 192.0.2.1:9000"},
		{"send --directory x --authority y --to 127.0.0.1:0", "port 0"},
		{"send --rate 0", "--rate 0: a number from 0.01 to 1000000 is allowed"},
		{"send --rate nan", "--rate nan"},
		{"send --hops 6", "--hops 6: a whole number from 1 to 5 is allowed"},
		{"send --hops -1", "--hops -1"},
		{"send --version 260", "--version 260: a whole number from 258 to 259"},
		{"send --payload-size 33", "--payload-size 33: a whole number from 89 to 32785"},
		{"send --mean-delay-ms", "--mean-delay-ms needs a value"},
		{"send --quiet=yes", "--quiet takes no value"},
		{"send --block x", "--block is no option of send"},
		{"send --frobnicate", "--frobnicate: unknown option"},
		{"send file", "file: not an option"},
		{"send --directory x --authority y --to 127.0.0.1:9 --reply-blocks 2",
			"--wait S is missing"},
		{"send --directory x --authority y --to 127.0.0.1:9 --wait 2",
			"--reply-blocks N is missing"},
		{"receive", "--bind IP:PORT is missing"},
		{"receive --bind 127.0.0.1:0 --directory x", "--authority HEX|FILE is missing"},
		{"receive --bind 127.0.0.1:0 --max-size 5T", "--max-size 5T"},
		{"reply --directory x --authority y", "--block FILE is missing"},
		{"ping --count 0 --directory x --authority y", "--count 0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child c = start("use", NULL, "%s", cases[i].line);

		assert_status(&c, 2);
		assert_says(c.err, cases[i].words);
	}
}

static void what_fails_at_run_time_is_explained(void **state)
{
	static const struct {
		const char *options, *words;
	} cases[] = {
		{"ping --hops 4", "--hops 4: the directory has 3 layers, so 1 to 3 are possible"},
		{"ping --bind 192.0.2.1:0", "no interface of this host has that address"},
		{"send --to [2001:db8::1]:9 --in /dev/null", "share no IPv6 path"},
		{"send --to 127.0.0.1:9 --in /no/such", "/no/such: cannot be opened"},
		{"send --to 127.0.0.1:9 --in /bin/sh --max-size 1K", "raise --max-size"},
		{"reply --block /no/such --in /dev/null", "/no/such: cannot be opened"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child c = start("fail", NULL, "%s %s", cases[i].options, network());

		assert_status(&c, 1);
		assert_says(c.err, cases[i].words);
	}
}

static void help_names_every_option(void **state)
{
	static const char *const commands[] = {"send", "receive", "reply", "ping"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct child c = start("help", NULL, "%s --help", commands[i]);

		assert_status(&c, 0);
		assert_says(c.out, "--directory FILE");
		assert_says(c.out, "exit status");
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_200_KiB_arrives),
		cmocka_unit_test(packets_made_64_at_a_time_arrive),
		cmocka_unit_test(both_packet_versions_and_all_hop_counts_carry),
		cmocka_unit_test(an_empty_message_arrives),
		cmocka_unit_test(standard_input_reaches_standard_output),
		cmocka_unit_test(several_messages_get_numbered_files),
		cmocka_unit_test(lost_packets_are_named_and_nothing_is_written),
		cmocka_unit_test(packets_that_come_twice_are_counted),
		cmocka_unit_test(a_damaged_message_is_not_written),
		cmocka_unit_test(packets_of_another_size_than_asked_for_are_ignored),
		cmocka_unit_test(strangers_datagrams_are_ignored_and_counted),
		cmocka_unit_test(an_existing_file_is_replaced_only_by_force),
		cmocka_unit_test(ipv6_carries_files_and_pings),
		cmocka_unit_test(another_payload_size_carries),
		cmocka_unit_test(relays_that_do_not_listen_are_reported),
		cmocka_unit_test(an_altered_directory_is_refused),
		cmocka_unit_test(the_authoritys_key_may_stand_in_a_file),
		cmocka_unit_test(wrong_use_is_explained),
		cmocka_unit_test(what_fails_at_run_time_is_explained),
		cmocka_unit_test(help_names_every_option),
	};

	(void)argc;
	return run_lab(tests, sizeof(tests) / sizeof(tests[0]), argv[0]);
}
