/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/keys.h"

#include <errno.h>
#include <string.h>

/* What one key alone does not show. */

enum {
	IPV4_UDP = 20 + 8,
	IPV6_UDP = 40 + 8,
	FRAME_AND_HEADER = 4 + SPHINX_HEADER_SIZE,
	REPLAY_MIN = 1024,
};

struct checking {
	const struct config *c;
	const config_setting_t *root;
	const char *name;
	struct error *err;
};

/* The setting section.key, or what of its path there is: for the line. */
static const config_setting_t *at(const struct checking *k, const char *section, const char *key)
{
	const config_setting_t *s = config_setting_get_member(k->root, section);
	const config_setting_t *m = s && key ? config_setting_get_member(s, key) : NULL;

	return m ? m : s ? s : k->root;
}

static const config_setting_t *at_port(const struct checking *k, unsigned i, const char *key)
{
	const config_setting_t *port =
		config_setting_get_elem(config_setting_get_member(k->root, "ports"), i);
	const config_setting_t *m = config_setting_get_member(port, key);

	return m ? m : port;
}

static int check_node(const struct checking *k)
{
	const config_setting_t *s = at(k, "node", "exit_allow");
	bool given = s->name && strcmp(s->name, "exit_allow") == 0;

	if (k->c->node.type != NODE_EXIT && given)
		return cfgtext_refuse(k->err, k->name, s,
			"allowed only with node.type = \"exit\"; remove it, this relay delivers "
			"nothing");
	if (k->c->node.type == NODE_EXIT && !given)
		return error_set(k->err, EINVAL,
			"%s:%u: node.exit_allow: is missing; an exit names the prefixes to which "
			"it delivers, such as [ \"198.51.100.0/24\" ]; [ ] delivers nothing",
			k->name, cfgtext_line(s));
	return 0;
}

static int check_shaping(const struct checking *k)
{
	const struct config *c = k->c;
	bool slots = c->rate_limiting.mode == SHAPING_CONSTANT ||
		     c->rate_limiting.mode == SHAPING_POISSON;

	if (c->rate_limiting.traffic_shaping_enabled && c->rate_limiting.max_rate_pps == 0)
		return error_set(k->err, EINVAL,
			"%s:%u: rate_limiting.max_rate_pps: is missing; "
			"traffic_shaping_enabled = true needs it: 1..100000000 packets/s",
			k->name, cfgtext_line(at(k, "rate_limiting", "traffic_shaping_enabled")));
	if (c->rate_limiting.traffic_shaping_enabled && c->rate_limiting.mode == SHAPING_OFF)
		return cfgtext_refuse(k->err, k->name, at(k, "rate_limiting", "mode"),
			"contradicts traffic_shaping_enabled = true; allowed is \"rate\", "
			"\"constant\" or \"poisson\", or traffic_shaping_enabled = false");
	if (slots && !c->rate_limiting.traffic_shaping_enabled)
		return cfgtext_refuse(k->err, k->name, at(k, "rate_limiting", "mode"),
			"does nothing without traffic_shaping_enabled = true; add it");
	if (slots && !c->cover_traffic.enabled)
		return cfgtext_refuse(k->err, k->name, at(k, "rate_limiting", "mode"),
			"fills empty slots with cover, but cover_traffic.enabled is false; make it "
			"true, or choose mode = \"rate\"");
	return 0;
}

static int check_cover(const struct checking *k)
{
	const uint32_t *range = k->c->cover_traffic.packet_size_range;
	uint32_t size = k->c->sphinx.payload_size + SPHINX_HEADER_SIZE;

	if (range[1] == 0 || (size >= range[0] && size <= range[1]))
		return 0;
	return cfgtext_refuse(k->err, k->name, at(k, "cover_traffic", "packet_size_range"),
		"does not contain %u bytes, the size of every packet with sphinx.payload_size = "
		"%u; cover packets have no other size: widen the range, or choose a payload_size "
		"of %u..%u",
		size, k->c->sphinx.payload_size,
		range[0] > SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN ? range[0] - SPHINX_HEADER_SIZE
								   : SPHINX_PAYLOAD_MIN,
		range[1] - SPHINX_HEADER_SIZE);
}

