/* SPDX-License-Identifier: BSD-3-Clause */
#include "lab.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <string.h>
#include <time.h>
#include "core/secmem.h"
#include "engine.h"
#include "mixnet.h"
#include "pipeline/betanet.h"
#include "pipeline/burst.h"
#include "traffic.h"
#include "traffic_store.h"
#include "vrf/delay.h"

enum {
	CACHE = 256,
	IDLE_NS = 50 * 1000,
	TX_FIRST_SIZE = 64,
	MAX_QUEUES = 16,
};

/* ---- opening: ports, lcores, streams ---- */

/* With wires only their near ends. */
static bool is_ours(const struct lab *l, const char *name)
{
	static const char *const ends[] = {TRAFFIC_NEAR_ENDS};
	const size_t driver = strlen("net_ring_");

	for (unsigned i = 0; i < RTE_DIM(ends) && l->traffic; i++)
		if (strncmp(name, "net_ring_", driver) == 0 && strcmp(name + driver, ends[i]) == 0)
			return true;
	return !l->traffic;
}

static int find_ports(struct lab *l, struct error *err)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		struct lab_port *p = &l->ports[l->port_count];
		char name[RTE_ETH_NAME_MAX_LEN] = "";

		if (!rte_eth_dev_is_valid_port(id) || rte_eth_dev_get_name_by_port(id, name) ||
			!is_ours(l, name))
			continue;
		if (l->port_count == LAB_MAX_PORTS)
			return error_set(err, ENOSPC, "EAL has more than %d ports", LAB_MAX_PORTS);
		p->id = id;
		p->queues = 1;
		strcpy(p->name, name);
		rte_eth_macaddr_get(id, &p->mac);
		l->port_count++;
	}
	if (l->port_count == 0)
		return error_set(err, ENODEV,
			"EAL has no port: give it one (--vdev net_null0, -a PCI), or use --wires");
	/* pairs, as testpmd has them; the last of an odd number leads to itself */
	for (unsigned i = 0; i < l->port_count; i++)
		l->ports[i].peer = (i ^ 1) < l->port_count ? i ^ 1 : i;
	return 0;
}

/* The last two lcores are generator's and sink's. */
static int open_traffic(struct lab *l, struct error *err)
{
	unsigned lcore[2], n = 0;
	int rc;

	for (unsigned id = RTE_MAX_LCORE; id > 0 && n < 2; id--)
		if (rte_lcore_is_enabled(id - 1) && id - 1 != rte_get_main_lcore())
			lcore[n++] = id - 1;
	if (n < 2)
		return error_set(err, ENOSPC,
			"--wires: EAL has %u lcores; console, engine, generator and sink need 4 "
			"(-l 0-3, or --lcores '0@0,1@1,2@0,3@0' to share cores)",
			rte_lcore_count());
	rc = traffic_create(&l->options, lcore, &l->traffic, err);
	return rc;
}

static int find_lcores(struct lab *l, unsigned reserved, struct error *err)
{
	unsigned have = rte_lcore_count() - 1, want = (unsigned)l->options.lcores;

	if (have < want + reserved)
		return error_set(err, ENOSPC,
			"--nb-cores %u: EAL has %u lcores, one of which is the console%s; give it "
			"%u (-l 0-%u, or --lcores '0@0,1@1,2@0,…' to share cores)",
			want, have + 1, reserved ? ", and generator and sink take one each" : "",
			want + reserved + 1, want + reserved);
	for (unsigned id = 0; id < RTE_MAX_LCORE && l->lcore_count < want; id++)
		if (rte_lcore_is_enabled(id) && id != rte_get_main_lcore())
			l->lcores[l->lcore_count++] = id;
	return 0;
}

static struct stream *add_stream(struct lab *l, unsigned port, unsigned queue, unsigned lcore)
{
	struct stream *s = &l->streams[l->stream_count++];
	const struct lab_port *in = &l->ports[port], *out = &l->ports[in->peer];

	*s = (struct stream){.rx_port = in->id,
		.rx_queue = (uint16_t)queue,
		.tx_port = out->id,
		.tx_queue = (uint16_t)queue,
		.rx = port,
		.tx = in->peer,
		.lcore = lcore,
		.burst = (uint16_t)l->options.burst,
		.own = out->mac,
		/* as testpmd's: nobody's */
		.peer = {{2, 0, 0, 0, 0, (uint8_t)in->peer}}};
	return s;
}

