#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a result file (perf/run.py) as one HTML page with plots: nothing is fetched, nothing runs.
    perf/report.py RESULT.json REPORT.html"""
import html
import json
import sys

import stats
import svg

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #5b6570; --rule: #d8dee4; --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) {
 :root { --ink: #e3e7eb; --paper: #14171b; --soft: #9aa5b1; --rule: #333a42; --panel: #1c2127; } }
body { font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--paper);
 max-width: 60rem; margin: 0 auto; padding: 1.2rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0 .7rem; } .soft { color: var(--soft); }
.panel { background: var(--panel); border: 1px solid var(--rule); border-radius: 6px; padding: .6rem .9rem; margin: .8rem 0; }
.busy { border-left: 5px solid #d55e00; } .quiet { border-left: 5px solid #009e73; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; } td, th { text-align: left; vertical-align: top;
 padding: .22rem .5rem; border-bottom: 1px solid var(--rule); } td.n, th.n { text-align: right; white-space: nowrap;
 font-variant-numeric: tabular-nums; } td.key { overflow-wrap: anywhere; }
.ok, .half, .bad { white-space: nowrap; } .ok { color: #00805c; font-weight: 600; } .half { color: #a06a00; font-weight: 600; } .bad { color: #c74500; font-weight: 600; }
@media (prefers-color-scheme: dark) { .ok { color: #35c795; } .half { color: #e6b04a; } .bad { color: #ff8f52; } }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
svg text.title { fill: var(--soft); } svg text.small { font-size: 11px; } svg text.bold { font-weight: 600; }
svg text.inside { fill: #fff; font-weight: 600; } .grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
.mark { stroke: var(--soft); stroke-dasharray: 4 3; } .ideal { stroke: var(--soft); stroke-dasharray: 6 4; fill: none; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; font-size: .82rem; margin: .2rem 0; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
.legend i.dash { height: 0; border-top: 2px dashed var(--soft); vertical-align: .3em; width: 1.4em; border-radius: 0; }
details { margin: 1rem 0; } summary { cursor: pointer; } code { font-size: .92em; overflow-wrap: anywhere; }
"""

