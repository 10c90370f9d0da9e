#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeded bugs. Usage: run.py BPFTOOL CLANG [--rebase] [--list] [--only TEXT]

Each bug of bugs.txt is put into its program, which is compiled and verified. The finding has to have one of the expected
rules and to name the guilty line (its own line, or the one that it says the cause is in); then the edits that its hint
proposes are applied, once, and the program has to verify. Prints the score and fails below 95 of 100 named and 80 of 100
repaired, when a program is accepted in spite of its bug, or when a program without bug is not accepted. The texts are
compared with golden/KIND.txt; --rebase writes them anew. --list shows each bug that was missed.
"""
import argparse
import concurrent.futures
import difflib
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
SEEDED, NAMED, REPAIRED = 100, 95, 80  # at least so many bugs; of 100 of them


class Bug:
    def __init__(self, block):
        self.kind, self.program = block[0].split()
        self.remove, self.add = [], []
        for line in block[1:]:
            mark, text = line[0], line[2:]
            if mark == "-":
                number = re.match(r"#(\d+) ", text)
                self.remove.append((int(number.group(1)) if number else 1, text[number.end():] if number else text))
            elif mark == "+":
                self.add.append(text)
            elif mark == "=":
                rules, guilty = text.split(" @ ")
                self.guilty = guilty.split(" | ")
                self.rules = rules.split("|")

    def apply(self, source):
        """The program with the bug. What is added stands where the last line was removed."""
        lines = source.split("\n")
        for number, text in self.remove:
            places = [i for i, line in enumerate(lines) if line is not None and line.strip() == text.strip()]
            if len(places) < number:
                raise SystemExit(f"{self.program} has no line: {text}")
            at = places[number - 1]
            indent = re.match(r"\s*", lines[at]).group()
            lines[at] = None
        lines[at] = [indent + text for text in self.add]
        return "\n".join(x for line in lines if line is not None for x in (line if isinstance(line, list) else [line]))


def read_bugs():
    block, bugs = [], []
    for line in (HERE / "bugs.txt").read_text().split("\n") + [""]:
        if line.startswith("#"):
            continue
        if line.strip():
            block.append(line)
        elif block:
            bugs.append(Bug(block))
            block = []
    return bugs


class Tools:
    def __init__(self, bpftool, clang, folder):
        self.bpftool, self.clang, self.folder = bpftool, clang, folder
        self.system = [x for path in sorted(glob.glob("/usr/include/*-linux-gnu")) for x in ("-idirafter", path)]

    def compile(self, source, name, stem):
        file = Path(self.folder, stem, os.path.basename(name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        headers = self.system if "<linux/bpf.h>" in source else [f"-I{ROOT}/include/ebpf_prog"]
        result = subprocess.run([self.clang, "-target", "bpf", "-g", "-O2", "-mcpu=v3", "-w", "-fdebug-compilation-dir=.",
                                 *headers, "-c", file.name, "-o", "object.o"], cwd=file.parent, capture_output=True, text=True)
        return (str(file.parent / "object.o"), "") if result.returncode == 0 else (None, result.stderr)

    def verify(self, path):
        reply = subprocess.run([self.bpftool, "-j", "prog", "verify", path], capture_output=True, timeout=60)
        report = json.loads(reply.stdout)
        findings = [f for p in report.get("programs", []) for f in p["findings"]]
        return reply.returncode, findings

    def text(self, path):
        reply = subprocess.run([self.bpftool, "prog", "verify", path], capture_output=True, timeout=60, text=True)
        lines = [line for line in reply.stdout.split("\n") if ": accepted (" not in line]
        return re.sub(r" \(\d+ insns, \d+ us\)", "", "\n".join(lines))


def repair(source, edits):
    lines = source.split("\n")
    for edit in sorted(edits, key=lambda e: -e["line"]):
        at = edit["line"] - 1
        indent = re.match(r"\s*", lines[at]).group()
        if edit["action"] == "delete":
            del lines[at]
        elif edit["action"] == "replace":
            lines[at] = indent + edit["text"]
        else:
            lines.insert(at + (edit["action"] == "insert-after"), indent + edit["text"])
    return "\n".join(lines)


class Outcome:
    def __init__(self):
        self.problem, self.named, self.repaired, self.why, self.text = "", False, False, "", ""


def try_bug(tools, bug, number):
    out = Outcome()
    source = bug.apply((HERE / bug.program).read_text())
    path, error = tools.compile(source, bug.program, f"bug{number}")
    if path is None:
        out.problem = "does not compile: " + error
        return out
    status, findings = tools.verify(path)
    if status != 1 or not findings:
        out.problem = "is accepted" if status == 0 else f"verification ends with {status}"
        return out
    out.text = tools.text(path)
    finding = findings[0]
    guilty = {i + 1 for i, line in enumerate(source.split("\n")) if any(g in line for g in bug.guilty)}
    if not guilty:
        raise SystemExit(f"{bug.program} has no guilty line: {bug.guilty}")
    names = {finding["line"], finding.get("related", {}).get("line"), finding.get("lost", {}).get("line")}
    out.named = finding["rule"] in bug.rules and bool(guilty & names)
    if not out.named:
        out.why = f"named {finding['rule']} in {sorted(x for x in names if x)}, wanted {bug.rules} in {sorted(guilty)}"
    if not finding["edits"]:
        out.why += f"; no edit: {finding['hint']}"
        return out
    path, error = tools.compile(repair(source, finding["edits"]), bug.program, f"fix{number}")
    if path is None:
        out.why += f"; the repair {finding['edits']} does not compile: {error}"
        return out
    status, findings = tools.verify(path)
    out.repaired = status == 0
    if not out.repaired:
        out.why += f"; after {[(e['action'], e['line'], e['text']) for e in finding['edits']]}: {findings[0]['rule']} " \
                   f"in {findings[0]['line']}: {findings[0]['message']}"
    return out


def check_golden(kind, texts, rebase):
    golden = HERE / "golden" / f"{kind}.txt"
    got = "\n".join(texts)
    if rebase:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(got)
        return True
    expected = golden.read_text() if golden.exists() else ""
    diff = list(difflib.unified_diff(expected.split("\n"), got.split("\n"), golden.name, "now", lineterm=""))
    if diff:
        print("\n".join(diff))
    return not diff


def check_tutorial():
    """What docs/debugging.md shows as output is in the golden files."""
    golden = "".join(path.read_text() for path in sorted((HERE / "golden").glob("*.txt")))
    golden = "\n".join(line[2:] if line.startswith("  ") else line for line in golden.split("\n"))
    blocks = re.findall(r"^```text\n(.*?)^```$", (ROOT / "docs" / "debugging.md").read_text(), re.MULTILINE | re.DOTALL)
    missing = [block for block in blocks if block not in golden]
    for block in missing:
        print(f"docs/debugging.md shows what is not said any more:\n{block}")
    return len(missing) + (not blocks)


def check_programs(tools, bugs):
    """Without bugs all programs verify."""
    failed = 0
    for program in sorted({bug.program for bug in bugs}):
        path, error = tools.compile((HERE / program).read_text(), program, "whole")
        status, findings = tools.verify(path) if path is not None else (2, [])
        if status != 0:
            failed += 1
            print(f"{program} without a bug: {error or findings}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bpftool")
    parser.add_argument("clang")
    parser.add_argument("--rebase", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    if not Path("/usr/include/bpf/bpf_helpers.h").exists():
        print("skipped: <bpf/bpf_helpers.h> (libbpf-dev) is missing")
        return 77
    bugs = [b for b in read_bugs() if a.only in b.kind + " " + b.program]
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        tools = Tools(os.path.abspath(a.bpftool), a.clang, folder)
        failed = check_programs(tools, bugs)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(lambda x: try_bug(tools, x[1], x[0]), enumerate(bugs)))
    for bug, out in zip(bugs, outcomes):
        if out.problem:
            failed += 1
            print(f"{bug.kind} {bug.program} {bug.remove[0][1]!r} -> {bug.add}: {out.problem}")
        elif a.list and not (out.named and out.repaired):
            print(f"{bug.kind} {bug.program} {bug.remove[0][1]!r} -> {bug.add}: {out.why}")
    named, repaired = sum(o.named for o in outcomes), sum(o.repaired for o in outcomes)
    version = subprocess.run([a.clang, "--version"], capture_output=True, text=True).stdout
    if not a.only and "clang version 19." in version:  # others compile to other instructions
        for kind in sorted({b.kind for b in bugs}):
            texts = [f"### {b.program}: {' '.join(t for _, t in b.remove)} -> {' '.join(b.add)}\n{o.text}"
                     for b, o in zip(bugs, outcomes) if b.kind == kind]
            failed += not check_golden(kind, texts, a.rebase)
        failed += check_tutorial()
    if not a.only and len(bugs) < SEEDED:
        failed += 1
        print(f"the list has fewer than {SEEDED} bugs")
    print(f"{len(bugs)} seeded bugs, {named} named in the guilty line, {repaired} repaired by the hint")
    return 1 if failed or 100 * named < NAMED * len(bugs) or 100 * repaired < REPAIRED * len(bugs) else 0


if __name__ == "__main__":
    sys.exit(main())
