/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_SOFTMIX_H
#define BETANET_TESTS_SOFTMIX_H

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "core/bytes.h"
#include "core/file.h"
#include "directory/directory.h"
#include "sphinx/frame.h"
#include "sphinx/sphinx.h"

/*
 * A mixnet in one process, for the client's tests: relays on kernel UDP sockets of the loopback, a
 * thread each, made of lib/sphinx alone; and the signed directory that describes them. It knows no
 * replay table and no shaping; what it does with a packet is what a relay does, delays included.
 */
enum { SOFTMIX_LAYERS = 3, SOFTMIX_WIDTH = 2, SOFTMIX_RELAYS = 6, SOFTMIX_PARK = 8192 };

struct softmix_parked {
	uint64_t due;
	struct endpoint to;
	size_t len;
	uint8_t *data;
};

struct softmix_relay {
	struct softmix *mix;
	struct endpoint at;
	int fd;
	uint8_t secret[32], public[32];
	uint8_t identity[64], vrf_seed[32]; /* for records; no part of the forwarding */
	atomic_uint taken, consumed;
	struct crypto *crypto;
	struct softmix_parked parked[SOFTMIX_PARK];
	unsigned count;
	pthread_t thread;
};

struct softmix {
	size_t payload_size;
	struct softmix_relay relay[SOFTMIX_RELAYS];
	atomic_bool stop;
	/* faults of the exits: every n-th message is lost, delivered twice, or has a bit flipped */
	atomic_uint lose_every, double_every, damage_every;
	atomic_uint delivered, forwarded, refused, raw_replies;
	uint8_t authority_seed[32], authority[32];
	char folder[64], directory[96];
};

static uint64_t softmix_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void softmix_send(struct softmix_relay *r, const struct softmix_parked *p)
{
	struct sockaddr_storage sa = {0};
	socklen_t n = endpoint_to_sockaddr(&p->to, &sa);

	if (sendto(r->fd, p->data, p->len, 0, (struct sockaddr *)&sa, n) < 0)
		atomic_fetch_add(&r->mix->refused, 1);
}

static void softmix_park(struct softmix_relay *r, uint64_t delay, const struct endpoint *to,
	const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	struct softmix_parked *p = &r->parked[r->count++];

	assert(r->count < SOFTMIX_PARK);
	p->due = softmix_now() + delay;
	p->to = *to;
	p->len = a_len + b_len;
	p->data = malloc(p->len + 1);
	assert(p->data);
	memcpy(p->data, a, a_len);
	memcpy(p->data + a_len, b, b_len);
}

/* The last hop: the bare message, or of version 260 `identifier ‖ payload` for the block's maker.
 */
static void softmix_deliver(struct softmix_relay *r, const struct sphinx_hop *hop,
	const struct endpoint *to, const uint8_t *payload)
{
	struct softmix *m = r->mix;
	const uint8_t *message;
	size_t len;
	unsigned n;

	if (memcmp(&r->at, to, sizeof(*to)) == 0) { /* drop cover */
		atomic_fetch_add(&r->consumed, 1);
		return;
	}
	if (sphinx_payload_message(payload, m->payload_size, &message, &len) != SPHINX_ok) {
		if (hop->version != SPHINX_V260) {
			atomic_fetch_add(&m->refused, 1);
			return;
		}
		atomic_fetch_add(&m->raw_replies, 1);
		softmix_park(r, 0, to, hop->identifier, SPHINX_IDENTIFIER_SIZE, payload,
			m->payload_size);
		return;
	}
	n = atomic_fetch_add(&m->delivered, 1) + 1;
	if (m->lose_every && n % m->lose_every == 0)
		return;
	softmix_park(r, 0, to, message, len, message, 0);
	if (m->damage_every && n % m->damage_every == 0)
		r->parked[r->count - 1].data[len - 1] ^= 1;
	if (m->double_every && n % m->double_every == 0)
		softmix_park(r, 0, to, message, len, message, 0);
}

