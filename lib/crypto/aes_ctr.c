/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/aes_ctr.h"
#include "crypto/state.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

int aes_ctr_xor(struct crypto *c, const uint8_t key[AES_CTR_KEY_SIZE], const void *src, void *dst,
	size_t len)
{
	static const uint8_t iv[16];
	/* ipsec-mb wants both schedules, of 11 round keys, aligned */
	struct {
		_Alignas(16) uint8_t enc[11 * 16];
		_Alignas(16) uint8_t dec[11 * 16];
	} keys;
	IMB_JOB job;

	if (len == 0 || len > AES_CTR_MAX)
		return -EINVAL;
	IMB_AES_KEYEXP_128(c->mgr, key, keys.enc, keys.dec);
	memset(&job, 0, sizeof(job));
	job.enc_keys = keys.enc;
	job.dec_keys = keys.dec;
	job.src = src;
	job.dst = dst;
	job.msg_len_to_cipher_in_bytes = len;
	job.iv = iv;
	job.iv_len_in_bytes = sizeof(iv);
	IMB_SUBMIT_CIPHER_BURST_NOCHECK(
		c->mgr, &job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
	sodium_memzero(&keys, sizeof(keys));
	return 0;
}
