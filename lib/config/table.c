/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/keys.h"

#include <stddef.h>
#include <string.h>

static const char *const node_types[] = {"entry", "middle", "exit", NULL};
static const char *const idle_modes[] = {"spin", "pause", "sleep", NULL};
static const char *const delay_modes[] = {"vrf", "sender", "sum", "none", NULL};
static const char *const suites[] = {"tai", "ell2", NULL};
static const char *const shaping_modes[] = {"off", "rate", "constant", "poisson", NULL};
static const char *const senders[] = {"auto", "all", "relays", NULL};
static const char *const simd_bits[] = {"0", "128", "256", "512", NULL};

#define MEMBER(group, member)                                                                      \
	.section = #group, .name = #member, .offset = offsetof(struct config, group.member),       \
	.size = sizeof(((struct config *)0)->group.member)
#define PORT_MEMBER(member)                                                                        \
	.section = "ports", .name = #member, .offset = offsetof(struct config_port, member),       \
	.size = sizeof(((struct config_port *)0)->member)
#define PORT_ADDRESS(member, family)                                                               \
	.section = "ports", .name = #member, .offset = offsetof(struct config_port, member),       \
	.size = family

const struct key_section config_sections[] = {
	{"node", "who this relay is", 0},
	{"keys", "its secret keys", 0},
	{"directory", "the network that it belongs to", 0},
	{"ports", "one group for each DPDK port", 1},
	{"pipeline", "workers and buffers", 0},
	{"performance", "what it is sized for", 0},
	{"sphinx", "the network's packet format", 0},
	{"vrf", "verifiable delays", 0},
	{"rate_limiting", "shaping of what is sent, limits of what is taken", 0},
	{"cover_traffic", "packets that carry nothing", 0},
	{"replay", "memory of the packets seen", 0},
};
const unsigned config_section_count = sizeof(config_sections) / sizeof(config_sections[0]);

