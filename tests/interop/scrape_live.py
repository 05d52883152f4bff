"""Scrapes a live prometheus-node-exporter and a live Prometheus and compares with what they serve."""
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

DUMP = sys.argv[1]
failures = []


def check(ok, what):
    print(('ok      ' if ok else 'FAILED  ') + what)
    if not ok:
        failures.append(what)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for_http(url, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return urllib.request.urlopen(url, timeout=2).read().decode()
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f'{url} never answered')


class Scraper:
    """The program under test; keeps the values of every series in order."""

    def __init__(self, *args):
        self.points, self.lock = {}, threading.Lock()
        self.process = subprocess.Popen([DUMP, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            series, value, ms = line.rsplit(' ', 2)
            with self.lock:
                self.points.setdefault(series, []).append((int(ms), value))

    def last(self, series):
        with self.lock:
            return self.points.get(series, [(0, None)])[-1][1]

    def wait(self, series, value, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.last(series) != value:
            time.sleep(0.05)
        return self.last(series) == value

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.thread.join()


def exposed(text):
    """(name, sorted labels) of each exposed series."""
    found = set()
    for line in text.splitlines():
        m = re.match(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s', line)
        if line.startswith('#') or not m:
            continue
        labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or '')
        found.add((m[1], tuple(sorted(labels))))
    return found


def stored(points, job):
    found = set()
    for series in points:
        m = re.match(r'([a-zA-Z_:][\w:]*)\{(.*)\}$', series)
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2]))
        if labels.pop('job') != job:
            continue
        labels.pop('instance')
        found.add((m[1], tuple(sorted(labels.items()))))
    return found


def normal(series):
    """Numbers in one spelling; an empty label is no label."""
    name, labels = series
    def number(v):
        f = float(v)
        return '%g' % f if not math.isinf(f) else '+Inf'
    return name, tuple((k, number(v) if k in ('le', 'quantile') else v) for k, v in labels if v)


REPORTS = {'up', 'scrape_duration_seconds', 'scrape_samples_scraped', 'scrape_samples_post_metric_relabeling',
           'scrape_series_added'}


def compare(scraper, job, url):
    """A target makes new series with the first requests of a kind: the sides agree within a few scrapes."""
    end = time.monotonic() + 15
    while True:
        want = {normal(s) for s in exposed(wait_for_http(url))}
        with scraper.lock:
            have = {normal(s) for s in stored(scraper.points, job) if s[0] not in REPORTS}
        missing, extra = want - have, have - want
        if not missing and not extra or time.monotonic() > end:
            break
        time.sleep(0.5)
    check(not missing and not extra,
          f'{job}: {len(have)} series stored, {len(want)} exposed, {len(missing)} + {len(extra)} differ')


def start_node_exporter(port):
    # --web.listen-address only: the default collectors are what users run
    return subprocess.Popen(['prometheus-node-exporter', f'--web.listen-address=127.0.0.1:{port}'],
                            stderr=subprocess.DEVNULL)


def start_prometheus(port, folder):
    with open(os.path.join(folder, 'p.yml'), 'w') as f:
        f.write('global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: self\n'
                f'  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]\n')
    return subprocess.Popen(['prometheus', f'--config.file={folder}/p.yml', f'--storage.tsdb.path={folder}/data',
                             f'--web.listen-address=127.0.0.1:{port}'], stderr=subprocess.DEVNULL)


def configured(node_port, prometheus_port, node):
    scraper = Scraper('- job_name: node\n  scrape_interval: 1s\n  static_configs: '
                      f'[{{targets: ["127.0.0.1:{node_port}"], labels: {{instance: n}}}}]\n'
                      '- job_name: prometheus\n  scrape_interval: 1s\n  static_configs: '
                      f'[{{targets: ["127.0.0.1:{prometheus_port}"], labels: {{instance: p}}}}]\n')
    check(scraper.wait('up{instance="n", job="node"}', '1', 5), 'node exporter is up')
    check(scraper.wait('up{instance="p", job="prometheus"}', '1', 5), 'Prometheus is up')
    time.sleep(2)
    compare(scraper, 'node', f'http://127.0.0.1:{node_port}/metrics')
    compare(scraper, 'prometheus', f'http://127.0.0.1:{prometheus_port}/metrics')
    node.kill()
    node.wait()
    check(scraper.wait('up{instance="n", job="node"}', '0', 2.2), 'up is 0 within an interval after the target died')
    with scraper.lock:
        alive = [s for s, p in scraper.points.items() if 'job="node"' in s and s.split('{')[0] not in REPORTS
                 and p[-1][1] != 'stale']
    check(not alive, f'all series of the dead target are stale ({len(alive)} are not)')
    scraper.stop()
    check(scraper.last('up{instance="p", job="prometheus"}') != 'stale', 'a stop is no end of the series: a restart follows')


def discovered(node_port, prometheus_port):
    scraper = Scraper('--discover', str(node_port), str(prometheus_port))
    for kind, port in (('node', node_port), ('prometheus', prometheus_port)):
        check(scraper.wait(f'up{{instance="127.0.0.1:{port}", job="{kind}"}}', '1', 10), f'{kind} is discovered')
    scraper.stop()


def main():
    missing = [p for p in ('prometheus', 'prometheus-node-exporter') if not shutil.which(p)]
    if missing:
        print(f'skipped: {", ".join(missing)} not installed')
        return 77
    node_port, prometheus_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        node, prometheus = start_node_exporter(node_port), start_prometheus(prometheus_port, folder)
        try:
            wait_for_http(f'http://127.0.0.1:{node_port}/metrics')
            wait_for_http(f'http://127.0.0.1:{prometheus_port}/-/ready')
            discovered(node_port, prometheus_port)
            configured(node_port, prometheus_port, node)
        finally:
            for p in (node, prometheus):
                p.kill()
                p.wait()
    return 1 if failures else 0


sys.exit(main())
