/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_OPTIONS_H
#define BETANET_TESTMIX_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "chain.h"
#include "core/error.h"
#include "fault.h"
#include "sphinx/address.h"

enum { OPTIONS_MAX_RELAYS = 16 };

/* A relay whose DPDK telemetry socket is read. */
struct options_relay {
	char name[32];
	const char *socket;
};

/* What stands behind `--` on the command line. Strings point into argv. */
struct options {
	const char *directory; /* signed directory file */
	const char *authority; /* 64 hex digits, or a file that holds them */
	struct chain chain;    /* instead of both; hops 0: none */
	uint64_t packets;      /* good packets; rate * duration when that was given */
	uint64_t duration;     /* seconds; 0: as long as `packets` takes */
	uint64_t rate;         /* packets per second, faulty ones included; 0: measured */
	unsigned poisson;      /* 0 constant gaps, 1 exponential gaps */
	double mean_delay_ms;  /* of each hop that delays */
	uint64_t hops;
	uint64_t version; /* of the Sphinx packets; 0: 258 and 259 in turn */
	uint64_t payload_size;
	uint64_t message_size; /* 0: of every length that fits */
	const char *tx_port, *rx_port;
	struct endpoint tx_address, rx_address; /* IPv4 with port: generator's, sink's */
	struct endpoint gateway;                /* family 0: entries are on the link */
	uint64_t faults[FAULT_COUNT];
	struct options_relay relays[OPTIONS_MAX_RELAYS];
	unsigned relay_count;
	uint64_t wait;  /* seconds for links, relays and ARP to be ready */
	uint64_t grace; /* seconds without an arrival, after the longest delay, until loss is judged
			 */
	unsigned spin;  /* 0 idle lcores sleep, 1 they spin */
	const char *json;      /* file for the results; NULL: none */
	const char *latencies; /* file for each packet's latency; NULL: none */
	bool hold;             /* keep the ports up after the summary until a signal comes */
	bool help;
};

/*
 * Reads argv[1..argc-1]. Options are `--name value` or `--name=value`, each at most once but for
 * `--telemetry`. 0, or -EINVAL with `err` set: option, value, what is allowed.
 */
int options_parse(struct options *o, int argc, char **argv, struct error *err);

void options_describe(FILE *out);

#endif
