#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds drivers once more, from a copy of the source in another folder and without a compiler cache, and compares them
byte by byte, debug information too. Usage: check_same_build.py SOURCE TOOLCHAIN.cmake BUILD_TYPE
TARGET=FILE.sys ...
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LEFT_OUT = shutil.ignore_patterns(".git", "build", "__pycache__")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CCACHE_DISABLE": "1"})
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def build(root, source, toolchain, build_type, targets):
    copy, folder = Path(root, "another", "source"), Path(root, "build-elsewhere")
    shutil.copytree(source, copy, ignore=LEFT_OUT, symlinks=True)
    run("cmake", "-S", copy, "-B", folder, "-G", "Ninja", f"-DCMAKE_BUILD_TYPE={build_type}",
        f"-DCMAKE_TOOLCHAIN_FILE={copy}/cmake/{toolchain}")
    run("ninja", "-C", folder, *targets)
    return folder


def compare(first, second):
    a, b = first.read_bytes(), second.read_bytes()
    if a == b:
        return None
    place = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"{first.name}: {len(a)} and {len(b)} bytes, the first difference at {place:#x}"


def main():
    source, toolchain, build_type, *pairs = sys.argv[1:]
    drivers = dict(pair.split("=", 1) for pair in pairs)
    with tempfile.TemporaryDirectory() as root:
        folder = build(root, source, toolchain, build_type, drivers)
        differences = []
        for path in map(Path, drivers.values()):
            for name in path.name, path.name + ".debug":
                found = list(folder.rglob(name))
                if len(found) != 1:
                    sys.exit(f"the second build has {len(found)} files {name}")
                differences.append(compare(path.with_name(name), found[0]))
    differences = [d for d in differences if d is not None]
    print("\n".join(differences) if differences else f"{2 * len(drivers)} files, the same in both builds")
    return 1 if differences or not drivers else 0


if __name__ == "__main__":
    sys.exit(main())
