/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/file.h"
#include "core/secmem.h"
#include "replay/replay.h"

/* The file's header, as replay.c lays it out. */
enum {
	AT_VERSION = 8,
	AT_CLEAN = 12,
	AT_COUNT = 32,
	AT_KEY_ID = 40,
	AT_BOOT_ID = 88,
	AT_CHECKSUM = 128,
	AT_SLOTS = 4096,
	CAPACITY = 1024,
};

static char folder[] = "/tmp/test_replay.XXXXXX";
static char path[64];
static const uint8_t key_a[32] = {1}, key_b[32] = {2};

static int make_folder(void **state)
{
	(void)state;
	if (secmem_init(NULL) < 0 || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/table", folder);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder); /* fails when a temporary file was left behind */
}

static struct replay *open_table(uint64_t capacity, const char *file, const uint8_t *key)
{
	struct replay_params p = {capacity, file, key};
	struct replay *r = NULL;
	struct error err = {""};

	if (replay_open(&p, &r, &err) != 0)
		fail_msg("replay_open: %s", err.msg);
	return r;
}

static void assert_refused(const struct replay_params *p, int code, const char *word)
{
	struct replay *r = NULL;
	struct error err = {""};

	assert_int_equal(replay_open(p, &r, &err), code);
	assert_null(r);
	if (!strstr(err.msg, word))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, word);
	assert_int_equal(replay_open(p, &r, NULL), code);
}

static enum replay_result see(struct replay *r, uint64_t number)
{
	uint8_t tag[32] = {0};

	memcpy(tag, &number, sizeof(number));
	return replay_check_and_set(r, replay_fingerprint(r, tag));
}

static void patch(off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

/* As an attacker without the checksum's help could not, but a crash at a bad moment might. */
static void patch_and_reseal(off_t at, const void *bytes, size_t n)
{
	uint8_t header[AT_CHECKSUM], sum[32];
	int fd;

	patch(at, bytes, n);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, header, sizeof(header), 0), sizeof(header));
	crypto_generichash(sum, sizeof(sum), header, sizeof(header), NULL, 0);
	assert_int_equal(pwrite(fd, sum, sizeof(sum), AT_CHECKSUM), sizeof(sum));
	close(fd);
}

struct whole_file {
	uint8_t *data;
	size_t len;
};

static struct whole_file read_whole(void)
{
	struct whole_file f;

	assert_int_equal(file_read(path, 1 << 24, &f.data, &f.len, NULL), 0);
	return f;
}

/* Also frees the copy. */
static void assert_unchanged(struct whole_file *before)
{
	struct whole_file now = read_whole();

	assert_int_equal(now.len, before->len);
	assert_memory_equal(now.data, before->data, now.len);
	free(now.data);
	free(before->data);
}

/* A closed file with the tags 0..n-1 of key_a. */
static void make_closed_file(uint64_t n)
{
	struct replay *r = open_table(CAPACITY, path, key_a);

	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(see(r, i), REPLAY_NEW);
	replay_close(r);
}

/* A process that stops without closing the table. */
static void crash_with_tags(uint64_t from, uint64_t to)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct replay_params p = {CAPACITY, path, key_a};
		struct replay *r = NULL;

		if (replay_open(&p, &r, NULL) < 0)
			_exit(1);
		for (uint64_t i = from; i < to; i++)
			if (see(r, i) != REPLAY_NEW)
				_exit(2);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* --- the table --- */

static void test_the_second_time_is_seen(void **state)
{
	struct replay *r = open_table(100000, NULL, NULL);

	(void)state;
	for (uint64_t i = 0; i < 100000; i++)
		assert_int_equal(see(r, i), REPLAY_NEW);
	assert_int_equal(replay_count(r), 100000);
	for (uint64_t i = 0; i < 100000; i++)
		assert_int_equal(see(r, i), REPLAY_SEEN);
	assert_int_equal(replay_count(r), 100000);
	replay_close(r);
}

static void test_full_fails_closed_and_remembers(void **state)
{
	struct replay *r = open_table(CAPACITY, NULL, NULL);

	(void)state;
	assert_int_equal(replay_capacity(r), CAPACITY);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_int_equal(see(r, i), REPLAY_NEW);
	for (uint64_t i = CAPACITY; i < 3 * CAPACITY; i++)
		assert_int_equal(see(r, i), REPLAY_FULL);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_int_equal(see(r, i), REPLAY_SEEN);
	assert_int_equal(replay_count(r), CAPACITY);
	replay_close(r);
}

