/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CRYPTO_STATE_H
#define BETANET_CRYPTO_STATE_H

#include <intel-ipsec-mb.h>
#include "crypto/crypto.h"

/* Inside of struct crypto, for lib/crypto alone. One block of secmem holds it and the manager. */
struct crypto {
	IMB_MGR *mgr; /* of the kind that is fastest one job at a time */
};

/* Name of that kind, for reports ("sse"); "none" before crypto_init. */
const char *crypto_manager_name(void);

#endif
