/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_FUZZ_FRAMES_H
#define BETANET_TESTS_FUZZ_FRAMES_H

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <sodium.h>
#include <stdbool.h>

#include "../unit/small_order.h"
#include "core/bytes.h"
#include "crypto/aes_ctr.h"
#include "crypto/x25519.h"
#include "fuzz.h"
#include "link/link.h"
#include "sphinx/derive.h"
#include "sphinx/frame.h"
#include "sphinx/layout.h"
#include "sphinx/sphinx.h"

/* Frames for the pipeline: good ones, and every way to bend them. */

enum {
	PAYLOAD = 256,
	PACKET = SPHINX_HEADER_SIZE + PAYLOAD,
	DATAGRAM = FRAME_SIZE + PACKET,
	FRAME_MAX = 2048,
	PORTS = 2,
	BASES = 256,
	UDP_PORT = 9000,
};

/* A good packet, and what its first hop derives: a forged block needs no curve. */
struct base {
	uint8_t packet[PACKET];
	struct sphinx_secrets secrets;
	unsigned seen; /* the epoch in which its tag was last remembered */
};

struct frame {
	uint8_t data[FRAME_MAX];
	size_t len;
	unsigned port, segments;
	uint64_t ol_flags;
	struct base *base; /* whose packet it carries, perhaps bent; NULL: none */
	bool forged;       /* bent, but gamma is right */
	bool small_order;
};

static struct crypto *frames_crypto;
static uint8_t frames_secret[32];
static struct base frames_base[BASES];
static struct link_host frames_host[PORTS], frames_peer[PORTS];

/* Addresses that a block may lead to: of the directory, of its edge, of exits. */
static const char *const frames_address[] = {"10.0.1.1:9000", "10.0.2.2:9000", "[fd00:2::2]:9000",
	"[2001:db8::7]:9000", "172.16.0.1:9000", "10.0.2.3:9000", "10.0.2.50:7000", "10.0.2.50:0",
	"172.16.5.5:7000", "[2001:db8::9]:1", "10.9.9.9:9", "[fd00:2::2]:9001"};
enum { ADDRESSES = sizeof(frames_address) / sizeof(*frames_address) };

/* What cannot happen in a test that is right. */
static inline void frames_must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "fuzz: %s\n", what);
		abort();
	}
}

static inline void frames_any_address(uint8_t out[SPHINX_ADDRESS_SIZE])
{
	struct endpoint e;

	if (fuzz_below(16) == 0) {
		fuzz_fill(out, SPHINX_ADDRESS_SIZE);
		return;
	}
	frames_must(endpoint_parse(&e, frames_address[fuzz_below(ADDRESSES)]) == 0, "endpoint");
	address_encode(out, &e);
	if (fuzz_below(16) == 0)
		out[0] = (uint8_t)fuzz_below(8);
}

static inline void frames_make_base(struct base *b)
{
	static const uint16_t versions[] = {258, 259, 259, 260, 65535, 0};
	struct sphinx_route r = {.hops = 1 + (unsigned)fuzz_below(SPHINX_MAX_HOPS),
		.version = versions[fuzz_below(6)]};
	struct sphinx_entropy entropy;
	uint8_t message[PAYLOAD], other[32];

	fuzz_fill(&entropy, sizeof(entropy));
	fuzz_fill(message, sizeof(message));
	if (fuzz_below(2)) /* as many final packets as others */
		r.hops = 1;
	for (unsigned h = 0; h < r.hops; h++) {
		fuzz_fill(other, sizeof(other));
		x25519_base(r.hop[h].public_key, h ? other : frames_secret);
		frames_any_address(r.hop[h].address);
		r.hop[h].delay_ns = fuzz_next() >> fuzz_below(64);
	}
	frames_any_address(r.destination);
	fuzz_fill(r.identifier, sizeof(r.identifier));
	frames_must(sphinx_build(frames_crypto, &r, message,
			    fuzz_below(PAYLOAD - SPHINX_PAYLOAD_OVERHEAD + 1), PAYLOAD, &entropy,
			    b->packet) == SPHINX_ok,
		"a packet could not be built");
	frames_must(sphinx_unwrap_open(frames_crypto, frames_secret, b->packet, PACKET,
			    &b->secrets) == SPHINX_ok,
		"a good packet was refused");
}

