#!/usr/bin/env python3
"""Start timestamps by every way in: with `storage.start_timestamps: zero_sample` increase() shows the first increment and the reset
where it was; without it nothing is added."""
import http.server
import pathlib
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'conformance'))
from remote_write_body import field, signed, snappy, varint  # noqa: E402
from tocsin_test import Checks, Daemon, offline, wait_for  # noqa: E402

PROTO = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'
OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
COUNTER, GAUGE = 1, 2


class Page:
    """A counter and more that began at `start_ms`."""

    def __init__(self, start_ms, count):
        self.start_ms, self.count, self.asked_ms, self.next_count = start_ms, count, 0, None

    def ask(self):
        """A restart lies half way between two requests: behind the sample of the one and before that of the other."""
        now_ms = int(time.time() * 1000)
        if self.next_count and self.asked_ms:
            self.start_ms, self.count, self.next_count = (self.asked_ms + now_ms) // 2, self.next_count, None
        self.asked_ms = now_ms


class Target(http.server.BaseHTTPRequestHandler):
    pages = {}

    def do_GET(self):
        page = Target.pages[self.path]
        page.ask()
        body = proto_body(page) if self.path == '/proto' else text_body(page)
        self.send_response(200)
        self.send_header('Content-Type', PROTO if self.path == '/proto' else OPENMETRICS)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def text_body(page):
    n, at = page.count, page.start_ms / 1000
    return (f'# TYPE c counter\nc_total {n}\nc_created {at}\n# TYPE h histogram\nh_bucket{{le="1.0"}} {n - 1}\nh_bucket{{le="+Inf"}} {n}\n'
            f'h_count {n}\nh_sum {2 * n}\nh_created {at}\n# TYPE g gauge\ng {n}\n# EOF\n').encode()


def family(name, kind, number, value):
    body = field(1, name.encode()) + field(3, kind) + field(4, field(number, value))
    return varint(len(body)) + body


def proto_body(page):
    n, start = page.count, field(1, page.start_ms // 1000) + field(2, page.start_ms % 1000 * 1_000_000)
    histogram = field(1, n) + field(2, 2.0 * n) + signed(5, 2) + field(6, 0.5) + field(7, n) + field(15, start)
    return family('c_total', 0, 3, field(1, float(n)) + field(3, start)) + family('h', 4, 7, histogram) + \
        family('g', 1, 2, field(1, float(n)))


def request_2(series):
    """series: (name, type, created_ms or None, [(t_ms, value, start_ms or None)])."""
    symbols = ['', '__name__'] + [name for name, *_ in series]
    out = b''.join(field(4, s.encode()) for s in symbols)
    for i, (_, kind, created, samples) in enumerate(series):
        body = field(1, varint(1) + varint(i + 2))
        for t, v, start in samples:
            body += field(2, field(1, float(v)) + field(2, t) + (field(3, start) if start else b''))
        out += field(5, body + field(5, field(1, kind)) + (field(6, created) if created else b''))
    return out


def remote_write(daemon, series):
    return daemon.call('POST', '/api/v1/write', snappy(request_2(series)), token=daemon.token, headers={
        'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
        'X-Prometheus-Remote-Write-Version': '2.0.0'})


def otlp(daemon, t_ms, start_ms, count):
    stamp = {'startTimeUnixNano': str(start_ms * 1_000_000), 'timeUnixNano': str(t_ms * 1_000_000)}
    metrics = [{'name': 'sent', 'sum': {'aggregationTemporality': 2, 'isMonotonic': True, 'dataPoints': [{**stamp, 'asInt': str(count)}]}},
               {'name': 'level', 'gauge': {'dataPoints': [{**stamp, 'asInt': str(count)}]}},
               {'name': 'native', 'exponentialHistogram': {'aggregationTemporality': 2, 'dataPoints': [
                   {**stamp, 'count': str(count), 'sum': 1.5, 'zeroCount': str(count), 'scale': 1}]}}]
    return daemon.post('/v1/metrics', {'resourceMetrics': [{'scopeMetrics': [{'metrics': metrics}]}]}).status


def at(daemon, expression, t_ms):
    """The value of an expression at a time; None: no result."""
    result = daemon.get('/api/v1/query?' + urllib.parse.urlencode({'query': expression, 'time': t_ms / 1000})).json
    rows = result['data']['result']
    return float(rows[0]['value'][1]) if len(rows) == 1 else None


def raw(daemon, selector, t_ms):
    """[(ms, value)] of the last hour of a series."""
    path = '/api/v1/query?' + urllib.parse.urlencode({'query': selector + '[1h]', 'time': t_ms / 1000})
    rows = daemon.get(path).json['data']['result']
    return [(round(float(t) * 1000), float(v)) for t, v in rows[0]['values']] if rows else []


def outcomes(daemon):
    lines = daemon.get('/metrics').body.decode().splitlines()
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines if line.startswith('tocsin_start_timestamps_total')}


