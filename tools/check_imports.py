#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what drivers import. Usage: check_imports.py LIST.txt DRIVER.sys ...

LIST.txt has a line for each function that a driver may import: name, module, first system that has it, and after them
the source of that. A function that newer systems than the list's have does not belong there: it is looked up at run
time. Imports by number, delayed and bound imports are refused.
"""
import sys

import pe

KERNEL_MODULES = ("ntoskrnl.exe", "hal.dll", "cng.sys", "netio.sys")


def read_list(path):
    known = {}
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                fields = line.split(None, 3)
                if len(fields) != 4 or fields[1] not in KERNEL_MODULES or fields[0] in known:
                    sys.exit(f"{path}:{number}: not 'name module since source', a module that no driver may import, "
                             f"or a second line for {fields[0]}")
                known[fields[0]] = fields[1]
    return known


def check_driver(image, known):
    for index, what in (pe.DIRECTORY_DELAY, "delayed"), (pe.DIRECTORY_BOUND, "bound"):
        if image.directory(index)[1] != 0:
            yield f"has {what} imports"
    for module, name in image.imports():
        if name not in known:
            yield f"imports {name} of {module}, which is not in the list"
        elif known[name] != module.lower():
            yield f"imports {name} of {module}; the list has it of {known[name]}"


def main():
    list_path, *drivers = sys.argv[1:]
    known = read_list(list_path)
    errors, count = [], 0
    for path in drivers:
        try:
            image = pe.Image(path)
            errors += [f"{path}: {error}" for error in check_driver(image, known)]
            count += len(image.imports())
        except ValueError as error:
            errors.append(f"{path}: {error}")
    if not errors and count == 0:
        errors.append("no imports at all: was a driver named?")
    print("\n".join(errors) if errors else f"{count} imports, all in the list")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
