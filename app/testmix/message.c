/* SPDX-License-Identifier: BSD-3-Clause */
#include "message.h"

#include <sodium.h>
#include <string.h>
#include "core/bytes.h"

enum {
	CHUNK = 256,
	/* ChaCha20 block numbers: the first block draws the length, the content starts behind it */
	BLOCK = 64,
	CONTENT_BLOCK = 1,
};

void message_run_init(struct message_run *run)
{
	randombytes_buf(run, sizeof(*run));
}

size_t message_length(const struct message_run *run, uint64_t seq, size_t fixed, size_t max)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES], draw[8];

	if (fixed)
		return fixed;
	store_be64(nonce, seq);
	crypto_stream_chacha20(draw, sizeof(draw), nonce, run->key);
	return MESSAGE_MIN + (size_t)(load_be64(draw) % (max - MESSAGE_MIN + 1));
}

void message_write(const struct message_run *run, uint64_t seq, uint8_t *out, size_t len)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	memcpy(out, run->id, sizeof(run->id));
	store_be64(out + 8, seq);
	store_be64(nonce, seq);
	memset(out + MESSAGE_MIN, 0, len - MESSAGE_MIN);
	crypto_stream_chacha20_xor_ic(out + MESSAGE_MIN, out + MESSAGE_MIN, len - MESSAGE_MIN,
		nonce, CONTENT_BLOCK, run->key);
}

/* The content as sent is the key stream itself: decrypting what arrived must leave zeros. */
static int content_is_right(
	const struct message_run *run, uint64_t seq, const uint8_t *content, size_t len)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES], left[CHUNK];

	store_be64(nonce, seq);
	for (size_t at = 0; at < len; at += CHUNK) {
		size_t n = len - at < CHUNK ? len - at : CHUNK;

		crypto_stream_chacha20_xor_ic(
			left, content + at, n, nonce, CONTENT_BLOCK + at / BLOCK, run->key);
		if (!sodium_is_zero(left, n))
			return 0;
	}
	return 1;
}

enum message_verdict message_check(const struct message_run *run, const uint8_t *data, size_t len,
	size_t fixed, size_t max, uint64_t count, uint64_t *seq)
{
	uint64_t s;

	if (len < MESSAGE_MIN || memcmp(data, run->id, sizeof(run->id)) != 0)
		return MESSAGE_FOREIGN;
	s = load_be64(data + 8);
	if (s >= count || len != message_length(run, s, fixed, max) ||
		!content_is_right(run, s, data + MESSAGE_MIN, len - MESSAGE_MIN))
		return MESSAGE_CORRUPT;
	*seq = s;
	return MESSAGE_RIGHT;
}
