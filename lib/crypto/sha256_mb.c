/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <string.h>
#include "core/bytes.h"
#include "crypto/sha256_mb.h"

const struct sha256_state sha256_initial = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};

const uint32_t sha256_k[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

const struct sha256_mb_kernel sha256_mb_kernels[] = {
	{{"c", MB_BASE}, sha256_mb_c},
	{{"sse41 x4", MB_SSE41}, sha256_mb_sse41},
	{{"sha-ni x4", MB_SHANI}, sha256_mb_shani},
	{{"avx2 x8", MB_AVX2}, sha256_mb_avx2},
	{{"avx512 x16", MB_AVX512}, sha256_mb_avx512},
};
const unsigned sha256_mb_kernel_count = sizeof(sha256_mb_kernels) / sizeof(sha256_mb_kernels[0]);

/* Kernel for 1, 2, … messages. Written by sha256_mb_init alone. */
static uint8_t chosen[SHA256_MB_LANES];

/* ---- plain C ---- */

static inline uint32_t ror32(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static void one_block(struct sha256_state *st, const uint8_t *msg)
{
	uint32_t w[64], s[8];

	for (unsigned i = 0; i < 16; i++)
		w[i] = load_be32(msg + 4 * i);
	for (unsigned i = 16; i < 64; i++) {
		uint32_t x = w[i - 15], y = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (ror32(x, 7) ^ ror32(x, 18) ^ x >> 3) +
		       (ror32(y, 17) ^ ror32(y, 19) ^ y >> 10);
	}
	memcpy(s, st->h, sizeof(s));
	for (unsigned i = 0; i < 64; i++) {
		uint32_t a = s[0], e = s[4];
		uint32_t t = s[7] + sha256_k[i] + w[i] +
			     (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) +
			     ((e & s[5]) ^ (~e & s[6]));
		uint32_t u = (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) +
			     ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t;
		s[0] = t + u;
	}
	for (unsigned i = 0; i < 8; i++)
		st->h[i] += s[i];
	sodium_memzero(w, sizeof(w));
	sodium_memzero(s, sizeof(s));
}

void sha256_mb_c(struct sha256_state st[], const uint8_t *const msg[], size_t blocks, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (size_t b = 0; b < blocks; b++)
			one_block(&st[i], msg[i] + 64 * b);
}

void sha256_state_bytes(uint8_t out[32], const struct sha256_state *st)
{
	for (unsigned i = 0; i < 8; i++) {
		uint32_t v = __builtin_bswap32(st->h[i]);

		memcpy(out + 4 * i, &v, 4);
	}
}

/* ---- choice ---- */

void sha256_mb_compress(
	struct sha256_state st[], const uint8_t *const msg[], size_t blocks, unsigned n)
{
	if (n)
		sha256_mb_kernels[chosen[n - 1]].compress(st, msg, blocks, n);
}

const char *sha256_mb_kernel_name(unsigned n)
{
	return sha256_mb_kernels[chosen[n - 1]].mb.name;
}

enum { TRIAL_BLOCKS = 2 };

struct trial {
	struct sha256_state st[SHA256_MB_LANES];
	const uint8_t *msg[SHA256_MB_LANES];
	uint8_t text[SHA256_MB_LANES][64 * TRIAL_BLOCKS];
};

static const struct mb_kernel *kernel(unsigned k)
{
	return &sha256_mb_kernels[k].mb;
}

static void run(void *trial, unsigned k, unsigned class)
{
	struct trial *t = trial;

	sha256_mb_kernels[k].compress(t->st, t->msg, TRIAL_BLOCKS, class + 1);
}

static bool agrees(void *trial, unsigned k, unsigned class)
{
	struct trial *t = trial;
	struct sha256_state want[SHA256_MB_LANES];

	memcpy(want, t->st, sizeof(want));
	sha256_mb_c(want, t->msg, TRIAL_BLOCKS, class + 1);
	run(t, k, class);
	return memcmp(want, t->st, sizeof(want)) == 0;
}

int sha256_mb_init(struct error *err)
{
	const struct mb_race race = {
		"SHA-256", sha256_mb_kernel_count, SHA256_MB_LANES, kernel, run, agrees};
	struct trial t;

	randombytes_buf(t.text, sizeof(t.text));
	for (unsigned i = 0; i < SHA256_MB_LANES; i++) {
		t.st[i] = sha256_initial;
		t.msg[i] = t.text[i];
	}
	return mb_race(&race, &t, chosen, err);
}
