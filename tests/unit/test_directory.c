/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"

/* ---- building directories ---- */

enum { TEXT_MAX = 1 << 20, VALID_FROM = 1795392000 /* 2026-11-23T00:00:00Z */ };
#define NOW (VALID_FROM + 3600)

struct text {
	char *s;
	size_t n;
	unsigned nodes;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->s + t->n, TEXT_MAX - t->n, fmt, ap);
	va_end(ap);
	assert_true(t->n < TEXT_MAX);
}

static struct text start(void)
{
	struct text t = {.s = malloc(TEXT_MAX)};

	assert_non_null(t.s);
	add(&t,
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"2026-11-23T00:00:00Z\";\n"
		"valid_until = \"2026-11-30T00:00:00Z\";\nnodes = (\n",
		7);
	return t;
}

static const uint8_t seed[32] = {1, 2, 3};

static void authority(uint8_t pk[32])
{
	uint8_t sk[64];

	crypto_sign_seed_keypair(pk, sk, seed);
}

/* The k-th key of its kind, as hex. */
static const char *ed_key(char hex[65], unsigned k)
{
	uint8_t s[32] = {9}, pk[32], sk[64];

	store_be32(s + 4, k);
	crypto_sign_seed_keypair(pk, sk, s);
	hex_encode(hex, pk, 32);
	return hex;
}

static const char *x_key(char hex[65], unsigned k)
{
	uint8_t s[32] = {8}, pk[32];

	store_be32(s + 4, k);
	crypto_scalarmult_base(pk, s);
	hex_encode(hex, pk, 32);
	return hex;
}

struct node {
	unsigned layer, weight;
	const char *family, *name, *address, *identity, *sphinx, *vrf, *extra;
};

/* A node whose fields are valid and its own unless they are given. */
static void add_node(struct text *t, const struct node *n)
{
	unsigned k = t->nodes++;
	char a[65], b[65], c[65];

	add(t, "%s{ ", k ? ",\n" : "");
	if (n->name)
		add(t, "name = \"%s\"; ", n->name);
	else
		add(t, "name = \"node%u\"; ", k);
	add(t, "layer = %u; ", n->layer);
	if (n->weight)
		add(t, "weight = %u; ", n->weight);
	if (n->family)
		add(t, "family = \"%s\"; ", n->family);
	if (n->address)
		add(t, "address = %s; ", n->address);
	else
		add(t, "address = \"10.%u.%u.1:9000\"; ", k >> 8, k & 255);
	add(t, "identity_key = \"%s\"; sphinx_key = \"%s\"; vrf_key = \"%s\"; %s}",
		n->identity ? n->identity : ed_key(a, 2 * k), n->sphinx ? n->sphinx : x_key(b, k),
		n->vrf ? n->vrf : ed_key(c, 2 * k + 1), n->extra ? n->extra : "");
}

static void end(struct text *t)
{
	add(t, "\n);\n");
}

/* The file's format, written a second time: not with the code under test. */
static void sign_with(struct text *t, const uint8_t s[32])
{
	uint8_t pk[32], sk[64], sig[64], *m = malloc(21 + t->n);
	char hex[129];

	assert_non_null(m);
	memcpy(m, "betanet-directory-v1\0", 21);
	memcpy(m + 21, t->s, t->n);
	crypto_sign_seed_keypair(pk, sk, s);
	crypto_sign_detached(sig, NULL, m, 21 + t->n, sk);
	free(m);
	hex_encode(hex, sig, 64);
	add(t, "signature = \"%s\";\n", hex);
}

static struct text small(void)
{
	struct text t = start();

	add_node(&t, &(struct node){.layer = 1});
	end(&t);
	return t;
}

static int parse_at(const struct text *t, uint64_t now, struct directory **d, struct error *err)
{
	uint8_t pk[32];
	int r;

	authority(pk);
	err->msg[0] = '\0';
	r = directory_parse("dir.conf", (const uint8_t *)t->s, t->n, pk, now, d, err);
	assert_true((r == 0) == (*d != NULL));
	return r;
}

/* Parses and frees the text. */
static struct directory *loaded(struct text *t)
{
	struct directory *d;
	struct error err;

	if (parse_at(t, NOW, &d, &err) != 0)
		fail_msg("refused: %s", err.msg);
	free(t->s);
	return d;
}

