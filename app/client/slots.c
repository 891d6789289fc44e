/* SPDX-License-Identifier: BSD-3-Clause */
#include "slots.h"
#include "route.h"

#include <sodium.h>

double slots_rate(const struct slots *s)
{
	double sum = 0;

	for (int i = 0; i < SLOT_KINDS; i++)
		sum += s->rate[i];
	return sum;
}

uint64_t slots_draw(struct slots *s, enum slot_kind *kind)
{
	const double total = slots_rate(s);
	double mark = ((double)randombytes_random() + 0.5) * 0x1p-32 * total;
	int k = 0;

	s->next_ns += route_draw_delay(1000 / total);
	while (k + 1 < SLOT_KINDS && (mark >= s->rate[k] || s->rate[k] <= 0))
		mark -= s->rate[k++];
	/* rounding may lead to a kind of rate 0 at the end */
	while (s->rate[k] <= 0)
		k--;
	*kind = (enum slot_kind)k;
	return s->next_ns;
}
