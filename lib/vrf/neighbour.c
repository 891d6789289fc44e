/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/neighbour.h"
#include "core/bytes.h"
#include "vrf/delay.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 neighbour_wide;

/* ---- selection */

unsigned neighbour_degree(unsigned n)
{
	/* floor(e^(d/4)) for d = 17, 18, … 34 */
	static const unsigned most[] = {70, 90, 115, 148, 190, 244, 314, 403, 518, 665, 854, 1096,
		1408, 1808, 2321, 2980, 3827, 4914};
	unsigned i = 0;

	if (n <= NEIGHBOUR_ALL)
		return n;
	if (n > NEIGHBOUR_MAX_CANDIDATES)
		return 0;
	while (n > most[i])
		i++;
	return 17 + i;
}

struct rank {
	uint64_t exp; /* E_j */
	const struct neighbour_candidate *candidate;
};

static int by_exp_over_weight(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;
	neighbour_wide left = (neighbour_wide)x->exp * y->candidate->weight;
	neighbour_wide right = (neighbour_wide)y->exp * x->candidate->weight;

	if (left != right)
		return left < right ? -1 : 1;
	return memcmp(x->candidate->id, y->candidate->id, 32);
}

static int by_id(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	return memcmp(x->candidate->id, y->candidate->id, 32);
}

static int check_candidate(const struct neighbour_candidate *c, struct error *err)
{
	if (c->weight == 0)
		return error_set(err, EINVAL, "neighbours: a candidate of weight 0; at least 1");
	if (c->addresses < 1 || c->addresses > 2)
		return error_set(err, EINVAL, "neighbours: a candidate with %u addresses; 1 or 2",
			c->addresses);
	for (unsigned i = 0; i < c->addresses; i++)
		if (c->address[i].family != 4 && c->address[i].family != 6)
			return error_set(err, EINVAL,
				"neighbours: an address of family %u; 4 or 6 is allowed",
				c->address[i].family);
	return 0;
}

/* Sorts by id on the way, to see two of one id. */
static int check_all(struct rank *ranks, unsigned n, struct error *err)
{
	for (unsigned i = 0; i < n; i++) {
		int r = check_candidate(ranks[i].candidate, err);

		if (r < 0)
			return r;
	}
	qsort(ranks, n, sizeof(*ranks), by_id);
	for (unsigned i = 1; i < n; i++)
		if (by_id(&ranks[i - 1], &ranks[i]) == 0)
			return error_set(err, EINVAL, "neighbours: two candidates of one id");
	return 0;
}

static void draw(
	struct rank *ranks, unsigned n, const uint8_t beta[ECVRF_OUTPUT_SIZE], uint64_t epoch)
{
	uint8_t message[8 + 8], key[32], u[16];

	memcpy(message, "bnmix-nb", 8);
	store_be64(message + 8, epoch);
	crypto_generichash(key, sizeof(key), message, sizeof(message), beta, ECVRF_OUTPUT_SIZE);
	for (unsigned i = 0; i < n; i++) {
		crypto_generichash(u, sizeof(u), ranks[i].candidate->id, 32, key, sizeof(key));
		ranks[i].exp = delay_exp(load_le64(u));
	}
}

static bool same_prefix(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 3 : 6) == 0;
}

static bool share_prefix(const struct neighbour_candidate *a, const struct neighbour_candidate *b)
{
	for (unsigned i = 0; i < a->addresses; i++)
		for (unsigned k = 0; k < b->addresses; k++)
			if (same_prefix(&a->address[i], &b->address[k]))
				return true;
	return false;
}

/* A chosen node counts once against each candidate that it shares a prefix with. */
static bool breaks_a_cap(const struct neighbour_candidate *all, const unsigned *chosen,
	unsigned count, const struct neighbour_candidate *c)
{
	unsigned prefix = 0, family = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct neighbour_candidate *other = &all[chosen[i]];

		prefix += share_prefix(c, other);
		family += c->family[0] && strcmp(c->family, other->family) == 0;
	}
	return prefix >= NEIGHBOUR_PER_PREFIX || family >= NEIGHBOUR_PER_FAMILY;
}

int neighbour_select(const struct neighbour_candidate *candidates, unsigned n,
	const uint8_t beta[ECVRF_OUTPUT_SIZE], uint64_t epoch, unsigned chosen[NEIGHBOUR_MAX],
	unsigned *count, struct error *err)
{
	unsigned degree = neighbour_degree(n);
	struct rank *ranks;
	int r;

	*count = 0;
	if (n > NEIGHBOUR_MAX_CANDIDATES)
		return error_set(err, EINVAL, "neighbours: %u candidates; at most %d", n,
			NEIGHBOUR_MAX_CANDIDATES);
	ranks = calloc(n ? n : 1, sizeof(*ranks));
	if (!ranks)
		return error_set(err, ENOMEM, "neighbours: not enough memory for %u candidates", n);
	for (unsigned i = 0; i < n; i++)
		ranks[i].candidate = &candidates[i];
	r = check_all(ranks, n, err);
	if (r == 0) {
		draw(ranks, n, beta, epoch);
		qsort(ranks, n, sizeof(*ranks), by_exp_over_weight);
		for (unsigned i = 0; i < n && *count < degree; i++) {
			const struct neighbour_candidate *c = ranks[i].candidate;

			if (n > NEIGHBOUR_ALL && breaks_a_cap(candidates, chosen, *count, c))
				continue;
			chosen[(*count)++] = (unsigned)(c - candidates);
		}
	}
	free(ranks);
	return r;
}

