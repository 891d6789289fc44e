/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_SPHINX_ADDRESS_H
#define BETANET_SPHINX_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "sphinx/packet.h"

/*
 * Node addresses and destinations in a packet: `04` or `06` ‖ port (big-endian) ‖ 4 or 16 octets ‖
 * zeros, 32 bytes in all. `struct endpoint` is the same thing unpacked.
 */
struct endpoint {
	uint8_t family; /* 4 or 6 */
	uint16_t port;  /* host byte order, 0..65535 */
	uint8_t ip[16]; /* network byte order; the first 4 bytes for IPv4, the rest zero */
};

#define ENDPOINT_STRLEN 56 /* "[ffff:…:ffff]:65535" and a NUL */

/* 0, or SPHINX_bad_address when the first byte is neither 4 nor 6. Bytes behind the octets are
 * ignored, as Nym does. */
enum sphinx_status address_decode(const uint8_t in[SPHINX_ADDRESS_SIZE], struct endpoint *out);
void address_encode(uint8_t out[SPHINX_ADDRESS_SIZE], const struct endpoint *e);

/* "192.0.2.1:9000", "[2001:db8::1]:9000". parse: 0 or -EINVAL; no names are resolved. */
int endpoint_parse(struct endpoint *e, const char *text);
const char *endpoint_format(char out[ENDPOINT_STRLEN], const struct endpoint *e);

/* "192.0.2.1" or "2001:db8::1", port 0. 0 or -EINVAL. */
int endpoint_parse_ip(struct endpoint *e, const char *text);

/* For kernel sockets. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *sa);
int endpoint_from_sockaddr(struct endpoint *e, const struct sockaddr *sa);

/* An address prefix, "10.0.0.0/8" or "fd00::/8"; a bare address is a /32 or /128. */
struct cidr {
	uint8_t family, bits;
	uint8_t ip[16];
};

/* 0; -EINVAL when it is no prefix; -ERANGE when bits behind the prefix are set. */
int cidr_parse(struct cidr *c, const char *text);
int cidr_contains(const struct cidr *c, const struct endpoint *e);

#endif
