/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_SETTINGS_H
#define BETANET_CLIENT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "core/error.h"
#include "mix/loop_health.h"
#include "sphinx/address.h"

/*
 * The command line. Every option is described once, in the table of settings.c: which commands take
 * it, its type, range, default and text; parsing, messages and help all read that table.
 */
enum client_command {
	COMMAND_SEND = 1 << 0,
	COMMAND_RECEIVE = 1 << 1,
	COMMAND_REPLY = 1 << 2,
	COMMAND_PING = 1 << 3,
};

/* Where no --payload-size says otherwise. */
enum { SETTINGS_PAYLOAD_SIZE = 1024 };

struct settings {
	enum client_command command;
	const char *directory, *authority; /* NULL: not given */
	const char *neighbours, *beacon;   /* NULL: not given */
	uint64_t neighbour_seconds;
	uint64_t payload_size; /* 0: any (receive, reply) */
	uint64_t hops;
	double mean_delay_ms;
	struct endpoint bind; /* family 0: not given */
	double rate;          /* packets per second */
	/* slots for payload, loops and drop packets a second; cover 0: none; seconds */
	double cover, cover_loops, cover_drops, cover_time;
	enum loop_health_delays relay_delays;
	uint64_t version, reply_version;
	bool quiet, force;
	struct endpoint to; /* family 0: not given */
	const char *in, *out;
	const char *save_reply_blocks, *block;
	uint64_t reply_blocks;
	double wait, timeout, interval; /* seconds */
	uint64_t count;
	uint64_t max_size; /* bytes */
	uint64_t given;    /* bit i: row i of the table was on the command line */
};

/*
 * 0; 1 when help or the program's version was asked for and printed to `out`; -EINVAL with `err`
 * set. Strings point into argv.
 */
int settings_parse(struct settings *s, int argc, char **argv, FILE *out, struct error *err);

#endif
