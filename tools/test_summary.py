#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_summary.py PRESET JUNIT.xml: adds up the closing lines ("N passed, N failed[, N skipped]") that the test
executables print; a CTest case without such a line counts as one. Prints "passed failed skipped" on stdout, and the
output of what failed or was skipped on stderr."""
import re
import sys
import xml.etree.ElementTree as ElementTree

CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)


def count(case):
    """(passed, failed, skipped) of one CTest case."""
    output = case.findtext("system-out") or ""
    status = case.get("status")
    closing = CLOSING.findall(output)
    if status == "disabled" or status == "notrun":
        return (0, 0, 1), output
    if not closing:
        return ((1, 0, 0) if status == "run" else (0, 1, 0)), output
    passed, failed, skipped = (sum(int(line[i] or 0) for line in closing) for i in range(3))
    if status == "fail" and failed == 0:
        failed = 1  # crashed, timed out, or found a leak after its last line
    return (passed, failed, skipped), output


def main():
    preset, path = sys.argv[1:]
    try:
        cases = ElementTree.parse(path).getroot().findall("testcase")
    except (OSError, ElementTree.ParseError) as error:
        print(f"{preset}: no test results: {error}", file=sys.stderr)
        print("0 1 0")
        return
    total = [0, 0, 0]
    for case in cases:
        counts, output = count(case)
        total = [a + b for a, b in zip(total, counts)]
        shown = [line for line in output.splitlines() if "SKIP" in line]
        if counts[1]:
            shown = output.splitlines()[-60:]
            print(f"{preset}: {case.get('name')} FAILED", file=sys.stderr)
        elif counts[2] and not shown:
            shown = [f"SKIPPED {case.get('name')}: see build/{preset}-tests.log"]
        for line in shown:
            print(f"  {line}", file=sys.stderr)
    print(f"{preset}: {total[0]} passed, {total[1]} failed, {total[2]} skipped", file=sys.stderr)
    print(*total)


main()
