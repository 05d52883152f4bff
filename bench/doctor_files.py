"""Files of made-up training runs for the benchmark of `tocsin doctor`: seeded, of any length, in the forms that programs write."""
import json
import math
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests/e2e'))
import doctor_runs as runs  # noqa: E402


def reports(seconds=1, layers=0, seed=7):
    """Endless reports of one healthy run."""
    r = random.Random(seed)
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


def stamp(t, form='%Y-%m-%d %H:%M:%S'):
    return time.strftime(form, time.gmtime(t))


# --- reports ---

def jsonl(lines):
    return b''.join((json.dumps(x) + '\n').encode() for x in lines)


CSV_NAMES = ['t', 'step', 'state', 'loss', 'grad_norm', 'lr', 'step_seconds', 'memory_bytes', 'memory_limit_bytes']
CSV_HEADER = ','.join(CSV_NAMES).encode() + b'\n'


def csv(lines):
    return b''.join((','.join(str(x[n]) for n in CSV_NAMES) + '\n').encode() for x in lines)


SHORT_CSV_HEADER = b'epoch,step,loss,lr\n'


def short_csv(lines):
    return b''.join(f"{x['step'] // 500},{x['step']},{x['loss']:.6f},{x['lr']}\n".encode() for x in lines)


def events(lines):
    return b''.join(runs.event(x['t'], x['step'], tag, x[field]) for x in lines
                    for field, tag in (('loss', 'train/loss'), ('grad_norm', 'train/grad_norm'), ('lr', 'train/learning_rate')))


OWN_TAGS = [f'{part}/{name}' for part in ('actor', 'critic', 'env', 'timers') for name in ('mean', 'max', 'entropy', 'kl', 'return')]


def many_tags(lines):
    """Twenty tags of the writer's own beside the known ones, every tenth step."""
    out = []
    for x in lines:
        out.append(runs.event(x['t'], x['step'], 'train/loss', x['loss']))
        if x['step'] % 10 == 0:
            out += [runs.event(x['t'], x['step'], tag, x['grad_norm'] * (i + 1)) for i, tag in enumerate(OWN_TAGS)]
    return b''.join(out)


# --- logs ---

def nanogpt(x):
    return f"iter {x['step']}: loss {x['loss']:.4f}, time {x['step_seconds'] * 1000:.2f}ms, mfu 3.2%\n"


def nanogpt_log(lines):
    return ''.join(nanogpt(x) for x in lines).encode()


def megatron_log(lines):
    return ''.join(
        f" [{stamp(x['t'])}] iteration {x['step']:8d}/ 5000000 | consumed samples: {x['step'] * 8:12d} | elapsed time per "
        f"iteration (ms): {x['step_seconds'] * 1000:.1f} | learning rate: {x['lr']:.3E} | global batch size:     8 | "
        f"lm loss: {x['loss']:.6E} | loss scale: 1.0 | grad norm: {x['grad_norm']:.3f} | number of skipped iterations:   0 | "
        f"number of nan iterations:   0 |\n" for x in lines).encode()


def bar(step, total, seconds, tail=''):
    share = step / total
    full = int(share * 10)
    blocks = '█' * full + ('' if full == 10 else ' ▏▎▍▌▋▊▉'[int(share * 80) % 8]) + ' ' * (9 - full)
    left = int((total - step) * seconds)
    clock = f'{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}' if left >= 3600 else f'{left // 60:02d}:{left % 60:02d}'
    spent = int(step * seconds)
    return f'{share * 100:3.0f}%|{blocks}| {step}/{total} [{spent // 60:02d}:{spent % 60:02d}<{clock}, {1 / seconds:5.2f}it/s{tail}]'


BAR_TOTAL = 2000


def trainer_log(lines):
    """transformers.Trainer on a terminal: a bar that writes over itself, numbers of every tenth step."""
    out = []
    for x in lines:
        step = x['step'] % BAR_TOTAL
        out.append('\r' + bar(step, BAR_TOTAL, x['step_seconds']))
        if step % 10 == 0:
            numbers = {'loss': round(x['loss'], 4), 'grad_norm': x['grad_norm'], 'learning_rate': x['lr'], 'epoch': round(x['step'] / 1e3, 2)}
            out.append(f'\n{numbers}\n')
    return ''.join(out).encode()


def lightning_log(lines):
    """Lightning: bars with numbers in them."""
    return ''.join(f"\rEpoch {x['step'] // BAR_TOTAL}: " + bar(x['step'] % BAR_TOTAL, BAR_TOTAL, x['step_seconds'],
                                                            f", v_num=1, train_loss_step={x['loss']:.3f}")
                   + ('\n' if x['step'] % BAR_TOTAL == BAR_TOTAL - 1 else '') for x in lines).encode()


def keras_log(lines):
    out = []
    for x in lines:
        step = x['step'] % BAR_TOTAL
        if step == 0:
            out.append(f"\nEpoch {x['step'] // BAR_TOTAL + 1}/1000\n")
            continue
        full = step * 30 // BAR_TOTAL
        out.append(f"{step:4d}/{BAR_TOTAL} [{'=' * full}>{'.' * (29 - full)}] - ETA: {int((BAR_TOTAL - step) * x['step_seconds'])}s - "
                   f"loss: {x['loss']:.4f} - accuracy: {x['grad_norm'] / 2:.4f}" + '\b' * 80 + '\r')
    return ''.join(out).encode()


