/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_MIXNET_H
#define BETANET_TESTMIX_MIXNET_H

#include "core/error.h"
#include "sphinx/sphinx.h"
#include "sphinx/address.h"

/*
 * The network that the lab's engine is the first relay of: a chain of `hops` relays with new keys,
 * whose others do not exist; packets are made for it, and what the engine sends is judged as what
 * the next of them would get. Port i of the engine has the address 10.10.i.2, its other end
 * 10.10.i.1; the engine's node has port 0's, the next nodes have the other end of the last port.
 */
enum { MIXNET_UDP_PORT = 9000, MIXNET_SINK_PORT = 40000 };

struct mixnet_keys {
	unsigned hops;
	uint8_t secret[32]; /* the engine's */
	uint8_t public_key[SPHINX_MAX_HOPS][32];
};

struct mixnet {
	struct mixnet_keys keys;
	uint8_t vrf_seed[32];
	struct endpoint address[SPHINX_MAX_HOPS];
	struct endpoint sink; /* where messages go when the engine is the exit */
	uint8_t network_id[32], node_id[32], authority[32];
	char path[64]; /* of the signed directory */
};

/* In locked memory. `last` is the engine's last port; `keys` NULL: new ones for `hops` relays. 0;
 * -ENOMEM; a file error. */
int mixnet_create(unsigned hops, unsigned last, const struct mixnet_keys *keys, struct mixnet **out,
	struct error *err);
void mixnet_free(struct mixnet *m); /* removes the directory; NULL is fine */

/* The addresses of port `index` and of its other end, without a UDP port. */
struct endpoint mixnet_own_address(unsigned index);
struct endpoint mixnet_peer_address(unsigned index);

#endif
