/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"
#include "blocks.h"
#include "core/version.h"
#include "message.h"
#include "sphinx/packet.h"
#include "vrf/neighbour.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum kind {
	TEXT,
	ADDRESS,
	WHOLE,
	SIZE,
	REAL,
	REAL_OR_BARE, /* --name alone means `bare` */
	DELAYS,
	FLAG,
};

enum {
	S = COMMAND_SEND,
	R = COMMAND_RECEIVE,
	Y = COMMAND_REPLY,
	P = COMMAND_PING,
	ALL = S | R | Y | P,
	MIN_PAYLOAD = MESSAGE_MIN_ROOM + SPHINX_PAYLOAD_OVERHEAD,
};

struct option_def {
	const char *name;
	unsigned commands;
	enum kind kind;
	size_t offset;
	double min, max;
	const char *initial; /* parsed like an argument; NULL: zero */
	const char *arg, *help;
};

#define AT(member) offsetof(struct settings, member)

static const struct option_def defs[] = {
	{"directory", S | Y | P, TEXT, AT(directory), 0, 0, NULL, "FILE",
		"the network's signed directory"},
	{"directory", R, TEXT, AT(directory), 0, 0, NULL, "FILE",
		"the network's signed directory: listen to its relays alone"},
	{"authority", S | R | Y | P, TEXT, AT(authority), 0, 0, NULL, "HEX|FILE",
		"Ed25519 public key that must have signed the directory: 64 hex digits or a file"},
	{"neighbours", S | R | Y | P, TEXT, AT(neighbours), 0, 0, NULL, "DIR",
		"route inside the relays' proved neighbour sets: DIR mirrors what all relays "
		"publish, "
		"NAME/EPOCH.neighbours"},
	{"neighbour-seconds", S | R | Y | P, WHOLE, AT(neighbour_seconds), NEIGHBOUR_SECONDS_MIN,
		NEIGHBOUR_SECONDS_MAX, "3600", "N",
		"the network's length of an epoch of neighbour sets"},
	{"beacon", S | R | Y | P, TEXT, AT(beacon), 0, 0, NULL, "FILE",
		"the beacon that the relays' records are made with, if the network uses one"},
	{"to", S, ADDRESS, AT(to), 0, 0, NULL, "IP:PORT", "where the last relay delivers"},
	{"in", S | Y, TEXT, AT(in), 0, 0, "-", "FILE", "what is sent; - is standard input"},
	{"out", S, TEXT, AT(out), 0, 0, "-", "FILE",
		"where the reply is written; - is standard output"},
	{"out", R, TEXT, AT(out), 0, 0, "-", "FILE",
		"where the message is written; - is standard output; with --count FILE.1, FILE.2 "
		"..."},
	{"force", S | R, FLAG, AT(force), 0, 0, NULL, NULL, "replace files that exist"},
	{"bind", S | Y | P, ADDRESS, AT(bind), 0, 0, NULL, "IP:PORT",
		"own address; IPv6 as [::1]:9000; without it any free port"},
	{"bind", R, ADDRESS, AT(bind), 0, 0, NULL, "IP:PORT",
		"the address that senders name with --to; IPv6 as [::1]:9000"},
	{"count", R, WHOLE, AT(count), 1, 1000000, "1", "N", "messages to wait for"},
	{"count", P, WHOLE, AT(count), 1, 1000000, "5", "N", "packets to send"},
	{"timeout", R, REAL, AT(timeout), 0, 1e6, "60", "S",
		"give up after S seconds in which no part of a message came; 0: never"},
	{"timeout", P, REAL, AT(timeout), 0, 1e6, "10", "S", "wait S seconds for the late ones"},
	{"interval", P, REAL, AT(interval), 0.001, 3600, "1", "S", "seconds between pings"},
	{"reply-blocks", S, WHOLE, AT(reply_blocks), 0, BLOCKS_MAX_PER_MESSAGE, NULL, "N",
		"attach N reply blocks; each carries one packet of the answer"},
	{"reply-version", S, WHOLE, AT(reply_version), 258, 260, "260", "V",
		"Sphinx version of the reply blocks"},
	{"wait", S, REAL, AT(wait), 0, 1e6, NULL, "S", "wait up to S seconds for the reply"},
	{"save-reply-blocks", R, TEXT, AT(save_reply_blocks), 0, 0, NULL, "FILE",
		"keep the reply blocks that come with a message, for `reply`"},
	{"block", Y, TEXT, AT(block), 0, 0, NULL, "FILE",
		"reply blocks saved by `receive`; those used are removed from the file"},
	{"payload-size", S | P, WHOLE, AT(payload_size), MIN_PAYLOAD, SPHINX_PAYLOAD_MAX, "1024",
		"BYTES", "the network's payload size, sphinx.payload_size of its relays"},
	{"payload-size", R | Y, WHOLE, AT(payload_size), MIN_PAYLOAD, SPHINX_PAYLOAD_MAX, NULL,
		"BYTES", "refuse packets (reply: blocks) of another payload size"},
	{"hops", S | R | Y | P, WHOLE, AT(hops), 1, SPHINX_MAX_HOPS, "3", "N",
		"relays on each route"},
	{"mean-delay-ms", S | R | Y | P, REAL, AT(mean_delay_ms), 0, 10000, "50", "MS",
		"mean of the exponential delay asked of each relay but the last"},
	{"rate", S | Y, REAL, AT(rate), 0.01, 1e6, "1000", "PPS",
		"packets sent per second, without --cover"},
	{"version", S | R | Y | P, WHOLE, AT(version), 258, 259, "259", "V",
		"Sphinx version of packets"},
	{"cover", ALL, REAL_OR_BARE, AT(cover), 0.01, 1000, NULL, "[PPS]",
		"hide when and how much is sent: PPS packets a second [10], of the command or in "
		"their place cover, and the two streams below, all at Poisson times"},
	{"cover-loops", ALL, REAL, AT(cover_loops), 0.01, 1000, "2", "PPS",
		"packets a second through the network and back to --bind, which judge the relays"},
	{"cover-drops", ALL, REAL, AT(cover_drops), 0, 1000, "2", "PPS",
		"packets a second to relays of the last layer, which drop them"},
	{"cover-time", ALL, REAL, AT(cover_time), 1, 1e6, "60", "S",
		"run for a whole multiple of S seconds; sending begins at a random moment"},
	{"relay-delays", ALL, DELAYS, AT(relay_delays), 0, 0, "vrf", "MODE",
		"how the relays delay, vrf.mode of their config: vrf, sender or sum; with vrf and "
		"sum --mean-delay-ms is the relays' mean"},
	{"max-size", S | R, SIZE, AT(max_size), 1, 0x1p38, "64M", "BYTES",
		"largest message; K, M and G are powers of 1024"},
	{"quiet", S | R | Y, FLAG, AT(quiet), 0, 0, NULL, NULL, "no progress, no summary"},
	{"quiet", P, FLAG, AT(quiet), 0, 0, NULL, NULL, "the statistics alone"},
};

