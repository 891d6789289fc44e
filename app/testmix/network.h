/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_NETWORK_H
#define BETANET_TESTMIX_NETWORK_H

/* The program with --directory: options behind `--`, which is at argv[own] (0: there are no EAL
 * options). The exit status. */
int network_main(int argc, char **argv, int own);

#endif
