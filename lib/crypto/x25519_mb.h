/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_X25519_MB_H
#define BETANET_CRYPTO_X25519_MB_H

#include <stddef.h>
#include <stdint.h>

/*
 * X25519 (RFC 7748) for a burst of packets.
 *
 * All byte strings are 32 bytes, little endian. Scalars are clamped inside; bit 255 of u is masked;
 * u >= p is accepted and means u mod p. A u of small order gives 32 zero bytes: the caller compares
 * with zero where that matters. No call fails, and none allocates. Time and addresses depend on n
 * and (pair only) on which points lie on the twist; never on a scalar or on a result.
 *
 * Elements of the pointer arrays may repeat (one scalar for the whole burst: n times the same
 * pointer). out[i] may be the same memory as scalar[i] or u[i]; any other overlap is not allowed.
 *
 * All calls are thread safe after x25519_mb_init(), except that a struct x25519_pair belongs to one
 * thread at a time. They use up to 64 KiB of stack and wipe what they used.
 */

enum x25519_kernel_id {
	X25519_SCALAR,      /* libsodium, one at a time */
	X25519_AVX2_FMA,    /* 4 lanes of doubles */
	X25519_AVX512_IFMA, /* 8 lanes of 52-bit integers */
	X25519_KERNELS
};

/*
 * Chooses the fastest kernel that the CPU has, that cpu_limit_simd() allows (crypto/cpu.h) and that
 * agrees with libsodium on random inputs; one that differs is not used. Start libsodium first
 * (sodium_init). Called by crypto_init, before any thread computes; may be called again, after the
 * limit changed, while none does. Returns the number of kernels that the CPU has and that were
 * refused because they differ: 0 on a sound machine.
 */
int x25519_mb_init(void);

/* The kernel in use; before x25519_mb_init, X25519_SCALAR. */
enum x25519_kernel_id x25519_mb_kernel(void);
const char *x25519_mb_kernel_name(enum x25519_kernel_id id);

/*
 * For tests and measurements: uses this kernel from now on. 0; -ENOTSUP when the CPU lacks it, it
 * was refused, or the limit forbade it when x25519_mb_init was called.
 */
int x25519_mb_select(enum x25519_kernel_id id);

/*
 * out[i] = X25519(scalar[i], u[i]) for i < n; any n. Lanes are filled in the order given; a last
 * group that is filled too little to pay goes to libsodium (see the table in x25519_mb.c).
 */
void x25519_mb(
	uint8_t *const out[], const uint8_t *const scalar[], const uint8_t *const u[], unsigned n);

/* out[i] = X25519(scalar[i], 9) for i < n: public keys. */
void x25519_mb_base(uint8_t *const out[], const uint8_t *const scalar[], unsigned n);

/*
 * The pair kernel: several multiplications of the same points, the doublings paid once. A relay
 * multiplies each alpha by its own key and then by a factor which the first result decides.
 * It costs less than two ladders where more than about a third of the packets take the second
 * multiplication; perf/perf_x25519 measures both.
 *
 * A point on the twist is only flagged: its results are 32 zero bytes. No honest sender makes one.
 */
struct x25519_pair;

/*
 * A workspace for up to `max_points` (at least 1) points, in locked memory; about 3 KiB a point.
 * NULL with errno ENOMEM when that much memory cannot be locked, EINVAL for 0 points. It keeps the
 * kernel that was in use when it was made.
 */
struct x25519_pair *x25519_pair_create(unsigned max_points);

/* Wipes and frees; NULL is fine. */
void x25519_pair_free(struct x25519_pair *pair);

/*
 * Prepares the n <= max_points points u[0..n-1], which replace those of the call before; u is not
 * needed afterwards. on_twist[i] becomes 1 when u[i] is on the twist, else 0. What depends on
 * scalars is wiped by x25519_pair_mult itself; what is kept here depends on u alone.
 */
void x25519_pair_begin(
	struct x25519_pair *pair, const uint8_t *const u[], unsigned n, uint8_t on_twist[]);

/*
 * out[i] = X25519(scalar[i], point index[i]) for i < n, where `index` holds positions in the last
 * x25519_pair_begin, in any order, and NULL means 0, 1, 2, ... Points that are left out cost
 * nothing: the tables of those that are named are packed into full lanes (n may be less than, but
 * not more than, the number of points prepared).
 */
void x25519_pair_mult(struct x25519_pair *pair, uint8_t *const out[], const uint8_t *const scalar[],
	const unsigned *index, unsigned n);

#endif
