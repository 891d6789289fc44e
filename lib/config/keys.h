/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CONFIG_KEYS_H
#define BETANET_CONFIG_KEYS_H

#include "config/cfgtext.h"
#include "config/config.h"

/* The table of keys and what loading, checking and printing share. Private to lib/config. */

enum key_kind {
	KEY_UINT,     /* unsigned integer of `size` bytes */
	KEY_REAL,     /* double */
	KEY_BOOL,     /* bool */
	KEY_TEXT,     /* char[size] */
	KEY_NAME,     /* char[size], [A-Za-z0-9._-] */
	KEY_WORD,     /* enum: the index in `words` */
	KEY_HEX32,    /* uint8_t[32] */
	KEY_PREFIXES, /* node.exit_allow */
	KEY_ADDRESS,  /* ports: own address with prefix length, of family `size` */
	KEY_GATEWAY,  /* ports: struct endpoint, of family `size` */
	KEY_RANGE,    /* uint32_t[2], smallest and largest; 0 0: not set */
};

enum key_flags {
	KEY_REQUIRED = 1 << 0,
	KEY_UNSET_0 = 1 << 1, /* an integer that stays 0 when it is not given, and is not printed */
};

struct key {
	const char *section, *name;
	enum key_kind kind;
	unsigned size;
	unsigned flags;
	size_t offset; /* in struct config; in struct config_port for the section "ports" */
	double min, max;
	const char *preset;       /* default as it stands in a file, or NULL */
	const char *otherwise;    /* what applies without the key, where no constant says it */
	const char *const *words; /* KEY_WORD; KEY_UINT: the only values allowed; ends with NULL */
	const char *unit, *text;
};

struct key_section {
	const char *name, *text;
	unsigned is_list; /* list of groups instead of one group */
};

extern const struct key config_keys[];
extern const unsigned config_key_count;
extern const struct key_section config_sections[];
extern const unsigned config_section_count;

enum { KEY_ALLOWED_MAX = 128 };

/* "an integer, 1..64 us"; returns `out`. */
const char *key_allowed(char out[KEY_ALLOWED_MAX], const struct key *k);

/* NULL when there is none. */
const struct key *key_find(const char *section, const char *name);

/* The value of `k` at `base` (struct config or config_port) as libconfig text; false when the key
 * is not set and must not be written. */
bool key_print(const struct key *k, const void *base, FILE *out);

/* What no single key shows: -EINVAL with `err`. `root` gives lines. */
int config_check(
	const struct config *c, const config_setting_t *root, const char *name, struct error *err);

#endif
