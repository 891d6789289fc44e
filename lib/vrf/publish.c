/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/publish.h"
#include "core/file.h"
#include "directory/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const suffix[PUBLISH_KINDS] = {
	[PUBLISH_NEIGHBOURS] = ".neighbours",
	[PUBLISH_EPOCH] = ".epoch",
};

static const char name_chars[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/* ---- paths */

/* A name must stay inside `dir`, whoever it comes from. */
static int check_name(const char *node, struct error *err)
{
	size_t len = strlen(node);

	if (len == 0 || len >= DIRECTORY_NAME_MAX || strspn(node, name_chars) != len ||
		strcmp(node, ".") == 0 || strcmp(node, "..") == 0)
		return error_set(err, EINVAL,
			"%.80s: no name for a folder of records; 1 to %d of A-Z a-z 0-9 . _ - are "
			"allowed, but not . or ..",
			node, DIRECTORY_NAME_MAX - 1);
	return 0;
}

static int folder_path(
	char out[PUBLISH_PATH_MAX], const char *dir, const char *node, struct error *err)
{
	int r = check_name(node, err);

	if (r < 0)
		return r;
	if (snprintf(out, PUBLISH_PATH_MAX, "%s/%s", dir, node) >= PUBLISH_PATH_MAX)
		return error_set(err, ENAMETOOLONG, "%.80s...: the path is too long", dir);
	return 0;
}

int publish_path(char out[PUBLISH_PATH_MAX], const char *dir, const char *node,
	enum publish_kind kind, uint64_t epoch, struct error *err)
{
	int r = folder_path(out, dir, node, err);
	size_t n;

	if (r < 0)
		return r;
	n = strlen(out);
	if (snprintf(out + n, PUBLISH_PATH_MAX - n, "/%" PRIu64 "%s", epoch, suffix[kind]) >=
		(int)(PUBLISH_PATH_MAX - n))
		return error_set(err, ENAMETOOLONG, "%.80s...: the path is too long", dir);
	return 0;
}

enum entry { ENTRY_OTHER, ENTRY_RECORD, ENTRY_TEMPORARY };

/* "<epoch><suffix>" in its one spelling, or that with the "." and six letters of file_write. */
static enum entry classify(const char *name, enum publish_kind kind, uint64_t *epoch)
{
	size_t digits = strspn(name, "0123456789"), n = strlen(suffix[kind]);
	const char *rest = name + digits;

	if (digits == 0 || (digits > 1 && name[0] == '0') || strncmp(rest, suffix[kind], n) != 0)
		return ENTRY_OTHER;
	errno = 0;
	*epoch = strtoull(name, NULL, 10);
	if (errno)
		return ENTRY_OTHER;
	rest += n;
	if (*rest == '\0')
		return ENTRY_RECORD;
	return *rest == '.' && strlen(rest) == 7 ? ENTRY_TEMPORARY : ENTRY_OTHER;
}

/* ---- writing */

static int make_folder(const char *path, struct error *err)
{
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0
				       : error_set(err, errno, "%s: cannot be made: %s", path,
						 strerror(errno));
	/* whatever the umask: a web server must get in */
	if (chmod(path, 0755) < 0)
		return error_set(
			err, errno, "%s: mode 0755 cannot be set: %s", path, strerror(errno));
	file_sync_folder(path);
	return 0;
}

int publish_write(const char *dir, const char *node, enum publish_kind kind, uint64_t epoch,
	const void *record, size_t len, struct error *err)
{
	char path[PUBLISH_PATH_MAX];
	int r = folder_path(path, dir, node, err);

	if (r < 0)
		return r;
	if (len < 1 || len > RECORD_MAX_SIZE)
		return error_set(err, EINVAL, "%s: a record of %zu bytes; 1 to %d are allowed",
			path, len, RECORD_MAX_SIZE);
	r = make_folder(path, err);
	if (r == 0)
		r = publish_path(path, dir, node, kind, epoch, err);
	return r < 0 ? r : file_write(path, 0644, record, len, FILE_FORCE, err);
}

/* ---- reading */

static int read_record(
	int fd, const char *path, uint8_t record[RECORD_MAX_SIZE], size_t *len, struct error *err)
{
	uint8_t buf[RECORD_MAX_SIZE + 1];
	size_t n = 0;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s: not a regular file", path);
	while (n < sizeof(buf)) {
		ssize_t r = read(fd, buf + n, sizeof(buf) - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_set(
				err, errno, "%s: cannot be read: %s", path, strerror(errno));
		if (r == 0)
			break;
		n += (size_t)r;
	}
	if (n > RECORD_MAX_SIZE)
		return error_set(err, EFBIG, "%s: longer than any record: at most %d bytes", path,
			RECORD_MAX_SIZE);
	memcpy(record, buf, n);
	*len = n;
	return 0;
}

int publish_read(const char *dir, const char *node, enum publish_kind kind, uint64_t epoch,
	uint8_t record[RECORD_MAX_SIZE], size_t *len, struct error *err)
{
	char path[PUBLISH_PATH_MAX];
	int r = publish_path(path, dir, node, kind, epoch, err), fd;

	*len = 0;
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	r = read_record(fd, path, record, len, err);
	close(fd);
	return r;
}

/* ---- the folder */

struct listing {
	const char *path;
	enum publish_kind kind;
	bool sweep; /* remove temporary files */
	unsigned removed;
	uint64_t *epochs;
	size_t count, room;
};

static int add(struct listing *l, uint64_t epoch, struct error *err)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		uint64_t *more = realloc(l->epochs, room * sizeof(*more));

		if (!more)
			return error_set(err, ENOMEM, "%s: not enough memory to list it", l->path);
		l->epochs = more;
		l->room = room;
	}
	l->epochs[l->count++] = epoch;
	return 0;
}

