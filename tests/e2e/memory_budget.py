#!/usr/bin/env python3
"""A small memory budget: new series are refused first, then writes and queries, in words; the daemon stays within it and
recovers when it is less."""
import pathlib
import tempfile
import time

from push import remote_write, series
from tocsin_test import Checks, Daemon, wait_for

BUDGET_MB = 120


def rss_mib(d):
    line = next(x for x in pathlib.Path(f'/proc/{d.process.pid}/status').read_text().splitlines() if x.startswith('VmRSS'))
    return int(line.split()[1]) / 1024


def push(d, first, count):
    now = int(time.time() * 1000)
    return remote_write(d, [series({'__name__': 'load', 'job': 'j', 'instance': 'i', 'path': f'/some/longer/path/{i:08d}'}, [(now, 1)])
                            for i in range(first, first + count)])


def told(d, query):
    """By the series, or, when nine tenths of the budget are in use, by the refusal of the query."""
    try:
        return d.query(query)
    except RuntimeError as refusal:
        return 'memory budget' in str(refusal)


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as name:
        config = pathlib.Path(name) / 'tocsin.yml'
        config.write_text(f'storage: {{memory_budget: {BUDGET_MB}MB, ballast: 0}}\nhost: {{enabled: false}}\n'
                          'gpu: {enabled: false}\ndiscovery: {enabled: false}\n')
        with Daemon(config=config) as d:
            c.equal(push(d, 0, 100).status, 204, 'a push before')
            statuses, peak, first, reply = set(), 0, 100, None
            end = time.monotonic() + 25
            while time.monotonic() < end and first < 1000000:
                answer = push(d, first, 5000)
                first += 5000
                statuses.add(answer.status)
                peak = max(peak, rss_mib(d))
                if answer.status != 204:
                    reply = answer
                    break
                time.sleep(0.05)
            print(f'{first} series sent, peak {peak:.0f} MiB of {BUDGET_MB}, answers {statuses}')
            c.check(reply, 'load is shed')
            if reply:
                c.check(b'memory' in reply.body, f'and the reason is told: {reply.status} {reply.body[:120]}')
            for i in range(20):  # go on in spite of it
                push(d, first + i * 5000, 5000)
                peak = max(peak, rss_mib(d))
            c.check(peak < BUDGET_MB * 1.05, f'memory stays within the budget: {peak:.0f} MiB')
            c.equal(push(d, 0, 100).status in (204, 503), True, 'series that exist go on, or are to be sent again')
            c.check(wait_for(lambda: told(d, 'tocsin_overflow_samples_total{reason="memory_budget"} > 0'), timeout=10) or
                    reply and reply.status == 503, 'what found no room is counted')
            c.check(wait_for(lambda: told(d, 'tocsin_shortage{resource="memory"} == 1'), timeout=10), 'the shortage is told')
    with tempfile.TemporaryDirectory() as name:
        config = pathlib.Path(name) / 'tocsin.yml'
        config.write_text('storage: {memory_budget: 1MB, ballast: 0}\nhost: {enabled: false}\ndiscovery: {enabled: false}\n')
        with Daemon(config=config) as d:
            answer = wait_for(lambda: (a := push(d, 0, 1)).status == 503 and a)
            c.check(answer and b'storage.memory_budget' in answer.body and answer.headers.get('Retry-After'),
                    f'without any memory left writes are answered 503: {answer and answer.body}')
            answer = d.get('/api/v1/query?query=up')
            c.check(answer.status == 503 and 'storage.memory_budget' in answer.json['error'], f'and queries: {answer.body}')
            c.equal(d.get('/').status, 200, 'the UI answers')
    c.finish()


main()
