#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what a program does not contain. Usage: check_absent.py NM PROGRAM --present NAME... --absent PREFIX...

No defined symbol may begin with one of the prefixes. The names that must be present show that the program still has its
symbols, without which nothing could be found. Reads ELF and PE.
"""
import argparse
import subprocess
import sys


def read_symbols(nm, program):
    text = subprocess.run([nm, "-P", program], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines()]
    return {row[0] for row in rows if len(row) > 1 and row[1] not in "Uw"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nm")
    parser.add_argument("program")
    parser.add_argument("--present", nargs="+", required=True)
    parser.add_argument("--absent", nargs="+", required=True)
    options = parser.parse_args()
    symbols = read_symbols(options.nm, options.program)
    missing = [name for name in options.present if name not in symbols]
    strangers = sorted(name for name in symbols if name.startswith(tuple(options.absent)))
    for name in missing:
        print(f"{options.program}: {name} is not there: is the program stripped?")
    for name in strangers:
        print(f"{options.program}: contains {name}")
    return 1 if missing or strangers else 0


if __name__ == "__main__":
    sys.exit(main())
