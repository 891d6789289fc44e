/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A load for a network of relays, and the judge of what comes back. The main lcore
 * is the console, the first worker lcore generates, the second is the sink; before the run both
 * build the packets and, for --rate auto, measure what the CPUs can do.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/bytes.h"
#include "core/file.h"
#include "crypto/crypto.h"
#include "capacity.h"
#include "network.h"
#include "report.h"

enum {
	EXIT_USAGE = 2,
	POLL_NS = 50 * 1000 * 1000,
};

static const uint64_t second_ns = UINT64_C(1000000000);

/* Set by signals: the first ends the sending, the second also the waiting. */
static volatile sig_atomic_t signals;
static atomic_bool stop_sending, stop_receiving;

static void on_signal(int number)
{
	(void)number;
	signals++;
	atomic_store(&stop_sending, true);
}

static void catch_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal};

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

/* All that main builds up and tears down. */
struct lab {
	struct options options;
	struct directory *directory;
	struct store *store;
	struct ethport tx_port, rx_port;
	struct generator generator;
	struct sink sink;
	struct relay relays[OPTIONS_MAX_RELAYS];
	_Atomic uint64_t *sent_ns;
	unsigned lcores[2]; /* generator, sink */
	double capacity;    /* packets that both unwrap per second; 0: --rate was given */
};

static int load_authority(const char *text, uint8_t key[32], struct error *err)
{
	uint8_t *data;
	size_t len;
	int rc;

	if (hex_decode(key, 32, text) == 0)
		return 0;
	rc = file_read(text, 1024, &data, &len, err);
	if (rc)
		return rc;
	data[strcspn((char *)data, "\r\n \t")] = 0;
	rc = hex_decode(key, 32, (char *)data);
	free(data);
	return rc ? error_set(err, EINVAL,
			    "--authority: %s does not start with the 64 hex digits of a key", text)
		  : 0;
}

static int choose_lcores(struct lab *lab, struct error *err)
{
	unsigned n = 0, id = UINT_MAX; /* before the first */

	while (n < 2 && (id = rte_get_next_lcore(id, 1, 0)) < RTE_MAX_LCORE)
		lab->lcores[n++] = id;
	if (n == 2)
		return 0;
	return error_set(err, ENOSPC,
		"%u lcores are not enough: console, generator and sink need 3; on fewer cores: "
		"--lcores '0@0,1@0,2@0'",
		rte_lcore_count());
}

struct builder {
	struct store *store;
	struct error error;
};

static int builder_run(void *arg)
{
	struct builder *b = arg;

	return store_build(b->store, &b->error);
}

static bool workers_running(const struct lab *lab)
{
	return rte_eal_get_lcore_state(lab->lcores[0]) == RUNNING ||
	       rte_eal_get_lcore_state(lab->lcores[1]) == RUNNING;
}

static int build_packets(struct lab *lab, struct error *err)
{
	struct builder builders[2] = {{.store = lab->store}, {.store = lab->store}};
	uint64_t start = ethport_now(), line = start + second_ns;
	int rc = 0;

	printf("building %" PRIu64 " packets of %zu bytes (%" PRIu64 " MB)\n", lab->store->count,
		lab->store->size, store_memory(&lab->store->params) >> 20);
	fflush(stdout);
	for (unsigned i = 0; i < 2; i++)
		rte_eal_remote_launch(builder_run, &builders[i], lab->lcores[i]);
	while (workers_running(lab)) {
		ethport_sleep_ns(POLL_NS / 10);
		if (signals)
			atomic_store(&lab->store->stop, true);
		if (ethport_now() < line)
			continue;
		printf("  built %" PRIu64 " of %" PRIu64 " (%.0f %%)\n",
			atomic_load(&lab->store->done), lab->store->count,
			100.0 * (double)atomic_load(&lab->store->done) / (double)lab->store->count);
		fflush(stdout);
		line += second_ns;
	}
	for (unsigned i = 0; i < 2; i++) {
		int failed = rte_eal_wait_lcore(lab->lcores[i]);

		if (failed && !rc) {
			rc = failed;
			*err = builders[i].error;
		}
	}
	if (!rc && signals)
		return error_set(err, EINTR, "interrupted while packets were built");
	if (!rc)
		printf("built %" PRIu64 " packets, %.0f a second\n", lab->store->count,
			(double)lab->store->count * 1e9 / (double)(ethport_now() - start));
	return rc;
}

