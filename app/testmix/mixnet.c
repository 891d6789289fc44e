/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixnet.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>
#include "chain.h"
#include "core/secmem.h"
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

static int sign_directory(struct mixnet *m, struct error *err)
{
	struct chain c = {.hops = m->keys.hops};
	uint8_t vrf_key[32], unused[64];
	int rc = own_vrf_key(m, vrf_key, err);

	if (rc)
		return rc;
	memcpy(c.public_key, m->keys.public_key, sizeof(c.public_key));
	memcpy(c.address, m->address, sizeof(c.address));
	crypto_sign_keypair(m->node_id, unused);
	sodium_memzero(unused, sizeof(unused));
	rc = chain_sign(&c, m->node_id, vrf_key, m->authority, m->path, err);
	memcpy(m->network_id, m->authority, sizeof(m->network_id));
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
