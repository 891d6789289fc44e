/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit.h"
#include "core/file.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "vrf/epoch_record.h"
#include "vrf/neighbour_set.h"
#include "vrf/publish.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
enum {
	WAITING_MAX = 256,   /* epochs whose packets may still be under way */
	KEEP_RECORDS = 8640, /* a day of epochs of 10 s */
	KEEP_SETS = 48,
	PRUNE_EVERY = 64,
	BEACON_FILE_MAX = 256,
};

struct keys {
	struct ecvrf_key vrf;
	uint8_t identity[crypto_sign_SECRETKEYBYTES];
};

struct audit {
	const struct config *c;
	struct epoch_params params;
	struct keys *keys; /* locked; NULL when nothing is published */
	struct beacon beacon;
	bool have_beacon;
	struct directory *directory; /* with vrf.neighbours: the one that the sets are for */
	unsigned node;               /* our index in it */
	struct neighbour_set set[3]; /* of the epochs first, first + 1, first + 2 */
	uint64_t first_epoch;
	bool have_sets;
	uint64_t in_force[2]; /* epochs whose union the pipeline keeps to */
	struct betanet_epoch waiting[WAITING_MAX];
	unsigned count, published;
	char last_fault[ERROR_MAX];
};

/* The same fault every second is said once. */
static void complain(struct audit *a, const struct error *err)
{
	if (strcmp(a->last_fault, err->msg) == 0)
		return;
	snprintf(a->last_fault, sizeof(a->last_fault), "%s", err->msg);
	fprintf(stderr, "%s: %s\n", a->c->node.name, err->msg);
}

static int read_keys(struct audit *a, struct error *err)
{
	uint8_t *seed = secmem_alloc(32);
	int r;

	a->keys = secmem_alloc((sizeof(*a->keys) + 63) & ~(size_t)63);
	if (!seed || !a->keys) {
		secmem_free(seed);
		return error_set(err, ENOMEM, "no locked memory for the keys; raise `ulimit -l`");
	}
	r = file_read_secret(a->c->keys.identity_key_file, seed, err);
	if (r == 0)
		crypto_sign_seed_keypair(a->params.node_id, a->keys->identity, seed);
	if (r == 0)
		r = file_read_secret(a->c->keys.vrf_key_file, seed, err);
	if (r == 0)
		ecvrf_key_from_seed(&a->keys->vrf, seed);
	secmem_free(seed);
	return r;
}

/* The node's identity and the network's id, as the signed directory has them. */
static int check_identity(struct audit *a, struct error *err)
{
	const struct config *c = a->c;
	const struct directory_node *n;
	struct directory *d;
	int r = directory_load(
		c->directory.file, c->directory.authority, (uint64_t)time(NULL), &d, err);

	if (r < 0)
		return r;
	n = directory_find_name(d, c->node.name);
	if (!n || memcmp(n->identity_key, a->params.node_id, 32) != 0)
		r = error_set(err, EINVAL,
			"keys.identity_key_file = \"%s\": not the identity key that the directory "
			"%s has for node '%s'",
			c->keys.identity_key_file, c->directory.file, c->node.name);
	memcpy(a->params.network_id, d->network_id, 32);
	directory_free(d);
	return r;
}

int audit_create(const struct config *c, struct audit **out, struct error *err)
{
	struct audit *a;
	int r = 0;

	*out = NULL;
	if (c->vrf.publish_dir[0] == '\0' && c->vrf.beacon_file[0] == '\0')
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return error_set(err, ENOMEM, "not enough memory for the audit records");
	a->c = c;
	a->params.suite = c->vrf.suite == 0 ? ECVRF_TAI : ECVRF_ELL2;
	a->params.epoch_seconds = c->vrf.epoch_seconds;
	a->params.mean_ns = (uint64_t)(c->vrf.delay_variance_ms * 1e6);
	a->params.longest_ns = delay_longest(c->vrf.mode, a->params.mean_ns);
	a->params.tolerance_ns = EPOCH_TOLERANCE_NS;
	a->params.ticks_per_second = SECOND_NS;
	if (c->vrf.publish_dir[0]) {
		r = read_keys(a, err);
		if (r == 0)
			r = check_identity(a, err);
	}
	if (r < 0) {
		audit_free(a);
		return r;
	}
	*out = a;
	return 0;
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	secmem_free(a->keys);
	directory_free(a->directory);
	free(a);
}

