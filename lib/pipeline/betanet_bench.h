/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_BENCH_H
#define BETANET_BENCH_H

#include "pipeline/betanet.h"

/*
 * A benchmark of a pipeline without ports, made of the public API alone: unique, valid packets are
 * built ahead; the calling thread, which must be EAL's main lcore, then submits them, collects what
 * comes out, and polls. What is measured is whole: submission, all stages, wheel, collection.
 *
 *     #include <rte_eal.h>
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *     #include "pipeline/betanet_bench.h"
 *
 *     int main(int argc, char **argv)
 *     {
 *             struct betanet_bench *bench;
 *             struct betanet_bench_result result;
 *             char err[BETANET_ERROR_MAX], text[BETANET_BENCH_TEXT];
 *
 *             if (rte_eal_init(argc, argv) < 0)
 *                     return 1;
 *             if (betanet_bench_create(1, 20000, NULL, NULL, &bench, err) < 0 ||
 *                     betanet_bench_run(bench, 1.0, &result, err) < 0) {
 *                     fprintf(stderr, "%s\n", err);
 *                     return 1;
 *             }
 *             betanet_bench_describe(&result, text, sizeof(text));
 *             printf("%s25,000 packets a second: %s\n", text,
 *                     betanet_bench_meets_target(&result, 25000) ? "reached" : "missed");
 *             betanet_bench_destroy(bench);
 *             return 0;
 *     }
 *
 * Only one pipeline exists in a process, so no other may while betanet_bench_run does.
 */
struct betanet_bench;

enum { BETANET_BENCH_TEXT = 512 };

struct betanet_bench_result {
	uint64_t sent;               /* packets that workers took */
	uint64_t processed, dropped; /* sent = processed + dropped */
	double elapsed_s; /* from the first submission until the last packet sent was processed */
	double throughput_pps;     /* processed / elapsed_s */
	double mean_processing_ns; /* betanet_stats.mean_processing_ns of all packets */
	double success_rate;       /* processed / sent, 0..1 */
	double pool_hit_rate;      /* buffers asked for that a cache gave, 0..1 */
	unsigned passes;           /* how often the packets were used */
};

/* Called every now and then while packets are built: `done` of `total`. */
typedef void betanet_bench_progress(void *arg, unsigned done, unsigned total);

/*
 * Builds `packets` (1..16777216, 1372 bytes of memory each) for a pipeline of `workers`
 * (1..BETANET_MAX_WORKERS). `progress` may be NULL. Needs no EAL. Calls crypto_init without a
 * limit, unless the program did it before: max_simd_bits of the settings comes too late. -EINVAL,
 * -ENOMEM, -ENOTSUP (CPU).
 */
int betanet_bench_create(unsigned workers, unsigned packets, betanet_bench_progress *progress,
	void *arg, struct betanet_bench **out, char err[BETANET_ERROR_MAX]);

/*
 * The pipeline's settings: those of betanet_config_init, but no delays, no limits, and a replay
 * table and queues for these packets. May be changed between runs, but for role, payload_size and
 * the Sphinx key, which belong to the packets.
 */
struct betanet_config *betanet_bench_config(struct betanet_bench *bench);

/*
 * Offers packets for `seconds` (0.001..86400, kept to 1 %), as fast as the pipeline takes them. A
 * packet is accepted only once, so when all have been sent before the time is over, the pipeline is
 * made anew with an empty replay table, which is not counted as time, and sends them again.
 * -EINVAL, -EBUSY (no packet came back for ten seconds and the longest delay: a worker has no
 * core), or what betanet_create and betanet_start return.
 */
int betanet_bench_run(struct betanet_bench *bench, double seconds, struct betanet_bench_result *r,
	char err[BETANET_ERROR_MAX]);

/* A line for each figure, for people; cut if `cap` is less than BETANET_BENCH_TEXT. */
void betanet_bench_describe(const struct betanet_bench_result *r, char *out, size_t cap);

/* Whether `pps` packets a second were processed and fewer than 0.1 % dropped. */
bool betanet_bench_meets_target(const struct betanet_bench_result *r, double pps);

/* Wipes the keys. NULL is fine. */
void betanet_bench_destroy(struct betanet_bench *bench);

#endif
