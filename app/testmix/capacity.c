/* SPDX-License-Identifier: BSD-3-Clause */
#include "capacity.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sphinx/build_burst.h"
#include "sphinx/burst.h"

/* A packet for a relay that only exists here: forward, as most unwraps of a lab are. */
struct subject {
	struct sphinx_builder *builder;
	struct sphinx_burst *burst;
	uint8_t secret[32];
	uint8_t *packet, *copy; /* unwrapping changes a packet: the copy is what is unwrapped */
	size_t size;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int make_packet(struct subject *s, size_t payload_size, struct error *err)
{
	struct sphinx_route route = {.hops = 2, .version = SPHINX_V259};
	struct sphinx_build_item item = {.route = &route, .out = s->packet};
	enum sphinx_status status;

	randombytes_buf(s->secret, sizeof(s->secret));
	for (unsigned i = 0; i < route.hops; i++)
		crypto_scalarmult_base(route.hop[i].public_key, s->secret);
	sphinx_build_burst(s->builder, &item, 1, payload_size, &status);
	if (status == SPHINX_ok)
		return 0;
	return error_set(err, EINVAL, "no packet to measure the CPU with can be built: %s",
		sphinx_status_text(status));
}

static enum sphinx_status unwrap(struct subject *s)
{
	enum sphinx_status status;
	struct sphinx_hop hop;

	memcpy(s->copy, s->packet, s->size);
	sphinx_open_burst(s->burst, s->secret, &s->copy, s->size, 1, &status);
	sphinx_finish_burst(s->burst, &status, &hop);
	return status;
}

static int measure(struct capacity *c, struct subject *s)
{
	const uint64_t start = now_ns();
	uint64_t done = 0, now = start;

	while (now - start < CAPACITY_MEASURE_MS * UINT64_C(1000000) && !atomic_load(c->stop)) {
		enum sphinx_status status = unwrap(s);

		if (status != SPHINX_ok)
			return error_set(&c->error, EIO,
				"the packet to measure the CPU with cannot be unwrapped: %s",
				sphinx_status_text(status));
		done++;
		now = now_ns();
	}
	c->per_second = now > start ? (double)done * 1e9 / (double)(now - start) : 0;
	return 0;
}

int capacity_measure(void *arg)
{
	struct capacity *c = arg;
	struct subject s = {.size = SPHINX_HEADER_SIZE + c->payload_size};
	int rc;

	s.builder = sphinx_builder_create();
	s.burst = sphinx_burst_create(SPHINX_CURVE_AUTO);
	s.packet = malloc(s.size);
	s.copy = malloc(s.size);
	if (s.builder && s.burst && s.packet && s.copy)
		rc = make_packet(&s, c->payload_size, &c->error);
	else
		rc = error_set(&c->error, ENOMEM,
			"no memory to measure the CPU with (locked memory: see `ulimit -l`); give "
			"a --rate");
	if (rc == 0)
		rc = measure(c, &s);
	sphinx_builder_free(s.builder);
	sphinx_burst_free(s.burst);
	free(s.packet);
	free(s.copy);
	return rc;
}

double capacity_rate(double per_second, unsigned hops)
{
	const double rate = per_second / hops / CAPACITY_SHARE;

	if (!(rate > CAPACITY_RATE_MIN))
		return CAPACITY_RATE_MIN;
	return rate < CAPACITY_RATE_MAX ? rate : CAPACITY_RATE_MAX;
}
