#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C that bpf2c makes of samples, compared with golden files.

Usage: golden.py BPF2C SAMPLES_FOLDER [--update]

Golden files leave out what is numbers only: the canonical program, its digest, the object. A program that fails
verification leaves no file behind. (modules.py: what compilers make of it.)
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NUMBERS = re.compile(r'^    ".*"(;|)$|^     \.digest = |^static const uint8_t \w+\[\d+\] =$|'
                     r"canonical_size = |evidence_size = |^    \.btf|^EBPF_NATIVE_OBJECT")
SAMPLES = ["droppacket", "counter", "linux_xdp"]
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


def check_rejected(bpf2c, path):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "module.c"
        done = subprocess.run([bpf2c, "--bpf", path, "--raw", out], capture_output=True, text=True)
        check(done.returncode == 1 and "packet-bounds" in done.stderr, f"bpf2c: {done.stdout}{done.stderr}")
        check(not out.exists(), "a rejected program left a C file behind")


# Whole, and the same for a driver but for one line.
def check_driver(bpf2c, path):
    texts = [subprocess.run([bpf2c, "--bpf", path, mode], capture_output=True, text=True).stdout
             for mode in ("--raw", "--sys")]
    include = "#include <ebpf_native.h>\n"
    check(texts[0].replace(include, include + "#include <ebpf_native_driver.h>\n") == texts[1] != texts[0], "bpf2c --sys")


def check_options(bpf2c, sample):
    for words, wanted in [([], "are needed"), (["--bpf"], "without its operand"), (["--what"], "unknown option"),
                          (["--bpf", sample, "--raw", "--hash", "MD5"], "SHA256"),
                          (["--bpf", "/no/such.o", "--raw"], "cannot read")]:
        done = subprocess.run([bpf2c, *words], capture_output=True, text=True)
        check(done.returncode == 1 and wanted in done.stderr and done.stdout == "", f"bpf2c {words}: {done.stderr}")
    check(subprocess.run([bpf2c, "--help"], capture_output=True).returncode == 0, "bpf2c --help")


def main():
    bpf2c, samples = sys.argv[1:3]
    for name in SAMPLES:
        path = f"{samples}/{name}.o"
        check_golden(bpf2c, path, name, "--update" in sys.argv)
    check_rejected(bpf2c, f"{samples}/bad/no_bounds_check.o")
    check_driver(bpf2c, f"{samples}/droppacket.o")
    check_options(bpf2c, f"{samples}/droppacket.o")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
