/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CONFIG_CFGTEXT_H
#define BETANET_CONFIG_CFGTEXT_H

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"
#include "sphinx/address.h"

/*
 * libconfig, strictly: what lib/config and lib/directory share. libconfig 1.5 takes the low 32 bits
 * of a longer number, reads a comment that never ends as the end of the file, and includes other
 * files, which no signature over this one would cover. All that is caught before it sees the text.
 */
enum {
	CFGTEXT_VALUE = 100, /* a value for a message, cut */
	CFGTEXT_PATH = 80,   /* "ports[3].rx_descriptors" */
	CFGTEXT_DEPTH = 16,  /* nesting of groups, lists and arrays */
};

/*
 * Parses `text` of `len` bytes, which must not contain a NUL. 0: the caller ends with
 * config_destroy(cfg). -EINVAL (`err`: name:line and what is wrong) or -ENOMEM: nothing to destroy.
 * Refused besides syntax errors and duplicates: @include, a comment or string without an end,
 * hexadecimal numbers, numbers beyond 64 bits, "\x00" in a string, nesting deeper than
 * CFGTEXT_DEPTH. A decimal number beyond 32 bits needs no L behind it.
 */
int cfgtext_read(config_t *cfg, const char *name, const char *text, size_t len, struct error *err);

/* Line of a setting, for "file:line:". */
unsigned cfgtext_line(const config_setting_t *s);

/* "pipeline.workers", "ports[0].mtu"; returns `out`. */
const char *cfgtext_path(char out[CFGTEXT_PATH], const config_setting_t *s);

/* The value as it would be written: 5, "x", { … }; without control characters. Returns `out`. */
const char *cfgtext_value(char out[CFGTEXT_VALUE], const config_setting_t *s);

/* A string for a message: control characters replaced, cut. Returns `out`. */
const char *cfgtext_show(char out[CFGTEXT_VALUE], const char *s);

/* "an integer", "a string", … */
const char *cfgtext_type(const config_setting_t *s);

/* False unless it is an integer (32 or 64 bits). */
bool cfgtext_int(const config_setting_t *s, int64_t *out);

/* NULL unless it is a string. */
const char *cfgtext_string(const config_setting_t *s);

/* Sets "name:line: path = value: why" and returns -EINVAL. */
__attribute__((format(printf, 4, 5))) int cfgtext_refuse(
	struct error *err, const char *name, const config_setting_t *s, const char *fmt, ...);

/* How many letters differ (Levenshtein), for "did you mean". Longer names than 63: 64. */
unsigned cfgtext_distance(const char *a, const char *b);

/* True for 1..max-1 characters of [A-Za-z0-9._-]. */
bool cfgtext_is_name(const char *s, size_t max);

/* Why no host can have this address ("is multicast"), or NULL. Loopback is fine. */
const char *cfgtext_no_host(const struct endpoint *e);

#endif
