#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the assembly of the products of lib/crypto/x25519_mb_fe_avx2.h to stdout.

What is computed is said in that header; its C (fe_mul_cols_c, fe_sqr_cols_c, fe_carry) is what the
unit test compares with, bit by bit. Here is only the order, which no compiler finds: with the sums
of one row, one limb of a and both constants in registers, seven are left for the products under way,
and nothing is spilled. Row i is a[i] * b[0..4]. The rows run from 4 to 0: after row i column i + 5 is
complete and is folded, 19 times, into column i, which row i has begun.

One product has four stages, each started some products after the one before, so that neighbours in
the program do not wait for each other:
    0  h = fma(a, b, HI)    1  l = HI + LO - h    2  l = fma(a, b, l)    3  h and l to their columns

Calling convention (the header calls from inline assembly, no compiler knows of the call): rsi = a,
rdx = b; no general register, flag or stack changes.
    fe_avx2_mul_cols, _sqr_cols     the columns come back in ymm0..4
    fe_avx2_mul, _sqr               carried, to rdi
    fe_avx2_mul_both_mul, _sqr      M + a*b to rdi and M - a*b to rcx, carried; the columns M, of a
                                    product or of a square, are at r8
All ymm registers else are lost. Results may overwrite operands: they are written after all is read.
"""
import struct

HI, HILO = 15, 14  # registers of the constants
DELAY = (1, 2, 4)  # products between stage 0 and stages 1, 2, 3
SPLIT_HI, SPLIT_LO = 1.5 * 2.0**103, 1.5 * 2.0**52


class Function:
    """Collects instructions. Registers are those of 0..13, renamed at the end
    so that the columns are in 0..4."""

    def __init__(self):
        self.lines, self.free = [], list(range(14))

    def op(self, name, *operands):
        self.lines.append((name, operands))

    def alloc(self):
        return self.free.pop()

    def release(self, reg):
        self.free.append(reg)

    def text(self, order):
        rest = [r for r in range(14) if r not in order]
        place = {r: i for i, r in enumerate(order + rest)}

        def show(x):
            return x if isinstance(x, str) else "%%ymm%d" % place.get(x, x)

        return ["\t%s %s" % (n, ", ".join(show(x) for x in ops)) for n, ops in self.lines]


def limb(pointer, k):
    return "%d(%%%s)" % (32 * k, pointer)


def columns(square):
    f = Function()
    sums, left = {}, [0] * 10
    products = [(i, j) for i in range(4, -1, -1) for j in range(i if square else 0, 5)]
    last = {i: n for n, (i, j) in enumerate(products)}
    once, factor = {}, {}  # registers of a[i], and of a[i] or 2 a[i] for what is off the diagonal
    high, low = {}, {}
    for i, j in products:
        left[i + j] += 1
        left[i + j + 1] += 1

    def fold(c):
        x, t = sums.pop(c), f.alloc()
        f.op("vpsllq", "$4", x, t)
        if c - 5 in sums:
            f.op("vpaddq", x, sums[c - 5], sums[c - 5])
            f.op("vpaddq", x, x, x)
            f.op("vpaddq", t, sums[c - 5], sums[c - 5])
            f.op("vpaddq", x, sums[c - 5], sums[c - 5])
            f.release(x)
            f.release(t)
        else:
            f.op("vpaddq", x, t, t)
            f.op("vpaddq", x, x, x)
            f.op("vpaddq", x, t, t)
            sums[c - 5] = t
            f.release(x)

    def add(c, reg):
        if c in sums:
            f.op("vpaddq", reg, sums[c], sums[c])
            f.release(reg)
        else:
            sums[c] = reg
        left[c] -= 1
        if left[c] == 0 and c >= 5:
            fold(c)

    def multiply_add(i, j, into):
        if square and i == j:
            f.op("vfmadd231pd", once[i], once[i], into)
        else:
            f.op("vfmadd231pd", limb("rsi" if square else "rdx", j), factor[i], into)

    def start(i, j, n):
        if i not in once:
            once[i] = factor[i] = f.alloc()
            f.op("vmovapd", limb("rsi", i), once[i])
            if square and i < 4:
                factor[i] = f.alloc()
                f.op("vaddpd", once[i], once[i], factor[i])
        high[n] = f.alloc()
        f.op("vmovapd", HI, high[n])
        multiply_add(i, j, high[n])

    def split(i, j, n):
        low[n] = f.alloc()
        f.op("vsubpd", high[n], HILO, low[n])
        add(i + j + 1, high[n])

    def rest(i, j, n):
        multiply_add(i, j, low[n])
        if square and i == j and i < 4:
            f.release(once[i])
        if last[i] == n:
            f.release(factor[i])

    def collect(i, j, n):
        add(i + j, low[n])

    f.op("vmovapd", const(bits(SPLIT_HI)), HI)
    f.op("vmovapd", const(bits(SPLIT_HI + SPLIT_LO)), HILO)
    for slot in range(len(products) + DELAY[-1]):
        for stage, wait in zip((start, split, rest, collect), (0,) + DELAY):
            n = slot - wait
            if 0 <= n < len(products):
                stage(*products[n], n)
    return f.text([sums[c] for c in range(5)])


# --- the carry ---

MASK64 = 2**64 - 1
consts = {}  # value -> label of 32 bytes with it in every lane


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def const(value):
    return consts.setdefault(value & MASK64, "fe_avx2_const+%d" % (32 * len(consts))) + "(%rip)"


def parts(square):
    """What a product has too much in each column: the bits of its constants."""
    known = [0] * 10
    for i in range(5):
        for j in range(i if square else 0, 5):
            known[i + j] += bits(SPLIT_LO)
            known[i + j + 1] += bits(SPLIT_HI)
    return [known[k] + 19 * known[k + 5] for k in range(5)]


def carry(known, regs, pointer):
    """The columns in regs, from which `known` is taken off, carried, to memory. 12, 13 and 14 are as
    carry_constants left them; 10 and 11 are lost."""
    out = []

    def op(name, *operands):
        shown = (o if isinstance(o, str) else "%%ymm%d" % o for o in operands)
        out.append("\t%s %s" % (name, ", ".join(shown)))

    for k in (4, 0, 1, 2, 3):
        op("vpaddq", const(2**60 + 2**50 - known[k]), regs[k], regs[k])
    above, spare = 10, 11
    op("vpsrlq", "$51", regs[4], above)
    op("vpmuludq", const(19), above, above)
    for k in range(5):
        if k < 4:
            op("vpsrlq", "$51", regs[k], spare)
        op("vpand", 12, regs[k], regs[k])
        op("vpaddq", above, regs[k], regs[k])
        op("vpor", 13, regs[k], regs[k])
        op("vsubpd", 14 if k else const(bits(2.0**52 + 2.0**50 + 19 * 2.0**9)), regs[k], regs[k])
        op("vmovapd", regs[k], limb(pointer, k))
        above, spare = spare, above
    return out


def carry_constants():
    values = {12: 2**51 - 1, 13: bits(2.0**52), 14: bits(2.0**52 + 2.0**50 + 2.0**9)}
    return ["\tvmovdqa %s, %%ymm%d" % (const(v), r) for r, v in values.items()]


def both(other, own):
    """rdi = M + product, rcx = M - product; the columns M are at r8, of which `other` is known."""
    out = []
    for k in range(5):
        out.append("\tvmovdqa %s, %%ymm%d" % (limb("r8", k), 5 + k))
    for k in range(5):
        out.append("\tvpaddq %%ymm%d, %%ymm%d, %%ymm10" % (k, 5 + k))
        out.append("\tvpsubq %%ymm%d, %%ymm%d, %%ymm%d" % (k, 5 + k, 5 + k))
        out.append("\tvmovdqa %%ymm10, %%ymm%d" % k)
    out += carry_constants()
    out += carry([a + b for a, b in zip(other, own)], range(5), "rdi")
    return out + carry([a - b for a, b in zip(other, own)], range(5, 10), "rcx")


def main():
    out = ["/* made by lib/crypto/gen/fe_avx2.py */", "\t.text"]
    mul, sqr = parts(False), parts(True)

    def function(name, square, tail):
        out.extend(["\t.globl " + name, "\t.hidden " + name, "\t.type %s, @function" % name])
        out.extend(["\t.p2align 6", name + ":"] + columns(square) + tail + ["\tret"])
        out.append("\t.size %s, . - %s" % (name, name))

    function("fe_avx2_mul_cols", False, [])
    function("fe_avx2_sqr_cols", True, [])
    function("fe_avx2_mul", False, carry_constants() + carry(mul, range(5), "rdi"))
    function("fe_avx2_sqr", True, carry_constants() + carry(sqr, range(5), "rdi"))
    function("fe_avx2_mul_both_mul", False, both(mul, mul))
    function("fe_avx2_mul_both_sqr", False, both(sqr, mul))
    out += ["\t.section .rodata", "\t.p2align 5", "fe_avx2_const:"]
    out += ["\t.quad " + ", ".join(["0x%016x" % v] * 4) for v in consts]
    out += ['\t.section .note.GNU-stack, "", @progbits']
    print("\n".join(out))


main()
