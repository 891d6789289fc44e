# SPDX-License-Identifier: BSD-3-Clause
"""Plots as SVG text, made to stand in a page that sets the colours: nothing is fetched, nothing runs.
Colours are those of Okabe and Ito, which people with any colour vision can tell apart."""
import html
import math

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7f00", "#7f7f7f")
WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 74, 20, 16, 52


def short(v):
    """A number for an axis or a bar: 142k, 1.5M, 0.19."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(v) >= limit:
            scaled = v / (1e3 if suffix == "k" else limit)
            return f"{scaled:.0f}{suffix}" if scaled >= 100 or scaled == int(scaled) else f"{scaled:.3g}{suffix}"
    return str(round(v)) if v == int(v) or abs(v) >= 100 else f"{v:.3g}"


def text(x, y, s, anchor="middle", kind="", rotate=None):
    turn = f' transform="rotate({rotate} {x:.1f} {y:.1f})"' if rotate is not None else ""
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}{turn}>{html.escape(str(s))}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


class Scale:
    """Maps values to pixels; linear from 0, or logarithmic."""

    def __init__(self, values, low, high, log=False, base=10, zero=True):
        values = [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not log)] or [1.0]
        self.log, self.base, self.low, self.high = log, base, low, high
        least, most = min(values), max(values)
        if log:
            self.ticks = self._log_ticks(least, most)
            self.min, self.max = min(least, self.ticks[0]), max(most, self.ticks[-1])
            if self.min == self.max:
                self.max *= base
        else:
            least = 0 if zero else least
            most = most if most > least else least + (abs(least) or 1)
            step = self._step(most - least)
            self.min, self.max = math.floor(least / step) * step, math.ceil(most * 1.001 / step) * step
            self.ticks = [self.min + i * step for i in range(round((self.max - self.min) / step) + 1)]

    @staticmethod
    def _step(span):
        raw = span / 6
        power = 10 ** math.floor(math.log10(raw))
        return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)

    def _log_ticks(self, least, most):
        if self.base == 2:
            return [2.0 ** i for i in range(math.floor(math.log2(least)), math.ceil(math.log2(most)) + 1)]
        first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
        multiples = (1, 2, 5) if last - first <= 3 else (1,)
        return [m * 10.0 ** i for i in range(first, last + 1) for m in multiples
                if least * 0.45 <= m * 10.0 ** i <= most * 2.3]

    def __call__(self, v):
        if self.log:
            part = (math.log(max(v, self.min)) - math.log(self.min)) / (math.log(self.max) - math.log(self.min))
        else:
            part = (v - self.min) / ((self.max - self.min) or 1)
        return self.low + part * (self.high - self.low)


def frame(body, height=HEIGHT, label=""):
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(label)}">'
            + "".join(body) + "</svg>")


def legend(names, dashed=""):
    return '<div class="legend">' + "".join(
        f'<span><i style="background:{COLOURS[i % len(COLOURS)]}"></i>{html.escape(n)}</span>'
        for i, n in enumerate(names)) + (
            f'<span><i class="dash"></i>{html.escape(dashed)}</span>' if dashed else "") + "</div>"


def axes(x, y, x_title, y_title, x_names=None):
    """Grid, ticks and titles."""
    out, bottom = [], HEIGHT - BOTTOM
    for t in y.ticks:
        out += [line(LEFT, y(t), WIDTH - RIGHT, y(t), "grid"), text(LEFT - 8, y(t) + 4, short(t), "end")]
    for t in (x_names if x_names is not None else x.ticks):
        at = x(t)
        out += [line(at, bottom, at, bottom + 5, "axis"), text(at, bottom + 19, short(t))]
    out += [line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis"), line(LEFT, TOP, LEFT, bottom, "axis"),
            text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_title, kind="title"),
            text(18, (TOP + bottom) / 2, y_title, kind="title", rotate=-90)]
    return out


def lines(series, x_title, y_title, x_log=False, y_log=False, x_base=10, marks=(), ideal=None, x_names=None):
    """series: [(name, [(x, y, low, high)])], low and high the spread of the runs; marks: [(x, name)] upright
    lines; ideal: (name, [(x, y)]), dashed."""
    points = [p for _, s in series for p in s]
    if not points:
        return ""
    dashed = ideal[1] if ideal else []
    x = Scale([p[0] for p in points] + [m[0] for m in marks], LEFT, WIDTH - RIGHT, x_log, x_base,
              zero=not x_log)
    y = Scale([v for p in points for v in p[1:]] + [p[1] for p in dashed], HEIGHT - BOTTOM, TOP, y_log)
    out = axes(x, y, x_title, y_title, x_names)
    if dashed:
        out.append('<polyline class="ideal" points="' + " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in dashed) + '"/>')
    for number, (at, name) in enumerate(marks):
        # names one below the other: marks can be close
        height = TOP + 12 + 15 * number
        right = x(at) < (LEFT + WIDTH) / 2
        out += [line(x(at), TOP, x(at), HEIGHT - BOTTOM, "mark"),
                text(x(at) + (5 if right else -5), height, name, "start" if right else "end", kind="small")]
    for number, (_, s) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
                   + " ".join(f"{x(p[0]):.1f},{y(p[1]):.1f}" for p in s) + '"/>')
        for px, py, low, high in s:
            if high > low:
                out.append(f'<line x1="{x(px):.1f}" y1="{y(low):.1f}" x2="{x(px):.1f}" y2="{y(high):.1f}" '
                           f'stroke="{colour}" stroke-width="1.5"/>')
            out.append(f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="3.2" fill="{colour}"/>')
    names = [n for n, _ in series]
    return (legend(names, ideal[0] if ideal else "") if len(names) > 1 or ideal else "") + frame(out, label=y_title)


def bars(groups, unit, log=False, width_of_names=170):
    """groups: [(title, [(name, value, note, colour number)])], horizontal bars."""
    rows = sum(len(g) for _, g in groups)
    if not rows:
        return ""
    height = TOP + rows * 20 + sum(26 if t else 8 for t, _ in groups) + 44
    # room for the number behind the longest bar
    values = [v for _, g in groups for _, v, _, _ in g]
    if log:
        values.append(10 ** math.floor(math.log10(min(values) * 0.8)))  # the shortest bar shows too
    x = Scale(values, width_of_names, WIDTH - 190, log)
    out, at, bottom = [], TOP, height - 44
    for t in x.ticks:
        out += [line(x(t), TOP, x(t), bottom, "grid"), text(x(t), bottom + 17, short(t))]
    for title, g in groups:
        if title:
            out.append(text(4, at + 15, title, "start", kind="bold"))
        at += 26 if title else 8
        out.append(line(width_of_names, at, width_of_names, at + 20 * len(g), "axis"))
        for name, value, note, colour in g:
            wide = max(1.0, x(value) - x.low)
            out += [text(width_of_names - 6, at + 13, name, "end"),
                    f'<rect x="{x.low}" y="{at + 2}" width="{wide:.1f}" height="14" fill="{COLOURS[colour]}"/>',
                    text(x.low + wide + 6, at + 13, note, "start", kind="small")]
            at += 20
    out += [text((width_of_names + WIDTH - 190) / 2, height - 8, unit, kind="title")]
    return frame(out, height, unit)


def stacked(parts, unit):
    """One bar of [(name, value)] with its legend; shares of less than 4 % are named in the legend only."""
    total = sum(v for _, v in parts) or 1
    out, at, wide = [], 4.0, WIDTH - 8
    for number, (name, v) in enumerate(parts):
        w = wide * v / total
        out.append(f'<rect x="{at:.1f}" y="6" width="{w:.1f}" height="34" fill="{COLOURS[number % len(COLOURS)]}"/>')
        if w > 60:
            out.append(text(at + w / 2, 27, f"{name} {100 * v / total:.0f} %", kind="inside"))
        at += w
    return legend([f"{n}: {short(v)} {unit} ({100 * v / total:.1f} %)" for n, v in parts]) + frame(out, 46, unit)
