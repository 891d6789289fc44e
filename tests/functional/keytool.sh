#!/usr/bin/env bash
# betanet-keytool as people use it: files, modes, messages, exit status. Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
tool=$PWD/${BUILD:-build}/betanet-keytool
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
# A process without core dumps cannot be traced by LeakSanitizer unless it is root.
[ -n "${SANITIZE:-}" ] && [ "$(id -u)" != 0 ] && export ASAN_OPTIONS=detect_leaks=0

ok() { # name status
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n' "$1"
		sed 's/^/    /' "$dir/out" "$dir/err"
	fi
}

run() { "$tool" "$@" >"$dir/out" 2>"$dir/err"; }

# it NAME STATUS TEXT ARGUMENTS...: exit status, and TEXT (fixed string) in what it said
it() {
	local name=$1 status=$2 text=$3 got
	shift 3
	run "$@"
	got=$?
	[ "$got" = "$status" ] && cat "$dir/out" "$dir/err" | grep -qF -- "$text"
	ok "$name (status $got)" $?
}

same() { cmp -s "$1" "$2"; }
mode() { [ "$(stat -c %a "$1")" = "$2" ]; }

# --- keygen ---
it "a relay's keys are made" 0 'name = "mix1";' \
	keygen --out "$dir/mix1" --name mix1 --address 192.0.2.1:9000 --layer 1
cp "$dir/out" "$dir/fragment"
for f in identity sphinx vrf; do
	mode "$dir/mix1/$f.secret" 600
	ok "$f.secret has mode 0600" $?
	grep -qE '^[0-9a-f]{64}$' "$dir/mix1/$f.secret"
	ok "$f.secret is 64 digits" $?
done
mode "$dir/mix1" 700
ok "the folder has mode 0700" $?
same "$dir/fragment" "$dir/mix1/node.conf"
ok "node.conf is what was printed" $?
[ "$(cat "$dir"/mix1/*.secret | sort -u | wc -l)" = 3 ]
ok "the three secrets differ" $?
for f in identity sphinx vrf; do
	run pubkey "$dir/mix1/$f.secret"
	grep -qF "${f}_key = \"$(cat "$dir/out")\";" "$dir/fragment"
	ok "pubkey agrees with the fragment for $f" $?
done

cp -r "$dir/mix1" "$dir/before"
it "keys are not overwritten" 1 'identity.secret: exists, and nothing was changed' \
	keygen --out "$dir/mix1" --name mix1 --address 192.0.2.1:9000 --layer 1
diff -r "$dir/mix1" "$dir/before" >/dev/null
ok "after that nothing has changed" $?
rm "$dir/mix1/identity.secret"
it "one key that is left is enough" 1 'sphinx.secret: exists' \
	keygen --out "$dir/mix1" --name mix1 --address 192.0.2.1:9000 --layer 1
[ ! -e "$dir/mix1/identity.secret" ]
ok "and none is made" $?
it "--force replaces keys" 0 'weight = 7;' keygen --force --weight=7 --family acme \
	--out "$dir/mix1" --name mix1 --address '192.0.2.1:9000,[2001:db8::1]:9000' --layer 1
grep -qF 'address = [ "192.0.2.1:9000", "[2001:db8::1]:9000" ];' "$dir/out"
ok "two addresses are an array" $?
! same "$dir/mix1/sphinx.secret" "$dir/before/sphinx.secret"
ok "the replaced key is another one" $?
mode "$dir/mix1/sphinx.secret" 600
ok "it has mode 0600 again" $?

it "an authority's key is made" 0 'directory.authority' keygen --authority --out "$dir/auth"
cp "$dir/out" "$dir/auth.printed"
mode "$dir/auth/authority.secret" 600
ok "authority.secret has mode 0600" $?
mode "$dir/auth/authority.pub" 644
ok "authority.pub has mode 0644" $?
same "$dir/auth.printed" "$dir/auth/authority.pub"
ok "authority.pub is what was printed" $?
it "an authority is not overwritten" 1 'authority.secret: exists' \
	keygen --authority --out "$dir/auth"
it "pubkey of an authority" 0 "$(cat "$dir/auth/authority.pub")" pubkey "$dir/auth/authority.secret"