enum { DEFS = sizeof(defs) / sizeof(defs[0]) };

_Static_assert(DEFS <= 64, "settings.given has a bit for each row");

/* What --cover alone stands for. */
static const char BARE_COVER[] = "10";

/* Which options some commands take only with --cover. */
static const struct {
	const char *name;
	unsigned commands;
} under_cover[] = {
	{"neighbours", R | Y},
	{"neighbour-seconds", R | Y},
	{"beacon", R | Y},
	{"hops", R | Y},
	{"mean-delay-ms", R | Y},
	{"version", R | Y},
	{"cover-loops", ALL},
	{"cover-drops", ALL},
	{"cover-time", ALL},
	{"relay-delays", ALL},
};

static bool needs_cover(const struct option_def *d, unsigned command)
{
	for (size_t i = 0; i < sizeof(under_cover) / sizeof(under_cover[0]); i++)
		if ((under_cover[i].commands & command) &&
			strcmp(under_cover[i].name, d->name) == 0)
			return true;
	return false;
}

static const struct {
	const char *name, *synopsis, *text;
	enum client_command command;
} commands[] = {
	{"send", "--directory FILE --authority KEY --to IP:PORT [--in FILE]",
		"sends a file or standard input through the mixnet", COMMAND_SEND},
	{"receive", "--bind IP:PORT [--out FILE]", "puts together what arrives", COMMAND_RECEIVE},
	{"reply", "--directory FILE --authority KEY --block FILE [--in FILE]",
		"answers through saved reply blocks, without knowing to whom", COMMAND_REPLY},
	{"ping", "--directory FILE --authority KEY [--bind IP:PORT]",
		"sends packets through the mixnet to itself and times them", COMMAND_PING},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void overview(FILE *out)
{
	fprintf(out, "usage: betanet-client COMMAND [options]\n\n");
	for (int i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].text);
	fprintf(out,
		"\nbetanet-client COMMAND --help lists the options of a command;\n"
		"betanet-client --version prints %s.\n",
		BETANET_VERSION);
}

