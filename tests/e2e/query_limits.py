"""Queries in trouble: too many at once, too long, too large, abandoned by their client; who sees them, and that a reload
changes the limits."""
import pathlib
import socket
import tempfile
import threading
import time
import urllib.parse

from tocsin_test import Checks, Daemon

CONFIG = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
query: {max_concurrency: 1, timeout: %s, slow_threshold: 100ms, max_samples: 5000000}
'''
# Many seconds of computing, whatever the machine, and little memory.
LONG = '+'.join(['max_over_time(quantile_over_time(0.5, vector(time() % 7.3)[1m:10ms])[5m:1s])'] * 100)
SHORT = 'vector(1)'


def path(query, **more):
    return '/api/v1/query?' + urllib.parse.urlencode({'query': query, **more})


def queries(d):
    return d.call('GET', '/api/tocsin/v1/queries', token=d.token).json


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def begin(d, query):
    """A request whose answer nobody reads yet."""
    s = socket.create_connection(('127.0.0.1', d.port))
    s.sendall(f'GET {path(query)} HTTP/1.1\r\nHost: 127.0.0.1:{d.port}\r\n\r\n'.encode())
    return s


def time_out(checks, d):
    began = time.monotonic()
    answer = d.call('GET', path(LONG, timeout='300ms'))
    checks.equal((answer.status, answer.json['errorType'], answer.json['error']),
                 (503, 'timeout', 'query timed out in expression evaluation'), 'a query over its timeout')
    checks.check(time.monotonic() - began < 3, f'it took {time.monotonic() - began:.1f} s to time out')
    slow = queries(d)['slow']
    checks.check(slow and slow[0]['query'].startswith('max_over_time') and slow[0]['seconds'] >= 0.3, f'slow queries {slow}')
    checks.check('slow instant query' in d.log.read_text(), 'the log names the slow query')


def client_goes(checks, d):
    s = begin(d, LONG)
    checks.check(wait_for(lambda: len(queries(d)['active']) == 1), 'the query is listed while it runs')
    s.close()
    began = time.monotonic()
    checks.check(wait_for(lambda: not queries(d)['active'], 5), 'an abandoned query goes on')
    checks.check(time.monotonic() - began < 2, 'an abandoned query ends soon')
    metrics = d.call('GET', '/metrics').body.decode()
    checks.check('tocsin_queries_canceled_total 1\n' in metrics, 'the cancellation is counted')


def queue(checks, d):
    running = begin(d, LONG)
    wait_for(lambda: queries(d)['active'])
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(d.call('GET', path(SHORT), timeout=30)))
    waiting.start()
    checks.check(wait_for(lambda: [q['is_waiting'] for q in queries(d)['active']] == [False, True]), 'the second query waits')
    impatient = d.call('GET', path(SHORT, timeout='50ms'))
    checks.equal((impatient.status, impatient.json['error']), (503, 'query timed out in query queue'), 'a query that waits too long')
    running.close()
    waiting.join(10)
    checks.check(answers and answers[0].status == 200, 'the one that waited is answered when the place is free')


def too_large(checks, d):
    answer = d.call('GET', path('sum_over_time(vector(1)[3h:1ms])'))
    checks.equal((answer.status, answer.json['errorType'], answer.json['error']),
                 (422, 'execution', 'query processing would load too many samples into memory in query execution'),
                 'a query over max_samples')


def reload(checks, d, config):
    checks.equal(d.call('GET', '/api/v1/status/flags').json['data']['query.timeout'], '1m', 'timeout before')
    config.write_text(CONFIG % '200ms')
    checks.equal(d.call('POST', '/-/reload', b'', token=d.token).status, 200, 'reload')
    checks.equal(d.call('GET', '/api/v1/status/flags').json['data']['query.timeout'], '200ms', 'timeout after')
    checks.equal(d.call('GET', path(LONG)).status, 503, 'the new limit is in force')


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(CONFIG % '1m')
        with Daemon(config=config) as d:
            time_out(checks, d)
            client_goes(checks, d)
            queue(checks, d)
            too_large(checks, d)
            reload(checks, d, config)
    checks.finish()


if __name__ == '__main__':
    main()
