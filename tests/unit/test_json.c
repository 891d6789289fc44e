/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "json.h"

/* The reader itself: a vector test is worth no more than what it reads. */

static const char *write_temp(const char *text)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/betanet-json-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static struct json *parse(const char *text)
{
	const char *path = write_temp(text);
	struct json *v = json_load(path);

	unlink(path);
	return v;
}

static void a_tree_keeps_order_types_and_every_bit(void **state)
{
	struct json *v =
		parse(" {\"a\" : [1, 18446744073709551615 ,[], {}],\n\"s\":\"q\\\"\\n\\u0041\","
		      "\"h\":\"00fF\",\"t\":true,\"f\":false,\"n\":null} ");
	const struct json *a = json_need(v, "a");
	uint8_t h[4];

	(void)state;
	assert_int_equal(v->count, 6);
	assert_int_equal(a->count, 4);
	assert_true(json_u64_value(json_at(a, 1)) == UINT64_MAX);
	assert_int_equal(json_at(a, 2)->type, JSON_ARRAY);
	assert_int_equal(json_at(a, 3)->type, JSON_OBJECT);
	assert_null(json_at(a, 4));
	assert_string_equal(json_str(v, "s"), "q\"\nA");
	assert_int_equal(json_hex(v, "h", h, sizeof(h)), 2);
	assert_memory_equal(h, "\x00\xff", 2);
	assert_true(json_true(v, "t"));
	assert_false(json_true(v, "f"));
	assert_int_equal(json_need(v, "n")->type, JSON_NULL);
	assert_null(json_get(v, "x"));
	json_free(v);
}

static void malformed_text_ends_the_test_program(void **state)
{
	static const char *const bad[] = {"", "{", "[1,]", "{\"a\" 1}", "{\"a\":1", "\"abc",
		"[1] 2", "nul", "\"\\x\"", "\"\\u00e9\"", "{1:2}", "\"a\tb\""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *path = write_temp(bad[i]);
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			(void)!freopen("/dev/null", "w", stderr);
			json_load(path);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		unlink(path);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_keeps_order_types_and_every_bit),
		cmocka_unit_test(malformed_text_ends_the_test_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
