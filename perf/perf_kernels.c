/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every vector kernel beside the one-packet code that it is tested against (its oracle), libsodium
 * and OpenSSL where the library is there, in turns, after a check that all compute the same. A
 * figure is for one packet of a burst of 128; contenders without bursts do one after the other.
 */
#include "bench.h"

#include <sodium.h>
#include "crypto/aes_ctr.h"
#include "crypto/aes_ctr_mb.h"
#include "crypto/blake2b_mb.h"
#include "crypto/chacha20_mb.h"
#include "crypto/crypto.h"
#include "crypto/hkdf.h"
#include "crypto/hkdf_mb.h"
#include "crypto/lioness.h"
#include "crypto/lioness_mb.h"
#include "crypto/sha256_mb.h"
#include "crypto/x25519_mb.h"
#include "crypto/x25519_mb_kernel.h"
#include "openssl.h"

enum {
	N = 128,
	FEW = 8, /* packets in a round of a slow contender */
	PAYLOAD = 1024,
	RIGHT = PAYLOAD - 32,
	BETA = 300,
	STREAM = 368,
	/* five blocks of SHA-256 with the padding */
	SHA_BLOCKS = 5,
	SHA_MESSAGE = 64 * SHA_BLOCKS - 9,
	WIDEST = PAYLOAD,
	MAX_ROWS = 8,
};

static struct crypto *crypto;
static struct openssl ssl;
static bool have_ssl;

/* inputs, one set for all subjects; `work` is what runs in place */
static uint8_t scalar[N][32], point[N][32], key[N][192], text[N][WIDEST],
	sha_text[N][64 * SHA_BLOCKS];
static uint8_t work[N][WIDEST], out[N][WIDEST];
static const uint8_t *scalar_p[N], *point_p[N], *key_p[N], *text_p[N], *sha_p[N];
static uint8_t *work_p[N], *out_p[N];

static struct hkdf_mb hkdf_expand, hkdf_seed;
static struct hmac_key salt;
static const char info[97] = "a fixed text in the place of Sphinx' info";
static void *ssl_aes, *ssl_chacha, *ssl_mine;

static void die(const char *what)
{
	fprintf(stderr, "perf_kernels: %s\n", what);
	exit(1);
}

struct contender {
	const char *name, *role; /* vector, oracle, libsodium, openssl */
	void (*run)(const struct contender *c);
	unsigned n; /* packets in a round */
	const void *kernel;
	enum x25519_kernel_id curve;
	struct x25519_pair *pair;
	bool other_output; /* does the same work, but its result is not comparable */
};

static void run_row(void *arg)
{
	const struct contender *c = arg;

	c->run(c);
}

/* Results are in out, or in `work` where the subject works in place. */
static void check(
	const char *subject, const struct contender *c, unsigned count, size_t len, bool in_place)
{
	static uint8_t want[N][WIDEST];

	for (unsigned i = 0; i < count; i++) {
		memcpy(work, text, sizeof(work));
		memset(out, 0, sizeof(out));
		c[i].run(&c[i]);
		if (i == 0)
			memcpy(want, in_place ? work : out, sizeof(want));
		for (unsigned k = 0; k < (c[i].n < c[0].n ? c[i].n : c[0].n); k++)
			if (!c[i].other_output &&
				memcmp(want[k], in_place ? work[k] : out[k], len) != 0) {
				fprintf(stderr, "perf_kernels: %s: %s and %s differ\n", subject,
					c[0].name, c[i].name);
				exit(1);
			}
	}
}

