#!/usr/bin/env python3
"""Targets that a server lists: found, kept while the server fails, changed one by one; the same labels as a real Prometheus has."""
import base64
import http.server
import json
import pathlib
import shutil
import tempfile
import threading
import time

from tocsin_test import Checks, Daemon, wait_for
from discovery_peer import Prometheus, discovered


class Server(http.server.BaseHTTPRequestHandler):
    """Both the list of targets and the targets, at /m/NAME."""
    protocol_version = 'HTTP/1.1'
    groups, status, content_type, delay_s = [], 200, 'application/json', 0
    raw = None
    seen = []     # (path, headers) of requests for the list
    scrapes = {}  # path → times

    def do_GET(self):
        if self.path.startswith('/m/'):
            Server.scrapes.setdefault(self.path, []).append(time.monotonic())
            return self.answer(200, 'text/plain; version=0.0.4', b'one 1\n')
        Server.seen.append((self.path, dict(self.headers)))
        time.sleep(Server.delay_s)
        if self.path == '/locked' and self.headers.get('Authorization') not in (
                'Bearer secret-1', 'Bearer secret-2', 'Basic ' + base64.b64encode(b'me:pw').decode()):
            return self.answer(401, 'text/plain', b'no')
        body = Server.raw if Server.raw is not None else json.dumps(Server.groups).encode()
        return self.answer(Server.status, Server.content_type, body)

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header('Content-Type', content_type)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def config_text(port, is_tocsin, directory):
    head = 'host: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n' if is_tocsin else ''
    return head + f'''
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: listed
    http_sd_configs:
      - url: http://127.0.0.1:{port}/list?b=2
        refresh_interval: 1s
    relabel_configs:
      - {{source_labels: [drop_me], regex: "yes", action: drop}}
  - job_name: locked
    params: {{x: [a, b]}}
    http_sd_configs:
      - url: http://127.0.0.1:{port}/locked
        refresh_interval: 1s
        authorization: {{type: Bearer, credentials_file: {directory}/token}}
''' + (f'''
  - job_name: basic
    http_sd_configs:
      - url: http://127.0.0.1:{port}/locked
        refresh_interval: 1s
        basic_auth: {{username: me, password: pw}}
        http_headers: {{X-Cluster: {{values: [blue]}}}}
  - job_name: shared
    http_sd_configs:
      - url: http://127.0.0.1:{port}/list?b=2
        refresh_interval: 1s
    relabel_configs:
      - {{source_labels: [__meta_datacenter], target_label: dc}}
''' if is_tocsin else '')


def group(port, name, **labels):
    return {'targets': [f'127.0.0.1:{port}'], 'labels': {'__metrics_path__': '/m/' + name, 'name': name, **labels}}


def up(d, job):
    return {r[0]['instance'] if 'name' not in r[0] else r[0]['name']: r[1] for r in d.query(f'up{{job="{job}"}}')}


def source(d, job):
    return next(s for s in d.get('/api/tocsin/v1/discovery').json['sources'] if s['job'] == job)


def check_finding(c, d, port):
    c.check(wait_for(lambda: up(d, 'listed') == {'a': 1, 'b': 1, 'c': 1}), f'the listed targets are up: {up(d, "listed")}')
    c.check(wait_for(lambda: len(up(d, 'shared')) == 4), 'a second job has them, too')
    c.equal(len(d.query('up{job="shared",dc="london"}')), 1, 'meta labels become labels')
    for job in ('locked', 'basic'):
        c.check(wait_for(lambda: len(up(d, job)) == 4), f'the server that wants credentials lists for {job}')
    headers = next(h for p, h in Server.seen if p == '/list?b=2')
    c.equal(headers['Accept'], 'application/json', 'what is asked for')
    c.equal(headers['X-Prometheus-Refresh-Interval-Seconds'], '1', 'the interval is told')
    c.check(any(h.get('X-Cluster') == 'blue' for _, h in Server.seen), 'further headers are sent')
    c.equal(len({s['where'] for s in d.get('/api/tocsin/v1/discovery').json['sources']}), 2, 'no query in what is shown')
    dropped = d.get('/api/v1/targets?state=dropped').json['data']['droppedTargets']
    c.equal([t['discoveredLabels']['name'] for t in dropped if t['scrapePool'] == 'listed'], ['dropped'], 'a dropped target is shown')


