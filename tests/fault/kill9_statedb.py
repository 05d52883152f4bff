#!/usr/bin/python3
"""Kills the writer with SIGKILL at random moments and checks that every acknowledged change is stored.

usage: kill9_statedb.py WRITER [CYCLES] [--seed N]
"""
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def main():
    args = [a for a in sys.argv[1:] if a != '--seed']
    seed = int(args.pop()) if '--seed' in sys.argv else int(time.time())
    writer, cycles = args[0], int(args[1]) if len(args) > 1 else 10
    rng = random.Random(seed)
    folder = tempfile.mkdtemp(prefix='tocsin-kill9-')
    acknowledged = []
    print(f'seed {seed}, {cycles} cycles')
    try:
        for cycle in range(cycles):
            process = subprocess.Popen([writer, folder, str(cycle + 1)], stdout=subprocess.PIPE)
            time.sleep(rng.uniform(0.01, 0.25))
            process.send_signal(signal.SIGKILL)
            output = process.communicate()[0].decode()
            if process.returncode != -signal.SIGKILL:
                print(f'cycle {cycle}: the writer ended by itself with {process.returncode}')
                return 1
            # A line without its end was still being printed.
            acknowledged += [line for line in output.split('\n')[:-1]]
        check = subprocess.run([writer, folder, 'check'], stdout=subprocess.PIPE)
        if check.returncode != 0:
            print('the database cannot be read after the kills')
            return 1
        stored = check.stdout.decode().split('\n')
        lost = set(acknowledged) - set(stored)
        twice = len(stored) - len(set(stored))
        for line in sorted(lost)[:10]:
            print('lost:', line)
        print(f'{cycles} kills, {len(acknowledged)} acknowledged changes, {len(lost)} lost, '
              f'{twice} stored twice')
        return 1 if lost or twice or not acknowledged else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
