#!/usr/bin/env python3
"""Compares the doctor's limits and kinds in the header with docs/design/diagnose.md and docs/runbooks."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


def main():
    header = (ROOT / 'src/diagnose/doctor.h').read_text()
    cases = (ROOT / 'src/diagnose/doctor_priv.h').read_text()
    page = (ROOT / 'docs/design/diagnose.md').read_text()
    failures = (ROOT / 'src/diagnose/failure.h').read_text()
    limits = {(n, v) for n, v in re.findall(r'X\((\w+), ([\d.]+), "\w*", "', header + failures)}
    written = {(n, v) for n, v in re.findall(r'^\| `(\w+)` \| ([\d.]+) \|', page, re.M)}
    problems = [f'limit {n} = {v} is not in diagnose.md' for n, v in sorted(limits - written)]
    problems += [f'diagnose.md has {n} = {v}, the header has not' for n, v in sorted(written - limits)]
    for kind in re.findall(r'X\(CASE_\w+, TOC_KIND_(\w+)\)', cases):
        name = kind.lower()
        if f'`{name}`' not in page:
            problems.append(f'kind {name} is not in diagnose.md')
        if not (ROOT / f'docs/runbooks/{name}.md').exists():
            problems.append(f'no run book for {name}')
    for row in (ROOT / 'packs/failures.tsv').read_text().splitlines():
        kind = row.split('\t')[1] if row[:1] not in ('', '#') else '-'
        if kind != '-' and not (ROOT / f'docs/runbooks/{kind}.md').exists():
            problems.append(f'no run book for {kind}, which packs/failures.tsv names')
    print('\n'.join(problems) or f'{len(limits)} limits and their kinds are documented')
    return 1 if problems or not limits else 0


if __name__ == '__main__':
    sys.exit(main())