/* clang-format off */
const struct key config_keys[] = {
	{MEMBER(node, name), .kind = KEY_NAME, .flags = KEY_REQUIRED,
		.text = "this relay's name in the directory"},
	{MEMBER(node, type), .kind = KEY_WORD, .flags = KEY_REQUIRED, .words = node_types,
		.text = "the relay's role: layer 1, a layer between, or the last one, which delivers"},
	{MEMBER(node, port), .kind = KEY_UINT, .flags = KEY_REQUIRED, .min = 1, .max = 65535,
		.text = "UDP port of the relay, on all its addresses"},
	{MEMBER(node, exit_allow), .kind = KEY_PREFIXES, .otherwise = "required with type \"exit\"",
		.text = "prefixes to which an exit delivers; [ ] delivers nothing"},

	{MEMBER(keys, sphinx_key_file), .kind = KEY_TEXT, .flags = KEY_REQUIRED,
		.text = "file with the X25519 secret, as betanet-keytool keygen writes it"},

	{MEMBER(keys, vrf_key_file), .kind = KEY_TEXT, .otherwise = "required with vrf.mode \"vrf\" and \"sum\"",
		.text = "file with the VRF's Ed25519 seed, never the identity's"},
	{MEMBER(keys, identity_key_file), .kind = KEY_TEXT, .otherwise = "required with vrf.publish_dir",
		.text = "file with the identity's Ed25519 seed, which signs what is published"},

	{MEMBER(directory, file), .kind = KEY_TEXT, .flags = KEY_REQUIRED,
		.text = "the signed directory"},
	{MEMBER(directory, authority), .kind = KEY_HEX32, .flags = KEY_REQUIRED,
		.text = "Ed25519 public key of the directory's authority"},

	{PORT_MEMBER(device), .kind = KEY_TEXT, .flags = KEY_REQUIRED,
		.text = "name of the DPDK port, such as \"0000:01:00.0\" or \"net_memif0\""},
	{PORT_ADDRESS(ipv4, 4), .kind = KEY_ADDRESS, .otherwise = "no IPv4",
		.text = "own IPv4 address and the length of its on-link prefix"},
	{PORT_ADDRESS(ipv6, 6), .kind = KEY_ADDRESS, .otherwise = "no IPv6",
		.text = "own IPv6 address and the length of its on-link prefix"},
	{PORT_ADDRESS(gateway4, 4), .kind = KEY_GATEWAY, .otherwise = "only on-link addresses are reached",
		.text = "IPv4 router on the link"},
	{PORT_ADDRESS(gateway6, 6), .kind = KEY_GATEWAY, .otherwise = "only on-link addresses are reached",
		.text = "IPv6 router on the link"},
	{PORT_MEMBER(mtu), .kind = KEY_UINT, .min = 1280, .max = 9600, .preset = "1500", .unit = "bytes",
		.text = "largest IP packet on the link"},
	{PORT_MEMBER(rx_queues), .kind = KEY_UINT, .min = 1, .max = CONFIG_MAX_WORKERS,
		.otherwise = "as many as pipeline.workers",
		.text = "RX queues, spread over the workers by RSS"},
	{PORT_MEMBER(rx_descriptors), .kind = KEY_UINT, .min = 64, .max = 8192, .preset = "1024",
		.text = "length of one RX queue"},
	{PORT_MEMBER(tx_descriptors), .kind = KEY_UINT, .min = 64, .max = 8192, .preset = "1024",
		.text = "length of one TX queue"},

	{MEMBER(pipeline, workers), .kind = KEY_UINT, .min = 1, .max = CONFIG_MAX_WORKERS, .preset = "1",
		.text = "worker lcores"},
	{MEMBER(pipeline, batch_size), .kind = KEY_UINT, .min = 1, .max = 128, .preset = "128",
		.unit = "packets", .text = "largest burst through the stages"},
	{MEMBER(pipeline, pool_size), .kind = KEY_UINT, .min = 0, .max = 1 << 30, .preset = "0",
		.unit = "mbufs", .text = "packet buffers; 0: computed from rate, delay and queues"},
	{MEMBER(pipeline, max_queue_depth), .kind = KEY_UINT, .min = 1, .max = 1 << 20, .preset = "10000",
		.unit = "packets", .text = "longest shaping queue"},
	{MEMBER(pipeline, idle), .kind = KEY_WORD, .words = idle_modes, .preset = "\"spin\"",
		.text = "what a worker without work does"},
	{MEMBER(pipeline, tick_us), .kind = KEY_UINT, .min = 100, .max = 250, .preset = "200",
		.unit = "us", .text = "tick of the timer wheel"},
	{MEMBER(pipeline, drain_ms), .kind = KEY_UINT, .min = 0, .max = 60000, .preset = "12000",
		.unit = "ms", .text = "how long a shutdown waits for parked packets"},
	{MEMBER(pipeline, max_simd_bits), .kind = KEY_UINT, .min = 0, .max = 512, .words = simd_bits,
		.preset = "0", .unit = "bits", .text = "widest vector unit to use; 0: no limit"},

	{MEMBER(performance, target_throughput_pps), .kind = KEY_UINT, .min = 1, .max = 100000000,
		.preset = "25000", .unit = "packets/s", .text = "rate that pool and replay table are sized for"},
	{MEMBER(performance, max_avg_latency_ms), .kind = KEY_REAL, .min = 0.001, .max = 1000,
		.preset = "1.0", .unit = "ms",
		.text = "mean processing time, without the mixing delay, beyond which the relay warns"},

	{MEMBER(sphinx, payload_size), .kind = KEY_UINT, .min = SPHINX_PAYLOAD_MIN, .max = 8192,
		.preset = "1024", .unit = "bytes", .text = "payload of every packet of the network"},
	{MEMBER(sphinx, num_hops), .kind = KEY_UINT, .min = 1, .max = SPHINX_MAX_HOPS, .preset = "3",
		.text = "layers of the network"},
	{MEMBER(sphinx, mean_delay_ms), .kind = KEY_REAL, .min = 0.1, .max = 10000, .preset = "50.0",
		.unit = "ms", .text = "expected mean of the senders' delays, for the pool"},

	{MEMBER(vrf, mode), .kind = KEY_WORD, .words = delay_modes, .preset = "\"vrf\"",
		.text = "whose delay applies: the relay's own, the sender's, their sum, or none (labs only)"},
	{MEMBER(vrf, epoch_seconds), .kind = KEY_UINT, .min = 1, .max = 60, .preset = "10", .unit = "s",
		.text = "length of an epoch, for which one proof is made"},
	{MEMBER(vrf, delay_variance_ms), .kind = KEY_REAL, .min = 0.1, .max = 10000, .preset = "50.0",
		.unit = "ms", .text = "standard deviation of the relay's delays, which is their mean, too"},
	{MEMBER(vrf, suite), .kind = KEY_WORD, .words = suites, .preset = "\"tai\"",
		.text = "ECVRF suite of RFC 9381 over edwards25519"},
	{MEMBER(vrf, beacon_file), .kind = KEY_TEXT, .otherwise = "the beacon comes from the directory",
		.text = "file with a public random value, such as a drand round: \"ROUND SECONDS 64HEX\""},
	{MEMBER(vrf, beacon_max_age_s), .kind = KEY_UINT, .min = 10, .max = 604800, .preset = "3600",
		.unit = "s", .text = "older values of beacon_file are replaced by the directory's, and reported"},
	{MEMBER(vrf, publish_dir), .kind = KEY_TEXT, .otherwise = "nothing is published",
		.text = "folder for the audit records of past epochs, for any web server"},
	{MEMBER(vrf, publish_one_in), .kind = KEY_UINT, .min = 1, .max = 1000000, .preset = "1",
		.unit = "epochs", .text = "one in so many epochs is published, chosen by a later beacon"},

	{MEMBER(vrf, neighbours), .kind = KEY_BOOL, .preset = "false",
		.text = "choose the next hops of an epoch by VRF, publish the proof, refuse other hops"},
	{MEMBER(vrf, neighbour_seconds), .kind = KEY_UINT, .min = 60, .max = 86400, .preset = "3600",
		.unit = "s", .text = "length of the neighbours' epoch, the same in the whole network"},

	{MEMBER(rate_limiting, traffic_shaping_enabled), .kind = KEY_BOOL, .preset = "false",
		.text = "hold what goes to other relays to max_rate_pps"},
	{MEMBER(rate_limiting, mode), .kind = KEY_WORD, .words = shaping_modes, .preset = "\"rate\"",
		.text = "how: token bucket, a slot at constant or at exponential gaps; the last two fill empty slots with cover"},
	{MEMBER(rate_limiting, max_rate_pps), .kind = KEY_UINT, .flags = KEY_UNSET_0, .min = 1,
		.max = 100000000, .otherwise = "required with traffic_shaping_enabled", .unit = "packets/s",
		.text = "rate of each link: of its tokens or of its slots"},
	{MEMBER(rate_limiting, burst_size), .kind = KEY_UINT, .min = 1, .max = 65536, .preset = "128",
		.unit = "packets", .text = "depth of the token bucket of mode \"rate\""},
	{MEMBER(rate_limiting, senders), .kind = KEY_WORD, .words = senders, .preset = "\"auto\"",
		.text = "who may send to us: everyone, relays of the directory, or by our layer: everyone in layer 1"},
	{MEMBER(rate_limiting, source_pps), .kind = KEY_UINT, .min = 1, .max = 100000000,
		.preset = "2500", .unit = "packets/s",
		.text = "taken from one IPv4 address or IPv6 /56 that is no relay"},
	{MEMBER(rate_limiting, source_burst), .kind = KEY_UINT, .min = 1, .max = 65536, .preset = "256",
		.unit = "packets", .text = "of it at once"},
	{MEMBER(rate_limiting, peer_pps), .kind = KEY_UINT, .min = 0, .max = 100000000,
		.otherwise = "performance.target_throughput_pps", .unit = "packets/s",
		.text = "taken from one address of a relay; 0 as without it"},
	{MEMBER(rate_limiting, peer_burst), .kind = KEY_UINT, .min = 1, .max = 65536, .preset = "1024",
		.unit = "packets", .text = "of it at once"},
	{MEMBER(rate_limiting, global_pps), .kind = KEY_UINT, .min = 0, .max = 100000000, .preset = "0",
		.unit = "packets/s",
		.text = "taken from all together; 0: nine tenths of what the workers unwrap, measured at start"},

	{MEMBER(cover_traffic, enabled), .kind = KEY_BOOL, .preset = "true",
		.text = "send loops through the network, and fill empty slots"},
	{MEMBER(cover_traffic, generation_rate_pps), .kind = KEY_REAL, .min = 0.01, .max = 100000,
		.preset = "2.0", .unit = "packets/s", .text = "loops back to this relay, at exponential gaps"},
	{MEMBER(cover_traffic, packet_size_range), .kind = KEY_RANGE, .min = 381, .max = 8540,
		.otherwise = "every size is fine", .unit = "bytes",
		.text = "allowed sizes of the network's one Sphinx packet, sphinx.payload_size + 348"},

	{MEMBER(replay, capacity), .kind = KEY_UINT, .min = 0, .max = 17179869184.0,
		.otherwise = "performance.target_throughput_pps times 1200 s", .unit = "tags",
		.text = "packets that the replay table remembers, 1024 or more; 0 as without it; full, it refuses all"},
	{MEMBER(replay, file), .kind = KEY_TEXT,
		.otherwise = "keys.sphinx_key_file with \".replay\" behind",
		.text = "file of the replay table, which outlives a restart; \"none\": memory only"},
};
/* clang-format on */
const unsigned config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

