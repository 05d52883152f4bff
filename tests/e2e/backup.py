#!/usr/bin/env python3
"""Backups of a daemon under load and of a stopped one: what was acknowledged before is in the restored daemon, exemplars too; damage
and overwriting are refused."""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'interop'))
from prometheus_peer import snappy, write_request  # noqa: E402
from tocsin_test import Checks, Daemon, offline  # noqa: E402

SERIES = 40


class Writer(threading.Thread):
    """Writes round after round; `acknowledged` is the number of those that were answered."""

    def __init__(self, daemon, start_ms):
        super().__init__(daemon=True)
        self.target, self.start_ms, self.acknowledged, self.is_ended = daemon, start_ms, 0, False

    def stop(self):
        self.is_ended = True
        self.join()


class Load(Writer):
    """One sample of every series."""

    def run(self):
        headers = {'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'}
        while not self.is_ended:
            t, k = self.start_ms + self.acknowledged * 10, self.acknowledged
            message = write_request([({'__name__': 'load', 'k': str(i)}, [(t, float(k * i))]) for i in range(SERIES)])
            answer = self.target.call('POST', '/api/v1/write', snappy(message), headers=headers, token=self.target.token)
            if answer.status // 100 != 2:
                raise RuntimeError(answer.body)
            self.acknowledged += 1


class Traces(Writer):
    """A sample of one histogram with an exemplar."""

    def run(self):
        while not self.is_ended:
            k = self.acknowledged
            ns = str((self.start_ms + k * 10) * 1_000_000)
            exemplar = {'timeUnixNano': ns, 'asDouble': 0.25 + k, 'traceId': f'{k + 1:032x}', 'spanId': f'{k + 1:016x}'}
            point = {'timeUnixNano': ns, 'count': str(k + 1), 'sum': 1.5, 'bucketCounts': [str(k + 1), '0'], 'explicitBounds': [100000],
                     'exemplars': [exemplar]}
            metric = {'name': 'latency', 'histogram': {'aggregationTemporality': 2, 'dataPoints': [point]}}
            answer = self.target.post('/v1/metrics', {'resourceMetrics': [{'scopeMetrics': [{'metrics': [metric]}]}]})
            if answer.status != 200:
                raise RuntimeError(answer.body)
            self.acknowledged += 1


def state_of(daemon):
    """What the state database tells."""
    silences = daemon.get('/api/v2/silences').json
    return sorted(s['comment'] for s in silences)


def silence(daemon, comment):
    now = time.time()
    stamp = lambda s: time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(s))  # noqa: E731
    return daemon.post('/api/v2/silences', {'matchers': [{'name': 'a', 'value': 'b', 'isRegex': False}], 'startsAt': stamp(now),
                                            'endsAt': stamp(now + 3600), 'createdBy': 'me', 'comment': comment}).status


def check_samples(c, daemon, start_ms, rounds, what):
    seconds = rounds // 100 + 3
    rows = daemon.get(f'/api/v1/query?query=load%5B{seconds}s%5D&time={(start_ms + (rounds - 1) * 10) / 1000}').json['data']['result']
    c.equal(len(rows), SERIES, f'{what}: series')
    for row in rows:
        i = int(row['metric']['k'])
        got = {round(float(t) * 1000): float(v) for t, v in row['values']}
        missing = [k for k in range(rounds) if got.get(start_ms + k * 10) != float(k * i)]
        c.check(not missing, f'{what}: series {i}: {len(missing)} of {rounds} samples are missing or wrong, first {missing[:3]}')


def check_exemplars(c, daemon, start_ms, rounds, what):
    """The first `rounds` of them, whole; later ones may be there, and each has its sample."""
    query = f'/api/v1/query_exemplars?query=latency_bucket&start={start_ms / 1000}&end={start_ms / 1000 + 3600}'
    rows = daemon.get(query).json['data']
    c.equal([row['seriesLabels'] for row in rows], [{'__name__': 'latency_bucket', 'le': '100000'}], f'{what}: series with exemplars')
    found = rows[0]['exemplars'] if rows else []
    want = [{'labels': {'trace_id': f'{k + 1:032x}', 'span_id': f'{k + 1:016x}'}, 'value': str(0.25 + k), 'timestamp': (start_ms + k * 10) / 1000}
            for k in range(max(rounds, len(found)))]
    same = [{**e, 'value': str(float(e['value']))} for e in found] == want
    c.check(same, f'{what}: {rounds} exemplars were acknowledged, {len(found)} are there, the last {found[-1:]}')
    end = (start_ms + (len(found) - 1) * 10) / 1000
    counted = daemon.get(f'/api/v1/query?query=latency_count&time={end}').json['data']['result']
    c.check(counted and float(counted[0]['value'][1]) == len(found), f'{what}: the newest exemplar has its sample: {counted}')
    return len(found)


def verified(c, data, exemplars, what):
    code, out, err = offline('db', 'verify', '--data', data)
    c.check(code == 0 and f' {exemplars} exemplars, 0 damaged' in out, f'{what}: verify: exit {code} {out}{err}')


