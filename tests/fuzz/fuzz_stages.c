/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_stages ITERATIONS [SEED]: random and mutated frames through the stages of a worker, from
 * parse to the wheel, meant to run under sanitizers (make fuzz). The same seed gives the same run.
 *
 * A model says for each frame what must become of it: which counter, or which bytes leave the
 * wheel. It asks link_parse about a copy in memory of exactly the frame's size, lib/sphinx's single
 * unwrap about the packet, and knows the rest by itself. After each burst every counter, every
 * parked packet, every frame for the control lcore and the number of free mbufs must agree.
 */
#include "frames.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <unistd.h>
#include "core/secmem.h"
#include "pipeline/pipeline.h"

enum {
	POOL_SIZE = 2 * BURST_MAX + 63,
	CONTROL_SIZE = 32, /* so small that it sometimes overflows */
	EPOCH = 8,         /* bursts until the replay table is new and the relay another */
	CURVES = 2,
};

/* What must become of a frame. */
struct fate {
	enum { DROPPED, CONTROLLED, TAKEN, PARKED } kind;
	enum drop_reason why;
	bool processed, either_point_or_mac;
	struct sphinx_hop hop;
	const uint8_t *bytes; /* parked: what is sent, within `packet` */
	size_t len;
	uint8_t packet[PACKET];
};

static struct {
	struct betanet b;
	struct worker w;
	struct snapshot *s;
	struct sphinx_burst *curve[CURVES];
	struct rte_mempool *pool;
	unsigned epoch;
} relay;
static struct frame frames[BURST_MAX];
static struct fate fates[BURST_MAX];
static uint64_t kinds[KINDS], parked_total, bursts;

static void finding(const char *what, unsigned i)
{
	fprintf(stderr, "\nfuzz_stages: frames from %llu on, seed %llu: %s (frame %u, %zu bytes:",
		(unsigned long long)fuzz_iteration, (unsigned long long)fuzz_seed, what, i,
		i < BURST_MAX ? frames[i].len : 0);
	for (size_t k = 0; i < BURST_MAX && k < frames[i].len && k < 128; k++)
		fprintf(stderr, " %02x", frames[i].data[k]);
	fprintf(stderr, ")\n");
	abort();
}

/* ---- the relay ---- */

static void open_table(void)
{
	const struct replay_params p = {.capacity = 1024};
	struct error err;

	replay_close(relay.b.replay);
	relay.b.replay = NULL;
	frames_must(replay_open(&p, &relay.b.replay, &err) == 0, "no replay table");
	relay.epoch++;
}

static void make_directory(struct directory *d, struct directory_node nodes[5])
{
	*d = (struct directory){.count = 5, .nodes = nodes};
	for (unsigned i = 0; i < d->count; i++) {
		nodes[i] = (struct directory_node){.addresses = 1};
		frames_must(
			endpoint_parse(&nodes[i].address[0], frames_address[i]) == 0, "endpoint");
	}
}

static void make_relay(void)
{
	static const char *const nets[] = {"10.0.2.0/24", "172.0.0.0/8", "2001:db8::/32"};
	static struct cidr allow[3];
	static struct directory d;
	static struct directory_node nodes[5];
	struct betanet *b = &relay.b;
	struct wheel_params wp = {
		.tick = rte_get_tsc_hz() / 50,
		.horizon = rte_get_tsc_hz() * 11,
		.capacity = BURST_MAX,
		.now = rte_rdtsc(),
	};
	struct error err;

	betanet_config_init(&b->cfg);
	b->cfg.payload_size = PAYLOAD;
	b->cfg.udp_port = UDP_PORT;
	b->packet_size = PACKET;
	b->hz = rte_get_tsc_hz();
	b->sphinx_secret = frames_secret;
	b->exit_allow = allow;
	b->exit_allow_count = 3;
	for (unsigned i = 0; i < 3; i++)
		frames_must(cidr_parse(&allow[i], nets[i]) == 0, "prefix");
	b->port_count = PORTS;
	b->delay_mode = DELAY_SENDER;
	for (unsigned i = 0; i < PORTS; i++) {
		const struct link_host *h = &frames_host[i];
		struct betanet_port *c = &b->ports[i].cfg;

		b->ports[i].host = *h;
		*c = (struct betanet_port){
			.has_ipv4 = true, .has_ipv6 = true, .bits4 = 24, .bits6 = 64};
		memcpy(c->ipv4, h->ipv4, 4);
		memcpy(c->ipv6, h->ipv6, 16);
	}
	b->ports[1].cfg.has_gateway6 = true;
	memcpy(b->ports[1].cfg.gateway6, frames_peer[1].ipv6, 16);
	make_directory(&d, nodes);
	b->directory = &d;
	b->control_rx = rte_ring_create("fuzz_control", CONTROL_SIZE, SOCKET_ID_ANY, 0);
	relay.pool = rte_pktmbuf_pool_create("fuzz_pool", POOL_SIZE, 0,
		RTE_ALIGN(sizeof(struct packet_meta), RTE_MBUF_PRIV_ALIGN),
		RTE_PKTMBUF_HEADROOM + FRAME_MAX, SOCKET_ID_ANY);
	frames_must(b->control_rx && relay.pool && snapshot_publish(b, &err) == 0 &&
			    wheel_create(&wp, &relay.w.wheel, &err) == 0,
		"no relay");
	relay.s = atomic_load(&b->snapshot);
	relay.w.b = b;
	for (unsigned i = 0; i < CURVES; i++) {
		/* AUTO takes one or the other by the clock: no run would be like another */
		relay.curve[i] = sphinx_burst_create(i ? SPHINX_CURVE_PAIR : SPHINX_CURVE_LADDER);
		frames_must(relay.curve[i] != NULL, "no locked memory");
	}
	open_table();
}

