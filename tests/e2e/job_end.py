#!/usr/bin/env python3
"""How a training job ends is known in seconds: kill -9 of one that reports its pid, and jobs under `tocsin run -- CMD`."""
import os
import signal
import socket
import subprocess
import sys
import time

from tocsin_test import BINARY, Checks, Daemon, wait_for

REPORTER = '''
import json, os, socket, sys, time, urllib.request
url = os.environ["TOCSIN_URL"] + "/api/tocsin/v1/ingest/run?run=" + os.environ["TOCSIN_RUN"]
for step in range(1, 100000):
    line = {"t": time.time(), "step": step, "state": "running", "loss": 1 / step, "step_seconds": 0.2,
            "labels": {"host": socket.gethostname(), "pid": str(os.getpid())}}
    urllib.request.urlopen(urllib.request.Request(url, (json.dumps(line) + "\\n").encode(), method="POST")).close()
    time.sleep(0.2)
'''


def crash_of(daemon, run):
    for alert in daemon.get(f'/api/v2/alerts?filter=run={run}').json:
        if alert['labels'].get('kind') == 'crash':
            return alert
    return None


def has_steps(daemon, run):
    got = daemon.query(f'train_step{{run="{run}"}}')
    return got and got[0][1] >= 5


def kill_nine(daemon, checks):
    job = subprocess.Popen([sys.executable, '-c', REPORTER], env={**os.environ, 'TOCSIN_URL': daemon.url, 'TOCSIN_RUN': 'killed'})
    checks.check(wait_for(lambda: has_steps(daemon, 'killed'), 60), 'the job reports steps')
    time.sleep(2)  # the watch takes it up within a second
    job.kill()
    job.wait()
    began = time.monotonic()
    alert = wait_for(lambda: crash_of(daemon, 'killed'), 30)
    checks.check(alert, 'kill -9 is a crash')
    print(f'crash of a killed job after {time.monotonic() - began:.1f} s: {alert and alert["annotations"]["summary"]}')
    hangs = [a for a in daemon.get('/api/v2/alerts?filter=run=killed').json if a['labels'].get('kind') == 'hang']
    checks.equal(hangs, [], 'and no hang')
    text = alert['annotations']['summary'] if alert else ''
    checks.check('SIGKILL' in text or 'without goodbye' in text, f'it says how: {text}')
    checks.check(f'on {socket.gethostname()}' in text, f'and where: {text}')


def job(daemon, name, script, **options):
    return subprocess.Popen([BINARY, 'run', '--name', name, '--server', daemon.url, '--', sys.executable, '-c', script],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def under_run(daemon, checks):
    good = job(daemon, 'good', 'import os; print(os.environ["TOCSIN_RUN"])')
    out, _ = good.communicate(timeout=60)
    checks.equal((good.returncode, out), (0, 'good\n'), 'a good job')
    state = daemon.query('train_run_state{run="good"}')
    checks.equal(state and state[0][1], 0.0, 'it is finished')
    bad = job(daemon, 'bad', 'import sys; print("lost", file=sys.stderr); sys.exit(41)')
    _, error = bad.communicate(timeout=60)
    checks.equal((bad.returncode, error), (41, 'lost\n'), 'a failing job')
    alert = wait_for(lambda: crash_of(daemon, 'bad'), 20)
    checks.check(alert and 'exit code 41' in alert['annotations']['summary'], f'exit code 41 is told: {alert}')
    signalled = job(daemon, 'signalled', 'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)')
    signalled.communicate(timeout=60)
    checks.equal(signalled.returncode, 128 + signal.SIGSEGV, 'a job that a signal ends')
    alert = wait_for(lambda: crash_of(daemon, 'signalled'), 20)
    checks.check(alert and 'signal SIGSEGV' in alert['annotations']['summary'], f'SIGSEGV is told: {alert}')


def passing_on(daemon, checks):
    patient = job(daemon, 'patient', 'import signal, sys, time\n'
                  'signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nprint("ready", flush=True)\n'
                  'for _ in range(2000):  # one long sleep would not notice a signal that comes just before it\n    time.sleep(0.05)')
    checks.equal(patient.stdout.readline(), 'ready\n', 'the job has begun')
    patient.terminate()
    patient.communicate(timeout=60)
    checks.equal(patient.returncode, 3, 'SIGTERM reaches the job, its answer comes back')
    none = subprocess.run([BINARY, 'run', '--server', daemon.url, '--', '/no/such/program'], capture_output=True, text=True,
                          timeout=60)
    checks.equal(none.returncode, 127, 'a command that is not there')
    checks.check('/no/such/program' in none.stderr, none.stderr)
    empty = subprocess.run([BINARY, 'run', '--'], capture_output=True, text=True, timeout=60)
    checks.equal(empty.returncode, 2, 'no command')
    alone = subprocess.run([BINARY, 'run', '--server', 'http://127.0.0.1:9', '--', 'sh', '-c', 'exit 5'], capture_output=True,
                           text=True, timeout=60)
    checks.equal(alone.returncode, 5, 'a job runs without a daemon as well')
    checks.check('could not be reported' in alone.stderr, alone.stderr)


def main():
    checks = Checks()
    with Daemon() as daemon:
        kill_nine(daemon, checks)
        under_run(daemon, checks)
        passing_on(daemon, checks)
    checks.finish()


if __name__ == '__main__':
    main()
