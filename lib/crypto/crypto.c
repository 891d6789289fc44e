/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/crypto.h"
#include "crypto/cpu.h"
#include "crypto/manager.h"
#include "crypto/selftest.h"
#include "crypto/state.h"
#include "crypto/symmetric_mb.h"
#include "crypto/x25519_mb.h"
#include "core/secmem.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdint.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct manager_kind *kind; /* set by the first crypto_init, then read only */
static struct error first_error;
static int first_result = 1; /* 1: not yet called */

static size_t round_up(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static struct crypto *create(const struct manager_kind *k)
{
	const size_t head = round_up(sizeof(struct crypto));
	/* a multiple of 64: secmem places the end at a page's end, so the start is aligned too */
	struct crypto *c = secmem_alloc(head + round_up(manager_size()));

	if (!c) {
		errno = ENOMEM;
		return NULL;
	}
	c->mgr = manager_place(k, (uint8_t *)c + head);
	if (!c->mgr) {
		secmem_free(c);
		errno = EINVAL;
		return NULL;
	}
	return c;
}

static int start(unsigned max_simd_bits, struct error *err)
{
	const char *failed;
	struct crypto *c;
	int r;

	if (sodium_init() < 0)
		return error_set(
			err, EIO, "libsodium could not be started (no source of random numbers?)");
	if (cpu_limit_simd(max_simd_bits) < 0)
		return error_set(err, EINVAL,
			"vector width %u: allowed are 128, 256, 512, or 0 for any", max_simd_bits);
	if (!cpu_has(CPU_SSE42) || !cpu_has(CPU_AESNI) || !cpu_has(CPU_PCLMUL))
		return error_set(err, ENOTSUP,
			"this CPU lacks SSE4.2, AES-NI or PCLMULQDQ; under a hypervisor, pass the "
			"host's CPU model through");
	kind = manager_fastest(1);
	c = kind ? create(kind) : NULL;
	if (!c) {
		kind = NULL;
		return error_set(err, ENOMEM,
			"no %zu bytes of locked memory for ipsec-mb; raise `ulimit -l`",
			manager_size());
	}
	failed = selftest_run(c, selftest_rows, selftest_count);
	crypto_free(c);
	if (failed) {
		kind = NULL;
		return error_set(err, EIO,
			"self-test of %s failed: a damaged library or CPU; nothing was started",
			failed);
	}
	r = symmetric_mb_init(err);
	if (r < 0)
		kind = NULL;
	else
		x25519_mb_init(); /* a kernel that differs is not used */
	return r;
}

int crypto_init(unsigned max_simd_bits, struct error *err)
{
	int r;

	pthread_mutex_lock(&lock);
	if (first_result > 0)
		first_result = start(max_simd_bits, &first_error);
	r = first_result;
	if (r < 0 && err)
		*err = first_error;
	pthread_mutex_unlock(&lock);
	return r;
}

const char *crypto_manager_name(void)
{
	return kind ? kind->name : "none";
}

struct crypto *crypto_create(void)
{
	if (!kind) {
		errno = EINVAL;
		return NULL;
	}
	return create(kind);
}

void crypto_free(struct crypto *c)
{
	secmem_free(c);
}
