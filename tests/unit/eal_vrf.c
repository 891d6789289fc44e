/* SPDX-License-Identifier: BSD-3-Clause */
/* A relay's own delays: which they are, how they are distributed, and what is left of their keys.
 */
#include "mixtest.h"

#include <math.h>
#include <time.h>
#include "core/bytes.h"
#include "vrf/delay.h"
#include "vrf/ecvrf.h"
#include "vrf/epoch.h"
#include "vrf/scope.h"

static const char next_hop[] = "192.0.2.7:9000", destination[] = "198.51.100.1:4242";

static struct {
	struct mix_keys keys;
	uint8_t vrf_seed[32], network_id[32], node_id[32];
	unsigned epoch_seconds;
	double mean_ms;
} lab;

static struct betanet *start(enum betanet_delay mode, unsigned epoch_seconds, double mean_ms)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b;

	mix_keys_make(&lab.keys);
	randombytes_buf(lab.vrf_seed, 32);
	randombytes_buf(lab.network_id, 32);
	randombytes_buf(lab.node_id, 32);
	mix_config(&c, lab.keys.secret[0]);
	c.role = BETANET_EXIT;
	c.delay_mode = mode;
	c.vrf_mean_ms = c.mean_delay_ms = lab.mean_ms = mean_ms;
	c.epoch_seconds = lab.epoch_seconds = epoch_seconds;
	memcpy(c.vrf_seed, lab.vrf_seed, 32);
	memcpy(c.network_id, lab.network_id, 32);
	memcpy(c.node_id, lab.node_id, 32);
	if (betanet_create(&c, &b, err) < 0 || betanet_start(b, err) < 0)
		fail_msg("%s", err);
	return b;
}

static uint64_t present_epoch(void)
{
	return (uint64_t)time(NULL) / lab.epoch_seconds;
}

/* What an auditor does: the epoch's VRF output by the rule of the beacon. */
static void epoch_beta(uint64_t epoch, uint8_t beta[ECVRF_OUTPUT_SIZE])
{
	static const uint8_t no_directory[32];
	struct vrf_scope s = {.epoch = epoch};
	uint8_t alpha[VRF_ALPHA_DELAY_SIZE], pi[ECVRF_PROOF_SIZE];
	struct ecvrf_key vrf;
	struct beacon beacon;

	beacon_choose(&beacon, 0, NULL, (uint64_t)time(NULL), 0, lab.network_id, no_directory);
	memcpy(s.network_id, lab.network_id, 32);
	memcpy(s.node_id, lab.node_id, 32);
	memcpy(s.beacon, beacon.value, 32);
	ecvrf_key_from_seed(&vrf, lab.vrf_seed);
	vrf_alpha_delay(alpha, &s);
	assert_int_equal(ecvrf_prove(ECVRF_TAI, &vrf, alpha, sizeof(alpha), pi), 0);
	assert_int_equal(ecvrf_proof_to_hash(ECVRF_TAI, pi, beta), 0);
	sodium_memzero(&vrf, sizeof(vrf));
}

static void epoch_key(uint64_t epoch, uint8_t key[DELAY_KEY_SIZE])
{
	uint8_t beta[ECVRF_OUTPUT_SIZE];

	epoch_beta(epoch, beta);
	delay_epoch_key(key, beta, epoch);
	sodium_memzero(beta, sizeof(beta));
}

static void make_packet(unsigned i, unsigned hops, uint64_t sender_ns, uint8_t out[MIX_PACKET])
{
	mix_build(
		&lab.keys, hops, next_hop, destination, sender_ns, SPHINX_V259, &i, sizeof(i), out);
}

static uint64_t delay_under(const uint8_t packet[MIX_PACKET], const uint8_t key[DELAY_KEY_SIZE])
{
	struct sphinx_secrets secrets;
	uint8_t tag[DELAY_TAG_SIZE];
	struct delay_draw draw;

	assert_int_equal(
		sphinx_unwrap_open(mix_crypto, lab.keys.secret[0], packet, MIX_PACKET, &secrets),
		SPHINX_ok);
	delay_tag(tag, secrets.shared);
	delay_draw(key, tag, &draw);
	return delay_scale((uint64_t)(lab.mean_ms * 1e6), draw.exp);
}

