/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/version.h"

static const struct {
	const char *name;
	double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t dropped(const struct relay *r, enum drop_reason d)
{
	return r->last.drops[d] - r->first.drops[d];
}

static uint64_t dropped_everywhere(const struct report *r, enum drop_reason d)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->relay_count; i++)
		n += dropped(&r->relays[i], d);
	return n;
}

/* What the relays had to drop for this reason, of what was sent so far. */
static uint64_t expected(const struct report *r, enum drop_reason d)
{
	uint64_t n = 0;

	for (unsigned f = FAULT_NONE + 1; f < FAULT_COUNT; f++)
		if (fault_kinds[f].reason == d)
			n += load(&r->generator->sent_fault[f]);
	return n;
}

static double elapsed_s(const struct report *r)
{
	uint64_t start = load(&r->generator->start_ns), end = load(&r->sink->last_ns);

	if (end < r->generator->end_ns)
		end = r->generator->end_ns;
	return start ? (double)(end - start) / 1e9 : 0;
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

void report_live(const struct report *r, FILE *out)
{
	const struct generator *g = r->generator;
	uint64_t start = load(&g->start_ns);
	double t = start ? (double)(ethport_now() - start) / 1e9 : 0;

	fprintf(out, "%6.1f s  sent %" PRIu64 "/%" PRIu64 ", back %" PRIu64, t, load(&g->sent),
		r->store->slot_count, load(&r->sink->right));
	for (unsigned i = 0; i < r->relay_count; i++) {
		const struct relay *relay = &r->relays[i];

		fprintf(out, " | %s %" PRIu64 " processed, %" PRIu64 " parked, %" PRIu64 " dropped",
			relay->name, relay->last.processed - relay->first.processed,
			relay->last.parked, relay->last.dropped - relay->first.dropped);
	}
	fputc('\n', out);
	fflush(out);
}

bool report_complete(const struct report *r)
{
	if (load(&r->sink->right) < load(&r->generator->sent_good))
		return false;
	for (unsigned d = DROP_NONE + 1; r->relay_count && d < DROP_COUNT; d++)
		if (dropped_everywhere(r, d) < expected(r, d))
			return false;
	return true;
}

static void print_latency(FILE *out, const char *name, const struct histogram *h)
{
	fprintf(out, "  %-26s p50 %9.3f  p90 %9.3f  p99 %9.3f  max %9.3f ms\n", name,
		(double)histogram_quantile(h, 0.5) / 1e6, (double)histogram_quantile(h, 0.9) / 1e6,
		(double)histogram_quantile(h, 0.99) / 1e6, (double)h->max / 1e6);
}

static void print_relays(const struct report *r, FILE *out)
{
	if (r->relay_count == 0) {
		fputs("  no relay was watched (--telemetry): drops were not checked\n", out);
		return;
	}
	fprintf(out, "  %-12s %10s %10s %10s %8s  %s\n", "relay", "processed", "forwarded",
		"delivered", "dropped", "mean processing");
	for (unsigned i = 0; i < r->relay_count; i++) {
		const struct relay *x = &r->relays[i];

		fprintf(out,
			"  %-12s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %8" PRIu64 "  %.1f us\n",
			x->name, x->last.processed - x->first.processed,
			x->last.forwarded - x->first.forwarded,
			x->last.delivered - x->first.delivered, x->last.dropped - x->first.dropped,
			relay_mean_processing(x) / 1e3);
	}
}

static void print_drops(const struct report *r, FILE *out)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < r->relay_count; i++)
		for (unsigned d = DROP_NONE + 1; d < DROP_COUNT; d++) {
			uint64_t n = dropped(&r->relays[i], d);

			if (n == 0)
				continue;
			fprintf(out, "  dropped    %10" PRIu64 "  %s at %s: %s\n", n, drop_name(d),
				r->relays[i].name, drop_text(d));
			all += n;
		}
	if (all == 0 && r->relay_count)
		fprintf(out, "  dropped    %10d\n", 0);
}

void report_summary(const struct report *r, FILE *out)
{
	const struct generator *g = r->generator;
	const struct sink *s = r->sink;
	uint64_t sent = load(&g->sent), good = load(&g->sent_good), right = load(&s->right);
	double t = elapsed_s(r);

	fprintf(out, "\nsummary%s\n", r->interrupted ? " (interrupted)" : "");
	fprintf(out,
		"  sent       %10" PRIu64 "  packets: %" PRIu64 " good, %" PRIu64
		" to be dropped\n",
		sent, good, sent - good);
	fprintf(out, "  came back  %10" PRIu64 "  with their right content\n", right);
	print_drops(r, out);
	print_relays(r, out);
	fprintf(out,
		"  elapsed    %10.3f s, offered %.0f packets/s (%s), throughput %.1f "
		"packets/s end to end\n",
		t, r->rate, r->options->poisson ? "poisson" : "constant",
		t > 0 ? (double)right / t : 0);
	print_latency(out, "end-to-end latency", &s->total);
	print_latency(out, "  of it deliberate delay", &s->deliberate);
	print_latency(out, "  of it everything else", &s->rest);
	print_latency(out, "generator behind schedule", &g->lag);
	fprintf(out, "  success    %10.3f %%\n", 100 * ratio(right, good));
}

/* Appends to the list of problems. */
__attribute__((format(printf, 3, 4))) static void problem(
	unsigned *n, FILE *out, const char *fmt, ...)
{
	va_list ap;

	++*n;
	if (!out)
		return;
	fputs("problem: ", out);
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fputc('\n', out);
}

