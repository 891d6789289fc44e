/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/scope.h"
#include "core/bytes.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum purpose { PURPOSE_DELAY = 1, PURPOSE_NEIGHBOUR = 2 };

/* A beacon's time may be this many seconds ahead of our clock. */
enum { BEACON_SKEW = 30 };

static void alpha(uint8_t *out, enum purpose purpose, const struct vrf_scope *s)
{
	memcpy(out, "BNMIX-VRF-v1", 12);
	out[12] = (uint8_t)purpose;
	memcpy(out + 13, s->network_id, 32);
	memcpy(out + 45, s->node_id, 32);
	store_be64(out + 77, s->key_period);
	store_be64(out + 85, s->epoch);
	memcpy(out + 93, s->beacon, 32);
}

void vrf_alpha_delay(uint8_t out[VRF_ALPHA_DELAY_SIZE], const struct vrf_scope *s)
{
	alpha(out, PURPOSE_DELAY, s);
}

void vrf_alpha_neighbour(uint8_t out[VRF_ALPHA_NEIGHBOUR_SIZE], const struct vrf_scope *s,
	const uint8_t directory_hash[32], uint8_t layer)
{
	alpha(out, PURPOSE_NEIGHBOUR, s);
	memcpy(out + VRF_ALPHA_DELAY_SIZE, directory_hash, 32);
	out[VRF_ALPHA_DELAY_SIZE + 32] = layer;
}

static void from_directory(
	uint8_t value[32], const uint8_t network_id[32], const uint8_t directory_hash[32])
{
	static const char label[] = "bnmix-beacon-directory";
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, (const uint8_t *)label, sizeof(label) - 1);
	crypto_generichash_update(&st, network_id, 32);
	crypto_generichash_update(&st, directory_hash, 32);
	crypto_generichash_final(&st, value, 32);
}

void beacon_choose(struct beacon *out, int wanted, const struct beacon *file, uint64_t now,
	uint64_t max_age, const uint8_t network_id[32], const uint8_t directory_hash[32])
{
	if (wanted && file && file->time <= now + BEACON_SKEW &&
		(now <= file->time || now - file->time <= max_age)) {
		*out = *file;
		out->source = BEACON_FILE;
		return;
	}
	*out = (struct beacon){.source = wanted ? BEACON_FALLBACK : BEACON_DIRECTORY};
	from_directory(out->value, network_id, directory_hash);
}

/* Digits up to `end`, no sign, no space, no leading zero but in "0". NULL when it is no u64. */
static const char *decimal(const char *text, char end, uint64_t *out)
{
	size_t n = strspn(text, "0123456789");
	char *stop;

	errno = 0;
	if (n == 0 || (n > 1 && *text == '0') || text[n] != end)
		return NULL;
	*out = strtoull(text, &stop, 10);
	return errno ? NULL : stop + 1;
}

int beacon_parse(struct beacon *out, const char *text, struct error *err)
{
	struct beacon b = {.source = BEACON_FILE};
	const char *p = decimal(text, ' ', &b.round);
	char hex[65];

	if (p)
		p = decimal(p, ' ', &b.time);
	if (!p || strlen(p) != 65 || p[64] != '\n')
		goto malformed;
	memcpy(hex, p, 64);
	hex[64] = 0;
	if (hex_decode(b.value, sizeof(b.value), hex) < 0)
		goto malformed;
	*out = b;
	return 0;
malformed:
	return error_set(err, EINVAL,
		"a beacon is one line: <round> <seconds since 1970> <64 hex digits>; this is "
		"something "
		"else");
}
