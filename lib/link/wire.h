/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_LINK_WIRE_H
#define BETANET_LINK_WIRE_H

#include <string.h>
#include <rte_ether.h>
#include "core/bytes.h"
#include "link/link.h"

/* What the files of lib/link share. Private to it. */
enum {
	ETHER_HEADER = RTE_ETHER_HDR_LEN,
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	UDP_HEADER = 8,
	/* ICMPv6 types: RFC 4443, RFC 4861 */
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_SOLICIT = 135,
	ICMP6_ADVERT = 136,
};

static inline void ether_write(uint8_t *p, const uint8_t dst[LINK_MAC_SIZE],
	const uint8_t src[LINK_MAC_SIZE], uint16_t type)
{
	memcpy(p, dst, LINK_MAC_SIZE);
	memcpy(p + LINK_MAC_SIZE, src, LINK_MAC_SIZE);
	store_be16(p + 12, type);
}

#endif
