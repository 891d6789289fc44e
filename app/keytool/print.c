/* SPDX-License-Identifier: BSD-3-Clause */
#include "keytool.h"
#include "core/bytes.h"

#include <time.h>

/* Lines of "label  value", as every command that shows something prints them. */

#define LAST_SECOND UINT64_C(253402300799) /* of the year 9999 */

void keytool_print_hex(const char *label, const uint8_t *p, size_t n)
{
	char hex[65];

	hex_encode(hex, p, n < 32 ? n : 32);
	printf("%-12s %s%s\n", label, hex, n > 32 ? "..." : "");
}

const char *keytool_time(char out[KEYTOOL_TIME], uint64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (t > LAST_SECOND || !gmtime_r(&at, &tm) ||
		strftime(out, KEYTOOL_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, KEYTOOL_TIME, "?");
	return out;
}
