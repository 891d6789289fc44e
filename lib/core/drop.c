/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/drop.h"

static const struct {
	const char *name, *text;
} reasons[DROP_COUNT] = {[DROP_NONE] = {"none", "not dropped"},
#define X(n, t) [DROP_##n] = {#n, t},
	DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop_reason r)
{
	return (unsigned)r < DROP_COUNT ? reasons[r].name : "?";
}

const char *drop_text(enum drop_reason r)
{
	return (unsigned)r < DROP_COUNT ? reasons[r].text : "?";
}
