#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the shared library shows and needs. Usage:
    check_dll.py exports LIST LIBRARY OBJDUMP INCLUDE   what is exported is what LIST says, and what INCLUDE declares
    check_dll.py imports LIBRARY OBJDUMP                ebpfapi.dll stands on Windows and the UCRT, nothing else
    check_dll.py selftest LIST LIBRARY OBJDUMP INCLUDE  the checks above fail when they must

LIST has one name a line, sorted. OBJDUMP reads the library's format (PE or ELF).
"""
import re
import subprocess
import sys
from pathlib import Path

# What Windows 10 1809 has of its own. The C runtime is the one of the caller: descriptors and errno are shared with it.
SYSTEM = {"bcrypt.dll", "iphlpapi.dll", "kernel32.dll", "advapi32.dll", "ntdll.dll", "rpcrt4.dll", "ws2_32.dll"}
RUNTIME = re.compile(r"api-ms-win-crt-[a-z]+-l1-1-0\.dll|ucrtbase\.dll")
DECLARATION = re.compile(r"^\s*LIBBPF_API\b[^;{]*?\b(\w+)\s*\(", re.M)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pe_exports(text):
    table = text.partition("[Ordinal/Name Pointer] Table")[2].partition("\n\n")[0]
    return {line.split()[-1] for line in table.splitlines() if line.lstrip().startswith("[")}


def elf_exports(text):
    return {line.split()[-1] for line in text.splitlines()
            if re.match(r"[0-9a-f]+ g", line) and "*UND*" not in line}


def exports(library, objdump):
    if library.endswith(".dll"):
        return pe_exports(run(objdump, "-p", library))
    return elf_exports(run(objdump, "-T", library))


def imports(text):
    return {name.lower() for name in re.findall(r"DLL Name: (\S+)", text)}


def declared(include):
    return {name for path in Path(include).glob("**/*.h") for name in DECLARATION.findall(path.read_text())}


def export_errors(listed, found, wanted):
    errors = [f"{name}: exported, not in the list" for name in sorted(found - set(listed))]
    errors += [f"{name}: in the list, not exported" for name in sorted(set(listed) - found)]
    errors += [f"{name}: declared in a public header, not exported" for name in sorted(wanted - found)]
    errors += [f"{name}: exported, not declared in a public header" for name in sorted(found - wanted)]
    if listed != sorted(set(listed)):
        errors.append("the list is not sorted, or says something twice")
    return errors


def import_errors(found):
    errors = [f"{name}: neither Windows nor the UCRT" for name in sorted(found - SYSTEM) if not RUNTIME.fullmatch(name)]
    if not any(RUNTIME.fullmatch(name) for name in found):
        errors.append("no C runtime is imported: it would be a private one")
    return errors


def selftest(listed, found, wanted):
    assert not export_errors(listed, found, wanted)
    assert export_errors(listed[1:], found, wanted), "an export that is not listed"
    assert export_errors(listed + ["zzz"], found, wanted), "a listed name that is not exported"
    assert export_errors(listed, found, wanted | {"zzz"}), "a declaration without function"
    assert export_errors(listed, found - {listed[0]}, wanted), "a lost export"
    assert export_errors(listed, found, wanted - {listed[0]}), "a function without declaration"
    assert export_errors(listed[::-1], found, wanted), "an unsorted list"
    assert import_errors(imports("\tDLL Name: msvcrt.dll\n\tDLL Name: KERNEL32.dll\n"))
    assert import_errors(imports("\tDLL Name: KERNEL32.dll\n"))
    assert import_errors(imports("\tDLL Name: api-ms-win-crt-heap-l1-1-0.dll\n\tDLL Name: libgcc_s_seh-1.dll\n"))
    assert not import_errors(imports("\tDLL Name: api-ms-win-crt-heap-l1-1-0.dll\n\tDLL Name: RPCRT4.dll\n"))
    assert pe_exports(run("echo", "[Ordinal/Name Pointer] Table\n\t[   0] a\n\t[   1] b\n\n\t[ 2] c")) == {"a", "b"}


def main():
    if sys.argv[1] == "imports":
        errors = import_errors(imports(run(sys.argv[3], "-p", sys.argv[2])))
    else:
        listed = Path(sys.argv[2]).read_text().split()
        found, wanted = exports(sys.argv[3], sys.argv[4]), declared(sys.argv[5])
        if sys.argv[1] == "selftest":
            selftest(listed, found, wanted)
            return 0
        errors = export_errors(listed, found, wanted)
    print("\n".join(errors) if errors else "the library shows and needs what it should")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
