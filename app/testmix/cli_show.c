/* SPDX-License-Identifier: BSD-3-Clause */
/* What the CLI shows of ports and forwarding, in testpmd's shape. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"

/* ---- show port ---- */

static const char *link_speed(const struct rte_eth_link *link, char out[32])
{
	if (link->link_speed == RTE_ETH_SPEED_NUM_NONE ||
		link->link_speed == RTE_ETH_SPEED_NUM_UNKNOWN)
		return "unknown";
	if (link->link_speed < 1000)
		snprintf(out, 32, "%u Mbps", link->link_speed);
	else
		snprintf(out, 32, "%g Gbps", link->link_speed / 1000.0);
	return out;
}

static void port_info(struct lab *l, uint16_t id, FILE *out)
{
	char name[RTE_ETH_NAME_MAX_LEN] = "", speed[32];
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	struct rte_eth_dev_info info = {0};
	struct rte_ether_addr addr = {{0}};
	struct rte_eth_link link = {0};
	uint16_t mtu = 0;

	(void)l;
	rte_eth_dev_info_get(id, &info);
	rte_eth_dev_get_name_by_port(id, name);
	rte_eth_macaddr_get(id, &addr);
	rte_ether_format_addr(mac, sizeof(mac), &addr);
	rte_eth_link_get_nowait(id, &link);
	rte_eth_dev_get_mtu(id, &mtu);
	fprintf(out, "\n********************* Infos for port %-2u *********************\n", id);
	fprintf(out, "MAC address: %s\n", mac);
	fprintf(out, "Device name: %s\n", name);
	fprintf(out, "Driver name: %s\n", info.driver_name ? info.driver_name : "?");
	fprintf(out, "Connect to socket: %d\n", rte_eth_dev_socket_id(id));
	fprintf(out, "Link status: %s\n", link.link_status ? "up" : "down");
	fprintf(out, "Link speed: %s\n", link_speed(&link, speed));
	fprintf(out, "Link duplex: %s\n", link.link_duplex ? "full-duplex" : "half-duplex");
	fprintf(out, "MTU: %u\n", mtu);
	fprintf(out, "Promiscuous mode: %s\n",
		rte_eth_promiscuous_get(id) == 1 ? "enabled" : "disabled");
	fprintf(out, "Current number of RX queues: %u\n", info.nb_rx_queues);
	fprintf(out, "Max possible RX queues: %u\n", info.max_rx_queues);
	fprintf(out, "Max possible number of RXDs per queue: %u\n", info.rx_desc_lim.nb_max);
	fprintf(out, "Current number of TX queues: %u\n", info.nb_tx_queues);
	fprintf(out, "Max possible TX queues: %u\n", info.max_tx_queues);
	fprintf(out, "Max possible number of TXDs per queue: %u\n", info.tx_desc_lim.nb_max);
}

static double per_second(uint64_t now, uint64_t before, uint64_t cycles)
{
	return cycles ? (double)(now - before) * (double)rte_get_tsc_hz() / (double)cycles : 0;
}

void cli_print_port_stats(struct lab *l, uint16_t id, FILE *out)
{
	static const char frame[] = "########################";
	struct lab_shown *before = &l->shown[id];
	struct rte_eth_stats s = {0};
	uint64_t now = rte_rdtsc(), took = before->tsc ? now - before->tsc : 0;
	int rc = rte_eth_stats_get(id, &s);

	if (rc) {
		fprintf(out, "port %u has no statistics: %s\n", id, rte_strerror(-rc));
		return;
	}
	fprintf(out, "\n  %s NIC statistics for port %-2u %s\n", frame, id, frame);
	fprintf(out,
		"  RX-packets: %-10" PRIu64 " RX-missed: %-10" PRIu64 " RX-bytes:  %" PRIu64 "\n",
		s.ipackets, s.imissed, s.ibytes);
	fprintf(out, "  RX-errors: %" PRIu64 "\n", s.ierrors);
	fprintf(out, "  RX-nombuf:  %-10" PRIu64 "\n", s.rx_nombuf);
	fprintf(out,
		"  TX-packets: %-10" PRIu64 " TX-errors: %-10" PRIu64 " TX-bytes:  %" PRIu64 "\n",
		s.opackets, s.oerrors, s.obytes);
	fprintf(out, "\n  Throughput (since last show)\n");
	fprintf(out, "  Rx-pps: %12.0f          Rx-bps: %12.0f\n",
		per_second(s.ipackets, before->stats.ipackets, took),
		8 * per_second(s.ibytes, before->stats.ibytes, took));
	fprintf(out, "  Tx-pps: %12.0f          Tx-bps: %12.0f\n",
		per_second(s.opackets, before->stats.opackets, took),
		8 * per_second(s.obytes, before->stats.obytes, took));
	fprintf(out, "  %s%s%s####\n", frame, frame, frame);
	before->stats = s;
	before->tsc = now;
}