static void assert_refused(struct text *t, int code, const char *const *parts)
{
	struct directory *d;
	struct error err;
	int r = parse_at(t, NOW, &d, &err);

	free(t->s);
	if (r != -code)
		fail_msg("%d instead of %d: %s", r, -code, err.msg);
	for (; *parts; parts++)
		if (!strstr(err.msg, *parts))
			fail_msg("\"%s\" is not in: %s", *parts, err.msg);
}
#define REFUSED(t, code, ...) assert_refused(t, code, (const char *const[]){__VA_ARGS__, NULL})

/* ---- reading ---- */

static void all_fields_are_read(void **state)
{
	struct text t = start();
	struct directory *d;
	struct endpoint e;
	uint8_t key[32], hash[32], covered[8192] = "betanet-directory-v1";

	(void)state;
	add_node(&t, &(struct node){.layer = 1,
			     .name = "A.b_c-9",
			     .family = "acme",
			     .address = "[ \"192.0.2.1:9000\", \"[2001:db8::1]:9001\" ]"});
	add_node(&t,
		&(struct node){
			.layer = 2, .weight = 4294967295U, .address = "\"[2001:db8::2]:65535\""});
	end(&t);
	memcpy(covered + 21, t.s, t.n);
	crypto_generichash(hash, 32, covered, 21 + t.n, NULL, 0);
	sign_with(&t, seed);
	d = loaded(&t);
	assert_int_equal(d->network_id[31], 7);
	assert_int_equal(d->valid_from, VALID_FROM);
	assert_int_equal(d->valid_until, VALID_FROM + 7 * 86400);
	assert_memory_equal(d->hash, hash, 32);
	assert_int_equal(d->layers, 2);
	assert_int_equal(d->count, 2);
	assert_string_equal(d->nodes[0].name, "A.b_c-9");
	assert_string_equal(d->nodes[0].family, "acme");
	assert_int_equal(d->nodes[0].weight, 100);
	assert_int_equal(d->nodes[0].addresses, 2);
	assert_int_equal(d->nodes[0].address[0].port, 9000);
	assert_int_equal(d->nodes[0].address[1].family, 6);
	assert_string_equal(d->nodes[1].family, "");
	assert_true(d->nodes[1].weight == 4294967295U);
	assert_int_equal(d->nodes[1].addresses, 1);
	hex_decode(key, 32, x_key((char[65]){0}, 1));
	assert_memory_equal(d->nodes[1].sphinx_key, key, 32);
	hex_decode(key, 32, ed_key((char[65]){0}, 2));
	assert_memory_equal(d->nodes[1].identity_key, key, 32);
	hex_decode(key, 32, ed_key((char[65]){0}, 3));
	assert_memory_equal(d->nodes[1].vrf_key, key, 32);

	assert_ptr_equal(directory_find_name(d, "node1"), &d->nodes[1]);
	assert_null(directory_find_name(d, "node2"));
	assert_ptr_equal(directory_find_sphinx_key(d, d->nodes[1].sphinx_key), &d->nodes[1]);
	assert_null(directory_find_sphinx_key(d, d->nodes[1].vrf_key));
	assert_int_equal(directory_count_addresses(d, 0, NULL), 3);
	assert_int_equal(directory_count_addresses(d, 0, &d->nodes[0]), 1);
	assert_int_equal(directory_count_addresses(d, 1, NULL), 2);
	assert_int_equal(directory_count_addresses(d, 1, &d->nodes[0]), 0);
	assert_int_equal(directory_count_addresses(d, 2, &d->nodes[0]), 1);
	assert_int_equal(directory_count_addresses(d, 3, NULL), 0);
	endpoint_parse(&e, "[2001:db8::1]:9001");
	assert_ptr_equal(directory_find_address(d, &e), &d->nodes[0]);
	endpoint_parse(&e, "[2001:db8::1]:9000");
	assert_null(directory_find_address(d, &e));
	directory_free(d);
}

static void find_address_finds_every_node_of_a_large_directory(void **state)
{
	struct text t = start();
	struct directory *d;
	struct endpoint e;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		add_node(&t, &(struct node){.layer = 1 + i % 5});
	end(&t);
	sign_with(&t, seed);
	d = loaded(&t);
	for (unsigned i = 0; i < d->count; i++) {
		assert_ptr_equal(directory_find_address(d, &d->nodes[i].address[0]), &d->nodes[i]);
		e = d->nodes[i].address[0];
		e.port++;
		assert_null(directory_find_address(d, &e));
	}
	e.family = 5;
	assert_null(directory_find_address(d, &e));
	directory_free(d);
}

