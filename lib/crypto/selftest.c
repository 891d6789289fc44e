/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/selftest.h"
#include "crypto/aes_ctr.h"
#include "crypto/hkdf.h"
#include "crypto/hmac.h"
#include "crypto/lioness.h"
#include "crypto/state.h"
#include "crypto/x25519.h"
#include "core/bytes.h"

#include <sodium.h>

#define COMPUTE(name)                                                                              \
	static void name(struct crypto *c, const uint8_t *key, size_t key_len, const uint8_t *in,  \
		size_t in_len, uint8_t *out, size_t out_len)
#define UNUSED(x) ((void)(x))

COMPUTE(sha256)
{
	UNUSED(key), UNUSED(key_len), UNUSED(out_len);
	IMB_SHA256(c->mgr, in, in_len, out);
}

COMPUTE(hmac)
{
	struct hmac_key k;

	UNUSED(out_len);
	hmac_key_init(c, &k, key, key_len);
	hmac_sha256(c, &k, in, in_len, out);
}

/* key: salt; in: 22 bytes of key material, then the info */
COMPUTE(hkdf)
{
	struct hmac_key salt;

	hmac_key_init(c, &salt, key, key_len);
	hkdf_sha256(c, &salt, in, 22, in + 22, in_len - 22, out, out_len);
}

COMPUTE(aes_ctr)
{
	UNUSED(key_len), UNUSED(in_len);
	aes_ctr_xor(c, key, in, out, out_len);
}

COMPUTE(chacha20)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	UNUSED(c), UNUSED(key_len), UNUSED(in_len);
	crypto_stream_chacha20_xor(out, in, out_len, nonce, key);
}

COMPUTE(blake2b)
{
	UNUSED(c);
	crypto_generichash_blake2b(out, out_len, in, in_len, key, key_len);
}

/* key: two times 96 bytes, to keep the row readable */
COMPUTE(lioness)
{
	uint8_t k[LIONESS_KEY_SIZE];

	UNUSED(c);
	for (size_t i = 0; i < sizeof(k); i++)
		k[i] = key[i % key_len];
	memcpy(out, in, in_len);
	lioness_encrypt(k, out, out_len);
}

COMPUTE(lioness_back)
{
	uint8_t k[LIONESS_KEY_SIZE];

	UNUSED(c);
	for (size_t i = 0; i < sizeof(k); i++)
		k[i] = key[i % key_len];
	memcpy(out, in, in_len);
	lioness_decrypt(k, out, out_len);
}

COMPUTE(curve)
{
	UNUSED(c), UNUSED(key_len), UNUSED(in_len), UNUSED(out_len);
	if (x25519(out, key, in) < 0)
		memset(out, 0xff, X25519_SIZE);
}

COMPUTE(curve_base)
{
	UNUSED(c), UNUSED(key_len), UNUSED(in), UNUSED(in_len), UNUSED(out_len);
	x25519_base(out, key);
}

#define ZERO16 "00000000000000000000000000000000"
#define ZERO32 ZERO16 ZERO16
#define COUNT16(x)                                                                                 \
	x "0" x "1" x "2" x "3" x "4" x "5" x "6" x "7" x "8" x "9" x "a" x "b" x "c" x "d" x      \
	  "e" x "f"
#define COUNT32 COUNT16("0") COUNT16("1")
#define COUNT64 COUNT32 COUNT16("2") COUNT16("3")
#define COUNT96 COUNT64 COUNT16("4") COUNT16("5")
#define LION_ENCRYPTED                                                                             \
	"89c403bbee7a6f6f85d2d79dc25f4647f6f846abf867b2e0646246e4d4e944d0"                         \
	"544dab2a0bc29f236de13d6effc5585b32e33d022905146ddf7e7e4caa78ef98"                         \
	"5ac02d4b78c4fb153f4b8b4c6d7c96dcfc596d909099a133cec9c229efd5babe"

/* The two LIONESS rows were computed by a model in Python on hashlib's BLAKE2b and a ChaCha20 that
 * gives RFC 8439's key stream; the packet vectors hold the same against Nym's crate. */
const struct selftest selftest_rows[] = {
	{"SHA-256 (FIPS 180-4, \"abc\")", sha256, "", "616263",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"HMAC-SHA256 (RFC 4231, case 1)", hmac, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		"4869205468657265",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{"HKDF-SHA256 (RFC 5869, case 1)", hkdf, "000102030405060708090a0b0c",
		"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
		"f0f1f2f3f4f5f6f7f8f9",
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b88718"
		"5865"},
	{"HKDF-SHA256 (RFC 5869, case 3)", hkdf, "", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a"
		"96c8"},
	{"AES-128-CTR (GCM specification, cases 1 and 2)", aes_ctr, ZERO16, ZERO32 ZERO16,
		"66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a"
		"0388dace60b6a392f328c2b971b2fe78"},
	{"ChaCha20 (RFC 8439, A.1, 1 and 2)", chacha20, ZERO32, ZERO32 ZERO32 ZERO32 ZERO32,
		"76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
		"da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
		"9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
		"29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
	{"BLAKE2b-512 (RFC 7693, A)", blake2b, "", "616263",
		"ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
		"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"},
	{"BLAKE2b-512 keyed (reference answers, no input)", blake2b, COUNT64, "",
		"10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786"
		"b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568"},
	{"LIONESS encryption", lioness, COUNT96, COUNT96, LION_ENCRYPTED},
	{"LIONESS decryption", lioness_back, COUNT96, LION_ENCRYPTED, COUNT96},
	{"X25519 (RFC 7748, 5.2)", curve,
		"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
	{"X25519 base point (RFC 7748, 6.1)", curve_base,
		"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
};
const size_t selftest_count = sizeof(selftest_rows) / sizeof(*selftest_rows);

static int decode(uint8_t *out, size_t *n, const char *hex)
{
	*n = strlen(hex) / 2;
	return *n <= SELFTEST_MAX ? hex_decode(out, *n, hex) : -1;
}

const char *selftest_run(struct crypto *c, const struct selftest *rows, size_t count)
{
	uint8_t key[SELFTEST_MAX], in[SELFTEST_MAX], want[SELFTEST_MAX], got[SELFTEST_MAX];
	size_t key_len, in_len, want_len;

	for (const struct selftest *t = rows; t < rows + count; t++) {
		if (decode(key, &key_len, t->key) < 0 || decode(in, &in_len, t->input) < 0 ||
			decode(want, &want_len, t->expected) < 0)
			return t->name;
		memset(got, 0, sizeof(got));
		t->compute(c, key, key_len, in, in_len, got, want_len);
		if (memcmp(got, want, want_len) != 0)
			return t->name;
	}
	return NULL;
}
