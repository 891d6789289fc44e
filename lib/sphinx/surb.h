/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_SURB_H
#define BETANET_SPHINX_SURB_H

#include "sphinx/derive.h"
#include "sphinx/sphinx.h"

/* What making reply blocks one at a time (surb.c) and in bursts (build_burst.c) have in common. */

/* ok, bad_surb (a version without blocks) or as sphinx_route_check. */
enum sphinx_status surb_check(const struct sphinx_route *route);

/* Writes what stands behind the header of a block, and the recovery record of version 260
 * (*recovery_len 0 for the others), from the hops' expanded secrets. Returns the block's length. */
size_t surb_write(const struct sphinx_route *route, const uint8_t first_hop[SPHINX_ADDRESS_SIZE],
	const uint8_t expanded[][SPHINX_EXPANDED_SIZE], uint8_t surb[SURB_MAX_SIZE],
	uint8_t recovery[SURB_RECOVERY_MAX_SIZE], size_t *recovery_len);

#endif
