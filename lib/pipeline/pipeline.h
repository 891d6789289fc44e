/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_PIPELINE_PIPELINE_H
#define BETANET_PIPELINE_PIPELINE_H

#include <rte_ethdev.h>
#include <rte_hash.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include "core/error.h"
#include "directory/directory.h"
#include "link/link.h"
#include "mix/early_drop.h"
#include "mix/slot_clock.h"
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
 * A packet's way, in the order of the files: worker.c (the loop) → stages.c (parse), admit.c →
 * stages.c (open, replay, finish, route, delay) → wheel → egress.c (headers, shaping queue, TX),
 * or, with shaping, → the link's ring → slots.c (slots or tokens, headers, TX). control.c,
 * snapshot.c, links.c and ports.c serve it.
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

struct tx_link;

/* A directory address as an egress: which port, which headers. */
struct hop {
	struct tx_link *link; /* NULL: it is none; then with slots nothing goes there, else packets
				 go through the TX queue's own ring */
	uint16_t port;
	bool reachable; /* some port has its prefix or a gateway */
	bool allowed;   /* in the neighbours' set, where there is one */
	bool own;       /* an address of ours: what ends there is consumed */
	bool resolved;  /* `header` is complete */
	struct link_ready header;
};

/* A link in a snapshot: the headers of `hop` are those of the moment. */
struct link_ref {
	struct tx_link *link;
	uint32_t hop;
};

/* Immutable once published; freed after every worker passed a quiescent state. */
struct snapshot {
	uint64_t serial;          /* no two snapshots have the same */
	uint64_t hops_generation; /* equal generation: equal meaning of hop indices */
	bool has_directory, expired;
	struct rte_hash *hop_index; /* address_key → index into hops; NULL without a directory */
	struct hop *hops;
	unsigned hop_count;
	/* worker i owns link_ref[link_first[i]] up to, without it, link_first[i + 1] */
	struct link_ref *link_ref;
	unsigned link_first[BETANET_MAX_WORKERS + 1];
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

/* What links took for this moment, on its way to the driver; what that refuses waits here. */
struct staged {
	unsigned count;
	uint64_t since;               /* TSC: when the driver last took something, or since when
					 there is something */
	struct rte_mbuf *m[TX_BURST]; /* with headers */
	uint64_t slot[TX_BURST];      /* TSC; 0: no slot, but tokens */
	bool cover[TX_BURST];
};

struct txq {
	uint16_t port, queue;
	struct rte_ring *shaping;   /* filled by workers, drained by the owner; holds due packets */
	struct token_bucket bucket; /* owner */
	struct rte_mbuf
		*pending[TX_BURST]; /* owner: taken off the ring, not yet taken by the driver */
	unsigned pending_count;     /* owner */
	uint64_t pending_since;     /* owner: TSC */
	uint64_t released;          /* owner: TSC at which they got their tokens */
	struct rte_ring *collect;   /* instead of a port; NULL with one */
	struct staged staged;       /* owner */
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

/* ---- links: a directory address of a node of our next layer (links.c, slots.c)
 * ------------------------------------------------------------------------------------------ */

enum {
	LINKS_MAX = 2 * DIRECTORY_MAX_NODES,
	LINK_SLACK = 4, /* a link's ring can hold so many shares of the queue depth, so that the
			   depth may follow the number of links */
	COVER_STOCK_MS = 250,
	COVER_STOCK_MIN = 16,
	COVER_STOCK_MAX = 4096,
};

/* Written by the owner. */
struct link_stats {
	uint64_t real, cover, empty, skipped;
};

/*
 * Made by control when an address becomes a link, kept over snapshots as long as it is one; then
 * freed after a grace period, and what its rings hold is dropped (as not_link; cover uncounted).
 * All workers put packets into its ring; one of them, the owner, takes them out.
 *
 * For the helper of cover: links with slots have a ring of cover packets. Control fills it (single
 * producer), the owner takes one when a slot finds no waiting packet. An mbuf in it holds the bare
 * Sphinx packet of betanet.packet_size bytes, headroom as allocated, and this packet_meta:
 *
 *	flag             SPHINX_FLAG_FORWARD
 *	address          tx_link.address, as address_encode writes it
 *	sum              link_sum of the packet
 *	hops_generation  betanet.hops_generation at the time: stock of an older one is thrown away
 *			 by the owner (a new directory: routes may be gone)
 *	identifier, delay_ns, arrival, parked, due, retries: 0
 *
 * Live links are betanet.links.link[0 .. links.count), in no order; their list changes only in
 * snapshot_publish (betanet_poll calls it), so that pointers are good within one pass of control.
 * links_cover_room says how many packets a link can be given now; `node` is its node's index in
 * betanet.directory. Packets whose link went away before they were put in: rte_pktmbuf_free.
 */
struct tx_link {
	/* control, before the link is published; constant from then on */
	unsigned serial;
	uint8_t key[KEY_SIZE];
	struct endpoint address;
	unsigned owner;         /* worker */
	struct txq *txq;        /* of the owner: how packets leave */
	struct rte_ring *ring;  /* waiting packets, without headers */
	struct rte_ring *cover; /* NULL in rate mode */
	uint32_t capacity;      /* of the ring */
	/* control; the name under links.lock */
	unsigned node; /* index into directory->nodes */
	char name[DIRECTORY_NAME_MAX];
	uint32_t cover_want; /* stock of cover to be kept; never more than the ring holds */
	bool wanted;
	uint64_t token; /* of the grace period */
	struct tx_link *next_retired;