static void test_fingerprints_at_the_ends_of_the_table_wrap(void **state)
{
	struct replay *r = open_table(CAPACITY, NULL, NULL);

	(void)state;
	/* all of them at home in the last slot: the probe must go on at the first */
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_int_equal(replay_check_and_set(r, UINT64_MAX - i), REPLAY_NEW);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_int_equal(replay_check_and_set(r, UINT64_MAX - i), REPLAY_SEEN);
	assert_int_equal(replay_check_and_set(r, 1), REPLAY_FULL);
	replay_close(r);
}

static void test_fingerprints_are_keyed_and_never_zero(void **state)
{
	struct replay *a = open_table(CAPACITY, NULL, NULL), *b = open_table(CAPACITY, NULL, NULL);
	unsigned equal = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t tag[32] = {(uint8_t)i, (uint8_t)(i >> 8)};
		uint64_t fa = replay_fingerprint(a, tag);

		assert_true(fa != 0);
		assert_int_equal(fa, replay_fingerprint(a, tag));
		equal += fa == replay_fingerprint(b, tag);
		tag[31] ^= 0x80;
		assert_true(fa != replay_fingerprint(a, tag));
		replay_prefetch(a, fa);
	}
	assert_int_equal(equal, 0);
	replay_close(a);
	replay_close(b);
}

enum { THREADS = 4, SHARED_TAGS = 50000 };

struct racer {
	struct replay *r;
	_Atomic unsigned *accepted; /* per tag, by all threads */
	unsigned full;
	uint64_t tags;
	pthread_t thread;
};

static void *race(void *arg)
{
	struct racer *me = arg;

	for (uint64_t i = 0; i < me->tags; i++) {
		enum replay_result x = see(me->r, i);

		if (x == REPLAY_NEW)
			atomic_fetch_add(&me->accepted[i], 1);
		me->full += x == REPLAY_FULL;
	}
	return NULL;
}

static void run_race(struct racer *racers, struct replay *r, uint64_t tags)
{
	_Atomic unsigned *accepted = calloc(tags, sizeof(*accepted));

	assert_non_null(accepted);
	for (int t = 0; t < THREADS; t++) {
		racers[t] = (struct racer){.r = r, .accepted = accepted, .tags = tags};
		assert_int_equal(pthread_create(&racers[t].thread, NULL, race, &racers[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_join(racers[t].thread, NULL), 0);
}

static void test_threads_accept_each_tag_exactly_once(void **state)
{
	/* more room than needed: a thread may hold a place for a tag that another one gets */
	struct replay *r = open_table(SHARED_TAGS + THREADS, NULL, NULL);
	struct racer racers[THREADS];

	(void)state;
	run_race(racers, r, SHARED_TAGS);
	for (unsigned i = 0; i < SHARED_TAGS; i++)
		assert_int_equal(racers[0].accepted[i], 1);
	assert_int_equal(replay_count(r), SHARED_TAGS);
	free(racers[0].accepted);
	replay_close(r);
}

static void test_threads_never_exceed_the_capacity(void **state)
{
	struct replay *r = open_table(20000, NULL, NULL);
	struct racer racers[THREADS];
	unsigned accepted = 0;

	(void)state;
	run_race(racers, r, SHARED_TAGS);
	for (unsigned i = 0; i < SHARED_TAGS; i++) {
		assert_in_range(racers[0].accepted[i], 0, 1);
		accepted += racers[0].accepted[i];
	}
	assert_int_equal(accepted, replay_count(r));
	assert_in_range(accepted, 20000 - THREADS, 20000);
	free(racers[0].accepted);
	replay_close(r);
}

static void test_capacity_bounds(void **state)
{
	struct replay_params p = {1023, NULL, NULL};

	(void)state;
	assert_refused(&p, -EINVAL, "1024");
	p.capacity = (UINT64_C(1) << 34) + 1;
	assert_refused(&p, -EINVAL, "2^34");
	p.capacity = 0;
	assert_refused(&p, -EINVAL, "1024");
	p.capacity = CAPACITY;
	p.path = path;
	assert_refused(&p, -EINVAL, "key");
	assert_int_equal(access(path, F_OK), -1);
	/* 12 bytes a tag, a header and less than a page of rounding */
	assert_in_range(replay_memory(3000000), 36000000, 36000000 + 2 * 4096);
	assert_true(replay_memory(UINT64_C(1) << 34) < (UINT64_C(12) << 34) + 3 * 4096);
}

/* --- the file --- */

static void test_a_restart_keeps_the_tags(void **state)
{
	struct replay *r;
	struct stat st;

	(void)state;
	make_closed_file(700);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, replay_memory(CAPACITY));
	assert_true(st.st_blocks * 512 >= st.st_size); /* no holes */
	for (unsigned round = 0; round < 3; round++) {
		r = open_table(CAPACITY, path, key_a);
		assert_int_equal(replay_count(r), 700 + round);
		for (uint64_t i = 0; i < 700 + round; i++)
			assert_int_equal(see(r, i), REPLAY_SEEN);
		assert_int_equal(see(r, 700 + round), REPLAY_NEW);
		replay_close(r);
	}
}

static void test_a_full_file_stays_full(void **state)
{
	struct replay *r;

	(void)state;
	make_closed_file(CAPACITY);
	r = open_table(CAPACITY, path, key_a);
	assert_int_equal(see(r, 5000), REPLAY_FULL);
	assert_int_equal(see(r, 0), REPLAY_SEEN);
	replay_close(r);
}

static void test_a_crashed_process_loses_nothing(void **state)
{
	struct replay *r;

	(void)state;
	make_closed_file(100);
	crash_with_tags(100, 400);
	crash_with_tags(400, 500);
	r = open_table(CAPACITY, path, key_a);
	assert_int_equal(replay_count(r), 500);
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(see(r, i), REPLAY_SEEN);
	replay_close(r);
}

static void test_a_crashed_machine_s_file_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_a};
	struct whole_file before;

	(void)state;
	make_closed_file(100);
	crash_with_tags(100, 200);
	patch_and_reseal(AT_BOOT_ID, "00000000-0000-0000-0000-000000000000", 36);
	before = read_whole();
	assert_refused(&p, -ESTALE, "new Sphinx key");
	assert_unchanged(&before);
}

