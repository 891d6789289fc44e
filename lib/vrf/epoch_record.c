/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/epoch_record.h"
#include "core/bytes.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
	OFF_PI = RECORD_HEAD_SIZE,
	OFF_MEAN = 236,
	OFF_CAP = 244,
	OFF_COUNT = 252,
	OFF_ZEROS = 253,
	COUNT_CLASS_MAX = 64,
};

static const struct record_kind kind = {
	.name = "epoch record",
	.magic = "BNEA",
	.label = "betanet-epoch-record-v1",
	.size = EPOCH_RECORD_SIZE,
	.seconds_min = EPOCH_SECONDS_MIN,
	.seconds_max = EPOCH_SECONDS_MAX,
	.detail_min = 0,
	.detail_max = 1,
};

uint8_t epoch_count_class(uint64_t packets)
{
	return packets ? (uint8_t)(64 - __builtin_clzll(packets)) : 0;
}

uint64_t epoch_reveal_ns(const struct epoch_params *p, uint64_t epoch)
{
	return (epoch + 1) * p->epoch_seconds * UINT64_C(1000000000) + p->longest_ns +
	       2 * p->tolerance_ns;
}

bool epoch_is_sampled(
	const uint8_t later_beacon[32], const uint8_t node_id[32], uint64_t epoch, uint64_t one_in)
{
	uint8_t message[12 + 32 + 8], hash[16];

	memcpy(message, "bnmix-sample", 12);
	memcpy(message + 12, node_id, 32);
	store_be64(message + 44, epoch);
	crypto_generichash(hash, sizeof(hash), message, sizeof(message), later_beacon, 32);
	return one_in <= 1 || load_le64(hash) < UINT64_MAX / one_in;
}

static void encode(uint8_t out[EPOCH_RECORD_SIZE], const struct epoch_record *r)
{
	memset(out, 0, EPOCH_RECORD_SIZE);
	record_head_encode(&kind, &r->head, out);
	memcpy(out + OFF_PI, r->pi, ECVRF_PROOF_SIZE);
	store_be64(out + OFF_MEAN, r->mean_ns);
	store_be64(out + OFF_CAP, r->cap_ns);
	out[OFF_COUNT] = r->count_class;
}

static int decode(const uint8_t *data, size_t len, struct epoch_record *r, struct error *err)
{
	int ret = record_head_decode(&kind, data, len, &r->head, err);

	if (ret < 0)
		return ret;
	r->proved = r->head.detail;
	memcpy(r->pi, data + OFF_PI, ECVRF_PROOF_SIZE);
	r->mean_ns = load_be64(data + OFF_MEAN);
	r->cap_ns = load_be64(data + OFF_CAP);
	r->count_class = data[OFF_COUNT];
	if (r->mean_ns == 0 || r->mean_ns > DELAY_MEAN_MAX)
		return record_malformed(&kind, "mean delay outside 1 to 2^40 ns", err);
	if (r->cap_ns != DELAY_CAP_MEANS * r->mean_ns)
		return record_malformed(&kind, "longest delay other than 20 means", err);
	if (r->count_class > COUNT_CLASS_MAX || !sodium_is_zero(data + OFF_ZEROS, 3))
		return record_malformed(&kind, "count above 64, or bytes 253 to 255 not 0", err);
	if (!r->proved && !sodium_is_zero(r->pi, sizeof(r->pi)))
		return record_malformed(&kind, "a proof, and yet \"not proved\"", err);
	return 0;
}

int epoch_record_decode(const uint8_t *data, size_t len, struct epoch_record *r, struct error *err)
{
	int ret;

	*r = (struct epoch_record){0};
	ret = decode(data, len, r, err);
	if (ret < 0)
		*r = (struct epoch_record){0};
	return ret;
}

static int verify(const uint8_t *data, size_t len, const struct record_expect *expect,
	struct epoch_record *r, uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	uint8_t alpha[VRF_ALPHA_DELAY_SIZE];
	struct record_expect x = *expect;
	int ret = epoch_record_decode(data, len, r, err);

	if (ret == 0)
		ret = record_check_signature(&kind, data, err);
	if (ret < 0)
		return ret;
	if (!r->proved) /* which key it would have been does not matter */
		memcpy(x.vrf_public, r->head.vrf_public, ECVRF_PUBLIC_SIZE);
	ret = record_check_expected(&kind, &r->head, &x, err);
	if (ret < 0)
		return ret;
	if (!r->proved)
		return error_set(err, ENODATA,
			"epoch record: the relay says that it could not prove epoch %llu",
			(unsigned long long)r->head.scope.epoch);
	vrf_alpha_delay(alpha, &r->head.scope);
	if (ecvrf_verify(r->head.suite, r->head.vrf_public, alpha, sizeof(alpha), r->pi, beta) < 0)
		return error_set(err, EBADMSG, "epoch record: the proof of epoch %llu is wrong",
			(unsigned long long)r->head.scope.epoch);
	return 0;
}