/* Which key files the VRF's settings need. */
static int check_vrf(const struct checking *k)
{
	const struct config *c = k->c;
	bool proves = c->vrf.mode == DELAY_VRF || c->vrf.mode == DELAY_SUM;

	if (proves && c->keys.vrf_key_file[0] == '\0')
		return error_set(k->err, EINVAL,
			"%s:%u: keys.vrf_key_file: is missing; vrf.mode = \"%s\" needs it: name "
			"the file "
			"that betanet-keytool keygen wrote, or choose vrf = { mode = \"sender\"; "
			"};",
			k->name, cfgtext_line(at(k, "keys", NULL)), delay_mode_name(c->vrf.mode));
	if (c->vrf.neighbours && c->vrf.publish_dir[0] == '\0')
		return error_set(k->err, EINVAL,
			"%s:%u: vrf.publish_dir: is missing; vrf.neighbours = true needs it, for "
			"senders "
			"route by what is published there",
			k->name, cfgtext_line(at(k, "vrf", "neighbours")));
	if (c->vrf.publish_dir[0] && !proves)
		return cfgtext_refuse(k->err, k->name, at(k, "vrf", "publish_dir"),
			"allowed only with vrf.mode \"vrf\" or \"sum\"; without proofs there is "
			"nothing "
			"to publish");
	if (c->vrf.publish_one_in > 1 && c->vrf.beacon_file[0] == '\0')
		return cfgtext_refuse(k->err, k->name, at(k, "vrf", "publish_one_in"),
			"a sample needs a beacon that comes after the epoch; name vrf.beacon_file, "
			"or "
			"publish every epoch: 1");
	if (c->vrf.publish_dir[0] && c->keys.identity_key_file[0] == '\0')
		return error_set(k->err, EINVAL,
			"%s:%u: keys.identity_key_file: is missing; vrf.publish_dir needs it to "
			"sign "
			"the records",
			k->name, cfgtext_line(at(k, "vrf", "publish_dir")));
	return 0;
}

static int check_replay(const struct checking *k)
{
	const config_setting_t *s = at(k, "replay", "capacity");
	const struct key *key = key_find("replay", "capacity");
	uint64_t n = k->c->replay.capacity;

	if (n >= REPLAY_MIN && (double)n <= key->max)
		return 0;
	if (s->name && strcmp(s->name, "capacity") == 0)
		return cfgtext_refuse(k->err, k->name, s,
			"out of range; allowed is 0 (performance.target_throughput_pps times "
			"1200 s, here %llu) or %d..%.0f tags",
			(unsigned long long)k->c->performance.target_throughput_pps * 1200,
			REPLAY_MIN, key->max);
	return error_set(k->err, EINVAL,
		"%s:%u: replay.capacity: is missing, and performance.target_throughput_pps = %u "
		"times 1200 s is %llu tags; allowed is %d..%.0f: name the capacity",
		k->name, cfgtext_line(at(k, "performance", "target_throughput_pps")),
		k->c->performance.target_throughput_pps, (unsigned long long)n, REPLAY_MIN,
		key->max);
}

static int check_mtu(const struct checking *k, unsigned i)
{
	const struct config_port *p = &k->c->ports[i];
	unsigned need =
		k->c->sphinx.payload_size + FRAME_AND_HEADER + (p->has_ipv6 ? IPV6_UDP : IPV4_UDP);
	const config_setting_t *s = at_port(k, i, "mtu");

	if (p->mtu >= need)
		return 0;
	return error_set(k->err, EINVAL,
		"%s:%u: ports[%u].mtu = %u: too small for sphinx.payload_size = %u, which makes "
		"IPv%d packets of %u bytes; allowed is %u..9600, or a payload_size of at most %u",
		k->name, cfgtext_line(s), i, p->mtu, k->c->sphinx.payload_size, p->has_ipv6 ? 6 : 4,
		need, need, k->c->sphinx.payload_size - (need - p->mtu));
}

/* Whether all host bits of `e` are `ones`. */
static bool host_bits(const struct cidr *net, const struct endpoint *e, bool ones)
{
	unsigned all = net->family == 4 ? 32 : 128;

	for (unsigned b = net->bits; b < all; b++)
		if (((e->ip[b / 8] >> (7 - b % 8)) & 1) != ones)
			return false;
	return true;
}

