/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_ERROR_H
#define BETANET_CORE_ERROR_H

/*
 * A message for a person, made where the context is known: what, where, the value, what is allowed,
 * how to mend it. Functions that can explain a failure take `struct error *` and return a negative
 * errno. Never holds a secret. `err` may be NULL: then only the number is kept.
 */
#define ERROR_MAX 512

struct error {
	char msg[ERROR_MAX];
};

/* Writes the message (cut at ERROR_MAX - 1 bytes) and returns -code; code > 0 is an errno. */
__attribute__((format(printf, 3, 4))) int error_set(
	struct error *err, int code, const char *fmt, ...);

#endif
