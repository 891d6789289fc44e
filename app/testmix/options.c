/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include "message.h"
#include "optable.h"
#include "sphinx/frame.h"
#include "wire.h"

/* One frame of one IP packet of at most WIRE_MTU bytes: nothing here fragments. */
enum {
	MAX_PACKETS = 5000000,
	PAYLOAD_MAX =
		WIRE_MTU - WIRE_IP4_SIZE - WIRE_UDP_SIZE - (int)FRAME_SIZE - (int)SPHINX_HEADER_SIZE
};

static int add_relay(struct options *o, const char *text, struct error *err)
{
	const char *eq = strchr(text, '=');
	struct options_relay *relay = &o->relays[o->relay_count];
	size_t len = eq ? (size_t)(eq - text) : 0;

	if (len == 0 || len >= sizeof(relay->name) || !eq[1])
		return error_set(err, EINVAL,
			"--telemetry: \"%s\" is not NAME=PATH with a name of 1 to %zu characters",
			text, sizeof(relay->name) - 1);
	if (o->relay_count == OPTIONS_MAX_RELAYS)
		return error_set(err, EINVAL, "--telemetry: more than %d relays: \"%s\"",
			OPTIONS_MAX_RELAYS, text);
	memcpy(relay->name, text, len);
	relay->name[len] = 0;
	relay->socket = eq + 1;
	o->relay_count++;
	return 0;
}

static int add(void *base, const char *name, const char *text, struct error *err)
{
	struct options *o = base;

	if (strcmp(name, "telemetry") == 0)
		return add_relay(o, text, err);
	if (o->chain.hops)
		return error_set(err, EINVAL, "--chain is given twice");
	return chain_parse(&o->chain, text, err);
}