/* ---- signature ---- */

static void every_flipped_bit_is_refused(void **state)
{
	struct text t = small();
	struct directory *d;
	struct error err;

	(void)state;
	sign_with(&t, seed);
	assert_int_equal(parse_at(&t, NOW, &d, &err), 0);
	directory_free(d);
	for (size_t i = 0; i < 8 * t.n; i++) {
		t.s[i / 8] = (char)(t.s[i / 8] ^ 1 << i % 8);
		if (parse_at(&t, NOW, &d, &err) != -EACCES)
			fail_msg("bit %zu of byte %zu: %s", i % 8, i / 8, err.msg);
		t.s[i / 8] = (char)(t.s[i / 8] ^ 1 << i % 8);
	}
	assert_int_equal(parse_at(&t, NOW, &d, &err), 0);
	directory_free(d);
	free(t.s);
}

static void every_truncation_is_refused(void **state)
{
	struct text t = small();
	struct directory *d;
	struct error err;

	(void)state;
	sign_with(&t, seed);
	while (t.n-- > 0)
		if (parse_at(&t, NOW, &d, &err) != -EACCES)
			fail_msg("%zu bytes were accepted", t.n);
	free(t.s);
}

static void unsigned_is_refused(void **state)
{
	struct text t = small();

	(void)state;
	REFUSED(&t, EACCES, "dir.conf: is not signed", "directory sign");
}

static void other_authority_is_refused(void **state)
{
	static const uint8_t other[32] = {5};
	struct text t = small();

	(void)state;
	sign_with(&t, other);
	REFUSED(&t, EACCES, "dir.conf: the signature does not hold");
}

static void bytes_behind_the_signature_are_refused(void **state)
{
	static const char *const behind[] = {
		"\n", " ", "x", "# comment\n", "signature = \"00\";\n", "version = 2;\n"};

	(void)state;
	for (unsigned i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		struct text t = small();

		sign_with(&t, seed);
		add(&t, "%s", behind[i]);
		REFUSED(&t, EACCES, "bytes follow");
	}
}

static void nul_byte_behind_the_signature_is_refused(void **state)
{
	struct text t = small();

	(void)state;
	sign_with(&t, seed);
	t.s[t.n++] = '\0';
	REFUSED(&t, EACCES, "bytes follow");
}

static void upper_case_signature_is_refused(void **state)
{
	struct text t = small();
	char *digits;

	(void)state;
	sign_with(&t, seed);
	digits = strstr(t.s, "signature = \"") + 13;
	for (char *p = digits; *p != '"'; p++)
		if (*p >= 'a')
			*p = (char)(*p - 32);
	REFUSED(&t, EACCES, "0-9 a-f");
}

/* ---- time ---- */

static void validity_is_half_open(void **state)
{
	static const struct {
		uint64_t now;
		int result;
		const char *part;
	} cases[] = {
		{VALID_FROM - 1, -ESTALE,
			"not valid before 2026-11-23T00:00:00Z, and now is 2026-11-22T23:59:59Z"},
		{VALID_FROM, 0, ""},
		{VALID_FROM + 7 * 86400 - 1, 0, ""},
		{VALID_FROM + 7 * 86400, -ESTALE, "expired at 2026-11-30T00:00:00Z"},
		{UINT64_MAX, -ESTALE, "expired"},
		{0, 0, ""},
	};
	struct text t = small();
	struct error err;

	(void)state;
	sign_with(&t, seed);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct directory *d;

		assert_int_equal(parse_at(&t, cases[i].now, &d, &err), cases[i].result);
		assert_non_null(strstr(err.msg, cases[i].part));
		directory_free(d);
	}
	free(t.s);
}

/* ---- content: refused although the authority signed it ---- */

/* Replaces the one `from` in the small directory by `to`, signs and expects -EINVAL. */
static void replaced(const char *from, const char *to, const char *const *parts)
{
	struct text t = small(), u = {.s = malloc(TEXT_MAX)};
	char *at = strstr(t.s, from);

	assert_non_null(at);
	assert_non_null(u.s);
	add(&u, "%.*s%s%s", (int)(at - t.s), t.s, to, at + strlen(from));
	free(t.s);
	sign_with(&u, seed);
	assert_refused(&u, EINVAL, parts);
}
#define REPLACED(from, to, ...) replaced(from, to, (const char *const[]){__VA_ARGS__, NULL})