/* For --rate auto. The relays wait meanwhile: they have nothing to do yet. */
static int measure_capacity(struct lab *lab, struct error *err)
{
	struct capacity part[2];
	int rc = 0;

	for (unsigned i = 0; i < 2; i++) {
		part[i] = (struct capacity){
			.payload_size = lab->options.payload_size, .stop = &stop_sending};
		rte_eal_remote_launch(capacity_measure, &part[i], lab->lcores[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		int failed = rte_eal_wait_lcore(lab->lcores[i]);

		lab->capacity += part[i].per_second;
		if (failed && !rc) {
			rc = failed;
			*err = part[i].error;
		}
	}
	if (!rc && signals)
		rc = error_set(err, EINTR, "interrupted while the CPUs were measured");
	if (!rc)
		printf("two threads unwrap %.0f packets a second here, one at a time\n",
			lab->capacity);
	return rc;
}

static int make_store(struct lab *lab, struct error *err)
{
	const struct options *o = &lab->options;
	struct store_params p = {.directory = lab->directory,
		.good = o->packets,
		.faults = o->faults,
		.hops = (unsigned)o->hops,
		.version = (uint16_t)o->version,
		.payload_size = o->payload_size,
		.message_size = o->message_size,
		.mean_delay_ms = o->mean_delay_ms,
		.destination = o->rx_address};
	int rc = store_create(&p, &lab->store, err);

	return rc ? rc : build_packets(lab, err);
}

static int open_network(struct lab *lab, struct error *err)
{
	const struct options *o = &lab->options;
	uint8_t authority[32];
	int rc = o->chain.hops ? chain_directory(&o->chain, &lab->directory, err)
			       : load_authority(o->authority, authority, err);

	if (!rc && !o->chain.hops)
		rc = directory_load(
			o->directory, authority, (uint64_t)time(NULL), &lab->directory, err);
	if (!rc)
		rc = choose_lcores(lab, err);
	if (!rc)
		rc = ethport_open(&lab->tx_port, o->tx_port, err);
	if (!rc)
		rc = ethport_open(&lab->rx_port, o->rx_port, err);
	return rc;
}

/* Every relay answers and says that it runs; its counters at that moment are the baseline. */
static int wait_for_relays(struct lab *lab, uint64_t deadline, struct error *err)
{
	for (unsigned i = 0; i < lab->options.relay_count; i++) {
		struct relay *r = &lab->relays[i];
		int rc;

		while ((rc = relay_read_state(r, err)) != 0 || strcmp(r->state, "run") != 0) {
			if (signals)
				return error_set(err, EINTR, "interrupted");
			if (ethport_now() > deadline)
				return rc ? rc
					  : error_set(err, ETIMEDOUT,
						    "relay %s is in the state \"%s\", not in "
						    "\"run\"",
						    r->name, r->state);
			ethport_sleep_ns(POLL_NS);
		}
		rc = relay_read_sample(r, &r->first, err);
		if (rc)
			return rc;
		r->last = r->first;
	}
	return 0;
}

static int connect_network(struct lab *lab, struct error *err)
{
	const struct options *o = &lab->options;
	uint64_t deadline = ethport_now() + o->wait * second_ns;
	int rc;

	for (unsigned i = 0; i < o->relay_count; i++)
		relay_init(&lab->relays[i], o->relays[i].name, o->relays[i].socket);
	rc = ethport_start(&lab->rx_port, deadline, &stop_sending, err);
	if (!rc)
		rc = ethport_start(&lab->tx_port, deadline, &stop_sending, err);
	return rc ? rc : wait_for_relays(lab, deadline, err);
}

static int prepare_lcores(struct lab *lab, struct report *report, struct error *err)
{
	const struct options *o = &lab->options;
	struct generator *g = &lab->generator;
	struct sink *s = &lab->sink;
	int rc = generator_init(g, &lab->tx_port, lab->store, &o->tx_address, &o->gateway, err);

	if (!rc)
		rc = sink_init(s, &lab->rx_port, lab->store, &o->rx_address, err);
	lab->sent_ns = calloc(lab->store->params.good, sizeof(*lab->sent_ns));
	if (!rc && !lab->sent_ns)
		rc = error_set(err, ENOMEM, "no memory for the send times");
	if (rc)
		return rc;
	g->sent_ns = lab->sent_ns;
	s->sent_ns = lab->sent_ns;
	g->stop = &stop_sending;
	s->stop = &stop_receiving;
	g->poisson = o->poisson;
	g->spin = s->spin = o->spin;
	g->rate = (double)o->rate;
	if (o->rate == 0)
		g->rate = capacity_rate(lab->capacity, (unsigned)o->hops);
	g->resolve_deadline = ethport_now() + o->wait * second_ns;
	*report = (struct report){.options = o,
		.store = lab->store,
		.generator = g,
		.sink = s,
		.relays = lab->relays,
		.relay_count = o->relay_count,
		.rate = g->rate};
	return 0;
}

static int read_relays(struct lab *lab, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < lab->options.relay_count; i++) {
		struct relay *r = &lab->relays[i];
		struct relay_sample s;

		rc = relay_read_sample(r, &s, err);
		if (!rc)
			r->last = s;
	}
	return rc;
}

static uint64_t longest_delay(const struct store *s)
{
	uint64_t longest = 0;

	for (uint64_t i = 0; i < s->params.good; i++)
		if (s->packets[i].delay_ns > longest)
			longest = s->packets[i].delay_ns;
	return longest;
}

/* Has loss become certain? After everything was sent, the longest delay is over, and nothing came
 * for the time of grace. */
static bool nothing_comes(const struct lab *lab, uint64_t now)
{
	uint64_t quiet = lab->generator.end_ns + longest_delay(lab->store);
	uint64_t last = atomic_load(&lab->sink.last_ns);

	return now > (last > quiet ? last : quiet) + lab->options.grace * second_ns;
}

/* The console while packets are under way: a line a second. Returns the first error of a relay's
 * telemetry, after which the others are still waited for. */
static int watch(struct lab *lab, struct report *report, struct error *err)
{
	uint64_t line = ethport_now() + second_ns;
	int rc = 0;

	for (;;) {
		bool sending = rte_eal_get_lcore_state(lab->lcores[0]) == RUNNING;
		uint64_t now;

		ethport_sleep_ns(POLL_NS);
		now = ethport_now();
		if (rc == 0 && (now >= line || !sending))
			rc = read_relays(lab, err);
		if (now >= line) {
			report_live(report, stdout);
			line += second_ns;
		}
		if (signals > 1)
			break;
		if (!sending && (report_complete(report) || nothing_comes(lab, now)))
			break;
	}
	report->interrupted = signals > 0;
	atomic_store(&stop_sending, true);
	atomic_store(&stop_receiving, true);
	rte_eal_mp_wait_lcore();
	return rc;
}

static int run(struct lab *lab, struct error *err)
{
	struct report report;
	unsigned problems;
	int rc = prepare_lcores(lab, &report, err), unread;

	if (rc)
		return rc;
	printf("sending %" PRIu64 " packets at %.0f a second\n", lab->store->slot_count,
		report.rate);
	fflush(stdout);
	rte_eal_remote_launch(sink_run, &lab->sink, lab->lcores[1]);
	rte_eal_remote_launch(generator_run, &lab->generator, lab->lcores[0]);
	unread = watch(lab, &report, err);

	report_summary(&report, stdout);
	problems = report_problems(&report, stdout);
	if (unread) {
		printf("problem: %s\n", err->msg);
		problems++;
	}
	printf("%s\n",
		problems ? "FAILED" : "passed: every packet came back with its right content");
	fflush(stdout);
	if (lab->options.latencies) {
		rc = report_latencies(&report, lab->options.latencies, err);
		if (rc)
			return rc;
	}
	if (lab->options.json) {
		rc = report_json(&report, lab->options.json, err);
		if (rc)
			return rc;
	}
	while (lab->options.hold && !signals)
		ethport_sleep_ns(POLL_NS);
	return problems ? error_set(err, EIO, "%u problems, see above", problems) : 0;
}

static void close_lab(struct lab *lab)
{
	for (unsigned i = 0; i < lab->options.relay_count; i++)
		relay_close(&lab->relays[i]);
	ethport_close(&lab->tx_port);
	ethport_close(&lab->rx_port);
	generator_free(&lab->generator);
	sink_free(&lab->sink);
	free(lab->sent_ns);
	store_free(lab->store);
	directory_free(lab->directory);
}

static int lab_main(struct lab *lab, struct error *err)
{
	int rc = crypto_init(0, err);

	if (!rc)
		rc = open_network(lab, err);
	if (!rc)
		rc = make_store(lab, err);
	if (!rc && lab->options.rate == 0)
		rc = measure_capacity(lab, err);
	if (!rc)
		rc = connect_network(lab, err);
	if (!rc)
		rc = run(lab, err);
	return rc;
}

int network_main(int argc, char **argv, int own)
{
	static struct lab lab;
	struct error err = {""};
	int rc = options_parse(&lab.options, argc - own, argv + own, &err);

	if (rc) {
		fprintf(stderr, "betanet-testmix: %s\n", err.msg);
		return EXIT_USAGE;
	}
	if (lab.options.help) {
		puts("betanet-testmix [EAL options] -- [options]");
		options_describe(stdout);
		return 0;
	}
	catch_signals();
	if (rte_eal_init(own ? own : 1, argv) < 0) {
		fprintf(stderr, "betanet-testmix: EAL did not start: %s\n",
			rte_strerror(rte_errno));
		return 1;
	}
	for (unsigned i = 0; i < OPTIONS_MAX_RELAYS; i++)
		lab.relays[i].fd = -1;
	rc = lab_main(&lab, &err);
	if (rc)
		fprintf(stderr, "betanet-testmix: %s\n", err.msg);
	close_lab(&lab);
	rte_eal_cleanup();
	return rc ? 1 : 0;
}
