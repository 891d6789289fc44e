/* SPDX-License-Identifier: BSD-3-Clause */
#include "message.h"
#include "core/bytes.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static const uint8_t magic[5] = {'B', 'N', 'm', '1', 1};

size_t message_piece_len(const struct message_header *h)
{
	if (h->index + 1 < h->count)
		return h->piece;
	return (size_t)(h->total - (uint64_t)h->index * h->piece);
}

int message_decode(const uint8_t *in, size_t len, struct message_header *h, const uint8_t **piece,
	size_t *piece_len)
{
	if (len < MESSAGE_HEADER_SIZE || memcmp(in, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	h->type = in[5];
	h->piece = load_be16(in + 6);
	h->index = load_be32(in + 8);
	h->count = load_be32(in + 12);
	h->total = load_be64(in + 16);
	memcpy(h->id, in + 24, sizeof(h->id));
	if (h->type < MESSAGE_DATA || h->type > MESSAGE_PING || h->piece == 0)
		return -EBADMSG;
	if (h->total == 0 || h->total > MESSAGE_MAX_TOTAL || h->index >= h->count ||
		(h->total + h->piece - 1) / h->piece != h->count)
		return -EBADMSG;
	if (len - MESSAGE_HEADER_SIZE != message_piece_len(h))
		return -EBADMSG;
	*piece = in + MESSAGE_HEADER_SIZE;
	*piece_len = len - MESSAGE_HEADER_SIZE;
	return 0;
}

size_t message_encode(uint8_t *out, const struct message_header *h, const uint8_t *piece)
{
	size_t n = message_piece_len(h);

	memcpy(out, magic, sizeof(magic));
	out[5] = h->type;
	store_be16(out + 6, h->piece);
	store_be32(out + 8, h->index);
	store_be32(out + 12, h->count);
	store_be64(out + 16, h->total);
	memcpy(out + 24, h->id, sizeof(h->id));
	memcpy(out + MESSAGE_HEADER_SIZE, piece, n);
	return MESSAGE_HEADER_SIZE + n;
}

static void hash_behind(uint8_t out[MESSAGE_HASH_SIZE], const uint8_t *stream, size_t len)
{
	crypto_generichash(out, MESSAGE_HASH_SIZE, stream + MESSAGE_HASH_SIZE,
		len - MESSAGE_HASH_SIZE, NULL, 0);
}

int message_compose(const uint8_t answers[MESSAGE_ID_SIZE], const uint8_t *content,
	size_t content_len, const struct message_block *blocks, size_t block_count,
	uint8_t **stream, size_t *stream_len)
{
	size_t total = MESSAGE_STREAM_OVERHEAD;
	uint8_t *s, *p;

	if (content_len > MESSAGE_MAX_TOTAL)
		return -EFBIG;
	total += content_len;
	for (size_t i = 0; i < block_count; i++)
		total += MESSAGE_BLOCK_OVERHEAD + (size_t)blocks[i].len;
	if (total > MESSAGE_MAX_TOTAL)
		return -EFBIG;
	s = calloc(1, total);
	if (!s)
		return -ENOMEM;
	if (answers)
		memcpy(s + 32, answers, MESSAGE_ID_SIZE);
	store_be64(s + 48, content_len);
	if (content_len > 0)
		memcpy(s + MESSAGE_STREAM_OVERHEAD, content, content_len);
	p = s + MESSAGE_STREAM_OVERHEAD + content_len;
	for (size_t i = 0; i < block_count; i++) {
		store_be16(p, blocks[i].version);
		store_be16(p + 2, blocks[i].len);
		memcpy(p + MESSAGE_BLOCK_OVERHEAD, blocks[i].data, blocks[i].len);
		p += MESSAGE_BLOCK_OVERHEAD + blocks[i].len;
	}
	hash_behind(s, s, total);
	*stream = s;
	*stream_len = total;
	return 0;
}

int message_next_block(const struct message_view *v, size_t *offset, struct message_block *block)
{
	const uint8_t *p = v->blocks + *offset;
	size_t left = v->blocks_len - *offset;

	if (left < MESSAGE_BLOCK_OVERHEAD)
		return 0;
	block->version = load_be16(p);
	block->len = load_be16(p + 2);
	if (block->len > left - MESSAGE_BLOCK_OVERHEAD)
		return 0;
	block->data = p + MESSAGE_BLOCK_OVERHEAD;
	*offset += MESSAGE_BLOCK_OVERHEAD + (size_t)block->len;
	return 1;
}

int message_parse(const uint8_t *stream, size_t len, struct message_view *v)
{
	uint8_t hash[MESSAGE_HASH_SIZE];
	struct message_block block;
	size_t offset = 0;
	uint64_t n;

	if (len < MESSAGE_STREAM_OVERHEAD)
		return -EBADMSG;
	hash_behind(hash, stream, len);
	if (memcmp(hash, stream, sizeof(hash)) != 0)
		return -EILSEQ;
	n = load_be64(stream + 48);
	if (n > len - MESSAGE_STREAM_OVERHEAD)
		return -EBADMSG;
	memcpy(v->answers, stream + 32, MESSAGE_ID_SIZE);
	v->content = stream + MESSAGE_STREAM_OVERHEAD;
	v->content_len = (size_t)n;
	v->blocks = v->content + n;
	v->blocks_len = len - MESSAGE_STREAM_OVERHEAD - (size_t)n;
	v->block_count = 0;
	while (message_next_block(v, &offset, &block))
		v->block_count++;
	return offset == v->blocks_len ? 0 : -EBADMSG;
}

int message_split(struct message_header *h, uint8_t type, size_t stream_len, size_t room)
{
	uint64_t count;

	if (room < MESSAGE_MIN_ROOM || room > MESSAGE_MAX_ROOM || stream_len == 0)
		return -EINVAL;
	h->type = type;
	h->piece = (uint16_t)(room - MESSAGE_HEADER_SIZE);
	h->total = stream_len;
	h->index = 0;
	count = ((uint64_t)stream_len + h->piece - 1) / h->piece;
	if (count > UINT32_MAX || stream_len > MESSAGE_MAX_TOTAL)
		return -EFBIG;
	h->count = (uint32_t)count;
	randombytes_buf(h->id, sizeof(h->id));
	return 0;
}

size_t message_fragment(
	const struct message_header *h, const uint8_t *stream, uint32_t index, uint8_t *out)
{
	struct message_header one = *h;

	one.index = index;
	return message_encode(out, &one, stream + (size_t)index * h->piece);
}

uint64_t message_capacity(uint32_t packets, size_t room)
{
	uint64_t n = (uint64_t)packets * (room - MESSAGE_HEADER_SIZE);

	return n > MESSAGE_STREAM_OVERHEAD ? n - MESSAGE_STREAM_OVERHEAD : 0;
}
