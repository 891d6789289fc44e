/* SPDX-License-Identifier: BSD-3-Clause */
/* Wires, and a run of the lab's generator and sink as the main lcore sees it. */
#include "traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_ring.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "pipeline/burst.h"
#include "sphinx/frame.h"
#include "sphinx/packet.h"
#include "wire.h"

enum { MBUFS = 32767, SINK_MBUFS = 511 };

/* ---- by the first bytes to the packet ---- */

struct traffic_hash {
	uint64_t mask;
	uint32_t slot[]; /* packet + 1; 0: free */
};

static uint64_t home(const struct traffic_hash *h, uint64_t key)
{
	return key & h->mask; /* alpha and messages are random */
}

static uint64_t key_of(const struct traffic *t, uint32_t packet)
{
	return t->packets[packet].mark[t->view].key;
}

uint32_t traffic_find(const struct traffic_hash *h, const struct traffic *t, uint64_t key)
{
	for (uint64_t i = home(h, key); h->slot[i]; i = (i + 1) & h->mask)
		if (key_of(t, h->slot[i] - 1) == key)
			return h->slot[i] - 1;
	return UINT32_MAX;
}

/* Of a sphinx engine only the good ones come back. */
static bool comes_back(const struct traffic *t, uint32_t packet)
{
	return t->view == TRAFFIC_SAME || t->packets[packet].kind == TRAFFIC_GOOD;
}

static int make_hash(struct traffic *t, struct error *err)
{
	uint64_t size = 1024;

	while (size < 2 * t->packet_count)
		size *= 2;
	free(t->hash);
	t->hash = calloc(1, sizeof(*t->hash) + size * sizeof(t->hash->slot[0]));
	if (!t->hash)
		return error_set(err, ENOMEM, "no memory for the sink's table");
	t->hash->mask = size - 1;
	for (uint32_t p = 0; p < t->packet_count; p++) {
		uint64_t i = home(t->hash, key_of(t, p));

		if (!comes_back(t, p))
			continue;
		while (t->hash->slot[i])
			i = (i + 1) & t->hash->mask;
		t->hash->slot[i] = p + 1;
	}
	return 0;
}

/* ---- wires ---- */

/* Pairs of ports: what one sends, the other receives. The engine's ends come first. */
static int make_wires(unsigned depth, unsigned queues, struct error *err)
{
	static const char *const name[] = {TRAFFIC_NEAR_ENDS, "gen", "sink"};
	enum { ENDS = sizeof(name) / sizeof(name[0]) };
	struct rte_ring *ring[ENDS][TRAFFIC_QUEUES];
	char text[RTE_RING_NAMESIZE];

	for (unsigned i = 0; i < ENDS * queues; i++) {
		struct rte_ring **r = &ring[i / queues][i % queues];

		snprintf(text, sizeof(text), "%s_%u", name[i / queues], i % queues);
		*r = rte_ring_create(text, depth, SOCKET_ID_ANY,
			RING_F_EXACT_SZ | RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!*r)
			return error_set(err, rte_errno, "no memory for a wire of %u packets: %s",
				depth, rte_strerror(rte_errno));
	}
	for (unsigned i = 0; i < ENDS; i++)
		if (rte_eth_from_rings(
			    name[i], ring[i], queues, ring[(i + ENDS / 2) % ENDS], queues, 0) < 0)
			return error_set(err, rte_errno ? rte_errno : EIO,
				"port %s cannot be made of rings: %s", name[i],
				rte_strerror(rte_errno));
	return 0;
}

