/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "config/cfgtext.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Making keys and describing nodes: what keygen and network create share. */

static const char *const node_files[] = {
	"identity.secret", "sphinx.secret", "vrf.secret", "node.conf", NULL};
static const char *const authority_files[] = {"authority.secret", "authority.pub", NULL};

int keytool_set_name(char out[DIRECTORY_NAME_MAX], const char *text, struct error *err)
{
	char shown[CFGTEXT_VALUE];

	if (!cfgtext_is_name(text, DIRECTORY_NAME_MAX))
		return error_set(err, EINVAL,
			"\"%s\": allowed is a name of 1..%d characters of A-Z a-z 0-9 . _ -",
			cfgtext_show(shown, text), DIRECTORY_NAME_MAX - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int keytool_set_layer(struct keytool_node *n, const char *text, struct error *err)
{
	char shown[CFGTEXT_VALUE];

	if (text[0] < '1' || text[0] > '0' + DIRECTORY_MAX_LAYER || text[1])
		return error_set(err, EINVAL, "layer \"%s\": allowed is 1..%d",
			cfgtext_show(shown, text), DIRECTORY_MAX_LAYER);
	n->layer = (unsigned)(text[0] - '0');
	return 0;
}

static int add_address(struct keytool_node *n, const char *text, struct error *err)
{
	char shown[CFGTEXT_VALUE];
	struct endpoint *e = &n->address[n->addresses];
	const char *no;

	if (n->addresses == 2)
		return error_set(err, EINVAL, "more than two addresses");
	if (endpoint_parse(e, text) < 0 || e->port == 0)
		return error_set(err, EINVAL,
			"address \"%s\": allowed is an address with its port, such as "
			"192.0.2.1:9000 or [2001:db8::1]:9000",
			cfgtext_show(shown, text));
	no = cfgtext_no_host(e);
	if (no)
		return error_set(
			err, EINVAL, "address %s %s; allowed is a host's address", text, no);
	if (n->addresses == 1 && n->address[0].family == e->family)
		return error_set(err, EINVAL,
			"address %s: the second one of its family; allowed is one IPv4 and one "
			"IPv6",
			text);
	n->addresses++;
	return 0;
}

int keytool_set_addresses(struct keytool_node *n, const char *text, struct error *err)
{
	int r = 0;

	n->addresses = 0;
	do {
		char one[ENDPOINT_STRLEN];
		size_t len = strcspn(text, ",");

		snprintf(one, sizeof(one), "%.*s", (int)(len < 100 ? len : 100), text);
		r = add_address(n, one, err);
		text += len;
	} while (r == 0 && *text++ == ',');
	return r;
}

void keytool_print_node(FILE *out, const struct keytool_node *n, const struct keytool_public *keys)
{
	char hex[65], text[ENDPOINT_STRLEN];

	fprintf(out, "\t{\n\t\tname = \"%s\";\n\t\tlayer = %u;\n\t\tweight = %u;\n", n->name,
		n->layer, n->weight);
	if (n->family[0])
		fprintf(out, "\t\tfamily = \"%s\";\n", n->family);
	fprintf(out, "\t\taddress = [ \"%s\"", endpoint_format(text, &n->address[0]));
	if (n->addresses == 2)
		fprintf(out, ", \"%s\"", endpoint_format(text, &n->address[1]));
	fputs(" ];\n", out);
	hex_encode(hex, keys->identity, 32);
	fprintf(out, "\t\tidentity_key = \"%s\";\n", hex);
	hex_encode(hex, keys->sphinx, 32);
	fprintf(out, "\t\tsphinx_key = \"%s\";\n", hex);
	hex_encode(hex, keys->vrf, 32);
	fprintf(out, "\t\tvrf_key = \"%s\";\n\t}", hex);
}

int keytool_path(char out[KEYTOOL_PATH], const char *dir, const char *file, struct error *err)
{
	if (snprintf(out, KEYTOOL_PATH, "%s/%s", dir, file) >= KEYTOOL_PATH)
		return error_set(err, ENAMETOOLONG, "%.100s...: the path is too long", dir);
	return 0;
}

int keytool_make_folder(const char *path, mode_t mode, struct error *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno == EEXIST && stat(path, &st) == 0)
		return S_ISDIR(st.st_mode)
			       ? 0
			       : error_set(err, ENOTDIR, "%s: is no folder; name another", path);
	return error_set(err, errno, "%s: the folder cannot be made: %s", path, strerror(errno));
}

static int one_exists(const char *dir, const char *const *files, struct error *err)
{
	char path[KEYTOOL_PATH];
	int r = 0;

	for (; r == 0 && *files; files++) {
		r = keytool_path(path, dir, *files, err);
		if (r == 0 && access(path, F_OK) == 0)
			r = error_set(err, EEXIST,
				"%s: exists, and nothing was changed; it is replaced only with "
				"--force",
				path);
	}
	return r;
}

int keytool_node_exists(const char *dir, struct error *err)
{
	return one_exists(dir, node_files, err);
}

int keytool_authority_exists(const char *dir, struct error *err)
{
	return one_exists(dir, authority_files, err);
}

/* One secret of its own from the system's random numbers, and what is public of it. */
static int make_secret(const char *dir, const char *file, int flags, bool x25519, uint8_t *seed,
	uint8_t pk[32], struct error *err)
{
	uint8_t sk[crypto_sign_SECRETKEYBYTES];
	char path[KEYTOOL_PATH];
	int r = keytool_path(path, dir, file, err);

	if (r < 0)
		return r;
	randombytes_buf(seed, 32);
	if (x25519)
		crypto_scalarmult_base(pk, seed);
	else
		crypto_sign_seed_keypair(pk, sk, seed);
	sodium_memzero(sk, sizeof(sk));
	return file_write_secret(path, seed, flags, err);
}

int keytool_make_node(const char *dir, int flags, struct keytool_public *keys, struct error *err)
{
	uint8_t *seed = secmem_alloc(32);
	int r;

	if (!seed)
		return error_set(err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
	r = make_secret(dir, "identity.secret", flags, false, seed, keys->identity, err);
	if (r == 0)
		r = make_secret(dir, "sphinx.secret", flags, true, seed, keys->sphinx, err);
	/* a draw of its own: one seed for a signature and a VRF would give the key away */
	if (r == 0)
		r = make_secret(dir, "vrf.secret", flags, false, seed, keys->vrf, err);
	secmem_free(seed);
	return r;
}

int keytool_make_authority(
	const char *dir, int flags, uint8_t *seed, uint8_t pk[32], struct error *err)
{
	char path[KEYTOOL_PATH], hex[66];
	int r = make_secret(dir, "authority.secret", flags, false, seed, pk, err);

	if (r == 0)
		r = keytool_path(path, dir, "authority.pub", err);
	if (r < 0)
		return r;
	hex_encode(hex, pk, 32);
	hex[64] = '\n';
	return file_write(path, 0644, hex, 65, flags, err);
}

int keytool_read_authority(const char *text, uint8_t pk[32], struct error *err)
{
	size_t n = strlen(text), len;
	uint8_t *data;
	int r;

	if (hex_decode(pk, 32, text) == 0)
		return 0;
	if (n >= 7 && strcmp(text + n - 7, ".secret") == 0)
		return error_set(err, EINVAL,
			"%s: a secret; name the public key (authority.pub, or what "
			"betanet-keytool pubkey prints)",
			text);
	r = file_read(text, 4096, &data, &len, err);
	if (r < 0)
		return r;
	if (len && data[len - 1] == '\n')
		data[--len] = '\0';
	if (strlen((char *)data) != len || hex_decode(pk, 32, (char *)data) < 0)
		r = error_set(err, EINVAL,
			"%s: neither 64 hexadecimal digits nor a file that holds them", text);
	free(data);
	return r;
}
