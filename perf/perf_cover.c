/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cover costs the control core: routes, and packets from the buffer to the egress, in a
 * network of three layers of eight nodes, payload 1024 bytes; the fixed-base table against a
 * general multiplication; and how many packets of each kind a core makes in a second.
 */
#include <math.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <sodium.h>
#include <unistd.h>

#include "bench.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "crypto/x25519_mb.h"
#include "pipeline/cover.h"

enum { LAYERS = 3, WIDTH = 8, NODES = LAYERS * WIDTH, SELF = 0, POINTS = 64 };

static struct betanet *b;
static uint8_t secret[NODES][32];
static char path[] = "/tmp/perf-cover.XXXXXX";
static uint8_t authority[32];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "perf_cover: %s\n", what);
	unlink(path);
	exit(1);
}

static void write_directory(void)
{
	static char text[NODES * 512 + 512];
	uint8_t seed[32], sk[64];
	struct error err;
	size_t used = (size_t)sprintf(text,
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"2026-01-01T00:00:00Z\";\n"
		"valid_until = \"2099-01-01T00:00:00Z\";\nnodes = (\n",
		1);

	for (unsigned i = 0; i < NODES; i++) {
		uint8_t key[3][32];
		char hex[3][65];

		randombytes_buf(secret[i], 32);
		crypto_scalarmult_base(key[2], secret[i]);
		for (unsigned k = 0; k < 3; k++) {
			if (k < 2) {
				randombytes_buf(seed, sizeof(seed));
				crypto_sign_seed_keypair(key[k], sk, seed);
			}
			hex_encode(hex[k], key[k], 32);
		}
		used += (size_t)sprintf(text + used,
			"%s{ name = \"n%u\"; layer = %u; address = \"10.9.0.%u:9000\"; "
			"identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
			i ? "," : "", i, i / WIDTH + 1, i + 1, hex[0], hex[1], hex[2]);
	}
	strcpy(text + used, ");\n");
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(authority, sk, seed);
	close(mkstemp(path));
	if (directory_sign_text(
		    "perf_cover", (uint8_t *)text, strlen(text), path, seed, FILE_FORCE, &err) < 0)
		die(err.msg);
}

/* A pipeline with more slots than a core makes cover for; this thread is its control core. */
static void start(void)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];

	betanet_config_init(&c);
	c.role = BETANET_ENTRY;
	c.idle = BETANET_IDLE_SLEEP;
	c.queue_depth = 512;
	c.target_pps = 1000;
	c.replay_capacity = 1 << 16;
	c.cover = true;
	c.loop_rate_pps = 2;
	c.shaping = BETANET_SHAPING_CONSTANT;
	c.max_rate_pps = 16000;
	memcpy(c.sphinx_secret, secret[SELF], 32);
	if (betanet_create(&c, &b, err) < 0 ||
		betanet_directory_set(b, path, authority, 0, err) < 0 || betanet_start(b, err) < 0)
		die(err);
	unlink(path);
}

/* ---- rows ---- */

struct job {
	bool loop;
	unsigned n;
};

static unsigned draw(const struct job *j, struct cover_route *routes)
{
	for (unsigned i = 0; i < j->n; i++) {
		unsigned node = WIDTH + i % WIDTH;

		if (j->loop ? cover_route_loop(b->cover->routes, &routes[i]) < 0
			    : cover_route_drop(b->cover->routes, node,
				      &b->directory->nodes[node].address[0], &routes[i]) < 0)
			die("no route");
	}
	return j->n;
}

static void run_draw(void *arg)
{
	struct cover_route routes[COVER_CHUNK];

	(void)draw(arg, routes);
}

/* From the routes to packets that a slot only has to take. */
static void run_make(void *arg)
{
	struct cover_route routes[COVER_CHUNK];
	struct rte_mbuf *m[COVER_CHUNK];
	unsigned n = draw(arg, routes);

	if (cover_buffers(b->cover, m, n) != n)
		die("no buffers");
	for (unsigned i = 0; i < n; i++)
		cover_identify(b->cover, i, routes[i].sphinx.identifier);
	cover_build(b->cover, routes, m, n);
	rte_pktmbuf_free_bulk(m, n);
	sodium_memzero(routes, sizeof(routes));
}

static uint8_t points[POINTS][32], scalars[POINTS][32], products[POINTS][32];
static uint8_t *out[POINTS];
static const uint8_t *scalar[POINTS], *point[POINTS];

static void run_base(void *arg)
{
	(void)arg;
	x25519_mb_base(out, scalar, COVER_CHUNK);
}

static void run_general(void *arg)
{
	(void)arg;
	x25519_mb(out, scalar, point, COVER_CHUNK);
}

enum {
	LOOP_DRAW,
	DROP_DRAW,
	LOOP_ONE,
	LOOP_FULL,
	DROP_ONE,
	DROP_FULL,
	BASE,
	GENERAL,
	ROWS,
};

