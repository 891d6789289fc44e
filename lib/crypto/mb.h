/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_MB_H
#define BETANET_CRYPTO_MB_H

#include <stdbool.h>
#include <stdint.h>
#include "core/error.h"

/*
 * What the multi-buffer kernels of lib/crypto (*_mb.c) have in common. Each primitive has a list of
 * kernels with one signature; which one runs is decided once, at start, by asking the CPU, by a
 * self-test against the plain one and by a short measurement. Afterwards the choice is read-only.
 */

enum mb_isa { MB_BASE, MB_SSE41, MB_SHANI, MB_AVX2, MB_AVX512 };

/* Whether a file compiled for it (Makefile, ISA_*) may run: CPU, system and cpu_limit_simd. */
bool mb_usable(enum mb_isa isa);

/* The least of several runs of run(arg), in TSC ticks. For choosing kernels, not for benchmarks. */
uint64_t mb_measure(void (*run)(void *arg), void *arg);

#endif