int traffic_create(const struct cli_options *o, const unsigned lcore[2], struct traffic **out,
	struct error *err)
{
	/* the generator's buffers go through the rings into the engine and back */
	const uint16_t priv = RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN);
	const unsigned queues = (unsigned)o->lcores;
	struct traffic *t = calloc(1, sizeof(*t));
	struct rte_ether_addr mac;
	uint16_t id;
	int rc;

	if (!t)
		return error_set(err, ENOMEM, "no memory for the generator");
	*out = t;
	t->lcore[0] = lcore[0];
	t->lcore[1] = lcore[1];
	t->sleep = o->sleep;
	t->last_port = 1;
	t->payload_size = o->payload_size;
	t->frame_size = WIRE_HEADERS + FRAME_SIZE + SPHINX_HEADER_SIZE + t->payload_size;
	randombytes_buf(t->digest_key, sizeof(t->digest_key));
	if (queues > TRAFFIC_QUEUES)
		return error_set(err, EINVAL, "--nb-cores %u: wires have at most %d queues", queues,
			TRAFFIC_QUEUES);
	rc = make_wires((unsigned)o->rxd, queues, err);
	if (!rc)
		rc = ethport_open_wide(&t->gen, "net_ring_gen", queues, MBUFS, priv, err);
	if (!rc)
		rc = ethport_open_wide(&t->sink, "net_ring_sink", queues, SINK_MBUFS, priv, err);
	if (!rc)
		rc = ethport_start(&t->gen, ethport_now(), &t->stop, err);
	if (!rc)
		rc = ethport_start(&t->sink, ethport_now(), &t->stop, err);
	if (!rc && rte_eth_dev_get_port_by_name("net_ring_mix0", &id) == 0 &&
		rte_eth_macaddr_get(id, &mac) == 0)
		memcpy(t->mix_mac, mac.addr_bytes, 6);
	return rc;
}

void traffic_free(struct traffic *t)
{
	if (!t)
		return;
	traffic_stop(t);
	ethport_close(&t->gen);
	ethport_close(&t->sink);
	free(t->frames);
	free(t->packets);
	free(t->slots);
	free(t->seen);
	free((void *)t->sent_ns);
	free(t->hash);
	free(t);
}

/* ---- a run ---- */

static void clear_run(struct traffic *t)
{
	memset(t->seen, 0, t->packet_count);
	memset((void *)t->sent_ns, 0, t->packet_count * sizeof(*t->sent_ns));
	for (unsigned k = 0; k < TRAFFIC_KINDS; k++)
		atomic_store(&t->sent[k], 0);
	atomic_store(&t->refused, 0);
	atomic_store(&t->first_ns, 0);
	atomic_store(&t->end_ns, 0);
	atomic_store(&t->returned, 0);
	atomic_store(&t->again, 0);
	atomic_store(&t->corrupt, 0);
	atomic_store(&t->foreign, 0);
	atomic_store(&t->early, 0);
	atomic_store(&t->last_ns, 0);
	atomic_store(&t->resolved, false);
	atomic_store(&t->stop_sending, false);
	atomic_store(&t->stop, false);
	memset(&t->lag, 0, sizeof(t->lag));
	memset(&t->residence, 0, sizeof(t->residence));
	memset(&t->lateness, 0, sizeof(t->lateness));
	t->judged = false;
}

int traffic_start(struct traffic *t, const struct cli_options *o, const struct traffic_engine *e,
	struct error *err)
{
	int rc;

	clear_run(t);
	t->view = e->view;
	t->replays_come = e->replays_come;
	t->delays = e->holds;
	t->delays_known = e->delays_known;
	t->resolve = e->resolve;
	t->extra_ns = e->extra_ns;
	t->grace_ns = o->grace * UINT64_C(1000000000);
	schedule_init(&t->schedule, o->rate, o->poisson);
	rc = make_hash(t, err);
	if (rc)
		return rc;
	if (rte_eal_remote_launch(traffic_receive, t, t->lcore[1]) < 0)
		return error_set(err, EBUSY, "lcore %u is busy", t->lcore[1]);
	t->running = true;
	if (rte_eal_remote_launch(traffic_generate, t, t->lcore[0]) < 0) {
		traffic_stop(t);
		return error_set(err, EBUSY, "lcore %u is busy", t->lcore[0]);
	}
	return 0;
}

void traffic_stop_sending(struct traffic *t)
{
	atomic_store(&t->stop_sending, true);
}

void traffic_stop(struct traffic *t)
{
	if (!t->running)
		return;
	atomic_store(&t->stop_sending, true);
	atomic_store(&t->stop, true);
	rte_eal_wait_lcore(t->lcore[0]);
	rte_eal_wait_lcore(t->lcore[1]);
	t->running = false;
	t->judged = true;
}

uint64_t traffic_expected(const struct traffic *t)
{
	uint64_t n = atomic_load(&t->sent[TRAFFIC_GOOD]);

	if (t->view == TRAFFIC_SAME)
		n += atomic_load(&t->sent[TRAFFIC_BAD]) + atomic_load(&t->sent[TRAFFIC_COVER]);
	return n;
}

