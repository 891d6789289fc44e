/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/secmem.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int secmem_init(struct error *err)
{
	const struct rlimit none = {0, 0};

	if (sodium_init() < 0)
		return error_set(
			err, EIO, "libsodium could not be started (no source of random numbers?)");
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(
			err, errno, "core dumps could not be turned off: %s", strerror(errno));
	return 0;
}

void *secmem_alloc(size_t n)
{
	void *p = sodium_malloc(n);

	if (!p)
		return NULL;
	/* sodium_malloc goes on when mlock fails; a secret that may be swapped out is not
	 * acceptable */
	if (sodium_mlock(p, n) < 0) {
		sodium_free(p);
		return NULL;
	}
	memset(p, 0, n);
	return p;
}

void secmem_free(void *p)
{
	sodium_free(p);
}
