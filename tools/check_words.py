#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Assembles the texts of src/jit/arm64_words.def by llvm-mc and compares the words.

usage: check_words.py LLVM_MC SOURCE_DIR
"""
import re
import subprocess
import sys

ROW = re.compile(r'^WORD\("([^"]+)", (0x[0-9a-f]{8}), ', re.M)


def main(llvm_mc, source):
    with open(f"{source}/src/jit/arm64_words.def", encoding="utf-8") as f:
        rows = ROW.findall(f.read())
    text = "".join(f"{row[0]}\n" for row in rows)
    out = subprocess.run([llvm_mc, "-triple=aarch64", "-mattr=+lse,+bti", "--show-encoding"], input=text, text=True,
                         capture_output=True, check=True).stdout
    words = [int.from_bytes(bytes(int(b, 16) for b in e.split(",")), "little")
             for e in re.findall(r"encoding: \[([^]]*)\]", out)]
    wrong = [f"{r[0]}: {r[1]} is stored, {w:#010x} is right" for r, w in zip(rows, words) if int(r[1], 16) != w]
    for line in wrong:
        print(line)
    print(f"{len(rows)} instructions, {len(wrong)} wrong")
    return 0 if rows and len(words) == len(rows) and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
