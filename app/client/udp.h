/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_UDP_H
#define BETANET_CLIENT_UDP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/error.h"
#include "sphinx/address.h"

/*
 * One kernel UDP socket. Nothing is ever sent in IP fragments: the relays drop those. Every
 * function fails with a negative errno and `err` set. A signal that was caught ends a wait with
 * -EINTR.
 */
enum { UDP_MAX_DATAGRAM = 65535 };

struct udp {
	int fd;
	struct endpoint bound;
	uint32_t overflowed; /* datagrams that the kernel dropped because the socket was full */
	uint64_t refused;    /* datagrams that a host or a router answered with an ICMP error */
	struct endpoint refused_by; /* where the latest of them was going to */
	int refused_errno;
};

/* Binds to `at`, or to any free port of all addresses of `family` (4 or 6) when `at` is NULL. */
int udp_open(struct udp *u, const struct endpoint *at, uint8_t family, struct error *err);
void udp_close(struct udp *u);

/* The address by which a host that is reached by the same way as `toward` reaches this socket:
 * `bound`, with the kernel's choice of a local address where that is 0.0.0.0 or ::. */
int udp_own_address(const struct udp *u, const struct endpoint *toward, struct endpoint *own,
	struct error *err);

/* Waits while the kernel's queue is full. */
int udp_send(
	struct udp *u, const struct endpoint *to, const void *data, size_t len, struct error *err);

/*
 * Waits for a datagram until `deadline` (clock_ns; 0: return at once; UINT64_MAX: for ever).
 * Returns its length (0 is a length), -EAGAIN at the deadline, -EINTR, or another error.
 */
ssize_t udp_receive(struct udp *u, void *buf, size_t cap, uint64_t deadline, struct endpoint *from,
	struct error *err);

/* Monotonic nanoseconds. */
uint64_t clock_ns(void);

/* Even spacing of what is sent; a sender that falls behind catches up over 10 ms at most. */
struct pacer {
	uint64_t gap_ns, next;
};

void pacer_start(struct pacer *p, double per_second);

/* Sleeps until the next slot. 0 or -EINTR. */
int pacer_wait(struct pacer *p);

#endif
