#!/usr/bin/env python3
"""What the Python SDK costs a PyTorch loop: a few steps with it and a few without it in turn, in one process.

    /usr/bin/python3 bench/sdk_overhead.py [--seconds 120] [--width 128] [--live]

The loop trains a small transformer on one thread. With the SDK: run.log at each step, run.watch with default sampling.
Lines go to a file, with --live to a daemon. Three figures:
  direct  CPU time inside the SDK's calls and in its background thread during the steps with it, over the CPU time of these;
          from one pair of blocks in four, for looking at the clock so often costs time itself (which is taken off, as empty calls
          beside tell it)
  cpu     CPU time per step with it (background thread included) over that without it, less 1; from the other pairs
  wall    the same of wall time
The last two compare neighbouring blocks; their standard error says how noisy the machine was.

The SDK does things so often a second. Half of the time is without it, so its clocks stand still meanwhile, or count double.
"""
import argparse
import itertools
import json
import pathlib
import statistics
import sys
import tempfile
import threading
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'sdk/python'), str(ROOT / 'tests/e2e')]

try:
    import torch
except ImportError:
    print('skipped: no torch (apt-get install python3-torch)')
    sys.exit(77)
import tocsin  # noqa: E402
from tocsin import _process, _sender  # noqa: E402


class Job:
    """A transformer of two blocks that learns to predict a shifted sum of its input."""

    def __init__(self, width, batch, length=32):
        torch.manual_seed(1)
        layer = torch.nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.model = torch.nn.Sequential(torch.nn.Embedding(64, width), torch.nn.TransformerEncoder(layer, 2),
                                         torch.nn.Linear(width, 64))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.shape = (batch, length)
        self.number = 0

    def step(self):
        x = torch.randint(0, 64, self.shape)
        y = (x.cumsum(1)) % 64
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(x).flatten(0, 1), y.flatten())
        loss.backward()
        self.optimizer.step()
        self.number += 1
        return loss


class Spent:
    """CPU time of the job's thread inside the SDK: its log, and its optimizer step without the optimizer's own."""

    def __init__(self):
        self.seconds = 0.0

    def counted(self, function, sign=1):
        def call(*args, **kwargs):
            began = time.thread_time()
            result = function(*args, **kwargs)
            self.seconds += sign * (time.thread_time() - began)
            return result
        return call


def thread_s(native_id):
    """CPU seconds of another thread of this process."""
    with open(f'/proc/self/task/{native_id}/schedstat') as f:
        return int(f.read().split()[0]) / 1e9


class Inside:
    """The SDK's two calls in a step with their CPU time, and two empty ones."""

    def __init__(self, run, job, plain):
        self.spent, self.empty = Spent(), Spent()
        job.optimizer.step = self.spent.counted(plain, -1)
        watched = run._watches[0]._watched_step(job.optimizer)
        self.step = types.MethodType(self.spent.counted(watched), job.optimizer)
        self._log = self.spent.counted(run.log)
        self._empty_log = self.empty.counted(lambda *_, **__: None)
        self._empty_step = self.empty.counted(self.empty.counted(lambda *_: None, -1))

    def log(self, step, loss):
        self._log(step, loss=loss)
        self._empty_log(step, loss=loss)
        self._empty_step()

    def seconds(self):
        return self.spent.seconds - self.empty.seconds


def block(job, steps, log, background):
    """(CPU seconds of this thread, wall seconds, CPU seconds of the SDK's thread)."""
    before = thread_s(background)
    cpu, wall = time.thread_time(), time.perf_counter()
    for _ in range(steps):
        loss = job.step()
        if log is not None:
            log(job.number, loss=loss)
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    return cpu, wall, thread_s(background) - before


