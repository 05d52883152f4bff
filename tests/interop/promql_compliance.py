"""The query list of prometheus/compliance on the same data in Debian's Prometheus and in Tocsin, within 1e-9.

Tocsin is promql_peer, and then its daemon, filled by remote write.

usage: promql_compliance.py PEER TOCSIN
"""
import itertools
import os
import pathlib
import random
import re
import sys
import time

import yaml

from prometheus_peer import Daemon, Peer, Prometheus, Query, difference, need_prometheus

STEP_MS, SAMPLES = 5000, 2160
BASE_MS = (int(time.time()) - 3 * 3600 - 120) // 60 * 60000  # recent: no server keeps samples for years

ARGUMENTS = {
    'range': '1s 15s 1m 5m 15m 1h', 'offset': '1m 5m 10m', 'simpleAggrOp': 'sum avg max min count stddev stdvar',
    'simpleTimeAggrOp': 'sum avg max min count stddev stdvar absent last', 'topBottomOp': 'topk bottomk',
    'quantile': '-0.5 0.1 0.5 0.75 0.95 0.90 0.99 1 1.5', 'arithBinOp': '+ - * / % ^', 'compBinOp': '== != < > <= >=',
    'binOp': '+ - * / % ^ == != < > <= >=', 'simpleMathFunc': 'abs ceil floor exp sqrt ln log2 log10 round',
    'extrapolatedRateFunc': 'delta rate increase', 'clampFunc': 'clamp_min clamp_max', 'instantRateFunc': 'idelta irate',
    'dateFunc': 'day_of_month day_of_week days_in_month hour minute month year', 'smoothingFactor': '0.1 0.5 0.8', 'trendFactor': '0.1 0.5 0.8',
}

# What Prometheus 3 answers otherwise on purpose. Nothing else may differ.
EXCEPTIONS = {
    'label_join(demo_num_cpus, "~invalid", "-", "instance")': 'label names may be any UTF-8 text in Prometheus 3: no error',
}


def expand(case):
    """The queries of a template."""
    names = case.get('variant_args', [])
    for values in itertools.product(*(ARGUMENTS[n].split() for n in names)):
        query = case['query']
        for name, value in zip(names, values):
            query = query.replace('{{.' + name + '}}', value)
        yield query


def series():
    """The metrics of the demo service. Samples lie 1.237 s behind the grid, where ranges that are open or closed on the
    left hold the same; counters are far above zero, where all versions extrapolate alike."""
    r, out = random.Random(7), []
    times = [BASE_MS + i * STEP_MS + 1237 for i in range(SAMPLES)]

    def walk(start, step):
        v = start
        for _ in times:
            v += r.uniform(-step, step)
            yield v

    def climb(start, rate):
        v = start
        for _ in times:
            v += r.uniform(0, rate)
            yield v

    def add(name, labels, values):
        out.append(({'__name__': name, 'job': 'demo', **labels}, list(zip(times, values))))

    for port in 10000, 10001, 10002:
        instance = {'instance': f'demo.promlabs.com:{port}'}
        for kind, size in ('free', 2.1e9), ('used', 5.5e9), ('cached', 1.4e9), ('buffers', 2.5e8):
            add('demo_memory_usage_bytes', {**instance, 'type': kind}, map(round, walk(size, size / 100)))
        for mode in 'user', 'system', 'idle':
            add('demo_cpu_usage_seconds_total', {**instance, 'mode': mode}, climb(1e5, 4))
        add('demo_num_cpus', instance, [4.0] * SAMPLES)
        add('demo_disk_usage_bytes', instance, map(round, climb(1e11, 1e6)))
        add('demo_disk_total_bytes', instance, [2.5e11] * SAMPLES)
        add('demo_batch_last_success_timestamp_seconds', instance, (BASE_MS / 1000 + i // 60 * 300 for i in range(SAMPLES)))
        add('demo_intermittent_metric', instance, [1.0] * SAMPLES)
        for method, path, status in itertools.product(('GET', 'POST'), ('/api/foo', '/api/bar'), ('200', '500')):
            labels = {**instance, 'method': method, 'path': path, 'status': status}
            bounds = ('0.0001', '0.001', '0.01', '0.05', '0.25', '1', '+Inf')
            counts, columns = [10000 * (i + 1) for i in range(len(bounds))], [[] for _ in bounds]
            for _ in times:
                first = r.randrange(len(bounds))
                for i in range(len(bounds)):
                    counts[i] += i >= first
                    columns[i].append(float(counts[i]))
            for bound, column in zip(bounds, columns):
                add('demo_api_request_duration_seconds_bucket', {**labels, 'le': bound}, column)
            add('demo_api_request_duration_seconds_count', labels, columns[-1])
            add('demo_api_request_duration_seconds_sum', labels, climb(500, 0.4))
    return out


def shared_list():
    root = pathlib.Path(os.environ.get('TOCSIN_SHARED', pathlib.Path(__file__).resolve().parents[3] / 'shared'))
    path = root / 'conformance/promql-compliance/promql-compliance-queries.yml'
    if not path.exists():
        print(f'{path} is not here: skipped')
        sys.exit(77)
    return yaml.safe_load(path.read_text())['test_cases']


def magnitude(result):
    values = [abs(v) for _, points in result.rows for _, v in points if v == v and abs(v) != float('inf')]
    return max(values, default=0.0)


def compare(name, tocsin, prometheus, cases):
    passed = failed = 0
    for case in cases:
        for expr in expand(case):
            end = BASE_MS + STEP_MS * SAMPLES - 720000 + 3000
            query = Query(expr, end - 600000, end, 10000)
            want, got = prometheus.query(query), tocsin.query(query)
            # Differences of large numbers, of which the last bits are not defined: relative to what was subtracted.
            absolute = 1e-9 * magnitude(want) if re.match(r'(stddev|stdvar|deriv|predict_linear|delta)', expr) else 0.0
            what = difference(want, got, absolute)
            should_fail = case.get('should_fail', False) and expr not in EXCEPTIONS
            if expr in EXCEPTIONS:
                good = what is not None
            else:
                good = what is None and (want.status != 'success') == should_fail
            passed, failed = passed + good, failed + (not good)
            if not good:
                print(f'FAILED {name}: {query}\n  differs in {what}\n  prometheus: {want}\n  tocsin:     {got}', flush=True)
    return passed, failed


def main():
    need_prometheus()
    cases, data = shared_list(), series()
    prometheus = Prometheus()
    passed = failed = 0
    try:
        prometheus.fill(data, 900000)
        peer = Peer(sys.argv[1], data)
        passed, failed = compare('evaluator', peer, prometheus, cases)
        peer.close()
        print(f'evaluator: {passed} passed, {failed} failed')
        daemon = Daemon(sys.argv[2], data)
        more = compare('daemon', daemon, prometheus, cases)
        daemon.close()
        print(f'daemon: {more[0]} passed, {more[1]} failed')
        passed, failed = passed + more[0], failed + more[1]
    finally:
        prometheus.close()
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not passed else 0)


main()
