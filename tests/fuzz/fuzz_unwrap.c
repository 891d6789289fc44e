/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_unwrap ITERATIONS [SEED]: random and mutated packets into lib/sphinx, meant to run under
 * sanitizers (make fuzz). The same seed gives the same run. Every packet lies in memory of exactly
 * its size, and every answer is checked against what the mutation must lead to; a wrong one ends
 * the program with the iteration that shows it again.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "core/bytes.h"
#include "crypto/aes_ctr.h"
#include "crypto/x25519.h"
#include "sphinx/address.h"
#include "sphinx/derive.h"
#include "sphinx/frame.h"
#include "sphinx/layout.h"
#include "sphinx/sphinx.h"

enum { BASES = 24, PAYLOAD = 128, PACKET = SPHINX_HEADER_SIZE + PAYLOAD, LONGEST = 4096 };

/* A good packet and what its first hop derives: a forged block needs no curve. */
struct base {
	uint8_t secret[32], packet[PACKET], expanded[SPHINX_EXPANDED_SIZE];
};

static struct crypto *crypto;
static struct base bases[BASES];

static void finding(const char *what, unsigned got)
{
	fprintf(stderr, "\nfuzz_unwrap: iteration %llu of seed %llu: %s (%u, %s)\n",
		(unsigned long long)fuzz_iteration, (unsigned long long)fuzz_seed, what, got,
		sphinx_status_name((enum sphinx_status)got));
	abort();
}

static void expect(enum sphinx_status got, enum sphinx_status want, const char *what)
{
	if (got != want)
		finding(what, got);
}

static void make_base(struct base *b, unsigned i)
{
	static const uint16_t versions[] = {258, 259, 260, 65535};
	struct sphinx_route route = {.hops = 1 + i % SPHINX_MAX_HOPS, .version = versions[i % 4]};
	struct sphinx_secrets secrets;
	struct sphinx_entropy entropy;
	uint8_t other[32];

	fuzz_fill(b->secret, sizeof(b->secret));
	fuzz_fill(&entropy, sizeof(entropy));
	for (unsigned h = 0; h < route.hops; h++) {
		fuzz_fill(other, sizeof(other));
		x25519_base(route.hop[h].public_key, h ? other : b->secret);
		fuzz_fill(route.hop[h].address, sizeof(route.hop[h].address));
		route.hop[h].delay_ns = fuzz_next();
	}
	fuzz_fill(route.destination, sizeof(route.destination));
	expect(sphinx_build(crypto, &route, route.destination, 32, PAYLOAD, &entropy, b->packet),
		SPHINX_ok, "a packet could not be built");
	expect(sphinx_unwrap_open(crypto, b->secret, b->packet, PACKET, &secrets), SPHINX_ok,
		"a good packet was refused");
	memcpy(b->expanded, secrets.expanded, sizeof(b->expanded));
}

/* Unwraps; checks what holds for every packet and returns the status. */
static enum sphinx_status unwrap(
	const struct base *b, uint8_t *packet, size_t len, struct sphinx_hop *hop)
{
	struct sphinx_secrets secrets;
	const uint8_t *message;
	struct endpoint e;
	enum sphinx_status status;
	size_t n;

	memset(&secrets, 0xaa, sizeof(secrets));
	status = sphinx_unwrap_open(crypto, b->secret, packet, len, &secrets);
	if (status == SPHINX_ok)
		status = sphinx_unwrap_finish(crypto, packet, len, &secrets, hop);
	else if (status > SPHINX_bad_mac)
		finding("an error that the first half cannot have", status);
	if (!sodium_is_zero((const uint8_t *)&secrets, sizeof(secrets)))
		finding("secrets were left behind", status);
	if (status != SPHINX_ok)
		return status;
	if ((hop->flag != SPHINX_FLAG_FORWARD && hop->flag != SPHINX_FLAG_FINAL) ||
		sphinx_version_refused(hop->version))
		finding("a flag or version that must be refused", status);
	if ((address_decode(hop->address, &e) == SPHINX_ok) !=
		(hop->address[0] == 4 || hop->address[0] == 6))
		finding("an address and its family disagree", status);
	if (sphinx_payload_message(packet + SPHINX_HEADER_SIZE, len - SPHINX_HEADER_SIZE, &message,
		    &n) == SPHINX_ok &&
		(message != packet + SPHINX_HEADER_SIZE + 16 ||
			n + SPHINX_PAYLOAD_OVERHEAD > len - SPHINX_HEADER_SIZE))
		finding("a message that lies outside its payload", status);
	return status;
}

/* ---- mutations; `packet` starts as the base's, in memory of its size ---- */

static void good(const struct base *b, uint8_t *packet)
{
	struct sphinx_hop hop;

	expect(unwrap(b, packet, PACKET, &hop), SPHINX_ok, "a good packet was refused");
}

