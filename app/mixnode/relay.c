/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay.h"
#include "core/file.h"
#include "core/secmem.h"
#include "directory/directory.h"
#include "vrf/ecvrf.h"
#include "vrf/neighbour_set.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

static const char *const role_names[] = {"entry", "middle", "exit"};

/* How long a packet stays on average: what the pool is sized for. */
static double mean_delay_ms(const struct config *c)
{
	double vrf = c->vrf.delay_variance_ms, sender = c->sphinx.mean_delay_ms;

	switch (c->vrf.mode) {
	case DELAY_VRF:
		return vrf;
	case DELAY_SENDER:
		return sender;
	case DELAY_SUM:
		return vrf + sender;
	default:
		return 0;
	}
}

void relay_pipeline_config(const struct config *c, struct betanet_config *out)
{
	static struct betanet_prefix allow[CONFIG_MAX_EXIT_ALLOW];

	betanet_config_init(out);
	out->role = (enum betanet_role)c->node.type;
	out->workers = c->pipeline.workers;
	out->batch_size = c->pipeline.batch_size;
	out->pool_size = c->pipeline.pool_size;
	out->queue_depth = c->pipeline.max_queue_depth;
	out->payload_size = c->sphinx.payload_size;
	out->idle = (enum betanet_idle)c->pipeline.idle;
	out->tick_us = c->pipeline.tick_us;
	out->max_simd_bits = c->pipeline.max_simd_bits;
	if (c->rate_limiting.traffic_shaping_enabled)
		out->shaping = (enum betanet_shaping)c->rate_limiting.mode;
	out->max_rate_pps = c->rate_limiting.max_rate_pps;
	out->burst_size = c->rate_limiting.burst_size;
	/* SENDERS_AUTO is decided with the directory */
	out->limits = (struct betanet_limits){
		.strangers = c->rate_limiting.senders != SENDERS_RELAYS,
		.source_pps = c->rate_limiting.source_pps,
		.source_burst = c->rate_limiting.source_burst,
		.peer_pps = c->rate_limiting.peer_pps,
		.peer_burst = c->rate_limiting.peer_burst,
		.global_pps = c->rate_limiting.global_pps ? c->rate_limiting.global_pps
							  : BETANET_GLOBAL_AUTO,
	};
	out->cover = c->cover_traffic.enabled;
	out->loop_rate_pps = c->cover_traffic.generation_rate_pps;
	out->delay_mode = (enum betanet_delay)c->vrf.mode;
	out->vrf_mean_ms = c->vrf.delay_variance_ms;
	out->epoch_seconds = c->vrf.epoch_seconds;
	out->vrf_suite = c->vrf.suite == 0 ? ECVRF_TAI : ECVRF_ELL2;
	out->beacon_wanted = c->vrf.beacon_file[0] != '\0';
	out->beacon_max_age_s = c->vrf.beacon_max_age_s;
	out->target_pps = c->performance.target_throughput_pps;
	out->mean_delay_ms = mean_delay_ms(c);
	out->replay_capacity = c->replay.capacity;
	out->replay_file = strcmp(c->replay.file, "none") == 0 ? NULL : c->replay.file;
	out->udp_port = c->node.port;
	out->name = c->node.name;
	for (unsigned i = 0; i < c->node.exit_allow_count; i++) {
		allow[i].family = c->node.exit_allow[i].family;
		allow[i].bits = c->node.exit_allow[i].bits;
		memcpy(allow[i].ip, c->node.exit_allow[i].ip, sizeof(allow[i].ip));
	}
	out->exit_allow = allow;
	out->exit_allow_count = c->node.exit_allow_count;
}

void relay_ports(const struct config *c, struct betanet_port out[BETANET_MAX_PORTS])
{
	for (unsigned i = 0; i < c->port_count; i++) {
		const struct config_port *p = &c->ports[i];
		struct betanet_port *o = &out[i];

		*o = (struct betanet_port){
			.device = p->device,
			.has_ipv4 = p->has_ipv4,
			.has_ipv6 = p->has_ipv6,
			.bits4 = p->net4.bits,
			.bits6 = p->net6.bits,
			.has_gateway4 = p->gateway4.family != 0,
			.has_gateway6 = p->gateway6.family != 0,
			.mtu = p->mtu,
			.rx_queues = p->rx_queues,
			.rx_descriptors = p->rx_descriptors,
			.tx_descriptors = p->tx_descriptors,
		};
		memcpy(o->ipv4, p->ipv4.ip, 4);
		memcpy(o->ipv6, p->ipv6.ip, 16);
		memcpy(o->gateway4, p->gateway4.ip, 4);
		memcpy(o->gateway6, p->gateway6.ip, 16);
	}
}

