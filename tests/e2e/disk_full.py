#!/usr/bin/env python3
"""A really full disk: writes are answered 503 with Retry-After, reads, alerts and notifications go on, and with space
everything recovers without a restart and without losing what was acknowledged."""
import errno
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

from push import remote_write, series
from tocsin_test import Checks, Daemon, skip, wait_for

SIZE_MIB, BALLAST_MIB = 48, 6
CONFIG = '''
storage: {ballast: %dMB}
host: {interval: 1s}
gpu: {enabled: false}
discovery: {enabled: false}
alertmanager_file: alertmanager.yml
rule_files: [rules.yml]
scrape_configs:
  - {job_name: probe, scrape_interval: 1s, static_configs: [{targets: ['127.0.0.1:%d']}]}
'''
RULES = '''
groups:
- {name: g, interval: 1s, rules: [{alert: ProbeHigh, expr: probe_value > 5, labels: {severity: critical}}]}
'''
ALERTING = '''
route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s}
receivers:
  - {name: hook, webhook_configs: [{url: 'http://127.0.0.1:%d/hook'}]}
'''


class Peer:
    """A target and a receiver of webhooks in one."""

    def __init__(self):
        peer = self
        self.value, self.told = 1, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body):
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(f'probe_value {peer.value}\n'.encode())

            def do_POST(self):
                peer.told.append(self.rfile.read(int(self.headers['Content-Length'])).decode())
                self.answer(b'')

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def heard_of(self, name):
        return any(name in text for text in self.told)


def push(d, t_ms, value, count=50):
    return remote_write(d, [series({'__name__': 'pushed', 'n': str(i)}, [(t_ms, value)]) for i in range(count)])


def fill(path):
    with open(path, 'wb', buffering=0) as f:
        for piece in (1 << 20, 4096, 1):
            try:
                while True:
                    f.write(b'x' * piece)
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise


def pushed(d):
    return {(m['n']): v for m, v in d.query('pushed')}


def while_full(c, d, peer, acknowledged):
    refused = wait_for(lambda: (a := push(d, int(time.time() * 1000), 2)).status == 503 and a, timeout=15)
    c.check(refused, 'a push is answered 503')
    if refused:
        c.check(refused.headers.get('Retry-After'), f'with Retry-After: {refused.headers}')
        c.check(b'space' in refused.body, f'the cause is named: {refused.body}')
    answer = d.call('POST', '/api/tocsin/v1/ingest/run?run=full', b'{"step":1,"loss":2}\n')
    c.check(answer.status == 503 and answer.headers.get('Retry-After'), f'the run protocol, too: {answer.status}')
    c.check(wait_for(lambda: not (d.data / 'ballast').exists(), timeout=10), 'the ballast is released')
    c.check(d.query(f'pushed{{n="0"}} @ {acknowledged / 1000}')[0][1] == 1, 'reads go on')
    peer.value = 9
    c.check(wait_for(lambda: peer.heard_of('ProbeHigh'), timeout=15), 'an alert that begins while full is notified')
    c.check(wait_for(lambda: peer.heard_of('StorageDegraded'), timeout=20), 'so is the full disk itself')
    c.check(wait_for(lambda: any('ProbeHigh' in json.dumps(i) for i in d.incidents()), timeout=10), 'the incident is kept')
    problems = d.get('/api/tocsin/v1/status').json
    c.check('self_storage' in json.dumps(problems), 'the status says so')


def check(c, mount):
    peer = Peer()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        config = directory / 'tocsin.yml'
        config.write_text(CONFIG % (BALLAST_MIB, peer.port))
        (directory / 'rules.yml').write_text(RULES)
        (directory / 'alertmanager.yml').write_text(ALERTING % peer.port)
        with Daemon(data=mount / 'data', config=config) as d:
            c.check(wait_for(lambda: (d.data / 'ballast').exists(), timeout=10), 'the ballast is made')
            c.check(wait_for(lambda: d.query('probe_value'), timeout=10), 'the target is scraped')
            acknowledged = int(time.time() * 1000)
            c.equal(push(d, acknowledged, 1).status, 204, 'a push before')
            fill(mount / 'filler')
            began = time.monotonic()
            while_full(c, d, peer, acknowledged)
            (mount / 'filler').unlink()
            fresh = int(time.time() * 1000)
            c.check(wait_for(lambda: push(d, fresh, 3).status == 204, timeout=15), 'pushes are taken again, no restart')
            c.check(wait_for(lambda: (d.data / 'ballast').exists(), timeout=15), 'the ballast is there again')
            c.equal(set(pushed(d).values()), {3.0}, 'what was sent afterwards')
            print(f'full and back in {time.monotonic() - began:.1f} s')
            c.check(wait_for(lambda: not d.query('tocsin_shortage > 0'), timeout=15), 'no shortage is left')
            d.kill()
            d.start()
            c.equal(set(pushed(d).values()), {3.0}, 'acknowledged samples survive kill -9')
            c.equal({v for _, v in d.query(f'pushed @ {acknowledged / 1000}')}, {1.0}, 'also those from before')
            c.check(any('ProbeHigh' in json.dumps(i) for i in d.incidents()), 'and the incident')
    peer.server.shutdown()


def main():
    if os.geteuid() != 0:
        skip('mounting a small file system needs root')
    mount = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-full-'))
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE_MIB}m', 'tmpfs', mount], capture_output=True, text=True)
    if done.returncode:
        mount.rmdir()
        skip('a small file system cannot be mounted: ' + done.stderr.strip())
    c = Checks()
    try:
        check(c, mount)
    finally:
        subprocess.run(['umount', '-l', mount], check=False)
        mount.rmdir()
    c.finish()


main()
