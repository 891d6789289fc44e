/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_DPDK_COMPAT_H
#define BETANET_CORE_DPDK_COMPAT_H

/*
 * The one place that knows differences between DPDK versions. 22.11 (Debian 12) is what is tested;
 * later ones renamed the telemetry calls in 23.03.
 */
#include <rte_telemetry.h>
#include <rte_version.h>

#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define compat_tel_add_dict_u64 rte_tel_data_add_dict_uint
#define compat_tel_add_array_u64 rte_tel_data_add_array_uint
#define COMPAT_TEL_U64_VAL RTE_TEL_UINT_VAL
#else
#define compat_tel_add_dict_u64 rte_tel_data_add_dict_u64
#define compat_tel_add_array_u64 rte_tel_data_add_array_u64
#define COMPAT_TEL_U64_VAL RTE_TEL_U64_VAL
#endif

#endif
