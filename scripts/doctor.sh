#!/usr/bin/env bash
# Is this machine fit to build and run the relay? Lines of OK, WARN and FAIL, each with the way to mend it.
#   scripts/doctor.sh [--lab]      --lab: what the labs without NIC and hugepages need; a NIC's needs are left out
# Exit status 1 if a line says FAIL.
set -u
lab="" fails=0 warns=0
[ "${1:-}" != --lab ] || lab=1

ok() { printf 'OK    %s\n' "$*"; }
warn() {
	printf 'WARN  %s\n' "$*"
	warns=$((warns + 1))
}
fail() {
	printf 'FAIL  %s\n' "$*"
	fails=$((fails + 1))
}

flags=" $(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -n 1) "
has() { [[ $flags == *" $1 "* ]]; }

check_cpu() {
	local f missing=
	if [ "$(uname -m)" != x86_64 ]; then
		fail "CPU: $(uname -m); only x86-64 is supported"
		return
	fi
	for f in ssse3 sse4_1 sse4_2 popcnt cx16 aes pclmulqdq; do
		has $f || missing+=" $f"
	done
	if [ -z "$missing" ]; then
		ok "CPU: SSE4.2 and AES-NI (required)"
	else
		fail "CPU: lacks$missing (required); in a virtual machine pass the host's CPU through (-cpu host)"
	fi
	if has avx2 && has fma; then ok "CPU: AVX2 and FMA: four packets at a time"; else warn "CPU: no AVX2 with FMA: the curve runs about a third as fast"; fi
	if has sha_ni; then ok "CPU: SHA extensions"; else warn "CPU: no SHA extensions: SHA-256 runs on vectors, slower"; fi
	if has avx512f && has avx512ifma; then ok "CPU: AVX-512 with IFMA"; else ok "CPU: no AVX-512 IFMA (not needed)"; fi
	if has constant_tsc && has nonstop_tsc; then
		ok "TSC: constant and never stopping"
	else
		warn "TSC: not constant or stops in sleep: delays would be wrong; use a CPU or hypervisor with invariant TSC"
	fi
	local gov
	gov=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)
	case $gov in
	'' | performance) ok "CPU frequency: governor ${gov:-not visible (virtual machine)}" ;;
	*) warn "CPU frequency: governor $gov; for steady latency: cpupower frequency-set -g performance" ;;
	esac
}

# name pkg-config-name lowest-version package
check_library() {
	local v
	if ! command -v pkg-config >/dev/null; then
		fail "$1: pkg-config is missing; mend it: make deps"
	elif ! v=$(pkg-config --modversion "$2" 2>/dev/null); then
		fail "$1: not installed; mend it: make deps (package $4)"
	elif ! pkg-config --atleast-version="$3" "$2"; then
		fail "$1: version $v; at least $3 is needed; mend it: make deps (package $4)"
	else
		ok "$1: $v"
	fi
}

check_software() {
	local v
	if v=$(gcc -dumpfullversion 2>/dev/null); then
		if [ "${v%%.*}" -ge 12 ]; then ok "gcc: $v"; else warn "gcc: $v; tested with 12"; fi
	elif command -v clang >/dev/null; then
		ok "clang: $(clang -dumpversion); build with make CC=clang"
	else
		fail "compiler: neither gcc nor clang; mend it: make deps"
	fi
	check_library DPDK libdpdk 22.11 libdpdk-dev
	check_library libsodium libsodium 1.0.18 libsodium-dev
	check_library libconfig libconfig 1.5 libconfig-dev
	if compgen -G '/usr/include/intel-ipsec-mb.h' >/dev/null || compgen -G '/usr/local/include/intel-ipsec-mb.h' >/dev/null; then
		v=$(sed -n 's/^#define IMB_VERSION_STR "\(.*\)"/\1/p' /usr/include/intel-ipsec-mb.h /usr/local/include/intel-ipsec-mb.h 2>/dev/null | head -n 1)
		ok "ipsec-mb: ${v:-installed}"
	else
		fail "ipsec-mb: not installed; mend it: make deps (package libipsec-mb-dev)"
	fi
	if compgen -G '/usr/include/cmocka.h' >/dev/null; then ok "cmocka: installed"; else warn "cmocka: not installed; needed by make test: make deps"; fi
	ok "kernel: $(uname -r)"
}

