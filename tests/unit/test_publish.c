/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "vrf/publish.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/publish.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char text[8][PUBLISH_PATH_MAX];
	static unsigned next;
	char *p = text[next++ % 8];

	snprintf(p, sizeof(text[0]), "%s/%s", dir, name);
	return p;
}

static void put(enum publish_kind kind, uint64_t epoch, const char *text)
{
	struct error err = {0};

	if (publish_write(dir, "mix1", kind, epoch, text, strlen(text), &err) < 0)
		fail_msg("%s", err.msg);
}

static void make_file(const char *name, const void *data, size_t len)
{
	struct error err = {0};

	if (file_write(in_dir(name), 0600, data, len, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool exists(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

static unsigned entries(const char *name)
{
	DIR *d = opendir(in_dir(name));
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* . and .. */
}

static void assert_reads(enum publish_kind kind, uint64_t epoch, const char *text)
{
	uint8_t record[RECORD_MAX_SIZE];
	struct error err = {0};
	size_t len;

	if (publish_read(dir, "mix1", kind, epoch, record, &len, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(record, text, len);
}

static int reads(const char *node, uint64_t epoch)
{
	uint8_t record[RECORD_MAX_SIZE];
	struct error err = {0};
	size_t len = 99;
	int r = publish_read(dir, node, PUBLISH_NEIGHBOURS, epoch, record, &len, &err);

	if (r < 0) {
		assert_int_equal(len, 0);
		assert_true(err.msg[0] != '\0');
	}
	return r;
}

/* ---- facts */

static void a_record_is_found_by_its_documented_path(void **state)
{
	(void)state;
	put(PUBLISH_NEIGHBOURS, 494000, "neighbours");
	put(PUBLISH_EPOCH, 178000000, "epoch");
	put(PUBLISH_EPOCH, UINT64_MAX, "last");
	put(PUBLISH_EPOCH, 0, "first");
	assert_true(exists("mix1/494000.neighbours"));
	assert_true(exists("mix1/178000000.epoch"));
	assert_true(exists("mix1/18446744073709551615.epoch"));
	assert_true(exists("mix1/0.epoch"));
	assert_int_equal(entries("mix1"), 4); /* nothing temporary is left */
	assert_reads(PUBLISH_NEIGHBOURS, 494000, "neighbours");
	assert_reads(PUBLISH_EPOCH, UINT64_MAX, "last");
	assert_int_equal(reads("mix1", 178000000), -ENOENT); /* of the other kind */
	assert_int_equal(reads("mix2", 494000), -ENOENT);
}

static void a_web_server_may_read_whatever_the_umask(void **state)
{
	mode_t before = umask(077);
	struct stat st;

	(void)state;
	put(PUBLISH_NEIGHBOURS, 1, "x");
	umask(before);
	assert_int_equal(stat(in_dir("mix1"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(in_dir("mix1/1.neighbours"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void a_second_record_takes_the_place_of_the_first(void **state)
{
	(void)state;
	put(PUBLISH_NEIGHBOURS, 7, "old and longer");
	put(PUBLISH_NEIGHBOURS, 7, "new");
	assert_reads(PUBLISH_NEIGHBOURS, 7, "new");
	assert_int_equal(entries("mix1"), 1);
}

static void a_name_cannot_lead_out_of_the_folder(void **state)
{
	static const char *const names[] = {"", ".", "..", "../x", "a/b", "/etc", "a b",
		"m\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};
	uint64_t *epochs;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct error err = {0};

		assert_int_equal(reads(names[i], 1), -EINVAL);
		assert_int_equal(
			publish_write(dir, names[i], PUBLISH_EPOCH, 1, "x", 1, &err), -EINVAL);
		assert_int_equal(
			publish_prune(dir, names[i], PUBLISH_EPOCH, 1, NULL, &err), -EINVAL);
		assert_int_equal(
			publish_list(dir, names[i], PUBLISH_EPOCH, &epochs, &count, &err), -EINVAL);
	}
	assert_int_equal(entries("."), 0);
	assert_int_equal(publish_write(dir, "...", PUBLISH_EPOCH, 1, "x", 1, NULL), 0);
	assert_true(exists(".../1.epoch"));
}

static void limits_are_kept_in_writing_and_reading(void **state)
{
	char much[RECORD_MAX_SIZE + 2], deep[PUBLISH_PATH_MAX + 8], out[PUBLISH_PATH_MAX];
	struct error err = {0};

	(void)state;
	memset(much, 'x', sizeof(much));
	much[RECORD_MAX_SIZE] = '\0';
	put(PUBLISH_NEIGHBOURS, 1, much);
	assert_reads(PUBLISH_NEIGHBOURS, 1, much);
	assert_int_equal(
		publish_write(dir, "mix1", PUBLISH_EPOCH, 1, much, RECORD_MAX_SIZE + 1, &err),
		-EINVAL);
	assert_int_equal(publish_write(dir, "mix1", PUBLISH_EPOCH, 1, much, 0, &err), -EINVAL);
	make_file("mix1/2.neighbours", much, RECORD_MAX_SIZE + 1);
	assert_int_equal(reads("mix1", 2), -EFBIG);
	memset(deep, 'd', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(
		publish_write(deep, "mix1", PUBLISH_EPOCH, 1, "x", 1, &err), -ENAMETOOLONG);
	deep[PUBLISH_PATH_MAX - 8] = '\0'; /* room for the folder, not for the file */
	assert_int_equal(publish_path(out, deep, "m", PUBLISH_EPOCH, 1, &err), -ENAMETOOLONG);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	(void)state;
	put(PUBLISH_NEIGHBOURS, 1, "x");
	assert_int_equal(mkfifo(in_dir("mix1/2.neighbours"), 0600), 0);
	assert_int_equal(mkdir(in_dir("mix1/3.neighbours"), 0700), 0);
	assert_int_equal(reads("mix1", 2), -EINVAL);
	assert_int_equal(reads("mix1", 3), -EINVAL);
}

static void a_missing_folder_is_not_made_but_a_nodes_is(void **state)
{
	struct error err = {0};
	uint64_t *epochs;
	size_t count;

	(void)state;
	assert_int_equal(
		publish_write(in_dir("no"), "mix1", PUBLISH_EPOCH, 1, "x", 1, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/no/mix1"));
	assert_false(exists("no"));
	assert_int_equal(publish_list(dir, "mix1", PUBLISH_EPOCH, &epochs, &count, &err), -ENOENT);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 1, NULL, &err), 0);
	put(PUBLISH_EPOCH, 1, "x");
	assert_true(exists("mix1"));
}

static void others_names_are_neither_listed_nor_removed(void **state)
{
	static const char *const others[] = {"mix1/007.epoch", "mix1/.epoch", "mix1/7.epochs",
		"mix1/+7.epoch", "mix1/7", "mix1/18446744073709551616.epoch", "mix1/7.epoch.bak",
		"mix1/7.epoch.toolong", "mix1/index.html", "mix1/7.neighbours"};
	unsigned removed;
	struct error err;
	uint64_t *epochs;
	size_t count;

	(void)state;
	put(PUBLISH_EPOCH, 100, "x");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		make_file(others[i], "y", 1);
	assert_int_equal(publish_list(dir, "mix1", PUBLISH_EPOCH, &epochs, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_true(epochs[0] == 100);
	free(epochs);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 1, &removed, &err), 0);
	assert_int_equal(removed, 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_true(exists(others[i]));
}

static void the_highest_epochs_are_kept(void **state)
{
	static const uint64_t written[] = {99, 9, 1000, 10, 101, 100};
	static const uint64_t rising[] = {9, 10, 99, 100, 101, 1000};
	unsigned removed = 99;
	struct error err;
	uint64_t *epochs;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		put(PUBLISH_EPOCH, written[i], "x");
		put(PUBLISH_NEIGHBOURS, written[i], "y");
	}
	assert_int_equal(publish_list(dir, "mix1", PUBLISH_EPOCH, &epochs, &count, &err), 0);
	assert_int_equal(count, 6);
	assert_memory_equal(epochs, rising, sizeof(rising));
	free(epochs);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 0, &removed, &err), -EINVAL);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 6, &removed, &err), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 2, &removed, &err), 0);
	assert_int_equal(removed, 4);
	assert_int_equal(publish_list(dir, "mix1", PUBLISH_EPOCH, &epochs, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_memory_equal(epochs, rising + 4, 2 * sizeof(*epochs));
	free(epochs);
	assert_int_equal(publish_list(dir, "mix1", PUBLISH_NEIGHBOURS, &epochs, &count, &err), 0);
	assert_int_equal(count, 6);
	free(epochs);
}

static void many_epochs_are_listed_whole(void **state)
{
	struct error err;
	uint64_t *epochs;
	unsigned removed;
	size_t count;

	(void)state;
	put(PUBLISH_EPOCH, 0, "x");
	for (unsigned i = 1; i < 500; i++) {
		char name[64];

		snprintf(name, sizeof(name), "mix1/%u.epoch", i * 7919);
		assert_int_equal(link(in_dir("mix1/0.epoch"), in_dir(name)), 0);
	}
	assert_int_equal(publish_list(dir, "mix1", PUBLISH_EPOCH, &epochs, &count, &err), 0);
	assert_int_equal(count, 500);
	for (unsigned i = 0; i < 500; i++)
		assert_true(epochs[i] == i * 7919);
	free(epochs);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 8, &removed, &err), 0);
	assert_int_equal(removed, 492);
	assert_int_equal(entries("mix1"), 8);
}

static void what_a_crash_left_is_swept(void **state)
{
	unsigned removed;
	struct error err;

	(void)state;
	put(PUBLISH_EPOCH, 100, "x");
	make_file("mix1/99.epoch.a1B2c3", "half", 4);
	make_file("mix1/101.epoch.ZZZZZZ", "half", 4);
	make_file("mix1/101.neighbours.ZZZZZZ", "half", 4);
	assert_int_equal(publish_prune(dir, "mix1", PUBLISH_EPOCH, 4, &removed, &err), 0);
	assert_int_equal(removed, 2);
	assert_true(exists("mix1/100.epoch"));
	assert_true(exists("mix1/101.neighbours.ZZZZZZ"));
	assert_int_equal(entries("mix1"), 2);
}

int main(void)
{
#define in_a_folder(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		in_a_folder(a_record_is_found_by_its_documented_path),
		in_a_folder(a_web_server_may_read_whatever_the_umask),
		in_a_folder(a_second_record_takes_the_place_of_the_first),
		in_a_folder(a_name_cannot_lead_out_of_the_folder),
		in_a_folder(limits_are_kept_in_writing_and_reading),
		in_a_folder(what_is_no_file_is_refused_without_waiting),
		in_a_folder(a_missing_folder_is_not_made_but_a_nodes_is),
		in_a_folder(others_names_are_neither_listed_nor_removed),
		in_a_folder(the_highest_epochs_are_kept),
		in_a_folder(many_epochs_are_listed_whole),
		in_a_folder(what_a_crash_left_is_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
