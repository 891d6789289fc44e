/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_SPHINX_H
#define BETANET_SPHINX_SPHINX_H

#include "crypto/crypto.h"
#include "sphinx/packet.h"

/*
 * Building, unwrapping and answering Sphinx packets, one at a time, on libsodium and ipsec-mb: the
 * reference that every vector kernel is tested against. Every function wipes what it derived before
 * it returns; only the out-parameters hold secrets, and the caller wipes those. crypto_init comes
 * first.
 */

/* ---- unwrap
 * ---------------------------------------------------------------------------------------- */

/* What the first half of an unwrap learns; secret but for the tag's uses. Wiped by the second half.
 */
struct sphinx_secrets {
	uint8_t shared[32];
	uint8_t expanded[SPHINX_EXPANDED_SIZE];
};

/* What a hop learns from its layer. Not secret towards the hop itself, but never logged. */
struct sphinx_hop {
	uint8_t flag; /* enum sphinx_flag */
	uint16_t version;
	uint8_t address[SPHINX_ADDRESS_SIZE]; /* next hop, or the destination of a final packet */
	uint64_t delay_ns;                    /* forward only; as the sender wrote it, any value */
	uint8_t identifier[SPHINX_IDENTIFIER_SIZE]; /* final only */
};

/*
 * First half: shared secret, key derivation, MAC. Nothing in the packet changes. On success the
 * caller does its replay check on secrets->expanded + SPHINX_OFF_TAG, then calls
 * sphinx_unwrap_finish. `len` is the whole packet. Returns ok, bad_length, bad_point or bad_mac; on
 * an error *secrets is wiped.
 */
enum sphinx_status sphinx_unwrap_open(struct crypto *c, const uint8_t node_secret[32],
	const uint8_t *packet, size_t len, struct sphinx_secrets *secrets);

/*
 * Second half, in place: a forward packet becomes the packet for the next hop; of a final packet
 * the payload (from SPHINX_HEADER_SIZE on) becomes the plaintext with its padding. *secrets is
 * wiped whatever happens. Returns ok, bad_routing_flag, unsupported_version or bad_point; after an
 * error the packet's content is undefined and must be dropped.
 */
enum sphinx_status sphinx_unwrap_finish(struct crypto *c, uint8_t *packet, size_t len,
	struct sphinx_secrets *secrets, struct sphinx_hop *hop);

/* Both halves, without a replay check: for clients and tests. */
enum sphinx_status sphinx_unwrap(struct crypto *c, const uint8_t node_secret[32], uint8_t *packet,
	size_t len, struct sphinx_hop *hop);

/* The message inside a final payload of `len` bytes: *message points into it. ok or bad_payload. */
enum sphinx_status sphinx_payload_message(
	const uint8_t *payload, size_t len, const uint8_t **message, size_t *message_len);

/* ---- build
 * ----------------------------------------------------------------------------------------- */

struct sphinx_route_hop {
	uint8_t public_key[32];
	uint8_t address[SPHINX_ADDRESS_SIZE]; /* as the hop before it must see it; unused for the
						 first */
	uint64_t delay_ns;                    /* unused for the last */
};

struct sphinx_route {
	unsigned hops; /* 1..SPHINX_MAX_HOPS */
	struct sphinx_route_hop hop[SPHINX_MAX_HOPS];
	uint8_t destination[SPHINX_ADDRESS_SIZE];
	uint8_t identifier[SPHINX_IDENTIFIER_SIZE];
	uint16_t version; /* any but 1 and 257 */
};

/* The random inputs of one packet. NULL in the calls below: drawn from the system. Given: for
 * vectors. */
struct sphinx_entropy {
	uint8_t initial_secret[32];
	uint8_t padding[SPHINX_BETA_SIZE]; /* of the final hop; as many as the route leaves are used
					    */
};

/*
 * Writes a packet of SPHINX_HEADER_SIZE + payload_size bytes to `out` for the first hop of the
 * route. Returns ok, bad_route, unsupported_version, bad_length, bad_message, or bad_point (a hop's
 * key).
 */
enum sphinx_status sphinx_build(struct crypto *c, const struct sphinx_route *route,
	const uint8_t *message, size_t message_len, size_t payload_size,
	const struct sphinx_entropy *entropy, uint8_t *out);

/* ---- single-use reply blocks
 * ----------------------------------------------------------------------- */

enum {
	SURB_MAX_SIZE = SPHINX_HEADER_SIZE + SPHINX_ADDRESS_SIZE +
			SPHINX_MAX_HOPS * SPHINX_PAYLOAD_KEY_SIZE,
	SURB_RECOVERY_MAX_SIZE = SPHINX_IDENTIFIER_SIZE + SPHINX_MAX_HOPS * SPHINX_SEED_SIZE,
};

/*
 * Makes a reply block for `route` (whose last hop leads back to the maker). `first_hop` is the
 * address that the user of the block sends to. *surb_len is what was written to `surb`: 348 + 32 +
 * n·192 (258),
 * + n·16 (259), + 16 (260). For 260 the maker keeps `recovery` (identifier ‖ n seeds; secret);
 * for the others *recovery_len is 0. Returns ok, bad_route, bad_surb (version) or bad_point.
 */
enum sphinx_status surb_create(struct crypto *c, const struct sphinx_route *route,
	const uint8_t first_hop[SPHINX_ADDRESS_SIZE], const struct sphinx_entropy *entropy,
	uint8_t surb[SURB_MAX_SIZE], size_t *surb_len, uint8_t recovery[SURB_RECOVERY_MAX_SIZE],
	size_t *recovery_len);

/*
 * Uses a reply block once: writes the packet (348 + payload_size bytes) and where to send it. The
 * version (258, 259, 260) is not in the block and comes from the maker. ok, bad_surb, bad_message,
 * bad_length.
 */
enum sphinx_status surb_use(struct crypto *c, uint16_t version, const uint8_t *surb,
	size_t surb_len, const uint8_t *message, size_t message_len, size_t payload_size,
	uint8_t *out, uint8_t first_hop[SPHINX_ADDRESS_SIZE]);

/*
 * Version 260: turns the final payload, in place, into the padded plaintext with the seeds of
 * `recovery`; then as sphinx_payload_message. ok, bad_surb, bad_length or bad_payload.
 */
enum sphinx_status surb_recover(struct crypto *c, const uint8_t *recovery, size_t recovery_len,
	uint8_t *payload, size_t payload_len, const uint8_t **message, size_t *message_len);

#endif