static void help(FILE *out, int which)
{
	fprintf(out, "usage: betanet-client %s %s [options]\n%s\n\n", commands[which].name,
		commands[which].synopsis, commands[which].text);
	for (int i = 0; i < DEFS; i++) {
		const struct option_def *d = &defs[i];
		char left[40];

		if (!(d->commands & commands[which].command))
			continue;
		snprintf(left, sizeof(left), "--%s %s", d->name, d->arg ? d->arg : "");
		fprintf(out, "  %-28s %s%s%s%s%s\n", left,
			needs_cover(d, commands[which].command) ? "with --cover: " : "", d->help,
			d->initial ? " [" : "", d->initial ? d->initial : "",
			d->initial ? "]" : "");
	}
	if (commands[which].command & (COMMAND_SEND | COMMAND_REPLY))
		fprintf(out,
			"\nThe last relay%s can read what is sent: encrypt it where that "
			"matters.\n",
			commands[which].command == COMMAND_SEND
				? ", and whoever is between it and the receiver,"
				: " of a block of version 258 or 259");
	if (commands[which].command & (COMMAND_SEND | COMMAND_PING))
		fprintf(out,
			"\nWith --neighbours each relay of a route is in the set of the relay "
			"before it, and relays\nwithout a valid record of the present epoch sit "
			"out; within 60 s of an epoch's bounds the\nneighbouring epoch's record "
			"serves too.%s\n",
			commands[which].command == COMMAND_SEND
				? " Reply blocks lead back until the epoch ends; in layers of\nat "
				  "most 64 relays the sets stay the same, and the blocks too."
				: "");
	fprintf(out,
		"\nWith --cover the network side of this host sees packets of one size at Poisson "
		"times, as many\nwhether or not something is sent, from start to end of the "
		"program. Visible stay: that it runs,\nin multiples of --cover-time, and what "
		"arrives here.\n");
	fprintf(out, "\nexit status: 0 done, 1 not or not wholly done, 2 wrong use\n");
}

static int bad_value(const struct option_def *d, const char *value, struct error *err)
{
	if (d->kind == ADDRESS)
		return error_set(err, EINVAL,
			"--%s %s: not an address; write 192.0.2.1:9000 or [2001:db8::1]:9000",
			d->name, value);
	if (d->kind == DELAYS)
		return error_set(
			err, EINVAL, "--%s %s: vrf, sender or sum is allowed", d->name, value);
	return error_set(err, EINVAL, "--%s %s: %s from %.10g to %.10g is allowed", d->name, value,
		d->kind == REAL || d->kind == REAL_OR_BARE ? "a number" : "a whole number", d->min,
		d->max);
}

static int set_number(
	struct settings *s, const struct option_def *d, const char *value, struct error *err)
{
	char *field = (char *)s + d->offset, *end;
	double real;
	uint64_t whole;

