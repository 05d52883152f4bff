#!/usr/bin/env python3
"""Run files that the real wandb package writes offline, followed by the daemon while they grow and read by the doctor.
Skipped, with the reason, where pip cannot fetch the package."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / 'e2e'))
os.environ.setdefault('TOCSIN_BINARY', os.path.abspath(sys.argv[1]))
from tocsin_test import BINARY, Checks, Daemon, wait_for  # noqa: E402

JOB = '''
import sys, time, wandb
folder, bad = sys.argv[1], sys.argv[2] == 'bad'
run = wandb.init(mode='offline', project='lab', name='job', dir=folder, config={'model': 'tiny', 'lr': 1e-3},
                 settings=wandb.Settings(console='off', x_disable_stats=True))
print(run.id, flush=True)
for step in range(60):
    loss = float('nan') if bad and step >= 40 else 2.0 / (step + 1)
    run.log({'train/loss': loss, 'lr': 1e-3, 'grad_norm': 0.5, 'nested': {'a': step}, 'text': 'no number',
             'hist': wandb.Histogram(np_histogram=([1, 2], [0, 1, 2])),
             'gradients/fc.weight': wandb.Histogram(np_histogram=([1, 2, 1], [-3, -1, 1, 3])), 'trainer/global_step': step * 10})
    time.sleep(0.25 if bad else 0.05)
run.summary['best'] = 0.25
run.finish(exit_code=3 if bad else 0)
'''


def install(folder):
    made = subprocess.run([sys.executable, '-m', 'venv', f'{folder}/venv'], capture_output=True, text=True)
    if made.returncode:
        return 'venv: ' + made.stdout.strip()[-300:]
    done = subprocess.run([f'{folder}/venv/bin/pip', 'install', '-q', '--retries', '1', 'wandb'], capture_output=True, text=True, timeout=240)
    return None if done.returncode == 0 else 'pip: ' + done.stderr.strip()[-300:]


def python_with_wandb(folder):
    given = os.environ.get('WANDB_PYTHON')
    if given:
        return given, None
    why = install(folder)
    return f'{folder}/venv/bin/python', why


def start(python, folder, runs, kind):
    return subprocess.Popen([python, '-c', JOB, str(runs), kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
                            env={**os.environ, 'WANDB_SILENT': 'true', 'HOME': folder})


def followed(c, d, python, folder, runs, kind):
    job = start(python, folder, runs, kind)
    name = 'job-' + job.stdout.readline().strip()
    at = f'{{run="{name}"}}'
    c.check(wait_for(lambda: d.query(f'train_step{at} > 0'), 60), f'{kind}: steps come while the job runs')
    _, error = job.communicate(timeout=120)
    c.check(job.returncode in (0, 3), f'{kind}: the job ends: {error[-300:]}')
    c.check(wait_for(lambda: d.query(f'train_run_state{at} == {3 if kind == "bad" else 0}'), 60), f'{kind}: its end is known')
    c.equal([v for _, v in d.query(f'train_step{at}')], [590.0], f'{kind}: the own count of steps')
    if kind == 'good':
        c.equal([round(v, 9) for _, v in d.query(f'train_loss{at}')], [round(2 / 60, 9)], 'the last loss')
        c.equal([v for _, v in d.query(f'train_tb_scalar{{run="{name}",tag="nested.a"}}')], [59.0], 'a nested key')
        c.equal([v for _, v in d.query(f'train_tb_scalar{{run="{name}",tag="best"}}')], [0.25], 'a value of the summary alone')
        layer = f'{{run="{name}",layer="fc.weight"}}'
        c.equal([v for _, v in d.query('train_layer_grad_mean' + layer)], [0.0], 'the mean of a histogram of gradients')
        c.equal([round(v, 9) for _, v in d.query('train_layer_grad_std' + layer)], [round(2 ** 0.5, 9)], 'its deviation')
    c.check(d.query(f'train_run_info{{run="{name}",model="tiny",wandb_project="lab"}}'), f'{kind}: labels of the run')
    return name


def doctor(c, runs):
    done = subprocess.run([BINARY, 'doctor', str(runs), '--output', 'json'], capture_output=True, text=True, timeout=120)
    report = json.loads(done.stdout)
    text = json.dumps(report)
    c.check('non_finite' in text, f'the doctor finds the NaN: {text[:400]}')
    return report


def cut(c, runs):
    """A copy whose end is torn and whose middle is damaged."""
    source = next(p for p in runs.rglob('*.wandb') if 'latest-run' not in str(p))
    folder = runs.parent / 'torn'
    folder.mkdir()
    data = bytearray(source.read_bytes()[:-11])
    (folder / source.name).write_bytes(data)
    done = subprocess.run([BINARY, 'doctor', str(folder), '--output', 'json'], capture_output=True, text=True, timeout=120)
    c.check('cut off' in done.stdout, f'a torn end is told: {done.stdout[-400:]}')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as folder:
        python, why = python_with_wandb(folder)
        if why:
            print(f'skipped: {why}')
            sys.exit(77)
        runs = pathlib.Path(folder) / 'runs'
        runs.mkdir()
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(f'host: {{enabled: false}}\ndiscovery: {{enabled: false}}\nruns: {{directories: [{runs}]}}\n')
        with Daemon(config=config) as d:
            followed(c, d, python, folder, runs, 'good')
            name = followed(c, d, python, folder, runs, 'bad')
            c.check(wait_for(lambda: any(a['labels'].get('kind') == 'non_finite' for a in d.get(f'/api/v2/alerts?filter=run={name}').json), 30),
                    'NaN in a run file is an alert')
            # Numbers of the daemon's own are written every five seconds.
            c.check(wait_for(lambda: d.query('tocsin_wandb_files == 2'), 20), 'two files, not the second names of latest-run')
            c.equal(d.query('tocsin_wandb_records_damaged_total')[0][1], 0.0, 'nothing is damaged')
        doctor(c, runs)
        cut(c, runs)
    c.finish()


if __name__ == '__main__':
    main()
