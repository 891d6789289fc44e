/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_LINKTEST_H
#define BETANET_TESTS_LINKTEST_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/bytes.h"
#include "link/link.h"

/*
 * What the tests of lib/link share: frames of two hosts, and calls that look at a frame in memory
 * of exactly its size, so that the sanitizers see a read behind it. Checksums are computed here a
 * second time, by the RFCs' words.
 */
enum { MAX = 2048, IP = 14, UDP4 = 34, ICMP4 = 34, UDP6 = 54, ICMP6 = 54, PORT = 9000, DATA = 33 };

static struct link_host us = {.mac = {2, 0, 0x11, 0x22, 0x33, 0x44},
	.udp_port = PORT,
	.has_ipv4 = true,
	.has_ipv6 = true,
	.ipv4 = {192, 0, 2, 1},
	.ipv6 = {0x20, 1, 0x0d, 0xb8, [13] = 0xaa, [14] = 0xbb, [15] = 1}};
static struct link_host peer = {.mac = {6, 0, 0x55, 0x66, 0x77, 0x88},
	.udp_port = 5000,
	.has_ipv4 = true,
	.has_ipv6 = true,
	.ipv4 = {192, 0, 2, 9},
	.ipv6 = {0x20, 1, 0x0d, 0xb8, [13] = 0xcc, [14] = 0xdd, [15] = 9}};
static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};

/* ---- one's complement, RFC 1071, byte by byte ---- */

static inline uint32_t sum_of(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	return sum;
}

static inline uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* RFC 768 and RFC 8200, 8.1: what stands in front of UDP and ICMPv6 in their sums. */
static inline uint32_t pseudo_header(const uint8_t *ip, size_t l4_len)
{
	if (ip[0] >> 4 == 4)
		return sum_of(0, ip + 12, 8) + ip[9] + (uint32_t)l4_len;
	return sum_of(0, ip + 8, 32) + ip[6] + (uint32_t)l4_len;
}

static inline void mend_ipv4(uint8_t *frame)
{
	memset(frame + IP + 10, 0, 2);
	store_be16(frame + IP + 10, (uint16_t)~fold(sum_of(0, frame + IP, (frame[IP] & 15u) * 4u)));
}

static inline void mend_icmp(uint8_t *frame, size_t len)
{
	const bool six = frame[IP] >> 4 == 6;
	uint8_t *icmp = frame + (six ? ICMP6 : ICMP4);
	const size_t n = len - (size_t)(icmp - frame);

	memset(icmp + 2, 0, 2);
	store_be16(
		icmp + 2, (uint16_t)~fold(sum_of(six ? pseudo_header(frame + IP, n) : 0, icmp, n)));
}

/* ---- frames ---- */

static inline struct endpoint endpoint_of(const struct link_host *h, uint8_t family)
{
	struct endpoint e = {.family = family, .port = h->udp_port};

	memcpy(e.ip, family == 4 ? h->ipv4 : h->ipv6, family == 4 ? 4 : 16);
	return e;
}

/* A datagram of `data` bytes from the peer to us. */
static inline size_t datagram(uint8_t *frame, uint8_t family, size_t data)
{
	const struct endpoint from = endpoint_of(&peer, family), to = endpoint_of(&us, family);
	struct link_template t;

	link_template_make(&t, peer.mac, us.mac, &from, &to);
	for (size_t i = 0; i < data; i++)
		frame[t.len + i] = (uint8_t)(i * 7 + 1);
	link_template_write(&t, frame, data, false);
	return t.len + data;
}

/* An echo request with n bytes behind its ICMP header. */
static inline size_t echo(uint8_t *frame, uint8_t family, size_t n)
{
	const size_t len = datagram(frame, family, n);
	uint8_t *icmp = frame + (family == 4 ? ICMP4 : ICMP6);

	memcpy(icmp, ((uint8_t[]){family == 4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 7}), 8);
	frame[family == 4 ? IP + 9 : IP + 6] = family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (family == 4)
		mend_ipv4(frame);
	mend_icmp(frame, len);
	return len;
}

static inline size_t solicitation(uint8_t *frame, uint8_t family)
{
	const struct endpoint ip = endpoint_of(&us, family);

	return link_solicit(&peer, &ip, frame);
}

/* The peer's answer to our question. */
static inline size_t answer(uint8_t *frame, uint8_t family)
{
	const struct endpoint ip = endpoint_of(&peer, family);
	struct link_learned l;
	uint8_t ask[LINK_SOLICIT_MAX];
	size_t n = link_solicit(&us, &ip, ask);

	return link_respond(&peer, ask, n, frame, MAX, &l);
}

/* ---- calls, in memory of exactly the frame's size ---- */

static inline uint8_t *exact(const uint8_t *frame, size_t len)
{
	uint8_t *copy = malloc(len);

	assert_true(copy != NULL || len == 0);
	if (len)
		memcpy(copy, frame, len);
	return copy;
}

static inline enum drop_reason parse_as(
	const struct link_host *h, const uint8_t *frame, size_t len, struct link_view *v)
{
	uint8_t *copy = exact(frame, len);
	enum drop_reason why = link_parse(h, copy, len, v);

	free(copy);
	return why;
}

static inline enum drop_reason parse(const uint8_t *frame, size_t len, struct link_view *v)
{
	memset(v, 0xee, sizeof(*v));
	return parse_as(&us, frame, len, v);
}

static inline void assert_drop(const uint8_t *frame, size_t len, enum drop_reason why)
{
	struct link_view v;
	enum drop_reason got = parse(frame, len, &v);

	if (got != why)
		fail_msg("%s, expected %s", drop_name(got), drop_name(why));
}

static inline void assert_mix(const uint8_t *frame, size_t len, size_t offset, size_t data)
{
	struct link_view v;

	assert_int_equal(parse(frame, len, &v), DROP_NONE);
	assert_int_equal(v.kind, LINK_MIX);
	assert_int_equal(v.offset, offset);
	assert_int_equal(v.len, data);
}

static inline void assert_control(const uint8_t *frame, size_t len)
{
	struct link_view v;

	assert_int_equal(parse(frame, len, &v), DROP_NONE);
	assert_int_equal(v.kind, LINK_CONTROL);
	assert_int_equal(v.offset, 0);
	assert_int_equal(v.len, len);
}

static inline size_t respond_cap(
	const uint8_t *frame, size_t len, uint8_t *reply, size_t cap, struct link_learned *l)
{
	uint8_t *copy = exact(frame, len), *out = malloc(cap ? cap : 1);
	size_t n;

	assert_non_null(out);
	memset(l, 0xee, sizeof(*l));
	n = link_respond(&us, copy, len, out, cap, l);
	assert_true(n <= cap);
	memcpy(reply, out, n);
	free(copy);
	free(out);
	return n;
}

static inline size_t respond(const uint8_t *frame, size_t len, uint8_t *reply)
{
	struct link_learned l;
	size_t n = respond_cap(frame, len, reply, MAX, &l);

	assert_int_equal(l.family, 0);
	return n;
}

/* Neither an answer nor anything learned. */
static inline void assert_silence(const uint8_t *frame, size_t len)
{
	uint8_t reply[MAX];

	assert_int_equal(respond(frame, len, reply), 0);
}

static inline void link_hosts_init(void)
{
	link_host_derive(&us);
	link_host_derive(&peer);
}

#endif
