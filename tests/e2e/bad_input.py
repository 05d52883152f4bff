#!/usr/bin/env python3
"""Malformed files and requests: one clear answer with place and remedy, and nothing is changed by it."""
import pathlib
import socket
import subprocess
import tempfile
import time

from tocsin_test import BINARY, Checks, Daemon

T = '/api/tocsin/v1'


def run(*arguments, **options):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=30, **options)


def refused(c, done, what, *parts, code=1):
    lines = (done.stdout + done.stderr).strip()
    c.check(done.returncode == code, f'{what}: exit code {done.returncode}, wanted {code}: {lines}')
    for part in parts:
        c.check(part in lines, f'{what}: {lines!r} does not say {part!r}')


def files(c, directory):
    config = directory / 'tocsin.yml'
    for text, parts in (
            ('listn: 127.0.0.1:1\n', (':1:1', 'listn', 'listen')),
            ('storage:\n  retention: soon\n', (':2:', 'retention')),
            ('scrape_configs:\n  - job_name: a\n    scrape_interval: -1s\n', (':3:',)),
            ('host: [1\n', (':',)),
            ('storage:\n  retention_rules:\n    - match: "DCGM_("\n', (':3:7', 'DCGM_(', 'missing )')),
            ('storage:\n  retention_rules:\n    - {match: up, raw: 0s}\n', (':3:7', 'raw: 0s')),
            ('otlp:\n  translation_strategy: Escaping\n', (':2:25', 'translation_strategy', 'NoTranslation')),
            ('otlp:\n  promote_resource_attributes: [a, b, a]\n', (':2:', 'promote_resource_attributes', 'twice')),
            ('otlp:\n  promote_all_resource_attributes: true\n  promote_resource_attributes: [a]\n', (':3:', 'take one')),
            ('otlp:\n  ignore_resource_attributes: [a]\n', (':2:', 'promote_all_resource_attributes')),
            ('otlp:\n  delta_max_series: 0\n', (':2:', 'delta_max_series')),
            ('otlp:\n  promote_resource_attribute: [a]\n', (':2:', 'promote_resource_attributes')),
            ('storage: {durability: maybe}\n', ('durability', 'group')),
            ('alertmanager_file: nothing.yml\n', ('nothing.yml', 'cannot read'))):
        config.write_text(text)
        refused(c, run('check', 'config', config), f'config {text!r}', *parts)
        refused(c, run('run', '--config', config, '--data', directory / 'x'), f'run with {text!r}', *parts)
    rules = directory / 'rules.yml'
    rules.write_text('groups:\n  - name: g\n    rules:\n      - {alert: A, expr: "rate(x)"}\n')
    refused(c, run('check', 'rules', rules), 'rule', 'rules.yml', 'range vector')
    table = directory / 'a.csv'
    table.write_text('a,b\n1,2\n3\n')
    refused(c, run('detect', table, '--columns', 'a,b'), 'CSV', '3', code=2)
    table.write_text('a,b\n1,2\n3,4\n')
    refused(c, run('detect', table, '--columns', 'z'), 'CSV column', 'z', code=2)
    refused(c, run('incidnt'), 'command', 'incident', code=2)


def places(c, directory):
    with Daemon() as d:
        busy = run('run', '--data', directory / 'other', '--listen', f'127.0.0.1:{d.port}')
        refused(c, busy, 'a busy port', 'in use', '--listen')
        second = run('run', '--data', d.data, '--listen', '127.0.0.1:0')
        refused(c, second, 'a second daemon on one directory', str(d.data))
    refused(c, run('run', '--data', '/proc/nowhere', '--listen', '127.0.0.1:0'), 'an impossible directory', '/proc/nowhere')
    refused(c, run('run', '--data', directory / 'p', '--listen', '0.0.0.0:0'), 'a public address', 'TLS', '--insecure')
    broken = directory / 'broken'
    broken.mkdir()
    (broken / 'state.db').write_bytes(b'this is no database, this is no database, it is a text of some length')
    refused(c, run('run', '--data', broken, '--listen', '127.0.0.1:0'), 'a broken state file', 'state.db')


def requests(c, d):
    ingest = f'{T}/ingest/run?run=bad'
    before = d.get(f'{T}/runs').json
    answer = d.call('POST', ingest, b'{"step":1,"loss":2}\n{"step":2,"loss":}\n')
    c.check(answer.status == 400 and 'line 2' in answer.json['detail'], f'a bad JSON line: {answer.body}')
    c.equal(d.get(f'{T}/runs').json, before, 'no line of a bad body is taken')
    c.equal(d.call('POST', ingest + '&format=csv', b'step,loss\n1,2\n3\n').status, 400, 'a bad CSV row')
    head = f'POST {ingest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {9 << 20}\r\n\r\n'.encode()
    c.check(b' 413 ' in raw(d, head), 'a body over the limit is refused before it is sent')
    c.equal(d.get('/api/v1/query?query=rate(').json['errorType'], 'bad_data', 'a bad expression')
    c.equal(d.get('/api/v1/query_range?query=up&start=0&end=1e9&step=1').status, 400, 'too many points')
    c.equal(d.get(f'{T}/incidents/none').status, 404, 'an unknown incident')
    c.equal(d.call('POST', '/api/v2/alerts', b'{"a":').status, 400, 'a bad alert')
    c.equal(d.call('PUT', f'{T}/status', b'').status, 405, 'a wrong method')
    c.equal(d.get('/api/nothing').status, 404, 'an unknown path')
    c.equal(d.get('/../../etc/passwd.txt').status, 404, 'a path that climbs')


def raw(d, data, wait=3.0):
    with socket.create_connection(('127.0.0.1', d.port)) as s:
        s.settimeout(wait)
        try:
            s.sendall(data)
            return s.recv(4096)
        except OSError:
            return b''


def protocol(c, d):
    for data in (b'\x16\x03\x01\x00\xa5\x01\x00\x00', b'GET\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n',
                 b'GET /api/v1/query?query=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n',
                 b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'a' * 100000 + b'\r\n\r\n',
                 b'POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n'):
        answer = raw(d, data)
        c.check(b' 200 ' not in answer.split(b'\r\n')[0], f'{data[:40]!r} is not answered with 200: {answer[:60]!r}')
    c.equal(d.get('/-/healthy').status, 200, 'the daemon lives on')
    slow = [socket.create_connection(('127.0.0.1', d.port)) for _ in range(20)]
    for s in slow:
        s.sendall(b'GET / HT')
    began = time.monotonic()
    c.equal(d.get('/-/healthy').status, 200, 'slow peers hold up nobody')
    c.check(time.monotonic() - began < 2, 'and not for long')
    for s in slow:
        s.close()


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        files(c, directory)
        places(c, directory)
        with Daemon() as d:
            requests(c, d)
            protocol(c, d)
    c.finish()


main()
