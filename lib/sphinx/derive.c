/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/derive.h"
#include "crypto/hkdf.h"

#include <sodium.h>
#include <string.h>

/* test_sphinx works them out again. */
const struct hmac_key sphinx_expand_salt = {/* "" */
	{0xf454dead, 0x9725214f, 0x90daf2a0, 0xdf1228ea, 0x64e5750f, 0xa3924181, 0x824a932b,
		0xf8e04e32},
	{0xd385480f, 0x7abb6477, 0x37c9c538, 0x5dd82467, 0x8e043a72, 0x753434b0, 0xdeb82818,
		0x361d45a6}};
const struct hmac_key sphinx_payload_salt = {/* "sphinx-payload-key-V01-CS01-HKDF:SHA256-SALT" */
	{0xbf052049, 0x38765d0b, 0xcf478382, 0x3fd54337, 0x8ccbafb1, 0xb1731fd5, 0x31042263,
		0x6853a305},
	{0x93de4c18, 0xa58134bf, 0xd1eee2be, 0x3637d0b6, 0x7b54ae64, 0xd80c069c, 0x96afc5f1,
		0x517d10f3}};

const char sphinx_expand_info[97] = "Dwste mou enan moxlo arketa makru kai ena upomoxlio gia na "
				    "ton topothetisw kai tha kinisw thn gh.";
const char sphinx_payload_info[44] = "sphinx-payload-key-V01-CS01-HKDF:SHA256-INFO";

/* The lengths are constants within hkdf_sha256's and hmac_sha256's ranges: these cannot fail. */

void sphinx_expand(
	struct crypto *c, const uint8_t shared[32], uint8_t expanded[SPHINX_EXPANDED_SIZE])
{
	hkdf_sha256(c, &sphinx_expand_salt, shared, 32, sphinx_expand_info,
		sizeof(sphinx_expand_info), expanded, SPHINX_EXPANDED_SIZE);
}

void sphinx_key_from_seed(struct crypto *c, const uint8_t seed[SPHINX_SEED_SIZE],
	uint8_t key[SPHINX_PAYLOAD_KEY_SIZE])
{
	hkdf_sha256(c, &sphinx_payload_salt, seed, SPHINX_SEED_SIZE, sphinx_payload_info,
		sizeof(sphinx_payload_info), key, SPHINX_PAYLOAD_KEY_SIZE);
}

void sphinx_payload_key(struct crypto *c, uint16_t version,
	const uint8_t expanded[SPHINX_EXPANDED_SIZE], uint8_t key[SPHINX_PAYLOAD_KEY_SIZE])
{
	if (version == SPHINX_V258)
		memcpy(key, expanded + SPHINX_OFF_PAYLOAD_KEY, SPHINX_PAYLOAD_KEY_SIZE);
	else
		sphinx_key_from_seed(c, expanded + SPHINX_OFF_SEED, key);
}

void sphinx_mac(struct crypto *c, const uint8_t expanded[SPHINX_EXPANDED_SIZE],
	const uint8_t beta[SPHINX_BETA_SIZE], uint8_t gamma[SPHINX_GAMMA_SIZE])
{
	uint8_t tag[HMAC_SIZE];
	struct hmac_key key;

	hmac_key_init(c, &key, expanded + SPHINX_OFF_MAC_KEY, SPHINX_K);
	hmac_sha256(c, &key, beta, SPHINX_BETA_SIZE, tag);
	memcpy(gamma, tag, SPHINX_GAMMA_SIZE);
	sodium_memzero(tag, sizeof(tag));
	sodium_memzero(&key, sizeof(key));
}