static inline void frames_init(struct crypto *c)
{
	frames_crypto = c;
	fuzz_fill(frames_secret, sizeof(frames_secret));
	for (unsigned i = 0; i < PORTS; i++) {
		const uint8_t net = (uint8_t)(i + 1);

		frames_host[i] = (struct link_host){.mac = {2, 0, 0, 0, net, 1},
			.udp_port = UDP_PORT,
			.has_ipv4 = true,
			.has_ipv6 = true,
			.ipv4 = {10, 0, net, 1},
			.ipv6 = {0xfd, 0, 0, net, [15] = 1}};
		frames_peer[i] = frames_host[i];
		frames_peer[i].mac[5] = frames_peer[i].ipv4[3] = frames_peer[i].ipv6[15] = 9;
		link_host_derive(&frames_host[i]);
		link_host_derive(&frames_peer[i]);
	}
	for (unsigned i = 0; i < BASES; i++)
		frames_make_base(&frames_base[i]);
}

/* ---- good frames ---- */

static inline struct endpoint frames_endpoint(const struct link_host *h, unsigned family)
{
	struct endpoint e = {.family = (uint8_t)family, .port = h->udp_port};

	memcpy(e.ip, family == 4 ? h->ipv4 : h->ipv6, family == 4 ? 4 : 16);
	return e;
}

/* Ethernet, IP and UDP of `payload` bytes from the peer of the frame's port, or with an address of
 * the directory; returns where the payload belongs. */
static inline uint8_t *frames_wrap(struct frame *f, unsigned family, size_t payload)
{
	const struct link_host *peer = &frames_peer[f->port], *host = &frames_host[f->port];
	struct endpoint from = frames_endpoint(peer, family), to = frames_endpoint(host, family);
	struct endpoint relay;
	struct link_template t;

	frames_must(endpoint_parse(&relay, frames_address[fuzz_below(ADDRESSES)]) == 0, "endpoint");
	if (fuzz_below(4) == 0 && relay.family == family)
		from = relay;
	link_template_make(&t, peer->mac, host->mac, &from, &to);
	link_template_write(&t, f->data, payload, false);
	f->len = t.len + payload;
	return f->data + t.len;
}

/* The Sphinx packet of a good frame. */
static inline uint8_t *frames_good(struct frame *f)
{
	unsigned family = fuzz_below(3) ? 4 : 6;
	uint8_t *at = f->data + (family == 4 ? LINK_HEADER4 : LINK_HEADER6);

	f->base = &frames_base[fuzz_below(BASES)];
	frame_write(at, PAYLOAD, (uint8_t)fuzz_below(3));
	memcpy(at + FRAME_SIZE, f->base->packet, PACKET);
	frames_wrap(f, family, DATAGRAM);
	return at + FRAME_SIZE;
}

/* ---- bent ones ---- */

/* Makes lengths or checksums right again, so that a change gets past the first look. */
static inline void frames_mend(struct frame *f, bool lengths)
{
	uint8_t *ip = f->data + 14;
	size_t avail = f->len > 14 ? f->len - 14 : 0, header;
	uint16_t sum;

	if (avail < 40)
		return;
	if (load_be16(f->data + 12) == 0x86dd) {
		if (lengths)
			store_be16(ip + 4, (uint16_t)(avail - 40));
		if (lengths && avail >= 48 && ip[6] == IPPROTO_UDP)
			store_be16(ip + 44, (uint16_t)(avail - 40));
		if (ip[6] == IPPROTO_ICMPV6 && avail >= 44 && load_be16(ip + 4) <= avail - 40) {
			memset(ip + 42, 0, 2);
			sum = rte_ipv6_udptcp_cksum((struct rte_ipv6_hdr *)ip, ip + 40);
			memcpy(ip + 42, &sum, 2);
		}
		return;
	}
	header = (ip[0] & 15u) * 4u;
	if (lengths)
		store_be16(ip + 2, (uint16_t)avail);
	if (lengths && header + 8 <= avail && ip[9] == IPPROTO_UDP)
		store_be16(ip + header + 4, (uint16_t)(avail - header));
	if (ip[9] == IPPROTO_ICMP && header + 8 <= avail && load_be16(ip + 2) <= avail &&
		load_be16(ip + 2) >= header + 8) {
		memset(ip + header + 2, 0, 2);
		sum = (uint16_t)~rte_raw_cksum(ip + header, load_be16(ip + 2) - header);
		memcpy(ip + header + 2, &sum, 2);
	}
	if (header < 12 || header > avail)
		return;
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~rte_raw_cksum(ip, header);
	memcpy(ip + 10, &sum, 2);
}

