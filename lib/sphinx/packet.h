/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_PACKET_H
#define BETANET_SPHINX_PACKET_H

#include <stddef.h>
#include <stdint.h>

/*
 * Layout and vocabulary of a Sphinx packet: Danezis and Goldberg, "Sphinx: A Compact and Provably
 * Secure Mix Format" (2009), in the format of Nym's crate `sphinx-packet` 0.6.
 *
 *   alpha[0..32] ‖ gamma[32..48] ‖ beta[48..348] ‖ payload[348..]       the length never changes on
 * the way
 */
enum {
	SPHINX_K = 16, /* security parameter */
	SPHINX_MAX_HOPS = 5,
	SPHINX_ALPHA_SIZE = 32,
	SPHINX_GAMMA_SIZE = 16,
	SPHINX_BETA_SIZE = 300,
	SPHINX_HEADER_SIZE = 348,
	SPHINX_HOP_SIZE = 60, /* one slot of beta: flag, version, address, delay, gamma */
	SPHINX_ADDRESS_SIZE = 32,
	SPHINX_IDENTIFIER_SIZE = 16,
	SPHINX_STREAM_SIZE = 360,
	SPHINX_PAYLOAD_KEY_SIZE = 192,
	SPHINX_SEED_SIZE = 16,
	SPHINX_BLINDING_SIZE = 32,
	SPHINX_TAG_SIZE = 32,
	SPHINX_EXPANDED_SIZE = 288,
	SPHINX_PAYLOAD_OVERHEAD = 17, /* 16 zero bytes in front, one 01 marker behind */
	SPHINX_PAYLOAD_MIN = 33,      /* LIONESS needs more than its left half of 32 bytes */
	SPHINX_PAYLOAD_MAX = 32785,   /* Nym's largest extended packet */
	SPHINX_PAYLOAD_DEFAULT = 1024,
};

/* Where the parts of the expanded secret stand (sphinx.md, "Key derivation"). */
enum {
	SPHINX_OFF_STREAM_KEY = 0,
	SPHINX_OFF_MAC_KEY = 16,
	SPHINX_OFF_PAYLOAD_KEY = 32, /* 192 bytes; version 258 */
	SPHINX_OFF_SEED = 32,        /* 16 bytes; every later version */
	SPHINX_OFF_BLINDING = 224,
	SPHINX_OFF_TAG = 256,
};

enum sphinx_version {
	SPHINX_V258 = 258, /* payload keys out of the expanded secret: today's Nym clients */
	SPHINX_V259 = 259, /* payload keys derived from seeds */
	SPHINX_V260 = 260, /* as 259; a reply block carries the last hop's seed alone */
};

enum sphinx_flag {
	SPHINX_FLAG_FORWARD = 1,
	SPHINX_FLAG_FINAL = 2,
};

/* Every way in which a packet, a reply block or a request to build one can be wrong. Zero is
 * success, the others are returned as they are (positive), so that a caller can count them. */
#define SPHINX_STATUSES(X)                                                                         \
	X(ok, "no error")                                                                          \
	X(bad_length, "packet shorter than 381 bytes, or payload outside 33..32785 bytes")         \
	X(bad_point, "alpha or a public key of small order")                                       \
	X(bad_mac, "gamma does not match beta")                                                    \
	X(bad_routing_flag, "routing flag other than 1 or 2")                                      \
	X(unsupported_version, "version 1 or 257")                                                 \
	X(bad_payload, "no zero prefix or no end marker in the final payload")                     \
	X(bad_route, "a route has 1 to 5 hops")                                                    \
	X(bad_message, "message longer than the payload size less 17 bytes")                       \
	X(bad_surb, "reply block of a wrong length or version")                                    \
	X(bad_address, "first byte of an address other than 4 or 6")

enum sphinx_status {
#define X(name, text) SPHINX_##name,
	SPHINX_STATUSES(X)
#undef X
};

const char *sphinx_status_name(enum sphinx_status s);
const char *sphinx_status_text(enum sphinx_status s);

/* 1 and 257 are the legacy versions, refused here; every other value is accepted. */
static inline int sphinx_version_refused(uint16_t v)
{
	return v == 1 || v == 257;
}

#endif
