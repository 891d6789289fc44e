/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIXNODE_AUDIT_H
#define BETANET_MIXNODE_AUDIT_H

#include "config/config.h"
#include "core/error.h"
#include "pipeline/betanet.h"

/*
 * What a relay with VRF delays shows the world, and takes from it: reads the beacon file, publishes
 * the audit records of past epochs, proves and publishes the set of next hops of each neighbours'
 * epoch ahead of it and has the pipeline keep to it. Control lcore only.
 */
struct audit;

/*
 * NULL in *out when the config asks for neither. Holds the identity's and the VRF's key in locked
 * memory. -EINVAL when the identity key is not the directory's for this node; or an error of a key
 * file.
 */
int audit_create(const struct config *c, struct audit **out, struct error *err);

/* After a new directory, and before the start: the set of next hops for it. */
int audit_directory(struct audit *a, struct betanet *b, struct error *err);

/* About once a second. What could not be published is tried again; a message per new fault goes to
 * stderr. */
void audit_poll(struct audit *a, struct betanet *b);

void audit_free(struct audit *a); /* wipes; NULL is fine */

#endif
