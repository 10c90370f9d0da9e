#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""module_driver_test.py FOLDER BPF2C.exe COMPILER SAMPLES TESTS.exe

Makes drivers of native modules in FOLDER by bpf2c and a compiler, and changed ones that are to be refused; runs TESTS.exe
on them; looks that no driver host has the image of one afterwards."""
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests/modules"))
import pe  # noqa: E402
from make import DLL, DRIVER, FLAGS, LIBRARIES  # noqa: E402

RUN = ROOT / "tools/wine-run"


def windows(path):
    return "Z:" + str(Path(path).resolve()).replace("/", "\\")


class Modules:
    def __init__(self, folder, bpf2c, compiler, samples):
        self.folder, self.bpf2c, self.compiler = Path(folder), bpf2c, compiler
        self.objects = {"droppacket": samples / "droppacket.o", "counter": samples / "counter.o",
                        "audit": ROOT / "tests/netsh/audit.o"}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def generate(self, name, mode):
        source = self.folder / f"{name}.c"
        subprocess.run([RUN, self.bpf2c, "--bpf", windows(self.objects[name]), mode, windows(source)], check=True)
        return source

    def compile(self, source, name, flags, libraries):
        subprocess.run([self.compiler, *FLAGS, *flags, "-I", ROOT / "include", source, "-o", self.folder / name, *libraries],
                       check=True)

    def driver(self, name):
        self.compile(self.generate(name, "--sys"), f"{name}.sys", DRIVER, LIBRARIES)

    def change(self, name, change, of="droppacket.sys"):
        """A copy whose read-only data, the object left out, is changed. The change has to be one."""
        data = bytearray((self.folder / of).read_bytes())
        section = next(s for s in pe.Image(self.folder / of).sections if s["name"] == ".rdata")
        area = slice(section["raw"], section["raw"] + section["size"])
        changed = change(bytes(data[area]))
        if len(changed) != area.stop - area.start or changed == bytes(data[area]):
            sys.exit(f"{name}: there is nothing to change")
        data[area] = changed
        (self.folder / name).write_bytes(data)


def digest_of(source):
    """Of the first program in generated C."""
    return bytes(int(number) for number in re.search(r"\.digest = \{([^}]*)\}", source).group(1).split(","))


def evidence_of(source):
    lines = re.search(r"p0_evidence\[\d+\] =\s*([^;]*);", source).group(1)
    joined = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', lines))
    return re.sub(rb"\\([0-7]{1,3}|.)", unescape, joined.encode("latin-1"))


def unescape(match):
    letter = match.group(1)
    plain = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
    return bytes([int(letter, 8)]) if letter.isdigit() else plain.get(letter, letter)


def replace(old, new):
    return lambda data: data.replace(old, new)


def make(modules):
    for name in modules.objects:
        modules.driver(name)
    drop, counter = (modules.generate(name, "--raw").read_text("latin-1") for name in ("droppacket", "counter"))
    digest = digest_of(drop)
    modules.change("wrong_digest.sys", replace(digest, bytes([digest[0] ^ 1]) + digest[1:]))
    modules.change("other_version.sys", replace(struct.pack("<II", 0x6D466245, 1), struct.pack("<II", 0x6D466245, 2)))
    modules.change("missing_helper.sys", replace(b"bpf_map_lookup_elem\0", b"bpf_map_lookup_none\0"))
    modules.change("other_evidence.sys", replace(evidence_of(drop), evidence_of(counter)))
    modules.change("unverified.sys", unbounded)
    whole = (modules.folder / "droppacket.sys").read_bytes()
    (modules.folder / "truncated.sys").write_bytes(whole[:len(whole) * 2 // 3])
    header = struct.unpack_from("<I", whole, 0x3C)[0]
    (modules.folder / "arm64.sys").write_bytes(whole[:header + 4] + struct.pack("<H", 0xAA64) + whole[header + 6:])
    (modules.folder / "missing_driver.sys").write_bytes(re.sub(rb"(?i)netio\.sys\0", b"netno.sys\0", whole))
    (modules.folder / "signed.sys").write_bytes(with_certificate(whole, header))
    modules.compile(modules.generate("droppacket", "--dll"), "process.dll", DLL, [])


def with_certificate(whole, header):
    """With a table of certificates that nobody has signed: Wine's loader looks at none."""
    padded = whole + b"\0" * (-len(whole) % 8)
    table = struct.pack("<IHH", 16, 0x200, 2) + bytes(8)
    directory = header + 24 + pe.OPTIONAL_SIZE + 8 * 4
    return padded[:directory] + struct.pack("<II", len(padded), len(table)) + padded[directory + 8:] + table


def unbounded(data):
    """The canonical program: a comparison with the end of the frame that covers less than is read."""
    return data.replace(b"\0\4\0\0\0\1\42N", b"\0\4\0\0\0\1\16N") # r4 += 34; if r4 > ...


def images_left():
    """Images of modules' drivers that are mapped somewhere, other than those that did not start: Wine keeps them."""
    prefix = os.environ.get("EBPF_WINEPREFIX", ROOT / "build/wine-prefix")
    drivers = str((Path(prefix) / "drive_c/windows/system32/drivers").resolve()) + "/ebpf_"
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            found |= {line[line.index(drivers):] for line in maps.read_text().splitlines() if drivers in line}
        except OSError:
            pass
    return {path for path in found if not re.search(r"ebpf_(other_version|missing_driver)_", path)}


def main():
    folder, bpf2c, compiler, samples, tests = sys.argv[1:]
    make(Modules(folder, bpf2c, compiler, Path(samples)))
    status = subprocess.run([RUN, tests], env=dict(os.environ, MODULE_TEST_DIR=windows(folder)), check=False).returncode
    left = images_left()
    if left:
        print("FAILED: images of modules are still loaded: " + ", ".join(sorted(left)))
    return status or (1 if left else 0)


if __name__ == "__main__":
    sys.exit(main())
