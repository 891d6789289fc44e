#!/usr/bin/env bash
# Three relays in network namespaces on one bridge, and hosts with kernel sockets that talk through them.
#   scripts/lab-netns.sh af_packet|af_xdp
# Needs root (namespaces, raw sockets), no hugepages, no NIC. Ends with `N passed, N failed[, N skipped]`.
#
#   sender 10.77.0.10 ──┐                        ┌── receiver 10.77.0.20
#                       ├──────── bridge ────────┤
#   entry 10.77.0.1 ────┘   middle 10.77.0.2     └── exit 10.77.0.3      (each also fd77::N)
set -u
cd "$(dirname "$0")/.." || exit
driver=${1:-af_packet}
build=${BUILD:-build}
port=9000
relays=(entry middle exit)
passed=0 failed=0
lab=bnlab$$
dir=
declare -A pid=()

skip() {
	echo "netns lab on net_$driver: skipped: $*"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

pass() {
	echo "ok    $*"
	passed=$((passed + 1))
}

fail() {
	echo "FAIL  $*"
	failed=$((failed + 1))
}

# name command...: one line for it; its output only if it fails
check() {
	local name=$1 log=$dir/check.log
	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		pass "$name"
	else
		fail "$name"
		tail -n 30 "$log" | sed 's/^/      /'
		return 1
	fi
}

in_ns() {
	local ns=$1
	shift
	ip netns exec "$lab-$ns" "$@"
}

netlab() {
	python3 tests/functional/netlab.py "$@"
}

# --- what stays behind: nothing ---

wait_gone() { # pid seconds
	local i
	for ((i = 0; i < $2 * 10; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

cleanup() {
	local p n
	trap - EXIT INT TERM HUP
	for p in "${pid[@]}"; do
		kill -TERM "$p" 2>/dev/null
	done
	for p in "${pid[@]}"; do
		wait_gone "$p" 8 || kill -KILL "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	for n in "${relays[@]}" sender receiver bridge; do
		ip netns del "$lab-$n" 2>/dev/null
		rm -rf "/var/run/dpdk/$lab-$n" 2>/dev/null
	done
	[ -z "$dir" ] || rm -rf "$dir"
}

# --- can it run here? ---

check_place() {
	local pmd kernel
	case $driver in
	af_packet) kernel=PACKET ;;
	af_xdp) kernel=XDP ;;
	*)
		echo "lab-netns: driver \"$driver\"; allowed are af_packet and af_xdp" >&2
		exit 2
		;;
	esac
	[ "$(id -u)" = 0 ] || skip "not root: network namespaces and raw sockets need it"
	command -v ip >/dev/null || skip "iproute2 is not installed (make deps)"
	command -v python3 >/dev/null || skip "python3 is not installed (make deps)"
	pmd=$(pkg-config --variable=libdir libdpdk)/dpdk
	compgen -G "$pmd/pmds-*/librte_net_$driver.so*" >/dev/null || skip "this DPDK has no driver net_$driver"
	for p in mixnode client keytool; do
		if [ ! -x "$build/betanet-$p" ]; then
			echo "lab-netns: $build/betanet-$p is missing: make" >&2
			echo "0 passed, 1 failed"
			exit 1
		fi
	done
	ip netns add "$lab-bridge" 2>/dev/null || skip "the kernel refuses network namespaces (a container without CAP_SYS_ADMIN?)"
	in_ns bridge ip link add v0 type veth peer name v1 2>/dev/null || skip "the kernel refuses veth pairs (CONFIG_VETH)"
	in_ns bridge ip link del v0
	in_ns bridge ip link add br0 type bridge mcast_snooping 0 2>/dev/null || skip "the kernel refuses bridges (CONFIG_BRIDGE)"
	reason=$(netlab can $kernel) || skip "$reason"
}

# --- the network ---

add_host() { # name number
	ip netns add "$lab-$1" || return
	ip link add net0 netns "$lab-$1" type veth peer name "p$2" netns "$lab-bridge" || return
	ip -n "$lab-bridge" link set "p$2" master br0 up
	# the lab's hosts must not chat: no router solicitations, no waiting for duplicate addresses
	in_ns "$1" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/accept_ra; echo 0 >/proc/sys/net/ipv6/conf/net0/router_solicitations;
		echo 0 >/proc/sys/net/ipv6/conf/net0/accept_dad' 2>/dev/null
	case $1 in
	sender | receiver)
		ip -n "$lab-$1" link set lo up
		ip -n "$lab-$1" addr add "10.77.0.$2/24" dev net0
		ip -n "$lab-$1" addr add "fd77::$2/64" dev net0 nodad
		;;
	*)
		# the relay answers for itself; the kernel keeps still
		in_ns "$1" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/net0/disable_ipv6' 2>/dev/null
		;;
	esac
	ip -n "$lab-$1" link set net0 up
}

