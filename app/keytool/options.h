/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_KEYTOOL_OPTIONS_H
#define BETANET_KEYTOOL_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include "core/error.h"

/* Commands as tables: from one entry come parsing, `--help` and the messages about usage. */

enum { KEYTOOL_MAX_OPTIONS = 12 };
enum keytool_exit { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct keytool_option {
	const char *name; /* without "--"; NULL ends the list */
	const char *arg;  /* "FILE"; NULL: a flag */
	bool required;
	const char *text;
};

struct keytool_args;

struct keytool_command {
	const char *name; /* one or two words: "directory sign" */
	const char *rest; /* "FILE|-": what follows the options; NULL: nothing may */
	int rest_min, rest_max;
	const char *text, *more; /* one line for the list; paragraphs for its own help */
	const struct keytool_option *options;
	/* Returns an exit status. A failure is explained by keytool_fail or keytool_usage. */
	int (*run)(const struct keytool_args *a);
};

struct keytool_args {
	const struct keytool_command *command;
	const char *value[KEYTOOL_MAX_OPTIONS]; /* "" for a flag, NULL: not given */
	char *const *rest;
	int rest_count;
};

/* Reads what follows the command's name. -1: go on; otherwise the status to exit with (help was
 * printed, or the usage was wrong and explained). */
int keytool_parse(
	const struct keytool_command *command, int argc, char **argv, struct keytool_args *out);

/* The value of an option of the command's table, or NULL. */
const char *keytool_value(const struct keytool_args *a, const char *name);

/* A decimal number of an option: `preset` when it is not given. False after a message when it is
 * none or outside min..max. */
bool keytool_number(const struct keytool_args *a, const char *name, unsigned long min,
	unsigned long max, unsigned long preset, unsigned long *out);

/* Prints "betanet-keytool COMMAND: …" to stderr. Return EXIT_USAGE and EXIT_FAILED. */
__attribute__((format(printf, 2, 3))) int keytool_usage(
	const struct keytool_args *a, const char *fmt, ...);
int keytool_fail(const struct keytool_args *a, const struct error *err);

#endif