/* c[0] is the oracle. */
static void subject(const char *title, const char *id, struct contender *c, unsigned count,
	size_t len, bool in_place)
{
	static struct bench rows[MAX_ROWS];

	check(title, c, count, len, in_place);
	for (unsigned i = 0; i < count; i++)
		rows[i] = (struct bench){
			.name = c[i].name, .run = run_row, .arg = &c[i], .times = c[i].n};
	bench_run(rows, count);
	printf("\n%s\n", title);
	for (unsigned i = 0; i < count; i++) {
		printf("  %-14s %-10s %10.1f ns %10.0f cycles %8.2fx\n", c[i].name, c[i].role,
			bench_ns(&rows[i]), bench_cycles(&rows[i]),
			bench_ns(&rows[0]) / bench_ns(&rows[i]));
		bench_result(&rows[i], "kernel", "subject=%s,kernel=%s,role=%s", id, c[i].name,
			c[i].role);
	}
}

/* ---- X25519 */

static void run_ladder(const struct contender *c)
{
	((const struct x25519_kernel *)c->kernel)->mult(out_p, scalar_p, point_p, c->n);
}

static void run_pair(const struct contender *c)
{
	uint8_t on_twist[N];

	x25519_pair_begin(c->pair, point_p, c->n, on_twist);
	x25519_pair_mult(c->pair, out_p, scalar_p, NULL, c->n);
	x25519_pair_mult(c->pair, out_p, scalar_p, NULL, c->n);
}

static void run_ladder_twice(const struct contender *c)
{
	run_ladder(c);
	run_ladder(c);
}

static void run_ssl_x25519(const struct contender *c)
{
	size_t len = 32;

	for (unsigned i = 0; i < c->n; i++) {
		void *peer = ssl.public_key(OPENSSL_X25519, NULL, point[i], 32);

		if (i == 0 || !ssl_mine) {
			ssl_mine = ssl.pkey_ctx(
				ssl.private_key(OPENSSL_X25519, NULL, scalar[0], 32), NULL);
			ssl.derive_init(ssl_mine);
		}
		if (ssl.derive_set_peer(ssl_mine, peer) <= 0 ||
			ssl.derive(ssl_mine, out[i], &len) <= 0)
			die("OpenSSL's X25519 failed");
		ssl.free_key(peer);
	}
}

static void curve(void)
{
	static const struct x25519_kernel *const kernel[] = {
		&x25519_kernel_scalar, &x25519_kernel_avx2, &x25519_kernel_avx512};
	const enum x25519_kernel_id best = x25519_mb_kernel();
	struct contender ladder[MAX_ROWS] = {{"libsodium", "oracle", run_ladder, FEW, kernel[0], 0,
		NULL, false}},
			 pair[MAX_ROWS] = {{"libsodium", "oracle", run_ladder_twice, FEW, kernel[0],
				 0, NULL, false}};
	unsigned n = 1;

	for (int id = X25519_AVX2_FMA; id < X25519_KERNELS; id++) {
		if (x25519_mb_select((enum x25519_kernel_id)id) < 0)
			continue;
		ladder[n] = (struct contender){.name = kernel[id]->name,
			.role = "vector",
			.run = run_ladder,
			.n = N,
			.kernel = kernel[id]};
		pair[n] = ladder[n];
		pair[n].run = run_pair;
		pair[n].pair = x25519_pair_create(N);
		if (!pair[n++].pair)
			die("no locked memory for a pair");
	}
	x25519_mb_select(best);
	if (have_ssl)
		ladder[n] = (struct contender){
			.name = "openssl", .role = "openssl", .run = run_ssl_x25519, .n = FEW};
	subject("X25519, one multiplication", "x25519", ladder, n + have_ssl, 32, false);
	subject("X25519, both multiplications of a hop: the pair against two ladders",
		"x25519_pair", pair, n, 32, false);
	for (unsigned i = 1; i < n; i++)
		x25519_pair_free(pair[i].pair);
}

/* ---- SHA-256, HMAC, HKDF */