make_network() {
	ip -n "$lab-bridge" link set br0 up
	# a bridge, nothing more: br_netfilter, where it is there, would drop wrong IP before the relays do
	in_ns bridge sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ -e "$f" ] && echo 0 >"$f"; done' 2>/dev/null
	add_host entry 1 && add_host middle 2 && add_host exit 3 && add_host sender 10 && add_host receiver 20
}

write_config() { # name number
	local allow='' descriptors=512
	# net_af_xdp fills a ring of 2048 buffers, whatever is asked
	[ "$driver" != af_xdp ] || descriptors=2048
	[ "$1" != exit ] || allow='exit_allow = [ "10.77.0.0/24", "fd77::/64" ];'
	cat >"$dir/$1.conf" <<-CONF
		node = { name = "$1"; type = "$1"; port = $port; $allow };
		keys = {
			sphinx_key_file = "$dir/net/$1/sphinx.secret";
			vrf_key_file = "$dir/net/$1/vrf.secret";
			identity_key_file = "$dir/net/$1/identity.secret";
		};
		vrf = { epoch_seconds = 2; publish_dir = "$dir/public"; neighbours = true; };
		directory = { file = "$dir/net/directory.conf"; authority = "$(cat "$dir/net/authority.pub")"; };
		ports = ( { device = "net_${driver}0"; ipv4 = "10.77.0.$2/24"; ipv6 = "fd77::$2/64";
		            rx_descriptors = $descriptors; tx_descriptors = $descriptors; } );
		pipeline = { workers = 1; idle = "sleep"; max_queue_depth = 4096; drain_ms = 3000; };
		performance = { target_throughput_pps = 2000; max_avg_latency_ms = 100.0; };
		sphinx = { mean_delay_ms = 50.0; };
		replay = { capacity = 100000; file = "$dir/$1.replay"; };
		rate_limiting = { ${LAB_LIMITS:-source_pps = 100000000;} };
		cover_traffic = { ${LAB_COVER:-enabled = false;} };
	CONF
}

make_keys() {
	local n address=()
	for n in 1 2 3; do
		address+=("${relays[n - 1]}:$n:10.77.0.$n:$port,[fd77::$n]:$port")
	done
	"$build/betanet-keytool" network create --out "$dir/net" "${address[@]}" || return
	mkdir "$dir/public" || return
	for n in 1 2 3; do
		write_config "${relays[n - 1]}" $n || return
	done
}

# --- relays ---

socket_of() {
	echo "/var/run/dpdk/$lab-$1/dpdk_telemetry.v2"
}

start_relay() { # name
	local cpus i
	cpus=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
	# no function here: `ip netns exec` becomes the relay, so that $! is the relay's process
	ip netns exec "$lab-$1" "$build/betanet-mixnode" --no-huge -m 256 --no-pci --file-prefix "$lab-$1" \
		--lcores "0@($cpus),1@($cpus)" --vdev "net_${driver}0,iface=net0" \
		-- --config "$dir/$1.conf" >>"$dir/$1.log" 2>&1 </dev/null &
	pid[$1]=$!
	for ((i = 0; i < 150; i++)); do
		[ "$(scripts/telemetry.py "$(socket_of "$1")" /mix/info state 2>/dev/null)" = run ] && return 0
		kill -0 "${pid[$1]}" 2>/dev/null || break
		sleep 0.1
	done
	echo "$1 did not start:"
	tail -n 20 "$dir/$1.log"
	return 1
}

# Stops it by SIGTERM; exit status 0 and a full pool are demanded.
stop_relay() { # name
	local p=${pid[$1]:-} status
	if [ -z "$p" ]; then
		echo "$1 is not running"
		return 1
	fi
	kill -TERM "$p" 2>/dev/null
	if ! wait_gone "$p" 10; then
		kill -KILL "$p"
		echo "$1 did not stop within 10 s"
		return 1
	fi
	wait "$p"
	status=$?
	unset "pid[$1]"
	tail -n 15 "$dir/$1.log"
	[ $status = 0 ] || echo "exit status $status"
	[ $status = 0 ] && tail -n 3 "$dir/$1.log" | grep -q '(full again)'
}

