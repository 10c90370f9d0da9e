#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what kernel-safe code imports. Usage: check_symbols.py [--sanitizer] NM LAYERS.TXT FOLDER=LIBRARY.a ...

The libraries of kernel-safe folders (docs/layers.txt) may leave undefined only mem*, what another kernel-safe library
defines, and the compiler's integer helpers below. plat implements the operating system and is not checked itself.
--sanitizer also allows the run-time calls of ASan and UBSan. Reads ELF and PE archives.
"""
import re
import subprocess
import sys

ALLOWED = re.compile(r"memcpy|memmove|memset|memcmp|_GLOBAL_OFFSET_TABLE_|"
                     r"__u?(?:div|mod)ti3|__multi3|__(?:ashl|ashr|lshr)ti3|__popcount[sdt]i2|"  # 128-bit integers
                     r"__stack_chk_(?:fail|guard)|"  # the stack protector; plat brings them
                     r"__aarch64_(?:cas|swp|ldadd|ldclr|ldeor|ldset)\d+_\w+")  # out-of-line atomics
ALLOWED_BY_FOLDER = {}  # folder -> set of names; empty, and best kept so
SANITIZER = re.compile(r"__(?:asan|ubsan|sanitizer)_\w+|__(?:start|stop)_asan_globals")
FLOAT = re.compile(r"_?fltused|__(?:add|sub|mul|div|neg|pow|fix|fixuns|float|floatun|extend|trunc|cmp|eq|ne|lt|le|"
                   r"gt|ge|unord)\w*?(?:hf|sf|df|xf|tf)\w*")


def read_kernel_safe(path):
    with open(path) as lines:
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {folder for _, folder, safety in rows if safety == "yes"}


def read_symbols(nm, library):
    """Defined names, and undefined ones with the first member that wants each."""
    text = subprocess.run([nm, "-A", "-P", "-g", library], check=True, capture_output=True, text=True).stdout
    defined, undefined = set(), {}
    for line in text.splitlines():
        match = re.match(r".*\[(.+)\]: (\S+) (\w)", line) or re.match(r"(.+): (\S+) (\w)", line)
        if match and match[3] in "Uw":
            undefined.setdefault(match[2], match[1])
        elif match:
            defined.add(match[2])
    return defined, undefined


def main():
    arguments = sys.argv[1:]
    sanitizer = "--sanitizer" in arguments
    nm, layers, *pairs = [a for a in arguments if a != "--sanitizer"]
    safe = read_kernel_safe(layers)
    libraries = {folder: read_symbols(nm, path) for folder, path in (p.split("=", 1) for p in pairs) if folder in safe}
    if not any(defined for defined, _ in libraries.values()):
        sys.exit("no symbols found: is the build complete?")
    available = set().union(*(defined for defined, _ in libraries.values()))
    errors = []
    for folder, (_, undefined) in libraries.items():
        for name, member in sorted(undefined.items()) if folder != "plat" else []:
            known = ALLOWED.fullmatch(name) or (sanitizer and SANITIZER.fullmatch(name))
            if not known and name not in available and name not in ALLOWED_BY_FOLDER.get(folder, ()):
                why = "floating point" if FLOAT.fullmatch(name) else "not available to kernel-safe code"
                errors.append(f"{folder}: {member} imports {name}: {why}")
    print("\n".join(errors) if errors else f"{len(libraries)} kernel-safe libraries import nothing else")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
