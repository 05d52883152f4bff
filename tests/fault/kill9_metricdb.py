#!/usr/bin/python3
"""kill -9 at random moments while samples are written: every acknowledged batch must be there afterwards.

usage: kill9_metricdb.py WRITER [--cycles N] [--seed S]
"""
import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time


def write_until_killed(writer, directory, batch, delay_s):
    """Starts the writer, kills it after delay_s; returns the acknowledged batch numbers."""
    process = subprocess.Popen([writer, directory, "write", str(batch)], stdout=subprocess.PIPE)
    acknowledged = []

    def drain():
        for line in process.stdout:
            if line.endswith(b"\n"):
                acknowledged.append(int(line))

    reader = threading.Thread(target=drain)
    reader.start()
    time.sleep(delay_s)
    process.kill()
    process.wait()
    reader.join()
    return acknowledged


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("writer")
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.cycles} cycles")
    rng = random.Random(args.seed)
    directory = tempfile.mkdtemp(prefix="toc_kill9_")
    ledger, batch = set(), 0
    try:
        for cycle in range(args.cycles):
            acknowledged = write_until_killed(args.writer, directory, batch, rng.uniform(0.02, 0.5))
            ledger.update(acknowledged)
            batch = max(ledger, default=0) + 50
            if cycle % 5 != 4 and cycle != args.cycles - 1:
                continue
            result = subprocess.run([args.writer, directory, "check"], capture_output=True, text=True)
            missing = ledger - {int(line) for line in result.stdout.split()}
            print(f"cycle {cycle + 1}: {len(ledger)} batches acknowledged, {len(missing)} missing; "
                  f"{result.stderr.strip()}")
            if missing or result.returncode:
                print(f"FAILED: {sorted(missing)[:10]}, exit {result.returncode}")
                return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{args.cycles} kills, {len(ledger)} acknowledged batches, 0 lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
