/* SPDX-License-Identifier: BSD-3-Clause */
#include "blocks.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char title[] = "# betanet reply blocks; each works once\n";

enum { LINE_MAX_SIZE = 128 + 2 * SURB_MAX_SIZE };

int blocks_check(uint16_t version, size_t len, uint32_t payload_size)
{
	static const size_t per_hop[] = {SPHINX_PAYLOAD_KEY_SIZE, SPHINX_SEED_SIZE};
	const size_t fixed = SPHINX_HEADER_SIZE + SPHINX_ADDRESS_SIZE;
	size_t unit, keys;

	if (version < SPHINX_V258 || version > SPHINX_V260 || len <= fixed ||
		payload_size < SPHINX_PAYLOAD_OVERHEAD + MESSAGE_MIN_ROOM ||
		payload_size > SPHINX_PAYLOAD_MAX)
		return -EINVAL;
	unit = per_hop[version != SPHINX_V258];
	keys = len - fixed;
	if (keys % unit != 0 || keys / unit > SPHINX_MAX_HOPS)
		return -EINVAL;
	return version == SPHINX_V260 && keys != unit ? -EINVAL : 0;
}

int blocks_save(const char *path, const struct reply_block *blocks, size_t count, int flags,
	struct error *err)
{
	size_t cap = sizeof(title) + count * LINE_MAX_SIZE, used = sizeof(title) - 1;
	char *text = malloc(cap);
	int r;

	if (!text)
		return error_set(
			err, ENOMEM, "%s: not enough memory for %zu reply blocks", path, count);
	memcpy(text, title, used);
	for (size_t i = 0; i < count; i++) {
		const struct reply_block *b = &blocks[i];

		used += (size_t)snprintf(text + used, cap - used, "block %u %u ",
			(unsigned)b->version, b->payload_size);
		sodium_bin2hex(text + used, cap - used, b->answers, MESSAGE_ID_SIZE);
		used += 2 * MESSAGE_ID_SIZE;
		text[used++] = ' ';
		sodium_bin2hex(text + used, cap - used, b->data, b->len);
		used += 2 * b->len;
		text[used++] = '\n';
	}
	r = file_write(path, 0600, text, used, flags, err);
	sodium_memzero(text, used);
	free(text);
	return r;
}

static int parse_line(const char *line, size_t len, struct reply_block *b)
{
	unsigned version, payload;
	int used = 0;
	size_t got;

	/* sscanf stops at the blank behind each number: the line goes on or ends in '\n' or NUL */
	if (sscanf(line, "block %5u %7u %n", &version, &payload, &used) != 2 || used == 0 ||
		(size_t)used + 2 * MESSAGE_ID_SIZE + 1 >= len)
		return -EINVAL;
	if (sodium_hex2bin(b->answers, MESSAGE_ID_SIZE, line + used, 2 * MESSAGE_ID_SIZE, NULL,
		    &got, NULL) < 0 ||
		got != MESSAGE_ID_SIZE || line[used + 2 * MESSAGE_ID_SIZE] != ' ')
		return -EINVAL;
	used += 2 * MESSAGE_ID_SIZE + 1;
	if (sodium_hex2bin(b->data, sizeof(b->data), line + used, len - (size_t)used, NULL, &b->len,
		    NULL) < 0 ||
		version > UINT16_MAX || blocks_check((uint16_t)version, b->len, payload) < 0)
		return -EINVAL;
	b->version = (uint16_t)version;
	b->payload_size = payload;
	return 0;
}

static int parse(
	const char *path, const char *text, struct reply_block *b, size_t *count, struct error *err)
{
	unsigned line = 0;

	*count = 0;
	for (const char *p = text; *p; line++) {
		size_t len = strcspn(p, "\n");

		if (len > 0 && p[0] != '#') {
			if (parse_line(p, len, &b[*count]) < 0)
				return error_set(err, EINVAL,
					"%s:%u: not a reply block; a line is \"block VERSION "
					"PAYLOAD-SIZE ID HEX\", as betanet-client receive "
					"--save-reply-blocks writes it",
					path, line + 1);
			++*count;
		}
		p += len + (p[len] == '\n');
	}
	return 0;
}

int blocks_load(const char *path, struct reply_block **blocks, size_t *count, struct error *err)
{
	size_t len, lines = 1;
	uint8_t *text;
	int r = file_read(path, BLOCKS_MAX_FILE, &text, &len, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	*count = 0;
	*blocks = NULL;
	/* a line that is a block is longer than half a block: blank lines claim no memory for one
	 */
	if (lines > len / SPHINX_HEADER_SIZE + 2)
		lines = len / SPHINX_HEADER_SIZE + 2;
	*blocks = calloc(lines, sizeof(**blocks));
	r = *blocks ? parse(path, (const char *)text, *blocks, count, err)
		    : error_set(err, ENOMEM, "%s: not enough memory", path);
	sodium_memzero(text, len);
	free(text);
	if (r < 0) {
		blocks_free(*blocks, *count);
		*blocks = NULL;
	}
	return r;
}

void blocks_free(struct reply_block *blocks, size_t count)
{
	if (blocks)
		sodium_memzero(blocks, count * sizeof(*blocks));
	free(blocks);
}

/* The file is replaced by renaming, so the lock counts only if the name still leads to it. */
static int lock_file(const char *path, struct error *err)
{
	for (;;) {
		struct stat held, named;
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return error_set(
				err, errno, "%s: cannot be opened: %s", path, strerror(errno));
		if (flock(fd, LOCK_EX) < 0) {
			int code = errno;

			close(fd);
			return error_set(
				err, code, "%s: cannot be locked: %s", path, strerror(code));
		}
		if (fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
			held.st_ino == named.st_ino && held.st_dev == named.st_dev)
			return fd;
		close(fd);
	}
}

static int take_locked(const char *path, blocks_choose *choose, void *context,
	struct reply_block **taken, size_t *count, struct error *err)
{
	struct reply_block *all;
	size_t n, same = 0;
	int r = blocks_load(path, &all, &n, err), want;

	if (r < 0)
		return r;
	while (same < n && memcmp(all[same].answers, all[0].answers, MESSAGE_ID_SIZE) == 0 &&
		all[same].payload_size == all[0].payload_size)
		same++;
	want = n == 0 ? error_set(err, ENODATA,
				"%s: no reply block is left; each works once: ask the sender for "
				"more (send --reply-blocks N)",
				path)
		      : choose(context, all, same, err);
	r = want < 0 ? want : blocks_save(path, all + want, n - (size_t)want, FILE_FORCE, err);
	if (r < 0) {
		blocks_free(all, n);
		return r;
	}
	sodium_memzero(all + want, (n - (size_t)want) * sizeof(*all));
	*taken = all;
	*count = (size_t)want;
	return 0;
}

int blocks_take(const char *path, blocks_choose *choose, void *context, struct reply_block **taken,
	size_t *count, struct error *err)
{
	int fd = lock_file(path, err), r;

	if (fd < 0)
		return fd;
	r = take_locked(path, choose, context, taken, count, err);
	close(fd);
	return r;
}
