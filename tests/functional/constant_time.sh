#!/usr/bin/env bash
# No branch and no address of the burst kernels depends on a secret: valgrind's memcheck follows scalars and keys that
# are marked as uninitialised (ctgrind's method). Ends with `N passed, N failed[, N skipped]`.
set -u
cd "$(dirname "$0")/../.." || exit
tests=${BUILD:-build}/tests
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

check() { # program what
	local run=(valgrind --quiet --error-exitcode=99 "$tests/$1") status
	"${run[@]}" >/dev/null 2>&1
	status=$?
	result $status "$2"
	[ $status = 0 ] || "${run[@]}" 2>&1 | tail -n 40
	"${run[@]}" leak >/dev/null 2>&1
	[ $? = 99 ]
	result $? "$1: a branch on a secret is seen"
}

check test_x25519_ct "ladder, base point and pair: nothing depends on a scalar"
check test_symmetric_ct "SHA-256, HKDF, AES-CTR, BLAKE2b, ChaCha20, LIONESS: nothing depends on key or content"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
