/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine that does what every received frame costs before any cryptography: lib/pipeline's
 * parse stage; then what is a mix packet leaves as it came. */
#include "engine.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <stdlib.h>
#include <string.h>
#include "mixnet.h"
#include "pipeline/pipeline.h"

/* As much of a pipeline as the stage reads. */
struct parse_lab {
	struct betanet mix;
	struct worker *worker[LAB_MAX_STREAMS]; /* one for each stream */
	unsigned count;
};

static struct parse_lab *the_parse; /* from begin to the next begin */

static void free_parse(void)
{
	if (!the_parse)
		return;
	ring_drop(the_parse->mix.control_rx);
	rte_ring_free(the_parse->mix.control_rx);
	for (unsigned i = 0; i < the_parse->count; i++) {
		free(the_parse->worker[i]->burst);
		free(the_parse->worker[i]);
	}
	free(the_parse);
	the_parse = NULL;
}

static void *zalloc_aligned(size_t size)
{
	size_t whole = RTE_ALIGN(size, (size_t)RTE_CACHE_LINE_SIZE);
	void *p = aligned_alloc(RTE_CACHE_LINE_SIZE, whole);

	return p ? memset(p, 0, whole) : NULL;
}

static int add_worker(struct parse_lab *p, struct lab *l, struct stream *s)
{
	struct worker *w = zalloc_aligned(sizeof(*w));

	if (!w)
		return -ENOMEM;
	p->worker[p->count++] = w;
	w->b = &p->mix;
	w->index = s->rx;
	w->lcore = l->lcores[s->lcore];
	w->burst = zalloc_aligned(sizeof(*w->burst));
	s->engine = w;
	return w->burst ? 0 : -ENOMEM;
}

static void describe_port(struct port *p, const struct lab_port *from, unsigned index)
{
	struct endpoint own = mixnet_own_address(index);

	p->id = from->id;
	memcpy(p->host.mac, from->mac.addr_bytes, LINK_MAC_SIZE);
	p->host.has_ipv4 = true;
	memcpy(p->host.ipv4, own.ip, 4);
	p->host.udp_port = MIXNET_UDP_PORT;
	link_host_derive(&p->host);
}

static int parse_begin(struct lab *l, struct error *err)
{
	struct parse_lab *p;
	int rc = 0;

	free_parse();
	the_parse = p = zalloc_aligned(sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "no memory for the engine parse");
	p->mix.cfg.payload_size = (unsigned)l->options.payload_size;
	p->mix.packet_size = SPHINX_HEADER_SIZE + p->mix.cfg.payload_size;
	p->mix.port_count = l->port_count;
	for (unsigned i = 0; i < l->port_count; i++)
		describe_port(&p->mix.ports[i], &l->ports[i], i);
	p->mix.control_rx =
		rte_ring_create("lab_control", CONTROL_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (!p->mix.control_rx)
		rc = -rte_errno;
	for (unsigned i = 0; i < l->stream_count && !rc; i++)
		rc = add_worker(p, l, &l->streams[i]);
	return rc ? error_set(err, -rc, "no memory for the engine parse") : 0;
}

/* ARP and ICMP, which nobody answers here. */
static void parse_poll(struct lab *l)
{
	(void)l;
	ring_drop(the_parse->mix.control_rx);
}

static void charge(struct worker *w, enum stage stage, unsigned packets, uint64_t *since)
{
	uint64_t now = rte_rdtsc();

	w->stats.stage[stage].calls++;
	w->stats.stage[stage].packets += packets;
	w->stats.stage[stage].cycles += now - *since;
	*since = now;
}

static unsigned parse_burst(struct stream *s)
{
	struct worker *w = s->engine;
	struct burst *b = w->burst;
	uint64_t since = rte_rdtsc();
	unsigned n = rte_eth_rx_burst(s->rx_port, s->rx_queue, b->m,
		s->burst < BURST_MAX ? s->burst : (uint16_t)BURST_MAX);

	if (n == 0)
		return 0;
	b->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct packet_meta *meta = packet_meta(b->m[i]);

		b->m[i]->port = (uint16_t)s->rx;
		b->reason[i] = DROP_NONE;
		/* the stage takes the headers off: noted, to put them back */
		meta->arrival = b->m[i]->data_off;
		meta->parked = b->m[i]->data_len;
	}
	charge(w, STAGE_receive, n, &since);
	stage_parse(w, b);
	charge(w, STAGE_parse, n, &since);
	for (unsigned i = 0; i < b->n; i++) {
		const struct packet_meta *meta = packet_meta(b->m[i]);

		b->m[i]->data_off = (uint16_t)meta->arrival;
		b->m[i]->data_len = (uint16_t)meta->parked;
		b->m[i]->pkt_len = (uint32_t)meta->parked;
	}
	burst_free_drops(b);
	s->n.received += n;
	if (b->n)
		engine_send(s, b->m, b->n);
	charge(w, STAGE_transmit, n, &since);
	return n;
}

static const struct worker *parse_worker(const struct lab *l, unsigned i)
{
	(void)l;
	return the_parse && i < the_parse->count ? the_parse->worker[i] : NULL;
}

static void parse_free(struct lab *l)
{
	(void)l;
	free_parse();
}

const struct engine engine_parse = {
	.name = "parse",
	.text = "frames are checked as the relay checks them; mix packets leave as they came",
	.burst = parse_burst,
	.begin = parse_begin,
	.poll = parse_poll,
	.worker = parse_worker,
	.release = parse_free,
	.max_burst = BURST_MAX,
};
