/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/config.h"
#include "config/keys.h"
#include "core/bytes.h"
#include "core/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX_BYTES = 1 << 20, REPLAY_DEFAULT_SECONDS = 1200 };

struct loading {
	const char *name;
	struct error *err;
};

/* ---- values: each reads one setting into the member of its key ---- */

static int refuse(const struct loading *l, const struct key *k, const config_setting_t *s)
{
	char allowed[KEY_ALLOWED_MAX];

	return cfgtext_refuse(l->err, l->name, s, "%s; allowed is %s (%s)",
		(k->kind == KEY_UINT || k->kind == KEY_REAL) && config_setting_is_number(s)
			? "out of range"
			: "wrong value",
		key_allowed(allowed, k), k->text);
}

static int refuse_type(const struct loading *l, const struct key *k, const config_setting_t *s)
{
	char allowed[KEY_ALLOWED_MAX];

	return cfgtext_refuse(l->err, l->name, s, "wrong type: this is %s; allowed is %s (%s)",
		cfgtext_type(s), key_allowed(allowed, k), k->text);
}

static void store_uint(const struct key *k, void *member, uint64_t v)
{
	const uint16_t v16 = (uint16_t)v;
	const uint32_t v32 = (uint32_t)v;

	memcpy(member,
		k->size == 2   ? (const void *)&v16
		: k->size == 4 ? (const void *)&v32
			       : &v,
		k->size);
}

static bool among_words(const struct key *k, int64_t v)
{
	for (unsigned i = 0; k->words[i]; i++)
		if (strtoll(k->words[i], NULL, 10) == v)
			return true;
	return false;
}

static int load_uint(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	int64_t v;

	if (!cfgtext_int(s, &v))
		return refuse_type(l, k, s);
	if ((double)v < k->min || (double)v > k->max || (k->words && !among_words(k, v)))
		return refuse(l, k, s);
	store_uint(k, member, (uint64_t)v);
	return 0;
}

static int load_real(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	double v;
	int64_t i;

	if (cfgtext_int(s, &i))
		v = (double)i;
	else if (s->type == CONFIG_TYPE_FLOAT)
		v = s->value.fval;
	else
		return refuse_type(l, k, s);
	if (!(v >= k->min && v <= k->max))
		return refuse(l, k, s);
	memcpy(member, &v, sizeof(v));
	return 0;
}

static int load_bool(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	if (s->type != CONFIG_TYPE_BOOL)
		return refuse_type(l, k, s);
	*(bool *)member = s->value.ival != 0;
	return 0;
}

static int load_text(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	const char *v = cfgtext_string(s);

	if (!v)
		return refuse_type(l, k, s);
	if (v[0] == '\0' || strlen(v) >= k->size ||
		(k->kind == KEY_NAME && !cfgtext_is_name(v, k->size)))
		return refuse(l, k, s);
	memcpy(member, v, strlen(v) + 1);
	return 0;
}

static int load_word(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	const char *v = cfgtext_string(s);

	if (!v)
		return refuse_type(l, k, s);
	for (unsigned i = 0; k->words[i]; i++) {
		if (strcmp(k->words[i], v) == 0) {
			store_uint(k, member, i);
			return 0;
		}
	}
	return refuse(l, k, s);
}

static int load_hex32(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	const char *v = cfgtext_string(s);

	if (!v)
		return refuse_type(l, k, s);
	return hex_decode(member, 32, v) < 0 ? refuse(l, k, s) : 0;
}

static int load_prefix(
	const struct loading *l, const struct key *k, const config_setting_t *s, struct cidr *out)
{
	const char *v = cfgtext_string(s);
	int r;

	if (!v)
		return refuse_type(l, k, s);
	r = cidr_parse(out, v);
	if (r == -ERANGE)
		return cfgtext_refuse(l->err, l->name, s,
			"bits behind the prefix are set; clear them or write a longer prefix");
	return r < 0 ? refuse(l, k, s) : 0;
}

