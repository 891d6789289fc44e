/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/link.h"
#include "core/bytes.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

static void ether_write(uint8_t *p, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	memcpy(p, dst, LINK_MAC_SIZE);
	memcpy(p + 6, src, LINK_MAC_SIZE);
	store_be16(p + 12, type);
}

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

void link_template_write(
	const struct link_template *t, uint8_t *out, size_t payload_len, bool offload)
{
	uint8_t *ip = out + RTE_ETHER_HDR_LEN;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(out + t->len - sizeof(*udp));
	uint16_t udp_len = (uint16_t)(payload_len + sizeof(*udp));

	memcpy(out, t->bytes, t->len);
	store_be16(&udp->dgram_len, udp_len);
	if (t->family == 4) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

		store_be16(ip + 2, (uint16_t)(udp_len + sizeof(*h)));
		if (offload) {
			udp->dgram_cksum = rte_ipv4_phdr_cksum(h, 0);
			return;
		}
		h->hdr_checksum = rte_ipv4_cksum(h);
		udp->dgram_cksum = rte_ipv4_udptcp_cksum(h, udp);
	} else {
		struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)ip;

		store_be16(ip + 4, udp_len);
		udp->dgram_cksum =
			offload ? rte_ipv6_phdr_cksum(h, 0) : rte_ipv6_udptcp_cksum(h, udp);
	}
}
