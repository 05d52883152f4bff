#!/usr/bin/env python3
"""Nodes and jobs of Slurm as targets: programs that print what Slurm's do, that fail, hang and say nonsense."""
import json
import pathlib
import tempfile
import time

from discovery_peer import discovered
from tocsin_test import Checks, Daemon, offline, wait_for


def write_program(path, text):
    path.write_text('#!/bin/sh\n' + text)
    path.chmod(0o755)


def say(directory, name, value):
    """The program prints this JSON, and notes how it was called."""
    (directory / (name + '.json')).write_text(json.dumps(value))
    write_program(directory / name, f'echo "$0 $*" >> {directory}/calls\ncat {directory}/{name}.json\n')


def number(n):
    return {'set': True, 'infinite': False, 'number': n}


def node(name, state, **more):
    return {'name': name, 'hostname': name, 'address': name + '.cluster', 'state': state, 'partitions': ['gpu'], 'features': ['h100', 'ib'],
            'gres': 'gpu:h100:8', 'cpus': 96, **more}


def job(identity, nodes, state='RUNNING', **more):
    return {'job_id': identity, 'name': 'train $(touch /tmp/owned); "x"', 'user_name': 'ann', 'account': 'lab', 'partition': 'gpu',
            'job_state': [state], 'nodes': nodes, 'node_count': number(2), 'array_job_id': number(0), **more}


def sources(d):
    return {s['job']: s for s in d.get('/api/tocsin/v1/discovery').json['sources']}


def labels(d, job_name):
    return [dict(t[0]) for t in discovered(d, job_name)]


def check_targets(c, d, directory):
    c.check(wait_for(lambda: len(labels(d, 'nodes')) == 3), f'three nodes: {sources(d)}')
    first = labels(d, 'nodes')[0]
    for key, value in {'__address__': 'g1.cluster:9100', '__meta_slurm_node_name': 'g1', '__meta_slurm_node_state': 'idle',
                       '__meta_slurm_node_partition': 'gpu', '__meta_slurm_node_features': 'h100,ib',
                       '__meta_slurm_node_gres': 'gpu:h100:8', '__meta_slurm_node_cpus': '96'}.items():
        c.equal(first.get(key), value, key)
    c.check(wait_for(lambda: len(labels(d, 'jobs')) == 2), f'a job on two nodes: {sources(d)}')
    second = labels(d, 'jobs')[1]
    for key, value in {'__address__': 'g2:9400', '__meta_slurm_job_id': '17', '__meta_slurm_job_user': 'ann', '__meta_slurm_job_state': 'running',
                       '__meta_slurm_job_nodes': 'g[1-2]', '__meta_slurm_job_node': 'g2', '__meta_slurm_job_node_index': '1',
                       '__meta_slurm_job_name': 'train $(touch /tmp/owned); "x"'}.items():
        c.equal(second.get(key), value, key)
    calls = (directory / 'calls').read_text().splitlines()
    c.check(any(l.endswith('/scontrol show nodes --json') for l in calls) and f'{directory}/squeue --json' in calls,
            f'how they are called: {calls[:2]}')


def check_trouble(c, d, directory):
    say(directory, 'scontrol', {'nodes': [node('g1', ['DOWN', 'DRAIN']), node('g3', ['IDLE'])]})
    c.check(wait_for(lambda: [l['__meta_slurm_node_state'] for l in labels(d, 'nodes')] == ['down+drain', 'idle']), 'changes are followed')
    bad = [('a failure', 'echo "slurm_load_node error: Unable to contact slurm controller" >&2; exit 1',
            'ended with status 1: slurm_load_node error: Unable to contact'),
           ('no JSON', 'echo hello', 'line 1'),
           ('an old version', 'echo "{}"', 'no list "nodes"'),
           ('a hang', 'sleep 1000', 'did not end within 1000 ms and was killed')]
    for name, text, why in bad:
        write_program(directory / 'scontrol', text + '\n')
        c.check(wait_for(lambda: why in sources(d)['nodes']['last_error'], 30), f'{name}: {sources(d)["nodes"]["last_error"]}')
        c.equal(len(labels(d, 'nodes')), 2, f'{name}: the targets stay')
    say(directory, 'squeue', {'jobs': [job(17, 'g[1-'), ]})
    c.check(wait_for(lambda: 'is no list of hosts' in sources(d)['jobs']['last_error']), 'nodes that are no list')
    say(directory, 'scontrol', {'nodes': [node('g1', ['IDLE'])]})
    say(directory, 'squeue', {'jobs': [job(18, '', 'PENDING')]})
    c.check(wait_for(lambda: len(labels(d, 'nodes')) == 1 and labels(d, 'jobs') == [], 30), 'it recovers; a job that waits is no target')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        say(directory, 'scontrol', {'nodes': [node('g1', ['IDLE']), node('g2', ['MIXED']), node('g3', ['IDLE'])], 'errors': []})
        say(directory, 'squeue', {'jobs': [job(17, 'g[1-2]'), job(18, '', 'PENDING')], 'errors': []})
        config = directory / 'tocsin.yml'
        config.write_text(f'''
global: {{scrape_interval: 1h, scrape_timeout: 1s}}
host: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
scrape_configs:
  - job_name: nodes
    slurm_sd_configs: [{{scontrol: ./scontrol, refresh_interval: 1s, timeout: 1s}}]
  - job_name: jobs
    slurm_sd_configs: [{{role: job, squeue: {directory}/squeue, port: 9400, refresh_interval: 1s}}]
''')
        c.equal(offline('check', 'config', config)[0], 0, 'the configuration is accepted')
        with Daemon(config=config) as d:
            check_targets(c, d, directory)
            check_trouble(c, d, directory)
            write_program(directory / 'squeue', 'sleep 1000\n')
            time.sleep(1.5)
            start = time.monotonic()
            c.equal(d.stop(), 0, 'a program that hangs does not keep the daemon from stopping')
            c.check(time.monotonic() - start < 8, f'it took {time.monotonic() - start:.1f} s')
        c.check(not pathlib.Path('/tmp/owned').exists(), 'no shell read what a user wrote')
    c.finish()


main()
