/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_MESSAGE_H
#define BETANET_CLIENT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the clients say to each other through a mixnet. The relays never look into it.
 *
 * A transfer is one stream of bytes, cut into fragments; each fragment is the message of one Sphinx
 * packet. Fragments may arrive in any order, twice, or not at all. All numbers are big-endian.
 *
 *   fragment                                     stream
 *    0   4  "BNm1"                                0  32  BLAKE2b-256 of everything behind it
 *    4   1  layout, 1                            32  16  id of the transfer that this one answers,
 *    5   1  type (enum message_type)                     zero when it answers none
 *    6   2  piece: bytes of the stream in        48   8  n
 *           every fragment but the last          56   n  content
 *    8   4  index, from 0                        56+n    reply blocks, each:
 *   12   4  count                                         0  2  Sphinx version, 258, 259 or 260
 *   16   8  total: bytes of the stream                    2  2  length
 *   24  16  id of the transfer, random                    4     the block (sphinx.h, surb_create)
 *   40      stream[index * piece ...]
 *
 * count is ceil(total / piece), and the length of a fragment follows from the other fields: a
 * header that contradicts itself is malformed. The hash detects damage and loss, not forgery: the
 * receiver of an anonymous message cannot know who wrote it. Nor is anything encrypted here: the
 * last relay sees the fragments of what is sent to a destination.
 *
 * A ping is a fragment of type MESSAGE_PING whose index is the sequence number (count is index + 1,
 * and total is count * piece, so that the rules above hold).
 */
enum {
	MESSAGE_HEADER_SIZE = 40,
	MESSAGE_ID_SIZE = 16,
	MESSAGE_HASH_SIZE = 32,
	MESSAGE_STREAM_OVERHEAD = 56,
	MESSAGE_BLOCK_OVERHEAD = 4,
	MESSAGE_MIN_ROOM = MESSAGE_HEADER_SIZE + 32, /* smallest packet message that is used */
	MESSAGE_MAX_ROOM = MESSAGE_HEADER_SIZE + 65535,
};

#define MESSAGE_MAX_TOTAL (UINT64_C(1) << 40)

enum message_type {
	MESSAGE_DATA = 1,
	MESSAGE_REPLY = 2,
	MESSAGE_PING = 3,
};

struct message_header {
	uint8_t type;
	uint16_t piece;
	uint32_t index, count;
	uint64_t total;
	uint8_t id[MESSAGE_ID_SIZE];
};

/* Reads a fragment and checks every rule above. *piece points into `in`. 0 or -EBADMSG. */
int message_decode(const uint8_t *in, size_t len, struct message_header *h, const uint8_t **piece,
	size_t *piece_len);

/* Length of the piece of fragment h->index; h obeys the rules above. */
size_t message_piece_len(const struct message_header *h);

/* Writes header and piece to `out` (MESSAGE_HEADER_SIZE + message_piece_len(h) bytes, returned). */
size_t message_encode(uint8_t *out, const struct message_header *h, const uint8_t *piece);

/* ---- the stream ---- */

/* A reply block beside its version; `data` belongs to somebody else. */
struct message_block {
	uint16_t version, len;
	const uint8_t *data;
};

/*
 * Writes the stream of a content and its reply blocks into *stream, malloc'd, owned by the caller.
 * `answers` may be NULL. 0, -ENOMEM, or -EFBIG beyond MESSAGE_MAX_TOTAL.
 */
int message_compose(const uint8_t answers[MESSAGE_ID_SIZE], const uint8_t *content,
	size_t content_len, const struct message_block *blocks, size_t block_count,
	uint8_t **stream, size_t *stream_len);

/* What a whole stream says; the pointers lead into it. */
struct message_view {
	uint8_t answers[MESSAGE_ID_SIZE];
	const uint8_t *content;
	size_t content_len;
	const uint8_t *blocks; /* iterate with message_next_block */
	size_t blocks_len;
	unsigned block_count;
};

/* 0; -EILSEQ when the hash is wrong; -EBADMSG when the lengths inside contradict each other. */
int message_parse(const uint8_t *stream, size_t len, struct message_view *v);

/* The block at *offset (start with 0), which is moved behind it. 0 at the end, 1 otherwise. */
int message_next_block(const struct message_view *v, size_t *offset, struct message_block *block);

/* ---- cutting a stream into fragments ---- */

/*
 * Fills the header that all fragments of a stream share, with a fresh random id. `room` is the
 * longest message of a packet (payload size - 17). 0; -EINVAL unless room is MESSAGE_MIN_ROOM ..
 * MESSAGE_MAX_ROOM; -EFBIG when the fragments cannot be numbered.
 */
int message_split(struct message_header *h, uint8_t type, size_t stream_len, size_t room);

/* Writes fragment `index` to out[room]. Returns its length. */
size_t message_fragment(
	const struct message_header *h, const uint8_t *stream, uint32_t index, uint8_t *out);

/* The room, and so the payload size of the network, is told by every fragment. */
static inline size_t message_room(uint16_t piece)
{
	return MESSAGE_HEADER_SIZE + (size_t)piece;
}

/* The longest content that `packets` fragments of `room` bytes carry, without reply blocks. */
uint64_t message_capacity(uint32_t packets, size_t room);

#endif
