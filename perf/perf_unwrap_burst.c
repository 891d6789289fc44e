/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unwrapping a burst: against the one-packet unwrap, libsodium's curve alone and the prototype, all
 * in turns; by stage; by burst size; forged packets beside good ones. Payload 1024 bytes, version
 * 260, forward packets unless said otherwise. performance.md has floors and goals. An argument, 128
 * or 256, is the widest vector unit that may be used.
 */
#include "bench.h"

#include <dlfcn.h>
#include <sodium.h>
#include <string.h>
#include "crypto/aes_ctr_mb.h"
#include "crypto/hkdf_mb.h"
#include "crypto/lioness_mb.h"
#include "crypto/x25519_mb.h"
#include "sphinx/burst.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"

enum { N = SPHINX_BURST_MAX, PAYLOAD = 1024, LEN = SPHINX_HEADER_SIZE + PAYLOAD };

static struct crypto *crypto;
static uint8_t node_secret[32], node_public[32];
static uint8_t forward[N][LEN], final[N][LEN], forged[N][LEN], work[2 * N][LEN];
static uint8_t *packet[2 * N];

static void die(const char *what)
{
	fprintf(stderr, "perf_unwrap_burst: %s\n", what);
	exit(1);
}

static void build(uint8_t *out, unsigned hops)
{
	struct sphinx_route route = {.hops = hops, .version = SPHINX_V260};

	memcpy(route.hop[0].public_key, node_public, 32);
	memcpy(route.hop[1].public_key, node_public, 32);
	if (sphinx_build(crypto, &route, NULL, 0, PAYLOAD, NULL, out) != SPHINX_ok)
		die("cannot build");
}

static void make_packets(void)
{
	randombytes_buf(node_secret, sizeof(node_secret));
	crypto_scalarmult_base(node_public, node_secret);
	for (unsigned i = 0; i < N; i++) {
		build(forward[i], 2);
		build(final[i], 1);
		memcpy(forged[i], forward[i], LEN);
		forged[i][PACKET_GAMMA] ^= 1;
	}
	for (unsigned i = 0; i < 2 * N; i++)
		packet[i] = work[i];
}

static struct bench row(const char *name, void (*run)(void *arg), void (*before)(void *arg),
	void *arg, unsigned times)
{
	return (struct bench){
		.name = name, .run = run, .prepare = before, .arg = arg, .times = times};
}

/* ---- contenders ---- */

struct job {
	struct sphinx_burst *b;
	const uint8_t (*from)[LEN];
	unsigned n; /* packets in a round */
	enum sphinx_status want;
	unsigned size; /* of a burst; 0: N */
};

static void refresh(void *arg)
{
	const struct job *j = arg;

	for (unsigned i = 0; i < j->n; i++)
		memcpy(work[i], j->from[i % N], LEN);
}

static void check(const struct job *j, const enum sphinx_status status[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (status[i] != j->want)
			die("a packet met another fate than it should");
}

static void run_burst(void *arg)
{
	static enum sphinx_status status[N];
	static struct sphinx_hop hop[N];
	const struct job *j = arg;
	const unsigned size = j->size ? j->size : N;

	for (unsigned i = 0; i < j->n; i += size) {
		const unsigned n = j->n - i < size ? j->n - i : size;

		sphinx_open_burst(j->b, node_secret, packet + i, LEN, n, status);
		sphinx_finish_burst(j->b, status, hop);
		check(j, status, n);
	}
}

static void run_one_packet(void *arg)
{
	const struct job *j = arg;
	enum sphinx_status status;
	struct sphinx_hop hop;

	for (unsigned i = 0; i < j->n; i++) {
		status = sphinx_unwrap(crypto, node_secret, packet[i], LEN, &hop);
		check(j, &status, 1);
	}
}

static void run_libsodium_curve(void *arg)
{
	const struct job *j = arg;
	uint8_t out[32];

	for (unsigned i = 0; i < j->n; i++)
		if (crypto_scalarmult(out, node_secret, forward[i]) < 0)
			die("scalarmult");
}

static void run_prototype(void *arg)
{
	void (*burst)(void);

	memcpy(&burst, arg, sizeof(burst));
	burst();
}

/* NULL with a line printed when it cannot be had. */
static void *prototype(const char *name)
{
	int (*start)(void);
	char path[200];
	void *so, *sym;

	snprintf(path, sizeof(path), "./build/perf/prototype/%s.so", name);
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!so || !(sym = dlsym(so, "prototype_start"))) {
		printf("prototype %s: not measured: %s\n", name, dlerror());
		return NULL;
	}
	memcpy(&start, &sym, sizeof(start));
	if (start() < 0)
		die("the prototype does not start");
	return dlsym(so, "prototype_burst");
}

