#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks each rule of a house check in a small tree of its own and expects the check to fail, naming the place.
Usage: check_selftest.py layers|length|symbols [CC AR NM]
       check_selftest.py imports LIST.txt DRIVER.sys
       check_selftest.py driver x86_64|aarch64 DRIVER.sys
"""
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pe

TOOLS = Path(__file__).resolve().parent
LAYERS = "0 base yes\n1 plat yes\n2 spec yes\n3 elf pure\n3 domain yes\n4 runtime yes\n7 lib no\n"
HEAD = "// SPDX-License-Identifier: MIT\n"
GOOD = {
    "docs/layers.txt": LAYERS,
    "src/base/base.h": HEAD + "#include <stdint.h>\n",
    "src/base/result.def": HEAD,
    "src/plat/plat.c": HEAD + "#ifdef _WIN32\n#include <windows.h>\n#endif\n",
    "src/spec/spec.h": HEAD + '#include "base/base.h"\n#include "base/result.def"\n#include "spec/spec_int.h"\n',
    "src/elf/elf.c": HEAD + '#include "elf/elf.h"\n#include "spec/spec.h"\n#ifdef NDEBUG\n#endif\n',
    "src/runtime/map.c": HEAD + '#include "plat/plat.h"\n#include <stdatomic.h>\n// #ifdef _WIN32\n',
    "src/runtime/map_test.c": HEAD + '#include "tests/test.h"\n#include <stdio.h>\n',
    "src/lib/transport_socket.c": HEAD + '#include <sys/socket.h>\n#include "runtime/provider.h"\n#ifdef __linux__\n#endif\n',
    "src/base/exports.def": "; SPDX-License-Identifier: MIT\nEXPORTS\n",
    "src/base/long.c": HEAD + "static int f(int a)\n{\n" + "    a++; // }\n" * 76 + "    return a;\n}\n",
}
BREAKS = {
    "layers": [
        ("src/base/base.h", '#include "spec/spec.h"\n', "not below"),
        ("src/elf/elf.c", '#include "domain/domain.h"\n', "not below"),
        ("src/runtime/map.c", '#include "spec/spec_int.h"\n', "not the door"),
        ("src/runtime/map.c", '#  include "../spec/spec.h"\n', "relative include"),
        ("src/runtime/map.c", '#include "tests/test.h"\n', "not a folder"),
        ("src/runtime/map.c", "#include <stdio.h>\n", "freestanding"),
        ("src/runtime/map.c", "#if defined(_KERNEL_MODE)\n#endif\n", "platform #if"),
        ("src/lib/lib.c", "#ifdef __linux__\n#endif\n", "platform #if"),
        ("src/elf/elf.c", '#include "plat/plat.h"\n', "never includes plat"),
        ("src/domain/domain.c", '#include "plat/plat.h"\n', "never includes plat"),
        ("src/other/other.c", "\n", "not in docs/layers.txt"),
    ],
    "length": [
        ("src/base/long.c", "int g;\n" * 820, "lines, the limit is 900"),
        ("src/base/a.c", "int *f(void)\n{\n" + "    // {\n" * 80 + "}\n", "src/base/a.c:2 f: 83 lines"),
        ("src/base/a.c", "struct s {\n    int a;\n};\nint f(struct s s)\n{\n#if X\n    if (s.a) {\n#else\n    {\n#endif\n"
         + "        char c = '}';\n" * 80 + "    }\n}\n", "src/base/a.c:5 f"),
        ("src/base/a.c", "int a;\t\n", "tab, or blank"),
        ("src/base/a.c", "int a; \n", "tab, or blank"),
        ("include/a.h", None, "the first line is not"),
    ],
    "symbols": [
        ("int puts(const char *); int f(void) { return puts(\"\"); }", "imports puts: not available"),
        ("double __adddf3(double, double); void *f(void) { return (void *)&__adddf3; }", "__adddf3: floating point"),
        ("extern int other; int f(void) { return other; }", "imports other: not available"),
    ],
}
# Lines of the list of imports, as (what to find, what to put there).
BREAKS["imports"] = [
    ("ZwClose ", "Zw_lose ", "imports ZwClose of ntoskrnl.exe, which is not in the list"),
    ("memcpy                            ntoskrnl.exe", "memcpy hal.dll", "the list has it of hal.dll"),
    ("ZwClose                           ntoskrnl.exe", "ZwClose kernel32.dll", "a module that no driver may import"),
    ("DbgPrint  ", "ZwClose  ", "a second line for ZwClose"),
]
# Bytes of a driver: (how they change, what the check says).
BREAKS["driver"] = [
    (lambda image: (image.header + 8, "<I", 1), "has a time stamp"),
    (lambda image: (image.header + 24 + 64, "<I", image.checksum ^ 1), "the checksum is"),
    (lambda image: (image.header + 24 + 68, "<H", 3), "is not a native program for"),
    (lambda image: (image.header + 24 + 70, "<H", 0x140), "no address randomisation"),
    (lambda image: (image.header + 4, "<H", 0x14c), "is not a native program for"),
    (lambda image: (image.header + 24 + 112 + 8 * pe.DIRECTORY_EXCEPTION + 4, "<I", 0), "has no unwind data"),
    (lambda image: (image.section_header(0) + 36, "<I", 0xE0000020), "is writable and executable"),
    (lambda image: (image.section_header(1), "<8s", b".debug_x"), "belongs into the file beside it"),
    (lambda image: (image.header, "<I", 0), "not a PE file"),
]

GOOD_CODE = "void *memset(void *, int, unsigned long long); int base_f(void); int f(char *a) { memset(a, 0, 1); return base_f(); }"


def expect(command, good, text):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    if (done.returncode == 0) != good or text not in done.stdout + done.stderr:
        sys.exit(f"expected {'success' if good else 'failure'} with '{text}', got {done.returncode}:\n"
                 f"{done.stdout}{done.stderr}")


def check_tree(check, files, good, text):
    with tempfile.TemporaryDirectory() as root:
        for name, content in files.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        expect([TOOLS / f"check_{check}.py", root], good, text)


def check_library(tools, code, good, text):
    cc, ar, nm = tools
    with tempfile.TemporaryDirectory() as root:
        Path(root, "layers.txt").write_text(LAYERS)
        for name, source in ("base", "int base_f(void) { return 1; }"), ("runtime", code):
            Path(root, f"{name}.c").write_text(source + "\n")
            subprocess.run([cc, "-c", f"{name}.c", "-ffreestanding", "-o", f"{name}.o"], check=True, cwd=root)
            subprocess.run([ar, "qc", f"{name}.a", f"{name}.o"], check=True, cwd=root)
        expect([TOOLS / "check_symbols.py", nm, f"{root}/layers.txt", f"base={root}/base.a", f"runtime={root}/runtime.a"],
               good, text)


def check_imports(list_path, driver):
    text = Path(list_path).read_text()
    command = [TOOLS / "check_imports.py"]
    expect([*command, list_path, driver], True, "all in the list")
    expect([*command, list_path, __file__], False, "not a PE file")
    expect([*command, list_path], False, "was a driver named?")
    with tempfile.TemporaryDirectory() as root:
        for old, new, message in BREAKS["imports"]:
            if text.count("\n" + old) != 1:
                sys.exit(f"the list has not one line '{old}'")
            Path(root, "list.txt").write_text(text.replace("\n" + old, "\n" + new))
            expect([*command, f"{root}/list.txt", driver], False, message)


def check_driver(machine, driver):
    command = [TOOLS / "check_driver.py", machine]
    expect([*command, driver], True, "all well formed")
    with tempfile.TemporaryDirectory() as root:
        for change, message in BREAKS["driver"]:
            offset, layout, value = change(pe.Image(driver))
            data = bytearray(Path(driver).read_bytes())
            struct.pack_into(layout, data, offset, value)
            Path(root, "broken.sys").write_bytes(data)
            expect([*command, f"{root}/broken.sys"], False, message)


def main():
    check, *tools = sys.argv[1:]
    if check == "imports":
        check_imports(*tools)
    elif check == "driver":
        check_driver(*tools)
    elif check == "symbols":
        check_library(tools, GOOD_CODE, True, "import nothing else")
        for code, text in BREAKS[check]:
            check_library(tools, code, False, text)
    else:
        check_tree(check, GOOD, True, "")
        for name, change, text in BREAKS[check]:
            content = "" if change is None else GOOD.get(name, HEAD) + change
            check_tree(check, {**GOOD, name: content}, False, text)
    print(f"{len(BREAKS[check])} broken rules were seen")


if __name__ == "__main__":
    main()