static int map_lcore(struct lab *l, unsigned id)
{
	for (unsigned i = 0; i < l->lcore_count; i++)
		if (l->lcores[i] == id)
			return (int)i;
	if (l->lcore_count == LAB_MAX_LCORES || !rte_lcore_is_enabled(id) ||
		id == rte_get_main_lcore())
		return -1;
	l->lcores[l->lcore_count] = id;
	return (int)l->lcore_count++;
}

/* --config: queues of a port must be 0, 1, 2, … without a gap, and each only once. */
static int apply_map(struct lab *l, struct error *err)
{
	const struct cli_options *o = &l->options;
	bool seen[LAB_MAX_PORTS][MAX_QUEUES] = {{false}};

	l->lcore_count = 0;
	for (unsigned i = 0; i < o->map_count; i++) {
		const struct cli_map *m = &o->map[i];
		int lcore;

		if (m->port >= l->port_count || m->queue >= MAX_QUEUES || seen[m->port][m->queue])
			return error_set(err, EINVAL,
				"--config (%u,%u,%u): ports are 0 to %u, queues 0 to %d, each once",
				m->port, m->queue, m->lcore, l->port_count - 1, MAX_QUEUES - 1);
		lcore = map_lcore(l, m->lcore);
		if (lcore < 0)
			return error_set(err, EINVAL,
				"--config (%u,%u,%u): EAL has no lcore %u beside its main lcore %u",
				m->port, m->queue, m->lcore, m->lcore, rte_get_main_lcore());
		seen[m->port][m->queue] = true;
		l->ports[m->port].queues = RTE_MAX(l->ports[m->port].queues, m->queue + 1);
		add_stream(l, m->port, m->queue, (unsigned)lcore);
	}
	for (unsigned p = 0; p < l->port_count; p++)
		for (unsigned q = 0; q < l->ports[p].queues; q++)
			if (!seen[p][q] && (q > 0 || l->ports[p].queues > 1))
				return error_set(err, EINVAL,
					"--config: queue %u of port %u is missing", q, p);
	/* a packet leaves by the TX queue of its RX queue's number: the peer needs as many */
	for (unsigned i = 0; i < l->stream_count; i++) {
		const struct stream *s = &l->streams[i];

		if (s->tx_queue >= l->ports[s->tx].queues)
			return error_set(err, EINVAL,
				"--config: port %u has %u queues, but its peer, port %u, has %u",
				s->rx, l->ports[s->rx].queues, s->tx, l->ports[s->tx].queues);
	}
	return 0;
}

static int make_streams(struct lab *l, struct error *err)
{
	if (l->options.map_count)
		return apply_map(l, err);
	if (l->traffic) {
		/* a queue for each lcore, in both directions */
		for (unsigned i = 0; i < l->port_count * l->lcore_count; i++) {
			l->ports[i % l->port_count].queues = l->lcore_count;
			add_stream(l, i % l->port_count, i / l->port_count, i / l->port_count);
		}
		return 0;
	}
	for (unsigned p = 0; p < l->port_count; p++)
		add_stream(l, p, 0, p % l->lcore_count);
	return 0;
}

/* Frames of the generator come with their mbufs through a ring, so every pool of the lab has room
 * for what the pipeline keeps of a packet. */
static int make_pool(struct lab *l, struct error *err)
{
	const struct cli_options *o = &l->options;
	uint64_t n = o->mbufs;

	for (unsigned p = 0; p < l->port_count && !o->mbufs; p++)
		n += l->ports[p].queues * (o->rxd + o->txd + 2 * CLI_BURST_MAX);
	n = RTE_MAX(n + CACHE * (uint64_t)(l->lcore_count + 1), 2 * (uint64_t)CACHE);
	l->pool = rte_pktmbuf_pool_create("lab_pool", (unsigned)n, CACHE,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN),
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return l->pool ? 0
		       : error_set(err, rte_errno,
				 "no memory for %" PRIu64
				 " packet buffers: give EAL more (-m MB), or lower "
				 "--total-num-mbufs, --rxd or --txd",
				 n);
}