stat_of() { # name /mix/stats|/mix/drops key
	scripts/telemetry.py "$(socket_of "$1")" "$2" "$3"
}

# --- what is shown ---

common=(--directory "" --authority "")
sets=() # senders route inside the proved sets of next hops

transfer() { # name file send-destination bind-address
	local receiver log=$dir/receive.log
	rm -f "$dir/out"
	ip netns exec "$lab-receiver" timeout 60 "$build/betanet-client" receive "${common[@]}" --bind "$3" --out "$dir/out" --timeout 20 --quiet >"$log" 2>&1 </dev/null &
	receiver=$!
	pid[receiver]=$receiver
	sleep 0.5
	in_ns sender timeout 60 "$build/betanet-client" send "${common[@]}" "${sets[@]}" --bind "$4" --to "$3" --in "$2" --rate 1000 --quiet || {
		kill "$receiver" 2>/dev/null
		return 1
	}
	wait_gone $receiver 30 || {
		echo "the receiver still waits"
		return 1
	}
	wait $receiver || {
		cat "$log"
		return 1
	}
	unset "pid[receiver]"
	cat "$log"
	cmp "$2" "$dir/out"
}

send_file_v4() {
	local sniffer
	ip netns exec "$lab-sender" timeout 60 python3 tests/functional/netlab.py capture net0 $port "$dir/sample" &
	sniffer=$!
	pid[sniffer]=$sniffer
	sleep 0.3
	transfer v4 "$dir/file" 10.77.0.20:7000 10.77.0.10:0 || return
	wait $sniffer && unset "pid[sniffer]"
	[ -s "$dir/sample" ]
}

send_file_v6() {
	transfer v6 "$dir/small" '[fd77::20]:7000' '[fd77::10]:0'
}

# Every packet that entered also left: nothing was lost or made up on the way.
counts_agree() {
	local entered middle left
	entered=$(stat_of entry /mix/stats forwarded) middle=$(stat_of middle /mix/stats forwarded) left=$(stat_of exit /mix/stats delivered)
	echo "entry forwarded $entered, middle forwarded $middle, exit delivered $left"
	[ "$entered" -gt 1000 ] && [ "$entered" = "$middle" ] && [ "$middle" = "$left" ]
}

ping_through() {
	in_ns sender timeout 30 "$build/betanet-client" ping "${common[@]}" "${sets[@]}" --bind 10.77.0.10:0 --count 5 --interval 0.1 --timeout 5
}

# A file among the client's own loops and drop packets: the exit consumes the drop packets, and the loops come back.
cover_through() {
	local receiver=10.77.0.20:7200 before dropped consumed
	before=$(stat_of exit /mix/stats cover_received)
	rm -f "$dir/out"
	ip netns exec "$lab-receiver" timeout 60 "$build/betanet-client" receive "${common[@]}" --bind $receiver --out "$dir/out" --timeout 30 --quiet </dev/null &
	pid[receiver]=$!
	sleep 0.3
	in_ns sender timeout 60 "$build/betanet-client" send "${common[@]}" "${sets[@]}" --bind 10.77.0.10:0 --to $receiver --in "$dir/small" \
		--cover 100 --cover-loops 30 --cover-drops 30 --cover-time 3 >"$dir/cover.log" 2>&1
	cat "$dir/cover.log"
	wait_gone "${pid[receiver]}" 30 && wait "${pid[receiver]}" && unset "pid[receiver]" || return
	cmp "$dir/small" "$dir/out" || return
	dropped=$(sed -n 's/^cover: .*, \([0-9]*\) dropped by their last relay.*/\1/p' "$dir/cover.log")
	sleep 1 # what is still parked
	consumed=$(($(stat_of exit /mix/stats cover_received) - before))
	echo "the exit consumed $consumed of $dropped drop packets"
	[ "$consumed" = "$dropped" ] && grep -q ', 0 lost, .*; no relay stands out' "$dir/cover.log"
}

