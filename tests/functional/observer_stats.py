# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of an observer of one link: what observer.py judges with. Python's standard library alone.

A capture is a list of rounds; a round holds one segment for each load, in an order that was drawn at random.
That draw is what the permutation tests undo: whatever the machine does meanwhile, under the hypothesis
"the wire does not depend on the load" the loads of a round could have been drawn in any other order. Each test
is therefore exact, however the gaps depend on one another."""
import bisect
import math
import random
from array import array
from collections import Counter
from itertools import combinations, permutations
from operator import sub

GRID = 256  # thresholds of the two-sample statistic: quantiles of all gaps together


# --- laws ---

def normal_sf(z):
    return 0.5 * math.erfc(z / math.sqrt(2))


def normal_quantile(p):
    """Of the upper tail: normal_sf(normal_quantile(p)) == p."""
    low, high = -40.0, 40.0
    for _ in range(200):
        mid = (low + high) / 2
        low, high = (mid, high) if normal_sf(mid) > p else (low, mid)
    return (low + high) / 2


def kolmogorov_sf(x):
    """P(K > x) of Kolmogorov's law."""
    if x < 0.2:
        return 1.0
    if x < 1.18:  # the other series of the theta function converges here
        t = math.exp(-math.pi ** 2 / (8 * x * x))
        return max(0.0, 1 - math.sqrt(2 * math.pi) / x * (t + t ** 9 + t ** 25 + t ** 49))
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 20)))


def ks_p(d, n):
    """Of a distance at n (for two samples n·m/(n+m)) independent observations; Stephens 1970."""
    if n <= 0:
        return 1.0
    root = math.sqrt(n)
    return kolmogorov_sf((root + 0.12 + 0.11 / root) * d)


def chi2_sf(x, k):
    """Upper tail of chi-square with k degrees of freedom: the regularised incomplete gamma function."""
    a, x = k / 2, x / 2
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * 1e-16:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - total * scale)
    tiny = 1e-300  # Lentz's continued fraction
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 10000):
        an = -i * (i - a)
        b += 2
        d = 1 / ((an * d + b) or tiny)
        c = (b + an / c) or tiny
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return scale * h


def wilson(hits, n, z=1.959964):
    """Interval of a probability of which n tries hit; Wilson 1927."""
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    mid = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return mid - half, mid + half


# --- distances ---

def ks_one(sample, cdf):
    """Largest distance of a sample to a law."""
    n = len(sample)
    worst = 0.0
    for i, x in enumerate(sorted(sample)):
        f = cdf(x)
        worst = max(worst, f - i / n, (i + 1) / n - f)
    return worst


def ks_two(a, b):
    if not a or not b:
        return 1.0 if a or b else 0.0
    a, b = sorted(a), sorted(b)
    i = j = 0
    worst = 0.0
    while i < len(a) and j < len(b):
        x = min(a[i], b[j])
        while i < len(a) and a[i] == x:
            i += 1
        while j < len(b) and b[j] == x:
            j += 1
        worst = max(worst, abs(i / len(a) - j / len(b)))
    return worst


def quantile(ordered, q):
    if not ordered:
        return 0.0
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def autocorrelation(x, lag):
    n = len(x)
    if n <= lag + 1:
        return 0.0
    m = sum(x) / n
    v = sum((t - m) ** 2 for t in x)
    return sum((x[i] - m) * (x[i + lag] - m) for i in range(n - lag)) / v if v > 0 else 0.0


# --- permutation of loads within rounds ---

def share_curve(counts):
    """The empirical distribution at the thresholds; None without observations."""
    return [x / counts[-1] for x in counts] if counts[-1] else None


def apart(a, b):
    """Distance of two such distributions; a sample that is missing altogether is as far as can be."""
    if a is None or b is None:
        return float(a is not b)
    d = list(map(sub, a, b))
    return max(max(d), -min(d))