/* None, or limits that no burst exceeds: what they refuse is strangers, where it is told to. */
static void make_admission(void)
{
	struct error err;

	admission_free(&relay.b);
	relay.b.cfg.limits = (struct betanet_limits){
		.strangers = fuzz_below(4) != 0, .source_burst = 65536, .peer_burst = 65536};
	if (fuzz_below(2))
		relay.b.cfg.limits.source_pps = relay.b.cfg.limits.peer_pps = 100000000;
	frames_must(admission_create(&relay.b, &err) == 0, "no admission");
}

static void free_relay(void)
{
	admission_free(&relay.b);
	for (unsigned i = 0; i < CURVES; i++)
		sphinx_burst_free(relay.curve[i]);
	wheel_free(relay.w.wheel);
	replay_close(relay.b.replay);
	snapshot_reclaim(&relay.b, true);
	rte_ring_free(relay.b.control_rx);
	rte_mempool_free(relay.pool);
}

/* ---- the model ---- */

static struct fate *drop(struct fate *t, enum drop_reason why)
{
	t->kind = DROPPED;
	t->why = why;
	return t;
}

/* The first five addresses are the directory's. Which of them, or -1. */
static int model_node(const struct endpoint *e)
{
	struct endpoint known;

	for (int i = 0; i < 5; i++) {
		endpoint_parse(&known, frames_address[i]);
		if (known.family == e->family && known.port == e->port &&
			memcmp(known.ip, e->ip, sizeof(known.ip)) == 0)
			return i;
	}
	return -1;
}

/* The last of them is on no port. */
static enum drop_reason model_forward(const struct endpoint *to)
{
	int node = model_node(to);

	if (relay.s->expired)
		return DROP_directory_expired;
	if (node < 0)
		return DROP_unknown_next_hop;
	return node == 4 ? DROP_no_route : DROP_NONE;
}

static enum drop_reason model_destination(const struct endpoint *to)
{
	static const uint8_t near[3] = {10, 0, 2}, six[4] = {0x20, 1, 0x0d, 0xb8};
	bool far = to->family == 4 && to->ip[0] == 172;

	if (relay.b.cfg.role != BETANET_EXIT)
		return DROP_not_exit;
	if (to->port == 0 ||
		!(far || (to->family == 4 ? memcmp(to->ip, near, 3) : memcmp(to->ip, six, 4)) == 0))
		return DROP_exit_denied;
	return far ? DROP_no_route : DROP_NONE;
}

/* The relay is the directory's first node, whose address is the first one. */
static bool model_is_own(const struct endpoint *to)
{
	return model_node(to) == 0;
}

/* The message, or what only the maker of a reply block can read. */
static enum drop_reason model_message(struct fate *t)
{
	const uint8_t *payload = t->packet + SPHINX_HEADER_SIZE;
	size_t end = PAYLOAD;

	while (end > 16 && payload[end - 1] == 0)
		end--;
	if (sodium_is_zero(payload, 16) && end > 16 && payload[end - 1] == 1) {
		t->bytes = payload + 16;
		t->len = end - 1 - 16;
		return DROP_NONE;
	}
	if (t->hop.version != SPHINX_V260)
		return DROP_bad_payload;
	memcpy(t->packet + SPHINX_HEADER_SIZE - 16, t->hop.identifier, 16);
	t->bytes = payload - 16;
	t->len = 16 + PAYLOAD;
	return DROP_NONE;
}

