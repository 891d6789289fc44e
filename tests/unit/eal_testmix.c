/* SPDX-License-Identifier: BSD-3-Clause */
/* Generator and sink on ports whose wires are rings in the test's hands: the test is the network.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sodium.h>
#include "../../app/testmix/generator.h"
#include "../../app/testmix/sink.h"

enum { GOOD = 100, ROOM = 200, SIZE = 300, WAIT_MS = 10000 };

/* The wire's ends: what the port receives and what it sent. */
static struct rte_ring *rx, *tx;
static struct rte_mempool *pool;
static struct ethport port;
static char device[RTE_ETH_NAME_MAX_LEN];
static atomic_bool stop;
static _Atomic uint64_t sent_ns[GOOD];
static struct directory_node node = {.layer = 1, .addresses = 1};
static struct directory network = {.layers = 1, .count = 1, .nodes = &node};
static uint64_t faults[FAULT_COUNT];
static struct store store;
static struct store_packet packets[2 * GOOD];
static struct store_slot slots[2 * GOOD];
static uint8_t bytes[2 * GOOD * SIZE];
static struct sink sink;
static struct generator gen;
static struct error err;

static const struct endpoint self = {4, 40001, {10, 10, 3, 1}};
static const struct wire_end relay = {{2, 0, 0, 0, 0, 9}, {10, 10, 3, 2}, 9000};
static struct wire_end us; /* self, with the port's MAC */

static void give(const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	assert_int_equal(rte_ring_enqueue(rx, m), 0);
}

static void give_udp(const struct wire_end *to, const uint8_t *payload, size_t len)
{
	uint8_t frame[1500];

	memcpy(frame + WIRE_HEADERS, payload, len);
	give(frame, wire_write_udp(frame, &relay, to, len));
}

static void give_message(uint64_t seq)
{
	size_t len = message_length(&store.run, seq, 0, ROOM);
	uint8_t text[ROOM];

	message_write(&store.run, seq, text, len);
	give_udp(&us, text, len);
}

/* The next frame that was sent, or 0 after `ms`. */
static size_t take(uint8_t frame[1600], unsigned ms)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i <= ms * 10; i++) {
		if (rte_ring_dequeue(tx, (void **)&m) == 0) {
			size_t len = m->data_len;

			memcpy(frame, rte_pktmbuf_mtod(m, void *), len);
			rte_pktmbuf_free(m);
			return len;
		}
		ethport_sleep_ns(100000);
	}
	return 0;
}

static int start(void **state)
{
	int id;

	(void)state;
	if (sodium_init() < 0)
		return -1;
	rx = rte_ring_create("rx", 1024, SOCKET_ID_ANY, 0);
	tx = rte_ring_create("tx", 1024, SOCKET_ID_ANY, 0);
	pool = rte_pktmbuf_pool_create(
		"wire", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!rx || !tx || !pool)
		return -1;
	id = rte_eth_from_rings("wire", &rx, 1, &tx, 1, 0);
	if (id < 0 || rte_eth_dev_get_name_by_port((uint16_t)id, device))
		return -1;
	if (ethport_open(&port, device, &err) || ethport_start(&port, ethport_now(), &stop, &err)) {
		print_error("%s\n", err.msg);
		return -1;
	}
	memcpy(us.mac, port.mac, 6);
	memcpy(us.ip, self.ip, 4);
	us.port = self.port;
	return 0;
}

