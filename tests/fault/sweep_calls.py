#!/usr/bin/python3
"""Every call about files that a scripted life of the database makes fails once, and from then on for ever, in the real
process on real files: it does not crash, and afterwards everything acknowledged is there and nothing deleted.

usage: sweep_calls.py WRITER FAIL_CALLS_LIBRARY [--stride N] [--seed S]
"""
import argparse
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from kill9_metricdb import Ledger, check  # noqa: E402

# Nothing goes on for ever when every call is interrupted for ever.
FAULTS = [(errno.EIO, False), (errno.EIO, True), (errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EMFILE, True),
          (errno.EDQUOT, False), (errno.EROFS, True), (errno.ENOMEM, False), (errno.EINTR, False), (0, False), (0, True)]


def run(writer, library, directory, nth, code, ever):
    """The script with one fault; the ledger and how many calls it made."""
    count = pathlib.Path(directory, 'count')
    env = dict(os.environ, LD_PRELOAD=library, FAIL_NTH=str(nth), FAIL_ERRNO=str(code), FAIL_EVER=str(int(ever)),
               FAIL_COUNT=str(count))
    result = subprocess.run([writer, str(pathlib.Path(directory, 'db')), 'script'], env=env, capture_output=True,
                            text=True, timeout=60)
    ledger = Ledger()
    for line in result.stdout.splitlines():
        ledger.note(line.split())
    return ledger, result, int(count.read_text()) if count.exists() else 0


def one(args, nth, code, ever):
    """What is wrong after one fault; '' when nothing is. And the calls made."""
    # In memory: what is tested is what follows from a failure, not how long an fsync takes.
    directory = tempfile.mkdtemp(prefix='toc_calls_', dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
    try:
        ledger, result, calls = run(args.writer, args.library, directory, nth, code, ever)
        if result.returncode:
            return f'exit {result.returncode}: {result.stderr[-500:]}', calls, 0
        wrong, _ = check(args.writer, str(pathlib.Path(directory, 'db')), ledger)
        return wrong, calls, len(ledger.batches)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('writer')
    parser.add_argument('library')
    parser.add_argument('--stride', type=int, default=61)
    args = parser.parse_args()
    wrong, calls, batches = one(args, 0, errno.EIO, False)
    print(f'a script of {calls} calls, {batches} batches acknowledged; every {args.stride}th fails')
    if wrong or not batches or calls < 500:
        print(f'FAILED without a fault: {wrong}')
        return 1
    runs = 0
    for code, ever in FAULTS:
        for nth in range(1 + runs % args.stride, calls + 1, args.stride):
            wrong, _, _ = one(args, nth, code, ever)
            runs += 1
            if wrong:
                name = errno.errorcode.get(code, 'a short read or write')
                print(f'FAILED: {name} at call {nth} {"for ever" if ever else "once"}: {wrong}')
                return 1
    print(f'{runs} runs with a failing call: nothing acknowledged was lost')
    return 0


if __name__ == '__main__':
    sys.exit(main())
