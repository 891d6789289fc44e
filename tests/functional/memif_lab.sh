#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Drives scripts/lab-memif.sh with few packets and checks what it counts: clean runs, every kind of
# wrong packet, one CPU, an ordinary user, two labs at once, and that the lab fails when it must.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
passed=0 failed=0 skipped=0
tmp=$(mktemp -d) || exit 1
export TMPDIR=$tmp # the labs' folders: none may remain
trap 'rm -rf "$tmp"' EXIT

ok() { # condition-status description
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "NOT OK  $2"
	fi
}

lab() { # name testmix-options...; prints nothing, returns the lab's status
	local name=$1
	shift
	echo "running $name: $*"
	LAB_JSON=$tmp/$name.json ${under:-} scripts/lab-memif.sh "$@" >"$tmp/$name.log" 2>&1
}

# The value at a path of a run's results, such as relays.entry.drops.replay; "none" when not there.
value() { # name path
	python3 - "$tmp/$1.json" "$2" <<-'EOF'
		import json, sys
		try:
		    v = json.load(open(sys.argv[1]))
		    for k in sys.argv[2].split("."):
		        v = v[k]
		    print(v if isinstance(v, str) else json.dumps(v))
		except (OSError, ValueError, KeyError, TypeError):
		    print("none")
	EOF
}

is() { # name path expected
	local v
	v=$(value "$1" "$2")
	[ "$v" = "$3" ]
	ok $? "$1: $2 is $3${v:+ ($v)}"
}

says() { # name pattern
	grep -Eq -- "$2" "$tmp/$1.log"
	ok $? "$1: says '$2'"
}

show_if_failed() { # name failures-before
	[ "$failed" = "$2" ] || sed 's/^/    /' "$tmp/$1.log"
}

nothing_left() { # name
	! compgen -G "$tmp/betanet-lab.*" >/dev/null
	ok $? "$1: no folder is left behind"
	! pgrep -f "$tmp/betanet-lab" >/dev/null
	ok $? "$1: no process is left behind"
}

clean_run() { # name
	local r
	is "$1" passed true
	for r in entry middle exit; do
		is "$1" "relays.$r.drops" '{}'
	done
}

before=$failed
lab clean --packets 3000
ok $? "clean: ends with status 0"
clean_run clean
is clean sent.all 3000
is clean back.right 3000
is clean back.early 0
is clean relays.entry.forwarded 3000
is clean relays.middle.forwarded 3000
is clean relays.exit.delivered 3000
is clean latency_ns.count 3000
says clean '^ +[0-9.]+ s +sent [0-9]+/3000, back [0-9]+ \| entry [0-9]+ processed'
says clean 'end-to-end latency +p50 +[0-9.]+ .* p99 +[0-9.]+'
says clean 'success +100.000 %'
says clean 'relay entry stopped, pool: ([0-9]+) of \1 buffers free \(full again\)'
python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); a=r["sent"]["all"]/r["offered_pps"]; l=r["latency_ns"]; d=r["deliberate_ns"]
sys.exit(not (r["elapsed_s"] >= a*0.99 and l["p50"] >= d["p50"]*0.95 and 80e6 < d["mean"] < 120e6 and r["rest_ns"]["min"] > 0))' "$tmp/clean.json"
ok $? "clean: the offered rate was not exceeded, and the delays are there and have the mean asked for"
nothing_left clean
show_if_failed clean "$before"

before=$failed
lab wrong --packets 1500 --arrivals poisson --replay 40 --forge 50 --unknown-hop 60 --deny 30 --not-exit 25 \
	--bad-frame 20 --truncate 15 --wrong-port 10
