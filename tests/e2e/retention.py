#!/usr/bin/env python3
"""Days of data written late, and a rule that keeps the samples of some series for a week: roll-ups answer long queries
for them as the samples of a copy do, which another name keeps."""
import argparse
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from tocsin_test import BINARY, Checks, Daemon, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'conformance'))
import remote_write_body as body  # noqa: E402

DAY = 86400
STEP = 60
CONFIG = '''
storage:
  retention: 60d
  retention_rules:
    - {match: 'DCGM_.*', raw: 7d, rollup_5m: 365d}
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
'''
FUNCTIONS = ('rate', 'increase', 'delta', 'sum_over_time', 'avg_over_time', 'min_over_time', 'max_over_time',
             'count_over_time', 'last_over_time', 'present_over_time')


def values(rng, start, end):
    """A counter with resets and gaps."""
    at, t = 0.0, start
    while t < end:
        at = at + rng.randrange(50) if rng.randrange(500) else rng.randrange(5)
        yield t * 1000, float(at)
        t += STEP if rng.randrange(400) else rng.randrange(3600)


def write(d, c, start, end):
    rng = random.Random(7)
    samples = list(values(rng, start, end))
    for i in range(0, len(samples), 5000):
        part = [body.sample(t, v) for t, v in samples[i:i + 5000]]
        message = b''.join(body.series({'__name__': name, 'gpu': '0'}, part) for name in ('DCGM_ENERGY', 'copy'))
        answer = d.call('POST', '/api/v1/write', body=body.snappy(message), token=d.token, headers=body.HEADERS)
        c.check(answer.status in (200, 204), f'remote write: {answer.status} {answer.body[:200]}')
    return len(samples)


def metric(d, name, **labels):
    query = name + '{' + ','.join(f'{k}="{v}"' for k, v in labels.items()) + '}'
    for line in d.call('GET', '/metrics', token=d.token).body.decode().splitlines():
        if line.startswith(query + ' ') or (not labels and line.startswith(name + ' ')):
            return float(line.split()[-1])
    return 0.0


def ask(d, query, start, end, step):
    path = f'/api/v1/query_range?start={start}&end={end}&step={step}&query=' + query.replace('[', '%5B').replace(']', '%5D')
    answer = d.call('GET', path, token=d.token).json
    result = answer['data']['result']
    return (result[0]['values'] if result else []), answer.get('infos', [])


def is_near(a, b):
    return a == b or math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-9)


def same(c, what, got, wanted):
    c.check(len(wanted) > 5, f'{what}: the copy gave {len(wanted)} values')
    c.equal([t for t, _ in got], [t for t, _ in wanted], f'{what}: times')
    odd = [(t, a, b) for (t, a), (_, b) in zip(got, wanted) if not is_near(a, b)]
    c.check(not odd, f'{what}: {len(odd)} values differ, such as {odd[:2]}')


def compare(d, c, start, end):
    for fn in FUNCTIONS:
        for window, step in (('5m', 6 * 3600), ('1h', 3 * 3600), ('1d', DAY)):
            pair = [ask(d, f'{fn}({name}[{window}])', start, end, step) for name in ('DCGM_ENERGY', 'copy')]
            same(c, f'{fn} {window}', pair[0][0], pair[1][0])
            gone = [i for i in pair[0][1] if 'no longer kept' in i]
            c.check(not gone, f'{fn} {window}: {gone}')
    for name, unit in (('m', 3600), ('m', 300)):
        pair = [ask(d, name, start, start + 2 * DAY, unit)[0] for name in ('DCGM_ENERGY', 'copy')]
        same(c, f'instant, step {unit}', *pair)


def told(d, c, start):
    moved, infos = ask(d, 'rate(DCGM_ENERGY[7m])', start + 17, start + DAY, 3601)
    c.check(moved and any('roll-ups of 5m' in i for i in infos), f'moved windows are told: {infos}')
    lasts, infos = ask(d, 'quantile_over_time(0.5,DCGM_ENERGY[6h])', start + DAY, start + 2 * DAY, 3600)
    c.check(lasts and any('stands in' in i for i in infos), f'last samples are told: {infos}')
    copy, infos = ask(d, 'quantile_over_time(0.5,copy[6h])', start + DAY, start + 2 * DAY, 3600)
    c.check(copy and not any('stands in' in i for i in infos), f'samples are not: {infos}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--days', type=int, default=10)
    days = parser.parse_args().days
    c = Checks()
    config = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-test-')) / 'tocsin.yml'
    config.write_text(CONFIG)
    end = int(time.time()) // DAY * DAY
    start = end - days * DAY
    d = Daemon(config=config)
    with d:
        count = write(d, c, start, int(time.time()) - 120)
        d.stop()
        d.start()  # a new process does not wait for more late samples
        wanted = count * (days - 8) / days / 2
        done = wait_for(lambda: metric(d, 'tocsin_storage_expired_samples_total', reason='matcher') > wanted, 60 + 10 * days)
        c.check(done, 'samples of the rule were deleted')
        c.equal(metric(d, 'tocsin_storage_expired_samples_total', reason='time'), 0.0, 'of the others none')
        compare(d, c, start, end)
        told(d, c, start)
        d.stop()
        verdict = subprocess.run([BINARY, 'db', 'verify', '--data', str(d.data)], capture_output=True, text=True)
        c.check(verdict.returncode == 0 and ' 0 damaged' in verdict.stdout, f'db verify: {verdict.stdout} {verdict.stderr}')
        c.check(', 0 blocks of roll-ups' not in verdict.stdout, f'db verify names roll-ups: {verdict.stdout}')
    c.finish()


if __name__ == '__main__':
    main()
