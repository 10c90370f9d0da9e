#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ./dev package makes of a build: contents, sums, INF, MSI, and that two runs make the same bytes.
Usage: package_test.py BUILD_DIR [NAME ...]"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
import inf  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MAKE = ROOT / "tools/package/make"
MUST_HAVE = {
    "ebpf-setup.exe", "ebpfsvc.exe", "ebpfapi.dll", "ebpfnetsh.dll", "bpftool.exe", "drivers/ebpfcore.sys",
    "drivers/ebpfcore.inf", "lib/libebpfapi.dll.a", "lib/ebpfapi.lib", "include/bpf/libbpf.h", "include/ebpf_api.h",
    "include/ebpf_prog/bpf_helpers.h", "docs/windows.md", "LICENSE", "README.md", "SHA256SUMS"}
# Name: type of the action (Microsoft's documentation of custom actions), condition, and what it must come before or after.
ACTIONS = {
    "SetupInstall": (0xC12, "install --in-place", "NOT Installed", ("InstallFiles", None)),
    "SetupUndo": (0xD52, "uninstall", "NOT Installed", ("InstallFiles", "SetupInstall")),
    "SetupUninstall": (0xC12, "uninstall", 'REMOVE="ALL"', ("InstallInitialize", "RemoveFiles")),
}


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def output_of(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, **options).stdout


