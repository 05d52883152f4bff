#!/usr/bin/env python3
"""Ten thousand targets found over HTTP and scraped: CPU, memory, scrapes missed, jitter, and what a change of one target does.

usage: scrape_targets_bench.py TOCSIN SCRAPE_TARGETS [--targets 10000] [--series 50] [--interval 15] [--settle 45] [--secs 90]
                               [--servers tocsin,prometheus] [--json]

SCRAPE_TARGETS is build/bench/scrape_targets. Every target has an address of its own (127.1.0.1, …), so that each has its own
connection. The servers are measured one after the other against the same program. In the middle of the window one target of the
list is replaced. Jitter: how far the distance of two scrapes of a target is from the interval, as the targets see them."""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

TOCSIN = 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def get(url, timeout=60):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return r.read()


def cpu_s(pid):
    fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def status(pid, key):
    return next(int(l.split()[1]) / 1024 for l in open(f'/proc/{pid}/status') if l.startswith(key + ':'))


class Server:
    def __init__(self, name, o, port, root):
        self.name, self.port, self.root = name, free_port(), root / name
        self.root.mkdir()
        self.url = f'http://127.0.0.1:{self.port}'
        config = self.root / 'config.yml'
        config.write_text((TOCSIN if name == 'tocsin' else '') + f'''
global: {{scrape_interval: {o.interval}s, scrape_timeout: {min(o.interval, 10)}s}}
scrape_configs:
  - job_name: many
    http_sd_configs: [{{url: 'http://127.0.0.1:{port}/targets', refresh_interval: 5s}}]
''')
        data, listen = str(self.root / 'data'), f'127.0.0.1:{self.port}'
        command = ([o.tocsin, 'run', '--config', str(config), '--data', data, '--listen', listen] if name == 'tocsin' else
                   ['prometheus', f'--config.file={config}', f'--storage.tsdb.path={data}', f'--web.listen-address={listen}'])
        log = open(self.root / 'log', 'w')
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()

    def wait_ready(self):
        for _ in range(600):
            try:
                return get(self.url + '/-/ready', 5)
            except OSError:
                time.sleep(0.1)
        sys.exit(f'{self.name} did not start: {(self.root / "log").read_text()[-2000:]}')

    def value(self, expression):
        found = json.loads(get(f'{self.url}/api/v1/query?' + urllib.parse.urlencode({'query': expression})))['data']['result']
        return float(found[0]['value'][1]) if found else 0

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def percentile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else 0


def arrivals(port, agent):
    out = {}
    for line in get(f'http://127.0.0.1:{port}/arrivals?{agent}').splitlines():
        target, us = line.split()
        out.setdefault(int(target), []).append(int(us) / 1e6)
    return out


def judge(times, first, last, o):
    """What the targets saw between two moments."""
    jitter, missed, scrapes = [], 0, 0
    for target in range(o.targets - 1):  # the last one is replaced
        inside = [t for t in times.get(target, []) if first <= t <= last]
        scrapes += len(inside)
        gaps = [b - a for a, b in zip(inside, inside[1:])]
        jitter += [abs(g - o.interval) * 1000 for g in gaps]
        missed += sum(round(g / o.interval) - 1 for g in gaps if g > 1.5 * o.interval)
        missed += max(0, int((last - first) // o.interval) - len(inside))
    return {'scrapes': scrapes, 'missed': missed, 'jitter_ms_p50': round(percentile(jitter, .5), 2),
            'jitter_ms_p99': round(percentile(jitter, .99), 2), 'jitter_ms_max': round(max(jitter or [0]), 1)}


def measure(name, o, port, root):
    s = Server(name, o, port, root)
    try:
        start = time.monotonic()
        s.wait_ready()
        while s.value('count(up == 1)') < o.targets and time.monotonic() - start < 4 * o.interval + 30:
            time.sleep(0.5)
        row = {'server': name, 'targets': o.targets, 'series': o.series, 'interval_s': o.interval,
               'all_up_after_s': round(time.monotonic() - start, 1), 'up': int(s.value('count(up == 1)'))}
        time.sleep(max(0, o.settle - (time.monotonic() - start)))
        pid, first, cpu = s.process.pid, time.monotonic(), cpu_s(s.process.pid)
        time.sleep(o.secs / 2)
        moved = get(f'http://127.0.0.1:{port}/replace').decode()
        replaced = time.monotonic()
        time.sleep(o.secs / 2)
        last = time.monotonic()
        row['cpu_percent'] = round(100 * (cpu_s(pid) - cpu) / (last - first), 1)
        row['cpu_s_per_m_samples'] = round((cpu_s(pid) - cpu) / (o.targets * o.series * (last - first) / o.interval / 1e6), 3)
        row['rss_mib'], row['peak_mib'] = round(status(pid, 'VmRSS')), round(status(pid, 'VmHWM'))
        row['files'] = len(os.listdir(f'/proc/{pid}/fd'))
        row.update(judge(arrivals(port, 'Prometheus' if name == 'prometheus' else 'tocsin'), first, last, o))
        row['up_at_end'] = int(s.value('count(up == 1)'))
        row['new_target_up'] = int(s.value(f'up{{instance="{moved}"}}'))
        row['samples_scraped'] = int(s.value('sum(scrape_samples_scraped)'))
        times = [t for t in arrivals(port, 'Prometheus' if name == 'prometheus' else 'tocsin').get(
            o.targets - 1 + o.replaced + 1, []) if t > replaced]
        row['new_target_after_s'] = round(times[0] - replaced, 1) if times else None
        o.replaced += 1
        return row
    finally:
        s.stop()


def main():
    p = argparse.ArgumentParser()
    p.add_argument('tocsin')
    p.add_argument('scrape_targets')
    p.add_argument('--targets', type=int, default=10000)
    p.add_argument('--series', type=int, default=50)
    p.add_argument('--interval', type=int, default=15)
    p.add_argument('--settle', type=float, default=45)
    p.add_argument('--secs', type=float, default=90)
    p.add_argument('--servers', default='tocsin,prometheus')
    o = p.parse_args()
    o.replaced = 0
    root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-targets-'))
    port = free_port()
    program = subprocess.Popen([o.scrape_targets, str(port), str(o.targets), str(o.series)])
    try:
        time.sleep(0.3)
        for name in o.servers.split(','):
            print(json.dumps(measure(name, o, port, root)), flush=True)
    finally:
        program.kill()
        program.wait()
        shutil.rmtree(root, ignore_errors=True)


main()
