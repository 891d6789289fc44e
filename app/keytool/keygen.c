/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const struct keytool_option keygen_options[] = {
	{"out", "DIR", true, "folder for the keys; it is made when it is not there"},
	{"name", "NAME", false, "the relay's name in the directory"},
	{"address", "IP:PORT", false, "its address; IPv4 and IPv6: two with a comma between"},
	{"layer", "N", false, "its layer, 1 (entry) to 5"},
	{"weight", "N", false, "its share of the layer's traffic; default 100"},
	{"family", "NAME", false, "its operator: a route never has two nodes of one family"},
	{"authority", NULL, false, "the key of a directory's authority instead of a relay's keys"},
	{"force", NULL, false, "replace keys that are there; the old ones are gone"},
	{.name = NULL},
};

static int keygen_authority(const struct keytool_args *a, const char *dir, int flags)
{
	uint8_t *seed = secmem_alloc(32), pk[32];
	struct error err;
	char hex[65];
	int r;

	if (!seed) {
		error_set(&err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
		return keytool_fail(a, &err);
	}
	r = flags & FILE_FORCE ? 0 : keytool_authority_exists(dir, &err);
	if (r == 0)
		r = keytool_make_folder(dir, 0700, &err);
	if (r == 0)
		r = keytool_make_authority(dir, flags, seed, pk, &err);
	secmem_free(seed);
	if (r < 0)
		return keytool_fail(a, &err);
	hex_encode(hex, pk, 32);
	printf("%s\n", hex);
	fprintf(stderr,
		"%s/authority.secret signs directories: keep it off the relays.\n"
		"The line above, also in %s/authority.pub, is directory.authority of every "
		"relay.\n",
		dir, dir);
	return EXIT_OK;
}

/* The fragment, to its file and to standard output. */
static int publish(const char *dir, int flags, const struct keytool_node *n,
	const struct keytool_public *keys, struct error *err)
{
	char path[KEYTOOL_PATH], *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return error_set(err, ENOMEM, "not enough memory");
	keytool_print_node(f, n, keys);
	fputc('\n', f);
	fclose(f);
	r = keytool_path(path, dir, "node.conf", err);
	if (r == 0)
		r = file_write(path, 0644, text, len, flags, err);
	if (r == 0)
		fputs(text, stdout);
	free(text);
	return r;
}

static int keygen_node(
	const struct keytool_args *a, const char *dir, int flags, const struct keytool_node *n)
{
	struct keytool_public keys;
	struct error err;
	int r = flags & FILE_FORCE ? 0 : keytool_node_exists(dir, &err);

	if (r == 0)
		r = keytool_make_folder(dir, 0700, &err);
	if (r == 0)
		r = keytool_make_node(dir, flags, &keys, &err);
	if (r == 0)
		r = publish(dir, flags, n, &keys, &err);
	if (r < 0)
		return keytool_fail(a, &err);
	fprintf(stderr,
		"%s/{identity,sphinx,vrf}.secret stay on the relay.\n"
		"The group above, also in %s/node.conf, goes into the directory's list of nodes.\n",
		dir, dir);
	return EXIT_OK;
}

/* -1: *n is filled in; otherwise the status to exit with. */
static int read_node(const struct keytool_args *a, struct keytool_node *n)
{
	static const char *const needed[] = {"name", "address", "layer"};
	unsigned long weight;
	struct error err;
	int r;

	for (unsigned i = 0; i < 3; i++)
		if (!keytool_value(a, needed[i]))
			return keytool_usage(a,
				"--%s is missing: a relay's keys need --name, --address and "
				"--layer (an authority's: --authority)",
				needed[i]);
	if (!keytool_number(a, "weight", 1, UINT32_MAX, 100, &weight))
		return EXIT_USAGE;
	n->weight = (uint32_t)weight;
	r = keytool_set_name(n->name, keytool_value(a, "name"), &err);
	if (r == 0 && keytool_value(a, "family"))
		r = keytool_set_name(n->family, keytool_value(a, "family"), &err);
	if (r == 0)
		r = keytool_set_layer(n, keytool_value(a, "layer"), &err);
	if (r == 0)
		r = keytool_set_addresses(n, keytool_value(a, "address"), &err);
	return r < 0 ? keytool_usage(a, "%s", err.msg) : -1;
}

static int keygen(const struct keytool_args *a)
{
	const char *dir = keytool_value(a, "out");
	int flags = keytool_value(a, "force") ? FILE_FORCE : 0, status;
	struct keytool_node n = {0};

	if (keytool_value(a, "authority")) {
		static const char *const others[] = {
			"name", "address", "layer", "weight", "family"};

		for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			if (keytool_value(a, others[i]))
				return keytool_usage(a,
					"--%s: an authority has only --out and --force", others[i]);
		return keygen_authority(a, dir, flags);
	}
	status = read_node(a, &n);
	return status >= 0 ? status : keygen_node(a, dir, flags, &n);
}

const struct keytool_command keytool_keygen = {
	.name = "keygen",
	.text = "Makes the keys of a relay, or of a directory's authority",
	.more = "\nA relay gets three secrets, each of its own draw, mode 0600: identity.secret "
		"(Ed25519),\n"
		"sphinx.secret (X25519) and vrf.secret (Ed25519, for RFC 9381). What is public of "
		"them is\n"
		"printed, and written to node.conf, as a group for the list `nodes` of a "
		"directory.",
	.options = keygen_options,
	.run = keygen,
};

/* ---- pubkey ---- */

static const struct keytool_option pubkey_options[] = {
	{"type", "TYPE", false, "ed25519 or x25519; default: by the file's name"},
	{.name = NULL},
};

/* 'x', 'e', or 0 when the name says nothing. */
static char guess_type(const char *path)
{
	static const char *const ed[] = {"identity.secret", "vrf.secret", "authority.secret"};
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

	if (strcmp(base, "sphinx.secret") == 0)
		return 'x';
	for (unsigned i = 0; i < 3; i++)
		if (strcmp(base, ed[i]) == 0)
			return 'e';
	return 0;
}

static int pubkey(const struct keytool_args *a)
{
	const char *type = keytool_value(a, "type"), *path = a->rest[0];
	uint8_t *secret, pk[32], sk[crypto_sign_SECRETKEYBYTES];
	char hex[65], kind = type ? type[0] : guess_type(path);
	struct error err;
	int r;

	if (type && strcmp(type, "ed25519") != 0 && strcmp(type, "x25519") != 0)
		return keytool_usage(a, "--type %s: allowed is ed25519 or x25519", type);
	if (!kind)
		return keytool_usage(a,
			"%s: the name does not tell the kind of key; add --type ed25519 (identity, "
			"vrf, authority) or --type x25519 (sphinx)",
			path);
	secret = secmem_alloc(32);
	r = secret ? file_read_secret(path, secret, &err)
		   : error_set(&err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
	if (r == 0 && kind == 'x')
		crypto_scalarmult_base(pk, secret);
	else if (r == 0)
		crypto_sign_seed_keypair(pk, sk, secret);
	sodium_memzero(sk, sizeof(sk));
	secmem_free(secret);
	if (r < 0)
		return keytool_fail(a, &err);
	hex_encode(hex, pk, 32);
	printf("%s\n", hex);
	return EXIT_OK;
}

const struct keytool_command keytool_pubkey = {
	.name = "pubkey",
	.rest = "FILE",
	.rest_min = 1,
	.rest_max = 1,
	.text = "Prints the public key that belongs to the secret in FILE",
	.options = pubkey_options,
	.run = pubkey,
};
