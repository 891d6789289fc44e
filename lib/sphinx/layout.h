/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_LAYOUT_H
#define BETANET_SPHINX_LAYOUT_H

/* Inside of lib/sphinx: places in a packet, and in the routing block that beta deciphers to. */
enum {
	PACKET_ALPHA = 0,
	PACKET_GAMMA = 32,
	PACKET_BETA = 48,
};

enum {
	BLOCK_FLAG = 0,
	BLOCK_ZERO = 1, /* written as zero, read by nobody */
	BLOCK_VERSION = 2,
	BLOCK_ADDRESS = 4,
	/* forward */
	BLOCK_DELAY = 36,
	BLOCK_GAMMA = 44,
	BLOCK_BETA = 60,
	/* final */
	BLOCK_IDENTIFIER = 36,
	BLOCK_PADDING = 52,
};

#endif
