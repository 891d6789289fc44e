/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_FRAME_H
#define BETANET_SPHINX_FRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * Nym's frame, version 8, four bytes before each packet: `08 ‖ size tag ‖ type 0 ‖ rotation`. The
 * rotation says which Sphinx key the packet was made for: 0 unknown, 1 odd, 2 even key period.
 */
enum {
	FRAME_SIZE = 4,
	FRAME_VERSION = 8,
	FRAME_TYPE_FORWARD = 0,
	FRAME_TAG_OWN = 0x80, /* the network's own packet size */
};

/* Size tag for a payload size: 1 regular (2065), 2 ack (38), 3 extended32 (32785), 4 extended8
 * (8209), 5 extended16 (16401), otherwise FRAME_TAG_OWN. */
uint8_t frame_size_tag(size_t payload_size);

void frame_write(uint8_t out[FRAME_SIZE], size_t payload_size, uint8_t rotation);

/* 0, or -EINVAL unless version, type, rotation and the size tag of `payload_size` are right. */
int frame_check(const uint8_t in[FRAME_SIZE], size_t payload_size);

#endif
