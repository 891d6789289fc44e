/* SPDX-License-Identifier: BSD-3-Clause */
/* The engines that know nothing of mix packets, for comparison: io hands bursts on as they are, mac
 * writes both MAC addresses. */
#include "engine.h"

#include <rte_ether.h>
#include <rte_prefetch.h>
#include <stdio.h>
#include <string.h>

static unsigned io_burst(struct stream *s)
{
	struct rte_mbuf *m[CLI_BURST_MAX];
	unsigned n = rte_eth_rx_burst(s->rx_port, s->rx_queue, m, s->burst);

	if (unlikely(n == 0))
		return 0;
	s->n.received += n;
	engine_send(s, m, n);
	return n;
}

static unsigned mac_burst(struct stream *s)
{
	struct rte_mbuf *m[CLI_BURST_MAX];
	unsigned n = rte_eth_rx_burst(s->rx_port, s->rx_queue, m, s->burst);

	if (unlikely(n == 0))
		return 0;
	s->n.received += n;
	for (unsigned i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m[i], struct rte_ether_hdr *);

		if (likely(i + 1 < n))
			rte_prefetch0(rte_pktmbuf_mtod(m[i + 1], void *));
		rte_ether_addr_copy(&s->peer, &eth->dst_addr);
		rte_ether_addr_copy(&s->own, &eth->src_addr);
	}
	engine_send(s, m, n);
	return n;
}

const struct engine engine_io = {
	.name = "io",
	.text = "packets leave as they came",
	.burst = io_burst,
	.max_burst = CLI_BURST_MAX,
};

const struct engine engine_mac = {
	.name = "mac",
	.text = "packets leave with new source and destination MAC addresses",
	.burst = mac_burst,
	.max_burst = CLI_BURST_MAX,
};

static const struct engine *const engines[] = {
	&engine_io,
	&engine_mac,
	&engine_parse,
	&engine_sphinx,
	&engine_sphinx_nodelay,
	&engine_sphinx_noreplay,
};

const struct engine *engine_find(const char *name)
{
	for (unsigned i = 0; i < RTE_DIM(engines); i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return NULL;
}

const char *engine_names(char *out, size_t size)
{
	size_t at = 0;

	for (unsigned i = 0; i < RTE_DIM(engines) && at < size; i++)
		at += (size_t)snprintf(
			out + at, size - at, "%s%s", i ? ", " : "", engines[i]->name);
	return out;
}
