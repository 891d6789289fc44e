/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/cfgtext.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Walks the text once as libconfig's scanner would and copies it to `out`, numbers mended. */
struct scan {
	const char *name, *in, *end;
	char *out;
	unsigned line, depth;
	struct error *err;
};

static int scan_error(struct scan *s, const char *what)
{
	return error_set(s->err, EINVAL, "%s:%u: %s", s->name, s->line, what);
}

static void take(struct scan *s)
{
	s->line += *s->in == '\n';
	*s->out++ = *s->in++;
}

static bool starts(const struct scan *s, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(s->end - s->in) >= n && memcmp(s->in, with, n) == 0;
}

static int scan_comment(struct scan *s)
{
	unsigned first = s->line;

	if (*s->in == '#' || starts(s, "//")) {
		while (s->in < s->end && *s->in != '\n')
			take(s);
		return 0;
	}
	take(s);
	take(s);
	while (s->in < s->end && !starts(s, "*/"))
		take(s);
	if (s->in == s->end) {
		s->line = first;
		return scan_error(s, "the comment that begins here has no end; close it with */");
	}
	take(s);
	take(s);
	return 0;
}

static int scan_string(struct scan *s)
{
	unsigned first = s->line;

	take(s);
	while (s->in < s->end && *s->in != '"') {
		if (starts(s, "\\x00"))
			return scan_error(s, "\\x00 in a string is not allowed");
		if (*s->in == '\\' && s->end - s->in > 1)
			take(s);
		take(s);
	}
	if (s->in == s->end) {
		s->line = first;
		return scan_error(
			s, "the string that begins here has no end; close it with \" behind it");
	}
	take(s);
	return 0;
}

