/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK ports: what they can do is asked, what is configured fits it. The only file that sets
 * ethdevs up. */
#include "pipeline/pipeline.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>

static int unknown_device(const char *device, struct error *err)
{
	char list[256] = "";
	size_t at = 0;

	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS && at < sizeof(list); id++) {
		char name[RTE_ETH_NAME_MAX_LEN];

		if (rte_eth_dev_is_valid_port(id) && rte_eth_dev_get_name_by_port(id, name) == 0)
			at += (size_t)snprintf(list + at, sizeof(list) - at, " %s", name);
	}
	return error_set(err, ENODEV,
		"ports: DPDK has no port '%s'; it has:%s. Give it to EAL (--vdev NAME,… or -a PCI) "
		"or bind the NIC (scripts/bind.sh)",
		device, at ? list : " none");
}

/* Only what the hardware really does: everything else is done in software or not needed. */
static void choose_offloads(
	struct port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	const uint64_t udp = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

	conf->rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
	if ((info->tx_offload_capa & udp) == udp) {
		conf->txmode.offloads |= udp;
		p->tx_offload = true;
		p->tx_flags4 =
			RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM;
		p->tx_flags6 = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
	}
	/* all packets come from one pool and are never shared */
	conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (p->rx_queues > 1) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf =
			info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
		if (conf->rx_adv_conf.rss_conf.rss_hf == 0)
			conf->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	}
}

static int setup_queues(struct betanet *b, struct port *p, struct error *err)
{
	uint16_t rxd = (uint16_t)p->cfg.rx_descriptors, txd = (uint16_t)p->cfg.tx_descriptors;
	int socket = rte_eth_dev_socket_id(p->id);
	int r = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rxd, &txd);

	for (uint16_t q = 0; r == 0 && q < p->rx_queues; q++)
		r = rte_eth_rx_queue_setup(p->id, q, rxd, (unsigned)socket, NULL, b->pool);
	for (uint16_t q = 0; r == 0 && q < p->tx_queues; q++)
		r = rte_eth_tx_queue_setup(p->id, q, txd, (unsigned)socket, NULL);
	if (r < 0)
		return error_set(err, -r,
			"port %s: %u RX and %u TX queues of %u and %u descriptors were refused by "
			"the driver: %s",
			p->device, p->rx_queues, p->tx_queues, rxd, txd, rte_strerror(-r));
	return 0;
}

int txq_init(
	struct betanet *b, struct txq *q, const char *name, bool single_producer, struct error *err)
{
	q->shaping = rte_ring_create(name, b->cfg.queue_depth, SOCKET_ID_ANY,
		RING_F_EXACT_SZ | RING_F_SC_DEQ | (single_producer ? RING_F_SP_ENQ : 0));
	if (!q->shaping)
		return error_set(err, rte_errno,
			"a shaping queue of %u packets could not be made: %s", b->cfg.queue_depth,
			rte_strerror(rte_errno));
	token_bucket_init(&q->bucket,
		b->cfg.shaping == BETANET_SHAPING_RATE ? b->cfg.max_rate_pps : 0, b->cfg.burst_size,
		b->hz, rte_rdtsc());
	return 0;
}

static int make_rings(struct betanet *b, struct port *p, struct error *err)
{
	char name[RTE_RING_NAMESIZE];

	p->txq = calloc(p->tx_queues, sizeof(*p->txq));
	if (!p->txq)
		return error_set(err, ENOMEM, "not enough memory for %u TX queues", p->tx_queues);
	for (unsigned q = 0; q < p->tx_queues; q++) {
		int r;

		p->txq[q].port = p->id;
		p->txq[q].queue = (uint16_t)q;
		snprintf(name, sizeof(name), "mix_tx_%u_%u", p->id, q);
		r = txq_init(b, &p->txq[q], name, p->tx_queues == b->cfg.workers, err);
		if (r < 0)
			return r;
	}
	snprintf(name, sizeof(name), "mix_reply_%u", p->id);
	p->reply = rte_ring_create(name, REPLY_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return p->reply ? 0
			: error_set(err, rte_errno, "port %s: the reply ring could not be made: %s",
				  p->device, rte_strerror(rte_errno));
}

static void set_mtu(struct port *p)
{
	uint16_t mtu;

	/* many virtual ports have a fixed MTU; the length of what they deliver is checked in any
	 * case */
	if (rte_eth_dev_get_mtu(p->id, &mtu) == 0 && mtu != p->cfg.mtu)
		(void)rte_eth_dev_set_mtu(p->id, (uint16_t)p->cfg.mtu);
}

/*
 * net_af_xdp of DPDK 22.11 fills each RX queue's fill ring with 2048 mbufs, whatever the number of
 * descriptors, and forgets them when it is closed; sent mbufs come back with a later TX burst.
 */
enum { AF_XDP_FILL_RING = 2048, AF_XDP_COMPLETION_MS = 100 };

static bool is_af_xdp(const struct rte_eth_dev_info *info)
{
	return info->driver_name && strcmp(info->driver_name, "net_af_xdp") == 0;
}

int port_configure(struct betanet *b, struct port *p, struct error *err)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int r;

	if (rte_eth_dev_get_port_by_name(p->device, &p->id) != 0)
		return unknown_device(p->device, err);
	r = rte_eth_dev_info_get(p->id, &info);
	if (r < 0)
		return error_set(err, -r, "port %s: %s", p->device, rte_strerror(-r));
	p->rx_queues = RTE_MIN(RTE_MIN(p->cfg.rx_queues, b->cfg.workers), info.max_rx_queues);
	p->tx_queues = RTE_MIN(b->cfg.workers, info.max_tx_queues);
	if (p->rx_queues == 0 || p->tx_queues == 0)
		return error_set(err, EINVAL,
			"port %s: the driver has %u RX and %u TX queues; one of each is needed",
			p->device, info.max_rx_queues, info.max_tx_queues);
	if (is_af_xdp(&info) && p->cfg.rx_descriptors < AF_XDP_FILL_RING)
		return error_set(err, EINVAL,
			"port %s: rx_descriptors = %u, but net_af_xdp takes %u buffers for each RX "
			"queue: set rx_descriptors = %u, so that the pool is sized for them",
			p->device, p->cfg.rx_descriptors, AF_XDP_FILL_RING, AF_XDP_FILL_RING);
	p->kept = is_af_xdp(&info) ? p->rx_queues * AF_XDP_FILL_RING : 0;
	choose_offloads(p, &info, &conf);
	r = rte_eth_dev_configure(p->id, (uint16_t)p->rx_queues, (uint16_t)p->tx_queues, &conf);
	if (r < 0)
		return error_set(err, -r,
			"port %s: %u RX and %u TX queues were refused by the driver: %s", p->device,
			p->rx_queues, p->tx_queues, rte_strerror(-r));
	set_mtu(p);
	r = setup_queues(b, p, err);
	return r < 0 ? r : make_rings(b, p, err);
}