static void wrong_root_keys(void **state)
{
	(void)state;
	REPLACED("version = 1", "version = 2", "dir.conf:1: version = 2: ", "1..1");
	REPLACED("version = 1;\n", "\n", "version: is missing");
	REPLACED("version = 1;", "version = 1; x = 1;", "dir.conf:1: x: there is no such key",
		"network_id");
	REPLACED("version = 1;", "version = 1; version = 1;", "duplicate");
	REPLACED("version = 1;", "version = 1; signature = \"00\";", "signature: there is no such");
	REPLACED("version = 1;", "version = \"1\";", "version = \"1\": allowed is an integer");
	REPLACED(
		"00000000007\"", "0000000000\"", "dir.conf:2: network_id", "64 hexadecimal digits");
	REPLACED("00000000007\"", "0000000000g\"", "dir.conf:2: network_id");
	REPLACED("nodes = (", "nodes = ((", "syntax error");
	REPLACED("version = 1;", "version = 1; /*", "comment that begins here has no end");
}

static void includes_are_refused(void **state)
{
	(void)state;
	REPLACED("version = 1;\n", "version = 1;\n@include \"/etc/hostname\"\n",
		"dir.conf:2: @include is not allowed");
}

static void wrong_dates(void **state)
{
	static const char *const wrong[] = {"2026-11-23T00:00:00", "2026-11-23 00:00:00Z",
		"2026-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-11-23T24:00:00Z", "2026-11-23T00:00:60Z", "2026-11-23T00:60:00Z",
		"2026-11-23T00:00:00+0", " 2026-11-23T00:00:00Z", "1969-12-31T23:59:59Z",
		"26-11-23T00:00:00Z", "2026-1a-23T00:00:00Z", ""};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		REPLACED("2026-11-23T00:00:00Z", wrong[i],
			"dir.conf:3: valid_from = ", "\"2026-11-23T00:00:00Z\"");
	REPLACED("2026-11-30T00:00:00Z", "2026-11-23T00:00:00Z", "dir.conf:4: valid_until",
		"after valid_from");
}

static void leap_day_is_a_date(void **state)
{
	struct text t = small();
	char *at = strstr(t.s, "2026-11-23");
	struct directory *d;

	(void)state;
	memcpy(at, "2024-02-29", 10);
	sign_with(&t, seed);
	d = loaded(&t);
	assert_int_equal(d->valid_from, 1709164800);
	directory_free(d);
}

static void wrong_nodes(void **state)
{
	(void)state;
	REPLACED("layer = 1", "layer = 0", "dir.conf:6: nodes[0].layer = 0:", "1..5");
	REPLACED("layer = 1", "layer = 6", "nodes[0].layer = 6:", "1..5");
	REPLACED("layer = 1;", "", "nodes[0].layer: is missing");
	REPLACED("layer = 1", "layer = 1; weight = 0", "nodes[0].weight = 0:", "1..4294967295");
	REPLACED("layer = 1", "layer = 1; weight = 4294967296", "weight = 4294967296:");
	REPLACED("layer = 1", "layer = 1; wait = 5", "nodes[0].wait: there is no such key",
		"weight");
	REPLACED("name = \"node0\"", "name = \"\"", "nodes[0].name = \"\":", "1..63");
	REPLACED("name = \"node0\"", "name = \"a b\"", "nodes[0].name", "A-Z a-z 0-9 . _ -");
	REPLACED("name = \"node0\"",
		"name = \"0123456789012345678901234567890123456789012345678901234567890123\"",
		"nodes[0].name", "1..63");
	REPLACED("layer = 1", "layer = 1; family = \"\"", "nodes[0].family = \"\":");
	REPLACED("name = \"node0\"", "name = 5", "nodes[0].name = 5:");
	REPLACED("{ name", "5, { name", "nodes[0] = 5: allowed is a group");
}

