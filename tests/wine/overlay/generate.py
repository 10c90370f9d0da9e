#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""generate.py before OBJDUMP NTOSKRNL.EXE FOLDER: from the installed Wine's ntoskrnl.exe make wntoskrnl.dll (the same
file without the mark that makes Wine load it from its own folder) and wine.def (an import library's list of it).
generate.py after OBJDUMP NM NTOSKRNL.EXE FOLDER OBJECT...: from what the overlay's objects define (overlay_X) make
overlay.def: X is exported as overlay_X, every other name of Wine's is forwarded to wntoskrnl.

What is made from Wine's file stays in the build folder: it is Wine's, under the LGPL."""
import re
import subprocess
import sys
from pathlib import Path

MARK = b"Wine builtin DLL"


def exports_of(objdump, path):
    """Names that a PE file exports."""
    text = subprocess.run([objdump, "-p", path], check=True, capture_output=True, text=True).stdout
    table = text.split("[Ordinal/Name Pointer] Table", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\s*\[\s*\d+\]\s+(?:\+base\[\s*\d+\]\s+)?(?:[0-9a-f]+\s+)?(\S+)$", table, re.M)


def own_of(nm, objects):
    """Names that the overlay's objects define, without their prefix."""
    text = subprocess.run([nm, "--defined-only", "--extern-only", *objects], check=True, capture_output=True, text=True).stdout
    names = re.findall(r" T overlay_([A-Zv]\w*)$", text, re.M)
    return sorted(set(names))


def before(objdump, wine, folder):
    data = Path(wine).read_bytes()
    if data.count(MARK) != 1:
        sys.exit(f"{wine}: not the built-in ntoskrnl.exe of a Wine that the overlay knows")
    (folder / "wntoskrnl.dll").write_bytes(data.replace(MARK, bytes(len(MARK))))
    names = exports_of(objdump, wine)
    (folder / "wine.def").write_text("LIBRARY wntoskrnl.dll\nEXPORTS\n" + "\n".join(names) + "\n")


def after(objdump, nm, wine, folder, objects):
    own = own_of(nm, objects)
    lines = ["LIBRARY ntoskrnl.exe", "EXPORTS"]
    lines += [f"{name}=overlay_{name}" for name in own]
    lines += [f"{name}=wntoskrnl.{name}" for name in exports_of(objdump, wine) if name not in set(own)]
    (folder / "overlay.def").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "before":
        before(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        after(sys.argv[2], sys.argv[3], sys.argv[4], Path(sys.argv[5]), sys.argv[6:])
