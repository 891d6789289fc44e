/* SPDX-License-Identifier: BSD-3-Clause */
#include "directory/index.h"
#include "config/cfgtext.h"
#include "core/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* From libconfig text to struct directory. Whatever is not wanted is refused. */

struct parsing {
	const char *name;
	struct error *err;
};

static const char *const root_keys[] = {
	"version", "network_id", "valid_from", "valid_until", "nodes", NULL};
static const char *const node_keys[] = {"name", "layer", "weight", "family", "address",
	"identity_key", "sphinx_key", "vrf_key", NULL};

static int check_keys(
	const struct parsing *p, const config_setting_t *group, const char *const *keys)
{
	int n = config_setting_length(group);

	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		char path[CFGTEXT_PATH], all[128] = "";
		unsigned k = 0;

		while (keys[k] && strcmp(keys[k], s->name) != 0)
			k++;
		if (keys[k])
			continue;
		for (k = 0; keys[k]; k++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
				k ? ", " : "", keys[k]);
		return error_set(p->err, EINVAL, "%s:%u: %s: there is no such key; allowed are %s",
			p->name, cfgtext_line(s), cfgtext_path(path, s), all);
	}
	return 0;
}

static const config_setting_t *need(
	const struct parsing *p, const config_setting_t *group, const char *key)
{
	const config_setting_t *s = config_setting_get_member(group, key);
	char path[CFGTEXT_PATH];

	if (!s)
		error_set(p->err, EINVAL, "%s:%u: %s%s%s: is missing", p->name, cfgtext_line(group),
			cfgtext_path(path, group), group->parent ? "." : "", key);
	return s;
}

static int need_int(
	const struct parsing *p, const config_setting_t *s, int64_t min, int64_t max, int64_t *out)
{
	if (!cfgtext_int(s, out) || *out < min || *out > max)
		return cfgtext_refuse(p->err, p->name, s, "allowed is an integer, %lld..%lld",
			(long long)min, (long long)max);
	return 0;
}

static int need_hex32(
	const struct parsing *p, const config_setting_t *group, const char *key, uint8_t out[32])
{
	const config_setting_t *s = need(p, group, key);
	const char *v = s ? cfgtext_string(s) : NULL;

	if (!s)
		return -EINVAL;
	if (!v || hex_decode(out, 32, v) < 0)
		return cfgtext_refuse(
			p->err, p->name, s, "allowed is a string of 64 hexadecimal digits");
	return 0;
}

static int need_name(const struct parsing *p, const config_setting_t *s, char *out)
{
	const char *v = cfgtext_string(s);

	if (!v || !cfgtext_is_name(v, DIRECTORY_NAME_MAX))
		return cfgtext_refuse(p->err, p->name, s,
			"allowed is a string of 1..%d characters of A-Z a-z 0-9 . _ -",
			DIRECTORY_NAME_MAX - 1);
	memcpy(out, v, strlen(v) + 1);
	return 0;
}

/* Exactly "2026-11-23T00:00:00Z"; the round trip refuses the 31st of February. */
static bool read_date(const char *v, uint64_t *out)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
	struct tm t = {0}, back;
	char again[sizeof(shape)];
	time_t at;

	if (strlen(v) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? v[i] < '0' || v[i] > '9' : v[i] != shape[i])
			return false;
	if (!strptime(v, "%Y-%m-%dT%H:%M:%SZ", &t))
		return false;
	at = timegm(&t);
	if (at < 0 || !gmtime_r(&at, &back) ||
		strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &back) != sizeof(shape) - 1)
		return false;
	*out = (uint64_t)at;
	return strcmp(again, v) == 0;
}

static int need_date(
	const struct parsing *p, const config_setting_t *root, const char *key, uint64_t *out)
{
	const config_setting_t *s = need(p, root, key);
	const char *v = s ? cfgtext_string(s) : NULL;

	if (!s)
		return -EINVAL;
	if (!v || !read_date(v, out))
		return cfgtext_refuse(p->err, p->name, s,
			"allowed is a date and time in UTC such as \"2026-11-23T00:00:00Z\"");
	return 0;
}

/* ---- keys ---- */

static bool is_ed25519(const uint8_t key[32])
{
	return crypto_core_ed25519_is_valid_point(key) == 1;
}

/* One spelling for each u (below p, bit 255 clear), and not of small order: the product with any
 * clamped scalar would be zero. */
static bool is_x25519(const uint8_t key[32])
{
	static const uint8_t scalar[32] = {8, [31] = 64};
	uint8_t out[32];
	bool canonical = key[31] < 0x7f || key[0] < 0xed;

	for (unsigned i = 1; i < 31; i++)
		canonical |= key[i] != 0xff;
	return key[31] < 0x80 && canonical && crypto_scalarmult(out, scalar, key) == 0;
}