static uint64_t expected_ns(const uint8_t packet[MIX_PACKET], uint64_t epoch)
{
	uint8_t key[DELAY_KEY_SIZE];

	epoch_key(epoch, key);
	return delay_under(packet, key);
}

/* Takes one packet out, polling; false after `ms`. */
static bool collect_one(struct betanet *b, struct betanet_output *out, unsigned ms)
{
	static uint8_t data[MIX_PACKET];

	out->data = data;
	out->capacity = sizeof(data);
	for (unsigned i = 0; i < ms; i++) {
		betanet_poll(b);
		if (betanet_collect(b, out, 1) == 1)
			return true;
		rte_delay_us_sleep(1000);
	}
	return false;
}

static void a_packet_is_delayed_as_an_auditor_computes_it(void **state)
{
	uint8_t packet[MIX_PACKET];
	const uint8_t *p[1] = {packet};
	struct betanet *b = start(BETANET_DELAY_VRF, 60, 20);
	struct betanet_output out;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t epoch = present_epoch(), want, next;

		/* the sender's delay does not count, and a final packet is delayed, too */
		make_packet(i, i % 2 ? 1 : 3, 3000000000, packet);
		want = expected_ns(packet, epoch);
		next = expected_ns(packet, epoch + 1);
		assert_int_equal(betanet_submit(b, p, 1), 1);
		assert_true(collect_one(b, &out, 3000));
		if (out.delay_ns != next) /* the epoch changed in between */
			assert_int_equal(out.delay_ns, want);
		assert_int_equal(out.final, i % 2);
	}
	mix_stop(b);
}

static void the_sum_holds_both_delays(void **state)
{
	uint8_t packet[MIX_PACKET];
	const uint8_t *p[1] = {packet};
	struct betanet *b = start(BETANET_DELAY_SUM, 60, 10);
	struct betanet_output out;
	uint64_t epoch = present_epoch(), want, next;

	(void)state;
	make_packet(1, 3, 50000000, packet);
	want = expected_ns(packet, epoch) + 50000000;
	next = expected_ns(packet, epoch + 1) + 50000000;
	assert_int_equal(betanet_submit(b, p, 1), 1);
	assert_true(collect_one(b, &out, 3000));
	assert_true(out.delay_ns == want || out.delay_ns == next);
	mix_stop(b);
}

