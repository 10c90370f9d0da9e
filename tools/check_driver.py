#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the headers of drivers. Usage: check_driver.py x86_64|aarch64 DRIVER.sys ...

Windows refuses a driver whose checksum is wrong, and memory integrity one with a section that is writable and
executable. It stops at an exception in a function whose frame it cannot undo. A time stamp or debug information would make each build different.
"""
import sys

import pe

MACHINES = {"x86_64": 0x8664, "aarch64": 0xAA64}
SUBSYSTEM_NATIVE = 1
FILE_DLL = 0x2000
HIGH_ENTROPY, DYNAMIC_BASE, NX_COMPAT = 0x20, 0x40, 0x100
SECTION_EXECUTE, SECTION_WRITE = 0x20000000, 0x80000000


def check_driver(machine, image):
    wanted = HIGH_ENTROPY | DYNAMIC_BASE | NX_COMPAT
    if image.machine != MACHINES[machine] or image.subsystem != SUBSYSTEM_NATIVE or image.characteristics & FILE_DLL:
        yield f"is not a native program for {machine}"
    if image.dll_characteristics & wanted != wanted:
        yield f"DllCharacteristics are {image.dll_characteristics:#x}: no address randomisation, or data is executable"
    if not any(section["name"] == ".reloc" for section in image.sections):
        yield "cannot be relocated"
    if image.directory(pe.DIRECTORY_EXCEPTION)[1] == 0:
        yield "has no unwind data"
    if image.timestamp != 0:
        yield "has a time stamp"
    if image.checksum != image.computed_checksum():
        yield f"the checksum is {image.checksum:#x}, not {image.computed_checksum():#x}"
    for section in image.sections:
        if section["flags"] & SECTION_EXECUTE and section["flags"] & SECTION_WRITE:
            yield f"section {section['name']} is writable and executable"
        if section["name"].startswith((".debug", "/")):
            yield f"section {section['name']} belongs into the file beside it"


def main():
    machine, *paths = sys.argv[1:]
    errors = []
    for path in paths:
        try:
            errors += [f"{path}: {error}" for error in check_driver(machine, pe.Image(path))]
        except ValueError as error:
            errors.append(f"{path}: {error}")
    print("\n".join(errors) if errors else f"{len(paths)} drivers, all well formed")
    return 1 if errors or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
