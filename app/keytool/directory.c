/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"

#include <errno.h>
#include <time.h>

static const struct keytool_option sign_options[] = {
	{"in", "FILE", true, "the directory; an old signature in it is replaced"},
	{"out", "FILE", true, "where the signed directory goes"},
	{"key", "FILE", true, "the authority's secret: authority.secret of keygen --authority"},
	{"force", NULL, false, "replace the file that --out names"},
	{.name = NULL},
};

static int sign(const struct keytool_args *a)
{
	int flags = keytool_value(a, "force") ? FILE_FORCE : 0, r;
	uint8_t *seed = secmem_alloc(32);
	struct error err;

	r = seed ? file_read_secret(keytool_value(a, "key"), seed, &err)
		 : error_set(&err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
	if (r == 0)
		r = directory_sign(
			keytool_value(a, "in"), keytool_value(a, "out"), seed, flags, &err);
	secmem_free(seed);
	if (r < 0)
		return keytool_fail(a, &err);
	printf("%s: signed\n", keytool_value(a, "out"));
	return EXIT_OK;
}

const struct keytool_command keytool_directory_sign = {
	.name = "directory sign",
	.text = "Checks a directory and signs it with the authority's key",
	.more = "\nA directory that a relay would refuse (unknown keys, two nodes with one "
		"address, a layer\n"
		"without nodes, ...) is not signed; the message names its file and line.",
	.options = sign_options,
	.run = sign,
};

/* ---- verify ---- */

static const struct keytool_option verify_options[] = {
	{"in", "FILE", true, "the signed directory"},
	{"authority", "HEX|FILE", true, "the authority's public key, or authority.pub"},
	{.name = NULL},
};

static void print_directory(const struct directory *d)
{
	char from[KEYTOOL_TIME], until[KEYTOOL_TIME];

	keytool_print_hex("network id", d->network_id, 32);
	printf("%-12s %s\n", "valid from", keytool_time(from, d->valid_from));
	printf("%-12s %s\n", "valid until", keytool_time(until, d->valid_until));
	keytool_print_hex("hash", d->hash, 32);
	printf("%-12s %u in %u layers\n\n", "nodes", d->count, d->layers);
	printf("%-16s %5s %10s %-12s %-22s %s\n", "name", "layer", "weight", "family", "address",
		"sphinx key");
	for (unsigned l = 1; l <= d->layers; l++) {
		for (unsigned i = 0; i < d->count; i++) {
			const struct directory_node *n = &d->nodes[i];
			char hex[65], text[ENDPOINT_STRLEN];

			if (n->layer != l)
				continue;
			hex_encode(hex, n->sphinx_key, 32);
			printf("%-16s %5u %10u %-12s %-22s %.16s...\n", n->name, n->layer,
				n->weight, n->family[0] ? n->family : "-",
				endpoint_format(text, &n->address[0]), hex);
			if (n->addresses == 2)
				printf("%45s %s\n", "", endpoint_format(text, &n->address[1]));
		}
	}
}

static int verify(const struct keytool_args *a)
{
	const char *path = keytool_value(a, "in");
	struct directory *d;
	struct error err, ignored;
	uint8_t pk[32];
	int r = keytool_read_authority(keytool_value(a, "authority"), pk, &err);

	if (r == 0)
		r = directory_load(path, pk, (uint64_t)time(NULL), &d, &err);
	/* out of date but genuine: worth seeing, and still a failure */
	if (r == -ESTALE && directory_load(path, pk, 0, &d, &ignored) < 0)
		return keytool_fail(a, &ignored);
	if (r < 0 && r != -ESTALE)
		return keytool_fail(a, &err);
	print_directory(d);
	directory_free(d);
	if (r == 0)
		printf("\nsignature and validity hold\n");
	return r < 0 ? keytool_fail(a, &err) : EXIT_OK;
}

const struct keytool_command keytool_directory_verify = {
	.name = "directory verify",
	.text = "Checks the signature, the content and the validity of a directory and lists its "
		"nodes",
	.options = verify_options,
	.run = verify,
};
