#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A relay's own delays, measured on the wire: three relays joined by memif, of which the middle one alone delays,
# by its VRF; the load application takes each packet's time from end to end. Kolmogorov-Smirnov against the
# exponential law at the 1 % limit; order of leaving against order of sending; light against heavier load.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mean_ms=400

lab() { # name packets rate
	BUILD=$build LAB_VRF="entry:mode=\"none\"; middle:mode=\"vrf\";delay_variance_ms=$mean_ms.0; exit:mode=\"none\";" \
		timeout 200 scripts/lab-memif.sh --packets "$2" --rate "$3" --mean-delay-ms 0 \
		--latencies "$work/$1" >"$work/$1.log" 2>&1 || {
		tail -n 30 "$work/$1.log"
		return 1
	}
}

# A right law fails a limit of 1 % once in a hundred times; a wrong one fails twice.
for _ in 1 2; do
	lab light 2000 200 && lab heavy 2000 1000 &&
		python3 tests/functional/vrf_wire.py $mean_ms "$work/light" "$work/heavy" >"$work/result" && break
	cat "$work/result" 2>/dev/null
done
tail -n 8 "$work/result"
grep -q ' passed, 0 failed$' "$work/result"