# A question with a reply block of the given version, answered by a receiver that does not learn from where it came.
reply_through() { # version
	local asker receiver=10.77.0.20:7100
	rm -f "$dir/question" "$dir/blocks" "$dir/answer"
	ip netns exec "$lab-receiver" timeout 30 "$build/betanet-client" receive "${common[@]}" --bind $receiver --out "$dir/question" --save-reply-blocks "$dir/blocks" --timeout 20 --quiet </dev/null &
	pid[receiver]=$!
	sleep 0.3
	ip netns exec "$lab-sender" timeout 30 "$build/betanet-client" send "${common[@]}" "${sets[@]}" --bind 10.77.0.10:0 --to $receiver --in "$dir/small" --reply-blocks 3 --reply-version "$1" --wait 20 --out "$dir/answer" --quiet </dev/null &
	asker=$! pid[asker]=$!
	wait_gone "${pid[receiver]}" 25 && wait "${pid[receiver]}" && unset "pid[receiver]" || return
	head -c 2000 "$dir/file" >"$dir/reply"
	in_ns receiver timeout 30 "$build/betanet-client" reply "${common[@]}" --block "$dir/blocks" --in "$dir/reply" --quiet || return
	wait_gone $asker 25 && wait $asker && unset "pid[asker]" || return
	cmp "$dir/small" "$dir/question" && cmp "$dir/reply" "$dir/answer"
}

# The relays' own delays, as anyone can check them afterwards: every published epoch verifies.
epochs_verify() {
	local r n=0
	for r in "${relays[@]}"; do
		"$build/betanet-keytool" vrf verify-epoch "${common[@]}" --node "$r" "$dir/public/$r"/*.epoch || return
		n=$((n + $(find "$dir/public/$r" -name '*.epoch' | wc -l)))
		"$build/betanet-keytool" vrf verify-neighbours "${common[@]}" --node "$r" "$dir/public/$r"/*.neighbours || return
	done
	echo "$n epochs verified"
	[ "$n" -ge 6 ]
}

wrong_input() {
	in_ns sender timeout 120 python3 tests/functional/netlab.py wrong $driver "$(socket_of entry)" net0 10.77.0.1 fd77::1 $port "$dir/sample"
}

replay_after_restart() {
	local i
	stop_relay entry && start_relay entry || return
	in_ns sender python3 tests/functional/netlab.py resend 10.77.0.1 $port "$dir/sample"
	for ((i = 0; i < 30; i++)); do
		[ "$(stat_of entry /mix/drops replay)" = 1 ] && break
		sleep 0.1
	done
	echo "replays dropped: $(stat_of entry /mix/drops replay), forwarded: $(stat_of entry /mix/stats forwarded)"
	[ "$(stat_of entry /mix/drops replay)" = 1 ] && [ "$(stat_of entry /mix/stats forwarded)" = 0 ]
}

# under SANITIZE=1: what others' libraries leak
export LSAN_OPTIONS=suppressions=$PWD/tests/functional/lsan.supp:print_suppressions=0
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
check_place
dir=$(mktemp -d "/tmp/$lab.XXXXXX") || exit 1
head -c 1048576 /dev/urandom >"$dir/file"
head -c 65536 /dev/urandom >"$dir/small"
echo "netns lab on net_$driver: $build, namespaces $lab-*"

check "network of namespaces, veth pairs and a bridge" make_network || {
	echo "$passed passed, $failed failed"
	exit 1
}
check "keys and signed directory" make_keys
common=(--directory "$dir/net/directory.conf" --authority "$dir/net/authority.pub")
sets=(--neighbours "$dir/public")
started=0
for r in "${relays[@]}"; do
	if start_relay "$r" >"$dir/start.log" 2>&1; then
		pass "$r relay runs"
		started=$((started + 1))
	else
		fail "$r relay runs"
		sed 's/^/      /' "$dir/start.log"
	fi
done
if [ $started = 3 ]; then
	n=0
	for r in "${relays[@]}"; do
		n=$((n + 1))
		check "$r answers ARP and ping" in_ns sender python3 tests/functional/netlab.py ping 10.77.0.$n
		check "$r answers neighbour discovery and ping over IPv6" in_ns sender python3 tests/functional/netlab.py ping fd77::$n
	done
	check "1 MiB file through three relays, compared" send_file_v4
	check "64 KiB file over IPv6, compared" send_file_v6
	check "as many packets left as had entered" counts_agree
	check "ping through the mixnet" ping_through
	check "a file under the client's own cover traffic" cover_through
	for version in 258 259 260; do
		check "reply through blocks of version $version" reply_through $version
	done
	check "published epochs and next hops verify" epochs_verify
	if [ -s "$dir/sample" ]; then
		check "wrong input is dropped, each with its counter" wrong_input
		check "a restarted relay still refuses what it had seen" replay_after_restart
	else
		fail "wrong input: no packet was captured"
	fi
	for r in "${relays[@]}"; do
		check "$r drains, stops and has all its buffers back" stop_relay "$r"
	done
fi
if [ $failed -gt 0 ]; then
	for r in "${relays[@]}"; do
		echo "--- $r"
		tail -n 25 "$dir/$r.log" 2>/dev/null
	done
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
