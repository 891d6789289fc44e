/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit.h"
#include "core/file.h"
#include "core/secmem.h"
#include "crypto/crypto.h"
#include "crypto/x25519.h"
#include "sphinx/header.h"
#include "vrf/delay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct keytool_option options[] = {
	AUDIT_OPTIONS,
	{"record", "RECORD", true, "the epoch record of the packet's arrival at the relay"},
	{"shared-secret", "FILE", false, "what the packet's sender shares with this relay"},
	{"initial-secret", "FILE", false, "or: the secret that the whole packet was made from"},
	{"route", "NAME,...", false, "with it: the packet's relays, from the first to --node"},
	{.name = NULL},
};

struct secrets {
	uint8_t initial[32], shared[DELAY_SHARED_SIZE];
	struct sphinx_route_secrets route;
	uint8_t key[DELAY_KEY_SIZE], tag[DELAY_TAG_SIZE];
	struct delay_draw draw;
};

/* The relays of --route, which ends with --node. */
static int read_route(const struct audit *a, struct sphinx_route *route, struct error *err)
{
	const char *text = keytool_value(a->args, "route");
	const struct directory_node *n = NULL;

	*route = (struct sphinx_route){.version = SPHINX_V259}; /* the same for all versions */
	do {
		size_t len = strcspn(text, ",");
		char name[DIRECTORY_NAME_MAX];

		snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : 0), text);
		n = directory_find_name(a->directory, name);
		if (!n)
			return error_set(err, ENOENT, "--route: the directory has no node \"%.*s\"",
				(int)(len < 100 ? len : 100), text);
		if (route->hops == SPHINX_MAX_HOPS)
			return error_set(
				err, EINVAL, "--route: more than %d relays", SPHINX_MAX_HOPS);
		memcpy(route->hop[route->hops++].public_key, n->sphinx_key, 32);
		text += len;
	} while (*text++ == ',');
	return n == a->node ? 0
			    : error_set(err, EINVAL, "--route: ends with %s; it must end with %s",
				      n->name, a->node->name);
}

/* s of the last hop: x times its key, blinded by every hop before it (sphinx.md). */
static int derive(struct crypto *c, struct sphinx_route *route, struct secrets *s)
{
	const uint8_t *key = route->hop[--route->hops].public_key;
	int bad = sphinx_route_derive(c, route, s->initial, &s->route) != SPHINX_ok;

	bad = bad || x25519(s->shared, s->initial, key) < 0;
	for (unsigned i = 0; i < route->hops && !bad; i++)
		bad = x25519(s->shared, s->route.expanded[i] + SPHINX_OFF_BLINDING, s->shared) < 0;
	return bad ? -EINVAL : 0;
}

static int derive_shared(const struct audit *a, struct secrets *s, struct error *err)
{
	struct sphinx_route route;
	struct crypto *c = NULL;
	int r = read_route(a, &route, err);

	if (r == 0)
		r = crypto_init(0, err);
	if (r == 0 && !(c = crypto_create()))
		r = error_set(err, errno, "no locked memory to compute with; raise ulimit -l");
	if (r == 0 && derive(c, &route, s) < 0)
		r = error_set(err, EINVAL, "--route: a relay's Sphinx key is of small order");
	crypto_free(c);
	return r;
}

static int read_secret(const struct audit *a, struct secrets *s, struct error *err)
{
	const char *shared = keytool_value(a->args, "shared-secret");
	int r;

	if (shared)
		return file_read_secret(shared, s->shared, err);
	r = file_read_secret(keytool_value(a->args, "initial-secret"), s->initial, err);
	return r < 0 ? r : derive_shared(a, s, err);
}

static void print_delay(const struct epoch_record *r, const struct delay_draw *draw)
{
	uint64_t ns = delay_scale(r->mean_ns, draw->exp);

	printf("%-12s %" PRIu64 " ns (%.3f ms), of mean %" PRIu64 " ns\n", "delay", ns,
		(double)ns / 1e6, r->mean_ns);
	printf("%-12s %" PRIu64 "\n", "tie", draw->tie);
}

static int show_delay(const struct audit *a, struct secrets *s, struct error *err)
{
	const char *path = keytool_value(a->args, "record");
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct audit_finding f;
	struct epoch_record r;
	int ret = audit_epoch(a, path, &r, &f, beta, err);

	if (ret == 0)
		ret = read_secret(a, s, err);
	if (ret < 0)
		return ret;
	delay_epoch_key(s->key, beta, r.head.scope.epoch);
	delay_tag(s->tag, s->shared);
	delay_draw(s->key, s->tag, &s->draw);
	audit_print_directory(a);
	audit_print_head(a, path, "proved", &r.head, &f);
	print_delay(&r, &s->draw);
	return 0;
}

static int delay(const struct keytool_args *args)
{
	bool initial = keytool_value(args, "initial-secret");
	struct audit a = {0};
	struct secrets *s;
	struct error err;
	int r;

	if (initial == !!keytool_value(args, "shared-secret"))
		return keytool_usage(args, "one of --shared-secret FILE and --initial-secret FILE");
	if (initial != !!keytool_value(args, "route"))
		return keytool_usage(args, "--initial-secret and --route go together");
	s = secmem_alloc(sizeof(*s));
	r = s ? audit_open(&a, args, &err)
	      : error_set(&err, ENOMEM, "no locked memory for a secret; raise ulimit -l");
	if (r == 0)
		r = show_delay(&a, s, &err);
	secmem_free(s);
	audit_close(&a);
	return r < 0 ? keytool_fail(args, &err) : EXIT_OK;
}

const struct keytool_command keytool_vrf_delay = {
	.name = "vrf delay",
	.text = "Tells the delay that a relay had to give a packet whose secret you know",
	.more = AUDIT_HELP
	"The packet's secret comes from a file of 64 digits and mode 0600, never from the command\n"
	"line: either the X25519 result that its sender shares with this relay (each hop has its\n"
	"own), or the sender's initial secret with the relays that the packet passed. Keep both\n"
	"as secret as the route: they let anyone follow the packet. The delay is that of mode\n"
	"\"vrf\"; in mode \"sum\" the sender's own comes on top. The record is that of the epoch "
	"in\n"
	"which the packet arrived. Of packets that leave in one tick of the relay's clock, the "
	"one\n"
	"with the lower tie goes first.",
	.options = options,
	.run = delay,
};
