"""Event files of real writers (tensorboardX, torch.utils.tensorboard, TensorFlow when it is installed): what a daemon stores is what
TensorBoard's own reader, event_accumulator, reads. Needs pip for tensorboard and tensorboardX; PyTorch comes from the system."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
os.environ.setdefault('TOCSIN_BINARY', os.path.abspath(sys.argv[1]))
from tocsin_test import Checks, Daemon, skip, wait_for  # noqa: E402

# Runs in the virtual environment: writes with every writer there is, reads with TensorBoard's reader, prints what it read.
WRITE_AND_READ = r'''
import json, math, pathlib, sys, time
import numpy as np
root, writers = pathlib.Path(sys.argv[1]), {}
def values(step):
    return {'train/loss': float(np.float32(2.5 / (1 + step))) if step != 7 else math.nan, 'train/grad_norm': 0.5 * step if step != 8 else math.inf,
            'lr': 1e-3, 'my/metric': float(step)}
def histogram(w, tag, values, step):
    try:
        w.add_histogram(tag, values, step)
    except TypeError:  # PyTorch 1.13 beside NumPy 1.24 and later
        counts, limits = np.histogram(values, bins=60)
        w.add_histogram_raw(tag, float(values.min()), float(values.max()), len(values), float(values.sum()), float(values.dot(values)),
                            limits[1:].tolist(), counts.tolist(), step)
def common(w):
    for step in range(10):
        for tag, v in values(step).items():
            w.add_scalar(tag, v, step)
        if step % 5 == 0:
            generator = np.random.default_rng(step)
            histogram(w, 'gradients/fc.weight', generator.normal(0.1, 1, 4000), step)
            histogram(w, 'weights/fc.weight', np.concatenate([np.zeros(500), generator.normal(0, 0.02, 500)]), step)
        w.add_text('note', 'hello', step)
    w.add_hparams({'lr': 1e-3, 'batch': 4}, {'hparam/loss': 0.1}) if hasattr(w, 'add_hparams') else None
    w.close()
try:
    import tensorboardX
    common(tensorboardX.SummaryWriter(str(root / 'tensorboardX')))
    writers['tensorboardX'] = tensorboardX.__version__
except Exception as e:
    writers['tensorboardX'] = f'absent: {e}'
try:
    import torch
    from torch.utils.tensorboard import SummaryWriter
    common(SummaryWriter(str(root / 'torch')))
    writers['torch'] = torch.__version__
except Exception as e:
    writers['torch'] = f'absent: {e}'
try:
    import tensorflow as tf
    w = tf.summary.create_file_writer(str(root / 'tensorflow'))
    with w.as_default():
        for step in range(10):
            for tag, v in values(step).items():
                tf.summary.scalar(tag, v, step)
            if step % 5 == 0:
                tf.summary.histogram('gradients/fc.weight', np.random.default_rng(step).normal(0.1, 1, 4000), step)
    w.close()
    writers['tensorflow'] = tf.__version__
except Exception as e:
    writers['tensorflow'] = f'absent: {e}'
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
out = {'writers': writers, 'runs': {}}
for name in sorted({str(p.parent.relative_to(root)) for p in root.rglob('*tfevents*')}):
    a = EventAccumulator(str(root / name), size_guidance={k: 0 for k in ('scalars', 'tensors', 'histograms')})
    a.Reload()
    scalars = {t: [[e.wall_time, e.step, repr(float(e.value))] for e in a.Scalars(t)] for t in a.Tags()['scalars']}
    histograms = {t: [[e.step, h.min, h.max, h.num, h.sum, h.sum_squares] for e in a.Histograms(t) for h in [e.histogram_value]] for t in a.Tags()['histograms']}
    for t in a.Tags()['tensors']:
        for e in a.Tensors(t):
            v = tensor_util.make_ndarray(e.tensor_proto)
            if v.dtype.kind == 'f' and v.ndim == 0:
                scalars.setdefault(t, []).append([e.wall_time, e.step, repr(float(v))])
    out['runs'][name] = {'scalars': scalars, 'histograms': histograms}
print(json.dumps(out))
'''
MEANINGS = {'train/loss': 'train_loss', 'train/grad_norm': 'train_grad_norm', 'lr': 'train_learning_rate'}


def python_of(folder):
    """An interpreter with the writers, and why there is none. TOCSIN_TENSORBOARD_PYTHON names one with TensorFlow, which is large."""
    if os.environ.get('TOCSIN_TENSORBOARD_PYTHON'):
        return os.environ['TOCSIN_TENSORBOARD_PYTHON'], None
    return f'{folder}/venv/bin/python', install(folder)


def install(folder):
    made = subprocess.run(['/usr/bin/python3', '-m', 'venv', '--system-site-packages', f'{folder}/venv'], capture_output=True, text=True)
    if made.returncode:
        return 'venv: ' + made.stdout.strip()[-300:]
    done = subprocess.run([f'{folder}/venv/bin/pip', 'install', '-q', '--retries', '1', 'tensorboard', 'tensorboardX'], capture_output=True,
                          text=True, timeout=240)
    return None if done.returncode == 0 else 'pip: ' + done.stderr.strip()[-300:]


def stored(daemon, selector):
    """[(time in ms, value as text)] of the one series of a selector."""
    form = urllib.parse.urlencode({'query': selector + '[1h]'}).encode()
    answer = daemon.call('POST', '/api/v1/query', form, headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    found = answer['data']['result']
    return [(round(t * 1000), float(v)) for t, v in found[0]['values']] if len(found) == 1 else None


def same(a, b):
    return a == b or (a != a and b != b)


def compare_scalars(c, daemon, run, tag, events):
    metric = MEANINGS.get(tag)
    selector = f'{metric}{{run="{run}"}}' if metric else f'train_tb_scalar{{run="{run}",tag="{tag}"}}'
    got = wait_for(lambda: (s := stored(daemon, selector)) and len(s) >= len(events) and s or None, 15) or stored(daemon, selector)
    if not c.check(got is not None and len(got) == len(events), f'{run} {tag}: {got and len(got)} samples, TensorBoard has {len(events)}'):
        return
    c.check(all(same(g[1], float(e[2])) for g, e in zip(got, events)), f'{run} {tag}: {got[:3]} … and {events[:3]} …')
    # Time of a report is that of the first value of its step; two reports within a millisecond are put 1 ms apart.
    c.check(all(-1000 < g[0] - e[0] * 1000 <= 20 for g, e in zip(got, events)), f'{run} {tag}: times {got[:3]} … and {events[:3]} …')


def compare_histograms(c, daemon, run, tag, events):
    what, layer = ('grad' if tag.startswith('gradients/') else 'param'), tag.split('/', 1)[1]
    _, low, high, num, total, squares = events[-1]
    mean = total / num
    wanted = {'mean': mean, 'std': max(0, squares / num - mean * mean) ** 0.5, 'min': low, 'max': high}
    for name, value in wanted.items():
        metric = f'train_layer_{what}_{name}{{run="{run}",layer="{layer}"}}'
        got = wait_for(lambda: stored(daemon, metric), 15)
        c.check(got and abs(got[-1][1] - value) <= 1e-9 * max(1, abs(value)) + (0 if run != 'tensorflow' else 1), f'{metric}: {got} and {value}')


def compare_quantiles(c, daemon, run):
    """Normal values around 0.1 with deviation 1: quantiles within the width of a bucket."""
    for q, z in [('q05', -1.645), ('q50', 0), ('q95', 1.645)]:
        got = stored(daemon, f'train_layer_grad_{q}{{run="{run}",layer="fc.weight"}}')
        c.check(got and abs(got[-1][1] - (0.1 + z)) < 0.25, f'{run} {q}: {got}')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as folder:
        python, why = python_of(folder)
        if why:
            skip(why)
        runs = pathlib.Path(folder) / 'runs'
        runs.mkdir()
        done = subprocess.run([python, '-c', WRITE_AND_READ, str(runs)], capture_output=True, text=True, timeout=300)
        if done.returncode:
            skip('writers: ' + done.stderr.strip()[-300:])
        read = json.loads(done.stdout.splitlines()[-1])
        print('writers:', read['writers'])
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(f'runs:\n  directories: [{runs}]\n')
        with Daemon(config=config) as d:
            for run, tags in read['runs'].items():
                for tag, events in tags['scalars'].items():
                    compare_scalars(c, d, run, tag, events)
                for tag, events in tags['histograms'].items():
                    compare_histograms(c, d, run, tag, events)
            for run in ('tensorboardX', 'torch', 'tensorflow'):
                if run in read['runs']:
                    compare_quantiles(c, d, run)
            zeros = stored(d, 'train_layer_zero_param_ratio{run="tensorboardX",layer="fc.weight"}')
            c.check(zeros and zeros[-1][1] == 0.5, f'share of zeros {zeros}')
    c.check(len(read['runs']) >= 1, 'no writer wrote')
    c.finish()


if __name__ == '__main__':
    main()
