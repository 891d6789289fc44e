#!/usr/bin/env bash
# The tools of perf/: statistics, perf-compare and the report on data whose truth is known; then three
# builds of perf_pipeline in turns, two of them identical and one with a stage that is slowed on purpose.
set -u
cd "$(dirname "$0")/../.." || exit
build=${BUILD:-build}
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # text status
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok: $1"
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
	fi
	return "$2"
}

add() { # log of perf_tools.py
	local p f
	cat "$1"
	read -r p f < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$1" | tail -n 1)
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1}))
}

python3 tests/functional/perf_tools.py >"$work/synthetic.log" 2>&1
add "$work/synthetic.log"

# a program that measures nothing is a failure that is told
mkdir -p "$work/bad/perf"
printf '#!/bin/sh\necho broken\nexit 3\n' >"$work/bad/perf/perf_broken"
chmod +x "$work/bad/perf/perf_broken"
python3 perf/run.py --build "$work/bad" --out "$work/bad.json" >"$work/bad.log" 2>&1
[ $? = 1 ] && grep -q 'perf_broken, run 1 of 3: status 3' "$work/bad.log" "$work/bad.json"
check "a benchmark that fails makes the whole fail, and the result file says so" $?

if [ -n "${SANITIZE:-}" ]; then
	skipped=5
	echo "SKIPPED: builds in turns: times under sanitizers say nothing"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
	exit
fi

# The fault: so many cycles more for each packet in stage_route. Only this object is compiled; the
# library is the build's own.
cc=$(cut -d' ' -f1 "$build/perf/flags" 2>/dev/null) # not in a build folder of before
make --no-print-directory CC="${cc:-gcc}" BUILD="$work/C" LIB="$build/libbetanet.a" LIB_OBJ= CFLAGS=-DPERF_FAULT_ROUTE=3000 \
	LDFLAGS=-Wl,--wrap=stage_route "$work/C/perf/perf_pipeline" >"$work/make.log" 2>&1
check "a build with a slowed stage" $? || cat "$work/make.log"
! nm "$build/perf/perf_pipeline" | grep -q __wrap_stage_route && nm "$work/C/perf/perf_pipeline" | grep -q __wrap_stage_route
check "the fault is in that build alone" $?
for copy in A B; do
	mkdir -p "$work/$copy/perf"
	cp "$build/perf/perf_pipeline" "$work/$copy/perf"
	[ -e "$build/perf/flags" ] && cp "$build/perf/flags" "$work/$copy/perf"
done

python3 perf/run.py --quick --terse --runs 7 --argument stages --build "$work/A" --build "$work/B" --build "$work/C" \
	--out "$work/result.json" pipeline >"$work/run.log" 2>&1
check "three builds in turns" $?
grep -E 'run|results|others|WORSE|nothing' "$work/run.log" | tail -n 12
python3 tests/functional/perf_tools.py "$work"/result-{A,B,C}.json >"$work/real.log" 2>&1
add "$work/real.log"

python3 perf/compare.py "$work/result-A.json" "$work/result-C.json" --fail-on-regression >/dev/null
[ $? = 1 ]
check "perf-compare --fail-on-regression fails for the slowed build" $?

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