/* Bit 255 of alpha, which X25519 ignores, is put back first. */
static bool same_header(const struct base *b, uint8_t *packet)
{
	packet[31] = (uint8_t)((packet[31] & 0x7f) | (b->packet[31] & 0x80));
	return memcmp(packet, b->packet, SPHINX_HEADER_SIZE) == 0;
}

static void flipped_header(const struct base *b, uint8_t *packet)
{
	struct sphinx_hop hop;
	bool same;

	for (size_t flips = 1 + fuzz_below(4); flips > 0; flips--)
		packet[fuzz_below(SPHINX_HEADER_SIZE)] ^= (uint8_t)(1 << fuzz_below(8));
	/* two flips may undo each other */
	same = same_header(b, packet);
	expect(unwrap(b, packet, PACKET, &hop), same ? SPHINX_ok : SPHINX_bad_mac,
		"a changed header was taken, or a good one was not");
}

static void another_length(const struct base *b, uint8_t *packet)
{
	const size_t len = fuzz_below(4) ? fuzz_below(PACKET + 1) : fuzz_below(LONGEST);
	uint8_t *cut = malloc(len ? len : 1);
	struct sphinx_hop hop;

	if (!cut)
		finding("out of memory", 0);
	fuzz_fill(cut, len);
	memcpy(cut, packet, len < PACKET ? len : PACKET);
	expect(unwrap(b, cut, len, &hop),
		len < SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN ? SPHINX_bad_length : SPHINX_ok,
		"a packet of another length");
	free(cut);
}

static void random_bytes(const struct base *b, uint8_t *packet)
{
	struct sphinx_hop hop;

	fuzz_fill(packet, PACKET);
	expect(unwrap(b, packet, PACKET, &hop), SPHINX_bad_mac, "noise was taken");
}

static void spliced(const struct base *b, uint8_t *packet)
{
	const struct base *other = &bases[fuzz_below(BASES)];
	const size_t from = fuzz_below(PACKET), n = fuzz_below(PACKET - from + 1);
	struct sphinx_hop hop;
	bool same;

	memcpy(packet + from, other->packet + from, n);
	same = same_header(b, packet);
	expect(unwrap(b, packet, PACKET, &hop), same ? SPHINX_ok : SPHINX_bad_mac,
		"a packet made of two");
}

static void other_payload(const struct base *b, uint8_t *packet)
{
	struct sphinx_hop hop;

	fuzz_fill(packet + SPHINX_HEADER_SIZE, PAYLOAD);
	expect(unwrap(b, packet, PACKET, &hop), SPHINX_ok, "a payload was looked at");
}

/* A sender may write anything into a block and have the right MAC. */
static void forged_block(const struct base *b, uint8_t *packet)
{
	uint8_t *beta = packet + PACKET_BETA;
	enum sphinx_status want = SPHINX_ok;
	struct sphinx_hop hop;

	aes_ctr_xor(crypto, b->expanded, beta, beta, SPHINX_BETA_SIZE);
	fuzz_fill(beta, 1 + fuzz_below(SPHINX_BETA_SIZE));
	beta[BLOCK_FLAG] = (uint8_t)(fuzz_below(4) ? 1 + fuzz_below(2) : fuzz_below(256));
	if (!fuzz_below(4))
		store_be16(beta + BLOCK_VERSION, fuzz_below(2) ? 1 : 257);
	if (beta[BLOCK_FLAG] != SPHINX_FLAG_FORWARD && beta[BLOCK_FLAG] != SPHINX_FLAG_FINAL)
		want = SPHINX_bad_routing_flag;
	else if (sphinx_version_refused(load_be16(beta + BLOCK_VERSION)))
		want = SPHINX_unsupported_version;
	aes_ctr_xor(crypto, b->expanded, beta, beta, SPHINX_BETA_SIZE);
	sphinx_mac(crypto, b->expanded, beta, packet + PACKET_GAMMA);
	expect(unwrap(b, packet, PACKET, &hop), want, "a forged block");
}

static void small_order(const struct base *b, uint8_t *packet)
{
	struct sphinx_hop hop;

	/* 0, 1, p-1, p, p+1 */
	memset(packet, 0, 32);
	switch (fuzz_below(5)) {
	case 1:
		packet[0] = 1;
		break;
	case 2:
	case 3:
	case 4:
		memset(packet, 0xff, 32);
		packet[0] = (uint8_t)(0xec + fuzz_below(3));
		packet[31] = 0x7f;
		break;
	default:
		break;
	}
	packet[31] ^= (uint8_t)(fuzz_below(2) << 7);
	expect(unwrap(b, packet, PACKET, &hop), SPHINX_bad_point, "a point of small order");
}