static void port_xstats(struct lab *l, uint16_t id, FILE *out)
{
	int n = rte_eth_xstats_get(id, NULL, 0);
	struct rte_eth_xstat *value = calloc((size_t)(n > 0 ? n : 1), sizeof(*value));
	struct rte_eth_xstat_name *name = calloc((size_t)(n > 0 ? n : 1), sizeof(*name));

	(void)l;
	fprintf(out, "###### NIC extended statistics for port %-2u\n", id);
	if (n > 0 && value && name && rte_eth_xstats_get(id, value, (unsigned)n) == n &&
		rte_eth_xstats_get_names(id, name, (unsigned)n) == n)
		for (int i = 0; i < n; i++)
			fprintf(out, "%s: %" PRIu64 "\n", name[i].name, value[i].value);
	free(value);
	free(name);
}

static void summary_head(FILE *out)
{
	fprintf(out, "Number of available ports: %u\n", rte_eth_dev_count_avail());
	fprintf(out, "%-4s %-17s %-12s %-14s %-8s %s\n", "Port", "MAC Address", "Name", "Driver",
		"Status", "Link");
}

static void port_summary(struct lab *l, uint16_t id, FILE *out)
{
	char name[RTE_ETH_NAME_MAX_LEN] = "", mac[RTE_ETHER_ADDR_FMT_SIZE], speed[32];
	struct rte_eth_dev_info info = {0};
	struct rte_ether_addr addr = {{0}};
	struct rte_eth_link link = {0};

	(void)l;
	rte_eth_dev_info_get(id, &info);
	rte_eth_dev_get_name_by_port(id, name);
	rte_eth_macaddr_get(id, &addr);
	rte_ether_format_addr(mac, sizeof(mac), &addr);
	rte_eth_link_get_nowait(id, &link);
	fprintf(out, "%-4u %-17s %-12s %-14s %-8s %s\n", id, mac, name,
		info.driver_name ? info.driver_name : "?", link.link_status ? "up" : "down",
		link_speed(&link, speed));
}

int cli_show_port(void *context, const struct grammar_args *a, struct error *err)
{
	static const struct {
		const char *name;
		void (*show)(struct lab *l, uint16_t id, FILE *out);
	} kinds[] = {
		{"info", port_info},
		{"stats", cli_print_port_stats},
		{"xstats", port_xstats},
		{"summary", port_summary},
	};
	struct cli *c = context;

	(void)err;
	if (strcmp(a->word[2], "summary") == 0)
		summary_head(c->out);
	for (unsigned i = 0; i < RTE_DIM(kinds); i++) {
		if (strcmp(kinds[i].name, a->word[2]) != 0)
			continue;
		for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
			if (!rte_eth_dev_is_valid_port(id))
				continue;
			if (a->number[3] == GRAMMAR_PORT_ALL || a->number[3] == id)
				kinds[i].show(c->lab, id, c->out);
		}
	}
	return 0;
}

int cli_show_rxq(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	struct rte_eth_rxq_info q = {0};
	uint16_t port = (uint16_t)a->number[3], queue = (uint16_t)a->number[4];
	struct rte_eth_dev_info info = {0};
	int rc;

	rte_eth_dev_info_get(port, &info);
	if (queue >= info.nb_rx_queues)
		return error_set(err, EINVAL, "port %u has %u RX queues: queue 0 to %d", port,
			info.nb_rx_queues, (int)info.nb_rx_queues - 1);
	rc = rte_eth_rx_queue_info_get(port, queue, &q);
	if (rc)
		return error_set(err, -rc,
			"the driver %s of port %u says nothing of its queues: %s", info.driver_name,
			port, rte_strerror(-rc));
	fprintf(c->out,
		"\n********************* Infos for port %-2u, RX queue %-2u "
		"*********************\n",
		port, queue);
	fprintf(c->out, "Mempool: %s\n", q.mp ? q.mp->name : "NULL");
	fprintf(c->out, "RX drop packets: %s\n", q.conf.rx_drop_en ? "on" : "off");
	fprintf(c->out, "RX scattered packets: %s\n", q.scattered_rx ? "on" : "off");
	fprintf(c->out, "Number of RXDs: %u\n", q.nb_desc);
	return 0;
}

/* ---- show config ---- */

