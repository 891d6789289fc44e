/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/x25519_mb_kernel.h"
#include "crypto/x25519_mb_fe_ifma.h"
#include "crypto/x25519_mb_ladder.h"
#include "crypto/x25519_mb_pair.h"

/* Included by tests with X25519_IFMA_EMULATED, which runs this source in plain C. */
#ifdef X25519_IFMA_EMULATED
#define X25519_IFMA_KERNEL static const struct x25519_kernel x25519_kernel_ifma_emulated
#define X25519_IFMA_NAME "avx512-ifma, emulated"
#else
#define X25519_IFMA_KERNEL const struct x25519_kernel x25519_kernel_avx512
#define X25519_IFMA_NAME "avx512-ifma"
#endif

X25519_IFMA_KERNEL = {
	.name = X25519_IFMA_NAME,
	.lanes = FE_LANES,
	.min_fill = 1,
	.start = base_start,
	.mult = ladder_burst,
	.base = base_burst,
	.pair_size = pair_size,
	.pair_begin = pair_begin,
	.pair_mult = pair_mult,
};