static inline void frames_bend(struct frame *f, size_t from, size_t n)
{
	for (size_t k = 1 + fuzz_below(3); k > 0; k--) {
		uint8_t *at = f->data + from + fuzz_below(n);

		if (fuzz_below(2))
			*at = (uint8_t)fuzz_next();
		else
			*at ^= (uint8_t)(1 << fuzz_below(8));
	}
}

static inline void bare_noise(struct frame *f)
{
	f->len = fuzz_below(fuzz_below(4) ? 128 : FRAME_MAX + 1);
	fuzz_fill(f->data, f->len);
}

/* Random but for the fields without which nothing gets far. */
static inline void dressed_noise(struct frame *f)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806};
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP,
		IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_AH};
	const struct link_host *h = &frames_host[f->port];
	const uint16_t type = types[fuzz_below(3)];
	uint8_t *ip = f->data + 14;

	f->len = 14 + fuzz_below(fuzz_below(8) ? 200 : FRAME_MAX - 13);
	fuzz_fill(f->data, f->len);
	memcpy(f->data, h->mac, LINK_MAC_SIZE);
	store_be16(f->data + 12, type);
	if (f->len < 14 + 40 || type == 0x0806)
		return;
	if (type == 0x0800) {
		ip[0] = fuzz_below(4) ? 0x45 : (uint8_t)(0x40 | fuzz_below(16));
		ip[9] = protocols[fuzz_below(2)];
		memset(ip + 6, 0, 2);
		memcpy(ip + 16, h->ipv4, 4);
	} else {
		ip[0] = 0x60;
		ip[6] = protocols[fuzz_below(sizeof(protocols))];
		memcpy(ip + 24, fuzz_below(2) ? h->ipv6 : h->link_local, 16);
		ip[40] = (uint8_t)(fuzz_below(2) ? fuzz_next() : 128 + fuzz_below(10));
	}
	frames_mend(f, fuzz_below(8) != 0);
}

static inline void bent_headers(struct frame *f)
{
	frames_good(f);
	frames_bend(f, 0, f->len - PACKET);
	if (fuzz_below(2))
		frames_mend(f, fuzz_below(2));
}

static inline void another_length(struct frame *f)
{
	frames_good(f);
	f->len = fuzz_below(4) ? fuzz_below(f->len) : f->len + fuzz_below(FRAME_MAX - f->len + 1);
	if (fuzz_below(2))
		frames_mend(f, true);
}

/* ARP, ND and echo, good and bent. */
static inline void for_control(struct frame *f)
{
	const struct link_host *host = &frames_host[f->port], *peer = &frames_peer[f->port];
	const unsigned family = fuzz_below(2) ? 4 : 6;
	struct endpoint ip = frames_endpoint(host, family);
	struct link_learned l;
	uint8_t ask[LINK_SOLICIT_MAX], *icmp;
	size_t n;

	switch (fuzz_below(3)) {
	case 0:
		f->len = link_solicit(peer, &ip, f->data);
		break;
	case 1: /* the peer's answer to us */
		ip = frames_endpoint(peer, family);
		n = link_solicit(host, &ip, ask);
		f->len = link_respond(peer, ask, n, f->data, FRAME_MAX, &l);
		frames_must(f->len > 0, "a solicitation was not answered");
		break;
	default:
		n = 8 + fuzz_below(200);
		icmp = frames_wrap(f, family, n - 8) - 8;
		fuzz_fill(icmp, n);
		store_be16(icmp, family == 4 ? 8 << 8 : 128 << 8);
		f->data[family == 4 ? 23 : 20] = family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		frames_mend(f, false);
	}
	if (fuzz_below(4) == 0)
		return;
	frames_bend(f, 0, f->len);
	if (fuzz_below(4) == 0)
		f->len = fuzz_below(f->len + 1);
	if (fuzz_below(4))
		frames_mend(f, false);
}