class LoadTest:
    """Largest KS distance between the gaps of any two loads. gaps[r][l] is the sample of round r at load l."""

    def __init__(self, gaps):
        pool = sorted(g for row in gaps for sample in row for g in sample)
        self.grid = sorted({quantile(pool, (i + 0.5) / GRID) for i in range(GRID)})
        self.set_table([[self.pack(sample) for sample in row] for row in gaps])

    @classmethod
    def of_histograms(cls, counts):
        """The same of histograms with common buckets."""
        test = cls.__new__(cls)
        test.grid = range(len(counts[0][0]) - 1)
        test.set_table([[test.pack_counts(list(c)) for c in row] for row in counts])
        return test

    def set_table(self, table):
        self.table, self.loads = table, len(table[0])
        self.orders = list(permutations(range(self.loads)))
        self.identity = [tuple(range(self.loads))] * len(table)

    def pack(self, sample):
        """How many gaps are at or below each threshold, and how many there are, as lanes of one integer: the
        addition of such integers adds all lanes at once."""
        counts = [0] * (len(self.grid) + 1)
        for g in sample:
            counts[bisect.bisect_left(self.grid, g)] += 1
        return self.pack_counts(counts)

    @staticmethod
    def pack_counts(counts):
        for i in range(1, len(counts)):
            counts[i] += counts[i - 1]
        return int.from_bytes(array("Q", counts).tobytes(), "little")

    def curves(self, assignment, rounds=None):
        """Counts at the thresholds for each load, when round r's segment at place l counts as assignment[r][l]."""
        total = [0] * self.loads
        for r in range(len(self.table)) if rounds is None else rounds:
            for packed, load in zip(self.table[r], assignment[r]):
                total[load] += packed
        size = 8 * (len(self.grid) + 1)
        return [array("Q", t.to_bytes(size, "little")) for t in total]

    def statistic(self, assignment):
        curves = self.curves(assignment)
        shares = [share_curve(c) for c in curves]
        return max(apart(a, b) for a, b in combinations(shares, 2))

    def draw(self, rng):
        return [self.orders[int(rng.random() * len(self.orders))] for _ in self.table]

    def null(self, rng, draws):
        """Sorted statistics of random assignments."""
        return sorted(self.statistic(self.draw(rng)) for _ in range(draws))


def tail(null, observed):
    """Share of the null distribution at or beyond the observed value, which itself counts."""
    return (1 + len(null) - bisect.bisect_left(null, observed - 1e-12)) / (1 + len(null))


def limit_of(null, alpha):
    """A statistic above this one has a tail() of at most alpha."""
    beyond = int(alpha * (len(null) + 1)) - 1  # as many of the null may lie at or above it
    if beyond < 0:
        raise ValueError("too few permutations for this alpha")
    return null[len(null) - 1 - beyond]


def sequential_tail(observed, draw, draws, enough=20):
    """The same without a sorted null: stops after `enough` draws at or beyond the observed value (Besag,
    Clifford 1991), which keeps the level exact and a test that has nothing to find short."""
    hits = 0
    for i in range(1, draws + 1):
        hits += draw() >= observed - 1e-12
        if hits == enough:
            return enough / i
    return (hits + 1) / (draws + 1)


# --- the smallest effect that could have been seen ---

def gaps_of(times):
    return [(b - a) / 1000 for a, b in zip(times, times[1:])]  # ns to us


def delayed(rng, times, share, shift_ns):
    """The same slots, a random `share` of them late: what a relay would show if real packets took longer."""
    return sorted(t + shift_ns if rng.random() < share else t for t in times)


def thinned(rng, times, share, lost):
    """The same slots without `lost` (0..1) of the share: what a relay would show if work cost it slots."""
    return [t for t in times if rng.random() >= share * lost]


