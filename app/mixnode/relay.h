/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_MIXNODE_RELAY_H
#define BETANET_MIXNODE_RELAY_H

#include <stdio.h>
#include "config/config.h"
#include "core/error.h"
#include "pipeline/betanet.h"

/* From the relay's config file to a pipeline. */

/* What betanet.h wants of it; the Sphinx secret is not read. Pointers lead into *c. */
void relay_pipeline_config(const struct config *c, struct betanet_config *out);
void relay_ports(const struct config *c, struct betanet_port out[BETANET_MAX_PORTS]);

/* `--check-config`: the effective config and the pool arithmetic. 0, or -EINVAL with `err` set when
 * pool_size is below what the settings need. Needs no EAL. */
int relay_check(const struct config *c, FILE *out, struct error *err);

/* The pool arithmetic alone, for the start. */
void relay_print_pool(const struct config *c, FILE *out);

/*
 * Creates the pipeline with its ports and the directory; checks that the directory knows this
 * relay: name, layer for the role, Sphinx key, an address of one of the ports. EAL must be up. 0 or
 * a negative errno.
 */
int relay_create(const struct config *c, struct betanet **out, struct error *err);

/* Reads the directory again; the old one stays on an error. */
int relay_reload(const struct config *c, struct betanet *b, struct error *err);

#endif
