/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "engine.h"
#include "optable.h"
#include "sphinx/packet.h"

/* "(port,queue,lcore),(…)" */
static int add_maps(void *base, const char *name, const char *text, struct error *err)
{
	struct cli_options *o = base;
	const char *s = text;

	(void)name;
	while (*s) {
		struct cli_map m;
		int len = 0;

		if (sscanf(s, "(%u,%u,%u)%n", &m.port, &m.queue, &m.lcore, &len) != 3 || len == 0 ||
			(s[len] && s[len] != ','))
			return error_set(err, EINVAL,
				"--config: \"%s\" is not (port,queue,lcore),(port,queue,lcore),…: "
				"\"(0,0,1),(1,0,2)\"",
				text);
		if (o->map_count == CLI_MAX_MAPS)
			return error_set(
				err, EINVAL, "--config: more than %d queues", CLI_MAX_MAPS);
		o->map[o->map_count++] = m;
		s += len;
		s += *s == ',';
	}
	return 0;
}

#define AT(member) offsetof(struct cli_options, member)

static const struct optable_row rows[] = {
	{"interactive", NULL, OPT_FLAG, AT(interactive), 0, 0, NULL,
		"read commands from the terminal, with completion and history (also -i)"},
	{"cmdline-file", "FILE", OPT_TEXT, AT(cmdline_file), 0, 0, NULL,
		"run the commands in FILE first; the first error ends the program"},
	{"socket", "PATH", OPT_TEXT, AT(socket), 0, 0, NULL,
		"take commands on a UNIX stream socket: a line each; an answer ends with the line "
		"OK or with a line that starts with ERROR"},
	{"auto-start", NULL, OPT_FLAG, AT(auto_start), 0, 0, NULL,
		"start forwarding at once; without -i it always does"},
	{"tx-first", NULL, OPT_FLAG, AT(tx_first), 0, 0, NULL,
		"send a burst of packets from every port when forwarding starts (io, mac, parse)"},
	{"stats-period", "S", OPT_NUMBER, AT(stats_period), 0, 3600, "0",
		"show the ports' statistics every S seconds; 0: never"},
	{"forward-mode", "MODE", OPT_TEXT, AT(engine), 0, 0, "io",
		"the engine: io, mac, parse, sphinx, sphinx-nodelay, sphinx-noreplay"},
	{"record-core-cycles", NULL, OPT_FLAG, AT(record_cycles), 0, 0, NULL,
		"count CPU cycles per packet"},
	{"config", "(P,Q,L),…", OPT_LIST, 0, 0, 0, NULL,
		"RX queue Q of port P is polled by lcore L (io, mac, parse); may be given several "
		"times"},
	{"burst", "N", OPT_NUMBER, AT(burst), 1, CLI_BURST_MAX, "32",
		"packets in a burst; the sphinx engines take at most 128"},
	{"rxd", "N", OPT_NUMBER, AT(rxd), 1, 65535, "1024", "descriptors of an RX queue"},
	{"txd", "N", OPT_NUMBER, AT(txd), 1, 65535, "1024", "descriptors of a TX queue"},
	{"nb-cores", "N", OPT_NUMBER, AT(lcores), 1, 63, "1", "forwarding lcores"},
	{"total-num-mbufs", "N", OPT_NUMBER, AT(mbufs), 0, 4194304, "0",
		"packet buffers of io, mac and parse; 0: what descriptors and lcores need"},
	{"idle", "spin|sleep", OPT_CHOICE, AT(sleep), 0, 0, "spin",
		"what an lcore does when nothing waits; sleep is for lcores that share a core"},
	{"delay-mode", "vrf|sender|sum|none", OPT_CHOICE, AT(delay), 0, 0, "sender",
		"whose delay the engine sphinx applies"},
	{"mean-delay-ms", "MS", OPT_REAL, AT(mean_delay_ms), 0, 10000, "50",
		"mean of the exponential delay"},
	{"payload-size", "BYTES", OPT_NUMBER, AT(payload_size), SPHINX_PAYLOAD_MIN, 1100, "1024",
		"payload of the network's packets"},
	{"wires", NULL, OPT_FLAG, AT(wires), 0, 0, NULL,
		"make the ports out of rings, with a generator and a sink at their other ends, on "
		"the last two lcores"},
	{"packets", "N", OPT_NUMBER, AT(packets), 1, 2000000, "20000",
		"good packets that the generator makes ahead for a start"},
	{"store", "FILE", OPT_TEXT, AT(store), 0, 0, NULL,
		"keep the packets in FILE and take them from there when they are as they should "
		"be; "
		"the key of the lab's relay is in it"},
	{"rate", "PPS", OPT_NUMBER, AT(rate), 0, 20000000, "10000",
		"offered packets per second; 0: as fast as they are taken"},
	{"arrivals", "constant|poisson", OPT_CHOICE, AT(poisson), 0, 0, "constant",
		"gaps between packets"},
	{"hops", "N", OPT_NUMBER, AT(hops), 1, SPHINX_MAX_HOPS, "3",
		"hops of the packets' routes; the engine is the first; 1: it is also the exit"},
	{"bad", "PERCENT", OPT_REAL, AT(bad), 0, 90, "0",
		"of what is sent: packets with a bit of their header flipped"},
	{"replayed", "PERCENT", OPT_REAL, AT(replayed), 0, 50, "0",
		"of what is sent: second copies of good packets"},
	{"cover", "PERCENT", OPT_REAL, AT(cover), 0, 90, "0",
		"of what is sent: packets that end at the engine, as cover traffic does"},
	{"grace", "S", OPT_NUMBER, AT(grace), 1, 600, "2",
		"seconds without an arrival, after the longest delay is over, until loss is "
		"judged"},
	{"benchmark", NULL, OPT_FLAG, AT(benchmark), 0, 0, NULL,
		"instead of forwarding: how many packets --nb-cores workers process in memory; "
		"exit status 0 when --target-pps is reached"},
	{"duration", "S", OPT_NUMBER, AT(duration), 1, 3600, "10", "of the benchmark"},
	{"target-pps", "PPS", OPT_NUMBER, AT(target_pps), 1, 100000000, "25000",
		"of the benchmark"},
	{"help", NULL, OPT_FLAG, AT(help), 0, 0, NULL, "this text"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int check_together(const struct cli_options *o, struct error *err)
{
	char names[128];

	if (!engine_find(o->engine))
		return error_set(err, EINVAL, "--forward-mode: \"%s\": allowed: %s", o->engine,
			engine_names(names, sizeof(names)));
	if (o->tx_first && o->wires)
		return error_set(err, EINVAL,
			"--tx-first and --wires exclude each other: the "
			"generator is what sends first");
	if (o->map_count && o->wires)
		return error_set(
			err, EINVAL, "--config and --wires exclude each other: use --nb-cores");
	if (o->store && !o->wires)
		return error_set(err, EINVAL,
			"--store is where the generator keeps its packets: it needs --wires");
	if (o->bad + o->replayed + o->cover > 90)
		return error_set(err, EINVAL,
			"--bad, --replayed and --cover are %g percent together: at most 90",
			o->bad + o->replayed + o->cover);
	return 0;
}

int cli_options_parse(struct cli_options *o, int argc, char **argv, struct error *err)
{
	int rc;

	memset(o, 0, sizeof(*o));
	rc = optable_parse(rows, ROWS, add_maps, o, argc, argv, err);
	return rc || o->help ? rc : check_together(o, err);
}

void cli_options_describe(FILE *out)
{
	optable_describe(rows, ROWS, out);
}
