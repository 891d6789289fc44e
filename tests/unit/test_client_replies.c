/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_lab.h"
#include "../../app/client/message.h"

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

/* Blocks are made 64 at a time: these are two bursts, and 65 of them are used. */
static void a_reply_through_blocks_of_two_bursts_arrives(void **state)
{
	const char *at = free_address("127.0.0.1"), *back = free_address("127.0.0.1");
	const char *in = path("in"), *question = path("question"), *file = path("blocks");
	const char *got = path("answer");
	struct child receive, send, reply;
	char extra[200];

	(void)state;
	make_file(question, 100);
	make_file(in, 62000);
	unlink(got);
	unlink(file);
	snprintf(extra, sizeof(extra), "--save-reply-blocks %s", file);
	receive = listening(at, extra);
	send = start("send", NULL,
		"send %s --to %s --in %s --mean-delay-ms 2 --bind %s --reply-blocks 66 "
		"--reply-version 260 --wait 40 --out %s",
		network(), at, question, back, got);
	assert_status(&receive, 0);
	reply = start("reply", NULL, "reply %s --block %s --in %s", network(), file, in);
	assert_status(&reply, 0);
	assert_status(&send, 0);
	assert_same(in, got);
	assert_int_equal(blocks_in(file), 1);
}

/* A question with one block has come, and its sender waits at the address that is returned. */
static const char *ask(const char *options, struct child *send)
{
	const char *at = free_address("127.0.0.1"), *back = free_address("127.0.0.1");
	struct child receive;
	char extra[200];

	make_file(path("question"), 100);
	unlink(path("answer"));
	unlink(path("blocks"));
	snprintf(extra, sizeof(extra), "--save-reply-blocks %s", path("blocks"));
	receive = listening(at, extra);
	*send = start("send", NULL,
		"send %s --to %s --in %s --mean-delay-ms 2 --bind %s --reply-blocks 1 --out %s %s",
		network(), at, path("question"), back, path("answer"), options);
	assert_status(&receive, 0);
	return back;
}

static void the_blocks_know_the_networks_payload_size(void **state)
{
	struct child send, reply;
	struct softmix *before;

	(void)state;
	assert_true(other_network("127.0.0.1", 2065, &before));
	ask("--payload-size 2065 --wait 40", &send);
	make_file(path("in"), 1900);
	reply = start("reply", NULL, "reply %s --block %s --in %s --payload-size 1024", network(),
		path("blocks"), path("in"));
	assert_status(&reply, 1);
	assert_says(reply.err, "are for 2065");
	reply = start("reply", NULL, "reply %s --block %s --in %s", network(), path("blocks"),
		path("in"));
	assert_status(&reply, 0);
	assert_status(&send, 0);
	assert_same(path("in"), path("answer"));
	restore_network(before);
}

static void a_block_of_another_network_is_refused_and_kept(void **state)
{
	struct child send, reply;
	struct softmix *before;

	(void)state;
	ask("--wait 1", &send);
	assert_true(other_network("127.0.0.1", PAYLOAD, &before));
	reply = start("reply", path("question"), "reply %s --block %s", network(), path("blocks"));
	assert_status(&reply, 1);
	assert_says(reply.err, "no relay of the directory");
	assert_int_equal(blocks_in(path("blocks")), 1);
	assert_status(&send, 1);
	restore_network(before);
}

/* The exit cannot know it, but a stranger could try: nothing but the right identifier opens. */
static void forged_replies_do_not_use_a_block_up(void **state)
{
	uint8_t forged[SPHINX_IDENTIFIER_SIZE + PAYLOAD];
	struct sockaddr_storage sa = {0};
	struct child send, reply;
	struct endpoint to;
	socklen_t n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(endpoint_parse(&to, ask("--wait 40", &send)), 0);
	n = endpoint_to_sockaddr(&to, &sa);
	for (size_t i = 0; i < 100; i++) {
		randombytes_buf(forged, sizeof(forged));
		sendto(fd, forged, i < 50 ? sizeof(forged) : i * 10, 0, (struct sockaddr *)&sa, n);
	}
	close(fd);
	reply = start("reply", path("question"), "reply %s --block %s", network(), path("blocks"));
	assert_status(&reply, 0);
	assert_status(&send, 0);
	assert_same(path("question"), path("answer"));
}

