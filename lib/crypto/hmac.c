/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/hmac.h"
#include "crypto/state.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { BLOCK = 64 };

void hmac_key_init(struct crypto *c, struct hmac_key *k, const void *key, size_t len)
{
	uint8_t block[BLOCK] = {0};

	if (len > BLOCK)
		IMB_SHA256(c->mgr, key, len, block);
	else if (len > 0)
		memcpy(block, key, len);
	for (size_t i = 0; i < BLOCK; i++)
		block[i] ^= 0x36;
	IMB_SHA256_ONE_BLOCK(c->mgr, block, k->inner);
	for (size_t i = 0; i < BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	IMB_SHA256_ONE_BLOCK(c->mgr, block, k->outer);
	sodium_memzero(block, sizeof(block));
}

int hmac_sha256(struct crypto *c, const struct hmac_key *k, const void *msg, size_t len,
	uint8_t out[HMAC_SIZE])
{
	IMB_JOB job;

	if (len == 0 || len > HMAC_MESSAGE_MAX) {
		memset(out, 0, HMAC_SIZE);
		return -EINVAL;
	}
	memset(&job, 0, sizeof(job));
	job.src = msg;
	job.msg_len_to_hash_in_bytes = len;
	job.auth_tag_output = out;
	job.auth_tag_output_len_in_bytes = HMAC_SIZE;
	job.u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)k->inner;
	job.u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)k->outer;
	/* the arguments were checked above; the call returns when the job is done */
	IMB_SUBMIT_HASH_BURST_NOCHECK(c->mgr, &job, 1, IMB_AUTH_HMAC_SHA_256);
	return 0;
}
