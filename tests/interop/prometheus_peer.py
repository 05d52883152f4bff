"""A real Prometheus on a free port, filled by remote write, and queries to it or to promql_peer."""
import atexit
import http.client
import json
import math
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

STALE = struct.unpack('<d', struct.pack('<Q', 0x7ff0000000000002))[0]

failures = []  # of check


def check(ok, what):
    print(('ok      ' if ok else 'FAILED  ') + what, flush=True)
    if not ok:
        failures.append(what)


def wait_for_http(url, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f'{url} never answered')


def is_stale(v):
    return struct.pack('<d', v) == struct.pack('<d', STALE)


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def write_request(series):
    """Remote write 1.0: [(labels, [(ms, value)])]."""
    out = bytearray()
    for labels, samples in series:
        body = b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        body += b''.join(field(2, b'\x09' + struct.pack('<d', v) + b'\x10' + varint(t)) for t, v in samples)
        out += field(1, body)
    return bytes(out)


def snappy(data):
    """The block format with literals only."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        chunk = data[at:at + 65536]
        out += b'\xf4' + struct.pack('<H', len(chunk) - 1) + chunk
    return bytes(out)


class Server:
    """Prometheus' HTTP API at an address."""

    def __init__(self, address, path='', headers=None):
        self.address, self.path, self.headers = address, path, headers or {}
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def request(self, method, path, body=None, headers=None):
        for attempt in 0, 1:
            try:
                self.connection.request(method, path, body, {**self.headers, **(headers or {})})
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                if attempt:
                    raise
        return None

    def write(self, series):
        status, body = self.request('POST', self.path + '/api/v1/write', snappy(write_request(series)), {
            'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'})
        if status // 100 != 2:
            raise RuntimeError(f'remote write to {self.address}: {status} {body[:300]}')

    def fill(self, series, slice_ms=300000):
        """All samples, oldest first, so that no server finds them too old."""
        times = [t for _, samples in series for t, _ in samples]
        for start in range(min(times), max(times) + 1, slice_ms):
            part = [(labels, [s for s in samples if start <= s[0] < start + slice_ms]) for labels, samples in series]
            part = [p for p in part if p[1]]
            if part:
                self.write(part)

    def query(self, query):
        if query.step_ms:
            path, form = 'query_range', {'start': query.start_ms / 1000, 'end': query.end_ms / 1000, 'step': query.step_ms / 1000}
        else:
            path, form = 'query', {'time': query.start_ms / 1000}
        body = urllib.parse.urlencode({'query': query.expr, **form})
        _, answer = self.request('POST', f'{self.path}/api/v1/{path}', body, {'Content-Type': 'application/x-www-form-urlencoded'})
        return Result(json.loads(answer))


class Prometheus(Server):
    """Debian's Prometheus with an empty store."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix='tocsin-prometheus-')
        (pathlib.Path(self.root) / 'prometheus.yml').write_text('{}')
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            address = f'127.0.0.1:{s.getsockname()[1]}'
        self.log = open(os.path.join(self.root, 'log'), 'wb')
        self.process = subprocess.Popen(
            ['prometheus', f'--config.file={self.root}/prometheus.yml', f'--storage.tsdb.path={self.root}/data',
             f'--web.listen-address={address}', '--web.enable-remote-write-receiver', '--query.max-samples=100000000'],
            stdout=self.log, stderr=self.log)
        atexit.register(self.close)  # also when a test ends by an exception
        super().__init__(address)
        self.wait()

    def wait(self):
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.request('GET', '/-/ready')[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.close()
        raise SystemExit('prometheus did not start')

    def close(self):
        atexit.unregister(self.close)
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)


class Peer:
    """promql_peer over pipes, with the same series: in memory, or in a metricdb."""

    def __init__(self, program, series, is_stored=False):
        self.folder = tempfile.TemporaryDirectory(prefix='tocsin-peer-') if is_stored else None
        self.file = tempfile.NamedTemporaryFile('w', suffix='.series')
        for labels, samples in series:
            name = ','.join(f'{k}={json.dumps(v, ensure_ascii=False)}' for k, v in labels.items())
            self.file.write(f'{{{name}}}\t' + ' '.join(f'{"stale" if is_stale(v) else repr(v)}@{t}' for t, v in samples) + '\n')
        self.file.flush()
        self.program = program
        self.start()

    def start(self):
        folder = [tempfile.mkdtemp(dir=self.folder.name)] if self.folder else []
        self.process = subprocess.Popen([self.program, self.file.name, *folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def query(self, query):
        times = f'range {query.start_ms} {query.end_ms} {query.step_ms}' if query.step_ms else f'instant {query.start_ms}'
        self.process.stdin.write(f'{times} {query.expr}\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.start()
            return Result({'status': 'crash', 'error': f'the program ended with {code}'})
        return Result(json.loads(line), 1)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.file.close()
        if self.folder:
            self.folder.cleanup()


class Daemon:
    """Tocsin's daemon, filled by remote write."""

    def __init__(self, program, series):
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'e2e'))
        import tocsin_test
        tocsin_test.BINARY = os.path.abspath(program)
        self.daemon = tocsin_test.Daemon()
        self.daemon.config = self.daemon.root / 'tocsin.yml'
        self.daemon.config.write_text('global: {evaluation_interval: 1m}\n')  # the step of [5m:], as in Prometheus
        self.daemon.start()
        headers = {'Authorization': f'Bearer {self.daemon.token}'}
        self.server = Server(self.daemon.url.split('//')[1].rstrip('/'), headers=headers)
        try:
            self.server.fill(series)
        except BaseException:
            self.close()
            raise

    def query(self, query):
        return self.server.query(query)

    def close(self):
        self.daemon.stop()
        shutil.rmtree(self.daemon.root, ignore_errors=True)


