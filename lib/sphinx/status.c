/* SPDX-License-Identifier: BSD-3-Clause */
#include "sphinx/packet.h"

static const struct {
	const char *name, *text;
} statuses[] = {
#define X(n, t) [SPHINX_##n] = {#n, t},
	SPHINX_STATUSES(X)
#undef X
};

enum { COUNT = sizeof(statuses) / sizeof(*statuses) };

const char *sphinx_status_name(enum sphinx_status s)
{
	return (unsigned)s < COUNT ? statuses[s].name : "?";
}

const char *sphinx_status_text(enum sphinx_status s)
{
	return (unsigned)s < COUNT ? statuses[s].text : "?";
}