def make(build, folder, **environment):
    output_of(MAKE, build, folder, env=dict(os.environ, **environment))
    return next(Path(folder).glob("*.zip")), next(Path(folder).glob("*.msi"))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Test:
    def __init__(self, build, temporary):
        self.build, self.temporary = build, Path(temporary)
        self.zip, self.msi = make(build, self.temporary / "first")
        with zipfile.ZipFile(self.zip) as archive:
            self.root = archive.namelist()[0].split("/")[0]
            self.infos = archive.infolist()
            self.files = {i.filename.partition("/")[2]: archive.read(i) for i in self.infos}
        self.version = re.fullmatch(r"ebpf-for-windows-(\d+\.\d+\.\d+)-x64", self.root)[1]

    def case_contents(self):
        check(self.zip.stem == self.root and self.msi.stem == self.root, f"{self.zip} {self.msi} {self.root}")
        check(all(i.filename.startswith(self.root + "/") for i in self.infos), "files outside of the folder")
        check(MUST_HAVE <= set(self.files), f"missing: {sorted(MUST_HAVE - set(self.files))}")
        headers = {"include/" + f.relative_to(ROOT / "include").as_posix() for f in (ROOT / "include").rglob("*.h")}
        check(headers <= set(self.files), f"missing: {sorted(headers - set(self.files))}")

    def case_setup_finds_its_files(self):
        rows = re.findall(r'^FILE_ROW\(\w+, "([^"]+)"', (ROOT / "src/hosts/setup_files.def").read_text(), re.M)
        check(rows, "no rows")
        for row in rows:
            check(row.replace("\\\\", "/") in self.files, f"{row} is not in the package")

    def case_sums(self):
        lines = self.files["SHA256SUMS"].decode().splitlines()
        sums = {name: value for value, name in (line.split("  ") for line in lines)}
        check(set(sums) == set(self.files) - {"SHA256SUMS"}, "the manifest names other files")
        for name, value in sums.items():
            check(sha256(self.files[name]) == value, f"{name}: wrong sum")

    def case_no_machine_in_it(self):
        for word in (str(ROOT), str(self.build), str(self.temporary)):
            for name, data in self.files.items():
                check(word.encode() not in data, f"{name} names {word}")

    def case_inf(self):
        errors = inf.errors_of(self.files["drivers/ebpfcore.inf"], self.version)
        check(not errors, "\n".join(errors))

    def case_inf_rules_find_mistakes(self):
        good = self.files["drivers/ebpfcore.inf"]
        mistakes = [
            (b"[DefaultInstall.NTamd64]", b"[DefaultInstall]"), (b"PnpLockdown = 1", b""), (b"\r\n", b"\n"),
            (b"CopyFiles = Driver.Files", b"CopyFiles = Other.Files"), (b"ebpfcore.sys = 1", b"other.sys = 1"),
            (b"ServiceType = 1", b"ServiceType = 16"), (b"%ServiceName%", b"%Missing%"), (b"LegacyUninstall = 1", b""),
            (b"StartType = 2", b"StartType = 0"), (b"$WINDOWS NT$", b"$CHICAGO$"), (b"eBPF core", b"eBPF c\xc3\xb6re"),
            (b".0\r\n", b"\r\n"), (b"AddService = ebpfcore", b"AddService = other")]
        for old, new in mistakes:
            check(old in good, f"{old} is not in the INF")
            check(inf.errors_of(good.replace(old, new), self.version), f"{old} -> {new} was not found")

    def case_same_bytes_again(self):
        again = make(self.build, self.temporary / "a folder of another length")
        for one, two in zip((self.zip, self.msi), again):
            check(one.read_bytes() == two.read_bytes(), f"{one.name} differs")
        moved = make(self.build, self.temporary / "dated", SOURCE_DATE_EPOCH="1700000000")
        check(moved[0].read_bytes() != self.zip.read_bytes(), "SOURCE_DATE_EPOCH does nothing")

    def case_an_incomplete_build_makes_nothing(self):
        half = self.temporary / "half"
        half.mkdir()
        shutil.copyfile(self.build / "CMakeCache.txt", half / "CMakeCache.txt")
        done = subprocess.run([MAKE, half, self.temporary / "nothing"], stderr=subprocess.PIPE, check=False)
        check(done.returncode == 1 and b"ebpfcore.sys" in done.stderr, done.stderr)
        check(not list((self.temporary / "nothing").glob("*")), "something was made")

    def table(self, name):
        rows = [line.split("\t") for line in output_of("msiinfo", "export", self.msi, name).decode().splitlines()]
        return [dict(zip(rows[0], row)) for row in rows[3:]]

    def case_msi_has_the_same_files(self):
        folder = self.temporary / "extracted"
        output_of("msiextract", "-C", folder, self.msi)
        found = {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
        root = next(iter(found)).split("ebpf/")[0] + "ebpf/"
        check({name[len(root):]: data for name, data in found.items()} == self.files, "the MSI has other files")

    def case_msi_actions(self):
        order = {r["Action"]: (int(r["Sequence"]), r["Condition"]) for r in self.table("InstallExecuteSequence")}
        actions = {r["Action"]: r for r in self.table("CustomAction")}
        setup = [r["File"] for r in self.table("File") if r["FileName"].split("|")[-1] == "ebpf-setup.exe"]
        check(set(actions) == set(ACTIONS), f"{sorted(actions)}")
        for name, (kind, command, condition, (after, before)) in ACTIONS.items():
            row = actions[name]
            check(int(row["Type"]) == kind and row["Target"] == command and [row["Source"]] == setup, f"{row}")
            check(order[name][1] == condition, f"{name}: {order[name]}")
            check(order[after][0] < order[name][0] < (order[before][0] if before else 6600), f"{name}: {order[name][0]}")
        removal = order["RemoveExistingProducts"][0]
        check(order["InstallInitialize"][0] < removal < order["InstallFiles"][0], f"RemoveExistingProducts at {removal}")

    def case_msi_identity(self):
        properties = {r["Property"]: r["Value"] for r in self.table("Property")}
        check(properties["ProductVersion"] == self.version and properties["ALLUSERS"] == "1", f"{properties}")
        check(properties["UpgradeCode"] == "{D6882F51-2171-5DEB-BDC0-856398AF53BB}", "the upgrade code must never change")
        check(properties["ProductCode"] != properties["UpgradeCode"], "codes")
        summary = output_of("msiinfo", "suminfo", self.msi).decode()
        check("Template: x64;1033" in summary and "Source: 2" in summary, summary)
        parts = [r["ComponentId"] for r in self.table("Component")]
        check(len(parts) == len(set(parts)) == len(self.files), f"{len(parts)} components")


def main():
    build, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    for tool in ("wixl", "msiinfo", "msibuild", "msiextract"):
        if shutil.which(tool) is None:
            print(f"SKIPPED: no {tool} (packages wixl, msitools)")
            return 77
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="ebpf-package-test-") as temporary:
        test = Test(build, temporary)
        for name in [n for n in dir(test) if n.startswith("case_") and (not names or n[5:] in names)]:
            try:
                getattr(test, name)()
                passed += 1
            except (AssertionError, OSError, KeyError, subprocess.CalledProcessError) as error:
                print(f"FAILED {name[5:]}: {error}")
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


sys.exit(main())
