#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How a program comes to its transport, seen from outside. Usage: check_choices.py windows|posix [EMULATOR] PROGRAM

PROGRAM makes objects through the library. Whatever is chosen and cannot be had is said, with what to do; nothing falls
back to an execution context inside the program.
"""
import os
import subprocess
import sys

COMMON = [
    ({"EBPF_TRANSPORT": "inproc"}, None),
    ({"EBPF_TRANSPORT": "bogus"}, "EBPF_TRANSPORT must be inproc, ioctl, unix or unix:PATH"),
    ({"EBPF_TRANSPORT": "unix:"}, "EBPF_TRANSPORT must be"),
    ({"EBPF_TRANSPORT": "INPROC"}, "EBPF_TRANSPORT must be"),
]
POSIX = [
    ({"EBPF_TRANSPORT": "ioctl"}, "this build does not have the transport"),
    ({"EBPF_TRANSPORT": "unix:/nowhere/ebpfd.sock"}, "is ebpfd running?"),
    ({"EBPF_TRANSPORT": "unix", "EBPFD_SOCKET": "/nowhere/ebpfd.sock"}, "is ebpfd running?"),
    ({"EBPFD_SOCKET": "/nowhere/ebpfd.sock"}, "is ebpfd running?"),
    ({"EBPF_TRANSPORT": "", "EBPFD_SOCKET": "/nowhere/ebpfd.sock"}, "is ebpfd running?"),
]
WINDOWS = [
    ({"EBPF_TRANSPORT": "unix"}, "this build does not have the transport"),
    ({"EBPF_TRANSPORT": "unix:C:\\nowhere"}, "this build does not have the transport"),
]


def wrong(command, choice, expected):
    """What is wrong with a run, or None. `expected` is part of what it says, None for a good run."""
    environment = {k: v for k, v in os.environ.items() if k not in ("EBPF_TRANSPORT", "EBPFD_SOCKET")}
    done = subprocess.run(command, env=environment | choice, capture_output=True, text=True, timeout=120)
    if expected is None:
        return None if done.returncode == 0 else f"{choice}: fails\n{done.stdout}{done.stderr}"
    if done.returncode == 0:
        return f"{choice}: succeeds"
    lines = [line for line in done.stderr.splitlines() if "no execution context can be reached" in line]
    return None if len(lines) == 1 and expected in lines[0] else f"{choice}: says\n{done.stderr}"


def main():
    system, command = sys.argv[1], sys.argv[2:]
    cases = COMMON + (WINDOWS if system == "windows" else POSIX)
    errors = list(filter(None, (wrong(command, *case) for case in cases)))
    print("\n".join(errors) if errors else f"{len(cases)} choices lead where they should")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
