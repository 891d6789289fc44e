/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_BENCHMARK_H
#define BETANET_TESTMIX_BENCHMARK_H

#include <stdio.h>
#include "cli_options.h"
#include "core/error.h"

/*
 * --benchmark: how many packets a second a pipeline of options->lcores workers processes for
 * options->duration seconds, from memory to memory (pipeline/betanet_bench.h). Prints its figures
 * and whether they reach options->target_pps, which *reached gets. 0 or a negative errno. EAL runs;
 * no other pipeline exists.
 */
int benchmark_run(const struct cli_options *o, FILE *out, bool *reached, struct error *err);

#endif
