#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of delays measured on the wire: vrf_wire.py MEAN_MS LIGHT HEAVY (files of ns, in the order of sending)."""
import math
import sys

passed = failed = 0


def check(name, ok):
    global passed, failed
    print(("ok    " if ok else "FAIL  ") + name)
    passed += ok
    failed += not ok


def ks_exponential(sample, mean):
    """Largest distance to 1 - exp(-t / mean), sample sorted."""
    n = len(sample)
    worst = 0
    for i, t in enumerate(sample):
        f = 1 - math.exp(-t / mean)
        worst = max(worst, f - i / n, (i + 1) / n - f)
    return worst


def ks_two(a, b):
    a, b = sorted(a), sorted(b)
    i = j = 0
    worst = 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            i += 1
        else:
            j += 1
        worst = max(worst, abs(i / len(a) - j / len(b)))
    return worst


def lag_correlation(delays):
    """Of neighbours in the order of sending: a relay that keeps the order would show it."""
    n = len(delays)
    m = sum(delays) / n
    v = sum((d - m) ** 2 for d in delays)
    return sum((a - m) * (b - m) for a, b in zip(delays, delays[1:])) / v


mean_ms, light, heavy = float(sys.argv[1]), sys.argv[2], sys.argv[3]
runs = {}
for name, path in (("light", light), ("heavy", heavy)):
    with open(path) as f:
        ms = [int(line) / 1e6 for line in f]
    # what the wire, the cryptography and two other relays take: the least of all, for the law begins at 0
    floor = min(ms)
    runs[name] = [t - floor for t in ms]
    n = len(ms)
    d = ks_exponential(sorted(runs[name]), mean_ms)
    check(f"{name}: {n} packets, mean {sum(ms) / n:.1f} ms, least {floor:.2f} ms: KS {d:.4f} below {1.628 / math.sqrt(n):.4f}",
          d < 1.628 / math.sqrt(n))
    r = lag_correlation(ms)
    check(f"{name}: correlation of packets sent one after the other {r:+.4f} within {2.576 / math.sqrt(n):.4f}",
          abs(r) < 2.576 / math.sqrt(n))
d = ks_two(runs["light"], runs["heavy"])
limit = 1.628 * math.sqrt((len(runs["light"]) + len(runs["heavy"])) / (len(runs["light"]) * len(runs["heavy"])))
check(f"light against heavy load: KS {d:.4f} below {limit:.4f}", d < limit)
print(f"{passed} passed, {failed} failed")