const struct key *key_find(const char *section, const char *name)
{
	for (unsigned i = 0; i < config_key_count; i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
			strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

static void list_words(char *out, size_t size, const struct key *k)
{
	const char *quote = k->kind == KEY_WORD ? "\"" : "";
	size_t at = 0;

	for (unsigned i = 0; k->words[i] && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s%s%s",
			i == 0 ? "" : (k->words[i + 1] ? ", " : " or "), quote, k->words[i], quote);
}

const char *key_allowed(char out[KEY_ALLOWED_MAX], const struct key *k)
{
	static const char *const fixed[] = {
		[KEY_BOOL] = "true or false",
		[KEY_HEX32] = "a string of 64 hexadecimal digits",
		[KEY_PREFIXES] = "an array of at most 64 prefixes such as \"198.51.100.0/24\"",
	};
	const char *unit = k->unit ? k->unit : "", *space = k->unit ? " " : "";

	if (k->words)
		list_words(out, KEY_ALLOWED_MAX, k);
	else if (k->kind == KEY_UINT)
		snprintf(out, KEY_ALLOWED_MAX, "an integer, %.0f..%.0f%s%s", k->min, k->max, space,
			unit);
	else if (k->kind == KEY_REAL)
		snprintf(out, KEY_ALLOWED_MAX, "a number, %g..%g%s%s", k->min, k->max, space, unit);
	else if (k->kind == KEY_TEXT)
		snprintf(out, KEY_ALLOWED_MAX, "a string of 1..%u characters", k->size - 1);
	else if (k->kind == KEY_NAME)
		snprintf(out, KEY_ALLOWED_MAX, "a string of 1..%u characters of A-Z a-z 0-9 . _ -",
			k->size - 1);
	else if (k->kind == KEY_ADDRESS)
		snprintf(out, KEY_ALLOWED_MAX, "%s",
			k->size == 4 ? "an IPv4 address and prefix length such as \"192.0.2.1/24\""
				     : "an IPv6 address and prefix length such as "
				       "\"2001:db8::1/64\"");
	else if (k->kind == KEY_GATEWAY)
		snprintf(out, KEY_ALLOWED_MAX, "%s",
			k->size == 4 ? "an IPv4 address such as \"192.0.2.254\""
				     : "an IPv6 address such as \"2001:db8::fe\"");
	else if (k->kind == KEY_RANGE)
		snprintf(out, KEY_ALLOWED_MAX,
			"an array of the smallest and the largest, %.0f..%.0f%s%s, such as "
			"[ 1024, 1500 ]",
			k->min, k->max, space, unit);
	else
		snprintf(out, KEY_ALLOWED_MAX, "%s", fixed[k->kind]);
	return out;
}