# --- pubkey: RFC 8032, 7.1, test 1, and a key of the Sphinx vectors ---
vector() { # file, index of the vector, then keys and indices: prints the value
	python3 - "$@" <<-'PY'
		import json, sys
		v = json.load(open("tests/vectors/sphinx/" + sys.argv[1] + ".json"))["vectors"]
		for k in sys.argv[2:]:
		    v = v[int(k)] if isinstance(v, list) and k.isdigit() else (
		        next(x for x in v if x["id"] == k) if isinstance(v, list) else v[k])
		print(v)
	PY
}
three=$(python3 -c 'import json
print(next(v["id"] for v in json.load(open("tests/vectors/sphinx/forward.json"))["vectors"]
      if v["route_len"] == 3 and v["version"] == 259 and v["payload_size"] == 1024))')
echo 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60 >"$dir/e"
echo 9d61b19deffd5a60ba844af492ec2cc4 >"$dir/short"
vector forward "$three" hops 0 private_key >"$dir/hop0"
chmod 600 "$dir/e" "$dir/short" "$dir/hop0"
it "Ed25519 as RFC 8032" 0 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a \
	pubkey --type ed25519 "$dir/e"
it "X25519 as the vectors" 0 "$(vector forward "$three" hops 0 public_key)" \
	pubkey --type x25519 "$dir/hop0"
it "a file whose name says nothing needs a type" 2 '--type ed25519' pubkey "$dir/e"
it "a type that is none" 2 'allowed is ed25519 or x25519' pubkey --type rsa "$dir/e"
it "half a secret" 1 'not a secret of 64' pubkey --type x25519 "$dir/short"
chmod 640 "$dir/e"
it "a secret that others may read" 1 'chmod 600' pubkey --type ed25519 "$dir/e"
it "a secret that is not there" 1 "$dir/none: cannot be opened" pubkey --type x25519 "$dir/none"

# --- directory sign, verify ---
{
	echo "version = 1;"
	echo "network_id = \"$(printf %064d 1)\";"
	echo "valid_from = \"2020-01-01T00:00:00Z\";"
	echo "valid_until = \"2099-01-01T00:00:00Z\";"
	echo "nodes = ("
	cat "$dir/mix1/node.conf"
	echo ");"
} >"$dir/plain"
pub=$(cat "$dir/auth/authority.pub")
it "a fragment makes a directory" 0 "$dir/dir: signed" \
	directory sign --in "$dir/plain" --out "$dir/dir" --key "$dir/auth/authority.secret"
mode "$dir/dir" 644
ok "the directory has mode 0644" $?
it "it verifies with the key" 0 'signature and validity hold' \
	directory verify --in "$dir/dir" --authority "$pub"
grep -qE '^mix1 +1 +7 acme +192\.0\.2\.1:9000 ' "$dir/out" && grep -qF '[2001:db8::1]:9000' "$dir/out"
ok "the node is in the table" $?
it "it verifies with the file" 0 'signature and validity hold' \
	directory verify --in "$dir/dir" --authority "$dir/auth/authority.pub"
it "a secret is no authority's key" 1 'authority.pub' \
	directory verify --in "$dir/dir" --authority "$dir/auth/authority.secret"
it "neither is anything else" 1 'neither 64 hexadecimal digits nor a file' \
	directory verify --in "$dir/dir" --authority "$dir/plain"
run pubkey "$dir/mix1/identity.secret"
it "another authority" 1 'the signature does not hold' \
	directory verify --in "$dir/dir" --authority "$(cat "$dir/out")"
it "an unsigned directory" 1 'is not signed' directory verify --in "$dir/plain" --authority "$pub"
sed 's/weight = 7/weight = 8/' "$dir/dir" >"$dir/altered"
it "an altered directory" 1 'the signature does not hold' \
	directory verify --in "$dir/altered" --authority "$pub"
it "a signed directory is not replaced" 1 'only with --force' \
	directory sign --in "$dir/plain" --out "$dir/dir" --key "$dir/auth/authority.secret"
it "but with --force, and an old signature is" 0 signed directory sign --force --in "$dir/altered" \
	--out "$dir/altered" --key "$dir/auth/authority.secret"
it "the altered directory is signed now" 0 ' 8 acme ' \
	directory verify --in "$dir/altered" --authority "$pub"
[ "$(grep -c ^signature "$dir/altered")" = 1 ]
ok "it has one signature line" $?
sed 's/layer = 1/layer = 2/' "$dir/plain" >"$dir/gap"
it "a wrong directory is not signed" 1 "$dir/gap:5: nodes: layer 1 has no node" \
	directory sign --in "$dir/gap" --out "$dir/gap.signed" --key "$dir/auth/authority.secret"
[ ! -e "$dir/gap.signed" ]
ok "and not written" $?
sed 's/2099/2021/' "$dir/plain" >"$dir/old"
run directory sign --in "$dir/old" --out "$dir/old.signed" --key "$dir/auth/authority.secret"
it "an expired directory" 1 'expired at 2021-01-01T00:00:00Z' \
	directory verify --in "$dir/old.signed" --authority "$pub"
grep -q '^mix1 ' "$dir/out"
ok "is shown all the same" $?

# --- network create ---
it "a network is made" 0 '3 nodes' network create --out "$dir/net" --valid-hours 2 \
	entry1:1:192.0.2.10:1789 'mix1:2:[2001:db8::b]:1790' 'exit1:3:[fd00::3]:9000,10.0.3.2:9000'
find "$dir/net" -type f -printf '%P %m\n' | sort >"$dir/files"
cat >"$dir/expected" <<-'EOF'
	authority.pub 644
	authority.secret 600
	directory.conf 644
	entry1/identity.secret 600
	entry1/sphinx.secret 600
	entry1/vrf.secret 600
	exit1/identity.secret 600
	exit1/sphinx.secret 600
	exit1/vrf.secret 600
	mix1/identity.secret 600
	mix1/sphinx.secret 600
	mix1/vrf.secret 600
EOF
same "$dir/files" "$dir/expected"
ok "its files and their modes" $?
it "its directory verifies" 0 '3 in 3 layers' \
	directory verify --in "$dir/net/directory.conf" --authority "$dir/net/authority.pub"
for n in entry1 mix1 exit1; do
	for f in identity sphinx vrf; do
		run pubkey "$dir/net/$n/$f.secret"
		grep -qF "${f}_key = \"$(cat "$dir/out")\"" "$dir/net/directory.conf"
		ok "the directory has $n's $f key" $?
	done
done
cp -r "$dir/net" "$dir/net.before"
it "a network is not overwritten" 1 'authority.secret: exists' \
	network create --out "$dir/net" a:1:10.0.0.1:1
rm "$dir/net/authority.secret" "$dir/net/authority.pub"
it "nor a part of one" 1 'mix1/identity.secret: exists' \
	network create --out "$dir/net" a:1:10.0.0.1:1 mix1:2:10.0.0.2:1
[ ! -e "$dir/net/a" ] && same "$dir/net/directory.conf" "$dir/net.before/directory.conf"
ok "and nothing else is touched" $?
it "--force makes it anew" 0 '1 nodes' network create --force --out "$dir/net" a:1:10.0.0.1:1
it "with a directory of its own" 0 '1 in 1 layers' \
	directory verify --in "$dir/net/directory.conf" --authority "$dir/net/authority.pub"
bad_network() { # name, text, arguments
	it "$1" 2 "$2" network create --out "$dir/bad" "${@:3}"
	[ ! -e "$dir/bad" ]
	ok "$1: nothing is written" $?
}
bad_network "no nodes" 'is missing'
bad_network "a node without an address" 'name:layer:address' mix1:2
bad_network "a layer that is none" 'allowed is 1..5' a:6:10.0.0.1:1
bad_network "a name that is a path" 'A-Z a-z' ../a:1:10.0.0.1:1
bad_network "an address without a port" '192.0.2.1:9000' a:1:10.0.0.1
bad_network "two addresses of a family" 'one IPv4 and one IPv6' a:1:10.0.0.1:1,10.0.0.2:1
bad_network "two nodes of a name" 'two nodes are called a' a:1:10.0.0.1:1 a:1:10.0.0.2:1
bad_network "two nodes at an address" 'a and b have the same address' a:1:10.0.0.1:1 b:1:10.0.0.1:1
bad_network "a gap in the layers" 'no node in layer 2' a:1:10.0.0.1:1 b:3:10.0.0.2:1
bad_network "a validity of nothing" '1..8760' --valid-hours 0 a:1:10.0.0.1:1
bad_network "a network id too short" '64 hexadecimal digits' --network-id 00 a:1:10.0.0.1:1

# --- packet inspect ---
hex() { # hex text on stdin to bytes
	python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))'
}
vector forward "$three" hops 0 packet_in >"$dir/hop0.hex"
hex <"$dir/hop0.hex" >"$dir/hop0.bin"
{ printf '\x08\x80\x00\x01' && cat "$dir/hop0.bin"; } >"$dir/hop0.framed"
fold -w 60 "$dir/hop0.hex" >"$dir/hop0.folded"
tag=$(vector forward "$three" hops 0 replay_tag)
for form in bin hex framed folded; do
	it "a packet as $form" 0 "$tag" packet inspect --key "$dir/hop0" "$dir/hop0.$form"
