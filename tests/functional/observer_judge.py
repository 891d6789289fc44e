# SPDX-License-Identifier: BSD-3-Clause
"""Does the wire tell an observer how busy the relay is? The judge of observer.py: takes captures of one link at several
loads, prints what it measured and `ok`/`FAIL` for each question.

Every verdict that depends on chance is made at ALPHA: a relay that shows nothing fails it once in 1/ALPHA runs. A run
of observer.sh makes about a dozen of them."""
import bisect
import json
import math
import os
import random
import struct
from collections import Counter
from itertools import combinations

import observer_stats as st

ALPHA = 1e-4
WINDOWS = 5  # parts of a segment that the classifier of windows looks at
SAMPLE = 2000  # packets of a load that slow checks look at

ETHERNET, IP, UDP = 14, 20, 8
FRAME = 4  # Nym's frame in front of the Sphinx packet
SPHINX = ETHERNET + IP + UDP + FRAME
CHECKSUM = slice(SPHINX - FRAME - 2, SPHINX - FRAME)
# of the Sphinx packet; the last bit of alpha is always zero: RFC 7748
ALPHA_BYTES, GAMMA, BETA = slice(0, 31), slice(32, 48), slice(48, 348)
RECORD = struct.Struct("<QH")  # of a capture file: ns since 1970, length; the frame follows
P25519 = 2 ** 255 - 19


class Segment:
    """What the link showed while one load was offered. The first frames are of the time in which it settled."""

    def __init__(self, load, begin, end, times, frames, slots=None):
        self.load, self.begin, self.end = load, begin, end
        self.slots = slots  # /mix/shaper before and after
        self.all_times, self.all_frames = times, frames
        self.first = bisect.bisect_left(times, begin)
        self.times, self.frames = times[self.first:], frames[self.first:]


class Capture:
    """rounds[r] holds the segments of round r, by rising load."""

    def __init__(self, mode, rate, rounds):
        self.mode, self.rate, self.rounds = mode, rate, rounds
        self.loads = [s.load for s in rounds[0]]

    def segments(self, load=None):
        return [s for row in self.rounds for s in row if load is None or s.load == load]

    def frames(self, load=None):
        return [f for s in self.segments(load) for f in s.all_frames]


def read_frames(path):
    times, frames = [], []
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at + RECORD.size <= len(data):
        t, n = RECORD.unpack_from(data, at)
        at += RECORD.size
        times.append(t)
        frames.append(data[at:at + n])
        at += n
    return times, frames


def read_capture(folder, mode):
    with open(os.path.join(folder, mode + ".json")) as f:
        meta = json.load(f)
    times, frames = read_frames(os.path.join(folder, mode + ".cap"))
    rounds = {}
    for s in meta["segments"]:
        low, high = (bisect.bisect_left(times, s[k]) for k in ("settle", "end"))
        rounds.setdefault(s["round"], []).append(
            Segment(s["load"], s["begin"], s["end"], times[low:high], frames[low:high], s.get("slots")))
    rows = [sorted(rounds[r], key=lambda s: s.load) for r in sorted(rounds)]
    return Capture(mode, meta["rate"], rows)


