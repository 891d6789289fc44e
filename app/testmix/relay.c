/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 10 };

void relay_init(struct relay *r, const char *name, const char *path)
{
	memset(r, 0, sizeof(*r));
	r->name = name;
	r->path = path;
	r->fd = -1;
}

void relay_close(struct relay *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static int socket_error(struct relay *r, const char *what, struct error *err)
{
	int code = errno ? errno : EIO;

	relay_close(r);
	return error_set(err, code, "relay %s: %s %s: %s", r->name, what, r->path, strerror(code));
}

/* One whole message, NUL-terminated. */
static int receive(struct relay *r, char text[ANSWER_MAX], struct error *err)
{
	ssize_t n = recv(r->fd, text, ANSWER_MAX - 1, 0);

	if (n == 0)
		errno = ECONNRESET;
	if (n <= 0)
		return socket_error(r, "no answer from", err);
	text[n] = 0;
	return 0;
}

/* The answer to `command`: the value of its one member. *root is the caller's to release. */
static int parse_answer(
	const char *text, const char *command, json_t **root, json_t **value, struct error *err)
{
	json_error_t why;

	*root = json_loads(text, 0, &why);
	if (!*root)
		return error_set(err, EPROTO, "the answer to %s is no JSON: %s", command, why.text);
	*value = json_object_get(*root, command);
	if (json_is_object(*value))
		return 0;
	json_decref(*root);
	*root = NULL;
	return error_set(
		err, EPROTO, "the answer to %s holds no object of that name: %.80s", command, text);
}

/* DPDK writes 64-bit numbers as numbers, later versions some of them as strings. */
static int number(const json_t *v, uint64_t *out)
{
	const char *text = json_string_value(v);
	char *end;

	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*out = (uint64_t)json_integer_value(v);
		return 0;
	}
	if (!text || *text < '0' || *text > '9')
		return -EPROTO;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno || *end ? -EPROTO : 0;
}

int relay_parse_state(const char *text, struct relay *r, struct error *err)
{
	json_t *root, *info;
	const char *state;
	int rc = parse_answer(text, "/mix/info", &root, &info, err);

	if (rc)
		return rc;
	state = json_string_value(json_object_get(info, "state"));
	if (state && strlen(state) < sizeof(r->state))
		strcpy(r->state, state);
	else
		rc = error_set(err, EPROTO, "the answer to /mix/info holds no \"state\"");
	json_decref(root);
	return rc;
}

int relay_parse_stats(const char *text, struct relay_sample *s, struct error *err)
{
	static const struct {
		const char *name;
		size_t offset;
	} members[] = {
#define X(name) {#name, offsetof(struct relay_sample, name)},
		RELAY_STATS(X)
#undef X
	};
	json_t *root, *stats;
	int rc = parse_answer(text, "/mix/stats", &root, &stats, err);

	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < sizeof(members) / sizeof(members[0]); i++) {
		uint64_t *at = (uint64_t *)(void *)((char *)s + members[i].offset);

		if (number(json_object_get(stats, members[i].name), at))
			rc = error_set(err, EPROTO,
				"the answer to /mix/stats holds no number \"%s\"", members[i].name);
	}
	json_decref(root);
	return rc;
}

static enum drop_reason reason_by_name(const char *name)
{
	for (enum drop_reason d = DROP_NONE + 1; d < DROP_COUNT; d++)
		if (strcmp(drop_name(d), name) == 0)
			return d;
	return DROP_NONE;
}

int relay_parse_drops(const char *text, struct relay_sample *s, struct error *err)
{
	json_t *root, *drops, *value;
	const char *name;
	int rc = parse_answer(text, "/mix/drops", &root, &drops, err);

	if (rc)
		return rc;
	memset(s->drops, 0, sizeof(s->drops));
	json_object_foreach(drops, name, value)
	{
		enum drop_reason d = reason_by_name(name);

		if (d == DROP_NONE || number(value, &s->drops[d])) {
			rc = error_set(err, EPROTO,
				"the answer to /mix/drops holds \"%s\", which is no known reason "
				"with a number",
				name);
			break;
		}
	}
	json_decref(root);
	return rc;
}

int relay_connect(struct relay *r, struct error *err)
{
	struct timeval limit = {RELAY_TIMEOUT_MS / 1000, RELAY_TIMEOUT_MS % 1000 * 1000};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char text[ANSWER_MAX];
	json_t *greeting;
	int rc, is_dpdk;

	if (r->fd >= 0)
		return 0;
	if (strlen(r->path) >= sizeof(to.sun_path))
		return error_set(err, ENAMETOOLONG,
			"relay %s: the socket's path has more than %zu bytes: %s", r->name,
			sizeof(to.sun_path) - 1, r->path);
	strcpy(to.sun_path, r->path);
	r->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (r->fd < 0 || setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
		setsockopt(r->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
		connect(r->fd, (struct sockaddr *)&to, sizeof(to)))
		return socket_error(r, "cannot connect to", err);
	rc = receive(r, text, err);
	if (rc)
		return rc;
	greeting = json_loads(text, 0, NULL);
	is_dpdk = json_is_integer(json_object_get(greeting, "max_output_len"));
	json_decref(greeting);
	if (is_dpdk)
		return 0;
	relay_close(r);
	return error_set(err, EPROTO, "relay %s: %s is no DPDK telemetry socket (version 2)",
		r->name, r->path);
}

static int query(struct relay *r, const char *command, char text[ANSWER_MAX], struct error *err)
{
	int rc = relay_connect(r, err);

	if (rc)
		return rc;
	if (send(r->fd, command, strlen(command), MSG_NOSIGNAL) < 0)
		return socket_error(r, "cannot ask", err);
	return receive(r, text, err);
}

/* Puts the relay's name before a message that was made without it. */
static int named(const struct relay *r, int rc, struct error *err)
{
	struct error inner;

	if (rc && err) {
		inner = *err;
		error_set(err, -rc, "relay %s: %.400s", r->name, inner.msg);
	}
	return rc;
}

int relay_read_state(struct relay *r, struct error *err)
{
	char text[ANSWER_MAX];
	int rc = query(r, "/mix/info", text, err);

	return rc ? rc : named(r, relay_parse_state(text, r, err), err);
}

int relay_read_sample(struct relay *r, struct relay_sample *s, struct error *err)
{
	char text[ANSWER_MAX];
	int rc = query(r, "/mix/stats", text, err);

	if (rc)
		return rc;
	rc = relay_parse_stats(text, s, err);
	if (rc)
		return named(r, rc, err);
	rc = query(r, "/mix/drops", text, err);
	return rc ? rc : named(r, relay_parse_drops(text, s, err), err);
}

double relay_mean_processing(const struct relay *r)
{
	/* the mean is over packets that left */
	double before = (double)(r->first.forwarded + r->first.delivered);
	double after = (double)(r->last.forwarded + r->last.delivered);

	if (after <= before)
		return 0;
	return ((double)r->last.mean_processing_ns * after -
		       (double)r->first.mean_processing_ns * before) /
	       (after - before);
}