def check_remote_write(c, d, now, wanted):
    start, again = now - 60_000, now - 20_000
    old = now - 3 * 3_600_000
    answer = remote_write(d, [('rw', COUNTER, None, [(now - 30_000, 7, start), (now, 3, again)]), ('draft', COUNTER, start, [(now, 4, None)]),
                              ('gauge', GAUGE, None, [(now, 5, start)]), ('old', COUNTER, None, [(now, 6, old)])])
    c.equal((answer.status, answer.headers['X-Prometheus-Remote-Write-Samples-Written']), (204, '5'), 'remote write 2.0')
    zeros = [(start, 0.0), (now - 30_000, 7.0), (again, 0.0), (now, 3.0)] if wanted else [(now - 30_000, 7.0), (now, 3.0)]
    c.equal(raw(d, 'rw', now), zeros, 'its samples')
    c.equal(at(d, 'increase(rw[10m])', now - 30_000), 7 if wanted else None, 'remote write: the first increment')
    c.equal(at(d, 'increase(draft[10m])', now), 4 if wanted else None, 'one start for the whole series')
    if wanted:
        c.equal(at(d, 'resets(rw[10m])', again), 1, 'the reset is where it was')
        c.equal(at(d, 'increase(rw[10m])', now), 10, 'and costs no increment')
    c.equal(raw(d, 'gauge', now), [(now, 5.0)], 'a gauge begins with nothing')
    c.equal(raw(d, 'old', now), [(now, 6.0)], 'a start that is too old is passed over')
    again = remote_write(d, [('rw', COUNTER, None, [(now - 30_000, 7, start), (now, 3, again)])])
    c.equal((again.status, raw(d, 'rw', now)), (204, zeros), 'sent again: nothing more comes of it')


def check_otlp(c, d, now, wanted):
    c.equal(otlp(d, now, now - 60_000, 7), 200, 'OTLP')
    c.equal(at(d, 'increase(sent_total[10m])', now), 7 if wanted else None, 'OTLP: the first increment')
    c.equal(at(d, 'histogram_count(increase(native[10m]))', now), 7 if wanted else None, 'OTLP: of a native histogram')
    c.equal(at(d, 'count_over_time(level[10m])', now), 1, 'OTLP: a gauge')


def check_scrapes(c, d, wanted):
    for job, native in (('text', 'h_count'), ('proto', 'h')):
        c.check(wait_for(lambda: d.query(f'c_total{{job="{job}"}}'), 20), f'{job}: scraped')
        first = next(t for t, v in raw(d, f'c_total{{job="{job}"}}', time.time() * 1000) if v)
        c.equal(at(d, f'increase(c_total{{job="{job}"}}[10m])', first), 7 if wanted else None, f'{job}: the first increment')
        histogram = f'increase({native}{{job="{job}"}}[10m])'
        c.equal(at(d, f'histogram_count({histogram})' if native == 'h' else histogram, first), 7 if wanted else None, f'{job}: of a histogram')
        c.equal(at(d, f'count_over_time(g{{job="{job}"}}[10m])', first), 1, f'{job}: a gauge')
        zeros = [t for t, v in raw(d, f'c_total{{job="{job}"}}', time.time() * 1000) if v == 0]
        c.equal(zeros, [Target.pages['/' + job].start_ms] if wanted else [], f'{job}: one sample of zero, at the start')


def check_scraped_restart(c, d):
    """The count is higher than before, so that only the start tells of the restart."""
    for job in ('text', 'proto'):
        page = Target.pages['/' + job]
        before = page.count
        page.next_count = before + 2
        c.check(wait_for(lambda: d.query(f'c_total{{job="{job}"}} == {before + 2}'), 20), f'{job}: the restart is scraped')
        samples = raw(d, f'c_total{{job="{job}"}}', time.time() * 1000)
        resets = [t for t, v in samples if v == 0]
        c.equal((len(resets), resets[-1]), (2, page.start_ms), f'{job}: two samples of zero, the second at the restart')
        last = samples[-1][0]
        c.equal(at(d, f'resets(c_total{{job="{job}"}}[10m])', last), 1, f'{job}: a reset')
        c.equal(at(d, f'increase(c_total{{job="{job}"}}[10m])', last), 2 * before + 2, f'{job}: everything is counted')


def check_restarted_daemon(c, d, now):
    """Zeros are in the log as their samples are; a start that is known stays known."""
    d.kill()
    d.start()
    c.equal(at(d, 'increase(rw[10m])', now), 10, 'after kill -9: the same increase')
    c.equal(otlp(d, now + 1000, now - 60_000, 9), 200, 'OTLP goes on')
    c.equal([v for _, v in raw(d, 'sent_total', now + 1000)], [0, 7, 9], 'and its start is known')


def write_config(directory, port, setting):
    config = directory / 'tocsin.yml'
    config.write_text(f'''
{setting}
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
host: {{enabled: false}}
gpu: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
scrape_configs:
  - {{job_name: text, metrics_path: /text, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
  - {{job_name: proto, metrics_path: /proto, scrape_native_histograms: true, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
''')
    return config


def live(c, directory, port, wanted):
    Target.pages = {path: Page(int(time.time() * 1000) - 60_000, 7) for path in ('/text', '/proto')}
    setting = 'storage: {start_timestamps: zero_sample}' if wanted else ''
    with Daemon(config=write_config(directory, port, setting)) as d:
        now = int(time.time() * 1000)
        check_remote_write(c, d, now, wanted)
        check_otlp(c, d, now, wanted)
        check_scrapes(c, d, wanted)
        found = outcomes(d)
        if not wanted:
            c.equal(sum(found.values()), 0, f'nothing was decided: {found}')
            return
        c.equal(found['too_old'], 1, f'the old start is counted: {found}')
        c.check(found['written'] >= 11 and found['known'] > 0, f'so are the others: {found}')
        check_scraped_restart(c, d)
        check_restarted_daemon(c, d, now)


def check_setting(c, directory):
    config = write_config(directory, 1, 'storage: {start_timestamps: yes_please}')
    code, out, err = offline('check', 'config', config)
    c.check(code == 1 and 'storage.start_timestamps must be ignore or zero_sample' in out + err, f'another word is refused: {code} {out}{err}')


def main():
    c = Checks()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as name:
        check_setting(c, pathlib.Path(name))
        for wanted in (True, False):
            live(c, pathlib.Path(name), server.server_port, wanted)
    server.shutdown()
    c.finish()


main()
