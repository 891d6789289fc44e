/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_LINK_LINK_H
#define BETANET_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/drop.h"
#include "sphinx/address.h"

/*
 * Ethernet, IPv4, IPv6 and UDP around a mix packet, on plain bytes: nothing here touches a port or
 * needs EAL. Ethernet II without VLAN tags (a NIC or switch strips them), RFC 791, RFC 8200, RFC
 * 768.
 */
enum {
	LINK_MAC_SIZE = 6,
	LINK_HEADER4 = 14 + 20 + 8, /* Ethernet + IPv4 + UDP */
	LINK_HEADER6 = 14 + 40 + 8,
	LINK_HEADER_MAX = LINK_HEADER6,
	LINK_HOP_LIMIT =
		64, /* TTL of everything that a relay sends: constant, so that it tells nothing */
};

/* What one port answers for. Immutable while workers run. */
struct link_host {
	uint8_t mac[LINK_MAC_SIZE];
	uint16_t udp_port; /* host byte order */
	bool has_ipv4, has_ipv6;
	uint8_t ipv4[4];
	uint8_t ipv6[16];
	uint8_t link_local[16]; /* fe80:: with the EUI-64 of the MAC; valid with has_ipv6 */
};

/* Fills link_local from mac (RFC 4291, appendix A). */
void link_host_derive(struct link_host *h);

/* ---- parse: worker
 * -------------------------------------------------------------------------------- */

enum link_kind {
	LINK_MIX,     /* UDP to our port: offset and len are those of its payload */
	LINK_CONTROL, /* ARP, ICMP echo, ND: for the control lcore, whole */
};

struct link_view {
	enum link_kind kind;
	uint32_t offset, len; /* bytes within the frame */
};

/*
 * Looks at one received frame of `len` contiguous bytes. DROP_NONE with *v set, or the reason to
 * drop it. Every field is checked against `len` before it is read. The UDP checksum is not verified
 * here: gamma authenticates the header, LIONESS the payload, and virtual ports deliver unfinished
 * checksums.
 */
enum drop_reason link_parse(
	const struct link_host *h, const uint8_t *frame, size_t len, struct link_view *v);

/* Where a frame came from, address and UDP port: of one that link_parse called LINK_MIX, with its
 * v.offset as `headers`. The bytes must be unchanged. */
void link_source(const uint8_t *frame, size_t headers, struct endpoint *from);

/* ---- headers: worker
 * ------------------------------------------------------------------------------- */

/* Ready-made headers towards one neighbour, all constant fields filled in. */
struct link_template {
	uint8_t bytes[LINK_HEADER_MAX];
	uint8_t len;    /* LINK_HEADER4 or LINK_HEADER6 */
	uint8_t family; /* 4 or 6 */
};

/* src and dst are of one family. DF set, IP-ID zero, DSCP zero, TTL constant. */
void link_template_make(struct link_template *t, const uint8_t src_mac[LINK_MAC_SIZE],
	const uint8_t dst_mac[LINK_MAC_SIZE], const struct endpoint *src,
	const struct endpoint *dst);

/*
 * Writes t->len bytes of headers to `out`, in front of a payload of `payload_len` bytes whose
 * link_sum is `payload_sum`: the payload itself is not read, for it may have left the cache long
 * ago. With `offload` the NIC computes the checksums (payload_sum is ignored): only the
 * pseudo-header sum is left in place.
 */
void link_template_write_sum(const struct link_template *t, uint8_t *out, size_t payload_len,
	uint16_t payload_sum, bool offload);

/* The same for a payload that stands directly behind the headers, at out + t->len. */
void link_template_write(
	const struct link_template *t, uint8_t *out, size_t payload_len, bool offload);

/*
 * Headers and frame towards one neighbour for payloads of one length: everything is filled in but
 * the payload's part of the UDP checksum.
 */
enum { LINK_READY_FRAME = 4 };

struct link_ready {
	uint8_t bytes[LINK_HEADER_MAX + LINK_READY_FRAME];
	uint8_t len;
	bool offload;
	uint16_t sum; /* of pseudo-header, UDP header and frame */
};

/* `frame` stands between the headers and a payload of `payload_len` bytes. */
void link_ready_make(struct link_ready *r, const struct link_template *t,
	const uint8_t frame[LINK_READY_FRAME], size_t payload_len, bool offload);

/* Writes r->len bytes to `out`, directly in front of the payload. */
void link_ready_write(const struct link_ready *r, uint8_t *out, uint16_t payload_sum);

/* One's complement sum of bytes as 16-bit words in memory order, not complemented (RFC 1071). Sums
 * of parts that start at even offsets may be added with link_sum_add. */
uint16_t link_sum(const void *data, size_t len);

static inline uint16_t link_sum_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum + (sum >> 16));
}

/* ---- ARP, ND, ICMP: control lcore
 * ------------------------------------------------------------------- */

/* What a frame told about a neighbour, to be believed only if it was asked for. */
struct link_learned {
	uint8_t family; /* 0: nothing */
	uint8_t ip[16];
	uint8_t mac[LINK_MAC_SIZE];
};

/*
 * Answers ARP requests (RFC 826), neighbour solicitations (RFC 4861) and echo requests (RFC 792,
 * RFC 4443) for this host into reply[cap]; takes ARP replies and neighbour advertisements into
 * *learned. Returns the reply's length in bytes, 0 when there is none; malformed frames get
 * silence.
 */
size_t link_respond(const struct link_host *h, const uint8_t *frame, size_t len, uint8_t *reply,
	size_t cap, struct link_learned *learned);

enum { LINK_SOLICIT_MAX = 14 + 40 + 32 };

/* Writes an ARP request or a neighbour solicitation for `ip` into `out`; returns its length, 0 when
 * the host has no address of that family. */
size_t link_solicit(
	const struct link_host *h, const struct endpoint *ip, uint8_t out[LINK_SOLICIT_MAX]);

#endif
