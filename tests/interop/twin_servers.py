"""A Tocsin and a Debian Prometheus that hold the same samples: both scrape one exporter that tells the time of each sample,
on a grid of one second, until it stands still. Then the same requests must get the same answers."""
import http.server
import json
import math
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'e2e'))
import tocsin_test  # noqa: E402
from tocsin_test import BINARY  # noqa: E402

PROMETHEUS = shutil.which('prometheus')
CONFIG = '''
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 1m}
scrape_configs:
  - job_name: twin
    static_configs: [{targets: ['127.0.0.1:%d'], labels: {"zone": "a<b&c"}}]
'''
OURS_ONLY = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
web: {enable_admin_api: true}
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Exporter:
    """Serves samples with timestamps; every second a new one, until frozen."""

    def __init__(self):
        self.port, self.frozen_at = free_port(), None
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = exporter.text().encode()
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def text(self):
        t = int(self.frozen_at or time.time())
        ms, out = t * 1000, []
        out.append('# HELP twin_requests_total Requests, by "path" \\\\ and code.\n# TYPE twin_requests_total counter')
        for path in ('/', '/api', '/ü'):
            for code in ('200', '500'):
                value = (t % 100000) * (3 if code == '200' else 0.25) + len(path)
                out.append(f'twin_requests_total{{path="{path}",code="{code}"}} {value} {ms}')
        out.append('# HELP twin_temperature Degrees.\n# TYPE twin_temperature gauge')
        for i in range(4):
            out.append(f'twin_temperature{{sensor="s{i}"}} {math.sin(t / 7 + i) * 10 ** (i * 9 - 12)!r} {ms}')
        out.append(f'twin_odd{{what="nan"}} NaN {ms}\ntwin_odd{{what="inf"}} +Inf {ms}\ntwin_odd{{what="huge"}} 1e300 {ms}')
        out.append('# TYPE twin_seconds histogram')
        for i, le in enumerate(('0.1', '0.5', '2.5', '+Inf')):
            out.append(f'twin_seconds_bucket{{le="{le}"}} {(t % 100000) * (i + 1)} {ms}')
        out.append(f'twin_seconds_sum {(t % 100000) * 1.7!r} {ms}\ntwin_seconds_count {(t % 100000) * 4} {ms}')
        return '\n'.join(out) + '\n'

    def freeze(self):
        self.frozen_at = time.time()


class Server:
    def __init__(self, name, command, port):
        self.name, self.port, self.url = name, port, f'http://127.0.0.1:{port}'
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f'twin-{name}-'))
        self.log = open(self.root / 'log', 'wb')
        self.process = subprocess.Popen(command(self.root, port), stdout=self.log, stderr=self.log, cwd=self.root,
                                        start_new_session=True)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if urllib.request.urlopen(self.url + '/-/ready', timeout=2).status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f'{name} did not start: {(self.root / "log").read_text()[-800:]}')

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def call(self, path, parameters=None, method='GET', headers=None):
        """(status, body). GET parameters go into the query, POST ones into a form."""
        text = urllib.parse.urlencode(parameters or {}, doseq=True)
        url, body, headers = self.url + path, None, dict(headers or {})
        if method == 'GET':
            url += '?' + text if text else ''
        else:
            body = text.encode()
            headers.setdefault('Content-Type', 'application/x-www-form-urlencoded')
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()


class Twins:
    def __init__(self, seconds=16):
        if not PROMETHEUS:
            print('prometheus is not installed: nothing was compared')
            sys.exit(77)
        self.exporter = Exporter()
        self.servers = []
        try:
            self.prometheus = self.start('prometheus', lambda root, port: [
                PROMETHEUS, f'--config.file={self.write(root, CONFIG)}', f'--storage.tsdb.path={root}/data',
                f'--web.listen-address=127.0.0.1:{port}', '--web.enable-admin-api', '--log.level=warn'])
            self.tocsin = self.start('tocsin', lambda root, port: [
                BINARY, 'run', '--config', str(self.write(root, CONFIG + OURS_ONLY)), '--data', f'{root}/data',
                '--listen', f'127.0.0.1:{port}'])
            self.wait_for_samples()
            self.start_s = int(time.time()) + 2
            time.sleep(seconds)
            self.exporter.freeze()
            self.end_s = int(self.exporter.frozen_at)
            time.sleep(1)
        except BaseException:
            self.stop()
            raise

    def wait_for_samples(self):
        """Prometheus lets its first scrapes wait for their place in the interval."""
        for server in self.servers:
            end = time.monotonic() + 20
            while not json.loads(server.call('/api/v1/query', {'query': 'twin_odd'})[1])['data']['result']:
                if time.monotonic() > end:
                    raise SystemExit(f'{server.name} scraped nothing')
                time.sleep(0.1)

    def write(self, root, text):
        path = root / 'config.yml'
        path.write_text(text % self.exporter.port)
        return path

    def start(self, name, command):
        server = Server(name, command, free_port())
        self.servers.append(server)
        return server

    def stop(self):
        for server in self.servers:
            server.stop()
        self.exporter.server.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def both(self, path, parameters=None, method='GET'):
        return [s.call(path, parameters, method) for s in (self.prometheus, self.tocsin)]


class Checks(tocsin_test.Checks):
    def equal(self, theirs, ours, text):
        return self.check(theirs == ours, f'{text}:\n  theirs {str(theirs)[:600]}\n  ours   {str(ours)[:600]}')


def sorted_result(body):
    """A JSON answer whose series are in a fixed order (an instant vector has none)."""
    j = json.loads(body)
    data = j.get('data')
    if isinstance(data, dict) and data.get('resultType') in ('vector', 'matrix'):
        data['result'].sort(key=lambda s: sorted(s['metric'].items()))
    return j
