#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden tests of command lines. Usage: run.py TOOL [OPTION ...] [NAME ...]

  --scripts DIR      where the scripts are (default: beside this file)
  --emulator "CMD"   what runs TOOL; parts between blanks or semicolons
  --ebpfd PATH       against a daemon of the test's own instead of an execution context inside the tool
  --driver "CMD"     against the driver: CMD restarts it, which leaves it without objects
  --tap              with two devices, @TAP0@ and @TAP1@; status 77 without the right to make them
  --samples DIR      what @SAMPLES@ stands for
  --modules DIR      what @MODULES@ stands for
  --rebase           writes NAME.out anew
  --against TOOL2    compares what two tools print, command by command, instead of the golden files

A script NAME.in has commands, one a line: what follows "> " is a command line, run in a process of its own. Its first
word stands for the tool. Lines after a command that ends with " -" are its standard input up to a line "<". '#' starts a
comment. Every command finds an execution context of its own, without objects. In a script with the line "#one context" all
commands share one, and the script runs only where a context outlives a process; with "#leaves nothing" they may share one,
because none makes objects that stay.

NAME.out has what came out: the command, standard output, standard error with "! " before each line, and the exit
status when it is not 0. It is the same on every platform and with every execution context. @ELF@ is tests/elf, @HERE@ the
folder of the script, @ESC@ the escape character, @CR@ a carriage return, @LONG@ a word of 10,000 letters, @PINS@ where
relative pin paths start. @TMP@ is a directory that holds `in` (the bytes 0 to 39), `empty`, `udp` (an Ethernet frame with
an empty UDP datagram) and, as `fü.o`, tests/elf/neutral.o. What differs from run to run (times, memory, digests) and the
sentences of findings are replaced by a name.
"""
import argparse
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ELF = HERE.parent / "elf"
# Relative pins are in the platform's own tree: the dialect's, spec.h.
PIN_ROOTS = {"linux": "/sys/fs/bpf", "windows": "/ebpf/global"}
LONG = "long" * 2500
TAPS = [f"cli{os.getpid()}{end}" for end in "ab"]
VARYING = [
    (re.compile(r"loaded_at \S+"), "loaded_at TIME"),
    (re.compile(r'("loaded_at": ?)\d+'), r"\1TIME"),
    (re.compile(r"(duration(?: \(average\))?: )\d+ns"), r"\1TIME"),
    (re.compile(r'("duration": ?)\d+'), r"\1TIME"),
    (re.compile(r'("(?:time_us|run_time_ns)": ?)\d+'), r"\1TIME"),
    (re.compile(r"run_time_ns \d+"), "run_time_ns TIME"),
    (re.compile(r"\((\d+ insns), \d+ us\)"), r"(\1, TIME)"),
    (re.compile(r"(?<!not )jited \d+B"), "jited SIZE"),
    (re.compile(r'("bytes_jited": ?)\d+'), r"\1SIZE"),
    (re.compile(r"memlock \d+B"), "memlock SIZE"),
    (re.compile(r'("bytes_memlock": ?)\d+'), r"\1SIZE"),
    (re.compile(r'("(?:states|peak_kb)": ?)\d+'), r"\1N"),
    (re.compile(r"tag [0-9a-f]{16}"), "tag TAG"),
    (re.compile(r'("tag": ?)"[0-9a-f]{16}"'), r'\1"TAG"'),
    (re.compile(r"^ *\d+(?=  \S+\.exe )", re.MULTILINE), "  PID"),
    (re.compile(r"\(\d+ bytes at offset \d+\) should lie inside its \d+ bytes"), "(N bytes at offset N) should lie inside its N bytes"),
    (re.compile(r"this machine is \S+"), "this machine is MACHINE"),
    # Findings are matched by rule, never by sentence.
    (re.compile(r"(-- BEGIN PROG LOAD LOG --\n).*?(\[[a-z-]+\]\n).*?(-- END)", re.DOTALL), r"\1... \2\3"),
    (re.compile(r"^( +(?:needed|known|hint): +).*$", re.MULTILINE), r"\1TEXT"),
    (re.compile(r"^(  (?! )(?:\S+:\d+: )?).* (\[[a-z-]+\])$", re.MULTILINE), r"\1TEXT \2"),
    (re.compile(r'("message": ?)"(?:[^"\\]|\\.)*"(,\s*"needed")'), r'\1"TEXT"\2'),
    (re.compile(r'("(?:needed|known|hint)": ?)"(?:[^"\\]|\\.)*"'), r'\1"TEXT"'),
]


class Inside:
    """The execution context inside the tool: each command has its own anyway."""
    shared = False

    def fresh(self):
        return {"EBPF_TRANSPORT": "inproc"}

    def end(self):
        pass


class Daemon:
    """ebpfd in a folder of its own."""
    shared = True

    def __init__(self, path, taps):
        self.path, self.process, self.folder = path, None, None
        self.options = ["--tap", ",".join(taps)] if taps else []

    def fresh(self):
        self.end()
        self.folder = tempfile.TemporaryDirectory(prefix="ebpfd-")
        socket = os.path.join(self.folder.name, "socket")
        service = str(Path(self.path).parent / "ebpfsvc")
        self.process = subprocess.Popen([self.path, "--socket", socket, "--service", service] + self.options,
                                        stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if line.startswith(b"ebpfd: listening"):
            return {"EBPF_TRANSPORT": "unix:" + socket}
        if self.options:
            print("SKIPPED: no right to make TAP devices here")
            raise SystemExit(77)
        raise SystemExit(f"ebpfd did not start: {line!r}")

    def end(self):
        if self.process is not None:
            self.process.terminate()
            status = self.process.wait(timeout=60)
            self.process.stdout.close()
            self.folder.cleanup()
            self.process = None
            if status != 0:
                raise SystemExit(f"ebpfd ended with status {status}")


class Driver:
    """The driver and the service, which somebody else has installed."""
    shared = True

    def __init__(self, restart):
        self.restart = restart

    def fresh(self):
        result = subprocess.run(self.restart, capture_output=True, timeout=120)
        if result.returncode != 0:
            raise SystemExit(f"{shlex.join(self.restart)}: status {result.returncode}\n"
                             + (result.stdout + result.stderr).decode(errors="replace"))
        return {"EBPF_TRANSPORT": "ioctl"}

    def end(self):
        pass


class Tool:
    def __init__(self, path, emulator, context, samples, modules):
        self.modules = modules or "(no modules)"
        self.path, self.emulator, self.context = str(Path(path).resolve()), emulator, context
        self.taps = ("@TAP0@", TAPS[0]), ("@TAP1@", TAPS[1])
        self.samples, self.scripts = samples or "(no samples)", str(HERE)
        self.platform = "windows" if path.endswith(".exe") else "linux"

    def place(self, text, tmp):
        for name, value in (("@ELF@", str(ELF)), ("@TMP@", tmp), ("@ESC@", "\x1b"), ("@LONG@", LONG), ("@CR@", "\r"), ("@SAMPLES@", self.samples), ("@MODULES@", self.modules),
                            ("@HERE@", self.scripts), ("@PINS@", PIN_ROOTS[self.platform])) + self.taps:
            text = text.replace(name, value)
        return text

    def normalise(self, text, tmp):
        for name, value in (("@ELF@", str(ELF)), ("@LONG@", LONG), ("@TMP@", tmp), ("@SAMPLES@", self.samples), ("@MODULES@", self.modules),
                            ("@HERE@", self.scripts), ("@PINS@", PIN_ROOTS[self.platform])) + self.taps:
            text = text.replace(value, name)
        for pattern, name in VARYING:
            text = pattern.sub(name, text)
        return text

    def run(self, command, stdin, environment, tmp):
        words = shlex.split(self.place(command, tmp))[1:]
        result = subprocess.run(self.emulator + [self.path] + words, input=self.place(stdin, tmp).encode(),
                                capture_output=True, env=environment, timeout=120, cwd=tmp)
        out = [f"> {command}"]
        out += self.normalise(result.stdout.decode(errors="replace"), tmp).split("\n")[:-1]
        out += ["! " + line for line in self.normalise(result.stderr.decode(errors="replace"), tmp).split("\n")[:-1]]
        if result.stdout and not result.stdout.endswith(b"\n"):
            out.append("(no end of line)")
        if result.returncode != 0:
            out.append(f"[exit {result.returncode}]")
        return out

    def run_script(self, path):
        lines = path.read_text().splitlines()
        self.scripts = str(path.parent)
        one = "#one context" in lines or "#leaves nothing" in lines
        out = []
        environment = None
        with tempfile.TemporaryDirectory(prefix="cli-") as tmp:
            fill(tmp)
            for command, stdin in steps(lines):
                if environment is None or not one:
                    environment = dict(os.environ, TZ="UTC", LC_ALL="C.UTF-8", EBPF_STDIN="1", **self.context.fresh())
                out += self.run(command, stdin, environment, tmp)
        self.context.end()
        return [line.rstrip(" ") for line in out]


def fill(tmp):
    Path(tmp, "in").write_bytes(bytes(range(40)))
    Path(tmp, "empty").write_bytes(b"")
    Path(tmp, "udp").write_bytes(bytes(12) + b"\x08\x00\x45" + bytes(8) + b"\x11" + bytes(14) + b"\x00\x08\x00\x00")
    shutil.copy(ELF / "neutral.o", Path(tmp, "fü.o"))


def steps(lines):
    """Pairs of command line and standard input."""
    lines = iter(lines)
    for line in lines:
        if line.startswith("> "):
            stdin = []
            if line.endswith(" -"):
                for extra in lines:
                    if extra == "<":
                        break
                    stdin.append(extra)
            yield line[2:], "".join(extra + "\n" for extra in stdin)
        elif line and not line.startswith("#"):
            raise SystemExit(f"not a command: {line}")


def compare(name, expected, got, names):
    diff = list(difflib.unified_diff(expected, got, *names, lineterm=""))
    if diff:
        print(f"FAILED {name}")
        print("\n".join(diff))
    return not diff


def check_script(path, tool, arguments, other):
    got = tool.run_script(path)
    if other is not None:
        return compare(path.stem, other.run_script(path), got, (other.path, tool.path))
    golden = path.with_suffix(".out")
    if arguments.rebase:
        golden.write_text("\n".join(got) + "\n")
        return True
    expected = golden.read_text().split("\n")[:-1] if golden.exists() else []
    return compare(path.stem, expected, got, (golden.name, "now"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--scripts", type=lambda text: Path(text).resolve(), default=HERE)
    for option in ("--emulator", "--ebpfd", "--driver", "--samples", "--modules", "--against"):
        parser.add_argument(option, default="")
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--rebase", action="store_true")
    return parser.parse_intermixed_args()


def words(text):
    return shlex.split(text.replace(";", " "))


def main():
    arguments = parse()
    context = Daemon(arguments.ebpfd, TAPS if arguments.tap else []) if arguments.ebpfd else Inside()
    if arguments.driver:
        context = Driver(words(arguments.driver))
    tool = Tool(arguments.tool, words(arguments.emulator), context, arguments.samples, arguments.modules)
    other = Tool(arguments.against, [], Inside(), arguments.samples, arguments.modules) if arguments.against else None
    scripts = sorted(p for p in arguments.scripts.glob("*.in") if not arguments.names or p.stem in arguments.names)
    shared = [p for p in scripts if "#one context" in p.read_text().splitlines()]
    if not context.shared:
        scripts = [p for p in scripts if p not in shared]
    failed = 0
    for path in scripts:
        failed += not check_script(path, tool, arguments, other)
    if not scripts:
        print("no script of that name")
        return 1
    print(f"{len(scripts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