static void run_sha256(const struct contender *c)
{
	struct sha256_state st[SHA256_MB_LANES];

	for (unsigned i = 0; i < c->n; i += SHA256_MB_LANES) {
		const unsigned n = c->n - i < SHA256_MB_LANES ? c->n - i : SHA256_MB_LANES;

		for (unsigned k = 0; k < n; k++)
			st[k] = sha256_initial;
		((const struct sha256_mb_kernel *)c->kernel)
			->compress(st, sha_p + i, SHA_BLOCKS, n);
		for (unsigned k = 0; k < n; k++)
			sha256_state_bytes(out[i + k], &st[k]);
	}
}

static void run_sodium_sha256(const struct contender *c)
{
	for (unsigned i = 0; i < c->n; i++)
		crypto_hash_sha256(out[i], sha_text[i], SHA_MESSAGE);
}

static void run_ssl_sha256(const struct contender *c)
{
	for (unsigned i = 0; i < c->n; i++)
		ssl.sha256(sha_text[i], SHA_MESSAGE, out[i]);
}

static void run_hmac_mb(const struct contender *c)
{
	hmac_mb(out_p, key_p, 16, text_p, BETA, c->n);
}

static void run_hmac_one(const struct contender *c)
{
	struct hmac_key k;

	for (unsigned i = 0; i < c->n; i++) {
		hmac_key_init(crypto, &k, key[i], 16);
		hmac_sha256(crypto, &k, text[i], BETA, out[i]);
	}
}

static void run_sodium_hmac(const struct contender *c)
{
	crypto_auth_hmacsha256_state st;

	for (unsigned i = 0; i < c->n; i++) {
		crypto_auth_hmacsha256_init(&st, key[i], 16);
		crypto_auth_hmacsha256_update(&st, text[i], BETA);
		crypto_auth_hmacsha256_final(&st, out[i]);
	}
}

static void run_ssl_hmac(const struct contender *c)
{
	unsigned len;

	for (unsigned i = 0; i < c->n; i++)
		ssl.hmac(ssl.md_sha256(), key[i], 16, text[i], BETA, out[i], &len);
}

static void run_hkdf1_mb(const struct contender *c)
{
	hkdf_mb(&hkdf_expand, out_p, 288, key_p, 32, c->n);
}

static void run_hkdf1_one(const struct contender *c)
{
	for (unsigned i = 0; i < c->n; i++)
		hkdf_sha256(crypto, &salt, key[i], 32, info, 97, out[i], 288);
}

static void run_hkdf2_mb(const struct contender *c)
{
	hkdf_mb(&hkdf_seed, out_p, 192, key_p, 16, c->n);
}

static void run_hkdf2_one(const struct contender *c)
{
	for (unsigned i = 0; i < c->n; i++)
		hkdf_sha256(crypto, &salt, key[i], 16, info, 44, out[i], 192);
}

static void hashes(void)
{
	struct contender sha[MAX_ROWS],
		hmac[] =
			{
				{"ipsec-mb", "oracle", run_hmac_one, N, NULL, 0, NULL, false},
				{"burst", "vector", run_hmac_mb, N, NULL, 0, NULL, false},
				{"libsodium", "libsodium", run_sodium_hmac, N, NULL, 0, NULL,
					false},
				{"openssl", "openssl", run_ssl_hmac, N, NULL, 0, NULL, false},
			},
		hkdf1[] = {{"ipsec-mb", "oracle", run_hkdf1_one, N, NULL, 0, NULL, false},
			{"burst", "vector", run_hkdf1_mb, N, NULL, 0, NULL, false}},
		hkdf2[] = {{"ipsec-mb", "oracle", run_hkdf2_one, N, NULL, 0, NULL, false},
			{"burst", "vector", run_hkdf2_mb, N, NULL, 0, NULL, false}};
	unsigned n = 0;

	for (unsigned k = 0; k < sha256_mb_kernel_count; k++)
		if (mb_usable(sha256_mb_kernels[k].mb.isa))
			sha[n++] = (struct contender){.name = sha256_mb_kernels[k].mb.name,
				.role = k ? "vector" : "oracle",
				.run = run_sha256,
				.n = N,
				.kernel = &sha256_mb_kernels[k]};
	sha[n++] = (struct contender){
		.name = "libsodium", .role = "libsodium", .run = run_sodium_sha256, .n = N};
	if (have_ssl)
		sha[n++] = (struct contender){
			.name = "openssl", .role = "openssl", .run = run_ssl_sha256, .n = N};
	subject("SHA-256, a message of five blocks", "sha256", sha, n, 32, false);
	subject("HMAC-SHA-256 of 300 bytes", "hmac", hmac, 3 + have_ssl, 32, false);
	subject("HKDF, 32 to 288 bytes", "hkdf1", hkdf1, 2, 288, false);
	subject("HKDF, 16 to 192 bytes", "hkdf2", hkdf2, 2, 192, false);
}

