/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/sphinx.h"
#include "sphinx/derive.h"
#include "sphinx/header.h"
#include "sphinx/payload.h"
#include "crypto/lioness.h"

#include <sodium.h>

enum sphinx_status sphinx_build(struct crypto *c, const struct sphinx_route *route,
	const uint8_t *message, size_t message_len, size_t payload_size,
	const struct sphinx_entropy *entropy, uint8_t *out)
{
	uint8_t *payload = out + SPHINX_HEADER_SIZE, key[SPHINX_PAYLOAD_KEY_SIZE];
	enum sphinx_status status = sphinx_route_check(route);
	struct sphinx_route_secrets rs;

	if (status == SPHINX_ok)
		status = sphinx_payload_check(message_len, payload_size);
	if (status == SPHINX_ok)
		status = sphinx_header_build(c, route, entropy, &rs, out);
	if (status != SPHINX_ok)
		return status;
	sphinx_payload_pad(payload, payload_size, message, message_len);
	for (unsigned i = route->hops; i-- > 0;) {
		sphinx_payload_key(c, route->version, rs.expanded[i], key);
		lioness_encrypt(key, payload, payload_size);
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&rs, sizeof(rs));
	return SPHINX_ok;
}