static int load_prefixes(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	/* the count stands outside the member that the table names */
	struct config *c = (struct config *)((char *)member - k->offset);
	int n, r = 0;

	if (!config_setting_is_array(s) && !config_setting_is_list(s))
		return refuse_type(l, k, s);
	n = config_setting_length(s);
	if (n > CONFIG_MAX_EXIT_ALLOW)
		return cfgtext_refuse(l->err, l->name, s, "%d prefixes; allowed are at most %d", n,
			CONFIG_MAX_EXIT_ALLOW);
	for (int i = 0; r == 0 && i < n; i++)
		r = load_prefix(
			l, k, config_setting_get_elem(s, (unsigned)i), &c->node.exit_allow[i]);
	c->node.exit_allow_count = (unsigned)n;
	return r;
}

static void keep_bits(struct cidr *c, const struct endpoint *e, unsigned bits)
{
	c->family = e->family;
	c->bits = (uint8_t)bits;
	for (unsigned i = 0; i < 16; i++) {
		unsigned left = bits > 8 * i ? bits - 8 * i : 0;

		c->ip[i] = (uint8_t)(e->ip[i] & (left >= 8 ? 0xff : 0xff00 >> left));
	}
}

/* "192.0.2.1/24": 0 or -EINVAL. */
static int split_address(const char *v, struct endpoint *e, unsigned *bits)
{
	char ip[ENDPOINT_STRLEN];
	const char *slash = strchr(v, '/');
	char *end;

	if (!slash || (size_t)(slash - v) >= sizeof(ip) || slash[1] < '0' || slash[1] > '9')
		return -EINVAL;
	memcpy(ip, v, (size_t)(slash - v));
	ip[slash - v] = '\0';
	*bits = (unsigned)strtoul(slash + 1, &end, 10);
	return *end || end - slash > 4 ? -EINVAL : endpoint_parse_ip(e, ip);
}

static int load_address(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	struct config_port *p = (struct config_port *)((char *)member - k->offset);
	const char *v = cfgtext_string(s);
	struct endpoint *e = member;
	unsigned bits;

	if (!v)
		return refuse_type(l, k, s);
	if (split_address(v, e, &bits) < 0 || e->family != k->size)
		return refuse(l, k, s);
	if (bits == 0 || bits > (k->size == 4 ? 32 : 128))
		return cfgtext_refuse(l->err, l->name, s, "prefix length %u; allowed is 1..%d (%s)",
			bits, k->size == 4 ? 32 : 128, k->text);
	*(k->size == 4 ? &p->has_ipv4 : &p->has_ipv6) = true;
	keep_bits(k->size == 4 ? &p->net4 : &p->net6, e, bits);
	return 0;
}

static int load_gateway(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	const char *v = cfgtext_string(s);
	struct endpoint *e = member;

	if (!v)
		return refuse_type(l, k, s);
	return endpoint_parse_ip(e, v) < 0 || e->family != k->size ? refuse(l, k, s) : 0;
}

static int load_range(
	const struct loading *l, const struct key *k, const config_setting_t *s, void *member)
{
	uint32_t range[2] = {0};

	if ((!config_setting_is_array(s) && !config_setting_is_list(s)) ||
		config_setting_length(s) != 2)
		return refuse_type(l, k, s);
	for (unsigned i = 0; i < 2; i++) {
		const config_setting_t *e = config_setting_get_elem(s, i);
		int64_t v;

		if (!cfgtext_int(e, &v))
			return refuse_type(l, k, e);
		if ((double)v < k->min || (double)v > k->max)
			return refuse(l, k, e);
		range[i] = (uint32_t)v;
	}
	if (range[0] > range[1])
		return cfgtext_refuse(l->err, l->name, s, "the smallest comes first: [ %u, %u ]",
			range[1], range[0]);
	memcpy(member, range, sizeof(range));
	return 0;
}

static int (*const loaders[])(
	const struct loading *, const struct key *, const config_setting_t *, void *) = {
	[KEY_UINT] = load_uint,
	[KEY_REAL] = load_real,
	[KEY_BOOL] = load_bool,
	[KEY_TEXT] = load_text,
	[KEY_NAME] = load_text,
	[KEY_WORD] = load_word,
	[KEY_HEX32] = load_hex32,
	[KEY_PREFIXES] = load_prefixes,
	[KEY_ADDRESS] = load_address,
	[KEY_GATEWAY] = load_gateway,
	[KEY_RANGE] = load_range,
};

