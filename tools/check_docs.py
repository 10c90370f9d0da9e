#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_docs.py ROOT: every relative link in a Markdown file and every path of the tree that one names in backticks
exists. Exit status 1 with one line a broken reference."""
import pathlib
import re
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
PATH = re.compile(r"`((?:src|tools|tests|docs|include|samples|cmake|\.ci|\.github)/[A-Za-z0-9_./-]*)`")


def references(text):
    for number, line in enumerate(text.splitlines(), 1):
        for match in LINK.finditer(line):
            if "://" not in match.group(1):
                yield number, match.group(1), True
        for match in PATH.finditer(line):
            yield number, match.group(1), False


def main():
    root = pathlib.Path(sys.argv[1])
    documents = [d for d in root.rglob("*.md") if "build" not in d.relative_to(root).parts]
    broken = 0
    for document in documents:
        for number, target, is_link in references(document.read_text(encoding="utf-8")):
            base = document.parent if is_link else root
            if not (base / target).exists():
                print(f"{document.relative_to(root)}:{number}: {target} does not exist")
                broken += 1
    print(f"{len(documents)} documents, {broken} broken references")
    return 1 if broken or not documents else 0


sys.exit(main())
