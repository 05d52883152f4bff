#!/usr/bin/env python3
"""Real trainings with faults, judged by `tocsin doctor DIR --output json`: who is found, where, how soon, and what is invented.

    bench/quality/training_runs.py --build build --seeds 4 --jobs 2 [--keras PYTHON] [--tensorboard DIR] [--faults nan_layer,…]
                                   [--keep DIR] [--markdown FILE]

A fault counts as found when a finding, or what follows from one (its cascades), is of a kind that names it. A finding of another kind is
a false alarm, unless it is a known consequence (tests/quality/training/training.py, FAULTS). Time to detect is from the injection to
`detected_at` of the finding, both on the job's own clock. cpu_contention speaks of the machine and not of the job: it is told
apart and is no false alarm when the job did wait for a CPU.
"""
import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = ROOT / 'tests/quality/training'
sys.path.insert(0, str(JOBS))
SYSTEM_PYTHON = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable
MACHINE = 'cpu_contention'
RUN_S = 400
STALL_WATCH_S = 40  # a hang has to last before it is one


def command_of(python, framework, fault, seed, directory, steps, fault_step):
    """framework: torch, keras, or torch-tensorboard and torch-tensorboardx for the writer alone."""
    job, _, writer = framework.partition('-')
    return [python, '-B', str(JOBS / f'train_{job}.py'), str(directory), '--fault', fault, '--seed', str(seed),
            '--steps', str(steps), '--fault-step', str(fault_step), '--writer', writer or 'file']


def doctor(binary, directory):
    """(reports of the runs below the directory, exit code)."""
    done = subprocess.run([binary, 'doctor', str(directory), '--output', 'json'], capture_output=True, text=True, timeout=120)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f'doctor {directory}: {done.stdout[-300:]} {done.stderr[-300:]}') from None
    return answer if isinstance(answer, list) else [answer]


def wait_for_file(path, process, seconds):
    end = time.monotonic() + seconds
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
    return path.exists()


def execute(binary, command, fault, directory, path=None):
    """Lets the job run, asks the doctor, and returns (truth, reports). path: where further modules of Python are."""
    directory.mkdir(parents=True)
    environment = {**os.environ, **({'PYTHONPATH': path} if path else {})}
    with open(directory / 'output.txt', 'w') as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment)
        try:
            if fault == 'stalled_rank':
                wait_for_file(directory / 'truth.json', process, RUN_S)
                time.sleep(STALL_WATCH_S)
                reports = doctor(binary, directory)  # while it hangs: its processes are there
            else:
                process.wait(RUN_S)
                reports = doctor(binary, directory)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                time.sleep(0.5)
                os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()
    truth_path = directory / 'truth.json'
    if not truth_path.exists():
        raise RuntimeError(f'{directory}: no truth: {(directory / "output.txt").read_text()[-400:]}')
    return json.loads(truth_path.read_text()), reports


def flat(report):
    """Findings and what follows from them."""
    out = []
    for finding in report['findings']:
        out.append(finding)
        out.extend(finding.get('cascades', []))
    return out


def seconds_of(finding):
    """When a live Tocsin would have spoken, in seconds since 1970."""
    text = finding.get('detected_at')
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() if text else None


def step_at(directory, t):
    """The step that rank 0 was at, at a time."""
    best, path = None, directory / 'rank-0.jsonl'
    if not path.exists():
        return None  # the writer of TensorBoard alone
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut by a kill
        if row.get('t', 0) <= t and 'step' in row:
            best = row['step']
    return best


def judge(truth, reports, directory):
    """What became of one run."""
    findings = [f for r in reports for f in flat(r)]
    kinds = [f['kind'] for f in findings]
    hits = [f for f in findings if f['kind'] in truth['kinds']]
    false = [k for k in kinds if k not in truth['kinds'] and k not in truth['may_follow'] and k != MACHINE]
    text = json.dumps(hits)
    out = {'run': truth['run'], 'framework': truth['framework'], 'fault': truth['fault'], 'seed': truth['seed'], 'kinds': kinds,
           'found': bool(hits), 'false': false, 'machine': kinds.count(MACHINE), 'verdict': [r['verdict'] for r in reports]}
    if hits and truth['layer']:
        out['layer'] = any(named(f, truth['layer']) for f in hits)
    if hits and truth['rank'] is not None:
        out['rank'] = f'rank {truth["rank"]}' in text or f'"rank": "{truth["rank"]}"' in text
    steps = [f['step'] for f in hits if f.get('step') is not None]
    if hits and truth['step']:
        out['step_off'] = min((abs(s - truth['step']) for s in steps), default=None)
        times = [t for t in map(seconds_of, hits) if t]
        if times:
            out['delay_s'] = round(min(times) - truth['t'], 2)
            at = step_at(directory, min(times))
            out['delay_steps'] = max(0, at - truth['step']) if at is not None else None
    return out


