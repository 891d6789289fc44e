/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PERF_OPENSSL_H
#define BETANET_PERF_OPENSSL_H

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/*
 * The few functions of OpenSSL 3 that perf_kernels compares with, taken from libcrypto.so.3 when it
 * is there: neither its headers nor the library are needed to build or to run anything here.
 */
struct openssl {
	/* SHA256(3), HMAC(3), EVP_Digest(3) */
	unsigned char *(*sha256)(const unsigned char *d, size_t n, unsigned char *md);
	unsigned char *(*hmac)(const void *evp_md, const void *key, int key_len,
		const unsigned char *d, size_t n, unsigned char *md, unsigned *md_len);
	int (*digest)(const void *data, size_t count, unsigned char *md, unsigned *size,
		const void *type, void *engine);
	const void *(*md_sha256)(void), *(*md_blake2b)(void);
	/* EVP_EncryptInit(3) */
	const void *(*aes_128_ctr)(void), *(*chacha20)(void);
	void *(*cipher_new)(void);
	int (*cipher_init)(void *ctx, const void *cipher, void *engine, const unsigned char *key,
		const unsigned char *iv);
	int (*cipher_update)(
		void *ctx, unsigned char *out, int *out_len, const unsigned char *in, int in_len);
	/* EVP_PKEY_derive(3) */
	void *(*private_key)(int type, void *engine, const unsigned char *key, size_t len);
	void *(*public_key)(int type, void *engine, const unsigned char *key, size_t len);
	void (*free_key)(void *key);
	void *(*pkey_ctx)(void *pkey, void *engine);
	int (*derive_init)(void *ctx);
	int (*derive_set_peer)(void *ctx, void *peer);
	int (*derive)(void *ctx, unsigned char *key, size_t *len);
	const char *(*version)(int what);
};

enum { OPENSSL_X25519 = 1034 /* NID_X25519 */ };

/* 0, or -1 when the library or one of the functions is not there. */
static inline int openssl_load(struct openssl *o)
{
	const struct {
		const char *name;
		void *to;
	} symbol[] = {
		{"SHA256", &o->sha256},
		{"HMAC", &o->hmac},
		{"EVP_Digest", &o->digest},
		{"EVP_sha256", &o->md_sha256},
		{"EVP_blake2b512", &o->md_blake2b},
		{"EVP_aes_128_ctr", &o->aes_128_ctr},
		{"EVP_chacha20", &o->chacha20},
		{"EVP_CIPHER_CTX_new", &o->cipher_new},
		{"EVP_EncryptInit_ex", &o->cipher_init},
		{"EVP_EncryptUpdate", &o->cipher_update},
		{"EVP_PKEY_new_raw_private_key", &o->private_key},
		{"EVP_PKEY_new_raw_public_key", &o->public_key},
		{"EVP_PKEY_free", &o->free_key},
		{"EVP_PKEY_CTX_new", &o->pkey_ctx},
		{"EVP_PKEY_derive_init", &o->derive_init},
		{"EVP_PKEY_derive_set_peer", &o->derive_set_peer},
		{"EVP_PKEY_derive", &o->derive},
		{"OpenSSL_version", &o->version},
	};
	void *so = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; so && i < sizeof(symbol) / sizeof(symbol[0]); i++) {
		void *at = dlsym(so, symbol[i].name);

		if (!at)
			return -1;
		memcpy(symbol[i].to, &at, sizeof(at));
	}
	return so ? 0 : -1;
}

#endif
