/* SPDX-License-Identifier: BSD-3-Clause */
#include "traffic_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/secmem.h"

static const char magic[16] = "betanet-testmix1";

struct header {
	char magic[16];
	struct mixnet_keys keys;
	uint8_t digest_key[16];
	uint64_t payload_size, frame_size;
	double bad, replayed, cover, mean_delay_ms;
	uint64_t counts[TRAFFIC_KINDS], packet_count, slot_count, longest_ns;
	/* then packets, slots, frames */
};

static size_t size_of(const struct header *h)
{
	return sizeof(*h) + h->packet_count * (sizeof(struct traffic_packet) + h->frame_size) +
	       h->slot_count * sizeof(struct traffic_slot);
}

static int file_error(const char *path, struct error *err)
{
	int code = errno ? errno : EIO;

	return error_set(err, code, "--store %s: %s", path, strerror(code));
}

/* Opens it and reads its header. NULL without an error when there is no file. */
static int open_store(const char *path, FILE **out, struct header *h, struct error *err)
{
	struct stat st;

	*out = fopen(path, "re");
	if (!*out)
		return errno == ENOENT ? 0 : file_error(path, err);
	if (fread(h, sizeof(*h), 1, *out) == 1 && memcmp(h->magic, magic, sizeof(magic)) == 0 &&
		h->packet_count <= UINT32_MAX && h->slot_count <= 2 * h->packet_count &&
		h->frame_size <= UINT16_MAX && fstat(fileno(*out), &st) == 0 &&
		(size_t)st.st_size == size_of(h) && h->keys.hops >= 1 &&
		h->keys.hops <= SPHINX_MAX_HOPS)
		return 0;
	fclose(*out);
	*out = NULL;
	return error_set(err, EINVAL,
		"--store %s: no packets of betanet-testmix, or cut off; remove it or name another "
		"file",
		path);
}

int traffic_store_keys(const char *path, struct mixnet_keys *keys, bool *there, struct error *err)
{
	struct header *h = secmem_alloc(sizeof(*h));
	FILE *f = NULL;
	int rc = h ? open_store(path, &f, h, err)
		   : error_set(err, ENOMEM, "no locked memory for a key; raise `ulimit -l`");

	*there = f != NULL;
	if (f) {
		*keys = h->keys;
		fclose(f);
	}
	secmem_free(h);
	return rc;
}

static bool as_wanted(const struct traffic *t, const struct cli_options *o, const struct header *h)
{
	return h->counts[TRAFFIC_GOOD] == o->packets && h->bad == o->bad &&
	       h->replayed == o->replayed && h->cover == o->cover &&
	       h->mean_delay_ms == o->mean_delay_ms && h->payload_size == t->payload_size &&
	       h->frame_size == t->frame_size && h->keys.hops == t->network->keys.hops &&
	       sodium_memcmp(h->keys.secret, t->network->keys.secret, 32) == 0;
}

/* Indices that lead elsewhere would be followed. */
static bool sound(const struct traffic *t)
{
	for (uint64_t i = 0; i < t->slot_count; i++)
		if (t->slots[i].packet >= t->packet_count)
			return false;
	for (uint64_t i = 0; i < t->packet_count; i++)
		if ((unsigned)t->packets[i].kind >= TRAFFIC_REPLAYED)
			return false;
	return true;
}

static int read_all(struct traffic *t, const struct cli_options *o, const struct header *h, FILE *f,
	const char *path, struct error *err)
{
	int rc = traffic_allocate(t, o, err);

	if (rc)
		return rc;
	if (t->packet_count == h->packet_count && t->slot_count == h->slot_count &&
		fread(t->packets, sizeof(*t->packets), t->packet_count, f) == t->packet_count &&
		fread(t->slots, sizeof(*t->slots), t->slot_count, f) == t->slot_count &&
		fread(t->frames, t->frame_size, t->packet_count, f) == t->packet_count &&
		sound(t)) {
		memcpy(t->digest_key, h->digest_key, sizeof(t->digest_key));
		t->longest_ns = h->longest_ns;
		return 0;
	}
	traffic_discard(t);
	return error_set(err, EINVAL, "--store %s: damaged; remove it", path);
}

int traffic_store_load(struct traffic *t, const struct cli_options *o, const char *path,
	bool *loaded, struct error *err)
{
	struct header *h = secmem_alloc(sizeof(*h));
	FILE *f = NULL;
	int rc = h ? open_store(path, &f, h, err)
		   : error_set(err, ENOMEM, "no locked memory for a key; raise `ulimit -l`");

	*loaded = false;
	if (f && as_wanted(t, o, h)) {
		rc = read_all(t, o, h, f, path, err);
		*loaded = !rc;
	}
	if (f)
		fclose(f);
	secmem_free(h);
	return rc;
}

static bool write_all(const struct traffic *t, const struct header *h, FILE *f)
{
	return fwrite(h, sizeof(*h), 1, f) == 1 &&
	       fwrite(t->packets, sizeof(*t->packets), t->packet_count, f) == t->packet_count &&
	       fwrite(t->slots, sizeof(*t->slots), t->slot_count, f) == t->slot_count &&
	       fwrite(t->frames, t->frame_size, t->packet_count, f) == t->packet_count;
}

int traffic_store_save(const struct traffic *t, const char *path, struct error *err)
{
	struct header *h = secmem_alloc(sizeof(*h));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!h)
		rc = error_set(err, ENOMEM, "no locked memory for a key; raise `ulimit -l`");
	else if (!f)
		rc = file_error(path, err);
	if (!rc) {
		memset(h, 0, sizeof(*h));
		memcpy(h->magic, magic, sizeof(magic));
		h->keys = t->network->keys;
		memcpy(h->digest_key, t->digest_key, sizeof(h->digest_key));
		h->payload_size = t->payload_size;
		h->frame_size = t->frame_size;
		h->bad = t->bad;
		h->replayed = t->replayed;
		h->cover = t->cover;
		h->mean_delay_ms = t->mean_delay_ms;
		memcpy(h->counts, t->counts, sizeof(h->counts));
		h->packet_count = t->packet_count;
		h->slot_count = t->slot_count;
		h->longest_ns = t->longest_ns;
		if (!write_all(t, h, f))
			rc = file_error(path, err);
	}
	if (f ? fclose(f) && !rc : 0)
		rc = file_error(path, err);
	secmem_free(h);
	return rc;
}
