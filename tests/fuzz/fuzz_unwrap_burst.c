/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_unwrap_burst PACKETS [SEED]: bursts of random size, of good, mutated and skipped packets,
 * through sphinx_open_burst and sphinx_finish_burst against the one-packet unwrap: same status,
 * same bytes, same hop, whatever the neighbours are. Each packet lies in memory of exactly its
 * size. The same seed gives the same run, but for the kernels that crypto_init and AUTO choose by
 * time.
 */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/x25519.h"
#include "sphinx/burst.h"
#include "sphinx/derive.h"
#include "sphinx/layout.h"

enum { MAX = SPHINX_BURST_MAX, BASES = 16, LENGTHS = 4, SKIPPED = 99, CURVES = 3 };

static const size_t payloads[LENGTHS] = {33, 100, 1024, 2065};

/* A good packet of each length, and what its hop derives. */
struct base {
	uint8_t *packet;
	uint8_t expanded[SPHINX_EXPANDED_SIZE];
};

static struct crypto *crypto;
static struct sphinx_burst *burst[CURVES];
static struct base bases[LENGTHS][BASES];
static uint8_t node_secret[32], node_public[32];
static unsigned long long seed, iteration;

/* Repeatable bytes: libsodium's stream under a key made of seed and counter. */
static void fill(void *out, size_t n)
{
	static unsigned long long counter;
	uint8_t key[randombytes_SEEDBYTES] = {0};

	counter++;
	memcpy(key, &seed, sizeof(seed));
	memcpy(key + sizeof(seed), &counter, sizeof(counter));
	randombytes_buf_deterministic(out, n, key);
}

static unsigned below(unsigned n)
{
	uint32_t x;

	fill(&x, sizeof(x));
	return x % n;
}

static void finding(const char *what, unsigned at, unsigned n)
{
	fprintf(stderr, "\nfuzz_unwrap_burst: burst %llu of seed %llu: %s, packet %u of %u\n",
		iteration, seed, what, at, n);
	abort();
}

static void *memory(size_t n)
{
	void *p = malloc(n);

	if (!p) {
		fprintf(stderr, "fuzz_unwrap_burst: out of memory\n");
		exit(2);
	}
	return p;
}

static void make_base(struct base *b, size_t payload)
{
	static const uint16_t versions[] = {258, 259, 260, 65535};
	struct sphinx_route route = {.hops = 1 + below(2), .version = versions[below(4)]};
	struct sphinx_entropy entropy;
	struct sphinx_secrets secrets;

	fill(&entropy, sizeof(entropy));
	fill(route.hop[1].address, SPHINX_ADDRESS_SIZE);
	memcpy(route.hop[0].public_key, node_public, 32);
	memcpy(route.hop[1].public_key, node_public, 32);
	b->packet = memory(SPHINX_HEADER_SIZE + payload);
	if (sphinx_build(crypto, &route, node_public, 8, payload, &entropy, b->packet) !=
			SPHINX_ok ||
		sphinx_unwrap_open(crypto, node_secret, b->packet, SPHINX_HEADER_SIZE + payload,
			&secrets) != SPHINX_ok)
		finding("a base packet could not be made", 0, 1);
	memcpy(b->expanded, secrets.expanded, sizeof(b->expanded));
}

/* True when alpha may be on the twist, where the pair kernel says bad_point. */
static bool mutate(const struct base *b, uint8_t *packet, size_t len)
{
	uint8_t byte, scalar[32];

	switch (below(10)) {
	case 0: /* any bits */
		for (unsigned flips = 1 + below(3); flips > 0; flips--)
			packet[below((unsigned)len)] ^= (uint8_t)(1u << below(8));
		return true;
	case 1: /* noise */
		fill(packet, len);
		return true;
	case 2: /* alpha of another sender */
		fill(scalar, sizeof(scalar));
		x25519_base(packet + PACKET_ALPHA, scalar);
		return false;
	case 3: /* small order */
		memset(packet + PACKET_ALPHA, 0, 32);
		packet[PACKET_ALPHA] = (uint8_t)below(2);
		return false;
	case 4: /* flag, version or anything else in the block, under a right MAC */
	case 5:
		fill(&byte, 1);
		packet[PACKET_BETA + below(below(2) ? BLOCK_ADDRESS : SPHINX_BETA_SIZE)] ^= byte;
		sphinx_mac(crypto, b->expanded, packet + PACKET_BETA, packet + PACKET_GAMMA);
		return false;
	case 6: /* another payload */
		fill(packet + SPHINX_HEADER_SIZE, len - SPHINX_HEADER_SIZE);
		return false;
	default:
		return false;
	}
}

