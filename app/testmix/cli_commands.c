/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the CLI's commands, and those that change something. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_common.h>
#include <string.h>
#include "engine.h"

static int cmd_help(void *context, const struct grammar_args *a, struct error *err)
{
	static const struct {
		const char *name, *text;
	} sections[] = {
		{"control", "Start and stop forwarding."},
		{"display", "Displaying port, stats and config information."},
		{"config", "Changing the settings."},
		{"all", "All of the above sections."},
	};
	struct cli *c = context;
	const char *section = a->word[1];

	(void)err;
	if (!*section) {
		fprintf(c->out, "\nHelp is available for the following sections:\n\n");
		for (unsigned i = 0; i < RTE_DIM(sections); i++)
			fprintf(c->out, "    help %-27s: %s\n", sections[i].name, sections[i].text);
		fprintf(c->out, "\n");
		return 0;
	}
	for (unsigned i = 0; i < RTE_DIM(sections); i++) {
		if (strcmp(sections[i].name, "all") == 0 ||
			(strcmp(section, "all") != 0 && strcmp(section, sections[i].name) != 0))
			continue;
		fprintf(c->out, "\n%s\n\n", sections[i].text);
		for (size_t r = 0; r < cli_command_count; r++)
			if (strcmp(cli_commands[r].section, sections[i].name) == 0)
				fprintf(c->out, "%s\n    %s\n\n", cli_commands[r].syntax,
					cli_commands[r].help);
	}
	return 0;
}

static int start(struct cli *c, unsigned tx_first, struct error *err)
{
	int rc = lab_start(c->lab, tx_first, err);

	if (rc)
		return rc;
	cli_print_fwd_config(c->lab, c->out);
	cli_print_rxtx(c->lab, c->out);
	return 0;
}

static int cmd_start(void *context, const struct grammar_args *a, struct error *err)
{
	(void)a;
	return start(context, 0, err);
}

static int cmd_start_tx_first(void *context, const struct grammar_args *a, struct error *err)
{
	return start(context, a->word[2][0] ? (unsigned)a->number[2] : 1, err);
}

static int cmd_stop(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc;

	(void)a;
	rc = lab_stop(c->lab, err);
	if (rc == -EALREADY)
		return rc;
	fprintf(c->out, "Telling cores to stop...\nWaiting for lcores to finish...\n");
	cli_print_fwd_stats(c->lab, c->out);
	if (c->lab->traffic)
		cli_print_traffic(c->lab, c->out);
	if (c->lab->verbose && c->lab->engine->worker) {
		cli_print_drops(c->lab, c->out);
		cli_print_stages(c->lab, c->out);
	}
	for (unsigned i = 0; c->lab->verbose && i < c->lab->port_count; i++)
		cli_print_port_stats(c->lab, c->lab->ports[i].id, c->out);
	fprintf(c->out, "\nDone.\n");
	return rc;
}

static int cmd_quit(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;

	(void)a, (void)err;
	c->quit = true;
	fprintf(c->out, "Bye...\n");
	return 0;
}

static int cmd_load(void *context, const struct grammar_args *a, struct error *err)
{
	return cli_file(context, a->word[1], err);
}

static int cmd_clear_port(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;

	(void)err;
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		if (!rte_eth_dev_is_valid_port(id) ||
			(a->number[3] != GRAMMAR_PORT_ALL && a->number[3] != id))
			continue;
		rte_eth_stats_reset(id);
		c->lab->shown[id].tsc = 0;
		for (unsigned i = 0; i < c->lab->port_count; i++)
			if (c->lab->ports[i].id == id)
				memset(&c->lab->ports[i].base, 0, sizeof(c->lab->ports[i].base));
		fprintf(c->out, "\n  NIC statistics for port %u cleared\n", id);
	}
	return 0;
}

static int cmd_clear_fwd(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;

	(void)a, (void)err;
	lab_clear_stats(c->lab);
	return 0;
}

static int cmd_set_fwd(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc = lab_set_engine(c->lab, a->word[2], err);

	if (!rc)
		fprintf(c->out, "Set %s packet forwarding mode: %s\n", c->lab->engine->name,
			c->lab->engine->text);
	return rc;
}

static int cmd_set_burst(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;
	int rc = lab_set_burst(c->lab, (unsigned)a->number[2], err);

	if (rc)
		return rc;
	fprintf(c->out, "Number of packets per burst set to %" PRIu64 "\n", a->number[2]);
	return 0;
}

