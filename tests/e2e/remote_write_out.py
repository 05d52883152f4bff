#!/usr/bin/env python3
"""A daemon forwards to a second one (messages 1.0 and 2.0), to a receiver that is down for a while, and to one that
answers as it likes: both daemons answer the same queries in the end, and what does not arrive is counted with its reason."""
import http.server
import json
import math
import pathlib
import sys
import tempfile
import threading
import time
import urllib.parse

from push import remote_write, series
from tocsin_test import Checks, Daemon, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'conformance'))
import remote_write_body as body  # noqa: E402

QUIET = 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n'
STALE = 0x7ff0000000000002


class Receiver(http.server.ThreadingHTTPServer):
    """Answers every message with `status`; hangs while `is_hung` is set."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.status, self.headers, self.requests, self.is_hung = 204, {}, [], threading.Event()
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}/write'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        s = self.server
        data = self.rfile.read(int(self.headers['Content-Length']))
        s.requests.append((dict(self.headers), len(data), time.monotonic()))
        while s.is_hung.is_set():
            time.sleep(0.05)
        text = b'' if s.status == 204 else b'not today, says the receiver'
        self.send_response(s.status)
        for name, value in s.headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def matrix(daemon, expression, at):
    """{labels: [(time, value)]} of everything in ten hours; staleness markers do not show."""
    form = urllib.parse.urlencode({'query': f'{expression}[10h]', 'time': f'{at:.3f}'}).encode()
    answer = daemon.call('POST', '/api/v1/query', form,
                         headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    if answer['status'] != 'success':
        raise RuntimeError(answer)
    return {tuple(sorted(r['metric'].items())): [json.dumps(v) for v in r.get('values', []) + r.get('histograms', [])]
            for r in answer['data']['result']}


def number(daemon, name, **labels):
    """Of /metrics."""
    for line in daemon.get('/metrics', token=daemon.token).body.decode().splitlines():
        if line.startswith(name + '{') and all(f'{k}="{v}"' for k, v in labels.items()):
            if all(f'{k}="{v}"' in line for k, v in labels.items()):
                return float(line.rsplit(' ', 1)[1])
    return math.nan


def push(daemon, first, count, at):
    """`count` samples of each of 20 series, one millisecond apart."""
    t = int(at * 1000)
    return remote_write(daemon, [series({'__name__': 'pushed_total', 'i': str(i)},
                                        [(t + first + k, float(first + k)) for k in range(count)])
                                 for i in range(20)]).status


def push_odd_ones(daemon, at):
    """A series that ends, one that comes late, a native histogram, an exemplar."""
    t = int(at * 1000)
    stale = b'\x09' + STALE.to_bytes(8, 'little') + b'\x10' + body.varint(t + 2000)
    message = body.series({'__name__': 'pushed_ends'}, [body.sample(t, 1), stale])
    message += body.series({'__name__': 'pushed_late'}, [body.sample(t, 5)])
    message += body.series({'__name__': 'pushed_hist'},
                           histograms=[body.histogram(t + i, 7 + i, 12.5 + i, 1, 0.001, 1, [(1, 2), (3, 1)], [1, 2, 3 + i])
                                       for i in range(3)])
    message += body.series({'__name__': 'pushed_traced_total'}, [body.sample(t, 1)],
                           [body.exemplar(t, 0.7, {'trace_id': 'abc'})])
    answers = [daemon.call('POST', '/api/v1/write', body.snappy(m), token=daemon.token, headers=body.HEADERS).status
               for m in (message, body.series({'__name__': 'pushed_late'}, [body.sample(t - 3600_000, 4)]))]
    return answers


def same(c, a, b, selector, at, text, drop=()):
    """Both have the same, not nothing, within a minute; labels in `drop` are those that b alone has."""
    def strip(m):
        return {tuple(p for p in k if p[0] not in drop): v for k, v in m.items()}

    wanted = matrix(a, selector, at)
    got = wait_for(lambda: strip(matrix(b, selector, at)) == wanted or None, 60, 0.3)
    missing = 0 if got else sum(len(v) for v in wanted.values()) - sum(len(v) for v in matrix(b, selector, at).values())
    c.check(got and wanted, f'{text}: {missing} samples are missing')
    return sum(len(v) for v in wanted.values())


def config(path, b, receiver, more=''):
    path.write_text(QUIET + f'''
global: {{external_labels: {{origin: one, via: none}}}}
remote_write:
  - name: first
    url: {b.url}/api/v1/write
    authorization: {{credentials_file: {b.data}/token}}
    queue_config: {{batch_send_deadline: 200ms, max_backoff: 500ms}}
    send_native_histograms: true
    send_exemplars: true
    write_relabel_configs: [{{target_label: via, replacement: first}}]
  - name: second
    url: {b.url}/api/v1/write?second
    protobuf_message: io.prometheus.write.v2.Request
    basic_auth: {{username: token, password_file: {b.data}/token}}

    queue_config: {{batch_send_deadline: 200ms, max_backoff: 500ms}}
    send_native_histograms: true
    write_relabel_configs: [{{target_label: via, replacement: second}}]
  - name: third
    url: {receiver.url}
    remote_timeout: 60s
    headers: {{X-Tenant: blue}}
    metadata_config: {{send: false}}
    queue_config: {{batch_send_deadline: 100ms, max_backoff: 300ms, max_samples_per_send: 50, capacity: 100{more}}}
    write_relabel_configs: [{{source_labels: [__name__], regex: 'pushed_total|tocsin_.*', action: keep}}]
''')


def through_all(c, a, b, at):
    c.equal(push(a, 0, 50, at), 204, 'push')
    c.equal(push_odd_ones(a, at), [204, 204], 'push of odd ones')
    c.equal(a.report('run1', t=at, step=1, loss=0.5), 204, 'a line of a run')
    n = 0
    for via in ('first', 'second'):
        for name in ('pushed_total', 'pushed_ends', 'pushed_late', 'pushed_hist', 'train_loss'):
            def theirs(selector, via=via):
                return f'{{__name__="{selector}", via="{via}", origin="one"}}'
            wanted = matrix(a, name, at + 100)
            got = wait_for(lambda: {tuple(p for p in k if p[0] not in ('via', 'origin')): v
                                    for k, v in matrix(b, theirs(name), at + 100).items()} == wanted or None, 60, 0.3)
            c.check(got and wanted, f'{name} through {via}')
            n += sum(len(v) for v in wanted.values())
    end = a.query('last_over_time(pushed_ends[1h])')
    c.equal(len(end), 1, 'the ended series is there')
    exemplars = wait_for(lambda: b.get('/api/v1/query_exemplars?query=pushed_traced_total&start=0&end=9999999999').json['data'])
    c.check(exemplars and exemplars[0]['exemplars'][0]['labels'] == {'trace_id': 'abc'}, f'exemplar: {exemplars}')
    print(f'{n} samples through both messages')


def outage(c, a, b, at, port):
    """The receiver is gone; meanwhile the sender is killed twice."""
    b.kill()
    for i in range(3):
        c.equal(push(a, 1000 + 100 * i, 100, at), 204, 'a push while the receiver is gone')
        if i < 2:
            a.kill()
            a.start()
    behind = wait_for(lambda: number(a, 'tocsin_remote_write_out_backlog_samples', remote='first') >= 2000 and
                      number(a, 'tocsin_remote_write_out_failing', remote='first') == 1, 30)
    c.check(behind, 'the backlog is told')
    b.start(port=port)
    n = 0
    for via in ('first', 'second'):
        wanted = matrix(a, 'pushed_total', at + 100)
        got = wait_for(lambda: {tuple(p for p in k if p[0] not in ('via', 'origin')): v for k, v in
                                matrix(b, f'pushed_total{{via="{via}"}}', at + 100).items()} == wanted or None, 60, 0.3)
        c.check(got, f'everything from the outage arrived through {via}')
        n += sum(len(v) for v in wanted.values())
    c.check(wait_for(lambda: number(a, 'tocsin_remote_write_out_backlog_samples', remote='first') < 1000, 20), 'and is behind no more')
    print(f'{n} samples after the outage')


def picky(c, a, receiver, at, path, b):
    """The third receiver: headers, hanging, 429 with Retry-After, 500, 400."""
    name = 'tocsin_remote_write_out_'
    headers = receiver.requests[-1][0]
    c.equal((headers.get('X-Tenant'), headers.get('Content-Encoding'), headers.get('X-Prometheus-Remote-Write-Version')),
            ('blue', 'snappy', '0.1.0'), 'headers')
    receiver.is_hung.set()
    start = time.monotonic()
    for i in range(20):
        c.equal(push(a, 2000 + 100 * i, 100, at), 204, 'a push while a receiver hangs')
    took = time.monotonic() - start
    c.check(wait_for(lambda: number(a, name + 'pending_samples', remote='third') >= 100), 'memory is used')
    time.sleep(2)
    pending = number(a, name + 'pending_samples', remote='third')
    c.check(pending < 5000, f'and bounded: {pending}')
    receiver.status, receiver.headers = 429, {'Retry-After': '2'}
    receiver.is_hung.clear()
    c.check(wait_for(lambda: number(a, name + 'retried_samples_total', remote='third') > 0), '429 is tried again')
    seen = len(receiver.requests)
    more = wait_for(lambda: len(receiver.requests) > seen + 1 and receiver.requests[seen:], 30)
    c.check(more and more[1][2] - more[0][2] > 1.9, 'after Retry-After')
    receiver.status, receiver.headers = 500, {}
    time.sleep(1)
    c.equal(number(a, name + 'dropped_samples_total', remote='third', reason='refused_by_remote'), 0, 'nothing is given up')
    receiver.status = 204
    c.check(wait_for(lambda: number(a, name + 'backlog_samples', remote='third') < 1000, 60), 'it catches up')
    receiver.status = 403
    push(a, 9000, 10, at)
    c.check(wait_for(lambda: number(a, name + 'dropped_samples_total', remote='third', reason='refused_by_remote') >= 200),
            'what is refused is counted')
    c.check(b'HTTP 403: not today, says the receiver' in a.log.read_bytes(), 'the log has the words of the receiver')
    receiver.status = 204
    sent = number(a, name + 'sent_samples_total', remote='first')
    config(path, b, receiver, ', max_shards: 3')
    c.equal(a.post('/-/reload').status, 200, 'reload')
    c.check(number(a, name + 'sent_samples_total', remote='first') >= sent, 'one that did not change goes on counting')
    c.check(wait_for(lambda: number(a, 'prometheus_remote_storage_shards_max', remote_name='third') == 3), 'one that did is new')
    good = path.read_text()
    path.write_text(good.replace('remote_timeout: 60s', 'remote_timeout: 60s\n    oauth2: {}'))
    answer = a.post('/-/reload')
    c.check(answer.status >= 400 and b'oauth2 is not supported' in answer.body, f'a key that is not supported is refused: {answer.body}')
    path.write_text(good)
    print(f'20 pushes beside a hanging receiver took {took:.2f} s')


def plain_number(daemon, name):
    for line in daemon.get('/metrics', token=daemon.token).body.decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.rsplit(' ', 1)[1])
    return math.nan


def loops(c, a, b, path_a, path_b):
    """The receiver sends back, then the sender sends to itself as well."""
    for d in (a, b):
        c.equal(plain_number(d, 'tocsin_remote_write_loops'), 0, 'no loop yet')
    receiver = """
  - name: %s
    url: %s/api/v1/write
    authorization: {credentials_file: %s/token}
    queue_config: {batch_send_deadline: 200ms}
