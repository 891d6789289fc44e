/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/neighbour_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The one period of the VRF keys that a directory lists. */
enum { KEY_PERIOD = 0 };

unsigned neighbour_epochs(uint64_t now, uint32_t seconds, uint64_t epoch[2])
{
	uint64_t into = now % seconds;
	uint32_t tolerance = seconds / 2 < NEIGHBOUR_TOLERANCE ? seconds / 2 : NEIGHBOUR_TOLERANCE;

	epoch[0] = now / seconds;
	if (into < tolerance && epoch[0] > 0)
		epoch[1] = epoch[0] - 1;
	else if (into >= seconds - tolerance)
		epoch[1] = epoch[0] + 1;
	else
		return 1;
	return 2;
}

/* ---- from the directory and beta to the set */

static unsigned gather(const struct directory *d, unsigned node, unsigned layer,
	struct neighbour_candidate *out, unsigned *index)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->count; i++) {
		const struct directory_node *from = &d->nodes[i];
		struct neighbour_candidate *c = &out[n];

		if (i == node || from->layer != layer)
			continue;
		memcpy(c->id, from->identity_key, sizeof(c->id));
		c->weight = from->weight;
		memcpy(c->address, from->address, sizeof(c->address));
		c->addresses = from->addresses;
		c->family = from->family;
		index[n++] = i;
	}
	return n;
}

static int choose(const struct neighbour_epoch *e, const uint8_t beta[ECVRF_OUTPUT_SIZE],
	struct neighbour_set *set, struct error *err)
{
	const struct directory *d = e->directory;
	struct neighbour_candidate *candidates = calloc(d->count, sizeof(*candidates));
	unsigned *index = calloc(d->count, sizeof(*index)), chosen[NEIGHBOUR_MAX];
	int r = -ENOMEM;

	if (candidates && index) {
		unsigned n = gather(d, set->node, set->layer, candidates, index);

		r = neighbour_select(candidates, n, beta, e->epoch, chosen, &set->count, err);
	} else {
		error_set(err, ENOMEM, "not enough memory for the candidates among %u nodes",
			d->count);
	}
	for (unsigned i = 0; r == 0 && i < set->count; i++) {
		uint32_t at = index[chosen[i]];

		set->member[i] = at;
		set->bits[at / 64] |= UINT64_C(1) << at % 64;
	}
	free(index);
	free(candidates);
	return r;
}

static int check_epoch(const struct neighbour_epoch *e, unsigned node, struct error *err)
{
	if (node >= e->directory->count)
		return error_set(
			err, EINVAL, "node %u of a directory of %u", node, e->directory->count);
	if (e->seconds < NEIGHBOUR_SECONDS_MIN || e->seconds > NEIGHBOUR_SECONDS_MAX)
		return error_set(err, EINVAL, "neighbour epochs of %u s; %d to %d is allowed",
			e->seconds, NEIGHBOUR_SECONDS_MIN, NEIGHBOUR_SECONDS_MAX);
	return 0;
}

static void begin(
	struct neighbour_set *set, const struct neighbour_epoch *e, unsigned node, unsigned source)
{
	set->epoch = e->epoch;
	set->node = node;
	set->layer = neighbour_next_layer(e->directory, e->directory->nodes[node].layer);
	set->beacon_source = source;
}

/* ---- making */

static int check_keys(const struct directory_node *n, const struct ecvrf_key *key,
	const uint8_t identity[64], struct error *err)
{
	/* the second half of libsodium's secret key is the public key */
	if (memcmp(identity + 32, n->identity_key, 32) != 0)
		return error_set(err, EINVAL,
			"%s: the identity key is another than the directory's; use the key that "
			"was registered, or have the new one registered",
			n->name);
	if (memcmp(key->public, n->vrf_key, ECVRF_PUBLIC_SIZE) != 0)
		return error_set(err, EINVAL,
			"%s: the VRF key is another than the directory's; use the key that was "
			"registered, or have the new one registered",
			n->name);
	return 0;
}

