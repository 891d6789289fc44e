/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "core/bytes.h"
#include "core/file.h"
#include "core/secmem.h"
#include "crypto/crypto.h"
#include "sphinx/frame.h"
#include "sphinx/sphinx.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct keytool_option inspect_options[] = {
	{"key", "FILE", false, "a relay's sphinx.secret; without it: what everyone sees"},
	{"directory", "FILE", false, "signed directory, to name the next hop"},
	{"authority", "HEX|FILE", false, "the directory's authority"},
	{.name = NULL},
};

enum {
	INPUT_MAX = 4 * (SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX),
	HEX_MIN = 64, /* digits; as many bytes of a packet are hardly all digits by chance */
};

struct inspection {
	const struct keytool_args *args;
	const char *name;            /* of the packet's source, for messages */
	struct directory *directory; /* NULL: none given */
	uint8_t *data;               /* as read, then as bytes */
	size_t len;
	const uint8_t *frame; /* NULL: none */
	uint8_t *packet;      /* inside data */
	size_t packet_len;
};

/* Text of hexadecimal digits and white space only becomes bytes, in place. */
static int undo_hex(struct inspection *t, struct error *err)
{
	size_t digits = 0;
	char pair[3] = "";

	for (size_t i = 0; i < t->len; i++) {
		if (isxdigit(t->data[i]))
			digits++;
		else if (!isspace(t->data[i]))
			return 0;
	}
	if (digits < HEX_MIN)
		return 0;
	if (digits % 2)
		return error_set(err, EINVAL,
			"%s: an odd number of hexadecimal digits (%zu): one is missing", t->name,
			digits);
	digits = 0;
	for (size_t i = 0; i < t->len; i++) {
		if (isspace(t->data[i]))
			continue;
		pair[digits % 2] = (char)t->data[i];
		if (digits++ % 2)
			hex_decode(&t->data[digits / 2 - 1], 1, pair);
	}
	t->len = digits / 2;
	return 0;
}

/* A frame fits the length behind it in version, size tag, type and rotation; chance makes no such
 * four bytes in practice. */
static void find_frame(struct inspection *t)
{
	t->packet = t->data;
	t->packet_len = t->len;
	if (t->len > FRAME_SIZE + SPHINX_HEADER_SIZE &&
		frame_check(t->data, t->len - FRAME_SIZE - SPHINX_HEADER_SIZE) == 0) {
		t->frame = t->data;
		t->packet += FRAME_SIZE;
		t->packet_len -= FRAME_SIZE;
	}
}

static int refused(const struct inspection *t, enum sphinx_status s)
{
	printf("%-12s %s: %s\n", "refused", sphinx_status_name(s), sphinx_status_text(s));
	fflush(stdout);
	fprintf(stderr, "betanet-keytool packet inspect: %s: the packet is refused (%s)\n", t->name,
		sphinx_status_name(s));
	return EXIT_FAILED;
}

/* What stands in the open. */
static void print_outside(const struct inspection *t)
{
	static const char *const rotations[] = {"unknown", "odd", "even"};

	printf("%-12s %zu bytes\n", "packet", t->packet_len);
	if (t->frame)
		printf("%-12s version %u, size tag 0x%02x, type %u, rotation %u (%s)\n", "frame",
			t->frame[0], t->frame[1], t->frame[2], t->frame[3],
			t->frame[3] < 3 ? rotations[t->frame[3]] : "?");
	else
		printf("%-12s none\n", "frame");
	keytool_print_hex("alpha", t->packet, SPHINX_ALPHA_SIZE);
	keytool_print_hex("gamma", t->packet + SPHINX_ALPHA_SIZE, SPHINX_GAMMA_SIZE);
	keytool_print_hex(
		"beta", t->packet + SPHINX_ALPHA_SIZE + SPHINX_GAMMA_SIZE, SPHINX_BETA_SIZE);
	printf("%-12s %zu bytes\n", "payload", t->packet_len - SPHINX_HEADER_SIZE);
}

static enum sphinx_status print_address(const struct inspection *t, const char *label,
	const uint8_t address[SPHINX_ADDRESS_SIZE], bool node)
{
	const struct directory_node *n = NULL;
	char text[ENDPOINT_STRLEN];
	struct endpoint e;
	enum sphinx_status s = address_decode(address, &e);

	if (s != SPHINX_ok) {
		keytool_print_hex(label, address, SPHINX_ADDRESS_SIZE);
		return s;
	}
	if (t->directory && node)
		n = directory_find_address(t->directory, &e);
	printf("%-12s %s", label, endpoint_format(text, &e));
	if (n)
		printf(" (%s, layer %u)", n->name, n->layer);
	else if (t->directory && node)
		printf(" (not in the directory: a relay drops it, unknown_next_hop)");
	putchar('\n');
	return SPHINX_ok;
}

static enum sphinx_status print_forward(const struct inspection *t, const struct sphinx_hop *h)
{
	enum sphinx_status s = print_address(t, "next hop", h->address, true);

	printf("%-12s %" PRIu64 " ns (%.3f ms)\n", "delay", h->delay_ns, (double)h->delay_ns / 1e6);
	keytool_print_hex("next alpha", t->packet, SPHINX_ALPHA_SIZE);
	keytool_print_hex("next gamma", t->packet + SPHINX_ALPHA_SIZE, SPHINX_GAMMA_SIZE);
	return s;
}

