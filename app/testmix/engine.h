/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTMIX_ENGINE_H
#define BETANET_TESTMIX_ENGINE_H

#include "lab.h"

struct worker; /* pipeline/pipeline.h */

/*
 * What is done with packets between RX and TX. An engine either handles a burst of a stream, called
 * by the lab's own loop on each forwarding lcore, or brings lcores of its own, as the relay's
 * pipeline does.
 */
struct engine {
	const char *name, *text;
	/* One poll of a stream: receive, do, send. Returns the packets received. NULL: own lcores.
	 */
	unsigned (*burst)(struct stream *s);
	/* Before the lcores run; after they have stopped. NULL: nothing to do. */
	int (*begin)(struct lab *l, struct error *err);
	int (*end)(struct lab *l, struct error *err);
	void (*poll)(struct lab *l); /* main lcore, every few milliseconds */
	/* Of all lcores since the begin, while they had packets. NULL: the lab counts them. */
	void (*cycles)(const struct lab *l, uint64_t *cycles, uint64_t *packets);
	/* Whose stages and drops `show mix` shows; NULL behind the last. Kept until release. */
	const struct worker *(*worker)(const struct lab *l, unsigned i);
	void (*release)(struct lab *l); /* what end has left; before another engine begins */
	bool pipeline; /* configures the ports itself, takes no second copy of a packet */
	bool no_delay, no_replay;
	unsigned max_burst;
};

extern const struct engine engine_io, engine_mac, engine_parse, engine_sphinx,
	engine_sphinx_nodelay, engine_sphinx_noreplay;

/* NULL when there is none of that name. */
const struct engine *engine_find(const char *name);

/* All names, "io, mac, …". */
const char *engine_names(char *out, size_t size);

/* What a TX queue does not take of a burst is dropped, as testpmd does. Inline: io is measured by a
 * few cycles a packet. */
static inline void engine_send(struct stream *s, struct rte_mbuf **m, unsigned n)
{
	unsigned sent = rte_eth_tx_burst(s->tx_port, s->tx_queue, m, (uint16_t)n);

	s->n.sent += sent;
	if (unlikely(sent < n)) {
		s->n.dropped += n - sent;
		rte_pktmbuf_free_bulk(m + sent, n - sent);
	}
}

#endif