static int remove_entry(struct listing *l, int fd, const char *name, struct error *err)
{
	if (unlinkat(fd, name, 0) == 0)
		l->removed++;
	else if (errno != ENOENT)
		return error_set(
			err, errno, "%s/%s: cannot be removed: %s", l->path, name, strerror(errno));
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int walk(struct listing *l, DIR *folder, struct error *err)
{
	struct dirent *e;
	int r = 0;

	for (errno = 0; r == 0 && (e = readdir(folder)); errno = 0) {
		uint64_t epoch;
		enum entry is = classify(e->d_name, l->kind, &epoch);

		if (is == ENTRY_RECORD)
			r = add(l, epoch, err);
		else if (is == ENTRY_TEMPORARY && l->sweep)
			r = remove_entry(l, dirfd(folder), e->d_name, err);
	}
	if (r == 0 && errno)
		return error_set(err, errno, "%s: cannot be listed: %s", l->path, strerror(errno));
	if (l->count > 1)
		qsort(l->epochs, l->count, sizeof(*l->epochs), by_value);
	return r;
}

static int open_folder(const char *path, DIR **folder, struct error *err)
{
	*folder = opendir(path);
	return *folder ? 0
		       : error_set(err, errno, "%s: cannot be listed: %s", path, strerror(errno));
}

int publish_list(const char *dir, const char *node, enum publish_kind kind, uint64_t **epochs,
	size_t *count, struct error *err)
{
	char path[PUBLISH_PATH_MAX];
	struct listing l = {.path = path, .kind = kind};
	DIR *folder;
	int r = folder_path(path, dir, node, err);

	*epochs = NULL;
	*count = 0;
	if (r == 0)
		r = open_folder(path, &folder, err);
	if (r < 0)
		return r;
	r = walk(&l, folder, err);
	closedir(folder);
	if (r < 0) {
		free(l.epochs);
		return r;
	}
	*epochs = l.epochs;
	*count = l.count;
	return 0;
}

static int remove_old(struct listing *l, int fd, unsigned keep, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i + keep < l->count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%" PRIu64 "%s", l->epochs[i], suffix[l->kind]);
		r = remove_entry(l, fd, name, err);
	}
	return r;
}

int publish_prune(const char *dir, const char *node, enum publish_kind kind, unsigned keep,
	unsigned *removed, struct error *err)
{
	char path[PUBLISH_PATH_MAX];
	struct listing l = {.path = path, .kind = kind, .sweep = true};
	DIR *folder;
	int r = folder_path(path, dir, node, err);

	if (removed)
		*removed = 0;
	if (r == 0 && keep < 1)
		r = error_set(err, EINVAL, "%s: at least 1 record must be kept", path);
	if (r == 0)
		r = open_folder(path, &folder, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = walk(&l, folder, err);
	if (r == 0)
		r = remove_old(&l, dirfd(folder), keep, err);
	closedir(folder);
	free(l.epochs);
	if (removed)
		*removed = l.removed;
	return r;
}
