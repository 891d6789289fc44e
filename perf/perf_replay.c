/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replay table's cost per tag (fingerprint, prefetch, check and set) in bursts of 128, as a
 * worker does it, for new tags and for seen ones, at several fill levels of 16 million tags.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "core/secmem.h"
#include "replay/replay.h"

enum { BURST = 128, BURSTS = 2000 };
#define CAPACITY (UINT64_C(1) << 24)

static unsigned check_burst(struct replay *r, uint64_t first, enum replay_result expected)
{
	uint64_t f[BURST];
	uint8_t tag[32] = {0};
	unsigned right = 0;

	for (unsigned k = 0; k < BURST; k++) {
		uint64_t number = first + k;

		memcpy(tag, &number, sizeof(number));
		f[k] = replay_fingerprint(r, tag);
		replay_prefetch(r, f[k]);
	}
	for (unsigned k = 0; k < BURST; k++)
		right += replay_check_and_set(r, f[k]) == expected;
	return right;
}

static void measure(struct replay *r, unsigned level, uint64_t first, enum replay_result expected,
	const char *what)
{
	const uint64_t n = (uint64_t)BURST * BURSTS;
	struct bench_span span = bench_begin();
	uint64_t right = 0;
	double ns;

	for (uint64_t i = 0; i < BURSTS; i++)
		right += check_burst(r, first + i * BURST, expected);
	bench_end(&span);
	if (right != n) {
		fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " tags got another answer\n", what,
			n - right, n);
		exit(1);
	}
	ns = span.ns / (double)n;
	result_add("replay.check", "ns", RESULT_LOWER, &ns, 1, "full=%u,tags=%s", level,
		expected == REPLAY_NEW           ? "new"
		: strcmp(what, "seen, old") == 0 ? "seen_old"
						 : "seen_recent");
	printf("replay: %3u %% full  %-12s %6.1f ns %6.1f cycles\n", level, what,
		span.ns / (double)n, span.cycles / (double)n);
}

int main(void)
{
	static const unsigned levels[] = {0, 10, 25, 50, 75, 95};
	struct replay_params p = {CAPACITY, NULL, NULL};
	struct replay *r;
	struct error err;
	uint64_t next = 0;

	if (secmem_init(&err) < 0 || replay_open(&p, &r, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	printf("replay: capacity %" PRIu64 ", %.1f MiB; per tag, bursts of %d\n", CAPACITY,
		(double)replay_memory(CAPACITY) / 1048576.0, BURST);
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		uint64_t fill = CAPACITY * levels[i] / 100, seen;

		for (; next < fill; next += BURST)
			if (check_burst(r, next, REPLAY_NEW) != BURST)
				abort();
		seen = next;
		measure(r, levels[i], next, REPLAY_NEW, "new");
		next += (uint64_t)BURST * BURSTS;
		measure(r, levels[i], seen, REPLAY_SEEN, "seen, recent");
		if (seen > (uint64_t)BURST * BURSTS)
			measure(r, levels[i], 0, REPLAY_SEEN, "seen, old");
	}
	replay_close(r);
	return 0;
}
