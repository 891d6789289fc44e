#!/usr/bin/env bash
# Builds and runs every test, with progress; ends with `N passed, N failed, N skipped`.
# A test program prints cmocka's lines or ends with `N passed, N failed[, N skipped]`.
set -u
cd "$(dirname "$0")/.." || exit
build=${BUILD:-build}
passed=0 failed=0 skipped=0
logs=$build/logs
mkdir -p "$logs"

make --no-print-directory -j"$(nproc)" bins BUILD="$build" CC="${CC:-gcc}" SANITIZE="${SANITIZE:-}" || {
	echo "0 passed, 1 failed"
	exit 1
}

# Adds the counts of one program's output; a program that counts nothing or dies counts as one failure.
count() { # name log status
	local p f s
	p=$(grep -c '^\[       OK \]' "$2")
	f=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' "$2")
	s=$(grep -c '^\[  SKIPPED \] [a-z_0-9]*$' "$2")
	if [ "$p" = 0 ] && [ "$f" = 0 ]; then
		read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$2" | tail -n 1)
	fi
	p=${p:-0} f=${f:-0} s=${s:-0}
	if [ "$3" != 0 ] && [ "$f" = 0 ]; then
		f=1
	elif [ "$3" = 0 ] && [ "$p" = 0 ] && [ "$s" = 0 ]; then
		f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%-36s %5d passed %3d failed %3d skipped  %4ds\n' "$1" "$p" "$f" "$s" "$SECONDS"
	[ "$f" = 0 ] || sed 's/^/    /' "$2" | tail -n 60
}

run() { # name command...
	local name=$1
	shift
	SECONDS=0
	"$@" >"$logs/$name.log" 2>&1 </dev/null
	count "$name" "$logs/$name.log" $?
}

for t in "$build"/tests/test_* "$build"/tests/vectors_* "$build"/tests/eal_*; do
	[ -x "$t" ] && run "$(basename "$t")" "$t"
done
for t in tests/functional/*.sh; do
	[ -e "$t" ] && run "$(basename "$t" .sh)" env BUILD="$build" SANITIZE="${SANITIZE:-}" bash "$t"
done

if [ "$skipped" = 0 ]; then
	echo "$passed passed, $failed failed"
else
	echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ]
