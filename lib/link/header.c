/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/wire.h"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

void link_template_make(struct link_template *t, const uint8_t src_mac[LINK_MAC_SIZE],
	const uint8_t dst_mac[LINK_MAC_SIZE], const struct endpoint *src,
	const struct endpoint *dst)
{
	uint8_t *ip = t->bytes + RTE_ETHER_HDR_LEN, *udp;

	memset(t, 0, sizeof(*t));
	t->family = dst->family;
	if (dst->family == 4) {
		ether_write(t->bytes, dst_mac, src_mac, RTE_ETHER_TYPE_IPV4);
		ip[0] = 0x45;
		store_be16(ip + 6, RTE_IPV4_HDR_DF_FLAG);
		ip[8] = LINK_HOP_LIMIT;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, src->ip, 4);
		memcpy(ip + 16, dst->ip, 4);
		t->len = LINK_HEADER4;
	} else {
		ether_write(t->bytes, dst_mac, src_mac, RTE_ETHER_TYPE_IPV6);
		ip[0] = 0x60;
		ip[6] = IPPROTO_UDP;
		ip[7] = LINK_HOP_LIMIT;
		memcpy(ip + 8, src->ip, 16);
		memcpy(ip + 24, dst->ip, 16);
		t->len = LINK_HEADER6;
	}
	udp = t->bytes + t->len - sizeof(struct rte_udp_hdr);
	store_be16(udp, src->port);
	store_be16(udp + 2, dst->port);
}

uint16_t link_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = 0;
	uint32_t tail = 0;

	/* 32-bit words in a 64-bit accumulator: no carry can be lost, and compilers vectorise it */
	for (; len >= 4; p += 4, len -= 4) {
		uint32_t word;

		memcpy(&word, p, 4);
		sum += word;
	}
	memcpy(&tail, p, len);
	sum += tail;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Of the UDP header with a zero checksum field, the pseudo-header and the payload. Zero means
 * «none». */
static uint16_t udp_checksum(uint16_t pseudo, const struct rte_udp_hdr *udp, uint16_t payload_sum)
{
	uint16_t sum = link_sum_add(link_sum_add(pseudo, link_sum(udp, sizeof(*udp))), payload_sum);

	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

void link_template_write_sum(const struct link_template *t, uint8_t *out, size_t payload_len,
	uint16_t payload_sum, bool offload)
{
	uint8_t *ip = out + RTE_ETHER_HDR_LEN;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(out + t->len - sizeof(*udp));
	uint16_t udp_len = (uint16_t)(payload_len + sizeof(*udp)), pseudo;

	memcpy(out, t->bytes, t->len);
	store_be16(&udp->dgram_len, udp_len);
	if (t->family == 4) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

		store_be16(ip + 2, (uint16_t)(udp_len + sizeof(*h)));
		if (!offload)
			h->hdr_checksum = rte_ipv4_cksum(h);
		pseudo = rte_ipv4_phdr_cksum(h, 0);
	} else {
		struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)ip;

		store_be16(ip + 4, udp_len);
		pseudo = rte_ipv6_phdr_cksum(h, 0);
	}
	udp->dgram_cksum = offload ? pseudo : udp_checksum(pseudo, udp, payload_sum);
}

void link_template_write(
	const struct link_template *t, uint8_t *out, size_t payload_len, bool offload)
{
	link_template_write_sum(
		t, out, payload_len, offload ? 0 : link_sum(out + t->len, payload_len), offload);
}
