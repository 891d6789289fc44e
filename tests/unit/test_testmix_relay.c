/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../app/testmix/relay.h"

#define STATS                                                                                      \
	"{\"/mix/stats\": {\"rx\": 12, \"processed\": 10, \"forwarded\": 7, \"delivered\": 3, "    \
	"\"tx\": 11, \"dropped\": 2, \"parked\": 4, \"mean_processing_ns\": 95000, \"x\": \"y\"}}"
#define DROPS "{\"/mix/drops\": {\"bad_mac\": 5, \"replay\": \"7\", \"bad_ip\": \"0x10\"}}"

static struct error err;
static struct relay_sample sample;

static void stats_are_read_by_name(void **state)
{
	(void)state;
	assert_int_equal(relay_parse_stats(STATS, &sample, &err), 0);
	assert_int_equal(sample.rx, 12);
	assert_int_equal(sample.processed, 10);
	assert_int_equal(sample.forwarded, 7);
	assert_int_equal(sample.delivered, 3);
	assert_int_equal(sample.tx, 11);
	assert_int_equal(sample.dropped, 2);
	assert_int_equal(sample.parked, 4);
	assert_int_equal(sample.mean_processing_ns, 95000);
}

static void a_missing_counter_is_named(void **state)
{
	(void)state;
	assert_int_equal(relay_parse_stats("{\"/mix/stats\": {\"rx\": 1, \"processed\": 2, "
					   "\"forwarded\": 3, \"delivered\": 4}}",
				 &sample, &err),
		-EPROTO);
	assert_non_null(strstr(err.msg, "\"tx\""));
}

static void numbers_may_be_strings(void **state)
{
	(void)state;
	assert_int_equal(relay_parse_drops(DROPS, &sample, &err), 0);
	assert_int_equal(sample.drops[DROP_bad_mac], 5);
	assert_int_equal(sample.drops[DROP_replay], 7);
	assert_int_equal(sample.drops[DROP_bad_ip], 16);
	assert_int_equal(sample.drops[DROP_bad_point], 0);
}

static void what_is_no_count_is_refused(void **state)
{
	static const char *const wrong[] = {"-1", "1.5", "null", "{}", "\"\"", "\"x\"", "\"-1\"",
		"\"1 \"", "\"99999999999999999999\"", "true", "[1]"};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[100];

		snprintf(text, sizeof(text), "{\"/mix/drops\": {\"bad_mac\": %s}}", wrong[i]);
		assert_int_equal(relay_parse_drops(text, &sample, &err), -EPROTO);
		assert_non_null(strstr(err.msg, "bad_mac"));
	}
}

static void an_unknown_drop_reason_is_named(void **state)
{
	(void)state;
	assert_int_equal(
		relay_parse_drops("{\"/mix/drops\": {\"gremlins\": 1}}", &sample, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "gremlins"));
	assert_int_equal(
		relay_parse_drops("{\"/mix/drops\": {\"none\": 1}}", &sample, &err), -EPROTO);
}

static void answers_that_are_none_are_refused(void **state)
{
	static const char *const wrong[] = {"", "{", "[]", "null", "{\"/mix/stats\": null}",
		"{\"/mix/drops\": 3}", "{\"/\": [\"/mix/drops\"]}", "{\"/mix/drops\": {}} x"};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(relay_parse_drops(wrong[i], &sample, &err), -EPROTO);
		assert_int_equal(relay_parse_stats(wrong[i], &sample, &err), -EPROTO);
	}
}

static void state_is_read(void **state)
{
	struct relay r;

	(void)state;
	relay_init(&r, "entry", "/nowhere");
	assert_int_equal(
		relay_parse_state("{\"/mix/info\": {\"state\": \"running\"}}", &r, &err), 0);
	assert_string_equal(r.state, "running");
	assert_int_equal(relay_parse_state("{\"/mix/info\": {\"state\": 3}}", &r, &err), -EPROTO);
	assert_int_equal(relay_parse_state("{\"/mix/info\": {\"state\": "
					   "\"a state of far more than thirty-two characters\"}}",
				 &r, &err),
		-EPROTO);
}