class HalfTime:
    """Lets the SDK run during the steps with it only, with the intervals that it would have if there were no others."""

    def __init__(self, run):
        self._run, self._gate = run, threading.Event()
        run._sender.transport.interval_s *= 2
        run._sender.merger.min_interval_s *= 2
        _sender.MEMORY_EVERY_S *= 2
        _process.LIMIT_EVERY_S *= 2
        run._sender.each_turn = self._gate.wait
        self.opened()

    def opened(self):
        self._gate.set()

    def closed(self):
        self._gate.clear()
        self._began = time.perf_counter()

    def reopened(self):
        passed = time.perf_counter() - self._began
        pace = self._run._watches[0]._pace
        pace.due_at += passed
        pace.earned_at += passed
        self.opened()


def alternate(job, ways, run, seconds, steps):
    """(pairs of (with, without) that are timed from outside, those with watches inside); who comes first changes, so that a drift of
    the machine cancels out."""
    half, background = HalfTime(run), run._sender._thread.native_id
    plain, inside = [], []
    end = time.perf_counter() + seconds
    for number in itertools.count():
        if time.perf_counter() >= end:
            return plain, inside
        pair = {}
        for name in ('with', 'without') if number % 2 else ('without', 'with'):
            is_inside = number // 2 % 4 == 3
            job.optimizer.step, log = ways['without'] if name == 'without' else ways['inside' if is_inside else 'with']
            if name == 'without':
                half.closed()
            pair[name] = block(job, steps, log, background)
            if name == 'without':
                half.reopened()
        (inside if is_inside else plain).append((pair['with'], pair['without']))


def compared(pairs, i, also=None):
    """(mean of the middle half of the ratios, its standard error); also: what else a block with the SDK took."""
    ratios = sorted((p[0][i] + (p[0][also] if also else 0)) / p[1][i] - 1 for p in pairs)
    quarter = len(ratios) // 4
    middle = ratios[quarter:len(ratios) - quarter]
    # Of a trimmed mean: the spread of the winsorised ratios.
    bent = [min(max(r, middle[0]), middle[-1]) for r in ratios]
    return statistics.mean(middle), statistics.stdev(bent) / 0.5 / len(bent) ** 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=120)
    parser.add_argument('--steps', type=int, default=5, help='of a block')
    parser.add_argument('--width', type=int, default=128)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--live', action='store_true', help='send to a daemon instead of a file')
    parser.add_argument('--build', default=str(ROOT / 'build'))
    options = parser.parse_args()
    torch.set_num_threads(1)
    job = Job(options.width, options.batch)
    for _ in range(20):
        job.step()
    daemon = None
    with tempfile.TemporaryDirectory(prefix='tocsin-bench-') as directory:
        if options.live:
            import tocsin_test
            tocsin_test.BINARY = options.build + '/tocsin'
            daemon = tocsin_test.Daemon().start()
        target = {'url': daemon.url} if daemon else {'file': directory + '/run.jsonl'}
        run = tocsin.init('bench', signals=False, **target)
        plain = job.optimizer.step
        run.watch(job.model, job.optimizer)
        ways = {'without': (plain, None), 'with': (job.optimizer.step, run.log)}
        looks = Inside(run, job, plain)
        ways['inside'] = (looks.step, looks.log)
        pairs, inside = alternate(job, ways, run, options.seconds, options.steps)
        samples = run._watches[0]._pace.samples
        run.flush(5)
        run.finish()
        if daemon:
            daemon.kill()
    cpu, background = sum(p[0][0] for p in inside), sum(p[0][2] for p in inside)
    out = {'step_ms': round(1000 * statistics.median(p[1][1] for p in pairs) / options.steps, 2), 'pairs': len(pairs),
           'samples': samples, 'direct': (looks.seconds() + background) / (cpu - looks.spent.seconds), 'background': background / cpu}
    out['cpu'], out['cpu_error'] = compared(pairs, 0, 2)
    out['wall'], out['wall_error'] = compared(pairs, 1)
    out['told'] = run.overhead.spent_s() / sum(p[0][1] for p in pairs + inside)  # what the SDK itself thinks
    print(json.dumps({k: round(v, 5) for k, v in out.items()}))


if __name__ == '__main__':
    main()
