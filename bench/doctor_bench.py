#!/usr/bin/env python3
"""Megabytes of files that `tocsin doctor` judges per second of CPU time, and its memory: doctor_bench.py [MEGABYTES] [TOCSIN]."""
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests/e2e'))
import doctor_runs as runs  # noqa: E402


def reports(seconds, layers=0):
    r = random.Random(7)
    t, step = runs.T0, 0
    while True:
        step += 1
        t += seconds * r.uniform(.95, 1.05)
        line = {'t': round(t, 3), 'session': 'a', 'seq': step, 'step': step, 'state': 'running',
                'loss': 1.5 + 3 * math.exp(-step / 20000) + r.gauss(0, .02), 'grad_norm': abs(r.gauss(1, .1)), 'lr': 1e-3,
                'step_seconds': seconds * r.uniform(.9, 1.1), 'tokens_per_second': 51200 * r.uniform(.9, 1.1),
                'memory_bytes': 500000000 + r.randint(0, 1000000), 'memory_limit_bytes': 1000000000}
        if layers:
            line['layers'] = {f'blocks.{k}.w': {'grad_norm': abs(r.gauss(1, .1)), 'param_std': .02, 'update_ratio': .001,
                                                'zero_grad_ratio': 0, 'nonfinite_ratio': 0} for k in range(layers)}
        yield line


def jsonl(lines):
    return b''.join((json.dumps(x) + '\n').encode() for x in lines)


def csv(lines):
    names = ['t', 'step', 'state', 'loss', 'grad_norm', 'lr', 'step_seconds', 'memory_bytes', 'memory_limit_bytes']
    return b''.join((','.join(str(x[n]) for n in names) + '\n').encode() for x in lines)


def events(lines):
    return b''.join(runs.event(x['t'], x['step'], tag, x[field]) for x in lines
                    for field, tag in (('loss', 'train/loss'), ('grad_norm', 'train/grad_norm'), ('lr', 'train/learning_rate')))


def log(lines):
    return b''.join(f"iter {x['step']}: loss {x['loss']:.4f}, time {x['step_seconds'] * 1000:.2f}ms, mfu 3.2%\n".encode()
                    for x in lines)


SETS = (('JSON lines, a step a second', 'a.jsonl', jsonl, dict(seconds=1), b''),
        ('JSON lines, ten steps a second', 'a.jsonl', jsonl, dict(seconds=.1), b''),
        ('JSON lines, 50 layers', 'a.jsonl', jsonl, dict(seconds=1, layers=50), b''),
        ('CSV', 'a.csv', csv, dict(seconds=1), b't,step,state,loss,grad_norm,lr,step_seconds,memory_bytes,memory_limit_bytes\n'),
        ('event file of TensorBoard', 'events.out.tfevents.1.a', events, dict(seconds=1), b''),
        ('log of nanoGPT', 'train.log', log, dict(seconds=1), b''))


def write(path, form, options, header, size):
    source, done = reports(**options), len(header)
    with open(path, 'wb') as f:
        f.write(header)
        while done < size:
            data = form([next(source) for _ in range(200)])
            f.write(data)
            done += len(data)
    return done


def main():
    size = float(sys.argv[1]) * 1e6 if len(sys.argv) > 1 else 50e6
    binary = sys.argv[2] if len(sys.argv) > 2 else 'build/tocsin'
    for name, file, form, options, header in SETS:
        with tempfile.TemporaryDirectory(prefix='tocsin-bench-') as d:
            done = write(pathlib.Path(d) / file, form, options, header, size)
            child = subprocess.Popen([binary, 'doctor', d, '-o', 'json'], stdout=subprocess.DEVNULL)
            usage = os.wait4(child.pid, 0)[2]
            cpu = usage.ru_utime + usage.ru_stime
            print(f'{name:34} {done / 1e6 / cpu:6.0f} MB/s of CPU, {100e6 * cpu / done:5.2f} s per 100 MB, {usage.ru_maxrss / 1024:5.0f} MiB',
                  flush=True)


if __name__ == '__main__':
    main()
