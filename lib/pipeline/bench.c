/* SPDX-License-Identifier: BSD-3-Clause */
/* The benchmark object. Of the pipeline it knows the public API alone. */
#include "pipeline/betanet_bench.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/secmem.h"
#include "sphinx/address.h"
#include "sphinx/build_burst.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PACKETS_MAX = 1 << 24,
	BUILD = 256, /* packets built at a time */
	SUBMIT = BETANET_MAX_BATCH,
	COLLECT = 2 * BETANET_MAX_BATCH,
	PATIENCE_S = 10,    /* without any packet coming back, besides the longest delay */
	LONGEST_DELAY = 20, /* mean delays */
	QUEUE = 4096,
};

static const double poll_s = 0.001; /* control is polled so often */

struct betanet_bench {
	struct betanet_config cfg; /* its sphinx_secret is empty between runs */
	unsigned packets;
	size_t packet_size;
	uint8_t *secret; /* locked: 32 bytes */
	uint8_t *packet; /* packets of packet_size bytes */
	uint8_t *room;   /* COLLECT of them */
};

static struct error *as_error(char *err)
{
	return (struct error *)(void *)err;
}

static double clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- packets
 * --------------------------------------------------------------------------------------------------
 */

/* To be forwarded to one more hop, which nobody is. */
static void make_route(const struct betanet_bench *b, struct sphinx_route *route)
{
	struct endpoint next = {.family = 4, .port = 9000, .ip = {192, 0, 2, 1}};
	uint8_t other[32];

	memset(route, 0, sizeof(*route));
	route->hops = 2;
	route->version = SPHINX_V259;
	crypto_scalarmult_base(route->hop[0].public_key, b->secret);
	randombytes_buf(other, sizeof(other));
	crypto_scalarmult_base(route->hop[1].public_key, other);
	sodium_memzero(other, sizeof(other));
	address_encode(route->hop[1].address, &next);
	address_encode(route->destination, &next);
}

static int build_some(struct betanet_bench *b, struct sphinx_builder *builder,
	const struct sphinx_route *route, unsigned from, unsigned n)
{
	struct sphinx_build_item item[BUILD];
	enum sphinx_status status[BUILD];
	uint8_t number[BUILD][4];

	for (unsigned i = 0; i < n; i++) {
		store_be32(number[i], from + i);
		item[i] = (struct sphinx_build_item){.route = route,
			.message = number[i],
			.message_len = sizeof(number[i]),
			.out = b->packet + (size_t)(from + i) * b->packet_size};
	}
	sphinx_build_burst(builder, item, n, b->cfg.payload_size, status);
	for (unsigned i = 0; i < n; i++)
		if (status[i] != SPHINX_ok)
			return -EINVAL;
	return 0;
}

static int build(
	struct betanet_bench *b, betanet_bench_progress *progress, void *arg, struct error *err)
{
	struct sphinx_builder *builder = sphinx_builder_create();
	struct sphinx_route route;
	int r = 0;

	if (!builder)
		return error_set(err, ENOMEM,
			"not enough locked memory to build packets; raise `ulimit -l`");
	make_route(b, &route);
	for (unsigned from = 0; from < b->packets && r == 0; from += BUILD) {
		unsigned n = b->packets - from < BUILD ? b->packets - from : BUILD;

		r = build_some(b, builder, &route, from, n);
		if (r == 0 && progress)
			progress(arg, from + n, b->packets);
	}
	sphinx_builder_free(builder);
	return r < 0 ? error_set(err, -r, "a packet could not be built") : 0;
}

static void settings(struct betanet_bench *b, unsigned workers)
{
	struct betanet_config *c = &b->cfg;

	betanet_config_init(c);
	c->workers = workers;
	c->queue_depth = QUEUE;
	c->delay_mode = BETANET_DELAY_NONE;
	c->mean_delay_ms = 1;
	c->target_pps = 1000000 * workers;
	c->replay_capacity = 2ull * b->packets + 1024;
	c->name = "bench";
}