static void random_surb(const struct base *b, uint8_t *packet)
{
	uint8_t surb[SURB_MAX_SIZE + 64], first[SPHINX_ADDRESS_SIZE];
	const uint16_t version = (uint16_t)(257 + fuzz_below(5));
	const size_t len = fuzz_below(2) ? fuzz_below(sizeof(surb)) : 380 + 16 * fuzz_below(13);
	const uint8_t *message;
	enum sphinx_status s;
	size_t n;

	fuzz_fill(surb, sizeof(surb));
	s = surb_use(
		crypto, version, surb, len, b->packet, fuzz_below(PAYLOAD), PAYLOAD, packet, first);
	if (s != SPHINX_ok && s != SPHINX_bad_surb && s != SPHINX_bad_message)
		finding("an error that a block cannot have", s);
	s = surb_recover(crypto, surb, fuzz_below(120), packet + SPHINX_HEADER_SIZE,
		fuzz_below(PAYLOAD + 1), &message, &n);
	if (s != SPHINX_bad_surb && s != SPHINX_bad_length && s != SPHINX_bad_payload)
		finding("noise was recovered", s);
}

/* Text parsers, on strings of the characters that they know. */
static void random_text(const struct base *b, uint8_t *packet)
{
	static const char alphabet[] = "0123456789abcdef.:[]/%- ";
	char text[64], out[ENDPOINT_STRLEN];
	struct endpoint e, again;
	const size_t n = fuzz_below(sizeof(text));
	struct cidr c;

	(void)b;
	for (size_t i = 0; i < n; i++)
		text[i] = alphabet[fuzz_below(sizeof(alphabet) - 1)];
	text[n] = '\0';
	if (endpoint_parse(&e, text) == 0 &&
		(endpoint_parse(&again, endpoint_format(out, &e)) < 0 ||
			memcmp(&e, &again, sizeof(e)) != 0))
		finding("an endpoint does not come back from its text", 0);
	(void)endpoint_parse_ip(&e, text);
	if (cidr_parse(&c, text) == 0 && c.bits > (c.family == 4 ? 32 : 128))
		finding("a prefix of too many bits", c.bits);
	(void)frame_check(packet + fuzz_below(PACKET - FRAME_SIZE), fuzz_below(LONGEST));
	if (address_decode(packet + fuzz_below(PACKET - SPHINX_ADDRESS_SIZE), &e) == SPHINX_ok &&
		(endpoint_parse(&again, endpoint_format(out, &e)) < 0 ||
			memcmp(&e, &again, sizeof(e)) != 0))
		finding("an address does not come back from its text", 0);
}

static const struct {
	const char *name;
	void (*run)(const struct base *b, uint8_t *packet);
	unsigned weight;
} mutations[] = {
	{"good", good, 1},
	{"header bits flipped", flipped_header, 4},
	{"another length", another_length, 8},
	{"noise", random_bytes, 4},
	{"two packets spliced", spliced, 4},
	{"another payload", other_payload, 1},
	{"forged block, right MAC", forged_block, 6},
	{"small-order alpha", small_order, 1},
	{"random reply block", random_surb, 3},
	{"random text", random_text, 8},
};
enum { MUTATIONS = sizeof(mutations) / sizeof(*mutations) };

static unsigned pick(void)
{
	unsigned total = 0, i = 0;
	size_t at;

	for (unsigned m = 0; m < MUTATIONS; m++)
		total += mutations[m].weight;
	for (at = fuzz_below(total); at >= mutations[i].weight; i++)
		at -= mutations[i].weight;
	return i;
}

int main(int argc, char **argv)
{
	uint64_t done[MUTATIONS] = {0},
		 iterations = fuzz_arguments("fuzz_unwrap", argc, argv, 100000);
	struct error err = {"out of locked memory"};

	if (crypto_init(0, &err) < 0 || !(crypto = crypto_create())) {
		fprintf(stderr, "fuzz_unwrap: %s\n", err.msg);
		return 2;
	}
	for (unsigned i = 0; i < BASES; i++)
		make_base(&bases[i], i);
	for (fuzz_iteration = 0; fuzz_iteration < iterations; fuzz_iteration++) {
		const struct base *b = &bases[fuzz_below(BASES)];
		const unsigned m = pick();
		uint8_t *packet = malloc(PACKET);

		if (!packet)
			finding("out of memory", 0);
		memcpy(packet, b->packet, PACKET);
		mutations[m].run(b, packet);
		done[m]++;
		if (fuzz_iteration % 1024 == 0)
			fuzz_progress("fuzz_unwrap", fuzz_iteration, iterations);
		free(packet);
	}
	for (unsigned m = 0; m < MUTATIONS; m++)
		printf("%12llu %s\n", (unsigned long long)done[m], mutations[m].name);
	printf("%llu iterations of seed %llu, no finding\n", (unsigned long long)iterations,
		(unsigned long long)fuzz_seed);
	crypto_free(crypto);
	return 0;
}
