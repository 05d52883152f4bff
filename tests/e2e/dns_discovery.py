#!/usr/bin/env python3
"""Targets from DNS, beside a real Prometheus: record types, search list, trailing dots, long answers, servers that fail or hang.

The daemons run in a mount namespace of their own, where /etc/resolv.conf names a server of this test on port 53 of a loopback address;
that takes the rights to make one."""
import pathlib
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time

from discovery_peer import Prometheus, discovered
from tocsin_test import Checks, Daemon, skip, wait_for

TYPES = {'A': 1, 'NS': 2, 'CNAME': 5, 'MX': 15, 'AAAA': 28, 'SRV': 33}


def encode_name(name):
    return b''.join(bytes([len(p)]) + p.encode() for p in name.strip('.').split('.') if p) + b'\0'


def encode(kind, value):
    if kind == 'A':
        return socket.inet_pton(socket.AF_INET, value)
    if kind == 'AAAA':
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == 'SRV':
        host, port = value
        return struct.pack('>HHH', 0, 0, port) + encode_name(host)
    if kind == 'MX':
        return struct.pack('>H', 10) + encode_name(value)
    return encode_name(value)


class Zone:
    records, code, is_silent, asked = {}, 0, False, []
    lock = threading.Lock()

    @classmethod
    def answer(cls, query, is_tcp):
        identity = query[:2]
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack('>H', query[at + 1:at + 3])[0]
        question, name = query[12:at + 5], '.'.join(labels)
        with cls.lock:
            cls.asked.append((name, kind, is_tcp))
        if cls.is_silent:
            return None
        code = cls.code
        rows = [] if code else [(k, v) for k, v in cls.records.get(name.lower(), []) if TYPES[k] == kind or k == 'CNAME']
        if not code and name.lower() not in cls.records:
            code = 3
        body = b''.join(b'\xc0\x0c' + struct.pack('>HHIH', TYPES[k], 1, 60, len(encode(k, v))) + encode(k, v) for k, v in rows)
        flags = 0x8580 | code
        if len(body) > 1100 and not is_tcp:
            body, rows, flags = b'', [], flags | 0x0200  # truncated: ask again over TCP
        return identity + struct.pack('>HHHHH', flags, 1, len(rows), 0, 0) + question + body


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        answer = Zone.answer(self.request[0], False)
        if answer:
            self.request[1].sendto(answer, self.client_address)


class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        head = self.request.recv(2)
        if len(head) == 2:
            answer = Zone.answer(self.request.recv(struct.unpack('>H', head)[0]), True)
            if answer:
                self.request.sendall(struct.pack('>H', len(answer)) + answer)


def serve():
    for i in range(100, 250):
        address = (f'127.0.53.{i}', 53)
        try:
            socketserver.ThreadingTCPServer.allow_reuse_address = True
            tcp = socketserver.ThreadingTCPServer(address, Tcp)
            udp = socketserver.ThreadingUDPServer(address, Udp)
        except PermissionError:
            skip('port 53 may not be listened on')
        except OSError:
            continue
        for s in (tcp, udp):
            s.daemon_threads = True
            threading.Thread(target=s.serve_forever, daemon=True).start()
        return address[0]
    skip('no loopback address has port 53 free')


def config_text(is_tocsin):
    head = 'host: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n' if is_tocsin else ''
    return head + '''
global: {scrape_interval: 1h, scrape_timeout: 1s}
scrape_configs:
  - {job_name: srv, dns_sd_configs: [{names: [_m._tcp.example.test, _m._tcp.rooted.test.], refresh_interval: 1s}]}
  - {job_name: a, dns_sd_configs: [{names: [hosts.example.test], type: A, port: 9100, refresh_interval: 1s}]}
  - {job_name: aaaa, dns_sd_configs: [{names: [six], type: aaaa, port: 9100, refresh_interval: 1s}]}
  - {job_name: mx, dns_sd_configs: [{names: [example.test], type: MX, port: 25, refresh_interval: 1s}]}
  - {job_name: many, dns_sd_configs: [{names: [many.example.test], type: A, port: 1, refresh_interval: 1s}]}
  - {job_name: none, dns_sd_configs: [{names: [nothing.here], type: A, port: 1, refresh_interval: 1s}]}
''' + ('''
  - {job_name: ns, dns_sd_configs: [{names: [example.test], type: NS, port: 53, refresh_interval: 1s}]}
''' if is_tocsin else '')


def sources(d):
    return {s['job']: s for s in d.get('/api/tocsin/v1/discovery').json['sources']}


def plain(rows):
    """Without empty labels and one that Debian's Prometheus 2.42 does not have yet."""
    return [([l for l in found if l[1] and l[0] != '__meta_dns_mx_record_target'], labels, url) for found, labels, url in rows]