int port_start(struct port *p, struct error *err)
{
	struct rte_ether_addr mac;
	int r = rte_eth_dev_start(p->id);

	if (r < 0)
		return error_set(
			err, -r, "port %s could not be started: %s", p->device, rte_strerror(-r));
	/* neighbour solicitations come to multicast groups */
	if (p->cfg.has_ipv6 && rte_eth_allmulticast_enable(p->id) < 0)
		(void)rte_eth_promiscuous_enable(p->id);
	r = rte_eth_macaddr_get(p->id, &mac);
	if (r < 0)
		return error_set(
			err, -r, "port %s has no MAC address: %s", p->device, rte_strerror(-r));
	memcpy(p->host.mac, mac.addr_bytes, LINK_MAC_SIZE);
	link_host_derive(&p->host);
	return 0;
}

void port_stop(struct port *p, bool keep)
{
	/* empty bursts fetch what was sent */
	for (unsigned ms = 0; p->kept && ms < AF_XDP_COMPLETION_MS; ms += 10) {
		for (uint16_t q = 0; q < p->tx_queues; q++)
			(void)rte_eth_tx_burst(p->id, q, NULL, 0);
		rte_delay_us_sleep(10000);
	}
	rte_eth_dev_stop(p->id);
	if (!keep)
		rte_eth_dev_close(p->id);
}

void ring_drop(struct rte_ring *r)
{
	void *m;

	while (r && rte_ring_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
}

static void free_ring(struct rte_ring *r)
{
	ring_drop(r);
	rte_ring_free(r);
}

void port_close(struct port *p)
{
	for (unsigned q = 0; p->txq && q < p->tx_queues; q++)
		free_ring(p->txq[q].shaping);
	free(p->txq);
	free_ring(p->reply);
	p->txq = NULL;
	p->reply = NULL;
}

/* ---- which port leads where
 * ------------------------------------------------------------------------------- */

/* How many bits of an on-link prefix of the port the address shares; -1 outside it. */
static int on_link(const struct port *p, const struct endpoint *to)
{
	struct cidr net = {.family = to->family};

	if (to->family == 4 ? !p->cfg.has_ipv4 : !p->cfg.has_ipv6)
		return -1;
	net.bits = (uint8_t)(to->family == 4 ? p->cfg.bits4 : p->cfg.bits6);
	memcpy(net.ip, to->family == 4 ? p->cfg.ipv4 : p->cfg.ipv6, to->family == 4 ? 4 : 16);
	for (unsigned i = net.bits; i < 128; i++) /* the prefix of our own address */
		net.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return cidr_contains(&net, to) ? net.bits : -1;
}

int port_route(const struct betanet *b, const struct endpoint *to, struct endpoint *via)
{
	int best = -1, longest = -1;

	memset(via, 0, sizeof(*via));
	via->family = to->family;
	memcpy(via->ip, to->ip, sizeof(via->ip));
	for (unsigned i = 0; i < b->port_count; i++) {
		int bits = on_link(&b->ports[i], to);

		if (bits > longest) {
			longest = bits;
			best = (int)i;
		}
	}
	for (unsigned i = 0; i < b->port_count && best < 0; i++) {
		const struct betanet_port *c = &b->ports[i].cfg;

		if (to->family == 4 && c->has_gateway4) {
			memset(via->ip, 0, sizeof(via->ip));
			memcpy(via->ip, c->gateway4, 4);
			best = (int)i;
		} else if (to->family == 6 && c->has_gateway6) {
			memcpy(via->ip, c->gateway6, 16);
			best = (int)i;
		}
	}
	return best;
}