	errno = 0;
	if (d->kind == REAL || d->kind == REAL_OR_BARE) {
		real = strtod(value, &end);
		if (end == value || *end || !isfinite(real) || real < d->min || real > d->max)
			return bad_value(d, value, err);
		memcpy(field, &real, sizeof(real));
		return 0;
	}
	whole = strtoull(value, &end, 10);
	if (end == value || errno || value[0] < '0' || value[0] > '9')
		return bad_value(d, value, err);
	if (d->kind == SIZE && *end) {
		const char *unit = strchr("KMG", *end);
		unsigned shift = unit ? 10 * (unsigned)(unit - "KMG" + 1) : 0;

		if (!unit || end[1] || whole > (UINT64_MAX >> shift))
			return bad_value(d, value, err);
		whole <<= shift;
	} else if (*end) {
		return bad_value(d, value, err);
	}
	if ((double)whole < d->min || (double)whole > d->max)
		return bad_value(d, value, err);
	memcpy(field, &whole, sizeof(whole));
	return 0;
}

static int set_delays(
	struct settings *s, const struct option_def *d, const char *value, struct error *err)
{
	static const struct {
		const char *word;
		enum loop_health_delays delays;
	} words[] = {
		{"vrf", LOOP_HEALTH_LAW}, {"sender", LOOP_HEALTH_KNOWN}, {"sum", LOOP_HEALTH_BOTH}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(value, words[i].word) == 0) {
			memcpy((char *)s + d->offset, &words[i].delays, sizeof(words[i].delays));
			return 0;
		}
	return bad_value(d, value, err);
}

static int set_option(
	struct settings *s, const struct option_def *d, const char *value, struct error *err)
{
	char *field = (char *)s + d->offset;
	const bool yes = true;

	switch (d->kind) {
	case FLAG:
		memcpy(field, &yes, sizeof(yes));
		return 0;
	case TEXT:
		memcpy(field, &value, sizeof(value));
		return 0;
	case ADDRESS:
		return endpoint_parse((struct endpoint *)(void *)field, value) < 0
			       ? bad_value(d, value, err)
			       : 0;
	case DELAYS:
		return set_delays(s, d, value, err);
	default:
		return set_number(s, d, value, err);
	}
}

/* An option may have a row for each command; that of another command is the second choice. */
static const struct option_def *find_option(
	const char *name, size_t len, enum client_command command)
{
	const struct option_def *other = NULL;

	for (int i = 0; i < DEFS; i++) {
		if (strlen(defs[i].name) != len || memcmp(defs[i].name, name, len) != 0)
			continue;
		if (defs[i].commands & command)
			return &defs[i];
		other = &defs[i];
	}
	return other;
}

/* What follows an option that may stand alone. */
static bool follows(const struct option_def *d, const char *next)
{
	return d->kind != FLAG && next && (d->kind != REAL_OR_BARE || strncmp(next, "--", 2) != 0);
}

/* "--name value", "--name=value" or a bare "--flag". */
static int parse_option(
	struct settings *s, int which, int argc, char **argv, int *i, struct error *err)
{
	const char *arg = argv[*i], *value = NULL, *equals;
	const struct option_def *d;

	if (strncmp(arg, "--", 2) != 0)
		return error_set(err, EINVAL,
			"%s: not an option; all arguments of %s are options "
			"(betanet-client %s --help)",
			arg, commands[which].name, commands[which].name);
	equals = strchr(arg, '=');
	d = find_option(arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2),
		commands[which].command);
	if (!d)
		return error_set(err, EINVAL, "%s: unknown option (betanet-client %s --help)", arg,
			commands[which].name);
	if (!(d->commands & commands[which].command))
		return error_set(
			err, EINVAL, "--%s is no option of %s", d->name, commands[which].name);
	if (d->kind == FLAG && equals)
		return error_set(err, EINVAL, "--%s takes no value", d->name);
	s->given |= UINT64_C(1) << (d - defs);
	if (equals)
		value = equals + 1;
	else if (follows(d, *i + 1 < argc ? argv[*i + 1] : NULL))
		value = argv[++*i];
	else
		value = d->kind == REAL_OR_BARE ? BARE_COVER : NULL;
	if (d->kind != FLAG && !value)
		return error_set(
			err, EINVAL, "--%s needs a value: --%s %s", d->name, d->name, d->arg);
	return set_option(s, d, value, err);
}

