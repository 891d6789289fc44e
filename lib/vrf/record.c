/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/record.h"
#include "core/bytes.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
	OFF_VERSION = 4,
	OFF_SUITE = 5,
	OFF_SOURCE = 6,
	OFF_DETAIL = 7,
	OFF_NETWORK = 8,
	OFF_NODE = 40,
	OFF_PERIOD = 72,
	OFF_EPOCH = 80,
	OFF_SECONDS = 88,
	OFF_PUBLIC = 92,
	OFF_BEACON = 124,
	VERSION = 1,
	LABEL_MAX = 64,
};

void record_head_encode(
	const struct record_kind *kind, const struct record_head *h, uint8_t out[RECORD_HEAD_SIZE])
{
	memcpy(out, kind->magic, 4);
	out[OFF_VERSION] = VERSION;
	out[OFF_SUITE] = (uint8_t)h->suite;
	out[OFF_SOURCE] = (uint8_t)h->beacon_source;
	out[OFF_DETAIL] = h->detail;
	memcpy(out + OFF_NETWORK, h->scope.network_id, 32);
	memcpy(out + OFF_NODE, h->scope.node_id, 32);
	store_be64(out + OFF_PERIOD, h->scope.key_period);
	store_be64(out + OFF_EPOCH, h->scope.epoch);
	store_be32(out + OFF_SECONDS, h->epoch_seconds);
	memcpy(out + OFF_PUBLIC, h->vrf_public, ECVRF_PUBLIC_SIZE);
	memcpy(out + OFF_BEACON, h->scope.beacon, 32);
}

int record_malformed(const struct record_kind *kind, const char *what, struct error *err)
{
	return error_set(err, EINVAL, "%s: %s", kind->name, what);
}

int record_head_decode(const struct record_kind *kind, const uint8_t *data, size_t len,
	struct record_head *h, struct error *err)
{
	if (len != kind->size)
		return error_set(
			err, EINVAL, "%s: %zu bytes; it has %zu", kind->name, len, kind->size);
	if (memcmp(data, kind->magic, 4) != 0)
		return record_malformed(
			kind, "other first bytes than this kind of record has", err);
	if (data[OFF_VERSION] != VERSION)
		return record_malformed(kind, "version other than 1", err);
	if (data[OFF_SUITE] != ECVRF_TAI && data[OFF_SUITE] != ECVRF_ELL2)
		return record_malformed(kind, "suite other than 3 and 4", err);
	if (data[OFF_SOURCE] < BEACON_DIRECTORY || data[OFF_SOURCE] > BEACON_FALLBACK)
		return record_malformed(kind, "beacon source outside 1 to 3", err);
	if (data[OFF_DETAIL] < kind->detail_min || data[OFF_DETAIL] > kind->detail_max)
		return error_set(err, EINVAL, "%s: byte 7 is %d; %d to %d is allowed", kind->name,
			data[OFF_DETAIL], kind->detail_min, kind->detail_max);
	h->suite = data[OFF_SUITE];
	h->beacon_source = data[OFF_SOURCE];
	h->detail = data[OFF_DETAIL];
	memcpy(h->scope.network_id, data + OFF_NETWORK, 32);
	memcpy(h->scope.node_id, data + OFF_NODE, 32);
	h->scope.key_period = load_be64(data + OFF_PERIOD);
	h->scope.epoch = load_be64(data + OFF_EPOCH);
	h->epoch_seconds = load_be32(data + OFF_SECONDS);
	memcpy(h->vrf_public, data + OFF_PUBLIC, ECVRF_PUBLIC_SIZE);
	memcpy(h->scope.beacon, data + OFF_BEACON, 32);
	if (h->epoch_seconds < kind->seconds_min || h->epoch_seconds > kind->seconds_max)
		return error_set(err, EINVAL, "%s: epochs of %u s; %u to %u is allowed", kind->name,
			h->epoch_seconds, kind->seconds_min, kind->seconds_max);
	return 0;
}

/* label ‖ 00 ‖ the record up to its signature; returns the length. */
static size_t signed_bytes(const struct record_kind *kind, const uint8_t *record,
	uint8_t out[LABEL_MAX + RECORD_MAX_SIZE])
{
	size_t label = strlen(kind->label) + 1, body = kind->size - RECORD_SIGNATURE_SIZE;

	memcpy(out, kind->label, label);
	memcpy(out + label, record, body);
	return label + body;
}

void record_sign(const struct record_kind *kind, uint8_t *record, const uint8_t identity[64])
{
	uint8_t bytes[LABEL_MAX + RECORD_MAX_SIZE];
	size_t n = signed_bytes(kind, record, bytes);

	crypto_sign_detached(record + kind->size - RECORD_SIGNATURE_SIZE, NULL, bytes, n, identity);
}

int record_check_signature(const struct record_kind *kind, const uint8_t *record, struct error *err)
{
	uint8_t bytes[LABEL_MAX + RECORD_MAX_SIZE];
	size_t n = signed_bytes(kind, record, bytes);

	if (crypto_sign_verify_detached(
		    record + kind->size - RECORD_SIGNATURE_SIZE, bytes, n, record + OFF_NODE) != 0)
		return error_set(
			err, EACCES, "%s: the signature is not that of its node", kind->name);
	return 0;
}

int record_check_expected(const struct record_kind *kind, const struct record_head *h,
	const struct record_expect *x, struct error *err)
{
	const char *what = NULL;

	if (memcmp(h->scope.network_id, x->network_id, 32) != 0)
		what = "network";
	else if (memcmp(h->scope.node_id, x->node_id, 32) != 0)
		what = "node";
	else if (memcmp(h->vrf_public, x->vrf_public, ECVRF_PUBLIC_SIZE) != 0)
		what = "VRF key";
	else if (x->beacon && memcmp(h->scope.beacon, x->beacon, 32) != 0)
		what = "beacon";
	else if (x->epoch && h->scope.epoch != *x->epoch)
		what = "epoch";
	if (what)
		return error_set(err, ENOENT, "%s: of another %s than expected", kind->name, what);
	return 0;
}