static void the_lab_mode_delays_nothing(void **state)
{
	uint8_t packet[MIX_PACKET];
	const uint8_t *p[1] = {packet};
	struct betanet *b = start(BETANET_DELAY_NONE, 60, 10);
	struct betanet_output out;

	(void)state;
	make_packet(1, 3, 5000000000, packet);
	assert_int_equal(betanet_submit(b, p, 1), 1);
	assert_true(collect_one(b, &out, 1000));
	assert_int_equal(out.delay_ns, 0);
	mix_stop(b);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * From outside: submitted together, taken out when they come. Kolmogorov-Smirnov against the
 * exponential law at the 1 % limit; the mean is long, so that a busy machine's lateness does not
 * show. And the order of leaving must not follow the order of arrival (Spearman's rho at the same
 * limit).
 */
static bool measure_from_outside(void)
{
	enum { N = 1000, MEAN_MS = 1000 };
	static uint8_t packet[N][MIX_PACKET], data[N][MIX_PACKET];
	static struct betanet_output out[N];
	static double delay[N];
	const uint8_t *p[N];
	struct betanet *b = start(BETANET_DELAY_VRF, 60, MEAN_MS);
	double hz = (double)rte_get_tsc_hz(), worst = 0, rho = 0;
	uint8_t key[2][DELAY_KEY_SIZE];
	unsigned have = 0;
	uint64_t began;

	for (unsigned i = 0; i < N; i++) {
		make_packet(i, 1, 0, packet[i]); /* final: the message says which one it was */
		p[i] = packet[i];
		out[i].data = data[i];
		out[i].capacity = MIX_PACKET;
	}
	epoch_key(present_epoch(), key[0]);
	epoch_key(present_epoch() + 1, key[1]);
	began = rte_rdtsc();
	assert_int_equal(betanet_submit(b, p, N), N);
	while (have < N && (double)(rte_rdtsc() - began) / hz < 30) {
		int n = betanet_collect(b, out + have, N - have);
		double now = (double)(rte_rdtsc() - began) / hz * 1e3;

		for (int i = 0; i < n; i++)
			delay[have + (unsigned)i] = now;
		have += (unsigned)n;
		betanet_poll(b);
		rte_delay_us_sleep(500);
	}
	assert_int_equal(have, N);
	for (unsigned i = 0; i < N; i++) {
		uint32_t sent;
		double difference;

		memcpy(&sent, out[i].data, sizeof(sent));
		/* a thousand at once: each has the delay that it would have had alone */
		assert_true(out[i].delay_ns == delay_under(packet[sent], key[0]) ||
			    out[i].delay_ns == delay_under(packet[sent], key[1]));
		difference = (double)sent - i;
		rho += difference * difference;
	}
	rho = 1 - 6 * rho / ((double)N * ((double)N * N - 1));
	qsort(delay, N, sizeof(delay[0]), compare);
	for (unsigned i = 0; i < N; i++) {
		double f = 1 - exp(-delay[i] / MEAN_MS);

		worst = fmax(worst, fmax(f - (double)i / N, (double)(i + 1) / N - f));
	}
	print_message("KS %.4f (limit %.4f), Spearman's rho %.4f (limit %.4f)\n", worst,
		1.628 / sqrt(N), rho, 2.576 / sqrt(N - 1));
	mix_stop(b);
	return worst < 1.628 / sqrt(N) && fabs(rho) < 2.576 / sqrt(N - 1);
}

/* A right law fails a limit of 1 % once in a hundred times; a wrong one fails twice. */
static void delays_from_outside_are_exponential_and_forget_the_order(void **state)
{
	(void)state;
	assert_true(measure_from_outside() || measure_from_outside());
}

static void without_an_epoch_key_packets_are_dropped_not_guessed(void **state)
{
	uint8_t packet[2][MIX_PACKET];
	const uint8_t *p[2] = {packet[0], packet[1]};
	struct betanet *b = start(BETANET_DELAY_VRF, 1, 1);
	struct betanet_stats before, s;

	(void)state;
	make_packet(1, 3, 0, packet[0]);
	make_packet(2, 3, 0, packet[1]);
	/* the control lcore does not come round: this epoch and the next one pass */
	rte_delay_us_sleep(2200000);
	betanet_stats_get(b, &before);
	assert_int_equal(betanet_submit(b, p, 1), 1);
	for (unsigned i = 0; i < 1000; i++) {
		betanet_stats_get(b, &s);
		if (s.dropped > before.dropped)
			break;
		rte_delay_us_sleep(1000);
	}
	assert_dropped(&before, &s, DROP_no_epoch_key, 1);
	/* it comes back: said, and the relay goes on */
	betanet_poll(b);
	betanet_stats_get(b, &before);
	assert_int_equal(before.epoch_gaps, 1);
	assert_int_equal(betanet_submit(b, p + 1, 1), 1);
	mix_settle(b, before.rx + 1, &s);
	assert_int_equal(s.forwarded, before.forwarded + 1);
	mix_stop(b);
}

static void epochs_end_and_are_handed_over_once(void **state)
{
	struct betanet *b = start(BETANET_DELAY_VRF, 1, 1);
	struct betanet_epoch e;
	struct betanet_stats s;
	uint64_t last = 0;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 3300; i++) {
		betanet_poll(b);
		while (betanet_epoch_take(b, &e)) {
			if (last)
				assert_int_equal(e.epoch, last + 1);
			assert_true(e.proved);
			last = e.epoch;
			n++;
		}
		rte_delay_us_sleep(1000);
	}
	assert_true(n >= 2);
	betanet_stats_get(b, &s);
	assert_true(s.epochs_proved >= n);
	assert_int_equal(s.epochs_unproved + s.epoch_gaps + s.clock_steps, 0);
	mix_stop(b);
}

