/* SPDX-License-Identifier: BSD-3-Clause */
#include "vrf/delay.h"
#include "core/bytes.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <tmmintrin.h>

__extension__ typedef unsigned __int128 delay_wide;

/* round(2^58 ln 2), and T = ceil(2^64 e^-20) */
#define DELAY_LN2 UINT64_C(0x2c5c85fdf473de7)
#define DELAY_FLOOR UINT64_C(0x8da432afa)

enum { DEGREE = 20, FRACTION_BITS = 44, LANES = 4 };

/*
 * ln(1+f)/f = c0 - c1 f + c2 f^2 - … on [0, 1], interpolated at the Chebyshev nodes, in 2^-63.
 * These integers define the delay: verifiers everywhere must use the same.
 */
static const uint64_t coefficient[DEGREE + 1] = {
	UINT64_C(0x7fffffffffffffa0),
	UINT64_C(0x3ffffffffffeb42a),
	UINT64_C(0x2aaaaaaaa9eb88a3),
	UINT64_C(0x1fffffffd412676b),
	UINT64_C(0x199999943a6bf3f3),
	UINT64_C(0x155554eddbccae75),
	UINT64_C(0x12491f582de2a41a),
	UINT64_C(0x0fffcff0485c44ca),
	UINT64_C(0x0e379c708b069463),
	UINT64_C(0x0cc62b9ffb8642aa),
	UINT64_C(0x0b8819bb76cb847b),
	UINT64_C(0x0a54b0bdcf2e05e4),
	UINT64_C(0x08fac5b389c534c5),
	UINT64_C(0x0751feb0dabcdb30),
	UINT64_C(0x055dd2585790b25c),
	UINT64_C(0x036109034315f864),
	UINT64_C(0x01bd9ad19516ef6e),
	UINT64_C(0x00b1a8cd16e84669),
	UINT64_C(0x0032e7e840cdee43),
	UINT64_C(0x000943d010f7d3c1),
	UINT64_C(0x0000cd0026420427),
};

static const uint8_t tag_label[16] = "bnmix-dtag-v1";

static inline uint64_t mul_high(uint64_t a, uint64_t b)
{
	return (uint64_t)((delay_wide)a * b >> 64);
}

uint64_t delay_exp(uint64_t draw)
{
	uint64_t v = DELAY_FLOOR + mul_high(draw, -DELAY_FLOOR);
	unsigned n = (unsigned)__builtin_clzll(v); /* v >= DELAY_FLOOR: never of 0 */
	uint64_t f = v << n << 1 >> (64 - FRACTION_BITS) << (64 - FRACTION_BITS);
	uint64_t sum = coefficient[DEGREE];

	/* Every partial sum lies in (0, 2^63]. A step adds less than one unit of error to f times
	 * the error before it: at most DEGREE units in 2^-63. */
	for (int k = DEGREE - 1; k >= 0; k--)
		sum = coefficient[k] - mul_high(f, sum);
	return (n + 1) * DELAY_LN2 - (mul_high(f, sum) >> (63 - DELAY_ONE_BITS));
}

void delay_epoch_key(
	uint8_t key[DELAY_KEY_SIZE], const uint8_t beta[ECVRF_OUTPUT_SIZE], uint64_t epoch)
{
	uint8_t message[11 + 8];

	memcpy(message, "bnmix-delay", 11);
	store_be64(message + 11, epoch);
	crypto_generichash(key, DELAY_KEY_SIZE, message, sizeof(message), beta, ECVRF_OUTPUT_SIZE);
	sodium_stackzero(4096); /* BLAKE2b's copy of the key block */
}

void delay_tag(uint8_t tag[DELAY_TAG_SIZE], const uint8_t shared[DELAY_SHARED_SIZE])
{
	uint8_t r[crypto_core_hchacha20_OUTPUTBYTES];

	crypto_core_hchacha20(r, tag_label, shared, NULL);
	memcpy(tag, r, DELAY_TAG_SIZE);
	sodium_memzero(r, sizeof(r));
}