int betanet_bench_create(unsigned workers, unsigned packets, betanet_bench_progress *progress,
	void *arg, struct betanet_bench **out, char err[BETANET_ERROR_MAX])
{
	struct betanet_bench *b;
	int r;

	if (workers < 1 || workers > BETANET_MAX_WORKERS)
		return error_set(as_error(err), EINVAL, "workers = %u: allowed is 1 to %u", workers,
			BETANET_MAX_WORKERS);
	if (packets < 1 || packets > PACKETS_MAX)
		return error_set(as_error(err), EINVAL, "packets = %u: allowed is 1 to %u", packets,
			PACKETS_MAX);
	r = crypto_init(0, as_error(err));
	if (r < 0)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return error_set(as_error(err), ENOMEM, "not enough memory");
	b->packets = packets;
	settings(b, workers);
	b->packet_size = SPHINX_HEADER_SIZE + b->cfg.payload_size;
	b->secret = secmem_alloc(32);
	b->packet = calloc(packets, b->packet_size);
	b->room = calloc(COLLECT, b->packet_size);
	if (!b->secret || !b->packet || !b->room) {
		r = error_set(as_error(err), ENOMEM,
			"not enough memory for %u packets of %zu bytes", packets, b->packet_size);
	} else {
		randombytes_buf(b->secret, 32);
		r = build(b, progress, arg, as_error(err));
	}
	if (r < 0) {
		betanet_bench_destroy(b);
		return r;
	}
	*out = b;
	return 0;
}

struct betanet_config *betanet_bench_config(struct betanet_bench *bench)
{
	return &bench->cfg;
}

void betanet_bench_destroy(struct betanet_bench *bench)
{
	if (!bench)
		return;
	secmem_free(bench->secret);
	free(bench->packet);
	free(bench->room);
	free(bench);
}

/* ---- a pass: every packet once, or as many as the time allows
 * ------------------------------------------------ */

struct pass {
	struct betanet_bench *bench;
	struct betanet *mix;
	struct betanet_output out[COLLECT];
	unsigned sent, collected;
	double next_poll, last_news;
};

static void submit(struct pass *p)
{
	const uint8_t *packets[SUBMIT];
	unsigned left = p->bench->packets - p->sent, n = left < SUBMIT ? left : SUBMIT;

	for (unsigned i = 0; i < n; i++)
		packets[i] = p->bench->packet + (size_t)(p->sent + i) * p->bench->packet_size;
	p->sent += betanet_submit(p->mix, packets, n);
}

static void collect(struct pass *p, double now)
{
	int n = betanet_collect(p->mix, p->out, COLLECT);

	if (n > 0) {
		p->collected += (unsigned)n;
		p->last_news = now;
	}
	if (now >= p->next_poll) {
		betanet_poll(p->mix);
		p->next_poll = now + poll_s;
	}
}

/* Everything that was sent has been processed, or, with `left`, has left and been collected. */
static bool settled(const struct pass *p, bool left)
{
	struct betanet_stats s;

	if (!left && p->collected == p->sent)
		return true;
	betanet_stats_get(p->mix, &s);
	return (left ? p->collected : s.processed) + s.dropped >= p->sent;
}

static double patience(const struct betanet_config *c)
{
	bool vrf = c->delay_mode == BETANET_DELAY_VRF || c->delay_mode == BETANET_DELAY_SUM;

	return PATIENCE_S + (vrf ? LONGEST_DELAY * c->vrf_mean_ms / 1e3 : 0);
}

static int wait_settled(struct pass *p, bool left, struct error *err)
{
	double next = 0, longest = patience(&p->bench->cfg);

	for (;;) {
		double now = clock_s();

		collect(p, now);
		/* statistics are summed over all lcores: not in each round */
		if (now >= next) {
			if (settled(p, left))
				return 0;
			next = now + poll_s / 10;
		}
		if (now - p->last_news > longest)
			return error_set(err, EBUSY,
				"%u of %u packets came back, then none for %.0f s: does each "
				"worker have a core?",
				p->collected, p->sent, longest);
	}
}

