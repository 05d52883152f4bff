"""Debian's Prometheus scrapes itself and remote-writes to tocsin: both must then answer the same samples,
also after tocsin died by kill -9 in between. A second, empty Prometheus reads them back by remote read."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import prometheus_peer as peer
from prometheus_peer import check, failures, wait_for_http
from twin_servers import free_port

TOCSIN = os.path.abspath(sys.argv[1])
QUIET = 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\n'


def start_tocsin(folder, port):
    conf = os.path.join(folder, 't.yml')
    with open(conf, 'w') as f:
        f.write(QUIET)
    p = subprocess.Popen([TOCSIN, 'run', '--config', conf, '--data', f'{folder}/tocsin', '--listen', f'127.0.0.1:{port}'],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_http(f'http://127.0.0.1:{port}/-/ready')
    return p


def start_prometheus(folder, name, port, config):
    conf = os.path.join(folder, name + '.yml')
    with open(conf, 'w') as f:
        f.write(config)
    p = subprocess.Popen(['prometheus', f'--config.file={conf}', f'--storage.tsdb.path={folder}/{name}',
                          f'--web.listen-address=127.0.0.1:{port}'], stderr=subprocess.DEVNULL)
    wait_for_http(f'http://127.0.0.1:{port}/-/ready')
    return p


def matrix(port, query, at):
    url = f'http://127.0.0.1:{port}/api/v1/query?' + urllib.parse.urlencode({'query': query, 'time': f'{at:.3f}'})
    result = json.load(urllib.request.urlopen(url, timeout=20))['data']['result']
    return {tuple(sorted(r['metric'].items())): [tuple(v) for v in r['values']] for r in result}


def differences(want, have):
    return sum(want.get(k) != have.get(k) for k in want.keys() | have.keys())


def compare(ports, query, seconds, what):
    """The sender ships within seconds; what it scraped up to a moment does not change any more."""
    end = time.monotonic() + seconds
    while not matrix(ports[0], query, time.time()) and time.monotonic() < end:
        time.sleep(0.5)
    at = time.time()
    end = time.monotonic() + seconds
    while True:
        want, have = (matrix(p, query, at) for p in ports)
        n = differences(want, have)
        if n == 0 and want or time.monotonic() > end:
            break
        time.sleep(0.5)
    samples = sum(len(v) for v in want.values())
    check(want and n == 0, f'{what}: {len(want)} series, {samples} samples, {n} series differ')


def status(port, body, method='POST', **headers):
    request = urllib.request.Request(f'http://127.0.0.1:{port}/api/v1/write', data=body, method=method, headers={
        k.replace('_', '-'): v for k, v in headers.items()})
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as e:
        return e.code


def refusals(port):
    good = dict(Content_Type='application/x-protobuf', Content_Encoding='snappy')
    now = int(time.time() * 1000)
    message = peer.write_request([({'__name__': 'refusals', 'i': 'a'}, [(now, 1.0)])])
    other = peer.write_request([({'__name__': 'refusals', 'i': 'a'}, [(now, 2.0)]), ({'__name__': 'refusals', 'i': 'b'}, [(now, 3.0)])])
    block = peer.snappy(message)
    check(status(port, block, **good) == 204, 'a good message: 204')
    check(status(port, block, Content_Type='application/x-protobuf') == 204, 'without a content encoding it is snappy: 204')
    check(status(port, peer.snappy(other), **good) == 400, 'another value at the same time: 400')
    check(len(matrix(port, 'refusals[1m]', time.time())) == 2, 'and the other series of that message is stored')
    check(status(port, block[:-3], **good) == 400, 'a block cut off: 400')
    check(status(port, peer.snappy(message[:-3]), **good) == 400, 'a message cut off: 400')
    check(status(port, b'\xff\xff\xff\xff\x0f' + block[1:], **good) in (400, 413), 'a length that lies, 4 GiB: refused')
    check(status(port, peer.varint(30 << 20) + b'\x00a', **good) in (400, 413), 'a length that lies within the limit: refused')
    # One literal byte, then copies of 64 bytes each: 3 bytes in, 64 out.
    bomb = peer.varint(33 << 20) + b'\x00a' + (b'\xfe' + struct.pack('<H', 1)) * ((33 << 20) // 64)
    check(status(port, bomb, **good) == 413, f'a bomb of {len(bomb) >> 10} KiB for 33 MiB: 413')
    check(status(port, block, Content_Type='text/plain', Content_Encoding='snappy') == 415, 'another content type: 415')
    check(status(port, block, Content_Type='application/x-protobuf;proto=x.y', Content_Encoding='snappy') == 415, 'another message: 415')
    check(status(port, block, Content_Type='application/x-protobuf', Content_Encoding='lzma') == 415, 'another encoding: 415')
    check(status(port, None, method='GET') == 405, 'GET: 405')


def main():
    if not shutil.which('prometheus'):
        print('skipped: prometheus not installed')
        return 77
    with tempfile.TemporaryDirectory() as folder:
        ours, sender, reader = free_port(), free_port(), free_port()
        processes = [start_tocsin(folder, ours)]
        try:
            refusals(ours)
            processes.append(start_prometheus(folder, 'sender', sender, (
                'global: {scrape_interval: 1s}\n'
                f'scrape_configs:\n- job_name: self\n  static_configs: [{{targets: ["127.0.0.1:{sender}"]}}]\n'
                f'remote_write:\n- url: http://127.0.0.1:{ours}/api/v1/write\n'
                '  queue_config: {batch_send_deadline: 1s, max_backoff: 1s}\n'
                '  metadata_config: {send_interval: 1s}\n')))
            time.sleep(4)
            compare((sender, ours), '{job="self"}[1m]', 15, 'what was scraped is stored')
            types = json.load(urllib.request.urlopen(f'http://127.0.0.1:{ours}/api/v1/metadata?metric=prometheus_build_info'))
            check(types['data'].get('prometheus_build_info', [{}])[0].get('type') == 'gauge', 'metadata came along')
            processes[0].send_signal(signal.SIGKILL)
            processes[0].wait()
            time.sleep(2)
            processes[0] = start_tocsin(folder, ours)
            time.sleep(2)
            compare((sender, ours), '{job="self"}[2m]', 30, 'after kill -9 and two seconds of absence nothing is missing')
            processes.append(start_prometheus(folder, 'reader', reader,
                f'remote_read:\n- url: http://127.0.0.1:{ours}/api/v1/read\n  read_recent: true\n'))
            compare((ours, reader), '{job="self"}[1m]', 5, 'an empty Prometheus reads them back')
        finally:
            for p in processes:
                p.kill()
                p.wait()
    return 1 if failures else 0


sys.exit(main())
