#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden tests of bpftool. Usage: run.py BPFTOOL [--rebase] [--emulator "CMD ..."] [NAME ...]

A script NAME.in has commands, one a line: what follows "> " is bpftool's command line, run in a process of its own with
the in-process execution context. Lines after a command that reads "batch file -" are its standard input up to a line
"<". '#' starts a comment. NAME.out has what came out: the command, standard output, standard error with "! " before each
line, and the exit status when it is not 0. @ELF@ is tests/elf, @ESC@ the escape character, @TMP@ a
directory that holds only `in`, the bytes 0 to 39.
What differs from run to run (times, memory, digests) and the sentences of findings are replaced by a name. --rebase writes NAME.out anew.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ELF = HERE.parent / "elf"
VARYING = [
    (re.compile(r"loaded_at \S+"), "loaded_at TIME"),
    (re.compile(r'("loaded_at": ?)\d+'), r"\1TIME"),
    (re.compile(r"(duration(?: \(average\))?: )\d+ns"), r"\1TIME"),
    (re.compile(r'("duration": ?)\d+'), r"\1TIME"),
    (re.compile(r'("(?:time_us|run_time_ns)": ?)\d+'), r"\1TIME"),
    (re.compile(r"run_time_ns \d+"), "run_time_ns TIME"),
    (re.compile(r"\((\d+ insns), \d+ us\)"), r"(\1, TIME)"),
    (re.compile(r"memlock \d+B"), "memlock SIZE"),
    (re.compile(r'("bytes_memlock": ?)\d+'), r"\1SIZE"),
    (re.compile(r'("(?:states|peak_kb)": ?)\d+'), r"\1N"),
    (re.compile(r"tag [0-9a-f]{16}"), "tag TAG"),
    (re.compile(r'("tag": ?)"[0-9a-f]{16}"'), r'\1"TAG"'),
    # Findings are matched by rule, never by sentence.
    (re.compile(r"(-- BEGIN PROG LOAD LOG --\n).*?(\[[a-z-]+\]\n).*?(-- END)", re.DOTALL), r"\1... \2\3"),
    (re.compile(r"^( +(?:needed|known|hint): +).*$", re.MULTILINE), r"\1TEXT"),
    (re.compile(r"^(  (?! )(?:\S+:\d+: )?).* (\[[a-z-]+\])$", re.MULTILINE), r"\1TEXT \2"),
    (re.compile(r'("message": ?)"(?:[^"\\]|\\.)*"(,\s*"needed")'), r'\1"TEXT"\2'),
    (re.compile(r'("(?:needed|known|hint)": ?)"(?:[^"\\]|\\.)*"'), r'\1"TEXT"'),
]


def normalise(text, tmp):
    text = text.replace("\r\n", "\n").replace(str(ELF), "@ELF@").replace(tmp, "@TMP@")
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text


def steps(lines):
    """Pairs of command line and standard input."""
    lines = iter(lines)
    for line in lines:
        if line.startswith("> "):
            stdin = []
            if line.endswith("batch file -"):
                for extra in lines:
                    if extra == "<":
                        break
                    stdin.append(extra)
            yield line[2:], "\n".join(stdin) + "\n"
        elif line and not line.startswith("#"):
            raise SystemExit(f"not a command: {line}")


def run_script(path, bpftool, emulator):
    out = []
    environment = dict(os.environ, EBPF_TRANSPORT="inproc", TZ="UTC", LC_ALL="C")
    with tempfile.TemporaryDirectory(prefix="bpftool-") as tmp:
        Path(tmp, "in").write_bytes(bytes(range(40)))

        def place(text):
            return text.replace("@ELF@", str(ELF)).replace("@TMP@", tmp).replace("@ESC@", "\x1b")
        for command, stdin in steps(path.read_text().splitlines()):
            result = subprocess.run(emulator + [bpftool] + shlex.split(place(command))[1:], input=place(stdin).encode(),
                                    capture_output=True, env=environment, timeout=120, cwd=tmp)
            out.append(f"> {command}")
            out += normalise(result.stdout.decode(errors="replace"), tmp).splitlines()
            out += ["! " + line for line in normalise(result.stderr.decode(errors="replace"), tmp).splitlines()]
            if result.returncode != 0:
                out.append(f"[exit {result.returncode % 256}]")
    return [line.rstrip() for line in out]


def differences(path, got):
    golden = path.with_suffix(".out")
    expected = golden.read_text().splitlines() if golden.exists() else []
    if got == expected:
        return []
    import difflib
    return list(difflib.unified_diff(expected, got, golden.name, "now", lineterm=""))


def main():
    arguments = sys.argv[1:]
    rebase = "--rebase" in arguments
    emulator = []
    if "--emulator" in arguments:
        at = arguments.index("--emulator")
        emulator = shlex.split(arguments[at + 1].replace(";", " "))
        del arguments[at:at + 2]
    arguments = [a for a in arguments if a != "--rebase"]
    bpftool, names = str(Path(arguments[0]).resolve()), arguments[1:]
    scripts = sorted(p for p in HERE.glob("*.in") if not names or p.stem in names)
    failed = 0
    for path in scripts:
        got = run_script(path, bpftool, emulator)
        if rebase:
            path.with_suffix(".out").write_text("\n".join(got) + "\n")
            continue
        diff = differences(path, got)
        if diff:
            failed += 1
            print(f"FAILED {path.stem}")
            print("\n".join(diff))
    if not scripts:
        print("no script of that name")
        return 1
    print(f"{len(scripts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
