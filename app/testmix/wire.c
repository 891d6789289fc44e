/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <string.h>
#include "core/bytes.h"

enum {
	TYPE_IP4 = 0x0800,
	TYPE_ARP = 0x0806,
	PROTO_UDP = 17,
	FLAG_DF = 0x4000,
	FRAGMENT = 0x3fff, /* MF and the offset */
	TTL = 64,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

/* The Internet checksum's sum (RFC 1071), not folded; odd lengths are padded with a zero. */
static uint64_t sum16(uint64_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += load_be16(p);
	return len ? sum + ((uint64_t)*p << 8) : sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of the pseudo-header, the UDP header and the payload; 0xffff when the checksum in it is right. */
static uint16_t udp_sum(const uint8_t *ip, const uint8_t *udp, size_t udp_len)
{
	return fold(sum16(sum16(PROTO_UDP + udp_len, ip + 12, 8), udp, udp_len));
}

static void write_eth(uint8_t *frame, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	store_be16(frame + 12, type);
}

size_t wire_write_udp(
	uint8_t *frame, const struct wire_end *src, const struct wire_end *dst, size_t len)
{
	uint8_t *ip = frame + WIRE_ETH_SIZE, *udp = ip + WIRE_IP4_SIZE;
	uint16_t sum;

	write_eth(frame, dst->mac, src->mac, TYPE_IP4);
	memset(ip, 0, WIRE_IP4_SIZE + WIRE_UDP_SIZE);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(WIRE_IP4_SIZE + WIRE_UDP_SIZE + len));
	store_be16(ip + 6, FLAG_DF);
	ip[8] = TTL;
	ip[9] = PROTO_UDP;
	memcpy(ip + 12, src->ip, 4);
	memcpy(ip + 16, dst->ip, 4);
	store_be16(ip + 10, (uint16_t)~fold(sum16(0, ip, WIRE_IP4_SIZE)));

	store_be16(udp, src->port);
	store_be16(udp + 2, dst->port);
	store_be16(udp + 4, (uint16_t)(WIRE_UDP_SIZE + len));
	sum = (uint16_t)~udp_sum(ip, udp, WIRE_UDP_SIZE + len);
	store_be16(udp + 6, sum ? sum : 0xffff); /* zero would say "no checksum" */
	return WIRE_HEADERS + len;
}

static void write_arp(uint8_t *frame, uint16_t operation, const struct wire_end *self,
	const uint8_t target_mac[6], const uint8_t target_ip[4])
{
	static const uint8_t ethernet_ip4[6] = {0, 1, 8, 0, 6, 4};
	uint8_t *arp = frame + WIRE_ETH_SIZE;

	memcpy(arp, ethernet_ip4, sizeof(ethernet_ip4));
	store_be16(arp + 6, operation);
	memcpy(arp + 8, self->mac, 6);
	memcpy(arp + 14, self->ip, 4);
	memcpy(arp + 18, target_mac, 6);
	memcpy(arp + 24, target_ip, 4);
}

void wire_write_arp_request(uint8_t *frame, const struct wire_end *self, const uint8_t target[4])
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, unknown[6];

	write_eth(frame, broadcast, self->mac, TYPE_ARP);
	write_arp(frame, ARP_REQUEST, self, unknown, target);
}

void wire_write_arp_reply(uint8_t *frame, const struct wire_end *self, const struct wire_end *to)
{
	write_eth(frame, to->mac, self->mac, TYPE_ARP);
	write_arp(frame, ARP_REPLY, self, to->mac, to->ip);
}

static enum wire_kind parse_arp(const uint8_t *arp, size_t len, struct wire_frame *out)
{
	static const uint8_t ethernet_ip4[6] = {0, 1, 8, 0, 6, 4};

	if (len < WIRE_ARP_SIZE - WIRE_ETH_SIZE)
		return WIRE_BAD;
	if (memcmp(arp, ethernet_ip4, sizeof(ethernet_ip4)) != 0)
		return WIRE_OTHER;
	memcpy(out->src.mac, arp + 8, 6);
	memcpy(out->src.ip, arp + 14, 4);
	memcpy(out->dst.mac, arp + 18, 6);
	memcpy(out->dst.ip, arp + 24, 4);
	switch (load_be16(arp + 6)) {
	case ARP_REQUEST:
		return WIRE_ARP_REQUEST;
	case ARP_REPLY:
		return WIRE_ARP_REPLY;
	}
	return WIRE_OTHER;
}

static enum wire_kind parse_ip4(const uint8_t *ip, size_t len, struct wire_frame *out)
{
	const uint8_t *udp = ip + WIRE_IP4_SIZE;
	size_t total, udp_len;

	if (len < WIRE_IP4_SIZE || ip[0] >> 4 != 4)
		return WIRE_BAD;
	total = load_be16(ip + 2);
	if (total > len || total < WIRE_IP4_SIZE || ip[0] != 0x45 ||
		fold(sum16(0, ip, WIRE_IP4_SIZE)) != 0xffff)
		return WIRE_BAD;
	if (ip[9] != PROTO_UDP)
		return WIRE_OTHER;
	if ((load_be16(ip + 6) & FRAGMENT) != 0 || total < WIRE_IP4_SIZE + WIRE_UDP_SIZE)
		return WIRE_BAD;
	udp_len = load_be16(udp + 4);
	if (udp_len != total - WIRE_IP4_SIZE)
		return WIRE_BAD;
	if (load_be16(udp + 6) != 0 && udp_sum(ip, udp, udp_len) != 0xffff)
		return WIRE_BAD;
	memcpy(out->src.ip, ip + 12, 4);
	memcpy(out->dst.ip, ip + 16, 4);
	out->src.port = load_be16(udp);
	out->dst.port = load_be16(udp + 2);
	out->payload = udp + WIRE_UDP_SIZE;
	out->payload_len = udp_len - WIRE_UDP_SIZE;
	return WIRE_UDP;
}

enum wire_kind wire_parse(const uint8_t *frame, size_t len, struct wire_frame *out)
{
	if (len < WIRE_ETH_SIZE)
		return WIRE_BAD;
	memset(out, 0, sizeof(*out));
	memcpy(out->dst.mac, frame, 6);
	memcpy(out->src.mac, frame + 6, 6);
	switch (load_be16(frame + 12)) {
	case TYPE_ARP:
		return parse_arp(frame + WIRE_ETH_SIZE, len - WIRE_ETH_SIZE, out);
	case TYPE_IP4:
		return parse_ip4(frame + WIRE_ETH_SIZE, len - WIRE_ETH_SIZE, out);
	}
	return WIRE_OTHER;
}