/* ---- record */

enum { OFF_HASH = RECORD_HEAD_SIZE, OFF_PI = OFF_HASH + 32 };

static const struct record_kind kind = {
	.name = "neighbour record",
	.magic = "BNNB",
	.label = "betanet-neighbour-record-v1",
	.size = NEIGHBOUR_RECORD_SIZE,
	.seconds_min = NEIGHBOUR_SECONDS_MIN,
	.seconds_max = NEIGHBOUR_SECONDS_MAX,
	.detail_min = 1,
	.detail_max = NEIGHBOUR_MAX_LAYER,
};

static int decode(const uint8_t *data, size_t len, struct neighbour_record *r, struct error *err)
{
	int ret = record_head_decode(&kind, data, len, &r->head, err);

	if (ret < 0)
		return ret;
	r->layer = r->head.detail;
	memcpy(r->directory_hash, data + OFF_HASH, 32);
	memcpy(r->pi, data + OFF_PI, ECVRF_PROOF_SIZE);
	return 0;
}

static int verify(const uint8_t *data, size_t len, const struct record_expect *expect,
	uint8_t layer, const uint8_t directory_hash[32], struct neighbour_record *r,
	uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	uint8_t alpha[VRF_ALPHA_NEIGHBOUR_SIZE];
	int ret = decode(data, len, r, err);

	if (ret == 0)
		ret = record_check_signature(&kind, data, err);
	if (ret == 0)
		ret = record_check_expected(&kind, &r->head, expect, err);
	if (ret < 0)
		return ret;
	if (r->layer != layer)
		return error_set(
			err, ENOENT, "neighbour record: for layer %u, not %u", r->layer, layer);
	if (memcmp(r->directory_hash, directory_hash, 32) != 0)
		return error_set(err, ENOENT, "neighbour record: made for another directory");
	vrf_alpha_neighbour(alpha, &r->head.scope, r->directory_hash, r->layer);
	if (ecvrf_verify(r->head.suite, r->head.vrf_public, alpha, sizeof(alpha), r->pi, beta) < 0)
		return error_set(err, EBADMSG, "neighbour record: the proof of epoch %llu is wrong",
			(unsigned long long)r->head.scope.epoch);
	return 0;
}

int neighbour_record_verify(const uint8_t *data, size_t len, const struct record_expect *expect,
	uint8_t layer, const uint8_t directory_hash[32], struct neighbour_record *r,
	uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	int ret;

	*r = (struct neighbour_record){0};
	memset(beta, 0, ECVRF_OUTPUT_SIZE);
	ret = verify(data, len, expect, layer, directory_hash, r, beta, err);
	if (ret < 0)
		*r = (struct neighbour_record){0};
	return ret;
}

static int seal(struct neighbour_record *r, const struct ecvrf_key *key, const uint8_t identity[64],
	uint8_t out[NEIGHBOUR_RECORD_SIZE], struct error *err)
{
	uint8_t alpha[VRF_ALPHA_NEIGHBOUR_SIZE];

	r->head.detail = r->layer;
	memcpy(r->head.vrf_public, key->public, ECVRF_PUBLIC_SIZE);
	if (memcmp(key->public, r->head.scope.node_id, 32) == 0)
		return error_set(err, EINVAL,
			"the VRF key and the identity key come from one seed, which gives the "
			"secret away; make a VRF key of its own");
	vrf_alpha_neighbour(alpha, &r->head.scope, r->directory_hash, r->layer);
	if (ecvrf_prove(r->head.suite, key, alpha, sizeof(alpha), r->pi) < 0)
		return error_set(err, EINVAL, "neighbour record: no proof under suite %d",
			(int)r->head.suite);
	record_head_encode(&kind, &r->head, out);
	memcpy(out + OFF_HASH, r->directory_hash, 32);
	memcpy(out + OFF_PI, r->pi, ECVRF_PROOF_SIZE);
	record_sign(&kind, out, identity);
	return 0;
}

int neighbour_record_make(struct neighbour_record *r, const struct ecvrf_key *key,
	const uint8_t identity[64], uint8_t out[NEIGHBOUR_RECORD_SIZE],
	uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	struct record_expect own = {.beacon = r->head.scope.beacon, .epoch = &r->head.scope.epoch};
	struct neighbour_record check;
	int ret;

	memset(out, 0, NEIGHBOUR_RECORD_SIZE);
	memset(beta, 0, ECVRF_OUTPUT_SIZE);
	ret = seal(r, key, identity, out, err);
	if (ret == 0) {
		memcpy(own.network_id, r->head.scope.network_id, 32);
		memcpy(own.node_id, r->head.scope.node_id, 32);
		memcpy(own.vrf_public, key->public, ECVRF_PUBLIC_SIZE);
		ret = neighbour_record_verify(out, NEIGHBOUR_RECORD_SIZE, &own, r->layer,
			r->directory_hash, &check, beta, err);
	}
	if (ret == 0)
		return 0;
	memset(out, 0, NEIGHBOUR_RECORD_SIZE);
	if (ret == -EACCES)
		return error_set(err, EINVAL, "the identity key given is not that of the node id");
	return ret == -EINVAL
		       ? ret
		       : error_set(err, EIO,
				 "the neighbour record does not verify: a fault in memory or CPU");
}
