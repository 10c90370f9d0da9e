#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks sizes and form of the C sources. Usage: check_length.py ROOT

Files have at most 900 lines and functions at most 80 (from the line of the name to the closing brace); every .c,
.h and .def file starts with the SPDX line and has neither tabs nor blanks at line ends. Names the longest.
"""
import re
import sys
from pathlib import Path

MAX_FILE, MAX_FUNCTION = 900, 80
FOLDERS = ("src", "include", "samples", "tests", "tools")
SPDX = "// SPDX-License-Identifier: MIT"
SPDX_OF_MODULE = SPDX.replace("//", ";")  # .def files for the linker, as against tables
# What hides braces: comments, strings and character constants.
HIDDEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)\s*")


def code_of(text):
    """The text with the same lines, without comments, strings, directives and #else branches."""
    text = HIDDEN.sub(lambda m: "\n" * m[0].count("\n") if m[0][0] == "/" else '""' + "\n" * m[0].count("\n"), text)
    lines, skipping, depth, continued = [], 0, 0, False
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        if directive and not continued:
            word = directive[1]
            depth += word in ("if", "ifdef", "ifndef")
            if word in ("else", "elif") and not skipping:
                skipping = depth
            elif word == "endif":
                skipping = 0 if skipping == depth else skipping
                depth -= 1
        hidden = bool(directive) or continued or skipping
        continued = line.endswith("\\") and (bool(directive) or continued)
        lines.append("" if hidden else line)
    return "\n".join(lines)


def name_of(head):
    """Name and its offset of the function whose head this is: what stands before the last parentheses; or None."""
    head = ATTRIBUTE.sub(lambda m: " " * len(m[0]), head).rstrip()
    depth = 0
    for at in range(len(head) - 1, -1, -1) if head.endswith(")") and "=" not in head else ():
        depth += (head[at] == ")") - (head[at] == "(")
        if depth == 0:
            name = re.search(r"(\w+)\s*$", head[:at])
            return (name[1], name.start()) if name else None
    return None


def functions_of(text):
    """(name, line of the name, number of lines to the closing brace) of every function definition."""
    code, depth, start, found = code_of(text), 0, 0, None
    for at, c in enumerate(code):
        if c == "{":
            if depth == 0 and re.search(r'extern\s*""\s*$', code[start:at]):
                start = at + 1  # extern "C": its closing brace comes at depth 0
                continue
            if depth == 0:
                found = name_of(code[start:at])
            depth += 1
        elif c == "}" and depth:
            depth -= 1
            if depth == 0 and found:
                line = code.count("\n", 0, start + found[1]) + 1
                yield found[0], line, code.count("\n", 0, at) + 2 - line
        if depth == 0 and c in ";}":
            start, found = at + 1, None


def form_errors(where, text):
    if not text.startswith(SPDX + "\n") and not (where.endswith(".def") and text.startswith(SPDX_OF_MODULE + "\n")):
        yield f"{where}:1: the first line is not '{SPDX}'"
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line or line != line.rstrip():
            yield f"{where}:{number}: tab, or blank at the end of the line"


def main():
    root, errors, files, functions = Path(sys.argv[1]).resolve(), [], [], []
    paths = [p for folder in FOLDERS if (root / folder).is_dir() for p in sorted((root / folder).rglob("*"))]
    for path in (p for p in paths if p.suffix in (".c", ".h", ".def")):
        text, where = path.read_text(), str(path.relative_to(root))
        files.append((text.count("\n"), where))
        functions += [(size, f"{where}:{start} {name}") for name, start, size in functions_of(text)]
        errors += form_errors(where, text)
    errors += [f"{where}: {size} lines, the limit is {MAX_FILE}" for size, where in files if size > MAX_FILE]
    errors += [f"{where}: {size} lines, the limit is {MAX_FUNCTION}" for size, where in functions if size > MAX_FUNCTION]
    if not functions:
        errors.append("no functions found")
    for what, rows in ("files", files), ("functions", functions):
        print(f"longest {what}: " + ", ".join(f"{where} ({size})" for size, where in sorted(rows, reverse=True)[:5]))
    short = sum(size <= 45 for size, _ in functions)
    print("\n".join(errors) if errors else f"{len(functions)} functions, {short} of at most 45 lines")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