#define AT(member) offsetof(struct options, member)
#define FAULT_ROW(id, option, reason, text)                                                        \
	{option, "N", OPT_NUMBER, AT(faults[FAULT_##id]), 0, 1000000, NULL,                        \
		text "; each must be dropped as `" #reason "`"},

static const struct optable_row rows[] = {
	{"directory", "FILE", OPT_TEXT, AT(directory), 0, 0, NULL,
		"signed directory of the network"},
	{"authority", "KEY", OPT_TEXT, AT(authority), 0, 0, NULL,
		"the directory authority's Ed25519 public key: 64 hex digits or a file with them"},
	{"chain", "KEY@IP:PORT,…", OPT_LIST, 0, 0, 0, NULL,
		"instead of --directory: the relays of all packets, from entry to exit: Sphinx key "
		"(64 hex digits) and IPv4 address"},
	{"packets", "N", OPT_NUMBER, AT(packets), 1, MAX_PACKETS, NULL,
		"good packets to send (default 20000)"},
	{"duration", "S", OPT_NUMBER, AT(duration), 1, 86400, NULL,
		"instead of --packets: as many as --rate sends in S seconds"},
	{"rate", "PPS|auto", OPT_RATE, AT(rate), 1, 20000000, "auto",
		"offered packets per second; auto: half of what two threads of this "
		"machine can unwrap, divided by the hops; 100 to 10000"},
	{"arrivals", "constant|poisson", OPT_CHOICE, AT(poisson), 0, 0, "constant",
		"gaps between packets"},
	{"mean-delay-ms", "MS", OPT_REAL, AT(mean_delay_ms), 0, 500, "50",
		"mean of the exponential delay at each hop but the last, which is cut at 20 means"},
	{"hops", "N", OPT_NUMBER, AT(hops), 1, SPHINX_MAX_HOPS, "3",
		"hops of a route; with --chain its length"},
	{"sphinx-version", "V", OPT_NUMBER, AT(version), 0, UINT16_MAX, "0",
		"version of the packets; 0: 258 and 259 in turn"},
	{"payload-size", "BYTES", OPT_NUMBER, AT(payload_size), SPHINX_PAYLOAD_MIN, PAYLOAD_MAX,
		"1024", "Sphinx payload: the relays' sphinx.payload_size"},
	{"message-size", "BYTES", OPT_NUMBER, AT(message_size), 0, PAYLOAD_MAX, "0",
		"length of the messages; 0: drawn from all that fit"},
	{"tx-port", "PORT", OPT_TEXT, AT(tx_port), 0, 0, "0",
		"ethdev, by number or name, towards the entries"},
	{"rx-port", "PORT", OPT_TEXT, AT(rx_port), 0, 0, "1",
		"ethdev, by number or name, where the exits' messages arrive"},
	{"tx-address", "IP:PORT", OPT_ADDRESS, AT(tx_address), 0, 0, "10.10.0.1:40000",
		"own address on the TX port"},
	{"rx-address", "IP:PORT", OPT_ADDRESS, AT(rx_address), 0, 0, "10.10.3.1:40001",
		"own address on the RX port: the messages' destination"},
	{"gateway", "IP", OPT_GATEWAY, AT(gateway), 0, 0, NULL,
		"next hop towards the entries (default: they are on the link)"},
	{"telemetry", "NAME=PATH", OPT_LIST, 0, 0, 0, NULL,
		"a relay's DPDK telemetry socket; may be given several times"},
	{"wait", "S", OPT_NUMBER, AT(wait), 1, 600, "15",
		"seconds for links, relays and ARP to be ready"},
	{"grace", "S", OPT_NUMBER, AT(grace), 1, 600, "3",
		"seconds without an arrival, after the longest delay is over, until loss is "
		"judged"},
	{"idle", "sleep|spin", OPT_CHOICE, AT(spin), 0, 0, "sleep",
		"what the lcores do between packets"},
	{"json", "FILE", OPT_TEXT, AT(json), 0, 0, NULL, "write the results to FILE"},
	{"latencies", "FILE", OPT_TEXT, AT(latencies), 0, 0, NULL,
		"write each packet's latency to FILE: ns, a line each, in the order of sending"},
	{"hold", NULL, OPT_FLAG, AT(hold), 0, 0, NULL,
		"keep the ports up after the summary until SIGINT or SIGTERM"},
	FAULTS(FAULT_ROW){"help", NULL, OPT_FLAG, AT(help), 0, 0, NULL, "this text"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* What a table cannot say: settings that depend on each other. */
static int check_together(struct options *o, struct error *err)
{
	size_t room;

	if (o->chain.hops && (o->directory || o->authority))
		return error_set(err, EINVAL,
			"--chain and --%s exclude each other: both say which relays there are",
			o->directory ? "directory" : "authority");
	if (o->chain.hops)
		o->hops = o->chain.hops;
	else if (!o->directory || !o->authority)
		return error_set(err, EINVAL,
			"--%s is missing: packets are built for the network that it describes",
			o->directory ? "authority" : "directory");
	if (o->packets && o->duration)
		return error_set(err, EINVAL, "--packets and --duration exclude each other");
	if (o->duration && !o->rate)
		return error_set(err, EINVAL, "--duration needs a --rate other than auto");
	if (o->duration)
		o->packets = o->duration * o->rate;
	else if (!o->packets)
		o->packets = 20000;
	if (o->packets > MAX_PACKETS)
		return error_set(err, EINVAL,
			"--duration %" PRIu64 " at --rate %" PRIu64 " is more than %d packets",
			o->duration, o->rate, MAX_PACKETS);
	if (strcmp(o->tx_port, o->rx_port) == 0)
		return error_set(err, EINVAL,
			"--tx-port and --rx-port are both \"%s\": generator and sink need a port "
			"each",
			o->tx_port);
	if (sphinx_version_refused((uint16_t)o->version))
		return error_set(
			err, EINVAL, "--sphinx-version: 1 and 257 are refused by every relay");
	room = o->payload_size - SPHINX_PAYLOAD_OVERHEAD;
	if (room < MESSAGE_MIN)
		return error_set(err, EINVAL,
			"--payload-size: %" PRIu64 " leaves no room for a message of %d bytes: at "
			"least %d",
			o->payload_size, MESSAGE_MIN, SPHINX_PAYLOAD_OVERHEAD + MESSAGE_MIN);
	if (o->message_size && (o->message_size < MESSAGE_MIN || o->message_size > room))
		return error_set(err, EINVAL,
			"--message-size: %" PRIu64 " is not 0 or from %d to %zu (--payload-size "
			"less %d)",
			o->message_size, MESSAGE_MIN, room, SPHINX_PAYLOAD_OVERHEAD);
	for (unsigned f = FAULT_NONE + 1; f < FAULT_COUNT; f++)
		if (o->faults[f] && o->hops < fault_kinds[f].min_hops)
			return error_set(err, EINVAL, "--%s needs routes of at least %u hops",
				fault_kinds[f].option, fault_kinds[f].min_hops);
	if (o->faults[FAULT_replay] > o->packets)
		return error_set(err, EINVAL, "--replay: %" PRIu64 " is more than --packets",
			o->faults[FAULT_replay]);
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	int rc;

	memset(o, 0, sizeof(*o));
	rc = optable_parse(rows, ROWS, add, o, argc, argv, err);
	return rc || o->help ? rc : check_together(o, err);
}

void options_describe(FILE *out)
{
	optable_describe(rows, ROWS, out);
}
