/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_PROGRAM_H
#define BETANET_TESTS_PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/file.h"

/* Programs that run beside a test, and files in a folder of the test's own. */
enum { PATIENCE_S = 60 };

static char program[4096];                         /* what is run */
static char folder[] = "/tmp/betanet-test.XXXXXX"; /* mkdtemp'd by the test's set-up */

struct child {
	pid_t pid;
	char out[64], err[64];
};

static const char *path(const char *name)
{
	static char text[8][96];
	static unsigned next;
	char *p = text[next++ % 8];

	snprintf(p, sizeof(text[0]), "%s/%s", folder, name);
	return p;
}

static void redirect(const char *name, int flags, int to)
{
	int fd = open(name, flags, 0600);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(99);
}

/* Arguments are given as one line, cut at blanks. */
__attribute__((format(printf, 3, 4))) static struct child start(
	const char *tag, const char *input, const char *fmt, ...)
{
	static char line[4096];
	struct child c;
	char *argv[64] = {program};
	int n = 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *p = strtok(line, " "); p && n < 63; p = strtok(NULL, " "))
		argv[n++] = p;
	snprintf(c.out, sizeof(c.out), "%s/%s.out", folder, tag);
	snprintf(c.err, sizeof(c.err), "%s/%s.err", folder, tag);
	unlink(c.out);
	unlink(c.err);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		redirect(input ? input : "/dev/null", O_RDONLY, STDIN_FILENO);
		redirect(c.out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
		redirect(c.err, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
		execv(program, argv);
		_exit(98);
	}
	return c;
}

static char *text_of(const char *name)
{
	static uint8_t *data;
	struct error err;
	size_t len;

	free(data);
	data = NULL;
	return file_read(name, 1 << 20, &data, &len, &err) < 0 ? NULL : (char *)data;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The exit status; a program that hangs is killed and fails the test. */
static int end(struct child *c)
{
	for (int i = 0; i < PATIENCE_S * 100; i++) {
		int status;

		if (waitpid(c->pid, &status, WNOHANG) == c->pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		pause_ms(10);
	}
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	print_error("hung; its messages: %s\n", text_of(c->err));
	return 97;
}

static void assert_status(struct child *c, int wanted)
{
	int status = end(c);

	if (status != wanted)
		print_error("status %d, messages: %s\n", status, text_of(c->err));
	assert_int_equal(status, wanted);
}

static void assert_says(const char *file, const char *words)
{
	char *text = text_of(file);

	assert_non_null(text);
	if (!strstr(text, words))
		print_error("\"%s\" is not in: %s\n", words, text);
	assert_non_null(strstr(text, words));
}

static inline void wait_for(const char *file, const char *words)
{
	for (int i = 0; i < PATIENCE_S * 100; i++) {
		char *text = text_of(file);

		if (text && strstr(text, words))
			return;
		pause_ms(10);
	}
	fail_msg("%s: \"%s\" did not appear", file, words);
}

static inline void make_file(const char *name, size_t len)
{
	uint8_t *data = malloc(len + 1);
	struct error err = {0};

	randombytes_buf(data, len + 1);
	if (file_write(name, 0600, data, len, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
	free(data);
}

static inline void assert_same(const char *a, const char *b)
{
	uint8_t *x = NULL, *y = NULL;
	size_t n = 0, m = 0;
	struct error err = {0};

	assert_int_equal(file_read(a, 1 << 24, &x, &n, &err), 0);
	if (file_read(b, 1 << 24, &y, &m, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
	free(x);
	free(y);
}

#endif
