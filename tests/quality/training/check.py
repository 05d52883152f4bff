#!/usr/bin/env python3
"""One real training per fault, judged by `tocsin doctor`. What depends on how busy the machine is (speed, curves) is told but
not demanded; what is certain in the data must be found at its place, and a healthy run must not be called critically ill.
All figures over many seeds: bench/quality/training_runs.py."""
import concurrent.futures
import os
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / 'bench/quality'), str(ROOT / 'tests/e2e')]

import training_runs as runs  # noqa: E402
from tocsin_test import BINARY, Checks, skip  # noqa: E402

try:
    import torch  # noqa: F401
except ImportError:
    skip('no torch for this Python (apt-get install python3-torch)')

CERTAIN = ('nan_layer', 'sigkill', 'corrupt_checkpoint', 'stalled_rank', 'memory_leak', 'frozen_layer', 'dead_relu')
STEPS, FAULT_STEP = 1000, 400


def one(root, fault, seed):
    directory = root / fault
    command = runs.command_of(sys.executable, 'torch', fault, seed, directory, STEPS, FAULT_STEP)
    return runs.judge(*runs.execute(BINARY, command, fault, directory), directory)


def main():
    from training import FAULTS
    seed = int(os.environ.get('TOCSIN_TEST_SEED', '11'))
    root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-training-'))
    c = Checks()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = dict(zip(FAULTS, pool.map(lambda fault: one(root, fault, seed), FAULTS)))
    for fault, r in results.items():
        print(f'seed {seed} {fault}: {r}')
        if fault in CERTAIN:
            c.check(r['found'], f'{fault} is found: {r}')
            c.check(r.get('layer', True), f'{fault}: the right layer: {r}')
            c.check(r.get('rank', True), f'{fault}: the right rank: {r}')
    c.check('non_finite' not in results['none']['kinds'], f'a healthy run: {results["none"]}')
    c.equal(results['nan_layer'].get('step_off'), 0, 'nan_layer: the step')
    shutil.rmtree(root, ignore_errors=True)
    c.finish()


if __name__ == '__main__':
    main()
