/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_MIXTEST_H
#define BETANET_TESTS_MIXTEST_H

#include <errno.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/drop.h"
#include "core/secmem.h"
#include "pipeline/betanet.h"
#include "sphinx/address.h"
#include "sphinx/sphinx.h"

/* What the tests of the pipeline share: EAL without hugepages on shared cores, keys, packets. */

enum { MIX_PAYLOAD = 1024, MIX_PACKET = SPHINX_HEADER_SIZE + MIX_PAYLOAD };

static struct crypto *mix_crypto;

/* Main lcore and two workers, on whatever cores there are. */
static inline int mix_eal_start(void)
{
	static char prefix[64], lcores[96];
	static char *argv[] = {"test", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--file-prefix", prefix, "--lcores", lcores, "--log-level", "lib.eal:error", NULL};
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	struct error err;

	snprintf(prefix, sizeof(prefix), "mixtest%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@(0-%ld),1@(0-%ld),2@(0-%ld)", last, last, last);
	if (secmem_init(&err) < 0 || crypto_init(0, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	mix_crypto = crypto_create();
	return rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0 || !mix_crypto ? -1
												: 0;
}

static inline void mix_config(struct betanet_config *c, const uint8_t secret[32])
{
	betanet_config_init(c);
	c->payload_size = MIX_PAYLOAD;
	c->idle = BETANET_IDLE_SLEEP;
	c->queue_depth = 2048;
	c->target_pps = 10000;
	c->replay_capacity = 1 << 16;
	memcpy(c->sphinx_secret, secret, 32);
}

struct mix_keys {
	uint8_t secret[3][32], public[3][32];
};

static inline void mix_keys_make(struct mix_keys *k)
{
	for (unsigned i = 0; i < 3; i++) {
		randombytes_buf(k->secret[i], 32);
		crypto_scalarmult_base(k->public[i], k -> secret[i]);
	}
}

static inline void mix_address(uint8_t out[SPHINX_ADDRESS_SIZE], const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(&e, text), 0);
	address_encode(out, &e);
}

/* `hops` hops from keys[0] on; the second is at `next`, the destination is `to`. */
static inline void mix_build(const struct mix_keys *k, unsigned hops, const char *next,
	const char *to, uint64_t delay_ns, uint16_t version, const void *message, size_t len,
	uint8_t out[MIX_PACKET])
{
	struct sphinx_route r = {.hops = hops, .version = version};

	for (unsigned i = 0; i < hops; i++) {
		memcpy(r.hop[i].public_key, k->public[i], 32);
		r.hop[i].delay_ns = delay_ns;
		mix_address(r.hop[i].address, next);
	}
	mix_address(r.destination, to);
	memset(r.identifier, 0xab, sizeof(r.identifier));
	assert_int_equal(
		sphinx_build(mix_crypto, &r, message, len, MIX_PAYLOAD, NULL, out), SPHINX_ok);
}

/* Polls until the fate of `rx` packets is known, or two seconds have passed. */
static inline void mix_settle(struct betanet *b, uint64_t rx, struct betanet_stats *s)
{
	for (unsigned i = 0; i < 2000; i++) {
		betanet_poll(b);
		betanet_stats_get(b, s);
		if (s->forwarded + s->delivered + s->dropped + s->control >= rx)
			break;
		rte_delay_us_sleep(1000);
	}
	rte_delay_us_sleep(2000);
	betanet_poll(b);
	betanet_stats_get(b, s);
}

static inline void mix_stop(struct betanet *b)
{
	struct betanet_stop_report r;

	assert_int_equal(betanet_stop(b, 2000, &r), 0);
	assert_int_equal(r.pool_free, r.pool_size);
	betanet_destroy(b);
}

/* All drop counters are as before but for `why`, which went up by n. */
static inline void assert_dropped(const struct betanet_stats *before,
	const struct betanet_stats *after, enum drop_reason why, uint64_t n)
{
	for (unsigned i = 1; i < DROP_COUNT; i++) {
		uint64_t want = before->drops[i] + (i == why ? n : 0);

		if (after->drops[i] != want)
			fail_msg("drops: %s is %lu, expected %lu", drop_name((enum drop_reason)i),
				(unsigned long)after->drops[i], (unsigned long)want);
	}
}

#endif
