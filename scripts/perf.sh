#!/usr/bin/env bash
# Runs every benchmark in $BUILD/perf, each under its heading, on one core where taskset is there.
# Arguments name the ones to run: scripts/perf.sh unwrap x25519
set -u
cd "$(dirname "$0")/.." || exit
build=${BUILD:-build}

# the last core that we may use: the first often has the interrupts
pin=()
if command -v taskset >/dev/null; then
	cores=$(taskset -cp $$ | sed 's/.*: //')
	core=${cores##*[,-]}
	pin=(taskset -c "$core")
fi

names=("$@")
if [ $# = 0 ]; then
	for p in "$build"/perf/perf_*; do
		[ -f "$p" ] && [ -x "$p" ] && names+=("${p##*/perf_}")
	done
fi
if [ ${#names[@]} = 0 ]; then
	echo "no benchmark in $build/perf; build them first: make perf"
	exit 1
fi

sed -n 's/^model name[^:]*: /CPU: /p' /proc/cpuinfo | head -n 1
[ ${#pin[@]} = 0 ] || echo "core: $core"
failed=0
for name in "${names[@]}"; do
	printf '\n=== %s ===\n' "$name"
	program=$build/perf/perf_$name
	if [ ! -x "$program" ]; then
		echo "$program is not there; make perf builds it"
		failed=1
		continue
	fi
	"${pin[@]}" "$program" || {
		echo "perf_$name ended with status $?"
		failed=1
	}
done
exit $failed