void delay_draw(const uint8_t key[DELAY_KEY_SIZE], const uint8_t tag[DELAY_TAG_SIZE],
	struct delay_draw *out)
{
	uint8_t r[crypto_core_hchacha20_OUTPUTBYTES];

	crypto_core_hchacha20(r, tag, key, NULL);
	out->exp = delay_exp(load_le64(r));
	out->tie = load_le64(r + 8);
	sodium_memzero(r, sizeof(r));
}

/* ---- four HChaCha20 at once: lane i of every word belongs to packet i */

static inline __m128i rotate(__m128i x, int left)
{
	return _mm_or_si128(_mm_slli_epi32(x, left), _mm_srli_epi32(x, 32 - left));
}

static inline void quarter_round(__m128i *a, __m128i *b, __m128i *c, __m128i *d)
{
	const __m128i by_16 = _mm_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2);
	const __m128i by_8 = _mm_set_epi8(14, 13, 12, 15, 10, 9, 8, 11, 6, 5, 4, 7, 2, 1, 0, 3);

	*a = _mm_add_epi32(*a, *b);
	*d = _mm_shuffle_epi8(_mm_xor_si128(*d, *a), by_16);
	*c = _mm_add_epi32(*c, *d);
	*b = rotate(_mm_xor_si128(*b, *c), 12);
	*a = _mm_add_epi32(*a, *b);
	*d = _mm_shuffle_epi8(_mm_xor_si128(*d, *a), by_8);
	*c = _mm_add_epi32(*c, *d);
	*b = rotate(_mm_xor_si128(*b, *c), 7);
}

/* words[4..16] in; the first 16 bytes of each lane's result out. words[0..4] are set here. */
static inline void hchacha20_x4(__m128i words[16], uint8_t out[LANES][16])
{
	static const int sigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	__m128i lo01, lo23, hi01, hi23;

	for (int i = 0; i < 4; i++)
		words[i] = _mm_set1_epi32(sigma[i]);
	for (int i = 0; i < 10; i++) {
		for (int k = 0; k < 4; k++)
			quarter_round(&words[k], &words[4 + k], &words[8 + k], &words[12 + k]);
		for (int k = 0; k < 4; k++)
			quarter_round(&words[k], &words[4 + (k + 1) % 4], &words[8 + (k + 2) % 4],
				&words[12 + (k + 3) % 4]);
	}
	lo01 = _mm_unpacklo_epi32(words[0], words[1]);
	lo23 = _mm_unpacklo_epi32(words[2], words[3]);
	hi01 = _mm_unpackhi_epi32(words[0], words[1]);
	hi23 = _mm_unpackhi_epi32(words[2], words[3]);
	_mm_storeu_si128((__m128i *)out[0], _mm_unpacklo_epi64(lo01, lo23));
	_mm_storeu_si128((__m128i *)out[1], _mm_unpackhi_epi64(lo01, lo23));
	_mm_storeu_si128((__m128i *)out[2], _mm_unpacklo_epi64(hi01, hi23));
	_mm_storeu_si128((__m128i *)out[3], _mm_unpackhi_epi64(hi01, hi23));
}

/* Four times 16 bytes become four words. */
static inline void load_transposed(__m128i words[4], const uint8_t *const in[LANES])
{
	__m128i a = _mm_loadu_si128((const __m128i *)in[0]);
	__m128i b = _mm_loadu_si128((const __m128i *)in[1]);
	__m128i c = _mm_loadu_si128((const __m128i *)in[2]);
	__m128i d = _mm_loadu_si128((const __m128i *)in[3]);
	__m128i ab_lo = _mm_unpacklo_epi32(a, b), ab_hi = _mm_unpackhi_epi32(a, b);
	__m128i cd_lo = _mm_unpacklo_epi32(c, d), cd_hi = _mm_unpackhi_epi32(c, d);

	words[0] = _mm_unpacklo_epi64(ab_lo, cd_lo);
	words[1] = _mm_unpackhi_epi64(ab_lo, cd_lo);
	words[2] = _mm_unpacklo_epi64(ab_hi, cd_hi);
	words[3] = _mm_unpackhi_epi64(ab_hi, cd_hi);
}

