/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_REPORT_H
#define BETANET_TESTMIX_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include "core/error.h"
#include "generator.h"
#include "options.h"
#include "relay.h"
#include "sink.h"

/* Everything that a run's reports are made from; the main lcore's. */
struct report {
	const struct options *options;
	const struct store *store;
	const struct generator *generator;
	const struct sink *sink;
	struct relay *relays;
	unsigned relay_count;
	bool interrupted; /* by a signal, before everything was sent */
	double rate;      /* offered, packets per second */
};

/* One line: the time since the start, sent and returned, and what each relay says. */
void report_live(const struct report *r, FILE *out);

/* Are there more answers to wait for? True once every good packet sent is back and, where relays
 * are watched, they have dropped as many as they had to. */
bool report_complete(const struct report *r);

/* The summary. Call it when generator and sink have returned. */
void report_summary(const struct report *r, FILE *out);

/* Writes what is wrong with the run, a line each, and returns how many things that are: 0 only if
 * every good packet came back once with its right content and every other was dropped for its
 * reason. `out` may be NULL. */
unsigned report_problems(const struct report *r, FILE *out);

/* The summary as JSON. 0 or a file error. */
/* The latency of each packet that came back: nanoseconds, a line each, in the order of sending. */
int report_latencies(const struct report *r, const char *path, struct error *err);

int report_json(const struct report *r, const char *path, struct error *err);

#endif
