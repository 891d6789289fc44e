/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_BURST_H
#define BETANET_SPHINX_BURST_H

#include <stdbool.h>
#include "sphinx/sphinx.h"

/*
 * Unwrapping up to SPHINX_BURST_MAX packets with one call: the same two halves as in sphinx.h, the
 * same bytes and the same verdicts, on the multi-buffer kernels of lib/crypto. In place, no
 * allocation, no copy of a payload, and time grows with the number of packets alone.
 *
 *	sphinx_open_burst(b, secret, packet, len, n, status);
 *	for each i with status[i] == SPHINX_ok
 *		if (seen before(sphinx_burst_tag(b, i)))
 *			status[i] = anything but SPHINX_ok;
 *	sphinx_finish_burst(b, status, hop);
 *
 * Order of work: all first multiplications → HKDF → MAC, compared in constant time → [the caller's
 * replay check] → survivors packed together → header → second multiplications, of forward packets
 * only → payload keys by version → LIONESS. A packet that fails changes nothing for its neighbours:
 * the survivors are packed anew before each step, so that no lane works for a dropped packet.
 */

enum { SPHINX_BURST_MAX = 128 };

/*
 * A hop multiplies each alpha twice. The pair kernel (x25519_mb.h) shares the doublings but pays
 * for them before the MAC is known; two ladders pay for the second one only when the packet goes
 * on. AUTO measures both at create, and then follows the share of packets that really went on:
 * a flood of forged packets brings it to the ladder and its end brings it back, with hysteresis
 * (burst_curve.h). With a pair an alpha on the quadratic twist is bad_point; no honest sender makes
 * one, and its MAC is not looked at.
 */
enum sphinx_burst_curve {
	SPHINX_CURVE_AUTO,   /* entry and middle relays */
	SPHINX_CURVE_LADDER, /* exits, where most packets end */
	SPHINX_CURVE_PAIR,   /* for tests and measurements */
};

/* One worker's workspace, in locked memory: about 130 KiB, with a pair 400 KiB more. One thread. */
struct sphinx_burst;

/* After crypto_init. NULL with errno ENOMEM when that much memory cannot be locked. AUTO measures
 * for some milliseconds. */
struct sphinx_burst *sphinx_burst_create(enum sphinx_burst_curve curve);
void sphinx_burst_free(struct sphinx_burst *b); /* wipes; NULL is fine */

/*
 * First half, for n (0..SPHINX_BURST_MAX) packets of one length under one key. Sets status[i] to
 * ok, bad_length, bad_point or bad_mac. Changes no packet. The buffers packet[i] must stay where
 * they are until sphinx_finish_burst, which must follow, even if no packet is left: it wipes.
 */
void sphinx_open_burst(struct sphinx_burst *b, const uint8_t node_secret[32],
	uint8_t *const packet[], size_t len, unsigned n, enum sphinx_status status[]);

/* The replay tag of packet i of the opened burst; meaningful where status[i] was ok. */
const uint8_t *sphinx_burst_tag(const struct sphinx_burst *b, unsigned i);

/* The shared secret s of packet i, for what is derived of it outside of Sphinx (vrf/delay.h). As
 * long and where as the tag. Secret. */
const uint8_t *sphinx_burst_shared(const struct sphinx_burst *b, unsigned i);

/*
 * Second half, for the packets with status[i] == SPHINX_ok; those with any other value are skipped:
 * buffer, status[i] and hop[i] stay as they are. Sets status[i] to ok, bad_routing_flag,
 * unsupported_version or bad_point, and hop[i]; after an error that packet's content is undefined.
 * Then every secret of the burst is wiped.
 */
void sphinx_finish_burst(
	struct sphinx_burst *b, enum sphinx_status status[], struct sphinx_hop hop[]);

/* Whether the last sphinx_open_burst took the pair kernel; for statistics and tests. */
bool sphinx_burst_used_pair(const struct sphinx_burst *b);

#endif
