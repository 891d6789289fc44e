/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_SEARCH_H
#define BETANET_PERF_SEARCH_H

#include <stdbool.h>

/*
 * The highest offered load with at most a given loss, by bisection: RFC 2544, section 26.1, for no
 * loss (NDR, the "throughput" there), and the same with a tolerance (PDR). Loss that the machine
 * causes and not the load (another program on the core, a hypervisor that takes it) is told apart
 * as in ETSI GS NFV-TST 009, section 12.3.3 ("binary search with loss verification"): a trial that
 * loses is repeated. Overload loses every time; what passes in a repetition counts as passed.
 *
 *  - A trial whose offered rate was not exact within SEARCH_EXACT is not used: it is repeated.
 *  - A trial with more loss than allowed is repeated up to SEARCH_VERIFY times, or, when it lost
 *    more than SEARCH_GROSS beyond that, SEARCH_VERIFY_GROSS times; if the machine disturbed it
 *    (the trial function says so), that repetition does not count, up to SEARCH_DISTURBED of them.
 *  - After max_trials trials nothing is repeated any more, so that a search ends on a busy machine.
 *  - The result is tried once more at the end, and lowered by the resolution until it passes.
 */
enum { SEARCH_VERIFY = 3, SEARCH_VERIFY_GROSS = 1, SEARCH_DISTURBED = 4, SEARCH_LOWER = 8 };
#define SEARCH_EXACT 0.01
#define SEARCH_GROSS 0.02

struct trial {
	double offered;   /* asked for, packets/s */
	double sent;      /* offered really: (packets - 1) / time from the first to the last */
	double received;  /* came out, packets/s of the same time */
	double loss;      /* share of what was offered, after the longest delay and a drain */
	bool disturbed;   /* generator or worker did not have its core all the time */
	double late_us;   /* by how much a packet was sent too late, at worst */
	unsigned refused; /* by the full RX ring */
};

struct search {
	double low, high;  /* packets/s: where to begin; the search goes beyond them if it must */
	double resolution; /* relative: where bisection ends */
	double loss;       /* allowed share */
	unsigned max_trials;
	void (*run)(void *arg, double pps, struct trial *out);
	void *arg;
	unsigned trials, repeated, disturbed; /* out: how many there were */
};

/* Whether this rate loses no more than allowed. */
static inline bool search_passes(struct search *s, double pps)
{
	unsigned losses = 0, excused = 0;

	for (;;) {
		struct trial t = {.offered = pps};
		bool exact;

		s->run(s->arg, pps, &t);
		s->trials++;
		s->disturbed += t.disturbed;
		exact = t.sent > pps * (1 - SEARCH_EXACT) && t.sent < pps * (1 + SEARCH_EXACT);
		if (exact && t.loss <= s->loss)
			return true;
		if (s->trials >= s->max_trials)
			return false;
		if ((!exact || t.disturbed) && excused < SEARCH_DISTURBED)
			excused++;
		else if (++losses >
			 (t.loss > s->loss + SEARCH_GROSS ? SEARCH_VERIFY_GROSS : SEARCH_VERIFY))
			return false;
		s->repeated++;
	}
}

/* Packets/s; 0 when even a sixteenth of `low` loses; at most 16 times `high`. */
static inline double search_rate(struct search *s)
{
	const double least = s->low / 16, most = s->high * 16;
	double low = s->low, high = s->high;
	bool found_high = false;

	while (!search_passes(s, low)) {
		found_high = true;
		high = low;
		low /= 2;
		if (low < least)
			return 0;
	}
	while (!found_high && search_passes(s, high)) {
		low = high;
		if (high >= most)
			return most;
		high = high * 1.25 < most ? high * 1.25 : most;
	}
	while (high - low > s->resolution * high) {
		const double middle = (low + high) / 2;

		if (search_passes(s, middle))
			low = middle;
		else
			high = middle;
	}
	for (unsigned i = 0; i < SEARCH_LOWER && !search_passes(s, low); i++)
		low *= 1 - s->resolution;
	return low;
}

#endif
