/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixnet.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "vrf/ecvrf.h"

struct endpoint mixnet_own_address(unsigned index)
{
	return (struct endpoint){.family = 4, .ip = {10, 10, (uint8_t)index, 2}};
}

struct endpoint mixnet_peer_address(unsigned index)
{
	return (struct endpoint){.family = 4, .ip = {10, 10, (uint8_t)index, 1}};
}

/* The engine's pair is kept; of the other relays only the public keys. */
static void make_keys(struct mixnet *m)
{
	uint8_t other[32];

	randombytes_buf(m->keys.secret, sizeof(m->keys.secret));
	crypto_scalarmult_base(m->keys.public_key[0], m->keys.secret);
	for (unsigned i = 1; i < m->keys.hops; i++) {
		randombytes_buf(other, sizeof(other));
		crypto_scalarmult_base(m->keys.public_key[i], other);
	}
	sodium_memzero(other, sizeof(other));
}

static int own_vrf_key(const struct mixnet *m, uint8_t public_key[32], struct error *err)
{
	struct ecvrf_key *key = secmem_alloc(sizeof(*key));

	if (!key)
		return error_set(
			err, ENOMEM, "no locked memory for the VRF key; raise `ulimit -l`");
	ecvrf_key_from_seed(key, m->vrf_seed);
	memcpy(public_key, key->public, 32);
	ecvrf_key_wipe(key);
	secmem_free(key);
	return 0;
}

static size_t write_node(
	const struct mixnet *m, unsigned i, const uint8_t vrf_key[32], char *out, size_t size)
{
	char id[65], vrf[65], sphinx[65], address[ENDPOINT_STRLEN];
	uint8_t identity[32], unused[64];

	crypto_sign_keypair(identity, unused);
	sodium_memzero(unused, sizeof(unused));
	hex_encode(id, i ? identity : m->node_id, 32);
	hex_encode(vrf, vrf_key, 32);
	hex_encode(sphinx, m->keys.public_key[i], 32);
	return (size_t)snprintf(out, size,
		"%s{ name = \"mix%u\"; layer = %u; address = \"%s\"; identity_key = \"%s\"; "
		"sphinx_key = \"%s\"; vrf_key = \"%s\"; }\n",
		i ? "," : "", i + 1, i + 1, endpoint_format(address, &m->address[i]), id, sphinx,
		vrf);
}

static int sign_directory(struct mixnet *m, struct error *err)
{
	uint8_t seed[32], unused[64], vrf_key[32];
	char text[4096], id[65];
	size_t at;
	int rc, fd;

	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(m->authority, unused, seed);
	memcpy(m->network_id, m->authority, sizeof(m->network_id));
	crypto_sign_keypair(m->node_id, unused);
	hex_encode(id, m->network_id, 32);
	at = (size_t)snprintf(text, sizeof(text),
		"version = 1;\nnetwork_id = \"%s\";\nvalid_from = \"2020-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		id);
	rc = own_vrf_key(m, vrf_key, err);
	for (unsigned i = 0; i < m->keys.hops; i++) {
		at += write_node(m, i, vrf_key, text + at, sizeof(text) - at);
		crypto_sign_keypair(vrf_key, unused);
	}
	snprintf(text + at, sizeof(text) - at, ");\n");
	strcpy(m->path, "/tmp/betanet-testmix.XXXXXX");
	fd = rc ? -1 : mkstemp(m->path);
	if (!rc && fd < 0)
		rc = error_set(err, errno, "%s: %s", m->path, strerror(errno));
	if (fd >= 0)
		close(fd);
	else
		m->path[0] = 0;
	if (!rc)
		rc = directory_sign_text("the lab's directory", (const uint8_t *)text, strlen(text),
			m->path, seed, FILE_FORCE, err);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(unused, sizeof(unused));
	return rc;
}

int mixnet_create(unsigned hops, unsigned last, const struct mixnet_keys *keys, struct mixnet **out,
	struct error *err)
{
	struct mixnet *m = secmem_alloc(sizeof(*m));
	int rc;

	if (!m)
		return error_set(err, ENOMEM, "no locked memory for the keys; raise `ulimit -l`");
	memset(m, 0, sizeof(*m));
	randombytes_buf(m->vrf_seed, sizeof(m->vrf_seed));
	m->keys.hops = hops;
	if (keys)
		m->keys = *keys;
	else
		make_keys(m);
	for (unsigned i = 0; i < m->keys.hops; i++) {
		m->address[i] = i ? mixnet_peer_address(last) : mixnet_own_address(0);
		m->address[i].port = (uint16_t)(MIXNET_UDP_PORT + i);
	}
	m->sink = mixnet_peer_address(last);
	m->sink.port = MIXNET_SINK_PORT;
	rc = sign_directory(m, err);
	if (rc)
		mixnet_free(m);
	else
		*out = m;
	return rc;
}

void mixnet_free(struct mixnet *m)
{
	if (m && m->path[0])
		unlink(m->path);
	secmem_free(m);
}
