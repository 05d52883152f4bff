#!/usr/bin/env python3
"""Seconds of CPU time and of the clock that `tocsin doctor` takes per 100 MB of files, and its memory: doctor_bench.py [MEGABYTES]
[TOCSIN[,TOCSIN…]] [WORD…]. Several programs take turns; of three rounds the least of each figure counts. With words: the sets whose
name holds one of them. The page (--html) is timed beside the JSON: the last column is the clock with it."""
import os
import subprocess
import sys
import tempfile
import time

import doctor_files as files

ROUNDS = 3


def judge(binary, folder, *options):
    """Seconds of CPU, of the clock, MiB."""
    begin = time.monotonic()
    child = subprocess.Popen([binary, 'doctor', folder, '-o', 'json', *options], stdout=subprocess.DEVNULL)
    usage = os.wait4(child.pid, 0)[2]
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begin, usage.ru_maxrss / 1024


def compare(binaries, folder, name, size):
    with tempfile.TemporaryDirectory(prefix='tocsin-bench-') as d:
        page = os.path.join(d, 'page.html')
        rounds = [[judge(binary, folder) + judge(binary, folder, '--html', page)[:2] for binary in binaries]
                  for _ in range(ROUNDS)]
    for i, binary in enumerate(binaries):
        cpu, wall, mib, _, with_page = (min(r[i][figure] for r in rounds) for figure in range(5))
        print(f'{name:34} {size / 1e6 / cpu:6.0f} MB/s of CPU, per 100 MB {100e6 * cpu / size:5.2f} s of CPU, {100e6 * wall / size:5.2f} s '
              f'of the clock, {mib:5.0f} MiB, {100e6 * with_page / size:5.2f} s with the page' +
              (f'  {binary}' if len(binaries) > 1 else ''), flush=True)


def main():
    size = float(sys.argv[1]) * 1e6 if len(sys.argv) > 1 else 50e6
    binaries = (sys.argv[2] if len(sys.argv) > 2 else 'build/tocsin').split(',')
    words = sys.argv[3:]
    for of in files.SETS:
        if words and not any(word in of[0] for word in words):
            continue
        with tempfile.TemporaryDirectory(prefix='tocsin-bench-') as d:
            compare(binaries, d, of[0], files.write(d, of, size))
    if not words or 'mixture' in words:
        with tempfile.TemporaryDirectory(prefix='tocsin-bench-') as d:
            compare(binaries, d, 'a mixture of all of them', sum(files.write(d, of, size / len(files.SETS)) for of in files.SETS))


if __name__ == '__main__':
    main()