static enum sphinx_status print_final(const struct inspection *t, const struct sphinx_hop *h)
{
	enum sphinx_status s = print_address(t, "destination", h->address, false);
	const uint8_t *message;
	size_t message_len;

	keytool_print_hex("identifier", h->identifier, SPHINX_IDENTIFIER_SIZE);
	if (sphinx_payload_message(t->packet + SPHINX_HEADER_SIZE,
		    t->packet_len - SPHINX_HEADER_SIZE, &message, &message_len) == SPHINX_ok)
		printf("%-12s %zu bytes\n", "message", message_len);
	else
		printf("%-12s not readable here: a reply to its maker, or damaged (bad_payload)\n",
			"message");
	return s;
}

static int print_hop(const struct inspection *t, const struct sphinx_hop *h)
{
	enum sphinx_status s;
	bool forward = h->flag == SPHINX_FLAG_FORWARD;

	printf("%-12s %u\n%-12s %u (%s)\n", "version", h->version, "flag", h->flag,
		forward ? "forward" : "final");
	s = forward ? print_forward(t, h) : print_final(t, h);
	return s == SPHINX_ok ? EXIT_OK : refused(t, s);
}

/* What the owner of the key sees. */
static int unwrap(struct inspection *t, const uint8_t *key, struct crypto *c)
{
	struct sphinx_secrets *secrets = secmem_alloc(sizeof(*secrets));
	struct sphinx_hop hop;
	enum sphinx_status s;
	struct error err;

	if (!secrets) {
		error_set(&err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
		return keytool_fail(t->args, &err);
	}
	s = sphinx_unwrap_open(c, key, t->packet, t->packet_len, secrets);
	if (s == SPHINX_ok) {
		keytool_print_hex(
			"replay tag", secrets->expanded + SPHINX_OFF_TAG, SPHINX_TAG_SIZE);
		s = sphinx_unwrap_finish(c, t->packet, t->packet_len, secrets, &hop);
	}
	secmem_free(secrets);
	return s == SPHINX_ok ? print_hop(t, &hop) : refused(t, s);
}

static int inspect_packet(struct inspection *t)
{
	const char *path = keytool_value(t->args, "key");
	uint8_t *key;
	struct crypto *c = NULL;
	struct error err;
	int r, status;

	find_frame(t);
	if (t->packet_len < SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN ||
		t->packet_len > SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX) {
		printf("%-12s %zu bytes\n", "packet", t->packet_len);
		return refused(t, SPHINX_bad_length);
	}
	print_outside(t);
	if (!path)
		return EXIT_OK;
	key = secmem_alloc(32);
	r = key ? file_read_secret(path, key, &err)
		: error_set(&err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
	if (r == 0)
		r = crypto_init(0, &err);
	if (r == 0 && !(c = crypto_create()))
		r = error_set(&err, errno, "no locked memory to compute with; raise ulimit -l");
	status = r < 0 ? keytool_fail(t->args, &err) : unwrap(t, key, c);
	crypto_free(c);
	secmem_free(key);
	return status;
}

static int load_directory(struct inspection *t, struct error *err)
{
	const char *path = keytool_value(t->args, "directory");
	uint8_t pk[32];
	int r;

	if (!path)
		return 0;
	r = keytool_read_authority(keytool_value(t->args, "authority"), pk, err);
	/* an old packet is looked at with the directory of its time */
	return r < 0 ? r : directory_load(path, pk, 0, &t->directory, err);
}

/* Not through /dev/stdin: a process without core dumps may not open its own descriptors there. */
static int read_stdin(struct inspection *t, struct error *err)
{
	t->data = malloc(INPUT_MAX + 1);
	if (!t->data)
		return error_set(err, ENOMEM, "standard input: not enough memory to read it");
	t->len = fread(t->data, 1, INPUT_MAX + 1, stdin);
	if (ferror(stdin))
		return error_set(err, EIO, "standard input: cannot be read: %s", strerror(errno));
	if (t->len > INPUT_MAX)
		return error_set(
			err, EFBIG, "standard input: larger than the %d bytes allowed", INPUT_MAX);
	return 0;
}

static int inspect(const struct keytool_args *a)
{
	bool from_stdin = strcmp(a->rest[0], "-") == 0;
	struct inspection t = {.args = a, .name = from_stdin ? "standard input" : a->rest[0]};
	struct error err;
	int r, status;

	if (!keytool_value(a, "directory") != !keytool_value(a, "authority"))
		return keytool_usage(a, "--directory and --authority go together");
	r = load_directory(&t, &err);
	if (r == 0)
		r = from_stdin ? read_stdin(&t, &err)
			       : file_read(t.name, INPUT_MAX, &t.data, &t.len, &err);
	if (r == 0)
		r = undo_hex(&t, &err);
	status = r < 0 ? keytool_fail(a, &err) : inspect_packet(&t);
	free(t.data);
	directory_free(t.directory);
	return status;
}

const struct keytool_command keytool_packet_inspect = {
	.name = "packet inspect",
	.rest = "FILE|-",
	.rest_min = 1,
	.rest_max = 1,
	.text = "Shows what a Sphinx packet tells everyone, and what it tells the owner of a key",
	.more = "\nThe packet is read from FILE, or from standard input with -: bytes, or "
		"hexadecimal digits\n"
		"with or without white space; with the frame of four bytes before it or without. "
		"It is\n"
		"unwrapped once; that it was seen does not enter any relay's replay table.",
	.options = inspect_options,
	.run = inspect,
};
