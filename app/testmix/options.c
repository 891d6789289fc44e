/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "message.h"
#include "sphinx/frame.h"
#include "wire.h"

enum kind { TEXT, NUMBER, RATE, REAL, CHOICE, ADDRESS, GATEWAY, RELAY, FLAG };

struct row {
	const char *name, *value; /* `value` as the help shows it */
	enum kind kind;
	size_t offset;
	uint64_t min, max;
	const char *initial; /* parsed like a value given; NULL: zero */
	const char *help;
};

/* One frame of one IP packet of at most WIRE_MTU bytes: nothing here fragments. */
enum {
	MAX_PACKETS = 5000000,
	PAYLOAD_MAX =
		WIRE_MTU - WIRE_IP4_SIZE - WIRE_UDP_SIZE - (int)FRAME_SIZE - (int)SPHINX_HEADER_SIZE
};

#define AT(member) offsetof(struct options, member)
#define FAULT_ROW(id, option, reason, text)                                                        \
	{option, "N", NUMBER, AT(faults[FAULT_##id]), 0, 1000000, NULL,                            \
		text "; each must be dropped as `" #reason "`"},

static const struct row rows[] = {
	{"directory", "FILE", TEXT, AT(directory), 0, 0, NULL, "signed directory of the network"},
	{"authority", "KEY", TEXT, AT(authority), 0, 0, NULL,
		"the directory authority's Ed25519 public key: 64 hex digits or a file with them"},
	{"packets", "N", NUMBER, AT(packets), 1, MAX_PACKETS, NULL,
		"good packets to send (default 20000)"},
	{"duration", "S", NUMBER, AT(duration), 1, 86400, NULL,
		"instead of --packets: as many as --rate sends in S seconds"},
	{"rate", "PPS|auto", RATE, AT(rate), 1, 20000000, "auto",
		"offered packets per second; auto: half of what two threads of this "
		"machine can unwrap, divided by the hops; 100 to 10000"},
	{"arrivals", "constant|poisson", CHOICE, AT(poisson), 0, 0, "constant",
		"gaps between packets"},
	{"mean-delay-ms", "MS", REAL, AT(mean_delay_ms), 0, 500, "50",
		"mean of the exponential delay at each hop but the last, which is cut at 20 means"},
	{"hops", "N", NUMBER, AT(hops), 1, SPHINX_MAX_HOPS, "3", "hops of a route"},
	{"sphinx-version", "V", NUMBER, AT(version), 0, UINT16_MAX, "0",
		"version of the packets; 0: 258 and 259 in turn"},
	{"payload-size", "BYTES", NUMBER, AT(payload_size), SPHINX_PAYLOAD_MIN, PAYLOAD_MAX, "1024",
		"Sphinx payload: the relays' sphinx.payload_size"},
	{"message-size", "BYTES", NUMBER, AT(message_size), 0, PAYLOAD_MAX, "0",
		"length of the messages; 0: drawn from all that fit"},
	{"tx-port", "PORT", TEXT, AT(tx_port), 0, 0, "0",
		"ethdev, by number or name, towards the entries"},
	{"rx-port", "PORT", TEXT, AT(rx_port), 0, 0, "1",
		"ethdev, by number or name, where the exits' messages arrive"},
	{"tx-address", "IP:PORT", ADDRESS, AT(tx_address), 0, 0, "10.10.0.1:40000",
		"own address on the TX port"},
	{"rx-address", "IP:PORT", ADDRESS, AT(rx_address), 0, 0, "10.10.3.1:40001",
		"own address on the RX port: the messages' destination"},
	{"gateway", "IP", GATEWAY, AT(gateway), 0, 0, NULL,
		"next hop towards the entries (default: they are on the link)"},
	{"telemetry", "NAME=PATH", RELAY, 0, 0, 0, NULL,
		"a relay's DPDK telemetry socket; may be given several times"},
	{"wait", "S", NUMBER, AT(wait), 1, 600, "15",
		"seconds for links, relays and ARP to be ready"},
	{"grace", "S", NUMBER, AT(grace), 1, 600, "3",
		"seconds without an arrival, after the longest delay is over, until loss is "
		"judged"},
	{"idle", "sleep|spin", CHOICE, AT(spin), 0, 0, "sleep",
		"what the lcores do between packets"},
	{"json", "FILE", TEXT, AT(json), 0, 0, NULL, "write the results to FILE"},
	{"latencies", "FILE", TEXT, AT(latencies), 0, 0, NULL,
		"write each packet's latency to FILE: ns, a line each, in the order of sending"},
	{"hold", NULL, FLAG, AT(hold), 0, 0, NULL,
		"keep the ports up after the summary until SIGINT or SIGTERM"},
	FAULTS(FAULT_ROW){"help", NULL, FLAG, AT(help), 0, 0, NULL, "this text"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int parse_number(const struct row *r, const char *text, uint64_t *out, struct error *err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text < '0' || *text > '9' || *out < r->min ||
		*out > r->max)
		return error_set(err, EINVAL,
			"--%s: \"%s\" is not a whole number from %" PRIu64 " to %" PRIu64, r->name,
			text, r->min, r->max);
	return 0;
}

static int parse_real(const struct row *r, const char *text, double *out, struct error *err)
{
	char *end;

	*out = strtod(text, &end);
	if (*end || end == text || !isfinite(*out) || *out < (double)r->min ||
		*out > (double)r->max)
		return error_set(err, EINVAL,
			"--%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64, r->name, text,
			r->min, r->max);
	return 0;
}

/* `value` of the row lists both choices: "first|second". */
static int parse_choice(const struct row *r, const char *text, unsigned *out, struct error *err)
{
	size_t first = strcspn(r->value, "|");

	if (strlen(text) == first && strncmp(text, r->value, first) == 0)
		*out = 0;
	else if (strcmp(text, r->value + first + 1) == 0)
		*out = 1;
	else
		return error_set(err, EINVAL, "--%s: \"%s\": allowed: %s", r->name, text, r->value);
	return 0;
}

static int parse_address(
	const struct row *r, const char *text, struct endpoint *out, struct error *err)
{
	int bad = r->kind == GATEWAY ? endpoint_parse_ip(out, text) : endpoint_parse(out, text);

	if (bad || out->family != 4 || (r->kind == ADDRESS && out->port == 0))
		return error_set(err, EINVAL, "--%s: \"%s\" is not an IPv4 address%s", r->name,
			text, r->kind == GATEWAY ? ": 10.0.0.1" : " with a port: 10.0.0.1:9000");
	return 0;
}

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

static int parse_value(struct options *o, const struct row *r, const char *text, struct error *err)
{
	void *at = (char *)o + r->offset;

	switch (r->kind) {
	case TEXT:
		*(const char **)at = text;
		return *text ? 0 : error_set(err, EINVAL, "--%s: is empty", r->name);
	case RATE:
		if (strcmp(text, "auto") == 0) {
			*(uint64_t *)at = 0;
			return 0;
		}
		return parse_number(r, text, at, err);
	case NUMBER:
		return parse_number(r, text, at, err);
	case REAL:
		return parse_real(r, text, at, err);
	case CHOICE:
		return parse_choice(r, text, at, err);
	case ADDRESS:
	case GATEWAY:
		return parse_address(r, text, at, err);
	case RELAY:
		return add_relay(o, text, err);
	case FLAG:
		*(bool *)at = true;
		return 0;
	}
	return -EINVAL;
}

static const struct row *find_row(const char *name, size_t len)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

/* What a table cannot say: settings that depend on each other. */
static int check_together(struct options *o, struct error *err)
{
	size_t room;

	if (!o->directory || !o->authority)
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
	bool given[ROWS] = {false};
	int rc;

	memset(o, 0, sizeof(*o));
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].initial && (rc = parse_value(o, &rows[i], rows[i].initial, err)) != 0)
			return rc;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *name = arg + 2, *value;
		const struct row *r = NULL;
		size_t len = 0;

		if (strncmp(arg, "--", 2) == 0) {
			len = strcspn(name, "=");
			r = find_row(name, len);
		}
		if (!r)
			return error_set(err, EINVAL,
				"unknown option \"%s\": --help lists all of them", arg);
		if (given[r - rows] && r->kind != RELAY)
			return error_set(err, EINVAL, "--%s is given twice", r->name);
		given[r - rows] = true;
		value = name[len] == '=' ? name + len + 1 : NULL;
		if (r->kind == FLAG && value)
			return error_set(err, EINVAL, "--%s takes no value", r->name);
		if (r->kind != FLAG && !value && !(value = argv[++i < argc ? i : argc]))
			return error_set(
				err, EINVAL, "--%s lacks its value: %s", r->name, r->value);
		rc = parse_value(o, r, value, err);
		if (rc)
			return rc;
	}
	return o->help ? 0 : check_together(o, err);
}

void options_describe(FILE *out)
{
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		int width = fprintf(
			out, "  --%s%s%s", r->name, r->value ? " " : "", r->value ? r->value : "");

		fprintf(out, "%*s %s", width < 32 ? 32 - width : 0, "", r->help);
		if (r->initial)
			fprintf(out, " (default %s)", r->initial);
		fputc('\n', out);
	}
}