static int clear(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	while (rte_ring_dequeue(tx, (void **)&m) == 0 || rte_ring_dequeue(rx, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	atomic_store(&stop, false);
	memset(packets, 0, sizeof(packets));
	memset(slots, 0, sizeof(slots));
	memset(sent_ns, 0, sizeof(sent_ns));
	memset(&store, 0, sizeof(store));
	node.address[0] = (struct endpoint){4, 9000, {10, 10, 3, 2}};
	store.params.directory = &network;
	store.params.good = GOOD;
	store.params.faults = faults;
	store.count = 2 * GOOD;
	store.slot_count = GOOD;
	store.size = SIZE;
	store.message_room = ROOM;
	store.packets = packets;
	store.slots = slots;
	store.bytes = bytes;
	randombytes_buf(bytes, sizeof(bytes));
	for (uint32_t i = 0; i < GOOD; i++)
		slots[i].packet = i;
	message_run_init(&store.run);
	if (sink_init(&sink, &port, &store, &self, &err) ||
		generator_init(&gen, &port, &store, &self, &(struct endpoint){0}, &err))
		return -1;
	sink.stop = gen.stop = &stop;
	sink.sent_ns = gen.sent_ns = sent_ns;
	gen.rate = 1e5;
	gen.resolve_deadline = ethport_now() + UINT64_C(10000000000);
	for (unsigned i = 0; i < GOOD; i++)
		atomic_store(&sent_ns[i], ethport_now());
	return 0;
}

static int free_both(void **state)
{
	(void)state;
	sink_free(&sink);
	generator_free(&gen);
	return 0;
}

/* ---- sink ---- */

static void *run_sink(void *arg)
{
	sink_run(arg);
	return NULL;
}

/* Lets the sink take everything that was given. */
static void sink_all(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run_sink, &sink), 0);
	for (unsigned i = 0; i < WAIT_MS && rte_ring_count(rx); i++)
		ethport_sleep_ns(1000000);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(rte_ring_count(rx), 0);
}

static void assert_sink(uint64_t right, uint64_t duplicates, uint64_t unexpected, uint64_t corrupt,
	uint64_t foreign, uint64_t malformed)
{
	assert_int_equal(sink.right, right);
	assert_int_equal(sink.duplicates, duplicates);
	assert_int_equal(sink.unexpected, unexpected);
	assert_int_equal(sink.corrupt, corrupt);
	assert_int_equal(sink.foreign, foreign);
	assert_int_equal(sink.malformed, malformed);
	assert_int_equal(sink.total.count, right);
}

static void right_messages_are_counted_and_timed(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < GOOD; i++)
		give_message(i);
	sink_all();
	assert_sink(GOOD, 0, 0, 0, 0, 0);
	assert_int_equal(sink.early, 0);
	assert_true(sink.last_ns > 0);
	assert_int_equal(sink.deliberate.max, 0);
}

static void a_second_copy_is_a_duplicate(void **state)
{
	(void)state;
	give_message(7);
	give_message(8);
	give_message(7);
	give_message(7);
	sink_all();
	assert_sink(2, 2, 0, 0, 0, 0);
}

static void altered_content_is_corrupt(void **state)
{
	uint8_t text[ROOM];
	size_t len = message_length(&store.run, 3, 0, ROOM);

	(void)state;
	message_write(&store.run, 3, text, len);
	text[len - 1] ^= 1;
	give_udp(&us, text, len);
	sink_all();
	assert_sink(0, 0, 0, 1, 0, 0);
}

static void another_runs_message_is_foreign(void **state)
{
	(void)state;
	give_message(3);
	message_run_init(&store.run);
	sink_all();
	assert_sink(0, 0, 0, 0, 1, 0);
}

static void a_wrong_udp_checksum_is_malformed(void **state)
{
	uint8_t frame[WIRE_HEADERS + 64] = {0};
	size_t len = wire_write_udp(frame, &relay, &us, 64);

	(void)state;
	frame[len - 1] ^= 1;
	give(frame, len);
	sink_all();
	assert_sink(0, 0, 0, 0, 0, 1);
}

static void a_packet_that_had_to_be_dropped_is_unexpected(void **state)
{
	(void)state;
	give_message(GOOD);
	give_message(2 * GOOD - 1);
	sink_all();
	assert_sink(0, 0, 2, 0, 0, 0);
}

static void a_packet_before_its_delays_are_over_is_early(void **state)
{
	(void)state;
	packets[1].delay_ns = UINT64_C(3600) * 1000000000;
	give_message(1);
	give_message(2);
	sink_all();
	assert_sink(2, 0, 0, 0, 0, 0);
	assert_int_equal(sink.early, 1);
}

static void other_hosts_and_ports_are_none_of_the_sinks_business(void **state)
{
	struct wire_end other = us;

	(void)state;
	other.port++;
	give_udp(&other, (const uint8_t *)"x", 1);
	other = us;
	other.ip[3]++;
	give_udp(&other, (const uint8_t *)"x", 1);
	sink_all();
	assert_sink(0, 0, 0, 0, 0, 0);
}