static void softmix_take(struct softmix_relay *r, uint8_t *in, size_t len)
{
	struct softmix *m = r->mix;
	uint8_t *packet = in + FRAME_SIZE;
	struct sphinx_hop hop;
	struct endpoint to;

	if (len != FRAME_SIZE + SPHINX_HEADER_SIZE + m->payload_size ||
		frame_check(in, m->payload_size) < 0 ||
		sphinx_unwrap(r->crypto, r->secret, packet, len - FRAME_SIZE, &hop) != SPHINX_ok ||
		address_decode(hop.address, &to) != SPHINX_ok) {
		atomic_fetch_add(&m->refused, 1);
		return;
	}
	atomic_fetch_add(&r->taken, 1);
	if (hop.flag == SPHINX_FLAG_FINAL) {
		softmix_deliver(r, &hop, &to, packet + SPHINX_HEADER_SIZE);
		return;
	}
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++)
		if (memcmp(&m->relay[i].at, &to, sizeof(to)) == 0) {
			atomic_fetch_add(&m->forwarded, 1);
			softmix_park(
				r, hop.delay_ns, &to, in, FRAME_SIZE, packet, len - FRAME_SIZE);
			return;
		}
	atomic_fetch_add(&m->refused, 1);
}

/* Sends what is due; returns the milliseconds until something else is. */
static int softmix_release(struct softmix_relay *r)
{
	uint64_t now = softmix_now(), next = now + 50000000;

	for (unsigned i = 0; i < r->count;) {
		struct softmix_parked *p = &r->parked[i];

		if (p->due > now) {
			next = p->due < next ? p->due : next;
			i++;
			continue;
		}
		softmix_send(r, p);
		free(p->data);
		*p = r->parked[--r->count];
	}
	return (int)((next - now + 999999) / 1000000);
}

static void *softmix_run(void *arg)
{
	static _Thread_local uint8_t datagram[65536];
	struct softmix_relay *r = arg;

	while (!r->mix->stop) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		ssize_t n;

		poll(&p, 1, softmix_release(r));
		while ((n = recv(r->fd, datagram, sizeof(datagram), MSG_DONTWAIT)) >= 0) {
			softmix_take(r, datagram, (size_t)n);
			softmix_release(r);
		}
	}
	return NULL;
}

static void softmix_node_text(FILE *f, struct softmix *m, unsigned i)
{
	uint8_t pk[2][32], sk[64];
	char hex[3][65], at[ENDPOINT_STRLEN];

	crypto_sign_keypair(pk[0], m->relay[i].identity);
	randombytes_buf(m->relay[i].vrf_seed, 32);
	crypto_sign_seed_keypair(pk[1], sk, m->relay[i].vrf_seed); /* the VRF's key is the same */
	hex_encode(hex[0], pk[0], 32);
	hex_encode(hex[1], pk[1], 32);
	hex_encode(hex[2], m->relay[i].public, 32);
	fprintf(f,
		"%s{ name = \"mix%u\"; layer = %u; weight = 100; address = \"%s\";\n"
		"  identity_key = \"%s\"; vrf_key = \"%s\"; sphinx_key = \"%s\"; }\n",
		i ? "," : "", i, i / SOFTMIX_WIDTH + 1, endpoint_format(at, &m->relay[i].at),
		hex[0], hex[1], hex[2]);
}

