#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what the code of an arm64 driver does to registers. Usage: check_registers.py OBJDUMP DRIVER.sys
       check_registers.py --selftest CC OBJDUMP

x18 is Windows' (the processor's block in the kernel) and is changed by nobody. A driver that uses vector registers would
have to save them. Instructions of later processors than Windows 10 runs on would fault there (atomics of Armv8.1).
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+[0-9a-f]{8}\s+(\S+)\s*(.*)$")
ATOMICS = re.compile(r"^(cas|swp|ld(add|clr|eor|set|smax|smin|umax|umin)|st(add|clr|eor|set))(a?l?|p)?[bh]?$")
RULES = [
    ("the platform's register", lambda name, operands: re.search(r"\b[xw]18\b", operands)),
    ("a vector register", lambda name, operands: re.search(r"\b[vqdshb]([12]?[0-9]|3[01])\b", operands)),
    ("an atomic instruction of Armv8.1", lambda name, operands: ATOMICS.match(name)),
]


def check(objdump, path):
    text = subprocess.run([objdump, "-d", path], capture_output=True, text=True, check=True).stdout
    count = 0
    for line in text.splitlines():
        found = INSTRUCTION.match(line)
        if found is None:
            continue
        count += 1
        operands = re.split(r"//|<", found[2])[0]
        for what, rule in RULES:
            if rule(found[1], operands):
                yield f"{path}: {what}: {line.strip()}"
    if count == 0:
        yield f"{path}: no instructions of arm64"
    else:
        print(f"{count} instructions")


BREAKS = [
    ("mov x18, x0", "the platform's register"),
    ("str x0, [x1, w18, uxtw]", "the platform's register"),
    ("fmov d0, x1", "a vector register"),
    ("ldr q31, [x0]", "a vector register"),
    ("movi v3.2d, #0", "a vector register"),
    (".arch_extension lse\nldaddal x0, x1, [x2]", "an atomic instruction"),
    (".arch_extension lse\ncasa w0, w1, [x2]", "an atomic instruction"),
    ("", "no instructions"),
]


def selftest(compiler, objdump):
    with tempfile.TemporaryDirectory() as root:
        for number, (code, expected) in enumerate([("ldxr x0, [x1]\nadd x17, x8, #0xd18", None)] + BREAKS):
            source, made = Path(root, f"{number}.s"), Path(root, f"{number}.o")
            source.write_text(f".text\n{code}\n")
            subprocess.run([compiler, "--target=aarch64-w64-windows-gnu", "-c", source, "-o", made], check=True)
            errors = list(check(objdump, made))
            if (expected is None and errors) or (expected and not (errors and expected in errors[0])):
                sys.exit(f"'{code}': {errors or 'nothing was said'}")
    print(f"{len(BREAKS)} broken rules were seen")


def main():
    if sys.argv[1] == "--selftest":
        return selftest(*sys.argv[2:])
    errors = list(check(*sys.argv[1:]))
    print("\n".join(errors[:20]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