done
"$tool" packet inspect --key "$dir/hop0" - <"$dir/hop0.framed" >"$dir/out" 2>"$dir/err" &&
	grep -qF "$tag" "$dir/out" && grep -q '^frame .*rotation 1 (odd)' "$dir/out"
ok "a packet from standard input, with its frame" $?
next=$(vector forward "$three" hops 1 packet_in)
delay=$(vector forward "$three" delays_ns 0)
run packet inspect --key "$dir/hop0" "$dir/hop0.bin"
for line in 'packet       1372 bytes' 'frame        none' 'version      259' \
	'flag         1 (forward)' 'next hop     [2001:db8::b]:1790' "delay        $delay ns" \
	"next alpha   ${next:0:64}" "next gamma   ${next:64:32}" 'payload      1024 bytes'; do
	grep -qF -- "$line" "$dir/out"
	ok "it shows: $line" $?
done
it "without a key: the outside" 0 "gamma        $(cut -c 65-96 "$dir/hop0.hex")" \
	packet inspect "$dir/hop0.bin"
! grep -q '^version' "$dir/out"
ok "and nothing of the inside" $?
net=("--directory" "$dir/net.before/directory.conf" --authority "$dir/net.before/authority.pub")
it "a directory names the next hop" 0 '[2001:db8::b]:1790 (mix1, layer 2)' \
	packet inspect --key "$dir/hop0" "${net[@]}" "$dir/hop0.bin"
