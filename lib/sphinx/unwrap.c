/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/sphinx.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"
#include "sphinx/unwrap_parts.h"
#include "crypto/aes_ctr.h"
#include "crypto/lioness.h"
#include "crypto/x25519.h"
#include "core/bytes.h"

#include <sodium.h>

enum sphinx_status sphinx_unwrap_open(struct crypto *c, const uint8_t node_secret[32],
	const uint8_t *packet, size_t len, struct sphinx_secrets *secrets)
{
	enum sphinx_status status = SPHINX_ok;
	uint8_t gamma[SPHINX_GAMMA_SIZE];

	if (!sphinx_length_ok(len))
		status = SPHINX_bad_length;
	else if (x25519(secrets->shared, node_secret, packet + PACKET_ALPHA) < 0)
		status = SPHINX_bad_point;
	if (status != SPHINX_ok)
		goto wipe;
	sphinx_expand(c, secrets->shared, secrets->expanded);
	sphinx_mac(c, secrets->expanded, packet + PACKET_BETA, gamma);
	if (sodium_memcmp(gamma, packet + PACKET_GAMMA, SPHINX_GAMMA_SIZE) != 0)
		status = SPHINX_bad_mac;
	sodium_memzero(gamma, sizeof(gamma));
wipe:
	if (status != SPHINX_ok)
		sodium_memzero(secrets, sizeof(*secrets));
	return status;
}

enum sphinx_status sphinx_read_block(
	const uint8_t block[SPHINX_STREAM_SIZE], struct sphinx_hop *hop)
{
	memset(hop, 0, sizeof(*hop));
	hop->flag = block[BLOCK_FLAG];
	hop->version = load_be16(block + BLOCK_VERSION);
	if (hop->flag != SPHINX_FLAG_FORWARD && hop->flag != SPHINX_FLAG_FINAL)
		return SPHINX_bad_routing_flag;
	if (sphinx_version_refused(hop->version))
		return SPHINX_unsupported_version;
	memcpy(hop->address, block + BLOCK_ADDRESS, SPHINX_ADDRESS_SIZE);
	if (hop->flag == SPHINX_FLAG_FORWARD)
		hop->delay_ns = load_be64(block + BLOCK_DELAY);
	else
		memcpy(hop->identifier, block + BLOCK_IDENTIFIER, SPHINX_IDENTIFIER_SIZE);
	return SPHINX_ok;
}

/* The header for the next hop in the place of ours. */
static enum sphinx_status next_header(
	uint8_t *packet, const uint8_t expanded[SPHINX_EXPANDED_SIZE], const uint8_t *block)
{
	if (x25519(packet + PACKET_ALPHA, expanded + SPHINX_OFF_BLINDING, packet + PACKET_ALPHA) <
		0)
		return SPHINX_bad_point;
	memcpy(packet + PACKET_GAMMA, block + BLOCK_GAMMA, SPHINX_GAMMA_SIZE);
	memcpy(packet + PACKET_BETA, block + BLOCK_BETA, SPHINX_BETA_SIZE);
	return SPHINX_ok;
}

enum sphinx_status sphinx_unwrap_finish(struct crypto *c, uint8_t *packet, size_t len,
	struct sphinx_secrets *secrets, struct sphinx_hop *hop)
{
	uint8_t block[SPHINX_STREAM_SIZE] = {0}, key[SPHINX_PAYLOAD_KEY_SIZE];
	enum sphinx_status status;

	memcpy(block, packet + PACKET_BETA, SPHINX_BETA_SIZE);
	aes_ctr_xor(c, secrets->expanded + SPHINX_OFF_STREAM_KEY, block, block, sizeof(block));
	status = sphinx_read_block(block, hop);
	if (status == SPHINX_ok && hop->flag == SPHINX_FLAG_FORWARD)
		status = next_header(packet, secrets->expanded, block);
	if (status == SPHINX_ok) {
		sphinx_payload_key(c, hop->version, secrets->expanded, key);
		lioness_decrypt(key, packet + SPHINX_HEADER_SIZE, len - SPHINX_HEADER_SIZE);
		sodium_memzero(key, sizeof(key));
	}
	sodium_memzero(block, sizeof(block));
	sodium_memzero(secrets, sizeof(*secrets));
	return status;
}

enum sphinx_status sphinx_unwrap(struct crypto *c, const uint8_t node_secret[32], uint8_t *packet,
	size_t len, struct sphinx_hop *hop)
{
	struct sphinx_secrets secrets;
	enum sphinx_status status = sphinx_unwrap_open(c, node_secret, packet, len, &secrets);

	if (status != SPHINX_ok) {
		memset(hop, 0, sizeof(*hop));
		return status;
	}
	return sphinx_unwrap_finish(c, packet, len, &secrets, hop);
}
