#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Injected bugs: each entry of injected.txt breaks one line of the verifier; the test that it names must fail then.

usage: inject.py --build DIR --host PROGRAM --objects FILE... --libraries FILE... [--only PART] [--jobs N]

For each bug a copy of the source file with the one change is compiled (with the flags of compile_commands.json) and
linked in front of the libraries into the host, a program with all the tests. A bug is caught when a named case fails,
or the program dies of it. First the host without a bug must pass every named case. An entry whose text is not in its
file exactly once is an error: the list does not rot."""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import time

TIMEOUT = 60


class Bug:
    def __init__(self, name, path, tests, line):
        self.name, self.path, self.tests, self.line = name, path, tests, line
        self.right, self.wrong, self.error = [], [], None


def read_list(path):
    bugs = []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("bug "):
            name, file, tests = [part.strip() for part in line[4:].split("|")]
            bugs.append(Bug(name, file, tests.split(), number))
        elif line.startswith("- "):
            bugs[-1].right.append(line[2:])
        elif line.startswith("+"):
            bugs[-1].wrong.append(line[2:])
        else:
            sys.exit(f"{path}:{number}: neither 'bug', '-' nor '+'")
    return bugs


def words(text):
    """A pattern for `text` in which runs of white space are equal."""
    return r"\s+".join(re.escape(word) for word in text.split())


def mutate(bug, source):
    text = open(os.path.join(source, bug.path), encoding="utf-8").read()
    found = list(re.finditer(words("\n".join(bug.right)), text))
    if len(found) != 1:
        bug.error = f"line {bug.line}: its text is {len(found)} times in {bug.path}, not once"
        return None
    match = found[0]
    return text[:match.start()] + "\n".join(bug.wrong) + text[match.end():]


def commands(build, source):
    """Compiler arguments by source file, without output and input."""
    result = {}
    for row in json.load(open(os.path.join(build, "compile_commands.json"), encoding="utf-8")):
        path = os.path.relpath(row["file"], source)
        # Only the library's own compilation: tests may compile the same file in another way.
        if re.match(r"src/(domain|verifier|spec)/", path) and "_tests.dir" not in row["command"]:
            arguments = shlex.split(row["command"])
            kept = []
            skip = False
            for argument in arguments:
                if skip or argument in ("-c", row["file"]):
                    skip = False
                elif argument in ("-o", "-MF", "-MT"):
                    skip = True
                elif argument != "-MD" and not argument.endswith("ccache"):
                    kept.append(argument)
            result[path] = kept
    return result


def includes(source, table, header):
    """Source files that a change of `header` (src/folder/name.h) reaches directly or through one more header."""
    name = header[len("src/"):]
    wanted = {name}
    for folder in ("src/domain", "src/verifier"):
        for file in os.listdir(os.path.join(source, folder)):
            if file.endswith(".h") and f'"{name}"' in open(os.path.join(source, folder, file), encoding="utf-8").read():
                wanted.add(f"{folder[4:]}/{file}")
    users = []
    for path in table:
        text = open(os.path.join(source, path), encoding="utf-8").read()
        if any(f'#include "{w}"' in text for w in wanted):
            users.append(path)
    return users


def run(command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)


def build_host(bug, text, options, table):
    folder = os.path.join(options.work, bug.name)
    copy = os.path.join(folder, bug.path)
    os.makedirs(os.path.dirname(copy), exist_ok=True)
    with open(copy, "w", encoding="utf-8") as out:
        out.write(text)
    users = [bug.path] if bug.path.endswith(".c") else includes(options.source, table, bug.path)
    objects = []
    for user in users:
        target = os.path.join(folder, user.replace("/", "_") + ".o")
        file = copy if user == bug.path else os.path.join(options.source, user)
        overlay = ["-I", os.path.join(folder, "src")]
        # What a change leaves unused is no error.
        command = [table[user][0]] + overlay + table[user][1:] + ["-w", "-Wno-error", "-c", file, "-o", target]
        done = run(command)
        if done.returncode != 0:
            bug.error = "does not compile:\n" + done.stdout.decode(errors="replace")
            return None
        objects.append(target)
    host = os.path.join(folder, "host")
    done = run([table[users[0]][0]] + options.link + ["-o", host] + objects + options.objects +
               ["-Wl,--start-group"] + options.libraries + ["-Wl,--end-group", "-lm"])
    if done.returncode != 0:
        bug.error = "does not link:\n" + done.stdout.decode(errors="replace")
        return None
    return host


def fails(host, test, environment):
    """True when the case fails or the program dies; False when it passes; None when no case has the name."""
    try:
        done = run([host, test], env=environment, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return True
    if b"\n0 passed, 0 failed" in b"\n" + done.stdout:
        return None
    return done.returncode != 0


def try_bug(bug, options, table):
    text = mutate(bug, options.source)
    host = build_host(bug, text, options, table) if text is not None else None
    if host is None:
        return bug, None
    caught = next((test for test in bug.tests if fails(host, test, options.environment)), None)
    os.remove(host)
    return bug, caught


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--objects", nargs="+", required=True)
    parser.add_argument("--libraries", nargs="+", required=True)
    parser.add_argument("--link", nargs="*", default=[])
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--least", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started = time.time()
    options.work = os.path.join(options.build, "injected")
    options.environment = dict(os.environ, ORACLE_STEPS=os.environ.get("ORACLE_STEPS", "60000"))
    listed = os.path.join(options.source, "tests/soundness/injected.txt")
    bugs = [bug for bug in read_list(listed) if options.only in bug.name]
    table = commands(options.build, options.source)
    failures = []
    for test in sorted({test for bug in bugs for test in bug.tests}):
        outcome = fails(options.host, test, options.environment)
        if outcome is not False:
            failures.append(f"{test}: " + ("no test has this name" if outcome is None else "fails without any bug"))
    caught = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for bug, test in pool.map(lambda one: try_bug(one, options, table), bugs):
            caught += test is not None
            if options.verbose:
                print(f"{bug.name}: {test}")
            if test is None:
                failures.append(f"{bug.name}: " + (bug.error or "not caught by " + " ".join(bug.tests)))
    for failure in failures:
        print("FAILED", failure)
    print(f"injected bugs: {caught} of {len(bugs)} caught ({time.time() - started:.0f} s)")
    if not options.only and len(bugs) < options.least:
        print(f"FAILED the list has fewer than {options.least} bugs")
        return 1
    return 1 if failures else 0


sys.exit(main())