"""
    path_b.write_text(QUIET + 'remote_write:' + receiver % ('back', a.url, a.data) +
                      "    write_relabel_configs: [{source_labels: [__name__], regex: pushed_total, action: keep}]\n")
    c.equal(b.post('/-/reload').status, 200, 'reload of the receiver')
    for i in range(3):
        push(a, 9500 + 10 * i, 10, time.time() - 60)
    for d in (a, b):
        c.check(wait_for(lambda d=d: plain_number(d, 'tocsin_remote_write_loops') >= 1, 30), 'a loop is told by both')
        c.check(b'remote write goes round in a circle: 127.0.0.1' in d.log.read_bytes(), 'with advice in the log')
    c.equal(plain_number(a, 'tocsin_remote_write_own_messages_total'), 0, 'what the other sends is taken')

    def is_still():
        before = number(b, 'tocsin_remote_write_out_sent_samples_total', remote='back')
        time.sleep(2)
        return before > 0 and number(b, 'tocsin_remote_write_out_sent_samples_total', remote='back') == before
    c.check(wait_for(is_still, 30), 'samples do not go round for ever')
    path_a.write_text(path_a.read_text() + receiver % ('myself', a.url, a.data))
    c.equal(a.post('/-/reload').status, 200, 'reload of the sender')
    push(a, 9600, 10, time.time() - 60)
    c.check(wait_for(lambda: plain_number(a, 'tocsin_remote_write_own_messages_total') > 0, 30), 'its own messages are refused')
    c.check(wait_for(lambda: b'HTTP 409: this server sent it to itself' in a.log.read_bytes(), 30), 'and it says so')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        directory, receiver, at = pathlib.Path(name), Receiver(), round(time.time()) - 60
        (directory / 'b.yml').write_text(QUIET)
        with Daemon(config=directory / 'b.yml') as b:
            config(directory / 'a.yml', b, receiver)
            with Daemon(config=directory / 'a.yml') as a:
                through_all(c, a, b, at)
                picky(c, a, receiver, at, directory / 'a.yml', b)
                outage(c, a, b, at, b.port)
                loops(c, a, b, directory / 'a.yml', directory / 'b.yml')
                c.equal(a.stop(), 0, 'a clean stop')
                code, out, err = a.command('db', 'verify', '--data', str(a.data), token=False)
                c.equal(code, 0, f'db verify: {out}{err}')
    c.finish()


main()
