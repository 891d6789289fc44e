/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/wire.h"

#include <netinet/in.h>
#include <rte_arp.h>
#include <rte_icmp.h>
#include <rte_ip.h>

enum {
	ETH = ETHER_HEADER,
	ARP_FRAME = RTE_ETHER_HDR_LEN + 28,
	ND_SIZE = 24,       /* solicitation or advertisement without options */
	ND_OPTION = 8,      /* link-layer address */
	ND_HOP_LIMIT = 255, /* RFC 4861, 7.1: proof that it comes from this link */
	ND_FRAME = RTE_ETHER_HDR_LEN + 40 + ND_SIZE + ND_OPTION,
	ND_OPT_SOURCE = 1,
	ND_OPT_TARGET = 2,
};
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE 0x20000000u

static const uint8_t unspecified[16];

static void learn(struct link_learned *l, uint8_t family, const uint8_t *ip, const uint8_t *mac)
{
	if (mac[0] & 1) /* a group address is nobody's own */
		return;
	l->family = family;
	memcpy(l->ip, ip, family == 4 ? 4 : 16);
	memcpy(l->mac, mac, LINK_MAC_SIZE);
}

/* ---- ARP ---- */

static void arp_write(uint8_t *out, const struct link_host *h, uint16_t op, const uint8_t *eth_dst,
	const uint8_t *target_mac, const uint8_t *target_ip)
{
	uint8_t *a = out + ETH;

	ether_write(out, eth_dst, h->mac, RTE_ETHER_TYPE_ARP);
	store_be16(a, RTE_ARP_HRD_ETHER);
	store_be16(a + 2, RTE_ETHER_TYPE_IPV4);
	a[4] = LINK_MAC_SIZE;
	a[5] = 4;
	store_be16(a + 6, op);
	memcpy(a + 8, h->mac, LINK_MAC_SIZE);
	memcpy(a + 14, h->ipv4, 4);
	memcpy(a + 18, target_mac, LINK_MAC_SIZE);
	memcpy(a + 24, target_ip, 4);
}

static size_t respond_arp(const struct link_host *h, const uint8_t *frame, size_t len,
	uint8_t *reply, size_t cap, struct link_learned *learned)
{
	const uint8_t *a = frame + ETH;

	if (len < ARP_FRAME || !h->has_ipv4 || cap < ARP_FRAME)
		return 0;
	if (load_be16(a) != RTE_ARP_HRD_ETHER || load_be16(a + 2) != RTE_ETHER_TYPE_IPV4 ||
		a[4] != LINK_MAC_SIZE || a[5] != 4 || memcmp(a + 24, h->ipv4, 4) != 0)
		return 0;
	if (load_be16(a + 6) == RTE_ARP_OP_REPLY) {
		learn(learned, 4, a + 14, a + 8);
		return 0;
	}
	if (load_be16(a + 6) != RTE_ARP_OP_REQUEST || (a[8] & 1))
		return 0;
	arp_write(reply, h, RTE_ARP_OP_REPLY, a + 8, a + 8, a + 14);
	return ARP_FRAME;
}

/* ---- ICMP echo ---- */

static size_t respond_echo4(
	const struct link_host *h, const uint8_t *frame, size_t len, uint8_t *reply, size_t cap)
{
	const uint8_t *ip = frame + ETH;
	size_t total = load_be16(ip + 2), icmp_len = total - sizeof(struct rte_ipv4_hdr);
	uint8_t *out = reply + ETH, *icmp = out + sizeof(struct rte_ipv4_hdr);
	struct rte_ipv4_hdr *oh = (struct rte_ipv4_hdr *)out;
	uint16_t sum;

	/* link_parse has checked the IP header against len */
	if (icmp_len < 8 || ETH + total > cap || ETH + total > len)
		return 0;
	if (ip[12] == 0 || ip[12] >= 224) /* no host's own address */
		return 0;
	if (rte_raw_cksum(ip + sizeof(*oh), icmp_len) != 0xffff)
		return 0;
	ether_write(reply, frame + 6, h->mac, RTE_ETHER_TYPE_IPV4);
	memcpy(out, ip, total);
	memcpy(out + 12, h->ipv4, 4);
	memcpy(out + 16, ip + 12, 4);
	out[8] = LINK_HOP_LIMIT;
	store_be16(out + 4, 0);
	store_be16(out + 6, RTE_IPV4_HDR_DF_FLAG);
	oh->hdr_checksum = 0;
	oh->hdr_checksum = rte_ipv4_cksum(oh);
	icmp[0] = RTE_IP_ICMP_ECHO_REPLY;
	memset(icmp + 2, 0, 2);
	sum = (uint16_t)~rte_raw_cksum(icmp, icmp_len);
	memcpy(icmp + 2, &sum, 2);
	return ETH + total;
}

