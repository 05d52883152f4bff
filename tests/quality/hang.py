#!/usr/bin/env python3
"""Real jobs that hang: four processes, gloo, real all-reduces, the Python SDK, a real daemon. One rank stalls at a random
moment of training, evaluation or checkpointing, asleep, stopped or dead to the world; is the run called hung within
max(60 s, 3 x the 95th percentile of a step), and is the right rank named? Healthy jobs with long evaluations must stay quiet.

    hang.py --stalls 20 --healthy 4 --evaluation 300 --jobs 5     # the figures of docs/quality.md
    hang.py --stalls 2 --jobs 2                                   # the test suite

Needs PyTorch with gloo; exit code 77 without it."""
import argparse
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests/e2e'), str(ROOT / 'sdk/python')]
RANKS = 4


# ------------------------------------------------------------------------------------------------ a rank

class Fault:
    """Stalls this process once: after a time, at a place of the loop."""

    def __init__(self, plan, rank):
        self.plan = plan if plan and plan['rank'] == rank else None
        self.start = time.monotonic()

    def at(self, place):
        p = self.plan
        if not p or p['place'] != place or time.monotonic() - self.start < p['after']:
            return
        pathlib.Path(p['mark']).write_text(str(time.time()))
        if p['how'] == 'stop':
            os.kill(os.getpid(), signal.SIGSTOP)
        elif p['how'] == 'lock':
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        else:
            time.sleep(1e6)