static void wrong_addresses(void **state)
{
	static const struct {
		const char *address, *part;
	} cases[] = {
		{"\"10.0.0.1\"", "\"192.0.2.1:9000\""},
		{"\"10.0.0.1:0\"", "\"192.0.2.1:9000\""},
		{"\"10.0.0.1:65536\"", "\"192.0.2.1:9000\""},
		{"\"example.org:9000\"", "\"192.0.2.1:9000\""},
		{"\"2001:db8::1:9000\"", "\"192.0.2.1:9000\""},
		{"5", "\"192.0.2.1:9000\""},
		{"\"0.0.0.0:9000\"", "unspecified"},
		{"\"[::]:9000\"", "unspecified"},
		{"\"224.0.0.1:9000\"", "multicast"},
		{"\"[ff02::1]:9000\"", "multicast"},
		{"\"255.255.255.255:9000\"", "broadcast"},
		{"\"[::ffff:10.0.0.1]:9000\"", "write it as IPv4"},
		{"[ ]", "0 addresses"},
		{"[ \"10.0.0.1:1\", \"10.0.0.2:1\" ]", "same family"},
		{"[ \"10.0.0.1:1\", \"[fd00::1]:1\", \"10.0.0.2:1\" ]", "3 addresses"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		REPLACED("\"10.0.0.1:9000\"", cases[i].address, "dir.conf:6: nodes[0].address",
			cases[i].part);
}

/* A good key plus the point of order 2: the case of CVE-2025-69277 in libsodium. */
static void key_of_mixed_order(void **state)
{
	uint8_t key[32], order2[32], sum[32];
	char good[65], bad[65];

	(void)state;
	hex_decode(key, 32, ed_key(good, 0));
	memset(order2, 0xff, sizeof(order2));
	order2[0] = 0xec;
	order2[31] = 0x7f;
	assert_int_equal(crypto_core_ed25519_add(sum, key, order2), 0);
	hex_encode(bad, sum, 32);
	REPLACED(good, bad, "nodes[0].identity_key", "no valid Ed25519 public key");
}

static void keys_that_are_no_points(void **state)
{
	/* identity, order 2, order 4, order 8, y = p (not canonical), not on the curve */
	static const char *const ed[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0200000000000000000000000000000000000000000000000000000000000000",
	};
	/* u = 0, 1, -1, the two of order 8, p, p + 1, 2^255 - 1, base point with bit 255 */
	static const char *const x[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0900000000000000000000000000000000000000000000000000000000000080",
	};
	char good[65];

	(void)state;
	ed_key(good, 0);
	for (unsigned i = 0; i < sizeof(ed) / sizeof(ed[0]); i++)
		REPLACED(good, ed[i], "dir.conf:6: nodes[0].identity_key", ed[i],
			"no valid Ed25519 public key");
	ed_key(good, 1);
	for (unsigned i = 0; i < sizeof(ed) / sizeof(ed[0]); i++)
		REPLACED(good, ed[i], "nodes[0].vrf_key", "no valid Ed25519 public key");
	x_key(good, 0);
	for (unsigned i = 0; i < sizeof(x) / sizeof(x[0]); i++)
		REPLACED(good, x[i], "nodes[0].sphinx_key", x[i], "no valid X25519 public key");
	REPLACED(good, "00", "nodes[0].sphinx_key = \"00\":", "64 hexadecimal digits");
}

/* The second of two nodes takes something of the first. */
static void twins(const struct node *second, const char *part)
{
	struct text t = start();

	add_node(&t, &(struct node){.layer = 1});
	add_node(&t, second);
	end(&t);
	sign_with(&t, seed);
	REFUSED(&t, EINVAL, "dir.conf:7: nodes[1].", part, "(line 6)");
}

static void nothing_twice(void **state)
{
	char id[65], vrf[65], x[65], own[65];

	(void)state;
	ed_key(id, 0);
	ed_key(vrf, 1);
	x_key(x, 0);
	ed_key(own, 77);
	twins(&(struct node){.layer = 1, .name = "node0"}, "name = \"node0\": already that of");
	twins(&(struct node){.layer = 1, .identity = id}, "already that of nodes[0].identity_key");
	twins(&(struct node){.layer = 1, .vrf = vrf}, "already that of nodes[0].vrf_key");
	twins(&(struct node){.layer = 1, .vrf = id}, "already that of nodes[0].identity_key");
	twins(&(struct node){.layer = 1, .sphinx = x}, "already that of nodes[0].sphinx_key");
	twins(&(struct node){.layer = 1, .address = "\"10.0.0.1:9000\""},
		"already that of nodes[0].address");
	/* a VRF key that is the identity key: one seed for both */
	REPLACED(vrf, id, "nodes[0].", "already that of nodes[0].");
}

static void same_ip_with_another_port_is_no_twin(void **state)
{
	struct text t = start();

	(void)state;
	add_node(&t, &(struct node){.layer = 1});
	add_node(&t, &(struct node){.layer = 1, .address = "\"10.0.0.1:9001\""});
	end(&t);
	sign_with(&t, seed);
	directory_free(loaded(&t));
}

static void layers_with_a_gap(void **state)
{
	struct text t = start();

	(void)state;
	add_node(&t, &(struct node){.layer = 1});
	add_node(&t, &(struct node){.layer = 3});
	end(&t);
	sign_with(&t, seed);
	REFUSED(&t, EINVAL, "dir.conf:5: nodes: layer 2 has no node", "highest, here 3");
	REPLACED("layer = 1", "layer = 2", "layer 1 has no node");
}

static void directory_without_nodes(void **state)
{
	struct text t = start();

	(void)state;
	end(&t);
	sign_with(&t, seed);
	REFUSED(&t, EINVAL, "dir.conf:5: nodes = ( ... ): 0 nodes", "1..4096");
}

static void directory_larger_than_allowed(void **state)
{
	uint8_t pk[32], *big = calloc(1, DIRECTORY_MAX_BYTES + 1);
	struct directory *d;
	struct error err;

	(void)state;
	assert_non_null(big);
	authority(pk);
	assert_int_equal(
		directory_parse("dir.conf", big, DIRECTORY_MAX_BYTES + 1, pk, NOW, &d, &err),
		-EFBIG);
	free(big);
}

/* ---- files and signing ---- */

static char folder[] = "/tmp/betanet-directory-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return sodium_init() < 0 || !mkdtemp(folder) ? -1 : 0;
}

static int remove_folder(void **state)
{
	char path[64];

	(void)state;
	for (const char *const *f = (const char *const[]){"in", "out", "again", NULL}; *f; f++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *f);
		unlink(path);
	}
	return rmdir(folder);
}

