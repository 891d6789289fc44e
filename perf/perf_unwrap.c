/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet at a time on one core: what a hop costs, where it goes, and libsodium's
 * crypto_scalarmult alone in the same run, so that the share of the curve is visible.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "crypto/aes_ctr.h"
#include "crypto/lioness.h"
#include "crypto/state.h"
#include "crypto/x25519.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"
#include "sphinx/sphinx.h"

enum { TIMES = 20, FAST_TIMES = 400 };

static struct crypto *crypto;

/* ---- whole hops ---- */

struct hop_case {
	uint16_t version;
	unsigned hops; /* 1: the measured hop is the last */
	size_t payload;
	int forged;
	enum sphinx_status expected;
	uint8_t secret[32];
	uint8_t packet[SPHINX_HEADER_SIZE + 2048], work[SPHINX_HEADER_SIZE + 2048];
};

static void die(const char *what)
{
	fprintf(stderr, "perf_unwrap: %s\n", what);
	exit(1);
}

static void prepare(struct hop_case *h)
{
	struct sphinx_route route = {.hops = h->hops, .version = h->version};
	uint8_t other[32];

	for (unsigned i = 0; i < h->hops; i++) {
		randombytes_buf(i ? other : h->secret, 32);
		x25519_base(route.hop[i].public_key, i ? other : h->secret);
	}
	if (sphinx_build(crypto, &route, NULL, 0, h->payload, NULL, h->packet) != SPHINX_ok)
		die("a packet could not be built");
	if (h->forged)
		h->packet[PACKET_GAMMA] ^= 1;
	h->expected = h->forged ? SPHINX_bad_mac : SPHINX_ok;
}

/* The copy that gives each pass a fresh packet is in the figure: some 20 ns. */
static void run_hop(void *arg)
{
	struct hop_case *h = arg;
	struct sphinx_hop out;

	for (unsigned i = 0; i < TIMES; i++) {
		memcpy(h->work, h->packet, SPHINX_HEADER_SIZE + h->payload);
		if (sphinx_unwrap(crypto, h->secret, h->work, SPHINX_HEADER_SIZE + h->payload,
			    &out) != h->expected)
			die("a packet got another answer");
	}
}

/* ---- stages; each feeds on its own output, so that nothing can be left out ---- */

static struct {
	uint8_t scalar[32], point[32], expanded[SPHINX_EXPANDED_SIZE];
	uint8_t key[SPHINX_PAYLOAD_KEY_SIZE], beta[SPHINX_STREAM_SIZE], payload[1024];
} s;

static void run_sodium(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TIMES; i++)
		if (crypto_scalarmult(s.point, s.scalar, s.point) < 0)
			die("crypto_scalarmult failed");
}

static void run_first_curve(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TIMES; i++)
		if (x25519(s.point, s.scalar, s.point) < 0)
			die("x25519 failed");
}

static void run_expand(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TIMES; i++)
		sphinx_expand(crypto, s.expanded + 64, s.expanded);
}

static void run_mac(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < FAST_TIMES; i++)
		sphinx_mac(crypto, s.expanded, s.beta, s.beta);
}

static void run_second_curve(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TIMES; i++)
		if (x25519(s.point, s.expanded + SPHINX_OFF_BLINDING, s.point) < 0)
			die("x25519 failed");
}

static void run_payload_key(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TIMES; i++)
		sphinx_key_from_seed(crypto, s.key + 64, s.key);
}

static void run_stream(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < FAST_TIMES; i++)
		aes_ctr_xor(crypto, s.key, s.beta, s.beta, sizeof(s.beta));
}

static void run_lioness(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TIMES; i++)
		lioness_decrypt(s.key, s.payload, sizeof(s.payload));
}

/* ---- report ---- */

static void print_row(const struct bench *b, double whole)
{
	printf("  %-44s %9.0f ns %10.0f cycles %6.1f %%\n", b->name, bench_ns(b), bench_cycles(b),
		100 * bench_ns(b) / whole);
}

