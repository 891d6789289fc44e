/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"
#include "udp.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { BAR = 40 };

static const uint64_t second = 1000000000;

void progress_start(struct progress *p, const char *what, bool quiet)
{
	*p = (struct progress){.what = what,
		.quiet = quiet,
		.terminal = isatty(STDERR_FILENO),
		.started = clock_ns()};
	p->last_ns = p->started;
}

static void draw_bar(const struct progress *p, uint64_t done, uint64_t total, double rate)
{
	char bar[BAR + 1];
	unsigned full = (unsigned)(done * BAR / total);

	for (unsigned i = 0; i < BAR; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR] = '\0';
	fprintf(stderr, "\r[%s] %3u%% %" PRIu64 "/%" PRIu64 " packets %s, %.0f/s ", bar,
		(unsigned)(done * 100 / total), done, total, p->what, rate);
	if (rate > 0 && done < total)
		fprintf(stderr, "%.0f s left  ", (double)(total - done) / rate);
	fprintf(stderr, "\033[K");
	fflush(stderr);
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
	uint64_t now, gap = p->terminal ? second / 10 : second;
	double rate;

	p->done = done;
	if (p->quiet)
		return;
	now = clock_ns();
	if (now - p->last_ns < gap && !(p->shown && p->terminal && done == total))
		return;
	p->last_ns = now;
	p->shown = true;
	rate = (double)done / ((double)(now - p->started) / 1e9);
	if (total == 0)
		fprintf(stderr, "%s%" PRIu64 " packets %s, %.0f/s%s", p->terminal ? "\r" : "", done,
			p->what, rate, p->terminal ? "\033[K" : "\n");
	else if (p->terminal)
		draw_bar(p, done, total, rate);
	else
		fprintf(stderr, "%s %" PRIu64 " of %" PRIu64 " packets, %.0f/s\n", p->what, done,
			total, rate);
}

void progress_end(struct progress *p)
{
	if (p->terminal && p->shown && !p->quiet)
		fputc('\n', stderr);
	p->shown = false;
}

const char *progress_size(char out[PROGRESS_SIZE_TEXT], uint64_t bytes)
{
	static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB"};
	double n = (double)bytes / 1024;
	unsigned u = 0;

	if (bytes < 1024) {
		snprintf(out, PROGRESS_SIZE_TEXT, "%" PRIu64 " bytes", bytes);
		return out;
	}
	while (n >= 1024 && u < 3) {
		n /= 1024;
		u++;
	}
	snprintf(out, PROGRESS_SIZE_TEXT, "%.1f %s", n, unit[u]);
	return out;
}
