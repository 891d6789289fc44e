/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay/replay.h"
#include "core/file.h"
#include "core/secmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A fingerprint's home is the high part of fingerprint * slots, so that any number of lines will
 * do. It goes into the first empty slot of its home's cache line, from the home on and around; if
 * the line is full, of the next one. Slots are 3/2 of the capacity (12 bytes a tag), so that even
 * at the fullest most look-ups of a new tag read one line, which was prefetched.
 *
 * Nothing but the fingerprint is published by a slot, so all atomics are relaxed; an insert-only
 * table gives all threads the same first empty slot, where the compare-and-swap decides.
 *
 * The file: one page of header, then the slots, in the byte order of the host. All its blocks are
 * allocated before it is mapped, so that a full disk is an error at opening, never a SIGBUS later.
 * It is in use while `clean` is 0.
 */
struct header {
	char magic[8];
	uint32_t version;
	uint32_t clean; /* 1: closed in order */
	uint64_t capacity;
	uint64_t slots;
	uint64_t count; /* tags, valid when clean */
	uint8_t key_id[32];
	uint8_t siphash_key[crypto_shorthash_KEYBYTES];
	char boot_id[40];     /* of the machine's run in which it was opened last */
	uint8_t checksum[32]; /* BLAKE2b of all before */
};
_Static_assert(sizeof(struct header) <= 512, "written as one disk sector");
_Static_assert(sizeof(_Atomic uint64_t) == 8, "a slot of the file is a 64-bit word");

enum {
	PAGE = 4096,
	VERSION = 1,
	LINE = 8,          /* slots */
	SEARCH_MAX = 4096, /* longer than any search in a table of keyed hashes */
};
static const char magic[8] = "BNREPLAY";
#define CAPACITY_MIN UINT64_C(1024)
#define CAPACITY_MAX (UINT64_C(1) << 34)

/* What workers read, and apart from it the one word that they all write. */
struct replay {
	_Atomic uint64_t *slot;
	uint64_t slots, capacity;
	uint8_t siphash_key[crypto_shorthash_KEYBYTES];
	struct header *header; /* NULL without a file; then the map is `slot` */
	size_t map_size;
	int fd;
	_Alignas(64) _Atomic uint64_t count;
};

/* --- the hot path --- */

uint64_t replay_fingerprint(const struct replay *r, const uint8_t tag[32])
{
	uint64_t f;

	_Static_assert(crypto_shorthash_BYTES == sizeof(f), "SipHash-2-4");
	crypto_shorthash((unsigned char *)&f, tag, 32, r->siphash_key);
	return f ? f : 1;
}

static uint64_t home_of(uint64_t fingerprint, uint64_t slots)
{
	return (uint64_t)((unsigned __int128)fingerprint * slots >> 64);
}

/* The slot that comes n-th in the search from `home`. */
static uint64_t slot_at(uint64_t home, uint64_t n, uint64_t slots)
{
	uint64_t line = home / LINE * LINE + n / LINE * LINE;

	if (line >= slots)
		line -= slots;
	return line + (home + n) % LINE;
}

void replay_prefetch(const struct replay *r, uint64_t fingerprint)
{
	__builtin_prefetch(&r->slot[home_of(fingerprint, r->slots)], 1);
}

enum replay_result replay_check_and_set(struct replay *r, uint64_t fingerprint)
{
	uint64_t home = home_of(fingerprint, r->slots);
	bool reserved = false;

	for (uint64_t n = 0;; n++) {
		_Atomic uint64_t *slot = &r->slot[slot_at(home, n, r->slots)];
		uint64_t there = atomic_load_explicit(slot, memory_order_relaxed);

		/* count first, so that no number of threads can exceed the capacity */
		if (there == 0 && !reserved) {
			if (atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed) >=
				r->capacity) {
				atomic_fetch_sub_explicit(&r->count, 1, memory_order_relaxed);
				return REPLAY_FULL;
			}
			reserved = true;
		}
		if (there == 0 && atomic_compare_exchange_strong_explicit(slot, &there, fingerprint,
					  memory_order_relaxed, memory_order_relaxed))
			return REPLAY_NEW;
		if (there == fingerprint) {
			if (reserved)
				atomic_fetch_sub_explicit(&r->count, 1, memory_order_relaxed);
			return REPLAY_SEEN;
		}
	}
}