static int make(const struct neighbour_epoch *e, unsigned node, const struct beacon *beacon,
	const struct ecvrf_key *key, const uint8_t identity[64],
	uint8_t record[NEIGHBOUR_RECORD_SIZE], struct neighbour_set *set, struct error *err)
{
	const struct directory *d = e->directory;
	struct neighbour_record r = {
		.head = {.suite = ECVRF_TAI,
			.beacon_source = beacon->source,
			.epoch_seconds = e->seconds,
			.scope = {.key_period = KEY_PERIOD, .epoch = e->epoch}}};
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	int ret = check_epoch(e, node, err);

	if (ret == 0)
		ret = check_keys(&d->nodes[node], key, identity, err);
	if (ret < 0)
		return ret;
	begin(set, e, node, beacon->source);
	r.layer = (uint8_t)set->layer;
	memcpy(r.directory_hash, d->hash, 32);
	memcpy(r.head.scope.network_id, d->network_id, 32);
	memcpy(r.head.scope.node_id, d->nodes[node].identity_key, 32);
	memcpy(r.head.scope.beacon, beacon->value, 32);
	ret = neighbour_record_make(&r, key, identity, record, beta, err);
	return ret < 0 ? ret : choose(e, beta, set, err);
}

int neighbour_set_make(const struct neighbour_epoch *e, unsigned node, const struct beacon *beacon,
	const struct ecvrf_key *key, const uint8_t identity[64],
	uint8_t record[NEIGHBOUR_RECORD_SIZE], struct neighbour_set *set, struct error *err)
{
	int r;

	memset(set, 0, sizeof(*set));
	memset(record, 0, NEIGHBOUR_RECORD_SIZE);
	r = make(e, node, beacon, key, identity, record, set, err);
	if (r < 0) {
		memset(set, 0, sizeof(*set));
		memset(record, 0, NEIGHBOUR_RECORD_SIZE);
	}
	return r;
}

/* ---- verifying */

static int check_beacon(const struct directory *d, const struct record_head *h,
	const struct neighbour_beacon *rule, struct error *err)
{
	struct beacon own;

	if (rule->any)
		return 0;
	if (h->beacon_source == BEACON_FILE) {
		if (!rule->file)
			return error_set(err, ENOENT,
				"neighbour record: its beacon is from a file, and none is known "
				"here to compare it with");
		own = *rule->file;
	} else {
		beacon_choose(&own, 0, NULL, 0, 0, d->network_id, d->hash);
	}
	if (memcmp(h->scope.beacon, own.value, 32) != 0)
		return error_set(err, ENOENT, "neighbour record: of another beacon than %s",
			h->beacon_source == BEACON_FILE ? "the file's" : "the directory's");
	return 0;
}

/* What would otherwise be the node's to choose, and so a choice among sets. */
static int check_fixed(
	const struct record_head *h, const struct neighbour_epoch *e, struct error *err)
{
	if (h->suite != ECVRF_TAI)
		return error_set(err, EINVAL, "neighbour record: suite %d; only %d is allowed",
			(int)h->suite, ECVRF_TAI);
	if (h->scope.key_period != KEY_PERIOD)
		return error_set(err, EINVAL,
			"neighbour record: key period %llu; only %d is allowed",
			(unsigned long long)h->scope.key_period, KEY_PERIOD);
	if (h->epoch_seconds != e->seconds)
		return error_set(err, EINVAL,
			"neighbour record: epochs of %u s; those of the network have %u",
			h->epoch_seconds, e->seconds);
	return 0;
}

static int verify(const struct neighbour_epoch *e, unsigned node,
	const struct neighbour_beacon *beacon, const uint8_t *record, size_t len,
	struct neighbour_set *set, struct error *err)
{
	const struct directory *d = e->directory;
	struct record_expect expect = {.epoch = &e->epoch};
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct neighbour_record r;
	int ret = check_epoch(e, node, err);

	if (ret < 0)
		return ret;
	begin(set, e, node, 0);
	memcpy(expect.network_id, d->network_id, 32);
	memcpy(expect.node_id, d->nodes[node].identity_key, 32);
	memcpy(expect.vrf_public, d->nodes[node].vrf_key, 32);
	ret = neighbour_record_verify(
		record, len, &expect, (uint8_t)set->layer, d->hash, &r, beta, err);
	if (ret == 0)
		ret = check_fixed(&r.head, e, err);
	if (ret == 0)
		ret = check_beacon(d, &r.head, beacon, err);
	if (ret < 0)
		return ret;
	set->beacon_source = r.head.beacon_source;
	return choose(e, beta, set, err);
}

int neighbour_set_verify(const struct neighbour_epoch *e, unsigned node,
	const struct neighbour_beacon *beacon, const uint8_t *record, size_t len,
	struct neighbour_set *set, struct error *err)
{
	int r;

	memset(set, 0, sizeof(*set));
	r = verify(e, node, beacon, record, len, set, err);
	if (r < 0)
		memset(set, 0, sizeof(*set));
	return r;
}
