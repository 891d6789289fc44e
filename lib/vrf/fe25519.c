/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/fe25519.h"
#include "core/bytes.h"

#include <sodium.h>
#include <string.h>

#define MASK51 ((UINT64_C(1) << 51) - 1)

__extension__ typedef unsigned __int128 fe_wide;

const struct fe25519 fe25519_one = {{1, 0, 0, 0, 0}};

/* 2^((p-1)/4), a square root of -1 */
static const struct fe25519 sqrt_minus_one = {
	{0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};

void fe25519_from_small(struct fe25519 *out, uint32_t n)
{
	*out = (struct fe25519){{n, 0, 0, 0, 0}};
}

void fe25519_from_bytes(struct fe25519 *out, const uint8_t in[32])
{
	uint64_t w[4];

	for (int i = 0; i < 4; i++)
		w[i] = load_le64(in + 8 * i);
	out->limb[0] = w[0] & MASK51;
	out->limb[1] = (w[0] >> 51 | w[1] << 13) & MASK51;
	out->limb[2] = (w[1] >> 38 | w[2] << 26) & MASK51;
	out->limb[3] = (w[2] >> 25 | w[3] << 39) & MASK51;
	out->limb[4] = w[3] >> 12 & MASK51;
}

void fe25519_from_wide(struct fe25519 *out, const uint8_t in[48])
{
	uint8_t low[32], high[32] = {0};
	struct fe25519 nineteen, h;

	for (int i = 0; i < 32; i++)
		low[i] = in[47 - i];
	/* the bits from 255 on: 2^255 = 19 */
	for (int i = 0; i < 17; i++) {
		unsigned pair = (i < 16 ? (unsigned)in[15 - i] << 8 : 0u) | in[16 - i];

		high[i] = (uint8_t)(pair >> 7);
	}
	fe25519_from_bytes(out, low);
	fe25519_from_bytes(&h, high);
	fe25519_from_small(&nineteen, 19);
	fe25519_mul(&h, &h, &nineteen);
	fe25519_add(out, out, &h);
}

/* Limbs below 2^51 + 2^17 again, from limbs below 2^63. */
static void carry(struct fe25519 *a)
{
	uint64_t c = 0;

	for (int i = 0; i < 5; i++) {
		a->limb[i] += c;
		c = a->limb[i] >> 51;
		a->limb[i] &= MASK51;
	}
	a->limb[0] += 19 * c;
}

void fe25519_to_bytes(uint8_t out[32], const struct fe25519 *a)
{
	struct fe25519 t = *a;
	uint64_t q;

	carry(&t);
	carry(&t);
	/* now below 2^255 + 19: q is 1 exactly if t >= p, found as the carry of t + 19 */
	q = (t.limb[0] + 19) >> 51;
	for (int i = 1; i < 5; i++)
		q = (t.limb[i] + q) >> 51;
	t.limb[0] += 19 * q;
	for (int i = 0; i < 4; i++) {
		t.limb[i + 1] += t.limb[i] >> 51;
		t.limb[i] &= MASK51;
	}
	t.limb[4] &= MASK51;
	store_le64(out, t.limb[0] | t.limb[1] << 51);
	store_le64(out + 8, t.limb[1] >> 13 | t.limb[2] << 38);
	store_le64(out + 16, t.limb[2] >> 26 | t.limb[3] << 25);
	store_le64(out + 24, t.limb[3] >> 39 | t.limb[4] << 12);
}

void fe25519_add(struct fe25519 *out, const struct fe25519 *a, const struct fe25519 *b)
{
	for (int i = 0; i < 5; i++)
		out->limb[i] = a->limb[i] + b->limb[i];
	carry(out);
}

void fe25519_sub(struct fe25519 *out, const struct fe25519 *a, const struct fe25519 *b)
{
	/* 8p, so that no limb goes below zero for limbs of b below 2^54 - 152 */
	out->limb[0] = a->limb[0] + 8 * (MASK51 - 18) - b->limb[0];
	for (int i = 1; i < 5; i++)
		out->limb[i] = a->limb[i] + 8 * MASK51 - b->limb[i];
	carry(out);
}

void fe25519_neg(struct fe25519 *out, const struct fe25519 *a)
{
	const struct fe25519 zero = {{0}};

	fe25519_sub(out, &zero, a);
}

void fe25519_mul(struct fe25519 *out, const struct fe25519 *a, const struct fe25519 *b)
{
	fe_wide column[5] = {0}, c = 0;

	/* limbs < 2^54: a column is < 5 * 19 * 2^108 < 2^115 */
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < 5; j++) {
			uint64_t fold = i + j < 5 ? 1 : 19;

			column[(i + j) % 5] += (fe_wide)a->limb[i] * (b->limb[j] * fold);
		}
	for (int i = 0; i < 5; i++) {
		c += column[i];
		out->limb[i] = (uint64_t)c & MASK51;
		c >>= 51;
	}
	/* c < 2^64, so 19c takes two steps into limbs 0 and 1 */
	c = c * 19 + out->limb[0];
	out->limb[0] = (uint64_t)c & MASK51;
	out->limb[1] += (uint64_t)(c >> 51);
	carry(out);
}

/* a^e for an exponent that everyone knows, little-endian. */
static void power(struct fe25519 *out, const struct fe25519 *a, const uint8_t e[32])
{
	struct fe25519 r = fe25519_one, base = *a;

	for (int bit = 254; bit >= 0; bit--) {
		fe25519_mul(&r, &r, &r);
		if (e[bit / 8] >> bit % 8 & 1)
			fe25519_mul(&r, &r, &base);
	}
	*out = r;
}

void fe25519_invert(struct fe25519 *out, const struct fe25519 *a)
{
	uint8_t e[32]; /* p - 2 */

	memset(e, 0xff, sizeof(e));
	e[0] = 0xeb;
	e[31] = 0x7f;
	power(out, a, e);
}

bool fe25519_sqrt(struct fe25519 *out, const struct fe25519 *a)
{
	uint8_t e[32]; /* (p + 3) / 8 */
	struct fe25519 r, check;

	memset(e, 0xff, sizeof(e));
	e[0] = 0xfe;
	e[31] = 0x0f;
	power(&r, a, e);
	fe25519_mul(&check, &r, &r);
	if (!fe25519_equal(&check, a)) {
		fe25519_mul(&r, &r, &sqrt_minus_one);
		fe25519_mul(&check, &r, &r);
	}
	*out = r;
	return fe25519_equal(&check, a);
}

unsigned fe25519_sgn0(const struct fe25519 *a)
{
	uint8_t s[32];

	fe25519_to_bytes(s, a);
	return s[0] & 1;
}

bool fe25519_equal(const struct fe25519 *a, const struct fe25519 *b)
{
	uint8_t s[32], t[32];

	fe25519_to_bytes(s, a);
	fe25519_to_bytes(t, b);
	return sodium_memcmp(s, t, sizeof(s)) == 0;
}