class Judge:
    """Prints and counts."""

    def __init__(self, seed=1, quiet=False, alpha=ALPHA):
        self.rng, self.alpha = random.Random(seed), alpha
        self.draws = round(1 / alpha) - 1  # permutations: the observed value must lie beyond all of them
        self.quiet, self.failed, self.passed = quiet, [], []

    def say(self, text):
        if not self.quiet:
            print(text, flush=True)

    def check(self, key, ok, text):
        (self.passed if ok else self.failed).append(key)
        self.say(("ok    " if ok else "FAIL  ") + text)
        return ok

    # --- 1: sizes and headers ---

    def headers(self, c):
        frames = c.frames()
        if not self.check("captured", len(frames) > 0, f"{c.mode}: {len(frames)} frames captured"):
            return
        sizes = Counter(map(len, frames))
        self.check("size", len(sizes) == 1, f"{c.mode}: every frame has {sizes.most_common(1)[0][0]} bytes"
                   if len(sizes) == 1 else f"{c.mode}: frames of {len(sizes)} sizes: {dict(sizes)}")
        heads = Counter(f[:CHECKSUM.start] + f[CHECKSUM.stop:SPHINX] for f in frames)
        worst = ""
        if len(heads) > 1:
            worst = ", bytes that vary: %s" % [i for i, col in enumerate(zip(*heads)) if len(set(col)) > 1]
        self.check("header", len(heads) == 1, f"{c.mode}: all headers alike but for the UDP checksum: {len(heads)} kind(s)"
                   + worst)
        head = next(iter(heads))
        _, tos, _, ident, fragment, ttl, protocol = struct.unpack("!BBHHHBB", head[ETHERNET:ETHERNET + 10])
        self.check("fields", tos == 0 and ident == 0 and fragment == 0x4000 and ttl == 64 and protocol == 17,
                   f"{c.mode}: DSCP {tos >> 2}, IP-ID {ident}, DF {'set' if fragment == 0x4000 else 'not set'}, TTL {ttl}")
        wrong = sum(not udp_sum_right(f) for load in c.loads for f in c.frames(load)[:SAMPLE])
        self.check("checksum", wrong == 0, f"{c.mode}: UDP checksums: {wrong} wrong")

    # --- 2: when ---

    def gaps(self, c):
        """KS statistics between loads beside those between runs at one load, and what could have been seen."""
        gaps = [[st.gaps_of(s.times) for s in row] for row in c.rounds]
        test = st.LoadTest(gaps)
        halves = [range(h, len(gaps), 2) for h in (0, 1)]
        curves = [test.curves(test.identity, h) for h in halves]
        whole = test.curves(test.identity)
        self.say(f"\n      {c.mode}: gaps between slots, {c.rate}/s. Each load in {len(gaps)} segments, in random order."
                 " KS distances,")
        self.say("      their p-values as if gaps were independent; a run: every other segment of a load")
        self.say("        between loads   all segments        run against run |  between runs at one load")
        pairs = list(combinations(range(test.loads), 2))
        for k in range(max(len(pairs), test.loads)):
            line = " " * 52
            if k < len(pairs):
                a, b = pairs[k]
                half = [two(curves[h][a], curves[1 - h][b])[0] for h in (0, 1)]
                d, p = two(whole[a], whole[b])
                line = f"        {c.loads[a]:3}% - {c.loads[b]:2}%   {d:.4f} (p {p:.3f})   {half[0]:.4f}, {half[1]:.4f}  "
            if k < test.loads:
                d, p = two(curves[0][k], curves[1][k])
                line += f"|  {c.loads[k]:3}%   {d:.4f} (p {p:.3f})  n {curves[0][k][-1]} + {curves[1][k][-1]}"
            self.say(line)
        observed = test.statistic(test.identity)
        null = test.null(self.rng, self.draws)
        p, limit = st.tail(null, observed), st.limit_of(null, self.alpha)
        self.say(f"      largest distance with loads drawn anew within rounds: median {st.quantile(null, .5):.4f}, 95 % below"
                 f" {st.quantile(null, .95):.4f}, the limit at {self.alpha:g} {limit:.4f}")
        return self.check("gaps", p > self.alpha, f"{c.mode}: gaps tell loads apart no more than runs of one load: largest"
                           f" distance {observed:.4f}, p {p:.4f}")

    def power(self, c):
        """The smallest leak that `gaps` could have seen. Poisson slots stay Poisson slots when each is late by a time of
        its own (displacement theorem: Kingman, Poisson Processes 1993), so that there the leak is lost slots."""
        rounds = [[s.times for s in row] for row in c.rounds]
        leak, start, most = (st.thinned, .005, 1.0) if c.mode == "poisson" else (st.delayed, 100, 1e9)
        power = st.Power(rounds, [load / 100 for load in c.loads], self.alpha, leak, self.rng)
        size, seen, distance = power.smallest(start, most)
        what = (f"{100 * size:.1f} % of the slots of real packets lost" if c.mode == "poisson"
                else f"real packets {size / 1000:.1f} us later than cover")
        self.check("power", seen >= 0.8, f"{c.mode}: smallest effect that it sees: {what} (distance {distance:.4f}); put into"
                   f" this capture, the judge says no in {100 * seen:.0f} %")

    def lateness(self, c):
        """What the relay says of itself: a finer clock than the wire's, and no verdict, for no observer has it."""
        key = "lateness_log2_ns"
        if not all(s.slots and key in s.slots[0] for s in c.segments()):
            return
        counts = [[[b - a for a, b in zip(s.slots[0][key], s.slots[1][key])] for s in row] for row in c.rounds]
        for k, load in enumerate(c.loads):
            of = {name: sum(s.slots[1][name] - s.slots[0][name] for s in c.segments(load))
                  for name in ("slots_real", "slots_cover", "slots_empty", "slots_skipped")}
            total = [sum(row[k][i] for row in counts) for i in range(len(counts[0][0]))]
            self.say(f"      the relay at {load:2} %: " + ", ".join(f"{v} {n[6:]}" for n, v in of.items()) + "; late by "
                     + ", ".join(f"{log2_quantile(total, q) / 1000:.2f} us ({name})"
                                 for q, name in ((.25, "25 %"), (.5, "median"), (.9, "90 %"), (.99, "99 %"))))
        test = st.LoadTest.of_histograms(counts)
        observed = test.statistic(test.identity)
        p = st.tail(test.null(self.rng, 999), observed)
        self.say(f"      its lateness between loads: KS {observed:.4f}, p {p:.3f}")

    def blur(self, c):
        """By how much the gaps miss their median in constant mode: every error in us; or None."""
        if c.mode != "constant":
            return None
        gaps = {load: [g for s in c.segments(load) for g in st.gaps_of(s.times)] for load in c.loads}
        every = [g for load in c.loads for g in gaps[load]]
        mid = st.quantile(sorted(every), .5)
        self.say(f"      median gap {mid:.2f} us (the relay's clock against the observer's: {1e6 * (mid * c.rate / 1e6 - 1):+.0f} ppm)")
        for load in c.loads:
            off = sorted(abs(g - mid) for g in gaps[load]) or [math.inf]
            self.say(f"      blur at {load:2} %: gaps miss it by {st.quantile(off, .5):.2f} us (median), {st.quantile(off, .9):.1f} us"
                     f" (90 %), {st.quantile(off, .99):.1f} us (99 %), {off[-1]:.0f} us (worst of {len(off)})")
        return [g - mid for g in every]

    def law(self, c, blur):
        """Poisson slots: gaps against the exponential law. What the machine does to gaps, constant slots have
        shown: exponential gaps with such errors stand a certain distance off the law, which is allowed."""
        def law(x):
            return 1 - math.exp(-max(0.0, x) * c.rate / 1e6)
        allowed = 0.0
        if blur:
            allowed = st.ks_one([max(0.0, self.rng.expovariate(c.rate) * 1e6 + self.rng.choice(blur)) for _ in range(20000)], law)
        for load in c.loads:
            gaps = [g for s in c.segments(load) for g in st.gaps_of(s.times)]
            if not gaps:
                self.check("law", False, f"{c.mode} at {load:2} %: no gaps")
                continue
            d = st.ks_one(gaps, law)
            limit = kolmogorov_limit(self.alpha / len(c.loads)) / math.sqrt(len(gaps))
            r = st.autocorrelation(gaps, 1) * math.sqrt(len(gaps))
            self.check("law", d <= limit + allowed,
                       f"{c.mode} at {load:2} %: {len(gaps)} gaps, mean {sum(gaps) / len(gaps):.1f} us: KS {d:.4f} to the"
                       f" exponential law of mean {1e6 / c.rate:.0f} us (p {st.ks_p(d, len(gaps)):.3f}), allowed {limit:.4f} +"
                       f" {allowed:.4f} for the blur; correlation of neighbours {r:+.1f} sigma")

    # --- 3: bytes ---

    def bytes(self, c):
        frames = c.frames()
        packets = [f[SPHINX:] for f in frames]
        for name, part in (("packet", packets), ("alpha", [p[:32] for p in packets]), ("gamma", [p[GAMMA] for p in packets]),
                           ("start of the payload", [p[BETA.stop:BETA.stop + 32] for p in packets])):
            again = len(part) - len(set(part))
            self.check("repeat", again == 0, f"{c.mode}: no {name} twice among {len(part)}" + (f": {again}" if again else ""))
        worst = (1.0, "")
        for load in c.loads:
            at = [p[SPHINX:] for p in c.frames(load)]
            for name, part in (("alpha", ALPHA_BYTES), ("gamma", GAMMA), ("beta", BETA), ("payload", slice(BETA.stop, None))):
                p = st.chi2_sf(st.byte_chi2(b"".join(x[part] for x in at)), 255) if at else 1.0
                worst = min(worst, (p, f"{name} at {load} %"))
        n = 4 * len(c.loads)
        self.check("bytes", worst[0] > self.alpha / n, f"{c.mode}: byte values uniform (chi-square of four fields at each load:"
                   f" least p of {n} {worst[0]:.4f}, {worst[1]})")
        worst = (1.0, "")
        for load in c.loads:
            at = [f[SPHINX:] for f in c.frames(load)]
            if not at or len(set(map(len, at))) != 1:
                continue
            # but for the last bit of alpha, which is zero in every point
            z, where, bits = st.bit_z([p[:31] + p[32:] for p in at], len(at[0]) - 1)
            p = 2 * st.normal_sf(z) * bits
            worst = min(worst, (p, f"byte {where[0] + (where[0] > 30)}, bit {where[1]} at {load} %: {z:.2f} sigma"))
        self.check("bits", worst[0] > self.alpha / len(c.loads), f"{c.mode}: every bit of the packet balanced at each load; the"
                   f" worst of all: {worst[1]} (p of the worst {min(1, worst[0]):.3f})")
        off = sum(not on_curve(f[SPHINX:SPHINX + 32]) for load in c.loads for f in c.frames(load)[:SAMPLE])
        self.check("curve", off == 0, f"{c.mode}: every alpha is a point of the curve, none of its twist: {off} off")

    # --- 4: classifiers ---

    def windows(self, c, low, high):
        """Idle (low) or busy (high)? WINDOWS of each segment; trained on every other round, tested on the rest."""
        groups = {}
        for r, row in enumerate(c.rounds):
            for s in row:
                if s.load in (low, high):
                    groups[(r, int(s.load == high))] = [window_features(w) for w in split(s)]
        truth = {g: g[1] for g in groups}
        names = ((st.Linear, "linear discriminant"), (st.Nearest, "nearest neighbours"))
        for kind, name in names:
            fold = st.TwoFold(kind, groups)
            score = fold.scores(truth)
            right, n = sum(s[0] for s in score), sum(s[1] for s in score)
            a, b = st.wilson(right, n)
            p = st.sequential_tail(st.balanced(score), lambda f=fold: f.accuracy(st.label_swaps(range(len(c.rounds)), self.rng)),
                                   self.draws)
            text = (f"{c.mode}: {low} % or {high} % by {name}: {right} of {n} windows right, {100 * right / n:.1f} %"
                    f" (95 % interval {100 * a:.1f} … {100 * b:.1f}), p {p:.4f}")
            if (low, high) == (c.loads[0], c.loads[-1]):
                self.check("windows", p > self.alpha, text)
            else:
                self.say("      " + text)

    def packets(self, c, truth, load=50, draws=100):
        """Real or cover, packet by packet: on what each packet looks like, and on when it came. Chance is not one
        half for the second: whoever knows the law of the queue knows that a slot is real rather after a long
        gap. The same classifier on labels of such a queue, fed independently at the same slots, is the
        yardstick."""
        rows, labels, slots = packet_rows(c, truth, load)
        count = Counter(y for ys in labels for y in ys)
        if min(count[0], count[1]) < 30:
            self.check("truth", False, f"{c.mode} at {load} %: {count[1]} real and {count[0]} cover packets: too few")
            return
        busy = count[1] / sum(count.values())
        self.say(f"      {c.mode} at {load} %: {count[1]} packets known to be real, {count[0]} not ({100 * busy:.1f} % real)")
        fold = st.TwoFold(st.Linear, {(r, i): [row] for r, rs in enumerate(rows) for i, row in enumerate(rs)})
        score = fold.scores(spread(labels))
        right, n = sum(s[0] for s in score), sum(s[1] for s in score)
        a, b = st.wilson(right, n)
        found = st.balanced(score)
        null = []
        for _ in range(draws):
            drawn = [st.queue_labels(self.rng, t, busy * c.rate)[-len(y):] for t, y in zip(slots, labels)]
            null.append(fold.accuracy(spread(drawn)))
        mean = sum(null) / draws
        sd = math.sqrt(sum((x - mean) ** 2 for x in null) / (draws - 1))
        z = (found - mean) / sd
        self.check("packets", st.normal_sf(z) > self.alpha,
                   f"{c.mode}: real or cover by gaps and bytes: {right} of {n} packets right (95 % interval {100 * a:.1f} …"
                   f" {100 * b:.1f} %), balanced {100 * found:.1f} %; what the law of a queue gives away {100 * mean:.1f} %"
                   f" ± {100 * sd:.1f}: {z:+.1f} sigma")
        if c.mode == "constant":
            phase = [[row[2] for rs, ys in zip(rows, labels) for row, y in zip(rs, ys) if y == k] for k in (0, 1)]
            mid = [st.quantile(sorted(x), .5) for x in phase]
            self.say(f"      place of packets in their slot (median): real {mid[1] - mid[0]:+.2f} us against cover")

    # --- all of it ---

    def link(self, c, truth=None, blur=None, deep=True):
        self.headers(c)
        self.bytes(c)
        if self.gaps(c) and deep:
            self.power(c)
        self.lateness(c)
        own_blur = self.blur(c)
        if c.mode == "poisson":
            self.law(c, blur)
        self.windows(c, c.loads[0], c.loads[-1])
        if deep and len(c.loads) > 2:
            self.windows(c, c.loads[0], c.loads[1])
        if truth is not None:
            self.packets(c, truth)
        return own_blur