def named(finding, layer):
    """Is this layer the one that the finding names first?"""
    names = ('fc1', 'fc2', 'fc3', 'fc4', 'head')
    title = finding.get('title') or finding.get('summary') or json.dumps(finding)
    found = sorted((title.find(n), n) for n in names if n in title)
    if not found:
        text = json.dumps(finding)
        found = sorted((text.find(n), n) for n in names if n in text)
    return bool(found) and found[0][1] == layer


def median(values):
    values = [v for v in values if v is not None]
    return f'{statistics.median(values):.0f}' if values else '–'


def share(rows, key):
    known = [r[key] for r in rows if key in r]
    return f'{sum(known)}/{len(known)}' if known else '–'


def table(results):
    """By framework and fault, then the sums."""
    lines = ['| framework | fault | runs | found | right layer or rank | step, median distance | to detect, median steps | seconds | false alarms |',
             '|---|---|---|---|---|---|---|---|---|']
    groups = collections.OrderedDict()
    for r in results:
        groups.setdefault((r['framework'], r['fault']), []).append(r)
    for (framework, fault), rows in sorted(groups.items(), key=lambda g: g[0][0]):
        where = share(rows, 'layer') if any('layer' in r for r in rows) else share(rows, 'rank')
        false = collections.Counter(k for r in rows for k in r['false'])
        found = '–' if fault == 'none' else f'{sum(r["found"] for r in rows)}/{len(rows)}'
        delays = sorted(r['delay_s'] for r in rows if r.get('delay_s') is not None)
        lines.append(f'| {framework} | {fault} | {len(rows)} | {found} | {where} | {median(r.get("step_off") for r in rows)} | '
                     f'{median(r.get("delay_steps") for r in rows)} | {f"{statistics.median(delays):.1f}" if delays else "–"} | '
                     f'{", ".join(f"{k} {n}" for k, n in false.items()) or "0"} |')
    sick = [r for r in results if r['fault'] != 'none']
    found = sum(r['found'] for r in sick)
    false = sum(len(r['false']) for r in results)
    clean = sum(not r['false'] for r in results)
    lines += ['', f'Recall {found}/{len(sick)}; precision {found}/{found + false} (findings that name the fault over those plus false '
              f'alarms); {clean} of {len(results)} runs without a false alarm; in {sum(bool(r["machine"]) for r in results)} the '
              f'machine was called contended.']
    return '\n'.join(lines)


def plan(options):
    from training import FAULTS, TENSORBOARD_FAULTS
    wanted = options.faults.split(',') if options.faults else list(FAULTS)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for fault in wanted:
            if not options.keras_only:
                yield 'torch', SYSTEM_PYTHON, fault, seed
            if options.keras and fault != 'stalled_rank':
                yield 'keras', options.keras, fault, seed
            if options.tensorboard and fault in TENSORBOARD_FAULTS:
                for writer in ('tensorboard', 'tensorboardx'):
                    yield 'torch-' + writer, SYSTEM_PYTHON, fault, seed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', default=str(ROOT / 'build'))
    parser.add_argument('--seeds', type=int, default=4)
    parser.add_argument('--first-seed', type=int, default=1)
    parser.add_argument('--jobs', type=int, default=4, help='trainings at once')
    parser.add_argument('--keras', help='a Python that has Keras 3 and JAX')
    parser.add_argument('--tensorboard', help='a folder with the modules tensorboard and tensorboardX (pip install --target)')
    parser.add_argument('--keras-only', action='store_true', help='leave PyTorch out')
    parser.add_argument('--faults', help='only these, with commas')
    parser.add_argument('--steps', type=int, default=1300)
    parser.add_argument('--fault-step', type=int, default=600)
    parser.add_argument('--keep', type=pathlib.Path, help='keep the files of the runs here')
    parser.add_argument('--judge-only', action='store_true', help='ask the doctor again about the runs in --keep')
    parser.add_argument('--markdown', type=pathlib.Path)
    options = parser.parse_args()
    binary = options.build + '/tocsin'
    root = options.keep or pathlib.Path(tempfile.mkdtemp(prefix='tocsin-training-'))
    results = []

    def one(job):
        framework, python, fault, seed = job
        directory = root / f'{framework}-{fault}-{seed}'
        if options.judge_only:
            truth, reports = json.loads((directory / 'truth.json').read_text()), doctor(binary, directory)
        else:
            command = command_of(python, framework, fault, seed, directory, options.steps, options.fault_step)
            truth, reports = execute(binary, command, fault, directory, options.tensorboard if '-' in framework else None)
            (directory / 'doctor.json').write_text(json.dumps(reports, indent=1))
        return judge(truth, reports, directory)

    jobs = list(plan(options))
    if options.judge_only:
        jobs = [j for j in jobs if (root / f'{j[0]}-{j[2]}-{j[3]}/truth.json').exists() and j[2] != 'stalled_rank']
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for job, future in [(job, pool.submit(one, job)) for job in jobs]:
            try:
                results.append(future.result())
                print(json.dumps(results[-1]), flush=True)
            except (RuntimeError, subprocess.TimeoutExpired, OSError) as e:
                print(json.dumps({'job': job, 'error': str(e)}), flush=True)
    text = table(results)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + '\n')


if __name__ == '__main__':
    main()
