#!/usr/bin/env bash
# No branch and no address of the curve kernels depends on a scalar: valgrind's memcheck follows scalars that are
# marked as uninitialised (ctgrind's method). Ends with `N passed, N failed[, N skipped]`.
set -u
cd "$(dirname "$0")/../.." || exit
program=${BUILD:-build}/tests/test_x25519_ct
if [ -n "${SANITIZE:-}" ]; then
	echo "valgrind cannot run a program built with AddressSanitizer: run \`make test\` without SANITIZE"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
if ! command -v valgrind >/dev/null; then
	echo "valgrind is missing: scripts/deps.sh installs it"
	echo "0 passed, 1 failed"
	exit 1
fi
passed=0 failed=0

result() { # ok? what
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		echo "ok: $2"
	else
		failed=$((failed + 1))
		echo "FAILED: $2"
	fi
}

check=(valgrind --quiet --error-exitcode=99 "$program")
"${check[@]}" >/dev/null 2>&1
result $? "ladder, base point and pair: nothing depends on a scalar"
[ "$failed" = 0 ] || "${check[@]}" 2>&1 | tail -n 40
"${check[@]}" leak >/dev/null 2>&1
[ $? = 99 ]
result $? "a branch on a secret is seen"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
