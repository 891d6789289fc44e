/* SPDX-License-Identifier: BSD-3-Clause */
#include "route.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

/* How often a route is drawn again when two hops share no address family. */
enum { MAX_DRAWS = 256 };

uint64_t route_draw_delay(double mean_ms)
{
	uint64_t bits;
	double u;

	randombytes_buf(&bits, sizeof(bits));
	/* the middle of one of 2^53 equal parts of (0, 1): never 0, so the logarithm is finite */
	u = ((double)(bits >> 11) + 0.5) * 0x1p-53;
	return (uint64_t)(-log(u) * mean_ms * 1e6);
}

const struct endpoint *route_address_of(const struct directory_node *n, uint8_t family)
{
	for (unsigned i = 0; i < n->addresses; i++)
		if (family == 0 || n->address[i].family == family)
			return &n->address[i];
	return NULL;
}

const struct endpoint *route_common_address(
	const struct directory_node *from, const struct directory_node *to)
{
	for (unsigned i = 0; i < to->addresses; i++)
		if (route_address_of(from, to->address[i].family))
			return &to->address[i];
	return NULL;
}

static bool connect_hops(
	struct route *r, unsigned hops, uint8_t entry_family, const struct endpoint *destination)
{
	const struct endpoint *e = route_address_of(r->node[0], entry_family);

	if (!e || !route_address_of(r->node[hops - 1], destination->family))
		return false;
	r->first = *e;
	for (unsigned i = 1; i < hops; i++) {
		e = route_common_address(r->node[i - 1], r->node[i]);
		if (!e)
			return false;
		address_encode(r->sphinx.hop[i].address, e);
	}
	return true;
}

static int stale(const struct directory *d, uint64_t now, struct error *err)
{
	const time_t at[3] = {(time_t)d->valid_from, (time_t)d->valid_until, (time_t)now};
	char text[3][32];
	struct tm tm;

	for (int i = 0; i < 3; i++)
		strftime(text[i], sizeof(text[i]), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at[i], &tm));
	return error_set(err, ESTALE,
		"the directory is valid from %s until %s, and this host's clock says %s: fetch the "
		"network's current directory, or set the clock",
		text[0], text[1], text[2]);
}

/* Without neighbour sets: any relay of a layer may follow any of the layer before. */
static int draw_anywhere(const struct route_params *p, const struct endpoint *destination,
	uint8_t entry_family, struct route *r, struct error *err)
{
	unsigned draws = 0;
	int rc;

	do {
		if (draws++ == MAX_DRAWS) {
			char to[ENDPOINT_STRLEN];

			return error_set(err, ENOENT,
				"no route of %u hops to %s: the directory's relays share no IPv%u "
				"path from here to there",
				p->hops, endpoint_format(to, destination),
				(unsigned)destination->family);
		}
		rc = directory_draw_route(p->directory, p->hops, r->node, err);
		if (rc < 0)
			return rc;
	} while (!connect_hops(r, p->hops, entry_family, destination));
	return 0;
}

static int draw_inside(const struct route_params *p, const struct endpoint *destination,
	uint8_t entry_family, struct route *r, struct error *err)
{
	int rc = neighbours_draw_route(
		p->neighbours, p->hops, entry_family, destination->family, r->node, err);

	if (rc < 0)
		return rc;
	return connect_hops(r, p->hops, entry_family, destination)
		       ? 0
		       : error_set(err, ENOENT, "the hops of a route share no address family");
}

int route_draw(const struct route_params *p, const struct endpoint *destination,
	uint8_t entry_family, struct route *r, struct error *err)
{
	const struct directory *d = p->directory;
	int rc;

	if (p->now != 0 && (p->now < d->valid_from || p->now >= d->valid_until))
		return stale(d, p->now, err);
	if (p->hops < 1 || p->hops > d->layers || p->hops > SPHINX_MAX_HOPS)
		return error_set(err, EINVAL,
			"--hops %u: the directory has %u layer%s, so 1 to %u are possible", p->hops,
			d->layers, d->layers == 1 ? "" : "s",
			d->layers < SPHINX_MAX_HOPS ? d->layers : (unsigned)SPHINX_MAX_HOPS);
	memset(r, 0, sizeof(*r));
	rc = (p->neighbours ? draw_inside : draw_anywhere)(p, destination, entry_family, r, err);
	if (rc < 0)
		return rc;

	r->sphinx.hops = p->hops;
	r->sphinx.version = p->version;
	address_encode(r->sphinx.destination, destination);
	randombytes_buf(r->sphinx.identifier, sizeof(r->sphinx.identifier));
	for (unsigned i = 0; i < p->hops; i++) {
		struct sphinx_route_hop *hop = &r->sphinx.hop[i];

		memcpy(hop->public_key, r->node[i]->sphinx_key, sizeof(hop->public_key));
		/* the last hop hands over at once */
		hop->delay_ns = i + 1 < p->hops ? route_draw_delay(p->mean_delay_ms) : 0;
		r->delay_ms += (double)hop->delay_ns / 1e6;
	}
	return 0;
}

static int check_burst(unsigned n, struct error *err)
{
	if (n >= 1 && n <= ROUTE_BURST)
		return 0;
	return error_set(err, EINVAL, "%u packets at once; 1 to %d are made", n, (int)ROUTE_BURST);
}

/* What cannot happen with a directory and options that were checked is still named. */
static int all_made(
	const enum sphinx_status status[], unsigned n, const char *what, struct error *err)
{
	for (unsigned i = 0; i < n; i++)
		if (status[i] != SPHINX_ok)
			return error_set(err, EINVAL, "%s cannot be made: %s (%s)", what,
				sphinx_status_text(status[i]), sphinx_status_name(status[i]));
	return 0;
}

int route_datagrams(struct sphinx_builder *b, const struct route_params *p,
	const struct route_packet packet[], unsigned n, struct error *err)
{
	struct sphinx_build_item item[ROUTE_BURST];
	enum sphinx_status status[ROUTE_BURST];
	int rc = check_burst(n, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < n; i++) {
		frame_write(packet[i].datagram, p->payload_size, 0);
		item[i] = (struct sphinx_build_item){.route = &packet[i].route.sphinx,
			.message = packet[i].message,
			.message_len = packet[i].len,
			.out = packet[i].datagram + FRAME_SIZE};
	}
	sphinx_build_burst(b, item, n, p->payload_size, status);
	return all_made(status, n, "a packet", err);
}

int route_reply_blocks(struct sphinx_builder *b, const struct route r[], struct surb_item item[],
	unsigned n, struct error *err)
{
	uint8_t first[ROUTE_BURST][SPHINX_ADDRESS_SIZE];
	enum sphinx_status status[ROUTE_BURST];
	int rc = check_burst(n, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < n; i++) {
		address_encode(first[i], &r[i].first);
		item[i].route = &r[i].sphinx;
		item[i].first_hop = first[i];
		item[i].entropy = NULL;
	}
	surb_create_burst(b, item, n, status);
	return all_made(status, n, "a reply block", err);
}
