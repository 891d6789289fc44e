#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the benchmarks of a build and gathers their figures into BUILD/perf/results/DATE-GIT.json (and
BUILD/perf/report.html). With several --build, takes turns: a run of each, then the next run of each, so
that a drift of the machine meets them all; then says what differs between the first and each other."""
import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

import compare
import environment
import report
import stats

# name: arguments, runs, runs with --quick, on one core. A program that is not named here is run as OTHER.
# Runs are processes: each counts as one observation for perf-compare.
PLAN = {
    "kernels": ([], 5, 1, True),
    "x25519": ([], 3, 1, True),
    "symmetric": ([], 1, 1, True),
    "unwrap": ([], 5, 1, True),
    "unwrap_burst": ([], 3, 1, True),
    "build_burst": ([], 5, 1, True),
    "delay": ([], 5, 1, True),
    "replay": ([], 3, 1, True),
    "wheel": ([], 3, 1, True),
    "vrf": ([], 3, 1, True),
    "pipeline": ([], 5, 2, False),
    "sweep": ([], 3, 1, False),
    "memory": ([], 3, 1, False),
    "load": ([], 3, 1, False),
    "cover": ([], 3, 1, False),
    "slots": ([], 3, 1, False),
    "search": ([], 3, 1, False),
    "testpmd": ([], 1, 1, False),
    "dudect": ([], 1, 0, True),
}
OTHER = ([], 3, 1, False)
FIELDS = {"name": str, "unit": str, "better": str, "labels": dict, "values": list}


def known(build):
    """The programs there are, in the plan's order, then the others by name."""
    folder = os.path.join(build, "perf")
    found = sorted(f[len("perf_"):] for f in (os.listdir(folder) if os.path.isdir(folder) else [])
                   if f.startswith("perf_") and "." not in f and os.access(os.path.join(folder, f), os.X_OK))
    return [n for n in PLAN if n in found] + [n for n in found if n not in PLAN]