/* With the keys that stored packets are for. */
static int make_network(struct lab *l, struct error *err)
{
	const struct cli_options *o = &l->options;
	struct mixnet_keys *keys = secmem_alloc(sizeof(*keys));
	bool stored = false;
	int rc = 0;

	if (!keys)
		return error_set(err, ENOMEM, "no locked memory for the keys; raise `ulimit -l`");
	if (o->store)
		rc = traffic_store_keys(o->store, keys, &stored, err);
	if (!rc && stored && keys->hops != o->hops)
		rc = error_set(err, EINVAL,
			"--store %s: its packets have %u hops, not %" PRIu64
			": give --hops %u, or remove it",
			o->store, keys->hops, o->hops, keys->hops);
	if (!rc)
		rc = mixnet_create((unsigned)o->hops, l->port_count - 1, stored ? keys : NULL,
			&l->network, err);
	secmem_free(keys);
	return rc;
}

int lab_open(struct lab *l, const struct cli_options *o, struct error *err)
{
	int rc;

	memset(l, 0, sizeof(*l));
	l->options = *o;
	l->engine = engine_find(o->engine);
	l->record_cycles = o->record_cycles;
	rc = o->wires ? open_traffic(l, err) : 0;
	if (!rc)
		rc = find_ports(l, err);
	if (!rc)
		rc = find_lcores(l, o->wires ? 2 : 0, err);
	if (!rc)
		rc = make_streams(l, err);
	if (!rc)
		rc = make_pool(l, err);
	if (!rc)
		rc = make_network(l, err);
	if (!rc && l->traffic)
		l->traffic->network = l->network;
	/* once only, where it can be: net_pcap, for one, cannot be set up again */
	return rc || l->engine->pipeline ? rc : lab_ports_start(l, err);
}

void lab_close(struct lab *l)
{
	if (l->running)
		lab_stop(l, NULL);
	if (l->engine && l->engine->release)
		l->engine->release(l);
	traffic_free(l->traffic);
	lab_ports_stop(l);
	for (unsigned i = 0; i < l->port_count; i++)
		rte_eth_dev_close(l->ports[i].id);
	rte_mempool_free(l->pool);
	mixnet_free(l->network);
	memset(l, 0, sizeof(*l));
}

/* ---- ports ---- */

static int configure_port(struct lab *l, struct lab_port *p, struct error *err)
{
	uint16_t queues = (uint16_t)p->queues, rxd = (uint16_t)l->options.rxd,
		 txd = (uint16_t)l->options.txd;
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(p->id, &info);

	if (!rc && (info.max_rx_queues < queues || info.max_tx_queues < queues))
		return error_set(err, EINVAL,
			"port %u (%s) has %u RX and %u TX queues; %u of each "
			"are wanted",
			p->id, p->name, info.max_rx_queues, info.max_tx_queues, queues);
	if (!rc && queues > 1) {
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
		if (conf.rx_adv_conf.rss_conf.rss_hf)
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	}
	if (!rc)
		rc = rte_eth_dev_configure(p->id, queues, queues, &conf);
	if (!rc)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rxd, &txd);
	for (uint16_t q = 0; !rc && q < queues; q++) {
		rc = rte_eth_rx_queue_setup(p->id, q, rxd, (unsigned)SOCKET_ID_ANY, NULL, l->pool);
		if (!rc)
			rc = rte_eth_tx_queue_setup(p->id, q, txd, (unsigned)SOCKET_ID_ANY, NULL);
	}
	if (!rc)
		rc = rte_eth_dev_start(p->id);
	if (rc)
		return error_set(err, -rc,
			"port %u (%s) cannot be set up with %u queues of %u and "
			"%u descriptors: %s",
			p->id, p->name, queues, rxd, txd, rte_strerror(-rc));
	p->started = true;
	(void)rte_eth_promiscuous_enable(p->id);
	return 0;
}

int lab_ports_start(struct lab *l, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < l->port_count && !rc; i++)
		if (!l->ports[i].started)
			rc = configure_port(l, &l->ports[i], err);
	return rc;
}

void lab_ports_stop(struct lab *l)
{
	for (unsigned i = 0; i < l->port_count; i++) {
		if (l->ports[i].started)
			rte_eth_dev_stop(l->ports[i].id);
		l->ports[i].started = false;
	}
}

/* ---- forwarding ---- */

