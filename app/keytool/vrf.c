/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit.h"

#include <errno.h>

#include <inttypes.h>

/* ---- verify-epoch */

static const struct keytool_option verify_options[] = {AUDIT_OPTIONS, {.name = NULL}};

/* Class c > 0 stands for 2^(c-1) to 2^c - 1 packets. */
static void print_count(uint8_t c)
{
	uint64_t first = c ? UINT64_C(1) << (c - 1) : 0;

	printf("%-12s class %u: %" PRIu64 " to %" PRIu64 "\n", "packets", c, first,
		c ? first + (first - 1) : 0);
}

static int show_epoch(const struct audit *a, const char *path, struct error *err)
{
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct audit_finding f;
	struct epoch_record r;
	int ret = audit_epoch(a, path, &r, &f, beta, err);

	if (ret < 0 && ret != -ENODATA)
		return ret;
	audit_print_head(a, path, ret == 0 ? "proved" : "genuine, but NOT PROVED", &r.head, &f);
	printf("%-12s %" PRIu64 " ns (%.3f ms)\n", "mean delay", r.mean_ns,
		(double)r.mean_ns / 1e6);
	printf("%-12s %" PRIu64 " ns (%.3f ms)\n", "longest", r.cap_ns, (double)r.cap_ns / 1e6);
	print_count(r.count_class);
	return ret;
}

static int verify_epoch(const struct keytool_args *args)
{
	return audit_all(args, show_epoch);
}

const struct keytool_command keytool_vrf_verify_epoch = {
	.name = "vrf verify-epoch",
	.rest = "RECORD...",
	.rest_min = 1,
	.rest_max = AUDIT_MAX_RECORDS,
	.text = "Checks what a relay published of epochs that are over: that its delays were fixed "
		"by proof",
	.more = AUDIT_HELP
	"A relay may say that it could not prove an epoch: its delays were random all the same,\n"
	"but nobody can check them. Such a record is shown and counts as a failure, as does one\n"
	"that was published before the epoch's packets had left. One record that fails does not\n"
	"keep the others from being checked.",
	.options = verify_options,
	.run = verify_epoch,
};

/* ---- verify-neighbours */

static const struct keytool_option neighbour_options[] = {
	AUDIT_OPTIONS,
	{"epoch-seconds", "N", false, "length of the network's neighbour epochs (default 3600)"},
	{.name = NULL},
};

/* False after a message. */
static bool epoch_seconds(const struct keytool_args *args, uint32_t *out)
{
	unsigned long n;

	if (!keytool_number(args, "epoch-seconds", NEIGHBOUR_SECONDS_MIN, NEIGHBOUR_SECONDS_MAX,
		    NEIGHBOUR_SECONDS_DEFAULT, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

/* neighbour_set.h: all nodes of the layer but the node itself. */
static unsigned candidates(const struct audit *a, unsigned layer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->directory->count; i++)
		n += a->directory->nodes[i].layer == layer && &a->directory->nodes[i] != a->node;
	return n;
}

static void print_neighbour(unsigned rank, const struct directory_node *n)
{
	char text[ENDPOINT_STRLEN];

	printf("%4u %-16s %10u %-12s", rank, n->name, n->weight, n->family[0] ? n->family : "-");
	for (unsigned i = 0; i < n->addresses; i++)
		printf(" %s", endpoint_format(text, &n->address[i]));
	putchar('\n');
}

static int show_neighbours(const struct audit *a, const char *path, struct error *err)
{
	struct audit_neighbours n = {0};
	struct audit_finding f;
	int ret;

	epoch_seconds(a->args, &n.seconds); /* verify_neighbours has seen that it is a number */
	ret = audit_neighbours(a, path, &n, &f, err);
	if (ret < 0)
		return ret;
	audit_print_head(a, path, "proved", &n.record.head, &f);
	printf("%-12s %u of the %u nodes in layer %u, in the order of selection\n", "neighbours",
		n.set.count, candidates(a, n.set.layer), n.set.layer);
	for (unsigned i = 0; i < n.set.count; i++)
		print_neighbour(i + 1, &a->directory->nodes[n.set.member[i]]);
	return 0;
}

static int verify_neighbours(const struct keytool_args *args)
{
	uint32_t seconds;

	return epoch_seconds(args, &seconds) ? audit_all(args, show_neighbours) : EXIT_USAGE;
}

const struct keytool_command keytool_vrf_verify_neighbours = {
	.name = "vrf verify-neighbours",
	.rest = "RECORD...",
	.rest_min = 1,
	.rest_max = AUDIT_MAX_RECORDS,
	.text = "Checks a relay's neighbour records and draws again the nodes it may send to",
	.more = AUDIT_HELP
	"The record names its directory by hash: any other is refused, and so is all that a relay\n"
	"could try until a set pleases it: another suite than TAI, another length of epochs. The "
	"list has\n"
	"the columns rank, name, weight, family (- when none) and addresses; a packet that this\n"
	"relay forwards to any other node breaks the rule of the epoch. The last layer's next\n"
	"layer is layer 1.",
	.options = neighbour_options,
	.run = verify_neighbours,
};
