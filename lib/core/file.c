/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/file.h"
#include "core/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(
	int fd, const char *path, size_t max, uint8_t **data, size_t *len, struct error *err)
{
	size_t cap = 4096, n = 0;
	uint8_t *buf = malloc(cap + 1);

	while (buf) {
		ssize_t r = read(fd, buf + n, cap - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			int e = errno;

			free(buf);
			return error_set(err, e, "%s: cannot be read: %s", path, strerror(e));
		}
		n += (size_t)r;
		if (n > max) {
			free(buf);
			return error_set(
				err, EFBIG, "%s: larger than the %zu bytes allowed", path, max);
		}
		if (r == 0) {
			buf[n] = 0;
			*data = buf;
			*len = n;
			return 0;
		}
		if (n == cap) {
			uint8_t *more = realloc(buf, 2 * cap + 1);

			if (!more)
				free(buf);
			else
				cap *= 2;
			buf = more;
		}
	}
	return error_set(err, ENOMEM, "%s: not enough memory to read it", path);
}

int file_read(const char *path, size_t max, uint8_t **data, size_t *len, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return error_set(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	r = read_all(fd, path, max, data, len, err);
	close(fd);
	return r;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

void file_sync_folder(const char *path)
{
	char dir[4096];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!fsync(fd);
		close(fd);
	}
}

int file_write(
	const char *path, mode_t mode, const void *data, size_t len, int flags, struct error *err)
{
	char tmp[4096];
	int fd, r;

	if (!(flags & FILE_FORCE) && access(path, F_OK) == 0)
		return error_set(err, EEXIST, "%s: exists; it is replaced only with --force", path);
	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "%s: cannot be written: %s", path, strerror(errno));
	r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, data, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	/* link() refuses an existing name in the same step: nobody can slip a file in between */
	if (r == 0 && !(flags & FILE_FORCE)) {
		r = link(tmp, path) < 0 ? -errno : 0;
		unlink(tmp);
	} else if (r == 0) {
		r = rename(tmp, path) < 0 ? -errno : 0;
	}
	if (r < 0) {
		unlink(tmp);
		return error_set(err, -r, "%s: cannot be written: %s", path, strerror(-r));
	}
	file_sync_folder(path);
	return 0;
}

int file_read_secret(const char *path, uint8_t out[32], struct error *err)
{
	char text[66];
	struct stat st;
	size_t n = 0, bin = 0;
	ssize_t r;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return error_set(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && (st.st_mode & 077)) {
		close(fd);
		return error_set(err, EPERM,
			"%s: mode %04o lets others read a secret; mend it: chmod 600 %s", path,
			st.st_mode & 07777, path);
	}
	while (n < sizeof(text) && (r = read(fd, text + n, sizeof(text) - n)) > 0)
		n += (size_t)r;
	close(fd);
	if (n == 65 && text[64] == '\n')
		n = 64;
	/* sodium_hex2bin has no table and no branch on the digits' values */
	if (n != 64 || sodium_hex2bin(out, 32, text, n, NULL, &bin, NULL) < 0 || bin != 32) {
		sodium_memzero(out, 32);
		rc = error_set(err, EINVAL,
			"%s: not a secret of 64 hexadecimal digits and a newline; make one: "
			"betanet-keytool keygen",
			path);
	}
	sodium_memzero(text, sizeof(text));
	return rc;
}

int file_write_secret(const char *path, const uint8_t secret[32], int flags, struct error *err)
{
	char text[66];
	int r;

	sodium_bin2hex(text, 65, secret, 32);
	text[64] = '\n';
	r = file_write(path, 0600, text, 65, flags, err);
	sodium_memzero(text, sizeof(text));
	return r;
}
