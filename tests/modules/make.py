#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Native modules for another system than the one that builds: bpf2c runs in an emulator, the compiler does not.

Usage: make.py dll|driver EMULATOR BPF2C CC INCLUDE ELF_FOLDER OUT_FOLDER NAME=OBJECT ...
"""
import shlex
import subprocess
import sys
from pathlib import Path

# Those of the table in src/cli/gen_toolchain.c.
FLAGS = ("-O2 -std=gnu17 -fno-strict-aliasing -ffreestanding -nostdlib -s -fno-tree-loop-distribute-patterns "
         "-Wl,--no-insert-timestamp -Wl,--dynamicbase -Wl,--nxcompat -Wl,--high-entropy-va").split()
DLL = "-shared -Wl,--entry,0".split()
DRIVER = ("-Wl,--subsystem,native:10.0 -Wl,--entry,DriverEntry -Wl,--image-base,0x140000000 -mgeneral-regs-only "
          "-mno-stack-arg-probe -Wl,--enable-reloc-section").split()
LIBRARIES = ["-lntoskrnl", "-lnetio"]  # of a driver
KINDS = {"dll": ("--dll", DLL, []), "driver": ("--sys", DRIVER, LIBRARIES)}  # bpf2c's mode, flags, libraries


def main():
    kind, emulator, bpf2c, cc, include, elf, out = sys.argv[1:8]
    mode, flags, libraries = KINDS[kind]
    Path(out).mkdir(exist_ok=True)
    for pair in sys.argv[8:]:
        name, base = pair.split("=")
        source, module = Path(out, name + ".c"), Path(out, name + ".so")
        module.unlink(missing_ok=True)
        words = shlex.split(emulator.replace(";", " ")) + [bpf2c, "--bpf", f"{elf}/{base}.o", mode]
        source.write_text(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        subprocess.run([cc, *FLAGS, *flags, "-I", include, "-o", module, source, *libraries], check=True)


if __name__ == "__main__":
    main()