/* --- sizes --- */

static uint64_t slots_for(uint64_t capacity)
{
	/* never full, so that a search ends */
	return (capacity + capacity / 2 + LINE) / LINE * LINE;
}

uint64_t replay_memory(uint64_t capacity)
{
	return PAGE + (slots_for(capacity) * sizeof(uint64_t) + PAGE - 1) / PAGE * PAGE;
}

uint64_t replay_count(const struct replay *r)
{
	return atomic_load_explicit(&r->count, memory_order_relaxed);
}

uint64_t replay_capacity(const struct replay *r)
{
	return r->capacity;
}

/* --- the header --- */

static void seal(struct header *h)
{
	crypto_generichash(h->checksum, sizeof(h->checksum), (const uint8_t *)h,
		offsetof(struct header, checksum), NULL, 0);
}

static bool sealed(const struct header *h)
{
	uint8_t sum[sizeof(h->checksum)];

	crypto_generichash(
		sum, sizeof(sum), (const uint8_t *)h, offsetof(struct header, checksum), NULL, 0);
	return sodium_memcmp(sum, h->checksum, sizeof(sum)) == 0;
}

static void key_id_of(uint8_t id[32], const uint8_t public_key[32])
{
	crypto_generichash(id, 32, public_key, 32, NULL, 0);
}

static int read_boot_id(char id[40], struct error *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	memset(id, 0, 40);
	if (fd < 0)
		return error_set(err, errno, "%s: cannot be opened: %s; is /proc mounted?", path,
			strerror(errno));
	n = read(fd, id, 36);
	close(fd);
	return n == 36 ? 0 : error_set(err, EIO, "%s: not a boot id of 36 characters", path);
}

static int write_at_start(int fd, const void *data, size_t n)
{
	const char *p = data;
	off_t at = 0;

	while (n > 0) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		p += w;
		at += w;
		n -= (size_t)w;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* --- making the file --- */

static int fill_new(int fd, const struct replay_params *p, const char *boot_id)
{
	struct header h = {.version = VERSION,
		.clean = 1,
		.capacity = p->capacity,
		.slots = slots_for(p->capacity)};
	int r;

	memcpy(h.magic, magic, sizeof(h.magic));
	memcpy(h.boot_id, boot_id, sizeof(h.boot_id));
	key_id_of(h.key_id, p->public_key);
	randombytes_buf(h.siphash_key, sizeof(h.siphash_key));
	seal(&h);
	r = -posix_fallocate(fd, 0, (off_t)replay_memory(p->capacity));
	if (r == 0)
		r = write_at_start(fd, &h, sizeof(h));
	sodium_memzero(&h, sizeof(h));
	return r;
}

/* A complete file appears under its name or none does. 0 also if another process was faster. */
static int make_file(const struct replay_params *p, const char *boot_id, struct error *err)
{
	char tmp[4096];
	int fd, r;

	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", p->path) >= (int)sizeof(tmp))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", p->path);
	fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return error_set(err, errno, "%s: cannot be made: %s", p->path, strerror(errno));
	r = fill_new(fd, p, boot_id);
	if (r == 0 && link(tmp, p->path) < 0 && errno != EEXIST)
		r = -errno;
	unlink(tmp);
	close(fd);
	if (r < 0)
		return error_set(err, -r,
			"%s: the replay table of %" PRIu64 " bytes cannot be made: %s; "
			"free some space or lower replay.capacity",
			p->path, replay_memory(p->capacity), strerror(-r));
	file_sync_folder(p->path);
	return 0;
}

/* --- opening the file --- */

