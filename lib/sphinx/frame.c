/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/frame.h"

#include <errno.h>

enum { ROTATION_MAX = 2 };

uint8_t frame_size_tag(size_t payload_size)
{
	static const struct {
		size_t payload;
		uint8_t tag;
	} sizes[] = {{2065, 1}, {38, 2}, {32785, 3}, {8209, 4}, {16401, 5}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (sizes[i].payload == payload_size)
			return sizes[i].tag;
	return FRAME_TAG_OWN;
}

void frame_write(uint8_t out[FRAME_SIZE], size_t payload_size, uint8_t rotation)
{
	out[0] = FRAME_VERSION;
	out[1] = frame_size_tag(payload_size);
	out[2] = FRAME_TYPE_FORWARD;
	out[3] = rotation;
}

int frame_check(const uint8_t in[FRAME_SIZE], size_t payload_size)
{
	return in[0] == FRAME_VERSION && in[1] == frame_size_tag(payload_size) &&
			       in[2] == FRAME_TYPE_FORWARD && in[3] <= ROTATION_MAX
		       ? 0
		       : -EINVAL;
}
