#!/usr/bin/env python3
"""False alarms and misses of the training doctor on recorded runs: 200 nanogpt logs, as they are and with faults.

    python3 bench/quality/doctor.py [--data ../shared/data/nanogpt] [--tocsin build/tocsin] [--seed 1]

Each run becomes a file of JSON lines, `tocsin doctor` judges them, and what it finds is compared with what was put in.
Says so and ends with 0 when the data are not there. `--check` ends with 1 when a kind of optimisation is raised on a healthy run.
"""
import argparse
import collections
import csv
import gzip
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

FIELDS = (('train_loss', 'loss'), ('val_loss', 'val_loss'), ('step_time', 'step_seconds'))
# Kinds that judge the numbers of training; the others (pace, memory, ends) are counted apart.
OPTIMISATION = {'non_finite', 'loss_spike', 'divergence', 'plateau', 'slow_convergence', 'oscillation', 'overfit',
                'vanishing_gradient', 'exploding_gradient', 'dead_units', 'saturation', 'update_ratio',
                'parameter_drift', 'replica_divergence', 'amp_trouble', 'moe_imbalance'}


def read_run(path):
    with gzip.open(path, 'rt') as f:
        return [{'t': 1700000000 + float(r['timestamp']), 'step': int(float(r['step'])),
                 **{new: float(r[old]) for old, new in FIELDS if r.get(old)}} for r in csv.DictReader(f)]


def trend_at(rows, i, width=100):
    near = [r['loss'] for r in rows[max(0, i - width):i + width] if 'loss' in r]
    return statistics.median(near)


def spike(rows, at, rng):
    factor = 1.5 + 1.5 * rng.random()
    for r in rows[at:at + rng.randint(5, 20)]:
        r['loss'] *= factor


def divergence(rows, at, rng):
    rate = 0.002 + 0.008 * rng.random()
    for i, r in enumerate(rows[at:]):
        r['loss'] += min(4.0, rate * i)


def nan(rows, at, rng):
    for r in rows[at:]:
        r['loss'] = math.nan


def plateau(rows, at, rng):
    level = trend_at(rows, at)
    trends = [trend_at(rows, i) for i in range(at, len(rows))]
    for r, t in zip(rows[at:], trends):
        r['loss'] += level - t


def drift(rows, at, rng):
    for i, r in enumerate(rows[at:]):
        r['loss'] *= 1.0002 ** i


FAULTS = {'spike': (spike, {'loss_spike', 'divergence'}), 'divergence': (divergence, {'divergence'}),
          'nan': (nan, {'non_finite'}), 'plateau': (plateau, {'plateau', 'slow_convergence'}),
          'drift +.02 %/step': (drift, {'divergence', 'plateau', 'slow_convergence'})}


def write_run(folder, name, rows):
    with open(folder / f'{name}.jsonl', 'w') as f:
        f.writelines(json.dumps(r) + '\n' for r in rows)


def judge(tocsin, folder):
    done = subprocess.run([tocsin, 'doctor', str(folder), '-o', 'json'], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f'tocsin doctor ended with {done.returncode}: {done.stderr}')
    runs = json.loads(done.stdout)
    return {r['run']: r for r in (runs if isinstance(runs, list) else [runs])}


def inject(runs, tocsin, fault, seed):
    change, wanted = FAULTS[fault]
    found, delays, others, steps_off = 0, [], 0, []
    truth = {}
    with tempfile.TemporaryDirectory() as d:
        for name, rows in runs.items():
            rng = random.Random(f'{seed} {fault} {name}')
            rows = [dict(r) for r in rows if 'loss' in r]
            at = int(len(rows) * (0.4 + 0.2 * rng.random()))
            change(rows, at, rng)
            truth[name] = rows[at]['step']
            write_run(pathlib.Path(d), name, rows)
        for name, r in judge(tocsin, d).items():
            hits = [f for f in r['findings'] if f['kind'] in wanted]
            found += bool(hits)
            steps_off += [abs((f.get('step') or 0) - truth[name]) for f in hits[:1]]
            others += sum(f['kind'] not in wanted and f['kind'] in OPTIMISATION for f in r['findings'])
    return found, len(truth), statistics.median(steps_off) if steps_off else math.nan, others


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=pathlib.Path)
    p.add_argument('--tocsin', default='build/tocsin')
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--check', action='store_true', help='only the healthy runs, as a test')
    a = p.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    data = a.data or root.parent / 'shared/data/nanogpt'
    if not data.exists() and not a.data:
        data = root.parents[1] / 'shared/data/nanogpt'
    paths = sorted(data.glob('*.csv.gz'))
    if not paths:
        print(f'no runs in {data}: nothing is measured')
        return 77 if a.check else 0
    runs = {p.name[:-7]: read_run(p) for p in paths}
    hours = sum(r[-1]['t'] - r[0]['t'] for r in runs.values()) / 3600
    with tempfile.TemporaryDirectory() as d:
        for name, rows in runs.items():
            write_run(pathlib.Path(d), name, rows)
        judged = judge(a.tocsin, d)
    kinds = collections.Counter(f['kind'] for r in judged.values() for f in r['findings'])
    false = sum(n for k, n in kinds.items() if k in OPTIMISATION)
    print(f'{len(judged)} healthy runs, {hours:.1f} h: {dict(kinds)}')
    print(f'false alarms of optimisation: {false}, {1000 * false / hours:.0f} per 1000 run-hours; '
          f'all kinds: {sum(kinds.values())}, {1000 * sum(kinds.values()) / hours:.0f}')
    if a.check:
        return 1 if false or len(judged) != len(paths) else 0
    told = {n: r for n, r in runs.items() if sum('loss' in x for x in r) >= 1000}
    print('| fault | found | of | median distance of the named step | other findings of optimisation |')
    for fault in FAULTS:
        found, of, off, others = inject(told, a.tocsin, fault, a.seed)
        print(f'| {fault} | {found} | {of} | {off:.0f} | {others} |')
    return 0


if __name__ == '__main__':
    sys.exit(main())
