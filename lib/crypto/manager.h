/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_MANAGER_H
#define BETANET_CRYPTO_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <intel-ipsec-mb.h>

/*
 * ipsec-mb has one manager per instruction set, and the widest is not the fastest: for HMAC-SHA256
 * of one packet at a time its AVX-512 manager takes five times as long as the SSE one, which has
 * SHA-NI (performance.md). So each is timed.
 */
struct manager_kind {
	const char *name; /* "sse", "avx", "avx2", "avx512" */
	void (*init)(IMB_MGR *);
};

enum { MANAGER_KINDS = 4 };
extern const struct manager_kind manager_kinds[MANAGER_KINDS];

/* Whether CPU, system and cpu_limit_simd allow it. */
bool manager_usable(const struct manager_kind *kind);

/* A manager inside mem[manager_size()], 64-byte aligned memory of the caller. NULL when ipsec-mb
 * refuses. */
size_t manager_size(void);
IMB_MGR *manager_place(const struct manager_kind *kind, void *mem);

/* Nanoseconds for one key setup and HMAC-SHA256 of 300 bytes, `in_flight` (1..128) of them handed
 * over at a time: the best of several rounds. */
double manager_time_hmac(IMB_MGR *mgr, unsigned in_flight);

/* The usable kind that is fastest for `in_flight` at a time, NULL when none is usable or memory is
 * short. Takes a few milliseconds. */
const struct manager_kind *manager_fastest(unsigned in_flight);

#endif
