/* SPDX-License-Identifier: BSD-3-Clause */
#include "fault.h"

#include <sodium.h>
#include "sphinx/address.h"
#include "sphinx/frame.h"

/* RFC 5737 documentation addresses: nobody's, so no directory or exit_allow list holds them. */
static const struct endpoint nowhere = {.family = 4, .port = 9, .ip = {198, 51, 100, 1}};

static void second_hop_unknown(struct sphinx_route *route)
{
	address_encode(route->hop[1].address, &nowhere);
}

static void destination_denied(struct sphinx_route *route)
{
	address_encode(route->destination, &nowhere);
}

static void ends_at_entry(struct sphinx_route *route)
{
	route->hops = 1;
}

static void flip_header_bit(uint8_t *framed, size_t size)
{
	uint32_t bit = randombytes_uniform((SPHINX_GAMMA_SIZE + SPHINX_BETA_SIZE) * 8);

	(void)size;
	framed[FRAME_SIZE + SPHINX_ALPHA_SIZE + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void frame_version_unknown(uint8_t *framed, size_t size)
{
	(void)size;
	framed[0] = FRAME_VERSION + 1;
}

const struct fault_kind fault_kinds[FAULT_COUNT] = {
#define X(name, opt, drop, txt)                                                                    \
	[FAULT_##name] = {.option = opt, .text = txt, .reason = DROP_##drop, FAULT_DOES_##name},
#define FAULT_DOES_replay .min_hops = 1
#define FAULT_DOES_forge .min_hops = 1, .packet = flip_header_bit
#define FAULT_DOES_unknown_hop .min_hops = 2, .route = second_hop_unknown
#define FAULT_DOES_deny .min_hops = 1, .route = destination_denied
#define FAULT_DOES_not_exit .min_hops = 2, .route = ends_at_entry
#define FAULT_DOES_bad_frame .min_hops = 1, .packet = frame_version_unknown
#define FAULT_DOES_truncate .min_hops = 1, .length_change = -1
#define FAULT_DOES_wrong_port .min_hops = 1, .port_change = 1
	FAULTS(X)
#undef X
};
