#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Does the wire look the same whether a relay is idle or busy? One relay on net_af_packet, and an observer who sees every
# frame of its link to a node of the next layer, with the kernel's time. Loads of 0, 50 and 95 % of the slots,
# in random order again and again, in the modes constant and poisson; observer.py judges. The same judge must see
# the load when shaping is off, and in captures that are rigged (its self-test).
#   OBSERVER_SECONDS=N   measures each mode for N seconds instead of 24: finer figures (README)
#   OBSERVER_MODES="…"   instead of "constant poisson"
#   OBSERVER_IDLE=…      pipeline.idle instead of "sleep"; OBSERVER_PRIORITY=… instead of "chrt --fifo 10", e.g. "nice"
#   OBSERVER_KEEP=DIR    leaves captures and logs there
# Needs root (namespaces, raw sockets). Ends with `N passed, N failed[, N skipped]`.
#
#   relay 10.78.0.1 ── veth ── wire: 10.78.0.2 (observed) 10.78.0.3, next layer; .4 last layer; .10 client
#                              wire: 10.79.0.1 ── veth ── sink 10.79.0.2: takes what is not sent to the relay
set -u
cd "$(dirname "$0")/../.." || exit
build=${BUILD:-build}
seconds=${OBSERVER_SECONDS:-24}
modes=${OBSERVER_MODES-constant poisson}
slots=500 measure=0.5 settle=0.12
rounds=$((seconds * 2 / 3)) # three loads of half a second each
control_rounds=10
# Dedicated cores are what a relay should have; where it shares them, the next best: nobody takes the core from it.
priority=${OBSERVER_PRIORITY:-chrt --fifo 10}
$priority true 2>/dev/null || priority="nice -n -10"
if [ -n "${SANITIZE:-}" ]; then
	# what builds cover is many times slower then, and must not keep a core for itself
	slots=100 priority="nice -n -10"
fi
lab=bnobs$$
passed=0 failed=0
dir=
declare -A pid=()

skip() {
	echo "observer: skipped: $*"
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
	local name=$1
	shift
	if "$@" >"$dir/check.log" 2>&1 </dev/null; then
		pass "$name"
	else
		fail "$name"
		tail -n 30 "$dir/check.log" | sed 's/^/      /'
		return 1
	fi
}

finish() {
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
	exit
}

in_ns() {
	local ns=$1
	shift
	ip netns exec "$lab-$ns" "$@"
}

observer() {
	python3 tests/functional/observer.py "$@"
}

