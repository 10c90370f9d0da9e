#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Native modules that must be refused: what bpf2c makes of objects of tests/elf, changed in one place and compiled, and
images changed in one place.

Usage: damage.py BPF2C CC INCLUDE ELF_FOLDER MODULES_FOLDER OUT_FOLDER
"""
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

OBJECT = re.compile(r"^EBPF_NATIVE_OBJECT\(.*?;$", re.MULTILINE | re.DOTALL)


def flip(match):
    return f"{match[1]}{int(match[2]) ^ 1}"


# name: object, what is searched for, what takes its place. The first occurrence.
IN_SOURCE = {
    "version": ("tiny_one", r"= EBPF_NATIVE_VERSION", "= EBPF_NATIVE_VERSION + 1"),
    "magic": ("tiny_one", r"= EBPF_NATIVE_MAGIC", "= 1"),
    "rows": ("tiny_one", r"= sizeof\(struct ebpf_native_program\)", "= 8"),
    "symbol": ("tiny_one", r"^#include <ebpf_native", "#define ebpf_native_module other_name\n#include <ebpf_native"),
    "digest": ("tiny_one", r"(\.digest = \{)(\d+)", flip),
    "evidence": ("rich_native", r"= p0_evidence", "= p1_evidence"),
    "program": ("rich_native", r"\.canonical = p0_canonical, \.canonical_size = sizeof\(p0_canonical\)",
                ".canonical = p1_canonical, .canonical_size = sizeof(p1_canonical)"),
    "helper": ("rich_native", r'"bpf_map_lookup_elem"', '"bpf_frobnicate"'),
    "stride": ("rich_native", r"\.stride = 8", ".stride = 16"),
    # r1 = 1 in place of r0 = 1: r0 is never written
    "verification": ("tiny_one", r"\\25\\0\\0", r"\\25\\0\\1"),
}


def source_of(bpf2c, elf, name):
    done = subprocess.run([bpf2c, "--bpf", elf / f"{name}.o", "--raw"], capture_output=True, text=True, check=True)
    return done.stdout


def build(cc, include, text, out):
    source = out.with_suffix(".c")
    source.write_text(text)
    subprocess.run([cc, "-O1", "-w", "-std=gnu17", "-fno-strict-aliasing", "-shared", "-fPIC", "-nostdlib",
                    "-I", include, "-o", out, source], check=True)
    source.unlink()
    out.chmod(0o644)


def change(text, pattern, replacement):
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
    if count != 1 or changed == text:
        raise SystemExit(f"damage.py: nothing is like {pattern}")
    return changed


def pe_around(pe, obj):
    """The image of src/elf/corpus_module, whose section is the last thing in the file, with another object."""
    image = bytearray(pe[:1024]) + b"EbFobj\0\1" + struct.pack("<Q", len(obj)) + obj
    entry = image.index(b".ebpfobj")
    struct.pack_into("<I", image, entry + 8, len(obj) + 16)
    struct.pack_into("<I", image, entry + 16, len(obj) + 16)
    return bytes(image)


def write(path, content, mode=0o644):
    path.write_bytes(content)
    path.chmod(mode)


def main():
    bpf2c, cc, include = sys.argv[1:4]
    elf, modules, out = map(Path, sys.argv[4:7])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, (base, pattern, replacement) in IN_SOURCE.items():
        build(cc, include, change(source_of(bpf2c, elf, base), pattern, replacement), out / f"{name}.so")
    # The object of one module in another.
    other = OBJECT.search(source_of(bpf2c, elf, "tiny_bind"))[0]
    build(cc, include, OBJECT.sub(lambda _: other, source_of(bpf2c, elf, "tiny_one")), out / "object.so")
    good = (modules / "one.so").read_bytes()
    write(out / "half.so", good[:len(good) // 2])
    write(out / "short.so", good[:-1])
    write(out / "empty.so", b"")
    write(out / "section.so", good.replace(b"\0.ebpfobj\0", b"\0.ebpfobx\0"))
    write(out / "machine.so", good[:18] + struct.pack("<H", 243) + good[20:])
    write(out / "writable.so", good, 0o664)
    pe = (Path(__file__).resolve().parents[2] / "src/elf/corpus_module/pe").read_bytes()
    write(out / "driver.sys", pe_around(pe, (elf / "tiny_one.o").read_bytes()))
    pe = pe[:156] + b"\3" + pe[157:]  # its subsystem: not the kernel
    write(out / "windows.dll", pe_around(pe, (elf / "tiny_one.o").read_bytes()))
    os.symlink(modules / "one.so", out / "link.so")


main()