static const char *in_folder(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", folder, name);
	return path;
}

static void put(const char *path, const struct text *t)
{
	assert_int_equal(file_write(path, 0644, t->s, t->n, FILE_FORCE, NULL), 0);
}

static void assert_same_file(const char *path, const struct text *t)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(file_read(path, TEXT_MAX, &data, &len, NULL), 0);
	assert_int_equal(len, t->n);
	assert_memory_equal(data, t->s, len);
	free(data);
}

static void signing_makes_the_documented_file(void **state)
{
	struct text t = small(), u = small();
	struct directory *d;
	struct error err = {""};
	char in[64], out[64], again[64];
	uint8_t pk[32];

	(void)state;
	authority(pk);
	sign_with(&u, seed);
	in_folder(in, "in");
	in_folder(out, "out");
	in_folder(again, "again");
	put(in, &t);
	assert_int_equal(directory_sign(in, out, seed, 0, &err), 0);
	assert_same_file(out, &u);
	assert_int_equal(directory_load(out, pk, NOW, &d, &err), 0);
	assert_int_equal(d->count, 1);
	directory_free(d);
	/* a file signed before, without its last newline: the old line goes */
	u.n--;
	put(in, &u);
	u.n++;
	assert_int_equal(directory_sign(in, again, seed, 0, &err), 0);
	assert_same_file(again, &u);
	/* without a newline at the end of the text one is added, and signed */
	t.n--;
	put(in, &t);
	assert_int_equal(directory_sign(in, out, seed, 0, &err), -EEXIST);
	assert_int_equal(directory_sign(in, out, seed, FILE_FORCE, &err), 0);
	assert_same_file(out, &u);
	free(t.s);
	free(u.s);
}

static void signing_refuses_what_loading_would(void **state)
{
	struct text t = small();
	struct error err = {""};
	char in[64], out[64];
	struct stat st;

	(void)state;
	in_folder(in, "in");
	in_folder(out, "out");
	unlink(out);
	memcpy(strstr(t.s, "layer = 1"), "layer = 3", 9);
	put(in, &t);
	assert_int_equal(directory_sign(in, out, seed, 0, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "layer 1 has no node"));
	assert_int_equal(stat(out, &st), -1);
	memcpy(strstr(t.s, "layer = 3"), "layer = 1", 9);
	add(&t, "signature = \"0\";\n# lost\n");
	put(in, &t);
	assert_int_equal(directory_sign(in, out, seed, 0, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "text behind the line"));
	assert_int_equal(stat(out, &st), -1);
	free(t.s);
}