static int missing(const char *option, const char *why, struct error *err)
{
	return error_set(err, EINVAL, "%s is missing: %s", option, why);
}

static bool given(const struct settings *s, const char *name)
{
	return s->given >> (find_option(name, strlen(name), s->command) - defs) & 1;
}

static int check_cover(const struct settings *s, struct error *err)
{
	const bool law = s->relay_delays != LOOP_HEALTH_KNOWN;

	for (int i = 0; s->cover <= 0 && i < DEFS; i++)
		if (needs_cover(&defs[i], s->command) && (s->given >> i & 1))
			return error_set(
				err, EINVAL, "--%s has no use without --cover", defs[i].name);
	if (s->cover <= 0)
		return 0;
	if (!s->directory)
		return missing("--directory FILE", "--cover sends through its relays", err);
	if ((s->command & (COMMAND_SEND | COMMAND_REPLY)) && given(s, "rate"))
		return error_set(err, EINVAL,
			"--rate is the pace without cover; --cover %g sets it now", s->cover);
	if (law && s->mean_delay_ms <= 0)
		return error_set(err, EINVAL,
			"--mean-delay-ms 0: the relays' mean must be known to judge loops, unless "
			"they delay as asked (--relay-delays sender)");
	return 0;
}

/* What the table cannot say: which options need each other. */
static int check(const struct settings *s, struct error *err)
{
	bool receive = s->command == COMMAND_RECEIVE;

	if (!receive && !s->directory)
		return missing("--directory FILE", "the network's signed directory", err);
	if (s->directory && !s->authority)
		return missing("--authority HEX|FILE",
			"the public key that must have signed the directory", err);
	if (s->authority && !s->directory)
		return missing("--directory FILE", "--authority is for checking it", err);
	if (s->beacon && !s->neighbours)
		return missing("--neighbours DIR", "--beacon is for checking its records", err);
	if (receive && s->bind.family == 0)
		return missing("--bind IP:PORT", "the address that senders name with --to", err);
	if (s->command == COMMAND_SEND && s->to.family == 0)
		return missing("--to IP:PORT", "where the last relay delivers", err);
	if (s->command == COMMAND_SEND && s->to.port == 0)
		return error_set(err, EINVAL, "--to: port 0 cannot be delivered to");
	if (s->command == COMMAND_REPLY && !s->block)
		return missing("--block FILE", "reply blocks that `receive` saved", err);
	if (s->reply_blocks > 0 && s->wait <= 0)
		return missing("--wait S",
			"the secrets that open a reply live only as long as this program", err);
	if (s->wait > 0 && s->reply_blocks == 0)
		return missing("--reply-blocks N", "without reply blocks nobody can reply", err);
	return check_cover(s, err);
}

static void set_defaults(struct settings *s)
{
	for (int i = 0; i < DEFS; i++)
		if (defs[i].initial && (defs[i].commands & s->command))
			(void)set_option(s, &defs[i], defs[i].initial, NULL);
}

int settings_parse(struct settings *s, int argc, char **argv, FILE *out, struct error *err)
{
	int which = 0;

	memset(s, 0, sizeof(*s));
	if (argc < 2)
		return error_set(err, EINVAL,
			"a command is missing: send, receive, reply or ping "
			"(betanet-client --help)");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		overview(out);
		return 1;
	}
	if (strcmp(argv[1], "--version") == 0) {
		fprintf(out, "betanet-client %s\n", BETANET_VERSION);
		return 1;
	}
	while (which < COMMANDS && strcmp(argv[1], commands[which].name) != 0)
		which++;
	if (which == COMMANDS)
		return error_set(
			err, EINVAL, "%s: unknown command; send, receive, reply or ping", argv[1]);
	s->command = commands[which].command;
	set_defaults(s);
	for (int i = 2; i < argc; i++) {
		int r;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			help(out, which);
			return 1;
		}
		r = parse_option(s, which, argc, argv, &i, err);
		if (r < 0)
			return r;
	}
	return check(s, err);
}
