/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_RESULT_H
#define BETANET_PERF_RESULT_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What a benchmark measured, for programs to read: a line of JSON for each figure, appended to the
 * file that the environment variable PERF_JSON names; without it nothing is written. The text on
 * standard output stays as it is, for people.
 *
 *     {"name":"pipeline.stage","unit":"cycles/packet","better":"lower",
 *      "labels":{"stage":"route","ports":"virtual"},"values":[151.2,149.8,150.3]}
 *
 * perf/run.py gathers the lines. Name and labels together tell a figure apart from all others, so
 * they hold only what is set, never what is measured; figures on ports without a NIC are labelled
 * "ports=virtual". PERF_QUICK=1 asks a benchmark for fewer repeats.
 */
enum result_better {
	RESULT_LOWER,
	RESULT_HIGHER,
	RESULT_NONE, /* neither: shown, never compared */
};

struct result {
	const char *name; /* dotted, lower case: program or subject first */
	const char *unit; /* "ns", "us", "cycles/packet", "packets/s", "ratio", "%", "bytes" */
	enum result_better better;
	const char *labels;   /* "key=value,key=value" with no comma or = in them; NULL: none */
	const double *values; /* of every repeat */
	unsigned count;       /* 0: not measured; `note` says why */
	double floor, goal;   /* what to reach (performance.md); both 0: no target */
	const char *note;     /* a sentence for the report; NULL: none */
};

static inline int result_quick(void)
{
	const char *quick = getenv("PERF_QUICK");

	return quick && *quick && strcmp(quick, "0") != 0;
}

static inline void result_string(FILE *f, const char *s, size_t len)
{
	fputc('"', f);
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static inline void result_labels(FILE *f, const char *labels)
{
	fputc('{', f);
	for (const char *at = labels ? labels : ""; *at;) {
		const size_t pair = strcspn(at, ","), key = strcspn(at, "=,");

		if (at != labels)
			fputc(',', f);
		result_string(f, at, key);
		fputc(':', f);
		result_string(f, at + key + (key < pair), pair - key - (key < pair));
		at += pair + (at[pair] == ',');
	}
	fputc('}', f);
}

/* Ends the program when the file cannot be written: a figure must not get lost silently. */
static inline void result_write(const struct result *r)
{
	static const char *const better[] = {"lower", "higher", "none"};
	const char *path = getenv("PERF_JSON");
	FILE *f;

	if (!path || !*path)
		return;
	f = fopen(path, "a");
	if (!f) {
		perror(path);
		exit(1);
	}
	fputs("{\"name\":", f);
	result_string(f, r->name, strlen(r->name));
	fputs(",\"unit\":", f);
	result_string(f, r->unit, strlen(r->unit));
	fprintf(f, ",\"better\":\"%s\",\"labels\":", better[r->better]);
	result_labels(f, r->labels);
	fputs(",\"values\":[", f);
	for (unsigned i = 0; i < r->count; i++) {
		if (isfinite(r->values[i]))
			fprintf(f, "%s%.9g", i ? "," : "", r->values[i]);
		else
			fprintf(f, "%snull", i ? "," : "");
	}
	fputc(']', f);
	if (r->floor != 0 || r->goal != 0)
		fprintf(f, ",\"floor\":%.9g,\"goal\":%.9g", r->floor, r->goal);
	if (r->note) {
		fputs(",\"note\":", f);
		result_string(f, r->note, strlen(r->note));
	}
	fputs("}\n", f);
	if (ferror(f) | fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* The common case: no target, no note; labels as by printf, "" for none. */
__attribute__((format(printf, 6, 7))) static inline void result_add(const char *name,
	const char *unit, enum result_better better, const double *values, unsigned count,
	const char *labels, ...)
{
	char text[256];
	va_list args;

	va_start(args, labels);
	vsnprintf(text, sizeof(text), labels, args);
	va_end(args);
	result_write(&(struct result){.name = name,
		.unit = unit,
		.better = better,
		.labels = text,
		.values = values,
		.count = count});
}

#endif
