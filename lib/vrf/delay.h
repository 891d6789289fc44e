/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_DELAY_H
#define BETANET_VRF_DELAY_H

#include <stdint.h>
#include "vrf/ecvrf.h"

/*
 * How long a packet stays: mean times an exponential variate, drawn for each packet by a PRF whose
 * key comes from the VRF of the epoch. Whoever knows the epoch's beta and the packet's shared
 * secret (its sender does) computes the same bits; nobody else can tell the delay.
 *
 *	K_epoch = BLAKE2b-256(key = beta, "bnmix-delay" ‖ epoch u64be)
 *	dtag    = first 16 bytes of HChaCha20(key = Sphinx shared secret s, "bnmix-dtag-v1" ‖ 00 00
 *00) r       = HChaCha20(K_epoch, dtag) draw    = LE64(r[0..8]), tie = LE64(r[8..16]) delay   =
 *floor(mean * delay_exp(draw) / 2^58)
 *
 * HChaCha20 under a raw X25519 result is the construction of libsodium's crypto_box_curve25519x-
 * chacha20poly1305 key; the label keeps dtag apart from everything that HKDF makes of s (the replay
 * tag among them). A keyed BLAKE2b would cost as much as all the rest together.
 *
 * Everything here runs in a time that does not depend on its data. dtags, shared secrets, keys and
 * draws are secret: the caller wipes them.
 */
enum {
	DELAY_KEY_SIZE = 32,
	DELAY_TAG_SIZE = 16,
	DELAY_SHARED_SIZE = 32,
	DELAY_CAP_MEANS = 20, /* no delay is longer than this many means */
	DELAY_ONE_BITS = 58,  /* delay_exp's unit is 2^-58 of a mean */
};

#define DELAY_ONE (UINT64_C(1) << DELAY_ONE_BITS)

/* The largest mean that the functions below take, in any unit: 18 minutes in nanoseconds. */
#define DELAY_MEAN_MAX (UINT64_C(1) << 40)

/*
 * An exponential variate of mean 1 under the condition that it is at most 20, in 2^-58, for a
 * uniform draw: 1..20 * 2^58. It never rises as the draw rises.
 *
 *	v = T + floor(draw * (2^64 - T) / 2^64), T = ceil(2^64 * e^-20)
 *	v = (1 + f) * 2^(63 - n), f cut to 44 bits
 *	E = (n + 1) * ln 2 - ln(1 + f)
 *
 * The cut is made by rescaling the draw, so no value near 20 is likelier than its neighbours. The
 * logarithm is the fixed-point polynomial in delay.c, whose integers are its definition; the error
 * is below 2^-53 (tests/functional/delay_reference.py shows it).
 */
uint64_t delay_exp(uint64_t draw);

/* floor(mean * exp / 2^58) in the unit of `mean` (nanoseconds for an auditor, TSC cycles for a
 * worker); mean <= DELAY_MEAN_MAX. At most 20 * mean. */
static inline uint64_t delay_scale(uint64_t mean, uint64_t exp)
{
	__extension__ typedef unsigned __int128 wide;

	return (uint64_t)((wide)mean * exp >> DELAY_ONE_BITS);
}

void delay_epoch_key(
	uint8_t key[DELAY_KEY_SIZE], const uint8_t beta[ECVRF_OUTPUT_SIZE], uint64_t epoch);

/* What the PRF says of one packet. */
struct delay_draw {
	uint64_t exp; /* delay_exp of the draw */
	uint64_t tie; /* order among packets of one wheel tick */
};

/* One at a time: the reference. */
void delay_tag(uint8_t tag[DELAY_TAG_SIZE], const uint8_t shared[DELAY_SHARED_SIZE]);
void delay_draw(const uint8_t key[DELAY_KEY_SIZE], const uint8_t tag[DELAY_TAG_SIZE],
	struct delay_draw *out);

/*
 * The same for n packets, four at a time. shared[i] points at 32 bytes, tags and out have n
 * elements; any n. What they keep on their stack is wiped once per call, not per packet.
 */
void delay_tag_burst(uint8_t (*tags)[DELAY_TAG_SIZE], const uint8_t *const *shared, unsigned n);
void delay_draw_burst(const uint8_t key[DELAY_KEY_SIZE], const uint8_t (*tags)[DELAY_TAG_SIZE],
	unsigned n, struct delay_draw *out);

/* ---- which delay applies */

enum delay_mode {
	DELAY_VRF,    /* the relay's own (default) */
	DELAY_SENDER, /* the one in the header, as in Nym and Loopix */
	DELAY_SUM,    /* both */
	DELAY_NONE,   /* none: for labs only, said loudly at start */
};

#define DELAY_SENDER_MIN_NS UINT64_C(1000000)     /* 1 ms */
#define DELAY_SENDER_MAX_NS UINT64_C(10000000000) /* 10 s */

/* "vrf", "sender", "sum", "none". 0, or -EINVAL. The name: "?" outside the enum. */
int delay_mode_parse(enum delay_mode *mode, const char *text);
const char *delay_mode_name(enum delay_mode mode);

/* Nanoseconds. The sender's delay is brought into DELAY_SENDER_MIN_NS..MAX_NS in the modes that use
 * it. vrf_ns is that of delay_scale. */
uint64_t delay_total(enum delay_mode mode, uint64_t vrf_ns, uint64_t sender_ns);

/* The longest that delay_total can give for a mean in nanoseconds: the wheel's horizon. */
uint64_t delay_longest(enum delay_mode mode, uint64_t mean_ns);

#endif
