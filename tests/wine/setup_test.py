#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs and removes the package of a build under Wine. Usage: setup_test.py BUILD_DIR OVERLAY_DIR [NAME ...]

The test makes a prefix of its own with the overlay. "Leaves nothing behind" means: the
files of drive C and HKEY_LOCAL_MACHINE are as they were. --fail-at and --die-at exist in Debug builds only; with others
these cases are left out and said so.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
import own_prefix  # noqa: E402
from own_prefix import ROOT, difference  # noqa: E402

PROGRAMS = "Program Files/ebpf"
DRIVER = "windows/system32/drivers/ebpfcore.sys"
RECORD = r"HKLM\SOFTWARE\eBPF for Windows in C"


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


class Test:
    def __init__(self, build, prefix, package):
        self.prefix, self.build = prefix, build
        self.package = package
        self.debug = "CMAKE_BUILD_TYPE:STRING=Debug" in (build / "CMakeCache.txt").read_text()
        self.folder = prefix.drive / "package"
        with zipfile.ZipFile(package.with_suffix(".zip")) as archive:
            archive.extractall(prefix.drive)
            next(prefix.drive.glob("ebpf-for-windows-*")).rename(self.folder)
        self.clean = prefix.snapshot()

    def setup(self, *arguments, program=None):
        return self.prefix.wine(program or self.folder / "ebpf-setup.exe", *arguments)

    def succeed(self, *arguments, **options):
        status, output = self.setup(*arguments, **options)
        check(status == 0, f"{arguments}: exit status {status}\n{output}")
        return output

    def fail(self, *arguments, word):
        status, output = self.setup(*arguments)
        check(status == 1, f"{arguments}: exit status {status}, not 1\n{output}")
        check(word in output, f"{arguments}: no '{word}' in\n{output}")
        return output

    def status(self, program=None):
        status, output = self.setup("status", "--json", program=program)
        return status, json.loads(output)

    def must_be(self, snapshot, when):
        lines = difference(snapshot, self.prefix.snapshot())
        check(not lines, f"{when}:\n" + "\n".join(lines[:20]))

    # The quicker half, for many times in a row: what a step leaves in the registry is still there at the end.
    def must_have_files(self, snapshot, when):
        check(self.prefix.files() == snapshot[0], when)

    def must_work(self, when):
        status, facts = self.status()
        check(status == 0, f"{when}: status {status}: {facts}")

    def step_count(self):
        output = self.setup("install", "--fail-at", "1000")[1]
        found = re.search(r"there are (\d+) steps", output)
        check(found, output)
        return int(found[1])

    # --- cases -----------------------------------------------------------------------------------

    def case_nothing_is_installed(self):
        status, facts = self.status()
        check(status == 3 and not facts["installed"], f"{status} {facts}")
        check(facts["test_signing"] == "off" and facts["memory_integrity"] == "off", f"{facts}")
        self.succeed("uninstall")
        self.must_be(self.clean, "after removing nothing")

    def case_install_replace_remove(self):
        self.succeed("install")
        status, facts = self.status()
        check(status == 0 and facts["driver"]["answers"] and facts["service"]["answers"], f"{status} {facts}")
        check({s["state"] for s in facts["steps"]} == {"ok"}, f"{facts}")
        installed = self.prefix.snapshot()
        check(self.prefix.drive.joinpath(PROGRAMS, "ebpfapi.dll").exists(), "no ebpfapi.dll")
        output = self.succeed("install")
        check("replacing" in output, output)
        self.must_work("after replacing")
        self.must_be(installed, "after replacing")
        self.succeed("uninstall")
        self.must_be(self.clean, "after removing")

    def case_text_of_status(self):
        self.succeed("install")
        output = self.succeed("status")
        for word in ("installed", "answers", "memory integrity (HVCI): off", "test signing: off", "protocol 1"):
            check(word in output, f"no '{word}' in\n{output}")
        self.succeed("uninstall")

    def case_the_installed_copy(self):
        self.succeed("install")
        copy = self.prefix.drive / PROGRAMS / "ebpf-setup.exe"
        status, facts = self.status(program=copy)
        check(status == 0, f"{facts}")
        output = self.succeed("uninstall", program=copy)
        left = [line for line in difference(self.clean, self.prefix.snapshot()) if "ebpf" in line.lower()]
        check(all("ebpf-setup.exe" in line or line.endswith(PROGRAMS) or "PendingFileRename" in line for line in left),
              "\n".join(left) + output)
        copy.unlink(missing_ok=True)  # what Windows does at its next start
        if copy.parent.exists():
            copy.parent.rmdir()
        self.prefix.wine("reg", "delete", r"HKLM\System\CurrentControlSet\Control\Session Manager", "/v",
                         "PendingFileRenameOperations", "/f")
        self.must_be(self.clean, "after removing by the installed copy")

    def case_other_folder(self):
        parent = self.prefix.drive / "other"
        parent.mkdir()
        self.succeed("install", "--dir", "C:\\other\\ebpf folder\\")
        self.must_work("in another folder")
        self.fail("install", "--dir", r"C:\other\third", word="183")
        check((parent / "ebpf folder/bpftool.exe").exists(), "not where it should be")
        self.succeed("uninstall")
        parent.rmdir()
        self.must_be(self.clean, "after removing from another folder")
        self.fail("install", "--dir", r"C:\no\such\parent", word="parent")
        self.must_be(self.clean, "after a folder without a parent")

    def case_in_place(self):
        self.succeed("install", "--in-place")
        self.must_work("in place")
        check(not (self.prefix.drive / PROGRAMS).exists(), "files were copied")
        self.fail("install", word="183")
        self.succeed("uninstall")
        self.must_be(self.clean, "after removing in place")

    def case_missing_file(self):
        victim = self.folder / "ebpfapi.dll"
        data = victim.read_bytes()
        victim.unlink()
        self.fail("install", word="ebpfapi.dll")
        victim.write_bytes(data)
        self.must_be(self.clean, "after a missing file")

    def case_a_driver_that_is_none(self):
        victim = self.folder / "drivers/ebpfcore.sys"
        data = victim.read_bytes()
        victim.write_bytes(b"no driver at all")
        self.fail("install", word="running driver")
        victim.write_bytes(data)
        self.must_be(self.clean, "after a driver that cannot start")

    def case_a_failing_replacement_changes_nothing(self):
        self.succeed("install")
        installed = self.prefix.snapshot()
        victim = self.folder / "drivers/ebpfcore.sys"
        data = victim.read_bytes()
        victim.write_bytes(b"no driver at all")
        self.fail("install", word="running driver")
        victim.write_bytes(data)
        self.must_be(installed, "after a replacement that cannot start")
        self.must_work("after a replacement that cannot start")
        self.succeed("uninstall")
        self.must_be(self.clean, "after removing what was replaced in vain")

    def case_a_later_version(self):
        self.succeed("install")
        installed = self.prefix.snapshot()
        self.prefix.wine("reg", "add", RECORD, "/v", "Version", "/d", "99.0.0", "/f")
        self.fail("install", word="later version")
        self.succeed("uninstall")
        self.must_be(self.clean, "after removing a later version")
        check(installed != self.clean, "nothing was installed")

    def case_another_products_driver(self):
        self.prefix.wine("sc", "create", "ebpfcore", "type=", "kernel", "start=", "demand", "binPath=", r"C:\other\ebpfcore.sys")
        before = self.prefix.snapshot()
        self.fail("install", word="another product")
        self.fail("uninstall", word="another product")
        self.must_be(before, "beside another product")
        self.prefix.wine("sc", "delete", "ebpfcore")
        self.must_be(self.clean, "after the other product")

    def case_failure_at_each_step(self):
        steps = self.step_count()
        for step in range(1, steps + 2):
            self.fail("install", "--fail-at", str(step), word="undone")
            self.must_have_files(self.clean, f"after a failure at step {step}")
        self.must_be(self.clean, "after a failure at each step")

    def case_failure_at_each_step_of_a_replacement(self):
        self.succeed("install")
        installed = self.prefix.snapshot()
        for step in range(1, self.step_count() + 2):
            self.fail("install", "--fail-at", str(step), word="undone")
            self.must_have_files(installed, f"after a failure at step {step}")
        self.must_be(installed, "after a failure at each step")
        self.must_work("after a failure at each step")
        self.succeed("uninstall")
        self.must_be(self.clean, "after the failures")

    def case_death_at_each_step(self):
        for step in range(1, self.step_count() + 1):
            status, output = self.setup("install", "--die-at", str(step))
            check(status == 9, f"step {step}: exit status {status}\n{output}")
            self.succeed("uninstall")
            self.must_have_files(self.clean, f"after death at step {step}")
        self.must_be(self.clean, "after death at each step")

    def case_msi(self):
        database = self.prefix.drive / "ebpf.msi"
        database.write_bytes(self.package.with_suffix(".msi").read_bytes())
        clean = self.prefix.snapshot()
        status, output = self.prefix.wine("msiexec", "/i", r"C:\ebpf.msi", "/qn")
        check(status == 0, f"msiexec /i: {status}\n{output}")
        status, facts = self.status(program=self.prefix.drive / PROGRAMS / "ebpf-setup.exe")
        check(status == 0 and facts["in_place"], f"{facts}")
        check((self.prefix.drive / PROGRAMS / "include/ebpf_api.h").exists(), "no headers")
        status, output = self.prefix.wine("msiexec", "/x", r"C:\ebpf.msi", "/qn")
        check(status == 0, f"msiexec /x: {status}\n{output}")
        self.must_be(clean, "after msiexec /x")
        database.unlink()

    def case_msi_that_fails(self):
        with tempfile.TemporaryDirectory(prefix="ebpf-broken-") as temporary:
            break_build(self.build, Path(temporary) / "build")
            package = make_package(Path(temporary) / "build", Path(temporary) / "package")
            database = self.prefix.drive / "ebpf.msi"
            database.write_bytes(package.with_suffix(".msi").read_bytes())
        clean = self.prefix.snapshot()
        status, output = self.prefix.wine("msiexec", "/i", r"C:\ebpf.msi", "/qn")
        check(status != 0, f"msiexec /i of a broken driver: {status}\n{output}")
        check("running driver" in output, output)
        self.must_be(clean, "after an MSI that failed")
        database.unlink()