class Query:
    def __init__(self, expr, start_ms, end_ms=None, step_ms=0):
        self.expr, self.start_ms, self.end_ms, self.step_ms = expr, start_ms, end_ms or start_ms, step_ms

    def __str__(self):
        span = f'from {self.start_ms} to {self.end_ms} step {self.step_ms}' if self.step_ms else f'at {self.start_ms}'
        return f'{self.expr}   ({span})'


class Result:
    """One form for all answers: type and rows [(labels, [(ms, value)])] in the order given, or an error."""

    def __init__(self, answer, time_unit=1000):
        self.status, self.error = answer['status'], answer.get('error', '')
        self.type, self.rows = None, []
        if self.status != 'success':
            return
        data = answer['data']
        self.type, result = data['resultType'], data['result']
        if self.type in ('scalar', 'string'):
            result = [{'metric': {}, 'value': result}] if self.type == 'scalar' or time_unit == 1000 else []
        for row in result:
            points = row.get('values') or ([row['value']] if 'value' in row else [])
            self.rows.append((tuple(sorted(row['metric'].items())),
                              [(round(t * time_unit), float(v) if self.type != 'string' else v) for t, v in points]))

    def __str__(self):
        if self.status != 'success':
            return f'{self.status}: {self.error}'
        lines = [f'{dict(labels)} ' + ' '.join(f'{v!r}@{t}' for t, v in points[:8]) + (' …' if len(points) > 8 else '')
                 for labels, points in self.rows[:8]]
        return f'{self.type}, {len(self.rows)} series\n      ' + '\n      '.join(lines)


def close_to(a, b, absolute):
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(a - b) <= max(1e-9 * max(abs(a), abs(b)), absolute)


def difference(want, got, absolute=0.0, ordered=False, labels_matter=True):
    """Why two results differ, or None. Texts of errors are each server's own."""
    if got.status == 'crash' or want.status != got.status:
        return 'status'
    if want.status != 'success':
        return None
    if want.type != got.type:
        return 'type'
    if want.type == 'string':
        return None
    if not labels_matter:
        return different_values(want, got, absolute)
    a, b = (r.rows if ordered else sorted(r.rows, key=lambda row: row[0]) for r in (want, got))
    if [r[0] for r in a] != [r[0] for r in b]:
        return 'series'
    for (_, x), (_, y) in zip(a, b):
        if [t for t, _ in x] != [t for t, _ in y]:
            return 'times'
        if not all(close_to(v, w, absolute) for (_, v), (_, w) in zip(x, y)):
            return 'values'
    return None


def different_values(want, got, absolute):
    """At each time the same values, whoever has them."""
    at = [{}, {}]
    for r, by_time in zip((want, got), at):
        for _, points in r.rows:
            for t, v in points:
                by_time.setdefault(t, []).append(v)
    if at[0].keys() != at[1].keys():
        return 'times'
    for t, values in at[0].items():
        others = at[1][t]
        key = lambda v: (math.isnan(v), v)
        if len(values) != len(others) or not all(close_to(v, w, absolute) for v, w in zip(sorted(values, key=key), sorted(others, key=key))):
            return 'values'
    return None


def need_prometheus():
    if not shutil.which('prometheus'):
        print('prometheus is not installed: skipped')
        sys.exit(77)
