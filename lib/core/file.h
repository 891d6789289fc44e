/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_FILE_H
#define BETANET_CORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/error.h"

/*
 * Whole files, read with a limit and written so that no half-written file can remain: into a
 * temporary file beside the target, fsync, rename. All return 0 or a negative errno with `err` set
 * (path included).
 */

enum file_write_flags {
	FILE_FORCE =
		1
		<< 0, /* replace an existing file; without it -EEXIST and the file stays as it is */
};

/* *data is malloc'd, NUL-terminated behind *len bytes, owned by the caller. -EFBIG beyond max
 * bytes. */
int file_read(const char *path, size_t max, uint8_t **data, size_t *len, struct error *err);

int file_write(
	const char *path, mode_t mode, const void *data, size_t len, int flags, struct error *err);

/* After a file was given its name: the name must survive a power failure as well as the content
 * does. Syncs the folder of `path`; a file system that cannot is left alone. */
void file_sync_folder(const char *path);

/* A 32-byte secret as 64 hex digits and a newline, mode 0600. `out` is the caller's locked memory.
 * file_read_secret refuses (-EPERM) a file that group or others may read. The text is wiped. */
int file_read_secret(const char *path, uint8_t out[32], struct error *err);
int file_write_secret(const char *path, const uint8_t secret[32], int flags, struct error *err);

#endif