static void mean_is_that_of_the_run_alone(void **state)
{
	struct relay r;

	(void)state;
	relay_init(&r, "entry", "/nowhere");
	assert_true(relay_mean_processing(&r) == 0);
	r.first.forwarded = 60;
	r.first.delivered = 40;
	r.first.mean_processing_ns = 1000;
	r.last.forwarded = 160;
	r.last.delivered = 140;
	r.last.processed = 900; /* most of them were consumed */
	r.last.mean_processing_ns = 3000;
	assert_true(relay_mean_processing(&r) == 4000);
}

/* ---- against a server ---- */

static char dir[] = "/tmp/testmix-relay-XXXXXX", path[64];
static pid_t server;

struct reply {
	const char *command, *text;
};

/* Serves one connection: the greeting, then the replies in their order; then hangs up. */
static void serve(const char *greeting, const struct reply *replies, unsigned n)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(at.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	fflush(NULL);
	server = fork();
	assert_true(server >= 0);
	if (server > 0) {
		close(fd);
		return;
	}
	alarm(10);
	int c = accept(fd, NULL, NULL), bad = 0;

	if (send(c, greeting, strlen(greeting), 0) < 0)
		_exit(1);
	for (unsigned i = 0; i < n; i++) {
		char asked[100] = "";

		if (recv(c, asked, sizeof(asked) - 1, 0) <= 0)
			_exit(2);
		bad |= strcmp(asked, replies[i].command) != 0;
		if (send(c, replies[i].text, strlen(replies[i].text), 0) < 0)
			_exit(3);
	}
	_exit(bad ? 4 : 0);
}

static int server_result(void)
{
	int status = -1;

	waitpid(server, &status, 0);
	return status;
}

static const char greeting[] = "{\"version\":\"DPDK 22.11\",\"pid\":1,\"max_output_len\":16384}";

static void reads_a_relay_over_its_socket(void **state)
{
	static const struct reply replies[] = {
		{"/mix/info", "{\"/mix/info\": {\"state\": \"running\"}}"}, {"/mix/stats", STATS},
		{"/mix/drops", DROPS}};
	struct relay r;

	(void)state;
	serve(greeting, replies, 3);
	relay_init(&r, "entry", path);
	assert_int_equal(relay_read_state(&r, &err), 0);
	assert_string_equal(r.state, "running");
	assert_int_equal(relay_read_sample(&r, &sample, &err), 0);
	assert_int_equal(sample.processed, 10);
	assert_int_equal(sample.drops[DROP_replay], 7);
	assert_int_equal(server_result(), 0);

	assert_true(relay_read_sample(&r, &sample, &err) < 0);
	assert_int_equal(r.fd, -1);
	assert_non_null(strstr(err.msg, "entry"));
	relay_close(&r);
}

static void another_kind_of_server_is_refused(void **state)
{
	struct relay r;

	(void)state;
	serve("220 smtp ready", NULL, 0);
	relay_init(&r, "entry", path);
	assert_int_equal(relay_connect(&r, &err), -EPROTO);
	assert_int_equal(r.fd, -1);
	assert_int_equal(server_result(), 0);
}

static void nobody_there_is_told_with_the_path(void **state)
{
	struct relay r;

	(void)state;
	unlink(path);
	relay_init(&r, "entry", path);
	assert_int_equal(relay_connect(&r, &err), -ENOENT);
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(r.fd, -1);
}

static void too_long_a_path_is_told(void **state)
{
	char longer[200];
	struct relay r;

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[199] = 0;
	relay_init(&r, "entry", longer);
	assert_int_equal(relay_connect(&r, &err), -ENAMETOOLONG);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/dpdk_telemetry.v2", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stats_are_read_by_name),
		cmocka_unit_test(a_missing_counter_is_named),
		cmocka_unit_test(numbers_may_be_strings),
		cmocka_unit_test(what_is_no_count_is_refused),
		cmocka_unit_test(an_unknown_drop_reason_is_named),
		cmocka_unit_test(answers_that_are_none_are_refused),
		cmocka_unit_test(state_is_read),
		cmocka_unit_test(mean_is_that_of_the_run_alone),
		cmocka_unit_test(reads_a_relay_over_its_socket),
		cmocka_unit_test(another_kind_of_server_is_refused),
		cmocka_unit_test(nobody_there_is_told_with_the_path),
		cmocka_unit_test(too_long_a_path_is_told),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
