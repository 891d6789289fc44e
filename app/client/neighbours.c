/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbours.h"
#include "core/file.h"
#include "vrf/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { REASON_MAX = 256, REPORT_LINES = 5, BEACON_FILE_MAX = 4096 };

struct neighbours_node {
	bool valid, reported;
	char reason[REASON_MAX];
	struct neighbour_set set;
};

struct neighbours {
	struct neighbours_params params;
	struct beacon beacon; /* of the file, if there is one */
	uint64_t epoch[2];    /* that hold */
	unsigned epochs;      /* 0: nothing was read yet */
	uint64_t retry;       /* when to look for what is missing; UINT64_MAX: nothing is */
	struct neighbours_node node[];
};

int neighbours_create(const struct neighbours_params *p, struct neighbours **out, struct error *err)
{
	struct neighbours *n;

	*out = NULL;
	if (p->seconds < NEIGHBOUR_SECONDS_MIN || p->seconds > NEIGHBOUR_SECONDS_MAX)
		return error_set(err, EINVAL, "neighbour epochs of %u s; %d to %d are allowed",
			p->seconds, NEIGHBOUR_SECONDS_MIN, NEIGHBOUR_SECONDS_MAX);
	if (p->layers < 1 || p->layers > p->directory->layers)
		return error_set(err, EINVAL,
			"routes of %u hops inside neighbour sets; the directory's layers allow 1 "
			"to %u",
			p->layers, p->directory->layers);
	n = calloc(1, sizeof(*n) + p->directory->count * sizeof(n->node[0]));
	if (!n)
		return error_set(err, ENOMEM, "not enough memory for the sets of %u relays",
			p->directory->count);
	n->params = *p;
	*out = n;
	return 0;
}

void neighbours_free(struct neighbours *n)
{
	free(n);
}

static bool looked_at(const struct neighbours *n, unsigned node)
{
	return n->params.directory->nodes[node].layer <= n->params.layers;
}

/* ---- reading */

static int read_beacon(struct neighbours *n, struct error *err)
{
	struct error why = {0};
	uint8_t *text;
	size_t len;
	int r;

	if (!n->params.beacon)
		return 0;
	r = file_read(n->params.beacon, BEACON_FILE_MAX, &text, &len, err);
	if (r < 0)
		return r;
	r = strlen((char *)text) == len ? beacon_parse(&n->beacon, (char *)text, &why) : -EINVAL;
	free(text);
	return r < 0 ? error_set(err, EINVAL, "%s: %.300s", n->params.beacon,
			       why.msg[0] ? why.msg : "holds a zero byte")
		     : 0;
}

static int check_folder(const struct neighbours *n, struct error *err)
{
	struct stat st;

	if (stat(n->params.folder, &st) < 0)
		return error_set(
			err, errno, "--neighbours %s: %s", n->params.folder, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR,
			"--neighbours %s: not a folder; it holds the relays' records as "
			"NAME/EPOCH.neighbours",
			n->params.folder);
	return 0;
}

static int read_set(const struct neighbours *n, unsigned node, uint64_t epoch,
	struct neighbour_set *set, struct error *err)
{
	const struct neighbours_params *p = &n->params;
	const struct neighbour_epoch e = {p->directory, epoch, p->seconds};
	const struct neighbour_beacon beacon = {.file = p->beacon ? &n->beacon : NULL};
	uint8_t record[RECORD_MAX_SIZE];
	size_t len;
	int r = publish_read(p->folder, p->directory->nodes[node].name, PUBLISH_NEIGHBOURS, epoch,
		record, &len, err);

	if (r == -ENOENT)
		return error_set(err, ENOENT, "no record of epoch %" PRIu64, epoch);
	return r < 0 ? r : neighbour_set_verify(&e, node, &beacon, record, len, set, err);
}

static bool holds(const struct neighbours *n, uint64_t epoch)
{
	return epoch == n->epoch[0] || (n->epochs == 2 && epoch == n->epoch[1]);
}

