"""Hostile queries: nested, random, enormous and over every series. Each is answered or refused, within the budget of memory,
and somebody else's queries are answered meanwhile.

usage: hostile_queries.py [--series N] [--seed N]      (default 20,000 series; the long run takes 1,000,000)
"""
import argparse
import pathlib
import random
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'conformance'))
from remote_write_body import HEADERS, sample, series, snappy
from tocsin_test import Checks, Daemon

MIB = 1 << 20
QUERY_BYTES = 256 * MIB
CONFIG = f'''
host: {{enabled: false}}
gpu: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
storage: {{max_series: 3000000}}
query: {{timeout: 30s, max_bytes: {QUERY_BYTES}}}
'''
BATCH = 2000
PARSE_SECONDS = 0.1
FORM = {'Content-Type': 'application/x-www-form-urlencoded'}


def rss_bytes(d):
    for line in pathlib.Path(f'/proc/{d.process.pid}/status').read_text().splitlines():
        if line.startswith('VmHWM'):
            return int(line.split()[1]) * 1024
    return 0


def ask(d, query, timeout=60):
    began = time.monotonic()
    answer = d.call('POST', '/api/v1/query', urllib.parse.urlencode({'query': query}).encode(), headers=FORM, timeout=timeout)
    return answer, time.monotonic() - began


def fill(d, count):
    now = int(time.time() * 1000)
    for first in range(0, count, BATCH):
        body = b''.join(series({'__name__': f'm{i % 50}', 'instance': f'host-{i // 50:06}', 'job': 'load'}, [sample(now, i)])
                        for i in range(first, min(first + BATCH, count)))
        status = d.call('POST', '/api/v1/write', snappy(body), headers=HEADERS).status
        if status not in (200, 204):
            raise RuntimeError(f'remote write answered {status}')


class Bystander(threading.Thread):
    """Somebody with a small query, over and over; keeps the longest time it took."""

    def __init__(self, d):
        super().__init__()
        self.d, self.longest, self.answers, self.failures, self.is_stopping = d, 0.0, 0, 0, False

    def run(self):
        while not self.is_stopping:
            answer, seconds = ask(self.d, 'm1{instance="host-000001"}')
            self.longest = max(self.longest, seconds)
            self.answers += 1
            self.failures += answer.status != 200
            time.sleep(0.02)


def refused_text(checks, d, rng):
    """Texts that are no query are refused before anything is read, in no time. The best of three: the machine has other work."""
    texts = {'100,000 parentheses': '(' * 100000 + '1' + ')' * 100000,
             '100,000 signs': '-' * 100000 + '1',
             '100,000 brackets': 'm' + '[1m:1s]' * 14000,
             '1 MiB of random text': ''.join(rng.choice('abc(){}[]"\'\\+-*/ <>=!~,.:@#é\n0123') for _ in range(300000)),
             'a long list': 'sum by (' + ','.join(f'l{i}' for i in range(100000)) + ') (m1)'}
    for name, text in texts.items():
        took = []
        for _ in range(3):
            answer, seconds = ask(d, text)
            took.append(seconds)
        checks.check(answer.status in (400, 413), f'{name}: status {answer.status}')
        checks.check(min(took) <= PARSE_SECONDS, f'{name}: {min(took) * 1000:.0f} ms to be refused')
    try:
        status = ask(d, 'x' * (5 * MIB))[0].status
    except urllib.error.URLError: # the server need not read on what it has refused
        status = 413
    checks.equal(status, 413, 'a query of 5 MiB')


def over_everything(checks, d, count):
    for query in ('{__name__=~".*",job=~".+"}', 'count({__name__=~".*",job=~".+"})', 'topk(5, {__name__=~".+"})',
                  'sort({__name__=~".+"})', '{__name__=~".+"} * on (instance) group_left {__name__="m1"}',
                  'count by (instance) ({__name__=~"(.*)*|(.+)+m[0-9]*",job="load"})', 'quantile(0.5, {__name__!=""})',
                  'label_replace({__name__=~".+"}, "x", "$1$1$1", "instance", "(.*)")'):
        answer, _ = ask(d, query)
        ok = answer.status == 200 or (answer.status in (422, 503) and answer.json['status'] == 'error')
        checks.check(ok, f'{query}: status {answer.status} {answer.body[:200]}')
    answer, _ = ask(d, 'count({job="load"})')
    checks.equal(answer.json['data']['result'][0]['value'][1], str(count), 'series that are there')


def nested_subqueries(checks, d):
    for inner, step in (('vector(1)', '1s'), ('m1', '1s'), ('rate(m1[5m])', '1ms'), ('{__name__=~".+"}', '15s')):
        query = inner
        for level in range(10):
            query = f'max_over_time({query}[1h:{step}])'
        answer, seconds = ask(d, query)
        checks.check(answer.status in (200, 422, 503), f'10 levels over {inner}: status {answer.status} {answer.body[:200]}')
        checks.check(seconds < 35, f'10 levels over {inner}: {seconds:.1f} s, the timeout is 30 s')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--series', type=int, default=20000)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f'seed {options.seed}')
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(CONFIG)
        with Daemon(config=config) as d:
            fill(d, options.series)
            refused_text(checks, d, random.Random(options.seed))
            before = rss_bytes(d)
            other = Bystander(d)
            other.start()
            over_everything(checks, d, options.series)
            nested_subqueries(checks, d)
            other.is_stopping = True
            other.join()
            print(f'a bystander: {other.answers} answers, the slowest {other.longest * 1000:.0f} ms; peak {rss_bytes(d) / MIB:.0f} MiB')
            # The budget of one query, and the answer on its way out.
            grown = rss_bytes(d) - before
            checks.check(grown <= QUERY_BYTES + 128 * MIB, f'memory grew by {grown / MIB:.0f} MiB')
            checks.check(other.answers > 2 and not other.failures, f'{other.failures} of {other.answers} failed')
            checks.check(other.longest < 2, f'a bystander waited {other.longest:.2f} s')
    checks.finish()


if __name__ == '__main__':
    main()
