/* SPDX-License-Identifier: BSD-3-Clause */
/* betanet-mixnode: the relay. Parses the command line, starts EAL and the pipeline, and is its
 * control lcore. */
#include "relay.h"
#include "audit.h"
#include "core/drop.h"
#include "core/secmem.h"
#include "core/version.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_USAGE = 2 };

struct options {
	const char *config;
	bool check;
	unsigned stats_period_s;
};

static volatile sig_atomic_t stop_signal, reload_signal;

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		reload_signal = 1;
	else
		stop_signal = sig;
}

static void usage(FILE *out)
{
	fputs("usage: betanet-mixnode [EAL options] -- --config FILE [options]\n"
	      "\n"
	      "  --config FILE       the relay's config (libconfig; --help-config lists every "
	      "key)\n"
	      "  --check-config      print the effective config and the pool arithmetic, then "
	      "stop; needs no EAL\n"
	      "  --stats-period S    print a line of counters every S seconds (0: never, the "
	      "default)\n"
	      "  --help-config       every key with its type, range, default and meaning\n"
	      "  --version, --help\n"
	      "\n"
	      "EAL needs one lcore more than pipeline.workers, and the ports: for example\n"
	      "  betanet-mixnode -l 0-2 -a 0000:01:00.0 -- --config /etc/betanet/mixnode.conf\n"
	      "  betanet-mixnode --no-huge -m 256 --lcores '0@(0-1),1@(0-1)' --vdev "
	      "net_af_packet0,iface=eth0 -- --config lab.conf\n"
	      "SIGINT and SIGTERM drain the parked packets for at most pipeline.drain_ms and stop; "
	      "SIGHUP reads the directory again.\n",
		out);
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'k'},
		{"stats-period", required_argument, NULL, 's'},
		{"help-config", no_argument, NULL, 'H'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{0},
	};
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "c:h", longopts, NULL)) != -1) {
		char *end;
		unsigned long n;

		switch (opt) {
		case 'c':
			o->config = optarg;
			break;
		case 'k':
			o->check = true;
			break;
		case 's':
			n = strtoul(optarg, &end, 10);
			if (end == optarg || *end || n > 86400) {
				fprintf(stderr,
					"--stats-period %s: allowed is 0 to 86400 seconds\n",
					optarg);
				return EXIT_USAGE;
			}
			o->stats_period_s = (unsigned)n;
			break;
		case 'H':
			config_describe(stdout);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		case 'v':
			puts("betanet-mixnode " BETANET_VERSION);
			exit(0);
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "betanet-mixnode: unexpected argument '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (!o->config) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return 0;
}

/* The relay's own options stand behind `--`; without `--` there are no EAL options. */
static int split_arguments(int argc, char **argv, struct options *o, int *eal_argc)
{
	int at = 1;

	while (at < argc && strcmp(argv[at], "--") != 0)
		at++;
	if (at == argc) {
		*eal_argc = 1;
		return parse_options(argc, argv, o);
	}
	*eal_argc = at;
	argv[at] = argv[0];
	return parse_options(argc - at, argv + at, o);
}

/* EAL's --force-max-simd-bitwidth binds the curve's kernels, too. EAL itself cannot be asked: 256
 * is its default. */
static void apply_simd_limit(int argc, char **argv, struct config *c)
{
	static const char name[] = "--force-max-simd-bitwidth";
	unsigned long bits = 0;

	for (int i = 1; i < argc; i++) {
		const char *value = argv[i] + sizeof(name) - 1;

		if (strncmp(argv[i], name, sizeof(name) - 1) != 0)
			continue;
		if (*value == '=')
			bits = strtoul(value + 1, NULL, 10);
		else if (*value == '\0' && i + 1 < argc)
			bits = strtoul(argv[i + 1], NULL, 10);
	}
	if (bits >= 128 && (c->pipeline.max_simd_bits == 0 || bits < c->pipeline.max_simd_bits))
		c->pipeline.max_simd_bits = bits < 256 ? 128 : bits < 512 ? 256 : 512;
	else if (bits > 0 && bits < 128)
		c->pipeline.max_simd_bits = 128;
}

/* ---- the control lcore's loop
 * -------------------------------------------------------------------------------- */

static void print_line(const struct betanet *b)
{
	struct betanet_stats s;

	betanet_stats_get(b, &s);
	printf("rx %" PRIu64 "  processed %" PRIu64 "  forwarded %" PRIu64 "  delivered %" PRIu64
	       "  dropped %" PRIu64 "  parked %" PRIu64 "  mean processing %.3f ms\n",
		s.rx, s.processed, s.forwarded, s.delivered, s.dropped, s.parked,
		s.mean_processing_ns / 1e6);
	fflush(stdout);
}

/* performance.max_avg_latency_ms: said once when it is passed, and once when it is kept again. */
static void watch_latency(const struct betanet *b, const struct config *c, bool *late)
{
	struct betanet_stats s;
	bool now;

	betanet_stats_get(b, &s);
	now = s.mean_processing_ns / 1e6 > c->performance.max_avg_latency_ms;
	if (now != *late)
		fprintf(stderr,
			"%s: mean processing latency %.3f ms is %s performance.max_avg_latency_ms "
			"= %.3f\n",
			c->node.name, s.mean_processing_ns / 1e6, now ? "above" : "again within",
			c->performance.max_avg_latency_ms);
	*late = now;
}

/* What happened to the epochs' keys, and where the beacon comes from: said when it changes. */
static void watch_epochs(
	const struct betanet *b, const struct config *c, struct betanet_stats *seen)
{
	static const char *const source[] = {"none", "the directory", "vrf.beacon_file",
		"the directory, for vrf.beacon_file is missing, malformed or too old"};
	struct betanet_stats s;

	betanet_stats_get(b, &s);
	if (s.epochs_unproved > seen->epochs_unproved)
		fprintf(stderr,
			"%s: an epoch began without a proof: its delays are random, but cannot be "
			"verified\n",
			c->node.name);
	if (s.epoch_gaps > seen->epoch_gaps)
		fprintf(stderr,
			"%s: the control lcore was late: packets were dropped for want of an "
			"epoch's key\n",
			c->node.name);
	if (s.clock_steps > seen->clock_steps)
		fprintf(stderr, "%s: the clock was set: the epochs' keys were made anew\n",
			c->node.name);
	if (s.beacon_source != seen->beacon_source)
		fprintf(stderr, "%s: the VRF's beacon comes from %s\n", c->node.name,
			source[s.beacon_source]);
	*seen = s;
}

/* What our loops say of other relays and of our own links: said when it changes. */
static void watch_loops(struct betanet *b, const struct config *c)
{
	struct betanet_alarm a;

	while (betanet_alarm_take(b, &a))
		fprintf(stderr,
			a.node[0] ? "%s: loops through %s: %s (was %s)\n"
				  : "%s: loops%s: %s (was %s)\n",
			c->node.name, a.node, a.now, a.before);
}

static void reload(struct betanet *b, const struct config *c, struct audit *audit)
{
	struct error err;

	reload_signal = 0;
	if (relay_reload(c, b, &err) < 0 || audit_directory(audit, b, &err) < 0)
		fprintf(stderr, "%s: the directory was not replaced: %s\n", c->node.name, err.msg);
	else
		fprintf(stderr, "%s: directory %s read again\n", c->node.name, c->directory.file);
}

static void control_loop(
	struct betanet *b, const struct config *c, const struct options *o, struct audit *audit)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	time_t last = time(NULL), last_print = last;
	bool late = false;
	struct betanet_stats seen = {0};

	while (!stop_signal) {
		time_t now = time(NULL);

		if (betanet_poll(b) == 0)
			nanosleep(&nap, NULL);
		if (reload_signal)
			reload(b, c, audit);
		if (now != last) {
			watch_latency(b, c, &late);
			watch_epochs(b, c, &seen);
			watch_loops(b, c);
			audit_poll(audit, b);
		}
		last = now;
		if (o->stats_period_s && now - last_print >= (time_t)o->stats_period_s) {
			print_line(b);
			last_print = now;
		}
	}
}

