#!/usr/bin/env python3
"""Bytes on disk per sample, index included, of the AI mix with 480 samples per series after compaction, with regular times and with +-5 ms of
jitter, beside Prometheus and VictoriaMetrics. Run by bench/peers/run.sh (part `disk`) in the copy of the harness.
usage: disk.py BUILD_DIR WORK_DIR --out FILE [--series 20000] [--servers tocsin,victoriametrics,prometheus]"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.getcwd())
import hlib  # noqa: E402


def size(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(path) for f in fs)


def make_data(build, folder, series, jitter_ms):
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(['./perfload', 'gen', '--profile', 'ai', '--series', str(series), '--samples', '480', '--step', '15', '--out', folder],
                   check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(folder) if jitter_ms else []:
        if name.startswith('bodies.'):
            path = os.path.join(folder, name)
            subprocess.run([os.path.join(build, 'bench/peers_jitter'), path, path + '.moved', str(jitter_ms)], check=True)
            os.replace(path + '.moved', path)


def stop(server):
    os.kill(server.pid, signal.SIGTERM)
    for _ in range(600):
        try:
            os.waitpid(server.pid, os.WNOHANG)
            os.kill(server.pid, 0)
        except (ChildProcessError, ProcessLookupError):
            return
        time.sleep(0.1)


def compacted(kind, server, build):
    """Bytes of what the server keeps for good."""
    if kind == 'prometheus':
        _, body, _ = hlib.http(server.url + '/api/v1/admin/tsdb/snapshot?skip_head=false', data=b'', method='POST')
        return size(os.path.join(server.data, 'snapshots', json.loads(body)['data']['name']))
    if kind == 'victoriametrics':
        hlib.http(server.url + '/internal/force_flush')
        time.sleep(6)
        hlib.http(server.url + '/internal/force_merge')
        time.sleep(20)
        return size(server.data)
    stop(server)
    subprocess.run([os.path.join(build, 'tocsin'), 'db', 'compact', '--data', server.data], check=True, stdout=subprocess.DEVNULL)
    return size(os.path.join(server.data, 'metrics', 'blocks')) + size(os.path.join(server.data, 'metrics', 'wal'))


def measure(kind, build, folder, jitter_ms, out):
    server = hlib.Server(kind, name=f'disk-{kind}')
    shutil.rmtree(server.data, ignore_errors=True)
    os.makedirs(server.data)
    server.start()
    sent = json.loads(subprocess.run(['./perfload', 'send', '--in', folder, '--url', server.url + server.d['write']], check=True, capture_output=True, text=True).stdout)
    time.sleep(3)
    bytes_now = compacted(kind, server, build)
    hlib.record(out, what='disk_compacted', server=kind, jitter_ms=jitter_ms, acked=sent['acked'], bytes=bytes_now,
                bytes_per_sample=round(bytes_now / sent['acked'], 3))
    try:
        server.kill9()
    except (ProcessLookupError, ChildProcessError):
        pass
    shutil.rmtree(server.data, ignore_errors=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument('build')
    a.add_argument('work')
    a.add_argument('--out', required=True)
    a.add_argument('--series', type=int, default=20000)
    a.add_argument('--servers', default='tocsin,victoriametrics,prometheus')
    o = a.parse_args()
    for jitter_ms in (0, 5):
        folder = os.path.join(o.work, f'disk{jitter_ms}')
        for kind in o.servers.split(','):
            make_data(o.build, folder, o.series, jitter_ms)  # times end now
            measure(kind, o.build, folder, jitter_ms, o.out)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