static void ipv6_write(
	uint8_t *ip, size_t payload, uint8_t hop_limit, const uint8_t *src, const uint8_t *dst)
{
	memset(ip, 0, 8);
	ip[0] = 0x60;
	store_be16(ip + 4, (uint16_t)payload);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = hop_limit;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
}

static void icmp6_checksum(uint8_t *ip)
{
	uint8_t *icmp = ip + sizeof(struct rte_ipv6_hdr);
	uint16_t sum;

	memset(icmp + 2, 0, 2);
	sum = rte_ipv6_udptcp_cksum((struct rte_ipv6_hdr *)ip, icmp);
	memcpy(icmp + 2, &sum, 2);
}

static bool icmp6_checksum_ok(const uint8_t *ip, size_t icmp_len)
{
	uint32_t sum = rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, 0);

	sum += rte_raw_cksum(ip + sizeof(struct rte_ipv6_hdr), icmp_len);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static size_t respond_echo6(const struct link_host *h, const uint8_t *frame, size_t icmp_len,
	uint8_t *reply, size_t cap)
{
	const uint8_t *ip = frame + ETH;
	uint8_t *out = reply + ETH;

	if (ETH + 40 + icmp_len > cap || ip[24] == 0xff || memcmp(ip + 8, unspecified, 16) == 0)
		return 0;
	ether_write(reply, frame + 6, h->mac, RTE_ETHER_TYPE_IPV6);
	ipv6_write(out, icmp_len, LINK_HOP_LIMIT, ip + 24, ip + 8);
	memcpy(out + 40, ip + 40, icmp_len);
	out[40] = ICMP6_ECHO_REPLY;
	icmp6_checksum(out);
	return ETH + 40 + icmp_len;
}

/* ---- ND ---- */

/* The link-layer address in the option of a type, *mac NULL when there is none. False when the
 * options are malformed: RFC 4861, 7.1, wants silence then. */
static bool nd_option(const uint8_t *icmp, size_t len, uint8_t type, const uint8_t **mac)
{
	*mac = NULL;
	for (size_t at = ND_SIZE; at < len;) {
		size_t size = at + 2 <= len ? icmp[at + 1] * 8u : 0;

		if (size == 0 || at + size > len)
			return false;
		if (icmp[at] == type && !*mac)
			*mac = icmp + at + 2;
		at += size;
	}
	return true;
}

static size_t respond_solicit(
	const struct link_host *h, const uint8_t *frame, size_t icmp_len, uint8_t *reply)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	const uint8_t *ip = frame + ETH, *icmp = ip + 40, *target = icmp + 8;
	bool probe = memcmp(ip + 8, unspecified, 16) == 0; /* duplicate address detection */
	uint8_t *out = reply + ETH, *na = out + 40;
	const uint8_t *mac;

	if (memcmp(target, h->ipv6, 16) != 0 && memcmp(target, h->link_local, 16) != 0)
		return 0;
	if (!nd_option(icmp, icmp_len, ND_OPT_SOURCE, &mac))
		return 0;
	if (probe && (mac || ip[24] != 0xff))
		return 0;
	if (!mac)
		mac = frame + 6;
	if (mac[0] & 1)
		return 0;
	ether_write(reply, probe ? all_nodes_mac : mac, h->mac, RTE_ETHER_TYPE_IPV6);
	ipv6_write(out, ND_SIZE + ND_OPTION, ND_HOP_LIMIT, target, probe ? all_nodes : ip + 8);
	na[0] = ICMP6_ADVERT;
	na[1] = 0;
	store_be32(na + 4, probe ? NA_OVERRIDE : NA_SOLICITED | NA_OVERRIDE);
	memcpy(na + 8, target, 16);
	na[ND_SIZE] = ND_OPT_TARGET;
	na[ND_SIZE + 1] = 1;
	memcpy(na + ND_SIZE + 2, h->mac, LINK_MAC_SIZE);
	icmp6_checksum(out);
	return ND_FRAME;
}

