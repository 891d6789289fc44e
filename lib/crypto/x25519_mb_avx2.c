/* SPDX-License-Identifier: BSD-3-Clause */

#include "crypto/x25519_mb_kernel.h"
#include "crypto/x25519_mb_fe_avx2.h"
#include "crypto/x25519_mb_ladder.h"
#include "crypto/x25519_mb_pair.h"

const struct x25519_kernel x25519_kernel_avx2 = {
	.name = "avx2-fma",
	.lanes = FE_LANES,
	.min_fill = 2,
	.start = base_start,
	.mult = ladder_burst,
	.base = base_burst,
	.pair_size = pair_size,
	.pair_begin = pair_begin,
	.pair_mult = pair_mult,
};
