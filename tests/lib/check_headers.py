#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The public headers compile alone, in C and C++, with the extensions of Microsoft's compiler too. Usage:
    check_headers.py INCLUDE CLANG [TARGET]

TARGET is clang's; without it the system's own. For Microsoft's (x86_64-pc-windows-msvc) there are no headers of the C
library here: what the public headers need of them is declared by the check itself.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

LANGUAGES = (("c", "c11"), ("c", "c17"), ("c++", "c++11"), ("c++", "c++20"))
EXTENSIONS = ([], ["-fms-extensions"])
MICROSOFT = ["-fms-compatibility", "-fms-compatibility-version=19.40", "-ffreestanding", "-isystem"]
STRING_H = """#pragma once
#include <stddef.h>
#ifdef __cplusplus
extern "C"
#endif
void *memset(void *, int, size_t);
"""
# Headers for applications; those for eBPF programs are in ebpf_prog, for another target.
FOLDERS = ("", "bpf")


def compile_text(clang, include, language, standard, options, text):
    command = [clang, "-x", language, f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
               "-I", include, *options, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True)


def target_options(target, folder):
    """Options for a target; `folder` is for headers that it lacks."""
    if "msvc" not in target:
        return [f"--target={target}", "-D_UCRT", "-D_WIN32_WINNT=0x0A00"]
    Path(folder, "string.h").write_text(STRING_H)
    return [f"--target={target}", *MICROSOFT, folder]


def public_headers(include, windows):
    names = [path.relative_to(include).as_posix() for folder in FOLDERS
             for path in sorted(Path(include, folder).glob("*.h"))]
    return [name for name in names if windows or name != "bpf/bpf_windows.h"]  # takes the place of <linux/bpf.h>


def check(include, clang, options, names):
    """What is wrong, or None."""
    for language, standard in LANGUAGES:
        for extensions in EXTENSIONS:
            for header in names:
                done = compile_text(clang, include, language, standard, options + extensions,
                                    f"#include <{header}>\n#include <{header}>\n")
                if done.returncode != 0:
                    return f"{header} as {standard} {' '.join(options + extensions)}:\n{done.stderr}"
    if compile_text(clang, include, "c", "c17", options, "#include <bpf/none.h>\n").returncode == 0:
        return "a header that is not there compiles"
    return None


def main():
    include, clang = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        options = target_options(sys.argv[3], folder) if len(sys.argv) > 3 else []
        names = public_headers(include, len(sys.argv) > 3)
        error = check(include, clang, options, names)
    print(error or f"{len(names)} headers compile alone")
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
