#!/usr/bin/env bash
# Looks over every tracked file: format, shell scripts, forbidden words, licence lines. Exit status 1 on a finding.
set -u
cd "$(dirname "$0")/.." || exit
findings=0

finding() {
	echo "lint: $*"
	findings=$((findings + 1))
}

mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t shells < <(git ls-files '*.sh')
mapfile -t texts < <(git ls-files | grep -vE '^tests/vectors/|^LICENSE$')

if command -v clang-format >/dev/null; then
	for f in "${sources[@]}"; do
		clang-format --dry-run --Werror "$f" >/dev/null 2>&1 || finding "$f: not formatted; mend it: clang-format -i $f"
	done
	echo "lint: clang-format: ${#sources[@]} files"
else
	echo "lint: clang-format is not installed: the format was NOT checked (apt-get install clang-format)"
fi

if command -v shellcheck >/dev/null; then
	if [ ${#shells[@]} -gt 0 ] && ! shellcheck -x -S warning "${shells[@]}"; then
		finding "shellcheck: see above"
	fi
	echo "lint: shellcheck: ${#shells[@]} files"
else
	echo "lint: shellcheck is not installed: the shell scripts were NOT checked (apt-get install shellcheck)"
fi

# written so that this file does not find itself
while IFS= read -r line; do
	finding "forbidden word: $line"
done < <(grep -nIHE '\b(TO''DO|FIX''ME|XX''X)\b' "${texts[@]}" 2>/dev/null)

for f in "${sources[@]}"; do
	head -n 2 "$f" | grep -qF 'SPDX-License-Identifier: BSD-3-Clause' || finding "$f: no SPDX line on top"
	case $f in
	*_lanes.h) ;; # bodies of functions, included once for each number of lanes
	*.h) grep -q '^#ifndef BETANET_' "$f" || finding "$f: no include guard BETANET_DIR_FILE_H" ;;
	esac
	grep -nE '[[:space:]]+$' "$f" >/dev/null && finding "$f: white space at the end of a line"
done
echo "lint: ${#texts[@]} files, $findings findings"
[ "$findings" = 0 ]