it "or says that it is unknown" 0 'unknown_next_hop' packet inspect --key "$dir/hop0" \
	--directory "$dir/dir" --authority "$pub" "$dir/hop0.bin"
vector forward "$three" hops 2 private_key >"$dir/hop2"
chmod 600 "$dir/hop2"
vector forward "$three" hops 2 packet_in >"$dir/hop2.hex"
it "the last hop sees the message" 1 'bad_address' \
	packet inspect --key "$dir/hop2" "$dir/hop2.hex"
grep -qF 'flag         2 (final)' "$dir/out" &&
	grep -qF "identifier   $(vector forward "$three" destination_identifier)" "$dir/out" &&
	grep -qF "message      $(($(vector forward "$three" message | tr -d '\n' | wc -c) / 2)) bytes" "$dir/out"
ok "its length, identifier and destination" $?
it "another relay's key" 1 'bad_mac' packet inspect --key "$dir/hop2" "$dir/hop0.bin"
head -c 300 "$dir/hop0.bin" >"$dir/cut"
it "a packet cut off" 1 'bad_length' packet inspect --key "$dir/hop0" "$dir/cut"
head -c 101 "$dir/hop0.hex" >"$dir/odd"
it "an odd number of digits" 1 'odd number of hexadecimal digits (101)' packet inspect "$dir/odd"
head -c 200000 /dev/zero >"$dir/large"
it "a file far too large" 1 'larger than' packet inspect "$dir/large"
vector forward_legacy 0 hops 0 private_key >"$dir/legacy"
chmod 600 "$dir/legacy"
vector forward_legacy 0 hops 0 packet_in >"$dir/legacy.hex"
it "a packet of version 1" 1 'unsupported_version' \
	packet inspect --key "$dir/legacy" "$dir/legacy.hex"
it "a directory without its authority" 2 'go together' \
	packet inspect --directory "$dir/dir" "$dir/hop0.bin"

# --- usage ---
it "no command" 2 'usage: betanet-keytool COMMAND'
it "an unknown command" 2 'there is no command "frobnicate"' frobnicate
it "half a command" 2 'there is no command "directory"' directory
it "--help" 0 'directory verify' --help
it "--version" 0 'betanet-keytool ' --version
for c in keygen pubkey 'directory sign' 'directory verify' 'network create' 'packet inspect' \
	'vrf verify-epoch' 'vrf verify-neighbours' 'vrf delay'; do
	# shellcheck disable=SC2086
	it "$c --help" 0 "usage: betanet-keytool $c" $c --help
done
it "keygen without a folder" 2 '--out DIR is missing' keygen --authority
it "keygen without a layer" 2 '--layer is missing' \
	keygen --out "$dir/k" --name a --address 192.0.2.1:9000
it "keygen for a layer that is none" 2 'allowed is 1..5' \
	keygen --out "$dir/k" --name a --address 192.0.2.1:9000 --layer 0
it "keygen for a wrong name" 2 'A-Z a-z' \
	keygen --out "$dir/k" --name 'a b' --address 192.0.2.1:9000 --layer 1
it "keygen for a multicast address" 2 'multicast' \
	keygen --out "$dir/k" --name a --address 224.0.0.1:9000 --layer 1
it "keygen for a weight of 0" 2 '1..4294967295' \
	keygen --out "$dir/k" --name a --address 192.0.2.1:9000 --layer 1 --weight 0
it "an authority with a layer" 2 '--layer: an authority has only' \
	keygen --authority --out "$dir/k" --layer 1
[ ! -e "$dir/k" ]
ok "wrong usage writes nothing" $?
it "an unknown option" 2 'there is no option --colour' keygen --colour
it "an option given twice" 2 '--out is given twice' keygen --out a --out b
it "an option without its value" 2 '--out needs a value, DIR' keygen --out
it "a flag with a value" 2 '--force takes no value' keygen --force=yes
it "a word too many" 2 '"x" is one word too many' keygen --authority --out "$dir/k" x
it "a folder that cannot be made" 1 'cannot be made' keygen --authority --out "$dir/no/such/place"
it "a folder that is a file" 1 'is no folder' keygen --authority --out "$dir/plain"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
