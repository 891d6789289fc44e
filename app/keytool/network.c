/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "config/cfgtext.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct keytool_option create_options[] = {
	{"out", "DIR", true, "folder for the network; it is made when it is not there"},
	{"valid-hours", "N", false, "validity of the directory, 1..8760; default 24"},
	{"network-id", "HEX", false, "64 hexadecimal digits; default: drawn"},
	{"force", NULL, false, "replace the keys and the directory that are there"},
	{.name = NULL},
};

enum { SKEW_SECONDS = 300 };

/* "entry1:1:10.0.1.1:9000", "mix1:2:[fd00::1]:9000,10.0.2.2:9000" */
static int read_spec(const char *spec, struct keytool_node *n, struct error *err)
{
	char name[DIRECTORY_NAME_MAX + 1], layer[8], shown[CFGTEXT_VALUE];
	const char *first = strchr(spec, ':'), *second = first ? strchr(first + 1, ':') : NULL;
	struct error why;
	int r;

	if (!second)
		return error_set(err, EINVAL,
			"\"%s\": allowed is name:layer:address, such as mix1:2:192.0.2.1:9000",
			cfgtext_show(shown, spec));
	snprintf(name, sizeof(name), "%.*s", (int)(first - spec), spec);
	snprintf(layer, sizeof(layer), "%.*s", (int)(second - first - 1), first + 1);
	n->weight = 100;
	r = keytool_set_name(n->name, name, &why);
	if (r == 0)
		r = keytool_set_layer(n, layer, &why);
	if (r == 0)
		r = keytool_set_addresses(n, second + 1, &why);
	return r < 0 ? error_set(err, EINVAL, "\"%s\": %s", cfgtext_show(shown, spec), why.msg) : 0;
}

static bool share_address(const struct keytool_node *a, const struct keytool_node *b)
{
	for (unsigned i = 0; i < a->addresses; i++)
		for (unsigned j = 0; j < b->addresses; j++)
			if (a->address[i].family == b->address[j].family &&
				a->address[i].port == b->address[j].port &&
				memcmp(a->address[i].ip, b->address[j].ip, 16) == 0)
				return true;
	return false;
}

/* What signing would refuse, before a key is written. */
static int check_nodes(const struct keytool_node *n, unsigned count, struct error *err)
{
	unsigned in_layer[DIRECTORY_MAX_LAYER + 1] = {0}, highest = 0;

	for (unsigned i = 0; i < count; i++) {
		in_layer[n[i].layer]++;
		if (n[i].layer > highest)
			highest = n[i].layer;
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(n[i].name, n[j].name) == 0)
				return error_set(err, EINVAL, "two nodes are called %s", n[i].name);
			if (share_address(&n[i], &n[j]))
				return error_set(err, EINVAL, "%s and %s have the same address",
					n[j].name, n[i].name);
		}
	}
	for (unsigned l = 1; l <= highest; l++)
		if (in_layer[l] == 0)
			return error_set(err, EINVAL,
				"no node in layer %u; every layer from 1 to the highest, here %u, "
				"needs one",
				l, highest);
	return 0;
}

static int check_absent(
	const char *dir, const struct keytool_node *n, unsigned count, struct error *err)
{
	char path[KEYTOOL_PATH];
	int r = keytool_authority_exists(dir, err);

	for (unsigned i = 0; r == 0 && i < count; i++) {
		r = keytool_path(path, dir, n[i].name, err);
		if (r == 0)
			r = keytool_node_exists(path, err);
	}
	if (r == 0)
		r = keytool_path(path, dir, "directory.conf", err);
	if (r == 0 && access(path, F_OK) == 0)
		r = error_set(err, EEXIST,
			"%s: exists, and nothing was changed; it is replaced only with --force",
			path);
	return r;
}

static void print_date(FILE *f, const char *key, time_t at)
{
	char text[32];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(f, "%s = \"%s\";\n", key, text);
}

struct network {
	const char *dir;
	int flags;
	const struct keytool_node *node;
	unsigned count;
	uint8_t id[32];
	time_t from, until;
};