/* ---- keys that do not belong where they stand ---- */

/* The closest of the section's keys (of the sections, when section is NULL), or NULL. */
static const char *closest(const char *section, const char *name)
{
	unsigned best = 4, n = section ? config_key_count : config_section_count;
	const char *found = NULL;

	for (unsigned i = 0; i < n; i++) {
		const char *other = section ? config_keys[i].name : config_sections[i].name;
		unsigned d = cfgtext_distance(name, other);

		if (section && strcmp(config_keys[i].section, section) != 0)
			continue;
		if (d < best && 2 * d < strlen(other)) {
			best = d;
			found = other;
		}
	}
	return found;
}

static void list_keys(char *out, size_t size, const char *section)
{
	unsigned n = section ? config_key_count : config_section_count;
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n && at < size; i++)
		if (!section || strcmp(config_keys[i].section, section) == 0)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "",
				section ? config_keys[i].name : config_sections[i].name);
}

/* `section` NULL: at the top of the file. */
static int refuse_unknown(const struct loading *l, const config_setting_t *s, const char *section)
{
	char path[CFGTEXT_PATH], all[300];
	const char *mean;
	unsigned line = cfgtext_line(s);

	cfgtext_path(path, s);
	for (unsigned i = 0; i < config_key_count; i++)
		if (strcmp(config_keys[i].name, s->name) == 0)
			return error_set(l->err, EINVAL,
				"%s:%u: %s: does not belong here; it is a key of the section %s",
				l->name, line, path, config_keys[i].section);
	for (unsigned i = 0; section && i < config_section_count; i++)
		if (strcmp(config_sections[i].name, s->name) == 0)
			return error_set(l->err, EINVAL,
				"%s:%u: %s: does not belong here; the section %s stands at the top "
				"of the file, not inside %s",
				l->name, line, path, s->name, section);
	mean = closest(section, s->name);
	if (mean)
		return error_set(l->err, EINVAL,
			"%s:%u: %s: there is no such %s; did you mean %s%s%s?", l->name, line, path,
			section ? "key" : "section", section ? section : "", section ? "." : "",
			mean);
	list_keys(all, sizeof(all), section);
	return error_set(l->err, EINVAL, "%s:%u: %s: there is no such %s; allowed are %s", l->name,
		line, path, section ? "key" : "section", all);
}

/* ---- sections ---- */

static int set_preset(const struct loading *l, const struct key *k, void *member)
{
	config_t cfg;
	char text[64];
	int r, n = snprintf(text, sizeof(text), "v = %s;", k->preset);

	r = cfgtext_read(&cfg, "default", text, (size_t)n, l->err);
	if (r == 0) {
		r = loaders[k->kind](
			l, k, config_setting_get_member(config_root_setting(&cfg), "v"), member);
		config_destroy(&cfg);
	}
	return r;
}

static int missing(const struct loading *l, const struct key *k, const config_setting_t *group)
{
	char allowed[KEY_ALLOWED_MAX], path[CFGTEXT_PATH];

	return error_set(l->err, EINVAL, "%s:%u: %s.%s: is missing; it is %s (%s)", l->name,
		group ? cfgtext_line(group) : 1, group ? cfgtext_path(path, group) : k->section,
		k->name, key_allowed(allowed, k), k->text);
}

/* One group of `section` into `base`; `group` NULL: it is not in the file. */
static int load_group(
	const struct loading *l, const char *section, const config_setting_t *group, void *base)
{
	int n, r = 0;

	if (group && !config_setting_is_group(group))
		return cfgtext_refuse(l->err, l->name, group,
			"wrong type: this is %s; allowed is a group, { ... }", cfgtext_type(group));
	n = group ? config_setting_length(group) : 0;
	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);

		if (!key_find(section, s->name))
			return refuse_unknown(l, s, section);
	}
	for (unsigned i = 0; r == 0 && i < config_key_count; i++) {
		const struct key *k = &config_keys[i];
		const config_setting_t *s;

		if (strcmp(k->section, section) != 0)
			continue;
		s = group ? config_setting_get_member(group, k->name) : NULL;
		if (s)
			r = loaders[k->kind](l, k, s, (char *)base + k->offset);
		else if (k->flags & KEY_REQUIRED)
			r = missing(l, k, group);
		else if (k->preset)
			r = set_preset(l, k, (char *)base + k->offset);
	}
	return r;
}

