/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_H
#define BETANET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The public API of libbetanet: a Sphinx mix as a pipeline that a program embeds, with or without a
 * NIC.
 *
 *     rte_eal_init                     the program's; workers + 1 lcores
 *     betanet_create                   pool, wheels, replay table, keys
 *     betanet_port_add …               optional: DPDK ports that workers poll
 *     betanet_directory_set            optional without ports: then any next hop is accepted
 *     betanet_start                    workers run
 *       betanet_submit, betanet_collect, betanet_poll, betanet_stats_get
 *     betanet_stop, betanet_destroy
 *
 * All calls but betanet_stats_get come from one thread, the control lcore (EAL's main lcore);
 * betanet_stats_get may come from any. Functions return 0 or a negative errno; where there is an
 * `err`, it then holds a message for a person (may be NULL). Only one pipeline exists in a process
 * at a time: its telemetry has fixed names.
 */

#define BETANET_ERROR_MAX 512
enum {
	BETANET_MAX_WORKERS = 64,
	BETANET_MAX_BATCH = 128,
	BETANET_MAX_PORTS = 16,
	BETANET_ADDRESS_SIZE = 32,
	BETANET_IDENTIFIER_SIZE = 16,
	BETANET_HISTOGRAM_BUCKETS = 40,
};

struct betanet;

enum betanet_role {
	BETANET_ENTRY,
	BETANET_MIDDLE,
	BETANET_EXIT, /* the only role that delivers final packets; each consumes those for itself
		       */
};

/* What a worker does when nothing is due. Sleep is for labs that share cores: it costs up to a
 * wheel tick. */
enum betanet_idle {
	BETANET_IDLE_SPIN,
	BETANET_IDLE_PAUSE,
	BETANET_IDLE_SLEEP,
};

/* Whose delay applies to a packet (vrf.md). */
enum betanet_delay {
	BETANET_DELAY_VRF,    /* the relay's own: exponential, from the epoch's VRF output */
	BETANET_DELAY_SENDER, /* the one in the header, 1 ms to 10 s; a final packet has none */
	BETANET_DELAY_SUM,    /* both */
	BETANET_DELAY_NONE,   /* none: labs only */
};

/*
 * How packets to other relays leave (mixing.md, "Shaping rings"). With BETANET_SHAPING_CONSTANT and
 * _POISSON each link has slots, and every slot sends: a waiting packet, else a cover packet, so
 * that the wire does not show the load. They need `cover` and a directory.
 *
 * A slot is late by a microsecond or two, idle or busy, while a worker that spins has its core; by
 * up to a burst of 16 packets where a worker's slots stand closer than twice what 8 packets cost
 * it. One that is later than a millisecond and than 1/max_rate_pps is passed over and counted.
 */
enum betanet_shaping {
	BETANET_SHAPING_OFF,      /* at once */
	BETANET_SHAPING_RATE,     /* token bucket of max_rate_pps and burst_size */
	BETANET_SHAPING_CONSTANT, /* a slot every 1/max_rate_pps */
	BETANET_SHAPING_POISSON,  /* slots at exponential gaps of mean 1/max_rate_pps */
};

#define BETANET_GLOBAL_AUTO UINT64_MAX

/*
 * Limits of what ports take, before any curve arithmetic (GCRA, ITU-T I.371). Packets per second
 * and packets at once; a rate of 0 is no limit. What exceeds them is dropped as unknown_source,
 * source_limit, peer_limit or global_limit. A relay is a sender whose address and UDP port are in
 * the directory; of the global limit relays have first call.
 *
 * Submitted packets have no sender: for them only the global limit holds, as back-pressure. They
 * wait in the submit queue, and betanet_submit takes fewer; none is dropped for it.
 */
struct betanet_limits {
	bool strangers;                /* whether others than relays of the directory may send */
	uint64_t source_pps, peer_pps; /* of one stranger (IPv4 address, IPv6 /56); of one relay */
	uint32_t source_burst, peer_burst; /* 1..65536 */
	uint64_t global_pps; /* of all; BETANET_GLOBAL_AUTO: nine tenths of what was measured */
};

/* An address prefix; family 4 or 6, address in network byte order. */
struct betanet_prefix {
	uint8_t family, bits;
	uint8_t ip[16];
};

struct betanet_config {
	enum betanet_role role;
	unsigned workers;      /* 1..BETANET_MAX_WORKERS */
	unsigned batch_size;   /* packets in a burst, 1..BETANET_MAX_BATCH */
	uint32_t pool_size;    /* mbufs; 0: computed (betanet_describe_pool) */
	uint32_t queue_depth;  /* packets in one shaping queue, in the submit and collect queues */
	unsigned payload_size; /* bytes, 33..8192: the network's one packet size less 348 */
	enum betanet_idle idle;
	unsigned tick_us;          /* wheel tick, 100..250 */
	unsigned max_simd_bits;    /* 0: no limit; 128, 256, 512 */
	uint8_t sphinx_secret[32]; /* X25519 secret; copied to locked memory by betanet_create,
				      which wipes it here */
	enum betanet_shaping shaping;
	uint64_t max_rate_pps; /* of each link: 1..100000000, unless shaping is off */
	uint32_t burst_size;   /* 1..65536 */
	struct betanet_limits limits;
	/*
	 * Cover traffic: loops back to ourselves and, with slots, packets that fill empty ones. It
	 * needs a directory that lists our Sphinx key. The delays asked for in its headers have the
	 * mean mean_delay_ms, in mode sum less vrf_mean_ms. With betanet_neighbours_set nothing is
	 * led through a layer of more than 64 nodes but to our own neighbours, for the other
	 * nodes' sets are not known here.
	 */
	bool cover;
	double loop_rate_pps; /* 0.01..100000; Poisson */
	/* delays; with BETANET_DELAY_VRF and _SUM all of the rest is needed */
	enum betanet_delay delay_mode;
	double vrf_mean_ms;     /* 0.1..10000: mean, and so standard deviation, of the law */
	unsigned epoch_seconds; /* 1..60: a proof is made for each epoch, ahead of it */
	unsigned vrf_suite;     /* 3 (TAI) or 4 (ELL2): RFC 9381 */
	uint8_t vrf_seed[32];   /* copied to locked memory and wiped here by betanet_create */
	uint8_t network_id[32]; /* of the directory */
	uint8_t node_id[32];    /* Ed25519 identity key */
	bool beacon_wanted;     /* betanet_beacon_set will be called; else the directory's beacon */
	unsigned beacon_max_age_s;
	/* what the pool and the replay table are sized for */
	unsigned target_pps;
	double mean_delay_ms;
	uint64_t replay_capacity; /* tags; 0: target_pps for 1200 s */
	const char *replay_file;  /* NULL: memory only: packets sent before a restart are accepted
				     again after it */
	uint16_t udp_port;        /* of the ports' addresses; 0 without ports */
	const struct betanet_prefix
		*exit_allow; /* BETANET_EXIT with ports: where messages may go */
	unsigned exit_allow_count;
	const char *name; /* for telemetry and messages */
};

/* A DPDK port and the IP addresses that it answers for (ARP, ND, ICMP echo). */
struct betanet_port {
	const char *device; /* ethdev name */
	bool has_ipv4, has_ipv6;
	uint8_t ipv4[4], ipv6[16];
	unsigned bits4, bits6; /* on-link prefix lengths */
	bool has_gateway4, has_gateway6;
	uint8_t gateway4[4], gateway6[16];
	unsigned mtu, rx_queues, rx_descriptors, tx_descriptors;
};

/* Defaults of everything that has one; the caller sets role, sphinx_secret, and what it wants
 * otherwise. */
void betanet_config_init(struct betanet_config *c);

/* -EINVAL (a setting out of range), -ENOMEM, -EEXIST (a second pipeline), -ENOTSUP (CPU), or an
 * error of the replay file (replay.h). config->sphinx_secret is wiped in every case; strings are
 * copied. */
int betanet_create(
	struct betanet_config *config, struct betanet **out, char err[BETANET_ERROR_MAX]);

/* Before betanet_start, which sets the device up. -EBUSY (started), -ENOSPC (too many). Strings are
 * copied. */
int betanet_port_add(
	struct betanet *b, const struct betanet_port *port, char err[BETANET_ERROR_MAX]);

/*
 * Loads or replaces the signed directory, also while workers run: they see the new one between two
 * bursts. On an error (see directory.h) the old one stays. `now`: seconds since 1970.
 */
int betanet_directory_set(struct betanet *b, const char *path, const uint8_t authority[32],
	uint64_t now, char err[BETANET_ERROR_MAX]);

/* -EINVAL (pool_size below what settings and ports need; the message has the number), -ENODEV (no
 * such port; the message lists those there are), -ENOSPC (fewer than workers + 1 lcores), -ENOMEM,
 * or what a driver said. */
int betanet_start(struct betanet *b, char err[BETANET_ERROR_MAX]);

/*
 * Hands `n` Sphinx packets of 348 + payload_size bytes each to the workers. Returns how many were
 * taken, from the front; fewer than n is back-pressure: the queue or the pool is full, because the
 * workers are busy, max_rate_pps holds packets back, or nobody collects; try again later. What was
 * taken is not lost to a full queue (but for links, whose queues are per link). Bytes
 * are copied.
 */
unsigned betanet_submit(struct betanet *b, const uint8_t *const packets[], unsigned n);

/* A processed packet of a pipeline without ports. */
struct betanet_output {
	bool final; /* false: `data` is the packet for the next hop; true: the recovered message */
	uint8_t address[BETANET_ADDRESS_SIZE];       /* next hop or destination, as in the packet */
	uint8_t identifier[BETANET_IDENTIFIER_SIZE]; /* final only */
	uint64_t delay_ns;                           /* how long it was deliberately held */
	uint8_t *data; /* in: the caller's buffer of `capacity` >= 348 + payload_size bytes */
	uint32_t capacity, len;
};

/* Takes up to n processed packets, in the order in which they left the wheels. Returns how many.
 * -EINVAL when a buffer is too small (nothing is taken then). */
int betanet_collect(struct betanet *b, struct betanet_output out[], unsigned n);

/* The control lcore's work: ARP, ND, ICMP, neighbours, expiry of the directory, retired snapshots.
 * Call it at least every 10 ms while workers run. Returns how many things it did. */
unsigned betanet_poll(struct betanet *b);

/*
 * The content of the beacon file ("<round> <seconds since 1970> <64 hex>\n"), or NULL when it
 * cannot be read: then, as with one that is too old, the directory's beacon is used and shown as a
 * fallback. -EINVAL with a message when the text is malformed (it counts as missing).
 */
int betanet_beacon_set(struct betanet *b, const char *text, char err[BETANET_ERROR_MAX]);

/* An epoch that is over; what its audit record is made of (vrf/epoch_record.h). */
struct betanet_epoch {
	uint64_t epoch, key_period;
	uint8_t vrf_public[32], beacon[32];
	int beacon_source; /* enum beacon_source of vrf/scope.h */
	bool proved;
	uint64_t packets; /* delayed in it, about */
};

/* The oldest epoch that ended and was not taken yet. False when there is none. At most 64 wait. */
bool betanet_epoch_take(struct betanet *b, struct betanet_epoch *e);

/*
 * The only nodes of the directory (by index, a bit each) that packets are forwarded to; NULL: all.
 * Bound to the directory of that hash: with another one in force nothing is forwarded until a set
 * for it is given. -ESTALE when `directory_hash` is not that of the present directory.
 */
int betanet_neighbours_set(
	struct betanet *b, const uint8_t directory_hash[32], const uint64_t *bits, size_t words);

/*
 * A change in what our loops tell (mix/loop_health.h): of a relay of the directory, which is "ok",
 * "lost", "lossy", "early", "late" or several of these; or of our own links: "ok",
 * "n_minus_1", "outage". Traffic goes on: it is for people to act.
 */
struct betanet_alarm {
	char node[64]; /* its name in the directory; "": ourselves */
	char before[40], now[40];
};

/* The next change that was not taken yet, of whatever is worth saying now: what came and went in
 * between is passed over. False when there is none. */
bool betanet_alarm_take(struct betanet *b, struct betanet_alarm *a);

struct betanet_stats {
	uint64_t rx, rx_bytes;         /* frames received and packets submitted */
	uint64_t processed;            /* unwrapped, not replayed */
	uint64_t forwarded, delivered; /* sent to a next hop; handed to a destination */
	uint64_t tx, tx_bytes;         /* frames sent and packets collected */
	uint64_t control;              /* ARP, ND and ICMP frames */
	uint64_t dropped;              /* sum of drops[] */
	uint64_t drops[64]; /* by reason: betanet_drop_name(i), 1 <= i < betanet_drop_count() */
	uint64_t rx_missed, rx_no_buffer; /* counted by the ports: ring full, pool empty */
	uint64_t parked;                  /* in the wheels now */
	uint64_t queued;                  /* in the shaping queues now */
	double mean_processing_ns; /* arrival to wheel, plus due time to TX: without the deliberate
				      delay and without the next */
	double mean_shaping_ns;    /* what packets waited for their token or slot */
	double mean_batch;         /* packets per burst */
	double throughput_pps;     /* processed, over the time since start */
	double uptime_s;
	/* how late packets left the wheel: lateness[i] counts those below 2^i ns and not below
	 * 2^(i-1) */
	uint64_t lateness[BETANET_HISTOGRAM_BUCKETS];
	uint64_t pool_size, pool_free;
	/* buffers asked for, and those of them that an lcore's own cache could not give: the hit
	 * rate is 1 - misses / requests */
	uint64_t pool_requests, pool_misses;
	/* shaping by slots: those that came; what they sent; sent nothing; were passed over after a
	 * stall. slots = real + cover + empty */
	uint64_t slots, slots_real, slots_cover, slots_empty, slots_skipped;
	uint64_t slot_lateness[BETANET_HISTOGRAM_BUCKETS]; /* as lateness: behind the slot's time */
	/* cover: loops of ours; packets for ourselves that were no loop of ours */
	uint64_t loops_sent, loops_returned, loops_lost, cover_received;
	uint64_t global_limit_pps; /* in force, over all workers; 0: none */
	uint64_t replay_tags, replay_capacity;
	/* VRF: epochs with a proof, epochs that began without one, times without any key, clock
	 * steps */
	uint64_t epochs_proved, epochs_unproved, epoch_gaps, clock_steps;
	uint64_t epoch;    /* the present one */
	int beacon_source; /* enum beacon_source; 0 without VRF */
};

void betanet_stats_get(const struct betanet *b, struct betanet_stats *s);
unsigned betanet_drop_count(void);
const char *betanet_drop_name(unsigned reason);

/* What a stop left. */
struct betanet_stop_report {
	uint64_t flushed; /* left in their time while the wheels drained */
	uint64_t dropped; /* still parked or queued at the deadline */
	double seconds;
	uint32_t pool_size, pool_free;
	uint32_t pool_kept; /* kept for ever by drivers that give nothing back when they are closed
			       (net_af_xdp of DPDK 22.11: its fill rings). Size = free + kept, or
			       mbufs were lost */
};

/*
 * Stops reception, lets parked packets leave in their time for at most `deadline_ms`, drops the
 * rest, stops workers and ports. -EIO when mbufs are missing from the pool afterwards. The report
 * may be NULL.
 */
int betanet_stop(struct betanet *b, unsigned deadline_ms, struct betanet_stop_report *report);

/* Wipes keys, closes the replay table, frees everything. NULL is fine; a running pipeline is
 * stopped first. */
void betanet_destroy(struct betanet *b);

/*
 * The pool arithmetic, term by term, as text into out[cap] (cut if too long); returns the sum in
 * mbufs. `ports`: descriptors and queues are taken from them. `links`: with shaping, the addresses
 * of the next layer's nodes in the directory, or of all others if it does not name us;
 * betanet_start counts them in the directory that is set then. Needs no EAL.
 */
uint32_t betanet_describe_pool(const struct betanet_config *c, const struct betanet_port ports[],
	unsigned n, unsigned links, char *out, size_t cap);

#endif
