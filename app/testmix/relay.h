/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_RELAY_H
#define BETANET_TESTMIX_RELAY_H

#include <stdint.h>
#include "core/drop.h"
#include "core/error.h"

/*
 * A relay as its telemetry shows it: DPDK's telemetry protocol, version 2 (a SEQPACKET UNIX socket;
 * the server greets with {"version", "pid", "max_output_len"}, then answers each message "/command"
 * with one JSON object {"/command": …}). Only the main lcore calls this; every call waits at most
 * RELAY_TIMEOUT_MS for an answer.
 */
enum { RELAY_TIMEOUT_MS = 2000 };

/* The members of /mix/stats that are read; one that is missing is an error. */
#define RELAY_STATS(X)                                                                             \
	X(rx)                                                                                      \
	X(processed)                                                                               \
	X(forwarded)                                                                               \
	X(delivered)                                                                               \
	X(tx)                                                                                      \
	X(dropped)                                                                                 \
	X(parked)                                                                                  \
	X(mean_processing_ns)

struct relay_sample {
#define X(name) uint64_t name;
	RELAY_STATS(X)
#undef X
	uint64_t drops[DROP_COUNT]; /* from /mix/drops */
};

struct relay {
	const char *name;
	const char *path;
	int fd; /* -1: not connected */
	char state[32];
	struct relay_sample first, last; /* before the run; the newest */
};

/* Does not connect. Strings stay the caller's. */
void relay_init(struct relay *r, const char *name, const char *path);

/* 0, also when already connected; -ENOENT or -ECONNREFUSED when nobody listens (yet); -EPROTO when
 * the greeting is not DPDK's; another socket error. */
int relay_connect(struct relay *r, struct error *err);
void relay_close(struct relay *r);

/* Reads /mix/info into r->state. 0; -EPROTO (an answer that is not what it should be: what, in
 * `err`); a socket error: then the relay is closed. */
int relay_read_state(struct relay *r, struct error *err);

/* Reads /mix/stats and /mix/drops. Errors as above; -EPROTO also for a drop reason that this
 * program does not know. */
int relay_read_sample(struct relay *r, struct relay_sample *s, struct error *err);

/* The same, from the text of an answer, for the calls above and the tests. */
int relay_parse_state(const char *text, struct relay *r, struct error *err);
int relay_parse_stats(const char *text, struct relay_sample *s, struct error *err);
int relay_parse_drops(const char *text, struct relay_sample *s, struct error *err);

/* Mean processing time in nanoseconds of what was processed between first and last. */
double relay_mean_processing(const struct relay *r);

#endif