def check_records(c, d, wrapper):
    counts = {'srv': 3, 'a': 2, 'aaaa': 1, 'mx': 1, 'ns': 1, 'many': 200}
    for job, count in counts.items():
        c.check(wait_for(lambda: len(discovered(d, job)) == count), f'{job}: {len(discovered(d, job))} targets, wanted {count}: {sources(d)[job]}')
    c.check(wait_for(lambda: sources(d)['none']['state'] == 'ok'), 'a name that is nowhere is no failure')
    c.equal(dict(discovered(d, 'srv')[0][0])['__meta_dns_srv_record_target'], 'one.example.test.', 'the target as the record has it')
    c.equal(dict(discovered(d, 'ns')[0][0])['__address__'], 'ns1.example.test:53', 'a name server')
    c.check(any(name == 'many.example.test' and is_tcp for name, _, is_tcp in Zone.asked), 'a long answer comes over TCP')
    names = [name for name, kind, _ in Zone.asked if kind == TYPES['AAAA']]
    c.equal(names[:2], ['six.first.test', 'six.second.test'], 'a short name goes through the search list')
    rooted = {name for name, kind, _ in Zone.asked if 'rooted' in name}
    c.equal(rooted, {'_m._tcp.rooted.test'}, 'one with a dot at its end does not')
    c.equal([n for n, _, _ in Zone.asked if 'nothing' in n][:3], ['nothing.here', 'nothing.here.first.test', 'nothing.here.second.test'],
            'a name with dots is asked for as it is first')
    with Prometheus(config_text(False), wrapper) as p:
        for job in ('srv', 'a', 'aaaa', 'mx', 'many', 'none') if p else ():
            c.check(wait_for(lambda: plain(discovered(d, job)) == plain(discovered(p, job)), 30, 1),
                    f'{job} as Prometheus: {plain(discovered(d, job))[:2]} {plain(discovered(p, job))[:2]}')


def check_trouble(c, d):
    Zone.records['hosts.example.test'] = [('A', '10.0.0.3')]
    c.check(wait_for(lambda: [dict(t[0])['__address__'] for t in discovered(d, 'a')] == ['10.0.0.3:9100']), 'records are followed')
    Zone.code = 2
    c.check(wait_for(lambda: 'no name server gave a usable answer' in sources(d)['a']['last_error']), f'SERVFAIL: {sources(d)["a"]}')
    c.equal(len(discovered(d, 'srv')), 3, 'the targets stay')
    Zone.code, Zone.is_silent = 0, True
    failures = sources(d)['a']['failures']
    c.check(wait_for(lambda: sources(d)['a']['failures'] > failures, 60), 'a server that is silent is a failure after a while')
    c.equal(len(discovered(d, 'many')), 200, 'the targets stay')
    Zone.is_silent = False
    c.check(wait_for(lambda: all(s['state'] == 'ok' for s in sources(d).values()), 60), 'it recovers')
    del Zone.records['hosts.example.test']
    c.check(wait_for(lambda: discovered(d, 'a') == []), 'when the name is gone, its targets go')


def main():
    if not shutil.which('unshare') or subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        skip('a mount namespace cannot be made')
    c = Checks()
    address = serve()
    Zone.records = {
        '_m._tcp.example.test': [('SRV', ('one.example.test', 8000)), ('SRV', ('two.example.test', 8001))],
        '_m._tcp.rooted.test': [('SRV', ('three.test', 9))],
        'hosts.example.test': [('CNAME', 'alias.test'), ('A', '10.0.0.1'), ('A', '10.0.0.2')],
        'six.second.test': [('AAAA', 'fd00::1')],
        'example.test': [('MX', 'mail.example.test'), ('NS', 'ns1.example.test')],
        'many.example.test': [('A', f'10.1.0.{i}') for i in range(200)],
    }
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / 'resolv.conf').write_text(f'search first.test second.test\nnameserver {address}\noptions ndots:1\n')
        wrapper = ['unshare', '-m', 'sh', '-c', f'mount --bind {directory}/resolv.conf /etc/resolv.conf && exec "$@"', 'sh']
        config = directory / 'tocsin.yml'
        config.write_text(config_text(True))
        with Daemon(config=config, wrapper=wrapper) as d:
            check_records(c, d, wrapper)
            check_trouble(c, d)
            Zone.is_silent = True
            time.sleep(2)
            start = time.monotonic()
            d.stop()
            c.check(time.monotonic() - start < 15, f'a silent server does not keep the daemon from stopping: {time.monotonic() - start:.1f} s')
    if not shutil.which('prometheus'):
        print('prometheus is not installed: nothing was compared with it')
    c.finish()


main()
