#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Loops and cover of three real relays over memif: clean at first, with slots that cover fills, and
# with a relay that stands still for some seconds and must be noticed. About 40 s.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
passed=0 failed=0
tmp=$(mktemp -d) || exit 1
export TMPDIR=$tmp
lab_pid=
cleanup() {
	[ -n "$lab_pid" ] && kill -TERM "$lab_pid" 2>/dev/null && wait "$lab_pid" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT

ok() { # condition-status description
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "NOT OK  $2"
	fi
}

start_lab() { # name testmix-options...
	local name=$1
	shift
	echo "running $name: $*"
	LAB_KEEP=1 LAB_JSON=$tmp/$name.json setsid scripts/lab-memif.sh "$@" >"$tmp/$name.log" 2>&1 &
	lab_pid=$!
}

folder() { compgen -G "$tmp/betanet-lab.*" | tail -n 1; }

# What the relays say of their cover until the load has ended: the last answers remain. (A relay that
# started before its next one loses its first packets, and one that ends after it the last ones.)
watch() { # name
	python3 - "$tmp" "$1" "$lab_pid" <<-'EOF'
		import glob, json, socket, sys, time

		tmp, name, lab = sys.argv[1], sys.argv[2], int(sys.argv[3])

		def ask(path, command):
		    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
		        s.settimeout(5)
		        s.connect(path)
		        limit = json.loads(s.recv(1024))["max_output_len"]
		        s.send(command.encode())
		        return json.loads(s.recv(limit))[command]

		def running():
		    try:
		        if open(f"/proc/{lab}/stat").read().rsplit(")", 1)[1].split()[0] == "Z":
		            return False
		        return "\nsummary" not in open(f"{tmp}/{name}.log").read()
		    except OSError:
		        return False

		seen = {}
		while running():
		    for relay in ("entry", "middle", "exit"):
		        for at in glob.glob(f"{tmp}/betanet-lab.*/dpdk/{relay}/dpdk_telemetry.v2"):
		            try:
		                seen[relay] = {c: ask(at, "/mix/" + c) for c in ("cover", "loops", "stats", "shaper")}
		            except (OSError, ValueError, KeyError):
		                pass
		    time.sleep(0.2)
		with open(f"{tmp}/{name}.seen", "w") as f:
		    json.dump(seen, f)
	EOF
}

end_lab() { # name; the lab's status
	local code
	wait "$lab_pid"
	code=$?
	lab_pid=
	mkdir -p "$tmp/logs.$1"
	cp "$(folder)"/*.log "$tmp/logs.$1/" 2>/dev/null
	rm -rf "$tmp"/betanet-lab.*
	return $code
}

# A condition on a relay's answers, in Python: cover, loops, stats, shaper are dictionaries.
holds() { # name relay condition
	python3 - "$tmp/$1.seen" "$2" "$3" <<-'EOF'
		import json, sys

		seen = json.load(open(sys.argv[1])).get(sys.argv[2])
		good = False
		try:
		    good = seen is not None and eval(sys.argv[3], {}, seen)
		except KeyError as e:
		    print("missing:", e)
		if not good:
		    print(json.dumps(seen))
		sys.exit(not good)
	EOF
	ok $? "$1: $2: $3"
}

show_if_failed() { # name failures-before
	[ "$failed" = "$2" ] || tail -n 40 "$tmp/$1.log" "$tmp/logs.$1"/*.log | sed 's/^/    /'
}

limits='senders = "all"; source_pps = 100000000;'

# 1. loops beside traffic, no shaping
before=$failed
LAB_COVER='generation_rate_pps = 40.0;' LAB_LIMITS=$limits start_lab loops --packets 1600 --rate 400
watch loops
end_lab loops
ok $? "loops: the lab ends with status 0: every packet came back"
for r in entry middle exit; do
	holds loops $r 'cover["state"] == "on" and cover["loops_sent"] > 50'
	holds loops $r 'cover["loops_returned"] + cover["loops_lost"] + 40 > 0.5 * cover["loops_sent"]'
	holds loops $r 'cover["events_lost"] == 0 and cover["pool_short"] == 0'
	# header delays are known: what is left is the network's time, and never negative
	holds loops $r 'cover["residual_p5_us"] > 0'
	holds loops $r 'loops["relay"] == "ok" and loops["nodes_not_ok"] == 0 and len(loops["nodes"]) == 2'
	holds loops $r 'stats["cover_received"] == 0'
done
show_if_failed loops "$before"

# 2. slots: cover where nothing waits, and traffic unharmed
before=$failed
LAB_COVER='generation_rate_pps = 10.0;' LAB_PIPELINE='max_queue_depth = 1000;' LAB_LIMITS="$limits"' traffic_shaping_enabled = true; mode = "poisson"; max_rate_pps = 400;' \
	start_lab slots --packets 400 --rate 100
watch slots
end_lab slots
ok $? "slots: the lab ends with status 0: every packet came back"
for r in entry middle exit; do
	holds slots $r 'shaper["slots_cover"] > 300 and cover["stock_built"] > 300'
	# empty at the start alone: until the next relay is there
	holds slots $r 'shaper["slots_empty"] < 0.5 * shaper["slots"] and cover["stock"] > 0'
	holds slots $r 'stats["cover_received"] > 100'
	holds slots $r 'cover["loops_returned"] > 10 and loops["nodes_not_ok"] == 0'
done
show_if_failed slots "$before"

# 3. a relay stands still
before=$failed
LAB_COVER='generation_rate_pps = 40.0;' LAB_LIMITS=$limits start_lab still --packets 6000 --rate 400
for _ in $(seq 200); do
	[ "$(scripts/telemetry.py "$(folder)/dpdk/entry/dpdk_telemetry.v2" /mix/cover loops_returned 2>/dev/null || echo 0)" -ge 40 ] && break
	sleep 0.1
done
middle=$(pgrep -f "^build.*/betanet-mixnode .*--config $(folder)/middle.conf" | head -n 1)
says() { # relay pattern seconds
	local end=$((SECONDS + $3))
	while [ $SECONDS -lt $end ]; do
		grep -Eq -- "$2" "$(folder)/$1.log" && return 0
		sleep 0.2
	done
	return 1
}
if [ -n "$middle" ]; then
	kill -STOP "$middle"
	says entry 'loops.*: (lost|n_minus_1|outage)' 10
	ok $? "still: the entry says that its loops are lost"
	says exit 'loops.*: (lost|n_minus_1|outage)' 10
	ok $? "still: the exit says that its loops are lost"
	kill -CONT "$middle"
	says entry 'loops.*: ok' 15
	ok $? "still: the entry says when they come back"
else
	ok 1 "still: the middle relay is found"
fi
kill -TERM "$lab_pid" # the load ends, then the relays one by one
end_lab still
show_if_failed still "$before"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
