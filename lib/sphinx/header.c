/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/header.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"
#include "crypto/aes_ctr.h"
#include "crypto/x25519.h"
#include "core/bytes.h"

#include <sodium.h>

enum sphinx_status sphinx_route_check(const struct sphinx_route *route)
{
	if (route->hops < 1 || route->hops > SPHINX_MAX_HOPS)
		return SPHINX_bad_route;
	return sphinx_version_refused(route->version) ? SPHINX_unsupported_version : SPHINX_ok;
}

enum sphinx_status sphinx_route_derive(struct crypto *c, const struct sphinx_route *route,
	const uint8_t initial_secret[32], struct sphinx_route_secrets *rs)
{
	uint8_t s[X25519_SIZE];
	int bad = 0;

	x25519_base(rs->alpha, initial_secret);
	for (unsigned i = 0; i < route->hops && !bad; i++) {
		bad = x25519(s, initial_secret, route->hop[i].public_key);
		for (unsigned j = 0; j < i && !bad; j++)
			bad = x25519(s, rs->expanded[j] + SPHINX_OFF_BLINDING, s);
		if (!bad)
			sphinx_expand(c, s, rs->expanded[i]);
	}
	sodium_memzero(s, sizeof(s));
	if (bad)
		sodium_memzero(rs, sizeof(*rs));
	return bad ? SPHINX_bad_point : SPHINX_ok;
}

static void xor_into(uint8_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] ^= src[i];
}

/* What the hops before the last will have shifted in behind its block: 60 bytes for each. */
static void write_filler(uint8_t *filler, const uint8_t *const stream[], unsigned hops)
{
	memset(filler, 0, SPHINX_HOP_SIZE * (hops - 1));
	for (size_t i = 1; i < hops; i++) {
		const size_t n = SPHINX_HOP_SIZE * i;

		xor_into(filler, stream[i - 1] + SPHINX_STREAM_SIZE - n, n);
	}
}

static void start_block(uint8_t *block, uint8_t flag, uint16_t version, const uint8_t *address)
{
	block[BLOCK_FLAG] = flag;
	block[BLOCK_ZERO] = 0;
	store_be16(block + BLOCK_VERSION, version);
	memcpy(block + BLOCK_ADDRESS, address, SPHINX_ADDRESS_SIZE);
}

static void innermost_layer(const struct sphinx_route *route, const uint8_t *const stream[],
	const uint8_t *padding, uint8_t *beta)
{
	const unsigned last = route->hops - 1;
	const size_t own = SPHINX_BETA_SIZE - SPHINX_HOP_SIZE * last;

	start_block(beta, SPHINX_FLAG_FINAL, route->version, route->destination);
	memcpy(beta + BLOCK_IDENTIFIER, route->identifier, SPHINX_IDENTIFIER_SIZE);
	memcpy(beta + BLOCK_PADDING, padding, own - BLOCK_PADDING);
	xor_into(beta, stream[last], own);
	write_filler(beta + own, stream, route->hops);
}

void sphinx_header_layer(const struct sphinx_route *route, unsigned hop,
	const uint8_t *const stream[], const uint8_t *padding, uint8_t header[SPHINX_HEADER_SIZE])
{
	uint8_t *beta = header + PACKET_BETA;

	if (hop == route->hops - 1) {
		innermost_layer(route, stream, padding, beta);
		return;
	}
	memmove(beta + BLOCK_BETA, beta, SPHINX_BETA_SIZE - BLOCK_BETA);
	memcpy(beta + BLOCK_GAMMA, header + PACKET_GAMMA, SPHINX_GAMMA_SIZE);
	start_block(beta, SPHINX_FLAG_FORWARD, route->version, route->hop[hop + 1].address);
	store_be64(beta + BLOCK_DELAY, route->hop[hop].delay_ns);
	xor_into(beta, stream[hop], SPHINX_BETA_SIZE);
}

void sphinx_header_write(struct crypto *c, const struct sphinx_route *route,
	const struct sphinx_route_secrets *rs, const uint8_t *padding,
	uint8_t header[SPHINX_HEADER_SIZE])
{
	static const uint8_t zeros[SPHINX_STREAM_SIZE];
	uint8_t stream[SPHINX_MAX_HOPS][SPHINX_STREAM_SIZE];
	const uint8_t *streams[SPHINX_MAX_HOPS];

	for (unsigned i = 0; i < route->hops; i++) {
		aes_ctr_xor(c, rs->expanded[i] + SPHINX_OFF_STREAM_KEY, zeros, stream[i],
			SPHINX_STREAM_SIZE);
		streams[i] = stream[i];
	}
	for (unsigned i = route->hops; i-- > 0;) {
		sphinx_header_layer(route, i, streams, padding, header);
		sphinx_mac(c, rs->expanded[i], header + PACKET_BETA, header + PACKET_GAMMA);
	}
	memcpy(header + PACKET_ALPHA, rs->alpha, SPHINX_ALPHA_SIZE);
	sodium_memzero(stream, sizeof(stream));
}

enum sphinx_status sphinx_header_build(struct crypto *c, const struct sphinx_route *route,
	const struct sphinx_entropy *entropy, struct sphinx_route_secrets *rs,
	uint8_t header[SPHINX_HEADER_SIZE])
{
	struct sphinx_entropy fresh;
	enum sphinx_status status;

	if (!entropy) {
		randombytes_buf(&fresh, sizeof(fresh));
		entropy = &fresh;
	}
	status = sphinx_route_derive(c, route, entropy->initial_secret, rs);
	if (status == SPHINX_ok)
		sphinx_header_write(c, route, rs, entropy->padding, header);
	if (entropy == &fresh)
		sodium_memzero(&fresh, sizeof(fresh));
	return status;
}