/* Links that the directory gives us. -errno, with a message, when it cannot be read. */
static int count_links(const struct config *c, struct error *err)
{
	const struct directory_node *n;
	struct directory *d;
	int r = directory_load(
		c->directory.file, c->directory.authority, (uint64_t)time(NULL), &d, err);

	if (r < 0)
		return r;
	n = directory_find_name(d, c->node.name);
	r = (int)directory_count_addresses(d, n ? neighbour_next_layer(d, n->layer) : 0, n);
	directory_free(d);
	return r;
}

/* Prints the terms; returns the sum. */
static uint32_t print_pool(const struct config *c, const struct betanet_config *pc, FILE *out)
{
	struct betanet_port ports[BETANET_MAX_PORTS];
	struct error err;
	char text[2048];
	int links = pc->shaping == BETANET_SHAPING_OFF ? 0 : count_links(c, &err);
	uint32_t need;

	relay_ports(c, ports);
	need = betanet_describe_pool(
		pc, ports, c->port_count, links > 0 ? (unsigned)links : 0, text, sizeof(text));
	fputs(text, out);
	if (links < 0)
		fprintf(out,
			"# without those for links, whose number is in the directory, which cannot "
			"be read: %s\n",
			err.msg);
	return need;
}

void relay_print_pool(const struct config *c, FILE *out)
{
	struct betanet_config pc;

	relay_pipeline_config(c, &pc);
	fprintf(out, "%s: packet buffers\n", c->node.name);
	print_pool(c, &pc, out);
}

int relay_check(const struct config *c, FILE *out, struct error *err)
{
	struct betanet_config pc;
	uint32_t need;

	relay_pipeline_config(c, &pc);
	config_print(c, out);
	fputs("\n# pool: buffers that these settings need\n", out);
	need = print_pool(c, &pc, out);
	if (pc.pool_size && pc.pool_size < need)
		return error_set(err, EINVAL,
			"pipeline.pool_size = %u: these settings need at least %u; raise it or "
			"leave it out (then the sum is used), or lower "
			"pipeline.max_queue_depth",
			pc.pool_size, need);
	fprintf(out, "#   pipeline.pool_size: %u%s\n", pc.pool_size ? pc.pool_size : need,
		pc.pool_size ? "" : " (computed)");
	return 0;
}

/* ---- does the directory know us?
 * ---------------------------------------------------------------------------- */

static int check_address(const struct config *c, const struct directory_node *n, struct error *err)
{
	char text[ENDPOINT_STRLEN];

	for (unsigned a = 0; a < n->addresses; a++) {
		const struct endpoint *e = &n->address[a];
		bool ours = false;

		for (unsigned i = 0; i < c->port_count && !ours; i++) {
			const struct config_port *p = &c->ports[i];

			ours = e->family == 4 ? p->has_ipv4 && memcmp(e->ip, p->ipv4.ip, 4) == 0
					      : p->has_ipv6 && memcmp(e->ip, p->ipv6.ip, 16) == 0;
		}
		if (!ours || e->port != c->node.port)
			return error_set(err, EINVAL,
				"%s: node '%s' has the address %s, but no entry of `ports` has "
				"this IP with node.port = %u; "
				"mend ports or node.port, or have the directory changed",
				c->directory.file, n->name, endpoint_format(text, e), c->node.port);
	}
	return 0;
}

/* Relays know each other by the address that a packet comes from. */
static void warn_sending(
	const struct config *c, const struct directory *d, const struct directory_node *n)
{
	for (unsigned i = 0; i < c->port_count; i++) {
		const struct config_port *p = &c->ports[i];
		const struct endpoint *ip[] = {
			p->has_ipv4 ? &p->ipv4 : NULL, p->has_ipv6 ? &p->ipv6 : NULL};

		for (unsigned k = 0; k < 2; k++) {
			struct endpoint from;
			char text[ENDPOINT_STRLEN];

			if (!ip[k])
				continue;
			from = *ip[k];
			from.port = c->node.port;
			if (directory_find_address(d, &from) == n)
				continue;
			fprintf(stderr,
				"%s: WARNING: ports[%u] sends from %s, which the directory %s does "
				"not list for this node: relays with rate_limiting.senders = "
				"\"relays\", or behind layer 1, drop what comes from it; have the "
				"address listed, or let them set senders = \"all\"\n",
				c->node.name, i, endpoint_format(text, &from), c->directory.file);
		}
	}
}

