/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PIPELINE_PIPELINE_H
#define BETANET_PIPELINE_PIPELINE_H

#include <rte_ethdev.h>
#include <rte_hash.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include "core/error.h"
#include "directory/directory.h"
#include "link/link.h"
#include "mix/early_drop.h"
#include "mix/token_bucket.h"
#include "mix/wheel.h"
#include "pipeline/betanet.h"
#include "pipeline/burst.h"
#include "pipeline/pool.h"
#include "replay/replay.h"
#include "vrf/epoch.h"

/*
 * The inside of the pipeline. Comments say who writes a field: "setup" before workers start,
 * "worker" its owner alone, "control" the control lcore.
 *
 * A packet's way, in the order of the files: worker.c (the loop) → stages.c (parse, open, replay,
 * finish, route, delay) → wheel → egress.c (headers, shaping queue, TX). control.c, snapshot.c and
 * ports.c serve it.
 */
enum {
	POOL_CACHE = 256,
	CONTROL_RING = 1024, /* frames and requests to the control lcore */
	REPLY_RING = 256,    /* replies of the control lcore, per port */
	TX_BURST = 64,
	RETRY_MS = 20, /* a packet whose next hop is not resolved waits again */
	RETRIES = 50,
	STUCK_MS = 100, /* a TX queue that takes nothing for so long loses what is offered to it */
	KEY_SIZE = 20,
};

enum lcore_state { LCORE_BOOT, LCORE_RUN, LCORE_DRAIN, LCORE_HALT, LCORE_FAIL };

/* ---- snapshot: what workers read and control replaces
 * ------------------------------------------------ */

/* A directory address as an egress: which port, which headers. */
struct hop {
	uint16_t port;
	bool reachable; /* some port has its prefix or a gateway */
	bool allowed;   /* in the neighbours' set, where there is one */
	bool own;       /* an address of ours: what ends there is consumed */
	bool resolved;  /* `header` is complete */
	struct link_ready header;
};

/* Immutable once published; freed after every worker passed a quiescent state. */
struct snapshot {
	uint64_t hops_generation; /* equal generation: equal meaning of hop indices */
	bool has_directory, expired;
	struct rte_hash *hop_index; /* address_key → index into hops; NULL without a directory */
	struct hop *hops;
	unsigned hop_count;
	struct rte_hash *neighbour_index; /* address_key with port 0 → index into neighbour_mac */
	uint8_t (*neighbour_mac)[LINK_MAC_SIZE];
	unsigned neighbour_count;
	struct snapshot *next_retired; /* control */
	uint64_t token;                /* control: of the grace period */
};

/* Canonical hash key of an endpoint: family, port, ip, without padding bytes. */
void address_key(uint8_t key[KEY_SIZE], const struct endpoint *e);

/* ---- ports
 * ------------------------------------------------------------------------------------------ */

struct txq {
	uint16_t port, queue;
	struct rte_ring *shaping;   /* filled by workers, drained by the owner; holds due packets */
	struct token_bucket bucket; /* owner */
	struct rte_mbuf
		*pending[TX_BURST]; /* owner: taken off the ring, not yet taken by the driver */
	unsigned pending_count;     /* owner */
	uint64_t pending_since;     /* owner: TSC */
	struct rte_ring *collect;   /* instead of a port; NULL with one */
};

struct port {
	uint16_t id; /* ethdev */
	struct betanet_port cfg;
	char device[RTE_ETH_NAME_MAX_LEN];
	struct link_host host;
	bool tx_offload;
	uint64_t tx_flags4, tx_flags6; /* mbuf flags of the offload */
	unsigned rx_queues, tx_queues;
	uint32_t kept;          /* mbufs that the driver never gives back */
	struct txq *txq;        /* tx_queues of them */
	struct rte_ring *reply; /* control → owner of queue 0 */
};

/* ---- workers
 * ---------------------------------------------------------------------------------------- */

/* What an lcore spends its time on, in the order of a packet's way. */
#define STAGES(X)                                                                                  \
	X(receive) X(parse) X(open) X(replay) X(draw) X(finish) X(route) X(delay) X(due) X(transmit)

enum stage {
#define X(name) STAGE_##name,
	STAGES(X)
#undef X
		STAGE_COUNT
};

/* Only calls that had packets count. */
struct stage_stats {
	uint64_t calls, packets, cycles;
};

/* Written by one lcore, read by anyone (a torn counter is impossible on 64-bit machines). */
struct lcore_stats {
	uint64_t rx, rx_bytes, bursts, processed, forwarded, delivered, tx, tx_bytes, control;
	uint64_t drops[DROP_COUNT];
	uint64_t processing_cycles, processing_count;
	uint64_t lateness[BETANET_HISTOGRAM_BUCKETS];
	uint64_t cover_received; /* for us, and no loop of ours */
	uint64_t parked, queued; /* gauges */
	uint64_t pool_requests;  /* buffers asked for: by drivers for arrivals, by control */
	uint64_t loops, idle_loops, busy_cycles, longest_loop;
	struct stage_stats stage[STAGE_COUNT];
};

struct worker {
	struct betanet *b;
	unsigned index, lcore;
	_Atomic int state; /* enum lcore_state; the worker */
	struct {
		const struct port *port;
		uint16_t index, queue; /* of the port in betanet.ports; on the port */
	} rxq[BETANET_MAX_PORTS];      /* setup: at most one of each port */
	unsigned rxq_count, next_rxq;
	struct txq *feed[BETANET_MAX_PORTS]; /* setup: the queue of each port that this worker
						fills; [0] without ports */
	struct txq **own;                    /* setup: the queues that this worker drains */
	unsigned own_count;
	struct port
		*reply_port[BETANET_MAX_PORTS]; /* setup: ports whose replies this worker sends */
	unsigned reply_count;
	struct rte_ring *submit;
	struct wheel *wheel;
	struct sphinx_burst *sphinx;     /* locked: keys and tags of the burst under way */
	struct burst *burst;             /* locked */
	struct epoch_view *view;         /* locked: the epoch's delay key while a burst needs it */
	uint8_t (*dtag)[DELAY_TAG_SIZE]; /* locked: one for each packet of a burst */
	struct early_dice dice;          /* which arrivals a short pool costs */
	struct lcore_stats stats __rte_cache_aligned;
};

