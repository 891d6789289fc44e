/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "core/bytes.h"
#include "core/file.h"
#include "cover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t client_stop;

/* 64 hex digits, or the name of a file that holds them. */
static int load_authority(const char *text, uint8_t key[32], struct error *err)
{
	uint8_t *data;
	size_t len;
	int r;

	if (hex_decode(key, 32, text) == 0)
		return 0;
	r = file_read(text, 4096, &data, &len, err);
	if (r < 0)
		return r;
	while (len > 0 && strchr(" \t\r\n", data[len - 1]))
		data[--len] = '\0';
	r = hex_decode(key, 32, (char *)data);
	free(data);
	if (r < 0)
		return error_set(err, EINVAL,
			"--authority %s: neither 64 hexadecimal digits nor a file that holds them",
			text);
	return 0;
}

static int load_directory(struct client *c, struct error *err)
{
	uint8_t key[32];
	int r = load_authority(c->settings->authority, key, err);

	if (r < 0)
		return r;
	return directory_load(
		c->settings->directory, key, (uint64_t)time(NULL), &c->directory, err);
}

static int open_neighbours(struct client *c, struct error *err)
{
	const struct settings *s = c->settings;
	const struct directory *d = c->directory;
	const struct neighbours_params p = {
		.directory = d,
		.folder = s->neighbours,
		.beacon = s->beacon,
		.seconds = (uint32_t)s->neighbour_seconds,
		/* route_draw refuses more hops with a message of its own */
		.layers = s->hops < d->layers ? (unsigned)s->hops : d->layers,
	};
	int r = ecvrf_self_test(err);

	if (r == 0)
		r = neighbours_create(&p, &c->neighbours, err);
	c->route.neighbours = c->neighbours;
	return r;
}

int client_open(struct client *c, const struct settings *s, struct error *err)
{
	int r;

	*c = (struct client){.settings = s, .udp = {.fd = -1}};
	r = crypto_init(0, err);
	if (r < 0)
		return r;
	if (s->directory) {
		r = load_directory(c, err);
		if (r < 0)
			return r;
	}
	if (s->command == COMMAND_RECEIVE && s->cover <= 0)
		return 0;
	c->crypto = crypto_create();
	if (!c->crypto)
		return error_set(err, errno,
			"no locked memory for keys: %s; raise the limit: ulimit -l 8192",
			strerror(errno));
	c->route = (struct route_params){
		.directory = c->directory,
		.hops = (unsigned)s->hops,
		.mean_delay_ms = s->mean_delay_ms,
		.version = (uint16_t)s->version,
		.payload_size = s->payload_size ? s->payload_size : SETTINGS_PAYLOAD_SIZE,
	};
	return s->neighbours ? open_neighbours(c, err) : 0;
}

void client_close(struct client *c)
{
	cover_free(c);
	udp_close(&c->udp);
	crypto_free(c->crypto);
	neighbours_free(c->neighbours);
	directory_free(c->directory);
}

ssize_t client_receive(struct client *c, void *buf, size_t cap, uint64_t deadline,
	struct endpoint *from, struct error *err)
{
	for (;;) {
		int r = cover_look(c->cover, err);
		ssize_t n;

		if (r < 0)
			return r;
		n = udp_receive(&c->udp, buf, cap, deadline, from, err);
		if (n < 0 || !cover_take(c->cover, buf, (size_t)n))
			return n;
	}
}

int client_open_socket(struct client *c, struct error *err)
{
	const struct endpoint *at = c->settings->bind.family ? &c->settings->bind : NULL;
	uint8_t family = 4;

	for (unsigned i = 0; c->directory && i < c->directory->count; i++)
		if (c->directory->nodes[i].layer == 1) {
			family = c->directory->nodes[i].address[0].family;
			break;
		}
	return udp_open(&c->udp, at, family, err);
}

