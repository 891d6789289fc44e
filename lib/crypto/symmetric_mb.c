/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/symmetric_mb.h"

#include <errno.h>
#include <string.h>
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

/* The least of several runs, in TSC ticks; a run is two, so that one finds the caches warm. */
static uint64_t measure(const struct mb_race *r, void *trial, unsigned k, unsigned class)
{
	enum { RUNS = 6 };
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < RUNS; i++) {
		uint64_t start = __rdtsc(), ticks;

		r->run(trial, k, class);
		r->run(trial, k, class);
		ticks = __rdtsc() - start;
		if (ticks < best)
			best = ticks;
	}
	return best;
}

int mb_race(const struct mb_race *r, void *trial, uint8_t chosen[], struct error *err)
{
	memset(chosen, 0, r->classes);
	for (unsigned class = 0; class < r->classes; class ++) {
		uint64_t best = UINT64_MAX;

		for (unsigned k = 0; k < r->kernels; k++) {
			uint64_t ticks;

			if (!mb_usable(r->kernel(k)->isa))
				continue;
			if (!r->agrees(trial, k, class)) {
				memset(chosen, 0, r->classes);
				return error_set(err, EIO,
					"self-test failed: %s kernel \"%s\" differs from \"%s\" "
					"(size class %u)",
					r->what, r->kernel(k)->name, r->kernel(0)->name, class);
			}
			ticks = measure(r, trial, k, class);
			if (ticks < best) {
				best = ticks;
				chosen[class] = (uint8_t)k;
			}
		}
	}
	return 0;
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
