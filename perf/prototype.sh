#!/usr/bin/env bash
# Builds the prototype's hop with the pair kernel and with two ladders as DIR/hop_ed.so and
# DIR/hop_asm.so. Fails, saying why, where the prototype, python3 or OpenSSL's headers are missing.
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
proto=$here/../../shared/prototypes/sphinx_hop
[ -d "$proto" ] || { echo "no ../shared/prototypes/sphinx_hop here"; exit 1; }
mkdir -p "$dir"
cp -u "$proto"/* "$dir"
cp -u "$here/prototype_hop.c" "$dir"
cd "$dir"
chmod u+w ./*
make -s fp51.h fp51_asm4.S ed_const.h ed_asm.S >/dev/null
flags="-O3 -march=native -ffp-contract=off -w -fPIC -shared -DASM -DNG=2"
[ hop_ed.so -nt prototype_hop.c ] || cc $flags -o hop_ed.so prototype_hop.c shim.c ed51.c ed_asm.S -lsodium -lcrypto
[ hop_asm.so -nt prototype_hop.c ] || cc $flags -o hop_asm.so prototype_hop.c x25519_fp51_asm3.c fp51_asm4.S -lsodium -lcrypto
# the curve alone, for perf_x25519
[ curve_asm.so -nt ed51.c ] || cc $flags -o curve_asm.so ed51.c ed_asm.S x25519_fp51_asm3.c fp51_asm4.S -lsodium
[ curve_c.so -nt ed51.c ] || cc -O3 -march=native -ffp-contract=off -w -fPIC -shared -DNIRAW -o curve_c.so ed51.c x25519_fp51.c -lsodium