static size_t respond_icmp6(const struct link_host *h, const uint8_t *frame, size_t len,
	uint8_t *reply, size_t cap, struct link_learned *learned)
{
	const uint8_t *ip = frame + ETH, *icmp = ip + 40, *mac;
	size_t icmp_len = load_be16(ip + 4);
	bool nd_sane;

	if (ETH + 40 + icmp_len > len || icmp_len < 8)
		return 0;
	if (ip[8] == 0xff || !icmp6_checksum_ok(ip, icmp_len))
		return 0;
	nd_sane = icmp_len >= ND_SIZE && ip[7] == ND_HOP_LIMIT && icmp[1] == 0 && cap >= ND_FRAME;
	switch (icmp[0]) {
	case ICMP6_SOLICIT:
		return nd_sane ? respond_solicit(h, frame, icmp_len, reply) : 0;
	case ICMP6_ADVERT:
		if (nd_sane && nd_option(icmp, icmp_len, ND_OPT_TARGET, &mac) && mac)
			learn(learned, 6, icmp + 8, mac);
		return 0;
	default:
		return respond_echo6(h, frame, icmp_len, reply, cap);
	}
}

size_t link_respond(const struct link_host *h, const uint8_t *frame, size_t len, uint8_t *reply,
	size_t cap, struct link_learned *learned)
{
	struct link_view v;

	memset(learned, 0, sizeof(*learned));
	if (link_parse(h, frame, len, &v) != DROP_NONE || v.kind != LINK_CONTROL)
		return 0;
	if (frame[6] & 1) /* a group sends nothing: nothing is sent to it */
		return 0;
	switch (load_be16(frame + 12)) {
	case RTE_ETHER_TYPE_ARP:
		return respond_arp(h, frame, len, reply, cap, learned);
	case RTE_ETHER_TYPE_IPV4:
		return respond_echo4(h, frame, len, reply, cap);
	default:
		return respond_icmp6(h, frame, len, reply, cap, learned);
	}
}

size_t link_solicit(
	const struct link_host *h, const struct endpoint *ip, uint8_t out[LINK_SOLICIT_MAX])
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6];
	const uint8_t *low = ip->ip + 13;
	const uint8_t mac[6] = {0x33, 0x33, 0xff, low[0], low[1], low[2]};
	const uint8_t group[16] = {
		0xff, 2, [11] = 1, [12] = 0xff, [13] = low[0], [14] = low[1], [15] = low[2]};
	uint8_t *ns = out + ETH + 40;

	if (ip->family == 4) {
		if (!h->has_ipv4)
			return 0;
		arp_write(out, h, RTE_ARP_OP_REQUEST, broadcast, nobody, ip->ip);
		return ARP_FRAME;
	}
	if (!h->has_ipv6)
		return 0;
	ether_write(out, mac, h->mac, RTE_ETHER_TYPE_IPV6);
	ipv6_write(out + ETH, ND_SIZE + ND_OPTION, ND_HOP_LIMIT, h->ipv6, group);
	memset(ns, 0, ND_SIZE);
	ns[0] = ICMP6_SOLICIT;
	memcpy(ns + 8, ip->ip, 16);
	ns[ND_SIZE] = ND_OPT_SOURCE;
	ns[ND_SIZE + 1] = 1;
	memcpy(ns + ND_SIZE + 2, h->mac, LINK_MAC_SIZE);
	icmp6_checksum(out + ETH);
	return ND_FRAME;
}
