/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_LANES_H
#define BETANET_TESTS_LANES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include "crypto/crypto.h"

/*
 * Buffers for tests of multi-buffer kernels: random content, each at the end of a page with a guard
 * page behind it, so that one byte too far is a crash.
 */
enum { LANES_MAX = 128 };

struct lanes {
	uint8_t *ptr[LANES_MAX];
	size_t len;
	unsigned n;
};

static inline size_t lanes_pages(size_t len)
{
	return (len + 4095) / 4096 * 4096;
}

static inline void lanes_random(const struct lanes *l)
{
	for (unsigned i = 0; i < l->n; i++)
		randombytes_buf(l->ptr[i], l->len);
}

static inline struct lanes lanes_new(unsigned n, size_t len)
{
	struct lanes l = {.len = len, .n = n};

	assert_true(n <= LANES_MAX);
	for (unsigned i = 0; i < n; i++) {
		const size_t size = lanes_pages(len);
		uint8_t *p = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_ptr_not_equal(p, MAP_FAILED);
		assert_int_equal(mprotect(p + size, 4096, PROT_NONE), 0);
		l.ptr[i] = p + size - len;
	}
	lanes_random(&l);
	return l;
}

static inline struct lanes lanes_copy(const struct lanes *from)
{
	struct lanes l = lanes_new(from->n, from->len);

	for (unsigned i = 0; i < l.n; i++)
		if (l.len)
			memcpy(l.ptr[i], from->ptr[i], l.len);
	return l;
}

static inline void lanes_free(struct lanes *l)
{
	for (unsigned i = 0; i < l->n; i++)
		munmap(l->ptr[i] + l->len - lanes_pages(l->len), lanes_pages(l->len) + 4096);
}

static inline const uint8_t *const *lanes_const(const struct lanes *l)
{
	return (const uint8_t *const *)l->ptr;
}

/* The first n lanes are equal; of the others, nothing is asked. */
static inline void assert_lanes_equal(const struct lanes *a, const struct lanes *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_memory_equal(a->ptr[i], b->ptr[i], a->len);
}

/* Set-up of a group: crypto_init and, for the oracles that need one, a struct crypto. */
static struct crypto *lanes_crypto;

static inline int lanes_setup(void **state)
{
	struct error err;

	(void)state;
	if (crypto_init(0, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	lanes_crypto = crypto_create();
	return lanes_crypto ? 0 : -1;
}

static inline int lanes_teardown(void **state)
{
	(void)state;
	crypto_free(lanes_crypto);
	return 0;
}

#endif
