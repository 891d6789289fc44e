/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CONFIG_CONFIG_H
#define BETANET_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "core/error.h"
#include "sphinx/address.h"
#include "vrf/delay.h"

/*
 * The relay's libconfig file as one validated struct. Every key is described once, in table.c
 * (type, range, default, unit, text); loading, the messages, `--check-config` and the documentation
 * read that table. Unknown keys, wrong types and values out of range are errors with file, line,
 * value and what is allowed. A key or section whose feature this version lacks is refused with that
 * reason. app/mixnode/example.conf shows every key.
 *
 * Stricter than libconfig: no @include (one file, so that a line number says where), no hexadecimal
 * numbers (libconfig 1.5 cuts them to 32 bits), no string or comment without an end.
 */
enum {
	CONFIG_MAX_PORTS = 16,
	CONFIG_MAX_EXIT_ALLOW = 64,
	CONFIG_MAX_WORKERS = 64,
	CONFIG_STR = 256,
};

enum node_type { NODE_ENTRY, NODE_MIDDLE, NODE_EXIT };
enum idle_mode { IDLE_SPIN, IDLE_PAUSE, IDLE_SLEEP };
enum shaping_mode { SHAPING_OFF, SHAPING_RATE, SHAPING_CONSTANT, SHAPING_POISSON };
/* Who may send to the relay: AUTO is everyone in layer 1 and relays of the directory behind it. */
enum sender_policy { SENDERS_AUTO, SENDERS_ALL, SENDERS_RELAYS };

/*
 * One DPDK port and the IP it answers for; in the file one group of the list `ports`:
 *   { device = "net_memif0"; ipv4 = "192.0.2.1/24"; gateway4 = "192.0.2.254"; mtu = 1500; }
 * with the keys device, ipv4, ipv6, gateway4, gateway6, mtu, rx_queues, rx_descriptors and
 * tx_descriptors. Every mtu takes a whole packet of sphinx.payload_size; a gateway is on the link.
 */
struct config_port {
	char device[CONFIG_STR]; /* ethdev name: "0000:01:00.0", "net_memif0" */
	bool has_ipv4, has_ipv6;
	struct cidr net4, net6;             /* on-link prefixes */
	struct endpoint ipv4, ipv6;         /* own addresses, port 0 */
	struct endpoint gateway4, gateway6; /* family 0: none */
	unsigned mtu;                       /* bytes of IP, 1280..9600, default 1500 */
	unsigned rx_queues; /* 1..CONFIG_MAX_WORKERS, default: the number of workers */
	unsigned rx_descriptors, tx_descriptors; /* 64..8192, default 1024 */
};