/* Writes and signs the directory; 0 or a negative errno. */
static int softmix_write_directory(struct softmix *m, struct error *err)
{
	uint8_t sk[64];
	char plain[96], from[32], until[32];
	time_t now = time(NULL), start = now - 3600, end = now + 3600;
	struct tm tm;
	FILE *f;
	int r;

	snprintf(plain, sizeof(plain), "%s/directory.plain", m->folder);
	snprintf(m->directory, sizeof(m->directory), "%s/directory", m->folder);
	randombytes_buf(m->authority_seed, 32);
	crypto_sign_seed_keypair(m->authority, sk, m->authority_seed);
	strftime(from, sizeof(from), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&start, &tm));
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &tm));
	f = fopen(plain, "w");
	if (!f)
		return error_set(err, errno, "%s: %s", plain, strerror(errno));
	fprintf(f,
		"version = 1;\nnetwork_id = \"%064d\";\nvalid_from = \"%s\";\nvalid_until = "
		"\"%s\";\n"
		"nodes = (\n",
		7, from, until);
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++)
		softmix_node_text(f, m, i);
	fprintf(f, ");\n");
	fclose(f);
	r = directory_sign(plain, m->directory, m->authority_seed, 0, err);
	unlink(plain);
	return r;
}

static int softmix_open(struct softmix_relay *r, const char *ip, struct error *err)
{
	struct sockaddr_storage sa = {0};
	struct endpoint any;
	socklen_t n;
	int size = 8 << 20;

	if (endpoint_parse_ip(&any, ip) < 0)
		return error_set(err, EINVAL, "%s: no address", ip);
	n = endpoint_to_sockaddr(&any, &sa);
	r->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (r->fd < 0 || bind(r->fd, (struct sockaddr *)&sa, n) < 0)
		return error_set(err, errno, "%s: %s", ip, strerror(errno));
	/* beyond the system's limit where we may: a starved relay loses nothing */
	if (setsockopt(r->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	n = sizeof(sa);
	getsockname(r->fd, (struct sockaddr *)&sa, &n);
	endpoint_from_sockaddr(&r->at, (struct sockaddr *)&sa);
	randombytes_buf(r->secret, 32);
	crypto_scalarmult_base(r->public, r->secret);
	r->crypto = crypto_create();
	return r->crypto ? 0 : error_set(err, errno, "no locked memory");
}

/* The relays die; their directory stays. */
static void softmix_kill(struct softmix *m)
{
	m->stop = true;
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++) {
		struct softmix_relay *r = &m->relay[i];

		if (r->thread)
			pthread_join(r->thread, NULL);
		r->thread = 0;
		while (r->count > 0)
			free(r->parked[--r->count].data);
		crypto_free(r->crypto);
		r->crypto = NULL;
		if (r->fd >= 0)
			close(r->fd);
		r->fd = -1;
	}
}

static void softmix_stop(struct softmix *m)
{
	softmix_kill(m);
	unlink(m->directory);
	rmdir(m->folder);
	free(m);
}

/* Starts the relays on `ip`. NULL with `err` and errno set (EADDRNOTAVAIL: no such address here).
 */
static struct softmix *softmix_start(const char *ip, size_t payload_size, struct error *err)
{
	struct softmix *m = calloc(1, sizeof(*m));
	int r = m ? crypto_init(0, err) : -ENOMEM;

	if (!m)
		return NULL;
	m->payload_size = payload_size;
	snprintf(m->folder, sizeof(m->folder), "/tmp/softmix.XXXXXX");
	for (unsigned i = 0; i < SOFTMIX_RELAYS; i++) {
		m->relay[i].mix = m;
		m->relay[i].fd = -1;
	}
	if (r == 0 && !mkdtemp(m->folder))
		r = error_set(err, errno, "%s: %s", m->folder, strerror(errno));
	for (unsigned i = 0; r == 0 && i < SOFTMIX_RELAYS; i++)
		r = softmix_open(&m->relay[i], ip, err);
	if (r == 0)
		r = softmix_write_directory(m, err);
	for (unsigned i = 0; r == 0 && i < SOFTMIX_RELAYS; i++)
		if (pthread_create(&m->relay[i].thread, NULL, softmix_run, &m->relay[i]) != 0)
			r = error_set(err, EAGAIN, "no thread");
	if (r < 0) {
		softmix_stop(m);
		errno = -r;
		return NULL;
	}
	return m;
}

#endif
