/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The products are written in an order that keeps few sums alive. gcc's expansion would pull each
 * back to where it is used, and the sixteen registers spill: 5 % slower in the ladder, 12 % in the
 * comb (gcc 12).
 */
#ifndef __clang__
#pragma GCC optimize("no-tree-ter")
#endif

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
