#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lab's io engine beside testpmd's, in turns, in one run; and whether the stages of parse and
sphinx-nodelay add up to what their lcores spent. Usage: perf/testpmd.py [BUILD]

CPU cycles a packet, as both programs print them. A program that lost its core in between counts the
time of others; of the rounds the fastest is the least disturbed, so ratios are of those, and the
medians stand beside them. The ports are virtual: net_null, and net_ring with bursts that go round.
Needs dpdk-testpmd (Debian: dpdk-dev). PERF_JSON, PERF_QUICK: as perf/result.h says."""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BUILD", "build")
TESTMIX = os.path.join(BUILD, "betanet-testmix")
TESTPMD = shutil.which("dpdk-testpmd")
QUICK = os.environ.get("PERF_QUICK", "") not in ("", "0")
ROUNDS = 5 if QUICK else 15
SECONDS = 0.25
WITHIN = 1.10


def cpus():
    """Console on the first core, forwarding on the last."""
    own = sorted(os.sched_getaffinity(0))
    return own[0], own[-1]


def run(program, ports, lcores, memory, options, commands):
    """Runs commands (texts to type, numbers to sleep); the output."""
    args = [program, "--no-huge", "-m", str(memory), "--no-pci", "--no-telemetry", "--file-prefix",
            f"perfpmd{os.getpid()}", "--log-level", "*:error", "--lcores", lcores]
    for p in ports:
        args += ["--vdev", p]
    p = subprocess.Popen(args + ["--", "-i", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    for c in commands:
        if isinstance(c, str):
            p.stdin.write(c + "\n")
            p.stdin.flush()
        else:
            time.sleep(c)
    return p.communicate(timeout=120)[0]


def cycles(out):
    found = re.findall(r"CPU cycles/packet=([\d.]+) \(total cycles=\d+ / total \S+ packets=(\d+)\)", out)
    if not found:
        raise SystemExit("no cycles in the output:\n" + out)
    return float(found[-1][0]), int(found[-1][1])


def figure(name, values, unit="cycles/packet", note=None, goal=None, **labels):
    path = os.environ.get("PERF_JSON")
    if not path:
        return
    line = {"name": name, "unit": unit, "better": "lower" if unit != "%" else "none",
            "labels": {**labels, "ports": "virtual"}, "values": values}
    if goal is not None:
        line |= {"floor": goal, "goal": goal}
    if note:
        line["note"] = note
    with open(path, "a") as f:
        f.write(json.dumps(line) + "\n")


def io_beside_testpmd():
    first, last = cpus()
    lcores = f"0@{first},1@{last}"
    cases = {
        "net_null": (["net_null0", "net_null1"], "start"),
        "net_ring": (["net_ring0", "net_ring1"], "start tx_first 8"),
    }
    bad = 0
    print(f"io, burst 32, one lcore, {ROUNDS} rounds in turns, CPU cycles a packet")
    print(f"  {'ports':<10} {'program':<10} {'fastest':>8} {'median':>8}   rounds")
    for name, (ports, start) in cases.items():
        commands = ["set record-core-cycles on", start, SECONDS, "stop", 0.1, "quit"]
        got = {"testpmd": [], "testmix": []}
        for _ in range(ROUNDS):
            # the same packet buffers for both
            own = cycles(run(TESTMIX, ports, lcores, 256, ["--total-num-mbufs", "8192"], commands))
            other = cycles(run(TESTPMD, ports, lcores, 256, ["--total-num-mbufs=8192"], commands))
            got["testmix"].append(own[0])
            got["testpmd"].append(other[0])
        for program, values in got.items():
            print(f"  {name:<10} {program:<10} {min(values):8.1f} {statistics.median(values):8.1f}   "
                  + " ".join(f"{v:.1f}" for v in values))
            figure("testmix.io" if program == "testmix" else "testpmd.io", values, driver=name)
        ratio = min(got["testmix"]) / min(got["testpmd"])
        ok = ratio <= WITHIN
        bad += not ok
        print(f"  {name:<10} ratio {ratio:.3f} (medians "
              f"{statistics.median(got['testmix']) / statistics.median(got['testpmd']):.3f}), at most {WITHIN}: "
              + ("reached" if ok else "MISSED"))
        figure("testmix.io_ratio", [ratio], unit="ratio", goal=WITHIN, driver=name)
    return bad


def stages_add_up():
    first, last = cpus()
    lcores = f"0@{first},1@{last},2@{first},3@{first}"
    bad = 0
    print("\nstages of an engine against the busy time of its lcore")
    for engine in ("parse", "sphinx-nodelay"):
        shares, each = [], []
        for _ in range(2 if QUICK else 3):
            out = run(TESTMIX, [], lcores, 512,
                      ["--wires", "--idle", "sleep", "--packets", "10000", "--rate", "0", "--burst", "128",
                       "--record-core-cycles", "--forward-mode", engine],
                      ["start", "wait traffic 60", "show mix stages", "stop", "quit"])
            found = re.search(r"all stages (\d+) cycles/packet, the lcores' busy time (\d+): ([\d.]+) %", out)
            if not found:
                raise SystemExit("no stages in the output:\n" + out)
            shares.append(float(found[3]))
            each.append((int(found[1]), int(found[2])))
        ok = all(abs(s - 100) <= 10 for s in shares)
        bad += not ok
        print(f"  {engine:<15} " + ", ".join(f"{a} of {b} cycles/packet ({s} %)" for (a, b), s in zip(each, shares))
              + (": within 10 %" if ok else ": MORE THAN 10 % APART"))
        figure("testmix.stages_share", shares, unit="%", engine=engine)
    return bad


def main():
    for tool, how in ((TESTPMD, "dpdk-testpmd is not there: apt-get install dpdk-dev"),
                      (os.access(TESTMIX, os.X_OK), f"{TESTMIX} is not there: make")):
        if not tool:
            print(how)
            return 1
    missed = io_beside_testpmd() + stages_add_up()
    # within make perf a missed target is a figure like the others'
    return 1 if missed and not os.environ.get("PERF_JSON") else 0


if __name__ == "__main__":
    sys.exit(main())