static int need_key(const struct parsing *p, const config_setting_t *group, const char *key,
	bool (*valid)(const uint8_t *), uint8_t out[32])
{
	int r = need_hex32(p, group, key, out);

	if (r == 0 && !valid(out))
		return cfgtext_refuse(p->err, p->name, config_setting_get_member(group, key),
			"no valid %s public key: not a point of the group, of small order, or not "
			"in its one encoding",
			valid == is_x25519 ? "X25519" : "Ed25519");
	return r;
}

/* ---- nodes ---- */

static int read_address(
	const struct parsing *p, const config_setting_t *s, struct directory_node *n)
{
	const char *v = cfgtext_string(s), *no;
	struct endpoint *e = &n->address[n->addresses];

	if (!v || endpoint_parse(e, v) < 0 || e->port == 0)
		return cfgtext_refuse(p->err, p->name, s,
			"allowed is an address with its port, such as \"192.0.2.1:9000\" or "
			"\"[2001:db8::1]:9000\"");
	no = cfgtext_no_host(e);
	if (no)
		return cfgtext_refuse(p->err, p->name, s, "%s; a host's address is allowed", no);
	if (n->addresses == 1 && n->address[0].family == e->family)
		return cfgtext_refuse(p->err, p->name, s,
			"the second address of the same family; allowed is one IPv4 and one IPv6");
	n->addresses++;
	return 0;
}

static int read_addresses(
	const struct parsing *p, const config_setting_t *group, struct directory_node *n)
{
	const config_setting_t *s = need(p, group, "address");
	int count, r = 0;

	if (!s)
		return -EINVAL;
	if (!config_setting_is_array(s) && !config_setting_is_list(s))
		return read_address(p, s, n);
	count = config_setting_length(s);
	if (count < 1 || count > 2)
		return cfgtext_refuse(p->err, p->name, s, "%d addresses; allowed are 1..2", count);
	for (int i = 0; r == 0 && i < count; i++)
		r = read_address(p, config_setting_get_elem(s, (unsigned)i), n);
	return r;
}

static int read_numbers(
	const struct parsing *p, const config_setting_t *group, struct directory_node *n)
{
	const config_setting_t *s = need(p, group, "layer");
	int64_t layer, weight = 100;
	int r = s ? need_int(p, s, 1, DIRECTORY_MAX_LAYER, &layer) : -EINVAL;

	if (r < 0)
		return r;
	s = config_setting_get_member(group, "weight");
	r = s ? need_int(p, s, 1, UINT32_MAX, &weight) : 0;
	if (r < 0)
		return r;
	n->layer = (unsigned)layer;
	n->weight = (uint32_t)weight;
	return 0;
}

static int read_node(
	const struct parsing *p, const config_setting_t *group, struct directory_node *n)
{
	const config_setting_t *s;
	int r;

	if (!config_setting_is_group(group))
		return cfgtext_refuse(p->err, p->name, group, "allowed is a group, { ... }");
	r = check_keys(p, group, node_keys);
	if (r == 0)
		r = (s = need(p, group, "name")) ? need_name(p, s, n->name) : -EINVAL;
	if (r == 0 && (s = config_setting_get_member(group, "family")))
		r = need_name(p, s, n->family);
	if (r == 0)
		r = read_numbers(p, group, n);
	if (r == 0)
		r = read_addresses(p, group, n);
	if (r == 0)
		r = need_key(p, group, "identity_key", is_ed25519, n->identity_key);
	if (r == 0)
		r = need_key(p, group, "sphinx_key", is_x25519, n->sphinx_key);
	return r < 0 ? r : need_key(p, group, "vrf_key", is_ed25519, n->vrf_key);
}

/* ---- nothing twice ---- */

struct claim {
	uint8_t kind; /* names, keys and addresses are compared among themselves only */
	uint8_t bytes[DIRECTORY_NAME_MAX];
	unsigned node;
	const char *key;
};

static int compare_claims(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct claim, bytes) + DIRECTORY_NAME_MAX);
}

static void claim(
	struct claim *c, unsigned node, uint8_t kind, const char *key, const void *bytes, size_t n)
{
	*c = (struct claim){.kind = kind, .node = node, .key = key};
	memcpy(c->bytes, bytes, n);
}

static int refuse_twins(const struct parsing *p, const config_setting_t *nodes,
	const struct claim *a, const struct claim *b)
{
	const struct claim *first = a->node < b->node ? a : b, *second = first == a ? b : a;
	const config_setting_t *sa, *sb;
	char path[CFGTEXT_PATH];

	sa = config_setting_get_member(config_setting_get_elem(nodes, first->node), first->key);
	sb = config_setting_get_member(config_setting_get_elem(nodes, second->node), second->key);
	return cfgtext_refuse(p->err, p->name, sb,
		"already that of %s (line %u); no two may be the same", cfgtext_path(path, sa),
		cfgtext_line(sa));
}

