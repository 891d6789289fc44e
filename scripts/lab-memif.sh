#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The lab of `make run`: three relays and a load application, joined by memif. No root, no
# hugepages, no NIC; any number of labs at the same time.
#
#   testmix ──link0──► entry ──link1──► middle ──link2──► exit ──link3──► testmix
#   10.10.0.1   10.10.0.2 10.10.1.1  10.10.1.2 10.10.2.1 10.10.2.2 10.10.3.2   10.10.3.1
#                  ▲                                         │
#                  └── fd10:4::2 ◄────link4──── fd10:4::1 ◄──┘      the way back, for loops
#
# Arguments go to betanet-testmix (`build/betanet-testmix -- --help`); --packets counts, for example:
#   scripts/lab-memif.sh --packets 50000 --rate 2000 --arrivals poisson
# Environment: LAB_VRF ("NAME:SETTINGS …": what stands in a relay's vrf section, without spaces), LAB_COVER and LAB_LIMITS (what stands in every
# relay's cover_traffic and rate_limiting sections), LAB_PIPELINE (what is added to every relay's pipeline section), BUILD (build), LAB_JSON (file for the results), LAB_KEEP=1 (keep the lab's folder).
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
relays=(exit middle entry) # a memif client needs its server: from the back to the front
start_seconds=20
stop_seconds=30

fail() {
	echo "lab: $*" >&2
	exit 1
}

for p in keytool mixnode testmix; do
	[ -x "$build/betanet-$p" ] || fail "$build/betanet-$p is missing: run \`make\`"
done

# A mistake in the options shows before anything is started.
case " $* " in *" --help "*) exec "$build/betanet-testmix" --directory - --authority - --help ;; esac
"$build/betanet-testmix" --directory - --authority - --help "$@" >/dev/null || exit

