# SPDX-License-Identifier: MIT
"""own_prefix: a Wine prefix for one test, made by tests/wine/prefix, and what is in it."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What Wine and Windows Installer keep for themselves: a counter of services, what a missing display says, the installer's
# own (empty) lists.
BOOKKEEPING = re.compile(r"\\(Control\\ServiceCurrent|Control\\Video\\.*|Classes\\Installer(\\.*)?|"
                         r"CurrentVersion\\Installer(\\.*)?)\]$")
NOT_OURS = re.compile(r"^(windows/temp|windows/Installer|users/[^/]+/(Local Settings/)?Temp|users/[^/]+/AppData/Local/Temp)(/|$)")


class Prefix:
    def __init__(self, overlay, path):
        self.path = Path(path)
        subprocess.run([ROOT / "tests/wine/prefix", "--overlay", overlay, self.path], check=True, stdin=subprocess.DEVNULL)
        self.drive = self.path / "drive_c"
        self.environment = dict(os.environ, WINEPREFIX=str(self.path), WINEDEBUG="-all",
                                WINEDLLOVERRIDES="mscoree,mshtml=d;winemenubuilder.exe=d")
        # Wine's daemons, services and driver host keep the streams of whoever started them: a file, never our pipes.
        self.log = self.path / "wine.log"
        self.environment["WINEDEBUG"] = "-all,err+seh"
        self.server("-p")
        with open(self.log, "wb") as log:
            # A window, so that Wine makes its desktop and what the registry says of displays now.
            for command in (["cmd", "/c", "exit"], ["rundll32", "user32.dll,MessageBeep"]):
                subprocess.run(["wine", *command], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                               timeout=120, check=False)
        self.environment["WINEDEBUG"] = "-all"

    def server(self, option):
        subprocess.run(["wineserver", option], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=False)

    def close(self):
        self.server("-k")
        self.server("-w")
        shutil.rmtree(self.path, ignore_errors=True)

    def wine(self, *command, timeout=120):
        """(exit status, output of both streams). Into a file: what the program starts may outlive it."""
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(["wine", *map(str, command)], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=output, timeout=timeout, check=False)
            output.seek(0)
            return done.returncode, output.read().decode("utf-8", "replace").replace("\r\n", "\n")

    def crashes(self):
        """What the driver host and services said when they died or broke a rule."""
        return [line for line in self.log.read_text(errors="replace").splitlines()
                if re.search(r"BUGCHECK|LEAK:|Unhandled", line)]

    def files(self):
        """{path below drive_c: size, or None of a folder}."""
        found = {}
        for folder, directories, names in os.walk(self.drive):
            for name in directories + names:
                path = Path(folder) / name
                relative = path.relative_to(self.drive).as_posix()
                if not NOT_OURS.match(relative):
                    found[relative] = None if path.is_dir() else path.lstat().st_size
        return found

    def registry(self):
        """The lines of HKEY_LOCAL_MACHINE, each with its key."""
        exported = self.drive / "export.reg"
        status, output = self.wine("regedit", "/E", r"C:\export.reg", "HKEY_LOCAL_MACHINE")
        if status != 0 or not exported.exists():
            raise OSError(f"regedit: {output}")
        text = exported.read_bytes().decode("utf-16")
        exported.unlink()
        lines, key, skip = set(), "", False
        for line in text.splitlines():
            if line.startswith("["):
                key, skip = line, BOOKKEEPING.search(line) is not None
            if line and not skip:
                lines.add(f"{key} {line}" if line != key else key)
        return lines

    def snapshot(self):
        return self.files(), self.registry()


def difference(before, after):
    """What a second snapshot has more, less or otherwise, as lines."""
    lines = [f"file {'+' if name not in before[0] else '-' if name not in after[0] else '!'} {name}"
             for name in sorted(set(before[0]) | set(after[0]))
             if before[0].get(name, "no") != after[0].get(name, "no")]
    lines += [f"registry - {line}" for line in sorted(before[1] - after[1])]
    lines += [f"registry + {line}" for line in sorted(after[1] - before[1])]
    return lines