def check_failures(c, d):
    bad = [('status 503', dict(status=503), 'HTTP status 503'),
           ('another type', dict(content_type='text/html'), 'unsupported content type "text/html"'),
           ('no JSON', dict(raw=b'[{"targets": ['), 'line 1'),
           ('no list', dict(raw=b'{"targets": []}'), 'a list of groups of targets was expected'),
           ('unknown field', dict(raw=b'[{"targets": [], "hosts": 1}]'), 'unknown field "hosts"'),
           ('targets of numbers', dict(raw=b'[{"targets": [1]}]'), 'target 0 is no text'),
           ('labels of numbers', dict(raw=b'[{"targets": [], "labels": {"a": 1}}]'), 'label a is no text'),
           ('nothing', dict(raw=b''), 'line 1')]
    for name, change, text in bad:
        for k, v in change.items():
            setattr(Server, k, v)
        c.check(wait_for(lambda: text in source(d, 'listed')['last_error']), f'{name}: {source(d, "listed")["last_error"]}')
        c.equal(source(d, 'listed')['targets'], 4, f'{name}: the targets stay')
        Server.status, Server.content_type, Server.raw = 200, 'application/json', None
        c.check(wait_for(lambda: source(d, 'listed')['state'] == 'ok'), f'{name}: over')
    Server.status = 500
    c.check(wait_for(lambda: source(d, 'listed')['state'] == 'failing'), 'it fails again')
    problems = d.get('/api/tocsin/v1/status').json['problems']
    c.check(any(p['kind'] == 'self_blind' and 'job listed: http discovery fails, its 4 targets stay' in p['text'] for p in problems),
            f'the failure is a problem: {problems}')
    seen = source(d, 'listed')['failures']
    c.check(wait_for(lambda: source(d, 'listed')['failures'] >= seen + 2), 'failures are counted')
    c.equal(d.log.read_text().count('server returned HTTP status 500'), 2 + 1, 'each source says it once in the log')
    c.check('tocsin_sd_failing{mechanism="http"}' in d.get('/metrics').body.decode(), 'and as a metric')
    Server.status = 200
    c.check(wait_for(lambda: source(d, 'listed')['state'] == 'ok'), 'it works again')


def check_change(c, d, port):
    before = {p: len(t) for p, t in Server.scrapes.items()}
    start = time.monotonic()
    Server.groups = [g for g in Server.groups if g['labels']['name'] != 'b'] + [group(port, 'e')]
    c.check(wait_for(lambda: up(d, 'listed') == {'a': 1, 'c': 1, 'e': 1}), f'one gone, one new: {up(d, "listed")}')
    time.sleep(2)
    took = time.monotonic() - start
    for path in ('/m/a', '/m/c?q=1+2'):
        gaps = [b - a for a, b in zip(Server.scrapes[path], Server.scrapes[path][1:])]
        c.check(len(Server.scrapes[path]) - before[path] >= 3 * int(took) - 4 and max(gaps) < 2.5,
                f'{path} was asked all the time: {max(gaps):.2f} s')


def check_reload(c, d, directory, config):
    mark = source(d, 'listed')['refreshes']
    config.write_text(config.read_text() + '\n')
    d.post('/-/reload')
    c.check(source(d, 'listed')['refreshes'] >= mark, 'a reload leaves an unchanged source at work')
    (directory / 'token').write_text('secret-2\n')
    c.check(wait_for(lambda: any(h.get('Authorization') == 'Bearer secret-2' for _, h in Server.seen)), 'a rotated token counts')
    Server.status = 500
    config.write_text(config.read_text().replace('refresh_interval: 1s', 'refresh_interval: 2s'))
    d.post('/-/reload')
    c.equal(len(up(d, 'listed')), 3, 'a changed source begins with what its predecessor found')
    c.check(wait_for(lambda: source(d, 'listed')['state'] == 'failing'), 'the changed source fails')
    c.equal(source(d, 'listed')['targets'], 4, 'and keeps them')
    Server.status = 200


def main():
    c = Checks()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    Server.groups = [group(port, 'a', __meta_datacenter='london'), group(port, 'b'),
                     group(port, 'c', __scheme__='http', __param_q='1 2'),
                     group(port, 'dropped', drop_me='yes')]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / 'token').write_text('secret-1\n')
        config = directory / 'tocsin.yml'
        config.write_text(config_text(port, True, directory))
        with Daemon(config=config) as d:
            check_finding(c, d, port)
            with Prometheus(config_text(port, False, directory)) as p:
                if p:
                    for job in ('listed', 'locked'):
                        c.check(wait_for(lambda: discovered(d, job) == discovered(p, job), 30, 1),
                                f'{job}: as Prometheus: {discovered(d, job)} {discovered(p, job)}')
            check_failures(c, d)
            check_change(c, d, port)
            check_reload(c, d, directory, config)
            Server.delay_s = 30
            time.sleep(2.5)  # the requests that hang are under way
            start = time.monotonic()
            c.equal(d.stop(), 0, 'a hanging server does not keep the daemon from stopping')
            c.check(time.monotonic() - start < 10, f'it took {time.monotonic() - start:.1f} s')
    if not shutil.which('prometheus'):
        print('prometheus is not installed: nothing was compared with it')
    c.finish()


main()