def restored(c, backup, data, what):
    code, out, err = offline('db', 'restore', backup, '--data', data)
    c.check(code == 0, f'{what}: restore: exit {code} {out}{err}')
    return Daemon(data=data)


def live(c, daemon, work, rounds):
    start_ms = int(time.time() * 1000) - 60_000
    load, traces = Load(daemon, start_ms), Traces(daemon, start_ms)
    load.start()
    traces.start()
    c.equal(silence(daemon, 'before the backup'), 200, 'a silence')
    while min(load.acknowledged, traces.acknowledged) < rounds:
        time.sleep(0.01)
    before, traced, backup = load.acknowledged, traces.acknowledged, work / 'live'
    code, out, err = daemon.command('db', 'backup', str(backup) + '/', '--data', str(daemon.data))
    c.check(code == 0, f'backup of a daemon under load: exit {code} {out}{err}')
    after = load.acknowledged
    load.stop()
    traces.stop()
    print(f'{before} rounds before, {after} after, {traced} exemplars before, {traces.acknowledged} at the end, {out.strip()}')
    c.check(after > before, 'writing went on during the backup')
    c.equal(os.listdir(daemon.data / 'metrics' / 'snapshots'), [], 'the copy below the data directory is gone')
    c.check((backup / 'config' / 'tocsin.yml').read_text() == daemon.config.read_text(), 'the configuration is in it')
    with restored(c, backup, work / 'live-data', 'live') as again:
        check_samples(c, again, start_ms, before, 'live')
        exemplars = check_exemplars(c, again, start_ms, traced, 'live')
        c.equal(state_of(again), ['before the backup'], 'state')
        c.check((again.data / 'token').read_text() == daemon.token + '\n' or again.token == daemon.token, 'the token')
        again.stop()
    verified(c, backup, exemplars, 'the backup')
    verified(c, work / 'live-data', exemplars, 'the restored directory')
    return backup, start_ms, load.acknowledged, traces.acknowledged


def stopped(c, daemon, work, start_ms, rounds, traced):
    daemon.stop()
    code, out, err = offline('db', 'backup', work / 'stopped', '--data', daemon.data, '--config', daemon.config)
    c.check(code == 0, f'backup of a stopped daemon: exit {code} {out}{err}')
    with restored(c, work / 'stopped', work / 'stopped-data', 'stopped') as again:
        check_samples(c, again, start_ms, rounds, 'stopped')
        c.equal(check_exemplars(c, again, start_ms, traced, 'stopped'), traced, 'stopped: exemplars')
        again.stop()


def refusals(c, daemon, work, backup):
    def refused(what, text, *arguments):
        code, out, err = offline('db', *arguments)
        c.check(code == 1 and text in err, f'{what}: exit {code} {out}{err}')

    refused('a folder that is there', 'is there already', 'backup', backup, '--data', daemon.data)
    refused('no data directory', 'is no data directory', 'backup', work / 'x', '--data', work / 'nothing')
    refused('a directory with something in it', 'is not overwritten', 'restore', backup, '--data', work / 'live-data')
    refused('no backup', 'is no backup', 'restore', work / 'nothing', '--data', work / 'new')
    for name in ('state.db', 'token', 'metrics/exemplars'):
        copy = work / ('broken-' + name.replace('/', '-'))
        shutil.copytree(backup, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(bytes(data))
        refused('a flipped bit', f'{name} is damaged', 'restore', copy, '--data', work / 'new')
        (copy / name).unlink()
        refused('a missing file', name, 'restore', copy, '--data', work / 'new')
    outside = work / 'outside'
    shutil.copytree(backup, outside)
    manifest = json.loads((outside / 'manifest.json').read_text())
    manifest['files'][0]['path'] = '../escaped'
    (outside / 'manifest.json').write_text(json.dumps(manifest))
    refused('a path that leads outside', 'makes no sense', 'restore', outside, '--data', work / 'new')
    manifest['format'] = 99
    (outside / 'manifest.json').write_text(json.dumps(manifest))
    refused('another format', 'format 99', 'restore', outside, '--data', work / 'new')
    c.check(not (work / 'new').exists() and not (work / 'new.partial').exists(), 'nothing is left of a restore that failed')


def main():
    a = argparse.ArgumentParser()
    a.add_argument('--rounds', type=int, default=300)
    o = a.parse_args()
    c, work = Checks(), pathlib.Path(tempfile.mkdtemp(prefix='tocsin-backup-'))
    daemon = Daemon()
    daemon.config = daemon.root / 'tocsin.yml'
    daemon.config.write_text('host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\n')
    try:
        with daemon:
            backup, start_ms, rounds, traced = live(c, daemon, work, o.rounds)
            code, _, err = daemon.command('db', 'backup', str(work / 'denied'), '--data', str(daemon.data), '--token-file', '/dev/null', token=False)
            c.check(code == 5 and not (work / 'denied').exists() and not (work / 'denied.partial').exists(), f'without a token: exit {code} {err}')
            stopped(c, daemon, work, start_ms, rounds, traced)
            refusals(c, daemon, work, backup)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    c.finish()


if __name__ == '__main__':
    main()
