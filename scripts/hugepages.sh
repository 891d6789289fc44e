#!/usr/bin/env bash
# Hugepages for DPDK: a NIC's relay wants some, the labs need none (--no-huge).
#   scripts/hugepages.sh show                  what is reserved, free and mounted
#   scripts/hugepages.sh reserve MIB [2|1024]  reserves MIB mebibytes in pages of 2 (default) or 1024 MiB (root)
#   scripts/hugepages.sh release               gives back all that are free (root)
set -u
sys=/sys/kernel/mm/hugepages

die() {
	echo "hugepages: $*" >&2
	exit 1
}

show() {
	local d kib total free
	[ -d $sys ] || die "this kernel has no hugepages ($sys is missing)"
	for d in "$sys"/hugepages-*kB; do
		kib=${d##*hugepages-} kib=${kib%kB}
		total=$(<"$d/nr_hugepages") free=$(<"$d/free_hugepages")
		printf 'pages of %4d MiB: %6d reserved, %6d free (%d MiB free)\n' $((kib / 1024)) "$total" "$free" $((free * kib / 1024))
	done
	awk '$3 == "hugetlbfs" { print "mounted: " $2 " (" $4 ")"; n = 1 } END { if (!n) print "mounted: nowhere; EAL needs `mount -t hugetlbfs nodev /dev/hugepages` or --in-memory" }' /proc/mounts
}

need_root() {
	[ "$(id -u)" = 0 ] || die "root is needed: sudo $0 $*"
}

reserve() {
	local mib=${1:-} page=${2:-2} d n got
	case $mib in
	'' | *[!0-9]* | 0) die "reserve: MIB is \"$mib\"; it must be a whole number above 0" ;;
	esac
	case $page in
	2 | 1024) ;;
	*) die "reserve: a page size of $page MiB; allowed are 2 and 1024" ;;
	esac
	need_root reserve "$mib" "$page"
	d=$sys/hugepages-$((page * 1024))kB
	[ -d "$d" ] || die "this machine has no pages of $page MiB; it has:$(cd $sys && printf ' %s' hugepages-*)"
	n=$(((mib + page - 1) / page))
	echo $n >"$d/nr_hugepages" || die "the kernel refused $n pages of $page MiB"
	got=$(<"$d/nr_hugepages")
	if [ "$got" -lt $n ]; then
		die "only $got of $n pages of $page MiB were free in one piece; reserve them at boot: hugepagesz=${page}M hugepages=$n on the kernel's command line"
	fi
	if ! awk '$3 == "hugetlbfs" { n = 1 } END { exit !n }' /proc/mounts; then
		mkdir -p /dev/hugepages && mount -t hugetlbfs nodev /dev/hugepages || die "hugetlbfs could not be mounted on /dev/hugepages"
	fi
	show
}

release() {
	local d
	need_root release
	for d in "$sys"/hugepages-*kB; do
		echo 0 >"$d/nr_hugepages"
	done
	show
}

case ${1:-} in
show) show ;;
reserve)
	shift
	reserve "$@"
	;;
release) release ;;
*)
	sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