static int check_layer(const struct config *c, const struct directory *d,
	const struct directory_node *n, struct error *err)
{
	unsigned hops = c->sphinx.num_hops;
	enum node_type role = n->layer == 1      ? NODE_ENTRY
			      : n->layer == hops ? NODE_EXIT
						 : NODE_MIDDLE;

	if (d->layers != hops)
		return error_set(err, EINVAL,
			"sphinx.num_hops = %u, but the directory %s has %u layers", hops,
			c->directory.file, d->layers);
	/* a network of one hop: its relays are entry and exit at once */
	if (hops > 1 && role != c->node.type)
		return error_set(err, EINVAL,
			"node.type = \"%s\", but the directory %s has node '%s' in layer %u of %u, "
			"which is %s",
			role_names[c->node.type], c->directory.file, n->name, n->layer, hops,
			role_names[role]);
	return 0;
}

static int check_vrf_key(const struct config *c, const struct directory_node *n,
	const uint8_t seed[32], struct error *err)
{
	struct ecvrf_key *key = secmem_alloc(sizeof(*key));
	int r = 0;

	if (!key)
		return error_set(
			err, ENOMEM, "no locked memory for the VRF key; raise `ulimit -l`");
	ecvrf_key_from_seed(key, seed);
	if (memcmp(n->vrf_key, key->public, 32) != 0)
		r = error_set(err, EINVAL,
			"keys.vrf_key_file = \"%s\": not the VRF key that the directory %s has for "
			"node '%s'",
			c->keys.vrf_key_file, c->directory.file, n->name);
	ecvrf_key_wipe(key);
	secmem_free(key);
	return r;
}

/* Also takes the network's and the node's ids from it, which the VRF's proofs name. */
static int check_directory(const struct config *c, struct betanet_config *pc, struct error *err)
{
	const struct directory_node *n;
	struct directory *d;
	uint8_t public_key[32];
	int r = directory_load(
		c->directory.file, c->directory.authority, (uint64_t)time(NULL), &d, err);

	if (r < 0)
		return r;
	n = directory_find_name(d, c->node.name);
	crypto_scalarmult_base(public_key, pc->sphinx_secret);
	if (!n)
		r = error_set(err, ENOENT, "node.name = \"%s\": the directory %s has no such node",
			c->node.name, c->directory.file);
	else if (memcmp(n->sphinx_key, public_key, 32) != 0)
		r = error_set(err, EINVAL,
			"keys.sphinx_key_file = \"%s\": not the key that the directory %s has for "
			"node '%s'",
			c->keys.sphinx_key_file, c->directory.file, n->name);
	else
		r = check_layer(c, d, n, err);
	if (r == 0)
		r = check_address(c, n, err);
	if (r == 0 && c->keys.vrf_key_file[0])
		r = check_vrf_key(c, n, pc->vrf_seed, err);
	if (r == 0) {
		memcpy(pc->network_id, d->network_id, sizeof(pc->network_id));
		memcpy(pc->node_id, n->identity_key, sizeof(pc->node_id));
		if (c->rate_limiting.senders == SENDERS_AUTO)
			pc->limits.strangers = n->layer == 1;
		warn_sending(c, d, n);
	}
	directory_free(d);
	return r;
}

/* ---- create
 * ---------------------------------------------------------------------------------------------------
 */

static int create(
	const struct config *c, struct betanet_config *pc, struct betanet **out, struct error *err)
{
	struct betanet_port ports[BETANET_MAX_PORTS];
	int r = file_read_secret(c->keys.sphinx_key_file, pc->sphinx_secret, err);

	if (r == 0 && c->keys.vrf_key_file[0])
		r = file_read_secret(c->keys.vrf_key_file, pc->vrf_seed, err);
	if (r == 0)
		r = check_directory(c, pc, err);
	if (r == 0)
		r = betanet_create(pc, out, err->msg);
	if (r < 0)
		return r;
	relay_ports(c, ports);
	for (unsigned i = 0; i < c->port_count && r == 0; i++)
		r = betanet_port_add(*out, &ports[i], err->msg);
	if (r == 0)
		r = relay_reload(c, *out, err);
	if (r < 0) {
		betanet_destroy(*out);
		*out = NULL;
	}
	return r;
}

int relay_create(const struct config *c, struct betanet **out, struct error *err)
{
	/* the config struct carries the secret: not on the stack, where it could be swapped out */
	struct betanet_config *pc = secmem_alloc(sizeof(*pc));
	int r;

	if (!pc)
		return error_set(
			err, ENOMEM, "no locked memory for the Sphinx key; raise `ulimit -l`");
	relay_pipeline_config(c, pc);
	r = create(c, pc, out, err);
	secmem_free(pc);
	return r;
}

int relay_reload(const struct config *c, struct betanet *b, struct error *err)
{
	return betanet_directory_set(
		b, c->directory.file, c->directory.authority, (uint64_t)time(NULL), err->msg);
}
