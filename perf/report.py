#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a result file (perf/run.py) as one HTML page with plots: nothing is fetched, nothing runs.
    perf/report.py RESULT.json REPORT.html"""
import html
import json
import os
import sys

import stats
import svg


# what README says of the machine named there: a reader's yardstick, not a target
README_MACHINE = "AMD Zen 5 at 2.6 GHz (TSC), AVX-512 IFMA"
README = (
    ("unwrap of a packet in a burst of 128", "unwrap", {"way": "burst"}, 7000, "ns"),
    ("unwrap one at a time, libsodium", "unwrap", {"way": "one"}, 68000, "ns"),
    ("one worker, whole datapath", "pipeline.throughput", {"workers": "1"}, 149000, "packets/s"),
    ("two workers, whole datapath", "pipeline.throughput", {"workers": "2"}, 287000, "packets/s"),
    ("cycles that are not Sphinx cryptography", "pipeline.without_sphinx", {}, 790, "cycles/packet"),
    ("mean processing latency at 25,000 packets/s", "pipeline.latency_25kpps", {}, 0.19, "ms"),
)
TARGET_NAMES = {
    "x25519.ladder_against_libsodium": "X25519 in a burst of 128, times libsodium's speed",
    "x25519.pair_against_ladders": "both multiplications of a hop by the pair, share of two ladders' time",
    "unwrap.burst_against_one": "unwrap of a burst of 128, times the speed of one at a time",
    "pipeline.without_sphinx": "datapath without the Sphinx cryptography",
    "pipeline.sphinx_share": "share of the time in Sphinx cryptography",
    "pipeline.scaling": "throughput for each worker, against one worker",
    "pipeline.latency_25kpps": "mean processing latency at 25,000 packets/s, one worker",
    "load.throughput": "throughput at 25,000 packets/s offered, everything on, one worker",
    "load.latency_mean": "mean processing latency, the same",
    "load.drops": "dropped, the same",
    "load.pool_hit_rate": "buffers that the lcore's own cache gave, the same",
    "delay.packet": "delay of a packet: tag and draw",
    "load.throughput": "25,000 packets/s to one worker, everything on: sustained",
    "load.latency_mean": "25,000 packets/s, everything on: mean processing latency",
    "load.drops": "25,000 packets/s, everything on: dropped",
    "load.pool_hit_rate": "25,000 packets/s, everything on: pool hit rate",
}
SUBJECTS = {"x25519": "X25519, one multiplication", "x25519_pair": "X25519, both of a hop",
            "sha256": "SHA-256, five blocks", "hmac": "HMAC-SHA-256, 300 bytes", "hkdf1": "HKDF to 288 bytes",
            "hkdf2": "HKDF to 192 bytes", "aes_ctr": "AES-128-CTR, 368 bytes", "chacha20": "ChaCha20, 992 bytes",
            "blake2b": "BLAKE2b with key, 992 bytes", "lioness": "LIONESS, 1024 bytes"}
# colour and explanation
ROLES = {"vector": (0, "vector kernel, burst of 128"), "oracle": (7, "oracle: the one-packet code it is tested against"),
         "libsodium": (4, "libsodium"), "openssl": (3, "OpenSSL")}


def esc(v):
    return html.escape(str(v))


def number(v):
    if abs(v) >= 1000:
        return f"{v:,.0f}"
    return f"{v:.0f}" if v == int(v) and abs(v) >= 1 else f"{v:.3g}"


class Figures:
    def __init__(self, doc):
        self.all = doc["figures"]

    def find(self, name, **labels):
        return [f for f in self.all if f["name"] == name and f["runs"]
                and all(f["labels"].get(k) == v for k, v in labels.items())]

    @staticmethod
    def middle(figure):
        return stats.median([stats.median(r) for r in figure["runs"]])

    @staticmethod
    def range(figure):
        """Smallest and largest run; with one run, the quartiles within it."""
        m = [stats.median(r) for r in figure["runs"]]
        if len(m) > 1:
            return min(m), max(m)
        r = figure["runs"][0]
        return stats.quantile(r, 0.25), stats.quantile(r, 0.75)

    def value(self, name, **labels):
        found = self.find(name, **labels)
        return self.middle(found[0]) if found else None

    def curve(self, name, label, **labels):
        """Points (label's number, value, low, high), by the label."""
        points = [(float(f["labels"][label]), self.middle(f), *self.range(f))
                  for f in self.find(name, **labels) if label in f["labels"]]
        return sorted(points)


def table(head, rows, numeric=()):
    if not rows:
        return ""

    def cells(tag, row):
        kind = ' class="n"'
        return "".join(f"<{tag}{kind if i in numeric else ''}>{c}</{tag}>" for i, c in enumerate(row))
    return (f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>"
            + "".join(f"<tr>{cells('td', r)}</tr>" for r in rows) + "</tbody></table>")


def section(title, explanation, *parts):
    """Nothing when there is nothing to show."""
    parts = [p for p in parts if p]
    if not parts:
        return ""
    text = f'<p class="soft">{explanation}</p>' if explanation else ""
    return f"<section><h2>{esc(title)}</h2>{text}{''.join(parts)}</section>"


def note(text):
    return f'<p class="soft">{text}</p>'


def virtual(figures):
    return " Virtual ports: rings in memory, no NIC." if any(
        f["labels"].get("ports") == "virtual" for f in figures) else ""


# ---- sections

def head(doc):
    e, n = doc["environment"], doc["noise"]
    quick = " <b>QUICK=1: fewer repeats, a smoke test, not for publication.</b>" if doc["quick"] else ""
    failed = "".join(f'<p class="bad">failed: {esc(f)}</p>' for f in doc["failed"])
    return (f"<h1>Betanet mixnode: measured</h1><p class=\"soft\">{esc(doc['date'])} · {esc(e['git'])} · "
            f"{esc(e['cpu_model'])}, {esc(e['cores'])} cores · {esc(e['compiler'])}</p>"
            f'<div class="panel {"quiet" if n["quiet"] else "busy"}">The machine was {esc(n["text"])}.'
            f'{"" if n["quiet"] else " <b>Do not publish these figures.</b>"}{quick}</div>{failed}')


def verdict_of(f, value):
    lower = f["better"] == "lower"
    for limit, kind, text in (("goal", "ok", "goal reached"), ("floor", "half", "floor reached")):
        if value <= f[limit] if lower else value >= f[limit]:
            break
    else:
        kind, text = "bad", "floor missed"
    why = f'<br/><span class="soft">{esc(f["note"])}</span>' if f.get("note") else ""
    return f'<span class="{kind}">{text}</span>{why}'


def targets(fig):
    rows = []
    for f in fig.all:
        if "floor" not in f or not f["runs"]:
            continue
        v = fig.middle(f)
        labels = ", ".join(f"{k} {v}" for k, v in f["labels"].items() if k not in ("ports", "offered"))
        ports = " (virtual ports)" if f["labels"].get("ports") == "virtual" else ""
        name = esc(TARGET_NAMES.get(f["name"], f["name"]))
        unit = "" if f["unit"] == "ratio" else esc(f["unit"])
        rows.append((f'{name} <span class="soft">{esc(labels)}</span>{ports}', f"{number(v)} {unit}",
                     number(f["floor"]), number(f["goal"]), verdict_of(f, v)))
    return section("Targets", "What performance.md asks for. Each in one run on one core, unless it says otherwise.",
                   table(("figure", "measured", "floor", "goal", "verdict"), rows, (1, 2, 3)))


def readme(fig):
    rows = []
    for text, name, labels, claimed, unit in README:
        found = fig.find(name, **labels)
        if not found:
            continue
        v = fig.middle(found[0])
        ratio = claimed / v if found[0]["better"] == "lower" else v / claimed
        verdict = ('<span class="ok">as said</span>' if 0.95 <= ratio <= 1.05 else
                   f'<span class="{"ok" if ratio > 1 else "half"}">{ratio:.2f} × the speed said</span>')
        rows.append((esc(text), f"{number(claimed)} {unit}", f"{number(v)} {unit}", verdict))
    return section("What the README says", f"On {esc(README_MACHINE)}; another CPU has other figures.",
                   table(("figure", "README", "here", ""), rows, (1, 2)))


def search_rates(fig):
    """NDR and PDR: marks for a plot, rows for a table."""
    marks, rows = [], []
    for name, figure in (("NDR, no loss", "search.ndr"), ("PDR, 0.5 % loss", "search.pdr")):
        for f in fig.find(figure):
            each = [r[0] for r in f["runs"]]
            middle = stats.median(each)
            marks.append((middle / 1e3, name))
            rows.append((name, f"{number(middle)} packets/s", ", ".join(number(v) for v in each),
                         f"{100 * (max(each) - min(each)) / middle:.1f} %"))
    return marks, rows


def load(fig):
    received = {p[0]: p for p in fig.curve("search.received", "load")}
    offered = {p[0]: p[1] for p in fig.curve("search.offered", "load")}
    loss = {p[0]: p[1] for p in fig.curve("search.loss", "load")}
    percents = sorted(set(received) & set(offered) & set(loss))
    if not percents:
        return ""
    points = [(offered[p] / 1e3, *(v / 1e3 for v in received[p][1:])) for p in percents]
    most = max(p[0] for p in points)
    marks, rows = search_rates(fig)
    disturbed = fig.value("search.disturbed_share")
    errors = [abs(r[0]) for f in fig.find("search.rate_error") for r in f["runs"]]
    settings = ", ".join(f"{f['labels']['setting'].replace('_', ' ')} {number(fig.middle(f))} {f['unit']}"
                         for f in fig.find("search.setting"))
    losses = table(("load, % of NDR", "offered, packets/s", "received", "lost"),
                   [(f"{p:.0f}", number(offered[p]), number(received[p][1]), f"{loss[p]:.3f} %")
                    for p in percents], range(4))
    return section(
        "Throughput against offered load",
        "One worker, constant gaps. NDR and PDR by bisection; a trial that loses is repeated, since overload loses "
        "every time and the machine's noise does not (RFC 2544, section 26.1; ETSI GS NFV-TST 009, 12.3.3)."
        + virtual(fig.find("search.received")),
        svg.lines([("received", points)], "offered load, thousand packets/s", "received, thousand packets/s",
                  marks=marks, ideal=("all of it", [(0, 0), (most, most)])),
        table(("rate", "median of the searches", "each", "spread"), rows, (1, 3)),
        note((f"Settings: {settings}. " if settings else "")
             + (f"The offered rate was exact within {max(errors):.2f} %. " if errors else "")
             + (f"In {disturbed:.0f} % of the trials the generator or the worker did not have its core all the time."
                if disturbed is not None else "")),
        f"<details><summary>loss at each load</summary>{losses}</details>")


def latency(fig):
    offered = {p[0]: p[1] for p in fig.curve("search.offered", "load")}
    series, rows = [], []
    for p, name in (("50", "median"), ("90", "90 %"), ("99", "99 %"), ("99.9", "99.9 %")):
        points = [(offered[x] / 1e3, y, low, high) for x, y, low, high in
                  fig.curve("search.latency", "load", percentile=p) if x in offered and y > 0 and low > 0]
        if points:
            series.append((name, points))
    for percent in ("10", "50", "90"):
        cells = [fig.value("search.latency_mean", load=percent)]
        cells += [fig.value("search.latency", load=percent, percentile=p) for p in ("50", "90", "99", "99.9", "100")]
        if None not in cells and float(percent) in offered:
            rows.append((f"{percent} % of NDR", number(offered[float(percent)]), *(number(c) for c in cells)))
    ndr = fig.value("search.ndr")
    return section(
        "Latency against offered load",
        "From the moment when a packet should have been sent to the TX wire, less the sender's delay of 1 ms; the "
        "wheel's tick of 0.2 ms is in it. Whiskers: the searches' extremes." + virtual(fig.find("search.latency")),
        svg.lines(series, "offered load, thousand packets/s", "latency, µs", y_log=True,
                  marks=[(ndr / 1e3, "NDR")] if ndr else []),
        table(("load", "packets/s", "mean µs", "50 %", "90 %", "99 %", "99.9 %", "most"), rows, range(1, 8)))


def stages(fig):
    found = fig.find("pipeline.stage")
    cost = [(f["labels"]["stage"], fig.middle(f)) for f in found]
    sphinx = [(n, v) for n, v in cost if n in ("open", "finish")]
    rest = [(n, v) for n, v in cost if (n, v) not in sphinx]
    rows = []
    for f in found:
        s, (low, high) = f["labels"]["stage"], fig.range(f)
        calls = fig.value("pipeline.calls", stage=s) or 0
        each = fig.value("pipeline.packets_per_call", stage=s) or 0
        rows.append((esc(s), number(calls), number(calls * each), number(each), number(fig.middle(f)),
                     f"{number(low)} … {number(high)}"))
    if rows:
        rows.append(("<b>sum</b>", "", "", "", f"<b>{number(sum(v for _, v in cost))}</b>", ""))
    return section(
        "Where the cycles go",
        "One worker, full bursts of 128, payload 1024 bytes; TSC cycles for a packet. open and finish are the Sphinx "
        "cryptography." + virtual(found),
        svg.stacked([*sphinx, ("all other stages", sum(v for _, v in rest))], "cycles") if cost else "",
        svg.bars([("", [(n, v, number(v), 0) for n, v in rest])], "TSC cycles for a packet, without Sphinx",
                 width_of_names=90),
        table(("stage", "CALLS", "PACKETS", "PKTS/CALL", "CYCLES/PKT", "runs"), rows, range(1, 6)))


def scaling(fig):
    points = fig.curve("pipeline.throughput", "workers")
    if not points:
        return ""
    scaled = [(x, y / 1e3, low / 1e3, high / 1e3) for x, y, low, high in points]
    rows = [(f"{x:.0f}", f"{number(y)}", f"{number(low)} … {number(high)}", f"{y / points[0][1] / x:.2f}")
            for x, y, low, high in points]
    most = points[-1][0]
    linear = ("linear", [(0, 0), (most, most * scaled[0][1])])
    plot = svg.lines([("measured", scaled)], "workers", "thousand packets/s", x_names=[p[0] for p in points],
                     ideal=linear) if len(points) > 1 else note("One core: nothing to scale to.")
    return section("Scaling with workers",
                   "Full load, a core for each worker." + virtual(fig.find("pipeline.throughput")), plot,
                   table(("workers", "packets/s", "runs", "for each worker"), rows, range(4)))


def sweep(fig, label, x_title):
    points = [(x, *(v / 1e3 for v in rest)) for x, *rest in fig.curve("sweep.throughput", label)]
    plot = svg.lines([("packets/s", points)], x_title, "thousand packets/s", x_log=True, x_base=2,
                     x_names=[p[0] for p in points])
    return plot, points


def sweeps(fig):
    ports = virtual(fig.find("sweep.throughput"))
    plot, _ = sweep(fig, "batch", "batch size")
    refused = [note(f"{esc(f['labels'].get('batch', ''))} was not run: {esc(f.get('note', ''))}.")
               for f in fig.all if f["name"] == "sweep.throughput" and not f["runs"]]
    out = section("Batch size", "Full load, one worker: the largest burst that a worker takes at once." + ports,
                  plot, *refused)
    plot, points = sweep(fig, "payload", "payload, bytes")
    # with Ethernet, IPv4, UDP and frame headers and Sphinx' own
    rows = [(number(x), number(y * 1e3), f"{y * 8e3 * (x + 348 + 46) / 1e9:.2f}") for x, y, *_ in points]
    return out + section("Payload size", "Full load, one worker, full bursts." + ports, plot,
                         table(("payload, bytes", "packets/s", "Gbit/s of frames"), rows, range(3)))


def kernels(fig):
    groups = []
    for subject, title in SUBJECTS.items():
        found = fig.find("kernel", subject=subject)
        oracle = next((fig.middle(f) for f in found if f["labels"]["role"] == "oracle"), None)
        if oracle:
            groups.append((title, [
                (f["labels"]["kernel"], fig.middle(f),
                 f"{number(fig.middle(f))} ns, {oracle / fig.middle(f):.3g} ×", ROLES[f["labels"]["role"]][0])
                for f in found]))
    missing = [note(esc(f["note"]) + ".") for f in fig.all if f["name"] == "kernel" and not f["runs"]]
    swatches = "".join(f'<span><i style="background:{svg.COLOURS[colour]}"></i>{esc(name)}</span>'
                       for colour, name in ROLES.values())
    return section(
        "Kernels against their oracles",
        "Time for one packet on one core, logarithmic; × is the speed against the oracle. All were checked to give the "
        "same result, but for OpenSSL's BLAKE2b, which does the same work without a key.",
        f'<div class="legend">{swatches}</div>' if groups else "",
        svg.bars(groups, "ns, logarithmic", log=True), *missing)


def memory(fig):
    columns = {"memory.parked_packet": "buffer and wheel", "memory.parked_packet_resident": "resident, no hugepages",
               "memory.growth_while_parked": "more while parked", "memory.replay_tag": "a tag in the replay table"}
    rows = []
    for payload in sorted((f["labels"]["payload"] for f in fig.find("memory.parked_packet")), key=int):
        values = [fig.value(n, payload=payload) for n in columns]
        rows.append((payload, *("" if v is None else number(v) for v in values)))
    return section(
        "Memory for a parked packet",
        "Bytes. A buffer and its place in the wheel, by arithmetic; then resident memory, which is more without "
        "hugepages: there DPDK lets no buffer cross a page of 4 KiB. All is taken at start: parking adds next to nothing.",
        table(("payload", *columns.values()), rows, range(5)))


def environment(doc):
    def shown(v):
        return f"<code>{esc(', '.join(map(str, v)) if isinstance(v, list) else v)}</code>"

    rows = [(esc(k.replace("_", " ")), shown(v)) for k, v in doc["environment"].items()
            if k not in ("git_hash", "git_dirty", "cache")]
    rows += [("cache", shown("; ".join(doc["environment"].get("cache", {}).values())))]
    rows += [("settings: " + esc(k.replace("_", " ")), shown(v)) for k, v in doc["settings"].items()]
    runs = [(esc(p["name"]), len(p["runs"]), f"{sum(r['seconds'] for r in p['runs']):.1f}",
             *(f"{max(r[k] for r in p['runs']):.1f}" for k in ("load_average", "others_percent", "steal_percent")))
            for p in doc["programs"]]
    return section("Environment", "", table(("", ""), rows)) + section(
        "How busy the machine was", "For each benchmark the worst of its runs; percent of all cores' time.",
        table(("benchmark", "runs", "seconds", "load average", "other programs, %", "hypervisor's steal, %"), runs,
              range(1, 6)))


def everything(fig):
    rows = []
    for f in fig.all:
        labels = ", ".join(f"{k}={v}" for k, v in f["labels"].items())
        value, between = "not run", esc(f.get("note", ""))
        if f["runs"]:
            low, high = fig.range(f)
            value, between = number(fig.middle(f)), f"{number(low)} … {number(high)}"
        rows.append((f'{esc(f["name"])} <span class="soft">{esc(labels)}</span>', value, esc(f["unit"]), between,
                     len(f["runs"]), sum(len(r) for r in f["runs"])))
    return (f"<details><summary>All {len(rows)} figures: medians, extremes of the runs, repeats</summary>"
            + table(("figure", "median", "unit", "runs", "n", "repeats"), rows, (1, 3, 4, 5)) + "</details>")


def page(doc):
    fig = Figures(doc)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.css")) as f:
        style = f.read()
    body = [head(doc), targets(fig), readme(fig), load(fig), latency(fig), stages(fig), scaling(fig), sweeps(fig),
            kernels(fig), memory(fig), environment(doc), everything(fig)]
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" '
            'content="width=device-width, initial-scale=1"/><title>Betanet mixnode: measured</title>'
            f"<style>\n{style}</style></head><body>{''.join(body)}</body></html>\n")


def write(doc, path):
    with open(path, "w") as f:
        f.write(page(doc))


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    with open(sys.argv[1]) as f:
        write(json.load(f), sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
