/* SPDX-License-Identifier: BSD-3-Clause */
/* How an embedding program hands packets in and takes them out. Control lcore only. */
#include "pipeline/pipeline.h"

#include <errno.h>

/* One burst for one worker. Returns how many were taken. */
static unsigned submit_burst(
	struct betanet *b, struct worker *w, const uint8_t *const packets[], unsigned n)
{
	struct rte_mbuf *m[BURST_MAX];
	unsigned room = rte_ring_free_count(w->submit);

	/* back-pressure comes before drops */
	n = RTE_MIN(n, RTE_MIN(room, pool_spare(b)));
	if (n == 0 || pool_alloc_bulk(b, m, n) != 0)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		memcpy(rte_pktmbuf_mtod(m[i], void *), packets[i], b->packet_size);
		m[i]->data_len = (uint16_t)b->packet_size;
		m[i]->pkt_len = b->packet_size;
	}
	/* the only producer: the room counted above is still there */
	return rte_ring_sp_enqueue_burst(w->submit, (void **)m, n, NULL);
}

unsigned betanet_submit(struct betanet *b, const uint8_t *const packets[], unsigned n)
{
	unsigned done = 0, refused = 0;

	if (atomic_load(&b->state) != LCORE_RUN)
		return 0;
	/* bursts go round; a full queue is passed over until all of them are full */
	while (done < n && refused < b->cfg.workers) {
		struct worker *w = &b->workers[b->next_worker];
		unsigned want = RTE_MIN(n - done, b->cfg.batch_size);
		unsigned took = submit_burst(b, w, packets + done, want);

		b->next_worker = (b->next_worker + 1) % b->cfg.workers;
		refused = took ? 0 : refused + 1;
		done += took;
	}
	return done;
}

static void copy_out(struct betanet_output *o, struct rte_mbuf *m)
{
	const struct packet_meta *meta = packet_meta(m);

	o->final = meta->flag == SPHINX_FLAG_FINAL;
	memcpy(o->address, meta->address, sizeof(o->address));
	memcpy(o->identifier, meta->identifier, sizeof(o->identifier));
	o->delay_ns = meta->delay_ns;
	o->len = m->data_len;
	memcpy(o->data, rte_pktmbuf_mtod(m, void *), m->data_len);
}

int betanet_collect(struct betanet *b, struct betanet_output out[], unsigned n)
{
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++)
		if (out[i].capacity < b->packet_size)
			return -EINVAL;
	while (b->collect && done < n) {
		struct rte_mbuf *m[BURST_MAX];
		unsigned want = RTE_MIN(n - done, (unsigned)BURST_MAX);
		unsigned got = rte_ring_sc_dequeue_burst(b->collect, (void **)m, want, NULL);

		if (got == 0)
			break;
		for (unsigned i = 0; i < got; i++)
			copy_out(&out[done + i], m[i]);
		rte_pktmbuf_free_bulk(m, got);
		done += got;
	}
	return (int)done;
}