static int check_inode(int fd, const struct replay_params *p, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(
			err, errno, "%s: cannot be examined: %s", p->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s: not a regular file", p->path);
	if (st.st_mode & 077)
		return error_set(err, EPERM,
			"%s: mode %04o lets others read or write the replay table; mend it: "
			"chmod 600 %s",
			p->path, st.st_mode & 07777, p->path);
	if ((uint64_t)st.st_size != replay_memory(p->capacity))
		return error_set(err, EINVAL,
			"%s: %jd bytes, but a replay table of capacity %" PRIu64 " has %" PRIu64
			": truncated, or made with another replay.capacity; a new capacity takes "
			"a new Sphinx key",
			p->path, (intmax_t)st.st_size, p->capacity, replay_memory(p->capacity));
	return 0;
}

static int check_header(const struct header *h, const struct replay_params *p, const char *boot_id,
	struct error *err)
{
	uint8_t id[32];

	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return error_set(err, EINVAL, "%s: not a replay table", p->path);
	if (h->version != VERSION)
		return error_set(err, EINVAL,
			"%s: replay table of version %" PRIu32 "; this program reads version %d",
			p->path, h->version, VERSION);
	if (!sealed(h))
		return error_set(err, EINVAL,
			"%s: the header is damaged (checksum); make a new Sphinx key: "
			"betanet-keytool keygen",
			p->path);
	key_id_of(id, p->public_key);
	if (sodium_memcmp(id, h->key_id, sizeof(id)) != 0)
		return error_set(err, EINVAL,
			"%s: the replay table of another Sphinx key; each key has its own file",
			p->path);
	if (h->capacity != p->capacity || h->slots != slots_for(p->capacity))
		return error_set(err, EINVAL,
			"%s: made for %" PRIu64 " tags, but replay.capacity is %" PRIu64, p->path,
			h->capacity, p->capacity);
	if (!h->clean && memcmp(h->boot_id, boot_id, sizeof(h->boot_id)) != 0)
		return error_set(err, ESTALE,
			"%s: the machine stopped while the replay table was open; tags may be "
			"lost, and packets of this key could be accepted twice: make a new Sphinx "
			"key (betanet-keytool keygen) and remove this file",
			p->path);
	return 0;
}

/* Whether a search for the tag in slot i gets there. */
static bool reachable(const struct replay *r, uint64_t i)
{
	uint64_t home = home_of(r->slot[i], r->slots);

	for (uint64_t n = 0; n < SEARCH_MAX; n++) {
		uint64_t at = slot_at(home, n, r->slots);

		if (at == i)
			return true;
		if (r->slot[at] == 0)
			return false;
	}
	return false;
}

/* Lost or overwritten blocks show in the count, or in tags that no search would reach. */
static int count_tags(struct replay *r, const char *path, struct error *err)
{
	const struct header *h = r->header;
	uint64_t count = 0;
	bool good;

	for (uint64_t i = 0; i < r->slots; i++)
		count += r->slot[i] != 0;
	good = count <= r->capacity && (!h->clean || count == h->count);
	for (uint64_t i = 0; good && i < r->slots; i++)
		good = r->slot[i] == 0 || reachable(r, i);
	if (!good)
		return error_set(err, EINVAL,
			"%s: the replay table's content is damaged; make a new Sphinx key "
			"(betanet-keytool keygen) and remove this file",
			path);
	atomic_store_explicit(&r->count, count, memory_order_relaxed);
	return 0;
}

static int map_file(
	struct replay *r, const struct replay_params *p, const char *boot_id, struct error *err)
{
	int e = check_inode(r->fd, p, err);
	void *map;

	if (e < 0)
		return e;
	map = mmap(NULL, r->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (map == MAP_FAILED)
		return error_set(err, errno, "%s: cannot be mapped: %s", p->path, strerror(errno));
	r->header = map;
	r->slot = (_Atomic uint64_t *)((char *)map + PAGE);
	e = check_header(r->header, p, boot_id, err);
	if (e == 0)
		e = count_tags(r, p->path, err);
	if (e < 0)
		return e;
	/* a copied file may have holes; this fills them and leaves the data alone */
	e = posix_fallocate(r->fd, 0, (off_t)r->map_size);
	return e ? error_set(err, e, "%s: %zu bytes cannot be allocated: %s", p->path, r->map_size,
			   strerror(e))
		 : 0;
}

static int open_file(struct replay *r, const struct replay_params *p, struct error *err)
{
	char boot_id[40];
	int e = read_boot_id(boot_id, err);

	if (e < 0)
		return e;
	if (access(p->path, F_OK) < 0 && errno == ENOENT) {
		e = make_file(p, boot_id, err);
		if (e < 0)
			return e;
	}
	r->fd = open(p->path, O_RDWR | O_CLOEXEC);
	if (r->fd < 0)
		return error_set(err, errno, "%s: cannot be opened: %s", p->path, strerror(errno));
	if (flock(r->fd, LOCK_EX | LOCK_NB) < 0) {
		e = errno == EWOULDBLOCK ? EBUSY : errno;
		return error_set(err, e, "%s: %s", p->path,
			e == EBUSY ? "another process has this replay table open; each relay needs "
				     "its own key and file"
				   : strerror(e));
	}
	e = map_file(r, p, boot_id, err);
	if (e < 0)
		return e;
	memcpy(r->siphash_key, r->header->siphash_key, sizeof(r->siphash_key));
	memcpy(r->header->boot_id, boot_id, sizeof(boot_id));
	r->header->clean = 0;
	seal(r->header);
	/* on the disk before the first tag: else a crash would leave a file that says `clean` */
	if (msync(r->header, PAGE, MS_SYNC) < 0) {
		e = errno;
		return error_set(err, e, "%s: cannot be written: %s", p->path, strerror(e));
	}
	return 0;
}

/* Present before the first packet: a worker shall not wait for the kernel to zero a page. */
static int populate(void *map, size_t n)
{
	(void)madvise(map, n, MADV_HUGEPAGE);
	(void)madvise(map, n, MADV_DONTDUMP);
	if (madvise(map, n, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	for (size_t i = 0; i < n; i += PAGE) /* Linux before 5.14 */
		((volatile char *)map)[i] = 0;
	return 0;
}

static int open_memory(struct replay *r, struct error *err)
{
	void *map =
		mmap(NULL, r->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int e = map == MAP_FAILED ? -errno : 0;

	if (e == 0) {
		r->slot = map;
		e = populate(map, r->map_size);
	}
	if (e < 0)
		return error_set(err, ENOMEM,
			"replay: %zu bytes of memory for %" PRIu64
			" tags are not available (%s): lower replay.capacity",
			r->map_size, r->capacity, strerror(-e));
	randombytes_buf(r->siphash_key, sizeof(r->siphash_key));
	return 0;
}

static void release(struct replay *r)
{
	void *map = r->header ? (void *)r->header : (void *)r->slot;

	if (map)
		munmap(map, r->map_size);
	if (r->fd >= 0)
		close(r->fd); /* ends the lock */
	secmem_free(r);
}

int replay_open(const struct replay_params *p, struct replay **out, struct error *err)
{
	struct replay *r;
	int e;

	if (p->capacity < CAPACITY_MIN || p->capacity > CAPACITY_MAX)
		return error_set(err, EINVAL,
			"replay.capacity is %" PRIu64 " tags; allowed are 1024 to 2^34",
			p->capacity);
	if (p->path && !p->public_key)
		return error_set(err, EINVAL,
			"%s: a replay table's file needs the Sphinx key that its tags belong to",
			p->path);
	r = secmem_alloc(sizeof(*r));
	if (!r)
		return error_set(err, ENOMEM,
			"replay: no locked memory for the table's key; raise `ulimit -l`");
	r->fd = -1;
	r->capacity = p->capacity;
	r->slots = slots_for(p->capacity);
	r->map_size = replay_memory(p->capacity);
	e = p->path ? open_file(r, p, err) : open_memory(r, err);
	if (e < 0) {
		release(r);
		return e;
	}
	*out = r;
	return 0;
}

void replay_close(struct replay *r)
{
	if (!r)
		return;
	/* the slots must be on the disk before the header says that they are */
	if (r->header && msync(r->header, r->map_size, MS_SYNC) == 0 && fsync(r->fd) == 0) {
		r->header->count = replay_count(r);
		r->header->clean = 1;
		seal(r->header);
		(void)msync(r->header, PAGE, MS_SYNC);
	}
	release(r);
}
