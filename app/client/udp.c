/* SPDX-License-Identifier: BSD-3-Clause */
#include "udp.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CATCH_UP_NS = 10 * 1000 * 1000, SOCKET_BUFFER = 8 << 20 };

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pacer_start(struct pacer *p, double per_second)
{
	p->gap_ns = (uint64_t)(1e9 / per_second);
	p->next = clock_ns();
}

int pacer_wait(struct pacer *p)
{
	uint64_t now = clock_ns();
	int r = 0;

	if (p->next > now) {
		struct timespec t = {.tv_sec = (time_t)(p->next / 1000000000u),
			.tv_nsec = (long)(p->next % 1000000000u)};

		r = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	} else if (now - p->next > CATCH_UP_NS) {
		p->next = now - CATCH_UP_NS;
	}
	p->next += p->gap_ns;
	return -r;
}

static void set_options(int fd, uint8_t family)
{
	const int on = 1, size = SOCKET_BUFFER, dont_fragment = IP_PMTUDISC_DO;

	/* each of them may be refused on an odd kernel: then reports are poorer, nothing else */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	if (family == 4) {
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont_fragment, sizeof(dont_fragment));
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		setsockopt(
			fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &dont_fragment, sizeof(dont_fragment));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	}
}

static int fail(int fd, const char *what, const struct endpoint *e, struct error *err)
{
	char text[ENDPOINT_STRLEN];
	int code = errno;

	if (fd >= 0)
		close(fd);
	return error_set(err, code, "%s %s: %s%s", what, endpoint_format(text, e), strerror(code),
		code == EADDRNOTAVAIL ? " (no interface of this host has that address)" : "");
}

int udp_open(struct udp *u, const struct endpoint *at, uint8_t family, struct error *err)
{
	struct endpoint any = {.family = family};
	struct sockaddr_storage sa = {0};
	socklen_t len;

	memset(u, 0, sizeof(*u));
	if (!at)
		at = &any;
	len = endpoint_to_sockaddr(at, &sa);
	u->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return fail(-1, "cannot open a UDP socket for", at, err);
	set_options(u->fd, at->family);
	if (bind(u->fd, (struct sockaddr *)&sa, len) < 0) {
		int r = fail(u->fd, "cannot bind to", at, err);

		u->fd = -1;
		return r;
	}
	len = sizeof(sa);
	getsockname(u->fd, (struct sockaddr *)&sa, &len);
	return endpoint_from_sockaddr(&u->bound, (struct sockaddr *)&sa);
}

void udp_close(struct udp *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
}

int udp_own_address(
	const struct udp *u, const struct endpoint *toward, struct endpoint *own, struct error *err)
{
	static const uint8_t wildcard[16];
	struct sockaddr_storage sa = {0};
	socklen_t len = endpoint_to_sockaddr(toward, &sa);
	int fd;

	*own = u->bound;
	if (memcmp(own->ip, wildcard, sizeof(wildcard)) != 0)
		return 0;
	/* connecting a UDP socket sends nothing: it only makes the kernel choose */
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
		return fail(fd, "give --bind: this host finds no way to", toward, err);
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return fail(fd, "give --bind: no local address toward", toward, err);
	close(fd);
	endpoint_from_sockaddr(own, (struct sockaddr *)&sa);
	own->port = u->bound.port;
	return 0;
}

/* Takes what ICMP said from the socket's error queue: otherwise it would surface as the error of an
 * unrelated call. */
static void collect_errors(struct udp *u)
{
	for (;;) {
		union {
			struct cmsghdr align;
			char bytes[512];
		} control;
		struct sockaddr_storage sa = {0};
		struct msghdr m = {.msg_name = &sa,
			.msg_namelen = sizeof(sa),
			.msg_control = &control,
			.msg_controllen = sizeof(control)};

		if (recvmsg(u->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			struct sock_extended_err e;

			if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
				!(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
				continue;
			memcpy(&e, CMSG_DATA(c), sizeof(e));
			if (e.ee_origin == SO_EE_ORIGIN_LOCAL)
				continue;
			u->refused++;
			u->refused_errno = (int)e.ee_errno;
			endpoint_from_sockaddr(&u->refused_by, (struct sockaddr *)&sa);
		}
	}
}

int udp_send(
	struct udp *u, const struct endpoint *to, const void *data, size_t len, struct error *err)
{
	struct sockaddr_storage sa = {0};
	socklen_t sa_len = endpoint_to_sockaddr(to, &sa);
	char text[ENDPOINT_STRLEN];

	/* each pass that fails without a reason to wait has taken an ICMP error off the socket */
	for (int tries = 0;; tries++) {
		ssize_t n = sendto(u->fd, data, len, 0, (struct sockaddr *)&sa, sa_len);
		int code = errno;

		if (n >= 0)
			return 0;
		if (code == EMSGSIZE)
			return error_set(err, code,
				"%s: a datagram of %zu bytes is larger than the path's MTU; relays "
				"drop IP fragments: use a network with a smaller payload size",
				endpoint_format(text, to), len);
		if ((code == EAGAIN || code == ENOBUFS) && tries < 1000) {
			struct pollfd p = {.fd = u->fd, .events = POLLOUT};

			poll(&p, 1, 10);
			continue;
		}
		collect_errors(u);
		if ((code == ECONNREFUSED || code == EHOSTUNREACH || code == ENETUNREACH ||
			    code == EINTR || code == EPROTO || code == EACCES) &&
			tries < 3)
			continue;
		return error_set(err, code, "cannot send to %s: %s", endpoint_format(text, to),
			strerror(code));
	}
}

static void note_overflow(struct udp *u, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&u->overflowed, CMSG_DATA(c), sizeof(u->overflowed));
}

ssize_t udp_receive(struct udp *u, void *buf, size_t cap, uint64_t deadline, struct endpoint *from,
	struct error *err)
{
	for (;;) {
		union {
			struct cmsghdr align;
			char bytes[256];
		} control;
		struct sockaddr_storage sa = {0};
		struct iovec io = {.iov_base = buf, .iov_len = cap};
		struct msghdr m = {.msg_name = &sa,
			.msg_namelen = sizeof(sa),
			.msg_iov = &io,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control)};
		struct pollfd p = {.fd = u->fd, .events = POLLIN};
		struct timespec wait = {0};
		uint64_t now;
		ssize_t n = recvmsg(u->fd, &m, MSG_DONTWAIT);

		if (n >= 0) {
			note_overflow(u, &m);
			endpoint_from_sockaddr(from, (struct sockaddr *)&sa);
			return n;
		}
		if (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH ||
			errno == EPROTO) {
			collect_errors(u);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return error_set(err, errno, "cannot receive: %s", strerror(errno));
		now = clock_ns();
		if (now >= deadline)
			return -EAGAIN;
		wait.tv_sec = (time_t)((deadline - now) / 1000000000u);
		wait.tv_nsec = (long)((deadline - now) % 1000000000u);
		if (ppoll(&p, 1, deadline == UINT64_MAX ? NULL : &wait, NULL) < 0)
			return -errno;
		if (p.revents & POLLERR)
			collect_errors(u);
	}
}
