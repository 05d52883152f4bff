"""Exemplars of an answered write are there after kill -9, with their times, values and labels."""
import json
import pathlib
import tempfile
import time
import urllib.parse

from tocsin_test import Checks, Daemon

CONFIG = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
'''


def payload(now_ns, number):
    exemplar = {'timeUnixNano': str(now_ns), 'asDouble': 0.5 + number, 'traceId': f'{number:032x}', 'spanId': f'{number:016x}'}
    point = {'timeUnixNano': str(now_ns), 'count': '1', 'sum': 1.5, 'bucketCounts': ['1', '0'], 'explicitBounds': [10],
             'exemplars': [exemplar]}
    metric = {'name': 'latency', 'histogram': {'aggregationTemporality': 2, 'dataPoints': [point]}}
    return {'resourceMetrics': [{'scopeMetrics': [{'metrics': [metric]}]}]}


def exemplars(d, begin):
    q = urllib.parse.urlencode({'query': '{__name__=~"latency.*"}', 'start': begin, 'end': begin + 3600})
    return d.call('GET', '/api/v1/query_exemplars?' + q).json['data']


def live(checks, config, begin):
    with Daemon(config=config) as d:
        for life in range(3):
            for k in range(5):
                answer = d.call('POST', '/v1/metrics', json.dumps(payload(time.time_ns(), 10 * life + k + 1)).encode(),
                                headers={'Content-Type': 'application/json'})
                checks.equal(answer.status, 200, 'the write is answered')
            before = exemplars(d, begin)
            traces = sorted(e['labels']['trace_id'] for row in before for e in row['exemplars'])
            checks.equal(traces, [f'{10 * i + k + 1:032x}' for i in range(life + 1) for k in range(5)], f'life {life}: all are shown')
            d.kill()
            d.start()
            checks.equal(exemplars(d, begin), before, f'life {life}: and after kill -9 the same')


def main():
    checks, begin = Checks(), int(time.time()) - 60
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(CONFIG)
        live(checks, config, begin)
    checks.finish()


main()