/* Four bytes each on the wire; the receiver must not spend memory on what they announce. */
static void a_hundred_thousand_empty_blocks_are_not_kept(void **state)
{
	enum { LIES = 100000, ROOM = 1007 };
	struct message_block *lies = calloc(LIES, sizeof(*lies));
	const char *at = free_address("127.0.0.1");
	struct sockaddr_storage sa = {0};
	struct message_header h;
	uint8_t *stream, datagram[ROOM], none = 0;
	struct child receive;
	struct endpoint to;
	char extra[200];
	size_t len;
	socklen_t n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	for (int i = 0; i < LIES; i++)
		lies[i] = (struct message_block){.version = 260, .data = &none};
	assert_int_equal(
		message_compose(NULL, (const uint8_t *)"hi", 2, lies, LIES, &stream, &len), 0);
	free(lies);
	assert_int_equal(message_split(&h, MESSAGE_DATA, len, ROOM), 0);
	unlink(path("blocks"));
	snprintf(extra, sizeof(extra), "--save-reply-blocks %s", path("blocks"));
	receive = listening(at, extra);
	assert_int_equal(endpoint_parse(&to, at), 0);
	n = endpoint_to_sockaddr(&to, &sa);
	for (uint32_t i = 0; i < h.count; i++) {
		sendto(fd, datagram, message_fragment(&h, stream, i, datagram), 0,
			(struct sockaddr *)&sa, n);
		if (i % 32 == 31)
			pause_ms(5);
	}
	close(fd);
	free(stream);
	assert_status(&receive, 0);
	assert_says(receive.out, "hi");
	assert_int_equal(blocks_in(path("blocks")), 0);
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

/* Ten at a time, and five; each with the sequence number and the delays of its own. */
static void pings_made_in_bursts_come_back(void **state)
{
	struct child ping = start("ping", NULL,
		"ping %s --bind 127.0.0.1:0 --count 35 --interval 0.001 --mean-delay-ms 5",
		network());

	(void)state;
	assert_status(&ping, 0);
	for (unsigned i = 0; i < 35; i++) {
		char seq[16];

		snprintf(seq, sizeof(seq), "seq=%u ", i);
		assert_says(ping.out, seq);
	}
	assert_says(ping.out, "35 packets sent, 35 came back, 0.0% lost");
}

static void lost_pings_are_counted(void **state)
{
	struct child ping;

	(void)state;
	mix->delivered = 0;
	mix->lose_every = 2;
	ping = start("ping", NULL,
		"ping %s --count 4 --interval 0.02 --mean-delay-ms 0 --timeout 1.5", network());
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_version_258_bring_the_reply),
		cmocka_unit_test(blocks_of_version_259_bring_the_reply),
		cmocka_unit_test(blocks_of_version_260_bring_the_reply),
		cmocka_unit_test(a_reply_through_blocks_of_two_bursts_arrives),
		cmocka_unit_test(the_blocks_know_the_networks_payload_size),
		cmocka_unit_test(a_block_of_another_network_is_refused_and_kept),
		cmocka_unit_test(forged_replies_do_not_use_a_block_up),
		cmocka_unit_test(a_hundred_thousand_empty_blocks_are_not_kept),
		cmocka_unit_test(a_wait_without_a_reply_fails),
		cmocka_unit_test(pings_come_back),
		cmocka_unit_test(pings_made_in_bursts_come_back),
		cmocka_unit_test(lost_pings_are_counted),
		cmocka_unit_test(an_interrupt_ends_with_the_statistics),
	};

	(void)argc;
	return run_lab(tests, sizeof(tests) / sizeof(tests[0]), argv[0]);
}