	_Atomic uint32_t depth; /* control writes, workers read: most packets that may wait */
	_Atomic uint64_t full;  /* any worker: packets dropped for that */

	/* owner */
	struct slot_clock clock __rte_cache_aligned;
	struct token_bucket bucket;
	struct rte_mbuf *next_cover; /* taken off the ring of cover, not sent yet */
	uint64_t dead_since;         /* TSC: since when the neighbour is unresolved; 0: it is not */
	struct link_stats stats;
};

/* Control's side of them. */
struct links {
	pthread_mutex_t lock; /* list and names: control changes them under it, telemetry reads */
	struct tx_link **link;
	unsigned count, cap;
	struct tx_link *retired;
	unsigned serial;
	struct slot_random random;
	/*
	 * Buffers that the stocks of cover may hold in all: pool_make sets it to sizing's term for
	 * cover and what the pool has besides; 0, as without a directory at the start: an eighth of
	 * the pool.
	 * The rings of all links that leave by one port hold queue_depth packets times its TX
	 * queues (times workers without ports), in addition to the TX queues' own rings.
	 */
	uint32_t cover_budget;
};

/* Those that one worker owns, and what it must know to keep their slots. Owner. */
struct slots {
	uint64_t serial, generation; /* of the snapshot that `ref` points into */
	const struct link_ref *ref;
	unsigned count;
	unsigned turn;         /* rate: which link is next */
	struct slot_heap heap; /* constant, poisson: indices into ref */
	struct slot_random random;
	uint64_t gap;                  /* mean between two slots of any of the links, cycles */
	uint64_t chunk_cost, due_cost; /* cycles: of SLOT_CHUNK packets from reception to wheel, of
					  a burst from wheel to ring; measured */
	uint64_t queued, counted;      /* packets in the rings, and when they were counted */
	uint64_t waited;               /* cycles spun in this loop until slots came */
};

/* ---- workers
 * ---------------------------------------------------------------------------------------- */

/* What an lcore spends its time on, in the order of a packet's way. */
#define STAGES(X)                                                                                  \
	X(receive)                                                                                 \
	X(parse) X(admit) X(open) X(replay) X(draw) X(finish) X(route) X(delay) X(due) X(transmit)

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
	uint64_t processing_cycles, shaping_cycles, processing_count;
	uint64_t lateness[BETANET_HISTOGRAM_BUCKETS];
	uint64_t cover_received; /* for us, and no loop of ours */
	uint64_t parked, queued; /* gauges */
	uint64_t pool_requests;  /* buffers asked for: by drivers for arrivals, by control */
	uint64_t slots_real, slots_cover, slots_empty, slots_skipped;
	uint64_t slot_lateness[BETANET_HISTOGRAM_BUCKETS], slot_latest; /* ns; cycles */
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
	struct rte_ring *loops; /* from control, to be parked; NULL without cover */
	struct wheel *wheel;
	struct sphinx_burst *sphinx;     /* locked: keys and tags of the burst under way */
	struct burst *burst;             /* locked */
	struct epoch_view *view;         /* locked: the epoch's delay key while a burst needs it */
	uint8_t (*dtag)[DELAY_TAG_SIZE]; /* locked: one for each packet of a burst */
	struct early_dice dice;          /* which arrivals a short pool costs */
	struct token_bucket tokens;      /* the worker's share of the global limit */
	struct slots slots;
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

/* For app/testmix alone, which sets it between betanet_create and betanet_start; neither the public
 * API nor the relay's configuration leads here. */
struct pipeline_lab {
	bool no_replay;  /* tags are neither looked up nor kept: packets may come again and again */
	bool keep_ports; /* ports are stopped, not closed, so that they can be used once more */
};

struct betanet {
	struct betanet_config cfg; /* setup; pointers in it are not kept */
	struct pipeline_lab lab;
	char name[64];
	bool sole;         /* create: the process's one pipeline */
	_Atomic int state; /* enum lcore_state; control */
	uint32_t packet_size;
	struct rte_mempool *pool;
	struct pool_counts pool_base; /* start: what was counted before */
	struct early_drop early;      /* setup: watermarks of the pool */
	struct admission *admission;  /* setup; NULL: no limits (admit.c) */
	uint8_t *sphinx_secret;       /* locked */
	struct replay *replay;
	struct epochs *epochs; /* NULL without VRF delays */
	struct cover *cover;   /* NULL without cover */
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
	uint64_t snapshot_serial;
	struct links links;

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

struct rte_tel_data;

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

/*
 * admit.c: the limits of what is taken. Behind parse, for packets with headers. Nothing at all is
 * done when no limit is set.
 */
void stage_admit(struct worker *w, struct burst *b, const struct snapshot *s);
/* How many of `want` submitted packets the global limit allows now; the others wait. */
unsigned admit_submitted(struct worker *w, unsigned want);

/* Behind the workers' creation, for BETANET_GLOBAL_AUTO measures on the first one's workspace.
 * -ENOMEM, -EIO. */
int admission_create(struct betanet *b, struct error *err);
void admission_free(struct betanet *b);
/* Control: the indices of hops have a new meaning; relays begin anew. */
void admission_directory_changed(struct betanet *b);

/* The global limit in force, packets per second over all workers; 0: none. */
uint64_t admission_limit(const struct betanet *b);

struct admission_state {
	bool strangers;
	uint64_t global_pps, capacity_pps; /* of all workers, in force; of one, measured. 0: none */
	uint64_t words, hot;               /* of the table of strangers, and those at the limit */
};
void admission_state(const struct betanet *b, struct admission_state *s);

/* egress.c: due packets to the shaping queues; shaping queues and control replies to the ports.
 * Return the number of packets moved. */
unsigned egress_due(struct worker *w, const struct snapshot *s, uint64_t now, unsigned max);
unsigned egress_transmit(struct worker *w, uint64_t now);
void egress_discard(struct betanet *b, struct rte_mbuf **m, unsigned n, enum drop_reason why);

/* What the statistics need of a packet; noted before TX, for afterwards the mbuf may be gone. */
struct tx_note {
	uint64_t cycles, shaping; /* of processing; of waiting for a token or a slot */
	uint32_t bytes;
	uint8_t flag;       /* enum sphinx_flag; 0: cover */
	uint64_t loop, now; /* number of a loop of ours, else 0; TSC */
};
/* `released`: when shaping let it go; what it waited until then is deliberate. */
void egress_note(struct tx_note *note, struct rte_mbuf *m, uint64_t released, uint64_t now);
void egress_count(struct worker *w, const struct tx_note *note, unsigned n);
unsigned txq_send(struct txq *q, struct rte_mbuf **m, unsigned n);
/* The buckets of a histogram of times: cycles into the bucket of their binary logarithm in ns. */
unsigned lateness_bucket(const struct betanet *b, uint64_t cycles);
/* For packets to be sent with headers from elsewhere: NIC offload flags; `headers` without the
 * frame, in bytes. */
void egress_offload(const struct port *p, struct rte_mbuf *m, unsigned headers);

/* slots.c: the owner's side of links. All do nothing for a worker without links. */

/* First thing in a loop: takes a new snapshot's links. */
void slots_refresh(struct worker *w, const struct snapshot *s);
/* Sends what slots and tokens allow now. Returns how many packets left. */
unsigned slots_serve(struct worker *w, const struct snapshot *s);
/* How many packets a burst may have, up to batch_size, so that it is over before the next slot; 0:
 * the slot is too near. */
unsigned slots_room(struct worker *w);
/* Whether the worker's bursts end before slots, or these are too dense for that. */
bool slots_guarded(const struct worker *w);
/* The same for packets from the wheel. */
unsigned slots_room_due(struct worker *w);
/* Spins until the next slot and serves it. Returns how many packets left. */
unsigned slots_wait(struct worker *w, const struct snapshot *s);
/* What n packets cost, for the two above. */
void slots_learn(struct worker *w, unsigned n, uint64_t cycles);
void slots_learn_due(struct worker *w, unsigned n, uint64_t cycles);
/* How long an idle worker may sleep, ns. */
uint64_t slots_sleep_ns(const struct worker *w, uint64_t most);
/* A packet without headers into a link's ring. False: the ring is full; the packet is the caller's.
 */
bool link_enqueue(struct tx_link *l, struct rte_mbuf *m);
/* Packets that wait in the links' rings. `now` 0: count them afresh. */
uint64_t slots_queued(struct worker *w, uint64_t now);

/* worker.c */
int worker_main(void *arg);

/* Which port leads to an address, and the neighbour to send to (the address itself or a gateway,
 * port 0). -1: none. */
int port_route(const struct betanet *b, const struct endpoint *to, struct endpoint *via);

/* ports.c */
int port_configure(struct betanet *b, struct port *p, struct error *err);
int port_start(struct port *p, struct error *err);
/* Stops the ethdev, and closes it unless it is to be kept; workers must have stopped. */
void port_stop(struct port *p, bool keep);
void port_close(struct port *p);
/* Frees the mbufs in a ring; NULL is fine. */
void ring_drop(struct rte_ring *r);
int txq_init(struct betanet *b, struct txq *q, const char *name, bool single_producer,
	struct error *err);

/* snapshot.c */
/* Whether packets may be sent to a node of the directory (betanet_neighbours_set). */
bool snapshot_allows(const struct betanet *b, unsigned node);
int snapshot_publish(struct betanet *b, struct error *err);
void snapshot_reclaim(struct betanet *b, bool all);

/* links.c: control's side of links */
int links_init(struct betanet *b, struct error *err);
int links_init_worker(struct worker *w, struct error *err);
void links_free_worker(struct worker *w);
/*
 * For a snapshot whose hops are filled: finds or makes the links, fills hop.link, link_ref.
 * -ENOMEM; then links_abandon undoes it. Once the snapshot is published, links_commit retires the
 * links that are none any more.
 */
int links_plan(struct betanet *b, struct snapshot *s);
/* Cover packets that a link with slots has ready. */
uint32_t links_cover_stock(const struct betanet_config *c);
void links_abandon(struct betanet *b);
void links_commit(struct betanet *b);
void links_reclaim(struct betanet *b);
/* Workers have stopped: drops what waits (as shutdown), frees cover. */
void links_discard(struct betanet *b);
void links_free(struct betanet *b);
/* links_show.c: for the telemetry. */
int links_show(const struct betanet *b, const char *params, struct rte_tel_data *d);
int links_show_link(const struct betanet *b, const char *params, struct rte_tel_data *d);

static inline bool shaping_has_slots(const struct betanet *b)
{
	return b->cfg.shaping >= BETANET_SHAPING_CONSTANT;
}

/* Control: how many cover packets the link can be given now. */
static inline unsigned links_cover_room(const struct tx_link *l)
{
	unsigned have = l->cover ? rte_ring_count(l->cover) : 0;

	return have < l->cover_want ? l->cover_want - have : 0;
}

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

/* cover.c: packets of our own; control. All but the first two do nothing without cover. */
int cover_create(struct betanet *b, struct error *err);
int cover_worker(struct worker *w, struct error *err);
void cover_free(struct cover *c);
void cover_directory_changed(struct betanet *b);
unsigned cover_poll(struct betanet *b); /* returns how many things it did */
void cover_stats(const struct betanet *b, struct betanet_stats *s);
/* How many buffers it may hold: a term of the pool's sum. */
uint64_t cover_packets(const struct betanet_config *c);
/* On a worker: a final packet that is for us; a loop left; takes loops into the wheel. */
void cover_consume(
	struct worker *w, const uint8_t identifier[SPHINX_IDENTIFIER_SIZE], uint64_t arrival);
void cover_left(struct worker *w, uint64_t number, uint64_t now);
unsigned cover_park(struct worker *w);
/* cover_show.c: for the telemetry. */
int cover_show(const struct betanet *b, const char *params, struct rte_tel_data *d);
int cover_show_loops(const struct betanet *b, const char *params, struct rte_tel_data *d);

/* telemetry.c: the pipeline that the telemetry socket shows; NULL for none. */
void telemetry_attach(struct betanet *b);
int telemetry_register(struct error *err);
struct telemetry_row {
	const char *name;
	uint64_t value;
};
/* Into a dictionary: numbers, and an array of BETANET_HISTOGRAM_BUCKETS. 0 or what rte_tel said. */
int telemetry_add_rows(struct rte_tel_data *d, const struct telemetry_row *rows, unsigned n);
int telemetry_add_histogram(struct rte_tel_data *d, const char *name, const uint64_t *bucket);

#endif
