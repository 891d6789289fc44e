/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The burst kernels of symmetric cryptography, each beside its one-at-a-time twin, in turns: every
 * kernel that this CPU has, by number of packets; then what crypto_init chose.
 */
#include "bench.h"

#include <sodium.h>
#include <string.h>
#include "crypto/aes_ctr.h"
#include "crypto/aes_ctr_mb.h"
#include "crypto/blake2b_mb.h"
#include "crypto/chacha20_mb.h"
#include "crypto/crypto.h"
#include "crypto/hkdf.h"
#include "crypto/hkdf_mb.h"
#include "crypto/lioness.h"
#include "crypto/lioness_mb.h"

enum { N = 128, PAYLOAD = 1024, RIGHT = PAYLOAD - 32, REPEAT = 8 };

static struct crypto *crypto;
static uint8_t text[N][PAYLOAD], key[N][192], out[N][400];
static uint8_t *text_p[N], *out_p[N];
static const uint8_t *key_p[N];
static const uint8_t *const *const in_p = (const uint8_t *const *)text_p;
static struct sha256_state state[SHA256_MB_LANES];

static void die(const char *what)
{
	fprintf(stderr, "perf_symmetric: %s\n", what);
	exit(1);
}

/* One row of a table: kernels as columns. */
enum { COLUMNS = 5, ROWS = 8 };

struct cell {
	const void *kernel;
	unsigned n;
};

static void run_sha256(void *arg)
{
	const struct cell *c = arg;

	for (unsigned i = 0; i < REPEAT; i++)
		((const struct sha256_mb_kernel *)c->kernel)->compress(state, in_p, 5, c->n);
}

static void run_blake2b(void *arg)
{
	const struct cell *c = arg;

	for (unsigned i = 0; i < REPEAT; i++)
		((const struct blake2b_mb_kernel *)c->kernel)
			->hash(out_p, key_p, in_p, RIGHT, c->n);
}

static void run_chacha20(void *arg)
{
	const struct cell *c = arg;

	for (unsigned i = 0; i < REPEAT; i++)
		((const struct chacha20_mb_kernel *)c->kernel)->xor (text_p, c->n, key_p, 8);
}

struct column {
	const char *name;
	const void *kernel;
	enum mb_isa isa;
};

/* ns for each of `ops_of` things; `sizes` are the rows. */
static void table(const char *title, const struct column *columns, unsigned count,
	const unsigned *sizes, unsigned rows, void (*run)(void *arg), unsigned fixed_ops,
	unsigned ops_of_one)
{
	static struct cell cell[ROWS * COLUMNS];
	static struct bench c[ROWS * COLUMNS];
	unsigned used = 0;

	for (unsigned k = 0; k < count; k++) {
		if (!mb_usable(columns[k].isa))
			continue;
		for (unsigned r = 0; r < rows; r++) {
			cell[used] = (struct cell){columns[k].kernel, sizes[r]};
			c[used] = (struct bench){.name = columns[k].name,
				.run = run,
				.arg = &cell[used],
				.times = (fixed_ops ? fixed_ops : sizes[r]) * ops_of_one * REPEAT};
			used++;
		}
	}
	bench_run(c, used);
	printf("\n%s\n        ", title);
	for (unsigned k = 0; k < used; k += rows)
		printf("%14s", c[k].name);
	for (unsigned r = 0; r < rows; r++) {
		printf("\n  %6u", sizes[r]);
		for (unsigned k = 0; k < used / rows; k++)
			printf("%14.1f", bench_ns(&c[k * rows + r]));
	}
	printf("\n");
}

static void kernels(void)
{
	static const unsigned lanes[] = {1, 2, 3, 4, 8, 16}, eight[] = {1, 2, 3, 4, 8},
			      bytes[] = {6, 64, 256, 512, 992, 2033};
	struct column col[COLUMNS];

	for (unsigned k = 0; k < sha256_mb_kernel_count; k++)
		col[k] = (struct column){sha256_mb_kernels[k].mb.name, &sha256_mb_kernels[k],
			sha256_mb_kernels[k].mb.isa};
	table("SHA-256, ns a block, by number of messages", col, sha256_mb_kernel_count, lanes, 6,
		run_sha256, 0, 5);
	for (unsigned k = 0; k < blake2b_mb_kernel_count; k++)
		col[k] = (struct column){blake2b_mb_kernels[k].mb.name, &blake2b_mb_kernels[k],
			blake2b_mb_kernels[k].mb.isa};
	table("keyed BLAKE2b of 992 bytes, ns a message, by number of messages", col,
		blake2b_mb_kernel_count, eight, 5, run_blake2b, 0, 1);
	for (unsigned k = 0; k < chacha20_mb_kernel_count; k++)
		col[k] = (struct column){chacha20_mb_kernels[k].mb.name, &chacha20_mb_kernels[k],
			chacha20_mb_kernels[k].mb.isa};
	table("ChaCha20, ns a buffer, by bytes", col, chacha20_mb_kernel_count, bytes, 6,
		run_chacha20, 8, 1);
}

/* ---- primitives, over a burst and one at a time ---- */

static struct hkdf_mb expand, seed;
static struct hmac_key salt;
static const char info[97];

static void hkdf1_mb(unsigned n)
{
	hkdf_mb(&expand, out_p, 288, key_p, 32, n);
}

