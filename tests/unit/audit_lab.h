/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_AUDIT_LAB_H
#define BETANET_TESTS_AUDIT_LAB_H

#include <libgen.h>
#include "program.h"
#include "core/bytes.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "vrf/epoch_record.h"
#include "vrf/neighbour.h"

/*
 * A network of the past with records that its relays published, and betanet-keytool to audit them.
 * All keys come from the nodes' names; three nodes share a /24. Layer 1: entry1, entry2; layer 2:
 * wide1 … wide70, of which neighbours are drawn; layer 3: exit1.
 */
enum {
	LAB_WIDE = 70,
	LAB_NODES = 2 + LAB_WIDE + 1,
	LAB_SECONDS = 10,
	LAB_HOUR = 3600,
	LAB_PACKETS = 1000,
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LAB_EPOCH UINT64_C(173586240) /* 2025-01-03T00:00:00Z in tens of seconds */
#define LAB_NB_EPOCH UINT64_C(482184) /* the same in hours */
#define LAB_MEAN UINT64_C(50000000)

static char authority[65];
static struct directory *directory;
static uint8_t network[32] = "a network of the past";

/* 32 bytes that stand for `purpose` of `name`. */
static void seed_of(uint8_t seed[32], const char *purpose, const char *name)
{
	crypto_generichash(seed, 32, (const uint8_t *)name, strlen(name), (const uint8_t *)purpose,
		strlen(purpose));
}

/* "a secret key of the lab" is at least the 16 bytes that a BLAKE2b key needs. */
static void identity_of(const char *name, uint8_t pk[32], uint8_t sk[64])
{
	uint8_t seed[32];

	seed_of(seed, "the lab's identity keys", name);
	crypto_sign_seed_keypair(pk, sk, seed);
}

static void vrf_of(const char *name, struct ecvrf_key *key)
{
	uint8_t seed[32];

	seed_of(seed, "the lab's VRF keys", name);
	ecvrf_key_from_seed(key, seed);
}

static void sphinx_of(const char *name, uint8_t secret[32], uint8_t pk[32])
{
	seed_of(secret, "the lab's Sphinx keys", name);
	crypto_scalarmult_base(pk, secret);
}

/* `changed` is a node whose VRF key is another; NULL: none. */
static void write_node(FILE *f, const char *name, unsigned layer, unsigned i, const char *changed)
{
	uint8_t id[32], id_sk[64], secret[32], sphinx[32];
	struct ecvrf_key vrf;
	char hex[3][65];

	identity_of(name, id, id_sk);
	sphinx_of(name, secret, sphinx);
	vrf_of(changed && strcmp(changed, name) == 0 ? "another" : name, &vrf);
	hex_encode(hex[0], id, 32);
	hex_encode(hex[1], sphinx, 32);
	hex_encode(hex[2], vrf.public, 32);
	fprintf(f,
		"%s { name = \"%s\"; layer = %u; weight = %u; family = \"f%u\";\n"
		"  address = [ \"10.%u.%u.%u:9000\", \"[2001:db8:%x::1]:9000\" ];\n"
		"  identity_key = \"%s\"; sphinx_key = \"%s\"; vrf_key = \"%s\"; }",
		i ? ",\n" : "", name, layer, 1 + i * 7, i % 12, layer, i / 3, 1 + i % 3, 1 + i,
		hex[0], hex[1], hex[2]);
}

/* Signs a directory into the test's folder. */
static void write_directory(
	const char *file, const uint8_t id[32], const char *dates, const char *changed)
{
	uint8_t seed[32];
	char *text, hex[65], name[16];
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct error err;
	unsigned i = 0;

	hex_encode(hex, id, 32);
	fprintf(f, "version = 1;\nnetwork_id = \"%s\";\n%s\nnodes = (\n", hex, dates);
	write_node(f, "entry1", 1, i++, changed);
	write_node(f, "entry2", 1, i++, changed);
	for (unsigned k = 1; k <= LAB_WIDE; k++) {
		snprintf(name, sizeof(name), "wide%u", k);
		write_node(f, name, 2, i++, changed);
	}
	write_node(f, "exit1", 3, i++, changed);
	fprintf(f, "\n);\n");
	fclose(f);
	seed_of(seed, "the lab's authority", "");
	if (directory_sign_text(file, (uint8_t *)text, len, path(file), seed, 0, &err) < 0)
		fail_msg("%s", err.msg);
	free(text);
}

static const char past[] = "valid_from = \"2025-01-01T00:00:00Z\"; valid_until = "
			   "\"2025-01-08T00:00:00Z\";";

static void load(const char *file)
{
	uint8_t pk[32];
	struct error err;

	directory_free(directory);
	directory = NULL;
	assert_int_equal(hex_decode(pk, 32, authority), 0);
	if (directory_load(path(file), pk, 0, &directory, &err) < 0)
		fail_msg("%s", err.msg);
}

/* ---- records */

struct lab_record {
	const char *node;
	enum ecvrf_suite suite;
	enum beacon_source source;
	uint64_t epoch, period;
	uint32_t seconds; /* neighbours: 0 for LAB_HOUR */
	bool unproved;
};

/* The value that the relay of `r` used: the directory's, or that of file_beacon. */
static const uint8_t file_beacon[32] = "round 77 of a public beacon";

static void beacon_of(const struct lab_record *r, uint8_t out[32])
{
	struct beacon b;

	beacon_choose(&b, r->source != BEACON_DIRECTORY, NULL, 0, 0, directory->network_id,
		directory->hash);
	memcpy(out, r->source == BEACON_FILE ? file_beacon : b.value, 32);
}

static void make_epoch(const struct lab_record *r, uint8_t out[EPOCH_RECORD_SIZE])
{
	struct epoch_params p = {.suite = r->suite,
		.epoch_seconds = LAB_SECONDS,
		.mean_ns = LAB_MEAN,
		.longest_ns = 20 * LAB_MEAN,
		.tolerance_ns = 1000000,
		.ticks_per_second = 1000000000};
	struct epoch_meta meta = {.epoch = r->epoch,
		.key_period = r->period,
		.beacon_source = r->source,
		.proved = !r->unproved};
	struct ecvrf_key key;
	struct error err;
	uint8_t sk[64];

	memcpy(p.network_id, directory->network_id, 32);
	identity_of(r->node, p.node_id, sk);
	vrf_of(r->node, &key);
	memcpy(meta.vrf_public, key.public, 32);
	beacon_of(r, meta.beacon);
	if (epoch_record_make(&p, &meta, &key, sk, LAB_PACKETS, UINT64_MAX, out, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void make_neighbours(const struct lab_record *r, uint8_t layer,
	uint8_t out[NEIGHBOUR_RECORD_SIZE], uint8_t beta[ECVRF_OUTPUT_SIZE])
{
	struct neighbour_record n = {.layer = layer,
		.head = {.suite = r->suite,
			.beacon_source = r->source,
			.scope = {.key_period = r->period, .epoch = r->epoch},
			.epoch_seconds = r->seconds ? r->seconds : LAB_HOUR}};
	struct ecvrf_key key;
	struct error err;
	uint8_t sk[64];

	memcpy(n.directory_hash, directory->hash, 32);
	memcpy(n.head.scope.network_id, directory->network_id, 32);
	identity_of(r->node, n.head.scope.node_id, sk);
	vrf_of(r->node, &key);
	beacon_of(r, n.head.scope.beacon);
	if (neighbour_record_make(&n, &key, sk, out, beta, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Without file_write's fsync: thousands of them. */
static void put(const char *file, const void *data, size_t len)
{
	FILE *f = fopen(path(file), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void put_secret(const char *file, const uint8_t secret[32])
{
	struct error err;

	if (file_write_secret(path(file), secret, FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
}

static const struct lab_record plain = {
	.node = "entry1", .suite = ECVRF_TAI, .source = BEACON_DIRECTORY, .epoch = LAB_EPOCH};

static void put_epoch(const char *file, const struct lab_record *r)
{
	uint8_t data[EPOCH_RECORD_SIZE];

	make_epoch(r, data);
	put(file, data, sizeof(data));
}

/* Signs a record again after `data` was changed, as its node would. */
static inline void sign_again(uint8_t *data, size_t size, const char *label, const char *node)
{
	uint8_t bytes[64 + RECORD_MAX_SIZE], pk[32], sk[64];
	size_t n = strlen(label) + 1, body = size - RECORD_SIGNATURE_SIZE;

	identity_of(node, pk, sk);
	memcpy(bytes, label, n);
	memcpy(bytes + n, data, body);
	crypto_sign_detached(data + body, NULL, bytes, n + body, sk);
}

/* ---- the program */

static const char *audit_options(const char *file, const char *node)
{
	static char text[512];

	snprintf(text, sizeof(text), "--directory %s --authority %s --node %s", path(file),
		authority, node);
	return text;
}

/* Runs it with more words than start() takes: those of `line`, then all of `more`. */
static inline struct child start_with_many(const char *line, char **more, size_t count)
{
	char **argv = calloc(count + 32, sizeof(*argv)), text[1024];
	struct child c;
	size_t n = 1;

	snprintf(text, sizeof(text), "%s", line);
	argv[0] = program;
	for (char *p = strtok(text, " "); p && n < 31; p = strtok(NULL, " "))
		argv[n++] = p;
	memcpy(argv + n, more, count * sizeof(*argv));
	snprintf(c.out, sizeof(c.out), "%s/many.out", folder);
	snprintf(c.err, sizeof(c.err), "%s/many.err", folder);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		redirect(c.out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
		redirect(c.err, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
		execv(program, argv);
		_exit(98);
	}
	free(argv);
	return c;
}

static int lab_set_up(void **state)
{
	uint8_t seed[32], pk[32], sk[64], other[32] = "another network";

	(void)state;
	if (access(program, X_OK) != 0) {
		print_error("%s is missing: make bins\n", program);
		return -1;
	}
	if (!mkdtemp(folder))
		return -1;
	seed_of(seed, "the lab's authority", "");
	crypto_sign_seed_keypair(pk, sk, seed);
	hex_encode(authority, pk, 32);
	write_directory("past", network, past, NULL);
	write_directory("rekeyed", network, past, "entry1");
	write_directory("elsewhere", other, past, NULL);
	write_directory("later", network,
		"valid_from = \"2025-02-01T00:00:00Z\"; valid_until = \"2099-01-01T00:00:00Z\";",
		NULL);
	load("past");
	return 0;
}

static int lab_tear_down(void **state)
{
	char command[64];

	(void)state;
	directory_free(directory);
	text_of("/dev/null");
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static int run_lab(const struct CMUnitTest *tests, size_t count, const char *argv0)
{
	char self[4000];
	struct error err;

	snprintf(self, sizeof(self), "%s", argv0);
	snprintf(program, sizeof(program), "%s/../betanet-keytool", dirname(self));
	if (sodium_init() < 0 || ecvrf_self_test(&err) < 0)
		return 1;
	return _cmocka_run_group_tests("keytool vrf", tests, count, lab_set_up, lab_tear_down);
}

#endif
