#!/usr/bin/env python3
"""A real training with PyTorch and, on request, a fault.

    /usr/bin/python3 tests/quality/training/train_torch.py DIR --fault nan_layer --seed 3

What the job does for Tocsin is tocsin.init, run.watch, run.log (and run.wrap, run.checkpoint). The last line printed is the truth.
"""
import collections
import os
import signal
import subprocess
import sys
import time

import torch
from torch import nn

import training
from training import FAULTS, LAYERS, PACE_S, SICK_LAYER, SICK_RANK, WIDTH, Loader, Truth

RANKS = 4
HANG_S = 600


def network(seed):
    torch.manual_seed(seed)
    parts, width = collections.OrderedDict(), training.WIDTH_IN
    for i, name in enumerate(LAYERS[:-1], 1):
        parts[name], parts[f'relu{i}'], width = nn.Linear(width, WIDTH), nn.ReLU(), WIDTH
    parts['head'] = nn.Linear(width, training.CLASSES)
    return nn.Sequential(parts)


class TensorBoard:
    """The same calls, for a job that only writes for TensorBoard."""

    def __init__(self, options):
        if options.writer == 'tensorboardx':
            from tensorboardX import SummaryWriter
        else:
            from torch.utils.tensorboard import SummaryWriter
        self._writer = SummaryWriter(str(options.directory / training.run_name(options, 'torch')), flush_secs=2)

    def log(self, step, **numbers):
        for name, value in numbers.items():
            self._writer.add_scalar(name, float(value), step)

    def watch(self, *_, **__): ...

    def wrap(self, loader):
        return loader

    def checkpoint(self, *_): ...

    def finish(self, *_):
        self._writer.close()


def reporter(options, rank):
    if options.writer in ('tensorboard', 'tensorboardx'):
        return TensorBoard(options)
    import tocsin
    target = {} if options.writer == 'http' else {'file': options.directory / f'rank-{rank}.jsonl'}
    return tocsin.init(training.run_name(options, 'torch'), rank=rank, labels={'model': 'mlp', 'recipe': 'teacher'}, **target)


class Fault:
    """What happens at the fault's step, before the forward pass."""

    def __init__(self, options, truth, model, optimizer, rank):
        self.__dict__.update(vars())
        self.leak = []

    def __call__(self, step):
        name = self.options.fault
        if step < self.options.fault_step or name in ('none', 'shuffled_labels', 'slow_loader', 'corrupt_checkpoint'):
            return
        if name != 'stalled_rank' or self.rank == SICK_RANK:
            getattr(self, name)(step)

    def once(self, step):
        if step == self.options.fault_step:
            self.truth.tell(step)
            return True
        return False

    def lr_blowup(self, step):
        if self.once(step):
            for group in self.optimizer.param_groups:
                group['lr'] *= 300

    def nan_layer(self, step):
        if self.once(step):
            with torch.no_grad():
                getattr(self.model, SICK_LAYER).weight[3, 5] = float('nan')

    def frozen_layer(self, step):
        if self.once(step):
            getattr(self.model, SICK_LAYER).requires_grad_(False)
            for p in getattr(self.model, SICK_LAYER).parameters():
                p.grad = None

    def dead_relu(self, step):
        if self.once(step):
            with torch.no_grad():
                getattr(self.model, SICK_LAYER).bias.fill_(-30.0)

    def memory_leak(self, step):
        if self.once(step):
            training.limit_memory(training.LEAK_LIMIT_BYTES)
        self.leak.append(torch.ones(1 << 18))  # 1 MiB that nobody needs

    def sigkill(self, step):
        if self.once(step):
            os.kill(os.getpid(), signal.SIGKILL)

    def stalled_rank(self, step):
        if self.once(step):
            time.sleep(HANG_S)


def save(model, optimizer, options, truth, run, step):
    path = options.directory / f'ckpt-{step:06d}.pt'
    torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'step': step}, path)
    if options.fault == 'corrupt_checkpoint' and step >= options.fault_step:
        truth.tell(step)
        training.corrupt(path)
    run.checkpoint(path, step)


def evaluate(model, x, y):
    with torch.no_grad():
        out = model(x)
        return nn.functional.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def train(options, rank=0, ranks=1):
    torch.set_num_threads(1)
    truth = Truth(options, 'torch')
    (x, y), (val_x, val_y) = training.points(options)
    model = network(options.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    run = reporter(options, rank)
    run.watch(model, optimizer, activations=True)
    fault = Fault(options, truth, model, optimizer, rank)
    val_x, val_y = torch.from_numpy(val_x), torch.from_numpy(val_y)
    for step, (bx, by) in enumerate(run.wrap(Loader(x, y, options, truth, rank, ranks)), 1):
        fault(step)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.from_numpy(bx)), torch.from_numpy(by))
        loss.backward()
        if ranks > 1:
            for p in model.parameters():
                torch.distributed.all_reduce(p.grad)
                p.grad /= ranks
        optimizer.step()
        time.sleep(PACE_S)
        numbers = {}
        if step % 50 == 0:
            numbers['val_loss'], numbers['val_accuracy'] = evaluate(model, val_x, val_y)
        run.log(step, loss=loss, lr=optimizer.param_groups[0]['lr'], **numbers)
        if step % training.CHECKPOINT_EVERY == 0 and rank == 0:
            save(model, optimizer, options, truth, run, step)
    run.finish()
    truth.print()


def train_rank(options, rank):
    torch.distributed.init_process_group('gloo', init_method=f'file://{options.directory.absolute()}/rendezvous', rank=rank,
                                         world_size=RANKS)
    train(options, rank, RANKS)


def launch(options):
    """One process per rank; when this one ends, so do they."""
    children = [subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, 'RANK': str(r), 'WORLD_SIZE': str(RANKS)})
                for r in range(RANKS)]

    def end(*_):
        for child in children:
            child.kill()
        sys.exit(1)

    signal.signal(signal.SIGTERM, end)
    for child in children:
        child.wait()


def main():
    options = training.arguments(__doc__.splitlines()[0])
    assert options.fault in FAULTS
    if options.fault != 'stalled_rank':
        train(options)
    elif 'RANK' in os.environ:
        train_rank(options, int(os.environ['RANK']))
    else:
        launch(options)


if __name__ == '__main__':
    main()