ok $? "wrong: ends with status 0"
is wrong passed true
is wrong sent.all 1750
is wrong back.right 1500
is wrong back.duplicates 0
is wrong back.unexpected 0
is wrong relays.entry.drops.replay 40
is wrong relays.entry.drops.bad_mac 50
is wrong relays.entry.drops.unknown_next_hop 60
is wrong relays.entry.drops.not_exit 25
is wrong relays.entry.drops.bad_frame 20
is wrong relays.entry.drops.bad_length 15
is wrong relays.entry.drops.wrong_port 10
is wrong relays.entry.dropped 220
is wrong relays.middle.drops '{}'
is wrong relays.exit.drops '{"exit_denied": 30}'
is wrong relays.entry.forwarded 1530
is wrong relays.exit.delivered 1500
show_if_failed wrong "$before"

# The judge must be able to say no: relays of 1024 bytes get packets of 512.
before=$failed
lab refused --packets 200 --rate 500 --payload-size 512 --grace 1
[ $? = 1 ]
ok $? "refused: ends with status 1"
is refused passed false
is refused back.right 0
is refused relays.entry.drops.bad_length 200
says refused 'problem: 200 of 200 good packets did not come back'
says refused 'problem: 200 packets were dropped as bad_length, not 0'
says refused 'lab: FAILED; the configs, logs and keys are in '
compgen -G "$tmp/betanet-lab.*/entry.log" >/dev/null
ok $? "refused: the logs are where it says"
rm -rf "$tmp"/betanet-lab.*
show_if_failed refused "$before"

before=$failed
lab usage --packets none
[ $? = 2 ]
ok $? "usage: ends with status 2"
says usage '--packets: "none" is not a whole number from 1 to'
nothing_left usage
show_if_failed usage "$before"

# Stopped on the way: a summary all the same, and relays that end in order.
before=$failed
echo "running stopped: SIGTERM while packets are under way"
LAB_JSON=$tmp/stopped.json scripts/lab-memif.sh --packets 4000 --rate 400 >"$tmp/stopped.log" 2>&1 &
lab_pid=$!
for _ in $(seq 300); do
	grep -q ' sent ' "$tmp/stopped.log" && break
	sleep 0.1
done
kill -TERM "$lab_pid"
wait "$lab_pid"
[ $? = 1 ]
ok $? "stopped: ends with status 1"
is stopped interrupted true
is stopped success_rate 1.0
says stopped '^summary \(interrupted\)'
says stopped 'problem: interrupted: [0-9]+ of 4000 packets were not sent'
for r in entry middle exit; do
	says stopped "relay $r stopped, pool: .*full again"
done
nothing_left stopped
show_if_failed stopped "$before"

before=$failed
lab left --packets 500 --rate 300 &
lab right --packets 500 --rate 300
ok $? "two at once: the one ends with status 0"
wait $!
ok $? "two at once: the other one does, too"
clean_run left
clean_run right
nothing_left left
show_if_failed left "$before"
show_if_failed right "$before"

before=$failed
cpu=$(sed -nE 's/^Cpus_allowed_list:[[:space:]]*([0-9]+).*/\1/p' /proc/self/status)
under="taskset -c $cpu" lab one-cpu --packets 500
ok $? "one-cpu: ends with status 0"
clean_run one-cpu
show_if_failed one-cpu "$before"

if [ "$(id -u)" = 0 ]; then
	before=$failed
	# a copy: an ordinary user may not be able to enter this folder
	mkdir "$tmp/copy"
	cp -r scripts "$tmp/copy/"
	cp "$BUILD"/betanet-{keytool,mixnode,testmix} "$tmp/copy/"
	touch "$tmp/ordinary.json"
	chmod 1777 "$tmp"
	chown nobody "$tmp/ordinary.json"
	BUILD=$tmp/copy under="setpriv --reuid nobody --regid nogroup --clear-groups" \
		lab ordinary --packets 500
	ok $? "ordinary: user nobody ends with status 0"
	clean_run ordinary
	nothing_left ordinary
	show_if_failed ordinary "$before"
else
	skipped=1
	echo "skipped ordinary: all of the above ran as an ordinary user already"
fi

if [ "$skipped" = 0 ]; then
	echo "$passed passed, $failed failed"
else
	echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ]
