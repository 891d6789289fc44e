#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The tools of perf/ on data whose truth is known: statistics, perf-compare, the report. With result files
as arguments (A.json B.json FAULT.json of one session): that perf-compare finds the slowed stage in the third
and nothing between the first two."""
import io
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from contextlib import redirect_stdout

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "perf"))
import compare  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import stats  # noqa: E402
import svg  # noqa: E402


def figure(name, runs, better="lower", unit="ns", **labels):
    return {"name": name, "labels": labels, "unit": unit, "better": better, "program": "x", "runs": runs}


def document(figures, session=None, **more):
    environment = {k: "same" for k in compare.ENVIRONMENT}
    environment.update(git="0123456789", git_hash="0123456789", git_dirty=False, cores=2)
    busy = {"quiet": True, "text": "quiet: nothing else ran", "others_percent": 0, "steal_percent": 0}
    return {"format": "betanet-perf 1", "date": "2026-11-23T00:00:00+00:00", "session": session, "build": "build",
            "quick": False, "settings": {"runs": None}, "environment": environment, "noise": busy, "failed": [],
            "programs": [{"name": "x", "runs": [{"seconds": 1.0, "load_average": 0.1, "others_percent": 0.0,
                                                 "steal_percent": 0.0, "status": 0}]}], "figures": figures, **more}


def normal(rng):
    return rng.gauss(0, 0.03)


def spiky(rng):
    """Other programs take the core in one run of five, for up to twice the time."""
    return rng.gauss(0, 0.02) + (rng.random() < 0.2) * rng.random() * 0.7


def drifting(rng, step):
    return 0.1 * step + rng.gauss(0, 0.02)


def family(rng, noise, runs, figures=40, factor=None):
    out = []
    for i in range(figures):
        f = (factor or {}).get(i, 1.0)
        out.append(figure(f"f{i}", [[100.0 * f * math.exp(noise(rng)) * (1 + rng.gauss(0, 0.01)) for _ in range(3)]
                                    for _ in range(runs)]))
    return out


def false_alarms(noise, runs, session, families=250):
    rng = random.Random(7)
    count = 0
    for _ in range(families):
        rows, _ = compare.compare(document(family(rng, noise, runs), session),
                                  document(family(rng, noise, runs), session))
        count += any(r["differs"] for r in rows)
    return count / families


# ---- tests: each function is one

def student_p_is_that_of_the_tables():
    for t, df, p in ((12.706, 1, 0.05), (2.228, 10, 0.05), (3.169, 10, 0.01), (1.96, 1e6, 0.05), (0, 5, 1)):
        assert abs(stats.student_p(t, df) - p) < 3e-4, (t, df, stats.student_p(t, df))


def incomplete_beta_is_that_of_known_cases():
    # I_x(1, b) = 1 - (1-x)^b; I_x(a, b) = 1 - I_{1-x}(b, a); I_1/2(a, a) = 1/2
    for x in (0.01, 0.3, 0.9):
        assert abs(stats.incomplete_beta(1, 3, x) - (1 - (1 - x) ** 3)) < 1e-12
        assert abs(stats.incomplete_beta(2.5, 4, x) - 1 + stats.incomplete_beta(4, 2.5, 1 - x)) < 1e-12
    assert abs(stats.incomplete_beta(7, 7, 0.5) - 0.5) < 1e-12


def holm_adjusts_by_rank_and_keeps_the_order():
    got = stats.holm([0.01, 0.04, 0.03, 0.005])
    assert [round(p, 9) for p in got] == [0.03, 0.06, 0.06, 0.02], got


def bootstrap_interval_holds_the_true_ratio_and_repeats_itself():
    rng, inside = random.Random(3), 0
    for _ in range(60):
        a, b = family(rng, normal, 8, 1)[0]["runs"], family(rng, normal, 8, 1, {0: 1.2})[0]["runs"]
        low, high = stats.bootstrap_ratio(a, b, rounds=400)
        inside += low <= 1.2 <= high
    assert inside >= 54, inside
    assert stats.bootstrap_ratio(a, b, rounds=200) == stats.bootstrap_ratio(a, b, rounds=200)


def alike_builds_raise_less_than_one_false_alarm_in_a_hundred():
    for noise in (normal, spiky):
        for runs, session in ((3, None), (5, None), (8, "s")):
            rate = false_alarms(noise, runs, session)
            assert rate < 0.01, (noise.__name__, runs, session, rate)


def drift_that_meets_both_builds_is_no_difference():
    rng = random.Random(11)
    for _ in range(100):
        a, b = ([figure("f", [[100 * math.exp(drifting(rng, step))] for step in range(8)])] for _ in range(2))
        rows, _ = compare.compare(document(a, "s"), document(b, "s"))
        assert not rows[0]["differs"] and rows[0]["paired"]


def slowdown_of_a_tenth_is_found_and_only_that():
    rng = random.Random(5)
    for runs, session in ((5, None), (8, "s")):
        found = others = 0
        for _ in range(40):
            rows, _ = compare.compare(document(family(rng, lambda r: r.gauss(0, 0.01), runs), session),
                                      document(family(rng, lambda r: r.gauss(0, 0.01), runs, 40, {17: 1.15}), session))
            by_key = {r["key"]: r for r in rows}
            found += by_key["f17"]["worse"]
            others += sum(r["differs"] for r in rows) - by_key["f17"]["differs"]
        assert found >= 36 and others == 0, (runs, found, others)


def drift_does_not_hide_a_slowdown_of_interleaved_builds():
    rng = random.Random(13)
    a = [figure("f", [[100 * math.exp(drifting(rng, step))] for step in range(8)])]
    b = [figure("f", [[130 * math.exp(drifting(rng, step))] for step in range(8)])]
    assert compare.compare(document(a, "s"), document(b, "s"))[0][0]["worse"]
    assert not compare.compare(document(a), document(b))[0][0]["differs"]


def more_is_better_where_the_figure_says_so():
    fast, slow = [[200.0 + i] for i in range(5)], [[100.0 + i] for i in range(5)]
    for better, worse in (("lower", False), ("higher", True)):
        rows, _ = compare.compare(document([figure("f", fast, better)]), document([figure("f", slow, better)]))
        assert rows[0]["differs"] and rows[0]["worse"] == worse, better


def difference_below_the_smallest_effect_is_not_reported():
    a, b = [[100.0 + i * 1e-6] for i in range(5)], [[101.0 + i * 1e-6] for i in range(5)]
    assert not compare.compare(document([figure("f", a)]), document([figure("f", b)]))[0][0]["differs"]
    assert compare.compare(document([figure("f", a)]), document([figure("f", b)]), min_effect=0.005)[0][0]["differs"]


def figures_that_cannot_be_judged_are_counted_with_the_reason():
    a = document([figure("few", [[1.0], [1.0]]), figure("gone", [[1.0]] * 3), figure("shown", [[1.0]] * 3, "none")])
    b = document([figure("few", [[2.0], [2.0]]), figure("new", [[1.0]] * 3), figure("shown", [[9.0]] * 3, "none")])
    rows, skipped = compare.compare(a, b)
    assert not rows
    assert skipped == {"few": "fewer than 3 runs", "gone": "only in A", "new": "only in B"}, skipped


def figures_without_spread_or_at_zero_are_compared():
    for x, y, differs in ((2547.0, 2547.0, False), (2547.0, 3000.0, True), (0.0, 0.0, False)):
        rows, _ = compare.compare(document([figure("f", [[x]] * 3)]), document([figure("f", [[y]] * 3)]))
        assert rows[0]["differs"] == differs, (x, y)


def compare_files(a, b, *more):
    with tempfile.TemporaryDirectory() as d:
        paths = [os.path.join(d, n) for n in ("a.json", "b.json")]
        for path, doc in zip(paths, (a, b)):
            with open(path, "w") as f:
                f.write(doc if isinstance(doc, str) else json.dumps(doc))
        r = subprocess.run([sys.executable, os.path.join(ROOT, "perf", "compare.py"), *paths, *more],
                           capture_output=True, text=True)
        return r.returncode, r.stdout + r.stderr


def exit_status_is_zero_unless_regressions_shall_fail():
    good, bad = document([figure("f", [[100.0 + i] for i in range(5)])]), document(
        [figure("f", [[150.0 + i] for i in range(5)])])
    status, text = compare_files(good, good)
    assert status == 0 and "nothing exceeds the noise" in text, text
    status, text = compare_files(good, bad)
    assert status == 0 and "WORSE" in text and "1 differ" in text, text
    assert compare_files(good, bad, "--fail-on-regression")[0] == 1
    assert compare_files(bad, good, "--fail-on-regression")[0] == 0
    assert compare_files(good, "{}")[0] == 2
    assert compare_files(good, "no json")[0] == 2


def another_compiler_or_a_busy_machine_is_mentioned():
    a, b = document([figure("f", [[1.0]] * 3)]), document([figure("f", [[1.0]] * 3)])
    b["environment"]["compiler"] = "another"
    b["noise"]["quiet"] = False
    text = compare_files(a, b)[1]
    assert "compiler differs" in text and "busy machine" in text and "different times" in text, text


def lines_of_a_program_that_are_malformed_stop_the_run():
    good = {"name": "a", "unit": "ns", "better": "lower", "labels": {}, "values": [1.0]}
    for change in ({"values": [None]}, {"values": []}, {"better": "more"}, {"labels": None}, {"unit": 3}):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
            f.write(json.dumps(dict(good, **change)) + "\n")
            f.flush()
            try:
                run.read_figures(f.name, "x")
            except ValueError as e:
                assert "malformed" in str(e)
            else:
                raise AssertionError(f"{change} was taken")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        f.write(json.dumps(good) + "\n" + json.dumps(dict(good, values=[], note="not run")) + "\n")
        f.flush()
        assert len(run.read_figures(f.name, "x")) == 2


def full_document():
    """A figure for every section of the report."""
    rng = random.Random(1)
    v = {"ports": "virtual", "workers": "1"}

    def runs(x, n=3):
        return [[x * rng.uniform(0.97, 1.03) for _ in range(3)] for _ in range(n)]

    figures = [figure("pipeline.stage", runs(c), unit="cycles/packet", stage=s, **v) for s, c in
               (("receive", 50), ("parse", 90), ("open", 11000), ("finish", 6000), ("route", 150), ("transmit", 80))]
    figures += [figure("pipeline.throughput", runs(140000.0 * w), "higher", "packets/s", ports="virtual", workers=str(w))
                for w in (1, 2, 4)]
    figures += [dict(figure("pipeline.without_sphinx", runs(900), ports="virtual"), floor=1000, goal=400)]
    figures += [figure("sweep.throughput", runs(1000 * b), "higher", "packets/s", batch=str(b), **v) for b in (1, 16, 128)]
    figures += [dict(figure("sweep.throughput", [], "higher", batch="256", **v), note="batch_size = 256: <allowed> is 1 to 128")]
    figures += [figure("sweep.throughput", runs(9e7 / p), "higher", "packets/s", payload=str(p), **v) for p in (128, 1024, 8192)]
    for load in (10, 50, 90, 100, 110, 150):
        for name, y in (("offered", 1400 * load), ("received", min(1400 * load, 142000)), ("loss", max(0, load - 101))):
            figures.append(figure(f"search.{name}", [[float(y)]] * 3, "none", load=str(load), **v))
        figures += [figure("search.latency", [[2.0 * load + 10 * i]] * 3, load=str(load), percentile=p, **v)
                    for i, p in enumerate(("50", "90", "99", "99.9", "100"))]
        figures.append(figure("search.latency_mean", [[2.0 * load]] * 3, load=str(load), **v))
    figures += [figure("search.ndr", [[140000.0], [141000.0], [139500.0]], "higher", **v),
                figure("search.pdr", [[143000.0]] * 3, "higher", **v)]
    figures += [figure("kernel", runs(t), subject="x25519", kernel=k, role=r) for k, r, t in
                (("libsodium", "oracle", 29000), ("avx2-fma", "vector", 7600), ("openssl", "openssl", 33000))]
    figures += [figure(n, [[2547.0]] * 3, unit="bytes", payload="1024") for n in (
        "memory.parked_packet", "memory.parked_packet_resident", "memory.growth_while_parked", "memory.replay_tag")]
    return document(figures)


SECTIONS = ("Targets", "What the README says", "Throughput against offered load", "Latency against offered load",
            "Where the cycles go", "Scaling with workers", "Batch size", "Payload size", "Kernels against their oracles",
            "Memory for a parked packet", "Environment", "How busy the machine was")


def check_page(text, sections):
    """Well-formed, self-contained, every drawn thing inside its picture."""
    root = ET.fromstring(text.replace("<!DOCTYPE html>", "", 1))
    for forbidden in ("http:", "https:", "<script", "src=", "href=", "@import", "url(", "NaN", "nan"):
        assert forbidden not in text, forbidden
    titles = [h.text for h in root.iter("h2")]
    assert set(sections) <= set(titles), set(sections) - set(titles)
    pictures = list(root.iter("svg"))
    for picture in pictures:
        _, _, width, height = map(float, picture.get("viewBox").split())
        for e in picture.iter():
            for attribute, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height),
                                     ("y1", height), ("y2", height), ("cy", height)):
                if e.get(attribute) is not None:
                    assert -1 <= float(e.get(attribute)) <= limit + 1, (e.tag, attribute, e.get(attribute))
            for pair in (e.get("points") or "").split():
                x, y = map(float, pair.split(","))
                assert -1 <= x <= width + 1 and -1 <= y <= height + 1, (x, y)
    return pictures


def report_is_one_wellformed_page_with_every_section():
    text = report.page(full_document())
    assert len(check_page(text, SECTIONS)) >= 8
    assert "Virtual ports" in text and "&lt;allowed&gt;" in text


def report_of_nothing_and_of_a_busy_machine_opens():
    doc = document([])
    doc["noise"].update(quiet=False, text="busy: <others>")
    doc["failed"] = ["perf_x, run 1 of 1: status 1"]
    text = report.page(doc)
    check_page(text, ("Environment",))
    assert "Do not publish" in text and "&lt;others&gt;" in text and "status 1" in text


def verdicts_follow_floor_and_goal():
    for value, better, want in ((300, "lower", "goal reached"), (900, "lower", "floor reached"),
                                (1100, "lower", "floor missed"), (1100, "higher", "goal reached"),
                                (300, "higher", "floor missed")):
        floor, goal = (1000, 400) if better == "lower" else (400, 1000)
        doc = document([dict(figure("t", [[float(value)]], better), floor=floor, goal=goal)])
        assert want in report.page(doc), (value, better)


def axes_have_ticks_on_both_sides_of_the_data():
    for values, log in (([3, 97], False), ([0.19, 0.21], False), ([45, 57000], True), ([140, 150], True), ([0], False)):
        s = svg.Scale(values, 0, 100, log)
        assert len(s.ticks) >= 2 and s.min <= min(values) and s.max >= max(values), (values, s.ticks)
        assert all(-1e-9 <= s(v) <= 100 + 1e-9 for v in values + s.ticks)


# ---- real results of one interleaved session

def complete(doc):
    """Every stage, with units and virtual ports said, and an environment."""
    names = {f["labels"].get("stage") for f in doc["figures"] if f["name"] == "pipeline.stage"}
    assert {"receive", "parse", "open", "replay", "finish", "route", "delay", "due", "transmit"} <= names, names
    for f in doc["figures"]:
        assert f["labels"].get("ports") == "virtual" and f["unit"] and f["better"] in ("lower", "higher", "none"), f
        assert f["better"] == "none" or len(f["runs"]) == doc["settings"]["runs"], f["name"]
    e = doc["environment"]
    for field in (*compare.ENVIRONMENT, "cpu_flags", "git", "microcode"):
        assert e.get(field) not in (None, "", []), field
    assert re.fullmatch(r"[0-9a-f]{10}(\+changes)?|unknown", e["git"]), e["git"]
    assert {"others_percent", "steal_percent", "text"} <= set(doc["noise"])
    assert not doc["failed"]
    check_page(report.page(doc), ("Targets", "Where the cycles go", "Environment"))


def real(paths):
    a, b, fault = (compare.load(p) for p in paths)
    text = io.StringIO()
    with redirect_stdout(text):
        compare.main([paths[0], paths[2], "--all"])

    def results_are_complete():
        for doc in (a, b, fault):
            complete(doc)

    def identical_builds_do_not_differ():
        rows, _ = compare.compare(a, b)
        assert len(rows) > 8 and not [r for r in rows if r["differs"]], [compare.show(r) for r in rows if r["differs"]]
        assert "nothing exceeds the noise" in compare_files(a, b)[1]

    def slowed_stage_is_found():
        rows = {r["key"]: r for r in compare.compare(a, fault, intervals=True)[0]}
        assert rows["pipeline.stage{ports=virtual,stage=route}"]["worse"], "\n" + text.getvalue()

    def no_other_stage_is_blamed():
        # by a little another stage may well be slower: the programs lie differently in memory
        blamed = [r["key"] for r in compare.compare(a, fault, min_effect=0.3)[0]
                  if r["worse"] and r["key"].startswith("pipeline.stage{") and "route" not in r["key"]]
        assert not blamed, blamed

    return [results_are_complete, identical_builds_do_not_differ, slowed_stage_is_found, no_other_stage_is_blamed]


SYNTHETIC = [student_p_is_that_of_the_tables, incomplete_beta_is_that_of_known_cases,
             holm_adjusts_by_rank_and_keeps_the_order, bootstrap_interval_holds_the_true_ratio_and_repeats_itself,
             alike_builds_raise_less_than_one_false_alarm_in_a_hundred, drift_that_meets_both_builds_is_no_difference,
             slowdown_of_a_tenth_is_found_and_only_that, drift_does_not_hide_a_slowdown_of_interleaved_builds,
             more_is_better_where_the_figure_says_so, difference_below_the_smallest_effect_is_not_reported,
             figures_that_cannot_be_judged_are_counted_with_the_reason, figures_without_spread_or_at_zero_are_compared,
             exit_status_is_zero_unless_regressions_shall_fail, another_compiler_or_a_busy_machine_is_mentioned,
             lines_of_a_program_that_are_malformed_stop_the_run, report_is_one_wellformed_page_with_every_section,
             report_of_nothing_and_of_a_busy_machine_opens, verdicts_follow_floor_and_goal,
             axes_have_ticks_on_both_sides_of_the_data]


def main():
    tests = real(sys.argv[1:4]) if len(sys.argv) > 3 else SYNTHETIC
    failed = 0
    for test in tests:
        try:
            test()
            print(f"ok: {test.__name__.replace('_', ' ')}")
        except AssertionError as e:
            failed += 1
            print(f"FAILED: {test.__name__.replace('_', ' ')}: {e}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
