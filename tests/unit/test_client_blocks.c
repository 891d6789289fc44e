/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../app/client/blocks.h"
#include "core/file.h"

static char folder[] = "/tmp/client-blocks.XXXXXX";
static char name[64];

/* `count` blocks, the first `same` of which answer one message. */
static struct reply_block *make(size_t count, size_t same)
{
	static const uint16_t lengths[] = {380 + 3 * 192, 380 + 3 * 16, 380 + 16};
	struct reply_block *b = calloc(count, sizeof(*b));

	for (size_t i = 0; i < count; i++) {
		b[i].version = (uint16_t)(258 + i % 3);
		b[i].len = lengths[i % 3];
		b[i].payload_size = 1024;
		memset(b[i].answers, i < same ? 1 : 2, MESSAGE_ID_SIZE);
		randombytes_buf(b[i].data, b[i].len);
	}
	return b;
}

static void assert_equal(const struct reply_block *a, const struct reply_block *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->payload_size, b->payload_size);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->answers, b->answers, MESSAGE_ID_SIZE);
	assert_memory_equal(a->data, b->data, a->len);
}

static void save(const struct reply_block *b, size_t count)
{
	struct error err = {0};

	if (blocks_save(name, b, count, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
}

static void saved_blocks_come_back(void **state)
{
	struct reply_block *in = make(7, 4), *out;
	struct error err = {0};
	size_t n;

	(void)state;
	save(in, 7);
	assert_int_equal(blocks_load(name, &out, &n, &err), 0);
	assert_int_equal(n, 7);
	for (size_t i = 0; i < n; i++)
		assert_equal(&in[i], &out[i]);
	blocks_free(in, 7);
	blocks_free(out, n);
}

static void the_file_is_the_owners_alone_and_kept_without_force(void **state)
{
	struct reply_block *in = make(1, 1);
	struct error err = {0};
	struct stat st;

	(void)state;
	save(in, 1);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(blocks_save(name, in, 1, 0, &err), -EEXIST);
	blocks_free(in, 1);
}

static void lengths_that_no_block_has_are_refused(void **state)
{
	static const struct {
		uint16_t version;
		size_t len;
	} good[] = {{258, 572}, {258, 956}, {258, 1340}, {259, 396}, {259, 460}, {260, 396}};

	(void)state;
	for (uint16_t v = 256; v < 263; v++)
		for (size_t len = 0; len < 2000; len++) {
			int known = 0;

			for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
				known |= good[i].version == v && good[i].len == len;
			/* the table names the ends and one between; the others follow the step */
			if (v == 258 && len >= 572 && len <= 1340 && (len - 380) % 192 == 0)
				known = 1;
			if (v == 259 && len >= 396 && len <= 460 && (len - 380) % 16 == 0)
				known = 1;
			assert_int_equal(blocks_check(v, len, 1024), known ? 0 : -EINVAL);
		}
	assert_int_equal(blocks_check(260, 396, 88), -EINVAL);
	assert_int_equal(blocks_check(260, 396, 89), 0);
	assert_int_equal(blocks_check(260, 396, SPHINX_PAYLOAD_MAX + 1), -EINVAL);
}

static void a_damaged_line_is_named(void **state)
{
	static const char *const bad[] = {"block", "block 260", "block 260 1024", "block 260 1024 ",
		"block 260 1024 00112233445566778899aabbccddeeff",
		"block 260 1024 00112233445566778899aabbccddeeff ",
		"block 260 1024 00112233445566778899aabbccddeeff 00ff",
		"block 260 1024 00112233445566778899aabbccddeefg 00ff", "block x y", "blocks 260",
		"garbage", " block 260"};
	struct reply_block *one = make(3, 3), *out;
	struct error err = {0};
	uint8_t *text;
	size_t len, n;

	(void)state;
	save(one, 3);
	assert_int_equal(file_read(name, 1 << 20, &text, &len, &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *all = malloc(len + 200);
		int m = snprintf(all, len + 200, "%s%s\n", (char *)text, bad[i]);

		assert_int_equal(file_write(name, 0600, all, (size_t)m, FILE_FORCE, &err), 0);
		assert_int_equal(blocks_load(name, &out, &n, &err), -EINVAL);
		assert_non_null(strstr(err.msg, ":5: not a reply block"));
		free(all);
	}
	free(text);
	blocks_free(one, 3);
}

static void random_text_is_never_a_block(void **state)
{
	struct error err = {0};
	uint8_t text[3000];

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct reply_block *out;
		size_t n, len = randombytes_uniform(sizeof(text)) + 20;

		if (len > sizeof(text))
			len = sizeof(text);
		for (size_t k = 0; k < len; k++)
			text[k] = (uint8_t) "block 0123456789abcdef\n#"[randombytes_uniform(24)];
		memcpy(text, "block 260 1024 ", 15);
		assert_int_equal(file_write(name, 0600, text, len, FILE_FORCE, &err), 0);
		assert_int_equal(blocks_load(name, &out, &n, &err), -EINVAL);
	}
}

static int choose_two(
	void *context, const struct reply_block *blocks, size_t count, struct error *err)
{
	(void)blocks;
	(void)err;
	*(size_t *)context = count;
	return count < 2 ? (int)count : 2;
}

static int choose_none(
	void *context, const struct reply_block *blocks, size_t count, struct error *err)
{
	(void)context;
	(void)blocks;
	(void)count;
	return error_set(err, EFBIG, "too long");
}

static void taken_blocks_leave_the_file_in_order(void **state)
{
	struct reply_block *in = make(5, 3), *taken, *left;
	struct error err = {0};
	size_t n, seen;

	(void)state;
	save(in, 5);
	assert_int_equal(blocks_take(name, choose_two, &seen, &taken, &n, &err), 0);
	assert_int_equal(seen, 3);
	assert_int_equal(n, 2);
	assert_equal(&taken[0], &in[0]);
	assert_equal(&taken[1], &in[1]);
	blocks_free(taken, n);
	assert_int_equal(blocks_load(name, &left, &n, &err), 0);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_equal(&left[i], &in[i + 2]);
	blocks_free(left, n);
	/* the last one of the first message, then those of the second */
	assert_int_equal(blocks_take(name, choose_two, &seen, &taken, &n, &err), 0);
	assert_int_equal(n, 1);
	blocks_free(taken, n);
	assert_int_equal(blocks_take(name, choose_two, &seen, &taken, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_equal(&taken[0], &in[3]);
	blocks_free(taken, n);
	assert_int_equal(blocks_take(name, choose_two, &seen, &taken, &n, &err), -ENODATA);
	blocks_free(in, 5);
}

static void a_refused_choice_leaves_the_file_as_it_is(void **state)
{
	struct reply_block *in = make(5, 3), *out;
	struct error err = {0};
	size_t n;

	(void)state;
	save(in, 5);
	assert_int_equal(blocks_take(name, choose_none, NULL, &out, &n, &err), -EFBIG);
	assert_int_equal(blocks_load(name, &out, &n, &err), 0);
	assert_int_equal(n, 5);
	blocks_free(out, n);
	blocks_free(in, 5);
}

/* Four programs take blocks from one file as fast as they can: each block is taken once. */
static void no_block_is_taken_twice(void **state)
{
	enum { BLOCKS = 80, TAKERS = 4 };
	struct reply_block *in = make(BLOCKS, BLOCKS);
	uint8_t first[BLOCKS] = {0};
	int pipes[2];
	size_t got = 0;

	(void)state;
	for (int i = 0; i < BLOCKS; i++)
		in[i].data[0] = (uint8_t)i;
	save(in, BLOCKS);
	assert_int_equal(pipe(pipes), 0);
	for (int t = 0; t < TAKERS; t++)
		if (fork() == 0) {
			struct reply_block *taken;
			struct error err;
			size_t n, seen;

			while (blocks_take(name, choose_two, &seen, &taken, &n, &err) == 0) {
				for (size_t i = 0; i < n; i++)
					if (write(pipes[1], taken[i].data, 1) != 1)
						_exit(1);
				blocks_free(taken, n);
			}
			_exit(0);
		}
	close(pipes[1]);
	for (uint8_t b; read(pipes[0], &b, 1) == 1; got++) {
		assert_true(b < BLOCKS);
		assert_int_equal(first[b]++, 0);
	}
	close(pipes[0]);
	assert_int_equal(got, BLOCKS);
	for (int t = 0; t < TAKERS; t++)
		wait(NULL);
	blocks_free(in, BLOCKS);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(name, sizeof(name), "%s/blocks", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(name);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved_blocks_come_back),
		cmocka_unit_test(the_file_is_the_owners_alone_and_kept_without_force),
		cmocka_unit_test(lengths_that_no_block_has_are_refused),
		cmocka_unit_test(a_damaged_line_is_named),
		cmocka_unit_test(random_text_is_never_a_block),
		cmocka_unit_test(taken_blocks_leave_the_file_in_order),
		cmocka_unit_test(a_refused_choice_leaves_the_file_as_it_is),
		cmocka_unit_test(no_block_is_taken_twice),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