struct config {
	struct {
		char name[64]; /* as in the directory */
		enum node_type type;
		uint16_t port; /* UDP, 1..65535 */
		struct cidr exit_allow[CONFIG_MAX_EXIT_ALLOW];
		unsigned exit_allow_count; /* type "exit" must have the list, others must not */
	} node;
	struct {
		char sphinx_key_file[CONFIG_STR]; /* X25519 secret, as betanet-keytool writes it */
		char vrf_key_file[CONFIG_STR];    /* Ed25519 seed of its own; needed with vrf.mode
						     \"vrf\" and \"sum\" */
		char identity_key_file[CONFIG_STR]; /* Ed25519 seed; needed with vrf.publish_dir */
	} keys;
	struct {
		char file[CONFIG_STR];
		uint8_t authority[32]; /* Ed25519 public key, 64 hex digits in the file */
	} directory;
	struct config_port ports[CONFIG_MAX_PORTS];
	unsigned port_count; /* >= 1 */
	struct {
		unsigned workers;         /* 1..CONFIG_MAX_WORKERS, default 1 */
		unsigned batch_size;      /* 1..128, default 128 */
		uint32_t pool_size;       /* mbufs; 0 or absent: computed */
		unsigned max_queue_depth; /* packets in one shaping queue, 1..1048576, default 10000
					   */
		enum idle_mode idle;      /* "spin" (default), "pause", "sleep" */
		unsigned tick_us;         /* wheel tick, 100..250, default 200 */
		unsigned drain_ms;        /* shutdown deadline, 0..60000, default 12000 */
		unsigned max_simd_bits;   /* 0 (no limit, default), 128, 256, 512 */
	} pipeline;
	struct {
		unsigned target_throughput_pps; /* 1..100000000, default 25000: sizes pool and
						   replay table */
		double max_avg_latency_ms; /* 0.001..1000, default 1.0: mean processing latency;
					      beyond it the relay warns */
	} performance;
	struct {
		unsigned payload_size; /* 33..8192 */
		unsigned num_hops;     /* 1..5, default 3; the directory must have as many layers */
		double mean_delay_ms;  /* 0.1..10000, default 50: expected mean of the senders'
					  delays, for the pool */
	} sphinx;
	struct {
		enum delay_mode mode;         /* "vrf" (default), "sender", "sum", "none" */
		unsigned epoch_seconds;       /* 1..60, default 10 */
		double delay_variance_ms;     /* 0.1..10000, default 50: standard deviation of the
						 delays, which for an     exponential law is their mean
					       */
		unsigned suite;               /* 0 "tai" (default), 1 "ell2": RFC 9381 */
		char beacon_file[CONFIG_STR]; /* "<round> <seconds> <64 hex>"; "": the directory's
						 beacon */
		unsigned beacon_max_age_s;    /* 10..604800, default 3600 */
		char publish_dir[CONFIG_STR]; /* audit records; "": none are published */
		bool neighbours; /* default false: prove, publish and keep to the set of next hops
				  */
		unsigned neighbour_seconds; /* 60..86400, default 3600; the same in the whole
					       network */
		unsigned publish_one_in;    /* 1..1000000, default 1: sampled by a later beacon */
	} vrf;
	struct {
		bool traffic_shaping_enabled; /* default false: mode off */
		enum shaping_mode mode;       /* "off", "rate" (default), "constant", "poisson" */
		uint64_t max_rate_pps;      /* 1..100000000: rate of each link: of its token bucket,
					       or of its slots; 0 when absent, never with shaping
					       enabled */
		uint32_t burst_size;        /* 1..65536, default 128: bucket depth in packets */
		enum sender_policy senders; /* "auto" (default), "all", "relays" */
		uint64_t source_pps;        /* 1..100000000, default 2500: from one /32 or /56 */
		uint32_t source_burst;      /* 1..65536, default 256 packets */
		uint64_t peer_pps;          /* 1..100000000; 0 or absent in the file is loaded as
					       target_throughput_pps */
		uint32_t peer_burst;        /* 1..65536, default 1024 packets */
		uint64_t global_pps; /* 0 (default): 90 % of the measured capacity; 1..100000000 */
	} rate_limiting;
	struct {
		uint64_t capacity;     /* tags, 1024..2^34; 0 or absent in the file is loaded as
					  target_throughput_pps times 1200 s */
		char file[CONFIG_STR]; /* default: keys.sphinx_key_file with ".replay" behind;
					  "none": memory only */
	} replay;
	struct {
		bool enabled;               /* default true */
		double generation_rate_pps; /* 0.01..100000, default 2: loop packets per second */
		uint32_t packet_size_range[2]; /* bytes, smallest and largest; must contain the size
						  of a Sphinx packet, payload_size + 348; 0 0 when
						  absent */
	} cover_traffic;
};

/* 0; -EINVAL with `err` set (file:line, setting, value, allowed); or a file error. */
int config_load(const char *path, struct config *out, struct error *err);
int config_parse(const char *name, const char *text, struct config *out, struct error *err);

/* The effective config in libconfig's syntax: loading what it printed gives the same struct. */
void config_print(const struct config *c, FILE *out);

/* All keys with type, range, default and text, for `--help-config` and the documentation. */
void config_describe(FILE *out);

#endif
