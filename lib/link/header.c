/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/wire.h"

#include <netinet/in.h>
#include <smmintrin.h>
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
	const __m128i low = _mm_set1_epi64x(0xffffffff);
	__m128i even = _mm_setzero_si128(), odd = even;
	const uint8_t *p = data;
	uint64_t sum;
	uint32_t tail = 0;

	/* 32-bit words in 64-bit accumulators: no carry can be lost */
	for (; len >= 32; p += 32, len -= 32) {
		__m128i a = _mm_loadu_si128((const __m128i *)p);
		__m128i b = _mm_loadu_si128((const __m128i *)(p + 16));

		even = _mm_add_epi64(
			even, _mm_add_epi64(_mm_and_si128(a, low), _mm_and_si128(b, low)));
		odd = _mm_add_epi64(
			odd, _mm_add_epi64(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32)));
	}
	even = _mm_add_epi64(even, odd);
	sum = (uint64_t)_mm_cvtsi128_si64(even) + (uint64_t)_mm_extract_epi64(even, 1);
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

void link_ready_make(struct link_ready *r, const struct link_template *t,
	const uint8_t frame[LINK_READY_FRAME], size_t payload_len, bool offload)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(r->bytes + t->len - sizeof(*udp));

	memset(r, 0, sizeof(*r));
	/* the sum that the checksum is made of: that of a payload whose sum is zero */
	link_template_write_sum(t, r->bytes, payload_len + LINK_READY_FRAME,
		link_sum(frame, LINK_READY_FRAME), offload);
	r->sum = (uint16_t)~udp->dgram_cksum;
	memcpy(r->bytes + t->len, frame, LINK_READY_FRAME);
	r->len = (uint8_t)(t->len + LINK_READY_FRAME);
	r->offload = offload;
}

void link_ready_write(const struct link_ready *r, uint8_t *out, uint16_t payload_sum)
{
	uint16_t checksum = (uint16_t)~link_sum_add(r->sum, payload_sum);

	/* two lengths are all that there are: copies of a known size */
	if (r->len == LINK_HEADER4 + LINK_READY_FRAME)
		memcpy(out, r->bytes, LINK_HEADER4 + LINK_READY_FRAME);
	else
		memcpy(out, r->bytes, LINK_HEADER6 + LINK_READY_FRAME);
	if (r->offload)
		return;
	if (checksum == 0)
		checksum = 0xffff; /* zero means «none» */
	memcpy(out + r->len - LINK_READY_FRAME - 2, &checksum, sizeof(checksum));
}
