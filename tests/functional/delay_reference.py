#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The delay's exponential from first principles, in exact integers and 90-digit decimals.

delay_reference.py write FILE     writes the golden values (tests/vectors/delay/delay.json)
delay_reference.py check FILE SRC derives them again and compares; reads the constants out of SRC
                                  (lib/vrf/delay.c); proves the error bound, the order and the ends

It shares no code with lib/vrf/delay.c: logarithms come from a series of its own, the polynomial is
interpolated anew.
"""
import hashlib
import json
import re
import sys
from decimal import Decimal as D, getcontext, ROUND_CEILING, ROUND_HALF_EVEN

getcontext().prec = 90
DEGREE, FRACTION_BITS, ONE = 20, 44, 1 << 58
MEANS = (1, 1000000, 50000000, 10**10)


def ln(x):
    """atanh series after halving towards 1; x is a positive Decimal or Fraction of ints."""
    k = 0
    while x > D("1.5"):
        x /= 2
        k += 1
    while x < D("0.75"):
        x *= 2
        k -= 1
    y = (x - 1) / (x + 1)
    s, t, i = D(0), y, 1
    while abs(t) > D(10) ** -88:
        s += t / i
        t *= y * y
        i += 2
    return 2 * s + k * LN2


def series_ln2():
    s, t, i = D(0), D(1) / 3, 1
    while t > D(10) ** -88:
        s += t / i
        t /= 9
        i += 2
    return 2 * s


LN2 = series_ln2()


def exp_minus(n):
    s, t, i = D(0), D(1), 0
    while t > D(10) ** -88:
        s += t
        i += 1
        t = t * n / i
    return 1 / s


def cosine(x):
    s, t, k = D(0), D(1), 0
    while abs(t) > D(10) ** -88:
        s += t
        k += 2
        t = -t * x * x / (k * (k - 1))
    return s


def pi():
    """Machin."""
    def atan_inverse(n):
        s, t, i, sign = D(0), D(1) / n, 1, 1
        while t > D(10) ** -88:
            s += sign * t / i
            t /= n * n
            i += 2
            sign = -sign
        return s
    return 4 * (4 * atan_inverse(5) - atan_inverse(239))


def rounded(x):
    return int(x.to_integral_value(ROUND_HALF_EVEN))


def coefficients():
    """ln(1 + f) / f at the Chebyshev nodes of [0, 1], as monomials with the signs taken out, in 2^-63."""
    n, p = DEGREE + 1, pi()
    xs = [(1 + cosine(p * (2 * k + 1) / (2 * n))) / 2 for k in range(n)]
    a = [ln(1 + x) / x for x in xs]
    for j in range(1, n):
        for i in range(n - 1, j - 1, -1):
            a[i] = (a[i] - a[i - 1]) / (xs[i] - xs[i - j])
    poly = [D(0)] * n
    for i in range(n - 1, -1, -1):
        shifted = [D(0)] + poly[:-1]
        poly = [s - c * xs[i] for s, c in zip(shifted, poly)]
        poly[0] += a[i]
    out = [rounded(c * (-1) ** k * 2**63) for k, c in enumerate(poly)]
    assert all(c > 0 for c in out)
    return out


C = coefficients()
LN2_58 = rounded(LN2 * ONE)
FLOOR = int((exp_minus(20) * 2**64).to_integral_value(ROUND_CEILING))


def split(v):
    n = 64 - v.bit_length()
    f = ((v << n) & (2**63 - 1)) >> (63 - FRACTION_BITS)
    return n, f


def from_split(n, f):
    f <<= 64 - FRACTION_BITS
    acc = C[DEGREE]
    for k in range(DEGREE - 1, -1, -1):
        acc = C[k] - (f * acc >> 64)
    return (n + 1) * LN2_58 - ((f * acc >> 64) >> 5)


def rescale(draw):
    return FLOOR + (draw * (2**64 - FLOOR) >> 64)


def exponential(draw):
    return from_split(*split(rescale(draw)))


def golden_draws():
    draws = [0, 1, 2, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
    draws += [1 << b for b in range(1, 64)] + [(1 << b) - 1 for b in range(2, 64)]
    for i in range(500):
        h = hashlib.blake2b(b"betanet delay golden" + i.to_bytes(4, "big"), digest_size=8).digest()
        draws.append(int.from_bytes(h, "little") >> (i % 5 * 7))
    return sorted(set(draws))


def hchacha20(key, block):
    words = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    words += [int.from_bytes((key + block)[i:i + 4], "little") for i in range(0, 48, 4)]

    def quarter(a, b, c, d):
        for left, (i, j, k) in ((16, (a, b, d)), (12, (c, d, b)), (8, (a, b, d)), (7, (c, d, b))):
            words[i] = (words[i] + words[j]) & 0xFFFFFFFF
            x = words[k] ^ words[i]
            words[k] = (x << left | x >> (32 - left)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return b"".join(w.to_bytes(4, "little") for w in words[:4] + words[12:])


def prf_rows():
    """From beta and the shared secret to the delay, for made-up values."""
    rows = []
    for i in range(16):
        beta = hashlib.sha512(b"beta %d" % i).digest()
        shared = hashlib.sha256(b"shared %d" % i).digest()
        epoch = (0, 1, 2**32, 2**64 - 1)[i % 4]
        key = hashlib.blake2b(b"bnmix-delay" + epoch.to_bytes(8, "big"), key=beta, digest_size=32).digest()
        tag = hchacha20(shared, b"bnmix-dtag-v1" + bytes(3))[:16]
        r = hchacha20(key, tag)
        rows.append({"beta": beta.hex(), "shared": shared.hex(), "epoch": epoch, "key": key.hex(), "tag": tag.hex(),
                     "exp": exponential(int.from_bytes(r[:8], "little")), "tie": int.from_bytes(r[8:16], "little")})
    return rows


def golden():
    rows = []
    for d in golden_draws():
        e = exponential(d)
        rows.append({"draw": d, "exp": e, "delays": [m * e >> 58 for m in MEANS]})
    return {"note": "draw (u64) -> exp in units of 2^-58 means, and floor(mean * exp) for the means; "
                    "made by tests/functional/delay_reference.py", "means": list(MEANS), "vectors": rows,
            "prf": prf_rows()}


def dump(path):
    with open(path, "w", encoding="ascii") as f:
        g = golden()
        f.write('{"note": %s,\n "means": %s,\n "vectors": [\n' % (json.dumps(g["note"]), json.dumps(g["means"])))
        f.write(",\n".join("  " + json.dumps(r) for r in g["vectors"]))
        f.write('\n ],\n "prf": [\n')
        f.write(",\n".join("  " + json.dumps(r) for r in g["prf"]))
        f.write("\n]}\n")


def check(path, source):
    failures = []
    passed = 0

    def fact(name, holds):
        nonlocal passed
        if holds:
            passed += 1
        else:
            failures.append(name)

    text = open(source, encoding="utf-8").read()
    table = re.search(r"coefficient\[[^]]*\] = \{(.*?)\};", text, re.S)
    found = [int(x, 16) for x in re.findall(r"0x[0-9a-f]+", table.group(1))] if table else []
    fact("the coefficients in the source are those of the interpolation", found == C)
    for name, value in (("LN2", LN2_58), ("FLOOR", FLOOR)):
        m = re.search(r"#define DELAY_%s UINT64_C\((0x[0-9a-f]+)\)" % name, text)
        fact("%s in the source" % name, bool(m) and int(m.group(1), 16) == value)
    fact("the golden file", json.load(open(path, encoding="ascii")) == golden())

    # against the true logarithm, over every octave and at its ends
    worst = D(0)
    for n in range(29):
        for i in list(range(0, 2**FRACTION_BITS, 2**FRACTION_BITS // 61)) + [2**FRACTION_BITS - 1]:
            true = (n + 1) * LN2 - ln(1 + D(i) / 2**FRACTION_BITS)
            worst = max(worst, abs(D(from_split(n, i)) / ONE - true))
    fact("error %.3g below 2^-53" % worst, worst < D(2) ** -53)

    # strictly falling: neighbours differ by 2^-45 and more, the error is below 2^-53; shown at samples and seams
    falls = True
    for n in range(29):
        fs = [0, 2**FRACTION_BITS - 2] + [(i * 0x9E3779B97F4A7C15 >> 20) % (2**FRACTION_BITS - 1) for i in range(40)]
        falls &= all(from_split(n, f) > from_split(n, f + 1) for f in fs)
        falls &= from_split(n + 1, 2**FRACTION_BITS - 1) > from_split(n, 0)
    fact("it falls strictly in the fraction, across octaves too", falls)
    fact("least draw: at most 20 means, and within 2^-30 of them",
         20 * ONE - (ONE >> 30) < exponential(0) <= 20 * ONE)
    fact("greatest draw: above 0, below 2^-44", 0 < exponential(2**64 - 1) < ONE >> 44)
    for f in failures:
        print("delay_reference: fails: " + f)
    print("%d passed, %d failed" % (passed, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        dump(sys.argv[2])
    elif sys.argv[1:2] == ["constants"]:
        print("LN2 %#x FLOOR %#x" % (LN2_58, FLOOR))
        print(",\n".join("UINT64_C(%#018x)" % c for c in C))
    else:
        sys.exit(check(sys.argv[2], sys.argv[3]))