/* A packet whose MAC holds. */
static struct fate *model_opened(struct fate *t, struct base *base)
{
	struct sphinx_secrets secrets = base->secrets;
	struct endpoint to;
	enum drop_reason why;

	if (base->seen == relay.epoch)
		return drop(t, DROP_replay);
	base->seen = relay.epoch;
	switch (sphinx_unwrap_finish(frames_crypto, t->packet, PACKET, &secrets, &t->hop)) {
	case SPHINX_ok:
		break;
	case SPHINX_bad_routing_flag:
		return drop(t, DROP_bad_routing_flag);
	default:
		return drop(t, DROP_unsupported_version);
	}
	t->processed = true;
	if (address_decode(t->hop.address, &to) != SPHINX_ok)
		return drop(t, DROP_bad_address);
	if (t->hop.flag == SPHINX_FLAG_FORWARD) {
		why = model_forward(&to);
		t->bytes = t->packet;
		t->len = PACKET;
	} else if (model_is_own(&to)) {
		t->kind = TAKEN;
		return t;
	} else {
		why = model_destination(&to);
		if (why == DROP_NONE)
			why = model_message(t);
	}
	return why == DROP_NONE ? t : drop(t, why);
}

/* Whether the packet's gamma is right; X25519 ignores bit 255 of alpha. */
static bool authentic(const struct frame *f, const uint8_t *packet)
{
	const uint8_t *own = f->base ? f->base->packet : NULL;

	if (!own || f->small_order)
		return false;
	return f->forged || (memcmp(packet, own, 31) == 0 && ((packet[31] ^ own[31]) & 0x7f) == 0 &&
				    memcmp(packet + 32, own + 32, SPHINX_HEADER_SIZE - 32) == 0);
}

static struct fate *model(const struct frame *f, struct fate *t, unsigned *controlled)
{
	struct link_view v;
	enum drop_reason why;
	struct endpoint from;
	uint8_t *copy;

	t->kind = PARKED;
	t->why = DROP_NONE;
	t->processed = t->either_point_or_mac = false;
	if (f->segments > 1)
		return drop(t, DROP_bad_length);
	if (f->ol_flags == RTE_MBUF_F_RX_IP_CKSUM_BAD || f->ol_flags == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return drop(t, DROP_bad_ip_checksum);
	copy = malloc(f->len ? f->len : 1);
	frames_must(copy != NULL, "out of memory");
	memcpy(copy, f->data, f->len);
	why = link_parse(&frames_host[f->port], f->len ? copy : copy + 1, f->len, &v);
	free(copy);
	if (why != DROP_NONE)
		return drop(t, why);
	if (v.kind == LINK_CONTROL) {
		t->kind = CONTROLLED;
		return ++*controlled < CONTROL_SIZE ? t : drop(t, DROP_control_full);
	}
	if (v.offset + v.len > f->len)
		finding("a datagram outside its frame", 0);
	if (v.len != DATAGRAM)
		return drop(t, DROP_bad_length);
	if (frame_check(f->data + v.offset, PAYLOAD) != 0)
		return drop(t, DROP_bad_frame);
	link_source(f->data, v.offset, &from);
	if (!relay.b.cfg.limits.strangers && model_node(&from) < 0)
		return drop(t, DROP_unknown_source);
	memcpy(t->packet, f->data + v.offset + FRAME_SIZE, PACKET);
	if (authentic(f, t->packet))
		return model_opened(t, f->base);
	/* the pair kernel refuses the twist */
	t->either_point_or_mac = !f->small_order;
	return drop(t, f->small_order ? DROP_bad_point : DROP_bad_mac);
}

/* ---- a burst ---- */

static struct rte_mbuf *to_mbuf(const struct frame *f, unsigned i)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(relay.pool), *tail;
	size_t first = f->segments > 1 ? f->len / 2 : f->len;

	frames_must(m != NULL, "the pool is empty");
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), f->data, first);
	if (f->segments > 1) {
		tail = rte_pktmbuf_alloc(relay.pool);
		frames_must(tail != NULL, "the pool is empty");
		memcpy(rte_pktmbuf_append(tail, (uint16_t)(f->len - first)), f->data + first,
			f->len - first);
		frames_must(rte_pktmbuf_chain(m, tail) == 0, "no chain");
	}
	m->port = (uint16_t)f->port;
	m->ol_flags = f->ol_flags;
	m->hash.usr = i;
	return m;
}