/* ---- the process's memory ---- */

#define MASK UINT64_C(0x5a5aa5a55a5aa5a5)

/* How often 16 bytes occur in writable memory. `masked` is XORed with MASK, so that neither it nor
 * what the search keeps in registers or on its stack is a find. */
static unsigned memory_holds(const uint64_t masked[2])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned found = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char perms[5];

		if (sscanf(line, "%lx-%lx %4s", &from, &to, perms) != 3 || perms[0] != 'r' ||
			perms[1] != 'w')
			continue;
		for (const uint8_t *p = (const uint8_t *)from; p + 16 <= (const uint8_t *)to;
			p += 4) {
			uint64_t w[2];

			memcpy(&w[0], p, 8);
			if ((w[0] ^ MASK) != masked[0])
				continue;
			memcpy(&w[1], p + 8, 8);
			found += (w[1] ^ MASK) == masked[1];
		}
	}
	fclose(maps);
	return found;
}

static void __attribute__((noinline))
masked_secrets(uint64_t epoch, uint64_t masked_key[2], uint64_t masked_beta[2])
{
	uint8_t key[DELAY_KEY_SIZE], beta[ECVRF_OUTPUT_SIZE];

	epoch_key(epoch, key);
	epoch_beta(epoch, beta);
	for (unsigned i = 0; i < 2; i++) {
		masked_key[i] = load_le64(key + 8 * i) ^ MASK;
		masked_beta[i] = load_le64(beta + 8 * i) ^ MASK;
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(beta, sizeof(beta));
	sodium_stackzero(65536);
}

static void an_epochs_key_is_gone_when_the_epoch_is_over(void **state)
{
	struct betanet *b;
	uint64_t masked[2], beta[2], epoch;

	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	print_message("skipped under AddressSanitizer: its quarantine keeps copies, and redzones "
		      "are no memory\n");
	skip();
#endif
	b = start(BETANET_DELAY_VRF, 2, 1);
	epoch = present_epoch() + 1; /* proved ahead */
	for (unsigned i = 0; i < 500; i++) {
		betanet_poll(b);
		rte_delay_us_sleep(1000);
	}
	masked_secrets(epoch, masked, beta);
	assert_true(memory_holds(masked) >= 1);
	while (present_epoch() <= epoch + 1) {
		betanet_poll(b);
		rte_delay_us_sleep(1000);
	}
	/* the boundary may have passed since the last poll, and the wiping is a poll's work */
	for (unsigned i = 0; i < 100 && memory_holds(masked) + memory_holds(beta) > 0; i++) {
		betanet_poll(b);
		rte_delay_us_sleep(1000);
	}
	assert_int_equal(memory_holds(masked), 0);
	assert_int_equal(memory_holds(beta), 0);
	mix_stop(b);
}

static void a_vrf_seed_that_is_the_identitys_is_refused(void **state)
{
	struct betanet_config c;
	char err[BETANET_ERROR_MAX];
	struct betanet *b = NULL;
	uint8_t sk[64];

	(void)state;
	mix_keys_make(&lab.keys);
	mix_config(&c, lab.keys.secret[0]);
	c.delay_mode = BETANET_DELAY_VRF;
	randombytes_buf(c.vrf_seed, 32);
	crypto_sign_seed_keypair(c.node_id, sk, c.vrf_seed);
	assert_int_equal(betanet_create(&c, &b, err), -EINVAL);
	assert_null(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_delayed_as_an_auditor_computes_it),
		cmocka_unit_test(the_sum_holds_both_delays),
		cmocka_unit_test(the_lab_mode_delays_nothing),
		cmocka_unit_test(delays_from_outside_are_exponential_and_forget_the_order),
		cmocka_unit_test(without_an_epoch_key_packets_are_dropped_not_guessed),
		cmocka_unit_test(epochs_end_and_are_handed_over_once),
		cmocka_unit_test(an_epochs_key_is_gone_when_the_epoch_is_over),
		cmocka_unit_test(a_vrf_seed_that_is_the_identitys_is_refused),
	};

	if (mix_eal_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