struct lcore_job {
	struct lab *lab;
	unsigned index;
};

static int lcore_main(void *arg)
{
	const struct lcore_job *job = arg;
	struct lab *l = job->lab;
	const struct timespec pause = {.tv_nsec = IDLE_NS};
	const bool sleep = l->options.sleep, record = l->record_cycles;
	struct stream *mine[LAB_MAX_STREAMS];
	unsigned count = 0;

	for (unsigned i = 0; i < l->stream_count; i++)
		if (l->streams[i].lcore == job->index)
			mine[count++] = &l->streams[i];
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
		unsigned work = 0;

		for (unsigned i = 0; i < count; i++) {
			uint64_t start = record ? rte_rdtsc() : 0;
			unsigned n = l->engine->burst(mine[i]);

			if (n && record) {
				mine[i]->n.cycles += rte_rdtsc() - start;
				mine[i]->n.cycle_packets += n;
			}
			work += n;
		}
		if (work == 0 && sleep)
			nanosleep(&pause, NULL);
	}
	return 0;
}

static int launch(struct lab *l, struct error *err)
{
	static struct lcore_job jobs[LAB_MAX_LCORES];

	for (unsigned i = 0; i < l->lcore_count; i++) {
		jobs[i] = (struct lcore_job){l, i};
		if (rte_eal_remote_launch(lcore_main, &jobs[i], l->lcores[i]) < 0)
			return error_set(err, EBUSY, "lcore %u is busy", l->lcores[i]);
	}
	return 0;
}

/* The smallest Ethernet frames, for the next hop that the port has. */
static void send_first(struct lab *l, unsigned bursts)
{
	for (unsigned i = 0; i < l->stream_count * bursts; i++) {
		struct stream *s = &l->streams[i % l->stream_count];
		struct rte_mbuf *m[CLI_BURST_MAX];

		if (rte_pktmbuf_alloc_bulk(l->pool, m, s->burst) != 0)
			return;
		for (unsigned k = 0; k < s->burst; k++) {
			char *frame = rte_pktmbuf_append(m[k], TX_FIRST_SIZE);
			struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;

			memset(frame, 0, TX_FIRST_SIZE);
			eth->dst_addr = s->peer;
			eth->src_addr = s->own;
			eth->ether_type = rte_cpu_to_be_16(0x88b5); /* for local experiments */
		}
		engine_send(s, m, s->burst);
	}
}

static int start_traffic(struct lab *l, struct error *err)
{
	const struct engine *e = l->engine;
	const bool holds = e->pipeline && !e->no_delay;
	const bool vrf =
		l->options.delay == BETANET_DELAY_VRF || l->options.delay == BETANET_DELAY_SUM;
	const struct traffic_engine what = {
		.view = e->pipeline ? TRAFFIC_MIXED : TRAFFIC_SAME,
		.replays_come = !e->pipeline || e->no_replay,
		.holds = holds && l->options.delay != BETANET_DELAY_NONE,
		.delays_known = !holds || !vrf,
		.resolve = e->pipeline,
		.extra_ns = holds && vrf
				    ? (uint64_t)(l->options.mean_delay_ms * 1e6) * DELAY_CAP_MEANS
				    : 0,
	};

	return traffic_start(l->traffic, &l->options, &what, err);
}

static int begin(struct lab *l, unsigned tx_first, struct error *err)
{
	int rc = 0;

	if (l->traffic)
		rc = traffic_build(l->traffic, &l->options, l->log, err);
	if (!rc && !l->engine->pipeline)
		rc = lab_ports_start(l, err);
	if (!rc && l->engine->begin)
		rc = l->engine->begin(l, err);
	if (rc)
		return rc;
	lab_clear_stats(l);
	l->running = true;
	if (l->engine->burst) {
		send_first(l, tx_first);
		rc = launch(l, err);
	}
	if (!rc && l->traffic)
		rc = start_traffic(l, err);
	if (rc)
		lab_stop(l, NULL);
	return rc;
}

int lab_start(struct lab *l, unsigned tx_first, struct error *err)
{
	if (l->running)
		return error_set(err, EBUSY, "forwarding already runs: stop it first");
	if (tx_first && l->engine->pipeline)
		return error_set(err, EINVAL,
			"tx_first is for io, mac and parse: what it sends is no mix packet");
	atomic_store(&l->stop, false);
	return begin(l, tx_first, err);
}