/* The nodes' keys into their folders and the unsigned directory to `f`. */
static int write_nodes(const struct network *w, FILE *f, struct error *err)
{
	char path[KEYTOOL_PATH], hex[65];
	int r = 0;

	hex_encode(hex, w->id, 32);
	fprintf(f, "version = 1;\nnetwork_id = \"%s\";\n", hex);
	print_date(f, "valid_from", w->from);
	print_date(f, "valid_until", w->until);
	fputs("nodes = (\n", f);
	for (unsigned i = 0; r == 0 && i < w->count; i++) {
		struct keytool_public keys;

		r = keytool_path(path, w->dir, w->node[i].name, err);
		if (r == 0)
			r = keytool_make_folder(path, 0700, err);
		if (r == 0)
			r = keytool_make_node(path, w->flags, &keys, err);
		if (r == 0)
			keytool_print_node(f, &w->node[i], &keys);
		fputs(i + 1 < w->count ? ",\n" : "\n", f);
	}
	fputs(");\n", f);
	return r;
}

static int write_network(const struct network *w, struct error *err)
{
	char path[KEYTOOL_PATH], *text = NULL;
	uint8_t *seed = secmem_alloc(32), pk[32];
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f || !seed)
		r = error_set(
			err, ENOMEM, "not enough memory, or none that can be locked (ulimit -l)");
	else
		r = keytool_make_folder(w->dir, 0755, err);
	if (r == 0)
		r = keytool_make_authority(w->dir, w->flags, seed, pk, err);
	if (r == 0)
		r = write_nodes(w, f, err);
	if (f)
		fclose(f);
	if (r == 0)
		r = keytool_path(path, w->dir, "directory.conf", err);
	if (r == 0)
		r = directory_sign_text(
			path, (const uint8_t *)text, len, path, seed, w->flags, err);
	secmem_free(seed);
	free(text);
	return r;
}

static int create_of(
	const struct keytool_args *a, struct network *w, struct keytool_node *node, unsigned count)
{
	struct error err;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < count; i++)
		r = read_spec(a->rest[i], &node[i], &err);
	if (r == 0)
		r = check_nodes(node, count, &err);
	if (r < 0)
		return keytool_usage(a, "%s", err.msg);
	w->node = node;
	w->count = count;
	if (!(w->flags & FILE_FORCE))
		r = check_absent(w->dir, node, count, &err);
	if (r == 0)
		r = write_network(w, &err);
	if (r < 0)
		return keytool_fail(a, &err);
	printf("%s: authority, %u nodes and their signed directory\n", w->dir, count);
	return EXIT_OK;
}

static int create(const struct keytool_args *a)
{
	struct network w = {.dir = keytool_value(a, "out")};
	const char *id = keytool_value(a, "network-id");
	struct keytool_node *node;
	unsigned long hours;
	int status;

	if (!keytool_number(a, "valid-hours", 1, 8760, 24, &hours))
		return EXIT_USAGE;
	randombytes_buf(w.id, sizeof(w.id));
	if (id && hex_decode(w.id, sizeof(w.id), id) < 0)
		return keytool_usage(a, "--network-id %s: allowed are 64 hexadecimal digits", id);
	w.flags = keytool_value(a, "force") ? FILE_FORCE : 0;
	w.from = time(NULL) - SKEW_SECONDS;
	w.until = w.from + SKEW_SECONDS + (time_t)hours * 3600;
	node = calloc((size_t)a->rest_count, sizeof(*node));
	if (!node) {
		struct error err;

		error_set(&err, ENOMEM, "not enough memory");
		return keytool_fail(a, &err);
	}
	status = create_of(a, &w, node, (unsigned)a->rest_count);
	free(node);
	return status;
}

const struct keytool_command keytool_network_create = {
	.name = "network create",
	.rest = "NAME:LAYER:IP:PORT[,IP:PORT]...",
	.rest_min = 1,
	.rest_max = DIRECTORY_MAX_NODES,
	.text = "Makes a whole network: an authority, each node's keys and the signed directory",
	.more = "\nFor labs and tests, where one person owns every key:\n"
		"  betanet-keytool network create --out DIR entry1:1:10.0.1.1:9000 \\\n"
		"      mix1:2:10.0.2.2:9000 'exit1:3:[fd00::3]:9000,10.0.3.3:9000'\n"
		"writes DIR/authority.secret, DIR/authority.pub, DIR/directory.conf and, for each "
		"node,\n"
		"DIR/NAME/identity.secret, sphinx.secret and vrf.secret. The directory is valid "
		"from five\n"
		"minutes ago, for clocks that differ.",
	.options = create_options,
	.run = create,
};
