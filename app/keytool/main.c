/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "core/secmem.h"
#include "core/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct keytool_command *const commands[] = {
	&keytool_keygen,
	&keytool_pubkey,
	&keytool_directory_sign,
	&keytool_directory_verify,
	&keytool_network_create,
	&keytool_packet_inspect,
	&keytool_vrf_verify_epoch,
	&keytool_vrf_verify_neighbours,
	&keytool_vrf_delay,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_commands(FILE *out)
{
	fprintf(out, "usage: betanet-keytool COMMAND ...\n\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-22s %s\n", commands[i]->name, commands[i]->text);
	fprintf(out,
		"\nbetanet-keytool COMMAND --help tells more; --version prints the version.\n");
}

/* How many of the words name the command: 0 when they do not. */
static int matches(const struct keytool_command *c, int argc, char **argv)
{
	const char *space = strchr(c->name, ' ');
	size_t n = space ? (size_t)(space - c->name) : strlen(c->name);

	if (argc < 1 || strlen(argv[0]) != n || memcmp(argv[0], c->name, n) != 0)
		return 0;
	if (!space)
		return 1;
	return argc >= 2 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static int run(int argc, char **argv)
{
	struct keytool_args args;

	for (unsigned i = 0; i < COMMANDS; i++) {
		int words = matches(commands[i], argc, argv), status;

		if (words == 0)
			continue;
		status = keytool_parse(commands[i], argc - words, argv + words, &args);
		return status >= 0 ? status : commands[i]->run(&args);
	}
	fprintf(stderr, "betanet-keytool: there is no command \"%s%s%s\"\n\n", argv[0],
		argc > 1 && argv[1][0] != '-' ? " " : "",
		argc > 1 && argv[1][0] != '-' ? argv[1] : "");
	print_commands(stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct error err;
	int status;

	if (argc < 2) {
		print_commands(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("betanet-keytool %s\n", BETANET_VERSION);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_commands(stdout);
		return EXIT_OK;
	}
	if (secmem_init(&err) < 0) {
		fprintf(stderr, "betanet-keytool: %s\n", err.msg);
		return EXIT_FAILED;
	}
	status = run(argc - 1, argv + 1);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "betanet-keytool: the output could not be written: %s\n",
			strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}