# UNIX sockets live in here, and their paths have at most 107 characters.
lab=$(mktemp -d "${TMPDIR:-/tmp}/betanet-lab.XXXXXX") || fail "no temporary folder"
if [ ${#lab} -gt 60 ]; then
	rmdir "$lab"
	lab=$(mktemp -d /tmp/betanet-lab.XXXXXX) || fail "no temporary folder"
fi
# EAL keeps its runtime files and telemetry sockets here instead of in /var/run/dpdk
export RUNTIME_DIRECTORY=$lab
declare -A pid
status=1 bad=0 interrupted=

cleanup() {
	trap - EXIT INT TERM
	local p
	for p in "${pid[@]}"; do
		kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
	if [ "$status" != 0 ] && { [ -z "$interrupted" ] || [ "$bad" = 1 ]; }; then
		echo "lab: FAILED; the configs, logs and keys are in $lab" >&2
	elif [ -n "${LAB_KEEP:-}" ]; then
		echo "lab: the configs, logs and keys are in $lab"
	else
		rm -rf "$lab"
	fi
	exit "$status"
}
trap cleanup EXIT

# The first Ctrl-C is for testmix alone, which then ends with its summary; the lab goes on and
# stops the relays in order. Nothing is kept then, unless a relay failed.
on_interrupt() {
	interrupted=yes
	[ -z "${pid[testmix]:-}" ] && exit 1
	kill -INT "${pid[testmix]}" 2>/dev/null
}
trap on_interrupt INT TERM

# Threads float over all the CPUs that this shell may use, be it one.
cpus=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
eal() { # name megabytes lcores memif...
	local name=$1 memory=$2 lcores=$3 i=0 link
	shift 3
	args=(--no-huge -m "$memory" --no-pci --file-prefix "$name" --log-level "*:warning")
	args+=(--lcores "$(seq -s , 0 $((lcores - 1)) | sed "s/[0-9]*/&@($cpus)/g")")
	for link in "$@"; do # role:link
		args+=(--vdev "net_memif$i,role=${link%:*},id=0,rsize=12,mac=02:be:7a:00:0${link#*:}:0$([ "${link%:*}" = server ] && echo 1 || echo 2),socket=$lab/link${link#*:}.sock,socket-abstract=no")
		i=$((i + 1))
	done
}

# The sender's delays, unless LAB_VRF says otherwise: then testmix can tell the deliberate delay from everything else.
delays() { # name
	local item
	for item in ${LAB_VRF:-}; do
		[ "${item%%:*}" = "$1" ] && echo "${item#*:}" | tr ',' ' ' && return
	done
	echo 'mode = "sender";'
}

relay_config() { # name own-address-behind own-address-ahead [own IPv6 address on the way back]
	local back='' limits=${LAB_LIMITS:-'senders = "all"; source_pps = 100000000;'}
	[ -z "$4" ] || back=", { device = \"net_memif2\"; ipv6 = \"$4/64\"; }"
	cat <<-EOF
		node = { name = "$1"; type = "$1"; port = 9000;$([ "$1" = exit ] && echo ' exit_allow = [ "10.10.3.0/24" ];') };
		keys = { sphinx_key_file = "$lab/net/$1/sphinx.secret"; vrf_key_file = "$lab/net/$1/vrf.secret"; };
		vrf = { $(delays "$1") };
		directory = { file = "$lab/net/directory.conf"; authority = "$authority"; };
		ports = (
			{ device = "net_memif0"; ipv4 = "$2/24"; },
			{ device = "net_memif1"; ipv4 = "$3/24"; }$back
		);
		pipeline = { workers = 1; idle = "sleep"; drain_ms = 12000; ${LAB_PIPELINE:-max_queue_depth = 4096;} };
		# three relays and a load share the CPUs: a wait for one of them is no fault of the relay
		performance = { target_throughput_pps = 10000; max_avg_latency_ms = 100.0; };
		replay = { capacity = 8000000; file = "none"; };
		# a relay here sends from as many addresses as it has links; only one stands in the directory
		rate_limiting = { $limits };
		cover_traffic = { ${LAB_COVER:-enabled = false;} };
	EOF
}

wait_running() { # name
	local end=$((SECONDS + start_seconds))
	while ! [ "$(scripts/telemetry.py "$lab/dpdk/$1/dpdk_telemetry.v2" /mix/info state 2>/dev/null)" = run ]; do
		[ -n "$interrupted" ] && exit 1
		if ! kill -0 "${pid[$1]}" 2>/dev/null || [ $SECONDS -ge $end ]; then
			sed "s/^/  $1: /" "$lab/$1.log" | tail -n 20 >&2
			fail "relay $1 does not run"
		fi
		sleep 0.1
	done
}

start_relay() { # name address-behind address-ahead address-back memif...
	local name=$1
	relay_config "$1" "$2" "$3" "$4" >"$lab/$name.conf"
	shift 4
	eal "$name" 256 2 "$@"
	# a session of its own: Ctrl-C must not reach it before the load has ended; and should this
	# script be killed, it dies too
	setpriv --pdeathsig KILL setsid "$build/betanet-mixnode" "${args[@]}" -- --config "$lab/$name.conf" \
		>"$lab/$name.log" 2>&1 </dev/null &
	pid[$name]=$!
	wait_running "$name"
	echo "lab: relay $name runs"
}

echo "lab: making keys and a signed directory for three relays in $lab"
"$build/betanet-keytool" network create --out "$lab/net" --valid-hours 24 \
	"entry:1:[fd10:4::2]:9000,10.10.0.2:9000" middle:2:10.10.1.2:9000 "exit:3:10.10.2.2:9000,[fd10:4::1]:9000" >"$lab/keytool.log" 2>&1 || {
	cat "$lab/keytool.log" >&2
	fail "betanet-keytool network create"
}
authority=$(cat "$lab/net/authority.pub") || exit 1
start_relay exit 10.10.2.2 10.10.3.2 fd10:4::1 server:2 server:3 server:4
start_relay middle 10.10.1.2 10.10.2.1 '' server:1 client:2
start_relay entry 10.10.0.2 10.10.1.1 fd10:4::2 server:0 client:1 client:4

# Until every relay has a loop back: what the first ones sent before there was a network is dropped,
# and the load shall not count it.
wait_loops() { # name
	local end=$((SECONDS + start_seconds)) returned
	while :; do
		read -r returned < <(scripts/telemetry.py "$lab/dpdk/$1/dpdk_telemetry.v2" /mix/cover loops_returned 2>/dev/null)
		[ "${returned:-0}" -gt 0 ] && return
		[ -n "$interrupted" ] && exit 1
		kill -0 "${pid[$1]}" 2>/dev/null && [ $SECONDS -lt $end ] || fail "no loop of relay $1 comes back"
		sleep 0.1
	done
}
case "${LAB_COVER:-enabled = false}" in
*'enabled = false'*) ;;
*) for r in "${relays[@]}"; do wait_loops "$r"; done ;;
esac

