/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/manager.h"
#include "crypto/cpu.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct manager_kind manager_kinds[MANAGER_KINDS] = {
	{"sse", init_mb_mgr_sse},
	{"avx", init_mb_mgr_avx},
	{"avx2", init_mb_mgr_avx2},
	{"avx512", init_mb_mgr_avx512},
};

bool manager_usable(const struct manager_kind *kind)
{
	bool sse = cpu_has(CPU_SSE42) && cpu_has(CPU_AESNI) && cpu_has(CPU_PCLMUL);
	bool avx = sse && cpu_has(CPU_AVX);
	bool avx2 = avx && cpu_has(CPU_AVX2) && cpu_has(CPU_BMI2);
	const bool usable[MANAGER_KINDS] = {sse, avx, avx2, avx2 && cpu_simd_bits() == 512};

	return usable[kind - manager_kinds];
}

size_t manager_size(void)
{
	return imb_get_mb_mgr_size();
}

IMB_MGR *manager_place(const struct manager_kind *kind, void *mem)
{
	IMB_MGR *mgr = imb_set_pointers_mb_mgr(mem, 0, 1);

	if (!mgr)
		return NULL;
	kind->init(mgr);
	return imb_get_errno(mgr) == 0 ? mgr : NULL;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum { SAMPLE = 300, TIMED_MAX = 128 };

double manager_time_hmac(IMB_MGR *mgr, unsigned in_flight)
{
	/* no secrets: constant input */
	uint8_t data[SAMPLE] = {1}, block[64] = {2}, tag[TIMED_MAX][32];
	uint32_t inner[8], outer[8];
	IMB_JOB jobs[TIMED_MAX];
	double best = 1;

	memset(jobs, 0, sizeof(jobs));
	for (unsigned i = 0; i < in_flight; i++) {
		jobs[i].src = data;
		jobs[i].msg_len_to_hash_in_bytes = SAMPLE;
		jobs[i].auth_tag_output = tag[i];
		jobs[i].auth_tag_output_len_in_bytes = 32;
		jobs[i].u.HMAC._hashed_auth_key_xor_ipad = (uint8_t *)inner;
		jobs[i].u.HMAC._hashed_auth_key_xor_opad = (uint8_t *)outer;
	}
	for (unsigned round = 0; round < 16; round++) {
		const unsigned batches = 64 / in_flight + 1;
		double t = seconds();

		for (unsigned b = 0; b < batches; b++) {
			for (unsigned i = 0; i < in_flight; i++) {
				IMB_SHA256_ONE_BLOCK(mgr, block, inner);
				IMB_SHA256_ONE_BLOCK(mgr, block, outer);
			}
			IMB_SUBMIT_HASH_BURST_NOCHECK(mgr, jobs, in_flight, IMB_AUTH_HMAC_SHA_256);
		}
		t = (seconds() - t) / (batches * in_flight);
		if (t < best)
			best = t;
	}
	return best * 1e9;
}

const struct manager_kind *manager_fastest(unsigned in_flight)
{
	const struct manager_kind *best = NULL;
	double best_time = 0;
	void *mem = aligned_alloc(64, (manager_size() + 63) & ~(size_t)63);

	if (!mem)
		return NULL;
	for (const struct manager_kind *k = manager_kinds; k < manager_kinds + MANAGER_KINDS; k++) {
		IMB_MGR *mgr = manager_usable(k) ? manager_place(k, mem) : NULL;
		double t = mgr ? manager_time_hmac(mgr, in_flight) : 0;

		/* a wider one must be clearly faster: it may cost clock speed */
		if (mgr && (!best || t < 0.95 * best_time)) {
			best = k;
			best_time = t;
		}
	}
	free(mem);
	return best;
}
