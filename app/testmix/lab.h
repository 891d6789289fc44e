/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_LAB_H
#define BETANET_TESTMIX_LAB_H

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <stdatomic.h>
#include <stdio.h>
#include "cli_options.h"
#include "core/error.h"

/*
 * The lab that the CLI drives: ports, streams (an RX queue and where it leads), forwarding lcores
 * and one engine. All calls come from the main lcore; what forwarding lcores write is named.
 */
enum { LAB_MAX_PORTS = 16, LAB_MAX_STREAMS = CLI_MAX_MAPS, LAB_MAX_LCORES = 64 };

struct engine;
struct betanet;
struct traffic;
struct mixnet;

struct lab_port {
	uint16_t id;
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_ether_addr mac;
	unsigned peer;   /* index of the port that its packets leave by */
	unsigned queues; /* RX and as many TX */
	bool started;
	struct rte_eth_stats base; /* at the start, or when fwd statistics were cleared */
};

/* What the last `show port stats` showed, for the rates. */
struct lab_shown {
	struct rte_eth_stats stats;
	uint64_t tsc; /* 0: nothing yet */
};

struct stream_counts {
	uint64_t received, sent, dropped;
	uint64_t cycles, cycle_packets; /* of polls that received; only with record-core-cycles */
};

struct stream {
	uint16_t rx_port, rx_queue, tx_port, tx_queue;
	unsigned rx, tx; /* indices into lab.ports */
	unsigned lcore;  /* index into lab.lcores */
	uint16_t burst;
	struct rte_ether_addr own, peer;            /* mac: what is written */
	void *engine;                               /* the engine's own */
	struct stream_counts zero;                  /* main: where the statistics were cleared */
	struct stream_counts n __rte_cache_aligned; /* forwarding lcore writes, main reads */
};

struct lab {
	struct cli_options options; /* the start's settings; commands change them */
	const struct engine *engine;
	struct lab_port ports[LAB_MAX_PORTS];
	unsigned port_count;
	struct stream streams[LAB_MAX_STREAMS];
	unsigned stream_count;
	unsigned lcores[LAB_MAX_LCORES]; /* EAL ids of the forwarding lcores */
	unsigned lcore_count;
	struct lab_shown shown[RTE_MAX_ETHPORTS];
	struct rte_mempool *pool;
	bool running, record_cycles;
	unsigned verbose;
	atomic_bool stop; /* forwarding lcores read */

	/* a sphinx engine: kept after the stop for its statistics, until the next start */
	struct betanet *mix;
	uint64_t zero_cycles, zero_packets; /* main: where the statistics were cleared */

	struct mixnet *network; /* what the packets are for */
	unsigned shaping;       /* enum betanet_shaping */
	uint64_t shaping_pps;
	double loops_pps;        /* cover loops of the engine's own; 0: no cover */
	struct traffic *traffic; /* --wires; else NULL */
	FILE *log;               /* where progress is shown; NULL: nowhere */
};

/* Takes the ports that EAL has (or makes wires), the lcores that the options ask for. 0; -ENODEV
 * (no port), -ENOSPC (lcores or ports), -EINVAL (--config). */
int lab_open(struct lab *l, const struct cli_options *o, struct error *err);
void lab_close(struct lab *l);

/* Forwards until lab_stop. `tx_first`: bursts to send from every TX queue at first. -EBUSY when it
 * already does; -EINVAL when the engine cannot do what is set; a driver's error. */
int lab_start(struct lab *l, unsigned tx_first, struct error *err);
int lab_stop(struct lab *l, struct error *err); /* -EALREADY when nothing runs */

/* The engine's and the traffic's work on the main lcore; at least every few milliseconds. */
void lab_poll(struct lab *l);

/* -EBUSY while forwarding. */
int lab_set_engine(struct lab *l, const char *name, struct error *err);
int lab_set_burst(struct lab *l, unsigned burst, struct error *err);

/* Packets since the start, or since they were cleared. */
struct lab_fwd_stats {
	uint64_t rx, rx_dropped, tx, tx_dropped;
};
void lab_port_stats(const struct lab *l, unsigned port, struct lab_fwd_stats *s);
void lab_clear_stats(struct lab *l);

/* CPU cycles of the lcores while they had packets, and those packets. */
void lab_cycles(const struct lab *l, uint64_t *cycles, uint64_t *packets);

/* Ports are started for io, mac and parse; stopped for a pipeline. */
int lab_ports_start(struct lab *l, struct error *err);
void lab_ports_stop(struct lab *l);

#endif