static void floor_line(const char *what, double ratio, double floor, double goal)
{
	printf("  %-58s %6.2f   floor %.2f %-6s goal %.2f %s\n", what, ratio, floor,
		ratio >= floor ? "ok" : "MISSED", goal, ratio >= goal ? "ok" : "missed");
}

static void against_the_others(struct sphinx_burst *b[3])
{
	struct job ladder = {b[SPHINX_CURVE_LADDER], (const uint8_t(*)[LEN])forward, N, SPHINX_ok,
			   0},
		   pair = ladder, automatic = ladder, one = ladder, curve = ladder;
	static struct bench c[7];
	static const char *const id[] = {"burst", "burst_ladders", "burst_pair", "one",
		"two_libsodium_curves", "prototype_pair", "prototype_ladders"};
	void *proto[2] = {NULL, NULL};
	unsigned n = 5;

	pair.b = b[SPHINX_CURVE_PAIR];
	automatic.b = b[SPHINX_CURVE_AUTO];
	one.n = 16;
	curve.n = 32;
	c[0] = row("burst of 128, AUTO", run_burst, refresh, &automatic, N);
	c[1] = row("burst of 128, two ladders", run_burst, refresh, &ladder, N);
	c[2] = row("burst of 128, pair", run_burst, refresh, &pair, N);
	c[3] = row("one packet at a time", run_one_packet, refresh, &one, 16);
	c[4] = row("libsodium's curve alone, twice", run_libsodium_curve, NULL, &curve, 16);
	if (system("perf/prototype.sh build/perf/prototype") == 0) {
		static const char *const name[2] = {"hop_ed", "hop_asm"};
		static const char *const text[2] = {
			"prototype, pair in assembly", "prototype, ladders in assembly"};

		for (unsigned p = 0; p < 2; p++) {
			proto[p] = prototype(name[p]);
			if (proto[p])
				c[n++] = row(text[p], run_prototype, NULL, &proto[p], N);
		}
	} else {
		printf("prototype: not measured, see above\n");
	}
	bench_run(c, n);
	printf("\nunwrap, us a packet (medians of %u rounds), kernel %s\n", bench_rounds(),
		x25519_mb_kernel_name(x25519_mb_kernel()));
	for (unsigned i = 0; i < n; i++) {
		printf("  %-36s %8.2f us %10.0f packets/s\n", c[i].name, bench_ns(&c[i]) / 1e3,
			1e9 / bench_ns(&c[i]));
		bench_result(
			&c[i], "unwrap", "way=%s", id[i < 5 ? i : 5 + (c[i].arg == &proto[1])]);
	}
	bench_target("unwrap.burst_against_one", "size=128", bench_ns(&c[3]) / bench_ns(&c[0]),
		RESULT_HIGHER, 3.8, 5.3);
	floor_line("burst of 128 against one packet at a time", bench_ns(&c[3]) / bench_ns(&c[0]),
		3.8, 5.3);
	if (n > 5)
		floor_line("burst of 128 against the prototype's pair",
			bench_ns(&c[5]) / bench_ns(&c[0]), 0.0, 1.0);
}

/* ---- stages ---- */

struct columns {
	uint8_t shared[N][32], expanded[N][SPHINX_EXPANDED_SIZE], mac[N][32], stream[N][368];
	uint8_t key[N][SPHINX_PAYLOAD_KEY_SIZE], next[N][32], on_twist[N];
	uint8_t *shared_p[N], *expanded_p[N], *mac_p[N], *stream_p[N], *key_p[N], *next_p[N],
		*payload_p[N];
	const uint8_t *node_p[N], *alpha_p[N], *blinding_p[N], *mac_key_p[N], *beta_p[N],
		*seed_p[N];
	struct hkdf_mb expand, payload_key;
	struct x25519_pair *pair;
};
static struct columns col;

static void make_columns(void)
{
	hkdf_mb_prepare(
		&col.expand, &sphinx_expand_salt, sphinx_expand_info, sizeof(sphinx_expand_info));
	hkdf_mb_prepare(&col.payload_key, &sphinx_payload_salt, sphinx_payload_info,
		sizeof(sphinx_payload_info));
	randombytes_buf(col.expanded, sizeof(col.expanded));
	for (unsigned i = 0; i < N; i++) {
		col.shared_p[i] = col.shared[i];
		col.expanded_p[i] = col.expanded[i];
		col.mac_p[i] = col.mac[i];
		col.stream_p[i] = col.stream[i];
		col.key_p[i] = col.key[i];
		col.next_p[i] = col.next[i];
		col.payload_p[i] = work[i] + SPHINX_HEADER_SIZE;
		col.node_p[i] = node_secret;
		col.alpha_p[i] = forward[i];
		col.blinding_p[i] = col.expanded[i] + SPHINX_OFF_BLINDING;
		col.mac_key_p[i] = col.expanded[i] + SPHINX_OFF_MAC_KEY;
		col.beta_p[i] = forward[i] + PACKET_BETA;
		col.seed_p[i] = col.expanded[i] + SPHINX_OFF_SEED;
	}
	col.pair = x25519_pair_create(N);
	if (!col.pair)
		die("no locked memory for the pair");
	x25519_pair_begin(col.pair, col.alpha_p, N, col.on_twist);
}

