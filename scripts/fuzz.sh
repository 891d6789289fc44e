#!/usr/bin/env bash
# Runs every tests/fuzz/fuzz_X under AddressSanitizer and UndefinedBehaviorSanitizer.
#   scripts/fuzz.sh [FRAMES]     FRAMES in all; default 10 million. fuzz_stages, which runs a worker's
#                                stages whole, takes what `share` leaves
#   BUILD=…                      a build made with SANITIZE=1; any other is replaced by build/sanitize
# A fuzzer takes the number of its frames as its argument and exits non-zero on a finding.
set -u
cd "$(dirname "$0")/.." || exit
total=${1:-${FUZZ_FRAMES:-10000000}}
case $total in
'' | *[!0-9]*)
	echo "fuzz: FRAMES is \"$total\"; it must be a whole number" >&2
	exit 2
	;;
esac

shopt -s nullglob
sources=(tests/fuzz/fuzz_*.c)
if [ ${#sources[@]} = 0 ]; then
	echo "fuzz: there is no tests/fuzz/fuzz_*.c" >&2
	echo "0 passed, 1 failed"
	exit 1
fi
names=("${sources[@]##*/}")
names=("${names[@]%.c}")

# sanitized programs hold the run-time's symbols
is_sanitized() {
	local n
	for n in "${names[@]}"; do
		[ -x "$1/tests/$n" ] && grep -q __asan_init "$1/tests/$n" || return 1
	done
}
build=${BUILD:-build/sanitize}
if ! is_sanitized "$build"; then
	build=build/sanitize
	echo "fuzz: building with SANITIZE=1 in $build"
fi
make --no-print-directory -j"$(nproc)" SANITIZE=1 BUILD="$build" "${names[@]/#/$build/tests/}" || exit 1

# hundredths of the frames, by what a frame costs; one that is not named takes one
declare -A share=([fuzz_unwrap]=10 [fuzz_unwrap_burst]=2)
rest=$total
for n in "${names[@]}"; do
	[ "$n" = fuzz_stages ] || rest=$((rest - total * ${share[$n]:-1} / 100))
done
passed=0 failed=0
mkdir -p "$build/logs"
for n in "${names[@]}"; do
	each=$((total * ${share[$n]:-1} / 100))
	[ "$n" = fuzz_stages ] && each=$rest
	echo "fuzz: $n: $each frames"
	SECONDS=0
	if ASAN_OPTIONS=abort_on_error=1:detect_leaks=${FUZZ_LEAKS:-1} \
		"$build/tests/$n" "$each" > >(tee "$build/logs/$n.log") 2>&1; then
		passed=$((passed + 1))
		echo "fuzz: $n: no finding in ${SECONDS} s"
	else
		failed=$((failed + 1))
		echo "fuzz: $n: FINDING, see $build/logs/$n.log"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
