/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_SECMEM_H
#define BETANET_CORE_SECMEM_H

#include <stddef.h>
#include "core/error.h"

/*
 * Memory for secrets: locked, with guard pages, left out of core dumps, wiped when freed
 * (libsodium's sodium_malloc). Long-lived secrets live here; what a function keeps on its stack it
 * wipes with sodium_memzero before it returns.
 */

/* Once, first thing in main of every program that holds a secret: starts libsodium, turns core
 * dumps and ptrace by the same user off. 0, or a negative errno with `err` set. */
int secmem_init(struct error *err);

/* Zeroed. NULL when the memory cannot be locked (raise `ulimit -l`) or is used up. */
void *secmem_alloc(size_t n);

/* Wipes and frees; NULL is fine. */
void secmem_free(void *p);

#endif
