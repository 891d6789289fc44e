/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/symmetric_mb.h"

#include <x86intrin.h>
#include "crypto/blake2b_mb.h"
#include "crypto/chacha20_mb.h"
#include "crypto/cpu.h"
#include "crypto/sha256_mb.h"

bool mb_usable(enum mb_isa isa)
{
	switch (isa) {
	case MB_BASE:
		return true;
	case MB_SSE41:
		return cpu_has(CPU_SSE42);
	case MB_SHANI:
		return cpu_has(CPU_SHANI);
	case MB_AVX2:
		return cpu_has(CPU_AVX2) && cpu_has(CPU_FMA) && cpu_has(CPU_BMI2);
	case MB_AVX512:
		return cpu_simd_bits() == 512 && cpu_has(CPU_AVX512IFMA) && cpu_has(CPU_FMA) &&
		       cpu_has(CPU_BMI2);
	}
	return false;
}

uint64_t mb_measure(void (*run)(void *arg), void *arg)
{
	enum { RUNS = 6 };
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < RUNS; i++) {
		uint64_t start = __rdtsc(), ticks;

		run(arg);
		run(arg);
		ticks = __rdtsc() - start;
		if (ticks < best)
			best = ticks;
	}
	return best;
}

int symmetric_mb_init(struct error *err)
{
	int rc = sha256_mb_init(err);

	if (!rc)
		rc = blake2b_mb_init(err);
	if (!rc)
		rc = chacha20_mb_init(err);
	return rc;
}
