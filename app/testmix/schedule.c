/* SPDX-License-Identifier: BSD-3-Clause */
#include "schedule.h"

#include <math.h>
#include <sodium.h>

double schedule_exponential(uint64_t draw)
{
	return -log(((double)(draw >> 11) + 0.5) / (double)(UINT64_C(1) << 53));
}

static double gap(struct schedule *s)
{
	if (s->drawn == SCHEDULE_DRAWS) {
		randombytes_buf(s->draw, sizeof(s->draw)); /* one system call for many */
		s->drawn = 0;
	}
	return schedule_exponential(s->draw[s->drawn++]) * 1e9 / (double)s->rate;
}

void schedule_init(struct schedule *s, uint64_t rate, bool poisson)
{
	*s = (struct schedule){.rate = rate, .poisson = poisson, .drawn = SCHEDULE_DRAWS};
	if (poisson && rate)
		s->time = gap(s);
}

uint64_t schedule_due(const struct schedule *s)
{
	if (s->rate == 0)
		return 0;
	if (s->poisson)
		return (uint64_t)s->time;
	return s->index / s->rate * 1000000000 + s->index % s->rate * 1000000000 / s->rate;
}

void schedule_advance(struct schedule *s)
{
	s->index++;
	if (s->poisson && s->rate)
		s->time += gap(s);
}
