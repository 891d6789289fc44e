/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/payload.h"
#include "sphinx/sphinx.h"

#include <string.h>

enum { PREFIX = SPHINX_K, MARKER = 1 };

enum sphinx_status sphinx_payload_check(size_t message_len, size_t payload_size)
{
	if (payload_size < SPHINX_PAYLOAD_MIN || payload_size > SPHINX_PAYLOAD_MAX)
		return SPHINX_bad_length;
	return message_len > payload_size - SPHINX_PAYLOAD_OVERHEAD ? SPHINX_bad_message
								    : SPHINX_ok;
}

void sphinx_payload_pad(
	uint8_t *payload, size_t payload_size, const uint8_t *message, size_t message_len)
{
	/* the message may already lie in the payload */
	if (message_len > 0)
		memmove(payload + PREFIX, message, message_len);
	memset(payload, 0, PREFIX);
	payload[PREFIX + message_len] = MARKER;
	memset(payload + PREFIX + message_len + 1, 0, payload_size - PREFIX - message_len - 1);
}

enum sphinx_status sphinx_payload_message(
	const uint8_t *payload, size_t len, const uint8_t **message, size_t *message_len)
{
	uint8_t any = 0;

	*message = NULL;
	*message_len = 0;
	if (len < SPHINX_PAYLOAD_OVERHEAD)
		return SPHINX_bad_payload;
	for (size_t i = 0; i < PREFIX; i++)
		any |= payload[i];
	if (any)
		return SPHINX_bad_payload;
	/* as Nym's crate reads it: what stands behind the last 01 is not looked at */
	for (size_t i = len; i-- > PREFIX;) {
		if (payload[i] == MARKER) {
			*message = payload + PREFIX;
			*message_len = i - PREFIX;
			return SPHINX_ok;
		}
	}
	return SPHINX_bad_payload;
}