static void the_sink_answers_arp_for_its_address_alone(void **state)
{
	uint8_t frame[1600], other[4] = {10, 10, 3, 77};
	struct wire_frame f;

	(void)state;
	wire_write_arp_request(frame, &relay, other);
	give(frame, WIRE_ARP_SIZE);
	wire_write_arp_request(frame, &relay, us.ip);
	give(frame, WIRE_ARP_SIZE);
	sink_all();
	assert_int_equal(take(frame, 0), WIRE_ARP_SIZE);
	assert_int_equal(wire_parse(frame, WIRE_ARP_SIZE, &f), WIRE_ARP_REPLY);
	assert_memory_equal(f.src.mac, port.mac, 6);
	assert_memory_equal(f.src.ip, us.ip, 4);
	assert_memory_equal(f.dst.mac, relay.mac, 6);
	assert_int_equal(take(frame, 0), 0);
}

/* ---- generator ---- */

static void *run_generator(void *arg)
{
	return (void *)(intptr_t)generator_run(arg);
}

static pthread_t start_generator(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run_generator, &gen), 0);
	return thread;
}

static int end_generator(pthread_t thread)
{
	void *result;

	pthread_join(thread, &result);
	return (int)(intptr_t)result;
}

static void answer_arp(const uint8_t ip[4])
{
	uint8_t frame[1600];
	struct wire_frame f;
	struct wire_end end = relay;

	assert_int_equal(take(frame, WAIT_MS), WIRE_ARP_SIZE);
	assert_int_equal(wire_parse(frame, WIRE_ARP_SIZE, &f), WIRE_ARP_REQUEST);
	assert_memory_equal(f.dst.ip, ip, 4);
	memcpy(end.ip, ip, 4);
	wire_write_arp_reply(frame, &end, &f.src);
	give(frame, WIRE_ARP_SIZE);
}

/* The next UDP frame of the generator, past ARP requests that were repeated meanwhile. */
static size_t take_udp(uint8_t frame[1600], struct wire_frame *f)
{
	for (;;) {
		size_t len = take(frame, WAIT_MS);
		enum wire_kind kind = len ? wire_parse(frame, len, f) : WIRE_BAD;

		if (kind != WIRE_ARP_REQUEST)
			return kind == WIRE_UDP ? len : 0;
	}
}

static void every_slot_is_sent_in_its_order_and_whole(void **state)
{
	pthread_t thread = start_generator();
	uint8_t frame[1600];

	(void)state;
	answer_arp(relay.ip);
	for (unsigned i = 0; i < GOOD; i++) {
		struct wire_frame f;

		assert_int_equal(take_udp(frame, &f), WIRE_HEADERS + SIZE);
		assert_memory_equal(f.dst.mac, relay.mac, 6);
		assert_memory_equal(f.dst.ip, relay.ip, 4);
		assert_int_equal(f.dst.port, 9000);
		assert_memory_equal(f.src.ip, us.ip, 4);
		assert_int_equal(f.src.port, us.port);
		assert_int_equal(f.payload_len, SIZE);
		assert_memory_equal(f.payload, bytes + i * SIZE, SIZE);
	}
	assert_int_equal(end_generator(thread), 0);
	assert_int_equal(gen.sent, GOOD);
	assert_int_equal(gen.sent_good, GOOD);
	assert_int_equal(gen.lag.count, GOOD);
	assert_true(gen.start_ns > 0 && gen.end_ns >= gen.start_ns);
	for (unsigned i = 0; i < GOOD; i++)
		assert_true(sent_ns[i] >= gen.start_ns && sent_ns[i] <= gen.end_ns);
}