def two(a, b):
    """Distance of two samples given as counts, and its p-value as if they were independent."""
    n, m = a[-1], b[-1]
    d = st.apart(st.share_curve(a), st.share_curve(b))
    return d, st.ks_p(d, n * m / (n + m)) if n and m else float(n == m)


def kolmogorov_limit(alpha):
    low, high = 0.2, 5.0
    for _ in range(60):
        mid = (low + high) / 2
        low, high = (mid, high) if st.kolmogorov_sf(mid) > alpha else (low, mid)
    return high


# --- frames ---

def log2_quantile(counts, q):
    """Of a histogram whose bucket i ends at 2^i, with even density inside each."""
    rank, seen = q * sum(counts), 0
    for i, n in enumerate(counts):
        if n and seen + n >= rank:
            low = 2 ** (i - 1) if i else 0
            return low + (2 ** i - low) * (rank - seen) / n
        seen += n
    return 0.0


def udp_sum_right(f):
    """RFC 768, over IPv4."""
    udp = f[ETHERNET + IP:]
    data = f[ETHERNET + 12:ETHERNET + 20] + struct.pack("!HH", 17, len(udp)) + udp
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s == 0xFFFF and udp[6:8] != b"\0\0"


def on_curve(alpha):
    """Has Curve25519 a point of this abscissa? Half of all numbers are of the twist: random bytes show that."""
    u = int.from_bytes(alpha, "little")
    return u < P25519 and pow((u * u * u + 486662 * u * u + u) % P25519, (P25519 - 1) // 2, P25519) == 1


def split(segment):
    """The windows of a segment: (times in ns, frames)."""
    t, f = segment.times, segment.frames
    edge = [bisect.bisect_left(t, segment.begin + (segment.end - segment.begin) * i // WINDOWS) for i in range(WINDOWS + 1)]
    return [(t[low:high], f[low:high]) for low, high in zip(edge, edge[1:])]


def window_features(window):
    times, frames = window
    gaps = st.gaps_of(times)
    order = sorted(gaps)
    mean = sum(gaps) / len(gaps) if gaps else 0.0
    sd = math.sqrt(sum((g - mean) ** 2 for g in gaps) / len(gaps)) if gaps else 0.0
    data = b"".join(f[SPHINX:] for f in frames)
    bits = len(data) * 8
    ones = int.from_bytes(data, "little").bit_count()
    return [float(len(frames)), float(sum(map(len, frames))), float(len(set(map(len, frames)))), mean, sd,
            *(st.quantile(order, q) for q in (.02, .1, .25, .5, .75, .9, .98)),
            *(st.autocorrelation(gaps, lag) for lag in (1, 2, 3)),
            (ones - bits / 2) / math.sqrt(bits / 4) if bits else 0.0, st.byte_chi2(data) if data else 0.0]


def phases(times, rate):
    """By how many us each of these slots is off the grid of constant slots that fits most of them. The grid's
    period is the relay's own, for its clock is not ours."""
    gaps = sorted(b - a for a, b in zip(times, times[1:]))
    rough = st.quantile(gaps, .5) if gaps else 1e9 / rate
    far = [(b - a) / max(1, round((b - a) / rough)) for a, b in zip(times, times[len(times) // 3:])]
    period = st.quantile(sorted(far), .5) if far else rough
    off = [((t - times[0] + period / 2) % period - period / 2) / 1000 for t in times]
    mid = st.quantile(sorted(off), .5)
    return [x - mid for x in off]


def packet_rows(c, truth, load):
    """Of each segment: features of its packets, which of them are real, and all its slots."""
    rows, labels, slots = [], [], []
    for s in c.segments(load):
        t = s.all_times
        first = max(s.first, 1)
        phase = phases(t, c.rate) if c.mode == "constant" else [0.0] * len(t)
        rs, ys = [], []
        for i in range(first, len(t) - 1):
            packet = s.all_frames[i][SPHINX:]
            ones = int.from_bytes(packet, "little").bit_count()
            rs.append([(t[i] - t[i - 1]) / 1000, (t[i + 1] - t[i]) / 1000, phase[i], float(ones), st.byte_chi2(packet),
                       float(packet[0]), float(packet[31]), float(packet[-1]), float(len(packet))])
            ys.append(int(packet[:32] in truth))
        rows.append(rs)
        labels.append(ys)
        slots.append(t[:-1])
    return rows, labels, slots


def spread(labels):
    return {(r, i): y for r, ys in enumerate(labels) for i, y in enumerate(ys)}