/* As worker.c does it. */
static void run_stages(struct burst *b, unsigned n)
{
	const uint64_t now = rte_rdtsc();
	struct wheel_item none;

	/* delays count from here: the wheel is empty, as check_parked left it */
	if (wheel_expire(relay.w.wheel, now, &none, 1) != 0)
		finding("the empty wheel gave something", BURST_MAX);
	b->n = n;
	for (unsigned i = 0; i < n; i++) {
		b->m[i] = to_mbuf(&frames[i], i);
		b->reason[i] = DROP_NONE;
	}
	stage_parse(&relay.w, b);
	stage_admit(&relay.w, b, relay.s);
	b->arrival = now;
	if (b->n) {
		stage_open(&relay.w, b);
		stage_replay(&relay.w, b);
		stage_draw(&relay.w, b);
		stage_finish(&relay.w, b);
		stage_route(&relay.w, b, relay.s);
		stage_delay(&relay.w, b);
	}
	if (b->n + b->dropped + rte_ring_count(relay.b.control_rx) != n)
		finding("a packet is neither parked nor dropped nor with control", BURST_MAX);
	burst_free_drops(b);
}

static uint64_t held(const struct sphinx_hop *hop)
{
	if (hop->flag == SPHINX_FLAG_FINAL)
		return 0;
	return RTE_MIN(RTE_MAX(hop->delay_ns, DELAY_SENDER_MIN_NS), DELAY_SENDER_MAX_NS);
}

/* Everything that is in the wheel. */
static void check_parked(unsigned n, bool done[])
{
	struct wheel_item item[BURST_MAX];
	unsigned got = wheel_flush(relay.w.wheel, item, BURST_MAX);

	if (wheel_count(relay.w.wheel) != 0)
		finding("the wheel is not empty", BURST_MAX);
	for (unsigned k = 0; k < got; k++) {
		struct rte_mbuf *m = item[k].obj;
		const struct packet_meta *meta = packet_meta(m);
		const unsigned i = m->hash.usr;
		const struct fate *t = &fates[i];

		if (i >= n || done[i] || t->kind != PARKED)
			finding("a packet was parked that must not be", i);
		done[i] = true;
		if (m->data_len != t->len || m->pkt_len != t->len ||
			memcmp(rte_pktmbuf_mtod(m, void *), t->bytes, t->len) != 0)
			finding("a parked packet has other bytes", i);
		if (meta->flag != t->hop.flag || meta->delay_ns != held(&t->hop) ||
			memcmp(meta->address, t->hop.address, SPHINX_ADDRESS_SIZE) != 0)
			finding("a parked packet goes elsewhere", i);
		if (meta->sum != rte_raw_cksum(t->bytes, t->len))
			finding("a parked packet has another sum", i);
		rte_pktmbuf_free(m);
	}
	parked_total += got;
}

/* Every frame for the control lcore, and what that makes of it in memory of exactly its size. */
static void check_controlled(unsigned n, bool done[])
{
	struct rte_mbuf *m;

	while (rte_ring_dequeue(relay.b.control_rx, (void **)&m) == 0) {
		const unsigned i = m->hash.usr;
		const size_t cap = fuzz_below(4) ? FRAME_MAX : fuzz_below(128);
		uint8_t *copy, *reply;
		struct link_learned l;
		size_t len;

		if (i >= n || done[i] || fates[i].kind != CONTROLLED)
			finding("control got a frame that is not for it", i);
		done[i] = true;
		if (m->data_len != frames[i].len ||
			memcmp(rte_pktmbuf_mtod(m, void *), frames[i].data, frames[i].len) != 0)
			finding("control got another frame", i);
		rte_pktmbuf_free(m);
		copy = malloc(frames[i].len);
		reply = malloc(cap ? cap : 1);
		frames_must(copy && reply, "out of memory");
		memcpy(copy, frames[i].data, frames[i].len);
		len = link_respond(
			&frames_host[frames[i].port], copy, frames[i].len, reply, cap, &l);
		if (len > cap || (len && len < 42) ||
			(len && memcmp(reply + 6, frames_host[frames[i].port].mac, 6) != 0))
			finding("an answer that cannot be", i);
		if ((l.family != 0 && l.family != 4 && l.family != 6) || (l.mac[0] & 1))
			finding("something impossible was learned", i);
		free(copy);
		free(reply);
	}
}