static void faults_change_length_and_port_and_are_counted(void **state)
{
	pthread_t thread;
	uint8_t frame[1600];
	struct wire_frame f;

	(void)state;
	store.slot_count = 4;
	slots[1].packet = GOOD;
	slots[2].packet = GOOD + 1;
	slots[3].again = true;
	slots[3].packet = 0;
	packets[GOOD].fault = FAULT_truncate;
	packets[GOOD + 1].fault = FAULT_wrong_port;
	thread = start_generator();
	answer_arp(relay.ip);
	take_udp(frame, &f);
	assert_int_equal(f.payload_len, SIZE);
	take_udp(frame, &f);
	assert_int_equal(f.payload_len, SIZE - 1);
	take_udp(frame, &f);
	assert_int_equal(f.dst.port, 9001);
	take_udp(frame, &f);
	assert_memory_equal(f.payload, bytes, SIZE);
	assert_int_equal(end_generator(thread), 0);
	assert_int_equal(gen.sent, 4);
	assert_int_equal(gen.sent_good, 1);
	assert_int_equal(gen.sent_fault[FAULT_truncate], 1);
	assert_int_equal(gen.sent_fault[FAULT_wrong_port], 1);
	assert_int_equal(gen.sent_fault[FAULT_replay], 1);
}

static void behind_a_gateway_the_gateway_is_asked_for(void **state)
{
	const struct endpoint gateway = {4, 0, {10, 10, 3, 254}};
	pthread_t thread;
	uint8_t frame[1600];
	struct wire_frame f;

	(void)state;
	generator_free(&gen);
	assert_int_equal(generator_init(&gen, &port, &store, &self, &gateway, &err), 0);
	gen.stop = &stop;
	gen.sent_ns = sent_ns;
	gen.rate = 1e5;
	gen.resolve_deadline = ethport_now() + UINT64_C(10000000000);
	store.slot_count = 1;
	thread = start_generator();
	answer_arp(gateway.ip);
	take_udp(frame, &f);
	assert_memory_equal(f.dst.mac, relay.mac, 6);
	assert_memory_equal(f.dst.ip, relay.ip, 4);
	assert_int_equal(end_generator(thread), 0);
}

static void no_arp_answer_is_told_with_the_address(void **state)
{
	(void)state;
	gen.resolve_deadline = ethport_now();
	assert_int_equal(end_generator(start_generator()), -ETIMEDOUT);
	assert_non_null(strstr(gen.error.msg, "10.10.3.2"));
	assert_int_equal(gen.sent, 0);
}

static void it_stops_when_it_is_told_to(void **state)
{
	pthread_t thread;
	uint8_t frame[1600];
	struct wire_frame f;

	(void)state;
	gen.rate = 1; /* the second packet would wait for a second */
	thread = start_generator();
	answer_arp(relay.ip);
	assert_int_not_equal(take_udp(frame, &f), 0);
	atomic_store(&stop, true);
	assert_int_equal(end_generator(thread), 0);
	assert_in_range(gen.sent, 1, GOOD - 1);
}

static void an_unknown_port_is_told_with_those_that_exist(void **state)
{
	struct ethport p;

	(void)state;
	assert_int_equal(ethport_open(&p, "net_nothing", &err), -ENODEV);
	assert_non_null(strstr(err.msg, "net_nothing"));
	assert_non_null(strstr(err.msg, device));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clear, free_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(right_messages_are_counted_and_timed),
		TEST(a_second_copy_is_a_duplicate),
		TEST(altered_content_is_corrupt),
		TEST(another_runs_message_is_foreign),
		TEST(a_wrong_udp_checksum_is_malformed),
		TEST(a_packet_that_had_to_be_dropped_is_unexpected),
		TEST(a_packet_before_its_delays_are_over_is_early),
		TEST(other_hosts_and_ports_are_none_of_the_sinks_business),
		TEST(the_sink_answers_arp_for_its_address_alone),
		TEST(every_slot_is_sent_in_its_order_and_whole),
		TEST(faults_change_length_and_port_and_are_counted),
		TEST(behind_a_gateway_the_gateway_is_asked_for),
		TEST(no_arp_answer_is_told_with_the_address),
		TEST(it_stops_when_it_is_told_to),
		TEST(an_unknown_port_is_told_with_those_that_exist),
	};
	char *argv[] = {(char *)"eal_testmix", (char *)"--no-huge", (char *)"-m", (char *)"64",
		(char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry",
		(char *)"--log-level=*:error", NULL};

	if (rte_eal_init(8, argv) < 0)
		return 1;
	return cmocka_run_group_tests(tests, start, NULL);
}
