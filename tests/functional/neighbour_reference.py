#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A second verifier of the neighbour selection, which shares no code with lib/vrf/neighbour.c.

neighbour_reference.py write FILE   selects in 1000 made-up directories (tests/vectors/delay/neighbour.json)
neighbour_reference.py check FILE   selects again and compares

test_neighbour.c makes the same directories by the rule of candidate() and compares its choices with FILE.
"""
import functools
import hashlib
import json
import sys
from decimal import Decimal

from delay_reference import exponential

DIRECTORIES = 1000


def sha(*parts):
    return hashlib.sha512(b"".join(p if isinstance(p, bytes) else p.to_bytes(4, "big") for p in parts)).digest()


def candidate(seed, j):
    h = sha(seed, j)
    weight = {0: 2**32 - 1, 1: 1}.get(h[32] % 8, 1 + int.from_bytes(h[33:35], "little"))
    family = "f%d" % (h[36] % (3 + seed % 30)) if h[35] % 4 else ""
    v4 = bytes([10, h[38] % 4, h[39] % 16])
    v6 = bytes([0x20, 0x01, 0x0D, 0xB8, 0, h[41] % 32])
    return {"id": h[:32], "weight": weight, "family": family, "prefixes": ({v4}, {v6}, {v4, v6})[h[37] % 3]}


def degree(n):
    if n <= 64:
        return n
    return max(16, int((4 * Decimal(n).ln()).to_integral_value("ROUND_CEILING")))


def select(nodes, beta, epoch):
    key = hashlib.blake2b(b"bnmix-nb" + epoch.to_bytes(8, "big"), key=beta, digest_size=32).digest()
    for j, c in enumerate(nodes):
        c["index"] = j
        u = hashlib.blake2b(c["id"], key=key, digest_size=16).digest()
        c["exp"] = exponential(int.from_bytes(u[:8], "little"))

    def order(a, b):
        left, right = a["exp"] * b["weight"], b["exp"] * a["weight"]
        return (left > right) - (left < right) or (a["id"] > b["id"]) - (a["id"] < b["id"])

    # nearly in order first, so that few exact comparisons remain
    ranked = sorted(sorted(nodes, key=lambda c: c["exp"] / c["weight"]), key=functools.cmp_to_key(order))
    if len(nodes) <= 64:
        return [c["index"] for c in ranked]
    taken = []
    for c in ranked:
        neighbours = sum(1 for t in taken if t["prefixes"] & c["prefixes"])
        relatives = sum(1 for t in taken if c["family"] and t["family"] == c["family"])
        if neighbours < 2 and relatives < 4:
            taken.append(c)
        if len(taken) == degree(len(nodes)):
            break
    return [c["index"] for c in taken]


def choices():
    rows = []
    for seed in range(DIRECTORIES):
        n = 1 + int.from_bytes(sha(b"size", seed)[:4], "little") % 1000
        chosen = select([candidate(seed, j) for j in range(n)], sha(b"beta", seed), seed * seed)
        digest = hashlib.blake2b(b"".join(c.to_bytes(4, "big") for c in chosen), digest_size=16).hexdigest()
        rows.append([n, len(chosen), digest])
    return rows


def main():
    rows = choices()
    if sys.argv[1] == "write":
        with open(sys.argv[2], "w", encoding="ascii") as f:
            f.write('{"note": "for directory 0, 1, ...: candidates, chosen, BLAKE2b-128 of the chosen indices (u32be); '
                    'made by tests/functional/neighbour_reference.py",\n "directories": [\n')
            f.write(",\n".join("  " + json.dumps(r) for r in rows) + "\n]}\n")
        return 0
    want = json.load(open(sys.argv[2], encoding="ascii"))["directories"]
    wrong = [i for i, (a, b) in enumerate(zip(rows, want)) if a != b] + (["length"] if len(rows) != len(want) else [])
    for i in wrong[:10]:
        print("neighbour_reference: directory %s differs from the file" % i)
    print("%d passed, %d failed" % (len(rows) - len(wrong), len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
