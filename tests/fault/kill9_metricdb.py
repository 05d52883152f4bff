#!/usr/bin/python3
"""kill -9 at random moments while samples are written, deleted, sealed, merged, compacted and copied: every
acknowledged batch is there afterwards, nothing deleted comes back, an acknowledged snapshot is whole.

usage: kill9_metricdb.py WRITER [--cycles N] [--seed S]
"""
import argparse
import collections
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

CHECK_EVERY = 5


class Ledger:
    """What the writer was told, over all its lives."""

    def __init__(self):
        self.batches, self.deleted, self.maybe_deleted = set(), -1, -1
        self.snapshot, self.in_snapshot = None, set()
        self.killed_during = collections.Counter()

    def note(self, words):
        """One line of the writer."""
        if len(words) == 1:
            self.batches.add(int(words[0]))
            self.doing = 'write'
            return
        event, what, argument = words
        if what == 'delete':
            self.maybe_deleted = max(self.maybe_deleted, int(argument))
            if event == 'end':
                self.deleted = max(self.deleted, int(argument))
        if what == 'snapshot' and event == 'end':
            self.snapshot, self.in_snapshot = argument, set(self.batches)
        self.doing = what if event == 'begin' and what != 'nothing' else 'write'

    def run(self, writer, directory, delay_s):
        """One life of the writer, which ends by kill -9."""
        self.doing = 'start'
        first = str(max(self.batches, default=0) + 50)
        process = subprocess.Popen([writer, directory, 'write', first], stdout=subprocess.PIPE)

        def drain():
            for line in process.stdout:
                if line.endswith(b'\n'):
                    self.note(line.decode().split())

        reader = threading.Thread(target=drain)
        reader.start()
        time.sleep(delay_s)
        died_by_itself = process.poll() is not None
        process.kill()
        process.wait()
        reader.join()
        self.killed_during[self.doing] += 1
        return not died_by_itself


def look(writer, directory):
    """Batches and junk that are there, and the words of the checker; None when it found something wrong."""
    result = subprocess.run([writer, directory, 'check'], capture_output=True, text=True)
    lines = [line.split() for line in result.stdout.splitlines()]
    batches = {int(words[0]) for words in lines if len(words) == 1}
    junk = {int(words[1]) for words in lines if len(words) == 2}
    return batches, junk, result.stderr.strip(), result.returncode


def check(writer, directory, ledger):
    """What is wrong, as text; '' when nothing is."""
    batches, junk, words, code = look(writer, directory)
    missing = ledger.batches - batches
    revived = {n for n in junk if n <= ledger.deleted}
    junk_missing = {n for n in ledger.batches if n > ledger.maybe_deleted} - junk
    wrong = []
    if code:
        wrong.append(f'exit {code}: {words}')
    if missing or junk_missing:
        wrong.append(f'missing: {sorted(missing | junk_missing)[:10]}')
    if revived:
        wrong.append(f'deleted, and there again: {sorted(revived)[:10]}')
    if ledger.snapshot:
        copy = pathlib.Path(directory, 'snapshots', ledger.snapshot)
        batches, _, words, code = look(writer, str(copy))
        if code or ledger.in_snapshot - batches:
            wrong.append(f'snapshot: exit {code}, missing {sorted(ledger.in_snapshot - batches)[:10]}')
        ledger.snapshot = None
        shutil.rmtree(copy.parent)
    return '; '.join(wrong), words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('writer')
    parser.add_argument('--cycles', type=int, default=20)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f'seed {args.seed}, {args.cycles} cycles')
    rng = random.Random(args.seed)
    directory = tempfile.mkdtemp(prefix='toc_kill9_')
    ledger = Ledger()
    try:
        for cycle in range(1, args.cycles + 1):
            if not ledger.run(args.writer, directory, rng.uniform(0.005, 0.3)):
                print(f'FAILED: cycle {cycle}: the writer ended by itself')
                return 1
            if cycle % CHECK_EVERY and cycle != args.cycles:
                continue
            wrong, words = check(args.writer, directory, ledger)
            print(f'cycle {cycle}: {len(ledger.batches)} batches acknowledged; {words}')
            if wrong:
                print(f'FAILED: {wrong}')
                return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    during = ', '.join(f'{what} {n}' for what, n in ledger.killed_during.most_common())
    print(f'{args.cycles} kills ({during}), {len(ledger.batches)} acknowledged batches, 0 lost')
    return 0


if __name__ == '__main__':
    sys.exit(main())