wait_gone() { # pid seconds
	local i
	for ((i = 0; i < $2 * 10; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

wait_file() { # path
	local i
	for ((i = 0; i < 300; i++)); do
		[ -e "$1" ] && return 0
		sleep 0.1
	done
	echo "nothing made $1 within 30 s"
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
	for n in relay wire sink forge; do
		ip netns del "$lab-$n" 2>/dev/null
	done
	rm -rf "/var/run/dpdk/$lab" 2>/dev/null
	if [ -n "$dir" ]; then
		[ -z "${OBSERVER_KEEP:-}" ] || { mkdir -p "$OBSERVER_KEEP" && cp "$dir"/*.{cap,json,log} "$OBSERVER_KEEP" 2>/dev/null; }
		rm -rf "$dir"
	fi
}

check_place() {
	local p reason
	[ "$(id -u)" = 0 ] || skip "not root: network namespaces and raw sockets need it"
	command -v ip >/dev/null || skip "iproute2 is not installed (make deps)"
	command -v python3 >/dev/null || skip "python3 is not installed (make deps)"
	for p in mixnode client keytool; do
		if [ ! -x "$build/betanet-$p" ]; then
			echo "observer: $build/betanet-$p is missing: make" >&2
			echo "0 passed, 1 failed"
			exit 1
		fi
	done
	compgen -G "$(pkg-config --variable=libdir libdpdk)/dpdk/pmds-*/librte_net_af_packet.so*" >/dev/null ||
		skip "this DPDK has no driver net_af_packet"
	ip netns add "$lab-wire" 2>/dev/null || skip "the kernel refuses network namespaces (a container without CAP_SYS_ADMIN?)"
	in_ns wire ip link add v0 type veth peer name v1 2>/dev/null || skip "the kernel refuses veth pairs (CONFIG_VETH)"
	in_ns wire ip link del v0
	reason=$(python3 tests/functional/netlab.py can PACKET) || skip "$reason"
}

# --- the network ---

quiet() { # namespace: no chatter of the kernel's own
	in_ns "$1" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null
	return 0
}

make_network() {
	local n
	for n in relay sink forge; do
		ip netns add "$lab-$n" && quiet $n || return
	done
	quiet wire
	ip link add net0 netns "$lab-relay" type veth peer name net0 netns "$lab-wire" || return
	ip link add sink0 netns "$lab-wire" type veth peer name net0 netns "$lab-sink" || return
	for n in 2 3 4 10; do
		ip -n "$lab-wire" addr add "10.78.0.$n/24" dev net0 || return
	done
	ip -n "$lab-wire" addr add 10.79.0.1/24 dev sink0 && ip -n "$lab-sink" addr add 10.79.0.2/24 dev net0 || return
	ip -n "$lab-relay" link set net0 up && ip -n "$lab-wire" link set net0 up && ip -n "$lab-wire" link set sink0 up &&
		ip -n "$lab-sink" link set net0 up || return
	# a client that builds packets, and a stand-in for the relay who keeps them
	ip -n "$lab-forge" link set lo up && ip -n "$lab-forge" addr add 10.78.0.1/32 dev lo
}

# Nobody reads them: the kernel drops what comes, without a word to the relay.
mute_sockets() { # namespace address...
	ip netns exec "$lab-$1" python3 - "$dir/mute-$1" "${@:2}" <<-'PYTHON' &
		import signal, socket, sys
		held = []
		for address in sys.argv[2:]:
		    host, port = address.split(":")
		    held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
		    held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
		    held[-1].bind((host, int(port)))
		open(sys.argv[1], "w").close()
		signal.pause()
	PYTHON
	pid[mute-$1]=$!
	wait_file "$dir/mute-$1"
}

make_keys() {
	"$build/betanet-keytool" network create --out "$dir/net" relay:1:10.78.0.1:9000 one:2:10.78.0.2:9000 \
		two:2:10.78.0.3:9000 last:3:10.78.0.4:9000
}

write_config() { # mode
	local shaping="traffic_shaping_enabled = true; mode = \"$1\"; max_rate_pps = $slots;" cover="enabled = true; generation_rate_pps = 2.0;"
	if [ "$1" = off ]; then
		shaping="traffic_shaping_enabled = false;" cover="enabled = false;"
	fi
	cat >"$dir/$1.conf" <<-CONF
		node = { name = "relay"; type = "entry"; port = 9000; };
		keys = { sphinx_key_file = "$dir/net/relay/sphinx.secret"; vrf_key_file = "$dir/net/relay/vrf.secret"; };
		directory = { file = "$dir/net/directory.conf"; authority = "$(cat "$dir/net/authority.pub")"; };
		ports = ( { device = "net_af_packet0"; ipv4 = "10.78.0.1/24"; rx_descriptors = 512; tx_descriptors = 512; } );
		pipeline = { workers = 1; idle = "${OBSERVER_IDLE:-sleep}"; max_queue_depth = 4096; drain_ms = 1000; };
		performance = { target_throughput_pps = 4000; max_avg_latency_ms = 1000.0; };
		vrf = { delay_variance_ms = 10.0; };
		sphinx = { mean_delay_ms = 10.0; };
		rate_limiting = { $shaping source_pps = 100000; source_burst = 4096; };
		cover_traffic = { $cover };
		replay = { capacity = 1000000; file = "none"; };
	CONF
}

# Real packets of a client, unique, kept for later: as many as the longest measurement sends, and some.
make_packets() {
	local count=$(((rounds > control_rounds ? rounds : control_rounds) * (50 + 95) * slots * 2 / 100 * 70 / 100 + 3000)) catcher
	head -c $((count * 1024)) /dev/urandom >"$dir/file"
	ip netns exec "$lab-forge" timeout 120 python3 tests/functional/observer.py catch 10.78.0.1 9000 $count "$dir/packets" &
	catcher=$!
	wait_file "$dir/packets" || return
	in_ns forge timeout 120 "$build/betanet-client" send --directory "$dir/net/directory.conf" --authority "$dir/net/authority.pub" \
		--to 10.78.0.10:7000 --in "$dir/file" --rate 20000 --mean-delay-ms 10 --max-size 1G --quiet
	wait $catcher
}

# --- a measurement ---

start_relay() { # mode
	local cpus i socket=/var/run/dpdk/$lab/dpdk_telemetry.v2
	cpus=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
	ip netns exec "$lab-relay" $priority "$build/betanet-mixnode" --no-huge -m 256 --no-pci --file-prefix "$lab" \
		--lcores "0@($cpus),1@($cpus)" --vdev net_af_packet0,iface=net0 -- --config "$dir/$1.conf" >"$dir/$1.log" 2>&1 </dev/null &
	pid[relay]=$!
	for ((i = 0; i < 200; i++)); do
		[ "$(scripts/telemetry.py "$socket" /mix/info state 2>/dev/null)" = run ] && return 0
		kill -0 "${pid[relay]}" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$dir/$1.log"
	return 1
}

stop_relay() { # mode
	local p=${pid[relay]} status
	kill -TERM "$p" 2>/dev/null
	if ! wait_gone "$p" 10; then
		echo "the relay did not stop within 10 s"
		return 1
	fi
	wait "$p"
	status=$?
	unset "pid[relay]"
	tail -n 15 "$dir/$1.log"
	[ $status = 0 ] && tail -n 3 "$dir/$1.log" | grep -q '(full again)'
}

measure() { # mode rounds settle measure [spend=PPS]
	local watcher status
	ip netns exec "$lab-wire" nice -n -10 python3 tests/functional/observer.py capture net0 10.78.0.2 "$dir/$1.cap" >"$dir/$1.capture.log" 2>&1 &
	watcher=$!
	pid[watcher]=$watcher
	wait_file "$dir/$1.cap" || return
	in_ns wire nice -n -10 python3 tests/functional/observer.py load mode="$1" slots=$slots rounds="$2" settle="$3" measure="$4" \
		relay=10.78.0.1:9000 sink=10.79.0.2 packet_file="$dir/packets" out="$dir/$1.json" \
		telemetry="/var/run/dpdk/$lab/dpdk_telemetry.v2" seed=$RANDOM "${@:5}" 2>&1
	status=$?
	sleep 0.3
	kill -TERM $watcher
	wait $watcher || status=1
	unset "pid[watcher]"
	cat "$dir/$1.capture.log"
	return $status
}

# What fills an empty slot opens with the next relay's key, as everyone's packets do.
cover_opens() {
	local line n=0
	observer alphas "$dir" "$1" 12 "$dir/samples" || return
	while read -r line; do
		echo "$line" >"$dir/sample"
		"$build/betanet-keytool" packet inspect --key "$dir/net/one/sphinx.secret" --directory "$dir/net/directory.conf" \
			--authority "$dir/net/authority.pub" "$dir/sample" || return
		n=$((n + 1))
	done <"$dir/samples"
	[ $n = 12 ]
}

# Adds the counts of a program's last line.
add_counts() { # log
	local p f
	read -r p f < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$1" | tail -n 1)
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1}))
}

export LSAN_OPTIONS=suppressions=$PWD/tests/functional/lsan.supp:print_suppressions=0
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
check_place
dir=$(mktemp -d "/tmp/$lab.XXXXXX") || exit 1
echo "observer: $build, namespaces $lab-*, $slots slots a second and link, $rounds rounds, $(nproc) cores, relay under ${priority%% *}"
# during the control measurement, which nothing disturbs
observer selftest >"$dir/selftest.log" 2>&1 &
pid[selftest]=$!

check "network of namespaces and veth pairs" make_network || finish
check "keys and signed directory" make_keys || finish
check "packets of a client, for later" make_packets || finish
mute_sockets wire 10.78.0.2:9000 10.78.0.3:9000 10.78.0.4:9000 10.78.0.10:7000
mute_sockets sink 10.79.0.2:9
done_modes=()
join_selftest() {
	[ -n "${pid[selftest]:-}" ] || return
	wait "${pid[selftest]}"
	unset "pid[selftest]"
	grep -v '^ok' "$dir/selftest.log"
	add_counts "$dir/selftest.log"
}
for mode in off $modes; do
	write_config "$mode"
	check "$mode: the relay runs" start_relay "$mode" || continue
	sleep 1 # neighbours, cover
	if [ "$mode" = off ]; then
		# what is left goes afterwards: so is it known what each packet looks like behind the relay
		check "off: loads offered, the link captured" measure off $control_rounds $settle 0.25 spend=$((slots * 6)) && done_modes+=(off)
	else
		check "$mode: loads offered, the link captured" measure "$mode" $rounds $settle $measure && done_modes+=("$mode")
		check "$mode: packets of idle slots open with the next relay's key" cover_opens "$mode"
	fi
	check "$mode: the relay stops and has all its buffers back" stop_relay "$mode"
	join_selftest
done
join_selftest
if [ ${#done_modes[@]} -gt 0 ]; then
	observer judge "$dir" "${done_modes[@]}" >"$dir/judge.log" 2>&1
	cat "$dir/judge.log"
	add_counts "$dir/judge.log"
fi
finish