static void test_a_file_closed_before_the_restart_is_kept(void **state)
{
	struct replay *r;

	(void)state;
	make_closed_file(100);
	patch_and_reseal(AT_BOOT_ID, "00000000-0000-0000-0000-000000000000", 36);
	r = open_table(CAPACITY, path, key_a);
	assert_int_equal(see(r, 99), REPLAY_SEEN);
	replay_close(r);
}

static void test_another_key_s_file_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_b};
	struct whole_file before;

	(void)state;
	make_closed_file(10);
	before = read_whole();
	assert_refused(&p, -EINVAL, "another Sphinx key");
	assert_unchanged(&before);
}

static void test_another_capacity_is_refused(void **state)
{
	struct replay_params p = {2 * CAPACITY, path, key_a};
	struct whole_file before;

	(void)state;
	make_closed_file(10);
	before = read_whole();
	assert_refused(&p, -EINVAL, "replay.capacity");
	p.capacity = CAPACITY + 1; /* fills the same number of pages */
	assert_int_equal(replay_memory(CAPACITY + 1), replay_memory(CAPACITY));
	assert_refused(&p, -EINVAL, "replay.capacity");
	assert_unchanged(&before);
}

static void test_a_second_opener_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_a};
	struct replay *r = open_table(CAPACITY, path, key_a);

	(void)state;
	assert_int_equal(see(r, 1), REPLAY_NEW);
	assert_refused(&p, -EBUSY, "open");
	assert_int_equal(see(r, 1), REPLAY_SEEN);
	assert_int_equal(see(r, 2), REPLAY_NEW);
	replay_close(r);
	r = open_table(CAPACITY, path, key_a);
	assert_int_equal(see(r, 2), REPLAY_SEEN);
	replay_close(r);
}

static void test_a_truncated_file_is_refused(void **state)
{
	static const off_t lengths[] = {0, 1, 200, 4096, 8192};
	struct replay_params p = {CAPACITY, path, key_a};

	(void)state;
	make_closed_file(10);
	for (size_t i = sizeof(lengths) / sizeof(*lengths); i-- > 0;) {
		struct whole_file before;

		assert_int_equal(truncate(path, lengths[i]), 0);
		before = read_whole();
		assert_refused(&p, -EINVAL, "truncated");
		assert_unchanged(&before);
	}
}

static void test_a_damaged_header_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_a};

	(void)state;
	make_closed_file(10);
	for (off_t at = 0; at < AT_CHECKSUM + 32; at++) {
		struct whole_file before = read_whole();
		uint8_t flipped = before.data[at] ^ 4;

		patch(at, &flipped, 1);
		free(before.data);
		before = read_whole();
		assert_refused(&p, -EINVAL, path);
		assert_unchanged(&before);
		flipped ^= 4;
		patch(at, &flipped, 1);
	}
	replay_close(open_table(CAPACITY, path, key_a)); /* repaired: it was the flips */
}