class Power:
    """Injects a known leak into the captured slots, with loads drawn anew so that nothing else tells them apart.
    leak(rng, times, share, size) puts one of a size into the times of a segment whose slots are real to a share."""

    def __init__(self, rounds, shares, alpha, leak, rng):
        self.rounds, self.shares, self.alpha, self.leak, self.rng = rounds, shares, alpha, leak, rng
        self.test = LoadTest([[gaps_of(t) for t in row] for row in rounds])
        self.draws = round(1 / alpha) - 1
        null = self.test.null(rng, self.draws)
        self.stretch = limit_of(null, alpha) / quantile(null, .9)

    def inject(self, size):
        """The statistic of the captured slots with a leak of that size."""
        self.test.table = []
        for row in self.rounds:
            order = self.rng.sample(row, len(row))
            self.test.table.append([self.test.pack(gaps_of(self.leak(self.rng, t, s, size)))
                                    for t, s in zip(order, self.shares)])
        return self.test.statistic(self.test.identity)

    def seen(self, size, trials, exact=False):
        """Share of trials in which the leak is found, and their mean distance. A leak also widens what the
        permutations find: their limit is computed with it, roughly unless `exact`."""
        found = [self.inject(size) for _ in range(trials)]
        if exact:
            limit = limit_of(self.test.null(self.rng, self.draws), self.alpha)
        else:
            limit = self.stretch * quantile(self.test.null(self.rng, 100), .9)
        return sum(d > limit for d in found) / trials, sum(found) / trials

    def smallest(self, start, most, want=0.8, trials=15, confirm=40):
        """(size, power there, mean distance there) of the first size in small steps with that power; at `most`
        it gives up, with the power there."""
        low, high = start, start
        while self.seen(high, 5)[0] < want and high < most:
            low, high = high, high * 2
        size = low
        while size < high and self.seen(size, trials)[0] < want:
            size *= 1.1
        while True:
            size = min(size, most)
            power, distance = self.seen(size, confirm, exact=True)
            if power >= want or size == most:
                return size, power, distance
            size *= 1.1


# --- classifiers ---

class Scale:
    """By the mean and deviation of the training rows. A feature that never varied there says much where it does."""

    def __init__(self, rows):
        self.stats = []
        for column in zip(*rows):
            m = sum(column) / len(column)
            sd = math.sqrt(sum((x - m) ** 2 for x in column) / len(column))
            self.stats.append((m, max(sd, 1e-9 * max(1.0, abs(m)))))

    def __call__(self, rows):
        return [[max(-6.0, min(6.0, (x - m) / sd)) for x, (m, sd) in zip(row, self.stats)] for row in rows]


def inverse(a):
    n = len(a)
    m = [list(row) + [float(i == j) for j in range(n)] for i, row in enumerate(a)]
    for c in range(n):
        p = max(range(c, n), key=lambda r: abs(m[r][c]))
        m[c], m[p] = m[p], m[c]
        f = 1 / m[c][c]
        m[c] = [x * f for x in m[c]]
        for r in range(n):
            if r != c and m[r][c]:
                f = m[r][c]
                m[r] = [x - f * y for x, y in zip(m[r], m[c])]
    return [row[n:] for row in m]


def dot(a, b):
    return sum(map(float.__mul__, a, b))


def add_to(total, row):
    for i, x in enumerate(row):
        total[i] += x


class Linear:
    """Fisher's discriminant, trained on groups of rows. The labels belong to groups (segments), so that other
    labels cost little: the covariance is that of all rows together, which leads to the same direction."""

    def __init__(self, train, test):
        """train, test: {group: rows}."""
        rows = [r for group in train.values() for r in group]
        width = len(rows[0])
        scale = Scale(rows)
        z = {g: scale(rs) for g, rs in train.items()}
        cov = [[1e-3 * (i == j) for j in range(width)] for i in range(width)]
        for r in (r for rs in z.values() for r in rs):
            for i, x in enumerate(r):
                c = cov[i]
                for j in range(width):
                    c[j] += x * r[j] / len(rows)
        self.inverse = inverse(cov)
        self.sum = {}
        for g, rs in z.items():
            self.sum[g] = (len(rs), [sum(c) for c in zip(*rs)] if rs else [0.0] * width)
        self.test = {g: scale(rs) for g, rs in test.items()}
        self.width = width

    def scores(self, label):
        """Of label {group: 0, 1 or None}: (right, n) for each class of the test rows."""
        n, total = [0, 0], [[0.0] * self.width, [0.0] * self.width]
        for g, (k, s) in self.sum.items():
            if label[g] is not None:
                n[label[g]] += k
                add_to(total[label[g]], s)
        mean = [[x / max(1, k) for x in t] for k, t in zip(n, total)]
        step = [b - a for a, b in zip(*mean)]
        w = [dot(row, step) for row in self.inverse]
        cut = (dot(w, mean[0]) + dot(w, mean[1])) / 2
        out = [[0, 0], [0, 0]]
        for g, rows in self.test.items():
            y = label[g]
            if y is None:
                continue
            out[y][1] += len(rows)
            out[y][0] += sum((dot(w, r) > cut) == y for r in rows)
        return out