def worker(plan):
    import tocsin
    import torch
    import torch.distributed as dist
    torch.set_num_threads(1)
    rank = int(os.environ['RANK'])
    run = tocsin.init(plan['run'], url=plan['url'], rank=rank)
    dist.init_process_group('gloo')
    fault = Fault(plan.get('fault'), rank)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def reduce(tensor):
        dist.all_reduce(tensor)
        return tensor / RANKS

    def batches():
        while True:
            fault.at('data')
            time.sleep(plan['step'] * random.uniform(0.05, 0.15))
            x = torch.randn(16, 32)
            yield x, x.sum(dim=1, keepdim=True)

    def evaluate(step):
        with run.phase('evaluation'):
            time.sleep(plan['evaluation'] * random.uniform(0.3, 0.5))
            fault.at('evaluation')
            time.sleep(plan['evaluation'] * random.uniform(0.3, 0.5))
            reduce(torch.zeros(1))
        run.log(step, val_loss=1.0)

    def save(step):
        if rank == 0:
            with run.phase('checkpoint'):
                torch.save(model.state_dict(), plan['checkpoint'])
                time.sleep(plan['save'])
                fault.at('checkpoint')
            run.checkpoint(plan['checkpoint'], step)
        reduce(torch.zeros(1))  # the others wait until it is written

    for step, (x, y) in enumerate(run.wrap(batches()), 1):
        time.sleep(plan['step'] * random.uniform(0.6, 0.9))
        loss = ((model(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        fault.at('step')
        for p in model.parameters():
            p.grad = reduce(p.grad)
        optimizer.step()
        run.log(step, loss=loss)
        if step % plan['evaluate_every'] == 0:
            evaluate(step)
        if step % plan['save_every'] == 0:
            save(step)


# ------------------------------------------------------------------------------------------------ a job

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Job:
    """Four ranks; `fault` may be done to one of them from outside, at any moment."""

    def __init__(self, daemon, folder, number, plan):
        self.run, self.folder, self.plan = f'job-{number}', folder, plan
        self.mark = folder / f'{self.run}.stalled'
        plan = {**plan, 'url': daemon.url, 'run': self.run, 'checkpoint': str(folder / f'{self.run}.pt')}
        if plan.get('fault'):
            plan['fault']['mark'] = str(self.mark)
        environment = {**os.environ, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free_port()),
                       'WORLD_SIZE': str(RANKS), 'OMP_NUM_THREADS': '1', 'GLOO_SOCKET_IFNAME': 'lo'}
        log = open(folder / f'{self.run}.log', 'wb')
        self.ranks = [subprocess.Popen([sys.executable, __file__, '--worker', json.dumps(plan)], stdout=log, stderr=log,
                                       env={**environment, 'RANK': str(r)}) for r in range(RANKS)]
        log.close()
        self.began, self.first_step = time.monotonic(), None

    def strike(self):
        """A fault at no particular place: the process is stopped from outside."""
        self.mark.write_text(str(time.time()))
        self.ranks[self.plan['fault']['rank']].send_signal(signal.SIGSTOP)

    def has_trained(self, daemon):
        """Seconds since its first step; the start of Python may take long on a busy machine."""
        if not self.first_step and daemon.query(f'train_step{{run="{self.run}",rank=""}}'):
            self.first_step = time.monotonic()
        return time.monotonic() - self.first_step if self.first_step else 0

    def stalled_at(self):
        return float(self.mark.read_text()) if self.mark.exists() and self.mark.stat().st_size else None

    def is_alive(self):
        return all(p.poll() is None for p in self.ranks)

    def end(self):
        for p in self.ranks:
            p.kill()
        for p in self.ranks:
            p.wait()


def hang_alert(daemon, run):
    for alert in daemon.get(f'/api/v2/alerts?filter=run={run}').json:
        if alert['labels'].get('kind') == 'hang':
            return alert
    return None


def step_p95(daemon, run):
    got = daemon.query(f'quantile_over_time(0.95, train_step_seconds{{run="{run}",rank=""}}[10m])')
    return got[0][1] if got else 0


PLACES = ('anywhere', 'step', 'data', 'evaluation', 'checkpoint')


def run_stall(daemon, folder, number, chance, place):
    """One job with one stall: what became of it."""
    fault = {'rank': 0 if place == 'checkpoint' else chance.randrange(RANKS), 'place': place,
             'how': chance.choice(('sleep', 'lock', 'stop')), 'after': chance.uniform(45, 75)}
    plan = {'step': chance.choice((0.1, 0.3, 0.6, 1.2)), 'evaluation': chance.uniform(1, 5), 'save': chance.uniform(0.2, 1),
            'fault': fault}
    plan['evaluate_every'] = max(5, int(9 / plan['step']))
    plan['save_every'] = max(4, int(7 / plan['step']))
    job = Job(daemon, folder, number, plan)
    out = {'run': job.run, 'place': place, 'how': fault['how'], 'rank': fault['rank'], 'step': plan['step'],
           'found': False, 'after': None, 'named': None, 'early': False, 'title': ''}
    try:
        while time.monotonic() - job.began < 600:
            time.sleep(0.5)
            if place == 'anywhere' and not job.stalled_at() and job.has_trained(daemon) > fault['after']:
                job.strike()
            stalled, alert = job.stalled_at(), hang_alert(daemon, job.run)
            if alert:
                out.update(found=stalled is not None, early=stalled is None, after=time.time() - (stalled or time.time()),
                           named=alert['annotations'].get('rank'), title=alert['annotations'].get('summary', ''),
                           bound=max(60, 3 * step_p95(daemon, job.run)))
                break
            if not job.is_alive() or (stalled and time.time() - stalled > 150):
                out['state'] = [(m, labels.get('rank', '0'), v) for m in ('train_step', 'train_run_phase', 'train_run_state',
                                                                        'train_collectives_total')
                                for labels, v in daemon.query(f'last_over_time({m}{{run="{job.run}"}}[10m])')]
                out['title'] = 'not found' if job.is_alive() else 'the job ended: ' + (
                    folder / f'{job.run}.log').read_text()[-300:]
                break
        if out['found'] and out['named'] is None:  # who it is may show a moment later
            time.sleep(8)
            alert = hang_alert(daemon, job.run)
            out['named'] = alert and alert['annotations'].get('rank')
    finally:
        job.end()
    out['right'] = out['named'] == str(out['rank'])
    return out


def run_healthy(daemon, folder, number, chance, evaluation, seconds):
    """A job without a fault; how many hang alerts it raised."""
    plan = {'step': chance.choice((0.1, 0.4, 1.0)), 'evaluation': evaluation, 'save': 1}
    plan['evaluate_every'] = max(5, int(40 / plan['step']))
    plan['save_every'] = max(5, int(15 / plan['step']))
    job, alarms = Job(daemon, folder, 1000 + number, plan), []
    try:
        while time.monotonic() - job.began < seconds and job.is_alive():
            time.sleep(1)
            alert = hang_alert(daemon, job.run)
            if alert and alert['startsAt'] not in [a for a, _ in alarms]:
                alarms.append((alert['startsAt'], alert['annotations'].get('summary', '')))
        return {'run': job.run, 'alarms': alarms, 'lived': job.is_alive(), 'step': plan['step']}
    finally:
        job.end()


def side_by_side(jobs, width):
    """Results of the calls, at most `width` at once, in the order they end."""
    results, slots, done = [], threading.Semaphore(width), threading.Lock()

    def one(call):
        with slots:
            got = call()
        with done:
            results.append(got)
            print(json.dumps(got), flush=True)
    threads = [threading.Thread(target=one, args=(call,)) for call in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def main():
    from tocsin_test import Checks, Daemon, skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--stalls', type=int, default=2)
    parser.add_argument('--healthy', type=int, default=0)
    parser.add_argument('--evaluation', type=float, default=300, help='seconds of an evaluation of a healthy job')
    parser.add_argument('--healthy-seconds', type=float, default=800)
    parser.add_argument('--jobs', type=int, default=2, help='jobs side by side')
    parser.add_argument('--place', choices=PLACES, help='where; default: all in turn')
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    if subprocess.run([sys.executable, '-c', 'import torch.distributed as d; assert d.is_gloo_available()'],
                      capture_output=True).returncode:
        skip('PyTorch with gloo is not there (python3-torch)')
    print(f'seed {args.seed}')
    checks, chance = Checks(), random.Random(args.seed)
    with Daemon() as daemon:
        calls = [lambda n=n, c=random.Random(chance.random()): run_stall(daemon, daemon.root, n, c, args.place or PLACES[n % len(PLACES)])
                 for n in range(args.stalls)]
        healthy = [lambda n=n, c=random.Random(chance.random()):
                   run_healthy(daemon, daemon.root, n, c, args.evaluation, args.healthy_seconds) for n in range(args.healthy)]
        results = side_by_side(healthy + calls, args.jobs)
        stalls = [r for r in results if 'place' in r]
        quiet = [r for r in results if 'alarms' in r]
        found = [r for r in stalls if r['found']]
        for r in stalls:
            checks.check(r['found'], f"{r['run']}: a stall of rank {r['rank']} ({r['place']}, {r['how']}) is found: {r['title']}")
        for r in found:
            checks.check(r['after'] <= r['bound'] + 2, f"{r['run']}: within {r['bound']:.0f} s: {r['after']:.0f} s")
        right = sum(r['right'] for r in stalls)
        checks.check(right >= 0.9 * len(stalls), f'the rank is right in {right} of {len(stalls)}')
        for r in quiet:
            checks.check(r['lived'] and not r['alarms'], f"{r['run']}: a healthy job raises nothing: {r['alarms']}")
        if found:
            print(f"{len(found)} of {len(stalls)} stalls found, after {min(r['after'] for r in found):.0f} to "
                  f"{max(r['after'] for r in found):.0f} s; rank right in {right}")
        if quiet:
            print(f"{len(quiet)} healthy jobs of {args.healthy_seconds:.0f} s with evaluations of {args.evaluation:.0f} s: "
                  f"{sum(len(r['alarms']) for r in quiet)} alarms")
    checks.finish()


if __name__ == '__main__':
    if len(sys.argv) == 3 and sys.argv[1] == '--worker':
        worker(json.loads(sys.argv[2]))
    else:
        main()
