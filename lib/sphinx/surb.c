/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/sphinx.h"
#include "sphinx/derive.h"
#include "sphinx/header.h"
#include "sphinx/payload.h"
#include "sphinx/surb.h"
#include "crypto/lioness.h"

#include <sodium.h>
#include <string.h>

/* A block: header ‖ address of the first hop ‖ keys (258) or seeds (259, 260). */
enum {
	SURB_ADDRESS = SPHINX_HEADER_SIZE,
	SURB_KEYS = SPHINX_HEADER_SIZE + SPHINX_ADDRESS_SIZE,
};

/* Bytes per key in a block; 0 for a version that has no blocks. */
static size_t key_size(uint16_t version)
{
	switch (version) {
	case SPHINX_V258:
		return SPHINX_PAYLOAD_KEY_SIZE;
	case SPHINX_V259:
	case SPHINX_V260:
		return SPHINX_SEED_SIZE;
	default:
		return 0;
	}
}

enum sphinx_status surb_check(const struct sphinx_route *route)
{
	return key_size(route->version) == 0 ? SPHINX_bad_surb : sphinx_route_check(route);
}

size_t surb_write(const struct sphinx_route *route, const uint8_t first_hop[SPHINX_ADDRESS_SIZE],
	const uint8_t expanded[][SPHINX_EXPANDED_SIZE], uint8_t surb[SURB_MAX_SIZE],
	uint8_t recovery[SURB_RECOVERY_MAX_SIZE], size_t *recovery_len)
{
	const size_t size = key_size(route->version);
	uint8_t *keys = surb + SURB_KEYS;

	*recovery_len = 0;
	memcpy(surb + SURB_ADDRESS, first_hop, SPHINX_ADDRESS_SIZE);
	if (route->version == SPHINX_V260) {
		memcpy(recovery, route->identifier, SPHINX_IDENTIFIER_SIZE);
		*recovery_len = SPHINX_IDENTIFIER_SIZE;
	}
	/* keys and seeds stand at the same place of the expanded secret */
	for (unsigned i = 0; i < route->hops; i++) {
		const uint8_t *key = expanded[i] + SPHINX_OFF_PAYLOAD_KEY;

		if (route->version != SPHINX_V260 || i == route->hops - 1) {
			memcpy(keys, key, size);
			keys += size;
		}
		if (route->version == SPHINX_V260) {
			memcpy(recovery + *recovery_len, key, SPHINX_SEED_SIZE);
			*recovery_len += SPHINX_SEED_SIZE;
		}
	}
	return (size_t)(keys - surb);
}

enum sphinx_status surb_create(struct crypto *c, const struct sphinx_route *route,
	const uint8_t first_hop[SPHINX_ADDRESS_SIZE], const struct sphinx_entropy *entropy,
	uint8_t surb[SURB_MAX_SIZE], size_t *surb_len, uint8_t recovery[SURB_RECOVERY_MAX_SIZE],
	size_t *recovery_len)
{
	struct sphinx_route_secrets rs;
	enum sphinx_status status = surb_check(route);

	*surb_len = *recovery_len = 0;
	if (status == SPHINX_ok)
		status = sphinx_header_build(c, route, entropy, &rs, surb);
	if (status != SPHINX_ok)
		return status;
	*surb_len = surb_write(route, first_hop, rs.expanded, surb, recovery, recovery_len);
	sodium_memzero(&rs, sizeof(rs));
	return SPHINX_ok;
}

/* Number of keys in a block of that version and length; 0 when there is no such block. */
static size_t count_keys(uint16_t version, size_t surb_len)
{
	const size_t size = key_size(version), max = version == SPHINX_V260 ? 1 : SPHINX_MAX_HOPS;
	size_t n;

	if (size == 0 || surb_len <= SURB_KEYS || (surb_len - SURB_KEYS) % size != 0)
		return 0;
	n = (surb_len - SURB_KEYS) / size;
	return n <= max ? n : 0;
}

/* Key i of the key material in a block or a recovery record. */
static void load_key(struct crypto *c, uint16_t version, const uint8_t *keys, size_t i,
	uint8_t key[SPHINX_PAYLOAD_KEY_SIZE])
{
	keys += i * key_size(version);
	if (version == SPHINX_V258)
		memcpy(key, keys, SPHINX_PAYLOAD_KEY_SIZE);
	else
		sphinx_key_from_seed(c, keys, key);
}

enum sphinx_status surb_use(struct crypto *c, uint16_t version, const uint8_t *surb,
	size_t surb_len, const uint8_t *message, size_t message_len, size_t payload_size,
	uint8_t *out, uint8_t first_hop[SPHINX_ADDRESS_SIZE])
{
	uint8_t *payload = out + SPHINX_HEADER_SIZE, key[SPHINX_PAYLOAD_KEY_SIZE];
	const size_t keys = count_keys(version, surb_len);
	enum sphinx_status status;

	if (keys == 0)
		return SPHINX_bad_surb;
	status = sphinx_payload_check(message_len, payload_size);
	if (status != SPHINX_ok)
		return status;
	sphinx_payload_pad(payload, payload_size, message, message_len);
	for (size_t i = keys; i-- > 0;) {
		load_key(c, version, surb + SURB_KEYS, i, key);
		lioness_encrypt(key, payload, payload_size);
	}
	memcpy(out, surb, SPHINX_HEADER_SIZE);
	memcpy(first_hop, surb + SURB_ADDRESS, SPHINX_ADDRESS_SIZE);
	sodium_memzero(key, sizeof(key));
	return SPHINX_ok;
}

enum sphinx_status surb_recover(struct crypto *c, const uint8_t *recovery, size_t recovery_len,
	uint8_t *payload, size_t payload_len, const uint8_t **message, size_t *message_len)
{
	const uint8_t *seeds = recovery + SPHINX_IDENTIFIER_SIZE;
	uint8_t key[SPHINX_PAYLOAD_KEY_SIZE];
	size_t n;

	*message = NULL;
	*message_len = 0;
	if (recovery_len <= SPHINX_IDENTIFIER_SIZE || recovery_len > SURB_RECOVERY_MAX_SIZE ||
		(recovery_len - SPHINX_IDENTIFIER_SIZE) % SPHINX_SEED_SIZE != 0)
		return SPHINX_bad_surb;
	if (payload_len < SPHINX_PAYLOAD_MIN || payload_len > SPHINX_PAYLOAD_MAX)
		return SPHINX_bad_length;
	/* each hop took a layer off that nobody had put on: put them on again, then take off the
	 * one layer that the sender did put on, the last hop's */
	n = (recovery_len - SPHINX_IDENTIFIER_SIZE) / SPHINX_SEED_SIZE;
	for (size_t i = n; i-- > 0;) {
		load_key(c, SPHINX_V260, seeds, i, key);
		lioness_encrypt(key, payload, payload_len);
	}
	load_key(c, SPHINX_V260, seeds, n - 1, key);
	lioness_decrypt(key, payload, payload_len);
	sodium_memzero(key, sizeof(key));
	return sphinx_payload_message(payload, payload_len, message, message_len);
}
