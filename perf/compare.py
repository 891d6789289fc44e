#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which figures of two result files (perf/run.py) differ by more than the noise.

A difference is reported when all of this holds:
  - both sides have at least 3 runs of the program;
  - a t test on the logarithms of the runs' medians (paired when both files come from one interleaved
    session, Welch's otherwise) gives p < alpha after Holm's correction for the number of figures: when
    nothing differs, the chance of any report at all is below alpha (1 %);
  - the bootstrap interval (99 %, fixed seed) of the ratio of medians does not hold 1;
  - the ratio differs from 1 by more than --min-effect (2 %).
Exit status 0 whatever is found, 2 when the files cannot be compared; with --fail-on-regression 1 when
something became worse."""
import argparse
import json
import math
import sys

import stats

LEAST_RUNS = 3


def load(path):
    with open(path) as f:
        doc = json.load(f)
    if doc.get("format") != "betanet-perf 1":
        raise ValueError(f"{path}: not a result file of perf/run.py")
    return doc


def key(figure):
    labels = ",".join(f"{k}={v}" for k, v in sorted(figure["labels"].items()))
    return f"{figure['name']}{{{labels}}}" if labels else figure["name"]


def observations(runs):
    """One number for each run, on a logarithmic scale where that is possible."""
    return [stats.median(r) for r in runs]


def compare(a, b, alpha=0.01, min_effect=0.02, intervals=False):
    """Returns (rows, skipped): a row for each figure that can be judged, a reason for each that cannot."""
    theirs = {key(f): f for f in b["figures"]}
    rows, skipped = [], {}
    together = a.get("session") is not None and a.get("session") == b.get("session")
    for f in a["figures"]:
        k, g = key(f), theirs.pop(key(f), None)
        if f["better"] == "none":
            continue
        if g is None or not f["runs"] or not g["runs"]:
            skipped[k] = "only in A" if g is None or not g["runs"] else "only in B"
            continue
        if min(len(f["runs"]), len(g["runs"])) < LEAST_RUNS:
            skipped[k] = f"fewer than {LEAST_RUNS} runs"
            continue
        x, y = observations(f["runs"]), observations(g["runs"])
        scale = math.log if min(x + y) > 0 else float
        paired = together and len(x) == len(y)
        test = stats.paired_p if paired else stats.welch_p
        mx, my = stats.median(x), stats.median(y)
        rows.append({"key": k, "unit": f["unit"], "better": f["better"], "a": mx, "b": my,
                     "ratio": my / mx if mx else (1.0 if my == mx else math.inf), "paired": paired,
                     "p": test([scale(v) for v in x], [scale(v) for v in y]),
                     "runs": (f["runs"], g["runs"])})
    skipped.update({k: "only in B" for k, g in theirs.items() if g["better"] != "none"})
    for row, p in zip(rows, stats.holm([r["p"] for r in rows])):
        row["p_adjusted"] = p
        row["interval"] = None
        likely = p < alpha and abs(row["ratio"] - 1) > min_effect
        if likely or intervals:
            row["interval"] = stats.bootstrap_ratio(*row["runs"], paired=row["paired"], seed=row["key"])
        low, high = row["interval"] or (math.nan, math.nan)
        row["differs"] = likely and (not low <= 1 <= high)
        row["worse"] = row["differs"] and (row["ratio"] > 1) == (row["better"] == "lower")
    return rows, skipped


ENVIRONMENT = ("cpu_model", "cores", "governor", "kernel", "compiler", "compiler_flags", "dpdk", "libsodium",
               "ipsec_mb")


def warnings(a, b):
    """Reasons why a difference may come from something else than the programs."""
    out = []
    for k in ENVIRONMENT:
        x, y = a["environment"].get(k), b["environment"].get(k)
        if x != y:
            out.append(f"{k} differs: {x} / {y}")
    for name, doc in (("A", a), ("B", b)):
        if not doc["noise"]["quiet"]:
            out.append(f"{name} was measured on a busy machine: {doc['noise']['text']}")
    if a.get("quick") != b.get("quick"):
        out.append("one of them was made with QUICK=1, the other was not")
    if a.get("session") is None or a.get("session") != b.get("session"):
        out.append("measured at different times: what changed in the machine in between counts as a "
                   "difference; perf/run.py --build A --build B takes turns")
    return out


def number(v):
    return f"{v:.4g}" if abs(v) < 10000 else f"{v:,.0f}"


def show(row):
    low, high = row["interval"]
    verdict = "WORSE" if row["worse"] else "better" if row["differs"] else ""
    return (f"  {verdict:<6} {row['key']:<58} {number(row['a']):>10} -> {number(row['b']):>10} {row['unit']:<14}"
            f" x{row['ratio']:.3f} [{low:.3f}, {high:.3f}]  p {row['p_adjusted']:.1g}")


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("a", metavar="A.json")
    ap.add_argument("b", metavar="B.json")
    ap.add_argument("--alpha", type=float, default=0.01, help="chance of a false report (default 0.01)")
    ap.add_argument("--min-effect", type=float, default=0.02, help="smallest ratio - 1 (default 0.02)")
    ap.add_argument("--all", action="store_true", help="show every figure with its interval")
    ap.add_argument("--fail-on-regression", action="store_true", help="exit status 1 if a figure became worse")
    o = ap.parse_args(argv)
    try:
        a, b = load(o.a), load(o.b)
    except (OSError, ValueError) as e:
        print(f"perf-compare: {e}", file=sys.stderr)
        return 2
    rows, skipped = compare(a, b, o.alpha, o.min_effect, o.all)
    for name, doc in (("A", a), ("B", b)):
        print(f"{name}: {doc['environment']['git']}  {doc['date']}  {doc['build']}")
    for w in warnings(a, b):
        print(f"note: {w}")
    found = [r for r in rows if r["differs"]]
    for r in sorted(rows if o.all else found, key=lambda r: (not r["worse"], not r["differs"], r["key"])):
        print(show(r))
    reasons = {}
    for why in skipped.values():
        reasons[why] = reasons.get(why, 0) + 1
    if not rows:
        print("no figure could be compared")
    elif not found:
        print("nothing exceeds the noise")
    print(f"{len(rows)} figures compared, {len(found)} differ"
          + "".join(f"; {n} not compared: {why}" for why, n in sorted(reasons.items())))
    return 1 if o.fail_on_regression and any(r["worse"] for r in found) else 0


if __name__ == "__main__":
    sys.exit(main())
