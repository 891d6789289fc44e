# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of repeated measurements; python3's standard library only.

A benchmark is run several times as a process of its own, and repeats its measurement within each run.
What differs between two processes (where memory lies, what else ran then) does not average out within
one, so a run counts as one observation: the median of its repeats."""
import math
import random

TINY = 1e-300


def median(values):
    v = sorted(values)
    n = len(v)
    return (v[(n - 1) // 2] + v[n // 2]) / 2


def quantile(values, q):
    v = sorted(values)
    at = q * (len(v) - 1)
    low = math.floor(at)
    return v[low] + (v[min(low + 1, len(v) - 1)] - v[low]) * (at - low)


def spread(values):
    """Half of the interquartile range, as a share of the median."""
    m = median(values)
    return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / abs(m) if m else 0.0


def _beta_fraction(a, b, x):
    # continued fraction of the incomplete beta function by Lentz's method (DLMF 8.17.22)
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), TINY)
    h = d
    for m in range(1, 300):
        for num in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                    -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 + num * d
            d = 1 / (d if abs(d) > TINY else TINY)
            c = 1 + num / (c if abs(c) > TINY else TINY)
            h *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return h


def incomplete_beta(a, b, x):
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def student_p(t, df):
    """Two-sided p of Student's t."""
    return incomplete_beta(df / 2, 0.5, df / (df + t * t)) if math.isfinite(t) else 0.0


def _mean_var(v):
    m = sum(v) / len(v)
    return m, sum((x - m) ** 2 for x in v) / (len(v) - 1)


def _p(difference, variance, df):
    if variance <= (1e-12 * max(1.0, abs(difference))) ** 2:
        # figures without any spread, such as bytes: any difference is one
        return 1.0 if abs(difference) < 1e-9 else 0.0
    return student_p(difference / math.sqrt(variance), df)


def welch_p(a, b):
    """Welch's test for two samples whose variances may differ."""
    (ma, va), (mb, vb) = _mean_var(a), _mean_var(b)
    va, vb = va / len(a), vb / len(b)
    total = va + vb
    df = total ** 2 / (va ** 2 / (len(a) - 1) + vb ** 2 / (len(b) - 1)) if total > 0 else 1
    return _p(mb - ma, total, df)


def paired_p(a, b):
    """The same for pairs that were measured together, so that what both meet drops out."""
    m, v = _mean_var([y - x for x, y in zip(a, b)])
    return _p(m, v / len(a), len(a) - 1)


def holm(p):
    """p-values adjusted for their number (Holm 1979): below alpha with a chance of at most alpha for any
    of them, however many there are, when there is no difference at all."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, worst = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, p[i] * (len(p) - rank)))
        adjusted[i] = worst
    return adjusted


def bootstrap_ratio(a, b, paired=False, level=0.99, rounds=2000, seed="betanet"):
    """Interval of the ratio of medians, b over a; a and b are lists of runs, which are lists of repeats.
    Resamples runs, then the repeats within each, with a fixed seed."""
    rng = random.Random(str(seed))
    ratios = []

    def draw(run):
        return median(rng.choices(run, k=len(run))) if len(run) > 1 else run[0]

    for _ in range(rounds):
        if paired:
            pick = rng.choices(range(len(a)), k=len(a))
            x, y = median([draw(a[i]) for i in pick]), median([draw(b[i]) for i in pick])
        else:
            x = median([draw(r) for r in rng.choices(a, k=len(a))])
            y = median([draw(r) for r in rng.choices(b, k=len(b))])
        if x:
            ratios.append(y / x)
    if not ratios:
        return math.nan, math.nan
    return quantile(ratios, (1 - level) / 2), quantile(ratios, (1 + level) / 2)
