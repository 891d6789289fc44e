/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_BYTES_H
#define BETANET_CORE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Unaligned big- and little-endian loads and stores, and hexadecimal text. */

static inline uint16_t load_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline uint64_t load_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Lower-case hex of n bytes into out[2n + 1], terminated. Not for secrets: table look-ups. */
void hex_encode(char *out, const void *in, size_t n);

/* Exactly 2n hex digits into out[n]. 0, or -EINVAL on a wrong length or a character that is no
 * digit. */
int hex_decode(void *out, size_t n, const char *hex);

#endif
