#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds what is packaged once more, in another folder, and compares the packages byte by byte. The second build stays in
BUILD_DIR/again, so that only the first run is slow. Usage: same_package.py SOURCE_DIR BUILD_DIR"""
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MAX_OUTPUT = 4000


def run(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-MAX_OUTPUT:]}")
    return done.stdout


def build_again(source, build):
    cache = (build / "CMakeCache.txt").read_text()
    kept = re.findall(r"^(CMAKE_BUILD_TYPE|CMAKE_TOOLCHAIN_FILE|EBPF_FOLDERS):\w+=(.+)$", cache, re.M)
    again = build / "again"
    run("cmake", "-S", source, "-B", again, "-G", "Ninja", *[f"-D{name}={value}" for name, value in kept])
    run("ninja", "-C", again, "package_files")
    return again


def different_files(one, two):
    with zipfile.ZipFile(one) as a, zipfile.ZipFile(two) as b:
        names = sorted(set(a.namelist()) | set(b.namelist()))
        return [n for n in names if n not in a.namelist() or n not in b.namelist() or a.read(n) != b.read(n)]


def main():
    source, build = (Path(p).resolve() for p in sys.argv[1:])
    make = source / "tools/package/make"
    with tempfile.TemporaryDirectory(prefix="ebpf-same-package-") as temporary:
        here, there = Path(temporary, "here"), Path(temporary, "there")
        run(sys.executable, make, build, here)
        run(sys.executable, make, build_again(source, build), there)
        names = sorted(f.name for f in here.iterdir())
        if len(names) != 2:
            sys.exit(f"made {names}, not a zip and an msi")
        different = [n for n in names if (here / n).read_bytes() != (there / n).read_bytes()]
        for name in different:
            inside = different_files(here / name, there / name) if name.endswith(".zip") else []
            print(f"{name} differs:", *inside)
    return 1 if different else 0


sys.exit(main())
