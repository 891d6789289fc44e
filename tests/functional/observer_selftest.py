# SPDX-License-Identifier: BSD-3-Clause
"""Can the judge judge? Known values of its statistics, its false alarms, its power, and rigged captures that it must
refuse. Every random number comes from a fixed seed: the outcome is the same each time."""
import math
import random
import struct
import time

import observer_judge as judge
import observer_stats as st

passed = failed = 0
LOADS = (0, 50, 95)


def check(name, ok):
    global passed, failed
    print(("ok    " if ok else "FAIL  ") + name, flush=True)
    passed += bool(ok)
    failed += not ok


def near(a, b, tolerance=1e-4):
    return abs(a - b) <= tolerance


# --- laws and distances against values from tables ---

def laws():
    check("Kolmogorov's law: 5 %, 1 %, 0.1 %", near(st.kolmogorov_sf(1.3581), .05) and near(st.kolmogorov_sf(1.6276), .01)
          and near(st.kolmogorov_sf(1.9495), .001, 1e-6))
    check("Kolmogorov's law: its two series meet", near(st.kolmogorov_sf(1.18 - 1e-9), st.kolmogorov_sf(1.18 + 1e-9), 1e-7))
    check("chi-square: 1, 2 and 255 degrees of freedom", near(st.chi2_sf(3.841459, 1), .05, 1e-6) and
          near(st.chi2_sf(2, 2), math.exp(-1), 1e-12) and near(st.chi2_sf(293.2478, 255), .05, 1e-5) and
          near(st.chi2_sf(255, 255), .4882, 2e-3))
    check("normal law: quantile and tail", near(st.normal_quantile(.025), 1.959964, 1e-5) and
          near(st.normal_sf(3.090232), .001, 1e-8))
    a, b = st.wilson(8, 10)
    check("Wilson's interval of 8 in 10", near(a, .4902, 1e-3) and near(b, .9433, 1e-3))
    check("two-sample distance: apart, interleaved, equal", st.ks_two([1, 2, 3], [4, 5]) == 1 and
          st.ks_two([1, 2, 3, 4], [1.5, 2.5, 3.5, 4.5]) == .25 and st.ks_two([1, 2, 2], [2, 2, 1]) == 0)
    check("distance to a law", near(st.ks_one([.1, .2, .3, .4], lambda x: x), .6))
    rng = random.Random(1)
    gaps = [[[rng.random() for _ in range(12)] for _ in LOADS] for _ in range(3)]
    test = st.LoadTest(gaps)
    pooled = [[g for row in gaps for g in row[k]] for k in range(3)]
    exact = max(st.ks_two(pooled[a], pooled[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    check("distance on packed counts is that of the samples", near(test.statistic(test.identity), exact, 1e-12))
    ps = [st.ks_p(st.ks_two([rng.random() for _ in range(149)], [rng.random() for _ in range(151)]), 75) for _ in range(300)]
    check("p-values of equal laws are spread evenly", st.ks_p(st.ks_one(ps, lambda x: x), len(ps)) > .001)
    null = sorted(range(1, 10000))
    check("a tail counts the observed value, a limit is the tail's", st.tail(null, 9999) == 2 / 10000 and
          st.tail(null, 10000) == 1 / 10000 and st.tail(null, st.limit_of(null, .01) + .5) <= .01 <
          st.tail(null, st.limit_of(null, .01) - .5))


# --- captures that are made up ---

def slots(rng, mode, rate, begin, seconds, jitter_us):
    """Send times of a shaper on a noisy machine: a law of its own for each call's noise."""
    out, at = [], begin
    while True:
        at += 1e9 / rate if mode == "constant" else rng.expovariate(rate) * 1e9
        if at > begin + seconds * 1e9:
            return sorted(out)
        out.append(int(at + abs(rng.gauss(0, jitter_us * 1000)) + (rng.random() < .01) * rng.expovariate(1e-6)))


def timeline(rng, mode, rate, rounds, seconds, late_us=0.0, silent=False):
    """Times of each round and load; the machine is noisier in some segments than in others."""
    out = []
    for r in range(rounds):
        row = [None] * len(LOADS)
        for k in rng.sample(range(len(LOADS)), len(LOADS)):
            t = slots(rng, mode, rate, (r * 10 + k) * 10 ** 10, seconds, rng.expovariate(.1) + r % 5)
            if silent:
                t = [x for x in t if rng.random() * 100 < LOADS[k]]
            row[k] = st.delayed(rng, t, LOADS[k] / 100, late_us * 1000)
        out.append(row)
    return out


def frame_of(rng, point, address):
    packet = point + rng.randbytes(348 - 32 + 1024)
    payload = b"\x08\x80\0\0" + packet
    udp = struct.pack("!HHHH", 9000, 9000, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, b"\x0a\0\0\1", address)
    return finish(bytes(6) + bytes(6) + b"\x08\x00" + ip + udp)


def finish(frame):
    """With the right UDP checksum."""
    frame = frame[:40] + b"\0\0" + frame[42:]
    data = frame[26:34] + struct.pack("!HH", 17, len(frame) - 34) + frame[34:]
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return frame[:40] + struct.pack("!H", ~s & 0xFFFF or 0xFFFF) + frame[42:]


def made_up(rng, times, points, change=None):
    """A capture of these times. change(frame, load, index): what is wrong with it."""
    rounds = []
    for row in times:
        segments = []
        for load, t in zip(LOADS, row):
            frames = []
            for i in range(len(t)):
                frames.append(frame_of(rng, points.pop(), b"\x0a\0\0\2"))
                if change:
                    frames[-1] = change(frames[-1], load, i)
            begin = t[0] if t else 0
            segments.append(judge.Segment(load, begin, begin + 500_000_000, t, frames))
        rounds.append(segments)
    return judge.Capture("constant", 200, rounds)


def curve_points(rng, n):
    out = []
    while len(out) < n:
        u = rng.randbytes(31) + bytes([rng.randrange(127)])
        if judge.on_curve(u):
            out.append(u)
    return out


# --- false alarms and power ---

LEAKS = {"constant": (st.delayed, 100, 1e9), "poisson": (st.thinned, .005, 1.0)}


def load_test(times):
    return st.LoadTest([[st.gaps_of(t) for t in row] for row in times])


def false_alarms(mode):
    rng = random.Random("false alarms " + mode)
    low, runs = 0, 40
    for _ in range(runs):
        test = load_test(timeline(rng, mode, 500, 8, .2))
        low += st.tail(test.null(rng, 99), test.statistic(test.identity)) <= .1
    check(f"{mode}, no leak, a machine whose noise changes from second to second: {low} of {runs} below p = 0.1",
          low <= 11)  # more: one seed in a thousand


def power(mode):
    rng = random.Random("power " + mode)
    times = timeline(rng, mode, 500, 16, .3)
    leak, start, most = LEAKS[mode]
    shares = [x / 100 for x in LOADS]
    size, seen, distance = st.Power(times, shares, .01, leak, rng).smallest(start, most)
    found, runs = {1: 0, .2: 0}, 15
    for _ in range(runs):  # fresh captures, each judged by its own permutations
        for factor in found:
            leaky = [[leak(rng, t, s, size * factor) for t, s in zip(row, shares)] for row in timeline(rng, mode, 500, 16, .3)]
            test = load_test(leaky)
            found[factor] += test.statistic(test.identity) > st.limit_of(test.null(rng, 300), .01)
    what = f"{size / 1000:.1f} us late" if mode == "constant" else f"{100 * size:.1f} % of slots lost"
    check(f"{mode}: the smallest effect ({what}, distance {distance:.4f}) is seen in {found[1]} of {runs} fresh captures, a fifth"
          f" of it in {found[.2]}", found[1] >= 8 and found[.2] <= 4 and seen >= .8)


def classifiers():
    rng = random.Random("classifiers")
    for kind in (st.Linear, st.Nearest):
        apart, alike = {}, {}
        for r in range(12):
            for k in (0, 1):
                alike[(r, k)] = [[rng.gauss(r, 1), rng.gauss(0, 2), 7.0] for _ in range(4)]
                apart[(r, k)] = [[a + rng.gauss(0, .1), b + 9 * k, c] for a, b, c in alike[(r, k)]]
        truth = {g: g[1] for g in apart}
        sure, none = st.TwoFold(kind, apart).accuracy(truth), st.TwoFold(kind, alike).accuracy(truth)
        check(f"{kind.__name__}: {100 * sure:.0f} % where classes differ, {100 * none:.0f} % where they do not",
              sure > .95 and .3 < none < .7)
        fold = st.TwoFold(kind, apart)
        p = st.sequential_tail(fold.accuracy(truth), lambda f=fold: f.accuracy(st.label_swaps(range(12), rng)), 499)
        check(f"{kind.__name__}: the permutation test says so (p {p:.3f})", p < .02)


def queue():
    rng = random.Random("queue")
    times = slots(rng, "constant", 500, 0, 40, 0)
    label = st.queue_labels(rng, times, 250)
    check(f"a queue at half load fills half of the slots: {sum(label)} of {len(label)}", near(sum(label) / len(label), .5, .02))
    times = slots(rng, "poisson", 500, 0, 40, 0)
    label = st.queue_labels(rng, times, 250)
    gaps = st.gaps_of(times)
    real = [g for g, y in zip(gaps, label[1:]) if y]
    check("with Poisson slots a real packet tends to come behind a longer gap", sum(real) / len(real) > 1.15 * sum(gaps) / len(gaps))


# --- rigged captures: each must fail at its own question ---

def rigged():
    rng = random.Random("rigged")
    points = curve_points(rng, 4500)

    def verdict(change=None, rounds=4, timing=False, **leak):
        c = made_up(rng, timeline(rng, "constant", 200, rounds, .5, **leak), list(points), change)
        j = judge.Judge(seed=7, quiet=True, alpha=.002)
        j.headers(c)
        j.bytes(c)
        if timing:
            j.gaps(c)
            j.windows(c, LOADS[0], LOADS[-1])
        return set(j.failed)

    def at(load, test=lambda i: True):
        return lambda edit: lambda f, at_load, i: finish(edit(f, i)) if at_load == load and test(i) else f

    failed_by = verdict(rounds=14, timing=True)
    check(f"an honest capture passes everything {sorted(failed_by) or ''}", not failed_by)
    body = judge.SPHINX

    def own(f, lo, new):
        return f[:lo] + new + f[lo + len(new):]

    cases = [
        ("a frame one byte longer", "size", at(0, lambda i: i == 3)(lambda f, i: f + b"\0\0")),
        ("IP-ID counts", "header", at(95)(lambda f, i: own(f, 18, struct.pack("!H", i + 1)))),
        ("another TTL when idle", "header", at(0)(lambda f, i: own(f, 22, b"\x3f"))),
        ("no checksum on cover", "checksum", lambda f, load, i: f[:40] + b"\0\0" + f[42:] if load == 0 else f),
        ("the same alpha twice", "repeat", at(50, lambda i: i < 2)(lambda f, i: own(f, body, b"\x09" * 32))),
        ("a bit of beta stuck when idle", "bits", at(0)(lambda f, i: own(f, body + 100, bytes([f[body + 100] | 4])))),
        ("payload ends in zeros when idle", "bytes", at(0)(lambda f, i: own(f, len(f) - 40, bytes(40)))),
        ("alpha of cover is random bytes", "curve",
         at(0)(lambda f, i: own(f, body, rng.randbytes(31) + bytes([rng.randrange(127)])))),
    ]
    for name, key, change in cases:
        failed_by = verdict(change)
        check(f"{name}: refused ({', '.join(sorted(failed_by)) or 'accepted!'})", key in failed_by)
    failed_by = verdict(rounds=14, timing=True, late_us=300.0)
    check(f"real packets 300 us late: refused ({', '.join(sorted(failed_by)) or 'accepted!'})", "gaps" in failed_by)
    failed_by = verdict(rounds=14, timing=True, silent=True)
    check(f"a link silent without load: refused ({', '.join(sorted(failed_by)) or 'accepted!'})",
          {"gaps", "windows"} <= failed_by)


def run():
    started = time.monotonic()
    laws()
    classifiers()
    queue()
    for mode in ("constant", "poisson"):
        false_alarms(mode)
        power(mode)
    rigged()
    print(f"self-test in {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