int main(void)
{
	static struct hop_case cases[] = {
		{.version = SPHINX_V258, .hops = 3, .payload = 1024},
		{.version = SPHINX_V259, .hops = 3, .payload = 1024},
		{.version = SPHINX_V259, .hops = 3, .payload = 2048},
		{.version = SPHINX_V259, .hops = 1, .payload = 1024},
		{.version = SPHINX_V259, .hops = 3, .payload = 1024, .forged = 1},
	};
	static struct bench rows[] = {
		{.name = "libsodium crypto_scalarmult alone", .run = run_sodium, .times = TIMES},
		{.name = "forward, version 258, 1024 B",
			.run = run_hop,
			.arg = &cases[0],
			.times = TIMES},
		{.name = "forward, version 259, 1024 B",
			.run = run_hop,
			.arg = &cases[1],
			.times = TIMES},
		{.name = "forward, version 259, 2048 B",
			.run = run_hop,
			.arg = &cases[2],
			.times = TIMES},
		{.name = "final, version 259, 1024 B",
			.run = run_hop,
			.arg = &cases[3],
			.times = TIMES},
		{.name = "forged (refused at the MAC)",
			.run = run_hop,
			.arg = &cases[4],
			.times = TIMES},
		{.name = "x * alpha", .run = run_first_curve, .times = TIMES},
		{.name = "HKDF 1 (288 B)", .run = run_expand, .times = TIMES},
		{.name = "HMAC (300 B)", .run = run_mac, .times = FAST_TIMES},
		{.name = "b * alpha", .run = run_second_curve, .times = TIMES},
		{.name = "HKDF 2 (192 B)", .run = run_payload_key, .times = TIMES},
		{.name = "AES-CTR (360 B)", .run = run_stream, .times = FAST_TIMES},
		{.name = "LIONESS (1024 B)", .run = run_lioness, .times = TIMES},
	};
	enum { SODIUM, FIRST_HOP, FORWARD_259 = 2, FIRST_STAGE = 6, ROWS = 13 };
	static const char *const packet_id[] = {
		"forward_258", "forward_259", "forward_259_2048", "final_259", "forged_259"};
	struct error err = {"out of locked memory"};
	double hop, sum = 0, curve;

	_Static_assert(sizeof(rows) / sizeof(*rows) == ROWS, "the table and its names");
	if (crypto_init(0, &err) < 0 || !(crypto = crypto_create()))
		die(err.msg);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		prepare(&cases[i]);
	randombytes_buf(&s, sizeof(s));
	x25519_base(s.point, s.scalar);
	bench_run(rows, ROWS);

	hop = bench_ns(&rows[FORWARD_259]);
	printf("one packet at a time, ipsec-mb manager \"%s\"; median of %u interleaved rounds;\n"
	       "cycles of the TSC; share of a forward hop of version 259 with 1024 B\n\n",
		crypto_manager_name(), bench_rounds());
	print_row(&rows[SODIUM], hop);
	printf("\nunwrap\n");
	for (unsigned i = FIRST_HOP; i < FIRST_STAGE; i++) {
		print_row(&rows[i], hop);
		bench_result(&rows[i], "unwrap.one", "packet=%s", packet_id[i - FIRST_HOP]);
	}
	printf("\nstages\n");
	for (unsigned i = FIRST_STAGE; i < ROWS; i++) {
		print_row(&rows[i], hop);
		sum += bench_ns(&rows[i]);
	}
	printf("  %-44s %9.0f ns %17s %6.1f %%\n", "sum of the stages", sum, "", 100 * sum / hop);
	curve = 2 * bench_ns(&rows[SODIUM]);
	printf("\n  two crypto_scalarmult are %.1f %% of a forward hop; it is %.2f of them, "
	       "%.1f thousand packets a second and core\n",
		100 * curve / hop, hop / bench_ns(&rows[SODIUM]), 1e6 / hop);
	crypto_free(crypto);
	return 0;
}