/* ---- ciphers */

static void run_aes_mb(const struct contender *c)
{
	aes_ctr_mb_stream(out_p, STREAM / AES_CTR_MB_BLOCK, key_p, c->n);
}

static void run_aes_one(const struct contender *c)
{
	static const uint8_t zeros[STREAM];

	for (unsigned i = 0; i < c->n; i++)
		aes_ctr_xor(crypto, key[i], zeros, out[i], STREAM);
}

static void run_ssl_aes(const struct contender *c)
{
	static const uint8_t zeros[STREAM];
	int len;

	for (unsigned i = 0; i < c->n; i++)
		if (ssl.cipher_init(ssl_aes, ssl.aes_128_ctr(), NULL, key[i], zeros) <= 0 ||
			ssl.cipher_update(ssl_aes, out[i], &len, zeros, STREAM) <= 0)
			die("OpenSSL's AES failed");
}

static void run_chacha20(const struct contender *c)
{
	((const struct chacha20_mb_kernel *)c->kernel)->xor (work_p, RIGHT, key_p, c->n);
}

static void run_ssl_chacha20(const struct contender *c)
{
	static const uint8_t zeros[16];
	int len;

	for (unsigned i = 0; i < c->n; i++)
		if (ssl.cipher_init(ssl_chacha, ssl.chacha20(), NULL, key[i], zeros) <= 0 ||
			ssl.cipher_update(ssl_chacha, work[i], &len, work[i], RIGHT) <= 0)
			die("OpenSSL's ChaCha20 failed");
}

static void run_blake2b(const struct contender *c)
{
	((const struct blake2b_mb_kernel *)c->kernel)->hash(out_p, key_p, text_p, RIGHT, c->n);
}

/* without a key: as many blocks as with one */
static void run_ssl_blake2b(const struct contender *c)
{
	static uint8_t message[128 + RIGHT], md[64];
	unsigned len;

	for (unsigned i = 0; i < c->n; i++)
		ssl.digest(message, sizeof(message), md, &len, ssl.md_blake2b(), NULL);
}

static void run_lioness_mb(const struct contender *c)
{
	lioness_mb_decrypt(key_p, work_p, PAYLOAD, c->n);
}

static void run_lioness_one(const struct contender *c)
{
	for (unsigned i = 0; i < c->n; i++)
		lioness_decrypt(key[i], work[i], PAYLOAD);
}

