#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the one-way layers of docs/layers.txt. Usage: check_layers.py ROOT

A folder of src/ includes only folders of a lower layer, through their door folder/folder.h; platform #ifs live in plat,
hosts and the transports; pure folders never include plat; kernel-safe folders include no hosted system header.
"""
import re
import sys
from pathlib import Path

# Besides the doors and .def files.
OPEN_HEADERS = {"runtime/provider.h", "domain/scalar.h", "spec/contexts.h", "lib/transport.h", "lib/rpc_client.h"}
WITHOUT_PLAT = {"domain", "proof", "jit"}  # and what layers.txt calls pure: from bytes to bytes
FREESTANDING = {"float.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h"}
PLATFORM_IF = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(_WIN32|_WIN64|_KERNEL_MODE|_MSC_VER|__linux__|"
                         r"__linux|linux|__unix__|__APPLE__|__MINGW\w*|__CYGWIN__)\b")
TEST_CODE = re.compile(r"_test\.|_test_|testing|fuzz|fixture")  # names of files that may use tests/ and libc
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def read_layers(root):
    layers = {}
    for line in (root / "docs/layers.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            level, folder, safety = line.split()
            layers[folder] = (int(level), safety)
    return layers


def quoted_error(layers, folder, path, name, root):
    """What is wrong with #include "name" in a file of the folder, or None."""
    target, slash, _ = name.partition("/")
    if ".." in name.split("/"):
        return "relative include"
    if not slash or target == folder or target not in layers:
        if target == "tests" or (slash and target not in layers and not (root / "include" / name).exists()):
            return None if TEST_CODE.search(path.name) else "not a folder of docs/layers.txt"
        return None
    if layers[target][0] >= layers[folder][0]:
        return f"{target} (layer {layers[target][0]}) is not below {folder} (layer {layers[folder][0]})"
    if name != f"{target}/{target}.h" and name not in OPEN_HEADERS and not name.endswith(".def"):
        return f"not the door of {target}"
    without_plat = folder in WITHOUT_PLAT and not TEST_CODE.search(path.name)  # tests run what the folder makes
    if target == "plat" and (layers[folder][1] == "pure" or without_plat):
        return f"{folder} goes from bytes to bytes and never includes plat"
    return None


def file_errors(layers, folder, path, root):
    hosted = layers[folder][1] != "yes" or folder == "plat" or TEST_CODE.search(path.name)
    ifs_allowed = folder in ("plat", "hosts") or (folder == "lib" and path.name.startswith("transport_"))
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        where = f"{path.relative_to(root)}:{number}"
        include = INCLUDE.match(line)
        if include and include[1]:
            error = quoted_error(layers, folder, path, include[1], root)
            if error:
                yield f'{where}: #include "{include[1]}": {error}'
        elif include and not hosted and include[2] not in FREESTANDING and not (root / "include" / include[2]).exists():
            yield f"{where}: #include <{include[2]}>: kernel-safe code is freestanding"
        if PLATFORM_IF.match(line) and not ifs_allowed:
            yield f"{where}: platform #if outside plat, hosts and lib/transport_*"


def main():
    root = Path(sys.argv[1]).resolve()
    layers, errors, count = read_layers(root), [], 0
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        sources = sorted(p for p in folder.rglob("*") if p.suffix in (".c", ".h", ".def"))
        if sources and folder.name not in layers:
            errors.append(f"src/{folder.name}: not in docs/layers.txt")
            continue
        for path in sources:
            count += 1
            errors += file_errors(layers, folder.name, path, root)
    print("\n".join(errors) if errors else f"{count} files keep the layers")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