# what README says of the machine named there: a reader's yardstick, not a target
README_MACHINE = "AMD Zen 5 at 2.6 GHz (TSC), AVX-512 IFMA"
README = (
    ("unwrap of a packet in a burst of 128", "unwrap", {"way": "burst"}, 7000, "ns"),
    ("unwrap one at a time, libsodium", "unwrap", {"way": "one"}, 68000, "ns"),
    ("one worker, whole datapath", "pipeline.throughput", {"workers": "1"}, 142000, "packets/s"),
    ("two workers, whole datapath", "pipeline.throughput", {"workers": "2"}, 263000, "packets/s"),
    ("cycles that are not Sphinx cryptography", "pipeline.without_sphinx", {}, 980, "cycles/packet"),
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
ROLES = {"oracle": 7, "vector": 0, "libsodium": 4, "openssl": 3}


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
    def cells(tag, row):
        kind = ' class="n"'
        return "".join(f"<{tag}{kind if i in numeric else ''}>{c}</{tag}>" for i, c in enumerate(row))
    return (f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>"
            + "".join(f"<tr>{cells('td', r)}</tr>" for r in rows) + "</tbody></table>")


def section(title, *parts):
    parts = [p for p in parts if p]
    return f"<section><h2>{esc(title)}</h2>{''.join(parts)}</section>" if parts else ""


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


def targets(fig):
    rows = []
    for f in fig.all:
        if "floor" not in f or not f["runs"]:
            continue
        v, lower = fig.middle(f), f["better"] == "lower"
        reached = (lambda limit: v <= limit) if lower else (lambda limit: v >= limit)
        verdict = ('<span class="ok">goal reached</span>' if reached(f["goal"]) else
                   '<span class="half">floor reached</span>' if reached(f["floor"]) else
                   '<span class="bad">below the floor</span>')
        if f.get("note"):
            verdict += f'<br/><span class="soft">{esc(f["note"])}</span>'
        labels = ", ".join(f"{k} {v}" for k, v in f["labels"].items() if k not in ("ports", "offered"))
        ports = " (virtual ports)" if f["labels"].get("ports") == "virtual" else ""
        name = TARGET_NAMES.get(f["name"], f["name"])
        rows.append((esc(name) + (f' <span class="soft">{esc(labels)}</span>' if labels else "") + ports,
                     f"{number(v)} {esc(f['unit']) if f['unit'] != 'ratio' else ''}", number(f["floor"]),
                     number(f["goal"]), verdict))
    return section("Targets", note("What performance.md asks for. Each in one run on one core, unless it says otherwise."),
                   table(("figure", "measured", "floor", "goal", "verdict"), rows, (1, 2, 3)) if rows else "")


def readme(fig):
    rows = []
    for text, name, labels, claimed, unit in README:
        found = fig.find(name, **labels)
        if not found:
            continue
        v, lower = fig.middle(found[0]), found[0]["better"] == "lower"
        ratio = claimed / v if lower else v / claimed
        verdict = ('<span class="ok">as said</span>' if 0.95 <= ratio <= 1.05 else
                   f'<span class="{"ok" if ratio > 1 else "half"}">{ratio:.2f} × the speed said</span>')
        rows.append((esc(text), f"{number(claimed)} {unit}", f"{number(v)} {unit}", verdict))
    return section("What the README says", note(f"On {esc(README_MACHINE)}; another CPU has other figures."),
                   table(("figure", "README", "here", ""), rows, (1, 2)) if rows else "")


def load(fig):
    received = {p[0]: p for p in fig.curve("search.received", "load")}
    offered = {p[0]: p[1] for p in fig.curve("search.offered", "load")}
    loss = {p[0]: p for p in fig.curve("search.loss", "load")}
    percents = sorted(set(received) & set(offered))
    if not percents:
        return ""
    points = [(offered[p] / 1e3, *(v / 1e3 for v in received[p][1:])) for p in percents]
    rates = [("NDR, no loss", fig.find("search.ndr")), ("PDR, 0.5 % loss", fig.find("search.pdr"))]
    marks, rows = [], []
    for name, found in rates:
        for f in found:
            each = [r[0] for r in f["runs"]]
            middle = stats.median(each)
            marks.append((middle / 1e3, name))
            rows.append((name, f"{number(middle)} packets/s", ", ".join(number(v) for v in each),
                         f"{100 * (max(each) - min(each)) / middle:.1f} %"))
    most = max(p[0] for p in points)
    disturbed = fig.value("search.disturbed_share")
    errors = [abs(r[0]) for f in fig.find("search.rate_error") for r in f["runs"]]
    settings = ", ".join(f"{f['labels']['setting'].replace('_', ' ')} {number(fig.middle(f))} {f['unit']}"
                         for f in fig.find("search.setting"))
    losses = table(("load, % of NDR", "offered, packets/s", "received", "lost"),
                   [(f"{p:.0f}", number(offered[p]), number(received[p][1]), f"{loss[p][1]:.3f} %")
                    for p in percents if p in loss], (0, 1, 2, 3))
    return section(
        "Throughput against offered load", note(
            "One worker, constant gaps. NDR and PDR by bisection; a trial that "
            "loses is repeated, since overload loses every time and the machine's noise does "
            "not (RFC 2544, section 26.1; ETSI GS NFV-TST 009, 12.3.3)." + virtual(fig.find("search.received"))),
        svg.lines([("received", points)], "offered load, thousand packets/s", "received, thousand packets/s",
                  marks=marks, ideal=("all of it", [(0, 0), (most, most)])),
        table(("rate", "median of the searches", "each", "spread"), rows, (1, 3)),
        note((f"Settings: {settings}. " if settings else "")
             + (f"The offered rate was exact within {max(errors):.2f} %. " if errors else "")
             + (f"In {disturbed:.0f} % of the trials the generator or the worker did not have its core all the time."
                if disturbed is not None else "")), f"<details><summary>loss at each load</summary>{losses}</details>")


def latency(fig):
    offered = {p[0]: p[1] for p in fig.curve("search.offered", "load")}
    series = []
    for p, name in (("50", "median"), ("90", "90 %"), ("99", "99 %"), ("99.9", "99.9 %")):
        points = [(offered[x] / 1e3, y, low, high) for x, y, low, high in
                  fig.curve("search.latency", "load", percentile=p) if x in offered and y > 0 and low > 0]
        if points:
            series.append((name, points))
    rows = []
    for load_percent in ("10", "50", "90"):
        cells = [fig.value("search.latency", load=load_percent, percentile=p) for p in ("50", "90", "99", "99.9", "100")]
        if None not in cells and float(load_percent) in offered:
            mean = fig.value("search.latency_mean", load=load_percent)
            rows.append((f"{load_percent} % of NDR", number(offered[float(load_percent)]),
                         *(number(c) for c in (mean, *cells))))
    marks = [(v / 1e3, n) for v, n in ((fig.value("search.ndr"), "NDR"),) if v]
    return section("Latency against offered load", note(
        "From the moment when a packet should have been sent to the TX wire, less the sender's delay of 1 ms; the "
        "wheel's tick of 0.2 ms is in it. Whiskers: the searches' extremes." + virtual(fig.find("search.latency"))) if series else "",
        svg.lines(series, "offered load, thousand packets/s", "latency, µs", y_log=True, marks=marks) if series else "",
        table(("load", "packets/s", "mean µs", "50 %", "90 %", "99 %", "99.9 %", "most"), rows, range(1, 8)) if rows else "")


def stages(fig):
    found = fig.find("pipeline.stage")
    if not found:
        return ""
    cost = [(f["labels"]["stage"], fig.middle(f)) for f in found]
    sphinx = {"open", "finish"}
    rest = sum(v for n, v in cost if n not in sphinx)
    rows = []
    for f in found:
        s, (low, high) = f["labels"]["stage"], fig.range(f)
        rows.append((esc(s), number(fig.value("pipeline.calls", stage=s) or 0),
                     number((fig.value("pipeline.calls", stage=s) or 0)
                            * (fig.value("pipeline.packets_per_call", stage=s) or 0)),
                     number(fig.value("pipeline.packets_per_call", stage=s) or 0), number(fig.middle(f)),
                     f"{number(low)} … {number(high)}"))
    rows.append(("<b>sum</b>", "", "", "", f"<b>{number(sum(v for _, v in cost))}</b>", ""))
    return section(
        "Where the cycles go", note("One worker, full bursts of 128, payload 1024 bytes; TSC cycles for a packet. open and "
                                    "finish are the Sphinx cryptography." + virtual(found)),
        svg.stacked([(n, v) for n, v in cost if n in sphinx] + [("all other stages", rest)], "cycles"),
        svg.bars([("", [(n, v, f"{v:.0f}", 0) for n, v in cost if n not in sphinx])],
                 "TSC cycles for a packet, without Sphinx", width_of_names=90),
        table(("stage", "CALLS", "PACKETS", "PKTS/CALL", "CYCLES/PKT", "runs"), rows, range(1, 6)))


def scaling(fig):
    points = fig.curve("pipeline.throughput", "workers")
    if not points:
        return ""
    scaled = [(x, y / 1e3, low / 1e3, high / 1e3) for x, y, low, high in points]
    rows = [(f"{x:.0f}", f"{number(y)}", f"{number(low)} … {number(high)}", f"{y / points[0][1] / x:.2f}")
            for x, y, low, high in points]
    only = note("One core: nothing to scale to.") if len(points) == 1 else ""
    plot = svg.lines([("measured", scaled)], "workers", "thousand packets/s", x_names=[p[0] for p in points],
                     ideal=("linear", [(0, 0), (points[-1][0], points[-1][0] * scaled[0][1])])) if len(points) > 1 else ""
    return section("Scaling with workers", note("Full load, a core for each worker." + virtual(fig.find("pipeline.throughput"))),
                   only, plot, table(("workers", "packets/s", "runs", "for each worker"), rows, (0, 1, 2, 3)))


def sweeps(fig):
    batch = [(x, *(v / 1e3 for v in rest)) for x, *rest in fig.curve("sweep.throughput", "batch")]
    payload = [(x, *(v / 1e3 for v in rest)) for x, *rest in fig.curve("sweep.throughput", "payload")]
    refused = [f for f in fig.all if f["name"] == "sweep.throughput" and not f["runs"]]
    names = [p[0] for p in batch]
    out = section("Batch size", note("Full load, one worker: the largest burst that a worker takes at once."
                                     + virtual(fig.find("sweep.throughput"))),
                  svg.lines([("packets/s", batch)], "batch size", "thousand packets/s", x_log=True, x_base=2,
                            x_names=names),
                  *(note(f"{esc(f['labels'].get('batch', ''))} was not run: {esc(f.get('note', ''))}.") for f in refused)) \
        if batch else ""
    gbit = [(x, y * 8e3 * (x + 348 + 46) / 1e9) for x, y, *_ in payload]
    out += section("Payload size", svg.lines([("packets/s", payload)], "payload, bytes", "thousand packets/s", x_log=True,
                                             x_base=2, x_names=[p[0] for p in payload]),
                   table(("payload, bytes", "packets/s", "Gbit/s of frames"),
                         [(number(x), number(y * 1e3), f"{g:.2f}") for (x, y, *_), (_, g) in zip(payload, gbit)], (0, 1, 2))) \
        if payload else ""
    return out


def kernels(fig):
    groups = []
    for subject, title in SUBJECTS.items():
        found = fig.find("kernel", subject=subject)
        oracle = next((fig.middle(f) for f in found if f["labels"]["role"] == "oracle"), None)
        if not oracle:
            continue
        rows = [(f["labels"]["kernel"], fig.middle(f),
                 f"{number(fig.middle(f))} ns, {oracle / fig.middle(f):.3g} ×", ROLES[f["labels"]["role"]])
                for f in found]
        groups.append((title, rows))
    missing = [f["note"] for f in fig.all if f["name"] == "kernel" and not f["runs"]]
    keys = '<div class="legend">' + "".join(
        f'<span><i style="background:{svg.COLOURS[c]}"></i>{esc(n)}</span>' for n, c in
        (("vector kernel, burst of 128", 0), ("oracle: the one-packet code it is tested against", 7), ("libsodium", 4),
         ("OpenSSL", 3))) + "</div>"
    return section("Kernels against their oracles", note(
        "Time for one packet on one core, logarithmic; × is the speed against the oracle. All were checked to give the "
        "same result, but for OpenSSL's BLAKE2b, which does the same work without a key.") if groups else "", keys if groups else "", svg.bars(groups, "ns, logarithmic", log=True),
        *(note(esc(m) + ".") for m in missing))


def memory(fig):
    rows = []
    for f in fig.find("memory.parked_packet"):
        p = f["labels"]["payload"]
        rows.append((p, *(number(v) if (v := fig.value(n, payload=p)) is not None else "" for n in (
            "memory.parked_packet", "memory.parked_packet_resident", "memory.growth_while_parked", "memory.replay_tag"))))
    return section("Memory for a parked packet", note(
        "Bytes. A buffer and its place in the wheel, by arithmetic; then resident memory, which is more without hugepages: "
        "there DPDK lets no buffer cross a page of 4 KiB. All is taken at start: parking adds next to nothing.") if rows else "",
        table(("payload", "buffer and wheel", "resident, no hugepages", "more while parked", "a tag in the replay table"),
              sorted(rows, key=lambda r: int(r[0])), range(5)) if rows else "")


def environment(doc):
    rows = [(esc(k.replace("_", " ")), f"<code>{esc(', '.join(map(str, v)) if isinstance(v, list) else v)}</code>")
            for k, v in doc["environment"].items() if k not in ("git_hash", "git_dirty", "cache")]
    rows += [("settings: " + esc(k.replace("_", " ")), f"<code>{esc(v)}</code>") for k, v in doc["settings"].items()]
    runs = [(esc(p["name"]), len(p["runs"]), f"{sum(r['seconds'] for r in p['runs']):.1f}",
             f"{max(r['load_average'] for r in p['runs']):.2f}", f"{max(r['others_percent'] for r in p['runs']):.1f}",
             f"{max(r['steal_percent'] for r in p['runs']):.1f}") for p in doc["programs"]]
    return section("Environment", table(("", ""), rows)) + section(
        "How busy the machine was", note("For each benchmark the worst of its runs; percent of all cores' time."),
        table(("benchmark", "runs", "seconds", "load average", "other programs, %", "hypervisor's steal, %"), runs, range(1, 6)))


def everything(fig):
    rows = []
    for f in fig.all:
        labels = ", ".join(f"{k}={v}" for k, v in f["labels"].items())
        if f["runs"]:
            low, high = fig.range(f)
            value, between = number(fig.middle(f)), f"{number(low)} … {number(high)}"
        else:
            value, between = "not run", esc(f.get("note", ""))
        rows.append((f"{esc(f['name'])} <span class=\"soft\">{esc(labels)}</span>", value, esc(f["unit"]), between,
                     len(f["runs"]), sum(len(r) for r in f["runs"])))
    return (f"<details><summary>All {len(rows)} figures: medians, extremes of the runs, repeats</summary>"
            + table(("figure", "median", "unit", "runs", "n", "repeats"), rows, (1, 3, 4, 5)) + "</details>")


def page(doc):
    fig = Figures(doc)
    body = [head(doc), targets(fig), readme(fig), load(fig), latency(fig), stages(fig), scaling(fig), sweeps(fig),
            kernels(fig), memory(fig), environment(doc), everything(fig)]
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" '
            'content="width=device-width, initial-scale=1"/><title>Betanet mixnode: measured</title>'
            f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n")


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