static void check_counters(unsigned n, const struct lcore_stats *before)
{
	const struct lcore_stats *now = &relay.w.stats;
	uint64_t want[DROP_COUNT] = {0}, processed = 0, control = 0, consumed = 0, either = 0;
	uint64_t got_point = now->drops[DROP_bad_point] - before->drops[DROP_bad_point];

	for (unsigned i = 0; i < n; i++) {
		want[fates[i].why] += fates[i].kind == DROPPED;
		control += fates[i].kind == CONTROLLED;
		consumed += fates[i].kind == TAKEN;
		processed += fates[i].processed;
		either += fates[i].either_point_or_mac;
	}
	if (!sphinx_burst_used_pair(relay.w.sphinx))
		either = 0;
	if (got_point > want[DROP_bad_point] && got_point - want[DROP_bad_point] <= either) {
		want[DROP_bad_mac] -= got_point - want[DROP_bad_point];
		want[DROP_bad_point] = got_point;
	}
	for (unsigned r = 1; r < DROP_COUNT; r++) {
		if (now->drops[r] - before->drops[r] == want[r])
			continue;
		fprintf(stderr, "fuzz_stages: drops of %s: %llu, expected %llu\n",
			drop_name((enum drop_reason)r),
			(unsigned long long)(now->drops[r] - before->drops[r]),
			(unsigned long long)want[r]);
		finding("a counter is wrong", BURST_MAX);
	}
	if (now->control - before->control != control ||
		now->cover_received - before->cover_received != consumed ||
		now->processed - before->processed != processed)
		finding("processed, cover_received or control is wrong", BURST_MAX);
}

static void one_burst(unsigned n)
{
	static struct burst burst;
	const struct lcore_stats before = relay.w.stats;
	bool done[BURST_MAX] = {false};
	unsigned controlled = 0;

	if (bursts++ % EPOCH == 0) {
		open_table();
		make_admission();
		relay.b.cfg.role = fuzz_below(4) ? BETANET_EXIT : BETANET_MIDDLE;
		relay.s->expired = fuzz_below(8) == 0;
	}
	relay.w.sphinx = relay.curve[fuzz_below(CURVES)];
	for (unsigned i = 0; i < n; i++) {
		kinds[frames_make(&frames[i])]++;
		model(&frames[i], &fates[i], &controlled);
	}
	run_stages(&burst, n);
	check_counters(n, &before);
	check_parked(n, done);
	check_controlled(n, done);
	for (unsigned i = 0; i < n; i++)
		if (fates[i].kind != DROPPED && fates[i].kind != TAKEN && !done[i])
			finding("a packet is lost", i);
	if (rte_mempool_avail_count(relay.pool) != POOL_SIZE)
		finding("mbufs are lost", BURST_MAX);
}

/* ---- */

static int start(void)
{
	static char prefix[64], lcores[32];
	static char *argv[] = {"fuzz_stages", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "lib.eal:error", NULL};
	struct error err = {"out of locked memory"};
	struct crypto *c;

	snprintf(prefix, sizeof(prefix), "fuzz%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	if (crypto_init(0, &err) < 0 || !(c = crypto_create()) ||
		rte_eal_init((int)(sizeof(argv) / sizeof(*argv)) - 1, argv) < 0) {
		fprintf(stderr, "fuzz_stages: %s\n", err.msg);
		return -1;
	}
	frames_init(c);
	make_relay();
	return 0;
}

static void report(uint64_t iterations)
{
	for (unsigned k = 0; k < KINDS; k++)
		printf("%12llu made: %s\n", (unsigned long long)kinds[k], frames_kind[k].name);
	for (unsigned r = 1; r < DROP_COUNT; r++)
		if (relay.w.stats.drops[r])
			printf("%12llu dropped: %s\n", (unsigned long long)relay.w.stats.drops[r],
				drop_name((enum drop_reason)r));
	printf("%12llu to control\n%12llu consumed\n%12llu unwrapped\n%12llu parked, with the "
	       "oracle's bytes\n",
		(unsigned long long)relay.w.stats.control,
		(unsigned long long)relay.w.stats.cover_received,
		(unsigned long long)relay.w.stats.processed, (unsigned long long)parked_total);
	printf("%llu frames in %llu bursts of seed %llu, no finding\n",
		(unsigned long long)iterations, (unsigned long long)bursts,
		(unsigned long long)fuzz_seed);
}

int main(int argc, char **argv)
{
	uint64_t iterations = fuzz_arguments("fuzz_stages", argc, argv, 100000);

	if (start() < 0)
		return 2;
	while (fuzz_iteration < iterations) {
		uint64_t n = fuzz_below(4) ? BURST_MAX : 1 + fuzz_below(BURST_MAX);

		n = RTE_MIN(n, iterations - fuzz_iteration);
		one_burst((unsigned)n);
		fuzz_iteration += n;
		fuzz_progress("fuzz_stages", fuzz_iteration, iterations);
	}
	report(iterations);
	free_relay();
	crypto_free(frames_crypto);
	rte_eal_cleanup();
	return 0;
}