class Nearest:
    """Vote of the k nearest training rows. Who is near does not depend on labels."""

    def __init__(self, train, test, k=9):
        rows = [r for rs in train.values() for r in rs]
        owner = [g for g, rs in train.items() for _ in rs]
        scale = Scale(rows)
        z = scale(rows)
        self.near = {}
        for g, rs in test.items():
            self.near[g] = []
            for r in scale(rs):
                order = sorted(range(len(z)), key=lambda i: math.dist(z[i], r))
                self.near[g].append([owner[i] for i in order[:k]])

    def scores(self, label):
        out = [[0, 0], [0, 0]]
        for g, rows in self.near.items():
            y = label[g]
            if y is None:
                continue
            for owners in rows:
                vote = sum(2 * label[o] - 1 for o in owners)
                out[y][1] += 1
                out[y][0] += (vote > 0) == y
        return out


def balanced(score):
    """Mean of the shares of both classes that were told right: 0.5 is chance whatever the classes' sizes."""
    return sum(right / n if n else 0.5 for right, n in score) / 2


class TwoFold:
    """A classifier trained on even rounds and tested on odd ones, and the other way round."""

    def __init__(self, kind, groups):
        """groups: {(round, place): rows}; the labels come later."""
        halves = [{g: rows for g, rows in groups.items() if g[0] % 2 == half} for half in (0, 1)]
        self.folds = [kind(halves[0], halves[1]), kind(halves[1], halves[0])]

    def scores(self, label):
        a, b = (f.scores(label) for f in self.folds)
        return [[x + y for x, y in zip(p, q)] for p, q in zip(a, b)]

    def accuracy(self, label):
        return balanced(self.scores(label))


def label_swaps(rounds, rng):
    """Labels of two segments for each round, in random order."""
    label = {}
    for r in rounds:
        first = rng.random() < 0.5
        label[(r, 0)], label[(r, 1)] = int(first), int(not first)
    return label


# --- bytes ---

def byte_chi2(data):
    """Chi-square of the byte values against the uniform law, 255 degrees of freedom."""
    expected = len(data) / 256
    count = Counter(data)
    return sum((count[v] - expected) ** 2 for v in range(256)) / expected


def bit_z(packets, size):
    """Largest |z| of any bit position over the packets, with that position, and how many positions there are."""
    n = len(packets)
    joined = b"".join(packets)
    masks = [int.from_bytes(bytes([1 << b]) * n, "little") for b in range(8)]
    worst, where = 0.0, None
    for i in range(size):
        column = int.from_bytes(joined[i::size], "little")
        for b in range(8):
            z = abs((column & masks[b]).bit_count() - n / 2) / math.sqrt(n / 4)
            if z > worst:
                worst, where = z, (i, b)
    return worst, where, size * 8


# --- the queue of an honest shaper ---

def queue_labels(rng, times, rate):
    """Which of these slots carry a real packet, when packets of `rate` a second arrive independently of the slots
    and each slot takes one: the law of real-or-cover that any shaper has, and no implementation can hide."""
    label, waiting = [], 0
    at = times[0] + rng.expovariate(rate) * 1e9
    for t in times:
        while at <= t:
            waiting += 1
            at += rng.expovariate(rate) * 1e9
        label.append(int(waiting > 0))
        waiting -= waiting > 0
    return label

