/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_WIRE_H
#define BETANET_TESTMIX_WIRE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The little of Ethernet, ARP (RFC 826), IPv4 (RFC 791) and UDP (RFC 768) that a load application
 * needs. It is written apart from lib/link on purpose: what a relay sends is judged here by other
 * code than the code that made it.
 */
enum {
	WIRE_ETH_SIZE = 14,
	WIRE_IP4_SIZE = 20,
	WIRE_UDP_SIZE = 8,
	WIRE_HEADERS = WIRE_ETH_SIZE + WIRE_IP4_SIZE + WIRE_UDP_SIZE,
	WIRE_ARP_SIZE = WIRE_ETH_SIZE + 28,
	WIRE_MTU = 1500, /* bytes of IP in one frame */
};

/* One end of a UDP flow over Ethernet. */
struct wire_end {
	uint8_t mac[6];
	uint8_t ip[4];
	uint16_t port;
};

enum wire_kind {
	WIRE_UDP,
	WIRE_ARP_REQUEST,
	WIRE_ARP_REPLY,
	WIRE_OTHER, /* well-formed as far as it was read, but nothing for this application */
	WIRE_BAD,   /* truncated, or a length or checksum is wrong */
};

struct wire_frame {
	struct wire_end src, dst; /* of ARP: sender and target, port 0 */
	const uint8_t *payload;   /* UDP only, points into the frame */
	size_t payload_len;
};

/*
 * Writes the WIRE_HEADERS bytes before a UDP payload of `len` bytes that already stands at
 * frame + WIRE_HEADERS: DF set, TTL 64, IP-ID 0, both checksums. Returns the length of the frame.
 */
size_t wire_write_udp(
	uint8_t *frame, const struct wire_end *src, const struct wire_end *dst, size_t len);

/* "Who has target?", broadcast. WIRE_ARP_SIZE bytes. */
void wire_write_arp_request(uint8_t *frame, const struct wire_end *self, const uint8_t target[4]);

/* "self.ip is at self.mac", to `to`. WIRE_ARP_SIZE bytes. */
void wire_write_arp_reply(uint8_t *frame, const struct wire_end *self, const struct wire_end *to);

/* `len` may count Ethernet padding. *out is set for the first three kinds. */
enum wire_kind wire_parse(const uint8_t *frame, size_t len, struct wire_frame *out);

#endif