/* As a NIC may hand it over: in two segments, or with a verdict on its checksums. */
static inline void odd_mbuf(struct frame *f)
{
	static const uint64_t flags[] = {RTE_MBUF_F_RX_IP_CKSUM_BAD, RTE_MBUF_F_RX_L4_CKSUM_BAD,
		RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD};

	frames_good(f);
	if (fuzz_below(2))
		f->segments = 2;
	else
		f->ol_flags = flags[fuzz_below(4)];
}

static inline void bent_sphinx_header(struct frame *f)
{
	uint8_t *packet = frames_good(f);

	frames_bend(f, (size_t)(packet - f->data), SPHINX_HEADER_SIZE);
}

static inline void small_order_alpha(struct frame *f)
{
	small_order_point(frames_good(f), (unsigned)fuzz_below(2 * SMALL_ORDER_COUNT));
	f->small_order = true;
}

static inline void good(struct frame *f)
{
	frames_good(f);
}

static inline void other_payload(struct frame *f)
{
	uint8_t *packet = frames_good(f);
	const size_t from = fuzz_below(PAYLOAD);

	fuzz_fill(packet + SPHINX_HEADER_SIZE + from, PAYLOAD - from);
}

/* A sender may write anything into a block and have the right MAC. */
static inline void forged_block(struct frame *f)
{
	uint8_t *packet = frames_good(f), *beta = packet + PACKET_BETA;
	const uint8_t *expanded = f->base->secrets.expanded;

	aes_ctr_xor(frames_crypto, expanded, beta, beta, SPHINX_BETA_SIZE);
	if (fuzz_below(3) == 0)
		fuzz_fill(beta, 1 + fuzz_below(SPHINX_BETA_SIZE));
	if (fuzz_below(4) == 0)
		frames_any_address(beta + BLOCK_ADDRESS);
	if (fuzz_below(4) == 0)
		beta[BLOCK_FLAG] = (uint8_t)fuzz_below(fuzz_below(2) ? 4 : 256);
	if (fuzz_below(4) == 0)
		store_be16(
			beta + BLOCK_VERSION, (uint16_t)(fuzz_below(2) ? 1 : 256 + fuzz_below(5)));
	aes_ctr_xor(frames_crypto, expanded, beta, beta, SPHINX_BETA_SIZE);
	sphinx_mac(frames_crypto, expanded, beta, packet + PACKET_GAMMA);
	f->forged = true;
}

static const struct {
	const char *name;
	void (*make)(struct frame *f);
	unsigned weight;
} frames_kind[] = {
	{"bare noise", bare_noise, 20},
	{"noise with good fields", dressed_noise, 22},
	{"bent headers", bent_headers, 26},
	{"another length", another_length, 12},
	{"ARP, ND, echo", for_control, 10},
	{"odd mbufs", odd_mbuf, 1},
	{"bent Sphinx header", bent_sphinx_header, 3},
	{"small-order alpha", small_order_alpha, 1},
	{"good", good, 2},
	{"another payload", other_payload, 1},
	{"forged block, right MAC", forged_block, 2},
};
enum { KINDS = sizeof(frames_kind) / sizeof(*frames_kind), KIND_WEIGHTS = 100 };

/* Makes one frame; returns its kind. */
static inline unsigned frames_make(struct frame *f)
{
	size_t at = fuzz_below(KIND_WEIGHTS);
	unsigned kind = 0;

	for (; at >= frames_kind[kind].weight; kind++)
		at -= frames_kind[kind].weight;
	f->port = (unsigned)fuzz_below(PORTS);
	f->segments = 1;
	f->ol_flags = 0;
	f->base = NULL;
	f->forged = f->small_order = false;
	frames_kind[kind].make(f);
	return kind;
}

#endif
