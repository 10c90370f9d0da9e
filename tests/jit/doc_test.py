#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the listings of docs/jit.md with what jit_show prints: doc_test.py JIT_SHOW ROOT [--rebase].

A listing is a fenced block whose first line is "--- PASS ---", or "@PASS" before it was filled in.
"""
import re
import subprocess
import sys


def outputs(show, root):
    text = subprocess.run([show, "--native-frame", root + "/tests/jit/example.s"], check=True, capture_output=True,
                          text=True).stdout
    parts = re.split(r"^--- (\S+) ---\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def main():
    show, root = sys.argv[1:3]
    path = root + "/docs/jit.md"
    with open(path, encoding="utf-8") as f:
        document = f.read()
    wanted = outputs(show, root)
    found = []

    def listing(match):
        name = match.group(1) or match.group(2)
        found.append(name)
        return "```\n--- %s ---\n%s```" % (name, wanted.get(name, "(nothing)\n"))

    fresh = re.sub(r"```\n(?:@(\S+)\n|--- (\S+) ---\n.*?)```", listing, document, flags=re.S)
    if "--rebase" in sys.argv:
        with open(path, "w", encoding="utf-8") as f:
            f.write(fresh)
        return 0
    if not found:
        print("docs/jit.md has no listing")
        return 1
    if fresh != document:
        print("docs/jit.md does not show what jit_show prints; see %s, then rebase: %s JIT_SHOW ROOT --rebase" %
              (", ".join(found), sys.argv[0]))
        return 1
    return 0


sys.exit(main())