static struct job jobs[ROWS] = {
	[LOOP_DRAW] = {true, COVER_CHUNK},
	[DROP_DRAW] = {false, COVER_CHUNK},
	[LOOP_ONE] = {true, 1},
	[LOOP_FULL] = {true, COVER_CHUNK},
	[DROP_ONE] = {false, 1},
	[DROP_FULL] = {false, COVER_CHUNK},
};

static const char *const text[ROWS] = {
	[LOOP_DRAW] = "a loop's route drawn",
	[DROP_DRAW] = "a drop's route drawn",
	[LOOP_ONE] = "a loop made, one at a time",
	[LOOP_FULL] = "a loop made, 32 at a time",
	[DROP_ONE] = "a drop made, one at a time",
	[DROP_FULL] = "a drop made, 32 at a time",
	[BASE] = "x * base point, by the table",
	[GENERAL] = "x * point, in general",
};

static void measure(void)
{
	static struct bench rows[ROWS];
	double saved;

	for (unsigned i = 0; i < POINTS; i++) {
		randombytes_buf(scalars[i], 32);
		crypto_scalarmult_base(points[i], scalars[i]);
		out[i] = products[i];
		scalar[i] = scalars[i];
		point[i] = points[i];
	}
	for (unsigned i = 0; i < ROWS; i++)
		rows[i] = (struct bench){.run = i <= DROP_DRAW ? run_draw
						: i < BASE     ? run_make
						: i == BASE    ? run_base
							       : run_general,
			.arg = &jobs[i],
			.times = i < BASE ? jobs[i].n : COVER_CHUNK};
	bench_run(rows, ROWS);
	printf("us of the control core, three layers, loops of 3 hops, drops of 1 or 2\n");
	for (unsigned i = 0; i < ROWS; i++) {
		printf("  %-30s %9.2f\n", text[i], bench_ns(&rows[i]) / 1e3);
		bench_result(&rows[i], "cover", "what=%s,burst=%u",
			i == LOOP_DRAW   ? "loop-route"
			: i == DROP_DRAW ? "drop-route"
			: i < DROP_ONE   ? "loop"
			: i < BASE       ? "drop"
			: i == BASE      ? "base"
					 : "general",
			i < BASE ? jobs[i].n : (unsigned)COVER_CHUNK);
	}
	saved = bench_ns(&rows[GENERAL]) - bench_ns(&rows[BASE]);
	printf("fixed base: saves %.2f us of each packet: %.0f %% of a loop, %.0f %% of a drop\n",
		saved / 1e3, 100 * saved / (saved + bench_ns(&rows[LOOP_FULL])),
		100 * saved / (saved + bench_ns(&rows[DROP_FULL])));
	printf("one core makes %.0f loops or %.0f drops a second\n",
		1e9 / bench_ns(&rows[LOOP_FULL]), 1e9 / bench_ns(&rows[DROP_FULL]));
}

/* All that the control core does, while the stock is never full: time of this thread alone. */
static void measure_poll(void)
{
	const struct cover *c = b->cover;
	double spent = 0, longest = 0,
	       end = bench_clock(CLOCK_MONOTONIC) + (result_quick() ? 1 : 3);
	uint64_t made = 0, hops = 0;

	while (bench_clock(CLOCK_MONOTONIC) < end) {
		uint64_t built = c->built, built_hops = c->built_hops;
		double t = bench_clock(CLOCK_THREAD_CPUTIME_ID);
		struct rte_mbuf *m[256];
		unsigned n;

		betanet_poll(b);
		t = bench_clock(CLOCK_THREAD_CPUTIME_ID) - t;
		if (c->built - built >= COVER_CHUNK / 2) {
			spent += t;
			longest = t > longest ? t : longest;
			made += c->built - built;
			hops += c->built_hops - built_hops;
		}
		/* nobody takes them: the wire */
		while ((n = rte_ring_sc_dequeue_burst(b->collect, (void **)m, RTE_DIM(m), NULL)) >
			0)
			rte_pktmbuf_free_bulk(m, n);
	}
	if (made == 0)
		die("the slots took no cover");
	spent /= (double)made;
	printf("in its place, with all else that control does: %.2f us a packet of %.2f hops, so "
	       "that a core sustains slots of %.0f a second over all links; the longest poll "
	       "took %.2f ms\n",
		spent * 1e6, (double)hops / (double)made, 1 / spent, longest * 1e3);
	result_write(&(struct result){.name = "cover.sustained",
		.unit = "packets/s",
		.better = RESULT_HIGHER,
		.labels = "what=drop",
		.values = (double[]){1 / spent},
		.count = 1});
}

int main(void)
{
	static char prefix[64], lcores[96];
	static char *argv[] = {"perf_cover", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "lib.eal:error", NULL};
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	struct error err;

	snprintf(prefix, sizeof(prefix), "perf_cover%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@(0-%ld),1@(0-%ld)", last, last);
	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0)
		die(err.msg);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		die("EAL did not start");
	write_directory();
	start();
	measure();
	measure_poll();
	betanet_stop(b, 100, NULL);
	betanet_destroy(b);
	rte_eal_cleanup();
	return 0;
}