static int check_address(
	const struct checking *k, unsigned i, const struct cidr *net, const struct endpoint *e)
{
	const config_setting_t *s = at_port(k, i, net->family == 4 ? "ipv4" : "ipv6");
	const char *no = cfgtext_no_host(e);
	unsigned all = net->family == 4 ? 32 : 128;
	static const uint8_t loop6[16] = {[15] = 1};

	if (no)
		return cfgtext_refuse(
			k->err, k->name, s, "%s; a host's own address is allowed", no);
	if (net->family == 4 ? e->ip[0] == 127 : memcmp(e->ip, loop6, 16) == 0)
		return cfgtext_refuse(k->err, k->name, s,
			"is a loopback address, which no DPDK port has; a host's own address is "
			"allowed");
	/* RFC 3021 and RFC 6164: with one or no host bit there is neither */
	if (net->bits < all - 1 && host_bits(net, e, false))
		return cfgtext_refuse(k->err, k->name, s,
			"is the address of the network itself; name the host's own address in it");
	if (net->family == 4 && net->bits < 31 && host_bits(net, e, true))
		return cfgtext_refuse(k->err, k->name, s,
			"is the broadcast address of its network; name the host's own address");
	return 0;
}

static int check_gateway(const struct checking *k, unsigned i, const struct cidr *net,
	const struct endpoint *own, const struct endpoint *gateway, unsigned family)
{
	const config_setting_t *s = at_port(k, i, family == 4 ? "gateway4" : "gateway6");
	char shown[CFGTEXT_VALUE];

	if (gateway->family == 0)
		return 0;
	if (own->family == 0)
		return cfgtext_refuse(k->err, k->name, s,
			"the port has no ipv%u address; add ipv%u or remove the gateway", family,
			family);
	/* an IPv6 router is as well known by its link-local address, fe80::/10 */
	if (!cidr_contains(net, gateway) &&
		!(family == 6 && gateway->ip[0] == 0xfe && (gateway->ip[1] & 0xc0) == 0x80))
		return cfgtext_refuse(k->err, k->name, s,
			"is not on the link; allowed is an address inside ports[%u].ipv%u = %s", i,
			family, cfgtext_value(shown, at_port(k, i, family == 4 ? "ipv4" : "ipv6")));
	if (memcmp(gateway->ip, own->ip, sizeof(own->ip)) == 0)
		return cfgtext_refuse(k->err, k->name, s,
			"is the port's own address; allowed is another host of the link");
	if (cfgtext_no_host(gateway) ||
		(family == 4 && net->bits < 31 &&
			(host_bits(net, gateway, false) || host_bits(net, gateway, true))))
		return cfgtext_refuse(k->err, k->name, s,
			"is no host's address; allowed is a host of the link, not its network or "
			"broadcast address");
	return 0;
}

static int check_twins(const struct checking *k, unsigned i, unsigned j)
{
	const struct config_port *a = &k->c->ports[i], *b = &k->c->ports[j];
	const char *same =
		strcmp(a->device, b->device) == 0                                       ? "device"
		: a->has_ipv4 && b->has_ipv4 && memcmp(a->ipv4.ip, b->ipv4.ip, 4) == 0  ? "ipv4"
		: a->has_ipv6 && b->has_ipv6 && memcmp(a->ipv6.ip, b->ipv6.ip, 16) == 0 ? "ipv6"
											: NULL;

	return same ? cfgtext_refuse(k->err, k->name, at_port(k, i, same),
			      "is that of ports[%u] too; each port needs its own", j)
		    : 0;
}

static int check_port(const struct checking *k, unsigned i)
{
	const struct config_port *p = &k->c->ports[i];
	int r = 0;

	if (!p->has_ipv4 && !p->has_ipv6)
		return error_set(k->err, EINVAL,
			"%s:%u: ports[%u]: has neither ipv4 nor ipv6; add one: "
			"ipv4 = \"192.0.2.1/24\";",
			k->name, cfgtext_line(at_port(k, i, "device")), i);
	if (p->has_ipv4)
		r = check_address(k, i, &p->net4, &p->ipv4);
	if (r == 0 && p->has_ipv6)
		r = check_address(k, i, &p->net6, &p->ipv6);
	if (r == 0)
		r = check_gateway(k, i, &p->net4, &p->ipv4, &p->gateway4, 4);
	if (r == 0)
		r = check_gateway(k, i, &p->net6, &p->ipv6, &p->gateway6, 6);
	if (r == 0)
		r = check_mtu(k, i);
	for (unsigned j = 0; r == 0 && j < i; j++)
		r = check_twins(k, i, j);
	return r;
}

int config_check(
	const struct config *c, const config_setting_t *root, const char *name, struct error *err)
{
	const struct checking k = {c, root, name, err};
	int r = check_node(&k);

	if (r == 0)
		r = check_shaping(&k);
	if (r == 0)
		r = check_cover(&k);
	if (r == 0)
		r = check_vrf(&k);
	if (r == 0)
		r = check_replay(&k);
	for (unsigned i = 0; r == 0 && i < c->port_count; i++)
		r = check_port(&k, i);
	return r;
}