def generic_log(lines):
    """What a program of one's own writes with Python's logging."""
    return ''.join(f"{stamp(x['t'])},{int(x['t'] * 1000) % 1000:03d} INFO train.py:212 step: {x['step']}/5000000 | loss: {x['loss']:.4f} | "
                   f"grad norm = {x['grad_norm']:.3f} | lr {x['lr']:.1e}\n" for x in lines).encode()


TRACEBACK = '''Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/torch/utils/data/_utils/worker.py", line 308, in _worker_loop
    data = fetcher.fetch(index)  # type: ignore[possibly-undefined]
           ^^^^^^^^^^^^^^^^^^^^
  File "/opt/venv/lib/python3.11/site-packages/torch/utils/data/_utils/fetch.py", line 51, in fetch
    data = [self.dataset[idx] for idx in possibly_batched_index]
  File "/home/job/data.py", line {n}, in __getitem__
    image = Image.open(self.paths[index])
PIL.UnidentifiedImageError: cannot identify image file '/data/shard-{n:05d}/{m}.jpg'
'''


def job_log(lines):
    """Numbers among what else a job writes: library notices, warnings, caught exceptions with their stack, long lines, error lines."""
    out = []
    for x in lines:
        r = random.Random(x['step'])
        t, n = stamp(x['t']), x['step']
        out.append(f"[{t}] [INFO] [rank0] step={n} loss={x['loss']:.4f} grad_norm={x['grad_norm']:.3f} lr={x['lr']:.1e} "
                   f"tokens/s={x['tokens_per_second']:.0f}\n")
        if n % 3 == 0:
            out.append(f'[{t}] [INFO] [dataloader.py:87] prefetch queue {r.randint(0, 64)}/64, worker {r.randint(0, 15)} waited '
                       f'{r.random():.4f} s\n')
        if n % 7 == 0:
            out.append(f'node{r.randint(0, 7):03d}:{2000 + r.randint(0, 7)}:{3000 + r.randint(0, 7)} [{r.randint(0, 7)}] NCCL INFO '
                       f'Channel {r.randint(0, 15):02d}/0 : {r.randint(0, 7)}[{r.randint(0, 7)}] -> {r.randint(0, 7)}[{r.randint(0, 7)}] '
                       'via P2P/IPC/read\n')
        if n % 50 == 0:
            out.append('/opt/venv/lib/python3.11/site-packages/torch/optim/lr_scheduler.py:143: UserWarning: Detected call of '
                       '`lr_scheduler.step()` before `optimizer.step()`.\n  warnings.warn("Detected call of `lr_scheduler.step()`"\n')
        if n % 200 == 0:
            out.append(TRACEBACK.format(n=r.randint(1, 99999), m=r.randint(1, 99999)))
        if n % 1000 == 0:
            out.append(f'[{t}] [INFO] sample: ' + ' '.join(str(r.randint(0, 50256)) for _ in range(2000)) + '\n')
        if n % 5000 == 0:
            out.append(f'[{t}] [ERROR] [rank{r.randint(0, 7)}] s3 read failed, retrying: Connection reset by peer\n')
    return ''.join(out).encode()


# Name, file, form of the bytes, options of reports(), first bytes.
SETS = (('JSON lines, a step a second', 'a.jsonl', jsonl, dict(seconds=1), b''),
        ('JSON lines, ten steps a second', 'b.jsonl', jsonl, dict(seconds=.1), b''),
        ('JSON lines, 50 layers', 'c.jsonl', jsonl, dict(seconds=1, layers=50), b''),
        ('CSV', 'd.csv', csv, dict(seconds=1), CSV_HEADER),
        ('CSV without times, short rows', 'e.csv', short_csv, dict(seconds=1), SHORT_CSV_HEADER),
        ('event file of TensorBoard', 'f/events.out.tfevents.1.a', events, dict(seconds=1), b''),
        ('event file, 21 tags', 'g/events.out.tfevents.1.a', many_tags, dict(seconds=.2), b''),
        ('log of nanoGPT', 'h/train.log', nanogpt_log, dict(seconds=1), b''),
        ('log of Megatron-LM', 'i/train.log', megatron_log, dict(seconds=1), b''),
        ('log of HF Trainer with its bar', 'j/train.log', trainer_log, dict(seconds=.2), b''),
        ('log of Lightning', 'k/train.log', lightning_log, dict(seconds=.2), b''),
        ('log of Keras', 'l/train.log', keras_log, dict(seconds=.2), b''),
        ('log of Python logging', 'm/train.log', generic_log, dict(seconds=.5), b''),
        ('log of a job with all else in it', 'n/train.log', job_log, dict(seconds=.5), b''))


def write(folder, of, size):
    """One of SETS below the folder; the number of bytes."""
    name, file, form, options, header = of
    path = pathlib.Path(folder) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    source, done = reports(**options), len(header)
    with open(path, 'wb') as f:
        f.write(header)
        while done < size:
            data = form([next(source) for _ in range(200)])
            f.write(data)
            done += len(data)
    return done
