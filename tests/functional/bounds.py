#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bounds of the curve kernels, proved with exact integers.

Every limb and column is an interval [lo, hi] of Python integers. Each formula of lib/crypto/x25519_mb_ladder.h
and x25519_mb_pair.h is written down here once and run over a model of each field; a model refuses whatever its C
code could not represent: a product that leaves its binade, a column that a carry does not hold, a factor
of more than 52 bits. Inputs are the bounds called CARRIED below, and every output that the C code uses
again must lie within them: so they hold for every step of a ladder of any length.

Ends with `N passed, N failed`. With -v prints the largest values of each formula.
"""
import re
import sys
from math import log2 as exact_log2

ROOT = sys.argv[0].rsplit("/", 3)[0] if sys.argv[0].count("/") >= 3 else "."
VERBOSE = "-v" in sys.argv


def log2(n):
    return exact_log2(max(n, 1))


class Refused(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Refused(what)


def iv_add(a, b):
    return (a[0] + b[0], a[1] + b[1])


def iv_sub(a, b):
    return (a[0] - b[1], a[1] - b[0])


def iv_mul(a, b):
    p = [x * y for x in a for y in b]
    return (min(p), max(p))


def iv_scale(a, n):
    return (a[0] * n, a[1] * n)


def top(a):
    return max(abs(a[0]), abs(a[1]))


class Field:
    """What both models share: columns are lists of five intervals, elements too."""

    def __init__(self):
        self.peak = {}

    def note(self, what, value):
        self.peak[what] = max(self.peak.get(what, 0), value)

    def cols_add(self, a, b):
        return [iv_add(x, y) for x, y in zip(a, b)]

    def cols_sub(self, a, b):
        return [iv_sub(x, y) for x, y in zip(a, b)]

    def mul(self, a, b):
        return self.carry_sum(self.mul_cols(a, b))

    def sqr(self, a):
        return self.carry_sum(self.sqr_cols(a))

    def add(self, a, b):
        return self.carry_sum(self.cols_add(self.cols_from_fe(a), self.cols_from_fe(b)))

    def sub(self, a, b):
        return self.carry(self.cols_sub(self.cols_from_fe(a), self.cols_from_fe(b)))

    def either(self, *elements):
        """fe_select, fe_lookup: one of them."""
        return [(min(x[0] for x in limb), max(x[1] for x in limb)) for limb in zip(*elements)]

    def within(self, a, bound):
        return all(b[0] <= x[0] and x[1] <= b[1] for x, b in zip(a, bound))


class Doubles(Field):
    """x25519_mb_fe_avx2.h: balanced limbs in doubles, products split by FMA."""

    name = "doubles"

    def __init__(self):
        super().__init__()
        c0, ck = 2**50 + 19 * 2**9, 2**50 + 2**9
        self.carried = [(-c0, c0)] + [(-ck, ck)] * 4

    def small(self, n):
        return [(n, n)] + [(0, 0)] * 4

    def product(self, s, k, a, b):
        need(top(a) < 2**53 and top(b) < 2**53, "a factor is no exact integer")
        p = iv_mul(a, b)
        need(top(p) < 2**102, "product 2^%.3f" % log2(top(p)))
        self.note("product", top(p))
        # h is the nearest multiple of 2^51, l the rest: at most half a unit, 2^50
        s[k] = iv_add(s[k], (-(2**50), 2**50))
        s[k + 1] = iv_add(s[k + 1], ((p[0] - 2**50) >> 51, -((-p[1] - 2**50) >> 51)))

    def fold(self, s):
        return [iv_add(s[k], iv_scale(s[k + 5], 19)) for k in range(5)]

    def mul_cols(self, a, b):
        s = [(0, 0)] * 10
        for i in range(5):
            for j in range(5):
                self.product(s, i + j, a[i], b[j])
        return self.fold(s)

    def sqr_cols(self, a):
        s = [(0, 0)] * 10
        for i in range(5):
            for j in range(i, 5):
                self.product(s, i + j, a[i], a[j] if i == j else iv_scale(a[j], 2))
        return self.fold(s)

    def cols_from_fe(self, a):
        for x in a:
            need(top(x) < 2**51, "limb 2^%.3f does not fit into the binade of 1.5 * 2^52" % log2(top(x)))
        return a

    def carry(self, c):
        out = []
        for x in c:
            self.note("column", top(x))
            need(top(x) < 2**60, "column 2^%.3f" % log2(top(x)))
            biased = iv_add(x, (2**60 + 2**50, 2**60 + 2**50))
            need(0 <= biased[0] and biased[1] < 2**64, "biased column")
            out.append((biased[0] >> 51, biased[1] >> 51))
            need(out[-1][1] < 2**32, "carry of more than 32 bits")
        r = []
        for k in range(5):
            into = out[k - 1] if k else iv_scale(out[4], 19)
            off = 2**50 + (2**9 if k else 19 * 2**9)
            bits = iv_add((0, 2**51 - 1), into)
            need(bits[1] < 2**52, "limb does not fit under the exponent of 2^52")
            r.append(iv_add(bits, (-off, -off)))
            self.note("limb", top(r[-1]))
        return r

    carry_sum = carry

    def sub_loose(self, a, b):
        r = [iv_sub(x, y) for x, y in zip(a, b)]
        for x in r:
            need(top(x) < 2**53, "difference of two limbs is not exact")
        return r

    def add_mul121665(self, a, e):
        c, lo, hi = self.cols_from_fe(a), [], []
        for x in e:
            s = [(0, 0)] * 2
            self.product(s, 0, x, (121665, 121665))
            lo.append(s[0])
            hi.append(s[1])
            need(top(s[1]) < 2**31, "high part of more than 31 bits")
        c = self.cols_add(c, lo)
        return self.carry_sum([iv_add(c[k], iv_scale(hi[4], 19) if k == 0 else hi[k - 1]) for k in range(5)])

    def negate_if(self, a):
        return self.either(a, [(-x[1], -x[0]) for x in a])

    def load(self):
        return self.carry_sum([(0, 2**51 - 1)] * 5)

    def store(self, a):
        for x in a:
            need(top(x) < 2**58, "limb too large for x25519_pack51")


class Ifma(Field):
    """x25519_mb_fe_ifma.h: limbs of 51 bits and a little in 64-bit words, VPMADD52."""

    name = "ifma"

    def __init__(self):
        super().__init__()
        self.carried = [(0, 2**51 + 2**16 - 1)] + [(0, 2**51 + 2**12 - 1)] * 4

    def small(self, n):
        return [(n, n)] + [(0, 0)] * 4

    def madd(self, acc_lo, acc_hi, a, b):
        for x in (a, b):
            need(x[0] >= 0 and x[1] < 2**52, "factor [%d, 2^%.3f)" % (x[0], log2(x[1])))
        p = a[1] * b[1]
        self.note("product", p)
        return iv_add(acc_lo, (0, min(p, 2**52 - 1))), iv_add(acc_hi, (0, p >> 52))

    def word(self, x):
        need(x[0] >= 0 and x[1] < 2**64, "sum of more than 64 bits")
        return x

    def fold(self, s):
        return [self.word(iv_add(s[k], iv_scale(s[k + 5], 19))) for k in range(5)]

    def mul_cols(self, a, b):
        lo, hi = [(0, 0)] * 10, [(0, 0)] * 10
        for i in range(5):
            for j in range(5):
                lo[i + j], hi[i + j + 1] = self.madd(lo[i + j], hi[i + j + 1], a[i], b[j])
        return self.fold([self.word(iv_add(x, iv_scale(y, 2))) for x, y in zip(lo, hi)])

    def sqr_cols(self, a):
        s, four = [(0, 0)] * 10, [(0, 0)] * 10
        for i in range(5):
            for j in range(i + 1, 5):
                s[i + j], four[i + j + 1] = self.madd(s[i + j], four[i + j + 1], a[i], a[j])
        none = (0, 0)
        for i in range(5):
            _, s[2 * i + 1] = self.madd(none, s[2 * i + 1], a[i], a[i])
        s = [self.word(iv_scale(iv_add(x, iv_scale(y, 2)), 2)) for x, y in zip(s, four)]
        for i in range(5):
            s[2 * i], _ = self.madd(s[2 * i], none, a[i], a[i])
        return self.fold(s)

    def cols_from_fe(self, a):
        return a

    def carry_sum(self, c):
        out = []
        for x in c:
            self.word(x)
            self.note("column", top(x))
            out.append((x[0] >> 51, x[1] >> 51))
        need(19 * out[4][1] < 2**52, "19 carries of more than 52 bits")
        r = [iv_add((0, 2**51 - 1), out[k - 1] if k else iv_scale(out[4], 19)) for k in range(5)]
        for x in r:
            self.note("limb", top(x))
        return r

    def carry(self, c):
        p = [(2**51 - 19) << 11] + [(2**51 - 1) << 11] * 4
        return self.carry_sum([self.word(iv_add(x, (n, n))) for x, n in zip(c, p)])

    def sub_loose(self, a, b):
        return self.sub(a, b)

    def add_mul121665(self, a, e):
        lo, hi = list(a), [(0, 0)] * 5
        for k in range(5):
            lo[k], hi[k] = self.madd(lo[k], hi[k], e[k], (121665, 121665))
        for k in range(5):
            twice = iv_scale(hi[k - 1], 2) if k else iv_scale(hi[4], 38)
            need(twice[1] < 2**52, "doubled high part of more than 52 bits")
            lo[k] = iv_add(lo[k], twice)
        return self.carry_sum(lo)

    def negate_if(self, a):
        p2 = [(2**51 - 19) << 1] + [(2**51 - 1) << 1] * 4
        return self.either(a, [iv_sub((n, n), x) for x, n in zip(a, p2)])

    def load(self):
        return [(0, 2**51 - 1)] * 5

    def store(self, a):
        for x in a:
            need(top(x) < 2**58, "limb too large for x25519_pack51")


# --- the formulas, named as in C; each returns what is used again ---


def ladder_start(f):
    one, x1 = f.small(1), f.load()
    return {"x1": x1, "a": one, "c": f.add(x1, one), "d": f.sub(x1, one)}


def ladder_step(f):
    a = b = c = d = x1 = f.carried
    da, cb = f.mul_cols(d, a), f.mul_cols(c, b)
    p, q = f.either(a, c), f.either(b, d)
    total, diff = f.carry_sum(f.cols_add(da, cb)), f.carry(f.cols_sub(da, cb))
    aa, bb = f.sqr(p), f.sqr(q)
    e = f.sub_loose(aa, bb)
    w = f.add_mul121665(aa, e)
    x3, t = f.sqr_cols(total), f.sqr(diff)
    z3 = f.mul_cols(t, x1)
    x2, z2 = f.mul_cols(aa, bb), f.mul_cols(e, w)
    return {"sum": total, "diff": diff, "aa": aa, "bb": bb, "w": w, "t": t,
            "c": f.carry_sum(f.cols_add(x3, z3)), "d": f.carry(f.cols_sub(x3, z3)),
            "a": f.carry_sum(f.cols_add(x2, z2)), "b": f.carry(f.cols_sub(x2, z2))}


def ladder_chunk(f):
    """x2 = A + B and z2 = A - B of the last step."""
    return {"num": f.add(f.carried, f.carried), "den": f.sub(f.carried, f.carried)}


def powers_and_products(f):
    """fe_mul_far, fe_sqr_times, and so fe_pow250, fe_invert, fe_divide, tables_normalise."""
    f.store(f.carried)
    return {"mul": f.mul(f.carried, f.carried), "sqr": f.sqr(f.carried)}


def efgh_double(f, x=None, y=None, z=None):
    x, y, z = x or f.carried, y or f.carried, z or f.carried
    xy = f.mul_cols(x, y)
    xx, yy = f.sqr_cols(x), f.sqr_cols(y)
    g = f.cols_sub(yy, xx)
    zz = f.sqr_cols(z)
    return {"e": f.carry_sum(f.cols_add(xy, xy)), "h": f.carry_sum(f.cols_add(xx, yy)), "g": f.carry(g),
            "f": f.carry(f.cols_sub(f.cols_add(zz, zz), g))}


def efgh_add(f):
    s = d = z = t = p = m = f.carried
    q_t = f.negate_if(f.carried)
    a, b = f.mul_cols(d, m), f.mul_cols(s, p)
    c, zc = f.mul_cols(t, q_t), f.cols_from_fe(z)
    return {"e": f.carry(f.cols_sub(b, a)), "h": f.carry_sum(f.cols_add(b, a)),
            "f": f.carry(f.cols_sub(zc, c)), "g": f.carry_sum(f.cols_add(zc, c))}


def efgh_to_point(f):
    e = g = h = ff = f.carried
    return {"x": f.mul(e, ff), "y": f.mul(g, h), "z": f.mul(ff, g)}


def efgh_to_sums(f):
    e = g = h = ff = f.carried
    x, y = f.mul_cols(e, ff), f.mul_cols(g, h)
    return {"s": f.carry_sum(f.cols_add(y, x)), "d": f.carry(f.cols_sub(y, x)), "z": f.mul(ff, g),
            "t": f.mul(e, h)}


def entry_add_both(f):
    p = m = t = zz = f.carried
    a, b = f.mul_cols(m, m), f.mul_cols(p, p)
    c, z = f.mul_cols(t, t), f.cols_from_fe(zz)
    return {"e": f.carry(f.cols_sub(b, a)), "h": f.carry_sum(f.cols_add(b, a)),
            "f": f.carry(f.cols_sub(z, c)), "g": f.carry_sum(f.cols_add(z, c))}


def fe_double_product(f):
    c = f.mul_cols(f.carried, f.carried)
    return {"r": f.carry_sum(f.cols_add(c, c))}


def point_load(f):
    x, one, constant = f.load(), f.small(1), f.load()
    t = f.mul(f.add(f.small(486662), x), x)
    w = f.mul(f.add(t, one), x)
    v = f.carried
    vv = f.mul(v, v)
    up, down = f.add(x, one), f.sub(x, one)
    px = f.mul(f.mul(x, constant), up)
    for y in (f.sub(vv, w), f.add(vv, w)):
        f.store(y)
    zero = f.small(0)
    return {"w": w, "v": f.either(v, f.mul(v, constant)), "x": f.either(px, zero),
            "y": f.either(f.mul(down, v), one), "z": f.either(f.mul(up, v), one)}


def comb_fill(f):
    """(2X : 2Y : 2Z) from (S, D, Z)."""
    return {"x": f.sub(f.carried, f.carried), "y": f.add(f.carried, f.carried), "z": f.add(f.carried, f.carried)}


def comb_mult(f):
    p = m = f.carried
    x, y = f.sub(p, m), f.add(p, m)
    return {"x": x, "y": y, "z": f.small(1), "s": f.add(y, x), "d": f.sub(y, x), "t": f.mul(x, y),
            "num": f.add(f.carried, f.carried), "den": f.sub(f.carried, f.carried)}


FORMULAS = [ladder_start, ladder_step, ladder_chunk, powers_and_products, efgh_double, efgh_add, efgh_to_point,
            efgh_to_sums, entry_add_both, fe_double_product, point_load, comb_fill, comb_mult]

# Functions of the headers whose arithmetic is a formula above under another name, or calls one.
SAME_AS = {"fe_mul_far": powers_and_products, "fe_sqr_times": powers_and_products, "fe_divide": powers_and_products,
           "fe_invert": powers_and_products, "fe_pow250": powers_and_products, "fe_pow_root": powers_and_products,
           "fe_mul_both": ladder_step, "fe_sqr_mul_both": ladder_step,
           "fe_mul_each": powers_and_products, "comb_mul": powers_and_products, "tables_normalise": powers_and_products,
           "entry_times2d": powers_and_products, "efgh_to_sd": efgh_to_sums, "comb_select": efgh_add}

passed = failed = 0


def result(name, problem=None):
    global passed, failed
    if problem:
        failed += 1
        print("FAILED %s: %s" % (name, problem))
    else:
        passed += 1


def check(make, formula):
    f = make()
    name = "%s: %s" % (f.name, formula.__name__)
    try:
        out = formula(f)
        bad = [k for k, v in out.items() if not f.within(v, f.carried)]
        result(name, "not carried: " + ", ".join(bad) if bad else None)
    except Refused as r:
        result(name, str(r))
    if VERBOSE:
        print("%-34s %s" % (name, "  ".join("%s 2^%.3f" % (k, log2(v)) for k, v in f.peak.items() if v)))


def refuses(what, make, action):
    """The models must be able to say no: formulas that were considered and are wrong."""
    try:
        action(make())
        result(what, "was accepted")
    except Refused:
        result(what)


def loose_sum(f):
    return [iv_add(x, y) for x, y in zip(f.carried, f.carried)]


def headers_are_covered():
    """Every function of the two headers that computes with elements is one of the formulas."""
    known = {x.__name__ for x in FORMULAS} | set(SAME_AS)
    arithmetic = re.compile(r"\b(fe_(mul|sqr|add|sub|carry|carry_sum|mul_cols|sqr_cols|sub_loose|"
                            r"add_mul121665|negate_if|mul_far|sqr_times)|cols_\w+)\(")
    for path in ("ladder", "pair"):
        text = open("%s/lib/crypto/x25519_mb_%s.h" % (ROOT, path)).read()
        text = text.replace("__attribute__((noinline)) ", "")
        for m in re.finditer(r"^[\w (),\n]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.M | re.S):
            if arithmetic.search(m.group(2)):
                missing = m.group(1) not in known
                result("coverage of %s" % m.group(1), "no formula here proves its bounds" if missing else None)


for model in (Doubles, Ifma):
    for formula in FORMULAS:
        check(model, formula)

refuses("doubles: E as (X+Y)^2 - H", Doubles, lambda f: f.sqr_cols(loose_sum(f)))
refuses("doubles: A + B as doubles, then columns", Doubles, lambda f: f.cols_from_fe(loose_sum(f)))
refuses("doubles: a product of two differences", Doubles,
        lambda f: f.mul_cols(f.sub_loose(f.carried, f.carried), f.sub_loose(f.carried, f.carried)))
refuses("ifma: a factor that is a sum without a carry", Ifma, lambda f: f.mul_cols(loose_sum(f), f.carried))
refuses("ifma: a difference without 2^11 p", Ifma,
        lambda f: f.carry_sum(f.cols_sub(f.mul_cols(f.carried, f.carried), f.mul_cols(f.carried, f.carried))))
headers_are_covered()

print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
