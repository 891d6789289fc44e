/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/x25519_mb.h"

#include <errno.h>
#include <sodium.h>
#include "core/secmem.h"
#include "crypto/cpu.h"
#include "crypto/x25519_mb_kernel.h"

/* Slowest first; the last one that is usable is chosen. */
static const struct {
	const struct x25519_kernel *kernel;
	unsigned needs; /* bit per enum cpu_feature */
} kernels[X25519_KERNELS] = {
	[X25519_SCALAR] = {&x25519_kernel_scalar, 0},
	[X25519_AVX2_FMA] = {&x25519_kernel_avx2,
		1u << CPU_AVX2 | 1u << CPU_FMA | 1u << CPU_BMI2 | 1u << CPU_AESNI},
	[X25519_AVX512_IFMA] = {&x25519_kernel_avx512,
		1u << CPU_AVX512F | 1u << CPU_AVX512DQ | 1u << CPU_AVX512BW | 1u << CPU_AVX512VL |
			1u << CPU_AVX512IFMA | 1u << CPU_FMA | 1u << CPU_BMI2},
};

static int cpu_has_all(unsigned needs)
{
	for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++)
		if ((needs >> f & 1) && !cpu_has((enum cpu_feature)f))
			return 0;
	return 1;
}

/* Written by x25519_mb_init and x25519_mb_select only, while no other thread computes. */
static enum x25519_kernel_id current = X25519_SCALAR;
static int usable[X25519_KERNELS] = {[X25519_SCALAR] = 1};

/* --- at start --- */

enum { CHECK_N = 21 }; /* full groups and a part-filled one, whether there are 4 or 8 lanes */

struct check {
	uint8_t scalar[CHECK_N][32], u[CHECK_N][32], want[CHECK_N][32], got[CHECK_N][32];
	uint8_t on_twist[CHECK_N], want_twist[CHECK_N];
	uint8_t *out[CHECK_N];
	const uint8_t *k[CHECK_N], *x[CHECK_N];
};

static int check_pair(const struct x25519_kernel *kernel, struct check *c)
{
	void *ws = sodium_malloc((kernel->pair_size(CHECK_N) + 63) & ~(size_t)63);
	int same;

	if (!ws)
		return 0;
	memset(ws, 0, kernel->pair_size(CHECK_N));
	for (unsigned i = 0; i < CHECK_N; i++)
		if (c->want_twist[i])
			memset(c->want[i], 0, 32);
	kernel->pair_begin(ws, c->x, CHECK_N, c->on_twist);
	kernel->pair_mult(ws, c->out, c->k, NULL, CHECK_N);
	same = memcmp(c->got, c->want, sizeof(c->want)) == 0 &&
	       memcmp(c->on_twist, c->want_twist, sizeof(c->on_twist)) == 0;
	sodium_free(ws);
	return same;
}

/* Random points, one of small order (u = 0) among them, against libsodium. */
static int kernel_agrees(const struct x25519_kernel *kernel)
{
	struct check c;
	int same;

	if (kernel->start)
		kernel->start();
	randombytes_buf(c.scalar, sizeof(c.scalar));
	randombytes_buf(c.u, sizeof(c.u));
	memset(c.u[CHECK_N / 2], 0, 32);
	for (unsigned i = 0; i < CHECK_N; i++) {
		c.out[i] = c.want[i];
		c.k[i] = c.scalar[i];
		c.x[i] = c.u[i];
		c.want_twist[i] = x25519_on_twist(c.u[i]);
	}
	x25519_kernel_scalar.mult(c.out, c.k, c.x, CHECK_N);
	for (unsigned i = 0; i < CHECK_N; i++)
		c.out[i] = c.got[i];
	kernel->mult(c.out, c.k, c.x, CHECK_N);
	same = memcmp(c.got, c.want, sizeof(c.want)) == 0 && check_pair(kernel, &c);

	for (unsigned i = 0; i < CHECK_N; i++)
		crypto_scalarmult_base(c.want[i], c.scalar[i]);
	kernel->base(c.out, c.k, CHECK_N);
	same = same && memcmp(c.got, c.want, sizeof(c.want)) == 0;
	sodium_memzero(&c, sizeof(c));
	return same;
}

