/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_HEADER_H
#define BETANET_SPHINX_HEADER_H

#include "sphinx/layout.h"
#include "sphinx/sphinx.h"

/*
 * Inside of lib/sphinx: the steps of building a header, apart from each other so that a burst can
 * put its own curve in the place of the first (sphinx.md, "Building a packet").
 */

/* The expanded secret of each hop; secret, the caller wipes it. */
struct sphinx_route_secrets {
	uint8_t alpha[SPHINX_ALPHA_SIZE]; /* of the first hop */
	uint8_t expanded[SPHINX_MAX_HOPS][SPHINX_EXPANDED_SIZE];
};

/* bad_route or unsupported_version. */
enum sphinx_status sphinx_route_check(const struct sphinx_route *route);

/* Random bytes that the final routing block of such a route takes: 248, less 60 for each hop before
 * the last. */
static inline size_t sphinx_padding_size(unsigned hops)
{
	return SPHINX_BETA_SIZE - SPHINX_HOP_SIZE * (hops - 1) - BLOCK_PADDING;
}

/* From the sender's secret x: n (n + 1) / 2 multiplications. bad_point, then *rs is wiped. */
enum sphinx_status sphinx_route_derive(struct crypto *c, const struct sphinx_route *route,
	const uint8_t initial_secret[32], struct sphinx_route_secrets *rs);

/* Hop `hop`'s layer into beta, from the last hop (with the filler) to the first; gamma is the MAC
 * of the layer before and becomes part of this one. The caller makes the new gamma. stream[i] is
 * hop i's key stream of SPHINX_STREAM_SIZE bytes. */
void sphinx_header_layer(const struct sphinx_route *route, unsigned hop,
	const uint8_t *const stream[], const uint8_t *padding, uint8_t header[SPHINX_HEADER_SIZE]);

/* Filler, layers and MACs; padding as many bytes as sphinx_padding_size says. No curve, cannot
 * fail. */
void sphinx_header_write(struct crypto *c, const struct sphinx_route *route,
	const struct sphinx_route_secrets *rs, const uint8_t *padding,
	uint8_t header[SPHINX_HEADER_SIZE]);

/* The three above for a checked route, with given or fresh entropy. */
enum sphinx_status sphinx_header_build(struct crypto *c, const struct sphinx_route *route,
	const struct sphinx_entropy *entropy, struct sphinx_route_secrets *rs,
	uint8_t header[SPHINX_HEADER_SIZE]);

#endif