/* ---- control
 * ---------------------------------------------------------------------------------------- */

struct neighbour {
	struct endpoint ip; /* port 0 */
	uint16_t port;
	bool resolved, from_directory;
	uint8_t mac[LINK_MAC_SIZE];
	unsigned tries;   /* solicitations since the last answer */
	uint64_t next_ns; /* when to solicit again, or to forget */
	uint64_t learned_ns;
};

struct betanet {
	struct betanet_config cfg; /* setup; pointers in it are not kept */
	char name[64];
	bool sole;         /* create: the process's one pipeline */
	_Atomic int state; /* enum lcore_state; control */
	uint32_t packet_size;
	struct rte_mempool *pool;
	struct pool_counts pool_base; /* start: what was counted before */
	struct early_drop early;      /* setup: watermarks of the pool */
	uint8_t *sphinx_secret; /* locked */
	struct replay *replay;
	struct epochs *epochs; /* NULL without VRF delays */
	enum delay_mode delay_mode;
	uint64_t vrf_mean_ns;
	struct cidr *exit_allow;
	unsigned exit_allow_count;
	uint64_t hz, started, stopped; /* TSC */

	struct port ports[BETANET_MAX_PORTS];
	unsigned port_count;
	struct txq *collect_txq; /* without ports: one for each worker */
	struct rte_ring *collect;
	struct worker *workers; /* cfg.workers of them */

	_Atomic(struct snapshot *) snapshot;
	struct rte_rcu_qsbr *qsbr;
	struct snapshot *retired;

	struct rte_ring *control_rx; /* mbufs: ARP, ND, ICMP; from workers */
	struct rte_ring
		*resolve; /* KEY_SIZE elements + port: addresses that workers want resolved */
	struct directory *directory; /* control */
	int own_node; /* control: the directory's index of our Sphinx key; -1: none */
	uint64_t hops_generation;
	struct neighbour *neighbours;
	unsigned neighbour_count, neighbour_cap;
	bool keep_to_neighbours; /* betanet_neighbours_set */
	uint8_t neighbours_hash[32];
	uint64_t neighbour_bits[DIRECTORY_MAX_NODES / 64];
	bool directory_expired;
	bool snapshot_dirty;
	uint64_t now_ns, next_second_ns;
	unsigned next_worker; /* betanet_submit */
	struct lcore_stats control_stats;
};

struct resolve_request {
	uint8_t family, pad[1];
	uint16_t port;
	uint8_t ip[16];
}; /* 20 bytes: a multiple of 4, as rte_ring_elem wants it */

/* stages.c: in this order */
void stage_parse(struct worker *w, struct burst *b);
void stage_open(struct worker *w, struct burst *b);
void stage_replay(struct worker *w, struct burst *b);
void stage_draw(struct worker *w, struct burst *b);
void stage_finish(struct worker *w, struct burst *b);
void stage_route(struct worker *w, struct burst *b, const struct snapshot *s);
void stage_delay(struct worker *w, struct burst *b);

/* egress.c: due packets to the shaping queues; shaping queues and control replies to the ports.
 * Return the number of packets moved. */
unsigned egress_due(struct worker *w, const struct snapshot *s, uint64_t now);
unsigned egress_transmit(struct worker *w, uint64_t now);
void egress_discard(struct betanet *b, struct rte_mbuf **m, unsigned n, enum drop_reason why);

/* worker.c */
int worker_main(void *arg);

/* Which port leads to an address, and the neighbour to send to (the address itself or a gateway,
 * port 0). -1: none. */
int port_route(const struct betanet *b, const struct endpoint *to, struct endpoint *via);

/* ports.c */
int port_configure(struct betanet *b, struct port *p, struct error *err);
int port_start(struct port *p, struct error *err);
/* Stops and closes the ethdev; workers must have stopped. */
void port_stop(struct port *p);
void port_close(struct port *p);
/* Frees the mbufs in a ring; NULL is fine. */
void ring_drop(struct rte_ring *r);
int txq_init(struct betanet *b, struct txq *q, const char *name, bool single_producer,
	struct error *err);

/* snapshot.c */
int snapshot_publish(struct betanet *b, struct error *err);
void snapshot_reclaim(struct betanet *b, bool all);

/* control.c */
int control_init(struct betanet *b, struct error *err);
void control_directory_changed(struct betanet *b);
struct neighbour *neighbour_find(struct betanet *b, uint16_t port, const struct endpoint *ip);

/* epochs.c: the VRF side of the control lcore */
int epochs_create(struct betanet *b, struct betanet_config *c, struct error *err);
void epochs_free(struct epochs *e);
void epochs_poll(struct betanet *b);
const struct epoch_table *epochs_table(const struct epochs *e);
void epochs_stats(const struct betanet *b, struct betanet_stats *s);

/* cover.c: on a worker, a final packet that is for us. */
void cover_consume(
	struct worker *w, const uint8_t identifier[SPHINX_IDENTIFIER_SIZE], uint64_t arrival);

/* telemetry.c: the pipeline that the telemetry socket shows; NULL for none. */
void telemetry_attach(struct betanet *b);
int telemetry_register(struct error *err);

#endif
