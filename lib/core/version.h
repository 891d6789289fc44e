/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_VERSION_H
#define BETANET_CORE_VERSION_H

#define BETANET_VERSION "0.1.0"

#endif