static void read_beacon(struct audit *a, struct betanet *b)
{
	struct error err;
	uint8_t *text = NULL;
	size_t len;

	a->have_beacon = file_read(a->c->vrf.beacon_file, BEACON_FILE_MAX, &text, &len, &err) == 0;
	if (a->have_beacon)
		a->have_beacon = beacon_parse(&a->beacon, (const char *)text, &err) == 0;
	if (!a->have_beacon)
		complain(a, &err);
	betanet_beacon_set(b, a->have_beacon ? (const char *)text : NULL, err.msg);
	free(text);
}

/* ---- neighbours
 * ---------------------------------------------------------------------------------- */

/* Proves and publishes the set of one epoch. */
static int make_set(struct audit *a, uint64_t epoch, struct neighbour_set *set, struct error *err)
{
	const struct neighbour_epoch e = {a->directory, epoch, a->c->vrf.neighbour_seconds};
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct beacon beacon;
	int r;

	beacon_choose(&beacon, a->c->vrf.beacon_file[0] != '\0', a->have_beacon ? &a->beacon : NULL,
		(uint64_t)time(NULL), a->c->vrf.beacon_max_age_s, a->directory->network_id,
		a->directory->hash);
	r = neighbour_set_make(
		&e, a->node, &beacon, &a->keys->vrf, a->keys->identity, record, set, err);
	if (r == 0)
		r = publish_write(a->c->vrf.publish_dir, a->c->node.name, PUBLISH_NEIGHBOURS, epoch,
			record, sizeof(record), err);
	return r;
}

/* Of this epoch and of the next, which is so published a whole epoch ahead; of the epoch before as
 * long as it still holds. An epoch's set never changes while the directory stays. */
static int make_sets(struct audit *a, uint64_t present, bool previous, struct error *err)
{
	struct neighbour_set set[3];
	int r = 0;

	for (unsigned i = 0; i < 3 && r == 0; i++) {
		uint64_t epoch = present - 1 + i;

		if (a->have_sets && epoch >= a->first_epoch && epoch < a->first_epoch + 3)
			set[i] = a->set[epoch - a->first_epoch];
		else if (i == 0 && !previous)
			memset(&set[i], 0, sizeof(set[i]));
		else
			r = make_set(a, epoch, &set[i], err);
	}
	if (r < 0)
		return r;
	memcpy(a->set, set, sizeof(set));
	a->first_epoch = present - 1;
	a->have_sets = true;
	return publish_prune(
		a->c->vrf.publish_dir, a->c->node.name, PUBLISH_NEIGHBOURS, KEEP_SETS, NULL, err);
}

/* The pipeline keeps to the union of the sets that hold now: two around the boundary of epochs. */
static int apply_sets(struct audit *a, struct betanet *b, struct error *err)
{
	uint64_t epoch[2] = {0}, bits[DIRECTORY_MAX_NODES / 64] = {0};
	unsigned n = neighbour_epochs((uint64_t)time(NULL), a->c->vrf.neighbour_seconds, epoch);
	int r = 0;

	if (!a->have_sets || epoch[0] != a->first_epoch + 1)
		r = make_sets(a, epoch[0], n > 1 && epoch[1] < epoch[0], err);
	else if (memcmp(epoch, a->in_force, sizeof(epoch)) == 0)
		return 0;
	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		for (unsigned w = 0; w < DIRECTORY_MAX_NODES / 64; w++)
			bits[w] |= a->set[epoch[i] - a->first_epoch].bits[w];
	memcpy(a->in_force, epoch, sizeof(epoch));
	r = betanet_neighbours_set(b, a->directory->hash, bits, DIRECTORY_MAX_NODES / 64);
	return r < 0 ? error_set(err, -r,
			       "the neighbours' set is of another directory than the relay's")
		     : 0;
}