static int load_ports(const struct loading *l, const config_setting_t *ports, struct config *c)
{
	int n, r = 0;

	if (!ports)
		return error_set(l->err, EINVAL,
			"%s:1: ports: is missing; it is a list of at least one group: "
			"ports = ( { device = \"net_memif0\"; ipv4 = \"192.0.2.1/24\"; } );",
			l->name);
	if (!config_setting_is_list(ports))
		return cfgtext_refuse(l->err, l->name, ports,
			"wrong type: this is %s; allowed is a list of groups, ( { ... }, { ... } )",
			cfgtext_type(ports));
	n = config_setting_length(ports);
	if (n < 1 || n > CONFIG_MAX_PORTS)
		return cfgtext_refuse(
			l->err, l->name, ports, "%d ports; allowed are 1..%d", n, CONFIG_MAX_PORTS);
	for (int i = 0; r == 0 && i < n; i++)
		r = load_group(
			l, "ports", config_setting_get_elem(ports, (unsigned)i), &c->ports[i]);
	c->port_count = (unsigned)n;
	return r;
}

/* What follows from other keys when it is not given. */
static int complete(const struct loading *l, struct config *c)
{
	for (unsigned i = 0; i < c->port_count; i++)
		if (c->ports[i].rx_queues == 0)
			c->ports[i].rx_queues = c->pipeline.workers;
	if (c->rate_limiting.peer_pps == 0)
		c->rate_limiting.peer_pps = c->performance.target_throughput_pps;
	if (c->replay.capacity == 0)
		c->replay.capacity =
			(uint64_t)c->performance.target_throughput_pps * REPLAY_DEFAULT_SECONDS;
	if (c->replay.file[0] == '\0') {
		int n = snprintf(c->replay.file, sizeof(c->replay.file), "%s.replay",
			c->keys.sphinx_key_file);

		if (n >= (int)sizeof(c->replay.file))
			return error_set(l->err, EINVAL,
				"%s:1: replay.file: is missing, and keys.sphinx_key_file with "
				"\".replay\" behind it is longer than %d characters; name the file",
				l->name, CONFIG_STR - 1);
	}
	return 0;
}

static int load_root(const struct loading *l, const config_setting_t *root, struct config *c)
{
	int n = config_setting_length(root), r = 0;

	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
		unsigned j = 0;

		while (j < config_section_count && strcmp(config_sections[j].name, s->name) != 0)
			j++;
		if (j == config_section_count)
			return refuse_unknown(l, s, NULL);
	}
	for (unsigned i = 0; r == 0 && i < config_section_count; i++) {
		const char *section = config_sections[i].name;
		const config_setting_t *s = config_setting_get_member(root, section);

		if (config_sections[i].is_list)
			r = load_ports(l, s, c);
		else
			r = load_group(l, section, s, c);
	}
	if (r == 0)
		r = complete(l, c);
	return r < 0 ? r : config_check(c, root, l->name, l->err);
}

static int parse(
	const char *name, const char *text, size_t len, struct config *out, struct error *err)
{
	const struct loading l = {name, err};
	config_t cfg;
	int r;

	memset(out, 0, sizeof(*out));
	r = cfgtext_read(&cfg, name, text, len, err);
	if (r == 0) {
		r = load_root(&l, config_root_setting(&cfg), out);
		config_destroy(&cfg);
	}
	return r;
}

int config_parse(const char *name, const char *text, struct config *out, struct error *err)
{
	return parse(name, text, strlen(text), out, err);
}

int config_load(const char *path, struct config *out, struct error *err)
{
	uint8_t *data;
	size_t len;
	int r = file_read(path, CONFIG_MAX_BYTES, &data, &len, err);

	if (r < 0)
		return r;
	r = parse(path, (const char *)data, len, out, err);
	free(data);
	return r;
}
