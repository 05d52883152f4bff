"""What the training jobs with faults share: the task, the arguments, and the truth about what was injected.

The task: tell which of ten classes a point of 32 dimensions belongs to, as a random network of two layers (the teacher) says. Points come
from the seed; training, gradients, optimizer and checkpoint files are real. PACE_S is the time a step waits as if for an
accelerator, so that a job needs little of a shared machine's processors.
"""
import argparse
import json
import os
import pathlib
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / 'sdk/python'))

CLASSES, WIDTH_IN, WIDTH, BATCH = 10, 32, 96, 64
LAYERS = ('fc1', 'fc2', 'fc3', 'fc4', 'head')
POINTS = 65536  # of training: more than a run sees, or its healthy form would overfit
SICK_LAYER = 'fc3'
SICK_RANK = 2
PACE_S = 0.012
CHECKPOINT_EVERY = 200
SLOW_S = 0.08
LEAK_LIMIT_BYTES = 300 << 20  # a leak of 1 MiB a step has to meet it well before the last step of the shortest run
# Fault → the kinds that name it, and the kinds that may follow from it.
FAULTS = {
    'none': ((), ()),
    'lr_blowup': (('divergence', 'exploding_gradient'), ('non_finite', 'update_ratio', 'dead_units', 'loss_spike', 'parameter_drift',
                                                         'saturation', 'oscillation', 'plateau', 'slow_convergence')),
    'nan_layer': (('non_finite',), ('divergence', 'update_ratio')),
    'frozen_layer': (('update_ratio',), ()),
    'dead_relu': (('dead_units',), ('divergence', 'vanishing_gradient', 'plateau', 'update_ratio', 'slow_convergence', 'loss_spike')),
    'shuffled_labels': (('slow_convergence', 'plateau', 'overfit'), ()),
    'slow_loader': (('data_starvation',), ('throughput_drop',)),
    'stalled_rank': (('hang',), ('straggler',)),
    'memory_leak': (('memory_growth', 'oom'), ('crash',)),
    'sigkill': (('crash',), ()),
    'corrupt_checkpoint': (('checkpoint_corrupt',), ('checkpoint_overdue',)),
}
# What a TensorBoard writer alone lets anybody see, and as what: scalars know no layers, no ends and no files.
TENSORBOARD_FAULTS = {'none': (), 'lr_blowup': FAULTS['lr_blowup'][0], 'nan_layer': ('non_finite',),
                      'shuffled_labels': FAULTS['shuffled_labels'][0], 'slow_loader': ('throughput_drop',)}
NAMES_A_LAYER = ('nan_layer', 'frozen_layer', 'dead_relu')
NAMES_A_STEP = ('nan_layer', 'lr_blowup', 'sigkill', 'stalled_rank', 'corrupt_checkpoint')


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('directory', type=pathlib.Path, help='reports, checkpoints and truth.json go here')
    parser.add_argument('--fault', choices=FAULTS, default='none')
    parser.add_argument('--fault-step', type=int, default=600)
    parser.add_argument('--steps', type=int, default=1300)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--writer', choices=('file', 'http', 'tensorboard', 'tensorboardx'), default='file')
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    return options


def run_name(options, framework):
    return f'{framework}-{options.fault}-{options.seed}'


def points(options):
    """((x, y) of training, (x, y) of validation)."""
    rng = np.random.default_rng(options.seed)
    x = rng.normal(size=(POINTS + 1024, WIDTH_IN)).astype('float32')
    hidden = np.tanh(x @ rng.normal(size=(WIDTH_IN, 48)) * 0.3)
    y = (hidden @ rng.normal(size=(48, CLASSES))).argmax(1)
    if options.fault == 'shuffled_labels':
        y[:POINTS] = rng.permutation(y[:POINTS])
    return (x[:POINTS], y[:POINTS]), (x[POINTS:], y[POINTS:])


class Truth:
    """What was injected and when; written at once, for a job may not live to its end."""

    def __init__(self, options, framework):
        self._path = options.directory / 'truth.json'
        is_tensorboard = options.writer in ('tensorboard', 'tensorboardx')
        kinds = TENSORBOARD_FAULTS[options.fault] if is_tensorboard else FAULTS[options.fault][0]
        self.told = {'framework': framework + (f' {options.writer}' if is_tensorboard else ''), 'fault': options.fault,
                     'seed': options.seed, 'run': run_name(options, framework),
                     'kinds': kinds, 'may_follow': FAULTS[options.fault][1], 'began': time.time(),
                     'layer': SICK_LAYER if options.fault in NAMES_A_LAYER and not is_tensorboard else None,
                     'rank': SICK_RANK if options.fault == 'stalled_rank' else None, 'step': None, 't': None}
        if options.fault in ('none', 'shuffled_labels'):
            self.tell(0)

    def tell(self, step):
        if self.told['t'] is not None:
            return
        self.told['t'] = time.time()
        self.told['step'] = step
        partial = self._path.with_suffix('.tmp')
        partial.write_text(json.dumps(self.told))
        os.replace(partial, self._path)

    def print(self):
        print(json.dumps(self.told), flush=True)


class Loader:
    """Batches in random order, again and again; from the fault on slow when that is the fault."""

    def __init__(self, x, y, options, truth, rank=0, ranks=1):
        self._x, self._y, self._options, self._truth = x, y, options, truth
        self._rng = np.random.default_rng(options.seed * 1000 + rank)
        self._rank, self._ranks = rank, ranks

    def __iter__(self):
        for step in range(1, self._options.steps + 1):
            if self._options.fault == 'slow_loader' and step >= self._options.fault_step:
                self._truth.tell(step)
                time.sleep(SLOW_S)
            pick = self._rng.integers(0, len(self._x), BATCH)
            yield self._x[pick], self._y[pick]


def limit_memory(more_bytes):
    """A limit that a leak reaches soon, as that of a container would be."""
    import resource
    with open('/proc/self/status') as f:
        data = next(int(line.split()[1]) for line in f if line.startswith('VmData')) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (data + more_bytes, data + more_bytes))


def corrupt(path):
    """As a full disk or a process that died while it wrote leaves it."""
    size = os.path.getsize(path)
    os.truncate(path, size * 6 // 10)