static int scan_number(struct scan *s)
{
	const char *copy = s->out; /* ends here, which the text itself need not do */
	bool real = false;
	long long v;

	if (*s->in == '+' || *s->in == '-')
		take(s);
	if (starts(s, "0x") || starts(s, "0X"))
		return scan_error(s, "hexadecimal numbers are not allowed: write it in decimal");
	while (s->in < s->end && (isalnum((unsigned char)*s->in) || *s->in == '.' ||
					 ((*s->in == '+' || *s->in == '-') && real))) {
		real |= *s->in == '.' || *s->in == 'e' || *s->in == 'E';
		take(s);
	}
	if (real)
		return 0;
	*s->out = '\0';
	errno = 0;
	v = strtoll(copy, NULL, 10);
	if (errno == ERANGE)
		return scan_error(s, "a number that does not fit 64 bits");
	if ((v < INT_MIN || v > INT_MAX) && s->in[-1] != 'L')
		*s->out++ = 'L';
	return 0;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

static int scan_token(struct scan *s)
{
	char c = *s->in;

	if (c == '#' || starts(s, "//") || starts(s, "/*"))
		return scan_comment(s);
	if (c == '"')
		return scan_string(s);
	if (c == '@')
		return scan_error(s, "@include is not allowed: everything stands in this one file");
	if (isalpha((unsigned char)c) || c == '*') {
		while (s->in < s->end && is_name_char(*s->in))
			take(s);
		return 0;
	}
	if (isdigit((unsigned char)c) || c == '+' || c == '-')
		return scan_number(s);
	if ((c == '{' || c == '[' || c == '(') && ++s->depth > CFGTEXT_DEPTH)
		return scan_error(s, "groups and lists nested too deep");
	if ((c == '}' || c == ']' || c == ')') && s->depth > 0)
		s->depth--;
	take(s);
	return 0;
}

/* The malloc'd text that libconfig gets. A number of one digit stays as it is and a long one grows
 * by one letter, so that twice the length is enough. */
static int scan_text(const char *name, const char *text, size_t len, char **out, struct error *err)
{
	struct scan s = {.name = name, .in = text, .end = text + len, .line = 1, .err = err};
	char *copy = malloc(2 * len + 1);
	int r = 0;

	if (!copy)
		return error_set(err, ENOMEM, "%s: not enough memory to read it", name);
	s.out = copy;
	if (memchr(text, 0, len))
		r = error_set(err, EINVAL, "%s: a NUL byte: this is no text file", name);
	while (r == 0 && s.in < s.end)
		r = scan_token(&s);
	if (r < 0) {
		free(copy);
		return r;
	}
	*s.out = '\0';
	*out = copy;
	return 0;
}

/* The line of the text that the message is about, trimmed, for people to find it again. */
static void source_line(char out[CFGTEXT_VALUE], const char *text, int line)
{
	char buf[CFGTEXT_VALUE];
	size_t n;

	while (line-- > 1 && (text = strchr(text, '\n')))
		text++;
	text = text ? text + strspn(text, " \t") : "";
	n = strcspn(text, "\r\n");
	snprintf(buf, sizeof(buf), "%.*s", (int)(n < sizeof(buf) ? n : sizeof(buf) - 1), text);
	cfgtext_show(out, buf);
}

int cfgtext_read(config_t *cfg, const char *name, const char *text, size_t len, struct error *err)
{
	char near[CFGTEXT_VALUE];
	char *mended = NULL;
	int r = scan_text(name, text, len, &mended, err);

	if (r < 0)
		return r;
	config_init(cfg);
	if (config_read_string(cfg, mended) != CONFIG_TRUE) {
		source_line(near, mended, config_error_line(cfg));
		r = error_set(err, EINVAL, "%s:%d: %s, found on reading \"%s\"%s", name,
			config_error_line(cfg), config_error_text(cfg), near,
			strncmp(config_error_text(cfg), "syntax", 6) == 0
				? "; is a ';' or a bracket missing here or on the line before?"
				: "");
		config_destroy(cfg);
	}
	free(mended);
	return r;
}

unsigned cfgtext_line(const config_setting_t *s)
{
	while (s && s->line == 0)
		s = s->parent;
	return s ? s->line : 1;
}

const char *cfgtext_path(char out[CFGTEXT_PATH], const config_setting_t *s)
{
	const config_setting_t *chain[CFGTEXT_DEPTH + 2];
	unsigned n = 0;
	size_t at = 0;

	for (; s && s->parent && n < CFGTEXT_DEPTH + 2; s = s->parent)
		chain[n++] = s;
	out[0] = '\0';
	while (n-- > 0 && at < CFGTEXT_PATH) {
		int w = chain[n]->name ? snprintf(out + at, CFGTEXT_PATH - at, "%s%s",
						 at ? "." : "", chain[n]->name)
				       : snprintf(out + at, CFGTEXT_PATH - at, "[%d]",
						 config_setting_index(chain[n]));
		at += (size_t)w;
	}
	return out;
}

const char *cfgtext_show(char out[CFGTEXT_VALUE], const char *s)
{
	size_t n = 0;

	for (; *s && n < CFGTEXT_VALUE - 4; s++)
		out[n++] = isprint((unsigned char)*s) ? *s : '?';
	strcpy(out + n, *s ? "..." : "");
	return out;
}

const char *cfgtext_value(char out[CFGTEXT_VALUE], const config_setting_t *s)
{
	char shown[CFGTEXT_VALUE];

	switch (s->type) {
	case CONFIG_TYPE_INT:
		snprintf(out, CFGTEXT_VALUE, "%d", s->value.ival);
		break;
	case CONFIG_TYPE_INT64:
		snprintf(out, CFGTEXT_VALUE, "%lld", s->value.llval);
		break;
	case CONFIG_TYPE_FLOAT:
		snprintf(out, CFGTEXT_VALUE, "%g", s->value.fval);
		break;
	case CONFIG_TYPE_BOOL:
		snprintf(out, CFGTEXT_VALUE, "%s", s->value.ival ? "true" : "false");
		break;
	case CONFIG_TYPE_STRING:
		cfgtext_show(shown, s->value.sval ? s->value.sval : "");
		snprintf(out, CFGTEXT_VALUE, "\"%.*s\"", CFGTEXT_VALUE - 3, shown);
		break;
	default:
		snprintf(out, CFGTEXT_VALUE, "%s",
			s->type == CONFIG_TYPE_GROUP   ? "{ ... }"
			: s->type == CONFIG_TYPE_ARRAY ? "[ ... ]"
						       : "( ... )");
	}
	return out;
}

const char *cfgtext_type(const config_setting_t *s)
{
	static const char *const names[] = {
		[CONFIG_TYPE_NONE] = "nothing",
		[CONFIG_TYPE_GROUP] = "a group",
		[CONFIG_TYPE_INT] = "an integer",
		[CONFIG_TYPE_INT64] = "an integer",
		[CONFIG_TYPE_FLOAT] = "a number with a fraction",
		[CONFIG_TYPE_STRING] = "a string",
		[CONFIG_TYPE_BOOL] = "true or false",
		[CONFIG_TYPE_ARRAY] = "an array",
		[CONFIG_TYPE_LIST] = "a list",
	};

	return names[s->type];
}

bool cfgtext_int(const config_setting_t *s, int64_t *out)
{
	if (s->type == CONFIG_TYPE_INT)
		*out = s->value.ival;
	else if (s->type == CONFIG_TYPE_INT64)
		*out = s->value.llval;
	else
		return false;
	return true;
}

const char *cfgtext_string(const config_setting_t *s)
{
	if (s->type != CONFIG_TYPE_STRING)
		return NULL;
	return s->value.sval ? s->value.sval : "";
}

int cfgtext_refuse(
	struct error *err, const char *name, const config_setting_t *s, const char *fmt, ...)
{
	char path[CFGTEXT_PATH], value[CFGTEXT_VALUE], why[ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return error_set(err, EINVAL, "%s:%u: %s = %s: %s", name, cfgtext_line(s),
		cfgtext_path(path, s), cfgtext_value(value, s), why);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned cfgtext_distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t n = strlen(b);

	if (strlen(a) > 63 || n > 63)
		return 64;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 0; j < n; j++) {
			unsigned above = row[j + 1];

			row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[n];
}

bool cfgtext_is_name(const char *s, size_t max)
{
	size_t n = strlen(s);

	return n > 0 && n < max &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

const char *cfgtext_no_host(const struct endpoint *e)
{
	static const uint8_t zero[16], mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(e->ip, zero, sizeof(zero)) == 0)
		return "is the unspecified address";
	if (e->family == 4 && e->ip[0] == 0)
		return "is in 0.0.0.0/8, which no host has";
	if (e->family == 4 && e->ip[0] >= 240)
		return "is reserved or broadcast";
	if (e->family == 4 ? e->ip[0] >= 224 : e->ip[0] == 0xff)
		return "is multicast";
	if (e->family == 6 && memcmp(e->ip, mapped, sizeof(mapped)) == 0)
		return "is an IPv4 address in IPv6 clothes: write it as IPv4";
	return NULL;
}