int audit_directory(struct audit *a, struct betanet *b, struct error *err)
{
	const struct directory_node *n;
	struct directory *d;
	int r;

	if (!a || !a->c->vrf.neighbours)
		return 0;
	r = directory_load(
		a->c->directory.file, a->c->directory.authority, (uint64_t)time(NULL), &d, err);
	if (r < 0)
		return r;
	n = directory_find_name(d, a->c->node.name);
	if (!n) {
		directory_free(d);
		return error_set(err, ENOENT,
			"node.name = \"%s\": the directory %s has no such node", a->c->node.name,
			a->c->directory.file);
	}
	directory_free(a->directory);
	a->directory = d;
	a->node = (unsigned)(n - d->nodes);
	a->have_sets = false;
	if (a->c->vrf.beacon_file[0])
		read_beacon(a, b);
	return apply_sets(a, b, err);
}

/* ---- epochs
 * -------------------------------------------------------------------------------------- */

/* Whether the record of a past epoch is to be published. -1: a beacon that came after the epoch is
 * still awaited. */
static int sampled(const struct audit *a, const struct betanet_epoch *e)
{
	uint64_t end = (e->epoch + 1) * a->params.epoch_seconds;

	if (a->c->vrf.publish_one_in == 1)
		return 1;
	if (!a->have_beacon || a->beacon.time < end)
		return -1;
	return epoch_is_sampled(
		a->beacon.value, a->params.node_id, e->epoch, a->c->vrf.publish_one_in);
}

/* 0: done with this epoch; -EAGAIN: later. */
static int publish(struct audit *a, const struct betanet_epoch *e, uint64_t now_ns)
{
	struct epoch_meta meta = {.epoch = e->epoch,
		.key_period = e->key_period,
		.beacon_source = (enum beacon_source)e->beacon_source,
		.proved = e->proved};
	uint8_t record[EPOCH_RECORD_SIZE];
	struct error err;
	int r, wanted = sampled(a, e);

	if (wanted <= 0)
		return wanted < 0 ? -EAGAIN : 0;
	memcpy(meta.vrf_public, e->vrf_public, sizeof(meta.vrf_public));
	memcpy(meta.beacon, e->beacon, sizeof(meta.beacon));
	r = epoch_record_make(&a->params, &meta, e->proved ? &a->keys->vrf : NULL,
		a->keys->identity, e->packets, now_ns, record, &err);
	if (r == 0)
		r = publish_write(a->c->vrf.publish_dir, a->c->node.name, PUBLISH_EPOCH, e->epoch,
			record, sizeof(record), &err);
	if (r < 0 && r != -EAGAIN)
		complain(a, &err);
	if (r == 0 && ++a->published % PRUNE_EVERY == 0 &&
		publish_prune(a->c->vrf.publish_dir, a->c->node.name, PUBLISH_EPOCH, KEEP_RECORDS,
			NULL, &err) < 0)
		complain(a, &err);
	/* a full disk may become free again; what a record cannot be made of never will */
	return r == -EINVAL || r == -EIO ? 0 : r;
}

static void publish_waiting(struct audit *a)
{
	struct timespec t;
	unsigned kept = 0;

	clock_gettime(CLOCK_REALTIME, &t);
	for (unsigned i = 0; i < a->count; i++)
		if (publish(a, &a->waiting[i],
			    (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec) < 0)
			a->waiting[kept++] = a->waiting[i];
	a->count = kept;
}

void audit_poll(struct audit *a, struct betanet *b)
{
	struct betanet_epoch e;
	struct error err;

	if (!a)
		return;
	if (a->c->vrf.beacon_file[0])
		read_beacon(a, b);
	if (!a->keys)
		return;
	if (a->directory && apply_sets(a, b, &err) < 0)
		complain(a, &err);
	while (betanet_epoch_take(b, &e)) {
		if (a->count ==
			WAITING_MAX) { /* the oldest was refused by the disk for all that time */
			memmove(a->waiting, a->waiting + 1,
				(WAITING_MAX - 1) * sizeof(a->waiting[0]));
			a->count--;
		}
		a->waiting[a->count++] = e;
	}
	publish_waiting(a);
}