/* The bytes need not be followed by a NUL: AddressSanitizer looks for it. */
static void text_may_end_anywhere(void **state)
{
	struct text t = small();

	(void)state;
	for (size_t n = 0; n < t.n; n++) {
		uint8_t *exact = malloc(n ? n : 1);
		struct error err = {""};
		int r;

		assert_non_null(exact);
		memcpy(exact, t.s, n);
		r = directory_sign_text("dir.conf", exact, n, "/nonexistent/out", seed, 0, &err);
		free(exact);
		if (r == 0 || !err.msg[0])
			fail_msg("%zu bytes: %d", n, r);
	}
	free(t.s);
}

static void missing_file_keeps_its_number(void **state)
{
	struct directory *d;
	struct error err = {""};
	uint8_t pk[32];

	(void)state;
	authority(pk);
	assert_int_equal(directory_load("/nonexistent/d", pk, NOW, &d, &err), -ENOENT);
	assert_null(d);
	assert_non_null(strstr(err.msg, "/nonexistent/d"));
}

/* ---- routes ---- */

static struct directory *of_nodes(const struct node *nodes, unsigned n)
{
	struct text t = start();

	for (unsigned i = 0; i < n; i++)
		add_node(&t, &nodes[i]);
	end(&t);
	sign_with(&t, seed);
	return loaded(&t);
}
#define OF_NODES(nodes) of_nodes(nodes, sizeof(nodes) / sizeof((nodes)[0]))

static double chi_square(const unsigned *seen, const double *share, unsigned n, unsigned draws)
{
	double sum = 0;

	for (unsigned i = 0; i < n; i++) {
		double expected = share[i] * draws, gap = seen[i] - expected;

		sum += gap * gap / expected;
	}
	return sum;
}

/* The bound is passed by chance once in 10^9 runs (chi-square, 4 and 2 degrees of freedom). */
static void nodes_are_drawn_by_weight(void **state)
{
	static const struct node nodes[] = {{.layer = 1, .weight = 1}, {.layer = 1, .weight = 2},
		{.layer = 1, .weight = 3}, {.layer = 1, .weight = 94}, {.layer = 1},
		{.layer = 2, .weight = 1000000000}, {.layer = 2, .weight = 3000000000},
		{.layer = 2, .weight = 4000000000}};
	const double share[] = {.005, .01, .015, .47, .5, .125, .375, .5};
	const struct directory_node *route[2];
	struct directory *d = OF_NODES(nodes);
	enum { DRAWS = 200000 };
	unsigned seen[8] = {0};

	(void)state;
	for (unsigned i = 0; i < DRAWS; i++) {
		assert_int_equal(directory_draw_route(d, 2, route, NULL), 0);
		seen[route[0] - d->nodes]++;
		seen[route[1] - d->nodes]++;
	}
	assert_true(chi_square(seen, share, 5, DRAWS) < 49.2);
	assert_true(chi_square(seen + 5, share + 5, 3, DRAWS) < 41.5);
	directory_free(d);
}

/* Layer 2 has family a alone, so that layer 1 must leave it: its other nodes by weight. */
static void families_of_a_route_differ(void **state)
{
	static const struct node nodes[] = {{.layer = 1, .family = "a", .weight = 1000000},
		{.layer = 1, .family = "b"}, {.layer = 1, .weight = 300},
		{.layer = 2, .family = "a"}, {.layer = 2, .family = "a"},
		{.layer = 3, .family = "b"}, {.layer = 3, .family = "c"}};
	/* c: always after b; after the node of no family one half, 3/4 · 1/2 */
	const double first[] = {.25, .75}, last[] = {.375, .625};
	const struct directory_node *route[3];
	struct directory *d = OF_NODES(nodes);
	enum { DRAWS = 100000 };
	unsigned seen[7] = {0};

	(void)state;
	for (unsigned i = 0; i < DRAWS; i++) {
		assert_int_equal(directory_draw_route(d, 3, route, NULL), 0);
		for (unsigned l = 0; l < 3; l++) {
			assert_int_equal(route[l]->layer, l + 1);
			seen[route[l] - d->nodes]++;
			for (unsigned m = 0; m < l; m++)
				assert_true(route[l]->family[0] == '\0' ||
					    strcmp(route[l]->family, route[m]->family) != 0);
		}
	}
	assert_int_equal(seen[0], 0);
	assert_true(chi_square(seen + 1, first, 2, DRAWS) < 37.4);
	assert_true(chi_square(seen + 5, last, 2, DRAWS) < 37.4);
	directory_free(d);
}