struct twin { /* what the burst gets, and the oracle's copy */
	uint8_t *packet, *want;
	bool skip, twist;
	enum sphinx_status status;
	struct sphinx_hop hop;
};

static void oracle(struct twin *p, size_t len)
{
	struct sphinx_secrets secrets;

	memset(&p->hop, 0, sizeof(p->hop));
	p->status = sphinx_unwrap_open(crypto, node_secret, p->want, len, &secrets);
	if (p->status != SPHINX_ok)
		return;
	p->status = p->skip ? (enum sphinx_status)SKIPPED
			    : sphinx_unwrap_finish(crypto, p->want, len, &secrets, &p->hop);
}

static bool same_status(const struct twin *p, enum sphinx_status got, bool with_pair)
{
	return got == p->status ||
	       (with_pair && p->twist && got == SPHINX_bad_point && p->status == SPHINX_bad_mac);
}

static unsigned one_burst(void)
{
	static struct twin p[MAX];
	static uint8_t *packet[MAX];
	static enum sphinx_status status[MAX];
	static struct sphinx_hop hop[MAX];
	const unsigned l = below(LENGTHS), n = 1 + below(below(3) ? 12 : MAX), c = below(CURVES);
	const size_t len = SPHINX_HEADER_SIZE + payloads[l];

	for (unsigned i = 0; i < n; i++) {
		const struct base *b = &bases[l][below(BASES)];

		p[i].packet = packet[i] = memory(len);
		p[i].want = memory(len);
		memcpy(packet[i], b->packet, len);
		p[i].twist = mutate(b, packet[i], len);
		p[i].skip = below(6) == 0;
		memcpy(p[i].want, packet[i], len);
		oracle(&p[i], len);
	}
	memset(hop, 0, sizeof(hop));
	sphinx_open_burst(burst[c], node_secret, packet, len, n, status);
	for (unsigned i = 0; i < n; i++)
		if (status[i] == SPHINX_ok && p[i].skip)
			status[i] = (enum sphinx_status)SKIPPED;
	sphinx_finish_burst(burst[c], status, hop);
	for (unsigned i = 0; i < n; i++) {
		if (!same_status(&p[i], status[i], sphinx_burst_used_pair(burst[c])))
			finding("another status than the oracle's", i, n);
		if (memcmp(p[i].packet, p[i].want, len) != 0)
			finding("other bytes than the oracle's", i, n);
		if (memcmp(&hop[i], &p[i].hop, sizeof(hop[i])) != 0)
			finding("another hop than the oracle's", i, n);
		free(p[i].packet);
		free(p[i].want);
	}
	return n;
}

static unsigned long long number(const char *text, const char *what)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-') {
		fprintf(stderr, "fuzz_unwrap_burst: %s \"%s\" is not a whole number\n", what, text);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	const unsigned long long packets = argc > 1 ? number(argv[1], "PACKETS") : 20000;
	unsigned long long done = 0;
	struct error err = {"out of locked memory"};

	seed = argc > 2 ? number(argv[2], "SEED") : 1;
	if (crypto_init(0, &err) < 0 || !(crypto = crypto_create())) {
		fprintf(stderr, "fuzz_unwrap_burst: %s\n", err.msg);
		return 2;
	}
	for (unsigned c = 0; c < CURVES; c++) {
		burst[c] = sphinx_burst_create((enum sphinx_burst_curve)c);
		if (!burst[c]) {
			fprintf(stderr, "fuzz_unwrap_burst: out of locked memory\n");
			return 2;
		}
	}
	fill(node_secret, sizeof(node_secret));
	x25519_base(node_public, node_secret);
	for (unsigned l = 0; l < LENGTHS; l++)
		for (unsigned i = 0; i < BASES; i++)
			make_base(&bases[l][i], payloads[l]);
	for (; done < packets; iteration++)
		done += one_burst();
	printf("%llu packets in %llu bursts of seed %llu, no finding\n", done, iteration, seed);
	for (unsigned l = 0; l < LENGTHS; l++)
		for (unsigned i = 0; i < BASES; i++)
			free(bases[l][i].packet);
	for (unsigned c = 0; c < CURVES; c++)
		sphinx_burst_free(burst[c]);
	crypto_free(crypto);
	return 0;
}