static void stage_ladder(void *arg)
{
	(void)arg;
	x25519_mb(col.shared_p, col.node_p, col.alpha_p, N);
}

static void stage_begin(void *arg)
{
	(void)arg;
	x25519_pair_begin(col.pair, col.alpha_p, N, col.on_twist);
}

static void stage_mult(void *arg)
{
	(void)arg;
	x25519_pair_mult(col.pair, col.next_p, col.blinding_p, NULL, N);
}

static void stage_hkdf1(void *arg)
{
	(void)arg;
	hkdf_mb(&col.expand, col.expanded_p, SPHINX_EXPANDED_SIZE,
		(const uint8_t *const *)col.shared_p, 32, N);
}

static void stage_hmac(void *arg)
{
	(void)arg;
	hmac_mb(col.mac_p, col.mac_key_p, SPHINX_K, col.beta_p, SPHINX_BETA_SIZE, N);
}

static void stage_aes(void *arg)
{
	(void)arg;
	aes_ctr_mb_stream(col.stream_p, 23, col.seed_p, N);
}

static void stage_hkdf2(void *arg)
{
	(void)arg;
	hkdf_mb(&col.payload_key, col.key_p, SPHINX_PAYLOAD_KEY_SIZE, col.seed_p, SPHINX_SEED_SIZE,
		N);
}

static void stage_lioness(void *arg)
{
	(void)arg;
	lioness_mb_decrypt((const uint8_t *const *)col.key_p, col.payload_p, PAYLOAD, N);
}

static void by_stage(struct sphinx_burst *b[3])
{
	static const struct {
		const char *name, *id;
		void (*run)(void *arg);
		unsigned in_ladder, in_pair; /* how often a forward packet takes it */
	} stage[] = {
		{"x·alpha or b·alpha, ladder", "ladder", stage_ladder, 2, 0},
		{"pair: doublings and tables", "pair_begin", stage_begin, 0, 1},
		{"pair: one multiplication", "pair_mult", stage_mult, 0, 2},
		{"HKDF 1 (288 bytes)", "hkdf1", stage_hkdf1, 1, 1},
		{"HMAC (300 bytes)", "hmac", stage_hmac, 1, 1},
		{"AES-CTR (368 bytes)", "aes_ctr", stage_aes, 1, 1},
		{"HKDF 2 (192 bytes)", "hkdf2", stage_hkdf2, 1, 1},
		{"LIONESS", "lioness", stage_lioness, 1, 1},
	};
	enum { STAGES = sizeof(stage) / sizeof(stage[0]) };
	struct job job[2] = {
		{b[SPHINX_CURVE_LADDER], (const uint8_t(*)[LEN])forward, N, SPHINX_ok, 0},
		{b[SPHINX_CURVE_PAIR], (const uint8_t(*)[LEN])forward, N, SPHINX_ok, 0}};
	static struct bench c[STAGES + 2];
	double rest[2];

	for (unsigned i = 0; i < STAGES; i++)
		c[i] = row(stage[i].name, stage[i].run, NULL, NULL, N);
	c[STAGES] = row("ladder", run_burst, refresh, &job[0], N);
	c[STAGES + 1] = row("pair", run_burst, refresh, &job[1], N);
	bench_run(c, STAGES + 2);
	printf("\nstages of a forward packet, burst of 128        us   share with ladders   with "
	       "the pair\n");
	rest[0] = bench_ns(&c[STAGES]);
	rest[1] = bench_ns(&c[STAGES + 1]);
	for (unsigned i = 0; i < STAGES; i++) {
		bench_result(&c[i], "unwrap.stage", "stage=%s", stage[i].id);
		printf("  %-36s %12.3f %14.1f %% %14.1f %%\n", stage[i].name, bench_ns(&c[i]) / 1e3,
			100 * stage[i].in_ladder * bench_ns(&c[i]) / bench_ns(&c[STAGES]),
			100 * stage[i].in_pair * bench_ns(&c[i]) / bench_ns(&c[STAGES + 1]));
		rest[0] -= stage[i].in_ladder * bench_ns(&c[i]);
		rest[1] -= stage[i].in_pair * bench_ns(&c[i]);
	}
	printf("  %-36s %12s %14.1f %% %14.1f %%\n", "packing, headers, wiping", "",
		100 * rest[0] / bench_ns(&c[STAGES]), 100 * rest[1] / bench_ns(&c[STAGES + 1]));
	printf("  %-36s %12s %11.2f us %14.2f us\n", "whole", "", bench_ns(&c[STAGES]) / 1e3,
		bench_ns(&c[STAGES + 1]) / 1e3);
}

