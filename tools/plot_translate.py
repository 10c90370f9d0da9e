#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws what `bench_translate` prints (on standard input) as an SVG: nanoseconds an instruction over
instructions, both logarithmic. The copy that it was given goes on to standard output.

usage: bench_translate ... | plot_translate.py FILE.svg"""
import math
import re
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 360, 60, 20, 20, 50
X_FROM, X_TO, Y_FROM, Y_TO = 0, 6, 1, 4  # powers of ten: instructions, ns an instruction
ROW = re.compile(r"^(\S.*?)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+[\d.]+\s+[\d.]+\s*$")


def x_of(insns):
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(insns) - X_FROM) / (X_TO - X_FROM)


def y_of(ns):
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(ns) - Y_FROM) / (Y_TO - Y_FROM)


def grid():
    for power in range(X_FROM, X_TO + 1):
        x = x_of(10**power)
        yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>'
    for power in range(Y_FROM, Y_TO + 1):
        y = y_of(10**power)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">instructions</text>'
    yield (f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2:.0f}" text-anchor="middle" '
           f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2:.0f})">ns an instruction</text>')


def points(rows):
    for name, insns, ns in rows:
        colour, kind = ("#c33", "made") if name == "made" else ("#36c", "objects")
        yield (f'<circle class="{kind}" cx="{x_of(insns):.1f}" cy="{y_of(ns):.1f}" r="3.5" fill="{colour}">'
               f"<title>{name}: {insns} instructions, {ns:.0f} ns each</title></circle>")
    for i, (colour, text) in enumerate((("#36c", "samples and benchmarks"), ("#c33", "made programs"))):
        y = TOP + 16 + 18 * i
        yield f'<circle cx="{WIDTH - 200}" cy="{y - 4}" r="3.5" fill="{colour}"/>'
        yield f'<text x="{WIDTH - 190}" y="{y}">{text}</text>'


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = []
    for line in sys.stdin:
        print(line, end="")
        match = ROW.match(line)
        if match:
            rows.append((match[1], int(match[2]), float(match[4])))
    if not rows:
        sys.exit("plot_translate: no measurement on standard input")
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>')
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join([head, *grid(), *points(rows), "</svg>", ""]))


if __name__ == "__main__":
    main()
