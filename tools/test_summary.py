#!/usr/bin/env python3
"""Closing lines of a test run from meson's testlog.json: what failed, what was skipped, `N passed, N failed`.

A cmocka program counts with each of its tests; any other program counts as one. Exit code 1 when one failed or none ran.
"""
import json
import re
import sys

CMOCKA_PASSED = re.compile(r"\[  PASSED  \] (\d+) test")
CMOCKA_FAILED = re.compile(r"\[  FAILED  \] \S+: (\d+) test|(\d+) FAILED TEST")


def counts(entry):
    text = entry.get("stdout", "") + entry.get("stderr", "")
    passed = sum(int(n) for n in CMOCKA_PASSED.findall(text))
    failed = sum(int(a or b) for a, b in CMOCKA_FAILED.findall(text))
    own = re.search(r"^(\d+) passed, (\d+) failed$", text, re.M)
    if own:
        passed, failed = int(own[1]), int(own[2])
    if entry["result"] == "OK":
        return max(passed, 1), 0
    return passed, max(failed, 1)


def main():
    passed = failed = 0
    skipped = []
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            entry = json.loads(line)
            if entry["result"] == "SKIP":
                reason = (entry.get("stdout", "") + entry.get("stderr", "")).strip().splitlines()
                skipped.append((entry["name"], reason[-1] if reason else "no reason given"))
                continue
            p, f = counts(entry)
            passed += p
            failed += f
            if f:
                print(f"FAILED {entry['name']} ({entry['result']})")
    for name, reason in skipped:
        print(f"skipped {name}: {reason}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
