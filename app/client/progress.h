/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_PROGRESS_H
#define BETANET_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Progress on standard error: a bar on a terminal, otherwise a line each second. */
struct progress {
	const char *what; /* "sent" */
	bool quiet, terminal, shown;
	uint64_t started, last_ns; /* clock_ns */
	uint64_t done;
};

void progress_start(struct progress *p, const char *what, bool quiet);

/* `total` 0: not known yet. Cheap enough to be called for every packet. */
void progress_show(struct progress *p, uint64_t done, uint64_t total);

/* Leaves the bar's line, so that other text can follow. */
void progress_end(struct progress *p);

/* "1.5 MiB" */
enum { PROGRESS_SIZE_TEXT = 24 };
const char *progress_size(char out[PROGRESS_SIZE_TEXT], uint64_t bytes);

#endif
