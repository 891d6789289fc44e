/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_PAYLOAD_H
#define BETANET_SPHINX_PAYLOAD_H

#include "sphinx/packet.h"

/* Inside of lib/sphinx: the padding of a payload and its layers. */

/* 16 zero bytes ‖ message ‖ 01 ‖ zeros. bad_length unless 33..32785 bytes, bad_message. */
enum sphinx_status sphinx_payload_check(size_t message_len, size_t payload_size);
void sphinx_payload_pad(
	uint8_t *payload, size_t payload_size, const uint8_t *message, size_t message_len);

#endif
