#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C that bpf2c makes of samples, compared with golden files; the modules that bpftool makes of them.

Usage: golden.py BPF2C BPFTOOL SAMPLES_FOLDER [--update]

Golden files leave out what is numbers only (the canonical program, its digest) and the objects' digests. Each sample is
also compiled by `bpftool gen native`, twice in two folders: the bytes must be equal. A program that fails verification
leaves no file behind.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NUMBERS = re.compile(r"^    [0-9, ]+$|^     \.digest = |^static const uint8_t \w+\[\d+\] = \{$|^\};$|"
                     r"canonical_size = |evidence_size = ")
SAMPLES = ["droppacket", "counter"]
failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print("FAILED", what)


def text_of(bpf2c, path):
    done = subprocess.run([bpf2c, "--bpf", path, "--raw"], capture_output=True, text=True)
    check(done.returncode == 0, f"bpf2c {path}: {done.stderr}")
    return "\n".join(line for line in done.stdout.splitlines() if not NUMBERS.search(line)) + "\n"


def check_golden(bpf2c, path, name, update):
    text, golden = text_of(bpf2c, path), HERE / "golden" / f"{name}.txt"
    if update:
        golden.write_text(text)
    check(golden.exists() and golden.read_text() == text, f"{golden.name} is not what bpf2c writes (--update)")


def module(bpftool, path, folder):
    out = Path(folder) / "module.so"
    done = subprocess.run([bpftool, "gen", "native", path, "--target", "linux", "-o", out], capture_output=True,
                          text=True)
    return done, out


def check_module(bpftool, path, name):
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        (first, a), (second, b) = module(bpftool, path, one), module(bpftool, path, two)
        if "no compiler for" in first.stderr:
            print("skipped:", first.stderr.strip())
            return
        check(first.returncode == 0 and second.returncode == 0, f"gen native {name}: {first.stderr}")
        check(a.exists() and b.exists() and a.read_bytes() == b.read_bytes(), f"{name}: two builds differ")


def check_rejected(bpf2c, bpftool, path):
    with tempfile.TemporaryDirectory() as folder:
        done, out = module(bpftool, path, folder)
        check(done.returncode == 1 and "packet-bounds" in done.stdout, f"gen native: {done.stdout}{done.stderr}")
        check(not out.exists(), "a rejected program left a module behind")
        out = Path(folder) / "module.c"
        done = subprocess.run([bpf2c, "--bpf", path, "--raw", out], capture_output=True, text=True)
        check(done.returncode == 1 and "packet-bounds" in done.stderr, f"bpf2c: {done.stdout}{done.stderr}")
        check(not out.exists(), "a rejected program left a C file behind")


def check_options(bpf2c, sample):
    for words, wanted in [([], "are needed"), (["--bpf"], "without its operand"), (["--what"], "unknown option"),
                          (["--bpf", sample, "--sys"], "later version"),
                          (["--bpf", sample, "--raw", "--hash", "MD5"], "SHA256"),
                          (["--bpf", "/no/such.o", "--raw"], "cannot read")]:
        done = subprocess.run([bpf2c, *words], capture_output=True, text=True)
        check(done.returncode == 1 and wanted in done.stderr and done.stdout == "", f"bpf2c {words}: {done.stderr}")
    check(subprocess.run([bpf2c, "--help"], capture_output=True).returncode == 0, "bpf2c --help")


def main():
    bpf2c, bpftool, samples = sys.argv[1:4]
    for name in SAMPLES:
        path = f"{samples}/{name}.o"
        check_golden(bpf2c, path, name, "--update" in sys.argv)
        check_module(bpftool, path, name)
    check_rejected(bpf2c, bpftool, f"{samples}/bad/no_bounds_check.o")
    check_options(bpf2c, f"{samples}/droppacket.o")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