static void print_summary(
	const struct betanet *b, const struct config *c, const struct betanet_stop_report *r)
{
	struct betanet_stats s;

	betanet_stats_get(b, &s);
	printf("%s: stopped after %.1f s by signal %d\n", c->node.name, s.uptime_s,
		(int)stop_signal);
	print_line(b);
	for (unsigned i = 1; i < betanet_drop_count(); i++)
		if (s.drops[i])
			printf("  dropped %-20s %10" PRIu64 "  %s\n", betanet_drop_name(i),
				s.drops[i], drop_text((enum drop_reason)i));
	printf("drain: %" PRIu64 " packets left in their time, %" PRIu64
	       " dropped at the deadline of %u ms, %.3f s\n",
		r->flushed, r->dropped, c->pipeline.drain_ms, r->seconds);
	printf("pool: %u of %u buffers free", r->pool_free, r->pool_size);
	if (r->pool_kept)
		printf(", %u kept by the driver's fill rings", r->pool_kept);
	puts(r->pool_free + r->pool_kept == r->pool_size ? " (full again)"
							 : " (buffers are missing)");
	fflush(stdout);
}

static int run(const struct config *c, const struct options *o)
{
	struct betanet_stop_report report;
	struct audit *audit = NULL;
	struct betanet *b;
	struct error err;
	int r = relay_create(c, &b, &err);

	if (r == 0)
		relay_print_pool(c, stdout);
	if (r == 0 && ((r = audit_create(c, &audit, &err)) < 0 ||
			      (r = audit_directory(audit, b, &err)) < 0 ||
			      (r = betanet_start(b, err.msg)) < 0)) {
		audit_free(audit);
		betanet_destroy(b);
	}
	if (r < 0) {
		fprintf(stderr, "betanet-mixnode: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	if (strcmp(c->replay.file, "none") == 0)
		fprintf(stderr,
			"%s: replay.file = \"none\": after a restart with the same Sphinx key, "
			"packets sent before it are "
			"accepted again\n",
			c->node.name);
	printf("%s: running, %u worker%s\n", c->node.name, c->pipeline.workers,
		c->pipeline.workers == 1 ? "" : "s");
	fflush(stdout);
	if (c->vrf.mode == DELAY_NONE)
		fprintf(stderr,
			"%s: WARNING: vrf.mode = \"none\": packets are not delayed, so this relay "
			"does not mix. For labs only\n",
			c->node.name);
	control_loop(b, c, o, audit);
	audit_free(audit);
	r = betanet_stop(b, c->pipeline.drain_ms, &report);
	print_summary(b, c, &report);
	betanet_destroy(b);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int install_signals(void)
{
	const struct sigaction sa = {.sa_handler = on_signal};
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &sa, NULL) < 0)
			return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct config *c = calloc(1, sizeof(*c));
	struct error err;
	int eal_argc, r = split_arguments(argc, argv, &o, &eal_argc);

	if (r != 0 || !c)
		return r ? r : EXIT_FAILURE;
	if (secmem_init(&err) < 0 || config_load(o.config, c, &err) < 0) {
		fprintf(stderr, "betanet-mixnode: %s\n", err.msg);
		free(c);
		return EXIT_FAILURE;
	}
	if (o.check) {
		r = relay_check(c, stdout, &err);
		if (r < 0)
			fprintf(stderr, "betanet-mixnode: %s\n", err.msg);
		free(c);
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	apply_simd_limit(eal_argc, argv, c);
	if (install_signals() < 0 || rte_eal_init(eal_argc, argv) < 0) {
		fprintf(stderr, "betanet-mixnode: EAL did not start: %s\n",
			rte_strerror(rte_errno));
		free(c);
		return EXIT_FAILURE;
	}
	r = run(c, &o);
	rte_eal_cleanup();
	free(c);
	return r;
}
