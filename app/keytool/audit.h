/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_KEYTOOL_AUDIT_H
#define BETANET_KEYTOOL_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include "keytool.h"
#include "vrf/epoch_record.h"
#include "vrf/neighbour_set.h"

/*
 * What the vrf commands share: the directory and the node that records are held against, and the
 * checks that need more than a record. lib/vrf verifies form, signature, identity and proof; here
 * come the epoch of the file's name, the epoch's time against the directory's validity, and the
 * beacon.
 */

enum { AUDIT_MAX_RECORDS = 1 << 20 };

#define AUDIT_OPTIONS                                                                              \
	{"directory", "FILE", true, "the signed directory that was in force in those epochs"},     \
		{"authority", "HEX|FILE", true, "the authority's public key, or authority.pub"},   \
		{"node", "NAME", true, "the relay, as the directory calls it"},                    \
	{                                                                                          \
		"beacon-file", "FILE", false,                                                      \
			"beacons to compare with: <round> <time> <hex> lines"                      \
	}

/* For the help of every vrf command. */
#define AUDIT_HELP                                                                                 \
	"\nThe directory's signature must hold. Its validity is compared with the time of the\n"   \
	"record's epoch, never with this host's clock: to audit the past, name the directory of\n" \
	"that time, expired or not. A file called <epoch>.epoch or <epoch>.neighbours must hold\n" \
	"the epoch of its name; other names say nothing.\n"                                        \
	"A beacon made from the directory is recomputed. One from a relay's beacon file is\n"      \
	"looked for among the lines of --beacon-file; without that option it is NOT checked, "     \
	"and\n"                                                                                    \
	"the output says so.\n"

struct audit {
	const struct keytool_args *args;
	struct directory *directory;
	const struct directory_node *node;
	struct beacon *beacons; /* of --beacon-file */
	unsigned beacon_count;
};

/* What was found of one record that holds. */
struct audit_finding {
	uint64_t begin, end; /* of its epoch, seconds since 1970 */
	const struct beacon
		*beacon; /* the line that it agrees with; NULL: none was needed or given */
};

/* Reads the options of AUDIT_OPTIONS and tests lib/vrf. 0 or a negative errno with `err`; what was
 * opened is closed by audit_close in either case. */
int audit_open(struct audit *a, const struct keytool_args *args, struct error *err);
void audit_close(struct audit *a);

/*
 * Reads and checks the record in the file. 0; -ENODATA (epochs only): genuine, but it says "not
 * proved"; else negative with `err`. r and f are filled for 0 and -ENODATA, beta (public once the
 * record is) for 0.
 */
int audit_epoch(const struct audit *a, const char *path, struct epoch_record *r,
	struct audit_finding *f, uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err);

struct audit_neighbours {
	uint32_t seconds; /* in: length of the network's neighbour epochs */
	struct neighbour_record record;
	struct neighbour_set set;
};

/* The same for a record of neighbours, which always is proved or refused. */
int audit_neighbours(const struct audit *a, const char *path, struct audit_neighbours *n,
	struct audit_finding *f, struct error *err);

/* The directory's name and validity, once before all records. */
void audit_print_directory(const struct audit *a);

/* "PATH: VERDICT" and what stands in every record's head. */
void audit_print_head(const struct audit *a, const char *path, const char *verdict,
	const struct record_head *h, const struct audit_finding *f);

/*
 * Runs `one` over every record that the command line names and ends with a line of counts. `one`
 * prints what it found and returns what audit_epoch does. EXIT_OK when every one returned 0.
 */
int audit_all(const struct keytool_args *args,
	int (*one)(const struct audit *a, const char *path, struct error *err));

#endif
