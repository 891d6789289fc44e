#!/usr/bin/env bash
# Installs from Debian what the project builds and runs with. `--check` only says what is missing (exit 1).
set -eu
packages=(gcc make pkg-config libdpdk-dev dpdk dpdk-dev libsodium-dev libipsec-mb-dev libconfig-dev libcmocka-dev libjansson-dev
	python3 iproute2 ethtool valgrind)

missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
if [ ${#missing[@]} -eq 0 ]; then
	[ "${1:-}" = --check ] || echo "deps: nothing is missing (${#packages[@]} packages)"
	exit 0
fi
if [ "${1:-}" = --check ]; then
	echo "deps: missing: ${missing[*]}"
	exit 1
fi
run=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: missing: ${missing[*]}" >&2
		echo "deps: install them as root: apt-get install ${missing[*]}" >&2
		exit 1
	}
	run=sudo
fi
echo "deps: installing from Debian: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -q
$run apt-get install -y -q --no-install-recommends "${missing[@]}"
echo "deps: installed ${#missing[@]} packages"