int x25519_mb_init(void)
{
	int refused = 0;

	current = X25519_SCALAR;
	for (int id = X25519_SCALAR + 1; id < X25519_KERNELS; id++) {
		usable[id] = 0;
		if (!cpu_has_all(kernels[id].needs))
			continue;
		if (!kernel_agrees(kernels[id].kernel)) {
			refused++;
			continue;
		}
		usable[id] = 1;
		current = (enum x25519_kernel_id)id;
	}
	return refused;
}

enum x25519_kernel_id x25519_mb_kernel(void)
{
	return current;
}

const char *x25519_mb_kernel_name(enum x25519_kernel_id id)
{
	return kernels[id].kernel->name;
}

int x25519_mb_select(enum x25519_kernel_id id)
{
	if (id >= X25519_KERNELS || !usable[id])
		return -ENOTSUP;
	current = id;
	return 0;
}

/* --- the calls --- */

/*
 * The last, part-filled group. Whole call in us, Zen 5 (perf_x25519 prints this table anew):
 *	points		1	2	3	4	8
 *	libsodium	29	58	87	116	232
 *	avx2-fma	37	37	37	37	70
 *	avx512-ifma	26	26	26	26	26
 * So the kernel of doubles leaves a single last point to libsodium (min_fill 2); IFMA takes all.
 */

void x25519_mb(
	uint8_t *const out[], const uint8_t *const scalar[], const uint8_t *const u[], unsigned n)
{
	const struct x25519_kernel *kernel = kernels[current].kernel;
	unsigned rest = n % kernel->lanes;

	if (rest >= kernel->min_fill)
		rest = 0;
	if (n > rest)
		kernel->mult(out, scalar, u, n - rest);
	if (rest)
		x25519_kernel_scalar.mult(out + n - rest, scalar + n - rest, u + n - rest, rest);
}

void x25519_mb_base(uint8_t *const out[], const uint8_t *const scalar[], unsigned n)
{
	if (n)
		kernels[current].kernel->base(out, scalar, n);
}

struct x25519_pair {
	const struct x25519_kernel *kernel;
	unsigned max_points, points;
	void *ws; /* aligned to 64 within the same memory */
};

struct x25519_pair *x25519_pair_create(unsigned max_points)
{
	const struct x25519_kernel *kernel = kernels[current].kernel;
	struct x25519_pair *pair;
	size_t size;

	if (max_points == 0) {
		errno = EINVAL;
		return NULL;
	}
	/* locked memory ends at a page: a multiple of 64 makes its start aligned to 64 */
	size = ((sizeof(*pair) + 63) & ~(size_t)63) +
	       ((kernel->pair_size(max_points) + 63) & ~(size_t)63);
	pair = secmem_alloc(size);
	if (!pair) {
		errno = ENOMEM;
		return NULL;
	}
	pair->kernel = kernel;
	pair->max_points = max_points;
	pair->ws = (void *)(((uintptr_t)(pair + 1) + 63) & ~(uintptr_t)63);
	return pair;
}

void x25519_pair_free(struct x25519_pair *pair)
{
	secmem_free(pair);
}

void x25519_pair_begin(
	struct x25519_pair *pair, const uint8_t *const u[], unsigned n, uint8_t on_twist[])
{
	pair->points = n;
	if (n)
		pair->kernel->pair_begin(pair->ws, u, n, on_twist);
}

void x25519_pair_mult(struct x25519_pair *pair, uint8_t *const out[], const uint8_t *const scalar[],
	const unsigned *index, unsigned n)
{
	if (n)
		pair->kernel->pair_mult(pair->ws, out, scalar, index, n);
}
