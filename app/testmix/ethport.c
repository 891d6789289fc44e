/* SPDX-License-Identifier: BSD-3-Clause */
#include "ethport.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum {
	DESCRIPTORS = 1024,
	MBUFS = 4095,
	CACHE = 128,
	RETRY_NS = 100 * 1000 * 1000,
};

void ethport_sleep_ns(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	nanosleep(&t, NULL);
}

void ethport_short_sleeps(void)
{
	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
}

static const unsigned any_socket = (unsigned)SOCKET_ID_ANY;

static int find(struct ethport *p, const char *which, struct error *err)
{
	char list[256] = "";
	size_t used = 0;
	uint16_t id;
	char *end;
	unsigned long number = strtoul(which, &end, 10);

	if (*which && !*end && number < RTE_MAX_ETHPORTS &&
		rte_eth_dev_is_valid_port((uint16_t)number)) {
		p->id = (uint16_t)number;
		return 0;
	}
	if (rte_eth_dev_get_port_by_name(which, &p->id) == 0)
		return 0;
	for (id = 0; id < RTE_MAX_ETHPORTS; id++) {
		char name[RTE_ETH_NAME_MAX_LEN];

		if (rte_eth_dev_is_valid_port(id) && rte_eth_dev_get_name_by_port(id, name) == 0 &&
			used < sizeof(list))
			used += (size_t)snprintf(
				list + used, sizeof(list) - used, " %u=%s", id, name);
	}
	return error_set(err, ENODEV, "port %s does not exist; there are:%s", which,
		*list ? list : " none (EAL option --vdev or -a)");
}

static int configure(struct ethport *p, struct error *err)
{
	struct rte_eth_conf conf = {0};
	struct rte_ether_addr mac;
	uint16_t rxd = DESCRIPTORS, txd = DESCRIPTORS;
	int rc = rte_eth_dev_configure(p->id, p->queues, p->queues, &conf);

	if (!rc)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rxd, &txd);
	for (uint16_t q = 0; !rc && q < p->queues; q++) {
		rc = rte_eth_rx_queue_setup(p->id, q, rxd, any_socket, NULL, p->pool);
		if (!rc)
			rc = rte_eth_tx_queue_setup(p->id, q, txd, any_socket, NULL);
	}
	if (!rc)
		rc = rte_eth_macaddr_get(p->id, &mac);
	if (rc)
		return error_set(
			err, -rc, "port %s cannot be configured: %s", p->name, strerror(-rc));
	memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
	return 0;
}

int ethport_open(struct ethport *p, const char *which, struct error *err)
{
	return ethport_open_wide(p, which, 1, MBUFS, 0, err);
}

int ethport_open_wide(struct ethport *p, const char *which, unsigned queues, unsigned mbufs,
	uint16_t priv, struct error *err)
{
	char pool[32];
	int rc;

	memset(p, 0, sizeof(*p));
	rc = find(p, which, err);
	if (rc)
		return rc;
	p->queues = (uint16_t)queues;
	rte_eth_dev_get_name_by_port(p->id, p->name);
	snprintf(pool, sizeof(pool), "testmix_%u", p->id);
	p->pool = rte_pktmbuf_pool_create(
		pool, mbufs, CACHE, priv, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!p->pool)
		return error_set(err, ENOMEM,
			"no memory for %u packet buffers of port %s: EAL's -m", mbufs, p->name);
	return configure(p, err);
}

int ethport_start(struct ethport *p, uint64_t deadline, const atomic_bool *stop, struct error *err)
{
	struct rte_eth_link link = {0};
	bool started = false;
	int rc = -EAGAIN;

	while (!atomic_load(stop)) {
		if (!started)
			started = (rc = rte_eth_dev_start(p->id)) == 0;
		if (started && rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status)
			return 0;
		if (ethport_now() > deadline)
			return error_set(err, ETIMEDOUT,
				started ? "port %s: the link did not come up: does the other end "
					  "run?"
					: "port %s cannot be started: is its server up? (%s)",
				p->name, started ? "" : strerror(rc < 0 ? -rc : EIO));
		ethport_sleep_ns(RETRY_NS);
	}
	return error_set(err, EINTR, "interrupted while port %s was started", p->name);
}

void ethport_close(struct ethport *p)
{
	if (!p->pool)
		return;
	rte_eth_dev_stop(p->id);
	rte_eth_dev_close(p->id);
	rte_mempool_free(p->pool);
	p->pool = NULL;
}

struct rte_mbuf *ethport_mbuf(struct ethport *p, uint16_t len, uint8_t **bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);

	if (m)
		*bytes = (uint8_t *)rte_pktmbuf_append(m, len);
	return m;
}