static int check_unique(
	const struct parsing *p, const config_setting_t *nodes, const struct directory *d)
{
	struct claim *all = calloc(d->count, 6 * sizeof(*all));
	size_t n = 0;
	int r = 0;

	if (!all)
		return error_set(p->err, ENOMEM, "%s: not enough memory to read it", p->name);
	for (unsigned i = 0; i < d->count; i++) {
		const struct directory_node *node = &d->nodes[i];

		claim(&all[n++], i, 0, "name", node->name, strlen(node->name));
		claim(&all[n++], i, 1, "identity_key", node->identity_key, 32);
		claim(&all[n++], i, 1, "vrf_key", node->vrf_key, 32);
		claim(&all[n++], i, 1, "sphinx_key", node->sphinx_key, 32);
		for (unsigned j = 0; j < node->addresses; j++) {
			uint8_t e[SPHINX_ADDRESS_SIZE];

			address_encode(e, &node->address[j]);
			claim(&all[n++], i, 2, "address", e, sizeof(e));
		}
	}
	qsort(all, n, sizeof(*all), compare_claims);
	for (size_t i = 1; r == 0 && i < n; i++)
		if (compare_claims(&all[i - 1], &all[i]) == 0)
			r = refuse_twins(p, nodes, &all[i - 1], &all[i]);
	free(all);
	return r;
}

static int check_layers(const struct parsing *p, const config_setting_t *nodes, struct directory *d)
{
	unsigned in_layer[DIRECTORY_MAX_LAYER + 1] = {0};

	for (unsigned i = 0; i < d->count; i++) {
		in_layer[d->nodes[i].layer]++;
		if (d->nodes[i].layer > d->layers)
			d->layers = d->nodes[i].layer;
	}
	for (unsigned l = 1; l <= d->layers; l++)
		if (in_layer[l] == 0)
			return error_set(p->err, EINVAL,
				"%s:%u: nodes: layer %u has no node; every layer from 1 to the "
				"highest, here %u, needs one",
				p->name, cfgtext_line(nodes), l, d->layers);
	return 0;
}

static int read_nodes(const struct parsing *p, const config_setting_t *root, struct directory *d)
{
	const config_setting_t *s = need(p, root, "nodes");
	int count, r = 0;

	if (!s)
		return -EINVAL;
	if (!config_setting_is_list(s))
		return cfgtext_refuse(p->err, p->name, s, "allowed is a list, ( { ... }, ... )");
	count = config_setting_length(s);
	if (count < 1 || count > DIRECTORY_MAX_NODES)
		return cfgtext_refuse(p->err, p->name, s, "%d nodes; allowed are 1..%d", count,
			DIRECTORY_MAX_NODES);
	d->nodes = calloc((size_t)count, sizeof(*d->nodes));
	if (!d->nodes)
		return error_set(p->err, ENOMEM, "%s: not enough memory to read it", p->name);
	d->count = (unsigned)count;
	for (unsigned i = 0; r == 0 && i < d->count; i++)
		r = read_node(p, config_setting_get_elem(s, i), &d->nodes[i]);
	if (r == 0)
		r = check_unique(p, s, d);
	return r < 0 ? r : check_layers(p, s, d);
}

static int read_root(const struct parsing *p, const config_setting_t *root, struct directory *d)
{
	const config_setting_t *s;
	int64_t version;
	int r = check_keys(p, root, root_keys);

	if (r < 0)
		return r;
	s = need(p, root, "version");
	r = s ? need_int(p, s, 1, 1, &version) : -EINVAL;
	if (r == 0)
		r = need_hex32(p, root, "network_id", d->network_id);
	if (r == 0)
		r = need_date(p, root, "valid_from", &d->valid_from);
	if (r == 0)
		r = need_date(p, root, "valid_until", &d->valid_until);
	if (r == 0 && d->valid_until <= d->valid_from)
		r = cfgtext_refuse(p->err, p->name, config_setting_get_member(root, "valid_until"),
			"allowed is a time after valid_from");
	return r < 0 ? r : read_nodes(p, root, d);
}

int content_parse(const char *name, const uint8_t *text, size_t len, struct directory **out,
	struct error *err)
{
	const struct parsing p = {name, err};
	struct directory *d;
	config_t cfg;
	int r = cfgtext_read(&cfg, name, (const char *)text, len, err);

	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	r = d ? read_root(&p, config_root_setting(&cfg), d)
	      : error_set(err, ENOMEM, "%s: not enough memory to read it", name);
	config_destroy(&cfg);
	if (r == 0)
		r = index_build(d, err);
	if (r < 0)
		directory_free(d);
	else
		*out = d;
	return r;
}
