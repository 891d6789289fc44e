/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_CLIENT_LAB_H
#define BETANET_TESTS_CLIENT_LAB_H

#include <libgen.h>
#include <netinet/in.h>
#include "program.h"
#include "softmix.h"

/* The program betanet-client itself, against a mixnet of threads on the loopback (softmix.h). */

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

/* ---- another network for a while ---- */

static inline int other_network(const char *ip, size_t payload, struct softmix **before)
{
	struct error err = {0};
	struct softmix *m = softmix_start(ip, payload, &err);

	*before = mix;
	if (!m && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT))
		return 0;
	if (!m)
		fail_msg("%s", err.msg);
	mix = m;
	hex_encode(authority, mix->authority, 32);
	return 1;
}

static inline void restore_network(struct softmix *before)
{
	softmix_stop(mix);
	mix = before;
	hex_encode(authority, mix->authority, 32);
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

/* The client stands beside the folder of the tests. */
static int run_lab(const struct CMUnitTest *tests, size_t count, const char *argv0)
{
	char self[4000];

	snprintf(self, sizeof(self), "%s", argv0);
	snprintf(program, sizeof(program), "%s/../betanet-client", dirname(self));
	if (sodium_init() < 0)
		return 1;
	return _cmocka_run_group_tests("client", tests, count, set_up, tear_down);
}

#endif
