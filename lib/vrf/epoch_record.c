/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/epoch_record.h"
#include "core/bytes.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
	OFF_VERSION = 4,
	OFF_SUITE = 5,
	OFF_SOURCE = 6,
	OFF_STATUS = 7,
	OFF_NETWORK = 8,
	OFF_NODE = 40,
	OFF_PERIOD = 72,
	OFF_EPOCH = 80,
	OFF_SECONDS = 88,
	OFF_PUBLIC = 92,
	OFF_BEACON = 124,
	OFF_PI = 156,
	OFF_MEAN = 236,
	OFF_CAP = 244,
	OFF_COUNT = 252,
	OFF_ZEROS = 253,
	OFF_SIGNATURE = 256,
	VERSION = 1,
	COUNT_CLASS_MAX = 64,
};

static const char magic[4] = {'B', 'N', 'E', 'A'};
static const char signature_label[] = "betanet-epoch-record-v1"; /* with its NUL */

enum { SIGNED_SIZE = sizeof(signature_label) + OFF_SIGNATURE };

static void signed_bytes(uint8_t out[SIGNED_SIZE], const uint8_t *record)
{
	memcpy(out, signature_label, sizeof(signature_label));
	memcpy(out + sizeof(signature_label), record, OFF_SIGNATURE);
}

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

static void encode(uint8_t out[OFF_SIGNATURE], const struct epoch_record *r)
{
	memset(out, 0, OFF_SIGNATURE);
	memcpy(out, magic, sizeof(magic));
	out[OFF_VERSION] = VERSION;
	out[OFF_SUITE] = (uint8_t)r->suite;
	out[OFF_SOURCE] = (uint8_t)r->beacon_source;
	out[OFF_STATUS] = r->proved;
	memcpy(out + OFF_NETWORK, r->scope.network_id, 32);
	memcpy(out + OFF_NODE, r->scope.node_id, 32);
	store_be64(out + OFF_PERIOD, r->scope.key_period);
	store_be64(out + OFF_EPOCH, r->scope.epoch);
	store_be32(out + OFF_SECONDS, r->epoch_seconds);
	memcpy(out + OFF_PUBLIC, r->vrf_public, ECVRF_PUBLIC_SIZE);
	memcpy(out + OFF_BEACON, r->scope.beacon, 32);
	memcpy(out + OFF_PI, r->pi, ECVRF_PROOF_SIZE);
	store_be64(out + OFF_MEAN, r->mean_ns);
	store_be64(out + OFF_CAP, r->cap_ns);
	out[OFF_COUNT] = r->count_class;
}

static int malformed(struct epoch_record *r, struct error *err, const char *what)
{
	*r = (struct epoch_record){0};
	return error_set(err, EINVAL, "epoch record: %s", what);
}

int epoch_record_decode(const uint8_t *data, size_t len, struct epoch_record *r, struct error *err)
{
	*r = (struct epoch_record){0};
	if (len != EPOCH_RECORD_SIZE)
		return error_set(
			err, EINVAL, "epoch record: %zu bytes; it has %d", len, EPOCH_RECORD_SIZE);
	if (memcmp(data, magic, sizeof(magic)) != 0)
		return malformed(r, err, "does not start with \"BNEA\"");
	if (data[OFF_VERSION] != VERSION)
		return malformed(r, err, "version other than 1");
	if (data[OFF_SUITE] != ECVRF_TAI && data[OFF_SUITE] != ECVRF_ELL2)
		return malformed(r, err, "suite other than 3 and 4");
	if (data[OFF_SOURCE] < BEACON_DIRECTORY || data[OFF_SOURCE] > BEACON_FALLBACK)
		return malformed(r, err, "beacon source outside 1 to 3");
	if (data[OFF_STATUS] > 1)
		return malformed(r, err, "status other than 0 and 1");
	r->suite = data[OFF_SUITE];
	r->beacon_source = data[OFF_SOURCE];
	r->proved = data[OFF_STATUS];
	memcpy(r->scope.network_id, data + OFF_NETWORK, 32);
	memcpy(r->scope.node_id, data + OFF_NODE, 32);
	r->scope.key_period = load_be64(data + OFF_PERIOD);
	r->scope.epoch = load_be64(data + OFF_EPOCH);
	r->epoch_seconds = load_be32(data + OFF_SECONDS);
	memcpy(r->vrf_public, data + OFF_PUBLIC, ECVRF_PUBLIC_SIZE);
	memcpy(r->scope.beacon, data + OFF_BEACON, 32);
	memcpy(r->pi, data + OFF_PI, ECVRF_PROOF_SIZE);
	r->mean_ns = load_be64(data + OFF_MEAN);
	r->cap_ns = load_be64(data + OFF_CAP);
	r->count_class = data[OFF_COUNT];
	if (r->epoch_seconds < EPOCH_SECONDS_MIN || r->epoch_seconds > EPOCH_SECONDS_MAX)
		return malformed(r, err, "epoch_seconds outside 1 to 60");
	if (r->mean_ns == 0 || r->mean_ns > DELAY_MEAN_MAX)
		return malformed(r, err, "mean delay outside 1 to 2^40 ns");
	if (r->cap_ns != DELAY_CAP_MEANS * r->mean_ns)
		return malformed(r, err, "longest delay other than 20 means");
	if (r->count_class > COUNT_CLASS_MAX || !sodium_is_zero(data + OFF_ZEROS, 3))
		return malformed(r, err, "count above 64, or bytes 253 to 255 not zero");
	if (!r->proved && !sodium_is_zero(r->pi, sizeof(r->pi)))
		return malformed(r, err, "a proof in a record that says \"not proved\"");
	return 0;
}

