#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_exports.py OBJDUMP NTOSKRNL.EXE EXPORTS.txt: what the overlay does itself is what the list says, everything else
it forwards to Wine, and nothing of it knows of the project."""
import re
import subprocess
import sys
from pathlib import Path

OURS = re.compile(r"bpf|xdp|netext", re.I)


def main():
    objdump, overlay, listed = sys.argv[1:]
    text = subprocess.run([objdump, "-p", overlay], check=True, capture_output=True, text=True).stdout
    addresses = text.split("Export Address Table", 1)[1].split("[Ordinal/Name Pointer] Table", 1)
    own = {int(n) for n in re.findall(r"^\s*\[\s*(\d+)\] \+base\[\s*\d+\]\s+\w+ Export RVA$", addresses[0], re.M)}
    forwards = dict(re.findall(r"^\s*\[\s*(\d+)\] \+base\[\s*\d+\]\s+\w+ Forwarder RVA -- (\S+)$", addresses[0], re.M))
    names = {name: int(n) for n, name in re.findall(r"^\s*\[\s*(\d+)\]\s+(?:\+base\[\s*\d+\]\s+)?(?:[0-9a-f]+\s+)?(\S+)$",
                                                    addresses[1].split("\n\n", 1)[0], re.M)}
    done = {name for name, n in names.items() if n in own}
    wanted = Path(listed).read_text().split()
    errors = [f"{name}: done by the overlay, not in the list" for name in sorted(done - set(wanted))]
    errors += [f"{name}: in the list, not done by the overlay" for name in sorted(set(wanted) - done)]
    errors += [f"{target}: forwarded elsewhere than to Wine" for target in forwards.values()
               if not target.startswith("wntoskrnl.")]
    errors += [f"{name}: names the project" for name in sorted(names) if OURS.search(name)]
    if wanted != sorted(set(wanted)):
        errors.append("the list is not sorted, or says something twice")
    if len(done) < 100 or len(forwards) < 1000:
        errors.append(f"only {len(done)} own and {len(forwards)} forwarded names were found")
    contents = Path(overlay).read_bytes()
    errors += [f"the file contains the word {word.decode()}" for word in (b"ebpfcore", b"ebpfsvc", b"EbpfCore")
               if word in contents]
    print("\n".join(errors) or f"{len(done)} names done, {len(forwards)} forwarded")
    return 1 if errors else 0


sys.exit(main())