int client_own_address(struct client *c, struct endpoint *own, struct error *err)
{
	const uint8_t family = c->udp.bound.family;

	for (unsigned i = 0; i < c->directory->count; i++) {
		const struct directory_node *n = &c->directory->nodes[i];

		for (unsigned j = 0; j < n->addresses; j++)
			if (n->address[j].family == family)
				return udp_own_address(&c->udp, &n->address[j], own, err);
	}
	return error_set(err, ENOENT, "--bind: no relay of %s has an IPv%u address",
		c->settings->directory, (unsigned)family);
}

int client_draw_route(struct client *c, struct route_params *p, const struct endpoint *destination,
	uint8_t entry_family, struct route *route, struct error *err)
{
	p->now = (uint64_t)time(NULL);
	if (c->neighbours) {
		int r = neighbours_refresh(c->neighbours, p->now, err);

		if (r < 0)
			return r;
		neighbours_report(c->neighbours, stderr);
	}
	return route_draw(p, destination, entry_family, route, err);
}

uint64_t client_report_refused(const struct client *c)
{
	const struct udp *u = &c->udp;
	char text[ENDPOINT_STRLEN];

	if (u->refused > 0)
		fprintf(stderr,
			"betanet-client: %" PRIu64 " packets were refused, the latest by %s: %s\n",
			u->refused, endpoint_format(text, &u->refused_by),
			u->refused_errno == ECONNREFUSED ? "no relay listens there"
							 : strerror(u->refused_errno));
	return u->refused;
}

static int read_stdin(uint64_t max, uint8_t **data, size_t *len, struct error *err)
{
	size_t cap = 1 << 16, n = 0;
	uint8_t *buf = malloc(cap), *more;

	while (buf) {
		ssize_t r = read(STDIN_FILENO, buf + n, cap - n);

		if (r < 0 && errno == EINTR && !client_stop)
			continue;
		if (r < 0) {
			int code = errno;

			free(buf);
			return error_set(
				err, code, "standard input cannot be read: %s", strerror(code));
		}
		n += (size_t)r;
		if (n > max) {
			free(buf);
			return error_set(err, EFBIG,
				"standard input: larger than the %" PRIu64
				" bytes allowed; raise --max-size here and at the receiver",
				max);
		}
		if (r == 0) {
			*data = buf;
			*len = n;
			return 0;
		}
		if (n < cap)
			continue;
		more = realloc(buf, 2 * cap);
		if (!more)
			free(buf);
		cap *= 2;
		buf = more;
	}
	return error_set(err, ENOMEM, "not enough memory for standard input");
}

int client_read_input(
	const char *path, uint64_t max, uint8_t **data, size_t *len, struct error *err)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return read_stdin(max, data, len, err);
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
		return error_set(err, EFBIG,
			"%s: %lld bytes, more than the %" PRIu64
			" allowed; raise --max-size here and at the receiver",
			path, (long long)st.st_size, max);
	return file_read(path, max, data, len, err);
}

/* A device or a pipe is written to, never replaced. */
static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int client_check_output(const char *path, bool force, struct error *err)
{
	if (strcmp(path, "-") == 0 || force || access(path, F_OK) != 0 || is_special(path))
		return 0;
	return error_set(err, EEXIST, "%s: exists; it is replaced only with --force", path);
}

static int write_fd(int fd, const char *name, const uint8_t *data, size_t len, struct error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR && !client_stop)
			continue;
		if (n < 0)
			return error_set(
				err, errno, "%s: cannot be written: %s", name, strerror(errno));
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int client_write_output(
	const char *path, const uint8_t *data, size_t len, bool force, struct error *err)
{
	mode_t mask;
	int fd, r;

	if (strcmp(path, "-") == 0)
		return write_fd(STDOUT_FILENO, "standard output", data, len, err);
	if (is_special(path)) {
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return error_set(
				err, errno, "%s: cannot be opened: %s", path, strerror(errno));
		r = write_fd(fd, path, data, len, err);
		close(fd);
		return r;
	}
	/* there is no other way to ask for the mask; no second thread runs here */
	mask = umask(0);
	umask(mask);
	return file_write(path, 0666 & ~mask, data, len, force ? FILE_FORCE : 0, err);
}
