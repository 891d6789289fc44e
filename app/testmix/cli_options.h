/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_CLI_OPTIONS_H
#define BETANET_TESTMIX_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "core/error.h"

enum { CLI_MAX_MAPS = 64, CLI_BURST_MAX = 512 };

/* One (port,queue,lcore) of --config. */
struct cli_map {
	unsigned port, queue, lcore;
};

/* What stands behind `--` when there is no --directory. Strings point into argv. */
struct cli_options {
	bool interactive, auto_start, tx_first, record_cycles, help;
	const char *cmdline_file, *socket, *engine;
	uint64_t stats_period; /* seconds; 0: none */
	struct cli_map map[CLI_MAX_MAPS];
	unsigned map_count;
	uint64_t burst, rxd, txd, lcores, mbufs;
	unsigned sleep; /* 0 lcores spin, 1 they sleep when idle */
	unsigned delay; /* enum betanet_delay, as in lib/pipeline/betanet.h */
	double mean_delay_ms;
	uint64_t payload_size;
	/* generator and sink, wired to the engine */
	bool wires;
	uint64_t packets, rate, hops;
	const char *store; /* file of packets; NULL: memory only */
	unsigned poisson;
	double bad, replayed, cover; /* percent of what is sent */
	uint64_t grace;
	/* the benchmark instead of the CLI */
	bool benchmark;
	uint64_t duration, target_pps;
};

/*
 * Reads argv[1..argc-1], options as in options.h. 0, or -EINVAL with `err` set: option, value, what
 * is allowed.
 */
int cli_options_parse(struct cli_options *o, int argc, char **argv, struct error *err);

void cli_options_describe(FILE *out);

#endif