static int cmd_set_verbose(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;

	(void)err;
	fprintf(c->out, "Change verbose level from %u to %" PRIu64 "\n", c->lab->verbose,
		a->number[2]);
	c->lab->verbose = (unsigned)a->number[2];
	return 0;
}

static int cmd_set_cycles(void *context, const struct grammar_args *a, struct error *err)
{
	struct cli *c = context;

	if (c->lab->running)
		return error_set(err, EBUSY, "the lcores read it when they start: stop first");
	c->lab->record_cycles = strcmp(a->word[2], "on") == 0;
	fprintf(c->out, "Recording of CPU cycles is %s\n", a->word[2]);
	return 0;
}

const struct grammar_row cli_commands[] = {
	{"help [control|display|config|all]", "control",
		"The sections of the help, or the commands of one.", cmd_help},
	{"start", "control", "Starts forwarding with the present settings.", cmd_start},
	{"start tx_first [<bursts:1..1000>]", "control",
		"Starts, and sends bursts of packets from every port first, for ports that loop.",
		cmd_start_tx_first},
	{"stop", "control", "Stops forwarding and shows its statistics.", cmd_stop},
	{"wait seconds|traffic <seconds:1..86400>", "control",
		"Waits so long, or until all that was sent is back or lost for certain.", cli_wait},
	{"load <file:>", "control",
		"Runs the commands in a file; stops at the first error and names its line.",
		cmd_load},
	{"quit", "control", "Stops forwarding and leaves.", cmd_quit},
	{"show port info|stats|xstats|summary <port|all>", "display",
		"What a port is; its counters and rates; its driver's counters; one line for each.",
		cli_show_port},
	{"show fwd stats all", "display",
		"Packets forwarded since the start, and with record-core-cycles the CPU cycles for "
		"each.",
		cli_show_fwd},
	{"show config rxtx|cores|fwd", "display",
		"Bursts, queues and descriptors; forwarding lcores; streams.", cli_show_config},
	{"show rxq info <port> <queue:0..1023>", "display", "An RX queue of a port.", cli_show_rxq},
	{"show mix stats|drops|stages|wheel|replay|shaper|cover|epoch|crypto", "display",
		"The engine's pipeline: counters; packets dropped by reason; CPU cycles by stage; "
		"how late packets left; tags; slots; loops; the VRF's epoch; kernels and key.",
		cli_show_mix},
	{"show traffic", "display",
		"Generator and sink: what was sent and came back, residence and lateness.",
		cli_show_traffic},
	{"clear port stats <port|all>", "display", "Sets the counters of ports to zero.",
		cmd_clear_port},
	{"clear fwd stats all", "display", "Forgets what was forwarded so far.", cmd_clear_fwd},
	{"set fwd io|mac|parse|sphinx|sphinx-nodelay|sphinx-noreplay", "config",
		"The engine: what is done with packets between RX and TX.", cmd_set_fwd},
	{"set burst <packets:1..512>", "config", "Packets in a burst.", cmd_set_burst},
	{"set rate <pps:0..20000000>", "config",
		"What the generator offers; 0: as fast as it is taken.", cli_set_rate},
	{"set arrivals constant|poisson", "config", "Gaps between the generator's packets.",
		cli_set_arrivals},
	{"set packets <number:1..2000000>", "config", "Good packets of the next start.",
		cli_set_packets},
	{"set share bad|replayed|cover <percent:0.0..90>", "config",
		"Of the generator's packets: those with a flipped bit, second copies, packets that "
		"end at the engine.",
		cli_set_share},
	{"set delay vrf|sender|sum|none [<ms:0.1..10000>]", "config",
		"Whose delay the engine sphinx applies, and the mean of its law.", cli_set_delay},
	{"set cover off", "config", "The engine sends no loops.", cli_set_cover},
	{"set cover loops <pps:0.01..1000>", "config",
		"Loops of the engine's own. In the lab they are lost: its other relays do not "
		"exist.",
		cli_set_cover},
	{"set shaping off", "config", "Packets leave when they are due.", cli_set_shaping},
	{"set shaping rate|constant|poisson <pps:1..100000000>", "config",
		"How packets leave each link: by tokens, or in slots that cover fills.",
		cli_set_shaping},
	{"set verbose <level:0..1>", "config",
		"1: stop also shows the ports' statistics, and of a sphinx engine drops and "
		"stages.",
		cmd_set_verbose},
	{"set record-core-cycles on|off", "config",
		"Whether CPU cycles for each packet are counted.", cmd_set_cycles},
};

const size_t cli_command_count = RTE_DIM(cli_commands);
