/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_PUBLISH_H
#define BETANET_VRF_PUBLISH_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"
#include "vrf/record.h"

/*
 * Published records as files that any web server can serve and any tool can mirror:
 *
 *	DIR/<node name>/<epoch>.neighbours	neighbour.h, before its epoch starts
 *	DIR/<node name>/<epoch>.epoch		epoch_record.h, after its epoch's reveal time
 *
 * <node name> is the directory's name of the node, <epoch> the epoch's number in decimal without
 * leading zeros (the two kinds count epochs of different lengths). The content is the record's
 * bytes and nothing else; a record proves itself, so it does not matter who served or copied it.
 * Files appear whole (written beside, then renamed) with mode 0644, folders with 0755.
 *
 * One process writes a node's folder. A reader should mirror all nodes: to fetch the records of
 * one's own route alone would tell the server the route.
 */
enum publish_kind { PUBLISH_NEIGHBOURS, PUBLISH_EPOCH, PUBLISH_KINDS };

enum { PUBLISH_PATH_MAX = 4096 }; /* with its NUL */

/* -EINVAL: a name that the directory would not allow, "." or ".."; -ENAMETOOLONG. */
int publish_path(char out[PUBLISH_PATH_MAX], const char *dir, const char *node,
	enum publish_kind kind, uint64_t epoch, struct error *err);

/*
 * Makes the node's folder if it is missing (`dir` itself must exist) and writes the record, in
 * place of an older one of the same epoch. `len` is 1..RECORD_MAX_SIZE. 0; -EINVAL, or a file error
 * with the path in `err`.
 */
int publish_write(const char *dir, const char *node, enum publish_kind kind, uint64_t epoch,
	const void *record, size_t len, struct error *err);

/* 0 and *len bytes; -ENOENT (not published), -EFBIG, -EINVAL (also: no regular file), or a file
 * error. Reads at most RECORD_MAX_SIZE + 1 bytes and never waits for a pipe. */
int publish_read(const char *dir, const char *node, enum publish_kind kind, uint64_t epoch,
	uint8_t record[RECORD_MAX_SIZE], size_t *len, struct error *err);

/* The epochs that there are, in rising order; *epochs is malloc'd, the caller's. Files of other
 * names are not looked at. 0; -ENOENT when the node has no folder. */
int publish_list(const char *dir, const char *node, enum publish_kind kind, uint64_t **epochs,
	size_t *count, struct error *err);

/*
 * Removes all but the `keep` (>= 1) highest epochs of the kind, and temporary files of the kind
 * that a crash left behind. *removed (may be NULL) counts both. 0, also when the node has no
 * folder; or a file error.
 */
int publish_prune(const char *dir, const char *node, enum publish_kind kind, unsigned keep,
	unsigned *removed, struct error *err);

#endif