eal testmix 128 3 client:0 client:3
# memif takes its memory away under a peer that still polls: the load keeps its ports (--hold)
# until the relays have stopped
setpriv --pdeathsig KILL setsid "$build/betanet-testmix" "${args[@]}" --no-telemetry -- \
	--directory "$lab/net/directory.conf" --authority "$lab/net/authority.pub" \
	--telemetry "entry=$lab/dpdk/entry/dpdk_telemetry.v2" \
	--telemetry "middle=$lab/dpdk/middle/dpdk_telemetry.v2" \
	--telemetry "exit=$lab/dpdk/exit/dpdk_telemetry.v2" \
	--json "$lab/result.json" --hold "$@" </dev/null &
pid[testmix]=$!
while [ ! -e "$lab/result.json" ] && kill -0 "${pid[testmix]}" 2>/dev/null; do
	for r in "${relays[@]}"; do
		kill -0 "${pid[$r]}" 2>/dev/null || {
			echo "lab: relay $r died" >&2
			kill -TERM "${pid[testmix]}"
			sleep 1
			break 2
		}
	done
	sleep 0.2
done

# What the relays learned from their own packets.
for r in entry middle exit; do
	[ -n "${LAB_COVER:-}" ] && [ -n "${pid[$r]:-}" ] || continue
	read -r loops returned < <(scripts/telemetry.py "$lab/dpdk/$r/dpdk_telemetry.v2" /mix/cover \
		loops_sent loops_returned) &&
		echo "lab: relay $r: $loops loops sent through the network, $returned returned (those of its first seconds had no network yet)"
done

# From the front to the back, so that each may still hand on what it holds, and one after the other:
# A relay crashed once when both ends of a memif link closed it at the same moment (DPDK 22.11); never one by one.
for r in entry middle exit; do
	kill -TERM "${pid[$r]}" 2>/dev/null
	end=$((SECONDS + stop_seconds))
	while kill -0 "${pid[$r]}" 2>/dev/null && [ $SECONDS -lt $end ]; do
		sleep 0.05
	done
	kill -KILL "${pid[$r]}" 2>/dev/null && echo "lab: relay $r did not stop in $stop_seconds s" >&2
	wait "${pid[$r]}"
	code=$?
	unset "pid[$r]"
	if [ "$code" = 0 ] && pool=$(grep '(full again)' "$lab/$r.log"); then
		echo "lab: relay $r stopped, $pool"
	else
		echo "lab: relay $r ended with status $code; its last words:" >&2
		tail -n 15 "$lab/$r.log" | sed 's/^/    /' >&2
		bad=1
	fi
done
kill -TERM "${pid[testmix]}" 2>/dev/null
wait "${pid[testmix]}"
status=$?
unset "pid[testmix]"
[ -n "${LAB_JSON:-}" ] && [ -e "$lab/result.json" ] && cp "$lab/result.json" "$LAB_JSON"
[ "$status" = 0 ] && status=$bad
exit "$status"
