/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_FAULT_H
#define BETANET_TESTMIX_FAULT_H

#include <stddef.h>
#include <stdint.h>
#include "core/drop.h"
#include "sphinx/sphinx.h"

/*
 * What can deliberately be wrong with a generated packet, and what the network must then count. One
 * list: the enum, the command-line options and the expectations of the summary come from it.
 *   X(name, option, drop reason, text)
 */
#define FAULTS(X)                                                                                  \
	X(replay, "replay", replay, "second copies of good packets")                               \
	X(forge, "forge", bad_mac, "packets with one bit of gamma or beta flipped")                \
	X(unknown_hop, "unknown-hop", unknown_next_hop,                                            \
		"packets whose second hop is not in the directory")                                \
	X(deny, "deny", exit_denied, "packets for a destination that no exit allows")              \
	X(not_exit, "not-exit", not_exit, "packets whose last layer is the entry's")               \
	X(bad_frame, "bad-frame", bad_frame, "packets behind a frame of an unknown version")       \
	X(truncate, "truncate", bad_length, "packets that are one byte short")                     \
	X(wrong_port, "wrong-port", wrong_port, "packets for the UDP port beside the entry's")

enum fault {
	FAULT_NONE,
#define X(name, option, reason, text) FAULT_##name,
	FAULTS(X)
#undef X
		FAULT_COUNT
};

/* Each may do something at any of the four moments; NULL and 0 do nothing. */
struct fault_kind {
	const char *option; /* on the command line, without its dashes */
	const char *text;
	enum drop_reason reason; /* that one relay of the route must count, once for each */
	unsigned min_hops;       /* of a route that can show it */
	void (*route)(struct sphinx_route *route);    /* before the packet is built */
	void (*packet)(uint8_t *framed, size_t size); /* the built packet behind its frame */
	int length_change;                            /* when it is sent */
	int port_change;
};

extern const struct fault_kind fault_kinds[FAULT_COUNT];

#endif