static void ciphers(void)
{
	struct contender aes[] = {{"ipsec-mb", "oracle", run_aes_one, N, NULL, 0, NULL, false},
		{"aes-ni", "vector", run_aes_mb, N, NULL, 0, NULL, false},
		{"openssl", "openssl", run_ssl_aes, N, NULL, 0, NULL, false}},
			 lioness[] = {{"libsodium", "oracle", run_lioness_one, N, NULL, 0, NULL,
					      false},
				 {"burst", "vector", run_lioness_mb, N, NULL, 0, NULL, false}},
			 chacha[MAX_ROWS], blake[MAX_ROWS];
	unsigned n = 0;

	subject("AES-128-CTR, 368 bytes of key stream", "aes_ctr", aes, 2 + have_ssl, STREAM,
		false);
	for (unsigned k = 0; k < chacha20_mb_kernel_count; k++)
		if (mb_usable(chacha20_mb_kernels[k].mb.isa))
			chacha[n++] = (struct contender){.name = chacha20_mb_kernels[k].mb.name,
				.role = k ? "vector" : "oracle",
				.run = run_chacha20,
				.n = N,
				.kernel = &chacha20_mb_kernels[k]};
	if (have_ssl)
		chacha[n++] = (struct contender){
			.name = "openssl", .role = "openssl", .run = run_ssl_chacha20, .n = N};
	subject("ChaCha20 of 992 bytes", "chacha20", chacha, n, RIGHT, true);
	n = 0;
	for (unsigned k = 0; k < blake2b_mb_kernel_count; k++)
		if (mb_usable(blake2b_mb_kernels[k].mb.isa))
			blake[n++] = (struct contender){.name = blake2b_mb_kernels[k].mb.name,
				.role = k ? "vector" : "oracle",
				.run = run_blake2b,
				.n = N,
				.kernel = &blake2b_mb_kernels[k]};
	if (have_ssl)
		blake[n++] = (struct contender){.name = "openssl",
			.role = "openssl",
			.run = run_ssl_blake2b,
			.n = N,
			.other_output = true};
	subject("BLAKE2b of 992 bytes with a key", "blake2b", blake, n, 32, false);
	subject("LIONESS of 1024 bytes", "lioness", lioness, 2, PAYLOAD, true);
}

static void make_inputs(void)
{
	randombytes_buf(scalar[0], 32);
	randombytes_buf(key, sizeof(key));
	randombytes_buf(text, sizeof(text));
	for (unsigned i = 0; i < N; i++) {
		uint8_t secret[32];

		randombytes_buf(secret, sizeof(secret));
		crypto_scalarmult_base(point[i], secret);
		memcpy(scalar[i], scalar[0], 32);
		/* FIPS 180-4: a one, zeros, the length in bits */
		randombytes_buf(sha_text[i], SHA_MESSAGE);
		sha_text[i][SHA_MESSAGE] = 0x80;
		sha_text[i][sizeof(sha_text[i]) - 2] = (uint8_t)(8 * SHA_MESSAGE >> 8);
		sha_text[i][sizeof(sha_text[i]) - 1] = (uint8_t)(8 * SHA_MESSAGE & 0xff);
		scalar_p[i] = scalar[i];
		point_p[i] = point[i];
		key_p[i] = key[i];
		text_p[i] = text[i];
		sha_p[i] = sha_text[i];
		work_p[i] = work[i];
		out_p[i] = out[i];
	}
	hmac_key_init(crypto, &salt, NULL, 0);
	if (hkdf_mb_prepare(&hkdf_expand, &salt, info, 97) < 0 ||
		hkdf_mb_prepare(&hkdf_seed, &salt, info, 44) < 0)
		die("HKDF could not be prepared");
}

int main(void)
{
	struct error err;

	if (crypto_init(0, &err) < 0)
		die(err.msg);
	crypto = crypto_create();
	if (!crypto)
		die("no locked memory; raise `ulimit -l`");
	make_inputs();
	have_ssl = openssl_load(&ssl) == 0;
	if (have_ssl) {
		ssl_aes = ssl.cipher_new();
		ssl_chacha = ssl.cipher_new();
		printf("compared with %s, libsodium %s\n", ssl.version(0), sodium_version_string());
	} else {
		printf("libcrypto.so.3 is not here: not compared with OpenSSL\n");
		result_write(&(struct result){.name = "kernel",
			.unit = "ns",
			.better = RESULT_LOWER,
			.labels = "subject=all,kernel=openssl,role=openssl",
			.note = "not compared with OpenSSL: libcrypto.so.3 is not here"});
	}
	curve();
	hashes();
	ciphers();
	crypto_free(crypto);
	return 0;
}
