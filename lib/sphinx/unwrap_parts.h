/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_UNWRAP_PARTS_H
#define BETANET_SPHINX_UNWRAP_PARTS_H

#include <stdbool.h>
#include "sphinx/sphinx.h"

/* Inside of lib/sphinx: what one packet and a burst share of unwrapping. */

/* Header and a payload within its limits. */
static inline bool sphinx_length_ok(size_t len)
{
	return len >= SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN &&
	       len <= SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX;
}

/* Flag, version, address and what follows them, out of the deciphered routing block. ok,
 * bad_routing_flag or unsupported_version. */
enum sphinx_status sphinx_read_block(
	const uint8_t block[SPHINX_STREAM_SIZE], struct sphinx_hop *hop);

#endif