static int unexpected(const struct epoch_record *r, const struct epoch_expect *x, struct error *err)
{
	const char *what = NULL;

	if (memcmp(r->scope.network_id, x->network_id, 32) != 0)
		what = "network";
	else if (memcmp(r->scope.node_id, x->node_id, 32) != 0)
		what = "node";
	else if (r->proved && memcmp(r->vrf_public, x->vrf_public, ECVRF_PUBLIC_SIZE) != 0)
		what = "VRF key";
	else if (x->beacon && memcmp(r->scope.beacon, x->beacon, 32) != 0)
		what = "beacon";
	else if (x->epoch && r->scope.epoch != *x->epoch)
		what = "epoch";
	return what ? error_set(err, ENOENT, "epoch record: of another %s than expected", what) : 0;
}

static int verify(const uint8_t *data, size_t len, const struct epoch_expect *expect,
	struct epoch_record *r, uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	uint8_t alpha[VRF_ALPHA_DELAY_SIZE], bytes[SIGNED_SIZE];
	int ret = epoch_record_decode(data, len, r, err);

	if (ret < 0)
		return ret;
	signed_bytes(bytes, data);
	if (crypto_sign_verify_detached(
		    data + OFF_SIGNATURE, bytes, sizeof(bytes), r->scope.node_id) != 0)
		return error_set(err, EACCES, "epoch record: the signature is not the node's");
	ret = unexpected(r, expect, err);
	if (ret < 0)
		return ret;
	if (!r->proved)
		return error_set(err, ENODATA,
			"epoch record: the relay says that it could not prove epoch %llu",
			(unsigned long long)r->scope.epoch);
	vrf_alpha_delay(alpha, &r->scope);
	if (ecvrf_verify(r->suite, r->vrf_public, alpha, sizeof(alpha), r->pi, beta) < 0)
		return error_set(err, EBADMSG, "epoch record: the proof of epoch %llu is wrong",
			(unsigned long long)r->scope.epoch);
	return 0;
}

int epoch_record_verify(const uint8_t *data, size_t len, const struct epoch_expect *expect,
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
		.suite = params->suite,
		.beacon_source = meta->beacon_source,
		.proved = meta->proved,
		.scope = {.key_period = meta->key_period, .epoch = meta->epoch},
		.epoch_seconds = params->epoch_seconds,
		.mean_ns = params->mean_ns,
		.cap_ns = DELAY_CAP_MEANS * params->mean_ns,
		.count_class = epoch_count_class(packets),
	};
	memcpy(r->scope.network_id, params->network_id, 32);
	memcpy(r->scope.node_id, params->node_id, 32);
	memcpy(r->scope.beacon, meta->beacon, 32);
	memcpy(r->vrf_public, meta->vrf_public, ECVRF_PUBLIC_SIZE);
	if (!meta->proved)
		return 0;
	if (!key || memcmp(key->public, meta->vrf_public, ECVRF_PUBLIC_SIZE) != 0)
		return -EINVAL;
	vrf_alpha_delay(alpha, &r->scope);
	return ecvrf_prove(r->suite, key, alpha, sizeof(alpha), r->pi);
}

int epoch_record_make(const struct epoch_params *params, const struct epoch_meta *meta,
	const struct ecvrf_key *key, const uint8_t identity[64], uint64_t packets, uint64_t wall_ns,
	uint8_t out[EPOCH_RECORD_SIZE], struct error *err)
{
	struct epoch_expect own = {.beacon = meta->beacon, .epoch = &meta->epoch};
	uint64_t reveal = epoch_reveal_ns(params, meta->epoch);
	uint8_t bytes[SIGNED_SIZE];
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
	signed_bytes(bytes, out);
	crypto_sign_detached(out + OFF_SIGNATURE, NULL, bytes, sizeof(bytes), identity);
	memcpy(own.network_id, params->network_id, 32);
	memcpy(own.node_id, params->node_id, 32);
	memcpy(own.vrf_public, r.vrf_public, ECVRF_PUBLIC_SIZE);
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