static void families_may_leave_no_route(void **state)
{
	static const struct node nodes[] = {{.layer = 1, .family = "a"},
		{.layer = 1, .family = "b"}, {.layer = 2, .family = "a"},
		{.layer = 2, .family = "b"}, {.layer = 3, .family = "a"},
		{.layer = 3, .family = "b"}};
	const struct directory_node *route[3];
	struct directory *d = OF_NODES(nodes);
	struct error err = {""};

	(void)state;
	assert_int_equal(directory_draw_route(d, 2, route, &err), 0);
	assert_string_not_equal(route[0]->family, route[1]->family);
	assert_int_equal(directory_draw_route(d, 3, route, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "different families"));
	directory_free(d);
}

/* Layers of one to five families: exactly one assignment of families is left. */
static void the_one_possible_route_is_found(void **state)
{
	static const char *const families[] = {"a", "b", "c", "d", "e"};
	const struct directory_node *route[5];
	struct node nodes[15];
	struct directory *d;
	unsigned n = 0;

	(void)state;
	for (unsigned l = 1; l <= 5; l++)
		for (unsigned f = 0; f <= 5 - l; f++)
			nodes[n++] = (struct node){.layer = l, .family = families[f]};
	d = of_nodes(nodes, n);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(directory_draw_route(d, 5, route, NULL), 0);
		for (unsigned l = 0; l < 5; l++)
			assert_string_equal(route[l]->family, families[4 - l]);
	}
	directory_free(d);
}

static void hops_outside_the_layers(void **state)
{
	struct text t = small();
	const struct directory_node *route[5];
	struct directory *d;
	struct error err = {""};

	(void)state;
	sign_with(&t, seed);
	d = loaded(&t);
	assert_int_equal(directory_draw_route(d, 0, route, &err), -EINVAL);
	assert_int_equal(directory_draw_route(d, 2, route, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "2 hops"));
	assert_non_null(strstr(err.msg, "1..1"));
	assert_int_equal(directory_draw_route(d, 1, route, &err), 0);
	assert_ptr_equal(route[0], &d->nodes[0]);
	directory_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields_are_read),
		cmocka_unit_test(find_address_finds_every_node_of_a_large_directory),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(unsigned_is_refused),
		cmocka_unit_test(other_authority_is_refused),
		cmocka_unit_test(bytes_behind_the_signature_are_refused),
		cmocka_unit_test(nul_byte_behind_the_signature_is_refused),
		cmocka_unit_test(upper_case_signature_is_refused),
		cmocka_unit_test(validity_is_half_open),
		cmocka_unit_test(wrong_root_keys),
		cmocka_unit_test(includes_are_refused),
		cmocka_unit_test(wrong_dates),
		cmocka_unit_test(leap_day_is_a_date),
		cmocka_unit_test(wrong_nodes),
		cmocka_unit_test(wrong_addresses),
		cmocka_unit_test(keys_that_are_no_points),
		cmocka_unit_test(key_of_mixed_order),
		cmocka_unit_test(nothing_twice),
		cmocka_unit_test(same_ip_with_another_port_is_no_twin),
		cmocka_unit_test(layers_with_a_gap),
		cmocka_unit_test(directory_without_nodes),
		cmocka_unit_test(directory_larger_than_allowed),
		cmocka_unit_test(signing_makes_the_documented_file),
		cmocka_unit_test(signing_refuses_what_loading_would),
		cmocka_unit_test(text_may_end_anywhere),
		cmocka_unit_test(missing_file_keeps_its_number),
		cmocka_unit_test(nodes_are_drawn_by_weight),
		cmocka_unit_test(families_of_a_route_differ),
		cmocka_unit_test(families_may_leave_no_route),
		cmocka_unit_test(the_one_possible_route_is_found),
		cmocka_unit_test(hops_outside_the_layers),
	};

	return cmocka_run_group_tests_name("directory", tests, make_folder, remove_folder);
}