def break_build(build, folder):
    """A build whose driver is none."""
    for line in (ROOT / "tools/package/contents.txt").read_text().splitlines():
        path = line.partition("build:")[2]
        if path and not line.startswith("#"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(build / path, folder / path)
    shutil.copyfile(build / "CMakeCache.txt", folder / "CMakeCache.txt")
    (folder / "src/hosts/ebpfcore.sys").write_bytes(b"no driver at all")


def make_package(build, folder):
    subprocess.run([sys.executable, ROOT / "tools/package/make", build, folder], check=True, stdout=subprocess.DEVNULL)
    return next(Path(folder).glob("*.zip"))


def run_case(test, name):
    try:
        getattr(test, name)()
        return True
    except (Failure, OSError, subprocess.SubprocessError, ValueError) as failure:
        print(f"FAILED {name[5:]}: {failure}")
        test.setup("uninstall")  # so that the others can be judged
        return False


def main():
    build, overlay, names = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]
    with tempfile.TemporaryDirectory(prefix="ebpf-setup-test-") as temporary:
        package = make_package(build, Path(temporary) / "package")
        prefix = own_prefix.Prefix(overlay, Path(temporary) / "prefix")
        try:
            test = Test(build, prefix, package)
            cases = [n for n in dir(test) if n.startswith("case_") and (not names or n[5:] in names)]
            skipped = [n for n in cases if "_each_step" in n and not test.debug]
            for name in skipped:
                print(f"left out in a Release build, which has no --fail-at: {name[5:]}")
            results = [run_case(test, n) for n in cases if n not in skipped]
            crashes = prefix.crashes()
            results += [False] if crashes else []
            print("".join(f"FAILED: {line}\n" for line in crashes), end="")
        finally:
            prefix.close()
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


sys.exit(main())