def pin():
    """To the last core: the first often has the interrupts."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def read_figures(path, program):
    """The lines that a program wrote; a malformed one is an error, not skipped."""
    figures = []
    with open(path) as f:
        for number, line in enumerate(f, 1):
            try:
                r = json.loads(line)
                for field, kind in FIELDS.items():
                    if not isinstance(r[field], kind):
                        raise ValueError(f"{field} is no {kind.__name__}")
                if r["better"] not in ("lower", "higher", "none"):
                    raise ValueError(f"better = {r['better']!r}")
                if not r["values"] and not r.get("note"):
                    raise ValueError("neither values nor a note why there are none")
                if not all(isinstance(v, (int, float)) for v in r["values"]):
                    raise ValueError("a value that is no number")
            except (ValueError, KeyError) as e:
                raise ValueError(f"perf_{program}: figure {number} is malformed: {e}: {line.strip()}") from None
            figures.append(r)
    return figures


class Session:
    """The results of one build."""

    def __init__(self, build, names, args):
        program = os.path.join(build, "perf", f"perf_{names[0]}")
        self.build, self.programs, self.figures, self.failed = build, {}, {}, []
        self.doc = {"format": "betanet-perf 1",
                    "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                    "session": args.session, "build": build, "quick": args.quick,
                    "settings": {"runs": args.runs, "programs": names,
                                 "program_arguments": args.argument, "cores_allowed":
                                 sorted(os.sched_getaffinity(0))},
                    "environment": environment.environment(build, program)}

    def execute(self, name, args):
        """One process: (exit status, what it printed, its figures, noise)."""
        arguments, _, _, pinned = PLAN.get(name, OTHER)
        with tempfile.TemporaryDirectory(prefix="perf-") as folder:
            # A fresh copy for each run, under a name of one length: where in memory the system put a file is
            # the same for all processes that run it, and shows in a stage of some ten cycles; so does a
            # longer path.
            path, program = os.path.join(folder, "figures"), os.path.join(folder, "program")
            shutil.copy(os.path.join(self.build, "perf", f"perf_{name}"), program)
            open(path, "w").close()
            env = dict(os.environ, BUILD=self.build, PERF_JSON=path, PERF_QUICK="1" if args.quick else "0")
            noise = environment.Noise()
            try:
                done = subprocess.run([program, *(args.argument or arguments)], env=env, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, errors="replace",
                                      timeout=args.timeout, preexec_fn=pin if pinned else None)
                status, text = done.returncode, done.stdout
            except subprocess.TimeoutExpired:
                status, text = -1, f"ended after {args.timeout} s"
            noise = noise.stop()
            return status, text, read_figures(path, name), noise

    def run(self, name, number, total, args, show):
        try:
            status, text, figures, noise = self.execute(name, args)
        except ValueError as e:
            self.failed.append(str(e))
            print(e)
            return None
        if show or status != 0:
            print(text.rstrip())
        if status != 0:
            print(f"perf_{name} ended with status {status}")
            self.failed.append(f"perf_{name}, run {number + 1} of {total}: status {status}")
        for r in figures:
            f = self.figures.setdefault(compare.key(r), {n: r[n] for n in ("name", "labels", "unit", "better")}
                                        | {"program": name, "runs": []})
            f.update({n: r[n] for n in ("floor", "goal", "note") if n in r})
            if r["values"]:
                f["runs"].append(r["values"])
        self.programs.setdefault(name, []).append(dict(noise, status=status))
        return noise

    def finish(self):
        parts = [r for runs in self.programs.values() for r in runs]
        self.doc.update({"noise": environment.summary(parts), "failed": self.failed,
                         "programs": [{"name": n, "runs": r} for n, r in self.programs.items()],
                         "figures": list(self.figures.values())})
        return self.doc


def write(doc, path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".tmp", "w") as f:
        json.dump(doc, f, indent=1)
    os.replace(path + ".tmp", path)


def measure(args, sessions, names):
    """All runs; builds in turns, in an order that alternates."""
    for name in names:
        _, runs, quick, _ = PLAN.get(name, OTHER)
        total = args.runs or (quick if args.quick else runs)
        if not total:
            continue
        print(f"\n=== {name} ===", flush=True)
        for number in range(total):
            turn = sessions if number % 2 == 0 else sessions[::-1]
            for s in turn:
                noise = s.run(name, number, total, args, show=number == 0 and s is sessions[0] and not args.terse)
                if noise and (number or len(sessions) > 1 or args.terse):
                    where = f" of {s.build}" if len(sessions) > 1 else ""
                    print(f"  run {number + 1} of {total}{where}: {noise['seconds']:.1f} s, others "
                          f"{noise['others_percent']:.0f} %", flush=True)


def print_searches(doc):
    """Whether the load search found the same in every run; the noise stands on the line above."""
    for f in doc["figures"]:
        if f["name"] in ("search.ndr", "search.pdr") and len(f["runs"]) > 1:
            each = [stats.median(r) for r in f["runs"]]
            print(f"{f['name']}: {', '.join(f'{v:,.0f}' for v in each)} packets/s: they differ by "
                  f"{100 * (max(each) - min(each)) / stats.median(each):.1f} %")


def results_of(args, sessions):
    paths = []
    for number, s in enumerate(sessions):
        doc = s.finish()
        stamp = doc["date"][:19].replace(":", "").replace("-", "").replace("T", "-")
        suffix = f"-{'ABCDEFGH'[number]}" if len(sessions) > 1 else ""
        path = args.out or os.path.join(s.build, "perf", "results",
                                        f"{stamp}-{doc['environment']['git']}{suffix}.json")
        if args.out and suffix:
            base, ext = os.path.splitext(args.out)
            path = base + suffix + ext
        write(doc, path)
        paths.append(path)
        print(f"{path}: {len(doc['figures'])} figures; {doc['noise']['text']}")
        print_searches(doc)
    return paths


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run (perf_NAME); default: all")
    ap.add_argument("--build", action="append", metavar="DIR", help="build folder (default build); up to 8")
    ap.add_argument("--quick", action="store_true", help="fewer repeats: a smoke test of about a minute")
    ap.add_argument("--runs", type=int, help="processes for each benchmark (default: each its own number, "
                    "8 with several builds)")
    ap.add_argument("--argument", action="append", default=[], metavar="ARG", help="given to each benchmark")
    ap.add_argument("--timeout", type=float, default=600, help="seconds for one run (default 600)")
    ap.add_argument("--out", metavar="FILE", help="result file; several builds: -A, -B … before the suffix")
    ap.add_argument("--terse", action="store_true", help="do not show what the benchmarks print")
    args = ap.parse_args(argv)
    builds = args.build or ["build"]
    if len(builds) > 8:
        ap.error("at most 8 builds")
    names = args.names or known(builds[0])
    missing = [f"{b}/perf/perf_{n}" for b in builds for n in names if n not in known(b)]
    if missing or not names:
        print(f"not there: {', '.join(missing) or builds[0] + '/perf/perf_*'}; make perf builds them")
        return 1
    args.session = str(uuid.uuid4())
    args.runs = args.runs or (8 if len(builds) > 1 else None)
    began = time.monotonic()
    sessions = [Session(b, names, args) for b in builds]
    print(f"CPU: {sessions[0].doc['environment']['cpu_model']}, {sessions[0].doc['environment']['cores']} cores")
    measure(args, sessions, names)
    print(f"\n=== results, after {time.monotonic() - began:.0f} s ===")
    paths = results_of(args, sessions)
    if len(paths) == 1:
        page = os.path.join(os.path.dirname(paths[0]), "..", "report.html") if not args.out else \
            os.path.splitext(args.out)[0] + ".html"
        report.write(sessions[0].doc, os.path.normpath(page))
        print(f"{os.path.normpath(page)}: report")
    for path in paths[1:]:
        print(f"\n=== {paths[0]} against {path} ===")
        compare.main([paths[0], path])
    for s in sessions:
        for why in s.failed:
            print(f"FAILED: {s.build}: {why}")
    return 1 if any(s.failed for s in sessions) else 0


if __name__ == "__main__":
    sys.exit(main())