check_memory() {
	local mib lock pages
	mib=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	if [ "$mib" -ge 2048 ]; then ok "memory: $mib MiB available"; else warn "memory: $mib MiB available; three relays of the lab need about 2048"; fi
	lock=$(ulimit -l)
	if [ "$lock" = unlimited ] || [ "$lock" -ge 1024 ]; then
		ok "ulimit -l: $lock KiB of locked memory for keys"
	else
		fail "ulimit -l: $lock KiB; keys stay in locked memory and need 1024: raise memlock in /etc/security/limits.conf (systemd: LimitMEMLOCK=)"
	fi
	[ -z "$lab" ] || return 0
	pages=$(awk '/^HugePages_Free/ { f = $2 } /^Hugepagesize/ { s = $2 } END { print int(f * s / 1024) }' /proc/meminfo)
	pages=$((pages + $(cat /sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages 2>/dev/null || echo 0) * 1024))
	if [ "$pages" -ge 256 ]; then ok "hugepages: $pages MiB free"; else warn "hugepages: $pages MiB free; a NIC wants 1024: scripts/hugepages.sh reserve 1024 (or run with --no-huge, slower)"; fi
	if grep -q ' hugetlbfs ' /proc/mounts; then ok "hugetlbfs: mounted"; else warn "hugetlbfs: not mounted: mount -t hugetlbfs nodev /dev/hugepages, or run with --in-memory"; fi
}

module_or_builtin() {
	[ -d "/sys/module/$1" ] || modprobe -n "$1" >/dev/null 2>&1 || grep -q "/${1//_/[-_]}\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null
}

check_nics() {
	local d drv name free=0
	if compgen -G '/sys/kernel/iommu_groups/*' >/dev/null; then
		ok "IOMMU: on"
	else
		warn "IOMMU: off: vfio-pci needs it (firmware; intel_iommu=on or amd_iommu=on, iommu=pt)"
	fi
	if module_or_builtin vfio_pci; then ok "module vfio-pci: there"; else warn "module vfio-pci: missing: a kernel with CONFIG_VFIO_PCI is needed for bare-metal NICs other than mlx5"; fi
	for d in /sys/bus/pci/devices/*; do
		[[ $(cat "$d/class" 2>/dev/null) == 0x0200* ]] || continue
		drv=$(basename "$(readlink -f "$d/driver" 2>/dev/null)")
		name=${d##*/}
		case $drv in
		vfio-pci | igb_uio | uio_pci_generic | mlx5_core)
			ok "NIC $name: $drv, ready for DPDK"
			free=1
			;;
		*) ok "NIC $name: ${drv:-no driver}: the kernel's; give it to DPDK: scripts/bind.sh bind $name, or use it through net_af_xdp" ;;
		esac
	done
	[ $free = 1 ] || warn "no NIC is bound to DPDK: use net_af_xdp or net_af_packet (drivers-cfg/), or the labs"
}

check_labs() {
	if ! command -v ip >/dev/null; then
		warn "iproute2: missing; needed by the namespace lab: make deps"
	elif [ "$(id -u)" != 0 ]; then
		warn "namespaces: not root: make test skips the namespace lab"
	elif ip netns add bn-doctor-$$ 2>/dev/null; then
		ip netns del bn-doctor-$$
		ok "network namespaces: can be made"
		if ip link add bnd$$a type veth peer name bnd$$b 2>/dev/null; then
			ip link del bnd$$a
			ok "veth: can be made"
		else
			warn "veth: cannot be made (CONFIG_VETH): make test skips the namespace lab"
		fi
	else
		warn "network namespaces: refused (container without CAP_SYS_ADMIN?): make test skips the namespace lab"
	fi
	local pmds p
	pmds=$(pkg-config --variable=libdir libdpdk 2>/dev/null)
	for p in memif af_packet af_xdp; do
		if compgen -G "$pmds/dpdk/pmds-*/librte_net_$p.so*" >/dev/null; then ok "driver net_$p: there"; else warn "driver net_$p: this DPDK was built without it"; fi
	done
	if command -v shellcheck >/dev/null && command -v clang-format >/dev/null; then ok "lint tools: there"; else warn "make lint: clang-format or shellcheck missing: apt-get install clang-format shellcheck"; fi
}

check_cpu
check_software
check_memory
[ -n "$lab" ] || check_nics
check_labs
echo "$fails FAIL, $warns WARN"
[ $fails = 0 ]
