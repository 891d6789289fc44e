/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/wire.h"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_udp.h>

static enum drop_reason parse_udp(const struct link_host *h, const uint8_t *frame, size_t offset,
	size_t l4_len, bool checksum_required, struct link_view *v)
{
	const uint8_t *udp = frame + offset;

	if (l4_len < UDP_HEADER || load_be16(udp + 4) != l4_len)
		return DROP_bad_udp;
	if (checksum_required && load_be16(udp + 6) == 0)
		return DROP_bad_udp;
	if (load_be16(udp + 2) != h->udp_port)
		return DROP_wrong_port;
	v->kind = LINK_MIX;
	v->offset = (uint32_t)(offset + UDP_HEADER);
	v->len = (uint32_t)(l4_len - UDP_HEADER);
	return DROP_NONE;
}

static enum drop_reason to_control(size_t len, struct link_view *v)
{
	v->kind = LINK_CONTROL;
	v->offset = 0;
	v->len = (uint32_t)len;
	return DROP_NONE;
}

static enum drop_reason parse_ipv4(
	const struct link_host *h, const uint8_t *frame, size_t len, struct link_view *v)
{
	const uint8_t *ip = frame + ETHER_HEADER;
	size_t avail = len - ETHER_HEADER, total, header;

	if (avail < IPV4_HEADER || ip[0] >> 4 != 4)
		return DROP_bad_ip;
	header = (ip[0] & 15u) * 4u;
	total = load_be16(ip + 2);
	if (header < IPV4_HEADER || total < header || total > avail)
		return DROP_bad_ip;
	/* the one's complement sum over a header with a right checksum is all ones */
	if (rte_raw_cksum(ip, header) != 0xffff)
		return DROP_bad_ip_checksum;
	if (!h->has_ipv4 || memcmp(ip + 16, h->ipv4, 4) != 0)
		return DROP_not_ours;
	if (header > IPV4_HEADER)
		return DROP_ip_options;
	if (load_be16(ip + 6) & 0x3fff) /* more fragments, or an offset */
		return DROP_ip_fragment;
	if (ip[9] == IPPROTO_UDP)
		return parse_udp(
			h, frame, ETHER_HEADER + IPV4_HEADER, total - IPV4_HEADER, false, v);
	if (ip[9] == IPPROTO_ICMP && total > IPV4_HEADER &&
		ip[IPV4_HEADER] == RTE_IP_ICMP_ECHO_REQUEST)
		return to_control(len, v);
	return DROP_not_udp;
}

/* Our own addresses, all nodes, and the solicited-node groups of our addresses (RFC 4291, 2.7.1).
 */
static bool ipv6_for_us(const struct link_host *h, const uint8_t *dst)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t solicited[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	if (!h->has_ipv6)
		return false;
	if (memcmp(dst, h->ipv6, 16) == 0 || memcmp(dst, h->link_local, 16) == 0 ||
		memcmp(dst, all_nodes, 16) == 0)
		return true;
	return memcmp(dst, solicited, 13) == 0 &&
	       (memcmp(dst + 13, h->ipv6 + 13, 3) == 0 ||
		       memcmp(dst + 13, h->link_local + 13, 3) == 0);
}

static enum drop_reason parse_ipv6(
	const struct link_host *h, const uint8_t *frame, size_t len, struct link_view *v)
{
	const uint8_t *ip = frame + ETHER_HEADER;
	size_t avail = len - ETHER_HEADER, payload;

	if (avail < IPV6_HEADER || ip[0] >> 4 != 6)
		return DROP_bad_ip;
	payload = load_be16(ip + 4);
	if (payload > avail - IPV6_HEADER)
		return DROP_bad_ip;
	if (!ipv6_for_us(h, ip + 24))
		return DROP_not_ours;
	switch (ip[6]) {
	case IPPROTO_UDP:
		if (ip[24] == 0xff)
			return DROP_not_ours;
		return parse_udp(h, frame, ETHER_HEADER + IPV6_HEADER, payload, true, v);
	case IPPROTO_ICMPV6:
		if (payload >= 1 && (ip[40] == ICMP6_ECHO_REQUEST || ip[40] == ICMP6_SOLICIT ||
					    ip[40] == ICMP6_ADVERT))
			return to_control(len, v);
		return DROP_not_udp;
	case IPPROTO_FRAGMENT:
		return DROP_ip_fragment;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return DROP_ip_options;
	default:
		return DROP_not_udp;
	}
}

enum drop_reason link_parse(
	const struct link_host *h, const uint8_t *frame, size_t len, struct link_view *v)
{
	if (len < ETHER_HEADER)
		return DROP_bad_ethernet;
	/* the group bit: broadcast and multicast; everything else must carry our own MAC */
	if (!(frame[0] & 1) && memcmp(frame, h->mac, LINK_MAC_SIZE) != 0)
		return DROP_not_ours;
	switch (load_be16(frame + 12)) {
	case RTE_ETHER_TYPE_IPV4:
		return parse_ipv4(h, frame, len, v);
	case RTE_ETHER_TYPE_IPV6:
		return parse_ipv6(h, frame, len, v);
	case RTE_ETHER_TYPE_ARP:
		return to_control(len, v);
	default:
		return DROP_bad_ethernet;
	}
}

void link_source(const uint8_t *frame, size_t headers, struct endpoint *from)
{
	const bool four = headers == LINK_HEADER4;
	const size_t size = four ? 4 : 16;

	memset(from, 0, sizeof(*from));
	from->family = four ? 4 : 6;
	from->port = load_be16(frame + headers - UDP_HEADER);
	/* the source stands in front of the destination, which ends the IP header */
	memcpy(from->ip, frame + headers - UDP_HEADER - 2 * size, size);
}

void link_host_derive(struct link_host *h)
{
	const uint8_t *m = h->mac;
	const uint8_t ll[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)(m[0] ^ 2), m[1], m[2], 0xff,
		0xfe, m[3], m[4], m[5]};

	memcpy(h->link_local, ll, sizeof(ll));
}
