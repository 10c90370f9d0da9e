#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Native modules for another system than the one that builds: bpf2c runs in an emulator, the compiler does not.

Usage: make.py EMULATOR BPF2C CC INCLUDE ELF_FOLDER OUT_FOLDER NAME=OBJECT ...
"""
import shlex
import subprocess
import sys
from pathlib import Path

FLAGS = ["-O2", "-std=gnu17", "-fno-strict-aliasing", "-ffreestanding", "-nostdlib", "-shared", "-s",
         "-fno-tree-loop-distribute-patterns", "-Wl,--entry,0", "-Wl,--dynamicbase", "-Wl,--nxcompat"]


def main():
    emulator, bpf2c, cc, include, elf, out = sys.argv[1:7]
    for pair in sys.argv[7:]:
        name, base = pair.split("=")
        source, module = Path(out, name + ".c"), Path(out, name + ".so")
        module.unlink(missing_ok=True)
        words = shlex.split(emulator.replace(";", " ")) + [bpf2c, "--bpf", f"{elf}/{base}.o", "--raw"]
        source.write_text(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        subprocess.run([cc, *FLAGS, "-I", include, "-o", module, source], check=True)


main()
