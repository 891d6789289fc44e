#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The pool as an operator sees it: --check-config counts the links of the signed directory, refuses a pool that is
# too small, and says so when the directory cannot be read; a running relay prints the same sum and shows its
# hit rate on the telemetry socket. About 15 seconds.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
passed=0 failed=0
tmp=$(mktemp -d /tmp/betanet-pool.XXXXXX) || exit 1
export TMPDIR=$tmp
trap 'rm -rf "$tmp"' EXIT

ok() { # condition-status description
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "NOT OK  $2"
	fi
}

says() { # pattern
	grep -Eq -- "$1" "$tmp/said"
	ok $? "says '$1': $(cat "$tmp/said")"
}

"$BUILD/betanet-keytool" network create --out "$tmp/net" --valid-hours 2 entry1:1:10.0.0.1:9000 \
	mix1:2:10.0.0.2:9000 mix2:2:10.0.0.3:9000 exit1:3:10.0.0.4:9000 >/dev/null || exit 1

check() { # directory pipeline-settings
	cat >"$tmp/relay.conf" <<-EOF
		node = { name = "entry1"; type = "entry"; port = 9000; };
		directory = { file = "$tmp/net/$1"; authority = "$(cat "$tmp/net/authority.pub")"; };
		keys = { sphinx_key_file = "$tmp/net/entry1/sphinx.secret"; vrf_key_file = "$tmp/net/entry1/vrf.secret"; };
		ports = ( { device = "net_memif0"; ipv4 = "10.0.0.1/24"; } );
		pipeline = { max_queue_depth = 1000; $2 };
		rate_limiting = { traffic_shaping_enabled = true; mode = "poisson"; max_rate_pps = 2000; };
	EOF
	"$BUILD/betanet-mixnode" --config "$tmp/relay.conf" --check-config >"$tmp/said" 2>&1
}

check directory.conf ""
ok $? "the config is fine"
says '^  links +1000  2 links share 1 x max_queue_depth 1000$'
says '^  cover of links +1002  2 links x 501, ready for empty slots$'
sum=$(sed -n 's/^  sum  *\([0-9]*\)  buffers$/\1/p' "$tmp/said")
[ -n "$sum" ] && [ "$(awk '/^# pool/ {on = 1} on && /^  / && $1 != "sum" {gsub(/^  [a-zA-Z ]+/, ""); s += $1} END {print int((s + 63) / 64) * 64}' "$tmp/said")" = "$sum" ]
ok $? "the sum is that of the terms: $(cat "$tmp/said")"
! check directory.conf "pool_size = $((sum - 1));"
ok $? "one buffer too few is refused"
says "pool_size = $((sum - 1)): these settings need at least $sum; raise it"
check directory.conf "pool_size = $sum;"
ok $? "as many as needed are enough"
check nowhere.conf ""
ok $? "without a directory the config can still be checked"
says '^# without those for links, .*nowhere.conf'

# a relay under load
LAB_KEEP=1 scripts/lab-memif.sh --packets 6000 --rate 1000 >"$tmp/lab.log" 2>&1 &
lab=$!
ask() { # the whole answer to $tmp/pool, in one call: the load goes on meanwhile
	local socket
	socket=$(find "$tmp"/betanet-lab.*/dpdk/middle -name dpdk_telemetry.v2 2>/dev/null | head -n 1)
	[ -n "$socket" ] && python3 scripts/telemetry.py "$socket" /mix/pool >"$tmp/pool" 2>/dev/null
}
pool() { # key
	sed -n "s/^  \"$1\": \([0-9]*\),*$/\1/p" "$tmp/pool" 2>/dev/null
}
requests=0
for _ in $(seq 300); do
	ask && requests=$(pool requests)
	[ "${requests:-0}" -ge 2000 ] && break
	kill -0 "$lab" 2>/dev/null || break
	sleep 0.1
done
[ "${requests:-0}" -ge 2000 ]
ok $? "/mix/pool counts what arrives: '$requests' requests"
rate=$(pool hit_rate_ppm) failures=$(pool failures) dropped=$(pool dropped) free=$(pool free) size=$(pool size)
[ "${rate:-0}" -gt 850000 ] && [ "$rate" -le 1000000 ]
ok $? "more than 85 % of them come from the lcore's cache: '$rate' ppm"
[ "$failures/$dropped" = 0/0 ]
ok $? "none fails, nothing is dropped: '$failures', '$dropped'"
[ "${free:-0}" -gt 0 ] && [ "$free" -lt "${size:-0}" ]
ok $? "some buffers are in use: $free of $size free"
wait "$lab"
ok $? "the lab passes: $(tail -n 3 "$tmp/lab.log")"
printed=$(sed -n 's/^  sum  *\([0-9]*\)  buffers$/\1/p' "$tmp"/betanet-lab.*/middle.log)
[ -n "$printed" ] && [ "$printed" = "$size" ]
ok $? "the relay printed the sum that it took: '$printed', '$size'"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
