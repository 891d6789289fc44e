/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_TRAFFIC_STORE_H
#define BETANET_TESTMIX_TRAFFIC_STORE_H

#include "traffic.h"

/*
 * The lab's packets in a file, so that many need to be made only once: they are for one relay,
 * whose secret key is in the file too (mode 0600; a lab's key, of no other use). Numbers are as
 * this machine writes them. A start may send them all once more: its replay table is new.
 */

/* Whether `path` holds packets; then *keys are those they were made for. 0; -EINVAL (no such file
 * format, or cut off); a file error. No file is no error: *there is false. */
int traffic_store_keys(const char *path, struct mixnet_keys *keys, bool *there, struct error *err);

/* Takes the packets out of the file if they are what the options ask for (*loaded). Errors as
 * above. */
int traffic_store_load(struct traffic *t, const struct cli_options *o, const char *path,
	bool *loaded, struct error *err);

/* Writes what was built, in place of what was there. 0 or a file error. */
int traffic_store_save(const struct traffic *t, const char *path, struct error *err);

#endif
