/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building packets in a burst against one at a time: routes of three hops (a client's) and of two
 * (a loop of cover traffic over one peer), payload 1024 bytes, version 260.
 */
#include <sodium.h>

#include "bench.h"
#include "sphinx/build_burst.h"

enum { N = 128, PAYLOAD = 1024 };

static struct crypto *crypto;
static struct sphinx_builder *builder;
static uint8_t out[N][SPHINX_HEADER_SIZE + PAYLOAD];

static void die(const char *what)
{
	fprintf(stderr, "perf_build_burst: %s\n", what);
	exit(1);
}

struct job {
	struct sphinx_route route;
	unsigned n; /* 0: one at a time */
};

enum { ONE_TIMES = 4 };

static void run(void *arg)
{
	struct job *j = arg;
	struct sphinx_build_item item[N];
	enum sphinx_status status[N];

	for (unsigned i = 0; !j->n && i < ONE_TIMES; i++)
		if (sphinx_build(crypto, &j->route, NULL, 0, PAYLOAD, NULL, out[i]) != SPHINX_ok)
			die("cannot build");
	for (unsigned i = 0; i < j->n; i++)
		item[i] = (struct sphinx_build_item){.route = &j->route, .out = out[i]};
	sphinx_build_burst(builder, item, j->n, PAYLOAD, status);
	for (unsigned i = 0; i < j->n; i++)
		if (status[i] != SPHINX_ok)
			die("cannot build in a burst");
}

int main(void)
{
	static const unsigned size[] = {0, 1, 2, 4, 8, 16, 32, 128};
	enum { SIZES = sizeof(size) / sizeof(size[0]) };
	static struct job job[2][SIZES];
	static struct bench rows[2 * SIZES];
	struct error err;

	if (crypto_init(0, &err) < 0)
		die(err.msg);
	crypto = crypto_create();
	builder = sphinx_builder_create();
	if (!crypto || !builder)
		die("no locked memory; raise `ulimit -l`");
	for (unsigned h = 0; h < 2; h++) {
		struct sphinx_route route = {.hops = 2 + h, .version = SPHINX_V260};

		for (unsigned i = 0; i < route.hops; i++) {
			uint8_t secret[32];

			randombytes_buf(secret, sizeof(secret));
			crypto_scalarmult_base(route.hop[i].public_key, secret);
		}
		for (unsigned s = 0; s < SIZES; s++) {
			job[h][s] = (struct job){route, size[s]};
			rows[h * SIZES + s] = (struct bench){.run = run,
				.arg = &job[h][s],
				.times = size[s] ? size[s] : ONE_TIMES};
		}
	}
	bench_run(rows, 2 * SIZES);
	printf("us a packet built        two hops  packets/s  three hops  packets/s\n");
	for (unsigned s = 0; s < SIZES; s++) {
		const double two = bench_ns(&rows[s]), three = bench_ns(&rows[SIZES + s]);

		bench_result(&rows[s], "build", "hops=2,burst=%u", size[s]);
		bench_result(&rows[SIZES + s], "build", "hops=3,burst=%u", size[s]);

		if (size[s])
			printf("  in a burst of %-6u", size[s]);
		else
			printf("  one at a time       ");
		printf("%11.2f %10.0f %11.2f %10.0f\n", two / 1e3, 1e9 / two, three / 1e3,
			1e9 / three);
	}
	sphinx_builder_free(builder);
	crypto_free(crypto);
	return 0;
}
