/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"

enum { KEY_DIGITS = 64, TEXT = 4096 };

static int parse_relay(struct chain *c, const char *text, size_t len, struct error *err)
{
	struct endpoint *e = &c->address[c->hops];
	char key[KEY_DIGITS + 1], address[ENDPOINT_STRLEN];
	const char *at = memchr(text, '@', len);
	size_t rest = at ? len - (size_t)(at - text) - 1 : 0;

	if (c->hops == SPHINX_MAX_HOPS)
		return error_set(err, EINVAL, "--chain: more than %d relays", (int)SPHINX_MAX_HOPS);
	if (at == text + KEY_DIGITS && rest < sizeof(address)) {
		snprintf(key, sizeof(key), "%s", text);
		snprintf(address, sizeof(address), "%.*s", (int)rest, at + 1);
		if (hex_decode(c->public_key[c->hops], 32, key) == 0 &&
			endpoint_parse(e, address) == 0 && e->family == 4 && e->port) {
			c->hops++;
			return 0;
		}
	}
	return error_set(err, EINVAL,
		"--chain: \"%.*s\" is not KEY@IP:PORT with 64 hex digits and an IPv4 address",
		(int)(len < 120 ? len : 120), text);
}

int chain_parse(struct chain *c, const char *text, struct error *err)
{
	int rc = 0;

	memset(c, 0, sizeof(*c));
	do {
		size_t len = strcspn(text, ",");

		rc = parse_relay(c, text, len, err);
		text += len;
	} while (!rc && *text++ == ',');
	return rc;
}

/* A public key that nobody has the secret to. */
static void make_up(uint8_t key[32])
{
	uint8_t secret[64];

	crypto_sign_keypair(key, secret);
	sodium_memzero(secret, sizeof(secret));
}

static size_t write_node(const struct chain *c, unsigned i, const uint8_t node_id[32],
	const uint8_t vrf_key[32], char *out, size_t size)
{
	char id[65], vrf[65], sphinx[65], address[ENDPOINT_STRLEN];
	uint8_t made[32];

	make_up(made);
	hex_encode(id, i == 0 && node_id ? node_id : made, 32);
	make_up(made);
	hex_encode(vrf, i == 0 && vrf_key ? vrf_key : made, 32);
	hex_encode(sphinx, c->public_key[i], 32);
	return (size_t)snprintf(out, size,
		"%s{ name = \"mix%u\"; layer = %u; address = \"%s\"; identity_key = \"%s\"; "
		"sphinx_key = \"%s\"; vrf_key = \"%s\"; }\n",
		i ? "," : "", i + 1, i + 1, endpoint_format(address, &c->address[i]), id, sphinx,
		vrf);
}

int chain_sign(const struct chain *c, const uint8_t node_id[32], const uint8_t vrf_key[32],
	uint8_t authority[32], char path[CHAIN_PATH], struct error *err)
{
	uint8_t seed[32], secret[64];
	char text[TEXT], id[65];
	size_t at;
	int rc, fd;

	strcpy(path, "/tmp/betanet-testmix.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0) {
		rc = error_set(err, errno, "%s: %s", path, strerror(errno));
		path[0] = 0;
		return rc;
	}
	close(fd);
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(authority, secret, seed);
	hex_encode(id, authority, 32);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = \"2020-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		id);
	for (unsigned i = 0; i < c->hops; i++)
		at += write_node(c, i, node_id, vrf_key, text + at, sizeof(text) - at);
	snprintf(text + at, sizeof(text) - at, ");\n");
	rc = directory_sign_text(
		"the chain", (const uint8_t *)text, strlen(text), path, seed, FILE_FORCE, err);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	if (rc) {
		unlink(path);
		path[0] = 0;
	}
	return rc;
}

int chain_directory(const struct chain *c, struct directory **out, struct error *err)
{
	uint8_t authority[32];
	char path[CHAIN_PATH];
	int rc = chain_sign(c, NULL, NULL, authority, path, err);

	if (rc)
		return rc;
	rc = directory_load(path, authority, (uint64_t)time(NULL), out, err);
	unlink(path);
	return rc;
}