static uint64_t expected_again(const struct traffic *t)
{
	return t->replays_come ? atomic_load(&t->sent[TRAFFIC_REPLAYED]) : 0;
}

bool traffic_complete(const struct traffic *t)
{
	return atomic_load(&t->end_ns) && atomic_load(&t->returned) >= traffic_expected(t) &&
	       atomic_load(&t->again) >= expected_again(t);
}

/* Certain: the longest delay is over, and nothing came for the time of grace. */
void traffic_poll(struct traffic *t)
{
	uint64_t end = atomic_load(&t->end_ns), last = atomic_load(&t->last_ns), quiet;

	if (!t->running || t->judged || end == 0)
		return;
	quiet = end + (t->delays ? t->longest_ns + t->extra_ns : 0);
	if (traffic_complete(t) || ethport_now() > (last > quiet ? last : quiet) + t->grace_ns)
		t->judged = true;
}

/* ---- what people see ---- */

static void print_times(const char *name, const struct histogram *h, FILE *out)
{
	if (h->count == 0)
		return;
	fprintf(out,
		"  %-9s ms: min %.3f, mean %.3f, p50 %.3f, p90 %.3f, p99 %.3f, p99.9 %.3f, max "
		"%.3f\n",
		name, (double)h->min / 1e6, histogram_mean(h) / 1e6,
		(double)histogram_quantile(h, 0.5) / 1e6, (double)histogram_quantile(h, 0.9) / 1e6,
		(double)histogram_quantile(h, 0.99) / 1e6,
		(double)histogram_quantile(h, 0.999) / 1e6, (double)h->max / 1e6);
}

static void print_rate(const struct traffic *t, uint64_t sent, uint64_t refused, FILE *out)
{
	uint64_t first = atomic_load(&t->first_ns), end = atomic_load(&t->end_ns);
	double seconds = end > first ? (double)(end - first) / 1e9 : 0;

	if (t->schedule.rate)
		fprintf(out, "  offered: %" PRIu64 " packets/s, %s arrivals", t->schedule.rate,
			t->schedule.poisson ? "Poisson" : "constant");
	else
		fprintf(out, "  offered: as fast as they are taken");
	if (seconds > 0)
		fprintf(out, "; %.0f packets/s over %.3f s", (double)(sent + refused) / seconds,
			seconds);
	fprintf(out, "\n");
}

void traffic_print(const struct traffic *t, FILE *out)
{
	static const char line[] = "---------------------------";
	uint64_t sent[TRAFFIC_KINDS], all = 0, back = atomic_load(&t->returned),
				      refused = atomic_load(&t->refused),
				      expected = traffic_expected(t);

	for (unsigned k = 0; k < TRAFFIC_KINDS; k++)
		all += sent[k] = atomic_load(&t->sent[k]);
	fprintf(out, "\n  %s Generator and sink %s\n", line, line);
	fprintf(out, "  state: %s\n",
		t->judged                   ? "judged"
		: !t->running               ? "idle"
		: atomic_load(&t->end_ns)   ? "draining"
		: atomic_load(&t->first_ns) ? "sending"
					    : "resolving");
	print_rate(t, all, refused, out);
	fprintf(out,
		"  sent: %" PRIu64 " of %" PRIu64 " (good %" PRIu64 ", bad %" PRIu64
		", cover %" PRIu64 ", replayed %" PRIu64 "), not taken: %" PRIu64 "\n",
		all, t->slot_count, sent[TRAFFIC_GOOD], sent[TRAFFIC_BAD], sent[TRAFFIC_COVER],
		sent[TRAFFIC_REPLAYED], refused);
	fprintf(out,
		"  returned: %" PRIu64 " of %" PRIu64 ", %s: %" PRIu64 " (%.4f %%), again: %" PRIu64
		", corrupt: %" PRIu64 ", foreign: %" PRIu64 ", early: %" PRIu64 "\n",
		back, expected, t->judged ? "lost" : "under way",
		expected > back ? expected - back : 0,
		expected > back ? 100.0 * (double)(expected - back) / (double)expected : 0,
		atomic_load(&t->again), atomic_load(&t->corrupt), atomic_load(&t->foreign),
		atomic_load(&t->early));
	if (t->judged) {
		print_times("residence", &t->residence, out);
		print_times("lateness", &t->lateness, out);
		print_times("send lag", &t->lag, out);
	}
	fprintf(out, "  %s--------------------%s\n", line, line);
}
