#!/usr/bin/env python3
"""Scraping in protobuf: a live Prometheus gives the same series as in text; native histograms come as such, end, and are refused
by name when they are broken."""
import http.server
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from tocsin_test import Checks, Daemon, skip, wait_for

MEDIA = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'


def varint(v):
    out = b''
    while v >= 0x80:
        out, v = out + bytes([v & 0x7f | 0x80]), v >> 7
    return out + bytes([v])


def field(number, value):
    """Bytes and text are length-delimited, floats are doubles, ints are varints."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack('<d', value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def zigzag(v):
    return v << 1 if v >= 0 else (-v << 1) - 1


def family(name, kind, metric):
    body = field(1, name) + field(2, 'help of ' + name) + field(3, kind) + field(4, metric)
    return varint(len(body)) + body


def histogram(count, deltas, spans):
    body = field(1, count) + field(2, 4.5 * count) + field(3, field(1, count - 1) + field(2, 1.0))
    body += field(5, zigzag(2)) + field(6, 0.001) + field(7, 1)
    body += b''.join(field(12, field(1, zigzag(offset)) + field(2, length)) for offset, length in spans)
    return field(1, field(1, 'path') + field(2, '/')) + field(7, body + field(13, b''.join(varint(zigzag(d)) for d in deltas)))


class Target(http.server.BaseHTTPRequestHandler):
    body, accepts = b'', set()

    def do_GET(self):
        Target.accepts.add(self.headers['Accept'])
        self.send_response(200)
        self.send_header('Content-Type', MEDIA)
        self.send_header('Content-Length', str(len(Target.body)))
        self.end_headers()
        self.wfile.write(Target.body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def write_config(directory, target, prometheus):
    config = directory / 'tocsin.yml'
    config.write_text(f'''
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
host: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
scrape_configs:
  - job_name: native
    scrape_native_histograms: true
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
  - job_name: both
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
  - job_name: classic
    scrape_protocols: [PrometheusProto]
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
''' + (f'''
  - job_name: prometheus_proto
    scrape_protocols: [PrometheusProto]
    static_configs: [{{targets: ["127.0.0.1:{prometheus}"]}}]
  - job_name: prometheus_text
    scrape_protocols: [PrometheusText0.0.4]
    static_configs: [{{targets: ["127.0.0.1:{prometheus}"]}}]
''' if prometheus else ''))
    return config


def value(daemon, expression):
    result = daemon.query(expression)
    return result[0][1] if len(result) == 1 else None


def check_native(c, d):
    c.check(wait_for(lambda: value(d, 'histogram_count(h{job="native"})') == 7, 20), 'the native histogram is there')
    c.equal(value(d, 'histogram_sum(h{job="native",path="/"})'), 31.5, 'its sum')
    c.check(value(d, 'histogram_quantile(0.5, h{job="native"})') > 0, 'a quantile of it')
    c.equal(d.query('h_bucket{job="native"}'), [], 'no classic buckets beside it')
    c.check(wait_for(lambda: value(d, 'histogram_count(h{job="both"})') == 7, 20), 'native beside classic')
    c.equal(value(d, 'h_bucket{job="both",le="1.0"}'), 6, 'classic beside native')
    c.check(wait_for(lambda: value(d, 'h_count{job="classic"}') == 7, 20), 'classic only')
    c.equal(value(d, 'h_bucket{job="classic",le="+Inf"}'), 7, 'the bucket that all are in')
    c.equal(value(d, 'count(h{job="classic"})'), None, 'nothing native where it is not wanted')
    c.equal(value(d, 'requests_total{job="classic"}'), 3, 'a counter')
    c.check(any(a.startswith('application/vnd.google.protobuf') for a in Target.accepts), 'protobuf was asked for first')


def series(daemon, job):
    names = daemon.get(f'/api/v1/series?match[]=%7Bjob%3D%22{job}%22%7D').json['data']
    return {tuple(sorted((k, v) for k, v in s.items() if k != 'job')) for s in names}


def check_same(c, d):
    for job in ('prometheus_proto', 'prometheus_text'):
        c.check(wait_for(lambda: value(d, f'scrape_samples_scraped{{job="{job}"}}'), 20), f'{job} is scraped')
    # Counters that came into being between the two scrapes come with the next.
    c.check(wait_for(lambda: series(d, 'prometheus_proto') == series(d, 'prometheus_text'), 20, 1),
            'protobuf and text give the same series')
    found = len(series(d, 'prometheus_proto'))
    c.check(found > 200, f'and many of them: {found}')
    c.equal(value(d, 'count(prometheus_build_info{job="prometheus_proto"} == ignoring(job) '
                     'prometheus_build_info{job="prometheus_text"})'), 1, 'and the same value')


def main():
    c = Checks()
    Target.body = family('requests_total', 0, field(3, field(1, 3.0))) + family('h', 4, histogram(7, [2, 1, -2], [(0, 2), (1, 1)]))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    has_prometheus = shutil.which('prometheus')
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        port = free_port() if has_prometheus else 0
        (directory / 'prometheus.yml').write_text('global: {scrape_interval: 1s}\n')
        peer = subprocess.Popen(['prometheus', f'--web.listen-address=127.0.0.1:{port}',
                                 f'--config.file={directory}/prometheus.yml', f'--storage.tsdb.path={directory}/tsdb'],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if has_prometheus else None
        try:
            with Daemon(config=write_config(directory, server.server_port, port)) as d:
                check_native(c, d)
                if peer:
                    check_same(c, d)
                Target.body = family('requests_total', 0, field(3, field(1, 4.0)))
                c.check(wait_for(lambda: value(d, 'count(h{job="native"})') is None, 10), 'a native histogram that vanishes ends')
                Target.body = family('h', 4, histogram(7, [2], [(0, 2)]))
                c.check(wait_for(lambda: value(d, 'up{job="native"}') == 0, 10), 'a broken answer is a failed scrape')
                errors = [t['lastError'] for t in d.get('/api/v1/targets').json['data']['activeTargets']
                          if t['labels']['job'] == 'native']
                c.check('metric family 1 (h): spans of more buckets than there are' in errors[0], f'the reason is told: {errors}')
        finally:
            if peer:
                peer.kill()
                peer.wait()
            server.shutdown()
    c.finish()
    if not has_prometheus:
        skip('prometheus is not installed: only the target made here was scraped')


main()
