#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The README's library example and the one in betanet_bench.h, as they stand there, compile against the
# installed library and run.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
cc=${CC:-gcc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() { # name command...
	local name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $name"
		cat "$work/log"
	fi
}

sed -n '/^```c$/,/^```$/{/^```/!p}' README.md >"$work/main.c"
check "README.md has one example in C" grep -q 'int main' "$work/main.c"
check "make install" make --no-print-directory install BUILD="$build" PREFIX="$work/usr" CC="$cc" SANITIZE="${SANITIZE:-}"
export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig
read -ra flags < <(pkg-config --cflags --libs betanet)
sanitize=()
[ -z "${SANITIZE:-}" ] || sanitize=("-fsanitize=address,undefined")
check "the example compiles without a warning" "$cc" -std=gnu11 -Wall -Wextra -Werror "${sanitize[@]}" -o "$work/main" "$work/main.c" "${flags[@]}"
run() {
	timeout 60 "$work/main" "$@" >"$work/said"
}
check "the example runs" run --no-huge -m 256 --no-pci --no-telemetry --file-prefix "readme$$" \
	--lcores "0@(0-$(($(nproc) - 1))),1@(0-$(($(nproc) - 1)))"
check "it says what it did" grep -q 'held for 20.0 ms, 1 processed, 0 dropped' "$work/said"

sed -n '/^ \*     #include/,/^ \*     }/s/^ \*     //p' lib/pipeline/betanet_bench.h >"$work/main.c"
check "betanet_bench.h has an example" grep -q 'int main' "$work/main.c"
check "it compiles without a warning" "$cc" -std=gnu11 -Wall -Wextra -Werror "${sanitize[@]}" -o "$work/main" "$work/main.c" "${flags[@]}"
check "it runs" run --no-huge -m 256 --no-pci --no-telemetry --file-prefix "bench$$" \
	--lcores "0@(0-$(($(nproc) - 1))),1@(0-$(($(nproc) - 1)))"
check "it says how many were processed" grep -Eq '^processed +[1-9][0-9]* packets$' "$work/said"
check "it says whether the target was reached" grep -Eq '25,000 packets a second: (reached|missed)' "$work/said"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