/* ---- burst size ---- */

static void by_size(struct sphinx_burst *b[3])
{
	static const unsigned size[] = {1, 2, 3, 4, 8, 16, 32, 64, 128, 256};
	enum { SIZES = sizeof(size) / sizeof(size[0]) };
	static struct job job[SIZES][3];
	static struct bench c[3 * SIZES];

	for (unsigned s = 0; s < SIZES; s++) {
		/* about N packets in a round, in bursts of this size; 256 are two bursts */
		const unsigned n = size[s] > N ? size[s] : N / size[s] * size[s];

		for (unsigned k = 0; k < 3; k++) {
			job[s][k] = (struct job){b[k], (const uint8_t(*)[LEN])forward, n, SPHINX_ok,
				size[s] < N ? size[s] : N};
			c[3 * s + k] = row("", run_burst, refresh, &job[s][k], n);
		}
	}
	bench_run(c, 3 * SIZES);
	printf("\nburst size: us a packet    AUTO    ladders     pair\n");
	for (unsigned s = 0; s < SIZES; s++)
		bench_result(&c[3 * s], "unwrap.by_size", "size=%u", size[s]);
	for (unsigned s = 0; s < SIZES; s++)
		printf("  %5u%-16s %9.2f %9.2f %9.2f\n", size[s],
			size[s] > N ? " (two bursts)" : "", bench_ns(&c[3 * s]) / 1e3,
			bench_ns(&c[3 * s + 1]) / 1e3, bench_ns(&c[3 * s + 2]) / 1e3);
}

/* ---- forged, final ---- */

static void by_fate(void)
{
	static struct job job[3][3];
	static struct bench c[9];
	static const char *const fate[] = {"forward", "final", "forged"};
	static const char *const curve[] = {"AUTO", "ladder", "pair"};
	const uint8_t(*from[3])[LEN] = {(const uint8_t(*)[LEN])forward,
		(const uint8_t(*)[LEN]) final, (const uint8_t(*)[LEN])forged};

	/* each with a workspace of its own, so that AUTO has seen nothing but this traffic */
	for (unsigned f = 0; f < 3; f++) {
		for (unsigned k = 0; k < 3; k++) {
			job[f][k] = (struct job){sphinx_burst_create((enum sphinx_burst_curve)k),
				from[f], N, f == 2 ? SPHINX_bad_mac : SPHINX_ok, 0};
			if (!job[f][k].b)
				die("no locked memory");
			c[3 * f + k] = row("", run_burst, refresh, &job[f][k], N);
		}
	}
	bench_run(c, 9);
	printf("\npackets/s on one core         AUTO       ladder         pair\n");
	for (unsigned f = 0; f < 3; f++)
		bench_result(&c[3 * f], "unwrap.by_fate", "fate=%s", fate[f]);
	for (unsigned f = 0; f < 3; f++)
		printf("  all %-12s %14.0f %12.0f %12.0f   AUTO ends on the %s\n", fate[f],
			1e9 / bench_ns(&c[3 * f]), 1e9 / bench_ns(&c[3 * f + 1]),
			1e9 / bench_ns(&c[3 * f + 2]),
			curve[sphinx_burst_used_pair(job[f][0].b) ? 2 : 1]);
	for (unsigned i = 0; i < 9; i++)
		sphinx_burst_free(job[i / 3][i % 3].b);
}

int main(int argc, char **argv)
{
	struct sphinx_burst *b[3];
	struct error err;

	if (crypto_init(argc > 1 ? (unsigned)atoi(argv[1]) : 0, &err) < 0)
		die(err.msg);
	crypto = crypto_create();
	for (unsigned k = 0; k < 3; k++)
		if (!(b[k] = sphinx_burst_create((enum sphinx_burst_curve)k)))
			die("no locked memory; raise `ulimit -l`");
	if (!crypto)
		die("no locked memory; raise `ulimit -l`");
	make_packets();
	make_columns();
	against_the_others(b);
	by_stage(b);
	by_size(b);
	by_fate();
	for (unsigned k = 0; k < 3; k++)
		sphinx_burst_free(b[k]);
	x25519_pair_free(col.pair);
	crypto_free(crypto);
	return 0;
}
