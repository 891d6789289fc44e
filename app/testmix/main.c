/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * betanet-testmix: the lab. A testpmd-style command line over engines, ports, a generator and a
 * sink (cli.c); or, with --directory or --chain, the load and the judge of a whole network of
 * relays (network.c).
 */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "network.h"
#include "options.h"

/* Where the application's own options start: behind `--`. Without it there are no EAL options. */
static int own_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return i;
	return 0;
}

static bool given(int argc, char **argv, int from, const char *name)
{
	size_t len = strlen(name);

	for (int i = from + 1; i < argc; i++)
		if (strncmp(argv[i], name, len) == 0 && (argv[i][len] == 0 || argv[i][len] == '='))
			return true;
	return false;
}

static int help(void)
{
	puts("betanet-testmix [EAL options] -- [options]\n");
	puts("the lab's command line:");
	cli_options_describe(stdout);
	puts("\nwith --directory or --chain: load for a network of relays, and the judge of what "
	     "comes back:");
	options_describe(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	int own = own_options(argc, argv);

	if (given(argc, argv, own, "--directory") || given(argc, argv, own, "--chain"))
		return network_main(argc, argv, own);
	if (given(argc, argv, own, "--help"))
		return help();
	return cli_main(argc, argv, own);
}