/* The present epoch's record, else that of the other epoch that holds. */
static void refresh_node(struct neighbours *n, unsigned node)
{
	struct neighbours_node *x = &n->node[node];
	struct neighbour_set set;
	struct error err = {0};

	if (x->valid && x->set.epoch == n->epoch[0])
		return;
	if (read_set(n, node, n->epoch[0], &set, &err) == 0) {
		x->set = set;
		x->valid = true;
	} else if (!x->valid || !holds(n, x->set.epoch)) {
		x->valid = n->epochs == 2 && read_set(n, node, n->epoch[1], &x->set, NULL) == 0;
	}
	if (x->valid) {
		x->reported = false;
		x->reason[0] = '\0';
	} else {
		snprintf(x->reason, sizeof(x->reason), "%.*s", REASON_MAX - 1, err.msg);
	}
}

static void forget(struct neighbours *n)
{
	n->epochs = 0;
	for (unsigned i = 0; i < n->params.directory->count; i++)
		n->node[i].valid = false;
}

int neighbours_refresh(struct neighbours *n, uint64_t now, struct error *err)
{
	uint64_t epoch[2] = {0};
	unsigned epochs = neighbour_epochs(now, n->params.seconds, epoch);
	bool late = false;
	int r;

	if (epochs == n->epochs && memcmp(epoch, n->epoch, sizeof(epoch)) == 0 && now < n->retry)
		return 0;
	r = check_folder(n, err);
	if (r == 0)
		r = read_beacon(n, err);
	if (r < 0) {
		forget(n);
		return r;
	}
	memcpy(n->epoch, epoch, sizeof(epoch));
	n->epochs = epochs;
	for (unsigned i = 0; i < n->params.directory->count; i++) {
		if (!looked_at(n, i))
			continue;
		refresh_node(n, i);
		late = late || !n->node[i].valid || n->node[i].set.epoch != epoch[0];
	}
	n->retry = late ? now + NEIGHBOURS_RETRY : UINT64_MAX;
	return 0;
}

/* ---- what is known */

const struct neighbours_params *neighbours_params_of(const struct neighbours *n)
{
	return &n->params;
}

const struct neighbour_set *neighbours_of(const struct neighbours *n, unsigned node)
{
	return n->node[node].valid ? &n->node[node].set : NULL;
}

const char *neighbours_reason(const struct neighbours *n, unsigned node)
{
	return n->node[node].valid ? "" : n->node[node].reason;
}

unsigned neighbours_missing(const struct neighbours *n, unsigned *of)
{
	unsigned missing = 0, all = 0;

	for (unsigned i = 0; i < n->params.directory->count; i++) {
		all += looked_at(n, i);
		missing += looked_at(n, i) && !n->node[i].valid;
	}
	if (of)
		*of = all;
	return missing;
}

void neighbours_report(struct neighbours *n, FILE *out)
{
	unsigned fresh = 0, of, missing = neighbours_missing(n, &of);

	for (unsigned i = 0; n->epochs > 0 && i < n->params.directory->count; i++) {
		struct neighbours_node *x = &n->node[i];

		if (!looked_at(n, i) || x->valid || x->reported)
			continue;
		x->reported = true;
		if (fresh++ < REPORT_LINES)
			fprintf(out, "betanet-client: %s sits out: %s\n",
				n->params.directory->nodes[i].name, x->reason);
	}
	if (fresh > 0)
		fprintf(out,
			"betanet-client: %u of %u relays have no valid neighbour record of epoch "
			"%" PRIu64 " and sit out\n",
			missing, of, n->epoch[0]);
}

uint64_t neighbours_hold_until(const struct neighbours *n)
{
	const struct directory *d = n->params.directory;
	unsigned width[DIRECTORY_MAX_LAYER + 1] = {0};
	bool whole = true;

	for (unsigned i = 0; i < d->count; i++)
		width[d->nodes[i].layer]++;
	for (unsigned l = 2; l <= n->params.layers; l++)
		whole = whole && width[l] <= NEIGHBOUR_ALL;
	return whole ? UINT64_MAX : (n->epoch[0] + 1) * n->params.seconds;
}
