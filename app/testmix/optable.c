/* SPDX-License-Identifier: BSD-3-Clause */
#include "optable.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sphinx/address.h"

static int parse_number(
	const struct optable_row *r, const char *text, uint64_t *out, struct error *err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text < '0' || *text > '9' || *out < r->min ||
		*out > r->max)
		return error_set(err, EINVAL,
			"--%s: \"%s\" is not a whole number from %" PRIu64 " to %" PRIu64, r->name,
			text, r->min, r->max);
	return 0;
}

static int parse_real(const struct optable_row *r, const char *text, double *out, struct error *err)
{
	char *end;

	*out = strtod(text, &end);
	if (*end || end == text || !isfinite(*out) || *out < (double)r->min ||
		*out > (double)r->max)
		return error_set(err, EINVAL,
			"--%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64, r->name, text,
			r->min, r->max);
	return 0;
}

/* `value` of the row lists the choices: "first|second". */
static int parse_choice(
	const struct optable_row *r, const char *text, unsigned *out, struct error *err)
{
	const char *choice = r->value;
	size_t len = strlen(text);

	for (*out = 0;; (*out)++) {
		if (len == strcspn(choice, "|") && strncmp(text, choice, len) == 0)
			return 0;
		choice = strchr(choice, '|');
		if (!choice)
			return error_set(
				err, EINVAL, "--%s: \"%s\": allowed: %s", r->name, text, r->value);
		choice++;
	}
}

static int parse_address(
	const struct optable_row *r, const char *text, struct endpoint *out, struct error *err)
{
	int bad = r->kind == OPT_GATEWAY ? endpoint_parse_ip(out, text) : endpoint_parse(out, text);

	if (bad || out->family != 4 || (r->kind == OPT_ADDRESS && out->port == 0))
		return error_set(err, EINVAL, "--%s: \"%s\" is not an IPv4 address%s", r->name,
			text,
			r->kind == OPT_GATEWAY ? ": 10.0.0.1" : " with a port: 10.0.0.1:9000");
	return 0;
}

static int parse_value(void *base, const struct optable_row *r, const char *text, struct error *err)
{
	void *at = (char *)base + r->offset;

	switch (r->kind) {
	case OPT_TEXT:
		*(const char **)at = text;
		return *text ? 0 : error_set(err, EINVAL, "--%s: is empty", r->name);
	case OPT_RATE:
		if (strcmp(text, "auto") == 0) {
			*(uint64_t *)at = 0;
			return 0;
		}
		return parse_number(r, text, at, err);
	case OPT_NUMBER:
		return parse_number(r, text, at, err);
	case OPT_REAL:
		return parse_real(r, text, at, err);
	case OPT_CHOICE:
		return parse_choice(r, text, at, err);
	case OPT_ADDRESS:
	case OPT_GATEWAY:
		return parse_address(r, text, at, err);
	case OPT_LIST:
		break;
	case OPT_FLAG:
		*(bool *)at = true;
		return 0;
	}
	return -EINVAL;
}

static const struct optable_row *find_row(
	const struct optable_row *rows, unsigned count, const char *name, size_t len)
{
	for (unsigned i = 0; i < count; i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

int optable_parse(const struct optable_row *rows, unsigned count,
	int (*add)(void *base, const char *name, const char *text, struct error *err), void *base,
	int argc, char **argv, struct error *err)
{
	bool given[OPTABLE_MAX] = {false};
	int rc;

	if (count > OPTABLE_MAX)
		return error_set(err, EINVAL, "more than %d options in a table", OPTABLE_MAX);
	for (unsigned i = 0; i < count; i++)
		if (rows[i].initial &&
			(rc = parse_value(base, &rows[i], rows[i].initial, err)) != 0)
			return rc;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *name = arg + 2, *value;
		const struct optable_row *r = NULL;
		size_t len = 0;

		if (strcmp(arg, "-i") == 0)
			name = arg = "--interactive";
		if (strncmp(arg, "--", 2) == 0) {
			name = arg + 2;
			len = strcspn(name, "=");
			r = find_row(rows, count, name, len);
		}
		if (!r)
			return error_set(err, EINVAL,
				"unknown option \"%s\": --help lists all of them", arg);
		if (given[r - rows] && r->kind != OPT_LIST)
			return error_set(err, EINVAL, "--%s is given twice", r->name);
		given[r - rows] = true;
		value = name[len] == '=' ? name + len + 1 : NULL;
		if (r->kind == OPT_FLAG && value)
			return error_set(err, EINVAL, "--%s takes no value", r->name);
		if (r->kind != OPT_FLAG && !value && !(value = argv[++i < argc ? i : argc]))
			return error_set(
				err, EINVAL, "--%s lacks its value: %s", r->name, r->value);
		rc = r->kind == OPT_LIST ? add(base, r->name, value, err)
					 : parse_value(base, r, value, err);
		if (rc)
			return rc;
	}
	return 0;
}

void optable_describe(const struct optable_row *rows, unsigned count, FILE *out)
{
	for (unsigned i = 0; i < count; i++) {
		const struct optable_row *r = &rows[i];
		int width = fprintf(
			out, "  --%s%s%s", r->name, r->value ? " " : "", r->value ? r->value : "");

		fprintf(out, "%*s %s", width < 32 ? 32 - width : 0, "", r->help);
		if (r->initial)
			fprintf(out, " (default %s)", r->initial);
		fputc('\n', out);
	}
}