void cli_print_fwd_config(const struct lab *l, FILE *out)
{
	fprintf(out,
		"%s packet forwarding - ports=%u - cores=%u - streams=%u - NUMA support disabled, "
		"MP allocation mode: native\n",
		l->engine->name, l->port_count, l->lcore_count, l->stream_count);
	if (l->mix) {
		cli_print_workers(l, out);
		return;
	}
	for (unsigned c = 0; c < l->lcore_count; c++) {
		unsigned n = 0;

		for (unsigned i = 0; i < l->stream_count; i++)
			n += l->streams[i].lcore == c;
		fprintf(out, "Logical Core %u (socket %u) forwards packets on %u streams:\n",
			l->lcores[c], rte_lcore_to_socket_id(l->lcores[c]), n);
		for (unsigned i = 0; i < l->stream_count; i++) {
			const struct stream *s = &l->streams[i];
			char peer[RTE_ETHER_ADDR_FMT_SIZE];

			rte_ether_format_addr(peer, sizeof(peer), &s->peer);
			if (s->lcore == c)
				fprintf(out,
					"  RX P=%u/Q=%u (socket 0) -> TX P=%u/Q=%u (socket 0) "
					"peer=%s\n",
					s->rx_port, s->rx_queue, s->tx_port, s->tx_queue, peer);
		}
	}
	fprintf(out, "\n");
}

void cli_print_rxtx(const struct lab *l, FILE *out)
{
	fprintf(out, "  %s packet forwarding packets/burst=%" PRIu64 "\n", l->engine->name,
		RTE_MIN(l->options.burst, (uint64_t)l->engine->max_burst));
	fprintf(out, "  nb forwarding cores=%u - nb forwarding ports=%u\n", l->lcore_count,
		l->port_count);
	for (unsigned i = 0; i < l->port_count; i++) {
		const struct lab_port *p = &l->ports[i];

		fprintf(out, "  port %u: RX queue number: %u Tx queue number: %u\n", p->id,
			p->queues, p->queues);
		for (unsigned q = 0; q < p->queues; q++)
			fprintf(out,
				"    RX queue: %u\n      RX desc=%" PRIu64
				"\n    TX queue: %u\n      TX desc=%" PRIu64 "\n",
				q, l->options.rxd, q, l->options.txd);
	}
}

int cli_show_config(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	const struct lab *l = c->lab;

	(void)err;
	if (strcmp(a->word[2], "rxtx") == 0) {
		cli_print_rxtx(l, c->out);
	} else if (strcmp(a->word[2], "fwd") == 0) {
		cli_print_fwd_config(l, c->out);
	} else {
		fprintf(c->out, "List of forwarding lcores:");
		for (unsigned i = 0; i < l->lcore_count; i++)
			fprintf(c->out, " %2u", l->lcores[i]);
		fprintf(c->out, "\n");
	}
	return 0;
}

/* ---- show fwd ---- */

static void print_counts(const struct lab_fwd_stats *s, FILE *out)
{
	fprintf(out,
		"  RX-packets: %-14" PRIu64 " RX-dropped: %-13" PRIu64 " RX-total: %-" PRIu64 "\n",
		s->rx, s->rx_dropped, s->rx + s->rx_dropped);
	fprintf(out,
		"  TX-packets: %-14" PRIu64 " TX-dropped: %-13" PRIu64 " TX-total: %-" PRIu64 "\n",
		s->tx, s->tx_dropped, s->tx + s->tx_dropped);
}

static void print_cycles(const struct lab *l, FILE *out)
{
	uint64_t cycles, packets;

	lab_cycles(l, &cycles, &packets);
	if (packets)
		fprintf(out,
			"\n  CPU cycles/packet=%.2f (total cycles=%" PRIu64 " / total %s "
			"packets=%" PRIu64 ") at %" PRIu64 " MHz Clock\n",
			(double)cycles / (double)packets, cycles, l->engine->name, packets,
			rte_get_tsc_hz() / 1000000);
}

void cli_print_fwd_stats(const struct lab *l, FILE *out)
{
	static const char line[] = "----------------------", plus[] = "+++++++++++++++";
	struct lab_fwd_stats all = {0};

	for (unsigned i = 0; i < l->port_count; i++) {
		struct lab_fwd_stats s;

		lab_port_stats(l, i, &s);
		fprintf(out, "\n  %s Forward statistics for port %-2u %s\n", line, l->ports[i].id,
			line);
		print_counts(&s, out);
		fprintf(out, "  %s%s%s----------\n", line, line, line);
		all.rx += s.rx;
		all.rx_dropped += s.rx_dropped;
		all.tx += s.tx;
		all.tx_dropped += s.tx_dropped;
	}
	fprintf(out, "\n  %s Accumulated forward statistics for all ports%s\n", plus, plus);
	print_counts(&all, out);
	fprintf(out, "  %s%s%s%s%s+\n", plus, plus, plus, plus, plus);
	if (l->record_cycles)
		print_cycles(l, out);
}

int cli_show_fwd(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;

	(void)a, (void)err;
	cli_print_fwd_stats(c->lab, c->out);
	return 0;
}
