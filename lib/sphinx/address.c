/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/address.h"
#include "core/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

enum { OFF_PORT = 1, OFF_IP = 3 };

static size_t ip_size(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

enum sphinx_status address_decode(const uint8_t in[SPHINX_ADDRESS_SIZE], struct endpoint *out)
{
	memset(out, 0, sizeof(*out));
	if (in[0] != 4 && in[0] != 6)
		return SPHINX_bad_address;
	out->family = in[0];
	out->port = load_be16(in + OFF_PORT);
	memcpy(out->ip, in + OFF_IP, ip_size(out->family));
	return SPHINX_ok;
}

void address_encode(uint8_t out[SPHINX_ADDRESS_SIZE], const struct endpoint *e)
{
	memset(out, 0, SPHINX_ADDRESS_SIZE);
	out[0] = e->family;
	store_be16(out + OFF_PORT, e->port);
	memcpy(out + OFF_IP, e->ip, ip_size(e->family));
}

int endpoint_parse_ip(struct endpoint *e, const char *text)
{
	memset(e, 0, sizeof(*e));
	if (inet_pton(AF_INET, text, e->ip) == 1)
		e->family = 4;
	else if (inet_pton(AF_INET6, text, e->ip) == 1)
		e->family = 6;
	else
		return -EINVAL;
	return 0;
}

/* Digits only, no sign, no spaces: 0..max. */
static int parse_number(const char *text, size_t len, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (len == 0 || len > 5)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		v = 10 * v + (unsigned)(text[i] - '0');
	}
	*out = v;
	return v <= max ? 0 : -EINVAL;
}

/* The first n characters of `text` as an IP address. */
static int parse_ip_part(struct endpoint *e, const char *text, size_t n)
{
	char ip[INET6_ADDRSTRLEN];

	if (n >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	return endpoint_parse_ip(e, ip);
}

int endpoint_parse(struct endpoint *e, const char *text)
{
	const char *colon = strrchr(text, ':');
	uint8_t family = 4;
	const char *ip = text;
	unsigned port;
	size_t n;

	memset(e, 0, sizeof(*e));
	if (!colon || parse_number(colon + 1, strlen(colon + 1), UINT16_MAX, &port) < 0)
		return -EINVAL;
	n = (size_t)(colon - text);
	if (*text == '[') {
		if (n < 2 || colon[-1] != ']')
			return -EINVAL;
		family = 6;
		ip++;
		n -= 2;
	}
	if (parse_ip_part(e, ip, n) < 0 || e->family != family) {
		memset(e, 0, sizeof(*e));
		return -EINVAL;
	}
	e->port = (uint16_t)port;
	return 0;
}

const char *endpoint_format(char out[ENDPOINT_STRLEN], const struct endpoint *e)
{
	char ip[INET6_ADDRSTRLEN];

	inet_ntop(e->family == 4 ? AF_INET : AF_INET6, e->ip, ip, sizeof(ip));
	snprintf(out, ENDPOINT_STRLEN, e->family == 4 ? "%s:%u" : "[%s]:%u", ip, e->port);
	return out;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *sa)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(e->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};

	memset(sa, 0, sizeof(*sa));
	if (e->family == 4) {
		memcpy(&in4.sin_addr, e->ip, 4);
		memcpy(sa, &in4, sizeof(in4));
		return sizeof(in4);
	}
	memcpy(&in6.sin6_addr, e->ip, 16);
	memcpy(sa, &in6, sizeof(in6));
	return sizeof(in6);
}

int endpoint_from_sockaddr(struct endpoint *e, const struct sockaddr *sa)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memset(e, 0, sizeof(*e));
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in4, sa, sizeof(in4));
		e->family = 4;
		e->port = ntohs(in4.sin_port);
		memcpy(e->ip, &in4.sin_addr, 4);
		return 0;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		e->family = 6;
		e->port = ntohs(in6.sin6_port);
		memcpy(e->ip, &in6.sin6_addr, 16);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

/* The bits of octet i that lie inside a prefix. */
static uint8_t octet_mask(unsigned bits, unsigned i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	if (bits <= 8 * i)
		return 0;
	return (uint8_t)(0xff00 >> (bits - 8 * i));
}

int cidr_parse(struct cidr *c, const char *text)
{
	const char *slash = strchr(text, '/');
	unsigned bits, max;
	struct endpoint e;

	memset(c, 0, sizeof(*c));
	if (parse_ip_part(&e, text, slash ? (size_t)(slash - text) : strlen(text)) < 0)
		return -EINVAL;
	max = bits = e.family == 4 ? 32 : 128;
	if (slash && parse_number(slash + 1, strlen(slash + 1), max, &bits) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < ip_size(e.family); i++)
		if (e.ip[i] & ~octet_mask(bits, i))
			return -ERANGE;
	c->family = e.family;
	c->bits = (uint8_t)bits;
	memcpy(c->ip, e.ip, sizeof(c->ip));
	return 0;
}

int cidr_contains(const struct cidr *c, const struct endpoint *e)
{
	if (c->family != e->family)
		return 0;
	for (unsigned i = 0; i < ip_size(c->family); i++)
		if ((c->ip[i] ^ e->ip[i]) & octet_mask(c->bits, i))
			return 0;
	return 1;
}