static void test_another_version_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_a};
	const uint32_t two = 2;

	(void)state;
	make_closed_file(10);
	patch_and_reseal(AT_VERSION, &two, sizeof(two));
	assert_refused(&p, -EINVAL, "version 2");
}

static void test_damaged_content_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_a};
	uint8_t *zeros = calloc(1, 4096), *noise = malloc(4096);
	struct whole_file good, before;
	uint64_t wrong;

	(void)state;
	assert_non_null(zeros);
	assert_non_null(noise);
	make_closed_file(900);
	good = read_whole();
	/* a lost block, one of noise, and a wrong count */
	patch(AT_SLOTS, zeros, 4096);
	before = read_whole();
	assert_refused(&p, -EINVAL, "damaged");
	assert_unchanged(&before);
	randombytes_buf(noise, 4096);
	patch(AT_SLOTS, noise, 4096);
	assert_refused(&p, -EINVAL, "damaged");
	memset(noise, 0xa5, 4096);
	for (size_t at = AT_SLOTS; at + 4096 <= good.len; at += 4096)
		patch((off_t)at, noise, 4096); /* no slot is empty: a look-up would never end */
	assert_refused(&p, -EINVAL, "damaged");
	patch(AT_SLOTS, good.data + AT_SLOTS, good.len - AT_SLOTS);
	wrong = 899;
	patch_and_reseal(AT_COUNT, &wrong, sizeof(wrong));
	assert_refused(&p, -EINVAL, "damaged");
	wrong = 900;
	patch_and_reseal(AT_COUNT, &wrong, sizeof(wrong));
	replay_close(open_table(CAPACITY, path, key_a));
	free(good.data);
	free(zeros);
	free(noise);
}

static void test_a_file_that_others_can_read_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, path, key_a};

	(void)state;
	make_closed_file(10);
	assert_int_equal(chmod(path, 0640), 0);
	assert_refused(&p, -EPERM, "chmod 600");
	assert_int_equal(chmod(path, 0600), 0);
	replay_close(open_table(CAPACITY, path, key_a));
}

static void test_what_is_no_file_is_refused(void **state)
{
	struct replay_params p = {CAPACITY, "/nowhere/at/all/table", key_a};

	(void)state;
	assert_refused(&p, -ENOENT, "/nowhere/at/all/table");
	p.path = folder;
	assert_refused(&p, -EISDIR, folder);
}

static void test_a_disk_without_room_is_an_error_and_leaves_nothing(void **state)
{
	struct replay_params p = {1000000, path, key_a};
	struct rlimit was, small;

	(void)state;
	/* the limit of a file's size stands for a full disk */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_refused(&p, -EFBIG, "replay.capacity");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define FILE_TEST(f) cmocka_unit_test_teardown(f, remove_file)
		cmocka_unit_test(test_the_second_time_is_seen),
		cmocka_unit_test(test_full_fails_closed_and_remembers),
		cmocka_unit_test(test_fingerprints_at_the_ends_of_the_table_wrap),
		cmocka_unit_test(test_fingerprints_are_keyed_and_never_zero),
		cmocka_unit_test(test_threads_accept_each_tag_exactly_once),
		cmocka_unit_test(test_threads_never_exceed_the_capacity),
		cmocka_unit_test(test_capacity_bounds),
		FILE_TEST(test_a_restart_keeps_the_tags),
		FILE_TEST(test_a_full_file_stays_full),
		FILE_TEST(test_a_crashed_process_loses_nothing),
		FILE_TEST(test_a_crashed_machine_s_file_is_refused),
		FILE_TEST(test_a_file_closed_before_the_restart_is_kept),
		FILE_TEST(test_another_key_s_file_is_refused),
		FILE_TEST(test_another_capacity_is_refused),
		FILE_TEST(test_a_second_opener_is_refused),
		FILE_TEST(test_a_truncated_file_is_refused),
		FILE_TEST(test_a_damaged_header_is_refused),
		FILE_TEST(test_another_version_is_refused),
		FILE_TEST(test_damaged_content_is_refused),
		FILE_TEST(test_a_file_that_others_can_read_is_refused),
		FILE_TEST(test_what_is_no_file_is_refused),
		FILE_TEST(test_a_disk_without_room_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