static void hkdf1_one(void)
{
	hkdf_sha256(crypto, &salt, key[0], 32, info, 97, out[0], 288);
}

static void hkdf2_mb(unsigned n)
{
	hkdf_mb(&seed, out_p, 192, key_p, 16, n);
}

static void hkdf2_one(void)
{
	hkdf_sha256(crypto, &salt, key[0], 16, info, 44, out[0], 192);
}

static void hmac_burst(unsigned n)
{
	hmac_mb(out_p, key_p, 16, in_p, 300, n);
}

static void hmac_one(void)
{
	struct hmac_key k;

	hmac_key_init(crypto, &k, key[0], 16);
	hmac_sha256(crypto, &k, text[0], 300, out[0]);
}

static void aes_burst(unsigned n)
{
	aes_ctr_mb_stream(out_p, 23, key_p, n);
}

static void aes_one(void)
{
	aes_ctr_xor(crypto, key[0], text[0], out[0], 360);
}

static void lioness_burst(unsigned n)
{
	lioness_mb_decrypt(key_p, text_p, PAYLOAD, n);
}

static void lioness_one(void)
{
	lioness_decrypt(key[0], text[0], PAYLOAD);
}

struct job {
	void (*burst)(unsigned n);
	void (*one)(void);
	unsigned n; /* 0: one at a time */
};

/* N packets in bursts of n, or REPEAT single ones */
static void run_job(void *arg)
{
	const struct job *j = arg;

	for (unsigned i = 0; j->n && i < N; i += j->n)
		j->burst(j->n);
	for (unsigned i = 0; !j->n && i < REPEAT; i++)
		j->one();
}

static void primitives(void)
{
	static const struct {
		const char *name;
		void (*burst)(unsigned n);
		void (*one)(void);
		double prototype; /* performance.md, on its Zen 3 */
	} row[] = {
		{"HKDF 1 (32 to 288 bytes)", hkdf1_mb, hkdf1_one, 0.91},
		{"HMAC (300 bytes)", hmac_burst, hmac_one, 0.18},
		{"HKDF 2 (16 to 192 bytes)", hkdf2_mb, hkdf2_one, 0.52},
		{"AES-CTR (360 bytes)", aes_burst, aes_one, 0.06},
		{"LIONESS (1024 bytes)", lioness_burst, lioness_one, 1.67},
	};
	enum { PRIMITIVES = sizeof(row) / sizeof(row[0]), SIZES = 6 };
	static const unsigned size[SIZES + 1] = {0, 1, 2, 4, 16, 32, 128};
	static struct job job[PRIMITIVES][SIZES + 1];
	static struct bench c[PRIMITIVES * (SIZES + 1)];
	double sum[SIZES + 1] = {0};

	hmac_key_init(crypto, &salt, NULL, 0);
	hkdf_mb_prepare(&expand, &salt, info, 97);
	hkdf_mb_prepare(&seed, &salt, info, 44);
	for (unsigned r = 0; r < PRIMITIVES; r++) {
		for (unsigned k = 0; k <= SIZES; k++) {
			job[r][k] = (struct job){row[r].burst, row[r].one, size[k]};
			c[r * (SIZES + 1) + k] = (struct bench){
				.run = run_job, .arg = &job[r][k], .times = k ? N : REPEAT};
		}
	}
	bench_run(c, PRIMITIVES * (SIZES + 1));
	printf("\nus a packet in a burst of             one at a time");
	for (unsigned s = 1; s <= SIZES; s++)
		printf("%8u", size[s]);
	printf("   prototype on Zen 3\n");
	for (unsigned r = 0; r < PRIMITIVES; r++) {
		printf("  %-36s", row[r].name);
		for (unsigned s = 0; s <= SIZES; s++) {
			const double us = bench_ns(&c[r * (SIZES + 1) + s]) / 1e3;

			sum[s] += us;
			printf(s ? "%8.3f" : "%13.3f", us);
		}
		printf("%12.2f\n", row[r].prototype);
	}
	printf("  %-36s", "sum");
	for (unsigned s = 0; s <= SIZES; s++)
		printf(s ? "%8.3f" : "%13.3f", sum[s]);
	printf("\n\nchosen for a full group: SHA-256 %s, BLAKE2b %s, ChaCha20 of 992 bytes %s\n",
		sha256_mb_kernel_name(SHA256_MB_LANES), blake2b_mb_kernel_name(BLAKE2B_MB_LANES),
		chacha20_mb_kernel_name(RIGHT));
	printf("chosen for one packet:   SHA-256 %s, BLAKE2b %s\n", sha256_mb_kernel_name(1),
		blake2b_mb_kernel_name(1));
}

int main(void)
{
	struct error err;

	if (crypto_init(0, &err) < 0)
		die(err.msg);
	crypto = crypto_create();
	if (!crypto)
		die("no locked memory; raise `ulimit -l`");
	randombytes_buf(text, sizeof(text));
	randombytes_buf(key, sizeof(key));
	for (unsigned i = 0; i < N; i++) {
		text_p[i] = text[i];
		key_p[i] = key[i];
		out_p[i] = out[i];
	}
	kernels();
	primitives();
	crypto_free(crypto);
	return 0;
}