int lab_stop(struct lab *l, struct error *err)
{
	int rc = 0;

	if (!l->running)
		return error_set(err, EALREADY, "nothing is forwarded: start it first");
	/* what is under way may still come back */
	if (l->traffic) {
		traffic_stop_sending(l->traffic);
		while (l->traffic->running && !l->traffic->judged) {
			lab_poll(l);
			ethport_sleep_ns(1000000);
		}
	}
	atomic_store(&l->stop, true);
	for (unsigned i = 0; i < l->lcore_count && l->engine->burst; i++)
		rte_eal_wait_lcore(l->lcores[i]);
	if (l->engine->end)
		rc = l->engine->end(l, err);
	if (l->traffic)
		traffic_stop(l->traffic);
	l->running = false;
	return rc;
}

void lab_poll(struct lab *l)
{
	if (l->running && l->engine->poll)
		l->engine->poll(l);
	if (l->running && l->traffic)
		traffic_poll(l->traffic);
}

/* ---- settings ---- */

int lab_set_engine(struct lab *l, const char *name, struct error *err)
{
	const struct engine *e = engine_find(name);
	char names[128];

	if (!e)
		return error_set(err, EINVAL, "no engine \"%s\"; allowed: %s", name,
			engine_names(names, sizeof(names)));
	if (l->running)
		return error_set(err, EBUSY, "the engine cannot change while it runs: stop first");
	if (l->engine != e && l->engine->release)
		l->engine->release(l);
	l->engine = e;
	lab_clear_stats(l);
	return 0;
}

int lab_set_burst(struct lab *l, unsigned burst, struct error *err)
{
	if (l->running)
		return error_set(
			err, EBUSY, "the burst cannot change while forwarding: stop first");
	l->options.burst = burst;
	for (unsigned i = 0; i < l->stream_count; i++)
		l->streams[i].burst = (uint16_t)burst;
	return 0;
}

/* ---- statistics ---- */

/* What another lcore counts. */
static uint64_t seen(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void lab_port_stats(const struct lab *l, unsigned port, struct lab_fwd_stats *s)
{
	const struct lab_port *p = &l->ports[port];
	struct rte_eth_stats now = {0};

	*s = (struct lab_fwd_stats){0};
	if (rte_eth_stats_get(p->id, &now) == 0)
		s->rx_dropped = now.imissed - p->base.imissed;
	if (l->engine->pipeline) {
		s->rx = now.ipackets - p->base.ipackets;
		s->tx = now.opackets - p->base.opackets;
		s->tx_dropped = now.oerrors - p->base.oerrors;
		return;
	}
	for (unsigned i = 0; i < l->stream_count; i++) {
		const struct stream *st = &l->streams[i];

		if (st->rx == port)
			s->rx += seen(&st->n.received) - st->zero.received;
		if (st->tx == port) {
			s->tx += seen(&st->n.sent) - st->zero.sent;
			s->tx_dropped += seen(&st->n.dropped) - st->zero.dropped;
		}
	}
}

static void raw_cycles(const struct lab *l, uint64_t *cycles, uint64_t *packets)
{
	*cycles = *packets = 0;
	if (l->engine->cycles) {
		l->engine->cycles(l, cycles, packets);
		return;
	}
	for (unsigned i = 0; i < l->stream_count; i++) {
		*cycles += seen(&l->streams[i].n.cycles);
		*packets += seen(&l->streams[i].n.cycle_packets);
	}
}

void lab_cycles(const struct lab *l, uint64_t *cycles, uint64_t *packets)
{
	raw_cycles(l, cycles, packets);
	*cycles -= l->zero_cycles;
	*packets -= l->zero_packets;
}

void lab_clear_stats(struct lab *l)
{
	for (unsigned i = 0; i < l->port_count; i++)
		if (rte_eth_stats_get(l->ports[i].id, &l->ports[i].base) != 0)
			memset(&l->ports[i].base, 0, sizeof(l->ports[i].base));
	for (unsigned i = 0; i < l->stream_count; i++)
		l->streams[i].zero = l->streams[i].n;
	raw_cycles(l, &l->zero_cycles, &l->zero_packets);
}
