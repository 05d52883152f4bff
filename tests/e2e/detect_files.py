#!/usr/bin/env python3
"""`tocsin detect` on real files: several at once, every method, a long file in bounded memory, and that no score
looks ahead."""
import json
import math
import pathlib
import random
import resource
import subprocess
import tempfile

from tocsin_test import BINARY, Checks

ROWS, LONG_ROWS = 3000, 4_300_000


def detect(*arguments, **options):
    return subprocess.run([BINARY, 'detect', *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)


def write(path, seed, fault_at=None):
    rng = random.Random(seed)
    with open(path, 'w') as f:
        f.write('timestamp,cpu,memory\n')
        for i in range(ROWS):
            memory = 30 + rng.gauss(0, .5) + (15 if fault_at and fault_at <= i < fault_at + 20 else 0)
            f.write(f'2026-01-{1 + i // 1440:02} {i // 60 % 24:02}:{i % 60:02}:00,{50 + 10 * math.sin(i / 50) + rng.gauss(0, 1):.3f},{memory:.3f}\n')


def several(c, broken, sound):
    done = detect(broken, sound, '--budget', '1/week', '-o', 'json')
    cases = json.loads(done.stdout)
    c.equal([x['file'] for x in cases], [str(broken), str(sound)], 'each file is named')
    found = [a for a in cases[0]['alerts'] if 2480 <= a['first_row'] <= 2530]
    c.check(len(found) == 1, f'the broken entity has its alert: {cases[0]["alerts"]}')
    c.check(found and found[0]['causes'][0]['column'] == 'memory', f'the broken column is named: {found}')
    c.check(found and found[0]['causes'][0]['since'].startswith('2026-01-02T17:40'), f'and since when: {found}')
    lines = detect(broken, sound, '-o', 'scores').stdout.splitlines()
    c.equal(len(lines), 2 * ROWS + 1, 'a line per row of each file')
    page = detect(broken, sound, '-o', 'html').stdout
    c.equal((page.count('<h2>'), page.count('<svg')), (2, 6), 'headings and charts of the page')
    c.check('http' not in page, 'the page loads nothing')


def methods(c, broken):
    said = detect(broken, '--method', 'x').stderr
    names = said.split('the methods are ')[1].strip().split(', ')
    c.check('ensemble' in names and 'isolation_forest' in names, said)
    head = broken.with_name('head.csv')
    head.write_text(''.join(open(broken).readlines()[:2001]))
    for name in names:
        whole = detect(broken, '--method', name, '-o', 'scores').stdout.splitlines()
        part = detect(head, '--method', name, '-o', 'scores').stdout.splitlines()
        c.equal(part, whole[:2001], f'{name} does not look ahead')


def long_file(c, directory):
    path = directory / 'long.csv'
    rng = random.Random(1)
    with open(path, 'w') as f:
        f.write('timestamp,v\n')
        for start in range(0, LONG_ROWS, 100_000):
            f.write(''.join(f'{1700000000 + i},{rng.random():.4f}\n' for i in range(start, start + 100_000)))
    refused = detect(path)
    c.check(refused.returncode == 2 and '--stream' in refused.stderr, f'a forest over too many rows names the remedy: {refused.stderr}')
    limit = 400 << 20  # address space; the file alone has 77 MB, its rows would take more than this

    def bounded():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    done = detect(path, '--method', 'robust_z', preexec_fn=bounded)
    c.check(f'in {LONG_ROWS} rows' in done.stdout, f'a long file in bounded memory: {done.stdout[-300:]} {done.stderr}')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        broken, sound = directory / 'broken.csv', directory / 'sound.csv'
        write(broken, 1, 2500)
        write(sound, 2)
        several(c, broken, sound)
        methods(c, broken)
        long_file(c, directory)
    c.finish()


main()
