#!/usr/bin/env python3
"""Scraping a live node exporter and a live Prometheus; a target that dies is down within one interval, its series end."""
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from tocsin_test import Checks, Daemon, skip, wait_for

INTERVAL_S = 1


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def start_peers(directory):
    node, prometheus = free_port(), free_port()
    (directory / 'prometheus.yml').write_text('global: {scrape_interval: 1s}\n')
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    peers = [subprocess.Popen(['prometheus-node-exporter', f'--web.listen-address=127.0.0.1:{node}'], **quiet),
             subprocess.Popen(['prometheus', f'--web.listen-address=127.0.0.1:{prometheus}',
                               f'--config.file={directory}/prometheus.yml', f'--storage.tsdb.path={directory}/tsdb'],
                              **quiet)]
    return node, prometheus, peers


def write_config(directory, node, prometheus):
    targets = [{'targets': [f'127.0.0.1:{prometheus}'], 'labels': {'team': 'infra'}}]
    (directory / 'targets.json').write_text(json.dumps(targets))
    config = directory / 'tocsin.yml'
    config.write_text(f'''
global: {{scrape_interval: {INTERVAL_S}s, scrape_timeout: {INTERVAL_S}s}}
host: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
scrape_configs:
  - job_name: exporter
    static_configs: [{{targets: ["127.0.0.1:{node}"]}}]
  - job_name: prometheus
    file_sd_configs: [{{files: [targets.json]}}]
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: "go_memstats.*", action: drop}}
''')
    return config


def value(daemon, expression):
    result = daemon.query(expression)
    return result[0][1] if len(result) == 1 else None


def main():
    if not shutil.which('prometheus') or not shutil.which('prometheus-node-exporter'):
        skip('prometheus or prometheus-node-exporter is not installed')
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        node, prometheus, peers = start_peers(directory)
        try:
            with Daemon(config=write_config(directory, node, prometheus)) as d:
                c.check(wait_for(lambda: value(d, 'up{job="exporter"}') == 1, 20), 'the exporter is up')
                c.check(wait_for(lambda: value(d, 'up{job="prometheus",team="infra"}') == 1, 20), 'Prometheus is up')
                c.check(value(d, 'count({job="exporter"})') > 200, 'the exporter\'s series are there')
                c.check(value(d, 'scrape_samples_scraped{job="exporter"}') > 200, 'scrape_samples_scraped')
                c.equal(d.query('{job="prometheus",__name__=~"go_memstats.*"}'), [], 'metric_relabel_configs drop')
                c.check(abs(value(d, 'node_memory_MemTotal_bytes{job="exporter"}') -
                            int(open('/proc/meminfo').readline().split()[1]) * 1024) == 0, 'a value agrees with /proc')
                peers[0].kill()
                peers[0].wait()
                died = time.monotonic()
                c.check(wait_for(lambda: value(d, 'up{job="exporter"}') == 0, 10, 0.05), 'up becomes 0')
                took = time.monotonic() - died
                c.check(took <= 2 * INTERVAL_S, f'up was 0 after {took:.2f} s, the interval is {INTERVAL_S} s')
                c.check(wait_for(lambda: value(d, 'count(node_load1{job="exporter"})') is None, 3, 0.05),
                        'its series are stale')
                print(f'up was 0 after {took:.2f} s at an interval of {INTERVAL_S} s')
                targets = d.get('/api/v1/targets').json['data']['activeTargets']
                health = {t['labels']['job']: t['health'] for t in targets}
                c.equal(health, {'exporter': 'down', 'prometheus': 'up'}, 'the targets API')
        finally:
            for p in peers:
                p.kill()
    c.finish()


main()
