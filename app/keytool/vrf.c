/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

/* The nodes that a relay may be given as neighbours, in the directory's order; borrowed from it. */
struct next_layer {
	struct neighbour_candidate *candidate;
	const struct directory_node **node;
	unsigned count;
};

static void add_candidate(struct next_layer *l, const struct directory_node *n)
{
	struct neighbour_candidate *c = &l->candidate[l->count];

	memcpy(c->id, n->identity_key, sizeof(c->id));
	c->weight = n->weight;
	c->addresses = n->addresses;
	memcpy(c->address, n->address, sizeof(c->address));
	c->family = n->family;
	l->node[l->count++] = n;
}

/* As in neighbour_set.h: all nodes of the layer but the node itself. */
static int collect(struct next_layer *l, const struct directory *d,
	const struct directory_node *node, unsigned layer)
{
	*l = (struct next_layer){.candidate = calloc(d->count, sizeof(*l->candidate)),
		.node = calloc(d->count, sizeof(*l->node))};
	if (!l->candidate || !l->node)
		return -ENOMEM;
	for (unsigned i = 0; i < d->count; i++)
		if (d->nodes[i].layer == layer && &d->nodes[i] != node)
			add_candidate(l, &d->nodes[i]);
	return 0;
}

static void print_neighbour(unsigned rank, const struct directory_node *n)
{
	char text[ENDPOINT_STRLEN];

	printf("%4u %-16s %10u %-12s", rank, n->name, n->weight, n->family[0] ? n->family : "-");
	for (unsigned i = 0; i < n->addresses; i++)
		printf(" %s", endpoint_format(text, &n->address[i]));
	putchar('\n');
}

static int show_selection(const struct audit *a, const char *path, const struct neighbour_record *r,
	const struct audit_finding *f, const uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	unsigned chosen[NEIGHBOUR_MAX], count;
	struct next_layer l;
	int ret = collect(&l, a->directory, a->node, r->layer);

	if (ret < 0)
		error_set(err, ENOMEM, "%s: not enough memory for the selection", path);
	else
		ret = neighbour_select(
			l.candidate, l.count, beta, r->head.scope.epoch, chosen, &count, err);
	if (ret == 0) {
		audit_print_head(a, path, "proved", &r->head, f);
		printf("%-12s %u of the %u nodes in layer %u, in the order of selection\n",
			"neighbours", count, l.count, r->layer);
		for (unsigned i = 0; i < count; i++)
			print_neighbour(i + 1, l.node[chosen[i]]);
	}
	free(l.candidate);
	free(l.node);
	return ret;
}

static int show_neighbours(const struct audit *a, const char *path, struct error *err)
{
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct neighbour_record r;
	struct audit_finding f;
	int ret = audit_neighbours(a, path, &r, &f, beta, err);

	return ret < 0 ? ret : show_selection(a, path, &r, &f, beta, err);
}

static int verify_neighbours(const struct keytool_args *args)
{
	return audit_all(args, show_neighbours);
}

const struct keytool_command keytool_vrf_verify_neighbours = {
	.name = "vrf verify-neighbours",
	.rest = "RECORD...",
	.rest_min = 1,
	.rest_max = AUDIT_MAX_RECORDS,
	.text = "Checks a relay's neighbour records and draws again the nodes it may send to",
	.more = AUDIT_HELP
	"The record names its directory by hash: any other is refused. The list has the columns\n"
	"rank, name, weight, family (- when none) and addresses; packets from this relay to a\n"
	"node of the next layer that is not in it break the rule of the epoch.",
	.options = verify_options,
	.run = verify_neighbours,
};
