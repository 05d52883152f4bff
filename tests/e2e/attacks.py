#!/usr/bin/env python3
"""Attacks upon a real daemon: each may cost little memory, must not keep others waiting, and is named."""
import contextlib
import gzip
import http.server
import pathlib
import socket
import tempfile
import threading
import time

from push import remote_write, series, snappy, varint
from tocsin_test import Checks, Daemon, wait_for

GROWTH_MIB, ANSWER_S = 64, 1.0
MIB = 1 << 20
CONFIG = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
storage: {max_series: 30000}
scrape_configs:
'''
JOB = '  - {job_name: %s, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["127.0.0.1:%d"]}], metrics_path: /%s}\n'


def bomb(mebibytes=256):
    """A body that is a thousandth of what comes out of it."""
    return gzip.compress(b'a 1\n' * (mebibytes * MIB // 4), 9)


class Target(http.server.ThreadingHTTPServer):
    """Serves hostile expositions by path."""
    daemon_threads = True

    def __init__(self):
        self.bomb = bomb()
        self.on = None
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                with contextlib.suppress(OSError):
                    if self.path.strip('/') != target.on:
                        self.plain(b'calm 1\n')
                    else:
                        getattr(self, target.on)()

            def head(self, **headers):
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4')
                for name, value in headers.items():
                    self.send_header(name.replace('_', '-'), value)
                self.end_headers()

            def plain(self, body):
                self.head(Content_Length=str(len(body)))
                self.wfile.write(body)

            def bomb(self):
                self.head(Content_Encoding='gzip', Content_Length=str(len(target.bomb)))
                self.wfile.write(target.bomb)

            def many(self):
                self.plain(b''.join(b'many{id="%d"} 1\n' % i for i in range(500000)))

            def label(self):
                self.plain(b'wide{x="' + b'y' * (64 * MIB) + b'"} 1\n')

            def endless(self):
                self.head(Transfer_Encoding='chunked')
                while target.on == 'endless':
                    self.wfile.write(b'10000\r\n' + b'endless 1\n' * 6553 + b'######\r\n')

            def log_message(self, *_):
                pass

        super().__init__(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def rss(d):
    line = next(x for x in pathlib.Path(f'/proc/{d.process.pid}/status').read_text().splitlines() if x.startswith('VmRSS'))
    return int(line.split()[1]) / 1024


class Watch:
    """Looks at memory and asks for the UI and for a query while an attack runs."""

    def __init__(self, d):
        self.d, self.peak, self.slowest, self.failures = d, 0, 0.0, []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=f) for f in (self.measure, self.ask)]

    def measure(self):
        while not self.done.wait(0.02):
            self.peak = max(self.peak, rss(self.d))

    def ask(self):
        while True:
            for path in ('/', '/api/v1/query?query=count(up)'):
                began = time.monotonic()
                try:
                    if self.d.get(path, timeout=10).status != 200:
                        self.failures.append(path)
                except OSError as e:
                    self.failures.append(f'{path}: {e}')
                self.slowest = max(self.slowest, time.monotonic() - began)
            if self.done.wait(0.1):
                return

    def __enter__(self):
        self.before = self.peak = rss(self.d)
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for t in self.threads:
            t.join()


@contextlib.contextmanager
def attack(c, d, name):
    with Watch(d) as w:
        yield
    print(f'{name}: +{w.peak - w.before:.0f} MiB, slowest answer {w.slowest:.2f} s', flush=True)
    c.check(w.peak - w.before <= GROWTH_MIB, f'{name}: memory grew by {w.peak - w.before:.0f} MiB')
    c.check(not w.failures and w.slowest <= ANSWER_S, f'{name}: others waited {w.slowest:.2f} s, {w.failures[:3]}')
    c.equal(d.get('/-/healthy').status, 200, f'{name}: the daemon lives')


def last_error(d, job):
    targets = d.get('/api/v1/targets').json['data']['activeTargets']
    return next(t['lastError'] for t in targets if t['labels']['job'] == job)


def scrapes(c, d, target):
    for name, cause in (('bomb', 'body size limit exceeded'), ('many', 'sample limit exceeded'),
                        ('label', 'limit'), ('endless', 'body size limit exceeded')):
        with attack(c, d, f'scrape of {name}'):
            target.on = name
            error = wait_for(lambda: last_error(d, name), timeout=8)
            target.on = None
            c.check(error and (cause in error or name == 'endless' and 'time' in error.lower()),
                    f'scrape of {name}: the target says why: {error!r}')
            c.check(wait_for(lambda: not last_error(d, name), timeout=8), f'scrape of {name}: it recovers')
        c.equal({v for m, v in d.query(f'min_over_time(up{{job="{name}"}}[1m])')}, {0.0}, f'scrape of {name}: up was 0')


def pushes(c, d):
    kind = {'Content-Type': 'text/plain', 'Content-Encoding': 'gzip'}
    with attack(c, d, 'push of a bomb'):
        answer = d.call('POST', '/api/tocsin/v1/ingest/run?run=bomb', bomb(), token=d.token, headers=kind)
        c.check(answer.status == 413 and b'larger than' in answer.body, f'push of a bomb: {answer.status} {answer.body[:200]}')
    with attack(c, d, 'snappy that lies'):
        for size in (1 << 32, (1 << 32) - 1, 600 * MIB, 31 * MIB):
            body = varint(size) + snappy(b'x' * 1000)[2:]
            answer = d.call('POST', '/api/v1/write', body, token=d.token, headers={
                'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy'})
            c.check(answer.status in (400, 413) and answer.body, f'snappy that lies ({size}): {answer.status} {answer.body[:200]}')
    with attack(c, d, 'push of a 64 MiB label'):
        try:
            status = remote_write(d, [series({'__name__': 'wide', 'x': b'y' * (64 * MIB)}, [(int(time.time() * 1000), 1)])]).status
        except OSError:
            status = 413  # the connection is closed before everything was sent
        c.equal(status, 413, 'push of a 64 MiB label')
        answer = remote_write(d, [series({'__name__': 'wide', 'x': b'y' * MIB}, [(int(time.time() * 1000), 1)])])
        c.check(answer.status == 400 and b'labels exceed the limits' in answer.body,
                f'push of a 1 MiB label: {answer.status} {answer.body[:100]}')


def endless_push(c, d):
    with attack(c, d, 'endless chunked push'):
        answer, sent = b'', 0
        with socket.create_connection(('127.0.0.1', d.port)) as s:
            s.settimeout(5)
            s.sendall(b'POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n'
                      b'Transfer-Encoding: chunked\r\n\r\n' % d.token.encode())
            piece = b'100000\r\n' + b'x' * MIB + b'\r\n'
            with contextlib.suppress(OSError):
                while sent < 256 * MIB:
                    s.sendall(piece)
                    sent += MIB
            with contextlib.suppress(OSError):
                answer = s.recv(4096)
        c.check(sent < 256 * MIB, 'endless chunked push: it is cut off')
        print(f'endless chunked push: cut off after {sent // MIB} MiB: {answer.splitlines()[:1]}')
        refused = d.query('increase(tocsin_http_refused_too_large_total[1h])')
        c.check(wait_for(lambda: refused or d.query('tocsin_http_refused_too_large_total > 0'), timeout=8),
                'endless chunked push: it is counted')


def churn(c, d):
    """500,000 series pushed where 30,000 may be."""
    now = int(time.time() * 1000)
    with attack(c, d, 'push of 500,000 series'):
        for first in range(0, 500000, 20000):
            remote_write(d, [series({'__name__': 'flood', 'job': 'evil', 'instance': 'e1', 'request_id': f'r{i}'}, [(now, 1)])
                             for i in range(first, first + 20000)])
    c.check(d.query('count(flood)')[0][1] <= 30000, 'push of 500,000 series: the limit holds')
    row = wait_for(lambda: d.query('tocsin_overflow_samples_total{source_job="evil",source_instance="e1",reason="series_limit"} >= 450000'), timeout=12)
    c.check(row, f'push of 500,000 series: what found no room is counted by source: {row}')
    row = wait_for(lambda: d.query('topk(1, tocsin_label_new_values > 400000)'), timeout=12)
    c.check(row and (row[0][0]['metric'], row[0][0]['label']) == ('flood', 'request_id') and row[0][1] < 600000,
            f'push of 500,000 series: the exploding label is named: {row}')
    seen = wait_for(lambda: [m for m, _ in d.query('ALERTS{alertname=~"LabelExplodes|SeriesOverflow",alertstate="firing"}')], timeout=25)
    c.check(seen, 'push of 500,000 series: an alert fires')
    names = wait_for(lambda: 'request_id' in d.get('/api/v1/alerts').body.decode(), timeout=10)
    c.check(names, 'push of 500,000 series: and names the label')


def connections(c, d):
    """From several addresses of the loopback net, since one may have 256 only."""
    held = []

    def hold(count, source, start):
        for _ in range(count):
            s = socket.socket()
            s.bind((source, 0))
            s.settimeout(2)
            with contextlib.suppress(OSError):
                s.connect(('127.0.0.1', d.port))
                s.sendall(start)
            held.append(s)

    with attack(c, d, '500 half-open connections'):
        hold(250, '127.0.0.2', b'GET / HT')
        hold(250, '127.0.0.3', b'POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx')
        time.sleep(1)
    with attack(c, d, '520 half-open connections of one address'):
        for s in held:
            s.close()
        held.clear()
        hold(520, '127.0.0.4', b'GET / HT')
        time.sleep(1)
    for s in held:
        s.close()


def main():
    c = Checks()
    target = Target()
    with tempfile.TemporaryDirectory() as name:
        config = pathlib.Path(name) / 'tocsin.yml'
        config.write_text(CONFIG + ''.join(JOB % (x, target.server_address[1], x) for x in ('bomb', 'many', 'label', 'endless')))
        with Daemon(config=config) as d:
            wait_for(lambda: len(d.query('up == 1')) >= 4)
            connections(c, d)
            pushes(c, d)
            endless_push(c, d)
            scrapes(c, d, target)
            churn(c, d)
    c.finish()


main()
