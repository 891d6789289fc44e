/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_OPTABLE_H
#define BETANET_TESTMIX_OPTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "core/error.h"

/* Command-line options by a table: where a value goes, what is allowed, the default, the help. */
enum optable_kind {
	OPT_TEXT,    /* const char *, not empty */
	OPT_NUMBER,  /* uint64_t, min..max */
	OPT_RATE,    /* the same, or "auto": 0 */
	OPT_REAL,    /* double, min..max */
	OPT_CHOICE,  /* unsigned: which one of `value`, "first|second" */
	OPT_ADDRESS, /* struct endpoint, IPv4 with a port */
	OPT_GATEWAY, /* struct endpoint, IPv4 without one */
	OPT_LIST,    /* may be given several times */
	OPT_FLAG,    /* bool; takes no value */
};

enum { OPTABLE_MAX = 64 };

struct optable_row {
	const char *name, *value; /* `value` as the help shows it */
	enum optable_kind kind;
	size_t offset;
	uint64_t min, max;
	const char *initial; /* parsed like a value given; NULL: as it was */
	const char *help;
};

/*
 * Reads argv[1..argc-1] into `base`: `--name value` or `--name=value`, each at most once but for
 * lists, whose values go to `add` with the name of the list; `-i` is --interactive. 0, or -EINVAL
 * with `err` set: option, value, what is allowed. count <= OPTABLE_MAX.
 */
int optable_parse(const struct optable_row *rows, unsigned count,
	int (*add)(void *base, const char *name, const char *text, struct error *err), void *base,
	int argc, char **argv, struct error *err);

void optable_describe(const struct optable_row *rows, unsigned count, FILE *out);

#endif