static inline void broadcast(__m128i *words, const uint8_t *in, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int w;

		memcpy(&w, in + 4 * i, sizeof(w));
		words[i] = _mm_set1_epi32(w);
	}
}

void delay_tag_burst(uint8_t (*tags)[DELAY_TAG_SIZE], const uint8_t *const *shared, unsigned n)
{
	__m128i words[16];
	uint8_t out[LANES][16];

	for (unsigned i = 0; i < n; i += LANES) {
		unsigned some = n - i < LANES ? n - i : LANES;
		const uint8_t *low[LANES], *high[LANES];

		for (unsigned k = 0; k < LANES; k++) {
			low[k] = shared[i + (k < some ? k : 0)];
			high[k] = low[k] + 16;
		}
		load_transposed(words + 4, low);
		load_transposed(words + 8, high);
		broadcast(words + 12, tag_label, 4);
		hchacha20_x4(words, out);
		memcpy(tags + i, out, some * sizeof(*out));
	}
	sodium_memzero(words, sizeof(words));
	sodium_memzero(out, sizeof(out));
}

void delay_draw_burst(const uint8_t key[DELAY_KEY_SIZE], const uint8_t (*tags)[DELAY_TAG_SIZE],
	unsigned n, struct delay_draw *out)
{
	__m128i words[16];
	uint8_t r[LANES][16];

	for (unsigned i = 0; i < n; i += LANES) {
		unsigned some = n - i < LANES ? n - i : LANES;
		const uint8_t *in[LANES];

		for (unsigned k = 0; k < LANES; k++)
			in[k] = tags[i + (k < some ? k : 0)];
		broadcast(words + 4, key, 8);
		load_transposed(words + 12, in);
		hchacha20_x4(words, r);
		for (unsigned k = 0; k < some; k++) {
			out[i + k].exp = delay_exp(load_le64(r[k]));
			out[i + k].tie = load_le64(r[k] + 8);
		}
	}
	sodium_memzero(words, sizeof(words));
	sodium_memzero(r, sizeof(r));
}

/* ---- modes */

static const char *const mode_names[] = {
	[DELAY_VRF] = "vrf", [DELAY_SENDER] = "sender", [DELAY_SUM] = "sum", [DELAY_NONE] = "none"};

enum { MODES = sizeof(mode_names) / sizeof(*mode_names) };

int delay_mode_parse(enum delay_mode *mode, const char *text)
{
	for (unsigned i = 0; i < MODES; i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*mode = (enum delay_mode)i;
			return 0;
		}
	return -EINVAL;
}

const char *delay_mode_name(enum delay_mode mode)
{
	return (unsigned)mode < MODES ? mode_names[mode] : "?";
}

uint64_t delay_total(enum delay_mode mode, uint64_t vrf_ns, uint64_t sender_ns)
{
	if (sender_ns < DELAY_SENDER_MIN_NS)
		sender_ns = DELAY_SENDER_MIN_NS;
	if (sender_ns > DELAY_SENDER_MAX_NS)
		sender_ns = DELAY_SENDER_MAX_NS;
	switch (mode) {
	case DELAY_VRF:
		return vrf_ns;
	case DELAY_SENDER:
		return sender_ns;
	case DELAY_SUM:
		return vrf_ns + sender_ns;
	case DELAY_NONE:
		break;
	}
	return 0;
}

uint64_t delay_longest(enum delay_mode mode, uint64_t mean_ns)
{
	return delay_total(mode, DELAY_CAP_MEANS * mean_ns, DELAY_SENDER_MAX_NS);
}