static int run_pass(struct pass *p, double seconds, struct betanet_bench_result *r,
	double *processing, struct error *err)
{
	double began = clock_s(), now = began, until = began + seconds;
	struct betanet_stats s;
	int status;

	p->last_news = began;
	while (now < until && p->sent < p->bench->packets) {
		submit(p);
		collect(p, now);
		now = clock_s();
	}
	status = wait_settled(p, false, err);
	r->elapsed_s += clock_s() - began;
	/* delays are no part of the time, but packets that wait must leave */
	if (status == 0)
		status = wait_settled(p, true, err);
	betanet_stats_get(p->mix, &s);
	r->sent += s.rx;
	r->processed += s.rx - s.dropped;
	r->dropped += s.dropped;
	processing[0] += s.mean_processing_ns * (double)(s.rx - s.dropped);
	processing[1] += (double)s.pool_requests;
	processing[2] += (double)s.pool_misses;
	r->passes++;
	return status;
}

static int start(struct betanet_bench *b, struct betanet **mix, char *err)
{
	struct betanet_config c = b->cfg; /* betanet_create wipes it */
	int r;

	memcpy(c.sphinx_secret, b->secret, 32);
	r = betanet_create(&c, mix, err);
	if (r < 0)
		return r;
	r = betanet_start(*mix, err);
	if (r < 0)
		betanet_destroy(*mix);
	return r;
}

static double share(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

int betanet_bench_run(struct betanet_bench *bench, double seconds, struct betanet_bench_result *r,
	char err[BETANET_ERROR_MAX])
{
	double sums[3] = {0}; /* ns of processing, requests, misses */
	int status = 0;

	memset(r, 0, sizeof(*r));
	if (!(seconds >= 0.001 && seconds <= 86400))
		return error_set(
			as_error(err), EINVAL, "seconds = %g: allowed is 0.001 to 86400", seconds);
	if (SPHINX_HEADER_SIZE + bench->cfg.payload_size != bench->packet_size)
		return error_set(as_error(err), EINVAL,
			"payload_size = %u: the packets were built for %zu",
			bench->cfg.payload_size, bench->packet_size - SPHINX_HEADER_SIZE);
	while (status == 0 && r->elapsed_s < 0.99 * seconds) {
		struct pass p = {.bench = bench};

		for (unsigned i = 0; i < COLLECT; i++) {
			p.out[i].data = bench->room + i * bench->packet_size;
			p.out[i].capacity = (uint32_t)bench->packet_size;
		}
		status = start(bench, &p.mix, err);
		if (status < 0)
			return status;
		status = run_pass(&p, seconds - r->elapsed_s, r, sums, as_error(err));
		betanet_stop(p.mix, 0, NULL);
		betanet_destroy(p.mix);
	}
	r->throughput_pps = share((double)r->processed, r->elapsed_s);
	r->mean_processing_ns = share(sums[0], (double)r->processed);
	r->success_rate = share((double)r->processed, (double)r->sent);
	r->pool_hit_rate = share(sums[1] - sums[2], sums[1]);
	return status;
}

/* ---- results
 * ----------------------------------------------------------------------------------------------------
 */

void betanet_bench_describe(const struct betanet_bench_result *r, char *out, size_t cap)
{
	snprintf(out, cap,
		"sent             %12llu packets\n"
		"processed        %12llu packets\n"
		"dropped          %12llu packets\n"
		"elapsed          %12.3f s in %u %s\n"
		"throughput       %12.0f packets/s\n"
		"mean processing  %12.1f us\n"
		"success rate     %12.3f %%\n"
		"pool hit rate    %12.3f %%\n",
		(unsigned long long)r->sent, (unsigned long long)r->processed,
		(unsigned long long)r->dropped, r->elapsed_s, r->passes,
		r->passes == 1 ? "pass" : "passes", r->throughput_pps, r->mean_processing_ns / 1e3,
		r->success_rate * 100, r->pool_hit_rate * 100);
}

bool betanet_bench_meets_target(const struct betanet_bench_result *r, double pps)
{
	return r->sent > 0 && r->throughput_pps >= pps &&
	       (double)r->dropped < 0.001 * (double)r->sent;
}
