/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_MESSAGE_H
#define BETANET_TESTMIX_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The message inside a generated packet: run(8) ‖ sequence number(8, big-endian) ‖ content. Content
 * and length are ChaCha20's output under the run's key with the sequence number as nonce, so the
 * sink knows every byte that has to arrive without keeping any.
 *
 * There is no time in a message: it is built long before it is sent. Generator and sink are one
 * process and share a table of send times by sequence number.
 */
enum { MESSAGE_MIN = 16 };

struct message_run {
	uint8_t id[8];   /* tells this run's messages from those of another */
	uint8_t key[32]; /* of the content; no secret, drawn per run so that content never repeats
			  */
};

void message_run_init(struct message_run *run);

/* Length of message `seq`: `fixed` if that is not 0, else drawn evenly from MESSAGE_MIN..max. */
size_t message_length(const struct message_run *run, uint64_t seq, size_t fixed, size_t max);

/* Writes `len` >= MESSAGE_MIN bytes. */
void message_write(const struct message_run *run, uint64_t seq, uint8_t *out, size_t len);

enum message_verdict {
	MESSAGE_RIGHT,   /* every byte is as sent; *seq is set */
	MESSAGE_FOREIGN, /* too short, or of another run */
	MESSAGE_CORRUPT, /* of this run, but length or content differ */
};

/* `fixed` and `max` as in message_length when it was written; `count` is the number of messages. */
enum message_verdict message_check(const struct message_run *run, const uint8_t *data, size_t len,
	size_t fixed, size_t max, uint64_t count, uint64_t *seq);

#endif
