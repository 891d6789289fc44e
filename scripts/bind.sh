#!/usr/bin/env bash
# Gives a NIC to DPDK and back, with the checks that dpdk-devbind.py leaves to you.
#   scripts/bind.sh status                 network devices and their drivers
#   scripts/bind.sh bind DEVICE [DRIVER]   DEVICE: PCI address or interface name; DRIVER: vfio-pci (default)
#   scripts/bind.sh unbind DEVICE DRIVER   back to the kernel's driver (ice, ixgbe, i40e, virtio-pci, …)
# Mellanox/NVIDIA NICs (mlx5) stay with their kernel driver: nothing to bind.
set -u

die() {
	echo "bind: $*" >&2
	exit 1
}

devbind=$(command -v dpdk-devbind.py) || die "dpdk-devbind.py is missing: apt-get install dpdk"

# PCI address of a PCI address or an interface name
pci_of() {
	local at=$1
	case $at in
	[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f].[0-7]) at=0000:$at ;;
	esac
	if [ -d "/sys/bus/pci/devices/$at" ]; then
		echo "$at"
	elif [ -e "/sys/class/net/$at/device" ]; then
		# a virtio device sits one level below its PCI device
		readlink -f "/sys/class/net/$at/device" | grep -oE '[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]' | tail -n 1
	else
		die "$1 is neither a PCI device nor an interface that has one; see: $0 status"
	fi
}

driver_of() {
	basename "$(readlink -f "/sys/bus/pci/devices/$1/driver" 2>/dev/null)" 2>/dev/null
}

interfaces_of() {
	local d
	for d in /sys/class/net/*/device; do
		case $(readlink -f "$d")/ in
		*/"$1"/*) basename "$(dirname "$d")" ;;
		esac
	done
}

# The interface that carries the default route or this session must not vanish.
refuse_if_used() {
	local i peer
	for i in $(interfaces_of "$1"); do
		if ip route show default 2>/dev/null | grep -qw "dev $i"; then
			die "$i ($1) carries the default route; binding it would cut this machine off"
		fi
		peer=${SSH_CONNECTION:-}
		if [ -n "$peer" ] && ip route get "${peer%% *}" 2>/dev/null | grep -qw "dev $i"; then
			die "$i ($1) carries your SSH session"
		fi
		if [ -n "$(ip -br addr show dev "$i" up 2>/dev/null)" ]; then
			die "$i ($1) is up; take it down first: ip link set $i down"
		fi
	done
}

check_vfio() {
	[ -d /sys/module/vfio_pci ] || modprobe vfio-pci || die "the module vfio-pci cannot be loaded"
	if ! compgen -G '/sys/kernel/iommu_groups/*' >/dev/null; then
		if [ "$(cat /sys/module/vfio/parameters/enable_unsafe_noiommu_mode 2>/dev/null)" != Y ]; then
			die "no IOMMU: switch it on in the firmware and on the kernel's command line (intel_iommu=on or amd_iommu=on, iommu=pt). In a virtual machine without one, and only there: echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
		fi
		echo "bind: warning: vfio without IOMMU: the NIC can write to all memory"
	fi
}

bind() {
	local pci driver=${2:-vfio-pci} now
	[ -n "${1:-}" ] || die "bind: which device? see: $0 status"
	[ "$(id -u)" = 0 ] || die "root is needed: sudo $0 bind $*"
	pci=$(pci_of "$1") || exit 1
	[ -n "$pci" ] || die "$1 is not a PCI device"
	now=$(driver_of "$pci")
	case $now in
	"$driver")
		echo "bind: $pci already has $driver"
		exit 0
		;;
	mlx5_core | mlx4_core) die "$pci has $now: DPDK's mlx driver works beside it; do not bind it (drivers-cfg/mlx5.md)" ;;
	esac
	refuse_if_used "$pci"
	[ "$driver" != vfio-pci ] || check_vfio
	"$devbind" --bind "$driver" "$pci" || die "$pci was not bound to $driver"
	[ "$(driver_of "$pci")" = "$driver" ] || die "$pci still has ${now:-no driver}; see dmesg"
	echo "bind: $pci: ${now:-no driver} -> $driver"
	[ -z "$now" ] || echo "bind: back: $0 unbind $pci $now"
}

unbind() {
	local pci
	[ -n "${1:-}" ] && [ -n "${2:-}" ] || die "unbind: DEVICE and its kernel driver are needed"
	[ "$(id -u)" = 0 ] || die "root is needed: sudo $0 unbind $*"
	pci=$(pci_of "$1") || exit 1
	"$devbind" --bind "$2" "$pci" && echo "bind: $pci -> $2"
}

case ${1:-} in
status) "$devbind" --status-dev net ;;
bind | unbind) "$@" ;;
*)
	sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
