/* SPDX-License-Identifier: BSD-3-Clause */
/* The profiles in drivers-cfg are what an operator pastes: each must be accepted as it stands. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/config.h"
#include "core/file.h"

static const char rest[] =
	"node = { name = \"mix1\"; type = \"middle\"; port = 9000; };\n"
	"keys = { sphinx_key_file = \"/etc/betanet/sphinx.secret\"; };\nvrf = { mode = \"sender\"; "
	"};\n"
	"directory = { file = \"/etc/betanet/directory.conf\"; authority = "
	"\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"; };\n";

static char *with_the_rest(const char *path)
{
	uint8_t *profile;
	size_t len;
	char *text;

	assert_int_equal(file_read(path, 1 << 16, &profile, &len, NULL), 0);
	text = malloc(sizeof(rest) + len);
	assert_non_null(text);
	memcpy(text, rest, sizeof(rest) - 1);
	memcpy(text + sizeof(rest) - 1, profile, len + 1);
	free(profile);
	return text;
}

static void test_each_profile_is_a_valid_part_of_a_config(void **state)
{
	struct config *c = calloc(1, sizeof(*c));
	glob_t found;

	(void)state;
	assert_non_null(c);
	assert_int_equal(glob("drivers-cfg/*.conf", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 6);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *text = with_the_rest(found.gl_pathv[i]);
		struct error err = {""};

		if (config_parse(found.gl_pathv[i], text, c, &err) != 0)
			fail_msg("%s", err.msg);
		assert_true(c->port_count >= 1);
		for (unsigned p = 0; p < c->port_count; p++)
			assert_true(c->ports[p].rx_queues <= c->pipeline.workers);
		free(text);
	}
	globfree(&found);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_profile_is_a_valid_part_of_a_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