int epoch_record_verify(const uint8_t *data, size_t len, const struct record_expect *expect,
	struct epoch_record *r, uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	int ret;

	if (beta)
		memset(beta, 0, ECVRF_OUTPUT_SIZE);
	ret = verify(data, len, expect, r, beta, err);
	if (ret < 0 && ret != -ENODATA)
		*r = (struct epoch_record){0};
	return ret;
}

static int fill(struct epoch_record *r, const struct epoch_params *params,
	const struct epoch_meta *meta, const struct ecvrf_key *key, uint64_t packets)
{
	uint8_t alpha[VRF_ALPHA_DELAY_SIZE];

	*r = (struct epoch_record){
		.head = {.suite = params->suite,
			.beacon_source = meta->beacon_source,
			.detail = meta->proved,
			.scope = {.key_period = meta->key_period, .epoch = meta->epoch},
			.epoch_seconds = params->epoch_seconds},
		.proved = meta->proved,
		.mean_ns = params->mean_ns,
		.cap_ns = DELAY_CAP_MEANS * params->mean_ns,
		.count_class = epoch_count_class(packets),
	};
	memcpy(r->head.scope.network_id, params->network_id, 32);
	memcpy(r->head.scope.node_id, params->node_id, 32);
	memcpy(r->head.scope.beacon, meta->beacon, 32);
	memcpy(r->head.vrf_public, meta->vrf_public, ECVRF_PUBLIC_SIZE);
	if (!meta->proved)
		return 0;
	if (!key || memcmp(key->public, meta->vrf_public, ECVRF_PUBLIC_SIZE) != 0)
		return -EINVAL;
	vrf_alpha_delay(alpha, &r->head.scope);
	return ecvrf_prove(r->head.suite, key, alpha, sizeof(alpha), r->pi);
}

int epoch_record_make(const struct epoch_params *params, const struct epoch_meta *meta,
	const struct ecvrf_key *key, const uint8_t identity[64], uint64_t packets, uint64_t wall_ns,
	uint8_t out[EPOCH_RECORD_SIZE], struct error *err)
{
	struct record_expect own = {.beacon = meta->beacon, .epoch = &meta->epoch};
	uint64_t reveal = epoch_reveal_ns(params, meta->epoch);
	struct epoch_record r;
	int ret;

	memset(out, 0, EPOCH_RECORD_SIZE);
	if (wall_ns < reveal)
		return error_set(err, EAGAIN, "epoch %llu may be published in %.3f s, not before",
			(unsigned long long)meta->epoch, (double)(reveal - wall_ns) / 1e9);
	if (fill(&r, params, meta, key, packets) < 0)
		return error_set(err, EINVAL,
			"epoch %llu cannot be proved with the key given: it is not that of period "
			"%llu",
			(unsigned long long)meta->epoch, (unsigned long long)meta->key_period);
	encode(out, &r);
	record_sign(&kind, out, identity);
	memcpy(own.network_id, params->network_id, 32);
	memcpy(own.node_id, params->node_id, 32);
	memcpy(own.vrf_public, r.head.vrf_public, ECVRF_PUBLIC_SIZE);
	/* a proof that a fault has spoilt may give the key away: it must not leave */
	ret = epoch_record_verify(out, EPOCH_RECORD_SIZE, &own, &r, NULL, err);
	if (ret == 0 || (ret == -ENODATA && !meta->proved))
		return 0;
	memset(out, 0, EPOCH_RECORD_SIZE);
	return ret == -EACCES
		       ? error_set(err, EINVAL, "the identity key given is not that of the node id")
		       : error_set(err, EIO,
				 "the record of epoch %llu does not verify: a fault in "
				 "memory or CPU, or a key of another period",
				 (unsigned long long)meta->epoch);
}

uint64_t epoch_record_delay(const struct epoch_record *r, const uint8_t beta[ECVRF_OUTPUT_SIZE],
	const uint8_t shared[DELAY_SHARED_SIZE], uint64_t *tie)
{
	uint8_t key[DELAY_KEY_SIZE], tag[DELAY_TAG_SIZE];
	struct delay_draw draw;

	delay_epoch_key(key, beta, r->head.scope.epoch);
	delay_tag(tag, shared);
	delay_draw(key, tag, &draw);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(tag, sizeof(tag));
	if (tie)
		*tie = draw.tie;
	return delay_scale(r->mean_ns, draw.exp);
}
