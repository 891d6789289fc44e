/* SPDX-License-Identifier: BSD-3-Clause */

/* The program betanet-client itself, against a mixnet of threads on the loopback (softmix.h). */

#include <libgen.h>
#include <netinet/in.h>
#include "program.h"
#include "softmix.h"

enum { PAYLOAD = 1024, FILE_SIZE = 200 * 1024 };

static struct softmix *mix;
static char authority[65];

static const char *network(void)
{
	static char text[256];

	snprintf(text, sizeof(text), "--directory %s --authority %s", mix->directory, authority);
	return text;
}

/* A free port of the loopback: asked for, and given back for the client to take. */
static const char *free_address(const char *ip)
{
	static char text[8][ENDPOINT_STRLEN];
	static unsigned next;
	struct sockaddr_storage sa = {0};
	struct endpoint e;
	socklen_t n;
	int fd;

	assert_int_equal(endpoint_parse_ip(&e, ip), 0);
	n = endpoint_to_sockaddr(&e, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	getsockname(fd, (struct sockaddr *)&sa, &n);
	close(fd);
	endpoint_from_sockaddr(&e, (struct sockaddr *)&sa);
	return endpoint_format(text[next++ % 8], &e);
}

static struct child listening(const char *at, const char *options)
{
	struct child c = start("receive", NULL, "receive --bind %s --timeout 20 %s", at, options);

	wait_for(c.err, "listening on");
	return c;
}

/* ---- send and receive ---- */

static void carry(const char *ip, size_t len, const char *options)
{
	const char *at = free_address(ip), *in = path("in"), *out = path("got");
	char extra[128];
	struct child receive, send;

	make_file(in, len);
	unlink(out);
	snprintf(extra, sizeof(extra), "--out %s", out);
	receive = listening(at, extra);
	send = start("send", NULL, "send %s --to %s --in %s --mean-delay-ms 5 --rate 2000 %s",
		network(), at, in, options);
	assert_status(&send, 0);
	assert_says(send.err, "only the receiver knows");
	assert_status(&receive, 0);
	assert_says(receive.err, "hash right");
	assert_same(in, out);
}

static void a_file_of_200_KiB_arrives(void **state)
{
	(void)state;
	carry("127.0.0.1", FILE_SIZE, "");
	assert_says(path("receive.err"), "in 212 packets");
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
	receive = start("receive", NULL, "receive --bind %s --timeout 1 --out %s", at, out);
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
	receive = start("receive", NULL, "receive --bind %s --timeout 1 --out %s", at, out);
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

/* ---- replies ---- */

static unsigned blocks_in(const char *file)
{
	unsigned n = 0;
	char *text = text_of(file);

	for (char *p = text; p && (p = strstr(p, "block 2")); p++)
		n++;
	return n;
}

static void answer(unsigned version)
{
	const char *at = free_address("127.0.0.1"), *back = free_address("127.0.0.1");
	const char *in = path("in"), *question = path("question"), *file = path("blocks");
	const char *long_reply = path("long"), *got = path("answer");
	struct child receive, send, reply;
	char extra[200];
	unsigned raw = mix->raw_replies;

	make_file(question, 100);
	make_file(in, 1500);
	make_file(long_reply, 5000);
	unlink(got);
	unlink(file);
	snprintf(extra, sizeof(extra), "--save-reply-blocks %s", file);
	receive = listening(at, extra);
	send = start("send", NULL,
		"send %s --to %s --in %s --mean-delay-ms 2 --bind %s --reply-blocks 3 "
		"--reply-version %u --wait 40 --out %s",
		network(), at, question, back, version, got);
	assert_status(&receive, 0);
	assert_same(question, receive.out);
	assert_int_equal(blocks_in(file), 3);
	/* 5000 bytes need six packets: refused, and no block is spent on it */
	reply = start("reply", NULL, "reply %s --block %s --in %s", network(), file, long_reply);
	assert_status(&reply, 1);
	assert_says(reply.err, "enough for 2845 bytes");
	assert_int_equal(blocks_in(file), 3);
	reply = start("reply", NULL, "reply %s --block %s --in %s", network(), file, in);
	assert_status(&reply, 0);
	assert_status(&send, 0);
	assert_same(in, got);
	assert_int_equal(blocks_in(file), 1);
	assert_int_equal(mix->raw_replies - raw, version == 260 ? 2 : 0);
	reply = start("reply", question, "reply %s --block %s", network(), file);
	assert_status(&reply, 0);
	reply = start("reply", question, "reply %s --block %s", network(), file);
	assert_status(&reply, 1);
	assert_says(reply.err, "no reply block is left");
}

static void blocks_of_version_258_bring_the_reply(void **state)
{
	(void)state;
	answer(258);
}

static void blocks_of_version_259_bring_the_reply(void **state)
{
	(void)state;
	answer(259);
}

static void blocks_of_version_260_bring_the_reply(void **state)
{
	(void)state;
	answer(260);
}

static void a_wait_without_a_reply_fails(void **state)
{
	struct child send;

	(void)state;
	make_file(path("in"), 10);
	send = start("send", NULL,
		"send %s --to %s --in %s --bind 127.0.0.1:0 --reply-blocks 1 --wait 0.3", network(),
		free_address("127.0.0.1"), path("in"));
	assert_status(&send, 1);
	assert_says(send.err, "no whole reply in time");
}

/* ---- ping ---- */

static void pings_come_back(void **state)
{
	struct child ping = start("ping", NULL,
		"ping %s --bind 127.0.0.1:0 --count 5 --interval 0.02 --mean-delay-ms 5",
		network());

	(void)state;
	assert_status(&ping, 0);
	assert_says(ping.out, "seq=4 ");
	assert_says(ping.out, "5 packets sent, 5 came back, 0.0% lost");
	assert_says(ping.out, "rtt min/avg/max/p50 = ");
}

static void lost_pings_are_counted(void **state)
{
	struct child ping;

	(void)state;
	mix->delivered = 0;
	mix->lose_every = 2;
	ping = start("ping", NULL,
		"ping %s --count 4 --interval 0.02 --mean-delay-ms 0 --timeout 0.5", network());
	assert_status(&ping, 0);
	mix->lose_every = 0;
	assert_says(ping.out, "4 packets sent, 2 came back, 50.0% lost");
}

static void an_interrupt_ends_with_the_statistics(void **state)
{
	struct child ping =
		start("ping", NULL, "ping %s --count 1000 --mean-delay-ms 0", network());

	(void)state;
	wait_for(ping.out, "seq=0 ");
	kill(ping.pid, SIGINT);
	assert_status(&ping, 0);
	assert_says(ping.out, "came back");
}

/* ---- the whole again on IPv6, and on another packet size ---- */

static int other_network(const char *ip, size_t payload, struct softmix **before)
{
	struct error err = {0};
	struct softmix *m = softmix_start(ip, payload, &err);

	if (!m && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT))
		return 0;
	if (!m)
		fail_msg("%s", err.msg);
	*before = mix;
	mix = m;
	hex_encode(authority, mix->authority, 32);
	return 1;
}

static void restore_network(struct softmix *before)
{
	softmix_stop(mix);
	mix = before;
	hex_encode(authority, mix->authority, 32);
}

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

static int set_up(void **state)
{
	struct error err = {0};

	(void)state;
	if (access(program, X_OK) != 0) {
		print_error("%s is missing: make bins\n", program);
		return -1;
	}
	mix = softmix_start("127.0.0.1", PAYLOAD, &err);
	if (!mix || !mkdtemp(folder)) {
		print_error("%s\n", err.msg);
		return -1;
	}
	hex_encode(authority, mix->authority, 32);
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	softmix_stop(mix);
	text_of("/dev/null");
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_200_KiB_arrives),
		cmocka_unit_test(both_packet_versions_and_all_hop_counts_carry),
		cmocka_unit_test(an_empty_message_arrives),
		cmocka_unit_test(standard_input_reaches_standard_output),
		cmocka_unit_test(several_messages_get_numbered_files),
		cmocka_unit_test(lost_packets_are_named_and_nothing_is_written),
		cmocka_unit_test(packets_that_come_twice_are_counted),
		cmocka_unit_test(a_damaged_message_is_not_written),
		cmocka_unit_test(strangers_datagrams_are_ignored_and_counted),
		cmocka_unit_test(an_existing_file_is_replaced_only_by_force),
		cmocka_unit_test(blocks_of_version_258_bring_the_reply),
		cmocka_unit_test(blocks_of_version_259_bring_the_reply),
		cmocka_unit_test(blocks_of_version_260_bring_the_reply),
		cmocka_unit_test(a_wait_without_a_reply_fails),
		cmocka_unit_test(pings_come_back),
		cmocka_unit_test(lost_pings_are_counted),
		cmocka_unit_test(an_interrupt_ends_with_the_statistics),
		cmocka_unit_test(ipv6_carries_files_and_pings),
		cmocka_unit_test(another_payload_size_carries),
		cmocka_unit_test(relays_that_do_not_listen_are_reported),
		cmocka_unit_test(an_altered_directory_is_refused),
		cmocka_unit_test(the_authoritys_key_may_stand_in_a_file),
		cmocka_unit_test(wrong_use_is_explained),
		cmocka_unit_test(what_fails_at_run_time_is_explained),
		cmocka_unit_test(help_names_every_option),
	};
	char self[4000];

	(void)argc;
	snprintf(self, sizeof(self), "%s", argv[0]);
	snprintf(program, sizeof(program), "%s/../betanet-client", dirname(self));
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