static void sink_problems(const struct report *r, unsigned *n, FILE *out)
{
	const struct sink *s = r->sink;
	const struct {
		uint64_t count;
		const char *text;
	} wrong[] = {
		{load(&s->duplicates), "packets came back more than once"},
		{load(&s->unexpected), "packets came back that had to be dropped"},
		{load(&s->corrupt), "messages came back altered"},
		{load(&s->foreign), "datagrams arrived that hold no message of this run"},
		{load(&s->malformed), "frames arrived with a wrong length or checksum"},
		{s->early, "packets came back before their delays were over"},
	};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (wrong[i].count)
			problem(n, out, "%" PRIu64 " %s", wrong[i].count, wrong[i].text);
}

unsigned report_problems(const struct report *r, FILE *out)
{
	uint64_t good = load(&r->generator->sent_good), right = load(&r->sink->right);
	unsigned n = 0;

	if (r->generator->error.msg[0])
		problem(&n, out, "%s", r->generator->error.msg);
	if (r->interrupted)
		problem(&n, out, "interrupted: %" PRIu64 " of %" PRIu64 " packets were not sent",
			r->store->slot_count - load(&r->generator->sent), r->store->slot_count);
	else if (good == 0)
		problem(&n, out, "nothing was sent");
	if (right < good)
		problem(&n, out, "%" PRIu64 " of %" PRIu64 " good packets did not come back",
			good - right, good);
	sink_problems(r, &n, out);
	for (unsigned d = DROP_NONE + 1; r->relay_count && d < DROP_COUNT; d++) {
		uint64_t is = dropped_everywhere(r, d), must = expected(r, d);

		if (is != must)
			problem(&n, out, "%" PRIu64 " packets were dropped as %s, not %" PRIu64, is,
				drop_name(d), must);
	}
	return n;
}

static json_t *json_latency(const struct histogram *h)
{
	json_t *o = json_pack("{s:I, s:f, s:I, s:I}", "count", (json_int_t)h->count, "mean",
		histogram_mean(h), "min", (json_int_t)h->min, "max", (json_int_t)h->max);

	for (unsigned i = 0; i < QUANTILES; i++)
		json_object_set_new(o, quantiles[i].name,
			json_integer((json_int_t)histogram_quantile(h, quantiles[i].q)));
	return o;
}

static json_t *json_relay(const struct relay *x)
{
	json_t *drops = json_object();

	for (unsigned d = DROP_NONE + 1; d < DROP_COUNT; d++)
		if (dropped(x, d))
			json_object_set_new(
				drops, drop_name(d), json_integer((json_int_t)dropped(x, d)));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "processed",
		(json_int_t)(x->last.processed - x->first.processed), "forwarded",
		(json_int_t)(x->last.forwarded - x->first.forwarded), "delivered",
		(json_int_t)(x->last.delivered - x->first.delivered), "tx",
		(json_int_t)(x->last.tx - x->first.tx), "dropped",
		(json_int_t)(x->last.dropped - x->first.dropped), "mean_processing_ns",
		relay_mean_processing(x), "drops", drops);
}

static json_t *json_sent(const struct report *r)
{
	const struct generator *g = r->generator;
	json_t *o = json_pack("{s:I, s:I}", "all", (json_int_t)load(&g->sent), "good",
		(json_int_t)load(&g->sent_good));

	for (unsigned f = FAULT_NONE + 1; f < FAULT_COUNT; f++)
		json_object_set_new(o, fault_kinds[f].option,
			json_integer((json_int_t)load(&g->sent_fault[f])));
	return o;
}

static json_t *json_back(const struct sink *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "right",
		(json_int_t)load(&s->right), "duplicates", (json_int_t)load(&s->duplicates),
		"unexpected", (json_int_t)load(&s->unexpected), "corrupt",
		(json_int_t)load(&s->corrupt), "foreign", (json_int_t)load(&s->foreign),
		"malformed", (json_int_t)load(&s->malformed), "early", (json_int_t)s->early);
}

int report_latencies(const struct report *r, const char *path, struct error *err)
{
	const struct sink *s = r->sink;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (!f)
		return error_set(err, ENOMEM, "no memory for %s", path);
	for (uint64_t i = 0; i < s->store->params.good; i++)
		if (s->latency[i])
			fprintf(f, "%" PRIu64 "\n", s->latency[i]);
	rc = fclose(f) == 0 ? file_write(path, 0644, text, len, FILE_FORCE, err)
			    : error_set(err, ENOMEM, "no memory for %s", path);
	free(text);
	return rc;
}

int report_json(const struct report *r, const char *path, struct error *err)
{
	const struct generator *g = r->generator;
	uint64_t right = load(&r->sink->right);
	json_t *relays = json_object(), *root;
	double t = elapsed_s(r);
	char *text;
	int rc;

	for (unsigned i = 0; i < r->relay_count; i++)
		json_object_set_new(relays, r->relays[i].name, json_relay(&r->relays[i]));
	root = json_pack("{s:s, s:b, s:b, s:o, s:o, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:o}",
		"version", BETANET_VERSION, "passed", report_problems(r, NULL) == 0, "interrupted",
		r->interrupted, "sent", json_sent(r), "back", json_back(r->sink), "elapsed_s", t,
		"offered_pps", r->rate, "throughput_pps", t > 0 ? (double)right / t : 0,
		"success_rate", ratio(right, load(&g->sent_good)), "latency_ns",
		json_latency(&r->sink->total), "deliberate_ns", json_latency(&r->sink->deliberate),
		"rest_ns", json_latency(&r->sink->rest), "pacing_lag_ns", json_latency(&g->lag),
		"relays", relays);
	text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	rc = text ? file_write(path, 0644, text, strlen(text), FILE_FORCE, err)
		  : error_set(err, ENOMEM, "no memory for %s", path);
	free(text);
	json_decref(root);
	return rc;
}
