#!/usr/bin/env python3
"""The state of jobs: what a scheduler says of a job's end becomes the cause of its run's crash. Slurm is a program that prints
what squeue prints, Kubernetes a small API server; the runs are real processes that report."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from fake_kubernetes import Cluster
from tocsin_test import Checks, Daemon, offline, wait_for

REPORTER = '''
import json, os, socket, sys, time, urllib.request
url = os.environ["TOCSIN_URL"] + "/api/tocsin/v1/ingest/run?run=" + os.environ["TOCSIN_RUN"]
labels = json.loads(os.environ["TOCSIN_LABELS"])
for step in range(1, 100000):
    line = {"t": time.time(), "step": step, "state": "running", "loss": 1 / step, "step_seconds": 0.2, "labels": labels}
    urllib.request.urlopen(urllib.request.Request(url, (json.dumps(line) + "\\n").encode(), method="POST")).close()
    time.sleep(0.2)
'''


def reporter(daemon, run, **labels):
    p = subprocess.Popen([sys.executable, '-c', REPORTER],
                         env={**os.environ, 'TOCSIN_URL': daemon.url, 'TOCSIN_RUN': run, 'TOCSIN_LABELS': json.dumps(labels)})
    return p


def alert_of(daemon, run, kind):
    for alert in daemon.get(f'/api/v2/alerts?filter=run={run}').json:
        if alert['labels'].get('kind') == kind:
            return alert
    return None


def incident_of(daemon, run, kind):
    for one in daemon.get('/api/tocsin/v1/incidents?state=all').json.get('incidents', []):
        if one['kind'] == kind and one['subject'].get('run') == run:
            return daemon.get('/api/tocsin/v1/incidents/' + str(one['id'])).json
    return None


class Slurm:
    def __init__(self, directory):
        self.file = directory / 'squeue.json'
        self.calls = directory / 'calls'
        self.say()
        program = directory / 'squeue'
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.calls}\ncat {self.file}\n')
        program.chmod(0o755)

    def say(self, *jobs):
        text = json.dumps({'jobs': jobs, 'errors': []})
        new = self.file.with_suffix('.new')
        new.write_text(text)
        new.replace(self.file)

    def break_down(self):
        self.file.write_text('{"jobs":[{"job_id":')


def job(identity, state, **more):
    return {'job_id': identity, 'name': 'llm', 'user_name': 'ann', 'partition': 'gpu', 'job_state': [state], 'nodes': 'g[1-2]',
            'restart_cnt': 0, **more}


def number(n):
    return {'set': True, 'infinite': False, 'number': int(n)}


def pod(cluster, name, status, **metadata):
    cluster.put('pods', name, 'train', spec={'nodeName': 'n1'}, status=status, metadata=metadata)


def slurm_side(c, d, slurm):
    runs = {'preempted': 17, 'lost': 18, 'late': 19, 'full': 20, 'calm': 21}
    processes = {r: reporter(d, r, slurm_job_id=str(i)) for r, i in runs.items()}
    slurm.say(*[job(i, 'RUNNING', start_time=number(time.time())) for i in runs.values()])
    for run, identity in runs.items():
        c.check(wait_for(lambda: d.query(f'train_job_state{{job_id="{identity}",run="{run}",scheduler="slurm"}}'), 30), f'{run} is joined')
    c.check('--states=all --json' in slurm.calls.read_text(), 'squeue is asked for ended jobs, too')
    for run in ('preempted', 'lost', 'late', 'full'):
        processes[run].kill()
        processes[run].wait()
    now = number(time.time())
    slurm.say(job(17, 'PREEMPTED', end_time=now), job(18, 'NODE_FAIL', end_time=now, failed_node='g2'),
              job(19, 'TIMEOUT', end_time=now), job(20, 'OUT_OF_MEMORY', end_time=now, exit_code={'return_code': number(0),
                                                                                               'signal': {'id': number(9)}}),
              job(21, 'RUNNING'))
    words = {'preempted': ('crash', 'was preempted', "took the job's place away"), 'lost': ('crash', 'lost its node: g2', 'lost a node'),
             'late': ('crash', 'time limit', 'time limit'), 'full': ('oom', 'out of memory', 'memory limit')}
    for run, (kind, text, cause) in words.items():
        alert = wait_for(lambda: alert_of(d, run, kind), 30)
        told = json.dumps(alert['annotations']) if alert else ''
        c.check(text in told, f'{run}: the alert says it: {told[:400]}')
        incident = wait_for(lambda: incident_of(d, run, kind), 20)
        causes = [x['text'] for x in incident['causes']] if incident else []
        c.check(causes and cause in causes[0], f'{run}: the first cause of the incident: {causes}')
        c.check(alert_of(d, run, 'hang') is None, f'{run}: no hang beside it')
    c.check(alert_of(d, 'calm', 'crash') is None, 'a job that runs is left alone')
    slurm.break_down()
    c.check(wait_for(lambda: d.query('tocsin_job_source_up{scheduler="slurm"} == 0'), 20), 'a list that is no list: the source is down')
    c.check(d.query('train_job_state{job_id="21"}'), 'and its jobs stay')
    processes['calm'].kill()
    processes['calm'].wait()


def kubernetes_side(c, d, cluster):
    running = {'phase': 'Running', 'containerStatuses': [{'name': 't', 'restartCount': 0, 'state': {'running': {}}}]}
    p = reporter(d, 'podded', host='w-0', pid='1')
    pod(cluster, 'w-0', running)
    c.check(wait_for(lambda: d.query('train_job_state{job_id="train/w-0",run="podded"}'), 30), 'a pod is joined by its host name')
    p.kill()
    p.wait()
    killed = {'terminated': {'exitCode': 137, 'reason': 'OOMKilled', 'finishedAt': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}}
    pod(cluster, 'w-0', {'phase': 'Failed', 'containerStatuses': [{'name': 't', 'restartCount': 0, 'state': killed}]})
    alert = wait_for(lambda: alert_of(d, 'podded', 'oom'), 30)
    c.check(alert and 'pod train/w-0' in json.dumps(alert['annotations']), f'OOMKilled is out of memory: {alert}')
    c.equal([v for _, v in d.query('train_job_exit_code{job_id="train/w-0"}')], [137.0], 'its exit code')
    q = reporter(d, 'moved', pod='w-1', host='node', pid='1')
    pod(cluster, 'w-1', running)
    c.check(wait_for(lambda: d.query('train_job_state{job_id="train/w-1",run="moved"}'), 30), 'a pod is joined by its label')
    pod(cluster, 'w-1', {**running, 'conditions': [{'type': 'DisruptionTarget', 'status': 'True', 'reason': 'PreemptionByScheduler'}]})
    time.sleep(2.5)
    q.kill()
    q.wait()
    cluster.delete('pods', 'w-1', 'train')
    alert = wait_for(lambda: alert_of(d, 'moved', 'crash'), 30)
    c.check(alert and 'was preempted' in alert['annotations']['summary'], f'a pod that is preempted and gone: {alert}')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        directory, cluster = pathlib.Path(name), Cluster()
        cluster.serve()
        slurm = Slurm(directory)
        config = directory / 'tocsin.yml'
        config.write_text(f'''
host: {{enabled: false}}
discovery: {{enabled: false}}
job_state:
  interval: 1s
  slurm: [{{squeue: ./squeue, timeout: 5s}}]
  kubernetes: [{{role: pod, api_server: 'http://127.0.0.1:{cluster.port}', namespaces: {{names: [train]}}}}]
''')
        c.equal(offline('check', 'config', config)[0], 0, 'the configuration is accepted')
        bad = directory / 'bad.yml'
        bad.write_text("job_state: {kubernetes: [{role: node, api_server: 'http://x'}]}\n")
        code, out, error = offline('check', 'config', bad)
        c.check(code and 'role must be pod' in out + error, f'nodes are no jobs: {out + error}')
        with Daemon(config=config) as d:
            slurm_side(c, d, slurm)
            kubernetes_side(c, d, cluster)
    c.finish()


main()
