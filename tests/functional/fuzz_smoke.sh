#!/usr/bin/env bash
# Each fuzzer of this build for some seconds, with another seed each day; `make fuzz` is the long run.
# Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
# A process without core dumps cannot be traced by LeakSanitizer unless it is root.
[ -n "${SANITIZE:-}" ] && [ "$(id -u)" != 0 ] && export ASAN_OPTIONS=detect_leaks=0
declare -A frames=([fuzz_stages]=100000 [fuzz_unwrap]=50000 [fuzz_unwrap_burst]=10000)
[ -n "${SANITIZE:-}" ] && frames=([fuzz_stages]=60000 [fuzz_unwrap]=30000 [fuzz_unwrap_burst]=4000)
passed=0 failed=0
seed=$(date +%Y%m%d)

ok() { # name status
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
	fi
}

for source in tests/fuzz/fuzz_*.c; do
	n=$(basename "$source" .c)
	count=${frames[$n]:-10000}
	echo "$n $count $seed"
	"$build/tests/$n" "$count" "$seed"
	ok "$n: no finding in $count frames of seed $seed" $?
	# a seed tells everything: two runs make and drop the same
	[ "$("$build/tests/$n" 2000 "$seed")" = "$("$build/tests/$n" 2000 "$seed")" ]
	ok "$n: a seed gives the same run twice" $?
	! "$build/tests/$n" many >/dev/null 2>&1
	ok "$n: refuses a number that is none" $?
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
