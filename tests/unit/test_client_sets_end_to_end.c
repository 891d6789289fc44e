/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_lab.h"
#include <sys/stat.h>
#include "vrf/neighbour_set.h"
#include "vrf/publish.h"

/* The program routes inside the neighbour sets that the relays have published. */

enum { SECONDS = 3600, ALL = (1 << SOFTMIX_RELAYS) - 1 };

/* Records of the relays of the mask, for the present epoch and the next, in case it begins now. */
static const char *publish(const char *name, unsigned relays)
{
	const char *dir = path(name);
	struct directory *d;
	struct error err = {0};

	assert_int_equal(mkdir(dir, 0755), 0);
	if (directory_load(mix->directory, mix->authority, 0, &d, &err) < 0)
		fail_msg("%s", err.msg);
	for (unsigned i = 0; i < 2 * SOFTMIX_RELAYS; i++) {
		const unsigned node = i / 2;
		const struct neighbour_epoch e = {
			d, (uint64_t)time(NULL) / SECONDS + i % 2, SECONDS};
		uint8_t record[NEIGHBOUR_RECORD_SIZE];
		struct neighbour_set set;
		struct beacon beacon;
		struct ecvrf_key key;

		if (!(relays >> node & 1))
			continue;
		beacon_choose(&beacon, 0, NULL, 0, 0, d->network_id, d->hash);
		ecvrf_key_from_seed(&key, mix->relay[node].vrf_seed);
		if (neighbour_set_make(&e, node, &beacon, &key, mix->relay[node].identity, record,
			    &set, &err) < 0 ||
			publish_write(dir, d->nodes[node].name, PUBLISH_NEIGHBOURS, e.epoch, record,
				sizeof(record), &err) < 0)
			fail_msg("%s", err.msg);
	}
	directory_free(d);
	return dir;
}

static void taken(unsigned before[SOFTMIX_RELAYS])
{
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++)
		before[i] = mix->relay[i].taken;
}

/* ---- facts */

static void a_message_keeps_to_relays_with_records(void **state)
{
	/* one relay of each layer is without: mix1, mix2 and mix4 */
	const char *dir = publish("some", 1 << 0 | 1 << 3 | 1 << 5);
	const char *at = free_address("127.0.0.1"), *in = path("in"), *out = path("got");
	unsigned before[SOFTMIX_RELAYS], after[SOFTMIX_RELAYS];
	struct child receive, send;
	char extra[128];

	(void)state;
	make_file(in, 30000);
	snprintf(extra, sizeof(extra), "--out %s", out);
	receive = listening(at, extra);
	taken(before);
	send = start("send", NULL,
		"send %s --neighbours %s --to %s --in %s --mean-delay-ms 1 --rate 2000", network(),
		dir, at, in);
	assert_status(&send, 0);
	assert_status(&receive, 0);
	assert_same(in, out);
	taken(after);
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++)
		assert_true(i == 0 || i == 3 || i == 5 ? after[i] - before[i] > 20
						       : after[i] == before[i]);
	assert_says(send.err, "mix1 sits out: no record of epoch");
	assert_says(send.err, "3 of 6 relays have no valid neighbour record");
}

static void pings_and_reply_blocks_keep_to_them_too(void **state)
{
	const char *dir = publish("pings", 1 << 1 | 1 << 2 | 1 << 4);
	const char *at = free_address("127.0.0.1"), *in = path("in"), *got = path("answer");
	unsigned before[SOFTMIX_RELAYS], after[SOFTMIX_RELAYS];
	struct child ping, receive, send, reply;
	char extra[128];

	(void)state;
	make_file(in, 500);
	unlink(got);
	taken(before);
	ping = start("ping", NULL, "ping %s --neighbours %s --count 10 --interval 0.01 --quiet",
		network(), dir);
	assert_status(&ping, 0);
	assert_says(ping.out, "10 packets sent, 10 came back");
	snprintf(extra, sizeof(extra), "--save-reply-blocks %s", path("blocks"));
	receive = listening(at, extra);
	send = start("send", NULL,
		"send %s --neighbours %s --to %s --in %s --mean-delay-ms 1 --bind %s "
		"--reply-blocks 8 --wait 40 --out %s",
		network(), dir, at, in, free_address("127.0.0.1"), got);
	assert_status(&receive, 0);
	reply = start("reply", NULL, "reply %s --block %s --in %s", network(), path("blocks"), in);
	assert_status(&reply, 0);
	assert_status(&send, 0);
	assert_same(in, got);
	taken(after);
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++)
		assert_true(i == 1 || i == 2 || i == 4 ? after[i] - before[i] >= 12
						       : after[i] == before[i]);
}

static void without_a_record_in_a_layer_nothing_is_sent(void **state)
{
	const char *dir = publish("holes", ALL & ~(1 << 2 | 1 << 3)), *in = path("in");
	unsigned before[SOFTMIX_RELAYS], after[SOFTMIX_RELAYS];
	struct child send, other;

	(void)state;
	make_file(in, 100);
	taken(before);
	send = start("send", NULL, "send %s --neighbours %s --to 127.0.0.1:9 --in %s", network(),
		dir, in);
	assert_status(&send, 1);
	assert_says(send.err, "none of the 2 relays of layer 2 has a valid neighbour record");
	/* of another length of epochs nothing is the present one */
	other = start("other", NULL,
		"send %s --neighbours %s --neighbour-seconds 1800 --to 127.0.0.1:9 --in %s",
		network(), dir, in);
	assert_status(&other, 1);
	assert_says(other.err, "layer 1");
	taken(after);
	assert_memory_equal(before, after, sizeof(before));
}

static void the_options_say_what_is_wrong_with_them(void **state)
{
	static const struct {
		const char *options;
		int status;
		const char *says;
	} cases[] = {
		{"--neighbours /nonexistent --count 1", 1, "--neighbours /nonexistent"},
		{"--neighbour-seconds 59", 2, "from 60 to 86400"},
		{"--neighbour-seconds 86401", 2, "from 60 to 86400"},
		{"--beacon /dev/null", 2, "--neighbours DIR is missing"},
		{"--neighbours /tmp --beacon /nonexistent", 1, "/nonexistent"},
		{"--neighbours /tmp --hops 4", 1, "1 to 3 are possible"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child c = start("options", NULL, "ping %s %s", network(), cases[i].options);

		assert_status(&c, cases[i].status);
		assert_says(c.err, cases[i].says);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_keeps_to_relays_with_records),
		cmocka_unit_test(pings_and_reply_blocks_keep_to_them_too),
		cmocka_unit_test(without_a_record_in_a_layer_nothing_is_sent),
		cmocka_unit_test(the_options_say_what_is_wrong_with_them),
	};

	(void)argc;
	return run_lab(tests, sizeof(tests) / sizeof(tests[0]), argv[0]);
}
